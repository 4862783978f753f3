"""ministack with the Code family: importing this module adds every service and type of the package to it.

What stays different from AWS, beside what each module says: nothing runs but Lambda functions in Python, so Auto
Scaling groups stay empty, services of Amazon ECS have no tasks, targets stay unregistered and load balancers do not
answer under their names; time is not simulated, so what would wait for minutes goes on at once; no permission is
checked and no KMS key signs; an e-mail subscription is confirmed at once; generated names of log groups look different;
all state is in memory.

Accounts and regions are told apart as AWS does it: a request is for the account of its access key, which is the account
itself or that of an assumed role, and for the region that it is signed for. Names of IAM are those of an account, names
of buckets those of all accounts. Not so: any role can be assumed, whoever it trusts and even if it does not exist;
Amazon S3 alone looks at a bucket's policy when another account asks, and takes whoever asks for that account itself;
KMS keys and Lambda functions of another account are not found.
"""

from code_family_constructs.local import (
    _ministack,
    alarms,
    balancing,
    cloudformation,
    codebuild,
    codecommit,
    codeconnections,
    codedeploy,
    codepipeline,
    custom_resources,
    deletion,
    deployments,
    ecs,
    ecs_types,
    functions,
    identities,
    monitoring,
    network,
    notifications,
    repositories,
    scaling,
    stack_outputs,
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
    "codecommit",
    "codeconnections",
    "codedeploy",
    "codepipeline",
    "custom_resources",
    "deletion",
    "deployments",
    "ecs",
    "ecs_types",
    "functions",
    "identities",
    "monitoring",
    "network",
    "notifications",
    "repositories",
    "scaling",
    "stack_outputs",
    "storage",
    "synthetics",
    "unmodelled",
]
