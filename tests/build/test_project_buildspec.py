"""A buildspec in a project has to fit to it: what it keeps, caches and runs."""

import pytest
from aws_cdk import assertions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_s3 as s3

from code_family_constructs import BuildProject, Buildspec, CodeConnection
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.buildspec import Artifacts, Cache, Phase, Phases, SecondaryArtifact
from code_family_constructs.build.cache import S3Cache
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.build.webhooks import Webhook
from tests.helpers import CONNECTION_ARN, a_stack, refuses

GIT = ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN))
PHASES = Phases(build=Phase(commands=["make"]))
KEEPS = Artifacts(files=["**/*"])
KEEPS_TWO = Artifacts(files=["**/*"], secondary_artifacts={"docs": SecondaryArtifact(files=["docs/*"])})


def kept(stack):
    return S3Artifacts(bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "store"))


def test_what_the_buildspec_keeps_is_what_the_project_keeps():
    stack = a_stack()
    here = kept(stack)
    spec = Buildspec(phases=PHASES, artifacts=KEEPS_TWO)
    BuildProject(stack, "Build", source=GIT, buildspec=spec, artifacts=here, secondary_artifacts={"docs": here})


def test_in_a_pipeline_the_pipeline_takes_them():
    BuildProject(a_stack(), "Build", buildspec=Buildspec(phases=PHASES, artifacts=KEEPS_TWO))
    BuildProject(a_stack(), "Build", buildspec=Buildspec(phases=PHASES))


def test_fails_when_artifacts_would_be_lost():
    with refuses("the project keeps none", at="Shop/Build", fix="artifacts=S3Artifacts(bucket=…)"):
        BuildProject(a_stack(), "Build", source=GIT, buildspec=Buildspec(phases=PHASES, artifacts=KEEPS))


def test_fails_when_there_would_be_no_artifacts():
    stack = a_stack()
    with refuses("each build would fail", at="Shop/Build", fix="write artifacts: files:"):
        BuildProject(stack, "Build", source=GIT, buildspec=Buildspec(phases=PHASES), artifacts=kept(stack))


@pytest.mark.parametrize(
    ("spec", "further", "problem"),
    [(KEEPS_TWO, (), "'docs' is in the buildspec only"), (KEEPS, ("site",), "'site' is in secondary_artifacts= only")],
)
def test_fails_when_secondary_artifacts_are_others(spec, further, problem):
    stack = a_stack()
    here = kept(stack)
    with refuses(problem, at="Shop/Build", fix="the identifiers"):
        BuildProject(
            stack,
            "Build",
            source=GIT,
            buildspec=Buildspec(phases=PHASES, artifacts=spec),
            artifacts=here,
            secondary_artifacts=dict.fromkeys(further, here),
        )


def test_warns_when_there_is_no_cache_for_what_the_buildspec_caches():
    stack = a_stack()
    spec = Buildspec(phases=PHASES, cache=Cache(paths=["node_modules/**/*"]))
    BuildProject(stack, "Build", buildspec=spec)
    BuildProject(stack, "Cached", buildspec=spec, cache=S3Cache(bucket=kept(stack).bucket))
    annotations = assertions.Annotations.from_stack(stack)
    unused = assertions.Match.string_like_regexp("the project has none: give cache=")
    assert len(annotations.find_warning("/Shop/Build", unused)) == 1
    assert annotations.find_warning("/Shop/Cached", unused) == []


def test_fails_when_a_local_cache_has_no_folders():
    custom = [codebuild.LocalCacheMode.CUSTOM]
    with refuses("LocalCacheMode.CUSTOM", at="Shop/Build", fix="write cache: paths:"):
        BuildProject(a_stack(), "Build", buildspec=Buildspec(phases=PHASES), cache=custom)
    spec = Buildspec(phases=PHASES, cache=Cache(paths=["node_modules"]))
    BuildProject(a_stack(), "Build", buildspec=spec, cache=custom)


def test_fails_when_a_runner_would_skip_the_build_phase():
    with refuses("has a build phase", at="Shop/Build", fix="pre_build"):
        BuildProject(
            a_stack(), "Build", source=GIT, webhook=Webhook.actions_runner(), buildspec=Buildspec(phases=PHASES)
        )
    before = Buildspec(phases=Phases(pre_build=Phase(commands=["make tools"])))
    BuildProject(a_stack(), "Build", source=GIT, webhook=Webhook.actions_runner(), buildspec=before)
