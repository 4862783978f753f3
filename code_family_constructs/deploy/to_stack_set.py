"""Floor 1: deploy a template of the revision as a stack set, to many accounts and regions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aws_cdk import CfnCapabilities
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import (
    check_path,
    check_role_account,
    check_setting,
    joined,
    role_arn,
)
from code_family_constructs.deploy.to_cloudformation import (
    PARAMETER_NAME,
    capabilities_of,
    pass_to_cloudformation,
)
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name
from code_family_constructs.permissions import ServiceRole, Statement, pseudo
from code_family_constructs.tokens import unresolved

_STACK_SET_NAME = NameRule("stack set", "[A-Za-z0-9-]", 128, first="[A-Za-z]")
_EXECUTION_ROLE_NAME = "AWSCloudFormationStackSetExecutionRole"
_ROLE_NAME = NameRule("execution role", r"[A-Za-z0-9_+=,.@-]", 64)
_VARIABLES = ("OperationId", "StackSetId")
_SHORTER = "give some of them to a StackInstancesDeployment of its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class StackSetTargets:
    """Where the stacks of a stack set are: in each of the accounts, or of the organizational units, in each region.

    Args:
        accounts: Ids of accounts, for self-managed permissions.
        organizational_units: Ids of organizational units (`ou-…`) or of the organization's root (`r-…`), for
            service-managed permissions.
        regions: Regions, in the order in which they are deployed to.

    Raises:
        ConfigurationError: None, or both, of accounts and organizational units, no regions, or what is no id.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StackSets.html
    """

    accounts: Sequence[str] = ()
    organizational_units: Sequence[str] = ()
    regions: Sequence[str]

    def __post_init__(self) -> None:
        at = "StackSetTargets"
        for argument in ("accounts", "organizational_units", "regions"):
            check_list(at, argument, getattr(self, argument))
            pattern, example = _IDS[argument]
            for value in getattr(self, argument):
                if not unresolved(value) and not re.fullmatch(pattern, value):
                    raise ConfigurationError(f"{argument}: {value!r} is none", at=at, fix=f"give each like {example!r}")
        if bool(self.accounts) == bool(self.organizational_units):
            given = "accounts and organizational units" if self.accounts else "no accounts, and no organizational units"
            raise ConfigurationError(
                f"{given} as the targets of a stack set", at=at, fix="give accounts=, or organizational_units="
            )
        if not self.regions:
            raise ConfigurationError("targets without regions", at=at, fix="give regions= as well")
        self.configuration()

    def configuration(self) -> dict[str, str | None]:
        """Settings of the actions."""
        at, targets = "StackSetTargets", self.accounts or self.organizational_units
        what = "accounts" if self.accounts else "organizational_units"
        return {
            "DeploymentTargets": joined(at, what, targets, fix=_SHORTER),
            "Regions": joined(at, "regions", self.regions, fix=_SHORTER),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationPreferences:
    """How fast an operation of a stack set goes through its accounts, and what stops it.

    Args:
        failure_tolerance_percentage: Share of the accounts of a region in which the operation may fail before it stops
            there and in the regions after it, 0 to 100; rounded down to whole accounts.
        max_concurrent_percentage: Share of the accounts of a region that are deployed to at a time, 1 to 100; one at
            least.
        region_concurrency: Whether regions are deployed to one after the other or all at once.
        concurrency_mode: Whether failures slow the operation down, so that no more fail than are tolerated.

    Raises:
        ConfigurationError: What is no percentage.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-concepts.html
    """

    failure_tolerance_percentage: int | None = None
    max_concurrent_percentage: int | None = None
    region_concurrency: Literal["Sequential", "Parallel"] | None = None
    concurrency_mode: Literal["STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE"] | None = None

    def __post_init__(self) -> None:
        at = "OperationPreferences"
        for argument, least in (("failure_tolerance_percentage", 0), ("max_concurrent_percentage", 1)):
            value = getattr(self, argument)
            if value is not None and not unresolved(value) and (value != int(value) or not least <= value <= 100):
                raise ConfigurationError(f"{argument}={value}", at=at, fix=f"use a whole number from {least} to 100")
        for argument, allowed in _CHOICES.items():
            value = getattr(self, argument)
            if value is not None and value not in allowed:
                raise ConfigurationError(f"{argument}={value!r}", at=at, fix=f"use {' or '.join(allowed)}")

    def configuration(self) -> dict[str, str | None]:
        """Settings of the actions."""
        tolerance, concurrent = self.failure_tolerance_percentage, self.max_concurrent_percentage
        return {
            "FailureTolerancePercentage": None if tolerance is None else str(tolerance),
            "MaxConcurrentPercentage": None if concurrent is None else str(concurrent),
            "RegionConcurrencyType": self.region_concurrency,
            "ConcurrencyMode": self.concurrency_mode,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceManagedPermissions:
    """The permission model of a stack set whose roles AWS Organizations makes in the accounts of an organization.

    Trusted access between CloudFormation StackSets and AWS Organizations has to be on.

    Args:
        auto_deployment: Whether accounts that join an organizational unit get their stacks, and whether those that
            leave it keep them; a stack set that does so is given no targets here.
        management_account: Id of the organization's management account, when the action runs in an account that it
            has made a delegated administrator: that is where the stack set is.

    Raises:
        ConfigurationError: What is no id of an account.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-delegated-admin.html
    """

    auto_deployment: actions.StackSetOrganizationsAutoDeployment | None = None
    management_account: str | None = None

    def __post_init__(self) -> None:
        account = self.management_account
        if account is not None and not unresolved(account) and not re.fullmatch(_IDS["accounts"][0], account):
            raise ConfigurationError(
                f"management_account={account!r}",
                at="ServiceManagedPermissions",
                fix="give the 12 digits of the account's id",
            )


class StackSetDeployment(Construct):
    """Creates or updates a CloudFormation stack set from a template that is in the revision.

    With targets, their stacks are created or updated too; all others of the set become `OUTDATED`, for a
    `StackInstancesDeployment` in a later stage to update. Without, the update goes to all stacks that there are. It
    deletes no stacks.

    Two permission models: self-managed, for accounts by their ids, creates the administration role that may assume the
    execution role in these accounts and in no others, unless a role is given; the execution role in each account has
    to be there, and to trust that role, or its whole account as AWS's own template for execution roles does.
    Service-managed, for organizational units, needs no roles.

    A stack set is in one region, the action's; its stacks are in any.

    Args:
        scope: Parent construct.
        id: Construct id.
        stack_set_name: Name of the stack set.
        template_path: Path of the template in the artifact, 460,800 bytes at most.
        targets: Accounts or organizational units, and regions.
        permissions: Service-managed; self-managed when left out.
        administration_role: A role of the account that the stack set is in, for self-managed permissions, that may
            assume the execution role in each of the accounts.
        execution_role_name: Name of the role that deploys in each of the accounts.
        description: What the stack set is for.
        parameters: Parameters of the template, without commas and spaces in them; or else:
        parameters_path: Path of a JSON file in the artifact, a list of objects of `ParameterKey` and `ParameterValue`.
        capabilities: What the template may do besides, such as making roles; a stack set takes no macros.
        preferences: How fast, and what stops it.

    Raises:
        ConfigurationError: A name, a path, targets or parameters that AWS would refuse, or settings of one permission
            model with the other.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StackSets.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stack_set_name: str,
        template_path: str,
        targets: StackSetTargets | None = None,
        permissions: ServiceManagedPermissions | None = None,
        administration_role: iam.IRole | None = None,
        execution_role_name: str = _EXECUTION_ROLE_NAME,
        description: str | None = None,
        parameters: Mapping[str, str] | None = None,
        parameters_path: str | None = None,
        capabilities: Sequence[CfnCapabilities] = (),
        preferences: OperationPreferences | None = None,
    ) -> None:
        super().__init__(scope, id)
        check_name(self, stack_set_name, _STACK_SET_NAME)
        check_name(self, execution_role_name, _ROLE_NAME)
        check_path(self, "template_path", template_path, example="cdk.out/Baseline.template.json")
        _check_model(self, targets, permissions, administration_role, execution_role_name)
        self._parameters = _parameters(self, "parameters", parameters, parameters_path)
        self._capabilities = capabilities_of(self, capabilities)
        if CfnCapabilities.AUTO_EXPAND in capabilities:
            raise ConfigurationError(
                "capability CAPABILITY_AUTO_EXPAND, which CodePipeline's stack set action does not take",
                at=self,
                fix="have the build expand macros, and leave the capability out",
            )
        if description is not None:
            check_setting(self, "description", description, fix="say it in fewer words")

        self.stack_set_name = stack_set_name
        self._template_path = template_path
        self.targets = targets
        self.service_managed = permissions
        self._execution_role_name = execution_role_name
        self._description = description
        self._preferences = preferences or OperationPreferences()
        self._action: DeclaredAction | None = None
        self._own_role: ServiceRole | None = None
        self._reached: list[str] = []
        self.administration_role = administration_role
        if permissions is None and administration_role is None and targets is not None:
            self._own_role = self._role(targets.accounts)
            self.administration_role = self._own_role.role

    def variable(self, name: Literal["StackSetId", "OperationId"]) -> str:
        """Reference to a variable of the action, for actions that follow: in the stage that this was added to last.

        Raises:
            ConfigurationError: It is in no pipeline yet, or the action has no such variable.
        """
        if name not in _VARIABLES:
            raise ConfigurationError(f"variable {name!r} of a stack set", at=self, fix=f"use {' or '.join(_VARIABLES)}")
        if self._action is None:
            raise ConfigurationError(
                f"variable {name!r} of a stack set that is in no pipeline", at=self, fix="add it to a stage first"
            )
        return self._action.variable(name)

    def reach(self, targets: StackSetTargets) -> None:
        """Lets the stack set have stacks in more accounts.

        Raises:
            ConfigurationError: Targets of the other permission model.
        """
        _check_targets(self, targets, self.service_managed)
        more = [account for account in targets.accounts if account not in self._reached]
        if self._own_role is not None and more:
            self._own_role.allow(self._assume(more))
            self._reached += more

    def stage_action(self, context: ActionContext) -> StageAction:
        artifact, model = context.revision.artifact_name, self.service_managed
        passed: str | None = None
        if self.administration_role is not None:
            check_role_account(context, self, self.administration_role)
            passed = role_arn(context, self.administration_role)
        auto = model.auto_deployment if model is not None else None
        self._action = DeclaredAction(
            context,
            category=codepipeline.ActionCategory.DEPLOY,
            provider="CloudFormationStackSet",
            configuration={
                "StackSetName": self.stack_set_name,
                "Description": self._description,
                "TemplatePath": f"{artifact}::{self._template_path}",
                "Parameters": _with_artifact(self._parameters, artifact),
                "Capabilities": self._capabilities,
                "PermissionModel": "SELF_MANAGED" if model is None else "SERVICE_MANAGED",
                "AdministrationRoleArn": passed,
                "ExecutionRoleName": self._execution_role_name if model is None else None,
                "OrganizationsAutoDeployment": None if auto is None else _AUTO_DEPLOYMENT[auto.name],
                **(self.targets.configuration() if self.targets is not None else {}),
                **self._preferences.configuration(),
                "CallAs": _call_as(model),
            },
            inputs=[context.revision],
            bounds=(1, 3, 0, 0),
            namespace=context.namespace,
        )
        return StageAction(
            action=self._action,
            permissions=[
                *_stack_set_statements(
                    context,
                    self,
                    read=[
                        "cloudformation:DescribeStackSet",
                        "cloudformation:DescribeStackSetOperation",
                        "cloudformation:ListStackInstances",
                    ],
                    write=[
                        "cloudformation:CreateStackInstances",
                        "cloudformation:CreateStackSet",
                        "cloudformation:UpdateStackSet",
                    ],
                ),
                *(() if passed is None else (pass_to_cloudformation(passed),)),
            ],
        )

    def _role(self, accounts: Sequence[str]) -> ServiceRole:
        self._reached += accounts
        # The trust that AWS gives as an example, of this one stack set.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html
        aws = pseudo()
        source = f"arn:{aws.partition}:cloudformation:*:{aws.account}:stackset/{self.stack_set_name}:*"
        return ServiceRole(
            self,
            id="AdministrationRole",
            service="cloudformation.amazonaws.com",
            source_arn=source,
            statements=[self._assume(accounts)],
        )

    def _assume(self, accounts: Sequence[str]) -> Statement:
        partition = pseudo().partition
        return Statement(
            actions=["sts:AssumeRole"],
            resources=[f"arn:{partition}:iam::{account}:role/{self._execution_role_name}" for account in accounts],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StackInstancesDeployment:
    """Creates stacks of a stack set in more accounts and regions, and updates those of them that are out of date.

    It deploys the template that the `StackSetDeployment` of an earlier stage has put into the stack set, so that a
    release reaches one wave of accounts after the other.

    Args:
        stack_set: The stack set; its administration role is allowed into the accounts.
        targets: Accounts or organizational units, and regions.
        parameter_overrides: Parameters that are different there, without commas and spaces in them; or else:
        parameter_overrides_path: Path of a JSON file in the artifact, a list of objects of `ParameterKey` and
            `ParameterValue`.
        preferences: How fast, and what stops it.

    Raises:
        ConfigurationError: Parameters that AWS would refuse, or targets that are not of the stack set's permission
            model.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StackSets.html
    """

    stack_set: StackSetDeployment
    targets: StackSetTargets
    parameter_overrides: Mapping[str, str] | None = None
    parameter_overrides_path: str | None = None
    preferences: OperationPreferences = field(default_factory=OperationPreferences)

    def __post_init__(self) -> None:
        self._parameters()
        _check_targets("StackInstancesDeployment", self.targets, self.stack_set.service_managed)

    def _parameters(self) -> str | None:
        given, path = self.parameter_overrides, self.parameter_overrides_path
        return _parameters("StackInstancesDeployment", "parameter_overrides", given, path)

    def stage_action(self, context: ActionContext) -> StageAction:
        self.stack_set.reach(self.targets)
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="CloudFormationStackInstances",
                configuration={
                    "StackSetName": self.stack_set.stack_set_name,
                    **self.targets.configuration(),
                    "ParameterOverrides": _with_artifact(self._parameters(), context.revision.artifact_name),
                    **self.preferences.configuration(),
                    "CallAs": _call_as(self.stack_set.service_managed),
                },
                inputs=[context.revision] if self.parameter_overrides_path is not None else [],
                bounds=(0, 2, 0, 0),
                namespace=context.namespace,
            ),
            permissions=_stack_set_statements(
                context,
                self.stack_set,
                read=["cloudformation:DescribeStackSetOperation"],
                write=["cloudformation:CreateStackInstances"],
            ),
        )


def _call_as(model: ServiceManagedPermissions | None) -> str | None:
    return None if model is None or model.management_account is None else "DELEGATED_ADMIN"


def _stack_set_statements(
    context: ActionContext, stack_set: StackSetDeployment, *, read: Sequence[str], write: Sequence[str]
) -> list[Statement]:
    """What a role needs to work with a stack set.

    Operations that change stacks are authorized for the targets, and for the types of the resources in the template,
    too: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/security_iam_id-based-policy-examples.html
    """
    aws, model, name = pseudo(), stack_set.service_managed, stack_set.stack_set_name
    management = None if model is None else model.management_account
    region = context.region or aws.region
    set_arn = f"arn:{aws.partition}:cloudformation:{region}:{management or aws.account}:stackset/{name}:*"
    targets = f"arn:{aws.partition}:cloudformation:*:{management or aws.account}:stackset-target/{name}:*"
    types = [
        f"arn:{aws.partition}:cloudformation:{region}::type/resource/*",
        f"arn:{aws.partition}:cloudformation:{region}:{aws.account}:type/resource/*",
    ]
    statements = [
        Statement(
            actions=[*read],
            resources=[set_arn],
            wildcard_reason="the ARN of a stack set holds a random id; the stack set is named",
        ),
        Statement(
            actions=[*write],
            resources=[set_arn, targets, *types],
            wildcard_reason="the ARN of a stack set holds a random id; the stack set is named. Which types of "
            "resources are in it, the template says, and what may become of them, the role in each account",
        ),
    ]
    if management is not None:
        statements.append(
            Statement(
                actions=["organizations:ListDelegatedAdministrators"],
                resources=["*"],
                wildcard_reason="the list of an organization's delegated administrators has no ARN",
            )
        )
    return statements


def _check_model(
    at: Construct,
    targets: StackSetTargets | None,
    model: ServiceManagedPermissions | None,
    role: iam.IRole | None,
    execution_role_name: str,
) -> None:
    if targets is not None:
        _check_targets(at, targets, model)
    if model is None:
        if targets is None and role is None:
            raise ConfigurationError(
                "no targets, so that nothing says which accounts the administration role is for",
                at=at,
                fix="give targets= with the first accounts, administration_role=, or "
                "permissions=ServiceManagedPermissions()",
            )
        return
    if role is not None or execution_role_name != _EXECUTION_ROLE_NAME:
        raise ConfigurationError(
            "roles of one's own with service-managed permissions, whose roles AWS Organizations makes",
            at=at,
            fix="leave administration_role= and execution_role_name= out, or permissions=",
        )
    if model.auto_deployment is not None and targets is not None:
        raise ConfigurationError(
            "targets for a stack set that deploys to accounts as they come and go",
            at=at,
            fix="leave targets= out, or auto_deployment=",
        )


def _check_targets(at: Construct | str, targets: StackSetTargets, model: ServiceManagedPermissions | None) -> None:
    if model is None and targets.organizational_units:
        raise ConfigurationError(
            "organizational units for a stack set with self-managed permissions, which takes accounts",
            at=at,
            fix="give the stack set permissions=ServiceManagedPermissions(), or accounts=",
        )
    if model is not None and targets.accounts:
        raise ConfigurationError(
            "accounts for a stack set with service-managed permissions, which takes organizational units",
            at=at,
            fix="give organizational_units=, or leave permissions= of the stack set out",
        )


def _parameters(at: Construct | str, argument: str, given: Mapping[str, str] | None, path: str | None) -> str | None:
    """Parameters as the action takes them; a path still wants its artifact."""
    if path is not None:
        if given is not None:
            raise ConfigurationError(f"{argument}= and {argument}_path=", at=at, fix="give one of them")
        check_path(at, f"{argument}_path", path, example="config/parameters.json")
        return f"::{path}"
    for name, value in (given or {}).items():
        check_name(at, name, PARAMETER_NAME)
        if not unresolved(value) and re.search(r"[\s,=]", value):
            raise ConfigurationError(
                f"{argument}: {name} is {value!r}, and blanks, commas and equals signs are what separates parameters",
                at=at,
                fix=f"put the parameters into a file, and give {argument}_path=",
            )
    text = " ".join(f"ParameterKey={name},ParameterValue={value}" for name, value in (given or {}).items())
    check_setting(at, argument, text, fix=f"put them into a file, and give {argument}_path=")
    return text or None


def _with_artifact(parameters: str | None, artifact: str | None) -> str | None:
    return f"{artifact}{parameters}" if parameters is not None and parameters.startswith("::") else parameters


# https://docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html
_IDS = {
    "accounts": (r"\d{12}", "111122223333"),
    "organizational_units": (r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}", "ou-ab12-11111111"),
    "regions": (r"[a-z]{2,4}(-[a-z]+)+-\d", "eu-west-1"),
}
_CHOICES = {
    "region_concurrency": ("Sequential", "Parallel"),
    "concurrency_mode": ("STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE"),
}
_AUTO_DEPLOYMENT = {
    "ENABLED": "Enabled",
    "DISABLED": "Disabled",
    "ENABLED_WITH_STACK_RETENTION": "EnabledWithStackRetention",
}
