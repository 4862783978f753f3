"""A task definition as CloudFormation registered it, ready to be registered again with another image."""

from typing import Any


def registered(ecs: Any, arn: str) -> dict[str, Any]:
    """What a task definition was registered with."""
    # What describes the revision and not the task (its ARN, when it was registered, …) is refused as input.
    taken = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    described = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return {name: value for name, value in described.items() if name in taken}


def with_image(definition: dict[str, Any], container: str, image: str) -> dict[str, Any]:
    """The definition with `image` in the place of the container's."""
    names = [each["name"] for each in definition["containerDefinitions"]]
    if container not in names:
        raise RuntimeError(
            f"task definition {definition['family']} has no container {container!r}, but {', '.join(names)}"
        )
    containers = [
        {**each, "image": image} if each["name"] == container else each for each in definition["containerDefinitions"]
    ]
    return {**definition, "containerDefinitions": containers}
