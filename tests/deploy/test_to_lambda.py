"""Lambda deployments with the stack: alias, alarms, hooks and versions, and no circle between them."""

import json
from pathlib import Path

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import ConfigurationError, DeliveryPipeline, DeploymentHook, HealthGate, SmokeTest
from code_family_constructs.deploy.to_lambda import LambdaDeployment
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_source, a_stack, allowed, of_type, only, refuses

GROUP = "AWS::CodeDeploy::DeploymentGroup"
canary, linear = codedeploy.TrafficRouting.time_based_canary, codedeploy.TrafficRouting.time_based_linear


def a_function(stack, id_="Greeter", **settings):
    return lambda_.Function(
        stack,
        id_,
        runtime=lambda_.Runtime.PYTHON_3_14,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
        **settings,
    )


def a_hook(stack, id_):
    return DeploymentHook(stack, id_, check=SmokeTest("https://greeter.acme.example"))


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = App(outdir=str(tmp_path_factory.mktemp("lambda")), analytics_reporting=False)

    plain = Stack(app, "Plain")
    LambdaDeployment(plain, "Deployment", function=a_function(plain, timeout=Duration.seconds(20)))

    full = Stack(app, "Full")
    function = a_function(full)
    health = HealthGate(full, "Health")
    health.watch_function_alias(function_name=function.function_name, alias_name="stable", timeout=Duration.seconds(3))
    deployment = LambdaDeployment(
        full,
        "Deployment",
        function=function,
        alias_name="stable",
        traffic_routing=linear(percentage=20, interval=Duration.minutes(7)),
        health=health,
        pre_traffic_hook=a_hook(full, "Before"),
        post_traffic_hook=a_hook(full, "After"),
        keep_versions=5,
        application_name="greeter",
    )
    # aws-cdk-lib's own metric of the alias, added later.
    health.add_alarm(deployment.alias.metric_errors().create_alarm(full, "Added", threshold=5, evaluation_periods=1))
    return app


@pytest.fixture(scope="module")
def plain(app):
    return synthesized(app.node.find_child("Plain"))


@pytest.fixture(scope="module")
def full(app):
    return synthesized(app.node.find_child("Full"))


def id_of(template, type_):
    [name] = of_type(template, type_)
    return name


def test_an_update_of_the_stack_shifts_the_alias_to_the_new_version(plain):
    version, alias = id_of(plain, "AWS::Lambda::Version"), id_of(plain, "AWS::Lambda::Alias")
    assert only(plain, "AWS::Lambda::Alias") == {
        "FunctionName": {"Ref": id_of(plain, "AWS::Lambda::Function")},
        "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
        "Name": "live",
    }
    assert plain["Resources"][alias]["UpdatePolicy"] == {
        "CodeDeployLambdaAliasUpdate": {
            "ApplicationName": {"Ref": id_of(plain, "AWS::CodeDeploy::Application")},
            "DeploymentGroupName": {"Ref": id_of(plain, GROUP)},
        }
    }
    assert only(plain, "AWS::CodeDeploy::Application") == {
        "ApplicationName": "Plain-Deployment",
        "ComputePlatform": "Lambda",
    }


def test_a_change_of_code_or_configuration_makes_a_version_and_keeps_the_alias():
    def ids(**settings):
        stack = a_stack()
        LambdaDeployment(stack, "Deployment", function=a_function(stack, **settings))
        template = synthesized(stack)
        return id_of(template, "AWS::Lambda::Version"), id_of(template, "AWS::Lambda::Alias")

    (version, alias), (same, _), (other, kept) = ids(), ids(), ids(memory_size=512)
    assert version == same
    assert version != other
    assert alias == kept


def test_old_versions_stay_unless_their_own_update_is_undone(plain):
    version = plain["Resources"][id_of(plain, "AWS::Lambda::Version")]
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_a_deployment_that_fails_or_raises_an_alarm_is_rolled_back(plain):
    group = only(plain, GROUP)
    assert group["AutoRollbackConfiguration"] == {
        "Enabled": True,
        "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
    }
    alarms = group["AlarmConfiguration"]
    assert (alarms["Enabled"], alarms.get("IgnorePollAlarmFailure", False)) == (True, False)
    assert {alarm["Name"]["Ref"] for alarm in alarms["Alarms"]} == set(of_type(plain, "AWS::CloudWatch::Alarm"))


def test_without_a_gate_it_watches_errors_throttles_and_duration_of_the_alias(plain):
    alarms = of_type(plain, "AWS::CloudWatch::Alarm").values()
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "Throttles", "Duration"}
    [duration] = [alarm for alarm in alarms if alarm["MetricName"] == "Duration"]
    assert 10_000 < duration["Threshold"] < 20_000
    function = id_of(plain, "AWS::Lambda::Function")
    for alarm in alarms:
        dimensions = {each["Name"]: text_of(each["Value"]) for each in alarm["Dimensions"]}
        assert dimensions == {"FunctionName": f"<{function}>", "Resource": f"<{function}>:live"}


def test_a_gate_takes_the_place_of_these_alarms_and_later_ones_reach_the_group(full):
    named = {alarm["Name"]["Ref"] for alarm in only(full, GROUP)["AlarmConfiguration"]["Alarms"]}
    assert named == set(of_type(full, "AWS::CloudWatch::Alarm"))
    assert len(named) == 4


@pytest.mark.parametrize("name", ["Plain", "Full"])
def test_nothing_waits_for_itself(app, name):
    """E3004 is what CloudFormation calls a circular dependency; without a control, a linter proves nothing."""
    app.synth()
    problems = lint_file(Path(app.outdir, f"{name}.template.json"), ManualArgs(regions=["eu-west-1"]))
    assert [str(problem) for problem in problems if problem.rule.id.startswith("E")] == []


def test_the_linter_would_see_a_circle(plain, tmp_path):
    alias = id_of(plain, "AWS::Lambda::Alias")
    circular = json.loads(json.dumps(plain))
    [alarm, *_] = of_type(circular, "AWS::CloudWatch::Alarm").values()
    alarm["Dimensions"][0]["Value"] = {"Ref": alias}
    (tmp_path / "template.json").write_text(json.dumps(circular))
    problems = lint_file(tmp_path / "template.json", ManualArgs(regions=["eu-west-1"]))
    assert "E3004" in {problem.rule.id for problem in problems}


def test_an_alarm_that_refers_to_the_alias_is_refused():
    stack = a_stack()
    deployment = LambdaDeployment(stack, "Deployment", function=a_function(stack))
    metric = cloudwatch.Metric(
        namespace="Shop", metric_name="orders", dimensions_map={"Function": deployment.alias.function_arn}
    )
    alarm = metric.create_alarm(stack, "Orders", threshold=1, evaluation_periods=1)
    with refuses("alarm 'Shop/Orders' refers to alias 'live'", at="Shop/Deployment", fix="as text in its dimensions"):
        deployment.health.add_alarm(alarm)


def test_an_expression_that_refers_to_the_alias_is_refused_too():
    stack = a_stack()
    deployment = LambdaDeployment(stack, "Deployment", function=a_function(stack))
    orders = cloudwatch.Metric(
        namespace="Shop", metric_name="orders", dimensions_map={"Function": deployment.alias.function_name}
    )
    half = cloudwatch.MathExpression(expression="orders / 2", using_metrics={"orders": orders})
    alarm = half.create_alarm(stack, "Orders", threshold=1, evaluation_periods=1)
    with refuses("refers to alias 'live'", at="Shop/Deployment", fix="watch_function_alias()"):
        deployment.health.add_alarm(alarm)


@pytest.mark.parametrize("minutes", [5, 10, 15, 30])
def test_canaries_that_codedeploy_has_are_not_made_again(minutes):
    assert config_of(canary(percentage=10, interval=Duration.minutes(minutes))) == (
        f"CodeDeployDefault.LambdaCanary10Percent{minutes}Minutes",
        {},
    )


@pytest.mark.parametrize(
    ("minutes", "name"), [(1, "1Minute"), (2, "2Minutes"), (3, "3Minutes"), (10, "10Minutes")], ids=str
)
def test_linear_shifts_that_codedeploy_has_are_not_made_again(minutes, name):
    assert config_of(linear(percentage=10, interval=Duration.minutes(minutes))) == (
        f"CodeDeployDefault.LambdaLinear10PercentEvery{name}",
        {},
    )


def test_all_at_once_is_one_of_them():
    assert config_of(codedeploy.TrafficRouting.all_at_once()) == ("CodeDeployDefault.LambdaAllAtOnce", {})


def config_of(routing):
    stack = a_stack()
    LambdaDeployment(stack, "Deployment", function=a_function(stack), traffic_routing=routing)
    template = synthesized(stack)
    return only(template, GROUP)["DeploymentConfigName"], of_type(template, "AWS::CodeDeploy::DeploymentConfig")


def test_another_traffic_routing_is_a_configuration_with_a_name_of_its_own(full):
    """With a name that stays the same, CloudFormation could never replace it."""
    assert only(full, "AWS::CodeDeploy::DeploymentConfig") == {
        "ComputePlatform": "Lambda",
        "DeploymentConfigName": "greeter-Linear20PercentEvery7Minutes",
        "TrafficRoutingConfig": {
            "TimeBasedLinear": {"LinearInterval": 7, "LinearPercentage": 20},
            "Type": "TimeBasedLinear",
        },
    }
    config = id_of(full, "AWS::CodeDeploy::DeploymentConfig")
    assert only(full, GROUP)["DeploymentConfigName"] == {"Ref": config}


def test_a_traffic_routing_that_only_the_deployment_knows_gets_its_name_there():
    stack = a_stack()
    minutes = CfnParameter(stack, "Minutes", type="Number").value_as_number
    routing = canary(percentage=10, interval=Duration.minutes(minutes))
    LambdaDeployment(stack, "Deployment", function=a_function(stack), traffic_routing=routing)
    config = only(synthesized(stack), "AWS::CodeDeploy::DeploymentConfig")
    assert "DeploymentConfigName" not in config
    assert config["TrafficRoutingConfig"]["TimeBasedCanary"]["CanaryInterval"] == {"Ref": "Minutes"}


def test_codedeploy_may_shift_this_function_and_call_these_hooks_and_nothing_else(plain, full):
    function = f"<{id_of(plain, 'AWS::Lambda::Function')}.Arn>"
    alias = {
        f"lambda:GetAlias on {function}",
        f"lambda:GetAlias on {function}:live",
        f"lambda:GetProvisionedConcurrencyConfig on {function}:live",
        f"lambda:UpdateAlias on {function}",
        f"lambda:UpdateAlias on {function}:live",
        "cloudwatch:DescribeAlarms on *",
    }
    assert allowed(plain, "DeploymentRolePolicy") == alias
    invoked = {line for line in allowed(full, "DeploymentRolePolicy") if line.startswith("lambda:InvokeFunction")}
    hooks = [name for name in of_type(full, "AWS::Lambda::Function") if name.startswith(("Before", "After"))]
    assert invoked == {f"lambda:InvokeFunction on <{hook}.Arn>" for hook in hooks}
    assert len(hooks) == 2
    assert of_type(full, "AWS::IAM::Policy").keys() <= {"GreeterServiceRoleDefaultPolicy"}


def test_codedeploy_takes_the_role_for_this_group_only(plain):
    [trust] = [
        role["AssumeRolePolicyDocument"]["Statement"][0]
        for name, role in of_type(plain, "AWS::IAM::Role").items()
        if name.startswith("DeploymentRole")
    ]
    assert trust["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    assert text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"]) == (
        "arn:<AWS::Partition>:codedeploy:<AWS::Region>:<AWS::AccountId>:"
        "deploymentgroup:Plain-Deployment/Plain-Deployment"
    )


def test_hooks_run_before_and_after_the_shift_and_report_to_this_group(full):
    alias = full["Resources"][id_of(full, "AWS::Lambda::Alias")]
    policy = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"]["Ref"].startswith("BeforeFunction")
    assert policy["AfterAllowTrafficHook"]["Ref"].startswith("AfterFunction")
    for hook in ("Before", "After"):
        reports = [line for line in allowed(full, f"{hook}Function") if line.startswith("codedeploy:")]
        assert [line.rpartition(":")[2] for line in reports] == ["greeter/greeter"]


def test_old_versions_are_deleted_on_request_and_after_the_shift(plain, full):
    assert of_type(plain, "Custom::PruneVersions") == {}
    [prune] = [each for each in full["Resources"].values() if each["Type"] == "Custom::PruneVersions"]
    assert id_of(full, "AWS::Lambda::Alias") in prune["DependsOn"]
    version = id_of(full, "AWS::Lambda::Version")
    properties = {name: value for name, value in prune["Properties"].items() if name != "ServiceToken"}
    assert properties["Keep"] == "5"
    # A value that changes with each release, or CloudFormation would not call it.
    assert properties["Version"] == {"Fn::GetAtt": [version, "Version"]}


def test_who_deletes_versions_cannot_delete_the_function(full):
    [function] = [name for name in of_type(full, "AWS::Lambda::Function") if name.startswith("Greeter")]
    allows = allowed(full, "DeploymentPrunerRolePolicy")
    assert {line for line in allows if line.startswith("lambda:")} == {
        f"lambda:DeleteFunction on <{function}.Arn>:*",
        f"lambda:ListAliases on <{function}.Arn>",
        f"lambda:ListVersionsByFunction on <{function}.Arn>",
    }
    assert {line.partition(":")[0] for line in allows} == {"lambda", "logs"}


def test_it_is_nothing_that_a_stage_deploys():
    """Mypy says so first: without an error there, its own check for unused ignores would fail."""
    stack = a_stack()
    deployment = LambdaDeployment(stack, "Deployment", function=a_function(stack))
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source())
    with refuses("is a LambdaDeployment", at="Shop/Pipeline", fix="give it an action"):
        pipeline.add_stage("Production", deploy=deployment)  # type: ignore[arg-type]


def test_a_timeout_that_only_the_deployment_knows_leaves_the_duration_alone_and_says_so():
    stack = a_stack()
    seconds = CfnParameter(stack, "Seconds", type="Number").value_as_number
    LambdaDeployment(stack, "Deployment", function=a_function(stack, timeout=Duration.seconds(seconds)))
    template = synthesized(stack)
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "Throttles"}
    [warning] = [entry.data for entry in stack.node.find_child("Deployment").node.metadata if "warning" in entry.type]
    assert "no alarm watches how close" in warning


def test_a_function_that_is_not_ours_is_refused():
    stack = a_stack()
    imported = lambda_.Function.from_function_name(stack, "Imported", "greeter")
    with refuses("function 'Shop/Imported' is not made in this app", at="Shop/Deployment", fix="lambda_.Function"):
        LambdaDeployment(stack, "Deployment", function=imported)  # type: ignore[arg-type]


def test_a_function_of_another_stack_is_refused():
    stack = a_stack()
    other = Stack(App.of(stack), "Other")
    with refuses("function 'Other/Greeter' is in another stack", at="Shop/Deployment", fix="the function's own stack"):
        LambdaDeployment(stack, "Deployment", function=a_function(other))


@pytest.mark.parametrize("keep", [-1, 0, 1])
def test_keeping_no_version_to_go_back_to_is_refused(keep):
    stack = a_stack()
    with refuses(f"keep_versions={keep}", "no version to go back to", at="Shop/Deployment", fix="keep 2 or more"):
        LambdaDeployment(stack, "Deployment", function=a_function(stack), keep_versions=keep)


def test_a_number_of_versions_that_nobody_knows_is_refused():
    stack = a_stack()
    keep = CfnParameter(stack, "Keep", type="Number").value_as_number
    with refuses("keep_versions is not known", at="Shop/Deployment", fix="a plain number"):
        LambdaDeployment(stack, "Deployment", function=a_function(stack), keep_versions=keep)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "problem"), [("12", "looks like a version"), ("a b", "' '"), ("$LATEST", "'$'")])
def test_an_alias_that_lambda_would_refuse_is_refused(name, problem):
    stack = a_stack()
    with pytest.raises(ConfigurationError) as refused:
        LambdaDeployment(stack, "Deployment", function=a_function(stack), alias_name=name)
    assert problem in refused.value.problem


def test_two_deployments_of_one_alias_are_refused():
    stack = a_stack()
    function = a_function(stack)
    LambdaDeployment(stack, "One", function=function)
    LambdaDeployment(stack, "Preview", function=function, alias_name="preview")
    with refuses("alias 'live' of function 'Shop/Greeter' has a deployment", at="Shop/Two", fix="use 'Shop/One'"):
        LambdaDeployment(stack, "Two", function=function)


def test_a_gate_without_alarms_is_refused():
    stack = a_stack()
    with refuses("has no alarms", at="Shop/Deployment", fix="watch()"):
        LambdaDeployment(stack, "Deployment", function=a_function(stack), health=HealthGate(stack, "Health"))


def test_a_traffic_routing_that_codedeploy_would_refuse_is_refused():
    stack = a_stack()
    routing = canary(percentage=100, interval=Duration.minutes(5))
    with refuses("100 percent", at="Shop/Deployment", fix="1 to 99"):
        LambdaDeployment(stack, "Deployment", function=a_function(stack), traffic_routing=routing)


def test_a_name_too_long_for_a_configuration_is_refused():
    stack = a_stack()
    routing = canary(percentage=11, interval=Duration.minutes(11))
    name = "x" * 90
    with refuses("characters, AWS takes 1 to 100", at="Shop/Deployment", fix="give a shorter application_name="):
        LambdaDeployment(
            stack, "Deployment", function=a_function(stack), traffic_routing=routing, application_name=name
        )


def test_what_is_refused_leaves_nothing_behind():
    stack = a_stack()
    function = a_function(stack)
    before = {child.node.path for child in stack.node.find_all()}
    with pytest.raises(ConfigurationError):
        LambdaDeployment(stack, "Deployment", function=function, keep_versions=1)
    assert {child.node.path for child in stack.node.find_all()} - before == {"Shop/Deployment"}
