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
