"""Releases an image to an Amazon ECS service that Amazon ECS itself deploys, and waits until it has all traffic.

CodePipeline calls it until the deployment is over, each time with the continuation token that the last call left.
"""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3

from code_family_constructs.handlers.pipeline_job import PATIENT, read_artifact, run
from code_family_constructs.handlers.task_definition import registered, with_image

UNDER_WAY = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
# Amazon ECS takes a moment to tell of a deployment that it has just accepted.
TIME_TO_START = 900


def handler(event: dict[str, Any], context: Any) -> None:
    run(event, context, work)


def work(data: dict[str, Any]) -> dict[str, Any]:
    release = Release(json.loads(os.environ["CODE_FAMILY_RELEASE"]))
    if "continuationToken" in data:
        return release.watch(json.loads(data["continuationToken"]))
    detail = json.loads(read_artifact(data, "imageDetail.json"))
    return release.start(detail["ImageURI"])


class Release:
    """One release of a service.

    Args:
        settings: Cluster, service, container, and the stack's task definition.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.cluster, self.service = settings["cluster"], settings["service"]
        self.container, self.stack_definition = settings["container"], settings["taskDefinition"]
        self.ecs = boto3.client("ecs", config=PATIENT)

    def start(self, image: str) -> dict[str, Any]:
        """Registers the stack's task definition with the image, and hands it to the service."""
        wanted = with_image(registered(self.ecs, self.stack_definition), self.container, image)
        services = self.ecs.describe_services(cluster=self.cluster, services=[self.service])["services"]
        if not services or services[0]["status"] != "ACTIVE":
            raise RuntimeError(f"there is no service {self.service} in cluster {self.cluster}")
        current = services[0]["taskDefinition"]
        # Called a second time for the same release, or for a release of what runs already.
        if registered(self.ecs, current) == wanted:
            primary = [each for each in services[0]["deployments"] if each["status"] == "PRIMARY"]
            if primary and primary[0].get("rolloutState") == "COMPLETED":
                return done(f"{name(current)} with {image} runs already")
            return self.later(self.ecs.describe_task_definition(taskDefinition=current), "under way already")
        definition = self.ecs.register_task_definition(**wanted)
        arn = definition["taskDefinition"]["taskDefinitionArn"]
        self.ecs.update_service(cluster=self.cluster, service=self.service, taskDefinition=arn)
        return self.later(definition, f"started with {image}")

    def later(self, answer: dict[str, Any], summary: str) -> dict[str, Any]:
        definition = answer["taskDefinition"]
        return later(definition["taskDefinitionArn"], definition["registeredAt"].timestamp(), summary)

    def watch(self, state: dict[str, Any]) -> dict[str, Any]:
        """Looks whether the deployment of the task definition is over."""
        arn, since = state["taskDefinition"], state["since"]
        deployment = self.deployment_of(arn, since)
        if deployment is None:
            if time.time() - since > TIME_TO_START:
                raise RuntimeError(
                    f"Amazon ECS tells of no deployment of {name(arn)}; has another one taken its place?"
                )
            return later(arn, since, "accepted")
        status = deployment["status"]
        if status == "SUCCESSFUL":
            return done(f"{name(arn)} has all traffic")
        if status in UNDER_WAY:
            return later(arn, since, status)
        # As the newest of its family it would be what CloudFormation hands to the service with any other change.
        self.ecs.deregister_task_definition(taskDefinition=arn)
        raise RuntimeError(f"{name(arn)}: {status}, {deployment.get('statusReason', 'Amazon ECS gives no reason')}")

    def deployment_of(self, arn: str, since: float) -> dict[str, Any] | None:
        """The newest deployment of this task definition."""
        for brief in sorted(self.deployments(since), key=lambda each: each["createdAt"], reverse=True):
            revisions = self.ecs.describe_service_revisions(serviceRevisionArns=[brief["targetServiceRevisionArn"]])
            if any(revision["taskDefinition"] == arn for revision in revisions["serviceRevisions"]):
                return brief
        return None

    def deployments(self, since: float) -> Iterator[dict[str, Any]]:
        asked = {
            "cluster": self.cluster,
            "service": self.service,
            "createdAt": {"after": datetime.fromtimestamp(since, UTC)},
        }
        while True:
            page = self.ecs.list_service_deployments(**asked)
            yield from page["serviceDeployments"]
            if "nextToken" not in page:
                return
            asked["nextToken"] = page["nextToken"]


def later(arn: str, since: float, summary: str) -> dict[str, Any]:
    return {
        "continuationToken": json.dumps({"taskDefinition": arn, "since": since}),
        "executionDetails": {"summary": f"{name(arn)}: {summary}", "externalExecutionId": name(arn)},
    }


def done(summary: str) -> dict[str, Any]:
    return {"executionDetails": {"summary": summary, "percentComplete": 100}}


def name(arn: str) -> str:
    return arn.rpartition("/")[2]
