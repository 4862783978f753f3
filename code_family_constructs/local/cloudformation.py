"""Three manners of CloudFormation that ministack's lacks.

An answer waits for a running operation: the CDK CLI sleeps five seconds when it has to ask again, and operations here
take milliseconds. A resource that an update leaves as it is has no events in it. And the names that stacks of one name
generate differ by account and region: roles of two regions share an account.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

LONGEST_WAIT = 10.0
"""Seconds that an answer waits at most, well below the time-outs of the SDKs."""

_RUNNING = {
    "DescribeStacks": re.compile(rb"<StackStatus>(?!REVIEW)\w+_IN_PROGRESS</StackStatus>"),
    "DescribeChangeSet": re.compile(rb"<Status>CREATE_(PENDING|IN_PROGRESS)</Status>"),
    "DescribeStackDriftDetectionStatus": re.compile(rb"<DetectionStatus>DETECTION_IN_PROGRESS</DetectionStatus>"),
}

_handle = _ministack.api_handlers["cloudformation"]


async def handle(method: str, path: str, headers: Json, body: bytes, query: Json) -> Any:
    """Answer as ministack does, but later when the operation that was asked for is still running."""
    answer = await _handle(method, path, headers, body, query)
    parameters = parse_qs(body.decode(errors="replace"))
    running = _RUNNING.get(parameters.get("Action", [""])[0])
    one_stack = "StackName" in parameters or "StackDriftDetectionId" in parameters
    waited = 0.0
    while running and one_stack and waited < LONGEST_WAIT and running.search(answer[2]):
        await asyncio.sleep(0.05)
        waited += 0.05
        answer = await _handle(method, path, headers, body, query)
    return answer


_ministack.api_handlers["cloudformation"] = handle

_untouched: set[tuple[str, str, str, str]] = set()
"""Account, region, stack and logical id of a resource whose update had nothing to do."""


def note_untouched(update: Callable[..., Any]) -> Callable[..., Any]:
    """Return `update`, remembering whether the resource stays as it is."""

    def update_or_note(kind: str, physical_id: str, old: Json, new: Json, stack: str, *rest: Any) -> Any:
        resource = _resource(stack, rest[0] if rest else physical_id)
        _untouched.discard(resource)
        if old == new:
            _untouched.add(resource)
        return update(kind, physical_id, old, new, stack, *rest)

    return update_or_note


def leave_out_untouched(record: Callable[..., None]) -> Callable[..., None]:
    """Return `record`, which takes the start of an update back when it turns out that there was nothing to do."""

    def record_or_take_back(
        stack_id: str, stack: str, logical_id: str, kind: str, status: str, *rest: Any, **more: Any
    ) -> None:
        resource = _resource(stack, logical_id)
        if status != "UPDATE_COMPLETE" or resource not in _untouched:
            record(stack_id, stack, logical_id, kind, status, *rest, **more)
            return
        _untouched.discard(resource)
        events = _ministack.stack_events[stack_id]
        for index in range(len(events) - 1, -1, -1):
            if (events[index]["LogicalResourceId"], events[index]["ResourceStatus"]) == (
                logical_id,
                "UPDATE_IN_PROGRESS",
            ):
                del events[index]
                return

    return record_or_take_back


def _resource(stack: str, logical_id: str) -> tuple[str, str, str, str]:
    return _ministack.account_id(), _ministack.region(), stack, logical_id


_ministack.around_updates(note_untouched)
_ministack.around_events(leave_out_untouched)
_ministack.tell_names_apart()
