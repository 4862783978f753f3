"""Floor 1: where a project gets what it builds, when no pipeline hands it over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aws_cdk import aws_codebuild as codebuild

from code_family_constructs.build.access import decrypt, read_objects
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.repositories import BITBUCKET, GITHUB, GITHUB_ENTERPRISE, GITLAB, GITLAB_SELF_MANAGED
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_s3 as s3


class Connection(Protocol):
    """A CodeConnections connection, such as a `CodeConnection`."""

    @property
    def connection_arn(self) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectSource:
    """Where a project outside of a pipeline gets what it builds; made with `ProjectSource.github(…)` and the like.

    Attributes:
        type: CodeBuild's word for the provider, such as `GITHUB`.
        location: Where there.
        permissions: What the project's role needs.
        connection: What reaches the provider.
        source_version: What is built when nobody says which: a branch, tag or commit, or a version of an object.
        clone_depth: How many commits are fetched.
        fetch_submodules: Whether Git submodules are fetched too.
        report_build_status: Whether the provider shows how the builds of a commit went.
    """

    type: str
    location: str
    permissions: Sequence[Statement]
    connection: Connection | None = None
    source_version: str | None = None
    clone_depth: int | None = None
    fetch_submodules: bool = False
    report_build_status: bool = False

    def __post_init__(self) -> None:
        if self.clone_depth is not None and not unresolved(self.clone_depth) and self.clone_depth < 1:
            raise ConfigurationError(
                f"clone_depth={self.clone_depth}",
                at="ProjectSource",
                fix="give 1 or more, or leave it out for the whole history",
            )

    @staticmethod
    def github(
        repository: str,
        *,
        connection: Connection,
        host: str = "github.com",
        source_version: str | None = None,
        clone_depth: int | None = None,
        fetch_submodules: bool = False,
        report_build_status: bool = True,
    ) -> "ProjectSource":
        """A repository at GitHub, or at a GitHub Enterprise Server.

        Args:
            repository: `owner/name`; upper and lower case matter.
            connection: A connection to the provider, with its handshake done.
            host: Where a GitHub Enterprise Server is.
            source_version: Branch, tag, commit or `pr/<number>` for builds that no webhook starts; the default branch
                when left out.
            clone_depth: How many commits are fetched, all of them when left out. One is fastest, and has no history.
            fetch_submodules: Fetch Git submodules too.
            report_build_status: Show at the provider how the builds of each commit went.

        Raises:
            ConfigurationError: The repository is not `owner/name`, or the depth is no count.
        """
        (GITHUB if host == "github.com" else GITHUB_ENTERPRISE).check("ProjectSource.github", repository)
        return ProjectSource(
            type="GITHUB" if host == "github.com" else "GITHUB_ENTERPRISE",
            location=f"https://{host}/{repository}.git",
            permissions=_use_connection(connection.connection_arn, repository),
            connection=connection,
            source_version=source_version,
            clone_depth=clone_depth,
            fetch_submodules=fetch_submodules,
            report_build_status=report_build_status,
        )

    @staticmethod
    def gitlab(
        repository: str,
        *,
        connection: Connection,
        host: str = "gitlab.com",
        source_version: str | None = None,
        clone_depth: int | None = None,
        fetch_submodules: bool = False,
        report_build_status: bool = True,
    ) -> "ProjectSource":
        """A repository at GitLab, or at a GitLab server of your own.

        Args:
            repository: `group/name`, with subgroups in between.
            connection: As for `github`.
            host: Where a server of your own is.
            source_version: Branch, tag or commit, as for `github`.
            clone_depth: As for `github`.
            fetch_submodules: As for `github`.
            report_build_status: As for `github`.

        Raises:
            ConfigurationError: The repository is not `group/name`, or the depth is no count.
        """
        (GITLAB if host == "gitlab.com" else GITLAB_SELF_MANAGED).check("ProjectSource.gitlab", repository)
        return ProjectSource(
            type="GITLAB" if host == "gitlab.com" else "GITLAB_SELF_MANAGED",
            location=f"https://{host}/{repository}.git",
            permissions=_use_connection(connection.connection_arn, repository),
            connection=connection,
            source_version=source_version,
            clone_depth=clone_depth,
            fetch_submodules=fetch_submodules,
            report_build_status=report_build_status,
        )

    @staticmethod
    def bitbucket(
        repository: str,
        *,
        connection: Connection,
        source_version: str | None = None,
        clone_depth: int | None = None,
        fetch_submodules: bool = False,
        report_build_status: bool = True,
    ) -> "ProjectSource":
        """A repository at bitbucket.org.

        Args:
            repository: `workspace/name`.
            connection: As for `github`.
            source_version: Branch, tag or commit, as for `github`.
            clone_depth: As for `github`.
            fetch_submodules: As for `github`.
            report_build_status: As for `github`.

        Raises:
            ConfigurationError: The repository is not `workspace/name`, or the depth is no count.
        """
        BITBUCKET.check("ProjectSource.bitbucket", repository)
        return ProjectSource(
            type="BITBUCKET",
            location=f"https://bitbucket.org/{repository}.git",
            permissions=_use_connection(connection.connection_arn, repository),
            connection=connection,
            source_version=source_version,
            clone_depth=clone_depth,
            fetch_submodules=fetch_submodules,
            report_build_status=report_build_status,
        )

    @staticmethod
    def codecommit(
        repository: "codecommit.IRepository",
        *,
        source_version: str | None = None,
        clone_depth: int | None = None,
        fetch_submodules: bool = False,
    ) -> "ProjectSource":
        """A repository in CodeCommit. It has no webhooks, so nothing starts a build by itself.

        Args:
            repository: The repository, in the region of the project.
            source_version: Branch, tag or commit; the default branch when left out.
            clone_depth: As for `github`.
            fetch_submodules: As for `github`.

        Raises:
            ConfigurationError: The depth is no count.
        """
        return ProjectSource(
            type="CODECOMMIT",
            location=repository.repository_clone_url_http,
            permissions=[Statement(actions=["codecommit:GitPull"], resources=[repository.repository_arn])],
            source_version=source_version,
            clone_depth=clone_depth,
            fetch_submodules=fetch_submodules,
        )

    @staticmethod
    def s3(bucket: "s3.IBucket", path: str, *, source_version: str | None = None) -> "ProjectSource":
        """A ZIP file in S3, or a folder there. Nothing starts a build by itself.

        Args:
            bucket: The bucket, in the region of the project.
            path: Key of the ZIP file, or a folder that ends with `/`.
            source_version: Version of the ZIP file; the newest when left out.

        Raises:
            ConfigurationError: The path is neither, or a folder has a version.
        """
        if not unresolved(path):
            _check_key(path, source_version)
        return ProjectSource(
            type="S3",
            location=f"{bucket.bucket_name}/{path}",
            permissions=[*read_objects(bucket, path), *decrypt(bucket.encryption_key)],
            source_version=source_version,
        )

    def to_cfn(self, build_spec: str) -> codebuild.CfnProject.SourceProperty:
        """The source for CloudFormation.

        Args:
            build_spec: Path of the buildspec, or the whole of it.
        """
        project = codebuild.CfnProject
        return project.SourceProperty(
            type=self.type,
            location=self.location,
            auth=(
                project.SourceAuthProperty(type="CODECONNECTIONS", resource=self.connection.connection_arn)
                if self.connection
                else None
            ),
            build_spec=build_spec,
            git_clone_depth=self.clone_depth,
            git_submodules_config=(
                project.GitSubmodulesConfigProperty(fetch_submodules=True) if self.fetch_submodules else None
            ),
            # Only these providers take it: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectSource.html
            report_build_status=self.report_build_status if self.connection else None,
        )


def _check_key(path: str, source_version: str | None) -> None:
    at = "ProjectSource.s3"
    if path.startswith("/") or not path.endswith(("/", ".zip")):
        name = path.strip("/") or "source"
        raise ConfigurationError(
            f"path {path!r} is neither a ZIP file nor a folder", at=at, fix=f"write '{name}.zip' or '{name}/'"
        )
    if path.endswith("/") and source_version is not None:
        raise ConfigurationError(
            f"a version of the folder {path!r}, which only a ZIP file has", at=at, fix="leave out source_version="
        )


def _use_connection(connection_arn: str, repository: str) -> list[Statement]:
    """Tokens of exactly this connection.

    The service was renamed, and which of the two prefixes is asked for depends on the caller. Only UseConnection can be
    limited to a repository: the token of GetConnectionToken reaches all that the connection was given access to.
    https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html#connections-github-role-access
    """
    statements: list[Statement] = []
    for prefix in ("codeconnections", "codestar-connections"):
        statements += [
            Statement(actions=[f"{prefix}:GetConnection", f"{prefix}:GetConnectionToken"], resources=[connection_arn]),
            Statement(
                actions=[f"{prefix}:UseConnection"],
                resources=[connection_arn],
                conditions={"StringEqualsIfExists": {f"{prefix}:FullRepositoryId": repository}},
            ),
        ]
    return statements
