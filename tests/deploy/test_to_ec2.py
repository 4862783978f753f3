"""Deployments to EC2: to these instances, back on failure and alarm, with a role for these groups only."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Fn, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancing as elb
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam

from code_family_constructs import (
    ConfigurationError,
    DeliveryPipeline,
    Ec2Deployment,
    Ec2Fleet,
    HealthGate,
    Statement,
)
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_context, a_source, a_stack, allowed, of_type, only, refuses

GROUP = "AWS::CodeDeploy::DeploymentGroup"
TAGS: dict[str, Any] = {"ec2_instance_tags": codedeploy.InstanceTagSet({"Role": ["web"]}), "instance_roles": []}


def an_alarm(stack, name):
    return cloudwatch.Alarm.from_alarm_arn(stack, name, f"arn:aws:cloudwatch:eu-west-1:111111111111:alarm:{name}")


def named_group(stack, name, id_=None):
    return autoscaling.AutoScalingGroup.from_auto_scaling_group_name(stack, id_ or name, name)


def own_group(stack, id_, **settings):
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, f"{id_}Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )
    launch_template = ec2.LaunchTemplate(
        stack,
        f"{id_}Template",
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
        security_group=ec2.SecurityGroup(stack, f"{id_}SecurityGroup", vpc=vpc),
        **settings,
    )
    return autoscaling.AutoScalingGroup(stack, id_, vpc=vpc, launch_template=launch_template)


def instance_role(stack, id_):
    return iam.Role(stack, id_, assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))


@pytest.fixture(scope="module")
def templates():
    app = App()

    fleet_stack = Stack(app, "ToFleet")
    fleet = Ec2Fleet(fleet_stack, "Fleet", certificate=None)
    to_fleet = Ec2Deployment(fleet_stack, "Deployment", fleet=fleet, health=fleet.health)
    fleet.health.watch("Late", metric=cloudwatch.Metric(namespace="Shop", metric_name="orders"), threshold=1)
    action = to_fleet.deploy_action(a_context())
    iam.CfnManagedPolicy(
        fleet_stack,
        "Pipeline",
        policy_document={
            "Version": "2012-10-17",
            "Statement": [statement.to_json() for statement in action.permissions],
        },
    )
    for allow in action.artifact_readers:
        allow([Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])])

    own = Stack(app, "ToOwn")
    role = instance_role(own, "InstanceRole")
    to_own = Ec2Deployment(
        own,
        "Deployment",
        auto_scaling_groups=[own_group(own, "Web", role=role)],
        load_balancers=[
            codedeploy.LoadBalancer.classic(elb.LoadBalancer(own, "Classic", vpc=ec2.Vpc(own, "Vpc"))),
            codedeploy.LoadBalancer.application(
                elbv2.ApplicationTargetGroup.from_target_group_attributes(
                    own,
                    "Targets",
                    target_group_arn="arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/0123456789",
                )
            ),
        ],
        deployment_config=codedeploy.ServerDeploymentConfig.HALF_AT_A_TIME,
    )
    tagged = Ec2Deployment(
        own,
        "Tagged",
        ec2_instance_tags=codedeploy.InstanceTagSet({"Role": ["web"]}, {"Stage": ["production"]}),
        instance_roles=[instance_role(own, "ServerRole")],
    )
    for deployment in (to_own, tagged):
        for allow in deployment.deploy_action(a_context()).artifact_readers:
            allow([Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])])
    return {stack.stack_name: synthesized(stack) for stack in (fleet_stack, own)}


@pytest.fixture(scope="module")
def to_fleet(templates):
    return templates["ToFleet"]


@pytest.fixture(scope="module")
def to_own(templates):
    return templates["ToOwn"]


def group_of(template, name):
    (group,) = [group for group in of_type(template, GROUP).values() if group["DeploymentGroupName"] == name]
    return group


def test_a_release_goes_to_the_fleet_without_traffic_to_what_is_worked_on(to_fleet):
    group = only(to_fleet, GROUP)
    assert text_of(group["AutoScalingGroups"][0]).startswith("<FleetAutoScalingGroup")
    assert group["DeploymentStyle"]["DeploymentOption"] == "WITH_TRAFFIC_CONTROL"
    (target_group,) = group["LoadBalancerInfo"]["TargetGroupInfoList"]
    assert text_of(target_group["Name"]).startswith("<FleetTargetGroup")
    assert group["DeploymentConfigName"] == "CodeDeployDefault.OneAtATime"


def test_a_failed_or_alarming_deployment_is_rolled_back(to_fleet):
    assert only(to_fleet, GROUP)["AutoRollbackConfiguration"] == {
        "Enabled": True,
        "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
    }


def test_an_alarm_added_later_reaches_the_deployment_group(to_fleet):
    configuration = only(to_fleet, GROUP)["AlarmConfiguration"]
    assert configuration["Enabled"] is True
    assert {alarm["Name"]["Ref"] for alarm in configuration["Alarms"]} == set(
        of_type(to_fleet, "AWS::CloudWatch::Alarm")
    )
    assert len(configuration["Alarms"]) == 4


def test_an_alarm_that_cannot_be_read_stops_the_deployment(to_fleet):
    assert only(to_fleet, GROUP)["AlarmConfiguration"]["IgnorePollAlarmFailure"] is False


def test_removing_the_health_gate_detaches_alarms(to_own):
    group = group_of(to_own, "ToOwn-Deployment")
    assert group["AlarmConfiguration"] == {"Alarms": [], "Enabled": False}
    assert group["AutoRollbackConfiguration"] == {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE"]}


def test_instances_of_the_fleet_may_read_the_revision(to_fleet):
    assert "s3:GetObject on arn:aws:s3:::artifacts/app.zip" in allowed(to_fleet, "FleetRole")


def test_instances_of_a_users_own_group_may_read_the_revision(to_own):
    assert allowed_by_attachment(to_own, "InstanceRole") == {"s3:GetObject on arn:aws:s3:::artifacts/app.zip"}


def test_tagged_instances_may_read_the_revision_through_the_roles_that_were_named(to_own):
    assert allowed_by_attachment(to_own, "ServerRole") == {"s3:GetObject on arn:aws:s3:::artifacts/app.zip"}


def allowed_by_attachment(template, role):
    """What the managed policies say that are attached to a role by its name; nothing may be inline."""
    assert of_type(template, "AWS::IAM::Policy") == {}
    policies = [
        name
        for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items()
        if any(attached["Ref"].startswith(role) for attached in policy.get("Roles", ()))
    ]
    return {line for policy in policies for line in allowed(template, policy)}


def test_tags_alone_are_a_target(to_own):
    group = group_of(to_own, "ToOwn-Tagged")
    assert "AutoScalingGroups" not in group
    assert len(group["Ec2TagSet"]["Ec2TagSetList"]) == 2


def test_deployment_config_decides_how_many_at_a_time(to_own):
    assert group_of(to_own, "ToOwn-Deployment")["DeploymentConfigName"] == "CodeDeployDefault.HalfAtATime"


def test_role_serves_this_deployment_group_only(to_fleet):
    (trust,) = [
        role["AssumeRolePolicyDocument"]["Statement"][0]
        for name, role in of_type(to_fleet, "AWS::IAM::Role").items()
        if name.startswith("Deployment")
    ]
    assert trust["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    assert text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(
        ":deploymentgroup:ToFleet-Deployment/ToFleet-Deployment"
    )


def test_role_changes_this_group_and_this_target_group_only(to_fleet):
    changing = {line for line in allowed(to_fleet, "DeploymentRole") if not line.endswith(" on *")}
    (group,) = of_type(to_fleet, "AWS::AutoScaling::AutoScalingGroup")
    (targets,) = of_type(to_fleet, "AWS::ElasticLoadBalancingV2::TargetGroup")
    for line in changing:
        assert line.endswith((f":autoScalingGroupName/<{group}>", f" on <{targets}>"))
    assert {line.split(" on ")[0] for line in changing} >= {
        "autoscaling:PutLifecycleHook",
        "autoscaling:CompleteLifecycleAction",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:RegisterTargets",
    }


def test_on_everything_the_role_may_only_look(templates):
    for template in templates.values():
        wide = {line.split(" on ")[0] for line in allowed(template, "Deployment") if line.endswith(" on *")}
        assert all(action.split(":")[1].startswith(("Describe", "Get")) for action in wide)


def test_role_gives_and_takes_traffic_of_the_named_load_balancers(to_own):
    lines = allowed(to_own, "DeploymentRole")
    here = "arn:<AWS::Partition>:elasticloadbalancing:<AWS::Region>:<AWS::AccountId>"
    (classic,) = of_type(to_own, "AWS::ElasticLoadBalancing::LoadBalancer")
    assert f"elasticloadbalancing:RegisterInstancesWithLoadBalancer on {here}:loadbalancer/<{classic}>" in lines
    assert f"elasticloadbalancing:DeregisterTargets on {here}:targetgroup/web/*" in lines


def test_tags_need_no_permissions_for_groups_or_load_balancers(to_own):
    assert {line.split(" on ")[0] for line in allowed(to_own, "TaggedRolePolicy")} == {
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "tag:GetResources",
    }


def test_pipeline_may_deploy_this_application_only(to_fleet):
    lines = {line for line in allowed(to_fleet, "Pipeline") if not line.startswith("codedeploy:ListDeploymentConfigs")}
    here = "arn:<AWS::Partition>:codedeploy:<AWS::Region>:<AWS::AccountId>"
    assert {line.split(" on ")[1] for line in lines} == {
        f"{here}:application:ToFleet-Deployment",
        f"{here}:deploymentgroup:ToFleet-Deployment/ToFleet-Deployment",
        f"{here}:deploymentconfig:CodeDeployDefault.OneAtATime",
    }
    assert f"codedeploy:CreateDeployment on {here}:deploymentgroup:ToFleet-Deployment/ToFleet-Deployment" in lines


@pytest.mark.parametrize("name", ["a", "shop+eu=1,web.prod@acme_x-y", "a" * 100])
def test_application_names_are_accepted(name):
    assert Ec2Deployment(a_stack(), "Deployment", application_name=name, **TAGS).application.application_name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a" * 101])
def test_fails_when_codedeploy_would_refuse_the_name(name):
    with refuses("application name", at="Shop/Deployment", fix="use 1 to 100 characters"):
        Ec2Deployment(a_stack(), "Deployment", application_name=name, **TAGS)


def test_fails_when_there_is_nothing_to_deploy_to():
    with refuses("without instances", at="Shop/Deployment", fix="fleet=, auto_scaling_groups= or ec2_instance_tags="):
        Ec2Deployment(a_stack(), "Deployment")


@pytest.mark.parametrize("tags", [codedeploy.InstanceTagSet(), codedeploy.InstanceTagSet({})], ids=["none", "empty"])
def test_fails_when_no_instance_could_have_these_tags(tags):
    with refuses("ec2_instance_tags", at="Shop/Deployment", fix="name at least one"):
        Ec2Deployment(a_stack(), "Deployment", ec2_instance_tags=tags, instance_roles=[])


@pytest.mark.parametrize("other", ["auto_scaling_groups", "ec2_instance_tags", "load_balancers", "instance_roles"])
def test_fails_when_there_is_a_fleet_and_something_else(other):
    """A fleet brings its instances, their role and their load balancer; what is given beside it would be ignored."""
    stack = a_stack()
    others: dict[str, Any] = {
        "auto_scaling_groups": lambda: [named_group(stack, "Web")],
        "ec2_instance_tags": lambda: TAGS["ec2_instance_tags"],
        "load_balancers": lambda: [
            codedeploy.LoadBalancer.classic(elb.LoadBalancer(stack, "Classic", vpc=ec2.Vpc(stack, "Vpc")))
        ],
        "instance_roles": lambda: [instance_role(stack, "InstanceRole")],
    }
    fleet = Ec2Fleet(stack, "Fleet", certificate=None)
    with refuses("a fleet and other", at="Shop/Deployment", fix="give fleet= alone"):
        Ec2Deployment(stack, "Deployment", fleet=fleet, **{other: others[other]()})


def test_fails_when_there_are_more_groups_than_codedeploy_takes():
    stack = a_stack()
    groups = [named_group(stack, f"Web{number}") for number in range(11)]
    Ec2Deployment(stack, "Most", auto_scaling_groups=groups[:10], instance_roles=[])
    with refuses("11 Auto Scaling groups", at="Shop/Deployment", fix="give at most 10"):
        Ec2Deployment(stack, "Deployment", auto_scaling_groups=groups, instance_roles=[])


def test_fails_when_there_are_more_load_balancers_than_codedeploy_takes():
    stack = a_stack()
    targets = elbv2.ApplicationTargetGroup.from_target_group_attributes(
        stack,
        "Targets",
        target_group_arn="arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/0123456789",
    )
    with refuses("11 load balancers", at="Shop/Deployment", fix="give at most 10"):
        Ec2Deployment(stack, "Deployment", load_balancers=[codedeploy.LoadBalancer.application(targets)] * 11, **TAGS)


@pytest.mark.parametrize("imported_twice", [False, True])
def test_fails_when_a_group_is_named_twice(imported_twice):
    stack = a_stack()
    group = named_group(stack, "Web")
    again = named_group(stack, "Web", "WebAgain") if imported_twice else group
    with refuses("Web", "twice", at="Shop/Deployment", fix="name each Auto Scaling group once"):
        Ec2Deployment(stack, "Deployment", auto_scaling_groups=[group, again], instance_roles=[])


@pytest.mark.parametrize("target", ["tags", "group"])
def test_fails_when_nothing_says_that_the_instances_may_read_the_revision(target):
    stack = a_stack()
    settings: dict[str, Any] = (
        {"ec2_instance_tags": TAGS["ec2_instance_tags"]}
        if target == "tags"
        else {"auto_scaling_groups": [named_group(stack, "Web")]}
    )
    with refuses("may read the revision", at="Shop/Deployment", fix="give instance_roles=["):
        Ec2Deployment(stack, "Deployment", **settings)


def without_a_role(stack):
    return Ec2Deployment(stack, "Deployment", auto_scaling_groups=[own_group(stack, "Web")])


def of_another_account(stack):
    role = iam.Role.from_role_arn(stack, "Elsewhere", "arn:aws:iam::222222222222:role/web")
    return Ec2Deployment(stack, "Deployment", **{**TAGS, "instance_roles": [role]})


@pytest.mark.parametrize("deployment", [without_a_role, of_another_account])
def test_fails_when_the_instances_cannot_be_allowed_to_read_the_revision(deployment):
    """aws-cdk-lib drops such statements, with a warning at most, and the deployment fails on the instance."""
    stack = Stack(App(), "Shop", env={"account": "111111111111", "region": "eu-west-1"})
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source())
    with pytest.raises(ConfigurationError, match="instance_roles"):
        pipeline.add_stage("Production", deploy=deployment(stack))


def test_fails_when_the_health_gate_has_no_alarms():
    stack = a_stack()
    gate = HealthGate(stack, "Health")
    with refuses("'Shop/Health' has no alarms", at="Shop/Deployment", fix="leave health= out"):
        Ec2Deployment(stack, "Deployment", health=gate, **TAGS)


def test_one_health_gate_serves_several_deployments():
    stack = a_stack()
    gate = HealthGate(stack, "Health", alarms=[an_alarm(stack, "first")])
    for name in ("Blue", "Green"):
        Ec2Deployment(stack, name, health=gate, **TAGS)
    gate.add_alarm(an_alarm(stack, "second"))
    groups = of_type(synthesized(stack), GROUP).values()
    assert [group["AlarmConfiguration"]["Alarms"] for group in groups] == [[{"Name": "first"}, {"Name": "second"}]] * 2


def test_names_from_parameters_and_exports_are_let_through():
    stack = a_stack()
    targets = elbv2.ApplicationTargetGroup.from_target_group_attributes(
        stack, "Targets", target_group_arn=Fn.import_value("TargetGroupArn")
    )
    Ec2Deployment(
        stack,
        "Deployment",
        application_name=CfnParameter(stack, "Name").value_as_string,
        auto_scaling_groups=[named_group(stack, Fn.import_value("GroupName"), "Web")],
        load_balancers=[codedeploy.LoadBalancer.application(targets)],
        instance_roles=[],
    )
    group = only(synthesized(stack), GROUP)
    assert group["DeploymentGroupName"] == {"Ref": "Name"}
    assert group["AutoScalingGroups"] == [{"Fn::ImportValue": "GroupName"}]
