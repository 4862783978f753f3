"""Floor 0: buckets that are private, encrypted, TLS-only and logged, and how they end."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import acknowledge, arn, pseudo

# Long enough to look into last quarter's incident, short enough that nobody pays for it unknowingly.
LOG_DAYS = 90


class LogBucket(Construct):
    """A bucket that AWS services deliver access logs to.

    Creates an S3 bucket encrypted with S3-managed keys, the only kind that server access logs and load balancers can
    write to. Objects expire; storage is billed until then.

    Args:
        scope: Parent construct.
        id: Construct id.
        removal_policy: RETAIN keeps the logs when the stack goes; DESTROY empties and deletes the bucket, which adds
            one small Lambda function to the stack.
    """

    def __init__(self, scope: Construct, id: str, *, removal_policy: RemovalPolicy = RemovalPolicy.RETAIN) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            **_private(removal_policy),
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Expire",
                    expiration=Duration.days(LOG_DAYS),
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        self.end_of_life = end_of_life(self.bucket, removal_policy)
        acknowledge(self.bucket, {"S1": "this bucket receives access logs; logging access to itself would never end"})
        acknowledge_nist_log_bucket(self.bucket)

    def accept_server_access_logs(self, source: s3.Bucket, prefix: str) -> None:
        """Lets S3 deliver the access logs of `source`, and turns them on there."""
        bucket: Any = source.node.default_child
        bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=self.bucket.bucket_name, log_file_prefix=prefix
        )
        # Without a source ARN: the source bucket refers to this one, and this policy would refer back.
        ours = {"StringEquals": {"aws:SourceAccount": pseudo().account}}
        self._accept("logging.s3.amazonaws.com", f"{prefix}*", ours)

    def accept_load_balancer_logs(self, prefix: str) -> None:
        """Lets Elastic Load Balancing deliver access logs of this account's load balancers below `prefix`."""
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
        self._accept(
            "logdelivery.elasticloadbalancing.amazonaws.com",
            f"{prefix}/AWSLogs/{pseudo().account}/*",
            {"ArnLike": {"aws:SourceArn": arn("elasticloadbalancing", "loadbalancer/*")}},
        )

    def accept_flow_logs(self, prefix: str) -> None:
        """Lets VPC flow logs of this account arrive below `prefix`."""
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
        aws = pseudo()
        source = {"ArnLike": {"aws:SourceArn": arn("logs", "*")}, "StringEquals": {"aws:SourceAccount": aws.account}}
        self._accept(
            "delivery.logs.amazonaws.com",
            f"{prefix}/AWSLogs/{aws.account}/*",
            {**source, "StringEquals": {**source["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}},
        )
        self._policy_statement("delivery.logs.amazonaws.com", "s3:GetBucketAcl", self.bucket.bucket_arn, source)

    def _accept(self, principal: str, objects: str, conditions: dict[str, dict[str, str]]) -> None:
        self._policy_statement(principal, "s3:PutObject", self.bucket.arn_for_objects(objects), conditions)

    def _policy_statement(self, principal: str, action: str, resource: str, conditions: Any) -> None:
        policy_of(self.bucket).document.add_statements(service_statement(principal, [action], [resource], conditions))


def encrypted_bucket(
    scope: Construct,
    id: str,
    *,
    key: kms.IKey,
    removal_policy: RemovalPolicy,
    rules: Sequence[s3.LifecycleRule],
    bucket_name: str | None = None,
) -> s3.Bucket:
    """A private, versioned, TLS-only bucket under a customer-managed key, with a bucket key to save KMS requests."""
    return s3.Bucket(
        scope,
        id,
        bucket_name=bucket_name,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        **_private(removal_policy),
        lifecycle_rules=list(rules),
    )


def end_of_life(bucket: s3.Bucket, removal_policy: RemovalPolicy) -> CustomResource | None:
    """With DESTROY, empties the bucket when the stack goes; what writes to the bucket should depend on the result."""
    if removal_policy is not RemovalPolicy.DESTROY:
        return None
    return _BucketEmptier.of(bucket).empty(bucket)


class BucketPolicy(NamedTuple):
    """The policy of a bucket, and the document in it."""

    policy: s3.BucketPolicy
    document: iam.PolicyDocument


def policy_of(bucket: s3.Bucket) -> BucketPolicy:
    """The policy of a bucket of this module: TLS-only, so it has one from the start."""
    if bucket not in _POLICIES:
        policy = bucket.policy
        if policy is None:
            raise TypeError(f"bucket {bucket.node.path!r} has no policy yet")
        _POLICIES[bucket] = BucketPolicy(policy, policy.document)
    return _POLICIES[bucket]


# `Bucket.add_to_resource_policy` answers with what nobody asked for, at a round trip to Node for each part of it.
_POLICIES: WeakKeyDictionary[s3.Bucket, BucketPolicy] = WeakKeyDictionary()


def check_removal_policy(at: Construct, removal_policy: RemovalPolicy) -> None:
    if removal_policy not in (RemovalPolicy.RETAIN, RemovalPolicy.DESTROY):
        raise ConfigurationError(
            f"removal policy {removal_policy.name} for a bucket", at=at, fix="use RemovalPolicy.RETAIN or DESTROY"
        )


def service_statement(principal: str, actions: Sequence[str], resources: Sequence[str], conditions: Any) -> Any:
    """A resource policy's statement that admits one AWS service."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": list(actions),
        "Resource": list(resources),
    }
    return iam.PolicyStatement.from_json({**statement, "Condition": conditions} if conditions else statement)


def acknowledge_nist_log_bucket(bucket: s3.Bucket) -> None:
    acknowledge(
        bucket,
        {
            "S3BucketReplicationEnabled": "access logs tell of one region's traffic; nothing fails over to them",
            "S3BucketLoggingEnabled": "this bucket receives access logs; logging access to itself would never end",
            "S3DefaultEncryptionKMS": "S3 and load balancers can deliver access logs to SSE-S3 buckets only",
        },
        pack="NIST.800.53.R5",
    )


class _BucketEmptier(Construct):
    """One Lambda function for all buckets of a stack that are emptied before they are deleted.

    CDK's own (`auto_delete_objects`) is a Node handler whose role has wildcard actions; this one is Python and its role
    lists each action.
    """

    @classmethod
    def of(cls, scope: Construct) -> "_BucketEmptier":
        stack = Stack.of(scope)
        if stack not in _EMPTIERS:
            _EMPTIERS[stack] = cls(stack, "BucketEmptier")
        return _EMPTIERS[stack]

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        # Imported here: aws_lambda is a second of import time that only stacks with such buckets should pay.
        from code_family_constructs.functions import PythonFunction

        self._function = PythonFunction(
            self,
            "Function",
            module="empty_bucket",
            description="Empties buckets whose stack is being deleted",
            timeout=Duration.minutes(15),
            concurrency="CloudFormation calls it once for each bucket, when the stack is deleted",
            failures="CloudFormation waits for its answer and reports a failure itself",
            network="it calls S3 and CloudFormation's response URL alone; both are public endpoints",
        )
        self._service_token: str = self._function.function.function_arn

    def empty(self, bucket: s3.Bucket) -> CustomResource:
        # In the bucket's policy and not in the role's: when a stack turns from DESTROY to RETAIN, the permission is
        # gone before CloudFormation cleans up the resource that would empty the bucket.
        arn = bucket.bucket_arn
        policy, document = policy_of(bucket)
        document.add_statements(
            *(
                iam.PolicyStatement(principals=[self._function.role], actions=list(actions), resources=[resource])
                for actions, resource in ((_EMPTY_BUCKET, arn), (_EMPTY_OBJECTS, f"{arn}/*"))
            )
        )
        emptied = CustomResource(
            bucket,
            "Empty",
            service_token=self._service_token,
            resource_type="Custom::EmptyBucket",
            properties={"BucketName": bucket.bucket_name},
        )
        # The handler reads the policy and closes it to late deliveries, so the policy has to outlive it.
        emptied.node.add_dependency(policy)
        return emptied


_EMPTIERS: WeakKeyDictionary[Stack, _BucketEmptier] = WeakKeyDictionary()
_EMPTY_BUCKET = (
    "s3:GetBucketPolicy",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:PutBucketPolicy",
)
_EMPTY_OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion")


def _private(removal_policy: RemovalPolicy) -> Any:
    return {
        "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
        "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        "enforce_ssl": True,
        "minimum_tls_version": 1.2,
        "versioned": True,
        "removal_policy": removal_policy,
    }
