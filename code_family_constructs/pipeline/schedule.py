"""Floor 2: pipelines that start at given times."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import ServiceRole, Statement, pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_scheduler as scheduler


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleTrigger:
    """Starts a pipeline at given times, with the newest revision that each of its sources has then.

    EventBridge Scheduler starts it within the minute, and tries a start that fails again for an hour. A rate starts the
    pipeline as soon as it is deployed. A time that the clock skips in spring is skipped, one that it shows twice in
    autumn starts the pipeline once.

    Args:
        name: What the schedule is called, 1 to 64 letters, digits and `.-_`; each of a pipeline has another name.
        schedule: `ScheduleExpression.cron(…)`, `.rate(…)`, or `.at(…)` for once; with the time zone that it is meant
            in, UTC when left out.
        description: What it is for, up to 512 characters.
        variables: Values for variables of the pipeline, by name, instead of their defaults.

    Attributes:
        expression: The schedule in Scheduler's words.
        time_zone: IANA's name of the time zone.

    Raises:
        ConfigurationError: A name, a schedule or a variable that Scheduler or CodePipeline would refuse.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """

    name: str
    schedule: "scheduler.ScheduleExpression"
    description: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    # Read once: each reading is a round trip to Node.
    expression: str = field(init=False)
    time_zone: str | None = field(init=False)

    def __post_init__(self) -> None:
        from aws_cdk import aws_scheduler as scheduler

        if unresolved(self.name):
            raise ConfigurationError(
                "the schedule's name is not known at synth time", at="ScheduleTrigger", fix="give it as plain text"
            )
        check_name("ScheduleTrigger", self.name, _NAME)
        at = f"ScheduleTrigger {self.name!r}"
        if not isinstance(self.schedule, scheduler.ScheduleExpression):
            given = repr(self.schedule) if isinstance(self.schedule, str) else type(self.schedule).__name__
            raise ConfigurationError(
                f"schedule={given} is no schedule",
                at=at,
                fix="write aws_scheduler.ScheduleExpression.cron(…), .rate(…), or .expression('…')",
            )
        zone = self.schedule.time_zone
        object.__setattr__(self, "expression", self.schedule.expression_string)
        object.__setattr__(self, "time_zone", zone.timezone_name if zone is not None else None)
        object.__setattr__(self, "variables", MappingProxyType(dict(self.variables)))
        _check_expression(at, self.expression)
        if self.time_zone is not None and not unresolved(self.time_zone) and not _ZONE.fullmatch(self.time_zone):
            raise ConfigurationError(
                f"{self.time_zone!r} is no time zone", at=at, fix="write it as IANA does: TimeZone.of('Europe/Berlin')"
            )
        if self.description is not None and not unresolved(self.description) and len(self.description) > 512:
            raise ConfigurationError(
                f"a description of {len(self.description)} characters", at=at, fix="use at most 512 characters"
            )
        _check_variables(at, self.variables)


class Schedules(Construct):
    """The schedules of one pipeline.

    Creates a schedule group, a schedule in it for each trigger, and a role that Scheduler may take on for this group
    only, which may start this pipeline and nothing else. A role cannot be limited to a single schedule:
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html

    Args:
        scope: Parent construct.
        id: Construct id.
        triggers: When the pipeline starts.
        pipeline_name: Physical name of the pipeline.
        pipeline_arn: Its ARN, as a reference to the pipeline, so that no schedule comes before it.

    Attributes:
        group: The schedule group.
        role: What Scheduler takes on.
        schedules: The schedules, by name.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        triggers: Sequence[ScheduleTrigger],
        pipeline_name: str,
        pipeline_arn: str,
    ) -> None:
        from aws_cdk import aws_scheduler as scheduler

        super().__init__(scope, id)
        self.group = scheduler.CfnScheduleGroup(self, "Group")
        role = ServiceRole(
            self,
            service="scheduler.amazonaws.com",
            source_arn=self.group.attr_arn,
            statements=[Statement(actions=["codepipeline:StartPipelineExecution"], resources=[pipeline_arn])],
        )
        self.role = role.role
        role_arn = self.role.role_arn
        self.schedules = {
            trigger.name: scheduler.CfnSchedule(
                self,
                # A schedule may be called like the group or the role beside it.
                f"{trigger.name}Schedule",
                name=trigger.name,
                group_name=self.group.ref,
                description=trigger.description,
                schedule_expression=trigger.expression,
                schedule_expression_timezone=trigger.time_zone,
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                target=scheduler.CfnSchedule.TargetProperty(
                    # Only the universal target passes anything on.
                    arn=f"arn:{pseudo().partition}:{_START}" if trigger.variables else pipeline_arn,
                    role_arn=role_arn,
                    input=_input(pipeline_name, trigger.variables) if trigger.variables else None,
                    retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_event_age_in_seconds=_RETRIED_FOR),
                ),
            )
            for trigger in triggers
        }
        for each in self.schedules.values():
            Validations.of(each).acknowledge(
                Acknowledgment(
                    id="CloudFormation-Validate::E3019",
                    reason="a schedule's name is its own within its group, and each pipeline has a group",
                )
            )


_NAME = NameRule("schedule", "[0-9A-Za-z_.-]", 64)
# Which names there are depends on the edition of IANA's database that Scheduler has.
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,50}")
_RETRIED_FOR = 3600
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
_START = "scheduler:::aws-sdk:codepipeline:startPipelineExecution"


def _input(pipeline_name: str, variables: Mapping[str, str]) -> str:
    """A request to StartPipelineExecution; Scheduler wants a capital letter where the API has a small one."""
    values = [{"Name": name, "Value": value} for name, value in variables.items()]
    return json.dumps({"Name": pipeline_name, "Variables": values})


def _check_variables(at: str, variables: Mapping[str, str]) -> None:
    # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineVariable.html
    if len(variables) > 50:
        raise ConfigurationError(f"{len(variables)} variables, CodePipeline takes 50", at=at, fix="give at most 50")
    for name, value in variables.items():
        if not re.fullmatch(r"[A-Za-z0-9@_-]{1,128}", name):
            raise ConfigurationError(
                f"{name!r} is no name of a variable", at=at, fix="use 1 to 128 letters, digits and @-_"
            )
        if not isinstance(value, str):
            raise ConfigurationError(f"variable {name!r} gets {value!r}", at=at, fix=f"write {str(value)!r}")
        if not unresolved(value) and not re.fullmatch(".{1,1000}", value):
            raise ConfigurationError(
                f"variable {name!r} gets a value of {len(value)} characters on {value.count(chr(10)) + 1} lines",
                at=at,
                fix="use 1 to 1000 characters on one line",
            )


def _check_expression(at: str, expression: str) -> None:
    if unresolved(expression):
        return
    if len(expression) > _LONGEST_EXPRESSION:
        raise ConfigurationError(
            f"a schedule of {len(expression)} characters",
            at=at,
            fix=f"use at most {_LONGEST_EXPRESSION}, or several triggers",
        )
    kind, _, rest = expression.partition("(")
    inside = rest.removesuffix(")")
    if kind not in _FORMS or inside == rest:
        raise ConfigurationError(f"{expression!r} is no schedule", at=at, fix=f"use {', '.join(_FORMS.values())}")
    problem = None
    if kind == "cron":
        problem = _cron_problem(inside.split())
    elif kind == "rate" and not re.fullmatch(r"[1-9]\d* (?:minute|hour|day)s?", inside):
        problem = "is no rate"
    elif kind == "at" and not _is_time(inside):
        problem = "is no time"
    if problem is not None:
        raise ConfigurationError(f"{expression!r}: {problem}", at=at, fix=f"use {_FORMS[kind]}")


# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
_LONGEST_EXPRESSION = 256
_FORMS = {
    "cron": "cron(minutes hours day-of-month month day-of-week year)",
    "rate": "rate(5 minutes), or hours, or days",
    "at": "at(yyyy-mm-ddThh:mm:ss)",
}


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S") == text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _CronField:
    """One of the fields of a cron expression.

    Args:
        what: AWS's word for it.
        least: The smallest number.
        most: The largest.
        names: Names for the numbers, from the smallest on.
        alone: Expression for what may stand in it instead of numbers.
        steps: Whether it may have a / in it.
    """

    what: str
    least: int
    most: int
    names: str = ""
    alone: str = "(?!)"
    steps: bool = True

    def problem(self, text: str) -> str | None:
        if text == "*" or re.fullmatch(self.alone, text):
            return None
        for item in text.split(","):
            wrong = self._problem_of_item(item, alone=item == text)
            if wrong:
                return f"{self.what} {text!r}: {wrong}"
        return None

    def _problem_of_item(self, item: str, *, alone: bool) -> str | None:
        values, slash, step = item.partition("/")
        if slash and not self.steps:
            return "Scheduler takes no / here"
        if slash and not (re.fullmatch(r"[0-9]{1,4}", step) and 1 <= int(step) <= self.most):
            return f"a step of {step!r}"
        if values == "*" and slash and alone:
            return None
        numbers = [self._number(value) for value in values.split("-")]
        known = [number for number in numbers if number is not None and self.least <= number <= self.most]
        if len(known) != len(numbers) or len(numbers) > 2:
            names = f", or {self.names}" if self.names else ""
            return f"{item!r} is none of {self.least} to {self.most}{names}"
        if known != sorted(known):
            return f"{values!r} ends before it begins"
        return None

    def _number(self, text: str) -> int | None:
        if re.fullmatch(r"[0-9]{1,4}", text):
            return int(text)
        names = self.names.split()
        return names.index(text) + self.least if text in names else None


_DAYS = "SUN MON TUE WED THU FRI SAT"
_CRON = (
    _CronField("minutes", 0, 59),
    _CronField("hours", 0, 23),
    _CronField("day-of-month", 1, 31, alone=r"\?|L|(?:[1-9]|[12]\d|3[01])W"),
    _CronField("month", 1, 12, names="JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
    _CronField(
        "day-of-week", 1, 7, names=_DAYS, alone=rf"\?|L|(?:[1-7]|{_DAYS.replace(' ', '|')})(?:L|#[1-5])", steps=False
    ),
    _CronField("year", 1970, 2199),
)


def _cron_problem(fields: Sequence[str]) -> str | None:
    if len(fields) != len(_CRON):
        return f"{len(fields)} fields, not {len(_CRON)}"
    problems = (known.problem(given) for known, given in zip(_CRON, fields, strict=True))
    found = next((problem for problem in problems if problem), None)
    if found is None and (fields[2] == "?") == (fields[4] == "?"):
        return "one of day-of-month and day-of-week has to be ?, and the other must not"
    return found
