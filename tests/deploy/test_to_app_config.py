"""Configurations: of which profile, how slowly, and what is refused."""

from typing import Any

import pytest
from aws_cdk import Duration
from aws_cdk import aws_appconfig as appconfig
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.deploy.to_app_config import AppConfigDeployment
from tests.helpers import a_context, a_stack, refuses


def an_application(stack, id_="Shop"):
    return appconfig.Application(stack, id_)


def a_strategy(stack, minutes=10, bake=5):
    return appconfig.DeploymentStrategy(
        stack,
        "Strategy",
        rollout_strategy=appconfig.RolloutStrategy.linear(
            growth_factor=50, deployment_duration=Duration.minutes(minutes), final_bake_time=Duration.minutes(bake)
        ),
    )


def a_deployment(stack, **settings):
    application = settings.pop("application", None)
    if "environment" not in settings:
        application = application or an_application(stack)
        settings["environment"] = appconfig.Environment(stack, "Production", application=application)
    settings = {"configuration_path": "settings.json", **settings}
    if "deployment_strategy" not in settings:
        settings["deployment_strategy"] = a_strategy(stack)
    return AppConfigDeployment(stack, "Deployment", **settings)


def a_profile(stack, application, uri):
    pipeline = codepipeline.Pipeline.from_pipeline_arn(stack, "Named", f"arn:aws:codepipeline:eu-west-1:1:{uri}")
    return appconfig.SourcedConfiguration(
        stack, "Profile", application=application, location=appconfig.ConfigurationSource.from_pipeline(pipeline)
    )


def test_a_profile_of_ones_own_is_deployed():
    stack = a_stack()
    application = an_application(stack)
    profile = a_profile(stack, application, "Shop-Pipeline")
    deployment = a_deployment(stack, application=application, configuration_profile=profile)
    made: Any = deployment.stage_action(a_context())
    assert made.action._configuration["ConfigurationProfile"] == profile.configuration_profile_id
    assert deployment.configuration_profile is None


def test_a_profile_is_for_one_pipeline_and_made_once():
    deployment = a_deployment(a_stack())
    deployment.stage_action(a_context())
    first = deployment.configuration_profile
    deployment.stage_action(a_context(stage_name="Again"))
    assert deployment.configuration_profile is first
    with refuses("pipelines 'Shop-Pipeline' and 'Other'", at="Shop/Deployment", fix="for each pipeline"):
        deployment.stage_action(a_context(pipeline_name="Other"))


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"configuration_path": "/"}, "configuration_path='/'", "from the artifact's root"),
        ({"profile_name": ""}, "profile_name of 0 characters", "1 to 128"),
        ({"profile_name": "x" * 129}, "profile_name of 129 characters", "1 to 128"),
        ({"validators": [appconfig.JsonSchemaValidator.from_inline("{}")] * 3}, "3 validators", "at most 2"),
    ],
)
def test_what_appconfig_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="Shop/Deployment", fix=fix):
        a_deployment(a_stack(), **settings)


def test_a_strategy_that_takes_longer_than_codepipeline_waits_is_refused():
    stack = a_stack()
    with refuses("takes 61 minutes", at="Shop/Deployment", fix="shorten its duration or bake time"):
        a_deployment(stack, deployment_strategy=a_strategy(stack, 30, 31))


def test_settings_for_a_profile_that_is_made_elsewhere_are_refused():
    stack = a_stack()
    application = an_application(stack)
    profile = a_profile(stack, application, "Shop-Pipeline")
    with refuses("for profile 'Shop/Profile'", at="Shop/Deployment", fix="leave configuration_profile= out"):
        a_deployment(stack, application=application, configuration_profile=profile, profile_name="settings")


def test_a_profile_of_another_application_is_refused():
    stack = a_stack()
    profile = a_profile(stack, an_application(stack, "Other"), "Shop-Pipeline")
    with refuses("is of application 'Shop/Other'", at="Shop/Deployment", fix="of one application"):
        a_deployment(stack, configuration_profile=profile)


def test_a_hosted_profile_is_refused():
    stack = a_stack()
    application = an_application(stack)
    profile = appconfig.HostedConfiguration(
        stack, "Profile", application=application, content=appconfig.ConfigurationContent.from_inline_json("{}")
    )
    with refuses("is hosted by AppConfig", at="Shop/Deployment", fix="leave configuration_profile= out"):
        a_deployment(stack, application=application, configuration_profile=profile)


def test_a_profile_that_refers_to_its_pipeline_is_refused():
    stack = a_stack()
    application = an_application(stack)
    pipeline = codepipeline.Pipeline(stack, "Pipeline", pipeline_type=codepipeline.PipelineType.V2)
    profile = appconfig.SourcedConfiguration(
        stack, "Profile", application=application, location=appconfig.ConfigurationSource.from_pipeline(pipeline)
    )
    with refuses("would close a circle", at="Shop/Deployment", fix="codepipeline://<name of the pipeline>"):
        a_deployment(stack, application=application, configuration_profile=profile)


def test_ids_over_there_are_given_as_text():
    deployment = a_deployment(a_stack())
    with refuses("AppConfig gives out ids", at="Shop/Deployment", fix="by their ids"):
        deployment.stage_action(a_context(region="us-east-1"))


def test_a_new_profile_over_there_is_refused():
    stack = a_stack()
    environment = appconfig.Environment.from_environment_attributes(
        stack,
        "Production",
        application=appconfig.Application.from_application_id(stack, "Shop", "app1234"),
        environment_id="env5678",
    )
    deployment = a_deployment(
        stack,
        environment=environment,
        deployment_strategy=appconfig.DeploymentStrategy.from_deployment_strategy_id(
            stack, "Strategy", appconfig.DeploymentStrategyId.ALL_AT_ONCE
        ),
    )
    with refuses("a new configuration profile", at="Shop/Deployment", fix="imported by its id"):
        deployment.stage_action(a_context(region="us-east-1"))
