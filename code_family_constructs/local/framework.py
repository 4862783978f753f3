"""What a service module is made of: an `Api` for its operations and one `ResourceType` per CloudFormation type.

Add an operation by decorating a function that is named like it in boto3; add a type by decorating a `ResourceType`
subclass. Both are checked against botocore's own service models, so neither a misspelt operation nor a property that
the API does not have goes unnoticed.
"""

import asyncio
import contextvars
import functools
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.exceptions
import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.validate import ParamValidator

from code_family_constructs.local import _ministack

Json = dict[str, Any]


Type = TypeVar("Type", bound="ResourceType")


class ApiError(Exception):
    """What an API answers instead of a result: an error code of its model, and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """The operations of one AWS service that speaks JSON, under each of its signing names.

    A request is validated against the service's model before its operation sees it, and the operation may keep it.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self._model = service_model(service)
        self._names = {xform_name(name): name for name in self._model.operation_names}
        self._paths = [
            (http["method"], _path_pattern(http["requestUri"]), name)
            for name in self._model.operation_names
            for http in [self._model.operation_model(name).http]
        ]
        self._operations: dict[str, Callable[[Json], Json | None]] = {}
        signing_name = self._model.signing_name
        _ministack.api_handlers[signing_name] = self._handle
        prefix = self._model.metadata.get("targetPrefix")
        _ministack.routes[signing_name] = {
            "target_prefixes": [prefix + "."] if prefix else [],
            "credential_scope": signing_name,
        }

    def operation(self, function: Callable[[Json], Json | None]) -> Callable[[Json], Json | None]:
        """Register the operation that boto3 calls like the function."""
        self._operations[self._names[function.__name__]] = function
        return function

    def include(self, other: "Api") -> None:
        """Take the operations of another name of the same service, but for those that are registered here."""
        self._operations = {**other._operations, **self._operations}

    async def _handle(self, method: str, path: str, headers: Json, body: bytes, query: Json) -> tuple[int, Json, bytes]:
        name, located = self._located(method, path, headers, query)
        try:
            if name not in self._operations:
                raise ApiError(
                    "UnknownOperationException",
                    f"The embedded endpoint does not model {self._model.service_id} {name}",
                )
            parameters = {**json.loads(body or b"{}"), **located}
            _validate(parameters, self._model.operation_model(name).input_shape)
            return self._answer(200, self._operations[name](parameters) or {})
        except ApiError as error:
            return self._answer(400, {"__type": error.code, "message": str(error)}, {"x-amzn-errortype": error.code})

    def _located(self, method: str, path: str, headers: Json, query: Json) -> tuple[str, Json]:
        """Return the operation, and those of its parameters that are not in the body."""
        if target := headers.get("x-amz-target"):
            return target.rpartition(".")[2], {}
        for verb, pattern, name in self._paths:
            found = pattern.fullmatch(path) if verb == method else None
            if found:
                places = {"uri": found.groupdict(), "querystring": query}
                shape = self._model.operation_model(name).input_shape
                return name, dict(_from_places(shape.members if shape else {}, places))
        return f"{method} {path}", {}

    def _answer(self, status: int, body: Json, headers: Json | None = None) -> tuple[int, Json, bytes]:
        version = self._model.metadata.get("jsonVersion", "1.1")
        content_type = "application/json" if "rest" in self._model.protocol else f"application/x-amz-json-{version}"
        return status, {"Content-Type": content_type, **(headers or {})}, json.dumps(body).encode()


class ResourceType:
    """One CloudFormation type. Subclasses say what it takes to create, update, delete and read one.

    What raises here becomes the status reason in the stack's events. `replaced_by` are the properties whose change
    makes CloudFormation replace the resource; any other change comes to `update`. `unread` are the properties that
    `read` does not report, so that drift detection leaves them out.
    """

    replaced_by: ClassVar[tuple[str, ...]] = ()
    name_property: ClassVar[str | None] = None
    tags: ClassVar[str | None] = "list"
    unread: ClassVar[tuple[str, ...]] = ()

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        """Return the physical id and the attributes."""
        raise NotImplementedError

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        """Change the resource in place and return the attributes."""
        raise ValueError(f"the embedded endpoint does not model updates of {type(self).__name__}")

    def delete(self, physical_id: str, properties: Json) -> None:
        """Delete the resource; one that is gone already is no error."""
        raise NotImplementedError

    def read(self, physical_id: str, properties: Json) -> Json | None:
        """Return what the API reports, for drift detection; None when the resource is gone."""
        raise NotImplementedError


def resource_type(name: str) -> Callable[[type[Type]], type[Type]]:
    """Register a class as the handler of a CloudFormation type."""

    def register(cls: type[Type]) -> type[Type]:
        handler = cls()
        _ministack.resource_handlers[name] = {
            "create": handler.create,
            "update": functools.partial(_update, handler),
            "delete": handler.delete,
        }
        _ministack.replacing_properties[name] = handler.replaced_by
        if handler.name_property:
            _ministack.custom_names[name] = {"name": handler.name_property}
        if handler.tags:
            _ministack.stack_tag_properties[name] = ("Tags", handler.tags)
        if cls.read is not ResourceType.read:
            _ministack.drift_readers[name] = (
                functools.partial(_read_drift, handler),
                _AllBut(("Tags", *handler.unread)),
            )
        return cls

    return register


def call(service: str, operation: str, /, **parameters: Any) -> Json:
    """Call an API of this endpoint from inside it, as boto3 would in the account and region of the request.

    Its errors are CloudFormation's status reasons.
    """
    try:
        result: Json = getattr(_client(service, _ministack.account_id(), _ministack.region()), operation)(**parameters)
    except botocore.exceptions.ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise CallError(code, f"{message} (Service: {service}, Operation: {operation}, Error Code: {code})") from error
    except botocore.exceptions.ParamValidationError as error:
        raise CallError("ParamValidation", str(error)) from error
    result.pop("ResponseMetadata", None)
    return result


class CallError(ValueError):
    """An API of this endpoint refused a call from inside it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def to_parameters(service: str, operation: str, properties: Mapping[str, Any]) -> Json:
    """Convert CloudFormation properties to the parameters of an operation.

    The two differ in upper and lower case, and a template may write any number or boolean as a string. A property that
    the operation does not have is an error.
    """
    shape = service_model(service).operation_model(service_operation(service, operation)).input_shape
    result: Json = _convert(shape, properties, "#")
    return result


def to_structure(service: str, shape: str, properties: Mapping[str, Any]) -> Json:
    """Convert CloudFormation properties to a structure that is one parameter of an operation."""
    result: Json = _convert(service_model(service).shape_for(shape), properties, "#")
    return result


def name_of(properties: Json, key: str, logical_id: str, stack: str, max_length: int) -> str:
    """Return the custom name, or the one that CloudFormation generates."""
    return str(properties.get(key) or "") or _ministack.physical_name(stack, logical_id, max_length)


def without(properties: Mapping[str, Any], *names: str) -> Json:
    """Return the properties but for some: those that a type treats on its own."""
    return {key: value for key, value in properties.items() if key not in names}


def lower_tags(properties: Json) -> list[Json]:
    """Return the tags as the services with lower-case parameters want them."""
    return [{"key": tag["Key"], "value": str(tag["Value"])} for tag in properties.get("Tags", [])]


def upper_tags(properties: Json) -> list[Json]:
    """Return the tags as the services with upper-case parameters want them."""
    return [{"Key": tag["Key"], "Value": str(tag["Value"])} for tag in properties.get("Tags", [])]


def merge_tags(current: Iterable[Json], new: Iterable[Json], key: str) -> list[Json]:
    """Return the tags after TagResource."""
    return list({tag[key]: tag for tag in (*current, *new)}.values())


def sync_tags(old: Json, new: Json, *, tag: Callable[[list[str]], Any], untag: Callable[[list[str]], Any]) -> None:
    """Call `tag` with the keys to set and `untag` with those to remove, when the tags of a resource changed."""
    before, after = ({t["Key"]: str(t["Value"]) for t in p.get("Tags", [])} for p in (old, new))
    if removed := [key for key in before if key not in after]:
        untag(removed)
    if changed := [key for key, value in after.items() if before.get(key) != value]:
        tag(changed)


def lookup(store: Any, key: Any) -> Json | None:
    """Return the record, or None."""
    record: Json | None = store.get(key)
    return record


def require(store: Any, key: Any, code: str, message: str) -> Json:
    """Return the record, or raise the API's own error for a missing one."""
    if key not in store:
        raise ApiError(code, message)
    record: Json = store[key]
    return record


def arn(service: str, resource: str) -> str:
    """Return an ARN in the account and region of the request."""
    return f"arn:aws:{service}:{_ministack.region()}:{_ministack.account_id()}:{resource}"


def new_id() -> str:
    """Return a fresh UUID."""
    return str(uuid.uuid4())


@functools.cache
def service_model(service: str) -> Any:
    """Return botocore's model of a service."""
    return _session().get_service_model(service)


@functools.cache
def service_operation(service: str, operation: str) -> str:
    """Return the API's name of an operation that boto3 calls so."""
    names: list[str] = service_model(service).operation_names
    return next(name for name in names if xform_name(name) == operation)


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()


@functools.cache
def _client(service: str, account: str, region: str) -> Any:
    client = _session().create_client(
        service,
        region_name=region,
        endpoint_url="http://127.0.0.1",
        aws_access_key_id=account,
        aws_secret_access_key="local",  # noqa: S106 - nothing checks it
        config=Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    client.meta.events.register("before-send", functools.partial(_answer_inside, client.meta.service_model))
    return client


def _answer_inside(model: Any, request: Any, **_: Any) -> AWSResponse:
    url = urlsplit(request.url)
    headers = {
        key.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for key, value in request.headers.items()
    }
    body = request.body or b""
    status, response_headers, response_body = _finish_now(
        _ministack.api_handlers[model.signing_name](
            request.method,
            unquote(url.path),
            {"host": url.netloc, **headers},
            body.encode() if isinstance(body, str) else bytes(body),
            parse_qs(url.query, keep_blank_values=True),
        )
    )
    content = response_body.encode() if isinstance(response_body, str) else response_body
    return AWSResponse(request.url, status, response_headers, _Body(content))


def _finish_now(coroutine: Any) -> Any:
    # CloudFormation handlers run on the event loop and are no coroutines themselves, so nothing may wait in here. In a
    # context of its own: S3 goes on as the account of the bucket, and whoever called it must not.
    try:
        contextvars.copy_context().run(coroutine.send, None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise asyncio.InvalidStateError("an API that waits cannot be called from a resource type")


class _Body:
    """The part of a urllib3 response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self._content

    def read(self, amt: int | None = None) -> bytes:
        content, self._content = self._content, b""
        return content


class _AllBut(frozenset[str]):
    """Contains every name that it was not made of: a new property is compared without being listed anywhere."""

    def __contains__(self, item: object) -> bool:
        return not super().__contains__(item)


def _update(handler: ResourceType, physical_id: str, old: Json, new: Json, stack: str) -> tuple[str, Json]:
    return physical_id, handler.update(physical_id, old, new)


def _read_drift(handler: ResourceType, physical_id: str, properties: Json) -> Json | None:
    current = handler.read(physical_id, properties)
    if current is None:
        return None
    found: Json = _in_template_shape(properties, current)
    return found


def _in_template_shape(expected: Any, current: Any) -> Any:
    # Only what the template sets takes part, so defaults that the API added are no drift.
    if isinstance(expected, dict) and isinstance(current, dict):
        by_lower = {key.lower(): value for key, value in current.items()}
        return {
            key: _in_template_shape(value, by_lower[key.lower()])
            for key, value in expected.items()
            if by_lower.get(key.lower()) is not None
        }
    if isinstance(expected, list) and isinstance(current, list):
        kept = [_in_template_shape(e, c) for e, c in zip(expected, current, strict=False)]
        return kept + current[len(expected) :]
    # A template's 5 is the 5.0 of an API that has doubles.
    return int(current) if isinstance(current, float) and current.is_integer() else current


def _path_pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(template.partition("?")[0])))


def _from_places(members: Mapping[str, Any], places: Mapping[str, Json]) -> Iterator[tuple[str, Any]]:
    for member, shape in members.items():
        place = places.get(shape.serialization.get("location"), {})
        value = place.get(shape.serialization.get("name"))
        if value is not None:
            single = isinstance(value, list) and shape.type_name != "list"
            yield member, _convert(shape, value[0] if single else value, member)


def _convert(shape: Any, value: Any, path: str) -> Any:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return json.loads(value) if isinstance(value, str) else value
    if kind == "structure":
        if not isinstance(value, Mapping):
            raise ValueError(f"{path}: expected type: JSONObject, found: {type(value).__name__}")
        members = {name.lower(): name for name in shape.members}
        unknown = [key for key in value if key.lower() not in members]
        if unknown:
            raise ValueError(f"{path}: extraneous key [{unknown[0]}] is not permitted")
        return {
            members[key.lower()]: _convert(shape.members[members[key.lower()]], item, f"{path}/{key}")
            for key, item in value.items()
            if item is not None
        }
    if kind == "list":
        items = value if isinstance(value, list) else [value]
        return [_convert(shape.member, item, f"{path}/{index}") for index, item in enumerate(items)]
    if kind == "map":
        if not isinstance(value, Mapping):
            raise ValueError(f"{path}: expected type: JSONObject, found: {type(value).__name__}")
        return {key: _convert(shape.value, item, f"{path}/{key}") for key, item in value.items()}
    return _convert_scalar(kind, value, path)


def _convert_scalar(kind: str, value: Any, path: str) -> Any:
    if isinstance(value, dict | list):
        raise ValueError(f"{path}: expected type: {kind.capitalize()}, found: {type(value).__name__}")
    if kind == "boolean" and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if kind == "blob":
        return str(value).encode()
    try:
        if kind in ("integer", "long") and not isinstance(value, bool):
            return int(value)
        if kind in ("float", "double") and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    if kind == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise ValueError(f"{path}: expected type: {kind.capitalize()}, found: {value!r}")


def _validate(parameters: Any, shape: Any) -> None:
    if shape is None:
        return
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise ApiError("ValidationException", report.generate_report())
    problems = list(_constraint_problems(shape, parameters, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise ApiError("ValidationException", f"{count}: {'; '.join(problems)}")


def _constraint_problems(shape: Any, value: Any, path: str) -> Iterable[str]:
    # botocore's validator knows types, required members and minima; services refuse more than that.
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return
    if kind == "structure":
        for key, item in value.items():
            yield from _constraint_problems(shape.members[key], item, f"{path}.{key}" if path else key)
    elif kind == "list":
        yield from _size_problems(shape, len(value), value, path, "length")
        for index, item in enumerate(value, 1):
            yield from _constraint_problems(shape.member, item, f"{path}.{index}.member")
    elif kind == "map":
        for key, item in value.items():
            yield from _constraint_problems(shape.value, item, f"{path}.{key}.member")
    elif kind == "string":
        yield from _size_problems(shape, len(value), value, path, "length")
        if shape.enum and value not in shape.enum:
            yield (
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            )
        pattern = _pattern(shape.metadata.get("pattern", ""))
        if pattern and not pattern.fullmatch(value):
            yield (
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
            )
    elif kind in ("integer", "long", "float", "double"):
        yield from _size_problems(shape, value, value, path, "value")


def _size_problems(shape: Any, size: float, value: Any, path: str, noun: str) -> Iterable[str]:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    prefix = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have {noun}"
    if minimum is not None and size < minimum:
        yield f"{prefix} greater than or equal to {minimum}"
    if maximum is not None and size > maximum:
        yield f"{prefix} less than or equal to {maximum}"


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    # The models carry Java's dialect; what Python cannot compile (\p{L}) cannot be checked here.
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None
