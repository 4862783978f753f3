"""What Amazon ECS does when it deploys a service itself: service revisions, hooks, traffic, and the way back.

A deployment goes through its lifecycle stages at once: bake times and the steps of LINEAR and CANARY are skipped, so
all traffic shifts in one step, and a hook that answers IN_PROGRESS is asked again at once. Hooks are Lambda functions
and run for real. Alarms are looked at once, when the bake time would be; as at AWS, not in a deployment that starts
while one of them is firing.
"""

import time
from collections.abc import Iterator
from typing import Any

from code_family_constructs.local import _ministack, listeners
from code_family_constructs.local.alarms import active
from code_family_constructs.local.framework import Json, arn, new_id
from code_family_constructs.local.invocation import InvocationError, invoke

deployments: Any = _ministack.Scoped()
"""Service deployment ARN → the deployment as DescribeServiceDeployments reports it."""

revisions: Any = _ministack.Scoped()
"""Service revision ARN → the revision as DescribeServiceRevisions reports it."""

MOST_CALLS = 20
"""How often a hook that is still IN_PROGRESS is asked, since it is asked without a pause."""

_SETTINGS = (
    "capacityProviderStrategy",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "platformFamily",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "taskDefinition",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)
"""What a revision holds of its service."""


def start(service: Json) -> None:
    """Deploy a service as it is now; in a thread of its own when there are hooks to wait for."""
    sources = service.pop("currentServiceRevisions", [])
    revision = _add_revision(service, sources)
    identifier = _path(service, new_id()[:21])
    deployment = arn("ecs", f"service-deployment/{identifier}")
    deployments[deployment] = {
        "serviceDeploymentArn": deployment,
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": time.time(),
        "startedAt": time.time(),
        "updatedAt": time.time(),
        "sourceServiceRevisions": sources,
        "targetServiceRevision": _summary(service, revision),
        "status": "IN_PROGRESS",
        "deploymentConfiguration": service["deploymentConfiguration"],
    }
    service["currentServiceDeployment"] = deployment
    service["currentServiceRevisions"] = [*sources, _summary(service, revision)]
    service["deployments"] = [
        _deployment(service, "PRIMARY", "IN_PROGRESS"),
        *({**item, "status": "ACTIVE"} for item in service["deployments"][:1]),
    ]
    if service["deploymentConfiguration"].get("lifecycleHooks"):
        _ministack.in_background(_run, service, deployments[deployment], thread_name="ecs-deployment")
    else:
        _run(service, deployments[deployment])


def is_under_way(service: Json) -> bool:
    """Whether the service's deployment has not ended."""
    deployment = deployments.get(service.get("currentServiceDeployment", ""), {"status": "SUCCESSFUL"})
    return deployment["status"] in ("IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def wait(service: Json) -> str | None:
    """Wait until the service's deployment ends, in a thread; return why it failed, or None."""
    while is_under_way(service):
        time.sleep(0.02)
    deployment = deployments.get(service.get("currentServiceDeployment", ""))
    if deployment is None or deployment["status"] == "SUCCESSFUL":
        return None
    return f"Error occurred during operation '{deployment['statusReason']}'."


def describe_service_deployments(request: Json) -> Json:
    """Return service deployments by ARN."""
    found, missing = _split(deployments, request["serviceDeploymentArns"])
    return {"serviceDeployments": found, "failures": missing}


def describe_service_revisions(request: Json) -> Json:
    """Return service revisions by ARN."""
    found, missing = _split(revisions, request["serviceRevisionArns"])
    return {"serviceRevisions": found, "failures": missing}


def list_service_deployments(request: Json) -> Json:
    """Return the deployments of a service, the newest first."""
    name, wanted, created = request["service"].rpartition("/")[2], request.get("status"), request.get("createdAt", {})
    cluster = request.get("cluster", "default").rpartition("/")[2]
    service = request["service"] if ":" in request["service"] else arn("ecs", f"service/{cluster}/{name}")
    keys = ("serviceDeploymentArn", "serviceArn", "clusterArn", "createdAt", "startedAt", "finishedAt", "status")
    found = [
        {key: item[key] for key in (*keys, "statusReason") if key in item}
        | {"targetServiceRevisionArn": item["targetServiceRevision"]["arn"]}
        for item in deployments.values()
        if item["serviceArn"] == service
        and (not wanted or item["status"] in wanted)
        and created.get("after", 0) <= item["createdAt"] <= created.get("before", float("inf"))
    ]
    return {"serviceDeployments": sorted(found, key=lambda item: item["createdAt"], reverse=True)}


class _FailedError(Exception):
    pass


def _run(service: Json, deployment: Json) -> None:
    shifted: list[str] = []
    alarms = service["deploymentConfiguration"].get("alarms", {})
    watched = alarms.get("alarmNames", []) if alarms.get("enable") and alarms.get("rollback") else []
    watched = [] if active(watched) else watched
    try:
        for stage in _STAGES:
            deployment.update(lifecycleStage=stage, updatedAt=time.time())
            if stage in ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"):
                shifted.append(stage)
                _shift(service, deployment, stage, back=False)
            _call_hooks(service, deployment, stage, back=False)
            if stage == "BAKE_TIME" and (firing := active(watched)):
                raise _FailedError(f"Alarms in state ALARM: {', '.join(firing)}.")
    except _FailedError as failure:
        _roll_back(service, deployment, str(failure), shifted)
    else:
        service["currentServiceRevisions"] = [deployment["targetServiceRevision"]]
        service["deployments"] = [_deployment(service, "PRIMARY", "COMPLETED")]
        deployment.update(status="SUCCESSFUL", finishedAt=time.time())


_STAGES = (
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)


def _roll_back(service: Json, deployment: Json, reason: str, shifted: list[str]) -> None:
    deployment.update(status="ROLLBACK_IN_PROGRESS", statusReason=reason)
    sources = deployment["sourceServiceRevisions"]
    try:
        if not sources:
            raise _FailedError("there is no earlier revision to go back to")
        for stage in reversed(shifted):
            _shift(service, deployment, stage, back=True)
            _call_hooks(service, deployment, stage, back=True)
    except _FailedError as failure:
        deployment.update(
            status="ROLLBACK_FAILED", statusReason=f"{reason} Rollback failed: {failure}.", finishedAt=time.time()
        )
        service["deployments"] = [_deployment(service, "PRIMARY", "FAILED", reason)]
        return
    before = revisions[sources[0]["arn"]]
    service.update({key: before[key] for key in _SETTINGS if key in before})
    service["currentServiceRevisions"] = sources
    service["deployments"] = [_deployment(service, "PRIMARY", "COMPLETED")]
    deployment.update(
        status="ROLLBACK_SUCCESSFUL",
        finishedAt=time.time(),
        rollback={"reason": reason, "startedAt": time.time(), "serviceRevisionArn": sources[0]["arn"]},
    )


def _shift(service: Json, deployment: Json, stage: str, *, back: bool) -> None:
    target = revisions[deployment["targetServiceRevision"]["arn"]]
    rule_key = "testListenerRule" if stage == "TEST_TRAFFIC_SHIFT" else "productionListenerRule"
    for balancer, resolved in _balancers(service, target):
        rule = balancer["advancedConfiguration"].get(rule_key)
        if rule:
            green = resolved["targetGroupArn"]
            both = {balancer["targetGroupArn"], balancer["advancedConfiguration"]["alternateTargetGroupArn"]}
            [blue] = both - {green}
            listeners.weigh(rule, {green: 0, blue: 100} if back else {green: 100, blue: 0})


def _call_hooks(service: Json, deployment: Json, stage: str, *, back: bool) -> None:
    for hook in service["deploymentConfiguration"].get("lifecycleHooks", []):
        if stage in hook["lifecycleStages"]:
            _call_hook(deployment, stage, hook, back=back)


def _call_hook(deployment: Json, stage: str, hook: Json, *, back: bool) -> None:
    event = {
        "executionId": new_id(),
        "lifecycleStage": stage,
        "resourceArn": deployment["serviceDeploymentArn"],
        "executionDetails": {
            "serviceArn": deployment["serviceArn"],
            "targetServiceRevisionArn": deployment["targetServiceRevision"]["arn"],
            "testTrafficWeights": _weights(deployment, back) if stage == "TEST_TRAFFIC_SHIFT" else {},
            "productionTrafficWeights": _production_weights(deployment, stage, back),
        },
        **({"hookDetails": hook["hookDetails"]} if "hookDetails" in hook else {}),
    }
    for _ in range(MOST_CALLS):
        try:
            answer = invoke(hook["hookTargetArn"], event)
        except InvocationError as error:
            raise _FailedError(f"The lifecycle hook of {stage} failed: {error}") from error
        status = answer.get("hookStatus") if isinstance(answer, dict) else None
        if status == "SUCCEEDED":
            return
        if status != "IN_PROGRESS":
            said = "answered hookStatus FAILED" if status == "FAILED" else "answered no hookStatus"
            raise _FailedError(f"The lifecycle hook of {stage} {said}: {hook['hookTargetArn']}")
        event["hookDetails"] = {**event.get("hookDetails", {}), **answer.get("hookDetails", {})}
    raise _FailedError(f"The lifecycle hook of {stage} is still in progress after {MOST_CALLS} calls")


def _production_weights(deployment: Json, stage: str, back: bool) -> Json:
    if stage == "PRE_PRODUCTION_TRAFFIC_SHIFT":
        return _weights(deployment, back=True)
    return _weights(deployment, back) if stage == "PRODUCTION_TRAFFIC_SHIFT" else {}


def _weights(deployment: Json, back: bool) -> Json:
    sources = {item["arn"]: 100 if back else 0 for item in deployment["sourceServiceRevisions"]}
    return {deployment["targetServiceRevision"]["arn"]: 0 if back else 100, **sources}


def _add_revision(service: Json, sources: list[Json]) -> str:
    revision = arn("ecs", f"service-revision/{_path(service, str(time.time_ns()))}")
    before = revisions[sources[-1]["arn"]] if sources else {}
    used = {item["targetGroupArn"] for item in before.get("resolvedConfiguration", {}).get("loadBalancers", [])}
    revisions[revision] = {
        "serviceRevisionArn": revision,
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": time.time(),
        **{key: service[key] for key in _SETTINGS if key in service},
        "resolvedConfiguration": {"loadBalancers": [_resolved(item, used) for item in service["loadBalancers"]]},
    }
    return revision


def _resolved(balancer: Json, used: set[str]) -> Json:
    advanced = balancer.get("advancedConfiguration", {})
    group = balancer.get("targetGroupArn")
    if group in used:
        group = advanced.get("alternateTargetGroupArn", group)
    rules = {key: advanced[key] for key in ("productionListenerRule", "testListenerRule") if key in advanced}
    return {"targetGroupArn": group, **rules}


def _balancers(service: Json, revision: Json) -> Iterator[tuple[Json, Json]]:
    if service["deploymentConfiguration"]["strategy"] != "ROLLING":
        yield from zip(service["loadBalancers"], revision["resolvedConfiguration"]["loadBalancers"], strict=True)


def _deployment(service: Json, status: str, state: str, reason: str | None = None) -> Json:
    count = service["desiredCount"]
    settings = ("taskDefinition", "launchType", "platformVersion", "platformFamily", "networkConfiguration")
    return {
        "id": f"ecs-svc/{time.time_ns()}",
        "status": status,
        "desiredCount": count,
        "pendingCount": 0,
        "runningCount": count,
        "failedTasks": 0,
        "createdAt": time.time(),
        "updatedAt": time.time(),
        **{key: service[key] for key in settings if key in service},
        "rolloutState": state,
        "rolloutStateReason": reason or f"ECS deployment {state.lower()}.",
    }


def _summary(service: Json, revision: str) -> Json:
    count = service["desiredCount"]
    return {"arn": revision, "requestedTaskCount": count, "runningTaskCount": count, "pendingTaskCount": 0}


def _path(service: Json, identifier: str) -> str:
    return f"{service['serviceArn'].rpartition('service/')[2]}/{identifier}"


def _split(store: Any, arns: list[str]) -> tuple[list[Json], list[Json]]:
    missing = [{"arn": item, "reason": "MISSING"} for item in arns if item not in store]
    return [store[item] for item in arns if item in store], missing
