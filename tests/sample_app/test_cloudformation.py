"""The sample template: checked by the commands that the pipeline's build runs, and broken as its README says."""

import shutil
import sys
from pathlib import Path

import pytest

from stacks.change_set import LINT
from tests.sample_app.conftest import PATH, SAMPLE_APP, run

# The folder of the environment that the tests run in, which has cfn-lint: pip needs a network.
SHELL = {"PATH": f"{Path(sys.executable).parent}:{PATH}"}

# What cfn-lint calls each of them.
MISTAKES = {
    "E3030": ("SSEAlgorithm: AES256", "SSEAlgorithm: AES512"),
    "E3002": ("RestrictPublicBuckets: true", "RestrictPublicBucket: true"),
    "E6101": ("!Ref Reports", "!Ref Report"),
    "W2001": ("Outputs:", "Parameters:\n  Owner:\n    Type: String\n\nOutputs:"),
}


@pytest.fixture
def source(tmp_path):
    return Path(shutil.copytree(SAMPLE_APP / "cloudformation", tmp_path / "source"))


def lint(source):
    assert LINT.phases
    assert LINT.phases.pre_build
    script = "".join(f"{{ {command}\n}} || exit\n" for command in LINT.phases.pre_build.commands or ())
    return run(["bash", "-c", f"cd {source}\n{script}"], SHELL)


def test_the_build_accepts_the_template(source):
    linted = lint(source)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_what_cloudformation_would_refuse_or_nobody_needs_stops_the_build(source):
    text = (source / "template.yaml").read_text()
    for before, after in MISTAKES.values():
        assert text.count(before) == 1
        text = text.replace(before, after)
    (source / "template.yaml").write_text(text)
    linted = lint(source)
    assert linted.returncode != 0
    for rule in MISTAKES:
        assert rule in linted.stdout


def test_the_release_is_the_template_and_nothing_else():
    assert LINT.artifacts
    assert LINT.artifacts.files == ("template.yaml",)
    assert LINT.findings == ()
