"""Floor 1: how fast CodeDeploy shifts traffic, and what it takes of it."""

from dataclasses import dataclass
from typing import Literal

from aws_cdk import aws_codedeploy as codedeploy
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved

# https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
_LONGEST_SHIFT = 2880


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """A traffic routing as plain values.

    Args:
        kind: How the traffic is shifted.
        percentage: Of the traffic, in the first step, or in each.
        interval: Minutes between two steps.
        known: Whether percentage and interval are known at synth time.
    """

    kind: Literal["AllAtOnce", "Canary", "Linear"]
    percentage: int = 100
    interval: int = 0
    known: bool = True

    @property
    def minutes(self) -> int:
        """From the first step to the last."""
        steps = {"AllAtOnce": 1, "Canary": 2, "Linear": -(-100 // self.percentage)}[self.kind]
        return (steps - 1) * self.interval

    @property
    def name(self) -> str:
        """As AWS calls it, such as `Canary10Percent5Minutes` and `Linear10PercentEvery1Minute`."""
        if self.kind == "AllAtOnce":
            return self.kind
        every = "Every" if self.kind == "Linear" else ""
        return f"{self.kind}{self.percentage}Percent{every}{self.interval}Minute{'' if self.interval == 1 else 's'}"


def shift_of(at: Construct, routing: codedeploy.TrafficRouting) -> Shift:
    """Reads and checks a traffic routing.

    Raises:
        ConfigurationError: A percentage or an interval that CodeDeploy would refuse.
    """
    match routing:
        case codedeploy.AllAtOnceTrafficRouting():
            return Shift(kind="AllAtOnce")
        case codedeploy.TimeBasedCanaryTrafficRouting():
            kind: Literal["Canary", "Linear"] = "Canary"
        case codedeploy.TimeBasedLinearTrafficRouting():
            kind = "Linear"
        case _:
            raise ConfigurationError(
                f"a traffic routing of type {type(routing).__name__}",
                at=at,
                fix="use codedeploy.TrafficRouting.all_at_once(), time_based_canary() or time_based_linear()",
            )
    percentage, interval = routing.percentage, routing.interval
    if not unresolved(percentage) and (not 1 <= percentage <= 99 or percentage != int(percentage)):
        raise ConfigurationError(
            f"{kind.lower()} steps of {percentage:g} percent", at=at, fix="use a whole percentage from 1 to 99"
        )
    if interval.is_unresolved():
        return Shift(kind=kind, known=False)
    minutes = interval.to_minutes(integral=False)
    if minutes < 1 or minutes != int(minutes):
        raise ConfigurationError(
            f"{minutes:g} minutes between {kind.lower()} steps", at=at, fix="use whole minutes, 1 or more"
        )
    if unresolved(percentage):
        return Shift(kind=kind, known=False)
    shift = Shift(kind=kind, percentage=int(percentage), interval=int(minutes))
    if shift.minutes > _LONGEST_SHIFT:
        raise ConfigurationError(
            f"{shift.name} takes {shift.minutes} minutes from the first step to the last, CodeDeploy {_LONGEST_SHIFT}",
            at=at,
            fix="use a shorter interval" + (" or a larger percentage" if kind == "Linear" else ""),
        )
    return shift
