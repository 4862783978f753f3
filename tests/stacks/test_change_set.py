"""The change set stack: what its reviewer reads, what is guarded, who may do what, and what AWS's own checkers say."""

import pytest
import yaml
from cfnlint.decode.cfn_yaml import loads as load_template

from code_family_constructs.testing import outline_of, template_of
from stacks.change_set import ChangeSet
from tests.helpers import only
from tests.policies import Simulation, arn, grants_of
from tests.sample_app.conftest import SAMPLE_APP
from tests.stacks.resource_types import needed
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)

TEMPLATE = load_template((SAMPLE_APP / "cloudformation/template.yaml").read_text())
PIPELINE, LINT, CLOUDFORMATION = "PipelineRoleD68726F7", "LintRole52DAF408", "DeploymentRole27A8D055"
ALLOWED, DENIED = "allowed", "implicitly denied"
STACK = arn("cloudformation", "stack/ChangeSet-Demo/1a2b3c4d-0000-4000-8000-000000000000")
# As CloudFormation names it: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
BUCKET = "arn:aws:s3:::changeset-demo-reports-zmfxrl0k8vkz"


def change_set_stack(app):
    return ChangeSet(app, "ChangeSet", repository="acme/infrastructure", approvers=["release@acme.example"])


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    return Review(change_set_stack, tmp_path_factory.mktemp("change-set"))


@pytest.fixture(scope="module")
def iam(review):
    return Simulation(review.template)


def test_the_template_is_linted_then_a_change_set_is_looked_at_before_it_is_executed(review, snapshot):
    assert outline_of(review.stack) == snapshot(name="outline")


def test_template(review, snapshot):
    assert template_of(review.stack) == snapshot(name="template")


def test_the_check_is_the_projects_and_not_the_repositorys(review):
    spec = yaml.safe_load(only(review.template, "AWS::CodeBuild::Project")["Source"]["BuildSpec"])
    assert spec["phases"]["pre_build"]["commands"] == ["cfn-lint template.yaml"]
    assert spec["artifacts"] == {"files": ["template.yaml"]}


def test_what_is_approved_is_what_is_executed(review, iam):
    change_set, approval, execute = only(review.template, "AWS::CodePipeline::Pipeline")["Stages"][2]["Actions"]
    assert [each["RunOrder"] for each in (change_set, approval, execute)] == [1, 2, 3]
    made, executed = change_set["Configuration"], execute["Configuration"]
    assert (made["ActionMode"], executed["ActionMode"]) == ("CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE")
    assert made["TemplatePath"] == "Build::template.yaml"
    for key in ("StackName", "ChangeSetName"):
        assert made[key] == executed[key]
    assert iam.physical.resolve(approval["Configuration"]["ExternalEntityLink"]) == (
        "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1"
        f"#/stacks/changesets?stackId={made['StackName']}"
    )


def test_cloudformation_may_do_what_the_templates_bucket_needs_and_nothing_else(review):
    [[bucket, resource]] = TEMPLATE["Resources"].items()
    assert BUCKET.startswith(f"arn:aws:s3:::changeset-demo-{bucket.lower()}-")
    [grant] = [each for each in grants_of(review.template) if each.policy.startswith("DeploymentRolePolicy")]
    assert grant.resources == [f"arn:aws:s3:::changeset-demo-{bucket.lower()}-*"]
    assert set(grant.actions) == needed(resource["Type"], resource["Properties"], BUCKET)


def test_another_property_needs_more(review):
    """What the README says about versioning: that the sets above are told apart by property."""
    more = needed(
        "AWS::S3::Bucket", [*TEMPLATE["Resources"]["Reports"]["Properties"], "VersioningConfiguration"], BUCKET
    )
    [grant] = [each for each in grants_of(review.template) if each.policy.startswith("DeploymentRolePolicy")]
    assert more - set(grant.actions) == {"s3:GetBucketVersioning", "s3:PutBucketVersioning"}


CHANGE = "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:ExecuteChangeSet"
LOOK = "cloudformation:DescribeChangeSet cloudformation:DescribeStacks cloudformation:DescribeStackEvents"
OURS = {"cloudformation:ChangeSetName": "Production-Deploy"}
HAND_ON = {"iam:PassedToService": "cloudformation.amazonaws.com"}
MANAGE = "s3:CreateBucket s3:PutEncryptionConfiguration s3:PutBucketPublicAccessBlock s3:DeleteBucket"


@pytest.mark.parametrize(
    ("who", "actions", "resource", "context", "expected"),
    [
        (PIPELINE, CHANGE, STACK, OURS, ALLOWED),
        (PIPELINE, LOOK, STACK, {}, ALLOWED),
        (PIPELINE, CHANGE, STACK, {"cloudformation:ChangeSetName": "by-hand"}, DENIED),
        (PIPELINE, f"{CHANGE} {LOOK}", STACK.replace("-Demo", "-Demo-2"), OURS, DENIED),
        (PIPELINE, "cloudformation:CreateStack cloudformation:UpdateStack", STACK, {}, DENIED),
        (PIPELINE, "cloudformation:DeleteStack cloudformation:SetStackPolicy", STACK, {}, DENIED),
        (PIPELINE, "iam:PassRole", CLOUDFORMATION, HAND_ON, ALLOWED),
        (PIPELINE, "iam:PassRole", CLOUDFORMATION, {"iam:PassedToService": "lambda.amazonaws.com"}, DENIED),
        (PIPELINE, "iam:PassRole", LINT, HAND_ON, DENIED),
        (PIPELINE, MANAGE, BUCKET, {}, DENIED),
        (PIPELINE, "sts:AssumeRole", CLOUDFORMATION, {}, DENIED),
        (LINT, f"{CHANGE} {LOOK}", STACK, OURS, DENIED),
        (LINT, "iam:PassRole", CLOUDFORMATION, HAND_ON, DENIED),
        ("cloudformation.amazonaws.com", "sts:AssumeRole", CLOUDFORMATION, {}, ALLOWED),
        ("codepipeline.amazonaws.com", "sts:AssumeRole", CLOUDFORMATION, {}, DENIED),
        (CLOUDFORMATION, MANAGE, BUCKET, {}, ALLOWED),
        (CLOUDFORMATION, MANAGE, BUCKET.replace("-reports-", "-payroll-"), {}, DENIED),
        (CLOUDFORMATION, MANAGE, BUCKET.replace("-demo-", "-"), {}, DENIED),
        (CLOUDFORMATION, "s3:GetObject s3:PutObject s3:DeleteObject", f"{BUCKET}/june.csv", {}, DENIED),
        (CLOUDFORMATION, "s3:PutBucketPolicy s3:PutBucketVersioning", BUCKET, {}, DENIED),
        (CLOUDFORMATION, "iam:PassRole", CLOUDFORMATION, HAND_ON, DENIED),
        (CLOUDFORMATION, CHANGE, STACK, OURS, DENIED),
    ],
)
def test_in_a_release(iam, who, actions, resource, context, expected):
    place = resource if resource.startswith("arn:") else iam.physical.attribute(resource, "Arn")
    assert {action: iam.ask(who, action, place, context) for action in actions.split()} == dict.fromkeys(
        actions.split(), expected
    )


def test_both_nag_packs_looked_and_found_nothing(review):
    assert_both_packs_find_nothing(review)


def test_every_acknowledged_finding_is_known_and_has_a_reason(review, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(review)
    assert len(lines) == 11
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(review):
    """A changed logical id is a new, empty resource: a breaking change."""
    assert review.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "GitHubConnection327BBDDD",
        "LintLogsF6CA6456",
        "Pipeline9850B417",
    }


def test_nothing_that_costs_money_outlives_the_stack(review):
    assert_nothing_outlives_the_stack(review)


def test_no_token_leaks_into_the_template(review):
    assert_no_token_leaks(review)


def test_feature_flags_of_the_app_do_not_change_our_resources(review, tmp_path):
    plain = Review(change_set_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(review.stack)


def test_cfn_lint_accepts_the_template(review):
    assert_cfn_lint_accepts(review)
