"""Who may do what in a release of the reference stack, and that one step outside ends at a closed door.

The table below is read like the release: each row is a request that some role or service makes, or must not get
through. Permissions that no row needs fail a test, and so do rows that ask what AWS would never ask.
"""

from collections import Counter
from typing import Any

import pytest
from aws_cdk import App
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.testing import statements_of, synthesized, text_of
from stacks.github_to_ec2 import GitHubToEc2
from tests.policies import ACCOUNT, Physical, Simulation, arn, checked, grants_of, has_resources, listed, takes

STRANGER = "444455556666"
ALLOWED, DENIED, REFUSED = "allowed", "implicitly denied", "explicitly denied"

PIPELINE = "PipelineRoleD68726F7"
BUILD = "BuildRoleB7C66CB2"
CODEDEPLOY = "DeploymentRole27A8D055"
INSTANCE = "FleetRole427BC000"
EMPTIER = "BucketEmptierFunctionRole7D46806E"
ROLES = {PIPELINE: "pipeline", BUILD: "build", CODEDEPLOY: "codedeploy", INSTANCE: "instance", EMPTIER: "emptier"}

ALARMS = "cloudwatch.amazonaws.com"
LOGS = "logs.eu-west-1.amazonaws.com"
LOAD_BALANCER = "logdelivery.elasticloadbalancing.amazonaws.com"
FLOW_LOGS = "delivery.logs.amazonaws.com"
ACCESS_LOGS = "logging.s3.amazonaws.com"

OTHER_KEY = arn("kms", "key/0ddba11c-0000-4000-8000-000000000000")
OTHER_BUCKET = "arn:aws:s3:::another-bucket-of-the-account"
AGENT = "arn:aws:s3:::aws-codedeploy-eu-west-1"

HTTP = {"aws:SecureTransport": "false"}
TLS_1_1 = {"s3:TlsVersion": "1.1"}


def places(physical):
    """What the table calls the resources of the stack."""
    return {
        "connection": physical.attribute("GitHubConnection327BBDDD", "ConnectionArn"),
        "artifacts": physical.attribute("ArtifactsBucket88671897", "Arn"),
        # CodePipeline cuts the name of the pipeline at 20 characters; this one has just as many.
        "folder": physical.attribute("ArtifactsBucket88671897", "Arn") + "/GitHubToEc2-Pipeline",
        "key": physical.attribute("ArtifactsKeyA4B22E2B", "Arn"),
        "artifact_logs": physical.attribute("ArtifactsAccessLogsBucketE76260C0", "Arn"),
        "fleet_logs": physical.attribute("FleetLogsBucket51FF8579", "Arn"),
        "pipeline": arn("codepipeline", "GitHubToEc2-Pipeline"),
        "pipeline_role": physical.attribute(PIPELINE, "Arn"),
        "project": arn("codebuild", "project/GitHubToEc2-Build"),
        "build_role": physical.attribute(BUILD, "Arn"),
        "build_log": physical.attribute("BuildLogs04E75593", "Arn").removesuffix(":*"),
        "alerts": physical.ref("AlertsTopicCF7C81C9"),
        "codedeploy": arn("codedeploy", "").removesuffix(":"),
        "application": arn("codedeploy", "application:GitHubToEc2-Deployment"),
        "group": arn("codedeploy", "deploymentgroup:GitHubToEc2-Deployment/GitHubToEc2-Deployment"),
        "config": arn("codedeploy", "deploymentconfig:CodeDeployDefault.OneAtATime"),
        "codedeploy_role": physical.attribute(CODEDEPLOY, "Arn"),
        "scaling_groups": arn("autoscaling", "autoScalingGroup:5e0c1f0e-0000-4000-8000-000000000000"),
        "scaling_group": physical.ref("FleetAutoScalingGroupASGDF45BDA5"),
        "target_group": physical.ref("FleetTargetGroupE530A1E5"),
        "instance_role": physical.attribute(INSTANCE, "Arn"),
        "emptier_role": physical.attribute(EMPTIER, "Arn"),
        "emptier_log": physical.attribute("BucketEmptierFunctionLogs6DEA2D3B", "Arn").removesuffix(":*"),
    }


def rows(step, *requests):
    """One test for each action: step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            name = f"{step}{f' ({note})' if note else ''}: {ROLES.get(who, who)} {action} {expected}"
            yield pytest.param(who, action, resource, context, expected, id=name)


def repository(name):
    return {f"{prefix}:FullRepositoryId": name for prefix in ("codeconnections", "codestar-connections")}


def source(service_arn, account=ACCOUNT, **more):
    return {"aws:SourceArn": service_arn, "aws:SourceAccount": account, **more}


def of(account):
    return {"aws:SourceAccount": account}


USE_CONNECTION = "codeconnections:UseConnection codestar-connections:UseConnection"
FETCH_SOURCE = rows(
    "fetch source",
    (PIPELINE, USE_CONNECTION, "{connection}", ALLOWED, repository("acme/shop")),
    (PIPELINE, USE_CONNECTION, "{connection}", ALLOWED, "before a repository is named"),
    (PIPELINE, USE_CONNECTION, "{connection}", DENIED, repository("acme/payroll"), "another repository"),
    (PIPELINE, USE_CONNECTION, "{connection}", DENIED, repository("acme/shop-two"), "a longer name"),
    (PIPELINE, USE_CONNECTION, "{connection}-other", DENIED, repository("acme/shop"), "another connection"),
    (PIPELINE, "codeconnections:DeleteConnection codeconnections:PassConnection", "{connection}", DENIED),
    (BUILD, USE_CONNECTION, "{connection}", DENIED, repository("acme/shop")),
    (INSTANCE, USE_CONNECTION, "{connection}", DENIED, repository("acme/shop")),
)

READ = "s3:GetObject s3:GetObjectVersion"
WRITE = "s3:PutObject s3:PutObjectAcl s3:PutObjectTagging"
DESTROY = "s3:DeleteObject s3:DeleteObjectVersion"
BUCKET = "s3:GetBucketAcl s3:GetBucketLocation"
USE_KEY = "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
RULE_KEY = "kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:CreateGrant"
STORE_ARTIFACT = rows(
    "store artifact",
    (PIPELINE, WRITE, "{folder}/Source/AbC.zip", ALLOWED),
    (PIPELINE, f"{READ} s3:GetObjectTagging s3:GetObjectVersionTagging", "{folder}/Source/AbC.zip", ALLOWED),
    (PIPELINE, f"{BUCKET} s3:GetBucketVersioning", "{artifacts}", ALLOWED),
    (PIPELINE, USE_KEY, "{key}", ALLOWED),
    (PIPELINE, "s3:PutObject s3:GetObject", "{artifacts}/GitHubToEc2-Pipelin/Source/AbC.zip", DENIED, "other folder"),
    (PIPELINE, "s3:PutObject s3:GetObject", "{folder}-2/Source/AbC.zip", DENIED, "folder with a longer name"),
    (PIPELINE, "s3:PutObject s3:GetObject", "{artifacts}/AbC.zip", DENIED, "no folder"),
    (PIPELINE, "s3:PutObject", OTHER_BUCKET + "/GitHubToEc2-Pipeline/AbC.zip", DENIED, "other bucket"),
    (PIPELINE, f"{BUCKET} s3:GetBucketVersioning", OTHER_BUCKET, DENIED, "other bucket"),
    (PIPELINE, USE_KEY, OTHER_KEY, DENIED, "other key"),
    (PIPELINE, "s3:PutObject s3:GetObject", "{folder}/Source/AbC.zip", REFUSED, HTTP, "plain http"),
    (PIPELINE, "s3:GetBucketVersioning", "{artifacts}", REFUSED, HTTP, "plain http"),
    (PIPELINE, "s3:PutObject s3:GetObject", "{folder}/Source/AbC.zip", REFUSED, TLS_1_1, "TLS 1.1"),
    (PIPELINE, DESTROY, "{folder}/Source/AbC.zip", DENIED),
    (PIPELINE, "s3:ListBucket s3:PutBucketPolicy s3:DeleteBucketPolicy s3:DeleteBucket", "{artifacts}", DENIED),
    (PIPELINE, RULE_KEY, "{key}", DENIED),
)

START_BUILD = rows(
    "start and watch build",
    (PIPELINE, "codebuild:StartBuild codebuild:BatchGetBuilds", "{project}", ALLOWED),
    (PIPELINE, "codebuild:StartBuild codebuild:BatchGetBuilds", "{project}-2", DENIED, "other project"),
    (PIPELINE, "codebuild:UpdateProject codebuild:DeleteProject", "{project}", DENIED),
    (PIPELINE, "iam:PassRole", "{build_role}", DENIED),
    (BUILD, "codebuild:StartBuild codebuild:UpdateProject", "{project}", DENIED),
)

WRITE_LOG = "logs:CreateLogStream logs:PutLogEvents"
RUN_BUILD = rows(
    "build",
    (BUILD, READ, "{folder}/Source/AbC.zip", ALLOWED, "input"),
    (BUILD, "s3:PutObject", "{folder}/Build/DeF", ALLOWED, "output"),
    (BUILD, BUCKET, "{artifacts}", ALLOWED),
    (BUILD, USE_KEY, "{key}", ALLOWED),
    (BUILD, WRITE_LOG, "{build_log}:log-stream:1b2c", ALLOWED, "log"),
    (BUILD, "s3:GetObject s3:PutObject", "{folder}-2/Source/AbC.zip", DENIED, "other folder"),
    (BUILD, "s3:GetObject s3:PutObject", OTHER_BUCKET + "/GitHubToEc2-Pipeline/AbC.zip", DENIED, "other bucket"),
    (BUILD, BUCKET, OTHER_BUCKET, DENIED, "other bucket"),
    (BUILD, "kms:Decrypt kms:GenerateDataKey", OTHER_KEY, DENIED, "other key"),
    (BUILD, "s3:GetObject s3:PutObject", "{folder}/Build/DeF", REFUSED, HTTP, "plain http"),
    (BUILD, "s3:PutObject", "{folder}/Build/DeF", REFUSED, TLS_1_1, "TLS 1.1"),
    (BUILD, f"{DESTROY} s3:PutObjectAcl", "{folder}/Build/DeF", DENIED),
    (BUILD, WRITE_LOG, "{emptier_log}:log-stream:1b2c", DENIED, "other log"),
    (BUILD, WRITE_LOG, "{build_log}-2:log-stream:1b2c", DENIED, "log with a longer name"),
    (BUILD, "logs:CreateLogGroup logs:DeleteLogGroup logs:PutRetentionPolicy", "{build_log}-2", DENIED),
    (BUILD, RULE_KEY, "{key}", DENIED),
    (BUILD, "codebuild:CreateReportGroup", arn("codebuild", "report-group/GitHubToEc2-Build-tests"), DENIED),
    (BUILD, "codedeploy:CreateDeployment", "{group}", DENIED, "no shortcut around the approval"),
    (BUILD, "codepipeline:PutApprovalResult", "{pipeline}/Production/Approve", DENIED, "not its own work"),
)

APPROVE = rows(
    "ask for approval",
    (PIPELINE, "sns:Publish", "{alerts}", ALLOWED),
    (PIPELINE, "kms:GenerateDataKey kms:Decrypt", "{key}", ALLOWED),
    (PIPELINE, "sns:Publish", "{alerts}-2", DENIED, "other topic"),
    (PIPELINE, "sns:Publish", "{alerts}", REFUSED, HTTP, "plain http"),
    (PIPELINE, "sns:Subscribe sns:SetTopicAttributes", "{alerts}", DENIED),
    (
        PIPELINE,
        "codepipeline:PutApprovalResult",
        "{pipeline}/Production/Approve",
        DENIED,
        "not its own work",
    ),
    (BUILD, "sns:Publish", "{alerts}", DENIED),
)

OF_GROUP = (
    "codedeploy:CreateDeployment codedeploy:GetDeployment codedeploy:GetDeploymentGroup codedeploy:ListDeployments"
)
OF_APPLICATION = (
    "codedeploy:GetApplication codedeploy:GetApplicationRevision codedeploy:ListDeploymentGroups "
    "codedeploy:RegisterApplicationRevision"
)
START_DEPLOYMENT = rows(
    "start and watch deployment",
    (PIPELINE, OF_GROUP, "{group}", ALLOWED),
    (PIPELINE, OF_APPLICATION, "{application}", ALLOWED),
    (PIPELINE, "codedeploy:GetDeploymentConfig", "{config}", ALLOWED),
    (PIPELINE, "codedeploy:ListDeploymentConfigs", "*", ALLOWED),
    (PIPELINE, OF_GROUP, "{codedeploy}:deploymentgroup:GitHubToEc2-Deployment/other", DENIED, "other group"),
    (PIPELINE, OF_GROUP, "{codedeploy}:deploymentgroup:other/GitHubToEc2-Deployment", DENIED, "group of another"),
    (PIPELINE, OF_APPLICATION, "{codedeploy}:application:other", DENIED, "other application"),
    (
        PIPELINE,
        "codedeploy:GetDeploymentConfig",
        "{codedeploy}:deploymentconfig:CodeDeployDefault.AllAtOnce",
        DENIED,
        "other config",
    ),
    (PIPELINE, "codedeploy:UpdateDeploymentGroup codedeploy:DeleteDeploymentGroup", "{group}", DENIED),
    (PIPELINE, "iam:PassRole", "{codedeploy_role}", DENIED),
)

DESCRIBE = (
    "cloudwatch:DescribeAlarms ec2:DescribeInstances ec2:DescribeInstanceStatus "
    "autoscaling:DescribeAutoScalingGroups autoscaling:DescribeAutoScalingInstances "
    "autoscaling:DescribeLifecycleHooks autoscaling:DescribeScalingActivities "
    "elasticloadbalancing:DescribeInstanceHealth elasticloadbalancing:DescribeLoadBalancerAttributes "
    "elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeTargetGroupAttributes "
    "elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth"
)
LIFECYCLE = (
    "autoscaling:CompleteLifecycleAction autoscaling:DeleteLifecycleHook autoscaling:PutLifecycleHook "
    "autoscaling:RecordLifecycleActionHeartbeat autoscaling:ResumeProcesses autoscaling:SuspendProcesses"
)
TRAFFIC = "elasticloadbalancing:RegisterTargets elasticloadbalancing:DeregisterTargets"
DEPLOY = rows(
    "deploy",
    (CODEDEPLOY, DESCRIBE, "*", ALLOWED),
    (CODEDEPLOY, LIFECYCLE, "{scaling_groups}:autoScalingGroupName/{scaling_group}", ALLOWED),
    (CODEDEPLOY, TRAFFIC, "{target_group}", ALLOWED),
    (CODEDEPLOY, LIFECYCLE, "{scaling_groups}:autoScalingGroupName/other", DENIED, "other scaling group"),
    (CODEDEPLOY, LIFECYCLE, "{scaling_groups}:autoScalingGroupName/{scaling_group}-2", DENIED, "longer name"),
    (CODEDEPLOY, TRAFFIC, arn("elasticloadbalancing", "targetgroup/other/0123456789abcdef"), DENIED, "other targets"),
    (
        CODEDEPLOY,
        "autoscaling:UpdateAutoScalingGroup autoscaling:DeleteAutoScalingGroup",
        "{scaling_groups}:autoScalingGroupName/{scaling_group}",
        DENIED,
    ),
    (CODEDEPLOY, "ec2:TerminateInstances ec2:RunInstances", arn("ec2", "instance/i-0123456789abcdef0"), DENIED),
    (CODEDEPLOY, "iam:PassRole", "{instance_role}", DENIED),
    (CODEDEPLOY, "s3:GetObject", "{folder}/Build/DeF", DENIED, "instances fetch, not the service"),
    (CODEDEPLOY, "sns:Publish", "{alerts}", DENIED),
)

CHANNELS = (
    "ssm:UpdateInstanceInformation ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel "
    "ssmmessages:OpenControlChannel ssmmessages:OpenDataChannel"
)
ON_THE_INSTANCE = rows(
    "fetch revision",
    (INSTANCE, READ, "{folder}/Build/DeF", ALLOWED),
    (INSTANCE, "kms:Decrypt", "{key}", ALLOWED),
    (INSTANCE, "s3:GetObject", AGENT + "/latestv2/install", ALLOWED, "agent"),
    (INSTANCE, "s3:GetObject", AGENT + "/latest/install", ALLOWED, "agent 1.x"),
    (INSTANCE, CHANNELS, "*", ALLOWED, "shell"),
    (INSTANCE, READ, "{folder}-2/Build/DeF", DENIED, "other folder"),
    (INSTANCE, READ, OTHER_BUCKET + "/GitHubToEc2-Pipeline/DeF", DENIED, "other bucket"),
    (INSTANCE, READ, "{fleet_logs}/alb/AWSLogs/111122223333/log.gz", DENIED, "access logs"),
    (INSTANCE, "kms:Decrypt", OTHER_KEY, DENIED, "other key"),
    (INSTANCE, "kms:Encrypt kms:GenerateDataKey", "{key}", DENIED),
    (INSTANCE, f"s3:PutObject {DESTROY}", "{folder}/Build/DeF", DENIED),
    (INSTANCE, "s3:ListBucket", "{artifacts}", DENIED),
    (INSTANCE, "s3:GetObject", "{folder}/Build/DeF", REFUSED, HTTP, "plain http"),
    (INSTANCE, "s3:GetObject", "{folder}/Build/DeF", REFUSED, TLS_1_1, "TLS 1.1"),
    (INSTANCE, "s3:GetObject", "arn:aws:s3:::aws-codedeploy-us-east-1/latest/install", DENIED, "agent elsewhere"),
    (INSTANCE, "ssm:GetParameter", arn("ssm", "parameter/password"), DENIED),
    (INSTANCE, "codedeploy:CreateDeployment", "{group}", DENIED),
    (INSTANCE, "autoscaling:TerminateInstanceInAutoScalingGroup", "{scaling_groups}:autoScalingGroupName/x", DENIED),
)

TELL = rows(
    "alarm",
    (ALARMS, "sns:Publish", "{alerts}", ALLOWED, of(ACCOUNT)),
    (ALARMS, "kms:GenerateDataKey kms:Decrypt", "{key}", ALLOWED, of(ACCOUNT)),
    (ALARMS, "kms:GenerateDataKey kms:Decrypt", "{key}", DENIED, of(STRANGER), "another account"),
    (ALARMS, "sns:Publish", "{alerts}", DENIED, of(STRANGER), "another account"),
    (ALARMS, "sns:Publish", "{alerts}", DENIED, "no account"),
    (ALARMS, "sns:Publish", "{alerts}", REFUSED, of(ACCOUNT) | HTTP, "plain http"),
    (ALARMS, "kms:Encrypt kms:CreateGrant", "{key}", DENIED),
    (ALARMS, "sns:Subscribe", "{alerts}", DENIED, of(ACCOUNT)),
    ("events.amazonaws.com", "sns:Publish", "{alerts}", DENIED, of(ACCOUNT)),
    ("events.amazonaws.com", "kms:GenerateDataKey kms:Decrypt", "{key}", DENIED),
)


def log_group(group_arn):
    return {"kms:EncryptionContext:aws:logs:arn": group_arn}


ENCRYPT_LOGS = "kms:Decrypt kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
OUR_GROUP, THEIR_GROUP = arn("logs", "log-group:build"), arn("logs", "log-group:build", account=STRANGER)
KEEP_LOGS = rows(
    "encrypt log",
    (LOGS, ENCRYPT_LOGS, "{key}", ALLOWED, log_group(OUR_GROUP)),
    (LOGS, ENCRYPT_LOGS, "{key}", DENIED, log_group(THEIR_GROUP), "another account"),
    (LOGS, ENCRYPT_LOGS, "{key}", DENIED, "no log group"),
    (LOGS, RULE_KEY, "{key}", DENIED, log_group(OUR_GROUP)),
    ("logs.us-east-1.amazonaws.com", "kms:Encrypt", "{key}", DENIED, log_group(OUR_GROUP), "another region"),
)

BALANCERS = source(arn("elasticloadbalancing", "loadbalancer/app/release/0123456789abcdef"))
OWNER = {"s3:x-amz-acl": "bucket-owner-full-control"}
OURS = source(arn("logs", "source"))
THEIRS = {
    "another account": source(arn("logs", "source", account=STRANGER), STRANGER),
    "false account": source(arn("logs", "source"), STRANGER),
    "false source": source(arn("logs", "source", account=STRANGER)),
}
DELIVER_LOGS = rows(
    "deliver log",
    (LOAD_BALANCER, "s3:PutObject", "{fleet_logs}/alb/AWSLogs/111122223333/log.gz", ALLOWED, BALANCERS),
    (LOAD_BALANCER, "s3:PutObject", "{fleet_logs}/alb/AWSLogs/444455556666/log.gz", DENIED, BALANCERS, "for others"),
    (
        LOAD_BALANCER,
        "s3:PutObject",
        "{fleet_logs}/alb/AWSLogs/111122223333/log.gz",
        DENIED,
        source(arn("elasticloadbalancing", "loadbalancer/app/x/1", account=STRANGER), STRANGER),
        "another account",
    ),
    (LOAD_BALANCER, "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", DENIED, BALANCERS, "other prefix"),
    (LOAD_BALANCER, "s3:PutObject", "{fleet_logs}/alb/AWSLogs/111122223333/log.gz", REFUSED, BALANCERS | HTTP, "http"),
    (LOAD_BALANCER, "s3:GetObject", "{fleet_logs}/alb/AWSLogs/111122223333/log.gz", DENIED, BALANCERS),
    (LOAD_BALANCER, "s3:PutObject", "{folder}/alb/AWSLogs/111122223333/log.gz", DENIED, BALANCERS, "other bucket"),
    (FLOW_LOGS, "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", ALLOWED, OURS | OWNER),
    (FLOW_LOGS, "s3:GetBucketAcl", "{fleet_logs}", ALLOWED, OURS),
    (FLOW_LOGS, "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", DENIED, OURS, "not ours to read"),
    *(
        (FLOW_LOGS, "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", DENIED, theirs | OWNER, note)
        for note, theirs in THEIRS.items()
    ),
    *((FLOW_LOGS, "s3:GetBucketAcl", "{fleet_logs}", DENIED, theirs, note) for note, theirs in THEIRS.items()),
    (FLOW_LOGS, f"s3:GetObject {DESTROY}", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", DENIED, OURS | OWNER),
    (FLOW_LOGS, "s3:DeleteBucketPolicy", "{fleet_logs}", DENIED, OURS),
    ("config.amazonaws.com", "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", DENIED, OURS | OWNER),
    ("config.amazonaws.com", "s3:GetBucketAcl", "{fleet_logs}", DENIED, OURS),
    (FLOW_LOGS, "s3:PutObject", "{fleet_logs}/vpc/AWSLogs/111122223333/log.gz", REFUSED, OURS | OWNER | TLS_1_1, "TLS"),
    (FLOW_LOGS, "s3:PutObject", "{fleet_logs}/alb/AWSLogs/111122223333/log.gz", DENIED, OURS | OWNER, "other prefix"),
    (FLOW_LOGS, "s3:PutObject", "{artifact_logs}/vpc/AWSLogs/111122223333/x", DENIED, OURS | OWNER, "other bucket"),
    (ACCESS_LOGS, "s3:PutObject", "{artifact_logs}/artifacts/2026-01-01", ALLOWED, of(ACCOUNT)),
    (ACCESS_LOGS, "s3:PutObject", "{artifact_logs}/artifacts/2026-01-01", DENIED, of(STRANGER), "another account"),
    (ACCESS_LOGS, "s3:PutObject", "{artifact_logs}/2026-01-01", DENIED, of(ACCOUNT), "other prefix"),
    (ACCESS_LOGS, "s3:PutObject", "{fleet_logs}/artifacts/2026-01-01", DENIED, of(ACCOUNT), "other bucket"),
    (ACCESS_LOGS, "s3:PutObject", "{artifact_logs}/artifacts/2026-01-01", REFUSED, of(ACCOUNT) | HTTP, "plain http"),
    (ACCESS_LOGS, "s3:PutObject", "{artifact_logs}/artifacts/2026-01-01", REFUSED, of(ACCOUNT) | TLS_1_1, "TLS 1.1"),
    (ACCESS_LOGS, f"s3:GetObject {DESTROY}", "{artifact_logs}/artifacts/2026-01-01", DENIED, of(ACCOUNT)),
    ("config.amazonaws.com", "s3:PutObject", "{artifact_logs}/artifacts/2026-01-01", DENIED, of(ACCOUNT), "access log"),
)


def assume(role, service, ours, other):
    """Only on behalf of the one resource that the role was made for."""
    principal = f"{service}.amazonaws.com"
    mine, others, theirs = arn(service, ours), arn(service, other), arn(service, ours, account=STRANGER)
    return rows(
        f"assume role of {ROLES[role]}",
        (principal, "sts:AssumeRole", f"{{{ROLES[role]}_role}}", ALLOWED, source(mine)),
        (principal, "sts:AssumeRole", f"{{{ROLES[role]}_role}}", DENIED, source(others), "for another one"),
        (principal, "sts:AssumeRole", f"{{{ROLES[role]}_role}}", DENIED, source(theirs, STRANGER), "another account"),
        (principal, "sts:AssumeRole", f"{{{ROLES[role]}_role}}", DENIED, source(mine, STRANGER), "false account"),
        (principal, "sts:AssumeRole", f"{{{ROLES[role]}_role}}", DENIED, "for nobody in particular"),
        (principal, "sts:TagSession", f"{{{ROLES[role]}_role}}", DENIED, source(mine)),
        ("ec2.amazonaws.com", "sts:AssumeRole", f"{{{ROLES[role]}_role}}", DENIED, source(mine), "other service"),
    )


ASSUME = (
    *assume(PIPELINE, "codepipeline", "GitHubToEc2-Pipeline", "GitHubToEc2-Pipeline-2"),
    *assume(BUILD, "codebuild", "project/GitHubToEc2-Build", "project/GitHubToEc2-Build-2"),
    *assume(
        CODEDEPLOY,
        "codedeploy",
        "deploymentgroup:GitHubToEc2-Deployment/GitHubToEc2-Deployment",
        "deploymentgroup:GitHubToEc2-Deployment/other",
    ),
    # EC2 and Lambda name no source when they assume a role.
    *rows(
        "assume other roles",
        ("ec2.amazonaws.com", "sts:AssumeRole", "{instance_role}", ALLOWED),
        ("ec2.amazonaws.com", "sts:TagSession", "{instance_role}", DENIED),
        ("ssm.amazonaws.com", "sts:AssumeRole", "{instance_role}", DENIED),
        ("lambda.amazonaws.com", "sts:AssumeRole", "{emptier_role}", ALLOWED),
        ("lambda.amazonaws.com", "sts:TagSession", "{emptier_role}", DENIED),
        ("ec2.amazonaws.com", "sts:AssumeRole", "{emptier_role}", DENIED),
    ),
)

LOOK_AND_CLOSE = "s3:GetBucketPolicy s3:PutBucketPolicy s3:ListBucketVersions s3:ListBucketMultipartUploads"
REMOVE = f"{DESTROY} s3:AbortMultipartUpload"
EMPTY = rows(
    "empty bucket",
    *((EMPTIER, LOOK_AND_CLOSE, f"{{{bucket}}}", ALLOWED, bucket) for bucket in ("artifacts", "artifact_logs")),
    *((EMPTIER, REMOVE, f"{{{bucket}}}/any/thing", ALLOWED, bucket) for bucket in ("artifacts", "artifact_logs")),
    (EMPTIER, LOOK_AND_CLOSE, "{fleet_logs}", ALLOWED, "fleet_logs"),
    (EMPTIER, REMOVE, "{fleet_logs}/any/thing", ALLOWED, "fleet_logs"),
    (EMPTIER, WRITE_LOG, "{emptier_log}:log-stream:1b2c", ALLOWED),
    (EMPTIER, LOOK_AND_CLOSE, OTHER_BUCKET, DENIED, "other bucket"),
    (EMPTIER, REMOVE, OTHER_BUCKET + "/any/thing", DENIED, "other bucket"),
    (EMPTIER, LOOK_AND_CLOSE, "{artifacts}-2", DENIED, "longer name"),
    (EMPTIER, REMOVE, "{artifacts}/any/thing", REFUSED, HTTP, "plain http"),
    (EMPTIER, "s3:GetObject s3:PutObject", "{artifacts}/any/thing", DENIED),
    (EMPTIER, "s3:DeleteBucket s3:DeleteBucketPolicy", "{artifacts}", DENIED, "CloudFormation does that"),
    (EMPTIER, "kms:Decrypt", "{key}", DENIED),
    (EMPTIER, WRITE_LOG, "{build_log}:log-stream:1b2c", DENIED, "other log"),
)

TABLE = [
    *FETCH_SOURCE,
    *STORE_ARTIFACT,
    *START_BUILD,
    *RUN_BUILD,
    *APPROVE,
    *START_DEPLOYMENT,
    *DEPLOY,
    *ON_THE_INSTANCE,
    *TELL,
    *KEEP_LOGS,
    *DELIVER_LOGS,
    *ASSUME,
    *EMPTY,
]

# Why AWS offers nothing narrower, for each wildcard that a role is allowed. One more is a decision, made here.
WILDCARDS = {
    ("PipelineRolePolicyD1049CB2", "<ArtifactsBucket88671897.Arn>/GitHubToEc2-Pipeline/*"): "named at run time",
    ("PipelineRolePolicyD1049CB2", "*"): "codedeploy:ListDeploymentConfigs has no resource-level permissions",
    ("BuildRolePolicyF566DC39", "<ArtifactsBucket88671897.Arn>/GitHubToEc2-Pipeline/*"): "named at run time",
    ("DeploymentRolePolicy101CEC8E", "*"): "Describe actions have no resource-level permissions",
    ("DeploymentRolePolicyForGroupsea7b968dE4DB9646", "*"): "Describe actions have no resource-level permissions",
    (
        "DeploymentRolePolicyForGroupsea7b968dE4DB9646",
        "arn:<AWS::Partition>:autoscaling:<AWS::Region>:<AWS::AccountId>"
        ":autoScalingGroup:*:autoScalingGroupName/<FleetAutoScalingGroupASGDF45BDA5>",
    ): "a random id in front of the name",
    ("FleetRolePolicyD86A18A0", "<ArtifactsBucket88671897.Arn>/GitHubToEc2-Pipeline/*"): "named at run time",
    ("FleetRolePolicyD86A18A0", "*"): "Session Manager's channels have no ARN",
    ("FleetRolePolicyD86A18A0", "arn:<AWS::Partition>:s3:::aws-codedeploy-<AWS::Region>/*"): "AWS's own files",
}

# Actions that AWS could allow on less than `*`, and why they are not.
ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES = {
    "cloudwatch:DescribeAlarms": "returns composite alarms only to who may describe all",
    "ssm:UpdateInstanceInformation": "the instance's id is not known before its role; AWS's own example has `*`",
}


@pytest.fixture(scope="module")
def template():
    stack = GitHubToEc2(App(analytics_reporting=False), "GitHubToEc2", repository="acme/shop")
    return synthesized(stack)


@pytest.fixture(scope="module")
def release(template):
    delegated = {"Effect": "Allow", "Principal": {"AWS": arn("iam", "root", region=False)}, "Action": "kms:*"}
    return Simulation(template, {OTHER_KEY: {"Statement": [{**delegated, "Resource": "*"}]}})


@pytest.fixture(scope="module")
def named(template):
    return places(Physical(template))


@pytest.mark.parametrize(("who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(release, named, who, action, resource, context, expected):
    assert release.ask(who, action, resource.format_map(named), context) == expected


def test_rows_ask_what_aws_asks_and_each_once(named):
    wrong = [row.id for row in TABLE if not takes(row.values[1], row.values[2].format_map(named))]
    assert wrong == []
    assert [name for name, count in Counter(row.id for row in TABLE).items() if count > 1] == []


def test_no_role_may_do_what_no_step_of_a_release_needs(template):
    physical = Physical(template)
    attached = {
        policy["Ref"]: role
        for role, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"]["ManagedPolicyArns"]
    }
    attached |= {
        policy: role["Ref"]
        for policy, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
        for role in resource["Properties"].get("Roles", ())
    }
    granted = {(attached[grant.policy], action) for grant in grants_of(template) for action in grant.actions}
    granted |= {
        (statement["Principal"]["AWS"]["Fn::GetAtt"][0], action)
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::S3::BucketPolicy"
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and "AWS" in statement["Principal"]
        for action in statement["Action"]
    }
    needed = {(row.values[0], row.values[1]) for row in TABLE if row.values[4] == ALLOWED and row.values[0] in ROLES}
    assert granted == needed
    assert {physical.ref(role) for role in attached.values()} == {physical.ref(role) for role in ROLES}


def test_no_action_is_allowed_on_a_kind_of_resource_that_it_does_not_have(template):
    dead = [
        f"{grant.policy}: {action}"
        for grant in grants_of(template)
        for action in grant.actions
        if "*" not in grant.resources and not any(takes(action, resource) for resource in grant.resources)
    ]
    assert dead == []


def test_everything_is_allowed_only_where_aws_knows_nothing_narrower(template):
    wide = {action for grant in grants_of(template) if "*" in grant.resources for action in grant.actions}
    assert {action for action in wide if has_resources(action)} == set(ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES)


def test_wildcards_are_these_and_no_others(template):
    found = {
        (name, text_of(resource))
        for name, statement in statements_of(template["Resources"])
        if statement["Effect"] == "Allow"
        for resource in listed(statement["Resource"])
        if "*" in text_of(resource)
    }
    assert found == set(WILDCARDS)


def test_actions_are_named_in_full(template):
    assert [action for grant in grants_of(template) for action in grant.actions if "*" in action] == []


def test_no_token_is_left_in_a_policy(template):
    documents = [
        resource["Properties"][name]
        for resource in template["Resources"].values()
        for name in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")
        if name in resource.get("Properties", {})
    ]
    assert len(documents) > 10
    assert "${Token[" not in str(documents)


# Controls: a check that cannot fail proves nothing.

KEY = arn("kms", "key/1")
ROOT = {"AWS": arn("iam", "root", region=False)}


def account(*statements, policy=None, resource=KEY):
    """An account with one role, and perhaps one resource with a policy."""
    role = {
        "AssumeRolePolicyDocument": {"Statement": []},
        "Policies": [{"PolicyName": "Inline", "PolicyDocument": {"Statement": list(statements)}}],
    }
    template = {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}}
    return Simulation(template, {resource: {"Statement": policy}} if policy is not None else None)


def statement(action, resource="*", effect="Allow", **more):
    names = {"Action": action, "Resource": resource}
    return {"Effect": effect, **{key: value for key, value in names.items() if value is not None}, **more}


@pytest.mark.parametrize(
    ("allowed", "context", "expected"),
    [
        pytest.param(statement("s3:Get*"), {}, ALLOWED, id="wildcard in an action"),
        pytest.param(statement("S3:getOBJECT"), {}, ALLOWED, id="actions in any case"),
        pytest.param(statement("s3:Put*"), {}, DENIED, id="wildcard in another action"),
        pytest.param(statement(None, NotAction="s3:Put*"), {}, ALLOWED, id="NotAction of another"),
        pytest.param(statement(None, NotAction="s3:Get*"), {}, DENIED, id="NotAction of this"),
        pytest.param(statement("s3:GetObject", "arn:aws:s3:::b/in/*"), {}, ALLOWED, id="wildcard in a resource"),
        pytest.param(statement("s3:GetObject", "arn:aws:s3:::b/i?/x"), {}, ALLOWED, id="one character"),
        pytest.param(statement("s3:GetObject", "arn:aws:s3:::b/?/x"), {}, DENIED, id="too few characters"),
        pytest.param(statement("s3:GetObject", "arn:aws:s3:::B/in/*"), {}, DENIED, id="resources in their own case"),
        pytest.param(statement("s3:GetObject", "arn:aws:s3:::b"), {}, DENIED, id="bucket for an object"),
        pytest.param(statement("s3:GetObject", None, NotResource="arn:aws:s3:::c/*"), {}, ALLOWED, id="NotResource"),
        pytest.param(
            statement("s3:GetObject", None, NotResource="arn:aws:s3:::b/*"), {}, DENIED, id="NotResource of it"
        ),
    ],
)
def test_control_of_matching(allowed, context, expected):
    assert account(allowed).ask("Role", "s3:GetObject", "arn:aws:s3:::b/in/x", context) == expected


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"a:b": "x"}}, {"a:b": "x"}, ALLOWED),
        ({"StringEquals": {"a:b": ["w", "x"]}}, {"A:B": "x"}, ALLOWED),
        ({"StringEquals": {"a:b": "x"}}, {"a:b": "X"}, DENIED),
        ({"StringEquals": {"a:b": "x*"}}, {"a:b": "xy"}, DENIED),
        ({"StringEquals": {"a:b": "x"}}, {}, DENIED),
        ({"StringEquals": {"a:b": "x", "a:c": "y"}}, {"a:b": "x"}, DENIED),
        ({"StringEqualsIfExists": {"a:b": "x"}}, {"a:b": "x"}, ALLOWED),
        ({"StringEqualsIfExists": {"a:b": "x"}}, {"a:b": "y"}, DENIED),
        ({"StringEqualsIfExists": {"a:b": "x"}}, {}, ALLOWED),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:1:*"}}, {"aws:SourceArn": KEY}, DENIED),
        ({"ArnLike": {"aws:SourceArn": arn("kms", "*")}}, {"aws:SourceArn": KEY}, ALLOWED),
        ({"ArnLike": {"aws:SourceArn": arn("kms", "*")}}, {}, DENIED),
        ({"Bool": {"aws:SecureTransport": "false"}}, HTTP, ALLOWED),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, DENIED),
        ({"NumericLessThan": {"s3:TlsVersion": 1.2}}, TLS_1_1, ALLOWED),
        ({"NumericLessThan": {"s3:TlsVersion": 1.2}}, {"s3:TlsVersion": "1.2"}, DENIED),
        ({"NumericLessThan": {"s3:TlsVersion": 1.2}}, {}, DENIED),
        ({"StringEquals": {"a:b": "x"}, "Bool": {"aws:SecureTransport": "true"}}, {"a:b": "x"} | HTTP, DENIED),
    ],
)
def test_control_of_conditions(condition, context, expected):
    conditional = statement("s3:GetObject", Condition=condition)
    assert account(conditional).ask("Role", "s3:GetObject", "arn:aws:s3:::b/x", context) == expected


@pytest.mark.parametrize(
    ("identity", "resource", "expected"),
    [
        pytest.param([statement("s3:*")], None, ALLOWED, id="identity alone"),
        pytest.param([], [statement("s3:*", Principal={"AWS": "ROLE"})], ALLOWED, id="resource alone, role named"),
        pytest.param([], [statement("s3:*", Principal=ROOT)], DENIED, id="resource alone, account named"),
        pytest.param([], [statement("s3:*", Principal={"Service": "ec2.amazonaws.com"})], DENIED, id="service named"),
        pytest.param([statement("s3:*"), statement("s3:Get*", effect="Deny")], None, REFUSED, id="identity denies"),
        pytest.param([statement("s3:*")], [statement("s3:*", effect="Deny", Principal="*")], REFUSED, id="anybody"),
        pytest.param(
            [statement("s3:*")], [statement("s3:*", effect="Deny", Principal={"AWS": "*"})], REFUSED, id="any principal"
        ),
        pytest.param(
            [statement("s3:*", effect="Deny")],
            [statement("s3:*", Principal={"AWS": "ROLE"})],
            REFUSED,
            id="identity denies what the resource allows",
        ),
        pytest.param([], [], DENIED, id="nobody says anything"),
    ],
)
def test_control_of_identity_and_bucket(identity, resource, expected):
    role = account().physical.attribute("Role", "Arn")
    named = [
        {**one, "Principal": {"AWS": role}} if one["Principal"] == {"AWS": "ROLE"} else one for one in resource or ()
    ]
    simulation = account(*identity, policy=named if resource is not None else None, resource="arn:aws:s3:::b")
    assert simulation.ask("Role", "s3:GetObject", "arn:aws:s3:::b/x") == expected


@pytest.mark.parametrize(
    ("identity", "key_policy", "expected"),
    [
        ([statement("kms:Decrypt")], [statement("kms:*", Principal=ROOT)], ALLOWED),
        ([], [statement("kms:*", Principal=ROOT)], DENIED),
        ([statement("kms:Decrypt")], [], DENIED),
        ([statement("kms:Decrypt")], [statement("kms:Encrypt", Principal=ROOT)], DENIED),
        ([statement("kms:Encrypt")], [statement("kms:*", Principal=ROOT)], DENIED),
        ([statement("kms:Decrypt")], [statement("kms:*", effect="Deny", Principal="*")], REFUSED),
    ],
)
def test_control_of_identity_and_key(identity, key_policy, expected):
    assert account(*identity, policy=key_policy).ask("Role", "kms:Decrypt", KEY) == expected


def test_control_of_services():
    topic = arn("sns", "t")
    ours = statement(
        "sns:Publish", topic, Principal={"Service": ALARMS}, Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    )
    closed = statement("sns:*", topic, "Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    simulation = account(policy=[ours, closed], resource=topic)
    assert simulation.ask(ALARMS, "sns:Publish", topic, of(ACCOUNT)) == ALLOWED
    assert simulation.ask(ALARMS, "sns:Publish", topic, of(STRANGER)) == DENIED
    assert simulation.ask(ALARMS, "sns:Publish", topic, of(ACCOUNT) | HTTP) == REFUSED
    assert simulation.ask("events.amazonaws.com", "sns:Publish", topic, of(ACCOUNT)) == DENIED
    # A key that is open to its account is not open to services.
    open_key = account(policy=[statement("kms:*", Principal=ROOT)])
    assert open_key.ask(ALARMS, "kms:Decrypt", KEY, of(ACCOUNT)) == DENIED


@pytest.mark.parametrize(
    "unfit",
    [
        pytest.param(statement("s3:*", Condition={"StringNotLike": {"a:b": "x"}}), id="operator without a control"),
        pytest.param(statement("s3:*", Condition={"Bool": {"aws:PrincipalArn": "x"}}), id="key with another value"),
        pytest.param(statement("s3:*", effect="Deny", NotPrincipal={"AWS": "x"}), id="NotPrincipal"),
        pytest.param(statement("s3:*", {"Fn::ImportValue": "x"}), id="resource that is no string"),
        pytest.param(statement("s3:*", "arn:aws:s3:::b/${aws:username}"), id="policy variable"),
        pytest.param(statement("s3:*", "arn:aws:sns:*:1:t"), id="wildcard before the last part"),
        pytest.param(statement("s3:*", "arn:aws:s3*"), id="unfinished ARN"),
        pytest.param(statement(None), id="no action"),
        pytest.param(statement("s3:*", effect="allow"), id="effect in lower case"),
    ],
)
def test_control_of_what_the_evaluator_cannot_tell(unfit):
    with pytest.raises(ValueError, match=r"."):
        checked({"Statement": [unfit]})


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nowhere"},
        {"Ref": "Other"},
        {"Fn::GetAtt": ["Bucket", "WebsiteURL"]},
        {"Fn::ImportValue": "x"},
        {"Fn::Join": ["", [{"Fn::FindInMap": ["Map", "a", "b"]}]]},
    ],
)
def test_control_of_names_that_are_not_known(value):
    physical = Physical({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "Other": {"Type": "AWS::Other::Thing"}}})
    with pytest.raises(LookupError):
        physical.resolve(value)


def test_control_of_names_that_are_known():
    physical = Physical({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    name = physical.ref("Bucket")
    in_any_spelling = [
        {"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/", {"Ref": "AWS::AccountId"}]]},
        {"Fn::Sub": "${Bucket.Arn}/${AWS::AccountId}"},
        {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${B}/${AWS::AccountId}", {"B": {"Ref": "Bucket"}}]},
    ]
    assert {physical.resolve(value) for value in in_any_spelling} == {f"arn:aws:s3:::{name}/{ACCOUNT}"}
    assert physical.resolve({"Fn::Sub": "${!AWS}"}) == "${AWS}"


def with_policy(policy_type="AWS::IAM::Policy", role=None, **properties):
    document = {"PolicyDocument": {"Statement": [statement("s3:GetObject")]}}
    trust: dict[str, Any] = {"AssumeRolePolicyDocument": {"Statement": []}}
    return {
        "Resources": {
            "Policy": {"Type": policy_type, "Properties": document | properties},
            "Role": {"Type": "AWS::IAM::Role", "Properties": trust | (role or {})},
        }
    }


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(with_policy(), DENIED, id="attached to nobody"),
        pytest.param(with_policy(Roles=[{"Ref": "Role"}]), ALLOWED, id="policy names role"),
        pytest.param(
            with_policy("AWS::IAM::ManagedPolicy", Roles=[{"Ref": "Role"}]), ALLOWED, id="managed, names role"
        ),
        pytest.param(with_policy("AWS::IAM::RolePolicy", RoleName={"Ref": "Role"}), ALLOWED, id="policy of role"),
        pytest.param(
            with_policy("AWS::IAM::ManagedPolicy", {"ManagedPolicyArns": [{"Ref": "Policy"}]}),
            ALLOWED,
            id="role names it",
        ),
    ],
)
def test_control_of_attached_policies(template, expected):
    assert Simulation(template).ask("Role", "s3:GetObject", "arn:aws:s3:::b/x") == expected


@pytest.mark.parametrize(
    "role", [{"ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}, {"PermissionsBoundary": "arn:…"}]
)
def test_control_of_policies_that_are_not_in_the_template(role):
    with pytest.raises(LookupError):
        Simulation(with_policy(role=role))


def test_control_of_who_is_asked():
    with pytest.raises(LookupError):
        account().ask("Roel", "s3:GetObject", "arn:aws:s3:::b/x")
    with pytest.raises(LookupError):
        account(statement("kms:*")).ask("Role", "kms:Decrypt", KEY)


@given(st.text("ABCabc019-/_.*", min_size=1, max_size=30))
def test_control_no_other_object_key_slips_through(key):
    one_folder = account(statement("s3:GetObject", "arn:aws:s3:::b/A/*"))
    expected = ALLOWED if key.startswith("A/") else DENIED
    assert one_folder.ask("Role", "s3:GetObject", f"arn:aws:s3:::b/{key}") == expected
