"""Schedules: what Scheduler would refuse is refused, and its role may start this one pipeline."""

import json

import pytest
from aws_cdk import Duration, Stack, TimeZone
from aws_cdk import aws_events as events
from aws_cdk import aws_scheduler as scheduler
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.permissions import arn
from code_family_constructs.pipeline.schedule import Schedules, ScheduleTrigger
from code_family_constructs.testing import text_of
from tests.helpers import allowed, of_type, only, refuses
from tests.stacks.review import Review, assert_cfn_lint_accepts, assert_no_token_leaks

Expression = scheduler.ScheduleExpression
PIPELINE = "arn:<AWS::Partition>:codepipeline:<AWS::Region>:<AWS::AccountId>:Shop-Pipeline"


def written(expression, zone=None):
    return Expression.expression(expression, zone)


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    def make(app):
        stack = Stack(app, "Shop")
        Schedules(
            stack,
            "Schedules",
            triggers=[
                ScheduleTrigger(
                    name="Nightly",
                    schedule=Expression.cron(minute="30", hour="3", time_zone=TimeZone.EUROPE_BERLIN),
                    description="What came in during the day",
                ),
                ScheduleTrigger(
                    name="Weekly",
                    schedule=written("cron(0 6 ? * MON *)"),
                    variables={"Tests": "all", "Region": "eu-west-1"},
                ),
                ScheduleTrigger(name="Hourly", schedule=Expression.rate(Duration.hours(1))),
                # What else there is beside the schedules is called so, too.
                *(ScheduleTrigger(name=name, schedule=written("rate(1 day)")) for name in ("Group", "Role")),
            ],
            pipeline_name="Shop-Pipeline",
            pipeline_arn=arn("codepipeline", "Shop-Pipeline"),
        )
        return stack

    return Review(make, tmp_path_factory.mktemp("assembly"))


@pytest.fixture(scope="module")
def schedules(review):
    return {one["Name"]: one for one in of_type(review.template, "AWS::Scheduler::Schedule").values()}


def test_a_pipeline_is_started_at_the_time_of_the_zone_that_was_meant(schedules):
    nightly = schedules["Nightly"]
    assert nightly["ScheduleExpression"] == "cron(30 3 * * ? *)"
    assert nightly["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert nightly["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert nightly["Description"] == "What came in during the day"
    assert schedules["Hourly"]["ScheduleExpression"] == "rate(1 hour)"


def test_a_start_that_failed_is_not_made_up_for_much_later(schedules):
    assert {one["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] for one in schedules.values()} == {3600}


def test_without_variables_the_pipeline_itself_is_the_target(schedules):
    assert text_of(schedules["Nightly"]["Target"]["Arn"]) == PIPELINE
    assert "Input" not in schedules["Nightly"]["Target"]


def test_variables_go_through_the_universal_target(schedules):
    target = schedules["Weekly"]["Target"]
    assert text_of(target["Arn"]) == "arn:<AWS::Partition>:scheduler:::aws-sdk:codepipeline:startPipelineExecution"
    assert json.loads(target["Input"]) == {
        "Name": "Shop-Pipeline",
        "Variables": [{"Name": "Tests", "Value": "all"}, {"Name": "Region", "Value": "eu-west-1"}],
    }


def test_the_role_may_start_this_pipeline_and_nothing_else(review):
    assert allowed(review.template, "Schedules") == {f"codepipeline:StartPipelineExecution on {PIPELINE}"}


def test_scheduler_takes_the_role_on_for_this_pipelines_group_only(review):
    role = only(review.template, "AWS::IAM::Role")
    (group,) = review.names_of("AWS::Scheduler::ScheduleGroup")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::GetAtt": [group, "Arn"]}},
    }
    groups = [one["GroupName"] for one in of_type(review.template, "AWS::Scheduler::Schedule").values()]
    assert groups == [{"Ref": group}] * 5


def test_security_review_and_cfn_lint_find_nothing(review):
    # Nothing to acknowledge either: a pack that has nothing to say is not in the report.
    assert review.report["pluginReports"] == []
    assert_cfn_lint_accepts(review)
    assert_no_token_leaks(review)


@pytest.mark.parametrize(
    "expression",
    [
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
        "cron(15 10 ? * 6L 2022-2023)",
        "cron(30 8 * * ? *)",
        "cron(30 2 * * ? *)",
        "cron(0 8 ? * 2#1 *)",
        "cron(1/10 * * JAN,FEB,MAR ? *)",
        "cron(0 0 1-15 * ? *)",
        "cron(0 0 3W * ? *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 ? * L *)",
        "cron(0 0 ? * SUN-SAT 1970-2199)",
        "cron(0,30 8-18/2 ? 1,6-9 MON,WED-FRI *)",
        "cron(*/15 * * * ? *)",
        "cron(0 0 ? * FRIL *)",
        "cron(0 0 ? * FRI#5 *)",
        "rate(5 minutes)",
        "rate(1 minute)",
        "rate(1 days)",
        "rate(12 hours)",
        "at(2022-11-20T13:00:00)",
    ],
)
def test_what_scheduler_takes_is_accepted(expression):
    trigger = ScheduleTrigger(name="Nightly", schedule=written(expression))
    assert (trigger.expression, trigger.time_zone) == (expression, "Etc/UTC")


@pytest.mark.parametrize(
    ("expression", "problem", "fix"),
    [
        (
            f"cron({','.join(map(str, range(59)))} {','.join(['1'] * 60)} * * ? *)",
            "a schedule of 300 characters",
            "several triggers",
        ),
        ("daily", "'daily' is no schedule", "cron(minutes hours day-of-month month day-of-week year)"),
        ("0 3 * * *", "is no schedule", "cron(minutes hours"),
        ("cron(0 3 * * ? *", "is no schedule", "cron(minutes hours"),
        ("every(5 minutes)", "is no schedule", "rate(5 minutes)"),
        ("cron(0 3 * * *)", "5 fields, not 6", "cron(minutes hours"),
        ("cron(0 3 * * * *)", "one of day-of-month and day-of-week has to be ?", "cron(minutes hours"),
        ("cron(0 3 1 * MON *)", "one of day-of-month and day-of-week has to be ?", "cron(minutes hours"),
        ("cron(0 3 ? * ? *)", "and the other must not", "cron(minutes hours"),
        ("cron(60 3 * * ? *)", "minutes '60': '60' is none of 0 to 59", "cron(minutes hours"),
        ("cron(0 24 * * ? *)", "hours '24': '24' is none of 0 to 23", "cron(minutes hours"),
        ("cron(0 3 0 * ? *)", "day-of-month '0'", "cron(minutes hours"),
        ("cron(0 3 32W * ? *)", "day-of-month '32W'", "cron(minutes hours"),
        ("cron(0 3 L,15 * ? *)", "'L' is none of 1 to 31", "cron(minutes hours"),
        ("cron(0 3 * 13 ? *)", "month '13': '13' is none of 1 to 12, or JAN FEB", "cron(minutes hours"),
        ("cron(0 3 ? * 0 *)", "day-of-week '0': '0' is none of 1 to 7, or SUN MON", "cron(minutes hours"),
        ("cron(0 3 ? * mon *)", "'mon' is none of 1 to 7", "cron(minutes hours"),
        ("cron(0 3 ? * FRI-MON *)", "'FRI-MON' ends before it begins", "cron(minutes hours"),
        ("cron(0 3 ? * 3#1,6#3 *)", "'3#1' is none of 1 to 7", "cron(minutes hours"),
        ("cron(0 3 ? * 2/2 *)", "day-of-week '2/2': Scheduler takes no / here", "cron(minutes hours"),
        ("cron(0 3 ? * */2 *)", "day-of-week '*/2': Scheduler takes no / here", "cron(minutes hours"),
        ("cron(0 3 ? * 3#6 *)", "'3#6' is none of 1 to 7", "cron(minutes hours"),
        ("cron(0 3 * * ? 1969)", "year '1969'", "cron(minutes hours"),
        ("cron(0/0 3 * * ? *)", "a step of '0'", "cron(minutes hours"),
        ("cron(0/ 3 * * ? *)", "a step of ''", "cron(minutes hours"),
        ("cron(0/60 3 * * ? *)", "a step of '60'", "cron(minutes hours"),
        ("cron(1-2-3 3 * * ? *)", "'1-2-3' is none of 0 to 59", "cron(minutes hours"),
        ("cron(*,5 3 * * ? *)", "'*' is none of 0 to 59", "cron(minutes hours"),
        ("cron(0, 3 * * ? *)", "'' is none of 0 to 59", "cron(minutes hours"),
        ("rate(0 minutes)", "is no rate", "rate(5 minutes)"),
        ("rate(5 weeks)", "is no rate", "rate(5 minutes)"),
        ("rate(1.5 hours)", "is no rate", "rate(5 minutes)"),
        ("at(2022-11-20)", "is no time", "at(yyyy-mm-ddThh:mm:ss)"),
        ("at(2022-02-30T13:00:00)", "is no time", "at(yyyy-mm-ddThh:mm:ss)"),
        ("at(2022-11-20T13:00:00Z)", "is no time", "at(yyyy-mm-ddThh:mm:ss)"),
    ],
)
def test_fails_when_scheduler_would_refuse_the_time(expression, problem, fix):
    with refuses(problem, at="ScheduleTrigger 'Nightly'", fix=fix):
        ScheduleTrigger(name="Nightly", schedule=written(expression))


NIGHTLY = written("cron(0 3 * * ? *)")


@pytest.mark.parametrize(
    ("settings", "problem", "at", "fix"),
    [
        ({"name": ""}, "the schedule name is empty", "ScheduleTrigger", "1 to 64 characters"),
        ({"name": "a" * 65}, "has 65 characters", "ScheduleTrigger", "1 to 64 characters"),
        ({"name": "every night"}, "has ' ' in it", "ScheduleTrigger", "1 to 64 characters"),
        ({"name": "${Token[TOKEN.1]}"}, "name is not known at synth", "ScheduleTrigger", "plain text"),
        ({"schedule": "rate(1 day)"}, "'rate(1 day)' is no schedule", "ScheduleTrigger 'Nightly'", "expression("),
        (
            {"schedule": events.Schedule.rate(Duration.days(1))},
            "Schedule",
            "ScheduleTrigger 'Nightly'",
            "aws_scheduler.ScheduleExpression.cron(…)",
        ),
        (
            {"schedule": written("rate(1 day)", TimeZone.of("Central European"))},
            "'Central European' is no time zone",
            "ScheduleTrigger 'Nightly'",
            "TimeZone.of('Europe/Berlin')",
        ),
        ({"description": "a" * 513}, "description of 513 characters", "ScheduleTrigger 'Nightly'", "at most 512"),
        ({"variables": {"a b": "c"}}, "'a b' is no name of a variable", "ScheduleTrigger 'Nightly'", "1 to 128"),
        ({"variables": {"a": 5}}, "variable 'a' gets 5", "ScheduleTrigger 'Nightly'", "write '5'"),
        ({"variables": {"a": ""}}, "'a' gets a value of 0 characters", "ScheduleTrigger 'Nightly'", "1 to 1000"),
        ({"variables": {"a": "b\nc"}}, "of 3 characters on 2 lines", "ScheduleTrigger 'Nightly'", "on one line"),
        ({"variables": {"a": "b" * 1001}}, "a value of 1001 characters", "ScheduleTrigger 'Nightly'", "1 to 1000"),
        ({"variables": {f"a{n}": "b" for n in range(51)}}, "51 variables", "ScheduleTrigger 'Nightly'", "at most 50"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value)[:30],
)
def test_fails_when_aws_would_refuse_a_setting(settings, problem, at, fix):
    with refuses(problem, at=at, fix=fix):
        ScheduleTrigger(**{"name": "Nightly", "schedule": NIGHTLY, **settings})


def test_what_only_the_deployment_knows_is_let_through():
    later = "${Token[TOKEN.1]}"
    trigger = ScheduleTrigger(
        name="Nightly", schedule=written(later), description=later * 100, variables={"Tests": later * 100}
    )
    assert trigger.expression == later


def test_nobody_can_change_the_variables_of_a_schedule_later():
    given_ = {"Tests": "all"}
    trigger = ScheduleTrigger(name="Nightly", schedule=NIGHTLY, variables=given_)
    given_["Tests"] = "none"
    assert trigger.variables == {"Tests": "all"}
    with pytest.raises(TypeError):
        trigger.variables["Tests"] = "none"  # type: ignore[index]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_a_cron_expression_is_taken_when_each_number_is_within_its_field(minute, hour, day, step):
    expression = written(f"cron({minute}/{step} {hour} {day} * ? *)")
    if minute <= 59 and hour <= 23 and 1 <= day <= 31 and step <= 59:
        assert ScheduleTrigger(name="Nightly", schedule=expression).expression == expression.expression_string
    else:
        with refuses("cron(", at="ScheduleTrigger 'Nightly'", fix="cron(minutes"):
            ScheduleTrigger(name="Nightly", schedule=expression)
