import shutil

from .conftest import RELEASE


def test_the_installed_page_and_the_configuration_are_accepted(host, revision):
    shutil.copy(revision / "index.html", host.docroot)
    checked = host.run(revision / "scripts/after_install.sh")
    assert checked.returncode == 0
    assert f"holds release {RELEASE}" in checked.stdout
    assert host.calls == ["httpd -t"]


def test_a_page_of_another_release_in_the_docroot_is_refused(host, revision):
    (host.docroot / "index.html").write_text("<title>the welcome page of the machine image</title>", encoding="utf-8")
    refused = host.run(revision / "scripts/after_install.sh")
    assert refused.returncode == 1
    assert f"is not the page of release {RELEASE}" in refused.stdout


def test_an_empty_docroot_is_refused(host, revision):
    assert host.run(revision / "scripts/after_install.sh").returncode == 1


def test_a_repository_that_was_never_built_is_refused(host, app):
    shutil.copy(app / "index.html", host.docroot)
    refused = host.run(app / "scripts/after_install.sh")
    assert refused.returncode == 1
    assert "no release.txt" in refused.stdout


def test_a_configuration_that_httpd_cannot_read_is_refused(host, revision):
    shutil.copy(revision / "index.html", host.docroot)
    host.breaks("httpd")
    assert host.run(revision / "scripts/after_install.sh").returncode == 1
