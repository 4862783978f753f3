"""The process that a deployment hook's check runs in: a smoke test, or a function of the user's own."""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from code_family_constructs.handlers.smoke_test import smoke_test

SETTINGS = "CODE_FAMILY_HOOK"
ROOT = Path(__file__).parents[2]


def main(folder: Path) -> None:
    event = json.loads((folder / "event.json").read_text())
    try:
        problem = check(event, json.loads(os.environ[SETTINGS]))
    except BaseException as error:
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
    (folder / "answer.part").write_text(json.dumps(problem))
    # All of it or nothing: this process may be ended at any time.
    (folder / "answer.part").rename(folder / "answer.json")
    sys.stdout.flush()
    sys.stderr.flush()
    # Without waiting for what else the check has started.
    os._exit(0)


def check(event: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """Returns what is wrong."""
    if "url" in settings:
        return smoke_test(settings)
    spec = importlib.util.spec_from_file_location("deployment_check", ROOT / settings["file"])
    if spec is None or spec.loader is None:
        return f"{settings['file']} is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result = getattr(module, settings["function"])(subject(event))
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
    main(Path(sys.argv[1]))
