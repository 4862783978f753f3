"""Where builds run: the smallest machine that does, and no by what a machine cannot do."""

import pytest
from aws_cdk import Duration
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2

from code_family_constructs import BuildProject, Buildspec
from code_family_constructs.build.buildspec import Cache, Phase, Phases
from code_family_constructs.build.compute import _COMPUTE_TYPES, name_of
from code_family_constructs.build.fleet import Fleet
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, only, refuses

LINUX = codebuild.LinuxBuildImage.STANDARD_7_0
ARM = codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0
GPU = codebuild.LinuxGpuBuildImage.DLC_PYTORCH_1_4_0_TRAINING
WINDOWS_2019 = codebuild.WindowsBuildImage.WIN_SERVER_CORE_2019_BASE_3_0
WINDOWS_2022 = codebuild.WindowsBuildImage.WIN_SERVER_CORE_2022_BASE_3_0
ON_LAMBDA = codebuild.LinuxLambdaBuildImage.AMAZON_LINUX_2023_PYTHON_3_13
ON_ARM_LAMBDA = codebuild.LinuxArmLambdaBuildImage.AMAZON_LINUX_2023_PYTHON_3_13
MAC = codebuild.MacBuildImage.BASE_15
OLD_WINDOWS = codebuild.WindowsBuildImage.WINDOWS_BASE_2_0


def project_on(image, **settings):
    stack = a_stack()
    BuildProject(stack, "Build", build_image=image, **settings)
    return only(synthesized(stack), "AWS::CodeBuild::Project")


@pytest.mark.parametrize(
    ("image", "kind", "smallest"),
    [
        (LINUX, "LINUX_CONTAINER", "BUILD_GENERAL1_SMALL"),
        (ARM, "ARM_CONTAINER", "BUILD_GENERAL1_SMALL"),
        (GPU, "LINUX_GPU_CONTAINER", "BUILD_GENERAL1_SMALL"),
        (WINDOWS_2019, "WINDOWS_SERVER_2019_CONTAINER", "BUILD_GENERAL1_MEDIUM"),
        (WINDOWS_2022, "WINDOWS_SERVER_2022_CONTAINER", "BUILD_GENERAL1_MEDIUM"),
        (ON_LAMBDA, "LINUX_LAMBDA_CONTAINER", "BUILD_LAMBDA_1GB"),
        (ON_ARM_LAMBDA, "ARM_LAMBDA_CONTAINER", "BUILD_LAMBDA_1GB"),
    ],
)
def test_builds_run_on_the_smallest_machine_unless_asked(image, kind, smallest):
    environment = project_on(image)["Environment"]
    assert (environment["Type"], environment["ComputeType"]) == (kind, smallest)


def test_lambda_gets_no_timeouts_which_it_would_refuse():
    assert not {"TimeoutInMinutes", "QueuedTimeoutInMinutes"} & set(project_on(ON_LAMBDA))


def test_each_size_that_is_accepted_is_in_cloudformations_and_codebuilds_words():
    names = {name_of(one) for sizes in _COMPUTE_TYPES.values() for one in sizes}
    assert names == {
        *(f"BUILD_GENERAL1_{size}" for size in ("SMALL", "MEDIUM", "LARGE", "XLARGE", "2XLARGE")),
        *(f"BUILD_LAMBDA_{size}GB" for size in (1, 2, 4, 8, 10)),
    }


@pytest.mark.parametrize(
    ("image", "size", "fix"),
    [
        (LINUX, "LAMBDA_1GB", "SMALL, MEDIUM, LARGE, X_LARGE, X2_LARGE"),
        (GPU, "MEDIUM", "SMALL, LARGE"),
        (WINDOWS_2019, "SMALL", "MEDIUM, LARGE"),
        (WINDOWS_2022, "X_LARGE", "MEDIUM, LARGE"),
        (ON_LAMBDA, "SMALL", "LAMBDA_1GB"),
        (ARM, "CUSTOM_INSTANCE_TYPE", "SMALL"),
    ],
)
def test_fails_when_there_is_no_machine_of_that_size(image, size, fix):
    with refuses(f"compute type {size}", at="Shop/Build", fix=f"ComputeType.{fix}"):
        BuildProject(a_stack(), "Build", build_image=image, compute_type=codebuild.ComputeType[size])


@pytest.mark.parametrize(("image", "fix"), [(MAC, "give fleet= too"), (OLD_WINDOWS, "take a newer image")])
def test_fails_when_machines_are_not_there_on_demand(image, fix):
    with refuses("which CodeBuild has not on demand", at="Shop/Build", fix=fix):
        BuildProject(a_stack(), "Build", build_image=image)


def vpc(stack):
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )


SETTINGS = {
    "privileged": lambda stack: True,
    "docker_server": lambda stack: codebuild.DockerServerComputeType.SMALL,
    "cache": lambda stack: [codebuild.LocalCacheMode.CUSTOM],
    "vpc": vpc,
    "timeout": lambda stack: Duration.minutes(10),
    "queued_timeout": lambda stack: Duration.minutes(10),
    "badge": lambda stack: True,
    "debug_session": lambda stack: True,
}


@pytest.mark.parametrize(
    ("image", "where", "argument"),
    [
        *((ON_LAMBDA, "Lambda compute", argument) for argument in SETTINGS),
        *((WINDOWS_2019, "Windows", argument) for argument in ("privileged", "docker_server", "debug_session")),
    ],
)
def test_fails_when_a_machine_cannot_do_it(image, where, argument):
    stack = a_stack()
    with refuses(f"{where} has no {argument}", at="Shop/Build", fix=f"leave out {argument}="):
        BuildProject(stack, "Build", build_image=image, **{argument: SETTINGS[argument](stack)})


def test_a_fleet_decides_on_the_size():
    stack = a_stack()
    fleet = Fleet(stack, "Fleet")
    with refuses("SMALL beside a fleet", at="Shop/Build", fix="leave out compute_type="):
        BuildProject(stack, "Build", fleet=fleet, compute_type=codebuild.ComputeType.SMALL)


def test_a_fleet_has_the_vpc():
    stack = a_stack()
    with refuses("a project on a fleet has no vpc", at="Shop/Build", fix="give it to the codebuild.Fleet"):
        BuildProject(stack, "Build", fleet=Fleet(stack, "Fleet"), vpc=vpc(stack))


@pytest.mark.parametrize("ours", [True, False])
def test_fails_when_the_image_is_for_other_machines_than_the_fleets(ours):
    stack = a_stack()
    arm = codebuild.EnvironmentType.ARM_CONTAINER
    fleet = (
        Fleet(stack, "Fleet", environment_type=arm)
        if ours
        else codebuild.Fleet(
            stack, "Fleet", base_capacity=1, environment_type=arm, compute_type=codebuild.FleetComputeType.SMALL
        )
    )
    with refuses("LINUX_CONTAINER on a fleet of ARM_CONTAINER", at="Shop/Build", fix="for ARM_CONTAINER"):
        BuildProject(stack, "Build", fleet=fleet)
    BuildProject(stack, "OnArm", fleet=fleet, build_image=ARM)


def test_an_imported_fleet_is_taken_as_it_is():
    stack = a_stack()
    arn = "arn:aws:codebuild:eu-west-1:111111111111:fleet/shared:1234"
    BuildProject(stack, "Build", fleet=codebuild.Fleet.from_fleet_arn(stack, "Fleet", arn))
    assert only(synthesized(stack), "AWS::CodeBuild::Project")["Environment"]["Fleet"] == {"FleetArn": arn}


@pytest.mark.parametrize("image", [ON_LAMBDA, LINUX])
def test_the_buildspec_is_checked_for_the_machine(image):
    spec = Buildspec(phases=Phases(build=Phase(commands=["make"], on_failure="RETRY")))
    stack = a_stack()
    fleet = None if image is ON_LAMBDA else Fleet(stack, "Fleet")
    with refuses("on-failure", at="Shop/Build", fix="remove it"):
        BuildProject(stack, "Build", build_image=image, fleet=fleet, buildspec=spec)
    BuildProject(stack, "OnDemand", buildspec=spec)


def test_a_docker_server_is_a_docker_daemon():
    spec = Buildspec(phases=Phases(build=Phase(commands=["docker build ."])), cache=Cache())
    BuildProject(a_stack(), "Build", buildspec=spec, docker_server=codebuild.DockerServerComputeType.SMALL)
