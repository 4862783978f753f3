"""Names with wildcards and patterns of Python, as RE2 reads them."""

import re

import pytest
from aws_cdk import CfnParameter

from code_family_constructs.build.patterns import any_of, can_start_with, glob, re2, unsupported
from tests.helpers import a_stack


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"a(?=b)", "look-around"),
        (r"^(?!docs/)", "look-around"),
        (r"(?<=a)b", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"(?P<x>a)(?P=x)", "back-reference"),
        (r"(a)?(?(1)b|c)", "condition"),
        (r"a(?#why)", "comment"),
        (r"(?a)a", "flag"),
        (r"a\Z", "escape"),
        (r"\u00e9", "escape"),
        (r"[\u00e9]", "escape"),
        (r"a{1001}", "1000 repeats"),
        (r"a{2,2000}", "1000 repeats"),
        (r"a{,3}", "count without its least"),
    ],
)
def test_what_re2_lacks_is_found(pattern, what):
    # Each of these was given to RE2 itself, which refuses it, but for the last one, which means something else there.
    assert what in str(unsupported(re.compile(pattern)))


@pytest.mark.parametrize("pattern", ["(?>a)b", "a++", "a*+", "a?+", "a{2,3}+"])
def test_atomic_groups_are_found(pattern):
    assert "atomic group" in str(unsupported(re.compile(pattern)))


def test_verbose_patterns_are_found():
    assert "re.VERBOSE" in str(unsupported(re.compile("a b", re.VERBOSE)))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^refs/heads/main$", r"\[skip ci\]", r"[(?=]x", r"\(\?=x", r"[\]a]b", r"[]a]", r"[^]]", r"a{2,}", r"a{1000}",
        r"x*?", r"x+?", r"x??", r"\d+\.\w\s\b", r"(?:a|b)", r"(?i:x)y", r"(?P<n>x)", r"a{b}", r"\\1", r"\x41",
    ],
)  # fmt: skip
def test_what_re2_knows_is_accepted(pattern):
    assert unsupported(re.compile(pattern)) is None


def test_flags_are_written_as_re2_does():
    assert re2(re.compile("a", re.IGNORECASE | re.DOTALL)) == "(?is)a"
    assert re2(re.compile("a")) == "a"


@pytest.mark.parametrize(
    ("name", "matching", "other"),
    [
        ("main", ["main"], ["maintenance", "mai", "xmain"]),
        ("v1.0", ["v1.0"], ["v1x0"]),
        ("release/*", ["release/1"], ["release/1/2", "release"]),
        ("release/**", ["release/1", "release/1/2"], ["release", "xrelease/1"]),
        ("**/*.md", ["a.md", "docs/a.md", "docs/img/a.md"], ["amd", "a.mdx"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
        ("v?", ["v1"], ["v", "v12", "v/"]),
        ("a+b(c)[d]", ["a+b(c)[d]"], ["aab(c)[d]"]),
        ("a b", ["a b"], ["ab"]),
    ],
)
def test_wildcards_match_as_documented(name, matching, other):
    expression = re.compile(f"^{glob(name)}$")
    assert all(expression.search(text) for text in matching)
    assert not any(expression.search(text) for text in other)


def test_tokens_are_left_as_they_are():
    token = CfnParameter(a_stack(), "Branch").value_as_string
    assert glob(token) == token


def test_several_expressions_are_one():
    assert any_of(["a"]) == "a"
    assert any_of(["a", "b|c", "a"]) == "a|(?:b|c)"


@pytest.mark.parametrize(
    ("pattern", "possible"),
    [
        (r"^main$", False),
        (r"\Amain", False),
        (r"^heads/main", False),
        (r"^refs/heads/main$", True),
        (r"^refs/head", True),
        (r"^refs/heads\/main", True),
        (r"^refs?/", True),
        (r"^x?refs/", True),
        (r"main", True),
        (r"^main$|^refs/heads/dev$", True),
        (r"(?i)^REFS/", True),
        (r"^(?:refs/heads/)?main", True),
    ],
)
def test_patterns_that_no_branch_can_match_are_found(pattern, possible):
    assert can_start_with(re.compile(pattern), ["refs/heads/"]) is possible
