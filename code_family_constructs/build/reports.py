"""Floor 1: test and coverage reports."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.access import use_key, write_objects
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_count, check_name
from code_family_constructs.permissions import Statement, arn

if TYPE_CHECKING:
    from aws_cdk import aws_s3 as s3

    from code_family_constructs.build.buildspec import Report

_GROUP_NAME = NameRule("report group", "[A-Za-z0-9_-]", 128, shortest=2, first="[A-Za-z0-9]")
_MOST_GROUPS = 5
_COVERAGE = ("CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV")
Types = Mapping[str, codebuild.ReportGroupType]


def check_report_groups(at: Construct, project_name: str, types: Types, bucket: "s3.IBucket | None") -> None:
    """Raises ConfigurationError for groups that CodeBuild would refuse: https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html#report-limits."""
    if bucket is not None and not types:
        raise ConfigurationError("report_bucket= without reports", at=at, fix="give report_groups= too")
    check_count(at, list(types), what="report groups", most=_MOST_GROUPS)
    for name in types:
        check_name(at, _full(project_name, name), _GROUP_NAME)


def check_reports(at: Construct, types: Types, reports: "Mapping[str, Report]") -> None:
    """Raises ConfigurationError for reports that would not arrive, and for groups that would stay empty."""
    # The ARN of a group elsewhere: who gives it also lets the role write to it.
    named = {name: report for name, report in reports.items() if not name.startswith("arn:") and "$" not in name}
    for name, report in named.items():
        coverage = (report.file_format or "JUNITXML").upper() in _COVERAGE
        wanted = codebuild.ReportGroupType.CODE_COVERAGE if coverage else codebuild.ReportGroupType.TEST
        if name not in types:
            raise ConfigurationError(
                f"the buildspec reports to {name!r}, a group that the project does not have",
                at=at,
                fix=f"give report_groups={{{name!r}: codebuild.ReportGroupType.{wanted.name}}}",
            )
        if types[name] is not wanted:
            raise ConfigurationError(
                f"report group {name!r} is for {types[name].name}, and the buildspec's format is "
                f"{report.file_format or 'JUNITXML'}",
                at=at,
                fix=f"make it codebuild.ReportGroupType.{wanted.name}",
            )
    unused = [name for name in types if name not in named]
    if unused and len(named) == len(reports):
        raise ConfigurationError(
            f"report group {unused[0]!r} is not in the buildspec, so nothing reports to it",
            at=at,
            fix=f"write reports: {unused[0]}: in the buildspec, or leave it out here",
        )


def report_groups(
    scope: Construct, project_name: str, types: Types, bucket: "s3.IBucket | None"
) -> dict[str, codebuild.ReportGroup]:
    """Makes the groups, each with the name under which CodeBuild looks for it.

    https://docs.aws.amazon.com/codebuild/latest/userguide/test-report-group-naming.html
    """
    made: dict[str, codebuild.ReportGroup] = {}
    for name, type_ in types.items():
        made[name] = codebuild.ReportGroup(
            scope,
            f"Reports-{name}",
            report_group_name=_full(project_name, name),
            type=type_,
            export_bucket=bucket,
            zip_export=True if bucket else None,
            # CodeBuild keeps reports for 30 days, and a group that has one is not deleted without them.
            delete_reports=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        if bucket is not None:
            cfn = made[name].node.default_child
            assert isinstance(cfn, codebuild.CfnReportGroup)
            key = bucket.encryption_key
            cfn.export_config = codebuild.CfnReportGroup.ReportExportConfigProperty(
                export_config_type="S3",
                s3_destination=codebuild.CfnReportGroup.S3ReportExportConfigProperty(
                    bucket=bucket.bucket_name,
                    path=_folder(project_name),
                    packaging="ZIP",
                    encryption_disabled=False,
                    encryption_key=key.key_arn if key else None,
                ),
            )
    return made


def permissions_of_reports(project_name: str, types: Types, bucket: "s3.IBucket | None") -> list[Statement]:
    """What the build's role needs to report: not to make groups, which are there.

    https://docs.aws.amazon.com/codebuild/latest/userguide/test-permissions.html
    """
    statements = [
        Statement(
            actions=["codebuild:CreateReport", "codebuild:UpdateReport", f"codebuild:{_PUT[type_]}"],
            resources=[arn("codebuild", f"report-group/{_full(project_name, name)}")],
        )
        for name, type_ in types.items()
    ]
    if types and bucket is not None:
        statements += [*write_objects(bucket, _folder(project_name)), *use_key(bucket.encryption_key)]
    return statements


_PUT = {
    codebuild.ReportGroupType.TEST: "BatchPutTestCases",
    codebuild.ReportGroupType.CODE_COVERAGE: "BatchPutCodeCoverages",
}


def _full(project_name: str, name: str) -> str:
    return f"{project_name}-{name}"


def _folder(project_name: str) -> str:
    return f"reports/{project_name}"
