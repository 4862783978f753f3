"""Floor 1: how users and testers reach a service on Amazon ECS, and what of it a deployment moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct, IDependable

from code_family_constructs.deploy import entrance
from code_family_constructs.health import HealthGate
from code_family_constructs.permissions import Statement
from code_family_constructs.storage import LogBucket

if TYPE_CHECKING:  # for an annotation, it would be half a second of import time
    from aws_cdk import aws_certificatemanager as acm

LoadBalancerKind = Literal["application", "network"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """What the two kinds of load balancers are made from.

    Args:
        scope: Parent of what is made.
        vpc: Where.
        logs: Where access logs go.
        certificate: For TLS.
        internet_facing: Whether users come from the internet.
        removal_policy: Whether the load balancer is protected from deletion.
        port: Where the container listens.
        health_check_path: What is asked for; `None` for a connection and nothing else.
        test_port: Where the test listener listens; `None` for none.
        testers: Who reaches it.
    """

    scope: Construct
    vpc: ec2.IVpc
    logs: LogBucket
    certificate: "acm.ICertificate | None"
    internet_facing: bool
    removal_policy: RemovalPolicy
    port: int
    health_check_path: str | None
    test_port: int | None
    testers: Sequence[ec2.IPeer]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """What Amazon ECS's own deployments move traffic with.

    Attributes:
        production: Where users come in.
        test: Where testers come in.
        permissions: What Amazon ECS needs for it.
    """

    production: ecs.ListenerRuleConfiguration
    test: ecs.ListenerRuleConfiguration | None
    permissions: Sequence[Statement]


class Traffic(Protocol):
    """A load balancer with its listeners and two target groups."""

    @property
    def load_balancer(self) -> elbv2.ApplicationLoadBalancer | elbv2.NetworkLoadBalancer: ...
    @property
    def listener(self) -> elbv2.ApplicationListener | elbv2.NetworkListener: ...
    @property
    def test_listener(self) -> elbv2.ApplicationListener | elbv2.NetworkListener | None: ...
    @property
    def blue(self) -> elbv2.ApplicationTargetGroup | elbv2.NetworkTargetGroup: ...
    @property
    def green(self) -> elbv2.ApplicationTargetGroup | elbv2.NetworkTargetGroup: ...

    def attach(self, service: ecs.FargateService, target: ecs.IEcsLoadBalancerTarget, port: int) -> None:
        """Sends the service its first traffic."""

    def moves(self, after: IDependable) -> Moves:
        """Lets Amazon ECS move traffic, once `after` has agreed that it starts from the blue target group."""

    def watch(self, health: HealthGate) -> None:
        """Watches both target groups: which of them is new changes with each release."""


class ApplicationTraffic:
    """By an Application Load Balancer."""

    def __init__(self, way: Way) -> None:
        self._way = way
        ports = [80] if way.certificate is None else [80, 443]
        self.load_balancer = entrance.application_load_balancer(
            way.scope,
            way.vpc,
            way.logs,
            ports=ports,
            internet_facing=way.internet_facing,
            removal_policy=way.removal_policy,
            what="service",
        )
        self.blue, self.green = (
            entrance.application_target_group(
                way.scope, id, way.vpc, way.port, way.health_check_path or "/", target_type=elbv2.TargetType.IP
            )
            for id in ("Blue", "Green")
        )
        self.listener = entrance.application_listener(
            self.load_balancer, self.blue, way.certificate, way.internet_facing
        )
        self.test_listener: elbv2.ApplicationListener | None = None
        if way.test_port is not None:
            self.test_listener = entrance.application_test_listener(
                self.load_balancer, self.green, way.certificate, way.testers, way.test_port
            )

    def attach(self, service: ecs.FargateService, target: ecs.IEcsLoadBalancerTarget, port: int) -> None:
        target.attach_to_application_target_group(self.blue)

    def moves(self, after: IDependable) -> Moves:
        production = self._rule("Production", self.listener, blue=100, green=0)
        # Amazon ECS starts from the blue target group, whatever CodeDeploy has done to the listener before.
        production.node.add_dependency(after)
        test = None
        if self.test_listener is not None:
            test = self._rule("TestRule", self.test_listener, blue=0, green=100)
        rules = (
            [production.listener_rule_arn] if test is None else [production.listener_rule_arn, test.listener_rule_arn]
        )
        configuration = ecs.ListenerRuleConfiguration.application_listener_rule
        return Moves(
            production=configuration(production),
            test=None if test is None else configuration(test),
            permissions=[
                *_targets(self.blue, self.green),
                Statement(actions=["elasticloadbalancing:ModifyRule"], resources=rules),
            ],
        )

    def _rule(
        self, id: str, listener: elbv2.ApplicationListener, *, blue: int, green: int
    ) -> elbv2.ApplicationListenerRule:
        # CloudFormation knows no ARN of a listener's default rule, and Amazon ECS wants one. A weight that a template
        # changes later would move users: these are the weights to start with.
        return elbv2.ApplicationListenerRule(
            self._way.scope,
            id,
            listener=listener,
            priority=1,
            conditions=[elbv2.ListenerCondition.path_patterns(["/*"])],
            action=elbv2.ListenerAction.weighted_forward(
                [
                    elbv2.WeightedTargetGroup(target_group=self.blue, weight=blue),
                    elbv2.WeightedTargetGroup(target_group=self.green, weight=green),
                ]
            ),
        )

    def watch(self, health: HealthGate) -> None:
        balancer = self.load_balancer.load_balancer_full_name
        for group in (self.blue, self.green):
            health.watch_target_group(target_group=group.target_group_full_name, load_balancer=balancer)
        # A task that is gone answers with nothing: the error is the load balancer's own, and of no target group.
        health.watch(
            "LoadBalancer5xx",
            metric=cloudwatch.Metric(
                namespace="AWS/ApplicationELB",
                metric_name="HTTPCode_ELB_5XX_Count",
                dimensions_map={"LoadBalancer": balancer},
                statistic="Sum",
                period=Duration.minutes(1),
            ),
            threshold=10,
            description="The load balancer finds nobody to answer",
        )


class NetworkTraffic:
    """By a Network Load Balancer.

    Args:
        way: What both kinds are made from.
        listener_port: Where users come in.
        weighted: Whether the listener knows both target groups from the start, as Amazon ECS wants it.
    """

    def __init__(self, way: Way, listener_port: int | None, *, weighted: bool) -> None:
        port = listener_port or (80 if way.certificate is None else 443)
        self.load_balancer = entrance.network_load_balancer(
            way.scope,
            way.vpc,
            way.logs,
            ports=[port],
            internet_facing=way.internet_facing,
            removal_policy=way.removal_policy,
            what="service",
        )
        self.blue, self.green = (
            entrance.network_target_group(way.scope, id, way.vpc, way.port, way.health_check_path)
            for id in ("Blue", "Green")
        )
        users = [ec2.Peer.any_ipv4()] if way.internet_facing else []
        self.listener = entrance.network_listener(
            self.load_balancer, "Users", port, self._shares(100, 0, weighted=weighted), way.certificate, users
        )
        self.test_listener: elbv2.NetworkListener | None = None
        if way.test_port is not None:
            self.test_listener = entrance.network_listener(
                self.load_balancer,
                "Test",
                way.test_port,
                self._shares(0, 100, weighted=weighted),
                way.certificate,
                way.testers,
            )

    def _shares(self, blue: int, green: int, *, weighted: bool) -> elbv2.NetworkListenerAction:
        if not weighted:
            return elbv2.NetworkListenerAction.forward([self.blue if blue else self.green])
        return elbv2.NetworkListenerAction.weighted_forward(
            [
                elbv2.NetworkWeightedTargetGroup(target_group=self.blue, weight=blue),
                elbv2.NetworkWeightedTargetGroup(target_group=self.green, weight=green),
            ]
        )

    def attach(self, service: ecs.FargateService, target: ecs.IEcsLoadBalancerTarget, port: int) -> None:
        target.attach_to_network_target_group(self.blue)
        service.connections.allow_from(self.load_balancer, ec2.Port.tcp(port), "Load balancer to the tasks")

    def moves(self, after: IDependable) -> Moves:
        self.listener.node.add_dependency(after)
        listeners = [self.listener] if self.test_listener is None else [self.listener, self.test_listener]
        configuration = ecs.ListenerRuleConfiguration.network_listener
        return Moves(
            production=configuration(self.listener),
            test=None if self.test_listener is None else configuration(self.test_listener),
            permissions=[
                *_targets(self.blue, self.green),
                Statement(
                    actions=["elasticloadbalancing:ModifyListener"],
                    resources=[listener.listener_arn for listener in listeners],
                ),
            ],
        )

    def watch(self, health: HealthGate) -> None:
        for name, group in (("Blue", self.blue), ("Green", self.green)):
            health.watch(
                f"{name}UnhealthyHosts",
                metric=cloudwatch.Metric(
                    namespace="AWS/NetworkELB",
                    metric_name="UnHealthyHostCount",
                    dimensions_map={
                        "LoadBalancer": self.load_balancer.load_balancer_full_name,
                        "TargetGroup": group.target_group_full_name,
                    },
                    statistic="Maximum",
                    period=Duration.minutes(1),
                ),
                threshold=1,
                evaluation_periods=3,
                description="A target fails its load balancer's health checks",
            )


def _targets(*groups: elbv2.ApplicationTargetGroup | elbv2.NetworkTargetGroup) -> list[Statement]:
    """What of AmazonECSInfrastructureRolePolicyForLoadBalancers is the same for both kinds.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
    """
    return [
        Statement(
            actions=[
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            resources=["*"],
            wildcard_reason="Describe actions of load balancing have no resource-level permissions",
        ),
        Statement(
            actions=["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
            resources=[group.target_group_arn for group in groups],
        ),
    ]
