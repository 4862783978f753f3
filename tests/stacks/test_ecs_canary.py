"""A canary on Amazon ECS: what its reviewer reads, what is guarded, and what AWS's own checkers say."""

from collections.abc import Mapping

import pytest
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager

from code_family_constructs import AlertTopic, DeploymentHook, EcsDeployment, EcsService, SmokeTest, Statement
from code_family_constructs.deploy.ecs_traffic import LoadBalancerKind
from code_family_constructs.permissions import acknowledge
from code_family_constructs.testing import outline_of, template_of
from stacks.ecs_canary import EcsCanary
from tests.helpers import a_context
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
CODE_DEPLOY, ECS = ecs.DeploymentControllerType.CODE_DEPLOY, ecs.DeploymentControllerType.ECS
ROUTING: Mapping[LoadBalancerKind, codedeploy.TrafficRouting] = {
    "application": codedeploy.TrafficRouting.time_based_linear(percentage=20, interval=Duration.minutes(7)),
    "network": codedeploy.TrafficRouting.all_at_once(),
}


def canary_stack(app):
    return EcsCanary(app, "EcsCanary", repository="acme/shop", approvers=["release@acme.example"])


def canary_stack_for_codedeploy(app):
    return EcsCanary(app, "EcsCanary", repository="acme/shop", deployment_controller=CODE_DEPLOY)


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    return Review(canary_stack, tmp_path_factory.mktemp("canary"))


@pytest.fixture(scope="module")
def by_codedeploy(tmp_path_factory):
    return Review(canary_stack_for_codedeploy, tmp_path_factory.mktemp("by_codedeploy"))


def test_release_is_built_approved_and_deployed_in_this_order(canary, snapshot):
    assert outline_of(canary.stack) == snapshot(name="outline")


def test_with_codedeploy_a_release_is_rendered_first(by_codedeploy, snapshot):
    assert outline_of(by_codedeploy.stack) == snapshot(name="outline")


def test_template(canary, snapshot):
    assert template_of(canary.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(canary, by_codedeploy):
    assert_both_packs_find_nothing(canary)
    assert_both_packs_find_nothing(by_codedeploy)


def test_every_acknowledged_finding_is_known_and_has_a_reason(canary, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = acknowledged(canary)
    assert len(lines) == 38
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(canary):
    """A changed logical id is a new, empty resource: for these, a breaking change."""
    assert canary.names_of(*STATEFUL) == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogsF37026F2",
        "BuildRepository4E6D17C2",
        "DeploymentReleaseLogs4403E7F9",
        "GitHubConnection327BBDDD",
        "Pipeline9850B417",
        "Service9571FDD8",
        "ServiceCluster572F72F1",
        "ServiceLoadBalancer31A7DB79",
        "ServiceLogsBucket8BB0AD41",
        "ServiceRunningImageFunctionLogs8F027235",
        "ServiceTaskFailuresLogs57426132",
        "ServiceTaskLogsF9AA84A3",
        "ServiceVpc4872DC6E",
    }


def test_a_service_that_is_handed_over_keeps_its_place_and_all_that_holds_state(canary, by_codedeploy):
    """From CodeDeploy to Amazon ECS in place: only what deploys is another."""
    assert by_codedeploy.names_of(*STATEFUL) - canary.names_of(*STATEFUL) == {
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup7E7F554F",
        "DeploymentRenderLogsD3857DBB",
    }


def test_nothing_that_costs_money_outlives_the_stack(canary, by_codedeploy):
    assert_nothing_outlives_the_stack(canary)
    assert_nothing_outlives_the_stack(by_codedeploy)


def test_no_token_leaks_into_the_template(canary, by_codedeploy):
    assert_no_token_leaks(canary)
    assert_no_token_leaks(by_codedeploy)


def test_feature_flags_of_the_app_do_not_change_our_resources(canary, tmp_path):
    plain = Review(canary_stack, tmp_path, {})
    assert_both_packs_find_nothing(plain)
    assert template_of(plain.stack) == template_of(canary.stack)


def test_cfn_lint_accepts_the_template(canary, by_codedeploy):
    assert_cfn_lint_accepts(canary)
    assert_cfn_lint_accepts(by_codedeploy)


def https_with_tests_secrets_and_a_key(app):
    """Each engine with each load balancer; everything is kept when the stack goes."""
    stack = Stack(app, "Https")
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE)
    alerts = AlertTopic(stack, "Alerts")
    token = secretsmanager.Secret(stack, "Token", encryption_key=kms.Key(stack, "Key", enable_key_rotation=True))
    acknowledge(token, {"SMG4": "the token is issued by somebody else, who rotates it"})
    rotated = {"SecretsManagerRotationEnabled": "the token is issued by somebody else, who rotates it"}
    acknowledge(token, rotated, pack="NIST.800.53.R5")
    vpc = an_existing_vpc(stack)
    for controller in (ECS, CODE_DEPLOY):
        for kind, routing in ROUTING.items():
            id_ = f"{controller.name.title().replace('_', '')}{kind.title()}"
            service = EcsService(
                stack,
                id_,
                certificate=certificate,
                repository=None,
                vpc=vpc,
                deployment_controller=controller,
                load_balancer=kind,
                internet_facing=kind == "application",
                environment={"STAGE": "production"},
                secrets={"TOKEN": ecs.Secret.from_secrets_manager(token)},
                statements=[Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::orders/today.csv"])],
                test_listener=True,
                test_listener_peers=[ec2.Peer.prefix_list("pl-12345678")],
                alarm_topic=alerts.topic,
            )
            smoke_test = SmokeTest(
                "https://shop.example:9001/", load_balancer=service.load_balancer.load_balancer_full_name
            )
            hook = DeploymentHook(stack, f"{id_}Check", check=smoke_test, vpc=vpc)
            service.let_in(hook)
            event = "POST_TEST_TRAFFIC_SHIFT" if controller is ECS else "AfterAllowTestTraffic"
            deployment = EcsDeployment(
                stack,
                f"{id_}Deployment",
                service=service,
                health=service.health,
                traffic_routing=routing,
                hooks={event: hook},
            )
            deployment.stage_action(a_context(stage_name=id_))
    return stack


def plain_and_internal(app):
    """Plain HTTP and TCP for the VPC alone, without a health gate; nothing is kept."""
    stack = Stack(app, "Plain")
    cluster = ecs.Cluster(
        stack, "Cluster", vpc=an_existing_vpc(stack), container_insights_v2=ecs.ContainerInsights.ENABLED
    )
    for kind, routing in ROUTING.items():
        service = EcsService(
            stack,
            kind.title(),
            certificate=None,
            repository=None,
            cluster=cluster,
            load_balancer=kind,
            internet_facing=False,
            health_check_path="/" if kind == "application" else None,
            desired_count=None,
            removal_policy=RemovalPolicy.DESTROY,
        )
        EcsDeployment(stack, f"{kind.title()}Deployment", service=service, traffic_routing=routing)
    return stack


def an_existing_vpc(stack):
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        public_subnet_ids=["subnet-32345678", "subnet-42345678"],
        public_subnet_route_table_ids=["rtb-32345678", "rtb-42345678"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
        private_subnet_route_table_ids=["rtb-12345678", "rtb-22345678"],
    )


@pytest.mark.parametrize("make", [https_with_tests_secrets_and_a_key, plain_and_internal])
def test_other_ways_to_use_it_are_clean_too(make, tmp_path):
    variant = Review(make, tmp_path)
    assert_both_packs_find_nothing(variant)
    assert_cfn_lint_accepts(variant)
    assert_no_token_leaks(variant)
