"""The reference flow by hand, with the hardening that this library brings, as a careful team would write it.

One key, private and logged buckets, flow logs, IMDSv2, encrypted volumes, three alarms, a log group for each build, and
roles that no L2 widens: each has one managed policy of explicit statements. Findings of cdk-nag are not acknowledged.
"""

import sys
from typing import NamedTuple

from aws_cdk import App, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codeconnections as codeconnections
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

DESTROY = RemovalPolicy.DESTROY
# Each read is a round trip to Node.
PARTITION, REGION, ACCOUNT = Aws.PARTITION, Aws.REGION, Aws.ACCOUNT_ID
IMAGE = codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6
KEY_USE = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]
INSTALL_AGENT = """#!/bin/bash
dnf install -y ruby wget
region=$(ec2-metadata --region | cut -d' ' -f2)
curl -fsS --retry 5 -o /tmp/install "https://aws-codedeploy-$region.s3.$region.amazonaws.com/latest/install"
chmod +x /tmp/install && /tmp/install auto
"""


class Artifacts(NamedTuple):
    key: kms.Key
    key_arn: str
    logs: s3.Bucket
    bucket: s3.Bucket
    bucket_arn: str


class Fleet(NamedTuple):
    group: autoscaling.AutoScalingGroup
    group_name: str
    target_group: elbv2.ApplicationTargetGroup
    target_group_arn: str
    alarms: list[cloudwatch.IAlarm]


def allow(actions: list[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=list(resources))


def role(stack: Stack, id: str, service: str, *statements: iam.PolicyStatement) -> iam.Role:
    role = iam.Role(stack, id, assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"))
    iam.ManagedPolicy(stack, f"{id}Policy", roles=[role], statements=list(statements))
    return role


def bucket(stack: Stack, id: str, days: int, key: kms.Key | None = None, logs: s3.Bucket | None = None) -> s3.Bucket:
    return s3.Bucket(
        stack,
        id,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        bucket_key_enabled=key is not None,
        server_access_logs_bucket=logs,
        server_access_logs_prefix="artifacts/" if logs else None,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(expiration=Duration.days(days), abort_incomplete_multipart_upload_after=Duration.days(1))
        ],
        removal_policy=DESTROY,
        auto_delete_objects=True,
    )


def artifacts(stack: Stack) -> Artifacts:
    key = kms.Key(stack, "Key", enable_key_rotation=True, removal_policy=DESTROY)
    for service in (f"logs.{REGION}.amazonaws.com", "cloudwatch.amazonaws.com"):
        principal = iam.ServicePrincipal(service)
        key.add_to_resource_policy(iam.PolicyStatement(actions=KEY_USE, resources=["*"], principals=[principal]))
    logs = bucket(stack, "Logs", 90)
    store = bucket(stack, "Artifacts", 365, key, logs)
    return Artifacts(key, key.key_arn, logs, store, store.bucket_arn)


def fleet(stack: Stack, store: Artifacts, topic: sns.Topic) -> Fleet:
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        max_azs=2,
        nat_gateways=1,
        gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        flow_logs={
            "FlowLog": ec2.FlowLogOptions(destination=ec2.FlowLogDestination.to_s3(store.logs, "vpc/")),
        },
        restrict_default_security_group=False,
    )
    security_group = ec2.SecurityGroup(stack, "Instances", vpc=vpc, allow_all_outbound=False)
    security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443))
    agent = f"arn:{PARTITION}:s3:::aws-codedeploy-{REGION}/*"
    channels = [f"ssmmessages:{verb}{what}Channel" for verb in ("Create", "Open") for what in ("Control", "Data")]
    instance_role = role(
        stack,
        "InstanceRole",
        "ec2",
        allow(["ssm:UpdateInstanceInformation", *channels], "*"),
        allow(["s3:GetObject", "s3:GetObjectVersion"], agent, f"{store.bucket_arn}/*"),
        allow(["kms:Decrypt"], store.key_arn),
    )
    template = ec2.LaunchTemplate(
        stack,
        "LaunchTemplate",
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
        role=instance_role,
        security_group=security_group,
        user_data=ec2.UserData.custom(INSTALL_AGENT),
        require_imdsv2=True,
        block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=ec2.BlockDeviceVolume.ebs(8, encrypted=True))],
    )
    group = autoscaling.AutoScalingGroup(
        stack,
        "Group",
        vpc=vpc,
        launch_template=template,
        min_capacity=2,
        max_capacity=4,
        health_checks=autoscaling.HealthChecks.with_additional_checks(
            additional_types=[autoscaling.AdditionalHealthCheckType.ELB], grace_period=Duration.minutes(5)
        ),
        update_policy=autoscaling.UpdatePolicy.rolling_update(min_instances_in_service=2),
    )
    balancer = elbv2.ApplicationLoadBalancer(
        stack, "Balancer", vpc=vpc, internet_facing=True, drop_invalid_header_fields=True
    )
    store.logs.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["s3:PutObject"],
            resources=[store.logs.arn_for_objects(f"alb/AWSLogs/{ACCOUNT}/*")],
            principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
        )
    )
    # The L2's log_access_logs() wants to know the region.
    balancer.set_attribute("access_logs.s3.enabled", "true")
    balancer.set_attribute("access_logs.s3.bucket", store.logs.bucket_name)
    balancer.set_attribute("access_logs.s3.prefix", "alb")
    target_group = balancer.add_listener("Http", port=80).add_targets(
        "Targets", port=80, targets=[group], deregistration_delay=Duration.seconds(30)
    )
    watched = [
        ("Errors", target_group.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT), 10, 2),
        ("Unhealthy", target_group.metrics.unhealthy_host_count(), 1, 3),
        ("Latency", target_group.metrics.target_response_time(), 2, 5),
    ]
    alarms: list[cloudwatch.IAlarm] = []
    for id, metric, threshold, periods in watched:
        alarm = cloudwatch.Alarm(stack, id, metric=metric, threshold=threshold, evaluation_periods=periods)
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))
        alarms.append(alarm)
    return Fleet(group, group.auto_scaling_group_name, target_group, target_group.target_group_arn, alarms)


def build(stack: Stack, i: int, store: Artifacts) -> codebuild.PipelineProject:
    log_group = logs.LogGroup(
        stack,
        f"App{i}Log",
        encryption_key=store.key,
        retention=logs.RetentionDays.THREE_MONTHS,
        removal_policy=DESTROY,
    )
    build_role = role(
        stack,
        f"App{i}BuildRole",
        "codebuild",
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], log_group.log_group_arn),
        allow(["s3:GetBucketAcl", "s3:GetBucketLocation"], store.bucket_arn),
        allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], f"{store.bucket_arn}/app-{i}/*"),
        allow(KEY_USE, store.key_arn),
    )
    return codebuild.PipelineProject(
        stack,
        f"App{i}Build",
        project_name=f"app-{i}",
        role=build_role.without_policy_updates(),
        encryption_key=store.key,
        environment=codebuild.BuildEnvironment(build_image=IMAGE),
        logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)),
        grant_report_group_permissions=False,
    )


def deployment(stack: Stack, i: int, fleet: Fleet) -> codedeploy.IServerDeploymentGroup:
    describe = ["cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]
    if i == 1:
        describe += [f"autoscaling:Describe{what}" for what in ("AutoScalingGroups", "LifecycleHooks")]
        describe += [f"elasticloadbalancing:Describe{what}" for what in ("TargetGroups", "TargetHealth")]
        hooks = [f"autoscaling:{verb}LifecycleHook" for verb in ("Put", "Delete")]
        group = f"autoScalingGroup:*:autoScalingGroupName/{fleet.group_name}"
        work = [
            allow(
                [*hooks, "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
                f"arn:{PARTITION}:autoscaling:{REGION}:{ACCOUNT}:{group}",
            ),
            allow(
                ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
                fleet.target_group_arn,
            ),
        ]
    else:
        describe.append("tag:GetResources")
        work = []
    deploy_role = role(stack, f"App{i}DeployRole", "codedeploy", allow(describe, "*"), *work)
    application = codedeploy.ServerApplication(stack, f"App{i}Application", application_name=f"app-{i}")
    codedeploy.ServerDeploymentGroup(
        stack,
        f"App{i}Group",
        application=application,
        deployment_group_name=f"app-{i}",
        role=deploy_role.without_policy_updates(),
        # CodeDeploy takes an Auto Scaling group in one deployment group only; further applications deploy by tag.
        auto_scaling_groups=[fleet.group] if i == 1 else None,
        load_balancers=[codedeploy.LoadBalancer.application(fleet.target_group)] if i == 1 else None,
        ec2_instance_tags=None if i == 1 else codedeploy.InstanceTagSet({"app": [f"app-{i}"]}),
        alarms=fleet.alarms,
        install_agent=False,
        auto_rollback=codedeploy.AutoRollbackConfig(failed_deployment=True, deployment_in_alarm=True),
    )
    # By name: given the group itself, the pipeline's action widens the role of the instances.
    return codedeploy.ServerDeploymentGroup.from_server_deployment_group_attributes(
        stack, f"App{i}GroupByName", application=application, deployment_group_name=f"app-{i}"
    )


def add_pipeline(stack: Stack, i: int, store: Artifacts, fleet: Fleet, topic: sns.Topic, connection_arn: str) -> None:
    group = deployment(stack, i, fleet)
    project = build(stack, i, store)
    mine = f"{REGION}:{ACCOUNT}"
    pipeline_role = role(
        stack,
        f"App{i}PipelineRole",
        "codepipeline",
        allow(["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"], store.bucket_arn),
        allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], f"{store.bucket_arn}/app-{i}/*"),
        allow(KEY_USE, store.key_arn),
        allow(["codeconnections:UseConnection", "codestar-connections:UseConnection"], connection_arn),
        allow(
            ["codebuild:StartBuild", "codebuild:BatchGetBuilds"],
            f"arn:{PARTITION}:codebuild:{mine}:project/app-{i}",
        ),
        allow(
            [
                *(f"codedeploy:Get{what}" for what in ("Application", "ApplicationRevision", "Deployment")),
                *("codedeploy:CreateDeployment", "codedeploy:RegisterApplicationRevision"),
            ],
            f"arn:{PARTITION}:codedeploy:{mine}:application:app-{i}",
            f"arn:{PARTITION}:codedeploy:{mine}:deploymentgroup:app-{i}/app-{i}",
        ),
        allow(
            ["codedeploy:GetDeploymentConfig"],
            f"arn:{PARTITION}:codedeploy:{mine}:deploymentconfig:CodeDeployDefault.OneAtATime",
        ),
        allow(["sns:Publish"], topic.topic_arn),
    )
    source, built = codepipeline.Artifact("Source"), codepipeline.Artifact("Build")
    codepipeline.Pipeline(
        stack,
        f"App{i}Pipeline",
        pipeline_name=f"app-{i}",
        artifact_bucket=store.bucket,
        role=pipeline_role.without_policy_updates(),
        use_pipeline_role_for_actions=True,
        stages=[
            codepipeline.StageProps(
                stage_name="Source",
                actions=[
                    actions.CodeStarConnectionsSourceAction(
                        action_name="GitHub",
                        connection_arn=connection_arn,
                        owner="acme",
                        repo=f"app-{i}",
                        branch="main",
                        output=source,
                    )
                ],
            ),
            codepipeline.StageProps(
                stage_name="Build",
                actions=[actions.CodeBuildAction(action_name="Build", project=project, input=source, outputs=[built])],
            ),
            codepipeline.StageProps(
                stage_name="Production",
                actions=[
                    actions.ManualApprovalAction(action_name="Approve", notification_topic=topic, run_order=1),
                    actions.CodeDeployServerDeployAction(
                        action_name="Deploy", deployment_group=group, input=built, run_order=2
                    ),
                ],
            ),
        ],
    )


app = App()
stack = Stack(app, "ByHandHardened")
store = artifacts(stack)
topic = sns.Topic(stack, "Topic", master_key=store.key, enforce_ssl=True)
instances = fleet(stack, store, topic)
connection = codeconnections.CfnConnection(stack, "GitHub", connection_name="github", provider_type="GitHub")
connection_arn = connection.attr_connection_arn
for i in range(1, int(sys.argv[1]) + 1):
    add_pipeline(stack, i, store, instances, topic, connection_arn)
app.synth()
