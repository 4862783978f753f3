"""The process that a deployment hook's check runs in: a smoke test, or a function of the user's own."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from code_family_constructs.handlers.own_process import answer, load
from code_family_constructs.handlers.smoke_test import smoke_test

SETTINGS = "CODE_FAMILY_HOOK"


def check(event: dict[str, Any]) -> str | None:
    """Returns what is wrong."""
    settings = json.loads(os.environ[SETTINGS])
    if "url" in settings:
        return smoke_test(settings)
    result = load(settings["file"], settings["function"])(subject(event))
    if result is None or result is True:
        return None
    return f"{settings['function']} returned {result!r}"


def subject(event: dict[str, Any]) -> dict[str, Any]:
    """What a check is told, the same for CodeDeploy and Amazon ECS."""
    return {
        "deployment": event.get("DeploymentId") or event["resourceArn"],
        "stage": event.get("lifecycleStage"),
        "event": event,
    }


if __name__ == "__main__":
    answer(Path(sys.argv[1]), check)
