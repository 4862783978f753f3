import pytest
from botocore.exceptions import ClientError

from tests.local.templates import ref, resource

EVERYTHING = {
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": [
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:::key/k"},
            }
        ]
    },
    "LifecycleConfiguration": {
        "Rules": [
            {
                "Id": "old",
                "Status": "Enabled",
                "Prefix": "logs/",
                "ExpirationInDays": 30,
                "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 10}],
            }
        ]
    },
    "LoggingConfiguration": {"DestinationBucketName": ref("Logs"), "LogFilePrefix": "access/"},
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": True},
    "VersioningConfiguration": {"Status": "Enabled"},
    "Tags": [{"Key": "team", "Value": "a"}],
}


def test_every_property_can_be_read_back(aws, stack):
    assert (
        stack.create(Logs=resource("AWS::S3::Bucket"), Bucket=resource("AWS::S3::Bucket", **EVERYTHING))
        == "CREATE_COMPLETE"
    )
    s3, bucket = aws("s3"), {"Bucket": stack.id_of("Bucket")}
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "arn:aws:kms:::key/k"
    [rule] = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert rule["ID"] == "old"
    assert rule["Expiration"] == {"Days": 30}
    assert rule["Filter"] == {"Prefix": "logs/"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rule["Transitions"] == [{"StorageClass": "GLACIER", "Days": 10}]
    logging = s3.get_bucket_logging(**bucket)["LoggingEnabled"]
    assert (logging["TargetBucket"], logging["TargetPrefix"]) == (stack.id_of("Logs"), "access/")
    [rule] = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert {"Key": "team", "Value": "a"} in s3.get_bucket_tagging(**bucket)["TagSet"]


def test_what_leaves_the_template_leaves_the_bucket(aws, stack):
    stack.create(Logs=resource("AWS::S3::Bucket"), Bucket=resource("AWS::S3::Bucket", **EVERYTHING))
    bucket = stack.id_of("Bucket")
    assert stack.update(Logs=resource("AWS::S3::Bucket"), Bucket=resource("AWS::S3::Bucket")) == "UPDATE_COMPLETE"
    assert stack.id_of("Bucket") == bucket
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        aws("s3").get_bucket_lifecycle_configuration(Bucket=bucket)
    assert "LoggingEnabled" not in aws("s3").get_bucket_logging(Bucket=bucket)
    assert aws("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"


def test_a_property_that_is_not_modelled_is_refused_by_name(aws, stack, name):
    bucket = resource("AWS::S3::Bucket", BucketName=name, InventoryConfigurations=[])
    assert stack.create(Bucket=bucket) == "ROLLBACK_COMPLETE"
    assert "does not model InventoryConfigurations" in stack.reason()
    assert name not in [item["Name"] for item in aws("s3").list_buckets()["Buckets"]]


def test_a_bucket_that_could_not_be_set_up_is_not_left_behind(aws, stack, name):
    bucket = resource("AWS::S3::Bucket", BucketName=name, OwnershipControls={"Rules": [{"Owner": "me"}]})
    assert stack.create(Bucket=bucket) == "ROLLBACK_COMPLETE"
    assert "extraneous key [Owner] is not permitted" in stack.reason()
    assert name not in [item["Name"] for item in aws("s3").list_buckets()["Buckets"]]


def test_an_upload_with_aws_kms_and_no_key_uses_the_key_of_s3(aws, stack):
    stack.create(Bucket=resource("AWS::S3::Bucket"))
    bucket = {"Bucket": stack.id_of("Bucket"), "Key": "k"}
    answer = aws("s3").put_object(**bucket, Body=b"x", ServerSideEncryption="aws:kms")
    assert answer["SSEKMSKeyId"].endswith("alias/aws/s3")
    aws("s3").delete_object(**bucket)
