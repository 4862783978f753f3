"""Checks that deployments of the stacks wait for. This file itself is what a hook runs: it imports what Lambda has."""

import json
import os
from collections.abc import Mapping
from typing import Any


def function_greets(check: Mapping[str, Any]) -> None:
    """Asks the new version, which is what `$LATEST` is before it gets any traffic."""
    import boto3  # here, since the app that deploys this check needs none

    answer = boto3.client("lambda").invoke(
        FunctionName=os.environ["FUNCTION"],
        Payload=json.dumps({"queryStringParameters": {"name": "smoke test"}}),
    )
    text = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, text
    greeting = json.loads(text)
    assert greeting["statusCode"] == 200, text
    assert "Hello, smoke test" in greeting["body"], text
