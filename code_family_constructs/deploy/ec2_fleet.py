"""Floor 1: instances that CodeDeploy can deploy to, behind a load balancer."""

import re
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

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
        max_capacity = _capacity(self, min_capacity, max_capacity)
        _check_listening(self, port, health_check_path)
        _check_network(self, nat_gateways, vpc, internet_facing)

        self.logs = LogBucket(self, "Logs", removal_policy=removal_policy)
        self.vpc: ec2.IVpc = vpc or _vpc(self, self.logs, nat_gateways)
        self._role = ServiceRole(self, service="ec2.amazonaws.com", statements=_instance_statements())
        self.role = self._role.role
        self.auto_scaling_group = _instances(
            self, self.vpc, self._role, instance_type, min_capacity, max_capacity, port
        )
        self.load_balancer = _load_balancer(
            self, self.vpc, self.logs, [80] if certificate is None else [80, 443], internet_facing, removal_policy
        )
        self.target_group = elbv2.ApplicationTargetGroup(
            self,
            "TargetGroup",
            vpc=self.vpc,
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[self.auto_scaling_group],
            # A deployment waits this long for each instance to finish its requests before it touches it.
            deregistration_delay=Duration.seconds(30),
            health_check=elbv2.HealthCheck(
                path=health_check_path,
                healthy_http_codes="200",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )
        self.listener = _listeners(self, self.load_balancer, self.target_group, certificate, internet_facing)
        self.health = HealthGate(self, "Health", topic=alarm_topic)
        self.health.watch_target_group(
            target_group=self.target_group.target_group_full_name,
            load_balancer=self.load_balancer.load_balancer_full_name,
        )
        scheme = "http" if certificate is None else "https"
        CfnOutput(self, "Url", value=f"{scheme}://{self.load_balancer.load_balancer_dns_name}/")

    def allow(self, statements: Sequence[Statement]) -> None:
        """Lets the instances do more, such as read the revision that is deployed to them."""
        self._role.allow(*statements)


def _capacity(at: Construct, least: int, most: int | None) -> int:
    if not unresolved(least) and least < 2:
        raise ConfigurationError(
            f"min_capacity={least}: a release takes an instance out of traffic and nothing would answer",
            at=at,
            fix="use 2 or more",
        )
    if most is None and unresolved(least):
        raise ConfigurationError(
            "min_capacity is not known at synth time, so its double is not either", at=at, fix="give max_capacity= too"
        )
    if most is None:
        return 2 * least
    if not unresolved(least) and not unresolved(most) and most <= least:
        raise ConfigurationError(
            f"max_capacity={most} leaves no room to replace one of {least} instances",
            at=at,
            fix=f"use {least + 1} or more",
        )
    return most


def _check_listening(at: Construct, port: int, path: str) -> None:
    if not unresolved(port) and not 1 <= port <= 65535:
        raise ConfigurationError(f"port={port}", at=at, fix="use a port from 1 to 65535")
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
    if not unresolved(path) and not re.fullmatch(r"/[!-~]{0,1023}", path):
        raise ConfigurationError(
            f"health_check_path={path!r} is no path",
            at=at,
            fix="start it with '/', and use at most 1024 ASCII characters without blanks",
        )


def _check_network(at: Construct, nat_gateways: int, vpc: ec2.IVpc | None, internet_facing: bool) -> None:
    if vpc is None:
        if not 1 <= nat_gateways <= 2:
            raise ConfigurationError(
                f"nat_gateways={nat_gateways}: instances in two zones without public addresses cannot use that",
                at=at,
                fix="use 1, or 2 for one in each zone, or pass a vpc= whose subnets have another way out",
            )
        return
    if not vpc.private_subnets:
        raise ConfigurationError(
            f"VPC {vpc.node.path!r} has no private subnets with a way out",
            at=at,
            fix="pass a VPC with PRIVATE_WITH_EGRESS subnets, or none to get a new one",
        )
    if internet_facing and not vpc.public_subnets:
        raise ConfigurationError(
            f"VPC {vpc.node.path!r} has no public subnets for a load balancer that faces the internet",
            at=at,
            fix="pass a VPC with PUBLIC subnets, or internet_facing=False",
        )
    zones = vpc.availability_zones
    if not unresolved(zones) and len(zones) < 2:
        raise ConfigurationError(
            f"VPC {vpc.node.path!r} is in {len(zones)} zone, a load balancer needs two",
            at=at,
            fix="pass a VPC over two zones or more",
        )


def _vpc(fleet: Construct, logs: LogBucket, nat_gateways: int) -> ec2.Vpc:
    vpc = ec2.Vpc(
        fleet,
        "Vpc",
        max_azs=2,
        nat_gateways=nat_gateways,
        subnet_configuration=[
            ec2.SubnetConfiguration(
                name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
            ),
            ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
        ],
        # Free, and keeps artifacts and packages off the NAT gateway's bill.
        gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        # CDK would empty the default security group with a Lambda function; nothing here uses that group.
        restrict_default_security_group=False,
    )
    logs.accept_flow_logs("vpc")
    flow_log = ec2.CfnFlowLog(
        fleet,
        "FlowLog",
        resource_id=vpc.vpc_id,
        resource_type="VPC",
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=logs.bucket.arn_for_objects("vpc/"),
    )
    _after(flow_log, logs)
    closed = "nothing uses the default security group; CloudFormation cannot change it"
    acknowledge(vpc, {"VPCDefaultSecurityGroupClosed": closed}, pack="NIST.800.53.R5")
    public = "the public subnets hold the load balancer and the NAT gateway alone"
    for subnet in vpc.public_subnets:
        route = subnet.node.find_child("DefaultRoute")
        acknowledge(route, {"VPCNoUnrestrictedRouteToIGW": public}, pack="NIST.800.53.R5")
    return vpc


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


def _instances(
    fleet: Construct,
    vpc: ec2.IVpc,
    role: ServiceRole,
    instance_type: ec2.InstanceType,
    min_capacity: int,
    max_capacity: int,
    port: int,
) -> autoscaling.AutoScalingGroup:
    security_group = ec2.SecurityGroup(
        fleet, "SecurityGroup", vpc=vpc, description="Instances of the fleet", allow_all_outbound=False
    )
    security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs and packages")
    arm = instance_type.architecture == ec2.InstanceArchitecture.ARM_64
    boot = (resources.files("code_family_constructs.deploy") / "boot.sh").read_text().replace("@PORT@", str(port))
    launch_template = ec2.LaunchTemplate(
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


def _load_balancer(
    fleet: Construct,
    vpc: ec2.IVpc,
    logs: LogBucket,
    ports: Sequence[int],
    internet_facing: bool,
    removal_policy: RemovalPolicy,
) -> elbv2.ApplicationLoadBalancer:
    subnets = ec2.SubnetType.PUBLIC if internet_facing else ec2.SubnetType.PRIVATE_WITH_EGRESS
    protected = removal_policy is RemovalPolicy.RETAIN
    security_group = ec2.SecurityGroup(
        fleet, "Entrance", vpc=vpc, description="Load balancer of the fleet", allow_all_outbound=False
    )
    if internet_facing:
        acknowledge(security_group, {"EC23": "internet_facing: the load balancer's ports are the public entrance"})
    else:
        cidr = ec2.Peer.ipv4(_cidr(fleet, vpc))
        for port in ports:
            security_group.add_ingress_rule(cidr, ec2.Port.tcp(port), "From the VPC")
    balancer = elbv2.ApplicationLoadBalancer(
        fleet,
        "LoadBalancer",
        vpc=vpc,
        security_group=security_group,
        vpc_subnets=ec2.SubnetSelection(subnet_type=subnets),
        internet_facing=internet_facing,
        deletion_protection=protected,
        drop_invalid_header_fields=True,
    )
    # Not log_access_logs(): it needs the region at synth time for a principal that AWS has since replaced.
    logs.accept_load_balancer_logs("alb")
    balancer.set_attribute("access_logs.s3.enabled", "true")
    balancer.set_attribute("access_logs.s3.bucket", logs.bucket.bucket_name)
    balancer.set_attribute("access_logs.s3.prefix", "alb")
    _after(balancer, logs)
    reasons = {"ALBWAFEnabled": "which requests are malicious depends on the application: associate its own web ACL"}
    if not protected:
        reasons["ELBDeletionProtectionEnabled"] = "removal_policy=DESTROY asks for a stack that can be deleted whole"
    acknowledge(balancer, reasons, pack="NIST.800.53.R5")
    return balancer


def _cidr(at: Construct, vpc: ec2.IVpc) -> str:
    try:
        return vpc.vpc_cidr_block
    except RuntimeError as error:
        raise ConfigurationError(
            f"internet_facing=False, but the address range of VPC {vpc.node.path!r} is not known",
            at=at,
            fix="give vpc_cidr_block= to Vpc.from_vpc_attributes(), or use Vpc.from_lookup()",
        ) from error


def _listeners(
    fleet: Construct,
    balancer: elbv2.ApplicationLoadBalancer,
    target_group: elbv2.ApplicationTargetGroup,
    certificate: "acm.ICertificate | None",
    internet_facing: bool,
) -> elbv2.ApplicationListener:
    if certificate is None:
        listener = balancer.add_listener(
            "Http",
            port=80,
            protocol=elbv2.ApplicationProtocol.HTTP,
            default_target_groups=[target_group],
            open=internet_facing,
        )
        reasons = {
            "ELBv2ACMCertificateRequired": "certificate=None: plain HTTP is this stack's stated choice",
            "ALBHttpToHttpsRedirection": "certificate=None: there is no HTTPS listener to redirect to",
        }
        acknowledge(listener, reasons, pack="NIST.800.53.R5")
    else:
        listener = balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            certificates=[certificate],
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
            default_target_groups=[target_group],
            open=internet_facing,
        )
        redirect = balancer.add_redirect(open=internet_facing)
        only = "this listener does nothing but redirect to HTTPS"
        acknowledge(redirect, {"ELBv2ACMCertificateRequired": only}, pack="NIST.800.53.R5")
    return listener


def _after(construct: Construct, logs: LogBucket) -> None:
    """What writes logs starts after the bucket admits it, and is gone before the bucket is emptied."""
    if logs.bucket.policy is not None:
        construct.node.add_dependency(logs.bucket.policy)
    if logs.end_of_life is not None:
        construct.node.add_dependency(logs.end_of_life)
