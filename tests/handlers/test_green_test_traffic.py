"""Test traffic goes to the new instances of the release that waits, and to nothing else."""

import boto3
import pytest
from botocore.exceptions import ClientError

from code_family_constructs.handlers import green_test_traffic
from tests.handlers.doubles import Context, Refused, Service

TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/test/0123456789abcdef"


class CodeDeploy(Service):
    """Deployments and their instances, a page of two at a time."""

    def __init__(self):
        super().__init__("codedeploy")
        self.instances: dict[str, dict[str, list[str]]] = {
            "d-RELEASE": {"Blue": ["i-1", "i-2"], "Green": ["i-3", "i-4", "i-5"]},
            "d-LAUNCH": {"Blue": [], "Green": []},
        }

    def ListDeploymentInstances(self, asked):  # noqa: N802
        (kind,) = asked["instanceTypeFilter"]
        start = int(asked.get("nextToken", "0"))
        left = self.instances[asked["deploymentId"]][kind][start:]
        more = {"nextToken": str(start + 2)} if len(left) > 2 else {}
        return {"instancesList": left[:2], **more}


class Balancer(Service):
    def __init__(self):
        super().__init__("elbv2")
        self.targets = set()

    def RegisterTargets(self, asked):  # noqa: N802
        assert asked["TargetGroupArn"] == TARGET_GROUP
        self.targets |= {target["Id"] for target in asked["Targets"]}
        return {}

    def DeregisterTargets(self, asked):  # noqa: N802
        assert asked["TargetGroupArn"] == TARGET_GROUP
        self.targets -= {target["Id"] for target in asked["Targets"]}
        return {}


@pytest.fixture
def services(monkeypatch):
    services = {"codedeploy": CodeDeploy(), "elbv2": Balancer()}
    monkeypatch.setattr(boto3, "client", lambda name: services[name].client)
    monkeypatch.setenv("TARGET_GROUP_ARN", TARGET_GROUP)
    return services


def send(state, deployment="d-RELEASE"):
    """An event as EventBridge hands it over."""
    detail = {
        "region": "eu-west-1",
        "application": "Shop",
        "deploymentGroup": "Shop",
        "deploymentId": deployment,
        "state": state,
    }
    event = {
        "source": "aws.codedeploy",
        "detail-type": "CodeDeploy Deployment State-change Notification",
        "resources": ["arn:aws:codedeploy:eu-west-1:111122223333:deploymentgroup:Shop/Shop"],
        "detail": detail,
    }
    green_test_traffic.handler(event, Context())


@pytest.mark.parametrize("end", ["SUCCESS", "FAILURE", "STOP"])
def test_new_instances_get_test_traffic_until_the_release_has_ended(services, end):
    send("READY")
    assert services["elbv2"].targets == {"i-3", "i-4", "i-5"}
    send(end)
    assert services["elbv2"].targets == set()


def test_an_event_that_comes_twice_makes_no_difference(services):
    for state, targets in (("READY", {"i-3", "i-4", "i-5"}), ("SUCCESS", set())):
        for _ in range(2):
            send(state)
            assert services["elbv2"].targets == targets


def test_a_single_instance_that_was_launched_meanwhile_ends_no_test(services):
    send("READY")
    send("SUCCESS", "d-LAUNCH")
    assert services["elbv2"].targets == {"i-3", "i-4", "i-5"}


def test_a_deployment_that_ended_before_it_had_instances_is_no_failure(services):
    services["codedeploy"].refusals["ListDeploymentInstances"] = [Refused("DeploymentNotStartedException")]
    send("FAILURE")
    assert services["elbv2"].calls == []


def test_a_release_that_is_ready_without_instances_is_tried_again_by_lambda(services):
    with pytest.raises(RuntimeError, match="no new instances"):
        send("READY", "d-LAUNCH")


def test_an_answer_that_is_no_answer_is_tried_again_by_lambda(services):
    services["codedeploy"].refusals["ListDeploymentInstances"] = [Refused("DeploymentDoesNotExistException")]
    with pytest.raises(ClientError, match="DeploymentDoesNotExist"):
        send("READY")
