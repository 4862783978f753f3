"""Runs one contestant and says what it asked of aws-cdk-lib, while cdk-nag looks at what comes out.

`python probe.py contestant.py 5` prints {"what was called": how often} for every round trip to the jsii kernel.
"""

import json
import runpy
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsii._kernel.providers.process as kernel

calls: Counter[str] = Counter()
counting = True
_send: Any = kernel._NodeProcess.send


def send(process: Any, request: Any, response_type: Any) -> Any:
    if counting:
        kind = type(request).__name__.removesuffix("Request").lower()
        # An instance is known by its class and a number, a static member by its class alone.
        owner = request.objref.ref.rsplit("@", 1)[0] if hasattr(request, "objref") else getattr(request, "fqn", "")
        member = getattr(request, "method", None) or getattr(request, "property", None)
        calls[" ".join(filter(None, [kind, ".".join(filter(None, [owner, member]))]))] += 1
    return _send(process, request, response_type)


@contextmanager
def not_counted() -> Iterator[None]:
    global counting
    counting = False
    yield
    counting = True


kernel._NodeProcess.send = send  # type: ignore[method-assign, assignment]

import aws_cdk  # noqa: E402 - importing it starts the kernel

_synth = aws_cdk.App.synth


def synth(app: aws_cdk.App) -> Any:
    with not_counted():
        from cdk_nag import AwsSolutionsChecks

        aws_cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return _synth(app)


aws_cdk.App.synth = synth  # type: ignore[method-assign, assignment]
del sys.argv[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except RuntimeError as error:
    # Findings make synth fail, after it has written template and report.
    if "ValidationFailed" not in str(error):
        raise
print(json.dumps(calls))
