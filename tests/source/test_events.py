"""Events: each source has a rule and a role of its own, and a role is for rules of this account alone."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3

from code_family_constructs import Source
from code_family_constructs.source.events import check_here, start_pipeline
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import allowed, of_type, refuses
from tests.source.pipelines import a_source_context

SOURCES = {"Code": "code.zip", "Data": "data.zip"}


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    for name, key in SOURCES.items():
        source = Source.s3(s3.Bucket.from_bucket_name(stack, f"{name}Drop", "drop"), key)
        context = a_source_context(stack, source, action_name=name)
        start_pipeline(context, {"source": ["aws.s3"], "detail": {"object": {"key": [key]}}})
    return synthesized(stack)


def test_several_sources_of_a_pipeline_have_a_rule_each(template):
    rules = of_type(template, "AWS::Events::Rule")
    assert {name.removesuffix(name[-8:]): rule["EventPattern"]["detail"]["object"] for name, rule in rules.items()} == {
        "CodeChangeRule": {"key": ["code.zip"]},
        "DataChangeRule": {"key": ["data.zip"]},
    }
    assert {rule["Description"] for rule in rules.values()} == {"Changes that start pipeline Shop-Pipeline"}


def test_a_rule_starts_the_pipeline_by_a_role_of_its_own(template):
    roles = {text_of(rule["Targets"][0]["RoleArn"]) for rule in of_type(template, "AWS::Events::Rule").values()}
    assert roles == {f"<{name}.Arn>" for name in of_type(template, "AWS::IAM::Role")}
    pipeline = "arn:<AWS::Partition>:codepipeline:<AWS::Region>:<AWS::AccountId>:Shop-Pipeline"
    for name in SOURCES:
        assert allowed(template, f"{name}Change") == {f"codepipeline:StartPipelineExecution on {pipeline}"}


def test_only_rules_of_this_account_may_use_the_role(template):
    for role in of_type(template, "AWS::IAM::Role").values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert text_of(statement["Condition"]["ArnLike"]["aws:SourceArn"]) == (
            "arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:rule/*"
        )


def test_a_place_that_is_not_known_is_let_through():
    here, anywhere = Stack(App(), "Shop", env={"region": "eu-west-1"}), Stack(App(), "Images")
    check_here(anywhere, ecr.Repository.from_repository_name(here, "Images", "shop"), "repository 'shop'")
    check_here(here, ecr.Repository.from_repository_name(anywhere, "Images", "shop"), "repository 'shop'")


def test_fails_when_the_place_is_another_one():
    here, there = (Stack(App(), "Shop", env={"region": region}) for region in ("eu-west-1", "us-east-1"))
    with refuses("repository 'shop' is in region us-east-1, and the pipeline in eu-west-1", at="Shop", fix="us-east-1"):
        check_here(here, ecr.Repository.from_repository_name(there, "Images", "shop"), "repository 'shop'")


def test_in_another_account_it_is_the_pipeline_that_moves_since_it_can_deploy_elsewhere():
    here, there = (Stack(App(), "Shop", env={"account": account * 12}) for account in "12")
    with refuses("'shop' is in account 222222222222", at="Shop", fix="from there it can deploy to other accounts"):
        check_here(here, ecr.Repository.from_repository_name(there, "Images", "shop"), "repository 'shop'")
