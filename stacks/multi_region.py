"""One account, several regions: built once, deployed to one region first, then to the others, each wave tested."""

from collections.abc import Sequence

from aws_cdk import Environment, RemovalPolicy, Stack
from constructs import Construct

from code_family_constructs import ArtifactStore, BuildProject, CodeConnection, DeliveryPipeline, Source
from stacks.staging_to_production import Service


class RegionalArtifacts(Stack):
    """What pipelines of another region keep here: an action reads artifacts from a bucket of the region it runs in."""

    def __init__(self, scope: Construct, id: str, *, env: Environment) -> None:
        super().__init__(scope, id, env=env, description="Artifacts of pipelines of another region")
        self.store = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)


class MultiRegion(Stack):
    """The pipeline; made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        waves: Sequence[Sequence[Service]],
        artifacts: Sequence[RegionalArtifacts],
        branch: str = "main",
        env: Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="One pipeline to several regions of an account")

        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source=Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch),
            build=BuildProject(self, "Build"),
            artifact_store=ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY),
            cross_region_stores=[regional.store for regional in artifacts],
        )
        pipeline.add_waves(  # one that fails stops the line: the regions after it keep what they have
            "Wave",
            [{service.region: service.deployment for service in wave} for wave in waves],
            test=[{f"Check-{service.region}": service.check for service in wave} for wave in waves],
        )
