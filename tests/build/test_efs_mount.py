"""File systems of EFS: mounted, reachable, and no to what cannot be mounted."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs

from code_family_constructs import BuildProject
from code_family_constructs.build.efs_mount import EfsMount
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, only, refuses


def given(stack):
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc, allow_all_outbound=False)
    files = efs.FileSystem.from_file_system_attributes(stack, "Files", file_system_id="fs-1", security_group=group)
    return vpc, files


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    vpc, files = given(stack)
    BuildProject(
        stack,
        "Build",
        vpc=vpc,
        file_systems=[
            EfsMount(file_system=files, identifier="maven", mount_point="/mnt/m2", directory="/builds/m2"),
            EfsMount(file_system=files, identifier="all", mount_point="/mnt/all", mount_options="nfsvers=4.1,ro"),
        ],
    )
    return synthesized(stack)


def test_a_folder_of_it_is_a_folder_in_the_build(template):
    maven, everything = only(template, "AWS::CodeBuild::Project")["FileSystemLocations"]
    assert text_of(maven.pop("Location")) == "fs-1.efs.<AWS::Region>.<AWS::URLSuffix>:/builds/m2"
    assert maven == {"Type": "EFS", "Identifier": "maven", "MountPoint": "/mnt/m2"}
    assert text_of(everything["Location"]).endswith(":/")
    assert everything["MountOptions"] == "nfsvers=4.1,ro"


def test_builds_reach_it(template):
    ingress = only(template, "AWS::EC2::SecurityGroupIngress")
    assert ingress["FromPort"] == 2049
    assert ingress["GroupId"]["Fn::GetAtt"][0].startswith("Group")
    assert ingress["SourceSecurityGroupId"]["Fn::GetAtt"][0].startswith("BuildSecurityGroup")


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"identifier": "my-files"}, "'my-files'", "letters, digits and underscores"),
        ({"identifier": ""}, "''", "1 to 128"),
        ({"identifier": "a" * 129}, "aaa", "1 to 128"),
        ({"mount_point": "mnt"}, "'mnt'", "from the root"),
        ({"mount_point": "/"}, "'/'", "'/mnt/cache'"),
    ],
)
def test_fails_when_it_cannot_be_mounted(settings, problem, fix):
    stack = a_stack()
    vpc, files = given(stack)
    one = EfsMount(file_system=files, **{"identifier": "files", "mount_point": "/mnt/files", **settings})
    with refuses(problem, at="Shop/Build", fix=fix):
        BuildProject(stack, "Build", vpc=vpc, file_systems=[one])


def test_fails_when_two_would_have_one_variable():
    stack = a_stack()
    vpc, files = given(stack)
    both = [EfsMount(file_system=files, identifier=name, mount_point=f"/mnt/{name}") for name in ("maven", "MAVEN")]
    with refuses("'MAVEN'", at="Shop/Build", fix="one of its own"):
        BuildProject(stack, "Build", vpc=vpc, file_systems=both)


def test_fails_when_there_is_no_vpc():
    stack = a_stack()
    one = EfsMount(file_system=given(stack)[1], identifier="files", mount_point="/mnt/files")
    with refuses("without a VPC", at="Shop/Build", fix="give vpc= too"):
        BuildProject(stack, "Build", file_systems=[one])


@pytest.mark.parametrize(
    "image",
    [
        codebuild.WindowsBuildImage.WIN_SERVER_CORE_2019_BASE_3_0,
        codebuild.LinuxLambdaBuildImage.AMAZON_LINUX_2023_NODE_22,
    ],
)
def test_fails_when_the_machine_mounts_nothing(image):
    stack = a_stack()
    one = EfsMount(file_system=given(stack)[1], identifier="files", mount_point="/mnt/files")
    with refuses("has no file_systems", at="Shop/Build", fix="leave out file_systems="):
        BuildProject(stack, "Build", file_systems=[one], build_image=image)
