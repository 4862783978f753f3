"""Every deploy action in one pipeline: configured as its page says, with what its role needs and nothing else."""

import json
from typing import Any

import pytest
from aws_cdk import CfnCapabilities, Duration, Environment, Stack
from aws_cdk import aws_appconfig as appconfig
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_servicecatalog as servicecatalog
from botocore.validate import validate_parameters
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import ArtifactStore, Statement
from code_family_constructs.deploy.to_app_config import AppConfigDeployment
from code_family_constructs.deploy.to_cloudformation import StackDeletion, StackDeployment
from code_family_constructs.deploy.to_ec2_instances import Ec2InstancesDeployment
from code_family_constructs.deploy.to_ecs_rolling import EcsRollingDeployment
from code_family_constructs.deploy.to_eks import EksDeployment
from code_family_constructs.deploy.to_elastic_beanstalk import ElasticBeanstalkDeployment
from code_family_constructs.deploy.to_s3 import S3Deployment, WebsiteDeployment
from code_family_constructs.deploy.to_service_catalog import ServiceCatalogDeployment
from code_family_constructs.deploy.to_stack_set import (
    OperationPreferences,
    ServiceManagedPermissions,
    StackInstancesDeployment,
    StackSetDeployment,
    StackSetTargets,
)
from code_family_constructs.local.framework import service_model, to_structure
from code_family_constructs.testing import statements_of, text_of
from tests.deploy.action_stage import PIPELINE, a_pipeline, stage
from tests.helpers import allowed, of_type, only
from tests.stacks.review import Review, assert_both_packs_find_nothing

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TARGET_GROUP = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/1a2b3c4d5e6f7a8b"
ROLE = iam.Role.from_role_arn
DELETE = Statement(actions=["lambda:DeleteFunction"], resources=[f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:greeter"])


def of_storage(stack: Stack) -> dict[str, Any]:
    bucket = s3.Bucket.from_bucket_attributes(
        stack, "Site", bucket_name="shop-site", encryption_key=kms.Key.from_key_arn(stack, "SiteKey", KEY)
    )
    archive = s3.Bucket.from_bucket_name(stack, "Archive", "shop-archive")
    distribution = cloudfront.Distribution.from_distribution_attributes(
        stack, "Distribution", distribution_id="E1ABCDEF", domain_name="d1.cloudfront.net"
    )
    return {
        "Archive": S3Deployment(bucket=archive, extract=False, object_key="shop/{datetime}.zip"),
        "Public": S3Deployment(
            bucket=archive, object_key="public", access_control=s3.BucketAccessControl.BUCKET_OWNER_FULL_CONTROL
        ),
        "Website": WebsiteDeployment(
            stack,
            "Website",
            bucket=bucket,
            distribution=distribution,
            paths=["/index.html", "/pages/*"],
            cache_control=[actions.CacheControl.set_public(), actions.CacheControl.max_age(Duration.minutes(5))],
        ),
    }


def of_stack_sets(stack: Stack) -> dict[str, Any]:
    baseline = StackSetDeployment(
        stack,
        "Baseline",
        stack_set_name="baseline",
        template_path="templates/baseline.json",
        targets=StackSetTargets(accounts=["222233334444"], regions=["eu-west-1", "us-east-1"]),
        description="What each account has",
        parameters={"Stage": "canary", "Retention": "30"},
        preferences=OperationPreferences(
            failure_tolerance_percentage=0,
            max_concurrent_percentage=25,
            region_concurrency="Parallel",
            concurrency_mode="SOFT_FAILURE_TOLERANCE",
        ),
    )
    return {
        "StackSet": baseline,
        "Instances": StackInstancesDeployment(
            stack_set=baseline,
            targets=StackSetTargets(accounts=["333344445555", "444455556666"], regions=["eu-west-1"]),
            parameter_overrides_path="config/production.json",
        ),
        "Organization": StackSetDeployment(
            stack,
            "Guardrails",
            stack_set_name="guardrails",
            template_path="templates/guardrails.json",
            permissions=ServiceManagedPermissions(
                auto_deployment=actions.StackSetOrganizationsAutoDeployment.ENABLED_WITH_STACK_RETENTION,
                management_account="999988887777",
            ),
            capabilities=[CfnCapabilities.NAMED_IAM],
        ),
    }


def of_compute(stack: Stack) -> dict[str, Any]:
    vpc = ec2.Vpc.from_vpc_attributes(stack, "Vpc", vpc_id="vpc-1", availability_zones=["eu-west-1a"])
    subnet = ec2.Subnet.from_subnet_attributes(stack, "Subnet", subnet_id="subnet-1", route_table_id="rtb-1")
    service = ecs.FargateService.from_fargate_service_attributes(
        stack,
        "Service",
        service_name="web",
        cluster=ecs.Cluster.from_cluster_attributes(stack, "Ecs", cluster_name="shop", vpc=vpc, security_groups=[]),
    )
    definition = ecs.FargateTaskDefinition.from_fargate_task_definition_attributes(
        stack,
        "TaskDefinition",
        task_definition_arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/web:7",
        network_mode=ecs.NetworkMode.AWS_VPC,
        task_role=ROLE(stack, "TaskRole", f"arn:aws:iam::{ACCOUNT}:role/task"),
        execution_role=ROLE(stack, "ExecutionRole", f"arn:aws:iam::{ACCOUNT}:role/execution"),
    )
    cluster = eks.Cluster.from_cluster_attributes(stack, "Eks", cluster_name="kube")
    private = EksDeployment(
        stack,
        "Chart",
        cluster=cluster,
        helm_release_name="shop",
        helm_chart_location="charts/shop",
        helm_values_files=["values.yaml", "production.yaml"],
        namespace="shop",
        environment={"IMAGE_TAG": "#{SourceVariables.CommitId}"},
        subnets=[subnet],
        security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")],
    )
    private.let_in(ROLE(stack, "Pipelines", f"arn:aws:iam::{ACCOUNT}:role/pipeline"))
    fleet: dict[str, Any] = {
        "instance_tag_key": "Role",
        "instance_roles": [ROLE(stack, "WebRole", f"arn:aws:iam::{ACCOUNT}:role/web")],
    }
    return {
        "Ecs": EcsRollingDeployment(
            service=service,
            task_definition=definition,
            file_name="out/imagedefinitions.json",
            deployment_timeout=Duration.minutes(15),
        ),
        "Scripts": Ec2InstancesDeployment(
            stack,
            "Scripts",
            **fleet,
            instance_tag_value="web",
            target_directory="/srv/shop",
            pre_script="scripts/stop.sh",
            post_script="scripts/start.sh",
            max_batch=actions.Ec2MaxInstances.percentage(50),
            max_error=actions.Ec2MaxInstances.targets(1),
            target_groups=[
                elbv2.ApplicationTargetGroup.from_target_group_attributes(
                    stack, "TargetGroup", target_group_arn=TARGET_GROUP
                )
            ],
        ),
        "Spec": Ec2InstancesDeployment(
            stack,
            "Spec",
            instance_tag_key="Role",
            instance_roles=[],
            instance_type=actions.Ec2InstanceType.SSM_MANAGED_NODE,
            deploy_spec="deployspec.yaml",
        ),
        "Chart": private,
        "Manifests": EksDeployment(
            stack, "Manifests", cluster=cluster, manifest_files=["deploy/web.yaml", "deploy/worker.yaml"]
        ),
    }


def of_platforms(stack: Stack) -> dict[str, Any]:
    application = appconfig.Application.from_application_id(stack, "Application", "app1234")
    environment = appconfig.Environment.from_environment_attributes(
        stack, "Production", application=application, environment_id="env5678"
    )
    product = servicecatalog.Product.from_product_arn(
        stack, "Product", f"arn:aws:catalog:{REGION}:{ACCOUNT}:product/prod-abcdef123"
    )
    return {
        "Configuration": AppConfigDeployment(
            stack,
            "Settings",
            environment=environment,
            configuration_path="config/settings.json",
            deployment_strategy=appconfig.DeploymentStrategy.from_deployment_strategy_id(
                stack,
                "Strategy",
                appconfig.DeploymentStrategyId.CANARY_10_PERCENT_20_MINUTES,
            ),
            validators=[appconfig.JsonSchemaValidator.from_inline('{"type": "object"}')],
        ),
        "Beanstalk": ElasticBeanstalkDeployment(application_name="Shop", environment_name="shop-production"),
        "Product": ServiceCatalogDeployment(
            product=product,
            template_path="products/bucket.json",
            version_name="#{SourceVariables.CommitId}",
            version_description="#{SourceVariables.CommitMessage}",
        ),
        "ProductFile": ServiceCatalogDeployment(product=product, configuration_path="product.json"),
        "Update": StackDeployment(
            stack,
            "Update",
            stack_name="Shop",
            template_path="shop.json",
            template_configuration="shop.config.json",
            deployment_role=ROLE(stack, "Deployer", f"arn:aws:iam::{ACCOUNT}:role/deployer"),
            action_mode="REPLACE_ON_FAILURE",
        ),
        "Deletion": StackDeletion(stack, "Deletion", stack_name="Shop-Test", statements=[DELETE]),
    }


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    def make(app):
        stack = Stack(app, "Shop", env=Environment(account=ACCOUNT, region=REGION))
        deployments = {
            **of_storage(stack),
            **of_stack_sets(stack),
            **of_compute(stack),
            **of_platforms(stack),
        }
        store = ArtifactStore(stack, "Store")
        a_pipeline(stack, deployments, bucket=store.bucket)
        return stack

    return Review(make, tmp_path_factory.mktemp("actions"))


@pytest.fixture(scope="module")
def template(review):
    return review.template


def configuration(template, name, provider):
    """Settings of the one action of the stage, or of its last one."""
    action = stage(template, name)[-1]
    assert action["ActionTypeId"] == {
        "Category": "Invoke" if provider == "Lambda" else "Deploy",
        "Owner": "AWS",
        "Provider": provider,
        "Version": "1",
    }
    return action["Configuration"]


def arn(service, resource, region=REGION, account=ACCOUNT):
    return f"arn:<AWS::Partition>:{service}:{region}:{account}:{resource}"


def said(template, policy):
    """What a policy allows, with account and region as the stack has them."""
    return set(map(located, allowed(template, policy)))


def located(text):
    return text.replace("<AWS::Region>", REGION).replace("<AWS::AccountId>", ACCOUNT)


def needs(template, name):
    return said(template, f"{name}Permissions")


def conditions(template, name):
    """Conditions by the actions that they are for."""
    return {
        action: json.loads(located(json.dumps(deployed(statement["Condition"]))))
        for policy, statement in statements_of(template["Resources"])
        if policy.startswith(f"{name}Permissions") and "Condition" in statement
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


LOG = arn("logs", f"log-group:/aws/codepipeline/{PIPELINE}")
# CloudWatch Logs wants CreateLogGroup allowed on `<group>:log-stream:`.
WRITE_LOG = {
    f"logs:{name} on {LOG}{end}" for name in ("CreateLogGroup", "CreateLogStream", "PutLogEvents") for end in ("", ":*")
}


def test_codepipeline_knows_each_action_and_each_of_its_properties(template):
    shape = service_model("codepipeline").shape_for("StageDeclaration")
    for each in only(template, "AWS::CodePipeline::Pipeline")["Stages"]:
        structure = to_structure("codepipeline", "StageDeclaration", deployed(each))
        assert len(structure["actions"]) == len(each["Actions"])
        validate_parameters(structure, shape)


def deployed(value):
    """With a text in place of what CloudFormation fills in."""
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _}:
            return text_of(value)
        case dict():
            return {key: deployed(item) for key, item in value.items()}
        case list():
            return [deployed(item) for item in value]
        case _:
            return value


def test_each_setting_is_a_text_that_codepipeline_takes(template):
    for each in only(template, "AWS::CodePipeline::Pipeline")["Stages"][1:]:
        for action in each["Actions"]:
            for value in action["Configuration"].values():
                assert not isinstance(value, str) or 1 <= len(value) <= 1000


def test_the_template_is_one_that_cloudformation_takes(review):
    problems = lint_file(review.template_file, ManualArgs(regions=[REGION], ignore_checks=["W3005"]))
    assert [str(each) for each in problems if each.rule.id[0] in "EW"] == []


def test_both_packs_find_nothing(review):
    assert_both_packs_find_nothing(review)


def test_one_object_goes_to_one_key(template):
    assert configuration(template, "Archive", "S3") == {
        "BucketName": "shop-archive",
        "Extract": "false",
        "ObjectKey": "shop/{datetime}.zip",
    }
    bucket = "arn:aws:s3:::shop-archive"
    assert needs(template, "Archive") == {
        f"s3:GetBucketAcl on {bucket}",
        f"s3:GetBucketLocation on {bucket}",
        f"s3:GetBucketVersioning on {bucket}",
        f"s3:PutObject on {bucket}/shop/*.zip",
    }
    owner = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
    assert all(each == owner for each in conditions(template, "Archive").values())


def test_an_acl_takes_permissions_that_files_without_do_not(template):
    assert configuration(template, "Public", "S3")["CannedACL"] == "bucket-owner-full-control"
    objects = "arn:aws:s3:::shop-archive/public/*"
    assert {line for line in needs(template, "Public") if "Put" in line} == {
        f"s3:PutObject on {objects}",
        f"s3:PutObjectAcl on {objects}",
        f"s3:PutObjectVersionAcl on {objects}",
    }


def test_a_website_is_uploaded_and_then_cloudfront_forgets_the_old_one(template):
    upload, invalidate = stage(template, "Website")
    assert (upload["Name"], upload["RunOrder"]) == ("DeployFiles", 1)
    assert upload["Configuration"] == {
        "BucketName": "shop-site",
        "Extract": "true",
        "KMSEncryptionKeyARN": KEY,
        "CacheControl": "public, max-age=300",
    }
    assert (invalidate["Name"], invalidate["RunOrder"]) == ("Deploy", 2)
    [function] = [name for name in of_type(template, "AWS::Lambda::Function") if name.startswith("Website")]
    assert invalidate["Configuration"] == {"FunctionName": {"Ref": function}}
    environment = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    assert json.loads(environment["CODE_FAMILY_INVALIDATION"]) == {
        "distribution": "E1ABCDEF",
        "paths": ["/index.html", "/pages/*"],
    }


def test_an_invalidation_takes_the_function_and_the_distribution_alone(template):
    bucket = "arn:aws:s3:::shop-site"
    [function] = [name for name in of_type(template, "AWS::Lambda::Function") if name.startswith("Website")]
    assert needs(template, "Website") == {
        f"s3:GetBucketAcl on {bucket}",
        f"s3:GetBucketLocation on {bucket}",
        f"s3:GetBucketVersioning on {bucket}",
        f"s3:PutObject on {bucket}/*",
        f"kms:Decrypt on {KEY}",
        f"kms:Encrypt on {KEY}",
        f"kms:GenerateDataKey on {KEY}",
        f"lambda:InvokeFunction on <{function}.Arn>",
        "lambda:ListFunctions on *",
    }
    distribution = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1ABCDEF"
    assert {line for line in said(template, "WebsiteInvalidatorRolePolicy") if not line.startswith("logs:")} == {
        f"cloudfront:CreateInvalidation on {distribution}",
        f"cloudfront:GetInvalidation on {distribution}",
        "codepipeline:PutJobFailureResult on *",
        "codepipeline:PutJobSuccessResult on *",
    }


def test_a_stack_set_goes_to_accounts_by_a_role_for_these_accounts(template):
    settings = dict(configuration(template, "StackSet", "CloudFormationStackSet"))
    role = settings.pop("AdministrationRoleArn")
    assert role["Fn::GetAtt"][0].startswith("BaselineAdministrationRole")
    assert settings == {
        "StackSetName": "baseline",
        "Description": "What each account has",
        "TemplatePath": "Source::templates/baseline.json",
        "Parameters": "ParameterKey=Stage,ParameterValue=canary ParameterKey=Retention,ParameterValue=30",
        "PermissionModel": "SELF_MANAGED",
        "ExecutionRoleName": "AWSCloudFormationStackSetExecutionRole",
        "DeploymentTargets": "222233334444",
        "Regions": "eu-west-1,us-east-1",
        "FailureTolerancePercentage": "0",
        "MaxConcurrentPercentage": "25",
        "RegionConcurrencyType": "Parallel",
        "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
    }
    execution = "role/AWSCloudFormationStackSetExecutionRole"
    assert said(template, "BaselineAdministrationRolePolicy") == {
        f"sts:AssumeRole on {arn('iam', execution, '', account)}"
        for account in ("222233334444", "333344445555", "444455556666")
    }
    trust = template["Resources"][role["Fn::GetAtt"][0]]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Principal"] for each in trust] == [{"Service": "cloudformation.amazonaws.com"}]
    assert "stackset/baseline:*" in json.dumps(trust[0]["Condition"]["ArnLike"])


def of_set(name, account=ACCOUNT):
    set_ = arn("cloudformation", f"stackset/{name}:*", account=account)
    return set_, {
        set_,
        arn("cloudformation", f"stackset-target/{name}:*", "*", account),
        arn("cloudformation", "type/resource/*", account=""),
        arn("cloudformation", "type/resource/*"),
    }


def test_a_stack_set_takes_permissions_on_itself_its_targets_and_types(template):
    set_, all_ = of_set("baseline")
    role = stage(template, "StackSet")[0]["Configuration"]["AdministrationRoleArn"]["Fn::GetAtt"][0]
    written = ("CreateStackInstances", "CreateStackSet", "UpdateStackSet")
    assert needs(template, "StackSet") == {
        *(f"cloudformation:{action} on {resource}" for action in written for resource in all_),
        *(
            f"cloudformation:{action} on {set_}"
            for action in ("DescribeStackSet", "DescribeStackSetOperation", "ListStackInstances")
        ),
        f"iam:PassRole on <{role}.Arn>",
    }
    assert conditions(template, "StackSet") == {
        "iam:PassRole": {"StringEqualsIfExists": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    }


def test_stack_instances_bring_the_set_to_more_accounts(template):
    assert configuration(template, "Instances", "CloudFormationStackInstances") == {
        "StackSetName": "baseline",
        "DeploymentTargets": "333344445555,444455556666",
        "Regions": "eu-west-1",
        "ParameterOverrides": "Source::config/production.json",
    }
    assert stage(template, "Instances")[0]["InputArtifacts"] == [{"Name": "Source"}]
    set_, all_ = of_set("baseline")
    assert needs(template, "Instances") == {
        *(f"cloudformation:CreateStackInstances on {resource}" for resource in all_),
        f"cloudformation:DescribeStackSetOperation on {set_}",
    }


def test_a_delegated_administrator_works_on_the_management_accounts_stack_set(template):
    assert configuration(template, "Organization", "CloudFormationStackSet") == {
        "StackSetName": "guardrails",
        "TemplatePath": "Source::templates/guardrails.json",
        "Capabilities": "CAPABILITY_NAMED_IAM",
        "PermissionModel": "SERVICE_MANAGED",
        "OrganizationsAutoDeployment": "EnabledWithStackRetention",
        "CallAs": "DELEGATED_ADMIN",
    }
    set_, _ = of_set("guardrails", "999988887777")
    found = needs(template, "Organization")
    assert f"cloudformation:UpdateStackSet on {set_}" in found
    assert "organizations:ListDelegatedAdministrators on *" in found
    assert not [line for line in found if line.startswith("iam:")]


def test_a_rolling_update_hands_on_the_images(template):
    assert configuration(template, "Ecs", "ECS") == {
        "ClusterName": "shop",
        "ServiceName": "web",
        "FileName": "out/imagedefinitions.json",
        "DeploymentTimeout": "15",
    }
    assert needs(template, "Ecs") == {
        "ecs:DescribeTaskDefinition on *",
        "ecs:RegisterTaskDefinition on *",
        f"ecs:DescribeServices on {arn('ecs', 'service/shop/web')}",
        f"ecs:UpdateService on {arn('ecs', 'service/shop/web')}",
        f"ecs:TagResource on {arn('ecs', 'task-definition/web:*')}",
        f"iam:PassRole on arn:aws:iam::{ACCOUNT}:role/task",
        f"iam:PassRole on arn:aws:iam::{ACCOUNT}:role/execution",
    }
    assert conditions(template, "Ecs") == {
        "ecs:TagResource": {"StringEquals": {"ecs:CreateAction": ["RegisterTaskDefinition"]}},
        "iam:PassRole": {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com", "ecs.amazonaws.com"]}},
    }


EC2_READS = {
    "ec2:DescribeInstances on *",
    "elasticloadbalancing:DescribeTargetGroupAttributes on *",
    "elasticloadbalancing:DescribeTargetGroups on *",
    "elasticloadbalancing:DescribeTargetHealth on *",
    "ssm:CancelCommand on *",
    "ssm:DescribeInstanceInformation on *",
    "ssm:ListCommandInvocations on *",
    f"ssm:SendCommand on {arn('ssm', 'document/AWS-RunPowerShellScript', account='')}",
    f"ssm:SendCommand on {arn('ssm', 'document/AWS-RunShellScript', account='')}",
}


def test_instances_with_the_tag_run_scripts_out_of_traffic(template):
    assert configuration(template, "Scripts", "EC2") == {
        "InstanceTagKey": "Role",
        "InstanceTagValue": "web",
        "InstanceType": "EC2",
        "TargetDirectory": "/srv/shop",
        "PreScript": "scripts/stop.sh",
        "PostScript": "scripts/start.sh",
        "MaxBatch": "50%",
        "MaxError": "1",
        "TargetGroupNameList": "web",
    }
    assert needs(template, "Scripts") == {
        *EC2_READS,
        *WRITE_LOG,
        f"ssm:SendCommand on {arn('ec2', 'instance/*')}",
        f"elasticloadbalancing:DeregisterTargets on {TARGET_GROUP}",
        f"elasticloadbalancing:RegisterTargets on {TARGET_GROUP}",
    }
    assert conditions(template, "Scripts") == {"ssm:SendCommand": {"StringEquals": {"aws:ResourceTag/Role": "web"}}}
    assert allowed(template, "ScriptsInstancePolicy") == {"s3:GetObject on arn:aws:s3:::artifacts/app.zip"}


def test_managed_nodes_follow_a_deploy_spec(template):
    assert configuration(template, "Spec", "EC2") == {
        "InstanceTagKey": "Role",
        "InstanceType": "SSM_MANAGED_NODE",
        "DeploySpec": "deployspec.yaml",
    }
    assert needs(template, "Spec") == {
        *EC2_READS,
        *WRITE_LOG,
        f"ssm:SendCommand on {arn('ec2', 'instance/*')}",
        f"ssm:SendCommand on {arn('ssm', 'managed-instance/*')}",
    }
    assert conditions(template, "Spec") == {"ssm:SendCommand": {"Null": {"aws:ResourceTag/Role": "false"}}}
    assert not [name for name in template["Resources"] if name.startswith("SpecInstancePolicy")]


EKS_READS = {
    f"eks:DescribeCluster on {arn('eks', 'cluster/kube')}",
    *(
        f"ec2:Describe{what} on *"
        for what in ("DhcpOptions", "NetworkInterfaces", "RouteTables", "SecurityGroups", "Subnets", "Vpcs")
    ),
}


def test_a_chart_is_released_in_a_private_cluster(template):
    assert configuration(template, "Chart", "EKS") == {
        "ClusterName": "kube",
        "HelmReleaseName": "shop",
        "HelmChartLocation": "charts/shop",
        "HelmValuesFiles": "values.yaml,production.yaml",
        "Namespace": "shop",
        "Subnets": "subnet-1",
        "SecurityGroupIds": "sg-1",
    }
    [action] = stage(template, "Chart")
    assert action["EnvironmentVariables"] == [{"Name": "IMAGE_TAG", "Value": "#{SourceVariables.CommitId}"}]
    assert needs(template, "Chart") == {
        *EKS_READS,
        *WRITE_LOG,
        "ec2:CreateNetworkInterface on *",
        "ec2:CreateNetworkInterfacePermission on *",
        "ec2:DeleteNetworkInterface on *",
    }
    subnets = conditions(template, "Chart")["ec2:CreateNetworkInterfacePermission"]["ArnEquals"]["ec2:Subnet"]
    assert "subnet/subnet-1" in json.dumps(subnets)


def test_the_role_of_the_action_is_let_into_its_namespace(template):
    entry = only(template, "AWS::EKS::AccessEntry")
    assert entry["ClusterName"] == "kube"
    assert entry["PrincipalArn"] == f"arn:aws:iam::{ACCOUNT}:role/pipeline"
    [policy] = entry["AccessPolicies"]
    assert policy["AccessScope"] == {"Type": "namespace", "Namespaces": ["shop"]}
    assert "cluster-access-policy/AmazonEKSEditPolicy" in json.dumps(policy["PolicyArn"])


def test_manifests_are_applied_to_a_public_cluster_without_network_interfaces(template):
    assert configuration(template, "Manifests", "EKS") == {
        "ClusterName": "kube",
        "ManifestFiles": "deploy/web.yaml,deploy/worker.yaml",
    }
    assert needs(template, "Manifests") == {*EKS_READS, *WRITE_LOG}


def test_a_configuration_goes_to_one_environment_from_this_pipeline(template):
    profile = only(template, "AWS::AppConfig::ConfigurationProfile")
    assert (profile["Name"], profile["LocationUri"]) == ("Settings", f"codepipeline://{PIPELINE}")
    assert profile["Validators"] == [{"Type": "JSON_SCHEMA", "Content": '{"type": "object"}'}]
    [name] = of_type(template, "AWS::AppConfig::ConfigurationProfile")
    assert configuration(template, "Configuration", "AppConfig") == {
        "Application": "app1234",
        "Environment": "env5678",
        "ConfigurationProfile": {"Ref": name},
        "DeploymentStrategy": "AppConfig.Canary10Percent20Minutes",
        "InputArtifactConfigurationPath": "config/settings.json",
    }
    application = arn("appconfig", "application/app1234")
    strategy = arn("appconfig", "deploymentstrategy/AppConfig.Canary10Percent20Minutes")
    assert needs(template, "Configuration") == {
        *(
            f"appconfig:StartDeployment on {resource}"
            for resource in (
                application,
                f"{application}/environment/env5678",
                f"{application}/configurationprofile/<{name}>",
                strategy,
            )
        ),
        *(
            f"appconfig:{action} on {resource}"
            for action in ("GetDeployment", "StopDeployment")
            for resource in (
                application,
                f"{application}/environment/env5678",
                f"{application}/environment/env5678/deployment/*",
            )
        ),
    }


def test_beanstalk_may_touch_this_application_and_its_own_resources_only(template):
    assert configuration(template, "Beanstalk", "ElasticBeanstalk") == {
        "ApplicationName": "Shop",
        "EnvironmentName": "shop-production",
    }
    found = needs(template, "Beanstalk")
    changes = {line for line in found if not line.partition(":")[2].startswith(("Describe", "List", "Get"))}
    resources = {line.partition(" on ")[2] for line in changes}
    bucket = f"arn:<AWS::Partition>:s3:::elasticbeanstalk-{REGION}-{ACCOUNT}"
    assert resources == {
        "*",
        bucket,
        f"{bucket}/*",
        arn("elasticbeanstalk", "application/Shop"),
        arn("elasticbeanstalk", "applicationversion/Shop/*"),
        arn("elasticbeanstalk", "environment/Shop/shop-production"),
        arn("cloudformation", "stack/awseb-e-*"),
        arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/awseb-e-*"),
        arn("elasticloadbalancing", "loadbalancer/awseb-*"),
        arn("elasticloadbalancing", "targetgroup/awseb-*"),
    }
    assert {line for line in changes if line.endswith(" on *")} == {"elasticbeanstalk:CreateStorageLocation on *"}


def test_a_product_gets_a_new_version(template):
    assert configuration(template, "Product", "ServiceCatalog") == {
        "ProductId": "prod-abcdef123",
        "TemplateFilePath": "products/bucket.json",
        "ProductType": "CLOUD_FORMATION_TEMPLATE",
        "ProductVersionName": "#{SourceVariables.CommitId}",
        "ProductVersionDescription": "#{SourceVariables.CommitMessage}",
    }
    assert configuration(template, "ProductFile", "ServiceCatalog") == {
        "ProductId": "prod-abcdef123",
        "ConfigurationFilePath": "product.json",
    }
    product = arn("catalog", "product/prod-abcdef123")
    assert (
        needs(template, "Product")
        == needs(template, "ProductFile")
        == {
            f"servicecatalog:CreateProvisioningArtifact on {product}",
            f"servicecatalog:DeleteProvisioningArtifact on {product}",
            f"servicecatalog:DescribeProvisioningArtifact on {product}",
            f"servicecatalog:ListProvisioningArtifacts on {product}",
            f"servicecatalog:UpdateProduct on {product}",
            "cloudformation:ValidateTemplate on *",
        }
    )


def test_a_failed_stack_is_replaced(template):
    role = f"arn:aws:iam::{ACCOUNT}:role/deployer"
    assert configuration(template, "Update", "CloudFormation") == {
        "ActionMode": "REPLACE_ON_FAILURE",
        "StackName": "Shop",
        "TemplatePath": "Source::shop.json",
        "TemplateConfiguration": "Source::shop.config.json",
        "RoleArn": role,
    }
    stack = arn("cloudformation", "stack/Shop/*")
    assert needs(template, "Update") == {
        *(
            f"cloudformation:{action} on {stack}"
            for action in (
                "CreateStack",
                "DeleteStack",
                "DescribeStackEvents",
                "DescribeStackResources",
                "DescribeStacks",
                "GetStackPolicy",
                "GetTemplate",
                "SetStackPolicy",
                "TagResource",
                "UntagResource",
                "UpdateStack",
            )
        ),
        "cloudformation:ValidateTemplate on *",
        f"iam:PassRole on {role}",
    }


def test_a_stack_is_deleted_by_a_role_that_may(template):
    deletion = dict(configuration(template, "Deletion", "CloudFormation"))
    role = deletion.pop("RoleArn")["Fn::GetAtt"][0]
    assert deletion == {"ActionMode": "DELETE_ONLY", "StackName": "Shop-Test"}
    assert "InputArtifacts" not in stage(template, "Deletion")[0]
    stack = arn("cloudformation", "stack/Shop-Test/*")
    assert needs(template, "Deletion") == {
        f"cloudformation:DeleteStack on {stack}",
        f"cloudformation:DescribeStackEvents on {stack}",
        f"cloudformation:DescribeStacks on {stack}",
        f"iam:PassRole on <{role}.Arn>",
    }
    assert allowed(template, "DeletionRolePolicy") == {f"lambda:DeleteFunction on {DELETE.resources[0]}"}
