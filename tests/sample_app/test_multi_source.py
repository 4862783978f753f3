"""The sample of two repositories: built as CodeBuild would build both, run as Lambda would, and broken on purpose."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from code_family_constructs import BuildHost, Buildspec
from tests.sample_app.conftest import BUILD_ENVIRONMENT, LEFTOVERS, PATH, RELEASE, SAMPLE_APP, run

APP, INFRA = SAMPLE_APP / "multi_source/app", SAMPLE_APP / "multi_source/infra"
CODEBUILD = BuildHost(image="aws/codebuild/amazonlinux-x86_64-standard:6.0", environment_type="LINUX_CONTAINER")
# The folder of the environment that the tests run in, which has cfn-lint: pip needs a network.
SHELL = {**BUILD_ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{PATH}", "PYTHONDONTWRITEBYTECODE": "1"}
# Lambda has an SDK; this one notes what it is asked.
LAMBDA = """
import json, sys, types
asked = []
class Queue:
    def __getattr__(self, name):
        return lambda **given: asked.append([name, given]) or {"QueueUrl": "https://queue", "MessageId": "m-1"}
sys.modules["boto3"] = types.SimpleNamespace(client=lambda service: Queue())
sys.path.insert(0, sys.argv[1])
import index
print(json.dumps([index.handler(json.loads(sys.argv[2]), None), asked]))
"""


@dataclass
class Sources:
    """Both revisions, each in a folder of its own, as CodeBuild lays them out."""

    app: Path
    infra: Path

    def build(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the commands as CodeBuild does, up to the first that fails."""
        phases = self.spec.phases
        assert phases
        assert phases.pre_build
        assert phases.build
        commands = [*(phases.pre_build.commands or ()), *(phases.build.commands or ())]
        script = "".join(f"{{ {command}\n}} || exit\n" for command in commands)
        return run(["bash", "-c", f"cd {self.app}\n{script}"], {**SHELL, **self.folders, **variables})

    @property
    def folders(self) -> dict[str, str]:
        return {"CODEBUILD_SRC_DIR": str(self.app), "CODEBUILD_SRC_DIR_Infra": str(self.infra)}

    @property
    def spec(self) -> Buildspec:
        return Buildspec.from_file(self.app / "buildspec.yml")

    def artifact(self, name: str) -> dict[str, Path]:
        """What is uploaded under a name: path in the artifact → file."""
        assert self.spec.artifacts
        section = self.spec.artifacts.secondary_artifacts[name]
        base = re.sub(r"\$(\w+)", lambda variable: self.folders[variable[1]], section.base_directory or "")
        folder = self.app / base
        found = [path for pattern in section.files or () for path in folder.glob(pattern) if path.is_file()]
        return {str(path.relative_to(folder)): path for path in found}


def sources_in(folder):
    return Sources(
        Path(shutil.copytree(APP, folder / "src", ignore=LEFTOVERS)), Path(shutil.copytree(INFRA, folder / "src-infra"))
    )


@pytest.fixture
def sources(tmp_path):
    return sources_in(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    sources = sources_in(tmp_path_factory.mktemp("built"))
    done = sources.build()
    assert done.returncode == 0, done.stdout
    return sources


def test_codebuild_takes_the_buildspec():
    findings = Buildspec.from_file(APP / "buildspec.yml").findings_on(CODEBUILD)
    # That there is no artifact besides the secondary ones: with several, CodePipeline takes only these.
    assert [finding for finding in findings if finding.code != "BS411"] == []


def test_each_artifact_holds_what_its_stage_deploys_and_nothing_else(built):
    assert set(built.artifact("App")) == {"index.py", "release.txt"}
    template = built.artifact("Template")
    assert set(template) == {"template.yaml"}
    assert template["template.yaml"].read_bytes() == (INFRA / "template.yaml").read_bytes()


def test_the_application_tells_its_release_and_puts_the_order_where_it_is_told(built):
    artifact = built.artifact("App")["index.py"].parent
    answer, asked = call(artifact, {"article": "tea", "count": 2})
    assert answer == {"accepted": True, "order": "m-1", "release": RELEASE}
    assert asked == [
        ["get_queue_url", {"QueueName": "Orders"}],
        ["send_message", {"QueueUrl": "https://queue", "MessageBody": '{"article": "tea", "count": 2}'}],
    ]


def test_what_is_no_order_is_refused_before_anything_is_sent(built):
    answer, asked = call(built.artifact("App")["index.py"].parent, {"article": "tea", "count": 101})
    assert (answer["accepted"], asked) == (False, [])


@pytest.mark.parametrize(
    ("repository", "file", "before", "after", "said"),
    [
        ("app", "index.py", "MessageBody=order", "MessageBody=article", "test_puts_an_order_into_the_queue"),
        ("app", "index.py", "1 <= count", "0 <= count", "test_refuses_what_is_no_order"),
        ("infra", "template.yaml", "SqsManagedSseEnabled: true", "SqsManagedSse: true", "E3002"),
    ],
)
def test_a_mistake_in_either_repository_stops_both(sources, repository, file, before, after, said):
    path = getattr(sources, repository) / file
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    done = sources.build()
    assert done.returncode != 0
    assert said in done.stdout
    assert sources.artifact("App") == {}


def test_without_the_second_source_the_build_stops_at_once(sources):
    done = sources.build(CODEBUILD_SRC_DIR_Infra="")
    assert done.returncode != 0
    assert "Ran" not in done.stdout


def test_a_checkout_runs_too():
    answer, _ = call(APP, {"article": "tea"})
    assert answer["release"] == "local-0"


def call(artifact, event):
    command = [sys.executable, "-B", "-c", LAMBDA, str(artifact), json.dumps(event)]
    called = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "QUEUE": "Orders"}, timeout=20
    )
    return json.loads(called.stdout)
