"""One endpoint for the whole folder, and stacks that go again after each test."""

import uuid

import pytest

from code_family_constructs.local import Endpoint
from tests.local.templates import template


@pytest.fixture(scope="session")
def endpoint():
    with Endpoint() as running:
        yield running


@pytest.fixture(scope="session")
def aws(endpoint):
    return endpoint.client


@pytest.fixture
def name():
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def stack(stack_in):
    return stack_in()


@pytest.fixture
def stack_in(endpoint, name):
    """Stacks of one name, each in an account and region."""
    made = []

    def make(**place):
        made.append(Stack(endpoint.client("cloudformation", **place), name))
        return made[-1]

    yield make
    for stack in reversed(made):
        stack.delete()


class Stack:
    """A stack of CloudFormation, from templates as short as a test needs them."""

    def __init__(self, cloudformation, name):
        self.cloudformation = cloudformation
        self.name = name

    def create(self, **resources):
        self.cloudformation.create_stack(
            StackName=self.name, TemplateBody=template(resources), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        return self.status()

    def update(self, **resources):
        self.cloudformation.update_stack(
            StackName=self.name, TemplateBody=template(resources), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        return self.status()

    def delete(self):
        try:
            stack_id = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        except self.cloudformation.exceptions.ClientError:
            return "DELETE_COMPLETE"
        self.cloudformation.delete_stack(StackName=self.name)
        return self.status(stack_id)

    def status(self, name=None):
        while True:
            found = self.cloudformation.describe_stacks(StackName=name or self.name)["Stacks"][0]["StackStatus"]
            if not found.endswith("_IN_PROGRESS"):
                return found

    def id_of(self, logical_id):
        resource = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return resource["StackResourceDetail"]["PhysicalResourceId"]

    def events(self):
        return self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]

    def reason(self):
        return next(
            event["ResourceStatusReason"] for event in reversed(self.events()) if "FAILED" in event["ResourceStatus"]
        )

    def drift(self):
        detection = self.cloudformation.detect_stack_drift(StackName=self.name)["StackDriftDetectionId"]
        self.cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        drifts = self.cloudformation.describe_stack_resource_drifts(StackName=self.name)["StackResourceDrifts"]
        return {drift["LogicalResourceId"]: drift for drift in drifts}
