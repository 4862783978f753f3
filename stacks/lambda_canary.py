"""GitHub push → CodeBuild → a person's approval → a tenth of a function's traffic, then all, back on alarm."""

from collections.abc import Sequence

from aws_cdk import Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_codedeploy as codedeploy
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    DeploymentHook,
    HealthGate,
    LambdaCodeDeployment,
    LambdaFunction,
    ManualApproval,
    Source,
    Statement,
)
from stacks.smoke_tests import function_greets


class LambdaCanary(Stack):
    """A function whose code the pipeline brings; made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        branch: str = "main",
        approvers: Sequence[str] = (),
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="GitHub to Lambda with CodePipeline, CodeBuild and CodeDeploy")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        function = LambdaFunction(self, "Greeter").function
        health = HealthGate(self, "Health", topic=alerts.topic)
        health.watch_function_alias(function_name=function.function_name, alias_name="live", timeout=function.timeout)
        smoke_test = DeploymentHook(
            self,
            "SmokeTest",
            check=function_greets,
            environment={"FUNCTION": function.function_name},
            statements=[Statement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])],
        )
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source=Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch),
            build=BuildProject(self, "Build"),
            artifact_store=artifacts,
        )
        pipeline.add_stage(
            "Production",
            approval=ManualApproval(question="Release #{codepipeline.PipelineExecutionId}?", topic=alerts.topic),
            deploy=LambdaCodeDeployment(
                self,
                "Deployment",
                function=function,
                traffic_routing=codedeploy.TrafficRouting.time_based_canary(
                    percentage=10, interval=Duration.minutes(5)
                ),
                health=health,
                pre_traffic_hook=smoke_test,
                keep_versions=5,
            ),
        )
