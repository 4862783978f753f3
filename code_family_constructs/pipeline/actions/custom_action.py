"""Floor 2: any other type of action: Jenkins, third parties, custom ones, and what AWS adds after this release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from aws_cdk import SecretValue
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name
from code_family_constructs.permissions import Statement, flat
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    check_output_variables,
    check_setting,
    inputs_of,
    outputs_of,
    place,
)
from code_family_constructs.tokens import unresolved

Owner = Literal["AWS", "ThirdParty", "Custom"]

_PROVIDER = NameRule("provider", "[0-9A-Za-z_-]", 35)
_VERSION = NameRule("version", "[0-9A-Za-z_-]", 9)
_LONGEST_KEY = 50
_CATEGORIES = (
    codepipeline.ActionCategory.BUILD,
    codepipeline.ActionCategory.DEPLOY,
    codepipeline.ActionCategory.TEST,
    codepipeline.ActionCategory.INVOKE,
)
_MOST_OUTPUTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomAction:
    """An action of any type: a custom one of yours, a third party's, or one of AWS that has no class here.

    A custom type has to be in the account before the pipeline is: register it with
    `codepipeline.CustomActionRegistration`, or `aws codepipeline create-custom-action-type`. Its work is done by a
    worker of yours that asks CodePipeline for jobs; without one, the action waits for 24 hours.

    Args:
        category: `BUILD`, `TEST`, `DEPLOY` or `INVOKE`; of AWS also `COMPUTE`.
        owner: Whose type it is.
        provider: Its provider, 1 to 35 characters.
        version: Its version.
        configuration: Its settings, by name: texts of 1 to 1000 characters, with variables of the pipeline where
            wanted, and secrets as `SecretValue.secrets_manager(…)`. CloudFormation puts those into the pipeline, and
            CodePipeline shows none that the type declares secret.
        input_artifacts: Names of the artifacts that it reads; the one that the stage is about when left out, none with
            `[]`.
        output_artifacts: Names for up to 5 that it makes.
        output_variables: Names of variables that it puts out.
        permissions: What its role needs, of a type of AWS. Others do nothing in the name of the pipeline.

    Raises:
        ConfigurationError: What CodePipeline would refuse, or a secret for everyone who can read the pipeline.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-custom-action.html
    """

    category: codepipeline.ActionCategory
    owner: Owner = "Custom"
    provider: str
    version: str = "1"
    configuration: Mapping[str, str | SecretValue] = field(default_factory=dict)
    input_artifacts: Sequence[str] | None = None
    output_artifacts: Sequence[str] = ()
    output_variables: Sequence[str] = ()
    permissions: Sequence[Statement] = ()

    def __post_init__(self) -> None:
        at = "CustomAction"
        if self.owner not in get_args(Owner):
            raise ConfigurationError(f"owner={self.owner!r}", at=at, fix=f"use one of {', '.join(get_args(Owner))}")
        _check_category(at, self.category, self.owner)
        check_name(at, self.provider, _PROVIDER)
        check_name(at, self.version, _VERSION)
        for key, value in self.configuration.items():
            _check_entry(at, self.owner, key, value)
        most = 10 if self.owner == "AWS" else 5
        check_artifacts(at, "input_artifacts", self.input_artifacts or (), most=most)
        check_artifacts(at, "output_artifacts", self.output_artifacts, most=_MOST_OUTPUTS)
        check_output_variables(at, self.output_variables)
        check_list(at, "permissions", self.permissions)
        if self.permissions and self.owner != "AWS":
            raise ConfigurationError(
                f"permissions for an action of {self.owner}, which does nothing in the name of the pipeline",
                at=at,
                fix="leave them out; a worker has a role of its own",
            )

    @classmethod
    def jenkins(
        cls,
        *,
        provider: str,
        project_name: str,
        category: codepipeline.ActionCategory = codepipeline.ActionCategory.BUILD,
        version: str = "1",
        input_artifacts: Sequence[str] | None = None,
        output_artifacts: Sequence[str] = (),
    ) -> "CustomAction":
        """A job of a Jenkins server that has the plugin for CodePipeline.

        Args:
            provider: What its action types are called: `provider_name` of an `actions.JenkinsProvider` that is made
                with `for_build=True` or `for_test=True`, or as the plugin is set up.
            project_name: Name of the job in Jenkins.
            category: `BUILD` or `TEST`.
            version: Version of the action type.
            input_artifacts: Names of up to 5 artifacts; the one that the stage is about when left out.
            output_artifacts: Names for up to 5.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-four-stage-pipeline.html
        """
        if category not in (codepipeline.ActionCategory.BUILD, codepipeline.ActionCategory.TEST):
            raise ConfigurationError(f"category {category.name} of Jenkins", at="CustomAction", fix="use BUILD or TEST")
        return cls(
            category=category,
            provider=provider,
            version=version,
            configuration={"ProjectName": project_name},
            input_artifacts=input_artifacts,
            output_artifacts=output_artifacts,
        )

    def stage_action(self, context: ActionContext) -> StageAction:
        if context.elsewhere and self.owner != "AWS":
            raise ConfigurationError(
                f"an action of {self.owner} in another account or region, where only those of AWS run",
                at=place(context),
                fix="let it run in the pipeline's own",
            )
        settings = {
            key: value if isinstance(value, str) else value.unsafe_unwrap() for key, value in self.configuration.items()
        }
        _check_secrets(context, settings)
        names = self.input_artifacts
        inputs = inputs_of(context, names or ()) if names is None or names else []
        outputs = outputs_of(self.output_artifacts)
        return StageAction(
            action=DeclaredAction(
                context,
                category=self.category,
                provider=self.provider,
                owner=self.owner,
                version=self.version,
                configuration=settings,
                inputs=inputs,
                outputs=list(outputs.values()),
                bounds=(0, 10, 0, _MOST_OUTPUTS),
                namespace=context.namespace,
            ),
            permissions=self.permissions,
            outputs=outputs,
        )


def _check_secrets(context: ActionContext, settings: Mapping[str, str]) -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm-secure-strings.html
    for key, value in settings.items():
        if context.scope is not None and unresolved(value) and "{{resolve:ssm-secure:" in flat(context.scope, value):
            raise ConfigurationError(
                f"setting {key!r} is a SecureString parameter, which CloudFormation does not read for pipelines",
                at=place(context),
                fix="keep it in Secrets Manager, and give SecretValue.secrets_manager(…)",
            )


def _check_category(at: str, category: codepipeline.ActionCategory, owner: Owner) -> None:
    if category is codepipeline.ActionCategory.SOURCE:
        raise ConfigurationError("a source in a stage", at=at, fix="give the pipeline a source=")
    if category is codepipeline.ActionCategory.APPROVAL:
        raise ConfigurationError("an approval as an action of any type", at=at, fix="use ManualApproval")
    if category not in _CATEGORIES and owner != "AWS":
        raise ConfigurationError(
            f"category {category.name} of {owner}, which only AWS has",
            at=at,
            fix=f"use one of {', '.join(one.name for one in _CATEGORIES)}",
        )


def _check_entry(at: str, owner: Owner, key: str, value: str | SecretValue) -> None:
    # Here, since the grammar of buildspecs is much to read and few pipelines have such actions.
    from code_family_constructs.build.buildspec_checks import credential_in, sounds_secret

    if not 1 <= len(key) <= _LONGEST_KEY:
        raise ConfigurationError(
            f"setting {key!r} with a name of {len(key)} characters", at=at, fix=f"use 1 to {_LONGEST_KEY}"
        )
    remedy = f"keep it in Secrets Manager, and give {key!r}: SecretValue.secrets_manager(…)"
    if isinstance(value, SecretValue):
        if owner == "AWS":
            raise ConfigurationError(
                f"setting {key!r} is a secret, which actions of AWS show to everyone who can read the pipeline",
                at=at,
                fix="let what the action runs read the secret",
            )
        if not unresolved(value.unsafe_unwrap()):
            raise ConfigurationError(f"setting {key!r} is a secret in plain text", at=at, fix=remedy)
        return
    if not isinstance(value, str):
        raise ConfigurationError(f"setting {key!r} is {value!r}", at=at, fix=f"write {str(value)!r}")
    check_setting(at, f"setting {key!r}", value, fix="shorten it, or put it into a file of the artifact")
    if unresolved(value) or "#{" in value:
        return
    found = credential_in(value, key) or ("what sounds like a secret" if sounds_secret(key) else None)
    if found:
        raise ConfigurationError(
            f"setting {key!r} holds {found}, for everyone who can read the pipeline", at=at, fix=remedy
        )
