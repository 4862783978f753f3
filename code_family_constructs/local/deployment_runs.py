"""The way of a CodeDeploy deployment through its lifecycle events, on Amazon ECS and on AWS Lambda."""

import time
from collections.abc import Callable

from code_family_constructs.local import ecs, listeners
from code_family_constructs.local.alarms import active
from code_family_constructs.local.appspec import AppSpec
from code_family_constructs.local.deployment_records import Deployment, finish, record_rollback
from code_family_constructs.local.framework import ApiError, CallError, Json, call, new_id
from code_family_constructs.local.invocation import InvocationError, invoke


class FailedError(Exception):
    """Why a deployment goes no further."""

    def __init__(self, code: str, message: str, status: str = "Failed") -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Run:
    """A deployment on its way through its lifecycle events."""

    def __init__(self, deployment: Deployment, group: Json, spec: AppSpec) -> None:
        self.deployment, self.group, self.spec = deployment, group, spec

    def events(self) -> list[str]:
        """Return the names of the lifecycle events, in order."""
        raise NotImplementedError

    def steps(self) -> dict[str, Callable[[], None]]:
        """Return what CodeDeploy itself does at an event; the others are there for hooks."""
        raise NotImplementedError

    def prepare(self) -> Json:
        """Look at what the AppSpec names, and return the target."""
        raise NotImplementedError

    def undo(self) -> None:
        """Put everything back to where it was, however far the deployment has come."""
        raise NotImplementedError

    def end(self) -> None:
        """Clean up after a success."""

    def run(self) -> None:
        """Go through all of it; whatever happens, the deployment ends."""
        info = self.deployment.info
        info.update(status="InProgress", startTime=time.time())
        try:
            self.deployment.target = self.prepare()
            target = self.deployment.target_body
            target.update(
                status="InProgress",
                lifecycleEvents=[{"lifecycleEventName": name, "status": "Pending"} for name in self.events()],
            )
            for event in target["lifecycleEvents"]:
                self._go_through(event)
            self._look_at_alarms()
            self.end()
        except FailedError as failure:
            self._fail(failure)
        except Exception as error:
            # Whoever waits for the deployment would do so for ever.
            self._fail(FailedError("INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
        else:
            target.update(status="Succeeded", lastUpdatedAt=time.time())
            self.group["targetRevision"] = info["revision"]
            finish(self.deployment, self.group, "Succeeded")

    def _go_through(self, event: Json) -> None:
        name = event["lifecycleEventName"]
        if self.deployment.stopped:
            raise FailedError("MANUAL_STOP", "The deployment was stopped by a user.", "Stopped")
        if name == "AllowTraffic":
            self._look_at_alarms()
        event.update(status="InProgress", startTime=time.time())
        try:
            if step := self.steps().get(name):
                step()
            elif name in self.spec.hooks:
                self._call(event, self.spec.hooks[name])
        except FailedError as failure:
            event.update(
                status="Failed",
                endTime=time.time(),
                diagnostics={"errorCode": "UnknownError", "message": str(failure), "logTail": ""},
            )
            raise
        event.update(status="Succeeded", endTime=time.time())

    def _call(self, event: Json, function: str) -> None:
        execution = new_id()
        self.deployment.hooks[execution] = event
        payload = {
            "DeploymentId": self.deployment.info["deploymentId"],
            "LifecycleEventHookExecutionId": execution,
        }
        problem = "reported Failed"
        try:
            invoke(function, payload)
        except InvocationError as error:
            problem = f"did not report: {error}"
        else:
            if event["status"] == "InProgress":
                problem = "ended without a report"
        if event["status"] != "Succeeded":
            name = event["lifecycleEventName"]
            raise FailedError(
                "HOOK_EXECUTION_FAILURE", f"The lifecycle event hook of {name}, function {function}, {problem}."
            )

    def _look_at_alarms(self) -> None:
        settings = self.deployment.info.get("overrideAlarmConfiguration") or self.group.get("alarmConfiguration", {})
        names = [alarm["name"] for alarm in settings.get("alarms", [])] if settings.get("enabled") else []
        if alarming := active(names):
            raise FailedError(
                "ALARM_ACTIVE",
                "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and "
                f"the affected deployments have been stopped. Activated alarms: {', '.join(alarming)}",
                "Stopped",
            )

    def _fail(self, failure: FailedError) -> None:
        info = self.deployment.info
        if self.deployment.target:
            target = self.deployment.target_body
            target.update(status="Failed", lastUpdatedAt=time.time())
            for event in target.get("lifecycleEvents", []):
                event["status"] = {"Pending": "Skipped", "InProgress": "Failed"}.get(event["status"], event["status"])
        rollback = info.get("autoRollbackConfiguration") or {}
        cause = "DEPLOYMENT_STOP_ON_ALARM" if failure.code == "ALARM_ACTIVE" else "DEPLOYMENT_FAILURE"
        cause = "DEPLOYMENT_STOP_ON_REQUEST" if failure.code == "MANUAL_STOP" else cause
        if rollback.get("enabled") and cause in rollback.get("events", []):
            self.undo()
            record_rollback(self.deployment, self.group)
        finish(self.deployment, self.group, failure.status, failure.code, str(failure))


class LambdaRun(Run):
    """A deployment that points an alias to another version."""

    def events(self) -> list[str]:
        return ["BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]

    def steps(self) -> dict[str, Callable[[], None]]:
        return {"AllowTraffic": lambda: self._point_to("targetversion")}

    def prepare(self) -> Json:
        name, alias = self.spec.properties["name"], self.spec.properties["alias"]
        current, target = (str(self.spec.properties[key]) for key in ("currentversion", "targetversion"))
        try:
            found = call("lambda", "get_alias", FunctionName=name, Name=alias)
            call("lambda", "get_function_configuration", FunctionName=name, Qualifier=target)
        except CallError as error:
            raise FailedError("INVALID_LAMBDA_FUNCTION", str(error)) from error
        if found["FunctionVersion"] != current:
            raise FailedError(
                "INVALID_LAMBDA_CONFIGURATION",
                "The deployment failed because the AppSpec file that specifies the AWS Lambda deployment configuration "
                "is missing or has an invalid configuration. The Lambda function alias version does not match the "
                f"current version in AppSpec file: {found['FunctionVersion']} is not {current}.",
            )
        body = {
            **_blank_target(self.deployment, f"{name}:{alias}"),
            "targetArn": found["AliasArn"],
            "lambdaFunctionInfo": {
                "functionName": name,
                "functionAlias": alias,
                "currentVersion": current,
                "targetVersion": target,
                "targetVersionWeight": 0.0,
            },
        }
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": body}

    def undo(self) -> None:
        # An alias that the deployment has not touched may be of somebody else's version.
        if self.deployment.target and self.deployment.target_body["lambdaFunctionInfo"]["targetVersionWeight"]:
            self._point_to("currentversion")

    def _point_to(self, version: str) -> None:
        properties = self.spec.properties
        call(
            "lambda",
            "update_alias",
            FunctionName=properties["name"],
            Name=properties["alias"],
            FunctionVersion=str(properties[version]),
            RoutingConfig={"AdditionalVersionWeights": {}},
        )
        info = self.deployment.target_body["lambdaFunctionInfo"]
        info["targetVersionWeight"] = 1.0 if version == "targetversion" else 0.0


class EcsRun(Run):
    """A deployment that replaces the primary task set of a service."""

    replacement: Json | None = None

    def events(self) -> list[str]:
        test = ["AllowTestTraffic", "AfterAllowTestTraffic"] if self._listeners("testTrafficRoute") else []
        return [
            "BeforeInstall",
            "Install",
            "AfterInstall",
            *test,
            "BeforeAllowTraffic",
            "AllowTraffic",
            "AfterAllowTraffic",
        ]

    def steps(self) -> dict[str, Callable[[], None]]:
        return {
            "Install": self._install,
            "AllowTestTraffic": lambda: self._route("testTrafficRoute", self.green),
            "AllowTraffic": self._allow_traffic,
        }

    def prepare(self) -> Json:
        [named] = self.group["ecsServices"]
        key = named["clusterName"], named["serviceName"]
        if key not in ecs.services:
            raise FailedError("INVALID_ECS_SERVICE", f"There is no ECS service {key[1]} in the cluster {key[0]}.")
        self.service: Json = ecs.services[key]
        self.original = next(item for item in self.service["taskSets"] if item["status"] == "PRIMARY")
        self.definition = self._definition()
        container = {str(key).lower(): value for key, value in self.spec.properties["loadbalancerinfo"].items()}
        self.blue = self.original["loadBalancers"][0]["targetGroupArn"]
        both = [_target_group(item["name"]) for item in self._pair()["targetGroups"]]
        if self.blue not in both:
            raise FailedError(
                "INVALID_ECS_SERVICE",
                "The target group of the primary task set is none of the deployment group's target groups.",
            )
        [self.green] = [item for item in both if item != self.blue]
        self.balancer = {
            "targetGroupArn": self.green,
            "containerName": container.get("containername"),
            "containerPort": int(container.get("containerport", 0)),
        }
        defined = {
            (item["name"], mapping["containerPort"])
            for item in self.definition["containerDefinitions"]
            for mapping in item["portMappings"]
        }
        if (self.balancer["containerName"], self.balancer["containerPort"]) not in defined:
            raise FailedError(
                "ECS_UPDATE_ERROR",
                f"The task definition has no container {self.balancer['containerName']} with port "
                f"{self.balancer['containerPort']}.",
            )
        body = {
            **_blank_target(self.deployment, f"{named['clusterName']}:{named['serviceName']}"),
            "targetArn": self.service["serviceArn"],
            "taskSetsInfo": [self._described(self.original, "Blue", self.blue, 100.0)],
        }
        return {"deploymentTargetType": "ECSTarget", "ecsTarget": body}

    def end(self) -> None:
        blue_green = self.deployment.info.get("blueGreenDeploymentConfiguration", {})
        if blue_green.get("terminateBlueInstancesOnDeploymentSuccess", {}).get("action") != "KEEP_ALIVE":
            ecs.remove_task_set(self.service, self.original)

    def undo(self) -> None:
        if self.replacement is None:
            return
        for route in ("testTrafficRoute", "prodTrafficRoute"):
            self._route(route, self.blue)
        ecs.make_primary(self.service, self.original)
        ecs.remove_task_set(self.service, self.replacement)

    def _install(self) -> None:
        self.replacement = ecs.add_task_set(
            self.service,
            definition=self.definition,
            balancer=self.balancer,
            status="ACTIVE",
            started_by="CODE_DEPLOY",
            external_id=self.deployment.info["deploymentId"],
            platformVersion=self.spec.properties.get("platformversion"),
            networkConfiguration=self._network(),
        )
        self._task_sets().append(self._described(self.replacement, "Green", self.green, 0.0))

    def _allow_traffic(self) -> None:
        ready = self.deployment.info.get("blueGreenDeploymentConfiguration", {}).get("deploymentReadyOption", {})
        if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT":
            self.deployment.info["status"] = "Ready"
            self.deployment.may_go_on.wait()
            if self.deployment.stopped:
                raise FailedError("MANUAL_STOP", "The deployment was stopped by a user.", "Stopped")
            self.deployment.info["status"] = "InProgress"
        self._route("prodTrafficRoute", self.green)
        ecs.make_primary(self.service, self.replacement or self.original)
        for described, weight in zip(self._task_sets(), (0.0, 100.0), strict=True):
            described.update(trafficWeight=weight, status="PRIMARY" if weight else "ACTIVE")

    def _definition(self) -> Json:
        try:
            definition = ecs.task_definition(self.spec.properties["taskdefinition"])
        except ApiError as error:
            raise FailedError("ECS_UPDATE_ERROR", str(error)) from error
        if definition["status"] != "ACTIVE":
            raise FailedError("ECS_UPDATE_ERROR", "TaskDefinition is inactive")
        return definition

    def _network(self) -> Json | None:
        network = self.spec.properties.get("networkconfiguration")
        if not network:
            return None
        return {
            "awsvpcConfiguration": {key[0].lower() + key[1:]: v for key, v in network["AwsvpcConfiguration"].items()}
        }

    def _pair(self) -> Json:
        pair: Json = self.group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
        return pair

    def _listeners(self, route: str) -> list[str]:
        found: list[str] = self._pair().get(route, {}).get("listenerArns", [])
        return found

    def _route(self, route: str, target_group: str) -> None:
        for listener in self._listeners(route):
            listeners.reroute(listener, [self.blue, self.green], target_group)

    def _task_sets(self) -> list[Json]:
        described: list[Json] = self.deployment.target_body["taskSetsInfo"]
        return described

    def _described(self, task_set: Json, label: str, target_group: str, weight: float) -> Json:
        return {
            "identifer": task_set["id"],
            "desiredCount": task_set["computedDesiredCount"],
            "pendingCount": 0,
            "runningCount": task_set["runningCount"],
            "status": task_set["status"],
            "trafficWeight": weight,
            "targetGroup": {"name": target_group.split("/")[1]},
            "taskSetLabel": label,
        }


def _blank_target(deployment: Deployment, identifier: str) -> Json:
    return {
        "deploymentId": deployment.info["deploymentId"],
        "targetId": identifier,
        "status": "Pending",
        "lastUpdatedAt": time.time(),
        "lifecycleEvents": [],
    }


def _target_group(name: str) -> str:
    try:
        [found] = call("elbv2", "describe_target_groups", Names=[name])["TargetGroups"]
    except CallError as error:
        raise FailedError("ELASTIC_LOAD_BALANCING_INVALID", str(error)) from error
    group_arn: str = found["TargetGroupArn"]
    return group_arn
