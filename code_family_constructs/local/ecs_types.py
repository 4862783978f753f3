"""The CloudFormation types of Amazon ECS."""

from code_family_constructs.local import _ministack, ecs_deployments
from code_family_constructs.local.ecs import clusters, name_in, services, tags, task_definition
from code_family_constructs.local.framework import (
    Json,
    ResourceType,
    call,
    lower_tags,
    name_of,
    resource_type,
    to_parameters,
    without,
)


@resource_type("AWS::ECS::Cluster")
class Cluster(ResourceType):
    replaced_by = ("ClusterName",)
    name_property = "ClusterName"

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "ClusterName", logical_id, stack, 255)
        if name in clusters:
            raise ValueError(f"{name} already exists")
        call("ecs", "create_cluster", **self._parameters(properties), clusterName=name)
        tags[clusters[name]["clusterArn"]] = lower_tags(properties)
        return name, self._attributes(name)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        parameters = self._parameters(new)
        providers = {
            "capacityProviders": parameters.pop("capacityProviders", []),
            "defaultCapacityProviderStrategy": parameters.pop("defaultCapacityProviderStrategy", []),
        }
        call("ecs", "update_cluster", **parameters, cluster=physical_id)
        call("ecs", "put_cluster_capacity_providers", **providers, cluster=physical_id)
        tags[clusters[physical_id]["clusterArn"]] = lower_tags(new)
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in clusters:
            call("ecs", "delete_cluster", cluster=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = clusters.get(physical_id)
        return {**found, "ClusterSettings": found["settings"]} if found else None

    def _parameters(self, properties: Json) -> Json:
        converted = without(properties, "Tags", "ClusterName", "ClusterSettings")
        if "ClusterSettings" in properties:
            converted["Settings"] = properties["ClusterSettings"]
        return to_parameters("ecs", "create_cluster", converted)

    def _attributes(self, physical_id: str) -> Json:
        return {"Arn": clusters[physical_id]["clusterArn"]}


@resource_type("AWS::ECS::ClusterCapacityProviderAssociations")
class ClusterCapacityProviderAssociations(ResourceType):
    replaced_by = ("Cluster",)
    tags = None
    unread = ("Cluster",)

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        self._put(properties)
        return name_in(properties["Cluster"]), {}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        self._put(new)
        return {}

    def delete(self, physical_id: str, properties: Json) -> None:
        if physical_id in clusters:
            self._put({"Cluster": physical_id, "CapacityProviders": [], "DefaultCapacityProviderStrategy": []})

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found: Json | None = clusters.get(physical_id)
        return found

    def _put(self, properties: Json) -> None:
        operation = "put_cluster_capacity_providers"
        call("ecs", operation, **to_parameters("ecs", operation, properties))


@resource_type("AWS::ECS::TaskDefinition")
class TaskDefinition(ResourceType):
    replaced_by = (
        "ContainerDefinitions",
        "Cpu",
        "EnableFaultInjection",
        "EphemeralStorage",
        "ExecutionRoleArn",
        "Family",
        "InferenceAccelerators",
        "IpcMode",
        "Memory",
        "NetworkMode",
        "PidMode",
        "PlacementConstraints",
        "ProxyConfiguration",
        "RequiresCompatibilities",
        "RuntimePlatform",
        "TaskRoleArn",
        "Volumes",
    )

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        family = name_of(properties, "Family", logical_id, stack, 255)
        parameters = to_parameters("ecs", "register_task_definition", {**without(properties, "Tags"), "Family": family})
        registered = call("ecs", "register_task_definition", **parameters)["taskDefinition"]["taskDefinitionArn"]
        tags[registered] = lower_tags(properties)
        return registered, {"TaskDefinitionArn": registered}

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        tags[physical_id] = lower_tags(new)
        return {"TaskDefinitionArn": physical_id}

    def delete(self, physical_id: str, properties: Json) -> None:
        call("ecs", "deregister_task_definition", taskDefinition=physical_id)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        found = task_definition(physical_id)
        return found if found["status"] == "ACTIVE" else None


@resource_type("AWS::ECS::Service")
class Service(ResourceType):
    """Waits for the deployment that it starts, as CloudFormation does."""

    replaced_by = ("Cluster", "LaunchType", "Role", "SchedulingStrategy", "ServiceName")
    name_property = "ServiceName"
    # These say what a deployment is to do; a service reports what the last one did.
    unread = ("Cluster", "TaskDefinition", "ForceNewDeployment", "Role", "PlacementStrategies")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "ServiceName", logical_id, stack, 255)
        parameters = self._parameters("create_service", {"DesiredCount": 1, **properties, "ServiceName": name})
        service = call("ecs", "create_service", **parameters)["service"]
        tags[service["serviceArn"]] = lower_tags(properties)
        problem = ecs_deployments.wait(service)
        if problem:
            self.delete(service["serviceArn"], properties)
            raise ValueError(problem)
        return service["serviceArn"], self._attributes(service["serviceArn"])

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        if without(old, "Tags") != without(new, "Tags"):
            cluster, name = physical_id.rpartition("service/")[2].split("/")
            service = services[cluster, name]
            before = dict(service)
            # CloudFormation was seen to send each property that the template has, changed or not. That is why it can
            # change nothing of a service that CodeDeploy deploys as soon as the template names a task definition.
            changes = without(new, *self.replaced_by, "Tags")
            reset: Json = {key: [] for key in ("LoadBalancers", "ServiceRegistries") if key in old and key not in new}
            parameters = self._parameters("update_service", {**changes, **reset})
            call("ecs", "update_service", **parameters, cluster=cluster, service=name)
            problem = ecs_deployments.wait(service)
            if problem:
                service.update(before)
                raise ValueError(problem)
        tags[physical_id] = lower_tags(new)
        return self._attributes(physical_id)

    def delete(self, physical_id: str, properties: Json) -> None:
        cluster, name = physical_id.rpartition("service/")[2].split("/")
        if (cluster, name) in services:
            call("ecs", "delete_service", cluster=cluster, service=name, force=True)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        cluster, name = physical_id.rpartition("service/")[2].split("/")
        found: Json | None = services.get((cluster, name))
        return found

    def _parameters(self, operation: str, properties: Json) -> Json:
        converted = without(properties, "Tags", "PlacementStrategies", "ForceNewDeployment")
        if "PlacementStrategies" in properties:
            converted["PlacementStrategy"] = properties["PlacementStrategies"]
        if operation == "update_service" and properties.get("ForceNewDeployment"):
            converted["ForceNewDeployment"] = True
        return to_parameters("ecs", operation, converted)

    def _wait(self, service: Json) -> str | None:
        return ecs_deployments.wait(service)

    def _attributes(self, physical_id: str) -> Json:
        return {"ServiceArn": physical_id, "Name": physical_id.rpartition("/")[2]}


_ministack.on_a_thread("AWS::ECS::Service")
