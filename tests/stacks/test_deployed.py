"""The reference stack on the embedded endpoint, by the real CDK CLI: what was asked for is what AWS's API tells."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnResource

from code_family_constructs.local import Endpoint
from code_family_constructs.testing import synthesized
from stacks.github_to_ec2 import GitHubToEc2

NAME = "GitHubToEc2"
# How the API of each type reads one resource back, given its physical id and its properties in the template.
READ = {
    "AWS::CodeBuild::Project": lambda client, id, _: client("codebuild").batch_get_projects(names=[id])["projects"][0],
    "AWS::CodePipeline::Pipeline": lambda client, id, _: client("codepipeline").get_pipeline(name=id)["pipeline"],
    "AWS::CodeDeploy::Application": lambda client, id, _: client("codedeploy").get_application(applicationName=id)[
        "application"
    ],
    "AWS::CodeDeploy::DeploymentGroup": lambda client, id, properties: client("codedeploy").get_deployment_group(
        applicationName=properties["ApplicationName"], deploymentGroupName=id
    )["deploymentGroupInfo"],
    "AWS::CodeConnections::Connection": lambda client, id, _: client("codeconnections").get_connection(
        ConnectionArn=id
    )["Connection"],
}


class Deployment:
    """One endpoint, bootstrapped, and the CDK CLI in front of it."""

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.template: dict[str, Any] = {}
        self.cdk("bootstrap", f"aws://{endpoint.account}/{endpoint.region}")

    def cdk(self, *arguments: str, app: Path | None = None, fails: bool = False) -> str:
        command = ["cdk", *arguments, *(("--app", str(app)) if app else ()), "--no-notices", "--no-color"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.endpoint.process_environment({**environment(), "CDK_DISABLE_CLI_TELEMETRY": "true"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def synth(self, variant: str, *, branch: str = "main", build_timeout: int | None = None) -> Path:
        """The assembly of a variant of the app; a time-out set here goes around the library's own check."""
        folder = self.folder / variant
        app = App(outdir=str(folder), analytics_reporting=False)
        stack = GitHubToEc2(app, NAME, repository="acme/shop", branch=branch, approvers=["release@acme.example"])
        if build_timeout is not None:
            project = stack.node.find_child("Build").node.find_child("Project").node.default_child
            assert isinstance(project, CfnResource)
            project.add_property_override("TimeoutInMinutes", build_timeout)
        self.template = synthesized(stack)
        return folder

    def deploy(self, app: Path, **expected: bool) -> str:
        return self.cdk("deploy", NAME, "--require-approval", "never", app=app, **expected)

    def physical_ids(self) -> dict[str, str]:
        found = self.endpoint.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = Deployment(endpoint, tmp_path_factory.mktemp("deployed"))
        deployment.deploy(deployment.synth("first"))
        yield deployment


def test_each_property_of_the_code_family_can_be_read_back(deployed):
    """The first of these tests, since the ones below change the stack."""
    ids = deployed.physical_ids()
    read = set()
    for name, resource in deployed.template["Resources"].items():
        if resource["Type"] in READ:
            wanted = resolve(resource["Properties"], ids, deployed.endpoint)
            # CloudFormation's own switch: it starts an execution after an update and is no part of a pipeline.
            wanted.pop("RestartExecutionOnUpdate", None)
            found = READ[resource["Type"]](deployed.endpoint.client, ids[name], wanted)
            assert list(differences(wanted, found, name)) == []
            read.add(resource["Type"])
    assert read == set(READ)


def test_outputs_lead_to_the_page_and_to_the_handshake(deployed):
    [stack] = deployed.endpoint.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    [page] = [value for key, value in outputs.items() if key.startswith("FleetUrl")]
    [handshake] = [value for key, value in outputs.items() if key.startswith("GitHubHandshake")]
    assert page.startswith("http://")
    assert "console.aws.amazon.com/codesuite/settings/connections?region=us-east-1" in handshake


def test_another_deployment_changes_nothing(deployed):
    assert "no changes" in deployed.deploy(deployed.folder / "first")


def test_nothing_has_drifted(deployed):
    assert "No drift detected" in deployed.cdk("drift", NAME, app=deployed.folder / "first")


def test_a_changed_branch_is_shown_then_updated_in_place(deployed):
    before = deployed.physical_ids()
    changed = deployed.synth("release", branch="release")
    shown = deployed.cdk("diff", NAME, app=changed)
    assert '"BranchName": "release"' in shown
    assert "replace" not in shown.split("Resources")[1]
    deployed.deploy(changed)
    assert deployed.physical_ids() == before
    pipeline = deployed.endpoint.client("codepipeline").get_pipeline(name="GitHubToEc2-Pipeline")["pipeline"]
    assert pipeline["version"] == 2
    assert pipeline["stages"][0]["actions"][0]["configuration"]["BranchName"] == "release"


def test_a_property_that_aws_refuses_rolls_back_and_says_why(deployed):
    said = deployed.deploy(deployed.synth("refused", build_timeout=3), fails=True)
    assert "timeoutInMinutes" in said
    [project] = deployed.endpoint.client("codebuild").batch_get_projects(names=["GitHubToEc2-Build"])["projects"]
    assert project["timeoutInMinutes"] == 30


def test_destroy_empties_the_buckets_and_leaves_nothing(deployed):
    s3 = deployed.endpoint.client("s3")
    buckets = set(deployed.physical_ids().values()) & existing_buckets(s3)
    assert len(buckets) == 3
    for bucket in buckets:
        for _ in range(2):
            s3.put_object(Bucket=bucket, Key="artifact", Body=b"a revision")
    deployed.cdk("destroy", NAME, "--force", app=deployed.folder / "first")
    assert not buckets & existing_buckets(s3)
    client = deployed.endpoint.client
    assert client("codepipeline").list_pipelines()["pipelines"] == []
    assert client("codebuild").list_projects()["projects"] == []
    assert client("codedeploy").list_applications()["applications"] == []
    assert client("codeconnections").list_connections()["Connections"] == []
    stacks = [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == ["CDKToolkit"]


def existing_buckets(s3):
    return {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}


def environment() -> dict[str, str]:
    # The CLI that `make` installs, also where the environment is not activated.
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def resolve(value: Any, ids: dict[str, str], endpoint: Endpoint) -> Any:
    """The template's value with references replaced; of an attribute only that there is one can be told."""
    pseudo = {"AWS::Region": endpoint.region, "AWS::AccountId": endpoint.account, "AWS::Partition": "aws"}
    match value:
        case {"Ref": name}:
            return {**ids, **pseudo}[name]
        case {"Fn::GetAtt": _}:
            return ATTRIBUTE
        case {"Fn::Join": [delimiter, items]}:
            return delimiter.join(resolve(item, ids, endpoint) for item in items)
        case dict():
            return {key: resolve(item, ids, endpoint) for key, item in value.items()}
        case list():
            return [resolve(item, ids, endpoint) for item in value]
        case _:
            return value


ATTRIBUTE = "<an attribute>"


def differences(wanted: Any, found: Any, path: str):
    """Where the API tells something else than the template: names differ in case, numbers and booleans in type."""
    if isinstance(wanted, dict):
        members = {key.lower(): item for key, item in found.items()} if isinstance(found, dict) else {}
        for key, item in wanted.items():
            yield from differences(item, members.get(key.lower()), f"{path}.{key}")
    elif isinstance(wanted, list):
        items = found if isinstance(found, list) else []
        if len(items) != len(wanted):
            yield f"{path}: {wanted!r} is not {found!r}"
        for index, (one, other) in enumerate(zip(wanted, items, strict=False)):
            # CodeDeploy gives an Auto Scaling group back with the hook that it has installed there.
            named = isinstance(one, str) and isinstance(other, dict)
            yield from differences(one, other["name"] if named else other, f"{path}[{index}]")
    elif wanted == ATTRIBUTE:
        if not found or "<" in str(found) or "Fn::" in str(found):
            yield f"{path}: {found!r} is no attribute"
    elif str(wanted).lower() != str(found).lower():
        yield f"{path}: {wanted!r} is not {found!r}"
