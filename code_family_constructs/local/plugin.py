"""ministack with the Code family: importing this module adds every service and type of the package to it.

What stays different from AWS, beside what each module says: nothing runs but Lambda functions in Python, so Auto
Scaling groups stay empty and targets unregistered; no permission is checked and no KMS key signs; an e-mail
subscription is confirmed at once; generated names of log groups look different; all state is in memory.
"""

from code_family_constructs.local import (
    _ministack,
    balancing,
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
    scaling,
    storage,
    unmodelled,
)

application = _ministack.application

unmodelled.install()

__all__ = [
    "application",
    "balancing",
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
    "scaling",
    "storage",
    "unmodelled",
]
