"""Builds in a VPC: in private subnets from which they reach something, and nothing reaches them."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2

from code_family_constructs import BuildProject
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, of_type, only, refuses

TYPE = ec2.SubnetType


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    build = BuildProject(stack, "Build", vpc=vpc)
    assert build.security_group is not None
    return synthesized(stack)


def test_builds_run_in_the_private_subnets_with_a_way_out(template):
    subnets = only(template, "AWS::CodeBuild::Project")["VpcConfig"]["Subnets"]
    assert len(subnets) == 2
    for subnet in subnets:
        assert of_type(template, "AWS::EC2::Subnet")[subnet["Ref"]]["MapPublicIpOnLaunch"] is False


def test_nothing_reaches_a_build(template):
    [group] = of_type(template, "AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group
    assert of_type(template, "AWS::EC2::SecurityGroupIngress") == {}


def test_a_docker_server_listens_to_builds_of_this_project_only():
    stack = a_stack()
    vpc = given_vpc(stack)
    BuildProject(stack, "Build", vpc=vpc, docker_server=codebuild.DockerServerComputeType.SMALL)
    template = synthesized(stack)
    [group] = of_type(template, "AWS::EC2::SecurityGroup")
    ingress = only(template, "AWS::EC2::SecurityGroupIngress")
    own = {"Fn::GetAtt": [group, "GroupId"]}
    assert (ingress["FromPort"], ingress["ToPort"]) == (9876, 9876)
    assert ingress["GroupId"] == ingress["SourceSecurityGroupId"] == own
    server = only(template, "AWS::CodeBuild::Project")["Environment"]["DockerServer"]
    assert server == {"ComputeType": "BUILD_GENERAL1_SMALL", "SecurityGroupIds": [own]}


def given_vpc(stack, **subnets):
    subnets = subnets or {"private_subnet_ids": ["subnet-1"]}
    return ec2.Vpc.from_vpc_attributes(stack, "Vpc", vpc_id="vpc-1", availability_zones=["a"], **subnets)


def test_a_build_outside_of_a_vpc_has_no_security_group():
    assert BuildProject(a_stack(), "Build").security_group is None


def test_some_subnets_can_be_chosen():
    stack = a_stack()
    vpc = given_vpc(stack, private_subnet_ids=["subnet-1"], isolated_subnet_ids=["subnet-2"])
    chosen = ec2.SubnetSelection(subnets=vpc.isolated_subnets)
    BuildProject(stack, "Build", vpc=vpc, subnet_selection=chosen)
    assert only(synthesized(stack), "AWS::CodeBuild::Project")["VpcConfig"]["Subnets"] == ["subnet-2"]


def test_fails_when_the_vpc_has_no_way_out():
    stack = a_stack()
    vpc = given_vpc(stack, isolated_subnet_ids=["subnet-1"])
    with refuses("'Shop/Vpc' has no private subnets", at="Shop/Build", fix="PRIVATE_WITH_EGRESS"):
        BuildProject(stack, "Build", vpc=vpc)


@pytest.mark.parametrize("kind", [TYPE.PUBLIC, TYPE.PRIVATE_ISOLATED])
def test_fails_when_builds_would_reach_nothing(kind):
    stack = a_stack()
    vpc = given_vpc(stack, public_subnet_ids=["subnet-1"], isolated_subnet_ids=["subnet-2"])
    with refuses(kind.name, "cannot reach AWS", at="Shop/Build", fix="use PRIVATE_WITH_EGRESS"):
        BuildProject(stack, "Build", vpc=vpc, subnet_selection=ec2.SubnetSelection(subnet_type=kind))


def test_fails_when_a_chosen_subnet_is_public():
    stack = a_stack()
    vpc = given_vpc(stack, public_subnet_ids=["subnet-1"])
    chosen = ec2.SubnetSelection(subnets=vpc.public_subnets)
    with refuses("public subnets", at="Shop/Build", fix="PRIVATE_WITH_EGRESS"):
        BuildProject(stack, "Build", vpc=vpc, subnet_selection=chosen)


def test_fails_when_there_are_more_subnets_than_codebuild_takes():
    stack = a_stack()
    vpc = given_vpc(stack, private_subnet_ids=[f"subnet-{number}" for number in range(17)])
    with refuses("17 subnets", at="Shop/Build", fix="subnet_selection="):
        BuildProject(stack, "Build", vpc=vpc)


def test_fails_when_subnets_have_no_vpc():
    with refuses("subnet_selection= without a VPC", at="Shop/Build", fix="give vpc= too"):
        BuildProject(a_stack(), "Build", subnet_selection=ec2.SubnetSelection())
