"""Floor 0: an encrypted topic that the services of a release may really publish to."""

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary, WeakSet

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list
from code_family_constructs.permissions import pseudo
from code_family_constructs.storage import service_statement
from code_family_constructs.tokens import unresolved

_CLOUDWATCH = "cloudwatch.amazonaws.com"


class AlertTopic(Construct):
    """A topic for alarms and approval requests: TLS-only, encrypted, and open to CloudWatch alarms of this account.

    Creates an SNS topic, its policy and an e-mail subscription for each address; without `key` also a customer-managed
    KMS key (1 USD a month). CloudWatch cannot use the AWS-managed `aws/sns` key: alarms on a topic encrypted with that
    one fail without anybody noticing, which is why a key with a policy for them is not optional.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html

    Args:
        scope: Parent construct.
        id: Construct id.
        key: Key to share, such as an artifact store's; it has to belong to this app, for its policy is extended.
        emails: Addresses to subscribe; each gets a mail with a link that has to be followed.
    """

    def __init__(self, scope: Construct, id: str, *, key: kms.Key | None = None, emails: Sequence[str] = ()) -> None:
        super().__init__(scope, id)
        check_list(self, "emails", emails)
        for email in emails:
            check_email(self, email)
        if key is not None and not isinstance(key, kms.Key):
            raise ConfigurationError(
                f"key {key.node.path!r} is not made in this app: CloudWatch cannot be let into its policy",
                at=self,
                fix="leave key= out, or give a kms.Key such as an ArtifactStore's",
            )
        self.key = key or kms.Key(
            self, "Key", enable_key_rotation=True, removal_policy=RemovalPolicy.DESTROY, description="Alert topic"
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        admit_cloudwatch(self, self.topic)
        for index, email in enumerate(emails):
            sns.CfnSubscription(self, f"Email{index}", topic_arn=self.topic.topic_arn, protocol="email", endpoint=email)


def admit_cloudwatch(at: Construct, topic: sns.ITopic) -> None:
    """Lets CloudWatch alarms of this account publish to a topic, as far as it and its key are made in this app.

    To admit it twice, or to an `AlertTopic`'s topic, changes nothing.

    Raises:
        ConfigurationError: No topic, or one unencrypted, or encrypted with `aws/sns`, whose policy omits CloudWatch.
    """
    if topic in _ADMITTED:
        return
    _check_encrypted(at, topic)
    key = key_of(topic)
    if key is not None and is_aws_key(key):
        raise ConfigurationError(
            f"topic {topic.node.path!r} is encrypted with 'alias/aws/sns', whose policy does not let CloudWatch in: "
            "alarms would tell nobody",
            at=at,
            fix="use an AlertTopic's, or give the topic a master_key of its own",
        )
    _ADMITTED.add(topic)
    account = {"StringEquals": {"aws:SourceAccount": pseudo().account}}
    if isinstance(topic, sns.Topic):
        topic.add_to_resource_policy(service_statement(_CLOUDWATCH, ["sns:Publish"], [topic.topic_arn], account))
        if isinstance(key, kms.Key):
            key.add_to_resource_policy(
                service_statement(_CLOUDWATCH, ["kms:Decrypt", "kms:GenerateDataKey"], ["*"], account)
            )


# Asking the same again is a dozen round trips to Node.
_ADMITTED: WeakSet[sns.ITopic] = WeakSet()
_CHECKED: WeakSet[sns.ITopic] = WeakSet()
_KEYS: WeakKeyDictionary[sns.ITopic, kms.IKey | None] = WeakKeyDictionary()


def check_topic(at: str, topic: sns.ITopic, *, publisher: str) -> None:
    """Raises ConfigurationError for a topic to which a service cannot publish by its role, or not encrypted.

    Args:
        at: What publishes to it.
        topic: The topic.
        publisher: The service, such as CodeDeploy.
    """
    if topic in _CHECKED:
        return
    _check_encrypted(at, topic)
    if topic.fifo:
        raise ConfigurationError(
            f"topic {topic.node.path!r} is a FIFO topic, and {publisher}'s messages name no group",
            at=at,
            fix="use a standard topic, such as an AlertTopic's",
        )
    key = key_of(topic)
    if key is None:
        raise ConfigurationError(
            f"nothing says which key topic {topic.node.path!r} is encrypted with, and without it {publisher} could not "
            "publish",
            at=at,
            fix="import it with sns.Topic.from_topic_attributes(…, topic_arn=…, key_arn=…)",
        )
    if ":alias/" in key.key_arn and not is_aws_key(key):
        alias = key.key_arn.rpartition(":")[2]
        raise ConfigurationError(
            f"topic {topic.node.path!r} is encrypted with {alias!r}: a policy that names an alias allows nothing",
            at=at,
            fix="give the topic the key itself, by kms.Key.from_key_arn, or key_arn= with the key's ARN",
        )
    _CHECKED.add(topic)


def customer_key_of(topic: sns.ITopic) -> kms.IKey | None:
    """The key that who publishes to a topic has to be let use: none for AWS's own, whose policy does so."""
    if topic not in _KEYS:
        key = key_of(topic)
        _KEYS[topic] = None if key is None or is_aws_key(key) else key
    return _KEYS[topic]


def key_of(topic: sns.ITopic) -> kms.IKey | None:
    """The key that a topic is encrypted with; the key itself where an alias of this app stands for it."""
    key = topic.master_key
    while isinstance(key, kms.Alias):
        key = key.alias_target_key
    return key


def is_aws_key(key: kms.IKey) -> bool:
    """Whether it is AWS's own key for topics, whose policy lets in everyone in the account who may publish."""
    return key.key_arn.endswith(":alias/aws/sns")


def _check_encrypted(at: Construct | str, topic: sns.ITopic) -> None:
    if not hasattr(topic, "topic_arn"):
        kind = type(topic).__name__
        fix = "give its topic, such as alerts.topic" if isinstance(topic, AlertTopic) else "give an sns.Topic"
        raise ConfigurationError(f"{kind} where a topic belongs", at=at, fix=fix)
    if isinstance(topic, sns.Topic) and topic.master_key is None:
        raise ConfigurationError(
            f"messages would go through topic {topic.node.path!r} unencrypted",
            at=at,
            fix="use an AlertTopic's, or give the topic a master_key",
        )


def check_email(at: Construct | str, email: str) -> None:
    """Raises ConfigurationError for what is no e-mail address; SNS would subscribe it and never deliver."""
    if not unresolved(email) and not _EMAIL.fullmatch(email):
        raise ConfigurationError(
            f"{email!r} is no e-mail address", at=at, fix="write one address, as name@example.com, for each entry"
        )


_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@,;:<>.]+(?:\.[^\s@,;:<>.]+)+")
