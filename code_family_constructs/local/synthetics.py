"""Amazon CloudWatch Synthetics canaries: their settings, state and tags. None ever runs, and no function is made."""

import time
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    ResourceType,
    arn,
    call,
    lookup,
    new_id,
    require,
    resource_type,
    to_parameters,
    upper_tags,
    without,
)

canaries: Any = _ministack.Scoped()
"""Canary name → the canary as GetCanary reports it."""

api = Api("synthetics")


@api.operation
def create_canary(request: Json) -> Json:
    name = request["Name"]
    if name in canaries:
        raise ApiError("ConflictException", f"A canary with the name {name} exists already")
    now = time.time()
    canaries[name] = {
        "SuccessRetentionPeriodInDays": 31,
        "FailureRetentionPeriodInDays": 31,
        "Tags": {},
        **_as_reported(request),
        "Id": new_id(),
        "Status": {"State": "READY"},
        "Timeline": {"Created": now, "LastModified": now},
    }
    return {"Canary": canaries[name]}


@api.operation
def update_canary(request: Json) -> None:
    canary = _canary(request["Name"])
    canary.update(_as_reported(request))
    canary["Timeline"]["LastModified"] = time.time()


@api.operation
def get_canary(request: Json) -> Json:
    return {"Canary": _canary(request["Name"])}


@api.operation
def describe_canaries(request: Json) -> Json:
    return {"Canaries": [canary for _, canary in sorted(canaries.items())]}


@api.operation
def start_canary(request: Json) -> None:
    _canary(request["Name"]).update(Status={"State": "RUNNING"})


@api.operation
def stop_canary(request: Json) -> None:
    _canary(request["Name"]).update(Status={"State": "STOPPED"})


@api.operation
def delete_canary(request: Json) -> None:
    if _canary(request["Name"])["Status"]["State"] == "RUNNING":
        raise ApiError("ConflictException", f"The canary {request['Name']} is running; stop it first")
    del canaries[request["Name"]]


@api.operation
def tag_resource(request: Json) -> None:
    _canary(request["ResourceArn"].rpartition(":")[2])["Tags"].update(request["Tags"])


@api.operation
def untag_resource(request: Json) -> None:
    own = _canary(request["ResourceArn"].rpartition(":")[2])["Tags"]
    for key in request["TagKeys"]:
        own.pop(key, None)


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"Tags": _canary(request["ResourceArn"].rpartition(":")[2])["Tags"]}


@resource_type("AWS::Synthetics::Canary")
class Canary(ResourceType):
    replaced_by = ("Name",)
    name_property = "Name"
    # GetCanary gives neither the script back nor the environment.
    unread = (
        "Code",
        "RunConfig",
        "DeleteLambdaResourcesOnCanaryDeletion",
        "DryRunAndUpdate",
        "StartCanaryAfterCreation",
    )

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = properties["Name"]
        call("synthetics", "create_canary", **self._parameters("create_canary", properties))
        self._start(properties)
        return name, self._attributes(name)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        running = canaries[physical_id]["Status"]["State"] == "RUNNING"
        call("synthetics", "update_canary", **self._parameters("update_canary", new))
        canaries[physical_id]["Tags"] = self._tags(new)
        if not running:
            self._start(new)
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in canaries:
            canaries[physical_id]["Status"] = {"State": "STOPPED"}
            call("synthetics", "delete_canary", Name=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = lookup(canaries, physical_id)
        return {**found, **{key: found[f"{key}InDays"] for key in _RETENTION}} if found else None

    def _parameters(self, operation: str, properties: Json) -> Json:
        code = without(properties["Code"], "Script", "S3ObjectVersion", "SourceLocationArn")
        if "Script" in properties["Code"]:
            code["ZipFile"] = properties["Code"]["Script"]
        if "S3ObjectVersion" in properties["Code"]:
            code["S3Version"] = properties["Code"]["S3ObjectVersion"]
        converted = {
            **without(properties, *_RETENTION, *_OF_THE_TEMPLATE, "Tags"),
            **{f"{key}InDays": properties[key] for key in _RETENTION if key in properties},
            "Code": code,
        }
        own_tags = {"Tags": self._tags(properties)} if operation == "create_canary" else {}
        return to_parameters("synthetics", operation, converted) | own_tags

    def _tags(self, properties: Json) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in upper_tags(properties)}

    def _start(self, properties: Json) -> None:
        if str(properties.get("StartCanaryAfterCreation", False)).lower() == "true":
            call("synthetics", "start_canary", Name=properties["Name"])

    def _attributes(self, name: str) -> Json:
        canary = canaries[name]
        return {"Id": canary["Id"], "State": canary["Status"]["State"]}


_RETENTION = ("SuccessRetentionPeriod", "FailureRetentionPeriod")
_OF_THE_TEMPLATE = ("DeleteLambdaResourcesOnCanaryDeletion", "DryRunAndUpdate", "StartCanaryAfterCreation")


def _as_reported(request: Json) -> Json:
    code = request.get("Code", {})
    reported = without(request, "Code", "RunConfig", "Schedule")
    if code:
        location = {"SourceLocationArn": arn("lambda", f"layer:cwsyn-{request['Name']}:1")}
        reported["Code"] = {**location, "Handler": code.get("Handler", "index.handler")}
    if "RunConfig" in request:
        reported["RunConfig"] = without(request["RunConfig"], "EnvironmentVariables")
    if "Schedule" in request:
        reported["Schedule"] = {"DurationInSeconds": 0, **request["Schedule"]}
    return reported


def _canary(name: str) -> Json:
    return require(canaries, name, "ResourceNotFoundException", f"There is no canary {name}")
