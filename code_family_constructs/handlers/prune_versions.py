"""Deletes versions of a function that no alias needs any more."""

from collections.abc import Collection
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from code_family_constructs.handlers.custom_resource import LONGEST_REASON, answer

TIME_TO_ANSWER_MS = 60_000


def handler(event: dict[str, Any], context: Any) -> None:
    properties = event["ResourceProperties"]
    function_name, version = properties["FunctionName"], properties["Version"]
    if event["RequestType"] == "Delete":
        answer(event, event["PhysicalResourceId"], dict)
        return
    # The version before this one too, though newer ones may have failed since: when something else in this update
    # fails, CloudFormation shifts the alias back to it.
    before = event.get("OldResourceProperties", {}).get("Version", version)

    def work() -> dict[str, str]:
        result = prune(function_name, int(properties["Keep"]), {version, before}, context)
        print(result)
        # In characters of one byte each, so that the answer is as short as CloudFormation wants it.
        return {"Result": result.encode("ascii", "replace").decode()[:LONGEST_REASON]}

    answer(event, function_name, work)


def prune(function_name: str, keep: int, also_keep: Collection[str], context: Any) -> str:
    """Deletes all but the newest versions and those that an alias sends traffic to.

    Never raises for what AWS answers: what is left over is no reason to roll back a release, and is tried again after
    the next one.

    Args:
        function_name: Name of the function.
        keep: How many of the newest to keep.
        also_keep: Versions to keep besides.
        context: Lambda's, for the time that is left.
    """
    client = boto3.client("lambda")
    deleted, left = 0, list[str]()
    try:
        old = _old(client, function_name, keep) - _in_use(client, function_name) - set(also_keep)
        for version in sorted(old, key=int):
            if context.get_remaining_time_in_millis() < TIME_TO_ANSWER_MS:
                left.append(f"version {version} and newer ones: no time was left")
                break
            try:
                client.delete_function(FunctionName=function_name, Qualifier=version)
                deleted += 1
            except (BotoCoreError, ClientError) as error:
                left.append(f"version {version}: {error}")
    except (BotoCoreError, ClientError) as error:
        left.append(f"all versions: {error}")
    return "; ".join([f"{deleted} old versions deleted", *(f"left {one}" for one in left)])


def _old(client: Any, function_name: str, keep: int) -> set[str]:
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function_name)
    numbers = {each["Version"] for page in pages for each in page["Versions"]} - {"$LATEST"}
    return set(sorted(numbers, key=int)[:-keep])


def _in_use(client: Any, function_name: str) -> set[str]:
    used = set()
    for page in client.get_paginator("list_aliases").paginate(FunctionName=function_name):
        for alias in page["Aliases"]:
            used |= {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    return used
