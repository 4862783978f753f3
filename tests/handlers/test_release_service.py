"""The function that releases an image to a service which Amazon ECS deploys, from the first call to the last."""

import json
import time

import boto3
import pytest

from code_family_constructs.handlers import release_service
from tests.handlers.doubles import Context, Refused
from tests.handlers.fake_codepipeline import CREDENTIALS, INPUT, S3, CodePipeline, a_job, bundle
from tests.handlers.fake_ecs import PLACEHOLDER, Ecs, a_task, digest

SUCCESS, FAILURE = "PutJobSuccessResult", "PutJobFailureResult"


class Account:
    def __init__(self, monkeypatch):
        self.ecs, self.s3, self.codepipeline = Ecs(), S3(), CodePipeline()
        services = {"ecs": self.ecs, "s3": self.s3, "codepipeline": self.codepipeline}

        def client(name, config, **settings):
            assert (settings != {}) == (name == "s3")
            return services[name].client

        monkeypatch.setattr(boto3, "client", client)
        monkeypatch.setattr(time, "time", lambda: self.ecs.clock.timestamp())
        self._set = lambda text: monkeypatch.setenv("CODE_FAMILY_RELEASE", text)
        self.stack(self.ecs.register())
        self.ecs.serve(self.definition)

    def stack(self, definition):
        """The stack's task definition from now on."""
        self.definition = definition
        settings = {"cluster": "Shop", "service": "Shop-Service", "container": "app", "taskDefinition": definition}
        self._set(json.dumps(settings))

    def call(self, image=None, **data):
        """One call by the pipeline: what it is told, and with which operation."""
        self.s3.objects[INPUT] = bundle({"imageDetail.json": json.dumps({"ImageURI": image or digest(1)})})
        before = len(self.codepipeline.calls)
        release_service.handler(a_job(outputArtifacts=[], **data), Context())
        (told,) = self.codepipeline.calls[before:]
        return told

    def release(self, image, ends="SUCCESSFUL", reason=None):
        """Calls until the release is over."""
        _operation, told = self.call(image)
        self.ecs.finish(ends, reason)
        return self.call(image, continuationToken=told["continuationToken"])

    @property
    def running(self):
        """What the service runs."""
        assert self.ecs.service is not None
        return self.ecs.definitions[self.ecs.service["taskDefinition"]]

    @property
    def image(self):
        return self.running["containerDefinitions"][0]["image"]


@pytest.fixture
def account(monkeypatch):
    return Account(monkeypatch)


def test_the_service_gets_the_stack_s_task_definition_with_the_image_of_the_build(account):
    account.call(digest(1))
    (app, envoy) = a_task()["containerDefinitions"]
    expected = {**a_task(), "containerDefinitions": [{**app, "image": digest(1)}, envoy]}
    registered = {name: value for name, value in account.running.items() if name in expected}
    assert registered == expected


def test_the_release_is_over_when_the_deployment_is(account):
    operation, told = account.call()
    for status in ("PENDING", "IN_PROGRESS"):
        account.ecs.finish(status)
        operation, told = account.call(continuationToken=told["continuationToken"])
        assert (operation, status in told["executionDetails"]["summary"]) == (SUCCESS, True)
    account.ecs.finish("SUCCESSFUL")
    operation, told = account.call(continuationToken=told["continuationToken"])
    assert operation == SUCCESS
    assert "continuationToken" not in told
    assert told["executionDetails"] == {"summary": "Shop-Service:2 has all traffic", "percentComplete": 100}


def test_only_the_first_call_starts_something(account):
    _operation, told = account.call()
    started = account.ecs.names().count("UpdateService")
    account.call(continuationToken=told["continuationToken"])
    assert (account.ecs.names().count("UpdateService"), started) == (1, 1)


@pytest.mark.parametrize("status", ["ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"])
def test_a_release_that_amazon_ecs_took_back_has_failed(account, status):
    """CodePipeline's own action does not notice, and would go on to the next stage."""
    operation, told = account.release(digest(1), status, "Alarms in state ALARM: Target5xx.")
    assert operation == FAILURE
    assert (
        told["failureDetails"]["message"]
        == f"RuntimeError: Shop-Service:2: {status}, Alarms in state ALARM: Target5xx."
    )


def test_what_failed_is_not_the_newest_of_its_family_any_more(account):
    """CloudFormation names the family alone, and Amazon ECS would take the newest that is active."""
    account.release(digest(1), "ROLLBACK_SUCCESSFUL")
    assert [each["status"] for each in account.ecs.definitions.values()] == ["ACTIVE", "INACTIVE"]


@pytest.mark.parametrize("status", ["STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"])
def test_waits_until_it_is_known_how_a_rollback_ends(account, status):
    operation, told = account.release(digest(1), status)
    assert (operation, "continuationToken" in told) == (SUCCESS, True)


def test_a_change_of_the_stack_rides_with_the_next_release(account):
    account.release(digest(1))
    account.stack(account.ecs.register(image=digest(1), cpu="512", memory="1024"))
    assert (account.image, account.running["cpu"]) == (digest(1), "256")
    account.release(digest(2))
    assert (account.image, account.running["cpu"]) == (digest(2), "512")


def test_watches_its_own_deployment_and_no_other(account):
    _operation, told = account.call(digest(1))
    account.ecs.finish("SUCCESSFUL")
    account.ecs.client.update_service(cluster="Shop", service="Shop-Service", taskDefinition=account.definition)
    assert (
        "has all traffic" in account.call(continuationToken=told["continuationToken"])[1]["executionDetails"]["summary"]
    )


def test_of_several_deployments_of_one_task_definition_the_newest_counts(account):
    _operation, told = account.call(digest(1))
    account.ecs.finish("STOPPED")
    arn = account.ecs.service["taskDefinition"]
    account.ecs.client.update_service(cluster="Shop", service="Shop-Service", taskDefinition=arn)
    assert "PENDING" in account.call(continuationToken=told["continuationToken"])[1]["executionDetails"]["summary"]


def test_a_deployment_that_is_not_known_yet_is_waited_for(account):
    operation, told = account.call()
    account.ecs.deployments.clear()
    operation, told = account.call(continuationToken=told["continuationToken"])
    assert (operation, "accepted" in told["executionDetails"]["summary"]) == (SUCCESS, True)


def test_a_deployment_that_never_becomes_known_is_a_failure(account):
    operation, told = account.call()
    account.ecs.deployments.clear()
    for _ in range(16):
        account.ecs.tick()
    operation, told = account.call(continuationToken=told["continuationToken"])
    assert (operation, "no deployment of Shop-Service:2" in told["failureDetails"]["message"]) == (FAILURE, True)


def test_a_call_that_is_repeated_starts_nothing_twice(account):
    """Lambda repeats a call that has ended in an error, as when its report did not arrive."""
    account.call(digest(1))
    _operation, told = account.call(digest(1))
    assert account.ecs.names().count("RegisterTaskDefinition") == account.ecs.names().count("UpdateService") == 1
    account.ecs.finish("SUCCESSFUL")
    assert (
        "has all traffic" in account.call(continuationToken=told["continuationToken"])[1]["executionDetails"]["summary"]
    )


def test_what_runs_already_is_released_at_once(account):
    account.release(digest(1))
    operation, told = account.call(digest(1))
    assert (operation, "continuationToken" in told) == (SUCCESS, False)
    assert told["executionDetails"]["summary"] == f"Shop-Service:2 with {digest(1)} runs already"
    assert account.ecs.names().count("UpdateService") == 1


def test_what_was_taken_back_can_be_released_again(account):
    account.release(digest(1), "ROLLBACK_SUCCESSFUL")
    account.ecs.serve(account.definition)
    operation, _told = account.release(digest(1))
    assert (operation, account.image) == (SUCCESS, digest(1))


@pytest.mark.parametrize("settings", [None, {"status": "DRAINING"}], ids=["missing", "draining"])
def test_fails_without_a_service(account, settings):
    if settings is None:
        account.ecs.service = None
    else:
        account.ecs.service.update(settings)
    operation, told = account.call()
    assert (operation, "there is no service Shop-Service" in told["failureDetails"]["message"]) == (FAILURE, True)


def test_fails_without_the_container(account):
    account.stack(account.ecs.register(containerDefinitions=[{"name": "web", "image": PLACEHOLDER}]))
    operation, told = account.call()
    assert (operation, "has no container 'app', but web" in told["failureDetails"]["message"]) == (FAILURE, True)


def test_a_service_whose_containers_have_other_names_is_released(account):
    account.ecs.serve(account.ecs.register(containerDefinitions=[{"name": "web", "image": PLACEHOLDER}]))
    account.release(digest(1))
    assert account.image == digest(1)


@pytest.mark.parametrize("files", [{"imagedefinitions.json": "[]"}, {}], ids=["another file", "no file"])
def test_fails_without_an_image(account, files):
    account.s3.objects[INPUT] = bundle(files)
    release_service.handler(a_job(), Context())
    ((operation, told),) = account.codepipeline.calls
    assert (operation, "there is no imageDetail.json in artifact Build" in told["failureDetails"]["message"]) == (
        FAILURE,
        True,
    )


def test_does_not_read_an_artifact_that_is_something_else(account):
    account.s3.length = 10 * 2**20
    operation, told = account.call()
    assert (operation, "10485760 bytes" in told["failureDetails"]["message"]) == (FAILURE, True)


@pytest.mark.parametrize("operation", ["DescribeServices", "RegisterTaskDefinition", "UpdateService"])
def test_the_pipeline_is_told_when_amazon_ecs_refuses(account, operation):
    account.ecs.refusals[operation] = [Refused("AccessDeniedException", 400)]
    called, told = account.call()
    assert (called, "AccessDeniedException" in told["failureDetails"]["message"]) == (FAILURE, True)


def test_the_log_holds_no_credentials(account, capsys):
    account.call()
    out = capsys.readouterr().out
    assert "Shop-Service:2: started with" in out
    assert not any(secret in out for secret in CREDENTIALS.values())
