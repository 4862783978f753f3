"""Floor 0: the names that people type, and the rules that AWS has for them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from aws_cdk import Stack, Token
from constructs import Construct

from code_family_constructs.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class NameRule:
    """What AWS takes as the name of something.

    Args:
        what: The noun for errors, such as `pipeline`.
        character: Regular expression of one allowed character.
        longest: The most characters.
    """

    what: str
    character: str
    longest: int


def physical_name(construct: Construct, given: str | None, rule: NameRule) -> str:
    """The given name, or one made of the stack's name and the construct's place in it; checked either way.

    Things of the Code family are typed into a shell (`aws codepipeline get-pipeline-state --name …`) and their ARNs
    stand in policies, so they get names that can be read and are known at synth time.
    """
    name = given
    if name is None:
        stack_name, stack_path = _name_and_path(Stack.of(construct))
        inside = construct.node.path.removeprefix(stack_path).strip("/")
        name = re.sub(f"(?!{rule.character}).", "-", f"{stack_name}-{inside}")
    check_name(construct, name, rule)
    return name


def check_name(at: Construct, name: str, rule: NameRule) -> None:
    """Raises ConfigurationError for a name that AWS would refuse."""
    if Token.is_unresolved(name) or re.fullmatch(f"(?:{rule.character}){{1,{rule.longest}}}", name):
        return
    wrong = sorted(set(re.sub(rule.character, "", name)))
    if not name:
        problem = f"the {rule.what} name is empty"
    elif wrong:
        problem = f"{rule.what} name {name!r} has {' '.join(map(repr, wrong))} in it"
    else:
        problem = f"{rule.what} name {name!r} has {len(name)} characters, AWS takes {rule.longest}"
    raise ConfigurationError(problem, at=at, fix=f"use 1 to {rule.longest} characters out of {rule.character}")


def check_count(at: Construct, items: Sequence[object], *, what: str, most: int) -> None:
    """Raises ConfigurationError for more items than AWS takes."""
    if len(items) > most:
        raise ConfigurationError(f"{len(items)} {what}, AWS takes {most}", at=at, fix=f"give at most {most}")


@cache
def _name_and_path(stack: Stack) -> tuple[str, str]:
    """Neither changes, and each costs a round trip to Node for each name in the stack."""
    return stack.stack_name, stack.node.path
