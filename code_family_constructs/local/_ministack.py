"""Every name of ministack that this package uses, and most of them are private there.

ministack has no plugin interface, but its tables are plain dicts that are read at each request. An upgrade that moves
one of them fails in `tests/local/test_ministack.py` first.
"""

from collections.abc import Callable
from typing import Any

from ministack import app as _app
from ministack.core import concurrency as _concurrency
from ministack.core import responses as _responses
from ministack.core import router as _router
from ministack.services import alb as _alb
from ministack.services import autoscaling as _autoscaling
from ministack.services import cloudformation as _cloudformation
from ministack.services import cloudwatch as _cloudwatch
from ministack.services import ec2 as _ec2
from ministack.services import ecr as _ecr
from ministack.services import iam as _iam
from ministack.services import lambda_svc as _lambda
from ministack.services import ssm as _ssm
from ministack.services.cloudformation import changesets as _changesets
from ministack.services.cloudformation import custom_resource as _custom_resource
from ministack.services.cloudformation import drift as _drift
from ministack.services.cloudformation import engine as _engine
from ministack.services.cloudformation import handlers as _handlers
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

auto_scaling_groups: Any = _autoscaling._asgs
"""Auto Scaling group name → the group as DescribeAutoScalingGroups reports it."""

autoscaling_answer: Callable[[int, str, str], Any] = _autoscaling._xml
"""`(status, element, XML inside of it) → answer` of an Auto Scaling action."""

autoscaling_error: Callable[[str, str], Any] = _autoscaling._error
"""`(code, message) → answer` of an Auto Scaling action that refuses."""

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


in_background: Callable[..., Any] = _concurrency.spawn_background
"""Runs a function in a thread that sees the account and region of the request; what it raises goes to the log."""


def physical_name(stack: str, logical_id: str, max_length: int) -> str:
    """Return the name that CloudFormation would generate; stable for a logical id until it is replaced."""
    name: str = _provisioners._physical_name(stack, logical_id, max_len=max_length)
    return name


def tell_names_apart() -> None:
    """Have CloudFormation generate other names in each account and region; ministack looks at stack and id alone."""
    generate = _provisioners._physical_name

    def of_this_scope(stack: str, logical_id: str, *, seeded: bool = True, **options: Any) -> str:
        seed = _provisioners._NAME_SEED
        before = seed.set(f"{account_id()}:{region()}:{seed.get() if seeded else ''}")
        try:
            name: str = generate(stack, logical_id, **options)
        finally:
            seed.reset(before)
        return name

    _provisioners._physical_name = of_this_scope


def around_invocations(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap what runs the Lambda function of a custom resource: `(function record, event) → result`."""
    _lambda._execute_function_with_config_scope = wrap(_lambda._execute_function_with_config_scope)


def run_function(reference: str, event: Any) -> dict[str, Any] | None:
    """Run a Lambda function by its name or ARN, with or without a qualifier; None when there is none.

    The answer has the function's own in `body`, and `error` when that is an error. It blocks, and a function that calls
    this endpoint waits for the event loop: call it from a thread only.
    """
    record, _, _ = _lambda._get_func_record_for_ref(reference)
    if record is None:
        return None
    result: dict[str, Any] = _lambda._execute_function_with_config_scope(record, event)
    return result


def runtime_of_function(reference: str) -> str:
    """Return the runtime of a Lambda function by its name or ARN; empty when there is none."""
    record, _, _ = _lambda._get_func_record_for_ref(reference)
    return runtime_of(record or {})


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


def on_a_thread(*kinds: str) -> None:
    """Have CloudFormation run the handlers of these types where they may wait for a Lambda function."""
    original = _stacks._runs_on_worker_thread
    _stacks._runs_on_worker_thread = lambda kind: kind in kinds or original(kind)


def is_rolling_back(stack: str) -> bool:
    """Whether CloudFormation takes an operation on this stack back."""
    return "ROLLBACK" in _cloudformation._stacks[stack]["StackStatus"]


def attribute_of_resource(stack: str, logical_id: str, name: str) -> Any:
    """Return an attribute of a resource, such as UpdatePolicy, in the template that is being deployed.

    References to resources are resolved; conditions and mappings are not for it.
    """
    record = _cloudformation._stacks[stack]
    value = _provisioners._cfn_wait_condition_definition(stack, logical_id).get(name)
    parameters = {item["ParameterKey"]: {"Value": item["ParameterValue"]} for item in record["Parameters"]}
    return _engine._resolve_refs(value, record["_resources"], parameters, {}, {}, stack, record["StackId"])


def around_references(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap what resolves the functions of a template: `(value, what the template and its stack have so far, …)`.

    It calls itself for what is inside of a value.
    """
    resolve = wrap(_engine._resolve_refs)
    for module in (_engine, _stacks, _changesets, _handlers):
        module._resolve_refs = resolve


def stack_elsewhere(account: str, region: str, name: str) -> dict[str, Any] | None:
    """Return the record of a stack in an account and region; None when there is none, or no more."""
    record: dict[str, Any] | None = _cloudformation._stacks.get_scoped(account, region, name)
    return None if record is None or record["StackStatus"] == "DELETE_COMPLETE" else record


def has_role(account: str, name: str) -> bool:
    """Whether an account has an IAM role."""
    return bool(_iam._roles.contains_scoped(account, None, name))


def around_repositories(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap what reports an ECR repository: `record → repository`."""
    _ecr._repo_shape = wrap(_ecr._repo_shape)


def around_alarms(wrap: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Wrap what gives an alarm the state that its metric has: `(record of the alarm)`."""
    _cloudwatch._evaluate_alarm = wrap(_cloudwatch._evaluate_alarm)


def has_points_of_others(alarm: dict[str, Any]) -> bool:
    """Whether the metric of an alarm has points with other dimensions than the alarm's."""
    own = _cloudwatch._dims_key(_cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    return any(
        (namespace, name) == (alarm.get("Namespace"), alarm.get("MetricName")) and dimensions != own
        for namespace, name, dimensions in list(_cloudwatch._metrics.keys())
    )


def around_listener_actions(
    parsed: Callable[[Callable[..., Any]], Callable[..., Any]],
    converted: Callable[[Callable[..., Any]], Callable[..., Any]],
    rendered: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    """Wrap what reads a listener's actions and what writes one of them.

    These are `(query parameters, prefix) → actions` for the API, `(properties, load balancer, property) → actions` for
    CloudFormation, and `action → XML`.
    """
    _alb._parse_actions = parsed(_alb._parse_actions)
    _provisioners._elbv2_listener_actions = converted(_provisioners._elbv2_listener_actions)
    _alb._action_xml = rendered(_alb._action_xml)
