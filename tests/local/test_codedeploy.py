import pytest
from botocore.exceptions import ClientError

from tests.local.templates import ref, resource

APPLICATION = resource("AWS::CodeDeploy::Application", ComputePlatform="Server")
ROLE = "arn:aws:iam::123456789012:role/deploy"


def group(**properties):
    return resource(
        "AWS::CodeDeploy::DeploymentGroup",
        **{"ApplicationName": ref("Application"), "ServiceRoleArn": ROLE, **properties},
    )


def auto_scaling_group():
    return resource("AWS::AutoScaling::AutoScalingGroup", MinSize="0", MaxSize="1", AvailabilityZones=["us-east-1a"])


EVERYTHING = {
    "DeploymentConfigName": "CodeDeployDefault.HalfAtATime",
    "AutoScalingGroups": [ref("Fleet")],
    "Ec2TagFilters": [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}],
    "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": "errors"}], "IgnorePollAlarmFailure": "false"},
    "AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]},
    "DeploymentStyle": {"DeploymentOption": "WITH_TRAFFIC_CONTROL"},
    "LoadBalancerInfo": {"TargetGroupInfoList": [{"Name": "web"}]},
    "OutdatedInstancesStrategy": "UPDATE",
    "TerminationHookEnabled": True,
    "TriggerConfigurations": [
        {"TriggerName": "t", "TriggerEvents": ["DeploymentFailure"], "TriggerTargetArn": "arn:aws:sns:us-east-1:1:t"}
    ],
    "Tags": [{"Key": "team", "Value": "a"}],
}


def test_every_property_can_be_read_back(aws, stack):
    assert (
        stack.create(Application=APPLICATION, Fleet=auto_scaling_group(), Group=group(**EVERYTHING))
        == "CREATE_COMPLETE"
    )
    found = read(aws, stack)
    fleet = stack.id_of("Fleet")
    assert found["computePlatform"] == "Server"
    assert found["deploymentConfigName"] == "CodeDeployDefault.HalfAtATime"
    assert [item["name"] for item in found["autoScalingGroups"]] == [fleet]
    assert found["ec2TagFilters"] == [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]
    assert found["alarmConfiguration"] == {
        "enabled": True,
        "alarms": [{"name": "errors"}],
        "ignorePollAlarmFailure": False,
    }
    assert found["autoRollbackConfiguration"]["events"] == ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
    assert found["deploymentStyle"] == {"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
    assert found["loadBalancerInfo"] == {"targetGroupInfoList": [{"name": "web"}]}
    assert found["outdatedInstancesStrategy"] == "UPDATE"
    assert found["terminationHookEnabled"] is True
    assert found["triggerConfigurations"][0]["triggerEvents"] == ["DeploymentFailure"]
    arn = f"arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:{found['applicationName']}/{stack.id_of('Group')}"
    assert {"Key": "team", "Value": "a"} in aws("codedeploy").list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert stack.drift()["Group"]["StackResourceDriftStatus"] == "IN_SYNC"


def test_the_group_hooks_into_its_auto_scaling_group_and_out_again(aws, stack):
    stack.create(Application=APPLICATION, Fleet=auto_scaling_group(), Group=group(AutoScalingGroups=[ref("Fleet")]))
    fleet = stack.id_of("Fleet")
    hooks = aws("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=fleet)["LifecycleHooks"]
    assert [hook["LifecycleHookName"] for hook in hooks] == [read(aws, stack)["autoScalingGroups"][0]["hook"]]
    stack.update(Application=APPLICATION, Fleet=auto_scaling_group(), Group=group())
    assert read(aws, stack)["autoScalingGroups"] == []
    assert aws("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=fleet)["LifecycleHooks"] == []


def test_an_update_is_in_place_and_what_left_the_template_is_reset(aws, stack):
    stack.create(Application=APPLICATION, Fleet=auto_scaling_group(), Group=group(**EVERYTHING))
    name, identifier = stack.id_of("Group"), read(aws, stack)["deploymentGroupId"]
    changed = group(DeploymentConfigName="CodeDeployDefault.AllAtOnce")
    assert stack.update(Application=APPLICATION, Group=changed) == "UPDATE_COMPLETE"
    assert stack.id_of("Group") == name
    found = read(aws, stack)
    assert found["deploymentGroupId"] == identifier
    assert found["deploymentConfigName"] == "CodeDeployDefault.AllAtOnce"
    assert found["autoScalingGroups"] == []
    assert found["deploymentStyle"] == {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
    gone = {
        "ec2TagFilters",
        "alarmConfiguration",
        "autoRollbackConfiguration",
        "loadBalancerInfo",
        "triggerConfigurations",
    }
    assert not gone & found.keys()


def test_a_refused_update_leaves_the_group_as_it_was(aws, stack):
    stack.create(Application=APPLICATION, Fleet=auto_scaling_group(), Group=group(**EVERYTHING))
    before = read(aws, stack)
    changed = group(AlarmConfiguration={"Enabled": True, "Alarms": [{"Name": str(n)} for n in range(11)]})
    assert (
        stack.update(Application=APPLICATION, Fleet=auto_scaling_group(), Group=changed) == "UPDATE_ROLLBACK_COMPLETE"
    )
    assert read(aws, stack) == before


def test_a_tag_set_is_kept_as_groups_of_filters(aws, stack):
    both = [{"Ec2TagGroup": [{"Key": key, "Type": "KEY_ONLY"}]} for key in ("a", "b")]
    stack.create(Application=APPLICATION, Group=group(Ec2TagSet={"Ec2TagSetList": both}))
    expected = [[{"Key": key, "Type": "KEY_ONLY"}] for key in ("a", "b")]
    assert read(aws, stack)["ec2TagSet"] == {"ec2TagSetList": expected}
    assert stack.drift()["Group"]["StackResourceDriftStatus"] == "IN_SYNC"


def test_a_custom_configuration_is_kept_and_cannot_go_while_it_is_used(aws, stack, name):
    hosts = {"Type": "FLEET_PERCENT", "Value": 75}
    stack.create(
        Application=APPLICATION,
        Config=resource("AWS::CodeDeploy::DeploymentConfig", DeploymentConfigName=name, MinimumHealthyHosts=hosts),
        Group=group(DeploymentConfigName=ref("Config")),
    )
    found = aws("codedeploy").get_deployment_config(deploymentConfigName=name)["deploymentConfigInfo"]
    assert found["minimumHealthyHosts"] == {"type": "FLEET_PERCENT", "value": 75}
    with pytest.raises(ClientError, match="DeploymentConfigInUseException"):
        aws("codedeploy").delete_deployment_config(deploymentConfigName=name)
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="DeploymentConfigDoesNotExistException"):
        aws("codedeploy").get_deployment_config(deploymentConfigName=name)


def test_a_changed_configuration_under_its_own_name_is_refused(stack, name):
    def config(value):
        hosts = {"Type": "HOST_COUNT", "Value": value}
        return resource("AWS::CodeDeploy::DeploymentConfig", DeploymentConfigName=name, MinimumHealthyHosts=hosts)

    stack.create(Config=config(1))
    assert stack.update(Config=config(2)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot update a stack when a custom-named resource requires replacing" in stack.reason()


@pytest.mark.parametrize("platform", ["ECS", "Lambda"])
def test_predefined_configurations_are_there_for_their_platform(aws, platform):
    names = aws("codedeploy").list_deployment_configs()["deploymentConfigsList"]
    name = f"CodeDeployDefault.{platform}Canary10Percent5Minutes"
    assert name in names
    found = aws("codedeploy").get_deployment_config(deploymentConfigName=name)["deploymentConfigInfo"]
    assert found["computePlatform"] == platform
    assert found["trafficRoutingConfig"]["timeBasedCanary"] == {"canaryPercentage": 10, "canaryInterval": 5}


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"DeploymentConfigName": "Missing"}, "No deployment configuration found for name: Missing"),
        ({"DeploymentConfigName": "CodeDeployDefault.ECSAllAtOnce"}, "is for ECS, the application"),
        ({"AutoScalingGroups": ["missing"]}, "InvalidAutoScalingGroupException"),
        ({"DeploymentStyle": {"DeploymentOption": "WITH_TRAFFIC_CONTROL"}}, "needs a load balancer"),
        ({"AutoRollbackConfiguration": {"Enabled": True, "Events": ["RAIN"]}}, "Member must satisfy enum value set"),
        ({"AlarmConfiguration": {"Alarms": [{"Name": str(n)} for n in range(11)]}}, "at most 10 alarms"),
        ({"Alarms": []}, "#: extraneous key [Alarms] is not permitted"),
        (
            {"Deployment": {"Revision": {}}},
            "#/Deployment: the embedded endpoint deploys nothing when a group is created",
        ),
        ({"ApplicationName": "missing"}, "No application found for name: missing"),
    ],
)
def test_what_createdeploymentgroup_refuses_fails_with_the_reason(stack, properties, reason):
    assert stack.create(Application=APPLICATION, Group=group(**properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_deleting_an_application_takes_its_groups_along(aws, name):
    client = aws("codedeploy")
    client.create_application(applicationName=name)
    client.create_deployment_group(applicationName=name, deploymentGroupName="g", serviceRoleArn=ROLE)
    client.delete_application(applicationName=name)
    client.create_application(applicationName=name)
    assert client.list_deployment_groups(applicationName=name)["deploymentGroups"] == []
    client.delete_application(applicationName=name)


def test_what_is_not_modelled_says_so(aws):
    with pytest.raises(ClientError, match="does not model CodeDeploy ListOnPremisesInstances"):
        aws("codedeploy").list_on_premises_instances()


def read(aws, stack):
    answer = aws("codedeploy").get_deployment_group(
        applicationName=stack.id_of("Application"), deploymentGroupName=stack.id_of("Group")
    )
    return answer["deploymentGroupInfo"]
