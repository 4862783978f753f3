"""The health gate: alarms that can fire, for every deployment that asked, whenever they were added."""

import json

import pytest
from aws_cdk import App, CfnParameter, Duration, Environment, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match

from code_family_constructs import AlertTopic, HealthGate
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, of_type, only, refuses


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


@pytest.fixture(scope="module")
def alias_alarms():
    stack = Stack(App(), "Shop")
    gate = HealthGate(stack, "Health")
    gate.watch_function_alias(function_name="orders", alias_name="live", timeout=Duration.seconds(7))
    gate.watch_function_alias(function_name="bills", alias_name="live", timeout=None)
    return of_type(synthesized(stack), "AWS::CloudWatch::Alarm")


def test_an_alias_is_watched_for_errors_throttles_and_time(alias_alarms):
    watched = {
        (alarm["MetricName"], alarm.get("Statistic") or alarm["ExtendedStatistic"], alarm["Threshold"])
        for alarm in alias_alarms.values()
        if {"Name": "FunctionName", "Value": "orders"} in alarm["Dimensions"]
    }
    assert watched == {("Errors", "Sum", 1), ("Throttles", "Sum", 1), ("Duration", "p99", 6300)}


def test_an_alias_is_named_as_text_so_that_no_circle_closes(alias_alarms):
    """An alarm that refers to the alias waits for it, the alias for its deployment group, and the group for alarms."""
    dimensions = {json.dumps(alarm["Dimensions"], sort_keys=True) for alarm in alias_alarms.values()}
    assert dimensions == {
        json.dumps([{"Name": "FunctionName", "Value": name}, {"Name": "Resource", "Value": f"{name}:live"}])
        for name in ("orders", "bills")
    }


def test_two_aliases_or_target_groups_fit_into_one_gate(alias_alarms):
    assert [name[: -len("0123ABCD")] for name in alias_alarms] == [
        "HealthAliasErrors",
        "HealthAliasThrottles",
        "HealthAliasDuration",
        "HealthAliasErrors2",
        "HealthAliasThrottles2",
    ]
    gate = HealthGate(a_stack(), "Health")
    for group in ("blue", "green"):
        gate.watch_target_group(target_group=f"targetgroup/{group}/0123", load_balancer="app/shop/0123")
    assert len(gate.alarms) == 6


def test_fails_when_nobody_knows_what_a_function_may_take():
    stack = a_stack()
    later = Duration.seconds(CfnParameter(stack, "Seconds", type="Number").value_as_number)
    gate = HealthGate(stack, "Health")
    with refuses("a timeout that is only known", at="Shop/Health", fix="leave it out (None)"):
        gate.watch_function_alias(function_name="orders", alias_name="live", timeout=later)
    assert gate.alarms == ()


def test_a_composite_fires_with_each_alarm_whenever_it_was_added():
    stack = Stack(App(), "Shop")
    other = HealthGate(stack, "Other", alarms=[an_alarm(stack, 1)])
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack, 2), other.composite()])
    composite = gate.composite()
    gate.watch("Orders", metric=of_application(), threshold=1)
    assert gate.composite() is composite
    template = synthesized(stack)
    (orders,) = of_type(template, "AWS::CloudWatch::Alarm")
    (inner,) = (name for name in of_type(template, "AWS::CloudWatch::CompositeAlarm") if name.startswith("Other"))
    rules = {
        name: text_of(alarm["AlarmRule"])
        for name, alarm in of_type(template, "AWS::CloudWatch::CompositeAlarm").items()
    }
    imported = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm"
    assert rules.pop(inner) == f'ALARM("{imported}:1")'
    assert list(rules.values()) == [f'ALARM("{imported}:2") OR ALARM("<{inner}.Arn>") OR ALARM("<{orders}.Arn>")']


def test_what_takes_names_gets_them():
    stack = a_stack()
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack, 7)])
    watched = gate.watch("Orders", metric=of_application(), threshold=1)
    assert gate.alarm_names == ("7", watched.alarm_name)


def test_fails_when_a_composite_has_nothing_to_fire_with():
    with refuses("a composite of no alarms", at="Shop/Health", fix="add one with watch()"):
        HealthGate(a_stack(), "Health").composite()


def test_fails_when_a_composite_is_added_to_the_gate_that_it_is_made_of():
    stack = a_stack()
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack)])
    with refuses("is made of those in this health gate", at="Shop/Health/Composite", fix="to another gate"):
        gate.add_alarm(gate.composite())
    assert len(gate.alarms) == 1


def test_fails_when_an_alarm_waits_for_more_errors_than_there_are_calls():
    metric = cloudwatch.Metric(
        namespace="AWS/Lambda", metric_name="Errors", dimensions_map={"FunctionName": "orders"}, statistic="Average"
    )
    gate = HealthGate(a_stack(), "Health")
    with refuses("an average of AWS/Lambda Errors of 5", at="Shop/Health", fix="use statistic Sum to count"):
        gate.watch("Errors", metric=metric, threshold=5)
    gate.watch("Errors", metric=metric, threshold=0.05)


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


@pytest.mark.parametrize("period", [1, 5, 30])
def test_fails_when_an_alarm_has_a_period_in_which_it_never_fires(period):
    metric = cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name="Errors",
        statistic="Sum",
        dimensions_map={"FunctionName": "orders"},
        period=Duration.seconds(period),
    )
    gate = HealthGate(a_stack(), "Health")
    with refuses(f"{period} seconds", at="Shop/Health", fix="60"):
        gate.watch("Errors", metric=metric, threshold=1)
    assert gate.node.children == []


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_fails_when_no_number_reaches_the_threshold(threshold):
    gate = HealthGate(a_stack(), "Health")
    with refuses(f"a threshold of {threshold}", at="Shop/Health", fix="use a number"):
        gate.watch("Orders", metric=of_application(), threshold=threshold)


def test_fails_when_a_metric_is_computed_from_others():
    metric = cloudwatch.MathExpression(expression="a * 2", using_metrics={"a": of_application()})
    gate = HealthGate(a_stack(), "Health")
    with refuses("a MathExpression", at="Shop/Health", fix="create_alarm(), and add_alarm() it"):
        gate.watch("Orders", metric=metric, threshold=1)  # type: ignore[arg-type]


def test_fails_when_a_description_is_longer_than_cloudwatch_takes():
    gate = HealthGate(a_stack(), "Health")
    with refuses("a description of 1025 characters", at="Shop/Health", fix="at most 1024"):
        gate.watch("Orders", metric=of_application(), threshold=1, description="x" * 1025)
    with refuses("a description of 1025 characters", at="Shop/Health", fix="at most 1024"):
        gate.watch_url("Page", url="https://shop.example/", description="x" * 1025)
    assert gate.node.children == []


def test_a_long_url_is_watched_under_the_canarys_name():
    stack = a_stack()
    HealthGate(stack, "Health").watch_url("Page", url="https://shop.example/" + "x" * 1000)
    description = only(synthesized(stack), "AWS::CloudWatch::Alarm")["AlarmDescription"]
    assert description == "Page does not answer as expected"


@pytest.mark.parametrize("id", ["Latency", "Composite"])
def test_fails_when_an_id_is_taken(id):
    gate = HealthGate(a_stack(), "Health")
    gate.watch_target_group(target_group="targetgroup/shop/0123", load_balancer="app/shop/0123")
    with refuses(f"{id!r} is taken in this health gate", at="Shop/Health", fix="another id"):
        gate.watch(id, metric=of_application(), threshold=1)
    with refuses(f"{id!r} is taken in this health gate", at="Shop/Health", fix="another id"):
        gate.watch_url(id, url="https://shop.example/")


def test_fails_when_what_is_made_for_a_target_group_has_an_id_that_is_taken():
    gate = HealthGate(a_stack(), "Health")
    gate.watch("Target5xx", metric=of_application(), threshold=1)
    with refuses("'Target5xx' is taken in this health gate", at="Shop/Health", fix="give what you watch() another id"):
        gate.watch_target_group(target_group="targetgroup/shop/0123", load_balancer="app/shop/0123")


def test_fails_when_two_alarms_have_one_name():
    """CodeDeploy takes names: InvalidAlarmConfigException."""
    stack = a_stack()
    gate = HealthGate(stack, "Health", alarms=[cloudwatch.Alarm.from_alarm_name(stack, "First", "orders")])
    with refuses("in this health gate already", at="Shop/Second", fix="add each alarm once"):
        gate.add_alarm(cloudwatch.Alarm.from_alarm_name(stack, "Second", "orders"))


def test_fails_when_alarms_are_no_alarms():
    stack = a_stack()
    for alarms in ("orders", an_alarm(stack)):
        with refuses("alarms=", "is no list", at="Shop/Health", fix="write alarms=[…]"):
            HealthGate(a_stack(), "Health", alarms=alarms)  # type: ignore[arg-type]
    with refuses("'orders' is no alarm", at="Shop/Health", fix="cloudwatch.Alarm.from_alarm_name(…)"):
        HealthGate(stack, "Health", alarms=["orders"])  # type: ignore[list-item]


def test_fails_when_an_alarm_is_elsewhere():
    """CodeDeploy takes names, and looks for them in its own Region and account."""
    app = App()
    stack = Stack(app, "Shop", env=Environment(account="111111111111", region="eu-west-1"))
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack)])
    for id, place in (("Far", "us-east-1:111111111111"), ("Foreign", "eu-west-1:222222222222")):
        alarm = cloudwatch.Alarm.from_alarm_arn(stack, id, f"arn:aws:cloudwatch:{place}:alarm:orders")
        with refuses("the alarm is in ", at=f"Shop/{id}", fix="add an alarm of "):
            gate.add_alarm(alarm)
    far = Stack(app, "Far", env=Environment(account="111111111111", region="us-east-1"))
    made = cloudwatch.Alarm(far, "Made", metric=of_application(), threshold=1, evaluation_periods=1)
    with refuses("in Region us-east-1, the health gate in eu-west-1", at="Far/Made", fix="of Region eu-west-1"):
        gate.add_alarm(made)
    assert len(gate.alarms) == 1


@pytest.mark.parametrize(
    ("target_group", "load_balancer", "problem", "fix"),
    [
        ("shop", "app/shop/0123", "target group 'shop'", "targetgroup/<name>/<id>"),
        ("app/shop/0123", "targetgroup/shop/0123", "target group 'app/shop/0123'", "targetgroup/<name>/<id>"),
        ("targetgroup/shop/0123", "shop", "load balancer 'shop'", "app/<name>/<id>"),
        (
            "arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/shop/0123",
            "app/shop/0123",
            "target group 'arn:",
            "targetgroup/<name>/<id>",
        ),
        ("targetgroup/shop/0123", "net/shop/0123", "is a Network Load Balancer", '"AWS/NetworkELB"'),
    ],
)
def test_fails_when_no_metric_has_such_a_name(target_group, load_balancer, problem, fix):
    gate = HealthGate(a_stack(), "Health")
    with refuses(problem, at="Shop/Health", fix=fix):
        gate.watch_target_group(target_group=target_group, load_balancer=load_balancer)


@pytest.mark.parametrize(
    ("function", "alias", "problem"),
    [
        ("arn:aws:lambda:eu-west-1:111111111111:function:orders", "live", "function name 'arn:"),
        ("orders:live", "live", "function name 'orders:live'"),
        ("orders", "", "the alias name is empty"),
        ("orders", "a b", "alias name 'a b'"),
    ],
)
def test_fails_when_there_is_no_such_function_or_alias(function, alias, problem):
    gate = HealthGate(a_stack(), "Health")
    with refuses(problem, at="Shop/Health", fix="out of [A-Za-z0-9_-]"):
        gate.watch_function_alias(function_name=function, alias_name=alias, timeout=None)


@pytest.mark.parametrize("seconds", [0, 901])
def test_fails_when_lambda_has_no_such_timeout(seconds):
    gate = HealthGate(a_stack(), "Health")
    with refuses(f"a timeout of {seconds} seconds", at="Shop/Health", fix="1 to 900 seconds, or None"):
        gate.watch_function_alias(function_name="orders", alias_name="live", timeout=Duration.seconds(seconds))
    assert gate.node.children == []


def test_two_stacks_of_one_code_can_both_be_deployed():
    """A name that does not tell the stack's would be the same in both."""
    stack = Stack(App(), "Shop", stack_name="shop-staging")
    HealthGate(stack, "Health", alarms=[an_alarm(stack)]).composite()
    assert "AlarmName" not in only(synthesized(stack), "AWS::CloudWatch::CompositeAlarm")


def test_fails_when_cloudwatch_cannot_publish_to_the_topic():
    stack = a_stack()
    with refuses("AlertTopic where a topic belongs", at="Shop/Health", fix="alerts.topic"):
        HealthGate(stack, "Health", topic=AlertTopic(stack, "Alerts"))  # type: ignore[arg-type]


def test_cloudwatch_is_let_into_the_topic_and_its_key(template):
    policies = [
        only(template, "AWS::KMS::Key")["KeyPolicy"],
        only(template, "AWS::SNS::TopicPolicy")["PolicyDocument"],
    ]
    for policy in policies:
        assert {"Service": "cloudwatch.amazonaws.com"} in [one["Principal"] for one in policy["Statement"]]
