import io
import json
import zipfile

import pytest

ROLE = "arn:aws:iam::123456789012:role/any"
PACKAGE = "code_family_constructs/handlers"
CHILD = """
import subprocess, sys, os
def handler(event, context):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = [sys.executable, "-P", "-c", "from code_family_constructs.handlers.own import WHOSE; print(WHOSE)"]
    return subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout.strip()
"""


@pytest.fixture
def run(aws, name):
    """Make a function of files, invoke it, and return what it answered, and whether that is an error."""

    def run(**files):
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        aws("lambda").create_function(
            FunctionName=name,
            Runtime="python3.14",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": bundle.getvalue()},
        )
        answer = aws("lambda").invoke(FunctionName=name)
        return json.load(answer["Payload"]), "FunctionError" in answer

    yield run
    aws("lambda").delete_function(FunctionName=name)


@pytest.mark.parametrize("module", ["yaml", "ministack", "code_family_constructs", "pytest"])
def test_a_function_does_not_find_what_lambda_lacks(run, module):
    answer, failed = run(**{"index.py": f"import {module}\ndef handler(event, context): return 1"})
    assert failed
    assert f"No module named '{module}'" in answer["errorMessage"]


def test_a_function_finds_the_sdk_and_its_own_packages(run):
    code = "import json, boto3, dateutil\nfrom yaml import WHOSE\ndef handler(event, context): return WHOSE"
    assert run(**{"index.py": code, "yaml.py": "WHOSE = 'the function'"}) == ("the function", False)


def test_a_package_without_an_init_is_its_own_too_also_in_a_child_process(run):
    files = {"index.py": CHILD, f"{PACKAGE}/own.py": "WHOSE = 'the function'"}
    assert run(**files) == ("the function", False)
