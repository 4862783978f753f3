"""The owner of a blue/green deployment group, run for real: botocore checks each call, and the clock is the world's."""

import copy
from collections.abc import Callable
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from code_family_constructs.handlers import blue_green_group
from tests.handlers.doubles import Refused, Service

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/Shop/1a2b3c4d"
OWNER = {"code-family:stack": STACK, "code-family:resource": "Deployment"}
ROLE = "arn:aws:iam::111122223333:role/Shop-DeploymentRole"
TARGETS, OTHER_TARGETS = (
    f"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/{name}/0123456789abcdef"
    for name in ("blue-green", "other")
)
LAUNCHED, LAST_STATUS = "InService", "Delete in progress"
READING = ("Get", "List", "Describe", "BatchGet")


class World:
    """An account: what CodeDeploy, Auto Scaling and EC2 know, and the time that passes while the handler waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: Callable[[], object] = lambda: None
        self.boot_seconds, self.stop_seconds, self.delete_seconds, self.terminate_seconds = 30.0, 20.0, 20.0, 40.0
        self.numbers = iter(range(1, 1000))
        self.codedeploy, self.autoscaling, self.ec2 = CodeDeploy(self), AutoScaling(self), Ec2(self)
        self.services = {"codedeploy": self.codedeploy, "autoscaling": self.autoscaling, "ec2": self.ec2}

    def sleep(self, seconds: float) -> None:
        self.meanwhile()
        self.now += seconds

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Calls that change something, of all services, in the order of each."""
        calls = [call for service in self.services.values() for call in service.calls]
        return [call for call in calls if not call[0].startswith(READING)]

    def forget(self) -> None:
        for service in self.services.values():
            service.calls.clear()

    def release(self, deployment: str, *, group: str = "Shop", keep: bool = False) -> None:
        """What CodeDeploy does at a release: a copy takes the place of the Auto Scaling group that was named before."""
        [live] = self.codedeploy.groups["Shop", group]["autoScalingGroups"]
        name = self.copy_of(deployment, live["name"], group=group)
        self.codedeploy.groups["Shop", group]["autoScalingGroups"] = [{"name": name, "hook": f"hook-{deployment}"}]
        if not keep:
            self.autoscaling.remove(live["name"])
            self.now += 600

    def copy_of(self, deployment: str, original: str, *, group: str = "Shop") -> str:
        name = f"CodeDeploy_{group}_{deployment}"
        assert "Status" not in self.autoscaling.groups[original]
        self.autoscaling.groups[name] = {
            **copy.deepcopy(self.autoscaling.groups[original]),
            "AutoScalingGroupName": name,
        }
        self.ec2.launch(name, 2)
        self.now += 60
        return name


class CodeDeploy(Service):
    def __init__(self, world: World) -> None:
        super().__init__("codedeploy")
        self.world = world
        self.applications = {"Shop", "Other"}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        # Deployment → application, group, creator, and when it stops; None while nobody has asked.
        self.deployments: dict[str, dict[str, Any]] = {}
        self.unstoppable: set[str] = set()

    def running(self) -> list[str]:
        now = self.world.now
        return [id for id, one in self.deployments.items() if one["stops"] is None or one["stops"] > now]

    def start(self, id: str, creator: str = "user") -> None:
        self.deployments[id] = {"creator": creator, "stops": None}

    def require(self, asked: dict[str, Any], name: str = "deploymentGroupName") -> dict[str, Any]:
        if asked["applicationName"] not in self.applications:
            raise Refused("ApplicationDoesNotExistException")
        key = asked["applicationName"], asked[name]
        if key not in self.groups:
            raise Refused("DeploymentGroupDoesNotExistException")
        return self.groups[key]

    def named(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The request as a group's properties, refused as CodeDeploy refuses it."""
        names = asked.get("autoScalingGroups", [])
        for name in names:
            if name not in self.world.autoscaling.groups:
                raise Refused("InvalidAutoScalingGroupException", message=f"no Auto Scaling group {name}")
        options = asked.get("blueGreenDeploymentConfiguration", {})
        copies = options.get("greenFleetProvisioningOption", {}).get("action") == "COPY_AUTO_SCALING_GROUP"
        if copies and len(names) != 1:
            raise Refused("InvalidBlueGreenDeploymentConfigurationException", message="Exactly one AutoScaling group")
        if asked.get("alarmConfiguration", {}).get("enabled") and not asked["alarmConfiguration"]["alarms"]:
            raise Refused("InvalidAlarmConfigException")
        found = {key: value for key, value in asked.items() if key not in ("tags", "currentDeploymentGroupName")}
        return {**found, "autoScalingGroups": [{"name": name, "hook": f"hook-{name}"} for name in names]}

    def GetDeploymentGroup(self, asked):  # noqa: N802
        return {"deploymentGroupInfo": self.require(asked)}

    def CreateDeploymentGroup(self, asked):  # noqa: N802
        key = asked["applicationName"], asked["deploymentGroupName"]
        if key in self.groups:
            raise Refused("DeploymentGroupAlreadyExistsException")
        self.groups[key] = self.named(asked)
        return {"deploymentGroupId": "0f0e"}

    def UpdateDeploymentGroup(self, asked):  # noqa: N802
        group = self.require(asked, "currentDeploymentGroupName")
        kept = {} if "autoScalingGroups" in asked else {"autoScalingGroups": group["autoScalingGroups"]}
        group.update({**self.named(asked), **kept})
        return {}

    def DeleteDeploymentGroup(self, asked):  # noqa: N802
        self.groups.pop((asked["applicationName"], asked["deploymentGroupName"]), None)
        return {}

    def ListDeployments(self, asked):  # noqa: N802
        self.require(asked)
        assert {"Created", "Queued", "InProgress", "Baking", "Ready"} == set(asked["includeOnlyStatuses"])
        left = self.running()
        if token := asked.get("nextToken"):
            left = left[int(token) :]
        page = {"deployments": left[:20]}
        return {**page, "nextToken": "20"} if len(left) > 20 else page

    def BatchGetDeployments(self, asked):  # noqa: N802
        if len(asked["deploymentIds"]) > 25:
            raise Refused("BatchLimitExceededException")
        found = [{"deploymentId": id, "creator": self.deployments[id]["creator"]} for id in asked["deploymentIds"]]
        return {"deploymentsInfo": found}

    def StopDeployment(self, asked):  # noqa: N802
        deployment = asked["deploymentId"]
        if deployment not in self.running():
            raise Refused("DeploymentAlreadyCompletedException")
        if deployment in self.unstoppable:
            raise Refused("UnsupportedActionForDeploymentTypeException", message="it cannot be stopped any more")
        self.deployments[deployment]["stops"] = self.world.now + self.world.stop_seconds
        return {"status": "Pending"}


class AutoScaling(Service):
    def __init__(self, world: World) -> None:
        super().__init__("autoscaling")
        self.world = world
        self.groups: dict[str, dict[str, Any]] = {}
        self.activities: list[dict[str, Any]] = []
        self.gone: dict[str, float] = {}

    def remove(self, name: str) -> None:
        self.groups[name]["Status"] = LAST_STATUS
        self.gone[name] = self.world.now + self.world.delete_seconds
        self.world.ec2.terminate(name)

    def described(self) -> list[dict[str, Any]]:
        for name, when in list(self.gone.items()):
            if when <= self.world.now:
                del self.gone[name], self.groups[name]
        return [
            {**group, "Instances": [self.instance(one) for one in self.world.ec2.of(name)]}
            for name, group in sorted(self.groups.items())
        ]

    def instance(self, instance: dict[str, Any]) -> dict[str, Any]:
        booted = instance["launched"] + self.world.boot_seconds <= self.world.now
        return {
            "InstanceId": instance["InstanceId"],
            "AvailabilityZone": "eu-west-1a",
            "LifecycleState": LAUNCHED if booted else "Pending",
            "HealthStatus": "Healthy",
            "ProtectedFromScaleIn": False,
        }

    def CreateAutoScalingGroup(self, asked):  # noqa: N802
        name = asked["AutoScalingGroupName"]
        if name in self.groups:
            raise Refused("AlreadyExists")
        tags = [{**tag, "ResourceId": name, "ResourceType": "auto-scaling-group"} for tag in asked["Tags"]]
        self.groups[name] = {
            "DesiredCapacity": asked["MinSize"],
            "DefaultCooldown": 300,
            "AvailabilityZones": ["eu-west-1a"],
            "CreatedTime": 0,
            **{key: value for key, value in asked.items() if key != "Tags"},
            "Tags": tags,
        }
        self.world.ec2.launch(name, asked["MinSize"])

    def DescribeAutoScalingGroups(self, asked):  # noqa: N802
        names = asked.get("AutoScalingGroupNames")
        left = [group for group in self.described() if not names or group["AutoScalingGroupName"] in names]
        if token := asked.get("NextToken"):
            left = left[int(token) :]
        page = {"AutoScalingGroups": left[:3]}
        return {**page, "NextToken": "3"} if len(left) > 3 else page

    def UpdateAutoScalingGroup(self, asked):  # noqa: N802
        self.groups[asked["AutoScalingGroupName"]].update(asked)

    def AttachLoadBalancerTargetGroups(self, asked):  # noqa: N802
        self.groups[asked["AutoScalingGroupName"]]["TargetGroupARNs"] += asked["TargetGroupARNs"]
        return {}

    def DetachLoadBalancerTargetGroups(self, asked):  # noqa: N802
        for arn in asked["TargetGroupARNs"]:
            self.groups[asked["AutoScalingGroupName"]]["TargetGroupARNs"].remove(arn)
        return {}

    def DeleteAutoScalingGroup(self, asked):  # noqa: N802
        name = asked["AutoScalingGroupName"]
        if not asked.get("ForceDelete") and self.world.ec2.of(name):
            raise Refused("ResourceInUse")
        assert "Status" not in self.groups[name]
        self.remove(name)

    def DescribeScalingActivities(self, asked):  # noqa: N802
        return {"Activities": self.activities[: asked["MaxRecords"]]}


class Ec2(Service):
    def __init__(self, world: World) -> None:
        super().__init__("ec2")
        self.world = world
        self.found: list[dict[str, Any]] = []
        self.last_state = "shutting-down"

    def launch(self, group: str, count: int) -> None:
        tags = self.world.autoscaling.groups[group]["Tags"]
        for _ in range(count):
            number = next(self.world.numbers)
            self.found.append(
                {
                    "InstanceId": f"i-{number:017}",
                    "Tags": [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags if tag["PropagateAtLaunch"]]
                    + [{"Key": "aws:autoscaling:groupName", "Value": group}],
                    "launched": self.world.now,
                    "terminated": None,
                }
            )

    def of(self, group: str) -> list[dict[str, Any]]:
        """Instances of a group that nobody has told to go."""
        named = {"Key": "aws:autoscaling:groupName", "Value": group}
        return [one for one in self.found if named in one["Tags"] and one["terminated"] is None]

    def terminate(self, group: str) -> None:
        for instance in self.of(group):
            instance["terminated"] = self.world.now + self.world.terminate_seconds

    def state(self, instance: dict[str, Any]) -> str:
        if instance["terminated"] is None:
            return "running"
        return self.last_state if instance["terminated"] > self.world.now else "terminated"

    def DescribeInstances(self, asked):  # noqa: N802
        def matches(instance, name, values):
            if name == "instance-state-name":
                return self.state(instance) in values
            key = name.removeprefix("tag:")
            return any(
                tag["Key"] == key and fnmatchcase(tag["Value"], value) for tag in instance["Tags"] for value in values
            )

        filters = [(one["Name"], one["Values"]) for one in asked["Filters"]]
        found = [one for one in self.found if all(matches(one, *filter_) for filter_ in filters)]
        return {
            "Reservations": [{"Instances": [{"InstanceId": one["InstanceId"], "Tags": one["Tags"]}]} for one in found]
        }


class Context:
    """Lambda's: fifteen minutes from the call on, by the world's clock."""

    def __init__(self, world: World) -> None:
        self.world, self.ends = world, world.now + 900

    def get_remaining_time_in_millis(self) -> int:
        left = 1000 * (self.ends - self.world.now)
        assert left > 0, "Lambda has ended the function"
        return int(left)


def properties(**changed: Any) -> dict[str, Any]:
    """What the template says, as CloudFormation hands it over: numbers and booleans are strings."""
    name = changed.pop("name", "Shop")
    group = {
        "applicationName": "Shop",
        "deploymentGroupName": name,
        "deploymentConfigName": "CodeDeployDefault.HalfAtATime",
        "serviceRoleArn": ROLE,
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": {
                "action": "TERMINATE",
                "terminationWaitTimeInMinutes": changed.pop("termination", "10"),
            },
            "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": "60"},
            "greenFleetProvisioningOption": {"action": "COPY_AUTO_SCALING_GROUP"},
        },
        "loadBalancerInfo": {"targetGroupInfoList": [{"name": "blue-green"}]},
        "alarmConfiguration": {
            "enabled": "true",
            "ignorePollAlarmFailure": "false",
            "alarms": [{"name": "5xx"}, {"name": "latency"}],
        },
        "autoRollbackConfiguration": {
            "enabled": "true",
            "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
        },
        "triggerConfigurations": [],
    }
    fleet = {
        "AutoScalingGroupName": name,
        "LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": changed.pop("version", "1")},
        "MinSize": changed.pop("least", "2"),
        "MaxSize": "4",
        "VPCZoneIdentifier": "subnet-1,subnet-2",
        "TargetGroupARNs": [changed.pop("targets", TARGETS)],
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": "300",
    }
    return {"ServiceToken": "arn:…", "DeploymentGroup": {**group, **changed}, "AutoScalingGroup": fleet}


def tagged(*roles: str) -> dict[str, Any]:
    """A deployment group of instances that are there already."""
    group = properties()["DeploymentGroup"]
    options = group["blueGreenDeploymentConfiguration"]
    options["greenFleetProvisioningOption"] = {"action": "DISCOVER_EXISTING"}
    tags = [{"Key": "role", "Value": role, "Type": "KEY_AND_VALUE"} for role in roles]
    return {"ServiceToken": "arn:…", "DeploymentGroup": {**group, "ec2TagSet": {"ec2TagSetList": [tags]}}}


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(boto3, "client", lambda name: world.services[name].client)
    monkeypatch.setattr(blue_green_group, "time", SimpleNamespace(sleep=world.sleep))
    return world


@pytest.fixture
def send(world, cloudformation):
    """Sends an event as CloudFormation does, and returns the answer."""

    def send(kind, wanted=None, *, old=None, physical_id="Shop/Shop"):
        wanted = wanted or properties()
        event = {
            "RequestType": kind,
            "RequestId": "5e6f",
            "ResponseURL": cloudformation.url,
            "ResourceType": "Custom::BlueGreenDeploymentGroup",
            "LogicalResourceId": "Deployment",
            "StackId": STACK,
            "ResourceProperties": wanted,
            **({} if kind == "Create" else {"PhysicalResourceId": physical_id}),
            **({"OldResourceProperties": old or properties()} if kind == "Update" else {}),
        }
        blue_green_group.handler(event, Context(world))
        return cloudformation.answers[-1]

    return send


@pytest.fixture
def made(world, send):
    """The world after the stack was created."""
    assert send("Create")["Status"] == "SUCCESS"
    world.forget()
    return world


@pytest.fixture
def released(made):
    """The world after two releases: CodeDeploy has deleted what the stack was created with."""
    made.release("d-ONE1")
    made.release("d-TWO2")
    assert [group["AutoScalingGroupName"] for group in made.autoscaling.described()] == ["CodeDeploy_Shop_d-TWO2"]
    made.forget()
    return made


def instances(world):
    return [one["InstanceId"] for one in world.ec2.found if world.ec2.state(one) == "running"]


def test_all_that_the_template_says_reaches_the_api(world, send):
    answer = send("Create")
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "Shop/Shop"
    assert answer["Data"] == {"DeploymentGroupName": "Shop"}
    assert world.changes() == [
        (
            "CreateDeploymentGroup",
            {
                "applicationName": "Shop",
                "deploymentGroupName": "Shop",
                "deploymentConfigName": "CodeDeployDefault.HalfAtATime",
                "autoScalingGroups": ["Shop"],
                "serviceRoleArn": ROLE,
                "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
                "blueGreenDeploymentConfiguration": {
                    "terminateBlueInstancesOnDeploymentSuccess": {
                        "action": "TERMINATE",
                        "terminationWaitTimeInMinutes": 10,
                    },
                    "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60},
                    "greenFleetProvisioningOption": {"action": "COPY_AUTO_SCALING_GROUP"},
                },
                "loadBalancerInfo": {"targetGroupInfoList": [{"name": "blue-green"}]},
                "alarmConfiguration": {
                    "enabled": True,
                    "ignorePollAlarmFailure": False,
                    "alarms": [{"name": "5xx"}, {"name": "latency"}],
                },
                "autoRollbackConfiguration": {
                    "enabled": True,
                    "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
                },
                "triggerConfigurations": [],
            },
        ),
        (
            "CreateAutoScalingGroup",
            {
                "AutoScalingGroupName": "Shop",
                "LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"},
                "MinSize": 2,
                "MaxSize": 4,
                "VPCZoneIdentifier": "subnet-1,subnet-2",
                "TargetGroupARNs": [TARGETS],
                "HealthCheckType": "ELB",
                "HealthCheckGracePeriod": 300,
                "Tags": [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in OWNER.items()],
            },
        ),
    ]


def test_waits_until_the_instances_are_there(world, send):
    send("Create")
    assert 30 <= world.now < 30 + blue_green_group.POLL_SECONDS
    assert all(instance["LifecycleState"] == LAUNCHED for instance in world.autoscaling.described()[0]["Instances"])


def test_says_why_the_instances_do_not_come(world, send):
    world.boot_seconds = 3600
    refusal = "We currently do not have sufficient t3.micro capacity"
    world.autoscaling.activities = [
        {
            "ActivityId": "1",
            "AutoScalingGroupName": "Shop",
            "Cause": "…",
            "StartTime": 0,
            "StatusCode": "Failed",
            "StatusMessage": refusal,
        }
    ]
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert "0 of 2 instances of Shop are in service" in answer["Reason"]
    assert refusal in answer["Reason"]
    assert 840 < world.now < 880
    assert world.codedeploy.groups == {}


def test_a_role_that_is_not_known_everywhere_yet_is_tried_again(world, send):
    world.codedeploy.refusals["CreateDeploymentGroup"] = [Refused("InvalidRoleException")] * 3
    assert send("Create")["Status"] == "SUCCESS"
    assert world.codedeploy.names().count("CreateDeploymentGroup") == 4


def test_a_role_that_codedeploy_cannot_use_is_not_tried_for_ever(world, send):
    world.codedeploy.refusals["CreateDeploymentGroup"] = [Refused("InvalidRoleException")] * 100
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    longest = world.boot_seconds + blue_green_group.ROLE_SECONDS + blue_green_group.POLL_SECONDS
    assert longest - 2 * blue_green_group.POLL_SECONDS < world.now < longest
    assert "InvalidRoleException" in answer["Reason"]


def test_an_auto_scaling_group_of_somebody_else_is_not_taken_over(world, send):
    """Neither when the stack is made, nor when it is then rolled back."""
    world.autoscaling.groups["Shop"] = {
        "AutoScalingGroupName": "Shop",
        "Tags": [],
        "MinSize": 1,
        "MaxSize": 1,
        "DesiredCapacity": 1,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["eu-west-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": 0,
    }
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert "Auto Scaling group Shop that is not this stack's" in answer["Reason"]
    assert send("Delete")["Status"] == "SUCCESS"
    assert world.changes() == []


def test_what_a_failed_creation_has_made_goes_with_the_rollback(world, send):
    world.codedeploy.refusals["CreateDeploymentGroup"] = [
        Refused("DeploymentConfigDoesNotExistException", message="No deployment configuration found")
    ]
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert "No deployment configuration found" in answer["Reason"]
    assert send("Delete", physical_id=answer["PhysicalResourceId"])["Status"] == "SUCCESS"
    assert (world.autoscaling.described(), instances(world)) == ([], [])


def test_a_failed_creation_can_be_tried_again(world, send):
    world.codedeploy.refusals["CreateDeploymentGroup"] = [Refused("ThrottlingException")] * 5
    assert send("Create")["Status"] == "FAILED"
    before = instances(world)
    world.codedeploy.refusals.clear()
    assert send("Create")["Status"] == "SUCCESS"
    assert instances(world) == before
    assert list(world.codedeploy.groups) == [("Shop", "Shop")]


def test_a_creation_that_is_tried_again_waits_for_the_instances_too(world, send):
    world.boot_seconds = 1200
    assert send("Create")["Status"] == "FAILED"
    assert send("Create")["Status"] == "SUCCESS"
    assert world.now >= 1200
    assert len(instances(world)) == 2


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_repeated_event_changes_nothing(made, send, kind):
    assert send(kind)["Status"] == "SUCCESS"
    assert made.changes() == []


def test_what_is_off_and_what_the_api_leaves_out_are_the_same(made, send):
    off = properties(terminationHookEnabled="false", alarmConfiguration={"enabled": "false", "alarms": []})
    assert send("Update", off)["Status"] == "SUCCESS"
    group = made.codedeploy.groups["Shop", "Shop"]
    del group["terminationHookEnabled"], group["alarmConfiguration"], group["triggerConfigurations"]
    made.forget()
    assert send("Update", off, old=off)["Status"] == "SUCCESS"
    assert made.changes() == []


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_repeated_event_changes_nothing_after_releases_either(released, send, kind):
    assert send(kind)["Status"] == "SUCCESS"
    assert released.changes() == []


def test_an_update_leaves_the_fleet_alone(made, send):
    before = instances(made)
    assert send("Update", properties(termination="0"))["Status"] == "SUCCESS"
    ((name, asked),) = made.changes()
    assert (name, asked["autoScalingGroups"]) == ("UpdateDeploymentGroup", ["Shop"])
    options = made.codedeploy.groups["Shop", "Shop"]["blueGreenDeploymentConfiguration"]
    assert options["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"] == 0
    assert instances(made) == before
    assert 30 <= made.now < 30 + blue_green_group.POLL_SECONDS


def test_an_update_after_releases_names_the_group_that_serves(released, send):
    assert send("Update", properties(termination="120"))["Status"] == "SUCCESS"
    ((_, asked),) = released.changes()
    assert asked["autoScalingGroups"] == ["CodeDeploy_Shop_d-TWO2"]


def test_capacity_and_launch_template_change_the_configuration_of_the_group_that_serves(released, send):
    before = instances(released)
    assert send("Update", properties(least="3", version="2"))["Status"] == "SUCCESS"
    assert released.changes() == [
        (
            "UpdateAutoScalingGroup",
            {
                "AutoScalingGroupName": "CodeDeploy_Shop_d-TWO2",
                "LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "2"},
                "MinSize": 3,
            },
        )
    ]
    assert instances(released) == before


def test_subnets_in_another_order_are_the_same_subnets(made, send):
    made.autoscaling.groups["Shop"]["VPCZoneIdentifier"] = "subnet-2,subnet-1"
    send("Update")
    assert made.changes() == []


def test_removing_the_last_alarm_detaches_it(made, send):
    none = {"enabled": "false", "ignorePollAlarmFailure": "false", "alarms": []}
    rollback = {"enabled": "true", "events": ["DEPLOYMENT_FAILURE"]}
    send("Update", properties(alarmConfiguration=none, autoRollbackConfiguration=rollback))
    group = made.codedeploy.groups["Shop", "Shop"]
    assert group["alarmConfiguration"] == {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}
    assert group["autoRollbackConfiguration"]["events"] == ["DEPLOYMENT_FAILURE"]


def test_removing_the_last_trigger_removes_it(made, send):
    trigger = {"triggerName": "t", "triggerEvents": ["DeploymentFailure"], "triggerTargetArn": "arn:aws:sns:…"}
    send("Update", properties(triggerConfigurations=[trigger]))
    assert made.codedeploy.groups["Shop", "Shop"]["triggerConfigurations"] == [trigger]
    send("Update", old=properties(triggerConfigurations=[trigger]))
    assert made.codedeploy.groups["Shop", "Shop"]["triggerConfigurations"] == []


def test_another_target_group_gets_the_instances_before_the_old_one_loses_them(released, send):
    group = released.autoscaling.groups["CodeDeploy_Shop_d-TWO2"]
    group["TargetGroupARNs"].append("arn:of-somebody-else")
    wanted = properties(targets=OTHER_TARGETS, loadBalancerInfo={"targetGroupInfoList": [{"name": "other"}]})
    assert send("Update", wanted)["Status"] == "SUCCESS"
    assert [name for name, _ in released.autoscaling.calls if not name.startswith(READING)] == [
        "AttachLoadBalancerTargetGroups",
        "DetachLoadBalancerTargetGroups",
    ]
    assert group["TargetGroupARNs"] == ["arn:of-somebody-else", OTHER_TARGETS]
    released.forget()
    assert send("Update", wanted)["Status"] == "SUCCESS"
    assert released.changes() == []


def test_nothing_changes_while_a_release_runs(released, send):
    released.codedeploy.start("d-THREE3")
    answer = send("Update", properties(least="3", termination="0"))
    assert answer["Status"] == "FAILED"
    assert "deployment d-THREE3 is running" in answer["Reason"]
    assert "Update the stack when the deployment has ended" in answer["Reason"]
    assert released.changes() == []
    # CloudFormation takes the update back, by another one.
    assert send("Update", old=properties(least="3", termination="0"))["Status"] == "SUCCESS"
    assert released.changes() == []


def test_instances_that_come_and_go_are_no_release(made, send):
    for number in range(30):
        made.codedeploy.start(f"d-{number:09}", "autoscaling" if number % 2 else "autoscalingTermination")
    assert send("Update", properties(termination="0"))["Status"] == "SUCCESS"


def test_a_rollback_of_codedeploys_own_is_a_release(made, send):
    made.codedeploy.start("d-BACK", "codeDeployRollback")
    assert send("Update", properties(termination="0"))["Status"] == "FAILED"


def test_a_group_that_somebody_deleted_comes_back(released, send):
    released.autoscaling.remove("CodeDeploy_Shop_d-TWO2")
    deleted = released.now
    assert send("Update")["Status"] == "SUCCESS"
    assert [item["name"] for item in released.codedeploy.groups["Shop", "Shop"]["autoScalingGroups"]] == ["Shop"]
    assert len(instances(released)) == 2
    assert released.now >= deleted + released.boot_seconds


def test_another_name_is_another_resource_so_that_the_old_one_is_deleted(released, send):
    updated = send("Update", properties(name="Web"))
    assert (updated["Status"], updated["PhysicalResourceId"]) == ("SUCCESS", "Shop/Web")
    assert set(released.codedeploy.groups) == {("Shop", "Shop"), ("Shop", "Web")}
    assert send("Delete")["Status"] == "SUCCESS"
    assert set(released.codedeploy.groups) == {("Shop", "Web")}
    assert [group["AutoScalingGroupName"] for group in released.autoscaling.described()] == ["Web"]


def test_a_replacement_that_fails_leaves_the_old_one_and_nothing_new(released, send):
    before = instances(released)
    released.codedeploy.refusals["CreateDeploymentGroup"] = [Refused("InvalidLoadBalancerInfoException")]
    assert send("Update", properties(name="Web"))["Status"] == "FAILED"
    assert [group["AutoScalingGroupName"] for group in released.autoscaling.described()] == ["CodeDeploy_Shop_d-TWO2"]
    # CloudFormation takes the update back; which id it knows the resource by is its own affair.
    for physical_id in ("Shop/Web", "Shop/Shop"):
        taken_back = send("Update", old=properties(name="Web"), physical_id=physical_id)
        assert (taken_back["Status"], taken_back["PhysicalResourceId"]) == ("SUCCESS", "Shop/Shop")
    assert instances(released) == before


def test_taking_back_a_replacement_that_cannot_be_taken_back_does_not_touch_the_fleet(released, send):
    before = instances(released)
    released.codedeploy.start("d-THREE3")
    wanted = properties(termination="1440")
    assert send("Update", wanted, old=properties(name="Web"), physical_id="Shop/Web")["Status"] == "FAILED"
    assert instances(released) == before
    assert released.changes() == []


def test_taking_back_a_replacement_does_not_delete_a_fleet_that_was_there_before(made, send):
    """Somebody has deleted the deployment group meanwhile; the fleet serves on."""
    before = instances(made)
    del made.codedeploy.groups["Shop", "Shop"]
    made.codedeploy.refusals["CreateDeploymentGroup"] = [Refused("DeploymentConfigDoesNotExistException")]
    assert send("Update", old=properties(name="Web"), physical_id="Shop/Web")["Status"] == "FAILED"
    assert instances(made) == before


def test_deleting_leaves_nothing(made, send):
    """The group that serves, one that was kept, and two of releases that failed."""
    made.release("d-KEPT1", keep=True)
    made.release("d-KEPT2", keep=True)
    made.copy_of("d-FAILED1", "CodeDeploy_Shop_d-KEPT2")
    made.copy_of("d-FAILED2", "CodeDeploy_Shop_d-KEPT2")
    assert len(made.autoscaling.described()) == 5
    assert send("Delete")["Status"] == "SUCCESS"
    assert made.autoscaling.described() == []
    assert instances(made) == []
    assert made.codedeploy.groups == {}


@pytest.mark.parametrize("state", ["pending", "running", "shutting-down", "stopping", "stopped"])
def test_deleting_waits_for_the_instances_for_their_addresses_hold_subnets(made, send, state):
    made.ec2.last_state, made.delete_seconds, made.terminate_seconds = state, 10, 300
    assert send("Delete")["Status"] == "SUCCESS"
    assert made.now >= 330
    assert {made.ec2.state(instance) for instance in made.ec2.found} == {"terminated"}


def test_deleting_again_goes_on_where_the_time_ran_out(made, send):
    made.release("d-KEPT1", keep=True)
    made.delete_seconds, made.terminate_seconds = 60, 1500
    ended = made.now + 900
    answer = send("Delete")
    assert answer["Status"] == "FAILED"
    assert "still being terminated: instance i-00000000000000001, i-" in answer["Reason"]
    assert "delete the stack again" in answer["Reason"]
    assert made.now <= ended - 30
    assert send("Delete")["Status"] == "SUCCESS"
    assert made.codedeploy.groups == {}


def test_deleting_stops_a_release_first_and_does_not_roll_it_back(made, send):
    made.codedeploy.start("d-RUNS")
    assert send("Delete")["Status"] == "SUCCESS"
    names = made.codedeploy.names()
    assert ("StopDeployment", {"deploymentId": "d-RUNS", "autoRollbackEnabled": False}) in made.codedeploy.calls
    assert names.index("StopDeployment") < names.index("DeleteDeploymentGroup")
    assert names.count("StopDeployment") == 1


def test_what_a_release_makes_until_it_stops_is_deleted_too(made, send):
    made.codedeploy.start("d-RUNS")

    def release():
        if made.codedeploy.running() and len(made.autoscaling.groups) == 1:
            made.copy_of("d-RUNS", "Shop")

    made.meanwhile = release
    assert send("Delete")["Status"] == "SUCCESS"
    assert "CodeDeploy_Shop_d-RUNS" in [asked.get("AutoScalingGroupName") for _, asked in made.changes()]
    assert made.autoscaling.described() == []


def test_a_release_that_ends_by_itself_meanwhile_is_no_failure(made, send):
    made.codedeploy.start("d-RUNS")
    made.codedeploy.refusals["StopDeployment"] = [Refused("DeploymentAlreadyCompletedException")]
    made.codedeploy.deployments["d-RUNS"]["stops"] = made.now + 5
    assert send("Delete")["Status"] == "SUCCESS"


def test_a_release_that_cannot_be_stopped_is_told_and_nothing_is_deleted(made, send):
    before = instances(made)
    made.codedeploy.start("d-RUNS")
    made.codedeploy.unstoppable.add("d-RUNS")
    answer = send("Delete")
    assert answer["Status"] == "FAILED"
    assert "deployment d-RUNS" in answer["Reason"]
    assert "it cannot be stopped any more" in answer["Reason"]
    assert instances(made) == before
    made.codedeploy.deployments["d-RUNS"]["stops"] = made.now
    assert send("Delete")["Status"] == "SUCCESS"


@pytest.mark.parametrize("code", ["ScalingActivityInProgress", "ResourceContention"])
def test_an_auto_scaling_group_that_is_busy_is_deleted_later(made, send, code):
    made.autoscaling.refusals["DeleteAutoScalingGroup"] = [Refused(code)] * 2
    assert send("Delete")["Status"] == "SUCCESS"
    assert made.autoscaling.described() == []


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        pytest.param("CodeDeploy_Shop_2_d-ONE1", OWNER, id="copy of a group with a longer name"),
        pytest.param("CodeDeploy_Shop_d-ONE1", {}, id="copy of a group of another application"),
        pytest.param("CodeDeploy_Shop_d-ONE1", {**OWNER, "code-family:stack": "…"}, id="of another stack"),
        pytest.param("CodeDeploy_Shop_d-ONE1", {**OWNER, "code-family:resource": "…"}, id="of another resource"),
        pytest.param("Shop2", OWNER, id="another name"),
    ],
)
def test_groups_of_others_stay(made, send, name, tags):
    made.autoscaling.groups[name] = {
        **copy.deepcopy(made.autoscaling.groups["Shop"]),
        "AutoScalingGroupName": name,
        "Tags": [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
    }
    made.ec2.launch(name, 1)
    assert send("Delete")["Status"] == "SUCCESS"
    assert [group["AutoScalingGroupName"] for group in made.autoscaling.described()] == [name]
    assert len(instances(made)) == 1


def test_the_group_that_serves_is_ours_even_if_its_tags_were_lost(released, send):
    released.autoscaling.groups["CodeDeploy_Shop_d-TWO2"]["Tags"] = []
    for instance in released.ec2.found:
        instance["Tags"] = [tag for tag in instance["Tags"] if tag["Key"] not in OWNER]
    released.terminate_seconds = 300
    started = released.now
    assert send("Delete")["Status"] == "SUCCESS"
    assert released.autoscaling.described() == []
    assert released.now - started >= 300


def test_deleting_what_is_gone_is_no_failure(made, send):
    assert send("Delete")["Status"] == "SUCCESS"
    made.forget()
    assert send("Delete")["Status"] == "SUCCESS"
    made.codedeploy.applications.clear()
    assert send("Delete", physical_id="Shop_Deployment_1ABC")["PhysicalResourceId"] == "Shop_Deployment_1ABC"
    assert made.changes() == []


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_whatever_an_api_says_cloudformation_is_told(made, send, kind):
    made.codedeploy.refusals["GetDeploymentGroup"] = [Refused("AccessDeniedException", message="not authorized")]
    answer = send(kind)
    assert answer["Status"] == "FAILED"
    assert "not authorized" in answer["Reason"]


def test_instances_that_are_there_already_are_a_deployment_group_without_a_fleet(world, send):
    assert send("Create", tagged("web"))["Status"] == "SUCCESS"
    ((name, asked),) = world.changes()
    assert name == "CreateDeploymentGroup"
    assert asked["ec2TagSet"] == {"ec2TagSetList": [[{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]]}
    assert asked["autoScalingGroups"] == []
    assert world.autoscaling.calls == []
    assert send("Delete", tagged("web"))["Status"] == "SUCCESS"
    assert world.codedeploy.groups == {}
    assert world.autoscaling.calls == []


def test_tags_that_a_deployment_has_changed_stay(world, send):
    """CodeDeploy takes the old instances out of the group; only another template is another wish."""
    send("Create", tagged("web"))
    group = world.codedeploy.groups["Shop", "Shop"]
    group["ec2TagSet"] = {"ec2TagSetList": [[{"Key": "role", "Value": "web-2", "Type": "KEY_AND_VALUE"}]]}
    wanted = tagged("web")
    wanted["DeploymentGroup"]["deploymentConfigName"] = "CodeDeployDefault.AllAtOnce"
    send("Update", wanted, old=tagged("web"))
    assert group["ec2TagSet"]["ec2TagSetList"][0][0]["Value"] == "web-2"
    assert group["deploymentConfigName"] == "CodeDeployDefault.AllAtOnce"
    send("Update", tagged("api"), old=wanted)
    assert group["ec2TagSet"]["ec2TagSetList"][0][0]["Value"] == "api"


def test_the_doubles_refuse_what_aws_would(made):
    codedeploy, autoscaling = made.codedeploy.client, made.autoscaling.client
    group = properties()["DeploymentGroup"]
    copies = {
        "blueGreenDeploymentConfiguration": {"greenFleetProvisioningOption": {"action": "COPY_AUTO_SCALING_GROUP"}}
    }
    key = {"applicationName": "Shop", "currentDeploymentGroupName": "Shop"}
    with pytest.raises(ClientError, match="Exactly one AutoScaling group"):
        codedeploy.update_deployment_group(**key, **copies)
    with pytest.raises(ClientError, match="no Auto Scaling group gone"):
        codedeploy.update_deployment_group(**key, autoScalingGroups=["gone"])
    with pytest.raises(ClientError, match="DeploymentGroupAlreadyExists"):
        codedeploy.create_deployment_group(
            applicationName="Shop", deploymentGroupName="Shop", serviceRoleArn=group["serviceRoleArn"]
        )
    with pytest.raises(ClientError, match="ResourceInUse"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName="Shop")
    with pytest.raises(Exception, match="Unknown parameter"):
        autoscaling.update_auto_scaling_group(AutoScalingGroupName="Shop", TargetGroupARNs=[])
