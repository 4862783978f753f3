"""The alert topic: encrypted, and still reachable for the services that alert."""

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_kms as kms
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import AlertTopic, ConfigurationError
from code_family_constructs.testing import synthesized, text_of
from code_family_constructs.topic import check_email
from tests.helpers import a_stack, of_type, only, refuses


@pytest.fixture(scope="module")
def templates():
    app = App()
    own = Stack(app, "Own")
    AlertTopic(own, "Alerts", emails=["ops@acme.example", "dev@acme.example"])
    shared = Stack(app, "Shared")
    AlertTopic(shared, "Alerts", key=kms.Key(shared, "Key"))
    return {stack.stack_name: synthesized(stack) for stack in (own, shared)}


@pytest.mark.parametrize("stack", ["Own", "Shared"])
def test_cloudwatch_can_publish_to_the_encrypted_topic(templates, stack):
    """The topic's policy alone is not enough: without the key, alarms fail and nobody notices."""
    template = templates[stack]
    (key_id, key), (topic_id, topic) = (
        *of_type(template, "AWS::KMS::Key").items(),
        *of_type(template, "AWS::SNS::Topic").items(),
    )
    assert text_of(topic["KmsMasterKeyId"]) == f"<{key_id}.Arn>"
    (use,) = [
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    (publish,) = [
        statement
        for statement in only(template, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert publish["Action"] == "sns:Publish"
    assert publish["Resource"] == {"Ref": topic_id}
    assert publish["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_topic_refuses_plain_http(templates):
    (refused,) = [
        statement
        for statement in only(templates["Own"], "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
    ]
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert refused["Principal"] == "*"


def test_topics_own_key_rotates(templates):
    assert only(templates["Own"], "AWS::KMS::Key")["EnableKeyRotation"] is True


def test_each_address_is_subscribed(templates):
    subscriptions = of_type(templates["Own"], "AWS::SNS::Subscription").values()
    assert {(s["Protocol"], s["Endpoint"]) for s in subscriptions} == {
        ("email", "ops@acme.example"),
        ("email", "dev@acme.example"),
    }


def test_an_address_from_a_parameter_is_let_through():
    stack = a_stack()
    AlertTopic(stack, "Alerts", emails=[CfnParameter(stack, "Email").value_as_string])
    assert only(synthesized(stack), "AWS::SNS::Subscription")["Endpoint"] == {"Ref": "Email"}


@pytest.mark.parametrize("email", ["ops@acme.example", "first.last+tag@mail.acme.co", "o'neil@acme.example"])
def test_addresses_are_accepted(email):
    check_email("Alerts", email)


@given(st.emails())
def test_whatever_the_mail_standard_allows_is_accepted(email):
    check_email("Alerts", email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ops",
        "@acme.example",
        "ops@",
        "ops@localhost",
        "ops @acme.example",
        "ops@acme.example\n",
        "ops@.example",
        "ops@acme.",
        "ops@acme..example",
        "ops@@acme.example",
        "ops@acme.example,dev@acme.example",
        "ops@acme.example;dev@acme.example",
        "Ops <ops@acme.example>",
        "<ops@acme.example>",
        "mailto:ops@acme.example",
    ],
)
def test_fails_when_it_is_no_address(email):
    with refuses(repr(email), at="Shop/Alerts", fix="write one address, as name@example.com"):
        AlertTopic(a_stack(), "Alerts", emails=[email])


@given(st.text(st.sampled_from("ab.@ ,;<>\t\n"), max_size=8))
def test_nothing_is_accepted_that_is_not_one_name_at_one_domain(text):
    try:
        check_email("Alerts", text)
    except ConfigurationError:
        return
    assert text.count("@") == 1
    assert not set(text) & set(" ,;<>\t\n")
    name, domain = text.split("@")
    assert name
    assert all(domain.split("."))
    assert "." in domain
