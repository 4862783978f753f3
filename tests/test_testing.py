"""Outlines and templates: what changes with the infrastructure stays, what changes by itself goes."""

import json
from copy import deepcopy

import pytest
from aws_cdk import App, CfnOutput, Stack, Stage
from aws_cdk import aws_s3 as s3
from constructs import RootConstruct

from code_family_constructs.testing import outline_of, statements_of, synthesized, template_of, text_of

HASH = "0123456789abcdef" * 4
OTHER_HASH = "fedcba9876543210" * 4


def action(name, order, category="Build", provider="CodeBuild", **more):
    return {
        "Name": name,
        "RunOrder": order,
        "ActionTypeId": {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"},
        **more,
    }


def policy(*statements, type_="AWS::IAM::ManagedPolicy"):
    return {"Type": type_, "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}}


def allow(actions, resources):
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


RELEASE = {
    "Resources": {
        "Pipeline": {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {
                "Name": "shop",
                "PipelineType": "V2",
                "ExecutionMode": "QUEUED",
                "Stages": [
                    {
                        "Name": "Source",
                        "Actions": [
                            action(
                                "GitHub",
                                1,
                                "Source",
                                "CodeStarSourceConnection",
                                Configuration={"FullRepositoryId": "acme/shop", "BranchName": "main"},
                                OutputArtifacts=[{"Name": "Source"}],
                            )
                        ],
                    },
                    {
                        "Name": "Production",
                        "Actions": [
                            action(
                                "Test",
                                3,
                                "Test",
                                Configuration={"ProjectName": {"Ref": "Check"}},
                                InputArtifacts=[{"Name": "Source"}],
                            ),
                            action(
                                "Deploy",
                                2,
                                "Deploy",
                                "CodeDeploy",
                                Configuration={"ApplicationName": "shop"},
                                RoleArn={"Fn::GetAtt": ["DeployRole", "Arn"]},
                                Region="eu-central-1",
                            ),
                            action("Approve", 1, "Approval", "Manual", Configuration={"CustomData": "Release?"}),
                        ],
                    },
                ],
            },
        },
        "Group": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "DeploymentGroupName": "shop",
                "DeploymentStyle": {"DeploymentType": "IN_PLACE", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
                "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": "Errors"}}]},
                "AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE"]},
            },
        },
        "Loose": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "AlarmConfiguration": {"Enabled": False, "Alarms": [{"Name": "ignored"}]},
                "AutoRollbackConfiguration": {"Enabled": False, "Events": ["DEPLOYMENT_FAILURE"]},
            },
        },
        "Errors": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "MetricName": "Errors",
                "Statistic": "Sum",
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "Threshold": 5,
                "EvaluationPeriods": 2,
                "Period": 60,
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Policies": [
                    {"PolicyName": "inline", "PolicyDocument": {"Statement": [allow("s3:*", "arn:aws:s3:::shop/a")]}}
                ]
            },
        },
        "Wide": policy(
            allow(["s3:GetObject", "s3:PutObject"], [{"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}]),
            allow("ec2:DescribeInstances", "*"),
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
        ),
        "Narrow": policy(allow("sns:Publish", {"Ref": "Topic"})),
    }
}


def test_outline_is_a_screen_that_a_reviewer_reads_from_top_to_bottom():
    assert outline_of(RELEASE).splitlines() == [
        "pipeline shop (V2, QUEUED)",
        "  Source",
        "    1. GitHub: Source by CodeStarSourceConnection (acme/shop; main; out Source)",
        "  Production",
        "    1. Approve: Approval by Manual (Release?)",
        "    2. Deploy: Deploy by CodeDeploy (shop; as <DeployRole.Arn>; in eu-central-1)",
        "    3. Test: Test by CodeBuild (<Check>; in Source)",
        "deployment group shop",
        "  CodeDeployDefault.OneAtATime, IN_PLACE, WITH_TRAFFIC_CONTROL",
        "  alarms: <Errors>",
        "  rolls back on: DEPLOYMENT_FAILURE",
        "deployment group Loose",
        "  CodeDeployDefault.OneAtATime, IN_PLACE, WITHOUT_TRAFFIC_CONTROL",
        "  alarms: none",
        "  rolls back on: nothing",
        "alarms",
        "  Errors: Sum Errors >= 5 for 2 x 60 s",
        "wildcards",
        "  Role: s3:* on arn:aws:s3:::shop/a",
        "  Wide: s3:GetObject, s3:PutObject on <Bucket.Arn>/*",
        "  Wide: ec2:DescribeInstances on *",
        "resources",
        "    1 AWS::CloudWatch::Alarm",
        "    2 AWS::CodeDeploy::DeploymentGroup",
        "    1 AWS::CodePipeline::Pipeline",
        "    2 AWS::IAM::ManagedPolicy",
        "    1 AWS::IAM::Role",
    ]


def test_outline_of_an_empty_stack_is_empty():
    assert outline_of({}) == "resources\n"


@pytest.mark.parametrize(
    ("resource", "line"),
    [
        (policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), "iam:*"),
        (policy({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::secret"}), "s3:GetObject"),
        (policy(allow("s3:GetObject", "*"), type_="AWS::IAM::Policy"), "s3:GetObject on *"),
        (
            {
                "Type": "AWS::IAM::Group",
                "Properties": {"Policies": [{"PolicyDocument": {"Statement": [allow("s3:GetObject", "*")]}}]},
            },
            "s3:GetObject on *",
        ),
        (
            {
                "Type": "AWS::IAM::User",
                "Properties": {"Policies": [{"PolicyDocument": {"Statement": [allow("s3:GetObject", "*")]}}]},
            },
            "s3:GetObject on *",
        ),
        # CloudFormation takes one statement without a list, and templates written by hand have them.
        (
            {
                "Type": "AWS::IAM::Policy",
                "Properties": {"PolicyDocument": {"Statement": allow("s3:GetObject", "*")}},
            },
            "s3:GetObject on *",
        ),
    ],
    ids=["NotAction", "NotResource", "policy", "group", "user", "one statement"],
)
def test_outline_shows_whoever_may_do_something_to_everything(resource, line):
    lines = outline_of({"Resources": {"Wide": resource}}).splitlines()
    (shown,) = lines[lines.index("wildcards") + 1 : lines.index("resources")]
    assert shown.startswith("  Wide: ")
    assert line in shown


def test_statements_of_names_the_resource_that_holds_them():
    found = [(name, statement["Effect"]) for name, statement in statements_of(RELEASE["Resources"])]
    assert found == [("Role", "Allow"), ("Wide", "Allow"), ("Wide", "Allow"), ("Wide", "Deny"), ("Narrow", "Allow")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (80, "80"),
        ({"Ref": "Topic"}, "<Topic>"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "<Bucket.Arn>"),
        ({"Fn::Join": ["/", [{"Ref": "A"}, "b", {"Fn::Join": ["", ["c", {"Ref": "D"}]]}]]}, "<A>/b/c<D>"),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}"}, "arn:<AWS::Partition>:s3:::<Bucket>"),
        ({"Fn::ImportValue": "Shared"}, '{"Fn::ImportValue": "Shared"}'),
    ],
)
def test_values_read_as_a_person_writes_them(value, text):
    assert text_of(value) == text


TEMPLATE = {
    "Description": "A shop",
    "Parameters": {
        "Branch": {"Type": "String"},
        "BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/version"},
    },
    "Rules": {
        "CheckBootstrapVersion": {"Assertions": [{"AssertDescription": "CDK bootstrap stack version 6 required."}]}
    },
    "Conditions": {"CDKMetadataAvailable": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}},
    "Resources": {
        "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2:deflate64:abc"}},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Metadata": {"aws:cdk:path": "Shop/Function", "aws:asset:path": f"asset.{HASH}"},
            "Properties": {
                "Code": {"S3Bucket": {"Fn::Sub": "cdk-assets"}, "S3Key": f"{HASH}.zip"},
                "Environment": {"Variables": {"STAGE": "production"}},
            },
        },
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Metadata": {"Reviewed": "yes"},
            "Properties": {"ContainerDefinitions": [{"Image": f"public.ecr.aws/nginx/nginx@sha256:{HASH}"}]},
        },
    },
}


def changed(change):
    template = deepcopy(TEMPLATE)
    change(template)
    return template


def test_template_holds_what_is_deployed_in_a_stable_order():
    shown = json.loads(template_of(TEMPLATE))
    assert shown["Resources"]["Function"]["Properties"]["Code"]["S3Key"] == "HASH.zip"
    assert shown["Parameters"] == {"Branch": {"Type": "String"}}
    assert list(shown) == ["Description", "Parameters", "Resources"]
    reordered = {section: TEMPLATE[section] for section in reversed(TEMPLATE)}
    assert template_of(reordered) == template_of(TEMPLATE)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["Resources"]["Function"]["Properties"]["Code"].update(S3Key=f"{OTHER_HASH}.zip"),
        lambda t: t["Resources"]["Function"]["Metadata"].update({"aws:cdk:path": "Shop/Renamed"}),
        lambda t: t["Resources"]["Function"]["Metadata"].update({"aws:asset:path": f"asset.{OTHER_HASH}"}),
        lambda t: t["Resources"]["Function"].pop("Metadata"),
        lambda t: t["Resources"].pop("CDKMetadata"),
        lambda t: t["Parameters"].pop("BootstrapVersion"),
        lambda t: t.pop("Rules"),
        lambda t: t.pop("Conditions"),
    ],
    ids=[
        "asset",
        "path",
        "asset path",
        "no metadata",
        "CDK metadata",
        "bootstrap version",
        "CDK rule",
        "CDK condition",
    ],
)
def test_template_stays_when_only_the_cdk_or_an_asset_changed(change):
    assert template_of(changed(change)) == template_of(TEMPLATE)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["Resources"]["Function"]["Properties"]["Environment"]["Variables"].update(STAGE="staging"),
        lambda t: t["Resources"]["Function"].update(DeletionPolicy="Retain"),
        lambda t: t["Resources"]["Function"].update(DependsOn=["Task"]),
        lambda t: t["Resources"]["Task"].pop("Metadata"),
        lambda t: t["Resources"].update(Renamed=t["Resources"].pop("Function")),
        lambda t: t["Parameters"]["Branch"].update(Default="main"),
        lambda t: t.update(Description="Another shop"),
        lambda t: t.update(Outputs={"Url": {"Value": "https://acme.example"}}),
        lambda t: t["Rules"].update(OnlyInEurope={"Assertions": [{"Assert": True}]}),
        # Which image runs is infrastructure: the digest was typed by a person, and no asset of the CDK's.
        lambda t: t["Resources"]["Task"]["Properties"].update(
            ContainerDefinitions=[{"Image": f"public.ecr.aws/nginx/nginx@sha256:{OTHER_HASH}"}]
        ),
    ],
    ids=["property", "policy", "dependency", "metadata", "id", "default", "description", "output", "rule", "digest"],
)
def test_template_changes_when_the_infrastructure_does(change):
    assert template_of(changed(change)) != template_of(TEMPLATE)


@pytest.mark.parametrize("name", ["app-2-20260101", "build-1-deadbeef"])
def test_a_name_that_only_looks_like_a_hash_is_kept(name):
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}}}
    assert name in template_of(template)


def test_a_stack_in_a_stage_and_its_template_read_alike():
    stack = Stack(Stage(App(), "Production"), "Shop")
    s3.Bucket(stack, "Bucket")
    CfnOutput(stack, "Answer", value="42")
    template = synthesized(stack)
    assert outline_of(stack) == outline_of(template) == "resources\n    1 AWS::S3::Bucket\n"
    assert template_of(stack) == template_of(template)
    assert "Answer" in template["Outputs"]


def test_fails_when_the_stack_is_in_no_app():
    with pytest.raises(ValueError, match="is in no app"):
        synthesized(Stack(RootConstruct(), "Shop"))
