import os
import shutil
import socket

import pytest

PLACEHOLDER = "first-release-placeholder"


@pytest.fixture
def start(host, app):
    host.has_httpd()

    def run(**settings):
        return host.run(app / "scripts/start_server.sh", **{"PORT_ATTEMPTS": 3, "PORT_DELAY": 0.05, **settings})

    return run


def test_httpd_is_started_now_and_at_every_boot(host, start):
    assert start().returncode == 0
    assert host.unit("httpd") == "active"
    assert host.starts_at_boot("httpd")


def test_a_second_start_restarts_httpd_so_that_it_serves_the_new_files(host, start):
    start()
    assert start().returncode == 0
    assert host.called("systemctl restart httpd.service") == 2


def test_a_running_httpd_may_hold_the_port_itself(host, start):
    host.set_unit("httpd", "active")
    host.port_is_held("httpd", 42, looks=99)
    assert start().returncode == 0
    assert not host.called("ss")


def test_the_placeholder_of_a_new_instance_is_stopped_first(host, start):
    host.set_unit(PLACEHOLDER, "active")
    host.port_is_held("python3", 41, looks=99)
    started = start()
    assert started.returncode == 0, started.stdout
    assert host.unit(PLACEHOLDER) is None
    assert host.unit("httpd") == "active"


def test_a_placeholder_that_is_just_leaving_by_itself_is_waited_for(host, start):
    host.set_unit(PLACEHOLDER, "active")
    host.breaks("systemctl-stop", "5")
    host.port_is_held("python3", 41, looks=2)
    assert start().returncode == 0
    assert host.unit("httpd") == "active"


def test_a_placeholder_whose_stop_hangs_is_not_waited_for_without_end(host, start):
    host.set_unit(PLACEHOLDER, "active")
    host.breaks("systemctl-stop", "hang")
    assert start(SYSTEMCTL_TIMEOUT=0.5).returncode == 0


def test_a_port_that_stays_busy_is_an_error_that_names_the_process(host, start):
    host.port_is_held("nginx", 4321, looks=99)
    failed = start()
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1].endswith("port 80 is still held by nginx (pid 4321)")
    assert not host.called("systemctl restart")


@pytest.mark.skipif(shutil.which("ss") is None, reason="asks the real ss about a real listener")
def test_the_real_ss_names_the_process_that_holds_a_port(host, start):
    (host.root / "bin" / "ss").unlink()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        failed = start(HTTP_PORT=listener.getsockname()[1], PORT_ATTEMPTS=1)
    assert failed.returncode == 1
    assert f"(pid {os.getpid()})" in failed.stdout


def test_an_httpd_that_does_not_start_leaves_its_last_words_and_a_verdict(host, start):
    host.breaks("systemctl-restart")
    failed = start()
    assert failed.returncode == 1
    assert "a line of the journal" in failed.stdout
    assert "httpd did not start" in failed.stdout.splitlines()[-1]


def test_a_start_that_hangs_is_cut_off(host, start):
    host.breaks("systemctl-restart", "hang")
    assert start(SYSTEMCTL_TIMEOUT=0.1).returncode == 1
