"""AWS CDK constructs that ship software safely with the AWS Code family."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from code_family_constructs.deploy import DeployAction as DeployAction
    from code_family_constructs.deploy import DeployContext as DeployContext
    from code_family_constructs.deploy import Deployment as Deployment
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
    from code_family_constructs.deploy.to_cloudformation import StackDeployment as StackDeployment
    from code_family_constructs.deploy.to_ec2 import Ec2Deployment as Ec2Deployment
    from code_family_constructs.deploy.to_ecs import EcsDeployment as EcsDeployment
    from code_family_constructs.deploy.to_lambda import LambdaDeployment as LambdaDeployment
    from code_family_constructs.deploy.triggers import DeploymentTrigger as DeploymentTrigger
    from code_family_constructs.documents import Finding as Finding
    from code_family_constructs.errors import ConfigurationError as ConfigurationError
    from code_family_constructs.health import HealthGate as HealthGate
    from code_family_constructs.permissions import Statement as Statement
    from code_family_constructs.pipeline.approval import ManualApproval as ManualApproval
    from code_family_constructs.pipeline.artifact_store import ArtifactStore as ArtifactStore
    from code_family_constructs.pipeline.delivery_pipeline import DeliveryPipeline as DeliveryPipeline
    from code_family_constructs.smoke_test import SmokeTest as SmokeTest
    from code_family_constructs.source.connection import CodeConnection as CodeConnection
    from code_family_constructs.source.source import Source as Source
    from code_family_constructs.topic import AlertTopic as AlertTopic

# Loaded at first use: a name from aws-cdk-lib costs up to a second of import time, and nobody needs all of them.
_HOME = {
    "AlertTopic": "topic",
    "Appspec": "deploy.appspec",
    "ArtifactStore": "pipeline.artifact_store",
    "BatchBuilds": "build.batch",
    "Build": "build",
    "BuildBucket": "build.bucket",
    "BuildHost": "build.buildspec_checks",
    "BuildProject": "build.project",
    "Buildspec": "build.buildspec",
    "CodeConnection": "source.connection",
    "ConfigurationError": "errors",
    "DeliveryPipeline": "pipeline.delivery_pipeline",
    "DeployAction": "deploy",
    "DeployContext": "deploy",
    "Deployment": "deploy",
    "DeploymentHook": "deploy.hooks",
    "DeploymentTrigger": "deploy.triggers",
    "Ec2Appspec": "deploy.appspec",
    "Ec2BlueGreenDeployment": "deploy.ec2_blue_green",
    "Ec2BlueGreenFleet": "deploy.ec2_fleet",
    "Ec2Deployment": "deploy.to_ec2",
    "Ec2Fleet": "deploy.ec2_fleet",
    "EcsAppspec": "deploy.appspec",
    "EcsDeployment": "deploy.to_ecs",
    "EcsService": "deploy.ecs_service",
    "EcsTarget": "deploy.ecs_service",
    "EfsMount": "build.efs_mount",
    "FilterGroup": "build.webhooks",
    "Finding": "documents",
    "Fleet": "build.fleet",
    "HealthGate": "health",
    "ImageBuild": "build.image",
    "LambdaActionDeployment": "deploy.lambda_release",
    "LambdaAppspec": "deploy.appspec",
    "LambdaCodeDeployment": "deploy.lambda_release",
    "LambdaDeployment": "deploy.to_lambda",
    "LambdaFunction": "deploy.lambda_function",
    "ManualApproval": "pipeline.approval",
    "ProjectSource": "build.project_source",
    "RunningImage": "deploy.running_image",
    "S3Artifacts": "build.artifacts",
    "S3Cache": "build.cache",
    "SecretField": "build.environment",
    "SecureParameter": "build.environment",
    "SmokeTest": "smoke_test",
    "Source": "source.source",
    "StackDeployment": "deploy.to_cloudformation",
    "Statement": "permissions",
    "Webhook": "build.webhooks",
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
