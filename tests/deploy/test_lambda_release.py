"""Releases of a function's code from a pipeline: by CodeDeploy with an AppSpec, or by CodePipeline's own action."""

import json

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_

from code_family_constructs import (
    BuildProject,
    ConfigurationError,
    DeliveryPipeline,
    DeploymentHook,
    HealthGate,
    ManualApproval,
    SmokeTest,
)
from code_family_constructs.deploy.lambda_function import LambdaFunction
from code_family_constructs.deploy.lambda_release import LambdaActionDeployment, LambdaCodeDeployment
from code_family_constructs.deploy.to_lambda import LambdaDeployment
from code_family_constructs.handlers import shift_alias
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_source, a_stack, allowed, of_type, only, refuses

GROUP, ALIAS, VERSION = "AWS::CodeDeploy::DeploymentGroup", "AWS::Lambda::Alias", "AWS::Lambda::Version"
canary, linear = codedeploy.TrafficRouting.time_based_canary, codedeploy.TrafficRouting.time_based_linear
BOTH = pytest.mark.parametrize("kind", [LambdaCodeDeployment, LambdaActionDeployment])


def a_pipeline(stack):
    return DeliveryPipeline(stack, "Pipeline", source=a_source(), build=BuildProject(stack, "Build"))


def orders(stack, id_):
    metric = cloudwatch.Metric(namespace="Shop", metric_name=id_)
    return metric.create_alarm(stack, id_, threshold=1, evaluation_periods=1)


@pytest.fixture(scope="module")
def app():
    app = App(analytics_reporting=False)

    code = Stack(app, "Code")
    function = LambdaFunction(code, "Greeter").function
    hooks = {
        name: DeploymentHook(code, name, check=SmokeTest("https://greeter.acme.example"))
        for name in ("Before", "After")
    }
    deployment = LambdaCodeDeployment(
        code,
        "Deployment",
        function=function,
        pre_traffic_hook=hooks["Before"],
        post_traffic_hook=hooks["After"],
        keep_versions=5,
    )
    pipeline = a_pipeline(code)
    pipeline.add_stage("Production", deploy=deployment)
    question = f"Is version {deployment.function_version} well?"
    pipeline.add_stage("Look", approval=ManualApproval(question=question))
    # What refers to the alias may be watched: here, the alias waits for no deployment group.
    dimensions = {"Function": deployment.alias.function_arn}
    metric = cloudwatch.Metric(namespace="Shop", metric_name="orders", dimensions_map=dimensions)
    deployment.health.add_alarm(metric.create_alarm(code, "Orders", threshold=1, evaluation_periods=1))

    action = Stack(app, "Action")
    by_action = LambdaActionDeployment(
        action,
        "Deployment",
        function=LambdaFunction(action, "Greeter").function,
        alias_name="stable",
        traffic_routing=linear(percentage=25, interval=Duration.minutes(1)),
    )
    pipeline = a_pipeline(action)
    pipeline.add_stage("Production", approval=ManualApproval(question="Release?"), deploy=by_action)
    question = f"Is version {by_action.function_version} well?"
    pipeline.add_stage("Look", approval=ManualApproval(question=question))
    by_action.health.add_alarm(orders(action, "Added"))

    plain = Stack(app, "Plain")
    LambdaCodeDeployment(plain, "Deployment", function=LambdaFunction(plain, "Greeter").function)
    return app


@pytest.fixture(scope="module")
def code(app):
    return synthesized(app.node.find_child("Code"))


@pytest.fixture(scope="module")
def action(app):
    return synthesized(app.node.find_child("Action"))


@pytest.fixture(scope="module")
def plain(app):
    return synthesized(app.node.find_child("Plain"))


def actions_of(template, stage):
    stages = only(template, "AWS::CodePipeline::Pipeline")["Stages"]
    [found] = [each["Actions"] for each in stages if each["Name"] == stage]
    return found


def id_of(template, type_, start=""):
    [name] = [name for name in of_type(template, type_) if name.startswith(start)]
    return name


@pytest.mark.parametrize("name", ["Code", "Action"])
def test_cloudformation_leaves_the_alias_on_the_version_that_the_pipeline_gave_it(app, name):
    template = synthesized(app.node.find_child(name))
    alias = template["Resources"][id_of(template, ALIAS)]
    assert "UpdatePolicy" not in alias
    assert alias["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [id_of(template, VERSION), "Version"]}


@BOTH
def test_a_change_of_the_function_changes_neither_version_nor_alias(kind):
    def made(**settings):
        stack = a_stack()
        kind(stack, "Deployment", function=LambdaFunction(stack, "Greeter", **settings).function)
        resources = synthesized(stack)["Resources"]
        return [{name: each for name, each in resources.items() if each["Type"] == type_} for type_ in (VERSION, ALIAS)]

    assert made() == made(memory_size=1024, environment={"GREETING": "Hello"}, handler="app.greet")


def test_a_release_is_one_action_that_gets_the_artifact(code):
    [deploy] = actions_of(code, "Production")
    assert deploy["ActionTypeId"] == {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": "1"}
    assert deploy["InputArtifacts"] == [{"Name": "Build"}]
    assert deploy["Configuration"] == {"FunctionName": {"Ref": releaser_of(code)}}
    assert (deploy["Name"], deploy["RunOrder"]) == ("Deploy", 1)


def releaser_of(template):
    return id_of(template, "AWS::Lambda::Function", "DeploymentReleaser")


def test_the_releaser_knows_all_that_it_is_to_release(code):
    settings = code["Resources"][releaser_of(code)]["Properties"]["Environment"]["Variables"]["CODE_FAMILY_RELEASE"]
    text = text_of(settings)
    function = id_of(code, "AWS::Lambda::Function", "Greeter")
    assert json.loads(text) == {
        "function": f"<{function}>",
        "alias": "live",
        "application": "Code-Deployment",
        "group": "Code-Deployment",
        "hooks": {"BeforeAllowTraffic": "Code-Before", "AfterAllowTraffic": "Code-After"},
        "keep": 5,
    }


def test_the_releaser_understands_the_settings_of_a_deployment_that_prunes_nothing(monkeypatch):
    """What has no value crosses to Node, and is gone."""
    stack = a_stack()
    LambdaCodeDeployment(stack, "Deployment", function=LambdaFunction(stack, "Greeter").function)
    template = synthesized(stack)
    settings = template["Resources"][releaser_of(template)]["Properties"]["Environment"]["Variables"]
    monkeypatch.setattr("boto3.client", lambda *_, **__: None)
    release = shift_alias.Release(json.loads(text_of(settings["CODE_FAMILY_RELEASE"])), {}, None)
    assert (release.keep, release.alias, release.hooks) == (None, "live", {})


def test_lambda_does_not_release_by_itself_again_after_a_crash(code):
    [settings] = of_type(code, "AWS::Lambda::EventInvokeConfig").values()
    assert settings["MaximumRetryAttempts"] == 0
    assert settings["FunctionName"] == {"Ref": releaser_of(code)}


def lambda_actions(function):
    return {
        f"lambda:GetAlias on {function}",
        f"lambda:GetAlias on {function}:live",
        f"lambda:GetFunctionConfiguration on {function}",
        f"lambda:GetFunctionConfiguration on {function}:*",
        f"lambda:PublishVersion on {function}",
        f"lambda:UpdateFunctionCode on {function}",
    }


def test_the_releaser_may_release_this_function_and_nothing_else(code, plain):
    for template, pruning in ((code, True), (plain, False)):
        function = f"<{id_of(template, 'AWS::Lambda::Function', 'Greeter')}.Arn>"
        prune = {
            f"lambda:DeleteFunction on {function}:*",
            f"lambda:ListAliases on {function}",
            f"lambda:ListVersionsByFunction on {function}",
        }
        allows = allowed(template, "DeploymentReleaserRolePolicy")
        of_lambda = {line for line in allows if line.startswith("lambda:")}
        assert of_lambda == lambda_actions(function) | (prune if pruning else set())
        name = only(template, "AWS::CodeDeploy::Application")["ApplicationName"]
        here = "arn:<AWS::Partition>:codedeploy:<AWS::Region>:<AWS::AccountId>"
        assert {line for line in allows if line.startswith("codedeploy:")} == {
            f"codedeploy:CreateDeployment on {here}:deploymentgroup:{name}/{name}",
            f"codedeploy:GetApplicationRevision on {here}:application:{name}",
            f"codedeploy:GetDeployment on {here}:deploymentgroup:{name}/{name}",
            f"codedeploy:GetDeploymentConfig on "
            f"{here}:deploymentconfig:CodeDeployDefault.LambdaCanary10Percent5Minutes",
            f"codedeploy:ListDeployments on {here}:deploymentgroup:{name}/{name}",
            f"codedeploy:RegisterApplicationRevision on {here}:application:{name}",
        }
        # Artifacts it reads in the name of CodePipeline's job, and not in its own.
        assert {line.partition(":")[0] for line in allows} == {"codedeploy", "codepipeline", "lambda", "logs"}


def test_the_pipeline_may_call_the_releaser_and_touches_no_function_itself(code):
    allows = {line for line in allowed(code, "PipelineRolePolicy") if line.startswith(("lambda:", "codedeploy:"))}
    assert allows == {f"lambda:InvokeFunction on <{releaser_of(code)}.Arn>", "lambda:ListFunctions on *"}


def test_codedeploy_rolls_back_on_failure_and_on_the_aliass_alarms(code, plain):
    group = only(plain, GROUP)
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    assert group["AutoRollbackConfiguration"]["Events"] == ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
    metrics = {alarm["MetricName"] for alarm in of_type(plain, "AWS::CloudWatch::Alarm").values()}
    assert metrics == {"Errors", "Throttles", "Duration"}
    named = {alarm["Name"]["Ref"] for alarm in only(code, GROUP)["AlarmConfiguration"]["Alarms"]}
    assert named == set(of_type(code, "AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize("name", ["Code", "Action"])
def test_later_actions_can_name_the_version(app, name):
    template = synthesized(app.node.find_child(name))
    [look] = actions_of(template, "Look")
    deploy = actions_of(template, "Production")[-1]
    [asked, *_] = text_of(look["Configuration"]["CustomData"]).splitlines()
    assert asked == f"Is version #{{{deploy['Namespace']}.FunctionVersion}} well?"


def test_codepipelines_own_action_gets_alias_strategy_and_alarms(action):
    [_, deploy] = actions_of(action, "Production")
    assert deploy["ActionTypeId"] == {"Category": "Deploy", "Owner": "AWS", "Provider": "Lambda", "Version": "1"}
    assert deploy["InputArtifacts"] == [{"Name": "Build"}]
    assert "OutputArtifacts" not in deploy
    assert deploy["RunOrder"] == 2
    configuration = dict(deploy["Configuration"])
    # An alarm that was added after the stage is among them.
    alarms = text_of(configuration.pop("Alarms")).split(",")
    assert alarms == [f"<{alarm}>" for alarm in of_type(action, "AWS::CloudWatch::Alarm")]
    assert len(alarms) == 4
    assert configuration == {
        "FunctionName": {"Ref": id_of(action, "AWS::Lambda::Function", "Greeter")},
        "FunctionAlias": "stable",
        "DeployStrategy": "Linear25PercentEvery1Minute",
    }
    assert of_type(action, GROUP) == {}


def test_the_pipeline_may_do_what_its_action_does(action):
    function = f"<{id_of(action, 'AWS::Lambda::Function', 'Greeter')}.Arn>"
    log = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/codepipeline/Action-Pipeline"
    names = (
        "GetAlias",
        "GetFunctionConfiguration",
        "GetProvisionedConcurrencyConfig",
        "PublishVersion",
        "UpdateAlias",
        "UpdateFunctionCode",
    )
    allows = allowed(action, "PipelineRolePolicy")
    assert {line for line in allows if line.startswith(("lambda:", "cloudwatch:", "logs:"))} == {
        *(f"lambda:{name} on {function}" for name in names),
        *(f"lambda:{name} on {function}:*" for name in names),
        "cloudwatch:DescribeAlarms on *",
        # CloudWatch Logs wants CreateLogGroup allowed on `<group>:log-stream:`.
        *(
            f"logs:{name} on {log}{end}"
            for name in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")
            for end in ("", ":*")
        ),
    }


def test_a_long_shift_by_the_action_is_a_risk_that_is_told():
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    routing = linear(percentage=10, interval=Duration.minutes(10))
    deployment = LambdaActionDeployment(stack, "Deployment", function=function, traffic_routing=routing)
    [warning] = [entry.data for entry in deployment.node.metadata if "warning" in entry.type]
    assert "Linear10PercentEvery10Minutes takes 90 minutes" in warning


def test_a_shift_that_codepipeline_would_not_wait_for_is_refused():
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    routing = canary(percentage=10, interval=Duration.hours(24))
    with refuses("takes 1440 minutes", "gives up after a day", at="Shop/Deployment", fix="1380 minutes"):
        LambdaCodeDeployment(stack, "Deployment", function=function, traffic_routing=routing)


def test_the_action_wants_to_know_the_traffic_routing():
    stack = a_stack()
    minutes = CfnParameter(stack, "Minutes", type="Number").value_as_number
    routing = canary(percentage=10, interval=Duration.minutes(minutes))
    function = LambdaFunction(stack, "Greeter").function
    with refuses("not known at synth time", at="Shop/Deployment", fix="plain numbers"):
        LambdaActionDeployment(stack, "Deployment", function=function, traffic_routing=routing)


@BOTH
def test_a_function_from_an_image_is_refused(kind):
    stack = a_stack()
    image = lambda_.Function(
        stack,
        "Image",
        runtime=lambda_.Runtime.FROM_IMAGE,
        handler=lambda_.Handler.FROM_IMAGE,
        code=lambda_.Code.from_ecr_image(repository_of(stack)),
    )
    with refuses("function 'Shop/Image' runs an image", at="Shop/Deployment", fix="LambdaDeployment"):
        kind(stack, "Deployment", function=image)


def repository_of(stack):
    from aws_cdk import aws_ecr as ecr

    return ecr.Repository(stack, "Repository")


@BOTH
def test_a_function_that_is_not_ours_is_refused(kind):
    stack = a_stack()
    imported = lambda_.Function.from_function_name(stack, "Imported", "greeter")
    with refuses("function 'Shop/Imported' is not made in this app", at="Shop/Deployment", fix="lambda_.Function"):
        kind(stack, "Deployment", function=imported)


@BOTH
def test_a_function_is_not_released_in_two_ways(kind):
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    LambdaDeployment(stack, "WithTheStack", function=function)
    with refuses("has a deployment already", at="Shop/Deployment", fix="use 'Shop/WithTheStack'"):
        kind(stack, "Deployment", function=function)


@BOTH
def test_a_gate_without_alarms_is_refused(kind):
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    with refuses("has no alarms", at="Shop/Deployment", fix="watch()"):
        kind(stack, "Deployment", function=function, health=HealthGate(stack, "Health"))


@BOTH
def test_the_version_of_a_deployment_in_no_pipeline_is_refused(kind):
    stack = a_stack()
    deployment = kind(stack, "Deployment", function=LambdaFunction(stack, "Greeter").function)
    with refuses("in no pipeline", at="Shop/Deployment", fix="add it to a stage first"):
        _ = deployment.function_version


def test_more_alarms_than_the_action_takes_are_refused_before_and_after():
    stack = a_stack()
    many = HealthGate(stack, "Many", alarms=[orders(stack, f"A{n}") for n in range(11)])
    function = LambdaFunction(stack, "Greeter").function
    with refuses("11 alarms in health gate 'Shop/Many'", at="Shop/TooMany", fix="CompositeAlarm"):
        LambdaActionDeployment(stack, "TooMany", function=function, health=many)
    ten = HealthGate(stack, "Ten", alarms=[orders(stack, f"B{n}") for n in range(10)])
    LambdaActionDeployment(stack, "Deployment", function=function, health=ten)
    with refuses("11 alarms in health gate 'Shop/Ten'", at="Shop/Deployment", fix="or use LambdaCodeDeployment"):
        ten.add_alarm(orders(stack, "OneMore"))


def test_keeping_no_version_to_go_back_to_is_refused():
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    with refuses("keep_versions=1", at="Shop/Deployment", fix="keep 2 or more"):
        LambdaCodeDeployment(stack, "Deployment", function=function, keep_versions=1)


@BOTH
def test_what_is_refused_leaves_nothing_behind(kind):
    stack = a_stack()
    function = LambdaFunction(stack, "Greeter").function
    before = {child.node.path for child in stack.node.find_all()}
    with pytest.raises(ConfigurationError):
        kind(stack, "Deployment", function=function, alias_name="12")
    assert {child.node.path for child in stack.node.find_all()} - before == {"Shop/Deployment"}


def test_fails_when_what_makes_the_function_is_given_for_it():
    stack = a_stack()
    with refuses("function= is a LambdaFunction", at="Shop/Deployment", fix="give its .function"):
        LambdaCodeDeployment(stack, "Deployment", function=LambdaFunction(stack, "Greeter"))  # type: ignore[arg-type]
