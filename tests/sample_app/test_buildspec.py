import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .conftest import BUILD_ENVIRONMENT, LEFTOVERS, RELEASE, SAMPLE_APP, run


@pytest.fixture
def codebuild(path_without_node):
    def build(app, variables=BUILD_ENVIRONMENT):
        return run_build(app, {**variables, "PATH": path_without_node})

    return build


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Read-only: one build of the unchanged application for every test that only looks at its outcome."""
    app = Path(shutil.copytree(SAMPLE_APP, tmp_path_factory.mktemp("healthy") / "app", ignore=LEFTOVERS))
    return run_build(app, BUILD_ENVIRONMENT)


def test_a_healthy_commit_passes_every_phase(healthy):
    assert healthy.phases == {"install": True, "pre_build": True, "build": True, "post_build": True}


def test_a_healthy_commit_tells_the_pipeline_its_release(healthy):
    assert healthy.exported == {"RELEASE": RELEASE}


def test_the_artifact_holds_what_an_instance_needs_and_nothing_else(healthy):
    artifact = healthy.artifact
    appspec = yaml.safe_load((SAMPLE_APP / "appspec.yml").read_text(encoding="utf-8"))
    hooks = {hook["location"] for event in appspec["hooks"].values() for hook in event}
    sources = [entry["source"] for entry in appspec["files"]]
    pages = {name for name in artifact for source in sources if name == source or name.startswith(f"{source}/")}
    assert all(any(name == source or name.startswith(f"{source}/") for name in artifact) for source in sources)
    assert artifact == {"appspec.yml", "release.txt"} | hooks | pages


def test_the_page_is_stamped_with_commit_build_number_and_time(healthy):
    page = (healthy.folder / "dist/index.html").read_text(encoding="utf-8")
    assert f'<meta name="release" content="{RELEASE}">' in page
    assert BUILD_ENVIRONMENT["CODEBUILD_RESOLVED_SOURCE_VERSION"] in page
    assert re.search(r'datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', page)
    assert "__" not in page


def test_the_source_keeps_its_placeholders_so_that_it_can_be_built_again(codebuild, app):
    codebuild(app)
    assert "__RELEASE__" in (app / "index.html").read_text(encoding="utf-8")
    assert codebuild(app, {**BUILD_ENVIRONMENT, "CODEBUILD_BUILD_NUMBER": "18"}).exported == {"RELEASE": "4f2a9c1d-18"}


def test_a_build_without_a_known_commit_still_has_a_name(codebuild, app):
    assert codebuild(app, {}).exported == {"RELEASE": "local-0"}


def test_a_source_version_that_is_no_commit_cannot_break_the_page(codebuild, app):
    build = codebuild(app, {"CODEBUILD_RESOLVED_SOURCE_VERSION": 'a/b&"><script>', "CODEBUILD_BUILD_NUMBER": "3"})
    assert build.exported == {"RELEASE": "a-b----s-3"}


def test_a_zip_that_lost_the_executable_bits_builds_all_the_same(codebuild, app):
    for script in app.rglob("*.sh"):
        script.chmod(0o644)
    build = codebuild(app)
    assert build.artifact
    assert all(path.stat().st_mode & 0o100 for path in (app / "dist/scripts").iterdir())


def test_failed_tests_end_the_build_before_anything_is_stamped(codebuild, app):
    (app / "js/app.js").unlink()
    build = codebuild(app)
    assert build.phases == {"install": True, "pre_build": False}
    assert build.artifact == set()


@pytest.mark.parametrize("placeholder", ["__RELEASE__", "__COMMIT__", "__BUILD__", "__BUILT_AT__"])
def test_a_page_without_a_placeholder_fails_the_build_loudly(codebuild, app, placeholder):
    without_tests(app)
    replace(app / "index.html", placeholder, "?")
    build = codebuild(app)
    assert not build.phases["build"]
    assert f"index.html has no {placeholder} to replace" in build.log


def test_a_placeholder_that_nothing_fills_fails_the_build(codebuild, app):
    replace(app / "index.html", "Deployed", "Deployed by __AUTHOR__")
    assert "nothing fills in" in codebuild(app).log


def test_a_failed_build_uploads_nothing_although_the_later_phases_run(codebuild, app):
    codebuild(app)
    without_tests(app)
    replace(app / "index.html", "__COMMIT__", "?")
    build = codebuild(app)
    assert build.phases == {"install": True, "pre_build": True, "build": False, "post_build": False}
    assert build.artifact == set()
    assert build.exported == {}
    assert "ready to deploy" not in build.log
    assert not (app / "dist.partial").exists()


def test_a_command_that_fails_after_packaging_takes_the_artifact_back(codebuild, app):
    replace(app / "buildspec.yml", "- ./build.sh\n", "- ./build.sh\n      - echo a check of your own && false\n")
    build = codebuild(app)
    assert build.phases == {"install": True, "pre_build": True, "build": False, "post_build": False}
    assert build.artifact == set()


@dataclass
class Build:
    folder: Path
    phases: dict[str, bool]
    artifact: set[str]
    exported: dict[str, str]
    log: str


def run_build(app: Path, variables: dict[str, str]) -> Build:
    """Run buildspec.yml as CodeBuild does: one shell's state for all phases, its rules for what follows a failure."""
    spec = yaml.safe_load((app / "buildspec.yml").read_text(encoding="utf-8"))
    assert spec["version"] == 0.2
    assert spec["env"]["shell"] == "bash"
    state = app.parent / "shell-state"
    state.write_text("", encoding="utf-8")
    begin = f"source {shlex.quote(str(state))}; cd {shlex.quote(str(app))}\n"
    end = f"export -p >{shlex.quote(str(state))}"
    phases: dict[str, bool] = {}
    log = ""
    for name in ("install", "pre_build", "build", "post_build"):
        if not all(phases.get(before, True) for before in ("install", "pre_build")):
            break
        commands = "".join(f"{{ {command}\n}} || exit\n" for command in spec["phases"][name]["commands"])
        succeeding = "1" if all(phases.values()) else "0"
        program = f"{begin}export CODEBUILD_BUILD_SUCCEEDING={succeeding}\n{commands}{end}"
        ended = run(["bash", "-c", program], variables)
        phases[name] = ended.returncode == 0
        log += ended.stdout
    names = spec["env"]["exported-variables"]
    shown = {name: re.search(rf'^declare -x {name}="(.*)"$', state.read_text(encoding="utf-8"), re.M) for name in names}
    uploads = "build" in phases
    return Build(
        folder=app,
        phases=phases,
        artifact=artifact_of(app, spec["artifacts"]) if uploads else set(),
        exported={name: found.group(1) for name, found in shown.items() if found},
        log=log,
    )


def artifact_of(app, artifacts):
    base = app / artifacts["base-directory"]
    matches = (path for pattern in artifacts["files"] for path in base.glob(pattern))
    return {str(path.relative_to(base)) for path in matches if path.is_file()}


def without_tests(app):
    (app / "tests/test_app.sh").write_text("#!/bin/bash\n", encoding="utf-8")


def replace(path, before, after):
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
