"""The Commands action: what CodePipeline would refuse, and what would not run."""

from typing import Any

import pytest
from aws_cdk import SecretValue, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm

from code_family_constructs.pipeline.actions.commands import CommandsAction
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

AT = "CommandsAction"
WINDOWS = codebuild.EnvironmentType.WINDOWS_SERVER_2022_CONTAINER


def an_action(**settings: Any) -> CommandsAction:
    return CommandsAction(**{"commands": ["ls"], **settings})


def a_vpc(stack: Stack, **subnets: Any) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-12345678", availability_zones=["eu-west-1a"], **subnets
    )


def groups(stack: Stack, count: int) -> list[ec2.ISecurityGroup]:
    return [ec2.SecurityGroup.from_security_group_id(stack, f"Group{n}", f"sg-1234567{n}") for n in range(count)]


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"commands": "ls"}, "commands='ls' is no list", "write commands=[…]"),
        ({"commands": []}, "0 commands", "give 1 to 50"),
        ({"commands": ["ls"] * 51}, "51 commands", "give 1 to 50"),
        ({"commands": ["ls\npwd"]}, "'ls\\npwd' has several lines", "each line as a command"),
        ({"commands": [" "]}, "an empty command", "leave it out"),
        ({"commands": ["x" * 1001]}, "a command of 1001 characters", "run a script"),
        ({"commands": ["login AKIAIOSFODNN7EXAMPLE"]}, "a command holds an AWS access key id", "Secrets Manager"),
        ({"input_artifacts": list("abcdefghijk")}, "11 input_artifacts", "at most 10"),
        ({"input_artifacts": ["App", "my-infra"]}, "artifact name 'my-infra' has '-'", "[A-Za-z0-9_]"),
        ({"output_artifact": "Site"}, "0 files for artifact 'Site'", "give 1 to 10"),
        ({"output_artifact": "Site", "files": ["a"] * 11}, "11 files", "give 1 to 10"),
        ({"output_artifact": "Site", "files": "a"}, "files='a' is no list", "write files=[…]"),
        (
            {"output_artifact": "Site", "files": ["x" * 129]},
            "of 129 characters, CodePipeline takes 1 to 128",
            "shorter",
        ),
        ({"output_artifact": "my site", "files": ["a"]}, "artifact name 'my site'", "[A-Za-z0-9_-]"),
        ({"files": ["a"]}, "files for no artifact", "output_artifact="),
        ({"output_variables": [f"V{n}" for n in range(16)]}, "16 output_variables", "at most 15"),
        ({"output_variables": ["my-variable"]}, "variable name 'my-variable'", "[A-Za-z0-9_]"),
        ({"output_variables": ["1ST"]}, "variable name '1ST' starts with '1'", "the first one [A-Za-z_]"),
        ({"environment_variables": {f"V{n}": "1" for n in range(11)}}, "11 environment variables", "at most 10"),
        ({"environment_variables": {"A": ""}}, "variable A of 0 characters", "1 to 2000"),
        ({"environment_variables": {"A": "x" * 2001}}, "variable A of 2001 characters", "1 to 2000"),
        ({"environment_variables": {"A" * 129: "x"}}, "129 characters", "[A-Za-z0-9_]"),
        ({"environment_variables": {"API_TOKEN": "hunter2"}}, "what sounds like a secret", "Secrets Manager"),
        ({"environment_type": codebuild.EnvironmentType.ARM_CONTAINER}, "ARM_CONTAINER", "a CodeBuildAction"),
        ({"compute_type": codebuild.ComputeType.X2_LARGE}, "X2_LARGE", "SMALL, MEDIUM or LARGE"),
        ({"environment_type": WINDOWS}, "a small machine with Windows", "ComputeType.MEDIUM"),
        (
            {"environment_type": WINDOWS, "compute_type": codebuild.ComputeType.SMALL},
            "a small machine with Windows",
            "ComputeType.MEDIUM",
        ),
    ],
)
def test_what_codepipeline_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at=AT, fix=fix):
        an_action(**settings)


def test_parameters_are_no_variables_here():
    parameter = ssm.StringParameter.from_string_parameter_name(a_stack(), "Url", "/shop/url")
    with refuses("variable URL is a parameter", at=AT, fix="aws ssm get-parameter"):
        an_action(environment_variables={"URL": parameter})


def test_a_plain_variable_that_would_be_filled_with_a_secret_is_refused():
    stack = a_stack()
    action = an_action(environment_variables={"DATABASE": SecretValue.secrets_manager("shop/db").unsafe_unwrap()})
    with refuses("variable DATABASE holds a secret", at="Shop", fix="keep it in Secrets Manager"):
        action.stage_action(a_context(scope=stack))


@pytest.mark.parametrize("count", [0, 6])
def test_a_vpc_needs_security_groups(count):
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=["subnet-12345678"])
    with refuses(f"{count} security groups in a VPC", at=AT, fix="give 1 to 5 security_groups="):
        an_action(vpc=vpc, security_groups=groups(stack, count))


def test_security_groups_need_a_vpc():
    with refuses("subnets or security groups, but no VPC", at=AT, fix="give vpc="):
        an_action(security_groups=groups(a_stack(), 1))
    with refuses("subnets or security groups, but no VPC", at=AT, fix="give vpc="):
        an_action(subnet_selection=ec2.SubnetSelection(one_per_az=True))


def test_subnets_without_a_way_out_are_refused():
    stack = a_stack()
    vpc = a_vpc(stack, public_subnet_ids=["subnet-12345678"])
    with refuses("no private subnets with a way out", at="Shop/Vpc", fix="PRIVATE_WITH_EGRESS"):
        an_action(vpc=vpc, security_groups=groups(stack, 1))


def test_a_full_clone_is_refused():
    artifact = codepipeline.Artifact("App")
    context = a_context(revision=artifact, artifacts={"App": artifact}, only_for_builds=frozenset({"App"}))
    with refuses("a full clone, which only CodeBuild", at="Shop-Pipeline/Production/Deploy", fix="what a build makes"):
        an_action().stage_action(context)


def test_elsewhere_a_network_or_secret_goes_by_what_is_known():
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=["subnet-12345678"])
    network = {"vpc": vpc, "security_groups": groups(stack, 1)}
    made = an_action(**network).stage_action(elsewhere(scope=stack)).action
    assert made.action_properties.region == "eu-central-1"
    place = "Shop-Pipeline/Production/Deploy"
    own = ec2.SecurityGroup(stack, "Own", vpc=vpc)
    with refuses("a security group is in another", at=place, fix="import them by their ids"):
        an_action(**{**network, "security_groups": [own]}).stage_action(elsewhere(scope=stack))
    secret = secretsmanager.Secret(stack, "Secret")
    with refuses("variable TOKEN is in another", at=place, fix="import the secret by its ARN"):
        an_action(environment_variables={"TOKEN": secret}).stage_action(elsewhere(scope=stack))
