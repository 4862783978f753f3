"""The function that empties buckets, run for real: botocore checks each call, an HTTP server takes the answers."""

import ast
import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import boto3
import pytest

from code_family_constructs.handlers import empty_bucket
from tests.handlers.doubles import Context, Refused, Service
from tests.policies import Simulation

SOURCE = Path(empty_bucket.__file__)
BUCKET = "release-artifacts-1a2b3c"
PLENTY = 900_000

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
DELIVERY = {
    "Effect": "Allow",
    "Principal": {"Service": "logging.s3.amazonaws.com"},
    "Action": "s3:PutObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/artifacts/*",
    "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
}


class Bucket:
    """What is in a bucket: versions and delete markers, newest first of each key, and unfinished uploads."""

    def __init__(self, *, versions=0, markers=0, uploads=0, statements=(TLS_ONLY, DELIVERY)):
        entries = [(f"f/{n:05}.zip", False) for n in range(versions)] + [
            (f"f/{n:05}.zip", True) for n in range(markers)
        ]
        self.versions = {}
        for key, marker in entries:
            self.add(key, marker=marker)
        self.uploads = {(f"u/{n:05}", f"upload{n:05}") for n in range(uploads)}
        self.policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}) if statements else ""
        self.locked = set()

    def add(self, key, *, marker=False):
        self.versions[key, f"v{len(self.versions):08}"] = marker

    @property
    def statements(self):
        return json.loads(self.policy)["Statement"]

    @property
    def empty(self):
        return not self.versions and not self.uploads


class S3(Service):
    def __init__(self):
        super().__init__("s3")
        self.buckets = {}

    def answer(self, operation, asked):
        if asked["Bucket"] not in self.buckets:
            raise Refused("NoSuchBucket", 404)
        return getattr(self, operation)(self.buckets[asked["Bucket"]], asked)

    def GetBucketPolicy(self, bucket, asked):  # noqa: N802
        if not bucket.policy:
            raise Refused("NoSuchBucketPolicy", 404)
        return {"Policy": bucket.policy}

    def PutBucketPolicy(self, bucket, asked):  # noqa: N802
        if len(asked["Policy"]) > 20 * 1024 or not json.loads(asked["Policy"])["Statement"]:
            raise Refused("MalformedPolicy", 400)
        bucket.policy = asked["Policy"]
        return {}

    def ListObjectVersions(self, bucket, asked):  # noqa: N802
        def position(key, version):
            return key, -int(version[1:])

        after = position(asked["KeyMarker"], asked["VersionIdMarker"]) if "KeyMarker" in asked else ("", -sys.maxsize)
        left = sorted((position(*entry), entry) for entry in bucket.versions if position(*entry) > after)
        page = [entry for _, entry in left[:1000]]
        answer = {
            "IsTruncated": len(left) > len(page),
            **{
                name: [
                    {"Key": encoded(key, asked), "VersionId": v} for key, v in page if bucket.versions[key, v] is kind
                ]
                for name, kind in (("Versions", False), ("DeleteMarkers", True))
            },
            **({"EncodingType": asked["EncodingType"]} if "EncodingType" in asked else {}),
        }
        if answer["IsTruncated"]:
            answer |= {"NextKeyMarker": encoded(page[-1][0], asked), "NextVersionIdMarker": page[-1][1]}
        # S3 leaves out what is empty.
        return {name: value for name, value in answer.items() if value != []}

    def DeleteObjects(self, bucket, asked):  # noqa: N802
        objects = asked["Delete"]["Objects"]
        if not 1 <= len(objects) <= 1000:
            raise Refused("MalformedXML", 400)
        errors = []
        for item in objects:
            if item["Key"] in bucket.locked:
                errors.append({"Key": item["Key"], "Code": "AccessDenied", "Message": "object lock"})
            else:
                bucket.versions.pop((item["Key"], item["VersionId"]), None)
        return {"Errors": errors} if errors else {}

    def ListMultipartUploads(self, bucket, asked):  # noqa: N802
        after = (asked.get("KeyMarker", ""), asked.get("UploadIdMarker", ""))
        left = sorted(upload for upload in bucket.uploads if upload > after)
        page = left[:1000]
        if not page:
            return {"IsTruncated": False}
        return {
            "IsTruncated": len(left) > len(page),
            "Uploads": [{"Key": key, "UploadId": upload} for key, upload in page],
            "NextKeyMarker": page[-1][0],
            "NextUploadIdMarker": page[-1][1],
        }

    def AbortMultipartUpload(self, bucket, asked):  # noqa: N802
        bucket.uploads.remove((asked["Key"], asked["UploadId"]))
        return {}


def encoded(key, asked):
    return quote(key) if asked.get("EncodingType") == "url" else key


@pytest.fixture
def s3(monkeypatch):
    fake = S3()

    def client(service):
        assert service == "s3"
        return fake.client

    monkeypatch.setattr(boto3, "client", client)
    return fake


@pytest.fixture
def send(s3, cloudformation):
    """Sends a request as CloudFormation does; returns the answer."""

    def send(request_type, *left, bucket=BUCKET, physical_id=BUCKET, partition="aws", **more):
        event = {
            "RequestType": request_type,
            "RequestId": "5e6f",
            "ResponseURL": cloudformation.url,
            "ResourceType": "Custom::EmptyBucket",
            "LogicalResourceId": "ArtifactsBucketEmpty",
            "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Release/1a2b",
            "ResourceProperties": {"ServiceToken": "arn:aws:lambda:…", "BucketName": bucket},
            **({} if request_type == "Create" else {"PhysicalResourceId": physical_id}),
            **more,
        }
        empty_bucket.handler(event, Context(*left, partition=partition))
        return cloudformation.answers[-1]

    return send


def test_answers_the_way_cloudformation_wants_it(send, cloudformation):
    send("Create")
    ((method, path, headers, body),) = cloudformation.requests
    assert method == "PUT"
    assert path == "/answer?X-Amz-Signature=a%2Fb&X-Amz-Expires=7200"
    # Part of what the URL is signed for: any other content type is a wrong signature.
    assert headers["Content-Type"] == ""
    assert json.loads(body) == {
        "Status": "SUCCESS",
        "Reason": "nothing to do",
        "PhysicalResourceId": BUCKET,
        "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Release/1a2b",
        "RequestId": "5e6f",
        "LogicalResourceId": "ArtifactsBucketEmpty",
    }


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_touches_nothing_before_it_is_deleted(s3, send, request_type):
    s3.buckets[BUCKET] = Bucket(versions=3)
    assert send(request_type)["Status"] == "SUCCESS"
    assert s3.calls == []


def test_another_bucket_is_another_resource_so_that_the_old_one_is_emptied_too(s3, send):
    s3.buckets = {"old": Bucket(versions=3), "new": Bucket(versions=3)}
    old_properties = {"OldResourceProperties": {"BucketName": "old"}}
    updated = send("Update", bucket="new", physical_id="old", **old_properties)
    assert (updated["Status"], updated["PhysicalResourceId"]) == ("SUCCESS", "new")
    cleaned = send("Delete", bucket="old", physical_id="old")
    assert (cleaned["Status"], cleaned["PhysicalResourceId"]) == ("SUCCESS", "old")
    assert s3.buckets["old"].empty
    assert len(s3.buckets["new"].versions) == 3


def test_deletes_versions_markers_and_uploads_page_by_page(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket(versions=1500, markers=1001, uploads=1002)
    assert send("Delete")["Reason"] == "2501 objects deleted"
    assert bucket.empty
    sizes = [len(asked["Delete"]["Objects"]) for name, asked in s3.calls if name == "DeleteObjects"]
    assert sizes == [1000, 1000, 501]
    assert s3.names().count("ListMultipartUploads") == 2


def test_deletes_keys_with_any_characters(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket()
    keys = ["a b+c%20.zip", "ünïcode/📦", 'quo"te&<x>', "line\nbreak", "/", " "]
    for key in keys:
        bucket.add(key)
    assert send("Delete")["Status"] == "SUCCESS"
    assert bucket.empty


def test_an_empty_bucket_is_no_error(s3, send):
    s3.buckets[BUCKET] = Bucket()
    assert send("Delete")["Reason"] == "0 objects deleted"
    assert "DeleteObjects" not in s3.names()


def test_a_bucket_that_is_gone_is_no_error(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=2)
    assert send("Delete")["Status"] == "SUCCESS"
    del s3.buckets[BUCKET]
    again = send("Delete")
    assert (again["Status"], again["PhysicalResourceId"]) == ("SUCCESS", BUCKET)


def test_a_bucket_that_goes_meanwhile_is_no_error(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=2)
    s3.refusals["DeleteObjects"] = [Refused("NoSuchBucket", 404)]
    assert send("Delete")["Status"] == "SUCCESS"


def test_a_creation_that_was_never_answered_is_rolled_back(s3, send):
    """CloudFormation then has a physical id that it made up itself."""
    s3.buckets[BUCKET] = Bucket(versions=2)
    rolled_back = send("Delete", physical_id="Release-ArtifactsBucketEmpty-1QZ2X")
    assert (rolled_back["Status"], rolled_back["PhysicalResourceId"]) == (
        "SUCCESS",
        "Release-ArtifactsBucketEmpty-1QZ2X",
    )
    assert s3.buckets[BUCKET].empty


def test_refused_objects_are_told(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket(versions=5)
    bucket.locked = {"f/00001.zip", "f/00003.zip"}
    told = send("Delete")
    assert told["Status"] == "FAILED"
    assert told["PhysicalResourceId"] == BUCKET
    assert told["Reason"].startswith(f"could not empty bucket {BUCKET}: 2 objects refused, the first: ")
    assert "f/00001.zip" in told["Reason"]
    assert "object lock" in told["Reason"]
    assert {key for key, _ in bucket.versions} == bucket.locked


@pytest.mark.parametrize(
    "operation",
    [
        "PutBucketPolicy",
        "ListMultipartUploads",
        "AbortMultipartUpload",
        "ListObjectVersions",
        "DeleteObjects",
    ],
)
def test_a_failure_midway_is_told_and_the_next_attempt_goes_on(s3, send, operation):
    bucket = s3.buckets[BUCKET] = Bucket(versions=2, uploads=2)
    s3.refusals[operation] = [Refused("AccessDenied", 403)]
    told = send("Delete")
    assert told["Status"] == "FAILED"
    assert told["Reason"].startswith(f"could not empty bucket {BUCKET}: An error occurred (AccessDenied)")
    assert operation in told["Reason"]
    assert send("Delete")["Status"] == "SUCCESS"
    assert bucket.empty


def test_when_time_runs_out_it_says_to_delete_the_stack_again(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket(versions=2500)
    told = send("Delete", PLENTY, 14_999)
    assert told["Status"] == "FAILED"
    assert told["Reason"].endswith("1000 objects deleted, more are left; delete the stack again to go on")
    assert len(bucket.versions) == 1500
    assert send("Delete")["Reason"] == "1500 objects deleted"
    assert bucket.empty


def test_time_can_run_out_over_uploads_too(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket(versions=2, uploads=5)
    assert "delete the stack again" in send("Delete", PLENTY, PLENTY, 14_999)["Reason"]
    assert len(bucket.uploads) == 3
    assert send("Delete")["Status"] == "SUCCESS"
    assert bucket.empty


def test_what_is_done_in_time_is_a_success(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=1000)
    assert send("Delete", 15_000, 1)["Status"] == "SUCCESS"


def test_late_deliveries_are_refused_before_the_first_look(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=1)
    send("Delete")
    names = s3.names()
    assert names[:2] == ["GetBucketPolicy", "PutBucketPolicy"]
    assert names.index("ListMultipartUploads") < names.index("ListObjectVersions")


def test_late_deliveries_are_refused_and_nothing_else_is(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=1)
    late = ("logging.s3.amazonaws.com", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/artifacts/late")
    ours = {"aws:SourceAccount": "111122223333"}

    def asked(who, action, resource):
        policy = json.loads(s3.buckets[BUCKET].policy)
        return Simulation(EMPTIER, {f"arn:aws:s3:::{BUCKET}": policy}).ask(who, action, resource, ours)

    assert asked(*late) == "allowed"
    send("Delete")
    assert asked(*late) == "explicitly denied"
    assert asked("Emptier", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/any") == "explicitly denied"
    assert asked("Emptier", "s3:DeleteObjectVersion", f"arn:aws:s3:::{BUCKET}/any") == "allowed"
    assert asked("Emptier", "s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}") == "allowed"


EMPTIER = {
    "Resources": {
        "Emptier": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Statement": []},
                "Policies": [
                    {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}},
                ],
            },
        }
    }
}


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_policy_keeps_what_was_in_it_and_is_closed_once(s3, send, partition):
    bucket = s3.buckets[BUCKET] = Bucket()
    for _ in range(2):
        send("Delete", partition=partition)
        assert bucket.statements[:2] == [TLS_ONLY, DELIVERY]
        assert bucket.statements[2:] == [
            {
                "Sid": "ClosedForDeletion",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": f"arn:{partition}:s3:::{BUCKET}/*",
            }
        ]
        assert json.loads(bucket.policy)["Version"] == "2012-10-17"


def test_a_bucket_that_is_to_be_kept_is_not_touched(s3, send):
    """A stack that turns from DESTROY to RETAIN takes the permission out of the bucket's policy first."""
    bucket = s3.buckets[BUCKET] = Bucket(versions=2, uploads=1)
    s3.refusals["GetBucketPolicy"] = [Refused("AccessDenied", 403)]
    told = send("Delete")
    assert (told["Status"], told["Reason"].split(":")[0]) == ("SUCCESS", "kept")
    assert s3.names() == ["GetBucketPolicy"]
    assert not bucket.empty


def test_another_answer_about_the_policy_is_a_failure(s3, send):
    s3.buckets[BUCKET] = Bucket(versions=2)
    s3.refusals["GetBucketPolicy"] = [Refused("NoSuchBucketPolicy", 404)]
    assert "NoSuchBucketPolicy" in send("Delete")["Reason"]


def test_a_policy_about_objects_alone_is_closed_all_the_same(s3, send):
    bucket = s3.buckets[BUCKET] = Bucket(versions=2, statements=[DELIVERY])
    assert send("Delete")["Status"] == "SUCCESS"
    assert bucket.empty
    assert bucket.statements[1]["Resource"] == f"arn:aws:s3:::{BUCKET}/*"


@pytest.mark.parametrize("character", ["k", "é", "語", "📦", "\\", "\x01", '"'])
def test_answers_fit_into_what_cloudformation_reads(s3, send, cloudformation, character):
    bucket = s3.buckets[BUCKET] = Bucket()
    key = character * (1024 // len(character.encode()))
    bucket.add(key)
    bucket.locked = {key}
    assert send("Delete")["Status"] == "FAILED"
    assert len(cloudformation.requests[-1][3]) <= 4096


def test_an_answer_with_any_error_fits_into_what_cloudformation_reads(s3, send, cloudformation, monkeypatch):
    def fail(*_):
        raise RuntimeError("\U0001f4a5\x01" * 5000)

    monkeypatch.setattr(empty_bucket, "empty", fail)
    assert send("Delete")["Status"] == "FAILED"
    assert len(cloudformation.requests[-1][3]) <= 4096


def test_an_answer_that_does_not_arrive_is_an_error_so_that_lambda_tries_again(s3, send, cloudformation):
    s3.buckets[BUCKET] = Bucket(versions=2)
    cloudformation.status = 503
    with pytest.raises(HTTPError, match="503") as raised:
        send("Delete")
    raised.value.close()
    cloudformation.status = 200
    assert send("Delete")["Status"] == "SUCCESS"


def test_the_log_tells_what_happened(s3, send, capsys):
    s3.buckets[BUCKET] = Bucket(versions=2)
    send("Delete")
    assert capsys.readouterr().out == "SUCCESS 2 objects deleted\n"


def test_source_fits_inline():
    """4096 characters is the old limit, which older tools still check; CloudFormation's own is 4 MB today."""
    assert len(SOURCE.read_text()) <= 4096


def test_source_needs_only_what_lambda_brings():
    tree = ast.parse(SOURCE.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | {"boto3"}
    assert "handler" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_fake_refuses_what_s3_would(s3):
    s3.buckets[BUCKET] = Bucket(versions=1)
    with pytest.raises(s3.client.exceptions.ClientError, match="MalformedXML"):
        s3.client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k"}] * 1001})
    with pytest.raises(s3.client.exceptions.NoSuchBucket):
        s3.client.list_object_versions(Bucket="nowhere")
    with pytest.raises(Exception, match="Unknown parameter"):
        s3.client.list_object_versions(Bucket=BUCKET, Marker="x")
