"""What each feature of a project adds to its role: exactly this, shown by taking away what a plain project may do."""

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_efs as efs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm

from code_family_constructs import BuildProject, Buildspec, CodeConnection
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.batch import BatchBuilds
from code_family_constructs.build.buildspec import Env, Phase, Phases
from code_family_constructs.build.cache import S3Cache
from code_family_constructs.build.efs_mount import EfsMount
from code_family_constructs.build.environment import SecretField, SecureParameter
from code_family_constructs.build.fleet import Fleet
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.build.webhooks import FilterGroup, Webhook
from code_family_constructs.testing import statements_of, synthesized
from tests.helpers import CONNECTION_ARN, allowed
from tests.policies import has_resources, takes

HERE = "<AWS::Region>:<AWS::AccountId>"
BUCKET = "arn:<AWS::Partition>:s3:::store"
KEY = f"arn:<AWS::Partition>:kms:{HERE}:key/1234"
NAME = "checkout"
PROJECT = f"arn:<AWS::Partition>:codebuild:{HERE}:project/{NAME}"
GROUP = "<BuildSecurityGroupE42BE642.GroupId>"
INTERFACES = f"arn:<AWS::Partition>:ec2:{HERE}:network-interface/*"


def bucket(stack, *, key=True):
    return s3.Bucket.from_bucket_attributes(
        stack, "Bucket", bucket_name="store", encryption_key=a_key(stack) if key else None
    )


def a_key(stack):
    return kms.Key.from_key_arn(stack, "Key", stack.format_arn(service="kms", resource="key", resource_name="1234"))


def a_vpc(stack):
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )


def a_secret(stack, *, key=False):
    return secretsmanager.Secret.from_secret_attributes(
        stack, "Secret", secret_complete_arn=SECRET, encryption_key=a_key(stack) if key else None
    )


def a_parameter(stack):
    return ssm.StringParameter.from_string_parameter_name(stack, "Parameter", "/shop/endpoint")


def github(**settings):
    return ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN), **settings)


SECRET = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/db-AbCdEf"
PARAMETER = f"arn:<AWS::Partition>:ssm:{HERE}:parameter/shop/endpoint"
OWNER = {f"s3:{action} on {BUCKET}" for action in ("GetBucketAcl", "GetBucketLocation")}
ENCRYPT = {
    f"kms:{action} on {KEY}"
    for action in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
}
CONNECTION = {
    f"{prefix}:{action} on {CONNECTION_ARN}"
    for prefix in ("codeconnections", "codestar-connections")
    for action in ("GetConnection", "GetConnectionToken", "UseConnection")
}
DLC = '{"Fn::FindInMap": ["DlcRepositoryAccountMap", {"Ref": "AWS::Region"}, "value"]}'
PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
NETWORK = {
    f"ec2:CreateNetworkInterface on {INTERFACES}",
    f"ec2:CreateNetworkInterface on arn:<AWS::Partition>:ec2:{HERE}:subnet/subnet-1",
    f"ec2:CreateNetworkInterface on arn:<AWS::Partition>:ec2:{HERE}:subnet/subnet-2",
    f"ec2:CreateNetworkInterface on arn:<AWS::Partition>:ec2:{HERE}:security-group/{GROUP}",
    f"ec2:CreateNetworkInterfacePermission on {INTERFACES}",
    f"ec2:DeleteNetworkInterface on {INTERFACES}",
    *(f"ec2:Describe{what} on *" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")),
}


def nothing(stack):
    """Only what configures the project itself."""
    return {
        "compute_type": codebuild.ComputeType.X_LARGE,
        "privileged": True,
        "docker_server": codebuild.DockerServerComputeType.SMALL,
        "environment_variables": {"STAGE": "test"},
        "cache": [codebuild.LocalCacheMode.DOCKER_LAYER],
        "timeout": Duration.hours(2),
        "queued_timeout": Duration.hours(1),
        "concurrent_build_limit": 2,
        "auto_retry_limit": None,
        "batch": BatchBuilds(),
    }


# Feature → what is given, and what the role may do for it.
FEATURES = {
    "nothing": (nothing, set()),
    "source at GitHub": (lambda stack: {"source": github()}, CONNECTION),
    "webhook and badge": (
        lambda stack: {
            "source": github(),
            "webhook": Webhook(filter_groups=[FilterGroup(events=[codebuild.EventAction.PUSH])]),
            "badge": True,
        },
        CONNECTION,
    ),
    "source in CodeCommit": (
        lambda stack: {
            "source": ProjectSource.codecommit(codecommit.Repository.from_repository_name(stack, "Repository", "shop"))
        },
        {f"codecommit:GitPull on arn:<AWS::Partition>:codecommit:{HERE}:shop"},
    ),
    "source in a ZIP file": (
        lambda stack: {"source": ProjectSource.s3(bucket(stack), "in/source.zip")},
        OWNER
        | {f"s3:{action} on {BUCKET}/in/source.zip" for action in ("GetObject", "GetObjectVersion")}
        | {f"kms:Decrypt on {KEY}"},
    ),
    "source in a folder": (
        lambda stack: {"source": ProjectSource.s3(bucket(stack, key=False), "in/")},
        OWNER
        | {f"s3:ListBucket on {BUCKET}"}
        | {f"s3:{action} on {BUCKET}/in/*" for action in ("GetObject", "GetObjectVersion")},
    ),
    "image from ECR": (
        lambda stack: {
            "build_image": codebuild.LinuxBuildImage.from_ecr_repository(
                ecr.Repository.from_repository_name(stack, "Images", "tools"), "1.4"
            )
        },
        {f"ecr:{action} on arn:<AWS::Partition>:ecr:{HERE}:repository/tools" for action in PULL}
        | {"ecr:GetAuthorizationToken on *"},
    ),
    "image from a registry with credentials": (
        lambda stack: {
            "build_image": codebuild.LinuxBuildImage.from_docker_registry(
                "registry.acme.example/tools:1.4", secrets_manager_credentials=a_secret(stack, key=True)
            )
        },
        {f"secretsmanager:GetSecretValue on {SECRET}", f"kms:Decrypt on {KEY}"},
    ),
    "image for GPUs": (
        lambda stack: {"build_image": codebuild.LinuxGpuBuildImage.DLC_PYTORCH_1_4_0_TRAINING},
        {f"ecr:{action} on arn:<AWS::Partition>:ecr:<AWS::Region>:{DLC}:repository/pytorch-training" for action in PULL}
        | {"ecr:GetAuthorizationToken on *"},
    ),
    "image for Lambda": (
        lambda stack: {"build_image": codebuild.LinuxLambdaBuildImage.AMAZON_LINUX_2023_NODE_22},
        set(),
    ),
    "fleet": (lambda stack: {"fleet": Fleet(stack, "Fleet")}, set()),
    "parameter": (
        lambda stack: {"environment_variables": {"ENDPOINT": a_parameter(stack)}},
        {f"ssm:GetParameters on {PARAMETER}"},
    ),
    "parameter with a key": (
        lambda stack: {
            "environment_variables": {"PIN": SecureParameter(parameter=a_parameter(stack), key=a_key(stack))}
        },
        {f"ssm:GetParameters on {PARAMETER}", f"kms:Decrypt on {KEY}"},
    ),
    "secret": (
        lambda stack: {"environment_variables": {"PASSWORD": a_secret(stack)}},
        {f"secretsmanager:GetSecretValue on {SECRET}"},
    ),
    "field of a secret with a key": (
        lambda stack: {
            "environment_variables": {"PASSWORD": SecretField(secret=a_secret(stack, key=True), json_key="password")}
        },
        {f"secretsmanager:GetSecretValue on {SECRET}", f"kms:Decrypt on {KEY}"},
    ),
    "parameters and secrets of the buildspec": (
        lambda stack: {
            "buildspec": Buildspec(
                env=Env(
                    parameter_store={"A": "/shop/endpoint", "B": "/shop/$STAGE"},
                    secrets_manager={"C": f"{SECRET}:password", "D": "shop/db:user", "E": "shop/db:password"},
                ),
                phases=Phases(build=Phase(commands=["make"])),
            )
        },
        {
            f"ssm:GetParameters on {PARAMETER}",
            f"secretsmanager:GetSecretValue on {SECRET}",
            f"secretsmanager:GetSecretValue on arn:<AWS::Partition>:secretsmanager:{HERE}:secret:shop/db-??????",
        },
    ),
    "cache in S3": (
        lambda stack: {"cache": S3Cache(bucket=bucket(stack))},
        OWNER
        | ENCRYPT
        | {f"s3:ListBucket on {BUCKET}"}
        | {f"s3:{action} on {BUCKET}/cache/{NAME}/*" for action in ("GetObject", "GetObjectVersion", "PutObject")},
    ),
    "shared cache": (
        lambda stack: {"cache": S3Cache(bucket=bucket(stack, key=False), namespace="npm")},
        OWNER
        | {f"s3:ListBucket on {BUCKET}"}
        | {f"s3:{action} on {BUCKET}/cache/npm/*" for action in ("GetObject", "GetObjectVersion", "PutObject")},
    ),
    "VPC": (lambda stack: {"vpc": a_vpc(stack)}, NETWORK),
    "file system": (
        lambda stack: {
            "vpc": (vpc := a_vpc(stack)),
            "file_systems": [
                EfsMount(
                    file_system=efs.FileSystem.from_file_system_attributes(
                        stack,
                        "Files",
                        file_system_id="fs-1",
                        security_group=ec2.SecurityGroup(stack, "Group", vpc=vpc),
                    ),
                    identifier="files",
                    mount_point="/mnt/files",
                )
            ],
        },
        NETWORK,
    ),
    "retries": (
        lambda stack: {"source": github(), "auto_retry_limit": 3},
        CONNECTION | {f"codebuild:RetryBuild on {PROJECT}"},
    ),
    "test reports": (
        lambda stack: {"report_groups": {"unit": codebuild.ReportGroupType.TEST}},
        {
            f"codebuild:{action} on arn:<AWS::Partition>:codebuild:{HERE}:report-group/{NAME}-unit"
            for action in ("CreateReport", "UpdateReport", "BatchPutTestCases")
        },
    ),
    "exported coverage reports": (
        lambda stack: {
            "report_groups": {"all": codebuild.ReportGroupType.CODE_COVERAGE},
            "report_bucket": bucket(stack),
        },
        {
            f"codebuild:{action} on arn:<AWS::Partition>:codebuild:{HERE}:report-group/{NAME}-all"
            for action in ("CreateReport", "UpdateReport", "BatchPutCodeCoverages")
        }
        | OWNER
        | ENCRYPT
        | {f"s3:PutObject on {BUCKET}/reports/{NAME}/*"},
    ),
    "artifacts": (
        lambda stack: {"source": github(), "artifacts": S3Artifacts(bucket=bucket(stack))},
        CONNECTION | OWNER | ENCRYPT | {f"s3:PutObject on {BUCKET}/artifacts/{NAME}/*"},
    ),
    "combined artifacts of a batch": (
        lambda stack: {
            "source": github(),
            "artifacts": S3Artifacts(bucket=bucket(stack, key=False)),
            "batch": BatchBuilds(combine_artifacts=True),
        },
        CONNECTION | OWNER | {f"s3:{action} on {BUCKET}/artifacts/{NAME}/*" for action in ("GetObject", "PutObject")},
    ),
    "logs in S3": (
        lambda stack: {"log_bucket": bucket(stack)},
        OWNER | ENCRYPT | {f"s3:PutObject on {BUCKET}/logs/{NAME}/*"},
    ),
    "key of the log": (lambda stack: {"log_key": kms.Key(stack, "LogKey")}, set()),
    "debug session": (
        lambda stack: {"debug_session": True},
        {
            f"ssmmessages:{action} on *"
            for action in ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
        },
    ),
}


@pytest.fixture(scope="module")
def templates():
    app = App()
    for index, (settings, _) in enumerate(FEATURES.values()):
        stack = Stack(app, f"Feature{index}")
        BuildProject(stack, "Build", project_name=NAME, **settings(stack))
    stacks = [child for child in app.node.children if isinstance(child, Stack)]
    return dict(zip(FEATURES, map(synthesized, stacks), strict=True))


@pytest.fixture(params=FEATURES)
def feature(request):
    return request.param


def test_the_role_may_do_this_beyond_its_log(templates, feature):
    log = {f"logs:{action} on <BuildLogs04E75593.Arn>" for action in ("CreateLogStream", "PutLogEvents")}
    assert allowed(templates[feature], "BuildRolePolicy") == FEATURES[feature][1] | log


def test_nobody_else_may_do_anything(templates, feature):
    """But batches, whose role is another one."""
    others = {name for name, _ in statements_of(templates[feature]["Resources"]) if "RolePolicy" in name}
    batches = "batch" in feature or feature == "nothing"
    assert {name.removesuffix(name[-8:]) for name in others} == {"BuildRolePolicy"} | (
        {"BuildBatchRolePolicy"} if batches else set()
    )


def test_batches_may_start_stop_and_retry_builds_of_this_project(templates):
    assert allowed(templates["nothing"], "BuildBatchRolePolicy") == {
        f"codebuild:{action} on {PROJECT}" for action in ("RetryBuild", "StartBuild", "StopBuild")
    }


def conditions(template, action):
    [statement] = [
        statement
        for _, statement in statements_of(template["Resources"])
        if action in statement["Action"] and "Condition" in statement
    ]
    return statement["Condition"]


def test_a_connection_is_used_for_this_repository(templates):
    used = conditions(templates["source at GitHub"], "codeconnections:UseConnection")
    assert used == {"StringEqualsIfExists": {"codeconnections:FullRepositoryId": "acme/shop"}}


def test_a_key_decrypts_this_parameter_and_nothing_else(templates):
    used = conditions(templates["parameter with a key"], "kms:Decrypt")
    assert list(used["StringLike"]) == ["kms:EncryptionContext:PARAMETER_ARN"]


def test_a_key_decrypts_this_secret_and_nothing_else(templates):
    used = conditions(templates["field of a secret with a key"], "kms:Decrypt")
    assert used == {"StringLike": {"kms:EncryptionContext:SecretARN": SECRET}}


def test_network_interfaces_are_those_of_the_subnets_and_of_codebuild(templates):
    used = conditions(templates["VPC"], "ec2:CreateNetworkInterfacePermission")
    assert used["StringEquals"] == {"ec2:AuthorizedService": "codebuild.amazonaws.com"}
    assert len(used["ArnEquals"]["ec2:Subnet"]) == 2
    assert conditions(templates["VPC"], "ec2:DeleteNetworkInterface") == {"ArnEquals": used["ArnEquals"]}


def test_a_folder_is_listed_and_not_the_bucket(templates):
    assert conditions(templates["source in a folder"], "s3:ListBucket") == {"StringLike": {"s3:prefix": "in/*"}}


def test_iam_checks_each_action_against_such_a_resource(templates, feature):
    for entry in allowed(templates[feature], "BuildRolePolicy"):
        action, _, resource = entry.partition(" on ")
        if resource == "*":
            assert not has_resources(action)
        elif resource.startswith("arn:"):
            assert takes(action, resolved(resource)), entry


def resolved(resource):
    values = {
        "<AWS::Partition>": "aws",
        "<AWS::Region>": "us-east-1",
        "<AWS::AccountId>": "111111111111",
        DLC: "2" * 12,
    }
    for token, value in values.items():
        resource = resource.replace(token, value)
    return resource
