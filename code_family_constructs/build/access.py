"""Floor 1: what a build needs of buckets and keys, action by action."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from code_family_constructs.permissions import Statement, arn, pseudo
from code_family_constructs.storage import service_statement

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

_AT_RUN_TIME = "CodeBuild names the objects at run time; the folder is this project's own"


def read_objects(bucket: "s3.IBucket", path: str) -> list[Statement]:
    """Reads an object, or all of a folder when the path ends with `/`.

    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    bucket_arn = bucket.bucket_arn
    statements = [_owner(bucket_arn)]
    if path.endswith("/"):
        statements += [
            Statement(
                actions=["s3:GetObject", "s3:GetObjectVersion"],
                resources=[f"{bucket_arn}/{path}*"],
                wildcard_reason="a folder is the source, whatever is in it",
            ),
            Statement(
                actions=["s3:ListBucket"],
                resources=[bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{path}*"}},
            ),
        ]
    else:
        statements.append(
            Statement(actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[f"{bucket_arn}/{path}"])
        )
    return statements


def write_objects(bucket: "s3.IBucket", folder: str, *more: str) -> list[Statement]:
    """Writes objects to a folder.

    Args:
        bucket: The bucket.
        folder: Its prefix, without a slash at the end.
        more: Further actions on the objects there.
    """
    bucket_arn = bucket.bucket_arn
    return [
        _owner(bucket_arn),
        Statement(
            actions=[*more, "s3:PutObject"], resources=[f"{bucket_arn}/{folder}/*"], wildcard_reason=_AT_RUN_TIME
        ),
    ]


def _owner(bucket_arn: str) -> Statement:
    # CodeBuild looks whose bucket it is before it uses it.
    # https://docs.aws.amazon.com/codebuild/latest/userguide/troubleshooting.html#troubleshooting-calling-bucket-error
    return Statement(actions=["s3:GetBucketAcl", "s3:GetBucketLocation"], resources=[bucket_arn])


_USE_KEY = (
    "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo",
)  # fmt: skip


def use_key(key: "kms.IKey | None") -> list[Statement]:
    """Encrypts and decrypts what CodeBuild stores: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-kms.html."""
    if key is None:
        return []
    return [Statement(actions=_USE_KEY, resources=[key.key_arn])]


def let_logs_use(key: "kms.IKey") -> None:
    """Lets CloudWatch Logs encrypt with a key, if it belongs to this app.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    aws = pseudo()
    key.add_to_resource_policy(
        service_statement(
            f"logs.{aws.region}.{aws.url_suffix}",
            _USE_KEY,
            ["*"],
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*")}},
        )
    )


def decrypt(key: "kms.IKey | None", context: Mapping[str, str] | None = None) -> list[Statement]:
    """Decrypts, and only what was encrypted in this context, where one is given."""
    if key is None:
        return []
    conditions = {
        # A secret that was imported by its name has an ARN that ends in question marks.
        "StringLike": {f"kms:EncryptionContext:{name}": value for name, value in (context or {}).items()}
    }
    return [Statement(actions=["kms:Decrypt"], resources=[key.key_arn], conditions=conditions if context else None)]
