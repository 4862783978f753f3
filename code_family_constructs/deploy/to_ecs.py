"""Floor 1: deploy a revision to a service on Amazon ECS."""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from aws_cdk import Duration, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from code_family_constructs.actions import ActionContext, StageAction
from code_family_constructs.deploy.ecs_engines import CodeDeployEngine, EcsEngine, Plan
from code_family_constructs.deploy.ecs_service import EcsService, EcsTarget
from code_family_constructs.deploy.hooks import DeploymentHook, HookPlatform, check_hooks
from code_family_constructs.deploy.running_image import keeps_image
from code_family_constructs.deploy.traffic_routing import shift_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.names import NameRule, physical_name

_CODE_DEPLOY = ecs.DeploymentControllerType.CODE_DEPLOY
_CANARY = codedeploy.TrafficRouting.time_based_canary(percentage=10, interval=Duration.minutes(5))
_BAKE = Duration.minutes(10)

_APPLICATION_NAME = NameRule("application", "[A-Za-z0-9+=,.@_-]", 100)
# Minutes. https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
_LONGEST_WAIT = 2880
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html
_LONGEST_BAKE = 1440
_LEAST_LINEAR = 3
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/nlb-resources-for-blue-green.html
_NETWORK_DELAY = 10
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_LONGEST_INVOKE = 1440
_LONGEST_CODEDEPLOY = 5 * 1440


class EcsDeployment(Construct):
    """Releases images to a service on Amazon ECS, a part of the traffic first, and back again when that goes wrong.

    Who deploys is said by the service's deployment controller; the arguments are the same.

    **Amazon ECS itself** (`ECS`), for new services: it shifts traffic all at once, in two steps or in many, runs hooks,
    watches alarms and gives up early on tasks that do not start. All of it is a part of the service, so there is
    nothing more to make or to look after.

    **CodeDeploy** (`CODE_DEPLOY`), for services that have it already, where releases to all platforms are to be seen in
    one place, or where a person is to reroute traffic. Creates an application and a deployment group with a role of its
    own.

    A service moves from CodeDeploy to Amazon ECS in place: give its `EcsService` the other controller, name hooks by
    their counterparts (the error tells which), leave out what an error says, and deploy the stack with this change
    alone: should it fail, CloudFormation cannot hand the service back. It has to start while the blue target group has
    the traffic, and fails at once, saying so, when the green one has. In the other direction Amazon ECS moves no
    service: make a second one and send users there.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/migrate-codedeploy-to-ecs-bluegreen.html

    Either way, CloudFormation registers task definitions and hands none of them to the service; releases do. Each takes
    the stack's task definition of that moment and puts the image of its build in:

        cdk deploy                                          release
        ──────────                                          ───────
        Custom::RunningImage  ◄── image that runs ── service ◄──────────────┐
               │                                                            │ traffic shifts
               ▼                                                            │
        task definition of the stack ──── all but the image ────►  task definition of the release
        (CPU, memory, environment, secrets)                                 ▲
                                                       image of the build, by digest

    So a release loses nothing that the stack says about CPU, environment or secrets, and brings what the stack has
    changed since the last one. And no update of the stack, nor its undoing, brings an old image back: not even when it
    changes the service itself and Amazon ECS then takes the newest task definition of the family.

    What a pipeline deploys with it is an artifact with `imageDetail.json` in its root, as an `ImageBuild` leaves it.

    Args:
        scope: Parent construct.
        id: Construct id.
        service: An `EcsService`, or an `EcsTarget` that tells of a service of your own.
        health: Alarms that stop and roll back a deployment. Amazon ECS looks at none of them in a deployment that
            starts while one is firing.
        traffic_routing: How fast: all at once, or steps in whole minutes. CodeDeploy moves the traffic of a network
            load balancer all at once only.
        hooks: Checks by lifecycle event, CodeDeploy's (`AfterInstall`, `AfterAllowTestTraffic`, …) or Amazon ECS's
            (`POST_SCALE_UP`, `POST_TEST_TRAFFIC_SHIFT`, …). Amazon ECS runs them for the first time when the service is
            made, on what runs until the first release.
        bake_time: How long the old tasks stay after the new ones have all traffic, to go back to at once. Whole
            minutes.
        deployment_approval_wait_time: How long CodeDeploy waits for a person to reroute traffic to the new tasks before
            it gives up. Whole minutes. Left out, it goes on by itself.
        application_name: Of CodeDeploy's application; made from the stack's name when left out.

    Raises:
        ConfigurationError: What the engine, the load balancer or the listeners of this service cannot do, steps or
            times that AWS would refuse, a second deployment of one service, or a health gate without alarms.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service: EcsService | EcsTarget,
        health: HealthGate | None = None,
        traffic_routing: codedeploy.TrafficRouting = _CANARY,
        hooks: Mapping[str, DeploymentHook] | None = None,
        bake_time: Duration = _BAKE,
        deployment_approval_wait_time: Duration | None = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._service = service
        target = service.target if isinstance(service, EcsService) else service
        by_codedeploy = target.deployment_controller is _CODE_DEPLOY
        name = physical_name(self, scope, id, application_name, _APPLICATION_NAME)
        shift = shift_of(self, traffic_routing)
        hooks = hooks or {}
        _check_service(self, target)
        platform: HookPlatform = "ecs" if by_codedeploy else "ecs-native"
        check_hooks(self, platform, hooks, test_traffic=target.test_listener is not None)
        if health is not None:
            health.check_alarms(self)
        bake = _minutes(self, "bake_time", bake_time, _LONGEST_WAIT if by_codedeploy else _LONGEST_BAKE)
        approval = _minutes(
            self, "deployment_approval_wait_time", deployment_approval_wait_time, _LONGEST_WAIT, least=1
        )
        plan = Plan(
            target=target,
            shift=shift,
            routing=traffic_routing,
            hooks=hooks,
            health=health,
            bake_time=bake_time,
            approval_wait_time=deployment_approval_wait_time,
            roles=_roles(self, target.task_definition),
        )
        if by_codedeploy:
            _check_codedeploy(self, plan, bake + approval)
        else:
            _check_ecs(self, plan, bake, application_name)
        _DEPLOYED[target.service] = self

        self._engine = CodeDeployEngine(self, plan, name) if by_codedeploy else EcsEngine(self, plan)
        self.application: codedeploy.EcsApplication | None = None
        self.deployment_group: codedeploy.EcsDeploymentGroup | None = None
        if isinstance(self._engine, CodeDeployEngine):
            self.application = self._engine.application
            self.deployment_group = self._engine.deployment_group

    def stage_action(self, context: ActionContext) -> StageAction:
        if isinstance(self._service, EcsService) and context.maker is not None:
            _check_images(self, self._service, context.maker)
        return self._engine.stage_action(context)


# Each service is deployed by one deployment: CodeDeploy takes one group for a service, and Amazon ECS has one strategy.
_DEPLOYED: WeakKeyDictionary[ecs.IBaseService, EcsDeployment] = WeakKeyDictionary()


def _check_service(at: Construct, target: EcsTarget) -> None:
    if target.service in _DEPLOYED:
        raise ConfigurationError(
            f"service {target.service.node.path!r} has a deployment already",
            at=at,
            fix=f"use {_DEPLOYED[target.service].node.path!r} in each stage that deploys the service",
        )
    definition = target.task_definition
    if isinstance(definition, ecs.TaskDefinition) and Stack.of(definition) is not Stack.of(at):
        raise ConfigurationError(
            f"task definition {definition.node.path!r} is in another stack: each change of it would change an export "
            "that is in use",
            at=at,
            fix="make the deployment in the service's own stack; the pipeline may be in another",
        )
    if not isinstance(target.service, ecs.BaseService):
        return
    resource: Any = target.service.node.default_child
    controller = resource.deployment_controller
    kind = "ECS" if controller is None else controller.type
    if kind != target.deployment_controller.name:
        raise ConfigurationError(
            f"deployment_controller {target.deployment_controller.name} of a service that has {kind}",
            at=at,
            fix=f"say what the service has: ecs.DeploymentControllerType.{kind}",
        )
    stack = Stack.of(target.service)
    if stack.resolve(resource.task_definition) == stack.resolve(target.service.task_definition.task_definition_arn):
        raise ConfigurationError(
            f"service {target.service.node.path!r} gets each task definition from CloudFormation, which would take it "
            "back to an old image",
            at=at,
            fix="make the service with task_definition_revision=ecs.TaskDefinitionRevision.LATEST",
        )
    if kind == "ECS" and isinstance(definition, ecs.TaskDefinition) and not keeps_image(definition):
        raise ConfigurationError(
            f"task definition {definition.node.path!r} names an image of its own, to which the next change of the "
            "service would bring users back",
            at=at,
            fix="give the task definition a RunningImage",
        )


def _roles(at: Construct, definition: ecs.ITaskDefinition) -> Sequence[str]:
    try:
        task_role = definition.task_role
    except RuntimeError as error:
        raise ConfigurationError(
            f"the roles of task definition {definition.node.path!r} are not known, and releases have to hand them on",
            at=at,
            fix="import it with task_role= and execution_role=, by from_fargate_task_definition_attributes()",
        ) from error
    roles = [task_role] if definition.execution_role is None else [task_role, definition.execution_role]
    return [role.role_arn for role in roles]


def _minutes(at: Construct, argument: str, duration: Duration | None, most: int, *, least: int = 0) -> int:
    if duration is None or duration.is_unresolved():
        return 0
    minutes = duration.to_minutes(integral=False)
    if not least <= minutes <= most or minutes != int(minutes):
        raise ConfigurationError(
            f"{argument} of {minutes:g} minutes",
            at=at,
            fix=f"use whole minutes from {least} to {most}, which is {most // 60} hours",
        )
    return int(minutes)


def _check_codedeploy(at: Construct, plan: Plan, waits: int) -> None:
    target = plan.target
    for name in ("listener", "blue_target_group", "green_target_group"):
        if getattr(target, name) is None:
            raise ConfigurationError(
                f"a service that CodeDeploy deploys, without {name}", at=at, fix=f"give the EcsTarget {name}="
            )
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html
    if target.load_balancer == "network" and plan.shift.kind != "AllAtOnce":
        raise ConfigurationError(
            f"{plan.shift.kind.lower()} steps behind a network load balancer, which CodeDeploy moves all at once only",
            at=at,
            fix="use codedeploy.TrafficRouting.all_at_once(), or a service that Amazon ECS deploys itself",
        )
    if plan.shift.minutes + waits > _LONGEST_CODEDEPLOY:
        raise ConfigurationError(
            f"waiting and shifting for {plan.shift.minutes + waits} minutes, CodePipeline gives up after "
            f"{_LONGEST_CODEDEPLOY}",
            at=at,
            fix="shorten bake_time=, deployment_approval_wait_time= or the steps",
        )


def _check_ecs(at: Construct, plan: Plan, bake: int, application_name: str | None) -> None:
    target, shift = plan.target, plan.shift
    if not isinstance(target.service, ecs.BaseService):
        raise ConfigurationError(
            f"service {target.service.node.path!r} is not made in this app, and its deployments are a part of it",
            at=at,
            fix="give the ecs.FargateService itself, in the stack that makes it",
        )
    if plan.approval_wait_time is not None:
        raise ConfigurationError(
            "deployment_approval_wait_time, but Amazon ECS waits for nobody to reroute traffic",
            at=at,
            fix="give the stage an approval=, or the service deployment_controller CODE_DEPLOY",
        )
    if application_name is not None:
        raise ConfigurationError(
            f"application_name={application_name!r} of a service that CodeDeploy does not deploy",
            at=at,
            fix="leave it out",
        )
    if shift.kind == "Linear" and shift.known and shift.percentage < _LEAST_LINEAR:
        raise ConfigurationError(
            f"linear steps of {shift.percentage} percent, Amazon ECS takes {_LEAST_LINEAR} or more",
            at=at,
            fix=f"use a percentage from {_LEAST_LINEAR} on",
        )
    # Long before it, Amazon ECS itself would end a step (24 hours) and CloudFormation an update (33 hours).
    delays = 2 * _NETWORK_DELAY if target.load_balancer == "network" else 0
    total = shift.minutes + bake + delays
    if total >= _LONGEST_INVOKE:
        raise ConfigurationError(
            f"shifting and baking for {total} minutes, CodePipeline gives up after {_LONGEST_INVOKE}",
            at=at,
            fix="shorten bake_time= or the steps, or use a service that CodeDeploy deploys",
        )


def _check_images(at: Construct, service: EcsService, build: object) -> None:
    """Refuses images that tasks may not pull; of repositories that are made elsewhere, not all is known."""
    theirs = getattr(build, "repository", None)
    if theirs is None:
        return
    ours = service.repository
    if ours is None or (theirs is not ours and isinstance(theirs, ecr.Repository) and isinstance(ours, ecr.Repository)):
        raise ConfigurationError(
            f"images come from repository {theirs.node.path!r}, and tasks of service {service.node.path!r} may pull "
            + (f"from {ours.node.path!r} alone" if ours is not None else "public images alone"),
            at=at,
            fix="give the EcsService repository= of the build that the pipeline deploys",
        )
