"""Patterns: as in AWS's page, and against all the names that there are, of a small alphabet."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import ConfigurationError
from code_family_constructs.pipeline.globs import check_glob, is_literal, matches
from tests.helpers import refuses


@pytest.mark.parametrize(
    ("pattern", "taken", "not_taken"),
    [
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html, line by line
        ("*.java", ["Main.java", ".java"], ["src/Main.java", "Main.javac"]),
        ("*.*", ["a.b", ".gitignore"], ["Makefile", "docs/a.b"]),
        ("*.{java,class}", ["Main.java", "Main.class"], ["Main.jar", "Main.{java,class}"]),
        ("foo.?", ["foo.c"], ["foo.", "foo.cc", "foo./"]),
        ("my-file.jar", ["my-file.jar"], ["directory/my-file.jar"]),
        ("directory/subdirectory/my-file.jar", ["directory/subdirectory/my-file.jar"], ["directory/my-file.jar"]),
        ("**", ["a", "a/b/c.txt", ".github/workflows/ci.yml"], []),
        ("directory/**", ["directory/a", "directory/b/c"], ["directory", "other/a", "a/directory/b"]),
        ("directory/*", ["directory/a", "directory/.hidden"], ["directory/b/c"]),
        (r"\*.md", ["*.md"], ["a.md"]),
        (r"[*?\]x", ["*x", "?x", r"\x"], ["ax"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[!-a]", ["b"], ["-", "a", "/"]),
        ("[a-c]1", ["a1", "b1", "c1"], ["d1", "-1"]),
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html and pipelines-filter.html
        ("common/**/*.js", ["common/app.js", "common/a/b/app.js"], ["src/Main.java", "common/app.ts", "app.js"]),
        ("**/README.md", ["README.md", "docs/a/README.md"], ["OLD-README.md", "README.md/x"]),
        ("feature/**", ["feature/triggers", "feature/a/b"], ["feature", "features/a"]),
        ("main*", ["main", "mainline"], ["main/a"]),
        ("prod*", ["production.env"], ["prod/a"]),
        ("release-v0", ["release-v0"], ["release-v01", "release-V0"]),
        # What follows from them
        ("[+-9]", ["+", "5", "-", "."], ["/", "a"]),
        ("[a[^&|~]", ["a", "[", "^", "&", "|", "~"], ["b"]),
        ("docs/{guide,ref/**}", ["docs/guide", "docs/ref/a/b"], ["docs/ref", "docs/other"]),
        ("a,b", ["a,b"], ["a", "b"]),
        (r"{a\,b,c\}}", ["a,b", "c}"], ["a", "c"]),
        ("{[,}],x}", [",", "}", "x"], ["]", "{"]),
        ("a**b", ["ab", "a/b", "axx/yb"], ["a/c"]),
        ("a**/b", ["a/b", "ax/y/b"], ["ab"]),
        ("(a|b)+.$^", ["(a|b)+.$^"], ["a"]),
        ("a\nb*", ["a\nb", "a\nb\n"], ["a b"]),
    ],
)
def test_a_pattern_takes_what_aws_documents(pattern, taken, not_taken):
    assert [name for name in taken if not matches(pattern, name)] == []
    assert [name for name in not_taken if matches(pattern, name)] == []


@pytest.mark.parametrize(
    ("pattern", "problem", "fix"),
    [
        ("a***", "has *** in it", "** across folders"),
        ("a/****/b", "has **** in it", "** across folders"),
        ("{a,{b,c}}", "a group within a group", "write one pattern for each"),
        ("{a", "has a { without a }", r"write \{"),
        ("{a,b\\}", "has a { without a }", r"write \{"),
        ("a}", "has a } that ends nothing", r"write \}"),
        ("a]", "has a ] that ends nothing", r"write \]"),
        ("{}", "a group with nothing in it", "write one pattern for each"),
        ("{a,}", "a group with nothing in it", "write one pattern for each"),
        ("{a/,}b", "a group with nothing in it", "write one pattern for each"),
        ("{,a}", "a group with nothing in it", "write one pattern for each"),
        ("{a,**}/b", "a ** at the end of a group before a /", "write one pattern for each"),
        ("{**,a}/b", "a ** at the end of a group before a /", "write one pattern for each"),
        ("[ab", "has a [ without a ]", r"write \["),
        ("[", "has a [ without a ]", r"write \["),
        ("[]", "a set of no characters", r"write \["),
        ("[!]", "a set of no characters", r"write \["),
        ("[a/]", "a / in [a/]", "outside of the set"),
        ("[a-]", "neither first nor between two", "put the - first"),
        ("[a-c-e]", "neither first nor between two", "put the - first"),
        ("[c-a]", "c-a in it, which is no range", "write a-c"),
        ("src\\app", "has a \\ before 'a'", "write / between folders"),
        ("src\\", "ends with a \\", "write / between folders"),
    ],
)
def test_fails_when_a_pattern_means_nothing_or_aws_does_not_say_what(pattern, problem, fix):
    with refuses(f"pattern {pattern!r} ", problem, at="PushFilter", fix=fix):
        check_glob("PushFilter", pattern)


def test_what_has_no_wildcards_stands_for_one_name():
    assert is_literal("release/2.0,final")
    assert not any(is_literal(pattern) for pattern in ("a*", "a?", "[a]", "{a}", "\\*"))


LETTERS = "ab/"
LONGEST = 4
NAMES = ["".join(name) for length in range(LONGEST + 1) for name in itertools.product(LETTERS, repeat=length)]


def written(pieces):
    """A pattern in AWS's words, from pieces that each have a meaning of their own."""
    text = ""
    for kind, value in pieces:
        match kind:
            case "set":
                text += f"[{value}]"
            case "group":
                text += "{" + ",".join(written(each) for each in value) + "}"
            case _:
                text += value
    return text


def names_of(pieces, so_far=""):
    """All names that the pieces stand for, up to the longest, by trying whatever could stand there."""
    if not pieces:
        yield so_far
        return
    (kind, value), *rest = pieces
    match kind, value:
        case "text", _:
            parts = [value]
        case "set", _:
            parts = [one for one in "ab" if (one in value) != value.startswith("!")]
        case "wildcard", "?":
            parts = ["a", "b"]
        case "wildcard", "*":
            parts = [name for name in NAMES if "/" not in name]
        case "wildcard", "**":
            parts = NAMES
        case "wildcard", "**/":
            parts = [name for name in NAMES if name.endswith("/") or (name == "" and so_far[-1:] in ("", "/"))]
        case "group", _:
            for each in value:
                yield from names_of([*each, *rest], so_far)
            return
        case _:
            raise AssertionError(kind)
    for part in parts:
        if len(so_far + part) <= LONGEST:
            yield from names_of(rest, so_far + part)


def sensible(pieces):
    """Whether the text means what the pieces mean: no wildcards that run into each other."""
    for (kind, value), (then_kind, then) in itertools.pairwise(pieces):
        if value in ("*", "**") and then_kind == "wildcard" and then != "?":
            return False
        if value == "**" and then == "/":
            return False
        if kind == "group" and then == "/" and any(each[-1] == ("wildcard", "**") for each in value):
            return False
    return True


simple = st.one_of(
    st.tuples(st.just("text"), st.sampled_from(["a", "b", "/"])),
    st.tuples(st.just("wildcard"), st.sampled_from(["*", "**", "**/", "?"])),
    st.tuples(st.just("set"), st.sampled_from(["a", "ab", "!a", "a-b", "!-b"])),
)
alternative = st.lists(simple, min_size=1, max_size=2).filter(sensible)
group = st.tuples(st.just("group"), st.lists(alternative, min_size=1, max_size=3))
patterns = st.lists(st.one_of(simple, simple, group), min_size=1, max_size=4).filter(sensible)


@given(patterns)
def test_a_pattern_takes_exactly_the_names_that_its_pieces_can_be_put_together_to(pieces):
    text = written(pieces)
    check_glob("PushFilter", text)
    assert {name for name in NAMES if matches(text, name)} == set(names_of(pieces))


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_name_with_its_special_characters_escaped_stands_for_itself_alone(name, other):
    pattern = "".join(f"\\{character}" if character in "*?[]{}\\" else character for character in name)
    assert matches(pattern, name)
    assert matches(pattern, other) == (name == other)


@given(st.text("ab/*?[]{},!-\\.^&", max_size=12), st.text("ab/", max_size=4))
def test_whatever_is_typed_is_either_refused_or_can_be_asked(pattern, name):
    with suppress(ConfigurationError):
        assert not matches(pattern, name) or matches(f"{pattern}?", f"{name}z")
