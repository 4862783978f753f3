"""Other ways to use the constructs than the reference stack's: the checkers find nothing in them either."""

import json

import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    Ec2Deployment,
    Ec2Fleet,
    HealthGate,
    ManualApproval,
    Source,
)
from code_family_constructs.deploy.triggers import DeploymentTrigger

ARN = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"


def https_with_two_stages(stack):
    """HTTPS on ARM, a full clone, two artifacts, mails, tests; everything is kept when the stack goes."""
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", ARN)
    arm = ec2.InstanceType("t4g.small")
    fleet = Ec2Fleet(stack, "Fleet", certificate=certificate, nat_gateways=2, port=8080, instance_type=arm)
    pipeline = DeliveryPipeline(
        stack,
        "Pipeline",
        source=a_source(stack, code_build_clone_output=True),
        build=BuildProject(stack, "Build"),
        build_artifacts=["web", "infra"],
    )
    staging = Ec2Deployment(stack, "ToStaging", fleet=fleet, health=fleet.health)
    pipeline.add_stage("Staging", deploy=staging, test=BuildProject(stack, "Smoke", buildspec="smoke.yml"))
    production = Ec2Fleet(stack, "Production", certificate=certificate, vpc=fleet.vpc)
    half = codedeploy.ServerDeploymentConfig.HALF_AT_A_TIME
    pipeline.add_stage(
        "Production",
        approval=ManualApproval(
            question="Release it?",
            review_url="https://staging.acme.example",
            notify_emails=["release@acme.example"],
            timeout=Duration.days(60),
        ),
        deploy=Ec2Deployment(stack, "ToProduction", fleet=production, deployment_config=half),
        input="infra",
    )


def internal_in_an_existing_vpc(stack):
    """A fleet for the VPC alone, and a source that is deployed as it is."""
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
    )
    fleet = Ec2Fleet(stack, "Fleet", certificate=None, vpc=vpc, internet_facing=False)
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source(stack))
    pipeline.add_stage("Production", deploy=Ec2Deployment(stack, "Deployment", fleet=fleet, health=fleet.health))


def instances_of_the_users_own(stack):
    """Tags, and an Auto Scaling group by name, with the roles that are named."""
    store = ArtifactStore(stack, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
    build = BuildProject(stack, "Build")
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source(stack), build=build, artifact_store=store)
    tags = codedeploy.InstanceTagSet({"role": ["web"]})
    pipeline.add_stage("Tagged", deploy=Ec2Deployment(stack, "Tagged", ec2_instance_tags=tags, instance_roles=[]))
    group = autoscaling.AutoScalingGroup.from_auto_scaling_group_name(stack, "Group", "web")
    role = iam.Role.from_role_arn(stack, "Web", "arn:aws:iam::111122223333:role/web")
    pipeline.add_stage(
        "Grouped", deploy=Ec2Deployment(stack, "Grouped", auto_scaling_groups=[group], instance_roles=[role])
    )


def zone_after_zone(stack):
    """A configuration of its own, by zone; a termination hook, outdated instances left alone, triggers."""
    alerts = AlertTopic(stack, "Alerts")
    fleet = Ec2Fleet(stack, "Fleet", certificate=None, min_capacity=4, alarm_topic=alerts.topic)
    deployment = Ec2Deployment(
        stack,
        "Deployment",
        fleet=fleet,
        health=fleet.health,
        minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.percentage(75),
        zonal_config=codedeploy.ZonalConfig(
            monitor_duration=Duration.minutes(5),
            first_zone_monitor_duration=Duration.minutes(30),
            minimum_healthy_hosts_per_zone=codedeploy.MinimumHealthyHostsPerZone.count(1),
        ),
        termination_hook=True,
        outdated_instances_strategy="IGNORE",
        triggers=[
            DeploymentTrigger(name="failed", events=["DeploymentFailure", "DeploymentRollback"], topic=alerts.topic)
        ],
    )
    DeliveryPipeline(stack, "Pipeline", source=a_source(stack)).add_stage("Production", deploy=deployment)


def behind_a_network_load_balancer_and_on_premises(stack):
    """Instances of the user's own that a Network Load Balancer's health decides on, and those in a data centre."""
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source(stack))
    balancer, name = "arn:aws:elasticloadbalancing:us-east-1:111122223333", "mail/0123456789abcdef"
    targets = elbv2.NetworkTargetGroup.from_target_group_attributes(
        stack, "Targets", target_group_arn=f"{balancer}:targetgroup/{name}"
    )
    gate = HealthGate(stack, "Health")
    unhealthy = cloudwatch.Metric(
        namespace="AWS/NetworkELB",
        metric_name="UnHealthyHostCount",
        statistic="Maximum",
        dimensions_map={"TargetGroup": f"targetgroup/{name}", "LoadBalancer": f"net/{name}"},
    )
    gate.watch("Unhealthy", metric=unhealthy, threshold=1)
    topic = sns.Topic.from_topic_attributes(
        stack,
        "Topic",
        topic_arn="arn:aws:sns:us-east-1:111122223333:releases",
        key_arn="arn:aws:kms:us-east-1:111122223333:alias/aws/sns",
    )
    config = codedeploy.ServerDeploymentConfig(
        stack, "Config", minimum_healthy_hosts=codedeploy.MinimumHealthyHosts.count(2)
    )
    pipeline.add_stage(
        "Cloud",
        deploy=Ec2Deployment(
            stack,
            "ToCloud",
            ec2_instance_tags=codedeploy.InstanceTagSet({"role": ["mail"]}, {"stage": ["production"]}),
            auto_scaling_groups=[autoscaling.AutoScalingGroup.from_auto_scaling_group_name(stack, "Group", "mail")],
            load_balancers=[codedeploy.LoadBalancer.network(targets)],
            instance_roles=[],
            deployment_config=config,
            health=gate,
            triggers=[DeploymentTrigger(name="all", events=["DeploymentStart", "InstanceSuccess"], topic=topic)],
        ),
    )
    role = iam.Role.from_role_arn(stack, "Sessions", "arn:aws:iam::111122223333:role/data-centre")
    tags = codedeploy.InstanceTagSet({"role": ["mail"]})
    pipeline.add_stage(
        "DataCentre",
        deploy=Ec2Deployment(stack, "ToDataCentre", on_premise_instance_tags=tags, instance_roles=[role]),
    )


def a_source(stack, **settings):
    return Source.github("acme/shop", connection=CodeConnection.github(stack, "GitHub"), **settings)


VARIANTS = [
    https_with_two_stages,
    internal_in_an_existing_vpc,
    instances_of_the_users_own,
    zone_after_zone,
    behind_a_network_load_balancer_and_on_premises,
]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    app = App(outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    Validations.of(app).add_plugins(NIST80053R5Checks(app))
    for variant in VARIANTS:
        variant(Stack(app, variant.__name__.replace("_", "-")))
    app.synth()
    return folder


def test_both_nag_packs_find_nothing(synthesized):
    report = json.loads((synthesized / "validation-report.json").read_text())
    assert {pack["pluginName"]: pack["violations"] for pack in report["pluginReports"]} == {
        "AwsSolutions": [],
        "NIST.800.53.R5": [],
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_cfn_lint_accepts_the_template(synthesized, variant):
    template = synthesized / f"{variant.__name__.replace('_', '-')}.template.json"
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    problems = lint_file(template, ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"]))
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []
