"""CloudFormation template at GitHub → cfn-lint → change set → a person looks at it → CloudFormation executes it."""

from collections.abc import Sequence

from aws_cdk import Environment, RemovalPolicy, Stack
from constructs import Construct

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    Buildspec,
    CodeConnection,
    DeliveryPipeline,
    ManualApproval,
    Source,
    StackDeployment,
    Statement,
)
from code_family_constructs.build.buildspec import Artifacts, Phase, Phases

# Part of the project and not of the repository: a commit cannot switch the check off.
LINT = Buildspec(
    phases=Phases(
        install=Phase(runtime_versions={"python": "3.14"}, commands=["pip install 'cfn-lint>=1.58,<2'"]),
        pre_build=Phase(commands=["cfn-lint template.yaml"]),  # what fails here leaves no artifact behind
    ),
    artifacts=Artifacts(files=["template.yaml"]),
)

# What S3's resource type asks for, for the properties that the template has: another property needs its actions here.
MANAGE_BUCKET = [
    "s3:CreateBucket", "s3:DeleteBucket", "s3:GetBucketAcl", "s3:ListBucket",
    "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
    "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketTagging", "s3:ListTagsForResource", "s3:PutBucketTagging", "s3:TagResource", "s3:UntagResource",
]  # fmt: skip


class ChangeSet(Stack):
    """Made to be tried: delete the stack that it deploys, ChangeSet-Demo, before it is destroyed."""

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
        super().__init__(scope, id, env=env, description="CloudFormation change sets with CodePipeline")

        artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
        alerts = AlertTopic(self, "Alerts", key=artifacts.key, emails=approvers)
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            source=Source.github(repository, connection=CodeConnection.github(self, "GitHub"), branch=branch),
            build=BuildProject(self, "Lint", buildspec=LINT),
            artifact_store=artifacts,
        )
        demo = f"{self.stack_name}-Demo"
        console = f"https://{self.region}.console.aws.amazon.com/cloudformation/home?region={self.region}"
        pipeline.add_stage(
            "Production",
            deploy=StackDeployment(
                self,
                "Deployment",
                stack_name=demo,
                template_path="template.yaml",
                approval=ManualApproval(
                    question="Execute the change set?",
                    review_url=f"{console}#/stacks/changesets?stackId={demo}",
                    topic=alerts.topic,
                ),
                statements=[
                    Statement(
                        actions=MANAGE_BUCKET,
                        resources=[f"arn:{self.partition}:s3:::{demo.lower()}-reports-*"],
                        wildcard_reason="CloudFormation ends the names of buckets with random characters",
                    )
                ],
            ),
        )
