"""Conditions of stages: rules as CodePipeline knows them, the permissions they need, and what is refused."""

import json
import os
import re
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import BuildProject
from code_family_constructs.health import HealthGate
from code_family_constructs.local.framework import to_structure
from code_family_constructs.permissions import ServiceRole, arn
from code_family_constructs.pipeline.conditions import (
    BeforeEntry,
    OnFailure,
    OnSuccess,
    bake,
    change_freeze,
    stage_conditions,
)
from code_family_constructs.pipeline.deployment_window import check_cron, frozen_between, weekly_cron
from code_family_constructs.pipeline.rules import (
    AlarmRule,
    CodeBuildRule,
    CommandsRule,
    DeploymentWindowRule,
    LambdaRule,
    RuleContext,
    VariableCheckRule,
)
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, allowed, only, refuses

ROLLBACK, FAIL, SKIP, RETRY = (codepipeline.Result[name] for name in ("ROLLBACK", "FAIL", "SKIP", "RETRY"))
PARALLEL = codepipeline.ExecutionMode.PARALLEL
STATE = cloudwatch.AlarmState
ALARM_ARN = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm"
FUNCTION_ARN = "arn:aws:lambda:eu-west-1:111111111111:function:gate"
SECRET = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:token-a1B2c3"
BERLIN = "Europe/Berlin"


class ABuild:
    """What a pipeline sees of a build."""

    def __init__(self, stack, name="Check"):
        self.project = codebuild.Project.from_project_name(stack, name, name)
        self.project_arn = arn("codebuild", f"project/{name}")

    def use_artifacts(self, key, key_arn, statements):
        raise AssertionError("the pipeline does this, not its conditions")


def an_alarm(scope, name="Errors", account="111111111111"):
    return cloudwatch.Alarm.from_alarm_arn(scope, name, f"arn:aws:cloudwatch:eu-west-1:{account}:alarm:{name}")


def a_function(scope, id="Gate", function_arn=FUNCTION_ARN):
    return lambda_.Function.from_function_attributes(scope, id, function_arn=function_arn, same_environment=True)


def a_rule_context(**settings):
    given: dict[str, Any] = {
        "pipeline_name": "Shop-Pipeline",
        "stage_name": "Production",
        "revision": "Build",
        "artifacts": {"Source": codepipeline.Artifact("Source"), "Build": codepipeline.Artifact("Build")},
    }
    return RuleContext(**{**given, **settings})


def a_gate(scope, alarms, id="Health"):
    return HealthGate(scope, id, alarms=[an_alarm(scope, f"{id}{number}") for number in range(alarms)])


IS_MAIN = VariableCheckRule(variable="#{SourceVariables.BranchName}", operator="EQ", value="main")


@pytest.fixture(scope="module")
def release():
    """A plain pipeline of aws-cdk-lib with conditions on its stages; its template and the builds that were told of."""
    stack = Stack(App(), "Release")
    role = ServiceRole(stack, service="codepipeline.amazonaws.com", statements=[])
    pipeline = codepipeline.Pipeline(
        stack,
        "Pipeline",
        pipeline_type=codepipeline.PipelineType.V2,
        artifact_bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "artifacts"),
        role=role.frozen,
        use_pipeline_role_for_actions=True,
        stages=[
            codepipeline.StageProps(
                stage_name="Source",
                actions=[
                    actions.CodeStarConnectionsSourceAction(
                        action_name="Source",
                        owner="acme",
                        repo="shop",
                        connection_arn="arn:aws:codeconnections:eu-west-1:111111111111:connection/0",
                        output=codepipeline.Artifact("Source"),
                    )
                ],
            )
        ],
    )
    build = ABuild(stack)
    small = a_gate(stack, 2, "Small")
    large = a_gate(stack, 6, "Large")
    stages: dict[str, dict[str, Any]] = {
        "EachRule": {
            "before_entry": BeforeEntry(
                rules=[
                    AlarmRule(alarm=an_alarm(stack), wait=Duration.hours(1), alarm_states=[STATE.OK], name="Calm"),
                    DeploymentWindowRule(cron="* * 9-16 ? * MON-FRI *", time_zone=BERLIN),
                    IS_MAIN,
                    LambdaRule(function=a_function(stack), user_parameters={"ticket": "OPS-1"}),
                    CommandsRule(commands=["npm ci", "npm test"], input_artifacts=["Source"]),
                ]
            ),
            "on_success": OnSuccess(
                rules=[
                    CodeBuildRule(
                        build=build,
                        input_artifacts=["Build", "Source"],
                        primary_source="Source",
                        environment_variables={"STAGE": "production"},
                        batch=True,
                        combine_artifacts=True,
                    ),
                    CodeBuildRule(build=build),
                    LambdaRule(function=a_function(stack, "Two"), input_artifacts=["Build"]),
                ],
                result=FAIL,
            ),
            "on_failure": OnFailure(result=ROLLBACK, rules=[AlarmRule(alarm=an_alarm(stack, "Down"))]),
        },
        "Skipped": {"before_entry": BeforeEntry(rules=[IS_MAIN], result=SKIP)},
        "Small": {"on_success": bake(small, Duration.minutes(30)), "on_failure": OnFailure(result=ROLLBACK)},
        "Large": {
            "on_success": bake(large, Duration.minutes(15)),
            "on_failure": OnFailure(result=RETRY, retry_mode=codepipeline.RetryMode.ALL_ACTIONS),
        },
        "Frozen": {
            "before_entry": change_freeze(
                time_zone=BERLIN, open_days="MON-FRI", open_hours=(9, 17), frozen=[date(2026, 12, 24)]
            )
        },
    }
    large.add_alarm(an_alarm(stack, "Late"))
    builds: list[Any] = []
    for name, conditions in stages.items():
        made = stage_conditions(pipeline, a_rule_context(stage_name=name), **conditions)
        role.allow(*made.permissions)
        builds += made.builds
        pipeline.add_stage(
            stage_name=name,
            actions=[actions.ManualApprovalAction(action_name="Approve")],
            before_entry=made.before_entry,
            on_success=made.on_success,
            on_failure=made.on_failure,
        )
    assert builds == [build]
    return synthesized(stack)


def stage(template, name):
    return next(each for each in only(template, "AWS::CodePipeline::Pipeline")["Stages"] if each["Name"] == name)


def rules(template, name, slot):
    (condition,) = stage(template, name)[slot]["Conditions"]
    return {rule["RuleTypeId"]["Provider"]: rule for rule in condition["Rules"]}


def plain(value):
    """A value with texts in place of what CloudFormation fills in."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if any(key == "Ref" or key.startswith("Fn::") for key in value):
        return text_of(value)
    return {key: plain(each) for key, each in value.items()}


def test_codepipeline_knows_every_field(release):
    shape = Session().get_service_model("codepipeline").shape_for("StageDeclaration")
    for each in only(release, "AWS::CodePipeline::Pipeline")["Stages"]:
        structure = to_structure("codepipeline", "StageDeclaration", plain(each))
        report = ParamValidator().validate(structure, shape)
        assert not report.has_errors(), report.generate_report()


def test_each_rule_has_the_settings_of_its_provider(release):
    entry = rules(release, "EachRule", "BeforeEntry")
    assert {provider: plain(rule.get("Configuration")) for provider, rule in entry.items()} == {
        "CloudWatchAlarm": {"AlarmName": "Errors", "AlarmStates": "OK", "WaitTime": "60"},
        "DeploymentWindow": {"Cron": "* * 9-16 ? * MON-FRI *", "TimeZone": "Europe/Berlin"},
        "VariableCheck": {"Variable": "#{SourceVariables.BranchName}", "Operator": "EQ", "Value": "main"},
        "LambdaInvoke": {"FunctionName": "gate", "UserParameters": '{"ticket": "OPS-1"}'},
        "Commands": {},
    }
    assert entry["Commands"]["Commands"] == ["npm ci", "npm test"]
    assert {rule["RuleTypeId"]["Version"] for rule in entry.values()} == {"1"}
    (first, second, _) = stage(release, "EachRule")["OnSuccess"]["Conditions"][0]["Rules"]
    assert plain(first["Configuration"]) == {
        "ProjectName": "Check",
        "PrimarySource": "Source",
        "EnvironmentVariables": '[{"name":"STAGE","value":"production","type":"PLAINTEXT"}]',
        "BatchEnabled": "true",
        "CombineArtifacts": "true",
    }
    assert plain(second["Configuration"]) == {"ProjectName": "Check"}


def test_rules_read_the_artifacts_that_they_name_or_the_one_that_the_stage_is_about(release):
    entry = rules(release, "EachRule", "BeforeEntry")
    assert entry["Commands"]["InputArtifacts"] == [{"Name": "Source"}]
    assert "InputArtifacts" not in entry["LambdaInvoke"]
    (both, one, function) = stage(release, "EachRule")["OnSuccess"]["Conditions"][0]["Rules"]
    assert [artifact["Name"] for artifact in both["InputArtifacts"]] == ["Build", "Source"]
    assert one["InputArtifacts"] == function["InputArtifacts"] == [{"Name": "Build"}]


def test_each_rule_has_a_name_that_no_other_one_of_the_pipeline_has(release):
    names = [
        rule["Name"]
        for each in only(release, "AWS::CodePipeline::Pipeline")["Stages"]
        for slot in ("BeforeEntry", "OnSuccess", "OnFailure")
        for condition in each.get(slot, {}).get("Conditions", [])
        for rule in condition["Rules"]
    ]
    assert {"Calm", "EachRule-OnSuccess-CodeBuild", "EachRule-OnSuccess-CodeBuild2"} < set(names)
    assert len(set(names)) == len(names) == 15


def test_a_made_name_fits_however_long_the_stage_is_called():
    made = stage_conditions(
        a_stack(),
        a_rule_context(stage_name="S" * 100),
        on_failure=OnFailure(result=ROLLBACK, rules=[CommandsRule(commands=["true"])]),
    )
    assert made.on_failure is not None
    assert made.on_failure.conditions is not None
    (condition,) = made.on_failure.conditions
    assert isinstance(condition, codepipeline.Condition)
    assert condition.rules is not None
    assert condition.rules[0].rule_name == "S" * 81 + "-OnFailure-Commands"


def test_the_pipeline_may_do_what_the_rules_ask_for_and_no_more(release):
    logs = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/codepipeline/Shop-Pipeline"
    project = "arn:<AWS::Partition>:codebuild:<AWS::Region>:<AWS::AccountId>:project/Check"
    assert allowed(release, "RolePolicy") == {
        "cloudwatch:DescribeAlarms on *",
        f"lambda:InvokeFunction on {FUNCTION_ARN}",
        *(
            f"logs:{action} on {logs}{end}"
            for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")
            for end in ("", ":*")
        ),
        *(
            f"codebuild:{action} on {project}"
            for action in ("BatchGetBuilds", "StartBuild", "BatchGetBuildBatches", "StartBuildBatch")
        ),
    }


def test_each_condition_has_its_result(release):
    results = {
        (each["Name"], slot): each[slot]["Conditions"][0]["Result"]
        for each in only(release, "AWS::CodePipeline::Pipeline")["Stages"]
        for slot in ("BeforeEntry", "OnSuccess", "OnFailure")
        if "Conditions" in each.get(slot, {})
    }
    assert results == {
        ("EachRule", "BeforeEntry"): "FAIL",
        ("EachRule", "OnSuccess"): "FAIL",
        ("EachRule", "OnFailure"): "ROLLBACK",
        ("Skipped", "BeforeEntry"): "SKIP",
        ("Small", "OnSuccess"): "ROLLBACK",
        ("Large", "OnSuccess"): "ROLLBACK",
        ("Frozen", "BeforeEntry"): "FAIL",
    }


def test_a_stage_rolls_back_or_tries_once_more_without_any_rule(release):
    assert stage(release, "Small")["OnFailure"] == {"Result": "ROLLBACK"}
    assert stage(release, "Large")["OnFailure"] == {
        "Result": "RETRY",
        "RetryConfiguration": {"RetryMode": "ALL_ACTIONS"},
    }


def test_a_bake_rolls_back_when_an_alarm_of_the_gate_goes_off(release):
    (condition,) = stage(release, "Small")["OnSuccess"]["Conditions"]
    assert [rule["Configuration"] for rule in condition["Rules"]] == [
        {"AlarmName": "Small0", "WaitTime": "30"},
        {"AlarmName": "Small1", "WaitTime": "30"},
    ]


def test_a_bake_with_more_alarms_than_rules_looks_at_all_of_them_at_once_and_at_later_ones(release):
    (condition,) = stage(release, "Large")["OnSuccess"]["Conditions"]
    (rule,) = condition["Rules"]
    composite = only(release, "AWS::CloudWatch::CompositeAlarm")
    assert text_of(rule["Configuration"]["AlarmName"]).startswith("<LargeComposite")
    assert text_of(composite["AlarmRule"]) == " OR ".join(
        f'ALARM("{ALARM_ARN}:{name}")' for name in (*(f"Large{number}" for number in range(6)), "Late")
    )


def test_fails_when_a_later_alarm_would_go_unwatched():
    stack = a_stack()
    gate = a_gate(stack, 5)
    bake(gate, Duration.minutes(5))
    with refuses("after a bake had taken the gate's alarms", at="Shop/Late", fix="add it before bake()"):
        gate.add_alarm(an_alarm(stack, "Late"))


def test_fails_when_there_is_nothing_to_bake_with_or_no_time_for_it():
    gate = HealthGate(a_stack(), "Health")
    with refuses("wait=0.5 minutes", at="bake", fix="use whole minutes"):
        bake(gate, Duration.seconds(30))
    with refuses("'Shop/Health', which has no alarms", at="Shop/Health", fix="add one with watch()"):
        bake(gate, Duration.minutes(5))


@pytest.mark.parametrize(
    ("wait", "problem"),
    [
        (Duration.seconds(30), "wait=0.5 minutes"),
        (Duration.seconds(90), "wait=1.5 minutes"),
        (Duration.minutes(0), "wait=0 minutes"),
        (Duration.minutes(86_401), "wait=86401 minutes"),
    ],
    ids=["half_a_minute", "a_minute_and_a_half", "none", "more_than_60_days"],
)
def test_fails_when_codepipeline_could_not_wait_so_long(wait, problem):
    with refuses(problem, at="AlarmRule", fix="use whole minutes, Duration.minutes(1) to Duration.minutes(86400)"):
        AlarmRule(alarm=an_alarm(a_stack()), wait=wait)


def test_fails_when_only_the_deployment_knows_the_wait():
    stack = a_stack()
    later = Duration.minutes(CfnParameter(stack, "Minutes", type="Number").value_as_number)
    with refuses("only known when the stack is deployed", at="AlarmRule", fix="use whole minutes"):
        AlarmRule(alarm=an_alarm(stack), wait=later)


def test_fails_when_an_alarm_rule_is_given_something_else():
    stack = a_stack()
    with refuses("str where an alarm belongs", at="AlarmRule", fix="from_alarm_name("):
        AlarmRule(alarm="Errors")  # type: ignore[arg-type]
    with refuses("alarm state 'OK'", at="AlarmRule", fix="cloudwatch.AlarmState.OK"):
        AlarmRule(alarm=an_alarm(stack), alarm_states=["OK"])  # type: ignore[list-item]
    with refuses("an alarm state twice", at="AlarmRule", fix="once"):
        AlarmRule(alarm=an_alarm(stack, "Other"), alarm_states=[STATE.OK, STATE.OK])


@pytest.mark.parametrize(
    "cron",
    [
        "* * 9-17 ? * MON-FRI *",
        "* * 9-17 ? * MON-FRI",
        "* 0-29,45 */2 ? JAN,MAR-MAY tue 2026-2199",
        "* * 0/4 L-3 * ? *",
        "* * * LW * ?",
        "* * * 15W * ?",
        "* * * ? * 6L",
        "* * * ? * FRI#3",
        "* * * 29 FEB ?",
        "* * 22-23,0-3 ? * *",
    ],
)
def test_cron_expressions_of_aws_are_taken(cron):
    assert DeploymentWindowRule(cron=cron).cron == cron


@pytest.mark.parametrize(
    ("cron", "problem", "fix"),
    [
        ("9-17 * * * *", "has 5 fields", "write seconds, minutes, hours"),
        ("* * 9-17 ? * MON-FRI * *", "has 8 fields", "write seconds, minutes, hours"),
        ("0 0 9-17 ? * MON-FRI *", "'0' for its seconds", "write * as the first field"),
        ("* 60 * ? * MON", "'60' for its minutes", "use 0-59"),
        ("* * 24 ? * MON", "'24' for its hours", "use 0-23"),
        ("* * 22-4 ? * MON", "'22-4' for its hours", "ranges that go up"),
        ("* * 9-17 ? 0 MON", "'0' for its month", "use 1-12 or JAN-DEC"),
        ("* * 9-17 ? * 8", "'8' for its day-of-week", "use 1-7 or SUN-SAT"),
        ("* * 9-17 ? * MO", "'MO' for its day-of-week", "use 1-7 or SUN-SAT"),
        ("* * 9-17 ? * 6#6", "'6#6' for its day-of-week", ", - * ? / L #"),
        ("* * 9-17 15W,20 * ?", "'15W' for its day-of-month", "use 1-31"),
        ("* * 9-17 ? * MON 1969", "'1969' for its year", "use 1970-2199"),
        ("* */0 9-17 ? * MON", "'*/0' for its minutes", "use 0-59"),
        ("* 5, 9-17 ? * MON", "'' for its minutes", "use 0-59"),
        ("* * L ? * MON", "'L' for its hours", "use 0-23"),
        ("* * 9-17 * * MON", "'*' for its day-of-month and 'MON' for its day-of-week", "write ? for one"),
        ("* * 9-17 ? * ?", "'?' for its day-of-month and '?' for its day-of-week", "write ? for one"),
        ("* * * 30,31 FEB ?", "never true: no such month has a day 30", "use a day that the months have"),
        ("* * * 31 4,6 ?", "never true: no such month has a day 31", "use a day that the months have"),
    ],
)
def test_fails_when_a_window_is_no_cron_expression_or_never_opens(cron, problem, fix):
    with refuses(f"cron {cron!r}", problem, at="DeploymentWindowRule", fix=fix):
        DeploymentWindowRule(cron=cron)


@pytest.mark.parametrize("zone", ["UTC", "UTC+05:30", "UTC-03:00", BERLIN, "America/New_York", "America/Buenos_Aires"])
def test_time_zones_of_aws_are_taken(zone):
    assert DeploymentWindowRule(cron="* * * ? * MON", time_zone=zone).time_zone == zone


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("PST", "abbreviation: several zones share it"),
        ("CET", "abbreviation: several zones share it"),
        ("Europe/Berln", "'Europe/Berln' is none"),
        ("europe/berlin", "'europe/berlin' is none"),
        ("America/Argentina/Buenos_Aires", "'America/Argentina/Buenos_Aires' is no Region/City, the form that"),
        ("UTC+5", "'UTC+5' is none"),
        ("UTC+15:00", "'UTC+15:00' is none"),
        ("../etc/passwd", "'../etc/passwd' is none"),
        ("", "'' is none"),
    ],
)
def test_fails_when_there_is_no_such_time_zone_or_several(zone, problem):
    with refuses(problem, at="DeploymentWindowRule", fix="Europe/Berlin"):
        DeploymentWindowRule(cron="* * * ? * MON", time_zone=zone)


WEEK = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
HOURS = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda hours: hours[0] < hours[1])
WEEK_DAYS = st.lists(st.sampled_from(WEEK), min_size=1, unique=True)


@given(days=WEEK_DAYS, hours=HOURS)
def test_every_weekly_window_is_a_cron_expression(days, hours):
    cron = weekly_cron("here", ",".join(days), hours)
    check_cron("here", cron)
    assert cron.split()[2] == f"{hours[0]}-{hours[1] - 1}"


@given(
    days=WEEK_DAYS,
    hours=HOURS,
    zone=st.sampled_from([BERLIN, "America/New_York", "UTC", "Asia/Kathmandu"]),
    first=st.dates(date(2026, 1, 1), date(2030, 1, 1)),
    length=st.integers(0, 20),
    before=st.integers(0, 14 * 24),
)
def test_nothing_that_waits_for_the_window_to_open_gets_into_a_freeze(days, hours, zone, first, length, before):
    last = first + timedelta(days=length)
    start, end = frozen_between("here", first, last, days=",".join(days), hours=hours, time_zone=zone)
    midnight = datetime.combine(first, time(), ZoneInfo(zone))
    assert start <= midnight.timestamp()
    assert end == datetime.combine(last + timedelta(days=1), time(), ZoneInfo(zone)).timestamp()

    def is_open(local):
        return WEEK[local.isoweekday() % 7] in days and hours[0] <= local.hour < hours[1]

    # Wall clock, as the window is told.
    came = datetime.combine(first, time()) - timedelta(hours=before)
    opening = next(hour for step in range(8 * 24) if is_open(hour := came + timedelta(hours=step)))
    gets_in = came.replace(tzinfo=ZoneInfo(zone)).timestamp() < start
    assert gets_in == (opening.date() < first)


def run(command, now, tmp_path):
    """The command, on a machine whose clock shows the time given."""
    clock = tmp_path / "date"
    clock.write_text(f"#!/bin/sh\n{'exit 1' if now is None else f'echo {int(now.timestamp())}'}\n")
    clock.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", command],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("now", "enters"),
    [
        (datetime(2026, 12, 23, 16, 59, tzinfo=ZoneInfo(BERLIN)), True),
        (datetime(2026, 12, 23, 17, 0, tzinfo=ZoneInfo(BERLIN)), False),
        (datetime(2026, 12, 24, 12, 0, tzinfo=ZoneInfo(BERLIN)), False),
        (datetime(2026, 12, 24, 22, 59, tzinfo=UTC), False),
        (datetime(2026, 12, 24, 23, 0, tzinfo=UTC), True),
        (None, False),
    ],
    ids=str,
)
def test_a_frozen_day_lets_nothing_in_and_neither_does_a_broken_clock(release, now, enters, tmp_path):
    frozen = rules(release, "Frozen", "BeforeEntry")
    assert frozen["DeploymentWindow"]["Configuration"] == {"Cron": "* * 9-16 ? * MON-FRI *", "TimeZone": BERLIN}
    (command,) = frozen["Commands"]["Commands"]
    assert re.search("freeze from 2026-12-24 to 2026-12-24, Europe/Berlin", command)
    done = run(command, now, tmp_path)
    assert (done.returncode == 0) is enters
    assert ("Change freeze" in done.stdout) is not enters


def test_a_freeze_may_be_days_alone_or_hours_alone():
    (window,) = change_freeze(time_zone="UTC+05:30", open_hours=(9, 17)).rules
    assert window == DeploymentWindowRule(cron="* * 9-16 ? * * *", time_zone="UTC+05:30")
    (commands,) = change_freeze(time_zone="UTC+05:30", frozen=[(date(2026, 12, 24), date(2027, 1, 1))]).rules
    assert isinstance(commands, CommandsRule)
    start, end = map(int, re.findall(r"-(?:lt|ge) (\d+)", commands.commands[0]))
    assert (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)) == (
        datetime(2026, 12, 23, 18, 30, tzinfo=UTC),
        datetime(2027, 1, 1, 18, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({}, "open at any time", "give open_days="),
        ({"time_zone": "CET", "open_days": "MON"}, "'CET'", "Europe/Berlin"),
        ({"open_hours": (17, 9)}, "from 17 to 9 o'clock", "0 to 24"),
        ({"open_hours": (9, 25)}, "from 9 to 25 o'clock", "0 to 24"),
        ({"open_days": "MON-FRY"}, "'MON-FRY'", "1-7 or SUN-SAT"),
        ({"open_days": "FRI#3"}, "'FRI#3' are not the same each week", "MON-FRI or MON,WED"),
        ({"frozen": [(date(2027, 1, 1), date(2026, 12, 24))]}, "from 2027-01-01 to 2026-12-24", "first frozen day"),
        ({"frozen": ["2026-12-24"]}, "frozen time '2026-12-24'", "give a date(…)"),
        ({"frozen": [(date(2026, 12, 24),)]}, "frozen time (datetime.date(2026, 12, 24),)", "the first and the last"),
        ({"frozen": [date(2027, 1, 1)] * 51}, "51 frozen times", "as (first, last)"),
    ],
    ids=str,
)
def test_fails_when_a_freeze_is_none_or_at_no_such_time(settings, problem, fix):
    with refuses(problem, at="change_freeze", fix=fix):
        change_freeze(**{"time_zone": BERLIN, **settings})


@pytest.mark.parametrize("operator", ["EQ", "NE", "CONTAINS", "MATCHES"])
def test_every_operator_of_aws_is_taken(operator):
    assert VariableCheckRule(variable="#{a.b}", operator=operator, value="x").operator == operator


@pytest.mark.parametrize(
    "pattern",
    [
        r"v\d+\.\d+",
        r"\p{Lu}\P{L}\pL",
        r"(?<major>\d+)-\k<major>",
        r"[a-z&&[^bc]]",
        r"\Q.*+?(\E!",
        r"(?<=v{1,3})\d++",
        r"release(?i)-candidate",
        r"\x{1F600}\R\h\cJ",
        r"(?d-s:x)",
    ],
)
def test_regular_expressions_of_java_are_taken(pattern):
    assert VariableCheckRule(variable="#{a.b}", operator="MATCHES", value=pattern).value == pattern


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"variable": "SourceVariables.BranchName"}, "'SourceVariables.BranchName'", "write #{namespace.key}"),
        ({"variable": "#{BranchName}"}, "'#{BranchName}'", "write #{namespace.key}"),
        ({"variable": "#{a.b}-#{c.d}"}, "'#{a.b}-#{c.d}'", "write #{namespace.key}"),
        ({"operator": "=="}, "operator '=='", "EQ, NE, CONTAINS, MATCHES"),
        ({"operator": "GT"}, "operator 'GT'", "EQ, NE, CONTAINS, MATCHES"),
        ({"value": ""}, "value of 0 characters", "use 1 to 10000"),
        ({"value": "x" * 10_001}, "value of 10001 characters", "use 1 to 10000"),
        ({"operator": "MATCHES", "value": "v[0-9"}, "'v[0-9' is no regular expression", "Java's syntax"),
        ({"operator": "MATCHES", "value": "(v"}, "'(v' is no regular expression", "Java's syntax"),
        ({"operator": "MATCHES", "value": "*"}, "'*' is no regular expression", "Java's syntax"),
    ],
    ids=str,
)
def test_fails_when_a_variable_could_not_be_checked(settings, problem, fix):
    with refuses(problem, at="VariableCheckRule", fix=fix):
        VariableCheckRule(**{"variable": "#{a.b}", "operator": "EQ", "value": "x", **settings})


@pytest.mark.parametrize(
    ("commands", "problem", "fix"),
    [
        ([], "0 commands", "give 1 to 50"),
        (["true"] * 51, "51 commands", "give 1 to 50"),
        ("npm test", "commands='npm test' is no list", "write commands=[…]"),
        (["if true\nthen true; fi"], "has several lines", "each line as a command"),
        (["  "], "a command of 0 characters", "use 1 to 1000"),
        (["x" * 1001], "a command of 1001 characters", "use 1 to 1000"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_fails_when_codepipeline_would_refuse_the_commands(commands, problem, fix):
    with refuses(problem, at="CommandsRule", fix=fix):
        CommandsRule(commands=commands)


def test_fails_when_a_rule_takes_too_many_artifacts_or_one_twice():
    many = [f"A{number}" for number in range(11)]
    function, build = a_function(a_stack()), ABuild(a_stack())
    with refuses("11 input artifacts", at="CommandsRule", fix="give at most 10"):
        CommandsRule(commands=["true"], input_artifacts=many)
    with refuses("6 input artifacts", at="LambdaRule", fix="give at most 5"):
        LambdaRule(function=function, input_artifacts=many[:6])
    with refuses("6 input artifacts", at="CodeBuildRule", fix="give at most 5"):
        CodeBuildRule(build=build, input_artifacts=many[:6])
    with refuses("an input artifact twice", at="CodeBuildRule", fix="once"):
        CodeBuildRule(build=build, input_artifacts=["Build", "Build"])


def test_fails_when_a_build_rule_could_not_work():
    build = ABuild(a_stack())
    with refuses("primary_source='App'", at="CodeBuildRule", fix="name one of input_artifacts"):
        CodeBuildRule(build=build, input_artifacts=["Build"], primary_source="App")
    with refuses("'my-app' has '-' in it", at="CodeBuildRule", fix="out of [A-Za-z0-9_]"):
        CodeBuildRule(build=build, input_artifacts=["my-app", "Infra"], primary_source="Infra")
    assert CodeBuildRule(build=build, input_artifacts=["my-app", "Infra"]).primary_source is None
    with refuses("combine_artifacts without a batch", at="CodeBuildRule", fix="batch=True"):
        CodeBuildRule(build=build, combine_artifacts=True)
    with refuses("CodePipeline takes 1 to 1000", at="CodeBuildRule", fix="set on the project what is the same"):
        CodeBuildRule(build=build, environment_variables={"TEXT": "x" * 1000})
    with refuses("variable PASSWORD holds", at="CodeBuildRule", fix="keep it in Secrets Manager"):
        CodeBuildRule(build=build, environment_variables={"PASSWORD": "hunter2"})
    single = BuildProject(a_stack(), "Single")
    with refuses(
        "a batch of a project without batch builds", at="Shop/Single/Project", fix="give the BuildProject batch="
    ):
        CodeBuildRule(build=single, batch=True)
    with refuses("PipelineProject where a build belongs", at="CodeBuildRule", fix="give a BuildProject"):
        CodeBuildRule(build=codebuild.PipelineProject(a_stack(), "Project"))  # type: ignore[arg-type]


def test_a_build_may_read_the_secrets_that_a_rule_gives_it():
    stack = a_stack()
    secret = secretsmanager.Secret.from_secret_complete_arn(stack, "Secret", SECRET)
    build = BuildProject(stack, "Check")
    made = CodeBuildRule(build=build, environment_variables={"TOKEN": secret}).stage_rule(a_rule_context())
    assert json.loads(made.configuration["EnvironmentVariables"]) == [
        {"name": "TOKEN", "value": SECRET, "type": "SECRETS_MANAGER"}
    ]
    assert f"secretsmanager:GetSecretValue on {SECRET}" in allowed(synthesized(stack), "CheckRolePolicy")


def test_fails_when_a_build_of_ones_own_cannot_be_let_read_a_secret():
    stack = a_stack()
    secret = secretsmanager.Secret.from_secret_complete_arn(stack, "Secret", SECRET)
    rule = CodeBuildRule(build=ABuild(stack), environment_variables={"TOKEN": secret})
    with refuses("ABuild has no allow()", at="CodeBuildRule", fix="set them on the project"):
        rule.stage_rule(a_rule_context())


@pytest.mark.parametrize("variable", ["#{SourceVariables.CommitMessage}", "#{AppVariables.PullRequestTitle}"])
def test_fails_when_what_somebody_wrote_would_break_the_json_of_a_setting(variable):
    with refuses(f"user_parameters has {variable} in it", at="LambdaRule", fix="give the CommitId"):
        LambdaRule(function=a_function(a_stack()), user_parameters={"message": f"of {variable}"})
    with refuses(f"environment_variables has {variable} in it", at="CodeBuildRule", fix="give the CommitId"):
        CodeBuildRule(build=ABuild(a_stack()), environment_variables={"MESSAGE": variable})


def test_fails_when_a_lambda_rule_is_given_something_else_or_too_much():
    with refuses("str where a function belongs", at="LambdaRule", fix="give the function itself"):
        LambdaRule(function="gate")  # type: ignore[arg-type]
    with refuses("user_parameters='ticket'", at="LambdaRule", fix='{"ticket": "OPS-1"}'):
        LambdaRule(function=a_function(a_stack()), user_parameters="ticket")  # type: ignore[arg-type]
    with refuses("user_parameters of 10009 characters", at="LambdaRule", fix="use 1 to 10000"):
        LambdaRule(function=a_function(a_stack()), user_parameters={"k": "x" * 10_000})


@pytest.mark.parametrize("name", ["", "my rule", "x" * 101, "${Token[TOKEN.1]}"])
def test_fails_when_a_rule_could_not_be_called_so(name):
    with refuses(f"rule name {name!r}", at="CommandsRule", fix="give 1 to 100 characters"):
        CommandsRule(commands=["true"], name=name)


def test_fails_when_two_rules_have_one_name():
    named = CommandsRule(commands=["true"], name="Check")
    with refuses("two rules of one condition are called 'Check'", at="BeforeEntry", fix="a name of its own"):
        BeforeEntry(rules=[named, named])
    with refuses("two rules of stage 'Production' are called 'Check'", at="Shop", fix="a name of its own"):
        stage_conditions(
            a_stack(),
            a_rule_context(),
            before_entry=BeforeEntry(rules=[named]),
            on_success=OnSuccess(rules=[named], result=FAIL),
        )


TEST = CommandsRule(commands=["true"])


def wrong(value: object) -> Any:
    """A value of a type that a type checker would refuse."""
    return value


@pytest.mark.parametrize(
    ("condition", "problem", "at", "fix"),
    [
        (lambda: BeforeEntry(rules=[]), "0 rules", "BeforeEntry", "give 1 to 5"),
        (lambda: BeforeEntry(rules=[TEST] * 6), "6 rules", "BeforeEntry", "give 1 to 5"),
        (lambda: OnSuccess(rules=[], result=FAIL), "0 rules", "OnSuccess", "give 1 to 5"),
        (lambda: OnFailure(rules=[TEST] * 6, result=ROLLBACK), "6 rules", "OnFailure", "give 1 to 5"),
        (lambda: BeforeEntry(rules=wrong(TEST)), "rules=CommandsRule is no list", "BeforeEntry", "write rules=[…]"),
        (lambda: BeforeEntry(rules=[wrong("true")]), "str where a rule belongs", "BeforeEntry", "AlarmRule("),
        (lambda: BeforeEntry(rules=[TEST], result=ROLLBACK), "result=Result.ROLLBACK", "BeforeEntry", "Result.SKIP"),
        (
            lambda: BeforeEntry(rules=[TEST], result=wrong("FAIL")),
            "result=FAIL",
            "BeforeEntry",
            "codepipeline.Result.FAIL",
        ),
        (lambda: BeforeEntry(rules=[TEST], result=SKIP), "a Commands rule that skips", "BeforeEntry", "VariableCheck"),
        (lambda: OnSuccess(rules=[TEST], result=RETRY), "result=Result.RETRY", "OnSuccess", "Result.ROLLBACK"),
        (lambda: OnSuccess(rules=[TEST], result=SKIP), "result=Result.SKIP", "OnSuccess", "Result.ROLLBACK"),
        (lambda: OnFailure(result=SKIP), "result=Result.SKIP", "OnFailure", "Result.RETRY"),
        (lambda: OnFailure(result=FAIL), "that has failed", "OnFailure", "leave on_failure out"),
        (
            lambda: OnFailure(result=RETRY, retry_mode=codepipeline.RetryMode.ALL_ACTIONS, rules=[TEST]),
            "a retry with rules",
            "OnFailure",
            "leave the rules out",
        ),
        (lambda: OnFailure(result=RETRY), "a retry without a retry mode", "OnFailure", "FAILED_ACTIONS"),
        (
            lambda: OnFailure(result=ROLLBACK, retry_mode=codepipeline.RetryMode.ALL_ACTIONS),
            "a retry mode without a retry",
            "OnFailure",
            "or neither",
        ),
    ],
)
def test_fails_when_codepipeline_would_refuse_the_condition(condition, problem, at, fix):
    with refuses(problem, at=at, fix=fix):
        condition()


def test_a_function_and_a_variable_may_skip_a_stage():
    function = LambdaRule(function=a_function(a_stack()))
    assert BeforeEntry(rules=[IS_MAIN, function], result=SKIP).result is SKIP


@pytest.mark.parametrize(
    "conditions",
    [{"on_failure": OnFailure(result=ROLLBACK)}, {"on_success": OnSuccess(rules=[TEST], result=ROLLBACK)}],
    ids=lambda conditions: next(iter(conditions)),
)
def test_fails_when_a_rollback_is_not_to_be_had(conditions):
    with refuses("does not do in PARALLEL mode", at="Shop", fix="use another execution_mode"):
        stage_conditions(a_stack(), a_rule_context(), execution_mode=PARALLEL, **conditions)
    with refuses("rolls no source back", at="Shop", fix="use another result"):
        stage_conditions(a_stack(), a_rule_context(stage_name="Source"), source_stage=True, **conditions)


def test_parallel_pipelines_and_sources_may_retry_and_fail():
    made = stage_conditions(
        a_stack(),
        a_rule_context(),
        before_entry=BeforeEntry(rules=[IS_MAIN]),
        on_success=OnSuccess(rules=[TEST], result=FAIL),
        on_failure=OnFailure(result=RETRY, retry_mode=codepipeline.RetryMode.FAILED_ACTIONS),
        execution_mode=PARALLEL,
        source_stage=True,
    )
    assert made.before_entry is not None
    assert made.on_success is not None
    assert made.on_failure is not None
    assert made.on_failure.retry_mode is codepipeline.RetryMode.FAILED_ACTIONS


def entry(rule, **settings):
    return stage_conditions(a_stack(), a_rule_context(**settings), before_entry=BeforeEntry(rules=[rule]))


def test_fails_when_a_rule_reads_what_there_is_not_or_what_it_cannot_read():
    report = CommandsRule(commands=["true"], input_artifacts=["Report"])
    with refuses("'Report', which there is not", "'Production-BeforeEntry-Commands'", at="Shop", fix="Source, Build"):
        entry(report, stage_artifacts=["Report"])
    with refuses("'Source', a full clone", at="Shop", fix="use a CodeBuildRule"):
        entry(CommandsRule(commands=["true"], input_artifacts=["Source"]), only_for_builds=frozenset({"Source"}))


def test_what_actions_of_the_stage_make_is_there_after_they_succeeded_and_not_before():
    report = CommandsRule(commands=["true"], input_artifacts=["Report"])
    deployed = VariableCheckRule(variable="#{Deploy.Version}", operator="NE", value="0")
    context = a_rule_context(stage_artifacts=["Report"], namespaces=["SourceVariables"], stage_namespaces=["Deploy"])
    made = stage_conditions(a_stack(), context, on_success=OnSuccess(rules=[report, deployed], result=FAIL))
    assert made.on_success is not None
    with refuses("'#{Deploy.Version}'", at="Shop", fix="SourceVariables, codepipeline, variables"):
        stage_conditions(a_stack(), context, before_entry=BeforeEntry(rules=[deployed]))
    with refuses("'Report', which there is not", at="Shop", fix="Source, Build"):
        stage_conditions(a_stack(), context, on_failure=OnFailure(result=ROLLBACK, rules=[report]))


def test_a_build_reads_a_full_clone():
    build = ABuild(a_stack())
    made = entry(CodeBuildRule(build=build, input_artifacts=["Source"]), only_for_builds=frozenset({"Source"}))
    assert made.builds == [build]


def test_fails_when_a_rule_asks_in_another_account_or_region():
    here = {"account": "222222222222", "region": "eu-west-1"}
    with refuses("an alarm of account 111111111111", at="Shop", fix="use one of account 222222222222"):
        entry(AlarmRule(alarm=an_alarm(a_stack())), **here)
    far = "arn:aws:lambda:us-east-1:222222222222:function:gate"
    with refuses("a function of Region us-east-1", at="Shop", fix="use one of Region eu-west-1"):
        entry(LambdaRule(function=a_function(a_stack(), function_arn=far)), **here)


def test_parameters_are_let_through():
    text = CfnParameter(a_stack(), "Text").value_as_string
    assert DeploymentWindowRule(cron=text, time_zone=text).cron == text
    assert VariableCheckRule(variable=text, operator="MATCHES", value=text).value == text
    assert CommandsRule(commands=[text]).commands == [text]


def test_fails_when_a_bake_or_a_freeze_gets_something_of_another_kind():
    gate = HealthGate(a_stack(), "Health")
    with refuses("health='alarms'", at="bake", fix="give a HealthGate"):
        bake("alarms", Duration.minutes(5))  # type: ignore[arg-type]
    with refuses("wait=5", at="bake", fix="write Duration.minutes(30)"):
        bake(gate, 5)  # type: ignore[arg-type]
    with refuses("open_days=a list", at="change_freeze", fix="open_days='MON-FRI'"):
        change_freeze(time_zone="UTC", open_days=["MON"])  # type: ignore[arg-type]
    with refuses("open_hours='9-17'", at="change_freeze", fix="open_hours=(9, 17)"):
        change_freeze(time_zone="UTC", open_hours="9-17")  # type: ignore[arg-type]
