import pytest
from botocore.exceptions import ClientError

from tests.local.templates import get, ref, resource


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("AWS::CodeConnections::Connection", "arn:aws:codeconnections:"),
        ("AWS::CodeStarConnections::Connection", "arn:aws:codestar-connections:"),
    ],
)
@pytest.mark.parametrize("service", ["codeconnections", "codestar-connections"])
def test_a_connection_waits_for_its_handshake_under_both_names(aws, stack, name, kind, prefix, service):
    connection = resource(kind, ConnectionName=name, ProviderType="GitHub", Tags=[{"Key": "team", "Value": "a"}])
    assert stack.create(Connection=connection) == "CREATE_COMPLETE"
    arn = stack.id_of("Connection")
    assert arn.startswith(prefix)
    found = aws(service).get_connection(ConnectionArn=arn)["Connection"]
    assert found == {
        "ConnectionName": name,
        "ConnectionArn": arn,
        "ProviderType": "GitHub",
        "OwnerAccountId": "123456789012",
        "ConnectionStatus": "PENDING",
    }
    tags = {tag["Key"]: tag["Value"] for tag in aws(service).list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert tags["team"] == "a"
    assert tags["aws:cloudformation:stack-name"] == stack.name


def test_attributes_of_a_connection_are_there_for_other_resources(aws, stack, name):
    stack.create(
        Connection=resource("AWS::CodeConnections::Connection", ConnectionName=name, ProviderType="GitHub"),
        Arn=resource("AWS::SSM::Parameter", Name=name, Type="String", Value=get("Connection", "ConnectionArn")),
        Status=resource("AWS::SSM::Parameter", Type="String", Value=get("Connection", "ConnectionStatus")),
        Same=resource("AWS::SSM::Parameter", Type="String", Value=ref("Connection")),
    )
    assert aws("ssm").get_parameter(Name=name)["Parameter"]["Value"] == stack.id_of("Connection")


def test_tags_change_in_place_and_a_name_replaces(aws, stack, name):
    def connection(name, **tags):
        properties = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        return resource("AWS::CodeConnections::Connection", ConnectionName=name, ProviderType="GitHub", **properties)

    stack.create(Connection=connection(name, a="1", b="2"))
    arn = stack.id_of("Connection")
    assert stack.update(Connection=connection(name, b="3")) == "UPDATE_COMPLETE"
    assert stack.id_of("Connection") == arn
    tags = {tag["Key"]: tag["Value"] for tag in aws("codeconnections").list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert (tags.get("a"), tags["b"]) == (None, "3")
    assert stack.update(Connection=connection(f"{name}2")) == "UPDATE_COMPLETE"
    assert stack.id_of("Connection") != arn
    names = [item["ConnectionName"] for item in aws("codeconnections").list_connections()["Connections"]]
    assert name not in names


def test_a_deleted_connection_is_gone(aws, stack, name):
    stack.create(Connection=resource("AWS::CodeConnections::Connection", ConnectionName=name, ProviderType="GitHub"))
    arn = stack.id_of("Connection")
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws("codeconnections").get_connection(ConnectionArn=arn)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"ProviderType": "GitLost"}, "Member must satisfy enum value set: [Bitbucket, GitHub, "),
        ({"ConnectionName": "x" * 33}, "Member must have length less than or equal to 32"),
        ({"Provider": "GitHub"}, "#: extraneous key [Provider] is not permitted"),
    ],
)
def test_a_wrong_property_fails_with_the_reason(stack, properties, reason):
    connection = resource("AWS::CodeConnections::Connection", **{"ConnectionName": "c", **properties})
    assert stack.create(Connection=connection) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()
