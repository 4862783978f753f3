"""AWS CodeBuild projects, webhooks, report groups and fleets, in place of ministack's CodeBuild, which drops a lot.

A webhook exists here only: nothing is told to its provider, so nothing starts a build. As at AWS it cannot be created
through a connection whose handshake is pending; one that the endpoint does not know counts as finished elsewhere. Not
modelled: builds, batch builds, reports, and the machines of a fleet.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

from code_family_constructs.local import _ministack, codeconnections
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    ResourceType,
    arn,
    call,
    lookup,
    lower_tags,
    name_of,
    new_id,
    require,
    resource_type,
    to_parameters,
    without,
)

projects: Any = _ministack.Scoped()
"""Project name → the project as BatchGetProjects reports it."""

report_groups: Any = _ministack.Scoped()
"""Report group ARN → the report group as BatchGetReportGroups reports it."""

fleets: Any = _ministack.Scoped()
"""Fleet ARN → the fleet as BatchGetFleets reports it."""

credentials: Any = _ministack.Scoped()
"""ARN of source credentials → the credentials as ListSourceCredentials reports them."""

api = Api("codebuild")


@api.operation
def create_project(request: Json) -> Json:
    name = request["name"]
    if name in projects:
        raise ApiError("ResourceAlreadyExistsException", f"Project already exists: {projects[name]['arn']}")
    projects[name] = {**_blank(name), **_as_reported(request)}
    return {"project": projects[name]}


@api.operation
def update_project(request: Json) -> Json:
    project = _project(request["name"])
    projects[request["name"]] = {**project, **_as_reported(request), "lastModified": time.time()}
    return {"project": projects[request["name"]]}


@api.operation
def update_project_visibility(request: Json) -> Json:
    project = _project(request["projectArn"])
    project["projectVisibility"] = request["projectVisibility"]
    if "resourceAccessRole" in request:
        project["resourceAccessRole"] = request["resourceAccessRole"]
    return {key: project[key] for key in ("projectVisibility",)} | {"projectArn": project["arn"]}


@api.operation
def batch_get_projects(request: Json) -> Json:
    names = [_name(item) for item in request["names"]]
    return {
        "projects": [projects[name] for name in names if name in projects],
        "projectsNotFound": [name for name in names if name not in projects],
    }


@api.operation
def list_projects(request: Json) -> Json:
    return {"projects": sorted(projects.keys(), reverse=request.get("sortOrder") == "DESCENDING")}


@api.operation
def delete_project(request: Json) -> None:
    projects.pop(_name(request["name"]), None)


@api.operation
def list_builds_for_project(request: Json) -> Json:
    _project(request["projectName"])
    return {"ids": []}


@api.operation
def create_webhook(request: Json) -> Json:
    project = _project(request["projectName"])
    if "webhook" in project:
        raise ApiError("ResourceAlreadyExistsException", f"Webhook already exists for project {project['name']}")
    _put_webhook(project, request)
    return {"webhook": project["webhook"]}


@api.operation
def update_webhook(request: Json) -> Json:
    project = _project(request["projectName"])
    if "webhook" not in project:
        raise ApiError("ResourceNotFoundException", f"No webhook found for project {project['name']}")
    _put_webhook(project, {**project["webhook"], **without(request, "rotateSecret")})
    return {"webhook": project["webhook"]}


@api.operation
def delete_webhook(request: Json) -> None:
    project = _project(request["projectName"])
    if project.pop("webhook", None) is None:
        raise ApiError("ResourceNotFoundException", f"No webhook found for project {project['name']}")


@api.operation
def import_source_credentials(request: Json) -> Json:
    credentials_arn = arn("codebuild", f"token/{request['serverType'].lower()}")
    if credentials_arn in credentials and not request.get("shouldOverwrite", True):
        raise ApiError("ResourceAlreadyExistsException", f"Access token already exists: {credentials_arn}")
    resource = {"resource": request["token"]} if request["authType"] == "CODECONNECTIONS" else {}
    kind = {key: request[key] for key in ("authType", "serverType")}
    credentials[credentials_arn] = {"arn": credentials_arn, **kind, **resource}
    return {"arn": credentials_arn}


@api.operation
def list_source_credentials(request: Json) -> Json:
    return {"sourceCredentialsInfos": [item for _, item in sorted(credentials.items())]}


@api.operation
def delete_source_credentials(request: Json) -> Json:
    require(credentials, request["arn"], "ResourceNotFoundException", f"There are no credentials {request['arn']}")
    del credentials[request["arn"]]
    return {"arn": request["arn"]}


@api.operation
def create_fleet(request: Json) -> Json:
    name, now = request["name"], time.time()
    if name in [fleet["name"] for fleet in fleets.values()]:
        raise ApiError("ResourceAlreadyExistsException", f"Fleet already exists: {name}")
    identifier = new_id()
    fleet_arn = arn("codebuild", f"fleet/{name}:{identifier}")
    fleets[fleet_arn] = {
        "overflowBehavior": "QUEUE",
        **_scaled(request),
        "arn": fleet_arn,
        "id": identifier,
        "created": now,
        "lastModified": now,
        "status": {"statusCode": "ACTIVE"},
    }
    return {"fleet": fleets[fleet_arn]}


@api.operation
def update_fleet(request: Json) -> Json:
    fleet = _fleet(request["arn"])
    fleet.update(_scaled(request), lastModified=time.time())
    return {"fleet": fleet}


@api.operation
def batch_get_fleets(request: Json) -> Json:
    found = [item for item in fleets.values() if {item["arn"], item["name"]} & set(request["names"])]
    known = {name for item in found for name in (item["arn"], item["name"])}
    return {"fleets": found, "fleetsNotFound": [name for name in request["names"] if name not in known]}


@api.operation
def list_fleets(request: Json) -> Json:
    return {"fleets": sorted(fleets.keys())}


@api.operation
def delete_fleet(request: Json) -> None:
    users = [
        project["name"]
        for project in projects.values()
        if project.get("environment", {}).get("fleet", {}).get("fleetArn") == request["arn"]
    ]
    if users:
        raise ApiError("InvalidInputException", f"The fleet {request['arn']} is in use by {users[0]}")
    fleets.pop(request["arn"], None)


@api.operation
def create_report_group(request: Json) -> Json:
    group_arn = arn("codebuild", f"report-group/{request['name']}")
    if group_arn in report_groups:
        raise ApiError("ResourceAlreadyExistsException", f"Report group already exists: {group_arn}")
    report_groups[group_arn] = {**request, "arn": group_arn, "created": time.time(), "status": "ACTIVE"}
    return {"reportGroup": report_groups[group_arn]}


@api.operation
def update_report_group(request: Json) -> Json:
    group = _report_group(request["arn"])
    group.update(request, lastModified=time.time())
    return {"reportGroup": group}


@api.operation
def batch_get_report_groups(request: Json) -> Json:
    arns = request["reportGroupArns"]
    return {
        "reportGroups": [report_groups[item] for item in arns if item in report_groups],
        "reportGroupsNotFound": [item for item in arns if item not in report_groups],
    }


@api.operation
def list_report_groups(request: Json) -> Json:
    return {"reportGroups": sorted(report_groups.keys())}


@api.operation
def delete_report_group(request: Json) -> None:
    _report_group(request["arn"])
    del report_groups[request["arn"]]


@resource_type("AWS::CodeBuild::Project")
class Project(ResourceType):
    replaced_by = ("Name",)
    name_property = "Name"
    unread = ("Visibility", "BadgeEnabled", "ResourceAccessRole")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "Name", logical_id, stack, 150)
        return name, self._put("create_project", name, properties)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        # UpdateProject keeps what it is not told, so what left the template has to be forgotten first.
        before = projects[physical_id]
        projects[physical_id] = _blank(physical_id) | {"created": before["created"]}
        try:
            attributes = self._put("update_project", physical_id, new)
        except ValueError:
            projects[physical_id] = before
            raise
        kept = {key: value for key, value in before.get("webhook", {}).items() if key in ("url", "payloadUrl")}
        projects[physical_id].get("webhook", {}).update(kept)
        return attributes

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codebuild", "delete_project", name=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = lookup(projects, physical_id)
        webhook = (found or {}).get("webhook")
        return {**found, "Triggers": {"Webhook": True, **webhook}} if found and webhook else found

    def _put(self, operation: str, name: str, properties: Json) -> Json:
        parameters = to_parameters(
            "codebuild",
            operation,
            {**without(properties, "Tags", "Triggers", "Visibility", "ResourceAccessRole"), "Name": name},
        )
        tags = lower_tags(properties)
        project = call("codebuild", operation, **parameters, tags=tags)["project"]
        if "Visibility" in properties:
            role = properties.get("ResourceAccessRole")
            call(
                "codebuild",
                "update_project_visibility",
                projectArn=project["arn"],
                projectVisibility=properties["Visibility"],
                **({"resourceAccessRole": role} if role else {}),
            )
        triggers = properties.get("Triggers", {})
        if str(triggers.get("Webhook", False)).lower() == "true":
            webhook = {**without(triggers, "Webhook"), "ProjectName": name}
            try:
                call("codebuild", "create_webhook", **to_parameters("codebuild", "create_webhook", webhook))
            except ValueError:
                if operation == "create_project":
                    del projects[name]
                raise
        return {"Arn": project["arn"], "Id": name}


@resource_type("AWS::CodeBuild::ReportGroup")
class ReportGroup(ResourceType):
    replaced_by = ("Name", "Type")
    name_property = "Name"
    unread = ("DeleteReports",)

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "Name", logical_id, stack, 128)
        parameters = to_parameters(
            "codebuild",
            "create_report_group",
            {
                "ExportConfig": {"ExportConfigType": "NO_EXPORT"},
                **without(properties, "Tags", "DeleteReports"),
                "Name": name,
            },
        )
        group = call("codebuild", "create_report_group", **parameters, tags=lower_tags(properties))["reportGroup"]
        return group["arn"], {"Arn": group["arn"]}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        changed = {key: new[key] for key in ("ExportConfig",) if key in new}
        parameters = to_parameters("codebuild", "update_report_group", {**changed, "Arn": physical_id})
        call("codebuild", "update_report_group", **parameters, tags=lower_tags(new))
        return {"Arn": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in report_groups:
            call("codebuild", "delete_report_group", arn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(report_groups, physical_id)


@resource_type("AWS::CodeBuild::Fleet")
class Fleet(ResourceType):
    replaced_by = ("Name",)
    name_property = "Name"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "Name", logical_id, stack, 128)
        parameters = to_parameters("codebuild", "create_fleet", {**without(properties, "Tags"), "Name": name})
        fleet = call("codebuild", "create_fleet", **parameters, tags=lower_tags(properties))["fleet"]
        return fleet["arn"], {"Arn": fleet["arn"]}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        parameters = to_parameters("codebuild", "update_fleet", {**without(new, "Tags", "Name"), "Arn": physical_id})
        call("codebuild", "update_fleet", **parameters, tags=lower_tags(new))
        return {"Arn": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codebuild", "delete_fleet", arn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(fleets, physical_id)


@resource_type("AWS::CodeBuild::SourceCredential")
class SourceCredential(ResourceType):
    replaced_by = ("ServerType",)
    tags = None
    unread = ("Token", "Username")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        return self._put({**properties, "ShouldOverwrite": False}), {}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        self._put({**new, "ShouldOverwrite": True})
        return {}

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in credentials:
            call("codebuild", "delete_source_credentials", arn=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(credentials, physical_id)

    def _put(self, properties: Json) -> str:
        operation = "import_source_credentials"
        imported: str = call("codebuild", operation, **to_parameters("codebuild", operation, properties))["arn"]
        return imported


_PROVIDERS = ("GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET", "GITLAB", "GITLAB_SELF_MANAGED")
_EVENTS = (
    "PUSH",
    "PULL_REQUEST_CREATED",
    "PULL_REQUEST_UPDATED",
    "PULL_REQUEST_CLOSED",
    "PULL_REQUEST_REOPENED",
    "PULL_REQUEST_MERGED",
    "RELEASED",
    "PRERELEASED",
    "WORKFLOW_JOB_QUEUED",
)


def _put_webhook(project: Json, request: Json) -> None:
    problem = next(_webhook_problems(project, request), None)
    if problem:
        raise ApiError("InvalidInputException", problem)
    if any(connection["ConnectionStatus"] != "AVAILABLE" for connection in _connections(project)):
        raise ApiError(
            "OAuthProviderException",
            "Failed to create webhook. Repository not found or permission denied. Please make sure the source "
            "credentials associated with your project have the permission to create webhook. (The handshake of the "
            "project's connection is pending.)",
        )
    identifier = new_id()
    project["webhook"] = {
        "url": f"https://api.{project['source']['type'].lower().replace('_', '-')}.com/hooks/{identifier}",
        "payloadUrl": f"https://codebuild.{_ministack.region()}.amazonaws.com/webhooks?t={identifier}",
        "status": "ACTIVE",
        "lastModifiedSecret": time.time(),
        **without(request, "projectName"),
    }


def _webhook_problems(project: Json, request: Json) -> Iterator[str]:
    source, groups = project["source"]["type"], request.get("filterGroups", [])
    if source not in _PROVIDERS:
        yield f"Project with source type {source} does not support webhooks"
    if groups and "branchFilter" in request:
        yield "A webhook has either a branch filter or filter groups"
    if request.get("buildType") == "BUILD_BATCH" and "buildBatchConfig" not in project:
        yield "Batch builds are not configured for this project"
    for group in groups:
        events = [item["pattern"] for item in group if item["type"] == "EVENT"]
        if len(events) != 1:
            yield "Each filter group must have exactly one EVENT filter"
        for event in ",".join(events).split(","):
            if event.strip() not in _EVENTS:
                yield f"Invalid event type {event.strip()}"
        for item in group:
            try:
                re.compile(item["pattern"])
            except re.error as error:
                yield f"Invalid pattern {item['pattern']}: {error}"


def _connections(project: Json) -> Iterator[Json]:
    auth = project["source"].get("auth", {})
    used = [auth.get("resource")] if auth.get("type") == "CODECONNECTIONS" else []
    if not auth:
        kind = project["source"]["type"]
        used = [item.get("resource") for item in credentials.values() if item["serverType"] == kind]
    yield from (codeconnections.connections[item]["connection"] for item in used if item in codeconnections.connections)


def _scaled(request: Json) -> Json:
    # A fleet has as many machines as it wants at once.
    scaling = request.get("scalingConfiguration")
    wanted = {"desiredCapacity": request.get("baseCapacity", 1)}
    return {**request, "scalingConfiguration": {**scaling, **wanted}} if scaling else dict(request)


def _fleet(fleet_arn: str) -> Json:
    return require(fleets, fleet_arn, "ResourceNotFoundException", f"Fleet cannot be found: {fleet_arn}")


def _blank(name: str) -> Json:
    now = time.time()
    return {
        "name": name,
        "arn": arn("codebuild", f"project/{name}"),
        "description": "",
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "cache": {"type": "NO_CACHE"},
        "encryptionKey": arn("kms", "alias/aws/s3"),
        "badge": {"badgeEnabled": False},
        "projectVisibility": "PRIVATE",
        "tags": [],
        "created": now,
        "lastModified": now,
    }


def _as_reported(request: Json) -> Json:
    reported = without(request, "badgeEnabled")
    if "badgeEnabled" in request:
        reported["badge"] = {"badgeEnabled": request["badgeEnabled"]}
    return reported


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition(":project/")[2]


def _project(name_or_arn: str) -> Json:
    name = _name(name_or_arn)
    return require(projects, name, "ResourceNotFoundException", f"Project cannot be found: {name}")


def _report_group(group_arn: str) -> Json:
    return require(report_groups, group_arn, "ResourceNotFoundException", f"Report group cannot be found: {group_arn}")
