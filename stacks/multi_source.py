"""Application and infrastructure from two GitHub repositories → one build → the stack → the function that needs it."""

from collections.abc import Sequence

from aws_cdk import Environment, RemovalPolicy, Stack
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    HealthGate,
    LambdaCodeDeployment,
    LambdaFunction,
    ManualApproval,
    Source,
    StackDeployment,
    Statement,
)

# What the resource type of the template's queue asks for.
MANAGE_QUEUE = [
    "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes",
    "sqs:ListQueueTags", "sqs:TagQueue", "sqs:UntagQueue",
]  # fmt: skip


class MultiSource(Stack):
    """Made to be tried: delete the stack that it deploys, MultiSource-Infra, before this one is destroyed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: str,
        infrastructure: str,  # its repository
        branch: str = "main",
        approvers: Sequence[str] = (),
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, id, env=env, description="Two repositories in one pipeline, with CodePipeline")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        infra = f"{self.stack_name}-Infra"
        queue = f"arn:{self.partition}:sqs:{self.region}:{self.account}:{infra}-Orders"
        function = LambdaFunction(
            self,
            "TakeOrder",
            environment={"QUEUE": f"{infra}-Orders"},
            statements=[Statement(actions=["sqs:GetQueueUrl", "sqs:SendMessage"], resources=[queue])],
        ).function
        health = HealthGate(self, "Health", topic=alerts.topic)
        health.watch_function_alias(function_name=function.function_name, alias_name="live", timeout=function.timeout)
        github = CodeConnection.github(self, "GitHub")
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source={  # a push to either starts it; the buildspec is the first one's
                "Source": Source.github(repository, connection=github, branch=branch),
                "Infra": Source.github(infrastructure, connection=github, branch=branch),
            },
            build=BuildProject(self, "Build"),
            build_artifacts=["App", "Template"],
            artifact_store=artifacts,
        )
        pipeline.add_stage(
            "Infrastructure",
            input="Template",
            approval=ManualApproval(question="Release both?", topic=alerts.topic),
            deploy=StackDeployment(
                self,
                "Infra",
                stack_name=infra,
                template_path="template.yaml",
                statements=[Statement(actions=MANAGE_QUEUE, resources=[queue])],
            ),
        )
        pipeline.add_stage(
            "Application",
            input="App",
            deploy=LambdaCodeDeployment(self, "Deployment", function=function, health=health, keep_versions=5),
        )
