import importlib.util
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml.scanner import Scanner

from code_family_constructs import documents
from code_family_constructs.documents import (
    Finding,
    ListNode,
    MapNode,
    Number,
    Scalar,
    YesNo,
    nearest,
    plain,
    read_document,
    read_file,
    refuse_errors,
    render,
    unknown_key,
)
from code_family_constructs.errors import ConfigurationError


def read(text, name="a.yml"):
    return read_document(text, name=name)


def value(text):
    document = read(text)
    assert not document.findings
    return plain(document.root)


def only(text):
    (finding,) = read(text).findings
    return finding


def test_every_node_knows_its_line_column_and_path():
    root = read("phases:\n  build:\n    commands:\n      - make\n      - make test\n").root
    commands = root.get("phases").get("build").get("commands")
    assert isinstance(commands, ListNode)
    second = commands.items[1]
    assert isinstance(second, Scalar)
    assert (second.text, second.line, second.column, second.path) == ("make test", 5, 9, "phases.build.commands[1]")
    key = root.get("phases").entry("build").key
    assert (key.line, key.column, key.path) == (2, 3, "phases.build")


def test_a_key_that_is_no_word_is_quoted_in_paths():
    root = read("reports:\n  arn:aws:x/y:\n    files: a\n").root
    assert root.get("reports").get("arn:aws:x/y").get("files").path == "reports['arn:aws:x/y'].files"


def test_numbers_dates_and_placeholders_stay_the_text_that_was_typed():
    document = read("a: 3.10\nb: 0755\nc: 1_000\nd: 2026-01-02\ne: <TASK_DEFINITION>\nf: 1e3\ng: '3.10'\n")
    assert [entry.value.text for entry in document.root.entries] == [
        "3.10", "0755", "1_000", "2026-01-02", "<TASK_DEFINITION>", "1e3", "3.10",
    ]  # fmt: skip
    assert document.root.get("a").kind == "number"
    assert document.root.get("g").kind == "text"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("yes", True), ("on", True), ("True", True), ("'yes'", True), ("no", False), ("OFF", False), ("maybe", None)],
)
def test_booleans_are_recognised_where_they_are_wanted(text, meant):
    assert read(f"a: {text}").root.get("a").boolean is meant


def test_nothing_is_not_an_empty_text():
    root = read("a:\nb: ''\nc: ~\nd: null\n").root
    assert [root.get(key).is_null for key in "abcd"] == [True, False, True, True]
    assert [root.get(key).what for key in "ab"] == ["empty", "''"]


def test_anchors_aliases_and_merge_keys_are_resolved_where_they_are_used():
    document = read(
        "base: &base\n  a: 1\n  b: [x]\none:\n  <<: *base\n  b: [y]\ntwo:\n  <<: [*base, {c: 2}]\nthree: *base\n"
    )
    assert not document.findings
    one, two = document.root.get("one"), document.root.get("two")
    assert plain(one) == {"b": ["y"], "a": "1"}
    assert plain(two) == {"a": "1", "b": ["x"], "c": "2"}
    assert [entry.merged for entry in one.entries] == [False, True]
    assert document.root.get("three").get("a").path == "three.a"


def test_an_anchor_may_be_defined_again():
    assert value("a: &x 1\nb: &x 2\nc: *x\n") == {"a": "1", "b": "2", "c": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa: 1\r\nb: |\r\n  x\r\n  y\r\n",
        b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n",
        "a: 1\nb: |\n  x\n  y\n".encode("utf-16"),
        "---\na: 1\nb: |\n  x\n  y\n",
        "a: 1\nb: |\n  x\n  y\n---\n",
        '{"a": 1, "b": "x\\ny\\n"}',
        '{\n\t"a":\t1,\n\t"b": "x\\ny\\n"\n}\n',
    ],
)
def test_what_editors_on_any_system_save_is_read(text):
    assert value(text) == {"a": "1", "b": "x\ny\n"}


def test_a_tab_may_stand_after_a_value_and_inside_of_one():
    assert value("a: b\t\nc: d\te\t# why\nf: |\n  g\n  \th\n") == {"a": "b", "c": "d\te", "f": "g\n\th\n"}


def test_without_libyaml_documents_are_read_too(monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader")
    spec = importlib.util.spec_from_file_location("documents_without_libyaml", documents.__file__)
    assert spec
    assert spec.loader
    pure = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, pure)
    spec.loader.exec_module(pure)
    assert issubclass(pure._Loader, Scanner)
    document = pure.read_document("a: &x 1\nb: &x 3.10\nc: *x\n", name="a.yml")
    assert pure.plain(document.root) == {"a": "1", "b": "3.10", "c": "3.10"}
    assert pure.read_document("a: 1\na: 2\n\tb", name="a.yml").findings[0].code == "DOC102"


@pytest.mark.parametrize(
    ("text", "code", "line", "fix"),
    [
        ("a:\n\t- b\n", "DOC102", 2, "indent with spaces"),
        ("a: 1\n\tb: 2\n", "DOC102", 2, "indent with spaces"),
        ("a:\n\xa0 b: 1\n  c: 2\n", "DOC102", 2, "indent with spaces"),
        ("a:\n  b:\n\u3000\u3000- c\n  - d\n", "DOC102", 3, "indent with spaces"),
        ("a: 1\nb: 2\na: 3\n", "DOC103", 3, "indent the second one"),
        ("a: 1\n---\nb: 2\n", "DOC105", 3, "remove the --- line"),
        ("- a\n", "DOC104", 1, "start with a line `key: value`"),
        ("a text\n", "DOC104", 1, "start with a line `key: value`"),
        ("# nothing\n", "DOC106", 1, "write at least one key"),
        ("", "DOC106", 1, "write at least one key"),
        ("a: &a [*a]\n", "DOC107", 1, "write the values out"),
        ("[" * 3000 + "]" * 3000, "DOC107", 1, "flatten"),
        ("a: " + "[" * 100 + "]" * 100 + "\n", "DOC107", 1, "flatten"),
        ("a: {{ b }}\n", "DOC108", 1, "single quotes"),
        (": b\n", "DOC101", 1, "align the line"),
        ("? ''\n: b\n", "DOC108", 1, "write the key"),
        (b"a: 1\n# \xe9\n", "DOC109", 2, "UTF-8"),
        ("a: 1\nb: \x07\n", "DOC109", 2, "remove it"),
        ("a:\n  <<: b\n", "DOC110", 2, "<<: *name"),
        ("a: !Sub b\n", "DOC111", 1, "remove it"),
        ("a: b: c\n", "DOC101", 1, "single quotes"),
        ("a:\n  - *.jar\n", "DOC101", 2, "single quotes"),
        ("a:\n  - &c\n  - @b\n", "DOC101", 3, "single quotes"),
        ("a: 'b\n", "DOC101", 1, "double the single quotes"),
        ('a:\n  - "b" c\n', "DOC101", 2, "single quotes"),
        ("a:\n    b: 1\n  c: 2\n", "DOC101", 3, "align the line"),
        ("a: 1\nb\nc: 2\n", "DOC101", 3, "`key: value`"),
        ("a: [b\nc: 2\n", "DOC101", 2, "close the bracket"),
        ("a: |x\n  b\n", "DOC101", 1, "block alike"),
        ("%a: 1\n", "DOC101", 1, "single quotes"),
        ("a: !<b\n", "DOC101", 1, "single quotes"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_fix(text, code, line, fix):
    finding = read(text).findings[0]
    assert (finding.code, finding.line) == (code, line)
    assert fix in finding.fix


def test_both_lines_of_a_duplicate_key_are_named():
    finding = only("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert "line 2" in finding.problem
    assert "line 4" in finding.problem
    assert finding.path == "a.b"


def test_a_duplicate_that_changes_nothing_is_a_warning():
    assert only("a: x\na: x\n").severity == "warning"
    assert only("a: 3.1\na: '3.1'\n").severity == "warning"
    assert only("a: [x]\na: [x]\n").severity == "error"


def test_aliases_that_grow_without_end_are_refused_quickly():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert only(f"l0: &l0 [x, x]\n{levels}").code == "DOC107"


def test_a_finding_is_one_readable_line():
    finding = only("a: 1\nb: 2\na: 3\n")
    assert str(finding).startswith("a.yml:3: error DOC103 a: key 'a' stands on line 1 and again on line 3")
    assert "\n" not in str(finding)
    assert "; fix: indent" in str(finding)


def test_findings_are_made_at_nodes():
    document = read("a:\n  b: c\n")
    node = document.root.get("a").get("b")
    error, warning = document.error("X1", node, "p", "f"), document.warning("X2", node, "p", "f")
    assert (error.severity, error.name, error.line, error.column, error.path) == ("error", "a.yml", 2, 6, "a.b")
    assert warning.severity == "warning"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("comands", "commands"),
        ("Commands", "commands"),
        ("preBuild", "pre_build"),
        ("pre-build", "pre_build"),
        ("evn", "env"),
        ("deploy", None),
        ("", None),
    ],
)
def test_the_nearest_word_is_the_one_that_was_meant(word, meant):
    assert nearest(word, ["commands", "pre_build", "build", "env", "phases"]) == meant


def test_an_unknown_key_comes_with_the_nearest_one_or_with_all():
    assert unknown_key("filse", ["files", "name"], inside="artifacts") == (
        "artifacts has no key 'filse'",
        "did you mean 'files'?",
    )
    assert unknown_key("zip", ["files", "name"], inside="artifacts")[1] == "use one of files, name"


def test_errors_are_refused_all_at_once_and_warnings_are_not():
    document = read("a: 1\na: 2\nb: 1\nb: 2\nc: !x 1\n")
    with pytest.raises(ConfigurationError, match=r"(?s)has 2 errors.*a\.yml:2.*a\.yml:4.*fix  indent") as refused:
        refuse_errors(document.findings, what="thing", at="a.yml")
    assert "DOC111" not in str(refused.value)
    refuse_errors(read("c: !x 1\n").findings, what="thing", at="a.yml")


def test_a_file_that_is_not_there_is_refused_with_the_one_that_is(tmp_path):
    (tmp_path / "buildspec.yaml").write_text("a: 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"fix  give '.*buildspec\.yaml'"):
        read_file(tmp_path / "buildspec.yml")
    with pytest.raises(ConfigurationError, match="relative to where cdk runs"):
        read_file(tmp_path / "nowhere" / "x.yml")
    root = read_file(tmp_path / "buildspec.yaml").root
    assert root
    assert plain(root) == {"a": "1"}


def test_rendering_keeps_order_quotes_what_needs_it_and_makes_blocks():
    rendered = render({"z": YesNo(True), "a": Number("0.2"), "n": "3.10", "y": "x: y", "l": ["1\n2\n", {"k": True}]})
    assert rendered == "z: yes\na: 0.2\n'n': '3.10'\n'y': 'x: y'\nl:\n  - |\n    1\n    2\n  - k: true\n"


def test_long_lines_are_not_folded_and_the_same_object_is_not_made_an_alias():
    long, shared = "word " * 100 + "end", ["x"]
    assert value(render({"a": long, "b": shared, "c": shared})) == {"a": long, "b": ["x"], "c": ["x"]}
    assert "&" not in render({"b": shared, "c": shared})


AWKWARD = [
    "yes", "No", "on", "null", "~", "3.10", "0x1F", "1e3", "0o7", "y", "=", "<<", "2026-01-01", "12:30", "*a", "&a",
    "!a", "%a", "@a", "`a", "{a", "[a", "'", '"', "|", ">", "?", ":", "---", "...",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from([*AWKWARD, "# a", "- a", "a: b", " a", "a ", "\ta", "a\tb", "a\r\nb", "\n", "a\n\n", " \n a"]),
    st.sampled_from(["\ufeff", "\xa0", "\u3000a", "\x85", "a\u2028b", "a\nb\x85"]),
)


KEYS = TEXTS.filter(bool)
VALUES = st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_text_survives_rendering_and_reading(content):
    document = read(render(content))
    if content:
        assert plain(document.root) == content
        assert list(plain(document.root)) == list(content)
        assert not document.findings


@settings(deadline=None)
@given(st.text() | st.binary())
def test_reading_never_raises(text):
    document = read(text)
    assert document.root is not None or document.findings
    assert all(isinstance(finding, Finding) and finding.line >= 1 for finding in document.findings)
    assert all(
        isinstance(entry.value, Scalar | ListNode | MapNode)
        for entry in (document.root or MapNode((), 1, 1, "")).entries
    )
