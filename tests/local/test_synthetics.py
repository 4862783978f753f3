import pytest
from botocore.exceptions import ClientError

from tests.local.templates import resource


def canary(name, **properties):
    return resource(
        "AWS::Synthetics::Canary",
        **{
            "Name": name,
            "RuntimeVersion": "syn-python-selenium-12.0",
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/canary",
            "ArtifactS3Location": "s3://results",
            "Code": {"Handler": "index.handler", "Script": "def handler(event, context): pass"},
            "Schedule": {"Expression": "rate(5 minutes)", "DurationInSeconds": "0"},
            "SuccessRetentionPeriod": 30,
            "RunConfig": {"TimeoutInSeconds": 60, "EnvironmentVariables": {"URL": "http://a"}},
            "StartCanaryAfterCreation": True,
            "Tags": [{"Key": "team", "Value": "a"}],
            **properties,
        },
    )


def test_a_canary_is_kept_started_changed_in_place_and_gone(aws, stack, name):
    client = aws("synthetics")
    assert stack.create(Canary=canary(name)) == "CREATE_COMPLETE"
    found = client.get_canary(Name=name)["Canary"]
    assert found["Schedule"]["Expression"] == "rate(5 minutes)"
    assert (found["SuccessRetentionPeriodInDays"], found["RunConfig"]) == (30, {"TimeoutInSeconds": 60})
    assert (found["Status"]["State"], found["Tags"]["team"]) == ("RUNNING", "a")
    assert found["Code"]["Handler"] == "index.handler"
    assert stack.drift()["Canary"]["StackResourceDriftStatus"] == "IN_SYNC"
    changed = canary(name, Schedule={"Expression": "rate(1 minute)"}, Tags=[])
    assert stack.update(Canary=changed) == "UPDATE_COMPLETE"
    again = client.get_canary(Name=name)["Canary"]
    assert (again["Id"], again["Schedule"]["Expression"]) == (found["Id"], "rate(1 minute)")
    assert "team" not in again["Tags"]
    with pytest.raises(ClientError, match="is running; stop it first"):
        client.delete_canary(Name=name)
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="There is no canary"):
        client.get_canary(Name=name)


def test_a_property_that_synthetics_does_not_have_fails_by_name(stack, name):
    assert stack.create(Canary=canary(name, Url="http://a")) == "ROLLBACK_COMPLETE"
    assert "#: extraneous key [Url] is not permitted" in stack.reason()
