"""The demonstration with the real CDK CLI, on an app that costs no synthesis."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from code_family_constructs.local import Endpoint
from code_family_constructs.local import demo as demonstration
from tests.local import app
from tests.local.processes import marked, no_process_is_left

ROOT = Path(__file__).parents[2]
CDK = shutil.which("cdk", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

pytestmark = pytest.mark.skipif(CDK is None, reason="needs the CDK CLI")


def test_it_deploys_changes_and_destroys_and_nothing_is_left(tmp_path):
    ran = demo(tmp_path, "--app", command(), "--change", "minutes=45")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "status    PENDING" in ran.stdout
    assert "/codesuite/settings/connections" in ran.stdout
    assert "1. GitHub: Source by CodeStarSourceConnection" in ran.stdout
    assert "time-out  30 minutes" in ran.stdout
    assert re.search(r"pipeline Tiny-Pipeline-\w+: version 1 → 2", ran.stdout)
    assert "4 resources have the physical id they had before, 0 were replaced" in ran.stdout
    assert "pipelines: 0, build projects: 0" in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_behind_is_an_error_and_is_named(tmp_path, monkeypatch, capsys):
    app.write(tmp_path)
    endpoint = Endpoint()

    def run(self, command, *arguments):
        # Quicker than the CLI, and it leaves what only a broken stack would.
        cloudformation = endpoint.client("cloudformation")
        if command == "deploy":
            kept = {"Artifacts": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}}
            cloudformation.create_stack(StackName="Tiny", TemplateBody=json.dumps({"Resources": kept}))
        if command == "destroy":
            cloudformation.delete_stack(StackName="Tiny")

    monkeypatch.setattr(demonstration._Commands, "run", run)
    assert demonstration.run(endpoint, app=str(tmp_path), stack=None, change=None) == 1
    captured = capsys.readouterr()
    assert "buckets: 1" in captured.out
    assert re.search(r"cdk destroy left something behind:\n    buckets tiny-artifacts-\w+", captured.err)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--app", "assembly", "--change", "minutes=45"], "assembly is synthesized already"),
        (["--app", "assembly", "--stack", "Other"], "The app has no stack Other: Large, Tiny"),
        (["--app", "assembly"], "The app has more than one stack; choose with --stack: Large, Tiny"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path, arguments, problem):
    app.write(tmp_path / "assembly", stacks=("Tiny", "Large"))
    ran = demo(tmp_path, *arguments)
    assert ran.returncode == 1
    assert f"The demonstration ended early: {problem}" in ran.stderr


def test_a_step_that_fails_ends_it_with_what_the_step_said(tmp_path):
    ran = demo(tmp_path, "--app", command("fail"))
    assert ran.returncode == 1
    assert "the app is broken" in ran.stdout
    assert "The demonstration ended early: cdk synth ended with exit code 1" in ran.stderr


@pytest.mark.parametrize(
    ("number", "when"), [(signal.SIGINT, "Bootstrapping environment"), (signal.SIGTERM, "cdk bootstrap, while")]
)
def test_a_signal_ends_it_with_all_its_processes(tmp_path, number, when):
    mark, environment = marked()
    arguments = [sys.executable, "-m", "code_family_constructs.local", "demo", "--app", command("sleep")]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(when in line for line in process.stdout)
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(10) == 128 + number
    assert no_process_is_left(mark)


def command(*arguments):
    return shlex.join([sys.executable, str(Path(app.__file__)), *arguments])


def demo(directory, *arguments):
    mark, environment = marked()
    ran = subprocess.run(
        [sys.executable, "-m", "code_family_constructs.local", "demo", *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert no_process_is_left(mark)
    return ran
