"""The stacks of three accounts: what their reviewer reads, what is guarded, and what AWS's own checkers say."""

import re

import pytest

from code_family_constructs.testing import outline_of, template_of
from tests.helpers import of_type, only
from tests.stacks.companies import PRODUCTION, STAGING, three_accounts
from tests.stacks.review import (
    STATEFUL,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)
from tests.stacks.several import OTHER_WORDS, Several

NAMES = ("ServiceStaging", "ServiceProduction", "StagingToProduction")
each_stack = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return Several(three_accounts, tmp_path_factory.mktemp("accounts"))


@pytest.fixture(scope="module")
def pipeline(company):
    return only(company.templates["StagingToProduction"], "AWS::CodePipeline::Pipeline")


@each_stack
def test_release_is_tested_staged_approved_and_checked_in_this_order(company, name, snapshot):
    assert outline_of(company.of[name].stack) == snapshot(name="outline")


@each_stack
def test_template(company, name, snapshot):
    assert template_of(company.of[name].stack) == snapshot(name="template")


def test_production_gets_what_staging_has_proven(company):
    """The two stacks differ in account and names alone."""
    texts = {}
    for environment in (STAGING, PRODUCTION):
        text = template_of(company.of[f"Service{environment.name}"].stack)
        text = text.replace(environment.account, "<account>").replace(f"Service{environment.name}", "<stack>")
        texts[environment.name] = re.sub(r"<stack>-[A-Za-z0-9-]+-[0-9a-fA-F]{8}\b", "<name>", text)
    assert texts["Staging"] == texts["Production"]


def test_each_action_runs_in_the_account_that_it_is_about(pipeline):
    elsewhere = {
        f"{stage['Name']}/{action['Name']}": action["RoleArn"].split(":")[4]
        for stage in pipeline["Stages"]
        for action in stage["Actions"]
        if "RoleArn" in action
    }
    assert elsewhere == {
        "Staging/Deploy": STAGING.account,
        "Staging/SmokeTest": STAGING.account,
        "Production/Deploy": PRODUCTION.account,
        "Production/Check": PRODUCTION.account,
    }


def test_tests_run_at_the_same_time_on_the_source(pipeline):
    [tests] = [stage["Actions"] for stage in pipeline["Stages"] if stage["Name"] == "Tests"]
    assert {test["Name"] for test in tests} == {"UnitTests", "Lint", "SecurityScan"}
    assert {test["RunOrder"] for test in tests} == {1}
    assert all(test["InputArtifacts"] == [{"Name": "Source"}] for test in tests)


def test_approval_says_what_staging_answered_and_who_made_it(pipeline):
    [[approval]] = [stage["Actions"] for stage in pipeline["Stages"] if stage["Name"] == "Approval"]
    assert approval["Configuration"]["CustomData"].splitlines() == [
        "Staging answered as release #{Staging-SmokeTest.Release}. Is production to have it?",
        "Source #{SourceVariables.CommitId} by #{SourceVariables.AuthorDisplayName}: #{SourceVariables.CommitMessage}",
        "https://github.com/acme/shop/commit/#{SourceVariables.CommitId}",
        "Builds and tests: https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/"
        "StagingToProduction-Pipeline/executions/#{codepipeline.PipelineExecutionId}/visualization?region=eu-west-1",
        "Staging: #{Staging-SmokeTest.Link}",
    ]


def test_an_approval_at_night_is_no_deployment_at_night(pipeline):
    """Conditions are looked at when a stage is entered: office hours have to be asked for after the approval."""
    names = [stage["Name"] for stage in pipeline["Stages"]]
    assert names[names.index("Approval") :] == ["Approval", "Production"]
    [rule] = pipeline["Stages"][-1]["BeforeEntry"]["Conditions"][0]["Rules"]
    assert rule["Configuration"] == {"Cron": "* * 9-15 ? * MON-FRI *", "TimeZone": "Europe/Berlin"}
    assert "BeforeEntry" not in pipeline["Stages"][-2]


def test_checks_demand_the_release_that_was_built(pipeline):
    checks = [
        action["Configuration"]["UserParameters"]
        for stage in pipeline["Stages"]
        for action in stage["Actions"]
        if action["Name"] in ("SmokeTest", "Check")
    ]
    assert checks == ["release=#{BuildVariables.RELEASE}"] * 2


def test_targets_are_deployed_before_the_pipeline_that_starts_when_it_is_made(company):
    assert company.deploy_order() == [{"ServiceStaging", "ServiceProduction"}, {"StagingToProduction"}]


def test_no_stack_asks_another_account_for_an_output(company):
    """Its CloudFormation could not read it: what one account says of another is text."""
    for name in NAMES:
        text = company.of[name].template_file.read_text()
        assert "Fn::GetStackOutput" not in text
        assert "Fn::ImportValue" not in text


def test_both_nag_packs_looked_and_found_nothing(company):
    assert_both_packs_find_nothing(company.app)


def test_every_acknowledged_finding_is_known_and_has_a_reason(company, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(company.app)
    assert len(lines) == 57
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(company):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    service = {
        "CheckFunctionLogs9F06D189",
        "DeploymentAliasB65153D8",
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup7E7F554F",
        "DeploymentReleaserLogs31487C39",
        "GreeterLogsF429D38F",
    }
    assert company.of["ServiceStaging"].names_of(*STATEFUL) == service
    assert company.of["ServiceProduction"].names_of(*STATEFUL) == service
    assert company.of["StagingToProduction"].names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "GitHubConnection327BBDDD",
        "LintLogsF6CA6456",
        "Pipeline9850B417",
        "UnitTestsLogsD83050BC",
    }


def test_names_that_another_account_says_are_kept(company, pipeline):
    """A bucket, functions and roles under new names are new ones: a breaking change."""
    bucket = company.of["StagingToProduction"].resources["ArtifactsBucket88671897"]["Properties"]["BucketName"]
    assert bucket == "stagingtoproduction-artifacts-b-111111111111-eu-west-1-0fd57a2f"
    elsewhere = [
        (action["RoleArn"].rpartition("/")[2], action["Configuration"]["FunctionName"])
        for stage in pipeline["Stages"]
        for action in stage["Actions"]
        if "RoleArn" in action
    ]
    staging = "ServiceStaging-StagingToProduction-Pipeline-11111111111-b4f43e88"
    production = "ServiceProduction-StagingToProduction-Pipeline-11111111-f4cde736"
    assert elsewhere == [
        (staging, "ServiceStaging-Deployment-Releaser-BCBB39C3"),
        (staging, "ServiceStaging-Check-Function-64F597B6"),
        (production, "ServiceProduction-Deployment-Releaser-05922D25"),
        (production, "ServiceProduction-Check-Function-89D41AAF"),
    ]


@each_stack
def test_nothing_that_costs_money_outlives_the_stack(company, name):
    assert_nothing_outlives_the_stack(company.of[name])


@each_stack
def test_no_token_leaks_into_the_template(company, name):
    assert_no_token_leaks(company.of[name])


def test_feature_flags_of_the_app_do_not_change_our_resources(company, tmp_path):
    plain = Several(three_accounts, tmp_path, OTHER_WORDS)
    assert_both_packs_find_nothing(plain.app)
    for name in NAMES:
        assert template_of(plain.of[name].stack) == template_of(company.of[name].stack)


@each_stack
def test_cfn_lint_accepts_the_template(company, name):
    assert_cfn_lint_accepts(company.of[name])


def test_five_roles_in_each_account_are_enough(company):
    assert {len(of_type(company.templates[name], "AWS::IAM::Role")) for name in NAMES} == {5}
