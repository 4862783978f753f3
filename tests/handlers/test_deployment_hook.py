"""The hook itself, run for real: it answers CodeDeploy and Amazon ECS whatever the check does."""

import ast
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import botocore.exceptions
import pytest

from code_family_constructs.handlers import deployment_hook, hook_check, own_process, smoke_test
from code_family_constructs.handlers.deployment_hook import handler
from code_family_constructs.handlers.own_process import TIME_TO_REPORT_MS
from tests.handlers.doubles import Context, Refused, Service

EVENT = {"DeploymentId": "d-ABCDEF123", "LifecycleEventHookExecutionId": "eyJlbmNyeXB0ZWREYXRhIjoi"}
GREEN, BLUE = (f"arn:aws:ecs:eu-west-1:111122223333:service-revision/shop/web/{n}" for n in (2, 1))
HEALTHY = "def is_healthy(deployment): pass"
ILL = "def is_healthy(deployment): return False"
# The time in which a check that hangs is given up; a check that does not is done long before.
SOON = 1500


class CodeDeploy(Service):
    """Takes the status of a hook's execution once."""

    def __init__(self):
        super().__init__("codedeploy")
        self.known = set()
        self.pauses = []

    def PutLifecycleEventHookExecutionStatus(self, asked):  # noqa: N802
        if asked["lifecycleEventHookExecutionId"] in self.known:
            raise Refused("LifecycleEventAlreadyCompletedException")
        self.known.add(asked["lifecycleEventHookExecutionId"])
        return {"lifecycleEventHookExecutionId": asked["lifecycleEventHookExecutionId"]}

    @property
    def reported(self):
        return [asked["status"] for _, asked in self.calls]


@pytest.fixture
def codedeploy(monkeypatch):
    service = CodeDeploy()
    monkeypatch.setattr(deployment_hook, "boto3", SimpleNamespace(client=lambda name, config: service.client))
    monkeypatch.setattr(own_process, "time", SimpleNamespace(sleep=service.pauses.append))
    return service


@pytest.fixture
def check(tmp_path, monkeypatch):
    def use(source):
        (tmp_path / "own.py").write_text(source)
        settings = {"file": str(tmp_path / "own.py"), "function": "is_healthy"}
        monkeypatch.setenv("CODE_FAMILY_HOOK", json.dumps(settings))

    return use


def ecs_event(stage="POST_TEST_TRAFFIC_SHIFT", test=None, production=None):
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html
    return {
        "executionId": "e8d5a28f-eb01-4f3c-9454-a30ba6dc54bc",
        "lifecycleStage": stage,
        "resourceArn": "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/web/EZe5RNVLH6PPzHXINuP28",
        "executionDetails": {
            "serviceArn": "arn:aws:ecs:eu-west-1:111122223333:service/shop/web",
            "targetServiceRevisionArn": GREEN,
            "testTrafficWeights": test or {},
            "productionTrafficWeights": production or {},
        },
    }


def test_a_check_that_passes_is_reported(codedeploy, check, capsys):
    check(HEALTHY)
    assert handler(EVENT, Context()) is None
    assert codedeploy.calls == [
        (
            "PutLifecycleEventHookExecutionStatus",
            {
                "deploymentId": "d-ABCDEF123",
                "lifecycleEventHookExecutionId": "eyJlbmNyeXB0ZWREYXRhIjoi",
                "status": "Succeeded",
            },
        )
    ]
    assert capsys.readouterr().out == "passed\n"


# What a check may do, and what the log then says.
MISBEHAVIOUR = {
    "says no": (ILL, "is_healthy returned False"),
    "raises": ("def is_healthy(deployment): raise RuntimeError('no orders')", "RuntimeError: no orders"),
    "exits": ("import sys\ndef is_healthy(deployment): sys.exit(0)", "SystemExit: 0"),
    "cannot be imported": ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
    "is no Python": ("def is_healthy(deployment) return", "SyntaxError: "),
    "ends the process": ("import os\ndef is_healthy(deployment): os._exit(0)", "the check ended its process, exit "),
    "is killed": ("import os\ndef is_healthy(deployment): os.kill(os.getpid(), 9)", "the check ended its process, by"),
    "crashes": ("import ctypes\ndef is_healthy(deployment): ctypes.string_at(0)", "the check ended its process, by"),
    "recurses": ("def is_healthy(deployment): is_healthy(deployment)", "RecursionError: "),
    "leaves a thread": (
        "import threading, time\ndef is_healthy(deployment):\n"
        " threading.Thread(target=time.sleep, args=(60,)).start()\n raise ValueError('ill')",
        "ValueError: ill",
    ),
}


@pytest.mark.parametrize(("source", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_check_that_fails_is_reported_with_its_reason_in_the_log(codedeploy, check, capsys, source, reason):
    check(source)
    handler(EVENT, Context())
    assert codedeploy.reported == ["Failed"]
    assert capsys.readouterr().out.startswith(f"failed: {reason}")


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef is_healthy(deployment): time.sleep(60)",
        "def is_healthy(deployment):\n while True: pass",
        # Holds the interpreter's lock: in a thread of the hook's own process, nothing would end it.
        "import re\ndef is_healthy(deployment): re.match('(a+)+b', 'a' * 60)",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)",
        "import time\ndef is_healthy(deployment):\n try: time.sleep(60)\n finally: time.sleep(60)",
    ],
    ids=["sleeps", "spins", "holds the lock", "ignores signals", "cleans up for long"],
)
def test_a_check_that_hangs_is_reported_before_lambda_ends_the_function(codedeploy, check, capsys, source):
    check(source)
    before = time.monotonic()
    handler(EVENT, Context(TIME_TO_REPORT_MS + SOON))
    assert time.monotonic() - before < 10
    assert codedeploy.reported == ["Failed"]
    assert capsys.readouterr().out == "failed: the check was not done after 2 seconds\n"


def test_without_any_time_left_it_still_reports(codedeploy, check, capsys):
    check(HEALTHY)
    handler(EVENT, Context(1000))
    assert codedeploy.reported == ["Failed"]
    assert capsys.readouterr().out == "failed: the check was not done after 0 seconds\n"


def test_a_check_that_cannot_be_started_is_reported(codedeploy, check, monkeypatch, capsys):
    check(HEALTHY)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    handler(EVENT, Context())
    assert codedeploy.reported == ["Failed"]
    assert capsys.readouterr().out.startswith("failed: the check could not be run: FileNotFoundError: ")


def test_what_a_check_prints_is_logged_apart_from_the_hooks_own_output(codedeploy, check, capfd):
    check("print('importing')\ndef is_healthy(deployment): print('asking', deployment['deployment'])")
    handler(EVENT, Context())
    out, err = capfd.readouterr()
    assert out == "passed\n"
    assert err.split("\n")[:2] == ["importing", "asking d-ABCDEF123"]


def test_a_check_sees_the_environment(codedeploy, check, monkeypatch):
    monkeypatch.setenv("SHOP_TABLE", "orders")
    check("import os\ndef is_healthy(deployment): return os.environ['SHOP_TABLE'] == 'orders'")
    handler(EVENT, Context())
    assert codedeploy.reported == ["Succeeded"]


def test_a_check_may_use_boto3(codedeploy, check):
    check("import boto3\ndef is_healthy(deployment): return 'codedeploy' in boto3.Session().get_available_services()")
    handler(EVENT, Context())
    assert codedeploy.reported == ["Succeeded"]


@pytest.mark.parametrize("failures", [1, 3])
def test_a_report_that_does_not_get_through_is_tried_again(codedeploy, check, failures):
    check(ILL)
    trouble = [Refused("ThrottlingException"), Refused("AccessDeniedException", 403), Refused("InternalFailure", 500)]
    codedeploy.refusals["PutLifecycleEventHookExecutionStatus"] = trouble[:failures]
    handler(EVENT, Context())
    assert codedeploy.reported == ["Failed"] * (failures + 1)
    assert codedeploy.pauses == [1, 2, 4][:failures]


def test_a_hook_that_cannot_report_is_an_error_that_lambda_tries_again(codedeploy, check, capsys):
    check(HEALTHY)
    codedeploy.refusals["PutLifecycleEventHookExecutionStatus"] = [Refused("InternalFailure", 500)] * 99
    with pytest.raises(botocore.exceptions.ClientError):
        handler(EVENT, Context())
    assert codedeploy.reported == ["Succeeded"] * 4
    assert capsys.readouterr().out.startswith("passed\nnot reported yet: ")


def test_all_attempts_to_report_fit_into_the_time_that_is_kept_for_them():
    settings = own_process.CONFIG
    attempts = len(own_process.PAUSES) + 1
    longest = sum(own_process.PAUSES) + attempts * (settings.connect_timeout + settings.read_timeout)
    assert longest * 1000 < TIME_TO_REPORT_MS
    # Attempts of botocore's own would come on top.
    assert settings.retries["total_max_attempts"] == 1


def test_a_repeated_invocation_reports_the_same_and_is_fine(codedeploy, check, capsys):
    check(HEALTHY)
    for _ in range(2):
        handler(EVENT, Context())
    assert codedeploy.reported == ["Succeeded", "Succeeded"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("reported already")


@pytest.mark.parametrize(("source", "status"), [(HEALTHY, "SUCCEEDED"), (ILL, "FAILED")])
def test_amazon_ecs_gets_its_answer_and_codedeploy_none(codedeploy, check, source, status):
    check(source)
    assert handler(ecs_event(), Context()) == {"hookStatus": status}
    assert codedeploy.calls == []


@pytest.mark.parametrize(
    ("stage", "weights"),
    [
        ("TEST_TRAFFIC_SHIFT", {"test": {GREEN: 0, BLUE: 100}}),
        ("PRODUCTION_TRAFFIC_SHIFT", {"production": {GREEN: 0, BLUE: 100}}),
        ("TEST_TRAFFIC_SHIFT", {"production": {GREEN: 0, BLUE: 100}}),
        ("PRODUCTION_TRAFFIC_SHIFT", {"test": {GREEN: 0, BLUE: 100}}),
    ],
)
def test_a_rollback_is_not_failed_by_the_revision_that_goes(codedeploy, check, stage, weights):
    check(ILL)
    assert handler(ecs_event(stage, **weights), Context()) == {"hookStatus": "SUCCEEDED"}


@pytest.mark.parametrize(
    ("stage", "weights"),
    [
        ("TEST_TRAFFIC_SHIFT", {"test": {GREEN: 100, BLUE: 0}}),
        ("PRODUCTION_TRAFFIC_SHIFT", {"production": {GREEN: 10, BLUE: 90}}),
        # Test traffic comes while production is with the old revision still.
        ("TEST_TRAFFIC_SHIFT", {"test": {GREEN: 100, BLUE: 0}, "production": {GREEN: 0, BLUE: 100}}),
        ("PRODUCTION_TRAFFIC_SHIFT", {"production": {GREEN: 10, BLUE: 90}, "test": {GREEN: 0, BLUE: 100}}),
        # Before the shift nothing has arrived, which is no rollback.
        ("PRE_PRODUCTION_TRAFFIC_SHIFT", {"production": {GREEN: 0, BLUE: 100}}),
        ("POST_SCALE_UP", {}),
        ("PRODUCTION_TRAFFIC_SHIFT", {}),
    ],
)
def test_a_deployment_that_goes_on_is_checked(codedeploy, check, stage, weights):
    check(ILL)
    assert handler(ecs_event(stage, **weights), Context()) == {"hookStatus": "FAILED"}


def test_amazon_ecs_gets_its_answer_whatever_else_it_tells(codedeploy, check):
    check(HEALTHY)
    event = {"lifecycleStage": "PRODUCTION_TRAFFIC_SHIFT", "resourceArn": "arn:aws:ecs:eu-west-1:1:deployment/x"}
    assert handler(event, Context()) == {"hookStatus": "SUCCEEDED"}


def test_an_event_of_neither_is_an_error(codedeploy, check):
    check(HEALTHY)
    with pytest.raises(KeyError, match="DeploymentId"):
        handler({"key1": "value1"}, Context())
    assert codedeploy.calls == []


@pytest.mark.parametrize(
    "module", [deployment_hook, hook_check, own_process, smoke_test], ids=lambda module: module.__name__
)
def test_it_needs_nothing_that_lambda_does_not_have(module):
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name.startswith("code_family_constructs")}
    assert ours <= {f"code_family_constructs.handlers.{name}" for name in ("own_process", "smoke_test")}
    roots = {name.partition(".")[0] for name in imported - ours}
    assert roots - set(sys.stdlib_module_names) <= {"boto3", "botocore"}
