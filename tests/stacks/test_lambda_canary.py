"""The Lambda stack: what its reviewer reads, what is guarded, and what AWS's own checkers say."""

import pytest

from code_family_constructs.testing import outline_of, template_of
from stacks.lambda_canary import LambdaCanary
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)


def lambda_stack(app):
    return LambdaCanary(app, "LambdaCanary", repository="acme/shop", approvers=["release@acme.example"])


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    return Review(lambda_stack, tmp_path_factory.mktemp("lambda"))


def test_release_is_built_approved_and_shifted_in_this_order(canary, snapshot):
    assert outline_of(canary.stack) == snapshot(name="outline")


def test_template(canary, snapshot):
    assert template_of(canary.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(canary):
    assert_both_packs_find_nothing(canary)


def test_every_acknowledged_finding_is_known_and_has_a_reason(canary, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(canary)
    assert len(lines) == 25
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(canary):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    assert canary.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "DeploymentAliasB65153D8",
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup7E7F554F",
        "DeploymentReleaserLogs31487C39",
        "GitHubConnection327BBDDD",
        "GreeterLogsF429D38F",
        "Pipeline9850B417",
        "SmokeTestFunctionLogsE748EA39",
    }


def test_nothing_that_costs_money_outlives_the_stack(canary):
    assert_nothing_outlives_the_stack(canary)


def test_no_token_leaks_into_the_template(canary):
    assert_no_token_leaks(canary)


def test_the_template_has_no_code_to_bring_back(canary):
    """What is released never stands in the template, so that `cdk deploy` has none of it."""
    [greeter] = [each["Properties"] for name, each in canary.resources.items() if name.startswith("GreeterFunction")]
    assert greeter["Code"] == {
        "ZipFile": (
            'def handler(event, context):\n    return {"statusCode": 503, "body": "nothing has been released yet"}\n'
        )
    }
    [alias] = [each for each in canary.resources.values() if each["Type"] == "AWS::Lambda::Alias"]
    assert "UpdatePolicy" not in alias


def test_seven_roles_are_enough(canary):
    assert len(canary.names_of("AWS::IAM::Role")) <= 7


def test_feature_flags_of_the_app_do_not_change_our_resources(canary, tmp_path):
    plain = Review(lambda_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(canary.stack)


def test_cfn_lint_accepts_the_template(canary):
    assert_cfn_lint_accepts(canary)
