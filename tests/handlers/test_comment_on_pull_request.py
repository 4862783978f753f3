"""The comment on a pull request: what it says, once for each build, and that a failure is one."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from code_family_constructs.handlers.comment_on_pull_request import handler
from tests.handlers.doubles import Context, Refused, Service

BUILD = "Shop-Checks:8745a7a9-c340-456a-9166-edf953571bea"
VARIABLES = {"PULL_REQUEST_ID": "7", "PULL_REQUEST_SOURCE_COMMIT": "ab12", "PULL_REQUEST_DESTINATION_COMMIT": "cd34"}
LOG = "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logEvent:group=g;stream=s"


class CodeCommit(Service):
    """Keeps one comment for each token, as CodeCommit does."""

    def __init__(self):
        super().__init__("codecommit")
        self.comments = {}

    def PostCommentForPullRequest(self, asked):  # noqa: N802
        if not 0 < len(asked["content"]) <= 10240:
            raise Refused("CommentContentSizeLimitExceededException")
        if self.comments.setdefault(asked["clientRequestToken"], asked) != asked:
            raise Refused("IdempotencyParameterMismatchException")
        return {"comment": {"content": asked["content"]}}


@pytest.fixture
def codecommit(monkeypatch):
    service = CodeCommit()
    monkeypatch.setattr(boto3, "client", lambda name, **_: {"codecommit": service.client}[name])
    monkeypatch.setenv("REPOSITORY_NAME", "shop")
    return service


def event(status="SUCCEEDED", *, variables=VARIABLES, phases=(), log=LOG):
    """As CodeBuild sends it."""
    about = {
        "environment": {
            "image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
            "environment-variables": [
                {"name": name, "type": "PLAINTEXT", "value": value} for name, value in variables.items()
            ],
        },
        "initiator": "rule/Shop",
        "source-version": "ab12",
        "logs": {"deep-link": log} if log else {},
        "phases": list(phases),
    }
    return {
        "source": "aws.codebuild",
        "detail-type": "CodeBuild Build State Change",
        "detail": {
            "build-status": status,
            "project-name": "Shop-Checks",
            "build-id": f"arn:aws:codebuild:eu-west-1:111122223333:build/{BUILD}",
            "additional-information": about,
        },
    }


def phase(name, status, *context):
    return {"phase-type": name, "phase-status": status, "phase-context": list(context)}


def comment(codecommit):
    (asked,) = codecommit.comments.values()
    return asked["content"].split("\n\n")


def test_a_build_that_succeeded_is_told_of_at_its_commit(codecommit):
    answer = handler(event(), Context())
    (asked,) = codecommit.comments.values()
    assert {key: value for key, value in asked.items() if key != "content"} == {
        "pullRequestId": "7",
        "repositoryName": "shop",
        "beforeCommitId": "cd34",
        "afterCommitId": "ab12",
        "clientRequestToken": "8745a7a9-c340-456a-9166-edf953571bea",
    }
    assert comment(codecommit) == [f"Build `{BUILD}` of commit `ab12` succeeded.", f"[Log]({LOG})"]
    assert "SUCCEEDED" in answer


def test_a_build_that_failed_says_where_and_why(codecommit):
    reason = "COMMAND_EXECUTION_ERROR: Error while executing command: pytest. Reason: exit status 1"
    phases = [
        phase("INSTALL", "SUCCEEDED", ": "),
        phase("BUILD", "FAILED", reason),
        phase("POST_BUILD", "SUCCEEDED", ": "),
        {"phase-type": "COMPLETED", "start-time": "Sep 1, 2017 4:14:21 PM"},
    ]
    handler(event("FAILED", phases=phases), Context())
    assert comment(codecommit) == [
        f"Build `{BUILD}` of commit `ab12` **failed**.",
        f"BUILD: {reason}",
        f"[Log]({LOG})",
    ]


@pytest.mark.parametrize(
    ("status", "words"), [("STOPPED", "was **stopped** before"), ("TIMED_OUT", "ended as **TIMED_OUT**")]
)
def test_a_build_without_a_result_says_so(codecommit, status, words):
    handler(event(status, log=None), Context())
    (first,) = comment(codecommit)
    assert words in first


def test_long_reasons_are_cut_to_what_codecommit_takes(codecommit):
    phases = [phase(f"PHASE{number}", "FAILED", "a" * 9000) for number in range(9)]
    handler(event("FAILED", phases=phases), Context())
    assert len(comment(codecommit)) == 5


def test_an_event_that_comes_twice_brings_one_comment(codecommit):
    assert handler(event(), Context()) == handler(event(), Context())
    assert len(codecommit.comments) == 1


def test_a_build_that_somebody_started_by_hand_brings_none(codecommit):
    assert "no pull request" in handler(event(variables={}), Context())
    assert codecommit.calls == []


def test_a_pull_request_that_changes_nothing_any_more_brings_none(codecommit):
    answer = handler(event(variables={**VARIABLES, "PULL_REQUEST_SOURCE_COMMIT": "cd34"}), Context())
    assert "changes nothing" in answer
    assert codecommit.calls == []


def test_a_comment_that_cannot_be_made_is_a_failure_that_lambda_tries_again(codecommit):
    codecommit.refusals["PostCommentForPullRequest"] = [Refused("EncryptionKeyUnavailableException")]
    with pytest.raises(ClientError, match="EncryptionKeyUnavailableException"):
        handler(event(), Context())
    handler(event(), Context())
    assert len(codecommit.comments) == 1


def test_the_answer_is_one_that_lambda_can_log(codecommit):
    assert json.loads(json.dumps(handler(event(), Context())))
