"""What the Lambda functions of a pipeline's actions share: they always report, and know where artifacts are."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
LONGEST_MESSAGE = 2000
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
LARGEST_ARTIFACT = 3 * 2**20


def run(event: dict[str, Any], context: Any, work: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Does the work of a job, and tells CodePipeline how it went: otherwise the action would wait for a day.

    Args:
        event: What CodePipeline sent. It holds credentials, so it is never logged.
        context: Lambda's.
        work: Gets the data of the job; returns what PutJobSuccessResult takes besides its id. An exception is the
            reason of a failure.
    """
    job = event["CodePipeline.job"]
    codepipeline = boto3.client("codepipeline", config=PATIENT)
    report: Mapping[str, Any]
    try:
        tell, report = codepipeline.put_job_success_result, work(job["data"])
        print(report)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
        print(reason)
        details = {"type": "JobFailed", "message": reason, "externalExecutionId": context.aws_request_id}
        tell, report = codepipeline.put_job_failure_result, {"failureDetails": details}
    try:
        tell(jobId=job["id"], **report)
    except codepipeline.exceptions.InvalidJobStateException:
        # An error would have Lambda call again, for a release that is over.
        print("reported already, by an earlier invocation or after CodePipeline had stopped waiting")


def read_artifact(data: dict[str, Any], name: str) -> str:
    """Text of a file in the root of the action's input artifact."""
    (artifact,) = data["inputArtifacts"]
    location = artifact["location"]["s3Location"]
    found = artifact_client(data).get_object(Bucket=location["bucketName"], Key=location["objectKey"])
    if found["ContentLength"] > LARGEST_ARTIFACT:
        raise RuntimeError(
            f"artifact {artifact['name']} has {found['ContentLength']} bytes; give one that tells of images alone"
        )
    with zipfile.ZipFile(io.BytesIO(found["Body"].read())) as bundle:
        if name not in bundle.namelist():
            raise RuntimeError(f"there is no {name} in artifact {artifact['name']}, but {', '.join(bundle.namelist())}")
        return bundle.read(name).decode()


def write_artifact(data: dict[str, Any], files: Mapping[str, str]) -> None:
    """Makes the action's output artifact of these files."""
    (artifact,) = data["outputArtifacts"]
    location = artifact["location"]["s3Location"]
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    key = data.get("encryptionKey")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["id"]} if key else {}
    artifact_client(data).put_object(
        Bucket=location["bucketName"], Key=location["objectKey"], Body=bundle.getvalue(), **encryption
    )


def artifact_client(data: dict[str, Any]) -> Any:
    """The job's own credentials: they reach the artifacts of this execution, the function's role reaches none."""
    credentials = data["artifactCredentials"]
    return boto3.client(
        "s3",
        # For an encrypted object, S3 takes no older signature.
        config=PATIENT.merge(Config(signature_version="s3v4")),
        aws_access_key_id=credentials["accessKeyId"],
        aws_secret_access_key=credentials["secretAccessKey"],
        aws_session_token=credentials["sessionToken"],
    )
