"""Hooks: what is deployed runs in Lambda, says what it has to, is let in where it has to go, and may do little."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, NestedStack, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Annotations, Match
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import ConfigurationError, Statement
from code_family_constructs.deploy.hooks import DeploymentHook, check_hooks
from code_family_constructs.smoke_test import SmokeTest
from code_family_constructs.testing import synthesized
from tests.deploy import hook_checks
from tests.helpers import a_stack, allowed, of_type, only, refuses

GROUP = "arn:aws:codedeploy:eu-west-1:111122223333:deploymentgroup:Shop/Shop"
URL = "https://shop.example:8443/health"
ECS_EVENT = {
    "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
    "resourceArn": "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/web/0a1b",
    "executionDetails": {"targetServiceRevisionArn": "green", "testTrafficWeights": {}, "productionTrafficWeights": {}},
}


def a_vpc(stack, **others):
    subnets = {"private_subnet_ids": ["subnet-12345678", "subnet-22345678"], **others}
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-12345678", availability_zones=["us-east-1a", "us-east-1b"], **subnets
    )


class Reference:
    """Hooks with and without a VPC, with both cdk-nag packs looking on."""

    def __init__(self, folder):
        app = App(outdir=str(folder), analytics_reporting=False)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        self.folder = folder
        public = Stack(app, "Public")
        own = DeploymentHook(
            public,
            "Orders",
            check=hook_checks.orders_arrive,
            timeout=Duration.minutes(2),
            statements=[
                Statement(actions=["sqs:GetQueueAttributes"], resources=["arn:aws:sqs:us-east-1:111122223333:orders"])
            ],
            environment={"ORDERS": "3"},
        )
        for group in (GROUP, f"{GROUP}2", GROUP):
            own.report_to(group)
        inside = Stack(app, "Inside")
        vpc = a_vpc(inside)
        balancer = CfnParameter(inside, "LoadBalancer").value_as_string
        smoke = SmokeTest(URL, contains="welcome", load_balancer=balancer)
        self.hook = DeploymentHook(inside, "Smoke", check=smoke, vpc=vpc)
        listener = ec2.SecurityGroup(inside, "Listener", vpc=vpc, description="Test listener", allow_all_outbound=False)
        listener.connections.allow_from(self.hook, ec2.Port.tcp(8443))
        self.public, self.inside = synthesized(public), synthesized(inside)
        self.report = json.loads((folder / "validation-report.json").read_text())

    def asset(self, template):
        code = only(template, "AWS::Lambda::Function")["Code"]
        return self.folder / f"asset.{code['S3Key'].removesuffix('.zip')}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("hooks"))


def as_lambda_would(folder, event, **environment):
    """Calls the handler from the folder of the code, with nothing of this package but what is in there."""
    script = f"""
import sys; sys.path.insert(0, ".")
import json, index
class Context:
    def get_remaining_time_in_millis(self): return 60_000
print(json.dumps(index.handler({event!r}, Context())))
"""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    return subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("orders", "status"), [("3", "SUCCEEDED"), ("0", "FAILED"), ("none", "FAILED")])
def test_what_is_deployed_runs_the_users_own_check(reference, orders, status):
    environment = only(reference.public, "AWS::Lambda::Function")["Environment"]["Variables"]
    done = as_lambda_would(reference.asset(reference.public), ECS_EVENT, **{**environment, "ORDERS": orders})
    assert json.loads(done.stdout.splitlines()[-1]) == {"hookStatus": status}, done.stderr
    assert f"asked about {ECS_EVENT['resourceArn']}" in done.stderr


def test_what_is_deployed_runs_the_smoke_test(reference):
    folder = reference.asset(reference.inside)
    settings = {"url": "http://127.0.0.1:1/", "method": "GET", "headers": {}, "expected_status": 200}
    settings |= {"retries": 0, "wait": 1, "timeout": 1}
    done = as_lambda_would(folder, ECS_EVENT, CODE_FAMILY_HOOK=json.dumps(settings))
    assert json.loads(done.stdout.splitlines()[-1]) == {"hookStatus": "FAILED"}, done.stderr
    assert "failed: ConnectionRefusedError" in done.stdout


def test_the_smoke_tests_settings_arrive_whole(reference):
    joined = only(reference.inside, "AWS::Lambda::Function")["Environment"]["Variables"]["CODE_FAMILY_HOOK"]
    text = "".join("app/shop/0a1b" if part == {"Ref": "LoadBalancer"} else part for part in joined["Fn::Join"][1])
    assert json.loads(text) == {
        "url": URL,
        "expected_status": 200,
        "contains": "welcome",
        "method": "GET",
        "headers": {},
        "load_balancer": "app/shop/0a1b",
        "retries": 5,
        "wait": 10,
        "timeout": 10,
    }


def test_it_may_report_to_its_deployment_groups_and_do_what_was_said(reference):
    (logs,) = of_type(reference.public, "AWS::Logs::LogGroup")
    assert allowed(reference.public, "OrdersFunctionRolePolicy") == {
        f"logs:CreateLogStream on <{logs}.Arn>",
        f"logs:PutLogEvents on <{logs}.Arn>",
        "sqs:GetQueueAttributes on arn:aws:sqs:us-east-1:111122223333:orders",
        f"codedeploy:PutLifecycleEventHookExecutionStatus on {GROUP}",
        f"codedeploy:PutLifecycleEventHookExecutionStatus on {GROUP}2",
    }


def test_lambda_may_attach_it_to_the_vpc_and_its_own_code_may_not(reference):
    policy = only(reference.inside, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    network = [statement for statement in policy if statement["Resource"] == ["*"]]
    by_lambda = next(statement for statement in network if "ec2:CreateNetworkInterface" in statement["Action"])
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    assert by_lambda["Action"] == [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]
    assert by_lambda["Condition"] == {"Null": {"lambda:SourceFunctionArn": "true"}}
    by_code = [statement["Action"] for statement in network if "Condition" not in statement]
    assert by_code == [["ec2:DescribeNetworkInterfaces"]]


def test_it_is_let_in_by_the_listener_as_a_peer(reference):
    (rule,) = of_type(reference.inside, "AWS::EC2::SecurityGroupIngress").values()
    (group,) = (name for name in of_type(reference.inside, "AWS::EC2::SecurityGroup") if name.startswith("Smoke"))
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    assert rule["ToPort"] == 8443
    function = only(reference.inside, "AWS::Lambda::Function")
    assert function["VpcConfig"] == {
        "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
        "SubnetIds": ["subnet-12345678", "subnet-22345678"],
    }


def test_its_name_is_known_when_an_appspec_is_written(reference):
    assert reference.hook.function_name == "Inside-Smoke"
    assert only(reference.inside, "AWS::Lambda::Function")["FunctionName"] == "Inside-Smoke"


def test_lambda_gives_it_time_to_report(reference):
    assert only(reference.public, "AWS::Lambda::Function")["Timeout"] == 120 + 35


def test_both_nag_packs_looked_and_found_nothing(reference):
    packs = {pack["pluginName"]: pack["violations"] for pack in reference.report["pluginReports"]}
    assert packs == {"AwsSolutions": [], "NIST.800.53.R5": []}


@pytest.mark.parametrize("stack", ["Public", "Inside"])
def test_cfn_lint_accepts_the_template(reference, stack):
    # W3005: aws-cdk-lib makes a function wait for a role that it refers to anyway.
    settings = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    problems = lint_file(reference.folder / f"{stack}.template.json", settings)
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []


@pytest.mark.parametrize("seconds", [0, 866, 900])
def test_fails_when_the_check_is_done_before_it_starts_or_after_lambda_has_ended_it(seconds):
    with refuses(f"a check of {seconds} seconds", at="Shop/Hook", fix="whole seconds from 1 to 865"):
        DeploymentHook(a_stack(), "Hook", check=hook_checks.never, timeout=Duration.seconds(seconds))


def test_fails_when_the_timeout_is_no_whole_number_of_seconds():
    with refuses("a check of 1.5 seconds", at="Shop/Hook", fix="whole seconds"):
        DeploymentHook(a_stack(), "Hook", check=hook_checks.never, timeout=Duration.millis(1500))


def test_fails_when_only_the_deployment_knows_the_timeout():
    stack = a_stack()
    later = Duration.seconds(CfnParameter(stack, "Seconds", type="Number").value_as_number)
    with refuses("only known when the stack is deployed", at="Shop/Hook", fix="whole seconds from 1"):
        DeploymentHook(stack, "Hook", check=hook_checks.never, timeout=later)


def test_fails_when_the_smoke_test_takes_longer_than_the_hook():
    # Three tries and two waits: 3 x 10 + 2 x 20.
    test = SmokeTest(URL, retries=2, wait=Duration.seconds(20))
    with refuses("up to 70 seconds, in a hook that has 69", at="Shop/Hook", fix="or the hook a longer timeout="):
        DeploymentHook(a_stack(), "Hook", check=test, timeout=Duration.seconds(69))
    DeploymentHook(a_stack(), "Hook", check=test, timeout=Duration.seconds(70))


def test_what_only_the_deployment_knows_of_a_smoke_test_is_let_through():
    stack = a_stack()
    number = CfnParameter(stack, "Number", type="Number").value_as_number
    text = CfnParameter(stack, "Text").value_as_string
    vpc = a_vpc(stack)
    for test in (
        SmokeTest(text),
        SmokeTest(f"https://{text}/health", headers={"x": text}, load_balancer=text),
        SmokeTest(f"http://shop.example:{text}", expected_status=number, retries=number),  # type: ignore[arg-type]
        SmokeTest(URL, wait=Duration.seconds(number)),
        SmokeTest(URL, timeout=Duration.seconds(number)),
    ):
        id = f"Hook{len(stack.node.children)}"
        DeploymentHook(stack, id, check=test, timeout=Duration.seconds(110), vpc=vpc)


def test_fails_when_the_check_could_not_run_in_lambda():
    with refuses("is a lambda", at="Shop/Hook", fix="at the top of a module"):
        DeploymentHook(a_stack(), "Hook", check=lambda deployment: True)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "CODE_FAMILY_HOOK"])
def test_fails_when_an_environment_variable_is_taken(name):
    with refuses(f"environment variable {name} is taken", at="Shop/Hook", fix="call it otherwise"):
        DeploymentHook(a_stack(), "Hook", check=hook_checks.never, environment={name: "x"})


@pytest.mark.parametrize("name", ["1ST", "A", "a-b", "_x", ""])
def test_fails_when_lambda_refuses_an_environment_variable(name):
    with refuses(f"environment variable {name!r}", at="Shop/Hook", fix="a letter first"):
        DeploymentHook(a_stack(), "Hook", check=hook_checks.never, environment={name: "x"})


def test_fails_when_the_environment_is_more_than_lambda_takes():
    with refuses("bytes of environment variables", "Lambda takes 4096", at="Shop/Hook", fix="read long values"):
        DeploymentHook(a_stack(), "Hook", check=hook_checks.never, environment={"TABLE": "ä" * 2048})


@pytest.mark.parametrize("place", ["subnets", "groups"])
def test_fails_when_a_place_in_a_vpc_is_named_but_no_vpc(place):
    stack = a_stack()
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")
    where = (
        {"vpc_subnets": ec2.SubnetSelection(one_per_az=True)} if place == "subnets" else {"security_groups": [group]}
    )
    with refuses("but no VPC", at="Shop/Hook", fix="give vpc="):
        DeploymentHook(stack, "Hook", check=hook_checks.never, **where)


def test_fails_when_a_load_balancer_is_to_be_reached_inside_of_a_vpc_from_outside():
    test = SmokeTest(URL, load_balancer="app/shop/0123456789abcdef")
    with refuses("but the hook is in no VPC", at="Shop/Hook", fix="give the hook vpc="):
        DeploymentHook(a_stack(), "Hook", check=test)


def test_fails_when_the_subnets_are_public():
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=None, public_subnet_ids=["subnet-12345678", "subnet-22345678"])
    with refuses("a hook in public subnets", at="Shop/Hook", fix="choose them with vpc_subnets="):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=vpc)


@pytest.mark.parametrize(
    "chosen",
    [
        ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        ec2.SubnetSelection(subnet_group_name="Application"),
    ],
    ids=["type", "group"],
)
def test_fails_when_the_vpc_has_no_such_subnets(chosen):
    stack = a_stack()
    with refuses("no such subnets in VPC 'Shop/Vpc'", at="Shop/Hook", fix="choose them with vpc_subnets="):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=a_vpc(stack), vpc_subnets=chosen)


def test_fails_when_nothing_is_known_of_the_vpcs_subnets():
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=None)
    with refuses("no such subnets in VPC 'Shop/Vpc'", at="Shop/Hook", fix="private subnets with a way out"):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=vpc)


def test_fails_when_no_subnet_is_chosen():
    stack = a_stack()
    nowhere = ec2.SubnetSelection(availability_zones=["us-east-1f"])
    with refuses("none of the subnets of VPC 'Shop/Vpc'", at="Shop/Hook", fix="choose them with vpc_subnets="):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=a_vpc(stack), vpc_subnets=nowhere)


@pytest.mark.parametrize("name", ["security_groups", "statements"])
def test_fails_when_there_is_one_where_a_list_belongs(name):
    stack = a_stack()
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")
    statement = Statement(actions=["sqs:SendMessage"], resources=["arn:aws:sqs:us-east-1:111122223333:orders"])
    one: dict[str, Any] = {"security_groups": group, "statements": statement}
    with refuses(f"{name}=", "is no list", at="Shop/Hook", fix=f"write {name}=[…]"):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=a_vpc(stack), **{name: one[name]})


def test_its_name_is_known_in_a_nested_stack_too():
    nested = NestedStack(a_stack(), "Nested")
    assert DeploymentHook(nested, "Smoke", check=hook_checks.never).function_name == "Shop-Nested-Smoke"
    with refuses("function name", "65 characters", at="Shop/Nested/" + "a" * 53, fix="shorter function_name="):
        DeploymentHook(nested, "a" * 53, check=hook_checks.never)


def test_fails_when_there_are_more_security_groups_than_lambda_takes():
    stack = a_stack()
    groups = [ec2.SecurityGroup.from_security_group_id(stack, f"Group{n}", f"sg-{n}2345678") for n in range(6)]
    with refuses("6 security groups, Lambda takes 5", at="Shop/Hook", fix="at most 5"):
        DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=a_vpc(stack), security_groups=groups)


def test_given_security_groups_and_subnets_are_taken():
    stack = a_stack()
    vpc = a_vpc(stack)
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")
    chosen = ec2.SubnetSelection(availability_zones=["us-east-1b"])
    hook = DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=vpc, vpc_subnets=chosen, security_groups=[group])
    assert list(hook.security_groups) == [group]
    template = synthesized(stack)
    assert only(template, "AWS::Lambda::Function")["VpcConfig"] == {
        "SecurityGroupIds": ["sg-12345678"],
        "SubnetIds": ["subnet-22345678"],
    }
    assert of_type(template, "AWS::EC2::SecurityGroup") == {}


def test_warns_when_the_hook_may_have_no_way_to_codedeploy():
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=None, isolated_subnet_ids=["subnet-12345678", "subnet-22345678"])
    hook = DeploymentHook(stack, "Hook", check=hook_checks.never, vpc=vpc)
    native = DeploymentHook(stack, "Native", check=hook_checks.never, vpc=vpc)
    for group in (GROUP, f"{GROUP}2"):
        hook.report_to(group)
    for one, warnings in ((hook, 1), (native, 0)):
        found = Annotations.from_stack(stack).find_warning(
            f"/{one.node.path}", Match.string_like_regexp("interface endpoint for CodeDeploy")
        )
        assert len(found) == warnings


def test_warns_when_the_hook_may_have_no_way_to_the_load_balancers_address():
    """Deployments by Amazon ECS itself need no report, and so get no warning for that."""
    stack = a_stack()
    vpc = a_vpc(stack, private_subnet_ids=None, isolated_subnet_ids=["subnet-12345678", "subnet-22345678"])
    by_address = SmokeTest(URL, load_balancer="app/shop/0123456789abcdef")
    for id, check, warnings in (("Hook", by_address, 1), ("ByName", SmokeTest(URL), 0)):
        DeploymentHook(stack, id, check=check, vpc=vpc)
        found = Annotations.from_stack(stack).find_warning(
            f"/Shop/{id}", Match.string_like_regexp("interface endpoint for EC2")
        )
        assert len(found) == warnings


def test_fails_when_a_hook_from_anywhere_should_be_a_peer():
    hook = DeploymentHook(a_stack(), "Hook", check=hook_checks.never)
    with refuses("comes from an address that nobody knows", at="Shop/Hook", fix="give the hook vpc="):
        _ = hook.connections


EVENTS = {
    "ecs": ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"],
    "ecs-native": [
        "RECONCILE_SERVICE",
        "PRE_SCALE_UP",
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
    ],
    "lambda": ["BeforeAllowTraffic", "AfterAllowTraffic"],
}


@pytest.fixture(scope="module")
def hook():
    return DeploymentHook(a_stack(), "Hook", check=hook_checks.never)


@pytest.mark.parametrize("platform", EVENTS)
def test_one_hook_serves_all_events_of_a_platform(hook, platform):
    check_hooks(hook, platform, dict.fromkeys(EVENTS[platform], hook), test_traffic=True)


@pytest.mark.parametrize("platform", EVENTS)
@given(name=st.text(max_size=20) | st.sampled_from(sum(EVENTS.values(), ["ValidateService", "Install"])))
def test_no_other_event_is_accepted(hook, platform, name):
    if name in EVENTS[platform]:
        check_hooks(hook, platform, {name: hook}, test_traffic=True)
    else:
        with pytest.raises(ConfigurationError, match="use ") as caught:
            check_hooks(hook, platform, {name: hook}, test_traffic=True)
        assert repr(name) in caught.value.problem
        assert any(event in caught.value.fix for event in EVENTS[platform])


@pytest.mark.parametrize(
    ("platform", "name", "fix"),
    [
        ("ecs", "AfterAllowTestTrafic", "use AfterAllowTestTraffic"),
        ("ecs", "beforeInstall", "use BeforeInstall"),
        ("lambda", "AfterAlowTraffic", "use AfterAllowTraffic"),
        ("ecs-native", "POST_SCALEUP", "use POST_SCALE_UP"),
        ("ecs-native", "post_scale_up", "use POST_SCALE_UP"),
        ("ecs-native", "BeforeInstall", "use PRE_SCALE_UP, its counterpart here"),
        ("ecs-native", "AfterInstall", "use POST_SCALE_UP, its counterpart here"),
        ("ecs-native", "AfterAllowTestTraffic", "use POST_TEST_TRAFFIC_SHIFT, its counterpart here"),
        ("ecs-native", "BeforeAllowTraffic", "use PRE_PRODUCTION_TRAFFIC_SHIFT, its counterpart here"),
        ("ecs-native", "AfterAllowTraffic", "use POST_PRODUCTION_TRAFFIC_SHIFT, its counterpart here"),
        ("ecs", "PRE_SCALE_UP", "use BeforeInstall, its counterpart here"),
        ("ecs", "PRODUCTION_TRAFFIC_SHIFT", "use BeforeAllowTraffic, its counterpart here"),
        ("lambda", "POST_PRODUCTION_TRAFFIC_SHIFT", "use AfterAllowTraffic, its counterpart here"),
        ("lambda", "PRE_SCALE_UP", "use one of BeforeAllowTraffic, AfterAllowTraffic"),
        ("lambda", "AfterAllowTestTraffic", "AfterAllowTestTraffic is for Amazon ECS"),
        ("lambda", "BeforeInstall", "BeforeInstall is for Amazon ECS"),
        ("ecs", "ValidateService", "ValidateService is for instances"),
        ("lambda", "ApplicationStop", "ApplicationStop is for instances"),
        ("ecs-native", "AfterBlockTraffic", "AfterBlockTraffic is for instances"),
        ("ecs", "Install", "Install is CodeDeploy's own work"),
        ("ecs", "AllowTestTraffic", "AllowTestTraffic is CodeDeploy's own work"),
        ("ecs", "smoke", "use one of BeforeInstall, AfterInstall"),
    ],
)
def test_fails_when_the_deployment_has_no_such_event(hook, platform, name, fix):
    with refuses(repr(name), at="Shop/Hook", fix=fix):
        check_hooks(hook, platform, {name: hook}, test_traffic=True)


@pytest.mark.parametrize(
    ("platform", "name", "instead"),
    [
        ("ecs", "AfterAllowTestTraffic", "AfterInstall"),
        ("ecs-native", "TEST_TRAFFIC_SHIFT", "POST_SCALE_UP"),
        ("ecs-native", "POST_TEST_TRAFFIC_SHIFT", "POST_SCALE_UP"),
    ],
)
def test_fails_when_there_is_no_traffic_to_test(hook, platform, name, instead):
    with refuses(f"a hook for {name}, but there is no test listener", at="Shop/Hook", fix=f"or use {instead}"):
        check_hooks(hook, platform, {name: hook}, test_traffic=False)


@pytest.mark.parametrize("platform", EVENTS)
def test_hooks_that_test_nothing_need_no_test_listener(hook, platform):
    others = [name for name in EVENTS[platform] if "TEST" not in name and "Test" not in name]
    check_hooks(hook, platform, dict.fromkeys(others, hook), test_traffic=False)
