"""Floor 1: build machines that are there before the build is."""

from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.limits import check_whole
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, physical_name
from code_family_constructs.tokens import unresolved

_FLEET_NAME = NameRule("fleet", "[A-Za-z0-9_-]", 128, shortest=2, first="[A-Za-z0-9]")


class Fleet(Construct):
    """Reserved capacity of CodeBuild: machines that wait for builds, for any number of projects.

    Creates a compute fleet. Builds start at once and in parallel, one on each machine, and find the caches of earlier
    builds: also those of other projects, so share a fleet only among projects that may see each other's files. Each
    machine is billed for as long as it is there, whether it builds or not, with a minimum when it starts; a new account
    has a quota of one. Fleets are in some regions only.
    https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html

    For machines in a VPC or chosen by vCPUs and memory, make a `codebuild.Fleet`: projects take that too.

    Args:
        scope: Parent construct.
        id: Construct id.
        environment_type: What kind of machines.
        compute_type: How large they are.
        base_capacity: How many are always there.
        max_capacity: How many there may be when builds wait; `base_capacity` when left out.
        target_utilization: Percentage of busy machines from which on more are added.
        overflow_behavior: Whether builds that find no machine wait, or run on demand and are billed by the minute.
        fleet_name: Name in the console and in labels of runners; made from the stack's name when left out.

    Raises:
        ConfigurationError: A size that the kind of machine does not have, a capacity that cannot be, a name that
            CodeBuild would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment_type: codebuild.EnvironmentType = codebuild.EnvironmentType.LINUX_CONTAINER,
        compute_type: codebuild.FleetComputeType = codebuild.FleetComputeType.SMALL,
        base_capacity: int = 1,
        max_capacity: int | None = None,
        target_utilization: float = 80,
        overflow_behavior: codebuild.FleetOverflowBehavior = codebuild.FleetOverflowBehavior.QUEUE,
        fleet_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, fleet_name, _FLEET_NAME)
        _check_size(self, environment_type, compute_type)
        _check_capacity(self, base_capacity, max_capacity, target_utilization)
        self.environment_type = environment_type
        self.fleet = codebuild.Fleet(
            self,
            "Fleet",
            fleet_name=name,
            environment_type=environment_type,
            compute_type=compute_type,
            base_capacity=base_capacity,
            overflow_behavior=overflow_behavior,
        )
        if max_capacity is not None and max_capacity != base_capacity:
            cfn = self.fleet.node.default_child
            assert isinstance(cfn, codebuild.CfnFleet)
            cfn.scaling_configuration = codebuild.CfnFleet.ScalingConfigurationInputProperty(
                max_capacity=max_capacity,
                scaling_type="TARGET_TRACKING_SCALING",
                target_tracking_scaling_configs=[
                    codebuild.CfnFleet.TargetTrackingScalingConfigurationProperty(
                        metric_type="FLEET_UTILIZATION_RATE", target_value=target_utilization
                    )
                ],
            )


# https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
_EC2 = ("SMALL", "MEDIUM", "LARGE")
_ALL = (*_EC2, "X_LARGE", "X2_LARGE")
_SIZES = {
    "LINUX_CONTAINER": _ALL,
    "ARM_CONTAINER": _ALL,
    "LINUX_GPU_CONTAINER": ("SMALL", "LARGE"),
    "WINDOWS_SERVER_2019_CONTAINER": ("MEDIUM", "LARGE"),
    "WINDOWS_SERVER_2022_CONTAINER": _ALL[1:],
    "MAC_ARM": ("MEDIUM", "LARGE"),
    "LINUX_EC2": _EC2,
    "ARM_EC2": _EC2,
    "WINDOWS_EC2": _EC2[1:],
}


def _check_size(
    at: Construct, environment_type: codebuild.EnvironmentType, compute_type: codebuild.FleetComputeType
) -> None:
    if compute_type.name in ("ATTRIBUTE_BASED", "CUSTOM_INSTANCE_TYPE"):
        raise ConfigurationError(
            f"compute type {compute_type.name}, which says nothing by itself",
            at=at,
            fix="make a codebuild.Fleet, with its compute_configuration=",
        )
    there = _SIZES[environment_type.name]
    if compute_type.name not in there:
        raise ConfigurationError(
            f"compute type {compute_type.name} for {environment_type.name}, which has no machine of that size",
            at=at,
            fix=f"use FleetComputeType.{', '.join(there)}",
        )


def _check_capacity(at: Construct, base: int, most: int | None, target: float) -> None:
    check_whole(at, "base_capacity", base, 1)
    if most is not None and not unresolved(base):
        check_whole(at, "max_capacity", most, base)
    if not unresolved(target) and not 0 < target <= 100:
        raise ConfigurationError(f"target_utilization={target:g} percent", at=at, fix="give more than 0, at most 100")
