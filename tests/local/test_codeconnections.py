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


VPC = {"VpcId": "vpc-12345678", "SubnetIds": ["subnet-12345678"], "SecurityGroupIds": ["sg-12345678"]}


HOST = "AWS::CodeConnections::Host"
A_HOST = {"Name": "h", "ProviderType": "GitLabSelfManaged", "ProviderEndpoint": "https://git.acme.example"}


def host(name, **properties):
    return resource(HOST, **{**A_HOST, "Name": name, **properties})


def test_a_host_waits_to_be_set_up_and_gives_connections_their_provider(aws, stack, name):
    stack.create(
        Host=host(name, VpcConfiguration=VPC, Tags=[{"Key": "team", "Value": "a"}]),
        Connection=resource("AWS::CodeConnections::Connection", ConnectionName=name, HostArn=get("Host", "HostArn")),
        Status=resource("AWS::SSM::Parameter", Name=name, Type="String", Value=get("Host", "Status")),
        Id=resource("AWS::SSM::Parameter", Type="String", Value=get("Host", "HostId")),
    )
    client, arn = aws("codeconnections"), stack.id_of("Host")
    found = client.get_host(HostArn=arn)
    assert {key: found[key] for key in ("Name", "ProviderType", "ProviderEndpoint", "Status", "VpcConfiguration")} == {
        "Name": name,
        "ProviderType": "GitLabSelfManaged",
        "ProviderEndpoint": "https://git.acme.example",
        "Status": "PENDING",
        "VpcConfiguration": VPC,
    }
    assert arn in [item["HostArn"] for item in aws("codestar-connections").list_hosts()["Hosts"]]
    assert {tag["Key"] for tag in client.list_tags_for_resource(ResourceArn=arn)["Tags"]} >= {"team"}
    (connection,) = client.list_connections(HostArnFilter=arn)["Connections"]
    assert connection["ProviderType"] == "GitLabSelfManaged"
    assert aws("ssm").get_parameter(Name=name)["Parameter"]["Value"] == "PENDING"


def test_the_address_of_a_host_changes_in_place_and_its_provider_replaces_it(aws, stack, name):
    stack.create(Host=host(name, Tags=[{"Key": "a", "Value": "1"}]))
    arn = stack.id_of("Host")
    moved = host(name, ProviderEndpoint="https://code.acme.example", Tags=[{"Key": "b", "Value": "2"}])
    assert stack.update(Host=moved) == "UPDATE_COMPLETE"
    assert stack.id_of("Host") == arn
    client = aws("codeconnections")
    assert client.get_host(HostArn=arn)["ProviderEndpoint"] == "https://code.acme.example"
    keys = {tag["Key"] for tag in client.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert ("a" in keys, "b" in keys) == (False, True)
    assert stack.update(Host=host(f"{name}2", ProviderType="GitHubEnterpriseServer")) == "UPDATE_COMPLETE"
    assert stack.id_of("Host") != arn
    assert arn not in [item["HostArn"] for item in client.list_hosts()["Hosts"]]


def test_a_host_with_connections_stays(aws, stack, name):
    client = aws("codeconnections")
    arn = client.create_host(Name=name, ProviderType="GitLabSelfManaged", ProviderEndpoint="https://a.example")[
        "HostArn"
    ]
    stack.create(Connection=resource("AWS::CodeConnections::Connection", ConnectionName=name, HostArn=arn))
    with pytest.raises(ClientError, match="still has connections"):
        client.delete_host(HostArn=arn)
    stack.delete()
    client.delete_host(HostArn=arn)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_host(HostArn=arn)


def test_a_connection_to_a_host_that_does_not_exist_fails(stack):
    arn = "arn:aws:codeconnections:us-east-1:123456789012:host/gone"
    connection = resource("AWS::CodeConnections::Connection", ConnectionName="c", HostArn=arn)
    assert stack.create(Connection=connection) == "ROLLBACK_COMPLETE"
    assert f"Host {arn} does not exist" in stack.reason()


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"ProviderType": "GitLost"}, "Member must satisfy enum value set: [Bitbucket, GitHub, "),
        ({"Name": "x" * 65}, "Member must have length less than or equal to 64"),
        ({"VpcConfiguration": {**VPC, "VpcId": "vpc"}}, "VpcConfiguration.VpcId, value: 3, valid min length: 12"),
        ({"Endpoint": "https://a.example"}, "#: extraneous key [Endpoint] is not permitted"),
    ],
)
def test_a_wrong_property_of_a_host_fails_with_the_reason(stack, properties, reason):
    assert stack.create(Host=resource(HOST, **{**A_HOST, **properties})) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()
