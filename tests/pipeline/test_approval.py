"""Approvals: what CodePipeline would refuse, and requests that nobody would hear of, are refused when written."""

import dataclasses

import pytest
from aws_cdk import Aws, CfnParameter, Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs import AlertTopic, CodeConnection, DeliveryPipeline, ManualApproval, Source
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_context, a_stack, only, refuses

CONNECTION = CodeConnection.from_connection_arn(CONNECTION_ARN)


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
        ({"timeout": 60}, "timeout=60", "use whole minutes"),
        ({"timeout": Duration.minutes(4)}, "timeout=4 minutes", "Duration.minutes(5) to Duration.days(60)"),
        ({"timeout": Duration.seconds(301)}, "timeout=5.01667 minutes", "use whole minutes"),
        ({"timeout": Duration.minutes(86401)}, "timeout=86401 minutes", "Duration.minutes(5) to Duration.days(60)"),
        ({"notify_emails": "ops@acme.example"}, "notify_emails='ops@acme.example' is no list", "write notify_emails=["),
        ({"links": ["https://staging.acme.example"]}, "links= is a list", 'links={"Staging": '),
        ({"notify_emails": ["ops"]}, "'ops' is no e-mail address", "name@example.com"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value[:40],
)
def test_fails_when_codepipeline_would_refuse_it(settings, problem, fix):
    with refuses(problem, at="ManualApproval", fix=fix):
        ManualApproval(**{"question": "Release?", **settings})


def test_fails_when_requests_would_go_through_an_unencrypted_topic():
    topic = sns.Topic(a_stack(), "Topic")
    with refuses("'Shop/Topic' unencrypted", at="ManualApproval", fix="or give the topic a master_key"):
        ManualApproval(question="Release?", topic=topic)


def request_about(sources):
    """What the approver reads."""
    stack = a_stack()
    several = {f"Service{n}": Source.github(f"acme/service-{n}", connection=CONNECTION) for n in range(sources)}
    pipeline = DeliveryPipeline(stack, "Pipeline", source=several)
    approval = ManualApproval(question="Release?", links={"Staging": "https://staging.acme.example/"})
    pipeline.add_stage("Production", approval=approval)
    (action,) = only(synthesized(stack), "AWS::CodePipeline::Pipeline")["Stages"][1]["Actions"]
    return text_of(action["Configuration"]["CustomData"]).split("\n")


def test_a_request_about_many_sources_leaves_out_links_and_no_source():
    few, many = request_about(3), request_about(6)
    assert (len(few), sum(line.startswith("https://") for line in few)) == (1 + 3 * 2 + 2, 3)
    assert (len(many), sum(line.startswith("https://") for line in many)) == (1 + 6 + 2, 0)
    assert many[-2:] == few[-2:]


def test_a_request_has_to_fit_whatever_region_the_stack_is_deployed_to():
    page = f"Builds: https://{Aws.REGION}.console.aws.amazon.com/"
    known = len("Release?\nBuilds: https://ap-southeast-2.console.aws.amazon.com/\nA: https://")
    fits, over = (
        ManualApproval(question="Release?", links={"A": f"https://{'a' * (n - known)}"}) for n in (1000, 1001)
    )
    assert fits.stage_action(a_context(release=[page])).action.action_properties.action_name == "Deploy"
    with refuses("1001 characters", at="Shop-Pipeline/Production/Deploy", fix="shorten question= or links="):
        over.stage_action(a_context(release=[page]))


def test_fails_when_there_is_a_topic_and_addresses():
    topic = AlertTopic(a_stack(), "Alerts").topic
    with refuses("a topic and e-mail addresses", at="ManualApproval", fix="subscribe the addresses to the topic"):
        ManualApproval(question="Release?", topic=topic, notify_emails=["ops@acme.example"])


TOPIC = "arn:aws:sns:eu-west-1:111111111111:releases"
KEYS = "arn:aws:kms:eu-west-1:111111111111"


def test_the_pipeline_is_told_the_key_that_it_has_to_be_let_into():
    stack = a_stack()
    key = kms.Key(stack, "Key")
    own = sns.Topic(stack, "Own", master_key=key)
    by_alias = sns.Topic(stack, "ByAlias", master_key=key.add_alias("releases"))
    for topic in (own, by_alias):
        assert ManualApproval(question="Release?", topic=topic).topic_key is key
    imported = sns.Topic.from_topic_attributes(stack, "Imported", topic_arn=TOPIC, key_arn=f"{KEYS}:key/0123")
    found = ManualApproval(question="Release?", topic=imported).topic_key
    assert found is not None
    assert found.key_arn == f"{KEYS}:key/0123"


def test_the_key_that_aws_manages_lets_the_account_in_itself():
    topic = sns.Topic.from_topic_attributes(a_stack(), "Topic", topic_arn=TOPIC, key_arn=f"{KEYS}:alias/aws/sns")
    assert ManualApproval(question="Release?", topic=topic).topic_key is None


def test_fails_when_requests_would_not_arrive():
    stack = a_stack()
    unknown = sns.Topic.from_topic_arn(stack, "Unknown", TOPIC)
    with refuses("CodePipeline could not publish", at="ManualApproval", fix="from_topic_attributes("):
        ManualApproval(question="Release?", topic=unknown)
    aliased = sns.Topic.from_topic_attributes(stack, "Aliased", topic_arn=TOPIC, key_arn=f"{KEYS}:alias/mine")
    with refuses("'alias/mine': a policy that names an alias", at="ManualApproval", fix="the key itself"):
        ManualApproval(question="Release?", topic=aliased)
    fifo = sns.Topic(stack, "Fifo", fifo=True, master_key=kms.Key(stack, "Key"))
    with refuses("is a FIFO topic, and CodePipeline's messages", at="ManualApproval", fix="use a standard topic"):
        ManualApproval(question="Release?", topic=fifo)
    with refuses("AlertTopic where a topic belongs", at="ManualApproval", fix="alerts.topic"):
        ManualApproval(question="Release?", topic=AlertTopic(stack, "Alerts"))  # type: ignore[arg-type]


def test_fails_when_only_the_deployment_knows_the_timeout():
    """CodePipeline's limits are checked by aws-cdk-lib, which takes the token for a number."""
    later = Duration.minutes(CfnParameter(a_stack(), "Minutes", type="Number").value_as_number)
    with refuses("only known when the stack is deployed", at="ManualApproval", fix="use whole minutes"):
        ManualApproval(question="Release?", timeout=later)


def test_parameters_are_let_through():
    stack = a_stack()
    text = CfnParameter(stack, "Text").value_as_string
    approval = ManualApproval(question=text, review_url=text, notify_emails=[text])
    assert (approval.question, approval.review_url) == (text, text)


def test_an_approval_can_be_shared_because_nobody_can_change_it():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ManualApproval(question="Release?").question = "Again?"  # type: ignore[misc]
