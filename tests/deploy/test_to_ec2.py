"""Deployments in place: to these instances, back on failure and alarm, with a role for these groups only."""

import json
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Fn, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Annotations, Match
from cfnlint.api import lint_all

from code_family_constructs import (
    AlertTopic,
    Appspec,
    ConfigurationError,
    DeliveryPipeline,
    Ec2Appspec,
    Ec2Deployment,
    Ec2Fleet,
    HealthGate,
    Statement,
)
from code_family_constructs.deploy.triggers import DeploymentTrigger
from code_family_constructs.testing import synthesized, text_of
from tests.deploy.instances import (
    GROUP,
    ON_PREMISES,
    TAGS,
    WEB,
    an_alarm,
    application,
    classic,
    instance_role,
    named_group,
    network,
    own_group,
)
from tests.helpers import a_context, a_source, a_stack, allowed, of_type, only, refuses
from tests.policies import Simulation, arn

CONFIG = "AWS::CodeDeploy::DeploymentConfig"


@pytest.fixture(scope="module")
def templates():
    app = App()

    fleet_stack = Stack(app, "ToFleet")
    fleet = Ec2Fleet(fleet_stack, "Fleet", certificate=None)
    to_fleet = Ec2Deployment(fleet_stack, "Deployment", fleet=fleet, health=fleet.health)
    fleet.health.watch("Late", metric=cloudwatch.Metric(namespace="Shop", metric_name="orders"), threshold=1)
    action = to_fleet.stage_action(a_context())
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
        auto_scaling_groups=[own_group(own, "Web", role=role, min_capacity=2, max_capacity=3)],
        load_balancers=[classic(own), application(own), network(own)],
        deployment_config=codedeploy.ServerDeploymentConfig.HALF_AT_A_TIME,
    )
    tagged = Ec2Deployment(
        own,
        "Tagged",
        ec2_instance_tags=codedeploy.InstanceTagSet({"Role": ["web", "api"]}, {"Stage": ["production"]}),
        instance_roles=[instance_role(own, "ServerRole")],
    )
    for deployment in (to_own, tagged):
        for allow in deployment.stage_action(a_context()).artifact_readers:
            allow([Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])])

    full = Stack(app, "Full")
    alerts = AlertTopic(full, "Alerts")
    group = named_group(full, "web")
    Ec2Deployment(
        full,
        "Hooked",
        auto_scaling_groups=[group],
        instance_roles=[],
        minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.percentage(75),
        zonal_config=codedeploy.ZonalConfig(
            monitor_duration=Duration.minutes(5),
            first_zone_monitor_duration=Duration.minutes(30),
            minimum_healthy_hosts_per_zone=codedeploy.MinimumHealthyHostsPerZone.count(1),
        ),
        termination_hook=True,
        outdated_instances_strategy="IGNORE",
        triggers=[
            DeploymentTrigger(name="bad", events=["DeploymentFailure", "DeploymentRollback"], topic=alerts.topic),
            DeploymentTrigger(name="all", events=["InstanceSuccess"], topic=alerts.topic),
        ],
    )
    site = instance_role(full, "SiteRole")
    on_premises = Ec2Deployment(full, "OnPremises", on_premise_instance_tags=WEB, instance_roles=[site])
    for allow in on_premises.stage_action(a_context()).artifact_readers:
        allow([Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::artifacts/app.zip"])])
    shared = codedeploy.ServerDeploymentConfig(
        full, "Slow", minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(2), deployment_config_name="slow"
    )
    for name in ("First", "Second"):
        Ec2Deployment(full, name, deployment_config=shared, **TAGS)
    return {stack.stack_name: synthesized(stack) for stack in (fleet_stack, own, full)}


@pytest.fixture(scope="module")
def to_fleet(templates):
    return templates["ToFleet"]


@pytest.fixture(scope="module")
def to_own(templates):
    return templates["ToOwn"]


@pytest.fixture(scope="module")
def full(templates):
    return templates["Full"]


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
    """One tag of each group has to fit."""
    group = group_of(to_own, "ToOwn-Tagged")
    assert group["AutoScalingGroups"] == []
    assert [
        [(one["Key"], one["Value"]) for one in tags["Ec2TagGroup"]] for tags in group["Ec2TagSet"]["Ec2TagSetList"]
    ] == [[("Role", "web"), ("Role", "api")], [("Stage", "production")]]


def test_deployment_config_decides_how_many_at_a_time(to_own):
    assert group_of(to_own, "ToOwn-Deployment")["DeploymentConfigName"] == "CodeDeployDefault.HalfAtATime"


def test_minimum_healthy_hosts_and_zones_make_a_configuration(full):
    (name,) = [name for name in of_type(full, CONFIG) if name.startswith("HookedConfig")]
    assert of_type(full, CONFIG)[name] == {
        "MinimumHealthyHosts": {"Type": "FLEET_PERCENT", "Value": 75},
        "ZonalConfig": {
            "FirstZoneMonitorDurationInSeconds": 1800,
            "MinimumHealthyHostsPerZone": {"Type": "HOST_COUNT", "Value": 1},
            "MonitorDurationInSeconds": 300,
        },
    }
    assert group_of(full, "Full-Hooked")["DeploymentConfigName"] == {"Ref": name}


def test_a_configuration_of_ones_own_serves_several_deployments(full):
    (shared,) = [name for name in of_type(full, CONFIG) if name.startswith("Slow")]
    for name in ("Full-First", "Full-Second"):
        assert group_of(full, name)["DeploymentConfigName"] == {"Ref": shared}


def test_classic_application_and_network_load_balancers_are_there_for_each_instance(to_own):
    group = group_of(to_own, "ToOwn-Deployment")
    assert len(group["LoadBalancerInfo"]["ElbInfoList"]) == 1
    assert group["LoadBalancerInfo"]["TargetGroupInfoList"] == [{"Name": "web"}, {"Name": "tcp"}]
    assert group["DeploymentStyle"]["DeploymentOption"] == "WITH_TRAFFIC_CONTROL"


def test_on_premises_tags_are_a_target(full):
    group = group_of(full, "Full-OnPremises")
    filters = [{"Key": "Role", "Type": "KEY_AND_VALUE", "Value": "web"}]
    assert group["OnPremisesTagSet"] == {"OnPremisesTagSetList": [{"OnPremisesTagGroup": filters}]}
    assert group["Ec2TagSet"] == {"Ec2TagSetList": []}
    assert group["AutoScalingGroups"] == []


def test_on_premises_instances_may_read_the_revision_in_their_sessions(full):
    assert allowed_by_attachment(full, "SiteRole") == {"s3:GetObject on arn:aws:s3:::artifacts/app.zip"}


def test_on_premises_instances_need_no_permissions_for_groups_or_load_balancers(full):
    assert {line.split(" on ")[0] for line in allowed(full, "OnPremisesRolePolicy")} == {
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "tag:GetResources",
    }


def test_a_termination_hook_needs_no_more_than_any_other_hook(full):
    assert group_of(full, "Full-Hooked")["TerminationHookEnabled"] is True
    group = {line.split(" on ")[0] for line in allowed(full, "HookedRolePolicy") if "autoScalingGroupName/web" in line}
    assert group == {
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:DeleteLifecycleHook",
        "autoscaling:PutLifecycleHook",
        "autoscaling:RecordLifecycleActionHeartbeat",
        "autoscaling:ResumeProcesses",
        "autoscaling:SuspendProcesses",
    }


def test_outdated_instances_are_left_alone_on_request(full):
    assert group_of(full, "Full-Hooked")["OutdatedInstancesStrategy"] == "IGNORE"


def test_triggers_reach_the_deployment_group(full):
    (topic,) = of_type(full, "AWS::SNS::Topic")
    assert group_of(full, "Full-Hooked")["TriggerConfigurations"] == [
        {
            "TriggerName": "bad",
            "TriggerEvents": ["DeploymentFailure", "DeploymentRollback"],
            "TriggerTargetArn": {"Ref": topic},
        },
        {"TriggerName": "all", "TriggerEvents": ["InstanceSuccess"], "TriggerTargetArn": {"Ref": topic}},
    ]


def test_the_topic_and_its_key_really_accept_the_messages_of_triggers(full):
    account = Simulation(full)
    (topic,) = of_type(full, "AWS::SNS::Topic")
    (key,) = of_type(full, "AWS::KMS::Key")
    requests = [
        ("sns:Publish", account.physical.ref(topic)),
        ("kms:Decrypt", account.physical.attribute(key, "Arn")),
        ("kms:GenerateDataKey", account.physical.attribute(key, "Arn")),
    ]
    (role, other) = [
        next(name for name in of_type(full, "AWS::IAM::Role") if name.startswith(deployment))
        for deployment in ("HookedRole", "OnPremisesRole")
    ]
    assert [account.ask(role, action, resource) for action, resource in requests] == ["allowed"] * 3
    # The other deployment has no triggers.
    assert [account.ask(other, action, resource) for action, resource in requests] == ["implicitly denied"] * 3
    assert account.ask(role, "sns:Publish", arn("sns", "another")) == "implicitly denied"


def test_what_is_no_longer_asked_for_is_taken_back(to_fleet, to_own):
    """CloudFormation keeps what a template says nothing of."""
    for group in (only(to_fleet, GROUP), group_of(to_own, "ToOwn-Deployment")):
        assert group["TriggerConfigurations"] == []
        assert group["TerminationHookEnabled"] is False
        assert group["OutdatedInstancesStrategy"] == "UPDATE"
    tagged = group_of(to_own, "ToOwn-Tagged")
    assert tagged["DeploymentStyle"] == {
        "DeploymentType": "IN_PLACE",
        "DeploymentOption": "WITHOUT_TRAFFIC_CONTROL",
    }
    assert tagged["TriggerConfigurations"] == []
    assert tagged["AutoScalingGroups"] == []
    assert tagged["OnPremisesTagSet"] == {"OnPremisesTagSetList": []}
    for group in (only(to_fleet, GROUP), group_of(to_own, "ToOwn-Deployment")):
        assert group["Ec2TagSet"] == {"Ec2TagSetList": []}
        assert group["OnPremisesTagSet"] == {"OnPremisesTagSetList": []}


def test_cloudformation_takes_what_is_written_to_take_something_back(full):
    assert [str(one) for one in lint_all(json.dumps(full)) if one.rule.id[0] in "EW"] == []


def policies_of_groups(*names):
    stack = a_stack()
    Ec2Deployment(
        stack, "Deployment", auto_scaling_groups=[named_group(stack, name) for name in names], instance_roles=[]
    )
    template = synthesized(stack)
    ((waits,),) = [
        [name for name in one["DependsOn"] if name in of_type(template, "AWS::IAM::ManagedPolicy")]
        for one in template["Resources"].values()
        if one["Type"] == GROUP
    ]
    return waits, template


def test_codedeploy_may_take_its_hook_out_of_a_group_that_leaves():
    """CloudFormation deletes what a template no longer has at the end: until then the old policy is on the role."""
    both, before = policies_of_groups("web", "api")
    one, after = policies_of_groups("web")
    assert any(line.endswith("autoScalingGroupName/api") for line in allowed(before, both))
    assert both not in after["Resources"]
    assert one not in before["Resources"]
    assert policies_of_groups("api", "web")[0] == both
    (role,) = [name for name in of_type(before, "AWS::IAM::Role") if name in of_type(after, "AWS::IAM::Role")]
    assert of_type(before, "AWS::IAM::ManagedPolicy")[both]["Roles"] == [{"Ref": role}]


def test_a_release_that_starts_with_the_stack_finds_instances_that_may_read_it(to_own):
    for group, policy in (("ToOwn-Deployment", "DeploymentInstancePolicy"), ("ToOwn-Tagged", "TaggedInstancePolicy")):
        (waits,) = [
            one["DependsOn"]
            for one in to_own["Resources"].values()
            if one["Type"] == GROUP and one["Properties"]["DeploymentGroupName"] == group
        ]
        assert any(name.startswith(policy) for name in waits)


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
    for name in ("web", "tcp"):
        assert f"elasticloadbalancing:DeregisterTargets on {here}:targetgroup/{name}/*" in lines
        assert f"elasticloadbalancing:RegisterTargets on {here}:targetgroup/{name}/*" in lines


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


def test_fails_when_there_is_nothing_to_deploy_to():
    with refuses("without instances", at="Shop/Deployment", fix="fleet=, auto_scaling_groups= or ec2_instance_tags="):
        Ec2Deployment(a_stack(), "Deployment")


def test_fails_when_a_group_is_in_two_deployments():
    stack = a_stack()
    group = named_group(stack, "web")
    Ec2Deployment(stack, "First", auto_scaling_groups=[group], instance_roles=[])
    with refuses("'Shop/web' is in deployment 'Shop/First' already", at="Shop/Second", fix="in one revision"):
        Ec2Deployment(stack, "Second", auto_scaling_groups=[group], instance_roles=[])


def test_fails_when_a_fleet_is_in_two_deployments():
    stack = a_stack()
    fleet = Ec2Fleet(stack, "Fleet", certificate=None)
    Ec2Deployment(stack, "First", fleet=fleet)
    with refuses("'Shop/Fleet/AutoScalingGroup' is in deployment 'Shop/First'", at="Shop/Second", fix="of its own"):
        Ec2Deployment(stack, "Second", fleet=fleet)


@pytest.mark.parametrize("targets", [TAGS, ON_PREMISES], ids=["tags", "on-premises"])
def test_fails_when_there_is_no_group_to_put_a_termination_hook_into(targets):
    with refuses("termination_hook without", at="Shop/Deployment", fix="give auto_scaling_groups= or a fleet="):
        Ec2Deployment(a_stack(), "Deployment", termination_hook=True, **targets)


@pytest.mark.parametrize("strategy", ["update", "IGNORED", "", None])
def test_fails_when_there_is_no_such_strategy_for_outdated_instances(strategy):
    with refuses(f"outdated_instances_strategy={strategy!r}", at="Shop/Deployment", fix="one of UPDATE, IGNORE"):
        Ec2Deployment(a_stack(), "Deployment", outdated_instances_strategy=strategy, **TAGS)


def test_fails_when_there_is_one_trigger_instead_of_a_list():
    stack = a_stack()
    topic = AlertTopic(stack, "Alerts").topic
    trigger: Any = DeploymentTrigger(name="bad", events=["DeploymentFailure"], topic=topic)
    with refuses("triggers=", "is no list", at="Shop/Deployment", fix="write triggers=[…]"):
        Ec2Deployment(stack, "Deployment", triggers=trigger, **TAGS)


def test_fails_when_fewer_instances_are_there_than_have_to_stay_healthy():
    stack = a_stack()
    fleet = Ec2Fleet(stack, "Fleet", certificate=None, min_capacity=3)
    with refuses("keeps 3 instances healthy", "may have 3 only", at="Shop/Deployment", fix="count(2) or less"):
        Ec2Deployment(stack, "Deployment", fleet=fleet, minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(3))


def test_fails_when_the_configuration_of_ones_own_could_never_be_met():
    stack = a_stack()
    config = codedeploy.ServerDeploymentConfig(
        stack, "Config", minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.percentage(80)
    )
    fleet = Ec2Fleet(stack, "Fleet", certificate=None, min_capacity=4)
    with refuses("keeps 4 instances healthy", at="Shop/Deployment", fix="a min_capacity= of 5 or more"):
        Ec2Deployment(stack, "Deployment", fleet=fleet, deployment_config=config)


def test_fails_when_zones_are_configured_for_a_predefined_configuration():
    zonal = codedeploy.ZonalConfig(monitor_duration=Duration.minutes(5))
    with refuses("zonal_config with a predefined", at="Shop/Deployment", fix="give minimum_healthy_hosts= with it"):
        Ec2Deployment(
            a_stack(),
            "Deployment",
            deployment_config=codedeploy.ServerDeploymentConfig.HALF_AT_A_TIME,
            zonal_config=zonal,
            **TAGS,
        )


def test_fails_when_zones_are_configured_for_on_premises_instances():
    with refuses("zonal_config with on-premises", at="Shop/Deployment", fix="without zonal_config="):
        Ec2Deployment(
            a_stack(),
            "Deployment",
            minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(1),
            zonal_config=codedeploy.ZonalConfig(monitor_duration=Duration.minutes(5)),
            **ON_PREMISES,
        )


def test_fails_when_a_trigger_waits_for_what_never_happens_in_place():
    stack = a_stack()
    trigger = DeploymentTrigger(name="ready", events=["InstanceReady"], topic=AlertTopic(stack, "Alerts").topic)
    with refuses("'ready' waits for InstanceReady", at="Shop/Deployment", fix="leave out InstanceReady"):
        Ec2Deployment(stack, "Deployment", triggers=[trigger], **TAGS)


def test_warns_when_a_release_takes_all_traffic_away():
    stack = a_stack()
    all_at_once = codedeploy.ServerDeploymentConfig.ALL_AT_ONCE
    Ec2Deployment(stack, "Deployment", deployment_config=all_at_once, load_balancers=[application(stack)], **TAGS)
    warned = Match.string_like_regexp(r"nothing answers during a release.*code-family:no-traffic")
    assert len(Annotations.from_stack(stack).find_warning("/Shop/Deployment", warned)) == 1


APPSPEC = """\
version: 0.0
os: linux
files:
  - source: /
    destination: /var/www
hooks:
  BeforeBlockTraffic:
    - location: scripts/drain.sh
  ApplicationStart:
    - location: scripts/start.sh
"""


@pytest.mark.parametrize(
    ("said_by_the_reader", "balanced", "warned"),
    [(None, False, True), (False, False, True), (None, True, False), (False, True, False)],
)
def test_an_appspec_is_looked_at_for_this_deployment_group(tmp_path, said_by_the_reader, balanced, warned):
    file = tmp_path / "appspec.yml"
    file.write_text(APPSPEC)
    appspec = Ec2Appspec.from_file(file, load_balancer=said_by_the_reader)
    stack = a_stack()
    balancers = [application(stack)] if balanced else []
    Ec2Deployment(stack, "Deployment", appspec=appspec, load_balancers=balancers, **TAGS)
    found = Annotations.from_stack(stack).find_warning("/Shop/Deployment", Match.any_value())
    texts = [str(one.entry.data) for one in found]
    assert ["BeforeBlockTraffic runs only" in text and "code-family:AS303" in text for text in texts] == [True] * warned


def test_what_is_odd_in_an_appspec_is_a_warning_with_its_line(tmp_path):
    file = tmp_path / "appspec.yml"
    file.write_text(APPSPEC.replace("    - location: scripts/start.sh", "    []"))
    stack = a_stack()
    Ec2Deployment(stack, "Deployment", appspec=Ec2Appspec.from_file(file), load_balancers=[application(stack)], **TAGS)
    (warning,) = Annotations.from_stack(stack).find_warning("/Shop/Deployment", Match.any_value())
    assert "appspec.yml:9: warning AS107" in str(warning.entry.data)


def test_fails_when_the_appspec_is_for_another_platform():
    appspec: Any = Appspec.from_text(
        "version: 0.0\nResources:\n  - F:\n      Type: AWS::Lambda::Function\n      Properties: "
        "{Name: f, Alias: live, CurrentVersion: '1', TargetVersion: '2'}\n"
    )
    with refuses("appspec=LambdaAppspec", at="Shop/Deployment", fix="Ec2Appspec.from_file"):
        Ec2Deployment(a_stack(), "Deployment", appspec=appspec, **TAGS)


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
