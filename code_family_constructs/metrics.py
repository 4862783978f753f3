"""Floor 1: the metrics that AWS publishes of what a release runs on, and how they can be watched."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved


def check_published(
    at: Construct | str,
    *,
    namespace: str,
    name: str,
    statistic: str,
    dimensions: Mapping[str, object],
    threshold: float | None = None,
) -> None:
    """Raises ConfigurationError for a metric that AWS does not publish; an alarm on it stays silent for ever.

    Args:
        at: Where it is to be watched.
        namespace: One that is not known here is let through.
        name: Of the metric.
        statistic: As CloudWatch calls it.
        dimensions: By name.
        threshold: What the metric has to reach.
    """
    if unresolved(namespace) or unresolved(name) or namespace not in _PUBLISHED:
        return
    metrics = _PUBLISHED[namespace]
    if not metrics:
        raise ConfigurationError(
            f"{namespace} publishes no CloudWatch metrics",
            at=at,
            fix="watch the application (load balancer, function) or the service's EventBridge events instead",
        )
    if name not in metrics:
        near = get_close_matches(name, metrics, n=1, cutoff=0.5) or sorted(metrics)
        raise ConfigurationError(
            f"{namespace} publishes no metric {name!r}",
            at=at,
            fix=f"use one that it publishes: {', '.join(near)}; add_alarm() takes any alarm that you make yourself",
        )
    metric = metrics[name]
    if not unresolved(statistic) and not re.fullmatch(metric.statistics, statistic):
        raise ConfigurationError(
            f"statistic {statistic!r} of {namespace} {name}, where it means nothing",
            at=at,
            fix=f"use {metric.statistics.replace(_PERCENTILE, 'a percentile such as p95').replace('|', ', ')}",
        )
    if frozenset(dimensions) not in metric.dimensions:
        options = " or ".join(" + ".join(sorted(names)) or "no dimensions" for names in metric.dimensions)
        raise ConfigurationError(
            f"{namespace} {name} with dimensions {sorted(dimensions)}, which AWS does not publish",
            at=at,
            fix=f"use {options}",
        )
    if (
        metric.share
        and statistic == "Average"
        and threshold is not None
        and not unresolved(threshold)
        and threshold > 1
    ):
        raise ConfigurationError(
            f"an average of {namespace} {name} of {threshold:g}, which it never reaches: it is a share, 1 is all",
            at=at,
            fix="use statistic Sum to count, or a threshold such as 0.05 for one in twenty",
        )


def check_period(at: Construct | str, *, namespace: str, seconds: int) -> None:
    """Raises ConfigurationError for a period in which no alarm evaluates, or in which AWS publishes nothing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    if seconds not in (10, 20, 30) and seconds % 60:
        raise ConfigurationError(
            f"a period of {seconds} seconds, which alarms do not have", at=at, fix="use 10, 20, 30 or a multiple of 60"
        )
    if seconds < 60 and namespace in _PUBLISHED:
        raise ConfigurationError(
            f"{namespace} in periods of {seconds} seconds, which it publishes nothing for",
            at=at,
            fix="use a period of 60 seconds or longer",
        )


@dataclass(frozen=True, slots=True)
class _Metric:
    """What AWS publishes of one metric: statistics that mean something, sets of dimensions, is its average a share."""

    statistics: str
    dimensions: tuple[frozenset[str], ...]
    share: bool = False


_PERCENTILE = r"(?:p|tm|tc|ts|wm)(?:\d{1,2}(?:\.\d+)?|100)"
_ANY = "Average|Minimum|Maximum|Sum|SampleCount"
_LEVEL = "Average|Minimum|Maximum"


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(filter(None, name.split("+"))) for name in names)


def _all(
    names: str, statistics: str, dimensions: tuple[frozenset[str], ...], *, share: bool = False
) -> dict[str, _Metric]:
    return {name: _Metric(statistics, dimensions, share) for name in names.split()}


_BALANCER = _sets("LoadBalancer", "AvailabilityZone+LoadBalancer")
_TARGETS = _sets("LoadBalancer+TargetGroup", "AvailabilityZone+LoadBalancer+TargetGroup")
_PROJECT = _sets("ProjectName", "")
_FUNCTION = _sets("", "FunctionName", "FunctionName+Resource", "FunctionName+Resource+ExecutedVersion")
_SERVICE = _sets("ClusterName+ServiceName")
_TASKS = _SERVICE + _sets(
    "ClusterName",
    "ClusterName+TaskDefinitionFamily",
    "ClusterName+ServiceName+TaskId",
    "ClusterName+TaskDefinitionFamily+TaskId",
)
_CONTAINERS = _sets(
    "ClusterName",
    "ClusterName+ServiceName+ContainerName",
    "ClusterName+TaskDefinitionFamily+ContainerName",
    "ClusterName+ServiceName+TaskId+ContainerName",
    "ClusterName+TaskDefinitionFamily+TaskId+ContainerName",
)
_DISCOVERY = _sets("DiscoveryName", "ClusterName+DiscoveryName+ServiceName")
_TARGET_DISCOVERY = _sets("TargetDiscoveryName", "ClusterName+ServiceName+TargetDiscoveryName")
_CLASSIC = _sets("LoadBalancerName", "AvailabilityZone+LoadBalancerName", "AvailabilityZone", "")
_INSTANCE = _sets("InstanceId", "AutoScalingGroupName", "ImageId", "InstanceType", "")
_GROUP = _sets("AutoScalingGroupName")
_QUEUE = _sets("QueueName")
_REST_API = _sets("ApiName", "ApiName+Stage", "ApiName+Method+Resource+Stage")
_OTHER_API = _sets("ApiId", "ApiId+Stage", "ApiId+Method+Resource+Stage")
_ROUTE = _sets("ApiId+Route+Stage")
_CANARY = _sets("", "CanaryName", "Browser+CanaryName", "CanaryName+Location", "CanaryName+StepName")
_TOPIC = _sets("TopicName", "Application", "Application+Platform", "Platform", "PhoneNumber", "")

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch_metrics-codebuild.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch-utilization-metrics.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/metrics-dimensions.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-enhanced-observability-metrics-ECS.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-cloudwatch-metrics.html
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries_metrics.html
# https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
# Counts of events are 1 for each event in every statistic but Sum: an average of 5XX answers never reaches a threshold.
_PUBLISHED: Mapping[str, Mapping[str, _Metric]] = {
    "AWS/ApplicationELB": {
        **_all(
            "HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count "
            "TargetConnectionErrorCount TargetTLSNegotiationErrorCount RequestCount GrpcRequestCount "
            "UnhealthyRoutingRequestCount NonStickyRequestCount LambdaInternalError LambdaUserError "
            "LambdaTargetProcessedBytes ZonalShiftedHostCount",
            "Sum",
            _BALANCER + _TARGETS + _sets("TargetGroup"),
        ),
        **_all(
            "HTTPCode_ELB_3XX_Count HTTPCode_ELB_4XX_Count HTTPCode_ELB_5XX_Count HTTPCode_ELB_500_Count "
            "HTTPCode_ELB_502_Count HTTPCode_ELB_503_Count HTTPCode_ELB_504_Count HTTP_Fixed_Response_Count "
            "HTTP_Redirect_Count HTTP_Redirect_Url_Limit_Exceeded_Count RejectedConnectionCount NewConnectionCount "
            "ActiveConnectionCount ClientTLSNegotiationErrorCount DesyncMitigationMode_NonCompliant_Request_Count "
            "DroppedInvalidHeaderRequestCount ForwardedInvalidHeaderRequestCount LowReputationPacketsDropped "
            "LowReputationRequestsDenied IPv6ProcessedBytes IPv6RequestCount ProcessedBytes RuleEvaluations "
            "ELBAuthError ELBAuthFailure ELBAuthRefreshTokenSuccess ELBAuthSuccess ELBAuthUserClaimsSizeExceeded",
            "Sum",
            _BALANCER,
        ),
        **_all("ConsumedLCUs PeakLCUs ELBAuthLatency", _ANY, _BALANCER),
        **_all("TargetResponseTime", f"{_LEVEL}|{_PERCENTILE}", _BALANCER + _TARGETS),
        **_all("HealthyHostCount UnHealthyHostCount AnomalousHostCount MitigatedHostCount", _LEVEL, _TARGETS),
        **_all("HealthyStateDNS HealthyStateRouting UnhealthyStateDNS UnhealthyStateRouting", "Minimum|Sum", _TARGETS),
        **_all("RequestCountPerTarget", "Sum", _sets("TargetGroup", "LoadBalancer+TargetGroup")),
    },
    "AWS/NetworkELB": {
        **_all("HealthyHostCount UnHealthyHostCount", _LEVEL, _TARGETS),
        **_all(
            "TCP_Target_Reset_Count TCP_Client_Reset_Count TCP_ELB_Reset_Count PortAllocationErrorCount "
            "ClientTLSNegotiationErrorCount TargetTLSNegotiationErrorCount ProcessedPackets RejectedFlowCount "
            "RejectedFlowCount_TCP UnhealthyRoutingFlowCount ProcessedBytes ProcessedBytes_TCP ProcessedBytes_TLS "
            "ProcessedBytes_UDP NewFlowCount NewFlowCount_TCP NewFlowCount_TLS NewFlowCount_UDP "
            "SecurityGroupBlockedFlowCount_Inbound_ICMP SecurityGroupBlockedFlowCount_Inbound_TCP "
            "SecurityGroupBlockedFlowCount_Inbound_UDP SecurityGroupBlockedFlowCount_Outbound_ICMP "
            "SecurityGroupBlockedFlowCount_Outbound_TCP SecurityGroupBlockedFlowCount_Outbound_UDP",
            "Sum",
            _BALANCER + _TARGETS,
        ),
        **_all(
            "ActiveFlowCount ActiveFlowCount_TCP ActiveFlowCount_TLS ActiveFlowCount_UDP ConsumedLCUs "
            "ConsumedLCUs_TCP ConsumedLCUs_TLS ConsumedLCUs_UDP PeakBytesPerSecond PeakPacketsPerSecond "
            "ZonalHealthStatus",
            _ANY,
            _BALANCER,
        ),
    },
    "AWS/CodeBuild": {
        **_all("Builds SucceededBuilds FailedBuilds", "Sum", _PROJECT),
        **_all(
            "Duration QueuedDuration SubmittedDuration ProvisioningDuration DownloadSourceDuration InstallDuration "
            "PreBuildDuration BuildDuration PostBuildDuration UploadArtifactsDuration FinalizingDuration",
            f"{_ANY}|{_PERCENTILE}",
            _PROJECT,
        ),
        **_all(
            "CPUUtilized CPUUtilizedPercent MemoryUtilized MemoryUtilizedPercent StorageReadBytes StorageWriteBytes",
            f"{_ANY}|{_PERCENTILE}",
            _sets("ProjectName", "ProjectName+BuildId+BuildNumber"),
        ),
    },
    "AWS/CodePipeline": {
        **_all("FailedPipelineExecutions", "Sum", _sets("PipelineName", "")),
        **_all("PipelineDuration", f"{_ANY}|{_PERCENTILE}", _sets("PipelineName")),
    },
    "AWS/CodeDeploy": {},
    "AWS/Lambda": {
        # One of these for each invocation, 0 or 1.
        **_all("Errors Throttles", "Sum|Average", _FUNCTION, share=True),
        **_all(
            "Invocations DeadLetterErrors DestinationDeliveryFailures ProvisionedConcurrencyInvocations "
            "ProvisionedConcurrencySpilloverInvocations RecursiveInvocationsDropped OversizedRecordCount "
            "CPUThrottles MemoryThrottles DiskThrottles ConcurrencyThrottles SignatureValidationErrors "
            "AsyncEventsReceived AsyncEventsDropped",
            "Sum",
            _FUNCTION,
        ),
        **_all(
            "Duration PostRuntimeExtensionsDuration IteratorAge OffsetLag AsyncEventAge",
            f"{_ANY}|{_PERCENTILE}",
            _FUNCTION,
        ),
        **_all(
            "ConcurrentExecutions ProvisionedConcurrentExecutions ProvisionedConcurrencyUtilization", _ANY, _FUNCTION
        ),
        **_all("UnreservedConcurrentExecutions ClaimedAccountConcurrency", _ANY, _sets("")),
        **_all(
            "PolledEventCount FilteredOutEventCount InvokedEventCount FailedInvokeEventCount DroppedEventCount "
            "OnFailureDestinationDeliveredEventCount DeletedEventCount CommittedEventCount PollingErrorCount "
            "InvokeErrorCount OnFailureDestinationDeliveryErrorCount SchemaRegistryErrorCount CommitErrorCount "
            "MaxOffsetLag SumOffsetLag ProvisionedPollers EventPollerUnit EventPollerThroughputInBytes",
            _ANY,
            _sets("EventSourceMappingUUID"),
        ),
    },
    "AWS/ECS": {
        **_all("CPUReservation MemoryReservation GPUReservation", _LEVEL, _sets("ClusterName")),
        # A sample for each task and minute.
        **_all("CPUUtilization MemoryUtilization", f"{_LEVEL}|SampleCount", _SERVICE + _sets("ClusterName")),
        **_all("EBSFilesystemUtilization LiveTaskCount", _LEVEL, _SERVICE),
        **_all(
            "ActiveConnectionCount NewConnectionCount ProcessedBytes RequestCount GrpcRequestCount "
            "ClientTLSNegotiationErrorCount",
            f"{_LEVEL}|Sum",
            _DISCOVERY,
        ),
        **_all(
            "HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count "
            "TargetProcessedBytes TargetTLSNegotiationErrorCount",
            f"{_LEVEL}|Sum",
            _TARGET_DISCOVERY,
        ),
        **_all("RequestCountPerTarget", "Average", _TARGET_DISCOVERY),
        **_all("TargetResponseTime", f"{_LEVEL}|{_PERCENTILE}", _TARGET_DISCOVERY),
    },
    "ECS/ContainerInsights": {
        **_all("ContainerInstanceCount ServiceCount TaskCount", _ANY, _sets("ClusterName")),
        **_all("DeploymentCount DesiredTaskCount PendingTaskCount RunningTaskCount TaskSetCount", _ANY, _SERVICE),
        **_all(
            "CpuUtilized CpuReserved MemoryUtilized MemoryReserved NetworkRxBytes NetworkTxBytes StorageReadBytes "
            "StorageWriteBytes EphemeralStorageReserved EphemeralStorageUtilized TaskCpuUtilization "
            "TaskMemoryUtilization TaskEphemeralStorageUtilization TaskEBSFilesystemUtilization",
            f"{_ANY}|{_PERCENTILE}",
            _TASKS,
        ),
        **_all(
            "EBSFilesystemSize EBSFilesystemUtilized",
            f"{_ANY}|{_PERCENTILE}",
            _SERVICE + _sets("ClusterName+TaskDefinitionFamily", "ClusterName+TaskDefinitionFamily+VolumeName"),
        ),
        **_all(
            "ContainerCpuUtilized ContainerCpuReserved ContainerCpuUtilization ContainerMemoryUtilized "
            "ContainerMemoryReserved ContainerMemoryUtilization ContainerNetworkRxBytes ContainerNetworkTxBytes "
            "ContainerStorageReadBytes ContainerStorageWriteBytes UnHealthyContainerHealthStatus "
            "ContainerGPUUtilization ContainerGPUMemoryUtilization ContainerGPUMemoryTotal ContainerGPUMemoryUsed "
            "ContainerGPUPowerDraw ContainerGPUTemperature ContainerGPURestartAppXidCount",
            f"{_ANY}|{_PERCENTILE}",
            _CONTAINERS + _sets("AcceleratedDevice+ClusterName+ContainerName+ServiceName+TaskId"),
        ),
        **_all("RestartCount", _ANY, _TASKS + _CONTAINERS),
        **_all(
            "TaskGPUUtilization TaskGPUMemoryUtilization TaskGPUMemoryTotal TaskGPUMemoryUsed TaskGPUPowerDraw "
            "TaskGPUTemperature TaskGPURestartAppXidCount",
            f"{_ANY}|{_PERCENTILE}",
            _TASKS + _sets("AcceleratedDevice+ClusterName+ServiceName+TaskId"),
        ),
        **_all(
            "InstanceOSFilesystemUtilization InstanceDataFilesystemUtilization InstanceGPULimit InstanceGPUUsageTotal",
            _ANY,
            _sets(
                "ClusterName",
                "CapacityProviderName+ClusterName",
                "CapacityProviderName+ClusterName+ContainerInstanceId+EC2InstanceId",
            ),
        ),
        **_all(
            "instance_cpu_limit instance_cpu_reserved_capacity instance_cpu_usage_total instance_cpu_utilization "
            "instance_filesystem_utilization instance_memory_limit instance_memory_reserved_capacity "
            "instance_memory_utilization instance_memory_working_set instance_network_total_bytes "
            "instance_number_of_running_tasks",
            _ANY,
            _sets("ClusterName", "ClusterName+ContainerInstanceId+InstanceId"),
        ),
    },
    "AWS/ELB": {
        **_all(
            "BackendConnectionErrors DesyncMitigationMode_NonCompliant_Request_Count HTTPCode_Backend_2XX "
            "HTTPCode_Backend_3XX HTTPCode_Backend_4XX HTTPCode_Backend_5XX HTTPCode_ELB_4XX HTTPCode_ELB_5XX "
            "RequestCount SpilloverCount",
            "Sum",
            _CLASSIC,
        ),
        **_all("HealthyHostCount UnHealthyHostCount SurgeQueueLength", _LEVEL, _CLASSIC),
        **_all("Latency", f"{_LEVEL}|{_PERCENTILE}", _CLASSIC),
        **_all(
            "EstimatedALBActiveConnectionCount EstimatedALBConsumedLCUs EstimatedALBNewConnectionCount "
            "EstimatedProcessedBytes",
            _ANY,
            _CLASSIC,
        ),
    },
    "AWS/EC2": {
        **_all(
            "CPUUtilization DiskReadOps DiskWriteOps DiskReadBytes DiskWriteBytes MetadataNoToken "
            "MetadataNoTokenRejected NetworkIn NetworkOut NetworkPacketsIn NetworkPacketsOut GPUPowerUtilization "
            "CPUCreditUsage CPUCreditBalance CPUSurplusCreditBalance CPUSurplusCreditsCharged "
            "InstanceEBSIOPSExceededCheck InstanceEBSThroughputExceededCheck EBSReadOps EBSWriteOps EBSReadBytes "
            "EBSWriteBytes EBSIOBalance% EBSByteBalance% StatusCheckFailed StatusCheckFailed_Instance "
            "StatusCheckFailed_System StatusCheckFailed_AttachedEBS NetworkMirrorIn NetworkMirrorOut "
            "NetworkPacketsMirrorIn NetworkPacketsMirrorOut NetworkSkipMirrorIn NetworkSkipMirrorOut "
            "NetworkPacketsSkipMirrorIn NetworkPacketsSkipMirrorOut",
            f"{_ANY}|{_PERCENTILE}",
            _INSTANCE,
        ),
    },
    "AWS/AutoScaling": {
        **_all(
            "GroupMinSize GroupMaxSize GroupDesiredCapacity GroupInServiceInstances GroupPendingInstances "
            "GroupStandbyInstances GroupTerminatingInstances GroupTerminatingRetainedInstances GroupTotalInstances "
            "GroupInServiceCapacity GroupPendingCapacity GroupStandbyCapacity GroupTerminatingCapacity "
            "GroupTerminatingRetainedCapacity GroupTotalCapacity WarmPoolMinSize WarmPoolDesiredCapacity "
            "WarmPoolPendingCapacity WarmPoolPendingRetainedCapacity WarmPoolTerminatingCapacity "
            "WarmPoolTerminatingRetainedCapacity WarmPoolWarmedCapacity WarmPoolTotalCapacity "
            "GroupAndWarmPoolDesiredCapacity GroupAndWarmPoolTotalCapacity",
            _ANY,
            _GROUP,
        ),
        **_all(
            "PredictiveScalingLoadForecast PredictiveScalingMetricPairCorrelation",
            _LEVEL,
            _sets("AutoScalingGroupName+PairIndex+PolicyName"),
        ),
        **_all("PredictiveScalingCapacityForecast", _LEVEL, _sets("AutoScalingGroupName+PolicyName")),
    },
    "AWS/SQS": {
        **_all(
            "ApproximateAgeOfOldestMessage ApproximateNumberOfGroupsWithInflightMessages "
            "ApproximateNumberOfMessagesDelayed ApproximateNumberOfMessagesNotVisible "
            "ApproximateNumberOfMessagesVisible NumberOfEmptyReceives NumberOfDeduplicatedSentMessages "
            "NumberOfMessagesDeleted NumberOfMessagesReceived NumberOfMessagesSent SentMessageSize "
            "ApproximateNumberOfNoisyGroups ApproximateNumberOfMessagesVisibleInQuietGroups "
            "ApproximateNumberOfMessagesNotVisibleInQuietGroups ApproximateNumberOfMessagesDelayedInQuietGroups "
            "ApproximateAgeOfOldestMessageInQuietGroups",
            _ANY,
            _QUEUE,
        ),
    },
    "AWS/ApiGateway": {
        **_all("4XXError 5XXError CacheHitCount CacheMissCount", "Sum|Average", _REST_API, share=True),
        **_all("4xx 5xx", "Sum|Average", _OTHER_API, share=True),
        **_all("Count", "Sum|SampleCount", _REST_API + _OTHER_API),
        **_all("Latency", f"{_LEVEL}|{_PERCENTILE}", _REST_API + _OTHER_API),
        **_all("IntegrationLatency", f"{_LEVEL}|{_PERCENTILE}", _REST_API + _OTHER_API + _ROUTE),
        **_all("DataProcessed", _ANY, _OTHER_API),
        **_all(
            "ConnectCount MessageCount IntegrationError ClientError ExecutionError",
            "Sum|Average",
            _OTHER_API + _ROUTE,
        ),
    },
    "CloudWatchSynthetics": {
        **_all("2xx 4xx 5xx Failed RetryCount", "Sum", _CANARY),
        "Failed requests": _Metric("Sum", _CANARY),
        **_all(
            "Duration DurationDryRun SuccessPercent SuccessPercentDryRun SuccessPercentWithRetries "
            "VisualMonitoringSuccessPercent",
            _LEVEL,
            _CANARY,
        ),
        **_all("EphemeralStorageUsagePercent VisualMonitoringTotalComparisons", _ANY, _CANARY),
    },
    "AWS/SNS": {
        **_all(
            "NumberOfMessagesPublished NumberOfNotificationsDelivered NumberOfNotificationsFailed "
            "NumberOfNotificationsFilteredOut NumberOfNotificationsFilteredOut-MessageAttributes "
            "NumberOfNotificationsFilteredOut-MessageBody NumberOfNotificationsFilteredOut-InvalidAttributes "
            "NumberOfNotificationsFilteredOut-NoMessageAttributes NumberOfNotificationsFilteredOut-InvalidMessageBody "
            "NumberOfNotificationsRedrivenToDlq NumberOfNotificationsFailedToRedriveToDlq",
            "Sum|Average",
            _TOPIC,
        ),
        **_all("PublishSize", _ANY, _TOPIC),
        **_all("SMSMonthToDateSpentUSD", "Sum|Maximum", _sets("")),
        **_all("SMSSuccessRate", "Sum|Average|SampleCount", _sets("PhoneNumber", "Country+SMSType", "")),
    },
}
