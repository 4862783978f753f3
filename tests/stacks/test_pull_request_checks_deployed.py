"""The stack of pull request checks on the embedded endpoint, by the real CDK CLI."""

from collections.abc import Callable

import pytest
from aws_cdk import App

from code_family_constructs.local import Endpoint
from stacks.pull_request_checks import PullRequestChecks
from tests.stacks.deployed import Deployed, Reader

NAME = "PullRequestChecks"
ELSEWHERE = "arn:aws:codeconnections:us-east-1:123456789012:connection/11111111-1111-1111-1111-111111111111"
REPORTS = "AWS::CodeBuild::ReportGroup"
READ_HERE: dict[str, Reader] = {
    REPORTS: lambda client, id, _: client("codebuild").batch_get_report_groups(reportGroupArns=[id])["reportGroups"][0]
}


def make(connection_arn: str = ELSEWHERE, base_branch: str = "main") -> Callable[[App], PullRequestChecks]:
    return lambda app: PullRequestChecks(
        app, NAME, repository="acme/shop", connection_arn=connection_arn, base_branch=base_branch
    )


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("checks"), NAME)
        deployment.bootstrap()
        deployment.deploy(deployment.synth("first", make()))
        yield deployment


def test_project_webhook_and_report_groups_can_be_read_back(deployed):
    """The first of these tests, since the ones below change the stack."""
    found = deployed.differences(READ_HERE)
    assert [difference for differences in found.values() for difference in differences] == []
    assert set(found) == {"AWS::CodeBuild::Project", REPORTS}


def test_another_base_branch_changes_the_webhook_in_place(deployed):
    before = webhook(deployed)
    deployed.deploy(deployed.synth("release", make(base_branch="release")))
    after = webhook(deployed)
    assert after["payloadUrl"] == before["payloadUrl"]
    assert {"type": "BASE_REF", "pattern": "^refs/heads/release$"} in after["filterGroups"][0]
    assert "No drift detected" in deployed.cdk("drift", NAME, app=deployed.folder / "release")


def test_a_connection_whose_handshake_is_pending_rolls_back_and_says_why(deployed):
    client = deployed.client("codeconnections")
    pending = client.create_connection(ConnectionName="pending", ProviderType="GitHub")["ConnectionArn"]
    said = deployed.deploy(deployed.synth("pending", make(pending)), fails=True)
    assert "Failed to create webhook" in said
    assert "{'type': 'BASE_REF', 'pattern': '^refs/heads/release$'}" in str(webhook(deployed)["filterGroups"])


def test_destroy_leaves_nothing(deployed):
    deployed.cdk("destroy", NAME, "--force", app=deployed.folder / "first")
    assert deployed.client("codebuild").list_projects()["projects"] == []
    assert deployed.client("codebuild").list_report_groups()["reportGroups"] == []


def webhook(deployed):
    [project] = deployed.client("codebuild").batch_get_projects(
        names=[deployed.id_of("Tests", "AWS::CodeBuild::Project")]
    )["projects"]
    return project["webhook"]
