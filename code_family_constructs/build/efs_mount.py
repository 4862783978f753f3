"""Floor 1: file systems of EFS in a build."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import pseudo

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_efs as efs


@dataclass(frozen=True, kw_only=True, slots=True)
class EfsMount:
    """A file system of EFS that builds see as a folder, whose path they find in `CODEBUILD_<IDENTIFIER>`.

    The file system's security group is opened to builds of this project. CodeBuild mounts without IAM: a policy of the
    file system has to allow all principals. AWS's walk-through turns on privileged mode too.
    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-efs.html

    Args:
        file_system: The file system, with mount targets in the zones of the project's subnets.
        identifier: Its name for the build: 1 to 128 letters, digits and underscores.
        mount_point: Where it is in the build, from the root.
        directory: What of it is seen; all of it when left out.
        mount_options: Options of NFS, when CodeBuild's own do not do.
    """

    file_system: "efs.IFileSystem"
    identifier: str
    mount_point: str
    directory: str = ""
    mount_options: str | None = None

    def to_cfn(self) -> codebuild.CfnProject.ProjectFileSystemLocationProperty:
        """The file system for CloudFormation."""
        aws = pseudo()
        host = f"{self.file_system.file_system_id}.efs.{aws.region}.{aws.url_suffix}"
        return codebuild.CfnProject.ProjectFileSystemLocationProperty(
            type="EFS",
            identifier=self.identifier,
            location=f"{host}:/{self.directory.strip('/')}",
            mount_point=self.mount_point,
            mount_options=self.mount_options,
        )


def check_file_systems(at: Construct, file_systems: Sequence[EfsMount], *, vpc: bool) -> None:
    """Raises ConfigurationError for what cannot be mounted."""
    if file_systems and not vpc:
        raise ConfigurationError("file systems without a VPC", at=at, fix="give vpc= too, the file system's")
    seen = set()
    for file_system in file_systems:
        identifier, mount_point = file_system.identifier, file_system.mount_point
        if not re.fullmatch(r"\w{1,128}", identifier, re.ASCII):
            raise ConfigurationError(
                f"identifier {identifier!r} of a file system",
                at=at,
                fix="use 1 to 128 letters, digits and underscores",
            )
        if identifier.upper() in seen:
            raise ConfigurationError(
                f"two file systems with identifier {identifier!r}", at=at, fix="give each one of its own"
            )
        seen.add(identifier.upper())
        if not mount_point.startswith("/") or mount_point == "/":
            raise ConfigurationError(
                f"mount_point {mount_point!r} of {identifier}",
                at=at,
                fix="give a path from the root, such as '/mnt/cache'",
            )


def open_to(file_systems: Sequence[EfsMount], security_group: "ec2.ISecurityGroup | None") -> None:
    """Lets builds reach the file systems."""
    for one in file_systems:
        assert security_group is not None
        one.file_system.connections.allow_default_port_from(security_group, "Builds")
