"""Floor 1: turn a revision into something deployable."""

from collections.abc import Mapping, Sequence
from functools import cache as remembered
from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.build.access import let_logs_use, use_key, write_objects
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.batch import BatchBuilds, permissions_of_batches
from code_family_constructs.build.cache import Cache, S3Cache, cache_for, check_local_cache
from code_family_constructs.build.compute import DEFAULT_IMAGE, Compute
from code_family_constructs.build.efs_mount import EfsMount, check_file_systems, open_to
from code_family_constructs.build.environment import environment_variables as variables_for
from code_family_constructs.build.environment import permissions_of_buildspec
from code_family_constructs.build.fleet import Fleet
from code_family_constructs.build.limits import check_minutes, check_whole
from code_family_constructs.build.network import check_subnets, network
from code_family_constructs.build.project_buildspec import Surroundings, check_buildspec, check_path
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.build.reports import check_report_groups, permissions_of_reports
from code_family_constructs.build.reports import report_groups as groups_for
from code_family_constructs.build.webhooks import Webhook
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, physical_name
from code_family_constructs.permissions import ServiceRole, Statement, acknowledge, arn

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec import Buildspec
    from code_family_constructs.build.environment import Value

_PROJECT_NAME = NameRule("project", "[A-Za-z0-9_-]", 150, shortest=2, first="[A-Za-z0-9]")
_TIMEOUT = Duration.minutes(30)
_QUEUED_TIMEOUT = Duration.hours(2)


class BuildProject(Construct):
    """Runs a buildspec on AWS CodeBuild: as the build or the test action of a pipeline, or for a source of its own.

    Creates a CodeBuild project on a small Linux container with the current Amazon Linux 2023 image, a log group that
    forgets, and a role that may write this log, and read and write the artifacts of the pipeline that uses it, nothing
    else. Each argument adds what it needs to the role, and nothing more; what a buildspec does with AWS beyond that has
    to be allowed on `role`.

    A build costs 0.005 USD a minute (us-east-1), and nothing while none runs. What makes it cheaper: an ARM image (a
    third less), a Lambda image (billed by the second; no Docker, no root, 15 minutes), the smallest compute type that
    does, a `cache`, `clone_depth=1` in the source, a `webhook` whose filters skip what needs no build, a `timeout` that
    stops what hangs, and `concurrent_build_limit`.

    Args:
        scope: Parent construct.
        id: Construct id.
        project_name: Name in the console, 2 to 150 characters; made from the stack's name when left out.
        source: What to build. Left out, a pipeline hands it over; a project with a source cannot be in a pipeline.
        webhook: What at the source's provider starts builds. The connection has to be AVAILABLE when this is deployed.
        buildspec: Path of the buildspec in the revision. Or a `Buildspec`, which then is part of the project and not of
            the revision: it is checked against all of this, its smells become warnings at synth, and the build may read
            the parameters and secrets that it names. With a webhook, a path lets a pull request change what runs.
        build_image: Image to build in. The default is moved forward by releases of this library. An image of your own,
            from ECR or a registry with credentials, is pulled with the project's role.
        compute_type: How many cores and how much memory; the smallest that the image's kind of machine has when left
            out. A size up doubles the price of a minute.
        fleet: Reserved machines, a `Fleet` or a `codebuild.Fleet`, instead of ones on demand.
        privileged: Run Docker in the build. Anything in the build can then become root on the build host.
        docker_server: Size of a host for Docker that the builds of this project share and that keeps its layers;
            billed while builds run. It needs no privileged mode.
        environment_variables: Texts that everyone may read, parameters of Parameter Store, and secrets, whole or as a
            `SecretField`. The build may read exactly these.
        cache: Files that the next build starts with: an `S3Cache`, or modes of a local cache, which is on the build
            host and often gone.
        vpc: A VPC whose hosts the builds should reach. Each build then starts some seconds later.
        subnet_selection: Which of its subnets; those with a NAT gateway as their way out when left out.
        file_systems: File systems of EFS in the VPC, as folders.
        timeout: When a build that still runs is stopped, 5 minutes to 36 hours; a hanging build is billed until then.
        queued_timeout: When a build that has not started is given up, 5 minutes to 8 hours.
        auto_retry_limit: How many more times a build that failed is run, 0 to 10; each one is billed.
        concurrent_build_limit: How many builds may run at once; more are refused.
        batch: Lets the buildspec start batches; with a webhook, it starts these.
        report_groups: Names of the test and coverage reports of the buildspec, and what they are.
        report_bucket: Bucket in which reports are kept; CodeBuild itself shows them for 30 days.
        artifacts: Where to keep the buildspec's artifacts. Of a project in a pipeline, the pipeline takes them.
        secondary_artifacts: Where to keep its secondary artifacts, by their identifier.
        badge: Give the project a picture with its last result, at an address that is open to everyone.
        debug_session: Let builds be started that can be entered by Session Manager.
        log_retention: When log entries are deleted.
        log_key: Key for the log. Left out, it is the pipeline's, and CloudWatch's own outside of one.
        log_bucket: Bucket in which logs are kept too.

    Raises:
        ConfigurationError: What CodeBuild would refuse or silently not do with this source, machine, buildspec or VPC;
            the problem names the argument.

    https://docs.aws.amazon.com/codebuild/latest/userguide/create-project.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        project_name: str | None = None,
        source: ProjectSource | None = None,
        webhook: Webhook | None = None,
        buildspec: "str | Buildspec" = "buildspec.yml",
        build_image: codebuild.IBuildImage = DEFAULT_IMAGE,
        compute_type: codebuild.ComputeType | None = None,
        fleet: Fleet | codebuild.IFleet | None = None,
        privileged: bool = False,
        docker_server: codebuild.DockerServerComputeType | None = None,
        environment_variables: "Mapping[str, Value] | None" = None,
        cache: Cache | None = None,
        vpc: ec2.IVpc | None = None,
        subnet_selection: ec2.SubnetSelection | None = None,
        file_systems: Sequence[EfsMount] = (),
        timeout: Duration = _TIMEOUT,
        queued_timeout: Duration = _QUEUED_TIMEOUT,
        auto_retry_limit: int | None = None,
        concurrent_build_limit: int | None = None,
        batch: BatchBuilds | None = None,
        report_groups: Mapping[str, codebuild.ReportGroupType] | None = None,
        report_bucket: s3.IBucket | None = None,
        artifacts: S3Artifacts | None = None,
        secondary_artifacts: Mapping[str, S3Artifacts] | None = None,
        badge: bool = False,
        debug_session: bool = False,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        log_key: kms.IKey | None = None,
        log_bucket: s3.IBucket | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, project_name, _PROJECT_NAME)
        self.project_arn = arn("codebuild", f"project/{name}")
        groups, further = report_groups or {}, secondary_artifacts or {}
        kept = [*([artifacts] if artifacts else ()), *further.values()]
        compute = Compute.of(self, build_image, compute_type, fleet)
        compute.check(
            self,
            privileged=privileged,
            docker_server=docker_server is not None,
            cache=cache is not None,
            vpc=vpc is not None,
            file_systems=bool(file_systems),
            timeout=timeout is not _TIMEOUT,
            queued_timeout=queued_timeout is not _QUEUED_TIMEOUT,
            badge=badge,
            debug_session=debug_session,
        )
        _check_source(
            self, source, webhook=webhook, badge=badge, artifacts=bool(kept), auto_retry_limit=bool(auto_retry_limit)
        )
        # https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
        if timeout is not _TIMEOUT:
            check_minutes(self, "timeout", timeout, 5, 2160)
        if queued_timeout is not _QUEUED_TIMEOUT:
            check_minutes(self, "queued_timeout", queued_timeout, 5, 480)
        if auto_retry_limit is not None:
            check_whole(self, "auto_retry_limit", auto_retry_limit, 0, 10)
        if concurrent_build_limit is not None:
            check_whole(self, "concurrent_build_limit", concurrent_build_limit, 1)
        if batch is not None:
            batch.check(self, artifacts=bool(kept) or source is None)
        check_report_groups(self, name, groups, report_bucket)
        if cache is not None and not isinstance(cache, S3Cache):
            check_local_cache(
                self,
                cache,
                environment=compute.environment_type,
                compute_type=compute.compute_type,
                privileged=privileged,
                vpc=vpc is not None,
                git=source is not None and source.type != "S3",
            )
        subnet_ids = check_subnets(self, vpc, subnet_selection)
        check_file_systems(self, file_systems, vpc=vpc is not None)
        variables, of_variables = variables_for(self, environment_variables or {})
        if isinstance(buildspec, str):
            check_path(self, buildspec)
        elif not hasattr(buildspec, "findings_on"):
            raise ConfigurationError(
                f"buildspec= is a {type(buildspec).__name__}",
                at=self,
                fix="give the path of one in the repository, or a Buildspec(phases=…) of this library",
            )
        else:
            surroundings = Surroundings(
                host=compute.host(docker=privileged or docker_server is not None),
                batch=batch,
                report_groups=groups,
                cache=cache,
                artifacts=bool(kept) if source is not None else None,
                secondary_artifacts=list(further),
                only_runs_jobs=webhook is not None and webhook.only_runs_jobs,
            )
            check_buildspec(self, buildspec, surroundings)
            of_variables += permissions_of_buildspec(buildspec.env)
        self._buildspec = None if isinstance(buildspec, str) else buildspec
        text = buildspec if isinstance(buildspec, str) else buildspec.render()

        self.log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        self._log_key = log_key
        if log_key is not None:
            let_logs_use(log_key)
            self._encrypt_log(log_key.key_arn)
        self._network = network(self, vpc, subnet_ids, docker_server=docker_server is not None) if vpc else None
        self.security_group = self._network.security_group if self._network else None
        open_to(file_systems, self.security_group)
        stored, of_cache = cache_for(cache, name)
        combined = batch is not None and batch.combine_artifacts
        self._role = ServiceRole(
            self,
            service="codebuild.amazonaws.com",
            source_arn=self.project_arn,
            statements=[
                Statement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
                ),
                *(source.permissions if source else ()),
                *compute.permissions(),
                *of_variables,
                *of_cache,
                *(self._network.permissions if self._network else ()),
                *permissions_of_reports(name, groups, report_bucket),
                *(needed for one in kept for needed in one.permissions(name, combined=combined)),
                *(
                    [*write_objects(log_bucket, f"logs/{name}"), *use_key(log_bucket.encryption_key)]
                    if log_bucket
                    else ()
                ),
                *([_retry(self.project_arn)] if auto_retry_limit else ()),
                *([_SESSION] if debug_session else ()),
            ],
        )
        self.role = self._role.role
        self.report_groups = groups_for(self, name, groups, report_bucket)
        self._source = source
        self._key: kms.IKey | None = None
        stores = [one.bucket for one in (*kept, cache) if isinstance(one, S3Artifacts | S3Cache)]
        stores += [bucket for bucket in (report_bucket, log_bucket) if bucket is not None]
        self.project = codebuild.PipelineProject(
            self,
            "Project",
            project_name=name,
            role=self._role.frozen,
            # The L2 hands on what it calls a file name as it is; CodeBuild takes a path or a whole buildspec there.
            build_spec=_build_spec(text),
            environment=codebuild.BuildEnvironment(
                build_image=build_image,
                compute_type=compute.compute_type,
                fleet=compute.fleet,
                privileged=privileged,
                docker_server=_docker_server(docker_server, self.security_group),
            ),
            environment_variables=variables or None,
            cache=stored,
            timeout=None if compute.is_lambda else timeout,
            queued_timeout=None if compute.is_lambda else queued_timeout,
            auto_retry_limit=auto_retry_limit,
            concurrent_build_limit=concurrent_build_limit,
            # One for all that CodeBuild writes: of what others read, where there is that. A pipeline brings its own.
            encryption_key=stores[0].encryption_key if source and stores else None,
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=self.log_group, enabled=True),
                s3=(
                    codebuild.S3LoggingOptions(bucket=log_bucket, prefix=f"logs/{name}", encrypted=True)
                    if log_bucket
                    else None
                ),
            ),
            # Off, or the role may create any report group that starts with the project's name.
            grant_report_group_permissions=False,
        )
        # What the L2 lacks, or takes for the sources that it knows only.
        self._set(
            source=source.to_cfn(text) if source else None,
            source_version=source.source_version if source else None,
            artifacts=(artifacts.to_cfn(name) if artifacts else _NO_ARTIFACTS) if source else None,
            secondary_artifacts=[one.to_cfn(name, key) for key, one in further.items()],
            triggers=webhook.triggers(batch=batch is not None) if webhook else None,
            badge_enabled=badge,
            vpc_config=self._network.vpc_config if self._network else None,
            file_system_locations=[one.to_cfn() for one in file_systems],
            build_batch_config=batch.to_cfn(self._role_of_batches()) if batch else None,
        )
        self._acknowledge(compute, privileged=privileged, stores=bool(stores))

    def allow(self, *statements: Statement) -> None:
        """Lets the build do more: what its commands do with AWS."""
        self._role.allow(*statements)

    def check_outputs(self, names: Sequence[str]) -> None:
        """Compares the artifacts that a pipeline takes with a buildspec that is part of the project.

        Args:
            names: Names of the artifacts: of several, each is the identifier of a secondary artifact.

        Raises:
            ConfigurationError: The buildspec makes other ones, and each build would fail.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
        """
        if self._buildspec is None or not names:
            return
        artifacts = self._buildspec.artifacts
        made = dict(artifacts.secondary_artifacts) if artifacts is not None else {}
        if artifacts is None:
            raise ConfigurationError(
                f"a pipeline takes artifact {names[0]!r} of the build, whose buildspec makes none",
                at=self,
                fix="give the Buildspec artifacts=Artifacts(files=[…])",
            )
        missing = [name for name in names if name not in made] if len(names) > 1 else []
        if missing:
            raise ConfigurationError(
                f"a pipeline takes artifact {missing[0]!r} of the build, and the buildspec's secondary artifacts are "
                f"{', '.join(made) or 'none'}",
                at=self,
                fix=f"give its Artifacts secondary_artifacts={{{missing[0]!r}: …}}, "
                "or name in the pipeline what it makes",
            )

    def use_artifacts(self, key: kms.IKey, key_arn: str, statements: Sequence[Statement]) -> None:
        """Binds the project to a pipeline's artifacts: called by the pipeline that runs it.

        Args:
            key: Key of the artifacts; the build's log is encrypted with it too, unless it has one of its own.
            key_arn: Its ARN.
            statements: What the build may do with the artifacts.

        Raises:
            ConfigurationError: The project has a source of its own, or a pipeline with another key uses it already; a
                project encrypts with one.
        """
        if self._source is not None:
            raise ConfigurationError(
                f"a build with a source of its own, {self._source.location}, in a pipeline, which hands over its own",
                at=self,
                fix="leave out source= and what goes with it, or give the pipeline a BuildProject of its own",
            )
        if self._key is not None and self._key is not key:
            raise ConfigurationError(
                "a build for two pipelines with different artifact stores",
                at=self,
                fix="give both pipelines the same artifact_store=, or each a BuildProject of its own",
            )
        self._key = key
        resource: Any = self.project.node.default_child
        resource.encryption_key = key_arn
        self._role.allow(*statements)
        if self._log_key is None:
            self._encrypt_log(key_arn)

    def _set(self, **properties: Any) -> None:
        given = {name: value for name, value in properties.items() if value}
        if given:
            cfn = self.project.node.default_child
            for name, value in given.items():
                setattr(cfn, name, value)

    def _role_of_batches(self) -> str:
        role = ServiceRole(
            self,
            id="BatchRole",
            service="codebuild.amazonaws.com",
            source_arn=self.project_arn,
            statements=permissions_of_batches(self.project_arn),
        )
        return role.role.role_arn

    def _encrypt_log(self, key_arn: str) -> None:
        log_group: Any = self.log_group.node.default_child
        log_group.kms_key_id = key_arn

    def _acknowledge(self, compute: Compute, *, privileged: bool, stores: bool) -> None:
        reasons = {}
        if privileged:
            reasons["CB3"] = "asked for with privileged=True, as Docker needs it; the build host is this build's alone"
        if compute.is_own_image:
            reasons["CB5"] = "the image is chosen with build_image=, and pulled with this project's role"
        if self._source is not None and not stores:
            reasons["CB4"] = "it keeps no artifacts, cache, reports or logs in S3, so this key encrypts nothing"
        acknowledge(self.project, reasons)
        if self._source is not None and self._log_key is None:
            encrypted = "CloudWatch encrypts the log; log_key= makes it a key of the team's own, for 1 USD a month"
            acknowledge(self.log_group, {"CloudWatchLogGroupEncrypted": encrypted}, pack="NIST.800.53.R5")


_NO_ARTIFACTS = codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS")
# https://docs.aws.amazon.com/codebuild/latest/userguide/session-manager.html#ssm.prerequisites
_SESSION = Statement(
    actions=[
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ],
    resources=["*"],
    wildcard_reason="a session has no ARN before it is opened, and these actions take no resource",
)


def _retry(project_arn: str) -> Statement:
    # CodeBuild retries in the name of the build: https://docs.aws.amazon.com/codebuild/latest/userguide/auto-retry-build.html
    return Statement(actions=["codebuild:RetryBuild"], resources=[project_arn])


@remembered
def _build_spec(text: str) -> codebuild.BuildSpec:
    return codebuild.BuildSpec.from_source_filename(text)


def _docker_server(
    size: codebuild.DockerServerComputeType | None, security_group: ec2.ISecurityGroup | None
) -> codebuild.DockerServerOptions | None:
    if size is None:
        return None
    return codebuild.DockerServerOptions(
        compute_type=size, security_groups=[security_group] if security_group else None
    )


def _check_source(
    at: Construct,
    source: ProjectSource | None,
    *,
    webhook: Webhook | None,
    badge: bool,
    artifacts: bool,
    auto_retry_limit: bool,
) -> None:
    """Raises ConfigurationError for what only some sources have."""
    if source is None:
        # https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-badges.html and auto-retry-build.html
        for argument, given, fix in (
            ("webhook", webhook is not None, "the pipeline starts its builds"),
            ("artifacts", artifacts, "the pipeline takes what a build leaves behind"),
            ("badge", badge, "CodeBuild has no badges for builds in a pipeline"),
            ("auto_retry_limit", auto_retry_limit, "CodeBuild does not retry builds in a pipeline; its stage does"),
        ):
            if given:
                raise ConfigurationError(
                    f"{argument}= for a build in a pipeline", at=at, fix=f"leave it out ({fix}), or give source= too"
                )
        return
    if badge and source.type == "S3":
        raise ConfigurationError(
            "badge=True for a source in S3, for which CodeBuild has none", at=at, fix="leave out badge="
        )
    if webhook is None:
        return
    if source.connection is None:
        raise ConfigurationError(
            f"a webhook at {source.type}, which has none", at=at, fix="leave out webhook=, or put it in a pipeline"
        )
    problem = webhook.problem_at(source.type)
    if problem:
        raise ConfigurationError(problem[0], at=at, fix=problem[1])
    if isinstance(source.connection, Construct) and Stack.of(source.connection) is Stack.of(at):
        # CloudFormation makes the webhook at once, and nobody can finish the handshake in between.
        raise ConfigurationError(
            "a webhook through a connection that is made in the same stack, and so is PENDING when it is needed",
            at=at,
            fix="make the connection in a stack of its own, finish its handshake, and give "
            "CodeConnection.from_connection_arn(…)",
        )
