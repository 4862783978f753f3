"""Empties a bucket when its stack is deleted."""

import json
import urllib.request
from typing import Any

import boto3

TIME_TO_ANSWER_MS = 15_000


def handler(event: dict[str, Any], context: Any) -> None:
    bucket = event["ResourceProperties"]["BucketName"]
    # A changed bucket name is a new resource: CloudFormation then deletes the old one by its physical id.
    deleting = event["RequestType"] == "Delete"
    physical_id = event["PhysicalResourceId"] if deleting else bucket
    status, reason = "SUCCESS", "nothing to do"
    try:
        if deleting:
            reason = f"{empty(physical_id, context)} objects deleted"
    except Exception as error:
        status, reason = "FAILED", f"could not empty bucket {physical_id}: {error}"
    print(status, reason)
    answer(event, status, reason, physical_id)


def empty(bucket: str, context: Any) -> int:
    s3 = boto3.client("s3")
    deleted = 0
    try:
        refuse_writes(s3, bucket)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            if found:
                keys = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]
                failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if failed:
                    raise RuntimeError(f"{len(failed)} objects refused, the first: {failed[0]}")
                deleted += len(keys)
            if context.get_remaining_time_in_millis() < TIME_TO_ANSWER_MS:
                raise RuntimeError(f"{deleted} objects deleted, more are left; delete the stack again to go on")
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except s3.exceptions.NoSuchBucket:
        print("no such bucket:", bucket)
    return deleted


def refuse_writes(s3: Any, bucket: str) -> None:
    # Access logs arrive hours late: without this a straggler lands between the emptying and the deletion.
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    bucket_arn = next(r for s in policy["Statement"] for r in listed(s["Resource"]) if not r.endswith("*"))
    closed = {
        "Sid": "ClosedForDeletion",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
    }
    kept = [s for s in policy["Statement"] if s.get("Sid") != closed["Sid"]]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**policy, "Statement": [*kept, closed]}))


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def answer(event: dict[str, Any], status: str, reason: str, physical_id: str) -> None:
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": physical_id,
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # S3's presigned URL was signed without a content type.
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
