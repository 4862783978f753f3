"""The function that releases code, run for real against services that botocore's own models check."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import LambdaAppspec
from code_family_constructs.handlers import shift_alias
from tests.handlers.doubles import PLENTY, Context, Refused, Service
from tests.handlers.fake_codepipeline import INPUT, JOB, S3, CodePipeline, a_job
from tests.handlers.fake_lambda import Lambda

HOOKS = {"BeforeAllowTraffic": "Shop-SmokeTest", "AfterAllowTraffic": "Shop-Afterwards"}


class CodeDeploy(Service):
    """Deployments by id; one that starts shifts the alias when its status becomes `Succeeded`."""

    def __init__(self, function: Lambda) -> None:
        super().__init__("codedeploy")
        self.function = function
        self.deployments: dict[str, dict[str, Any]] = {}

    def ListDeployments(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert (asked["applicationName"], asked["deploymentGroupName"]) == ("Shop-App", "Shop-Group")
        wanted = asked["includeOnlyStatuses"]
        return {"deployments": [id_ for id_, info in self.deployments.items() if info["status"] in wanted]}

    def CreateDeployment(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert (asked["applicationName"], asked["deploymentGroupName"]) == ("Shop-App", "Shop-Group")
        assert asked["revision"]["revisionType"] == "AppSpecContent"
        content = asked["revision"]["appSpecContent"]
        assert content["sha256"] == hashlib.sha256(content["content"].encode()).hexdigest()
        appspec = LambdaAppspec.from_text(content["content"])
        id_ = f"d-{len(self.deployments) + 1}"
        self.deployments[id_] = {"status": "Created", "appspec": appspec}
        return {"deploymentId": id_}

    def GetDeployment(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        info = self.deployments[asked["deploymentId"]]
        return {"deploymentInfo": {name: value for name, value in info.items() if name != "appspec"}}

    def ends(self, id_: str, status: str, **more: Any) -> None:
        info = self.deployments[id_]
        info.update(status=status, **more)
        if status == "Succeeded":
            self.function.aliases[info["appspec"].alias] = (str(info["appspec"].target_version), {})


class Account:
    """The services, and the pipeline that calls the function."""

    def __init__(self, patch: pytest.MonkeyPatch, *, hooks: Mapping[str, str] | None = None, keep: int | None = None):
        self.function = Lambda(versions=1, live="1")
        self.codedeploy, self.s3, self.codepipeline = CodeDeploy(self.function), S3(), CodePipeline()
        self.brings("release 1")
        services = {
            "lambda": self.function,
            "codedeploy": self.codedeploy,
            "s3": self.s3,
            "codepipeline": self.codepipeline,
        }
        self.credentials: list[Any] = []
        self.slept = 0

        def client(name: str, config: Any = None, **settings: str) -> Any:
            if name == "s3":
                self.credentials.append(settings)
            else:
                assert settings == {}
            return services[name].client

        def sleep(seconds: float) -> None:
            self.slept += 1

        patch.setattr(boto3, "client", client)
        patch.setattr(time, "sleep", sleep)
        settings = {
            "function": "Greeter",
            "alias": "live",
            "application": "Shop-App",
            "group": "Shop-Group",
            "hooks": HOOKS if hooks is None else hooks,
            "keep": keep,
        }
        patch.setenv("CODE_FAMILY_RELEASE", json.dumps(settings))

    def brings(self, code: str) -> None:
        """What the pipeline's build made."""
        self.s3.objects[INPUT] = code.encode()

    def call(self, token: str | None = None, *left: int) -> Any:
        """One call of the function; returns what it told CodePipeline."""
        told = len(self.codepipeline.calls)
        shift_alias.handler(a_job(**({"continuationToken": token} if token else {})), Context(*left))
        [(operation, asked)] = self.codepipeline.calls[told:]
        assert asked["jobId"] == JOB
        if operation == "PutJobFailureResult":
            assert asked["failureDetails"]["type"] == "JobFailed"
            return asked["failureDetails"]["message"]
        # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html
        assert not {"continuationToken", "outputVariables"} <= asked.keys()
        return asked

    def release(self, status: str = "Succeeded", **more: Any) -> Any:
        """A whole release; returns what CodePipeline was told in the end."""
        started = self.call()
        token = started["continuationToken"]
        self.codedeploy.ends(json.loads(token)["deployment"], status, **more)
        return self.call(token)


@pytest.fixture
def account(monkeypatch):
    return Account(monkeypatch)


def test_a_release_publishes_the_artifact_and_has_codedeploy_shift_to_it(account):
    started = account.call()
    token = json.loads(started["continuationToken"])
    assert token == {"step": "watch", "before": "1", "version": "2", "deployment": "d-1"}
    assert started["executionDetails"]["externalExecutionId"] == "d-1"
    assert account.function.versions["2"] == ("hash of release 1", "256 MiB")
    assert account.function.aliases["live"] == ("1", {})

    account.codedeploy.deployments["d-1"]["status"] = "InProgress"
    assert account.call(started["continuationToken"])["continuationToken"] == started["continuationToken"]

    account.codedeploy.ends("d-1", "Succeeded")
    ended = account.call(started["continuationToken"])
    assert ended["outputVariables"] == {"FunctionVersion": "2"}
    assert account.function.aliases["live"] == ("2", {})
    assert account.function.names().count("UpdateFunctionCode") == 1


def test_it_renders_the_appspec_that_the_model_reads(account):
    account.call()
    assert account.codedeploy.deployments["d-1"]["appspec"] == LambdaAppspec(
        function_name="Greeter", alias="live", current_version=1, target_version=2, hooks=HOOKS
    )


NAMES = st.text("abcXYZ019-_", min_size=1, max_size=64)
EVENTS = st.sampled_from(["BeforeAllowTraffic", "AfterAllowTraffic"])


@given(
    NAMES, NAMES.filter(lambda name: not name.isdigit()), st.integers(1), st.integers(1), st.dictionaries(EVENTS, NAMES)
)
def test_whatever_it_renders_the_model_reads(function, alias, current, target, hooks):
    rendered = shift_alias.appspec(function, alias, str(current), str(target), hooks)
    assert LambdaAppspec.from_text(rendered) == LambdaAppspec(
        function_name=function, alias=alias, current_version=current, target_version=target, hooks=hooks
    )


def test_the_artifact_is_read_in_the_name_of_the_job(account):
    account.call()
    assert account.credentials == [
        {"aws_access_key_id": "ASIA1", "aws_secret_access_key": "very secret", "aws_session_token": "token"}
    ]


def test_credentials_are_not_logged(account, capsys):
    account.release()
    account.s3.refusals["GetObject"] = [Refused("AccessDenied", 403)]
    account.call()
    said = capsys.readouterr().out
    assert "release" in said or "version" in said
    assert "ASIA1" not in said
    assert "secret" not in said


def test_a_deployment_that_fails_fails_the_stage_with_its_reason(account):
    reason = account.release(
        "Stopped",
        errorInformation={"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated"},
        rollbackInfo={"rollbackMessage": "Deployment d-1 triggered rollback d-2"},
    )
    assert reason == (
        "RuntimeError: deployment d-1 to version 2: Stopped, ALARM_ACTIVE: One or more alarms have been activated "
        "Deployment d-1 triggered rollback d-2"
    )


def test_after_a_failure_the_same_artifact_can_be_released_again(account):
    account.release("Failed")
    assert account.release()["outputVariables"] == {"FunctionVersion": "2"}
    assert account.function.published == 2


def test_what_is_live_already_shifts_nothing(account):
    account.release()
    again = account.call()
    assert again["outputVariables"] == {"FunctionVersion": "2"}
    assert "already" in again["executionDetails"]["summary"]
    assert len(account.codedeploy.deployments) == 1


def test_settings_that_a_stack_changed_go_live_with_the_next_release_of_the_same_artifact(account):
    account.release()
    account.function.settings = "512 MiB"
    account.function.code = "what the template brought"
    assert account.release()["outputVariables"] == {"FunctionVersion": "3"}
    assert account.function.versions["3"] == ("hash of release 1", "512 MiB")


def test_it_waits_until_lambda_has_updated_the_function_and_prepared_the_version(account):
    account.function.statuses = ["Successful", "InProgress", "InProgress"]
    account.function.states = ["Pending", "Pending", "Pending"]
    account.release()
    assert account.slept == 5
    assert account.function.aliases["live"] == ("2", {})


def test_it_waits_for_somebody_else_who_updates_the_function(account):
    account.function.statuses = ["InProgress"]
    account.function.refusals["UpdateFunctionCode"] = [Refused("ResourceConflictException", 409)]
    account.function.refusals["PublishVersion"] = [Refused("ResourceConflictException", 409)]
    assert account.release()["outputVariables"] == {"FunctionVersion": "2"}


def test_when_time_runs_out_it_goes_on_where_it_was(account):
    account.function.statuses = ["Successful", *["InProgress"] * 3]
    stopped = account.call(None, PLENTY, PLENTY, PLENTY, PLENTY, 180_000)
    assert json.loads(stopped["continuationToken"]) == {"step": "publish", "code": "hash of release 1"}
    assert stopped["executionDetails"]["summary"] == "Lambda updates the function"
    account.function.states = ["Pending", "Pending"]
    stopped = account.call(stopped["continuationToken"], PLENTY, PLENTY, PLENTY, 1)
    assert json.loads(stopped["continuationToken"]) == {"step": "deploy", "version": "2"}
    assert json.loads(account.call(stopped["continuationToken"])["continuationToken"])["step"] == "watch"
    assert account.function.names().count("UpdateFunctionCode") == 1
    assert list(account.codedeploy.deployments) == ["d-1"]


def test_without_time_for_anything_it_says_so_and_is_called_again(account):
    stopped = account.call(None, 1000)
    assert json.loads(stopped["continuationToken"]) == {"step": "update"}
    assert account.function.calls == []


def test_an_artifact_that_takes_too_long_to_read_fails_in_time(account):
    account.brings("x" * 3 * 2**20)
    assert "takes too long to read" in account.call(None, PLENTY, PLENTY, 59_999)
    assert "UpdateFunctionCode" not in account.function.names()


def test_an_artifact_that_lambda_would_not_take_is_told_before_it_is_read(account):
    account.s3.length = 50 * 2**20 + 1
    assert "52428801 bytes, Lambda takes 52428800" in account.call()


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("codedeploy", "ListDeployments"),
        ("function", "GetAlias"),
        ("function", "GetFunctionConfiguration"),
        ("s3", "GetObject"),
        ("function", "UpdateFunctionCode"),
        ("function", "PublishVersion"),
        ("codedeploy", "CreateDeployment"),
    ],
)
def test_whatever_fails_is_reported_and_the_stage_can_be_retried(account, service, operation):
    getattr(account, service).refusals[operation] = [Refused("AccessDeniedException", 403)]
    reason = account.call()
    assert "AccessDenied" in reason
    assert operation in reason
    assert account.function.aliases["live"] == ("1", {})
    assert account.release()["outputVariables"] == {"FunctionVersion": "2"}


def test_a_failed_look_at_the_deployment_is_reported(account):
    token = account.call()["continuationToken"]
    account.codedeploy.refusals["GetDeployment"] = [Refused("AccessDeniedException", 403)]
    assert "GetDeployment" in account.call(token)


def test_an_event_that_makes_no_sense_is_a_failure_too(account):
    assert "JSONDecodeError" in account.call("no token of ours")


def test_settings_that_are_missing_are_a_failure_too(account, monkeypatch):
    monkeypatch.delenv("CODE_FAMILY_RELEASE")
    assert "KeyError" in account.call()


def test_a_long_reason_is_cut(account):
    account.s3.refusals["GetObject"] = [Refused("AccessDenied", 403, "x" * 10_000)]
    assert len(account.call()) == 2000


def test_two_releases_do_not_overlap(account):
    account.call()
    code = account.function.code
    account.brings("release 2")
    assert "deployment d-1 is still under way" in account.call()
    assert account.function.code == code


def test_an_alias_between_two_versions_is_nobodys_start(account):
    account.function.versions["2"] = ("code-1", "256 MiB")
    account.function.aliases["live"] = ("1", {"2": 0.1})
    assert "alias live is between version 1 and 2" in account.call()
    assert "UpdateFunctionCode" not in account.function.names()


def test_code_that_somebody_else_put_in_meanwhile_is_not_published(account):
    account.function.statuses = ["Successful", "InProgress"]
    token = account.call(None, PLENTY, PLENTY, PLENTY, 1)["continuationToken"]
    account.function.code = "somebody else's"
    assert "CodeSha256" in account.call(token)


def test_an_update_or_a_version_that_lambda_gives_up_fails_the_stage(account):
    account.function.statuses = ["Successful", "Failed"]
    assert "the layer is gone" in account.call()
    account.function.states = ["Failed"]
    assert "could not prepare version 2: the subnet is full" in account.call()


def test_old_versions_are_pruned_when_the_traffic_has_moved(monkeypatch):
    account = Account(monkeypatch, hooks={}, keep=2)
    for number in range(2, 6):
        account.brings(f"release {number}")
        ended = account.release()
        assert ended["outputVariables"] == {"FunctionVersion": str(number)}
    assert list(account.function.versions) == ["4", "5"]
    assert "1 old versions deleted" in ended["executionDetails"]["summary"]


def test_the_version_that_a_release_came_from_is_not_pruned_with_it(monkeypatch):
    """Versions 2 and 3 failed: the newest two are not the two that had traffic."""
    account = Account(monkeypatch, keep=2)
    for number, status in ((2, "Failed"), (3, "Failed"), (4, "Succeeded")):
        account.brings(f"release {number}")
        account.release(status)
    assert list(account.function.versions) == ["1", "3", "4"]


def test_what_cannot_be_pruned_fails_no_release(monkeypatch):
    account = Account(monkeypatch, keep=2)
    account.release()
    account.brings("release 3")
    account.release()
    account.brings("release 4")
    account.function.refusals["DeleteFunction"] = [Refused("AccessDeniedException", 403)]
    assert "left version 2" in account.release()["executionDetails"]["summary"]


def test_a_report_that_does_not_arrive_is_an_error(account):
    account.codepipeline.refusals["PutJobSuccessResult"] = [Refused("JobNotFoundException", 400)]
    with pytest.raises(account.codepipeline.client.exceptions.JobNotFoundException):
        account.call()
