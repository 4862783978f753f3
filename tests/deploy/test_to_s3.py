"""Files in a bucket, and a website that CloudFront hands out: what is refused, and what is done in other accounts."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Environment, Stack
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from code_family_constructs.deploy.to_s3 import S3Deployment, WebsiteDeployment
from code_family_constructs.testing import synthesized
from tests.deploy.action_stage import a_pipeline, stage
from tests.helpers import a_context, a_stack, allowed, refuses

THEIR_ROLE = "arn:aws:iam::222222222222:role/release"


def a_bucket(stack, **settings):
    return s3.Bucket(stack, "Site", **settings)


def a_distribution(stack):
    return cloudfront.Distribution.from_distribution_attributes(
        stack, "Distribution", distribution_id="E1ABCDEF", domain_name="d1.cloudfront.net"
    )


@pytest.fixture(scope="module")
def stacks():
    app = App(analytics_reporting=False)
    here = Stack(app, "Here", env=Environment(account="111111111111", region="eu-west-1"))
    there = Stack(app, "There", env=Environment(account="222222222222", region="eu-west-1"))
    bucket = a_bucket(there, bucket_name="their-site", encryption_key=kms.Key(there, "Key"))
    website = WebsiteDeployment(there, "Website", bucket=bucket, distribution=a_distribution(there))
    key = kms.Key.from_key_arn(here, "Key", "arn:aws:kms:eu-west-1:111111111111:key/1")
    a_pipeline(
        here,
        {"Website": website},
        target=there,
        bucket=s3.Bucket.from_bucket_attributes(here, "Store", bucket_name="store", encryption_key=key),
        role=iam.Role.from_role_arn(here, "TheirRole", THEIR_ROLE, mutable=False),
    )
    return {stack.stack_name: synthesized(stack) for stack in (here, there)}


def test_a_website_in_another_account_is_named_in_text(stacks):
    upload, invalidate = stage(stacks["Here"], "Website")
    assert (upload["RoleArn"], invalidate["RoleArn"]) == (THEIR_ROLE, THEIR_ROLE)
    # The bucket encrypts by its own key, whose id nobody knows here.
    assert upload["Configuration"] == {"BucketName": "their-site", "Extract": "true"}
    assert invalidate["Configuration"]["FunctionName"].startswith("There-Website-Invalidator")


def test_the_role_over_there_may_encrypt_by_the_buckets_key(stacks):
    found = allowed(stacks["There"], "WebsitePermissions")
    assert {line.partition(" ")[0] for line in found if "<Key" in line} == {
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    }


@pytest.mark.parametrize(
    ("key", "objects"),
    [
        (None, "*"),
        ("site", "site/*"),
        ("site/", "site/*"),
        ("#{SourceVariables.BranchName}/site", "*/site/*"),
    ],
)
def test_files_go_to_their_folder_only(key, objects):
    deployment = S3Deployment(bucket=s3.Bucket.from_bucket_name(a_stack(), "Site", "site"), object_key=key)
    [put] = [each for each in deployment.stage_action(a_context()).permissions if "s3:PutObject" in each.actions]
    assert put.resources[0].endswith(f":::site/{objects}")


def test_a_bucket_with_acls_takes_them():
    stack = a_stack()
    bucket = a_bucket(
        stack,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
    )
    acl = s3.BucketAccessControl
    assert S3Deployment(bucket=bucket, access_control=acl.AUTHENTICATED_READ).access_control is acl.AUTHENTICATED_READ
    with refuses("PUBLIC_READ for bucket 'Shop/Site', which blocks public ACLs", at="S3Deployment", fix="CloudFront"):
        S3Deployment(bucket=bucket, access_control=acl.PUBLIC_READ)


def test_an_acl_for_a_bucket_that_takes_none_is_refused():
    bucket, acl = a_bucket(a_stack()), s3.BucketAccessControl
    with refuses("which takes no ACLs", at="S3Deployment", fix="BUCKET_OWNER_PREFERRED"):
        S3Deployment(bucket=bucket, access_control=acl.AUTHENTICATED_READ)
    assert S3Deployment(bucket=bucket, access_control=acl.BUCKET_OWNER_FULL_CONTROL)


def test_an_acl_of_buckets_is_refused():
    with refuses("access_control=LOG_DELIVERY_WRITE", at="S3Deployment", fix="PUBLIC_READ"):
        S3Deployment(bucket=a_bucket(a_stack()), access_control=s3.BucketAccessControl.LOG_DELIVERY_WRITE)


def test_one_object_without_a_key_is_refused():
    with refuses("without a key", at="S3Deployment", fix="give object_key="):
        S3Deployment(bucket=a_bucket(a_stack()), extract=False)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"object_key": "/site"}, "object_key='/site'"),
        ({"object_key": ""}, "object_key=''"),
        ({"object_key": "a//b"}, "object_key='a//b'"),
        ({"object_key": "site/", "extract": False}, "'site/' is a folder"),
        ({"object_key": "ä" * 513}, "object_key of 1026 bytes"),
        ({"object_key": "x" * 1001}, "object_key of 1001 characters"),
    ],
)
def test_a_key_that_s3_would_refuse_is_refused(settings, problem):
    with refuses(problem, at="S3Deployment", fix="use a shorter" if "of" in problem.split() else ": '"):
        S3Deployment(bucket=a_bucket(a_stack()), **settings)


def test_a_key_may_be_known_only_when_it_is_deployed():
    stack = a_stack()
    key = CfnParameter(stack, "Folder").value_as_string
    assert S3Deployment(bucket=a_bucket(stack), object_key=key).object_key == key


def test_one_directive_is_no_list():
    cache: Any = "no-cache"
    with refuses("cache_control='no-cache' is no list", at="S3Deployment", fix="write cache_control=["):
        S3Deployment(bucket=a_bucket(a_stack()), cache_control=cache)


def test_more_directives_than_codepipeline_takes_are_refused():
    long = [actions.CacheControl.from_string("x" * 1001)]
    with refuses("cache_control of 1001 characters", at="S3Deployment", fix="fewer directives"):
        S3Deployment(bucket=a_bucket(a_stack()), cache_control=long)


def test_a_bucket_over_there_needs_a_name():
    deployment = S3Deployment(bucket=a_bucket(a_stack()))
    with refuses("bucket 'Shop/Site' gets its name when it is deployed", at="S3Deployment", fix="a bucket_name="):
        deployment.stage_action(a_context(region="us-east-1"))


def test_a_key_over_there_is_the_buckets_own():
    stack = a_stack()
    bucket = a_bucket(stack, bucket_name="site")
    deployment = S3Deployment(bucket=bucket, encryption_key=kms.Key(stack, "Key"))
    with refuses("encryption_key 'Shop/Key' gets its id", at="S3Deployment", fix="the bucket's own key"):
        deployment.stage_action(a_context(region="us-east-1"))


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["index.html"], "paths: 'index.html'"),
        (["/*/a"], "paths: '/*/a'"),
        ([f"/{'x' * 4000}"], "paths: '/xxx"),
        ([], "no paths to forget"),
        ([f"/{number}/*" for number in range(16)], "16 paths with a wildcard"),
        ([f"/{number}" for number in range(3001)], "3001 paths"),
    ],
)
def test_paths_that_cloudfront_would_refuse_are_refused(paths, problem):
    stack = a_stack()
    with refuses(problem, at="Shop/Website", fix="*"):
        WebsiteDeployment(stack, "Website", bucket=a_bucket(stack), distribution=a_distribution(stack), paths=paths)


def test_more_paths_than_the_function_s_environment_holds_are_refused():
    stack = a_stack()
    paths = [f"/articles/{number:04}/index.html" for number in range(200)]
    with refuses("bytes of environment variables", at="Shop/Website", fix="write less"):
        WebsiteDeployment(stack, "Website", bucket=a_bucket(stack), distribution=a_distribution(stack), paths=paths)
