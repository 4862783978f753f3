"""The function that has CloudFront forget a website, from the first call to the last."""

import json
import time

import boto3
import pytest

from code_family_constructs.handlers import invalidate_distribution
from tests.handlers.doubles import Context, Refused, Service
from tests.handlers.fake_codepipeline import JOB, CodePipeline, a_job

SUCCESS, FAILURE = "PutJobSuccessResult", "PutJobFailureResult"
NOW = 1_790_000_000


class CloudFront(Service):
    def __init__(self):
        super().__init__("cloudfront")
        self.status = "InProgress"
        self.made = {}

    def CreateInvalidation(self, asked):  # noqa: N802
        reference = asked["InvalidationBatch"]["CallerReference"]
        self.made.setdefault(reference, f"I{len(self.made) + 1}")
        return self._told(self.made[reference], asked["InvalidationBatch"])

    def GetInvalidation(self, asked):  # noqa: N802
        assert asked["Id"] in self.made.values()
        return self._told(asked["Id"], {"Paths": {"Quantity": 0}, "CallerReference": JOB})

    def _told(self, number, batch):
        created = "2026-11-23T14:00:00Z"
        return {
            "Invalidation": {"Id": number, "Status": self.status, "CreateTime": created, "InvalidationBatch": batch}
        }


class Account:
    def __init__(self, monkeypatch):
        self.cloudfront, self.codepipeline = CloudFront(), CodePipeline()
        services = {"cloudfront": self.cloudfront, "codepipeline": self.codepipeline}
        self.now = NOW
        monkeypatch.setattr(boto3, "client", lambda name, config: services[name].client)
        monkeypatch.setattr(time, "time", lambda: self.now)
        settings = {"distribution": "E1ABCDEF", "paths": ["/index.html", "/pages/*"]}
        monkeypatch.setenv("CODE_FAMILY_INVALIDATION", json.dumps(settings))

    def call(self, **data):
        """One call by the pipeline: what it is told, and with which operation."""
        before = len(self.codepipeline.calls)
        invalidate_distribution.handler(a_job(inputArtifacts=[], outputArtifacts=[], **data), Context())
        (told,) = self.codepipeline.calls[before:]
        return told


@pytest.fixture
def account(monkeypatch):
    return Account(monkeypatch)


@pytest.mark.parametrize(("operation", "trouble"), [(SUCCESS, []), (FAILURE, [Refused("AccessDenied", 403)])])
def test_of_a_job_that_is_over_lambda_counts_no_error(account, capsys, operation, trouble):
    """Otherwise Lambda would call again, twice."""
    account.cloudfront.refusals["CreateInvalidation"] = trouble
    account.codepipeline.refusals[operation] = [Refused("InvalidJobStateException")]
    assert account.call()[0] == operation
    assert "reported already" in capsys.readouterr().out


def test_the_paths_are_forgotten_and_the_pipeline_waits(account):
    operation, told = account.call()
    assert operation == SUCCESS
    [(_, asked)] = account.cloudfront.calls
    assert asked == {
        "DistributionId": "E1ABCDEF",
        "InvalidationBatch": {
            "Paths": {"Quantity": 2, "Items": ["/index.html", "/pages/*"]},
            "CallerReference": JOB,
        },
    }
    assert json.loads(told["continuationToken"]) == {"invalidation": "I1", "since": NOW}
    assert told["executionDetails"] == {"summary": "invalidation I1: InProgress", "externalExecutionId": "I1"}


def test_the_action_is_over_when_cloudfront_is_done(account):
    _, told = account.call()
    _, told = account.call(continuationToken=told["continuationToken"])
    assert "continuationToken" in told
    account.cloudfront.status = "Completed"
    operation, told = account.call(continuationToken=told["continuationToken"])
    assert operation == SUCCESS
    assert "continuationToken" not in told
    assert told["executionDetails"]["percentComplete"] == 100
    assert account.cloudfront.names() == ["CreateInvalidation", "GetInvalidation", "GetInvalidation"]


def test_a_job_that_lambda_delivers_twice_is_one_invalidation(account):
    account.call()
    account.call()
    assert list(account.cloudfront.made.values()) == ["I1"]


def test_one_that_is_done_at_once_takes_one_call(account):
    account.cloudfront.status = "Completed"
    _, told = account.call()
    assert "continuationToken" not in told


def test_a_refusal_fails_the_action(account):
    account.cloudfront.refusals["CreateInvalidation"] = [Refused("TooManyInvalidationsInProgress")]
    operation, told = account.call()
    assert operation == FAILURE
    assert "TooManyInvalidationsInProgress" in told["failureDetails"]["message"]


def test_an_invalidation_that_takes_an_hour_fails_the_action(account):
    _, told = account.call()
    account.now = NOW + 3601
    operation, told = account.call(continuationToken=told["continuationToken"])
    assert operation == FAILURE
    assert "invalidation I1 is InProgress after an hour" in told["failureDetails"]["message"]


def test_the_credentials_of_the_job_are_not_logged(account, capsys):
    account.call()
    assert "secret" not in capsys.readouterr().out
