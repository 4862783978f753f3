"""Instances that tests deploy to: groups, tags, load balancers and roles of a user's own."""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancing as elb
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam

GROUP = "AWS::CodeDeploy::DeploymentGroup"
WEB = codedeploy.InstanceTagSet({"Role": ["web"]})
TAGS: dict[str, Any] = {"ec2_instance_tags": WEB, "instance_roles": []}
ON_PREMISES: dict[str, Any] = {"on_premise_instance_tags": WEB, "instance_roles": []}


def an_alarm(stack: Stack, name: str) -> cloudwatch.IAlarm:
    return cloudwatch.Alarm.from_alarm_arn(stack, name, f"arn:aws:cloudwatch:eu-west-1:111111111111:alarm:{name}")


def named_group(stack: Stack, name: str, id_: str | None = None) -> autoscaling.IAutoScalingGroup:
    return autoscaling.AutoScalingGroup.from_auto_scaling_group_name(stack, id_ or name, name)


def own_group(
    stack: Stack, id_: str, *, role: iam.IRole | None = None, **capacity: Any
) -> autoscaling.AutoScalingGroup:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, f"{id_}Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )
    launch_template = ec2.LaunchTemplate(
        stack,
        f"{id_}Template",
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
        security_group=ec2.SecurityGroup(stack, f"{id_}SecurityGroup", vpc=vpc),
        role=role,
    )
    return autoscaling.AutoScalingGroup(stack, id_, vpc=vpc, launch_template=launch_template, **capacity)


def instance_role(stack: Stack, id_: str) -> iam.Role:
    return iam.Role(stack, id_, assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))


def classic(stack: Stack, id_: str = "Classic") -> codedeploy.LoadBalancer:
    return codedeploy.LoadBalancer.classic(elb.LoadBalancer(stack, id_, vpc=ec2.Vpc(stack, f"{id_}Vpc")))


def _arn(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/{name}/0123456789abcdef"


def application(stack: Stack, name: str = "web") -> codedeploy.LoadBalancer:
    targets = elbv2.ApplicationTargetGroup.from_target_group_attributes(
        stack, f"Targets-{name}", target_group_arn=_arn(name)
    )
    return codedeploy.LoadBalancer.application(targets)


def network(stack: Stack, name: str = "tcp") -> codedeploy.LoadBalancer:
    targets = elbv2.NetworkTargetGroup.from_target_group_attributes(
        stack, f"Targets-{name}", target_group_arn=_arn(name)
    )
    return codedeploy.LoadBalancer.network(targets)
