import json

import pytest

from tests.local.templates import resource, role

REGION, OTHER_REGION = "us-east-1", "eu-west-1"
OTHER_ACCOUNT = "222222222222"


@pytest.fixture
def tells(stack_in):
    """Makes a stack with an output `Told`, in an account and region."""

    def make(value, **place):
        stack = stack_in(**place)
        stack.cloudformation.create_stack(
            StackName=stack.name,
            TemplateBody=json.dumps({"Resources": {"Role": role()}, "Outputs": {"Told": {"Value": value}}}),
            Capabilities=["CAPABILITY_IAM"],
        )
        assert stack.status() == "CREATE_COMPLETE"
        return stack

    return make


@pytest.fixture
def asking(endpoint, name):
    """Makes a stack of the endpoint's own account and region that asks; answers its parameter and its output."""
    client = endpoint.client("cloudformation")
    asks = f"{name}-asks"

    def make(**asked):
        asked = {"Fn::GetStackOutput": {"StackName": name, "OutputName": "Told", **asked}}
        told = resource(
            "AWS::SSM::Parameter", Name=f"/{name}", Type="String", Value={"Fn::Sub": ["a ${B}", {"B": asked}]}
        )
        template = {"Resources": {"Parameter": told}, "Outputs": {"Again": {"Value": asked}}}
        client.create_stack(StackName=asks, TemplateBody=json.dumps(template))
        [stack] = client.describe_stacks(StackName=asks)["Stacks"]
        if stack["StackStatus"] != "CREATE_COMPLETE":
            events = client.describe_stack_events(StackName=asks)["StackEvents"]
            [reason] = [event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
            return reason
        value = endpoint.client("ssm").get_parameter(Name=f"/{name}")["Parameter"]["Value"]
        return value, stack["Outputs"][0]["OutputValue"]

    yield make
    client.delete_stack(StackName=asks)


def test_an_output_of_the_same_region_needs_no_region(tells, asking):
    tells("here")
    assert asking() == ("a here", "here")


def test_stacks_of_one_name_are_told_apart_by_region(tells, asking):
    tells("here")
    tells("there", region=OTHER_REGION)
    assert asking(Region=OTHER_REGION) == ("a there", "there")


def test_a_role_says_in_which_account_to_look(tells, asking, endpoint):
    tells("here", region=OTHER_REGION)
    there = tells("there", account=OTHER_ACCOUNT, region=OTHER_REGION)
    role_arn = f"arn:aws:iam::{OTHER_ACCOUNT}:role/{there.id_of('Role')}"
    assert asking(Region=OTHER_REGION, RoleArn=role_arn) == ("a there", "there")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"Region": REGION}, "does not exist in account 123456789012, region us-east-1: no output Told"),
        (
            {"Region": OTHER_REGION, "OutputName": "Lost"},
            "Output Lost does not exist in stack arn:aws:cloudformation:eu",
        ),
        (
            {"RoleArn": "arn:aws:iam::222222222222:role/lost"},
            "not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/lost",
        ),
    ],
)
def test_what_is_not_there_fails_with_the_reason(tells, asking, asked, reason):
    tells("there", region=OTHER_REGION)
    assert reason in asking(**asked)


def test_a_deleted_stack_tells_nothing(tells, asking):
    tells("there", region=OTHER_REGION).delete()
    assert "does not exist in account 123456789012, region eu-west-1" in asking(Region=OTHER_REGION)
