"""Batches: who may start them, how large they get, and which buildspecs fit."""

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_s3 as s3

from code_family_constructs import BuildProject, Buildspec, CodeConnection
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.batch import BatchBuilds, builds_of
from code_family_constructs.build.buildspec import (
    Artifacts,
    Batch,
    BatchEnv,
    BatchTask,
    BuildFanout,
    BuildMatrix,
    MatrixDynamic,
    MatrixEnv,
    Phase,
    Phases,
)
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.testing import synthesized
from tests.helpers import CONNECTION_ARN, a_stack, of_type, only, refuses

PHASES = Phases(build=Phase(commands=["make"]))
TWO = Batch(build_list=[BatchTask(identifier="a"), BatchTask(identifier="b")])
MATRIX = Batch(
    build_matrix=BuildMatrix(
        dynamic=MatrixDynamic(
            buildspec=["a.yml", "b.yml"],
            env=MatrixEnv(
                compute_type=["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"], variables={"V": ["1", "2", "3"]}
            ),
        )
    )
)


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "store")
    BuildProject(
        stack,
        "Build",
        source=ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN)),
        artifacts=S3Artifacts(bucket=bucket),
        buildspec=Buildspec(phases=PHASES, batch=TWO, artifacts=Artifacts(files=["**/*"])),
        batch=BatchBuilds(
            maximum_builds_allowed=2,
            compute_types_allowed=[codebuild.ComputeType.X2_LARGE],
            timeout=Duration.minutes(45),
            combine_artifacts=True,
            report_individual_builds=True,
        ),
    )
    return synthesized(stack)


def test_batches_are_restricted_as_asked_for(template):
    config = dict(only(template, "AWS::CodeBuild::Project")["BuildBatchConfig"])
    role = config.pop("ServiceRole")
    assert role["Fn::GetAtt"][0].startswith("BuildBatchRole")
    assert config == {
        "CombineArtifacts": True,
        "TimeoutInMins": 45,
        "BatchReportMode": "REPORT_INDIVIDUAL_BUILDS",
        "Restrictions": {"MaximumBuildsAllowed": 2, "ComputeTypesAllowed": ["BUILD_GENERAL1_2XLARGE"]},
    }


def test_the_role_of_batches_serves_this_project_only(template):
    roles = of_type(template, "AWS::IAM::Role")
    [batch] = [role for name, role in roles.items() if name.startswith("BuildBatchRole")]
    [trust] = batch["AssumeRolePolicyDocument"]["Statement"]
    assert "project/Shop-Build" in str(trust["Condition"]["ArnLike"])


@pytest.mark.parametrize(
    ("batch", "count"),
    [
        (TWO, 2),
        (Batch(build_graph=[BatchTask(identifier="a"), BatchTask(identifier="b", depend_on=["a"])]), 2),
        (MATRIX, 12),
        (Batch(build_matrix=BuildMatrix(dynamic=MatrixDynamic(env=MatrixEnv(image=["a", "b"])))), 2),
        (Batch(build_fanout=BuildFanout(parallelism=7)), 7),
    ],
)
def test_builds_are_counted_as_codebuild_starts_them(batch, count):
    assert builds_of(batch) == count


def project(batch, spec, **settings):
    return BuildProject(a_stack(), "Build", batch=batch, buildspec=spec, **settings)


def test_fails_when_the_buildspec_has_a_batch_and_the_project_none():
    with refuses("the project runs none", at="Shop/Build", fix="batch=BatchBuilds()"):
        project(None, Buildspec(phases=PHASES, batch=TWO))


def test_fails_when_the_project_has_batches_and_the_buildspec_none():
    with refuses("for a buildspec without one", at="Shop/Build", fix="write batch:"):
        project(BatchBuilds(), Buildspec(phases=PHASES))


def test_fails_when_the_batch_is_larger_than_allowed():
    with refuses("12 builds", "maximum_builds_allowed=10", at="Shop/Build", fix="raise it to 12"):
        project(BatchBuilds(maximum_builds_allowed=10), Buildspec(phases=PHASES, batch=MATRIX))


@pytest.mark.parametrize(
    "batch",
    [
        MATRIX,
        Batch(build_list=[BatchTask(identifier="a", env=BatchEnv(compute_type="BUILD_GENERAL1_LARGE"))]),
        Batch(build_graph=[BatchTask(identifier="a", env=BatchEnv(compute_type="BUILD_GENERAL1_LARGE"))]),
    ],
)
def test_fails_when_a_build_wants_what_is_not_allowed(batch):
    only_small = BatchBuilds(compute_types_allowed=[codebuild.ComputeType.SMALL])
    with refuses("BUILD_GENERAL1_LARGE", at="Shop/Build", fix="BUILD_GENERAL1_SMALL"):
        project(only_small, Buildspec(phases=PHASES, batch=batch))
    project(BatchBuilds(), Buildspec(phases=PHASES, batch=batch))


@pytest.mark.parametrize("count", [0, 101])
def test_fails_when_codebuild_takes_no_such_number(count):
    with refuses(f"maximum_builds_allowed={count}", at="Shop/Build", fix="give 1 to 100"):
        project(BatchBuilds(maximum_builds_allowed=count), "buildspec.yml")


def test_fails_when_codebuild_takes_no_such_time():
    with refuses("timeout of a batch=1 minutes", at="Shop/Build", fix="Duration.minutes(5)"):
        project(BatchBuilds(timeout=Duration.minutes(1)), "buildspec.yml")


def test_fails_when_there_are_no_artifacts_to_combine():
    source = ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN))
    with refuses("keeps none", at="Shop/Build", fix="give artifacts= too"):
        project(BatchBuilds(combine_artifacts=True), "buildspec.yml", source=source)
    project(BatchBuilds(combine_artifacts=True), "buildspec.yml")
