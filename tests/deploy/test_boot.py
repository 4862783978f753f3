"""The first boot of an instance, run for real in a sandbox: the commands that it gives are stubs that record."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

BOOT = Path(__file__).parents[2] / "code_family_constructs" / "deploy" / "boot.sh"

STUB = """#!/bin/bash
echo "$(basename "$0") $*" >> "$SANDBOX/calls"
"""
# Answers as the instance's metadata service and as AWS's bucket with the agent would.
CURL = """
case "$*" in
  *api/token*) echo token ;;
  *placement/region*) echo eu-west-1 ;;
  *services/domain*) echo amazonaws.com ;;
  *connect-timeout*) [ "$(grep -c connect-timeout "$SANDBOX/calls")" -gt "${UNREACHABLE:-0}" ] ;;
  */latestv2/install) exec_install "$V2" "$@" ;;
  */latest/install) exec_install "$V1" "$@" ;;
esac
"""
WRITE = """
exec_install() {
  [ "$1" = missing ] && exit 22
  while [ "$1" != -o ]; do shift; done
  printf '#!/bin/bash\\necho "install $*" >> "$SANDBOX/calls"\\nexit %s\\n' "$INSTALL_STATUS" > "$2"
}
"""


@pytest.fixture
def boot(tmp_path):
    """Runs the script with its paths below the sandbox; returns its exit status, output and the calls that it made."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, body in {"curl": WRITE + CURL, "dnf": "", "systemctl": "", "systemd-run": "", "sleep": ""}.items():
        (commands / name).write_text(STUB + body)
        (commands / name).chmod(0o755)
    script = BOOT.read_text().replace("@PORT@", "8080")
    for path in ("/usr/local/bin/", "/tmp/install", "/opt/codedeploy-agent"):
        assert path in script
        script = script.replace(path, f"{tmp_path}/{path.strip('/').replace('/', '-')}" + "/" * path.endswith("/"))
    (tmp_path / "usr-local-bin").mkdir()
    (tmp_path / "boot.sh").write_text(script)

    def run(*, v1="there", v2="there", install_status=0, unreachable=0):
        settings = {"V1": v1, "V2": v2, "INSTALL_STATUS": str(install_status), "UNREACHABLE": str(unreachable)}
        done = subprocess.run(
            ["bash", str(tmp_path / "boot.sh")],
            env={**settings, "SANDBOX": str(tmp_path), "PATH": f"{commands}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr, (tmp_path / "calls").read_text().splitlines()

    return run


def test_it_installs_agent_2_where_the_region_has_it(boot):
    status, said, calls = boot()
    assert (status, said) == (
        0,
        "CodeDeploy agent installed from https://aws-codedeploy-eu-west-1.s3.eu-west-1.amazonaws.com/latestv2\n",
    )
    assert not any(call.startswith("dnf") for call in calls)
    assert calls[-2:] == ["install auto", "systemctl enable --now codedeploy-agent"]


def test_it_falls_back_to_agent_1_with_ruby(boot):
    status, said, calls = boot(v2="missing")
    assert status == 0
    assert "amazonaws.com/latest\n" in said
    assert calls[-3:] == ["dnf install -y ruby wget", "install auto", "systemctl enable --now codedeploy-agent"]


@pytest.mark.parametrize("given", [{"v1": "missing", "v2": "missing"}, {"install_status": 1}])
def test_it_says_that_there_is_no_agent(boot, given):
    status, said, calls = boot(**given)
    assert status == 1
    assert "this instance has no CodeDeploy agent" in said
    assert not any("enable --now" in call for call in calls)


def test_it_waits_for_the_way_out(boot):
    _, _, calls = boot(unreachable=3)
    assert calls.count("sleep 5") == 3
    assert boot(unreachable=3)[0] == 0


def test_it_answers_the_load_balancer_before_it_asks_for_anything(boot):
    _, _, calls = boot()
    assert calls[0].startswith("systemd-run --unit=first-release-placeholder /usr/bin/python3 ")


def test_the_placeholder_answers_until_a_revision_is_downloaded(boot, tmp_path):
    boot()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = (tmp_path / "usr-local-bin" / "first-release-placeholder").read_text()
    # On an instance it listens to the load balancer; here to this machine alone.
    program = program.replace('("", 8080)', f'("127.0.0.1", {port})')
    server = subprocess.Popen([sys.executable, "-c", program])
    try:
        assert b"Waiting for the first release" in answer(port)
        (tmp_path / "opt-codedeploy-agent/deployment-root/group/d-ABC123/deployment-archive").mkdir(parents=True)
        assert server.wait(timeout=10) == 0
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def answer(port):
    for _ in range(50):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                assert response.status == 200
                return response.read()
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("the placeholder does not answer")
