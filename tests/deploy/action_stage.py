"""A pipeline of aws-cdk-lib around deploy actions, with one policy for what each of them needs."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from code_family_constructs import Statement
from code_family_constructs.actions import Action, StageAction
from code_family_constructs.permissions import Permissions
from tests.helpers import a_context, only

PIPELINE = "shop"
READ = Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])


def a_pipeline(
    stack: Stack,
    deployments: Mapping[str, Action],
    *,
    bucket: s3.IBucket | None = None,
    target: Stack | None = None,
    **settings: Any,
) -> dict[str, StageAction]:
    """Puts each of the actions into a stage of its own; returns what they asked for.

    Their permissions are in policies called `<name>Permissions`, of the target's stack if there is one, and
    `<name>PipelinePermissions`; what fetches the artifacts may do `READ`.
    """
    role = iam.Role.from_role_arn(stack, "PipelineRole", "arn:aws:iam::111122223333:role/pipeline", mutable=False)
    source = codepipeline.Artifact("Source")
    pipeline = codepipeline.Pipeline(
        stack,
        "Pipeline",
        pipeline_name=PIPELINE,
        pipeline_type=codepipeline.PipelineType.V2,
        role=role,
        use_pipeline_role_for_actions=True,
        artifact_bucket=bucket or s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        restart_execution_on_update=False,
        stages=[
            codepipeline.StageProps(
                stage_name="Source",
                actions=[
                    actions.CodeStarConnectionsSourceAction(
                        action_name="Source",
                        owner="acme",
                        repo="shop",
                        connection_arn="arn:aws:codeconnections:eu-west-1:111122223333:connection/1",
                        output=source,
                        variables_namespace="SourceVariables",
                    )
                ],
            )
        ],
    )
    resource: Any = pipeline.node.default_child
    artifacts = {"Source": source}
    made: dict[str, StageAction] = {}
    for number, (name, deployment) in enumerate(deployments.items(), 1):
        context = a_context(
            pipeline_name=PIPELINE,
            stage_name=name,
            revision=source,
            artifacts=artifacts,
            scope=stack,
            # Names of stages may hold a dot, namespaces may not.
            namespace=f"{name}-Deploy".replace(".", "-"),
            **settings,
        )
        action = deployment.stage_action(context)
        made[name] = action
        artifacts.update(action.outputs)
        pipeline.add_stage(stage_name=name, actions=[*action.prepared_by, action.action])
        for property_, value in action.overrides.items():
            last = len(action.prepared_by)
            resource.add_property_override(f"Stages.{number}.Actions.{last}.{property_}", value)
        for at, kind, statements in (
            (target or stack, "", action.permissions),
            (stack, "Pipeline", action.pipeline_permissions),
        ):
            if statements:
                Permissions(at, f"{name}{kind}Permissions", role_names=["pipeline"]).add(statements)
        for allow in action.artifact_readers:
            allow([READ])
    return made


def stage(template: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The actions of a stage, in a template."""
    [found] = [each for each in only(template, "AWS::CodePipeline::Pipeline")["Stages"] if each["Name"] == name]
    return sorted(found["Actions"], key=lambda action: action["RunOrder"])
