import pytest
from botocore.exceptions import ClientError

from tests.local.templates import resource

PIPELINE = "arn:aws:codepipeline:us-east-1:123456789012:pipeline"
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"


def rule(name, **properties):
    return resource(
        "AWS::CodeStarNotifications::NotificationRule",
        **{
            "Name": name,
            "DetailType": "FULL",
            "Resource": PIPELINE,
            "EventTypeIds": ["codepipeline-pipeline-pipeline-execution-failed"],
            "Targets": [{"TargetType": "SNS", "TargetAddress": TOPIC}],
            "Tags": {"team": "a"},
            **properties,
        },
    )


def test_every_property_can_be_read_back(aws, stack, name):
    assert stack.create(Rule=rule(name)) == "CREATE_COMPLETE"
    found = read(aws, stack)
    assert (found["Name"], found["DetailType"], found["Resource"], found["Status"]) == (
        name,
        "FULL",
        PIPELINE,
        "ENABLED",
    )
    assert [item["EventTypeId"] for item in found["EventTypes"]] == ["codepipeline-pipeline-pipeline-execution-failed"]
    assert found["Targets"] == [{"TargetType": "SNS", "TargetAddress": TOPIC, "TargetStatus": "ACTIVE"}]
    assert found["Tags"]["team"] == "a"


def test_an_update_is_in_place(aws, stack, name):
    stack.create(Rule=rule(name))
    arn = stack.id_of("Rule")
    assert stack.update(Rule=rule(name, Status="DISABLED", DetailType="BASIC")) == "UPDATE_COMPLETE"
    assert stack.id_of("Rule") == arn
    assert (read(aws, stack)["Status"], read(aws, stack)["DetailType"]) == ("DISABLED", "BASIC")


def test_a_deleted_rule_is_gone(aws, stack, name):
    stack.create(Rule=rule(name))
    arn = stack.id_of("Rule")
    stack.delete()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws("codestar-notifications").describe_notification_rule(Arn=arn)


def test_a_wrong_property_fails_with_the_reason(stack, name):
    assert stack.create(Rule=rule(name, DetailType="SOME")) == "ROLLBACK_COMPLETE"
    assert "Member must satisfy enum value set: [BASIC, FULL]" in stack.reason()


def read(aws, stack):
    return aws("codestar-notifications").describe_notification_rule(Arn=stack.id_of("Rule"))
