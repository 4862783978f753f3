"""Instances without CodeDeploy: which settings go together, and what is refused."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam

from code_family_constructs.deploy.to_ec2_instances import Ec2InstancesDeployment
from tests.helpers import a_context, a_stack, refuses

TAG: dict[str, Any] = {"instance_tag_key": "Role", "instance_roles": []}
SPEC: dict[str, Any] = {**TAG, "deploy_spec": "deployspec.yaml"}
SCRIPTS: dict[str, Any] = {**TAG, "target_directory": "/srv/shop", "post_script": "start.sh"}


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        (TAG, "nothing says what happens", "target_directory= and post_script="),
        ({**TAG, "target_directory": "/srv/shop"}, "nothing says what happens", "deploy_spec="),
        ({**SPEC, "pre_script": "stop.sh"}, "deploy_spec= and pre_script=", "in one way"),
        ({**SPEC, "deploy_spec": "/deployspec.yaml"}, "deploy_spec='/deployspec.yaml'", "from the artifact's root"),
        ({**SCRIPTS, "target_directory": "srv/shop"}, "target_directory='srv/shop'", "from the root of the instance"),
        ({**SCRIPTS, "target_directory": "/srv/.."}, "target_directory='/srv/..'", "from the root of the instance"),
        ({**SCRIPTS, "post_script": "/start.sh"}, "post_script='/start.sh'", "from the artifact's root"),
        ({**SCRIPTS, "pre_script": "../stop.sh"}, "pre_script='../stop.sh'", "from the artifact's root"),
        ({**SPEC, "instance_tag_key": ""}, "instance_tag_key of 0 characters", "1 to 128"),
        ({**SPEC, "instance_tag_key": "x" * 129}, "instance_tag_key of 129 characters", "1 to 128"),
        ({**SPEC, "instance_tag_value": ""}, "instance_tag_value of 0 characters", "leave it out"),
        ({**SPEC, "instance_tag_value": "x" * 257}, "instance_tag_value of 257 characters", "1 to 256"),
        ({**SPEC, "instance_roles": "web"}, "instance_roles='web' is no list", "write instance_roles=["),
    ],
)
def test_what_the_action_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="Shop/Deployment", fix=fix):
        Ec2InstancesDeployment(a_stack(), "Deployment", **settings)


def test_a_tag_that_is_not_known_is_refused():
    stack = a_stack()
    key = CfnParameter(stack, "Key").value_as_string
    with refuses("not known at synth time", at="Shop/Deployment", fix="plain text"):
        Ec2InstancesDeployment(stack, "Deployment", **{**SPEC, "instance_tag_key": key})


def test_the_value_and_the_folder_may_be_known_only_when_it_is_deployed():
    stack = a_stack()
    value = CfnParameter(stack, "Value").value_as_string
    settings = {**SCRIPTS, "instance_tag_value": value, "target_directory": value}
    assert Ec2InstancesDeployment(stack, "Deployment", **settings).stage_action(a_context()).permissions


def test_a_role_of_another_account_cannot_be_allowed_to_read():
    stack = Stack(App(), "Shop", env={"account": "111111111111", "region": "eu-west-1"})
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::222222222222:role/web")
    with refuses("role 'Shop/Theirs' is in account 222222222222", at="Shop/Deployment", fix="instance_roles=[]"):
        Ec2InstancesDeployment(stack, "Deployment", **{**SPEC, "instance_roles": [role]})


def test_a_target_group_over_there_needs_a_name():
    stack = a_stack()
    target_group = elbv2.ApplicationTargetGroup(stack, "Web", target_type=elbv2.TargetType.INSTANCE)
    deployment = Ec2InstancesDeployment(stack, "Deployment", **SPEC, target_groups=[target_group])
    with refuses("target group 'Shop/Web' gets its name", at="Shop/Deployment", fix="give it a name="):
        deployment.stage_action(a_context(region="us-east-1"))


def test_documents_and_logs_are_those_of_the_region_that_it_runs_in():
    made = Ec2InstancesDeployment(a_stack(), "Deployment", **SPEC).stage_action(a_context(region="us-east-1"))
    resources = [resource for each in made.permissions for resource in each.resources if resource != "*"]
    assert all(":us-east-1:" in resource for resource in resources)
