"""Floor 1: the image that a service runs now, for the template that defines its tasks."""

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import CustomResource, Duration, IStableAnyProducer, Lazy, Stack
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from code_family_constructs.functions import PythonFunction
from code_family_constructs.permissions import Statement, arn


class RunningImage(Construct):
    """Keeps the image that a release has brought when CloudFormation registers a task definition again.

    A template can only name the image that it was written with; releases have brought others since. So whenever
    anything else in the task definition changes, CloudFormation asks which image the service runs now, and registers
    that one. The image in the template is for the first time only, before there is a service.

    Creates a custom resource and the small Lambda function behind it, which costs nothing between updates. Only what
    is set through aws-cdk-lib's attributes and methods is seen to change: use those, and not
    `add_property_override`, on the task definition.

    Args:
        scope: Parent construct.
        id: Construct id.
        task_definition: The task definition; that of its containers which is released gets the running image.
        container_name: Name of that container.
        cluster_name: Name of the cluster.
        service_name: Name of the service, as text: a reference to the service would close a circle.
        deployment_controller: Who is to deploy the service from now on; a hand-over that Amazon ECS does not have fails
            with the reason.
        blue_target_group_arn: Where Amazon ECS's own deployments start from. When a service is handed over to them
            while its traffic is elsewhere, nothing would answer; that fails too.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        task_definition: ecs.TaskDefinition,
        container_name: str,
        cluster_name: str,
        service_name: str,
        deployment_controller: ecs.DeploymentControllerType,
        blue_target_group_arn: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        function = PythonFunction(
            self,
            "Function",
            module="running_image",
            shared=["custom_resource"],
            description="Tells CloudFormation which image a service runs",
            statements=[
                Statement(
                    actions=["ecs:DescribeServices"], resources=[arn("ecs", f"service/{cluster_name}/{service_name}")]
                ),
                Statement(
                    actions=["ecs:DescribeTaskDefinition"],
                    resources=["*"],
                    wildcard_reason="AWS knows no resource for ecs:DescribeTaskDefinition, one may see all or none",
                ),
            ],
            timeout=Duration.minutes(2),
            concurrency="CloudFormation calls it once for each change of the task definition",
            failures="CloudFormation waits for its answer and reports a failure itself",
            network="it calls Amazon ECS and CloudFormation's response URL alone; both are public endpoints",
        )
        stack = Stack.of(self)
        resource: Any = task_definition.node.default_child
        # Before they are replaced below: aws-cdk-lib renders them at synth, with what was added until then.
        containers = resource.container_definitions

        def rendered(**changed: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = stack.resolve(containers)
            return [{**each, **changed} if each["name"] == container_name else each for each in found]

        def initial() -> Any:
            return next(each["image"] for each in rendered() if each["name"] == container_name)

        def described() -> Mapping[str, Any]:
            return {**stack.resolve(resource._cfn_properties), "containerDefinitions": rendered(image="")}

        self.resource = CustomResource(
            self,
            "Image",
            service_token=function.function.function_arn,
            resource_type="Custom::RunningImage",
            service_timeout=Duration.minutes(5),
            properties={
                "Cluster": cluster_name,
                "Service": service_name,
                "Container": container_name,
                "DeploymentController": deployment_controller.name,
                **({"BlueTargetGroup": blue_target_group_arn} if blue_target_group_arn else {}),
                "InitialImage": Lazy.any(_Producer(initial)),
                # Whole and not a hash of it: a role that is replaced has the same reference, but another ARN.
                "TaskDefinition": Lazy.any(_Producer(described)),
            },
        )
        image = self.resource.get_att_string("Image")
        resource.container_definitions = Lazy.any(_Producer(lambda: rendered(image=image)))
        _KEPT[task_definition] = self


def keeps_image(task_definition: ecs.TaskDefinition) -> bool:
    """Whether the task definition has a `RunningImage`."""
    return task_definition in _KEPT


_KEPT: WeakKeyDictionary[ecs.TaskDefinition, RunningImage] = WeakKeyDictionary()


@jsii.implements(IStableAnyProducer)
class _Producer:
    def __init__(self, produce: Callable[[], Any]) -> None:
        self._produce = produce

    def produce(self) -> Any:
        return self._produce()
