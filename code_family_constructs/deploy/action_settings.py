"""Floor 1: what the settings and the permissions of CodePipeline's deploy actions have in common."""

import re
from collections.abc import Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from code_family_constructs.actions import ActionContext
from code_family_constructs.cross_account import fixed_role_arn
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, arn, pseudo
from code_family_constructs.tokens import unresolved

# Of any one setting of an action: https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
LONGEST_SETTING = 1000
_TOKEN = re.compile(r"\$\{Token\[[^]]*\]\}")


def check_path(at: Construct | str, argument: str, path: str, *, example: str) -> None:
    """Raises ConfigurationError for what is no path of a file or folder in an artifact."""
    if unresolved(path):
        return
    if not path or path.startswith("/") or "::" in path or ".." in path.split("/"):
        raise ConfigurationError(
            f"{argument}={path!r} is no path in an artifact",
            at=at,
            fix=f"give the path from the artifact's root: {example!r}",
        )


def check_setting(at: Construct | str, argument: str, text: str, *, fix: str) -> None:
    """Raises ConfigurationError for a setting that is longer than CodePipeline takes, as far as it is known."""
    length = len(_TOKEN.sub("", text))
    if length > LONGEST_SETTING:
        raise ConfigurationError(
            f"{argument} of {length} characters, CodePipeline takes {LONGEST_SETTING}", at=at, fix=fix
        )


def joined(at: Construct | str, argument: str, values: Sequence[str], *, fix: str) -> str | None:
    """Values as the one text that CodePipeline takes for a list.

    Raises:
        ConfigurationError: One of them has a comma in it, is there twice, or the list is longer than a setting may be.
    """
    for index, value in enumerate(values):
        if "," in value or (value in values[:index] and not unresolved(value)):
            what = "has a comma in it" if "," in value else "is there twice"
            raise ConfigurationError(f"{argument}: {value!r} {what}", at=at, fix=f"give each of {argument} by itself")
    text = ",".join(values)
    check_setting(at, argument, text, fix=fix)
    return text or None


def arn_at(context: ActionContext, service: str, resource: str) -> str:
    """ARN of a resource in the account whose role the action runs as, in the region that the action runs in."""
    if context.region is None:
        return arn(service, resource)
    aws = pseudo()
    return f"arn:{aws.partition}:{service}:{context.region}:{aws.account}:{resource}"


def log_statements(context: ActionContext) -> list[Statement]:
    """What an action on CodePipeline's managed compute needs to write its log; it makes the log group itself."""
    log = arn_at(context, "logs", f"log-group:/aws/codepipeline/{context.pipeline_name}")
    return [
        Statement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            # Of CreateLogGroup, too, CloudWatch Logs asks for the group with `:log-stream:` behind it.
            resources=[log, f"{log}:*"],
            wildcard_reason="CodePipeline names log streams at run time; the log group is this pipeline's own",
        ),
    ]


def check_named(context: ActionContext, at: Construct | str, target: IConstruct, argument: str, property_: str) -> None:
    """Raises ConfigurationError for a target in another account or region that has no name until it is deployed.

    Args:
        context: Where the action runs.
        at: Who asks.
        target: What is deployed to; one that is imported has its name.
        argument: What the user gave it as.
        property_: Its name, as a property in CloudFormation, in Python's spelling. Where aws-cdk-lib makes the target
            by a resource that has none (clusters of `aws_eks`), aws-cdk-lib itself refuses the reference.
    """
    if not context.elsewhere or _in_pipelines_stack(context, target):
        return
    resource: Any = target.node.default_child
    # aws-cdk-lib has a token of nothing in the place of a name that nobody gave.
    if hasattr(resource, property_) and Stack.of(target).resolve(getattr(resource, property_)) is None:
        raise ConfigurationError(
            f"{argument} {target.node.path!r} gets its name when it is deployed, and the pipeline, in another account "
            "or region, has to know it before",
            at=at,
            fix=f"give it a {property_}=",
        )


def role_arn(context: ActionContext, role: iam.IRole) -> str:
    """ARN of a role that the action hands on: as text, where CloudFormation cannot refer to the role.

    Raises:
        ConfigurationError: The ARN is known at deploy time only, and has to be known before.
    """
    if not context.elsewhere or _in_pipelines_stack(context, role):
        return role.role_arn
    return fixed_role_arn(role)


def check_role_account(context: ActionContext, at: Construct, role: iam.IRole) -> None:
    """Raises ConfigurationError for a role of another account than the action runs in: nobody may hand that on."""
    account, _ = _environment(context, at)
    theirs = role.env.account
    if not unresolved(account) and not unresolved(theirs) and account != theirs:
        raise ConfigurationError(
            f"role {role.node.path!r} is in account {theirs}, action {context.action_name!r} runs in {account}",
            at=at,
            fix=f"give a role of account {account}, or let the action run in the role's account",
        )


def check_environment_of(context: ActionContext, at: Construct | str, what: str, target: Any) -> None:
    """Raises ConfigurationError for a target in another account or region than the action looks for it in.

    Args:
        context: Where the action runs.
        at: Who asks.
        what: What kind of a thing the target is.
        target: What the action works with, any resource of aws-cdk-lib.
    """
    if context.scope is None:
        return
    ours, theirs = _environment(context, context.scope), (target.env.account, target.env.region)
    if any(mine != other for mine, other in zip(ours, theirs, strict=True) if not unresolved(mine + other)):
        raise ConfigurationError(
            f"{what} {target.node.path!r} is in account {theirs[0]}, region {theirs[1]}, and action "
            f"{context.action_name!r} looks for it in account {ours[0]}, region {ours[1]}, where it runs",
            at=at,
            fix=f"put the action into a TargetAction with a stack over there, or import the {what} where it runs",
        )


def _environment(context: ActionContext, at: Construct) -> tuple[str, str]:
    """Account and region that the action runs in."""
    home = Stack.of(context.scope or at)
    return context.role.env.account if context.role is not None else home.account, context.region or home.region


def _in_pipelines_stack(context: ActionContext, target: IConstruct) -> bool:
    return context.scope is not None and Stack.of(context.scope) is Stack.of(target)
