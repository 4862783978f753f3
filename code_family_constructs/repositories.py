"""Floor 0: how the providers of Git repositories name them, and what git takes as a branch."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, slots=True)
class RepositoryRule:
    """How a provider names its repositories.

    Args:
        form: What people call it, such as `owner/name`.
        pattern: Regular expression of the whole name.
        address: Regular expression of the provider's host in an address of a repository; servers of one's own have any.
        example: An address, for errors.
    """

    form: str
    pattern: str
    address: str
    example: str

    def check(self, at: str, repository: str) -> None:
        """Raises ConfigurationError for what is no repository's name, and says what a pasted address means."""
        if unresolved(repository) or re.fullmatch(self.pattern, repository):
            return
        guess = self._in_address(repository)
        hint = f"'{guess}'" if re.fullmatch(self.pattern, guess) else f"as in {self.example}"
        raise ConfigurationError(
            f"repository {repository!r} is not {self.form}", at=at, fix=f"write {self.form}: {hint}"
        )

    def _in_address(self, text: str) -> str:
        start = rf"^(?:(?:https?|ssh|git)://)?(?:[^@/:]+@)?(?:www\.)?{self.address}(?::\d+)?[:/](?:v3/)?"
        path = unquote(re.sub(start, "", text.strip())).replace("/_git/", "/")
        return re.sub(r"(?:/-/|/(?:blob|commits?|pull|pull-requests|src|tree)/).*$|\.git/?$|^/|/$", "", path)


# Accounts of managed users carry an underscore; repositories allow dots, but neither `.` nor `..` alone, nor `….git`.
# https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
_GITHUB = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/(?!\.{1,2}$)(?!.*\.git$)[A-Za-z0-9._-]{1,100}"
# https://docs.gitlab.com/user/reserved_names/#limitations-on-usernames-project-and-group-names-and-slugs
_SLUG = r"(?!-)[A-Za-z0-9_.-]{1,255}(?<!\.)(?<!\.git)(?<!\.atom)"
_GITLAB = rf"{_SLUG}(?:/{_SLUG})+"
_BITBUCKET = r"[A-Za-z0-9_-]+/(?!\.{1,2}$)(?!.*\.git$)[A-Za-z0-9._-]+"
# https://learn.microsoft.com/en-us/azure/devops/organizations/settings/naming-restrictions
_AZURE_NAME = r"(?![._ ])[^\x00-\x1f\\/:*?\"<>;#$*{},+=\[\]|@~&%]{1,64}(?<![. ])"
_AZURE = rf"[A-Za-z0-9](?:[A-Za-z0-9-]{{0,48}}[A-Za-z0-9])?/{_AZURE_NAME}/{_AZURE_NAME}"
_ANY_HOST = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"

GITHUB = RepositoryRule("owner/name", _GITHUB, r"github\.com", "https://github.com/owner/name")
GITHUB_ENTERPRISE = RepositoryRule("owner/name", _GITHUB, _ANY_HOST, "https://github.example.com/owner/name")
GITLAB = RepositoryRule("group/name", _GITLAB, r"gitlab\.com", "https://gitlab.com/group/subgroup/name")
GITLAB_SELF_MANAGED = RepositoryRule("group/name", _GITLAB, _ANY_HOST, "https://gitlab.example.com/group/name")
BITBUCKET = RepositoryRule("workspace/name", _BITBUCKET, r"bitbucket\.org", "https://bitbucket.org/workspace/name")
AZURE_DEVOPS = RepositoryRule(
    "organization/project/repository",
    _AZURE,
    r"(?:ssh\.)?dev\.azure\.com",
    "https://dev.azure.com/organization/project/_git/repository",
)


def check_branch(at: str, branch: str, repository: str) -> None:
    """Raises ConfigurationError for what git takes as no branch.

    Args:
        at: What it is the branch of, for errors.
        branch: One branch.
        repository: Where.
    """
    if unresolved(branch):
        return
    if branch.startswith("refs/heads/"):
        raise ConfigurationError(
            f"branch {branch!r} of {repository} is a reference",
            at=at,
            fix=f"write {branch.removeprefix('refs/heads/')!r}",
        )
    # git check-ref-format; CodePipeline also takes no pattern here, that is what triggers are for.
    wrong = re.search(r"^$|^HEAD$|^@$|^[-/]|[/.]$|(?:^|/)\.|\.\.|//|@\{|\.lock(?:/|$)|[\x00-\x20\x7f~^:?*\[\\]", branch)
    if wrong or len(branch) > 255:
        raise ConfigurationError(
            f"{branch!r} is no branch name", at=at, fix="write one branch as git shows it, such as 'main'"
        )
