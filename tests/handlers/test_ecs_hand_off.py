"""What brings the image and what brings the rest, from synthesized templates through the handlers to Amazon ECS.

CloudFormation, CodePipeline and CodeDeploy are played here, as AWS documents them; Amazon ECS is a fake behind a real
client. What both engines have to keep is the same, so each test runs with both.
"""

import json
import time
from typing import Any

import boto3
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from botocore.validate import validate_parameters

from code_family_constructs import DeliveryPipeline, EcsAppspec, EcsDeployment, EcsService, ImageBuild
from code_family_constructs.handlers import release_service, render_release, running_image
from code_family_constructs.testing import synthesized
from tests.handlers.doubles import Context
from tests.handlers.fake_codepipeline import INPUT, OUTPUT, S3, CodePipeline, a_job, bundle, files_of
from tests.handlers.fake_ecs import PLACEHOLDER, Ecs, digest
from tests.helpers import a_source, only
from tests.policies import Physical

Json = dict[str, Any]
IMAGE = "Custom::RunningImage"
CONTROLLERS = {"ECS": ecs.DeploymentControllerType.ECS, "CODE_DEPLOY": ecs.DeploymentControllerType.CODE_DEPLOY}
TOKEN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:token-B1c2D3"
CHANGES: dict[str, Json] = {
    "first": {},
    "cpu": {"cpu": 512, "memory_limit_mib": 1024},
    "environment": {"environment": {"GREETING": "good morning"}},
    "secret": {"secrets": True},
    "placeholder": {"image": ecs.ContainerImage.from_registry("registry.example/placeholder:2")},
    "count": {"desired_count": 5},
}


def shop(controller, change):
    """A stack with a service and a pipeline, as `cdk synth` leaves it."""
    stack = Stack(App(analytics_reporting=False), "Shop")
    settings = dict(change)
    if settings.pop("secrets", False):
        token = secretsmanager.Secret.from_secret_complete_arn(stack, "Token", TOKEN)
        settings["secrets"] = {"TOKEN": ecs.Secret.from_secrets_manager(token)}
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["a", "b"],
        public_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_ids=["subnet-3", "subnet-4"],
    )
    build = ImageBuild(stack, "Build")
    service = EcsService(
        stack,
        "Service",
        certificate=None,
        repository=build.repository,
        vpc=vpc,
        deployment_controller=CONTROLLERS[controller],
        **settings,
    )
    pipeline = DeliveryPipeline(stack, "Pipeline", source=a_source(), build=build)
    pipeline.add_stage("Production", deploy=EcsDeployment(stack, "Deployment", service=service))
    return synthesized(stack)


@pytest.fixture(scope="module")
def templates():
    return {
        controller: {name: shop(controller, change) for name, change in CHANGES.items()} for controller in CONTROLLERS
    }


class Deployed(Physical):
    """Names of what is deployed, also of what the template leaves to those who make it."""

    def __init__(self, template: Json, image: str, definition: str = "") -> None:
        super().__init__(template)
        self._image, self._definition = image, definition

    def ref(self, logical_id: str) -> str:
        if logical_id.startswith("ServiceTaskDefinition"):
            return self._definition
        return "Shop" if logical_id.startswith("ServiceCluster") else super().ref(logical_id)

    def attribute(self, logical_id: str, attribute: str) -> str:
        return self._image if attribute == "Image" else super().attribute(logical_id, attribute)


class Account:
    """One account, in which CloudFormation, the pipeline and CodeDeploy do their work."""

    def __init__(self, controller, templates, monkeypatch, cloudformation):
        self.controller, self.templates, self.cloudformation = controller, templates, cloudformation
        self.monkeypatch = monkeypatch
        self.ecs, self.s3, self.codepipeline = Ecs(), S3(), CodePipeline()
        services = {"ecs": self.ecs, "s3": self.s3, "codepipeline": self.codepipeline}
        monkeypatch.setattr(boto3, "client", lambda name, **_: services[name].client)
        monkeypatch.setattr(time, "time", lambda: self.ecs.clock.timestamp())
        self.deployed: Json = {}
        self.image = ""
        self.tasks: Json = {}
        self.definition = ""

    def cdk_deploy(self, name):
        """What CloudFormation does with a template, as far as it touches tasks: only with what has changed."""
        template = self.templates[name]
        asked = self.image_asked_for(template)
        if not self.deployed or asked != self.image_asked_for(self.deployed):
            self.image = self.ask_for_image(asked)
        names = Deployed(template, self.image)
        tasks = in_api(names.resolve(only(template, "AWS::ECS::TaskDefinition")))
        if tasks != self.tasks:
            self.tasks = tasks
            self.definition = self.ecs.client.register_task_definition(**tasks)["taskDefinition"]["taskDefinitionArn"]
        service = only(template, "AWS::ECS::Service")
        if not self.deployed:
            assert service["TaskDefinition"] == tasks["family"] == service["ServiceName"]
            self.ecs.serve(self.definition, controller=self.controller)
        elif service != only(self.deployed, "AWS::ECS::Service") and self.controller == "ECS":
            # Named without a revision, the family stands for the newest that is active.
            active = [arn for arn, each in self.ecs.definitions.items() if each["status"] == "ACTIVE"]
            self.ecs.serve(active[-1])
        self.deployed = template

    def image_asked_for(self, template):
        # The image is an answer; all else in the template is known, or the same each time.
        return in_text(Deployed(template, "").resolve(only(template, IMAGE)))

    def ask_for_image(self, properties):
        again = {
            "PhysicalResourceId": "Shop/Shop-Service/app",
            "OldResourceProperties": self.image_asked_for(self.deployed) if self.deployed else {},
        }
        event = {
            "RequestType": "Update" if self.deployed else "Create",
            "RequestId": "5e6f",
            "ResponseURL": self.cloudformation.url,
            "ResourceType": IMAGE,
            "LogicalResourceId": "Image",
            "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Shop/1a2b",
            "ResourceProperties": properties,
            **(again if self.deployed else {}),
        }
        running_image.handler(event, Context())
        told = self.cloudformation.answers[-1]
        assert told["Status"] == "SUCCESS", told["Reason"]
        return told["Data"]["Image"]

    def release(self, image):
        """What the pipeline does after a build."""
        actions = self.start(image)
        if self.controller == "ECS":
            self.invoke_until_done()
        else:
            self.invoke(render_release.handler, inputArtifacts=[])
            self.code_deploy_to_ecs(actions[1]["Configuration"])

    def start(self, image):
        """The actions of a release in their order, with the first of them ready to be called."""
        self.s3.objects[INPUT] = bundle({"imageDetail.json": json.dumps({"ImageURI": image})})
        stages = only(self.deployed, "AWS::CodePipeline::Pipeline")["Stages"]
        actions = sorted(stages[-1]["Actions"], key=lambda action: action["RunOrder"])
        assert [action["ActionTypeId"]["Provider"] for action in actions] == (
            ["Lambda"] if self.controller == "ECS" else ["Lambda", "CodeDeployToECS"]
        )
        names = Deployed(self.deployed, self.image, self.definition)
        self.monkeypatch.setenv("CODE_FAMILY_RELEASE", names.resolve(told_to(self.deployed, actions[0])))
        return actions

    def invoke(self, handler, **data):
        handler(a_job(**data), Context())
        operation, told = self.codepipeline.calls[-1]
        assert operation == "PutJobSuccessResult", told
        return told

    def invoke_until_done(self):
        told = self.invoke(release_service.handler, outputArtifacts=[])
        while "continuationToken" in told:
            self.ecs.finish("SUCCESSFUL")
            token = told["continuationToken"]
            told = self.invoke(release_service.handler, outputArtifacts=[], continuationToken=token)

    def code_deploy_to_ecs(self, settings):
        """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html"""
        rendered, built = files_of(self.s3.objects[OUTPUT]), files_of(self.s3.objects[INPUT])
        image = json.loads(built["imageDetail.json"])["ImageURI"]
        text = rendered[settings["TaskDefinitionTemplatePath"]]
        placeholder = f"<{settings['Image1ContainerName']}>"
        assert placeholder in text
        tasks = json.loads(text.replace(placeholder, image))
        arn = self.ecs.client.register_task_definition(**tasks)["taskDefinition"]["taskDefinitionArn"]
        appspec = rendered[settings["AppSpecTemplatePath"]]
        assert appspec.count("<TASK_DEFINITION>") == 1
        appspec = appspec.replace("<TASK_DEFINITION>", arn)
        found = EcsAppspec.from_text(appspec)
        (container,) = [each for each in tasks["containerDefinitions"] if each["name"] == found.container_name]
        assert found.container_port in [each["containerPort"] for each in container["portMappings"]]
        self.create_deployment(appspec)
        self.ecs.serve(arn, controller="CODE_DEPLOY")

    def create_deployment(self, appspec):
        model = boto3.session.Session().client("codedeploy", "eu-west-1").meta.service_model
        revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": appspec}}
        group = only(self.deployed, "AWS::CodeDeploy::DeploymentGroup")
        asked = {
            "applicationName": "Shop-Deployment",
            "deploymentGroupName": group["DeploymentGroupName"],
            "revision": revision,
        }
        validate_parameters(asked, model.operation_model("CreateDeployment").input_shape)

    @property
    def running_definition(self):
        """The task definition that has the traffic."""
        assert self.ecs.service is not None
        primary = [each for each in self.ecs.service["taskSets"] if each["status"] == "PRIMARY"]
        return (primary or [self.ecs.service])[0]["taskDefinition"]

    @property
    def running(self):
        """Its container, with the CPU size of the task."""
        definition = self.ecs.definitions[self.running_definition]
        (container,) = definition["containerDefinitions"]
        return {**container, "cpu": definition["cpu"]}


def in_api(value):
    """Properties of CloudFormation with the API's names."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: in_api(item) for name, item in value.items()}
    return [in_api(item) for item in value] if isinstance(value, list) else value


def in_text(value):
    """Properties of a custom resource as its function gets them: numbers and truth values become text."""
    if isinstance(value, dict):
        return {name: in_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [in_text(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def told_to(template, action):
    """What the function of an action is told."""
    function = template["Resources"][action["Configuration"]["FunctionName"]["Ref"]]
    return function["Properties"]["Environment"]["Variables"]["CODE_FAMILY_RELEASE"]


@pytest.fixture(params=CONTROLLERS)
def account(request, templates, monkeypatch, cloudformation):
    return Account(request.param, templates[request.param], monkeypatch, cloudformation)


def test_the_service_starts_with_the_placeholder(account):
    account.cdk_deploy("first")
    assert (account.running["image"], account.running["cpu"]) == (PLACEHOLDER, "256")


def test_a_release_brings_the_image_by_digest_and_nothing_else(account):
    account.cdk_deploy("first")
    before = account.running
    account.release(digest(1))
    assert account.running == {**before, "image": digest(1)}


def test_a_stack_that_has_not_changed_changes_nothing(account):
    account.cdk_deploy("first")
    account.release(digest(1))
    registered = len(account.ecs.definitions)
    account.cdk_deploy("first")
    assert len(account.ecs.definitions) == registered
    assert account.running["image"] == digest(1)


@pytest.mark.parametrize("change", ["cpu", "environment", "secret"])
def test_a_change_of_the_stack_waits_for_the_next_release_and_rides_with_it(account, change):
    account.cdk_deploy("first")
    account.release(digest(1))
    before = account.running

    account.cdk_deploy(change)
    assert account.running == before
    described = account.ecs.definitions[account.definition]
    assert described["containerDefinitions"][0]["image"] == digest(1)

    account.release(digest(2))
    assert account.running["image"] == digest(2)
    assert account.running["cpu"] == ("512" if change == "cpu" else "256")
    environment = {each["name"]: each["value"] for each in account.running.get("environment", [])}
    assert environment == ({"GREETING": "good morning"} if change == "environment" else {})
    secrets = {each["name"]: each["valueFrom"] for each in account.running.get("secrets", [])}
    assert secrets == ({"TOKEN": TOKEN} if change == "secret" else {})


def test_undoing_a_change_brings_no_old_image_back(account):
    """CloudFormation rolls back with the template before."""
    account.cdk_deploy("first")
    account.release(digest(1))
    account.cdk_deploy("cpu")
    account.cdk_deploy("first")
    assert account.running["image"] == digest(1)
    account.release(digest(2))
    assert (account.running["image"], account.running["cpu"]) == (digest(2), "256")


def test_a_change_of_the_service_itself_keeps_the_image(account):
    account.cdk_deploy("first")
    account.release(digest(1))
    account.cdk_deploy("count")
    assert account.running["image"] == digest(1)
    account.cdk_deploy("cpu")
    assert account.running["image"] == digest(1)


def test_another_placeholder_is_for_new_services_only(account):
    account.cdk_deploy("first")
    account.release(digest(1))
    account.cdk_deploy("placeholder")
    assert account.running["image"] == digest(1)
    described = account.ecs.definitions[account.definition]
    assert described["containerDefinitions"][0]["image"] == digest(1)


def test_any_number_of_both_keeps_both(account):
    account.cdk_deploy("first")
    for number, change in enumerate(["cpu", "first", "environment", "secret", "cpu"], start=1):
        account.release(digest(number))
        account.cdk_deploy(change)
        assert account.running["image"] == digest(number)
    account.release(digest(6))
    assert (account.running["image"], account.running["cpu"]) == (digest(6), "512")


def test_what_a_failed_release_leaves_does_not_come_back(templates, monkeypatch, cloudformation):
    """With another change of the service, Amazon ECS takes the newest of the family that is active."""
    account = Account("ECS", templates["ECS"], monkeypatch, cloudformation)
    account.cdk_deploy("first")
    account.release(digest(1))
    working = account.running_definition
    account.start(digest(2))
    told = account.invoke(release_service.handler, outputArtifacts=[])
    account.ecs.finish("ROLLBACK_SUCCESSFUL")
    account.ecs.serve(working)
    release_service.handler(a_job(outputArtifacts=[], continuationToken=told["continuationToken"]), Context())
    assert account.codepipeline.calls[-1][0] == "PutJobFailureResult"
    account.cdk_deploy("count")
    assert account.running_definition == working
