"""Floor 0: the names that people type, and the rules that AWS has for them."""

import re
from collections.abc import Sequence

from aws_cdk import Stack, Token
from constructs import Construct

from code_family_constructs.errors import ConfigurationError


def physical_name(construct: Construct, given: str | None, *, what: str, pattern: str, longest: int) -> str:
    """The given name, or one made of the stack's name and the construct's place in it; checked either way.

    Things of the Code family are typed into a shell (`aws codepipeline get-pipeline-state --name …`) and their ARNs stand
    in policies, so they get names that can be read and are known at synth time.

    Args:
        construct: The construct that the name is for.
        given: What the user wants it to be called.
        what: The noun for the error, such as `pipeline`.
        pattern: Regular expression of one allowed character.
        longest: The most characters that AWS allows.
    """
    name = given
    if name is None:
        stack = Stack.of(construct)
        inside = construct.node.path.removeprefix(stack.node.path).strip("/")
        name = re.sub(f"(?!{pattern}).", "-", f"{stack.stack_name}-{inside}")
    check_name(construct, name, what=what, pattern=pattern, longest=longest)
    return name


def check_name(at: Construct, name: str, *, what: str, pattern: str, longest: int) -> None:
    """Raises ConfigurationError for a name that AWS would refuse."""
    if Token.is_unresolved(name):
        return
    if re.fullmatch(f"(?:{pattern}){{1,{longest}}}", name):
        return
    wrong = sorted(set(re.sub(pattern, "", name)))
    if not name:
        problem = f"the {what} name is empty"
    elif wrong:
        problem = f"{what} name {name!r} has {' '.join(map(repr, wrong))} in it"
    else:
        problem = f"{what} name {name!r} has {len(name)} characters, AWS takes {longest}"
    raise ConfigurationError(problem, at=at, fix=f"use 1 to {longest} characters out of {pattern}")


def check_count(at: Construct, items: Sequence[object], *, what: str, most: int) -> None:
    """Raises ConfigurationError for more items than AWS takes."""
    if len(items) > most:
        raise ConfigurationError(f"{len(items)} {what}, AWS takes {most}", at=at, fix=f"give at most {most}")
