"""A Python function as an action, run for real: fetched, called again, put away and reported."""

import io
import json
import uuid
import zipfile
from typing import Any

import pytest
from aws_cdk import App, Stack

from code_family_constructs.pipeline.actions.lambda_invoke import LambdaInvoke
from code_family_constructs.testing import synthesized
from tests.handlers.fake_codepipeline import bundle, files_of
from tests.helpers import only
from tests.pipeline.actions import jobs

ROLE = "arn:aws:iam::123456789012:role/any"


class Deployed:
    """What LambdaInvoke deploys, as functions by the names of the user's own."""

    def __init__(self, folder):
        app = App(outdir=str(folder), analytics_reporting=False)
        self.folder = folder
        settings: dict[str, dict[str, Any]] = {
            "migrate": {
                "parameters": {"release": "1", "message": "#{SourceVariables.CommitMessage}"},
                "output_variables": ["tables"],
            },
            "never": {},
        }
        stacks = {name: Stack(app, name) for name in settings}
        for name, stack in stacks.items():
            LambdaInvoke(stack, "Job", function=getattr(jobs, name), **settings[name])
        self.templates = {name: synthesized(stack) for name, stack in stacks.items()}

    def create(self, client, function, name):
        properties = only(self.templates[name], "AWS::Lambda::Function")
        folder = self.folder / f"asset.{properties['Code']['S3Key'].removesuffix('.zip')}"
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            for path in folder.rglob("*.py"):
                archive.write(path, path.relative_to(folder))
        client.create_function(
            FunctionName=function,
            Runtime="python3.14",
            Role=ROLE,
            Handler=properties["Handler"],
            Timeout=properties["Timeout"],
            Environment=properties["Environment"],
            Code={"ZipFile": code.getvalue()},
        )


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    return Deployed(tmp_path_factory.mktemp("job"))


@pytest.fixture
def account(aws, endpoint, name):
    bucket = f"{name}-artifacts"
    aws("s3").create_bucket(Bucket=bucket)
    yield Account(aws, endpoint.account, name, bucket)
    aws("lambda").delete_function(FunctionName=name)


class Account:
    def __init__(self, aws, account, function, bucket):
        self.aws, self.account, self.function, self.bucket = aws, account, function, bucket
        self.job = str(uuid.uuid4())

    def call(self, user_parameters=None, state=None):
        """Invoke the function as CodePipeline does, and return how the job stands and what was reported."""
        configuration = {"FunctionName": self.function}
        if user_parameters is not None:
            configuration["UserParameters"] = user_parameters
        credentials = {"accessKeyId": self.account, "secretAccessKey": "hush-hush", "sessionToken": "local"}
        data = {
            "actionConfiguration": {"configuration": configuration},
            "inputArtifacts": [self.artifact("App")],
            "outputArtifacts": [self.artifact("Report")],
            "artifactCredentials": credentials,
            **({} if state is None else {"continuationToken": state}),
        }
        event = {"CodePipeline.job": {"id": self.job, "accountId": self.account, "data": data}}
        answer = self.aws("lambda").invoke(FunctionName=self.function, Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        client = self.aws("codepipeline")
        status = client.acknowledge_job(jobId=self.job, nonce="1")["status"]
        return status, client.get_job_details(jobId=self.job)["jobDetails"]["data"].get("continuationToken")

    def artifact(self, name):
        location = {"type": "S3", "s3Location": {"bucketName": self.bucket, "objectKey": f"{name}.zip"}}
        return {"name": name, "revision": None, "location": location}


def test_a_job_goes_on_until_it_is_done_and_leaves_its_artifact(aws, account, deployed):
    deployed.create(aws("lambda"), account.function, "migrate")
    aws("s3").put_object(Bucket=account.bucket, Key="App.zip", Body=bundle({"app.py": "print(1)"}))
    parameters = 'release=1\nmessage=Fix "orders"\n\nand more'
    status, state = account.call(parameters)
    assert (status, json.loads(state)) == ("InProgress", {"tables": 3})
    assert account.call(parameters, state) == ("Succeeded", None)
    left = files_of(aws("s3").get_object(Bucket=account.bucket, Key="Report.zip")["Body"].read())
    assert json.loads(left["report.json"]) == {
        "files": {"App": ["app.py"]},
        "state": {"tables": 3},
        "parameters": {"release": "1", "message": 'Fix "orders"\n\nand more'},
    }


def test_a_function_that_says_no_fails_the_job(aws, account, deployed):
    deployed.create(aws("lambda"), account.function, "never")
    aws("s3").put_object(Bucket=account.bucket, Key="App.zip", Body=bundle({"app.py": "print(1)"}))
    assert account.call() == ("Failed", None)


def test_a_job_whose_artifact_is_not_there_fails(aws, account, deployed):
    deployed.create(aws("lambda"), account.function, "never")
    assert account.call() == ("Failed", None)
