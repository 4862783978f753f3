"""What CodePipeline does at a release, as far as it is documented: artifacts, and the actions that deploy them."""

import hashlib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.stacks.deployed import Deployed

Json = dict[str, Any]


class Execution:
    """One run of a deployed pipeline, whose actions the test starts one by one."""

    def __init__(self, deployed: Deployed, pipeline: str) -> None:
        self.client = deployed.client
        self.endpoint = deployed.endpoint
        self.pipeline: Json = self.client("codepipeline").get_pipeline(name=pipeline)["pipeline"]
        self.store: Json = self.pipeline["artifactStore"]
        self.id = uuid.uuid4().hex

    def put(self, artifact: str, files: Mapping[str, str]) -> None:
        """Write an artifact, as the action that makes it does."""
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        self.client("s3").put_object(**self._object(artifact), Body=bundle.getvalue())

    def get(self, artifact: str, name: str) -> str:
        """Read a file of an artifact."""
        body = self.client("s3").get_object(**self._object(artifact))["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as bundle:
            return bundle.read(name).decode()

    def action(self, stage: str, provider: str) -> Json:
        """The one action of a stage by this provider."""
        [actions] = [each["actions"] for each in self.pipeline["stages"] if each["name"] == stage]
        [found] = [action for action in actions if action["actionTypeId"]["provider"] == provider]
        return dict(found)

    def invoke(self, stage: str) -> str:
        """Run a stage's Lambda action, again and again while it asks to be, and return how it ended.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-invoke-lambda-function.html
        """
        action, job = self.action(stage, "Lambda"), str(uuid.uuid4())
        token: Json = {}
        client = self.client("codepipeline")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            data = {
                "actionConfiguration": {"configuration": action["configuration"]},
                "inputArtifacts": [self._artifact(each["name"]) for each in action["inputArtifacts"]],
                "outputArtifacts": [self._artifact(each["name"]) for each in action["outputArtifacts"]],
                "artifactCredentials": {
                    "accessKeyId": self.endpoint.account,
                    "secretAccessKey": "local",
                    "sessionToken": "local",
                },
                **({"encryptionKey": self.store["encryptionKey"]} if "encryptionKey" in self.store else {}),
                **token,
            }
            event = {"CodePipeline.job": {"id": job, "accountId": self.endpoint.account, "data": data}}
            answer = self.client("lambda").invoke(
                FunctionName=action["configuration"]["FunctionName"], Payload=json.dumps(event)
            )
            assert "FunctionError" not in answer, answer["Payload"].read()
            status: str = client.acknowledge_job(jobId=job, nonce="1")["status"]
            if status != "InProgress":
                return status
            details = client.get_job_details(jobId=job)["jobDetails"]["data"]
            token = {"continuationToken": details["continuationToken"]}
            time.sleep(0.1)
        raise AssertionError(f"job {job} of {stage} is still in progress: {token}")

    def deploy_to_ecs(self, stage: str) -> Json:
        """Run a stage's CodeDeployToECS action to its end, and return the deployment.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
        """
        settings = self.action(stage, "CodeDeployToECS")["configuration"]
        definition = self.get(
            settings["TaskDefinitionTemplateArtifact"], settings.get("TaskDefinitionTemplatePath", "taskdef.json")
        )
        for number in range(1, 5):
            if artifact := settings.get(f"Image{number}ArtifactName"):
                image = json.loads(self.get(artifact, "imageDetail.json"))["ImageURI"]
                definition = definition.replace(f"<{settings[f'Image{number}ContainerName']}>", image)
        registered = self.client("ecs").register_task_definition(**json.loads(definition))["taskDefinition"]
        spec = self.get(settings["AppSpecTemplateArtifact"], settings.get("AppSpecTemplatePath", "appspec.yaml"))
        content = spec.replace("<TASK_DEFINITION>", registered["taskDefinitionArn"])
        revision = {"content": content, "sha256": hashlib.sha256(content.encode()).hexdigest()}
        identifier = self.client("codedeploy").create_deployment(
            applicationName=settings["ApplicationName"],
            deploymentGroupName=settings["DeploymentGroupName"],
            revision={"revisionType": "AppSpecContent", "appSpecContent": revision},
        )["deploymentId"]
        return self.finished(identifier)

    def finished(self, deployment: str) -> Json:
        """The deployment when it is over."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            info: Json = self.client("codedeploy").get_deployment(deploymentId=deployment)["deploymentInfo"]
            if info["status"] in ("Succeeded", "Failed", "Stopped"):
                return info
            time.sleep(0.05)
        raise AssertionError(info)

    def _object(self, artifact: str) -> Json:
        return {"Bucket": self.store["location"], "Key": f"{self.pipeline['name'][:20]}/{artifact}/{self.id[:7]}.zip"}

    def _artifact(self, name: str) -> Json:
        place = self._object(name)
        location = {"bucketName": place["Bucket"], "objectKey": place["Key"]}
        return {"name": name, "revision": None, "location": {"type": "S3", "s3Location": location}}


def log_of(deployed: Deployed, function: str) -> str:
    """What a function has printed."""
    client = deployed.client("logs")
    group = deployed.client("lambda").get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
    return "\n".join(event["message"] for event in client.filter_log_events(logGroupName=group)["events"])
