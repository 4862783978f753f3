"""Floor 2: the encrypted bucket through which artifacts move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnOutput, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.cross_account import Admission, outermost, partition_of, unique_name
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name, stack_of
from code_family_constructs.permissions import Statement, acknowledge, arn, pseudo
from code_family_constructs.storage import (
    LogBucket,
    check_removal_policy,
    encrypted_bucket,
    end_of_life,
    policy_of,
    service_statement,
)
from code_family_constructs.tokens import unresolved

_YEAR = Duration.days(365)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a role in another account or region does to a pipeline's artifacts.

    Attributes:
        objects: Actions on the artifacts themselves.
        bucket: Actions on their bucket.
        key: Actions on their key, as far as Amazon S3 does them.
        key_itself: Actions on their key that the role does itself.
    """

    objects: Sequence[str]
    key: Sequence[str]
    bucket: Sequence[str] = ()
    key_itself: Sequence[str] = ()


FETCH = Access(objects=["s3:GetObject", "s3:GetObjectVersion"], key=["kms:Decrypt"])
"""Of whoever fetches a revision, such as an instance's CodeDeploy agent."""

# https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html
TAKE = Access(
    objects=["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
    bucket=["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
    key=["kms:Decrypt"],
    key_itself=["kms:DescribeKey"],
)
"""Of an action that takes artifacts."""

MAKE = Access(
    objects=["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"],
    key=["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
)
"""Of an action that makes some, besides."""


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
            deployed again, by a rollback or by a new instance of an Auto Scaling group.
        bucket_name: Name of the bucket, one that nobody in AWS has. With RETAIN it is taken, too, once the stack is
            gone. Left out, CloudFormation makes one, or this construct, as soon as others have to know it.

    A pipeline that deploys to another region needs a store there too, in a stack of the pipeline's account, and to be
    told of it (`cross_region_stores`). Other accounts and pipelines of other regions know a store by the name of its
    bucket. Without `bucket_name` the bucket gets one when the first of them uses the store, and loses it with the last:
    each time it is another bucket, an empty one, and what was deployed from the old one cannot be deployed again. A
    store that pipelines in other stacks use needs a `bucket_name` for it: these would go on with the old bucket, or
    keep CloudFormation from making the new one.

    Raises:
        ConfigurationError: A removal policy, an expiry or a bucket name that S3 does not have.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        artifacts_expire_after: Duration = _YEAR,
        bucket_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        check_removal_policy(self, removal_policy)
        _check_expiry(self, artifacts_expire_after)
        if bucket_name is not None:
            check_name(self, bucket_name, _BUCKET_NAME)
        self._folders: dict[str, tuple[str, Construct]] = {}
        self._admissions: dict[tuple[str, ...], Admission] = {}
        self._admitted = 0
        self._output: CfnOutput | None = None
        self._name: str | None = None
        self._named_here = False
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
            bucket_name=bucket_name,
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
            ConfigurationError: Another pipeline has that folder, and each would be allowed the other's artifacts; or
                the pipeline is in another stack, and the bucket has no name of its own though other accounts know it.
        """
        folder = _folder(pipeline_name)
        other, whose = self._folders.setdefault(folder, (pipeline_name, pipeline))
        if whose is not pipeline:
            raise ConfigurationError(
                f"pipelines {other!r} and {pipeline_name!r} would keep their artifacts in the same folder, {folder!r}",
                at=pipeline,
                fix=f"give pipeline_name= one that differs in its first {_FOLDER} characters, or a store each",
            )
        if self._named_here:
            self._check_users()

    def permissions_of_pipeline(
        self, pipeline_name: str, *, from_other_region: bool = False, lists: bool = False
    ) -> list[Statement]:
        """What the role of a pipeline needs of its artifacts.

        Args:
            pipeline_name: Physical name of the pipeline.
            from_other_region: The pipeline is in another region than this store.
            lists: Whether an action, such as CodeCommit's, looks by a listing whether the bucket is there.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        bucket_arn = self._bucket_arn_as_text() if from_other_region else self._bucket_arn
        key_arn = self._key_arn_elsewhere() if from_other_region else self._key_arn
        return [
            Statement(
                actions=[
                    *("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"),
                    *(["s3:ListBucket"] if lists else []),
                ],
                resources=[bucket_arn],
            ),
            _objects(
                bucket_arn,
                pipeline_name,
                "s3:GetObject",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionTagging",
                "s3:PutObject",
                "s3:PutObjectAcl",
                "s3:PutObjectTagging",
            ),
            _use_key(key_arn),
        ]

    def permissions_of_build(self, pipeline_name: str, *, makes: bool = True) -> list[Statement]:
        """What the role of a build needs to read its input and write its output.

        Args:
            pipeline_name: The pipeline that it works for.
            makes: Whether it has output: what only tests must not be able to replace what is
                deployed.

        https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
        """
        bucket = Statement(actions=["s3:GetBucketAcl", "s3:GetBucketLocation"], resources=[self._bucket_arn])
        if not makes:
            return [bucket, *self.permissions_of_reader(pipeline_name)]
        return [
            bucket,
            _objects(self._bucket_arn, pipeline_name, "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
            _use_key(self._key_arn),
        ]

    def permissions_of_reader(self, pipeline_name: str) -> list[Statement]:
        """What whoever fetches a revision needs, such as an instance's CodeDeploy agent."""
        return [
            _objects(self._bucket_arn, pipeline_name, *FETCH.objects),
            Statement(actions=FETCH.key, resources=[self._key_arn]),
        ]

    def permissions_elsewhere(
        self, pipeline_name: str, access: Access, artifacts: Sequence[str] = ()
    ) -> list[Statement]:
        """What a role in another account or region needs of a pipeline's artifacts.

        The store has to let it in, too: `let_in`. Templates over there can name the bucket, whose name is known, but
        not the key: the role may use keys of the store's account for what Amazon S3 keeps in this bucket. Of those,
        this store's key is the one whose policy lets the role in.

        Args:
            pipeline_name: Physical name of the pipeline.
            access: What the role does.
            artifacts: Names of the artifacts that it does that to; all of the pipeline's when left out.

        Raises:
            ConfigurationError: The account and region of the store are not known at synth time.
        """
        region, account = self._place()
        bucket_arn, aws = self._bucket_arn_as_text(), pseudo()
        objects = _patterns(bucket_arn, pipeline_name, artifacts)
        # A bucket of this name in another account is not this store, should the store ever be gone.
        ours = {"StringEquals": {"aws:ResourceAccount": account}}
        keys = [f"arn:{aws.partition}:kms:{region}:{account}:key/*"]
        statements = [
            Statement(actions=access.objects, resources=objects, conditions=ours, wildcard_reason=_FOLDER_REASON),
            Statement(
                actions=access.key,
                resources=keys,
                conditions={
                    "StringEquals": {"kms:ViaService": f"s3.{region}.{aws.url_suffix}"},
                    # That of the bucket for objects under its bucket key, that of the object for any others.
                    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
                    "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, *objects]},
                },
                wildcard_reason=f"{_KEY_REASON}; the conditions leave what S3 keeps in this one bucket",
            ),
        ]
        if access.bucket:
            statements.append(Statement(actions=access.bucket, resources=[bucket_arn], conditions=ours))
        if access.key_itself:
            statements.append(
                Statement(
                    actions=access.key_itself,
                    resources=keys,
                    wildcard_reason=f"{_KEY_REASON}; DescribeKey shows the settings of a key and lets nobody use it",
                )
            )
        return statements

    def let_in(self, pipeline_name: str, access: Access, role_arn: str, artifacts: Sequence[str] = ()) -> None:
        """Lets a role of another account use a pipeline's artifacts; those of this account need no such thing.

        Args:
            pipeline_name: Physical name of the pipeline.
            access: What the role does.
            role_arn: Of a role that exists or is going to, as text.
            artifacts: Names of the artifacts that it does that to; all of the pipeline's when left out.

        Raises:
            ConfigurationError: More roles than a bucket policy has room for.
        """
        _, account = self._place()
        if role_arn.split(":")[4] == account:
            return
        self._bucket_arn_as_text()
        # With the bucket's reference: its policy is in the same template.
        objects = _patterns(self._bucket_arn, pipeline_name, artifacts)
        add_to_bucket = policy_of(self.bucket).document.add_statements
        self._admit(role_arn, add_to_bucket, access.objects, objects)
        self._admit(role_arn, add_to_bucket, access.bucket, [self._bucket_arn])
        self._admit(role_arn, self.key.add_to_resource_policy, [*access.key, *access.key_itself], ["*"])

    def _admit(self, role_arn: str, add: Any, actions: Sequence[str], resources: Sequence[str]) -> None:
        if not actions:
            return
        admission = self._admissions.setdefault((*resources, *actions), Admission(add, actions, resources))
        length = admission.admit(role_arn)
        # A key policy has more room, and needs less.
        self._admitted += 0 if resources == ["*"] else length
        if self._admitted > _MOST_ADMITTED:
            raise ConfigurationError(
                f"role {role_arn} would be one more than the policy of an artifact bucket has room for",
                at=self,
                fix="give some of the pipelines a store of their own",
            )

    def seen_from(self, scope: Construct, id: str) -> s3.IBucket:
        """The bucket with its key, for a pipeline in another region.

        The key's ARN, which AWS makes up, comes from an output of this store's stack when the other stack is deployed;
        whoever deploys that one needs `cloudformation:DescribeStacks` on this one.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html

        Args:
            scope: Where the bucket is going to be referred to.
            id: Construct id.

        Raises:
            ConfigurationError: The store is in a nested stack, or its account and region are not known at synth time.
        """
        region, account = self._place()
        return s3.Bucket.from_bucket_attributes(
            scope,
            id,
            bucket_arn=self._bucket_arn_as_text(),
            region=region,
            account=account,
            encryption_key=kms.Key.from_key_arn(scope, f"{id}Key", self._key_arn_elsewhere()),
        )

    def _place(self) -> tuple[str, str]:
        stack = Stack.of(self)
        if unresolved(stack.account) or unresolved(stack.region):
            raise ConfigurationError(
                f"artifact store {self.node.path!r} is for other accounts or regions, in a stack whose own are not "
                "known at synth time",
                at=self,
                fix="give its stack env= with account and region",
            )
        return stack.region, stack.account

    def _bucket_arn_as_text(self) -> str:
        region, account = self._place()
        if self._name is None:
            bucket: Any = self.bucket.node.default_child
            if Stack.of(self).resolve(bucket.bucket_name) is None:
                self._named_here = True
                self._check_users()
                bucket.bucket_name = unique_name(self.bucket, _BUCKET_NAME.longest, more=[account, region]).lower()
            self._name = bucket.bucket_name
        if unresolved(self._name):
            raise ConfigurationError(
                f"artifact store {self.node.path!r} is for other accounts or regions, and the name of its bucket is "
                "not known at synth time",
                at=self,
                fix="give it bucket_name= as plain text, or leave it out",
            )
        return f"arn:{partition_of(region)}:s3:::{self._name}"

    def _check_users(self) -> None:
        # Those of other regions say the name as text: their templates change with it.
        ours = outermost(stack_of(self))
        for name, pipeline in self._folders.values():
            theirs = outermost(stack_of(pipeline))
            if theirs is not ours and theirs.region == ours.region:
                raise ConfigurationError(
                    f"other accounts or regions have to know the bucket of artifact store {self.node.path!r}, and "
                    f"pipeline {name!r} of stack {theirs.stack_name!r} refers to it: when it gets a name of its own, "
                    "that one keeps the old bucket, or keeps CloudFormation from making the new one",
                    at=self,
                    fix="give the store a bucket_name=, or the pipeline a store in its own stack",
                )

    def _key_arn_elsewhere(self) -> str:
        region, _ = self._place()
        stack = Stack.of(self)
        if stack.nested:
            raise ConfigurationError(
                f"artifact store {self.node.path!r} is for another region, in a nested stack, whose outputs nobody can "
                "read from there",
                at=self,
                fix="make the store in a stack that is not nested",
            )
        if self._output is None:
            self._output = CfnOutput(self, "KeyArn", value=self._key_arn)
        return Fn.get_stack_output(stack.stack_name, str(stack.resolve(self._output.logical_id)), region)


def _patterns(bucket_arn: str, pipeline_name: str, artifacts: Sequence[str]) -> list[str]:
    return [_pattern(bucket_arn, pipeline_name, artifact) for artifact in artifacts or [""]]


def _pattern(bucket_arn: str, pipeline_name: str, artifact: str = "") -> str:
    folders = _cut(pipeline_name, _FOLDER)
    if artifact:
        folders = f"{folders}/{_cut(artifact, _ARTIFACT_FOLDER)}"
    return f"{bucket_arn}/{folders}" if folders.endswith("*") else f"{bucket_arn}/{folders}/*"


def _cut(name: str, longest: int) -> str:
    # Of a name that was cut, nobody but CodePipeline knows how it goes on.
    return name if len(name) <= longest else f"{name[:longest]}*"


def _objects(bucket_arn: str, pipeline_name: str, *actions: str) -> Statement:
    return Statement(actions=actions, resources=[_pattern(bucket_arn, pipeline_name)], wildcard_reason=_FOLDER_REASON)


def _use_key(key_arn: str) -> Statement:
    return Statement(
        actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", *_RE_ENCRYPT],
        resources=[key_arn],
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
# In there each artifact has a folder, of a name that is cut too. No page says where: examples and logs say after ten
# characters, one says nine; fewer of them here cost little.
_ARTIFACT_FOLDER = 8
_RE_ENCRYPT = ("kms:ReEncryptFrom", "kms:ReEncryptTo")
_FOLDER_REASON = "CodePipeline names artifacts at run time; the folder is this pipeline's own"
_KEY_REASON = "a template cannot know the id of a key in another account or region"
# Without dots, which Amazon S3's certificate does not cover; and every part of AWS takes it for a name.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = NameRule("bucket", "[a-z0-9-]", 63, shortest=3, first="[a-z0-9]")
# Characters, with room for what else is in a bucket policy of 20 KB.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
_MOST_ADMITTED = 16_000
