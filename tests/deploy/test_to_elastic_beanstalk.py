"""Elastic Beanstalk: what an environment takes besides, and what is refused."""

import pytest

from code_family_constructs import Statement
from code_family_constructs.deploy.to_elastic_beanstalk import ElasticBeanstalkDeployment
from tests.helpers import a_context, refuses


def test_what_an_environment_takes_besides_is_added():
    more = Statement(actions=["sqs:GetQueueUrl"], resources=["arn:aws:sqs:eu-west-1:111122223333:awseb-e-1-queue"])
    deployment = ElasticBeanstalkDeployment(application_name="Shop", environment_name="shop-worker", statements=[more])
    assert deployment.stage_action(a_context()).permissions[-1] is more


def test_nothing_but_reading_is_allowed_on_everything():
    made = ElasticBeanstalkDeployment(application_name="Shop", environment_name="shop").stage_action(a_context())
    everything = {action for each in made.permissions if "*" in each.resources for action in each.actions}
    assert {action for action in everything if ":Describe" not in action} == {"elasticbeanstalk:CreateStorageLocation"}


@pytest.mark.parametrize(
    ("application", "environment", "problem"),
    [
        ("", "shop", "the application name is empty"),
        ("a/b", "shop", "application name 'a/b'"),
        ("x" * 101, "shop", "has 101 characters"),
        ("Shop", "web", "environment name 'web' has 3 characters"),
        ("Shop", "-shop", "environment name '-shop' starts with '-'"),
        ("Shop", "shop-", "environment name 'shop-' ends with a hyphen"),
        ("Shop", "my_shop", "environment name 'my_shop' has '_' in it"),
    ],
)
def test_a_name_that_elastic_beanstalk_would_refuse_is_refused(application, environment, problem):
    with refuses(problem, at="ElasticBeanstalkDeployment", fix="hyphen" if "ends" in problem else "characters"):
        ElasticBeanstalkDeployment(application_name=application, environment_name=environment)
