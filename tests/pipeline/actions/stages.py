"""A pipeline of the plain L2 with any actions in it, and its structure as CodePipeline's API takes it."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_s3 as s3

from code_family_constructs.actions import Action, ActionContext, DeclaredAction, StageAction
from code_family_constructs.local import framework, pipeline_checks
from code_family_constructs.permissions import ServiceRole, Statement
from code_family_constructs.pipeline.structure_checks import problems_of
from code_family_constructs.testing import text_of
from tests.helpers import a_context, only

NAME = "Shop-Pipeline"
LOGS = f"arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/codepipeline/{NAME}"
# CloudWatch Logs wants CreateLogGroup allowed on `<group>:log-stream:`.
LOGGING = {
    f"logs:{name} on {LOGS}{end}"
    for name in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")
    for end in ("", ":*")
}


class Pipeline:
    """Sources App and Infra, and a stage for each action, with one role that may do what they say.

    Attributes:
        made: What each action has made of its place, by its name.
    """

    def __init__(self, stack: Stack, actions: Mapping[str, Action]) -> None:
        artifacts = {name: codepipeline.Artifact(name) for name in ("App", "Infra")}
        sources: list[codepipeline.IAction] = [
            DeclaredAction(
                a_context(action_name=name),
                category=codepipeline.ActionCategory.SOURCE,
                provider="CodeCommit",
                configuration={"RepositoryName": name, "BranchName": "main", "PollForSourceChanges": "false"},
                outputs=[artifact],
                bounds=(0, 0, 1, 1),
                namespace=f"{name}Variables",
            )
            for name, artifact in artifacts.items()
        ]
        self.made: dict[str, StageAction] = {}
        for name, action in actions.items():
            self.made[name] = action.stage_action(
                a_context(
                    pipeline_name=NAME,
                    stage_name=name,
                    action_name="Do",
                    revision=artifacts["App"],
                    artifacts=dict(artifacts),
                    namespace=f"{name}-Do",
                    scope=stack,
                )
            )
            artifacts |= self.made[name].outputs
        nothing = Statement(actions=["s3:GetBucketAcl"], resources=["arn:aws:s3:::artifacts"])
        statements = [statement for one in self.made.values() for statement in one.permissions]
        role = ServiceRole(stack, service="codepipeline.amazonaws.com", statements=statements or [nothing])
        pipeline = codepipeline.Pipeline(
            stack,
            "Pipeline",
            pipeline_name=NAME,
            pipeline_type=codepipeline.PipelineType.V2,
            artifact_bucket=s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
            role=role.frozen,
            use_pipeline_role_for_actions=True,
            stages=[
                codepipeline.StageProps(stage_name="Source", actions=sources),
                *(codepipeline.StageProps(stage_name=name, actions=[one.action]) for name, one in self.made.items()),
            ],
        )
        resource: Any = pipeline.node.default_child
        for index, one in enumerate(self.made.values(), start=1):
            for name, value in one.overrides.items():
                resource.add_property_override(f"Stages.{index}.Actions.0.{name}", value)


def structure_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline as CreatePipeline would get it, if that would take it."""
    declared = only(template, "AWS::CodePipeline::Pipeline")
    problems = [str(problem) for problem in problems_of(declared)]
    assert problems == [], problems
    properties = _flat(declared)
    properties.pop("RestartExecutionOnUpdate", None)
    structure = framework.to_structure("codepipeline", "PipelineDeclaration", {**properties, "Version": 1})
    framework._validate(structure, framework.service_model("codepipeline").shape_for("PipelineDeclaration"))
    pipeline_checks.check(structure)
    return structure


def actions_of(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The one action of each stage after the sources, by the stage's name."""
    return {stage["name"]: stage["actions"][0] for stage in structure_of(template)["stages"][1:]}


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join"):
            name = text_of(value)
            return "arn:aws:iam::111122223333:role/pipeline" if name.startswith("<Role") else name
        return {key: _flat(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_flat(item) for item in value]
    return value


def elsewhere(**settings: Any) -> ActionContext:
    """A place in another region."""
    return a_context(**{"region": "eu-central-1", **settings})
