"""A pipeline around a source, as small as it can be."""

from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from code_family_constructs import Source
from code_family_constructs.source import SourceContext


def a_source_context(
    stack: Stack, source: Source, *, action_name: str = "Code", detect_changes: bool = True
) -> SourceContext:
    return SourceContext(
        scope=stack,
        pipeline_name="Shop-Pipeline",
        action_name=action_name,
        output=codepipeline.Artifact("Source"),
        namespace="SourceVariables",
        detect_changes=detect_changes and source.detects_changes,
    )


def release(stack: Stack, source: Source, *, detect_changes: bool = True) -> None:
    """Puts a pipeline with the source into the stack."""
    action = source.source_action(a_source_context(stack, source, detect_changes=detect_changes))
    approval = actions.ManualApprovalAction(action_name="Approve")
    codepipeline.Pipeline(
        stack,
        "Pipeline",
        pipeline_name="Shop-Pipeline",
        pipeline_type=codepipeline.PipelineType.V2,
        role=iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111111111111:role/pipeline", mutable=False),
        use_pipeline_role_for_actions=True,
        artifact_bucket=s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        stages=[
            codepipeline.StageProps(stage_name="Source", actions=[action]),
            codepipeline.StageProps(stage_name="Next", actions=[approval]),
        ],
    )
