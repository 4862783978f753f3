"""Deployments to Amazon ECS: one construct, two engines, the same arguments, and what neither could do."""

import json
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, NestedStack, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from code_family_constructs import (
    BuildProject,
    DeliveryPipeline,
    DeploymentHook,
    EcsAppspec,
    EcsDeployment,
    EcsService,
    EcsTarget,
    HealthGate,
    ImageBuild,
    SmokeTest,
)
from code_family_constructs.deploy.running_image import RunningImage
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_context, a_source, a_stack, allowed, of_type, only, refuses

CODE_DEPLOY, ECS = ecs.DeploymentControllerType.CODE_DEPLOY, ecs.DeploymentControllerType.ECS
GROUP, CONFIG = "AWS::CodeDeploy::DeploymentGroup", "AWS::CodeDeploy::DeploymentConfig"
HERE = "<AWS::Region>:<AWS::AccountId>"
ALL_AT_ONCE = codedeploy.TrafficRouting.all_at_once()
TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
ELB = "arn:aws:elasticloadbalancing:eu-west-1:111122223333"


def canary(percentage=10, minutes=5):
    return codedeploy.TrafficRouting.time_based_canary(percentage=percentage, interval=Duration.minutes(minutes))


def linear(percentage=10, minutes=1):
    return codedeploy.TrafficRouting.time_based_linear(percentage=percentage, interval=Duration.minutes(minutes))


def a_vpc(stack):
    known = stack.node.try_find_child("Vpc")
    return known or ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["a", "b"],
        public_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_ids=["subnet-3", "subnet-4"],
    )


def a_service(stack, id_="Service", **settings: Any) -> EcsService:
    return EcsService(stack, id_, certificate=None, repository=None, vpc=a_vpc(stack), **settings)


def a_hook(stack, id_="Check") -> DeploymentHook:
    return DeploymentHook(stack, id_, check=SmokeTest("https://shop.example/"))


def an_alarm(stack, id_="Orders"):
    metric = cloudwatch.Metric(namespace="Shop", metric_name="orders")
    return cloudwatch.Alarm(stack, id_, metric=metric, threshold=1, evaluation_periods=1)


def a_role(stack, id_):
    return iam.Role(stack, id_, assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))


def an_imported_target(stack, **settings: Any) -> EcsTarget:
    """A service that CodeDeploy deploys, with all that belongs to it, from another template."""
    cluster = ecs.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="live", vpc=a_vpc(stack))
    definition = ecs.FargateTaskDefinition.from_fargate_task_definition_attributes(
        stack,
        "Tasks",
        task_definition_arn="arn:aws:ecs:eu-west-1:111122223333:task-definition/web:7",
        task_role=iam.Role.from_role_arn(stack, "TaskRole", "arn:aws:iam::111122223333:role/web"),
        execution_role=iam.Role.from_role_arn(stack, "ExecutionRole", "arn:aws:iam::111122223333:role/web-start"),
    )
    security_group = ec2.SecurityGroup.from_security_group_id(stack, "Entrance", "sg-1")
    defaults: dict[str, Any] = {
        "service": ecs.FargateService.from_fargate_service_attributes(
            stack, "Web", cluster=cluster, service_name="web"
        ),
        "task_definition": definition,
        "container_name": "web",
        "container_port": 80,
        "deployment_controller": CODE_DEPLOY,
        "listener": elbv2.ApplicationListener.from_application_listener_attributes(
            stack, "Listener", listener_arn=f"{ELB}:listener/app/web/1/2", security_group=security_group
        ),
        "blue_target_group": elbv2.ApplicationTargetGroup.from_target_group_attributes(
            stack, "Blue", target_group_arn=f"{ELB}:targetgroup/blue/1"
        ),
        "green_target_group": elbv2.ApplicationTargetGroup.from_target_group_attributes(
            stack, "Green", target_group_arn=f"{ELB}:targetgroup/green/2"
        ),
    }
    return EcsTarget(**{**defaults, **settings})


def a_target_of_ones_own(
    stack, *, revision=ecs.TaskDefinitionRevision.LATEST, keeps_image=True, **settings: Any
) -> EcsTarget:
    """A service that Amazon ECS deploys, made by hand."""
    definition = ecs.FargateTaskDefinition(stack, "Tasks", execution_role=a_role(stack, "ExecutionRole"))
    definition.add_container("web", image=ecs.ContainerImage.from_registry("registry.example/web:1"))
    cluster = ecs.Cluster(stack, "Cluster", vpc=a_vpc(stack))
    if keeps_image:
        RunningImage(
            stack,
            "Image",
            task_definition=definition,
            container_name="web",
            cluster_name=cluster.cluster_name,
            service_name="web",
            deployment_controller=ECS,
        )
    service = ecs.FargateService(
        stack,
        "Web",
        service_name="web",
        cluster=cluster,
        task_definition=definition,
        task_definition_revision=revision,
        min_healthy_percent=100,
    )
    defaults: dict[str, Any] = {
        "service": service,
        "task_definition": definition,
        "container_name": "web",
        "container_port": 80,
        "deployment_controller": ECS,
    }
    return EcsTarget(**{**defaults, **settings})


@pytest.fixture(scope="module")
def templates():
    app = App()
    shop = Stack(app, "Shop")
    by_ecs = a_service(shop, test_listener=True)
    native = EcsDeployment(
        shop,
        "Native",
        service=by_ecs,
        health=by_ecs.health,
        traffic_routing=canary(20, 3),
        hooks={"POST_SCALE_UP": a_hook(shop, "Scaled"), "POST_TEST_TRAFFIC_SHIFT": a_hook(shop, "Tested")},
        bake_time=Duration.hours(1),
    )
    by_ecs.health.add_alarm(an_alarm(shop))

    shifted = Stack(app, "Shifted")
    by_codedeploy = a_service(shifted, deployment_controller=CODE_DEPLOY, test_listener=True)
    check = a_hook(shifted)
    slow = EcsDeployment(
        shifted,
        "Slow",
        service=by_codedeploy,
        health=by_codedeploy.health,
        traffic_routing=linear(20, 7),
        hooks={"AfterInstall": check, "AfterAllowTestTraffic": check},
        bake_time=Duration.minutes(15),
        deployment_approval_wait_time=Duration.hours(2),
    )
    by_codedeploy.health.add_alarm(an_alarm(shifted))

    least = Stack(app, "Least")
    network = a_service(least, "Network", deployment_controller=CODE_DEPLOY, load_balancer="network")
    EcsDeployment(least, "AllAtOnce", service=network, traffic_routing=ALL_AT_ONCE, application_name="orders")

    plain = Stack(app, "Plain")
    EcsDeployment(plain, "Deployment", service=a_service(plain), traffic_routing=linear(25, 2))

    own = Stack(app, "Own")
    EcsDeployment(own, "Deployment", service=a_target_of_ones_own(own), traffic_routing=ALL_AT_ONCE)
    imported = Stack(app, "Imported")
    EcsDeployment(imported, "Deployment", service=an_imported_target(imported))

    pipelines = Stack(app, "Pipelines")
    pipeline = DeliveryPipeline(pipelines, "Pipeline", source=a_source(), build=BuildProject(pipelines, "Build"))
    pipeline.add_stage("Staging", deploy=native)
    pipeline.add_stage("Production@eu", deploy=slow)
    return {stack.stack_name: synthesized(stack) for stack in (shop, shifted, least, plain, own, imported, pipelines)}


@pytest.fixture(scope="module")
def shop(templates):
    return templates["Shop"]


@pytest.fixture(scope="module")
def shifted(templates):
    return templates["Shifted"]


@pytest.fixture(scope="module")
def least(templates):
    return templates["Least"]


@pytest.fixture(scope="module")
def imported(templates):
    return templates["Imported"]


@pytest.fixture(scope="module")
def pipelines(templates):
    return templates["Pipelines"]


def settings_of(template):
    """What the function of a release is told, with references in readable form."""
    (text,) = [
        function["Environment"]["Variables"]["CODE_FAMILY_RELEASE"]
        for function in of_type(template, "AWS::Lambda::Function").values()
        if "CODE_FAMILY_RELEASE" in function.get("Environment", {}).get("Variables", {})
    ]
    return json.loads(text_of(text))


def configuration(template):
    return only(template, "AWS::ECS::Service")["DeploymentConfiguration"]


def actions_of(template, stage):
    (found,) = [each for each in only(template, "AWS::CodePipeline::Pipeline")["Stages"] if each["Name"] == stage]
    return sorted(found["Actions"], key=lambda action: action["RunOrder"])


def alarms_of(template):
    return [{"Ref": name} for name in of_type(template, "AWS::CloudWatch::Alarm")]


# With Amazon ECS itself


def test_amazon_ecs_is_told_everything_in_the_service(shop):
    found = configuration(shop)
    assert found["Strategy"] == "CANARY"
    assert found["CanaryConfiguration"] == {"CanaryPercent": 20, "CanaryBakeTimeInMinutes": 3}
    assert found["BakeTimeInMinutes"] == 60
    assert found["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert of_type(shop, GROUP) == {}


def test_steps_become_those_of_amazon_ecs(templates):
    steady = configuration(templates["Plain"])
    assert steady["Strategy"] == "LINEAR"
    assert steady["LinearConfiguration"] == {"StepPercent": 25, "StepBakeTimeInMinutes": 2}
    assert configuration(templates["Own"])["Strategy"] == "BLUE_GREEN"


def test_amazon_ecs_goes_back_on_each_alarm_of_the_gate_also_on_one_that_is_added_later(shop):
    found = configuration(shop)["Alarms"]
    assert sorted(map(text_of, found["AlarmNames"])) == sorted(map(text_of, alarms_of(shop)))
    assert (found["Enable"], found["Rollback"]) == (True, True)


def test_without_a_gate_alarms_are_taken_off(templates):
    assert configuration(templates["Plain"])["Alarms"] == {"AlarmNames": [], "Enable": False, "Rollback": False}


def test_amazon_ecs_calls_the_hooks_and_nothing_else(shop):
    hooks = configuration(shop)["LifecycleHooks"]
    assert [(hook["LifecycleStages"], text_of(hook["HookTargetArn"])[:7]) for hook in hooks] == [
        (["POST_SCALE_UP"], "<Scaled"),
        (["POST_TEST_TRAFFIC_SHIFT"], "<Tested"),
    ]
    assert allowed(shop, "NativeHookRole") == {
        f"lambda:InvokeFunction on {text_of(hook['HookTargetArn'])}" for hook in hooks
    }
    (role,) = {hook["RoleArn"]["Fn::GetAtt"][0] for hook in hooks}
    (trust,) = shop["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs.amazonaws.com"}


def test_a_release_by_amazon_ecs_is_one_action_that_takes_the_image_of_the_build(pipelines):
    (action,) = actions_of(pipelines, "Staging")
    assert (action["Name"], action["ActionTypeId"]["Category"], action["ActionTypeId"]["Provider"]) == (
        "Deploy",
        "Invoke",
        "Lambda",
    )
    assert action["InputArtifacts"] == [{"Name": "Build"}]
    assert "OutputArtifacts" not in action


def test_the_release_knows_the_service_and_the_stack_s_task_definition(shop):
    told = settings_of(shop)
    assert told == {
        "cluster": "<ServiceCluster572F72F1>",
        "service": "<Service9571FDD8.Name>",
        "container": "app",
        "taskDefinition": "<ServiceTaskDefinition55FA0F15>",
    }


def test_a_release_may_hand_over_this_service_and_its_roles_and_no_other(shop):
    service = "<ServiceCluster572F72F1>/<Service9571FDD8.Name>"
    partition = f"arn:<AWS::Partition>:ecs:{HERE}"
    roles = [name for name in of_type(shop, "AWS::IAM::Role") if name.startswith(("ServiceTask", "ServiceExecution"))]
    assert len(roles) == 2
    own = {each for each in allowed(shop, "NativeRelease") if not each.startswith("logs:")}
    assert own == {
        "ecs:DescribeTaskDefinition on *",
        "ecs:RegisterTaskDefinition on *",
        "ecs:DeregisterTaskDefinition on *",
        "codepipeline:PutJobSuccessResult on *",
        "codepipeline:PutJobFailureResult on *",
        f"ecs:DescribeServices on {partition}:service/{service}",
        f"ecs:UpdateService on {partition}:service/{service}",
        f"ecs:ListServiceDeployments on {partition}:service/{service}",
        f"ecs:DescribeServiceRevisions on {partition}:service/{service}",
        f"ecs:DescribeServiceRevisions on {partition}:service-revision/{service}/*",
        *(f"iam:PassRole on <{name}.Arn>" for name in roles),
    }


# With CodeDeploy


def test_codedeploy_is_told_everything_in_the_group(shifted):
    group = only(shifted, GROUP)
    assert group["DeploymentStyle"] == {
        "DeploymentType": "BLUE_GREEN",
        "DeploymentOption": "WITH_TRAFFIC_CONTROL",
    }
    options = group["BlueGreenDeploymentConfiguration"]
    assert options["TerminateBlueInstancesOnDeploymentSuccess"] == {
        "Action": "TERMINATE",
        "TerminationWaitTimeInMinutes": 15,
    }
    assert options["DeploymentReadyOption"] == {
        "ActionOnTimeout": "STOP_DEPLOYMENT",
        "WaitTimeInMinutes": 120,
    }
    (pair,) = group["LoadBalancerInfo"]["TargetGroupPairInfoList"]
    assert [text_of(each["Name"])[:13] for each in pair["TargetGroups"]] == ["<ServiceBlueC", "<ServiceGreen"]
    assert pair["ProdTrafficRoute"] != pair["TestTrafficRoute"]


def test_codedeploy_goes_back_on_a_failure_and_on_each_alarm_also_on_one_that_is_added_later(shifted):
    group = only(shifted, GROUP)
    assert group["AutoRollbackConfiguration"] == {
        "Enabled": True,
        "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
    }
    alarms = group["AlarmConfiguration"]
    assert sorted(text_of(alarm["Name"]) for alarm in alarms["Alarms"]) == sorted(map(text_of, alarms_of(shifted)))
    assert (alarms["Enabled"], alarms["IgnorePollAlarmFailure"]) == (True, False)


def test_without_a_gate_alarms_are_detached_and_a_failure_still_rolls_back(least):
    group = only(least, GROUP)
    assert group["AlarmConfiguration"] == {"Enabled": False, "Alarms": []}
    assert group["AutoRollbackConfiguration"] == {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE"]}


def test_a_configuration_is_codedeploy_s_own_where_it_has_one(shifted, least, imported):
    assert only(imported, GROUP)["DeploymentConfigName"] == "CodeDeployDefault.ECSCanary10Percent5Minutes"
    assert only(least, GROUP)["DeploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    assert of_type(imported, CONFIG) == of_type(least, CONFIG) == {}
    config = only(shifted, CONFIG)
    assert config["DeploymentConfigName"] == "Shifted-Slow-Linear20PercentEvery7Minutes"
    assert config["TrafficRoutingConfig"] == {
        "Type": "TimeBasedLinear",
        "TimeBasedLinear": {"LinearInterval": 7, "LinearPercentage": 20},
    }


def test_names_of_codedeploy_can_be_typed(shifted, least):
    assert only(shifted, "AWS::CodeDeploy::Application")["ApplicationName"] == "Shifted-Slow"
    assert only(shifted, GROUP)["DeploymentGroupName"] == "Shifted-Slow"
    assert only(least, "AWS::CodeDeploy::Application")["ApplicationName"] == "orders"


def test_a_release_by_codedeploy_is_rendered_first(pipelines):
    render, deploy = actions_of(pipelines, "Production@eu")
    assert (render["Name"], render["RunOrder"], render["ActionTypeId"]["Provider"]) == ("RenderDeploy", 1, "Lambda")
    assert (deploy["Name"], deploy["RunOrder"], deploy["ActionTypeId"]["Provider"]) == ("Deploy", 2, "CodeDeployToECS")
    (rendered,) = render["OutputArtifacts"]
    settings = deploy["Configuration"]
    assert deploy["InputArtifacts"] == [rendered, {"Name": "Build"}]
    assert (settings["TaskDefinitionTemplateArtifact"], settings["AppSpecTemplateArtifact"]) == (rendered["Name"],) * 2
    assert (settings["Image1ArtifactName"], settings["Image1ContainerName"]) == ("Build", "IMAGE1_NAME")
    assert (settings["TaskDefinitionTemplatePath"], settings["AppSpecTemplatePath"]) == ("taskdef.json", "appspec.yaml")


def test_the_names_of_artifacts_are_what_codepipeline_takes(pipelines):
    render, _ = actions_of(pipelines, "Production@eu")
    assert render["OutputArtifacts"] == [{"Name": "Production_eu-Deploy-Release"}]


def test_no_two_actions_have_an_artifact_of_one_name():
    stack = a_stack()
    deployment = EcsDeployment(
        stack, "Deployment", service=a_service(stack, deployment_controller=CODE_DEPLOY), traffic_routing=canary()
    )
    places = [("Production", "ProductionEuWest"), ("Production", "ProductionEuCentral")]
    places += [("P" * 100, f"{'D' * 99}{number}") for number in range(2)]
    names: list[str] = []
    for stage_name, action_name in places:
        made = deployment.stage_action(a_context(stage_name=stage_name, action_name=action_name))
        artifacts = made.prepared_by[0].action_properties.outputs
        assert artifacts is not None
        names.append(str(artifacts[0].artifact_name))
    assert names[:2] == ["Production-ProductionEuWest-Release", "Production-ProductionEuCentral-Release"]
    assert len(set(names)) == 4
    assert {len(name) for name in names[2:]} == {100}


def test_the_appspec_names_hooks_and_container_and_is_accepted(shifted):
    told = settings_of(shifted)
    assert (told["taskDefinition"], told["container"], told["placeholder"]) == (
        "<ServiceTaskDefinition55FA0F15>",
        "app",
        "<IMAGE1_NAME>",
    )
    assert EcsAppspec.from_text(told["appspec"]) == EcsAppspec(
        container_name="app",
        container_port=8080,
        hooks={"AfterInstall": "Shifted-Check", "AfterAllowTestTraffic": "Shifted-Check"},
    )


def test_what_is_replaced_crosses_no_border_of_stacks(shop, shifted):
    """An export that another stack uses cannot change: a task definition does, and a deployment configuration."""
    for template in (shop, shifted):
        exported = [text_of(each["Value"]) for each in template["Outputs"].values() if "Export" in each]
        assert exported != []
        assert not any("TaskDefinition" in value or "DeploymentConfig" in value for value in exported)


def test_codedeploy_may_move_the_traffic_of_this_service_and_no_other(shifted):
    service = "<ServiceCluster572F72F1>/<Service9571FDD8.Name>"
    listeners = of_type(shifted, "AWS::ElasticLoadBalancingV2::Listener")
    ecs_arn = f"arn:<AWS::Partition>:ecs:{HERE}"
    found = allowed(shifted, "SlowRolePolicy")
    rules = {each for each in found if each.startswith("elasticloadbalancing:ModifyRule")}
    assert len(rules) == 2
    assert all(":listener-rule/" in each and each.endswith("/*") for each in rules)
    roles = [name for name in of_type(shifted, "AWS::IAM::Role") if name.startswith(("ServiceTask", "ServiceExec"))]
    assert found - rules == {
        *(
            f"ecs:{action} on {ecs_arn}:{kind}"
            for action in ("CreateTaskSet", "DeleteTaskSet", "DescribeServices", "UpdateServicePrimaryTaskSet")
            for kind in (f"service/{service}", f"task-set/{service}/*")
        ),
        "cloudwatch:DescribeAlarms on *",
        "elasticloadbalancing:DescribeListeners on *",
        "elasticloadbalancing:DescribeRules on *",
        "elasticloadbalancing:DescribeTargetGroups on *",
        *(f"elasticloadbalancing:ModifyListener on <{name}>" for name in listeners),
        *(f"iam:PassRole on <{name}.Arn>" for name in roles),
        "lambda:InvokeFunction on <CheckFunction1CB4ED37.Arn>",
    }


def test_rules_are_nothing_that_a_network_load_balancer_has(least):
    assert not any("ModifyRule" in each for each in allowed(least, "AllAtOnceRole"))


def test_the_hook_may_report_to_this_group(shifted):
    group = f"arn:<AWS::Partition>:codedeploy:{HERE}:deploymentgroup:Shifted-Slow/Shifted-Slow"
    assert f"codedeploy:PutLifecycleEventHookExecutionStatus on {group}" in allowed(shifted, "CheckFunctionRole")


def test_codedeploy_acts_for_this_group_only(shifted):
    (role,) = [role for name, role in of_type(shifted, "AWS::IAM::Role").items() if name.startswith("SlowRole")]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    source = text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"])
    assert source == f"arn:<AWS::Partition>:codedeploy:{HERE}:deploymentgroup:Shifted-Slow/Shifted-Slow"


def test_who_renders_may_look_and_report_and_nothing_else(shifted):
    assert {each for each in allowed(shifted, "SlowRender") if not each.startswith("logs:")} == {
        "ecs:DescribeTaskDefinition on *",
        "codepipeline:PutJobSuccessResult on *",
        "codepipeline:PutJobFailureResult on *",
    }


def test_the_pipeline_may_start_both_kinds_of_releases(pipelines):
    found = allowed(pipelines, "PipelineRole")
    group, config = "deploymentgroup:Shifted-Slow/Shifted-Slow", "Shifted-Slow-Linear20PercentEvery7Minutes"
    codedeploy_arn = f"arn:<AWS::Partition>:codedeploy:{HERE}"
    assert {each for each in found if each.startswith(("codedeploy:", "ecs:"))} == {
        f"codedeploy:CreateDeployment on {codedeploy_arn}:{group}",
        f"codedeploy:GetDeployment on {codedeploy_arn}:{group}",
        f"codedeploy:GetApplication on {codedeploy_arn}:application:Shifted-Slow",
        f"codedeploy:GetApplicationRevision on {codedeploy_arn}:application:Shifted-Slow",
        f"codedeploy:RegisterApplicationRevision on {codedeploy_arn}:application:Shifted-Slow",
        f"codedeploy:GetDeploymentConfig on {codedeploy_arn}:deploymentconfig:{config}",
        "ecs:RegisterTaskDefinition on *",
    }
    assert len({each for each in found if each.startswith("lambda:InvokeFunction")}) == 2
    assert len({each for each in found if each.startswith("iam:PassRole")}) == 2


@pytest.mark.parametrize("name", ["Shop", "Shifted", "Pipelines"])
def test_roles_are_handed_to_tasks_only(templates, name):
    passed = [
        statement
        for policy in of_type(templates[name], "AWS::IAM::ManagedPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "iam:PassRole" or "iam:PassRole" in statement["Action"]
    ]
    assert passed != []
    assert all(statement["Condition"] == TASKS for statement in passed)


# A service of one's own


def test_a_service_from_elsewhere_is_deployed_by_codedeploy(imported):
    group = only(imported, GROUP)
    assert group["ECSServices"] == [{"ClusterName": "live", "ServiceName": "web"}]
    (pair,) = group["LoadBalancerInfo"]["TargetGroupPairInfoList"]
    assert pair["ProdTrafficRoute"] == {"ListenerArns": [f"{ELB}:listener/app/web/1/2"]}
    assert [each["Name"] for each in pair["TargetGroups"]] == ["blue", "green"]
    found = allowed(imported, "DeploymentRolePolicy")
    assert f"ecs:CreateTaskSet on arn:<AWS::Partition>:ecs:{HERE}:service/live/web" in found
    assert {each for each in found if each.startswith("iam:")} == {
        "iam:PassRole on arn:aws:iam::111122223333:role/web",
        "iam:PassRole on arn:aws:iam::111122223333:role/web-start",
    }
    assert settings_of(imported)["taskDefinition"].endswith(":task-definition/web:7")


def test_a_service_made_by_hand_is_deployed_by_amazon_ecs(templates):
    own = templates["Own"]
    assert configuration(own)["BakeTimeInMinutes"] == 10
    assert settings_of(own)["container"] == "web"
    (container,) = only(own, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    (image,) = of_type(own, "Custom::RunningImage")
    assert container["Image"] == {"Fn::GetAtt": [image, "Image"]}


def test_lambda_does_not_hand_over_an_image_again_after_a_crash(templates):
    own = templates["Own"]
    (config,) = of_type(own, "AWS::Lambda::EventInvokeConfig").values()
    releases = own["Resources"][config["FunctionName"]["Ref"]]["Properties"]
    assert "CODE_FAMILY_RELEASE" in releases["Environment"]["Variables"]
    assert config["MaximumRetryAttempts"] == 0


def test_a_nested_stack_can_have_a_service():
    nested = NestedStack(a_stack(), "Nested")
    service = a_service(nested, deployment_controller=CODE_DEPLOY)
    EcsDeployment(nested, "Deployment", service=service, hooks={"AfterInstall": a_hook(nested)})
    told = settings_of(Template.from_stack(nested).to_json())
    assert told["appspec"].endswith("Hooks:\n  - AfterInstall: Shop-Nested-Check\n")


# What could never work


@pytest.mark.parametrize("controller", [ECS, CODE_DEPLOY])
def test_refuses_a_second_deployment_of_a_service(controller):
    stack = a_stack()
    service = a_service(stack, deployment_controller=controller)
    EcsDeployment(stack, "First", service=service)
    with refuses("has a deployment already", at="Shop/Second", fix="'Shop/First'"):
        EcsDeployment(stack, "Second", service=service)


@pytest.mark.parametrize(
    ("controller", "event", "problem", "fix"),
    [
        (CODE_DEPLOY, "POST_SCALE_UP", "has no 'POST_SCALE_UP'", "use AfterInstall"),
        (ECS, "AfterInstall", "has no 'AfterInstall'", "use POST_SCALE_UP"),
        (CODE_DEPLOY, "AfterAllowTestTraffic", "no test listener", "test listener"),
        (ECS, "POST_TEST_TRAFFIC_SHIFT", "no test listener", "test listener"),
        (ECS, "TEST_TRAFFIC_SHIFT", "no test listener", "test listener"),
    ],
)
def test_refuses_a_hook_that_would_never_run(controller, event, problem, fix):
    stack = a_stack()
    service = a_service(stack, deployment_controller=controller)
    with refuses(problem, at="Shop/Deployment", fix=fix):
        EcsDeployment(stack, "Deployment", service=service, hooks={event: a_hook(stack)})


@pytest.mark.parametrize("routing", [canary(), linear()])
def test_refuses_steps_of_codedeploy_behind_a_network_load_balancer(routing):
    stack = a_stack()
    service = a_service(stack, deployment_controller=CODE_DEPLOY, load_balancer="network")
    with refuses("network load balancer", "all at once", at="Shop/Deployment", fix="all_at_once()"):
        EcsDeployment(stack, "Deployment", service=service, traffic_routing=routing)


def test_takes_steps_of_amazon_ecs_behind_a_network_load_balancer():
    stack = a_stack()
    service = a_service(stack, load_balancer="network")
    EcsDeployment(stack, "Deployment", service=service, traffic_routing=canary())
    assert configuration(synthesized(stack))["Strategy"] == "CANARY"


@pytest.mark.parametrize(
    ("controller", "settings", "problem", "fix"),
    [
        (ECS, {"bake_time": Duration.minutes(1441)}, "bake_time of 1441 minutes", "from 0 to 1440"),
        (CODE_DEPLOY, {"bake_time": Duration.minutes(2881)}, "bake_time of 2881 minutes", "from 0 to 2880"),
        (ECS, {"bake_time": Duration.seconds(90)}, "bake_time of 1.5 minutes", "whole minutes"),
        (
            CODE_DEPLOY,
            {"deployment_approval_wait_time": Duration.minutes(0)},
            "deployment_approval_wait_time of 0 minutes",
            "from 1 to 2880",
        ),
        (CODE_DEPLOY, {"deployment_approval_wait_time": Duration.days(3)}, "of 4320 minutes", "48 hours"),
        (ECS, {"deployment_approval_wait_time": Duration.hours(1)}, "waits for nobody", "CODE_DEPLOY"),
        (ECS, {"application_name": "shop"}, "application_name='shop'", "leave it out"),
        (CODE_DEPLOY, {"application_name": "shop web"}, "'shop web'", "use 1 to 100 characters"),
        (ECS, {"traffic_routing": linear(2, 1)}, "linear steps of 2 percent", "from 3 on"),
        (CODE_DEPLOY, {"traffic_routing": canary(100, 5)}, "canary steps of 100 percent", "from 1 to 99"),
        (CODE_DEPLOY, {"traffic_routing": linear(1, 60)}, "takes 5940 minutes", "larger percentage"),
        (ECS, {"traffic_routing": canary(10, 1430)}, "for 1440 minutes", "shorten bake_time="),
        (
            CODE_DEPLOY,
            {
                "traffic_routing": canary(10, 2880),
                "bake_time": Duration.minutes(2880),
                "deployment_approval_wait_time": Duration.minutes(1441),
            },
            "for 7201 minutes",
            "shorten bake_time=",
        ),
    ],
)
def test_refuses_times_and_steps_that_aws_does_not_have(controller, settings, problem, fix):
    stack = a_stack()
    service = a_service(stack, deployment_controller=controller)
    with refuses(problem, at="Shop/Deployment", fix=fix):
        EcsDeployment(stack, "Deployment", service=service, **settings)


def test_counts_the_time_that_a_network_load_balancer_takes():
    stack = a_stack()
    service = a_service(stack, load_balancer="network")
    with refuses("for 1440 minutes", at="Shop/Deployment", fix="shorten bake_time="):
        EcsDeployment(
            stack, "Deployment", service=service, traffic_routing=ALL_AT_ONCE, bake_time=Duration.minutes(1420)
        )


@pytest.mark.parametrize("controller", [ECS, CODE_DEPLOY])
def test_refuses_a_gate_without_alarms(controller):
    stack = a_stack()
    service = a_service(stack, deployment_controller=controller)
    with refuses("no alarms", at="Shop/Deployment", fix="watch"):
        EcsDeployment(stack, "Deployment", service=service, health=HealthGate(stack, "Empty"))


@pytest.mark.parametrize("name", ["listener", "blue_target_group", "green_target_group"])
def test_refuses_a_target_of_codedeploy_that_lacks_something(name):
    stack = a_stack()
    with refuses(f"without {name}", at="Shop/Deployment", fix=f"{name}="):
        EcsDeployment(stack, "Deployment", service=an_imported_target(stack, **{name: None}))


def test_refuses_an_imported_service_that_amazon_ecs_deploys():
    stack = a_stack()
    with refuses("is not made in this app", at="Shop/Deployment", fix="ecs.FargateService"):
        EcsDeployment(stack, "Deployment", service=an_imported_target(stack, deployment_controller=ECS))


def test_refuses_a_service_whose_task_definitions_come_from_cloudformation():
    stack = a_stack()
    target = a_target_of_ones_own(stack, revision=None)
    with refuses("back to an old image", at="Shop/Deployment", fix="TaskDefinitionRevision.LATEST"):
        EcsDeployment(stack, "Deployment", service=target)


def test_refuses_a_service_that_would_go_back_to_the_image_of_its_template():
    stack = a_stack()
    target = a_target_of_ones_own(stack, keeps_image=False)
    with refuses("'Shop/Tasks' names an image of its own", at="Shop/Deployment", fix="a RunningImage"):
        EcsDeployment(stack, "Deployment", service=target)


def test_refuses_the_wrong_controller():
    stack = a_stack()
    target = a_target_of_ones_own(stack, deployment_controller=CODE_DEPLOY)
    with refuses("CODE_DEPLOY of a service that has ECS", at="Shop/Deployment", fix="DeploymentControllerType.ECS"):
        EcsDeployment(stack, "Deployment", service=target)


def test_refuses_a_task_definition_of_another_stack():
    app = App()
    first, second = Stack(app, "First"), Stack(app, "Second")
    service = a_service(first, deployment_controller=CODE_DEPLOY)
    with refuses("is in another stack", at="Second/Deployment", fix="in the service's own stack"):
        EcsDeployment(second, "Deployment", service=service)


def test_refuses_a_task_definition_whose_roles_are_unknown():
    stack = a_stack()
    definition = ecs.FargateTaskDefinition.from_fargate_task_definition_arn(
        stack, "Bare", "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:7"
    )
    with refuses("roles of task definition", at="Shop/Deployment", fix="task_role="):
        EcsDeployment(stack, "Deployment", service=an_imported_target(stack, task_definition=definition))


def a_release_of_images(own, *, of_whom):
    stack = a_stack()
    image = ImageBuild(stack, "Image")
    repository = {"nobody": None, "another": ecr.Repository(stack, "Another"), "the build": image.repository}[of_whom]
    service = EcsService(
        stack, "Service", certificate=None, repository=repository, vpc=a_vpc(stack), deployment_controller=own
    )
    deployment = EcsDeployment(stack, "Deployment", service=service)
    DeliveryPipeline(stack, "Pipeline", source=a_source(), build=image).add_stage("Production", deploy=deployment)
    return stack


@pytest.mark.parametrize("controller", [ECS, CODE_DEPLOY])
@pytest.mark.parametrize(
    ("of_whom", "problem"),
    [("nobody", "may pull public images alone"), ("another", "may pull from 'Shop/Another' alone")],
)
def test_refuses_images_that_tasks_could_not_pull(controller, of_whom, problem):
    with refuses(problem, at="Shop/Deployment", fix="give the EcsService repository="):
        a_release_of_images(controller, of_whom=of_whom)


def test_takes_the_images_of_the_service_s_own_repository():
    assert of_type(synthesized(a_release_of_images(ECS, of_whom="the build")), "AWS::CodePipeline::Pipeline")


def test_what_only_the_deployment_knows_is_taken():
    stack = a_stack()
    minutes = CfnParameter(stack, "Minutes", type="Number").value_as_number
    service = a_service(stack, deployment_controller=CODE_DEPLOY)
    deployment = EcsDeployment(
        stack,
        "Deployment",
        service=service,
        traffic_routing=codedeploy.TrafficRouting.time_based_canary(percentage=10, interval=Duration.minutes(minutes)),
        bake_time=Duration.minutes(minutes),
    )
    assert deployment.stage_action(a_context()).action.action_properties.run_order == 2
    config = only(synthesized(stack), CONFIG)
    assert "DeploymentConfigName" not in config
    assert config["TrafficRoutingConfig"]["TimeBasedCanary"]["CanaryInterval"] == {"Ref": "Minutes"}
