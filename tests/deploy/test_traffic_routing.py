"""Traffic routings: read as AWS calls them, refused when CodeDeploy would."""

import math

import pytest
from aws_cdk import CfnParameter, Duration
from aws_cdk import aws_codedeploy as codedeploy
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import ConfigurationError
from code_family_constructs.deploy.traffic_routing import Shift, shift_of
from tests.helpers import a_stack, refuses

canary, linear = codedeploy.TrafficRouting.time_based_canary, codedeploy.TrafficRouting.time_based_linear


@pytest.fixture(scope="module")
def stack():
    return a_stack()


def test_is_called_what_aws_calls_it(stack):
    names = {
        "AllAtOnce": codedeploy.TrafficRouting.all_at_once(),
        "Canary10Percent5Minutes": canary(percentage=10, interval=Duration.minutes(5)),
        "Canary1Percent1Minute": canary(percentage=1, interval=Duration.minutes(1)),
        "Linear10PercentEvery1Minute": linear(percentage=10, interval=Duration.minutes(1)),
        "Linear25PercentEvery60Minutes": linear(percentage=25, interval=Duration.hours(1)),
    }
    assert [shift_of(stack, routing).name for routing in names.values()] == list(names)


@pytest.mark.parametrize(
    ("shift", "minutes"),
    [
        (Shift(kind="AllAtOnce"), 0),
        (Shift(kind="Canary", percentage=10, interval=15), 15),
        (Shift(kind="Linear", percentage=10, interval=1), 9),
        (Shift(kind="Linear", percentage=30, interval=10), 30),
        (Shift(kind="Linear", percentage=50, interval=10), 10),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_knows_how_long_it_takes(shift, minutes):
    assert shift.minutes == minutes


@given(st.integers(-5, 150), st.integers(0, 3000))
def test_takes_what_codedeploy_takes_and_nothing_else(percentage, minutes):
    stack = a_stack()
    for kind, make in (("Canary", canary), ("Linear", linear)):
        total = minutes if kind == "Canary" else minutes * (math.ceil(100 / max(percentage, 1)) - 1)
        fits = 1 <= percentage <= 99 and minutes >= 1 and total <= 2880
        try:
            read = shift_of(stack, make(percentage=percentage, interval=Duration.minutes(minutes)))
        except ConfigurationError:
            assert not fits
        else:
            assert fits
            assert (read.kind, read.percentage, read.interval, read.minutes) == (kind, percentage, minutes, total)


def test_says_what_is_wrong(stack):
    with refuses("canary steps of 100 percent", at="Shop", fix="use a whole percentage from 1 to 99"):
        shift_of(stack, canary(percentage=100, interval=Duration.minutes(5)))
    with refuses("linear steps of 12.5 percent", at="Shop", fix="use a whole percentage from 1 to 99"):
        shift_of(stack, linear(percentage=12.5, interval=Duration.minutes(5)))
    with refuses("1.5 minutes between canary steps", at="Shop", fix="use whole minutes, 1 or more"):
        shift_of(stack, canary(percentage=10, interval=Duration.seconds(90)))
    with refuses("Linear1PercentEvery30Minutes takes 2970 minutes", at="Shop", fix="or a larger percentage"):
        shift_of(stack, linear(percentage=1, interval=Duration.minutes(30)))
    with refuses("Canary10Percent2881Minutes takes 2881 minutes", at="Shop", fix="use a shorter interval"):
        shift_of(stack, canary(percentage=10, interval=Duration.minutes(2881)))
    with refuses("a traffic routing of type str", at="Shop", fix="codedeploy.TrafficRouting.all_at_once()"):
        shift_of(stack, "Canary10Percent5Minutes")  # type: ignore[arg-type]


def test_lets_through_what_only_the_deployment_knows(stack):
    number = CfnParameter(stack, "Number", type="Number").value_as_number
    for routing in (
        canary(percentage=number, interval=Duration.minutes(5)),
        linear(percentage=10, interval=Duration.minutes(number)),
    ):
        assert not shift_of(stack, routing).known
