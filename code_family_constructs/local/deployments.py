"""AWS CodeDeploy deployments and revisions: those to Amazon ECS and AWS Lambda run, those to instances are recorded.

A deployment runs in a thread. It calls the hook functions of its AppSpec for real and waits for what they report,
shifts the traffic, and goes back when it fails and its group rolls back, all as AWS does, but at once: the intervals
of a canary or linear configuration and the wait before termination are skipped, so all traffic shifts in one step. A
hook function that ended without a report has failed; AWS would wait for one hour. A deployment that waits to be
continued does wait. Alarms are looked at before the traffic shifts and when all is done. A deployment to instances
finds none, since the endpoint runs none, and fails as AWS does then.
"""

import hashlib

from code_family_constructs.local import _ministack
from code_family_constructs.local.appspec import AppSpec, AppSpecError, parse
from code_family_constructs.local.codedeploy import api, find_application, find_config, find_group
from code_family_constructs.local.deployment_records import (
    Deployment,
    deployments,
    finish,
    key_of,
    record,
    register,
    revisions,
)
from code_family_constructs.local.deployment_runs import EcsRun, LambdaRun
from code_family_constructs.local.framework import ApiError, CallError, Json, call, require


@api.operation
def create_deployment(request: Json) -> Json:
    return {"deploymentId": start(request, creator="user").info["deploymentId"]}


@api.operation
def get_deployment(request: Json) -> Json:
    return {"deploymentInfo": _deployment(request).info}


@api.operation
def batch_get_deployments(request: Json) -> Json:
    return {"deploymentsInfo": [deployments[item].info for item in request["deploymentIds"] if item in deployments]}


@api.operation
def list_deployments(request: Json) -> Json:
    wanted = {key: request[key] for key in ("applicationName", "deploymentGroupName") if key in request}
    statuses, range_ = request.get("includeOnlyStatuses"), request.get("createTimeRange", {})
    found = [
        info
        for info in (item.info for item in deployments.values())
        if wanted.items() <= info.items()
        and (not statuses or info["status"] in statuses)
        and range_.get("start", 0) <= info["createTime"] <= range_.get("end", float("inf"))
    ]
    found.sort(key=lambda info: info["createTime"], reverse=True)
    return {"deployments": [info["deploymentId"] for info in found]}


@api.operation
def stop_deployment(request: Json) -> Json:
    deployment = _deployment(request)
    if not deployment.is_active:
        raise ApiError(
            "DeploymentAlreadyCompletedException",
            f"The deployment {request['deploymentId']} is already in a terminal state: {deployment.info['status']}",
        )
    if request.get("autoRollbackEnabled"):
        deployment.info["autoRollbackConfiguration"] = _ROLL_BACK_WHEN_STOPPED
    deployment.stopped = True
    deployment.may_go_on.set()
    return {"status": "Pending", "statusMessage": "Stopping deployment"}


@api.operation
def continue_deployment(request: Json) -> None:
    deployment = _deployment(request)
    if deployment.info["status"] != "Ready":
        raise ApiError("DeploymentIsNotInReadyStateException", f"The deployment {request['deploymentId']} is not ready")
    deployment.may_go_on.set()


@api.operation
def list_deployment_targets(request: Json) -> Json:
    target = _deployment(request).target_body
    return {"targetIds": [target["targetId"]] if target else []}


@api.operation
def get_deployment_target(request: Json) -> Json:
    deployment = _deployment(request)
    if deployment.target_body.get("targetId") != request["targetId"]:
        raise ApiError("DeploymentTargetDoesNotExistException", f"There is no target {request['targetId']}")
    return {"deploymentTarget": deployment.target}


@api.operation
def batch_get_deployment_targets(request: Json) -> Json:
    deployment = _deployment(request)
    wanted = deployment.target_body.get("targetId") in request["targetIds"]
    return {"deploymentTargets": [deployment.target] if wanted else []}


@api.operation
def put_lifecycle_event_hook_execution_status(request: Json) -> Json:
    deployment, execution = _deployment(request), request["lifecycleEventHookExecutionId"]
    if execution not in deployment.hooks:
        raise ApiError("InvalidLifecycleEventHookExecutionIdException", f"There is no hook execution {execution}")
    event = deployment.hooks[execution]
    if event["status"] != "InProgress":
        raise ApiError(
            "LifecycleEventAlreadyCompletedException", f"{event['lifecycleEventName']} is already {event['status']}"
        )
    if request["status"] not in ("Succeeded", "Failed"):
        raise ApiError(
            "InvalidLifecycleEventHookExecutionStatusException", "A hook reports Succeeded or Failed and nothing else"
        )
    event["status"] = request["status"]
    return {"lifecycleEventHookExecutionId": execution}


@api.operation
def register_application_revision(request: Json) -> None:
    find_application(request["applicationName"])
    register(request["applicationName"], request["revision"], description=request.get("description"))


@api.operation
def get_application_revision(request: Json) -> Json:
    name, key = request["applicationName"], key_of(request["revision"])
    find_application(name)
    message = "No revision was found that matches"
    return {"applicationName": name} | require(revisions, (name, key), "RevisionDoesNotExistException", message)


@api.operation
def batch_get_application_revisions(request: Json) -> Json:
    name = request["applicationName"]
    find_application(name)
    keys = [(name, key_of(revision)) for revision in request["revisions"]]
    found = [revisions[key] for key in keys if key in revisions]
    renamed = [{"revisionLocation": item["revision"], "genericRevisionInfo": item["revisionInfo"]} for item in found]
    return {"applicationName": name, "errorMessage": "", "revisions": renamed}


@api.operation
def list_application_revisions(request: Json) -> Json:
    name = request["applicationName"]
    find_application(name)
    return {"revisions": [item["revision"] for key, item in revisions.items() if key[0] == name]}


def start(request: Json, *, creator: str) -> Deployment:
    """Do as CreateDeployment, for whoever creates one."""
    app = find_application(request["applicationName"])
    if "deploymentGroupName" not in request:
        raise ApiError("DeploymentGroupNameRequiredException", "Deployment group name is missing")
    group = find_group(app["applicationName"], request["deploymentGroupName"])
    revision = request.get("revision") or group.get("targetRevision")
    if not revision:
        raise ApiError("RevisionRequiredException", "Revision is missing")
    busy = [item for item in deployments.values() if item.is_active and item.is_of(group)]
    if busy:
        raise ApiError(
            "DeploymentLimitExceededException",
            f"The Deployment Group '{group['deploymentGroupName']}' already has an active Deployment "
            f"'{busy[0].info['deploymentId']}'",
        )
    platform = group["computePlatform"]
    spec = _app_spec(revision, platform) if platform != "Server" else None
    config = find_config(request.get("deploymentConfigName") or group["deploymentConfigName"])
    if config["computePlatform"] != platform:
        raise ApiError(
            "InvalidDeploymentConfigNameException",
            f"{config['deploymentConfigName']} is for {config['computePlatform']}, not for {platform}",
        )
    deployment = record(request, group, revision, creator)
    if spec is None:
        finish(deployment, group, "Failed", "NO_INSTANCES", "No instances were found for your deployment group.")
    else:
        run = EcsRun if platform == "ECS" else LambdaRun
        _ministack.in_background(run(deployment, group, spec).run, thread_name="codedeploy-deployment")
    return deployment


_ROLL_BACK_WHEN_STOPPED = {"enabled": True, "events": ["DEPLOYMENT_STOP_ON_REQUEST"]}


def _app_spec(revision: Json, platform: str) -> AppSpec:
    try:
        return parse(_text(revision, platform), platform)
    except AppSpecError as error:
        raise ApiError("InvalidRevisionException", str(error)) from error


def _text(revision: Json, platform: str) -> str:
    kind = revision.get("revisionType")
    if kind == "AppSpecContent":
        content: str = revision.get("appSpecContent", {}).get("content", "")
        given = revision["appSpecContent"].get("sha256")
        if given and given != hashlib.sha256(content.encode()).hexdigest():
            raise AppSpecError("The SHA-256 of the AppSpec is not the one in the request")
        return content
    if kind == "String" and platform == "Lambda":
        return str(revision.get("string", {}).get("content", ""))
    if kind != "S3":
        raise AppSpecError(f"A deployment to {platform} takes its AppSpec from S3 or from the request, not {kind}")
    location = revision.get("s3Location", {})
    if location.get("bundleType", "").lower() not in ("yaml", "json"):
        raise AppSpecError(f"The bundle type of a deployment to {platform} must be either YAML or JSON")
    version = {"VersionId": location["version"]} if "version" in location else {}
    try:
        answer = call("s3", "get_object", Bucket=location["bucket"], Key=location["key"], **version)
    except CallError as error:
        raise AppSpecError(str(error)) from error
    return str(answer["Body"].read().decode())


def _deployment(request: Json) -> Deployment:
    identifier = request["deploymentId"]
    if identifier not in deployments:
        raise ApiError("DeploymentDoesNotExistException", f"The deployment {identifier} could not be found")
    found: Deployment = deployments[identifier]
    return found
