"""What the stacks of branches and of services build: run as CodeBuild would, laid out as the READMEs say."""

import shutil
from pathlib import Path

import pytest

from code_family_constructs import BuildHost, Buildspec

from .conftest import BUILD_ENVIRONMENT, LEFTOVERS, PATH, RELEASE, SAMPLE_APP, run

FUNCTION, SERVICES = SAMPLE_APP / "lambda", SAMPLE_APP / "services"
CODEBUILD = BuildHost(image="aws/codebuild/amazonlinux-x86_64-standard:6.0", environment_type="LINUX_CONTAINER")
SHELL = {**BUILD_ENVIRONMENT, "PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"}
NAMES = ("orders", "payments")


def run_build(spec, folder, **environment):
    """Runs the commands as CodeBuild does, up to the first that fails."""
    phases = [phase for phase in (spec.phases.pre_build, spec.phases.build) if phase]
    script = "".join(f"{{ {command}\n}} || exit\n" for phase in phases for command in phase.commands)
    shell = spec.env.shell if spec.env and spec.env.shell else "sh"
    return run([shell, "-c", f"cd {folder}\n{script}"], {**SHELL, "CODEBUILD_SRC_DIR": str(folder), **environment})


@pytest.fixture
def repository(tmp_path):
    for name in NAMES:
        shutil.copytree(FUNCTION, tmp_path / "services" / name, ignore=LEFTOVERS)
        shutil.copy(SERVICES / "buildspec.yml", tmp_path / "services" / name)
        change(tmp_path / "services" / name / "index.py", "Hello, {name}", f"Hello, {{name}}, from {name}")
        change(tmp_path / "services" / name / "tests/test_index.py", "Hello, Ada", f"Hello, Ada, from {name}")
        change(tmp_path / "services" / name / "tests/test_index.py", "Hello, world", f"Hello, world, from {name}")
        change(tmp_path / "services" / name / "tests/test_index.py", "<b>!", f"<b>, from {name}!")
    return tmp_path


def build_service(repository, name):
    spec = Buildspec.from_file(repository / "services" / name / "buildspec.yml")
    return run_build(spec, repository, FOLDER=f"services/{name}")


@pytest.mark.parametrize("file", [SERVICES / "buildspec.yml", FUNCTION / "verify.yml"], ids=lambda file: file.name)
def test_codebuild_takes_the_buildspec(file):
    assert Buildspec.from_file(file).findings_on(CODEBUILD) == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_artifact_is_the_service_of_the_folder(repository, name):
    built = build_service(repository, name)
    assert built.returncode == 0, built.stdout
    spec = Buildspec.from_file(repository / "services" / name / "buildspec.yml")
    assert spec.artifacts
    assert spec.artifacts.base_directory
    artifact = repository / spec.artifacts.base_directory
    assert {path.name for path in artifact.iterdir()} == {"index.py", "release.txt"}
    assert f"from {name}!" in (artifact / "index.py").read_text()
    assert (artifact / "release.txt").read_text().strip() == RELEASE


def test_the_tests_of_a_service_stop_its_build_and_not_that_of_another(repository):
    change(repository / "services/payments/index.py", "Hello", "Goodbye")
    assert build_service(repository, "orders").returncode == 0
    shutil.rmtree(repository / "dist")
    built = build_service(repository, "payments")
    assert built.returncode != 0
    assert "test_greets_by_name" in built.stdout
    assert not (repository / "dist").exists()


@pytest.fixture
def candidate(tmp_path):
    """A source and, beside it, what was built of it, as the action that verifies gets them."""
    source = Path(shutil.copytree(FUNCTION, tmp_path / "Source", ignore=LEFTOVERS))
    built = run_build(Buildspec.from_file(source / "buildspec.yml"), source)
    assert built.returncode == 0, built.stdout
    return source, Path(shutil.move(source / "dist", tmp_path / "Build"))


def verify(source, built):
    return run_build(Buildspec.from_file(source / "verify.yml"), source, CODEBUILD_SRC_DIR_Build=str(built))


def test_a_candidate_is_verified_as_it_was_built(candidate):
    verified = verify(*candidate)
    assert verified.returncode == 0, verified.stdout
    assert "Ran 4 tests" in verified.stdout


@pytest.mark.parametrize("missing", ["index.py", "release.txt"])
def test_a_candidate_that_lacks_something_is_refused(candidate, missing):
    source, built = candidate
    (built / missing).unlink()
    assert verify(source, built).returncode != 0


def test_a_candidate_that_is_not_what_the_tests_want_is_refused(candidate):
    """The source beside it is right, and does not count."""
    source, built = candidate
    change(built / "index.py", "Hello", "Goodbye")
    verified = verify(source, built)
    assert verified.returncode != 0
    assert "test_greets_by_name" in verified.stdout


def change(file, before, after):
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
