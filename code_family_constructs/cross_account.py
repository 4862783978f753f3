"""Floor 0: let roles of other accounts in, before they exist and without a reference to them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from json import dumps
from re import sub
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk.region_info import RegionInfo
from constructs import Construct, IConstruct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # only services that run images need it
    from aws_cdk import aws_ecr as ecr

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_LONGEST_ROLE_NAME = 64


class Admission:
    """What the policy of a resource allows roles of other accounts, in one statement for each account.

    The principal is the account, and a condition names the roles. As principals, IAM, KMS and S3 would refuse roles
    that do not exist yet, and would forget one that is made anew under its name.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles

    Args:
        add: Adds a statement to the policy.
        actions: What the roles may do.
        resources: With what; empty for a policy whose statements have no resource.
    """

    def __init__(
        self, add: Callable[[iam.PolicyStatement], object], actions: Sequence[str], resources: Sequence[str]
    ) -> None:
        self._add = add
        self._actions = list(actions)
        self._resources = list(resources)
        self._statements: dict[str, tuple[iam.PolicyStatement, list[str]]] = {}

    def admit(self, role_arn: str) -> int:
        """Lets a role in, unless it is in already; answers how many characters that adds to the policy.

        Args:
            role_arn: As `fixed_role_arn` gives it.
        """
        _, partition, _, _, account, _ = role_arn.split(":", 5)
        if account not in self._statements:
            document: dict[str, Any] = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": self._actions,
                "Condition": _only([role_arn]),
            }
            if self._resources:
                document["Resource"] = self._resources
            statement = iam.PolicyStatement.from_json(document)
            self._statements[account] = (statement, [role_arn])
            self._add(statement)
            return len(dumps(document))
        statement, arns = self._statements[account]
        if role_arn in arns:
            return 0
        arns.append(role_arn)
        for operator, keys in _only(arns).items():
            statement.add_condition(operator, keys)
        return len(role_arn) + len('"",')


def _only(role_arns: Sequence[str]) -> Mapping[str, Mapping[str, Sequence[str]]]:
    return {"ArnEquals": {"aws:PrincipalArn": list(role_arns)}}


def fixed_role_arn(role: iam.IRole) -> str:
    """ARN of a role as other accounts and regions can name it: a text that is known at synth time.

    A role of this app gets a name for it, if it has none: once there, it is made anew under that name.

    Args:
        role: In a stack with account and region, or imported by its ARN.

    Raises:
        ConfigurationError: The ARN is known at deploy time only.
    """
    stack = Stack.of(role)
    # A role without policy updates has the one of the role that it is made of.
    resource: Any = role.node.default_child
    if resource is None:
        arn = name = role.role_arn
        for token in {pseudo().partition, stack.partition}:
            arn = arn.replace(token, partition_of(stack.region))
    else:
        if stack.resolve(resource.role_name) is None:
            resource.role_name = unique_name(resource, _LONGEST_ROLE_NAME)
        name = stack.resolve(resource.role_name)
        arn = f"arn:{partition_of(stack.region)}:iam::{stack.account}:role{resource.path or '/'}{name}"
    if not isinstance(name, str) or unresolved(arn):
        raise ConfigurationError(
            f"the name of role {role.node.path!r} is not known at synth time, but another account has to say it",
            at=role,
            fix="give it a role_name= as plain text in a stack with account and region, or import it by its ARN",
        )
    return arn


def unique_name(construct: IConstruct, longest: int, *, more: Sequence[str] = ()) -> str:
    """A name that no other construct gets, in whatever account and region: a readable start, and a hash of its place.

    Args:
        construct: What it is for.
        longest: The most characters; the start is cut where it is longer.
        more: What has to be in it, behind the start.
    """
    # The name of a nested stack is a token, and another one with each synth.
    stack = outermost(Stack.of(construct))
    path = construct.node.path.removesuffix("/Resource")
    place = "|".join((stack.account, stack.region, stack.stack_name, path))
    end = "-".join(("", *more, sha256(place.encode()).hexdigest()[:8]))
    start = sub("[^A-Za-z0-9]+", "-", path)
    return start[: longest - len(end)].strip("-") + end


@cache
def partition_of(region: str) -> str:
    """The partition that a region is in; one that aws-cdk-lib does not know yet is in the largest."""
    return RegionInfo.get(region).partition or "aws"


def outermost(stack: Stack) -> Stack:
    """The stack that a nested one is deployed with."""
    while stack.nested_stack_parent is not None:
        stack = stack.nested_stack_parent
    return stack


def let_pull(repository: "ecr.IRepository", role: iam.IRole) -> None:
    """Lets a role of another account pull images from a repository of this app.

    The owner of a repository that is not made in this app has to do so there. Nothing to do in one's own account, where
    a role's own policy is enough.

    Args:
        repository: In any region: Amazon ECR gives images to other regions too, at the price of the transfer.
        role: Such as the execution role of tasks.

    Raises:
        ConfigurationError: The other account could not name the repository.
    """
    theirs, ours = repository.env.account, Stack.of(role).account
    if theirs == ours or unresolved(theirs) or unresolved(ours):
        return
    from aws_cdk import aws_ecr as ecr

    if not isinstance(repository, ecr.Repository):
        return
    resource: Any = repository.node.default_child
    if Stack.of(repository).resolve(resource.repository_name) is None:
        raise ConfigurationError(
            f"repository {repository.node.path!r} in account {theirs} has no name that account {ours} could know",
            at=role,
            fix="give the repository a repository_name=",
        )
    if repository not in _PULLERS:
        _PULLERS[repository] = Admission(repository.add_to_resource_policy, _PULL, [])
    _PULLERS[repository].admit(fixed_role_arn(role))


# https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PULLERS: WeakKeyDictionary[Construct, Admission] = WeakKeyDictionary()
