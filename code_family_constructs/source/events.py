"""Floor 1: changes that EventBridge tells of, and what they start."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from aws_cdk import Stack
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import ServiceRole, Statement, arn
from code_family_constructs.source import SourceContext
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_events as events
    from aws_cdk.interfaces import ResourceEnvironment


def start_pipeline(context: SourceContext, pattern: Mapping[str, Any]) -> "events.CfnRule":
    """Starts the pipeline with each event of a pattern, by a role that can start this pipeline and nothing else.

    Polling, which is what CodePipeline does when nobody turns it off, comes later and is what AWS advises against.
    https://docs.aws.amazon.com/codepipeline/latest/userguide/change-detection-methods.html
    """
    pipeline_arn = arn("codepipeline", context.pipeline_name)
    return rule_with_role(
        Construct(context.scope, f"{context.action_name}Change"),
        description=f"Changes that start pipeline {context.pipeline_name}",
        pattern=pattern,
        target_arn=pipeline_arn,
        target_id="Pipeline",
        allowed=Statement(actions=["codepipeline:StartPipelineExecution"], resources=[pipeline_arn]),
    )


def rule_with_role(
    scope: Construct,
    *,
    description: str,
    pattern: Mapping[str, Any],
    target_arn: str,
    target_id: str,
    allowed: Statement,
    transformed: "events.CfnRule.InputTransformerProperty | None" = None,
) -> "events.CfnRule":
    """A rule with one target that EventBridge calls by a role of its own."""
    from aws_cdk import aws_events as events

    role = ServiceRole(
        scope,
        service="events.amazonaws.com",
        source_arn=arn("events", "rule/*"),
        statements=[allowed],
    )
    return events.CfnRule(
        scope,
        "Rule",
        description=description,
        event_pattern=dict(pattern),
        targets=[
            events.CfnRule.TargetProperty(
                arn=target_arn, id=target_id, role_arn=role.role.role_arn, input_transformer=transformed
            )
        ],
    )


class Resource(Protocol):
    """Any resource of aws-cdk-lib."""

    @property
    def env(self) -> "ResourceEnvironment": ...


_NO_SOURCES_ELSEWHERE = {
    "region": "CodePipeline has no sources in other regions",
    "account": "from there it can deploy to other accounts",
}


def check_here(
    scope: Construct,
    resource: Resource,
    what: str,
    *,
    reader: str = "the pipeline",
    why: Mapping[str, str] = _NO_SOURCES_ELSEWHERE,
) -> None:
    """Raises ConfigurationError for a source in another account or region, as far as both are known.

    CodePipeline has none in other regions. In another account, a source would need a role, events and a key there.

    Args:
        scope: Whose source it is.
        resource: The source.
        what: What to call it in errors.
        reader: What needs it here.
        why: Why it is to be where the source is: region, account.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html
    """
    stack, theirs = Stack.of(scope), resource.env
    for kind, here, there in (
        ("region", stack.region, theirs.region),
        ("account", stack.account, theirs.account),
    ):
        if not unresolved(here) and not unresolved(there) and here != there:
            raise ConfigurationError(
                f"{what} is in {kind} {there}, and {reader} in {here}",
                at=scope,
                fix=f"make {reader} in {kind} {there}: {why[kind]}",
            )
