"""Whole deployments: build, install as the agent installs, every hook in its order, and a web server that answers."""

import shutil

import pytest
import yaml

from .conftest import BUILD_ENVIRONMENT, Answer, run

EVENTS = ["ApplicationStop", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart", "ValidateService"]


@pytest.fixture
def instance(host, site, tmp_path):
    return Instance(host, site, tmp_path / "deployment-root")


def test_the_first_deployment_to_a_new_instance_succeeds(app, instance):
    instance.host.set_unit("first-release-placeholder", "active")
    instance.host.port_is_held("python3", 41, looks=99)
    assert instance.deploy(build(app, "1")) == EVENTS[1:]
    assert instance.shows("4f2a9c1d-1")


def test_the_next_deployment_replaces_the_release(app, instance):
    instance.deploy(build(app, "1"))
    assert instance.deploy(build(app, "2")) == EVENTS
    assert instance.shows("4f2a9c1d-2")
    assert instance.host.called("dnf") == 1


def test_deploying_the_same_release_again_succeeds(app, instance):
    revision = build(app, "1")
    instance.deploy(revision)
    assert instance.deploy(revision) == EVENTS


def test_browsers_reach_the_pages_and_nothing_else(app, instance):
    instance.deploy(build(app, "1"))
    published = {str(path.relative_to(instance.docroot)) for path in instance.docroot.rglob("*") if path.is_file()}
    assert published == {"index.html", "css/style.css", "js/app.js"}


def test_a_page_that_was_there_before_does_not_fail_the_deployment(app, instance):
    (instance.docroot / "index.html").write_text("the welcome page of the machine image", encoding="utf-8")
    assert instance.deploy(build(app, "1")) == EVENTS[1:]


def test_a_release_that_httpd_cannot_start_ends_at_its_start_and_the_one_before_can_return(app, instance):
    first = build(app, "1")
    instance.deploy(first)
    instance.host.breaks("systemctl-restart")
    assert instance.deploy(build(app, "2")) == EVENTS[:4]
    (instance.host.root / "breaks/systemctl-restart").unlink()
    assert instance.deploy(first) == EVENTS
    assert instance.shows("4f2a9c1d-1")


def test_a_stop_script_that_was_broken_by_the_release_before_is_survived_with_exit_0(app, instance):
    instance.deploy(build(app, "1"))
    instance.host.breaks("systemctl-stop")
    assert instance.deploy(build(app, "2")) == EVENTS


def test_the_failure_that_the_readme_suggests_is_caught_by_the_validation(app, instance):
    instance.deploy(build(app, "1"))
    with (app / "scripts/after_install.sh").open("a", encoding="utf-8") as script:
        script.write("""sed -i 's/name="release" content="/&stale-/' "$DOCROOT/index.html"\n""")
    assert instance.deploy(build(app, "2")) == EVENTS[:5]


def build(app, number):
    built = run([app / "build.sh"], {**BUILD_ENVIRONMENT, "CODEBUILD_BUILD_NUMBER": number})
    assert built.returncode == 0, built.stdout
    return shutil.copytree(app / "dist", app.parent / f"revision-{number}", dirs_exist_ok=True)


class Instance:
    """The CodeDeploy agent's part: unpacks revisions, installs their files and runs their hooks."""

    def __init__(self, host, site, root):
        self.host = host
        self.docroot = host.docroot
        self._site = site
        self._root = root
        self._last_good = None
        self._installed = []
        self._deployments = 0
        site.respond = self._answer

    def deploy(self, revision):
        """Return the events that succeeded."""
        self._deployments += 1
        archive = shutil.copytree(revision, self._root / str(self._deployments) / "deployment-archive")
        appspec = yaml.safe_load((archive / "appspec.yml").read_text(encoding="utf-8"))
        succeeded: list[str] = []
        for event in EVENTS:
            if event == "ApplicationStop":
                # Always the script of the last revision that succeeded, and none at all the first time.
                if self._last_good is None:
                    continue
                ok = self._run_hooks(self._last_good, event)
            elif event == "Install":
                ok = self._install(archive, appspec)
            else:
                ok = self._run_hooks(archive, event)
            if not ok:
                return succeeded
            succeeded.append(event)
        self._last_good = archive
        return succeeded

    def shows(self, release):
        return f'content="{release}"' in self._answer("/").body

    def _run_hooks(self, archive, event):
        appspec = yaml.safe_load((archive / "appspec.yml").read_text(encoding="utf-8"))
        quick = {
            "LIFECYCLE_EVENT": event,
            "VALIDATE_URL": self._site.url,
            "VALIDATE_ATTEMPTS": 2,
            "VALIDATE_DELAY": 0,
            "PORT_DELAY": 0,
        }
        return all(
            self.host.run(archive / hook["location"], **quick).returncode == 0 for hook in appspec["hooks"][event]
        )

    def _install(self, archive, appspec):
        for path in self._installed:
            path.unlink(missing_ok=True)
        self._installed = []
        for entry in appspec["files"]:
            source = archive / entry["source"]
            # Joined as text: the destination is absolute, and this docroot is not the real one.
            destination = self.docroot / entry["destination"].removeprefix("/var/www/html").lstrip("/")
            files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
            for file in files:
                target = destination / (file.relative_to(source) if source.is_dir() else file.name)
                if target.exists() and appspec["file_exists_behavior"] == "DISALLOW":
                    return False
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
                self._installed.append(target)
        return True

    def _answer(self, path):
        page = self.docroot / "index.html"
        if self.host.unit("httpd") != "active" or not page.exists():
            return Answer(503)
        return Answer(body=page.read_text(encoding="utf-8"))
