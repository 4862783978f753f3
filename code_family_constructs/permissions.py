"""Floor 0: what a role may do, written down statement by statement, in one managed policy a role."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aws_cdk import Acknowledgment, Aws, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from code_family_constructs.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One Allow statement of a role.

    Args:
        actions: IAM actions in full; a wildcard is refused, since it grants what the service invents tomorrow.
        resources: ARNs, or `*`; one with a `*` or `?` in it needs `wildcard_reason`.
        conditions: As in an IAM policy: operator → key → value.
        wildcard_reason: Why AWS offers nothing narrower, in words that a security reviewer would accept. It becomes
            the acknowledgment of cdk-nag's IAM5 finding on this one policy.

    Raises:
        ConfigurationError: IAM would refuse it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, Any]] | None = None
    wildcard_reason: str | None = None

    def __post_init__(self) -> None:
        for what, given in (("actions", self.actions), ("resources", self.resources)):
            if isinstance(given, str):
                raise ConfigurationError(
                    f"{what}={given!r} is no list", at="Statement", fix=f"write {what}=[{given!r}]"
                )
            if not given:
                raise ConfigurationError(f"a statement without {what}", at="Statement", fix=f"name {what} in full")
        for action in self.actions:
            if not _ACTION.fullmatch(action):
                raise ConfigurationError(
                    f"{action!r} is no IAM action", at="Statement", fix='write service and action, "s3:GetObject"'
                )
        for resource in self.resources:
            if resource != "*" and not resource.startswith(("arn:", "${Token[")):
                raise ConfigurationError(
                    f"{resource!r} is no ARN",
                    at="Statement",
                    fix="name the resource by its ARN (bucket.bucket_arn, not bucket.bucket_name)",
                )

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

    Creates an IAM role and a customer managed policy, a second one when the first is full. aws-cdk-lib gets `frozen`,
    so that no grant of an L2 widens the role behind the reviewer's back; to widen it on purpose, use `role`, in a
    visible line.

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
        self._scope = scope
        self._id = id
        self._permissions = Permissions(scope, f"{id}Policy")
        self.role = iam.Role(
            scope,
            id,
            assumed_by=iam.ServicePrincipal(service, conditions=_confused_deputy(source_arn) if source_arn else None),
            managed_policies=self._attachable(self._permissions.add(statements)),
        )
        self.frozen: iam.IRole = self.role.without_policy_updates()

    def allow(self, *statements: Statement) -> None:
        """Adds statements to the role's policy."""
        for policy in self._attachable(self._permissions.add(statements)):
            self.role.add_managed_policy(policy)

    def _attachable(self, policies: Mapping[str, iam.CfnManagedPolicy]) -> list[iam.IManagedPolicy]:
        return [
            iam.ManagedPolicy.from_managed_policy_arn(self._scope, f"{self._id}Permissions{number}", policy.ref)
            for number, policy in policies.items()
        ]


class Permissions:
    """Statements in customer managed policies, as many as IAM's limit on their length takes.

    Each wildcard in them is acknowledged on the policy, with its reason.

    Args:
        scope: Parent of the policies.
        id: Construct id of the first policy; a number follows for each further one.
        role_names: Roles to attach the policies to; left out, the caller attaches them.
    """

    def __init__(self, scope: Construct, id: str, *, role_names: Sequence[str] = ()) -> None:
        self._scope = scope
        self._id = id
        self._role_names = role_names
        self._statements: list[Statement] = []
        self._reasons: dict[str, str] = {}
        self._policies: list[iam.CfnManagedPolicy] = []

    def add(self, statements: Sequence[Statement]) -> Mapping[str, iam.CfnManagedPolicy]:
        """Adds statements, and returns the policies that had to be made for them by the number in their id."""
        self._check(statements)
        self._statements += statements
        documents = _documents(self._statements)
        if len(documents) > _MOST_POLICIES:
            raise ConfigurationError(
                f"a role with permissions for {len(documents)} managed policies, IAM attaches {_MOST_POLICIES}",
                at=self._scope,
                fix="split what the role is for, such as a pipeline with fewer stages",
            )
        for policy, document in zip(self._policies, documents, strict=False):
            policy.policy_document = document
        made: dict[str, iam.CfnManagedPolicy] = {}
        for index in range(len(self._policies), len(documents)):
            number = str(index + 1) if index else ""
            made[number] = iam.CfnManagedPolicy(
                self._scope,
                f"{self._id}{number}",
                policy_document=documents[index],
                roles=list(self._role_names) or None,
            )
            self._policies.append(made[number])
            acknowledge(made[number], self._reasons)
        self._acknowledge(statements)
        return made

    def _check(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            if not isinstance(statement, Statement):
                raise ConfigurationError(
                    f"statements= has a {type(statement).__name__} in it",
                    at=self._scope,
                    fix='write Statement(actions=["s3:GetObject"], resources=[…])',
                )
            wide = [action for action in statement.actions if _is_pattern(action)]
            if wide:
                raise ConfigurationError(
                    f"a statement allows {', '.join(wide)}",
                    at=self._scope,
                    fix="name each action in full",
                )
            for resource in statement.resources:
                if statement.wildcard_reason is None and _is_pattern(resource):
                    raise ConfigurationError(
                        f"a statement allows {statement.actions[0]} on {resource!r} without saying why",
                        at=self._scope,
                        fix="name the resource in full, or give wildcard_reason=",
                    )

    def _acknowledge(self, statements: Sequence[Statement]) -> None:
        found: dict[str, list[str]] = {}
        for statement in statements:
            for resource in statement.resources:
                if "*" in resource and statement.wildcard_reason is not None:
                    so_far = found.setdefault(f"IAM5[Resource::{flat(self._scope, resource)}]", [])
                    if statement.wildcard_reason not in so_far:
                        so_far.append(statement.wildcard_reason)
        reasons = {finding: "; ".join(each) for finding, each in found.items() if finding not in self._reasons}
        self._reasons |= reasons
        # In which policy a statement is may change with the next one; a reason without a finding says nothing.
        for policy in self._policies:
            acknowledge(policy, reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """Lets whoever fetches a revision do what statements say.

    Args:
        at: Where the policy is that this adds to.
        allow: Adds statements to it.
        roles: Whose policy it is: what is in another account has to let these in by name.
    """

    at: IConstruct
    allow: Callable[[Sequence[Statement]], object]
    roles: Sequence[iam.IRole] = ()

    def __call__(self, statements: Sequence[Statement]) -> None:
        self.allow(statements)


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
    if not reasons:
        return
    if construct not in _VALIDATIONS:
        _VALIDATIONS[construct] = Validations.of(construct)
    _VALIDATIONS[construct].acknowledge(
        *(Acknowledgment(id=f"{pack}::{pack}-{rule}", reason=reason) for rule, reason in reasons.items())
    )


_VALIDATIONS: WeakKeyDictionary[IConstruct, Validations] = WeakKeyDictionary()


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
        case {"Fn::ImportValue": name}:
            return _flatten(name)
        case _:
            return json.dumps(value, separators=(",", ":"))


# Wildcards are told of with the construct that has the policy.
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+|\*")


# Six random characters end each secret's ARN, and AWS offers nothing narrower for the name alone.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
_SECRET = re.compile(r"[^*?]*:secretsmanager:[^*?]*-\?{6}")


def _is_pattern(text: str) -> bool:
    return "*" in text or ("?" in text and not _SECRET.fullmatch(text))


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_LONGEST_POLICY = 6144
_MOST_POLICIES = 10


def _documents(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """The statements as policy documents, none of them longer than IAM takes."""
    documents: list[list[dict[str, Any]]] = [[]]
    for statement in _merged(statements):
        if documents[-1] and _length([*documents[-1], statement]) > _LONGEST_POLICY:
            documents.append([])
        documents[-1].append(statement)
    return [{"Version": "2012-10-17", "Statement": document} for document in documents]


def _merged(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """One statement for all that concerns the same resources, then one for all that allows the same actions."""
    of_resources: dict[str, dict[str, Any]] = {}
    for statement in map(Statement.to_json, statements):
        key = json.dumps([sorted(statement["Resource"]), statement.get("Condition")], sort_keys=True)
        into = of_resources.setdefault(key, {**statement, "Action": []})
        into["Action"] += [action for action in statement["Action"] if action not in into["Action"]]
    of_actions: dict[str, dict[str, Any]] = {}
    for statement in of_resources.values():
        key = json.dumps([sorted(statement["Action"]), statement.get("Condition")], sort_keys=True)
        into = of_actions.setdefault(key, {**statement, "Resource": []})
        into["Resource"] += [resource for resource in statement["Resource"] if resource not in into["Resource"]]
    return list(of_actions.values())


def _length(statements: Sequence[dict[str, Any]]) -> int:
    """Characters of a policy at deploy time; IAM does not count white space."""
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    # A token becomes an ARN, or a part of one. The longest are those of target groups.
    return len(re.sub(r"\$\{Token\[AWS[^]]*\]\}", "x" * 14, re.sub(r"\$\{Token\[TOKEN[^]]*\]\}", "x" * 130, text)))


def _confused_deputy(source_arn: str) -> dict[str, dict[str, str]]:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    return {
        "StringEquals": {"aws:SourceAccount": pseudo().account},
        "ArnLike": {"aws:SourceArn": source_arn},
    }
