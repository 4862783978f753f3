"""GitHub push → image by CodeBuild → a person's approval → a tenth of a service's traffic, then all, back on alarm."""

from collections.abc import Sequence

from aws_cdk import Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    CodeConnection,
    DeliveryPipeline,
    EcsDeployment,
    EcsService,
    ImageBuild,
    ManualApproval,
    Source,
)


class EcsCanary(Stack):
    """A canary on Amazon ECS, made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        branch: str = "main",
        approvers: Sequence[str] = (),
        # Amazon ECS itself, or ecs.DeploymentControllerType.CODE_DEPLOY: nothing else has to change
        deployment_controller: ecs.DeploymentControllerType = ecs.DeploymentControllerType.ECS,
        cpu: int = 256,
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="GitHub to Amazon ECS with CodePipeline and CodeBuild")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        build = ImageBuild(self, "Build", removal_policy=RemovalPolicy.DESTROY)
        service = EcsService(
            self,
            "Service",
            certificate=None,  # plain HTTP: bring a certificate before real users come
            repository=build.repository,
            deployment_controller=deployment_controller,
            cpu=cpu,
            memory_limit_mib=2 * cpu,
            alarm_topic=alerts.topic,
            removal_policy=RemovalPolicy.DESTROY,
        )
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source=Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch),
            build=build,
            artifact_store=artifacts,
        )
        pipeline.add_stage(
            "Production",
            approval=ManualApproval(question="Release #{codepipeline.PipelineExecutionId}?", topic=alerts.topic),
            deploy=EcsDeployment(
                self,
                "Deployment",
                service=service,
                traffic_routing=codedeploy.TrafficRouting.time_based_canary(
                    percentage=10, interval=Duration.minutes(5)
                ),
                health=service.health,
                bake_time=Duration.minutes(10),  # the old tasks take the traffic back at once for so long
            ),
        )
