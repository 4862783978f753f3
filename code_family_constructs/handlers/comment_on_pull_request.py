"""Comments on a pull request in CodeCommit how its build went.

The event of a build that has ended carries the variables that the build was started with. CodeCommit keeps one comment
for each token: an event that comes twice, and a call that is tried again, change nothing.
"""

import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 2})
RESULTS = {"SUCCEEDED": "succeeded", "FAILED": "**failed**", "STOPPED": "was **stopped** before it had a result"}
NOT_WELL = ("CLIENT_ERROR", "FAILED", "FAULT", "TIMED_OUT")
# CodeCommit takes 10240 characters.
MOST_OF_REASON = 2000


def handler(event: dict[str, Any], context: Any) -> str:
    detail = event["detail"]
    build, about = detail["build-id"].rpartition("/")[2], detail["additional-information"]
    given = {one["name"]: one["value"] for one in about["environment"]["environment-variables"]}
    if "PULL_REQUEST_ID" not in given:
        return f"build {build} is of no pull request"
    commit, destination = given["PULL_REQUEST_SOURCE_COMMIT"], given["PULL_REQUEST_DESTINATION_COMMIT"]
    if commit == destination:
        # Of such a one CodeCommit takes no comment: BeforeCommitIdAndAfterCommitIdAreSameException.
        return f"build {build} is of a pull request that changes nothing"
    boto3.client("codecommit", config=PATIENT).post_comment_for_pull_request(
        pullRequestId=given["PULL_REQUEST_ID"],
        repositoryName=os.environ["REPOSITORY_NAME"],
        beforeCommitId=destination,
        afterCommitId=commit,
        content="\n\n".join(paragraphs(build, commit, detail["build-status"], about)),
        clientRequestToken=build.rpartition(":")[2],
    )
    return f"commented that build {build} {detail['build-status']}"


def paragraphs(build: str, commit: str, status: str, about: Mapping[str, Any]) -> list[str]:
    found = [f"Build `{build}` of commit `{commit}` {RESULTS.get(status, f'ended as **{status}**')}."]
    for phase in about.get("phases", []):
        reason = "; ".join(text for text in phase.get("phase-context", []) if text.strip(" :"))
        if phase.get("phase-status") in NOT_WELL and reason:
            found.append(f"{phase['phase-type']}: {reason[:MOST_OF_REASON]}")
    log = about.get("logs", {}).get("deep-link")
    return [*found[:4], f"[Log]({log})"] if log else found[:4]
