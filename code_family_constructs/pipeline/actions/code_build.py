"""Floor 2: run a build, or a test, of CodeBuild."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.build import Build
from code_family_constructs.build.environment import environment_variables
from code_family_constructs.build.project_buildspec import check_path
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.actions.settings import (
    BREAKS_JSON,
    check_artifacts,
    check_batches,
    check_free_text,
    check_identifiers,
    check_output_variables,
    check_setting,
    inputs_of,
    let_read,
    outputs_of,
    place,
    to_json,
)

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec import Buildspec
    from code_family_constructs.build.environment import Value


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeBuildAction:
    """Runs a build or a test of CodeBuild on one artifact or several.

    The first artifact is the one that the buildspec is looked for in, and that its commands start in: the folder that
    `CODEBUILD_SRC_DIR` names. Each further one is in a folder that `CODEBUILD_SRC_DIR_<name>` names: with the artifacts
    `App` and `Infra`, these are `$CODEBUILD_SRC_DIR` and `$CODEBUILD_SRC_DIR_Infra`.

    A build may take 36 hours, a test 8. In a `DeliveryPipeline`, a plain `BuildProject` does where none of these
    arguments is needed.

    Args:
        build: A `BuildProject`, or what is made of one. The pipeline lets it use its artifacts.
        type: `TEST` or `BUILD`: the category in the console, and how long it may take.
        input_artifacts: Names of 1 to 5 artifacts, full clones of a repository among them; the one that the stage is
            about when left out.
        output_artifacts: Names for up to 5. One is what stands under `artifacts` in the buildspec; of several, each is
            the identifier of a secondary artifact there.
        output_variables: Names of variables that the buildspec exports (`exported-variables`), for the actions after
            this one.
        environment_variables: As of a `BuildProject`, for this action alone; texts may hold variables of the pipeline,
            `#{SourceVariables.CommitId}`. A variable that may hold quotes, as a commit's message may, breaks the JSON
            that CodePipeline makes of them. With parameters and secrets, the build may read them. At most 1000
            characters as JSON.
        batch: Run the buildspec's batch; the project has to have batch builds.
        combine_artifacts: Of a batch, make one artifact of those of all builds.
        buildspec: Instead of the project's: the path of another one in the first artifact, or a `Buildspec` of at most
            1000 characters.

    Raises:
        ConfigurationError: What CodePipeline or CodeBuild would refuse, a variable that gives a secret away, or a build
            in another account that makes artifacts, which CodeBuild cannot.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
    """

    build: Build
    type: actions.CodeBuildActionType = actions.CodeBuildActionType.TEST
    input_artifacts: Sequence[str] = ()
    output_artifacts: Sequence[str] = ()
    output_variables: Sequence[str] = ()
    environment_variables: "Mapping[str, Value]" = field(default_factory=dict)
    batch: bool = False
    combine_artifacts: bool = False
    buildspec: "str | Buildspec | None" = None

    def __post_init__(self) -> None:
        at = "CodeBuildAction"
        if not hasattr(self.build, "use_artifacts"):
            raise ConfigurationError(
                f"{_kind(self.build)} where a build belongs", at=at, fix="give a BuildProject, or what is made of one"
            )
        check_artifacts(at, "input_artifacts", self.input_artifacts, most=5, identifiers=True)
        check_artifacts(at, "output_artifacts", self.output_artifacts, most=5)
        check_identifiers(at, "output_artifacts", self.output_artifacts)
        check_output_variables(at, self.output_variables)
        if self.combine_artifacts and not self.batch:
            raise ConfigurationError("combine_artifacts without a batch", at=at, fix="give batch=True too")
        if self.batch:
            check_batches(self.build)
        if isinstance(self.buildspec, str):
            check_path(_place_of(self.build), self.buildspec)
        elif self.buildspec is not None:
            fix = "give the path of a buildspec in the artifact, or give it to the project"
            check_setting(at, "a buildspec", self.buildspec.render(), fix=fix)
        self._environment()

    def stage_action(self, context: ActionContext) -> StageAction:
        inputs = inputs_of(context, self.input_artifacts, for_build=True)
        outputs = outputs_of(self.output_artifacts)
        if outputs and context.role is not None:
            raise ConfigurationError(
                "a build in another account makes artifacts, which CodeBuild cannot put into the pipeline's bucket",
                at=place(context),
                fix="build in the pipeline's account, and deploy from there",
            )
        # Not of what is read from a file of the revision, nor of a build of the user's own kind.
        if self.buildspec is None and hasattr(self.build, "check_outputs"):
            self.build.check_outputs(self.output_artifacts)
        variables, statements = self._environment()
        if statements:
            let_read("CodeBuildAction", self.build, statements)
        spec = self.buildspec
        project_arn = self.build.project_arn
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.TEST
                if self.type is actions.CodeBuildActionType.TEST
                else codepipeline.ActionCategory.BUILD,
                provider="CodeBuild",
                configuration={
                    # A reference, where there can be one: the pipeline is made after the project.
                    "ProjectName": project_arn.rpartition("/")[2]
                    if context.elsewhere
                    else self.build.project.project_name,
                    "PrimarySource": inputs[0].artifact_name if len(inputs) > 1 else None,
                    "EnvironmentVariables": variables,
                    "BatchEnabled": "true" if self.batch else None,
                    "CombineArtifacts": "true" if self.combine_artifacts else None,
                    "BuildspecOverride": spec if spec is None or isinstance(spec, str) else spec.render(),
                },
                inputs=inputs,
                outputs=list(outputs.values()),
                bounds=(1, 5, 0, 5),
                namespace=context.namespace,
            ),
            permissions=[
                Statement(
                    actions=["codebuild:BatchGetBuildBatches", "codebuild:StartBuildBatch"]
                    if self.batch
                    else ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
                    resources=[project_arn],
                )
            ],
            builds=[self.build],
            outputs=outputs,
        )

    def _environment(self) -> tuple[str | None, list[Statement]]:
        """The variables as CodePipeline takes them, and what the build needs to read them."""
        if not self.environment_variables:
            return None, []
        made, statements = environment_variables(_place_of(self.build), self.environment_variables)
        text = to_json(
            [
                {"name": name, "value": one.value, "type": one.type.value if one.type else "PLAINTEXT"}
                for name, one in made.items()
            ]
        )
        check_free_text("CodeBuildAction", "environment_variables", text, breaks=BREAKS_JSON)
        fix = "set on the project what is the same for each execution"
        check_setting("CodeBuildAction", "environment_variables", text, fix=fix)
        return text, statements


def _place_of(build: Any) -> Any:
    return build if hasattr(build, "node") else build.project


def _kind(value: object) -> str:
    return type(value).__name__
