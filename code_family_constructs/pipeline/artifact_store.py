"""Floor 2: the encrypted bucket through which artifacts move."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, acknowledge, arn, pseudo
from code_family_constructs.storage import (
    LogBucket,
    check_removal_policy,
    encrypted_bucket,
    end_of_life,
    service_statement,
)

_YEAR = Duration.days(365)


class ArtifactStore(Construct):
    """The bucket that CodePipeline keeps artifacts in, and the key that encrypts them.

    Creates a versioned, TLS-only, private S3 bucket, a customer-managed KMS key that rotates yearly (1 USD a month),
    and a bucket for access logs. Old artifacts and broken uploads are deleted by themselves. One store serves any
    number of pipelines of a stack, each in a folder of its own: that saves a key for each.

    Args:
        scope: Parent construct.
        id: Construct id.
        removal_policy: RETAIN keeps bucket and key when the stack goes; DESTROY empties and deletes both, which adds
            one small Lambda function to the stack.
        artifacts_expire_after: When artifacts are deleted, in whole days. An older release can then no longer be
        deployed again, by a
            rollback or by a new instance of an Auto Scaling group.

    Raises:
        ConfigurationError: A removal policy or an expiry that S3 does not have.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        artifacts_expire_after: Duration = _YEAR,
    ) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        _check_expiry(self, artifacts_expire_after)
        self._folders: dict[str, str] = {}
        self.key = kms.Key(
            self,
            "Key",
            description="Artifacts of pipelines, and what tells of them",
            enable_key_rotation=True,
            # Together with the bucket: artifacts without their key cannot be read, a key without artifacts only costs.
            removal_policy=removal_policy,
        )
        aws = pseudo()
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        self.key.add_to_resource_policy(
            service_statement(
                f"logs.{aws.region}.{aws.url_suffix}",
                ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", *_RE_ENCRYPT],
                ["*"],
                {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*")}},
            )
        )
        self.access_logs = LogBucket(self, "AccessLogs", removal_policy=removal_policy)
        self.bucket = encrypted_bucket(
            self,
            "Bucket",
            key=self.key,
            removal_policy=removal_policy,
            rules=[
                s3.LifecycleRule(
                    id="Expire",
                    expiration=artifacts_expire_after,
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        self.access_logs.accept_server_access_logs(self.bucket, "artifacts/")
        self.end_of_life = end_of_life(self.bucket, removal_policy)
        acknowledge(
            self.bucket,
            {"S3BucketReplicationEnabled": "artifacts are built again from the source; no region depends on another's"},
            pack="NIST.800.53.R5",
        )
        self._bucket_arn: str = self.bucket.bucket_arn
        self._key_arn: str = self.key.key_arn

    @property
    def key_arn(self) -> str:
        return self._key_arn

    def admit(self, pipeline: Construct, pipeline_name: str) -> None:
        """Gives a pipeline its folder.

        Raises:
            ConfigurationError: Another pipeline has that folder, and each would be allowed the other's artifacts.
        """
        folder = _folder(pipeline_name)
        other = self._folders.setdefault(folder, pipeline_name)
        if other != pipeline_name:
            raise ConfigurationError(
                f"pipelines {other!r} and {pipeline_name!r} would keep their artifacts in the same folder, {folder!r}",
                at=pipeline,
                fix=f"give pipeline_name= one that differs in its first {_FOLDER} characters, or a store each",
            )

    def permissions_of_pipeline(self, pipeline_name: str) -> list[Statement]:
        """What the role of a pipeline needs of its artifacts.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        return [
            Statement(
                actions=["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
                resources=[self._bucket_arn],
            ),
            self._objects(
                pipeline_name,
                "s3:GetObject",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionTagging",
                "s3:PutObject",
                "s3:PutObjectAcl",
                "s3:PutObjectTagging",
            ),
            self._use_key(),
        ]

    def permissions_of_build(self, pipeline_name: str) -> list[Statement]:
        """What the role of a build needs to read its input and write its output.

        https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
        """
        return [
            Statement(actions=["s3:GetBucketAcl", "s3:GetBucketLocation"], resources=[self._bucket_arn]),
            self._objects(pipeline_name, "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
            self._use_key(),
        ]

    def permissions_of_reader(self, pipeline_name: str) -> list[Statement]:
        """What whoever fetches a revision needs, such as an instance's CodeDeploy agent."""
        return [
            self._objects(pipeline_name, "s3:GetObject", "s3:GetObjectVersion"),
            Statement(actions=["kms:Decrypt"], resources=[self._key_arn]),
        ]

    def _objects(self, pipeline_name: str, *actions: str) -> Statement:
        folder = _folder(pipeline_name)
        # Of a name that was cut, nobody but CodePipeline knows how it goes on.
        separator = "/" if folder == pipeline_name else ""
        return Statement(
            actions=actions,
            resources=[f"{self._bucket_arn}/{folder}{separator}*"],
            wildcard_reason="CodePipeline names artifacts at run time; the folder is this pipeline's own",
        )

    def _use_key(self) -> Statement:
        return Statement(
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", *_RE_ENCRYPT],
            resources=[self._key_arn],
        )


def _folder(pipeline_name: str) -> str:
    return pipeline_name[:_FOLDER]


def _check_expiry(at: Construct, expiry: Duration) -> None:
    if expiry is _YEAR or expiry.is_unresolved():
        return
    days = expiry.to_days(integral=False)
    if days < 1 or days != int(days):
        raise ConfigurationError(
            f"artifacts_expire_after={days:g} days", at=at, fix="use whole days, Duration.days(1) or more"
        )


# CodePipeline names the folder of a pipeline's artifacts after the pipeline, and cuts the name here.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html#troubleshooting-truncated-artifacts
_FOLDER = 20
_RE_ENCRYPT = ("kms:ReEncryptFrom", "kms:ReEncryptTo")
