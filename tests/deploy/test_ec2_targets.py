"""Targets: what can be combined, what CodeDeploy would refuse, and exactly the permissions that each kind needs."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Fn, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_elasticloadbalancingv2 as elbv2

from code_family_constructs import Ec2Fleet
from code_family_constructs.deploy.ec2_targets import Ec2Targets, pipeline_statements
from code_family_constructs.errors import ConfigurationError
from tests.deploy.instances import (
    ON_PREMISES,
    TAGS,
    WEB,
    application,
    classic,
    instance_role,
    named_group,
    network,
    own_group,
)
from tests.helpers import a_stack, refuses

ALWAYS = {"cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"}
LOOKING_AT_GROUPS = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribeScalingActivities",
}
CHANGING_GROUPS = {
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:DeleteLifecycleHook",
    "autoscaling:PutLifecycleHook",
    "autoscaling:RecordLifecycleActionHeartbeat",
    "autoscaling:ResumeProcesses",
    "autoscaling:SuspendProcesses",
}
LOOKING_AT_BALANCERS = {
    "elasticloadbalancing:DescribeInstanceHealth",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
}
MOVING_TARGETS = {"elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"}


@pytest.fixture(scope="module")
def stack():
    """A stack for targets that are looked at one by one, and never synthesized."""
    return Stack(App(), "Shop", env={"account": "111111111111", "region": "eu-west-1"})


def permissions_of(targets):
    """Action → resources, as the service role has them."""
    found: dict[str, set[str]] = {}
    for statement in [*targets.service_statements(), *targets.group_statements()]:
        for action in statement.actions:
            found.setdefault(action, set()).update(resource.rsplit(":", 1)[-1] for resource in statement.resources)
    return found


def each(actions, *resources):
    return {action: set(resources) for action in actions}


def wide(permissions):
    return {action for action, resources in permissions.items() if resources == {"*"}}


def narrow(permissions):
    return {action: resources for action, resources in permissions.items() if resources != {"*"}}


def test_ec2_tags_need_nothing_but_looking():
    assert permissions_of(Ec2Targets(ec2_instance_tags=WEB)) == each({*ALWAYS, "tag:GetResources"}, "*")


def test_on_premises_tags_need_nothing_but_looking():
    found = permissions_of(Ec2Targets(on_premise_instance_tags=WEB))
    assert found == each({*ALWAYS, "tag:GetResources"}, "*")


def test_auto_scaling_groups_need_their_hooks(stack):
    found = permissions_of(Ec2Targets(auto_scaling_groups=[named_group(stack, "web"), named_group(stack, "api")]))
    assert wide(found) == ALWAYS | LOOKING_AT_GROUPS
    assert narrow(found) == each(CHANGING_GROUPS, "autoScalingGroupName/web", "autoScalingGroupName/api")


def test_a_classic_load_balancer_needs_its_instances_moved():
    stack = a_stack()
    found = permissions_of(Ec2Targets(ec2_instance_tags=WEB, load_balancers=[classic(stack)]))
    assert wide(found) == ALWAYS | {"tag:GetResources"} | LOOKING_AT_BALANCERS
    (resources,) = {frozenset(resources) for resources in narrow(found).values()}
    assert set(narrow(found)) == {
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
    }
    (resource,) = resources
    assert resource.startswith("loadbalancer/")
    assert not resource.endswith("*")


@pytest.mark.parametrize(("balancer", "name"), [(application, "shop"), (network, "mail")])
def test_a_target_group_needs_its_targets_moved(stack, balancer, name):
    found = permissions_of(Ec2Targets(ec2_instance_tags=WEB, load_balancers=[balancer(stack, name)]))
    assert wide(found) == ALWAYS | {"tag:GetResources"} | LOOKING_AT_BALANCERS
    assert narrow(found) == each(MOVING_TARGETS, f"targetgroup/{name}/*")


def test_a_fleet_has_its_target_group_named_in_full():
    fleet = Ec2Fleet(a_stack(), "Fleet", certificate=None)
    found = permissions_of(Ec2Targets(fleet=fleet))
    assert wide(found) == ALWAYS | LOOKING_AT_GROUPS | LOOKING_AT_BALANCERS
    assert set(narrow(found)) == CHANGING_GROUPS | MOVING_TARGETS
    assert not any("*" in resource for resource in found["elasticloadbalancing:RegisterTargets"])


def test_a_pipeline_may_start_deployments_of_one_group_with_one_configuration():
    *named, listed = pipeline_statements(application_name="shop", group_name="web", config_name="slow")
    assert {resource.split(":", 5)[5] for statement in named for resource in statement.resources} == {
        "application:shop",
        "deploymentgroup:shop/web",
        "deploymentconfig:slow",
    }
    assert listed.actions == ["codedeploy:ListDeploymentConfigs"]
    assert listed.wildcard_reason


def test_groups_and_both_kinds_of_tags_can_be_combined(stack):
    targets = Ec2Targets(
        auto_scaling_groups=[named_group(stack, "combined")],
        ec2_instance_tags=WEB,
        on_premise_instance_tags=WEB,
        instance_roles=[],
    )
    targets.check(stack)
    assert targets.readers(stack) == []


def test_classic_application_and_network_load_balancers_can_be_combined():
    stack = a_stack()
    balancers = [classic(stack), application(stack), network(stack)]
    targets = Ec2Targets(ec2_instance_tags=WEB, load_balancers=balancers)
    targets.check(stack)
    assert len(targets.balancers) == 3


def test_how_many_instances_there_are_at_least(stack):
    web, api = own_group(stack, "SizedWeb", min_capacity=2, max_capacity=9), own_group(stack, "SizedApi")
    assert Ec2Targets(auto_scaling_groups=[web, api]).sizes() == [2, 1]
    assert Ec2Targets(auto_scaling_groups=[web, named_group(stack, "unknown-size")]).sizes() is None
    assert Ec2Targets(auto_scaling_groups=[web], ec2_instance_tags=WEB).sizes() is None
    assert Ec2Targets(on_premise_instance_tags=WEB).sizes() is None
    size = CfnParameter(stack, "Size", type="Number").value_as_number
    parameter = own_group(stack, "SizedByParameter", min_capacity=size, max_capacity=size)
    assert Ec2Targets(auto_scaling_groups=[parameter]).sizes() is None


def test_fails_when_there_is_nothing_to_deploy_to(stack):
    with refuses("without instances", at="Shop", fix="or ec2_instance_tags=, or on_premise_instance_tags="):
        Ec2Targets().check(stack)


@pytest.mark.parametrize("argument", ["auto_scaling_groups", "load_balancers", "instance_roles"])
@pytest.mark.parametrize("one", [lambda stack: named_group(stack, "web"), lambda _: "web"], ids=["thing", "text"])
def test_fails_when_there_is_one_instead_of_a_list(argument, one):
    stack = a_stack()
    with refuses(argument, "is no list", at="Shop", fix=f"write {argument}=[…]"):
        Ec2Targets(**{**TAGS, argument: one(stack)}).check(stack)


@pytest.mark.parametrize("kind", ["ec2_instance_tags", "on_premise_instance_tags"])
@pytest.mark.parametrize(
    ("tags", "problem", "fix"),
    [
        ([], "without tags, which match no instance", "name at least one"),
        ([{}], "without tags, which match no instance", "name at least one"),
        ([{"Role": ["web"]}, {}], "an empty group of tags", "name at least one"),
        ([{"": []}], "without key and value", "name the key, the value or both"),
        ([{"": [""]}], "without key and value", "name the key, the value or both"),
        ([{"Role": [str(number) for number in range(11)]}], "11 tags in one group", "at most 10"),
        ([{"A": ["1"] * 5, "B": ["2"] * 5, "C": []}], "11 tags in one group", "at most 10"),
        ([{"k" * 129: ["web"]}], "the key 'kkkk", "at most 128"),
        ([{"Role": ["v" * 257]}], "the value 'vvvv", "at most 256"),
    ],
    ids=["none", "empty", "empty-beside", "nothing", "blank", "values", "pairs", "key", "value"],
)
def test_fails_when_codedeploy_would_refuse_the_tags(stack, kind, tags, problem, fix):
    targets: dict[str, Any] = {kind: codedeploy.InstanceTagSet(*tags)}
    with refuses(problem, kind, at="Shop", fix=fix):
        Ec2Targets(**targets, instance_roles=[]).check(stack)


def test_more_than_three_groups_of_tags_are_refused_by_aws_cdk_lib_already():
    with pytest.raises(RuntimeError, match="maximum of 3 instance tag groups"):
        codedeploy.InstanceTagSet(*[{"Role": ["web"]}] * 4)


@pytest.mark.parametrize(
    "tags",
    [
        [{"Role": ["web", "api"], "Stage": []}],
        [{"": ["web"]}],
        [{"Role": [str(number) for number in range(10)]}] * 3,
        [{"k" * 128: ["v" * 256]}],
        [{"Name": ["GRP-*a"]}],
    ],
    ids=["key-only", "value-only", "most", "longest", "pattern"],
)
def test_tags_that_codedeploy_takes_are_accepted(stack, tags):
    targets = Ec2Targets(ec2_instance_tags=codedeploy.InstanceTagSet(*tags), instance_roles=[])
    targets.check(stack)
    assert targets.tagged


@pytest.mark.parametrize(
    "other",
    ["auto_scaling_groups", "ec2_instance_tags", "on_premise_instance_tags", "load_balancers", "instance_roles"],
)
def test_fails_when_there_is_a_fleet_and_something_else(other):
    """A fleet brings its instances, their role and their load balancer; what is given beside it would be ignored."""
    stack = a_stack()
    others: dict[str, Any] = {
        "auto_scaling_groups": lambda: [named_group(stack, "Web")],
        "ec2_instance_tags": lambda: WEB,
        "on_premise_instance_tags": lambda: WEB,
        "load_balancers": lambda: [application(stack)],
        "instance_roles": lambda: [instance_role(stack, "InstanceRole")],
    }
    fleet = Ec2Fleet(stack, "Fleet", certificate=None)
    settings: dict[str, Any] = {"fleet": fleet, other: others[other]()}
    with refuses("a fleet and other", at="Shop", fix="give fleet= alone"):
        Ec2Targets(**settings).check(stack)


def test_fails_when_there_are_more_groups_than_codedeploy_takes():
    stack = a_stack()
    groups = [named_group(stack, f"Web{number}") for number in range(11)]
    Ec2Targets(auto_scaling_groups=groups[:10]).check(stack)
    with refuses("11 Auto Scaling groups", at="Shop", fix="give at most 10"):
        Ec2Targets(auto_scaling_groups=groups).check(stack)


def test_target_groups_and_classic_load_balancers_are_counted_apart():
    stack = a_stack()
    targets = [application(stack, f"web{number}") for number in range(11)]
    Ec2Targets(load_balancers=[classic(stack), *targets[:10]], **TAGS).check(stack)
    with refuses("11 target groups", at="Shop", fix="give at most 10"):
        Ec2Targets(load_balancers=targets, **TAGS).check(stack)


def test_fails_when_there_are_more_classic_load_balancers_than_codedeploy_takes():
    stack = a_stack()
    with refuses("11 Classic Load Balancers", at="Shop", fix="give at most 10"):
        Ec2Targets(load_balancers=[classic(stack, f"Classic{number}") for number in range(11)], **TAGS).check(stack)


def test_fails_when_a_load_balancer_is_named_twice():
    stack = a_stack()
    shared = elbv2.NetworkTargetGroup.from_target_group_attributes(
        stack,
        "Again",
        target_group_arn="arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/0123456789abcdef",
    )
    twice = [application(stack, "web"), codedeploy.LoadBalancer.network(shared)]
    with refuses("one of the target groups twice: 'web'", at="Shop", fix="once"):
        Ec2Targets(load_balancers=twice, **TAGS).check(stack)
    made_here = classic(stack)
    with refuses("one of the Classic Load Balancers twice", at="Shop", fix="once"):
        Ec2Targets(load_balancers=[made_here, made_here], **TAGS).check(stack)


@pytest.mark.parametrize("ec2_too", [False, True])
def test_fails_when_a_load_balancer_should_send_traffic_to_on_premises_instances(ec2_too):
    stack = a_stack()
    settings = ON_PREMISES | (TAGS if ec2_too else {})
    with refuses("load balancers for on-premises", at="Shop", fix="a deployment of their own"):
        Ec2Targets(load_balancers=[application(stack)], **settings).check(stack)


@pytest.mark.parametrize("imported_twice", [False, True])
def test_fails_when_a_group_is_named_twice(imported_twice):
    stack = a_stack()
    group = named_group(stack, "Web")
    again = named_group(stack, "Web", "WebAgain") if imported_twice else group
    with refuses("Web", "twice", at="Shop", fix="name each Auto Scaling group once"):
        Ec2Targets(auto_scaling_groups=[group, again]).check(stack)


@pytest.mark.parametrize("target", ["ec2_instance_tags", "on_premise_instance_tags", "auto_scaling_groups"])
def test_fails_when_nothing_says_that_the_instances_may_read_the_revision(target):
    stack = a_stack()
    settings: dict[str, Any] = {target: [named_group(stack, "Web")] if target == "auto_scaling_groups" else WEB}
    with pytest.raises(ConfigurationError, match="may read the revision") as caught:
        Ec2Targets(**settings).readers(stack)
    assert "instance_roles=[" in caught.value.fix
    assert ("IAM sessions" in caught.value.fix) is (target == "on_premise_instance_tags")


def owned(stack, first):
    return own_group(stack, "Web") if first else stack.node.find_child("Web")


def imported(stack, first):
    return named_group(stack, "web", f"Web{first}")


@pytest.mark.parametrize("group", [owned, imported])
def test_fails_when_a_group_is_in_two_deployments(group):
    stack = a_stack()
    first, second = Stack(stack, "First"), Stack(stack, "Second")
    Ec2Targets(auto_scaling_groups=[group(stack, True)]).check(first)
    with refuses("is in deployment 'Shop/First' already", at="Shop/Second", fix="in one revision"):
        Ec2Targets(auto_scaling_groups=[group(stack, False)]).check(second)


def test_fails_when_a_group_of_another_stack_is_in_two_deployments():
    app = App()
    one, other = Stack(app, "One"), Stack(app, "Other")
    Ec2Targets(auto_scaling_groups=[named_group(one, "web")]).check(one)
    with refuses("'Other/web' is in deployment 'One' already", at="Other", fix="give their stacks env="):
        Ec2Targets(auto_scaling_groups=[named_group(other, "web")]).check(other)


def test_fails_when_a_fleet_is_in_two_deployments():
    stack = a_stack()
    fleet = Ec2Fleet(stack, "Fleet", certificate=None)
    first, second = Stack(stack, "First"), Stack(stack, "Second")
    Ec2Targets(fleet=fleet).check(first)
    with refuses("'Shop/Fleet/AutoScalingGroup' is in deployment 'Shop/First'", at="Shop/Second", fix="of its own"):
        Ec2Targets(fleet=fleet).check(second)


def test_groups_of_the_same_name_in_other_accounts_regions_or_apps_are_others():
    app = App()
    for account, region in (
        ("111111111111", "eu-west-1"),
        ("222222222222", "eu-west-1"),
        ("111111111111", "us-east-1"),
    ):
        stack = Stack(app, f"In{account}{region}", env={"account": account, "region": region})
        Ec2Targets(auto_scaling_groups=[named_group(stack, "web")]).check(stack)
    elsewhere = Stack(App(), "Elsewhere", env={"account": "111111111111", "region": "eu-west-1"})
    targets = Ec2Targets(auto_scaling_groups=[named_group(elsewhere, "web")])
    targets.check(elsewhere)
    assert targets.names == ["web"]


def test_names_that_are_not_known_are_taken_for_different_ones(stack):
    groups = [named_group(stack, Fn.import_value("GroupName"), f"Imported{number}") for number in range(2)]
    targets = Ec2Targets(auto_scaling_groups=groups)
    targets.check(stack)
    assert len(set(targets.names)) == 2
