"""Floor 2: what actions have in common: settings, artifacts and variables."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext
from code_family_constructs.deploy.action_settings import LONGEST_SETTING
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name, stack_of
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved

_ARTIFACT_NAME = NameRule("artifact", "[A-Za-z0-9_-]", 100)
# What stands in the name of an environment variable, or is an identifier in a buildspec.
_IDENTIFIER = NameRule("artifact", "[A-Za-z0-9_]", 100)
_VARIABLE = NameRule("variable", "[A-Za-z0-9@_-]", 128)
_TOKEN = re.compile(r"\$\{Token\[[^]]*\]\}")


def place(context: ActionContext) -> str:
    """Where errors of an action are."""
    return f"{context.pipeline_name}/{context.stage_name}/{context.action_name}"


def to_json(value: Any) -> str:
    """JSON without white space, which counts; tokens stay what they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def length_of(text: str) -> int:
    """Characters of a text, as far as they are known."""
    return len(_TOKEN.sub("", text))


def check_setting(at: str, what: str, text: str, *, fix: str, most: int = LONGEST_SETTING) -> None:
    """Raises ConfigurationError for a text that is longer than CodePipeline takes, or empty."""
    if not text or length_of(text) > most:
        raise ConfigurationError(
            f"{what} of {length_of(text)} characters, CodePipeline takes 1 to {most}", at=at, fix=fix
        )


def check_artifacts(at: str, argument: str, names: Sequence[str], *, most: int, identifiers: bool = False) -> None:
    """Raises ConfigurationError for names that CodePipeline would refuse.

    Args:
        at: The action.
        argument: What the user calls them.
        names: The names.
        most: How many the action type takes.
        identifiers: Whether all but the first stand in the names of environment variables, too.
    """
    check_list(at, argument, names)
    if len(names) > most:
        raise ConfigurationError(f"{len(names)} {argument}, the action takes {most}", at=at, fix=f"give at most {most}")
    for index, name in enumerate(names):
        check_name(at, name, _IDENTIFIER if identifiers and index else _ARTIFACT_NAME)
        if name in names[:index]:
            raise ConfigurationError(f"artifact {name!r} twice in {argument}", at=at, fix="name it once")


def check_identifiers(at: str, argument: str, names: Sequence[str]) -> None:
    """Raises ConfigurationError for names of several artifacts that cannot be identifiers in a buildspec."""
    if len(names) > 1:
        for name in names:
            check_name(at, name, _IDENTIFIER)


def check_output_variables(at: str, names: Sequence[str], *, most: int | None = None) -> None:
    """Raises ConfigurationError for names of variables that CodePipeline would refuse."""
    check_list(at, "output_variables", names)
    if most is not None and len(names) > most:
        raise ConfigurationError(
            f"{len(names)} output_variables, the action takes {most}", at=at, fix=f"give at most {most}"
        )
    for index, name in enumerate(names):
        check_name(at, name, _VARIABLE)
        if name in names[:index]:
            raise ConfigurationError(f"variable {name!r} twice in output_variables", at=at, fix="name it once")


def inputs_of(context: ActionContext, names: Sequence[str], *, for_build: bool = False) -> list[codepipeline.Artifact]:
    """The artifacts of these names, or else the one that the stage is about."""
    if not names and (for_build or not context.only_for_builds):
        return [context.revision]
    return [context.artifact(name, for_build=for_build) for name in names or [context.revision.artifact_name or ""]]


def outputs_of(names: Iterable[str]) -> dict[str, codepipeline.Artifact]:
    """New artifacts, by name."""
    return {name: codepipeline.Artifact(name) for name in names}


def known_text(context: ActionContext, what: str, text: str, *, fix: str) -> str:
    """The text; raises ConfigurationError if it is a reference to where CloudFormation cannot refer to."""
    if context.elsewhere and unresolved(text):
        raise ConfigurationError(
            f"{what} is in another account or region, and not known as text", at=place(context), fix=fix
        )
    return text


# What strangers write: quotes, line breaks and what a shell would run.
_FREE_TEXT = re.compile(r"#\{[^}]*\.(?:Author\w*Name|CommitMessage|PullRequestTitle)\}")


def check_free_text(at: str, what: str, text: str, *, breaks: str) -> None:
    """Raises ConfigurationError for a variable that holds what strangers write, where that would do harm.

    CodePipeline fills variables in as they are: https://github.com/aws/aws-cdk/issues/8458

    Args:
        at: Who takes the text.
        what: What it is.
        text: The text.
        breaks: What would happen.
    """
    found = _FREE_TEXT.search(text)
    if found:
        raise ConfigurationError(
            f"{what} has {found[0]} in it, {breaks}",
            at=at,
            fix="give the CommitId, and look up the text where it is needed",
        )


BREAKS_JSON = "whose quotes and line breaks CodePipeline writes into the JSON as they are: it would fail"


def check_batches(build: Any) -> None:
    """Raises ConfigurationError for a project without batch builds."""
    resource: Any = build.project.node.default_child
    # Of a project that is made elsewhere, nothing is known.
    if resource is not None and not stack_of(build.project).resolve(resource.build_batch_config):
        raise ConfigurationError(
            "a batch of a project without batch builds", at=build.project, fix="give the BuildProject batch="
        )


def let_read(at: str, build: Any, statements: Sequence[Statement]) -> None:
    """Lets a build read parameters and secrets that it is started with."""
    if not hasattr(build, "allow"):
        raise ConfigurationError(
            f"{type(build).__name__} has no allow(), by which it could be let read the parameters and secrets",
            at=at,
            fix="set them on the project that it runs",
        )
    build.allow(*statements)
