"""Floor 2: what has to be true before a stage begins, and what happens after it has succeeded or failed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from code_family_constructs.build import Build
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_kind, check_list
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.deployment_window import (
    ALL_DAY,
    EVERY_DAY,
    check_time_zone,
    frozen_between,
    weekly_cron,
)
from code_family_constructs.pipeline.rules import (
    MOST_COMMANDS,
    AlarmRule,
    CommandsRule,
    DeploymentWindowRule,
    Rule,
    RuleContext,
    check_wait,
)

if TYPE_CHECKING:  # its modules of aws-cdk-lib are for pipelines that look at alarms
    from aws_cdk import aws_cloudwatch as cloudwatch

    from code_family_constructs.health import HealthGate

_MOST_RULES = 5
_LONGEST_NAME = 100
# https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html#stage-conditions-considerations
_MAY_SKIP = ("LambdaInvoke", "VariableCheck")


@dataclass(frozen=True, kw_only=True, slots=True)
class BeforeEntry:
    """What has to be true before a stage begins.

    Args:
        rules: 1 to 5 of them, all of which have to succeed. An alarm may be looked at before a deployment window opens,
            and is not looked at again.
        result: What happens when one does not: `FAIL` fails the execution, `SKIP` goes on to the next stage, which only
            `LambdaRule` and `VariableCheckRule` allow. Whoever may call `codepipeline:OverrideStageCondition` can let
            an execution pass nevertheless, but not where the result is `SKIP`.

    Raises:
        ConfigurationError: A result or rules that CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
    """

    rules: Sequence[Rule]
    result: codepipeline.Result = codepipeline.Result.FAIL

    def __post_init__(self) -> None:
        at = "BeforeEntry"
        _check_result(at, self.result, codepipeline.Result.FAIL, codepipeline.Result.SKIP)
        _check_rules(at, self.rules)
        for rule in self.rules:
            if self.result is codepipeline.Result.SKIP and rule.provider not in _MAY_SKIP:
                raise ConfigurationError(
                    f"a {rule.provider} rule that skips the stage",
                    at=at,
                    fix="use result=codepipeline.Result.FAIL, or a LambdaRule or VariableCheckRule",
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class OnSuccess:
    """What has to be true after all actions of a stage have succeeded.

    A stage rolls back to the last execution that succeeded in it since the pipeline itself was last changed: the first
    release after such a change has nothing to go back to.

    Args:
        rules: 1 to 5 of them, all of which have to succeed.
        result: What happens when one does not: `ROLLBACK` or `FAIL`.

    Raises:
        ConfigurationError: A result or rules that CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
    """

    rules: Sequence[Rule]
    result: codepipeline.Result

    def __post_init__(self) -> None:
        at = "OnSuccess"
        _check_result(at, self.result, codepipeline.Result.ROLLBACK, codepipeline.Result.FAIL)
        _check_rules(at, self.rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnFailure:
    """What happens after an action of a stage has failed.

    Args:
        result: `ROLLBACK` goes back to the last execution that succeeded in the stage since the pipeline itself was
            last changed, `RETRY` tries once more.
        rules: Up to 5; the stage rolls back when they all succeed, and always without any. None with `RETRY`.
        retry_mode: Of `RETRY`: whether to run the failed actions again or all of them, approvals included.

    Raises:
        ConfigurationError: A result, rules or a retry mode that CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-retry.html
    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
    """

    result: codepipeline.Result
    rules: Sequence[Rule] = ()
    retry_mode: codepipeline.RetryMode | None = None

    def __post_init__(self) -> None:
        at = "OnFailure"
        if self.result is codepipeline.Result.FAIL:
            raise ConfigurationError(
                "result=Result.FAIL for a stage that has failed", at=at, fix="leave on_failure out: it stays failed"
            )
        _check_result(at, self.result, codepipeline.Result.ROLLBACK, codepipeline.Result.RETRY)
        check_list(at, "rules", self.rules)
        if self.rules:
            _check_rules(at, self.rules)
        retry = self.result is codepipeline.Result.RETRY
        if retry and self.rules:
            raise ConfigurationError(
                "a retry with rules, which CodePipeline does not combine",
                at=at,
                fix="leave the rules out, or use result=codepipeline.Result.ROLLBACK",
            )
        if retry != (self.retry_mode is not None):
            raise ConfigurationError(
                "a retry without a retry mode" if retry else "a retry mode without a retry",
                at=at,
                fix="give result=codepipeline.Result.RETRY and retry_mode=codepipeline.RetryMode.FAILED_ACTIONS "
                "or .ALL_ACTIONS, or neither",
            )


def bake(health: "HealthGate", wait: Duration) -> OnSuccess:
    """Keeps a stage open after its actions have succeeded, and rolls it back when an alarm goes off.

    The stage is locked for the time. The first release after a change of the pipeline itself has nothing to go back to.

    More alarms than a condition has rules become the gate's composite, which the first call creates for 0.50 USD a
    month. AWS does not say which kinds of alarm the rule looks at: try the first release with such a gate.

    Args:
        health: The alarms, which have to be there already.
        wait: How long none of them must go off, in whole minutes.

    Raises:
        ConfigurationError: A gate without alarms, or a time that CodePipeline does not take. Later also for an alarm
            that is added to the gate, when it would go unwatched.
    """
    # Here, since most pipelines watch nothing after a stage.
    from code_family_constructs.health import HealthGate

    check_kind("bake", "health", health, HealthGate, fix="give a HealthGate, such as fleet.health")
    check_kind("bake", "wait", wait, Duration, fix="write Duration.minutes(30), for example")
    check_wait("bake", wait)
    alarms = health.alarms
    if not alarms:
        raise ConfigurationError(
            f"a bake with health gate {health.node.path!r}, which has no alarms",
            at=health,
            fix="add one with watch() or add_alarm() first",
        )
    if len(alarms) > _MOST_RULES:
        alarms = [health.composite()]
    else:
        health.on_added(lambda alarm: _refuse_unwatched(health, alarm))
    return OnSuccess(rules=[AlarmRule(alarm=alarm, wait=wait) for alarm in alarms], result=codepipeline.Result.ROLLBACK)


def change_freeze(
    *,
    time_zone: str,
    open_days: str = EVERY_DAY,
    open_hours: tuple[int, int] = ALL_DAY,
    frozen: Sequence[date | tuple[date, date]] = (),
) -> BeforeEntry:
    """Lets nothing into a stage but at certain times.

    It fails closed: whatever comes at another time, or cannot be looked at, does not get in. Outside of the open hours
    CodePipeline holds an execution or fails it, on a frozen day it fails it; run the stage again when the freeze is
    over. A deployment that is under way when the window closes goes on to its end. In an emergency,
    `aws codepipeline override-stage-condition` lets an execution in: allow few people to call it.

    Cron cannot say "all days but these": frozen days cost a minute of CodeBuild for each execution, in a
    `CommandsRule` that compares the time with theirs.

    Args:
        time_zone: Of all that follows: `Region/City`, which knows summer time, or `UTC+05:30`.
        open_days: Days of the week on which the stage may be entered, such as `MON-FRI` or `MON,WED`.
        open_hours: When it may be entered on these days, in full hours: `(9, 17)` is from 9:00 until 16:59.
        frozen: Days on which it must not be entered, or the first and the last of several.

    Raises:
        ConfigurationError: No freeze at all, days or hours that do not exist, or more frozen times than fit.
    """
    at = "change_freeze"
    check_time_zone(at, time_zone)
    check_kind(at, "open_days", open_days, str, fix="write open_days='MON-FRI', or 'MON,WED'")
    check_kind(at, "open_hours", open_hours, tuple, fix="write open_hours=(9, 17)")
    check_list(at, "frozen", frozen)
    if len(frozen) > MOST_COMMANDS:
        raise ConfigurationError(
            f"{len(frozen)} frozen times", at=at, fix=f"give at most {MOST_COMMANDS}, several days as (first, last)"
        )
    cron = weekly_cron(at, open_days, open_hours)
    rules: list[Rule] = []
    if (open_days, open_hours) != (EVERY_DAY, ALL_DAY):
        rules.append(DeploymentWindowRule(cron=cron, time_zone=time_zone))
    if frozen:
        commands = [_thawed(at, days, open_days, open_hours, time_zone) for days in frozen]
        rules.append(CommandsRule(commands=commands))
    if not rules:
        raise ConfigurationError(
            "a change freeze that is open at any time", at=at, fix="give open_days=, open_hours= or frozen="
        )
    return BeforeEntry(rules=rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConditions:
    """The conditions of a stage for aws-cdk-lib, and what it takes for them to work.

    Attributes:
        before_entry: For `codepipeline.StageProps`.
        on_success: Likewise.
        on_failure: Likewise.
        permissions: What the pipeline's role needs.
        builds: Builds that work on the pipeline's artifacts.
    """

    before_entry: codepipeline.Conditions | None = None
    on_success: codepipeline.Conditions | None = None
    on_failure: codepipeline.FailureConditions | None = None
    permissions: Sequence[Statement] = ()
    builds: Sequence[Build] = ()


def stage_conditions(
    at: Construct,
    context: RuleContext,
    *,
    before_entry: BeforeEntry | None = None,
    on_success: OnSuccess | None = None,
    on_failure: OnFailure | None = None,
    execution_mode: codepipeline.ExecutionMode = codepipeline.ExecutionMode.SUPERSEDED,
    source_stage: bool = False,
) -> StageConditions:
    """The conditions, made for their stage.

    Args:
        at: The pipeline.
        context: Where the stage is.
        before_entry: What has to be true before it begins.
        on_success: What has to be true after it has succeeded.
        on_failure: What happens after it has failed.
        execution_mode: Of the pipeline.
        source_stage: It is the stage with the sources.

    Raises:
        ConfigurationError: Conditions that CodePipeline would refuse for this stage or pipeline, or a rule that asks
            for what is not there.
    """
    for slot, given, kind in (
        ("before_entry", before_entry, BeforeEntry),
        ("on_success", on_success, OnSuccess),
        ("on_failure", on_failure, OnFailure),
    ):
        if given is not None:
            check_kind(at, slot, given, kind, fix=f"give {kind.__name__}(…)")
    for condition in (on_success, on_failure):
        if condition is not None and condition.result is codepipeline.Result.ROLLBACK:
            _check_rollback(at, context, execution_mode, source_stage)
    # An action that failed has made nothing.
    after = replace(
        context,
        artifacts=[*context.artifacts, *context.stage_artifacts],
        namespaces=None if context.namespaces is None else [*context.namespaces, *context.stage_namespaces],
    )
    taken: set[str] = set()
    permissions: list[Statement] = []
    builds: list[Build] = []

    def made(
        slot: str, where: RuleContext, condition: BeforeEntry | OnSuccess | OnFailure | None
    ) -> list[codepipeline.Condition]:
        if condition is None or not condition.rules:
            return []
        rules = [
            _rule(at, where, rule, _name(at, where, slot, rule, taken), permissions, builds) for rule in condition.rules
        ]
        return [codepipeline.Condition(result=condition.result, rules=rules)]

    entry = made("BeforeEntry", context, before_entry)
    success = made("OnSuccess", after, on_success)
    failure = made("OnFailure", context, on_failure)
    return StageConditions(
        before_entry=codepipeline.Conditions(conditions=entry) if entry else None,
        on_success=codepipeline.Conditions(conditions=success) if success else None,
        on_failure=_failure(on_failure, failure),
        permissions=permissions,
        builds=builds,
    )


def _check_result(at: str, result: codepipeline.Result, *allowed: codepipeline.Result) -> None:
    if result not in allowed:
        raise ConfigurationError(
            f"result={result}", at=at, fix=f"use {' or '.join(f'codepipeline.{each}' for each in allowed)}"
        )


def _check_rules(at: str, rules: Sequence[Rule]) -> None:
    check_list(at, "rules", rules)
    if not 1 <= len(rules) <= _MOST_RULES:
        raise ConfigurationError(f"a condition with {len(rules)} rules", at=at, fix=f"give 1 to {_MOST_RULES}")
    for rule in rules:
        if not hasattr(rule, "stage_rule"):
            raise ConfigurationError(
                f"{type(rule).__name__} where a rule belongs", at=at, fix="give AlarmRule(alarm=…) or another rule"
            )
    names = [rule.name for rule in rules if rule.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"two rules of one condition are called {name!r}", at=at, fix="give each a name of its own, or none"
            )


def _check_rollback(
    at: Construct, context: RuleContext, execution_mode: codepipeline.ExecutionMode, source_stage: bool
) -> None:
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html
    if execution_mode is codepipeline.ExecutionMode.PARALLEL:
        raise ConfigurationError(
            f"stage {context.stage_name!r} rolls back, which CodePipeline does not do in PARALLEL mode",
            at=at,
            fix="use another execution_mode, or another result: FAIL on success, RETRY on failure",
        )
    if source_stage:
        raise ConfigurationError(
            f"stage {context.stage_name!r} rolls back, and CodePipeline rolls no source back",
            at=at,
            fix="use another result: FAIL on success, RETRY on failure",
        )


def _name(at: Construct, context: RuleContext, slot: str, rule: Rule, taken: set[str]) -> str:
    """The rule's own name, or one that tells rules of a pipeline apart, since executions list them by name."""
    name = rule.name
    number = 1
    while name is None or (rule.name is None and name in taken):
        end = f"-{slot}-{rule.provider}{number if number > 1 else ''}"
        name = f"{context.stage_name[: _LONGEST_NAME - len(end)]}{end}"
        number += 1
    if name in taken:
        raise ConfigurationError(
            f"two rules of stage {context.stage_name!r} are called {name!r}",
            at=at,
            fix="give each a name of its own, or none",
        )
    taken.add(name)
    return name


def _rule(
    at: Construct,
    context: RuleContext,
    rule: Rule,
    name: str,
    permissions: list[Statement],
    builds: list[Build],
) -> codepipeline.Rule:
    try:
        made = rule.stage_rule(context)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.problem} (rule {name!r})", at=at, fix=error.fix) from None
    permissions += made.permissions
    builds += [build for build in made.builds if not any(build is known for known in builds)]
    return codepipeline.Rule(
        name=name,
        provider=rule.provider,
        version="1",
        configuration=dict(made.configuration),
        commands=list(made.commands) or None,
        input_artifacts=list(made.input_artifacts) or None,
    )


def _failure(
    condition: OnFailure | None, conditions: Sequence[codepipeline.Condition]
) -> codepipeline.FailureConditions | None:
    if condition is None:
        return None
    if conditions:
        return codepipeline.FailureConditions(conditions=list(conditions))
    return codepipeline.FailureConditions(result=condition.result, retry_mode=condition.retry_mode)


def _refuse_unwatched(health: "HealthGate", alarm: "cloudwatch.IAlarm") -> None:
    raise ConfigurationError(
        f"the alarm is added to health gate {health.node.path!r} after a bake had taken the gate's alarms",
        at=alarm,
        fix="add it before bake(), or give OnSuccess an AlarmRule with the gate's composite()",
    )


def _thawed(
    at: str, days: date | tuple[date, date], open_days: str, open_hours: tuple[int, int], time_zone: str
) -> str:
    """A shell command that fails in a freeze, and when it cannot tell the time."""
    given = days if isinstance(days, tuple) else (days, days)
    if len(given) != 2 or not all(isinstance(day, date) for day in given):
        raise ConfigurationError(
            f"frozen time {days!r}",
            at=at,
            fix="give a date(…), or the first and the last of several: (date(…), date(…))",
        )
    first, last = given
    if last < first:
        raise ConfigurationError(
            f"a freeze from {first} to {last}", at=at, fix="give the first frozen day and then the last one"
        )
    start, end = frozen_between(at, first, last, days=open_days, hours=open_hours, time_zone=time_zone)
    told = f"Change freeze from {first} to {last}, {time_zone}"
    return f'now=$(date +%s) && {{ [ "$now" -lt {start} ] || [ "$now" -ge {end} ]; }} || {{ echo "{told}"; exit 1; }}'
