"""Blue/green on the embedded endpoint, by the real CDK CLI: the fleet outlives each update, and nothing the stack."""

import json
from functools import partial
from typing import Any

import pytest
from aws_cdk import App, CfnResource

from code_family_constructs.local import Endpoint
from stacks.ec2_blue_green import Ec2BlueGreen
from tests.stacks.deployed import Deployed, differences, resolve

NAME = "Ec2BlueGreen"
GROUP = "Custom::BlueGreenDeploymentGroup"
APPLICATION = "Ec2BlueGreen-Deployment"
WAIT = "blueGreenDeploymentConfiguration.terminateBlueInstancesOnDeploymentSuccess.terminationWaitTimeInMinutes"
NO_CONFIGURATION = {"DeploymentGroup.deploymentConfigName": "CodeDeployDefault.ThreeAtATime"}


def make(
    app: App, *, name: str = NAME, instance_type: str = "t3.micro", overrides: dict[str, Any] | None = None
) -> Ec2BlueGreen:
    """A variant of the stack; what is overridden goes around the library's own checks."""
    stack = Ec2BlueGreen(app, name, repository="acme/shop", testers=["192.0.2.0/24"])
    template = stack.node.find_child("Fleet").node.find_child("LaunchTemplate").node.default_child
    assert isinstance(template, CfnResource)
    template.add_property_override("LaunchTemplateData.InstanceType", instance_type)
    group = stack.node.find_child("Deployment").node.find_child("DeploymentGroup").node.default_child
    assert isinstance(group, CfnResource)
    for path, value in (overrides or {}).items():
        group.add_property_override(path, value)
    return stack


class BlueGreen(Deployed):
    """The stack, and what CodeDeploy does to its fleet."""

    group_name = APPLICATION  # until a test changes it

    def group(self) -> dict[str, Any]:
        key = {"applicationName": APPLICATION, "deploymentGroupName": self.group_name}
        found: dict[str, Any] = self.client("codedeploy").get_deployment_group(**key)["deploymentGroupInfo"]
        return found

    def fleets(self) -> dict[str, dict[str, Any]]:
        found = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return {item["AutoScalingGroupName"]: item for item in found}

    def live(self) -> dict[str, Any]:
        [named] = self.group()["autoScalingGroups"]
        return self.fleets()[named["name"]]

    def copy(self, deployment: str) -> str:
        """What CodeDeploy makes of the group that serves, at the beginning of a release."""
        name, live = f"CodeDeploy_{self.group_name}_{deployment}", self.live()
        copied = ("MinSize", "MaxSize", "VPCZoneIdentifier", "TargetGroupARNs", "HealthCheckType")
        template = {key: live["LaunchTemplate"][key] for key in ("LaunchTemplateId", "Version")}
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate=template,
            Tags=[{key: tag[key] for key in ("Key", "Value", "PropagateAtLaunch")} for tag in live["Tags"]],
            **{key: live[key] for key in copied},
        )
        return name

    def release(self, deployment: str, *, keep: bool = False) -> None:
        """What CodeDeploy does at a release."""
        blue, green = self.live()["AutoScalingGroupName"], self.copy(deployment)
        self.client("codedeploy").update_deployment_group(
            applicationName=APPLICATION,
            currentDeploymentGroupName=self.group_name,
            autoScalingGroups=[green],
        )
        if not keep:
            self.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=blue, ForceDelete=True)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = BlueGreen(endpoint, tmp_path_factory.mktemp("blue_green"), NAME)
        deployment.bootstrap()
        deployment.deploy(deployment.synth("first", make))
        yield deployment


def test_each_property_of_the_group_and_of_the_fleet_can_be_read_back(deployed):
    """The first of these tests, since the ones below change the stack."""
    [(name, resource)] = [item for item in deployed.template["Resources"].items() if item[1]["Type"] == GROUP]
    ids = deployed.physical_ids()
    wanted = resolve(resource["Properties"], ids, deployed.endpoint)
    assert ids[name] == f"{APPLICATION}/{APPLICATION}"
    assert list(differences(wanted["DeploymentGroup"], deployed.group(), "group")) == []
    live = deployed.live()
    assert list(differences(wanted["AutoScalingGroup"], live, "fleet")) == []
    assert len(live["Instances"]) == 2
    [stack] = deployed.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    assert {tag["Key"]: tag["Value"] for tag in live["Tags"] if tag["PropagateAtLaunch"]} == {
        "code-family:stack": stack["StackId"],
        "code-family:resource": name,
    }


def test_the_rule_hears_of_releases_of_this_group_and_of_no_other(deployed):
    [rule] = [item for item in deployed.client("events").list_rules()["Rules"] if "EventPattern" in item]

    def hears(state, group=APPLICATION):
        event = {
            "id": "1",
            "account": deployed.endpoint.account,
            "region": deployed.endpoint.region,
            "time": "2026-01-01T00:00:00Z",
            "resources": [],
            "source": "aws.codedeploy",
            "detail-type": "CodeDeploy Deployment State-change Notification",
            "detail": {"state": state, "application": APPLICATION, "deploymentGroup": group},
        }
        tested = deployed.client("events").test_event_pattern(
            EventPattern=rule["EventPattern"], Event=json.dumps(event)
        )
        return tested["Result"]

    assert [state for state in ("START", "READY", "SUCCESS", "FAILURE", "STOP") if hears(state)] == [
        "READY",
        "SUCCESS",
        "FAILURE",
        "STOP",
    ]
    assert not hears("READY", group="other")


def test_another_deployment_changes_nothing(deployed):
    assert "no changes" in deployed.deploy(deployed.folder / "first")


def test_after_a_release_the_group_that_serves_is_updated_and_stays(deployed):
    deployed.release("d-ONE1")
    before = deployed.live()
    assert before["AutoScalingGroupName"].startswith("CodeDeploy_")
    overrides = {f"DeploymentGroup.{WAIT}": 120, "AutoScalingGroup.MinSize": 1, "AutoScalingGroup.MaxSize": 6}
    deployed.deploy(deployed.synth("changed", partial(make, instance_type="t3.small", overrides=overrides)))
    after = deployed.live()
    assert list(deployed.fleets()) == [before["AutoScalingGroupName"]]
    assert after["Instances"] == before["Instances"]
    assert (after["MinSize"], after["MaxSize"], after["DesiredCapacity"]) == (1, 6, 2)
    assert int(after["LaunchTemplate"]["Version"]) == int(before["LaunchTemplate"]["Version"]) + 1
    options = deployed.group()["blueGreenDeploymentConfiguration"]
    assert options["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"] == 120
    assert options["greenFleetProvisioningOption"] == {"action": "COPY_AUTO_SCALING_GROUP"}


def test_removing_the_alarms_detaches_them(deployed):
    none = {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}
    overrides = {"DeploymentGroup.alarmConfiguration": none}
    deployed.deploy(deployed.synth("no-alarms", partial(make, overrides=overrides)))
    assert deployed.group()["alarmConfiguration"] == none


def test_an_update_that_codedeploy_refuses_rolls_back_and_leaves_the_fleet_alone(deployed):
    before = deployed.live()
    said = deployed.deploy(deployed.synth("refused", partial(make, overrides=NO_CONFIGURATION)), fails=True)
    assert "No deployment configuration found for name: CodeDeployDefault.ThreeAtATime" in said
    assert deployed.live() == before
    assert deployed.group()["deploymentConfigName"] == "CodeDeployDefault.OneAtATime"


def test_another_name_brings_another_fleet_and_takes_the_old_one_along(deployed):
    overrides = {
        "DeploymentGroup.deploymentGroupName": "Other",
        "AutoScalingGroup.AutoScalingGroupName": "Other",
    }
    deployed.deploy(deployed.synth("renamed", partial(make, overrides=overrides)))
    assert list(deployed.fleets()) == ["Other"]
    groups = deployed.client("codedeploy").list_deployment_groups(applicationName=APPLICATION)
    assert groups["deploymentGroups"] == ["Other"]
    deployed.group_name = "Other"


def test_a_creation_that_codedeploy_refuses_leaves_nothing(deployed):
    before = set(deployed.fleets())
    refused = deployed.synth("never", partial(make, name="Never", overrides=NO_CONFIGURATION))
    said = deployed.cdk("deploy", "Never", "--require-approval", "never", app=refused, fails=True)
    assert "No deployment configuration found for name: CodeDeployDefault.ThreeAtATime" in said
    assert set(deployed.fleets()) == before
    deployed.cdk("destroy", "Never", "--force", app=refused)


def test_destroy_leaves_nothing(deployed):
    """The group that serves, one that was kept, and one of a release that failed, beside a stranger's."""
    deployed.release("d-KEPT1", keep=True)
    deployed.copy("d-FAILED1")
    deployed.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=f"CodeDeploy_{deployed.group_name}_2_d-ONE1", MinSize=0, MaxSize=0
    )
    assert len(deployed.fleets()) == 4
    deployed.cdk("destroy", NAME, "--force", app=deployed.folder / "renamed")
    assert list(deployed.fleets()) == [f"CodeDeploy_{deployed.group_name}_2_d-ONE1"]
    assert deployed.client("codedeploy").list_applications()["applications"] == []
    stacks = [stack["StackName"] for stack in deployed.client("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == ["CDKToolkit"]
