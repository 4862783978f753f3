"""GitHub push → CodeBuild → a person's approval → CodeDeploy, one EC2 instance at a time, back on alarm."""

from collections.abc import Sequence

from aws_cdk import Environment, RemovalPolicy, Stack
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    Ec2Deployment,
    Ec2Fleet,
    ManualApproval,
    Source,
)


class GitHubToEc2(Stack):
    """The reference flow, made to be tried: it leaves nothing behind when it is destroyed."""

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
        super().__init__(scope, id, env=env, description="GitHub to EC2 with CodePipeline, CodeBuild and CodeDeploy")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        fleet = Ec2Fleet(
            self,
            "Fleet",
            certificate=None,  # plain HTTP: bring a certificate before real users come
            alarm_topic=alerts.topic,
            removal_policy=RemovalPolicy.DESTROY,
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
            deploy=Ec2Deployment(self, "Deployment", fleet=fleet, health=fleet.health),
        )
