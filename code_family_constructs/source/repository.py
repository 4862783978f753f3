"""Floor 1: repositories in CodeCommit."""

from typing import TYPE_CHECKING, Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, physical_name
from code_family_constructs.permissions import arn, pseudo
from code_family_constructs.source.pull_requests import PullRequestBuild, PullRequestChecks
from code_family_constructs.storage import check_removal_policy
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns

_REPOSITORY_NAME = NameRule("repository", "[A-Za-z0-9_.-]", 100)
_LONGEST_DESCRIPTION = 1000


class Repository(Construct):
    """A Git repository in CodeCommit, encrypted with a key of its own.

    Creates the repository and a customer-managed KMS key that rotates yearly (1 USD a month). Whoever may use the
    repository may use the key through CodeCommit and in no other way, as with AWS's own key for it. `Source.codecommit`
    starts a pipeline with each push, by an event and without polling. The first five users of an account are free.
    https://docs.aws.amazon.com/codecommit/latest/userguide/encryption.html

    Args:
        scope: Parent construct.
        id: Construct id.
        repository_name: Made from the stack's name when left out.
        description: What it is for, at most 1000 characters.
        key: Key to share; it has to belong to this app, for its policy is extended.
        code: What it starts with, such as `codecommit.Code.from_directory(…)`; a later change of it does nothing.
        removal_policy: RETAIN keeps repository and key when the stack goes; DESTROY deletes both, with all branches.

    Raises:
        ConfigurationError: A name or a description that CodeCommit would refuse, a key or removal policy that it does
            not have.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository_name: str | None = None,
        description: str | None = None,
        key: kms.Key | None = None,
        code: codecommit.Code | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, repository_name, _REPOSITORY_NAME)
        _check(self, name, description, key)
        check_removal_policy(self, removal_policy)
        self.repository_name = name
        self.repository_arn = arn("codecommit", name)
        self.key = key or kms.Key(
            self,
            "Key",
            description=f"Repository {name}",
            enable_key_rotation=True,
            # Together with the repository: nobody can read a repository without its key.
            removal_policy=removal_policy,
        )
        _let_in_through_codecommit(self.key)
        self.repository = codecommit.Repository(
            self, "Repository", repository_name=name, description=description, kms_key=self.key, code=code
        )
        self.repository.apply_removal_policy(removal_policy)
        self._checks: PullRequestChecks | None = None

    def check_pull_requests(
        self, build: PullRequestBuild, *, alarm_topic: "sns.ITopic | None" = None
    ) -> PullRequestChecks:
        """Runs a build for each new state of a pull request, and comments there how it went.

        Args:
            build: A build of this repository, such as a `BuildProject` with `ProjectSource.codecommit(…)`.
            alarm_topic: Told when a build could not be started, or a comment not be made.

        Raises:
            ConfigurationError: The build is none of this repository, the topic would not get the alarms, or there is a
                build already.
        """
        if self._checks is not None:
            raise ConfigurationError(
                f"a second build of the pull requests of {self.repository_name}",
                at=self,
                fix="add PullRequestChecks(self, …, repository=repository.repository, build=…) for it",
            )
        self._checks = PullRequestChecks(
            self, "PullRequests", repository=self.repository, build=build, alarm_topic=alarm_topic
        )
        return self._checks


def _check(at: Construct, name: str, description: str | None, key: Any) -> None:
    # https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html
    if not unresolved(name) and name.endswith(".git"):
        raise ConfigurationError(
            f"repository name {name!r} ends with '.git'", at=at, fix=f"write {name.removesuffix('.git')!r}"
        )
    if description is not None and not unresolved(description) and len(description) > _LONGEST_DESCRIPTION:
        raise ConfigurationError(
            f"a description of {len(description)} characters", at=at, fix=f"use {_LONGEST_DESCRIPTION} at most"
        )
    if key is not None and not isinstance(key, kms.Key):
        raise ConfigurationError(
            f"key {key.node.path!r} is not made in this app: users of the repository cannot be let into its policy",
            at=at,
            fix="leave key= out, or give a kms.Key",
        )


def _let_in_through_codecommit(key: kms.Key) -> None:
    aws = pseudo()
    key.add_to_resource_policy(
        iam.PolicyStatement.from_json(
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": list(_USE_KEY),
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": aws.account,
                        "kms:ViaService": f"codecommit.{aws.region}.{aws.url_suffix}",
                    }
                },
            }
        )
    )


_USE_KEY = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
