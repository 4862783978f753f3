"""Floor 1: hand the image of the revision to an Amazon ECS service, by CodePipeline's own action."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import (
    arn_at,
    check_environment_of,
    check_named,
    check_path,
    role_arn,
)
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

_LONGEST = 60
_AT = "EcsRollingDeployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class EcsRollingDeployment:
    """Hands a new image to an Amazon ECS service, which replaces its tasks a few at a time.

    CodePipeline's own action: it takes the task definition that the service runs, puts in the images that the file
    `imagedefinitions.json` of the revision names for its containers, and waits until the service is stable, for an hour
    at most. For traffic in steps, hooks and alarms, use an `EcsDeployment`. It knows less than that:

    - It does not notice when Amazon ECS goes back to the old tasks: the service is stable then, too. A deployment
      circuit breaker keeps the users happy, not the pipeline honest; check what runs in the next action.
    - What the stack changes in the task definition reaches the service by CloudFormation only, whose template names an
      image: give the task definition a `RunningImage`.

    Args:
        service: A service with rolling updates; made with
            `task_definition_revision=ecs.TaskDefinitionRevision.LATEST`, if it is made in this app.
        task_definition: That of a service that is imported, imported with its roles.
        file_name: Path of the image definitions in the artifact, 100 KB at most; `imagedefinitions.json` in its root
            when left out.
        deployment_timeout: When the action gives up, 1 to 60 minutes.

    Raises:
        ConfigurationError: A service that others deploy or that CloudFormation would take back to an old image, one
            whose task definition nobody knows or that is not where the action runs, or a path or timeout that
            CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html
    """

    service: "ecs.IBaseService"
    task_definition: "ecs.ITaskDefinition | None" = None
    file_name: str | None = None
    deployment_timeout: Duration | None = None

    def __post_init__(self) -> None:
        if self.file_name is not None:
            check_path(_AT, "file_name", self.file_name, example="imagedefinitions.json")
        self._minutes()
        _check_service(self.service, self.task_definition)

    def stage_action(self, context: ActionContext) -> StageAction:
        check_environment_of(context, _AT, "service", self.service)
        check_named(context, _AT, self.service, "service", "service_name")
        check_named(context, _AT, self.service.cluster, "cluster", "cluster_name")
        cluster, service = self.service.cluster.cluster_name, self.service.service_name
        definition = self._definition()
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="ECS",
                configuration={
                    "ClusterName": cluster,
                    "ServiceName": service,
                    "FileName": self.file_name,
                    "DeploymentTimeout": self._minutes(),
                },
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=[
                Statement(
                    actions=["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"],
                    resources=["*"],
                    wildcard_reason="AWS knows no resource for either; one may describe and register all or none",
                ),
                Statement(
                    actions=["ecs:DescribeServices", "ecs:UpdateService"],
                    resources=[arn_at(context, "ecs", f"service/{cluster}/{service}")],
                ),
                Statement(
                    actions=["ecs:TagResource"],
                    resources=[arn_at(context, "ecs", f"task-definition/{_family(definition)}:*")],
                    conditions={"StringEquals": {"ecs:CreateAction": ["RegisterTaskDefinition"]}},
                    wildcard_reason="Amazon ECS numbers the revisions of a task definition",
                ),
                Statement(
                    actions=["iam:PassRole"],
                    resources=self._roles(context, definition),
                    conditions={
                        "StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com", "ecs.amazonaws.com"]}
                    },
                ),
            ],
        )

    def _minutes(self) -> str | None:
        timeout = self.deployment_timeout
        if timeout is None:
            return None
        if timeout.is_unresolved():
            raise ConfigurationError(
                "a deployment_timeout that is not known at synth time",
                at=_AT,
                fix=f"use whole minutes, 1 to {_LONGEST}",
            )
        minutes = timeout.to_minutes(integral=False)
        if not 1 <= minutes <= _LONGEST or minutes != int(minutes):
            raise ConfigurationError(
                f"deployment_timeout of {minutes:g} minutes", at=_AT, fix=f"use whole minutes, 1 to {_LONGEST}"
            )
        return str(int(minutes))

    def _definition(self) -> "ecs.ITaskDefinition":
        if self.task_definition is not None:
            return self.task_definition
        service: Any = self.service
        definition: ecs.ITaskDefinition = service.task_definition
        return definition

    def _roles(self, context: ActionContext, definition: "ecs.ITaskDefinition") -> list[str]:
        try:
            task_role = definition.task_role
        except RuntimeError as error:
            raise ConfigurationError(
                f"the roles of task definition {definition.node.path!r} are not known, and releases have to hand them "
                "on",
                at=_AT,
                fix="import it with task_role= and execution_role=, by from_fargate_task_definition_attributes()",
            ) from error
        roles = [task_role] if definition.execution_role is None else [task_role, definition.execution_role]
        return [role_arn(context, role) for role in roles]


def _check_service(service: "ecs.IBaseService", task_definition: "ecs.ITaskDefinition | None") -> None:
    from aws_cdk import aws_ecs as ecs

    from code_family_constructs.deploy.running_image import keeps_image

    if not isinstance(service, ecs.BaseService):
        if task_definition is None:
            raise ConfigurationError(
                f"service {service.node.path!r} is imported, and nothing says what its task definition is",
                at=_AT,
                fix="give task_definition=, imported with its roles",
            )
        return
    if task_definition is not None:
        raise ConfigurationError(
            f"task_definition= for service {service.node.path!r}, which has one", at=_AT, fix="leave it out"
        )
    resource: Any = service.node.default_child
    controller = resource.deployment_controller
    if controller is not None and controller.type != "ECS":
        raise ConfigurationError(
            f"service {service.node.path!r} is deployed by {controller.type}",
            at=_AT,
            fix="use EcsDeployment, or a service that Amazon ECS deploys itself",
        )
    definition, stack = service.task_definition, Stack.of(service)
    if stack.resolve(resource.task_definition) == stack.resolve(definition.task_definition_arn):
        raise ConfigurationError(
            f"service {service.node.path!r} gets each task definition from CloudFormation, which would take it back to "
            "an old image",
            at=_AT,
            fix="make the service with task_definition_revision=ecs.TaskDefinitionRevision.LATEST",
        )
    if not keeps_image(definition):
        raise ConfigurationError(
            f"task definition {definition.node.path!r} names an image of its own, to which the next change of the "
            "service would bring users back",
            at=_AT,
            fix="give the task definition a RunningImage",
        )


def _family(definition: "ecs.ITaskDefinition") -> str:
    from aws_cdk import aws_ecs as ecs

    if isinstance(definition, ecs.TaskDefinition):
        return definition.family
    name = definition.task_definition_arn.rpartition("task-definition/")[2]
    return "*" if unresolved(name) else name.partition(":")[0]
