"""Who may do what in a release to other accounts and regions, and that one step outside ends at a closed door.

A pipeline in a tooling account in Ireland deploys to staging in Ireland and to production in Virginia, each in an
account of its own: to EC2 in place and by blue/green, to Amazon ECS by itself and by CodeDeploy, to AWS Lambda, by
CloudFormation after a person's approval, and to Amazon S3. Each row of the table is a request that some role or service
makes, or must not get through. Identity policies, the policies of buckets, keys and repositories, and trust policies
answer together, as they do across accounts.
"""

import json
from pathlib import Path

import pytest
from aws_cdk import App, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import (
    ArtifactStore,
    BuildProject,
    DeliveryPipeline,
    Ec2BlueGreenDeployment,
    Ec2BlueGreenFleet,
    Ec2Deployment,
    Ec2Fleet,
    EcsDeployment,
    EcsService,
    ImageBuild,
    LambdaCodeDeployment,
    LambdaFunction,
    ManualApproval,
    StackDeployment,
    Statement,
)
from code_family_constructs.deploy.to_s3 import S3Deployment
from code_family_constructs.pipeline.target_account import TargetAction, TargetEnvironment
from code_family_constructs.testing import synthesized
from tests.helpers import a_source
from tests.policies import Deployed, Organization, arn, grants_of, takes

ALLOWED, DENIED, REFUSED = "allowed", "implicitly denied", "explicitly denied"
IRELAND, VIRGINIA = "eu-west-1", "us-east-1"
TOOLING, STAGING, PRODUCTION, STRANGER = "111111111111", "222222222222", "333333333333", "444444444444"
SITE = "shop-site-of-production"
TOPIC = arn("sns", "Shop", region=VIRGINIA, account=PRODUCTION)
FLAGS = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]


class Company:
    """What the table is about, deployed."""

    def __init__(self, folder: Path) -> None:
        app = App(outdir=str(folder), context=FLAGS, analytics_reporting=False)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        self.tooling = Stack(app, "ShopPipeline", env=TargetEnvironment("Tooling", TOOLING, IRELAND).env)
        abroad = Stack(app, "ShopArtifacts", env=TargetEnvironment("Tooling", TOOLING, VIRGINIA).env)
        self.staging = Stack(app, "ShopStaging", env=TargetEnvironment("Staging", STAGING, IRELAND).env)
        self.production = Stack(app, "ShopProduction", env=TargetEnvironment("Production", PRODUCTION, VIRGINIA).env)
        image = ImageBuild(self.tooling, "Image", repository_name="shop")
        pipeline = DeliveryPipeline(
            self.tooling,
            "Pipeline",
            source=a_source(),
            build=BuildProject(self.tooling, "Build"),
            cross_region_stores=[ArtifactStore(abroad, "Artifacts")],
        )
        pipeline.add_stage("Image", deploy=None, test=image.build)
        pipeline.add_stage(
            "Staging",
            deploy={
                "Ec2": self.to_ec2(self.staging),
                "BlueGreen": self.to_new_ec2(self.staging),
                "Ecs": self.to_ecs(self.staging, image, ecs.DeploymentControllerType.CODE_DEPLOY),
            },
        )
        pipeline.add_stage(
            "Production",
            deploy={
                "Ec2": self.to_ec2(self.production),
                "Ecs": self.to_ecs(self.production, image),
                "Lambda": self.to_lambda(self.production),
                "Stack": StackDeployment(
                    self.production,
                    "Infrastructure",
                    stack_name="Shop-Infrastructure",
                    template_path="template.yml",
                    statements=[Statement(actions=["sns:CreateTopic"], resources=[TOPIC])],
                    approval=ManualApproval(question="Is that what was meant?"),
                ),
                "Site": self.to_s3(self.production),
            },
        )
        self.app = app
        self.stacks = [self.tooling, abroad, self.staging, self.production]
        self.templates = {stack.stack_name: synthesized(stack) for stack in self.stacks}
        self.assembly = app.synth()

    def to_ec2(self, stack):
        fleet = Ec2Fleet(stack, "Fleet", certificate=None, removal_policy=RemovalPolicy.RETAIN)
        return Ec2Deployment(stack, "Ec2", fleet=fleet, health=fleet.health)

    def to_new_ec2(self, stack):
        fleet = Ec2BlueGreenFleet(stack, "NewFleet", certificate=None, removal_policy=RemovalPolicy.RETAIN)
        return Ec2BlueGreenDeployment(stack, "BlueGreen", fleet=fleet, health=fleet.health)

    def to_ecs(self, stack, image, controller=ecs.DeploymentControllerType.ECS):
        service = EcsService(
            stack, "Service", certificate=None, repository=image.repository, deployment_controller=controller
        )
        return EcsDeployment(stack, "Ecs", service=service, health=service.health)

    def to_lambda(self, stack):
        return LambdaCodeDeployment(stack, "Lambda", function=LambdaFunction(stack, "Greeter").function)

    def to_s3(self, stack):
        return TargetAction(S3Deployment(bucket=s3.Bucket.from_bucket_name(stack, "Site", SITE)), stack)


ROLES = {
    "pipeline": ("ShopPipeline", "PipelineRole"),
    "build": ("ShopPipeline", "BuildRole"),
    "action": ("ShopProduction", "ShopPipelinePipeline"),
    "staging action": ("ShopStaging", "ShopPipelinePipeline"),
    "instance": ("ShopProduction", "FleetRole"),
    "staging instance": ("ShopStaging", "FleetRole"),
    "new instance": ("ShopStaging", "NewFleetRole"),
    "staging tasks": ("ShopStaging", "ServiceExecutionRole"),
    "staging containers": ("ShopStaging", "ServiceTaskRole"),
    "tasks": ("ShopProduction", "ServiceExecutionRole"),
    "stack": ("ShopProduction", "InfrastructureRole"),
    "tooling admin": ("Tooling", "Admin"),
    "admin": ("Production", "Admin"),
    "staging admin": ("Staging", "Admin"),
}


def rows(step, *requests):
    """One test for each action: step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            name = f"{step}{f' ({note})' if note else ''}: {who} {action} {expected}"
            yield pytest.param(who, action, resource, context, expected, id=name)


def by_s3(what, region=VIRGINIA):
    return {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": what}


HTTP = {"aws:SecureTransport": "false"}
TLS_1_1 = {"s3:TlsVersion": "1.1"}
READ = "s3:GetObject s3:GetObjectVersion"
TAGS = "s3:GetObjectTagging s3:GetObjectVersionTagging"
BUCKET = "s3:GetBucketAcl s3:GetBucketLocation s3:GetBucketVersioning"
WRITE = "s3:PutObject s3:PutObjectAcl s3:PutObjectTagging"
FILE = "/ShopPipeline-Pipelin/Build/AbC.zip"

ASSUME = rows(
    "assume role",
    (
        "codepipeline.amazonaws.com",
        "sts:AssumeRole",
        "{pipeline role}",
        ALLOWED,
        {"aws:SourceArn": arn("codepipeline", "ShopPipeline-Pipeline", account=TOOLING), "aws:SourceAccount": TOOLING},
    ),
    ("pipeline", "sts:AssumeRole", "{action role}", ALLOWED),
    ("pipeline", "sts:AssumeRole", "{staging action role}", ALLOWED),
    ("pipeline", "sts:AssumeRole", "{instance role}", DENIED, "another role over there"),
    ("pipeline", "sts:AssumeRole", "{stack role}", DENIED, "another role over there"),
    ("pipeline", "sts:AssumeRole", "{admin role}", DENIED, "one that trusts its own account"),
    ("build", "sts:AssumeRole", "{action role}", DENIED, "another role of the pipeline's stack"),
    ("tooling admin", "sts:AssumeRole", "{action role}", DENIED, "another role of the pipeline's account"),
    ("admin", "sts:AssumeRole", "{action role}", DENIED, "a role of the target's account"),
    ("staging action", "sts:AssumeRole", "{action role}", DENIED, "another target"),
    ("codepipeline.amazonaws.com", "sts:AssumeRole", "{action role}", DENIED, "not by way of the service"),
)

COPY = rows(
    "copy artifacts to the other region",
    ("pipeline", f"{READ} {TAGS} {WRITE}", "{abroad}" + FILE, ALLOWED),
    ("pipeline", BUCKET, "{abroad}", ALLOWED),
    ("pipeline", "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey", "{abroad key}", ALLOWED),
    ("pipeline", f"{READ} {WRITE}", "{abroad}/Another-Pipeline/Build/AbC.zip", DENIED, "other folder"),
    ("pipeline", f"{READ} {WRITE}", "{stranger}" + FILE, DENIED, "other bucket"),
    ("pipeline", "kms:Decrypt kms:GenerateDataKey", "{other key}", DENIED, "other key"),
    ("pipeline", "s3:PutObject", "{abroad}" + FILE, REFUSED, HTTP, "plain http"),
    ("build", f"{READ} {WRITE}", "{abroad}" + FILE, DENIED, "builds stay at home"),
)


def taking(who, bucket, other, key, other_key, region, *, makes=False):
    """Requests of a role that takes artifacts from the bucket of its region, and finds all others closed."""
    ours, file = "{" + bucket + "}", "{" + bucket + "}" + FILE
    theirs, stranger = "{" + other + "}" + FILE, "{stranger}" + FILE
    elsewhere = IRELAND if region == VIRGINIA else VIRGINIA
    return [
        (who, READ, file, ALLOWED),
        (who, "kms:Decrypt", key, ALLOWED, by_s3(ours, region), "under the bucket key"),
        (who, "kms:Decrypt", key, ALLOWED, by_s3(file, region), "without a bucket key"),
        (who, READ, ours + "/Another-Pipeline/Build/AbC.zip", DENIED, "folder of another pipeline"),
        (who, READ, ours + "/ShopPipeline-Pipeli/Build/AbC.zip", DENIED, "folder with a shorter name"),
        (who, READ, theirs, DENIED, "bucket of the other region"),
        (who, READ, stranger, DENIED, "bucket of a stranger"),
        (who, READ, file, DENIED, {"aws:ResourceAccount": STRANGER}, "bucket of that name, now a stranger's"),
        (who, f"{WRITE} s3:DeleteObject s3:DeleteObjectVersion", file, DENIED, "change an artifact"),
        (who, "s3:ListBucket s3:PutBucketPolicy", ours, DENIED),
        (who, READ, file, REFUSED, HTTP, "plain http"),
        (who, READ, file, REFUSED, TLS_1_1, "TLS 1.1"),
        (who, "kms:Decrypt", key, DENIED, "by itself"),
        (who, "kms:Decrypt", key, DENIED, by_s3(ours, elsewhere), "by S3 of another region"),
        (who, "kms:Decrypt", key, DENIED, by_s3("{stranger}", region), "what is in another bucket"),
        (who, "kms:Decrypt", key, DENIED, by_s3(ours + "/Another-Pipeline/AbC.zip", region), "what another one made"),
        (who, "kms:Decrypt", other_key, DENIED, by_s3(ours, region), "key of the other region"),
        (who, "kms:Decrypt", "{stranger key}", DENIED, by_s3(ours, region), "key of a stranger"),
        *([] if makes else [(who, "kms:GenerateDataKey kms:Encrypt", key, DENIED, by_s3(ours, region), "write")]),
        (who, "kms:PutKeyPolicy kms:CreateGrant kms:ScheduleKeyDeletion", key, DENIED),
    ]


VIRGINIAN = ("abroad", "home", "{abroad key}", "{home key}", VIRGINIA)
IRISH = ("home", "abroad", "{home key}", "{abroad key}", IRELAND)
TAKE = rows(
    "take artifacts",
    *taking("action", *VIRGINIAN),
    *taking("staging action", *IRISH, makes=True),
    ("action", TAGS, "{abroad}" + FILE, ALLOWED),
    ("staging action", TAGS, "{home}" + FILE, ALLOWED),
    ("staging action", BUCKET, "{home}", ALLOWED),
    ("staging action", "kms:DescribeKey", "{home key}", ALLOWED),
    ("action", BUCKET, "{abroad}", ALLOWED),
    ("action", BUCKET, "{home}", DENIED, "bucket of the other region"),
    ("action", "kms:DescribeKey", "{abroad key}", ALLOWED),
    ("action", "kms:DescribeKey", "{other key}", DENIED, "other key of the account"),
    ("action", "kms:Decrypt", "{other key}", DENIED, by_s3("{abroad}"), "other key of the account"),
    ("admin", READ, "{abroad}" + FILE, DENIED, "another role of the account"),
    ("admin", "kms:Decrypt", "{abroad key}", DENIED, by_s3("{abroad}"), "another role of the account"),
    ("staging admin", READ, "{home}" + FILE, DENIED, "another role of the account"),
    ("staging admin", "kms:Decrypt", "{home key}", DENIED, by_s3("{home}", IRELAND), "another role of the account"),
)

FETCH = rows(
    "instances fetch the revision",
    *taking("instance", *VIRGINIAN),
    *taking("staging instance", *IRISH),
    *taking("new instance", *IRISH),
    ("instance", BUCKET, "{abroad}", DENIED),
    ("instance", "kms:DescribeKey", "{abroad key}", DENIED),
)

RELEASE = "/ShopPipeline-Pipelin/Staging-Ec/AbC.zip"
KEEP = "kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
MAKE = rows(
    "make an artifact",
    ("staging action", WRITE, "{home}" + RELEASE, ALLOWED),
    ("staging action", READ, "{home}" + RELEASE, ALLOWED),
    ("staging action", KEEP, "{home key}", ALLOWED, by_s3("{home}", IRELAND), "under the bucket key"),
    ("staging action", KEEP, "{home key}", ALLOWED, by_s3("{home}" + RELEASE, IRELAND), "without a bucket key"),
    ("staging action", KEEP, "{home key}", DENIED, by_s3("{home}" + FILE, IRELAND), "in the place of the build's"),
    ("staging action", KEEP, "{home key}", DENIED, "by itself"),
    ("staging action", WRITE, "{home}/Another-Pipeline/Staging-Ec/AbC.zip", DENIED, "folder of another pipeline"),
    ("staging action", WRITE, "{home}" + RELEASE, REFUSED, HTTP, "plain http"),
    ("action", WRITE, "{home}" + RELEASE, DENIED, "another target"),
    ("staging instance", WRITE, "{home}" + RELEASE, DENIED),
    ("staging admin", WRITE, "{home}" + RELEASE, DENIED, "another role of the account"),
)

OF_GROUP = (
    "codedeploy:CreateDeployment codedeploy:GetDeployment codedeploy:GetDeploymentGroup codedeploy:ListDeployments"
)
OF_APPLICATION = (
    "codedeploy:GetApplication codedeploy:GetApplicationRevision codedeploy:ListDeploymentGroups "
    "codedeploy:RegisterApplicationRevision"
)
GROUP = "deploymentgroup:ShopProduction-Ec2/ShopProduction-Ec2"


def codedeploy(resource, region=VIRGINIA, account=PRODUCTION):
    return arn("codedeploy", resource, region=region, account=account)


TO_EC2 = rows(
    "deploy to EC2",
    ("action", OF_GROUP, codedeploy(GROUP), ALLOWED),
    ("action", OF_APPLICATION, codedeploy("application:ShopProduction-Ec2"), ALLOWED),
    ("action", "codedeploy:GetDeploymentConfig", codedeploy("deploymentconfig:CodeDeployDefault.OneAtATime"), ALLOWED),
    ("action", "codedeploy:ListDeploymentConfigs", "*", ALLOWED),
    ("action", OF_GROUP, codedeploy(GROUP, region=IRELAND), DENIED, "other region"),
    ("action", OF_GROUP, codedeploy(GROUP, account=STAGING), DENIED, "other account"),
    ("action", OF_GROUP, codedeploy("deploymentgroup:Other/Other"), DENIED, "other group"),
    ("pipeline", OF_GROUP, codedeploy(GROUP), DENIED, "not by the pipeline itself"),
    ("staging action", OF_GROUP, codedeploy(GROUP), DENIED, "not by another target"),
    ("instance", OF_GROUP, codedeploy(GROUP), DENIED),
)

PULL = "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer"
REPOSITORY = arn("ecr", "repository/shop", region=IRELAND, account=TOOLING)
TO_ECS = rows(
    "deploy to Amazon ECS",
    ("action", "lambda:InvokeFunction", "{ecs release}", ALLOWED),
    ("action", "lambda:ListFunctions", "*", ALLOWED),
    ("action", "lambda:InvokeFunction", "{ecs release}-2", DENIED, "other function"),
    ("action", "iam:PassRole", "{tasks role}", DENIED, "the function does that"),
    ("tasks", "ecr:GetAuthorizationToken", "*", ALLOWED),
    ("tasks", PULL, REPOSITORY, ALLOWED, "image of the pipeline's account"),
    ("tasks", PULL, REPOSITORY + "-2", DENIED, "other repository"),
    ("tasks", PULL, REPOSITORY.replace(TOOLING, STAGING), DENIED, "other account"),
    ("tasks", "ecr:PutImage ecr:BatchDeleteImage", REPOSITORY, DENIED),
    ("admin", PULL, REPOSITORY, DENIED, "another role of the account"),
    ("staging admin", PULL, REPOSITORY, DENIED, "another role of another account"),
    ("action", PULL, REPOSITORY, DENIED),
)

TO_LAMBDA = rows(
    "deploy to AWS Lambda",
    ("action", "lambda:InvokeFunction", "{lambda release}", ALLOWED),
    ("action", "lambda:InvokeFunction", "{greeter}", DENIED, "the function itself"),
    ("action", "lambda:UpdateFunctionCode lambda:UpdateAlias", "{greeter}", DENIED, "the release function does that"),
    ("staging action", "lambda:InvokeFunction", "{lambda release}", DENIED, "another target"),
)

CHANGE = "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:ExecuteChangeSet"
WATCH = "cloudformation:DescribeChangeSet cloudformation:DescribeStackEvents cloudformation:DescribeStacks"
CHANGE_SET = {"cloudformation:ChangeSetName": "Production-Stack"}


def stack(name, region=VIRGINIA, account=PRODUCTION):
    return arn("cloudformation", f"stack/{name}/1a2b3c4d", region=region, account=account)


def passed(service):
    return {"iam:PassedToService": f"{service}.amazonaws.com"}


BY_CLOUDFORMATION = rows(
    "deploy by CloudFormation",
    ("action", f"{CHANGE} {WATCH}", stack("Shop-Infrastructure"), ALLOWED, CHANGE_SET),
    ("action", "iam:PassRole", "{stack role}", ALLOWED, passed("cloudformation")),
    ("cloudformation.amazonaws.com", "sts:AssumeRole", "{stack role}", ALLOWED),
    ("stack", "sns:CreateTopic", TOPIC, ALLOWED),
    ("stack", "sns:CreateTopic", TOPIC.replace(PRODUCTION, STAGING), DENIED, "other account"),
    ("action", CHANGE, stack("Shop-Infrastructure", region=IRELAND), DENIED, CHANGE_SET, "other region"),
    ("action", CHANGE, stack("Shop-Infrastructure", account=STAGING), DENIED, CHANGE_SET, "other account"),
    ("action", CHANGE, stack("Shop-Network"), DENIED, CHANGE_SET, "other stack"),
    ("action", "iam:PassRole", "{stack role}", DENIED, passed("ec2"), "to another service"),
    ("action", "iam:PassRole", "{instance role}", DENIED, passed("cloudformation"), "another role"),
    ("action", "sts:AssumeRole", "{stack role}", DENIED, "pass it, not be it"),
    ("pipeline", "iam:PassRole", "{stack role}", DENIED, passed("cloudformation"), "across accounts"),
)

TO_S3 = rows(
    "deploy to Amazon S3",
    ("action", "s3:PutObject", "{site}/index.html", ALLOWED),
    ("action", BUCKET, "{site}", ALLOWED),
    ("action", "s3:PutObject", "{site}-2/index.html", DENIED, "other bucket"),
    ("action", "s3:PutObject", "{site}/index.html", DENIED, {"aws:ResourceAccount": STRANGER}, "a stranger's by now"),
    ("action", "s3:DeleteObject", "{site}/index.html", DENIED),
    ("action", "s3:PutBucketPolicy", "{site}", DENIED),
    ("staging action", "s3:PutObject", "{site}/index.html", DENIED, "another target"),
)

NEW_GROUP = "deploymentgroup:ShopStaging-BlueGreen/ShopStaging-BlueGreen"
TO_STAGING = rows(
    "deploy to staging",
    ("staging action", OF_GROUP, codedeploy(NEW_GROUP, IRELAND, STAGING), ALLOWED, "blue/green"),
    ("staging action", "lambda:InvokeFunction", "{staging render}", ALLOWED),
    (
        "staging action",
        "codedeploy:CreateDeployment codedeploy:GetDeployment",
        codedeploy("deploymentgroup:ShopStaging-Ecs/ShopStaging-Ecs", IRELAND, STAGING),
        ALLOWED,
    ),
    ("staging action", OF_APPLICATION, codedeploy("application:ShopStaging-BlueGreen", IRELAND, STAGING), ALLOWED),
    (
        "staging action",
        "codedeploy:GetDeploymentConfig",
        codedeploy("deploymentconfig:CodeDeployDefault.OneAtATime", IRELAND, STAGING),
        ALLOWED,
    ),
    (
        "staging action",
        "codedeploy:ListDeploymentConfigs ecs:RegisterTaskDefinition lambda:ListFunctions",
        "*",
        ALLOWED,
    ),
    ("staging action", "iam:PassRole", "{staging tasks role}", ALLOWED, passed("ecs-tasks")),
    ("staging action", "iam:PassRole", "{staging containers role}", ALLOWED, passed("ecs-tasks")),
    ("staging action", "iam:PassRole", "{staging tasks role}", DENIED, passed("ec2"), "to another service"),
    ("staging action", "iam:PassRole", "{tasks role}", DENIED, passed("ecs-tasks"), "role of another account"),
    ("staging tasks", PULL, REPOSITORY, ALLOWED),
    ("pipeline", OF_GROUP, codedeploy(NEW_GROUP, IRELAND, STAGING), DENIED, "not by the pipeline itself"),
)

TABLE = [*ASSUME, *COPY, *TAKE, *FETCH, *MAKE, *TO_EC2, *TO_ECS, *TO_LAMBDA, *BY_CLOUDFORMATION, *TO_S3, *TO_STAGING]


def admin_of(account):
    """A role that may do anything, as far as its own account is concerned."""
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    own = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": arn("iam", "root", region=False, account=account)},
    }
    properties = {
        "AssumeRolePolicyDocument": {"Statement": [own]},
        "Policies": [{"PolicyName": "All", "PolicyDocument": {"Statement": [anything]}}],
    }
    return {"Resources": {"Admin": {"Type": "AWS::IAM::Role", "Properties": properties}}}


def open_to(principal, **more):
    """Policy of a key that leaves it to a principal."""
    return {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*", **more}]
    }


OTHER_KEY = arn("kms", "key/0ddba11c-0000-4000-8000-000000000000", region=VIRGINIA, account=TOOLING)
STRANGER_KEY = arn("kms", "key/0ddba11c-0000-4000-8000-000000000001", region=VIRGINIA, account=STRANGER)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return Company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def organization(company):
    deployed = [
        Deployed(stack.stack_name, company.templates[stack.stack_name], stack.account, stack.region)
        for stack in company.stacks
    ]
    admins = {"Tooling": TOOLING, "Production": PRODUCTION, "Staging": STAGING}
    return Organization(
        [*deployed, *(Deployed(name, admin_of(account), account) for name, account in admins.items())],
        {
            OTHER_KEY: open_to(arn("iam", "root", region=False, account=TOOLING)),
            STRANGER_KEY: open_to("*"),
        },
        owners={
            f"arn:aws:s3:::{SITE}": PRODUCTION,
            f"arn:aws:s3:::{SITE}-2": PRODUCTION,
            "arn:aws:s3:::stranger": STRANGER,
        },
    )


@pytest.fixture(scope="module")
def named(organization):
    """What the table calls roles and resources, by their ARNs."""
    physical = organization.physical

    def arn_of(stack, start, type_):
        return physical[stack].attribute(physical[stack].logical_id(start, type_), "Arn")

    roles = {f"{who} role": arn_of(stack, start, "AWS::IAM::Role") for who, (stack, start) in ROLES.items()}
    return roles | {
        "home": arn_of("ShopPipeline", "PipelineArtifactsBucket", "AWS::S3::Bucket"),
        "abroad": arn_of("ShopArtifacts", "ArtifactsBucket", "AWS::S3::Bucket"),
        "home key": arn_of("ShopPipeline", "PipelineArtifactsKey", "AWS::KMS::Key"),
        "abroad key": arn_of("ShopArtifacts", "ArtifactsKey", "AWS::KMS::Key"),
        "other key": OTHER_KEY,
        "stranger key": STRANGER_KEY,
        "stranger": "arn:aws:s3:::stranger",
        "site": f"arn:aws:s3:::{SITE}",
        "ecs release": arn_of("ShopProduction", "EcsRelease", "AWS::Lambda::Function"),
        "staging render": arn_of("ShopStaging", "EcsRender", "AWS::Lambda::Function"),
        "lambda release": arn_of("ShopProduction", "LambdaRelease", "AWS::Lambda::Function"),
        "greeter": arn_of("ShopProduction", "GreeterFunction", "AWS::Lambda::Function"),
    }


@pytest.mark.parametrize(("who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(organization, named, who, action, resource, context, expected):
    caller = who if who.endswith(".amazonaws.com") else named[f"{who} role"]
    context = {key: value.format_map(named) for key, value in context.items()}
    assert organization.ask(caller, action, resource.format_map(named), context) == expected


def test_rows_ask_what_aws_asks(named):
    wrong = [row.id for row in TABLE if not takes(row.values[1], row.values[2].format_map(named))]
    assert wrong == []


@pytest.mark.parametrize(("who", "stack"), [("action", "ShopProduction"), ("staging action", "ShopStaging")])
def test_actions_over_there_may_do_what_rows_need_and_nothing_else(company, who, stack):
    needed = {row.values[1] for row in TABLE if row.values[0] == who and row.values[4] == ALLOWED}
    granted = {
        action
        for grant in grants_of(company.templates[stack])
        if grant.policy.startswith("ShopPipelinePipeline")
        for action in grant.actions
    }
    assert granted == needed


def test_four_stacks_and_none_of_aws_cdk_libs_in_an_order_that_works(company):
    waits = {
        stack.stack_name: {one.id for one in stack.dependencies if not one.id.endswith(".assets")}
        for stack in company.assembly.stacks
    }
    assert waits == {
        "ShopArtifacts": set(),
        "ShopStaging": set(),
        "ShopProduction": set(),
        "ShopPipeline": {"ShopArtifacts", "ShopStaging", "ShopProduction"},
    }


def test_both_packs_of_cdk_nag_looked_on_and_found_nothing(company):
    report = json.loads((Path(company.app.outdir) / "validation-report.json").read_text())
    assert {pack["pluginName"]: pack["conclusion"] for pack in report["pluginReports"]} == {
        "AwsSolutions": "success",
        "NIST.800.53.R5": "success",
    }


@pytest.mark.parametrize("name", ["ShopArtifacts", "ShopPipeline", "ShopProduction", "ShopStaging"])
def test_cfn_lint_accepts(company, name):
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    settings = ManualArgs(regions=[IRELAND, VIRGINIA], ignore_checks=["W3005"])
    problems = lint_file(Path(company.app.outdir) / f"{name}.template.json", settings)
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


# Controls: a check that cannot fail proves nothing.

KEY = arn("kms", "key/1", account=TOOLING)
FIRST, SECOND = (arn("iam", f"role/{name}", region=False, account=PRODUCTION) for name in ("First", "Second"))


def two_roles(*statements):
    """Two roles of production with the same policy, and who may be them."""
    role = {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"AWS": arn("iam", "root", region=False, account=PRODUCTION)},
                    "Condition": {"ArnEquals": {"aws:PrincipalArn": FIRST}},
                },
            ]
        },
        "Policies": [{"PolicyName": "Inline", "PolicyDocument": {"Statement": list(statements)}}],
    }
    roles = {name: {"Type": "AWS::IAM::Role", "Properties": {"RoleName": name, **role}} for name in ("First", "Second")}
    return Deployed("Production", {"Resources": roles}, PRODUCTION)


USE = {"Effect": "Allow", "Action": ["kms:Decrypt", "sts:AssumeRole", "s3:GetObject"], "Resource": "*"}
ONLY_FIRST = {"Condition": {"ArnEquals": {"aws:PrincipalArn": [FIRST]}}}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(open_to(arn("iam", "root", region=False, account=PRODUCTION)), ALLOWED, id="account"),
        pytest.param(open_to(arn("iam", "root", region=False, account=STAGING)), DENIED, id="other account"),
        pytest.param(
            open_to(arn("iam", "root", region=False, account=PRODUCTION), **ONLY_FIRST),
            ALLOWED,
            id="role of the account",
        ),
        pytest.param(
            open_to(arn("iam", "root", region=False, account=STAGING), **ONLY_FIRST), DENIED, id="role of another"
        ),
        pytest.param(open_to(arn("iam", "root", region=False, account=TOOLING)), DENIED, id="the key's own account"),
    ],
)
def test_control_of_what_a_policy_says_to_another_account(policy, expected):
    assert Organization([two_roles(USE)], {KEY: policy}).ask(FIRST, "kms:Decrypt", KEY) == expected


def test_control_of_a_condition_on_who_asks():
    policy = open_to(arn("iam", "root", region=False, account=PRODUCTION), **ONLY_FIRST)
    assert Organization([two_roles(USE)], {KEY: policy}).ask(SECOND, "kms:Decrypt", KEY) == DENIED


def test_control_of_a_role_with_a_path():
    there = two_roles(USE)
    there.template["Resources"]["First"]["Properties"]["Path"] = "/fleet/"
    with_path = FIRST.replace("role/", "role/fleet/")
    for named, expected in ((FIRST, DENIED), (with_path, ALLOWED)):
        only = {"Condition": {"ArnEquals": {"aws:PrincipalArn": [named]}}}
        policy = open_to(arn("iam", "root", region=False, account=PRODUCTION), **only)
        assert Organization([there], {KEY: policy}).ask(with_path, "kms:Decrypt", KEY) == expected


def test_control_of_a_bucket_that_nobody_knows_the_owner_of():
    organization = Organization([two_roles(USE), Deployed("Tooling", admin_of(TOOLING), TOOLING)])
    with pytest.raises(LookupError, match="whose arn:aws:s3:::b is"):
        organization.ask(FIRST, "s3:GetObject", "arn:aws:s3:::b/x")


@pytest.mark.parametrize("principal", [f"arn:aws:iam::{PRODUCTION}:role/*", "AROAEXAMPLEID", f"{PRODUCTION}:root"])
def test_control_of_principals_that_aws_would_not_take(principal):
    with pytest.raises(ValueError, match="not one that AWS would take"):
        Organization([two_roles(USE)], {KEY: open_to(principal)})


def test_control_across_accounts_both_sides_have_to_allow():
    policy = open_to(arn("iam", "root", region=False, account=PRODUCTION))
    assert Organization([two_roles()], {KEY: policy}).ask(FIRST, "kms:Decrypt", KEY) == DENIED
    unknown = Organization([two_roles(USE)], owners={"arn:aws:s3:::b": TOOLING})
    assert unknown.ask(FIRST, "s3:GetObject", "arn:aws:s3:::b/x") == DENIED
    own = Organization([two_roles(USE)], owners={"arn:aws:s3:::b": PRODUCTION})
    assert own.ask(FIRST, "s3:GetObject", "arn:aws:s3:::b/x") == ALLOWED


def test_control_of_who_may_be_whom():
    organization = Organization([two_roles(USE)])
    assert organization.ask(FIRST, "sts:AssumeRole", SECOND) == ALLOWED
    assert organization.ask(SECOND, "sts:AssumeRole", FIRST) == DENIED
    assert Organization([two_roles()]).ask(FIRST, "sts:AssumeRole", SECOND) == DENIED


@pytest.mark.parametrize(("owner", "expected"), [(TOOLING, ALLOWED), (STRANGER, DENIED)])
def test_control_of_a_condition_on_whose_bucket_it_is(owner, expected):
    ours = {**USE, "Condition": {"StringEquals": {"aws:ResourceAccount": TOOLING}}}
    everybody = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": "*"}]}
    organization = Organization([two_roles(ours)], {"arn:aws:s3:::b": everybody}, {"arn:aws:s3:::b": owner})
    assert organization.ask(FIRST, "s3:GetObject", "arn:aws:s3:::b/x") == expected


def test_control_of_conditions_that_the_evaluator_would_answer_in_its_own_way():
    unfit = {**USE, "Condition": {"StringEquals": {"aws:PrincipalArn": FIRST}}}
    with pytest.raises(ValueError, match="differently from AWS"):
        Organization([two_roles(unfit)])


def test_control_of_outputs_of_other_stacks():
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": []}}}
    template = {"Resources": {"Key": key}, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}}}
    organization = Organization([Deployed("Store", template, TOOLING, VIRGINIA), two_roles()])
    asked = {"Fn::GetStackOutput": {"StackName": "Store", "OutputName": "Arn", "Region": VIRGINIA}}
    expected = organization.physical["Store"].attribute("Key", "Arn")
    assert organization.physical["Production"].resolve(asked) == expected
    assert f":{VIRGINIA}:{TOOLING}:" in expected
    asked["Fn::GetStackOutput"]["Region"] = IRELAND
    with pytest.raises(LookupError):
        organization.physical["Production"].resolve(asked)
