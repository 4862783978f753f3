"""Releases the code of a pipeline's artifact: publishes it as a version, and has CodeDeploy shift the alias to it.

CodePipeline calls it until the deployment is over, each time with the continuation token that the last call left.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from code_family_constructs.handlers.pipeline_job import LONGEST_MESSAGE, PATIENT, run
from code_family_constructs.handlers.prune_versions import prune

# Enough for the slowest step, calls that are tried again included, and for the report.
TIME_FOR_A_STEP_MS = 180_000
TIME_TO_REPORT_MS = 60_000
# Lambda takes no more along with a request: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST_ARTIFACT = 50 * 2**20
UNDER_WAY = ("Created", "Queued", "InProgress", "Baking", "Ready")

State = Mapping[str, str]


@dataclass(frozen=True)
class Later:
    """The step has to be taken again, after a while."""

    summary: str


@dataclass(frozen=True)
class Done:
    """The release is over, and it is this version that has the traffic."""

    version: str
    summary: str


def handler(event: dict[str, Any], context: Any) -> None:
    run(event, context, lambda data: work(data, context))


def work(data: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes step after step, and returns what to tell CodePipeline."""
    release = Release(json.loads(os.environ["CODE_FAMILY_RELEASE"]), data, context)
    state: State = json.loads(data.get("continuationToken", '{"step": "update"}'))
    summary = "out of time"
    while context.get_remaining_time_in_millis() > TIME_FOR_A_STEP_MS:
        result = release.steps[state["step"]](state)
        if isinstance(result, Done):
            return {
                "executionDetails": {"summary": result.summary[:LONGEST_MESSAGE], "percentComplete": 100},
                "outputVariables": {"FunctionVersion": result.version},
            }
        if isinstance(result, Later):
            summary = result.summary
            if state["step"] == "watch":
                break
            time.sleep(2)
        else:
            state = result
    return {
        "continuationToken": json.dumps(state),
        "executionDetails": {"summary": summary, "externalExecutionId": state.get("deployment", state["step"])},
    }


class Release:
    """The steps of a release; each may be taken again after it was interrupted.

    Args:
        settings: Names of the function, its alias, the application and deployment group, hooks, versions to keep.
        data: Of CodePipeline's job.
        context: Lambda's.
    """

    def __init__(self, settings: dict[str, Any], data: dict[str, Any], context: Any) -> None:
        self.function, self.alias = settings["function"], settings["alias"]
        self.group = {"applicationName": settings["application"], "deploymentGroupName": settings["group"]}
        self.hooks: Mapping[str, str] = settings["hooks"]
        self.keep: int | None = settings.get("keep")
        self.data, self.context = data, context
        self.lambda_ = boto3.client("lambda", config=PATIENT)
        self.codedeploy = boto3.client("codedeploy", config=PATIENT)
        self.steps: Mapping[str, Callable[[State], State | Later | Done]] = {
            "update": self.update,
            "publish": self.publish,
            "deploy": self.deploy,
            "watch": self.watch,
        }

    def update(self, state: State) -> State | Later:
        """Puts the artifact's code in the place of the function's, which nobody calls yet."""
        found = self.codedeploy.list_deployments(**self.group, includeOnlyStatuses=list(UNDER_WAY))["deployments"]
        if found:
            raise RuntimeError(f"deployment {found[0]} is still under way; retry this stage when it is over")
        self.current_version()
        function = self.lambda_.get_function_configuration(FunctionName=self.function)
        if function.get("LastUpdateStatus") == "InProgress":
            return Later("somebody else updates the function")
        try:
            updated = self.lambda_.update_function_code(FunctionName=self.function, ZipFile=self.artifact())
        except self.lambda_.exceptions.ResourceConflictException as conflict:
            return Later(str(conflict))
        return {"step": "publish", "code": updated["CodeSha256"]}

    def publish(self, state: State) -> State | Later:
        """Makes a version of code and configuration; Lambda answers with the last one when neither has changed."""
        function = self.lambda_.get_function_configuration(FunctionName=self.function)
        if function.get("LastUpdateStatus") == "Failed":
            raise RuntimeError(f"Lambda could not update the function: {function.get('LastUpdateStatusReason')}")
        if function.get("LastUpdateStatus") == "InProgress":
            return Later("Lambda updates the function")
        try:
            # Of this code and no other, should somebody else have updated the function meanwhile.
            version = self.lambda_.publish_version(FunctionName=self.function, CodeSha256=state["code"])["Version"]
        except self.lambda_.exceptions.ResourceConflictException as conflict:
            return Later(str(conflict))
        return {"step": "deploy", "version": version}

    def deploy(self, state: State) -> State | Later | Done:
        """Has CodeDeploy shift the alias to the version."""
        target = state["version"]
        version = self.lambda_.get_function_configuration(FunctionName=self.function, Qualifier=target)
        if version.get("State") == "Failed":
            raise RuntimeError(f"Lambda could not prepare version {target}: {version.get('StateReason')}")
        if version.get("State") == "Pending":
            return Later(f"Lambda prepares version {target}")
        current = self.current_version()
        if current == target:
            return Done(target, f"version {target} has all of the traffic already: neither code nor settings changed")
        content = appspec(self.function, self.alias, current, target, self.hooks)
        digest = hashlib.sha256(content.encode()).hexdigest()
        started = self.codedeploy.create_deployment(
            **self.group,
            description=f"Version {current} to {target}",
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": digest}},
        )
        return {"step": "watch", "before": current, "version": target, "deployment": started["deploymentId"]}

    def watch(self, state: State) -> Later | Done:
        """Looks whether the deployment is over."""
        deployment, version = state["deployment"], state["version"]
        info = self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        if info["status"] == "Succeeded":
            summary = f"version {version} has all of the traffic"
            if self.keep is not None:
                # The one before too, which the AppSpec names that CodeDeploy would roll the next release back with.
                summary += "; " + prune(self.function, self.keep, {version, state["before"]}, self.context)
            return Done(version, summary)
        if info["status"] in UNDER_WAY:
            return Later(f"deployment {deployment} to version {version}: {info['status']}")
        problem = info.get("errorInformation", {})
        rollback = info.get("rollbackInfo", {}).get("rollbackMessage", "")
        raise RuntimeError(
            f"deployment {deployment} to version {version}: {info['status']}, "
            f"{problem.get('code', 'no code')}: {problem.get('message', 'no message')} {rollback}".rstrip()
        )

    def current_version(self) -> str:
        alias = self.lambda_.get_alias(FunctionName=self.function, Name=self.alias)
        version: str = alias["FunctionVersion"]
        others = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights")
        if others:
            raise RuntimeError(
                f"alias {self.alias} is between version {version} and {', '.join(others)}; give one of them all of the "
                "traffic and retry this stage"
            )
        return version

    def artifact(self) -> bytes:
        location = self.data["inputArtifacts"][0]["location"]["s3Location"]
        credentials = self.data["artifactCredentials"]
        s3 = boto3.client(
            "s3",
            config=PATIENT.merge(Config(signature_version="s3v4")),
            aws_access_key_id=credentials["accessKeyId"],
            aws_secret_access_key=credentials["secretAccessKey"],
            aws_session_token=credentials["sessionToken"],
        )
        found = s3.get_object(Bucket=location["bucketName"], Key=location["objectKey"])
        if found["ContentLength"] > LARGEST_ARTIFACT:
            raise RuntimeError(
                f"the artifact has {found['ContentLength']} bytes, Lambda takes {LARGEST_ARTIFACT} along with a "
                "request; make it smaller, or release it by a LambdaActionDeployment"
            )
        parts = []
        for part in found["Body"].iter_chunks(2**20):
            if self.context.get_remaining_time_in_millis() < TIME_TO_REPORT_MS:
                raise RuntimeError("the artifact takes too long to read; retry this stage")
            parts.append(part)
        return b"".join(parts)


def appspec(function: str, alias: str, current: str, target: str, hooks: Mapping[str, str]) -> str:
    """The AppSpec of a deployment, as JSON; `LambdaAppspec` reads it."""
    properties = {"Name": function, "Alias": alias, "CurrentVersion": current, "TargetVersion": target}
    document: dict[str, Any] = {
        "version": 0.0,
        "Resources": [{"TargetFunction": {"Type": "AWS::Lambda::Function", "Properties": properties}}],
    }
    if hooks:
        document["Hooks"] = [{event: name} for event, name in hooks.items()]
    return json.dumps(document)
