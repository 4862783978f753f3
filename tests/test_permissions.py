"""Roles: exactly what was written down, for one service, on behalf of one resource."""

import pytest
from aws_cdk import App, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from code_family_constructs import ConfigurationError, Statement
from code_family_constructs.permissions import Permissions, ServiceRole, arn, flat
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses

READ = Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::shop/index.html"])


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    role = ServiceRole(
        stack,
        service="codebuild.amazonaws.com",
        source_arn=arn("codebuild", "project/shop"),
        statements=[READ],
    )
    role.allow(
        Statement(
            actions=["s3:PutObject"],
            resources=["arn:aws:s3:::shop/*"],
            wildcard_reason="the build names its files",
        )
    )
    s3.Bucket(stack, "Bucket").grant_read_write(role.frozen)
    return synthesized(stack)


def test_role_may_do_what_was_written_down_and_nothing_else(template):
    assert allowed(template, "") == {
        "s3:GetObject on arn:aws:s3:::shop/index.html",
        "s3:PutObject on arn:aws:s3:::shop/*",
    }
    assert of_type(template, "AWS::IAM::Policy") == {}


def test_whatever_waits_for_the_role_waits_for_its_permissions(template):
    (policy,) = of_type(template, "AWS::IAM::ManagedPolicy")
    assert only(template, "AWS::IAM::Role")["ManagedPolicyArns"] == [{"Ref": policy}]


def test_service_may_assume_the_role_on_behalf_of_one_resource_of_this_account_only(template):
    (trust,) = only(template, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"]) == (
        "arn:<AWS::Partition>:codebuild:<AWS::Region>:<AWS::AccountId>:project/shop"
    )


def test_arn_of_a_global_service_names_no_region():
    stack = a_stack()
    assert text_of(stack.resolve(arn("iam", "role/x", region=False))) == (
        "arn:<AWS::Partition>:iam::<AWS::AccountId>:role/x"
    )


def test_a_condition_narrows_the_statement():
    statement = Statement(
        actions=["sns:Publish"], resources=["arn:x"], conditions={"StringEquals": {"aws:SourceAccount": "1"}}
    )
    assert statement.to_json() == {
        "Effect": "Allow",
        "Action": ["sns:Publish"],
        "Resource": ["arn:x"],
        "Condition": {"StringEquals": {"aws:SourceAccount": "1"}},
    }


@pytest.mark.parametrize("action", ["*", "s3:*", "s3:Get*", "s3:GetObjec?"])
def test_fails_when_an_action_has_a_wildcard(action):
    statement = Statement(actions=["s3:PutObject", action], resources=["arn:aws:s3:::shop/a"])
    with refuses(f"allows {action}", at="Shop", fix="name each action in full"):
        ServiceRole(a_stack(), service="codebuild.amazonaws.com", statements=[statement])


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        "arn:aws:s3:::shop/*",
        "arn:aws:s3:::shop-?/index.html",
        "arn:aws:s3:::shop-??????",
        "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop-*-??????",
    ],
)
def test_fails_when_a_wildcard_resource_has_no_reason(resource):
    role = ServiceRole(a_stack(), service="codebuild.amazonaws.com", statements=[READ])
    with refuses("s3:PutObject", repr(resource), at="Shop", fix="name the resource in full, or give wildcard_reason="):
        role.allow(Statement(actions=["s3:PutObject"], resources=[resource]))


@pytest.mark.parametrize(
    ("actions", "resources", "wrong"),
    [
        ("s3:GetObject", ["arn:aws:s3:::shop/a"], "s3:GetObject"),
        (["s3:GetObject"], "arn:aws:s3:::shop/a", "arn:aws:s3:::shop/a"),
        ([], ["arn:aws:s3:::shop/a"], "actions"),
        (["s3:GetObject"], [], "resources"),
    ],
)
def test_fails_when_a_statement_would_be_malformed(actions, resources, wrong):
    """A string is a sequence of letters to Python and to mypy, and IAM refuses letters and empty lists."""
    with pytest.raises(ConfigurationError, match=wrong):
        ServiceRole(
            a_stack(),
            service="codebuild.amazonaws.com",
            statements=[Statement(actions=actions, resources=resources)],
        )


def test_the_random_end_of_a_secrets_arn_needs_no_reason():
    resource = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/db-??????"
    stack = a_stack()
    read = Statement(actions=["secretsmanager:GetSecretValue"], resources=[resource])
    ServiceRole(stack, service="codebuild.amazonaws.com", statements=[read])
    assert allowed(synthesized(stack), "") == {f"secretsmanager:GetSecretValue on {resource}"}


@pytest.mark.parametrize("action", ["GetObject", "s3:", ":GetObject", "s3:Get Object", "s3:GetObject\n", "s3:a:b", ""])
def test_fails_when_it_is_no_action(action):
    """IAM refuses the whole policy, when the stack is deployed."""
    with refuses(f"{action!r} is no IAM action", at="Statement", fix="s3:GetObject"):
        Statement(actions=["s3:PutObject", action], resources=["arn:aws:s3:::shop/a"])


@pytest.mark.parametrize("resource", ["shop", "shop/*", "", "s3://shop", " arn:aws:s3:::shop"])
def test_fails_when_a_resource_is_no_arn(resource):
    with refuses(f"{resource!r} is no ARN", at="Statement", fix="by its ARN"):
        Statement(actions=["s3:PutObject"], resources=["arn:aws:s3:::shop/a", resource], wildcard_reason="a test")


def test_findings_name_resources_as_cdk_nag_does():
    stack = a_stack()
    bucket = s3.Bucket(stack, "Bucket")
    logical_id = stack.get_logical_id(bucket.node.default_child)  # type: ignore[arg-type]
    assert flat(stack, f"{bucket.bucket_arn}/*") == f"<{logical_id}.Arn>/*"
    assert flat(stack, bucket.bucket_name) == f"<{logical_id}>"
    assert flat(stack, arn("sns", "x")) == "arn:<AWS::Partition>:sns:<AWS::Region>:<AWS::AccountId>:x"


def test_a_resource_of_another_stack_by_its_export_is_let_through():
    statement = Statement(
        actions=["s3:GetObject"],
        resources=[f"{Fn.import_value('SharedBucketArn')}/*"],
        wildcard_reason="every file in the shared bucket is public anyway",
    )
    stack = a_stack()
    ServiceRole(stack, service="codebuild.amazonaws.com", statements=[statement])
    (join,) = only(synthesized(stack), "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"][0]["Resource"]
    assert join == {"Fn::Join": ["", [{"Fn::ImportValue": "SharedBucketArn"}, "/*"]]}


def test_fails_when_a_statement_is_of_aws_cdk_libs_kind():
    stack = a_stack()
    given = iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"])
    with refuses("a PolicyStatement in it", at="Shop", fix="write Statement(actions="):
        Permissions(stack, "Policy").add([given])  # type: ignore[list-item]
