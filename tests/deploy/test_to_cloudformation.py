"""Stacks as deployments: change sets, looked at or not, and a role that somebody thought about."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk import App, CfnCapabilities, CfnOutput, CfnParameter, Environment, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from code_family_constructs import ManualApproval, Statement
from code_family_constructs.actions import Action
from code_family_constructs.deploy.to_cloudformation import StackDeletion, StackDeployment
from code_family_constructs.testing import statements_of, synthesized, text_of
from tests.deploy.action_stage import a_pipeline, stage
from tests.helpers import a_context, a_stack, allowed, of_type, refuses

DEPLOY = Statement(actions=["lambda:UpdateFunctionCode"], resources=["arn:aws:lambda:eu-west-1:1:function:greeter"])
SHOP: dict[str, Any] = {"stack_name": "Shop-Greeter", "template_path": "cdk.out/Greeter.template.json"}
TOPIC = "arn:aws:sns:eu-west-1:111111111111:approvals"
TOPIC_KEY = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HERE = Environment(account="111111111111", region="eu-west-1")
THERE = Environment(account="222222222222", region="us-east-1")
THEIR_ROLE = "arn:aws:iam::222222222222:role/release"


@pytest.fixture(scope="module")
def stacks():
    app = App(analytics_reporting=False)
    own = Stack(app, "Own")
    given = Stack(app, "Given")
    role = iam.Role(given, "Deployer", assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"))
    topic = sns.Topic.from_topic_attributes(own, "Approvers", topic_arn=TOPIC, key_arn=TOPIC_KEY)
    approved = StackDeployment(
        own,
        "Approved",
        **SHOP,
        statements=[DEPLOY],
        approval=ManualApproval(question="Release?", topic=topic),
        output_artifact="Outputs",
    )
    a_pipeline(
        own,
        {
            "Production.1": StackDeployment(own, "Deployment", **SHOP, statements=[DEPLOY]),
            "Approved": approved,
            "After": StackDeployment(
                own,
                "After",
                stack_name="Shop-Front",
                template_path="front.json",
                deployment_role=iam.Role.from_role_arn(own, "Front", "arn:aws:iam::111111111111:role/front"),
                parameter_overrides={"Api": {"Fn::GetParam": ["Outputs", "outputs.json", "Url"]}},
                action_mode="CREATE_UPDATE",
                output_artifact="FrontOutputs",
                output_file_name="front.json",
            ),
        },
    )
    CfnOutput(own, "Url", value=approved.variable("Url"))
    a_pipeline(
        given,
        {
            "Production": StackDeployment(
                given,
                "Deployment",
                **SHOP,
                template_configuration="config/production.json",
                parameter_overrides={
                    "Release": "#{codepipeline.PipelineExecutionId}",
                    "Image": {"Fn::GetParam": ["Source", "image.json", "uri"]},
                    "Region": given.region,
                },
                capabilities=[CfnCapabilities.ANONYMOUS_IAM, CfnCapabilities.AUTO_EXPAND],
                deployment_role=role,
                change_set_name="release",
            )
        },
    )

    here = Stack(app, "Here", env=HERE)
    there = Stack(app, "There", env=THERE)
    imported = iam.Role.from_role_arn(there, "Imported", "arn:aws:iam::222222222222:role/deployer")
    theirs: dict[str, Action] = {
        "Own": StackDeployment(
            there, "Deployment", **SHOP, statements=[DEPLOY], approval=ManualApproval(question="Release?")
        ),
        "Imported": StackDeletion(there, "Deletion", stack_name="Shop-Test", deployment_role=imported),
    }
    key = kms.Key.from_key_arn(here, "Key", "arn:aws:kms:eu-west-1:111111111111:key/1")
    a_pipeline(
        here,
        theirs,
        target=there,
        bucket=s3.Bucket.from_bucket_attributes(here, "Store", bucket_name="store", encryption_key=key),
        role=iam.Role.from_role_arn(here, "TheirRole", THEIR_ROLE, mutable=False),
    )
    return {stack.stack_name: synthesized(stack) for stack in (own, given, here, there)}


@pytest.fixture(scope="module")
def own(stacks):
    return stacks["Own"]


@pytest.fixture(scope="module")
def given(stacks):
    return stacks["Given"]


def names(actions):
    return [(each["Name"], each["RunOrder"]) for each in actions]


def test_the_change_set_is_made_and_then_executed(own):
    prepare, execute = stage(own, "Production.1")
    assert names([prepare, execute]) == [("DeployChangeSet", 1), ("Deploy", 2)]
    [role] = [name for name in of_type(own, "AWS::IAM::Role") if name.startswith("DeploymentRole")]
    assert prepare["Configuration"] == {
        "ActionMode": "CHANGE_SET_REPLACE",
        "StackName": "Shop-Greeter",
        "ChangeSetName": "Production-1-Deploy",
        "TemplatePath": "Source::cdk.out/Greeter.template.json",
        "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
    }
    assert prepare["InputArtifacts"] == [{"Name": "Source"}]
    assert execute["Configuration"] == {
        "ActionMode": "CHANGE_SET_EXECUTE",
        "StackName": "Shop-Greeter",
        "ChangeSetName": "Production-1-Deploy",
    }


def test_somebody_looks_at_the_change_set_before_it_is_executed(own):
    prepare, approve, execute = stage(own, "Approved")
    assert names([prepare, approve, execute]) == [
        ("DeployChangeSet", 1),
        ("DeployApproval", 2),
        ("Deploy", 3),
    ]
    assert approve["ActionTypeId"]["Category"] == "Approval"
    question, *_, link = text_of(approve["Configuration"]["CustomData"]).splitlines()
    assert question == "Release?"
    assert link.startswith("Change set: https://")
    assert link.endswith(f"#/stacks/changesets?stackId={execute['Configuration']['StackName']}")
    changed = prepare["Configuration"]["ChangeSetName"]
    assert changed == execute["Configuration"]["ChangeSetName"] == "Approved-Deploy"


def test_an_approval_is_asked_for_by_the_pipeline_itself(own):
    asks = {line for line in allowed(own, "ApprovedPipelinePermissions") if line.startswith("sns:")}
    assert asks == {f"sns:Publish on {TOPIC}"}
    assert not [line for line in allowed(own, "ApprovedPermissions") if line.startswith("sns:")]


def test_outputs_of_the_stack_are_an_artifact_that_later_actions_take_parameters_from(own):
    *_, execute = stage(own, "Approved")
    assert execute["Configuration"]["OutputFileName"] == "outputs.json"
    assert execute["OutputArtifacts"] == [{"Name": "Outputs"}]
    [update] = stage(own, "After")
    assert update["InputArtifacts"] == [{"Name": "Source"}, {"Name": "Outputs"}]
    assert json.loads(update["Configuration"]["ParameterOverrides"]) == {
        "Api": {"Fn::GetParam": ["Outputs", "outputs.json", "Url"]}
    }
    assert update["OutputArtifacts"] == [{"Name": "FrontOutputs"}]
    assert update["Configuration"]["OutputFileName"] == "front.json"


def test_outputs_of_the_stack_are_variables_of_what_is_executed(own):
    assert [each.get("Namespace") for each in stage(own, "Approved")] == [None, None, "Approved-Deploy"]
    assert [each.get("Namespace") for each in stage(own, "After")] == ["After-Deploy"]
    assert own["Outputs"]["Url"]["Value"] == "#{Approved-Deploy.Url}"


def test_a_stack_is_created_or_updated_in_one_action(own):
    [update] = stage(own, "After")
    assert names([update]) == [("Deploy", 1)]
    assert update["Configuration"]["ActionMode"] == "CREATE_UPDATE"
    stack = "arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/Shop-Front/*"
    assert allowed(own, "AfterPermissions") == {
        f"cloudformation:CreateStack on {stack}",
        f"cloudformation:DescribeStackEvents on {stack}",
        f"cloudformation:DescribeStackResources on {stack}",
        f"cloudformation:DescribeStacks on {stack}",
        f"cloudformation:GetTemplate on {stack}",
        f"cloudformation:UpdateStack on {stack}",
        "cloudformation:ValidateTemplate on *",
        "iam:PassRole on arn:aws:iam::111111111111:role/front",
    }


def test_parameters_configuration_and_capabilities_reach_cloudformation(given):
    prepare, execute = stage(given, "Production")
    configuration = prepare["Configuration"]
    assert configuration["Capabilities"] == "CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND"
    assert configuration["TemplateConfiguration"] == "Source::config/production.json"
    assert json.loads(text_of(configuration["ParameterOverrides"])) == {
        "Release": "#{codepipeline.PipelineExecutionId}",
        "Image": {"Fn::GetParam": ["Source", "image.json", "uri"]},
        "Region": "<AWS::Region>",
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


OF_A_CONFIGURATION = ("GetStackPolicy", "SetStackPolicy", "TagResource", "UntagResource")


@pytest.mark.parametrize(
    ("name", "place", "more"), [("Own", "Production.1", ()), ("Given", "Production", OF_A_CONFIGURATION)]
)
def test_the_pipeline_may_change_this_stack_by_this_change_set_with_this_role(stacks, name, place, more):
    template = stacks[name]
    stack = "arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/Shop-Greeter/*"
    prepare, _execute = stage(template, place)
    policy = f"{place.replace('.', '')}Permissions"
    assert allowed(template, policy) == {
        f"cloudformation:CreateChangeSet on {stack}",
        f"cloudformation:DeleteChangeSet on {stack}",
        f"cloudformation:DescribeChangeSet on {stack}",
        f"cloudformation:DescribeStackEvents on {stack}",
        f"cloudformation:DescribeStacks on {stack}",
        f"cloudformation:ExecuteChangeSet on {stack}",
        *(f"cloudformation:{action} on {stack}" for action in more),
        f"iam:PassRole on {text_of(prepare['Configuration']['RoleArn'])}",
    }
    conditions = {
        (action, json.dumps(statement.get("Condition")))
        for each, statement in statements_of(template["Resources"])
        if each.startswith(policy)
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    change_set = {"StringEqualsIfExists": {"cloudformation:ChangeSetName": prepare["Configuration"]["ChangeSetName"]}}
    for action in ("CreateChangeSet", "DeleteChangeSet", "ExecuteChangeSet"):
        assert (f"cloudformation:{action}", json.dumps(change_set)) in conditions
    passed = {"StringEqualsIfExists": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    assert ("iam:PassRole", json.dumps(passed)) in conditions


def test_aws_cdk_lib_adds_no_permissions_of_its_own(stacks):
    for template in stacks.values():
        assert of_type(template, "AWS::IAM::Policy") == {}


def test_a_stack_in_another_account_is_deployed_by_a_role_of_that_account(stacks):
    prepare, approve, execute = stage(stacks["Here"], "Own")
    [role] = of_type(stacks["There"], "AWS::IAM::Role").values()
    arn = f"arn:aws:iam::222222222222:role/{role['RoleName']}"
    assert prepare["Configuration"]["RoleArn"] == arn
    assert (prepare["RoleArn"], execute["RoleArn"]) == (THEIR_ROLE, THEIR_ROLE)
    assert "RoleArn" not in approve
    assert f"iam:PassRole on {arn}" in allowed(stacks["There"], "OwnPermissions")
    [delete] = stage(stacks["Here"], "Imported")
    assert delete["Configuration"]["RoleArn"] == "arn:aws:iam::222222222222:role/deployer"


def test_in_another_region_the_role_may_do_so_there():
    stack = a_stack()
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::222222222222:role/deployer")
    deployment = StackDeployment(stack, "Deployment", **SHOP, deployment_role=role)
    made = deployment.stage_action(a_context(region="us-east-1"))
    assert all(":us-east-1:" in each.resources[0] for each in made.permissions if "iam:PassRole" not in each.actions)


def test_a_stage_whose_name_starts_with_a_digit_still_has_a_change_set():
    stack = a_stack()
    deployment = StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY])
    made = deployment.stage_action(a_context(stage_name="2nd_stage@eu"))
    [statement] = [each for each in made.permissions if "cloudformation:CreateChangeSet" in each.actions]
    assert statement.conditions == {
        "StringEqualsIfExists": {"cloudformation:ChangeSetName": "Stage-2nd-stage-eu-Deploy"}
    }


@pytest.mark.parametrize("make", [StackDeployment, StackDeletion])
def test_a_role_that_nobody_gave_is_refused(make):
    settings = SHOP if make is StackDeployment else {"stack_name": "Shop"}
    with refuses("nothing says what CloudFormation may do", at="Shop/Deployment", fix="give statements=[…]"):
        make(a_stack(), "Deployment", **settings)


def test_statements_for_a_role_made_elsewhere_are_refused():
    stack = a_stack()
    role = iam.Role.from_role_name(stack, "Deployer", "deployer")
    with refuses("statements for role 'Shop/Deployer'", at="Shop/Deployment", fix="leave deployment_role= out"):
        StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY], deployment_role=role)


def test_a_role_of_another_account_than_the_action_runs_in_is_refused():
    stack = Stack(App(), "Shop", env=HERE)
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::222222222222:role/deployer")
    deployment = StackDeployment(stack, "Deployment", **SHOP, deployment_role=role)
    problem = "in account 222222222222, action 'Deploy' runs in 111111111111"
    with refuses(problem, at="Shop/Deployment", fix="give a role of account 111111111111"):
        deployment.stage_action(a_context(scope=stack))
    assert deployment.stage_action(a_context(scope=stack, role=iam.Role.from_role_arn(stack, "Their", THEIR_ROLE)))


def test_a_role_whose_account_is_not_known_passes():
    stack = a_stack()
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::222222222222:role/deployer")
    deployment = StackDeployment(stack, "Deployment", **SHOP, deployment_role=role)
    assert deployment.deployment_role is role
    assert deployment.stage_action(a_context(scope=stack)).permissions


def test_a_role_that_cannot_be_named_is_refused():
    stack = a_stack()
    deployment = StackDeployment(stack, "Deployment", **SHOP, statements=[DEPLOY])
    with refuses("not known at synth time", at="Shop/Deployment/Role", fix="in a stack with account and region"):
        deployment.stage_action(a_context(region="us-east-1"))


@pytest.mark.parametrize("path", ["", "/template.json", "../template.json", "Build::template.json"])
@pytest.mark.parametrize("argument", ["template_path", "template_configuration", "output_file_name"])
def test_what_is_no_path_in_an_artifact_is_refused(argument, path):
    settings = {**SHOP, "output_artifact": "Outputs", argument: path}
    with refuses(f"{argument}={path!r}", at="Shop/Deployment", fix="from the artifact's root"):
        StackDeployment(a_stack(), "Deployment", **settings, statements=[DEPLOY])


@pytest.mark.parametrize("name", ["shop_greeter", "1shop", "x" * 129, ""])
@pytest.mark.parametrize("argument", ["stack_name", "change_set_name"])
def test_a_name_that_cloudformation_would_refuse_is_refused(argument, name):
    with refuses(f"{argument.removesuffix('_name').replace('_', ' ')} name", at="Shop/Deployment", fix="[A-Za-z0-9-]"):
        StackDeployment(a_stack(), "Deployment", **{**SHOP, argument: name}, statements=[DEPLOY])


def test_an_artifact_name_that_codepipeline_would_refuse_is_refused():
    with refuses("output artifact name 'Stack.Outputs'", at="Shop/Deployment", fix="[A-Za-z0-9_-]"):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], output_artifact="Stack.Outputs")


def test_an_action_name_that_is_full_leaves_no_room_for_the_change_set():
    deployment = StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY])
    with refuses("has 109 characters", at="Shop/Deployment", fix="give the action a shorter name"):
        deployment.stage_action(a_context(action_name="x" * 100))


def test_an_unknown_mode_is_refused():
    mode: Any = "CHANGE_SET_REPLACE"
    with refuses("action_mode='CHANGE_SET_REPLACE'", at="Shop/Deployment", fix="CREATE_UPDATE"):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], action_mode=mode)


@pytest.mark.parametrize("argument", ["approval", "change_set_name"])
def test_what_is_for_change_sets_is_refused_without_one(argument):
    settings: dict[str, Any] = {"approval": ManualApproval(question="Release?"), "change_set_name": "release"}
    with refuses(f"{argument}= with action_mode='CREATE_UPDATE'", at="Shop/Deployment", fix="'CHANGE_SET'"):
        StackDeployment(
            a_stack(),
            "Deployment",
            **SHOP,
            statements=[DEPLOY],
            action_mode="CREATE_UPDATE",
            **{argument: settings[argument]},
        )


class Overridden:
    """An approval with a setting that aws-cdk-lib does not know."""

    def stage_action(self, context):
        return replace(ManualApproval(question="Release?").stage_action(context), overrides={"TimeoutInMinutes": 5})


def test_an_approval_whose_settings_would_be_lost_is_refused():
    deployment = StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], approval=Overridden())
    with refuses("approval=Overridden with settings of its own", at="Shop/Deployment", fix="the stage before"):
        deployment.stage_action(a_context())


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


def test_a_parameter_from_an_artifact_that_nothing_makes_is_refused():
    overrides = {"Images": [{"Fn::GetArtifactAtt": ["Image", "URL"]}]}
    deployment: Any = StackDeployment
    made = deployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides=overrides)
    with refuses("takes artifact 'Image'", at="Shop-Pipeline/Production/Deploy", fix="put the action after"):
        made.stage_action(a_context())


def test_parameters_from_more_artifacts_than_an_action_takes_are_refused():
    artifacts = {f"A{number}": codepipeline.Artifact(f"A{number}") for number in range(10)}
    overrides = {name: {"Fn::GetParam": [name, "a.json", "b"]} for name in artifacts}
    deployment = StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides=overrides)
    with refuses("11 artifacts", at="Shop/Deployment", fix="at most 10"):
        deployment.stage_action(a_context(artifacts=artifacts))


def test_no_capability_is_no_capability():
    with refuses("capability NONE", at="Shop/Deployment", fix="leave it out"):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], capabilities=[CfnCapabilities.NONE])


def test_an_output_of_a_deployment_in_no_pipeline_is_refused():
    deployment = StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY])
    with refuses("in no pipeline", at="Shop/Deployment", fix="add it to a stage first"):
        deployment.variable("Url")
    with refuses("output name 'Api.Url'", at="Shop/Deployment", fix="[A-Za-z0-9]"):
        deployment.variable("Api.Url")


def test_a_template_may_be_named_when_it_is_deployed():
    stack = a_stack()
    path = CfnParameter(stack, "Template").value_as_string
    assert StackDeployment(stack, "Deployment", stack_name="Shop", template_path=path, statements=[DEPLOY])


def test_a_parameter_is_a_text_or_from_an_artifact():
    count: Any = {"Count": 3}
    with refuses("parameter Count is 3", at="Shop/Deployment", fix="write '3'"):
        StackDeployment(a_stack(), "Deployment", **SHOP, statements=[DEPLOY], parameter_overrides=count)
