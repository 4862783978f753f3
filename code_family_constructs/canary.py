"""Floor 1: a canary of CloudWatch Synthetics that asks for a URL again and again."""

import json

from aws_cdk import Duration, Names, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_synthetics as synthetics
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import handler_source
from code_family_constructs.names import check_environment_size
from code_family_constructs.permissions import ServiceRole, Statement, acknowledge, arn
from code_family_constructs.smoke_test import SmokeTest
from code_family_constructs.storage import end_of_life

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Library_python_selenium.html
_RUNTIME = "syn-python-selenium-12.0"
# Read by the handler.
_SETTINGS = "CODE_FAMILY_SMOKE_TEST"
_KEPT = Duration.days(30)
# A run may not take longer than the time to the next one, and its runtime has a browser to unpack.
_START = 30


class UrlCanary(Construct):
    """Sends a request on a schedule, from the internet, and publishes whether it was answered as expected.

    Creates a canary of CloudWatch Synthetics with a Python script of ours, a role for it, and a bucket for its results,
    which expire; with the stack go the bucket, emptied by a small Lambda function, and the canary's own function, but
    not that one's log group `/aws/lambda/cwsyn-…`. Each run costs about 0.0012 USD: 52 USD a month for one a minute.

    Args:
        scope: Parent construct.
        id: Construct id.
        test: The request, and how it has to be answered. Each run is one try.
        interval: Between two runs.

    Raises:
        ConfigurationError: An interval that Synthetics does not have, or a test that does not fit into it or into a
            function's environment, or needs a VPC.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries.html
    """

    def __init__(self, scope: Construct, id: str, *, test: SmokeTest, interval: Duration) -> None:
        super().__init__(scope, id)
        _check(self, test, interval)
        # Known at synth time: the role's policy names it, and the canary waits for its role.
        self.canary_name = Names.unique_resource_name(self, max_length=64, separator="-").lower()
        self.bucket = s3.Bucket(
            self,
            "Results",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=RemovalPolicy.DESTROY,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Expire",
                    expiration=_KEPT,
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        emptied = end_of_life(self.bucket, RemovalPolicy.DESTROY)
        role = ServiceRole(self, service="lambda.amazonaws.com", statements=_statements(self.bucket, self.canary_name))
        self.role = role.role
        self.canary = synthetics.Canary(
            self,
            "Canary",
            canary_name=self.canary_name,
            runtime=synthetics.Runtime(_RUNTIME, synthetics.RuntimeFamily.PYTHON),
            test=synthetics.Test.custom(
                code=synthetics.Code.from_inline(handler_source("smoke_test")), handler="index.handler"
            ),
            environment_variables={_SETTINGS: Stack.of(self).to_json_string(_settings(test))},
            schedule=synthetics.Schedule.rate(interval),
            role=role.frozen,
            artifacts_bucket_location=synthetics.ArtifactsBucketLocation(bucket=self.bucket),
            success_retention_period=_KEPT,
            failure_retention_period=_KEPT,
            provisioned_resource_cleanup=True,
        )
        if emptied is not None:
            # What still runs would write into the bucket that is being emptied.
            self.canary.node.add_dependency(emptied)
        reason = "it holds what the canary's own runs left, which nobody else writes, for a month"
        acknowledge(self.bucket, {"S1": reason})
        acknowledge(
            self.bucket,
            {
                "S3BucketLoggingEnabled": reason,
                "S3BucketReplicationEnabled": reason,
                "S3DefaultEncryptionKMS": "it holds whether a request was answered as expected; S3 encrypts it",
            },
            pack="NIST.800.53.R5",
        )


def check_interval(at: Construct, interval: Duration) -> float:
    """The minutes between two runs; raises ConfigurationError for what Synthetics does not have."""
    fix = "use whole minutes from 1 to 60"
    if interval.is_unresolved():
        raise ConfigurationError("an interval that is only known when the stack is deployed", at=at, fix=fix)
    minutes = interval.to_minutes(integral=False)
    if minutes not in range(1, 61):
        raise ConfigurationError(f"a run every {minutes:g} minutes", at=at, fix=fix)
    return minutes


def _settings(test: SmokeTest) -> dict[str, object]:
    return {**test.settings(), "retries": 0}


def _check(at: Construct, test: SmokeTest, interval: Duration) -> None:
    minutes = check_interval(at, interval)
    check_environment_size(at, {_SETTINGS: json.dumps(_settings(test), ensure_ascii=False)})
    if test.load_balancer is not None:
        raise ConfigurationError(
            "a canary of a load balancer's address inside of a VPC: canaries ask from the internet",
            at=at,
            fix="leave load_balancer= out, or test it with a DeploymentHook in the VPC",
        )
    most = minutes * 60 - _START
    if not test.timeout.is_unresolved() and test.timeout.to_seconds(integral=False) > most:
        raise ConfigurationError(
            f"a timeout of {test.timeout.to_seconds(integral=False):g} seconds for a run every {minutes:g} minutes, "
            f"{_START} seconds of which the runtime takes to start",
            at=at,
            fix=f"use a timeout of at most {most:g} seconds, or a longer interval",
        )


def _statements(bucket: s3.Bucket, canary_name: str) -> list[Statement]:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries_CanaryPermissions.html
    return [
        Statement(
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects("*")],
            wildcard_reason="the canary chooses the names of its results, in a bucket of its own",
        ),
        Statement(actions=["s3:GetBucketLocation"], resources=[bucket.bucket_arn]),
        Statement(
            actions=["s3:ListAllMyBuckets"],
            resources=["*"],
            wildcard_reason="the list of buckets, which Synthetics reads, has no resource-level permissions",
        ),
        Statement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": "CloudWatchSynthetics"}},
            wildcard_reason="metrics have no ARNs; the condition names the namespace",
        ),
        Statement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[arn("logs", f"log-group:/aws/lambda/cwsyn-{canary_name}-*")],
            wildcard_reason="Synthetics adds a random id to the name of the canary's function, and so of its log group",
        ),
    ]
