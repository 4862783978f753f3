"""Running a Lambda function for real, as another service of the endpoint does it. In Python only."""

import json
from typing import Any

from code_family_constructs.local import _ministack


class InvocationError(Exception):
    """The function does not exist, cannot run here, or failed."""


def invoke(function: str, event: Any) -> Any:
    """Return what a function answers; call it from a thread only (see `_ministack.run_function`).

    Args:
        function: Name or ARN, with or without a qualifier.
        event: What the function gets.

    Raises:
        InvocationError: The function does not exist, cannot run here, or failed.
    """
    runtime = _ministack.runtime_of_function(function)
    if runtime and not runtime.startswith("python"):
        raise InvocationError(f"the embedded endpoint runs functions in Python only: {function} has runtime {runtime}")
    result = _ministack.run_function(function, event)
    if result is None:
        raise InvocationError(f"Function not found: {function}")
    body: Any = result.get("body")
    if isinstance(body, str | bytes):
        body = json.loads(body)
    if result.get("error"):
        raise InvocationError(f"{function} failed: {body['errorType']}: {body['errorMessage']}")
    return body
