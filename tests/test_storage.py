"""Buckets: private and encrypted whatever the arguments, open to the services that log, gone when they should be."""

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from code_family_constructs.storage import LogBucket, encrypted_bucket, end_of_life
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses


@pytest.fixture(scope="module")
def templates():
    app = App()
    kept = Stack(app, "Kept")
    logs = LogBucket(kept, "Logs")
    data = encrypted_bucket(kept, "Data", key=kms.Key(kept, "Key"), removal_policy=RemovalPolicy.RETAIN, rules=[])
    logs.accept_server_access_logs(data, "data/")
    logs.accept_load_balancer_logs("alb")
    logs.accept_flow_logs("vpc")
    gone = Stack(app, "Gone")
    gone_logs = LogBucket(gone, "Logs", removal_policy=RemovalPolicy.DESTROY)
    gone_data = encrypted_bucket(gone, "Data", key=kms.Key(gone, "Key"), removal_policy=RemovalPolicy.DESTROY, rules=[])
    gone_logs.accept_server_access_logs(gone_data, "data/")
    end_of_life(gone_data, RemovalPolicy.DESTROY)
    return {stack.stack_name: synthesized(stack) for stack in (kept, gone)}


@pytest.fixture(scope="module")
def kept(templates):
    return templates["Kept"]


@pytest.fixture(scope="module")
def gone(templates):
    return templates["Gone"]


def policy_of(template, bucket):
    (statements,) = [
        policy["PolicyDocument"]["Statement"]
        for policy in of_type(template, "AWS::S3::BucketPolicy").values()
        if policy["Bucket"]["Ref"].startswith(bucket)
    ]
    return statements


def deliveries(template):
    """Service → what it may do to the bucket of logs."""
    return {
        (statement["Principal"]["Service"], statement["Action"]): statement
        for statement in policy_of(template, "Logs")
        if statement["Effect"] == "Allow" and "Service" in statement["Principal"]
    }


def test_no_bucket_can_be_made_public(kept):
    for bucket in of_type(kept, "AWS::S3::Bucket").values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("bucket", ["Logs", "Data"])
def test_buckets_refuse_plain_http_and_old_tls(kept, bucket):
    refused = [statement["Condition"] for statement in policy_of(kept, bucket) if statement["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in refused
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in refused


def test_an_overwritten_object_can_be_had_back(kept):
    for bucket in of_type(kept, "AWS::S3::Bucket").values():
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_data_is_encrypted_with_the_key_of_the_owner_at_one_request_for_many_objects(kept):
    (data,) = [bucket for name, bucket in of_type(kept, "AWS::S3::Bucket").items() if name.startswith("Data")]
    (rule,) = data["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert text_of(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]).startswith("<Key")


def test_logs_are_encrypted_in_the_only_way_that_services_can_deliver_to(kept):
    (logs,) = [bucket for name, bucket in of_type(kept, "AWS::S3::Bucket").items() if name.startswith("Logs")]
    (rule,) = logs["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_logs_are_not_kept_for_ever(kept):
    (logs,) = [bucket for name, bucket in of_type(kept, "AWS::S3::Bucket").items() if name.startswith("Logs")]
    (rule,) = logs["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == 90
    assert {"NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"} <= set(rule)


def test_server_access_logs_arrive_below_their_prefix_from_this_account_only(kept):
    (data,) = [bucket for name, bucket in of_type(kept, "AWS::S3::Bucket").items() if name.startswith("Data")]
    assert data["LoggingConfiguration"]["LogFilePrefix"] == "data/"
    delivery = deliveries(kept)["logging.s3.amazonaws.com", "s3:PutObject"]
    assert text_of(delivery["Resource"]).endswith(".Arn>/data/*")
    assert delivery["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_load_balancers_deliver_to_this_accounts_folder_only(kept):
    delivery = deliveries(kept)["logdelivery.elasticloadbalancing.amazonaws.com", "s3:PutObject"]
    assert text_of(delivery["Resource"]).endswith(".Arn>/alb/AWSLogs/<AWS::AccountId>/*")
    assert text_of(delivery["Condition"]["ArnLike"]["aws:SourceArn"]) == (
        "arn:<AWS::Partition>:elasticloadbalancing:<AWS::Region>:<AWS::AccountId>:loadbalancer/*"
    )


def test_flow_logs_arrive_in_a_way_that_the_owner_can_read(kept):
    put = deliveries(kept)["delivery.logs.amazonaws.com", "s3:PutObject"]
    assert text_of(put["Resource"]).endswith(".Arn>/vpc/AWSLogs/<AWS::AccountId>/*")
    assert put["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"},
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    # The delivery service looks at the ACL before it writes, without sending one itself.
    look = deliveries(kept)["delivery.logs.amazonaws.com", "s3:GetBucketAcl"]
    assert look["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert look["Condition"]["ArnLike"] == put["Condition"]["ArnLike"]


def test_retained_buckets_stay_and_cost_no_function(kept):
    ends = {r["DeletionPolicy"] for r in kept["Resources"].values() if r["Type"] == "AWS::S3::Bucket"}
    assert ends == {"Retain"}
    assert of_type(kept, "AWS::Lambda::Function") == {}


def test_one_function_empties_all_buckets_that_go_with_the_stack(gone):
    buckets = {name: r["DeletionPolicy"] for name, r in gone["Resources"].items() if r["Type"] == "AWS::S3::Bucket"}
    assert set(buckets.values()) == {"Delete"}
    (function,) = of_type(gone, "AWS::Lambda::Function")
    emptied = of_type(gone, "Custom::EmptyBucket").values()
    assert {text_of(e["ServiceToken"]) for e in emptied} == {f"<{function}.Arn>"}
    assert {e["BucketName"]["Ref"] for e in emptied} == set(buckets)


def test_only_a_bucket_that_goes_with_the_stack_lets_the_emptying_function_in(kept, gone):
    """Without the statement in the bucket's policy, the function that empties others cannot touch a bucket."""
    (role,) = [name for name in of_type(gone, "AWS::IAM::Role") if name.startswith("BucketEmptier")]
    for bucket in of_type(gone, "AWS::S3::Bucket"):
        deleting = [
            (statement["Principal"], text_of(statement["Resource"]))
            for statement in policy_of(gone, bucket)
            if "s3:DeleteObject" in statement["Action"]
        ]
        assert deleting == [({"AWS": {"Fn::GetAtt": [role, "Arn"]}}, f"<{bucket}.Arn>/*")]
    assert {line for line in allowed(gone, "BucketEmptier") if line.startswith("s3:")} == set()
    for bucket in of_type(kept, "AWS::S3::Bucket"):
        assert not any("s3:DeleteObject" in statement["Action"] for statement in policy_of(kept, bucket))


def test_bucket_policy_outlives_the_emptying_that_closes_the_bucket(gone):
    policies = {policy["Bucket"]["Ref"]: name for name, policy in of_type(gone, "AWS::S3::BucketPolicy").items()}
    for resource in gone["Resources"].values():
        if resource["Type"] == "Custom::EmptyBucket":
            assert policies[resource["Properties"]["BucketName"]["Ref"]] in resource["DependsOn"]


def test_emptying_function_runs_the_handler_that_is_in_the_package(gone):
    function = only(gone, "AWS::Lambda::Function")
    assert function["Handler"] == "index.handler"
    assert "def handler(event" in function["Code"]["ZipFile"]
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-lambda-function-code.html
    assert len(function["Code"]["ZipFile"].encode()) < 4 * 1024 * 1024


@pytest.mark.parametrize("policy", [RemovalPolicy.SNAPSHOT, RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE])
def test_fails_when_the_removal_policy_means_nothing_to_a_bucket(policy):
    with refuses(policy.name, at="Shop/Logs", fix="use RemovalPolicy.RETAIN or DESTROY"):
        LogBucket(a_stack(), "Logs", removal_policy=policy)


def test_a_bucket_that_is_kept_has_no_end_of_life():
    assert end_of_life(s3.Bucket(a_stack(), "Bucket"), RemovalPolicy.RETAIN) is None
