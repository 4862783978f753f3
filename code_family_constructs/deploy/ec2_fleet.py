"""Floor 1: instances that CodeDeploy can deploy to, behind a load balancer."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.deploy import entrance
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.permissions import ServiceRole, Statement, acknowledge, pseudo
from code_family_constructs.storage import LogBucket, check_removal_policy
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # for an annotation, it would be half a second of import time
    from aws_cdk import aws_certificatemanager as acm


class Ec2Fleet(Construct):
    """Amazon Linux 2023 instances in private subnets behind an Application Load Balancer, ready for CodeDeploy.

    Creates a VPC over two zones with one NAT gateway (unless one is given), an Application Load Balancer with access
    logs, an Auto Scaling group with its launch template and role, a health gate of three alarms, and a bucket for
    logs. The instances install the CodeDeploy agent at boot, take IMDSv2 only, have encrypted volumes, no public
    address and no SSH: get a shell with `aws ssm start-session`. Until the first release they answer with a
    placeholder page.

    About 70 USD a month in us-east-1 before traffic: NAT gateway 33, load balancer 16, two t3.micro 15, volumes and
    logs.

    Args:
        scope: Parent construct.
        id: Construct id.
        certificate: Certificate for HTTPS; plain HTTP is then redirected. `None` serves plain HTTP, which anybody on
            the way can read and change: fine for a first try, not for users.
        vpc: A VPC to use; it needs private subnets with a way out, and public ones if `internet_facing`.
        internet_facing: Whether the load balancer is reachable from the internet, or from the VPC alone.
        instance_type: x86 or ARM; the image follows.
        min_capacity: Instances that are always there, 2 or more: a release takes one out of traffic at a time.
        max_capacity: Upper limit, at least one above `min_capacity`; replacing instances needs the room. Twice
            `min_capacity` when left out.
        port: Where the application listens, plain HTTP inside of the VPC.
        health_check_path: What the load balancer asks for; any answer but 200 is unhealthy.
        nat_gateways: 1 is cheap; one for each zone survives the loss of a zone.
        alarm_topic: Where the alarms report to, such as an `AlertTopic`'s topic.
        removal_policy: RETAIN keeps the logs and protects the load balancer from deletion; DESTROY lets go of both.

    Raises:
        ConfigurationError: Too few instances, no private subnets, a port or path that cannot be.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        certificate: "acm.ICertificate | None",
        vpc: ec2.IVpc | None = None,
        internet_facing: bool = True,
        instance_type: ec2.InstanceType = ec2.InstanceType("t3.micro"),
        min_capacity: int = 2,
        max_capacity: int | None = None,
        port: int = 80,
        health_check_path: str = "/",
        nat_gateways: int = 1,
        alarm_topic: sns.ITopic | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        max_capacity = _capacity(
            self,
            min_capacity,
            max_capacity,
            fewest=2,
            otherwise="a release takes an instance out of traffic and nothing would answer",
            spare=1,
        )
        entrance.check_listening(self, port, health_check_path)
        entrance.check_network(self, nat_gateways, vpc, internet_facing)

        self.logs = LogBucket(self, "Logs", removal_policy=removal_policy)
        self.vpc: ec2.IVpc = vpc or entrance.new_vpc(self, self.logs, nat_gateways)
        self._role = ServiceRole(self, service="ec2.amazonaws.com", statements=_instance_statements())
        self.role = self._role.role
        launch_template = _launch_template(self, self._role, _security_group(self, self.vpc), instance_type, port)
        self.auto_scaling_group = _auto_scaling_group(self, self.vpc, launch_template, min_capacity, max_capacity)
        self.load_balancer = entrance.application_load_balancer(
            self,
            self.vpc,
            self.logs,
            ports=[80] if certificate is None else [80, 443],
            internet_facing=internet_facing,
            removal_policy=removal_policy,
            what="fleet",
        )
        self.target_group = entrance.application_target_group(
            self, "TargetGroup", self.vpc, port, health_check_path, targets=[self.auto_scaling_group]
        )
        self.listener = entrance.application_listener(
            self.load_balancer, self.target_group, certificate, internet_facing
        )
        self.health = _health(self, self.target_group, self.load_balancer, alarm_topic)
        CfnOutput(self, "Url", value=entrance.url(self.load_balancer, certificate))

    def allow(self, statements: Sequence[Statement]) -> None:
        """Lets the instances do more, such as read the revision that is deployed to them."""
        self._role.allow(*statements)


class Ec2BlueGreenFleet(Construct):
    """The fleet of an `Ec2BlueGreenDeployment`: what an `Ec2Fleet` is, but its instances come and go with releases.

    Creates a VPC over two zones with one NAT gateway (unless one is given), an Application Load Balancer with access
    logs, a launch template and role for instances, a health gate of three alarms, and a bucket for logs. The instances
    themselves come with the deployment, since CodeDeploy replaces their Auto Scaling group at each release.

    With `test_listener_peers`, the load balancer gets a second listener for them. It leads to the new instances from
    when a release waits for its traffic to be rerouted until it has ended, and answers 503 at any other time.

    About 70 USD a month in us-east-1 before traffic, as an `Ec2Fleet`; while a release runs and until the old
    instances are gone, there are twice as many instances.

    Args:
        scope: Parent construct.
        id: Construct id.
        certificate: Certificate for HTTPS; plain HTTP is then redirected. `None` serves plain HTTP, which anybody on
            the way can read and change: fine for a first try, not for users.
        vpc: A VPC to use; it needs private subnets with a way out, and public ones if `internet_facing`.
        internet_facing: Whether the load balancer is reachable from the internet, or from the VPC alone.
        instance_type: x86 or ARM; the image follows.
        min_capacity: Instances that are always there, 1 or more.
        max_capacity: Upper limit of each Auto Scaling group. Twice `min_capacity` when left out.
        port: Where the application listens, plain HTTP inside of the VPC.
        health_check_path: What the load balancer asks for; any answer but 200 is unhealthy.
        test_listener_peers: Who may look at new instances before users do: address ranges, prefix lists or security
            groups, but not the whole internet. None of them, no test listener.
        test_listener_port: Where it listens, with the protocol and certificate of the other listener.
        nat_gateways: 1 is cheap; one for each zone survives the loss of a zone.
        alarm_topic: Where the alarms report to, such as an `AlertTopic`'s topic.
        removal_policy: RETAIN keeps the logs and protects the load balancer from deletion; DESTROY lets go of both.
            Instances go with the stack either way.

    Raises:
        ConfigurationError: No instances, no private subnets, a port or path that cannot be, or a test listener that
            is open to the internet or listens where users do.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        certificate: "acm.ICertificate | None",
        vpc: ec2.IVpc | None = None,
        internet_facing: bool = True,
        instance_type: ec2.InstanceType = ec2.InstanceType("t3.micro"),
        min_capacity: int = 2,
        max_capacity: int | None = None,
        port: int = 80,
        health_check_path: str = "/",
        test_listener_peers: Sequence[ec2.IPeer] = (),
        test_listener_port: int = 8080,
        nat_gateways: int = 1,
        alarm_topic: sns.ITopic | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        self.min_capacity = min_capacity
        self.max_capacity = _capacity(
            self, min_capacity, max_capacity, fewest=1, otherwise="nothing would answer", spare=0
        )
        entrance.check_listening(self, port, health_check_path)
        entrance.check_network(self, nat_gateways, vpc, internet_facing)
        if test_listener_peers:
            entrance.check_test_listener(self, test_listener_peers, test_listener_port)

        self.logs = LogBucket(self, "Logs", removal_policy=removal_policy)
        self.vpc: ec2.IVpc = vpc or entrance.new_vpc(self, self.logs, nat_gateways)
        subnets = self.vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        self.subnet_ids: Sequence[str] = subnets.subnet_ids
        self.ways_out = subnets.internet_connectivity_established
        self._role = ServiceRole(self, service="ec2.amazonaws.com", statements=_instance_statements())
        self.role = self._role.role
        self.security_group = _security_group(self, self.vpc)
        self.launch_template = _launch_template(self, self._role, self.security_group, instance_type, port)
        self.load_balancer = entrance.application_load_balancer(
            self,
            self.vpc,
            self.logs,
            ports=[80] if certificate is None else [80, 443],
            internet_facing=internet_facing,
            removal_policy=removal_policy,
            what="fleet",
        )
        self.load_balancer.connections.allow_to(
            self.security_group, ec2.Port.tcp(port), "Load balancer to the application"
        )
        instance = elbv2.TargetType.INSTANCE
        self.target_group = entrance.application_target_group(
            self, "TargetGroup", self.vpc, port, health_check_path, target_type=instance
        )
        self.listener = entrance.application_listener(
            self.load_balancer, self.target_group, certificate, internet_facing
        )
        self.test_target_group: elbv2.ApplicationTargetGroup | None = None
        self.test_listener: elbv2.ApplicationListener | None = None
        if test_listener_peers:
            self.test_target_group = entrance.application_target_group(
                self, "TestTargetGroup", self.vpc, port, health_check_path, target_type=instance
            )
            self.test_listener = entrance.application_test_listener(
                self.load_balancer, self.test_target_group, certificate, test_listener_peers, test_listener_port
            )
            CfnOutput(self, "TestUrl", value=entrance.url(self.load_balancer, certificate, f":{test_listener_port}"))
        self.health = _health(self, self.target_group, self.load_balancer, alarm_topic)
        self._deployment: Construct | None = None
        CfnOutput(self, "Url", value=entrance.url(self.load_balancer, certificate))

    def allow(self, statements: Sequence[Statement]) -> None:
        """Lets the instances do more, such as read the revision that is deployed to them."""
        self._role.allow(*statements)

    def auto_scaling_group_parameters(self, name: str) -> Mapping[str, Any]:
        """The Auto Scaling group of these instances, as Auto Scaling's CreateAutoScalingGroup takes it."""
        return {
            "AutoScalingGroupName": name,
            "LaunchTemplate": {
                "LaunchTemplateId": self.launch_template.launch_template_id,
                "Version": self.launch_template.latest_version_number,
            },
            "MinSize": self.min_capacity,
            "MaxSize": self.max_capacity,
            "VPCZoneIdentifier": ",".join(self.subnet_ids),
            "TargetGroupARNs": [self.target_group.target_group_arn],
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 300,
        }

    def claim(self, deployment: Construct) -> None:
        """Takes the fleet for one deployment.

        Raises:
            ConfigurationError: Another one has it: both would replace its instances.
        """
        if self._deployment is not None:
            raise ConfigurationError(
                f"fleet {self.node.path!r} is in deployment {self._deployment.node.path!r} already",
                at=deployment,
                fix="give each deployment a fleet of its own",
            )
        self._deployment = deployment


def _capacity(at: Construct, least: int, most: int | None, *, fewest: int, otherwise: str, spare: int) -> int:
    if not unresolved(least) and least < fewest:
        raise ConfigurationError(f"min_capacity={least}: {otherwise}", at=at, fix=f"use {fewest} or more")
    if most is None and unresolved(least):
        raise ConfigurationError(
            "min_capacity is not known at synth time, so its double is not either", at=at, fix="give max_capacity= too"
        )
    if most is None:
        return 2 * least
    if not unresolved(least) and not unresolved(most) and most < least + spare:
        problem = f"leaves no room to replace one of {least} instances" if spare else f"is below min_capacity={least}"
        raise ConfigurationError(f"max_capacity={most} {problem}", at=at, fix=f"use {least + spare} or more")
    return most


def _instance_statements() -> list[Statement]:
    aws = pseudo()
    return [
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
        Statement(
            actions=["ssm:UpdateInstanceInformation"],
            resources=["*"],
            wildcard_reason="an instance's id is not known before its role; AWS's own example has the same",
        ),
        Statement(
            actions=[
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            resources=["*"],
            wildcard_reason="Session Manager's channel actions have no resource-level permissions",
        ),
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/getting-started-create-iam-instance-profile.html
        Statement(
            actions=["s3:GetObject"],
            resources=[f"arn:{aws.partition}:s3:::aws-codedeploy-{aws.region}/*"],
            wildcard_reason="AWS's own bucket with the CodeDeploy agent; file names carry the agent's version",
        ),
    ]


def _security_group(fleet: Construct, vpc: ec2.IVpc) -> ec2.SecurityGroup:
    security_group = ec2.SecurityGroup(
        fleet, "SecurityGroup", vpc=vpc, description="Instances of the fleet", allow_all_outbound=False
    )
    security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs and packages")
    return security_group


def _launch_template(
    fleet: Construct,
    role: ServiceRole,
    security_group: ec2.SecurityGroup,
    instance_type: ec2.InstanceType,
    port: int,
) -> ec2.LaunchTemplate:
    arm = instance_type.architecture == ec2.InstanceArchitecture.ARM_64
    boot = (resources.files("code_family_constructs.deploy") / "boot.sh").read_text().replace("@PORT@", str(port))
    return ec2.LaunchTemplate(
        fleet,
        "LaunchTemplate",
        instance_type=instance_type,
        machine_image=ec2.MachineImage.from_ssm_parameter(
            f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{'arm64' if arm else 'x86_64'}",
            os=ec2.OperatingSystemType.LINUX,
        ),
        role=role.role,
        security_group=security_group,
        user_data=ec2.UserData.custom(boot),
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        associate_public_ip_address=False,
        block_devices=[
            ec2.BlockDevice(
                device_name="/dev/xvda",
                volume=ec2.BlockDeviceVolume.ebs(8, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3),
            )
        ],
    )


def _auto_scaling_group(
    fleet: Construct, vpc: ec2.IVpc, launch_template: ec2.LaunchTemplate, min_capacity: int, max_capacity: int
) -> autoscaling.AutoScalingGroup:
    group = autoscaling.AutoScalingGroup(
        fleet,
        "AutoScalingGroup",
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        launch_template=launch_template,
        min_capacity=min_capacity,
        max_capacity=max_capacity,
        health_checks=autoscaling.HealthChecks.with_additional_checks(
            additional_types=[autoscaling.AdditionalHealthCheckType.ELB], grace_period=Duration.minutes(5)
        ),
        # A new AMI or launch template replaces instances one by one; each is in service only after CodeDeploy has put
        # the current revision on it.
        update_policy=autoscaling.UpdatePolicy.rolling_update(
            max_batch_size=1, min_instances_in_service=min_capacity, pause_time=Duration.minutes(0)
        ),
    )
    # Instances that boot before there is a way out cannot install the agent.
    ways_out = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).internet_connectivity_established
    group.node.add_dependency(ways_out)
    acknowledge(
        group,
        {"AS3": "scaling is in the group's activity history and in EventBridge; releases are told by the health gate"},
    )
    return group


def _health(
    fleet: Construct,
    target_group: elbv2.ApplicationTargetGroup,
    balancer: elbv2.ApplicationLoadBalancer,
    topic: sns.ITopic | None,
) -> HealthGate:
    health = HealthGate(fleet, "Health", topic=topic)
    health.watch_target_group(
        target_group=target_group.target_group_full_name, load_balancer=balancer.load_balancer_full_name
    )
    return health
