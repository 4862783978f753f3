"""Floor 2: what an execution of a pipeline is started with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_count, check_kind, check_list, check_name
from code_family_constructs.tokens import unresolved

_NAME = NameRule("variable", "[A-Za-z0-9@_-]", 128)
_LONGEST_VALUE = 1000
_LONGEST_DESCRIPTION = 200
_MOST = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineVariable:
    """A variable of a pipeline, which whoever starts an execution may give another value.

    Args:
        name: 1 to 128 letters, digits and `@_-`.
        default: Its value when nobody says another one, up to 1000 characters on one line. Without one, changes in a
            source cannot start the pipeline: somebody has to give the value.
        description: What it is for, up to 200 characters on one line.

    Raises:
        ConfigurationError: CodePipeline would refuse it.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineVariableDeclaration.html
    """

    name: str
    default: str | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        at = f"PipelineVariable {self.name!r}"
        check_name(at, self.name, _NAME)
        for what, text, most in (
            ("default", self.default, _LONGEST_VALUE),
            ("description", self.description, _LONGEST_DESCRIPTION),
        ):
            if text is not None and not isinstance(text, str):
                raise ConfigurationError(f"{what}={text!r} is no text", at=at, fix=f"write {what}={str(text)!r}")
            if text is not None and not unresolved(text) and not re.fullmatch(f".{{1,{most}}}", text):
                raise ConfigurationError(
                    f"{what} of {len(text)} characters on {text.count(chr(10)) + 1} lines",
                    at=at,
                    fix=f"use 1 to {most} characters on one line, or leave it out",
                )

    @property
    def reference(self) -> str:
        """What to write where the value is to stand, in any action but a source's."""
        return f"#{{variables.{self.name}}}"

    def declaration(self) -> codepipeline.Variable:
        """The variable as aws-cdk-lib takes it."""
        return codepipeline.Variable(variable_name=self.name, default_value=self.default, description=self.description)


def check_variables(at: Construct, variables: Sequence[PipelineVariable]) -> Mapping[str, str | None]:
    """Raises ConfigurationError for variables that do not go together; returns their defaults by name."""
    check_list(at, "variables", variables)
    check_count(at, variables, what="variables", most=_MOST)
    defaults: dict[str, str | None] = {}
    for variable in variables:
        check_kind(at, "variables", variable, PipelineVariable, fix='write variables=[PipelineVariable(name="ENV", …)]')
        if variable.name in defaults:
            raise ConfigurationError(
                f"two variables are called {variable.name!r}", at=at, fix="give each a name of its own"
            )
        defaults[variable.name] = variable.default
    return defaults
