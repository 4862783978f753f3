import pytest


def test_stopping_succeeds_before_httpd_was_ever_installed(host, app):
    stopped = host.run(app / "scripts/stop_server.sh")
    assert stopped.returncode == 0
    assert "not installed" in stopped.stdout
    assert not host.called("systemctl stop")


def test_stopping_what_does_not_run_succeeds(host, app):
    host.has_httpd("inactive")
    stopped = host.run(app / "scripts/stop_server.sh")
    assert stopped.returncode == 0
    assert "not running" in stopped.stdout
    assert not host.called("systemctl stop")


def test_a_running_httpd_is_stopped_and_a_second_stop_changes_nothing(host, app):
    host.has_httpd("active")
    assert host.run(app / "scripts/stop_server.sh").returncode == 0
    assert host.unit("httpd") == "inactive"
    assert host.run(app / "scripts/stop_server.sh").returncode == 0
    assert host.called("systemctl stop") == 1


@pytest.mark.parametrize("how", ["1", "hang"])
def test_a_server_that_will_not_stop_blocks_no_deployment(host, app, how):
    host.has_httpd("active")
    host.breaks("systemctl-stop", how)
    stopped = host.run(app / "scripts/stop_server.sh", STOP_TIMEOUT=0.1)
    assert stopped.returncode == 0
    assert "in spite of exit status" in stopped.stdout


def test_a_broken_setting_blocks_no_deployment(host, app):
    host.has_httpd("active")
    assert host.run(app / "scripts/stop_server.sh", STOP_TIMEOUT="soon").returncode == 0
