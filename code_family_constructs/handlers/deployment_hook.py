"""Runs a check for a deployment, and answers CodeDeploy or Amazon ECS whatever the check does."""

from typing import Any

import boto3

from code_family_constructs.handlers.own_process import CONFIG, NoResultError, insist, run, seconds_left


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
    try:
        problem = run("hook_check", event, seconds_left(context), "the check")
    except NoResultError as error:
        problem = str(error)
    except Exception as error:
        problem = f"the check could not be run: {type(error).__name__}: {error}"
    print(f"failed: {problem}" if problem else "passed")
    return problem is None


def report(deployment: str, execution: str, status: str) -> None:
    """Tells CodeDeploy; raises when it cannot be told, so that Lambda counts an error and tries the event again."""
    client = boto3.client("codedeploy", config=CONFIG)
    try:
        insist(
            lambda: client.put_lifecycle_event_hook_execution_status(
                deploymentId=deployment, lifecycleEventHookExecutionId=execution, status=status
            ),
            final=("LifecycleEventAlreadyCompletedException",),
        )
    except client.exceptions.LifecycleEventAlreadyCompletedException:
        print("reported already, by an earlier invocation or after CodeDeploy had stopped waiting")
