"""The reference stack on the embedded endpoint, by the real CDK CLI: what was asked for is what AWS's API tells."""

from functools import partial

import pytest
from aws_cdk import App, CfnResource

from code_family_constructs.local import Endpoint
from stacks.github_to_ec2 import GitHubToEc2
from tests.stacks.deployed import READ, Deployed

NAME = "GitHubToEc2"


def make(app: App, *, branch: str = "main", build_timeout: int | None = None) -> GitHubToEc2:
    """A variant of the stack; a time-out set here goes around the library's own check."""
    stack = GitHubToEc2(app, NAME, repository="acme/shop", branch=branch, approvers=["release@acme.example"])
    if build_timeout is not None:
        project = stack.node.find_child("Build").node.find_child("Project").node.default_child
        assert isinstance(project, CfnResource)
        project.add_property_override("TimeoutInMinutes", build_timeout)
    return stack


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("deployed"), NAME)
        deployment.bootstrap()
        deployment.deploy(deployment.synth("first", make))
        yield deployment


def test_each_property_of_the_code_family_can_be_read_back(deployed):
    """The first of these tests, since the ones below change the stack."""
    found = deployed.differences()
    assert [difference for differences in found.values() for difference in differences] == []
    assert set(found) == set(READ) - {"AWS::CodeDeploy::DeploymentConfig"}


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
    changed = deployed.synth("release", partial(make, branch="release"))
    shown = deployed.cdk("diff", NAME, app=changed)
    assert '"BranchName": "release"' in shown
    assert "replace" not in shown.split("Resources")[1]
    deployed.deploy(changed)
    assert deployed.physical_ids() == before
    pipeline = deployed.endpoint.client("codepipeline").get_pipeline(name="GitHubToEc2-Pipeline")["pipeline"]
    assert pipeline["version"] == 2
    assert pipeline["stages"][0]["actions"][0]["configuration"]["BranchName"] == "release"


def test_a_property_that_aws_refuses_rolls_back_and_says_why(deployed):
    said = deployed.deploy(deployed.synth("refused", partial(make, build_timeout=3)), fails=True)
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
