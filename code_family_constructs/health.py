"""Floor 1: the alarms that decide whether a release is healthy, handed to every layer that rolls back."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from aws_cdk import Annotations, Duration, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import acknowledge

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
        if evaluation_periods < 1:
            raise ConfigurationError(
                f"{evaluation_periods} evaluation periods for {id!r}", at=self, fix="use 1 or more"
            )
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

        def metric(name: str, statistic: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AWS/ApplicationELB",
                metric_name=name,
                dimensions_map=dimensions,
                statistic=statistic,
                period=_PERIOD,
            )

        self.watch(
            "Target5xx",
            metric=metric("HTTPCode_Target_5XX_Count", "Sum"),
            threshold=10,
            evaluation_periods=2,
            description="The application answers with server errors",
        )
        self.watch(
            "UnhealthyHosts",
            metric=metric("UnHealthyHostCount", "Maximum"),
            threshold=1,
            # A restarting web server misses a health check or two; three minutes are no restart.
            evaluation_periods=3,
            description="A target fails its load balancer's health checks",
        )
        self.watch(
            "Latency",
            # Of few requests the slowest is noise: a high percentile over five minutes, not the maximum over one.
            metric=metric("TargetResponseTime", "p95"),
            threshold=2,
            evaluation_periods=5,
            description="One request in twenty takes the application two seconds or longer",
        )

    def serve(self, at: Construct, use: Callable[[cloudwatch.IAlarm], None]) -> None:
        """Calls `use` with each alarm, also with those that are added later.

        Raises:
            ConfigurationError: There is no alarm, so a rollback on alarm would be a promise nobody keeps.
        """
        if not self._alarms:
            raise ConfigurationError(
                f"rollback on alarm, but health gate {self.node.path!r} has no alarms",
                at=at,
                fix="add one with watch() or add_alarm() first, or leave health= out",
            )
        for alarm in self._alarms:
            use(alarm)
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
    if Token.is_unresolved(namespace) or Token.is_unresolved(name) or namespace not in _PUBLISHED:
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
            f"{namespace} publishes no metric {name!r}", at=at, fix=f"use one that it publishes: {', '.join(near)}"
        )
    metric = metrics[name]
    if not Token.is_unresolved(statistic) and not re.fullmatch(metric.statistics, statistic):
        raise ConfigurationError(
            f"statistic {statistic!r} of {namespace} {name}, where it means nothing",
            at=at,
            fix=f"use {metric.statistics.replace('|', ', ').replace(_PERCENTILE, 'a percentile such as p95')}",
        )
    if frozenset(dimensions) not in metric.dimensions:
        options = " or ".join(" + ".join(sorted(names)) or "no dimensions" for names in metric.dimensions)
        raise ConfigurationError(
            f"{namespace} {name} with dimensions {sorted(dimensions)}, which AWS does not publish",
            at=at,
            fix=f"use {options}",
        )


_PERCENTILE = r"(?:p|tm|tc|ts|wm)\d{1,2}(?:\.\d+)?"
_ANY = "Average|Minimum|Maximum|Sum|SampleCount"


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(filter(None, name.split("+"))) for name in names)


def _all(names: str, statistics: str, dimensions: tuple[frozenset[str], ...]) -> dict[str, _Metric]:
    return {name: _Metric(statistics, dimensions) for name in names.split()}


_BALANCER = _sets("LoadBalancer", "AvailabilityZone+LoadBalancer")
_TARGETS = _sets("LoadBalancer+TargetGroup", "AvailabilityZone+LoadBalancer+TargetGroup")

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/cloudwatch_metrics-codebuild.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/metrics-dimensions.html
# Counts of events are 1 for each event in every statistic but Sum: an average of 5XX answers never reaches a threshold.
_PUBLISHED: Mapping[str, Mapping[str, _Metric]] = {
    "AWS/ApplicationELB": {
        **_all(
            "HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count "
            "TargetConnectionErrorCount TargetTLSNegotiationErrorCount RequestCount",
            "Sum",
            _BALANCER + _TARGETS,
        ),
        **_all(
            "HTTPCode_ELB_4XX_Count HTTPCode_ELB_5XX_Count HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count "
            "HTTPCode_ELB_503_Count HTTPCode_ELB_504_Count RejectedConnectionCount NewConnectionCount "
            "ActiveConnectionCount ClientTLSNegotiationErrorCount ProcessedBytes",
            "Sum",
            _BALANCER,
        ),
        **_all("TargetResponseTime", f"Average|Minimum|Maximum|{_PERCENTILE}", _BALANCER + _TARGETS),
        **_all("HealthyHostCount UnHealthyHostCount", "Average|Minimum|Maximum", _TARGETS),
        **_all("RequestCountPerTarget", "Sum", _sets("TargetGroup", "LoadBalancer+TargetGroup")),
    },
    "AWS/NetworkELB": {
        **_all("HealthyHostCount UnHealthyHostCount", "Average|Minimum|Maximum", _TARGETS),
        **_all(
            "TCP_Target_Reset_Count TCP_Client_Reset_Count TCP_ELB_Reset_Count PortAllocationErrorCount "
            "ProcessedBytes ProcessedPackets RejectedFlowCount UnhealthyRoutingFlowCount",
            "Sum",
            _BALANCER,
        ),
        **_all("ActiveFlowCount NewFlowCount ConsumedLCUs PeakPacketsPerSecond", _ANY, _BALANCER),
    },
    "AWS/CodeBuild": {
        **_all("Builds SucceededBuilds FailedBuilds", "Sum", _sets("ProjectName", "")),
        **_all(
            "Duration QueuedDuration SubmittedDuration ProvisioningDuration DownloadSourceDuration InstallDuration "
            "PreBuildDuration BuildDuration PostBuildDuration UploadArtifactsDuration FinalizingDuration",
            f"{_ANY}|{_PERCENTILE}",
            _sets("ProjectName", ""),
        ),
    },
    "AWS/CodePipeline": {
        **_all("FailedPipelineExecutions", "Sum", _sets("PipelineName", "")),
        **_all("PipelineDuration", f"{_ANY}|{_PERCENTILE}", _sets("PipelineName")),
    },
    "AWS/CodeDeploy": {},
}
