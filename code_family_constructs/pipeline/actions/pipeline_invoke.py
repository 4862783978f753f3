"""Floor 2: start another pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_environment_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.actions.settings import (
    check_setting,
    known_text,
    length_of,
    place,
    to_json,
)

_VARIABLE = NameRule("variable", "[A-Za-z0-9@_-]", 128)
_LONGEST_VALUE = 1000
_MOST_VARIABLES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineInvoke:
    """Starts another pipeline, with values for its variables and the revisions that it is to work on.

    Args:
        pipeline: A pipeline of the same account and region, such as `DeliveryPipeline.pipeline`.
        variables: Values for its variables, by name. It has to declare them. Values may hold variables of this
            pipeline; one that may hold quotes, as a commit's message may, breaks the JSON that CodePipeline makes of
            them. At most 1000 characters as JSON.
        source_revisions: What its source actions take instead of the latest revision, at most 1000 characters as JSON.

    Raises:
        ConfigurationError: What CodePipeline would refuse, a pipeline of another account or region, or one that starts
            itself, again and again.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-PipelineInvoke.html
    """

    pipeline: codepipeline.IPipeline
    variables: Mapping[str, str] = field(default_factory=dict)
    source_revisions: Sequence[actions.SourceRevision] = ()

    def __post_init__(self) -> None:
        at = "PipelineInvoke"
        if not hasattr(self.pipeline, "pipeline_arn"):
            raise ConfigurationError(
                f"{type(self.pipeline).__name__} where a pipeline belongs",
                at=at,
                fix="give codepipeline.Pipeline.from_pipeline_arn(…), or the pipeline attribute of a DeliveryPipeline",
            )
        if len(self.variables) > _MOST_VARIABLES:
            raise ConfigurationError(
                f"{len(self.variables)} variables, a pipeline has {_MOST_VARIABLES}",
                at=at,
                fix="give those it declares",
            )
        for name, value in self.variables.items():
            check_name(at, name, _VARIABLE)
            if not value or length_of(value) > _LONGEST_VALUE:
                raise ConfigurationError(
                    f"variable {name} of {length_of(value)} characters",
                    at=at,
                    fix=f"use 1 to {_LONGEST_VALUE} characters, or leave it out",
                )
        check_list(at, "source_revisions", self.source_revisions)
        for index, one in enumerate(self.source_revisions):
            if not one.revision_value:
                raise ConfigurationError(
                    f"no revision for source {one.action_name!r}", at=at, fix="give revision_value="
                )
            same = [other for other in self.source_revisions[:index] if other.action_name == one.action_name]
            if any(other.revision_type == one.revision_type for other in same):
                raise ConfigurationError(
                    f"two revisions for source {one.action_name!r}", at=at, fix="give one for each source action"
                )
        for argument, text in (("variables", self._variables()), ("source_revisions", self._revisions())):
            if text is not None:
                check_setting(at, argument, text, fix="hand less over, or let the other pipeline look it up")

    def stage_action(self, context: ActionContext) -> StageAction:
        check_environment_of(context, place(context), "pipeline", self.pipeline)
        fix = "import the pipeline by its ARN"
        name = known_text(context, "the pipeline", self.pipeline.pipeline_name, fix=fix)
        if name == context.pipeline_name:
            raise ConfigurationError(
                f"pipeline {name!r} starts itself, again and again", at=place(context), fix="start another one"
            )
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.INVOKE,
                provider="CodePipeline",
                configuration={
                    "PipelineName": name,
                    "Variables": self._variables(),
                    "SourceRevisions": self._revisions(),
                },
                bounds=(0, 0, 0, 0),
                namespace=context.namespace,
            ),
            permissions=[
                Statement(
                    actions=["codepipeline:StartPipelineExecution"],
                    resources=[arn_at(context, "codepipeline", name)],
                )
            ],
        )

    def _variables(self) -> str | None:
        return (
            to_json([{"name": name, "value": value} for name, value in self.variables.items()])
            if self.variables
            else None
        )

    def _revisions(self) -> str | None:
        if not self.source_revisions:
            return None
        return to_json(
            [
                {
                    "actionName": one.action_name,
                    "revisionType": one.revision_type.value,
                    "revisionValue": one.revision_value,
                }
                for one in self.source_revisions
            ]
        )
