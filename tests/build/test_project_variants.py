"""Projects with everything that CodeBuild offers: the checkers find nothing in them, and no token leaks."""

import json
import re

import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_efs as efs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import ArtifactStore, BuildProject, Buildspec, CodeConnection, DeliveryPipeline, Source
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.batch import BatchBuilds
from code_family_constructs.build.bucket import BuildBucket
from code_family_constructs.build.buildspec import (
    Artifacts,
    Batch,
    BatchEnv,
    BatchTask,
    Phase,
    Phases,
    Report,
    SecondaryArtifact,
)
from code_family_constructs.build.buildspec import Cache as CachePaths
from code_family_constructs.build.cache import S3Cache
from code_family_constructs.build.efs_mount import EfsMount
from code_family_constructs.build.environment import SecretField, SecureParameter
from code_family_constructs.build.fleet import Fleet
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.build.webhooks import FilterGroup, Webhook
from tests.helpers import CONNECTION_ARN, of_type

EVENT = codebuild.EventAction
TYPE = codebuild.ReportGroupType


def everything_on_its_own(stack):
    """A source, a webhook that starts batches, and all that can be kept, read, cached and reported."""
    store = BuildBucket(stack, "Store", expires_after=Duration.days(30))
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "Secret", "shop/database")
    parameter = ssm.StringParameter.from_string_parameter_name(stack, "Endpoint", "/shop/endpoint")
    secure = ssm.StringParameter.from_secure_string_parameter_attributes(stack, "Pin", parameter_name="/shop/pin")
    BuildProject(
        stack,
        "Build",
        source=ProjectSource.github(
            "acme/shop",
            connection=CodeConnection.from_connection_arn(CONNECTION_ARN),
            clone_depth=1,
            fetch_submodules=True,
        ),
        webhook=Webhook(
            filter_groups=[
                FilterGroup(
                    events=[EVENT.PUSH],
                    branches=["main", re.compile(r"^refs/heads/release/\d+$")],
                    tags=["v*"],
                    exclude_branches=["dependabot/**"],
                    paths=["src/**"],
                    exclude_commit_messages=["[skip ci]"],
                ),
                FilterGroup(events=[EVENT.PULL_REQUEST_CREATED], base_branches=["main"], exclude_actors=["49699333"]),
            ],
            requires_comment_approval="ALL_PULL_REQUESTS",
            approver_roles=["GITHUB_ADMIN"],
        ),
        buildspec=Buildspec(
            batch=Batch(
                fast_fail=True,
                build_list=[
                    BatchTask(identifier="small"),
                    BatchTask(identifier="large", env=BatchEnv(compute_type="BUILD_GENERAL1_LARGE")),
                ],
            ),
            phases=Phases(build=Phase(commands=["make"])),
            reports={"unit": Report(files=["*.xml"]), "cover": Report(files=["c.xml"], file_format="CLOVERXML")},
            artifacts=Artifacts(
                files=["**/*"], secondary_artifacts={"docs": SecondaryArtifact(files=["docs/**/*"], name="docs")}
            ),
            cache=CachePaths(paths=["node_modules/**/*"], key="npm"),
        ),
        environment_variables={
            "STAGE": "test",
            "ENDPOINT": parameter,
            "PIN": SecureParameter(parameter=secure, key=kms.Key(stack, "Key", enable_key_rotation=True)),
            "DATABASE": SecretField(secret=secret, json_key="password"),
        },
        cache=S3Cache(bucket=store.bucket),
        batch=BatchBuilds(
            maximum_builds_allowed=2,
            compute_types_allowed=[codebuild.ComputeType.SMALL, codebuild.ComputeType.LARGE],
            combine_artifacts=True,
        ),
        report_groups={"unit": TYPE.TEST, "cover": TYPE.CODE_COVERAGE},
        report_bucket=store.bucket,
        artifacts=S3Artifacts(bucket=store.bucket),
        secondary_artifacts={"docs": S3Artifacts(bucket=store.bucket, name="docs", packaging="NONE")},
        badge=True,
        debug_session=True,
        auto_retry_limit=2,
        concurrent_build_limit=4,
        log_retention=logs.RetentionDays.ONE_YEAR,
        log_key=store.key,
        log_bucket=store.bucket,
    )


def in_a_network(stack):
    """A VPC with a file system and a Docker server; CodeCommit as the source."""
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
    )
    group = ec2.SecurityGroup(stack, "FilesGroup", vpc=vpc, description="Files", allow_all_outbound=False)
    files = efs.FileSystem.from_file_system_attributes(
        stack, "Files", file_system_id="fs-12345678", security_group=group
    )
    BuildProject(
        stack,
        "Build",
        source=ProjectSource.codecommit(
            codecommit.Repository.from_repository_name(stack, "Repository", "shop"), source_version="main"
        ),
        vpc=vpc,
        file_systems=[EfsMount(file_system=files, identifier="maven", mount_point="/mnt/maven")],
        docker_server=codebuild.DockerServerComputeType.MEDIUM,
        build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0,
    )


def other_machines(stack):
    """Lambda, Windows, GPU, a fleet, and an image of the team's own, for pipelines and sources in S3."""
    fleet = Fleet(stack, "Fleet", max_capacity=3, overflow_behavior=codebuild.FleetOverflowBehavior.ON_DEMAND)
    store = ArtifactStore(stack, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
    source = ProjectSource.s3(store.bucket, "incoming/")
    python = codebuild.LinuxArmLambdaBuildImage.AMAZON_LINUX_2023_PYTHON_3_13
    repository = ecr.Repository.from_repository_name(stack, "Images", "tools")
    BuildProject(stack, "OnLambda", build_image=python, source=source)
    BuildProject(
        stack, "OnWindows", build_image=codebuild.WindowsBuildImage.WIN_SERVER_CORE_2022_BASE_3_0, source=source
    )
    BuildProject(stack, "OnGpu", build_image=codebuild.LinuxGpuBuildImage.DLC_TENSORFLOW_2_1_0_TRAINING, source=source)
    own = BuildProject(
        stack, "OwnImage", build_image=codebuild.LinuxBuildImage.from_ecr_repository(repository, "1.4"), privileged=True
    )
    pipeline = DeliveryPipeline(
        stack,
        "Pipeline",
        source=Source.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN)),
        build=BuildProject(stack, "Reserved", fleet=fleet, cache=[codebuild.LocalCacheMode.CUSTOM]),
        artifact_store=store,
    )
    pipeline.add_stage("Test", test=own)


def a_runner(stack):
    """Jobs of GitHub Actions."""
    BuildProject(
        stack,
        "Runner",
        source=ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN)),
        webhook=Webhook.actions_runner(),
        cache=[codebuild.LocalCacheMode.SOURCE],
    )


VARIANTS = [everything_on_its_own, in_a_network, other_machines, a_runner]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    app = App(outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    Validations.of(app).add_plugins(NIST80053R5Checks(app))
    for variant in VARIANTS:
        variant(Stack(app, variant.__name__.replace("_", "-")))
    app.synth()
    return folder


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def template(request, synthesized):
    return synthesized / f"{request.param.__name__.replace('_', '-')}.template.json"


def test_both_nag_packs_find_nothing(synthesized):
    report = json.loads((synthesized / "validation-report.json").read_text())
    assert {pack["pluginName"]: pack["violations"] for pack in report["pluginReports"]} == {
        "AwsSolutions": [],
        "NIST.800.53.R5": [],
    }


def test_cfn_lint_accepts_the_template(template):
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    problems = lint_file(template, ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"]))
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


def test_no_token_leaks_into_the_template(template):
    assert "${Token[" not in template.read_text()


def test_aws_cdk_lib_adds_no_permissions_and_no_roles_of_its_own(template):
    resources = json.loads(template.read_text())
    assert of_type(resources, "AWS::IAM::Policy") == {}
    ours = re.compile(
        r"(Build|Batch|Function|Pipeline|On\w+|OwnImage|Reserved|Runner)Role\w{8}|.*BatchRole\w{8}|.*FunctionRole\w{8}"
    )
    assert all(ours.fullmatch(name) for name in of_type(resources, "AWS::IAM::Role"))
