"""AWS CDK constructs that ship software safely with the AWS Code family."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from code_family_constructs.actions import Action as Action
    from code_family_constructs.actions import ActionContext as ActionContext
    from code_family_constructs.actions import StageAction as StageAction
    from code_family_constructs.build import Build as Build
    from code_family_constructs.build.artifacts import S3Artifacts as S3Artifacts
    from code_family_constructs.build.batch import BatchBuilds as BatchBuilds
    from code_family_constructs.build.bucket import BuildBucket as BuildBucket
    from code_family_constructs.build.buildspec import Buildspec as Buildspec
    from code_family_constructs.build.buildspec_checks import BuildHost as BuildHost
    from code_family_constructs.build.cache import S3Cache as S3Cache
    from code_family_constructs.build.efs_mount import EfsMount as EfsMount
    from code_family_constructs.build.environment import SecretField as SecretField
    from code_family_constructs.build.environment import SecureParameter as SecureParameter
    from code_family_constructs.build.fleet import Fleet as Fleet
    from code_family_constructs.build.image import ImageBuild as ImageBuild
    from code_family_constructs.build.project import BuildProject as BuildProject
    from code_family_constructs.build.project_source import ProjectSource as ProjectSource
    from code_family_constructs.build.webhooks import FilterGroup as FilterGroup
    from code_family_constructs.build.webhooks import Webhook as Webhook
    from code_family_constructs.deploy.appspec import Appspec as Appspec
    from code_family_constructs.deploy.appspec import Ec2Appspec as Ec2Appspec
    from code_family_constructs.deploy.appspec import EcsAppspec as EcsAppspec
    from code_family_constructs.deploy.appspec import LambdaAppspec as LambdaAppspec
    from code_family_constructs.deploy.ec2_blue_green import Ec2BlueGreenDeployment as Ec2BlueGreenDeployment
    from code_family_constructs.deploy.ec2_fleet import Ec2BlueGreenFleet as Ec2BlueGreenFleet
    from code_family_constructs.deploy.ec2_fleet import Ec2Fleet as Ec2Fleet
    from code_family_constructs.deploy.ecs_service import EcsService as EcsService
    from code_family_constructs.deploy.ecs_service import EcsTarget as EcsTarget
    from code_family_constructs.deploy.hooks import DeploymentHook as DeploymentHook
    from code_family_constructs.deploy.lambda_function import LambdaFunction as LambdaFunction
    from code_family_constructs.deploy.lambda_release import LambdaActionDeployment as LambdaActionDeployment
    from code_family_constructs.deploy.lambda_release import LambdaCodeDeployment as LambdaCodeDeployment
    from code_family_constructs.deploy.running_image import RunningImage as RunningImage
    from code_family_constructs.deploy.to_app_config import AppConfigDeployment as AppConfigDeployment
    from code_family_constructs.deploy.to_cloudformation import StackDeletion as StackDeletion
    from code_family_constructs.deploy.to_cloudformation import StackDeployment as StackDeployment
    from code_family_constructs.deploy.to_ec2 import Ec2Deployment as Ec2Deployment
    from code_family_constructs.deploy.to_ec2_instances import Ec2InstancesDeployment as Ec2InstancesDeployment
    from code_family_constructs.deploy.to_ecs import EcsDeployment as EcsDeployment
    from code_family_constructs.deploy.to_ecs_rolling import EcsRollingDeployment as EcsRollingDeployment
    from code_family_constructs.deploy.to_eks import EksDeployment as EksDeployment
    from code_family_constructs.deploy.to_elastic_beanstalk import (
        ElasticBeanstalkDeployment as ElasticBeanstalkDeployment,
    )
    from code_family_constructs.deploy.to_lambda import LambdaDeployment as LambdaDeployment
    from code_family_constructs.deploy.to_s3 import S3Deployment as S3Deployment
    from code_family_constructs.deploy.to_s3 import WebsiteDeployment as WebsiteDeployment
    from code_family_constructs.deploy.to_service_catalog import ServiceCatalogDeployment as ServiceCatalogDeployment
    from code_family_constructs.deploy.to_stack_set import OperationPreferences as OperationPreferences
    from code_family_constructs.deploy.to_stack_set import ServiceManagedPermissions as ServiceManagedPermissions
    from code_family_constructs.deploy.to_stack_set import StackInstancesDeployment as StackInstancesDeployment
    from code_family_constructs.deploy.to_stack_set import StackSetDeployment as StackSetDeployment
    from code_family_constructs.deploy.to_stack_set import StackSetTargets as StackSetTargets
    from code_family_constructs.deploy.triggers import DeploymentTrigger as DeploymentTrigger
    from code_family_constructs.documents import Finding as Finding
    from code_family_constructs.errors import ConfigurationError as ConfigurationError
    from code_family_constructs.health import HealthGate as HealthGate
    from code_family_constructs.permissions import Statement as Statement
    from code_family_constructs.pipeline.actions.code_build import CodeBuildAction as CodeBuildAction
    from code_family_constructs.pipeline.actions.commands import CommandsAction as CommandsAction
    from code_family_constructs.pipeline.actions.custom_action import CustomAction as CustomAction
    from code_family_constructs.pipeline.actions.ecr_build_and_publish import EcrBuildAndPublish as EcrBuildAndPublish
    from code_family_constructs.pipeline.actions.inspector_scan import InspectorScan as InspectorScan
    from code_family_constructs.pipeline.actions.lambda_invoke import InvokeFunction as InvokeFunction
    from code_family_constructs.pipeline.actions.lambda_invoke import LambdaInvoke as LambdaInvoke
    from code_family_constructs.pipeline.actions.pipeline_invoke import PipelineInvoke as PipelineInvoke
    from code_family_constructs.pipeline.actions.step_functions import StepFunctionsInvoke as StepFunctionsInvoke
    from code_family_constructs.pipeline.approval import ManualApproval as ManualApproval
    from code_family_constructs.pipeline.artifact_store import ArtifactStore as ArtifactStore
    from code_family_constructs.pipeline.conditions import BeforeEntry as BeforeEntry
    from code_family_constructs.pipeline.conditions import OnFailure as OnFailure
    from code_family_constructs.pipeline.conditions import OnSuccess as OnSuccess
    from code_family_constructs.pipeline.conditions import bake as bake
    from code_family_constructs.pipeline.conditions import change_freeze as change_freeze
    from code_family_constructs.pipeline.delivery_pipeline import DeliveryPipeline as DeliveryPipeline
    from code_family_constructs.pipeline.rules import AlarmRule as AlarmRule
    from code_family_constructs.pipeline.rules import CodeBuildRule as CodeBuildRule
    from code_family_constructs.pipeline.rules import CommandsRule as CommandsRule
    from code_family_constructs.pipeline.rules import DeploymentWindowRule as DeploymentWindowRule
    from code_family_constructs.pipeline.rules import LambdaRule as LambdaRule
    from code_family_constructs.pipeline.rules import Rule as Rule
    from code_family_constructs.pipeline.rules import RuleContext as RuleContext
    from code_family_constructs.pipeline.rules import StageRule as StageRule
    from code_family_constructs.pipeline.rules import VariableCheckRule as VariableCheckRule
    from code_family_constructs.pipeline.schedule import ScheduleTrigger as ScheduleTrigger
    from code_family_constructs.pipeline.starts import Decision as Decision
    from code_family_constructs.pipeline.starts import PullRequest as PullRequest
    from code_family_constructs.pipeline.starts import Push as Push
    from code_family_constructs.pipeline.target_account import TargetAction as TargetAction
    from code_family_constructs.pipeline.target_account import TargetEnvironment as TargetEnvironment
    from code_family_constructs.pipeline.triggers import GitTrigger as GitTrigger
    from code_family_constructs.pipeline.triggers import PullRequestFilter as PullRequestFilter
    from code_family_constructs.pipeline.triggers import PushFilter as PushFilter
    from code_family_constructs.pipeline.triggers import SourceChange as SourceChange
    from code_family_constructs.pipeline.variables import PipelineVariable as PipelineVariable
    from code_family_constructs.smoke_test import SmokeTest as SmokeTest
    from code_family_constructs.source.connection import CodeConnection as CodeConnection
    from code_family_constructs.source.host import CodeConnectionHost as CodeConnectionHost
    from code_family_constructs.source.pull_requests import PullRequestChecks as PullRequestChecks
    from code_family_constructs.source.repository import Repository as Repository
    from code_family_constructs.source.source import Source as Source
    from code_family_constructs.topic import AlertTopic as AlertTopic

# Loaded at first use: a name from aws-cdk-lib costs up to a second of import time, and nobody needs all of them.
_HOME = {
    "Action": "actions",
    "ActionContext": "actions",
    "AlarmRule": "pipeline.rules",
    "AlertTopic": "topic",
    "AppConfigDeployment": "deploy.to_app_config",
    "Appspec": "deploy.appspec",
    "ArtifactStore": "pipeline.artifact_store",
    "BatchBuilds": "build.batch",
    "BeforeEntry": "pipeline.conditions",
    "Build": "build",
    "BuildBucket": "build.bucket",
    "BuildHost": "build.buildspec_checks",
    "BuildProject": "build.project",
    "Buildspec": "build.buildspec",
    "CodeBuildAction": "pipeline.actions.code_build",
    "CodeBuildRule": "pipeline.rules",
    "CodeConnection": "source.connection",
    "CodeConnectionHost": "source.host",
    "CommandsAction": "pipeline.actions.commands",
    "CommandsRule": "pipeline.rules",
    "ConfigurationError": "errors",
    "CustomAction": "pipeline.actions.custom_action",
    "Decision": "pipeline.starts",
    "DeliveryPipeline": "pipeline.delivery_pipeline",
    "DeploymentHook": "deploy.hooks",
    "DeploymentTrigger": "deploy.triggers",
    "DeploymentWindowRule": "pipeline.rules",
    "Ec2Appspec": "deploy.appspec",
    "Ec2BlueGreenDeployment": "deploy.ec2_blue_green",
    "Ec2BlueGreenFleet": "deploy.ec2_fleet",
    "Ec2Deployment": "deploy.to_ec2",
    "Ec2Fleet": "deploy.ec2_fleet",
    "Ec2InstancesDeployment": "deploy.to_ec2_instances",
    "EcrBuildAndPublish": "pipeline.actions.ecr_build_and_publish",
    "EcsAppspec": "deploy.appspec",
    "EcsDeployment": "deploy.to_ecs",
    "EcsRollingDeployment": "deploy.to_ecs_rolling",
    "EcsService": "deploy.ecs_service",
    "EcsTarget": "deploy.ecs_service",
    "EfsMount": "build.efs_mount",
    "EksDeployment": "deploy.to_eks",
    "ElasticBeanstalkDeployment": "deploy.to_elastic_beanstalk",
    "FilterGroup": "build.webhooks",
    "Finding": "documents",
    "Fleet": "build.fleet",
    "GitTrigger": "pipeline.triggers",
    "HealthGate": "health",
    "ImageBuild": "build.image",
    "InspectorScan": "pipeline.actions.inspector_scan",
    "InvokeFunction": "pipeline.actions.lambda_invoke",
    "LambdaActionDeployment": "deploy.lambda_release",
    "LambdaAppspec": "deploy.appspec",
    "LambdaCodeDeployment": "deploy.lambda_release",
    "LambdaDeployment": "deploy.to_lambda",
    "LambdaFunction": "deploy.lambda_function",
    "LambdaInvoke": "pipeline.actions.lambda_invoke",
    "LambdaRule": "pipeline.rules",
    "ManualApproval": "pipeline.approval",
    "OnFailure": "pipeline.conditions",
    "OnSuccess": "pipeline.conditions",
    "OperationPreferences": "deploy.to_stack_set",
    "PipelineInvoke": "pipeline.actions.pipeline_invoke",
    "PipelineVariable": "pipeline.variables",
    "ProjectSource": "build.project_source",
    "PullRequest": "pipeline.starts",
    "PullRequestChecks": "source.pull_requests",
    "PullRequestFilter": "pipeline.triggers",
    "Push": "pipeline.starts",
    "PushFilter": "pipeline.triggers",
    "Repository": "source.repository",
    "Rule": "pipeline.rules",
    "RuleContext": "pipeline.rules",
    "RunningImage": "deploy.running_image",
    "S3Artifacts": "build.artifacts",
    "S3Cache": "build.cache",
    "S3Deployment": "deploy.to_s3",
    "ScheduleTrigger": "pipeline.schedule",
    "SecretField": "build.environment",
    "SecureParameter": "build.environment",
    "ServiceCatalogDeployment": "deploy.to_service_catalog",
    "ServiceManagedPermissions": "deploy.to_stack_set",
    "SmokeTest": "smoke_test",
    "Source": "source.source",
    "SourceChange": "pipeline.triggers",
    "StackDeletion": "deploy.to_cloudformation",
    "StackDeployment": "deploy.to_cloudformation",
    "StackInstancesDeployment": "deploy.to_stack_set",
    "StackSetDeployment": "deploy.to_stack_set",
    "StackSetTargets": "deploy.to_stack_set",
    "StageAction": "actions",
    "StageRule": "pipeline.rules",
    "Statement": "permissions",
    "StepFunctionsInvoke": "pipeline.actions.step_functions",
    "TargetAction": "pipeline.target_account",
    "TargetEnvironment": "pipeline.target_account",
    "VariableCheckRule": "pipeline.rules",
    "Webhook": "build.webhooks",
    "WebsiteDeployment": "deploy.to_s3",
    "bake": "pipeline.conditions",
    "change_freeze": "pipeline.conditions",
}

__all__ = [  # noqa: PLE0604 - the names are the keys above
    *_HOME
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
