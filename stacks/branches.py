"""One GitHub repository, a pipeline for each kind of branch: feature/*, develop, main and release/*."""

from collections.abc import Sequence
from functools import partial

from aws_cdk import Duration, Environment, RemovalPolicy, Stack
from aws_cdk.aws_codedeploy import TrafficRouting
from aws_cdk.aws_codepipeline import ExecutionMode, GitPullRequestEvent
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeBuildAction,
    CodeConnection,
    DeliveryPipeline,
    GitTrigger,
    HealthGate,
    LambdaCodeDeployment,
    LambdaFunction,
    ManualApproval,
    PullRequestFilter,
    PushFilter,
    S3Deployment,
    Source,
)

DOCS = ["docs/**", "**/*.md"]
# Any pull request: CodePipeline asks which branch one goes to, not which one it comes from.
OPENED = [GitPullRequestEvent.OPEN, GitPullRequestEvent.UPDATED]
FEATURE = GitTrigger(
    pull_request=[PullRequestFilter(events=OPENED, branches_includes=["**"], file_paths_excludes=DOCS)]
)
DEVELOP = GitTrigger(push=[PushFilter(branches_includes=["develop"], file_paths_excludes=DOCS)])
MAIN = GitTrigger(push=[PushFilter(branches_includes=["main"], file_paths_excludes=DOCS)])
# Any file: what changed in a branch that is new, CodePipeline does not know, and would not start.
RELEASE = GitTrigger(push=[PushFilter(branches_includes=["release/**"])])
# A name for each build: none takes the place of another.
CANDIDATE = "candidates/#{SourceVariables.BranchName}/#{SourceVariables.CommitId}/#{codepipeline.PipelineExecutionId}"


class Branches(Stack):
    """Made to be tried: it leaves nothing behind when it is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        approvers: Sequence[str] = (),
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="A pipeline for each kind of branch of one repository")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        self._alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        github = partial(Source.github, repository, connection=CodeConnection.github(self, "GitHub"))
        source = github(branch="main")  # for who starts by hand: a trigger brings the branch that was pushed
        pipeline = partial(DeliveryPipeline, self, artifact_store=artifacts)
        parallel = ExecutionMode.PARALLEL  # no branch waits for another, or takes its place

        self.feature = pipeline("Feature", source=source, triggers=[FEATURE], execution_mode=parallel)
        self.feature.add_stage("Test", test=BuildProject(self, "FeatureTests"))

        # A build for each: what develop builds must not become an artifact of main's.
        build = BuildProject(self, "DevelopBuild")
        self.develop = pipeline("Develop", source=github(branch="develop"), build=build, triggers=[DEVELOP])
        self.develop.add_stage("Dev", deploy=self._greeter("Dev", TrafficRouting.all_at_once()))

        self.main = pipeline("Main", source=source, build=BuildProject(self, "MainBuild"), triggers=[MAIN])
        self.main.add_stage("Staging", deploy=self._greeter("Staging", TrafficRouting.all_at_once()))
        approval = ManualApproval(question="Staging has it. Release it?", topic=self._alerts.topic)
        canary = TrafficRouting.time_based_canary(percentage=10, interval=Duration.minutes(5))
        self.main.add_stage("Production", approval=approval, deploy=self._greeter("Production", canary))

        build = BuildProject(self, "ReleaseBuild")
        self.release = pipeline("Release", source=source, build=build, triggers=[RELEASE], execution_mode=parallel)
        verify = CodeBuildAction(build=build, input_artifacts=["Source", "Build"], buildspec="verify.yml")
        lock = S3Deployment(bucket=artifacts.bucket, object_key=f"{CANDIDATE}.zip", extract=False)
        self.release.add_stage("Candidate", steps=[{"Verify": verify}, {"Lock": lock}])

    def _greeter(self, environment: str, routing: TrafficRouting) -> LambdaCodeDeployment:
        scope = Construct(self, environment)
        function = LambdaFunction(scope, "Greeter").function
        health = HealthGate(scope, "Health", topic=self._alerts.topic)
        health.watch_function_alias(function_name=function.function_name, alias_name="live", timeout=function.timeout)
        return LambdaCodeDeployment(
            scope, "Deployment", function=function, traffic_routing=routing, health=health, keep_versions=5
        )
