"""AWS CodeConnections under both of its names, and the resource types of both.

Both show all connections and hosts; the ARN has the name under which one was made. It is PENDING until a person
finishes the handshake in the console: the API cannot, and neither can this one, so that a connection to a PENDING host
is let through here. Not modelled: repository links and sync configurations.
"""

from collections.abc import Callable
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Api,
    ApiError,
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
    without,
)

connections: Any = _ministack.Scoped()
"""Connection ARN → the connection as GetConnection reports it, and its tags."""

hosts: Any = _ministack.Scoped()
"""Host ARN → the host as ListHosts reports it, and its tags."""

api = Api("codeconnections")
former_api = Api("codestar-connections")


def _creating_connections(service: str) -> Callable[[Json], Json]:
    def create_connection(request: Json) -> Json:
        host = _host(request["HostArn"])["host"] if "HostArn" in request else {}
        connection_arn = arn(service, f"connection/{new_id()}")
        tags = request.pop("Tags", [])
        connections[connection_arn] = {
            "connection": {
                **({"ProviderType": host["ProviderType"]} if host else {}),
                **request,
                "ConnectionArn": connection_arn,
                "OwnerAccountId": _ministack.account_id(),
                "ConnectionStatus": "PENDING",
            },
            "tags": tags,
        }
        return {"ConnectionArn": connection_arn, "Tags": tags}

    return create_connection


def _creating_hosts(service: str) -> Callable[[Json], Json]:
    def create_host(request: Json) -> Json:
        host_arn = arn(service, f"host/{request['Name']}-{new_id()[:8]}")
        tags = request.pop("Tags", [])
        hosts[host_arn] = {"host": {**request, "HostArn": host_arn, "Status": "PENDING"}, "tags": tags}
        return {"HostArn": host_arn, "Tags": tags}

    return create_host


for _creating in (_creating_connections, _creating_hosts):
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
def get_host(request: Json) -> Json:
    return without(_host(request["HostArn"])["host"], "HostArn")


@api.operation
def list_hosts(request: Json) -> Json:
    return {"Hosts": [record["host"] for record in hosts.values()]}


@api.operation
def update_host(request: Json) -> None:
    _host(request["HostArn"])["host"].update(request)


@api.operation
def delete_host(request: Json) -> None:
    host_arn = request["HostArn"]
    _host(host_arn)
    if any(record["connection"].get("HostArn") == host_arn for record in connections.values()):
        raise ApiError("ResourceUnavailableException", f"Host {host_arn} still has connections")
    del hosts[host_arn]


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"Tags": _tagged(request["ResourceArn"])["tags"]}


@api.operation
def tag_resource(request: Json) -> None:
    record = _tagged(request["ResourceArn"])
    record["tags"] = merge_tags(record["tags"], request["Tags"], "Key")


@api.operation
def untag_resource(request: Json) -> None:
    record = _tagged(request["ResourceArn"])
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
        _update_tags(self.service, physical_id, old, new)
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


@resource_type("AWS::CodeConnections::Host")
class Host(ResourceType):
    replaced_by = ("Name", "ProviderType")
    name_property = "Name"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        parameters = to_parameters("codeconnections", "create_host", {**properties, "Tags": upper_tags(properties)})
        host_arn = call("codeconnections", "create_host", **parameters)["HostArn"]
        return host_arn, self._attributes(host_arn)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        changed = {**without(new, "Name", "ProviderType", "Tags"), "HostArn": physical_id}
        call("codeconnections", "update_host", **to_parameters("codeconnections", "update_host", changed))
        _update_tags("codeconnections", physical_id, old, new)
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in hosts:
            call("codeconnections", "delete_host", HostArn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return hosts[physical_id]["host"] if physical_id in hosts else None

    def _attributes(self, physical_id: str) -> Json:
        status = call("codeconnections", "get_host", HostArn=physical_id)["Status"]
        return {"HostArn": physical_id, "HostId": physical_id.rpartition("/")[2], "Status": status}


def _update_tags(service: str, resource_arn: str, old: Json, new: Json) -> None:
    sync_tags(
        old,
        new,
        tag=lambda keys: call(
            service,
            "tag_resource",
            ResourceArn=resource_arn,
            Tags=[tag for tag in upper_tags(new) if tag["Key"] in keys],
        ),
        untag=lambda keys: call(service, "untag_resource", ResourceArn=resource_arn, TagKeys=keys),
    )


def _tagged(resource_arn: str) -> Json:
    return _host(resource_arn) if ":host/" in resource_arn else _connection(resource_arn)


def _host(host_arn: str) -> Json:
    return require(hosts, host_arn, "ResourceNotFoundException", f"Host {host_arn} does not exist")


def _connection(connection_arn: str) -> Json:
    return require(
        connections, connection_arn, "ResourceNotFoundException", f"Connection {connection_arn} does not exist"
    )
