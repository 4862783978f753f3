"""Sources: a repository and a branch that exist on GitHub's and git's terms, and the action that fetches them."""

import shutil
import string
import subprocess

import pytest
from aws_cdk import App, CfnParameter, Stack
from hypothesis import assume, given
from hypothesis import strategies as st

from code_family_constructs import CodeConnection, ConfigurationError, DeliveryPipeline, ManualApproval, Source
from code_family_constructs.testing import synthesized
from tests.helpers import CONNECTION_ARN, a_source, a_stack, only, refuses

CONNECTION = CodeConnection.from_connection_arn(CONNECTION_ARN)


def source_action(**settings):
    stack = Stack(App(), "Shop")
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source(**settings))
    pipeline.add_stage("Next", approval=ManualApproval(question="?"))
    (action,) = only(synthesized(stack), "AWS::CodePipeline::Pipeline")["Stages"][0]["Actions"]
    return action


def test_each_push_to_the_branch_starts_a_release():
    action = source_action(branch="release/2.x")
    assert action["Configuration"] == {
        "ConnectionArn": CONNECTION_ARN,
        "FullRepositoryId": "acme/shop",
        "BranchName": "release/2.x",
        "DetectChanges": True,
    }


def test_pushes_can_be_ignored_and_a_clone_asked_for():
    configuration = source_action(trigger_on_push=False, code_build_clone_output=True)["Configuration"]
    assert configuration["DetectChanges"] is False
    assert configuration["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF"


def test_only_a_full_clone_needs_permissions_of_the_build():
    assert a_source().build_permissions == ()
    clone = a_source(code_build_clone_output=True)
    assert clone.build_permissions == clone.permissions


def test_people_read_repository_and_branch():
    assert a_source(branch="dev").describe == "acme/shop@dev"


NAMES = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=100)


@given(owner=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", fullmatch=True), name=NAMES)
def test_repositories_as_github_names_them_are_accepted(owner, name):
    assume(name not in (".", "..") and not name.endswith(".git"))
    assert Source.github(f"{owner}/{name}", connection=CONNECTION).describe == f"{owner}/{name}@main"


@given(st.text(st.sampled_from("aZ0/._- :@é\n"), max_size=8))
def test_nothing_is_accepted_that_is_not_one_owner_and_one_name(repository):
    try:
        Source.github(repository, connection=CONNECTION)
    except ConfigurationError as error:
        assert repr(repository) in error.problem  # noqa: PT017 - both outcomes are right, each for other texts
        return
    owner, name = repository.split("/")
    assert set(owner + name) <= set("aZ0._-")
    assert owner[0] not in "._-"
    assert name.strip(".")


@pytest.mark.parametrize(
    ("repository", "hint"),
    [
        ("https://github.com/acme/shop", "'acme/shop'"),
        ("https://github.com/acme/shop.git", "'acme/shop'"),
        ("https://www.github.com/acme/shop/", "'acme/shop'"),
        ("git@github.com:acme/shop.git", "'acme/shop'"),
        ("ssh://git@github.com/acme/shop.git", "'acme/shop'"),
        ("github.com/acme/shop", "'acme/shop'"),
        ("/acme/shop", "'acme/shop'"),
        (" acme/shop\n", "'acme/shop'"),
        ("acme/shop.git", "'acme/shop'"),
        ("shop", "as in https://github.com/owner/name"),
        ("acme/shop/app", "as in https://github.com/owner/name"),
        ("acme/", "as in https://github.com/owner/name"),
        ("-acme/shop", "as in https://github.com/owner/name"),
        ("acme/..", "as in https://github.com/owner/name"),
        (f"{'a' * 40}/shop", "as in https://github.com/owner/name"),
        (f"acme/{'a' * 101}", "as in https://github.com/owner/name"),
        ("", "as in https://github.com/owner/name"),
    ],
)
def test_fails_when_the_repository_is_not_owner_and_name(repository, hint):
    with refuses(repr(repository), at="Source.github", fix=f"write owner/name: {hint}"):
        Source.github(repository, connection=CONNECTION)


def test_owner_and_name_from_parameters_are_let_through_when_they_are_apart():
    stack = a_stack()
    owner, name = (CfnParameter(stack, what).value_as_string for what in ("Owner", "Name"))
    assert Source.github(f"{owner}/{name}", connection=CONNECTION).describe == f"{owner}/{name}@main"


def test_fails_when_the_repository_is_a_parameter_as_a_whole():
    repository = CfnParameter(a_stack(), "Repository").value_as_string
    with refuses("token as a whole", at="Source.github", fix="give owner and name apart"):
        Source.github(repository, connection=CONNECTION)


def test_a_branch_from_a_parameter_is_let_through():
    branch = CfnParameter(a_stack(), "Branch").value_as_string
    assert a_source(branch=branch).describe == f"acme/shop@{branch}"


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
    try:
        a_source(branch=branch)
    except ConfigurationError:
        assert git.returncode != 0
    else:
        assert git.returncode == 0


@pytest.mark.parametrize("branch", ["main", "release/2.x", "feature/#42-größer", "a@b", "v1-", "a" * 255])
def test_branches_are_accepted(branch):
    assert a_source(branch=branch).describe == f"acme/shop@{branch}"


@pytest.mark.parametrize(
    "branch",
    [
        *("", "-main", "/main", "main/", "main.", ".main", "a/.b", "a..b", "a//b", "a b", "feature/*"),
        *("main.lock", "a.lock/b", "@{-1}", "HEAD", "a\x00b", "a\x7fb", "a" * 256),
    ],
)
def test_fails_when_git_could_have_no_such_branch(branch):
    with refuses(repr(branch), at="Source.github", fix="write one branch as git shows it"):
        a_source(branch=branch)


def test_fails_when_the_branch_is_written_as_a_reference():
    with refuses("'refs/heads/main' of acme/shop is a reference", at="Source.github", fix="write 'main'"):
        a_source(branch="refs/heads/main")
