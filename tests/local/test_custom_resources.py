import textwrap
import time

import pytest

from tests.local.templates import get, ref, resource, role

EMPTY_BUCKET = """
    import json, urllib.request
    import boto3


    def handler(event, context):
        status, reason = "SUCCESS", event["RequestType"]
        bucket = event["ResourceProperties"]["BucketName"]
        s3 = boto3.client("s3")
        if event["RequestType"] == "Delete":
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
                    s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
            for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
                for upload in page.get("Uploads", []):
                    s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        else:
            s3.put_object(Bucket=bucket, Key="event", Body=event["RequestType"].encode())
            if event["ResourceProperties"].get("Fail") == "true":
                status, reason = "FAILED", "as the template wished"
        body = {"Status": status, "Reason": reason, "PhysicalResourceId": bucket}
        body["Data"] = {"Type": event["RequestType"]}
        body.update({key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")})
        request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request).read()
"""
SILENT = "def handler(event, context): pass"
RAISING = "def handler(event, context): raise ValueError('not today')"
BROKEN = "def handler(event, context) return"


def function(code, runtime="python3.13"):
    return resource(
        "AWS::Lambda::Function",
        Runtime=runtime,
        Handler="index.handler",
        Role=get("Role", "Arn"),
        Code={"ZipFile": textwrap.dedent(code)},
        Timeout=30,
    )


def custom(**properties):
    return resource("Custom::Thing", ServiceToken=get("Function", "Arn"), **properties)


def versioned():
    return resource("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled"})


@pytest.mark.parametrize("runtime", ["python3.13", "python3.14"])
def test_a_python_function_runs_at_create_update_and_delete(aws, stack, runtime):
    common = {"Role": role(), "Function": function(EMPTY_BUCKET, runtime), "Bucket": versioned()}
    said = resource("AWS::SSM::Parameter", Type="String", Value=get("Thing", "Type"))
    assert stack.create(**common, Thing=custom(BucketName=ref("Bucket")), Said=said) == "CREATE_COMPLETE"
    bucket = {"Bucket": stack.id_of("Bucket"), "Key": "event"}
    assert aws("s3").get_object(**bucket)["Body"].read() == b"Create"
    assert stack.update(**common, Thing=custom(BucketName=ref("Bucket"), Changed=1), Said=said) == "UPDATE_COMPLETE"
    assert aws("s3").get_object(**bucket)["Body"].read() == b"Update"
    assert aws("ssm").get_parameter(Name=stack.id_of("Said"))["Parameter"]["Value"] == "Update"
    aws("s3").delete_object(**bucket)
    aws("s3").create_multipart_upload(**bucket)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_failure_surfaces_with_its_reason_and_rolls_back(stack):
    common = {"Role": role(), "Function": function(EMPTY_BUCKET), "Bucket": versioned()}
    assert stack.create(**common, Thing=custom(BucketName=ref("Bucket"), Fail=True)) == "ROLLBACK_COMPLETE"
    assert "as the template wished" in stack.reason()


@pytest.mark.parametrize(
    ("code", "runtime", "reason"),
    [
        (SILENT, "python3.13", "returned without an answer to its ResponseURL"),
        (RAISING, "python3.13", "not today"),
        (BROKEN, "python3.13", "failed before it answered"),
        (
            "exports.handler = async () => {}",
            "nodejs22.x",
            "runs custom resources in Python only: the function of Custom::Thing",
        ),
    ],
)
def test_a_function_that_cannot_answer_fails_at_once(stack, code, runtime, reason):
    began = time.monotonic()
    assert stack.create(Role=role(), Function=function(code, runtime), Thing=custom()).startswith("ROLLBACK_")
    assert reason in stack.reason()
    assert time.monotonic() - began < 10
