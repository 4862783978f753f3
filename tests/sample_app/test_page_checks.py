"""tests/test_app.sh of the sample application: good for something only if it fails when it should."""

import shutil

import pytest

from .conftest import PATH, run

BROKEN = {
    "a missing page": ("index.html", None, None, "index.html is missing"),
    "a missing style sheet": ("css/style.css", None, None, "<link> links to css/style.css, which does not exist"),
    "a missing script": ("js/app.js", None, None, "<script> links to js/app.js, which does not exist"),
    "an empty page": ("index.html", "*", "", "index.html is missing or empty"),
    "an empty title": ("index.html", "<title>Release __RELEASE__", "<title> ", "<title> is empty"),
    "a misspelt style sheet": ("index.html", "css/style.css", "css/styles.css", "css/styles.css, which does not exist"),
    "a misspelt script": ("index.html", "js/app.js", "js/main.js", "js/main.js, which does not exist"),
    "a link out of the docroot": ("index.html", "css/style.css", "../secret.css", "write it relative to the page"),
    "an absolute link": ("index.html", "css/style.css", "/css/style.css", "write it relative to the page"),
    "no release to validate": ("index.html", 'content="__RELEASE__"', 'content="1"', "release meta does not hold"),
    "no commit": ("index.html", "__COMMIT__", "?", "placeholder __COMMIT__ is missing"),
    "no build number": ("index.html", "__BUILD__", "?", "placeholder __BUILD__ is missing"),
    "no build time": ("index.html", "__BUILT_AT__", "?", "placeholder __BUILT_AT__ is missing"),
    "an unclosed element": ("index.html", "</main>", "", "<main> of line 14 is not closed"),
    "an unclosed page": ("index.html", "</body>\n</html>", "", "<html> of line 2 is not closed"),
    "a stray end tag": ("index.html", "</main>", "</main></section>", "</section> in line 30 closes nothing"),
    "no language": ("index.html", ' lang="en"', "", "does not say its lang"),
    "no viewport": ("index.html", 'name="viewport"', 'name="view"', "viewport meta is missing"),
    "no doctype": ("index.html", "<!doctype html>\n", "", "not <!doctype html>"),
    "a picture without words": ("index.html", "</main>", '<img src="index.html"></main>', "has no alt"),
    "a style sheet cut short": ("css/style.css", "font-weight: 600;\n}", "font-weight: 600;\n", "braces do not match"),
    "a hook that is no bash": (
        "scripts/start_server.sh",
        "free_the_port() {",
        "free_the_port() ((",
        "start_server.sh: line",
    ),
    "a missing hook": ("scripts/stop_server.sh", None, None, "appspec.yml runs scripts/stop_server.sh, which does not"),
    "a misspelt hook": (
        "appspec.yml",
        "stop_server",
        "stop_sever",
        "appspec.yml runs scripts/stop_sever.sh, which does",
    ),
    "a missing folder": ("appspec.yml", "source: css", "source: styles", "appspec.yml installs styles, which does not"),
    "published scripts": (
        "appspec.yml",
        "source: index.html",
        "source: /",
        "scripts and appspec.yml would be published",
    ),
    "windows line ends": ("scripts/start_server.sh", "exit 1\n", "exit 1\r\n", "has Windows line ends"),
}


def test_the_application_passes_its_own_tests(app):
    checked = run([app / "tests/test_app.sh"], {})
    assert checked.returncode == 0, checked.stdout
    assert "FAIL" not in checked.stdout


@pytest.mark.parametrize(("name", "before", "after", "message"), BROKEN.values(), ids=BROKEN)
def test_it_fails_and_names(app, path_without_node, name, before, after, message):
    change(app / name, before, after)
    checked = run([app / "tests/test_app.sh"], {"PATH": path_without_node})
    assert checked.returncode == 1
    assert message in checked.stdout


@pytest.mark.skipif(shutil.which("node", path=PATH) is None, reason="only node can tell")
def test_it_fails_on_javascript_that_does_not_parse(app):
    change(app / "js/app.js", "function timeSince(date) {", "function timeSince(date {")
    checked = run([app / "tests/test_app.sh"], {})
    assert checked.returncode == 1
    assert "js/app.js: SyntaxError" in checked.stdout


def test_it_says_that_javascript_was_not_checked_where_node_is_missing(app, path_without_node):
    checked = run([app / "tests/test_app.sh"], {"PATH": path_without_node})
    assert checked.returncode == 0, checked.stdout
    assert "SKIP: no node here" in checked.stdout


def test_it_fails_on_a_script_that_is_not_executable(app):
    (app / "scripts/validate_service.sh").chmod(0o644)
    checked = run([app / "tests/test_app.sh"], {})
    assert checked.returncode == 1
    assert "scripts/validate_service.sh is not executable" in checked.stdout


def test_it_reports_every_problem_of_one_run(app):
    change(app / "index.html", "</main>", "")
    change(app / "appspec.yml", "source: css", "source: styles")
    assert run([app / "tests/test_app.sh"], {}).stdout.count("FAIL:") == 2


def change(path, before, after):
    if before is None:
        path.unlink()
    elif before == "*":
        path.write_text(after, encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_bytes(text.replace(before, after).encode())
