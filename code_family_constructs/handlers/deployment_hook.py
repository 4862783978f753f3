"""Runs a check for a deployment, and answers CodeDeploy or Amazon ECS whatever the check does.

The check runs in a process of its own: there it may raise, exit, crash, or hang without letting go of the interpreter,
and this one still answers.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

# What four attempts to report take when each of them times out.
TIME_TO_REPORT_MS = 30_000
PAUSES = (1, 2, 4)
CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})


def handler(event: dict[str, Any], context: Any) -> dict[str, str] | None:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html
    if "lifecycleStage" in event:
        passed = rolling_back(event) or verdict(event, context)
        return {"hookStatus": "SUCCEEDED" if passed else "FAILED"}
    deployment, execution = event["DeploymentId"], event["LifecycleEventHookExecutionId"]
    report(deployment, execution, "Succeeded" if verdict(event, context) else "Failed")
    return None


def rolling_back(event: dict[str, Any]) -> bool:
    """Whether Amazon ECS shifts traffic away from what this deployment was about.

    ECS calls the hooks of these two stages a second time then. The verdict is in already; a check of the revision that
    is going would fail the rollback.
    """
    weights = ["testTrafficWeights", "productionTrafficWeights"]
    if event["lifecycleStage"] not in ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"):
        return False
    if event["lifecycleStage"] == "PRODUCTION_TRAFFIC_SHIFT":
        weights.reverse()
    details = event.get("executionDetails", {})
    target = details.get("targetServiceRevisionArn")
    # The weights of the stage itself decide; a rollback may come with the other ones only.
    known = [details[kind][target] for kind in weights if target in (details.get(kind) or {})]
    if known[:1] != [0]:
        return False
    print("the deployment is rolling back: nothing is checked")
    return True


def verdict(event: dict[str, Any], context: Any) -> bool:
    """Runs the check in the time that is left, and logs why it failed."""
    seconds = max(0.0, (context.get_remaining_time_in_millis() - TIME_TO_REPORT_MS) / 1000)
    try:
        problem = run(event, seconds)
    except Exception as error:
        problem = f"the check could not be run: {type(error).__name__}: {error}"
    print(f"failed: {problem}" if problem else "passed")
    return problem is None


def run(event: dict[str, Any], seconds: float) -> str | None:
    """Runs the check in a process of its own, and returns what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "event.json").write_text(json.dumps(event))
        command = [sys.executable, "-P", "-m", "code_family_constructs.handlers.hook_check", folder]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            # Lambda logs both outputs; who else runs handlers may have a use of his own for the first.
            done = subprocess.run(command, env=environment, stdout=2, stderr=2, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"the check was not done after {seconds:.0f} seconds"
        answer = Path(folder, "answer.json")
        if not answer.exists():
            return f"the check ended its process, {how(done.returncode)}"
        problem: str | None = json.loads(answer.read_text())
        return problem


def how(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


def report(deployment: str, execution: str, status: str) -> None:
    """Tells CodeDeploy; raises when it cannot be told, so that Lambda counts an error and tries the event again."""
    client = boto3.client("codedeploy", config=CONFIG)
    for pause in (*PAUSES, None):
        try:
            client.put_lifecycle_event_hook_execution_status(
                deploymentId=deployment, lifecycleEventHookExecutionId=execution, status=status
            )
        except client.exceptions.LifecycleEventAlreadyCompletedException:
            print("reported already, by an earlier invocation or after CodeDeploy had stopped waiting")
        except Exception as error:
            # Denied counts too: of a role that is seconds old, not every part of AWS has heard.
            if pause is None:
                raise
            print(f"not reported yet: {error}")
            time.sleep(pause)
            continue
        return
