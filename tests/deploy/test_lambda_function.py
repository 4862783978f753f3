"""A function whose code the pipeline brings: a placeholder, a log that forgets, and a role for what it needs."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from aws_cdk import aws_lambda as lambda_

from code_family_constructs import Statement
from code_family_constructs.deploy.lambda_function import LambdaFunction
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, allowed, of_type, only, refuses


@pytest.fixture(scope="module")
def template():
    stack = a_stack()
    LambdaFunction(
        stack,
        "Greeter",
        environment={"GREETING": "Hello"},
        statements=[Statement(actions=["sqs:SendMessage"], resources=["arn:aws:sqs:eu-west-1:111122223333:greetings"])],
    )
    return synthesized(stack)


def test_the_placeholder_says_that_nothing_was_released(template):
    function = only(template, "AWS::Lambda::Function")
    assert function["Handler"] == "index.handler"
    namespace: dict[str, Any] = {}
    exec(function["Code"]["ZipFile"], namespace)
    answer = namespace["handler"]({}, None)
    assert answer == {"statusCode": 503, "body": "nothing has been released yet"}


def test_so_does_the_one_for_nodejs():
    stack = a_stack()
    LambdaFunction(stack, "Greeter", runtime=lambda_.Runtime.NODEJS_24_X)
    code = only(synthesized(stack), "AWS::Lambda::Function")["Code"]["ZipFile"]
    node = shutil.which("node")
    assert node
    program = f"{code}; exports.handler().then(answer => console.log(JSON.stringify(answer)))"
    said = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(said)["statusCode"] == 503


def test_it_may_write_its_log_and_what_the_statements_say(template):
    [log] = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::Logs::LogGroup"]
    assert allowed(template, "GreeterRolePolicy") == {
        f"logs:CreateLogStream on <{log}.Arn>",
        f"logs:PutLogEvents on <{log}.Arn>",
        "sqs:SendMessage on arn:aws:sqs:eu-west-1:111122223333:greetings",
    }
    assert len(only(template, "AWS::IAM::Role")["ManagedPolicyArns"]) == 1
    assert of_type(template, "AWS::IAM::Policy") == {}


def test_the_log_forgets_and_goes_with_the_stack(template):
    [log] = [each for each in template["Resources"].values() if each["Type"] == "AWS::Logs::LogGroup"]
    assert log["DeletionPolicy"] == "Delete"
    assert log["Properties"]["RetentionInDays"] == 90


def test_a_runtime_without_inline_code_is_refused():
    with refuses("a placeholder for runtime 'java21'", at="Shop/Greeter", fix="a lambda_.Function of your own"):
        LambdaFunction(a_stack(), "Greeter", runtime=lambda_.Runtime.JAVA_21)
