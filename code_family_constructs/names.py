"""Floor 0: the names that people type, and the rules that AWS has for them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from constructs import Construct, IConstruct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, slots=True)
class NameRule:
    """What AWS takes as the name of something.

    Args:
        what: The noun for errors, such as `pipeline`; the argument for it is called `<what>_name`.
        character: Regular expression of one allowed character.
        longest: The most characters.
        shortest: The fewest characters.
        first: Regular expression of the first character, where it has a rule of its own.
    """

    what: str
    character: str
    longest: int
    shortest: int = 1
    first: str = ""


def physical_name(construct: Construct, scope: Construct, id: str, given: str | None, rule: NameRule) -> str:
    """The given name, or one made of the stack's name and the construct's place in it; checked either way.

    Things of the Code family are typed into a shell (`aws codepipeline get-pipeline-state --name …`) and their ARNs
    stand in policies, so they get names that can be read and are known at synth time.

    Args:
        construct: The construct that the name is for.
        scope: Its parent.
        id: Its id.
        given: What the user wants it to be called.
        rule: What AWS takes.
    """
    _STACKS[construct] = stack_of(scope)
    if given is not None:
        check_name(construct, given, rule)
        return given
    stack_name, inside = _place(scope)
    name = "-".join(_allowed(part, rule) for part in (stack_name, *inside, id))
    check_name(construct, name, rule, fix=f"give it a shorter {rule.what}_name=")
    return name


def check_name(at: Construct | str, name: str, rule: NameRule, *, fix: str | None = None) -> None:
    """Raises ConfigurationError for a name that AWS would refuse."""
    pattern = f"(?={rule.first or rule.character})(?:{rule.character}){{{rule.shortest},{rule.longest}}}"
    if unresolved(name) or re.fullmatch(pattern, name):
        return
    wrong = sorted(set(re.sub(rule.character, "", name)))
    if not name:
        problem = f"the {rule.what} name is empty"
    elif wrong:
        problem = f"{rule.what} name {name!r} has {' '.join(map(repr, wrong))} in it"
    elif not rule.shortest <= len(name) <= rule.longest:
        problem = f"{rule.what} name {name!r} has {len(name)} characters, AWS takes {rule.shortest} to {rule.longest}"
    else:
        problem = f"{rule.what} name {name!r} starts with {name[0]!r}"
    first = f", the first one {rule.first}" if rule.first else ""
    allowed = f"use {rule.shortest} to {rule.longest} characters out of {rule.character}{first}"
    raise ConfigurationError(problem, at=at, fix=fix or allowed)


def check_count(at: Construct, items: Sequence[object], *, what: str, most: int) -> None:
    """Raises ConfigurationError for more items than AWS takes."""
    if len(items) > most:
        raise ConfigurationError(f"{len(items)} {what}, AWS takes {most}", at=at, fix=f"give at most {most}")


def check_list(at: Construct | str, name: str, given: object) -> None:
    """Raises ConfigurationError for one of what should be a list of them, and for a text, a list of its letters."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        shown = repr(given) if isinstance(given, str) else type(given).__name__
        raise ConfigurationError(f"{name}={shown} is no list", at=at, fix=f"write {name}=[…]")


def check_kind(at: Construct | str, name: str, given: object, kind: type | tuple[type, ...], *, fix: str) -> None:
    """Raises ConfigurationError for an argument of another kind than Node would take, in words of this library."""
    if not isinstance(given, kind):
        shown = repr(given) if isinstance(given, str | int | float) else f"a {type(given).__name__}"
        raise ConfigurationError(f"{name}={shown}", at=at, fix=fix)


def stack_of(construct: IConstruct) -> Stack:
    """The stack that a construct is in, which does not change: asked of Node once."""
    if isinstance(construct, Stack):
        return construct
    if construct not in _STACKS:
        _STACKS[construct] = Stack.of(construct)
    return _STACKS[construct]


def environment_of(stack: Stack) -> tuple[str, str]:
    """Account and region of a stack, tokens where they are not known."""
    if stack not in _ENVIRONMENTS:
        _ENVIRONMENTS[stack] = (stack.account, stack.region)
    return _ENVIRONMENTS[stack]


_STACKS: WeakKeyDictionary[IConstruct, Stack] = WeakKeyDictionary()
_ENVIRONMENTS: WeakKeyDictionary[Stack, tuple[str, str]] = WeakKeyDictionary()


# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_MOST_ENVIRONMENT = 4096
_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")


def check_environment_size(at: Construct, environment: Mapping[str, str]) -> None:
    """Raises ConfigurationError for more than a Lambda function's environment holds, as far as it is known."""
    size = sum(len(_TOKEN.sub("", text).encode()) for pair in environment.items() for text in pair)
    if size > _MOST_ENVIRONMENT:
        raise ConfigurationError(
            f"{size} bytes of environment variables and settings, Lambda takes {_MOST_ENVIRONMENT}",
            at=at,
            fix="write less, or read long values from elsewhere, such as a parameter of Systems Manager",
        )


def _allowed(text: str, rule: NameRule) -> str:
    return re.sub(f"(?!{rule.character}).", "-", text, flags=re.DOTALL)


# None of this changes, and reading it costs round trips to Node for each name below a scope.
_PLACES: WeakKeyDictionary[Construct, tuple[str, Sequence[str]]] = WeakKeyDictionary()


def _place(scope: Construct) -> tuple[str, Sequence[str]]:
    """Name of the stack, and the ids from there down to the scope.

    A nested stack is a place in the outermost one: its own name, known at deploy time only, takes up all that AWS
    gives most names.
    """
    if scope not in _PLACES:
        stack = stack_of(scope)
        while (outer := stack.nested_stack_parent) is not None:
            stack = outer
        inside = () if stack is scope else scope.node.path.removeprefix(f"{stack.node.path}/").split("/")
        _PLACES[scope] = (stack.stack_name, inside)
    return _PLACES[scope]
