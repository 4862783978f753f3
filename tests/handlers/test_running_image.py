"""The function that tells CloudFormation which image runs: whatever a release brought stays."""

from typing import Any

import boto3
import pytest

from code_family_constructs.handlers import running_image
from tests.handlers.doubles import Context, Refused
from tests.handlers.fake_ecs import PLACEHOLDER, REPOSITORY, Ecs, digest

WANTED = {
    "ServiceToken": "arn:aws:lambda:…",
    "Cluster": "Shop",
    "Service": "Shop-Service",
    "Container": "app",
    "DeploymentController": "ECS",
    "InitialImage": PLACEHOLDER,
    "TaskDefinition": {"cpu": "512"},
}


@pytest.fixture
def ecs(monkeypatch):
    fake = Ecs()

    def client(service, config):
        assert service == "ecs"
        return fake.client

    monkeypatch.setattr(boto3, "client", client)
    return fake


@pytest.fixture
def send(ecs, cloudformation):
    """Sends a request as CloudFormation does; returns the answer."""

    def send(request_type="Update", physical_id="Shop/Shop-Service/app", old: Any = None, **properties: Any):
        wanted = {**WANTED, **properties}
        event = {
            "RequestType": request_type,
            "RequestId": "5e6f",
            "ResponseURL": cloudformation.url,
            "ResourceType": "Custom::RunningImage",
            "LogicalResourceId": "ServiceRunningImage",
            "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Shop/1a2b",
            "ResourceProperties": wanted,
            **({} if request_type == "Create" else {"PhysicalResourceId": physical_id}),
            **({"OldResourceProperties": {**WANTED, **(old or {})}} if request_type == "Update" else {}),
        }
        running_image.handler(event, Context())
        return cloudformation.answers[-1]

    return send


def image_of(told):
    assert told["Status"] == "SUCCESS", told["Reason"]
    return told["Data"]["Image"]


def test_before_there_is_a_service_the_image_is_the_template_s(send):
    told = send("Create")
    assert image_of(told) == PLACEHOLDER
    assert told["PhysicalResourceId"] == "Shop/Shop-Service/app"


def test_before_there_is_a_cluster_too(send):
    assert image_of(send("Create", Cluster="Another")) == PLACEHOLDER


@pytest.mark.parametrize("status", ["INACTIVE", "DRAINING"])
def test_a_service_that_was_deleted_says_nothing(ecs, send, status):
    ecs.serve(ecs.register(image=digest(1)), status=status)
    assert image_of(send("Create")) == PLACEHOLDER


def test_a_service_that_was_never_released_keeps_what_it_was_made_with(ecs, send):
    """Another placeholder in a later version of the template is no release."""
    ecs.serve(ecs.register(image=PLACEHOLDER))
    assert image_of(send(InitialImage="public.ecr.aws/a-newer-placeholder:2")) == PLACEHOLDER


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@pytest.mark.parametrize("image", [digest(7), f"{REPOSITORY}:v7"], ids=["digest", "tag"])
def test_the_image_of_the_last_release_stays(ecs, send, request_type, image):
    ecs.register(image=PLACEHOLDER)
    ecs.serve(ecs.register(image=image))
    assert image_of(send(request_type)) == image


def test_under_codedeploy_it_is_the_image_that_has_the_traffic(ecs, send):
    """The service's own task definition is what it was made with, and a replaced task set may still be there."""
    ecs.serve(ecs.register(image=digest(7)), controller="CODE_DEPLOY", taskDefinition=ecs.register(image=PLACEHOLDER))
    assert image_of(send(DeploymentController="CODE_DEPLOY")) == digest(7)


def test_of_several_containers_it_is_the_released_one(ecs, send):
    ecs.serve(ecs.register(image=digest(7)))
    assert image_of(send(Container="envoy")) == "public.ecr.aws/envoy:1"
    assert image_of(send(old={"Container": "envoy"})) == digest(7)


@pytest.mark.parametrize("renamed", [{"Service": "Store"}, {"Cluster": "Another"}, {"Container": "web"}])
def test_what_gets_another_name_goes_on_with_the_image(ecs, send, renamed):
    """Otherwise the placeholder would take the place of what users see."""
    ecs.serve(ecs.register(image=digest(7)))
    told = send(**renamed)
    assert image_of(told) == digest(7)
    assert told["PhysicalResourceId"] != "Shop/Shop-Service/app"


def test_a_container_that_nothing_is_known_of_is_a_failure_and_no_placeholder(ecs, send):
    ecs.serve(ecs.register(image=digest(7)))
    told = send("Create", Container="web")
    assert told["Status"] == "FAILED"
    assert "runs no container 'web', but app, envoy" in told["Reason"]


@pytest.mark.parametrize("operation", ["DescribeServices", "DescribeTaskDefinition"])
def test_an_answer_that_does_not_come_is_a_failure_and_no_placeholder(ecs, send, operation):
    ecs.serve(ecs.register(image=digest(7)))
    ecs.refusals[operation] = [Refused("AccessDeniedException", 400)]
    told = send()
    assert (told["Status"], "AccessDeniedException" in told["Reason"]) == ("FAILED", True)
    assert image_of(send()) == digest(7)


def test_is_gone_without_a_question(ecs, send):
    told = send("Delete", physical_id="made up by CloudFormation")
    assert (told["Status"], told["PhysicalResourceId"]) == ("SUCCESS", "made up by CloudFormation")
    assert ecs.calls == []


def test_a_repeated_request_gets_the_same_answer(ecs, send):
    ecs.serve(ecs.register(image=digest(7)))
    assert send() == send()


def test_a_service_is_handed_over_while_blue_has_the_traffic(ecs, send):
    ecs.serve(ecs.register(image=digest(7)), controller="CODE_DEPLOY", group="blue")
    assert image_of(send(BlueTargetGroup="blue")) == digest(7)


def test_a_service_is_not_handed_over_while_green_has_the_traffic(ecs, send):
    """Amazon ECS starts from the blue target group, and no task answers there."""
    ecs.serve(ecs.register(image=digest(7)), controller="CODE_DEPLOY", group="green")
    told = send(BlueTargetGroup="blue")
    assert told["Status"] == "FAILED"
    assert "release once more, which swaps the two, then deploy this again" in told["Reason"]


def test_a_service_is_never_handed_over_to_codedeploy(ecs, send):
    ecs.serve(ecs.register(image=digest(7)))
    told = send(DeploymentController="CODE_DEPLOY")
    assert told["Status"] == "FAILED"
    assert "does not hand service Shop-Service over from ECS to CODE_DEPLOY" in told["Reason"]


def test_asks_for_nothing_else(ecs, send):
    ecs.serve(ecs.register(image=digest(7)))
    send()
    assert ecs.names() == ["DescribeServices", "DescribeTaskDefinition"]
