"""Floor 1: "some file outside of docs/ changed" as a regular expression that CodeBuild reads (RE2).

A filter that excludes what it matches would not do: by CodeBuild's words it keeps a build from starting when one of the
changed files matches, so a change of code *and* docs would not be built. RE2 has no look-ahead to say "not below docs/"
either. So the expression is worked out here, by the constructions of any textbook on automata: all names are followed
at once, character by character, and then the states of that are taken out, one by one, with expressions in their place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from code_family_constructs.build.patterns import pieces


@lru_cache
def paths_outside(excluded: tuple[str, ...], included: tuple[str, ...] = ("**",)) -> str | None:
    """An expression for the paths that a name of `included` matches and none of `excluded`; None when there are none.

    Args:
        excluded: Names, with `*`, `**` and `?`.
        included: Names likewise.
    """
    names = [(steps, True) for steps in _steps(included)] + [(steps, False) for steps in _steps(excluded)]
    alphabet = {what for steps, _ in names for what, _ in steps} - {_WITHIN, _ACROSS} | {"/", _OTHER}
    moves, final = _smallest(*_automaton(names, sorted(alphabet)))
    if not final:
        return None
    return f"^{_text(_expression(moves, final, alphabet), alone=False)}$"


# One step through a name: a character or one of the two wildcards, and whether it may take any number of characters.
_Step = tuple[str, bool]
_WITHIN, _ACROSS = "any in this folder", "any"
_WILDCARDS: Mapping[str, _Step] = {"**": (_ACROSS, True), "*": (_WITHIN, True), "?": (_WITHIN, False)}
_OTHER = ""  # Stands for every character that is in no name.
# From state to state by character; the first state is 0.
_Moves = dict[int, dict[str, int]]
# The expressions between which a text may choose.
_Choice = tuple[str, ...]


def _steps(names: Iterable[str]) -> list[list[_Step]]:
    every: list[list[_Step]] = []
    for name in names:
        forms: list[list[_Step]] = [[]]
        for piece in pieces(name):
            if piece == "**/":
                forms += [[*form, (_ACROSS, True), ("/", False)] for form in forms]
            else:
                steps = [_WILDCARDS[piece]] if piece in _WILDCARDS else [(character, False) for character in piece]
                forms = [[*form, *steps] for form in forms]
        every += forms
    return every


def _automaton(names: Sequence[tuple[list[_Step], bool]], alphabet: Sequence[str]) -> tuple[_Moves, set[int]]:
    def places(reached: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """For each name, how many of its steps may be done; one that repeats may also be over."""
        waiting, found = list(reached), set[tuple[int, int]]()
        while waiting:
            name, done = place = waiting.pop()
            found.add(place)
            steps = names[name][0]
            if done < len(steps) and steps[done][1]:
                waiting.append((name, done + 1))
        return frozenset(found)

    first = places((name, 0) for name in range(len(names)))
    numbers, waiting, moves = {first: 0}, [first], _Moves()
    for state in waiting:
        here = moves.setdefault(numbers[state], {})
        for character in alphabet:
            following = places(
                (name, done if repeats else done + 1)
                for name, done in state
                for what, repeats in names[name][0][done : done + 1]
                if what in (character, _ACROSS) or (what == _WITHIN and character != "/")
            )
            if any(names[name][1] for name, _ in following):
                if following not in numbers:
                    waiting.append(following)
                here[character] = numbers.setdefault(following, len(numbers))
    over = {
        number: {names[name][1] for name, done in state if done == len(names[name][0])}
        for state, number in numbers.items()
    }
    return moves, {number for number, kinds in over.items() if kinds == {True}}


def _smallest(moves: _Moves, final: set[int]) -> tuple[_Moves, set[int]]:
    """The same with one state for all from which the same texts are accepted."""
    kinds = {state: int(state in final) for state in moves}
    while True:
        looks = {state: (kinds[state], *sorted((c, kinds[to]) for c, to in moves[state].items())) for state in moves}
        numbers = {look: number for number, look in enumerate(dict.fromkeys(looks.values()))}
        if len(numbers) == len(set(kinds.values())):
            break
        kinds = {state: numbers[look] for state, look in looks.items()}
    renamed = {state: numbers[look] for state, look in looks.items()}
    return (
        {renamed[state]: {c: renamed[to] for c, to in there.items()} for state, there in moves.items()},
        {renamed[state] for state in final},
    )


def _expression(moves: _Moves, final: set[int], alphabet: set[str]) -> _Choice:
    begin, end = -1, -2
    edges: dict[int, dict[int, _Choice]] = {begin: {0: ("",)}}
    for state, there in moves.items():
        by_target: dict[int, set[str]] = {}
        for character, to in there.items():
            by_target.setdefault(to, set()).add(character)
        edges[state] = {to: (_set(characters, alphabet),) for to, characters in by_target.items()}
        if state in final:
            edges[state][end] = ("",)
    while len(edges) > 1:
        state = min(edges.keys() - {begin}, key=lambda state: (_growth(edges, state), state))
        out = edges.pop(state)
        loop = _repeated(out.pop(state, ()))
        for before in edges.values():
            if state in before:
                into = _text(before.pop(state))
                for to, choice in out.items():
                    through = f"{into}{loop}{_text(choice)}"
                    before[to] = tuple(dict.fromkeys((*before.get(to, ()), through)))
    return edges[begin][end]


def _growth(edges: Mapping[int, Mapping[int, _Choice]], state: int) -> int:
    """How much longer everything gets without this state: the order decides whether the result can be read."""
    into = [len(_text(there[state])) for other, there in edges.items() if other != state and state in there]
    out = [len(_text(choice)) for to, choice in edges[state].items() if to != state]
    loop = len(_repeated(edges[state].get(state, ())))
    return sum(into) * (len(out) - 1) + sum(out) * (len(into) - 1) + loop * (len(into) * len(out) - 1)


def _set(characters: set[str], alphabet: set[str]) -> str:
    """An expression for one of the characters."""
    if _OTHER in characters:
        rest = _in_set(alphabet - characters)
        return f"[^{rest}]" if rest else "."
    return re.escape(*characters) if len(characters) == 1 else f"[{_in_set(characters)}]"


def _in_set(characters: set[str]) -> str:
    return "".join(f"\\{one}" if one in "\\[]^-" else one for one in sorted(characters))


def _repeated(choice: _Choice) -> str:
    some = tuple(one for one in choice if one)
    text = _text(some) if some else ""
    return f"{text}*" if len(some) > 1 or _is_one(text) else f"(?:{text})*" if text else ""


def _text(choice: _Choice, *, alone: bool = True) -> str:
    some = [one for one in choice if one]
    text = some[0] if len(some) == 1 else "|".join(some)
    if len(some) > 1 or (some and len(some) < len(choice) and not _is_one(text)) or not alone:
        text = f"(?:{text})"
    return f"{text}?" if some and len(some) < len(choice) else text


def _is_one(text: str) -> bool:
    """Whether an expression is one character or set, which can be repeated as it is."""
    return re.fullmatch(r"[^\\]|\\.|\[(?:\\.|[^]\\])*\]", text) is not None
