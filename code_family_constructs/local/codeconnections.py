"""AWS CodeConnections under both of its names, and the resource types of both.

A connection is PENDING until a person finishes the handshake in the console; `UpdateConnectionStatus` does not exist in
the API, and not here either. Not modelled: hosts, repository links and sync configurations.
"""

from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Api,
    Json,
    ResourceType,
    arn,
    call,
    merge_tags,
    new_id,
    require,
    resource_type,
    sync_tags,
    to_parameters,
    upper_tags,
)

connections: Any = _ministack.Scoped()
"""Connection ARN → the connection as GetConnection reports it, and its tags."""

api = Api("codeconnections")
Api("codestar-connections").include(api)


@api.operation
def create_connection(request: Json) -> Json:
    if "ProviderType" not in request and "HostArn" not in request:
        request["ProviderType"] = "GitHub"
    connection_arn = arn("codeconnections", f"connection/{new_id()}")
    tags = request.pop("Tags", [])
    connections[connection_arn] = {
        "connection": {
            **request,
            "ConnectionArn": connection_arn,
            "OwnerAccountId": _ministack.account_id(),
            "ConnectionStatus": "PENDING",
        },
        "tags": tags,
    }
    return {"ConnectionArn": connection_arn, "Tags": tags}


@api.operation
def get_connection(request: Json) -> Json:
    return {"Connection": _connection(request["ConnectionArn"])["connection"]}


@api.operation
def list_connections(request: Json) -> Json:
    found = [record["connection"] for record in connections.values()]
    provider, host = request.get("ProviderTypeFilter"), request.get("HostArnFilter")
    return {
        "Connections": [
            connection
            for connection in found
            if provider in (None, connection.get("ProviderType")) and host in (None, connection.get("HostArn"))
        ]
    }


@api.operation
def delete_connection(request: Json) -> None:
    _connection(request["ConnectionArn"])
    del connections[request["ConnectionArn"]]


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"Tags": _connection(request["ResourceArn"])["tags"]}


@api.operation
def tag_resource(request: Json) -> None:
    record = _connection(request["ResourceArn"])
    record["tags"] = merge_tags(record["tags"], request["Tags"], "Key")


@api.operation
def untag_resource(request: Json) -> None:
    record = _connection(request["ResourceArn"])
    record["tags"] = [tag for tag in record["tags"] if tag["Key"] not in request["TagKeys"]]


@resource_type("AWS::CodeConnections::Connection", "AWS::CodeStarConnections::Connection")
class Connection(ResourceType):
    replaced_by = ("ConnectionName", "HostArn", "ProviderType")
    name_property = "ConnectionName"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters(
            "codeconnections", "create_connection", {**properties, "Tags": upper_tags(properties)}
        )
        connection_arn = call("codeconnections", "create_connection", **parameters)["ConnectionArn"]
        return connection_arn, self._attributes(connection_arn)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        sync_tags(
            old,
            new,
            tag=lambda keys: call(
                "codeconnections",
                "tag_resource",
                ResourceArn=physical_id,
                Tags=[tag for tag in upper_tags(new) if tag["Key"] in keys],
            ),
            untag=lambda keys: call("codeconnections", "untag_resource", ResourceArn=physical_id, TagKeys=keys),
        )
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in connections:
            call("codeconnections", "delete_connection", ConnectionArn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return connections[physical_id]["connection"] if physical_id in connections else None

    def _attributes(self, physical_id: str) -> Json:
        connection = call("codeconnections", "get_connection", ConnectionArn=physical_id)["Connection"]
        return {key: connection[key] for key in ("ConnectionArn", "ConnectionStatus", "OwnerAccountId")}


def _connection(connection_arn: str) -> Json:
    return require(
        connections, connection_arn, "ResourceNotFoundException", f"Connection {connection_arn} does not exist"
    )
