"""Pull requests: a new state starts the build, and the build that ends brings a comment."""

import json

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_sns as sns

from code_family_constructs import AlertTopic, BuildProject, ProjectSource
from code_family_constructs.source.pull_requests import PullRequestChecks
from code_family_constructs.source.repository import Repository
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, of_type, only, refuses

PROJECT = "arn:<AWS::Partition>:codebuild:<AWS::Region>:<AWS::AccountId>:project/Shop-Checks"


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    repository = Repository(stack, "Repository", repository_name="shop")
    build = BuildProject(stack, "Checks", source=ProjectSource.codecommit(repository.repository))
    repository.check_pull_requests(build, alarm_topic=AlertTopic(stack, "Alerts").topic)
    return synthesized(stack)


def rule(template, detail_type):
    (found,) = [
        rule
        for rule in of_type(template, "AWS::Events::Rule").values()
        if rule["EventPattern"]["detail-type"] == [detail_type]
    ]
    return found


def start(template):
    return rule(template, "CodeCommit Pull Request State Change")


def ended(template):
    return rule(template, "CodeBuild Build State Change")


def test_a_new_pull_request_and_each_push_to_its_branch_start_the_build(template):
    pattern = start(template)["EventPattern"]
    assert [text_of(resource) for resource in pattern["resources"]] == [
        text_of({"Fn::GetAtt": [next(iter(of_type(template, "AWS::CodeCommit::Repository"))), "Arn"]})
    ]
    assert pattern["detail"] == {
        "event": ["pullRequestCreated", "pullRequestSourceBranchUpdated"],
        "pullRequestStatus": ["Open"],
    }
    (target,) = start(template)["Targets"]
    assert text_of(target["Arn"]) == PROJECT


def test_the_build_is_of_the_commit_and_knows_its_pull_request(template):
    (target,) = start(template)["Targets"]
    transformer = target["InputTransformer"]
    asked = transformer["InputTemplate"]
    event = {"pullRequestId": "7", "sourceCommit": "ab12", "destinationCommit": "cd34"}
    for name, path in transformer["InputPathsMap"].items():
        asked = asked.replace(f"<{name}>", json.dumps(event[path.removeprefix("$.detail.")]))
    assert json.loads(asked) == {
        "sourceVersion": "ab12",
        "environmentVariablesOverride": [
            {"name": "PULL_REQUEST_ID", "value": "7", "type": "PLAINTEXT"},
            {"name": "PULL_REQUEST_SOURCE_COMMIT", "value": "ab12", "type": "PLAINTEXT"},
            {"name": "PULL_REQUEST_DESTINATION_COMMIT", "value": "cd34", "type": "PLAINTEXT"},
        ],
    }


def test_what_starts_the_build_is_what_codebuild_takes(template):
    import botocore.session
    from botocore.validate import validate_parameters

    (target,) = start(template)["Targets"]
    asked = json.loads(target["InputTransformer"]["InputTemplate"].replace("<", '"').replace(">", '"'))
    shape = botocore.session.get_session().get_service_model("codebuild").operation_model("StartBuild").input_shape
    validate_parameters({"projectName": "Shop-Checks", **asked}, shape)


def test_events_may_start_this_build_and_the_function_may_comment_in_this_repository(template):
    repository = f"<{next(iter(of_type(template, 'AWS::CodeCommit::Repository')))}.Arn>"
    assert allowed(template, "RepositoryPullRequestsStart") == {f"codebuild:StartBuild on {PROJECT}"}
    assert {line for line in allowed(template, "RepositoryPullRequestsComment") if not line.startswith("logs:")} == {
        f"codecommit:PostCommentForPullRequest on {repository}"
    }


def test_only_builds_of_pull_requests_that_have_ended_bring_a_comment(template):
    detail = ended(template)["EventPattern"]["detail"]
    assert text_of(detail["project-name"][0]).startswith("<ChecksProject")
    assert detail["build-status"] == [{"anything-but": ["IN_PROGRESS"]}]
    assert detail["additional-information"] == {"environment": {"environment-variables": {"name": ["PULL_REQUEST_ID"]}}}
    (target,) = ended(template)["Targets"]
    function = next(name for name in of_type(template, "AWS::Lambda::Function"))
    assert text_of(target["Arn"]) == f"<{function}.Arn>"
    permission = only(template, "AWS::Lambda::Permission")
    assert permission["Principal"] == "events.amazonaws.com"
    assert text_of(permission["SourceArn"]).startswith("<RepositoryPullRequestsEnded")


def test_somebody_hears_of_builds_that_do_not_start_and_comments_that_do_not_come(template):
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    assert {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms} == {
        ("AWS/Events", "FailedInvocations"),
        ("AWS/Lambda", "Errors"),
    }
    assert all(len(alarm["AlarmActions"]) == 1 for alarm in alarms)


def test_without_a_topic_there_are_no_alarms():
    stack = a_stack()
    repository = Repository(stack, "Repository")
    build = BuildProject(stack, "Checks", source=ProjectSource.codecommit(repository.repository))
    assert repository.check_pull_requests(build).alarms == []
    assert of_type(synthesized(stack), "AWS::CloudWatch::Alarm") == {}


def test_a_repository_that_exists_already_can_be_checked_by_two_builds():
    stack = a_stack()
    repository = codecommit.Repository.from_repository_name(stack, "Repository", "shop")
    source = ProjectSource.codecommit(repository)
    for id_ in ("Test", "Lint"):
        PullRequestChecks(stack, f"{id_}s", repository=repository, build=BuildProject(stack, id_, source=source))
    assert len(of_type(synthesized(stack), "AWS::Events::Rule")) == 4


def test_fails_when_the_build_gets_its_source_from_a_pipeline():
    stack = a_stack()
    repository = Repository(stack, "Repository")
    at = "Shop/Repository/PullRequests"
    with refuses("'Shop/Build/Project' is no build of", at=at, fix="ProjectSource.codecommit("):
        repository.check_pull_requests(BuildProject(stack, "Build"))


def test_fails_when_the_build_is_of_another_repository():
    stack = a_stack()
    repository, other = Repository(stack, "Repository"), Repository(stack, "Other")
    build = BuildProject(stack, "Build", source=ProjectSource.codecommit(other.repository))
    with refuses("is no build of", at="Shop/Repository/PullRequests", fix="ProjectSource.codecommit("):
        repository.check_pull_requests(build)


def test_fails_when_no_event_of_the_repository_would_be_heard_of():
    stack = Stack(App(), "Shop", env={"account": "111111111111", "region": "eu-west-1"})
    there = codecommit.Repository.from_repository_arn(stack, "Code", "arn:aws:codecommit:us-east-1:111111111111:shop")
    build = BuildProject(stack, "Build", source=ProjectSource.codecommit(there))
    with refuses("'Shop/Code' is in region us-east-1", at="Shop/Checks", fix="its events are there, and not here"):
        PullRequestChecks(stack, "Checks", repository=there, build=build)


def test_fails_when_the_topic_would_not_get_the_alarms():
    stack = a_stack()
    repository = Repository(stack, "Repository")
    build = BuildProject(stack, "Checks", source=ProjectSource.codecommit(repository.repository))
    with refuses("unencrypted", at="Shop/Repository/PullRequests", fix="use an AlertTopic's"):
        repository.check_pull_requests(build, alarm_topic=sns.Topic(stack, "Topic"))
