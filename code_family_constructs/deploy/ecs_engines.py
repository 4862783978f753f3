"""Floor 1: the two ways to deploy to a service on Amazon ECS: by CodeDeploy, and by Amazon ECS itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aws_cdk import Duration, Fn, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.appspec import EcsAppspec
from code_family_constructs.deploy.ecs_service import EcsTarget
from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.traffic_routing import Shift
from code_family_constructs.functions import PythonFunction, invoke_action, invoke_statements
from code_family_constructs.health import HealthGate
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import ServiceRole, Statement, arn

_CONFIG_NAME = NameRule("application", "[A-Za-z0-9+=,.@_-]", 100)
# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
_PREDEFINED: Mapping[str, str] = {
    "AllAtOnce": "ECSAllAtOnce",
    "Canary10Percent5Minutes": "ECSCanary10Percent5Minutes",
    "Canary10Percent15Minutes": "ECSCanary10Percent15Minutes",
    "Linear10PercentEvery1Minute": "ECSLinear10PercentEvery1Minutes",
    "Linear10PercentEvery3Minutes": "ECSLinear10PercentEvery3Minutes",
}
# CodeDeployToECS puts the image in the place of <IMAGE1_NAME> in the task definition.
_IMAGE = "IMAGE1_NAME"
_REGISTER = "Amazon ECS registers a task definition without knowing its resource; AWS's own example has the same"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a deployment is to do, after it was checked.

    Args:
        target: The service.
        shift: How fast, as plain values.
        routing: How fast.
        hooks: Checks by lifecycle event.
        health: Alarms.
        bake_time: How long the old tasks stay.
        approval_wait_time: How long to wait for a person.
        roles: ARNs of the roles that tasks get.
    """

    target: EcsTarget
    shift: Shift
    routing: codedeploy.TrafficRouting
    hooks: Mapping[str, DeploymentHook]
    health: HealthGate | None
    bake_time: Duration
    approval_wait_time: Duration | None
    roles: Sequence[str]

    @property
    def names(self) -> str:
        """Cluster and service, as ARNs have them."""
        return f"{self.target.service.cluster.cluster_name}/{self.target.service.service_name}"


class CodeDeployEngine:
    """An application and a deployment group, and an action that renders what CodeDeployToECS takes.

    Args:
        at: The construct to make them in.
        plan: What to do.
        name: Name of application and deployment group.
    """

    def __init__(self, at: Construct, plan: Plan, name: str) -> None:
        self._name, self._plan = name, plan
        target = plan.target
        assert target.listener is not None
        assert target.blue_target_group is not None
        assert target.green_target_group is not None
        self._application_arn = arn("codedeploy", f"application:{name}")
        self._group_arn = arn("codedeploy", f"deploymentgroup:{name}/{name}")
        config_name, config = _deployment_config(at, name, plan)
        self._config_arn = arn("codedeploy", f"deploymentconfig:{config_name}")
        self._role = ServiceRole(
            at, service="codedeploy.amazonaws.com", source_arn=self._group_arn, statements=_service_statements(plan)
        )
        for hook in plan.hooks.values():
            hook.report_to(self._group_arn)
        self.application = codedeploy.EcsApplication(at, "Application", application_name=name)
        health = plan.health
        self.deployment_group = codedeploy.EcsDeploymentGroup(
            at,
            "DeploymentGroup",
            application=self.application,
            deployment_group_name=name,
            role=self._role.frozen,
            service=target.service,
            blue_green_deployment_config=codedeploy.EcsBlueGreenDeploymentConfig(
                listener=target.listener,
                test_listener=target.test_listener,
                blue_target_group=target.blue_target_group,
                green_target_group=target.green_target_group,
                termination_wait_time=plan.bake_time,
                deployment_approval_wait_time=plan.approval_wait_time,
            ),
            deployment_config=config,
            alarms=list(health.alarms) if health is not None else None,
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=False, deployment_in_alarm=None if health else False
            ),
            # An alarm that cannot be read might be firing.
            ignore_poll_alarms_failure=False,
            ignore_alarm_configuration=False,
        )
        if health is not None:
            health.on_added(self.deployment_group.add_alarm)
        else:
            # Left out, CloudFormation keeps the alarms that were there before:
            # https://github.com/aws/aws-cdk/issues/23307
            group: Any = self.deployment_group.node.default_child
            group.alarm_configuration = codedeploy.CfnDeploymentGroup.AlarmConfigurationProperty(
                enabled=False, alarms=[]
            )
        hooks = {event: hook.function_name for event, hook in plan.hooks.items()}
        appspec = EcsAppspec(container_name=target.container_name, container_port=target.container_port, hooks=hooks)
        self._render = PythonFunction(
            at,
            "Render",
            module="render_release",
            shared=["pipeline_job", "task_definition"],
            description="Renders the task definition and the AppSpec of a release",
            statements=[_DESCRIBE, _REPORT],
            timeout=Duration.minutes(2),
            environment=_settings(
                at,
                taskDefinition=target.task_definition.task_definition_arn,
                container=target.container_name,
                placeholder=f"<{_IMAGE}>",
                appspec=appspec.render(),
            ),
            concurrency="a pipeline calls it once for each release",
            failures="it tells the pipeline, which tells everybody",
            network="it calls Amazon ECS, S3 and CodePipeline; all are public endpoints",
        )

    def stage_action(self, context: ActionContext) -> StageAction:
        rendered = codepipeline.Artifact(_artifact_name(context))
        return StageAction(
            prepared_by=[
                invoke_action(
                    context,
                    self._render.name_for(context),
                    outputs=[rendered],
                    action_name=f"Render{context.action_name}",
                )
            ],
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="CodeDeployToECS",
                configuration={
                    "ApplicationName": self._name,
                    # A reference, where there can be one: the pipeline is made after the group.
                    "DeploymentGroupName": self._name
                    if context.elsewhere
                    else self.deployment_group.deployment_group_name,
                    "TaskDefinitionTemplateArtifact": _artifact_name(context),
                    "TaskDefinitionTemplatePath": "taskdef.json",
                    "AppSpecTemplateArtifact": _artifact_name(context),
                    "AppSpecTemplatePath": "appspec.yaml",
                    "Image1ArtifactName": context.revision.artifact_name,
                    "Image1ContainerName": _IMAGE,
                },
                inputs=[rendered, context.revision],
                bounds=(1, 5, 0, 0),
                run_order=context.run_order + 1,
            ),
            # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
            permissions=[
                *invoke_statements(self._render.function.function_arn),
                Statement(
                    actions=["codedeploy:CreateDeployment", "codedeploy:GetDeployment"], resources=[self._group_arn]
                ),
                Statement(
                    actions=[
                        "codedeploy:GetApplication",
                        "codedeploy:GetApplicationRevision",
                        "codedeploy:RegisterApplicationRevision",
                    ],
                    resources=[self._application_arn],
                ),
                Statement(actions=["codedeploy:GetDeploymentConfig"], resources=[self._config_arn]),
                Statement(actions=["ecs:RegisterTaskDefinition"], resources=["*"], wildcard_reason=_REGISTER),
                _pass(self._plan.roles),
            ],
        )


class EcsEngine:
    """Deployment settings of the service itself, and an action that hands it a task definition.

    Not CodePipeline's own action for Amazon ECS: that one takes the task definition that the service runs, so that what
    the stack has changed meanwhile would have to come from CloudFormation, whose rollback brings old images back; it
    gives up after an hour; and it does not notice when Amazon ECS goes back.
    https://github.com/aws/containers-roadmap/issues/1399

    Args:
        at: The construct to make them in.
        plan: What to do.
    """

    def __init__(self, at: Construct, plan: Plan) -> None:
        target = plan.target
        resource: Any = target.service.node.default_child
        self._resource = resource
        hooks = _lifecycle_hooks(at, plan.hooks)
        bake = plan.bake_time.to_minutes()
        # An override, since aws-cdk-lib takes all of this when the service is made, and in part only.
        resource.add_property_override(
            "DeploymentConfiguration",
            {**_strategy(plan.routing), "BakeTimeInMinutes": bake, **hooks},
        )
        self._watch(plan.health)
        if plan.health is not None:
            health = plan.health
            health.on_added(lambda _: self._watch(health))
        names = plan.names
        self._release = PythonFunction(
            at,
            "Release",
            module="release_service",
            shared=["pipeline_job", "task_definition"],
            description="Releases an image to a service on Amazon ECS",
            statements=[
                _DESCRIBE,
                _REPORT,
                Statement(
                    actions=["ecs:DeregisterTaskDefinition", "ecs:RegisterTaskDefinition"],
                    resources=["*"],
                    wildcard_reason=_REGISTER,
                ),
                Statement(
                    actions=["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"],
                    resources=[arn("ecs", f"service/{names}")],
                ),
                Statement(
                    actions=["ecs:DescribeServiceRevisions"],
                    resources=[arn("ecs", f"service/{names}"), arn("ecs", f"service-revision/{names}/*")],
                    wildcard_reason="Amazon ECS numbers the revisions of a service; the service is named",
                ),
                _pass(plan.roles),
            ],
            timeout=Duration.minutes(2),
            environment=_settings(
                at,
                cluster=target.service.cluster.cluster_name,
                service=target.service.service_name,
                container=target.container_name,
                taskDefinition=target.task_definition.task_definition_arn,
            ),
            concurrency="a pipeline calls it every few seconds while it releases",
            failures="it tells the pipeline, which tells everybody",
            network="it calls Amazon ECS, S3 and CodePipeline; all are public endpoints",
        )

        # Lambda would call it again after a crash, and hand the service an image that another release has replaced.
        self._release.function.configure_async_invoke(retry_attempts=0)

    def _watch(self, health: HealthGate | None) -> None:
        names = [] if health is None else list(health.alarm_names)
        # Said in full also when there are none: what is left out, Amazon ECS may keep.
        alarms = {"AlarmNames": names, "Enable": bool(names), "Rollback": bool(names)}
        self._resource.add_property_override("DeploymentConfiguration.Alarms", alarms)

    def stage_action(self, context: ActionContext) -> StageAction:
        return StageAction(
            action=invoke_action(context, self._release.name_for(context), inputs=[context.revision]),
            permissions=invoke_statements(self._release.function.function_arn),
        )


_DESCRIBE = Statement(
    actions=["ecs:DescribeTaskDefinition"],
    resources=["*"],
    wildcard_reason="AWS knows no resource for ecs:DescribeTaskDefinition, one may see all or none",
)
_REPORT = Statement(
    actions=["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
    resources=["*"],
    wildcard_reason="a pipeline's job has no ARN; its number is only known to whom it was given",
)


def _pass(roles: Sequence[str]) -> Statement:
    return Statement(
        actions=["iam:PassRole"],
        resources=roles,
        conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    )


def _settings(at: Construct, **settings: str) -> dict[str, str]:
    return {"CODE_FAMILY_RELEASE": Stack.of(at).to_json_string(settings)}


def _artifact_name(context: ActionContext) -> str:
    # CodePipeline takes other characters here than in the names of stages, and no more than in one of those.
    name = re.sub("[^A-Za-z0-9_-]", "_", f"{context.stage_name}-{context.action_name}")
    return f"{name if len(name) <= 92 else f'{name[:83]}-{sha256(name.encode()).hexdigest()[:8]}'}-Release"


def _deployment_config(at: Construct, name: str, plan: Plan) -> tuple[str, codedeploy.IEcsDeploymentConfig]:
    """The configuration, and its name: as text where it can be, since a pipeline's stack could not import another."""
    shift = plan.shift
    if shift.known and shift.name in _PREDEFINED:
        predefined = f"CodeDeployDefault.{_PREDEFINED[shift.name]}"
        imported = codedeploy.EcsDeploymentConfig.from_ecs_deployment_config_name(at, "DeploymentConfig", predefined)
        return predefined, imported
    # A configuration cannot be changed, only replaced, and CloudFormation makes the new one before it deletes the old
    # one: a name that stays the same would be taken.
    config_name = f"{name}-{shift.name}" if shift.known else None
    if config_name is not None:
        check_name(at, config_name, _CONFIG_NAME, fix="give a shorter application_name=")
    config = codedeploy.EcsDeploymentConfig(
        at, "DeploymentConfig", deployment_config_name=config_name, traffic_routing=plan.routing
    )
    return config_name or config.deployment_config_name, config


def _service_statements(plan: Plan) -> list[Statement]:
    """What of the managed policy AWSCodeDeployRoleForECS this service, its listeners, alarms and hooks need.

    Not its access to S3: the pipeline sends the AppSpec along with the request.
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForECS.html
    """
    target, names = plan.target, plan.names
    given = [listener for listener in (target.listener, target.test_listener) if listener is not None]
    listeners = [listener.listener_arn for listener in given]
    statements = [
        Statement(
            actions=[
                "ecs:CreateTaskSet",
                "ecs:DeleteTaskSet",
                "ecs:DescribeServices",
                "ecs:UpdateServicePrimaryTaskSet",
            ],
            resources=[arn("ecs", f"service/{names}"), arn("ecs", f"task-set/{names}/*")],
            wildcard_reason="Amazon ECS numbers the task sets of a service; the service is named",
        ),
        Statement(
            actions=[
                "cloudwatch:DescribeAlarms",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetGroups",
            ],
            resources=["*"],
            wildcard_reason=(
                "Describe actions of load balancing have no resource-level permissions; "
                "cloudwatch:DescribeAlarms sees composite alarms only with *"
            ),
        ),
        Statement(actions=["elasticloadbalancing:ModifyListener"], resources=listeners),
        _pass(plan.roles),
    ]
    if target.load_balancer == "application":
        statements.append(
            Statement(
                actions=["elasticloadbalancing:ModifyRule"],
                resources=[_rules_of(listener) for listener in listeners],
                wildcard_reason="a listener's rules have random ids; the listener is named",
            )
        )
    if plan.hooks:
        functions = [hook.function.function_arn for hook in plan.hooks.values()]
        statements.append(Statement(actions=["lambda:InvokeFunction"], resources=list(dict.fromkeys(functions))))
    return statements


def _rules_of(listener_arn: str) -> str:
    parts = Fn.split(":listener/", listener_arn, 2)
    return f"{parts[0]}:listener-rule/{parts[1]}/*"


def _strategy(routing: codedeploy.TrafficRouting) -> dict[str, Any]:
    match routing:
        case codedeploy.TimeBasedCanaryTrafficRouting():
            step = {"CanaryPercent": routing.percentage, "CanaryBakeTimeInMinutes": routing.interval.to_minutes()}
            return {"Strategy": "CANARY", "CanaryConfiguration": step}
        case codedeploy.TimeBasedLinearTrafficRouting():
            step = {"StepPercent": routing.percentage, "StepBakeTimeInMinutes": routing.interval.to_minutes()}
            return {"Strategy": "LINEAR", "LinearConfiguration": step}
        case _:
            return {"Strategy": "BLUE_GREEN"}


def _lifecycle_hooks(at: Construct, hooks: Mapping[str, DeploymentHook]) -> dict[str, Any]:
    if not hooks:
        return {}
    functions = list(dict.fromkeys(hook.function.function_arn for hook in hooks.values()))
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-permissions.html
    role = ServiceRole(
        at,
        service="ecs.amazonaws.com",
        statements=[Statement(actions=["lambda:InvokeFunction"], resources=functions)],
        id="HookRole",
    )
    return {
        "LifecycleHooks": [
            {"HookTargetArn": hook.function.function_arn, "LifecycleStages": [stage], "RoleArn": role.role.role_arn}
            for stage, hook in hooks.items()
        ]
    }
