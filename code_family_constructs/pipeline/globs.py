r"""Floor 2: names with wildcards, as CodePipeline's triggers read them.

`*` stands for anything within a folder, `**` for anything across folders, `?` for one character, `[abc]`, `[a-c]` and
`[!abc]` for one character out of a set, `{main,develop}` for either, and `\` takes the next character as it is.
https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html

Two things are in AWS's examples only. `**/` may stand for no folder at all: `common/**/*.js` takes `common/app.js`.
And a name is taken as a whole: `main` is not `mainline`. What AWS's page says nothing about is refused, rather than
guessed at; but for upper and lower case, which are taken to matter, and dots at the start of a name, which are not.
"""

import re
from functools import lru_cache

from constructs import Construct

from code_family_constructs.errors import ConfigurationError


def matches(pattern: str, name: str) -> bool:
    """Whether a name of a branch, a tag or a file is what the pattern stands for.

    Raises:
        ConfigurationError: The pattern is none.
    """
    return _compiled(pattern).fullmatch(name) is not None


def check_glob(at: Construct | str, pattern: str) -> None:
    """Raises ConfigurationError for a pattern that means nothing, or of which AWS does not say what it means."""
    _expression(pattern, at)


def is_literal(pattern: str) -> bool:
    """Whether a pattern stands for one name only."""
    return not set(pattern) & set("*?[]{}\\")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_expression(pattern, "glob"), re.DOTALL)


_PIECE = re.compile(r"\\.?|\[[^\]]*\]?|\*\*/|\*+|.", re.DOTALL)
_WILDCARDS = {
    # No folder at all, but only where a name begins.
    "**/": r"(?:.*/|(?<![^/]))",
    "**": ".*",
    "*": "[^/]*",
    "?": "[^/]",
}
_SPECIAL = frozenset("*?[]{}\\,-!")


def _expression(pattern: str, at: Construct | str) -> str:
    pieces = _PIECE.findall(pattern)
    written: list[str] = []
    in_group = ends_across = False
    for index, piece in enumerate(pieces):
        if piece in _WILDCARDS:
            written.append(_WILDCARDS[piece])
        elif piece[0] == "*":
            raise _mistake(at, pattern, f"has {piece} in it", "use * within a folder, ** across folders")
        elif piece[0] == "\\":
            written.append(_escaped(piece, pattern, at))
        elif piece[0] == "[":
            written.append(_set(piece, pattern, at))
        elif piece == "{" and not in_group:
            in_group, ends_across = True, False
            written.append("(?:")
        elif piece == "{":
            raise _mistake(at, pattern, "has a group within a group", "write one pattern for each")
        elif piece in ("}", ",") and in_group:
            if pieces[index - 1] in ("{", ","):
                raise _mistake(at, pattern, "has a group with nothing in it", "write one pattern for each")
            ends_across |= pieces[index - 1] == "**"
            if piece == "}" and ends_across and pieces[index + 1 : index + 2] == ["/"]:
                # Whether `{a,**}/b` takes `b` depends on whether the group or the `**/` is read first.
                raise _mistake(at, pattern, "has a ** at the end of a group before a /", "write one pattern for each")
            written.append("|" if piece == "," else ")")
            in_group = piece == ","
        elif piece in ("}", "]"):
            raise _mistake(at, pattern, f"has a {piece} that ends nothing", rf"write \{piece} for the character itself")
        else:
            written.append(re.escape(piece))
    if in_group:
        raise _mistake(at, pattern, "has a { without a }", r"end the group, or write \{ for the character itself")
    return "".join(written)


def _escaped(piece: str, pattern: str, at: Construct | str) -> str:
    character = piece[1:]
    if character not in _SPECIAL:
        raise _mistake(
            at,
            pattern,
            f"has a \\ before {character!r}, which has no other meaning" if character else "ends with a \\",
            r"write / between folders, and \\ for the character itself",
        )
    return re.escape(character)


def _set(piece: str, pattern: str, at: Construct | str) -> str:
    if not piece.endswith("]"):
        raise _mistake(at, pattern, "has a [ without a ]", r"end the set, or write \[ for the character itself")
    negated = piece.startswith("[!")
    members = piece[2:-1] if negated else piece[1:-1]
    if not members:
        raise _mistake(at, pattern, f"has {piece} in it, a set of no characters", r"write \[ for the character itself")
    if "/" in members:
        raise _mistake(at, pattern, f"has a / in {piece}", "write the / outside of the set")
    dash, rest = members[:1] == "-", members.removeprefix("-")
    parts = re.findall(r"[^-]-[^-]|[^-]", rest, re.DOTALL)
    if "".join(parts) != rest:
        raise _mistake(at, pattern, f"has a - in {piece} that is neither first nor between two", "put the - first")
    for part in parts:
        if len(part) == 3 and part[0] > part[2]:
            raise _mistake(at, pattern, f"has {part} in it, which is no range", f"write {part[2]}-{part[0]}")
    written = "".join("-".join(map(re.escape, part.split("-"))) for part in parts)
    return f"(?!/)[{'^' if negated else ''}{re.escape('-') if dash else ''}{written}]"


def _mistake(at: Construct | str, pattern: str, problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"pattern {pattern!r} {problem}", at=at, fix=fix)
