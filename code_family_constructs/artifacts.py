"""Floor 0: who works on the artifacts of a pipeline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # reading a buildspec should not start Node
    from aws_cdk import aws_kms as kms

    from code_family_constructs.permissions import Statement


class ArtifactUser(Protocol):
    """Something that works on a pipeline's artifacts by a role of its own, such as a build."""

    def use_artifacts(self, key: "kms.IKey", key_arn: str, statements: "Sequence[Statement]") -> None:
        """Binds it to a pipeline's artifacts.

        Args:
            key: Key of the artifacts.
            key_arn: Its ARN.
            statements: What it may do with the artifacts.
        """
        ...
