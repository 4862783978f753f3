"""What several test files share: a stack of their own, an expected refusal, and questions to a template."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codepipeline as codepipeline
from hypothesis import settings

from code_family_constructs import ActionContext, CodeConnection, ConfigurationError, Source
from code_family_constructs.testing import statements_of, text_of

# The time of an example is the time of Node's answer, on a machine that others use too.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

CONNECTION_ARN = "arn:aws:codeconnections:eu-west-1:111111111111:connection/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


def a_stack() -> Stack:
    return Stack(App(), "Shop")


def a_source(**settings: Any) -> Source:
    return Source.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN), **settings)


def a_context(**settings: Any) -> ActionContext:
    """A place in a pipeline, as the pipeline itself would describe it."""
    defaults: dict[str, Any] = {
        "pipeline_name": "Shop-Pipeline",
        "stage_name": "Production",
        "action_name": "Deploy",
        "run_order": 1,
        "revision": codepipeline.Artifact("Build"),
    }
    return ActionContext(**{**defaults, **settings})


@contextmanager
def refuses(*problem: str, at: str, fix: str) -> Iterator[None]:
    """Expects a ConfigurationError that repeats what the user typed, says where, and what to type instead."""
    with pytest.raises(ConfigurationError, match=re.escape(fix)) as caught:
        yield
    for words in problem:
        assert words in caught.value.problem
    assert fix in caught.value.fix
    assert caught.value.path == at


def of_type(template: Mapping[str, Any], type_: str) -> dict[str, Any]:
    """Properties of the resources of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template.get("Resources", {}).items()
        if resource["Type"] == type_
    }


def only(template: Mapping[str, Any], type_: str) -> Any:
    """Properties of the one resource of this type."""
    (properties,) = of_type(template, type_).values()
    return properties


def allowed(template: Mapping[str, Any], policy: str) -> set[str]:
    """`action on resource` for everything that policies whose logical id starts with `policy` allow."""
    return {
        f"{action} on {text_of(resource)}"
        for name, statement in statements_of(template["Resources"])
        if name.startswith(policy) and statement["Effect"] == "Allow"
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
