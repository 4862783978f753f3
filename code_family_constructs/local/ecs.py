"""Amazon ECS clusters, task definitions and services, in place of ministack's, which drops how a service is deployed.

No task ever runs: a service reports as many running tasks as it wants, and so is stable at once. What a service's own
deployments do is in `ecs_deployments`. Not modelled: tasks, container instances, capacity providers of one's own, the
EXTERNAL deployment controller, Service Connect beyond its settings, account settings.
"""

import re
import time
from typing import Any

from code_family_constructs.local import _ministack, ecs_deployments, listeners
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    arn,
    merge_tags,
    require,
    without,
)

clusters: Any = _ministack.Scoped()
"""Cluster name → the cluster as DescribeClusters reports it."""

task_definitions: Any = _ministack.Scoped()
"""`family:revision` → the task definition as DescribeTaskDefinition reports it."""

services: Any = _ministack.Scoped()
"""(cluster name, service name) → the service as DescribeServices reports it."""

tags: Any = _ministack.Scoped()
"""Resource ARN → tags."""

api = Api("ecs")
api.operation(ecs_deployments.describe_service_deployments)
api.operation(ecs_deployments.describe_service_revisions)
api.operation(ecs_deployments.list_service_deployments)


@api.operation
def create_cluster(request: Json) -> Json:
    name = request.get("clusterName", "default")
    if name not in clusters:
        clusters[name] = {
            "clusterArn": arn("ecs", f"cluster/{name}"),
            "clusterName": name,
            "status": "ACTIVE",
            "settings": [{"name": "containerInsights", "value": "disabled"}],
            "capacityProviders": [],
            "defaultCapacityProviderStrategy": [],
            **without(request, "tags"),
        }
        tags[clusters[name]["clusterArn"]] = _own_tags(request)
    return {"cluster": clusters[name]}


@api.operation
def update_cluster(request: Json) -> Json:
    cluster = _cluster(request["cluster"])
    cluster.update(without(request, "cluster"))
    return {"cluster": cluster}


@api.operation
def put_cluster_capacity_providers(request: Json) -> Json:
    cluster = _cluster(request["cluster"])
    cluster.update(without(request, "cluster"))
    return {"cluster": cluster}


@api.operation
def describe_clusters(request: Json) -> Json:
    found, missing = [], []
    for reference in request.get("clusters", ["default"]):
        name = name_in(reference)
        if name in clusters:
            members = [service for (cluster, _), service in services.items() if cluster == name]
            running = sum(service["runningCount"] for service in members)
            counts = {"activeServicesCount": len(members), "runningTasksCount": running, "pendingTasksCount": 0}
            own_tags = {"tags": tags[clusters[name]["clusterArn"]]} if "TAGS" in request.get("include", []) else {}
            found.append({**clusters[name], **counts, **own_tags})
        else:
            missing.append({"arn": arn("ecs", f"cluster/{name}"), "reason": "MISSING"})
    return {"clusters": found, "failures": missing}


@api.operation
def list_clusters(request: Json) -> Json:
    return {"clusterArns": [cluster["clusterArn"] for _, cluster in sorted(clusters.items())]}


@api.operation
def delete_cluster(request: Json) -> Json:
    cluster = _cluster(request["cluster"])
    if any(key[0] == cluster["clusterName"] for key in services):
        raise ApiError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    tags.pop(cluster["clusterArn"], None)
    return {"cluster": {**clusters.pop(cluster["clusterName"]), "status": "INACTIVE"}}


@api.operation
def register_task_definition(request: Json) -> Json:
    problem = _task_definition_problem(request)
    if problem:
        raise ApiError("ClientException", problem)
    family = request["family"]
    revision = 1 + max((item["revision"] for item in task_definitions.values() if item["family"] == family), default=0)
    definition = {
        "volumes": [],
        "placementConstraints": [],
        "networkMode": "bridge",
        "compatibilities": ["EC2", "FARGATE"] if request.get("networkMode") == "awsvpc" else ["EC2"],
        **without(request, "tags"),
        "containerDefinitions": [
            _container(item, request.get("networkMode")) for item in request["containerDefinitions"]
        ],
        "taskDefinitionArn": arn("ecs", f"task-definition/{family}:{revision}"),
        "revision": revision,
        "status": "ACTIVE",
        "registeredAt": time.time(),
        "registeredBy": f"arn:aws:iam::{_ministack.account_id()}:root",
    }
    tags[definition["taskDefinitionArn"]] = _own_tags(request)
    task_definitions[f"{family}:{revision}"] = definition
    return {"taskDefinition": definition, "tags": request.get("tags", [])}


@api.operation
def describe_task_definition(request: Json) -> Json:
    definition = task_definition(request["taskDefinition"])
    own_tags = {"tags": tags[definition["taskDefinitionArn"]]} if "TAGS" in request.get("include", []) else {}
    return {"taskDefinition": definition, **own_tags}


@api.operation
def deregister_task_definition(request: Json) -> Json:
    definition = task_definition(request["taskDefinition"])
    definition.update(status="INACTIVE", deregisteredAt=time.time())
    return {"taskDefinition": definition}


@api.operation
def list_task_definitions(request: Json) -> Json:
    family, status = request.get("familyPrefix"), request.get("status", "ACTIVE")
    found = [
        item for item in task_definitions.values() if item["status"] == status and family in (None, item["family"])
    ]
    found.sort(key=lambda item: (item["family"], item["revision"]), reverse=request.get("sort") == "DESC")
    return {"taskDefinitionArns": [item["taskDefinitionArn"] for item in found][: request.get("maxResults")]}


@api.operation
def list_task_definition_families(request: Json) -> Json:
    prefix, status = request.get("familyPrefix", ""), request.get("status", "ALL")
    found = [item for item in task_definitions.values() if status in ("ALL", item["status"])]
    return {"families": sorted({item["family"] for item in found if item["family"].startswith(prefix)})}


@api.operation
def create_service(request: Json) -> Json:
    cluster = _cluster(request.get("cluster", "default"))["clusterName"]
    name = request["serviceName"]
    if (cluster, name) in services:
        raise ApiError("InvalidParameterException", "Creation of service was not idempotent.")
    service = _blank_service(cluster, name) | _settings(request)
    service["createdAt"] = time.time()
    definition = _usable_task_definition(request.get("taskDefinition"))
    _refuse_service(service, definition)
    service.update(taskDefinition=definition["taskDefinitionArn"], runningCount=service["desiredCount"])
    tags[service["serviceArn"]] = _own_tags(request)
    services[cluster, name] = service
    if controller(service) == "ECS":
        ecs_deployments.start(service)
    else:
        balancer = service["loadBalancers"][0] if service["loadBalancers"] else None
        service["taskSets"] = []
        add_task_set(service, definition=definition, balancer=balancer, status="PRIMARY")
    return {"service": service}


@api.operation
def describe_services(request: Json) -> Json:
    cluster = name_in(request.get("cluster", "default"))
    _cluster(cluster)
    found, missing = [], []
    for reference in request["services"]:
        name = name_in(reference)
        if (cluster, name) in services:
            service = services[cluster, name]
            own_tags = {"tags": tags[service["serviceArn"]]} if "TAGS" in request.get("include", []) else {}
            found.append({**service, **own_tags})
        else:
            missing.append({"arn": arn("ecs", f"service/{cluster}/{name}"), "reason": "MISSING"})
    return {"services": found, "failures": missing}


@api.operation
def list_services(request: Json) -> Json:
    cluster = _cluster(request.get("cluster", "default"))["clusterName"]
    return {"serviceArns": sorted(item["serviceArn"] for key, item in services.items() if key[0] == cluster)}


@api.operation
def update_service(request: Json) -> Json:
    service = _service(request.get("cluster", "default"), request["service"])
    changes = without(request, "cluster", "service", "forceNewDeployment")
    kind = request.get("deploymentController", {}).get("type", controller(service))
    if kind == "CODE_DEPLOY":
        _refuse_under_codedeploy(request)
    future = {**service, **_settings({**changes, "deploymentController": {"type": kind}}, service)}
    if "taskDefinition" in request:
        future["taskDefinition"] = _usable_task_definition(request["taskDefinition"])["taskDefinitionArn"]
    _refuse_service(future, task_definition(future["taskDefinition"]))
    replacing = request.get("forceNewDeployment", False) or any(
        future.get(key) != service.get(key) for key in _DEPLOYED_SETTINGS
    )
    if replacing and ecs_deployments.is_under_way(service):
        raise ApiError(
            "InvalidParameterException",
            "The embedded endpoint does not model a second deployment of a service while the first is under way",
        )
    before = dict(service)
    service.update(future, runningCount=future["desiredCount"])
    for task_set in service.get("taskSets", []):
        if task_set["status"] == "PRIMARY":
            task_set.update(_counts(service))
    if kind == "ECS" and (replacing or controller(before) != "ECS"):
        service.pop("taskSets", None)
        ecs_deployments.start(service)
    return {"service": service}


@api.operation
def delete_service(request: Json) -> Json:
    service = _service(request.get("cluster", "default"), request["service"])
    if service["desiredCount"] > 0 and not request.get("force"):
        raise ApiError(
            "InvalidParameterException",
            "The service cannot be stopped while the primary deployment is scaled above 0.",
        )
    key = name_in(service["clusterArn"]), service["serviceName"]
    tags.pop(service["serviceArn"], None)
    return {"service": {**services.pop(key), "status": "INACTIVE", "desiredCount": 0, "runningCount": 0}}


@api.operation
def describe_task_sets(request: Json) -> Json:
    service = _service(request["cluster"], request["service"])
    wanted = request.get("taskSets")
    found = [
        item for item in service.get("taskSets", []) if not wanted or {item["id"], item["taskSetArn"]} & set(wanted)
    ]
    return {"taskSets": found, "failures": []}


@api.operation
def list_tasks(request: Json) -> Json:
    _cluster(request.get("cluster", "default"))
    return {"taskArns": []}


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"tags": _tags(request["resourceArn"])}


@api.operation
def tag_resource(request: Json) -> None:
    tags[request["resourceArn"]] = merge_tags(_tags(request["resourceArn"]), _own_tags(request), "key")


@api.operation
def untag_resource(request: Json) -> None:
    kept = [tag for tag in _tags(request["resourceArn"]) if tag["key"] not in request["tagKeys"]]
    tags[request["resourceArn"]] = kept


def task_definition(reference: str) -> Json:
    """Return a task definition by ARN, `family:revision`, or `family` for the newest that is active."""
    key = reference.rpartition("task-definition/")[2]
    if ":" not in key:
        active = [item for item in task_definitions.values() if item["family"] == key and item["status"] == "ACTIVE"]
        key = f"{key}:{max((item['revision'] for item in active), default=0)}"
    return require(task_definitions, key, "ClientException", "Unable to describe task definition.")


def name_in(name_or_arn: str) -> str:
    """Return the last part of an ARN, or the name that it is."""
    return re.sub(r".*[:/]", "", name_or_arn)


def controller(service: Json) -> str:
    """Return who deploys a service: ECS or CODE_DEPLOY."""
    kind: str = service["deploymentController"]["type"]
    return kind


def add_task_set(
    service: Json,
    *,
    definition: Json,
    balancer: Json | None,
    status: str,
    started_by: str | None = None,
    external_id: str | None = None,
    **settings: Any,
) -> Json:
    """Start a task set of a service that CodeDeploy deploys."""
    identifier = f"ecs-svc/{time.time_ns()}"
    cluster, now = name_in(service["clusterArn"]), time.time()
    inherited = ("launchType", "platformVersion", "platformFamily", "networkConfiguration", "capacityProviderStrategy")
    task_set = {
        "id": identifier,
        "taskSetArn": arn("ecs", f"task-set/{cluster}/{service['serviceName']}/{identifier}"),
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "status": status,
        "taskDefinition": definition["taskDefinitionArn"],
        "createdAt": now,
        "updatedAt": now,
        **{key: service[key] for key in inherited if key in service},
        "loadBalancers": [balancer] if balancer else [],
        "serviceRegistries": service["serviceRegistries"],
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE",
        "stabilityStatusAt": now,
        "tags": [],
        **_counts(service),
        **{key: value for key, value in settings.items() if value},
    }
    if started_by:
        task_set.update(startedBy=started_by, externalId=external_id)
    service["taskSets"].append(task_set)
    return task_set


def make_primary(service: Json, task_set: Json) -> None:
    """Do as UpdateServicePrimaryTaskSet: what differs in the task set becomes the service's own."""
    for other in service["taskSets"]:
        other.update(status="PRIMARY" if other is task_set else "ACTIVE", updatedAt=time.time())
    for key in ("taskDefinition", "loadBalancers", "networkConfiguration", "platformVersion"):
        if key in task_set:
            service[key] = task_set[key]


def remove_task_set(service: Json, task_set: Json) -> None:
    """Stop a task set."""
    service["taskSets"] = [item for item in service["taskSets"] if item is not task_set]


_FARGATE_MEMORY: dict[int, range] = {
    256: range(512, 2049, 512),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}
"""CPU units → the memory in MiB that Fargate has with it; 256 has no 1536."""

_DEPLOYED_SETTINGS = (
    "capacityProviderStrategy",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "taskDefinition",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)
"""What a service's tasks are started with; a change of the rest replaces none of them."""

_FIXED_UNDER_CODEDEPLOY = {
    "taskDefinition": "Unable to update task definition",
    "loadBalancers": "Unable to update load balancers",
    "networkConfiguration": "Unable to update network parameters",
    "platformVersion": "Unable to update platform version",
    "capacityProviderStrategy": "Unable to update capacity provider strategy",
    "serviceRegistries": "Unable to update service registries",
    "forceNewDeployment": "Cannot force a new deployment",
}


def _refuse_under_codedeploy(request: Json) -> None:
    for key, problem in _FIXED_UNDER_CODEDEPLOY.items():
        if request.get(key):
            raise ApiError(
                "InvalidParameterException",
                f"{problem} on services with a CODE_DEPLOY deployment controller. "
                "Use AWS CodeDeploy to trigger a new deployment.",
            )


def _refuse_service(service: Json, definition: Json) -> None:
    problem = _service_problem(service, definition)
    if problem:
        raise ApiError("InvalidParameterException", problem)


def _service_problem(service: Json, definition: Json) -> str | None:
    configuration = service["deploymentConfiguration"]
    strategy = configuration.get("strategy", "ROLLING")
    awsvpc = definition["networkMode"] == "awsvpc"
    if awsvpc and "networkConfiguration" not in service:
        return "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    if service.get("launchType") == "FARGATE" and "FARGATE" not in definition["compatibilities"]:
        return "Task definition does not support launch_type FARGATE."
    if controller(service) == "EXTERNAL":
        return "The embedded endpoint does not model the EXTERNAL deployment controller"
    if controller(service) == "CODE_DEPLOY":
        if len(service["loadBalancers"]) != 1:
            return "A service with a CODE_DEPLOY deployment controller needs exactly one load balancer."
        own = [key for key in ("alarms", "lifecycleHooks", "strategy") if configuration.get(key)]
        if configuration.get("deploymentCircuitBreaker", {}).get("enable"):
            own.append("deploymentCircuitBreaker")
        if own:
            return f"{own[0]} is for services with an ECS deployment controller only."
    for kind, needed in (("LINEAR", "linearConfiguration"), ("CANARY", "canaryConfiguration")):
        if needed in configuration and strategy != kind:
            return f"{needed} is for the deployment strategy {kind} only, not for {strategy}."
    for hook in configuration.get("lifecycleHooks", []):
        if hook.get("targetType", "AWS_LAMBDA") != "AWS_LAMBDA":
            return f"The embedded endpoint does not model lifecycle hooks of type {hook['targetType']}"
    for balancer in service["loadBalancers"]:
        problem = _balancer_problem(balancer, definition, strategy)
        if problem:
            return problem
    return None


def _balancer_problem(balancer: Json, definition: Json, strategy: str) -> str | None:
    name, port = balancer.get("containerName"), balancer.get("containerPort")
    container = next((item for item in definition["containerDefinitions"] if item["name"] == name), None)
    if container is None:
        return f"The container {name} does not exist in the task definition."
    if port not in [mapping["containerPort"] for mapping in container["portMappings"]]:
        return f"The container {name} did not have a container port {port} defined."
    group = balancer.get("targetGroupArn")
    if group and group not in listeners.forwarded():
        return f"The target group with targetGroupArn {group} does not have an associated load balancer."
    if strategy != "ROLLING":
        for key in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
            if key not in balancer.get("advancedConfiguration", {}):
                return f"The deployment strategy {strategy} needs {key} in a load balancer's advancedConfiguration."
    return None


def _task_definition_problem(request: Json) -> str | None:
    if "FARGATE" not in request.get("requiresCompatibilities", []):
        return None
    if request.get("networkMode") != "awsvpc":
        return "Fargate only supports network mode 'awsvpc'."
    cpu, memory = _units(request.get("cpu"), "vcpu"), _units(request.get("memory"), "gb")
    if memory not in _FARGATE_MEMORY.get(cpu, ()) or (cpu, memory) == (256, 1536):
        return f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
    if "executionRoleArn" not in request:
        for container in request["containerDefinitions"]:
            if ".dkr.ecr." in container.get("image", ""):
                return "Fargate requires task definition to have execution role ARN to support ECR images."
            if container.get("logConfiguration", {}).get("logDriver") == "awslogs":
                return "Fargate requires task definition to have execution role ARN to support log driver awslogs."
    return None


def _units(value: Any, unit: str) -> int:
    # "1 vCPU" and "2 GB" are 1024 and 2048.
    number, _, suffix = str(value or 0).lower().partition(" ")
    return int(float(number) * 1024) if suffix == unit else int(number) if number.isdigit() else 0


def _container(container: Json, network_mode: str | None) -> Json:
    mappings = [
        {
            **({"hostPort": mapping["containerPort"]} if network_mode == "awsvpc" else {}),
            "protocol": "tcp",
            **mapping,
        }
        for mapping in container.get("portMappings", [])
    ]
    lists: Json = {key: [] for key in ("environment", "mountPoints", "volumesFrom", "systemControls")}
    return {"cpu": 0, "essential": True, **lists, **container, "portMappings": mappings}


def _blank_service(cluster: str, name: str) -> Json:
    return {
        "serviceArn": arn("ecs", f"service/{cluster}/{name}"),
        "serviceName": name,
        "clusterArn": clusters[cluster]["clusterArn"],
        "status": "ACTIVE",
        "desiredCount": 0,
        "runningCount": 0,
        "pendingCount": 0,
        "loadBalancers": [],
        "serviceRegistries": [],
        "deployments": [],
        "events": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
        "roleArn": f"arn:aws:iam::{_ministack.account_id()}:role/aws-service-role/ecs.amazonaws.com/"
        "AWSServiceRoleForECS",
        "createdBy": f"arn:aws:iam::{_ministack.account_id()}:root",
    }


def _settings(request: Json, current: Json | None = None) -> Json:
    settings = without(request, "cluster", "tags", "clientToken", "role", "taskDefinition")
    kind = request.get("deploymentController", {"type": "ECS"})["type"]
    defaults: Json = {"maximumPercent": 200, "minimumHealthyPercent": 100}
    if kind == "ECS":
        defaults.update(
            deploymentCircuitBreaker={"enable": False, "rollback": False}, strategy="ROLLING", bakeTimeInMinutes=0
        )
    if current is None or "deploymentConfiguration" in request or controller(current) != kind:
        # UpdateService replaces the configuration as a whole.
        settings["deploymentConfiguration"] = {**defaults, **request.get("deploymentConfiguration", {})}
    if current is None and "launchType" not in request and "capacityProviderStrategy" not in request:
        settings["launchType"] = "EC2"
    if settings.get("launchType") == "FARGATE":
        settings = {"platformVersion": "LATEST", "platformFamily": "Linux", **settings}
    return settings


def _counts(service: Json) -> Json:
    count = service["desiredCount"]
    return {"computedDesiredCount": count, "runningCount": count, "pendingCount": 0}


def _usable_task_definition(reference: str | None) -> Json:
    if not reference:
        raise ApiError("InvalidParameterException", "TaskDefinition can not be blank.")
    try:
        definition = task_definition(reference)
    except ApiError:
        raise ApiError("ClientException", "TaskDefinition not found.") from None
    if definition["status"] != "ACTIVE":
        raise ApiError("ClientException", "TaskDefinition is inactive")
    return definition


def _own_tags(request: Json) -> list[Json]:
    # Only CloudFormation itself can set these; whoever copies the tags of its resources has to leave them out.
    own: list[Json] = request.get("tags", [])
    if any(tag["key"].lower().startswith("aws:") for tag in own):
        raise ApiError("InvalidParameterException", "aws: prefixed tag key names are not allowed for external use.")
    return own


def _cluster(reference: str) -> Json:
    return require(clusters, name_in(reference), "ClusterNotFoundException", "Cluster not found.")


def _service(cluster: str, service: str) -> Json:
    key = _cluster(cluster)["clusterName"], name_in(service)
    return require(services, key, "ServiceNotFoundException", "Service not found.")


def _tags(resource_arn: str) -> list[Json]:
    found: list[Json] = require(
        tags, resource_arn, "InvalidParameterException", "The specified resource was not found."
    )  # type: ignore[assignment]
    return found
