"""Caches: where they are, who shares them, and local ones that would never be used."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3

from code_family_constructs import BuildProject, CodeConnection
from code_family_constructs.build.cache import S3Cache
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_stack, of_type, refuses

MODE = codebuild.LocalCacheMode
GIT = ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN))


@pytest.fixture(scope="module")
def caches():
    stack = Stack(App(), "Shop")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "store")
    BuildProject(stack, "None")
    BuildProject(stack, "Own", cache=S3Cache(bucket=bucket))
    BuildProject(stack, "Shared", cache=S3Cache(bucket=bucket, namespace="npm"))
    BuildProject(stack, "Local", cache=[MODE.SOURCE, MODE.DOCKER_LAYER, MODE.CUSTOM], privileged=True, source=GIT)
    projects = of_type(synthesized(stack), "AWS::CodeBuild::Project").values()
    return {project["Name"].removeprefix("Shop-"): project["Cache"] for project in projects}


def test_nothing_is_cached_unless_asked(caches):
    assert caches["None"] == {"Type": "NO_CACHE"}


def test_each_project_has_a_folder_of_its_own(caches):
    assert caches["Own"]["Type"] == "S3"
    assert text_of(caches["Own"]["Location"]) == "store/cache/Shop-Own"


def test_projects_that_share_a_cache_have_one_folder(caches):
    assert text_of(caches["Shared"]["Location"]) == "store/cache/npm"
    assert caches["Shared"]["CacheNamespace"] == "npm"


def test_local_caches_are_named(caches):
    modes = ["LOCAL_SOURCE_CACHE", "LOCAL_DOCKER_LAYER_CACHE", "LOCAL_CUSTOM_CACHE"]
    assert caches["Local"] == {"Type": "LOCAL", "Modes": modes}


def a_vpc(stack):
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )


@pytest.mark.parametrize(
    ("modes", "settings", "problem", "fix"),
    [
        ([], {}, "cache=[]", "name a LocalCacheMode"),
        ([MODE.DOCKER_LAYER], {}, "without privileged mode", "set privileged=True"),
        ([MODE.SOURCE], {}, "no Git repository", "leave out LocalCacheMode.SOURCE"),
        ([MODE.CUSTOM], {"vpc": a_vpc}, "in a VPC", "S3Cache(bucket=…)"),
        ([MODE.CUSTOM], {"compute_type": codebuild.ComputeType.X2_LARGE}, "X2_LARGE", "S3Cache(bucket=…)"),
        (
            [MODE.CUSTOM],
            {"build_image": codebuild.LinuxGpuBuildImage.DLC_PYTORCH_1_4_0_TRAINING},
            "GPU",
            "S3Cache(bucket=…)",
        ),
        (
            [MODE.DOCKER_LAYER],
            {"build_image": codebuild.WindowsBuildImage.WIN_SERVER_CORE_2019_BASE_3_0},
            "WINDOWS",
            "build on Linux",
        ),
    ],
)
def test_fails_when_a_local_cache_would_not_be_used(modes, settings, problem, fix):
    stack = a_stack()
    given = {name: value(stack) if callable(value) else value for name, value in settings.items()}
    with refuses(problem, at="Shop/Build", fix=fix):
        BuildProject(stack, "Build", cache=modes, **given)
