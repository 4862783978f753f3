"""Floor 1: a bucket for what builds leave behind: caches, artifacts, reports, logs."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import acknowledge
from code_family_constructs.storage import LogBucket, check_removal_policy, encrypted_bucket, end_of_life


class BuildBucket(Construct):
    """A private, encrypted bucket that forgets, for any number of projects: each has folders of its own in it.

    Creates an S3 bucket, a bucket for its access logs, and without `key` a customer-managed KMS key that rotates yearly
    (1 USD a month). Storage costs 0.023 USD for a GB and month (us-east-1) until it expires.

    Args:
        scope: Parent construct.
        id: Construct id.
        expires_after: When objects are deleted, in whole days. A cache that expired is made again by the next build.
        key: Key to share, such as an artifact store's.
        removal_policy: RETAIN keeps bucket and key when the stack goes; DESTROY empties and deletes both, which adds
            one small Lambda function to the stack.

    Raises:
        ConfigurationError: A removal policy or an expiry that S3 does not have.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        expires_after: Duration,
        key: kms.IKey | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        if not expires_after.is_unresolved():
            days = expires_after.to_days(integral=False)
            if days < 1 or days != int(days):
                raise ConfigurationError(
                    f"expires_after={days:g} days", at=self, fix="use whole days, Duration.days(1) or more"
                )
        self.key: kms.IKey = key or kms.Key(
            self, "Key", description="What builds keep", enable_key_rotation=True, removal_policy=removal_policy
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
                    expiration=expires_after,
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        self.access_logs.accept_server_access_logs(self.bucket, "builds/")
        self.end_of_life = end_of_life(self.bucket, removal_policy)
        acknowledge(
            self.bucket,
            {"S3BucketReplicationEnabled": "what builds keep is built again from the source; nothing fails over to it"},
            pack="NIST.800.53.R5",
        )
