"""Floor 1: names with wildcards, and patterns of Python, as the regular expressions that CodeBuild reads (RE2)."""

import re
from collections.abc import Iterable, Sequence

from code_family_constructs.tokens import unresolved

# A name, in which `*` stands for anything within a folder and `**` for anything across folders; or an expression.
Pattern = str | re.Pattern[str]


def unsupported(pattern: re.Pattern[str]) -> str | None:
    """What RE2 does not know of a pattern of Python: https://github.com/google/re2/wiki/Syntax."""
    if pattern.flags & re.VERBOSE:
        return "the flag re.VERBOSE"
    for token in _TOKEN.finditer(pattern.pattern):
        text = token[0]
        for form, what in _NOT_IN_RE2:
            if form.fullmatch(text):
                return f"{what}: {text!r}"
        if text.startswith("{") and max(map(int, re.findall(r"\d+", text)), default=0) > _MOST_REPEATS:
            return f"more than {_MOST_REPEATS} repeats: {text!r}"
    return None


# An escape, a set, the start of a group, or how often something repeats.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^]\\])*\]|\(\?(?:P[<=>]|<?[=!]|[#(>]|[a-zA-Z-]+)|\{\d*,?\d*\}[+?]?|[*+?][+?]?", re.DOTALL
)
_MOST_REPEATS = 1000
_NOT_IN_RE2 = tuple(
    (re.compile(form, re.DOTALL), what)
    for form, what in (
        (r"\(\?<?[=!]", "a look-around"),
        (r"\\[1-9]|\(\?P=", "a back-reference"),
        (r"\(\?>|[*+?]\+|\{.*\}\+", "an atomic group"),
        (r"\(\?\(", "a condition"),
        (r"\(\?#", "a comment"),
        (r"\(\?[a-zA-Z-]*[aLux][a-zA-Z-]*", "a flag"),
        (r"\\[ZuUN]|\[.*\\[uUN].*\]", "an escape"),
        (r"\{,\d+\}[+?]?", "a count without its least"),
    )
)


def re2(pattern: re.Pattern[str]) -> str:
    """The pattern with its flags, as RE2 writes them."""
    flags = "".join(letter for letter, flag in _FLAGS.items() if pattern.flags & flag)
    return f"(?{flags}){pattern.pattern}" if flags else pattern.pattern


_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def can_start_with(pattern: re.Pattern[str], beginnings: Sequence[str]) -> bool:
    """Whether a text with one of these beginnings can match; True where that is hard to tell."""
    fixed = re.match(r"(?:\^|\\A)((?:[\w/ -]|\\[./-])*)([*?{]?)", pattern.pattern)
    if fixed is None or "|" in pattern.pattern or pattern.flags & (re.IGNORECASE | re.MULTILINE):
        return True
    literal = fixed[1].replace("\\", "")
    literal = literal[:-1] if fixed[2] else literal
    return any(one.startswith(literal) or literal.startswith(one) for one in beginnings)


def glob(text: str) -> str:
    """An expression for a name with `*`, `**` and `?`, without anchors; a token is left as it is."""
    if unresolved(text):
        return text
    return "".join(_WILDCARDS.get(piece) or re.escape(piece) for piece in pieces(text))


def pieces(text: str) -> list[str]:
    """The wildcards of a name, and the texts between them."""
    return re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", text)


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def any_of(expressions: Iterable[str]) -> str:
    """One expression for several."""
    each = list(dict.fromkeys(expressions))
    return each[0] if len(each) == 1 else "|".join(f"(?:{one})" if "|" in one else one for one in each)
