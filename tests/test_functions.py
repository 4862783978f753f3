"""The functions that constructs bring along: least privilege, readable source, and code that is in handlers/."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack

from code_family_constructs import Statement
from code_family_constructs.functions import PythonFunction, handler_source
from code_family_constructs.testing import synthesized
from tests.helpers import allowed, of_type, only

REASONS: Any = {"concurrency": "called once", "failures": "the caller notices", "network": "it calls public endpoints"}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    app = App(outdir=str(tmp_path_factory.mktemp("assembly")))
    inline, asset, twice = (Stack(app, name) for name in ("Inline", "Asset", "Twice"))
    PythonFunction(
        inline,
        "Function",
        module="empty_bucket",
        description="Empties",
        timeout=Duration.minutes(1),
        statements=[Statement(actions=["s3:GetBucketPolicy"], resources=["arn:aws:s3:::release"])],
        **REASONS,
    )
    for stack in (asset, twice):
        PythonFunction(
            stack,
            "Function",
            module="empty_bucket",
            files={"check.py": "ANSWER = 42\n"},
            description="Empties",
            timeout=Duration.minutes(1),
            environment={"CHECK": "check"},
            **REASONS,
        )
    return {stack.stack_name: synthesized(stack) for stack in (inline, asset, twice)}, Path(app.outdir)


def test_a_small_handler_can_be_read_in_the_template(stacks):
    function = only(stacks[0]["Inline"], "AWS::Lambda::Function")
    assert function["Code"] == {"ZipFile": handler_source("empty_bucket")}
    assert function["Handler"] == "index.handler"


def test_it_may_write_its_own_log_and_do_what_was_said(stacks):
    template = stacks[0]["Inline"]
    (log_group,) = of_type(template, "AWS::Logs::LogGroup")
    assert allowed(template, "FunctionRolePolicy") == {
        f"logs:CreateLogStream on <{log_group}.Arn>",
        f"logs:PutLogEvents on <{log_group}.Arn>",
        "s3:GetBucketPolicy on arn:aws:s3:::release",
    }
    assert only(template, "AWS::Lambda::Function")["LoggingConfig"] == {"LogGroup": {"Ref": log_group}}


def test_code_with_more_files_is_an_asset_that_runs(stacks):
    templates, assembly = stacks
    function = only(templates["Asset"], "AWS::Lambda::Function")
    assert function["Environment"]["Variables"] == {"CHECK": "check"}
    folder = assembly / f"asset.{function['Code']['S3Key'].removesuffix('.zip')}"
    assert (folder / "check.py").read_text() == "ANSWER = 42\n"
    # As Lambda does: from the folder of the code, with nothing of this package but what is in there.
    script = "import sys; sys.path.insert(0, '.'); import index; print(index.handler.__module__)"
    done = subprocess.run([sys.executable, "-P", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "code_family_constructs.handlers.empty_bucket", done.stderr


def test_the_same_code_is_the_same_asset(stacks):
    keys = {json.dumps(only(stacks[0][name], "AWS::Lambda::Function")["Code"]) for name in ("Asset", "Twice")}
    assert len(keys) == 1


@pytest.fixture
def secretive():
    """The umask of a developer who lets nobody else read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_code_can_be_read_by_the_user_that_lambda_runs_it_as(secretive, tmp_path):
    """The CDK CLI puts the modes of the files into the archive."""
    app = App(outdir=str(tmp_path))
    PythonFunction(
        Stack(app, "Shop"),
        "Function",
        module="empty_bucket",
        files={"secretive/check.py": "ANSWER = 42\n"},
        description="Empties",
        timeout=Duration.minutes(1),
        **REASONS,
    )
    app.synth()
    files = [path for folder in tmp_path.glob("asset.*") for path in folder.rglob("*.py")]
    assert {path.name for path in files} == {"index.py", "empty_bucket.py", "check.py"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o644"}


def test_code_is_the_same_whatever_the_locale_is():
    """A machine without a language knows ASCII only; Python in Lambda reads UTF-8."""
    script = (
        "from code_family_constructs import functions\n"
        "functions._asset({'own.py': 'NAME = \"Zo\\u00eb\"\\n'})\n"
        "[folder] = functions._STAGED.values()\n"
        "print(open(folder.name + '/own.py', 'rb').read())\n"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == repr('NAME = "Zoë"\n'.encode()), done.stderr
