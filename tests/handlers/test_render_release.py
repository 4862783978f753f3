"""The function that renders a release for CodeDeployToECS, and always tells the pipeline how it went."""

import json

import boto3
import pytest

from code_family_constructs import EcsAppspec
from code_family_constructs.handlers import render_release
from tests.handlers.doubles import Context, Refused
from tests.handlers.fake_codepipeline import BUCKET, CREDENTIALS, KEY, OUTPUT, S3, CodePipeline, a_job, files_of
from tests.handlers.fake_ecs import Ecs, a_task

APPSPEC = EcsAppspec(container_name="app", container_port=8080, hooks={"AfterInstall": "Shop-Check"})


class Account:
    def __init__(self, monkeypatch):
        self.ecs, self.s3, self.codepipeline = Ecs(), S3(), CodePipeline()
        self.credentials: list[dict[str, str]] = []
        self.definition = self.ecs.register()
        services = {"ecs": self.ecs, "s3": self.s3, "codepipeline": self.codepipeline}

        def client(name, config, **settings):
            if name == "s3":
                self.credentials.append(settings)
            else:
                assert settings == {}
            return services[name].client

        monkeypatch.setattr(boto3, "client", client)
        self.set = lambda **settings: monkeypatch.setenv(
            "CODE_FAMILY_RELEASE",
            json.dumps(
                {
                    "taskDefinition": self.definition,
                    "container": "app",
                    "placeholder": "<IMAGE1_NAME>",
                    "appspec": APPSPEC.render(),
                    **settings,
                }
            ),
        )
        self.set()

    def run(self, **data):
        """What the pipeline is told, and with which call."""
        render_release.handler(a_job(**data), Context())
        (told,) = self.codepipeline.calls
        return told

    def rendered(self):
        return files_of(self.s3.objects[OUTPUT])


@pytest.fixture
def account(monkeypatch):
    return Account(monkeypatch)


def test_the_pipeline_is_told_that_it_worked(account):
    operation, told = account.run()
    assert operation == "PutJobSuccessResult"
    assert told["executionDetails"]["summary"] == "rendered Shop-Service:1"


def test_the_image_is_a_placeholder_and_all_else_is_the_stack_s(account):
    account.run()
    (app, envoy) = a_task()["containerDefinitions"]
    expected = {**a_task(), "containerDefinitions": [{**app, "image": "<IMAGE1_NAME>"}, envoy]}
    assert json.loads(account.rendered()["taskdef.json"]) == expected


def test_nothing_is_left_that_registering_refuses(account):
    account.run()
    account.ecs.client.register_task_definition(**json.loads(account.rendered()["taskdef.json"]))


def test_the_appspec_is_the_one_that_was_checked_at_synth(account):
    account.run()
    assert EcsAppspec.from_text(account.rendered()["appspec.yaml"]) == APPSPEC


def test_the_artifact_is_encrypted_with_the_pipeline_s_key(account):
    account.run()
    (written,) = account.s3.written
    assert written == {"Bucket": BUCKET, "Key": OUTPUT, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}


def test_without_a_key_the_bucket_s_own_encryption_is_used(account):
    account.run(encryptionKey=None)
    assert account.s3.written == [{"Bucket": BUCKET, "Key": OUTPUT}]


def test_artifacts_are_reached_with_the_job_s_credentials_alone(account):
    account.run()
    assert account.credentials == [
        {
            "aws_access_key_id": CREDENTIALS["accessKeyId"],
            "aws_secret_access_key": CREDENTIALS["secretAccessKey"],
            "aws_session_token": CREDENTIALS["sessionToken"],
        }
    ]


def test_the_log_tells_what_happened_and_no_credentials(account, capsys):
    account.run()
    out = capsys.readouterr().out
    assert "rendered Shop-Service:1" in out
    assert not any(secret in out for secret in CREDENTIALS.values())


@pytest.mark.parametrize(
    ("service", "operation"), [("ecs", "DescribeTaskDefinition"), ("s3", "PutObject")], ids=["ecs", "s3"]
)
def test_the_pipeline_is_told_when_a_service_refuses(account, service, operation):
    getattr(account, service).refusals[operation] = [Refused("AccessDenied", 403)]
    called, told = account.run()
    assert called == "PutJobFailureResult"
    assert "AccessDenied" in told["failureDetails"]["message"]
    assert told["failureDetails"]["externalExecutionId"] == Context().aws_request_id


def test_the_pipeline_is_told_when_the_container_is_unknown(account):
    account.set(container="web")
    called, told = account.run()
    assert called == "PutJobFailureResult"
    assert "has no container 'web', but app, envoy" in told["failureDetails"]["message"]


def test_the_pipeline_is_told_when_the_job_is_not_as_expected(account):
    called, told = account.run(outputArtifacts=[])
    assert (called, "ValueError" in told["failureDetails"]["message"]) == ("PutJobFailureResult", True)


def test_a_reason_of_any_length_arrives(account):
    account.set(container="w" * 9000)
    assert len(account.run()[1]["failureDetails"]["message"]) <= 5000


def test_a_report_that_does_not_arrive_is_an_error_so_that_lambda_tries_again(account):
    account.codepipeline.refusals["PutJobSuccessResult"] = [Refused("ThrottlingException", 400)] * 5
    with pytest.raises(account.codepipeline.client.exceptions.ClientError, match="ThrottlingException"):
        render_release.handler(a_job(), Context())
    account.codepipeline.calls.clear()
    account.codepipeline.refusals.clear()
    assert account.run()[0] == "PutJobSuccessResult"
