"""Floor 1: deploy files of the revision to an S3 bucket, and tell CloudFront when they are a website."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import check_named, check_setting
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import PythonFunction, invoke_action, invoke_statements
from code_family_constructs.names import check_environment_size, check_list
from code_family_constructs.permissions import Statement, pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_cloudfront as cloudfront
    from aws_cdk import aws_kms as kms

# Read by the function that invalidates.
_SETTINGS = "CODE_FAMILY_INVALIDATION"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY = 1024
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-invalidations
_LONGEST_INVALIDATION = 4000
_MOST_WILDCARDS = 15
_MOST_PATHS = 3000


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Deployment:
    """Uploads the files of the revision to a bucket, or the artifact as it is.

    It overwrites what is there by the same name and deletes nothing: a file that is gone from the revision stays in the
    bucket. CodePipeline gives it 90 minutes.

    The role that runs the action gets what it needs of bucket and key, as far as IAM policies of their own account
    decide; a bucket or key policy that admits certain roles only has to admit this one, too.

    Args:
        bucket: Where to.
        object_key: The folder that files are put into, the bucket's root when left out; or, when nothing is extracted,
            the key of the object, which may hold `{datetime}`, `{uuid}` and variables.
        extract: Whether the files are uploaded one by one, or the artifact as one object.
        cache_control: What the objects tell browsers and CloudFront about keeping them.
        encryption_key: Key to encrypt the objects with; the bucket's own, if it has one, when left out.
        access_control: Canned ACL of each object. Buckets take ACLs only when they are made with another
            `object_ownership` than S3's default.

    Raises:
        ConfigurationError: A key that S3 would refuse or an object without one, or an ACL that S3 or the bucket would
            refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3Deploy.html
    """

    bucket: s3.IBucket
    object_key: str | None = None
    extract: bool = True
    cache_control: Sequence[actions.CacheControl] = ()
    encryption_key: "kms.IKey | None" = None
    access_control: s3.BucketAccessControl | None = None
    _cache: str | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        check_list(_AT, "cache_control", self.cache_control)
        if self.object_key is None and not self.extract:
            raise ConfigurationError("an artifact as one object, without a key", at=_AT, fix="give object_key= as well")
        if self.object_key is not None and not unresolved(self.object_key):
            _check_key(self.object_key, folder=self.extract)
        if self.access_control is not None:
            _check_acl(self.bucket, self.access_control)
        cache = ", ".join(each.value for each in self.cache_control)
        check_setting(_AT, "cache_control", cache, fix="say it in fewer directives")
        object.__setattr__(self, "_cache", cache or None)

    def stage_action(self, context: ActionContext) -> StageAction:
        check_named(context, _AT, self.bucket, "bucket", "bucket_name")
        key = self.encryption_key or self.bucket.encryption_key
        named = key is None or not context.elsewhere or not unresolved(key.key_arn)
        if self.encryption_key is not None and not named:
            raise ConfigurationError(
                f"encryption_key {self.encryption_key.node.path!r} gets its id when it is deployed, and the pipeline, "
                "in another account or region, has to know it before",
                at=_AT,
                fix="make it the bucket's own key, which needs no naming, or import it by its ARN",
            )
        acl = self.access_control
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="S3",
                configuration={
                    "BucketName": self.bucket.bucket_name,
                    "Extract": "true" if self.extract else "false",
                    "ObjectKey": self.object_key,
                    "KMSEncryptionKeyARN": key.key_arn if key is not None and named else None,
                    "CannedACL": None if acl is None else _ACLS[acl.name],
                    "CacheControl": self._cache,
                },
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=self._statements(key),
        )

    def _statements(self, key: "kms.IKey | None") -> list[Statement]:
        bucket = self.bucket.bucket_arn
        # A bucket of this name in somebody else's account gets nothing.
        account = self.bucket.env.account
        owner = {"StringEquals": {"aws:ResourceAccount": pseudo().account if unresolved(account) else account}}
        statements = [
            Statement(
                actions=["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
                resources=[bucket],
                conditions=owner,
            ),
            Statement(
                actions=[
                    "s3:PutObject",
                    *(() if self.access_control is None else ("s3:PutObjectAcl", "s3:PutObjectVersionAcl")),
                ],
                resources=[f"{bucket}/{self._objects()}"],
                conditions=owner,
                wildcard_reason="what the objects are called, the revision says; the bucket is named",
            ),
        ]
        if key is not None:
            statements.append(
                Statement(actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], resources=[key.key_arn])
            )
        return statements

    def _objects(self) -> str:
        if self.object_key is None:
            return "*"
        # What stands for something else is not known before the pipeline runs.
        known = re.sub(r"#?\{[^}]*\}", "*", self.object_key)
        return f"{known.rstrip('/')}/*" if self.extract else known


class WebsiteDeployment(Construct):
    """Uploads the files of the revision to a website's bucket, then has CloudFront forget the old ones.

    Two actions, one after the other: CodePipeline's S3 action, and a Lambda function, made here, that creates an
    invalidation in the distribution and waits until CloudFront has completed it, a few minutes as a rule, so that
    actions after it see the new website. A thousand paths a month are free, each further one costs 0.005 USD; a path
    with a wildcard counts as one.

    Files that are gone from the revision stay in the bucket, and on the website.

    Args:
        scope: Parent construct.
        id: Construct id.
        bucket: Where the website's files are.
        distribution: What hands them out.
        paths: Paths to forget, each with a slash in front and at most one wildcard, `*`, at the end; all of them in
            the 4 kB that a Lambda function's environment holds.
        object_key: Folder of the bucket; its root when left out.
        cache_control: What the files tell browsers and CloudFront about keeping them. What browsers keep, no
            invalidation reaches.
        encryption_key: Key to encrypt the files with; the bucket's own, if it has one, when left out.

    Raises:
        ConfigurationError: A folder that S3, or paths that CloudFront would refuse.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Invalidation.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket,
        distribution: "cloudfront.IDistribution",
        paths: Sequence[str] = ("/*",),
        object_key: str | None = None,
        cache_control: Sequence[actions.CacheControl] = (),
        encryption_key: "kms.IKey | None" = None,
    ) -> None:
        super().__init__(scope, id)
        _check_invalidation(self, paths)
        settings = {"distribution": distribution.distribution_id, "paths": list(paths)}
        check_environment_size(self, {_SETTINGS: json.dumps(settings, ensure_ascii=False)})
        self._files = S3Deployment(
            bucket=bucket, object_key=object_key, cache_control=cache_control, encryption_key=encryption_key
        )
        self._invalidator = PythonFunction(
            self,
            "Invalidator",
            module="invalidate_distribution",
            shared=["pipeline_job"],
            description="Has CloudFront forget the files that a pipeline has replaced",
            statements=[
                Statement(
                    actions=["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"],
                    resources=[distribution.distribution_arn],
                ),
                Statement(
                    actions=["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
                    resources=["*"],
                    wildcard_reason="a pipeline's job has no ARN; its number is only known to whom it was given",
                ),
            ],
            timeout=Duration.minutes(2),
            environment={_SETTINGS: Stack.of(self).to_json_string(settings)},
            concurrency="a pipeline calls it for one release at a time",
            failures="CodePipeline waits for its answer, and fails the stage without one",
            network="it calls CloudFront and CodePipeline; both are public endpoints",
        )
        self.invalidator = self._invalidator.function

    def stage_action(self, context: ActionContext) -> StageAction:
        files = self._files.stage_action(replace(context, action_name=f"{context.action_name}Files"))
        later = replace(context, run_order=context.run_order + 1)
        return StageAction(
            prepared_by=[files.action],
            action=invoke_action(later, self._invalidator.name_for(context)),
            permissions=[*files.permissions, *invoke_statements(self.invalidator.function_arn)],
        )


def _check_key(key: str, *, folder: bool) -> None:
    if not key or key.startswith("/") or "//" in key:
        raise ConfigurationError(
            f"object_key={key!r}, which makes folders without a name",
            at=_AT,
            fix="write it without a slash in front: 'releases/shop'",
        )
    if not folder and key.endswith("/"):
        raise ConfigurationError(
            f"object_key={key!r} is a folder, for an artifact as one object",
            at=_AT,
            fix="name the object: 'releases/shop.zip'",
        )
    if len(key.encode()) > _LONGEST_KEY:
        raise ConfigurationError(
            f"object_key of {len(key.encode())} bytes, S3 takes {_LONGEST_KEY}", at=_AT, fix="use a shorter one"
        )
    check_setting(_AT, "object_key", key, fix="use a shorter one")


def _check_acl(bucket: s3.IBucket, acl: s3.BucketAccessControl) -> None:
    if acl.name not in _ACLS:
        raise ConfigurationError(
            f"access_control={acl.name}, an ACL of buckets", at=_AT, fix=f"use one of {', '.join(_ACLS)}"
        )
    resource: Any = bucket.node.default_child
    if resource is None or acl.name == "BUCKET_OWNER_FULL_CONTROL":
        return
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    properties = Stack.of(bucket).resolve(resource._cfn_properties)
    rules = (properties.get("ownershipControls") or {}).get("rules", [])
    if all(rule["objectOwnership"] == "BucketOwnerEnforced" for rule in rules):
        raise ConfigurationError(
            f"access_control={acl.name} for bucket {bucket.node.path!r}, which takes no ACLs",
            at=_AT,
            fix="leave it out and let a bucket policy say who may read, or make the bucket with "
            "object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED",
        )
    block = properties.get("publicAccessBlockConfiguration") or {}
    if acl.name.startswith("PUBLIC_") and block.get("blockPublicAcls", False):
        raise ConfigurationError(
            f"access_control={acl.name} for bucket {bucket.node.path!r}, which blocks public ACLs",
            at=_AT,
            fix="leave it out, and put a CloudFront distribution in front of the bucket: WebsiteDeployment",
        )


def _check_invalidation(at: Construct, paths: Sequence[str]) -> None:
    check_list(at, "paths", paths)
    if not paths:
        raise ConfigurationError("no paths to forget", at=at, fix='give paths=["/*"], or use S3Deployment')
    wildcards = [path for path in paths if path.endswith("*")]
    for what, given, most in (("paths", paths, _MOST_PATHS), ("paths with a wildcard", wildcards, _MOST_WILDCARDS)):
        if len(given) > most:
            raise ConfigurationError(
                f"{len(given)} {what}, CloudFront works on {most} at a time", at=at, fix='give fewer, such as ["/*"]'
            )
    for path in paths:
        if unresolved(path):
            continue
        if not path.startswith("/") or "*" in path[:-1] or len(path) > _LONGEST_INVALIDATION:
            raise ConfigurationError(
                f"paths: {path[:40]!r}, which CloudFront would not take for a path of its own",
                at=at,
                fix=f"put a slash in front, a wildcard at the end only, and use {_LONGEST_INVALIDATION} characters at "
                "most: '/images/*'",
            )


_AT = "S3Deployment"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
_ACLS = {
    "PRIVATE": "private",
    "PUBLIC_READ": "public-read",
    "PUBLIC_READ_WRITE": "public-read-write",
    "AUTHENTICATED_READ": "authenticated-read",
    "AWS_EXEC_READ": "aws-exec-read",
    "BUCKET_OWNER_READ": "bucket-owner-read",
    "BUCKET_OWNER_FULL_CONTROL": "bucket-owner-full-control",
}
