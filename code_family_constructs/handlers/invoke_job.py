"""Runs a function of the user's own for a pipeline's action, and tells CodePipeline how it went whatever it does."""

import json
from collections.abc import Callable
from typing import Any

import boto3

from code_family_constructs.handlers.own_process import CONFIG, NoResultError, insist, run, seconds_left
from code_family_constructs.handlers.pipeline_job import LONGEST_MESSAGE

OVER = "InvalidJobStateException"
# Trying these again changes nothing.
FINAL = (OVER, "JobNotFoundException", "ValidationException", "OutputVariablesSizeExceededException")


def handler(event: dict[str, Any], context: Any) -> None:
    """Answers the job; raises when CodePipeline cannot be told, so that Lambda counts an error.

    Args:
        event: What CodePipeline sent. It holds credentials, so it is never logged.
        context: Lambda's.
    """
    job = event["CodePipeline.job"]
    client = boto3.client("codepipeline", config=CONFIG)
    run_id = context.aws_request_id
    try:
        result = outcome(job, context)
    except NoResultError as error:
        fail(client, job["id"], str(error), run_id)
        return
    try:
        succeed(client, job["id"], result, run_id)
    except Exception as error:
        fail(client, job["id"], f"CodePipeline does not take what the function made: {error}", run_id)


def outcome(job: dict[str, Any], context: Any) -> dict[str, Any]:
    """Runs the function in the time that is left."""
    try:
        result: dict[str, Any] = run("own_job", job, seconds_left(context), "the function")
    except NoResultError:
        raise
    except Exception as error:
        raise NoResultError(f"the function could not be run: {type(error).__name__}: {error}") from error
    return result


def succeed(client: Any, job: str, result: dict[str, Any], run_id: str) -> None:
    """Reports success, or that the job goes on."""
    print("continues" if "state" in result else "succeeded")
    report: dict[str, Any] = {"executionDetails": {"externalExecutionId": run_id}}
    if "state" in result:
        report["continuationToken"] = json.dumps(result["state"])
    if result.get("variables"):
        report["outputVariables"] = result["variables"]
    _report(lambda: client.put_job_success_result(jobId=job, **report), client)


def fail(client: Any, job: str, reason: str, run_id: str) -> None:
    print(f"failed: {reason}")
    details = {"type": "JobFailed", "message": reason[:LONGEST_MESSAGE], "externalExecutionId": run_id}
    _report(lambda: client.put_job_failure_result(jobId=job, failureDetails=details), client)


def _report(report: Callable[[], object], client: Any) -> None:
    try:
        insist(report, final=FINAL)
    except client.exceptions.InvalidJobStateException:
        print("reported already, by an earlier invocation or after CodePipeline had stopped waiting")
