"""Gives CloudFormation the image that an Amazon ECS service runs now.

CloudFormation knows the image of its last update; releases have brought others since.
"""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config

from code_family_constructs.handlers.custom_resource import answer

PATIENT = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


def handler(event: dict[str, Any], context: Any) -> None:
    wanted = event["ResourceProperties"]
    deleting = event["RequestType"] == "Delete"
    physical_id = f"{wanted['Cluster']}/{wanted['Service']}/{wanted['Container']}"
    answer(
        event,
        event["PhysicalResourceId"] if deleting else physical_id,
        lambda: {} if deleting else {"Image": running_image(event)},
    )


def running_image(event: dict[str, Any]) -> str:
    ecs = boto3.client("ecs", config=PATIENT)
    wanted = event["ResourceProperties"]
    # A service, or a container, with a new name goes on with the image of the one that it replaces.
    places = [wanted, event["OldResourceProperties"]] if "OldResourceProperties" in event else [wanted]
    for place in places:
        service = describe(ecs, place["Cluster"], place["Service"])
        if service is None:
            continue
        if place is wanted:
            check_controller(service, wanted)
        images = images_of(ecs, service)
        for name in (each["Container"] for each in places):
            if name in images:
                return images[name]
        raise RuntimeError(
            f"service {place['Service']} runs no container {wanted['Container']!r}, but {', '.join(images)}: which "
            "image to go on with is not known"
        )
    initial: str = wanted["InitialImage"]
    return initial


def describe(ecs: Any, cluster: str, name: str) -> dict[str, Any] | None:
    try:
        services = ecs.describe_services(cluster=cluster, services=[name])["services"]
    except ecs.exceptions.ClusterNotFoundException:
        return None
    found: Iterator[dict[str, Any]] = (service for service in services if service["status"] == "ACTIVE")
    return next(found, None)


def images_of(ecs: Any, service: dict[str, Any]) -> dict[str, str]:
    """What the service runs, by name of the container."""
    running = primary_of(service) or service
    definition = ecs.describe_task_definition(taskDefinition=running["taskDefinition"])["taskDefinition"]
    return {container["name"]: container["image"] for container in definition["containerDefinitions"]}


def primary_of(service: dict[str, Any]) -> dict[str, Any] | None:
    """The task set that CodeDeploy gave the traffic to."""
    return next((each for each in service.get("taskSets", []) if each["status"] == "PRIMARY"), None)


def check_controller(service: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuses to hand a service over where Amazon ECS would refuse, or users would be left without an answer."""
    now, then = service.get("deploymentController", {"type": "ECS"})["type"], wanted["DeploymentController"]
    if now == then:
        return
    if then != "ECS":
        raise RuntimeError(
            f"Amazon ECS does not hand service {wanted['Service']} over from {now} to {then}: "
            "give the new service another id, move traffic there, and remove this one"
        )
    primary = primary_of(service)
    groups = [each.get("targetGroupArn") for each in primary["loadBalancers"]] if primary else []
    if "BlueTargetGroup" in wanted and groups and wanted["BlueTargetGroup"] not in groups:
        raise RuntimeError(
            f"the traffic of service {wanted['Service']} is on its green target group, and Amazon ECS would start from "
            "the blue one, where nothing answers: release once more, which swaps the two, then deploy this again"
        )
