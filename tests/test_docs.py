"""The documentation runs: every Python block of the README and of docstrings, top to bottom."""

import contextlib
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser

import code_family_constructs
from code_family_constructs.testing import synthesized

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "sample_app").rglob("README.md"))]


@pytest.fixture(scope="module")
def printed():
    """What the README's blocks print, in order; a block that raises fails here, with its line."""
    sybil = Sybil([PythonCodeBlockParser()])
    document = sybil.parse(README)
    lines: list[str] = []
    document.namespace.update(print=lambda *values: lines.append(" ".join(map(str, values))))
    with contextlib.chdir(ROOT):
        for example in document.examples():
            example.evaluate()
    made = document.namespace
    for stack in (made["stack"], made["Shop"](made["App"](), "InYourApp", connection_arn=made["arn"])):
        assert synthesized(stack)["Resources"]
    return "\n".join(lines)


def test_what_the_readme_prints_is_what_it_says_it_prints(printed):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    outputs = [text.removesuffix("…\n").rstrip() for language, text in blocks if not language and "→" not in text]
    assert len(outputs) == 3
    for output in outputs:
        assert output in printed


def test_the_first_example_is_complete_within_15_lines(printed):
    lines = README.read_text().splitlines()
    assert lines.index("```python") < 15
    assert "app.synth()" in lines[lines.index("```python") : lines.index("```python") + 15]


def test_the_defaults_table_names_arguments_that_exist():
    table = README.read_text().split("## What you get without asking")[1].split("\n## ")[0]
    named = set(re.findall(r"`([A-Z]\w+)[(.]", table)) - {"RemovalPolicy"}
    assert named <= set(code_family_constructs.__all__)


def test_every_public_name_is_explained():
    text = README.read_text()
    assert [name for name in code_family_constructs.__all__ if f"`{name}" not in text] == []


@pytest.mark.parametrize("path", sorted((ROOT / "code_family_constructs").rglob("*.py")), ids=lambda path: path.stem)
def test_blocks_in_docstrings_run(path):
    sybil = Sybil([PythonCodeBlockParser()], document_types={".py": PythonDocStringDocument})
    for example in sybil.parse(path).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        assert (page.parent / path).exists(), path
        assert path or anchor in anchors, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_have_heads_and_rows_of_one_width(page):
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        rows = table.splitlines()
        assert re.fullmatch(r"\|(?:---\|)+", rows[1]), rows[0]
        assert {row.count(" | ") for row in rows if row != rows[1]} == {rows[1].count("---") - 1}, rows[0]
