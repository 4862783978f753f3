"""What a handler of ministack does not look at is no secret: the event that ends the creation says it.

This package's own types refuse what they do not know. ministack's handlers ignore it, and most of what they ignore does
no harm in a trial; a property below the first level that is ignored stays unseen.
"""

from collections.abc import Callable, Iterator
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

PREFIX = "Created without what the embedded endpoint does not model: "

_ignored: dict[tuple[str, str, str, str], list[str]] = {}
"""Account, region, stack and logical id of a resource → its properties that nothing looked at."""


def install() -> None:
    """Watch every handler there is; call this when all of them are in place."""
    for handler in _ministack.resource_handlers.values():
        if "create" in handler:
            handler["create"] = _watched(handler["create"])
    _ministack.around_events(_telling)


class _Properties(dict[str, Any]):
    """Properties that know which of them were looked at."""

    def __init__(self, properties: Json) -> None:
        super().__init__(properties)
        self.ignored = set(properties)

    def get(self, key: str, default: Any = None) -> Any:
        self.ignored.discard(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.ignored.discard(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.ignored.discard(str(key))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        # Whoever goes through all of them does so for a purpose.
        self.ignored.clear()
        return super().__iter__()

    def keys(self) -> Any:
        self.ignored.clear()
        return super().keys()

    def items(self) -> Any:
        self.ignored.clear()
        return super().items()


def _watched(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_and_watch(logical_id: str, properties: Json, stack: str, *rest: Any) -> Any:
        watched = _Properties(properties)
        created = create(logical_id, watched, stack, *rest)
        if watched.ignored:
            _ignored[_resource(stack, logical_id)] = sorted(watched.ignored)
        return created

    return create_and_watch


def _telling(record: Callable[..., None]) -> Callable[..., None]:
    def record_and_tell(
        stack_id: str, stack: str, logical_id: str, kind: str, status: str, reason: str = "", *rest: Any, **more: Any
    ) -> None:
        if status == "CREATE_COMPLETE" and not reason:
            ignored = _ignored.pop(_resource(stack, logical_id), None)
            reason = PREFIX + ", ".join(ignored) if ignored else ""
        record(stack_id, stack, logical_id, kind, status, reason, *rest, **more)

    return record_and_tell


def _resource(stack: str, logical_id: str) -> tuple[str, str, str, str]:
    return _ministack.account_id(), _ministack.region(), stack, logical_id
