"""A Python function as an action: what is deployed runs in Lambda and reports; what could not is refused."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import Statement
from code_family_constructs.pipeline.actions.lambda_invoke import InvokeFunction, LambdaInvoke
from code_family_constructs.testing import synthesized
from tests.handlers.fake_codepipeline import CREDENTIALS, a_job
from tests.helpers import a_context, a_stack, of_type, only, refuses
from tests.pipeline.actions import jobs
from tests.pipeline.actions.stages import elsewhere

FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:own"


class Reference:
    """A Python function, and one that reports itself, with both cdk-nag packs looking on."""

    def __init__(self, folder):
        app = App(outdir=str(folder), analytics_reporting=False)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        self.folder = folder
        stack = Stack(app, "Shop")
        self.invoke = LambdaInvoke(stack, "Never", function=jobs.never, timeout=Duration.minutes(2))
        InvokeFunction(
            function=lambda_.Function.from_function_attributes(
                stack,
                "Own",
                function_arn=FUNCTION,
                role=iam.Role.from_role_name(stack, "Role", "own"),
                same_environment=True,
            )
        ).stage_action(a_context())
        self.template = synthesized(stack)
        self.report = json.loads((folder / "validation-report.json").read_text())

    @property
    def asset(self):
        code = only(self.template, "AWS::Lambda::Function")["Code"]
        return self.folder / f"asset.{code['S3Key'].removesuffix('.zip')}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("invoke"))


AS_LAMBDA_WOULD = """
import sys; sys.path.insert(0, ".")
import json, index, boto3
class Context:
    aws_request_id = "0a1b"
    def get_remaining_time_in_millis(self): return 60_000
class Exceptions:
    InvalidJobStateException = KeyError
class Client:
    exceptions = Exceptions
    def put_job_success_result(self, **asked): print("success", json.dumps(asked))
    def put_job_failure_result(self, **asked): print("failure", json.dumps(asked))
boto3.client = lambda name, config: Client()
index.handler(json.loads(sys.argv[1]), Context())
"""


def test_what_is_deployed_runs_the_user_s_own_function(reference):
    variables = only(reference.template, "AWS::Lambda::Function")["Environment"]["Variables"]
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    event = json.dumps(a_job(inputArtifacts=[], outputArtifacts=[]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", AS_LAMBDA_WOULD, event],
        cwd=reference.asset,
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    said, told = done.stdout.splitlines()
    assert said == "failed: ValueError: never returned False"
    assert json.loads(told.removeprefix("failure "))["failureDetails"]["message"] == "ValueError: never returned False"
    assert not any(secret in done.stdout + done.stderr for secret in CREDENTIALS.values())


def test_lambda_gives_it_time_to_report(reference):
    assert only(reference.template, "AWS::Lambda::Function")["Timeout"] == 120 + 35


def test_the_role_of_a_function_that_reports_itself_may_report(reference):
    [policy] = [
        each for name, each in of_type(reference.template, "AWS::IAM::ManagedPolicy").items() if "OwnReports" in name
    ]
    assert policy["Roles"] == ["own"]


def test_both_nag_packs_looked_and_found_nothing(reference):
    packs = {pack["pluginName"]: pack["violations"] for pack in reference.report["pluginReports"]}
    assert packs == {"AwsSolutions": [], "NIST.800.53.R5": []}


def test_cfn_lint_accepts_the_template(reference):
    # W3005: aws-cdk-lib makes a function wait for a role that it refers to anyway.
    settings = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    problems = lint_file(reference.folder / "Shop.template.json", settings)
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


def an_invoke(**settings: Any) -> LambdaInvoke:
    return LambdaInvoke(a_stack(), "Job", **{"function": jobs.never, **settings})


def test_elsewhere_both_go_by_names_that_are_known():
    made = an_invoke().stage_action(elsewhere())
    assert "arn:${Token[AWS.Partition" in made.permissions[0].resources[0]
    assert made.permissions[0].resources[0].split(":")[3:4] == ["eu-central-1"]
    assert ":function:Shop-Job-" in made.permissions[0].resources[0]
    own = InvokeFunction(function=lambda_.Function.from_function_arn(a_stack(), "Own", FUNCTION))
    assert own.stage_action(elsewhere()).permissions[0].resources[0].endswith(":function:own")


def test_a_function_elsewhere_whose_name_is_not_known_is_refused():
    name = CfnParameter(a_stack(), "Name").value_as_string
    own = InvokeFunction(function=lambda_.Function.from_function_name(a_stack(), "Own", name))
    with refuses("the function is in another", at="Shop-Pipeline/Production/Deploy", fix="give it a function_name"):
        own.stage_action(elsewhere())


def test_what_could_not_run_in_lambda_is_refused():
    with refuses("function <function", "is a lambda", at="Shop/Job", fix="def migrate(job): …"):
        an_invoke(function=lambda job: True)


@pytest.mark.parametrize("seconds", [0, 866])
def test_a_time_that_lambda_does_not_have_is_refused(seconds):
    with refuses(f"a function of {seconds} seconds", at="Shop/Job", fix="whole seconds from 1 to 865"):
        an_invoke(timeout=Duration.seconds(seconds))


@pytest.mark.parametrize("name", ["AWS_REGION", "CODE_FAMILY_JOB"])
def test_an_environment_variable_that_is_taken_is_refused(name):
    with refuses(f"environment variable {name} is taken", at="Shop/Job", fix="call it otherwise"):
        an_invoke(environment={name: "1"})


def test_statements_are_a_list():
    with refuses("statements=Statement is no list", at="Shop/Job", fix="write statements=[…]"):
        an_invoke(statements=Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::a/b"]))


@pytest.mark.parametrize("name", ["1st", "a-b", "a=b", ""])
def test_a_parameter_that_is_no_name_is_refused(name):
    with refuses(f"parameter {name!r}", at="Shop/Job", fix="letters, digits and underscores"):
        an_invoke(parameters={name: "x"})


def test_a_parameter_is_a_text():
    with refuses("parameter count is 3", at="Shop/Job", fix="write '3'"):
        an_invoke(parameters={"count": 3})


def test_parameters_that_could_be_taken_for_one_another_are_refused():
    with refuses("parameter a has a line that starts with b=", at="Shop/Job", fix="call the other one"):
        an_invoke(parameters={"a": "1\nb=2", "b": "3"})


def test_more_parameters_than_codepipeline_takes_are_refused():
    an_invoke(parameters={"a": "x" * 998})
    with refuses("parameters of 1001 characters", at="Shop/Job", fix="into an artifact"):
        an_invoke(parameters={"a": "x" * 999})


@pytest.mark.parametrize("argument", ["input_artifacts", "output_artifacts"])
@pytest.mark.parametrize(
    ("given", "problem", "fix"),
    [
        ("App", "='App' is no list", "write "),
        (["App", "App"], "artifact 'App' twice", "name it once"),
        (["my app"], "artifact name 'my app'", "[A-Za-z0-9_-]"),
        (list("abcdef"), "6 ", "at most 5"),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_artifacts_that_codepipeline_would_refuse_are_refused(argument, given, problem, fix, own):
    with refuses(problem, at="Shop/Job" if own else "InvokeFunction", fix=fix):
        if own:
            an_invoke(**{argument: given})
        else:
            function = lambda_.Function.from_function_name(a_stack(), "Own", "own")
            InvokeFunction(function=function, **{argument: given})


@pytest.mark.parametrize(
    ("given", "problem", "fix"),
    [
        ("version", "='version' is no list", "write output_variables"),
        (["a", "a"], "variable 'a' twice", "name it once"),
        (["a b"], "variable name 'a b'", "[A-Za-z0-9@_-]"),
        # The function could never return it.
        (["continue"], "output variable 'continue'", "call it otherwise"),
    ],
)
def test_variables_that_codepipeline_would_refuse_are_refused(given, problem, fix):
    with refuses(problem, at="Shop/Job", fix=fix):
        an_invoke(output_variables=given)


def test_what_is_no_function_of_lambda_is_refused():
    with refuses("str where a function of Lambda belongs", at="InvokeFunction", fix="LambdaInvoke a Python function"):
        InvokeFunction(function="own")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "x" * 1001])
def test_user_parameters_that_codepipeline_would_refuse_are_refused(text):
    function = lambda_.Function.from_function_name(a_stack(), "Own", "own")
    with refuses(f"user_parameters of {len(text)} characters", at="InvokeFunction", fix="into an artifact"):
        InvokeFunction(function=function, user_parameters=text)


def test_a_full_clone_is_for_builds_only():
    source = a_context().revision
    context = a_context(artifacts={"Build": source}, only_for_builds=frozenset({"Build"}))
    with refuses("a full clone, which only CodeBuild", at="Shop-Pipeline/Production/Deploy", fix="what a build makes"):
        an_invoke(input_artifacts=["Build"]).stage_action(context)
