"""Floor 1: release new code for a Lambda function from a pipeline, and shift its traffic."""

from typing import Any

import jsii
from aws_cdk import Annotations, Duration, IStableStringProducer, Lazy, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import log_statements
from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.lambda_alias import (
    APPLICATION_NAME,
    CANARY,
    VERSIONS_REASON,
    AliasShift,
    check_function,
    check_keep_versions,
    gate_of,
    hooks_of,
    prune_statements,
)
from code_family_constructs.deploy.traffic_routing import shift_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import PythonFunction, invoke_action, invoke_statements
from code_family_constructs.health import HealthGate
from code_family_constructs.names import physical_name
from code_family_constructs.permissions import Statement

# CodePipeline gives a Lambda action a day; of it, an hour is for the update of the code and for hooks.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_LONGEST_SHIFT = 23 * 60
_MOST_ALARMS = 10


class LambdaCodeDeployment(Construct):
    """Releases an artifact as the new code of a Lambda function, and has CodeDeploy shift the alias to it.

    The artifact is what Lambda runs: its root holds the handler's file. The pipeline calls a small function of ours,
    which updates the code, publishes a version, renders the AppSpec, starts the deployment and watches it to its end. A
    hook that fails or an alarm that fires shifts the traffic back, and fails the stage. An artifact whose code and
    settings are those of the version that is live shifts nothing and succeeds.

    Creates the alias on a first version, a CodeDeploy application and deployment group, the function of ours, a role
    for each of the two, and three alarms on the alias unless a health gate is given (0.10 USD a month each). What
    calls the function has to call `alias`. Versions are kept unless `keep_versions` says otherwise.

    From the first release on, the alias and the code are the pipeline's. A `cdk deploy` shifts no traffic and brings no
    old code back: CloudFormation leaves the alias alone, and the code too while the template's stays as it is, which
    `LambdaFunction` sees to. Settings that it changes (memory, environment, a layer), and code if the template does
    bring another, wait in `$LATEST`, which nobody calls. The next release brings its own code, and the settings with
    it; to put them into effect at once, release the same artifact again. Leave `alias` as it is here: to change its
    description or its provisioned concurrency, CloudFormation would set all of the alias, its first version too.
    `alias.add_auto_scaling()` is a resource of its own and does no harm.

    Use `LambdaDeployment` for a function that is deployed with its stack, and `LambdaActionDeployment` for artifacts of
    more than 50 MB. To turn a `LambdaDeployment` into this, change the function in the same update, its description for
    one: Lambda publishes no second version of the same, and CloudFormation takes that for a failure.

    Args:
        scope: Parent construct.
        id: Construct id.
        function: A function of this stack, with its code in a zip file.
        alias_name: Name of the alias.
        traffic_routing: How fast: all at once, or steps in whole minutes, in 23 hours at most.
        health: Alarms that stop and roll back a deployment, instead of those on the alias's errors, throttles and
            duration against the function's timeout; `HealthGate.watch_function_alias` adds these to a gate of one's
            own.
        pre_traffic_hook: Checks the new version before it gets traffic; it is what `$LATEST` is, too.
        post_traffic_hook: Checks it when it has all of the traffic.
        keep_versions: How many of the newest versions are kept, 2 or more; all when left out.
        application_name: Name of the CodeDeploy application; made from the stack's name when left out.

    Raises:
        ConfigurationError: A function that this stack does not make or whose code is an image, a name, a number or a
            traffic routing that AWS would refuse, or a health gate without alarms.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.Function,
        alias_name: str = "live",
        traffic_routing: codedeploy.TrafficRouting = CANARY,
        health: HealthGate | None = None,
        pre_traffic_hook: DeploymentHook | None = None,
        post_traffic_hook: DeploymentHook | None = None,
        keep_versions: int | None = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, application_name, APPLICATION_NAME)
        check_keep_versions(self, keep_versions)
        shift = shift_of(self, traffic_routing)
        if shift.known and shift.minutes > _LONGEST_SHIFT:
            raise ConfigurationError(
                f"{shift.name} takes {shift.minutes} minutes, CodePipeline gives up after a day",
                at=self,
                fix=f"shift the traffic in {_LONGEST_SHIFT} minutes, or with the stack: LambdaDeployment takes longer",
            )
        hooks = hooks_of(self, pre_traffic_hook, post_traffic_hook)
        if health is not None:
            health.check_alarms(self)
        check_function(self, function, alias_name)
        _check_zip(self, function)

        function_name, function_arn = function.function_name, function.function_arn
        self.health = gate_of(self, health, function, function_name, alias_name)
        self.version, self.alias = _first_alias(self, function, alias_name)
        made = AliasShift(
            self,
            name=name,
            alias=self.alias,
            function_arn=function_arn,
            shift=shift,
            routing=traffic_routing,
            health=self.health,
            hooks=hooks,
        )
        self.application = made.application
        self.deployment_group = made.deployment_group
        self.role = made.role
        # CloudFormation is to shift nothing here; and without it the alias waits for nothing, so that alarms may refer
        # to the alias.
        resource: Any = self.alias.node.default_child
        resource.cfn_options.update_policy = None
        settings = {
            "function": function_name,
            "alias": alias_name,
            "application": name,
            "group": name,
            "hooks": {event: hook.function_name for event, hook in hooks.items()},
            "keep": keep_versions,
        }
        self._releaser = PythonFunction(
            self,
            "Releaser",
            module="shift_alias",
            shared=["pipeline_job", "prune_versions", "custom_resource"],
            description="Releases a pipeline's artifacts as the code of a function",
            statements=[
                *_release_statements(function_arn, alias_name, made),
                *(prune_statements(function_arn) if keep_versions is not None else ()),
            ],
            timeout=Duration.minutes(10),
            # Room for an artifact, and for the request that holds it.
            memory_size=512,
            environment={"CODE_FAMILY_RELEASE": Stack.of(self).to_json_string(settings)},
            concurrency="a pipeline calls it for one release at a time",
            failures="CodePipeline waits for its answer, and fails the stage without one",
            network="it calls AWS alone: Lambda, CodeDeploy, CodePipeline and S3; all are public endpoints",
        )
        self.releaser = self._releaser.function
        # Lambda would call it again after a crash, when the pipeline may be on to the next release.
        self.releaser.configure_async_invoke(retry_attempts=0)
        self._action: DeclaredAction | None = None

    @property
    def function_version(self) -> str:
        """Number of the version that was released, for actions that follow: in the stage that this was added to last.

        Raises:
            ConfigurationError: It is in no pipeline yet.
        """
        if self._action is None:
            raise _no_version_yet(self)
        return self._action.variable("FunctionVersion")

    def stage_action(self, context: ActionContext) -> StageAction:
        self._action = invoke_action(
            context, self._releaser.name_for(context), inputs=[context.revision], namespace=context.namespace
        )
        return StageAction(
            action=self._action,
            permissions=invoke_statements(self.releaser.function_arn),
        )


class LambdaActionDeployment(Construct):
    """Releases an artifact as the new code of a Lambda function by CodePipeline's own Lambda deploy action.

    The action updates the code, publishes a version and shifts the alias by itself, without CodeDeploy: it has no
    hooks, and takes at most 10 alarms. When one of them fires, the action fails, and the alias goes back to the version
    that it came from. For hooks, or to have old versions deleted, use `LambdaCodeDeployment`; what a `cdk deploy` does
    to code and alias, and what not, is the same for both.

    Creates the alias on a first version, which is what the action needs to start from, and three alarms on the alias
    unless a health gate is given (0.10 USD a month each). What calls the function has to call `alias`. The action
    writes to the log group `/aws/codepipeline/<name of the pipeline>`, which it makes itself, so that it stays when the
    stack goes.

    Args:
        scope: Parent construct.
        id: Construct id.
        function: A function of this stack, with its code in a zip file.
        alias_name: Name of the alias.
        traffic_routing: How fast: all at once, or steps in whole minutes, in 48 hours at most.
        health: Alarms that fail the action, instead of those on the alias's errors, throttles and duration against the
            function's timeout.

    Raises:
        ConfigurationError: A function that this stack does not make or whose code is an image, a name or a traffic
            routing that AWS would refuse, or a health gate without alarms or with more than the action takes.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-LambdaDeploy.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.Function,
        alias_name: str = "live",
        traffic_routing: codedeploy.TrafficRouting = CANARY,
        health: HealthGate | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._shift = shift_of(self, traffic_routing)
        if not self._shift.known:
            raise ConfigurationError(
                "the traffic routing is not known at synth time, but is a part of the action's settings",
                at=self,
                fix="give percentage and interval as plain numbers",
            )
        if health is not None:
            health.check_alarms(self)
            _check_alarms(self, health)
        check_function(self, function, alias_name)
        _check_zip(self, function)
        if self._shift.minutes >= 60:
            Annotations.of(self).add_warning_v2(
                "code-family:long-lambda-action",
                f"{self._shift.name} takes {self._shift.minutes} minutes: the action's page allows 48 hours, "
                "CodePipeline's quotas an hour for actions that they do not name; try it, or use LambdaCodeDeployment",
            )

        self._alias_name = alias_name
        self._function_name, self._function_arn = function.function_name, function.function_arn
        self.health = gate_of(self, health, function, self._function_name, alias_name)
        self.health.on_added(lambda _: _check_alarms(self, self.health))
        self.version, self.alias = _first_alias(self, function, alias_name)
        self._action: DeclaredAction | None = None

    @property
    def function_version(self) -> str:
        """Number of the version that was released, for actions that follow: in the stage that this was added to last.

        Raises:
            ConfigurationError: It is in no pipeline yet.
        """
        if self._action is None:
            raise _no_version_yet(self)
        return self._action.variable("FunctionVersion")

    def stage_action(self, context: ActionContext) -> StageAction:
        _check_place(self, context)
        self._action = DeclaredAction(
            context,
            category=codepipeline.ActionCategory.DEPLOY,
            provider="Lambda",
            configuration={
                "FunctionName": self._function_name,
                "FunctionAlias": self._alias_name,
                "DeployStrategy": self._shift.name,
                # Late, for alarms that are added to the gate after the stage was.
                "Alarms": Lazy.string(_AlarmNames(self.health)),
            },
            inputs=[context.revision],
            bounds=(0, 1, 0, 0),
            namespace=context.namespace,
        )
        return StageAction(
            action=self._action,
            permissions=[
                Statement(
                    actions=[
                        "lambda:GetAlias",
                        "lambda:GetFunctionConfiguration",
                        "lambda:GetProvisionedConcurrencyConfig",
                        "lambda:PublishVersion",
                        "lambda:UpdateAlias",
                        "lambda:UpdateFunctionCode",
                    ],
                    resources=[self._function_arn, f"{self._function_arn}:*"],
                    wildcard_reason="versions are numbered at run time; the function is named",
                ),
                Statement(
                    actions=["cloudwatch:DescribeAlarms"],
                    resources=["*"],
                    wildcard_reason="cloudwatch:DescribeAlarms sees composite alarms only with *",
                ),
                *log_statements(context),
            ],
        )


@jsii.implements(IStableStringProducer)
class _AlarmNames:
    def __init__(self, health: HealthGate) -> None:
        self._health = health

    def produce(self) -> str:
        return ",".join(alarm.alarm_name for alarm in self._health.alarms)


def _first_alias(at: Construct, function: lambda_.Function, alias_name: str) -> tuple[lambda_.Version, lambda_.Alias]:
    # Not `current_version`, of which there is a new one with each change of the function: CloudFormation would take
    # the alias away from the pipeline's version.
    version = lambda_.Version(at, "Version", lambda_=function)
    return version, lambda_.Alias(at, "Alias", alias_name=alias_name, version=version)


def _check_zip(at: Construct, function: lambda_.Function) -> None:
    resource: Any = function.node.default_child
    if resource.package_type == "Image":
        raise ConfigurationError(
            f"function {function.node.path!r} runs an image, and an artifact is a zip file",
            at=at,
            fix="release it with its stack: LambdaDeployment, and StackDeployment in the pipeline",
        )


def _check_alarms(at: Construct, health: HealthGate) -> None:
    if len(health.alarms) > _MOST_ALARMS:
        raise ConfigurationError(
            f"{len(health.alarms)} alarms in health gate {health.node.path!r}, the Lambda deploy action takes "
            f"{_MOST_ALARMS}",
            at=at,
            fix="put some of them into a cloudwatch.CompositeAlarm and add that, or use LambdaCodeDeployment",
        )


def _check_place(at: Construct, context: ActionContext) -> None:
    if context.elsewhere:
        raise ConfigurationError(
            "the Lambda deploy action for a function in another account or region needs the names of function and "
            "alarms as text",
            at=at,
            fix="use LambdaCodeDeployment, which needs neither",
        )


def _no_version_yet(at: Construct) -> ConfigurationError:
    return ConfigurationError(
        "the released version of a deployment that is in no pipeline", at=at, fix="add it to a stage first"
    )


def _release_statements(function_arn: str, alias_name: str, shift: AliasShift) -> list[Statement]:
    return [
        Statement(
            actions=[
                "lambda:GetAlias",
                "lambda:GetFunctionConfiguration",
                "lambda:PublishVersion",
                "lambda:UpdateFunctionCode",
            ],
            resources=[function_arn],
        ),
        Statement(actions=["lambda:GetAlias"], resources=[f"{function_arn}:{alias_name}"]),
        Statement(
            actions=["lambda:GetFunctionConfiguration"],
            resources=[f"{function_arn}:*"],
            wildcard_reason=VERSIONS_REASON,
        ),
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/auth-and-access-control-permissions-reference.html
        Statement(
            actions=["codedeploy:CreateDeployment", "codedeploy:GetDeployment", "codedeploy:ListDeployments"],
            resources=[shift.group_arn],
        ),
        Statement(
            actions=["codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision"],
            resources=[shift.application_arn],
        ),
        Statement(actions=["codedeploy:GetDeploymentConfig"], resources=[shift.config_arn]),
        Statement(
            actions=["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
            resources=["*"],
            wildcard_reason="answers to CodePipeline's jobs have no resource-level permissions",
        ),
    ]
