"""What one endpoint tells apart by account and region, and what it does not."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.templates import pipeline, project, resource, role

OTHER_ACCOUNT = "222222222222"
OTHER_REGION = "eu-west-1"
ELSEWHERE = {"account": OTHER_ACCOUNT, "region": OTHER_REGION}
ALLOWS = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}
# Everything but where the resources of the tests are.
NOT_THERE: tuple[dict[str, str], ...] = ({}, {"account": OTHER_ACCOUNT}, {"region": OTHER_REGION})


def test_services_of_the_code_family_are_told_apart_by_account_and_region(endpoint, stack_in, name):
    status = stack_in(**ELSEWHERE).create(
        Application=resource("AWS::CodeDeploy::Application", ApplicationName=name),
        Connection=resource("AWS::CodeConnections::Connection", ConnectionName=name, ProviderType="GitHub"),
        Project=project(Name=name),
        Pipeline=pipeline(Name=name),
    )
    assert status == "CREATE_COMPLETE"

    def found(**place):
        def client(service):
            return endpoint.client(service, **place)

        return (
            name in client("codedeploy").list_applications()["applications"],
            name in [item["ConnectionName"] for item in client("codeconnections").list_connections()["Connections"]],
            name in client("codebuild").list_projects()["projects"],
            name in [item["name"] for item in client("codepipeline").list_pipelines()["pipelines"]],
        )

    assert found(**ELSEWHERE) == (True,) * 4
    assert [found(**place) for place in NOT_THERE] == [(False,) * 4] * 3


def test_a_name_of_iam_is_taken_in_all_regions_of_an_account(endpoint, stack_in, name):
    named = {
        "Role": role(RoleName=name),
        "Policy": resource("AWS::IAM::ManagedPolicy", ManagedPolicyName=name, PolicyDocument=ALLOWS),
    }
    assert stack_in(**ELSEWHERE).create(**named) == "CREATE_COMPLETE"
    found = endpoint.client("iam", account=OTHER_ACCOUNT).get_role(RoleName=name)["Role"]
    assert found["Arn"] == f"arn:aws:iam::{OTHER_ACCOUNT}:role/{name}"
    for one in named.values():
        taken = stack_in(account=OTHER_ACCOUNT)
        assert taken.create(One=one) == "ROLLBACK_COMPLETE"
        assert f"Resource of type '{one['Type']}' with identifier '{name}' already exists." in taken.reason()
        taken.delete()
    assert endpoint.client("iam", **ELSEWHERE).get_role(RoleName=name)["Role"] == found
    assert stack_in().create(**named) == "CREATE_COMPLETE"


def test_stacks_of_one_name_generate_names_of_their_own(stack_in):
    stacks = [stack_in(), *(stack_in(**place) for place in (ELSEWHERE, *NOT_THERE[1:]))]
    for stack in stacks:
        assert stack.create(Role=role(), Bucket=resource("AWS::S3::Bucket")) == "CREATE_COMPLETE"
    for logical_id in ("Role", "Bucket"):
        assert len({stack.id_of(logical_id) for stack in stacks}) == len(stacks)


def test_a_bucket_has_its_name_for_all_accounts_and_is_in_one_region(endpoint, stack_in, name):
    bucket = resource("AWS::S3::Bucket", BucketName=name)
    assert stack_in(**ELSEWHERE).create(Bucket=bucket) == "CREATE_COMPLETE"
    owner = endpoint.client("s3", account=OTHER_ACCOUNT)
    assert stack_in().create(Bucket=bucket) == "ROLLBACK_COMPLETE"
    assert owner.get_bucket_location(Bucket=name)["LocationConstraint"] == OTHER_REGION


def test_a_key_is_in_one_account_and_region(endpoint):
    key = endpoint.client("kms", **ELSEWHERE).create_key()["KeyMetadata"]["Arn"]
    assert key.startswith(f"arn:aws:kms:{OTHER_REGION}:{OTHER_ACCOUNT}:key/")
    for place in NOT_THERE:
        with pytest.raises(ClientError, match="NotFoundException"):
            endpoint.client("kms", **place).describe_key(KeyId=key)


def test_credentials_of_an_assumed_role_are_for_its_account(endpoint, name):
    """A role of another account; what is made with its credentials is there, in the region that they are used in."""
    role_arn = f"arn:aws:iam::{OTHER_ACCOUNT}:role/{name}"
    got = endpoint.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="deploying")["Credentials"]
    assumed = boto3.client(
        "codedeploy",
        endpoint_url=endpoint.url,
        region_name=OTHER_REGION,
        aws_access_key_id=got["AccessKeyId"],
        aws_secret_access_key=got["SecretAccessKey"],
        aws_session_token=got["SessionToken"],
    )
    assumed.create_application(applicationName=name)
    assumed.close()
    there = endpoint.client("codedeploy", **ELSEWHERE)
    assert name in there.list_applications()["applications"]
    there.delete_application(applicationName=name)


@pytest.fixture
def opened(endpoint, name):
    """A bucket of another account, whose location the endpoint's own account may ask for."""
    owner = endpoint.client("s3", account=OTHER_ACCOUNT)
    owner.create_bucket(Bucket=name)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{endpoint.account}:root"},
        "Action": "s3:GetBucketLocation",
        "Resource": f"arn:aws:s3:::{name}",
    }
    owner.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    yield name
    owner.delete_bucket(Bucket=name)


def with_store(bucket, **properties):
    store = {"Region": "us-east-1", "ArtifactStore": {"Type": "S3", "Location": bucket}}
    declared = pipeline(ArtifactStores=[store], **properties)
    del declared["Properties"]["ArtifactStore"]
    return declared


def test_a_bucket_of_another_account_does_not_take_whoever_uses_it_there(endpoint, stack, opened, name):
    assert stack.create(Pipeline=with_store(opened, Name=name)) == "CREATE_COMPLETE"
    endpoint.client("codepipeline").get_pipeline(name=name)
    with pytest.raises(ClientError, match="PipelineNotFoundException"):
        endpoint.client("codepipeline", account=OTHER_ACCOUNT).get_pipeline(name=name)


def test_a_service_asks_for_buckets_as_the_account_that_it_works_for(stack_in, opened):
    """Each account in turn, since what asks is kept for the next time."""
    assert stack_in(account=OTHER_ACCOUNT).create(Pipeline=with_store(opened)) == "CREATE_COMPLETE"
    third = stack_in(account="333333333333")
    assert third.create(Pipeline=with_store(opened)) == "ROLLBACK_COMPLETE"
    assert "Access Denied" in third.reason()
