"""ministack with the Code family: importing this module adds every service and type of the package to it.

What stays different from AWS, beside what each module says: nothing runs but Lambda functions in Python, so Auto
Scaling groups stay empty, services of Amazon ECS have no tasks, targets stay unregistered and load balancers do not
answer under their names; time is not simulated, so what would wait for minutes goes on at once; no permission is
checked and no KMS key signs; an e-mail subscription is confirmed at once; generated names of log groups look different;
all state is in memory.
"""

from code_family_constructs.local import (
    _ministack,
    alarms,
    balancing,
    cloudformation,
    codebuild,
    codeconnections,
    codedeploy,
    codepipeline,
    custom_resources,
    deletion,
    deployments,
    ecs,
    ecs_types,
    functions,
    monitoring,
    network,
    notifications,
    repositories,
    scaling,
    storage,
    synthetics,
    unmodelled,
)

application = _ministack.application

unmodelled.install()

__all__ = [
    "alarms",
    "application",
    "balancing",
    "cloudformation",
    "codebuild",
    "codeconnections",
    "codedeploy",
    "codepipeline",
    "custom_resources",
    "deletion",
    "deployments",
    "ecs",
    "ecs_types",
    "functions",
    "monitoring",
    "network",
    "notifications",
    "repositories",
    "scaling",
    "storage",
    "synthetics",
    "unmodelled",
]
