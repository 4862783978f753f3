"""Floor 0: an encrypted topic that the services of a release may really publish to."""

import re
from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import pseudo
from code_family_constructs.storage import service_statement
from code_family_constructs.tokens import unresolved

_PUBLISHERS = ("cloudwatch.amazonaws.com",)


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
        # SNS asks KMS in the publisher's name, without its account: the topic's policy has that check.
        self.key.add_to_resource_policy(
            service_statement(_PUBLISHERS[0], ["kms:Decrypt", "kms:GenerateDataKey"], ["*"], None)
        )
        self.topic.add_to_resource_policy(
            service_statement(
                _PUBLISHERS[0],
                ["sns:Publish"],
                [self.topic.topic_arn],
                {"StringEquals": {"aws:SourceAccount": pseudo().account}},
            )
        )
        for index, email in enumerate(emails):
            sns.CfnSubscription(self, f"Email{index}", topic_arn=self.topic.topic_arn, protocol="email", endpoint=email)


def check_email(at: Construct | str, email: str) -> None:
    """Raises ConfigurationError for what is no e-mail address; SNS would subscribe it and never deliver."""
    if not unresolved(email) and not _EMAIL.fullmatch(email):
        raise ConfigurationError(
            f"{email!r} is no e-mail address", at=at, fix="write one address, as name@example.com, for each entry"
        )


_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@,;:<>.]+(?:\.[^\s@,;:<>.]+)+")
