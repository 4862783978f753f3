"""What CodeDeploy reads in the AppSpec of a deployment to Amazon ECS or AWS Lambda."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from code_family_constructs.local.framework import Json

_HOOKS = {
    "ECS": ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"),
    "Lambda": ("BeforeAllowTraffic", "AfterAllowTraffic"),
}
_TYPES = {"ECS": "AWS::ECS::Service", "Lambda": "AWS::Lambda::Function"}
_REQUIRED = {
    "ECS": ("taskdefinition", "loadbalancerinfo"),
    "Lambda": ("name", "alias", "currentversion", "targetversion"),
}


class AppSpecError(ValueError):
    """CodeDeploy would not take the AppSpec."""


@dataclass(frozen=True)
class AppSpec:
    """The properties of the one resource, by lower-case name, and the functions to call, by event."""

    properties: Json
    hooks: dict[str, str] = field(default_factory=dict)


def parse(text: str, platform: str) -> AppSpec:
    """Return what an AppSpec in YAML or JSON says; names count in any case, as the documentation writes them both ways.

    Raises:
        AppSpecError: It is no AppSpec for this platform.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AppSpecError(f"The AppSpec is neither YAML nor JSON: {error}") from error
    sections = _members(document, "The AppSpec")
    if str(sections.get("version")) not in ("0.0", "0"):
        raise AppSpecError(f"The version of the AppSpec is not 0.0 but {sections.get('version')}")
    resources = _items(sections.get("resources"), "Resources")
    if len(resources) != 1:
        raise AppSpecError(f"The AppSpec has {len(resources)} resources; a deployment to {platform} has one")
    name, resource = resources[0]
    described = _members(resource, name)
    if described.get("type") != _TYPES[platform]:
        raise AppSpecError(f"The type of {name} is not {_TYPES[platform]} but {described.get('type')}")
    properties = _members(described.get("properties"), f"Properties of {name}")
    for key in _REQUIRED[platform]:
        if properties.get(key) in (None, ""):
            raise AppSpecError(f"The properties of {name} lack {key}")
    hooks = dict(_items(sections.get("hooks") or [], "Hooks"))
    for event in hooks:
        if event not in _HOOKS[platform]:
            raise AppSpecError(f"There is no hook {event} in a deployment to {platform}")
    return AppSpec(properties, hooks)


def _members(value: Any, what: str) -> Json:
    if not isinstance(value, dict):
        raise AppSpecError(f"{what} is no mapping")
    return {str(key).lower(): item for key, item in value.items()}


def _items(value: Any, what: str) -> list[tuple[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) and len(item) == 1 for item in value):
        raise AppSpecError(f"{what} is no list of mappings with one key each")
    return [next(iter(item.items())) for item in value]
