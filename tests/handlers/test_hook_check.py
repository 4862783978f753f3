"""The process of a check: what it tells the hook, and that it ends."""

import json

import pytest

from code_family_constructs.handlers import hook_check

CODEDEPLOY = {"DeploymentId": "d-ABCDEF123", "LifecycleEventHookExecutionId": "0a1b"}
ECS = {
    "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
    "resourceArn": "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/web/0a1b",
}


@pytest.fixture
def check(tmp_path, monkeypatch):
    def run(source, event=CODEDEPLOY):
        file = tmp_path / "own.py"
        file.write_text(source)
        monkeypatch.setenv("CODE_FAMILY_HOOK", json.dumps({"file": str(file), "function": "is_healthy"}))
        return hook_check.check(event)

    return run


@pytest.mark.parametrize("result", ["None", "True"])
def test_none_and_true_pass(check, result):
    assert check(f"def is_healthy(deployment): return {result}") is None


@pytest.mark.parametrize("result", ["False", "0", "1", "'no'", "[]"])
def test_anything_else_fails_and_is_repeated(check, result):
    assert check(f"def is_healthy(deployment): return {result}") == f"is_healthy returned {result}"


@pytest.mark.parametrize(
    ("event", "deployment", "stage"),
    [(CODEDEPLOY, "d-ABCDEF123", None), (ECS, ECS["resourceArn"], "POST_TEST_TRAFFIC_SHIFT")],
)
def test_a_check_is_told_what_is_deployed(check, event, deployment, stage):
    told = {"deployment": deployment, "stage": stage, "event": event}
    assert check(f"def is_healthy(deployment): return deployment == {told!r}", event) is None


def test_a_module_with_postponed_annotations_and_dataclasses_is_imported(check):
    """These look their module up by name."""
    source = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar

@dataclass
class Answer:
    fine: bool
    known: ClassVar[int] = 3

def is_healthy(deployment) -> bool:
    return Answer(True).fine
"""
    assert check(source) is None


def test_a_url_is_a_smoke_test(monkeypatch):
    monkeypatch.setenv("CODE_FAMILY_HOOK", json.dumps({"url": "https://shop.example/"}))
    monkeypatch.setattr(hook_check, "smoke_test", lambda settings: f"asked {settings['url']}")
    assert hook_check.check(CODEDEPLOY) == "asked https://shop.example/"
