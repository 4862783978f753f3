"""Blue/green on EC2: what reaches CodeDeploy and Auto Scaling, who may do it, and what could never work."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match

from code_family_constructs import Appspec, Ec2Appspec, HealthGate, Statement
from code_family_constructs.deploy.ec2_blue_green import Ec2BlueGreenDeployment
from code_family_constructs.deploy.ec2_fleet import Ec2BlueGreenFleet
from code_family_constructs.deploy.triggers import DeploymentTrigger
from code_family_constructs.testing import synthesized, text_of
from tests.deploy.instances import application, classic, network
from tests.helpers import a_context, a_stack, allowed, of_type, only, refuses

GROUP = "Custom::BlueGreenDeploymentGroup"
RULE = "AWS::Events::Rule"
WEB = codedeploy.InstanceTagSet({"Role": ["web", "api"]}, {"Stage": ["production"], "Public": []}, {"": ["x"]})
TESTERS = [ec2.Peer.ipv4("192.0.2.0/24")]
HERE = "<AWS::Region>:<AWS::AccountId>"


def a_fleet(stack, id_="Fleet", **settings: Any) -> Ec2BlueGreenFleet:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        f"{id_}Vpc",
        vpc_id="vpc-1",
        availability_zones=["a", "b"],
        public_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_ids=["subnet-3", "subnet-4"],
    )
    return Ec2BlueGreenFleet(stack, id_, certificate=None, vpc=vpc, **settings)


@pytest.fixture(scope="module")
def templates():
    app = App()

    full = Stack(app, "Full")
    fleet = a_fleet(full, min_capacity=3, max_capacity=5, test_listener_peers=TESTERS)
    topic = sns.Topic(full, "Topic", master_key=kms.Key(full, "Key"))
    deployment = Ec2BlueGreenDeployment(
        full,
        "Deployment",
        fleet=fleet,
        minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(2),
        termination_wait_time=Duration.minutes(0),
        deployment_approval_wait_time=Duration.days(2),
        health=fleet.health,
        termination_hook=True,
        outdated_instances_strategy="IGNORE",
        triggers=[DeploymentTrigger(name="ready", events=["DeploymentReady"], topic=topic)],
    )
    fleet.health.watch("Late", metric=cloudwatch.Metric(namespace="Shop", metric_name="orders"), threshold=1)
    for allow in deployment.stage_action(a_context()).artifact_readers:
        allow([Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])])

    least = Stack(app, "Least")
    Ec2BlueGreenDeployment(
        least, "Deployment", fleet=a_fleet(least, min_capacity=1), termination_wait_time=None, application_name="shop"
    )

    tagged = Stack(app, "Tagged")
    Ec2BlueGreenDeployment(
        tagged,
        "Deployment",
        ec2_instance_tags=WEB,
        load_balancers=[classic(tagged), application(tagged), network(tagged)],
    )
    return {stack.stack_name: synthesized(stack) for stack in (full, least, tagged)}


@pytest.fixture(scope="module")
def full(templates):
    return templates["Full"]


@pytest.fixture(scope="module")
def least(templates):
    return templates["Least"]


@pytest.fixture(scope="module")
def tagged(templates):
    return templates["Tagged"]


def group(template):
    return only(template, GROUP)["DeploymentGroup"]


def options(template):
    return group(template)["blueGreenDeploymentConfiguration"]


def test_new_instances_are_a_copy_of_the_fleet_behind_its_load_balancer(full):
    assert options(full)["greenFleetProvisioningOption"] == {"action": "COPY_AUTO_SCALING_GROUP"}
    assert group(full)["deploymentStyle"] == {
        "deploymentType": "BLUE_GREEN",
        "deploymentOption": "WITH_TRAFFIC_CONTROL",
    }
    (target_group,) = group(full)["loadBalancerInfo"]["targetGroupInfoList"]
    assert text_of(target_group["name"]).startswith("<FleetTargetGroup")


def test_the_first_instances_come_from_the_fleets_launch_template_into_private_subnets(full):
    fleet = only(full, GROUP)["AutoScalingGroup"]
    (template,) = of_type(full, "AWS::EC2::LaunchTemplate")
    assert fleet["LaunchTemplate"] == {
        "LaunchTemplateId": {"Ref": template},
        # A number and not $Latest: what a group launches changes when the stack says so.
        "Version": {"Fn::GetAtt": [template, "LatestVersionNumber"]},
    }
    assert (fleet["AutoScalingGroupName"], fleet["MinSize"], fleet["MaxSize"]) == ("Full-Deployment", 3, 5)
    assert fleet["VPCZoneIdentifier"] == "subnet-3,subnet-4"
    assert [text_of(arn)[:17] for arn in fleet["TargetGroupARNs"]] == ["<FleetTargetGroup"]
    assert (fleet["HealthCheckType"], fleet["HealthCheckGracePeriod"]) == ("ELB", 300)
    assert of_type(full, "AWS::AutoScaling::AutoScalingGroup") == {}


def test_both_wait_times_reach_codedeploy(full):
    assert options(full)["terminateBlueInstancesOnDeploymentSuccess"] == {
        "action": "TERMINATE",
        "terminationWaitTimeInMinutes": 0,
    }
    assert options(full)["deploymentReadyOption"] == {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 2880}


def test_without_wait_times_old_instances_stay_and_new_ones_get_traffic_at_once(least):
    assert options(least)["terminateBlueInstancesOnDeploymentSuccess"] == {"action": "KEEP_ALIVE"}
    assert options(least)["deploymentReadyOption"] == {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}


def test_old_instances_wait_longer_than_the_slowest_alarm_takes():
    stack = a_stack()
    fleet = a_fleet(stack)
    Ec2BlueGreenDeployment(stack, "Deployment", fleet=fleet, health=fleet.health)
    template = synthesized(stack)
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    slowest = max(alarm["EvaluationPeriods"] * alarm["Period"] for alarm in alarms)
    wait = options(template)["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"]
    assert 60 * wait > slowest


def test_alarms_of_the_gate_reach_codedeploy_also_those_that_come_later(full):
    alarms = group(full)["alarmConfiguration"]
    assert (alarms["enabled"], alarms["ignorePollAlarmFailure"]) == (True, False)
    assert {alarm["name"]["Ref"] for alarm in alarms["alarms"]} == set(of_type(full, "AWS::CloudWatch::Alarm"))
    assert len(alarms["alarms"]) == 4
    assert group(full)["autoRollbackConfiguration"] == {
        "enabled": True,
        "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
    }


def test_removing_the_health_gate_detaches_alarms(least):
    assert group(least)["alarmConfiguration"] == {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}
    assert group(least)["autoRollbackConfiguration"] == {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}


def test_what_can_be_taken_away_again_is_always_said(full, least):
    """An update of a deployment group keeps what it is not told."""
    assert set(group(full)) == set(group(least))
    assert (group(full)["terminationHookEnabled"], group(least)["terminationHookEnabled"]) == (True, False)
    assert group(full)["outdatedInstancesStrategy"] == "IGNORE"
    assert group(least)["outdatedInstancesStrategy"] == "UPDATE"
    assert group(least)["triggerConfigurations"] == []


def test_triggers_reach_codedeploy_which_may_publish(full):
    (topic,) = of_type(full, "AWS::SNS::Topic")
    assert group(full)["triggerConfigurations"] == [
        {"triggerName": "ready", "triggerEvents": ["DeploymentReady"], "triggerTargetArn": {"Ref": topic}}
    ]
    assert f"sns:Publish on <{topic}>" in allowed(full, "DeploymentRole")


def test_how_many_at_a_time_is_decided_by_predefined_and_own_configurations(full, least):
    (config,) = of_type(full, "AWS::CodeDeploy::DeploymentConfig")
    assert group(full)["deploymentConfigName"] == {"Ref": config}
    assert group(least)["deploymentConfigName"] == "CodeDeployDefault.OneAtATime"


def test_names_are_made_of_the_stacks_or_given(full, least):
    assert group(full)["deploymentGroupName"] == "Full-Deployment"
    assert (group(least)["deploymentGroupName"], only(least, "AWS::CodeDeploy::Application")["ApplicationName"]) == (
        "shop",
        "shop",
    )


def test_instances_come_when_there_is_a_way_out_and_a_listener(full):
    (resource,) = [r for r in full["Resources"].values() if r["Type"] == GROUP]
    assert any("LoadBalancerHttp" in name for name in resource["DependsOn"])
    stack = a_stack()
    Ec2BlueGreenDeployment(stack, "Deployment", fleet=Ec2BlueGreenFleet(stack, "Fleet", certificate=None))
    template = synthesized(stack)
    (resource,) = [r for r in template["Resources"].values() if r["Type"] == GROUP]
    ways_out = {name for name in of_type(template, "AWS::EC2::Route") if "Private" in name}
    assert len(ways_out) == 2
    assert ways_out <= set(resource["DependsOn"])


def test_testers_are_led_to_new_instances_by_events_of_this_deployment(full):
    pattern = only(full, RULE)["EventPattern"]
    assert pattern["source"] == ["aws.codedeploy"]
    assert pattern["detail"] == {
        "application": ["Full-Deployment"],
        "deploymentGroup": ["Full-Deployment"],
        "state": ["READY", "SUCCESS", "FAILURE", "STOP"],
    }
    (function,) = [name for name in of_type(full, "AWS::Lambda::Function") if "TestTraffic" in name]
    targets = of_type(full, "AWS::Lambda::Function")[function]["Environment"]["Variables"]["TARGET_GROUP_ARN"]
    assert text_of(targets).startswith("<FleetTestTargetGroup")


def test_without_testers_nothing_listens_to_events(least):
    assert of_type(least, RULE) == {}
    assert not any("TestTraffic" in name for name in of_type(least, "AWS::Lambda::Function"))


def test_instances_of_the_fleet_may_read_the_revision(full):
    assert "s3:GetObject on arn:aws:s3:::artifacts/app.zip" in allowed(full, "FleetRole")


def test_the_pipeline_may_deploy_this_application_only():
    stack = a_stack()
    deployment = Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack))
    action = deployment.stage_action(a_context(run_order=3))
    assert action.action.action_properties.run_order == 3
    resources = {
        text_of(stack.resolve(resource))
        for statement in action.permissions
        for resource in statement.resources
        if resource != "*"
    }
    assert {resource.split(f"{HERE}:")[1] for resource in resources} == {
        "application:Shop-Deployment",
        "deploymentgroup:Shop-Deployment/Shop-Deployment",
        "deploymentconfig:CodeDeployDefault.OneAtATime",
    }


def test_instances_that_are_there_already_are_found_by_their_tags(tagged):
    assert options(tagged)["greenFleetProvisioningOption"] == {"action": "DISCOVER_EXISTING"}
    both = {"Key": "Role", "Type": "KEY_AND_VALUE"}
    assert group(tagged)["ec2TagSet"] == {
        "ec2TagSetList": [
            [{**both, "Value": "web"}, {**both, "Value": "api"}],
            [{"Key": "Stage", "Value": "production", "Type": "KEY_AND_VALUE"}, {"Key": "Public", "Type": "KEY_ONLY"}],
            [{"Value": "x", "Type": "VALUE_ONLY"}],
        ]
    }
    assert "AutoScalingGroup" not in only(tagged, GROUP)
    assert "terminationHookEnabled" not in group(tagged)


def test_their_load_balancers_are_named_by_kind(tagged):
    (classic_balancer,) = of_type(tagged, "AWS::ElasticLoadBalancing::LoadBalancer")
    assert group(tagged)["loadBalancerInfo"] == {
        "elbInfoList": [{"name": {"Ref": classic_balancer}}],
        "targetGroupInfoList": [{"name": "web"}, {"name": "tcp"}],
    }


def test_of_instances_with_tags_codedeploy_terminates_those_only(tagged):
    (terminate,) = [
        statement
        for policy in of_type(tagged, "AWS::IAM::ManagedPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "ec2:TerminateInstances" in statement["Action"]
    ]
    assert terminate["Condition"] == {"StringEquals": {"aws:ResourceTag/Role": ["web", "api"]}}
    lines = allowed(tagged, "DeploymentRole")
    assert not any(line.startswith(("autoscaling:Create", "iam:", "ec2:RunInstances")) for line in lines)
    assert f"elasticloadbalancing:RegisterTargets on arn:<AWS::Partition>:elasticloadbalancing:{HERE}:" in str(lines)


def test_the_owner_of_a_group_without_a_fleet_may_touch_no_auto_scaling_group(tagged):
    assert {line.split(":")[0] for line in allowed(tagged, "DeploymentOwner")} == {"codedeploy", "iam", "logs"}


def test_old_instances_that_are_kept_need_not_be_terminated():
    stack = a_stack()
    Ec2BlueGreenDeployment(
        stack,
        "Deployment",
        ec2_instance_tags=codedeploy.InstanceTagSet({"Role": ["web"]}),
        load_balancers=[application(stack)],
        termination_wait_time=None,
    )
    assert not any("TerminateInstances" in line for line in allowed(synthesized(stack), "DeploymentRole"))


def test_a_pipeline_cannot_deploy_to_instances_that_are_there_already():
    stack = a_stack()
    deployment = Ec2BlueGreenDeployment(
        stack,
        "Deployment",
        ec2_instance_tags=codedeploy.InstanceTagSet({"Role": ["web"]}),
        load_balancers=[application(stack)],
    )
    with refuses("CodePipeline cannot name", at="Shop/Deployment", fix="give this deployment a fleet="):
        deployment.stage_action(a_context())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"termination_wait_time": Duration.minutes(2881)}, "termination_wait_time of 2 days 1 minute"),
        ({"termination_wait_time": Duration.seconds(90)}, "termination_wait_time of 1 minute 30 seconds"),
        ({"deployment_approval_wait_time": Duration.minutes(0)}, "deployment_approval_wait_time of 0"),
        ({"deployment_approval_wait_time": Duration.days(3)}, "deployment_approval_wait_time of 3 days"),
        ({"deployment_approval_wait_time": Duration.seconds(59)}, "deployment_approval_wait_time of 59 seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fails_when_a_wait_time_cannot_be(settings, problem):
    stack = a_stack()
    with refuses(problem, at="Shop/Deployment", fix="use whole minutes"):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), **settings)


@pytest.mark.parametrize("minutes", [1, 2880])
def test_wait_times_at_the_edge_are_accepted(minutes):
    stack = a_stack()
    wait = Duration.minutes(minutes)
    Ec2BlueGreenDeployment(
        stack,
        "Deployment",
        fleet=a_fleet(stack),
        termination_wait_time=wait,
        deployment_approval_wait_time=wait,
    )
    assert options(synthesized(stack))["deploymentReadyOption"]["waitTimeInMinutes"] == minutes


def test_a_wait_time_from_a_parameter_is_let_through():
    stack = a_stack()
    wait = Duration.minutes(CfnParameter(stack, "Wait", type="Number").value_as_number)
    Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), termination_wait_time=wait)
    termination = options(synthesized(stack))["terminateBlueInstancesOnDeploymentSuccess"]
    assert termination["terminationWaitTimeInMinutes"] == {"Ref": "Wait"}


def test_fails_when_nobody_would_have_time_to_test():
    stack = a_stack()
    fleet = a_fleet(stack, test_listener_peers=TESTERS)
    with refuses("'Shop/Fleet' has a test listener", at="Shop/Deployment", fix="deployment_approval_wait_time="):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=fleet)


def test_fails_when_two_deployments_would_replace_the_same_instances():
    stack = a_stack()
    fleet = a_fleet(stack)
    Ec2BlueGreenDeployment(stack, "First", fleet=fleet)
    with refuses("'Shop/Fleet' is in deployment 'Shop/First'", at="Shop/Second", fix="a fleet of its own"):
        Ec2BlueGreenDeployment(stack, "Second", fleet=fleet)


def test_fails_when_what_happens_to_outdated_instances_is_misspelt():
    stack = a_stack()
    strategy: Any = "update"
    with refuses("outdated_instances_strategy='update'", at="Shop/Deployment", fix="use one of UPDATE, IGNORE"):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), outdated_instances_strategy=strategy)


def test_an_appspec_is_looked_at(tmp_path):
    file = tmp_path / "appspec.yml"
    file.write_text(
        "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /srv\nhooks:\n  BeforeInstall: []\n"
    )
    stack = a_stack()
    Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), appspec=Ec2Appspec.from_file(file))
    (warning,) = Annotations.from_stack(stack).find_warning("/Shop/Deployment", Match.any_value())
    assert "appspec.yml:7: warning AS107" in str(warning.entry.data)


def test_fails_when_the_appspec_is_for_another_platform():
    stack = a_stack()
    appspec: Any = Appspec.from_text(
        "version: 0.0\nResources:\n  - F:\n      Type: AWS::Lambda::Function\n      Properties: "
        "{Name: f, Alias: live, CurrentVersion: '1', TargetVersion: '2'}\n"
    )
    with refuses("appspec=LambdaAppspec", at="Shop/Deployment", fix="Ec2Appspec.from_file"):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), appspec=appspec)


def test_fails_when_the_health_gate_has_no_alarms():
    stack = a_stack()
    gate = HealthGate(stack, "Gate")
    with refuses("no alarms", at="Shop/Deployment", fix="add one"):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), health=gate)


@pytest.mark.parametrize(
    ("capacity", "settings", "problem"),
    [
        (2, {"minimum_healthy_hosts": codedeploy.MinimumHealthyHosts.count(2)}, "keeps 2 instances healthy"),
        (3, {"minimum_healthy_hosts": codedeploy.MinimumHealthyHosts.percentage(70)}, "keeps 3 instances healthy"),
        (1, {"deployment_config": codedeploy.ServerDeploymentConfig.HALF_AT_A_TIME}, "keeps 1 instance healthy"),
    ],
)
def test_fails_when_more_must_stay_healthy_than_there_are(capacity, settings, problem):
    stack = a_stack()
    fleet = a_fleet(stack, min_capacity=capacity)
    with refuses(problem, f"{capacity} only", at="Shop/Deployment", fix="use "):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=fleet, **settings)


def test_fails_when_the_configuration_knows_zones():
    stack = a_stack()
    config = codedeploy.ServerDeploymentConfig(
        stack,
        "Config",
        minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(1),
        zonal_config=codedeploy.ZonalConfig(monitor_duration=Duration.minutes(1)),
    )
    with refuses("zones", "in place", at="Shop/Deployment", fix="without zonal_config="):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), deployment_config=config)


def test_fails_when_there_is_nothing_to_deploy_to():
    with refuses("without instances", at="Shop/Deployment", fix="give fleet=, or ec2_instance_tags="):
        Ec2BlueGreenDeployment(a_stack(), "Deployment")


@pytest.mark.parametrize("other", ["ec2_instance_tags", "load_balancers"])
def test_fails_when_there_is_a_fleet_and_something_else(other):
    stack = a_stack()
    others: dict[str, Any] = {
        "ec2_instance_tags": codedeploy.InstanceTagSet({"Role": ["web"]}),
        "load_balancers": [application(stack)],
    }
    with refuses("a fleet and other", at="Shop/Deployment", fix="give fleet= alone"):
        Ec2BlueGreenDeployment(stack, "Deployment", fleet=a_fleet(stack), **{other: others[other]})


def test_fails_when_there_is_no_traffic_to_move():
    tags = codedeploy.InstanceTagSet({"Role": ["web"]})
    with refuses("without a load balancer", at="Shop/Deployment", fix="give load_balancers="):
        Ec2BlueGreenDeployment(a_stack(), "Deployment", ec2_instance_tags=tags)


def test_fails_when_no_instance_could_have_the_tags():
    stack = a_stack()
    with refuses("ec2_instance_tags", at="Shop/Deployment", fix="name at least one"):
        Ec2BlueGreenDeployment(
            stack,
            "Deployment",
            ec2_instance_tags=codedeploy.InstanceTagSet({}),
            load_balancers=[application(stack)],
        )


def test_fails_when_there_is_no_group_to_put_the_termination_hook_into():
    stack = a_stack()
    with refuses("termination_hook", at="Shop/Deployment", fix="give a fleet="):
        Ec2BlueGreenDeployment(
            stack,
            "Deployment",
            ec2_instance_tags=codedeploy.InstanceTagSet({"Role": ["web"]}),
            load_balancers=[application(stack)],
            termination_hook=True,
        )


def test_a_refused_deployment_leaves_the_fleet_to_another_one():
    stack = a_stack()
    fleet = a_fleet(stack)
    with refuses("termination_wait_time", at="Shop/Refused", fix="use whole minutes"):
        Ec2BlueGreenDeployment(stack, "Refused", fleet=fleet, termination_wait_time=Duration.days(30))
    Ec2BlueGreenDeployment(stack, "Deployment", fleet=fleet)
    assert "Refused" not in str(synthesized(stack))
