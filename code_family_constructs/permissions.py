"""Floor 0: what a role may do, written down statement by statement, in one managed policy a role."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from aws_cdk import Acknowledgment, Aws, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from code_family_constructs.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One Allow statement of a role.

    Args:
        actions: IAM actions in full; a wildcard is refused, since it grants what the service invents tomorrow.
        resources: ARNs; one with a `*` needs `wildcard_reason`.
        conditions: As in an IAM policy: operator → key → value.
        wildcard_reason: Why AWS offers nothing narrower, in words that a security reviewer would accept. It becomes
            the acknowledgment of cdk-nag's IAM5 finding on this one policy.
    """

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, Any]] | None = None
    wildcard_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            document["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return document


class ServiceRole:
    """A role that an AWS service assumes, with exactly the statements given here.

    Creates an IAM role and one customer managed policy. aws-cdk-lib gets `frozen`, so that no grant of an L2 widens the
    role behind the reviewer's back; to widen it on purpose, use `role`, in a visible line.

    The role refers to the policy and not the other way round: whatever uses the role waits for its permissions.

    Args:
        scope: Parent of the role and the policy.
        service: Service principal, such as `codebuild.amazonaws.com`.
        statements: What the role may do.
        source_arn: ARN of the only resource on whose behalf the service may assume the role.
        id: Construct id of the role; the policy's is derived from it.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        service: str,
        statements: Sequence[Statement],
        source_arn: str | None = None,
        id: str = "Role",
    ) -> None:
        self._statements: list[Statement] = []
        self._acknowledged: set[str] = set()
        self._path = scope
        self.policy = iam.CfnManagedPolicy(scope, f"{id}Policy", policy_document=_document(statements))
        self.role = iam.Role(
            scope,
            id,
            assumed_by=iam.ServicePrincipal(service, conditions=_confused_deputy(source_arn) if source_arn else None),
            managed_policies=[
                iam.ManagedPolicy.from_managed_policy_arn(scope, f"{id}Permissions", self.policy.ref),
            ],
        )
        self.frozen: iam.IRole = self.role.without_policy_updates()
        self._add(statements)

    def allow(self, *statements: Statement) -> None:
        """Adds statements to the role's policy."""
        self._add(statements)
        self.policy.policy_document = _document(self._statements)

    def _add(self, statements: Sequence[Statement]) -> None:
        wildcards: dict[str, str] = {}
        for statement in statements:
            if any("*" in action for action in statement.actions):
                raise ConfigurationError(
                    f"a statement allows {', '.join(a for a in statement.actions if '*' in a)}",
                    at=self._path,
                    fix="name each action in full",
                )
            for resource in statement.resources:
                if "*" not in resource:
                    continue
                if statement.wildcard_reason is None:
                    raise ConfigurationError(
                        f"a statement allows {statement.actions[0]} on {resource!r} without saying why",
                        at=self._path,
                        fix="name the resource in full, or give wildcard_reason=",
                    )
                wildcards.setdefault(resource, statement.wildcard_reason)
            self._statements.append(statement)
        findings = {f"Resource::{flat(self.policy, resource)}": reason for resource, reason in wildcards.items()}
        acknowledge(
            self.policy,
            {f"IAM5[{finding}]": why for finding, why in findings.items() if finding not in self._acknowledged},
        )
        self._acknowledged.update(findings)


class Pseudo(NamedTuple):
    """CloudFormation's pseudo parameters as tokens."""

    partition: str
    region: str
    account: str
    url_suffix: str


@cache
def pseudo() -> Pseudo:
    """The tokens are the same for every stack; reading them once saves a round trip to Node for each use."""
    return Pseudo(Aws.PARTITION, Aws.REGION, Aws.ACCOUNT_ID, Aws.URL_SUFFIX)


def arn(service: str, resource: str, *, region: bool = True) -> str:
    """ARN of a resource of the stack's own account, in its own region unless the service is global."""
    aws = pseudo()
    return f"arn:{aws.partition}:{service}:{aws.region if region else ''}:{aws.account}:{resource}"


def acknowledge(construct: IConstruct, reasons: Mapping[str, str], *, pack: str = "AwsSolutions") -> None:
    """Acknowledges cdk-nag findings on one resource.

    Args:
        construct: The narrowest construct that causes the findings.
        reasons: Rule (without the pack's prefix) → reason that a security reviewer would accept.
        pack: Name of the cdk-nag pack. Ids are fully qualified: short ones drop the finding without an audit record.
    """
    if reasons:
        Validations.of(construct).acknowledge(
            *(Acknowledgment(id=f"{pack}::{pack}-{rule}", reason=reason) for rule, reason in reasons.items())
        )


def flat(scope: Construct, value: str) -> str:
    """A string as cdk-nag writes it in a finding: `<Bucket.Arn>/*` for `${Token[TOKEN.12]}/*`."""
    return re.sub(r"\$\{Token\[[^]]*\]\}", lambda token: _flat_token(scope, token[0]), value)


_TOKENS: dict[str, str] = {}


def _flat_token(scope: Construct, token: str) -> str:
    # A token is unique in the process and its logical id does not change once read: one round trip for each.
    if token not in _TOKENS:
        _TOKENS[token] = _flatten(Stack.of(scope).resolve(token))
    return _TOKENS[token]


def _flatten(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Fn::Join": [delimiter, [*items]]}:
            return str(delimiter).join(_flatten(item) for item in items)
        case _:
            raise ConfigurationError(
                f"cannot tell the name of {value!r} in a policy", at="cdk-nag", fix="use a Ref, an Arn or a string"
            )


def _document(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement.to_json() for statement in statements]}


def _confused_deputy(source_arn: str) -> dict[str, dict[str, str]]:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    return {
        "StringEquals": {"aws:SourceAccount": pseudo().account},
        "ArnLike": {"aws:SourceArn": source_arn},
    }
