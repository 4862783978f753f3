"""Checks that deployments of the stacks wait for. This file itself is what runs: it imports what Lambda has."""

import json
import os
from collections.abc import Mapping
from typing import Any


def function_greets(check: Mapping[str, Any]) -> None:
    """Asks the new version, which is what `$LATEST` is before it gets any traffic."""
    _ask(os.environ["FUNCTION"])


def release_is_live(job: Mapping[str, Any]) -> dict[str, str]:
    """Asks what callers of the alias get, which has to be the release that was built, and tells what it was."""
    alias = os.environ["ALIAS"]
    version, greeting = _ask(alias)
    release, built = greeting["release"], job["parameters"]["release"]
    assert release == built, f"release {release} answers, {built} was built"
    _, _, _, region, _, _, name, _ = alias.split(":")
    console = f"https://{region}.console.aws.amazon.com/lambda/home?region={region}"
    return {"Release": release, "Version": version, "Link": f"{console}#/functions/{name}/versions/{version}"}


def _ask(function: str) -> tuple[str, dict[str, Any]]:
    """Which version answers, and with what."""
    import boto3  # here, since the app that deploys this check needs none

    answer = boto3.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps({"queryStringParameters": {"name": "smoke test"}})
    )
    text = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, text
    greeting = json.loads(text)
    assert greeting["statusCode"] == 200, text
    assert "Hello, smoke test" in greeting["body"], text
    return answer["ExecutedVersion"], json.loads(greeting["body"])
