"""Pull request at GitHub → tests on CodeBuild → passed or failed, beside the pull request. No pipeline is needed."""

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs import BuildProject, Buildspec, CodeConnection, FilterGroup, ProjectSource, Webhook
from code_family_constructs.build.buildspec import Phase, Phases, Report

# Part of the project and not of the repository: a pull request cannot change it.
TESTS = Buildspec(
    phases=Phases(
        install=Phase(
            runtime_versions={"python": "3.14"},
            commands=["pip install pytest pytest-cov --requirement requirements.txt"],
        ),
        build=Phase(
            commands=["pytest --junit-xml reports/tests.xml --cov --cov-report xml:reports/coverage.xml"],
        ),
    ),
    reports={
        "tests": Report(files=["tests.xml"], base_directory="reports", file_format="JUNITXML"),
        "coverage": Report(files=["coverage.xml"], base_directory="reports", file_format="COBERTURAXML"),
    },
)


class PullRequestChecks(Stack):
    """Tests each pull request, unless it changes nothing but docs; one from a fork waits for somebody's comment."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        connection_arn: str,  # AVAILABLE: CodeBuild makes the webhook while this is deployed
        base_branch: str = "main",
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="Tests of pull requests with CodeBuild")

        event = codebuild.EventAction
        BuildProject(
            self,
            "Tests",
            source=ProjectSource.github(
                repository, connection=CodeConnection.from_connection_arn(connection_arn), clone_depth=1
            ),
            webhook=Webhook(
                filter_groups=[
                    FilterGroup(
                        events=[event.PULL_REQUEST_CREATED, event.PULL_REQUEST_UPDATED, event.PULL_REQUEST_REOPENED],
                        base_branches=[base_branch],
                        exclude_paths=["docs/**", "**/*.md"],
                    )
                ]
            ),
            buildspec=TESTS,
            report_groups={
                "tests": codebuild.ReportGroupType.TEST,
                "coverage": codebuild.ReportGroupType.CODE_COVERAGE,
            },
            timeout=Duration.minutes(15),
        )
