"""The stack of two repositories: what its reviewer reads, what is guarded, who may do what, and AWS's own checkers."""

import pytest
from cfnlint.decode.cfn_yaml import loads as load_template

from code_family_constructs import Buildspec
from code_family_constructs.testing import outline_of, template_of
from stacks.multi_source import MultiSource
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

PIPELINE, BUILD, CLOUDFORMATION = "PipelineRoleD68726F7", "BuildRoleB7C66CB2", "InfraRole16748E25"
RELEASER, FUNCTION = "DeploymentReleaserRoleB650679C", "TakeOrderRole5DD2E527"
ALLOWED, DENIED = "allowed", "implicitly denied"
STACK = arn("cloudformation", "stack/MultiSource-Infra/1a2b3c4d-0000-4000-8000-000000000000")
QUEUE = arn("sqs", "MultiSource-Infra-Orders")


def multi_source_stack(app):
    return MultiSource(
        app,
        "MultiSource",
        repository="acme/shop",
        infrastructure="acme/shop-infrastructure",
        approvers=["release@acme.example"],
    )


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    return Review(multi_source_stack, tmp_path_factory.mktemp("multi-source"))


@pytest.fixture(scope="module")
def stages(review):
    return {each["Name"]: each["Actions"] for each in only(review.template, "AWS::CodePipeline::Pipeline")["Stages"]}


@pytest.fixture(scope="module")
def iam(review):
    return Simulation(review.template)


def test_two_repositories_are_one_release_infrastructure_before_application(review, snapshot):
    assert outline_of(review.stack) == snapshot(name="outline")


def test_template(review, snapshot):
    assert template_of(review.stack) == snapshot(name="template")


def test_one_build_gets_both_sources_the_applications_first(stages):
    sources = {each["Name"]: each["Configuration"] for each in stages["Source"]}
    assert {name: each["FullRepositoryId"] for name, each in sources.items()} == {
        "Source": "acme/shop",
        "Infra": "acme/shop-infrastructure",
    }
    [build] = stages["Build"]
    assert names(build["InputArtifacts"]) == ["Source", "Infra"]
    assert build["Configuration"]["PrimarySource"] == "Source"


def test_artifacts_are_routed_by_the_names_that_the_buildspec_gives_them(stages):
    [build] = stages["Build"]
    spec = Buildspec.from_file(SAMPLE_APP / "multi_source/app/buildspec.yml")
    assert spec.artifacts is not None
    assert set(names(build["OutputArtifacts"])) == set(spec.artifacts.secondary_artifacts) == {"App", "Template"}
    _, change_set, execute = stages["Infrastructure"]
    assert names(change_set["InputArtifacts"]) == ["Template"]
    assert change_set["Configuration"]["TemplatePath"] == "Template::template.yaml"
    assert "InputArtifacts" not in execute
    [release] = stages["Application"]
    assert names(release["InputArtifacts"]) == ["App"]


def test_who_approves_reads_both_commits(stages):
    approval = stages["Infrastructure"][0]["Configuration"]["CustomData"]
    for source in ("SourceVariables", "InfraVariables"):
        assert f"#{{{source}.CommitId}}" in str(approval)


def test_cloudformation_may_do_what_the_templates_queue_needs_and_nothing_else(review):
    template = load_template((SAMPLE_APP / "multi_source/infra/template.yaml").read_text())
    [resource] = template["Resources"].values()
    assert resource["Properties"]["QueueName"] == {"Fn::Sub": "${AWS::StackName}-Orders"}
    [grant] = [each for each in grants_of(review.template) if each.policy.startswith("InfraRolePolicy")]
    assert grant.resources == [QUEUE]
    assert set(grant.actions) == needed(resource["Type"], resource["Properties"], QUEUE)


CHANGE = "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"
CHANGE_SET = {"cloudformation:ChangeSetName": "Infrastructure-Deploy"}
HAND_ON = {"iam:PassedToService": "cloudformation.amazonaws.com"}


@pytest.mark.parametrize(
    ("who", "actions", "resource", "context", "expected"),
    [
        *((BUILD, "s3:GetObject", f"{{folder}}/{name}/AbC.zip", {}, ALLOWED) for name in ("Source", "Infra")),
        *((BUILD, "s3:PutObject", f"{{folder}}/{name}/DeF", {}, ALLOWED) for name in ("App", "Template")),
        *((PIPELINE, "s3:GetObject", f"{{folder}}/{name}/DeF", {}, ALLOWED) for name in ("App", "Template")),
        (BUILD, "s3:GetObject s3:PutObject", "{folder}-2/Source/AbC.zip", {}, DENIED),
        (PIPELINE, CHANGE, STACK, CHANGE_SET, ALLOWED),
        (PIPELINE, CHANGE, STACK.replace("-Infra", ""), CHANGE_SET, DENIED),
        (PIPELINE, "iam:PassRole", CLOUDFORMATION, HAND_ON, ALLOWED),
        (PIPELINE, "iam:PassRole", FUNCTION, {"iam:PassedToService": "lambda.amazonaws.com"}, DENIED),
        (PIPELINE, "sqs:CreateQueue sqs:SendMessage", QUEUE, {}, DENIED),
        (CLOUDFORMATION, "sqs:CreateQueue sqs:SetQueueAttributes sqs:DeleteQueue", QUEUE, {}, ALLOWED),
        (CLOUDFORMATION, "sqs:CreateQueue sqs:SetQueueAttributes sqs:DeleteQueue", f"{QUEUE}-2", {}, DENIED),
        (CLOUDFORMATION, "sqs:SendMessage sqs:ReceiveMessage sqs:PurgeQueue", QUEUE, {}, DENIED),
        (CLOUDFORMATION, "s3:GetObject", "{folder}/Template/DeF", {}, DENIED),
        (FUNCTION, "sqs:GetQueueUrl sqs:SendMessage", QUEUE, {}, ALLOWED),
        (FUNCTION, "sqs:ReceiveMessage sqs:DeleteMessage sqs:DeleteQueue", QUEUE, {}, DENIED),
        (FUNCTION, "sqs:SendMessage", f"{QUEUE}-2", {}, DENIED),
        (RELEASER, "sqs:SendMessage cloudformation:ExecuteChangeSet", QUEUE, {}, DENIED),
        (RELEASER, "s3:GetObject", "{folder}/App/DeF", {}, DENIED),
        (BUILD, CHANGE, STACK, CHANGE_SET, DENIED),
    ],
)
def test_in_a_release(iam, who, actions, resource, context, expected):
    folder = iam.physical.attribute("ArtifactsBucket88671897", "Arn") + "/MultiSource-Pipeline"
    place = resource.format(folder=folder)
    place = place if place.startswith("arn:") else iam.physical.attribute(place, "Arn")
    assert {action: iam.ask(who, action, place, context) for action in actions.split()} == dict.fromkeys(
        actions.split(), expected
    )


def test_both_nag_packs_looked_and_found_nothing(review):
    assert_both_packs_find_nothing(review)


def test_every_acknowledged_finding_is_known_and_has_a_reason(review, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(review)
    assert len(lines) == 22
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(review):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    assert review.names_of(*STATEFUL) == {
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
        "Pipeline9850B417",
        "TakeOrderLogsD0286817",
    }


def test_nothing_that_costs_money_outlives_the_stack(review):
    assert_nothing_outlives_the_stack(review)


def test_no_token_leaks_into_the_template(review):
    assert_no_token_leaks(review)


def test_feature_flags_of_the_app_do_not_change_our_resources(review, tmp_path):
    plain = Review(multi_source_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(review.stack)


def test_cfn_lint_accepts_the_template(review):
    assert_cfn_lint_accepts(review)


def names(artifacts):
    return [each["Name"] for each in artifacts]
