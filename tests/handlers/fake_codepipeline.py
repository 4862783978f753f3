"""CodePipeline's jobs and artifacts, behind real boto3 clients."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from botocore.response import StreamingBody

from tests.handlers.doubles import Service

JOB = "11111111-abcd-1111-abcd-111111abcdef"
BUCKET = "release-artifacts-1a2b3c"
INPUT, OUTPUT = "Shop-Pipeline/Build/AbC.zip", "Shop-Pipeline/Release/DeF"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CREDENTIALS = {"accessKeyId": "ASIA1", "secretAccessKey": "very secret", "sessionToken": "token"}


def bundle(files: Mapping[str, str]) -> bytes:
    """An artifact."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def files_of(body: bytes) -> dict[str, str]:
    """What is in an artifact."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


class S3(Service):
    def __init__(self) -> None:
        super().__init__("s3")
        self.objects: dict[str, bytes] = {}
        self.written: list[dict[str, Any]] = []
        self.length: int | None = None

    def GetObject(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert asked["Bucket"] == BUCKET
        body = self.objects[asked["Key"]]
        return {
            "ContentLength": self.length or len(body),
            "Body": StreamingBody(io.BytesIO(body), len(body)),
        }

    def PutObject(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert asked["Bucket"] == BUCKET
        body = asked["Body"]
        self.objects[asked["Key"]] = body.read() if hasattr(body, "read") else body
        self.written.append({name: value for name, value in asked.items() if name != "Body"})
        return {}


class CodePipeline(Service):
    def __init__(self) -> None:
        super().__init__("codepipeline")

    def PutJobSuccessResult(self, asked: Mapping[str, Any]) -> None:  # noqa: N802
        assert asked["jobId"] == JOB

    def PutJobFailureResult(self, asked: Mapping[str, Any]) -> None:  # noqa: N802
        assert asked["jobId"] == JOB


def a_job(**data: Any) -> dict[str, Any]:
    """The event of a Lambda action with an input and an output artifact."""
    return {
        "CodePipeline.job": {
            "id": JOB,
            "accountId": "111122223333",
            "data": {
                "actionConfiguration": {"configuration": {"FunctionName": "Shop-Release"}},
                "inputArtifacts": [_artifact("Build", INPUT)],
                "outputArtifacts": [_artifact("Release", OUTPUT)],
                "artifactCredentials": CREDENTIALS,
                "encryptionKey": {"id": KEY, "type": "KMS"},
                **data,
            },
        }
    }


def _artifact(name: str, key: str) -> dict[str, Any]:
    location = {"type": "S3", "s3Location": {"bucketName": BUCKET, "objectKey": key}}
    return {"name": name, "revision": None, "location": json.loads(json.dumps(location))}
