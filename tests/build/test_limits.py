"""How long and how many, as CodeBuild takes it."""

import pytest
from aws_cdk import CfnParameter, Duration

from code_family_constructs.build.limits import check_minutes, check_whole
from tests.helpers import a_stack, refuses


@pytest.mark.parametrize("duration", [Duration.minutes(5), Duration.seconds(600), Duration.minutes(60)])
def test_whole_minutes_in_between_are_accepted(duration):
    check_minutes(a_stack(), "timeout", duration, 5, 60)


@pytest.mark.parametrize(
    ("duration", "typed"), [(Duration.minutes(4), "4"), (Duration.minutes(61), "61"), (Duration.seconds(330), "5.5")]
)
def test_fails_when_minutes_are_none_of_them(duration, typed):
    with refuses(f"timeout={typed} minutes", at="Shop", fix="Duration.minutes(5) to Duration.minutes(60)"):
        check_minutes(a_stack(), "timeout", duration, 5, 60)


@pytest.mark.parametrize("number", [1, 10, 2.0])
def test_whole_numbers_in_between_are_accepted(number):
    check_whole(a_stack(), "limit", number, 1, 10)


@pytest.mark.parametrize(
    ("number", "most", "fix"),
    [(0, 10, "give 1 to 10"), (11, 10, "give 1 to 10"), (1.5, 10, "1 to 10"), (0, None, "or more")],
)
def test_fails_when_a_number_is_none_of_them(number, most, fix):
    with refuses(f"limit={number:g}", at="Shop", fix=fix):
        check_whole(a_stack(), "limit", number, 1, most)


def test_parameters_are_let_through():
    stack = a_stack()
    number = CfnParameter(stack, "Number", type="Number").value_as_number
    check_whole(stack, "limit", number, 1, 10)
    check_minutes(stack, "timeout", Duration.minutes(number), 5, 60)
