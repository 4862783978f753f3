"""Floor 1: where does the build run?"""

from typing import TYPE_CHECKING, Protocol

from code_family_constructs.artifacts import ArtifactUser

if TYPE_CHECKING:  # reading a buildspec should not start Node
    from aws_cdk import aws_codebuild as codebuild


class Build(ArtifactUser, Protocol):
    """Something that a pipeline can run as its build or as a test: a `BuildProject`, or what is made of one."""

    @property
    def project(self) -> "codebuild.IProject":
        """The project that the pipeline starts."""
        ...

    @property
    def project_arn(self) -> str:
        """Its ARN, known at synth time."""
        ...
