"""The target groups of an Auto Scaling group, which ministack drops; it starts no instances and so registers none."""

from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

target_groups: Any = _ministack.Scoped()
"""Auto Scaling group name → the ARNs of its target groups."""

_TYPE = "AWS::AutoScaling::AutoScalingGroup"
_create = _ministack.resource_handlers[_TYPE]["create"]
_update = _ministack.resource_handlers[_TYPE]["update"]
_delete = _ministack.resource_handlers[_TYPE]["delete"]
_describe = _ministack.autoscaling_actions["DescribeAutoScalingGroups"]


def create_group(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
    """Create the group as ministack does, and keep its target groups."""
    created: tuple[str, Json] = _create(logical_id, properties, stack)
    target_groups[created[0]] = properties.get("TargetGroupARNs", [])
    return created


def update_group(physical_id: str, old: Json, new: Json, stack: str, logical_id: str | None = None) -> tuple[str, Json]:
    """Change the group as ministack does, and its target groups."""
    updated: tuple[str, Json] = _update(physical_id, old, new, stack, logical_id)
    target_groups[updated[0]] = new.get("TargetGroupARNs", [])
    return updated


def delete_group(physical_id: str, properties: Json) -> None:
    """Delete the group as ministack does, and forget its target groups."""
    _delete(physical_id, properties)
    target_groups.pop(physical_id, None)


def describe_groups(parameters: Json) -> Any:
    """Answer as ministack does, with the target groups."""
    status, headers, body = _describe(parameters)
    text = body if isinstance(body, str) else body.decode()
    for group, arns in target_groups.items():
        name = f"<AutoScalingGroupName>{group}</AutoScalingGroupName>"
        members = "".join(f"<member>{arn}</member>" for arn in arns)
        text = text.replace(name, f"{name}<TargetGroupARNs>{members}</TargetGroupARNs>")
    return status, headers, text.encode()


_ministack.resource_handlers[_TYPE].update(create=create_group, update=update_group, delete=delete_group)
_ministack.autoscaling_actions["DescribeAutoScalingGroups"] = describe_groups
