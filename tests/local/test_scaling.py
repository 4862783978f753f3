import pytest
from botocore.exceptions import ClientError

from tests.local.templates import ref, resource

TARGETS = {
    name: resource("AWS::ElasticLoadBalancingV2::TargetGroup", Port=80, Protocol="HTTP", VpcId="vpc-1")
    for name in ("Blue", "Green")
}


def group(*target_groups):
    return resource(
        "AWS::AutoScaling::AutoScalingGroup",
        MinSize="0",
        MaxSize="1",
        AvailabilityZones=["us-east-1a"],
        TargetGroupARNs=[ref(name) for name in target_groups],
    )


def test_a_group_keeps_its_target_groups(aws, stack):
    assert stack.create(**TARGETS, Fleet=group("Blue")) == "CREATE_COMPLETE"
    assert read(aws, stack) == [stack.id_of("Blue")]
    stack.update(**TARGETS, Fleet=group("Green", "Blue"))
    assert read(aws, stack) == [stack.id_of("Green"), stack.id_of("Blue")]


def read(aws, stack):
    name = stack.id_of("Fleet")
    [found] = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return found["TargetGroupARNs"]


@pytest.fixture
def by_api(aws, name):
    """A group that the API has made, with two instances."""
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": "lt-1", "Version": "1"},
        MinSize=2,
        MaxSize=4,
        VPCZoneIdentifier="subnet-1,subnet-2",
        TargetGroupARNs=["arn:one", "arn:two"],
        Tags=[{"Key": "k", "Value": "v", "PropagateAtLaunch": True}],
    )
    yield name
    for group in aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]:
        aws("autoscaling").delete_auto_scaling_group(
            AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True
        )


def described(aws, name):
    [group] = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return group


def test_the_api_tells_what_it_was_told(aws, by_api):
    group = described(aws, by_api)
    assert group["TargetGroupARNs"] == ["arn:one", "arn:two"]
    assert group["LaunchTemplate"]["LaunchTemplateId"] == "lt-1"
    assert [(tag["Key"], tag["Value"], tag["PropagateAtLaunch"]) for tag in group["Tags"]] == [("k", "v", True)]
    assert [instance["LifecycleState"] for instance in group["Instances"]] == ["InService"] * 2
    assert "Status" not in group


def test_a_changed_launch_template_leaves_the_instances_alone(aws, by_api):
    before = described(aws, by_api)["Instances"]
    template = {"LaunchTemplateId": "lt-1", "Version": "2"}
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=by_api, LaunchTemplate=template)
    after = described(aws, by_api)
    assert after["LaunchTemplate"]["Version"] == "2"
    assert (after["Instances"], after["DesiredCapacity"]) == (before, 2)
    assert after["TargetGroupARNs"] == ["arn:one", "arn:two"]


@pytest.mark.parametrize(
    ("limits", "desired"), [({"MinSize": 3}, 3), ({"MinSize": 1, "MaxSize": 1}, 1), ({"MaxSize": 9}, 2)]
)
def test_capacity_follows_its_limits(aws, by_api, limits, desired):
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=by_api, **limits)
    group = described(aws, by_api)
    assert (group["DesiredCapacity"], len(group["Instances"])) == (desired, desired)


def test_target_groups_come_and_go(aws, by_api):
    client, group = aws("autoscaling"), {"AutoScalingGroupName": by_api}
    client.attach_load_balancer_target_groups(**group, TargetGroupARNs=["arn:two", "arn:three"])
    assert set(described(aws, by_api)["TargetGroupARNs"]) == {"arn:one", "arn:two", "arn:three"}
    client.detach_load_balancer_target_groups(**group, TargetGroupARNs=["arn:one", "arn:two"])
    assert described(aws, by_api)["TargetGroupARNs"] == ["arn:three"]


def test_a_group_with_instances_is_deleted_by_force_only(aws, by_api):
    client = aws("autoscaling")
    with pytest.raises(ClientError, match="ResourceInUse"):
        client.delete_auto_scaling_group(AutoScalingGroupName=by_api)
    client.delete_auto_scaling_group(AutoScalingGroupName=by_api, ForceDelete=True)
    assert client.describe_auto_scaling_groups(AutoScalingGroupNames=[by_api])["AutoScalingGroups"] == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("update_auto_scaling_group", {"MinSize": 1}),
        ("delete_auto_scaling_group", {"ForceDelete": True}),
        ("attach_load_balancer_target_groups", {"TargetGroupARNs": ["arn:one"]}),
        ("detach_load_balancer_target_groups", {"TargetGroupARNs": ["arn:one"]}),
    ],
)
def test_a_group_that_is_not_there_is_an_error(aws, operation, parameters):
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        getattr(aws("autoscaling"), operation)(AutoScalingGroupName="nowhere", **parameters)


def test_a_group_of_the_same_name_is_refused(aws, by_api):
    with pytest.raises(ClientError, match="AlreadyExists"):
        aws("autoscaling").create_auto_scaling_group(AutoScalingGroupName=by_api, MinSize=0, MaxSize=0)
    assert described(aws, by_api)["TargetGroupARNs"] == ["arn:one", "arn:two"]
