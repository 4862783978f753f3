"""Floor 1: where does the build run?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # reading a buildspec should not start Node
    from aws_cdk import aws_codebuild as codebuild
    from aws_cdk import aws_kms as kms

    from code_family_constructs.permissions import Statement


class Build(Protocol):
    """Something that a pipeline can run as its build or as a test: a `BuildProject`, or what is made of one."""

    @property
    def project(self) -> "codebuild.IProject":
        """The project that the pipeline starts."""
        ...

    @property
    def project_arn(self) -> str:
        """Its ARN, known at synth time."""
        ...

    def use_artifacts(self, key: "kms.IKey", key_arn: str, statements: "Sequence[Statement]") -> None:
        """Binds the build to a pipeline's artifacts.

        Args:
            key: Key of the artifacts.
            key_arn: Its ARN.
            statements: What the build may do with the artifacts.
        """
        ...
