"""Blue/green on EC2: what its reviewer reads, what is guarded, and what AWS's own checkers say."""

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2

from code_family_constructs import AlertTopic, DeploymentTrigger
from code_family_constructs.deploy.ec2_blue_green import Ec2BlueGreenDeployment
from code_family_constructs.deploy.ec2_fleet import Ec2BlueGreenFleet
from code_family_constructs.testing import outline_of, template_of
from stacks.ec2_blue_green import Ec2BlueGreen
from tests.deploy.instances import application
from tests.stacks.review import (
    STATEFUL,
    Review,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"


def blue_green_stack(app):
    return Ec2BlueGreen(
        app,
        "Ec2BlueGreen",
        repository="acme/shop",
        approvers=["release@acme.example"],
        testers=["192.0.2.0/24"],
    )


@pytest.fixture(scope="module")
def blue_green(tmp_path_factory):
    return Review(blue_green_stack, tmp_path_factory.mktemp("blue_green"))


def test_release_is_built_approved_and_deployed_in_this_order(blue_green, snapshot):
    assert outline_of(blue_green.stack) == snapshot(name="outline")


def test_template(blue_green, snapshot):
    assert template_of(blue_green.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(blue_green):
    assert_both_packs_find_nothing(blue_green)


def test_every_acknowledged_finding_is_known_and_has_a_reason(blue_green, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(blue_green)
    assert len(lines) == 49
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(blue_green):
    """A changed logical id is a new, empty resource: for these, a breaking change."""
    assert blue_green.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup92D916CE",
        "DeploymentOwnerLogs1E54BB4D",
        "DeploymentTestTrafficLogsD6E8DFF4",
        "FleetLoadBalancerFB7B619B",
        "FleetLogsBucket51FF8579",
        "FleetVpc61AA06F9",
        "GitHubConnection327BBDDD",
        "Pipeline9850B417",
    }


def test_nothing_that_costs_money_outlives_the_stack(blue_green):
    assert_nothing_outlives_the_stack(blue_green)


def test_no_token_leaks_into_the_template(blue_green):
    assert_no_token_leaks(blue_green)


def test_whatever_deploys_is_there_after_the_group_and_goes_before_it(blue_green):
    (pipeline,) = blue_green.names_of("AWS::CodePipeline::Pipeline")
    (group,) = blue_green.names_of("Custom::BlueGreenDeploymentGroup")
    (action,) = [
        action
        for stage in blue_green.resources[pipeline]["Properties"]["Stages"]
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "CodeDeploy"
    ]
    assert action["Configuration"]["DeploymentGroupName"] == {"Fn::GetAtt": [group, "DeploymentGroupName"]}


def test_feature_flags_of_the_app_do_not_change_our_resources(blue_green, tmp_path):
    plain = Review(blue_green_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(blue_green.stack)


def test_cfn_lint_accepts_the_template(blue_green):
    assert_cfn_lint_accepts(blue_green)


def without_testers(app):
    return Ec2BlueGreen(app, "Ec2BlueGreen", repository="acme/shop")


def internal_with_https_and_triggers(app):
    stack = Stack(app, "Internal")
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE)
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
        private_subnet_route_table_ids=["rtb-12345678", "rtb-22345678"],
    )
    fleet = Ec2BlueGreenFleet(
        stack,
        "Fleet",
        vpc=vpc,
        certificate=certificate,
        internet_facing=False,
        instance_type=ec2.InstanceType("t4g.small"),
        test_listener_peers=[ec2.Peer.prefix_list("pl-12345678")],
    )
    alerts = AlertTopic(stack, "Alerts")
    Ec2BlueGreenDeployment(
        stack,
        "Deployment",
        fleet=fleet,
        health=fleet.health,
        minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.percentage(50),
        termination_wait_time=None,
        deployment_approval_wait_time=Duration.minutes(5),
        triggers=[DeploymentTrigger(name="all", events=["DeploymentReady", "DeploymentFailure"], topic=alerts.topic)],
    )
    return stack


def instances_of_the_users_own(app):
    stack = Stack(app, "Tagged")
    Ec2BlueGreenDeployment(
        stack,
        "Deployment",
        ec2_instance_tags=codedeploy.InstanceTagSet({"role": ["web"]}),
        load_balancers=[application(stack)],
    )
    return stack


@pytest.mark.parametrize("make", [without_testers, internal_with_https_and_triggers, instances_of_the_users_own])
def test_other_ways_to_use_it_are_clean_too(make, tmp_path):
    variant = Review(make, tmp_path)
    assert_both_packs_find_nothing(variant)
    assert_cfn_lint_accepts(variant)
    assert_no_token_leaks(variant)


def test_without_testers_there_is_nothing_to_wait_for(tmp_path):
    plain = Review(without_testers, tmp_path)
    (group,) = plain.names_of("Custom::BlueGreenDeploymentGroup")
    options = plain.resources[group]["Properties"]["DeploymentGroup"]["blueGreenDeploymentConfiguration"]
    assert options["deploymentReadyOption"] == {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}
    assert plain.names_of("AWS::Events::Rule") == set()
