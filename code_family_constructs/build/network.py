"""Floor 1: builds inside of a VPC."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, arn

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_SUBNETS = 16
# Where a Docker server listens: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_DockerServer.html
_DOCKER_PORT = 9876


@dataclass(frozen=True, slots=True)
class Network:
    """Where builds run in a VPC.

    Attributes:
        security_group: Theirs alone.
        vpc_config: The VPC for CloudFormation.
        permissions: What the project's role needs.
    """

    security_group: ec2.SecurityGroup
    vpc_config: codebuild.CfnProject.VpcConfigProperty
    permissions: "Sequence[Statement]"


def check_subnets(at: Construct, vpc: ec2.IVpc | None, selection: ec2.SubnetSelection | None) -> "Sequence[str]":
    """Ids of the subnets; raises ConfigurationError for those from which a build would reach nothing.

    https://docs.aws.amazon.com/codebuild/latest/userguide/vpc-support.html#best-practices-for-vpcs
    """
    if vpc is None:
        if selection is not None:
            raise ConfigurationError("subnet_selection= without a VPC", at=at, fix="give vpc= too")
        return ()
    with_egress = ec2.SubnetType.PRIVATE_WITH_EGRESS
    fix = "give a VPC with PRIVATE_WITH_EGRESS subnets, whose way out is a NAT gateway"
    if selection is None:
        if not vpc.private_subnets:
            raise ConfigurationError(f"VPC {vpc.node.path!r} has no private subnets with a way out", at=at, fix=fix)
        selection = ec2.SubnetSelection(subnet_type=with_egress)
    if selection.subnet_type not in (None, with_egress):
        raise ConfigurationError(
            f"builds in {selection.subnet_type.name} subnets, from which they cannot reach AWS or the source",
            at=at,
            fix="use PRIVATE_WITH_EGRESS; for isolated subnets with VPC endpoints of your own, name them: subnets=[…]",
        )
    selected = vpc.select_subnets(
        subnet_type=selection.subnet_type,
        subnet_group_name=selection.subnet_group_name,
        subnets=list(selection.subnets) if selection.subnets else None,
        subnet_filters=list(selection.subnet_filters) if selection.subnet_filters else None,
        availability_zones=list(selection.availability_zones) if selection.availability_zones else None,
        one_per_az=selection.one_per_az,
    )
    if selected.has_public:
        raise ConfigurationError(
            "builds in public subnets, where they get no public address and so reach nothing", at=at, fix=fix
        )
    ids = list(selected.subnet_ids)
    if len(ids) > _MOST_SUBNETS:
        raise ConfigurationError(
            f"{len(ids)} subnets, CodeBuild takes {_MOST_SUBNETS}", at=at, fix="choose some with subnet_selection="
        )
    return ids


def network(scope: Construct, vpc: ec2.IVpc, subnet_ids: "Sequence[str]", *, docker_server: bool) -> Network:
    """Makes the security group, which lets nothing in."""
    security_group = ec2.SecurityGroup(scope, "SecurityGroup", vpc=vpc, description="Builds", allow_all_outbound=True)
    if docker_server:
        # The way out is open already, and aws-cdk-lib would warn of a rule that says so twice.
        security_group.add_ingress_rule(security_group, ec2.Port.tcp(_DOCKER_PORT), "Builds to their Docker server")
    group_id = security_group.security_group_id
    return Network(
        security_group,
        codebuild.CfnProject.VpcConfigProperty(
            vpc_id=vpc.vpc_id, subnets=list(subnet_ids), security_group_ids=[group_id]
        ),
        network_permissions(subnet_ids, group_id),
    )


def network_permissions(subnet_ids: "Sequence[str]", security_group_id: str) -> "list[Statement]":
    """As AWS has it, but with the subnets wherever IAM can tell them apart.

    https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html#customer-managed-policies-example-create-vpc-network-interface
    """
    interfaces = arn("ec2", "network-interface/*")
    subnets = [arn("ec2", f"subnet/{subnet}") for subnet in subnet_ids]
    run_time = "CodeBuild makes a network interface for each build and deletes it after; its id is not known before"
    return [
        Statement(
            actions=["ec2:CreateNetworkInterface"],
            resources=[interfaces, *subnets, arn("ec2", f"security-group/{security_group_id}")],
            wildcard_reason=run_time,
        ),
        Statement(
            actions=["ec2:DeleteNetworkInterface"],
            resources=[interfaces],
            conditions={"ArnEquals": {"ec2:Subnet": subnets}},
            wildcard_reason=run_time,
        ),
        Statement(
            actions=["ec2:CreateNetworkInterfacePermission"],
            resources=[interfaces],
            conditions={
                "ArnEquals": {"ec2:Subnet": subnets},
                "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
            },
            wildcard_reason=run_time,
        ),
        Statement(
            actions=[
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],
            wildcard_reason="EC2 describes all or nothing: these actions have no resources",
        ),
    ]
