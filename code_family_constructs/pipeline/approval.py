"""Floor 2: a person decides."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved
from code_family_constructs.topic import check_email, check_topic, is_aws_key, key_of

_WEEK = Duration.days(7)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualApproval:
    """Holds a stage until somebody approves, or fails it when nobody does in time.

    Args:
        question: What the approver is asked, 1 to 1000 characters; pipeline variables such as
            `#{codepipeline.PipelineExecutionId}` are filled in.
        review_url: Where the approver can look: staging, a report, a change set.
        topic: Encrypted standard topic that hears of the request, such as an `AlertTopic`'s. One that is not made in
            this app is imported with its key: `sns.Topic.from_topic_attributes(…, topic_arn=…, key_arn=…)`.
        notify_emails: Addresses that hear of it; the pipeline makes an encrypted topic for them.
        timeout: How long to wait, 5 minutes to 60 days.

    Raises:
        ConfigurationError: A text, an address or a timeout that CodePipeline would refuse, or a topic that would not
            get the request.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-action-add.html
    """

    question: str
    review_url: str | None = None
    topic: sns.ITopic | None = None
    notify_emails: Sequence[str] = ()
    timeout: Duration = _WEEK
    topic_key: kms.IKey | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        at = "ManualApproval"
        if self.topic is not None:
            check_topic(at, self.topic, publisher="CodePipeline")
            key = key_of(self.topic)
            # What the pipeline has to be let into.
            object.__setattr__(self, "topic_key", None if key is None or is_aws_key(key) else key)
        if not unresolved(self.question) and not 1 <= len(self.question) <= 1000:
            raise ConfigurationError(
                f"an approval question of {len(self.question)} characters", at=at, fix="use 1 to 1000 characters"
            )
        url = self.review_url
        if url is not None and not unresolved(url) and not url.startswith(("https://", "http://", "#{")):
            raise ConfigurationError(f"review_url={url!r} is no link", at=at, fix="start it with https://")
        if url is not None and len(url) > 1000:
            raise ConfigurationError(f"review_url of {len(url)} characters", at=at, fix="use at most 1000 characters")
        if self.topic is not None and self.notify_emails:
            raise ConfigurationError(
                "a topic and e-mail addresses for one approval", at=at, fix="subscribe the addresses to the topic"
            )
        for email in self.notify_emails:
            check_email(at, email)
        if self.timeout is not _WEEK:
            if self.timeout.is_unresolved():
                raise ConfigurationError(
                    "a timeout that is only known when the stack is deployed",
                    at=at,
                    fix="use whole minutes, Duration.minutes(5) to Duration.days(60)",
                )
            minutes = self.timeout.to_minutes(integral=False)
            if not 5 <= minutes <= 86400 or minutes != int(minutes):
                raise ConfigurationError(
                    f"timeout={minutes:g} minutes for an approval",
                    at=at,
                    fix="use whole minutes, Duration.minutes(5) to Duration.days(60)",
                )
