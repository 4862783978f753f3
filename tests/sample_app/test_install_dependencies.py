import pytest


@pytest.fixture
def install(host, app):
    def run(**settings):
        return host.run(app / "scripts/install_dependencies.sh", **{"INSTALL_DELAY": 0, **settings})

    return run


def test_httpd_is_installed_where_it_is_missing(host, install):
    assert install().returncode == 0
    assert host.calls == ["rpm -q httpd", "dnf install -y --quiet httpd"]


def test_a_second_run_asks_no_repository(host, install):
    install()
    second = install()
    assert second.returncode == 0
    assert "already installed" in second.stdout
    assert host.called("dnf") == 1


def test_one_failure_of_dnf_is_survived(host, install):
    host.dnf_answers("1", "ok")
    assert install().returncode == 0
    assert host.called("dnf") == 2


def test_dnf_is_not_tried_for_ever(host, install):
    host.dnf_answers(*["1"] * 9)
    failed = install(INSTALL_ATTEMPTS=3)
    assert failed.returncode == 1
    assert host.called("dnf") == 3


def test_the_last_line_says_what_to_look_at_when_dnf_never_works(host, install):
    host.dnf_answers(*["1"] * 9)
    assert "could not be installed in 2 attempts" in install(INSTALL_ATTEMPTS=2).stdout.splitlines()[-1]


def test_a_dnf_that_waits_for_a_lock_is_cut_off_and_tried_again(host, install):
    host.dnf_answers("hang", "ok")
    assert install(INSTALL_TIMEOUT=0.5).returncode == 0
    assert host.called("dnf") == 2
