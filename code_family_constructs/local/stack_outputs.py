"""Outputs of stacks in other regions and accounts: `Fn::GetStackOutput` as CloudFormation has it.

ministack looks for the stack in the account and region of the stack that asks, whatever the function says. Whether the
role may be assumed and may read the stack, nothing checks: it has to be there, and the stack is looked for in its
account.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
"""

from collections.abc import Callable
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

Resolve = Callable[..., Any]

_FUNCTION = "Fn::GetStackOutput"


def resolved(resolve: Resolve) -> Resolve:
    """Return `resolve`, with another answer for the outputs of stacks."""

    def resolve_or_look(value: Any, *context: Any) -> Any:
        if isinstance(value, dict) and _FUNCTION in value:
            return _output(resolve(value[_FUNCTION], *context))
        return resolve(value, *context)

    return resolve_or_look


_ministack.around_references(resolved)


def _output(asked: Json) -> Any:
    name, key = asked["StackName"], asked["OutputName"]
    region = asked.get("Region") or _ministack.region()
    account = _account_of(asked["RoleArn"]) if asked.get("RoleArn") else _ministack.account_id()
    stack = _ministack.stack_elsewhere(account, region, name)
    if stack is None:
        raise ValueError(f"Stack with id {name} does not exist in account {account}, region {region}: no output {key}")
    for output in stack.get("Outputs", []):
        if output["OutputKey"] == key:
            return output["OutputValue"]
    raise ValueError(f"Output {key} does not exist in stack {stack['StackId']}")


def _account_of(role_arn: str) -> str:
    account, _, role = role_arn.split(":", 4)[-1].partition(":role/")
    if not _ministack.has_role(account, role.rpartition("/")[2]):
        raise ValueError(f"CloudFormation is not authorized to perform: sts:AssumeRole on resource: {role_arn}")
    return account
