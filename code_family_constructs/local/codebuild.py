"""AWS CodeBuild projects and report groups, in place of ministack's CodeBuild, whose handler drops most properties.

Not modelled: builds, webhooks (`Triggers`), fleets and source credentials; a template that asks for them is refused by
the name of the property.
"""

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
    lower_tags,
    name_of,
    require,
    resource_type,
    to_parameters,
    without,
)

projects: Any = _ministack.Scoped()
"""Project name → the project as BatchGetProjects reports it."""

report_groups: Any = _ministack.Scoped()
"""Report group ARN → the report group as BatchGetReportGroups reports it."""

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
            return self._put("update_project", physical_id, new)
        except ValueError:
            projects[physical_id] = before
            raise

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codebuild", "delete_project", name=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(projects, physical_id)

    def _put(self, operation: str, name: str, properties: Json) -> Json:
        parameters = to_parameters(
            "codebuild",
            operation,
            {**without(properties, "Tags", "Visibility", "ResourceAccessRole"), "Name": name},
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
