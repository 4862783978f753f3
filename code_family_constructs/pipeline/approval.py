"""Floor 2: a person decides."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from code_family_constructs.actions import ActionContext, StageAction
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_kind, check_list
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved
from code_family_constructs.topic import AlertTopic, check_email, check_topic, customer_key_of

_WEEK = Duration.days(7)
# Of any one setting of an action: https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualApproval:
    """Holds a stage until somebody approves, or fails it when nobody does in time.

    The request answers what there is to approve: below the question stand the revision of each source with its id,
    author, message and a link to the change, as far as the source tells, and a link to the execution with its builds
    and test reports; then the links given here. Of many sources, the links to changes are left out where there is no
    room for them; the execution leads to them too.

    Args:
        question: What the approver is asked; pipeline variables such as `#{codepipeline.PipelineExecutionId}` are
            filled in. With all that stands below, at most 1000 characters.
        links: More to look at, title → link: staging, a report, a change set. Variables are filled in.
        review_url: The one link that the console and the notification show beside the text, such as staging.
        tell_release: Whether the lines about the revision and the execution are added.
        topic: Encrypted standard topic that hears of the request, such as an `AlertTopic`'s. One that is not made in
            this app is imported with its key: `sns.Topic.from_topic_attributes(…, topic_arn=…, key_arn=…)`.
        notify_emails: Addresses that hear of it; the pipeline makes an encrypted topic for them.
        timeout: How long to wait, 5 minutes to 60 days.

    Raises:
        ConfigurationError: A text, a link, an address or a timeout that CodePipeline would refuse, or a topic that
            would not get the request.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-action-add.html
    """

    question: str
    links: Mapping[str, str] = field(default_factory=dict)
    review_url: str | None = None
    tell_release: bool = True
    topic: sns.ITopic | None = None
    notify_emails: Sequence[str] = ()
    timeout: Duration = _WEEK
    topic_key: kms.IKey | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        at = "ManualApproval"
        if self.topic is not None:
            check_topic(at, self.topic, publisher="CodePipeline")
            # What the pipeline has to be let into.
            object.__setattr__(self, "topic_key", customer_key_of(self.topic))
        if not unresolved(self.question) and not 1 <= len(self.question) <= _LONGEST:
            raise ConfigurationError(
                f"an approval question of {len(self.question)} characters", at=at, fix="use 1 to 1000 characters"
            )
        if not isinstance(self.links, Mapping):
            raise ConfigurationError(
                f"links= is a {type(self.links).__name__}", at=at, fix='give titles too: links={"Staging": "https://…"}'
            )
        for title, link in self.links.items():
            _check_link(title, link)
        if self.review_url is not None:
            _check_link("review_url", self.review_url)
        if self.topic is not None and self.notify_emails:
            raise ConfigurationError(
                "a topic and e-mail addresses for one approval", at=at, fix="subscribe the addresses to the topic"
            )
        check_list(at, "notify_emails", self.notify_emails)
        for email in self.notify_emails:
            check_email(at, email)
        if self.timeout is not _WEEK:
            _check_timeout(self.timeout)

    def stage_action(self, context: ActionContext) -> StageAction:
        topic, key = self.topic, self.topic_key
        if self.notify_emails and context.scope is not None:
            name = "Approval" if context.action_name == "Approve" else context.action_name
            alert = AlertTopic(context.scope, f"{context.stage_name}{name}", key=context.key, emails=self.notify_emails)
            topic, key = alert.topic, alert.key
        permissions: list[Statement] = []
        if topic is not None:
            permissions.append(Statement(actions=["sns:Publish"], resources=[topic.topic_arn]))
            if key is not None and key is not context.key:
                permissions.append(Statement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
        return StageAction(
            action=actions.ManualApprovalAction(
                action_name=context.action_name,
                additional_information=self._text(context),
                external_entity_link=self.review_url,
                notification_topic=topic,
                timeout=self.timeout,
                run_order=context.run_order,
            ),
            pipeline_permissions=permissions,
        )

    def _text(self, context: ActionContext) -> str:
        release = context.release if self.tell_release else ()
        links = [f"{title}: {link}" for title, link in self.links.items()]
        text = "\n".join([self.question, *release, *links])
        if _length(text) > _LONGEST:
            text = "\n".join([self.question, *(line for line in release if not _is_link(line)), *links])
        if _length(text) > _LONGEST:
            raise ConfigurationError(
                f"an approval request of {_length(text)} characters, CodePipeline takes {_LONGEST}",
                at=f"{context.pipeline_name}/{context.stage_name}/{context.action_name}",
                fix="shorten question= or links=, or give tell_release=False",
            )
        return text


_TOKEN = re.compile(r"\$\{Token\[(AWS\.Region)?[^]]*\]\}")


def _length(text: str) -> int:
    """Characters of a text as far as they are known; a template of no region in particular has to fit all of them."""
    return len(_TOKEN.sub(lambda token: "ap-southeast-2" if token[1] else "", text))


def _is_link(line: str) -> bool:
    return line.startswith(("https://", "http://"))


def _check_link(name: str, link: str) -> None:
    if not unresolved(link) and not _is_link(link) and not link.startswith("#{"):
        raise ConfigurationError(f"{name}={link!r} is no link", at="ManualApproval", fix="start it with https://")
    if len(link) > _LONGEST:
        raise ConfigurationError(
            f"{name} of {len(link)} characters", at="ManualApproval", fix=f"use at most {_LONGEST} characters"
        )


def _check_timeout(timeout: Duration) -> None:
    fix = "use whole minutes, Duration.minutes(5) to Duration.days(60)"
    check_kind("ManualApproval", "timeout", timeout, Duration, fix=fix)
    if timeout.is_unresolved():
        raise ConfigurationError(
            "a timeout that is only known when the stack is deployed", at="ManualApproval", fix=fix
        )
    minutes = timeout.to_minutes(integral=False)
    if not 5 <= minutes <= 86400 or minutes != int(minutes):
        raise ConfigurationError(f"timeout={minutes:g} minutes for an approval", at="ManualApproval", fix=fix)
