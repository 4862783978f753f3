"""Floor 1: what a build outside of a pipeline keeps."""

from dataclasses import dataclass
from typing import Literal, get_args

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_s3 as s3

from code_family_constructs.build.access import use_key, write_objects
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement

Packaging = Literal["ZIP", "NONE"]


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Artifacts:
    """Keeps the `artifacts` of the buildspec in S3, in a folder of the project's own.

    They are encrypted with the bucket's key, or with AWS's own key for S3 when it has none. A project encrypts with one
    key: further artifacts are encrypted with that of the first.
    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectArtifacts.html

    Args:
        bucket: The bucket, such as that of a `BuildBucket`.
        name: Name of the file or folder; when left out, the buildspec's `name`, which may hold a date or a version.
        packaging: One ZIP file, or the files as they are.
        for_each_build: Keep them in a folder named by the id of the build. Else each build replaces what the one
            before it kept under the same name.
    """

    bucket: s3.IBucket
    name: str | None = None
    packaging: Packaging = "ZIP"
    for_each_build: bool = True

    def __post_init__(self) -> None:
        if self.packaging not in get_args(Packaging):
            raise ConfigurationError(
                f"packaging={self.packaging!r}", at="S3Artifacts", fix=f"use {' or '.join(get_args(Packaging))}"
            )

    def to_cfn(self, project_name: str, identifier: str | None = None) -> codebuild.CfnProject.ArtifactsProperty:
        """The artifacts for CloudFormation."""
        return codebuild.CfnProject.ArtifactsProperty(
            type="S3",
            location=self.bucket.bucket_name,
            path=_folder(project_name),
            name=self.name or project_name,
            override_artifact_name=True if self.name is None else None,
            namespace_type="BUILD_ID" if self.for_each_build else "NONE",
            packaging=self.packaging,
            encryption_disabled=False,
            artifact_identifier=identifier,
        )

    def permissions(self, project_name: str, *, combined: bool) -> list[Statement]:
        """What the build's role needs.

        Args:
            project_name: Name of the project.
            combined: Whether the artifacts of a batch are put together, which reads what its builds kept.
        """
        more = ("s3:GetObject",) if combined else ()
        return [*write_objects(self.bucket, _folder(project_name), *more), *use_key(self.bucket.encryption_key)]


def _folder(project_name: str) -> str:
    return f"artifacts/{project_name}"
