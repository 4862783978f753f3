"""Floor 1: the network and the load balancer in front of what is deployed."""

import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import Duration, Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import acknowledge
from code_family_constructs.storage import LogBucket, policy_of
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # for an annotation, it would be half a second of import time
    from aws_cdk import aws_certificatemanager as acm

_TESTERS = "Those who test a release before users see it"
_PLAIN = {
    "ELBv2ACMCertificateRequired": "certificate=None: plain HTTP is this stack's stated choice",
    "ALBHttpToHttpsRedirection": "certificate=None: there is no HTTPS listener to redirect to",
}


def check_listening(at: Construct, port: int, path: str) -> None:
    """Raises ConfigurationError for a port or a health check path that cannot be."""
    if not unresolved(port) and not 1 <= port <= 65535:
        raise ConfigurationError(f"port={port}", at=at, fix="use a port from 1 to 65535")
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
    if not unresolved(path) and not re.fullmatch(r"/[!-~]{0,1023}", path):
        raise ConfigurationError(
            f"health_check_path={path!r} is no path",
            at=at,
            fix="start it with '/', and use at most 1024 ASCII characters without blanks",
        )


def check_network(at: Construct, nat_gateways: int, vpc: ec2.IVpc | None, internet_facing: bool) -> None:
    """Raises ConfigurationError for a VPC without a way out, or without a way in where there has to be one."""
    if vpc is None:
        if not 1 <= nat_gateways <= 2:
            raise ConfigurationError(
                f"nat_gateways={nat_gateways}: what runs in two zones without public addresses cannot use that",
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


def check_test_listener(at: Construct, peers: Sequence[ec2.IPeer], port: int) -> None:
    """Raises ConfigurationError for a test listener that everybody can reach, or that is where users are."""
    if not unresolved(port) and (not 1 <= port <= 65535 or port in (80, 443)):
        raise ConfigurationError(
            f"test_listener_port={port}" + (", where users are served" if port in (80, 443) else ""),
            at=at,
            fix="use another port, such as 8080",
        )
    networks = [network for peer in peers for network in _network(peer.unique_id)]
    # Together, two halves of the internet are the internet.
    merged: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [
        *ipaddress.collapse_addresses(network for network in networks if isinstance(network, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(network for network in networks if isinstance(network, ipaddress.IPv6Network)),
    ]
    if any(network.prefixlen == 0 for network in merged):
        raise ConfigurationError(
            "a test listener that is open to the internet: what users must not see yet, anybody could",
            at=at,
            fix="name those who test: ec2.Peer.ipv4() of an office or VPN, a prefix list or a security group",
        )


def _network(peer: str) -> "list[ipaddress.IPv4Network | ipaddress.IPv6Network]":
    try:
        return [ipaddress.ip_network(peer, strict=False)]
    except ValueError:
        # A prefix list, a security group, or an address range that is not known yet.
        return []


def new_vpc(scope: Construct, logs: LogBucket, nat_gateways: int) -> ec2.Vpc:
    """A VPC over two zones, with flow logs."""
    # CloudFormation's answer: for a stack with account and region, aws-cdk-lib would take what the CLI has looked up,
    # and made-up zones where it has not. It has the CLI look them up all the same.
    zones = Fn.get_azs()
    vpc = ec2.Vpc(
        scope,
        "Vpc",
        availability_zones=[Fn.select(0, zones), Fn.select(1, zones)],
        nat_gateways=nat_gateways,
        subnet_configuration=[
            ec2.SubnetConfiguration(
                name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
            ),
            ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
        ],
        # Free, and keeps artifacts, packages and layers of images off the NAT gateway's bill.
        gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        # CDK would empty the default security group with a Lambda function; nothing here uses that group.
        restrict_default_security_group=False,
    )
    logs.accept_flow_logs("vpc")
    flow_log = ec2.CfnFlowLog(
        scope,
        "FlowLog",
        resource_id=vpc.vpc_id,
        resource_type="VPC",
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=logs.bucket.arn_for_objects("vpc/"),
    )
    after(flow_log, logs)
    closed = "nothing uses the default security group; CloudFormation cannot change it"
    acknowledge(vpc, {"VPCDefaultSecurityGroupClosed": closed}, pack="NIST.800.53.R5")
    public = "the public subnets hold the load balancer and the NAT gateway alone"
    for subnet in vpc.public_subnets:
        route = subnet.node.find_child("DefaultRoute")
        acknowledge(route, {"VPCNoUnrestrictedRouteToIGW": public}, pack="NIST.800.53.R5")
    return vpc


def application_load_balancer(
    scope: Construct,
    vpc: ec2.IVpc,
    logs: LogBucket,
    *,
    ports: Sequence[int],
    internet_facing: bool,
    removal_policy: RemovalPolicy,
    what: str,
) -> elbv2.ApplicationLoadBalancer:
    """An Application Load Balancer with access logs; `what` it is in front of, for the console."""
    balancer = elbv2.ApplicationLoadBalancer(
        scope,
        "LoadBalancer",
        vpc=vpc,
        security_group=_entrance(scope, vpc, ports, internet_facing, what),
        vpc_subnets=_subnets(internet_facing),
        internet_facing=internet_facing,
        deletion_protection=removal_policy is RemovalPolicy.RETAIN,
        drop_invalid_header_fields=True,
    )
    # Not log_access_logs(): it needs the region at synth time for a principal that AWS has since replaced.
    logs.accept_load_balancer_logs("alb")
    _log_access(balancer, logs, "alb")
    reason = "which requests are malicious depends on the application: associate its own web ACL"
    acknowledge(balancer, {"ALBWAFEnabled": reason}, pack="NIST.800.53.R5")
    _acknowledge_deletion(balancer, removal_policy)
    return balancer


def network_load_balancer(
    scope: Construct,
    vpc: ec2.IVpc,
    logs: LogBucket,
    *,
    ports: Sequence[int],
    internet_facing: bool,
    removal_policy: RemovalPolicy,
    what: str,
) -> elbv2.NetworkLoadBalancer:
    """A Network Load Balancer with access logs, of which it writes those of TLS connections only."""
    balancer = elbv2.NetworkLoadBalancer(
        scope,
        "LoadBalancer",
        vpc=vpc,
        security_groups=[_entrance(scope, vpc, ports, internet_facing, what)],
        vpc_subnets=_subnets(internet_facing),
        internet_facing=internet_facing,
        deletion_protection=removal_policy is RemovalPolicy.RETAIN,
    )
    # The same service delivers them, in the same way.
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/enable-access-logs.html
    logs.accept_flow_logs("nlb")
    _log_access(balancer, logs, "nlb")
    _acknowledge_deletion(balancer, removal_policy)
    return balancer


def _entrance(
    scope: Construct, vpc: ec2.IVpc, ports: Sequence[int], internet_facing: bool, what: str
) -> ec2.SecurityGroup:
    security_group = ec2.SecurityGroup(
        scope, "Entrance", vpc=vpc, description=f"Load balancer of the {what}", allow_all_outbound=False
    )
    if internet_facing:
        acknowledge(security_group, {"EC23": "internet_facing: the load balancer's ports are the public entrance"})
    else:
        cidr = _cidr(scope, vpc)
        for port in ports:
            security_group.add_ingress_rule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(port), "From the VPC")
        if unresolved(cidr):
            # The rules fail on what they cannot read, and say so in the place of a finding.
            unread = "the address range is that of the VPC, which only the deployment knows"
            acknowledge(security_group, {"EC23": unread})
            rules = {"EC2RestrictedCommonPorts": unread, "EC2RestrictedSSH": unread}
            acknowledge(security_group, rules, pack="NIST.800.53.R5")
    return security_group


def _subnets(internet_facing: bool) -> ec2.SubnetSelection:
    return ec2.SubnetSelection(
        subnet_type=ec2.SubnetType.PUBLIC if internet_facing else ec2.SubnetType.PRIVATE_WITH_EGRESS
    )


def _log_access(balancer: elbv2.BaseLoadBalancer, logs: LogBucket, prefix: str) -> None:
    balancer.set_attribute("access_logs.s3.enabled", "true")
    balancer.set_attribute("access_logs.s3.bucket", logs.bucket.bucket_name)
    balancer.set_attribute("access_logs.s3.prefix", prefix)
    after(balancer, logs)


def _acknowledge_deletion(balancer: Construct, removal_policy: RemovalPolicy) -> None:
    if removal_policy is not RemovalPolicy.RETAIN:
        reason = "removal_policy=DESTROY asks for a stack that can be deleted whole"
        acknowledge(balancer, {"ELBDeletionProtectionEnabled": reason}, pack="NIST.800.53.R5")


def _cidr(at: Construct, vpc: ec2.IVpc) -> str:
    try:
        return vpc.vpc_cidr_block
    except RuntimeError as error:
        raise ConfigurationError(
            f"internet_facing=False, but the address range of VPC {vpc.node.path!r} is not known",
            at=at,
            fix="give vpc_cidr_block= to Vpc.from_vpc_attributes(), or use Vpc.from_lookup()",
        ) from error


def application_target_group(
    scope: Construct,
    id: str,
    vpc: ec2.IVpc,
    port: int,
    health_check_path: str,
    *,
    target_type: elbv2.TargetType | None = None,
    targets: Sequence[elbv2.IApplicationLoadBalancerTarget] | None = None,
) -> elbv2.ApplicationTargetGroup:
    return elbv2.ApplicationTargetGroup(
        scope,
        id,
        vpc=vpc,
        port=port,
        protocol=elbv2.ApplicationProtocol.HTTP,
        target_type=target_type,
        targets=targets,
        # A deployment waits this long for each target to finish its requests before it touches it.
        deregistration_delay=Duration.seconds(30),
        health_check=_health_check(health_check_path),
    )


def network_target_group(
    scope: Construct, id: str, vpc: ec2.IVpc, port: int, health_check_path: str | None
) -> elbv2.NetworkTargetGroup:
    """A target group of addresses, asked for a path, or for a connection and nothing else."""
    return elbv2.NetworkTargetGroup(
        scope,
        id,
        vpc=vpc,
        port=port,
        protocol=elbv2.Protocol.TCP,
        target_type=elbv2.TargetType.IP,
        deregistration_delay=Duration.seconds(30),
        health_check=_health_check(
            health_check_path, elbv2.Protocol.TCP if health_check_path is None else elbv2.Protocol.HTTP
        ),
    )


def _health_check(path: str | None, protocol: elbv2.Protocol | None = None) -> elbv2.HealthCheck:
    return elbv2.HealthCheck(
        path=path,
        protocol=protocol,
        healthy_http_codes=None if path is None else "200",
        interval=Duration.seconds(10),
        timeout=Duration.seconds(5),
        healthy_threshold_count=2,
        unhealthy_threshold_count=3,
    )


def application_listener(
    balancer: elbv2.ApplicationLoadBalancer,
    target_group: elbv2.ApplicationTargetGroup,
    certificate: "acm.ICertificate | None",
    internet_facing: bool,
) -> elbv2.ApplicationListener:
    """Where users come in; with a certificate, plain HTTP is redirected."""
    if certificate is None:
        listener = balancer.add_listener(
            "Http",
            port=80,
            protocol=elbv2.ApplicationProtocol.HTTP,
            default_target_groups=[target_group],
            open=internet_facing,
        )
        acknowledge(listener, _PLAIN, pack="NIST.800.53.R5")
        return listener
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


def application_test_listener(
    balancer: elbv2.ApplicationLoadBalancer,
    target_group: elbv2.ApplicationTargetGroup,
    certificate: "acm.ICertificate | None",
    peers: Sequence[ec2.IPeer],
    port: int,
) -> elbv2.ApplicationListener:
    """Where testers come in, and nobody else."""
    listener = balancer.add_listener(
        "Test",
        port=port,
        protocol=elbv2.ApplicationProtocol.HTTP if certificate is None else elbv2.ApplicationProtocol.HTTPS,
        certificates=None if certificate is None else [certificate],
        ssl_policy=None if certificate is None else elbv2.SslPolicy.RECOMMENDED_TLS,
        default_target_groups=[target_group],
        open=False,
    )
    for peer in peers:
        listener.connections.allow_default_port_from(peer, _TESTERS)
    if certificate is None:
        acknowledge(listener, _PLAIN, pack="NIST.800.53.R5")
    return listener


def network_listener(
    balancer: elbv2.NetworkLoadBalancer,
    id: str,
    port: int,
    action: elbv2.NetworkListenerAction,
    certificate: "acm.ICertificate | None",
    peers: Sequence[ec2.IPeer],
) -> elbv2.NetworkListener:
    """A listener for TLS, or for TCP without a certificate."""
    listener = balancer.add_listener(
        id,
        port=port,
        protocol=elbv2.Protocol.TCP if certificate is None else elbv2.Protocol.TLS,
        certificates=None if certificate is None else [certificate],
        ssl_policy=None if certificate is None else elbv2.SslPolicy.RECOMMENDED_TLS,
        default_action=action,
    )
    for peer in peers:
        balancer.connections.allow_from(peer, ec2.Port.tcp(port), _TESTERS if id == "Test" else "Users")
    if certificate is None:
        reason = "certificate=None: plain TCP is this stack's stated choice"
        acknowledge(listener, {"ELBv2ACMCertificateRequired": reason}, pack="NIST.800.53.R5")
    return listener


def url(balancer: elbv2.ApplicationLoadBalancer, certificate: "acm.ICertificate | None", port: str = "") -> str:
    scheme = "http" if certificate is None else "https"
    return f"{scheme}://{balancer.load_balancer_dns_name}{port}/"


def after(construct: Construct, logs: LogBucket) -> None:
    """What writes logs starts after the bucket admits it, and is gone before the bucket is emptied."""
    ready = [policy_of(logs.bucket).policy, *([logs.end_of_life] if logs.end_of_life is not None else [])]
    construct.node.add_dependency(*ready)
