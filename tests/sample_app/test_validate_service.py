import socket

import pytest

from .conftest import RELEASE, Answer


@pytest.fixture
def validate(host, revision, site):
    def run(**settings):
        quick = {"VALIDATE_URL": site.url, "VALIDATE_ATTEMPTS": 3, "VALIDATE_DELAY": 0.02, "VALIDATE_TIMEOUT": 2}
        return host.run(revision / "scripts/validate_service.sh", **{**quick, **settings})

    return run


@pytest.fixture
def page(revision):
    return (revision / "index.html").read_text(encoding="utf-8")


def test_a_server_that_serves_this_release_is_accepted_at_once(site, page, validate):
    site.answers = [Answer(body=page)]
    accepted = validate()
    assert accepted.returncode == 0, accepted.stdout
    assert f"serves release {RELEASE}" in accepted.stdout
    assert len(site.requests) == 1


def test_a_server_that_becomes_healthy_on_the_third_try_is_accepted(site, page, validate):
    site.answers = [Answer(503), Answer(200, "the placeholder"), Answer(body=page)]
    assert validate().returncode == 0
    assert len(site.requests) == 3


@pytest.mark.parametrize("status", [500, 404])
def test_an_error_status_is_refused_and_reported(site, page, validate, status):
    site.answers = [Answer(status, page)]
    refused = validate()
    assert refused.returncode == 1
    assert f"HTTP {status}" in refused.stdout.splitlines()[-1]


def test_a_redirect_is_not_a_page(site, page, validate):
    site.answers = [Answer(302, page, {"Location": "/login"})]
    refused = validate()
    assert refused.returncode == 1
    assert "HTTP 302 instead of 200" in refused.stdout.splitlines()[-1]


def test_the_release_before_is_refused_by_name(site, page, validate):
    site.answers = [Answer(body=page.replace(RELEASE, "0ld0ld00-16"))]
    refused = validate()
    assert refused.returncode == 1
    assert "it serves release 0ld0ld00-16" in refused.stdout.splitlines()[-1]


def test_a_release_whose_name_only_begins_alike_is_refused(site, page, validate):
    site.answers = [Answer(body=page.replace(RELEASE, RELEASE + "0"))]
    assert validate().returncode == 1


def test_a_page_without_a_release_is_refused(site, validate):
    site.answers = [Answer(body="<h1>It works!</h1>")]
    assert "serves release without a name" in validate().stdout.splitlines()[-1]


def test_a_server_that_does_not_answer_in_time_is_refused(site, validate):
    site.answers = [Answer(hangs=True)]
    refused = validate(VALIDATE_ATTEMPTS=2, VALIDATE_TIMEOUT=0.1)
    assert refused.returncode == 1
    assert "timed out" in refused.stdout.splitlines()[-1]


def test_a_port_where_nobody_listens_is_refused(validate):
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))
        refused = validate(VALIDATE_URL=f"http://127.0.0.1:{bound_only.getsockname()[1]}/")
    assert refused.returncode == 1
    assert "HTTP 000" in refused.stdout.splitlines()[-1]


def test_attempts_are_bounded(site, validate):
    site.answers = [Answer(500)]
    validate(VALIDATE_ATTEMPTS=4)
    assert len(site.requests) == 4


def test_a_refusal_shows_what_the_machine_knows(host, site, validate):
    site.answers = [Answer(500)]
    host.error_log.write_text("[core:error] AH00037: Symbolic link not allowed\n", encoding="utf-8")
    said = validate().stdout
    assert "ActiveState=stubbed" in said
    assert "a line of the journal" in said
    assert "AH00037" in said


def test_a_refusal_fits_into_what_the_agent_reports(host, site, revision, validate):
    site.answers = [Answer(500)]
    host.error_log.write_text(("[core:error] " + "a very long line " * 50 + "\n") * 50, encoding="utf-8")
    said = validate().stdout
    diagnosis = said[said.index("ActiveState") :].splitlines()
    assert sum(len(f"[stdout]{line}\n") for line in diagnosis) < 2048


def test_a_repository_that_was_never_built_is_refused(host, app):
    refused = host.run(app / "scripts/validate_service.sh")
    assert refused.returncode == 1
    assert "no release.txt" in refused.stdout
