"""Empties a bucket when its stack is deleted."""

import json
import urllib.request
from typing import Any

import boto3

TIME_TO_ANSWER_MS = 15_000
# CloudFormation takes 4096 bytes; an ASCII character is up to six.
LONGEST_REASON = 500


class KeptError(Exception):
    """The bucket left the stack: its policy lets nobody in."""


def handler(event: dict[str, Any], context: Any) -> None:
    # A changed bucket name is a new resource: CloudFormation then deletes the old one and sends its properties. Its
    # physical id would not do: CloudFormation makes one up for a creation that was never answered.
    bucket = event["ResourceProperties"]["BucketName"]
    deleting = event["RequestType"] == "Delete"
    physical_id = event["PhysicalResourceId"] if deleting else bucket
    status, reason = "SUCCESS", "nothing to do"
    try:
        if deleting:
            reason = empty(bucket, context)
    except Exception as error:
        status, reason = "FAILED", f"could not empty bucket {bucket}: {error}"
    print(status, reason)
    answer(event, status, reason, physical_id)


def empty(bucket: str, context: Any) -> str:
    s3 = boto3.client("s3")
    deleted = 0
    try:
        refuse_writes(s3, bucket, context)
        # First, so that one that is completed meanwhile is among the versions.
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                check_time(context, deleted)
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            if found:
                check_time(context, deleted)
                keys = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]
                failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if failed:
                    raise RuntimeError(f"{len(failed)} objects refused, the first: {failed[0]}")
                deleted += len(keys)
    except s3.exceptions.NoSuchBucket:
        return "there is no such bucket"
    except KeptError:
        return "kept: its policy does not let this function in"
    return f"{deleted} objects deleted"


def check_time(context: Any, deleted: int) -> None:
    if context.get_remaining_time_in_millis() < TIME_TO_ANSWER_MS:
        raise RuntimeError(f"{deleted} objects deleted, more are left; delete the stack again to go on")


def refuse_writes(s3: Any, bucket: str, context: Any) -> None:
    # Access logs arrive hours late: without this a straggler lands between the emptying and the deletion.
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "AccessDenied":
            raise KeptError from error
        raise
    partition = context.invoked_function_arn.split(":")[1]
    closed = {
        "Sid": "ClosedForDeletion",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:{partition}:s3:::{bucket}/*",
    }
    kept = [s for s in policy["Statement"] if s.get("Sid") != closed["Sid"]]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**policy, "Statement": [*kept, closed]}))


def answer(event: dict[str, Any], status: str, reason: str, physical_id: str) -> None:
    body = {
        "Status": status,
        "Reason": reason.encode("ascii", "replace").decode()[:LONGEST_REASON],
        "PhysicalResourceId": physical_id,
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # S3's presigned URL was signed without a content type.
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
