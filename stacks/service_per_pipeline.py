"""Services of one GitHub repository, each with a pipeline that starts when the service's own folder changes."""

from collections.abc import Sequence

from aws_cdk import Environment, RemovalPolicy, Stack
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    GitTrigger,
    HealthGate,
    LambdaActionDeployment,
    LambdaFunction,
    ManualApproval,
    PushFilter,
    Source,
)


class ServicePerPipeline(Stack):
    """Made to be tried: it leaves nothing behind but the logs that CodePipeline keeps of the actions that deploy."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        services: Sequence[str],  # names of folders in services/; each adds 16 resources, of 500 that a stack may have
        branch: str = "main",
        approvers: Sequence[str] = (),
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="A pipeline for each service of one repository")

        self._artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        self._alerts = AlertTopic(self, "Alerts", key=self._artifacts.key, emails=approvers)
        self._source = Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch)
        self.pipelines = {name: self._pipeline(name, branch) for name in services}

    def _pipeline(self, name: str, branch: str) -> DeliveryPipeline:
        folder, service = f"services/{name}", Construct(self, name)
        function = LambdaFunction(service, "Function").function
        health = HealthGate(service, "Health", topic=self._alerts.topic)
        health.watch_function_alias(function_name=function.function_name, alias_name="live", timeout=function.timeout)
        pipeline = DeliveryPipeline(
            service,
            "Pipeline",
            # The service first: artifacts are in folders that are named after the first 20 characters.
            pipeline_name=f"{name}-{self.stack_name}",
            source=self._source,
            build=BuildProject(
                service, "Build", buildspec=f"{folder}/buildspec.yml", environment_variables={"FOLDER": folder}
            ),
            triggers=[GitTrigger(push=[PushFilter(branches_includes=[branch], file_paths_includes=[f"{folder}/**"])])],
            artifact_store=self._artifacts,
        )
        pipeline.add_stage(
            "Production",
            approval=ManualApproval(question=f"Release {name}?", topic=self._alerts.topic),
            deploy=LambdaActionDeployment(service, "Deployment", function=function, health=health),
        )
        return pipeline
