"""Rolling updates of Amazon ECS: of which services, and what is refused."""

from typing import Any

import pytest
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from code_family_constructs.deploy.running_image import RunningImage
from code_family_constructs.deploy.to_ecs_rolling import EcsRollingDeployment
from tests.helpers import a_context, a_stack, refuses

LATEST = ecs.TaskDefinitionRevision.LATEST


def a_service(stack, *, keeps_image=True, **settings):
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-1"],
        private_subnet_route_table_ids=["rtb-1"],
    )
    definition = ecs.FargateTaskDefinition(stack, "Task", family="web")
    definition.add_container("app", image=ecs.ContainerImage.from_registry("acme/shop:1"))
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc, cluster_name="shop")
    if keeps_image:
        RunningImage(
            stack,
            "Image",
            task_definition=definition,
            container_name="app",
            cluster_name="shop",
            service_name="web",
            deployment_controller=ecs.DeploymentControllerType.ECS,
        )
    return ecs.FargateService(
        stack,
        "Service",
        **{
            "cluster": cluster,
            "task_definition": definition,
            "task_definition_revision": LATEST,
            "service_name": "web",
            "min_healthy_percent": 100,
            **settings,
        },
    )


def an_imported_service(stack):
    vpc = ec2.Vpc.from_vpc_attributes(stack, "Vpc", vpc_id="vpc-1", availability_zones=["eu-west-1a"])
    cluster = ecs.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="shop", vpc=vpc, security_groups=[])
    return ecs.FargateService.from_fargate_service_attributes(stack, "Service", service_name="web", cluster=cluster)


def test_a_service_of_the_app_brings_its_task_definition_and_roles():
    stack = a_stack()
    made = EcsRollingDeployment(service=a_service(stack)).stage_action(a_context())
    statements = {each.actions[0]: each for each in made.permissions}
    assert statements["ecs:TagResource"].resources[0].endswith(":task-definition/web:*")
    assert len(statements["iam:PassRole"].resources) == 1


def test_over_there_a_service_and_its_roles_are_named():
    stack = a_stack()
    service = a_service(stack, service_name=None)
    with refuses("service 'Shop/Service' gets its name", at="EcsRollingDeployment", fix="a service_name="):
        EcsRollingDeployment(service=service).stage_action(a_context(region="us-east-1"))


def test_a_service_that_codedeploy_deploys_is_refused():
    controller = ecs.DeploymentController(type=ecs.DeploymentControllerType.CODE_DEPLOY)
    service = a_service(a_stack(), deployment_controller=controller)
    with refuses("is deployed by CODE_DEPLOY", at="EcsRollingDeployment", fix="use EcsDeployment"):
        EcsRollingDeployment(service=service)


def test_a_service_that_cloudformation_would_take_back_is_refused():
    service = a_service(a_stack(), task_definition_revision=None)
    with refuses("take it back to an old image", at="EcsRollingDeployment", fix="TaskDefinitionRevision.LATEST"):
        EcsRollingDeployment(service=service)


def test_a_task_definition_with_an_image_of_its_own_is_refused():
    service = a_service(a_stack(), keeps_image=False)
    with refuses("names an image of its own", at="EcsRollingDeployment", fix="a RunningImage"):
        EcsRollingDeployment(service=service)


def test_a_second_task_definition_is_refused():
    service = a_service(a_stack())
    with refuses("which has one", at="EcsRollingDeployment", fix="leave it out"):
        EcsRollingDeployment(service=service, task_definition=service.task_definition)


def test_an_imported_service_needs_its_task_definition():
    with refuses("nothing says what its task definition is", at="EcsRollingDeployment", fix="give task_definition="):
        EcsRollingDeployment(service=an_imported_service(a_stack()))


def test_an_imported_task_definition_needs_its_roles():
    stack = a_stack()
    definition = ecs.FargateTaskDefinition.from_fargate_task_definition_arn(
        stack, "Task", "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:7"
    )
    deployment = EcsRollingDeployment(service=an_imported_service(stack), task_definition=definition)
    with refuses("the roles of task definition 'Shop/Task'", at="EcsRollingDeployment", fix="task_role="):
        deployment.stage_action(a_context())


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"file_name": "/images.json"}, "file_name='/images.json'", "from the artifact's root"),
        ({"deployment_timeout": Duration.seconds(90)}, "of 1.5 minutes", "whole minutes, 1 to 60"),
        ({"deployment_timeout": Duration.minutes(61)}, "of 61 minutes", "whole minutes, 1 to 60"),
        ({"deployment_timeout": Duration.minutes(0)}, "of 0 minutes", "whole minutes, 1 to 60"),
    ],
)
def test_what_the_action_would_refuse_is_refused(settings: Any, problem, fix):
    with refuses(problem, at="EcsRollingDeployment", fix=fix):
        EcsRollingDeployment(service=a_service(a_stack()), **settings)
