"""All kinds of actions in one pipeline: CodePipeline takes its structure, and each has its least permissions."""

import copy
import json
from typing import Any

import pytest
from aws_cdk import App, SecretValue, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as cdk_actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as stepfunctions

from code_family_constructs import BuildProject, Statement
from code_family_constructs.build.batch import BatchBuilds
from code_family_constructs.build.buildspec import Buildspec, Phase, Phases
from code_family_constructs.build.environment import SecretField
from code_family_constructs.local import framework
from code_family_constructs.pipeline.actions.code_build import CodeBuildAction
from code_family_constructs.pipeline.actions.commands import CommandsAction
from code_family_constructs.pipeline.actions.custom_action import CustomAction
from code_family_constructs.pipeline.actions.ecr_build_and_publish import EcrBuildAndPublish
from code_family_constructs.pipeline.actions.inspector_scan import InspectorScan
from code_family_constructs.pipeline.actions.lambda_invoke import InvokeFunction, LambdaInvoke
from code_family_constructs.pipeline.actions.pipeline_invoke import PipelineInvoke
from code_family_constructs.pipeline.actions.step_functions import StepFunctionsInvoke
from code_family_constructs.testing import statements_of, synthesized, text_of
from tests.helpers import allowed, of_type, only
from tests.pipeline.actions import jobs
from tests.pipeline.actions.stages import LOGGING, Pipeline, actions_of, structure_of

REPOSITORY = "arn:aws:ecr:eu-west-1:111122223333:repository/shop"
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:Check"
EXECUTIONS = "arn:aws:states:eu-west-1:111122223333:execution:Check"
OTHER = "arn:aws:codepipeline:eu-west-1:111122223333:Other"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/token-AbCdEf"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:own"


class Everything:
    """A pipeline with all of them."""

    def __init__(self, folder) -> None:
        app = App(outdir=str(folder), analytics_reporting=False)
        stack = self.stack = Stack(app, "Shop")
        vpc = ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-12345678",
            availability_zones=["eu-west-1a", "eu-west-1b"],
            private_subnet_ids=["subnet-12345678", "subnet-22345678"],
        )
        group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")
        token = secretsmanager.Secret.from_secret_complete_arn(stack, "Token", SECRET)
        machine = stepfunctions.StateMachine.from_state_machine_arn(stack, "Machine", MACHINE)
        express = stepfunctions.StateMachine(
            stack,
            "Express",
            definition_body=stepfunctions.DefinitionBody.from_string(json.dumps({"StartAt": "A", "States": {}})),
            state_machine_type=stepfunctions.StateMachineType.EXPRESS,
        )
        own = lambda_.Function(
            stack,
            "Own",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline("def handler(event, context): pass"),
        )
        self.check = BuildProject(stack, "Check")
        self.invoke = LambdaInvoke(
            stack,
            "Migrate",
            function=jobs.migrate,
            parameters={"release": "#{AppVariables.CommitId}", "message": "#{AppVariables.CommitMessage}"},
            input_artifacts=["App"],
            output_artifacts=["Report"],
            output_variables=["tables"],
            statements=[
                Statement(actions=["dynamodb:GetItem"], resources=["arn:aws:dynamodb:eu-west-1:111122223333:table/a"])
            ],
            environment={"TABLE": "a"},
        )
        self.pipeline = Pipeline(
            stack,
            {
                "Build": CodeBuildAction(
                    build=BuildProject(stack, "Build"),
                    type=cdk_actions.CodeBuildActionType.BUILD,
                    input_artifacts=["App", "Infra"],
                    output_artifacts=["Site", "Templates"],
                    output_variables=["VERSION"],
                ),
                "Batch": CodeBuildAction(
                    build=BuildProject(stack, "Matrix", batch=BatchBuilds()), batch=True, combine_artifacts=True
                ),
                "Test": CodeBuildAction(
                    build=self.check,
                    environment_variables={
                        "COMMIT": "#{AppVariables.CommitId}",
                        "URL": ssm.StringParameter.from_string_parameter_name(stack, "Url", "/shop/url"),
                        "TOKEN": SecretField(secret=token, json_key="api"),
                    },
                    buildspec=Buildspec(phases=Phases(build=Phase(commands=["make smoke"]))),
                ),
                "Path": CodeBuildAction(build=self.check, buildspec="ci/smoke.yml"),
                "Commands": CommandsAction(
                    commands=["pytest", "echo $RELEASE"],
                    input_artifacts=["Site", "Infra"],
                    output_artifact="Coverage",
                    files=["coverage.xml", "htmlcov/**/*"],
                    output_variables=["PERCENT"],
                    environment_variables={
                        "RELEASE": "#{codepipeline.PipelineExecutionId}",
                        "REGION": stack.region,
                        "TOKEN": SecretField(secret=token, json_key="api"),
                    },
                    compute_type=codebuild.ComputeType.MEDIUM,
                    vpc=vpc,
                    security_groups=[group],
                ),
                "Plain": CommandsAction(commands=["ls"], input_artifacts=["Coverage"]),
                "Windows": CommandsAction(
                    commands=["dir"],
                    environment_type=codebuild.EnvironmentType.WINDOWS_SERVER_2022_CONTAINER,
                    compute_type=codebuild.ComputeType.LARGE,
                ),
                "Migrate": self.invoke,
                "Own": InvokeFunction(function=own, user_parameters="#{Migrate-Do.tables}", input_artifacts=["Report"]),
                "OwnAgain": InvokeFunction(function=own),
                "Imported": InvokeFunction(function=lambda_.Function.from_function_arn(stack, "Imported", FUNCTION)),
                "Machine": StepFunctionsInvoke(
                    state_machine=machine,
                    input={"commit": "#{AppVariables.CommitId}"},
                    output_artifact="Result",
                    execution_name_prefix="shop",
                ),
                "Express": StepFunctionsInvoke(state_machine=express, input_path="in/put.json", input_artifact="Infra"),
                "Start": PipelineInvoke(
                    pipeline=codepipeline.Pipeline.from_pipeline_arn(stack, "Other", OTHER),
                    variables={"version": "#{Build-Do.VERSION}"},
                    source_revisions=[
                        cdk_actions.SourceRevision(
                            action_name="Source",
                            revision_type=cdk_actions.RevisionType.COMMIT_ID,
                            revision_value="#{AppVariables.CommitId}",
                        )
                    ],
                ),
                "Publish": EcrBuildAndPublish(
                    repository=ecr.Repository.from_repository_name(stack, "Published", "shop"),
                    image_tags=["#{codepipeline.PipelineExecutionId}", "latest"],
                    dockerfile_directory_path="web",
                ),
                "Scan": InspectorScan(output_artifact="Sbom", critical_threshold=0, high_threshold=5),
                "ScanImage": InspectorScan(
                    output_artifact="ImageSbom",
                    repository=ecr.Repository.from_repository_attributes(
                        stack, "Images", repository_arn=REPOSITORY, repository_name="shop"
                    ),
                    image_tag="#{Build-Do.VERSION}",
                    medium_threshold=1,
                    low_threshold=2,
                ),
                "Jenkins": CustomAction.jenkins(
                    provider="Jenkins-Shop", project_name="integration", output_artifacts=["Logs"]
                ),
                "Third": CustomAction(
                    category=codepipeline.ActionCategory.TEST,
                    owner="ThirdParty",
                    provider="BlazeMeter",
                    configuration={"Url": "https://shop.example", "ApiKey": SecretValue.secrets_manager("blaze")},
                    input_artifacts=[],
                ),
                "Aws": CustomAction(
                    category=codepipeline.ActionCategory.TEST,
                    owner="AWS",
                    provider="DeviceFarm",
                    configuration={
                        "ProjectId": "0a1b",
                        "AppType": "Android",
                        "App": "app-release.apk",
                        "DevicePoolArn": "arn:aws:devicefarm:us-west-2::devicepool:0a1b",
                        "TestType": "BUILTIN_FUZZ",
                    },
                    permissions=[
                        Statement(
                            actions=["devicefarm:ScheduleRun"],
                            resources=["arn:aws:devicefarm:us-west-2:111122223333:project:0a1b"],
                        )
                    ],
                ),
            },
        )
        self.template = synthesized(stack)
        self.actions = actions_of(self.template)

    def configuration(self, stage: str) -> dict[str, str]:
        configuration: dict[str, str] = self.actions[stage].get("configuration", {})
        return configuration

    def needs(self, stage: str) -> set[str]:
        """`action on resource` for all that an action says it needs."""
        made = self.pipeline.made[stage]
        return {
            f"{action} on {text_of(self.stack.resolve(resource))}"
            for statement in made.permissions
            for action in statement.actions
            for resource in statement.resources
        }


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return Everything(tmp_path_factory.mktemp("actions"))


def names(artifacts: list[dict[str, Any]]) -> list[str]:
    return [artifact["name"] for artifact in artifacts]


def test_codepipeline_takes_the_structure(everything):
    structure = structure_of(everything.template)
    assert len(structure["stages"]) == 1 + len(everything.pipeline.made)
    types = {
        (each["category"], each["owner"], each["provider"])
        for each in (action["actionTypeId"] for action in everything.actions.values())
    }
    assert types == {
        ("Build", "AWS", "CodeBuild"),
        ("Test", "AWS", "CodeBuild"),
        ("Compute", "AWS", "Commands"),
        ("Invoke", "AWS", "Lambda"),
        ("Invoke", "AWS", "StepFunctions"),
        ("Invoke", "AWS", "CodePipeline"),
        ("Build", "AWS", "ECRBuildAndPublish"),
        ("Invoke", "AWS", "InspectorScan"),
        ("Build", "Custom", "Jenkins-Shop"),
        ("Test", "ThirdParty", "BlazeMeter"),
        ("Test", "AWS", "DeviceFarm"),
    }


def test_what_codepipeline_would_not_take_is_noticed(everything):
    def broken(**properties):
        template = copy.deepcopy(everything.template)
        only(template, "AWS::CodePipeline::Pipeline")["Stages"][5]["Actions"][0] |= properties
        return template

    assert only(broken(), "AWS::CodePipeline::Pipeline")["Stages"][5]["Name"] == "Commands"
    wrong: list[dict[str, Any]] = [
        {"Commands": []},
        {"OutputVariables": ["x"] * 16},
        {"InputArtifacts": [{"Name": "Lost"}]},
    ]
    for properties in wrong:
        with pytest.raises((AssertionError, framework.ApiError)):
            structure_of(broken(**properties))


def test_each_action_puts_its_variables_into_the_namespace_of_its_place(everything):
    assert {action["namespace"] for action in everything.actions.values()} == {
        f"{stage}-Do" for stage in everything.actions
    }


def test_a_build_with_inputs_app_and_infra_starts_in_app_and_finds_infra_beside_it(everything):
    """CodeBuild names their folders CODEBUILD_SRC_DIR and CODEBUILD_SRC_DIR_Infra after these two properties."""
    action = everything.actions["Build"]
    assert names(action["inputArtifacts"]) == ["App", "Infra"]
    assert action["configuration"]["PrimarySource"] == "App"
    assert names(action["outputArtifacts"]) == ["Site", "Templates"]
    assert "$CODEBUILD_SRC_DIR_Infra" in (CodeBuildAction.__doc__ or "")


def test_a_build_with_one_input_needs_no_primary_source(everything):
    action = everything.actions["Test"]
    assert names(action["inputArtifacts"]) == ["App"]
    assert sorted(action["configuration"]) == ["BuildspecOverride", "EnvironmentVariables", "ProjectName"]


def test_a_batch_runs_as_one_and_makes_one_artifact(everything):
    assert {**everything.configuration("Batch"), "ProjectName": ""} == {
        "ProjectName": "",
        "BatchEnabled": "true",
        "CombineArtifacts": "true",
    }


def test_variables_of_a_build_are_json_with_references(everything):
    variables = json.loads(everything.configuration("Test")["EnvironmentVariables"])
    assert variables == [
        {"name": "COMMIT", "value": "#{AppVariables.CommitId}", "type": "PLAINTEXT"},
        {"name": "URL", "value": "/shop/url", "type": "PARAMETER_STORE"},
        {"name": "TOKEN", "value": f"{SECRET}:api", "type": "SECRETS_MANAGER"},
    ]


def test_the_build_may_read_the_parameters_and_secrets_of_its_action(everything):
    lines = allowed(everything.template, "CheckRolePolicy")
    assert f"secretsmanager:GetSecretValue on {SECRET}" in lines
    assert [line for line in lines if line.startswith("ssm:GetParameters") and line.endswith("parameter/shop/url")]


def test_another_buildspec_is_a_path_or_the_buildspec_itself(everything):
    assert everything.configuration("Path")["BuildspecOverride"] == "ci/smoke.yml"
    spec = Buildspec.from_text(everything.configuration("Test")["BuildspecOverride"])
    assert spec == Buildspec(phases=Phases(build=Phase(commands=["make smoke"])))


def test_the_pipeline_gives_builds_its_artifacts(everything):
    assert [one.builds for one in everything.pipeline.made.values()].count([everything.check]) == 2


def test_the_commands_reach_codepipeline_with_all_that_they_need(everything):
    action = everything.actions["Commands"]
    assert action["commands"] == ["pytest", "echo $RELEASE"]
    assert names(action["inputArtifacts"]) == ["Site", "Infra"]
    assert action["outputArtifacts"] == [{"name": "Coverage", "files": ["coverage.xml", "htmlcov/**/*"]}]
    assert action["outputVariables"] == ["PERCENT"]
    assert action["environmentVariables"] == [
        {"name": "RELEASE", "value": "#{codepipeline.PipelineExecutionId}", "type": "PLAINTEXT"},
        {"name": "REGION", "value": "<AWS::Region>", "type": "PLAINTEXT"},
        {"name": "TOKEN", "value": f"{SECRET}:api", "type": "SECRETS_MANAGER"},
    ]
    assert action["configuration"] == {
        "ComputeType": "BUILD_GENERAL1_MEDIUM",
        "VpcId": "vpc-12345678",
        "Subnets": "subnet-12345678,subnet-22345678",
        "SecurityGroupIds": "sg-12345678",
    }
    assert everything.configuration("Windows") == {
        "EnvironmentType": "WINDOWS_SERVER_2022_CONTAINER",
        "ComputeType": "BUILD_GENERAL1_LARGE",
    }


def test_what_commands_make_is_an_artifact_like_any_other(everything):
    plain = everything.actions["Plain"]
    assert plain["inputArtifacts"] == [{"name": "Coverage"}]
    assert not {"environmentVariables", "outputVariables", "outputArtifacts"} & set(plain)


def test_a_python_function_gets_its_parameters_as_lines(everything):
    action = everything.actions["Migrate"]
    assert action["configuration"]["UserParameters"] == (
        "release=#{AppVariables.CommitId}\nmessage=#{AppVariables.CommitMessage}"
    )
    assert (names(action["inputArtifacts"]), names(action["outputArtifacts"])) == (["App"], ["Report"])
    [function] = [
        each for name, each in of_type(everything.template, "AWS::Lambda::Function").items() if "Migr" in name
    ]
    variables = function["Environment"]["Variables"]
    assert variables["TABLE"] == "a"
    assert json.loads(variables["CODE_FAMILY_JOB"]) == {
        "file": "function/jobs.py",
        "function": "migrate",
        "parameters": ["release", "message"],
        "variables": ["tables"],
    }
    # Five minutes for the function, and the time to report.
    assert function["Timeout"] == 335


def test_lambda_does_not_repeat_what_a_pipeline_has_given_up(everything):
    [config] = of_type(everything.template, "AWS::Lambda::EventInvokeConfig").values()
    assert config["MaximumRetryAttempts"] == 0


def test_a_python_function_may_report_and_do_what_was_said(everything):
    lines = {line for line in allowed(everything.template, "MigrateFunctionRolePolicy") if not line.startswith("logs:")}
    assert lines == {
        "codepipeline:PutJobFailureResult on *",
        "codepipeline:PutJobSuccessResult on *",
        "dynamodb:GetItem on arn:aws:dynamodb:eu-west-1:111122223333:table/a",
    }


def test_a_function_that_reports_itself_may_do_so(everything):
    reports = [
        name for name, statement in statements_of(everything.template["Resources"]) if name.startswith("OwnReports")
    ]
    assert len(reports) == 1
    assert allowed(everything.template, "OwnReports") == {
        "codepipeline:PutJobFailureResult on *",
        "codepipeline:PutJobSuccessResult on *",
    }
    assert everything.configuration("Imported") == {"FunctionName": "own"}
    assert everything.configuration("Own")["UserParameters"] == "#{Migrate-Do.tables}"


def test_a_state_machine_gets_its_input_as_json_or_from_a_file(everything):
    assert everything.configuration("Machine") == {
        "StateMachineArn": MACHINE,
        "ExecutionNamePrefix": "shop",
        "Input": '{"commit":"#{AppVariables.CommitId}"}',
    }
    express = everything.actions["Express"]
    assert (express["configuration"]["InputType"], express["configuration"]["Input"]) == ("FilePath", "in/put.json")
    assert names(express["inputArtifacts"]) == ["Infra"]


def test_another_pipeline_gets_variables_and_revisions(everything):
    configuration = everything.configuration("Start")
    assert configuration["PipelineName"] == "Other"
    assert json.loads(configuration["Variables"]) == [{"name": "version", "value": "#{Build-Do.VERSION}"}]
    assert json.loads(configuration["SourceRevisions"]) == [
        {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": "#{AppVariables.CommitId}"}
    ]


def test_inspector_scans_an_artifact_or_an_image(everything):
    assert everything.configuration("Scan") == {
        "InspectorRunMode": "SourceCodeScan",
        "CriticalThreshold": "0",
        "HighThreshold": "5",
    }
    assert names(everything.actions["Scan"]["inputArtifacts"]) == ["App"]
    assert everything.configuration("ScanImage") == {
        "InspectorRunMode": "ECRImageScan",
        "ECRRepositoryName": "shop",
        "ImageTag": "#{Build-Do.VERSION}",
        "MediumThreshold": "1",
        "LowThreshold": "2",
    }
    assert "inputArtifacts" not in everything.actions["ScanImage"]


def test_an_image_is_built_of_a_folder_and_gets_a_tag_that_no_other_release_has(everything):
    assert everything.configuration("Publish") == {
        "ECRRepositoryName": "shop",
        "DockerFilePath": "web",
        "ImageTags": "#{codepipeline.PipelineExecutionId},latest",
        "RegistryType": "private",
    }
    assert names(everything.actions["Publish"]["inputArtifacts"]) == ["App"]


def test_secrets_of_third_parties_come_from_secrets_manager(everything):
    assert everything.configuration("Third") == {
        "Url": "https://shop.example",
        "ApiKey": "{{resolve:secretsmanager:blaze:SecretString:::}}",
    }
    assert "inputArtifacts" not in everything.actions["Third"]
    assert everything.configuration("Jenkins") == {"ProjectName": "integration"}


def project(name: str) -> str:
    return f"arn:<AWS::Partition>:codebuild:<AWS::Region>:<AWS::AccountId>:project/Shop-{name}"


def an_invocation(function: str) -> set[str]:
    return {f"lambda:InvokeFunction on {function}", "lambda:ListFunctions on *"}


SUBNETS = {
    f"arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:{rest}"
    for rest in ("subnet/subnet-12345678", "subnet/subnet-22345678", "security-group/sg-12345678")
}
INTERFACES = "arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:network-interface/*"
NETWORK = {
    *(f"ec2:CreateNetworkInterface on {place}" for place in (*SUBNETS, INTERFACES)),
    f"ec2:CreateNetworkInterfacePermission on {INTERFACES}",
    f"ec2:DeleteNetworkInterface on {INTERFACES}",
    *(f"ec2:Describe{what} on *" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")),
}
IMAGE = {
    f"ecr:{action} on {REPOSITORY}"
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
}


@pytest.mark.parametrize(
    ("stage", "needed"),
    [
        ("Build", {f"codebuild:{action} on {project('Build')}" for action in ("BatchGetBuilds", "StartBuild")}),
        (
            "Batch",
            {f"codebuild:{action} on {project('Matrix')}" for action in ("BatchGetBuildBatches", "StartBuildBatch")},
        ),
        ("Commands", {*LOGGING, *NETWORK, f"secretsmanager:GetSecretValue on {SECRET}"}),
        ("Plain", LOGGING),
        ("Imported", an_invocation(FUNCTION)),
        (
            "Machine",
            {
                f"states:DescribeStateMachine on {MACHINE}",
                f"states:StartExecution on {MACHINE}",
                f"states:DescribeExecution on {EXECUTIONS}:shop-*",
            },
        ),
        ("Start", {f"codepipeline:StartPipelineExecution on {OTHER}"}),
        (
            "Publish",
            {
                *LOGGING,
                "ecr:DescribeRepositories on *",
                "ecr:GetAuthorizationToken on *",
                *(
                    f"ecr:{action} on arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/shop"
                    for action in (
                        "BatchCheckLayerAvailability",
                        "CompleteLayerUpload",
                        "GetDownloadUrlForLayer",
                        "InitiateLayerUpload",
                        "PutImage",
                        "UploadLayerPart",
                    )
                ),
            },
        ),
        ("Scan", {*LOGGING, "inspector-scan:ScanSbom on *"}),
        ("ScanImage", {*LOGGING, *IMAGE, "inspector-scan:ScanSbom on *"}),
        ("Jenkins", set()),
        ("Third", set()),
        ("Aws", {"devicefarm:ScheduleRun on arn:aws:devicefarm:us-west-2:111122223333:project:0a1b"}),
    ],
)
def test_an_action_needs_this_and_nothing_else(everything, stage, needed):
    found = {
        line.replace("arn:<AWS::Partition>:codepipeline:<AWS::Region>:<AWS::AccountId>:Other", OTHER)
        for line in everything.needs(stage)
    }
    assert found == needed


def test_an_express_state_machine_is_only_started(everything):
    assert {line.partition(" on ")[0] for line in everything.needs("Express")} == {
        "states:DescribeStateMachine",
        "states:StartExecution",
    }


def test_the_pipeline_s_role_may_do_this_and_nothing_else(everything):
    wanted = set.union(*(everything.needs(stage) for stage in everything.pipeline.made))
    assert allowed(everything.template, "RolePolicy") == wanted
    assert not any(name.startswith("Pipeline") for name in of_type(everything.template, "AWS::IAM::Policy"))
