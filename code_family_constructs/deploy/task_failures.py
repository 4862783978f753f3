"""Floor 1: tasks of a service on Amazon ECS that failed, counted for a health gate, with the reasons in a log."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_logs as logs
from constructs import Construct

from code_family_constructs.health import HealthGate
from code_family_constructs.permissions import acknowledge, arn


class TaskFailures(Construct):
    """Adds an alarm to a health gate that fires when tasks of a service do not start, or end by themselves.

    Creates an EventBridge rule for these events and a log group that keeps them for a month: Amazon ECS forgets within
    the hour why a task stopped. What Amazon ECS stops itself, as in a deployment, does not count.

    Args:
        scope: Parent construct.
        id: Construct id.
        cluster_arn: ARN of the cluster.
        service_name: Name of the service.
        health: What gets the alarm.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
    """

    def __init__(self, scope: Construct, id: str, *, cluster_arn: str, service_name: str, health: HealthGate) -> None:
        super().__init__(scope, id)
        # Known beforehand, since the log group's own policy names it.
        name = f"/aws/events/ecs/{service_name}"
        group_arn = arn("logs", f"log-group:{name}")
        self.log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=name,
            retention_in_days=30,
            # An account has ten resource policies for all of its log groups, and no more.
            resource_policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": ["delivery.logs.amazonaws.com", "events.amazonaws.com"]},
                        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                        "Resource": [f"{group_arn}:*"],
                        "Condition": {"ArnLike": {"aws:SourceArn": arn("events", "rule/*")}},
                    }
                ],
            },
        )
        self.log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        reason = {"CloudWatchLogGroupEncrypted": "events hold names and reasons, no data; CloudWatch encrypts them"}
        acknowledge(self.log_group, reason, pack="NIST.800.53.R5")
        self.rule = events.CfnRule(
            self,
            "Rule",
            description=f"Tasks of {service_name} that failed",
            event_pattern={
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [cluster_arn],
                    "group": [f"service:{service_name}"],
                    "lastStatus": ["STOPPED"],
                    "stopCode": ["EssentialContainerExited", "TaskFailedToStart"],
                },
            },
            targets=[events.CfnRule.TargetProperty(arn=group_arn, id="Logs")],
        )
        self.rule.node.add_dependency(self.log_group)
        # Counted by EventBridge, so that the alarm does not depend on what becomes of the log.
        self.alarm = health.watch(
            "TaskFailures",
            metric=cloudwatch.Metric(
                namespace="AWS/Events",
                metric_name="MatchedEvents",
                dimensions_map={"RuleName": self.rule.ref},
                statistic="Sum",
                period=Duration.minutes(5),
            ),
            # One task that runs out of memory is no reason to go back; a release whose tasks fail has more of them.
            threshold=3,
            evaluation_periods=1,
            description="Tasks do not start, or end by themselves",
        )
