"""The health gate: alarms that can fire, for every deployment that asked, whenever they were added."""

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import HealthGate
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import _PERCENTILE, _PUBLISHED, check_published
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, of_type, only, refuses

NAMED = ("Average", "Minimum", "Maximum", "Sum", "SampleCount")
PERCENTILES = ("p50", "p95", "p99.9", "p0", "tm90", "tc90", "ts90", "wm98.5")


def of_application(name="orders"):
    return cloudwatch.Metric(namespace="Shop", metric_name=name)


def an_alarm(stack, number=0):
    return cloudwatch.Alarm.from_alarm_arn(
        stack, f"Alarm{number}", f"arn:aws:cloudwatch:eu-west-1:111111111111:alarm:{number}"
    )


@pytest.fixture(scope="module")
def template():
    app = App()
    told = Stack(app, "Told")
    topic = sns.Topic(told, "Topic", master_key=kms.Key(told, "Key"))
    HealthGate(told, "Health", topic=topic).watch(
        "Orders", metric=of_application(), threshold=5, evaluation_periods=3, description="Orders are lost"
    )
    return synthesized(told)


@pytest.fixture(scope="module")
def target_group_alarms():
    stack = Stack(App(), "Balanced")
    HealthGate(stack, "Health").watch_target_group(
        target_group="targetgroup/shop/0123456789abcdef", load_balancer="app/shop/0123456789abcdef"
    )
    return of_type(synthesized(stack), "AWS::CloudWatch::Alarm")


def test_an_alarm_fires_at_its_threshold(template):
    alarm = only(template, "AWS::CloudWatch::Alarm")
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (5, 3)
    assert alarm["AlarmDescription"] == "Orders are lost"


def test_a_service_without_traffic_is_healthy(template, target_group_alarms):
    alarms = [only(template, "AWS::CloudWatch::Alarm"), *target_group_alarms.values()]
    assert {alarm["TreatMissingData"] for alarm in alarms} == {"notBreaching"}


def test_alarms_report_to_the_topic_when_there_is_one(template, target_group_alarms):
    (topic,) = of_type(template, "AWS::SNS::Topic")
    assert only(template, "AWS::CloudWatch::Alarm")["AlarmActions"] == [{"Ref": topic}]
    assert not any("AlarmActions" in alarm for alarm in target_group_alarms.values())


def test_a_target_group_is_watched_for_errors_hosts_and_latency(target_group_alarms):
    watched = {
        (alarm["MetricName"], alarm.get("Statistic") or alarm["ExtendedStatistic"])
        for alarm in target_group_alarms.values()
    }
    assert watched == {
        ("HTTPCode_Target_5XX_Count", "Sum"),
        ("UnHealthyHostCount", "Maximum"),
        ("TargetResponseTime", "p95"),
    }
    for alarm in target_group_alarms.values():
        assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
            "TargetGroup": "targetgroup/shop/0123456789abcdef",
            "LoadBalancer": "app/shop/0123456789abcdef",
        }


def test_alarms_are_kept_in_order_and_users_hear_of_those_that_come_later():
    stack = a_stack()
    first, second, third = (an_alarm(stack, number) for number in range(3))
    gate = HealthGate(stack, "Health", alarms=[first])
    gate.add_alarm(second)
    served: list[cloudwatch.IAlarm] = []
    gate.on_added(served.append)
    gate.add_alarm(third)
    watched = gate.watch("Orders", metric=of_application(), threshold=1)
    assert served == [third, watched]
    assert list(gate.alarms) == [first, second, third, watched]


def test_fails_when_a_gate_without_alarms_should_stop_a_release():
    stack = a_stack()
    gate = HealthGate(stack, "Health")
    with refuses("'Shop/Health' has no alarms", at="Shop", fix="add one with watch() or add_alarm() first"):
        gate.check_alarms(stack)


def test_fails_when_an_alarm_is_added_twice():
    stack = a_stack()
    alarm = an_alarm(stack)
    gate = HealthGate(stack, "Health", alarms=[alarm])
    with refuses("in this health gate already", at="Shop/Alarm0", fix="add each alarm once"):
        gate.add_alarm(alarm)


def test_fails_when_there_are_more_alarms_than_codedeploy_takes():
    stack = a_stack()
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack, number) for number in range(50)])
    with refuses("more than 50 alarms", at="Shop/Health", fix="put some of them into a cloudwatch.CompositeAlarm"):
        gate.add_alarm(an_alarm(stack, 50))
    assert len(gate.alarms) == 50


@pytest.mark.parametrize(("alarms", "warnings"), [(10, 0), (12, 1)])
def test_says_once_that_more_than_ten_alarms_may_be_too_many(alarms, warnings):
    stack = a_stack()
    HealthGate(stack, "Health", alarms=[an_alarm(stack, number) for number in range(alarms)])
    found = Annotations.from_stack(stack).find_warning("/Shop/Health", Match.string_like_regexp("more than 10 alarms"))
    assert len(found) == warnings


@pytest.mark.parametrize("periods", [0, -1])
def test_fails_when_an_alarm_would_evaluate_nothing(periods):
    gate = HealthGate(a_stack(), "Health")
    with refuses(str(periods), "'Orders'", at="Shop/Health", fix="use 1 to 288"):
        gate.watch("Orders", metric=of_application(), threshold=1, evaluation_periods=periods)
    gate.watch("Orders", metric=of_application(), threshold=1, evaluation_periods=1)


def test_evaluation_periods_from_a_parameter_are_let_through():
    stack = a_stack()
    periods = CfnParameter(stack, "Periods", type="Number").value_as_number
    HealthGate(stack, "Health").watch("Orders", metric=of_application(), threshold=1, evaluation_periods=periods)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("minutes", "most"),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    # A day in periods below an hour, a week in longer ones.
    [(5, 288), (60, 168)],
)
def test_fails_when_an_alarm_looks_back_further_than_cloudwatch_does(minutes, most):
    gate = HealthGate(a_stack(), "Health")
    metric = cloudwatch.Metric(namespace="Shop", metric_name="orders", period=Duration.minutes(minutes))
    gate.watch("Longest", metric=metric, threshold=1, evaluation_periods=most)
    with pytest.raises(ConfigurationError, match=str(most)) as caught:
        gate.watch("TooLong", metric=metric, threshold=1, evaluation_periods=most + 1)
    assert str(most + 1) in caught.value.problem


TABLE = [(namespace, name) for namespace, metrics in _PUBLISHED.items() for name in metrics]


@given(
    place=st.sampled_from(TABLE),
    statistic=st.sampled_from([*NAMED, *PERCENTILES, "p", "95", "p100.5", ""]),
    data=st.data(),
)
def test_of_each_metric_the_listed_statistics_are_accepted_and_no_others(place, statistic, data):
    namespace, name = place
    metric = _PUBLISHED[namespace][name]
    dimensions = dict.fromkeys(data.draw(st.sampled_from(metric.dimensions)), "x")
    listed = set(metric.statistics.split("|")) & set(NAMED)
    if _PERCENTILE in metric.statistics:
        listed |= set(PERCENTILES)
    if statistic in listed:
        check_published("Health", namespace=namespace, name=name, statistic=statistic, dimensions=dimensions)
    else:
        with refuses(repr(statistic), f"{namespace} {name}", at="Health", fix="use "):
            check_published("Health", namespace=namespace, name=name, statistic=statistic, dimensions=dimensions)


@given(
    place=st.sampled_from(TABLE),
    dimensions=st.sets(st.sampled_from(["LoadBalancer", "TargetGroup", "AvailabilityZone", "ProjectName", "Stage"])),
)
def test_of_each_metric_the_listed_sets_of_dimensions_are_accepted_and_no_others(place, dimensions):
    namespace, name = place
    metric = _PUBLISHED[namespace][name]
    statistic = metric.statistics.split("|")[0]
    values = dict.fromkeys(dimensions, "x")
    if frozenset(dimensions) in metric.dimensions:
        check_published("Health", namespace=namespace, name=name, statistic=statistic, dimensions=values)
    else:
        with refuses(str(sorted(dimensions)), f"{namespace} {name}", at="Health", fix="use "):
            check_published("Health", namespace=namespace, name=name, statistic=statistic, dimensions=values)


@pytest.mark.parametrize(
    ("namespace", "name", "dimensions"),
    [
        # https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch-utilization-metrics.html
        ("AWS/CodeBuild", "MemoryUtilizedPercent", ["ProjectName"]),
        ("AWS/CodeBuild", "CPUUtilizedPercent", ["ProjectName", "BuildId", "BuildNumber"]),
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
        ("AWS/ApplicationELB", "HTTP_Redirect_Count", ["LoadBalancer"]),
        ("AWS/ApplicationELB", "GrpcRequestCount", ["LoadBalancer"]),
        ("AWS/ApplicationELB", "LambdaUserError", ["TargetGroup", "LoadBalancer"]),
        ("AWS/ApplicationELB", "UnhealthyRoutingRequestCount", ["TargetGroup", "LoadBalancer"]),
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
        ("AWS/NetworkELB", "NewFlowCount_TLS", ["LoadBalancer"]),
        ("AWS/NetworkELB", "TargetTLSNegotiationErrorCount", ["LoadBalancer"]),
    ],
)
def test_metrics_that_aws_does_publish_are_not_refused(namespace, name, dimensions):
    statistic = "Average" if name.endswith("Percent") else "Sum"
    check_published(
        "Health", namespace=namespace, name=name, statistic=statistic, dimensions=dict.fromkeys(dimensions, "x")
    )


@pytest.mark.parametrize("statistic", ["p0", "p95", "p99.99", "p100"])
def test_percentiles_of_latency_are_accepted(statistic):
    check_published(
        "Health",
        namespace="AWS/ApplicationELB",
        name="TargetResponseTime",
        statistic=statistic,
        dimensions={"LoadBalancer": "x"},
    )


def test_fails_when_an_average_of_counts_should_reach_a_threshold():
    """Each 5XX answer counts as one, so their average is one at most: an alarm on it at 10 stays silent for ever."""
    metric = cloudwatch.Metric(
        namespace="AWS/ApplicationELB",
        metric_name="HTTPCode_Target_5XX_Count",
        statistic="Average",
        dimensions_map={"LoadBalancer": "x"},
    )
    gate = HealthGate(a_stack(), "Health")
    with refuses("'Average'", "HTTPCode_Target_5XX_Count", at="Shop/Health", fix="use Sum"):
        gate.watch("Errors", metric=metric, threshold=10)


def test_fails_when_the_statistic_means_nothing_and_lists_those_that_do():
    with refuses("'Sum'", at="Health", fix="use Average, Minimum, Maximum, a percentile such as p95"):
        check_published(
            "Health",
            namespace="AWS/ApplicationELB",
            name="TargetResponseTime",
            statistic="Sum",
            dimensions={"LoadBalancer": "x"},
        )


def test_fails_when_the_metric_is_misspelt_and_names_the_nearest():
    with refuses("no metric 'UnhealthyHostCount'", at="Health", fix="UnHealthyHostCount"):
        check_published(
            "Health", namespace="AWS/ApplicationELB", name="UnhealthyHostCount", statistic="Maximum", dimensions={}
        )


def test_fails_when_the_metric_is_like_none_and_lists_them_all():
    with refuses("no metric 'xyz'", at="Health", fix="FailedPipelineExecutions, PipelineDuration"):
        check_published("Health", namespace="AWS/CodePipeline", name="xyz", statistic="Sum", dimensions={})


def test_fails_when_dimensions_are_incomplete_and_shows_complete_ones():
    with refuses("['TargetGroup']", at="Health", fix="use LoadBalancer + TargetGroup or"):
        check_published(
            "Health",
            namespace="AWS/ApplicationELB",
            name="UnHealthyHostCount",
            statistic="Maximum",
            dimensions={"TargetGroup": "x"},
        )


def test_fails_when_the_service_publishes_no_metrics():
    with refuses("AWS/CodeDeploy publishes no CloudWatch metrics", at="Health", fix="watch the application"):
        check_published("Health", namespace="AWS/CodeDeploy", name="Failed", statistic="Sum", dimensions={})


@pytest.mark.parametrize(
    ("namespace", "name", "statistic"),
    [
        ("Shop", "anything", "Average"),
        (Token.as_string({"Ref": "Namespace"}), "x", "Average"),
        ("AWS/ApplicationELB", Token.as_string({"Ref": "Name"}), "Average"),
        ("AWS/CodeBuild", "FailedBuilds", Token.as_string({"Ref": "Statistic"})),
    ],
    ids=["own namespace", "namespace", "name", "statistic"],
)
def test_what_cannot_be_known_is_let_through(namespace, name, statistic):
    check_published("Health", namespace=namespace, name=name, statistic=statistic, dimensions={})
