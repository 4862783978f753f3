"""The alert topic: encrypted, and still reachable for the services that alert."""

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import AlertTopic, ConfigurationError
from code_family_constructs.testing import synthesized, text_of
from code_family_constructs.topic import admit_cloudwatch, check_email, check_topic
from tests.helpers import a_stack, of_type, only, refuses

HERE = a_stack()


@pytest.fixture(scope="module")
def templates():
    app = App()
    own = Stack(app, "Own")
    AlertTopic(own, "Alerts", emails=["ops@acme.example", "dev@acme.example"])
    shared = Stack(app, "Shared")
    AlertTopic(shared, "Alerts", key=kms.Key(shared, "Key"))
    twice = Stack(app, "Twice")
    admit_cloudwatch(twice, AlertTopic(twice, "Alerts").topic)
    users = Stack(app, "Users")
    key = kms.Key(users, "Key")
    admit_cloudwatch(users, sns.Topic(users, "Topic", master_key=key, enforce_ssl=True))
    by_alias = Stack(app, "ByAlias")
    alias = kms.Key(by_alias, "Key").add_alias("releases")
    admit_cloudwatch(by_alias, sns.Topic(by_alias, "Topic", master_key=alias))
    return {stack.stack_name: synthesized(stack) for stack in (own, shared, twice, users, by_alias)}


@pytest.mark.parametrize("stack", ["Own", "Shared", "Twice", "Users", "ByAlias"])
def test_cloudwatch_can_publish_to_the_encrypted_topic(templates, stack):
    """The topic's policy alone is not enough: without the key, alarms fail and nobody notices."""
    template = templates[stack]
    (key_id, key), (topic_id, topic) = (
        *of_type(template, "AWS::KMS::Key").items(),
        *of_type(template, "AWS::SNS::Topic").items(),
    )
    if stack != "ByAlias":
        assert text_of(topic["KmsMasterKeyId"]) == f"<{key_id}.Arn>"
    (use,) = [
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    assert use["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
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


@pytest.mark.parametrize(
    "check",
    [lambda topic: check_topic("Shop", topic, publisher="CodeDeploy"), lambda topic: admit_cloudwatch(HERE, topic)],
)
def test_fails_when_the_construct_is_given_instead_of_its_topic(check):
    with refuses("AlertTopic where a topic belongs", at="Shop", fix="such as alerts.topic"):
        check(AlertTopic(a_stack(), "Alerts"))
    with refuses("str where a topic belongs", at="Shop", fix="give an sns.Topic"):
        check("arn:aws:sns:eu-west-1:111111111111:releases")
    with refuses("'Shop/Topic' unencrypted", at="Shop", fix="use an AlertTopic's"):
        check(sns.Topic(a_stack(), "Topic"))


def test_fails_when_cloudwatch_cannot_use_the_topics_key():
    stack = a_stack()
    by_alias = kms.Alias.from_alias_name(stack, "Key", "alias/aws/sns")
    imported = sns.Topic.from_topic_attributes(
        stack,
        "Imported",
        topic_arn="arn:aws:sns:eu-west-1:111111111111:releases",
        key_arn="arn:aws:kms:eu-west-1:111111111111:alias/aws/sns",
    )
    for topic in (sns.Topic(stack, "Topic", master_key=by_alias), imported):
        with refuses(f"{topic.node.path!r} is encrypted with 'alias/aws/sns'", at="Shop", fix="use an AlertTopic's"):
            admit_cloudwatch(stack, topic)


def test_a_topic_that_is_not_made_here_is_left_as_it_is():
    stack = a_stack()
    admit_cloudwatch(stack, sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111111111111:releases"))
    assert "Resources" not in synthesized(stack)


def test_fails_when_one_address_is_given_as_all_of_them():
    with refuses("emails='ops@acme.example'", at="Shop/Alerts", fix="write emails=[…]"):
        AlertTopic(a_stack(), "Alerts", emails="ops@acme.example")
