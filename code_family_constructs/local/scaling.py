"""What ministack drops of Auto Scaling groups: target groups, a changed launch template, and what AWS refuses.

Groups of a stack stay empty; those that the API makes tell of instances that are there at once, but nowhere in EC2. No
instance is registered with a target group.
"""

from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

target_groups: Any = _ministack.Scoped()
"""Auto Scaling group name → the ARNs of its target groups."""

_TYPE = "AWS::AutoScaling::AutoScalingGroup"
_create = _ministack.resource_handlers[_TYPE]["create"]
_update = _ministack.resource_handlers[_TYPE]["update"]
_delete = _ministack.resource_handlers[_TYPE]["delete"]

_actions = dict(_ministack.autoscaling_actions)


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


def create_auto_scaling_group(parameters: Json) -> Any:
    """Answer as ministack does, and keep the target groups."""
    answer = _actions["CreateAutoScalingGroup"](parameters)
    if answer[0] == 200:
        target_groups[parameters["AutoScalingGroupName"]] = _members(parameters, "TargetGroupARNs")
    return answer


def describe_auto_scaling_groups(parameters: Json) -> Any:
    """Answer as ministack does, with the target groups."""
    status, headers, body = _actions["DescribeAutoScalingGroups"](parameters)
    text = body if isinstance(body, str) else body.decode()
    for group, arns in target_groups.items():
        name = f"<AutoScalingGroupName>{group}</AutoScalingGroupName>"
        members = "".join(f"<member>{arn}</member>" for arn in arns)
        text = text.replace(name, f"{name}<TargetGroupARNs>{members}</TargetGroupARNs>")
    return status, headers, text.encode()


def update_auto_scaling_group(parameters: Json) -> Any:
    """Answer as ministack does; also change the launch template, and keep the capacity between its limits."""
    group = _ministack.auto_scaling_groups.get(parameters["AutoScalingGroupName"])
    if group is None:
        return _missing(parameters)
    least = int(parameters.get("MinSize", group["MinSize"]))
    most = int(parameters.get("MaxSize", group["MaxSize"]))
    desired = min(max(int(parameters.get("DesiredCapacity", group["DesiredCapacity"])), least), most)
    template = {
        key: parameters[f"LaunchTemplate.{key}"]
        for key in ("LaunchTemplateId", "LaunchTemplateName", "Version")
        if f"LaunchTemplate.{key}" in parameters
    }
    if template:
        group["LaunchTemplate"] = {"Version": "$Default", **template}
    return _actions["UpdateAutoScalingGroup"]({**parameters, "DesiredCapacity": str(desired)})


def delete_auto_scaling_group(parameters: Json) -> Any:
    """Answer as ministack does, but refuse to delete a group with instances that nobody said to terminate."""
    name = parameters["AutoScalingGroupName"]
    group = _ministack.auto_scaling_groups.get(name)
    if group is None:
        return _missing(parameters)
    if group["Instances"] and parameters.get("ForceDelete") != "true":
        reason = "You cannot delete an AutoScalingGroup while there are instances still in the group."
        return _ministack.autoscaling_error("ResourceInUse", reason)
    target_groups.pop(name, None)
    return _actions["DeleteAutoScalingGroup"](parameters)


def attach_load_balancer_target_groups(parameters: Json) -> Any:
    """Add target groups to those that a group has."""
    return _change(parameters, "Attach")


def detach_load_balancer_target_groups(parameters: Json) -> Any:
    """Take target groups from those that a group has."""
    return _change(parameters, "Detach")


def _change(parameters: Json, verb: str) -> Any:
    name, arns = parameters["AutoScalingGroupName"], _members(parameters, "TargetGroupARNs")
    if name not in _ministack.auto_scaling_groups:
        return _missing(parameters)
    kept = [arn for arn in target_groups.get(name, []) if arn not in arns]
    target_groups[name] = kept + (arns if verb == "Attach" else [])
    element = f"{verb}LoadBalancerTargetGroups"
    return _ministack.autoscaling_answer(200, f"{element}Response", f"<{element}Result/>")


def _members(parameters: Json, name: str) -> list[str]:
    prefix = f"{name}.member."
    numbers = sorted(int(key.removeprefix(prefix)) for key in parameters if key.startswith(prefix))
    return [parameters[f"{prefix}{number}"] for number in numbers]


def _missing(parameters: Json) -> Any:
    name = parameters["AutoScalingGroupName"]
    return _ministack.autoscaling_error("ValidationError", f"AutoScalingGroup name not found - {name}")


_ministack.resource_handlers[_TYPE].update(create=create_group, update=update_group, delete=delete_group)
_ministack.autoscaling_actions.update(
    CreateAutoScalingGroup=create_auto_scaling_group,
    DescribeAutoScalingGroups=describe_auto_scaling_groups,
    UpdateAutoScalingGroup=update_auto_scaling_group,
    DeleteAutoScalingGroup=delete_auto_scaling_group,
    AttachLoadBalancerTargetGroups=attach_load_balancer_target_groups,
    DetachLoadBalancerTargetGroups=detach_load_balancer_target_groups,
)
