"""The reference stack: what its reviewer reads, what is guarded, and what AWS's own checkers say."""

import pytest

from code_family_constructs.testing import outline_of, template_of
from stacks.github_to_ec2 import GitHubToEc2
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)


def reference_stack(app):
    return GitHubToEc2(app, "GitHubToEc2", repository="acme/shop", approvers=["release@acme.example"])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Review(reference_stack, tmp_path_factory.mktemp("reference"))


def test_release_is_built_approved_and_deployed_in_this_order(reference, snapshot):
    assert outline_of(reference.stack) == snapshot(name="outline")


def test_template(reference, snapshot):
    assert template_of(reference.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(reference):
    assert_both_packs_find_nothing(reference)


def test_every_acknowledged_finding_is_known_and_has_a_reason(reference, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(reference)
    assert len(lines) == 29
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(reference):
    """A changed logical id is a new, empty resource: for these, a breaking change."""
    assert reference.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup7E7F554F",
        "FleetAutoScalingGroupASGDF45BDA5",
        "FleetLoadBalancerFB7B619B",
        "FleetLogsBucket51FF8579",
        "FleetVpc61AA06F9",
        "GitHubConnection327BBDDD",
        "Pipeline9850B417",
    }


def test_nothing_that_costs_money_outlives_the_stack(reference):
    assert_nothing_outlives_the_stack(reference)


def test_no_token_leaks_into_the_template(reference):
    assert_no_token_leaks(reference)


def test_five_roles_are_enough(reference):
    assert len(reference.names_of("AWS::IAM::Role")) <= 5


def test_feature_flags_of_the_app_do_not_change_our_resources(reference, tmp_path):
    plain = Review(reference_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(reference.stack)


def test_cfn_lint_accepts_the_template(reference):
    assert_cfn_lint_accepts(reference)
