"""Artifacts outside of pipelines: where they are kept and under which name."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from code_family_constructs import BuildProject, CodeConnection
from code_family_constructs.build.artifacts import S3Artifacts
from code_family_constructs.build.project_source import ProjectSource
from code_family_constructs.testing import synthesized
from tests.helpers import CONNECTION_ARN, a_stack, of_type, refuses

GIT = ProjectSource.github("acme/shop", connection=CodeConnection.from_connection_arn(CONNECTION_ARN))
KEY = "arn:aws:kms:eu-west-1:111111111111:key/1"


@pytest.fixture(scope="module")
def projects():
    stack = Stack(App(), "Shop")
    plain = s3.Bucket.from_bucket_name(stack, "Bucket", "store")
    encrypted = s3.Bucket.from_bucket_attributes(
        stack, "Encrypted", bucket_name="vault", encryption_key=kms.Key.from_key_arn(stack, "Key", KEY)
    )
    BuildProject(stack, "None", source=GIT)
    BuildProject(stack, "Plain", source=GIT, artifacts=S3Artifacts(bucket=plain))
    BuildProject(
        stack,
        "Named",
        source=GIT,
        artifacts=S3Artifacts(bucket=encrypted, name="site.zip", for_each_build=False),
        secondary_artifacts={"docs": S3Artifacts(bucket=plain, packaging="NONE")},
    )
    found = of_type(synthesized(stack), "AWS::CodeBuild::Project").values()
    return {project["Name"].removeprefix("Shop-"): project for project in found}


def test_nothing_is_kept_unless_asked(projects):
    assert projects["None"]["Artifacts"] == {"Type": "NO_ARTIFACTS"}


def test_each_build_keeps_a_zip_file_that_the_buildspec_names(projects):
    assert projects["Plain"]["Artifacts"] == {
        "Type": "S3",
        "Location": "store",
        "Path": "artifacts/Shop-Plain",
        "Name": "Shop-Plain",
        "OverrideArtifactName": True,
        "NamespaceType": "BUILD_ID",
        "Packaging": "ZIP",
        "EncryptionDisabled": False,
    }


def test_a_name_and_a_place_for_all_builds_can_be_given(projects):
    artifacts = projects["Named"]["Artifacts"]
    assert (artifacts["Name"], artifacts["NamespaceType"]) == ("site.zip", "NONE")
    assert "OverrideArtifactName" not in artifacts


def test_further_artifacts_have_their_identifier(projects):
    [docs] = projects["Named"]["SecondaryArtifacts"]
    assert (docs["ArtifactIdentifier"], docs["Packaging"]) == ("docs", "NONE")


def test_they_are_encrypted_with_the_buckets_key(projects):
    assert projects["Named"]["EncryptionKey"] == KEY


def test_fails_when_there_is_no_such_packaging():
    with refuses("'TAR'", at="S3Artifacts", fix="ZIP or NONE"):
        S3Artifacts(bucket=s3.Bucket.from_bucket_name(a_stack(), "Bucket", "store"), packaging="TAR")  # type: ignore[arg-type]
