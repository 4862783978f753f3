"""Floor 1: the machines that a build can run on, and what each of them cannot do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.access import decrypt
from code_family_constructs.build.fleet import Fleet
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, pseudo

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec_checks import BuildHost

# Moved forward by releases of this library.
DEFAULT_IMAGE: codebuild.IBuildImage = codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6


@dataclass(frozen=True, slots=True)
class Compute:
    """What a project builds on.

    Attributes:
        image: The image.
        environment_type: The kind of machine that it is for, such as `LINUX_CONTAINER`.
        compute_type: How large it is; None when a fleet decides on that.
        fleet: The fleet, if it is reserved.
    """

    image: codebuild.IBuildImage
    environment_type: str
    compute_type: codebuild.ComputeType | None
    fleet: codebuild.IFleet | None

    @staticmethod
    def of(
        at: Construct,
        image: codebuild.IBuildImage,
        compute_type: codebuild.ComputeType | None,
        fleet: Fleet | codebuild.IFleet | None,
    ) -> "Compute":
        """Raises ConfigurationError for a size that there is not, or a fleet of other machines."""
        kind = _environment_type(image)
        if fleet is None:
            return Compute(image, kind, _compute_type(at, kind, compute_type), None)
        if compute_type is not None:
            raise ConfigurationError(
                f"compute type {compute_type.name} beside a fleet, which decides on it",
                at=at,
                fix="leave out compute_type=",
            )
        theirs = fleet.environment_type.value if isinstance(fleet, Fleet | codebuild.Fleet) else kind
        if theirs != kind:
            raise ConfigurationError(
                f"an image for {kind} on a fleet of {theirs}", at=at, fix=f"give build_image= one for {theirs}"
            )
        return Compute(image, kind, None, fleet.fleet if isinstance(fleet, Fleet) else fleet)

    def check(self, at: Construct, **used: bool) -> None:
        """Raises ConfigurationError for an argument that this machine has no use for.

        Args:
            at: The project.
            used: Whether it was given, by its name.
        """
        kind = self.environment_type
        for applies, where, without, instead in (
            ("LAMBDA" in kind, "Lambda compute", _NOT_ON_LAMBDA, "or take an image for EC2 compute"),
            (kind.startswith("WINDOWS"), "Windows", _NOT_ON_WINDOWS, "or build on Linux"),
            (kind == "MAC_ARM", "macOS", _NOT_ON_MAC, "or build on Linux"),
            (self.fleet is not None, "a project on a fleet", _NOT_ON_A_FLEET, "and give it to the codebuild.Fleet"),
        ):
            for argument in without if applies else ():
                if used[argument]:
                    raise ConfigurationError(
                        f"{where} has no {argument}", at=at, fix=f"leave out {argument}=, {instead}"
                    )

    @property
    def is_lambda(self) -> bool:
        """Whether it is Lambda compute."""
        return "LAMBDA" in self.environment_type

    def host(self, *, docker: bool) -> "BuildHost":
        """What the check of a buildspec has to know of it.

        Args:
            docker: Whether there is a Docker daemon.
        """
        # Here, since most projects name a file and need no grammar.
        from code_family_constructs.build.buildspec_checks import BuildHost

        return BuildHost(
            image=self.image.image_id,
            environment_type=self.environment_type,
            compute_type=name_of(self.compute_type) if self.compute_type else None,
            privileged=docker,
            reserved=self.fleet is not None,
        )

    def permissions(self) -> list[Statement]:
        """What the build's role needs to pull the image: https://docs.aws.amazon.com/codebuild/latest/userguide/sample-ecr.html."""
        if not self.is_own_image:
            return []
        statements = []
        repository_arn = self._repository_arn()
        if repository_arn is not None:
            statements += [
                Statement(
                    actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                    resources=[repository_arn],
                ),
                Statement(
                    actions=["ecr:GetAuthorizationToken"],
                    resources=["*"],
                    wildcard_reason="logs in to the registry as a whole; what may be pulled is said for one repository",
                ),
            ]
        credentials = getattr(self.image, "secrets_manager_credentials", None)
        if credentials is not None:
            secret_arn = credentials.secret_full_arn or f"{credentials.secret_arn}-??????"
            statements += [
                Statement(actions=["secretsmanager:GetSecretValue"], resources=[secret_arn]),
                *decrypt(credentials.encryption_key, {"SecretARN": secret_arn}),
            ]
        return statements

    def _repository_arn(self) -> str | None:
        repository = getattr(self.image, "repository", None)
        if repository is not None:
            arn_of_repository: str = repository.repository_arn
            return arn_of_repository
        # Images for GPUs do not tell, but have it in their name.
        found = re.fullmatch(r"(.+)\.dkr\.ecr\.[^/]+/(.+?)(?::[^:/]+|@.+)?", self.image.image_id)
        aws = pseudo()
        return found and f"arn:{aws.partition}:ecr:{aws.region}:{found[1]}:repository/{found[2]}"

    @property
    def is_own_image(self) -> bool:
        """Whether the image is none of CodeBuild's."""
        return self.image is not DEFAULT_IMAGE and not self.image.image_id.startswith("aws/codebuild/")


_Type = codebuild.ComputeType
_GENERAL = (_Type.SMALL, _Type.MEDIUM, _Type.LARGE, _Type.X_LARGE, _Type.X2_LARGE)
_LAMBDA = (_Type.LAMBDA_1GB, _Type.LAMBDA_2GB, _Type.LAMBDA_4GB, _Type.LAMBDA_8GB, _Type.LAMBDA_10GB)
# Smallest first: https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
_COMPUTE_TYPES: Mapping[str, Sequence[codebuild.ComputeType]] = {
    "LINUX_CONTAINER": _GENERAL,
    "ARM_CONTAINER": _GENERAL,
    "LINUX_GPU_CONTAINER": (_Type.SMALL, _Type.LARGE),
    "WINDOWS_SERVER_2019_CONTAINER": (_Type.MEDIUM, _Type.LARGE),
    # CodeBuild has two more, which aws-cdk-lib refuses.
    "WINDOWS_SERVER_2022_CONTAINER": (_Type.MEDIUM, _Type.LARGE),
    "LINUX_LAMBDA_CONTAINER": _LAMBDA,
    "ARM_LAMBDA_CONTAINER": _LAMBDA,
}
# https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html#lambda.limitations
_NOT_ON_LAMBDA = (
    "privileged", "docker_server", "cache", "vpc", "file_systems", "timeout", "queued_timeout", "badge",
    "debug_session",
)  # fmt: skip
# https://docs.aws.amazon.com/codebuild/latest/userguide/session-manager.html and sample-efs.html
_NOT_ON_WINDOWS = ("privileged", "docker_server", "file_systems", "debug_session")
# https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html#fleets.limitations
_NOT_ON_MAC = ("privileged", "docker_server", "file_systems", "debug_session")
# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html#CodeBuild-CreateProject-request-vpcConfig
_NOT_ON_A_FLEET = ("vpc",)


def name_of(compute_type: codebuild.ComputeType) -> str:
    """CodeBuild's name for it, such as `BUILD_GENERAL1_SMALL`."""
    if compute_type in _LAMBDA:
        return f"BUILD_{compute_type.name}"
    return f"BUILD_GENERAL1_{compute_type.name.replace('X_', 'X').replace('X2_', '2X')}"


def _environment_type(image: codebuild.IBuildImage) -> str:
    if image is DEFAULT_IMAGE:
        return "LINUX_CONTAINER"
    # It never changes, and asking for it is a round trip to Node.
    if image not in _TYPES:
        _TYPES[image] = image.type
    return _TYPES[image]


_TYPES: WeakKeyDictionary[codebuild.IBuildImage, str] = WeakKeyDictionary()


def _compute_type(at: Construct, kind: str, given: codebuild.ComputeType | None) -> codebuild.ComputeType:
    there = _COMPUTE_TYPES.get(kind)
    if there is None:
        fix = "give fleet= too: macOS is reserved only" if kind == "MAC_ARM" else "take a newer image"
        raise ConfigurationError(f"an image for {kind}, which CodeBuild has not on demand", at=at, fix=fix)
    if given is not None and given not in there:
        raise ConfigurationError(
            f"compute type {given.name} for {kind}, which has no machine of that size",
            at=at,
            fix=f"use ComputeType.{', '.join(one.name for one in there)}",
        )
    return given or there[0]
