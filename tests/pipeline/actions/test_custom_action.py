"""Actions of any type: what CodePipeline would refuse, and secrets that everyone could read."""

from typing import Any

import pytest
from aws_cdk import SecretValue
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs import Statement
from code_family_constructs.pipeline.actions.custom_action import CustomAction
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

AT = "CustomAction"
Category = codepipeline.ActionCategory
SECRET = SecretValue.secrets_manager("blaze")


def an_action(**settings: Any) -> CustomAction:
    return CustomAction(**{"category": Category.TEST, "provider": "BlazeMeter", **settings})


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"owner": "aws"}, "owner='aws'", "use one of AWS, ThirdParty, Custom"),
        ({"category": Category.SOURCE}, "a source in a stage", "source="),
        ({"category": Category.APPROVAL}, "an approval", "ManualApproval"),
        ({"category": Category.COMPUTE}, "category COMPUTE of Custom", "BUILD, DEPLOY, TEST, INVOKE"),
        ({"provider": "Blaze Meter"}, "provider name 'Blaze Meter'", "[0-9A-Za-z_-]"),
        ({"provider": "x" * 36}, "36 characters", "1 to 35"),
        ({"version": "1.0"}, "version name '1.0'", "[0-9A-Za-z_-]"),
        ({"configuration": {"": "x"}}, "a name of 0 characters", "use 1 to 50"),
        ({"configuration": {"k" * 51: "x"}}, "a name of 51 characters", "use 1 to 50"),
        ({"configuration": {"Url": ""}}, "setting 'Url' of 0 characters", "shorten it"),
        ({"configuration": {"Url": "x" * 1001}}, "setting 'Url' of 1001 characters", "shorten it"),
        ({"configuration": {"Count": 3}}, "setting 'Count' is 3", "write '3'"),
        ({"configuration": {"ApiKey": "hunter2"}}, "'ApiKey' holds what sounds like a secret", "SecretValue.secrets"),
        ({"configuration": {"Id": "AKIAIOSFODNN7EXAMPLE"}}, "holds an AWS access key id", "Secrets Manager"),
        (
            {"configuration": {"ApiKey": SecretValue.unsafe_plain_text("hunter2")}},
            "a secret in plain text",
            "SecretValue.secrets_manager",
        ),
        ({"owner": "AWS", "configuration": {"ApiKey": SECRET}}, "which actions of AWS show", "read the secret"),
        ({"input_artifacts": list("abcdef")}, "6 input_artifacts", "at most 5"),
        ({"output_artifacts": list("abcdef")}, "6 output_artifacts", "at most 5"),
        ({"output_variables": ["a b"]}, "variable name 'a b'", "[A-Za-z0-9@_-]"),
        (
            {"permissions": [Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::a/b"])]},
            "permissions for an action of Custom",
            "leave them out",
        ),
    ],
)
def test_what_codepipeline_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at=AT, fix=fix):
        an_action(**settings)


def test_a_type_of_aws_may_read_more_and_be_of_its_own_category():
    action = an_action(owner="AWS", category=Category.COMPUTE, input_artifacts=list("abcdefghij"))
    assert len(action.input_artifacts or ()) == 10


def test_a_secret_of_parameter_store_is_refused_since_cloudformation_would_not_read_it():
    action = an_action(configuration={"ApiKey": SecretValue.ssm_secure("/blaze", "1")})
    with refuses("a SecureString parameter", at="Shop-Pipeline/Production/Deploy", fix="Secrets Manager"):
        action.stage_action(a_context(scope=a_stack()))


@pytest.mark.parametrize("owner", ["Custom", "ThirdParty"])
def test_only_actions_of_aws_run_elsewhere(owner):
    with refuses(f"an action of {owner} in another", at="Shop-Pipeline/Production/Deploy", fix="the pipeline's own"):
        an_action(owner=owner).stage_action(elsewhere())
    assert an_action(owner="AWS").stage_action(elsewhere()).action.action_properties.region == "eu-central-1"


def test_jenkins_builds_and_tests():
    with refuses("category DEPLOY of Jenkins", at=AT, fix="use BUILD or TEST"):
        CustomAction.jenkins(provider="Jenkins", project_name="integration", category=Category.DEPLOY)
