"""Amazon ECS behind a real boto3 client: task definitions, and one service that runs one of them."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.handlers.doubles import Refused, Service

REGION = "arn:aws:ecs:eu-west-1:111122223333"
ROLE = "arn:aws:iam::111122223333:role/Shop-TaskRole"
PLACEHOLDER = "public.ecr.aws/nginx/nginx-unprivileged:1.29-alpine"
REPOSITORY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop"
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def digest(number: int) -> str:
    """An image of a release."""
    return f"{REPOSITORY}@sha256:{number:064x}"


def a_task(image: str = PLACEHOLDER, **settings: Any) -> dict[str, Any]:
    """What a task definition is registered with."""
    return {
        "family": "Shop-Service",
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "taskRoleArn": ROLE,
        "executionRoleArn": ROLE,
        "volumes": [],
        "containerDefinitions": [
            {
                "name": "app",
                "image": image,
                "essential": True,
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
                "environment": [{"name": "GREETING", "value": "hello"}],
            },
            {"name": "envoy", "image": "public.ecr.aws/envoy:1", "essential": True},
        ],
        **settings,
    }


class Ecs(Service):
    """The service `Shop-Service` in the cluster `Shop`.

    Attributes:
        definitions: By ARN, as DescribeTaskDefinition reports them.
        service: As DescribeServices reports it; `None` for none.
        deployments: Of Amazon ECS itself, in the order in which they were started.
        clock: Moves on a minute with each look at it.
    """

    def __init__(self) -> None:
        super().__init__("ecs")
        self.definitions: dict[str, dict[str, Any]] = {}
        self.service: dict[str, Any] | None = None
        self.deployments: list[dict[str, Any]] = []
        self.revisions: dict[str, str] = {}
        self.clock = START

    def tick(self) -> datetime:
        self.clock += timedelta(minutes=1)
        return self.clock

    def register(self, **task: Any) -> str:
        """Registers a task definition, as CloudFormation does; returns its ARN."""
        arn: str = self.RegisterTaskDefinition(a_task(**task))["taskDefinition"]["taskDefinitionArn"]
        return arn

    def serve(self, definition: str, *, controller: str = "ECS", group: str = "blue", **settings: Any) -> None:
        """Has the service run a task definition."""
        service: dict[str, Any] = {
            "serviceName": "Shop-Service",
            "clusterArn": f"{REGION}:cluster/Shop",
            "status": "ACTIVE",
            "taskDefinition": definition,
            "deploymentController": {"type": controller},
            "deployments": [],
            "taskSets": [],
        }
        if controller == "ECS":
            service["deployments"] = [primary(definition, "COMPLETED")]
        else:
            service["taskSets"] = [
                {"status": "ACTIVE", "taskDefinition": "a replaced one", "loadBalancers": []},
                {"status": "PRIMARY", "taskDefinition": definition, "loadBalancers": [{"targetGroupArn": group}]},
            ]
        self.service = {**service, **settings}

    def finish(self, status: str, reason: str | None = None) -> None:
        """Ends the newest deployment."""
        self.deployments[-1].update({"status": status, **({"statusReason": reason} if reason else {})})
        if status == "SUCCESSFUL":
            assert self.service is not None
            self.service["deployments"] = [primary(self.service["taskDefinition"], "COMPLETED")]

    def RegisterTaskDefinition(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        revision = 1 + len(self.definitions)
        arn = f"{REGION}:task-definition/{asked['family']}:{revision}"
        self.definitions[arn] = {
            **copy.deepcopy(asked),
            # All that RegisterTaskDefinition refuses, and DescribeTaskDefinition adds.
            "taskDefinitionArn": arn,
            "revision": revision,
            "status": "ACTIVE",
            "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
            "compatibilities": ["EC2", "FARGATE"],
            "registeredAt": self.tick(),
            "registeredBy": "arn:aws:sts::111122223333:assumed-role/cloudformation/session",
        }
        return {"taskDefinition": self.definitions[arn]}

    def DescribeTaskDefinition(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if asked["taskDefinition"] not in self.definitions:
            raise Refused("ClientException", message="Unable to describe task definition.")
        return {"taskDefinition": copy.deepcopy(self.definitions[asked["taskDefinition"]])}

    def DeregisterTaskDefinition(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.definitions[asked["taskDefinition"]]["status"] = "INACTIVE"
        return {}

    def DescribeServices(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if asked["cluster"] != "Shop":
            raise Refused("ClusterNotFoundException")
        if self.service is None or self.service["serviceName"] not in asked["services"]:
            return {"services": [], "failures": [{"arn": "…", "reason": "MISSING"}]}
        return {"services": [copy.deepcopy(self.service)], "failures": []}

    def UpdateService(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert asked == {"cluster": "Shop", "service": "Shop-Service", "taskDefinition": asked["taskDefinition"]}
        assert self.service is not None
        revision = f"{REGION}:service-revision/Shop/Shop-Service/{len(self.revisions)}"
        self.revisions[revision] = asked["taskDefinition"]
        self.service["taskDefinition"] = asked["taskDefinition"]
        self.service["deployments"] = [
            primary(asked["taskDefinition"], "IN_PROGRESS"),
            *({**each, "status": "ACTIVE"} for each in self.service["deployments"]),
        ]
        self.deployments.append(
            {
                "serviceDeploymentArn": f"{REGION}:service-deployment/Shop/Shop-Service/{len(self.deployments)}",
                "targetServiceRevisionArn": revision,
                "createdAt": self.tick(),
                "status": "PENDING",
            }
        )
        return {"service": self.service}

    def ListServiceDeployments(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert (asked["cluster"], asked["service"]) == ("Shop", "Shop-Service")
        found = [each for each in self.deployments if each["createdAt"] >= asked["createdAt"]["after"]]
        # One on each page, in no order that anybody promises.
        page = int(asked.get("nextToken", 0))
        more = {"nextToken": str(page + 1)} if page + 1 < len(found) else {}
        return {"serviceDeployments": copy.deepcopy(found[page : page + 1]), **more}

    def DescribeServiceRevisions(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [
            {"serviceRevisionArn": arn, "taskDefinition": self.revisions[arn]} for arn in asked["serviceRevisionArns"]
        ]
        return {"serviceRevisions": found, "failures": []}


def primary(definition: str, state: str) -> dict[str, Any]:
    return {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": definition, "rolloutState": state}
