"""An app for two accounts and two regions on one endpoint, by the real CDK CLI: bootstrapped, deployed, destroyed."""

import textwrap

import pytest
from aws_cdk import App, CfnOutput, CustomResource, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm

from code_family_constructs import ArtifactStore, BuildProject, CodeConnection, DeliveryPipeline, Source
from code_family_constructs.deploy.to_s3 import S3Deployment
from code_family_constructs.local import Endpoint
from code_family_constructs.pipeline.target_account import TargetAction, TargetEnvironment
from tests.stacks.deployed import Deployed

TOOLING = TargetEnvironment("Tooling", account="111111111111", region="us-east-1")
STORES = TargetEnvironment("Stores", account="111111111111", region="eu-west-1")
PRODUCTION = TargetEnvironment("Production", account="222222222222", region="eu-west-1")
ENVIRONMENTS = (TOOLING, STORES, PRODUCTION)

WHERE_AM_I = textwrap.dedent("""
    import json, os, urllib.request
    import boto3

    def handler(event, context):
        body = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
        account = boto3.client("sts").get_caller_identity()["Account"]
        data = {"Account": account, "Region": os.environ["AWS_REGION"], "Function": context.invoked_function_arn}
        body |= {"Status": "SUCCESS", "PhysicalResourceId": "here", "Data": data}
        request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request).read()
""")


class Stores(Stack):
    """What a pipeline keeps in another region of its own account."""

    def __init__(self, app: App) -> None:
        super().__init__(app, STORES.name, env=STORES.env)
        self.artifacts = ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY)


class Production(Stack):
    """What is deployed to, in another account: a bucket, and what tells where a custom resource runs."""

    def __init__(self, app: App) -> None:
        super().__init__(app, PRODUCTION.name, env=PRODUCTION.env)
        self.site = s3.Bucket(self, "Site", bucket_name="site-of-production", removal_policy=RemovalPolicy.DESTROY)
        asked = lambda_.Function(
            self,
            "Asked",
            function_name="asked",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.InlineCode(WHERE_AM_I),
            timeout=Duration.seconds(30),
        )
        here = CustomResource(self, "Here", resource_type="Custom::Here", service_token=asked.function_arn)
        for name in ("Account", "Region", "Function"):
            CfnOutput(self, name, value=here.get_att_string(name))
        # What CloudFormation reads the outputs of this stack with, from another account.
        iam.Role(self, "Reader", role_name="reader", assumed_by=iam.AccountPrincipal(TOOLING.account))


class Tooling(Stack):
    """The pipeline, and parameters that say what other stacks told."""

    def __init__(self, app: App, stores: Stores, production: Production) -> None:
        super().__init__(app, TOOLING.name, env=TOOLING.env)
        pipeline = DeliveryPipeline(
            self,
            "Pipeline",
            pipeline_name="shop",
            source=Source.github("acme/shop", connection=CodeConnection.github(self, "GitHub"), branch="main"),
            build=BuildProject(self, "Build"),
            artifact_store=ArtifactStore(self, "Artifacts", removal_policy=RemovalPolicy.DESTROY),
            cross_region_stores=[stores.artifacts],
        )
        pipeline.add_stage("Production", deploy=TargetAction(S3Deployment(bucket=production.site), stack=production))
        reader = f"arn:aws:iam::{PRODUCTION.account}:role/reader"
        told = Fn.get_stack_output(PRODUCTION.name, "Account", PRODUCTION.region, reader)
        ssm.StringParameter(self, "Told", parameter_name="/told", string_value=told)


def make(app: App) -> None:
    Tooling(app, Stores(app), Production(app))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with Endpoint(account=TOOLING.account, region=TOOLING.region) as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("accounts"), TOOLING.name)
        deployment.bootstrap(*ENVIRONMENTS)
        deployment.deploy(deployment.synth("app", make))
        yield deployment


def test_each_stack_is_in_its_account_and_region(deployed):
    for place in ENVIRONMENTS:
        found = deployed.beside(place.name).client("cloudformation").describe_stacks()["Stacks"]
        ids = {stack["StackName"]: stack["StackId"] for stack in found}
        assert set(ids) == {"CDKToolkit", place.name}
        assert ids[place.name].startswith(f"arn:aws:cloudformation:{place.region}:{place.account}:stack/")


def test_a_bucket_is_in_its_region_and_listed_in_its_account(deployed):
    production = deployed.beside(PRODUCTION.name)
    location = production.client("s3").get_bucket_location(Bucket="site-of-production")
    assert location["LocationConstraint"] == PRODUCTION.region
    names = {place: {bucket["Name"] for bucket in buckets_of(deployed.beside(place.name))} for place in ENVIRONMENTS}
    assert "site-of-production" in names[PRODUCTION]
    assert names[TOOLING] == names[STORES]
    assert names[TOOLING].isdisjoint(names[PRODUCTION])


def test_the_pipeline_can_be_read_back_with_a_store_for_each_region(deployed):
    found = deployed.differences()
    assert found.pop("AWS::CodePipeline::Pipeline") == []
    assert [difference for differences in found.values() for difference in differences] == []
    pipeline = deployed.client("codepipeline").get_pipeline(name="shop")["pipeline"]
    assert set(pipeline["artifactStores"]) == {TOOLING.region, STORES.region}
    [key] = outputs_of(deployed.beside(STORES.name)).values()
    assert pipeline["artifactStores"][STORES.region]["encryptionKey"] == {"id": key, "type": "KMS"}


def test_an_action_in_another_account_has_its_role_there(deployed):
    pipeline = deployed.client("codepipeline").get_pipeline(name="shop")["pipeline"]
    [action] = pipeline["stages"][-1]["actions"]
    assert action["region"] == PRODUCTION.region
    name = action["roleArn"].rpartition("/")[2]
    role = deployed.beside(PRODUCTION.name).client("iam").get_role(RoleName=name)["Role"]
    assert role["Arn"] == action["roleArn"]
    assert role["Arn"].split(":")[4] == PRODUCTION.account


def test_a_function_has_the_account_and_region_of_its_stack(deployed):
    assert outputs_of(deployed.beside(PRODUCTION.name)) == {
        "Account": PRODUCTION.account,
        "Region": PRODUCTION.region,
        "Function": f"arn:aws:lambda:{PRODUCTION.region}:{PRODUCTION.account}:function:asked",
    }


def test_an_output_of_another_account_and_region_reaches_the_stack_that_asks(deployed):
    assert deployed.client("ssm").get_parameter(Name="/told")["Parameter"]["Value"] == PRODUCTION.account


def test_destroy_leaves_nothing_in_any_account(deployed, monkeypatch):
    """Without credentials for the other account: the CLI assumes the roles that CDK's bootstrap stack has there."""
    kept = {key: value for key, value in deployed.endpoint.environment.items() if key != "CDK_PLUGIN"}
    monkeypatch.setattr(Endpoint, "environment", kept)
    deployed.cdk("destroy", "--all", "--force", app=deployed.folder / "app")
    for place in ENVIRONMENTS:
        assert left_in(deployed.beside(place.name)) == []


def buckets_of(stack):
    return stack.client("s3").list_buckets()["Buckets"]


def outputs_of(stack):
    [found] = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def left_in(stack):
    """What is in an account and region besides CDK's bootstrap stack."""
    client = stack.client
    names = [
        *(found["StackName"] for found in client("cloudformation").describe_stacks()["Stacks"]),
        *(bucket["Name"] for bucket in buckets_of(stack)),
        *(role["RoleName"] for role in client("iam").list_roles()["Roles"]),
        *(policy["PolicyName"] for policy in client("iam").list_policies(Scope="Local")["Policies"]),
        *(function["FunctionName"] for function in client("lambda").list_functions()["Functions"]),
        *(parameter["Name"] for parameter in client("ssm").describe_parameters()["Parameters"]),
        *(pipeline["name"] for pipeline in client("codepipeline").list_pipelines()["pipelines"]),
        *client("codebuild").list_projects()["projects"],
    ]
    return [name for name in names if not name.lower().startswith(("cdktoolkit", "cdk-", "/cdk-bootstrap/"))]
