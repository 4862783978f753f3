"""CloudFormation gets an answer, whatever happens to the work."""

import json
from urllib.error import HTTPError

import pytest

from code_family_constructs.handlers.custom_resource import LONGEST_REASON, answer

EVENT = {
    "RequestType": "Update",
    "RequestId": "5e6f",
    "LogicalResourceId": "Group",
    "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Release/1a2b",
}


@pytest.fixture
def event(cloudformation):
    return {**EVENT, "ResponseURL": cloudformation.url}


def test_answers_the_way_cloudformation_wants_it(event, cloudformation):
    answer(event, "shop-web", lambda: {"Image": "shop@sha256:1"})
    ((method, path, headers, body),) = cloudformation.requests
    assert (method, path) == ("PUT", "/answer?X-Amz-Signature=a%2Fb&X-Amz-Expires=7200")
    # Part of what the URL is signed for: any other content type is a wrong signature.
    assert headers["Content-Type"] == ""
    assert json.loads(body) == {
        "Status": "SUCCESS",
        "Reason": "done",
        "PhysicalResourceId": "shop-web",
        "Data": {"Image": "shop@sha256:1"},
        "StackId": EVENT["StackId"],
        "RequestId": EVENT["RequestId"],
        "LogicalResourceId": EVENT["LogicalResourceId"],
    }


def test_an_exception_is_the_reason_of_the_failure(event, cloudformation):
    def work():
        raise LookupError("no service 'web'")

    answer(event, "shop-web", work)
    (said,) = cloudformation.answers
    assert (said["Status"], said["Reason"]) == ("FAILED", "LookupError: no service 'web'")
    assert said["PhysicalResourceId"] == "shop-web"


@pytest.mark.parametrize("character", ["k", "é", "\U0001f4a5", "\x01", '"'])
def test_a_long_reason_is_cut_to_what_cloudformation_takes(event, cloudformation, character):
    def work():
        raise RuntimeError(character * 5000)

    answer(event, "shop-web", work)
    assert len(cloudformation.answers[0]["Reason"]) == LONGEST_REASON
    assert len(cloudformation.requests[0][3]) <= 4096


def test_an_answer_that_does_not_arrive_is_an_error_that_lambda_retries(event, cloudformation):
    cloudformation.status = 503
    with pytest.raises(HTTPError, match="503"):
        answer(event, "shop-web", dict)
