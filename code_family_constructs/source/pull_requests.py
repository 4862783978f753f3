"""Floor 1: builds of pull requests in CodeCommit."""

from typing import TYPE_CHECKING, Any, Protocol

from aws_cdk import Duration
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.source.events import check_here, rule_with_role

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch
    from aws_cdk import aws_codebuild as codebuild
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_sns as sns


class PullRequestBuild(Protocol):
    """What builds a pull request, such as a `BuildProject`."""

    @property
    def project(self) -> "codebuild.IProject":
        """The project that is started."""
        ...

    @property
    def project_arn(self) -> str:
        """Its ARN, known at synth time."""
        ...


class PullRequestChecks(Construct):
    """Builds each new state of the pull requests of a CodeCommit repository, and comments there how it went.

    Creates a rule that starts the build when a pull request is made and when its branch moves, a second one that hears
    how the build ended, and the small Lambda function that comments. The build learns what it is about from its
    environment: `PULL_REQUEST_ID`, `PULL_REQUEST_SOURCE_COMMIT` and `PULL_REQUEST_DESTINATION_COMMIT`. It builds the
    commit of the branch, before it is merged.

    Whoever can push a branch decides what the build runs, unless the project holds the buildspec: give pull requests a
    project of their own, which can do nothing else. What it costs is the build minutes.

    Args:
        scope: Parent construct.
        id: Construct id.
        repository: The repository.
        build: A build of this repository.
        alarm_topic: Told when a build could not be started, or a comment not be made, after EventBridge and Lambda have
            tried again. Without it nobody hears of it but who misses the comment.

    Raises:
        ConfigurationError: The build is none of this repository, the repository is in another account or region, or the
            topic would not get the alarms.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: "codecommit.IRepository",
        build: PullRequestBuild,
        alarm_topic: "sns.ITopic | None" = None,
    ) -> None:
        super().__init__(scope, id)
        events_are = "its events are there, and not here"
        why = {"region": events_are, "account": events_are}
        check_here(self, repository, f"repository {repository.node.path!r}", reader="PullRequestChecks", why=why)
        _check_project(self, repository, build.project)
        if alarm_topic is not None:
            from code_family_constructs.topic import admit_cloudwatch

            admit_cloudwatch(self, alarm_topic)
        # Imported here: aws_lambda and aws_events are seconds of import time that only such repositories should pay.
        from aws_cdk import aws_events as events

        from code_family_constructs.functions import PythonFunction

        name, repository_arn = repository.repository_name, repository.repository_arn
        self.start_rule = rule_with_role(
            Construct(self, "Start"),
            description=f"Pull requests of {name} to build",
            # https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
            pattern={
                "source": ["aws.codecommit"],
                "detail-type": ["CodeCommit Pull Request State Change"],
                "resources": [repository_arn],
                "detail": {
                    "event": ["pullRequestCreated", "pullRequestSourceBranchUpdated"],
                    "pullRequestStatus": ["Open"],
                },
            },
            target_arn=build.project_arn,
            target_id="Build",
            allowed=Statement(actions=["codebuild:StartBuild"], resources=[build.project_arn]),
            transformed=events.CfnRule.InputTransformerProperty(
                input_paths_map={
                    "pullRequest": "$.detail.pullRequestId",
                    "source": "$.detail.sourceCommit",
                    "destination": "$.detail.destinationCommit",
                },
                input_template=_START_BUILD,
            ),
        )
        self.function = PythonFunction(
            self,
            "Comment",
            module="comment_on_pull_request",
            description=f"Comments on pull requests of {name} how their builds went",
            statements=[Statement(actions=["codecommit:PostCommentForPullRequest"], resources=[repository_arn])],
            timeout=Duration.minutes(1),
            environment={"REPOSITORY_NAME": name},
            concurrency="EventBridge calls it once for each build of a pull request",
            failures="Lambda tries again twice; whoever waits for the comment misses it, and an alarm can be had",
            network="it calls CodeCommit alone, which is a public endpoint",
        )
        self.comment_rule = events.CfnRule(
            self,
            "Ended",
            description=f"Builds of pull requests of {name} that have ended",
            # https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
            event_pattern={
                "source": ["aws.codebuild"],
                "detail-type": ["CodeBuild Build State Change"],
                "detail": {
                    "project-name": [build.project.project_name],
                    "build-status": [{"anything-but": ["IN_PROGRESS"]}],
                    "additional-information": {"environment": {"environment-variables": {"name": ["PULL_REQUEST_ID"]}}},
                },
            },
            targets=[events.CfnRule.TargetProperty(arn=self.function.function.function_arn, id="Comment")],
        )
        _let_call(self, self.function.function, self.comment_rule.attr_arn)
        self.alarms: list[cloudwatch.Alarm] = []
        if alarm_topic is not None:
            self.alarms = _alarms(self, self.start_rule.ref, self.function.function.function_name, alarm_topic)


# What `aws codebuild start-build` takes. EventBridge puts the quotation marks around the texts.
_START_BUILD = (
    '{"sourceVersion":<source>,"environmentVariablesOverride":['
    '{"name":"PULL_REQUEST_ID","value":<pullRequest>,"type":"PLAINTEXT"},'
    '{"name":"PULL_REQUEST_SOURCE_COMMIT","value":<source>,"type":"PLAINTEXT"},'
    '{"name":"PULL_REQUEST_DESTINATION_COMMIT","value":<destination>,"type":"PLAINTEXT"}]}'
)


def _check_project(at: Construct, repository: "codecommit.IRepository", project: "codebuild.IProject") -> None:
    """Raises ConfigurationError for a project of this app that builds something else."""
    resource: Any = project.node.default_child
    if resource is None:
        return
    source = resource.source
    if source.type == "CODECOMMIT" and source.location == repository.repository_clone_url_http:
        return
    raise ConfigurationError(
        f"build {project.node.path!r} is no build of {repository.node.path!r}, but of {source.type}",
        at=at,
        fix="give it source=ProjectSource.codecommit(repository.repository)",
    )


def _let_call(scope: Construct, function: Any, rule_arn: str) -> None:
    from aws_cdk import aws_lambda as lambda_

    lambda_.CfnPermission(
        scope,
        "Permission",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal="events.amazonaws.com",
        source_arn=rule_arn,
    )


def _alarms(scope: Construct, rule_name: str, function_name: str, topic: "sns.ITopic") -> "list[cloudwatch.Alarm]":
    from aws_cdk import aws_cloudwatch as cloudwatch
    from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions

    found = []
    for id, description, metric in (
        (
            "NotStarted",
            "A build of a pull request could not be started",
            cloudwatch.Metric(
                namespace="AWS/Events", metric_name="FailedInvocations", dimensions_map={"RuleName": rule_name}
            ),
        ),
        (
            "NotTold",
            "How the build of a pull request went could not be commented",
            cloudwatch.Metric(
                namespace="AWS/Lambda", metric_name="Errors", dimensions_map={"FunctionName": function_name}
            ),
        ),
    ):
        alarm = cloudwatch.Alarm(
            scope,
            id,
            alarm_description=description,
            metric=metric.with_(statistic="Sum", period=Duration.minutes(5)),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))
        found.append(alarm)
    return found
