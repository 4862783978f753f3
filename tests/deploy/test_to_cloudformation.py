"""Stacks as deployments: a change set and its execution, with a role that somebody thought about."""

import json
from typing import Any

import pytest
from aws_cdk import App, CfnCapabilities, Stack
from aws_cdk import aws_iam as iam

from code_family_constructs import BuildProject, DeliveryPipeline, ManualApproval, Statement
from code_family_constructs.deploy.to_cloudformation import StackDeployment
from code_family_constructs.testing import statements_of, synthesized, text_of
from tests.helpers import a_context, a_source, a_stack, allowed, of_type, only, refuses

DEPLOY = Statement(actions=["lambda:UpdateFunctionCode"], resources=["arn:aws:lambda:eu-west-1:1:function:greeter"])
SHOP: dict[str, Any] = {"stack_name": "Shop-Greeter", "template_path": "cdk.out/Greeter.template.json"}


def a_pipeline(stack):
    return DeliveryPipeline(stack, "Pipeline", source=a_source(), build=BuildProject(stack, "Build"))


@pytest.fixture(scope="module")
def app():
    app = App(analytics_reporting=False)

    own = Stack(app, "Own")
    deployment = StackDeployment(own, "Deployment", **SHOP, statements=[DEPLOY])
    a_pipeline(own).add_stage("Production.1", approval=ManualApproval(question="Release?"), deploy=deployment)

    given = Stack(app, "Given")
    role = iam.Role(given, "Deployer", assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"))
    deployment = StackDeployment(
        given,
        "Deployment",
        **SHOP,
        template_configuration="config/production.json",
        parameter_overrides={
            "Release": "#{codepipeline.PipelineExecutionId}",
            "Image": {"Fn::GetParam": ["Build", "image.json", "uri"]},
        },
        capabilities=[CfnCapabilities.NAMED_IAM, CfnCapabilities.AUTO_EXPAND],
        deployment_role=role,
        change_set_name="release",
    )
    a_pipeline(given).add_stage("Production", deploy=deployment)
    return app


@pytest.fixture(scope="module")
def own(app):
    return synthesized(app.node.find_child("Own"))


@pytest.fixture(scope="module")
def given(app):
    return synthesized(app.node.find_child("Given"))


def actions_of(template):
    return only(template, "AWS::CodePipeline::Pipeline")["Stages"][-1]["Actions"]


def test_the_change_set_is_made_and_then_executed(own):
    approve, prepare, execute = actions_of(own)
    assert [(each["Name"], each["RunOrder"]) for each in (approve, prepare, execute)] == [
        ("Approve", 1),
        ("DeployChangeSet", 2),
        ("Deploy", 3),
    ]
    [role] = [name for name in of_type(own, "AWS::IAM::Role") if name.startswith("DeploymentRole")]
    assert prepare["Configuration"] == {
        "ActionMode": "CHANGE_SET_REPLACE",
        "StackName": "Shop-Greeter",
        "ChangeSetName": "Production-1-Deploy",
        "TemplatePath": "Build::cdk.out/Greeter.template.json",
        "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
    }
    assert prepare["InputArtifacts"] == [{"Name": "Build"}]
    assert execute["Configuration"] == {
        "ActionMode": "CHANGE_SET_EXECUTE",
        "StackName": "Shop-Greeter",
        "ChangeSetName": "Production-1-Deploy",
    }


def test_parameters_configuration_and_capabilities_reach_cloudformation(given):
    prepare, execute = actions_of(given)
    configuration = prepare["Configuration"]
    assert configuration["Capabilities"] == "CAPABILITY_NAMED_IAM,CAPABILITY_AUTO_EXPAND"
    assert configuration["TemplateConfiguration"] == "Build::config/production.json"
    assert json.loads(configuration["ParameterOverrides"]) == {
        "Release": "#{codepipeline.PipelineExecutionId}",
        "Image": {"Fn::GetParam": ["Build", "image.json", "uri"]},
    }
    assert configuration["RoleArn"] == {"Fn::GetAtt": ["Deployer92EF8763", "Arn"]}
    assert execute["Configuration"]["ChangeSetName"] == "release"


def test_cloudformation_may_do_what_the_statements_say_and_nothing_else(own):
    assert allowed(own, "DeploymentRolePolicy") == {
        "lambda:UpdateFunctionCode on arn:aws:lambda:eu-west-1:1:function:greeter"
    }
    [trust] = [
        role["AssumeRolePolicyDocument"]["Statement"]
        for name, role in of_type(own, "AWS::IAM::Role").items()
        if name.startswith("DeploymentRole")
    ]
    assert [each["Principal"] for each in trust] == [{"Service": "cloudformation.amazonaws.com"}]


@pytest.mark.parametrize("name", ["Own", "Given"])
def test_the_pipeline_may_change_this_stack_by_this_change_set_with_this_role(app, name):
    template = synthesized(app.node.find_child(name))
    stack = "arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/Shop-Greeter/*"
    ours = {line for line in allowed(template, "PipelineRolePolicy") if line.startswith(("cloudformation:", "iam:"))}
    [prepare] = [each for each in actions_of(template) if each["Name"] == "DeployChangeSet"]
    role = text_of(prepare["Configuration"]["RoleArn"])
    assert ours == {
        f"cloudformation:CreateChangeSet on {stack}",
        f"cloudformation:DeleteChangeSet on {stack}",
        f"cloudformation:DescribeChangeSet on {stack}",
        f"cloudformation:DescribeStackEvents on {stack}",
        f"cloudformation:DescribeStacks on {stack}",
        f"cloudformation:ExecuteChangeSet on {stack}",
        f"iam:PassRole on {role}",
    }
    conditions = {
        (action, json.dumps(statement.get("Condition")))
        for policy, statement in statements_of(template["Resources"])
        if policy.startswith("PipelineRolePolicy")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    change_set = {"StringEqualsIfExists": {"cloudformation:ChangeSetName": prepare["Configuration"]["ChangeSetName"]}}
    for action in ("CreateChangeSet", "DeleteChangeSet", "ExecuteChangeSet"):
        assert (f"cloudformation:{action}", json.dumps(change_set)) in conditions
    passed = {"StringEqualsIfExists": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    assert ("iam:PassRole", json.dumps(passed)) in conditions


def test_aws_cdk_lib_adds_no_permissions_of_its_own(own, given):
    for template in (own, given):
        assert of_type(template, "AWS::IAM::Policy") == {}


def test_a_stage_whose_name_starts_with_a_digit_still_has_a_change_set():
    stack = a_stack()
    deployment = StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY])
    made = deployment.deploy_action(a_context(stage_name="2nd_stage@eu"))
    [statement] = [each for each in made.permissions if "cloudformation:CreateChangeSet" in each.actions]
    assert statement.conditions == {
        "StringEqualsIfExists": {"cloudformation:ChangeSetName": "Stage-2nd-stage-eu-Deploy"}
    }


def test_a_role_that_nobody_gave_is_refused():
    with refuses("nothing says what CloudFormation may do", at="Shop/Deployment", fix="give statements=[…]"):
        StackDeployment(a_stack(), "Deployment", **SHOP)


def test_statements_for_a_role_made_elsewhere_are_refused():
    stack = a_stack()
    role = iam.Role.from_role_name(stack, "Deployer", "deployer")
    with refuses("statements for role 'Shop/Deployer'", at="Shop/Deployment", fix="leave deployment_role= out"):
        StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY], deployment_role=role)


def test_a_role_of_another_account_is_refused():
    stack = Stack(App(), "Shop", env={"account": "111111111111", "region": "eu-west-1"})
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::222222222222:role/deployer")
    with refuses("in account 222222222222", at="Shop/Deployment", fix="a role of the pipeline's own account"):
        StackDeployment(stack, "Deployment", **SHOP, deployment_role=role)


def test_a_role_whose_account_is_not_known_passes():
    stack = a_stack()
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::222222222222:role/deployer")
    assert StackDeployment(stack, "Deployment", **SHOP, deployment_role=role).deployment_role is role


@pytest.mark.parametrize("path", ["", "/template.json", "../template.json", "Build::template.json"])
@pytest.mark.parametrize("argument", ["template_path", "template_configuration"])
def test_what_is_no_path_in_an_artifact_is_refused(argument, path):
    with refuses(f"{argument}={path!r}", at="Shop/Deployment", fix="from the artifact's root"):
        StackDeployment(a_stack(), "Deployment", **{**SHOP, argument: path}, statements=[DEPLOY])


@pytest.mark.parametrize("name", ["shop_greeter", "1shop", "x" * 129, ""])
@pytest.mark.parametrize("argument", ["stack_name", "change_set_name"])
def test_a_name_that_cloudformation_would_refuse_is_refused(argument, name):
    with refuses(f"{argument.removesuffix('_name').replace('_', ' ')} name", at="Shop/Deployment", fix="[A-Za-z0-9-]"):
        StackDeployment(a_stack(), "Deployment", **{**SHOP, argument: name}, statements=[DEPLOY])


def test_a_parameter_that_cloudformation_would_refuse_is_refused():
    with refuses("parameter name 'image-tag'", at="Shop/Deployment", fix="[A-Za-z0-9]"):
        StackDeployment(
            a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides={"image-tag": "latest"}
        )


def test_more_parameters_than_codepipeline_takes_are_refused():
    # {"Key":"…"} has ten characters of its own.
    fits, too_long = "x" * 990, "x" * 991
    StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides={"Key": fits})
    with refuses("parameter_overrides of 1001 characters", at="Shop/Deployment", fix="template_configuration="):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides={"Key": too_long})


def test_parameters_may_be_known_only_when_it_is_deployed():
    stack = a_stack()
    overrides = {f"Region{number}": stack.region for number in range(40)}
    StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides=overrides)


def test_no_capability_is_no_capability():
    with refuses("capability NONE", at="Shop/Deployment", fix="leave it out"):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], capabilities=[CfnCapabilities.NONE])
