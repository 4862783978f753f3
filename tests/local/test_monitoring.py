from tests.local.templates import get, ref, resource

ALARM = resource(
    "AWS::CloudWatch::Alarm",
    Namespace="n",
    MetricName="m",
    Statistic="Sum",
    Period=60,
    EvaluationPeriods=1,
    Threshold=1,
    ComparisonOperator="GreaterThanThreshold",
)


def composite(**properties):
    rule = {"Fn::Join": ["", ['ALARM("', ref("Alarm"), '")']]}
    return resource("AWS::CloudWatch::CompositeAlarm", AlarmRule=rule, **properties)


def test_a_composite_alarm_is_kept_and_changes_in_place(aws, stack):
    arn = resource("AWS::SSM::Parameter", Type="String", Value=get("Any", "Arn"))
    assert stack.create(Alarm=ALARM, Any=composite(AlarmDescription="a"), Arn=arn) == "CREATE_COMPLETE"
    name = stack.id_of("Any")
    assert stack.update(Alarm=ALARM, Any=composite(AlarmDescription="b"), Arn=arn) == "UPDATE_COMPLETE"
    assert stack.id_of("Any") == name
    [found] = aws("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert found["AlarmDescription"] == "b"
    assert found["AlarmRule"] == f'ALARM("{stack.id_of("Alarm")}")'
    stack.delete()
    assert aws("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []


def test_a_topic_keeps_its_key(aws, stack):
    topic = resource("AWS::SNS::Topic", KmsMasterKeyId="arn:aws:kms:us-east-1:123456789012:key/k")
    assert stack.create(Topic=topic) == "CREATE_COMPLETE"
    arn = stack.id_of("Topic")
    assert aws("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["KmsMasterKeyId"].endswith("key/k")
    stack.update(Topic=resource("AWS::SNS::Topic", DisplayName="d"))
    assert not aws("sns").get_topic_attributes(TopicArn=arn)["Attributes"].get("KmsMasterKeyId")
