"""Repositories: a key of their own that goes and stays with them, and users who need nothing but the repository."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms

from code_family_constructs import BuildProject, ProjectSource
from code_family_constructs.source.repository import Repository
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, of_type, only, refuses

MADE = "AWS::CodeCommit::Repository"


@pytest.fixture(scope="module")
def repository():
    return Repository(Stack(App(), "Shop"), "Repository", description="The shop")


@pytest.fixture(scope="module")
def template(repository):
    return synthesized(Stack.of(repository))


def test_the_repository_is_encrypted_with_a_key_of_its_own_that_rotates(template):
    (key_id,) = of_type(template, "AWS::KMS::Key")
    assert only(template, "AWS::KMS::Key")["EnableKeyRotation"] is True
    assert text_of(only(template, MADE)["KmsKeyId"]) == f"<{key_id}.Arn>"


def test_whoever_may_use_the_repository_may_use_the_key_through_codecommit_alone(template):
    _, statement = only(template, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
    assert statement["Principal"] == {"AWS": "*"}
    assert {key: text_of(value) for key, value in statement["Condition"]["StringEquals"].items()} == {
        "kms:CallerAccount": "<AWS::AccountId>",
        "kms:ViaService": "codecommit.<AWS::Region>.<AWS::URLSuffix>",
    }
    assert {"kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"} <= set(statement["Action"])


def test_its_name_and_arn_are_known_at_synth(repository, template):
    assert repository.repository_name == "Shop-Repository"
    assert text_of(repository.repository_arn).endswith(":Shop-Repository")
    assert only(template, MADE)["RepositoryName"] == "Shop-Repository"
    assert only(template, MADE)["RepositoryDescription"] == "The shop"


@pytest.mark.parametrize(
    ("policy", "kept"), [(RemovalPolicy.RETAIN, "Retain"), (RemovalPolicy.DESTROY, "Delete"), (None, "Retain")]
)
def test_repository_and_key_stay_or_go_together(policy, kept):
    stack = a_stack()
    Repository(stack, "Repository", **({"removal_policy": policy} if policy else {}))
    resources = synthesized(stack)["Resources"].values()
    assert {resource["Type"]: resource["DeletionPolicy"] for resource in resources} == {
        "AWS::KMS::Key": kept,
        MADE: kept,
    }


def test_two_repositories_can_share_a_key():
    stack = a_stack()
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    first, second = (Repository(stack, id, key=key) for id in ("First", "Second"))
    assert first.key is second.key is key
    assert len(of_type(synthesized(stack), "AWS::KMS::Key")) == 1


def test_fails_when_users_could_not_be_let_into_the_policy_of_the_key():
    stack = a_stack()
    key: Any = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:111111111111:key/0a1b")
    with refuses("key 'Shop/Key' is not made in this app", at="Shop/Repository", fix="leave key= out"):
        Repository(stack, "Repository", key=key)


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [
        ("shop.git", "'shop.git' ends with '.git'", "write 'shop'"),
        ("my shop", "' '", "use 1 to 100 characters"),
        ("a" * 101, "101 characters", "use 1 to 100 characters"),
        ("", "is empty", "use 1 to 100 characters"),
    ],
)
def test_fails_when_codecommit_has_no_such_names(name, problem, fix):
    with refuses(problem, at="Shop/Repository", fix=fix):
        Repository(a_stack(), "Repository", repository_name=name)


def test_fails_when_the_description_is_too_long():
    with refuses("1001 characters", at="Shop/Repository", fix="1000 at most"):
        Repository(a_stack(), "Repository", description="a" * 1001)


def test_fails_when_the_removal_policy_is_none_that_it_has():
    with refuses("removal policy SNAPSHOT", at="Shop/Repository", fix="RETAIN or DESTROY"):
        Repository(a_stack(), "Repository", removal_policy=RemovalPolicy.SNAPSHOT)


def test_a_name_and_a_description_from_parameters_are_let_through():
    stack = a_stack()
    name, text = (CfnParameter(stack, what).value_as_string for what in ("Name", "Text"))
    Repository(stack, "Repository", repository_name=name, description=text)
    made = only(synthesized(stack), MADE)
    assert (made["RepositoryName"], made["RepositoryDescription"]) == ({"Ref": "Name"}, {"Ref": "Text"})


def test_fails_when_a_second_build_would_take_the_place_of_the_first():
    stack = a_stack()
    repository = Repository(stack, "Repository")
    source = ProjectSource.codecommit(repository.repository)
    repository.check_pull_requests(BuildProject(stack, "Test", source=source))
    with refuses("a second build", at="Shop/Repository", fix="add PullRequestChecks(self"):
        repository.check_pull_requests(BuildProject(stack, "Lint", source=source))
