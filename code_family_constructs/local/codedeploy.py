"""AWS CodeDeploy applications, deployment configurations and deployment groups; deployments are in `deployments`.

A deployment group installs its lifecycle hook in each of its Auto Scaling groups and takes it away again, as AWS does.
Not modelled: on-premises instances.
"""

import contextlib
import time
from typing import Any

from code_family_constructs.local import _ministack, ecs
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    CallError,
    Json,
    ResourceType,
    arn,
    call,
    lookup,
    merge_tags,
    name_of,
    new_id,
    require,
    resource_type,
    sync_tags,
    to_parameters,
    upper_tags,
    without,
)

applications: Any = _ministack.Scoped()
"""Application name → the application as GetApplication reports it."""

groups: Any = _ministack.Scoped()
"""(application name, deployment group name) → the group as GetDeploymentGroup reports it."""

configs: Any = _ministack.Scoped()
"""Name of a custom deployment configuration → the configuration as GetDeploymentConfig reports it."""

tags: Any = _ministack.Scoped()
"""Resource ARN → tags."""

api = Api("codedeploy")

_PREDEFINED: dict[str, Json] = {
    **{
        f"CodeDeployDefault.{name}": {"computePlatform": "Server", "minimumHealthyHosts": hosts}
        for name, hosts in {
            "AllAtOnce": {"type": "HOST_COUNT", "value": 0},
            "HalfAtATime": {"type": "FLEET_PERCENT", "value": 50},
            "OneAtATime": {"type": "HOST_COUNT", "value": -1},
        }.items()
    },
    **{
        f"CodeDeployDefault.{platform}AllAtOnce": {
            "computePlatform": platform,
            "trafficRoutingConfig": {"type": "AllAtOnce"},
        }
        for platform in ("ECS", "Lambda")
    },
    **{
        f"CodeDeployDefault.{platform}{kind}10Percent{'Every' if kind == 'Linear' else ''}{minutes}Minute"
        f"{'s' if minutes > 1 else ''}": {
            "computePlatform": platform,
            "trafficRoutingConfig": {
                "type": f"TimeBased{kind}",
                f"timeBased{kind}": {f"{kind.lower()}Interval": minutes, f"{kind.lower()}Percentage": 10},
            },
        }
        for platform, kind, intervals in (
            ("ECS", "Canary", (5, 15)),
            ("ECS", "Linear", (1, 3)),
            ("Lambda", "Canary", (5, 10, 15, 30)),
            ("Lambda", "Linear", (1, 2, 3, 10)),
        )
        for minutes in intervals
    },
}

_DEFAULT_CONFIG = {
    "Server": "CodeDeployDefault.OneAtATime",
    "ECS": "CodeDeployDefault.ECSAllAtOnce",
    "Lambda": "CodeDeployDefault.LambdaAllAtOnce",
}

_NOT_OF_THE_TEMPLATE = (
    "autoScalingGroups",
    "deploymentGroupId",
    "lastAttemptedDeployment",
    "lastSuccessfulDeployment",
    "targetRevision",
)

_DEFAULT_STYLE = {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
_SHIFTING_STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}


@api.operation
def create_application(request: Json) -> Json:
    name = request["applicationName"]
    if name in applications:
        raise ApiError("ApplicationAlreadyExistsException", f"Application already exists: {name}")
    applications[name] = {
        "applicationId": new_id(),
        "applicationName": name,
        "computePlatform": request.get("computePlatform", "Server"),
        "createTime": time.time(),
        "linkedToGitHub": False,
    }
    tags[_application_arn(name)] = request.get("tags", [])
    return {"applicationId": applications[name]["applicationId"]}


@api.operation
def get_application(request: Json) -> Json:
    return {"application": find_application(request["applicationName"])}


@api.operation
def batch_get_applications(request: Json) -> Json:
    return {"applicationsInfo": [find_application(name) for name in request["applicationNames"]]}


@api.operation
def list_applications(request: Json) -> Json:
    return {"applications": sorted(applications.keys())}


@api.operation
def delete_application(request: Json) -> None:
    name = request["applicationName"]
    for application, group in [key for key in groups if key[0] == name]:
        _drop_group(application, group)
    applications.pop(name, None)
    tags.pop(_application_arn(name), None)


@api.operation
def create_deployment_config(request: Json) -> Json:
    name = request["deploymentConfigName"]
    if name in configs or name in _PREDEFINED:
        raise ApiError("DeploymentConfigAlreadyExistsException", f"Deployment configuration already exists: {name}")
    if name.startswith("CodeDeployDefault."):
        raise ApiError("InvalidDeploymentConfigNameException", "The prefix CodeDeployDefault is reserved")
    platform = request.get("computePlatform", "Server")
    needed = "minimumHealthyHosts" if platform == "Server" else "trafficRoutingConfig"
    if needed not in request:
        raise ApiError(
            "InvalidMinimumHealthyHostValueException"
            if platform == "Server"
            else "InvalidTrafficRoutingConfigurationException",
            f"A deployment configuration for {platform} needs {needed}",
        )
    configs[name] = {**request, "computePlatform": platform, "deploymentConfigId": new_id(), "createTime": time.time()}
    return {"deploymentConfigId": configs[name]["deploymentConfigId"]}


@api.operation
def get_deployment_config(request: Json) -> Json:
    return {"deploymentConfigInfo": find_config(request["deploymentConfigName"])}


@api.operation
def list_deployment_configs(request: Json) -> Json:
    return {"deploymentConfigsList": sorted([*_PREDEFINED, *configs.keys()])}


@api.operation
def delete_deployment_config(request: Json) -> None:
    name = request["deploymentConfigName"]
    if name in _PREDEFINED:
        raise ApiError("InvalidOperationException", f"{name} is predefined and cannot be deleted")
    users = [group["deploymentGroupName"] for group in groups.values() if group["deploymentConfigName"] == name]
    if users:
        raise ApiError("DeploymentConfigInUseException", f"Deployment configuration {name} is in use by {users[0]}")
    configs.pop(name, None)


@api.operation
def create_deployment_group(request: Json) -> Json:
    application, name = request["applicationName"], request["deploymentGroupName"]
    platform = find_application(application)["computePlatform"]
    if (application, name) in groups:
        raise ApiError("DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {name}")
    tags[_group_arn(application, name)] = request.pop("tags", [])
    groups[application, name] = _blank(application, name, platform)
    try:
        _put(application, name, request)
    except ApiError:
        del groups[application, name]
        raise
    return {"deploymentGroupId": groups[application, name]["deploymentGroupId"]}


@api.operation
def update_deployment_group(request: Json) -> Json:
    application, name = request["applicationName"], request.pop("currentDeploymentGroupName")
    group = find_group(application, name)
    renamed = request.pop("newDeploymentGroupName", name)
    if renamed != name:
        if (application, renamed) in groups:
            raise ApiError("DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {renamed}")
        groups[application, renamed] = groups.pop((application, name))
        tags[_group_arn(application, renamed)] = tags.pop(_group_arn(application, name), [])
    before = list(group["autoScalingGroups"])
    _put(application, renamed, {**request, "deploymentGroupName": renamed})
    kept = {item["hook"] for item in group["autoScalingGroups"]}
    return {"hooksNotCleanedUp": _remove_hooks([item for item in before if item["hook"] not in kept])}


@api.operation
def get_deployment_group(request: Json) -> Json:
    return {"deploymentGroupInfo": find_group(request["applicationName"], request["deploymentGroupName"])}


@api.operation
def batch_get_deployment_groups(request: Json) -> Json:
    name = request["applicationName"]
    find_application(name)
    found = [groups[name, item] for item in request["deploymentGroupNames"] if (name, item) in groups]
    return {"deploymentGroupsInfo": found}


@api.operation
def list_deployment_groups(request: Json) -> Json:
    name = request["applicationName"]
    find_application(name)
    return {"applicationName": name, "deploymentGroups": sorted(key[1] for key in groups if key[0] == name)}


@api.operation
def delete_deployment_group(request: Json) -> Json:
    return {"hooksNotCleanedUp": _drop_group(request["applicationName"], request["deploymentGroupName"])}


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"Tags": _tags(request["ResourceArn"])}


@api.operation
def tag_resource(request: Json) -> None:
    tags[request["ResourceArn"]] = merge_tags(_tags(request["ResourceArn"]), request["Tags"], "Key")


@api.operation
def untag_resource(request: Json) -> None:
    kept = [tag for tag in _tags(request["ResourceArn"]) if tag["Key"] not in request["TagKeys"]]
    tags[request["ResourceArn"]] = kept


@resource_type("AWS::CodeDeploy::Application")
class Application(ResourceType):
    replaced_by = ("ApplicationName", "ComputePlatform")
    name_property = "ApplicationName"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "ApplicationName", logical_id, stack, 100)
        parameters = {**properties, "ApplicationName": name, "Tags": upper_tags(properties)}
        call("codedeploy", "create_application", **to_parameters("codedeploy", "create_application", parameters))
        return name, {}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        _sync(_application_arn(physical_id), old, new)
        return {}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codedeploy", "delete_application", applicationName=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(applications, physical_id)


@resource_type("AWS::CodeDeploy::DeploymentConfig")
class DeploymentConfig(ResourceType):
    replaced_by = (
        "ComputePlatform",
        "DeploymentConfigName",
        "MinimumHealthyHosts",
        "TrafficRoutingConfig",
        "ZonalConfig",
    )
    name_property = "DeploymentConfigName"
    tags = None

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "DeploymentConfigName", logical_id, stack, 100)
        parameters = {**properties, "DeploymentConfigName": name}
        operation = "create_deployment_config"
        call("codedeploy", operation, **to_parameters("codedeploy", operation, parameters))
        return name, {}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("codedeploy", "delete_deployment_config", deploymentConfigName=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        return lookup(configs, physical_id)


@resource_type("AWS::CodeDeploy::DeploymentGroup")
class DeploymentGroup(ResourceType):
    replaced_by = ("ApplicationName", "DeploymentGroupName")
    name_property = "DeploymentGroupName"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "DeploymentGroupName", logical_id, stack, 100)
        parameters = _group_parameters(
            "create_deployment_group",
            {**properties, "DeploymentGroupName": name, "Tags": upper_tags(properties)},
        )
        call("codedeploy", "create_deployment_group", **parameters)
        return name, {}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        key = new["ApplicationName"], physical_id
        before = groups[key]
        if without(new, "Tags") != without(old, "Tags"):
            # UpdateDeploymentGroup keeps what it is not told, so what left the template has to be forgotten first.
            kept = {name: before[name] for name in _NOT_OF_THE_TEMPLATE if name in before}
            groups[key] = _blank(before["applicationName"], physical_id, before["computePlatform"]) | kept
            properties = {"AutoScalingGroups": [], **without(new, "Tags", "DeploymentGroupName")}
            try:
                parameters = _group_parameters(
                    "update_deployment_group", {**properties, "CurrentDeploymentGroupName": physical_id}
                )
                call("codedeploy", "update_deployment_group", **parameters)
            except ValueError:
                groups[key] = before
                raise
        _sync(_group_arn(new["ApplicationName"], physical_id), old, new)
        return {}

    def delete(self, physical_id: str, properties: Json) -> None:
        call(
            "codedeploy",
            "delete_deployment_group",
            applicationName=properties["ApplicationName"],
            deploymentGroupName=physical_id,
        )

    def read(self, physical_id: str, properties: Json) -> Json | None:
        key = properties["ApplicationName"], physical_id
        if key not in groups:
            return None
        group = {**groups[key], "autoScalingGroups": [item["name"] for item in groups[key]["autoScalingGroups"]]}
        for kind, name in (("ec2TagSet", "ec2TagSetList"), ("onPremisesTagSet", "onPremisesTagSetList")):
            if kind in group:
                member = name.removesuffix("SetList") + "Group"
                group[kind] = {name: [{member: filters} for filters in group[kind].get(name, [])]}
        return group


def _group_parameters(operation: str, properties: Json) -> Json:
    if "Deployment" in properties:
        raise ValueError("#/Deployment: the embedded endpoint deploys nothing when a group is created")
    for kind in ("Ec2", "OnPremises"):
        if tag_set := properties.get(f"{kind}TagSet"):
            filters = [item[f"{kind}TagGroup"] for item in tag_set.get(f"{kind}TagSetList", [])]
            properties = {**properties, f"{kind}TagSet": {f"{kind}TagSetList": filters}}
    return to_parameters("codedeploy", operation, properties)


def _blank(application: str, name: str, platform: str) -> Json:
    return {
        "applicationName": application,
        "deploymentGroupId": new_id(),
        "deploymentGroupName": name,
        "computePlatform": platform,
        "deploymentConfigName": _DEFAULT_CONFIG[platform],
        "deploymentStyle": _DEFAULT_STYLE if platform == "Server" else _SHIFTING_STYLE,
        "terminationHookEnabled": False,
        "autoScalingGroups": [],
    }


def _put(application: str, name: str, request: Json) -> None:
    group = groups[application, name]
    changed = without(request, "autoScalingGroups")
    if "deploymentStyle" in changed:
        changed["deploymentStyle"] = {**_DEFAULT_STYLE, **changed["deploymentStyle"]}
    if "deploymentConfigName" in changed:
        config = find_config(changed["deploymentConfigName"])
        if config["computePlatform"] != group["computePlatform"]:
            raise ApiError(
                "InvalidDeploymentConfigNameException",
                f"Deployment configuration {changed['deploymentConfigName']} is for {config['computePlatform']}, "
                f"the application {application} for {group['computePlatform']}",
            )
    future = {**group, **changed}
    if len(future.get("alarmConfiguration", {}).get("alarms", [])) > 10:
        raise ApiError("AlarmsLimitExceededException", "A deployment group can have at most 10 alarms")
    platform, style = group["computePlatform"], future["deploymentStyle"]
    if platform != "Server" and style != _SHIFTING_STYLE:
        raise ApiError(
            "InvalidDeploymentStyleException",
            f"The deployment style of a deployment group for {platform} is BLUE_GREEN and WITH_TRAFFIC_CONTROL",
        )
    if platform == "ECS":
        _refuse_ecs(future)
    elif platform == "Server" and style == _SHIFTING_STYLE:
        _refuse_blue_green(future, request.get("autoScalingGroups", group["autoScalingGroups"]))
    balanced = platform == "Lambda" or any(future.get("loadBalancerInfo", {}).values())
    if style.get("deploymentOption") == "WITH_TRAFFIC_CONTROL" and not balanced:
        raise ApiError(
            "InvalidLoadBalancerInfoException",
            "A deployment with traffic control needs a load balancer in loadBalancerInfo",
        )
    if future.get("ec2TagFilters") and future.get("ec2TagSet", {}).get("ec2TagSetList"):
        raise ApiError(
            "InvalidEC2TagCombinationException", "A deployment group has either ec2TagFilters or an ec2TagSet"
        )
    hooks = {item["name"]: item for item in group["autoScalingGroups"]}
    wanted = request.get("autoScalingGroups", list(hooks))
    missing = [item for item in wanted if item not in hooks and not _auto_scaling_group_exists(item)]
    if missing:
        raise ApiError("InvalidAutoScalingGroupException", f"The Auto Scaling group {missing[0]} does not exist")
    hooks.update({item: _install_hook(item, name) for item in wanted if item not in hooks})
    group.update(changed, autoScalingGroups=[hooks[item] for item in wanted])


def _refuse_ecs(group: Json) -> None:
    if len(group.get("ecsServices", [])) != 1:
        raise ApiError("InvalidECSServiceException", "A deployment group for Amazon ECS has exactly one service")
    [named] = group["ecsServices"]
    service = ecs.services.get((named["clusterName"], named["serviceName"]))
    if service is None:
        raise ApiError("InvalidECSServiceException", f"There is no ECS service {named['serviceName']}")
    if ecs.controller(service) != "CODE_DEPLOY":
        raise ApiError(
            "InvalidECSServiceException",
            "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.",
        )
    for other in groups.values():
        if other["deploymentGroupId"] != group["deploymentGroupId"] and named in other.get("ecsServices", []):
            raise ApiError(
                "ECSServiceMappingLimitExceededException",
                f"The ECS service {named['serviceName']} is in {other['deploymentGroupName']} already",
            )
    pairs = group.get("loadBalancerInfo", {}).get("targetGroupPairInfoList", [])
    if len(pairs) != 1 or len(pairs[0].get("targetGroups", [])) != 2:
        raise ApiError(
            "InvalidTargetGroupPairException", "A deployment group for Amazon ECS has one pair of target groups"
        )
    for route in ("prodTrafficRoute", "testTrafficRoute"):
        listeners = pairs[0].get(route, {}).get("listenerArns", [])
        if len(listeners) != 1 and (listeners or route == "prodTrafficRoute"):
            raise ApiError(
                "InvalidTargetGroupPairException", f"The {route} of a pair of target groups has one listener"
            )
    if "blueGreenDeploymentConfiguration" not in group:
        raise ApiError(
            "InvalidBlueGreenDeploymentConfigurationException",
            "A deployment group for Amazon ECS needs a blueGreenDeploymentConfiguration",
        )


def _refuse_blue_green(group: Json, auto_scaling_groups: list[Any]) -> None:
    configuration = group.get("blueGreenDeploymentConfiguration", {})
    copies = configuration.get("greenFleetProvisioningOption", {}).get("action") == "COPY_AUTO_SCALING_GROUP"
    if copies and len(auto_scaling_groups) != 1:
        raise ApiError(
            "InvalidBlueGreenDeploymentConfigurationException",
            "Exactly one AutoScaling group must be specified when selecting COPY_AUTO_SCALING_GROUP "
            "as the green fleet provisioning option",
        )


def _auto_scaling_group_exists(name: str) -> bool:
    found = call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
    return bool(found["AutoScalingGroups"])


def _install_hook(auto_scaling_group: str, group: str) -> Json:
    hook = f"CodeDeploy-managed-automatic-launch-deployment-hook-{group}-{new_id()}"
    call(
        "autoscaling",
        "put_lifecycle_hook",
        AutoScalingGroupName=auto_scaling_group,
        LifecycleHookName=hook,
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=600,
        DefaultResult="ABANDON",
    )
    return {"name": auto_scaling_group, "hook": hook}


def _remove_hooks(hooks: list[Json]) -> list[Json]:
    for item in hooks:
        # The Auto Scaling group may be gone before the deployment group is.
        with contextlib.suppress(CallError):
            call(
                "autoscaling",
                "delete_lifecycle_hook",
                AutoScalingGroupName=item["name"],
                LifecycleHookName=item["hook"],
            )
    return []


def _drop_group(application: str, name: str) -> list[Json]:
    group = groups.pop((application, name), None)
    tags.pop(_group_arn(application, name), None)
    return _remove_hooks(group["autoScalingGroups"]) if group else []


def _sync(resource_arn: str, old: Json, new: Json) -> None:
    sync_tags(
        old,
        new,
        tag=lambda keys: call(
            "codedeploy",
            "tag_resource",
            ResourceArn=resource_arn,
            Tags=[tag for tag in upper_tags(new) if tag["Key"] in keys],
        ),
        untag=lambda keys: call("codedeploy", "untag_resource", ResourceArn=resource_arn, TagKeys=keys),
    )


def find_application(name: str) -> Json:
    return require(applications, name, "ApplicationDoesNotExistException", f"No application found for name: {name}")


def find_config(name: str) -> Json:
    if name in _PREDEFINED:
        return {**_PREDEFINED[name], "deploymentConfigName": name, "deploymentConfigId": name}
    message = f"No deployment configuration found for name: {name}"
    return require(configs, name, "DeploymentConfigDoesNotExistException", message)


def find_group(application: str, name: str) -> Json:
    find_application(application)
    message = f"No deployment group found for name: {name}"
    return require(groups, (application, name), "DeploymentGroupDoesNotExistException", message)


def _tags(resource_arn: str) -> list[Json]:
    if resource_arn not in tags:
        raise ApiError("ArnNotSupportedException", f"No application or deployment group has the ARN {resource_arn}")
    found: list[Json] = tags[resource_arn]
    return found


def _application_arn(name: str) -> str:
    return arn("codedeploy", f"application:{name}")


def _group_arn(application: str, name: str) -> str:
    return arn("codedeploy", f"deploymentgroup:{application}/{name}")
