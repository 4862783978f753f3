"""Has CloudFront forget the files that a pipeline has replaced, and waits until it has.

CodePipeline calls it until CloudFront is done, each time with the continuation token that the last call left.
"""

import json
import os
import time
from typing import Any

import boto3

from code_family_constructs.handlers.pipeline_job import PATIENT, run

# CloudFront takes minutes as a rule; after this, something is wrong with it and not with the release.
LONGEST_WAIT = 3600


def handler(event: dict[str, Any], context: Any) -> None:
    # The job's number is the same when Lambda delivers it twice, and another one in each call that continues it.
    job = event["CodePipeline.job"]["id"]
    run(event, context, lambda data: work(data, job))


def work(data: dict[str, Any], job: str) -> dict[str, Any]:
    settings = json.loads(os.environ["CODE_FAMILY_INVALIDATION"])
    distribution, paths = settings["distribution"], settings["paths"]
    cloudfront = boto3.client("cloudfront", config=PATIENT)
    if "continuationToken" not in data:
        # The same reference and the same paths are the same invalidation to CloudFront.
        made = cloudfront.create_invalidation(
            DistributionId=distribution,
            InvalidationBatch={"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": job},
        )
        return told(made["Invalidation"], int(time.time()))
    state = json.loads(data["continuationToken"])
    found = cloudfront.get_invalidation(DistributionId=distribution, Id=state["invalidation"])["Invalidation"]
    if found["Status"] != "Completed" and time.time() - state["since"] > LONGEST_WAIT:
        raise RuntimeError(f"invalidation {found['Id']} is {found['Status']} after an hour; the files are uploaded")
    return told(found, state["since"])


def told(invalidation: dict[str, Any], since: int) -> dict[str, Any]:
    number, status = invalidation["Id"], invalidation["Status"]
    details = {"summary": f"invalidation {number}: {status}", "externalExecutionId": number}
    if status == "Completed":
        return {"executionDetails": {**details, "percentComplete": 100}}
    return {
        "continuationToken": json.dumps({"invalidation": number, "since": since}),
        "executionDetails": details,
    }
