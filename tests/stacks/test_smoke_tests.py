"""What the checks of the bundled stacks let pass, what they refuse, and what they tell."""

import io
import json

import boto3
import pytest

from stacks.smoke_tests import function_greets, release_is_live
from tests.handlers.doubles import Service

ALIAS = "arn:aws:lambda:eu-west-1:222222222222:function:Greeter:live"


class Lambda(Service):
    """A function that answers as it is told."""

    def __init__(self):
        super().__init__("lambda")
        self.status, self.error = 200, {}
        self.body = {"message": "Hello, smoke test!", "release": "release-2"}

    def Invoke(self, asked):  # noqa: N802
        payload = json.dumps({"statusCode": self.status, "body": json.dumps(self.body)}).encode()
        return {"StatusCode": 200, "ExecutedVersion": "7", "Payload": io.BytesIO(payload), **self.error}


@pytest.fixture
def function(monkeypatch):
    double = Lambda()
    monkeypatch.setattr(boto3, "client", lambda service: {"lambda": double.client}[service])
    monkeypatch.setenv("FUNCTION", "Greeter")
    monkeypatch.setenv("ALIAS", ALIAS)
    return double


def live(built="release-2"):
    return release_is_live({"parameters": {"release": built}})


def test_release_that_was_built_is_live(function):
    assert live() == {
        "Release": "release-2",
        "Version": "7",
        "Link": "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/Greeter/versions/7",
    }
    assert [asked["FunctionName"] for _, asked in function.calls] == [ALIAS]


def test_another_release_than_the_one_that_was_built_is_refused(function):
    with pytest.raises(AssertionError, match="release release-2 answers, release-3 was built"):
        live("release-3")


def test_new_version_is_asked_before_it_is_live(function):
    function_greets({"stage": "BeforeAllowTraffic"})
    assert [asked["FunctionName"] for _, asked in function.calls] == ["Greeter"]


@pytest.mark.parametrize("check", [live, lambda: function_greets({})], ids=["release_is_live", "function_greets"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 503},
        {"body": {"message": "Go away!", "release": "release-2"}},
        {"error": {"FunctionError": "Unhandled"}},
    ],
    ids=["status", "greeting", "crash"],
)
def test_what_users_would_not_want_is_refused(function, check, wrong):
    for name, value in wrong.items():
        setattr(function, name, value)
    with pytest.raises(AssertionError):
        check()
