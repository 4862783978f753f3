"""Floor 1: deploy the revision to an environment of AWS Elastic Beanstalk."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import Statement, pseudo

_APPLICATION_NAME = NameRule("application", r"[^/]", 100)
_ENVIRONMENT_NAME = NameRule("environment", "[A-Za-z0-9-]", 40, shortest=4, first="[A-Za-z0-9]")
_AT = "ElasticBeanstalkDeployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ElasticBeanstalkDeployment:
    """Deploys the revision as a new version of an application to one of its Elastic Beanstalk environments.

    The artifact is the source bundle, 512 MB at most. CodePipeline gives it an hour.

    Elastic Beanstalk changes an environment with the permissions of whoever asks it to: load balancers, Auto Scaling
    groups and the CloudFormation stack behind it, all with names that begin with `awseb-`. The page of the action
    calls every action of eleven services the minimum, aws-cdk-lib attaches AdministratorAccess-AWSElasticBeanstalk.
    This is what AWS's policy for managed updates of environments spells out, cut down to what a new version takes when
    it is deployed all at once or rolling (with an additional batch too), in this application's environments and on
    resources of these names. Deployments that make instances beside the old ones (immutable, traffic splitting), and
    environments with a queue, a database or containers of Amazon ECS, take more: give it as `statements`.

    Args:
        application_name: Name of the application.
        environment_name: Name of the environment.
        statements: What this environment takes besides.

    Raises:
        ConfigurationError: A name that Elastic Beanstalk would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Beanstalk.html
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy.html
    """

    application_name: str
    environment_name: str
    statements: Sequence[Statement] = ()

    def __post_init__(self) -> None:
        check_name(_AT, self.application_name, _APPLICATION_NAME)
        check_name(_AT, self.environment_name, _ENVIRONMENT_NAME)
        if self.environment_name.endswith("-"):
            raise ConfigurationError(
                f"environment name {self.environment_name!r} ends with a hyphen", at=_AT, fix="leave the hyphen out"
            )

    def stage_action(self, context: ActionContext) -> StageAction:
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="ElasticBeanstalk",
                configuration={"ApplicationName": self.application_name, "EnvironmentName": self.environment_name},
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=[*self._versions(context), *_environment(context), *_reading(), *self.statements],
        )

    def _versions(self, context: ActionContext) -> list[Statement]:
        aws, name = pseudo(), self.application_name
        application = arn_at(context, "elasticbeanstalk", f"application/{name}")
        versions = arn_at(context, "elasticbeanstalk", f"applicationversion/{name}/*")
        environment = arn_at(context, "elasticbeanstalk", f"environment/{name}/{self.environment_name}")
        # Elastic Beanstalk's own bucket of the account, and that of AWS with what instances need at start.
        region = context.region or aws.region
        bucket = f"arn:{aws.partition}:s3:::elasticbeanstalk-{region}-{aws.account}"
        return [
            Statement(
                actions=[
                    "elasticbeanstalk:CreateApplicationVersion",
                    "elasticbeanstalk:DescribeApplicationVersions",
                    "elasticbeanstalk:DescribeApplications",
                    "elasticbeanstalk:DescribeConfigurationSettings",
                    "elasticbeanstalk:DescribeEnvironmentResources",
                    "elasticbeanstalk:DescribeEnvironments",
                    "elasticbeanstalk:DescribeEvents",
                    "elasticbeanstalk:UpdateEnvironment",
                ],
                resources=[application, versions, environment],
                wildcard_reason="CodePipeline labels a version when it makes it; the application is named",
            ),
            Statement(
                actions=["elasticbeanstalk:CreateStorageLocation"],
                resources=["*"],
                wildcard_reason="the storage location of an account has no ARN",
            ),
            Statement(
                actions=["s3:CreateBucket", "s3:GetBucketLocation", "s3:GetBucketPolicy", "s3:ListBucket"],
                resources=[bucket],
            ),
            Statement(
                actions=[
                    "s3:GetObject",
                    "s3:GetObjectAcl",
                    "s3:GetObjectVersion",
                    "s3:PutObject",
                    "s3:PutObjectAcl",
                ],
                resources=[f"{bucket}/*"],
                wildcard_reason="source bundles are named when they are uploaded; the bucket is Elastic Beanstalk's",
            ),
            Statement(
                actions=["s3:GetObject"],
                resources=[f"arn:{aws.partition}:s3:::elasticbeanstalk-env-resources-{region}/*"],
                wildcard_reason="public files of AWS, whose names its platforms know",
            ),
        ]


def _environment(context: ActionContext) -> list[Statement]:
    """What Elastic Beanstalk does to the resources of an environment."""
    reason = "Elastic Beanstalk names the resources of an environment by an id that it makes, always with this prefix"
    return [
        Statement(
            actions=[
                "cloudformation:CancelUpdateStack",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStackResource",
                "cloudformation:DescribeStackResources",
                "cloudformation:DescribeStacks",
                "cloudformation:GetTemplate",
                "cloudformation:ListStackResources",
                "cloudformation:UpdateStack",
            ],
            resources=[arn_at(context, "cloudformation", "stack/awseb-e-*")],
            wildcard_reason=reason,
        ),
        Statement(
            actions=[
                "autoscaling:AttachInstances",
                "autoscaling:DetachInstances",
                "autoscaling:PutNotificationConfiguration",
                "autoscaling:ResumeProcesses",
                "autoscaling:SetDesiredCapacity",
                "autoscaling:SuspendProcesses",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
                "autoscaling:UpdateAutoScalingGroup",
            ],
            resources=[arn_at(context, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/awseb-e-*")],
            wildcard_reason=reason,
        ),
        Statement(
            actions=[
                "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
                "elasticloadbalancing:DeregisterTargets",
                "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
                "elasticloadbalancing:RegisterTargets",
            ],
            resources=[
                arn_at(context, "elasticloadbalancing", "loadbalancer/awseb-*"),
                arn_at(context, "elasticloadbalancing", "targetgroup/awseb-*"),
            ],
            wildcard_reason=reason,
        ),
    ]


def _reading() -> list[Statement]:
    return [
        Statement(
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeNotificationConfigurations",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeScheduledActions",
                "ec2:DescribeAddresses",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeKeyPairs",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeInstanceHealth",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            resources=["*"],
            wildcard_reason="Describe actions of Auto Scaling, EC2 and load balancing have no resource-level "
            "permissions",
        )
    ]
