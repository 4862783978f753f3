"""Names of repositories: as each provider has them, and what a pasted address means."""

import shutil
import string
import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from code_family_constructs import ConfigurationError
from code_family_constructs.repositories import (
    AZURE_DEVOPS,
    BITBUCKET,
    GITHUB,
    GITHUB_ENTERPRISE,
    GITLAB,
    GITLAB_SELF_MANAGED,
    check_branch,
)
from tests.helpers import refuses


def accepts(check, *arguments):
    try:
        check("Source", *arguments)
    except ConfigurationError:
        return False
    return True


NAMES = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=100)


@given(owner=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", fullmatch=True), name=NAMES)
def test_repositories_as_github_names_them_are_accepted(owner, name):
    assume(name not in (".", "..") and not name.endswith(".git"))
    assert accepts(GITHUB.check, f"{owner}/{name}")


@given(st.text(st.sampled_from("aZ0/._- :@é\n"), max_size=8))
def test_nothing_is_accepted_that_is_not_one_owner_and_one_name(repository):
    try:
        GITHUB.check("Source", repository)
    except ConfigurationError as error:
        assert repr(repository) in error.problem  # noqa: PT017 - both outcomes are right, each for other texts
        return
    owner, name = repository.split("/")
    assert set(owner + name) <= set("aZ0._-")
    assert owner[0] not in "._-"
    assert name.strip(".")


@pytest.mark.parametrize(
    ("rule", "repository"),
    [
        (GITLAB, "acme/shop"),
        (GITLAB, "acme/web/front/shop"),
        (GITLAB_SELF_MANAGED, "a_b/c.d/e-f"),
        (BITBUCKET, "acme-team/shop.web"),
        (GITHUB_ENTERPRISE, "acme/shop"),
        (AZURE_DEVOPS, "acme/web/shop"),
        (AZURE_DEVOPS, "acme/Web Shop/shop.web"),
    ],
)
def test_repositories_as_the_others_name_them_are_accepted(rule, repository):
    assert accepts(rule.check, repository)


@pytest.mark.parametrize(
    ("rule", "repository", "hint"),
    [
        (GITHUB, "https://github.com/acme/shop", "'acme/shop'"),
        (GITHUB, "https://github.com/acme/shop.git", "'acme/shop'"),
        (GITHUB, "https://www.github.com/acme/shop/", "'acme/shop'"),
        (GITHUB, "https://github.com/acme/shop/tree/main", "'acme/shop'"),
        (GITHUB, "https://github.com/acme/shop/pull/7", "'acme/shop'"),
        (GITHUB, "git@github.com:acme/shop.git", "'acme/shop'"),
        (GITHUB, "ssh://git@github.com/acme/shop.git", "'acme/shop'"),
        (GITHUB, "github.com/acme/shop", "'acme/shop'"),
        (GITHUB, "/acme/shop", "'acme/shop'"),
        (GITHUB, " acme/shop\n", "'acme/shop'"),
        (GITHUB, "acme/shop.git", "'acme/shop'"),
        (GITHUB, "https://gitlab.com/acme/shop", "as in https://github.com/owner/name"),
        (GITHUB, "shop", "as in https://github.com/owner/name"),
        (GITHUB, "acme/shop/app", "as in https://github.com/owner/name"),
        (GITHUB, "acme/", "as in https://github.com/owner/name"),
        (GITHUB, "-acme/shop", "as in https://github.com/owner/name"),
        (GITHUB, "acme/..", "as in https://github.com/owner/name"),
        (GITHUB, f"{'a' * 40}/shop", "as in https://github.com/owner/name"),
        (GITHUB, f"acme/{'a' * 101}", "as in https://github.com/owner/name"),
        (GITHUB, "", "as in https://github.com/owner/name"),
        (GITHUB_ENTERPRISE, "https://git.acme.example:8443/acme/shop.git", "'acme/shop'"),
        (GITLAB, "https://gitlab.com/acme/web/shop/-/tree/main", "'acme/web/shop'"),
        (GITLAB, "git@gitlab.com:acme/web/shop.git", "'acme/web/shop'"),
        (GITLAB, "shop", "as in https://gitlab.com/group/subgroup/name"),
        (GITLAB, "acme/-shop", "as in https://gitlab.com/group/subgroup/name"),
        (GITLAB, "acme/shop.atom", "as in https://gitlab.com/group/subgroup/name"),
        (GITLAB_SELF_MANAGED, "https://git.acme.example/acme/shop", "'acme/shop'"),
        (BITBUCKET, "https://me@bitbucket.org/acme/shop.git", "'acme/shop'"),
        (BITBUCKET, "https://bitbucket.org/acme/shop/src/main/", "'acme/shop'"),
        (BITBUCKET, "acme/team/shop", "as in https://bitbucket.org/workspace/name"),
        (AZURE_DEVOPS, "https://acme@dev.azure.com/acme/Web%20Shop/_git/shop", "'acme/Web Shop/shop'"),
        (AZURE_DEVOPS, "git@ssh.dev.azure.com:v3/acme/web/shop", "'acme/web/shop'"),
        (AZURE_DEVOPS, "acme/shop", "as in https://dev.azure.com/organization/project/_git/repository"),
    ],
)
def test_fails_when_it_is_no_repository_of_the_provider(rule, repository, hint):
    with refuses(f"{repository!r} is not {rule.form}", at="Source", fix=f"write {rule.form}: {hint}"):
        rule.check("Source", repository)


@pytest.mark.skipif(shutil.which("git") is None, reason="git knows best, but is not here")
@given(
    st.lists(
        st.sampled_from(["a", "main", "é", "1", "-", ".", "..", "/", "@", "{", ".lock", "HEAD", *" ~^:?*[\\\t\x7f\n"]),
        min_size=1,
        max_size=5,
    ).map("".join)
)
def test_branches_are_accepted_exactly_when_git_accepts_them(tmp_path_factory, branch):
    # `@` is short for HEAD, which git resolves before it judges the name.
    assume(branch != "@")
    # Outside of any repository, where `@{-1}` cannot mean the branch before.
    git = subprocess.run(
        ["git", "check-ref-format", "--branch", branch],
        cwd=tmp_path_factory.getbasetemp(),
        capture_output=True,
        check=False,
    )
    assert accepts(check_branch, branch, "acme/shop") == (git.returncode == 0)


@pytest.mark.parametrize("branch", ["main", "release/2.x", "feature/#42-größer", "a@b", "v1-", "a" * 255])
def test_branches_are_accepted(branch):
    assert accepts(check_branch, branch, "acme/shop")


@pytest.mark.parametrize(
    "branch",
    [
        *("", "-main", "/main", "main/", "main.", ".main", "a/.b", "a..b", "a//b", "a b", "feature/*"),
        *("main.lock", "a.lock/b", "@{-1}", "@", "HEAD", "a\x00b", "a\x7fb", "a" * 256),
    ],
)
def test_fails_when_git_could_have_no_such_branch(branch):
    with refuses(repr(branch), at="Source", fix="write one branch as git shows it"):
        check_branch("Source", branch, "acme/shop")


def test_fails_when_the_branch_is_written_as_a_reference():
    with refuses("'refs/heads/main' of acme/shop is a reference", at="Source", fix="write 'main'"):
        check_branch("Source", "refs/heads/main", "acme/shop")
