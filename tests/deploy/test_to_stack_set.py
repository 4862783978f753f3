"""Stack sets: which targets, permissions and parameters go together, and what is refused."""

import re
from typing import Any

import pytest
from aws_cdk import App, CfnCapabilities, CfnParameter, Environment, Stack
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam

from code_family_constructs.deploy.to_stack_set import (
    OperationPreferences,
    ServiceManagedPermissions,
    StackInstancesDeployment,
    StackSetDeployment,
    StackSetTargets,
)
from tests.helpers import a_context, a_stack, refuses

ACCOUNTS = StackSetTargets(accounts=["222233334444"], regions=["eu-west-1"])
UNITS = StackSetTargets(organizational_units=["ou-ab12-11111111", "r-ab12"], regions=["eu-west-1"])
BASELINE: dict[str, Any] = {"stack_set_name": "baseline", "template_path": "baseline.json"}


def a_stack_set(stack=None, **settings):
    settings = {"targets": ACCOUNTS, **BASELINE, **settings}
    return StackSetDeployment(stack or a_stack(), "Baseline", **settings)


def settings_of(made):
    return made.action._configuration


def test_organizational_units_take_service_managed_permissions_and_no_roles():
    deployment = a_stack_set(targets=UNITS, permissions=ServiceManagedPermissions())
    made = deployment.stage_action(a_context())
    configuration = settings_of(made)
    assert configuration["DeploymentTargets"] == "ou-ab12-11111111,r-ab12"
    assert configuration["PermissionModel"] == "SERVICE_MANAGED"
    assert not {"AdministrationRoleArn", "ExecutionRoleName", "CallAs"} & set(configuration)
    assert not [each for each in made.permissions if "iam:PassRole" in each.actions]
    assert deployment.administration_role is None


def test_a_role_of_ones_own_is_handed_on():
    stack = a_stack()
    role = iam.Role.from_role_arn(stack, "Administration", "arn:aws:iam::111122223333:role/administration")
    deployment = a_stack_set(stack, targets=None, administration_role=role, execution_role_name="Deploy")
    made = deployment.stage_action(a_context())
    assert settings_of(made)["AdministrationRoleArn"] == role.role_arn
    assert settings_of(made)["ExecutionRoleName"] == "Deploy"
    instances = StackInstancesDeployment(stack_set=deployment, targets=ACCOUNTS)
    assert settings_of(instances.stage_action(a_context()))["DeploymentTargets"] == "222233334444"


def test_parameters_may_come_from_a_file_of_the_revision():
    made = a_stack_set(parameters_path="config/baseline.json").stage_action(a_context())
    assert settings_of(made)["Parameters"] == "Build::config/baseline.json"
    made = StackInstancesDeployment(
        stack_set=a_stack_set(), targets=ACCOUNTS, parameter_overrides={"Stage": "production"}
    ).stage_action(a_context())
    assert settings_of(made)["ParameterOverrides"] == "ParameterKey=Stage,ParameterValue=production"
    assert made.action.action_properties.inputs in (None, [])


def test_a_stack_set_in_another_region_is_authorized_there():
    stack = Stack(App(), "Shop", env=Environment(account="111122223333", region="eu-west-1"))
    made = a_stack_set(stack).stage_action(a_context(region="us-east-1"))
    arn = settings_of(made)["AdministrationRoleArn"]
    assert re.fullmatch(r"arn:aws:iam::111122223333:role/Shop-Baseline-AdministrationRole-[0-9a-f]{8}", arn)
    [read, write, *_] = made.permissions
    assert ":cloudformation:us-east-1:" in read.resources[0]
    assert ":cloudformation:us-east-1::type/" in write.resources[2]


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"accounts": ["1234"]}, "accounts: '1234'", "like '111122223333'"),
        ({"organizational_units": ["unit"]}, "organizational_units: 'unit'", "like 'ou-ab12-11111111'"),
        ({"accounts": ["222233334444"], "regions": ["Ireland"]}, "regions: 'Ireland'", "like 'eu-west-1'"),
        ({"accounts": "222233334444"}, "accounts='222233334444' is no list", "write accounts=["),
        ({}, "no accounts, and no organizational units", "give accounts=, or"),
        (
            {"accounts": ["222233334444"], "organizational_units": ["r-ab12"]},
            "accounts and organizational units",
            "give accounts=, or",
        ),
        ({"accounts": ["222233334444"], "regions": []}, "targets without regions", "give regions="),
        ({"accounts": ["222233334444", "222233334444"]}, "accounts: '222233334444' is there twice", "by itself"),
        (
            {"accounts": [f"{number:012}" for number in range(78)]},
            "accounts of 1013 characters",
            "a StackInstancesDeployment of its own",
        ),
    ],
)
def test_targets_that_are_none_are_refused(settings, problem, fix):
    with refuses(problem, at="StackSetTargets", fix=fix):
        StackSetTargets(**{"regions": ["eu-west-1"], **settings})


def test_targets_may_be_known_only_when_they_are_deployed_to():
    account = CfnParameter(a_stack(), "Account").value_as_string
    assert StackSetTargets(accounts=[account], regions=["eu-west-1"]).accounts == [account]


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"failure_tolerance_percentage": 101}, "from 0 to 100"),
        ({"failure_tolerance_percentage": -1}, "from 0 to 100"),
        ({"max_concurrent_percentage": 0}, "from 1 to 100"),
        ({"max_concurrent_percentage": 12.5}, "from 1 to 100"),
        ({"region_concurrency": "PARALLEL"}, "Sequential or Parallel"),
        ({"concurrency_mode": "STRICT"}, "STRICT_FAILURE_TOLERANCE"),
    ],
)
def test_preferences_that_cloudformation_would_refuse_are_refused(settings, fix):
    [(argument, value)] = settings.items()
    with refuses(f"{argument}={value!r}", at="OperationPreferences", fix=fix):
        OperationPreferences(**settings)


def test_what_is_no_account_is_refused():
    with refuses("management_account='acme'", at="ServiceManagedPermissions", fix="12 digits"):
        ServiceManagedPermissions(management_account="acme")


AUTO = ServiceManagedPermissions(auto_deployment=actions.StackSetOrganizationsAutoDeployment.ENABLED)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"stack_set_name": "1baseline"}, "stack set name '1baseline'", "[A-Za-z]"),
        ({"template_path": "/baseline.json"}, "template_path='/baseline.json'", "from the artifact's root"),
        ({"execution_role_name": "a/b"}, "execution role name 'a/b'", "64 characters"),
        ({"targets": None}, "no targets", "administration_role="),
        ({"targets": UNITS}, "organizational units for a stack set with self-managed", "ServiceManagedPermissions()"),
        (
            {"permissions": ServiceManagedPermissions()},
            "accounts for a stack set with service-managed",
            "organizational_units=",
        ),
        ({"targets": UNITS, "permissions": AUTO}, "as they come and go", "leave targets= out"),
        (
            {"targets": UNITS, "permissions": ServiceManagedPermissions(), "execution_role_name": "Deploy"},
            "roles of one's own",
            "leave administration_role=",
        ),
        ({"capabilities": [CfnCapabilities.AUTO_EXPAND]}, "CAPABILITY_AUTO_EXPAND", "expand macros"),
        ({"capabilities": [CfnCapabilities.NONE]}, "capability NONE", "leave it out"),
        ({"description": "x" * 1001}, "description of 1001 characters", "fewer words"),
        ({"parameters": {"A": "b"}, "parameters_path": "a.json"}, "parameters= and parameters_path=", "one of them"),
        ({"parameters": {"A": "b c"}}, "A is 'b c'", "give parameters_path="),
        ({"parameters": {"A": "b,c"}}, "A is 'b,c'", "give parameters_path="),
        ({"parameters": {"a-b": "c"}}, "parameter name 'a-b'", "[A-Za-z0-9]"),
        ({"parameters": {"A": "x" * 1000}}, "parameters of 1030 characters", "give parameters_path="),
        ({"parameters_path": "../a.json"}, "parameters_path='../a.json'", "from the artifact's root"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, problem, fix):
    with refuses(problem, at="Shop/Baseline", fix=fix):
        a_stack_set(**settings)


def test_stacks_of_the_other_permission_model_are_refused():
    with refuses("organizational units for a stack set", at="StackInstancesDeployment", fix="accounts="):
        StackInstancesDeployment(stack_set=a_stack_set(), targets=UNITS)


def test_a_variable_that_the_action_has_not_is_refused():
    name: Any = "StackId"
    with refuses("variable 'StackId'", at="Shop/Baseline", fix="OperationId or StackSetId"):
        a_stack_set().variable(name)
    with refuses("in no pipeline", at="Shop/Baseline", fix="add it to a stage first"):
        a_stack_set().variable("OperationId")


def test_a_role_of_another_account_is_refused():
    stack = Stack(App(), "Shop", env=Environment(account="111122223333", region="eu-west-1"))
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::222233334444:role/administration")
    deployment = a_stack_set(stack, administration_role=role)
    with refuses("role 'Shop/Theirs' is in account 222233334444", at="Shop/Baseline", fix="account 111122223333"):
        deployment.stage_action(a_context(scope=stack))


@pytest.mark.parametrize("region", ["us-gov-west-1", "eusc-de-east-1", "cn-north-1", "us-iso-east-1"])
def test_a_region_of_any_partition_is_one(region):
    assert StackSetTargets(accounts=["222233334444"], regions=[region]).regions == [region]
