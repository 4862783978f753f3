"""GitHub push → CodeBuild → a person's approval → new EC2 instances → testers → traffic moves over, back on alarm."""

from collections.abc import Sequence

from aws_cdk import Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    Ec2BlueGreenDeployment,
    Ec2BlueGreenFleet,
    ManualApproval,
    Source,
)


class Ec2BlueGreen(Stack):
    """Blue/green on EC2, made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        branch: str = "main",
        approvers: Sequence[str] = (),
        testers: Sequence[str] = (),  # IPv4 ranges, such as an office's: they see new instances before users do
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="Blue/green to EC2 with CodePipeline and CodeDeploy")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        fleet = Ec2BlueGreenFleet(
            self,
            "Fleet",
            certificate=None,  # plain HTTP: bring a certificate before real users come
            test_listener_peers=[ec2.Peer.ipv4(cidr) for cidr in testers],
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
            deploy=Ec2BlueGreenDeployment(
                self,
                "Deployment",
                fleet=fleet,
                health=fleet.health,
                termination_wait_time=Duration.minutes(30),  # the old instances take the traffic back for so long
                deployment_approval_wait_time=Duration.hours(2) if testers else None,
            ),
        )
