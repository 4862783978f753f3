import pytest
from botocore.exceptions import ClientError

from tests.local.services import BALANCER, SHIFTED_BY_ECS, balanced, cluster, definition, functions, service
from tests.local.templates import get, ref, resource

ASKED = """
    import json, urllib.request
    import boto3

    def handler(event, context):
        boto3.client("ssm").put_parameter(
            Name=event["hookDetails"]["Note"], Value=json.dumps(event), Type="String", Overwrite=True
        )
        if "asked" not in event["hookDetails"]:
            return {"hookStatus": "IN_PROGRESS", "callBackDelay": 30, "hookDetails": {"asked": True}}
        return {"hookStatus": "SUCCEEDED"}
"""
NO = "def handler(event, context): return {'hookStatus': 'FAILED'}"
NOTHING = "def handler(event, context): return None"
RAISES = "def handler(event, context): raise ValueError('not today')"


def everything(**properties):
    return {**balanced(), "Cluster": cluster(), "Definition": definition(), "Service": service(**properties)}


def shifted(*hooks, strategy="BLUE_GREEN", **configuration):
    return {
        "LoadBalancers": [SHIFTED_BY_ECS],
        "DeploymentConfiguration": {"Strategy": strategy, "LifecycleHooks": list(hooks), **configuration},
    }


def hook(function, stage, **details):
    hook = {"HookTargetArn": get(function, "Arn"), "RoleArn": "arn:aws:iam::123456789012:role/h"}
    return {**hook, "LifecycleStages": [stage], **({"HookDetails": details} if details else {})}


def test_a_cluster_can_be_read_back_and_changed(aws, stack, name):
    settings = [{"Name": "containerInsights", "Value": "enhanced"}]
    first = cluster(ClusterName=name, ClusterSettings=settings, Tags=[{"Key": "team", "Value": "a"}])
    assert stack.create(Cluster=first) == "CREATE_COMPLETE"
    [found] = aws("ecs").describe_clusters(clusters=[name], include=["TAGS"])["clusters"]
    assert found["settings"] == [{"name": "containerInsights", "value": "enhanced"}]
    assert {"key": "team", "value": "a"} in found["tags"]
    assert stack.drift()["Cluster"]["StackResourceDriftStatus"] == "IN_SYNC"
    changed = cluster(ClusterName=name, CapacityProviders=["FARGATE"], Tags=[{"Key": "team", "Value": "b"}])
    assert stack.update(Cluster=changed) == "UPDATE_COMPLETE"
    [found] = aws("ecs").describe_clusters(clusters=[name], include=["TAGS"])["clusters"]
    assert found["capacityProviders"] == ["FARGATE"]
    assert {"key": "team", "value": "b"} in found["tags"]


def test_a_changed_task_definition_is_a_revision_and_the_one_before_it_goes(aws, stack, name):
    stack.create(Definition=definition(Family=name, Tags=[{"Key": "team", "Value": "a"}]))
    first = stack.id_of("Definition")
    assert first.endswith(f":task-definition/{name}:1")
    assert stack.drift()["Definition"]["StackResourceDriftStatus"] == "IN_SYNC"
    assert stack.update(Definition=definition(Family=name, cpu="512")) == "UPDATE_COMPLETE"
    answer = aws("ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]
    assert (answer["revision"], answer["cpu"], answer["containerDefinitions"][0]["essential"]) == (2, "512", True)
    before = aws("ecs").describe_task_definition(taskDefinition=f"{name}:1", include=["TAGS"])
    assert (before["taskDefinition"]["status"], before["taskDefinition"]["cpu"]) == ("INACTIVE", "256")
    assert {"key": "team", "value": "a"} in before["tags"]
    assert aws("ecs").list_task_definitions(familyPrefix=name)["taskDefinitionArns"] == [stack.id_of("Definition")]
    stack.delete()
    with pytest.raises(ClientError, match="Unable to describe task definition"):
        aws("ecs").describe_task_definition(taskDefinition=name)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"cpu": "300"}, "No Fargate configuration exists for given values: 300 CPU, 1024 memory."),
        ({"image": "1.dkr.ecr.us-east-1.amazonaws.com/a"}, "to have execution role ARN to support ECR images"),
        ({"NetworkMode": "bridge"}, "Fargate only supports network mode 'awsvpc'"),
        ({"Containers": []}, "#: extraneous key [Containers] is not permitted"),
    ],
)
def test_what_registertaskdefinition_refuses_fails_with_the_reason(stack, properties, reason):
    assert stack.create(Definition=definition(**properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_a_service_that_codedeploy_deploys_has_task_sets(aws, stack):
    assert stack.create(**everything(controller="CODE_DEPLOY")) == "CREATE_COMPLETE"
    found = read(aws, stack)
    assert found["serviceArn"] == stack.id_of("Service")
    assert found["deploymentController"] == {"type": "CODE_DEPLOY"}
    assert found["taskDefinition"] == stack.id_of("Definition")
    assert found["loadBalancers"] == [
        {"containerName": "web", "containerPort": 80, "targetGroupArn": stack.id_of("Blue")}
    ]
    assert (found["desiredCount"], found["runningCount"], found["deployments"]) == (2, 2, [])
    [task_set] = found["taskSets"]
    assert (task_set["status"], task_set["stabilityStatus"]) == ("PRIMARY", "STEADY_STATE")
    assert (task_set["taskDefinition"], task_set["computedDesiredCount"]) == (found["taskDefinition"], 2)
    assert task_set["loadBalancers"] == found["loadBalancers"]
    assert stack.drift()["Service"]["StackResourceDriftStatus"] == "IN_SYNC"
    assert stack.delete() == "DELETE_COMPLETE"
    assert aws("ecs").list_clusters()["clusterArns"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"taskDefinition": "any"}, "Unable to update task definition on services with a CODE_DEPLOY deployment"),
        ({"loadBalancers": [{"containerName": "x"}]}, "Unable to update load balancers on services"),
        ({"forceNewDeployment": True}, "Cannot force a new deployment on services with a CODE_DEPLOY deployment"),
    ],
)
def test_updateservice_leaves_a_service_to_codedeploy(aws, stack, change, reason):
    stack.create(**everything(controller="CODE_DEPLOY"))
    with pytest.raises(ClientError, match=reason):
        aws("ecs").update_service(cluster=stack.id_of("Cluster"), service=stack.id_of("Service"), **change)
    scaled = aws("ecs").update_service(cluster=stack.id_of("Cluster"), service=stack.id_of("Service"), desiredCount=3)[
        "service"
    ]
    assert (scaled["runningCount"], scaled["taskSets"][0]["computedDesiredCount"]) == (3, 3)


def test_cloudformation_cannot_give_such_a_service_another_task_definition(stack):
    resources = everything(controller="CODE_DEPLOY")
    stack.create(**resources)
    assert stack.update(**{**resources, "Definition": definition(cpu="512")}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Unable to update task definition on services with a CODE_DEPLOY" in stack.reason()


def test_a_service_moves_from_codedeploy_to_ecs(aws, stack):
    resources = everything(controller="CODE_DEPLOY")
    stack.create(**resources)
    assert stack.update(**{**resources, "Service": service(), "Definition": definition(cpu="512")}) == "UPDATE_COMPLETE"
    found = read(aws, stack)
    assert (found["deploymentController"], "taskSets" in found) == ({"type": "ECS"}, False)
    assert found["taskDefinition"] == stack.id_of("Definition")


def test_a_rolling_service_takes_a_new_task_definition_in_place(aws, stack):
    breaker = {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}, "MinimumHealthyPercent": 50}
    resources = everything(DeploymentConfiguration=breaker, Tags=[{"Key": "team", "Value": "a"}])
    assert stack.create(**resources) == "CREATE_COMPLETE"
    before = read(aws, stack)
    assert before["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert stack.update(**{**resources, "Definition": definition(cpu="512")}) == "UPDATE_COMPLETE"
    found = read(aws, stack)
    assert found["serviceArn"] == before["serviceArn"]
    assert found["taskDefinition"] == stack.id_of("Definition") != before["taskDefinition"]
    [deployment] = found["deployments"]
    assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "COMPLETED")
    assert len(revisions_of(aws, found)) == 2
    assert {"key": "team", "value": "a"} in aws("ecs").list_tags_for_resource(resourceArn=found["serviceArn"])["tags"]


@pytest.mark.parametrize(
    ("strategy", "configuration"),
    [
        ("BLUE_GREEN", {"BakeTimeInMinutes": 5}),
        ("CANARY", {"CanaryConfiguration": {"CanaryPercent": 10, "CanaryBakeTimeInMinutes": 5}}),
        ("LINEAR", {"LinearConfiguration": {"StepPercent": 10, "StepBakeTimeInMinutes": 1}}),
    ],
)
def test_a_service_that_ecs_shifts_changes_sides_at_each_deployment(aws, stack, strategy, configuration):
    resources = everything(**shifted(strategy=strategy, **configuration))
    assert stack.create(**resources) == "CREATE_COMPLETE"
    assert weights(aws, stack) == {"Blue": 100, "Green": 0}
    assert read(aws, stack)["deploymentConfiguration"]["strategy"] == strategy
    assert stack.drift()["Service"]["StackResourceDriftStatus"] == "IN_SYNC"
    assert stack.update(**{**resources, "Definition": definition(cpu="512")}) == "UPDATE_COMPLETE"
    assert weights(aws, stack) == {"Blue": 0, "Green": 100}
    found = read(aws, stack)
    assert found["taskDefinition"] == stack.id_of("Definition")
    assert found["loadBalancers"][0]["targetGroupArn"] == stack.id_of("Blue")
    [newest, _] = revisions_of(aws, found)
    assert newest["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"] == stack.id_of("Green")
    stack.update(**{**resources, "Definition": definition(cpu="1024", Memory="2048")})
    assert weights(aws, stack) == {"Blue": 100, "Green": 0}


def test_a_hook_runs_for_real_until_it_is_done(aws, stack, name):
    configuration = shifted(hook("Hook", "POST_TEST_TRAFFIC_SHIFT", Note=name))
    assert stack.create(**everything(**configuration), **functions(Hook=ASKED)) == "CREATE_COMPLETE"
    event = aws("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert '"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT"' in event
    assert '"asked": true' in event
    assert f'"serviceArn": "{stack.id_of("Service")}"' in event
    aws("ssm").delete_parameter(Name=name)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(NO, "answered hookStatus FAILED"), (NOTHING, "answered no hookStatus"), (RAISES, "not today")],
)
def test_a_failing_hook_sends_traffic_and_tasks_back(aws, stack, code, reason):
    resources = {**everything(**shifted()), **functions(Hook=code)}
    stack.create(**resources)
    failing = service(**shifted(hook("Hook", "POST_PRODUCTION_TRAFFIC_SHIFT")))
    before = read(aws, stack)
    changed = {**resources, "Service": failing, "Definition": definition(cpu="512")}
    assert stack.update(**changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert reason in stack.reason()
    assert weights(aws, stack) == {"Blue": 100, "Green": 0}
    found = read(aws, stack)
    assert found["taskDefinition"] == before["taskDefinition"] == stack.id_of("Definition")
    assert found["deploymentConfiguration"] == before["deploymentConfiguration"]
    newest = deployments_of(aws, found)[0]
    assert newest["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_service_whose_first_deployment_fails_is_not_left_behind(aws, stack):
    resources = {**everything(**shifted(hook("Hook", "PRE_SCALE_UP"))), **functions(Hook=NO)}
    assert stack.create(**resources) == "ROLLBACK_COMPLETE"
    assert "answered hookStatus FAILED" in stack.reason()
    assert aws("ecs").list_clusters()["clusterArns"] == []


FIRES = """
    import boto3

    def handler(event, context):
        alarm = event["hookDetails"]["Alarm"]
        boto3.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
        return {"hookStatus": "SUCCEEDED"}
"""


def test_an_alarm_that_fires_meanwhile_sends_a_deployment_back(aws, stack, name):
    watched = {"Alarms": {"AlarmNames": [name], "Enable": True, "Rollback": True}}
    resources = {**everything(**shifted(**watched)), **functions(Hook=FIRES), "Alarm": alarm(name)}
    assert stack.create(**resources) == "CREATE_COMPLETE"
    before = read(aws, stack)["taskDefinition"]
    hooked = service(**shifted(hook("Hook", "POST_SCALE_UP", Alarm=name), **watched))
    changed = {**resources, "Service": hooked, "Definition": definition(cpu="512")}
    assert stack.update(**changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert f"Alarms in state ALARM: {name}." in stack.reason()
    assert read(aws, stack)["taskDefinition"] == before
    # As long as it is firing, a deployment that may be the remedy goes on.
    assert stack.update(**changed) == "UPDATE_COMPLETE"
    assert read(aws, stack)["taskDefinition"] != before


def alarm(name):
    return resource(
        "AWS::CloudWatch::Alarm",
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"NetworkConfiguration": None}, "Network Configuration must be provided"),
        ({"LoadBalancers": [{**BALANCER, "ContainerName": "x"}]}, "The container x does not exist"),
        ({"LoadBalancers": [{**BALANCER, "ContainerPort": 81}]}, "did not have a container port 81 defined"),
        ({"LoadBalancers": [{**BALANCER, "TargetGroupArn": ref("Green")}], "controller": "ECS"}, None),
        (
            {"LoadBalancers": [{**BALANCER, "TargetGroupArn": ref("Loose")}]},
            "does not have an associated load balancer",
        ),
        ({"DeploymentConfiguration": {"Strategy": "BLUE_GREEN"}}, "needs alternateTargetGroupArn"),
        ({"DeploymentConfiguration": {"CanaryConfiguration": {"CanaryPercent": 5}}}, "not for ROLLING"),
        ({"controller": "CODE_DEPLOY", "LoadBalancers": []}, "needs exactly one load balancer"),
        (
            {
                "controller": "CODE_DEPLOY",
                "DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}},
            },
            "deploymentCircuitBreaker is for services with an ECS deployment controller only",
        ),
        ({"TaskDefinition": "missing"}, "TaskDefinition not found."),
        ({"Cluster": "missing"}, "Cluster not found."),
        ({"Subnets": []}, "#: extraneous key [Subnets] is not permitted"),
    ],
)
def test_what_createservice_refuses_fails_with_the_reason(stack, properties, reason):
    resources = everything(**properties)
    resources["Loose"] = resource("AWS::ElasticLoadBalancingV2::TargetGroup", VpcId=ref("Vpc"), TargetType="ip")
    status = stack.create(**resources)
    assert status == ("ROLLBACK_COMPLETE" if reason else "CREATE_COMPLETE")
    if reason:
        assert reason in stack.reason()


def test_the_tags_of_cloudformation_are_its_own(aws, stack, name):
    stack.create(Definition=definition(Family=name))
    copied = aws("ecs").describe_task_definition(taskDefinition=name, include=["TAGS"])["tags"]
    containers = [{"name": "web", "image": "web:2"}]
    with pytest.raises(ClientError, match="aws: prefixed tag key names are not allowed"):
        aws("ecs").register_task_definition(family=name, containerDefinitions=containers, tags=copied)


def test_what_is_not_modelled_says_so(aws):
    with pytest.raises(ClientError, match="does not model ECS RunTask"):
        aws("ecs").run_task(taskDefinition="any")


def read(aws, stack):
    cluster, name = stack.id_of("Cluster"), stack.id_of("Service")
    [found] = aws("ecs").describe_services(cluster=cluster, services=[name])["services"]
    return found


def weights(aws, stack):
    [rule] = aws("elbv2").describe_rules(RuleArns=[stack.id_of("Rule")])["Rules"]
    names = {stack.id_of(name): name for name in ("Blue", "Green")}
    groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    return {names[group["TargetGroupArn"]]: group["Weight"] for group in groups}


def deployments_of(aws, service):
    listed = aws("ecs").list_service_deployments(cluster=service["clusterArn"], service=service["serviceArn"])
    arns = [item["serviceDeploymentArn"] for item in listed["serviceDeployments"]]
    return aws("ecs").describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]


def revisions_of(aws, service):
    arns = [item["targetServiceRevision"]["arn"] for item in deployments_of(aws, service)]
    return aws("ecs").describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
