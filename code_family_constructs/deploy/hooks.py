"""Floor 1: checks that a deployment to Amazon ECS or AWS Lambda waits for, and rolls back when they fail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import jsii
from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import PythonFunction
from code_family_constructs.names import NameRule, check_list, physical_name
from code_family_constructs.own_function import OVERHEAD, check_environment, own_function, seconds_for
from code_family_constructs.permissions import Statement
from code_family_constructs.smoke_test import SmokeTest as SmokeTest

HookPlatform = Literal["ecs", "ecs-native", "lambda"]
Check = Callable[[Mapping[str, Any]], bool | None]

_FUNCTION_NAME = NameRule("function", "[A-Za-z0-9_-]", 64)
# Read by the process that the check runs in.
_SETTINGS = "CODE_FAMILY_HOOK"


@jsii.implements(ec2.IConnectable)
class DeploymentHook(Construct):
    """A check that a deployment waits for: it goes on when the check passes, and rolls back when it fails.

    Creates a Lambda function that runs the check and always answers, CodeDeploy or Amazon ECS as the event has it: also
    when the check raises, exits, crashes, hangs or takes too long, each of which fails it. The reason is in the
    function's log. One hook may serve several lifecycle events and deployments, of either engine. Costs nothing but
    the seconds that it runs.

    A check of one's own is a function at the top of a module that imports only what Lambda has: the standard library
    and boto3. The module's file is deployed as it is and imported anew for each check. The function gets a dictionary:
    `deployment`, the id of CodeDeploy's deployment or the ARN of Amazon ECS's; `stage`, the lifecycle stage, which
    CodeDeploy does not tell (`None`); and `event`, all that the Lambda function was called with. It passes by returning
    `None` or `True`; anything else, and any exception, fails.

    Outside of a VPC the check comes from the internet, from an address nobody knows: a listener that it is to reach has
    to be open to the world. For one that is not, give the hook the VPC, let the hook itself in as a peer
    (`listener.connections.allow_default_port_from(hook)`), and name the load balancer in the `SmokeTest`. The VPC then
    needs a way to CodeDeploy's API, and with a load balancer to that of EC2: NAT, or interface endpoints.

    Args:
        scope: Parent construct.
        id: Construct id.
        check: A `SmokeTest`, or a function.
        timeout: How long the check may take.
        statements: What the check may do in AWS. Reporting its result needs none.
        environment: Environment variables for the check; no place for secrets.
        vpc: Run the check inside of this VPC.
        vpc_subnets: Where in the VPC; left out, private subnets.
        security_groups: At most 5; one is made when left out.
        function_name: Made from the stack's name when left out. An AppSpec file names hooks by it.

    Raises:
        ConfigurationError: A check that could not run in Lambda or not in time, or a place in the network from where
            nothing can be reached.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        check: Check | SmokeTest,
        timeout: Duration = Duration.minutes(5),
        statements: Sequence[Statement] = (),
        environment: Mapping[str, str] | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] = (),
        function_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.function_name = physical_name(self, scope, id, function_name, _FUNCTION_NAME)
        check_list(self, "statements", statements)
        check_list(self, "security_groups", security_groups)
        seconds = _seconds(self, timeout, check)
        settings, files = (check.settings(), {}) if isinstance(check, SmokeTest) else _own_settings(self, check)
        check_environment(self, environment or {}, _SETTINGS, settings)
        subnets = _subnets(self, vpc, vpc_subnets, security_groups, check)

        self._reports_to: set[str] = set()
        self._without_way_out = subnets is not None and subnets.isolated
        if self._without_way_out and isinstance(check, SmokeTest) and check.load_balancer is not None:
            Annotations.of(self).add_warning_v2(
                "code-family:hook-without-way-to-ec2",
                "the hook runs in subnets without a way out: unless they have an interface endpoint for EC2 "
                "(com.amazonaws.<region>.ec2), it cannot look up the load balancer's address, and always fails",
            )
        function = PythonFunction(
            self,
            "Function",
            module="deployment_hook",
            shared=["hook_check", "own_process", "smoke_test"],
            files=files,
            description="Checks a deployment before it goes on",
            statements=[*statements, *_network_statements(subnets, check)],
            timeout=Duration.seconds(seconds + OVERHEAD),
            environment={**(environment or {}), _SETTINGS: Stack.of(self).to_json_string(settings)},
            concurrency="a deployment calls it a few times, and waits for it",
            failures="the deployment waits for its answer, and rolls back without one",
            network="it checks what is public, and reports to public endpoints",
        )
        self._function = function
        self.function: lambda_.Function = function.function
        self.role = function.role
        self.log_group = function.log_group
        self.security_groups: Sequence[ec2.ISecurityGroup] = ()
        resource: Any = self.function.node.default_child
        resource.function_name = self.function_name
        if vpc is not None and subnets is not None:
            self.security_groups = tuple(security_groups) or (
                ec2.SecurityGroup(self, "SecurityGroup", vpc=vpc, description="Checks deployments"),
            )
            resource.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
                subnet_ids=list(subnets.ids), security_group_ids=[one.security_group_id for one in self.security_groups]
            )
            self._connections: ec2.Connections | None = ec2.Connections(security_groups=list(self.security_groups))
        else:
            self._connections = None

    @property
    def connections(self) -> ec2.Connections:
        """The hook as a peer of security groups.

        Raises:
            ConfigurationError: The hook is in no VPC.
        """
        if self._connections is None:
            raise ConfigurationError(
                "a hook outside of a VPC comes from an address that nobody knows, no security group can let it in",
                at=self,
                fix="give the hook vpc=",
            )
        return self._connections

    def report_to(self, deployment_group_arn: str) -> None:
        """Lets the hook report to deployments of a CodeDeploy deployment group; call it for each that uses the hook."""
        if deployment_group_arn in self._reports_to:
            return
        if self._without_way_out and not self._reports_to:
            Annotations.of(self).add_warning_v2(
                "code-family:hook-without-way-out",
                "the hook runs in subnets without a way out: unless they have an interface endpoint for CodeDeploy "
                "(com.amazonaws.<region>.codedeploy), it cannot report, and CodeDeploy gives up an hour later",
            )
        self._reports_to.add(deployment_group_arn)
        self._function.allow(
            Statement(actions=["codedeploy:PutLifecycleEventHookExecutionStatus"], resources=[deployment_group_arn])
        )


def check_hooks(
    at: Construct, platform: HookPlatform, hooks: Mapping[str, DeploymentHook], *, test_traffic: bool
) -> None:
    """Raises ConfigurationError for a lifecycle event that this kind of deployment does not have or never reaches.

    Args:
        at: The deployment.
        platform: CodeDeploy for Amazon ECS, Amazon ECS's own deployments, or CodeDeploy for AWS Lambda.
        hooks: Hooks by lifecycle event, or stage as Amazon ECS calls it.
        test_traffic: Whether there is a test listener.
    """
    known = _EVENTS[platform]
    for name in hooks:
        if name not in known:
            raise ConfigurationError(f"{_WHAT[platform]} has no {name!r}", at=at, fix=_remedy(platform, name))
        if name in _TEST_TRAFFIC and not test_traffic:
            raise ConfigurationError(
                f"a hook for {name}, but there is no test listener whose traffic it could test",
                at=at,
                fix="give the deployment a test listener, or use "
                + ("POST_SCALE_UP" if platform == "ecs-native" else "AfterInstall"),
            )


# https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html
_EVENTS: Mapping[HookPlatform, Sequence[str]] = {
    "ecs": ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"),
    "ecs-native": (
        "RECONCILE_SERVICE",
        "PRE_SCALE_UP",
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
    ),
    "lambda": ("BeforeAllowTraffic", "AfterAllowTraffic"),
}
_WHAT: Mapping[HookPlatform, str] = {
    "ecs": "a CodeDeploy deployment to Amazon ECS",
    "ecs-native": "Amazon ECS's own deployment",
    "lambda": "a CodeDeploy deployment to AWS Lambda",
}
_TEST_TRAFFIC = ("AfterAllowTestTraffic", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT")
# https://aws.amazon.com/blogs/containers/migrating-from-aws-codedeploy-to-amazon-ecs-for-blue-green-deployments/
_OF_ECS = {
    "BeforeInstall": "PRE_SCALE_UP",
    "AfterInstall": "POST_SCALE_UP",
    "AfterAllowTestTraffic": "POST_TEST_TRAFFIC_SHIFT",
    "BeforeAllowTraffic": "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "AfterAllowTraffic": "POST_PRODUCTION_TRAFFIC_SHIFT",
}
_OF_CODEDEPLOY = {stage: event for event, stage in _OF_ECS.items()} | {
    "RECONCILE_SERVICE": "BeforeInstall",
    "TEST_TRAFFIC_SHIFT": "AfterAllowTestTraffic",
    "PRODUCTION_TRAFFIC_SHIFT": "BeforeAllowTraffic",
}
_OF_EC2 = ("ApplicationStop", "ApplicationStart", "ValidateService", "BeforeBlockTraffic", "AfterBlockTraffic")
_OF_CODEDEPLOY_ITSELF = (
    "Start",
    "DownloadBundle",
    "Install",
    "BlockTraffic",
    "AllowTestTraffic",
    "AllowTraffic",
    "End",
)


def _remedy(platform: HookPlatform, name: str) -> str:
    known = _EVENTS[platform]
    everything = f"use one of {', '.join(known)}"
    counterpart = _OF_ECS.get(name) if platform == "ecs-native" else _OF_CODEDEPLOY.get(name)
    if counterpart in known:
        return f"use {counterpart}, its counterpart here"
    if name in _OF_EC2:
        return f"{everything}; {name} is for instances"
    if name in _OF_ECS:
        return f"{everything}; {name} is for Amazon ECS"
    if name in _OF_CODEDEPLOY_ITSELF:
        return f"{everything}; {name} is CodeDeploy's own work"
    plain = {one.replace("_", "").lower(): one for one in known}
    near = get_close_matches(name.replace("_", "").lower(), plain, n=1, cutoff=0.75)
    return f"use {plain[near[0]]}" if near else everything


def _seconds(at: Construct, timeout: Duration, check: Check | SmokeTest) -> int:
    """The time for the check, in which it has to fit."""
    seconds = seconds_for(at, timeout, "check")
    longest = check.longest() if isinstance(check, SmokeTest) else None
    if longest is not None and longest > seconds:
        raise ConfigurationError(
            f"a smoke test that takes up to {longest:g} seconds, in a hook that has {seconds:g}",
            at=at,
            fix="give it fewer retries, shorter waits and timeouts, or the hook a longer timeout=",
        )
    return seconds


def _own_settings(at: Construct, check: Check) -> tuple[dict[str, Any], dict[str, str]]:
    found = own_function(at, check, noun="check", example="is_healthy(deployment)")
    return {"file": found.file, "function": found.function}, {found.file: found.source}


@dataclass(frozen=True, slots=True)
class _Subnets:
    ids: Sequence[str]
    isolated: bool


def _subnets(
    at: Construct,
    vpc: ec2.IVpc | None,
    selection: ec2.SubnetSelection | None,
    security_groups: Sequence[ec2.ISecurityGroup],
    check: Check | SmokeTest,
) -> _Subnets | None:
    if vpc is None:
        if selection is not None or security_groups:
            raise ConfigurationError("subnets or security groups, but no VPC", at=at, fix="give vpc= as well")
        if isinstance(check, SmokeTest) and check.load_balancer is not None:
            raise ConfigurationError(
                "a smoke test of a load balancer's address inside of a VPC, but the hook is in no VPC",
                at=at,
                fix="give the hook vpc=, or leave load_balancer= out",
            )
        return None
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    if len(security_groups) > 5:
        raise ConfigurationError(f"{len(security_groups)} security groups, Lambda takes 5", at=at, fix="give at most 5")
    wanted = selection or ec2.SubnetSelection()
    fix = "give the VPC private subnets with a way out (NAT), and choose them with vpc_subnets="
    try:
        chosen = vpc.select_subnets(
            availability_zones=wanted.availability_zones,
            one_per_az=wanted.one_per_az,
            subnet_filters=wanted.subnet_filters,
            subnet_group_name=wanted.subnet_group_name,
            subnets=wanted.subnets,
            subnet_type=wanted.subnet_type,
        )
    except RuntimeError as error:
        raise ConfigurationError(f"no such subnets in VPC {vpc.node.path!r}: {error}", at=at, fix=fix) from error
    if not chosen.subnet_ids:
        raise ConfigurationError(f"none of the subnets of VPC {vpc.node.path!r} is chosen", at=at, fix=fix)
    if chosen.has_public and not chosen.is_pending_lookup:
        raise ConfigurationError(
            "a hook in public subnets: Lambda gets no public address there, so it could not report",
            at=at,
            fix=fix,
        )
    isolated = {subnet.subnet_id for subnet in vpc.isolated_subnets}
    return _Subnets(chosen.subnet_ids, any(id in isolated for id in chosen.subnet_ids))


def _network_statements(subnets: _Subnets | None, check: Check | SmokeTest) -> Iterator[Statement]:
    if subnets is None:
        return
    # Lambda attaches the function in the name of its role, but without this key; the function's own calls have it.
    # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    yield Statement(
        actions=[
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ],
        resources=["*"],
        conditions={"Null": {"lambda:SourceFunctionArn": "true"}},
        wildcard_reason=(
            "Lambda demands these on all resources to attach a function to a VPC; the condition keeps them from the "
            "function's own code"
        ),
    )
    if isinstance(check, SmokeTest) and check.load_balancer is not None:
        yield Statement(
            actions=["ec2:DescribeNetworkInterfaces"],
            resources=["*"],
            wildcard_reason="the smoke test looks up the load balancer's address; describing takes no resource",
        )
