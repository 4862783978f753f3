"""The Lambda stack on the embedded endpoint, by the real CDK CLI: both ways to release, with hooks that really run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnResource, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.to_lambda import LambdaDeployment
from code_family_constructs.local import Endpoint
from code_family_constructs.permissions import Statement
from stacks.lambda_canary import LambdaCanary
from stacks.smoke_tests import function_greets
from tests.stacks.deployed import READ, Deployed, Reader
from tests.stacks.releases import Execution, log_of

NAME = "LambdaCanary"
SHIFTED = "ShiftedGreeter"
GREETER = Path("sample_app/lambda/index.py").read_text()
RUDE = GREETER.replace("Hello, {name}!", "Go away!")

READ_HERE: dict[str, Reader] = {
    "AWS::Lambda::Function": lambda client, id, _: client("lambda").get_function_configuration(FunctionName=id),
    "AWS::Lambda::Alias": lambda client, id, _: {
        "FunctionName": id.split(":")[6],
        **client("lambda").get_alias(FunctionName=id.split(":")[6], Name=id.split(":")[7]),
    },
}


class ShiftedGreeter(Stack):
    """A function whose alias shifts while the stack is updated."""

    def __init__(self, scope: Construct, id: str, *, code: str) -> None:
        super().__init__(scope, id)
        function = lambda_.Function(
            self,
            "Greeter",
            runtime=lambda_.Runtime.PYTHON_3_14,
            handler="index.handler",
            code=lambda_.Code.from_inline(code),
        )
        smoke_test = DeploymentHook(
            self,
            "SmokeTest",
            check=function_greets,
            environment={"FUNCTION": function.function_name},
            statements=[Statement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])],
        )
        LambdaDeployment(self, "Deployment", function=function, pre_traffic_hook=smoke_test, keep_versions=2)


def make(memory: int | None = None) -> Callable[[App], LambdaCanary]:
    def canary(app: App) -> LambdaCanary:
        stack = LambdaCanary(app, NAME, repository="acme/shop", approvers=["release@acme.example"])
        if memory is not None:
            function = stack.node.find_child("Greeter").node.find_child("Function").node.default_child
            assert isinstance(function, CfnResource)
            function.add_property_override("MemorySize", memory)
        return stack

    return canary


def make_shifted(code: str = GREETER) -> Callable[[App], ShiftedGreeter]:
    return lambda app: ShiftedGreeter(app, SHIFTED, code=code)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("lambda"), NAME)
        deployment.bootstrap()
        deployment.deploy(deployment.synth("first", make(), make_shifted()), SHIFTED)
        yield deployment


@pytest.fixture(scope="module")
def shifted(deployed):
    return deployed.beside(SHIFTED)


def test_each_property_of_the_code_family_and_of_lambda_can_be_read_back(deployed):
    """The first of these tests, since the ones below change the stack."""
    found = deployed.differences(READ_HERE)
    assert [difference for differences in found.values() for difference in differences] == []
    assert set(found) == {*READ, *READ_HERE} - {"AWS::CodeDeploy::DeploymentConfig"}


def test_nothing_has_drifted(deployed):
    assert "No drift detected" in deployed.cdk("drift", NAME, app=deployed.folder / "first")


def test_a_release_of_code_shifts_the_alias_when_the_hook_has_passed(deployed):
    status, function = released(deployed, GREETER, "release-2")
    assert status == "Succeeded"
    assert version_of(deployed, function) == "2"
    assert greeting(deployed, function)["release"] == "release-2"
    deployment = last_deployment(deployed, "LambdaCanary-Deployment")
    assert (deployment["status"], deployment["creator"]) == ("Succeeded", "user")
    assert events_of(deployed, deployment)["BeforeAllowTraffic"] == "Succeeded"
    assert "passed" in log_of(deployed, "LambdaCanary-SmokeTest")


def test_code_that_the_hook_refuses_gets_no_traffic_and_fails_the_release(deployed):
    status, function = released(deployed, RUDE, "release-3")
    assert status == "Failed"
    assert version_of(deployed, function) == "2"
    assert greeting(deployed, function)["release"] == "release-2"
    deployment = last_deployment(deployed, "LambdaCanary-Deployment", "Failed")
    assert deployment["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE"
    assert "Go away!" in log_of(deployed, "LambdaCanary-SmokeTest")
    assert "HOOK_EXECUTION_FAILURE" in log_of(deployed, deployed.id_of("DeploymentReleaser", "AWS::Lambda::Function"))


def test_an_update_shifts_the_alias_of_one_stack_and_keeps_that_of_the_other(deployed, shifted):
    """One deployment of both: code that the stack brings shifts by CodeDeploy, settings wait for the next release."""
    function, other = (each.id_of("Greeter", "AWS::Lambda::Function") for each in (deployed, shifted))
    assert version_of(shifted, other) == "1"
    changed = deployed.synth("second", make(memory=1024), make_shifted(GREETER.replace("local-0", "stack-2")))
    deployed.deploy(changed, SHIFTED)
    assert version_of(shifted, other) == "2"
    assert greeting(shifted, other)["release"] == "stack-2"
    deployment = last_deployment(shifted, "ShiftedGreeter-Deployment")
    assert (deployment["status"], deployment["creator"]) == ("Succeeded", "CloudFormation")
    assert events_of(shifted, deployment)["BeforeAllowTraffic"] == "Succeeded"
    assert "passed" in log_of(shifted, "ShiftedGreeter-SmokeTest")
    assert version_of(deployed, function) == "2"
    assert greeting(deployed, function)["release"] == "release-2"


def test_the_next_release_brings_the_settings_too(deployed):
    status, function = released(deployed, GREETER, "release-4")
    assert status == "Succeeded"
    assert greeting(deployed, function)["release"] == "release-4"
    live = deployed.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
    assert live["MemorySize"] == 1024


def test_an_update_that_the_hook_refuses_is_taken_back_with_the_reason(shifted):
    function = shifted.id_of("Greeter", "AWS::Lambda::Function")
    said = shifted.deploy(shifted.synth("rude", make_shifted(RUDE)), fails=True)
    assert "HOOK_EXECUTION_FAILURE" in said
    assert "The lifecycle event hook of BeforeAllowTraffic" in said
    [stack] = shifted.client("cloudformation").describe_stacks(StackName=SHIFTED)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert version_of(shifted, function) == "2"
    assert greeting(shifted, function)["release"] == "stack-2"
    latest = shifted.client("lambda").invoke(FunctionName=function, Payload=b"{}")["Payload"].read()
    assert b"Hello, world!" in latest


def test_destroy_leaves_nothing(deployed):
    buckets = existing_buckets(deployed) & set(deployed.physical_ids().values())
    assert len(buckets) == 2
    deployed.cdk("destroy", NAME, SHIFTED, "--force", app=deployed.folder / "first")
    client = deployed.client
    assert not existing_buckets(deployed) & buckets
    assert client("lambda").list_functions()["Functions"] == []
    assert client("codepipeline").list_pipelines()["pipelines"] == []
    assert client("codebuild").list_projects()["projects"] == []
    assert client("codedeploy").list_applications()["applications"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    stacks = [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == ["CDKToolkit"]


def released(deployed: Deployed, code: str, release: str) -> tuple[str, str]:
    """What a run of the pipeline does from its build on, and the function that it is about."""
    execution = Execution(deployed, "LambdaCanary-Pipeline")
    execution.put("Build", {"index.py": code, "release.txt": release})
    return execution.invoke("Production"), deployed.id_of("Greeter", "AWS::Lambda::Function")


def version_of(deployed: Deployed, function: str) -> str:
    alias = deployed.client("lambda").get_alias(FunctionName=function, Name="live")
    assert "RoutingConfig" not in alias
    version: str = alias["FunctionVersion"]
    return version


def greeting(deployed: Deployed, function: str) -> Any:
    """What callers of the alias get."""
    answer = deployed.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=b"{}")
    return json.loads(json.load(answer["Payload"])["body"])


def last_deployment(deployed: Deployed, group: str, *statuses: str) -> Any:
    client = deployed.client("codedeploy")
    found = client.list_deployments(
        applicationName=group, deploymentGroupName=group, **({"includeOnlyStatuses": statuses} if statuses else {})
    )["deployments"]
    return client.get_deployment(deploymentId=found[0])["deploymentInfo"]


def events_of(deployed: Deployed, deployment: dict[str, Any]) -> dict[str, str]:
    client, key = deployed.client("codedeploy"), {"deploymentId": deployment["deploymentId"]}
    [target] = client.list_deployment_targets(**key)["targetIds"]
    found = client.get_deployment_target(**key, targetId=target)["deploymentTarget"]["lambdaTarget"]
    return {event["lifecycleEventName"]: event["status"] for event in found["lifecycleEvents"]}


def existing_buckets(deployed: Deployed) -> set[str]:
    return {bucket["Name"] for bucket in deployed.client("s3").list_buckets()["Buckets"]}
