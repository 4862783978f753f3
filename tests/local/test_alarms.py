import pytest

from tests.local.templates import resource


@pytest.fixture
def alarm(aws, stack):
    watched = resource(
        "AWS::CloudWatch::Alarm",
        AlarmName=stack.name,
        Namespace=stack.name,
        MetricName="Errors",
        Dimensions=[{"Name": "Function", "Value": "mine"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    assert stack.create(Alarm=watched) == "CREATE_COMPLETE"

    def state(*functions):
        for function in functions:
            point = {"MetricName": "Errors", "Value": 1, "Dimensions": [{"Name": "Function", "Value": function}]}
            aws("cloudwatch").put_metric_data(Namespace=stack.name, MetricData=[point])
        return aws("cloudwatch").describe_alarms(AlarmNames=[stack.name])["MetricAlarms"][0]["StateValue"]

    return state


def test_an_alarm_follows_its_metric(alarm):
    assert alarm("mine") == "ALARM"


def test_the_errors_of_another_function_do_not_fire_it(alarm):
    assert alarm("other") == "INSUFFICIENT_DATA"


def test_it_stays_as_it_is_when_the_two_cannot_be_told_apart(aws, alarm, stack):
    assert alarm("other", "mine") == "INSUFFICIENT_DATA"
    aws("cloudwatch").set_alarm_state(AlarmName=stack.name, StateValue="OK", StateReason="a test")
    assert alarm("other") == "OK"
