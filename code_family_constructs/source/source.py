"""Floor 1: the revisions that a pipeline releases."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from code_family_constructs.actions import ActionContext, DeclaredAction
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.repositories import (
    AZURE_DEVOPS,
    BITBUCKET,
    GITHUB,
    GITHUB_ENTERPRISE,
    GITLAB,
    GITLAB_SELF_MANAGED,
    RepositoryRule,
    check_branch,
)
from code_family_constructs.source import SourceContext
from code_family_constructs.source.bucket_events import notify_event_bridge
from code_family_constructs.source.connection import (
    CodeConnection,
    Connection,
    ProviderType,
    check_provider,
    use_connection,
)
from code_family_constructs.source.console import console_page
from code_family_constructs.source.events import check_here, start_pipeline
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

    from code_family_constructs.source.repository import Repository


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where revisions come from; made with `Source.github(…)` and the like.

    One is as good as the other for a pipeline: only the source action differs.

    Attributes:
        describe: The source in one line, for people.
        provider: CodePipeline's name for the kind of source, such as `CodeStarSourceConnection`.
        action_name: What the action is called in a pipeline with one source.
        source_action: Makes the action for a pipeline, and what starts the pipeline by itself.
        permissions: What the pipeline's role needs.
        variables: Names of the variables that the action puts out. Behind a connection, those of pull requests and tags
            (and `BranchName`, which pull requests lack) are there only in executions that such a trigger has started.
        build_permissions: What a build needs to fetch the source itself.
        full_clone: The artifact is a reference that only CodeBuild can follow, not a ZIP file.
        branch: The branch, where there are branches.
        provider_type: Where the repository is, in the words of CodeConnections; None for what is not behind them.
        repository: The repository there, as in `owner/name`.
        detects_changes: Whether each change is to start the pipeline.
        pages: Where a browser shows a commit, and what is new in it.
    """

    describe: str
    provider: str
    action_name: str
    source_action: Callable[[SourceContext], codepipeline.IAction]
    permissions: Sequence[Statement]
    variables: frozenset[str]
    build_permissions: Sequence[Statement] = ()
    full_clone: bool = False
    branch: str | None = None
    provider_type: ProviderType | None = None
    repository: str | None = None
    detects_changes: bool = True
    pages: "Pages | None" = None

    def revision_link(self, namespace: str) -> str | None:
        """Address of the commit that is released; none where there are no commits, or their address is not known.

        Args:
            namespace: The action's namespace, such as `SourceVariables`.
        """
        return self.pages.commit.replace(_COMMIT, _commit_of(namespace)) if self.pages else None

    def compare_link(self, namespace: str, base: str) -> str | None:
        """Address that shows what the commit that is released has more than a branch, where that is known.

        Args:
            namespace: The action's namespace, such as `SourceVariables`.
            base: A branch, such as the one that is moved on with each release.

        Raises:
            ConfigurationError: The branch is no branch name.
        """
        check_branch("Source.compare_link", base, self.describe)
        if self.pages is None:
            return None
        base = base if unresolved(base) else quote(base)
        return self.pages.compare.replace(_BASE, base).replace(_COMMIT, _commit_of(namespace))

    @staticmethod
    def github(
        repository: str,
        *,
        connection: Connection,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a GitHub repository, through a connection.

        Args:
            repository: `owner/name`, as in the repository's address; upper and lower case matter.
            connection: A `CodeConnection`, or `CodeConnection.from_connection_arn(…)`.
            branch: Branch whose pushes are released.
            code_build_clone_output: Hand the build a full clone with Git history instead of a ZIP file. Then only
                CodeBuild can read the source artifact, and the build's role may use the connection.
            trigger_on_push: Start a release with each push.

        Raises:
            ConfigurationError: The repository is not `owner/name`, the branch is no branch name, or the connection is
                one to another provider.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        """
        return _connected(
            "Source.github",
            GITHUB,
            repository,
            provider_type="GitHub",
            action_name="GitHub",
            connection=connection,
            branch=branch,
            full_clone=code_build_clone_output,
            trigger_on_push=trigger_on_push,
            pages=_github_pages("https://github.com", repository),
        )

    @staticmethod
    def github_enterprise(
        repository: str,
        *,
        connection: Connection,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a repository on a GitHub Enterprise Server.

        Links need the server's address: a `CodeConnection` of this app knows it from its host.

        Args:
            repository: `owner/name`, as for `github`.
            connection: A connection to the server.
            branch: As for `github`.
            code_build_clone_output: As for `github`.
            trigger_on_push: As for `github`.

        Raises:
            ConfigurationError: As for `github`.
        """
        server = _server(connection)
        return _connected(
            "Source.github_enterprise",
            GITHUB_ENTERPRISE,
            repository,
            provider_type="GitHubEnterpriseServer",
            action_name="GitHubEnterprise",
            connection=connection,
            branch=branch,
            full_clone=code_build_clone_output,
            trigger_on_push=trigger_on_push,
            pages=_github_pages(server, repository) if server else None,
        )

    @staticmethod
    def gitlab(
        repository: str,
        *,
        connection: Connection,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a project at gitlab.com.

        Args:
            repository: `group/name`, with subgroups in between; upper and lower case matter.
            connection: As for `github`.
            branch: As for `github`.
            code_build_clone_output: As for `github`.
            trigger_on_push: As for `github`.

        Raises:
            ConfigurationError: The repository is not `group/name`, or as for `github`.
        """
        return _connected(
            "Source.gitlab",
            GITLAB,
            repository,
            provider_type="GitLab",
            action_name="GitLab",
            connection=connection,
            branch=branch,
            full_clone=code_build_clone_output,
            trigger_on_push=trigger_on_push,
            pages=_gitlab_pages("https://gitlab.com", repository),
        )

    @staticmethod
    def gitlab_self_managed(
        repository: str,
        *,
        connection: Connection,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a project on a GitLab server of your own.

        Links need the server's address, as for `github_enterprise`.

        Args:
            repository: `group/name`, as for `gitlab`.
            connection: A connection to the server.
            branch: As for `github`.
            code_build_clone_output: As for `github`.
            trigger_on_push: As for `github`.

        Raises:
            ConfigurationError: As for `gitlab`.
        """
        server = _server(connection)
        return _connected(
            "Source.gitlab_self_managed",
            GITLAB_SELF_MANAGED,
            repository,
            provider_type="GitLabSelfManaged",
            action_name="GitLabSelfManaged",
            connection=connection,
            branch=branch,
            full_clone=code_build_clone_output,
            trigger_on_push=trigger_on_push,
            pages=_gitlab_pages(server, repository) if server else None,
        )

    @staticmethod
    def bitbucket(
        repository: str,
        *,
        connection: Connection,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a repository at bitbucket.org.

        Args:
            repository: `workspace/name`.
            connection: As for `github`.
            branch: As for `github`.
            code_build_clone_output: As for `github`.
            trigger_on_push: As for `github`.

        Raises:
            ConfigurationError: The repository is not `workspace/name`, or as for `github`.
        """
        page = f"https://bitbucket.org/{repository}"
        return _connected(
            "Source.bitbucket",
            BITBUCKET,
            repository,
            provider_type="Bitbucket",
            action_name="Bitbucket",
            connection=connection,
            branch=branch,
            full_clone=code_build_clone_output,
            trigger_on_push=trigger_on_push,
            pages=Pages(f"{page}/commits/{_COMMIT}", f"{page}/branches/compare/{_COMMIT}%0D{_BASE}"),
        )

    @staticmethod
    def azure_devops(
        repository: str, *, connection: Connection, branch: str = "main", trigger_on_push: bool = True
    ) -> "Source":
        """A branch of a Git repository in Azure DevOps, always as a ZIP file.

        CodePipeline offers a full clone too, but CodeBuild cannot clone from there: each build would fail.

        Args:
            repository: `organization/project/repository`.
            connection: As for `github`.
            branch: As for `github`.
            trigger_on_push: As for `github`.

        Raises:
            ConfigurationError: The repository is not `organization/project/repository`, or as for `github`.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/connections-azure.html
        """
        place, _, name = (repository if unresolved(repository) else quote(repository)).rpartition("/")
        page = f"https://dev.azure.com/{place}/_git/{name}"
        return _connected(
            "Source.azure_devops",
            AZURE_DEVOPS,
            repository,
            provider_type="AzureDevOps",
            action_name="AzureDevOps",
            connection=connection,
            branch=branch,
            full_clone=False,
            trigger_on_push=trigger_on_push,
            pages=Pages(
                f"{page}/commit/{_COMMIT}",
                f"{page}/branchCompare?baseVersion=GB{_BASE}&targetVersion=GC{_COMMIT}",
            ),
        )

    @staticmethod
    def codecommit(
        repository: "Repository | codecommit.IRepository",
        *,
        branch: str = "main",
        code_build_clone_output: bool = False,
        trigger_on_push: bool = True,
    ) -> "Source":
        """A branch of a CodeCommit repository in the pipeline's account and region, started by an EventBridge rule.

        Args:
            repository: A `Repository`, or one of aws-cdk-lib. Of one with a customer-managed key, the key's policy has
                to let in who uses it through CodeCommit, as that of a `Repository` does.
            branch: As for `github`.
            code_build_clone_output: As for `github`; the build's role may then pull from the repository.
            trigger_on_push: As for `github`. Without it nothing is made that could start the pipeline.

        Raises:
            ConfigurationError: The branch is no branch name; or, in a pipeline, the repository is elsewhere.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeCommit.html
        """
        fix = "a Repository, or codecommit.Repository.from_repository_name(…)"
        _check_given("Source.codecommit", repository, "repository_name", fix)
        given: Any = repository
        found: codecommit.IRepository = getattr(given, "repository", given)
        # The one for people is known at synth; what CloudFormation gets waits for the repository.
        shown: str = given.repository_name
        name, repository_arn = found.repository_name, found.repository_arn
        check_branch("Source.codecommit", branch, shown)

        def action(context: SourceContext) -> codepipeline.IAction:
            check_here(context.scope, found, f"repository {found.node.path!r}")
            if context.detect_changes:
                start_pipeline(
                    context,
                    {
                        "source": ["aws.codecommit"],
                        "detail-type": ["CodeCommit Repository State Change"],
                        "resources": [repository_arn],
                        "detail": {
                            "event": ["referenceCreated", "referenceUpdated"],
                            "referenceType": ["branch"],
                            "referenceName": [branch],
                        },
                    },
                )
            return _declared(
                context,
                "CodeCommit",
                {
                    "RepositoryName": name,
                    "BranchName": branch,
                    "PollForSourceChanges": "false",
                    "OutputArtifactFormat": "CODEBUILD_CLONE_REF" if code_build_clone_output else None,
                },
            )

        page = console_page(found.env.region, f"codecommit/repositories/{shown}/{_PLACE}")
        return Source(
            describe=f"{found.node.id if unresolved(shown) else shown}@{branch}",
            provider="CodeCommit",
            action_name="CodeCommit",
            source_action=action,
            permissions=[
                Statement(
                    actions=[*_READ_REPOSITORY, *(["codecommit:GetRepository"] if code_build_clone_output else ())],
                    resources=[repository_arn],
                )
            ],
            build_permissions=(
                [Statement(actions=["codecommit:GitPull"], resources=[repository_arn])]
                if code_build_clone_output
                else ()
            ),
            full_clone=code_build_clone_output,
            branch=branch,
            detects_changes=trigger_on_push,
            variables=_OF_CODECOMMIT,
            pages=Pages(
                page.replace(_PLACE, f"commit/{_COMMIT}"), page.replace(_PLACE, f"compare/{_BASE}/.../{_COMMIT}")
            ),
        )

    @staticmethod
    def s3(bucket: "s3.IBucket", object_key: str, *, trigger_on_upload: bool = True) -> "Source":
        """An object in a bucket of the pipeline's account and region, started by an EventBridge rule.

        Of a bucket that is made in this app, it turns the notifications for EventBridge on. What else the bucket is to
        notify (`bucket.add_event_notification`) has to be said before the pipeline is made: the synthesis fails where
        aws-cdk-lib would turn these off again. A bucket that is not made here must have them on, and be versioned:
        nothing says so at synth.

        Args:
            bucket: A versioned bucket.
            object_key: Key of the object, a ZIP file as a rule.
            trigger_on_upload: Start a release with each new version of the object.

        Raises:
            ConfigurationError: The bucket is not versioned, nothing but an alias tells its KMS key, the key is none of
                an object; or, in a pipeline, the bucket is elsewhere.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/create-S3-source-events.html
        """
        _check_given("Source.s3", bucket, "bucket_name", "an s3.Bucket, or s3.Bucket.from_bucket_name(…)")
        resource: Any = bucket.node.default_child
        _check_object(bucket, resource, object_key)
        name, bucket_arn, key = bucket.bucket_name, bucket.bucket_arn, _key_of(bucket)

        def action(context: SourceContext) -> codepipeline.IAction:
            check_here(context.scope, bucket, f"bucket {bucket.node.path!r}")
            if context.detect_changes:
                if resource is not None:
                    notify_event_bridge(bucket, resource)
                start_pipeline(
                    context,
                    {
                        "source": ["aws.s3"],
                        "detail-type": ["Object Created"],
                        "detail": {"bucket": {"name": [name]}, "object": {"key": [object_key]}},
                    },
                )
            return _declared(
                context, "S3", {"S3Bucket": name, "S3ObjectKey": object_key, "PollForSourceChanges": "false"}
            )

        return Source(
            describe=f"s3://{bucket.node.id if unresolved(name) else name}/{object_key}",
            provider="S3",
            action_name="S3",
            source_action=action,
            permissions=[
                Statement(actions=_READ_BUCKET, resources=[bucket_arn]),
                Statement(actions=_READ_OBJECT, resources=[f"{bucket_arn}/{object_key}"]),
                *([Statement(actions=["kms:Decrypt"], resources=[key.key_arn])] if key else ()),
            ],
            detects_changes=trigger_on_upload,
            variables=_OF_S3,
        )

    @staticmethod
    def ecr(repository: "ecr.IRepository", *, image_tag: str = "latest", trigger_on_push: bool = True) -> "Source":
        """An image in a repository of the pipeline's account and region, started by an EventBridge rule.

        The artifact is `imageDetail.json`, which says the image's digest, and not the image.

        Args:
            repository: The repository.
            image_tag: A tag that moves: each push of it is a revision.
            trigger_on_push: Start a release with each push of the tag.

        Raises:
            ConfigurationError: The tag is none, or one of a repository of this app whose tags never move; or, in a
                pipeline, the repository is elsewhere.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECR.html
        """
        fix = "an ecr.Repository, or ecr.Repository.from_repository_name(…)"
        _check_given("Source.ecr", repository, "repository_uri", fix)
        _check_tag(repository, image_tag)
        name = repository.repository_name

        def action(context: SourceContext) -> codepipeline.IAction:
            check_here(context.scope, repository, f"repository {repository.node.path!r}")
            if context.detect_changes:
                start_pipeline(
                    context,
                    {
                        "source": ["aws.ecr"],
                        "detail-type": ["ECR Image Action"],
                        "detail": {
                            "action-type": ["PUSH"],
                            "result": ["SUCCESS"],
                            "repository-name": [name],
                            "image-tag": [image_tag],
                        },
                    },
                )
            return _declared(context, "ECR", {"RepositoryName": name, "ImageTag": image_tag})

        return Source(
            describe=f"{repository.node.id if unresolved(name) else name}:{image_tag}",
            provider="ECR",
            action_name="ECR",
            source_action=action,
            permissions=[Statement(actions=["ecr:DescribeImages"], resources=[repository.repository_arn])],
            detects_changes=trigger_on_push,
            variables=_OF_ECR,
        )


@dataclass(frozen=True, slots=True)
class Pages:
    """Where a browser shows commits.

    Attributes:
        commit: Address of a commit, with `{commit}` where its id belongs.
        compare: Address that shows what it has more than a branch, with `{base}` where the branch's name belongs.
    """

    commit: str
    compare: str


_COMMIT, _BASE, _PLACE = "{commit}", "{base}", "{place}"

# https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
_OF_CONNECTIONS = frozenset(
    {
        *("AuthorDate", "AuthorDisplayName", "AuthorEmail", "AuthorId", "BranchName", "CommitId", "CommitMessage"),
        *("ConnectionArn", "DestinationBranchName", "FullRepositoryName", "ProviderType", "PullRequestId"),
        *("PullRequestTitle", "SourceBranchName", "TagName"),
    }
)
_OF_CODECOMMIT = frozenset({"AuthorDate", "BranchName", "CommitId", "CommitMessage", "CommitterDate", "RepositoryName"})
_OF_S3 = frozenset({"BucketName", "ETag", "ObjectKey", "VersionId"})
_OF_ECR = frozenset({"ImageDigest", "ImageTag", "ImageURI", "RegistryId", "RepositoryName"})

_READ_REPOSITORY = (
    "codecommit:CancelUploadArchive",
    "codecommit:GetBranch",
    "codecommit:GetCommit",
    "codecommit:GetUploadArchiveStatus",
    "codecommit:UploadArchive",
)
_READ_BUCKET = ("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning")
_READ_OBJECT = ("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging")


def _connected(
    at: str,
    rule: RepositoryRule,
    repository: str,
    *,
    provider_type: ProviderType,
    action_name: str,
    connection: Connection,
    branch: str,
    full_clone: bool,
    trigger_on_push: bool,
    pages: Pages | None,
) -> Source:
    if unresolved(repository) and "/" not in repository:
        raise ConfigurationError(
            "the repository is a token as a whole", at=at, fix="give owner and name apart: f'{owner}/{name}'"
        )
    rule.check(at, repository)
    check_branch(at, branch, repository)
    check_provider(at, connection, provider_type)
    owner, _, name = repository.rpartition("/")
    _check_given(at, connection, "connection_arn", "a CodeConnection, or CodeConnection.from_connection_arn('arn:…')")
    connection_arn = connection.connection_arn
    permissions = use_connection(connection_arn, repository)

    def action(context: SourceContext) -> codepipeline.IAction:
        return actions.CodeStarConnectionsSourceAction(
            action_name=context.action_name,
            variables_namespace=context.namespace,
            connection_arn=connection_arn,
            owner=owner,
            repo=name,
            branch=branch,
            output=context.output,
            code_build_clone_output=full_clone,
            trigger_on_push=context.detect_changes,
        )

    return Source(
        describe=f"{repository}@{branch}",
        provider="CodeStarSourceConnection",
        action_name=action_name,
        source_action=action,
        permissions=permissions,
        build_permissions=permissions if full_clone else (),
        full_clone=full_clone,
        branch=branch,
        provider_type=provider_type,
        repository=repository,
        detects_changes=trigger_on_push,
        variables=_OF_CONNECTIONS,
        pages=pages,
    )


def _declared(context: SourceContext, provider: str, configuration: Mapping[str, str | None]) -> codepipeline.IAction:
    place = ActionContext(
        pipeline_name=context.pipeline_name,
        stage_name="Source",
        action_name=context.action_name,
        run_order=1,
        revision=context.output,
    )
    return DeclaredAction(
        place,
        category=codepipeline.ActionCategory.SOURCE,
        provider=provider,
        configuration=configuration,
        outputs=[context.output],
        bounds=(0, 0, 1, 1),
        namespace=context.namespace,
    )


def _commit_of(namespace: str) -> str:
    return f"#{{{namespace}.CommitId}}"


def _server(connection: Connection) -> str | None:
    return connection.host.provider_endpoint if isinstance(connection, CodeConnection) and connection.host else None


def _github_pages(server: str, repository: str) -> Pages:
    page = f"{server}/{repository}"
    return Pages(f"{page}/commit/{_COMMIT}", f"{page}/compare/{_BASE}...{_COMMIT}")


def _gitlab_pages(server: str, repository: str) -> Pages:
    page = f"{server}/{repository}/-"
    return Pages(f"{page}/commit/{_COMMIT}", f"{page}/compare/{_BASE}...{_COMMIT}")


def _check_given(at: str, given: object, attribute: str, what: str) -> None:
    """Raises ConfigurationError for what is not the thing itself, such as its name."""
    if not hasattr(given, attribute):
        shown = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
        raise ConfigurationError(f"{shown} is given where {what} belongs", at=at, fix=f"give {what}")


def _check_object(bucket: "s3.IBucket", resource: Any, object_key: str) -> None:
    at = "Source.s3"
    if not unresolved(object_key) and (
        not object_key or object_key[0] == "/" or object_key[-1] == "/" or re.search(r"[*?]", object_key)
    ):
        raise ConfigurationError(
            f"object_key={object_key!r} is no key of one object", at=at, fix="write one key, such as 'shop/source.zip'"
        )
    if len(object_key.encode()) > 1024:
        raise ConfigurationError(f"object_key has {len(object_key.encode())} bytes", at=at, fix="S3 takes 1024 at most")
    if resource is not None and resource.versioning_configuration is None:
        raise ConfigurationError(
            f"bucket {bucket.node.path!r} is not versioned, and CodePipeline releases versions of its object",
            at=at,
            fix="make it with versioned=True",
        )


def _key_of(bucket: "s3.IBucket") -> "kms.IKey | None":
    """The key that the pipeline has to be let use; none for AWS's own, whose policy lets in who may read the object."""
    from aws_cdk import aws_kms as kms

    key = bucket.encryption_key
    while isinstance(key, kms.Alias):
        key = key.alias_target_key
    if key is None or key.key_arn.endswith(":alias/aws/s3"):
        return None
    if ":alias/" in key.key_arn:
        alias = key.key_arn.rpartition(":")[2]
        raise ConfigurationError(
            f"bucket {bucket.node.path!r} is encrypted with {alias!r}: a policy that names an alias allows nothing",
            at="Source.s3",
            fix="give the bucket the key itself, by kms.Key.from_key_arn with the key's ARN",
        )
    return key


def _check_tag(repository: "ecr.IRepository", image_tag: str) -> None:
    at = "Source.ecr"
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    if not unresolved(image_tag) and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", image_tag):
        raise ConfigurationError(f"{image_tag!r} is no tag of an image", at=at, fix="write one tag, such as 'latest'")
    resource: Any = repository.node.default_child
    if resource is not None and _never_moves(resource, image_tag):
        raise ConfigurationError(
            f"tag {image_tag!r} of repository {repository.node.path!r}, whose tags never move, is pushed once at most",
            at=at,
            fix="let this one move: image_tag_mutability=ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION and "
            f"ecr.ImageTagMutabilityExclusionFilter.wildcard({image_tag!r})",
        )


def _never_moves(resource: Any, image_tag: str) -> bool:
    """Whether a repository keeps a tag where it was put first, as far as that is known."""
    mutability: str | None = resource.image_tag_mutability
    filters = resource.image_tag_mutability_exclusion_filters
    if mutability == "IMMUTABLE":
        return True
    if not isinstance(filters, list) or unresolved(image_tag):
        return False
    wildcards = [one.image_tag_mutability_exclusion_filter_value for one in filters]
    excluded = any(re.fullmatch(".*".join(map(re.escape, text.split("*"))), image_tag) for text in wildcards)
    return mutability == ("MUTABLE_WITH_EXCLUSION" if excluded else "IMMUTABLE_WITH_EXCLUSION")
