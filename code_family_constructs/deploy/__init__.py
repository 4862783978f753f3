"""Floor 1: how do we deploy to EC2, ECS or Lambda?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # reading an AppSpec file should not start Node
    from aws_cdk import aws_codepipeline as codepipeline

    from code_family_constructs.permissions import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployContext:
    """Where in a pipeline a deployment is to run.

    Attributes:
        pipeline_name: Physical name of the pipeline.
        stage_name: The stage that deploys.
        action_name: What the stage calls the deployment.
        run_order: Its place in the stage; equal numbers run in parallel.
        revision: The artifact to deploy.
    """

    pipeline_name: str
    stage_name: str
    action_name: str
    run_order: int
    revision: "codepipeline.Artifact"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployAction:
    """A deploy action and what it takes for it to work.

    Attributes:
        action: Any action of aws-cdk-lib, or one's own.
        prepared_by: Actions that run before it, one after the other from the context's `run_order` on; the action
            itself then has the number after theirs.
        permissions: What the pipeline's role needs to start and to watch the deployment.
        artifact_readers: Functions that let whoever fetches the revision (instances, say) do what the statements say.
    """

    action: "codepipeline.IAction"
    prepared_by: "Sequence[codepipeline.IAction]" = ()
    permissions: "Sequence[Statement]"
    artifact_readers: "Sequence[Callable[[Sequence[Statement]], object]]" = ()


class Deployment(Protocol):
    """Something that a pipeline's stage can deploy; implement the one method to add a platform of your own."""

    def deploy_action(self, context: DeployContext) -> DeployAction:
        """The action that deploys a revision.

        Args:
            context: Where in a pipeline it is to run, and what it deploys.
        """
        ...
