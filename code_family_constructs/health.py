"""Floor 1: the alarms that decide whether a release is healthy, handed to every layer that rolls back."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from aws_cdk import Annotations, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import acknowledge
from code_family_constructs.tokens import unresolved

# The API and CloudFormation references of CodeDeploy say 10, Service Quotas says 50.
MOST_ALARMS = 50
ALARMS_EVERY_ACCOUNT_TAKES = 10

_PERIOD = Duration.minutes(1)


class HealthGate(Construct):
    """One set of CloudWatch alarms: while one of them is in alarm, releases stop and roll back.

    Creates the alarms that are asked for through `watch`; each costs 0.10 USD a month. Missing data counts as healthy,
    since a service without traffic publishes nothing.

    Args:
        scope: Parent construct.
        id: Construct id.
        alarms: Alarms that exist already, metric or composite.
        topic: Where alarms made here report to. Without one, an alarm still stops and rolls back a release, but tells
            nobody between releases.
    """

    def __init__(
        self, scope: Construct, id: str, *, alarms: Sequence[cloudwatch.IAlarm] = (), topic: sns.ITopic | None = None
    ) -> None:
        super().__init__(scope, id)
        self._alarms: list[cloudwatch.IAlarm] = []
        self._users: list[Callable[[cloudwatch.IAlarm], None]] = []
        self._action = actions.SnsAction(topic) if topic is not None else None
        for alarm in alarms:
            self.add_alarm(alarm)

    @property
    def alarms(self) -> Sequence[cloudwatch.IAlarm]:
        """The alarms so far, in the order in which they were added."""
        return tuple(self._alarms)

    def add_alarm(self, alarm: cloudwatch.IAlarm) -> None:
        """Adds an alarm made elsewhere; deployments that already use this gate get it too.

        Raises:
            ConfigurationError: The alarm is in the gate already, or is one more than AWS takes.
        """
        if any(alarm is known for known in self._alarms):
            raise ConfigurationError("the alarm is in this health gate already", at=alarm, fix="add each alarm once")
        if len(self._alarms) == MOST_ALARMS:
            raise ConfigurationError(
                f"a health gate with more than {MOST_ALARMS} alarms, which CodeDeploy refuses",
                at=self,
                fix="put some of them into a cloudwatch.CompositeAlarm and add that",
            )
        self._alarms.append(alarm)
        if len(self._alarms) == ALARMS_EVERY_ACCOUNT_TAKES + 1:
            Annotations.of(self).add_warning_v2(
                "code-family:alarms",
                f"more than {ALARMS_EVERY_ACCOUNT_TAKES} alarms: CodeDeploy's reference allows no more, its quotas "
                f"{MOST_ALARMS}; a cloudwatch.CompositeAlarm counts as one",
            )
        for use in self._users:
            use(alarm)

    def watch(
        self,
        id: str,
        *,
        metric: cloudwatch.Metric,
        threshold: float,
        evaluation_periods: int = 2,
        description: str | None = None,
    ) -> cloudwatch.Alarm:
        """Makes an alarm that fires when the metric is at or above the threshold, and adds it.

        Args:
            id: Construct id of the alarm.
            metric: What to watch. Of the services of a release, only names, dimensions and statistics that AWS
                publishes are accepted; custom namespaces are taken as they are.
            threshold: In the metric's unit.
            evaluation_periods: How many periods in a row have to breach.
            description: What the alarm means to the person who gets it.

        Raises:
            ConfigurationError: The alarm could never fire.
        """
        check_published(
            self,
            namespace=metric.namespace,
            name=metric.metric_name,
            statistic=metric.statistic,
            dimensions=metric.dimensions or {},
        )
        if not unresolved(evaluation_periods):
            _check_evaluation(self, id, evaluation_periods, int(metric.period.to_seconds()))
        return self._watch(id, metric, threshold, evaluation_periods, description)

    def _watch(
        self, id: str, metric: cloudwatch.Metric, threshold: float, evaluation_periods: int, description: str | None
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        if self._action is not None:
            alarm.add_alarm_action(self._action)
        else:
            reason = "releases read the alarm themselves and roll back; no topic= was given to tell a person"
            acknowledge(alarm, {"CloudWatchAlarmAction": reason}, pack="NIST.800.53.R5")
        self.add_alarm(alarm)
        return alarm

    def watch_target_group(self, *, target_group: str, load_balancer: str) -> None:
        """Watches what an Application Load Balancer sees of its targets: 5XX answers, unhealthy hosts, latency.

        Args:
            target_group: Full name of the target group, `targetgroup/<name>/<id>`.
            load_balancer: Full name of its load balancer, `app/<name>/<id>`.
        """
        dimensions = {"TargetGroup": target_group, "LoadBalancer": load_balancer}

        def watch(id: str, name: str, statistic: str, threshold: float, periods: int, description: str) -> None:
            namespace = "AWS/ApplicationELB"
            check_published(self, namespace=namespace, name=name, statistic=statistic, dimensions=dimensions)
            metric = cloudwatch.Metric(
                namespace=namespace,
                metric_name=name,
                dimensions_map=dimensions,
                statistic=statistic,
                period=_PERIOD,
            )
            self._watch(id, metric, threshold, periods, description)

        watch("Target5xx", "HTTPCode_Target_5XX_Count", "Sum", 10, 2, "The application answers with server errors")
        # A restarting web server misses a health check or two; three minutes are no restart.
        unhealthy = "A target fails its load balancer's health checks"
        watch("UnhealthyHosts", "UnHealthyHostCount", "Maximum", 1, 3, unhealthy)
        # Of few requests the slowest is noise: a high percentile over five minutes, not the maximum over one.
        slow = "One request in twenty takes the application two seconds or longer"
        watch("Latency", "TargetResponseTime", "p95", 2, 5, slow)

    def check_alarms(self, at: Construct) -> None:
        """Raises ConfigurationError when there is no alarm: a rollback on alarm would be a promise nobody keeps."""
        if not self._alarms:
            raise ConfigurationError(
                f"rollback on alarm, but health gate {self.node.path!r} has no alarms",
                at=at,
                fix="add one with watch() or add_alarm() first, or leave health= out",
            )

    def on_added(self, use: Callable[[cloudwatch.IAlarm], None]) -> None:
        """Calls `use` with each alarm that is added from now on."""
        self._users.append(use)


@dataclass(frozen=True, slots=True)
class _Metric:
    """What AWS publishes of one metric: statistics that mean something, and sets of dimensions."""

    statistics: str
    dimensions: tuple[frozenset[str], ...]


def check_published(
    at: Construct | str, *, namespace: str, name: str, statistic: str, dimensions: Mapping[str, object]
) -> None:
    """Raises ConfigurationError for a metric that AWS does not publish; an alarm on it stays silent for ever."""
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


def _check_evaluation(at: Construct, id: str, evaluation_periods: int, period: int) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    most = (7 if period >= 3600 else 1) * 86400 // period
    if not 1 <= evaluation_periods <= most:
        raise ConfigurationError(
            f"{evaluation_periods} evaluation periods of {period} seconds for {id!r}", at=at, fix=f"use 1 to {most}"
        )


_PERCENTILE = r"(?:p|tm|tc|ts|wm)(?:\d{1,2}(?:\.\d+)?|100)"
_ANY = "Average|Minimum|Maximum|Sum|SampleCount"
_LEVEL = "Average|Minimum|Maximum"


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(filter(None, name.split("+"))) for name in names)


def _all(names: str, statistics: str, dimensions: tuple[frozenset[str], ...]) -> dict[str, _Metric]:
    return {name: _Metric(statistics, dimensions) for name in names.split()}


_BALANCER = _sets("LoadBalancer", "AvailabilityZone+LoadBalancer")
_TARGETS = _sets("LoadBalancer+TargetGroup", "AvailabilityZone+LoadBalancer+TargetGroup")
_PROJECT = _sets("ProjectName", "")

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch_metrics-codebuild.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch-utilization-metrics.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/metrics-dimensions.html
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
}
