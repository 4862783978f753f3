"""What actions have in common: where they look for what they work with."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as stepfunctions

from code_family_constructs.deploy.to_ecs_rolling import EcsRollingDeployment
from code_family_constructs.pipeline.actions.ecr_build_and_publish import EcrBuildAndPublish
from code_family_constructs.pipeline.actions.inspector_scan import InspectorScan
from code_family_constructs.pipeline.actions.lambda_invoke import InvokeFunction
from code_family_constructs.pipeline.actions.pipeline_invoke import PipelineInvoke
from code_family_constructs.pipeline.actions.step_functions import StepFunctionsInvoke
from tests.helpers import a_context, refuses

HOME, THEIRS = "111111111111", "222222222222"
PLACE = "Shop-Pipeline/Production/Deploy"


def a_function(stack, where):
    function = lambda_.Function.from_function_arn(stack, "Target", f"arn:aws:lambda:{where}:function:check")
    return InvokeFunction(function=function)


def a_machine(stack, where):
    machine = f"arn:aws:states:{where}:stateMachine:check"
    return StepFunctionsInvoke(
        state_machine=stepfunctions.StateMachine.from_state_machine_arn(stack, "Target", machine)
    )


def a_pipeline(stack, where):
    arn = f"arn:aws:codepipeline:{where}:check"
    return PipelineInvoke(pipeline=codepipeline.Pipeline.from_pipeline_arn(stack, "Target", arn))


def an_image(stack, where):
    repository = ecr.Repository.from_repository_arn(stack, "Target", f"arn:aws:ecr:{where}:repository/shop")
    return InspectorScan(output_artifact="Sbom", repository=repository, image_tag="1")


def an_image_to_be(stack, where):
    repository = ecr.Repository.from_repository_arn(stack, "Target", f"arn:aws:ecr:{where}:repository/shop")
    return EcrBuildAndPublish(repository=repository)


def a_service(stack, where):
    # Of a service, aws-cdk-lib does not read it from the ARN: it is where the stack is that imports it.
    region, account = where.split(":")
    there = Stack(stack.node.root, "There", env={"account": account, "region": region})
    vpc = ec2.Vpc.from_vpc_attributes(there, "Vpc", vpc_id="vpc-1", availability_zones=["eu-west-1a"])
    cluster = ecs.Cluster.from_cluster_attributes(there, "Cluster", cluster_name="shop", vpc=vpc, security_groups=[])
    service = ecs.FargateService.from_fargate_service_attributes(there, "Target", service_name="web", cluster=cluster)
    definition = ecs.FargateTaskDefinition.from_fargate_task_definition_attributes(
        there,
        "Definition",
        task_definition_arn=f"arn:aws:ecs:{where}:task-definition/web:1",
        task_role=iam.Role.from_role_arn(there, "Task", f"arn:aws:iam::{account}:role/task"),
    )
    return EcsRollingDeployment(service=service, task_definition=definition)


KINDS = {
    "function": (a_function, PLACE),
    "state machine": (a_machine, PLACE),
    "pipeline": (a_pipeline, PLACE),
    "repository": (an_image, PLACE),
    "repository to push to": (an_image_to_be, PLACE),
    "service": (a_service, "EcsRollingDeployment"),
}


@pytest.fixture
def stack():
    return Stack(App(), "Tools", env={"account": HOME, "region": "eu-west-1"})


@pytest.mark.parametrize("where", [f"eu-west-1:{THEIRS}", f"us-east-1:{HOME}"], ids=["account", "region"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_another_place_than_the_action_looks_in_is_refused(stack, kind, where):
    make, at = KINDS[kind]
    region, account = where.split(":")
    action = make(stack, where)
    what = kind.removesuffix(" to push to")
    with refuses(
        f"{what} '{'There' if kind == 'service' else 'Tools'}/Target' is in account {account}, region {region}",
        f"looks for it in account {HOME}, region eu-west-1",
        at=at,
        fix="into a TargetAction with a stack over there",
    ):
        action.stage_action(a_context(scope=stack))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "service"])
def test_where_the_action_runs_it_is_found(stack, kind):
    make, _ = KINDS[kind]
    assert make(stack, f"eu-west-1:{HOME}").stage_action(a_context(scope=stack)).permissions
    there = iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{THEIRS}:role/there")
    other = Stack(App(), "Other", env={"account": HOME, "region": "eu-west-1"})
    context = a_context(scope=other, role=there, region="us-east-1")
    assert make(other, f"us-east-1:{THEIRS}").stage_action(context).permissions
