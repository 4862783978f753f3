"""AWS CodeConnections under both of its names, and the resource types of both.

Both show all connections; the ARN has the name under which a connection was made. It is PENDING until a person finishes
the handshake in the console: the API cannot, and neither can this one. Not modelled: hosts, repository links and sync
configurations.
"""

from collections.abc import Callable
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
former_api = Api("codestar-connections")


def _creating(service: str) -> Callable[[Json], Json]:
    def create_connection(request: Json) -> Json:
        connection_arn = arn(service, f"connection/{new_id()}")
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

    return create_connection


api.operation(_creating("codeconnections"))
former_api.operation(_creating("codestar-connections"))


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


former_api.include(api)


@resource_type("AWS::CodeConnections::Connection")
class Connection(ResourceType):
    service = "codeconnections"
    replaced_by = ("ConnectionName", "HostArn", "ProviderType")
    name_property = "ConnectionName"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters(self.service, "create_connection", {**properties, "Tags": upper_tags(properties)})
        connection_arn = call(self.service, "create_connection", **parameters)["ConnectionArn"]
        return connection_arn, self._attributes(connection_arn)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        sync_tags(
            old,
            new,
            tag=lambda keys: call(
                self.service,
                "tag_resource",
                ResourceArn=physical_id,
                Tags=[tag for tag in upper_tags(new) if tag["Key"] in keys],
            ),
            untag=lambda keys: call(self.service, "untag_resource", ResourceArn=physical_id, TagKeys=keys),
        )
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in connections:
            call(self.service, "delete_connection", ConnectionArn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return connections[physical_id]["connection"] if physical_id in connections else None

    def _attributes(self, physical_id: str) -> Json:
        connection = call(self.service, "get_connection", ConnectionArn=physical_id)["Connection"]
        return {key: connection[key] for key in ("ConnectionArn", "ConnectionStatus", "OwnerAccountId")}


@resource_type("AWS::CodeStarConnections::Connection")
class FormerConnection(Connection):
    service = "codestar-connections"


def _connection(connection_arn: str) -> Json:
    return require(
        connections, connection_arn, "ResourceNotFoundException", f"Connection {connection_arn} does not exist"
    )
