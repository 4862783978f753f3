"""What AWS publishes: alarms on anything else would stay silent for ever."""

import pytest
from aws_cdk import Token
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.metrics import _PERCENTILE, _PUBLISHED, check_period, check_published
from tests.helpers import a_stack, refuses

NAMED = ("Average", "Minimum", "Maximum", "Sum", "SampleCount")
PERCENTILES = ("p50", "p95", "p99.9", "p0", "tm90", "tc90", "ts90", "wm98.5")
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
    dimensions=st.sets(
        st.sampled_from(
            ["LoadBalancer", "TargetGroup", "ProjectName", "Stage", "FunctionName", "Resource", "ClusterName"]
        ),
        max_size=3,
    ),
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
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        ("AWS/Lambda", "Errors", []),
        ("AWS/Lambda", "Errors", ["FunctionName", "Resource", "ExecutedVersion"]),
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
        ("AWS/ECS", "HTTPCode_Target_5XX_Count", ["TargetDiscoveryName", "ServiceName", "ClusterName"]),
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
        ("ECS/ContainerInsights", "RunningTaskCount", ["ServiceName", "ClusterName"]),
        ("ECS/ContainerInsights", "RestartCount", ["ServiceName", "ClusterName"]),
        ("ECS/ContainerInsights", "UnHealthyContainerHealthStatus", ["ServiceName", "ClusterName", "ContainerName"]),
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-cloudwatch-metrics.html
        ("AWS/ELB", "HTTPCode_Backend_5XX", ["LoadBalancerName"]),
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
        ("AWS/EC2", "StatusCheckFailed", ["AutoScalingGroupName"]),
        ("AWS/EC2", "EBSByteBalance%", ["InstanceId"]),
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
        ("AWS/AutoScaling", "GroupInServiceInstances", ["AutoScalingGroupName"]),
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ["QueueName"]),
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
        ("AWS/ApiGateway", "5XXError", ["ApiName", "Stage"]),
        ("AWS/ApiGateway", "5xx", ["ApiId", "Stage"]),
        ("AWS/ApiGateway", "ExecutionError", ["ApiId", "Stage", "Route"]),
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries_metrics.html
        ("CloudWatchSynthetics", "Failed requests", ["CanaryName"]),
        # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
        ("AWS/SNS", "NumberOfNotificationsFailed", ["TopicName"]),
    ],
)
def test_metrics_that_aws_does_publish_are_not_refused(namespace, name, dimensions):
    statistic = "Average" if name.endswith("Percent") else "Sum"
    check_published(
        "Health", namespace=namespace, name=name, statistic=statistic, dimensions=dict.fromkeys(dimensions, "x")
    )


def test_what_constructs_of_aws_cdk_lib_watch_is_accepted():
    stack = a_stack()
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): pass"),
    )
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-12345678", availability_zones=["eu-west-1a"], public_subnet_ids=["subnet-12345678"]
    )
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("App", image=ecs.ContainerImage.from_registry("shop"))
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
    service = ecs.FargateService(stack, "Service", cluster=cluster, task_definition=task, assign_public_ip=True)
    watched = {
        "lambda": (function, function.add_alias("live")),
        "ecs": (service,),
        "sqs": (sqs.Queue(stack, "Queue"),),
        "sns": (sns.Topic(stack, "Topic"),),
        "rest": (apigateway.LambdaRestApi(stack, "Rest", handler=function).deployment_stage,),
        "http": (apigatewayv2.HttpApi(stack, "Http"),),
    }
    made = [
        getattr(construct, name)()
        for constructs in watched.values()
        for construct in constructs
        for name in dir(construct)
        # Of text messages, AWS publishes nothing by topic: aws-cdk-lib's metrics of these have no data.
        if name.startswith("metric_") and not name.startswith(("metric_all", "metric_sms"))
    ]
    metrics = [metric for metric in made if isinstance(metric, cloudwatch.Metric)]
    assert len(metrics) > 35
    assert {metric.namespace for metric in metrics} == {
        "AWS/Lambda",
        "AWS/ECS",
        "AWS/SQS",
        "AWS/SNS",
        "AWS/ApiGateway",
    }
    for metric in metrics:
        check_published(
            "Health",
            namespace=metric.namespace,
            name=metric.metric_name,
            statistic=metric.statistic,
            dimensions=metric.dimensions or {},
        )


@pytest.mark.parametrize("threshold", [1.01, 5])
@pytest.mark.parametrize(
    ("namespace", "name", "dimensions"),
    [("AWS/Lambda", "Errors", ["FunctionName"]), ("AWS/ApiGateway", "5XXError", ["ApiName", "Stage"])],
)
def test_fails_when_a_share_should_be_more_than_all(namespace, name, dimensions, threshold):
    settings = {"namespace": namespace, "name": name, "dimensions": dict.fromkeys(dimensions, "x")}
    with refuses(f"{namespace} {name} of {threshold:g}", "it is a share", at="Health", fix="use statistic Sum"):
        check_published("Health", **settings, statistic="Average", threshold=threshold)
    check_published("Health", **settings, statistic="Average", threshold=0.05)
    check_published("Health", **settings, statistic="Sum", threshold=threshold)


@pytest.mark.parametrize("statistic", ["p0", "p95", "p99.99", "p100"])
def test_percentiles_of_latency_are_accepted(statistic):
    check_published(
        "Health",
        namespace="AWS/ApplicationELB",
        name="TargetResponseTime",
        statistic=statistic,
        dimensions={"LoadBalancer": "x"},
    )


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


@pytest.mark.parametrize("seconds", [1, 5, 15, 90])
def test_fails_when_alarms_have_no_such_period(seconds):
    with refuses(f"a period of {seconds} seconds", at="Health", fix="use 10, 20, 30 or a multiple of 60"):
        check_period("Health", namespace="Shop", seconds=seconds)


@pytest.mark.parametrize("namespace", ["AWS/Lambda", "AWS/ApplicationELB", "CloudWatchSynthetics"])
def test_fails_when_aws_publishes_nothing_in_so_short_a_period(namespace):
    with refuses(f"{namespace} in periods of 30 seconds", at="Health", fix="60 seconds or longer"):
        check_period("Health", namespace=namespace, seconds=30)
    check_period("Health", namespace=namespace, seconds=60)


@pytest.mark.parametrize("seconds", [10, 20, 30, 60, 3600])
def test_an_applications_own_metrics_may_come_more_often(seconds):
    check_period("Health", namespace="Shop", seconds=seconds)
