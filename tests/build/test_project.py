"""The build project: starts where it should, stops when it should, and may write its log and nothing else."""

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack, assertions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from code_family_constructs import (
    BuildProject,
    Buildspec,
    CodeConnection,
    ConfigurationError,
    DeliveryPipeline,
    Statement,
)
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.bucket import BuildBucket
from code_family_constructs.build.buildspec import Artifacts, Env, Phase, Phases, SecondaryArtifact
from code_family_constructs.build.cache import S3Cache
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.build.webhooks import FilterGroup, Webhook
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_source, a_stack, allowed, of_type, only, refuses

CONNECTION = CodeConnection.from_connection_arn(CONNECTION_ARN)
GIT = ProjectSource.github("acme/shop", connection=CONNECTION, source_version="dev")
ON_PUSH = Webhook(filter_groups=[FilterGroup(events=[codebuild.EventAction.PUSH])])


@pytest.fixture(scope="module")
def templates():
    app = App()
    plain = Stack(app, "Plain")
    BuildProject(plain, "Build")
    used = Stack(app, "Used")
    project = BuildProject(
        used,
        "Build",
        project_name="checkout",
        buildspec="ci/release.yml",
        compute_type=codebuild.ComputeType.LARGE,
        privileged=True,
        timeout=Duration.hours(36),
        queued_timeout=Duration.minutes(5),
    )
    key = kms.Key(used, "Key")
    project.use_artifacts(key, key.key_arn, [Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::shop/a"])])
    return {stack.stack_name: synthesized(stack) for stack in (plain, used)}


def test_a_project_on_its_own_may_write_its_log_and_nothing_else(templates):
    (log_group,) = of_type(templates["Plain"], "AWS::Logs::LogGroup")
    assert allowed(templates["Plain"], "") == {
        f"{action} on <{log_group}.Arn>" for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }


def test_role_serves_this_project_only(templates):
    (trust,) = only(templates["Plain"], "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(":project/Plain-Build")


def test_builds_log_to_a_group_that_forgets(templates):
    (log_group,) = of_type(templates["Plain"], "AWS::Logs::LogGroup")
    logs = only(templates["Plain"], "AWS::CodeBuild::Project")["LogsConfig"]["CloudWatchLogs"]
    assert logs == {"GroupName": {"Ref": log_group}, "Status": "ENABLED"}
    assert only(templates["Plain"], "AWS::Logs::LogGroup")["RetentionInDays"] == 90


def test_nobody_is_root_on_the_build_host_unless_asked(templates):
    assert only(templates["Plain"], "AWS::CodeBuild::Project")["Environment"]["PrivilegedMode"] is False
    assert only(templates["Used"], "AWS::CodeBuild::Project")["Environment"]["PrivilegedMode"] is True


def test_a_hanging_build_is_not_billed_for_codebuilds_longest_day(templates):
    project = only(templates["Plain"], "AWS::CodeBuild::Project")
    assert project["TimeoutInMinutes"] == 30
    assert project["QueuedTimeoutInMinutes"] == 120


def test_what_was_asked_for_is_what_is_built(templates):
    project = only(templates["Used"], "AWS::CodeBuild::Project")
    assert project["Name"] == "checkout"
    assert project["Source"] == {"BuildSpec": "ci/release.yml", "Type": "CODEPIPELINE"}
    assert project["Environment"]["ComputeType"] == "BUILD_GENERAL1_LARGE"
    assert (project["TimeoutInMinutes"], project["QueuedTimeoutInMinutes"]) == (2160, 5)


def test_build_log_is_encrypted_with_the_artifact_key(templates):
    (key,) = of_type(templates["Used"], "AWS::KMS::Key")
    assert only(templates["Used"], "AWS::Logs::LogGroup")["KmsKeyId"] == {"Fn::GetAtt": [key, "Arn"]}


def test_a_build_in_a_pipeline_may_use_the_artifacts_too(templates):
    assert "s3:GetObject on arn:aws:s3:::shop/a" in allowed(templates["Used"], "BuildRolePolicy")


@pytest.mark.parametrize("argument", ["timeout", "queued_timeout"])
@pytest.mark.parametrize("duration", [Duration.minutes(5), Duration.seconds(300), Duration.hours(8)])
def test_durations_that_codebuild_takes_are_accepted(argument, duration):
    BuildProject(a_stack(), "Build", **{argument: duration})


@pytest.mark.parametrize(
    ("argument", "duration", "typed", "most"),
    [
        ("timeout", Duration.minutes(4), "4 minutes", 2160),
        ("timeout", Duration.seconds(301), "5.01667 minutes", 2160),
        ("timeout", Duration.minutes(2161), "2161 minutes", 2160),
        ("queued_timeout", Duration.minutes(4), "4 minutes", 480),
        ("queued_timeout", Duration.minutes(481), "481 minutes", 480),
    ],
)
def test_fails_when_codebuild_would_refuse_the_duration(argument, duration, typed, most):
    with refuses(f"{argument}={typed}", at="Shop/Build", fix=f"use Duration.minutes(5) to Duration.minutes({most})"):
        BuildProject(a_stack(), "Build", **{argument: duration})


@pytest.mark.parametrize("name", ["ab", "0_-", "a" * 150])
def test_names_of_2_to_150_characters_are_accepted(name):
    assert BuildProject(a_stack(), "Build", project_name=name).project_arn.endswith(f":project/{name}")


@pytest.mark.parametrize("name", ["", "a", "-a", "_a", "a.b", "a/b", "a" * 151])
def test_fails_when_codebuild_would_refuse_the_name(name):
    with refuses("project name", at="Shop/Build", fix="150 characters"):
        BuildProject(a_stack(), "Build", project_name=name)


@pytest.mark.parametrize("path", ["buildspec.yml", "ci/build.yaml", "build.json", "a..b/buildspec.yml"])
def test_paths_of_buildspecs_are_accepted(path):
    BuildProject(a_stack(), "Build", buildspec=path)


@pytest.mark.parametrize(
    "text", ["", "buildspec", "version: 0.2\nphases:\n  build:\n    commands: make\n", "make\n.yml"]
)
def test_fails_when_the_buildspec_is_no_path(text):
    with refuses(
        "is no path", repr(text[:60]), at="Shop/Build", fix="give the path in the repository: 'buildspec.yml'"
    ):
        BuildProject(a_stack(), "Build", buildspec=text)


@pytest.mark.parametrize("path", ["/buildspec.yml", "../buildspec.yml", "ci/../../buildspec.yml"])
def test_fails_when_the_buildspec_is_outside_of_the_revision(path):
    with refuses(repr(path), at="Shop/Build", fix="give a path relative to the root of the repository"):
        BuildProject(a_stack(), "Build", buildspec=path)


def test_a_buildspec_written_here_is_the_projects_own():
    stack = a_stack()
    spec = Buildspec(phases=Phases(build=Phase(commands=["make", "echo 'a: b'"])))
    BuildProject(stack, "Build", buildspec=spec)
    text = only(synthesized(stack), "AWS::CodeBuild::Project")["Source"]["BuildSpec"]
    assert Buildspec.from_text(text) == spec


def test_fails_when_its_buildspec_needs_what_the_build_host_lacks():
    spec = Buildspec(phases=Phases(build=Phase(commands=["docker build ."])))
    with refuses("docker build", at="Shop/Build", fix="privileged"):
        BuildProject(a_stack(), "Build", buildspec=spec)
    BuildProject(a_stack(), "Build", buildspec=spec, privileged=True)


def test_fails_when_its_buildspec_gives_a_secret_away():
    secret = Env(variables={"KEY_ID": "AKIAIOSFODNN7EXAMPLE"})
    spec = Buildspec(env=secret, phases=Phases(build=Phase(commands=["make"])))
    with pytest.raises(ConfigurationError, match="secrets-manager") as refused:
        BuildProject(a_stack(), "Build", buildspec=spec)
    assert "BS302" in str(refused.value)
    assert "AKIA" not in str(refused.value)


def test_smells_of_its_buildspec_are_warnings():
    stack = a_stack()
    spec = Buildspec(env=Env(variables={"CODEBUILD_MINE": "1"}), phases=Phases(build=Phase(commands=["make"])))
    BuildProject(stack, "Build", buildspec=spec)
    [warning] = assertions.Annotations.from_stack(stack).find_warning(
        "/Shop/Build", assertions.Match.string_like_regexp("BS301")
    )
    assert "CODEBUILD_MINE" in str(warning.entry.data)


def test_parameters_are_let_through():
    stack = a_stack()
    text = CfnParameter(stack, "Text").value_as_string
    minutes = Duration.minutes(CfnParameter(stack, "Minutes", type="Number").value_as_number)
    BuildProject(stack, "Build", project_name=text, buildspec=text, timeout=minutes, queued_timeout=minutes)
    project = only(synthesized(stack), "AWS::CodeBuild::Project")
    assert project["Name"] == project["Source"]["BuildSpec"] == {"Ref": "Text"}
    assert project["TimeoutInMinutes"] == project["QueuedTimeoutInMinutes"] == {"Ref": "Minutes"}


@pytest.fixture(scope="module")
def own():
    """A project with a source and a log of its own."""
    stack = Stack(App(), "Own")
    store = BuildBucket(stack, "Store", expires_after=Duration.days(14))
    BuildProject(
        stack,
        "Build",
        source=GIT,
        webhook=ON_PUSH,
        badge=True,
        auto_retry_limit=2,
        concurrent_build_limit=3,
        cache=S3Cache(bucket=store.bucket),
        log_retention=logs.RetentionDays.ONE_WEEK,
        log_key=store.key,
        log_bucket=store.bucket,
    )
    return synthesized(stack)


def test_a_source_of_its_own_is_built_and_not_a_pipelines(own):
    project = only(own, "AWS::CodeBuild::Project")
    assert project["Source"]["Location"] == "https://github.com/acme/shop.git"
    assert project["SourceVersion"] == "dev"
    assert project["Artifacts"] == {"Type": "NO_ARTIFACTS"}
    assert project["Triggers"]["Webhook"] is True


def test_badge_retries_and_concurrency_are_as_asked_for(own):
    project = only(own, "AWS::CodeBuild::Project")
    assert (project["BadgeEnabled"], project["AutoRetryLimit"], project["ConcurrentBuildLimit"]) == (True, 2, 3)


def test_what_it_stores_is_encrypted_with_the_buckets_key(own):
    [key] = of_type(own, "AWS::KMS::Key")
    assert only(own, "AWS::CodeBuild::Project")["EncryptionKey"] == {"Fn::GetAtt": [key, "Arn"]}


def test_the_log_has_its_key_its_time_and_a_copy(own):
    [key] = of_type(own, "AWS::KMS::Key")
    group = only(own, "AWS::Logs::LogGroup")
    assert (group["RetentionInDays"], group["KmsKeyId"]) == (7, {"Fn::GetAtt": [key, "Arn"]})
    copy = only(own, "AWS::CodeBuild::Project")["LogsConfig"]["S3Logs"]
    assert (copy["Status"], copy["EncryptionDisabled"]) == ("ENABLED", False)
    assert text_of(copy["Location"]).endswith("/logs/Own-Build")


def test_cloudwatch_may_use_the_logs_key_for_logs(own):
    statements = only(own, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
    [of_logs] = [one for one in statements if "logs." in text_of(one["Principal"].get("Service", ""))]
    assert list(of_logs["Condition"]["ArnLike"]) == ["kms:EncryptionContext:aws:logs:arn"]


def test_the_role_can_be_allowed_more():
    stack = a_stack()
    build = BuildProject(stack, "Build")
    build.allow(Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::shop/a"]))
    assert "s3:GetObject on arn:aws:s3:::shop/a" in allowed(synthesized(stack), "BuildRolePolicy")


def test_a_key_for_the_log_goes_before_the_pipelines():
    stack = a_stack()
    key = kms.Key(stack, "LogKey")
    DeliveryPipeline(stack, "Pipeline", source=a_source(), build=BuildProject(stack, "Build", log_key=key))
    group = only(synthesized(stack), "AWS::Logs::LogGroup")
    assert group["KmsKeyId"]["Fn::GetAtt"][0].startswith("LogKey")


def test_a_cache_of_a_build_in_a_pipeline_leaves_its_artifacts_to_the_pipelines_key():
    stack = a_stack()
    store = BuildBucket(stack, "Store", expires_after=Duration.days(14))
    build = BuildProject(stack, "Build", cache=S3Cache(bucket=store.bucket))
    DeliveryPipeline(stack, "Pipeline", source=a_source(), build=build)
    key = only(synthesized(stack), "AWS::CodeBuild::Project")["EncryptionKey"]
    assert key["Fn::GetAtt"][0].startswith("PipelineArtifactsKey")


def test_fails_when_a_pipeline_gets_a_build_with_a_source_of_its_own():
    stack = a_stack()
    build = BuildProject(stack, "Build", source=GIT)
    with refuses("https://github.com/acme/shop.git", at="Shop/Build", fix="leave out source="):
        DeliveryPipeline(stack, "Pipeline", source=a_source(), build=build)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("webhook", ON_PUSH),
        ("badge", True),
        ("auto_retry_limit", 1),
        ("artifacts", S3Artifacts(bucket=s3.Bucket.from_bucket_name(a_stack(), "Bucket", "store"))),
    ],
)
def test_fails_when_a_build_in_a_pipeline_has_no_such_thing(argument, value):
    with refuses(f"{argument}= for a build in a pipeline", at="Shop/Build", fix="or give source= too"):
        BuildProject(a_stack(), "Build", **{argument: value})


def test_fails_when_a_source_in_s3_has_a_badge():
    stack = a_stack()
    source = ProjectSource.s3(s3.Bucket.from_bucket_name(stack, "Bucket", "store"), "a.zip")
    with refuses("badge=True", at="Shop/Build", fix="leave out badge="):
        BuildProject(stack, "Build", source=source, badge=True)


def test_fails_when_the_source_has_no_webhooks():
    stack = a_stack()
    source = ProjectSource.codecommit(codecommit.Repository.from_repository_name(stack, "Repository", "shop"))
    with refuses("a webhook at CODECOMMIT", at="Shop/Build", fix="leave out webhook="):
        BuildProject(stack, "Build", source=source, webhook=ON_PUSH)


def test_fails_when_the_provider_does_not_tell_what_the_webhook_asks():
    source = ProjectSource.bitbucket("acme/shop", connection=CONNECTION)
    runner = Webhook.actions_runner()
    with refuses("Bitbucket has no event WORKFLOW_JOB_QUEUED", at="Shop/Build", fix="PUSH"):
        BuildProject(a_stack(), "Build", source=source, webhook=runner)


def test_fails_when_the_connection_is_pending_as_long_as_the_webhook_needs_it():
    stack = a_stack()
    connection = CodeConnection.github(stack, "GitHub")
    source = ProjectSource.github("acme/shop", connection=connection)
    with refuses("PENDING", at="Shop/Build", fix="CodeConnection.from_connection_arn"):
        BuildProject(stack, "Build", source=source, webhook=ON_PUSH)
    BuildProject(stack, "WithoutWebhook", source=source)
    BuildProject(Stack(stack.node.root, "Later"), "Build", source=source, webhook=ON_PUSH)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"auto_retry_limit": 11}, "give 0 to 10"),
        ({"auto_retry_limit": -1}, "give 0 to 10"),
        ({"concurrent_build_limit": 0}, "give 1 or more"),
    ],
)
def test_fails_when_codebuild_takes_no_such_number(settings, fix):
    [(argument, value)] = settings.items()
    with refuses(f"{argument}={value}", at="Shop/Build", fix=fix):
        BuildProject(a_stack(), "Build", source=GIT, **settings)


@pytest.mark.parametrize("settings", [{"auto_retry_limit": 0}, {"auto_retry_limit": 10, "source": GIT}])
def test_retries_from_none_to_ten_are_accepted(settings):
    BuildProject(a_stack(), "Build", **settings)


def test_a_plain_project_asks_node_for_little(monkeypatch):
    """Round trips are most of what a construct costs; features that are not used add none."""
    from jsii._kernel.providers.process import _NodeProcess

    stack = a_stack()
    BuildProject(stack, "First")
    asked, send = [], _NodeProcess.send

    def counted(self, *request):
        asked.append(request)
        return send(self, *request)

    monkeypatch.setattr(_NodeProcess, "send", counted)
    BuildProject(stack, "Second")
    assert len(asked) <= 10


@pytest.mark.parametrize(
    ("artifacts", "names", "problem", "fix"),
    [
        (None, ["App"], "whose buildspec makes none", "artifacts=Artifacts(files=[…])"),
        (Artifacts(files=["**/*"]), ["App", "Infra"], "secondary artifacts are none", "secondary_artifacts={'App': …}"),
        (
            Artifacts(files=["**/*"], secondary_artifacts={"App": SecondaryArtifact(files=["a"])}),
            ["App", "Infra"],
            "'Infra' of the build, and the buildspec's secondary artifacts are App",
            "name in the pipeline what it makes",
        ),
    ],
    ids=["none", "one", "another"],
)
def test_fails_when_a_pipeline_takes_what_the_buildspec_does_not_make(artifacts, names, problem, fix):
    stack = a_stack()
    spec = Buildspec(phases=Phases(build=Phase(commands=["make"])), artifacts=artifacts)
    build = BuildProject(stack, "Build", buildspec=spec)
    with refuses(problem, at="Shop/Build", fix=fix):
        DeliveryPipeline(stack, "Pipeline", source=a_source(), build=build, build_artifacts=names)


def test_a_pipeline_takes_what_the_buildspec_makes_and_what_only_the_repository_knows():
    stack = a_stack()
    files = SecondaryArtifact(files=["**/*"])
    several = Artifacts(files=["**/*"], secondary_artifacts={"App": files, "Infra": files, "Docs": files})
    phases = Phases(build=Phase(commands=["make"]))
    cases: list[tuple[str | Buildspec, list[str] | None]] = [
        (Buildspec(phases=phases, artifacts=several), ["App", "Infra"]),
        (Buildspec(phases=phases, artifacts=Artifacts(files=["**/*"])), None),
        ("buildspec.yml", ["App", "Infra"]),
    ]
    for number, (buildspec, names) in enumerate(cases):
        build = BuildProject(stack, f"Build{number}", buildspec=buildspec)
        # Nothing is raised.
        DeliveryPipeline(stack, f"Pipeline{number}", source=a_source(), build=build, build_artifacts=names)


def test_fails_when_a_buildspec_or_a_time_is_of_another_kind():
    stack = a_stack()
    with refuses("buildspec= is a ", at="Shop/One", fix="or a Buildspec(phases=…)"):
        BuildProject(stack, "One", buildspec=codebuild.BuildSpec.from_object({"version": 0.2}))  # type: ignore[arg-type]
    with refuses("timeout=30", at="Shop/Other", fix="timeout=Duration.minutes(…)"):
        BuildProject(stack, "Other", timeout=30)  # type: ignore[arg-type]
