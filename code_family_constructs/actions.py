"""Floor 0: what a pipeline's stage can run, and what it takes for it to work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.artifacts import ArtifactUser
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionContext:
    """Where in a pipeline an action is to run.

    Attributes:
        pipeline_name: Physical name of the pipeline.
        stage_name: The stage that runs it.
        action_name: What the stage calls it.
        run_order: Its place in the stage; equal numbers run in parallel.
        revision: The artifact that the stage is about.
        artifacts: What there is at this point of the pipeline, by name, `revision` among it.
        only_for_builds: Names of those that only CodeBuild can read: full clones of a repository.
        namespace: Namespace for the variables that the action puts out.
        maker: The build that made the revision, where one did.
        release: What a person can be told about the revision: lines of text with variables in them.
        scope: The pipeline, for what has to be made beside the action.
        key: Key of the pipeline's artifacts, for what is made for the pipeline.
        role: Role that the action has to run as, for a target in another account; the pipeline's own when left out.
        region: Region to run the action in; the pipeline's own when left out.
    """

    pipeline_name: str
    stage_name: str
    action_name: str
    run_order: int
    revision: codepipeline.Artifact
    artifacts: Mapping[str, codepipeline.Artifact] = field(default_factory=dict)
    only_for_builds: frozenset[str] = frozenset()
    namespace: str | None = None
    maker: ArtifactUser | None = None
    release: Sequence[str] = ()
    scope: Construct | None = None
    key: "kms.Key | None" = None
    role: iam.IRole | None = None
    region: str | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether the action runs in another account or region: CloudFormation cannot refer to what is there."""
        return self.role is not None or self.region is not None

    def artifact(self, name: str, *, for_build: bool = False) -> codepipeline.Artifact:
        """An artifact by its name.

        Args:
            name: As in `build_artifacts`, or what an action before this one makes.
            for_build: CodeBuild is going to read it.

        Raises:
            ConfigurationError: Nothing has made it so far, or only CodeBuild can read it.
        """
        at = f"{self.pipeline_name}/{self.stage_name}/{self.action_name}"
        if name not in self.artifacts:
            raise ConfigurationError(
                f"action {self.action_name!r} takes artifact {name!r}, which nothing before it makes",
                at=at,
                fix=f"use one of {', '.join(self.artifacts)}, or put the action after the one that makes it",
            )
        if name in self.only_for_builds and not for_build:
            raise ConfigurationError(
                f"action {self.action_name!r} takes artifact {name!r}, a full clone, which only CodeBuild can read",
                at=at,
                fix="give it what a build makes of it, or leave out code_build_clone_output",
            )
        return self.artifacts[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageAction:
    """An action of a stage and what it takes for it to work.

    Attributes:
        action: Any action of aws-cdk-lib, or one's own.
        prepared_by: Actions that run before it, one after the other from the context's `run_order` on; the action
            itself then has the number after theirs.
        permissions: What the role that it runs as needs: the context's, or else the pipeline's.
        pipeline_permissions: What the pipeline's own role needs, whatever role the action runs as.
        artifact_readers: Functions that let whoever fetches the revision (instances, say) do what the statements say.
        builds: Builds that work on the pipeline's artifacts.
        outputs: Artifacts that it makes, by name.
        clones: Names of those among them that only CodeBuild can read.
        overrides: Properties of the action in CloudFormation that aws-cdk-lib has no argument for, by name.
    """

    action: codepipeline.IAction
    prepared_by: Sequence[codepipeline.IAction] = ()
    permissions: Sequence[Statement] = ()
    pipeline_permissions: Sequence[Statement] = ()
    artifact_readers: Sequence[Callable[[Sequence[Statement]], object]] = ()
    builds: Sequence[ArtifactUser] = ()
    outputs: Mapping[str, codepipeline.Artifact] = field(default_factory=dict)
    clones: frozenset[str] = frozenset()
    overrides: Mapping[str, Any] = field(default_factory=dict)


class Action(Protocol):
    """Something that a pipeline's stage can run; implement the one method to add a kind of your own."""

    def stage_action(self, context: ActionContext) -> StageAction:
        """The action, made for its place in a pipeline.

        Args:
            context: Where in a pipeline it is to run, and on what.
        """
        ...


class DeclaredAction(actions.Action):
    """An action given by what CodePipeline's reference says about its type, and by nothing that aws-cdk-lib guesses.

    aws-cdk-lib's own classes grant what they like, look into the resources that they are given, and make stacks for
    those in other accounts and regions. This one renders what it is told.

    Args:
        context: Where in a pipeline it is to run.
        category: Category of the action type.
        provider: Its provider.
        configuration: Its settings; CodePipeline takes texts only. Empty ones (`None`) are left out.
        inputs: At most what `bounds` says.
        outputs: Likewise.
        bounds: Numbers of artifacts that the action type takes and makes: least and most inputs, least and most
            outputs.
        action_name: The context's when left out.
        run_order: Likewise.
        owner: `AWS`, `ThirdParty` or `Custom`.
        version: Version of the action type.
        namespace: Namespace for the variables that it puts out; aws-cdk-lib makes one for who asks for a variable.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html
    """

    def __init__(
        self,
        context: ActionContext,
        *,
        category: codepipeline.ActionCategory,
        provider: str,
        configuration: Mapping[str, str | None],
        inputs: Sequence[codepipeline.Artifact] = (),
        outputs: Sequence[codepipeline.Artifact] = (),
        bounds: tuple[int, int, int, int],
        action_name: str | None = None,
        run_order: int | None = None,
        owner: str = "AWS",
        version: str = "1",
        namespace: str | None = None,
    ) -> None:
        least_in, most_in, least_out, most_out = bounds
        super().__init__(
            action_name=action_name or context.action_name,
            category=category,
            provider=provider,
            owner=owner,
            version=version,
            run_order=run_order or context.run_order,
            inputs=list(inputs) or None,
            outputs=list(outputs) or None,
            variables_namespace=namespace,
            role=context.role,
            region=context.region,
            artifact_bounds=codepipeline.ActionArtifactBounds(
                min_inputs=least_in, max_inputs=most_in, min_outputs=least_out, max_outputs=most_out
            ),
        )
        self._configuration = {key: value for key, value in configuration.items() if value is not None}

    def _bound(
        self, scope: Construct, stage: codepipeline.IStage, *, bucket: s3.IBucket, role: iam.IRole
    ) -> codepipeline.ActionConfig:
        return codepipeline.ActionConfig(configuration=self._configuration)

    def variable(self, name: str) -> str:
        """Reference to a variable that the action puts out, for actions after it."""
        return self._variable_expression(name)
