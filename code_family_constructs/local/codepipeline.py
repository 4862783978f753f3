"""AWS CodePipeline pipelines: their structure, versions, tags and stage transitions.

Not modelled: executions, webhooks and custom action types. Since no execution makes a job, whatever a Lambda function
reports for one is kept, whoever invoked it: AcknowledgeJob tells how it ended, GetJobDetails where it goes on.
"""

import time
from typing import Any

from code_family_constructs.local import _ministack, pipeline_checks
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    ResourceType,
    arn,
    call,
    lower_tags,
    merge_tags,
    name_of,
    require,
    resource_type,
    sync_tags,
    to_structure,
    without,
)

pipelines: Any = _ministack.Scoped()
"""Pipeline name → `{"pipeline", "created", "updated", "tags", "disabled": {stage: reason}}`."""

jobs: Any = _ministack.Scoped()
"""Job id → `{"status", "result"}`, the result as it was reported."""

api = Api("codepipeline")


@api.operation
def create_pipeline(request: Json) -> Json:
    pipeline, tags = request["pipeline"], request.get("tags", [])
    name = pipeline["name"]
    if name in pipelines:
        raise ApiError(
            "PipelineNameInUseException", f"A pipeline with the name '{name}' already exists in this account"
        )
    now = time.time()
    pipelines[name] = {
        "pipeline": _accepted(pipeline, version=1),
        "created": now,
        "updated": now,
        "tags": tags,
        "disabled": {},
    }
    return {"pipeline": pipelines[name]["pipeline"], "tags": tags}


@api.operation
def update_pipeline(request: Json) -> Json:
    record = _record(request["pipeline"]["name"])
    record["pipeline"] = _accepted(request["pipeline"], version=record["pipeline"]["version"] + 1)
    record["updated"] = time.time()
    return {"pipeline": record["pipeline"]}


@api.operation
def get_pipeline(request: Json) -> Json:
    record = _record(request["name"])
    version = record["pipeline"]["version"]
    if request.get("version", version) != version:
        raise ApiError("PipelineVersionNotFoundException", f"Only version {version} of {request['name']} is kept here")
    return {
        "pipeline": record["pipeline"],
        "metadata": {
            "pipelineArn": arn("codepipeline", request["name"]),
            "created": record["created"],
            "updated": record["updated"],
        },
    }


@api.operation
def list_pipelines(request: Json) -> Json:
    return {
        "pipelines": [
            {
                **{key: record["pipeline"][key] for key in ("name", "version", "pipelineType", "executionMode")},
                "created": record["created"],
                "updated": record["updated"],
            }
            for _, record in sorted(pipelines.items())
        ]
    }


@api.operation
def delete_pipeline(request: Json) -> None:
    pipelines.pop(request["name"], None)


@api.operation
def get_pipeline_state(request: Json) -> Json:
    record = _record(request["name"])
    return {
        "pipelineName": request["name"],
        "pipelineVersion": record["pipeline"]["version"],
        "created": record["created"],
        "updated": record["updated"],
        "stageStates": [
            {
                "stageName": stage["name"],
                "inboundTransitionState": _transition(record, stage["name"]),
                "actionStates": [{"actionName": action["name"]} for action in stage["actions"]],
            }
            for stage in record["pipeline"]["stages"]
        ],
    }


@api.operation
def list_pipeline_executions(request: Json) -> Json:
    _record(request["pipelineName"])
    return {"pipelineExecutionSummaries": []}


@api.operation
def put_job_success_result(request: Json) -> None:
    # With a continuation token the action calls the function again, and the job goes on.
    _end_job(request, "InProgress" if "continuationToken" in request else "Succeeded")


@api.operation
def put_job_failure_result(request: Json) -> None:
    _end_job(request, "Failed")


@api.operation
def acknowledge_job(request: Json) -> Json:
    return {"status": _job(request["jobId"])["status"]}


@api.operation
def get_job_details(request: Json) -> Json:
    result = _job(request["jobId"])["result"]
    data = {"continuationToken": result["continuationToken"]} if "continuationToken" in result else {}
    return {"jobDetails": {"id": request["jobId"], "accountId": _ministack.account_id(), "data": data}}


@api.operation
def disable_stage_transition(request: Json) -> None:
    record = _record(request["pipelineName"])
    _stage(record, request["stageName"])
    record["disabled"][request["stageName"]] = request["reason"]


@api.operation
def enable_stage_transition(request: Json) -> None:
    record = _record(request["pipelineName"])
    _stage(record, request["stageName"])
    record["disabled"].pop(request["stageName"], None)


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"tags": _tagged(request["resourceArn"])["tags"]}


@api.operation
def tag_resource(request: Json) -> None:
    record = _tagged(request["resourceArn"])
    record["tags"] = merge_tags(record["tags"], request["tags"], "key")


@api.operation
def untag_resource(request: Json) -> None:
    record = _tagged(request["resourceArn"])
    record["tags"] = [tag for tag in record["tags"] if tag["key"] not in request["tagKeys"]]


@resource_type("AWS::CodePipeline::Pipeline")
class Pipeline(ResourceType):
    replaced_by = ("Name",)
    name_property = "Name"
    # RestartExecutionOnUpdate is for an execution that does not exist here.
    unread = ("RestartExecutionOnUpdate", "DisableInboundStageTransitions")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "Name", logical_id, stack, 100)
        tags = lower_tags(properties)
        version = call("codepipeline", "create_pipeline", pipeline=self._structure(name, properties), tags=tags)
        self._set_transitions(name, [], properties)
        return name, {"Version": str(version["pipeline"]["version"])}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        ours = ("Tags", "DisableInboundStageTransitions", "RestartExecutionOnUpdate")
        if without(old, *ours) != without(new, *ours):
            call("codepipeline", "update_pipeline", pipeline=self._structure(physical_id, new))
        sync_tags(
            old,
            new,
            tag=lambda keys: call(
                "codepipeline",
                "tag_resource",
                resourceArn=arn("codepipeline", physical_id),
                tags=[tag for tag in lower_tags(new) if tag["key"] in keys],
            ),
            untag=lambda keys: call(
                "codepipeline", "untag_resource", resourceArn=arn("codepipeline", physical_id), tagKeys=keys
            ),
        )
        self._set_transitions(physical_id, old.get("DisableInboundStageTransitions", []), new)
        return {"Version": str(_record(physical_id)["pipeline"]["version"])}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codepipeline", "delete_pipeline", name=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        if physical_id not in pipelines:
            return None
        pipeline = pipelines[physical_id]["pipeline"]
        if "artifactStores" not in pipeline:
            return dict(pipeline)
        stores = [{"region": key, "artifactStore": store} for key, store in pipeline["artifactStores"].items()]
        return {**pipeline, "artifactStores": stores}

    def _structure(self, name: str, properties: Json) -> Json:
        properties = without(properties, "Tags", "DisableInboundStageTransitions", "RestartExecutionOnUpdate")
        if "ArtifactStores" in properties:
            stores = {item["Region"]: item["ArtifactStore"] for item in properties["ArtifactStores"]}
            properties["ArtifactStores"] = stores
        return to_structure("codepipeline", "PipelineDeclaration", {**properties, "Name": name})

    def _set_transitions(self, name: str, before: list[Json], properties: Json) -> None:
        wanted = {item["StageName"]: item["Reason"] for item in properties.get("DisableInboundStageTransitions", [])}
        for stage in [item["StageName"] for item in before if item["StageName"] not in wanted]:
            call(
                "codepipeline", "enable_stage_transition", pipelineName=name, stageName=stage, transitionType="Inbound"
            )
        for stage, reason in wanted.items():
            call(
                "codepipeline",
                "disable_stage_transition",
                pipelineName=name,
                stageName=stage,
                transitionType="Inbound",
                reason=reason,
            )


def _end_job(request: Json, status: str) -> None:
    before = jobs.get(request["jobId"], {"status": "InProgress"})["status"]
    if before != "InProgress":
        raise ApiError("InvalidJobStateException", f"The job {request['jobId']} is {before} already")
    jobs[request["jobId"]] = {"status": status, "result": without(request, "jobId")}


def _job(identifier: str) -> Json:
    return require(jobs, identifier, "JobNotFoundException", f"There is no job {identifier}")


def _accepted(pipeline: Json, version: int) -> Json:
    pipeline_checks.check(pipeline)
    for action in (action for stage in pipeline["stages"] for action in stage["actions"]):
        action.setdefault("runOrder", 1)
        for key, empty in (("configuration", {}), ("inputArtifacts", []), ("outputArtifacts", [])):
            action.setdefault(key, empty)
    return {"executionMode": "SUPERSEDED", "pipelineType": "V1", **pipeline, "version": version}


def _transition(record: Json, stage: str) -> Json:
    reason = record["disabled"].get(stage)
    return {"enabled": True} if reason is None else {"enabled": False, "disabledReason": reason}


def _record(name: str) -> Json:
    return require(
        pipelines,
        name,
        "PipelineNotFoundException",
        f"Account '{_ministack.account_id()}' does not have a pipeline with name '{name}'",
    )


def _tagged(resource_arn: str) -> Json:
    name = resource_arn.rpartition(":")[2]
    return require(pipelines, name, "ResourceNotFoundException", f"The resource {resource_arn} does not exist")


def _stage(record: Json, name: str) -> None:
    if name not in [stage["name"] for stage in record["pipeline"]["stages"]]:
        raise ApiError("StageNotFoundException", f"Stage {name} does not exist in {record['pipeline']['name']}")
