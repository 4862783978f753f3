"""Deployment configurations: those that no number of instances could ever satisfy are refused when written."""

from math import ceil
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Annotations, Match
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import Ec2Fleet
from code_family_constructs.deploy.ec2_config import ONE_AT_A_TIME, _enough, _hosts, check_config, server_config
from code_family_constructs.deploy.ec2_targets import Ec2Targets
from code_family_constructs.errors import ConfigurationError
from tests.deploy.instances import ON_PREMISES, TAGS, application, named_group, own_group
from tests.helpers import a_stack, refuses

Config = codedeploy.ServerDeploymentConfig
Hosts = codedeploy.MinimumHealthyHosts
PerZone = codedeploy.MinimumHealthyHostsPerZone


@pytest.fixture(scope="module")
def app():
    """Never synthesized; each test has a stack of its own in it."""
    return App()


@pytest.fixture
def stack(app, request):
    name = "".join(character if character.isalnum() else "-" for character in request.node.name)
    return Stack(app, name.strip("-"))


def instances(stack, *sizes):
    groups = [
        own_group(stack, f"Group{number}", min_capacity=size, max_capacity=size + 9)
        for number, size in enumerate(sizes)
    ]
    return Ec2Targets(auto_scaling_groups=groups)


def a_config(stack, minimum=None, **zones):
    zonal = codedeploy.ZonalConfig(**zones) if zones else None
    return Config(stack, "Config", minimum_healthy_hosts=minimum or Hosts.count(0), zonal_config=zonal)


@pytest.mark.parametrize(
    ("sizes", "minimum", "keeps", "fix"),
    [
        ([3], Hosts.count(3), "keeps 3 instances healthy", "count(2) or less, or a min_capacity= of 4 or more"),
        ([3], Hosts.count(7), "keeps 7 instances healthy", "a min_capacity= of 8 or more"),
        ([1, 2], Hosts.count(3), "may have 3 only", "count(2) or less"),
        ([1], Hosts.count(1), "keeps 1 instance healthy", "use OneAtATime, or a min_capacity= of 2"),
        ([0], Hosts.count(1), "may have 0 only", "use OneAtATime"),
        ([10], Hosts.percentage(95), "keeps 10 instances healthy", "a min_capacity= of 20 or more"),
        ([3], Hosts.percentage(67), "keeps 3 instances healthy", "a min_capacity= of 4 or more"),
        ([1], Hosts.percentage(1), "keeps 1 instance healthy", "a min_capacity= of 2 or more"),
    ],
)
def test_fails_when_there_may_be_fewer_instances_than_have_to_stay_healthy(stack, sizes, minimum, keeps, fix):
    with refuses("minimum_healthy_hosts", keeps, at=stack.node.path, fix=fix):
        check_config(stack, a_config(stack, minimum), instances(stack, *sizes))


@pytest.mark.parametrize(
    ("sizes", "minimum"),
    [
        ([3], Hosts.count(2)),
        ([1, 2], Hosts.count(2)),
        ([10], Hosts.percentage(90)),
        ([20], Hosts.percentage(95)),
        ([2], Hosts.percentage(50)),
        ([1], Hosts.count(0)),
        ([0], Hosts.percentage(0)),
    ],
)
def test_what_leaves_an_instance_to_work_on_is_accepted(stack, sizes, minimum):
    targets = instances(stack, *sizes)
    check_config(stack, a_config(stack, minimum), targets)
    assert targets.sizes() == sizes


@given(percent=st.integers(1, 99), total=st.integers(1, 400))
def test_the_capacity_that_is_asked_for_is_the_smallest_that_works(percent, total):
    needed = ceil(percent * total / 100)
    assert _hosts("FLEET_PERCENT", percent, total) == needed
    assert (needed < total) == (total >= _enough("FLEET_PERCENT", percent))


def test_a_single_instance_has_no_half(stack):
    with refuses("CodeDeployDefault.HalfAtATime", at=stack.node.path, fix="use OneAtATime"):
        check_config(stack, Config.HALF_AT_A_TIME, instances(stack, 1))


def test_one_at_a_time_works_on_a_single_instance(stack):
    targets = instances(stack, 1)
    for config in (ONE_AT_A_TIME, Config.ONE_AT_A_TIME):
        check_config(stack, config, targets)
    assert targets.sizes() == [1]


@pytest.mark.parametrize("minimum", [Hosts.percentage(100), Hosts.percentage(150)])
def test_fails_when_no_instance_could_be_worked_on_however_many_there_are(stack, minimum):
    with refuses("percent, which leaves no instance", at=stack.node.path, fix="use 99 or less"):
        check_config(stack, a_config(stack, minimum), Ec2Targets(**TAGS))


@pytest.mark.parametrize("minimum", [Hosts.count(-1), Hosts.percentage(-5), Hosts.count(1.5), Hosts.percentage(12.5)])
def test_fails_when_the_number_is_none_that_codedeploy_takes(stack, minimum):
    with refuses("minimum_healthy_hosts of", at=stack.node.path, fix="use a whole number, 0 or more"):
        check_config(stack, a_config(stack, minimum), Ec2Targets(**TAGS))


def test_a_number_of_instances_that_is_not_known_is_let_through(stack):
    config = a_config(stack, Hosts.count(1000))
    for targets in (Ec2Targets(**TAGS), Ec2Targets(auto_scaling_groups=[named_group(stack, "web")])):
        check_config(stack, config, targets)
        assert targets.sizes() is None


def test_a_minimum_from_a_parameter_is_let_through(stack):
    parameter = CfnParameter(stack, "Hosts", type="Number").value_as_number
    config = a_config(stack, Hosts.count(parameter))
    check_config(stack, config, instances(stack, 1))
    assert config.node.default_child is not None


def test_a_configuration_of_another_app_is_let_through(stack):
    config = Config.from_server_deployment_config_name(stack, "Config", "ThreeQuarters")
    check_config(stack, config, instances(stack, 1))
    assert config.deployment_config_name == "ThreeQuarters"


@pytest.mark.parametrize("name", ["CodeDeployDefault.HalfATime", "CodeDeployDefault.ECSAllAtOnce"])
def test_fails_when_aws_has_no_such_configuration_for_ec2(stack, name):
    config = Config.from_server_deployment_config_name(stack, "Config", name)
    with refuses(name, at=stack.node.path, fix="ONE_AT_A_TIME, HALF_AT_A_TIME or ALL_AT_ONCE"):
        check_config(stack, config, Ec2Targets(**TAGS))


def warnings(stack):
    return Annotations.from_stack(stack).find_warning("/Shop", Match.string_like_regexp("nothing answers"))


@pytest.mark.parametrize(
    ("config", "capacity", "balanced", "warned"),
    [
        (lambda stack: Config.ALL_AT_ONCE, 2, True, "all instances may be taken out of traffic at once"),
        (lambda stack: Config.ALL_AT_ONCE, 2, False, None),
        (lambda stack: a_config(stack, Hosts.percentage(0)), 4, True, "all instances"),
        (lambda stack: a_config(stack, Hosts.count(1)), 2, True, None),
        (lambda stack: a_config(stack, monitor_duration=Duration.minutes(5)), 4, True, None),
        (lambda stack: ONE_AT_A_TIME, 1, True, "one instance only"),
        (lambda stack: ONE_AT_A_TIME, 2, True, None),
        (lambda stack: ONE_AT_A_TIME, None, True, None),
        (lambda stack: Config.ALL_AT_ONCE, None, True, "all instances"),
    ],
    ids=["all", "no-balancer", "none-healthy", "one-left", "zones", "single", "pair", "tags", "all-tags"],
)
def test_warns_when_nothing_answers_during_a_release(config, capacity, balanced, warned):
    stack = a_stack()
    balancers = [application(stack)] if balanced else []
    settings: dict[str, Any] = (
        TAGS
        if capacity is None
        else {"auto_scaling_groups": [own_group(stack, "Web", min_capacity=capacity, max_capacity=9)]}
    )
    check_config(stack, config(stack), Ec2Targets(load_balancers=balancers, **settings))
    found = warnings(stack)
    assert [warned in str(one.entry.data) and "code-family:no-traffic" in str(one.entry.data) for one in found] == (
        [True] if warned else []
    )


def test_fails_when_zones_are_configured_for_a_predefined_configuration(stack):
    zonal = codedeploy.ZonalConfig(monitor_duration=Duration.minutes(5))
    for config in (None, Config.HALF_AT_A_TIME):
        with refuses("none of which knows zones", at=stack.node.path, fix="give minimum_healthy_hosts= with it"):
            server_config(stack, config, None, zonal)


def test_fails_when_zones_are_configured_twice(stack):
    zonal = codedeploy.ZonalConfig(monitor_duration=Duration.minutes(5))
    with refuses("zonal_config beside a deployment_config", at=stack.node.path, fix="and no deployment_config="):
        server_config(stack, a_config(stack), None, zonal)


def test_fails_when_there_are_two_configurations(stack):
    with refuses("deployment_config and minimum_healthy_hosts", at=stack.node.path, fix="give one of the two"):
        server_config(stack, Config.HALF_AT_A_TIME, Hosts.count(1), None)


@pytest.mark.parametrize("name", ["monitor_duration", "first_zone_monitor_duration"])
def test_fails_when_codedeploy_would_refuse_how_long_a_zone_is_watched(stack, name):
    settings: dict[str, Any] = {name: Duration.millis(1500)}
    with refuses(f"{name}=1.5 seconds", at=stack.node.path, fix="use whole seconds"):
        server_config(stack, None, Hosts.count(1), codedeploy.ZonalConfig(**settings))


def test_fails_when_zones_are_configured_for_on_premises_instances(stack):
    config = a_config(stack, monitor_duration=Duration.minutes(5))
    with refuses("in no Availability Zone", at=stack.node.path, fix="without zonal_config="):
        check_config(stack, config, Ec2Targets(**ON_PREMISES))


@pytest.mark.parametrize(
    ("zones", "hours"),
    [
        ({"monitor_duration": Duration.hours(12)}, "12 hours"),
        ({"first_zone_monitor_duration": Duration.hours(13)}, "13 hours"),
        ({"first_zone_monitor_duration": Duration.minutes(1), "monitor_duration": Duration.hours(12)}, "12 hours"),
    ],
    ids=["every", "first", "later"],
)
def test_fails_when_zones_are_watched_for_longer_than_a_deployment_may_take(stack, zones, hours):
    with refuses(f"waits for {hours}", at=stack.node.path, fix="that leaves time for the deployment"):
        check_config(stack, a_config(stack, **zones), Ec2Targets(**TAGS))


def a_fleet(stack, zones, **settings):
    names = [f"eu-west-1{letter}" for letter in "abc"[:zones]]
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=names,
        private_subnet_ids=[f"subnet-{name}" for name in names],
    )
    fleet = Ec2Fleet(stack, "Fleet", certificate=None, vpc=vpc, internet_facing=False, **settings)
    return Ec2Targets(fleet=fleet)


def test_the_waits_of_all_zones_but_the_last_count():
    stack = a_stack()
    fleet = a_fleet(stack, 3)
    config = a_config(stack, first_zone_monitor_duration=Duration.hours(5), monitor_duration=Duration.hours(7))
    with refuses("waits for 12 hours", at="Shop", fix="use a monitor_duration="):
        check_config(stack, config, fleet)
    other = Stack(stack, "Other")
    check_config(other, a_config(other, monitor_duration=Duration.hours(5)), fleet)
    assert fleet.sizes() == [2]


@pytest.mark.parametrize(
    ("capacity", "hosts", "keeps", "fix"),
    [
        (
            4,
            PerZone.count(2),
            "keeps 2 instances of a zone healthy, and 2 zones may have 4",
            "keep 1 of a zone at most, or use a min_capacity= of 6",
        ),
        (
            5,
            PerZone.percentage(51),
            "keeps 2 instances of a zone",
            "keep 1 of a zone at most, or use a min_capacity= of 6",
        ),
        (
            2,
            PerZone.percentage(1),
            "keeps 1 instance of a zone",
            "keep 0 of a zone at most, or use a min_capacity= of 4",
        ),
    ],
)
def test_fails_when_a_zone_of_a_fleet_may_have_fewer_instances_than_have_to_stay_healthy(capacity, hosts, keeps, fix):
    stack = a_stack()
    fleet = a_fleet(stack, 2, min_capacity=capacity)
    with refuses(keeps, at="Shop", fix=fix):
        check_config(stack, a_config(stack, minimum_healthy_hosts_per_zone=hosts), fleet)


def test_what_leaves_an_instance_of_each_zone_to_work_on_is_accepted():
    stack = a_stack()
    fleet = a_fleet(stack, 2, min_capacity=4)
    hosts = PerZone.percentage(50)
    check_config(stack, a_config(stack, Hosts.count(3), minimum_healthy_hosts_per_zone=hosts), fleet)
    assert warnings(stack) == []


def test_all_instances_of_other_groups_may_be_in_one_zone(stack):
    check_config(stack, a_config(stack, minimum_healthy_hosts_per_zone=PerZone.count(3)), instances(stack, 2, 2))
    other = Stack(stack, "Other")
    config = a_config(other, minimum_healthy_hosts_per_zone=PerZone.count(4))
    with refuses("all zones together may have 4 only", at=other.node.path, fix="keep 3 of a zone at most"):
        check_config(other, config, instances(other, 2, 2))


@pytest.mark.parametrize("hosts", [PerZone.percentage(100), PerZone.count(-1)])
def test_fails_when_the_number_of_a_zone_is_none_that_codedeploy_takes(stack, hosts):
    with pytest.raises(ConfigurationError, match="minimum_healthy_hosts_per_zone of"):
        check_config(stack, a_config(stack, minimum_healthy_hosts_per_zone=hosts), Ec2Targets(**TAGS))
