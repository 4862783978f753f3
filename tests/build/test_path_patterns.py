"""The paths that some names match and others do not, as one expression."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.build.path_patterns import paths_outside
from code_family_constructs.build.patterns import glob, unsupported

# Letters that meet each other in names and paths often enough to matter.
_names = st.lists(
    st.sampled_from(["d", "do", "s", ".md", "/", "*", "**", "**/", "?", "a.m", "[", " "]), min_size=1, max_size=5
)
_globs = st.lists(_names.map("".join), min_size=1, max_size=3).map(tuple)
_paths = st.lists(st.sampled_from(["d", "o", "s", "/", ".", "m", "a", "[", " ", "x", "é"]), max_size=8).map("".join)


def matches(names, path):
    return any(re.fullmatch(glob(name), path) for name in names)


@given(_globs, _globs, st.lists(_paths, min_size=1, max_size=20))
def test_it_matches_what_is_included_and_not_excluded(included, excluded, paths):
    expression = paths_outside(excluded, included)
    for path in paths:
        expected = matches(included, path) and not matches(excluded, path)
        assert bool(expression is not None and re.search(expression, path)) is expected


@given(_globs, _globs)
def test_it_is_an_expression_that_re2_knows(included, excluded):
    expression = paths_outside(excluded, included)
    assert expression is None or unsupported(re.compile(expression)) is None


@pytest.mark.parametrize("excluded", [("**",), ("src/**", "**"), ("**/*",)])
def test_nothing_may_be_left(excluded):
    assert paths_outside(excluded, ("src/*",)) is None


@pytest.mark.parametrize(
    ("excluded", "longest"),
    [
        (("docs/**",), 70),
        (("**/*.md",), 100),
        (("docs/**", "**/*.md"), 300),
        (("docs/**", "README.md", "LICENSE"), 300),
    ],
)
def test_usual_ones_stay_short_enough_to_be_looked_at(excluded, longest):
    assert len(paths_outside(excluded) or "") <= longest


def test_it_is_the_same_each_time():
    paths_outside.cache_clear()
    first = paths_outside(("docs/**", "**/*.md"))
    paths_outside.cache_clear()
    assert paths_outside(("docs/**", "**/*.md")) == first
