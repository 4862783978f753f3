"""Triggers: messages that CodeDeploy may send, to topics that really take them."""

from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs import AlertTopic
from code_family_constructs.deploy.triggers import DeploymentTrigger, check_triggers
from tests.helpers import a_stack, refuses

AWS_KEY = "arn:aws:kms:eu-west-1:111111111111:alias/aws/sns"
OWN_KEY = "arn:aws:kms:eu-west-1:111111111111:key/12345678-1234-1234-1234-123456789012"
TOPIC = "arn:aws:sns:eu-west-1:111111111111:releases"


def a_topic(key=OWN_KEY, arn=TOPIC, stack=None):
    return sns.Topic.from_topic_attributes(stack or a_stack(), "Topic", topic_arn=arn, key_arn=key)


def a_trigger(**settings: Any) -> DeploymentTrigger:
    return DeploymentTrigger(**{"name": "failed", "events": ["DeploymentFailure"], "topic": a_topic(), **settings})


def allowed(trigger, stack: Stack | None = None):
    return {
        (action, resource)
        for statement in trigger.statements()
        for action in statement.actions
        for resource in (stack.resolve(list(statement.resources)) if stack else statement.resources)
    }


def test_codedeploy_may_publish_to_the_topic_and_use_its_key():
    assert allowed(a_trigger()) == {
        ("sns:Publish", TOPIC),
        ("kms:Decrypt", OWN_KEY),
        ("kms:GenerateDataKey", OWN_KEY),
    }


def test_the_key_that_aws_manages_lets_the_account_in_itself():
    """Unlike CloudWatch, which publishes in its own name, CodeDeploy uses a role of the account."""
    assert allowed(a_trigger(topic=a_topic(AWS_KEY))) == {("sns:Publish", TOPIC)}
    stack = a_stack()
    by_alias = sns.Topic(stack, "Topic", master_key=kms.Alias.from_alias_name(stack, "Key", "alias/aws/sns"))
    assert {action for action, _ in allowed(a_trigger(topic=by_alias))} == {"sns:Publish"}


def test_an_alias_stands_for_its_key():
    stack = a_stack()
    key = kms.Key(stack, "Key")
    trigger = a_trigger(topic=sns.Topic(stack, "Topic", master_key=key.add_alias("releases")))
    assert ("kms:Decrypt", key.key_arn) in allowed(trigger)


def test_an_alert_topic_takes_messages():
    alerts = AlertTopic(a_stack(), "Alerts")
    trigger = a_trigger(topic=alerts.topic)
    assert allowed(trigger) == {
        ("sns:Publish", alerts.topic.topic_arn),
        ("kms:Decrypt", alerts.key.key_arn),
        ("kms:GenerateDataKey", alerts.key.key_arn),
    }


def test_an_event_is_told_once():
    trigger = a_trigger(events=["InstanceFailure", "DeploymentStop", "InstanceFailure"])
    configuration = trigger.configuration()
    assert configuration.trigger_events == ["InstanceFailure", "DeploymentStop"]
    assert (configuration.trigger_name, configuration.trigger_target_arn) == ("failed", TOPIC)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"events": []}, "events=[] is no list of events", 'events=["DeploymentFailure"]'),
        ({"events": "DeploymentFailure"}, "'DeploymentFailure' is no list", 'events=["DeploymentFailure"]'),
        ({"events": ["DeploymentFailed"]}, "no event 'DeploymentFailed'", "use DeploymentFailure"),
        ({"events": ["DeploymentStart", "nonsense"]}, "no event 'nonsense'", "use DeploymentStart, DeploymentSuccess"),
    ],
)
def test_fails_when_there_is_no_such_event(settings, problem, fix):
    with refuses(problem, at="DeploymentTrigger 'failed'", fix=fix):
        a_trigger(**settings)


def test_fails_when_a_trigger_has_no_name():
    with refuses("without a name", at="DeploymentTrigger", fix="give it a name"):
        a_trigger(name="")


def test_fails_when_messages_would_go_through_an_unencrypted_topic():
    topic = sns.Topic(a_stack(), "Topic")
    with refuses("'Shop/Topic' unencrypted", at="DeploymentTrigger 'failed'", fix="or give the topic a master_key"):
        a_trigger(topic=topic)


def test_fails_when_the_key_of_an_imported_topic_is_not_known():
    topic = sns.Topic.from_topic_arn(a_stack(), "Topic", TOPIC)
    with refuses("which key topic 'Shop/Topic'", at="DeploymentTrigger 'failed'", fix="from_topic_attributes("):
        a_trigger(topic=topic)


def test_fails_when_the_key_is_known_by_an_alias_only():
    key = "arn:aws:kms:eu-west-1:111111111111:alias/releases"
    with refuses("'alias/releases'", at="DeploymentTrigger 'failed'", fix="give the topic the key itself"):
        a_trigger(topic=a_topic(key))


def test_fails_when_the_topic_is_a_fifo_topic():
    stack = a_stack()
    topic = sns.Topic(stack, "Topic", fifo=True, master_key=kms.Key(stack, "Key"))
    with refuses("'Shop/Topic' is a FIFO topic", at="DeploymentTrigger 'failed'", fix="use a standard topic"):
        a_trigger(topic=topic)


def test_fails_when_there_are_more_triggers_than_codedeploy_takes():
    stack, topic = a_stack(), a_topic()
    triggers = [a_trigger(name=f"failed {number}", topic=topic) for number in range(11)]
    check_triggers(stack, triggers[:10], blue_green=False)
    with refuses("11 triggers", at="Shop", fix="give at most 10"):
        check_triggers(stack, triggers, blue_green=False)


def test_fails_when_two_triggers_have_the_same_name():
    with refuses("two triggers are called 'failed'", at="Shop", fix="a name of its own"):
        check_triggers(a_stack(), [a_trigger(), a_trigger()], blue_green=False)


@pytest.mark.parametrize("event", ["DeploymentReady", "InstanceReady"])
def test_fails_when_a_trigger_waits_for_what_never_happens_in_place(event):
    trigger = a_trigger(events=["DeploymentFailure", event])
    check_triggers(a_stack(), [trigger], blue_green=True)
    with refuses(f"'failed' waits for {event}", at="Shop", fix=f"leave out {event}"):
        check_triggers(a_stack(), [trigger], blue_green=False)


def test_fails_when_the_construct_is_given_instead_of_its_topic():
    with refuses("AlertTopic where a topic belongs", at="DeploymentTrigger 'failed'", fix="alerts.topic"):
        a_trigger(topic=AlertTopic(a_stack(), "Alerts"))
