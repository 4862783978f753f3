"""The build project: starts where it should, stops when it should, and may write its log and nothing else."""

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack, assertions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_kms as kms

from code_family_constructs import BuildProject, Buildspec, ConfigurationError, Statement
from code_family_constructs.build.buildspec import Env, Phase, Phases
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses


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
