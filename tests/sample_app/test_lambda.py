"""The sample function: built as CodeBuild would, run as Lambda would, and broken as its README says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from code_family_constructs import BuildHost, Buildspec
from code_family_constructs.deploy.lambda_function import LambdaFunction
from code_family_constructs.testing import synthesized
from stacks.smoke_tests import function_greets
from tests.helpers import a_stack, only

from .conftest import BUILD_ENVIRONMENT, LEFTOVERS, PATH, RELEASE, SAMPLE_APP, run

FUNCTION = SAMPLE_APP / "lambda"
CODEBUILD = BuildHost(image="aws/codebuild/amazonlinux-x86_64-standard:6.0", environment_type="LINUX_CONTAINER")
SHELL = {**BUILD_ENVIRONMENT, "PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"}
LAMBDA = """
import json, sys
sys.path.insert(0, sys.argv[1])
import index
print(json.dumps(index.handler(json.loads(sys.argv[2]), None)))
"""


@pytest.fixture
def source(tmp_path):
    return Path(shutil.copytree(FUNCTION, tmp_path / "function", ignore=LEFTOVERS))


def build(source):
    """Runs the commands as CodeBuild does, up to the first that fails."""
    spec = Buildspec.from_file(source / "buildspec.yml")
    assert spec.phases
    assert spec.phases.pre_build
    assert spec.phases.build
    commands = [*(spec.phases.pre_build.commands or ()), *(spec.phases.build.commands or ())]
    script = "".join(f"{{ {command}\n}} || exit\n" for command in commands)
    return run(["bash", "-c", f"cd {source}\n{script}"], SHELL)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    source = Path(shutil.copytree(FUNCTION, tmp_path_factory.mktemp("built") / "function", ignore=LEFTOVERS))
    built = build(source)
    assert built.returncode == 0, built.stdout
    return source / "dist"


def ask(artifact, event):
    command = [sys.executable, "-c", LAMBDA, str(artifact), json.dumps(event)]
    called = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(called.stdout) if called.returncode == 0 else called.stderr


def test_codebuild_takes_the_buildspec():
    spec = Buildspec.from_file(FUNCTION / "buildspec.yml")
    assert spec.findings_on(CODEBUILD) == ()


def test_the_artifact_is_what_lambda_runs_and_nothing_else(artifact):
    assert {path.name for path in artifact.iterdir()} == {"index.py", "release.txt"}
    answer = ask(artifact, {"queryStringParameters": {"name": "Ada"}})
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"message": "Hello, Ada!", "release": RELEASE}


def test_a_checkout_runs_too():
    assert json.loads(ask(FUNCTION, {})["body"])["release"] == "local-0"


def test_a_wrong_answer_stops_the_build(source):
    change(source, "Hello", "Goodbye")
    built = build(source)
    assert built.returncode != 0
    assert "test_greets_by_name" in built.stdout
    assert not (source / "dist").exists()


def test_what_the_tests_do_not_find_the_smoke_test_finds(source, monkeypatch):
    with (source / "index.py").open("a") as file:
        file.write('if RELEASE != "local-0":\n    raise RuntimeError("not today")\n')
    assert build(source).returncode == 0
    with pytest.raises(AssertionError, match="not today"):
        smoke_test(source / "dist", monkeypatch)


def test_the_smoke_test_passes_for_a_healthy_version(artifact, monkeypatch):
    asked = smoke_test(artifact, monkeypatch)
    # Neither version nor alias: the new version, before it has traffic.
    assert asked == ["FunctionName", "Payload"]


def test_the_smoke_test_does_not_pass_before_the_first_release(tmp_path, monkeypatch):
    stack = a_stack()
    LambdaFunction(stack, "Greeter")
    (tmp_path / "index.py").write_text(only(synthesized(stack), "AWS::Lambda::Function")["Code"]["ZipFile"])
    with pytest.raises(AssertionError, match="nothing has been released yet"):
        smoke_test(tmp_path, monkeypatch)


def smoke_test(artifact, monkeypatch):
    """Runs the stack's check against the artifact; returns what it asked Lambda with."""
    asked: list[str] = []

    class Payload:
        def __init__(self, text):
            self.text = text

        def read(self):
            return self.text.encode()

    class Lambda:
        def invoke(self, **parameters):
            asked.extend(parameters)
            assert parameters["FunctionName"] == "Greeter"
            answer = ask(artifact, json.loads(parameters["Payload"]))
            error = {"FunctionError": "Unhandled"} if isinstance(answer, str) else {}
            return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": Payload(json.dumps(answer)), **error}

    monkeypatch.setenv("FUNCTION", "Greeter")
    monkeypatch.setattr("boto3.client", lambda service: Lambda())
    function_greets({"deployment": "d-1", "stage": None, "event": {}})
    return asked


def change(source, before, after):
    text = (source / "index.py").read_text()
    assert before in text
    (source / "index.py").write_text(text.replace(before, after))
