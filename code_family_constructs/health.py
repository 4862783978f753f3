"""Floor 1: the alarms that decide whether a release is healthy, handed to every layer that rolls back."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.metrics import check_period, check_published
from code_family_constructs.names import NameRule, check_list, check_name
from code_family_constructs.permissions import acknowledge
from code_family_constructs.smoke_test import SmokeTest
from code_family_constructs.tokens import unresolved
from code_family_constructs.topic import admit_cloudwatch

if TYPE_CHECKING:  # its modules of aws-cdk-lib are for gates with a canary only
    from code_family_constructs.canary import UrlCanary

# The API and CloudFormation references of CodeDeploy say 10, Service Quotas says 50.
MOST_ALARMS = 50
ALARMS_EVERY_ACCOUNT_TAKES = 10

_COMPOSITE = "Composite"
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
_TARGET_GROUP = re.compile("targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]+")
_LOAD_BALANCER = re.compile("app/[A-Za-z0-9-]{1,32}/[0-9a-f]+")
_FUNCTION_NAME = NameRule("function", "[A-Za-z0-9_-]", 64)
_ALIAS_NAME = NameRule("alias", "[A-Za-z0-9_-]", 128)
_PERIOD = Duration.minutes(1)
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class HealthGate(Construct):
    """One set of CloudWatch alarms: while one of them is in alarm, releases stop and roll back.

    Creates the alarms that are asked for through `watch` and its kin; each costs 0.10 USD a month. Missing data counts
    as healthy, since a service without traffic publishes nothing.

    CodeDeploy takes `alarms`, Amazon ECS `alarm_names`, and what takes one alarm only, such as the condition of a
    pipeline's stage, takes the `composite`.

    Args:
        scope: Parent construct.
        id: Construct id.
        alarms: Alarms that exist already, metric or composite.
        topic: Where alarms made here report to: an `AlertTopic`'s, or another encrypted one. CloudWatch is let into the
            policies of a topic and a key that are made in this app; those of imported ones have to let it in already.
            Without a topic, an alarm still stops and rolls back a release, but tells nobody between releases.

    Raises:
        ConfigurationError: What is no alarm, or a topic that CloudWatch could not publish to.
    """

    def __init__(
        self, scope: Construct, id: str, *, alarms: Sequence[cloudwatch.IAlarm] = (), topic: sns.ITopic | None = None
    ) -> None:
        super().__init__(scope, id)
        check_list(self, "alarms", alarms)
        self._alarms: list[cloudwatch.IAlarm] = []
        self._names: set[str] = set()
        self._taken = {_COMPOSITE}
        self._users: list[Callable[[cloudwatch.IAlarm], None]] = []
        self._ids: Counter[str] = Counter()
        self._composite: cloudwatch.CompositeAlarm | None = None
        if topic is not None:
            admit_cloudwatch(self, topic)
        self._action = actions.SnsAction(topic) if topic is not None else None
        for alarm in alarms:
            self.add_alarm(alarm)

    @property
    def alarms(self) -> Sequence[cloudwatch.IAlarm]:
        """The alarms so far, in the order in which they were added."""
        return tuple(self._alarms)

    @property
    def alarm_names(self) -> Sequence[str]:
        """Names of the alarms so far, for what takes names."""
        return tuple(alarm.alarm_name for alarm in self._alarms)

    def composite(self) -> cloudwatch.CompositeAlarm:
        """One alarm that fires while any alarm of this gate does, those included that are added later.

        The first call creates it, for 0.50 USD a month. It tells nobody: the alarms that it is made of do.

        Raises:
            ConfigurationError: There is no alarm in the gate yet.
        """
        if self._composite is None:
            if not self._alarms:
                raise ConfigurationError(
                    "a composite of no alarms", at=self, fix="add one with watch() or add_alarm() first"
                )
            self._composite = cloudwatch.CompositeAlarm(
                self, _COMPOSITE, alarm_rule=cloudwatch.AlarmRule.from_string(self._rule())
            )
            # The L2's name does not tell the stack's: a second stack of the same code could not be deployed. Without
            # one, CloudFormation makes one up, as for every alarm.
            resource: Any = self._composite.node.default_child
            resource.alarm_name = None
        return self._composite

    def _rule(self) -> str:
        return " OR ".join(f'ALARM("{alarm.alarm_arn}")' for alarm in self._alarms)

    def add_alarm(self, alarm: cloudwatch.IAlarm) -> None:
        """Adds an alarm made elsewhere; deployments that already use this gate get it too.

        Raises:
            ConfigurationError: What is no alarm, in the gate already, of another Region or account, or one more than
                AWS takes.
        """
        if alarm is self._composite:
            raise ConfigurationError(
                "the alarm is made of those in this health gate", at=alarm, fix="add it to another gate, or to none"
            )
        if not hasattr(alarm, "alarm_arn"):
            raise ConfigurationError(
                f"{alarm!r} is no alarm", at=self, fix="give the alarm itself, or cloudwatch.Alarm.from_alarm_name(…)"
            )
        name = alarm.alarm_name
        # CodeDeploy refuses two of one name; one that is only known at deploy time is the same text for one alarm only.
        if name in self._names or any(alarm is known for known in self._alarms):
            raise ConfigurationError("the alarm is in this health gate already", at=alarm, fix="add each alarm once")
        _check_place(self, alarm)
        self._add(alarm)
        self._names.add(name)

    def _add(self, alarm: cloudwatch.IAlarm) -> None:
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
        if self._composite is not None:
            resource: Any = self._composite.node.default_child
            resource.alarm_rule = self._rule()
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
            ConfigurationError: The alarm could never fire, or AWS would refuse it.
        """
        if not isinstance(metric, cloudwatch.Metric):
            raise ConfigurationError(
                f"a {type(metric).__name__}, and only a Metric can be looked at here",
                at=self,
                fix="make the alarm yourself, with create_alarm(), and add_alarm() it",
            )
        if not math.isfinite(threshold):
            raise ConfigurationError(f"a threshold of {threshold}", at=self, fix="use a number that can be reached")
        self._check_new(description, id)
        check_published(
            self,
            namespace=metric.namespace,
            name=metric.metric_name,
            statistic=metric.statistic,
            dimensions=metric.dimensions or {},
            threshold=threshold,
        )
        period = int(metric.period.to_seconds())
        check_period(self, namespace=metric.namespace, seconds=period)
        if not unresolved(evaluation_periods):
            _check_evaluation(self, id, evaluation_periods, period)
        return self._watch(id, metric, threshold, evaluation_periods, description)

    def _watch(
        self,
        id: str,
        metric: cloudwatch.Metric,
        threshold: float,
        evaluation_periods: int,
        description: str | None,
        comparison: cloudwatch.ComparisonOperator = _AT_LEAST,
    ) -> cloudwatch.Alarm:
        self._taken.add(id)
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=comparison,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        if self._action is not None:
            alarm.add_alarm_action(self._action)
        else:
            reason = "releases read the alarm themselves and roll back; no topic= was given to tell a person"
            acknowledge(alarm, {"CloudWatchAlarmAction": reason}, pack="NIST.800.53.R5")
        self._add(alarm)
        return alarm

    def watch_target_group(self, *, target_group: str, load_balancer: str) -> None:
        """Watches what an Application Load Balancer sees of its targets: 5XX answers, unhealthy hosts, latency.

        Args:
            target_group: Full name of the target group, `targetgroup/<name>/<id>`.
            load_balancer: Full name of its load balancer, `app/<name>/<id>`.

        Raises:
            ConfigurationError: No full names, or those of a Network Load Balancer.
        """
        if load_balancer.startswith("net/"):
            raise ConfigurationError(
                f"load balancer {load_balancer!r} is a Network Load Balancer, which sees no answers",
                at=self,
                fix='watch() its metrics of namespace "AWS/NetworkELB", such as UnHealthyHostCount',
            )
        _check_full_name(self, "target group", target_group, _TARGET_GROUP, "targetgroup/<name>/<id>")
        _check_full_name(self, "load balancer", load_balancer, _LOAD_BALANCER, "app/<name>/<id>")
        watch = self._watcher("AWS/ApplicationELB", {"TargetGroup": target_group, "LoadBalancer": load_balancer})
        watch("Target5xx", "HTTPCode_Target_5XX_Count", "Sum", 10, 2, "The application answers with server errors")
        # A restarting web server misses a health check or two; three minutes are no restart.
        unhealthy = "A target fails its load balancer's health checks"
        watch("UnhealthyHosts", "UnHealthyHostCount", "Maximum", 1, 3, unhealthy)
        # Of few requests the slowest is noise: a high percentile over five minutes, not the maximum over one.
        slow = "One request in twenty takes the application two seconds or longer"
        watch("Latency", "TargetResponseTime", "p95", 2, 5, slow)

    def watch_function_alias(self, *, function_name: str, alias_name: str, timeout: Duration | None) -> None:
        """Watches what callers of a Lambda function's alias see of it: errors, throttles, and time close to the limit.

        What counts is how many there are, not which share: a release that gets one request in ten first would hide in
        a share of all. That is also why both versions behind the alias are counted, not the new one alone, whose number
        nothing but the release knows.

        Args:
            function_name: Name of the function, as text: an alarm that refers to the alias would wait for it, while
                the alias waits for its deployment group and the group for its alarms.
            alias_name: Name of the alias.
            timeout: Of the function; `None` leaves its duration alone.

        Raises:
            ConfigurationError: What is no name, or a timeout that nothing is known of or that Lambda does not have.
        """
        check_name(self, function_name, _FUNCTION_NAME)
        check_name(self, alias_name, _ALIAS_NAME)
        alias = {"FunctionName": function_name, "Resource": f"{function_name}:{alias_name}"}
        if timeout is not None and timeout.is_unresolved():
            raise ConfigurationError(
                "a timeout that is only known when the stack is deployed, nine tenths of which nobody can tell",
                at=self,
                fix="leave it out (None), and watch() the duration against a number",
            )
        if timeout is not None and not 1000 <= timeout.to_milliseconds() <= 900_000:
            raise ConfigurationError(
                f"a timeout of {timeout.to_milliseconds() / 1000:g} seconds",
                at=self,
                fix="give that of the function, 1 to 900 seconds, or None",
            )
        watch = self._watcher("AWS/Lambda", alias)
        # Two minutes in a row: one stray error is no reason to go back.
        watch("AliasErrors", "Errors", "Sum", 1, 2, "The function fails")
        watch("AliasThrottles", "Throttles", "Sum", 1, 2, "Lambda turns calls of the function away")
        if timeout is not None:
            # Of few calls, the slowest; of many, one in a hundred. What takes longer than the timeout is an error.
            limit = timeout.to_milliseconds() * 9 / 10
            watch("AliasDuration", "Duration", "p99", limit, 2, "The function takes nearly as long as it may")

    def watch_url(
        self,
        id: str,
        *,
        url: str,
        expected_status: int = 200,
        contains: str | None = None,
        interval: Duration = Duration.minutes(1),
        failures: int = 2,
        description: str | None = None,
    ) -> "UrlCanary":
        """Has a canary ask for a URL from the internet, and makes an alarm that fires when it is not as expected.

        A gate that watches a URL which does not answer yet stops the very release that would make it answer: watch one
        that does. The canary costs about 0.0012 USD a run, 52 USD a month for one a minute; what else it creates tells
        `UrlCanary`.

        Args:
            id: Construct id of the canary.
            url: `http://…` or `https://…`.
            expected_status: HTTP status of the answer; redirects are not followed.
            contains: Text that is in the answer.
            interval: Between two runs, 1 to 60 minutes. It takes `failures` of them until the alarm fires.
            failures: How many runs in a row have to fail.
            description: What the alarm means to the person who gets it.

        Raises:
            ConfigurationError: No URL, or an interval that Synthetics does not have.
        """
        # Imported here: gates without a canary should not pay for its modules.
        from code_family_constructs.canary import UrlCanary, check_interval

        try:
            test = SmokeTest(url, expected_status, contains)
        except ConfigurationError as error:
            raise ConfigurationError(error.problem, at=self, fix=error.fix) from None
        seconds = int(check_interval(self, interval) * 60)
        if not unresolved(failures):
            _check_evaluation(self, id, failures, seconds)
        # A long URL would not fit into a description.
        meaning = description or f"{url if len(url) < 900 else id} does not answer as expected"
        self._check_new(meaning, id, f"{id}Alarm")
        self._taken.add(id)
        canary = UrlCanary(self, id, test=test, interval=interval)
        metric = cloudwatch.Metric(
            namespace="CloudWatchSynthetics",
            metric_name="SuccessPercent",
            dimensions_map={"CanaryName": canary.canary_name},
            statistic="Average",
            period=interval,
        )
        self._watch(f"{id}Alarm", metric, 100, failures, meaning, _BELOW)
        return canary

    def _watcher(self, namespace: str, dimensions: dict[str, str]) -> Callable[[str, str, str, float, int, str], None]:
        """Makes alarms on one thing; the alarms on a second one of its kind get a number."""

        def watch(id: str, name: str, statistic: str, threshold: float, periods: int, description: str) -> None:
            check_published(self, namespace=namespace, name=name, statistic=statistic, dimensions=dimensions)
            metric = cloudwatch.Metric(
                namespace=namespace,
                metric_name=name,
                dimensions_map=dimensions,
                statistic=statistic,
                period=_PERIOD,
            )
            self._ids[id] += 1
            numbered = id if self._ids[id] == 1 else f"{id}{self._ids[id]}"
            self._check_new(description, numbered)
            self._watch(numbered, metric, threshold, periods, description)

        return watch

    def _check_new(self, description: str | None, *ids: str) -> None:
        for id in ids:
            if id in self._taken:
                raise ConfigurationError(
                    f"{id!r} is taken in this health gate", at=self, fix="give what you watch() another id"
                )
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        if description is not None and not unresolved(description) and len(description) > 1024:
            raise ConfigurationError(
                f"a description of {len(description)} characters", at=self, fix="use at most 1024 characters"
            )

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


def _check_evaluation(at: Construct, id: str, evaluation_periods: int, period: int) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    most = (7 if period >= 3600 else 1) * 86400 // period
    if not 1 <= evaluation_periods <= most:
        raise ConfigurationError(
            f"{evaluation_periods} evaluation periods of {period} seconds for {id!r}", at=at, fix=f"use 1 to {most}"
        )


def _check_full_name(at: Construct, what: str, given: str, pattern: re.Pattern[str], form: str) -> None:
    if not unresolved(given) and not pattern.fullmatch(given):
        raise ConfigurationError(f"{what} {given!r}", at=at, fix=f"give its full name, {form}, as metrics have it")


def _check_place(at: Construct, alarm: cloudwatch.IAlarm) -> None:
    """An imported alarm tells where it is by its ARN only."""
    stack = Stack.of(at)
    parts = alarm.alarm_arn.split(":")
    there = parts[3:5] if len(parts) > 5 else [alarm.env.region, alarm.env.account]
    for what, here, other in zip(("Region", "account"), (stack.region, stack.account), there, strict=True):
        if here != other and not unresolved(here) and not unresolved(other):
            raise ConfigurationError(
                f"the alarm is in {what} {other}, the health gate in {here}: releases read no other alarms",
                at=alarm,
                fix=f"add an alarm of {what} {here}",
            )
