"""Floor 2: the times at which a stage may be entered: cron expressions and time zones as CodePipeline takes them."""

import calendar
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from code_family_constructs.errors import ConfigurationError

EVERY_DAY = "*"
ALL_DAY = (0, 24)


def check_cron(at: str, cron: str) -> None:
    """Raises ConfigurationError for a cron expression that CodePipeline does not take, or that never comes true.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html
    """
    fields = cron.split()
    if not 6 <= len(fields) <= 7:
        raise ConfigurationError(
            f"cron {cron!r} has {len(fields)} fields",
            at=at,
            fix="write seconds, minutes, hours, day-of-month, month, day-of-week and, if need be, the year: "
            "* * 9-16 ? * MON-FRI *",
        )
    if fields[0] != "*":
        raise ConfigurationError(
            f"cron {cron!r} has {fields[0]!r} for its seconds, where AWS takes * alone: "
            "a window is open for minutes, not at a second",
            at=at,
            fix="write * as the first field, and * for the minutes unless the window is a part of each hour",
        )
    values = [_values(at, cron, field, text) for field, text in zip(_FIELDS, fields[1:], strict=False)]
    day, week_day = fields[3], fields[5]
    if (day == "?") == (week_day == "?"):
        raise ConfigurationError(
            f"cron {cron!r} has {day!r} for its day-of-month and {week_day!r} for its day-of-week",
            at=at,
            fix="write ? for one of the two",
        )
    days, months = values[2], values[3]
    if days and months and min(days) > max(_DAYS_OF_MONTH[month] for month in months):
        raise ConfigurationError(
            f"cron {cron!r} is never true: no such month has a day {min(days)}",
            at=at,
            fix="use a day that the months have",
        )


def check_time_zone(at: str, time_zone: str) -> None:
    """Raises ConfigurationError for a time zone that CodePipeline does not take, or that means several."""
    if _UTC.fullmatch(time_zone):
        return
    if re.fullmatch("[A-Z]{3,5}", time_zone):
        raise ConfigurationError(
            f"time zone {time_zone!r} is an abbreviation: several zones share it, or it knows no summer time",
            at=at,
            fix="use Region/City, such as Europe/Berlin or America/New_York, or UTC+05:30",
        )
    if not _REGION_CITY.fullmatch(time_zone) or time_zone not in _time_zones():
        there_is = time_zone in _time_zones()
        raise ConfigurationError(
            f"time zone {time_zone!r} is {'no Region/City, the form that CodePipeline takes' if there_is else 'none'}",
            at=at,
            fix="use a Region/City of the IANA time zone database, such as Europe/Berlin, or UTC+05:30; "
            "where Python has no such database, install tzdata",
        )


def weekly_cron(at: str, days: str, hours: tuple[int, int]) -> str:
    """A cron expression for the same hours of some days of each week.

    Args:
        at: Where to tell of errors.
        days: As in a cron expression's day-of-week.
        hours: When the window opens and when it closes, in full hours.
    """
    opens, closes = hours
    if not 0 <= opens < closes <= 24:
        raise ConfigurationError(
            f"a window from {opens} to {closes} o'clock",
            at=at,
            fix="give the hour at which it opens and the later one at which it closes, of the same day, 0 to 24",
        )
    cron = f"* * {opens}-{closes - 1} ? * {days} *"
    if not _values(at, cron, _WEEK_DAY, days):
        raise ConfigurationError(
            f"days {days!r} are not the same each week", at=at, fix="name days of the week, such as MON-FRI or MON,WED"
        )
    return cron


def frozen_between(
    at: str, first: date, last: date, *, days: str, hours: tuple[int, int], time_zone: str
) -> tuple[int, int]:
    """When a change freeze begins and ends, in seconds since 1970.

    It begins where the last window before it ends: CodePipeline may hold an execution that comes outside of a window
    until the next one opens, and does not look at the calendar again.

    Args:
        at: Where to tell of errors.
        first: First frozen day.
        last: Last frozen day.
        days: On which days of the week the window is open, as in a cron expression.
        hours: When it opens and when it closes.
        time_zone: Of the days and hours.
    """
    zone = _zone(time_zone)
    week_days = _values(at, days, _WEEK_DAY, days)
    closed = datetime.combine(first, time())
    while not (_week_day(before := closed - timedelta(hours=1)) in week_days and hours[0] <= before.hour < hours[1]):
        closed = before
    end = datetime.combine(last + timedelta(days=1), time())
    return _seconds(closed, zone), _seconds(end, zone)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: Sequence[str] = ()
    special: str = ""
    characters: str = ", - * /"

    def number(self, text: str) -> int | None:
        if text in self.names:
            return self.least + self.names.index(text)
        return int(text) if re.fullmatch(r"\d{1,4}", text) and self.least <= int(text) <= self.most else None


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ONE_WEEK_DAY = f"(?:[1-7]|{'|'.join(_WEEK)})"
_DAY = _Field("day-of-month", 1, 31, (), r"\?|L(?:-(?:[12]?\d|30))?|LW|(?:[1-9]|[12]\d|3[01])W", ", - * ? / L W")
_WEEK_DAY = _Field("day-of-week", 1, 7, _WEEK, rf"\?|{_ONE_WEEK_DAY}?L|{_ONE_WEEK_DAY}#[1-5]", ", - * ? / L #")
_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _DAY,
    _Field("month", 1, 12, _MONTHS),
    _WEEK_DAY,
    _Field("year", 1970, 2199),
)
_DAYS_OF_MONTH = {month: calendar.monthrange(2024, month)[1] for month in range(1, 13)}
_UTC = re.compile(r"UTC(?:[+-](?:0\d|1[0-4]):[0-5]\d)?")
_REGION_CITY = re.compile("[A-Za-z]+/[A-Za-z]+(?:_[A-Za-z]+)*")


def _values(at: str, cron: str, field: _Field, text: str) -> Collection[int]:
    """The numbers that a field stands for; none for what depends on the month, and for `?`."""
    if field.special and re.fullmatch(field.special, text.upper()):
        return ()
    return {number for item in text.upper().split(",") for number in _item(at, cron, field, item)}


def _item(at: str, cron: str, field: _Field, item: str) -> Sequence[int]:
    base, slash, step = item.partition("/")
    start, dash, stop = base.partition("-")
    least = field.least if base == "*" else field.number(start)
    # A number with a step goes on to the end of the field.
    most = field.most if base == "*" or (slash and not dash) else field.number(stop if dash else start)
    every = int(step) if re.fullmatch(r"\d{1,4}", step) and 1 <= int(step) <= field.most else None
    if least is None or most is None or least > most or (slash and every is None):
        names = f" or {field.names[0]}-{field.names[-1]}" if field.names else ""
        raise ConfigurationError(
            f"cron {cron!r} has {item!r} for its {field.name}",
            at=at,
            fix=f"use {field.least}-{field.most}{names}, ranges that go up, and no signs but {field.characters}",
        )
    return range(least, most + 1, every or 1)


@cache
def _time_zones() -> Collection[str]:
    return frozenset(available_timezones())


def _zone(time_zone: str) -> tzinfo:
    if not _UTC.fullmatch(time_zone):
        return ZoneInfo(time_zone)
    hours, minutes = (int(part) for part in (time_zone[4:] or "0:0").split(":"))
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if time_zone[3:4] == "-" else offset)


def _week_day(moment: datetime) -> int:
    return moment.isoweekday() % 7 + 1


def _seconds(local: datetime, zone: tzinfo) -> int:
    return int(local.replace(tzinfo=zone).timestamp())
