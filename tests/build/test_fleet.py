"""Reserved capacity: machines, how many, and what happens when they are all busy."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_codebuild as codebuild

from code_family_constructs.build.fleet import Fleet
from code_family_constructs.testing import synthesized
from tests.helpers import a_stack, only, refuses

OVERFLOW = codebuild.FleetOverflowBehavior


@pytest.fixture(scope="module")
def templates():
    app = App()
    plain = Stack(app, "Plain")
    Fleet(plain, "Fleet")
    scaled = Stack(app, "Scaled")
    Fleet(
        scaled,
        "Fleet",
        environment_type=codebuild.EnvironmentType.ARM_CONTAINER,
        compute_type=codebuild.FleetComputeType.LARGE,
        base_capacity=2,
        max_capacity=6,
        target_utilization=70,
        overflow_behavior=OVERFLOW.ON_DEMAND,
        fleet_name="arm",
    )
    return {stack.stack_name: only(synthesized(stack), "AWS::CodeBuild::Fleet") for stack in (plain, scaled)}


def test_one_machine_waits_and_others_cost_nothing_unless_asked(templates):
    assert templates["Plain"] == {
        "Name": "Plain-Fleet",
        "EnvironmentType": "LINUX_CONTAINER",
        "ComputeType": "BUILD_GENERAL1_SMALL",
        "BaseCapacity": 1,
        "OverflowBehavior": "QUEUE",
    }


def test_machines_are_added_when_they_are_busy(templates):
    fleet = templates["Scaled"]
    assert fleet["BaseCapacity"] == 2
    assert fleet["ScalingConfiguration"] == {
        "MaxCapacity": 6,
        "ScalingType": "TARGET_TRACKING_SCALING",
        "TargetTrackingScalingConfigs": [{"MetricType": "FLEET_UTILIZATION_RATE", "TargetValue": 70}],
    }


def test_what_was_asked_for_is_what_is_reserved(templates):
    fleet = templates["Scaled"]
    assert (fleet["Name"], fleet["EnvironmentType"], fleet["ComputeType"], fleet["OverflowBehavior"]) == (
        "arm", "ARM_CONTAINER", "BUILD_GENERAL1_LARGE", "ON_DEMAND",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "size", "fix"),
    [
        ("LINUX_GPU_CONTAINER", "MEDIUM", "SMALL, LARGE"),
        ("WINDOWS_SERVER_2019_CONTAINER", "SMALL", "MEDIUM, LARGE"),
        ("LINUX_EC2", "X_LARGE", "SMALL, MEDIUM, LARGE"),
        ("MAC_ARM", "SMALL", "MEDIUM, LARGE"),
    ],
)
def test_fails_when_there_is_no_machine_of_that_size(kind, size, fix):
    with refuses(f"{size} for {kind}", at="Shop/Fleet", fix=f"FleetComputeType.{fix}"):
        Fleet(
            a_stack(),
            "Fleet",
            environment_type=codebuild.EnvironmentType[kind],
            compute_type=codebuild.FleetComputeType[size],
        )


@pytest.mark.parametrize("kind", codebuild.EnvironmentType)
def test_each_kind_of_machine_has_a_size(kind):
    Fleet(a_stack(), "Fleet", environment_type=kind, compute_type=codebuild.FleetComputeType.LARGE)


@pytest.mark.parametrize("size", ["ATTRIBUTE_BASED", "CUSTOM_INSTANCE_TYPE"])
def test_fails_when_a_size_says_nothing(size):
    with refuses(size, at="Shop/Fleet", fix="make a codebuild.Fleet"):
        Fleet(a_stack(), "Fleet", compute_type=codebuild.FleetComputeType[size])


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"base_capacity": 0}, "base_capacity=0", "give 1 or more"),
        ({"base_capacity": 3, "max_capacity": 2}, "max_capacity=2", "give 3 or more"),
        ({"target_utilization": 0}, "target_utilization=0", "more than 0"),
        ({"target_utilization": 101}, "target_utilization=101", "at most 100"),
        ({"fleet_name": "a"}, "'a' has 1 characters", "2 to 128"),
        ({"fleet_name": "my fleet"}, "' '", "2 to 128"),
    ],
)
def test_fails_when_codebuild_would_refuse_it(settings, problem, fix):
    with refuses(problem, at="Shop/Fleet", fix=fix):
        Fleet(a_stack(), "Fleet", **settings)


def test_parameters_are_let_through():
    stack = a_stack()
    number: Any = CfnParameter(stack, "Number", type="Number").value_as_number
    Fleet(stack, "Fleet", max_capacity=number)
    fleet = only(synthesized(stack), "AWS::CodeBuild::Fleet")
    assert fleet["ScalingConfiguration"]["MaxCapacity"] == {"Ref": "Number"}
