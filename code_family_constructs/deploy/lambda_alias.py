"""Floor 1: the alias of a Lambda function, and what shifts its traffic from one version to the next."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from code_family_constructs.deploy.hooks import DeploymentHook, check_hooks
from code_family_constructs.deploy.traffic_routing import Shift
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import ServiceRole, Statement, arn
from code_family_constructs.tokens import unresolved

APPLICATION_NAME = NameRule("application", "[A-Za-z0-9+=,.@_-]", 100)
VERSIONS_REASON = "versions are numbered at run time; the function is named, and as a whole it has another ARN"
CANARY = codedeploy.TrafficRouting.time_based_canary(percentage=10, interval=Duration.minutes(5))

_ALIAS_NAME = NameRule("alias", "[A-Za-z0-9_-]", 128)
_CONFIG_NAME = NameRule("deployment configuration", "[A-Za-z0-9+=,.@_-]", 100)
# Lambda's own, for a function that says nothing.
_TIMEOUT = Duration.seconds(3)
# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
_PREDEFINED = frozenset(
    {
        "AllAtOnce",
        *(f"Canary10Percent{minutes}Minutes" for minutes in (5, 10, 15, 30)),
        "Linear10PercentEvery1Minute",
        *(f"Linear10PercentEvery{minutes}Minutes" for minutes in (2, 3, 10)),
    }
)


def check_function(at: Construct, function: lambda_.Function, alias_name: str) -> None:
    """Raises ConfigurationError for a function or an alias whose versions this stack could not publish."""
    if isinstance(getattr(function, "function", None), lambda_.Function):
        raise ConfigurationError(
            f"function= is a {type(function).__name__}, which makes the function",
            at=at,
            fix="give its .function",
        )
    if not isinstance(function, lambda_.Function):
        raise ConfigurationError(
            f"function {function.node.path!r} is not made in this app: its versions are not this stack's to publish",
            at=at,
            fix="give the lambda_.Function itself, in the stack that makes it",
        )
    if Stack.of(function) is not Stack.of(at):
        raise ConfigurationError(
            f"function {function.node.path!r} is in another stack: each release would change an export that is in use",
            at=at,
            fix="make the deployment in the function's own stack",
        )
    check_name(at, alias_name, _ALIAS_NAME)
    if not unresolved(alias_name) and alias_name.isdigit():
        raise ConfigurationError(
            f"alias name {alias_name!r} looks like a version", at=at, fix="put a letter into it, such as 'live'"
        )
    others = _ALIASES.setdefault(function, {})
    if alias_name in others:
        raise ConfigurationError(
            f"alias {alias_name!r} of function {function.node.path!r} has a deployment already",
            at=at,
            fix=f"use {others[alias_name].node.path!r}, or give alias_name= another name",
        )
    others[alias_name] = at


_ALIASES: WeakKeyDictionary[lambda_.Function, dict[str, Construct]] = WeakKeyDictionary()


def gate_of(
    at: Construct, health: HealthGate | None, function: lambda_.Function, function_name: str, alias_name: str
) -> HealthGate:
    """The given gate, or one that watches the alias."""
    if health is not None:
        return health
    gate = HealthGate(at, "Health")
    timeout: Duration | None = function.timeout or _TIMEOUT
    if timeout is not None and timeout.is_unresolved():
        timeout = None
        Annotations.of(at).add_warning_v2(
            "code-family:unknown-timeout",
            f"the timeout of function {function.node.path!r} is only known when it is deployed: no alarm watches how "
            "close to it calls come; give health= a gate that watch()es the duration against a number",
        )
    # The names as text: an alarm that referred to the alias would close a circle, for the alias waits for its
    # deployment group, and the group for its alarms.
    gate.watch_function_alias(function_name=function_name, alias_name=alias_name, timeout=timeout)
    return gate


def hooks_of(
    at: Construct, pre_traffic: DeploymentHook | None, post_traffic: DeploymentHook | None
) -> Mapping[str, DeploymentHook]:
    """Hooks by lifecycle event."""
    both = {"BeforeAllowTraffic": pre_traffic, "AfterAllowTraffic": post_traffic}
    hooks = {event: hook for event, hook in both.items() if hook is not None}
    check_hooks(at, "lambda", hooks, test_traffic=False)
    return hooks


class AliasShift:
    """The CodeDeploy application and deployment group that shift an alias, with a role of their own.

    Args:
        at: The construct to make them in.
        name: Name of the application and of the group.
        alias: The alias.
        function_arn: ARN of its function.
        shift: How fast; `routing` as plain values.
        routing: How fast.
        health: Alarms that stop and roll back a deployment.
        hooks: Hooks by lifecycle event.
    """

    def __init__(
        self,
        at: Construct,
        *,
        name: str,
        alias: lambda_.Alias,
        function_arn: str,
        shift: Shift,
        routing: codedeploy.TrafficRouting,
        health: HealthGate,
        hooks: Mapping[str, DeploymentHook],
    ) -> None:
        self.application_arn = arn("codedeploy", f"application:{name}")
        self.group_arn = arn("codedeploy", f"deploymentgroup:{name}/{name}")
        self.deployment_config = _deployment_config(at, name, shift, routing)
        self.config_arn = arn("codedeploy", f"deploymentconfig:{self.deployment_config.deployment_config_name}")
        self._role = ServiceRole(
            at,
            service="codedeploy.amazonaws.com",
            source_arn=self.group_arn,
            statements=_service_statements(function_arn, alias.alias_name, hooks),
        )
        self.role = self._role.role
        for hook in hooks.values():
            hook.report_to(self.group_arn)
        functions = {event: hook.function for event, hook in hooks.items()}
        self.application = codedeploy.LambdaApplication(at, "Application", application_name=name)
        self.deployment_group = codedeploy.LambdaDeploymentGroup(
            at,
            "DeploymentGroup",
            application=self.application,
            deployment_group_name=name,
            role=self._role.frozen,
            alias=alias,
            deployment_config=self.deployment_config,
            alarms=list(health.alarms),
            pre_hook=functions.get("BeforeAllowTraffic"),
            post_hook=functions.get("AfterAllowTraffic"),
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=False, deployment_in_alarm=True
            ),
            # An alarm that cannot be read might be firing.
            ignore_poll_alarms_failure=False,
            ignore_alarm_configuration=False,
        )
        health.on_added(self.deployment_group.add_alarm)


def check_circle(at: Construct, alias: lambda_.Alias, alarm: cloudwatch.IAlarm) -> None:
    """Raises ConfigurationError for an alarm that waits for the alias that waits for it."""
    if not isinstance(alarm, cloudwatch.Alarm):
        return
    resource: Any = alarm.node.default_child
    stack = Stack.of(at)
    alias_id = stack.resolve(alias.function_arn)["Ref"]
    if alias_id in _references(stack.resolve([resource.dimensions, resource.metrics])):
        raise ConfigurationError(
            f"alarm {alarm.node.path!r} refers to alias {alias.alias_name!r}, which waits for the deployment group, "
            "which waits for its alarms: CloudFormation refuses such a circle",
            at=at,
            fix="name the alias as text in its dimensions, as health.watch_function_alias() does",
        )


def _references(value: Any) -> set[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case dict():
            return set().union(*map(_references, value.values()))
        case list():
            return set().union(*map(_references, value))
        case _:
            return set()


def _deployment_config(
    at: Construct, name: str, shift: Shift, routing: codedeploy.TrafficRouting
) -> codedeploy.ILambdaDeploymentConfig:
    if shift.known and shift.name in _PREDEFINED:
        return codedeploy.LambdaDeploymentConfig.from_lambda_deployment_config_name(
            at, "DeploymentConfig", f"CodeDeployDefault.Lambda{shift.name}"
        )
    # A configuration cannot be changed, only replaced, and CloudFormation makes the new one before it deletes the old
    # one: a name that stays the same would be taken.
    config_name = f"{name}-{shift.name}" if shift.known else None
    if config_name is not None:
        check_name(at, config_name, _CONFIG_NAME, fix="give a shorter application_name=")
    return codedeploy.LambdaDeploymentConfig(
        at, "DeploymentConfig", deployment_config_name=config_name, traffic_routing=routing
    )


def _service_statements(function_arn: str, alias_name: str, hooks: Mapping[str, DeploymentHook]) -> list[Statement]:
    """What of the managed policy AWSCodeDeployRoleForLambdaLimited this alias, its alarms and hooks need.

    Not its access to S3: CloudFormation and the pipeline send the AppSpec along with the request.
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForLambdaLimited.html
    """
    alias_arn = f"{function_arn}:{alias_name}"
    statements = [
        # Lambda's reference does not say which of the two it compares an alias's name with.
        Statement(actions=["lambda:GetAlias", "lambda:UpdateAlias"], resources=[function_arn, alias_arn]),
        Statement(actions=["lambda:GetProvisionedConcurrencyConfig"], resources=[alias_arn]),
        Statement(
            actions=["cloudwatch:DescribeAlarms"],
            resources=["*"],
            wildcard_reason="cloudwatch:DescribeAlarms sees composite alarms only with *",
        ),
    ]
    if hooks:
        functions = [hook.function.function_arn for hook in hooks.values()]
        statements.append(Statement(actions=["lambda:InvokeFunction"], resources=list(dict.fromkeys(functions))))
    return statements


def check_keep_versions(at: Construct, keep: int | None) -> None:
    """Raises ConfigurationError for a number of versions that leaves none to go back to."""
    if keep is None:
        return
    if unresolved(keep):
        raise ConfigurationError("keep_versions is not known at synth time", at=at, fix="give it as a plain number")
    if keep < 2:
        raise ConfigurationError(
            f"keep_versions={keep} leaves no version to go back to", at=at, fix="keep 2 or more, or leave it out"
        )


def prune_statements(function_arn: str) -> list[Statement]:
    """What it takes to delete old versions, and not the function."""
    return [
        Statement(actions=["lambda:ListAliases", "lambda:ListVersionsByFunction"], resources=[function_arn]),
        Statement(
            actions=["lambda:DeleteFunction"],
            resources=[f"{function_arn}:*"],
            wildcard_reason=VERSIONS_REASON,
        ),
    ]
