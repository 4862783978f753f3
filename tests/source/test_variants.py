"""Every source in a pipeline: nothing else in it moves, and the checkers find nothing in any of them."""

import json

import pytest
from aws_cdk import App, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    ManualApproval,
    ProjectSource,
    Source,
)
from code_family_constructs.source.host import CodeConnectionHost
from code_family_constructs.source.repository import Repository
from tests.helpers import of_type, only

ID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
HOST_ARN = f"arn:aws:codeconnections:us-east-1:111122223333:host/{ID}"


def github(stack):
    return Source.github("acme/shop", connection=CodeConnection.github(stack, "Connection"))


def github_enterprise(stack):
    host = CodeConnectionHost.from_host_arn(HOST_ARN, provider_endpoint="https://github.acme.example")
    connection = CodeConnection.github_enterprise(stack, "Connection", host=host)
    return Source.github_enterprise("acme/shop", connection=connection)


def gitlab(stack):
    return Source.gitlab("acme/web/shop", connection=CodeConnection.gitlab(stack, "Connection"))


def gitlab_self_managed(stack):
    host = CodeConnectionHost.from_host_arn(HOST_ARN)
    connection = CodeConnection.gitlab_self_managed(stack, "Connection", host=host)
    return Source.gitlab_self_managed("acme/shop", connection=connection)


def bitbucket(stack):
    return Source.bitbucket("acme/shop", connection=CodeConnection.bitbucket(stack, "Connection"))


def azure_devops(stack):
    return Source.azure_devops("acme/web/shop", connection=CodeConnection.azure_devops(stack, "Connection"))


def codecommit(stack):
    return Source.codecommit(Repository(stack, "Repository"))


def s3(stack):
    return Source.s3(ArtifactStore(stack, "Uploads").bucket, "shop/source.zip")


def images(stack):
    return Source.ecr(ecr.Repository(stack, "Images", image_scan_on_push=True))


SOURCES = [
    github,
    github_enterprise,
    gitlab,
    gitlab_self_managed,
    bitbucket,
    azure_devops,
    codecommit,
    s3,
    images,
]


def a_pipeline(stack, source):
    pipeline = DeliveryPipeline(stack, "Pipeline", source=source, build=BuildProject(stack, "Build"))
    pipeline.add_stage("Production", approval=ManualApproval(question="Release it?"))


def a_repository_whose_pull_requests_are_built(stack):
    alerts = AlertTopic(stack, "Alerts")
    repository = Repository(stack, "Repository", removal_policy=RemovalPolicy.DESTROY)
    build = BuildProject(stack, "Checks", source=ProjectSource.codecommit(repository.repository))
    repository.check_pull_requests(build, alarm_topic=alerts.topic)
    a_pipeline(stack, Source.codecommit(repository, code_build_clone_output=True))


def a_server_in_a_vpc(stack):
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
    )
    CodeConnectionHost(
        stack,
        "Server",
        provider_type="GitHubEnterpriseServer",
        provider_endpoint="https://github.acme.example",
        vpc=vpc,
        security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")],
    )


MORE = [a_repository_whose_pull_requests_are_built, a_server_in_a_vpc]
NAMES = [make.__name__ for make in (*SOURCES, *MORE)]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    app = App(outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    Validations.of(app).add_plugins(NIST80053R5Checks(app))
    for make in SOURCES:
        stack = Stack(app, make.__name__.replace("_", "-"))
        a_pipeline(stack, make(stack))
    for make in MORE:
        make(Stack(app, make.__name__.replace("_", "-")))
    app.synth()
    return folder


def file_of(folder, name):
    return folder / f"{name.replace('_', '-')}.template.json"


def template_of(folder, name):
    return json.loads(file_of(folder, name).read_text())


def test_both_nag_packs_find_nothing(synthesized):
    report = json.loads((synthesized / "validation-report.json").read_text())
    assert {pack["pluginName"]: pack["violations"] for pack in report["pluginReports"]} == {
        "AwsSolutions": [],
        "NIST.800.53.R5": [],
    }


@pytest.mark.parametrize("name", NAMES)
def test_cfn_lint_accepts_the_template(synthesized, name):
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    problems = lint_file(file_of(synthesized, name), ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"]))
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


@pytest.mark.parametrize("name", [make.__name__ for make in SOURCES if make is not github])
def test_one_source_takes_the_place_of_another_and_nothing_else_moves(synthesized, name):
    first, second = (_without_source(template_of(synthesized, one), one) for one in ("github", name))
    assert second == first


def _without_source(template, name):
    """The pipeline but for its source stage, its build, and what says where artifacts are; names of stacks blanked."""
    pipeline = only(template, "AWS::CodePipeline::Pipeline")
    assert [action["Namespace"] for action in pipeline["Stages"][0]["Actions"]] == ["SourceVariables"]
    assert [action["OutputArtifacts"] for action in pipeline["Stages"][0]["Actions"]] == [[{"Name": "Source"}]]
    # The approval tells of the revision.
    approval = pipeline["Stages"][2]["Actions"][0]["Configuration"]
    approval.pop("CustomData", None)
    approval.pop("ExternalEntityLink", None)
    rest = {
        **pipeline,
        "Stages": pipeline["Stages"][1:],
        "Project": only(template, "AWS::CodeBuild::Project"),
        "Logs": of_type(template, "AWS::Logs::LogGroup"),
    }
    return json.loads(json.dumps(rest, sort_keys=True).replace(f"{name.replace('_', '-')}-", "shop-"))
