"""Floor 2: what the condition of a stage asks for."""

import json
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, get_args

from aws_cdk import Duration, IResource

from code_family_constructs.build import Build
from code_family_constructs.build.environment import environment_variables
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list
from code_family_constructs.permissions import Statement, arn
from code_family_constructs.pipeline.actions.settings import (
    BREAKS_JSON,
    check_artifacts,
    check_batches,
    check_free_text,
    check_setting,
    let_read,
    to_json,
)
from code_family_constructs.pipeline.deployment_window import check_cron, check_time_zone
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # their modules are for the pipelines that use them
    from aws_cdk import aws_cloudwatch as cloudwatch
    from aws_cdk import aws_lambda as lambda_

    from code_family_constructs.build.environment import Value

Operator = Literal["EQ", "NE", "CONTAINS", "MATCHES"]

# https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RuleDeclaration.html
_RULE_NAME = re.compile("[A-Za-z0-9.@_-]{1,100}")
_LONGEST_SETTING = 10_000
MOST_COMMANDS = 50
_LONGEST_COMMAND = 1000
_LONGEST_RULE = 86_400
_ALARM_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
# https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-CodeBuild.html
_LONGEST_ENVIRONMENT = 1000
_VARIABLE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.[A-Za-z0-9@_-]+\}")
_ALWAYS_THERE = frozenset({"codepipeline", "variables"})


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleContext:
    """Where in a pipeline a rule is looked at.

    Attributes:
        pipeline_name: Physical name of the pipeline.
        stage_name: The stage that the condition belongs to.
        revision: Name of the artifact that the stage is about.
        artifacts: Names of the artifacts that there are before the stage, `revision` among them.
        stage_artifacts: Names of those that its actions make.
        only_for_builds: Names of those that only CodeBuild can read: full clones of a repository.
        namespaces: Namespaces of the variables that there are before the stage; not checked when left out.
        stage_namespaces: Namespaces of those that its actions put out.
        account: Account of the pipeline.
        region: Its Region.
    """

    pipeline_name: str
    stage_name: str
    revision: str
    artifacts: Collection[str]
    stage_artifacts: Collection[str] = ()
    only_for_builds: frozenset[str] = frozenset()
    namespaces: Collection[str] | None = None
    stage_namespaces: Collection[str] = ()
    account: str | None = None
    region: str | None = None

    @property
    def path(self) -> str:
        """Where errors are."""
        return f"{self.pipeline_name}/{self.stage_name}"

    def artifact_names(self, given: Sequence[str], *, for_build: bool = False) -> Sequence[str]:
        """The given artifacts, or else the one that the stage is about.

        Args:
            given: Their names.
            for_build: A project of CodeBuild is going to read them.

        Raises:
            ConfigurationError: There is no such artifact at this point, or only CodeBuild can read it.
        """
        names = tuple(given) or (self.revision,)
        for name in names:
            if name not in self.artifacts:
                raise ConfigurationError(
                    f"a rule takes artifact {name!r}, which there is not when the rule is looked at",
                    at=self.path,
                    fix=f"use one of {', '.join(self.artifacts)}",
                )
            if name in self.only_for_builds and not for_build:
                raise ConfigurationError(
                    f"a rule takes artifact {name!r}, a full clone, which only projects of CodeBuild can read",
                    at=self.path,
                    fix="use a CodeBuildRule, give it what a build makes, or leave out code_build_clone_output",
                )
        return names

    def check_place(self, what: str, resource: IResource, resource_arn: str) -> None:
        """Raises ConfigurationError for a resource that is known to be in another account or Region."""
        parts = resource_arn.split(":")
        there = parts[3:5] if len(parts) > 5 else [resource.env.region, resource.env.account]
        for kind, here, other in zip(("Region", "account"), (self.region, self.account), there, strict=True):
            if here is not None and here != other and not unresolved(here) and not unresolved(other):
                raise ConfigurationError(
                    f"a rule asks for {what} of {kind} {other}, and rules ask in the pipeline's own, {here}",
                    at=self.path,
                    fix=f"use one of {kind} {here}; what is deployed elsewhere is watched there, by the deployment's "
                    "own health=",
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRule:
    """A rule in CodePipeline's words, and what it takes for it to work.

    Attributes:
        configuration: Settings of the rule; CodePipeline takes texts only.
        commands: Of the Commands rule.
        input_artifacts: Names of the artifacts that it reads.
        permissions: What the pipeline's role needs.
        builds: Builds that work on the pipeline's artifacts.
    """

    configuration: Mapping[str, str]
    commands: Sequence[str] = ()
    input_artifacts: Sequence[str] = ()
    permissions: Sequence[Statement] = ()
    builds: Sequence[Build] = ()


class Rule(Protocol):
    """Something that the condition of a stage can ask for."""

    @property
    def provider(self) -> str:
        """Provider of the rule in CodePipeline's reference."""
        ...

    @property
    def name(self) -> str | None:
        """What it is called; made from the stage and the provider when left out."""
        ...

    def stage_rule(self, context: RuleContext) -> StageRule:
        """The rule, made for its place in a pipeline.

        Args:
            context: Where in a pipeline it is looked at.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmRule:
    """Looks at a CloudWatch alarm.

    On entry it succeeds as soon as the alarm is no longer in alarm; after a success of the stage, unless the alarm goes
    off while it waits, and without enough data too; after a failure, when the alarm is in alarm.

    Args:
        alarm: An alarm of the pipeline's account and Region.
        wait: Whole minutes. On entry, how long the alarm may take to recover; after a success of the stage, how long it
            must not go off. Without it, the alarm is looked at once.
        alarm_states: What AWS calls the desired states, where those above are not it.
        name: Name of the rule.

    Raises:
        ConfigurationError: What is no alarm, or a time that CodePipeline does not take.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-CloudWatchAlarm.html
    """

    provider: ClassVar[str] = "CloudWatchAlarm"

    alarm: "cloudwatch.IAlarm"
    wait: Duration | None = None
    alarm_states: "Sequence[cloudwatch.AlarmState]" = ()
    name: str | None = None

    def __post_init__(self) -> None:
        at = "AlarmRule"
        _check_rule_name(at, self.name)
        if not hasattr(self.alarm, "alarm_arn"):
            raise ConfigurationError(
                f"{type(self.alarm).__name__} where an alarm belongs",
                at=at,
                fix="give the alarm itself, or cloudwatch.Alarm.from_alarm_name(…)",
            )
        check_list(at, "alarm_states", self.alarm_states)
        for state in self.alarm_states:
            if getattr(state, "name", None) not in _ALARM_STATES:
                raise ConfigurationError(
                    f"alarm state {state!r}", at=at, fix="use cloudwatch.AlarmState.OK, .ALARM or .INSUFFICIENT_DATA"
                )
        if len(set(self.alarm_states)) < len(self.alarm_states):
            raise ConfigurationError("an alarm state twice", at=at, fix="name each of alarm_states once")
        if self.wait is not None:
            check_wait(at, self.wait)

    def stage_rule(self, context: RuleContext) -> StageRule:
        context.check_place("an alarm", self.alarm, self.alarm.alarm_arn)
        configuration = {"AlarmName": self.alarm.alarm_name}
        if self.alarm_states:
            configuration["AlarmStates"] = ",".join(state.name for state in self.alarm_states)
        if self.wait is not None:
            configuration["WaitTime"] = f"{self.wait.to_minutes():.0f}"
        # AWS publishes no policy for this rule.
        describe = Statement(
            actions=["cloudwatch:DescribeAlarms"],
            resources=["*"],
            wildcard_reason="cloudwatch:DescribeAlarms sees composite alarms only with *",
        )
        return StageRule(configuration=configuration, permissions=[describe])


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentWindowRule:
    """Succeeds at certain times.

    Several of them in one condition narrow each other down; there is no "or". What else the condition asks for may be
    looked at before the window opens, and is not looked at again.

    Args:
        cron: When the window is open: seconds (always `*`), minutes, hours, day-of-month, month, day-of-week and, if
            need be, the year. `9-17` hours are open until 17:59, and day 1 of the week is Sunday.
        time_zone: `Region/City`, which knows summer time, or `UTC+05:30`; UTC when left out.
        name: Name of the rule.

    Raises:
        ConfigurationError: A cron expression that CodePipeline does not take or that never comes true, or a time zone
            that does not exist or is not the only one of its name.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html
    """

    provider: ClassVar[str] = "DeploymentWindow"

    cron: str
    time_zone: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        at = "DeploymentWindowRule"
        _check_rule_name(at, self.name)
        if not unresolved(self.cron):
            check_cron(at, self.cron)
        if self.time_zone is not None and not unresolved(self.time_zone):
            check_time_zone(at, self.time_zone)

    def stage_rule(self, context: RuleContext) -> StageRule:
        zone = {} if self.time_zone is None else {"TimeZone": self.time_zone}
        return StageRule(configuration={"Cron": self.cron, **zone})


@dataclass(frozen=True, kw_only=True, slots=True)
class VariableCheckRule:
    """Compares a variable of the pipeline or of an action with a value, upper and lower case included.

    Args:
        variable: `#{namespace.key}`, such as `#{SourceVariables.BranchName}`.
        operator: `EQ` equals, `NE` does not equal, `CONTAINS` has it as a part, `MATCHES` matches the regular
            expression, in Java's syntax.
        value: What to compare with.
        name: Name of the rule.

    Raises:
        ConfigurationError: What is no reference to one variable, no operator, or no regular expression.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-VariableCheck.html
    """

    provider: ClassVar[str] = "VariableCheck"

    variable: str
    operator: Operator
    value: str
    name: str | None = None

    def __post_init__(self) -> None:
        at = "VariableCheckRule"
        _check_rule_name(at, self.name)
        if not unresolved(self.variable) and not _VARIABLE.fullmatch(self.variable):
            raise ConfigurationError(
                f"variable {self.variable!r}",
                at=at,
                fix="write #{namespace.key}, such as #{SourceVariables.BranchName}",
            )
        if self.operator not in get_args(Operator):
            raise ConfigurationError(
                f"operator {self.operator!r}", at=at, fix=f"use one of {', '.join(get_args(Operator))}"
            )
        if unresolved(self.value):
            return
        _check_length(at, "value", self.value)
        if self.operator == "MATCHES":
            _check_java_regex(at, self.value)

    def stage_rule(self, context: RuleContext) -> StageRule:
        found = _VARIABLE.fullmatch(self.variable)
        if found and context.namespaces is not None and found[1] not in {*context.namespaces, *_ALWAYS_THERE}:
            raise ConfigurationError(
                f"a rule looks at {self.variable!r}, whose namespace no action has put out by then",
                at=context.path,
                fix=f"use one of {', '.join(sorted({*context.namespaces, *_ALWAYS_THERE}))}",
            )
        configuration = {"Variable": self.variable, "Operator": self.operator, "Value": self.value}
        return StageRule(configuration=configuration)


@dataclass(frozen=True, kw_only=True, slots=True)
class LambdaRule:
    """Asks a Lambda function.

    CodePipeline invokes it as it does for an action: the function has to answer with `PutJobSuccessResult` or
    `PutJobFailureResult`, which its role has to allow; without an answer, the rule waits until it times out.

    Args:
        function: A function, version or alias of the pipeline's account and Region.
        user_parameters: What the function gets to know, as JSON.
        input_artifacts: Names of artifacts that it may read, up to 5.
        name: Name of the rule.

    Raises:
        ConfigurationError: More than CodePipeline takes.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-LambdaInvoke.html
    """

    provider: ClassVar[str] = "LambdaInvoke"

    function: "lambda_.IFunction"
    user_parameters: Mapping[str, str] | None = None
    input_artifacts: Sequence[str] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        at = "LambdaRule"
        _check_rule_name(at, self.name)
        if not hasattr(self.function, "function_arn"):
            raise ConfigurationError(
                f"{type(self.function).__name__} where a function belongs",
                at=at,
                fix="give the function itself, or lambda_.Function.from_function_attributes(…)",
            )
        _check_artifacts(at, self.input_artifacts, 5)
        if self.user_parameters is not None:
            if not isinstance(self.user_parameters, Mapping):
                raise ConfigurationError(
                    f"user_parameters={self.user_parameters!r}", at=at, fix='give names too: {"ticket": "OPS-1"}'
                )
            text = json.dumps(dict(self.user_parameters))
            _check_length(at, "user_parameters", text)
            check_free_text(at, "user_parameters", text, breaks=BREAKS_JSON)

    def stage_rule(self, context: RuleContext) -> StageRule:
        function_arn = self.function.function_arn
        context.check_place("a function", self.function, function_arn)
        configuration = {"FunctionName": self.function.function_name}
        if self.user_parameters is not None:
            configuration["UserParameters"] = json.dumps(dict(self.user_parameters))
        return StageRule(
            configuration=configuration,
            input_artifacts=context.artifact_names(self.input_artifacts) if self.input_artifacts else (),
            # AWS publishes no policy for this rule; this is the one of the action.
            permissions=[Statement(actions=["lambda:InvokeFunction"], resources=[function_arn])],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandsRule:
    """Runs shell commands, and succeeds when they do.

    They run with the permissions of the pipeline's role, on a small Linux machine of CodeBuild that is billed by the
    minute, and write to log group `/aws/codepipeline/<pipeline>`, which CodePipeline creates without an end.

    Args:
        commands: 1 to 50, each on a line of its own.
        input_artifacts: Names of artifacts that they start from, 1 to 10; the one that the stage is about when left
            out.
        name: Name of the rule.

    Raises:
        ConfigurationError: Commands or artifacts that CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-Commands.html
    """

    provider: ClassVar[str] = "Commands"

    commands: Sequence[str]
    input_artifacts: Sequence[str] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        at = "CommandsRule"
        _check_rule_name(at, self.name)
        check_list(at, "commands", self.commands)
        if not 1 <= len(self.commands) <= MOST_COMMANDS:
            raise ConfigurationError(
                f"{len(self.commands)} commands", at=at, fix=f"give 1 to {MOST_COMMANDS}, or run a script"
            )
        for command in self.commands:
            if unresolved(command):
                continue
            if "\n" in command or "\r" in command:
                raise ConfigurationError(
                    f"command {command!r} has several lines", at=at, fix="give each line as a command, or run a script"
                )
            if not command.strip() or len(command) > _LONGEST_COMMAND:
                raise ConfigurationError(
                    f"a command of {len(command.strip())} characters",
                    at=at,
                    fix=f"use 1 to {_LONGEST_COMMAND}, or run a script",
                )
        _check_artifacts(at, self.input_artifacts, 10)

    def stage_rule(self, context: RuleContext) -> StageRule:
        group = arn("logs", f"log-group:/aws/codepipeline/{context.pipeline_name}")
        logs = Statement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[group, f"{group}:*"],
            wildcard_reason="CodePipeline makes up the names of the log streams",
        )
        return StageRule(
            configuration={},
            commands=tuple(self.commands),
            input_artifacts=context.artifact_names(self.input_artifacts),
            permissions=[logs],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeBuildRule:
    """Runs a build, and succeeds when it does.

    Args:
        build: A `BuildProject`, or what is made of one.
        input_artifacts: Names of artifacts that it starts from, 1 to 5; the one that the stage is about when left out.
        primary_source: Which of several holds the buildspec; the first one when left out.
        environment_variables: For this run: a text each, with variables of the pipeline where wanted, or a parameter or
            a secret as for a `BuildProject`, which the build's role is then let read. As JSON at most 1000 characters.
        batch: Run it as a batch, which the project has to know how to do.
        combine_artifacts: Of a batch, put all artifacts into one.
        name: Name of the rule.

    Raises:
        ConfigurationError: What CodePipeline or CodeBuild would refuse, or a variable that gives a secret away.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-CodeBuild.html
    """

    provider: ClassVar[str] = "CodeBuild"

    build: Build
    input_artifacts: Sequence[str] = ()
    primary_source: str | None = None
    environment_variables: "Mapping[str, Value]" = field(default_factory=dict)
    batch: bool = False
    combine_artifacts: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        at = "CodeBuildRule"
        _check_rule_name(at, self.name)
        if not hasattr(self.build, "use_artifacts"):
            raise ConfigurationError(
                f"{type(self.build).__name__} where a build belongs", at=at, fix="give a BuildProject"
            )
        _check_artifacts(at, self.input_artifacts, 5)
        if self.primary_source is not None and self.primary_source not in self.input_artifacts:
            raise ConfigurationError(
                f"primary_source={self.primary_source!r} is none of the rule's input artifacts",
                at=at,
                fix="name one of input_artifacts",
            )
        if len(self.input_artifacts) > 1:
            first = self.primary_source or self.input_artifacts[0]
            others = [name for name in self.input_artifacts if name != first]
            # CodeBuild puts them into folders that environment variables name.
            check_artifacts(at, "input_artifacts", [first, *others], most=5, identifiers=True)
        if self.combine_artifacts and not self.batch:
            raise ConfigurationError("combine_artifacts without a batch", at=at, fix="give batch=True too")
        if self.batch:
            check_batches(self.build)
        self._environment()

    def stage_rule(self, context: RuleContext) -> StageRule:
        inputs = context.artifact_names(self.input_artifacts, for_build=True)
        context.check_place("a build", self.build.project, self.build.project_arn)
        configuration = {"ProjectName": self.build.project.project_name}
        if len(inputs) > 1:
            configuration["PrimarySource"] = self.primary_source or inputs[0]
        variables, statements = self._environment()
        if variables is not None:
            configuration["EnvironmentVariables"] = variables
        if statements:
            let_read("CodeBuildRule", self.build, statements)
        actions = ["codebuild:BatchGetBuilds", "codebuild:StartBuild"]
        if self.batch:
            configuration["BatchEnabled"] = "true"
            # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
            actions += ["codebuild:BatchGetBuildBatches", "codebuild:StartBuildBatch"]
        if self.combine_artifacts:
            configuration["CombineArtifacts"] = "true"
        return StageRule(
            configuration=configuration,
            input_artifacts=inputs,
            permissions=[Statement(actions=actions, resources=[self.build.project_arn])],
            builds=[self.build],
        )

    def _environment(self) -> tuple[str | None, list[Statement]]:
        """The variables as CodePipeline takes them, and what the build needs to read them."""
        if not self.environment_variables:
            return None, []
        at = "CodeBuildRule"
        made, statements = environment_variables(at, self.environment_variables)
        text = to_json(
            [
                {"name": name, "value": one.value, "type": one.type.value if one.type else "PLAINTEXT"}
                for name, one in made.items()
            ]
        )
        fix = "set on the project what is the same for each execution"
        check_setting(at, "environment_variables", text, fix=fix, most=_LONGEST_ENVIRONMENT)
        check_free_text(at, "environment_variables", text, breaks=BREAKS_JSON)
        return text, statements


def check_wait(at: str, wait: Duration) -> None:
    """Raises ConfigurationError for a time that CodePipeline does not wait for an alarm."""
    fix = f"use whole minutes, Duration.minutes(1) to Duration.minutes({_LONGEST_RULE})"
    if wait.is_unresolved():
        raise ConfigurationError("a wait that is only known when the stack is deployed", at=at, fix=fix)
    minutes = wait.to_minutes(integral=False)
    if not 1 <= minutes <= _LONGEST_RULE or minutes != int(minutes):
        raise ConfigurationError(f"wait={minutes:g} minutes", at=at, fix=fix)


def _check_rule_name(at: str, name: str | None) -> None:
    if name is not None and not _RULE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"rule name {name!r}", at=at, fix="give 1 to 100 characters out of [A-Za-z0-9.@_-], as plain text"
        )


def _check_length(at: str, what: str, text: str) -> None:
    if not 1 <= len(text) <= _LONGEST_SETTING:
        raise ConfigurationError(
            f"{what} of {len(text)} characters", at=at, fix=f"use 1 to {_LONGEST_SETTING} characters"
        )


def _check_artifacts(at: str, names: Sequence[str], most: int) -> None:
    check_list(at, "input_artifacts", names)
    if len(names) > most:
        raise ConfigurationError(f"{len(names)} input artifacts", at=at, fix=f"give at most {most}")
    if len(set(names)) < len(names):
        raise ConfigurationError("an input artifact twice", at=at, fix="name each of input_artifacts once")


# What Java's regular expressions have and Python's have not, and something in its place that is as right or wrong.
_JAVA_ONLY = (
    (re.compile(r"\\Q.*?(?:\\E|$)", re.DOTALL), "q"),
    (re.compile(r"\\[pP](?:\{\w+=?\w*\}|\w)"), "w"),
    (re.compile(r"\\x\{[0-9A-Fa-f]+\}"), "x"),
    (re.compile(r"\\[chHRvVXeGzZ]"), "h"),
    (re.compile(r"\\k<(\w+)>"), r"(?P=\1)"),
    (re.compile(r"\(\?<([A-Za-z]\w*)>"), r"(?P<\1>"),
    (re.compile(r"\(\?<[=!]"), "(?:"),
    (re.compile(r"\(\?[a-zA-Z-]+\)"), ""),
    (re.compile(r"\(\?[a-zA-Z-]+:"), "(?:"),
)


def _check_java_regex(at: str, pattern: str) -> None:
    alike = pattern
    for java, python in _JAVA_ONLY:
        alike = java.sub(python, alike)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Java's && in a set
            re.compile(alike)
    except re.error as error:
        raise ConfigurationError(
            f"{pattern!r} is no regular expression: {error.msg}", at=at, fix="write one in Java's syntax"
        ) from None
