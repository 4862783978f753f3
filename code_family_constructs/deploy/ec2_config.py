"""Floor 1: how many instances a deployment to EC2 works on at a time, and whether that can ever come to an end."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from aws_cdk import Annotations, Duration
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from code_family_constructs.deploy.ec2_fleet import Ec2Fleet
from code_family_constructs.deploy.ec2_targets import Ec2Targets
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved

ONE_AT_A_TIME = codedeploy.ServerDeploymentConfig.ONE_AT_A_TIME

_OWN = "codedeploy.MinimumHealthyHosts"
_PREFIX = "CodeDeployDefault."
_ONE = f"{_PREFIX}OneAtATime"
# What each keeps healthy: (HOST_COUNT or FLEET_PERCENT, value). The first keeps all but one, or the only one.
# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
_PREDEFINED: Mapping[str, tuple[str, int] | None] = {
    _ONE: None,
    f"{_PREFIX}HalfAtATime": ("FLEET_PERCENT", 50),
    f"{_PREFIX}AllAtOnce": ("HOST_COUNT", 0),
}
# https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
_LONGEST_DEPLOYMENT = 12 * 3600


def server_config(
    at: Construct,
    given: codedeploy.IServerDeploymentConfig | None,
    minimum_healthy_hosts: codedeploy.MinimumHealthyHosts | None,
    zonal_config: codedeploy.ZonalConfig | None,
) -> codedeploy.IServerDeploymentConfig:
    """The deployment configuration that was given, or else one made of the other two arguments below `at`.

    Raises:
        ConfigurationError: Arguments that exclude each other.
    """
    if given is not None and minimum_healthy_hosts is not None:
        raise ConfigurationError(
            "deployment_config and minimum_healthy_hosts in one deployment", at=at, fix="give one of the two"
        )
    if minimum_healthy_hosts is not None:
        for name in ("monitor_duration", "first_zone_monitor_duration"):
            _check_duration(at, name, getattr(zonal_config, name, None))
        return codedeploy.ServerDeploymentConfig(
            at, "Config", minimum_healthy_hosts=minimum_healthy_hosts, zonal_config=zonal_config
        )
    if zonal_config is not None:
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations-create.html#zonal-config
        raise ConfigurationError(
            "zonal_config with a predefined deployment configuration, none of which knows zones"
            if given is None or not isinstance(given, codedeploy.ServerDeploymentConfig)
            else "zonal_config beside a deployment_config of one's own, which has its own",
            at=at,
            fix=f"give minimum_healthy_hosts= with it ({_OWN}.percentage(75)), and no deployment_config=",
        )
    return given or ONE_AT_A_TIME


def config_name(config: codedeploy.IServerDeploymentConfig) -> str:
    """The configuration's name; of the default without asking Node."""
    return _ONE if config is ONE_AT_A_TIME else config.deployment_config_name


def check_config(at: Construct, config: codedeploy.IServerDeploymentConfig, targets: Ec2Targets) -> None:
    """Looks whether a configuration suits the instances.

    Warns when a release takes all of them out of traffic at the same time.

    Raises:
        ConfigurationError: No deployment could succeed with as few instances as there may be, or CodeDeploy would
            refuse the configuration.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/instances-health.html
    """
    if config is ONE_AT_A_TIME and (targets.fleet is not None or not targets.load_balancers):
        return
    name = config_name(config)
    sizes = targets.sizes()
    total = None if sizes is None else sum(sizes)
    minimum, zonal = _PREDEFINED.get(name), None
    if isinstance(config, codedeploy.ServerDeploymentConfig):
        resource: Any = config.node.default_child
        hosts, zonal = resource.minimum_healthy_hosts, resource.zonal_config
        minimum = (hosts.type, hosts.value)
    elif name.startswith(_PREFIX) and name not in _PREDEFINED:
        raise ConfigurationError(
            f"AWS has no deployment configuration {name!r} for EC2",
            at=at,
            fix="use ONE_AT_A_TIME, HALF_AT_A_TIME or ALL_AT_ONCE of codedeploy.ServerDeploymentConfig",
        )
    if minimum is not None and not unresolved(minimum[1]):
        _check_minimum(at, minimum, total, name=name if name in _PREDEFINED else None)
    if zonal is not None:
        _check_zones(at, zonal, targets, sizes)
    if targets.balancers and (total == 1 or (zonal is None and minimum is not None and minimum[1] == 0)):
        Annotations.of(at).add_warning_v2(
            "code-family:no-traffic",
            "nothing answers during a release: "
            + ("there may be one instance only" if total == 1 else "all instances may be taken out of traffic at once"),
        )


def _check_minimum(at: Construct, minimum: tuple[str, float], total: int | None, *, name: str | None) -> None:
    kind, value = minimum
    _check_value(at, "minimum_healthy_hosts", kind, value)
    if total is None or value == 0:
        return
    needed = _hosts(kind, value, total)
    if needed >= max(total, 1):
        most = "OneAtATime" if total <= 1 else f"{_OWN}.count({total - 1}) or less"
        raise ConfigurationError(
            f"{name or 'minimum_healthy_hosts'} keeps {needed} {_plural(needed, 'instance')} healthy, "
            f"and the Auto Scaling groups may have {total} only: every deployment would fail",
            at=at,
            fix=f"use {most}, or a min_capacity= of {_enough(kind, value)} or more",
        )


def _check_zones(at: Construct, zonal: Any, targets: Ec2Targets, sizes: Sequence[int] | None) -> None:
    if targets.on_premise_instance_tags is not None:
        raise ConfigurationError(
            "zonal_config with on-premises instances, which are in no Availability Zone",
            at=at,
            fix="deploy to on-premises instances in a deployment of their own, without zonal_config=",
        )
    zones = _zones(targets.fleet) if targets.fleet is not None else None
    _check_waits(at, zonal, zones)
    hosts = zonal.minimum_healthy_hosts_per_zone
    if hosts is None or unresolved(hosts.value):
        return
    _check_value(at, "minimum_healthy_hosts_per_zone", hosts.type, hosts.value)
    if sizes is None or hosts.value == 0:
        return
    total = sum(sizes)
    # Of Auto Scaling groups that are not a fleet's, nothing says in which zones their subnets are: all may be in one.
    smallest = max(total // (zones or 1), 1)
    needed = _hosts(hosts.type, hosts.value, smallest)
    if needed >= smallest:
        where = f"{zones} zones" if zones else "all zones together"
        raise ConfigurationError(
            f"minimum_healthy_hosts_per_zone keeps {needed} {_plural(needed, 'instance')} of a zone healthy, and "
            f"{where} may have {total} only: every deployment would fail",
            at=at,
            fix=f"keep {smallest - 1} of a zone at most, or use a min_capacity= of "
            f"{_enough(hosts.type, hosts.value) * (zones or 1)} or more",
        )


def _check_waits(at: Construct, zonal: Any, zones: int | None) -> None:
    later = zonal.monitor_duration_in_seconds or 0
    first = zonal.first_zone_monitor_duration_in_seconds
    first = later if first is None else first
    if unresolved(first) or unresolved(later):
        return
    # After the last zone there is nothing to wait for.
    waits = [first] + [later] * (zones - 2) if zones else [max(first, later)]
    if sum(waits) >= _LONGEST_DEPLOYMENT:
        raise ConfigurationError(
            f"zonal_config waits for {sum(waits) / 3600:g} hours, and CodeDeploy ends a deployment after 12",
            at=at,
            fix="use a monitor_duration= that leaves time for the deployment itself",
        )


def _zones(fleet: Ec2Fleet) -> int | None:
    names = fleet.vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).availability_zones
    return None if unresolved(names) else len(set(names))


def _check_duration(at: Construct, name: str, duration: Duration | None) -> None:
    if duration is None or duration.is_unresolved():
        return
    seconds = duration.to_seconds(integral=False)
    if seconds != int(seconds):
        raise ConfigurationError(
            f"zonal_config has {name}={seconds:g} seconds", at=at, fix="use whole seconds, or minutes or hours"
        )


def _check_value(at: Construct, what: str, kind: str, value: float) -> None:
    percent = kind == "FLEET_PERCENT"
    if value != int(value) or value < 0:
        raise ConfigurationError(
            f"{what} of {value:g}{' percent' if percent else ''}", at=at, fix="use a whole number, 0 or more"
        )
    if percent and value >= 100:
        raise ConfigurationError(
            f"{what} of {value:g} percent, which leaves no instance to work on",
            at=at,
            fix="use 99 or less, and less than all instances but one come to",
        )


def _hosts(kind: str, value: float, total: int) -> int:
    """What CodeDeploy keeps healthy of so many instances."""
    return ceil(max(total, 1) * value / 100) if kind == "FLEET_PERCENT" else int(value)


def _enough(kind: str, value: float) -> int:
    """The smallest number of instances that a deployment with this value works for."""
    return ceil(100 / (100 - value)) if kind == "FLEET_PERCENT" else int(value) + 1


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
