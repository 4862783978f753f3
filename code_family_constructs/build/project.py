"""Floor 1: turn a revision into something deployable."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_cdk import Annotations, Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, physical_name
from code_family_constructs.permissions import ServiceRole, Statement, arn
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec import Buildspec

_PROJECT_NAME = NameRule("project", "[A-Za-z0-9_-]", 150, shortest=2, first="[A-Za-z0-9]")
_TIMEOUT = Duration.minutes(30)
_QUEUED_TIMEOUT = Duration.hours(2)


class BuildProject(Construct):
    """Runs the buildspec of a revision on AWS CodeBuild, as the build or the test action of a pipeline.

    Creates a CodeBuild project on a small Linux container with the current Amazon Linux 2023 image, a log group that
    forgets, and a role that may write this log, and read and write the artifacts of the pipeline that uses it, nothing
    else. What a buildspec does with AWS beyond that has to be allowed on `role`. A build costs 0.005 USD a minute
    (us-east-1), and nothing while none runs.

    Args:
        scope: Parent construct.
        id: Construct id.
        project_name: Name in the console, 2 to 150 characters; made from the stack's name when left out.
        buildspec: Path of the buildspec in the revision. Or a `Buildspec`, which then is part of the project and not of
            the revision: it is checked against this image and privilege, and its smells become warnings at synth.
        build_image: Image to build in. The default is moved forward by releases of this library.
        compute_type: How many cores and how much memory; a size up doubles the price of a minute.
        privileged: Run Docker in the build. Anything in the build can then become root on the build host.
        timeout: When a build that still runs is stopped, 5 minutes to 36 hours; a hanging build is billed until then.
        queued_timeout: When a build that has not started is given up, 5 minutes to 8 hours.

    Raises:
        ConfigurationError: A name or a duration that CodeBuild would refuse, a buildspec that is no path, or one that
            would not run here or gives a secret away.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        project_name: str | None = None,
        buildspec: "str | Buildspec" = "buildspec.yml",
        build_image: codebuild.IBuildImage = codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6,
        compute_type: codebuild.ComputeType = codebuild.ComputeType.SMALL,
        privileged: bool = False,
        timeout: Duration = _TIMEOUT,
        queued_timeout: Duration = _QUEUED_TIMEOUT,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, project_name, _PROJECT_NAME)
        source = _buildspec(self, buildspec, build_image, privileged)
        # https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
        if timeout is not _TIMEOUT:
            _check_minutes(self, "timeout", timeout, 5, 2160)
        if queued_timeout is not _QUEUED_TIMEOUT:
            _check_minutes(self, "queued_timeout", queued_timeout, 5, 480)

        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        self._role = ServiceRole(
            self,
            service="codebuild.amazonaws.com",
            source_arn=arn("codebuild", f"project/{name}"),
            statements=[
                Statement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
                )
            ],
        )
        self.role = self._role.role
        self._key: kms.IKey | None = None
        self.project_arn = arn("codebuild", f"project/{name}")
        self.project = codebuild.PipelineProject(
            self,
            "Project",
            project_name=name,
            role=self._role.frozen,
            # The L2 hands on what it calls a file name as it is; CodeBuild takes a path or a whole buildspec there.
            build_spec=_build_spec(source),
            environment=codebuild.BuildEnvironment(
                build_image=build_image, compute_type=compute_type, privileged=privileged
            ),
            timeout=timeout,
            queued_timeout=queued_timeout,
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=self.log_group, enabled=True)
            ),
            # Off, or the role may create any report group that starts with the project's name.
            grant_report_group_permissions=False,
        )

    def use_artifacts(self, key: kms.IKey, key_arn: str, statements: Sequence[Statement]) -> None:
        """Binds the project to a pipeline's artifacts: called by the pipeline that runs it.

        Args:
            key: Key of the artifacts; the build's log is encrypted with it too.
            key_arn: Its ARN.
            statements: What the build may do with the artifacts.

        Raises:
            ConfigurationError: A pipeline with another key uses the project already; a project encrypts with one.
        """
        if self._key is not None and self._key is not key:
            raise ConfigurationError(
                "a build for two pipelines with different artifact stores",
                at=self,
                fix="give both pipelines the same artifact_store=, or each a BuildProject of its own",
            )
        self._key = key
        self._role.allow(*statements)
        log_group: Any = self.log_group.node.default_child
        log_group.kms_key_id = key_arn


@cache
def _build_spec(path: str) -> codebuild.BuildSpec:
    return codebuild.BuildSpec.from_source_filename(path)


def _buildspec(
    at: Construct, buildspec: "str | Buildspec", build_image: codebuild.IBuildImage, privileged: bool
) -> str:
    """The path, or the whole text."""
    if isinstance(buildspec, str):
        _check_path(at, buildspec)
        return buildspec
    # Here, since most projects name a file and need no grammar.
    from code_family_constructs.build.buildspec_checks import BuildHost

    host = BuildHost(image=build_image.image_id, environment_type=build_image.type, privileged=privileged)
    for finding in buildspec.findings_on(host):
        if finding.severity == "error" or finding.code in _SECRETS:
            raise ConfigurationError(str(finding), at=at, fix=finding.fix)
        Annotations.of(at).add_warning_v2(f"code-family:{finding.code}", str(finding))
    return buildspec.render()


# A credential in a template can be read by everyone who can read the stack.
_SECRETS = ("BS302", "BS303")


def _check_path(at: Construct, buildspec: str) -> None:
    if unresolved(buildspec):
        return
    if "\n" in buildspec or not buildspec.endswith((".yml", ".yaml", ".json")):
        raise ConfigurationError(
            f"buildspec {buildspec[:60]!r} is no path", at=at, fix="give the path in the repository: 'buildspec.yml'"
        )
    if buildspec.startswith("/") or ".." in buildspec.split("/"):
        raise ConfigurationError(
            f"buildspec {buildspec!r} points outside of the revision",
            at=at,
            fix="give a path relative to the root of the repository",
        )


def _check_minutes(at: Construct, argument: str, duration: Duration, least: int, most: int) -> None:
    if duration.is_unresolved():
        return
    minutes = duration.to_minutes(integral=False)
    if not least <= minutes <= most or minutes != int(minutes):
        raise ConfigurationError(
            f"{argument}={minutes:g} minutes, CodeBuild takes whole minutes from {least} to {most}",
            at=at,
            fix=f"use Duration.minutes({least}) to Duration.minutes({most})",
        )
