"""What the bare contestants deploy to: a load-balanced Auto Scaling group with one alarm, L2 defaults throughout."""

from typing import NamedTuple

from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_codeconnections as codeconnections
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct


class Shared(NamedTuple):
    group: autoscaling.AutoScalingGroup
    target_group: elbv2.ApplicationTargetGroup
    alarm: cloudwatch.Alarm
    topic: sns.Topic
    connection_arn: str


def shared_by_pipelines(stack: Construct) -> Shared:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=1)
    group = autoscaling.AutoScalingGroup(
        stack,
        "Group",
        vpc=vpc,
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
        min_capacity=2,
        max_capacity=4,
    )
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc, internet_facing=True)
    target_group = balancer.add_listener("Http", port=80).add_targets("Targets", port=80, targets=[group])
    topic = sns.Topic(stack, "Topic")
    alarm = cloudwatch.Alarm(
        stack,
        "Errors",
        metric=target_group.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT),
        threshold=10,
        evaluation_periods=2,
    )
    alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))
    connection = codeconnections.CfnConnection(stack, "GitHub", connection_name="github", provider_type="GitHub")
    return Shared(group, target_group, alarm, topic, connection.attr_connection_arn)
