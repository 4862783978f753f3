"""Floor 1: messages that CodeDeploy sends itself, on the deployments of one deployment group."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_count, check_list
from code_family_constructs.permissions import Statement
from code_family_constructs.topic import check_topic, is_aws_key, key_of

TriggerEvent = Literal[
    "DeploymentStart",
    "DeploymentSuccess",
    "DeploymentFailure",
    "DeploymentStop",
    "DeploymentRollback",
    "DeploymentReady",
    "InstanceStart",
    "InstanceSuccess",
    "InstanceFailure",
    "InstanceReady",
]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DeploymentTrigger:
    """Tells an SNS topic of a deployment group's deployments and, on EC2, of each instance.

    CodeDeploy publishes in the name of its service role, which is allowed to: also to use the topic's key, whether
    customer-managed or AWS's own `aws/sns`. While the deployment group is made, it sends a test message.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-sns-event-notifications.html

    Args:
        name: What the trigger is called; each of a deployment group has another name.
        events: What to tell. `DeploymentReady` and `InstanceReady` happen in blue/green deployments only.
        topic: Encrypted standard topic, such as an `AlertTopic`'s. One that is not made in this app is imported with
            its key: `sns.Topic.from_topic_attributes(…, topic_arn=…, key_arn=…)`. A topic of another account has to let
            the service role publish, in its own policy and in its key's.

    Raises:
        ConfigurationError: No name or events, events that there are not, or a topic that would not get the message.
    """

    name: str
    events: Sequence[TriggerEvent]
    topic: sns.ITopic

    def __post_init__(self) -> None:
        at = f"DeploymentTrigger {self.name!r}"
        if not self.name:
            raise ConfigurationError("a trigger without a name", at="DeploymentTrigger", fix="give it a name")
        if isinstance(self.events, str) or not self.events:
            raise ConfigurationError(
                f"events={self.events!r} is no list of events", at=at, fix='write a list: events=["DeploymentFailure"]'
            )
        known: Sequence[str] = get_args(TriggerEvent)
        for event in self.events:
            if event not in known:
                near = get_close_matches(event, known, n=1) or known
                raise ConfigurationError(f"CodeDeploy has no event {event!r}", at=at, fix=f"use {', '.join(near)}")
        object.__setattr__(self, "events", tuple(dict.fromkeys(self.events)))
        check_topic(at, self.topic, publisher="CodeDeploy")

    def configuration(self) -> codedeploy.CfnDeploymentGroup.TriggerConfigProperty:
        """The trigger as a deployment group has it."""
        return codedeploy.CfnDeploymentGroup.TriggerConfigProperty(
            trigger_name=self.name, trigger_events=list(self.events), trigger_target_arn=self.topic.topic_arn
        )

    def statements(self) -> list[Statement]:
        """What CodeDeploy's service role needs for it."""
        found = [Statement(actions=["sns:Publish"], resources=[self.topic.topic_arn])]
        key = key_of(self.topic)
        if key is not None and not is_aws_key(key):
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            found.append(Statement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
        return found


def check_triggers(at: Construct, triggers: Sequence[DeploymentTrigger], *, blue_green: bool) -> None:
    """Raises ConfigurationError for triggers that CodeDeploy would refuse, or that would never be heard of."""
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    check_list(at, "triggers", triggers)
    check_count(at, triggers, what="triggers", most=10)
    names = [trigger.name for trigger in triggers]
    for index, trigger in enumerate(triggers):
        if trigger.name in names[:index]:
            raise ConfigurationError(
                f"two triggers are called {trigger.name!r}", at=at, fix="give each trigger a name of its own"
            )
        ready = [event for event in trigger.events if event.endswith("Ready")]
        if ready and not blue_green:
            raise ConfigurationError(
                f"trigger {trigger.name!r} waits for {ready[0]}, which never happens when deploying in place",
                at=at,
                fix=f"leave out {' and '.join(ready)}",
            )
