"""Checks of pull requests: what its reviewer reads, what is guarded, and which changes start a build."""

import re

import pytest

from code_family_constructs.testing import outline_of, template_of
from stacks.pull_request_checks import PullRequestChecks
from tests.helpers import CONNECTION_ARN, allowed
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)


def checks_stack(app):
    return PullRequestChecks(app, "PullRequestChecks", repository="acme/shop", connection_arn=CONNECTION_ARN)


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    return Review(checks_stack, tmp_path_factory.mktemp("checks"))


@pytest.fixture(scope="module")
def project(checks):
    [name] = checks.names_of("AWS::CodeBuild::Project")
    return checks.resources[name]["Properties"]


def test_one_project_two_reports_and_one_role(checks, snapshot):
    assert outline_of(checks.stack) == snapshot(name="outline")


def test_template(checks, snapshot):
    assert template_of(checks.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(checks):
    assert_both_packs_find_nothing(checks)


def test_every_acknowledged_finding_is_known_and_has_a_reason(checks, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(checks)
    assert len(lines) == 2
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(checks):
    """A changed logical id is a new, empty resource: for these, a breaking change."""
    assert checks.names_of(*STATEFUL) == {
        "TestsLogs34015FEA",
        "TestsReportscoverageEF8E1A79",
        "TestsReportstestsD488D582",
    }


def test_nothing_outlives_the_stack(checks):
    assert_nothing_outlives_the_stack(checks)


def test_no_token_leaks_into_the_template(checks):
    assert_no_token_leaks(checks)


def test_cfn_lint_accepts_the_template(checks):
    assert_cfn_lint_accepts(checks)


def test_feature_flags_of_the_app_do_not_change_our_resources(checks, tmp_path):
    plain = Review(checks_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(checks.stack)


def test_tests_may_fetch_the_source_write_their_log_and_report(checks):
    reports = "report-group/PullRequestChecks-Tests"
    expected = {
        f"{prefix}:{action}" for prefix in ("codeconnections", "codestar-connections") for action in _CONNECTION
    }
    expected |= {"logs:CreateLogStream", "logs:PutLogEvents"}
    expected |= {"codebuild:CreateReport", "codebuild:UpdateReport"}
    expected |= {"codebuild:BatchPutTestCases", "codebuild:BatchPutCodeCoverages"}
    found = allowed(checks.template, "")
    assert {entry.partition(" on ")[0] for entry in found} == expected
    assert not any("*" in entry for entry in found)
    assert {entry.rpartition(":")[2] for entry in found if entry.startswith("codebuild:BatchPut")} == {
        f"{reports}-tests",
        f"{reports}-coverage",
    }


_CONNECTION = ("GetConnection", "GetConnectionToken", "UseConnection")


@pytest.mark.parametrize(
    ("changed", "built"),
    [
        (["src/app.py"], True),
        (["docs/guide.md"], False),
        (["README.md", "docs/img/a.png"], False),
        (["README.md", "src/app.py"], True),
        (["documents.py"], True),
        (["src/readme.mdx"], True),
        (["requirements.txt"], True),
    ],
)
def test_changes_of_docs_alone_start_nothing(project, changed, built):
    assert _starts(project, "PULL_REQUEST_UPDATED", changed) is built


@pytest.mark.parametrize(
    ("event", "base", "built"),
    [
        ("PULL_REQUEST_CREATED", "main", True),
        ("PULL_REQUEST_REOPENED", "main", True),
        ("PULL_REQUEST_CLOSED", "main", False),
        ("PUSH", "main", False),
        ("PULL_REQUEST_UPDATED", "maintenance", False),
    ],
)
def test_pull_requests_to_the_base_branch_are_tested(project, event, base, built):
    assert _starts(project, event, ["src/app.py"], base) is built


def _starts(project, event, changed, base="main"):
    """As CodeBuild documents it: all filters of a group have to hold, and one changed file is enough for FILE_PATH."""
    about = {"EVENT": [event], "BASE_REF": [f"refs/heads/{base}"], "FILE_PATH": changed}
    [group] = project["Triggers"]["FilterGroups"]
    assert not any(one.get("ExcludeMatchedPattern") for one in group)
    return all(
        event in one["Pattern"].split(", ")
        if one["Type"] == "EVENT"
        else any(re.search(one["Pattern"], value) for value in about[one["Type"]])
        for one in group
    )


def test_a_pull_request_from_a_fork_waits_for_a_comment(project):
    assert project["Triggers"]["PullRequestBuildPolicy"] == {"RequiresCommentApproval": "FORK_PULL_REQUESTS"}


def test_github_shows_how_it_went(project):
    assert project["Source"]["ReportBuildStatus"] is True
    assert project["Source"]["Auth"] == {"Type": "CODECONNECTIONS", "Resource": CONNECTION_ARN}
