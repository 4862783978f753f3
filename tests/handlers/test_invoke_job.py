"""The function of LambdaInvoke, run for real: it answers CodePipeline whatever the user's own does."""

import ast
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import botocore.exceptions
import pytest

from code_family_constructs.handlers import invoke_job, own_job, own_process, pipeline_job
from code_family_constructs.handlers.invoke_job import handler
from code_family_constructs.handlers.own_process import TIME_TO_REPORT_MS
from tests.handlers.doubles import Context, Refused
from tests.handlers.fake_codepipeline import CREDENTIALS, JOB, CodePipeline, a_job

SUCCESS, FAILURE = "PutJobSuccessResult", "PutJobFailureResult"


class Account:
    def __init__(self, monkeypatch, folder):
        self.codepipeline, self.file = CodePipeline(), folder / "own.py"
        self.pauses: list[int] = []
        monkeypatch.setattr(invoke_job, "boto3", SimpleNamespace(client=lambda name, config: self.codepipeline.client))
        monkeypatch.setattr(own_process, "time", SimpleNamespace(sleep=self.pauses.append))
        settings = {"file": str(self.file), "function": "own", "parameters": [], "variables": ["version"]}
        monkeypatch.setenv("CODE_FAMILY_JOB", json.dumps(settings))

    def call(self, source, *left, **data):
        self.file.write_text(source)
        handler(a_job(**{"inputArtifacts": [], "outputArtifacts": [], **data}), Context(*left))

    def told(self, source, *left, **data):
        """What the pipeline is told, and with which call."""
        self.call(source, *left, **data)
        [told] = self.codepipeline.calls
        return told


@pytest.fixture
def account(monkeypatch, tmp_path):
    return Account(monkeypatch, tmp_path)


FINE = "def own(job): return {'version': '3'}"


def test_success_is_reported_with_the_variables(account, capsys):
    assert account.told(FINE) == (
        SUCCESS,
        {"jobId": JOB, "executionDetails": {"externalExecutionId": "0a1b2c"}, "outputVariables": {"version": "3"}},
    )
    assert capsys.readouterr().out == "succeeded\n"


def test_a_job_that_goes_on_is_reported_with_its_state(account, capsys):
    operation, told = account.told("def own(job): return {'continue': {'tables': 3}}")
    assert (operation, told["continuationToken"]) == (SUCCESS, '{"tables": 3}')
    assert "outputVariables" not in told
    assert capsys.readouterr().out == "continues\n"


def test_the_next_call_gets_the_state(account):
    source = "def own(job): return {'version': job['state']['version']}"
    operation, told = account.told(source, continuationToken='{"version": "4"}')
    assert (operation, told["outputVariables"], "continuationToken" in told) == (SUCCESS, {"version": "4"}, False)


# What a function may do, and what the pipeline is told then.
MISBEHAVIOUR = {
    "says no": ("def own(job): return False", "ValueError: own returned False"),
    "raises": ("def own(job): raise RuntimeError('no orders')", "RuntimeError: no orders"),
    "exits": ("import sys\ndef own(job): sys.exit(0)", "SystemExit: 0"),
    "is no Python": ("def own(job) return", "SyntaxError: "),
    "ends the process": ("import os\ndef own(job): os._exit(0)", "the function ended its process, exit status 0"),
    "is killed": ("import os\ndef own(job): os.kill(os.getpid(), 9)", "the function ended its process, by SIGKILL"),
    "crashes": ("import ctypes\ndef own(job): ctypes.string_at(0)", "the function ended its process, by SIG"),
    "recurses": ("def own(job): own(job)", "RecursionError: "),
    # Python cannot print that, and CodePipeline does not take it.
    "is no Unicode": ("def own(job): raise ValueError('file \\udcff')", "ValueError: file \\udcff"),
    "closes its output": (
        "import sys\ndef own(job):\n sys.stderr.close()\n 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "says nothing of itself": (
        "class Odd(Exception):\n def __str__(self): return 1\ndef own(job): raise Odd",
        "the function ended its process, exit status 1",
    ),
    "makes other variables": ("def own(job): pass", "ValueError: own returned the variables none"),
}


@pytest.mark.parametrize(("source", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_failure_is_reported_with_its_reason(account, capsys, source, reason):
    operation, told = account.told(source)
    assert (operation, told["jobId"]) == (FAILURE, JOB)
    details = told["failureDetails"]
    assert (details["type"], details["externalExecutionId"]) == ("JobFailed", "0a1b2c")
    assert details["message"].startswith(reason)
    assert capsys.readouterr().out.startswith(f"failed: {reason}")


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef own(job): time.sleep(60)",
        "def own(job):\n while True: pass",
        # Holds the interpreter's lock: in a thread of the same process, nothing would end it.
        "import re\ndef own(job): re.match('(a+)+b', 'a' * 60)",
    ],
    ids=["sleeps", "spins", "holds the lock"],
)
def test_near_the_timeout_a_failure_is_reported_in_time(account, source):
    before = time.monotonic()
    operation, told = account.told(source, TIME_TO_REPORT_MS + 1500)
    assert time.monotonic() - before < 10
    assert operation == FAILURE
    assert told["failureDetails"]["message"] == "the function was not done after 2 seconds"


@pytest.mark.parametrize("output", ["sys.stdout.close()", "sys.stdout = None"])
def test_neither_a_closed_output_nor_a_thread_left_behind_turns_success_into_failure(account, output):
    source = f"""
import sys, threading, time
def own(job):
    global sys
    threading.Thread(target=time.sleep, args=(60,)).start()
    {output}
    return {{"version": "3"}}
"""
    before = time.monotonic()
    operation, told = account.told(source)
    assert (operation, told["outputVariables"]) == (SUCCESS, {"version": "3"})
    assert time.monotonic() - before < 10


def test_a_function_that_cannot_be_started_is_reported(account, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    operation, told = account.told(FINE)
    assert operation == FAILURE
    assert told["failureDetails"]["message"].startswith("the function could not be run: FileNotFoundError: ")


def test_a_reason_is_cut_to_what_codepipeline_takes(account):
    _, told = account.told("def own(job): raise RuntimeError('x' * 10_000)")
    assert len(told["failureDetails"]["message"]) == pipeline_job.LONGEST_MESSAGE


@pytest.mark.parametrize("failures", [1, 3])
def test_a_report_that_does_not_get_through_is_tried_again(account, failures):
    trouble = [Refused("ThrottlingException"), Refused("AccessDeniedException", 403), Refused("InternalFailure", 500)]
    account.codepipeline.refusals[SUCCESS] = trouble[:failures]
    account.call(FINE)
    assert account.codepipeline.names() == [SUCCESS] * (failures + 1)
    assert account.pauses == [1, 2, 4][:failures]


@pytest.mark.parametrize("code", ["ValidationException", "OutputVariablesSizeExceededException"])
def test_a_success_that_codepipeline_does_not_take_is_a_failure(account, code):
    account.codepipeline.refusals[SUCCESS] = [Refused(code)]
    account.call(FINE)
    assert account.codepipeline.names() == [SUCCESS, FAILURE]
    message = account.codepipeline.calls[-1][1]["failureDetails"]["message"]
    assert message.startswith("CodePipeline does not take what the function made: ")
    assert account.pauses == []


@pytest.mark.parametrize(("source", "operation"), [(FINE, SUCCESS), ("def own(job): return False", FAILURE)])
def test_a_job_that_is_over_already_is_fine(account, capsys, source, operation):
    account.codepipeline.refusals[operation] = [Refused("InvalidJobStateException")]
    account.call(source)
    assert account.codepipeline.names() == [operation]
    assert capsys.readouterr().out.splitlines()[-1].startswith("reported already")


def test_lambda_counts_an_error_when_codepipeline_cannot_be_told(account):
    account.codepipeline.refusals[SUCCESS] = [Refused("InternalFailure", 500)] * 4
    account.codepipeline.refusals[FAILURE] = [Refused("InternalFailure", 500)] * 4
    with pytest.raises(botocore.exceptions.ClientError):
        account.call(FINE)
    assert account.codepipeline.names() == [SUCCESS] * 4 + [FAILURE] * 4


def test_neither_the_log_nor_the_process_s_environment_holds_the_job_s_credentials(account, capfd):
    account.call("import os\ndef own(job):\n print(job, dict(os.environ), os.listdir(os.environ['TMPDIR']))\n 1 / 0")
    out, err = capfd.readouterr()
    assert "ZeroDivisionError" in err
    assert JOB in err
    assert not any(secret in out + err for secret in CREDENTIALS.values())


@pytest.mark.parametrize("module", [invoke_job, own_job, own_process, pipeline_job], ids=lambda module: module.__name__)
def test_it_needs_nothing_that_lambda_does_not_have(module):
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name.startswith("code_family_constructs")}
    assert ours <= {f"code_family_constructs.handlers.{name}" for name in ("own_process", "pipeline_job")}
    roots = {name.partition(".")[0] for name in imported - ours}
    assert roots - set(sys.stdlib_module_names) <= {"boto3", "botocore"}
