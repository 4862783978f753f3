"""Reports: groups with the names that CodeBuild looks for, and buildspecs that report to them."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from code_family_constructs import BuildProject, Buildspec
from code_family_constructs.build.buildspec import Phase, Phases, Report
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, of_type, refuses

TEST, COVERAGE = codebuild.ReportGroupType.TEST, codebuild.ReportGroupType.CODE_COVERAGE
PHASES = Phases(build=Phase(commands=["make"]))


def reporting(**reports):
    return Buildspec(
        phases=PHASES, reports={name: Report(files=["*"], file_format=form) for name, form in reports.items()}
    )


@pytest.fixture(scope="module")
def groups():
    stack = Stack(App(), "Shop")
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:111111111111:key/1")
    bucket = s3.Bucket.from_bucket_attributes(stack, "Bucket", bucket_name="store", encryption_key=key)
    build = BuildProject(
        stack,
        "Build",
        buildspec=reporting(unit=None, coverage="cloverxml"),
        report_groups={"unit": TEST, "coverage": COVERAGE},
        report_bucket=bucket,
    )
    assert set(build.report_groups) == {"unit", "coverage"}
    BuildProject(stack, "Shown", report_groups={"unit": TEST})
    resources = synthesized(stack)["Resources"].values()
    return {r["Properties"]["Name"]: r for r in resources if r["Type"] == "AWS::CodeBuild::ReportGroup"}


def test_groups_have_the_names_under_which_codebuild_looks_for_them(groups):
    assert {name: group["Properties"]["Type"] for name, group in groups.items()} == {
        "Shop-Build-unit": "TEST",
        "Shop-Build-coverage": "CODE_COVERAGE",
        "Shop-Shown-unit": "TEST",
    }


def test_reports_are_kept_encrypted_in_a_folder_of_the_project(groups):
    assert groups["Shop-Build-unit"]["Properties"]["ExportConfig"] == {
        "ExportConfigType": "S3",
        "S3Destination": {
            "Bucket": "store",
            "Path": "reports/Shop-Build",
            "Packaging": "ZIP",
            "EncryptionDisabled": False,
            "EncryptionKey": "arn:aws:kms:eu-west-1:111111111111:key/1",
        },
    }


def test_reports_are_only_shown_without_a_bucket(groups):
    assert groups["Shop-Shown-unit"]["Properties"]["ExportConfig"] == {"ExportConfigType": "NO_EXPORT"}


def test_a_stack_with_reports_can_be_deleted(groups):
    assert all(group["DeletionPolicy"] == "Delete" for group in groups.values())
    assert all(group["Properties"]["DeleteReports"] is True for group in groups.values())


def test_a_group_elsewhere_is_its_owners_matter():
    arn = "arn:aws:codebuild:eu-west-1:111111111111:report-group/all"
    stack = a_stack()
    BuildProject(stack, "Build", buildspec=reporting(**{arn: None}))
    assert of_type(synthesized(stack), "AWS::CodeBuild::ReportGroup") == {}


@pytest.mark.parametrize(("form", "kind"), [(None, "TEST"), ("CLOVERXML", "CODE_COVERAGE")])
def test_fails_when_the_buildspec_reports_to_a_group_that_is_not_there(form, kind):
    with refuses("'unit'", at="Shop/Build", fix=f"report_groups={{'unit': codebuild.ReportGroupType.{kind}}}"):
        BuildProject(a_stack(), "Build", buildspec=reporting(unit=form))


def test_fails_when_nothing_reports_to_a_group():
    with refuses("'coverage' is not in the buildspec", at="Shop/Build", fix="write reports: coverage:"):
        BuildProject(
            a_stack(), "Build", buildspec=reporting(unit=None), report_groups={"unit": TEST, "coverage": COVERAGE}
        )


@pytest.mark.parametrize(
    ("form", "kind", "fix"), [("JUNITXML", COVERAGE, "TEST"), ("SIMPLECOV", TEST, "CODE_COVERAGE")]
)
def test_fails_when_a_group_is_for_other_reports(form, kind, fix):
    with refuses(form, kind.name, at="Shop/Build", fix=f"ReportGroupType.{fix}"):
        BuildProject(a_stack(), "Build", buildspec=reporting(unit=form), report_groups={"unit": kind})


@pytest.mark.parametrize("name", ["a b", "a/b", "x" * 128])
def test_fails_when_codebuild_would_refuse_the_name(name):
    with refuses("report group name", at="Shop/Build", fix="128"):
        BuildProject(a_stack(), "Build", report_groups={name: TEST})


def test_fails_when_there_are_more_than_codebuild_takes():
    with refuses("6 report groups", at="Shop/Build", fix="at most 5"):
        BuildProject(a_stack(), "Build", report_groups={f"group{number}": TEST for number in range(6)})


def test_fails_when_a_bucket_waits_for_no_reports():
    stack = a_stack()
    with refuses("report_bucket= without reports", at="Shop/Build", fix="give report_groups= too"):
        BuildProject(stack, "Build", report_bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "store"))
