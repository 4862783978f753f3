"""Floor 2: build a Docker image and push it to Amazon ECR without a project of CodeBuild."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import check_environment_of, log_statements
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name, stack_of
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    check_setting,
    inputs_of,
    known_text,
    place,
)
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ecr as ecr

_TAG = NameRule("image tag", "[A-Za-z0-9_.-]", 128, first="[A-Za-z0-9_]")


@dataclass(frozen=True, kw_only=True, slots=True)
class EcrBuildAndPublish:
    """Builds a plain Dockerfile and pushes the image to a private repository of ECR, on a machine of CodePipeline.

    There is no project to keep, and there are no build arguments, secrets, layer cache or ARM: `ImageBuild` has them.
    It leaves no artifact, which is what `EcsDeployment` deploys; it puts out the variables `ECRImageDigestId` and
    `ECRRepositoryName` for what takes an image by its digest, such as a parameter of a `StackDeployment`. The machine
    is billed by the minute, as CodeBuild's are.

    Args:
        repository: Repository to push to, in the account and region of the action.
        image_tags: One or more, with variables of the pipeline where wanted. The default is another one at each
            release, as repositories with immutable tags demand; CodePipeline's own is `latest`.
        dockerfile_directory_path: Folder of the Dockerfile in the artifact; its root when left out.
        input_artifact: Name of the artifact to build; the one that the stage is about when left out.

    Raises:
        ConfigurationError: A tag that ECR would refuse, the same tags at each release for a repository whose tags
            cannot be moved, a repository of another account or region than the action runs in, or a name that AWS would
            refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECRBuildAndPublish.html
    """

    repository: "ecr.IRepository"
    image_tags: Sequence[str] = ("#{codepipeline.PipelineExecutionId}",)
    dockerfile_directory_path: str | None = None
    input_artifact: str | None = None

    def __post_init__(self) -> None:
        at = "EcrBuildAndPublish"
        if self.input_artifact is not None:
            check_artifacts(at, "input_artifact", [self.input_artifact], most=1)
        if self.dockerfile_directory_path is not None:
            check_setting(
                at, "dockerfile_directory_path", self.dockerfile_directory_path, fix="name a folder of the artifact"
            )
        check_list(at, "image_tags", self.image_tags)
        if not self.image_tags:
            raise ConfigurationError("no image_tags", at=at, fix="give one at least, or leave them out")
        for tag in self.image_tags:
            if not _varies(tag):
                check_name(at, tag, _TAG)
        check_setting(at, "image_tags", ",".join(self.image_tags), fix="give fewer or shorter ones")
        self._check_immutable(at)

    def stage_action(self, context: ActionContext) -> StageAction:
        repository = self.repository
        check_environment_of(context, place(context), "repository", repository)
        fix = "give the repository a name, and import it by that"
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.BUILD,
                provider="ECRBuildAndPublish",
                configuration={
                    "ECRRepositoryName": known_text(context, "the repository", repository.repository_name, fix=fix),
                    "DockerFilePath": self.dockerfile_directory_path,
                    "ImageTags": ",".join(self.image_tags),
                    "RegistryType": "private",
                },
                inputs=inputs_of(context, [] if self.input_artifact is None else [self.input_artifact]),
                bounds=(1, 1, 0, 0),
                namespace=context.namespace,
            ),
            permissions=[
                Statement(
                    actions=["ecr:DescribeRepositories", "ecr:GetAuthorizationToken"],
                    resources=["*"],
                    wildcard_reason="a login is for the whole registry; the action's reference asks for both on all",
                ),
                Statement(
                    actions=[
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:CompleteLayerUpload",
                        "ecr:GetDownloadUrlForLayer",
                        "ecr:InitiateLayerUpload",
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ],
                    resources=[repository.repository_arn],
                ),
                *log_statements(context),
            ],
        )

    def _check_immutable(self, at: str) -> None:
        fixed = [tag for tag in self.image_tags if not _varies(tag)]
        resource: Any = self.repository.node.default_child
        # Of a repository that is made elsewhere, nothing is known.
        if not fixed or resource is None:
            return
        if stack_of(self.repository).resolve(resource.image_tag_mutability) == "IMMUTABLE":
            raise ConfigurationError(
                f"tag {fixed[0]!r} in repository {self.repository.node.path!r}, which lets no tag move to another "
                "image: the second release would fail",
                at=at,
                fix='use image_tags=["#{codepipeline.PipelineExecutionId}"], or a variable of the source',
            )


def _varies(tag: str) -> bool:
    return unresolved(tag) or "#{" in tag
