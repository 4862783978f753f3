"""The state of CloudWatch alarms: what whoever rolls back asks for, and what ministack must not set it to.

ministack evaluates an alarm over all points of a metric, whatever their dimensions: one function's would fire the alarm
on another. So an alarm is left alone here as soon as its metric has points with other dimensions than its own. Tests
set states themselves, by SetAlarmState.
"""

from collections.abc import Callable, Sequence

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json, call


def active(names: Sequence[str]) -> list[str]:
    """Return those of the alarms, plain and composite, that are in state ALARM."""
    if not names:
        return []
    found = call("cloudwatch", "describe_alarms", AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    alarms = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
    return [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]


def of_its_own(evaluate: Callable[[Json], None]) -> Callable[[Json], None]:
    """Return what evaluates an alarm, if the points are its own."""

    def evaluate_or_leave(alarm: Json) -> None:
        if not _ministack.has_points_of_others(alarm):
            evaluate(alarm)

    return evaluate_or_leave


_ministack.around_alarms(of_its_own)
