"""Sources of a project's own."""

from typing import Any

import pytest
from aws_cdk import CfnParameter
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_s3 as s3

from code_family_constructs import CodeConnection
from code_family_constructs.build.project_source import ProjectSource
from tests.helpers import CONNECTION_ARN, a_stack, refuses

CONNECTION = CodeConnection.from_connection_arn(CONNECTION_ARN)
GIT = [ProjectSource.github, ProjectSource.gitlab, ProjectSource.bitbucket]


def rendered(source):
    return a_stack().resolve(source.to_cfn("buildspec.yml"))


@pytest.mark.parametrize(
    ("source", "type_", "location"),
    [
        (ProjectSource.github("acme/shop", connection=CONNECTION), "GITHUB", "https://github.com/acme/shop.git"),
        (
            ProjectSource.github("acme/shop", connection=CONNECTION, host="git.acme.example"),
            "GITHUB_ENTERPRISE",
            "https://git.acme.example/acme/shop.git",
        ),
        (
            ProjectSource.gitlab("acme/web/shop", connection=CONNECTION),
            "GITLAB",
            "https://gitlab.com/acme/web/shop.git",
        ),
        (
            ProjectSource.gitlab("acme/shop", connection=CONNECTION, host="git.acme.example"),
            "GITLAB_SELF_MANAGED",
            "https://git.acme.example/acme/shop.git",
        ),
        (
            ProjectSource.bitbucket("acme/shop", connection=CONNECTION),
            "BITBUCKET",
            "https://bitbucket.org/acme/shop.git",
        ),
    ],
)
def test_providers_are_reached_through_a_connection(source, type_, location):
    found = rendered(source)
    assert (found["type"], found["location"]) == (type_, location)
    assert found["auth"] == {"type": "CODECONNECTIONS", "resource": CONNECTION_ARN}
    assert found["buildSpec"] == "buildspec.yml"


@pytest.mark.parametrize("make", GIT)
def test_the_provider_shows_how_builds_went_unless_told_not_to(make):
    assert rendered(make("acme/shop", connection=CONNECTION))["reportBuildStatus"] is True
    assert rendered(make("acme/shop", connection=CONNECTION, report_build_status=False))["reportBuildStatus"] is False


@pytest.mark.parametrize("make", GIT)
def test_depth_submodules_and_version_are_as_asked_for(make):
    source = make("acme/shop", connection=CONNECTION, clone_depth=1, fetch_submodules=True, source_version="dev")
    found = rendered(source)
    assert found["gitCloneDepth"] == 1
    assert found["gitSubmodulesConfig"] == {"fetchSubmodules": True}
    assert source.source_version == "dev"


def test_codecommit_is_reached_without_a_connection_and_reports_nothing():
    stack = a_stack()
    repository = codecommit.Repository.from_repository_name(stack, "Repository", "shop")
    found = stack.resolve(ProjectSource.codecommit(repository, clone_depth=5).to_cfn("b.yml"))
    assert found["type"] == "CODECOMMIT"
    assert found["gitCloneDepth"] == 5
    assert not {"auth", "reportBuildStatus"} & set(found)


@pytest.mark.parametrize("path", ["source.zip", "a/b.zip", "folder/"])
def test_s3_gives_a_zip_file_or_a_folder(path):
    stack = a_stack()
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "store")
    found = stack.resolve(ProjectSource.s3(bucket, path).to_cfn("b.yml"))
    assert (found["type"], found["location"]) == ("S3", f"store/{path}")


def test_parameters_are_let_through():
    stack = a_stack()
    text = CfnParameter(stack, "Text").value_as_string
    number: Any = CfnParameter(stack, "Number", type="Number").value_as_number
    source = ProjectSource.github(text, connection=CONNECTION, clone_depth=number)
    assert stack.resolve(source.to_cfn("b.yml"))["gitCloneDepth"] == {"Ref": "Number"}
    ProjectSource.s3(s3.Bucket.from_bucket_name(stack, "Bucket", "store"), text)


@pytest.mark.parametrize("repository", ["", "shop", "https://github.com/acme/shop", "acme/shop.git", "acme/", "a b/c"])
@pytest.mark.parametrize("make", GIT)
def test_fails_when_the_repository_is_not_owner_and_name(make, repository):
    with refuses(repr(repository), at=f"ProjectSource.{make.__name__}", fix="/name"):
        make(repository, connection=CONNECTION)


@pytest.mark.parametrize("make", [ProjectSource.github, ProjectSource.bitbucket])
def test_fails_when_a_provider_without_subgroups_gets_one(make):
    with refuses("'a/b/c'", at=f"ProjectSource.{make.__name__}", fix="/name"):
        make("a/b/c", connection=CONNECTION)


@pytest.mark.parametrize("depth", [0, -1])
def test_fails_when_the_depth_is_no_count(depth):
    with refuses(f"clone_depth={depth}", at="ProjectSource", fix="1 or more"):
        ProjectSource.github("acme/shop", connection=CONNECTION, clone_depth=depth)


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("source", "'source.zip' or 'source/'"),
        ("/a/", "'a.zip' or 'a/'"),
        ("", "'source.zip'"),
        ("a.tar.gz", "a.tar.gz.zip"),
    ],
)
def test_fails_when_a_path_is_neither_a_zip_file_nor_a_folder(path, fix):
    with refuses(repr(path), at="ProjectSource.s3", fix=fix):
        ProjectSource.s3(s3.Bucket.from_bucket_name(a_stack(), "Bucket", "store"), path)


def test_fails_when_a_folder_has_a_version():
    with refuses("'in/'", at="ProjectSource.s3", fix="leave out source_version="):
        ProjectSource.s3(s3.Bucket.from_bucket_name(a_stack(), "Bucket", "store"), "in/", source_version="abc")
