"""Floor 1: deploy a configuration of the revision with AWS AppConfig."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_path
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_count
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_appconfig as appconfig

# CodePipeline gives actions that its quotas do not name an hour.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_LONGEST = 60
_LONGEST_NAME = 128
_MOST_VALIDATORS = 2


class AppConfigDeployment(Construct):
    """Deploys a file of the revision as an application's configuration, as slowly as the deployment strategy says.

    Creates the configuration profile when the deployment is added to a stage, unless one is given: AppConfig wants to
    know which pipeline a configuration comes from (`codepipeline://<name of the pipeline>`). A profile of one's own
    says so in text, since a reference to the pipeline would close a circle; one that is hosted by AppConfig, or read
    from S3, cannot be deployed by a pipeline.

    Alarms of the environment that fire roll the deployment back, and fail the stage.

    Args:
        scope: Parent construct.
        id: Construct id.
        environment: Where to, with its application.
        configuration_path: Path of the file in the artifact.
        deployment_strategy: How fast, in an hour at most with its bake time; one of AppConfig's own by
            `appconfig.DeploymentStrategy.from_deployment_strategy_id(…)`.
        profile_name: What applications ask for, 1 to 128 characters; the construct id when left out.
        validators: What a configuration has to pass, two at most. These two are for a new profile; or else:
        configuration_profile: A profile that says which pipeline it is for.

    Raises:
        ConfigurationError: A path, a name or validators that AWS would refuse, a strategy that takes longer than
            CodePipeline waits, or a profile of another application or that no pipeline can deploy.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-AppConfig.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: "appconfig.IEnvironment",
        configuration_path: str,
        deployment_strategy: "appconfig.IDeploymentStrategy",
        profile_name: str | None = None,
        validators: "Sequence[appconfig.IValidator]" = (),
        configuration_profile: "appconfig.IConfiguration | None" = None,
    ) -> None:
        super().__init__(scope, id)
        check_path(self, "configuration_path", configuration_path, example="config/production.json")
        check_count(self, validators, what="validators", most=_MOST_VALIDATORS)
        name = profile_name if profile_name is not None else id
        if not unresolved(name) and not 1 <= len(name) <= _LONGEST_NAME:
            raise ConfigurationError(
                f"profile_name of {len(name)} characters", at=self, fix=f"use 1 to {_LONGEST_NAME} characters"
            )
        _check_strategy(self, deployment_strategy)
        if configuration_profile is not None:
            if profile_name is not None or validators:
                raise ConfigurationError(
                    f"profile_name= or validators= for profile {configuration_profile.node.path!r}, which is made "
                    "elsewhere",
                    at=self,
                    fix="give them where the profile is made, or leave configuration_profile= out",
                )
            _check_profile(self, environment, configuration_profile)
        self._application_id, self._environment_id = environment.application_id, environment.environment_id
        self._strategy_id = deployment_strategy.deployment_strategy_id
        self._path = configuration_path
        self._name = name
        self._validators = list(validators)
        self._pipeline: str | None = None
        self._profile_id = None if configuration_profile is None else configuration_profile.configuration_profile_id
        self.configuration_profile: appconfig.CfnConfigurationProfile | None = None

    def stage_action(self, context: ActionContext) -> StageAction:
        if context.elsewhere and any(map(unresolved, (self._application_id, self._environment_id, self._strategy_id))):
            raise ConfigurationError(
                "AppConfig gives out ids when it is deployed, and the pipeline, in another account or region, has to "
                "know them before",
                at=self,
                fix="import application, environment and strategy by their ids",
            )
        profile = self._profile_id or self._profile_for(context)
        application = f"application/{self._application_id}"
        environment = f"{application}/environment/{self._environment_id}"
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="AppConfig",
                configuration={
                    "Application": self._application_id,
                    "Environment": self._environment_id,
                    "ConfigurationProfile": profile,
                    "DeploymentStrategy": self._strategy_id,
                    "InputArtifactConfigurationPath": self._path,
                },
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=[
                Statement(
                    actions=["appconfig:StartDeployment"],
                    resources=[
                        arn_at(context, "appconfig", each)
                        for each in (
                            application,
                            environment,
                            f"{application}/configurationprofile/{profile}",
                            f"deploymentstrategy/{self._strategy_id}",
                        )
                    ],
                ),
                Statement(
                    actions=["appconfig:GetDeployment", "appconfig:StopDeployment"],
                    resources=[
                        arn_at(context, "appconfig", each)
                        for each in (application, environment, f"{environment}/deployment/*")
                    ],
                    wildcard_reason="AppConfig numbers deployments; the environment is named",
                ),
            ],
        )

    def _profile_for(self, context: ActionContext) -> str:
        from aws_cdk import aws_appconfig as appconfig

        if context.elsewhere:
            raise ConfigurationError(
                "a new configuration profile for a pipeline in another account or region",
                at=self,
                fix="make the profile over there, and give configuration_profile=, imported by its id",
            )
        if self._pipeline not in (None, context.pipeline_name):
            raise ConfigurationError(
                f"pipelines {self._pipeline!r} and {context.pipeline_name!r} for one configuration profile",
                at=self,
                fix="make an AppConfigDeployment for each pipeline",
            )
        self._pipeline = context.pipeline_name
        if self.configuration_profile is None:
            self.configuration_profile = appconfig.CfnConfigurationProfile(
                self,
                "Profile",
                application_id=self._application_id,
                name=self._name,
                location_uri=f"codepipeline://{context.pipeline_name}",
                validators=[
                    appconfig.CfnConfigurationProfile.ValidatorsProperty(type=each.type.value, content=each.content)
                    for each in self._validators
                ]
                or None,
            )
        return self.configuration_profile.ref


def _check_strategy(at: Construct, strategy: "appconfig.IDeploymentStrategy") -> None:
    minutes = (strategy.deployment_duration_in_minutes or 0) + (strategy.final_bake_time_in_minutes or 0)
    if minutes > _LONGEST:
        raise ConfigurationError(
            f"deployment strategy {strategy.node.path!r} takes {minutes:g} minutes, CodePipeline gives up after "
            f"{_LONGEST}",
            at=at,
            fix="shorten its duration or bake time",
        )


def _check_profile(at: Construct, environment: "appconfig.IEnvironment", profile: "appconfig.IConfiguration") -> None:
    ours = environment.application
    theirs = profile.application
    if ours is not None and ours.node.path != theirs.node.path:
        raise ConfigurationError(
            f"profile {profile.node.path!r} is of application {theirs.node.path!r}, environment "
            f"{environment.node.path!r} of {ours.node.path!r}",
            at=at,
            fix="give environment and profile of one application",
        )
    from aws_cdk import aws_appconfig as appconfig

    if isinstance(profile, appconfig.HostedConfiguration):
        raise ConfigurationError(
            f"profile {profile.node.path!r} is hosted by AppConfig, which takes no configuration from a pipeline",
            at=at,
            fix="leave configuration_profile= out",
        )
    if not isinstance(profile, appconfig.SourcedConfiguration):
        return
    uri = profile.location.location_uri
    if unresolved(uri) or not uri.startswith("codepipeline://"):
        where = "a reference to its source, which would close a circle" if unresolved(uri) else uri
        raise ConfigurationError(
            f"profile {profile.node.path!r} is of {where}",
            at=at,
            fix="leave configuration_profile= out, or give it the location 'codepipeline://<name of the pipeline>'",
        )
