import itertools
import json
import re
import shutil
import stat

import pytest

from .conftest import PATH, SAMPLE_APP, run


def test_every_text_has_enough_contrast_in_both_schemes():
    css = (SAMPLE_APP / "css/style.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 2
    for colors, text, ground in itertools.product(schemes, ("text", "muted", "accent"), ("card", "background")):
        assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)


@pytest.mark.skipif(shutil.which("node", path=PATH) is None, reason="runs the page's script")
@pytest.mark.parametrize(
    ("built_at", "age"),
    [
        ("new Date(Date.now() - 5 * 60e3).toISOString()", "(5 minutes ago)"),
        ("new Date(Date.now() - 26 * 3600e3).toISOString()", "(yesterday)"),
        ("new Date(Date.now() + 5e3).toISOString()", "(just now)"),
        ("'__BUILT_AT__'", "(a preview of the source)"),
    ],
)
def test_the_page_tells_how_old_its_release_is(built_at, age):
    script = (SAMPLE_APP / "js/app.js").read_text(encoding="utf-8")
    program = f"""
        const elements = {{built: {{dateTime: {built_at}}}, age: {{}}}};
        const document = {{getElementById: (id) => elements[id]}};
        require("vm").runInNewContext({json.dumps(script)}, {{document, Date}});
        console.log(elements.age.textContent);
    """
    assert run(["node", "-e", program], {}).stdout.strip() == age


@pytest.mark.parametrize("script", sorted(SAMPLE_APP.glob("**/*.sh")), ids=lambda path: path.name)
def test_scripts_are_executable_and_have_unix_line_ends(script):
    assert script.stat().st_mode & stat.S_IXUSR
    assert b"\r" not in script.read_bytes()


def test_every_file_of_the_application_is_explained():
    readme = (SAMPLE_APP / "README.md").read_text(encoding="utf-8")
    files = [path for path in SAMPLE_APP.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = [path.relative_to(SAMPLE_APP) for path in files if "dist" not in path.parts and path.name != "README.md"]
    unexplained = [str(name) for name in names if f"`{name}`" not in readme and f"`{name.parent}/`" not in readme]
    assert unexplained == []


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color):
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
