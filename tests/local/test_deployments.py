import json
import time

import pytest
from botocore.exceptions import ClientError

from tests.local.hooks import RAISES, REPORTS, SILENT
from tests.local.services import BALANCER, balanced, cluster, definition, function, service
from tests.local.templates import get, ref, resource, role

ROLE = "arn:aws:iam::123456789012:role/deploy"
BACK = {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]}
BACK_WHEN_STOPPED = {"Enabled": True, "Events": ["DEPLOYMENT_STOP_ON_REQUEST"]}


def on_ecs(*, ready="CONTINUE_DEPLOYMENT", test_listener=True, **properties):
    pair = {
        "TargetGroups": [{"Name": get("Blue", "TargetGroupName")}, {"Name": get("Green", "TargetGroupName")}],
        "ProdTrafficRoute": {"ListenerArns": [ref("Listener")]},
        **({"TestTrafficRoute": {"ListenerArns": [ref("TestListener")]}} if test_listener else {}),
    }
    ready_option = {"ActionOnTimeout": ready, **({"WaitTimeInMinutes": 5} if ready == "STOP_DEPLOYMENT" else {})}
    return {
        **balanced(),
        "Cluster": cluster(),
        "Definition": definition(),
        "Service": service(controller="CODE_DEPLOY"),
        "Application": resource("AWS::CodeDeploy::Application", ComputePlatform="ECS"),
        "Group": group(
            **{
                "ECSServices": [{"ClusterName": ref("Cluster"), "ServiceName": get("Service", "Name")}],
                "LoadBalancerInfo": {"TargetGroupPairInfoList": [pair]},
                "BlueGreenDeploymentConfiguration": {
                    "DeploymentReadyOption": ready_option,
                    "TerminateBlueInstancesOnDeploymentSuccess": {
                        "Action": "TERMINATE",
                        "TerminationWaitTimeInMinutes": 5,
                    },
                },
                "DeploymentStyle": {"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
                "AutoRollbackConfiguration": BACK,
                **properties,
            }
        ),
    }


def on_lambda(**properties):
    return {
        "Role": role(),
        "Function": function(SILENT),
        "First": resource("AWS::Lambda::Version", FunctionName=ref("Function")),
        "Alias": resource(
            "AWS::Lambda::Alias", FunctionName=ref("Function"), FunctionVersion=get("First", "Version"), Name="live"
        ),
        "Application": resource("AWS::CodeDeploy::Application", ComputePlatform="Lambda"),
        "Group": group(AutoRollbackConfiguration=BACK, **properties),
    }


def group(**properties):
    return resource(
        "AWS::CodeDeploy::DeploymentGroup", ApplicationName=ref("Application"), ServiceRoleArn=ROLE, **properties
    )


class OnEcs:
    def __init__(self, aws, stack):
        self.aws, self.stack = aws, stack

    def deploy(self, hooks=None, image="web:2", **request):
        definition_arn = self.register(image)
        spec = app_spec(definition_arn, hooks)
        return definition_arn, deploy(self.aws, self.stack, spec, **request)

    def register(self, image):
        registered = self.aws("ecs").register_task_definition(
            family=self.stack.name,
            containerDefinitions=[{"name": "web", "image": image, "portMappings": [{"containerPort": 80}]}],
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def service(self):
        [found] = self.aws("ecs").describe_services(
            cluster=self.stack.id_of("Cluster"), services=[self.stack.id_of("Service")]
        )["services"]
        return found

    def side(self, listener):
        [found] = self.aws("elbv2").describe_listeners(ListenerArns=[self.stack.id_of(listener)])["Listeners"]
        names = {self.stack.id_of(name): name for name in ("Blue", "Green")}
        return names[found["DefaultActions"][0]["TargetGroupArn"]]


@pytest.fixture
def on(aws, stack):
    return OnEcs(aws, stack)


def test_a_group_for_ecs_can_be_read_back(aws, stack):
    assert stack.create(**on_ecs()) == "CREATE_COMPLETE"
    found = read_group(aws, stack)
    assert found["computePlatform"] == "ECS"
    [service_] = found["ecsServices"]
    assert service_["clusterName"] == stack.id_of("Cluster")
    [pair] = found["loadBalancerInfo"]["targetGroupPairInfoList"]
    assert pair["testTrafficRoute"] == {"listenerArns": [stack.id_of("TestListener")]}
    assert stack.drift()["Group"]["StackResourceDriftStatus"] == "IN_SYNC"


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"ECSServices": []}, "has exactly one service"),
        ({"LoadBalancerInfo": {"TargetGroupPairInfoList": []}}, "has one pair of target groups"),
        ({"DeploymentStyle": {"DeploymentType": "IN_PLACE"}}, "is BLUE_GREEN and WITH_TRAFFIC_CONTROL"),
        ({"BlueGreenDeploymentConfiguration": None}, "needs a blueGreenDeploymentConfiguration"),
    ],
)
def test_what_codedeploy_refuses_of_a_group_for_ecs(stack, properties, reason):
    assert stack.create(**on_ecs(**properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_a_service_that_ecs_deploys_is_not_for_codedeploy(stack):
    assert stack.create(**{**on_ecs(), "Service": service()}) == "ROLLBACK_COMPLETE"
    assert "must be configured for a CODE_DEPLOY deployment controller" in stack.reason()


def test_a_deployment_to_ecs_replaces_the_tasks_and_moves_the_listeners(aws, stack, on):
    hooks = ("BeforeInstall", "AfterAllowTestTraffic", "AfterAllowTraffic")
    functions = {"Role": role(), "Hook": function(REPORTS, Environment={"Variables": {"Note": stack.name}})}
    stack.create(**on_ecs(), **functions)
    before = on.service()["taskSets"][0]["id"]
    definition_arn, identifier = on.deploy(dict.fromkeys(hooks, stack.id_of("Hook")))
    info = finished(aws, identifier)
    assert (info["status"], info["creator"], info["computePlatform"]) == ("Succeeded", "user", "ECS")
    assert info["deploymentOverview"]["Succeeded"] == 1
    found = on.service()
    assert found["taskDefinition"] == definition_arn
    assert found["loadBalancers"][0]["targetGroupArn"] == stack.id_of("Green")
    [task_set] = found["taskSets"]
    assert (task_set["status"], task_set["startedBy"], task_set["externalId"]) == ("PRIMARY", "CODE_DEPLOY", identifier)
    assert task_set["id"] != before
    assert (on.side("Listener"), on.side("TestListener")) == ("Green", "Green")
    told = json.loads(aws("ssm").get_parameter(Name=stack.name)["Parameter"]["Value"])
    assert told["DeploymentId"] == identifier
    aws("ssm").delete_parameter(Name=stack.name)

    client = aws("codedeploy")
    [target_id] = client.list_deployment_targets(deploymentId=identifier)["targetIds"]
    [target] = client.batch_get_deployment_targets(deploymentId=identifier, targetIds=[target_id])["deploymentTargets"]
    events = target["ecsTarget"]["lifecycleEvents"]
    assert [event["lifecycleEventName"] for event in events] == [
        "BeforeInstall",
        "Install",
        "AfterInstall",
        "AllowTestTraffic",
        "AfterAllowTestTraffic",
        "BeforeAllowTraffic",
        "AllowTraffic",
        "AfterAllowTraffic",
    ]
    assert {event["status"] for event in events} == {"Succeeded"}
    blue, green = target["ecsTarget"]["taskSetsInfo"]
    assert (blue["taskSetLabel"], blue["trafficWeight"]) == ("Blue", 0.0)
    assert (green["taskSetLabel"], green["trafficWeight"], green["status"]) == ("Green", 100.0, "PRIMARY")
    group_info = read_group(aws, stack)
    assert group_info["lastSuccessfulDeployment"]["deploymentId"] == identifier

    _, second = on.deploy(image="web:3")
    assert finished(aws, second)["previousRevision"] == info["revision"]
    assert on.side("Listener") == "Blue"
    listed = client.list_deployments(applicationName=stack.id_of("Application"))["deployments"]
    assert listed == [second, identifier]


@pytest.mark.parametrize(
    ("event", "code", "variables", "reason"),
    [
        ("BeforeInstall", SILENT, {}, "ended without a report"),
        ("AfterAllowTestTraffic", RAISES, {}, "not today"),
        ("AfterAllowTraffic", REPORTS, {"Status": "Failed"}, "reported Failed"),
    ],
)
def test_a_failing_hook_takes_a_deployment_to_ecs_back(aws, stack, on, event, code, variables, reason):
    hook = function(code, Environment={"Variables": variables})
    stack.create(**on_ecs(), Role=role(), Hook=hook)
    before = on.service()
    _, identifier = on.deploy({event: stack.id_of("Hook")})
    info = finished(aws, identifier)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE"
    assert event in info["errorInformation"]["message"]
    assert reason in info["errorInformation"]["message"]
    rollback = finished(aws, info["rollbackInfo"]["rollbackDeploymentId"])
    assert (rollback["creator"], rollback["status"]) == ("codeDeployRollback", "Succeeded")
    assert rollback["rollbackInfo"] == {"rollbackTriggeringDeploymentId": identifier}
    found = on.service()
    assert found["taskDefinition"] == before["taskDefinition"]
    assert [item["id"] for item in found["taskSets"]] == [before["taskSets"][0]["id"]]
    assert (on.side("Listener"), on.side("TestListener")) == ("Blue", "Blue")


def test_without_rollback_a_failed_deployment_stays_where_it_is(aws, stack, on):
    stack.create(**on_ecs(AutoRollbackConfiguration={"Enabled": False}), Role=role(), Hook=function(SILENT))
    _, identifier = on.deploy({"AfterAllowTraffic": stack.id_of("Hook")})
    assert "rollbackInfo" not in finished(aws, identifier)
    assert on.side("Listener") == "Green"
    assert len(on.service()["taskSets"]) == 2


def test_a_deployment_waits_until_it_is_continued(aws, stack, on):
    stack.create(**on_ecs(ready="STOP_DEPLOYMENT", test_listener=False))
    definition_arn, identifier = on.deploy()
    assert until(aws, identifier, "Ready")["status"] == "Ready"
    assert on.side("Listener") == "Blue"
    with pytest.raises(ClientError, match=r"DeploymentLimitExceededException.*already has an active Deployment"):
        on.deploy()
    aws("codedeploy").continue_deployment(deploymentId=identifier, deploymentWaitType="READY_WAIT")
    assert finished(aws, identifier)["status"] == "Succeeded"
    assert on.service()["taskDefinition"] == definition_arn


def test_a_deployment_that_waits_can_be_stopped(aws, stack, on):
    stack.create(**on_ecs(ready="STOP_DEPLOYMENT", AutoRollbackConfiguration=BACK_WHEN_STOPPED))
    _, identifier = on.deploy()
    until(aws, identifier, "Ready")
    aws("codedeploy").stop_deployment(deploymentId=identifier)
    info = finished(aws, identifier)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    assert len(on.service()["taskSets"]) == 1
    with pytest.raises(ClientError, match="DeploymentAlreadyCompletedException"):
        aws("codedeploy").stop_deployment(deploymentId=identifier)


def test_an_alarm_stops_a_deployment_and_takes_it_back(aws, stack, on):
    alarms = {"Enabled": True, "Alarms": [{"Name": stack.name}]}
    stack.create(**on_ecs(AlarmConfiguration=alarms))
    aws("cloudwatch").put_metric_alarm(
        AlarmName=stack.name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    aws("cloudwatch").set_alarm_state(AlarmName=stack.name, StateValue="ALARM", StateReason="a test")
    _, identifier = on.deploy()
    info = finished(aws, identifier)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert stack.name in info["errorInformation"]["message"]
    assert on.side("Listener") == "Blue"
    aws("cloudwatch").delete_alarms(AlarmNames=[stack.name])
    _, identifier = on.deploy()
    assert finished(aws, identifier)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (lambda text: text.replace("web", "other"), "ECS_UPDATE_ERROR", "no container other with port 80"),
        (lambda text: text.replace("task-definition/", "task-definition/x"), "ECS_UPDATE_ERROR", "Unable to describe"),
    ],
)
def test_an_appspec_that_names_what_is_not_there_fails_the_deployment(aws, stack, on, change, code, reason):
    stack.create(**on_ecs())
    spec = change(app_spec(on.register("web:2"), None))
    info = finished(aws, deploy(aws, stack, spec))
    assert info["errorInformation"]["code"] == code
    assert reason in info["errorInformation"]["message"]


def test_a_deployment_to_lambda_points_the_alias_to_the_version(aws, stack):
    hook = function(REPORTS, Environment={"Variables": {"Note": stack.name}})
    stack.create(**on_lambda(), Hook=hook)
    name, version = stack.id_of("Function"), publish(aws, stack)
    spec = lambda_spec(name, "1", version, {"BeforeAllowTraffic": stack.id_of("Hook")})
    bucket = f"{stack.name}-bucket"
    aws("s3").create_bucket(Bucket=bucket)
    aws("s3").put_object(Bucket=bucket, Key="appspec.yaml", Body=spec.encode())
    location = {"bucket": bucket, "key": "appspec.yaml", "bundleType": "YAML"}
    identifier = deploy(aws, stack, revision={"revisionType": "S3", "s3Location": location})
    assert finished(aws, identifier)["status"] == "Succeeded"
    assert aws("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"] == version
    target = aws("codedeploy").get_deployment_target(deploymentId=identifier, targetId=f"{name}:live")
    info = target["deploymentTarget"]["lambdaTarget"]["lambdaFunctionInfo"]
    assert (info["currentVersion"], info["targetVersion"], info["targetVersionWeight"]) == ("1", version, 1.0)
    assert aws("ssm").get_parameter(Name=stack.name)["Parameter"]["Value"]
    aws("ssm").delete_parameter(Name=stack.name)
    aws("s3").delete_object(Bucket=bucket, Key="appspec.yaml")
    aws("s3").delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("event", ["BeforeAllowTraffic", "AfterAllowTraffic"])
def test_a_failing_hook_takes_an_alias_back(aws, stack, event):
    stack.create(**on_lambda(), Hook=function(SILENT))
    name, version = stack.id_of("Function"), publish(aws, stack)
    identifier = deploy(aws, stack, lambda_spec(name, "1", version, {event: stack.id_of("Hook")}))
    info = finished(aws, identifier)
    assert "ended without a report" in info["errorInformation"]["message"]
    assert aws("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "1"


@pytest.mark.parametrize(
    ("current", "target", "code"),
    [("2", "2", "INVALID_LAMBDA_CONFIGURATION"), ("1", "9", "INVALID_LAMBDA_FUNCTION")],
)
def test_versions_that_are_not_those_of_the_alias_fail_the_deployment(aws, stack, current, target, code):
    stack.create(**on_lambda())
    publish(aws, stack)
    identifier = deploy(aws, stack, lambda_spec(stack.id_of("Function"), current, target))
    assert finished(aws, identifier)["errorInformation"]["code"] == code


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("version: 0.0", "Resources is no list of mappings"),
        ("version: 1\nResources: []", "version of the AppSpec is not 0.0 but 1"),
        ("version: 0.0\nResources: [{a: {Type: b}}]", "The type of a is not AWS::Lambda::Function but b"),
        ("version: 0.0\nResources: [{a: {Type: 'AWS::Lambda::Function', Properties: {Name: n}}}]", "lack alias"),
        ("{", "neither YAML nor JSON"),
        ("text", "The AppSpec is no mapping"),
    ],
)
def test_a_malformed_appspec_is_refused(aws, stack, spec, reason):
    stack.create(**on_lambda())
    with pytest.raises(ClientError, match=f"InvalidRevisionException.*{reason}"):
        deploy(aws, stack, spec)


def test_an_unknown_hook_is_refused(aws, stack):
    stack.create(**on_lambda())
    with pytest.raises(ClientError, match="There is no hook BeforeInstall in a deployment to Lambda"):
        deploy(aws, stack, lambda_spec(stack.id_of("Function"), "1", "1", {"BeforeInstall": "any"}))


def test_revisions_are_registered_and_found_again(aws, stack):
    stack.create(**on_lambda())
    application = stack.id_of("Application")
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": lambda_spec("f", "1", "2")}}
    client = aws("codedeploy")
    with pytest.raises(ClientError, match="RevisionDoesNotExistException"):
        client.get_application_revision(applicationName=application, revision=revision)
    client.register_application_revision(applicationName=application, revision=revision, description="by hand")
    found = client.get_application_revision(applicationName=application, revision=revision)
    assert found["revisionInfo"]["description"] == "by hand"
    finished(aws, deploy(aws, stack, revision=revision))
    [again] = client.batch_get_application_revisions(applicationName=application, revisions=[revision])["revisions"]
    assert again["genericRevisionInfo"]["deploymentGroups"] == [stack.id_of("Group")]
    assert client.list_application_revisions(applicationName=application)["revisions"] == [revision]


def test_a_deployment_to_instances_is_recorded_and_finds_none(aws, stack):
    stack.create(Application=resource("AWS::CodeDeploy::Application", ComputePlatform="Server"), Group=group())
    location = {"bucket": "b", "key": "k", "bundleType": "zip"}
    identifier = deploy(aws, stack, revision={"revisionType": "S3", "s3Location": location}, description="by hand")
    info = finished(aws, identifier)
    assert info["errorInformation"]["code"] == "NO_INSTANCES"
    assert (info["description"], info["revision"]["s3Location"]) == ("by hand", location)
    assert aws("codedeploy").list_deployment_targets(deploymentId=identifier)["targetIds"] == []
    failed = {"applicationName": stack.id_of("Application"), "includeOnlyStatuses": ["Failed"]}
    assert aws("codedeploy").list_deployments(**failed)["deployments"] == [identifier]
    [same] = aws("codedeploy").batch_get_deployments(deploymentIds=[identifier])["deploymentsInfo"]
    assert same["deploymentId"] == identifier


def test_hooks_report_once_and_for_what_was_asked(aws, stack):
    stack.create(**on_lambda(), Hook=function(REPORTS, Environment={"Variables": {"Note": stack.name}}))
    name, version = stack.id_of("Function"), publish(aws, stack)
    hooks = {"AfterAllowTraffic": stack.id_of("Hook")}
    identifier = deploy(aws, stack, lambda_spec(name, "1", version, hooks))
    finished(aws, identifier)
    told = json.loads(aws("ssm").get_parameter(Name=stack.name)["Parameter"]["Value"])
    report = {"deploymentId": identifier, "lifecycleEventHookExecutionId": told["LifecycleEventHookExecutionId"]}
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        aws("codedeploy").put_lifecycle_event_hook_execution_status(**report, status="Succeeded")
    report["lifecycleEventHookExecutionId"] = "another"
    with pytest.raises(ClientError, match="InvalidLifecycleEventHookExecutionIdException"):
        aws("codedeploy").put_lifecycle_event_hook_execution_status(**report, status="Succeeded")
    aws("ssm").delete_parameter(Name=stack.name)


def app_spec(definition_arn, hooks):
    properties = {
        "TaskDefinition": definition_arn,
        "LoadBalancerInfo": {key: BALANCER[key] for key in ("ContainerName", "ContainerPort")},
    }
    return spec_of({"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}, hooks)


def lambda_spec(function_name, current, target, hooks=None):
    properties = {"Name": function_name, "Alias": "live", "CurrentVersion": current, "TargetVersion": target}
    return spec_of({"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}}, hooks)


def spec_of(resource_, hooks):
    hooks = [{event: name} for event, name in (hooks or {}).items()]
    return json.dumps({"version": 0.0, "Resources": [resource_], "Hooks": hooks})


def deploy(aws, stack, spec=None, **request):
    request.setdefault("revision", {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec}})
    return aws("codedeploy").create_deployment(
        applicationName=stack.id_of("Application"), deploymentGroupName=stack.id_of("Group"), **request
    )["deploymentId"]


def publish(aws, stack):
    name = stack.id_of("Function")
    aws("lambda").update_function_configuration(FunctionName=name, Description="another")
    return aws("lambda").publish_version(FunctionName=name)["Version"]


def finished(aws, identifier):
    return until(aws, identifier, "Succeeded", "Failed", "Stopped")


def until(aws, identifier, *statuses):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        info = aws("codedeploy").get_deployment(deploymentId=identifier)["deploymentInfo"]
        if info["status"] in statuses:
            return info
        time.sleep(0.02)
    raise AssertionError(info)


def read_group(aws, stack):
    return aws("codedeploy").get_deployment_group(
        applicationName=stack.id_of("Application"), deploymentGroupName=stack.id_of("Group")
    )["deploymentGroupInfo"]
