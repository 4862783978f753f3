import re

import pytest
import yaml

from .conftest import SAMPLE_APP

LIFECYCLE = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]
TEXT = (SAMPLE_APP / "appspec.yml").read_text(encoding="utf-8")
APPSPEC = yaml.safe_load(TEXT)


def test_hooks_are_written_in_the_order_in_which_they_run():
    assert list(APPSPEC["hooks"]) == LIFECYCLE


def test_the_agent_can_read_its_head():
    assert APPSPEC["version"] == 0.0
    assert APPSPEC["os"] == "linux"
    assert APPSPEC["file_exists_behavior"] == "OVERWRITE"


@pytest.mark.parametrize("event", LIFECYCLE)
def test_every_event_ends_within_the_hour_that_codedeploy_allows(event):
    timeouts = [hook["timeout"] for hook in APPSPEC["hooks"][event]]
    assert 0 < sum(timeouts) <= 3600


def test_hooks_run_as_root_which_systemctl_and_dnf_need():
    assert {hook["runas"] for hooks in APPSPEC["hooks"].values() for hook in hooks} == {"root"}


def test_only_pages_are_published():
    assert [(entry["source"], entry["destination"]) for entry in APPSPEC["files"]] == [
        ("index.html", "/var/www/html"),
        ("css", "/var/www/html/css"),
        ("js", "/var/www/html/js"),
    ]


def test_apache_can_read_the_pages_and_cannot_write_them():
    # The text counts: 0644 without quotes would be octal for YAML, and decimal 420 for the agent.
    assert re.findall(r"mode: (\w+)\n    type:\n      - (\w+)", TEXT) == [("755", "directory"), ("644", "file")]
    assert {(entry["owner"], entry["group"]) for entry in APPSPEC["permissions"]} == {("root", "root")}


@pytest.mark.parametrize(
    ("script", "longest_wait"),
    [
        # The constants are the grace times that `timeout --kill-after` adds.
        ("stop_server", lambda s: s["STOP_TIMEOUT"] + 10),
        (
            "install_dependencies",
            lambda s: (
                s["INSTALL_ATTEMPTS"] * (s["INSTALL_TIMEOUT"] + 10) + (s["INSTALL_ATTEMPTS"] - 1) * s["INSTALL_DELAY"]
            ),
        ),
        ("start_server", lambda s: 3 * (s["SYSTEMCTL_TIMEOUT"] + 5) + s["PORT_ATTEMPTS"] * s["PORT_DELAY"]),
        (
            "validate_service",
            lambda s: s["VALIDATE_ATTEMPTS"] * (s["VALIDATE_TIMEOUT"] + s["VALIDATE_DELAY"]),
        ),
    ],
)
def test_a_script_gives_up_and_explains_before_codedeploy_cuts_it_off(script, longest_wait):
    text = (SAMPLE_APP / f"scripts/{script}.sh").read_text(encoding="utf-8")
    settings = {name: int(default) for name, default in re.findall(r"^(\w+)=\$\{\w+:-(\d+)\}", text, re.MULTILINE)}
    timeouts = {hook["location"]: hook["timeout"] for hooks in APPSPEC["hooks"].values() for hook in hooks}
    assert longest_wait(settings) < timeouts[f"scripts/{script}.sh"]
