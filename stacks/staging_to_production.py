"""Three accounts, one pipeline: build → tests → staging → smoke test → a person's approval → production → check."""

from collections.abc import Sequence

from aws_cdk import Duration, Environment, RemovalPolicy, Stack
from aws_cdk.aws_codedeploy import TrafficRouting
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    Buildspec,
    CodeConnection,
    DeliveryPipeline,
    InspectorScan,
    LambdaCodeDeployment,
    LambdaFunction,
    LambdaInvoke,
    ManualApproval,
    Source,
    Statement,
    change_freeze,
)
from code_family_constructs.build.buildspec import Phase, Phases
from stacks.smoke_tests import release_is_live

CANARY = TrafficRouting.time_based_canary(percentage=10, interval=Duration.minutes(5))
OFFICE_HOURS = change_freeze(time_zone="Europe/Berlin", open_days="MON-FRI", open_hours=(9, 16))
TESTS = {
    "UnitTests": ["python3 -m unittest discover tests"],
    "Lint": ["pip install ruff==0.17.6", "ruff check ."],
}


class Service(Stack):
    """What is deployed, once for each environment, and the check of it: it runs where it may call what it checks."""

    def __init__(self, scope: Construct, id: str, *, env: Environment) -> None:
        super().__init__(scope, id, env=env, description="A function whose code a pipeline brings, and its check")
        self.deployment = LambdaCodeDeployment(
            self,
            "Deployment",
            function=LambdaFunction(self, "Greeter").function,
            traffic_routing=CANARY,
            keep_versions=5,
        )
        alias = self.deployment.alias.function_arn
        self.check = LambdaInvoke(
            self,
            "Check",
            function=release_is_live,
            parameters={"release": "#{BuildVariables.RELEASE}"},  # exported by sample_app/lambda/buildspec.yml
            output_variables=["Release", "Version", "Link"],
            environment={"ALIAS": alias},
            statements=[Statement(actions=["lambda:InvokeFunction"], resources=[alias])],
        )


class StagingToProduction(Stack):
    """The pipeline, in an account of its own; made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        staging: Service,
        production: Service,
        branch: str = "main",
        approvers: Sequence[str] = (),
        env: Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="One pipeline to staging and production in other accounts")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source=Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch),
            build=BuildProject(self, "Build"),
            artifact_store=artifacts,
        )
        tests = {
            name: BuildProject(self, name, buildspec=Buildspec(phases=Phases(build=Phase(commands=commands))))
            for name, commands in TESTS.items()
        }
        scan = InspectorScan(output_artifact="Findings", critical_threshold=0, high_threshold=0)
        pipeline.add_stage("Tests", test={**tests, "SecurityScan": scan}, input="Source")
        pipeline.add_stage("Staging", deploy=staging.deployment, test={"SmokeTest": staging.check})
        release, link = (pipeline.output("Staging/SmokeTest", name) for name in ("Release", "Link"))
        # A stage of its own: office hours are asked for after somebody has approved, however late that was.
        pipeline.add_stage(
            "Approval",
            approval=ManualApproval(
                question=f"Staging answered as release {release}. Is production to have it?",
                links={"Staging": link},
                topic=alerts.topic,
            ),
        )
        pipeline.add_stage(
            "Production", before_entry=OFFICE_HOURS, deploy=production.deployment, test={"Check": production.check}
        )
