"""The ECS stack on the embedded endpoint, by the real CDK CLI, with both engines: what brings image and CPU."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from code_family_constructs.deploy.hooks import DeploymentHook
from code_family_constructs.deploy.to_ecs import EcsDeployment
from code_family_constructs.local import Endpoint
from code_family_constructs.permissions import Statement
from stacks import ecs_canary
from stacks.ecs_canary import EcsCanary
from tests.stacks.checks import as_told
from tests.stacks.deployed import READ, Deployed, Reader
from tests.stacks.releases import Execution, log_of

# Name of the stack → who deploys, and when the hook is to run: after the traffic has shifted.
ENGINES = {
    "EcsCanary": (ecs.DeploymentControllerType.ECS, "POST_PRODUCTION_TRAFFIC_SHIFT"),
    "EcsShifted": (ecs.DeploymentControllerType.CODE_DEPLOY, "AfterAllowTraffic"),
}
PRODUCTION_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
INITIAL = "public.ecr.aws/nginx/nginx-unprivileged:1.29-alpine"
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop"

READ_HERE: dict[str, Reader] = {
    "AWS::ECS::Cluster": lambda client, id, _: {
        "ClusterSettings": client("ecs").describe_clusters(clusters=[id])["clusters"][0]["settings"]
    },
    "AWS::ECS::TaskDefinition": lambda client, id, _: client("ecs").describe_task_definition(taskDefinition=id)[
        "taskDefinition"
    ],
    "AWS::ECS::Service": lambda client, id, properties: {
        "Cluster": properties["Cluster"],
        **service_of(client, id),
        "TaskDefinition": service_of(client, id)["taskDefinition"].rpartition("/")[2].partition(":")[0],
    },
    PRODUCTION_RULE: lambda client, id, properties: {
        "ListenerArn": properties["ListenerArn"],
        **client("elbv2").describe_rules(RuleArns=[id])["Rules"][0],
    },
    "AWS::ECR::Repository": lambda client, id, _: {
        **repository_of(client, id),
        "LifecyclePolicy": client("ecr").get_lifecycle_policy(repositoryName=id),
    },
    "AWS::Events::Rule": lambda client, id, _: {
        **client("events").describe_rule(Name=id),
        "EventPattern": json.loads(client("events").describe_rule(Name=id)["EventPattern"]),
        "Targets": client("events").list_targets_by_rule(Rule=id)["Targets"],
    },
}


def make(name: str, cpu: int = 256) -> Callable[[App], EcsCanary]:
    controller, _ = ENGINES[name]
    return lambda app: EcsCanary(app, name, repository="acme/shop", deployment_controller=controller, cpu=cpu)


def checked(scope: Construct, id: str, **settings: Any) -> EcsDeployment:
    """The stack's deployment with a hook, which the stack itself has none of."""
    _, event = ENGINES[scope.node.id]
    environment, reads = {"TOLD": scope.node.id}, ["ssm:GetParameter", "cloudwatch:SetAlarmState"]
    told = Statement(actions=reads, resources=["*"], wildcard_reason="a test")
    hook = DeploymentHook(scope, "Hook", check=as_told, environment=environment, statements=[told])
    return EcsDeployment(scope, id, hooks={event: hook}, **settings)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    with Endpoint() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecs_canary, "EcsDeployment", checked)
        deployed = Deployed(endpoint, tmp_path_factory.mktemp("ecs"), "EcsCanary")
        deployed.bootstrap()
        for name in ENGINES:
            tell(deployed.beside(name), "pass")
        deployed.deploy(deployed.synth("first", make("EcsCanary"), make("EcsShifted")), "EcsShifted")
        yield deployed


@pytest.fixture(scope="module")
def by_codedeploy(native):
    return native.beside("EcsShifted")


def test_each_property_of_both_engines_can_be_read_back(native, by_codedeploy):
    """The first of these tests, since the ones below change the stacks."""
    by_ecs, others = native.differences(READ_HERE), by_codedeploy.differences(READ_HERE)
    assert [each for found in (by_ecs, others) for type_ in found.values() for each in type_] == []
    of_codedeploy = {"AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"}
    assert set(others) == {*READ, *READ_HERE} - {"AWS::CodeDeploy::DeploymentConfig", PRODUCTION_RULE}
    assert set(by_ecs) == set(others) - of_codedeploy | {PRODUCTION_RULE}


def test_nothing_has_drifted(native, by_codedeploy):
    said = native.cdk("drift", native.name, by_codedeploy.name, app=native.folder / "first")
    assert said.count("No drift detected") == 2


def test_a_release_brings_its_image_with_either_engine(native, by_codedeploy):
    assert (running(native), side_of_rule(native)) == ((INITIAL, "256"), "Blue")
    assert released_by_ecs(native, "first") == "Succeeded"
    assert (running(native), side_of_rule(native)) == ((image("first"), "256"), "Green")
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((INITIAL, "256"), "Blue")
    assert released_by_codedeploy(by_codedeploy, "first")["status"] == "Succeeded"
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((image("first"), "256"), "Green")


def test_a_deployment_with_another_cpu_size_changes_nothing_that_runs(native, by_codedeploy):
    bigger = native.synth("bigger", make("EcsCanary", cpu=512), make("EcsShifted", cpu=512))
    assert "[+] 512" in native.cdk("diff", native.name, app=bigger)
    native.deploy(bigger, "EcsShifted")
    assert (running(native), side_of_rule(native)) == ((image("first"), "256"), "Green")
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((image("first"), "256"), "Green")


def test_the_next_release_brings_its_image_and_that_cpu_size_with_either_engine(native, by_codedeploy):
    assert released_by_ecs(native, "second") == "Succeeded"
    assert (running(native), side_of_rule(native)) == ((image("second"), "512"), "Blue")
    assert released_by_codedeploy(by_codedeploy, "second")["status"] == "Succeeded"
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((image("second"), "512"), "Blue")


def test_a_failing_hook_takes_a_release_back_with_either_engine(native, by_codedeploy):
    tell(native, "fail")
    assert released_by_ecs(native, "third") == "Failed"
    assert (running(native), side_of_rule(native)) == ((image("second"), "512"), "Blue")
    tell(by_codedeploy, "fail")
    deployment = released_by_codedeploy(by_codedeploy, "third")
    assert (deployment["status"], deployment["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((image("second"), "512"), "Blue")
    for name in ENGINES:
        assert "told to fail" in log_of(native, f"{name}-Hook")


def test_an_alarm_that_fires_meanwhile_takes_a_release_back_with_either_engine(native, by_codedeploy):
    tell(native, "fire")
    assert released_by_ecs(native, "fourth") == "Failed"
    assert (running(native), side_of_rule(native)) == ((image("second"), "512"), "Blue")
    tell(by_codedeploy, "fire")
    deployment = released_by_codedeploy(by_codedeploy, "fourth")
    assert (deployment["status"], deployment["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert (running(by_codedeploy), side_of_listener(by_codedeploy)) == ((image("second"), "512"), "Blue")


def test_a_size_that_aws_refuses_rolls_back_and_says_why(native):
    refused = native.edited(native.folder / "bigger", "refused", '"Memory": "1024"', '"Memory": "900"')
    said = native.deploy(refused, fails=True)
    assert "No Fargate configuration exists for given values: 512 CPU, 900 memory." in said
    assert running(native) == (image("second"), "512")


def test_destroy_leaves_nothing(native, by_codedeploy):
    client = native.client
    names = [deployed.id_of("Build", "AWS::ECR::Repository") for deployed in (native, by_codedeploy)]
    for name in names:
        client("ecr").put_image(repositoryName=name, imageManifest="{}", imageTag="1")
    native.cdk("destroy", native.name, by_codedeploy.name, "--force", app=native.folder / "first")
    assert not [
        item for item in client("ecr").describe_repositories()["repositories"] if item["repositoryName"] in names
    ]
    assert client("ecs").list_clusters()["clusterArns"] == []
    assert client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert client("elbv2").describe_target_groups()["TargetGroups"] == []
    assert client("lambda").list_functions()["Functions"] == []
    assert client("codepipeline").list_pipelines()["pipelines"] == []
    assert client("codebuild").list_projects()["projects"] == []
    assert client("codedeploy").list_applications()["applications"] == []
    stacks = [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == ["CDKToolkit"]


def image(release: str) -> str:
    """What the build pushed; by digest, as `imageDetail.json` names it."""
    return f"{REPOSITORY}@sha256:{hashlib.sha256(release.encode()).hexdigest()}"


def released_by_ecs(deployed: Deployed, release: str) -> str:
    """What a run of the pipeline does from its build on."""
    return built(deployed, release).invoke("Production")


def released_by_codedeploy(deployed: Deployed, release: str) -> Any:
    execution = built(deployed, release)
    assert execution.invoke("Production") == "Succeeded"
    return execution.deploy_to_ecs("Production")


def built(deployed: Deployed, release: str) -> Execution:
    execution = Execution(deployed, f"{deployed.name}-Pipeline")
    execution.put("Build", {"imageDetail.json": json.dumps({"ImageURI": image(release)})})
    return execution


def running(deployed: Deployed) -> tuple[str, str]:
    """Image and CPU size of what has the traffic."""
    service = service_of(deployed.client, deployed.id_of("Service", "AWS::ECS::Service"))
    found = deployed.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])
    definition = found["taskDefinition"]
    [container] = definition["containerDefinitions"]
    return container["image"], definition["cpu"]


def side_of_rule(deployed: Deployed) -> str:
    """The target group that has all the traffic."""
    [rule] = deployed.client("elbv2").describe_rules(RuleArns=[deployed.id_of("Service", PRODUCTION_RULE)])["Rules"]
    groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert sorted(group["Weight"] for group in groups) == [0, 100]
    return side(deployed, next(group["TargetGroupArn"] for group in groups if group["Weight"]))


def side_of_listener(deployed: Deployed) -> str:
    arn = deployed.id_of("Service", "AWS::ElasticLoadBalancingV2::Listener")
    [listener] = deployed.client("elbv2").describe_listeners(ListenerArns=[arn])["Listeners"]
    return side(deployed, listener["DefaultActions"][0]["TargetGroupArn"])


def side(deployed: Deployed, arn: str) -> str:
    kind = "AWS::ElasticLoadBalancingV2::TargetGroup"
    [found] = [name for name in ("Blue", "Green") if deployed.id_of(f"Service{name}", kind) == arn]
    return found


def tell(deployed: Deployed, verb: str) -> None:
    """Say what the hook is to do: pass, fail, or fire an alarm."""
    alarm = deployed.id_of("ServiceHealthTaskFailures", "AWS::CloudWatch::Alarm") if verb == "fire" else ""
    deployed.client("ssm").put_parameter(
        Name=deployed.name, Value=f"{verb} {alarm}".strip(), Type="String", Overwrite=True
    )


def repository_of(client: Any, name: str) -> Any:
    """A repository, with the names that CloudFormation has for what it tells."""
    [found] = client("ecr").describe_repositories(repositoryNames=[name])["repositories"]
    filter_ = "ImageTagMutabilityExclusionFilter"
    filters = [
        {f"{filter_}Type": item["filterType"], f"{filter_}Value": item["filter"]}
        for item in found.get("imageTagMutabilityExclusionFilters", [])
    ]
    return {**found, "imageTagMutabilityExclusionFilters": filters}


def service_of(client: Any, arn: str) -> Any:
    cluster = arn.split("/")[1]
    [found] = client("ecs").describe_services(cluster=cluster, services=[arn])["services"]
    return found
