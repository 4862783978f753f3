"""Approvals: what CodePipeline would refuse, and requests that nobody would hear of, are refused when written."""

import dataclasses

import pytest
from aws_cdk import CfnParameter, Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs import AlertTopic, ManualApproval
from tests.helpers import a_stack, refuses


@pytest.mark.parametrize(
    "settings",
    [
        {"question": "?"},
        {"question": "?" * 1000},
        {"review_url": "https://staging.acme.example/"},
        {"review_url": "http://staging.acme.example/"},
        {"review_url": "#{Staging.Url}"},
        {"review_url": "https://" + "a" * 992},
        {"timeout": Duration.minutes(5)},
        {"timeout": Duration.days(60)},
        {"notify_emails": ["ops@acme.example"]},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_what_codepipeline_takes_is_accepted(settings):
    approval = ManualApproval(**{"question": "Release?", **settings})
    assert {name: getattr(approval, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"question": ""}, "question of 0 characters", "use 1 to 1000 characters"),
        ({"question": "?" * 1001}, "question of 1001 characters", "use 1 to 1000 characters"),
        ({"review_url": ""}, "review_url=''", "start it with https://"),
        ({"review_url": "staging.acme.example"}, "review_url='staging.acme.example'", "start it with https://"),
        ({"review_url": "https://" + "a" * 993}, "review_url of 1001 characters", "use at most 1000 characters"),
        ({"timeout": Duration.minutes(4)}, "timeout=4 minutes", "Duration.minutes(5) to Duration.days(60)"),
        ({"timeout": Duration.seconds(301)}, "timeout=5.01667 minutes", "use whole minutes"),
        ({"timeout": Duration.minutes(86401)}, "timeout=86401 minutes", "Duration.minutes(5) to Duration.days(60)"),
        ({"notify_emails": ["ops"]}, "'ops' is no e-mail address", "name@example.com"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value[:40],
)
def test_fails_when_codepipeline_would_refuse_it(settings, problem, fix):
    with refuses(problem, at="ManualApproval", fix=fix):
        ManualApproval(**{"question": "Release?", **settings})


def test_fails_when_requests_would_go_through_an_unencrypted_topic():
    topic = sns.Topic(a_stack(), "Topic")
    with refuses("'Shop/Topic' unencrypted", at="ManualApproval", fix="use an AlertTopic, or give the topic a master"):
        ManualApproval(question="Release?", topic=topic)


def test_fails_when_there_is_a_topic_and_addresses():
    topic = AlertTopic(a_stack(), "Alerts").topic
    with refuses("a topic and e-mail addresses", at="ManualApproval", fix="subscribe the addresses to the topic"):
        ManualApproval(question="Release?", topic=topic, notify_emails=["ops@acme.example"])


def test_topics_that_are_encrypted_or_not_ours_to_judge_are_accepted():
    stack = a_stack()
    encrypted = sns.Topic(stack, "Encrypted", master_key=kms.Key(stack, "Key"))
    imported = sns.Topic.from_topic_arn(stack, "Imported", "arn:aws:sns:eu-west-1:111111111111:releases")
    for topic in (encrypted, imported):
        assert ManualApproval(question="Release?", topic=topic).topic is topic


def test_parameters_are_let_through():
    stack = a_stack()
    text = CfnParameter(stack, "Text").value_as_string
    minutes = Duration.minutes(CfnParameter(stack, "Minutes", type="Number").value_as_number)
    approval = ManualApproval(question=text, review_url=text, notify_emails=[text], timeout=minutes)
    assert (approval.question, approval.review_url, approval.timeout) == (text, text, minutes)


def test_an_approval_can_be_shared_because_nobody_can_change_it():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ManualApproval(question="Release?").question = "Again?"  # type: ignore[misc]
