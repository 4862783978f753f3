"""Floor 1: the revisions that a pipeline releases."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.source.connection import Connection, use_connection
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where revisions come from; made with `Source.github(…)`.

    Attributes:
        describe: The source in one line, for people.
        full_clone: The artifact is a reference that only CodeBuild can follow, not a ZIP file.
        source_action: Makes the action for a pipeline.
        permissions: What the pipeline's role needs.
        build_permissions: What a build needs to fetch the source itself.
    """

    describe: str
    full_clone: bool
    source_action: Callable[[codepipeline.Artifact], codepipeline.IAction]
    permissions: Sequence[Statement]
    build_permissions: Sequence[Statement] = ()

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
            ConfigurationError: The repository is not `owner/name`, or the branch is no branch name.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        """
        owner, name = _owner_and_name(repository)
        _check_branch(branch, repository)
        permissions = use_connection(connection.connection_arn, repository)

        def action(output: codepipeline.Artifact) -> codepipeline.IAction:
            return actions.CodeStarConnectionsSourceAction(
                action_name="GitHub",
                connection_arn=connection.connection_arn,
                owner=owner,
                repo=name,
                branch=branch,
                output=output,
                code_build_clone_output=code_build_clone_output,
                trigger_on_push=trigger_on_push,
            )

        return Source(
            describe=f"{repository}@{branch}",
            full_clone=code_build_clone_output,
            source_action=action,
            permissions=permissions,
            build_permissions=permissions if code_build_clone_output else (),
        )


# https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
# Accounts of managed users carry an underscore; repositories allow dots, but neither `.` nor `..` alone, nor `….git`.
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/(?!\.{1,2}$)(?!.*\.git$)[A-Za-z0-9._-]{1,100}")


def _owner_and_name(repository: str) -> tuple[str, str]:
    if unresolved(repository) and "/" not in repository:
        raise ConfigurationError(
            "the repository is a token as a whole",
            at="Source.github",
            fix="give owner and name apart: f'{owner}/{name}'",
        )
    if not unresolved(repository) and not _REPOSITORY.fullmatch(repository):
        guess = re.sub(
            r"^(?:https?://|ssh://git@|git@)?(?:www\.)?github\.com[:/]|\.git/?$|^/|/$", "", repository.strip()
        )
        hint = f"'{guess}'" if _REPOSITORY.fullmatch(guess) else "as in https://github.com/owner/name"
        raise ConfigurationError(
            f"repository {repository!r} is not owner/name", at="Source.github", fix=f"write owner/name: {hint}"
        )
    owner, _, name = repository.partition("/")
    return owner, name


def _check_branch(branch: str, repository: str) -> None:
    if unresolved(branch):
        return
    if branch.startswith("refs/heads/"):
        raise ConfigurationError(
            f"branch {branch!r} of {repository} is a reference",
            at="Source.github",
            fix=f"write {branch.removeprefix('refs/heads/')!r}",
        )
    # git check-ref-format; CodePipeline also takes no pattern here, that is what triggers are for.
    wrong = re.search(r"^$|^HEAD$|^[-/]|[/.]$|(?:^|/)\.|\.\.|//|@\{|\.lock(?:/|$)|[\x00-\x20\x7f~^:?*\[\\]", branch)
    if wrong or len(branch) > 255:
        raise ConfigurationError(
            f"{branch!r} is no branch name", at="Source.github", fix="write one branch as git shows it, such as 'main'"
        )
