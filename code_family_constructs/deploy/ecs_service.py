"""Floor 1: a service on Amazon ECS that is released blue/green, behind a load balancer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.cross_account import let_pull
from code_family_constructs.deploy import entrance
from code_family_constructs.deploy.ecs_traffic import (
    ApplicationTraffic,
    LoadBalancerKind,
    NetworkTraffic,
    Traffic,
    Way,
)
from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.running_image import RunningImage
from code_family_constructs.deploy.task_failures import TaskFailures
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.names import NameRule, check_name, physical_name
from code_family_constructs.permissions import Permissions, ServiceRole, Statement, acknowledge, arn, pseudo
from code_family_constructs.storage import LogBucket, check_removal_policy
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # for an annotation, it would be half a second of import time
    from aws_cdk import aws_certificatemanager as acm

_CODE_DEPLOY = ecs.DeploymentControllerType.CODE_DEPLOY
_ECS = ecs.DeploymentControllerType.ECS

# Says that it works until the first release: on this port and at this path, as a user without rights, and without
# writing to its own file system.
_PLACEHOLDER = "public.ecr.aws/nginx/nginx-unprivileged:1.29-alpine"
_PLACEHOLDER_PORT = 8080
_PLACEHOLDER_PATH = "/"

_SERVICE_NAME = NameRule("service", "[A-Za-z0-9_-]", 255)
_CONTAINER_NAME = NameRule("container", "[A-Za-z0-9_-]", 255)
_TMP: Mapping[str, Size] = MappingProxyType({"/tmp": Size.mebibytes(64)})  # noqa: S108 - a path in the container


@dataclass(frozen=True, kw_only=True, slots=True)
class EcsTarget:
    """What an `EcsDeployment` has to know of a service: an `EcsService` has one, and so can a service of your own.

    A service that CodeDeploy deploys may be imported. One that Amazon ECS deploys has to be made in this app, since how
    it is deployed is a part of it; its load balancer target needs an `alternate_target`, and its task definition a
    `RunningImage`. Either is made with `task_definition_revision=ecs.TaskDefinitionRevision.LATEST`, so that releases
    hand it task definitions and CloudFormation does not.

    Args:
        service: The service.
        task_definition: What a release takes over from the stack. One that is imported has to have its roles.
        container_name: The container that is released, and that gets the traffic.
        container_port: Its port.
        deployment_controller: As the service has it.
        load_balancer: What kind of load balancer it is behind.
        listener: Where users come in. This, and what follows, is for CodeDeploy to know.
        test_listener: Where testers come in. For Amazon ECS's own deployments, it says that the service has one.
        blue_target_group: The target group that the service was made with.
        green_target_group: The other one.
    """

    service: ecs.IBaseService
    task_definition: ecs.ITaskDefinition
    container_name: str
    container_port: int
    deployment_controller: ecs.DeploymentControllerType
    load_balancer: LoadBalancerKind = "application"
    listener: "elbv2.IApplicationListener | elbv2.INetworkListener | None" = None
    test_listener: "elbv2.IApplicationListener | elbv2.INetworkListener | None" = None
    blue_target_group: elbv2.ITargetGroup | None = None
    green_target_group: elbv2.ITargetGroup | None = None


class EcsService(Construct):
    """A Fargate service in private subnets behind a load balancer, with two target groups to release it blue/green.

    Creates a VPC over two zones with one NAT gateway and a cluster (unless they are given), a load balancer with access
    logs, two target groups, the service with its task definition, and roles for the tasks and for Amazon ECS to start
    them. A health gate watches both target groups for server errors, unhealthy targets and latency, and the service for
    tasks that fail; why they did is in a log group. Tasks have no public address, no shell, and write to no file system
    but what `tmpfs` says. With `test_listener`, a second listener leads to what a release is about to bring.

    CloudFormation registers the task definition, and releases hand it to the service; see `EcsDeployment`, which also
    tells who is to deploy it. Until the first release the service runs a placeholder. About 70 USD a month in us-east-1
    before traffic: NAT gateway 33, load balancer 16, two of the smallest tasks 18, alarms and logs.

    CloudFormation knows where traffic went first, and not where releases have moved it: a change of the listener itself
    sends users to the blue target group. Make one while blue has the traffic.

    Args:
        scope: Parent construct.
        id: Construct id.
        certificate: Certificate for HTTPS; plain HTTP is then redirected. `None` serves plain HTTP, which anybody on
            the way can read and change: fine for a first try, not for users.
        repository: Where the images of releases are, such as an `ImageBuild`'s. `None` if they are public.
        image: What runs until the first release. It has to answer on `port` at `health_check_path`.
        deployment_controller: Who deploys the service: Amazon ECS itself, or CodeDeploy.
        cluster: A cluster to use; the service is then in its VPC.
        vpc: A VPC to use; it needs private subnets with a way out, and public ones if `internet_facing`.
        internet_facing: Whether the load balancer is reachable from the internet, or from the VPC alone.
        load_balancer: `application`, or `network` for what is not HTTP, or for fixed addresses.
        listener_port: Where a network load balancer listens for users; 443 with a certificate and 80 without, when left
            out. An application load balancer listens there anyway.
        port: Where the container listens, without TLS inside of the VPC.
        container_name: Name of the container that is released, in the build too.
        cpu: CPU units of a task, 1024 for each vCPU.
        memory_limit_mib: Memory of a task. Fargate has certain sizes for each number of CPU units.
        cpu_architecture: What the image was built for.
        desired_count: How many tasks. `None` leaves it to a scaling policy after the first.
        environment: Environment variables; no place for secrets.
        secrets: Environment variables whose values come from Secrets Manager or Parameter Store when a task starts.
        statements: What the application may do in AWS. Or use the grants of aws-cdk-lib on `task_role`.
        tmpfs: Folders that the container may write to, in memory, with their sizes.
        health_check_path: What the load balancer asks for; any answer but 200 is unhealthy. `None` has a network load
            balancer try to connect and nothing else.
        health_check_grace_period: How long a task may take to start before it has to be healthy.
        test_listener: Whether there is a listener for tests. Who reaches it is said by `test_listener_peers`, and by
            `let_in()` for hooks.
        test_listener_peers: Who may look at a release before users do: address ranges, prefix lists or security groups,
            but not the whole internet.
        test_listener_port: Where it listens, with the protocol and certificate of the other listener.
        nat_gateways: 1 is cheap; one for each zone survives the loss of a zone.
        alarm_topic: Where the alarms report to, such as an `AlertTopic`'s topic.
        service_name: Name of the service and of its task definitions; made from the stack's name when left out.
        removal_policy: RETAIN keeps the logs and protects the load balancer from deletion; DESTROY lets go of both.

    Raises:
        ConfigurationError: A size that Fargate does not have, a port, path or name that cannot be, a secret in plain
            sight, a network without a way out, a placeholder that could not be healthy, or a test listener that is open
            to the internet.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        certificate: "acm.ICertificate | None",
        repository: ecr.IRepository | None,
        image: ecs.ContainerImage | None = None,
        deployment_controller: ecs.DeploymentControllerType = _ECS,
        cluster: ecs.ICluster | None = None,
        vpc: ec2.IVpc | None = None,
        internet_facing: bool = True,
        load_balancer: LoadBalancerKind = "application",
        listener_port: int | None = None,
        port: int = _PLACEHOLDER_PORT,
        container_name: str = "app",
        cpu: int = 256,
        memory_limit_mib: int = 512,
        cpu_architecture: ecs.CpuArchitecture | None = None,
        desired_count: int | None = 2,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        statements: Sequence[Statement] = (),
        tmpfs: Mapping[str, Size] = _TMP,
        health_check_path: str | None = _PLACEHOLDER_PATH,
        health_check_grace_period: Duration = Duration.seconds(60),
        test_listener: bool = False,
        test_listener_peers: Sequence[ec2.IPeer] = (),
        test_listener_port: int = 9001,
        nat_gateways: int = 1,
        alarm_topic: sns.ITopic | None = None,
        service_name: str | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, service_name, _SERVICE_NAME)
        check_removal_policy(self, removal_policy)
        check_name(self, container_name, _CONTAINER_NAME)
        _check_controller(self, deployment_controller)
        _check_load_balancer(self, load_balancer, listener_port, health_check_path)
        _check_size(self, cpu, memory_limit_mib, tmpfs)
        _check_count(self, desired_count)
        _check_environment(self, environment or {}, secrets or {})
        by_ecs = deployment_controller is _ECS
        vpc = _vpc_of(self, cluster, vpc)
        entrance.check_listening(self, port, health_check_path or "/")
        entrance.check_network(self, nat_gateways, vpc, internet_facing)
        if test_listener or test_listener_peers:
            entrance.check_test_listener(self, test_listener_peers, test_listener_port)
        _check_placeholder(self, image, port, health_check_path)

        self.logs = LogBucket(self, "Logs", removal_policy=removal_policy)
        self.vpc: ec2.IVpc = vpc or entrance.new_vpc(self, self.logs, nat_gateways)
        self.cluster: ecs.ICluster = cluster or ecs.Cluster(
            self, "Cluster", vpc=self.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
        )
        self.log_group = logs.LogGroup(
            self, "TaskLogs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        acknowledge(
            self.log_group,
            {"CloudWatchLogGroupEncrypted": "CloudWatch encrypts it; a key of one's own is for the application's data"},
            pack="NIST.800.53.R5",
        )
        self.task_role = _task_role(self, statements)
        self._execution_role = ServiceRole(
            self,
            service="ecs-tasks.amazonaws.com",
            statements=_start_statements(self.log_group, repository),
            id="ExecutionRole",
        )
        self.execution_role = self._execution_role.role
        self.repository = repository
        if repository is not None:
            let_pull(repository, self.execution_role)
        self.task_definition = ecs.FargateTaskDefinition(
            self,
            "TaskDefinition",
            family=name,
            cpu=cpu,
            memory_limit_mib=memory_limit_mib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=cpu_architecture or ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=self.task_role.without_policy_updates(),
            execution_role=self._execution_role.frozen,
        )
        self.container = self.task_definition.add_container(
            container_name,
            image=image or ecs.ContainerImage.from_registry(_PLACEHOLDER),
            port_mappings=[ecs.PortMapping(container_port=port)],
            environment=dict(environment) if environment else None,
            secrets=dict(secrets) if secrets else None,
            readonly_root_filesystem=True,
            linux_parameters=_linux_parameters(self, tmpfs),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=name, log_group=self.log_group),
        )
        if environment:
            reason = "environment= is for what anybody who reads the stack may know; secrets= is for the rest"
            acknowledge(self.task_definition, {"ECS2": reason})
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=self.vpc, description="Tasks of the service", allow_all_outbound=False
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs and images")
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            service_name=name,
            task_definition=self.task_definition,
            # The family without a revision: releases hand task definitions to the service, and CloudFormation, which
            # knows none of theirs, would take the service back to the last one of its own.
            task_definition_revision=ecs.TaskDefinitionRevision.LATEST,
            desired_count=desired_count,
            security_groups=[self.security_group],
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            assign_public_ip=False,
            platform_version=ecs.FargatePlatformVersion.LATEST,
            deployment_controller=ecs.DeploymentController(type=deployment_controller),
            deployment_strategy=ecs.DeploymentStrategy.BLUE_GREEN if by_ecs else None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True) if by_ecs else None,
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=health_check_grace_period,
            enable_execute_command=False,
        )
        # The family has no revision before, and aws-cdk-lib does not wait for one.
        self.service.node.add_dependency(self.task_definition)
        if secrets:
            # Apart from the role's other policy, which the role refers to: aws-cdk-lib names the role in the policies
            # of the secrets' keys, and with a policy that in turn names the secrets it would be a circle.
            reader = Permissions(self, "SecretsPolicy", role_names=[self.execution_role.role_name])
            for policy in reader.add(_secret_statements(secrets)).values():
                self.service.node.add_dependency(policy)
        way = Way(
            scope=self,
            vpc=self.vpc,
            logs=self.logs,
            certificate=certificate,
            internet_facing=internet_facing,
            removal_policy=removal_policy,
            port=port,
            health_check_path=health_check_path,
            test_port=test_listener_port if test_listener or test_listener_peers else None,
            testers=test_listener_peers,
        )
        traffic: Traffic = (
            ApplicationTraffic(way)
            if load_balancer == "application"
            else NetworkTraffic(way, listener_port, weighted=by_ecs)
        )
        self.load_balancer = traffic.load_balancer
        self.listener = traffic.listener
        self.test_listener = traffic.test_listener
        self._test_listener_port = test_listener_port
        self.blue_target_group = traffic.blue
        self.green_target_group = traffic.green
        self.running_image = RunningImage(
            self,
            "RunningImage",
            task_definition=self.task_definition,
            container_name=container_name,
            cluster_name=self.cluster.cluster_name,
            service_name=name,
            deployment_controller=deployment_controller,
            blue_target_group_arn=traffic.blue.target_group_arn if by_ecs else None,
        )
        self.infrastructure_role: iam.Role | None = None
        alternate = self._alternate(traffic) if by_ecs else None
        traffic.attach(
            self.service,
            self.service.load_balancer_target(
                container_name=container_name, container_port=port, alternate_target=alternate
            ),
            port,
        )
        # A target group that no listener knows yet is refused.
        self.service.node.add_dependency(traffic.green.load_balancer_attached)
        self.health = HealthGate(self, "Health", topic=alarm_topic)
        traffic.watch(self.health)
        self.failures = TaskFailures(
            self, "TaskFailures", cluster_arn=self.cluster.cluster_arn, service_name=name, health=self.health
        )
        self.target = EcsTarget(
            service=self.service,
            task_definition=self.task_definition,
            container_name=container_name,
            container_port=port,
            deployment_controller=deployment_controller,
            load_balancer=load_balancer,
            listener=traffic.listener,
            test_listener=traffic.test_listener,
            blue_target_group=traffic.blue,
            green_target_group=traffic.green,
        )
        if isinstance(traffic, ApplicationTraffic):
            CfnOutput(self, "Url", value=entrance.url(traffic.load_balancer, certificate))
            if traffic.test_listener is not None:
                test_url = entrance.url(traffic.load_balancer, certificate, f":{test_listener_port}")
                CfnOutput(self, "TestUrl", value=test_url)

    def let_in(self, hook: DeploymentHook) -> None:
        """Lets a hook reach the test listener.

        The hook has to be in the service's VPC, and its `SmokeTest` to name the load balancer:
        `SmokeTest("http://…:9001/", load_balancer=service.load_balancer.load_balancer_full_name)`.

        Raises:
            ConfigurationError: There is no test listener, or the hook is in no VPC.
        """
        if self.test_listener is None:
            raise ConfigurationError(
                f"hook {hook.node.path!r} and no test listener to reach", at=self, fix="give test_listener=True"
            )
        self.load_balancer.connections.allow_from(hook.connections, ec2.Port.tcp(self._test_listener_port), "A hook")

    def _alternate(self, traffic: Traffic) -> ecs.AlternateTarget:
        moves = traffic.moves(self.running_image.resource)
        role = ServiceRole(self, service="ecs.amazonaws.com", statements=moves.permissions, id="InfrastructureRole")
        self.infrastructure_role = role.role
        return ecs.AlternateTarget(
            "Green",
            alternate_target_group=traffic.green,
            production_listener=moves.production,
            test_listener=moves.test,
            role=role.frozen,
        )


def _check_controller(at: Construct, controller: ecs.DeploymentControllerType) -> None:
    if controller not in (_CODE_DEPLOY, _ECS):
        raise ConfigurationError(
            f"deployment controller {controller.name}: nothing here would deploy the service",
            at=at,
            fix="use ecs.DeploymentControllerType.ECS or CODE_DEPLOY",
        )


def _check_load_balancer(at: Construct, kind: str, listener_port: int | None, path: str | None) -> None:
    if kind not in get_args(LoadBalancerKind):
        raise ConfigurationError(
            f"load_balancer={kind!r}", at=at, fix=f"use {' or '.join(map(repr, get_args(LoadBalancerKind)))}"
        )
    if kind == "application" and path is None:
        raise ConfigurationError(
            "health_check_path=None: an application load balancer asks for something",
            at=at,
            fix="give a path that answers with 200, or load_balancer='network'",
        )
    if kind == "application" and listener_port is not None:
        raise ConfigurationError(
            f"listener_port={listener_port} of an application load balancer, which listens on 80 and 443",
            at=at,
            fix="leave it out, or use load_balancer='network'",
        )
    if listener_port is not None and not unresolved(listener_port) and not 1 <= listener_port <= 65535:
        raise ConfigurationError(f"listener_port={listener_port}", at=at, fix="use a port from 1 to 65535")


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
_SIZES: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
    32768: (61440, 122880, 249856),
}


def _check_size(at: Construct, cpu: int, memory: int, tmpfs: Mapping[str, Size]) -> None:
    if not unresolved(cpu) and cpu not in _SIZES:
        raise ConfigurationError(
            f"cpu={cpu}, which Fargate does not have", at=at, fix=f"use one of {', '.join(map(str, _SIZES))}"
        )
    if not unresolved(cpu) and not unresolved(memory) and memory not in _SIZES[cpu]:
        sizes = _SIZES[cpu]
        fit = sizes if len(sizes) <= 4 else (*sizes[:2], "…", sizes[-1])
        raise ConfigurationError(
            f"memory_limit_mib={memory} with cpu={cpu}, which Fargate does not have",
            at=at,
            fix=f"use one of {', '.join(map(str, fit))}",
        )
    for path in tmpfs:
        if not path.startswith("/") or path == "/":
            raise ConfigurationError(
                f"tmpfs for {path!r}", at=at, fix="name a folder in the container, such as '/tmp', and not the root"
            )
    in_memory = sum(size.to_mebibytes() for size in tmpfs.values())
    if not unresolved(memory) and in_memory >= memory:
        raise ConfigurationError(
            f"tmpfs of {in_memory:g} MiB in a task with {memory} MiB of memory",
            at=at,
            fix="use a larger memory_limit_mib=, or less tmpfs=",
        )


def _check_count(at: Construct, desired_count: int | None) -> None:
    if desired_count is not None and not unresolved(desired_count) and desired_count < 1:
        raise ConfigurationError(
            f"desired_count={desired_count}: nothing would answer, and no release could tell whether it works",
            at=at,
            fix="use 1 or more, or None for a scaling policy",
        )


def _check_environment(at: Construct, environment: Mapping[str, str], secrets: Mapping[str, ecs.Secret]) -> None:
    both = sorted(environment.keys() & secrets.keys())
    if both:
        raise ConfigurationError(
            f"{both[0]} in environment= and in secrets=", at=at, fix="give each variable one value"
        )
    for name, value in environment.items():
        if "{{resolve:secretsmanager:" in str(Stack.of(at).resolve(value)):
            raise ConfigurationError(
                f"environment variable {name} holds a secret, and would stand in the task definition for all to read",
                at=at,
                fix=f"give it as secrets={{{name!r}: ecs.Secret.from_secrets_manager(…)}}",
            )


def _vpc_of(at: Construct, cluster: ecs.ICluster | None, vpc: ec2.IVpc | None) -> ec2.IVpc | None:
    if cluster is not None and vpc is not None:
        raise ConfigurationError(
            "cluster= and vpc=, but a service is in the VPC of its cluster", at=at, fix="give one of them"
        )
    return vpc if cluster is None else cluster.vpc


def _check_placeholder(at: Construct, image: ecs.ContainerImage | None, port: int, path: str | None) -> None:
    if image is None and (port != _PLACEHOLDER_PORT or path not in (_PLACEHOLDER_PATH, None)):
        raise ConfigurationError(
            f"until the first release nothing would answer on port {port}"
            + (f" at {path}" if path is not None else ""),
            at=at,
            fix=f"give image= one that does; the one made for it listens on {_PLACEHOLDER_PORT} and knows "
            f"{_PLACEHOLDER_PATH!r}",
        )


def _task_role(at: Construct, statements: Sequence[Statement]) -> iam.Role:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    source = arn("ecs", "*")
    if statements:
        return ServiceRole(
            at, service="ecs-tasks.amazonaws.com", source_arn=source, statements=statements, id="TaskRole"
        ).role
    return iam.Role(
        at,
        "TaskRole",
        assumed_by=iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": pseudo().account},
                "ArnLike": {"aws:SourceArn": source},
            },
        ),
    )


def _start_statements(log_group: logs.LogGroup, repository: ecr.IRepository | None) -> list[Statement]:
    """What Amazon ECS needs to start a task, as far as this service has it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    statements = [Statement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn])]
    if repository is not None:
        statements += [
            Statement(
                actions=["ecr:GetAuthorizationToken"],
                resources=["*"],
                wildcard_reason="the token is for the registry, and has no resource-level permissions",
            ),
            Statement(
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=[repository.repository_arn],
            ),
        ]
    return statements


def _secret_statements(secrets: Mapping[str, ecs.Secret]) -> list[Statement]:
    """What Amazon ECS needs to read these, and to decrypt them with whatever key they have.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    """
    aws = pseudo()
    found: list[Statement] = []
    for arns in dict.fromkeys(_secret_arns(secret.arn) for secret in secrets.values()):
        service, action, context = (
            ("ssm", "ssm:GetParameters", "PARAMETER_ARN")
            if ":ssm:" in arns[0]
            else ("secretsmanager", "secretsmanager:GetSecretValue", "SecretARN")
        )
        wild = any("?" in one for one in arns)
        conditions = {
            "kms:ViaService": f"{service}.{aws.region}.{aws.url_suffix}",
            f"kms:EncryptionContext:{context}": list(arns),
        }
        found += [
            Statement(
                actions=[action],
                resources=list(arns),
                wildcard_reason="Secrets Manager ends ARNs with six characters of its own; the secret is named"
                if wild
                else None,
            ),
            Statement(
                actions=["kms:Decrypt"],
                resources=["*"],
                conditions={"StringLike" if wild else "StringEquals": conditions},
                wildcard_reason="which key it is only the secret knows, and only for this one secret may it be used",
            ),
        ]
    return found


def _secret_arns(arn: str) -> tuple[str, ...]:
    """ARN of a secret or parameter, without the field and version that a task definition adds to it."""
    of_secret = re.fullmatch(r"(arn:.*:secret:[^:]+|\$\{Token\[[^]]*\]\})(?::[^:]*){3}", arn)
    whole = of_secret[1] if of_secret else arn
    name = re.search(":secret:(.+)", whole)
    if name is None:
        return (whole,)
    # Imported by its name, a secret lacks what Secrets Manager has put after it; a name may look as if it had it.
    named = f"{whole}-??????"
    return (whole, named) if re.search(r"-\w{6}$", name[1]) else (named,)


def _linux_parameters(at: Construct, tmpfs: Mapping[str, Size]) -> ecs.LinuxParameters:
    parameters = ecs.LinuxParameters(at, "LinuxParameters")
    for path, size in tmpfs.items():
        parameters.add_tmpfs(
            ecs.Tmpfs(
                container_path=path,
                size=size.to_mebibytes(),
                mount_options=[ecs.TmpfsMountOption.NOSUID, ecs.TmpfsMountOption.NODEV],
            )
        )
    return parameters
