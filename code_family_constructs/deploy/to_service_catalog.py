"""Floor 1: publish a template of the revision as a version of a product in AWS Service Catalog."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_path, check_setting
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_servicecatalog as servicecatalog

_AT = "ServiceCatalogDeployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceCatalogDeployment:
    """Publishes a CloudFormation template of the revision as a new version of a product, for others to provision.

    It changes nothing that is provisioned already.

    Args:
        product: The product; it exists, with a first version.
        template_path: Path of the template in the artifact. With:
        version_name: Name of the version, another one in each release: let it hold a variable, such as
            `#{codepipeline.PipelineExecutionId}`.
        version_description: What is new in it. Or, instead of these three:
        configuration_path: Path of a JSON file in the artifact that says all of it: `SchemaVersion`,
            `ProductVersionName`, `ProductVersionDescription`, `ProductType` and `Properties.TemplateFilePath`.

    Raises:
        ConfigurationError: Both or none of the two ways, a version name that stays the same, or a path or text that
            CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ServiceCatalog.html
    """

    product: "servicecatalog.IProduct"
    template_path: str | None = None
    version_name: str | None = None
    version_description: str | None = None
    configuration_path: str | None = None

    def __post_init__(self) -> None:
        template = (self.template_path, self.version_name, self.version_description)
        if self.configuration_path is not None:
            check_path(_AT, "configuration_path", self.configuration_path, example="product.json")
            if any(each is not None for each in template):
                raise ConfigurationError(
                    "configuration_path= and what the file says",
                    at=_AT,
                    fix="leave template_path=, version_name= and version_description= out",
                )
            return
        if self.template_path is None or self.version_name is None:
            raise ConfigurationError(
                "nothing to publish, or a version without a name",
                at=_AT,
                fix="give template_path= and version_name=, or configuration_path=",
            )
        check_path(_AT, "template_path", self.template_path, example="products/bucket.template.json")
        if not unresolved(self.version_name) and "#{" not in self.version_name:
            raise ConfigurationError(
                f"version_name={self.version_name!r} is the same in each release",
                at=_AT,
                fix="let it hold a variable: '#{codepipeline.PipelineExecutionId}'",
            )
        for argument in ("version_name", "version_description"):
            check_setting(_AT, argument, getattr(self, argument) or "", fix="use a shorter one")

    def stage_action(self, context: ActionContext) -> StageAction:
        product = self.product.product_id
        if context.elsewhere and unresolved(product):
            raise ConfigurationError(
                f"product {self.product.node.path!r} gets its id when it is deployed, and the pipeline, in another "
                "account or region, has to know it before",
                at=_AT,
                fix="import it: servicecatalog.Product.from_product_arn(…)",
            )
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="ServiceCatalog",
                configuration={
                    "ProductId": product,
                    "ConfigurationFilePath": self.configuration_path,
                    "TemplateFilePath": self.template_path,
                    "ProductType": None if self.template_path is None else "CLOUD_FORMATION_TEMPLATE",
                    "ProductVersionName": self.version_name,
                    "ProductVersionDescription": self.version_description,
                },
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=[
                Statement(
                    actions=[
                        "servicecatalog:CreateProvisioningArtifact",
                        "servicecatalog:DeleteProvisioningArtifact",
                        "servicecatalog:DescribeProvisioningArtifact",
                        "servicecatalog:ListProvisioningArtifacts",
                        "servicecatalog:UpdateProduct",
                    ],
                    resources=[arn_at(context, "catalog", f"product/{product}")],
                ),
                Statement(
                    actions=["cloudformation:ValidateTemplate"],
                    resources=["*"],
                    wildcard_reason="a template that is no stack yet has no ARN",
                ),
            ],
        )
