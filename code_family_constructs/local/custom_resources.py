"""Custom resources fail at once when their function cannot answer; CloudFormation and ministack would wait an hour.

Functions in Python run for real, on the interpreter of the endpoint whatever their runtime says, with the account and
region of their stack. Functions in Node do too, but without the AWS SDK that the CDK's own handlers load, so those are
refused by name.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json, new_id

Run = Callable[[Json, Json], Json]


def answered(run: Run) -> Run:
    """Return `run`, with an answer of FAILED for a function that did not give one."""

    def run_to_an_answer(function: Json, event: Json) -> Json:
        token = str(event.get("ResponseURL", "")).rpartition("/")[2]
        if token not in _ministack.pending_responses:
            return run(function, event)
        runtime = _ministack.runtime_of(function)
        if not runtime.startswith("python"):
            reason = (
                f"The embedded endpoint runs custom resources in Python only: the function of {event['ResourceType']} "
                f"{event['LogicalResourceId']} has runtime {runtime or 'unknown'}"
            )
            # A create that never ran leaves nothing behind, so the rollback must be able to delete it.
            status = "SUCCESS" if event["RequestType"] == "Delete" else "FAILED"
            _answer(token, event, status, reason)
            return {"body": None}
        try:
            result = run(function, event)
        except Exception as error:
            _answer(token, event, "FAILED", f"The function of the custom resource could not run: {error}")
            raise
        pending = _ministack.pending_responses.get(token)
        if pending is not None and pending["result"] is None:
            _answer(token, event, "FAILED", _reason(result))
        elif pending is not None and event["RequestType"] == "Create" and pending["result"]["Status"] == "FAILED":
            _delete_what_failed(run, function, event, pending["result"])
        return result

    return run_to_an_answer


_ministack.around_invocations(answered)


def _delete_what_failed(run: Run, function: Json, event: Json, result: Json) -> None:
    # CloudFormation sends this when it rolls back; ministack forgets a custom resource whose creation failed.
    token = new_id()
    _ministack.pending_responses[token] = {"event": threading.Event(), "result": None}
    try:
        run(
            function,
            {
                **event,
                "RequestType": "Delete",
                "RequestId": new_id(),
                "PhysicalResourceId": result.get("PhysicalResourceId") or event["RequestId"],
                "ResponseURL": event["ResponseURL"].rpartition("/")[0] + f"/{token}",
            },
        )
    finally:
        _ministack.pending_responses.pop(token, None)


def _answer(token: str, event: Json, status: str, reason: str) -> None:
    physical_id = event.get("PhysicalResourceId") or event["RequestId"]
    _ministack.deliver_response(token, {"Status": status, "Reason": reason, "PhysicalResourceId": physical_id})


def _reason(result: Any) -> str:
    body = result.get("body") if isinstance(result, dict) else None
    if isinstance(body, str | bytes):
        try:
            body = json.loads(body)
        except ValueError:
            body = {"errorMessage": str(body)}
    if isinstance(body, dict) and body.get("errorMessage"):
        kind = f"{body['errorType']}: " if body.get("errorType") else ""
        return f"The function of the custom resource failed before it answered: {kind}{body['errorMessage']}"
    return "The function of the custom resource returned without an answer to its ResponseURL"
