"""The sample container: built as Docker would, run as Amazon ECS would, and broken as its README tells."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aws_cdk import App

from code_family_constructs.testing import synthesized
from stacks.ecs_canary import EcsCanary
from tests.helpers import only

from .conftest import LEFTOVERS, PATH, SAMPLE_APP, Answer

CONTAINER = SAMPLE_APP / "ecs"
DIGEST = "4f2a9c1d0b7e6a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c"


class Image:
    """What a Dockerfile says, done in a folder: one for each stage, with all that was copied there and run.

    Args:
        context: Folder with the Dockerfile.
        folder: Where the stages go.
    """

    def __init__(self, context: Path, folder: Path) -> None:
        self.stages: dict[str, Path] = {}
        self.bases: list[str] = []
        self.environment: dict[str, str] = {}
        self.output = ""
        text = (context / "Dockerfile").read_text(encoding="utf-8")
        for line in text.splitlines():
            if line and not line.startswith("#"):
                instruction, _, rest = line.partition(" ")
                getattr(self, f"_{instruction.lower()}")(context, folder, rest)

    def _from(self, context, folder, rest):
        base, _, name = rest.partition(" AS ")
        self.root = folder / (name or "last")
        if base in self.stages:
            shutil.copytree(self.stages[base], self.root)
        else:
            self.bases.append(base)
            self.root.mkdir(parents=True)
        self.stages[name or "last"] = self.root

    def _workdir(self, context, folder, rest):
        self.workdir = rest

    def _env(self, context, folder, rest):
        self.environment.update(re.findall("([A-Z]+)=([^ ]+)", rest))

    def _copy(self, context, folder, rest):
        *options, source, target = shlex.split(rest)
        if options:
            (stage,) = options
            found = self.stages[stage.removeprefix("--from=")] / Path(source).relative_to(self.workdir)
        else:
            found = context / source
        if found.is_dir():
            shutil.copytree(found, self.root / target, ignore=LEFTOVERS)
        else:
            shutil.copy(found, self.root / target)

    def _run(self, context, folder, rest):
        done = subprocess.run(
            ["bash", "-c", rest],
            cwd=self.root,
            env={"PATH": PATH, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output += done.stdout
        if done.returncode:
            raise Broken(self.output)

    def _user(self, context, folder, rest):
        self.user = rest

    def _expose(self, context, folder, rest):
        self.port = int(rest)

    def _cmd(self, context, folder, rest):
        self.command: list[str] = json.loads(rest)


class Broken(Exception):  # noqa: N818
    """The build has failed; with its output."""


class Container:
    """A running container."""

    def __init__(self, image, **environment):
        self.process = subprocess.Popen(
            image.command,
            cwd=image.root,
            env={"PATH": PATH, "PORT": "0", **image.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

    def ask(self, path="/"):
        port = self.first_line.split()[-1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self):
        """Output and exit status after the signal that Amazon ECS sends."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=10)
        return output, self.process.returncode

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(CONTAINER, tmp_path_factory.mktemp("image"))


@pytest.fixture
def start(image):
    running = []

    def start(image=image, **environment):
        running.append(Container(image, **environment))
        return running[-1]

    yield start
    for container in running:
        container.end()


@pytest.fixture
def source(tmp_path):
    return Path(shutil.copytree(CONTAINER, tmp_path / "source", ignore=LEFTOVERS))


def change(source, before, after):
    text = (source / "server.py").read_text()
    assert before in text
    (source / "server.py").write_text(text.replace(before, after))


def container_of_the_stack():
    template = synthesized(EcsCanary(App(analytics_reporting=False), "EcsCanary", repository="acme/shop"))
    (container,) = only(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return container


def test_the_tests_run_in_the_build_and_are_not_in_the_image(image):
    assert re.search(r"Ran [1-9]\d* tests", image.output)
    assert {path.name for path in image.root.iterdir()} == {"server.py", "passed"}


def test_docker_sends_what_the_dockerfile_copies_and_nothing_else():
    """A checkout may hold anything: credentials, say."""
    ignored = (CONTAINER / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (CONTAINER / "Dockerfile").read_text(), re.MULTILINE)
    assert ignored[0] == "*"
    assert [pattern[1:] for pattern in ignored if pattern.startswith("!")] == copied


def test_docker_hub_s_limits_do_not_stop_a_build(image):
    assert image.bases
    assert all(base.startswith("public.ecr.aws/docker/library/python:3.") for base in image.bases)


def test_it_runs_as_a_user_without_rights(image):
    user, _, group = image.user.partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000


def test_it_listens_where_the_service_expects_it(image):
    assert [each["ContainerPort"] for each in container_of_the_stack()["PortMappings"]] == [image.port]


def test_it_greets_and_tells_its_release(start):
    container = start()
    assert container.ask("/?name=Ada") == {"message": "Hello, Ada!", "release": "local-0"}
    assert container.ask("/") == {"message": "Hello, world!", "release": "local-0"}
    assert container.ask("/admin") == 404


def test_in_amazon_ecs_the_release_is_the_image(start, site):
    site.answers = [Answer(body=json.dumps({"Image": f"1.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:{DIGEST}"}))]
    container = start(ECS_CONTAINER_METADATA_URI_V4=site.url.removesuffix("/"))
    assert container.ask("/")["release"] == DIGEST[:12]


def test_it_writes_to_no_file(image, start):
    """As in the service, where the root file system is read-only."""
    before = {path: path.stat().st_mtime_ns for path in image.root.rglob("*")}
    container = start()
    assert container.ask("/")["message"] == "Hello, world!"
    assert container.stop()[1] == 0
    assert {path: path.stat().st_mtime_ns for path in image.root.rglob("*")} == before


def test_it_ends_when_amazon_ecs_says_so_and_answers_first(source, tmp_path, start):
    change(source, "def greet(name: str)", "def greet_later(name: str)")
    change(source, "class Greeter", SLOWLY + "\n\nclass Greeter")
    (source / "tests" / "test_server.py").write_text(
        "import unittest\n\nclass None_(unittest.TestCase):\n    def test(self): pass\n"
    )
    container = start(Image(source, tmp_path / "image"))
    answers = []
    asking = threading.Thread(target=lambda: answers.append(container.ask("/?name=Ada")))
    asking.start()
    time.sleep(0.3)
    output, status = container.stop()
    asking.join()
    assert (status, output.splitlines()[-1]) == (0, "stopped")
    assert answers == [{"message": "Hello, Ada!", "release": "local-0"}]


SLOWLY = """
def greet(name: str) -> tuple[int, str]:
    import time

    time.sleep(0.8)
    return greet_later(name)
"""


def test_a_wrong_answer_stops_the_build(source, tmp_path):
    change(source, "Hello", "Goodbye")
    with pytest.raises(Broken, match="test_greets_by_name"):
        Image(source, tmp_path / "image")


def test_what_the_tests_do_not_find_ends_the_tasks(source, tmp_path, start, site):
    line = 'if release() != "local-0": raise SystemExit("not today")'
    assert line in (CONTAINER / "README.md").read_text()
    change(source, "    Greeter.release = release()\n", f"    {line}\n    Greeter.release = release()\n")
    image = Image(source, tmp_path / "image")
    site.answers = [Answer(body=json.dumps({"Image": f"shop@sha256:{DIGEST}"}))]
    container = start(image, ECS_CONTAINER_METADATA_URI_V4=site.url.removesuffix("/"))
    assert container.process.wait(10) == 1
    assert container.first_line == "not today\n"


def test_what_only_users_find_is_an_error_to_the_load_balancer(source, tmp_path, start):
    change(
        source,
        "    if len(name) > 100:",
        '    if name.startswith("B"):\n        raise RuntimeError("B")\n    if len(name) > 100:',
    )
    container = start(Image(source, tmp_path / "image"))
    assert container.ask("/?name=Ada")["message"] == "Hello, Ada!"
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        container.ask("/?name=Bob")
