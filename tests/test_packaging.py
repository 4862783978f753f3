"""The wheel works by itself: with what it declares and nothing of this checkout."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent

EXAMPLE = """
import code_family_constructs as cfc
from aws_cdk import App, RemovalPolicy, Stack

stack = Stack(app := App(analytics_reporting=False), "Shop")
store = cfc.ArtifactStore(stack, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
fleet = cfc.Ec2Fleet(stack, "Fleet", certificate=None)
source = cfc.Source.github("acme/shop", connection=cfc.CodeConnection.github(stack, "GitHub"))
build = cfc.BuildProject(stack, "Build")
pipeline = cfc.DeliveryPipeline(stack, "Pipeline", source=source, build=build, artifact_store=store)
pipeline.add_stage("Production", deploy=cfc.Ec2Deployment(stack, "Deployment", fleet=fleet, health=fleet.health))
print(len(app.synth().stacks), cfc.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and what it requires without extras, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name in sorted(closure({"aws-cdk-lib", "constructs", "pyyaml"})):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and top != "__pycache__" and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))).resolve())
    return folder


def test_it_holds_the_library_and_only_the_library(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"code_family_constructs"}
    files = ("py.typed", "deploy/boot.sh", "handlers/empty_bucket.py", "local/__main__.py", "local/credentials.js")
    for needed in (*files, "testing.py"):
        assert f"code_family_constructs/{needed}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_declares_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    required = [line.removeprefix("Requires-Dist: ") for line in text.splitlines() if line.startswith("Requires-Dist")]
    assert {Requirement(line).name for line in required if "extra" not in line} == {
        "aws-cdk-lib",
        "constructs",
        "pyyaml",
        "tzdata",
    }


def test_it_synthesizes_without_extras(installed, tmp_path):
    done = run(installed, EXAMPLE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", str(installed / "code_family_constructs" / "__init__.py")]


@pytest.mark.parametrize("extra", ["boto3", "ministack", "syrupy", "cdk_nag", "pytest"])
def test_the_empty_environment_is_empty(installed, extra):
    assert not (installed / extra).exists()


@pytest.mark.parametrize("name", ["requirements.txt", "uv.txt", "package-lock.json"])
def test_what_make_installs_is_hashed_and_says_no_address(name):
    text = (ROOT / ".ci" / name).read_text()
    assert "://" not in text
    assert "--hash=sha256:" in text or '"integrity": "sha512-' in text


def test_setup_says_what_is_missing():
    environment = {**os.environ, "PYTHON": "no-such-python"}
    done = subprocess.run([ROOT / ".ci/setup"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no 'no-such-python' on PATH" in done.stderr
    assert "fix  install Python 3.11 or newer" in done.stderr


def run(installed: Path, program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    # -I and -S: neither this checkout nor the environment that the tests run in is on the path.
    start = f"import sys; sys.path.insert(0, {str(installed)!r})\n"
    command = [sys.executable, "-I", "-S", "-c", start + program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def closure(names: set[str]) -> set[str]:
    """Names of these distributions and of all that they require here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        requirements = map(Requirement, metadata.distribution(name).requires or ())
        waiting += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found
