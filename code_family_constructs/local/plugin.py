"""ministack with the Code family: importing this module adds every service and type of the package to it."""

from code_family_constructs.local import (
    _ministack,
    cloudformation,
    codebuild,
    codeconnections,
    codedeploy,
    codepipeline,
    custom_resources,
    deletion,
    monitoring,
    network,
    notifications,
    storage,
)

application = _ministack.application

__all__ = [
    "application",
    "cloudformation",
    "codebuild",
    "codeconnections",
    "codedeploy",
    "codepipeline",
    "custom_resources",
    "deletion",
    "monitoring",
    "network",
    "notifications",
    "storage",
]
