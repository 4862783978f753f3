"""Every name of ministack that this package uses, and most of them are private there.

ministack has no plugin interface, but its tables are plain dicts that are read at each request. An upgrade that moves
one of them fails in `tests/local/test_ministack.py` first.
"""

from collections.abc import Callable
from typing import Any

from ministack import app as _app
from ministack.core import responses as _responses
from ministack.core import router as _router
from ministack.services import autoscaling as _autoscaling
from ministack.services import cloudformation as _cloudformation
from ministack.services import ec2 as _ec2
from ministack.services import lambda_svc as _lambda
from ministack.services import ssm as _ssm
from ministack.services.cloudformation import custom_resource as _custom_resource
from ministack.services.cloudformation import drift as _drift
from ministack.services.cloudformation import provisioners as _provisioners
from ministack.services.cloudformation import stacks as _stacks

application: Any = _app.app
"""The ASGI application."""

api_handlers: dict[str, Callable[..., Any]] = _app.SERVICE_HANDLERS
"""Signing name → `async (method, path, headers, body, query) → (status, headers, body)`."""

routes: dict[str, dict[str, Any]] = _router.SERVICE_PATTERNS
"""Signing name → what else tells that a request is for it.

A service that is missing here makes ministack load every botocore model there is before it looks at the handlers.
"""

resource_handlers: dict[str, dict[str, Any]] = _provisioners._RESOURCE_HANDLERS
"""CloudFormation type → `{"create": …, "update": …, "delete": …}`; any exception is the status reason of a failure."""

replacing_properties: dict[str, tuple[str, ...]] = _provisioners._REPLACING_PROPERTIES
"""CloudFormation type → the properties whose change replaces the resource."""

custom_names: dict[str, dict[str, Any]] = _provisioners._CUSTOM_NAME_REPLACEMENT
"""CloudFormation type → `{"name": property}`: a replacement under a kept custom name is refused, as AWS does."""

stack_tag_properties: dict[str, tuple[str, str]] = _provisioners._STACK_TAG_PROPERTY
"""CloudFormation type → (tag property, "list" or "map"): the types that stack tags reach."""

drift_readers: dict[str, tuple[Callable[..., Any], frozenset[str]]] = _drift._DRIFT_READERS
"""CloudFormation type → (reader, the properties that it reads)."""

public_parameters: dict[str, str] = _ssm._PUBLIC_AMI_PARAMETERS
"""Public SSM parameter → AMI id."""

ec2_actions: dict[str, Callable[[dict[str, Any]], Any]] = _ec2._ACTION_MAP
"""EC2 action → function of the query parameters."""

autoscaling_actions: dict[str, Callable[[dict[str, Any]], Any]] = _autoscaling._ACTION_MAP
"""Auto Scaling action → function of the query parameters."""

stack_events: Any = _cloudformation._stack_events
"""Stack id → its events, in the order in which they happened."""

pending_responses: dict[str, dict[str, Any]] = _custom_resource._pending
"""Token at the end of a ResponseURL → `{"event": …, "result": …}` of a custom resource that waits for its answer."""

deliver_response: Callable[[str, dict[str, Any]], bool] = _custom_resource.deliver_response
"""Answers for a custom resource."""

Scoped: type[Any] = _responses.AccountRegionScopedDict
"""A dict that shows each account and region only what is its own."""

account_id: Callable[[], str] = _responses.get_account_id
region: Callable[[], str] = _responses.get_region


def physical_name(stack: str, logical_id: str, max_length: int) -> str:
    """Return the name that CloudFormation would generate; stable for a logical id until it is replaced."""
    name: str = _provisioners._physical_name(stack, logical_id, max_len=max_length)
    return name


def around_invocations(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap what runs the Lambda function of a custom resource: `(function record, event) → result`."""
    _lambda._execute_function_with_config_scope = wrap(_lambda._execute_function_with_config_scope)


def runtime_of(function: dict[str, Any]) -> str:
    """Return the runtime of a Lambda function record."""
    runtime: str = function.get("config", {}).get("Runtime", "")
    return runtime


def around_updates(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap what updates a resource: `(type, physical id, old properties, new properties, stack, logical id, …)`."""
    _stacks._update_resource = wrap(_stacks._update_resource)


def around_events(wrap: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Wrap what records an event: `(stack id, stack, logical id, type, status, …)`."""
    _stacks._add_event = wrap(_stacks._add_event)
