"""Floor 1: how long and how many, as CodeBuild takes it."""

from aws_cdk import Duration
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_kind
from code_family_constructs.tokens import unresolved


def check_minutes(at: Construct, argument: str, duration: Duration, least: int, most: int) -> None:
    """Raises ConfigurationError for a time that CodeBuild would refuse."""
    check_kind(at, argument, duration, Duration, fix=f"write {argument}=Duration.minutes(…)")
    if duration.is_unresolved():
        return
    minutes = duration.to_minutes(integral=False)
    if not least <= minutes <= most or minutes != int(minutes):
        raise ConfigurationError(
            f"{argument}={minutes:g} minutes, CodeBuild takes whole minutes from {least} to {most}",
            at=at,
            fix=f"use Duration.minutes({least}) to Duration.minutes({most})",
        )


def check_whole(at: Construct, argument: str, number: float, least: int, most: int | None = None) -> None:
    """Raises ConfigurationError for a number that CodeBuild would refuse."""
    if unresolved(number):
        return
    if number != int(number) or number < least or (most is not None and number > most):
        upper = "on" if most is None else f"to {most}"
        raise ConfigurationError(
            f"{argument}={number:g}, CodeBuild takes whole numbers from {least} {upper}",
            at=at,
            fix=f"give {least}" + (" or more" if most is None else f" to {most}"),
        )
