"""The bucket for what builds keep: encrypted, logged, and forgetful."""

import pytest
from aws_cdk import App, CfnParameter, Duration, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms

from code_family_constructs.build.bucket import BuildBucket
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, of_type, only, refuses


@pytest.fixture(scope="module")
def templates():
    app = App()
    kept = Stack(app, "Kept")
    BuildBucket(kept, "Store", expires_after=Duration.days(14))
    gone = Stack(app, "Gone")
    BuildBucket(
        gone, "Store", expires_after=Duration.days(14), key=kms.Key(gone, "Key"), removal_policy=RemovalPolicy.DESTROY
    )
    return {stack.stack_name: synthesized(stack) for stack in (kept, gone)}


def bucket(template):
    [found] = [one for name, one in of_type(template, "AWS::S3::Bucket").items() if name.startswith("StoreBucket")]
    return found


def test_what_builds_keep_is_encrypted_with_a_rotated_key_of_its_own(templates):
    assert only(templates["Kept"], "AWS::KMS::Key")["EnableKeyRotation"] is True
    [rule] = bucket(templates["Kept"])["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_it_is_forgotten(templates):
    [rule] = bucket(templates["Kept"])["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["NoncurrentVersionExpiration"]) == (14, {"NoncurrentDays": 1})


def test_access_to_it_is_logged(templates):
    assert bucket(templates["Kept"])["LoggingConfiguration"]["LogFilePrefix"] == "builds/"


def test_it_stays_unless_asked(templates):
    policies = {
        name: {one["DeletionPolicy"] for one in template["Resources"].values() if one["Type"] == "AWS::S3::Bucket"}
        for name, template in templates.items()
    }
    assert policies == {"Kept": {"Retain"}, "Gone": {"Delete"}}
    assert len(of_type(templates["Gone"], "Custom::EmptyBucket")) == 2


def test_a_key_can_be_shared(templates):
    assert list(of_type(templates["Gone"], "AWS::KMS::Key")) == ["Key961B73FD"]


@pytest.mark.parametrize(("duration", "typed"), [(Duration.hours(12), "0.5"), (Duration.hours(36), "1.5")])
def test_fails_when_s3_has_no_such_expiry(duration, typed):
    with refuses(f"expires_after={typed} days", at="Shop/Store", fix="whole days"):
        BuildBucket(a_stack(), "Store", expires_after=duration)


def test_fails_when_a_bucket_cannot_end_so():
    with refuses("SNAPSHOT", at="Shop/Store", fix="RETAIN or DESTROY"):
        BuildBucket(a_stack(), "Store", expires_after=Duration.days(1), removal_policy=RemovalPolicy.SNAPSHOT)


def test_parameters_are_let_through():
    stack = a_stack()
    days = Duration.days(CfnParameter(stack, "Days", type="Number").value_as_number)
    BuildBucket(stack, "Store", expires_after=days)
