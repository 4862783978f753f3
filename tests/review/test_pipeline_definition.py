"""What a template declares as `create-pipeline` takes it, against botocore's model and the embedded endpoint."""

import copy
import json
import uuid
from pathlib import Path

import botocore.session
import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_codepipeline as codepipeline
from botocore.validate import ParamValidator
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from constructs import RootConstruct

from code_family_constructs.local import Endpoint
from code_family_constructs.review import pipeline_definition, pipeline_differences
from tests.helpers import refuses
from tests.local.templates import action, get, pipeline, ref, resource, role, template

SNAPSHOTS = sorted((Path(__file__).parents[1] / "stacks" / "__snapshots__").glob("*/test_template*.txt"))
CREATE = botocore.session.get_session().get_service_model("codepipeline").operation_model("CreatePipeline").input_shape


def templates():
    for snapshot in SNAPSHOTS:
        declared = json.loads(snapshot.read_text())
        for each in declared["Resources"].values():
            if each["Type"] == "AWS::CodePipeline::Pipeline":
                name = each["Properties"]["Name"]
                yield pytest.param(declared, name, id=name)


TEMPLATES = list(templates())


BUCKET = "artifacts"


@pytest.fixture(scope="module")
def aws():
    with Endpoint() as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running.client


def stored_in_one_region(definition):
    """The definition with the one bucket that there is."""
    pipeline = copy.deepcopy(definition["pipeline"])
    pipeline.pop("artifactStores", None)
    pipeline["artifactStore"] = {"type": "S3", "location": BUCKET}
    for stage in pipeline["stages"]:
        for each in stage["actions"]:
            each.pop("region", None)
    return {**definition, "pipeline": pipeline}


def deployed(declared, pipeline_name=None):
    """A template's pipeline as it is when every resource that the template does not name has a physical id."""
    ids = {
        name: f"shop-{name.lower()[:40]}"
        for name, each in declared["Resources"].items()
        if not {"Name", "ApplicationName", "DeploymentGroupName"} & set(each.get("Properties", {}))
    }
    return pipeline_definition(
        declared, name=pipeline_name, physical_ids=ids, account="123456789012", region="us-east-1"
    )


def of(**resources):
    return json.loads(template(resources))


def test_our_own_stacks_have_pipelines():
    assert len(TEMPLATES) >= 3


@pytest.mark.parametrize(("declared", "pipeline_name"), TEMPLATES)
def test_the_definition_is_what_createpipeline_takes(declared, pipeline_name):
    assert ParamValidator().validate(pipeline_definition(declared, name=pipeline_name), CREATE).generate_report() == ""


@pytest.mark.parametrize(("declared", "pipeline_name"), TEMPLATES)
def test_what_was_created_from_a_definition_is_no_different(aws, declared, pipeline_name):
    definition = stored_in_one_region(deployed(declared, pipeline_name))
    definition["pipeline"]["name"] = f"t{uuid.uuid4().hex[:10]}"
    aws("codepipeline").create_pipeline(**definition)
    running = aws("codepipeline").get_pipeline(name=definition["pipeline"]["name"])
    assert pipeline_differences(definition, running) == []
    unknown = stored_in_one_region(pipeline_definition(declared, name=pipeline_name))
    unknown["pipeline"]["name"] = definition["pipeline"]["name"]
    assert pipeline_differences(unknown, running) == []
    stage = definition["pipeline"]["stages"][-1]
    changed = copy.deepcopy(running)
    changed["pipeline"]["stages"][-1]["actions"][-1]["runOrder"] += 1
    order = stage["actions"][-1].get("runOrder", 1)
    assert pipeline_differences(definition, changed) == [
        f"stage {stage['name']}, action {stage['actions'][-1]['name']}, runOrder: declared {order}, running {order + 1}"
    ]


def test_a_deployed_stack_runs_what_it_declares(aws):
    name = f"t{uuid.uuid4().hex[:10]}"
    declared = of(
        Role=role(Path="/delivery/"),
        Bucket=resource("AWS::S3::Bucket"),
        Pipeline=pipeline(
            RoleArn=get("Role", "Arn"),
            ArtifactStore={"Type": "S3", "Location": ref("Bucket")},
            Tags=[{"Key": "team", "Value": "a"}],
        ),
    )
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps(declared), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    definition = pipeline_definition(declared, physical_ids=ids, account="123456789012", region="us-east-1")
    assert definition["pipeline"]["roleArn"].startswith("arn:aws:iam::123456789012:role/delivery/")
    assert definition["pipeline"]["artifactStore"]["location"] == ids["Bucket"]
    assert definition["tags"] == [{"key": "team", "value": "a"}]
    running = aws("codepipeline").get_pipeline(name=definition["pipeline"]["name"])
    assert "<" not in json.dumps(definition)
    assert pipeline_differences(definition, running) == []
    declared["Resources"]["Pipeline"]["Properties"]["Stages"][0]["Actions"][0]["Configuration"]["BranchName"] = "next"
    changed = pipeline_definition(declared, physical_ids=ids, account="123456789012", region="us-east-1")
    assert pipeline_differences(changed, running) == [
        "stage Source, action GitHub, configuration BranchName: declared 'next', running 'main'"
    ]


def test_every_property_of_cloudformation_is_one_of_the_api_but_for_its_first_letter():
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::CodePipeline::Pipeline").schema
    own = {"Tags", "DisableInboundStageTransitions", "RestartExecutionOnUpdate", "Arn", "Version", "ArtifactStores"}
    api = CREATE.members["pipeline"]

    def compare(properties, shape):
        for name, property_ in properties.items():
            member = shape.members[name[:1].lower() + name[1:]]
            while member.type_name == "list":
                member, property_ = member.member, property_["items"]
            if "$ref" in property_:
                property_ = schema["definitions"][property_["$ref"].rpartition("/")[2]]
            assert (member.type_name == "integer") == (name in ("RunOrder", "TimeoutInMinutes")), name
            assert (member.type_name == "map") == (name == "Configuration"), name
            if member.type_name == "structure":
                compare(property_["properties"], member)

    compare({name: each for name, each in schema["properties"].items() if name not in own}, api)
    stores = schema["definitions"]["ArtifactStoreMap"]["properties"]
    assert set(stores) == {"ArtifactStore", "Region"}
    assert api.members["artifactStores"].type_name == "map"


def test_values_have_the_types_of_the_api():
    approve = action("Approve", "Approval", "Manual", TimeoutInMinutes="30", RunOrder="2")
    approve["ActionTypeId"]["Version"] = 1
    source = action("Bucket", "Source", "S3", Configuration={"S3Bucket": "b", "PollForSourceChanges": False})
    stages = [{"Name": "Source", "Actions": [source]}, {"Name": "Approve", "Actions": [approve]}]
    stores = [{"Region": "eu-west-1", "ArtifactStore": {"Type": "S3", "Location": "b-1"}}]
    declared = of(
        Pipeline=pipeline(
            stages=stages,
            ArtifactStores=stores,
            ArtifactStore={"Ref": "AWS::NoValue"},
            DisableInboundStageTransitions=[{"StageName": "Approve", "Reason": "freeze"}],
            RestartExecutionOnUpdate=True,
        )
    )
    definition = pipeline_definition(declared)
    assert definition == {
        "pipeline": {
            "name": "<Pipeline>",
            "roleArn": "arn:aws:iam::123456789012:role/pipeline",
            "pipelineType": "V2",
            "stages": [
                {
                    "name": "Source",
                    "actions": [
                        {
                            "name": "Bucket",
                            "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                            "configuration": {"S3Bucket": "b", "PollForSourceChanges": "false"},
                        }
                    ],
                },
                {
                    "name": "Approve",
                    "actions": [
                        {
                            "name": "Approve",
                            "actionTypeId": {
                                "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1",
                            },
                            "timeoutInMinutes": 30,
                            "runOrder": 2,
                        }
                    ],
                },
            ],
            "artifactStores": {"eu-west-1": {"type": "S3", "location": "b-1"}},
        }
    }  # fmt: skip


ROLE = {"Type": "AWS::IAM::Role", "Properties": {"Path": "/a/"}}


@pytest.mark.parametrize(
    ("value", "known", "unknown"),
    [
        (ref("Topic"), "arn:aws:sns:eu-west-1:111111111111:shop", "<Topic>"),
        (get("Topic", "TopicArn"), "arn:aws:sns:eu-west-1:111111111111:shop", "<Topic.TopicArn>"),
        (get("Role", "Arn"), "arn:aws-cn:iam::222222222222:role/a/shop", "<Role.Arn>"),
        ({"Fn::GetAtt": "Role.Arn"}, "arn:aws-cn:iam::222222222222:role/a/shop", "<Role.Arn>"),
        (get("Key", "Arn"), "arn:aws-cn:kms:cn-north-1:222222222222:key/1", "<Key.Arn>"),
        (get("Service", "Name"), "web", "<Service.Name>"),
        (get("Role", "RoleId"), "<Role.RoleId>", "<Role.RoleId>"),
        (ref("Project"), "build", "build"),
        (get("Project", "Arn"), "arn:aws-cn:codebuild:cn-north-1:222222222222:project/build", "<Project.Arn>"),
        ({"Fn::Join": ["-", ["a", ref("AWS::Region")]]}, "a-cn-north-1", "a-<AWS::Region>"),
        ({"Fn::Sub": "${AWS::AccountId} ${Role} ${!A}"}, "222222222222 shop ${A}", "<AWS::AccountId> <Role> ${A}"),
        ({"Fn::Sub": ["${A} ${Key.Arn}", {"A": ref("Role")}]}, "shop arn:aws-cn:kms:cn-north-1:222222222222:key/1",
         "<Role> <Key.Arn>"),
        ({"Fn::ImportValue": "a"}, "<Fn::ImportValue>", "<Fn::ImportValue>"),
        ("{{resolve:ssm:/a}}", "<resolve:ssm:/a>", "<resolve:ssm:/a>"),
    ],
)  # fmt: skip
def test_what_is_known_after_deployment_is_filled_in_or_left_as_a_placeholder(value, known, unknown):
    declared = of(
        Role=ROLE,
        Topic=resource("AWS::SNS::Topic"),
        Key=resource("AWS::KMS::Key"),
        Service=resource("AWS::ECS::Service"),
        Project=resource("AWS::CodeBuild::Project", Name="build"),
        Pipeline=pipeline(Name="Shop"),
    )
    declared["Resources"]["Pipeline"]["Properties"]["Stages"][1]["Actions"][0]["Configuration"]["ProjectName"] = value
    ids = {
        "Role": "shop",
        "Topic": "arn:aws:sns:eu-west-1:111111111111:shop",
        "Key": "1",
        "Service": "arn:aws:ecs:eu-west-1:111111111111:service/cluster/web",
    }

    def configured(**settings):
        definition = pipeline_definition(declared, **settings)
        return definition["pipeline"]["stages"][1]["actions"][0]["configuration"]["ProjectName"]

    assert configured(physical_ids=ids, account="222222222222", region="cn-north-1") == known
    assert configured() == unknown


def test_a_role_with_a_path_of_deployment_time_stays_a_placeholder():
    declared = of(Role=resource("AWS::IAM::Role", Path=ref("Path")), Pipeline=pipeline(RoleArn=get("Role", "Arn")))
    definition = pipeline_definition(declared, physical_ids={"Role": "r"}, account="1", region="us-gov-west-1")
    assert definition["pipeline"]["roleArn"] == "<Role.Arn>"


def test_a_stack_says_itself_where_it_is_deployed():
    stack = Stack(App(), "Shop", env=Environment(account="111111111111", region="eu-west-1"))
    codepipeline.CfnPipeline(
        stack,
        "Pipeline",
        name="Shop",
        role_arn=f"arn:aws:iam::{stack.account}:role/pipeline",
        artifact_store={"type": "S3", "location": f"artifacts-{stack.region}"},
        stages=[],
    )
    definition = pipeline_definition(stack)
    assert definition["pipeline"]["artifactStore"]["location"] == "artifacts-eu-west-1"
    assert definition["pipeline"]["roleArn"] == "arn:aws:iam::111111111111:role/pipeline"


def test_one_of_several_pipelines_is_chosen_by_name():
    declared = of(First=pipeline(Name="Shop"), Second=pipeline())
    assert pipeline_definition(declared, name="Shop")["pipeline"]["name"] == "Shop"
    assert pipeline_definition(declared, name="Second")["pipeline"]["name"] == "<Second>"
    with refuses("several pipelines in this stack: Shop, Second", at="template", fix="give name="):
        pipeline_definition(declared)
    with refuses("no pipeline 'Third' in this stack", at="template", fix="give name= one of Shop, Second"):
        pipeline_definition(declared, name="Third")
    with refuses("no pipeline in this stack", at="template", fix="give the stack that has it"):
        pipeline_definition(of(Role=ROLE))


def test_a_stack_of_no_app_is_refused():
    stack = Stack(RootConstruct(""), "Alone")
    with refuses("stack 'Alone' is in no app", at="Alone", fix="give the App"):
        pipeline_definition(stack)


def declared_and_running():
    declared = pipeline_definition(of(Pipeline=pipeline(Name="Shop", Variables=[{"Name": "level"}])))
    running = pipeline_definition(
        of(Pipeline=pipeline(Name="Shop", Variables=[{"Name": "level"}], ExecutionMode="SUPERSEDED"))
    )
    running["pipeline"]["version"] = 7
    for stage in running["pipeline"]["stages"]:
        for each in stage["actions"]:
            each.update(runOrder=1, region="eu-west-1")
            each.setdefault("inputArtifacts", [])
    running["metadata"] = {"pipelineArn": "arn:aws:codepipeline:eu-west-1:111111111111:Shop", "created": 1}
    return declared, running


def test_what_codepipeline_fills_in_is_no_difference():
    assert pipeline_differences(*declared_and_running()) == []


def change(path, value):
    def apply(running):
        target = running["pipeline"]
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return apply


ACTION = ("stages", 1, "actions", 0)
RULE = {
    "name": "Rule",
    "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "CloudWatchAlarm", "version": "1"},
    "configuration": {"AlarmName": "a"},
}


@pytest.mark.parametrize(
    ("apply", "lines"),
    [
        (change(("executionMode",), "QUEUED"), ["executionMode: declared 'SUPERSEDED', running 'QUEUED'"]),
        (change(("pipelineType",), "V1"), ["pipelineType: declared 'V2', running 'V1'"]),
        (
            change(("variables", 0, "defaultValue"), "info"),
            ["variable level, defaultValue: not declared, running 'info'"],
        ),
        (change(("variables",), []), ["variable level: declared, not running"]),
        (
            change((*ACTION, "configuration", "ProjectName"), "other"),
            ["stage Build, action Build, configuration ProjectName: declared 'build', running 'other'"],
        ),
        (
            change((*ACTION, "configuration", "PrimarySource"), "Source"),
            ["stage Build, action Build, configuration PrimarySource: not declared, running 'Source'"],
        ),
        (change((*ACTION, "configuration"), {}), [
            "stage Build, action Build, configuration: declared {'ProjectName': 'build'}, not running",
        ]),
        (
            change((*ACTION, "region"), "us-east-1"),
            ["stage Build, action Build, region: not declared, running 'us-east-1'"],
        ),
        (
            change((*ACTION, "outputArtifacts"), [{"name": "Other"}]),
            [
                "stage Build, action Build, output artifact Built: declared, not running",
                "stage Build, action Build, output artifact Other: not declared, running",
            ],
        ),
        (change((*ACTION, "commands"), ["ls"]), ["stage Build, action Build, commands: not declared, running ['ls']"]),
        (
            change(("stages", 1, "name"), "Test"),
            ["stage Build: declared, not running", "stage Test: not declared, running"],
        ),
        (
            lambda running: running["pipeline"]["stages"].reverse(),
            ["stages: declared in the order Source, Build; running in the order Build, Source"],
        ),
        (
            change(("stages", 1, "onFailure"), {"result": "ROLLBACK"}),
            ["stage Build, onFailure: not declared, running {'result': 'ROLLBACK'}"],
        ),
        (
            change(("triggers",), [{"gitConfiguration": {"sourceActionName": "GitHub"}}]),
            ["trigger for GitHub: not declared, running"],
        ),
        (change((*ACTION, "configuration", "ProjectName"), "****"), []),
    ],
)  # fmt: skip
def test_each_difference_is_a_line(apply, lines):
    declared, running = declared_and_running()
    apply(running)
    assert pipeline_differences(declared, running) == lines


def test_a_rule_is_compared_setting_by_setting():
    declared, running = declared_and_running()
    for each, name in ((declared, "a"), (running, "b")):
        ours = {**RULE, "configuration": {"AlarmName": name}}
        each["pipeline"]["stages"][1]["onSuccess"] = {"conditions": [{"result": "FAIL", "rules": [ours]}]}
    declared["pipeline"]["stages"][1]["onSuccess"]["conditions"][0]["rules"][0]["ruleTypeId"] = {
        "category": "Rule",
        "provider": "CloudWatchAlarm",
    }
    assert pipeline_differences(declared, running) == [
        "stage Build, onSuccess, conditions, rule Rule, configuration AlarmName: declared 'a', running 'b'"
    ]


@pytest.mark.parametrize(
    ("declared_role", "same"),
    [
        ("<Role.Arn>", True),
        ("arn:aws:iam::<AWS::AccountId>:role/pipeline", True),
        ("arn:aws:iam::<AWS::AccountId>:role/other", False),
        ("arn:aws:iam::123456789012:role/other", False),
    ],
)
def test_a_placeholder_is_any_value(declared_role, same):
    declared, running = declared_and_running()
    declared["pipeline"]["roleArn"] = declared_role
    assert (pipeline_differences(declared, running) == []) is same


def test_tags_are_compared_where_they_are_told():
    declared, running = declared_and_running()
    declared["tags"] = [{"key": "team", "value": "a"}]
    assert pipeline_differences(declared, running) == []
    running["tags"] = [{"key": "team", "value": "b"}]
    assert pipeline_differences(declared, running) == ["tag, team: declared 'a', running 'b'"]


def test_a_part_that_only_a_deployment_decides_on_is_any_value():
    declared, running = declared_and_running()
    either = {"Fn::If": ["WithIt", {}, {"Ref": "AWS::NoValue"}]}
    template_ = of(Pipeline=pipeline(Name="Shop", Variables=either, ArtifactStores=either))
    stages = template_["Resources"]["Pipeline"]["Properties"]["Stages"]
    stages[0]["Actions"][0]["Configuration"] = either
    stages[1] = either
    declared = pipeline_definition(template_)
    running["pipeline"]["artifactStores"] = {"eu-west-1": {"type": "S3", "location": "artifacts"}}
    assert pipeline_differences(declared, running) == []
    running["pipeline"]["stages"][0]["name"] = "Sources"
    assert len(pipeline_differences(declared, running)) == 1
