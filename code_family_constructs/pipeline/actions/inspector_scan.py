"""Floor 2: look for known vulnerabilities with Amazon Inspector."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import check_environment_of, log_statements
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    inputs_of,
    known_text,
    outputs_of,
    place,
)
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ecr as ecr

_TAG = NameRule("image tag", "[A-Za-z0-9_.-]", 128, first="[A-Za-z0-9_]")


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectorScan:
    """Looks for known vulnerabilities in the source code of an artifact, or in an image of a repository of ECR.

    It runs on a machine of CodeBuild that is billed by the minute, and Amazon Inspector bills the scan. Without any
    threshold it reports and never fails. It puts out the variable `HighestScannedSeverity`.

    Args:
        output_artifact: Name for an artifact of what was found, with a bill of materials.
        input_artifact: Name of the artifact to scan; the one that the stage is about when left out. Or else:
        repository: Repository of an image to scan, in the account and region of the action.
        image_tag: Which image; may be a variable, `#{BuildVariables.IMAGE_TAG}`.
        critical_threshold: The action fails for more critical vulnerabilities than this.
        high_threshold: Likewise, of high severity.
        medium_threshold: Of medium severity.
        low_threshold: Of low severity.

    Raises:
        ConfigurationError: A threshold that is no number, an image that nobody says which, a repository of another
            account or region than the action runs in, or a name that AWS would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-InspectorScan.html
    """

    output_artifact: str
    input_artifact: str | None = None
    repository: "ecr.IRepository | None" = None
    image_tag: str | None = None
    critical_threshold: int | None = None
    high_threshold: int | None = None
    medium_threshold: int | None = None
    low_threshold: int | None = None

    def __post_init__(self) -> None:
        at = "InspectorScan"
        check_artifacts(at, "output_artifact", [self.output_artifact], most=1)
        if self.input_artifact is not None:
            check_artifacts(at, "input_artifact", [self.input_artifact], most=1)
        if self.repository is not None and self.input_artifact is not None:
            raise ConfigurationError("an artifact and an image for one scan", at=at, fix="make two actions of them")
        if (self.repository is None) != (self.image_tag is None):
            raise ConfigurationError(
                "an image needs its repository and its tag", at=at, fix="give both repository= and image_tag="
            )
        tag = self.image_tag
        if tag is not None and not unresolved(tag) and "#{" not in tag:
            check_name(at, tag, _TAG)
        for name, value in self._thresholds().items():
            if value is None or unresolved(value):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigurationError(f"{name}={value!r}", at=at, fix="use a whole number from 0 on")

    def stage_action(self, context: ActionContext) -> StageAction:
        outputs = outputs_of([self.output_artifact])
        repository = self.repository
        configuration: dict[str, str | None] = {"InspectorRunMode": "SourceCodeScan"}
        image: list[Statement] = []
        if repository is not None:
            check_environment_of(context, place(context), "repository", repository)
            fix = "give the repository a name, and import it by that"
            configuration = {
                "InspectorRunMode": "ECRImageScan",
                "ECRRepositoryName": known_text(context, "the repository", repository.repository_name, fix=fix),
                "ImageTag": self.image_tag,
            }
            image = [
                Statement(
                    actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                    resources=[repository.repository_arn],
                )
            ]
        names = [] if self.input_artifact is None else [self.input_artifact]
        for name, value in self._thresholds().items():
            severity = name.removesuffix("_threshold").capitalize()
            configuration[f"{severity}Threshold"] = None if value is None else str(value)
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.INVOKE,
                provider="InspectorScan",
                configuration=configuration,
                inputs=inputs_of(context, names) if repository is None else [],
                outputs=list(outputs.values()),
                bounds=(0, 1, 1, 1),
                namespace=context.namespace,
            ),
            permissions=[
                Statement(
                    actions=["inspector-scan:ScanSbom"],
                    resources=["*"],
                    wildcard_reason="a scan takes no resource: what is scanned is sent along",
                ),
                *image,
                *log_statements(context),
            ],
            outputs=outputs,
        )

    def _thresholds(self) -> dict[str, int | None]:
        names = ("critical_threshold", "high_threshold", "medium_threshold", "low_threshold")
        return {name: getattr(self, name) for name in names}
