"""The last look at a pipeline: what it finds, where, and what it lets through."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.pipeline.action_types import ACTION_TYPES
from code_family_constructs.pipeline.structure_checks import Problem, problems_of

SNAPSHOTS = sorted((Path(__file__).parents[1] / "stacks" / "__snapshots__").glob("*/test_template*.txt"))
REF = {"Ref": "Something"}


def action(name, category, provider, configuration, *, owner="AWS", takes=(), makes=(), **properties):
    declared = {
        "Name": name,
        "ActionTypeId": {"Category": category, "Owner": owner, "Provider": provider, "Version": "1"},
        "Configuration": configuration,
        **properties,
    }
    if takes:
        declared["InputArtifacts"] = [{"Name": artifact} for artifact in takes]
    if makes:
        declared["OutputArtifacts"] = [{"Name": artifact} for artifact in makes]
    return declared


def build(name, *, takes=("Source",), makes=(), category="Build", **configuration):
    return action(name, category, "CodeBuild", {"ProjectName": "build", **configuration}, takes=takes, makes=makes)


def approval(**properties):
    return action("Approve", "Approval", "Manual", {"CustomData": "Release?"}, **properties)


def rule(provider, configuration, *, result="FAIL", **properties):
    kind = {"Category": "Rule", "Owner": "AWS", "Provider": provider, "Version": "1"}
    declared = {"Name": "Rule", "RuleTypeId": kind, "Configuration": configuration, **properties}
    return {"Conditions": [{"Result": result, "Rules": [declared]}]}


def structure():
    """A pipeline with a bit of everything, which CodePipeline would take."""
    return copy.deepcopy(declared())


def declared():
    source = action(
        "GitHub",
        "Source",
        "CodeStarSourceConnection",
        {"ConnectionArn": REF, "FullRepositoryId": "acme/shop", "BranchName": "main", "DetectChanges": "false"},
        makes=["Source"],
        Namespace="SourceVariables",
    )
    checks = build("Check", takes=["Built"], category="Test", EnvironmentVariables=REF)
    release = action(
        "Release",
        "Deploy",
        "CodeDeploy",
        {"ApplicationName": REF, "DeploymentGroupName": "shop"},
        takes=["Built"],
        RunOrder=2,
    )
    commit = json.dumps([{"name": "COMMIT", "value": "#{SourceVariables.CommitId} #{variables.level}"}])
    return {
        "Name": "Shop",
        "PipelineType": "V2",
        "ExecutionMode": "QUEUED",
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "ArtifactStore": {"Type": "S3", "Location": REF, "EncryptionKey": {"Type": "KMS", "Id": REF}},
        "Variables": [{"Name": "level", "DefaultValue": "info"}],
        "Triggers": [
            {
                "ProviderType": "CodeStarSourceConnection",
                "GitConfiguration": {"SourceActionName": "GitHub", "Push": [{"Branches": {"Includes": ["main"]}}]},
            }
        ],
        "Stages": [
            {"Name": "Source", "Actions": [source]},
            {
                "Name": "Build",
                "Actions": [{**build("Build", makes=["Built"], EnvironmentVariables=commit), "Namespace": "Built-1"}],
                "OnFailure": {"Result": "RETRY", "RetryConfiguration": {"RetryMode": "ALL_ACTIONS"}},
            },
            {
                "Name": "Production",
                "Actions": [approval(TimeoutInMinutes=60), checks, release],
                "BeforeEntry": rule(
                    "VariableCheck",
                    {"Variable": "#{SourceVariables.BranchName}", "Value": "main", "Operator": "EQ"},
                    result="SKIP",
                ),
                "OnSuccess": rule("CloudWatchAlarm", {"AlarmName": REF, "WaitTime": "10"}, result="ROLLBACK"),
            },
        ],
    }


def test_a_pipeline_that_can_be_deployed_has_no_problems():
    assert problems_of(structure(), region="eu-west-1") == []


def pipelines_of(snapshot):
    for name, resource in json.loads(snapshot.read_text())["Resources"].items():
        if resource["Type"] == "AWS::CodePipeline::Pipeline":
            yield pytest.param(resource["Properties"], id=f"{snapshot.parent.name}-{name}")


PIPELINES = [parameter for snapshot in SNAPSHOTS for parameter in pipelines_of(snapshot)]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_our_own_stacks_have_no_problems(pipeline):
    assert problems_of(pipeline) == []


def test_our_own_stacks_have_pipelines():
    assert len(PIPELINES) >= 3


def changed(change):
    pipeline = structure()
    change(pipeline)
    return pipeline


def stage(number):
    return lambda pipeline: pipeline["Stages"][number]


def first(number, position=0):
    return lambda pipeline: pipeline["Stages"][number]["Actions"][position]


def configured(number, position=0):
    return lambda pipeline: pipeline["Stages"][number]["Actions"][position]["Configuration"]


def put(place, **values):
    return lambda pipeline: place(pipeline).update(values)


def drop(place, key):
    return lambda pipeline: place(pipeline).pop(key)


def add(*declared, number=2):
    return lambda pipeline: pipeline["Stages"][number]["Actions"].extend(copy.deepcopy(declared))


def whole(pipeline):
    return pipeline


def trigger(pipeline):
    return pipeline["Triggers"][0]["GitConfiguration"]


def cloudformation(**configuration):
    return action("Stack", "Deploy", "CloudFormation", {"StackName": "s", **configuration}, takes=["Built"])


def commands(*lines, **properties):
    declared = {"Commands": list(lines), **properties}
    return action("Shell", "Compute", "Commands", {}, takes=["Built"], **declared)


def jenkins(**properties):
    return action("Jenkins", "Test", "OurJenkins", {"ProjectName": "j", "Own": "1"}, owner="Custom", **properties)


REFUSED = {
    # artifacts
    "an artifact that nothing makes": (
        put(first(2, 2), InputArtifacts=[{"Name": "Build"}]),
        "Production/Release",
        "takes artifact 'Build', which nothing makes",
        "did you mean 'Built'?",
    ),
    "an artifact of the same run order": (
        put(first(2, 1), InputArtifacts=[{"Name": "Made"}], OutputArtifacts=[{"Name": "Made"}]),
        "Production/Check",
        "takes artifact 'Made' of Production/Check, which does not run before it",
        "run it in a later stage, or with a higher RunOrder",
    ),
    "an artifact of a later stage": (
        put(first(1), InputArtifacts=[{"Name": "Late"}]),
        "Build/Build",
        "takes artifact 'Late' of Production/Later",
        "run it in a later stage",
        add(build("Later", takes=["Source"], makes=["Late"])),
    ),
    "an artifact made twice": (
        add(build("Again", makes=["Built"])),
        "Build/Build",
        "artifact 'Built' is made by Production/Again too",
        "give each output artifact of the pipeline a name of its own",
    ),
    "an artifact taken twice": (
        put(first(2, 2), InputArtifacts=[{"Name": "Built"}, {"Name": "Built"}]),
        "Production/Release",
        "input artifact 'Built' is there 2 times",
        "name it once",
    ),
    "a full clone that is deployed": (
        put(first(2, 2), InputArtifacts=[{"Name": "Source"}]),
        "Production/Release",
        "takes artifact 'Source', a full clone, which only CodeBuild can read",
        "give it what a build makes of it",
        put(configured(0), OutputArtifactFormat="CODEBUILD_CLONE_REF"),
    ),
    "a full clone for a rule that is no build": (
        put(stage(2), BeforeEntry=rule("LambdaInvoke", {"FunctionName": "f"}, InputArtifacts=[{"Name": "Source"}])),
        "Production/BeforeEntry/Rule",
        "a full clone, which only CodeBuild can read",
        "CODE_ZIP",
        put(configured(0), OutputArtifactFormat="CODEBUILD_CLONE_REF"),
    ),
    "an artifact for an entry condition that its own stage makes": (
        put(stage(1), BeforeEntry=rule("LambdaInvoke", {"FunctionName": "f"}, InputArtifacts=[{"Name": "Built"}])),
        "Build/BeforeEntry/Rule",
        "takes artifact 'Built' of Build/Build, which does not run before it",
        "run it in a later stage",
    ),
    "too many artifacts for CodeDeploy": (
        put(first(2, 2), InputArtifacts=[{"Name": "Built"}, {"Name": "Source"}]),
        "Production/Release",
        "2 input artifacts for CodeDeploy",
        "it takes 1",
    ),
    "a source without an artifact": (
        drop(first(0), "OutputArtifacts"),
        "Source/GitHub",
        "no output artifacts",
        "takes 1",
    ),
    "too many outputs for a build": (
        put(first(1), OutputArtifacts=[{"Name": name} for name in ("Built", "A", "B", "C", "D", "E")]),
        "Build/Build",
        "6 output artifacts for CodeBuild",
        "it takes 0 to 5",
    ),
    "too many artifacts for an action of one's own": (
        add(jenkins(makes=list("ABCDEF"))),
        "Production/Jenkins",
        "6 output artifacts for OurJenkins",
        "it takes 0 to 5",
    ),
    "no primary source": (
        put(first(2, 1), InputArtifacts=[{"Name": "Built"}, {"Name": "Source"}]),
        "Production/Check",
        "2 input artifacts ('Built', 'Source') and no PrimarySource",
        "such as 'Built'",
    ),
    "a primary source that is no input": (
        put(configured(2, 1), PrimarySource="Source"),
        "Production/Check",
        "PrimarySource is of artifact 'Source', which the action does not take",
        "make it one of Built",
    ),
    # limits and names
    "one stage": (
        lambda pipeline: pipeline.update(Stages=pipeline["Stages"][:1]),
        "",
        "a pipeline of 1 stage",
        "2 to 50",
    ),
    "51 stages": (
        lambda pipeline: pipeline["Stages"].extend({"Name": f"S{n}", "Actions": [approval()]} for n in range(48)),
        "",
        "a pipeline of 51 stages",
        "give it 2 to 50",
    ),
    "a stage without actions": (put(stage(2), Actions=[]), "Production", "a stage of no actions", "give it 1 to 50"),
    "51 actions": (
        lambda pipeline: pipeline["Stages"][2]["Actions"].extend({**approval(), "Name": f"A{n}"} for n in range(48)),
        "Production",
        "a stage of 51 actions",
        "give it 1 to 50",
    ),
    "1001 actions": (
        lambda pipeline: pipeline["Stages"].extend(
            {"Name": f"S{s}", "Actions": [{**approval(), "Name": f"A{a}"} for a in range(50)]} for s in range(20)
        ),
        "",
        "a pipeline of 1005 actions",
        "CodePipeline takes 1000",
    ),
    "a pipeline name with a space": (
        put(whole, Name="my shop"),
        "",
        "pipeline name 'my shop'",
        "use 1 to 100 letters, digits",
    ),
    "a stage name that is too long": (put(stage(2), Name="x" * 101), "x" * 101, "stage name", "use 1 to 100 letters"),
    "an action name with a slash": (put(first(2), Name="a/b"), "Production/a/b", "action name 'a/b'", "use 1 to 100"),
    "an artifact name with a dot": (
        put(first(1), OutputArtifacts=[{"Name": "Built"}, {"Name": "a.b"}]),
        "Build/Build",
        "output artifact name 'a.b'",
        "use 1 to 100 letters, digits, '-' and '_'",
    ),
    "two stages of one name": (put(stage(2), Name="Build"), "", "stage 'Build' is there 2 times", "a name of its own"),
    "two actions of one name": (
        add(approval()),
        "Production",
        "action 'Approve' is there 2 times",
        "a name of its own",
    ),
    "a run order of 0": (put(first(2), RunOrder=0), "Production/Approve", "RunOrder=0", "a whole number, 1 to 999"),
    "a run order of 1000": (put(first(2), RunOrder="1000"), "Production/Approve", "RunOrder='1000'", "1 to 999"),
    "half a run order": (put(first(2), RunOrder=1.5), "Production/Approve", "RunOrder=1.5", "1 to 999"),
    "a transition into no stage": (
        put(whole, DisableInboundStageTransitions=[{"StageName": "Prodution", "Reason": "freeze"}]),
        "",
        "the transition into stage 'Prodution' is disabled",
        "did you mean 'Production'?",
    ),
    # configurations
    "too many settings": (
        add(action("Own", "Test", "Own", {f"Key{number}": "x" for number in range(51)}, owner="Custom")),
        "Production/Own",
        "a configuration of 51 keys",
        "CodePipeline takes 50",
    ),
    "a key that is too long": (
        add(action("Own", "Test", "Own", {"k" * 51: "x"}, owner="Custom")),
        "Production/Own",
        "of its configuration has 51 characters",
        "use 1 to 50",
    ),
    "a value that is too long": (
        put(configured(2), CustomData="x" * 1001),
        "Production/Approve",
        "CustomData in its configuration has 1001 characters",
        "use 1 to 1000",
    ),
    "a value that is too long but for what is not known": (
        put(configured(2), CustomData={"Fn::Join": ["", [REF, "x" * 1001]]}),
        "Production/Approve",
        "CustomData in its configuration has 1001 characters",
        "use 1 to 1000",
    ),
    "an empty value": (put(configured(2), CustomData=""), "Production/Approve", "has no characters", "use 1 to 1000"),
    "an object for a value": (
        add(cloudformation(ActionMode="DELETE_ONLY", RoleArn=REF, ParameterOverrides={"A": "1"})),
        "Production/Stack",
        "ParameterOverrides in its configuration is an object",
        "write it as text",
    ),
    "an unknown setting": (
        put(configured(2, 2), DeploymentGroup="shop"),
        "Production/Release",
        "CodeDeploy has no setting 'DeploymentGroup'",
        "did you mean 'DeploymentGroupName'?",
    ),
    "a missing setting": (
        drop(configured(2, 2), "ApplicationName"),
        "Production/Release",
        "ApplicationName is left out, which CodeDeploy needs",
        "set ApplicationName in its configuration",
    ),
    "a value outside a closed set": (
        put(configured(0), OutputArtifactFormat="ZIP"),
        "Source/GitHub",
        "OutputArtifactFormat='ZIP'",
        "use CODE_ZIP, CODEBUILD_CLONE_REF",
    ),
    "a provider of another category": (
        add(action("Own", "Test", "CodeDeploy", {}, takes=["Built"])),
        "Production/Own",
        "CodeDeploy is no type of category Test",
        "use category Deploy",
    ),
    "a misspelt provider": (
        add(action("Own", "Deploy", "CodeDeployECS", {}, takes=["Built"])),
        "Production/Own",
        "AWS has no Deploy action by 'CodeDeployECS'",
        "did you mean 'CodeDeployToECS'?",
    ),
    "environment variables that are no JSON": (
        put(configured(1), EnvironmentVariables="A=1"),
        "Build/Build",
        "EnvironmentVariables is no JSON: 'A=1'",
        "JSON list",
    ),
    "environment variables that are an object": (
        put(configured(1), EnvironmentVariables='{"A": 1}'),
        "Build/Build",
        "is no list of objects",
        "write a JSON list",
    ),
    "an environment variable that is a number": (
        put(configured(1), EnvironmentVariables='[{"name": "A", "value": 1}]'),
        "Build/Build",
        "without a name and a value, both texts",
        "write a JSON list",
    ),
    "an environment variable of no type": (
        put(configured(1), EnvironmentVariables='[{"name": "A", "value": "1", "type": "SECRET"}]'),
        "Build/Build",
        "environment variable 'A' of type 'SECRET'",
        "use PLAINTEXT, PARAMETER_STORE or SECRETS_MANAGER",
    ),
    "combined artifacts of no batch": (
        put(configured(1), CombineArtifacts="true"),
        "Build/Build",
        "CombineArtifacts without BatchEnabled",
        "BatchEnabled",
    ),
    "a template without its artifact": (
        add(cloudformation(ActionMode="CREATE_UPDATE", RoleArn=REF, TemplatePath="template.json")),
        "Production/Stack",
        "TemplatePath='template.json' names no artifact",
        "write <artifact>::template.json",
    ),
    "a template of an artifact that is no input": (
        add(cloudformation(ActionMode="CREATE_UPDATE", RoleArn=REF, TemplatePath="Source::template.json")),
        "Production/Stack",
        "TemplatePath is of artifact 'Source'",
        "make it one of Built",
    ),
    "a change set without its name": (
        add(cloudformation(ActionMode="CHANGE_SET_EXECUTE")),
        "Production/Stack",
        "ChangeSetName is left out",
        "ChangeSetName",
    ),
    "a stack without a role": (
        add(cloudformation(ActionMode="DELETE_ONLY")),
        "Production/Stack",
        "RoleArn is left out",
        "set RoleArn",
    ),
    "parameters that are no object": (
        add(cloudformation(ActionMode="DELETE_ONLY", RoleArn=REF, ParameterOverrides="A=1")),
        "Production/Stack",
        "ParameterOverrides is no JSON object: 'A=1'",
        "write {",
    ),
    "stack instances without regions": (
        add(action("Set", "Deploy", "CloudFormationStackInstances", {"StackSetName": "s", "DeploymentTargets": "1"})),
        "Production/Set",
        "only one of DeploymentTargets and Regions",
        "set both, or neither",
    ),
    "an image without its container": (
        add(
            action(
                "Ecs",
                "Deploy",
                "CodeDeployToECS",
                {
                    "ApplicationName": "a",
                    "DeploymentGroupName": "g",
                    "TaskDefinitionTemplateArtifact": "Built",
                    "AppSpecTemplateArtifact": "Built",
                    "Image1ArtifactName": "Built",
                },
                takes=["Built"],
            )
        ),
        "Production/Ecs",
        "only one of Image1ArtifactName and Image1ContainerName",
        "set both, or neither",
    ),
    "a file of the artifact that is not named": (
        add(action("Site", "Deploy", "S3", {"BucketName": "b", "Extract": "false"}, takes=["Built"])),
        "Production/Site",
        "with Extract=false the artifact becomes one object, and ObjectKey is left out",
        "set ObjectKey",
    ),
    "an ECS timeout": (
        add(
            action(
                "Ecs",
                "Deploy",
                "ECS",
                {"ClusterName": "c", "ServiceName": "s", "DeploymentTimeout": "90"},
                takes=["Built"],
            )
        ),
        "Production/Ecs",
        "DeploymentTimeout='90'",
        "use whole minutes, 1 to 60",
    ),
    "EC2 without a place": (
        add(action("Copy", "Deploy", "EC2", {"InstanceTagKey": "k", "InstanceType": "EC2"}, takes=["Built"])),
        "Production/Copy",
        "TargetDirectory is left out",
        "set TargetDirectory",
    ),
    "an EC2 action that runs nothing": (
        add(
            action(
                "Instances",
                "Deploy",
                "EC2",
                {"InstanceTagKey": "a", "InstanceType": "EC2", "TargetDirectory": "/srv"},
                takes=["Built"],
            )
        ),
        "Production/Instances",
        "PostScript is left out",
        "set PostScript",
    ),
    "kubectl and Helm": (
        add(
            action(
                "Eks",
                "Deploy",
                "EKS",
                {"ClusterName": "c", "ManifestFiles": "a", "HelmReleaseName": "b"},
                takes=["Built"],
            )
        ),
        "Production/Eks",
        "ManifestFiles is for kubectl, HelmReleaseName for Helm",
        "use one or the other",
    ),
    "half a Helm chart": (
        add(action("Eks", "Deploy", "EKS", {"ClusterName": "c", "HelmReleaseName": "b"}, takes=["Built"])),
        "Production/Eks",
        "HelmChartLocation is left out",
        "set HelmChartLocation",
    ),
    "nothing for EKS": (
        add(action("Eks", "Deploy", "EKS", {"ClusterName": "c"}, takes=["Built"])),
        "Production/Eks",
        "nothing to deploy",
        "set ManifestFiles for kubectl",
    ),
    "nothing for a function": (
        add(action("Fn", "Deploy", "Lambda", {"FunctionName": "f", "FunctionAlias": "a"})),
        "Production/Fn",
        "there is no input artifact to deploy, and PublishedTargetVersion is left out",
        "set PublishedTargetVersion",
    ),
    "a strategy of no function alias": (
        add(action("Fn", "Deploy", "Lambda", {"FunctionName": "f", "DeployStrategy": "AllAtOnce"}, takes=["Built"])),
        "Production/Fn",
        "DeployStrategy is about an alias, and FunctionAlias is left out",
        "set FunctionAlias",
    ),
    "a strategy that Lambda does not have": (
        add(
            action(
                "Fn",
                "Deploy",
                "Lambda",
                {
                    "FunctionName": "f",
                    "FunctionAlias": "a",
                    "DeployStrategy": "Canary",
                    "Alarms": ",".join("abcdefghijk"),
                },
                takes=["Built"],
            )
        ),
        "Production/Fn",
        "DeployStrategy='Canary'",
        "Canary10Percent5Minutes",
    ),
    "a product version without its template": (
        add(action("Product", "Deploy", "ServiceCatalog", {"ProductId": "p"}, takes=["Built"])),
        "Production/Product",
        "TemplateFilePath is left out",
        "set TemplateFilePath",
    ),
    "a state machine without its input": (
        add(action("Steps", "Invoke", "StepFunctions", {"StateMachineArn": "a", "InputType": "FilePath"})),
        "Production/Steps",
        "InputType=FilePath reads a file of the input artifact, and Input is left out",
        "set Input",
    ),
    "a scan of nothing": (
        add(action("Scan", "Invoke", "InspectorScan", {"InspectorRunMode": "SourceCodeScan"}, makes=["Sbom"])),
        "Production/Scan",
        "without an input artifact to scan",
        "give the action the source",
    ),
    "a scan of no image": (
        add(action("Scan", "Invoke", "InspectorScan", {"InspectorRunMode": "ECRImageScan"}, makes=["Sbom"])),
        "Production/Scan",
        "InspectorRunMode=ECRImageScan needs it, and ECRRepositoryName is left out",
        "set ECRRepositoryName",
    ),
    # commands
    "no commands": (add(commands()), "Production/Shell", "no commands", "list 1 to 50 in Commands"),
    "51 commands": (add(commands(*["ls"] * 51)), "Production/Shell", "51 commands", "CodePipeline takes 50"),
    "a command of two lines": (
        add(commands("a\nb")),
        "Production/Shell",
        "command of several lines: 'a\\nb'",
        "make each line a command",
    ),
    "a command that is too long": (add(commands("x" * 1001)), "Production/Shell", "1001 characters", "use 1 to 1000"),
    "commands of a build": (
        put(first(1), Commands=["ls"]),
        "Build/Build",
        "Commands in an action by CodeBuild",
        "only the action type Compute",
    ),
    "output variables of a build": (
        put(first(1), OutputVariables=["A"]),
        "Build/Build",
        "OutputVariables in an action by CodeBuild",
        "only Commands",
    ),
    "16 output variables": (
        add(commands("ls", OutputVariables=["A"] * 16)),
        "Production/Shell",
        "16 OutputVariables",
        "CodePipeline takes 15",
    ),
    "a secret for kubectl": (
        add(
            action(
                "Eks",
                "Deploy",
                "EKS",
                {"ClusterName": "c", "ManifestFiles": "m"},
                takes=["Built"],
                EnvironmentVariables=[{"Name": "A", "Value": "s", "Type": "SECRETS_MANAGER"}],
            )
        ),
        "Production/Eks",
        "type of environment variable 'A' 'SECRETS_MANAGER'",
        "use PLAINTEXT",
    ),
    "an environment variable of several lines": (
        add(commands("ls", EnvironmentVariables=[{"Name": "NOTES", "Value": "one\ntwo"}])),
        "Production/Shell",
        "environment variable 'NOTES' of several lines",
        "a file of an artifact",
    ),
    "an environment variable with a dash": (
        add(commands("ls", EnvironmentVariables=[{"Name": "a-b", "Value": "1"}])),
        "Production/Shell",
        "environment variable name 'a-b'",
        "use 1 to 128 letters, digits and '_'",
    ),
    "11 files": (
        add({**commands("ls"), "OutputArtifacts": [{"Name": "Files", "Files": ["a"] * 11}]}),
        "Production/Shell",
        "11 files in an output artifact",
        "name at most 10",
    ),
    "Windows on a small machine": (
        add({**commands("dir"), "Configuration": {"EnvironmentType": "WINDOWS_SERVER_2022_CONTAINER"}}),
        "Production/Shell",
        "BUILD_GENERAL1_SMALL has no Windows",
        "set ComputeType to BUILD_GENERAL1_MEDIUM",
    ),
    # type V1
    "variables on V1": (
        put(whole, PipelineType="V1"),
        "",
        "a pipeline of type V1 with Variables",
        "PipelineType to V2",
    ),
    "triggers on V1": (drop(whole, "PipelineType"), "", "a pipeline of type V1 with Triggers", "PipelineType to V2"),
    "QUEUED on V1": (put(whole, PipelineType="V1"), "", "a pipeline of type V1 in QUEUED mode", "PipelineType to V2"),
    "conditions on V1": (
        put(whole, PipelineType="V1"),
        "",
        "with BeforeEntry in stage 'Production'",
        "set PipelineType to V2",
    ),
    "commands on V1": (
        add(commands("ls")),
        "",
        "with action Production/Shell, by Commands",
        "to V2",
        put(whole, PipelineType="V1"),
    ),
    # sources
    "no source first": (
        put(stage(0), Actions=[approval()]),
        "Source",
        "action 'Approve' in the first stage is no source",
        "a later stage",
    ),
    "a source later": (
        add(action("More", "Source", "S3", {"S3Bucket": "b", "S3ObjectKey": "k"}, makes=["More"])),
        "Production",
        "source 'More' after the first stage",
        "move it to the first stage",
    ),
    # variables
    "a namespace of nobody": (
        put(configured(2), CustomData="#{SourceVariable.CommitId}"),
        "Production/Approve",
        "#{SourceVariable.CommitId} is of a namespace that no action has",
        "did you mean 'SourceVariables'?",
    ),
    "a namespace inside of a text with tokens": (
        put(configured(2), CustomData={"Fn::Join": ["", ["see ", REF, " #{Nobody.CommitId}"]]}),
        "Production/Approve",
        "#{Nobody.CommitId} is of a namespace that no action has",
        "use one of SourceVariables, Built-1, variables, codepipeline",
    ),
    "a variable before it is there": (
        put(configured(1), EnvironmentVariables='[{"name": "A", "value": "#{Built-1.A}"}]'),
        "Build/Build",
        "#{Built-1.A} comes from Build/Build, which does not run before it",
        "use it in a later stage, or with a higher RunOrder",
    ),
    "a variable of a parallel action": (
        put(first(2, 1), Namespace="Checks"),
        "Production/Approve",
        "#{Checks.A} comes from Production/Check, which does not run before it",
        "with a higher RunOrder",
        put(configured(2), CustomData="#{Checks.A}"),
    ),
    "a variable that the source does not have": (
        put(configured(2), CustomData="#{SourceVariables.CommitID}"),
        "Production/Approve",
        "CodeStarSourceConnection puts out no variable 'CommitID'",
        "did you mean 'CommitId'?",
    ),
    "a variable of an action without any": (
        put(first(2, 2), Namespace="Release"),
        "Last/Approve",
        "CodeDeploy puts out no variable 'Id', as in #{Release.Id}",
        "take it from a build, a stack or a function",
        lambda pipeline: pipeline["Stages"].append(
            {"Name": "Last", "Actions": [action("Approve", "Approval", "Manual", {"CustomData": "#{Release.Id}"})]}
        ),
    ),
    "an undeclared pipeline variable": (
        put(configured(2), CustomData="#{variables.levle}"),
        "Production/Approve",
        "#{variables.levle} is no variable of this pipeline",
        "did you mean 'level'?",
    ),
    "no pipeline variables": (
        drop(whole, "Variables"),
        "Build/Build",
        "#{variables.level} is no variable of this pipeline",
        "declare it",
    ),
    "a pipeline variable in a source": (
        put(configured(0), BranchName="#{variables.level}"),
        "Source/GitHub",
        "#{variables.level} in a source action, which knows no pipeline variables",
        "write the value itself",
    ),
    "a variable of CodePipeline's": (
        put(configured(2), CustomData="#{codepipeline.ExecutionId}"),
        "Production/Approve",
        "#{codepipeline.ExecutionId} is no variable of CodePipeline",
        "#{codepipeline.PipelineExecutionId}",
    ),
    "a variable in a command": (
        add(commands("echo #{Nobody.X}")),
        "Production/Shell",
        "#{Nobody.X} is of a namespace that no action has",
        "use one of",
    ),
    "a variable in an environment variable": (
        add(commands("ls", EnvironmentVariables=[{"Name": "A", "Value": "#{Nobody.X}"}])),
        "Production/Shell",
        "#{Nobody.X} is of a namespace that no action has",
        "use one of",
    ),
    "a variable in a condition before it is there": (
        put(stage(1), BeforeEntry=rule("VariableCheck", {"Variable": "#{Built-1.A}", "Value": "1", "Operator": "EQ"})),
        "Build/BeforeEntry/Rule",
        "#{Built-1.A} comes from Build/Build, which does not run before it",
        "use it in a later stage",
    ),
    "a plain text in a condition": (
        put(stage(1), BeforeEntry=rule("VariableCheck", {"Variable": "BranchName", "Value": "1", "Operator": "EQ"})),
        "Build/BeforeEntry/Rule",
        "Variable='BranchName' is a plain text",
        "write #{namespace.BranchName}",
    ),
    "a namespace twice": (
        put(first(1), Namespace="SourceVariables"),
        "Build/Build",
        "namespace 'SourceVariables' is also that of Source/GitHub",
        "give each action a namespace of its own",
    ),
    "a namespace of CodePipeline's": (
        put(first(1), Namespace="variables"),
        "Build/Build",
        "is CodePipeline's own",
        "call it",
    ),
    "a namespace called like an artifact": (
        put(first(1), Namespace="Built"),
        "Build/Build",
        "is also the name of an artifact",
        "call it 'BuiltVariables'",
    ),
    "a namespace with a dot": (put(first(1), Namespace="a.b"), "Build/Build", "namespace name 'a.b'", "use 1 to 100"),
    "51 variables": (
        put(whole, Variables=[{"Name": f"v{number}"} for number in range(51)]),
        "",
        "51 pipeline variables",
        "takes 50",
    ),
    "a variable without a default that a trigger cannot give": (
        put(whole, Variables=[{"Name": "level"}]),
        "",
        "pipeline variable 'level' has no default, so each start by a trigger fails",
        "set DefaultValue",
    ),
    "FAIL on failure, which is what happens anyway": (
        put(stage(2), OnFailure={"Result": "FAIL"}),
        "Production/OnFailure",
        "Result 'FAIL'",
        "use ROLLBACK, RETRY",
    ),
    "a variable twice": (
        put(whole, Variables=[{"Name": "level"}] * 2),
        "",
        "pipeline variable 'level' is there 2 times",
        "name of its own",
    ),
    "a variable with a dot": (put(whole, Variables=[{"Name": "a.b"}]), "", "pipeline variable name 'a.b'", "1 to 128"),
    "an empty default": (
        put(whole, Variables=[{"Name": "level", "DefaultValue": ""}]),
        "",
        "the default of pipeline variable 'level' has no characters",
        "use 1 to 1000",
    ),
    "a long description": (
        put(whole, Variables=[{"Name": "level", "Description": "x" * 201}]),
        "",
        "has 201 characters",
        "use 0 to 200",
    ),
    # conditions
    "ROLLBACK in PARALLEL mode": (
        put(whole, ExecutionMode="PARALLEL"),
        "Production/OnSuccess",
        "ROLLBACK in a pipeline in PARALLEL mode",
        "use FAIL, or run executions QUEUED or SUPERSEDED",
    ),
    "ROLLBACK on failure in PARALLEL mode": (
        put(stage(2), OnFailure={"Result": "ROLLBACK"}),
        "Production/OnFailure",
        "ROLLBACK in a pipeline in PARALLEL mode",
        "use FAIL",
        put(whole, ExecutionMode="PARALLEL"),
    ),
    "a change set that executions share in PARALLEL mode": (
        add(
            cloudformation(
                ActionMode="CHANGE_SET_REPLACE", TemplatePath="Built::t.json", RoleArn=REF, ChangeSetName="release"
            ),
            {
                **cloudformation(ActionMode="CHANGE_SET_EXECUTE", ChangeSetName="release"),
                "Name": "Execute",
                "RunOrder": 2,
            },
        ),
        "Production/Stack",
        "before Production/Execute executes it, another execution may have replaced it",
        "QUEUED or SUPERSEDED",
        put(whole, ExecutionMode="PARALLEL"),
        put(stage(2), OnSuccess=None),
    ),
    "ROLLBACK of the source": (
        put(stage(0), OnFailure={"Result": "ROLLBACK"}),
        "Source/OnFailure",
        "ROLLBACK of the source stage",
        "later stages only",
    ),
    "RETRY with a condition": (
        lambda pipeline: pipeline["Stages"][1]["OnFailure"].update(
            rule("CloudWatchAlarm", {"AlarmName": "a"}, result="ROLLBACK")
        ),
        "Build/OnFailure",
        "Result=RETRY together with conditions",
        "retry, or roll back",
    ),
    "SKIP on success": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {"AlarmName": "a"}, result="SKIP")),
        "Production/OnSuccess",
        "Result of a condition in OnSuccess 'SKIP'",
        "use ROLLBACK, FAIL",
    ),
    "ROLLBACK at entry": (
        put(stage(2), BeforeEntry=rule("CloudWatchAlarm", {"AlarmName": "a"}, result="ROLLBACK")),
        "Production/BeforeEntry",
        "Result of a condition in BeforeEntry 'ROLLBACK'",
        "use FAIL, SKIP",
    ),
    "RETRY in a condition": (
        put(stage(2), OnFailure=rule("CloudWatchAlarm", {"AlarmName": "a"}, result="RETRY")),
        "Production/OnFailure",
        "Result of a condition in OnFailure 'RETRY'",
        "use ROLLBACK, FAIL",
    ),
    "SKIP by an alarm": (
        put(stage(2), BeforeEntry=rule("CloudWatchAlarm", {"AlarmName": "a"}, result="SKIP")),
        "Production/BeforeEntry",
        "Result=SKIP with a rule by CloudWatchAlarm",
        "skip by LambdaInvoke and VariableCheck only, or use FAIL",
    ),
    "two conditions": (
        lambda pipeline: pipeline["Stages"][2]["OnSuccess"]["Conditions"].append({"Result": "FAIL", "Rules": [{}]}),
        "Production/OnSuccess",
        "2 conditions",
        "give it exactly one",
    ),
    "no condition": (
        put(stage(2), OnSuccess={}),
        "Production/OnSuccess",
        "OnSuccess without a condition",
        "leave it out",
    ),
    "no rules": (
        lambda pipeline: pipeline["Stages"][2]["OnSuccess"]["Conditions"][0].update(Rules=[]),
        "Production/OnSuccess",
        "a condition of no rules",
        "give it 1 to 5",
    ),
    "an unknown rule": (
        put(stage(2), OnSuccess=rule("Alarm", {"AlarmName": "a"})),
        "Production/OnSuccess/Rule",
        "provider of the rule 'Alarm'",
        "CloudWatchAlarm",
    ),
    "an unknown setting of a rule": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {"AlarmNames": "a"})),
        "Production/OnSuccess/Rule",
        "CloudWatchAlarm has no setting 'AlarmNames'",
        "did you mean 'AlarmName'?",
    ),
    "a state that no alarm has": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {"AlarmName": "a", "AlarmStates": "ALARM,RED"})),
        "Production/OnSuccess/Rule",
        "AlarmStates='ALARM,RED'",
        "use ALARM, OK and INSUFFICIENT_DATA",
    ),
    "201 settings of a rule": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {f"Key{number}": "x" for number in range(201)})),
        "Production/OnSuccess/Rule",
        "a configuration of 201 keys",
        "CodePipeline takes 200",
    ),
    "a long setting of a rule": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {"AlarmName": "x" * 10001})),
        "Production/OnSuccess/Rule",
        "AlarmName in its configuration has 10001 characters",
        "use 1 to 10000",
    ),
    "a rule without commands": (
        put(stage(2), OnSuccess=rule("Commands", {}, InputArtifacts=[{"Name": "Built"}])),
        "Production/OnSuccess/Rule",
        "no commands",
        "list 1 to 50 in Commands",
    ),
    "a rule that has no time": (
        put(stage(2), OnSuccess=rule("CloudWatchAlarm", {"AlarmName": "a"}, TimeoutInMinutes=4)),
        "Production/OnSuccess/Rule",
        "TimeoutInMinutes=4",
        "use whole minutes, 5 to 86400",
    ),
    # timeouts
    "a timeout of a deployment": (
        put(first(2, 2), TimeoutInMinutes=30),
        "Production/Release",
        "TimeoutInMinutes='30' for an action by CodeDeploy",
        "leave it out: only approvals have one",
    ),
    "a timeout of 4 minutes": (
        put(first(2), TimeoutInMinutes=4),
        "Production/Approve",
        "TimeoutInMinutes=4",
        "use whole minutes, 5 to 86400 (60 days)",
    ),
    # triggers
    "a trigger for no source": (
        put(trigger, SourceActionName="Github"),
        "trigger for Github",
        "no source action is called 'Github'",
        "did you mean 'GitHub'?",
    ),
    "a trigger for a bucket": (
        put(
            stage(0),
            Actions=[action("GitHub", "Source", "S3", {"S3Bucket": "b", "S3ObjectKey": "k"}, makes=["Source"])],
        ),
        "trigger for GitHub",
        "source 'GitHub' is of S3, and a trigger is for CodeStarSourceConnection",
        "start the pipeline by an EventBridge rule",
    ),
    "a trigger that nothing fires": (
        drop(trigger, "Push"),
        "trigger for GitHub",
        "source 'GitHub' has DetectChanges=false, and the trigger has no filter, so nothing starts it",
        "give the trigger a filter",
    ),
    "two triggers for a source": (
        lambda pipeline: pipeline["Triggers"].append(copy.deepcopy(pipeline["Triggers"][0])),
        "",
        "trigger for source 'GitHub' is there 2 times",
        "CodePipeline takes one trigger for each source",
    ),
    "four filters": (
        put(trigger, Push=[{"Branches": {"Includes": [name]}} for name in "abcd"]),
        "trigger for GitHub",
        "4 filters for Push",
        "give it 1 to 3",
    ),
    "the same filter twice": (
        put(trigger, Push=[{"Branches": {"Includes": ["a"]}}] * 2),
        "trigger for GitHub",
        "the same filter twice",
        "remove one",
    ),
    "nine patterns": (
        put(trigger, Push=[{"Branches": {"Includes": list("abcdefghi")}}]),
        "trigger for GitHub",
        "9 patterns in Branches.Includes for Push",
        "give it 1 to 8",
    ),
    "a long pattern": (
        put(trigger, Push=[{"Branches": {"Includes": ["x" * 256]}}]),
        "trigger for GitHub",
        "has 256 characters",
        "use 1 to 255",
    ),
    "an event that pull requests do not have": (
        put(trigger, PullRequest=[{"Events": ["OPENED"], "Branches": {"Includes": ["main"]}}]),
        "trigger for GitHub",
        "event of a pull request 'OPENED'",
        "did you mean 'OPEN'?",
    ),
    "another provider of a trigger": (
        lambda pipeline: pipeline["Triggers"][0].update(ProviderType="GitHub"),
        "trigger for GitHub",
        "provider of the trigger 'GitHub'",
        "use CodeStarSourceConnection",
    ),
    "51 triggers": (
        lambda pipeline: pipeline["Triggers"].extend(copy.deepcopy(pipeline["Triggers"] * 50)),
        "",
        "51 triggers",
        "takes 50",
    ),
    "triggers of more than 200 KB": (
        put(trigger, Note="x" * 200 * 1024),
        "",
        "triggers of 204",
        "CodePipeline takes 204800",
    ),
    # stores and regions
    "both stores": (
        put(whole, ArtifactStores=[{"Region": "eu-west-1", "ArtifactStore": {"Type": "S3", "Location": "b-1"}}]),
        "",
        "both ArtifactStore and ArtifactStores",
        "keep ArtifactStores",
    ),
    "no store": (drop(whole, "ArtifactStore"), "", "no artifact store", "set ArtifactStore"),
    "a bucket's ARN": (
        put(whole, ArtifactStore={"Type": "S3", "Location": "arn:aws:s3:::b"}),
        "",
        "which is no bucket",
        "name of a bucket",
    ),
    "another kind of key": (
        put(whole, ArtifactStore={"Type": "S3", "Location": "b-1", "EncryptionKey": {"Type": "AES", "Id": "1"}}),
        "",
        "type of the encryption key 'AES'",
        "use KMS",
    ),
    "an action elsewhere and one store": (
        put(first(2, 2), Region="us-east-1"),
        "",
        "actions in us-east-1 and a single ArtifactStore",
        "set ArtifactStores",
    ),
    "an action where there is no store": (
        put(whole, ArtifactStores=[{"Region": "eu-west-1", "ArtifactStore": {"Type": "S3", "Location": "b-1"}}]),
        "",
        "no artifact store in us-east-1, the region of Production/Release",
        "add one to ArtifactStores; there are eu-west-1",
        lambda pipeline: (pipeline.pop("ArtifactStore"), first(2, 2)(pipeline).update(Region="us-east-1")),
    ),
    "no store at home": (
        put(whole, ArtifactStores=[{"Region": "us-east-1", "ArtifactStore": {"Type": "S3", "Location": "b-1"}}]),
        "",
        "no artifact store in eu-west-1, the pipeline's own region",
        "there are us-east-1",
        drop(whole, "ArtifactStore"),
    ),
    "a source elsewhere": (
        put(first(0), Region="us-east-1"),
        "Source/GitHub",
        "a source in us-east-1, another region than",
        "leave Region out",
    ),
    "an action of one's own elsewhere": (
        add({**jenkins(), "Region": "us-east-1"}),
        "Production/Jenkins",
        "an action of owner Custom in us-east-1",
        "leave Region out, to run in eu-west-1",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_would_not_deploy_or_break_is_told_with_its_place_and_fix(case):
    change, where, problem, fix, *further = case
    pipeline = structure()
    for each in (*further, change):
        each(pipeline)
    found = problems_of(pipeline, region="eu-west-1")
    assert [each for each in found if each.where == where and problem in each.problem and fix in each.fix], found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put(configured(0), DetectChanges="true"), id="DetectChanges, over which a trigger goes"),
        pytest.param(put(trigger, Push=[{"FilePaths": {"Includes": ["app/**"]}}]), id="file paths of any branch"),
        pytest.param(put(first(2, 2), InputArtifacts=REF), id="artifacts known at deployment"),
        pytest.param(put(first(2, 2), Configuration=REF), id="a configuration known at deployment"),
        pytest.param(put(configured(2), CustomData="#{Nobody.X}"), id="a namespace that an unknown stage may have"),
        pytest.param(put(first(2, 2), InputArtifacts=[{"Name": "Unheard"}]), id="an artifact of an unknown stage"),
        pytest.param(put(first(2), RunOrder=REF), id="a run order known at deployment"),
        pytest.param(put(first(2), TimeoutInMinutes=REF), id="a timeout known at deployment"),
        pytest.param(put(whole, ArtifactStore={"Fn::If": ["A", REF, REF]}), id="a store known at deployment"),
        pytest.param(put(first(2, 2), Region=REF), id="a region known at deployment"),
        pytest.param(add(jenkins(takes=["Source"])), id="an action of one's own"),
        pytest.param(add(action("New", "Deploy", "Quantum", {"A": "1"}, takes=["Built"])), id="a type of tomorrow"),
        pytest.param(
            put(configured(2, 2), ApplicationName="{{resolve:ssm:/" + "x" * 1000 + "}}"), id="a dynamic reference"
        ),
        pytest.param(put(first(2, 2), Namespace={"Ref": "AWS::NoValue"}), id="a property that is left out"),
        pytest.param(put(configured(0), DetectChanges=False), id="a truth value, which CloudFormation makes a text"),
        pytest.param(put(configured(2, 2), ApplicationName={"Fn::Sub": "${AWS::StackName}-app"}), id="a substitution"),
    ],
)
def test_what_may_well_deploy_is_let_through(change):
    pipeline = changed(change)
    # Makes what nothing else in the pipeline does, for all that anybody knows.
    pipeline["Stages"].insert(1, {"Fn::If": ["WithIt", {"Name": "More", "Actions": []}, {"Ref": "AWS::NoValue"}]})
    assert problems_of(pipeline) == []


@pytest.mark.parametrize(
    ("mode", "name"), [("QUEUED", "release"), ("PARALLEL", "release-#{codepipeline.PipelineExecutionId}")]
)
def test_a_change_set_that_no_other_execution_touches_is_let_through(mode, name):
    pipeline = structure()
    pipeline["ExecutionMode"] = mode
    del pipeline["Stages"][2]["OnSuccess"]
    make = cloudformation(
        ActionMode="CHANGE_SET_REPLACE", TemplatePath="Built::t.json", RoleArn=REF, ChangeSetName=name
    )
    execute = {**cloudformation(ActionMode="CHANGE_SET_EXECUTE", ChangeSetName=name), "Name": "Execute", "RunOrder": 2}
    pipeline["Stages"][2]["Actions"] += [make, execute]
    assert problems_of(pipeline) == []


def test_of_a_substitution_the_known_part_is_read():
    (problem,) = problems_of(changed(put(configured(2), CustomData={"Fn::Sub": ["${Url} #{Nobody.X}", {"Url": REF}]})))
    assert "#{Nobody.X}" in problem.problem


def test_in_the_pipelines_own_region_one_store_is_enough():
    for region in ("eu-west-1", {"Ref": "AWS::Region"}):
        assert problems_of(changed(put(first(2, 2), Region=region)), region="eu-west-1") == []
    # An action's region may be the pipeline's own, as long as nobody says which that is; two cannot be.
    one = changed(put(first(2, 2), Region="us-east-1"))
    assert problems_of(one) == []
    first(2, 1)(one)["Region"] = "eu-west-1"
    (problem,) = problems_of(one)
    assert problem.problem == "actions in eu-west-1, us-east-1 and a single ArtifactStore"


def test_a_problem_reads_as_one_line():
    pipeline = Problem(problem="a pipeline of 1 stage", fix="give it 2 to 50", where="")
    action_ = Problem(problem="RunOrder=0", fix="use a whole number, 1 to 999", where="Production/Deploy")
    assert str(pipeline) == "a pipeline of 1 stage; fix: give it 2 to 50"
    assert str(action_) == "Production/Deploy: RunOrder=0; fix: use a whole number, 1 to 999"


def test_every_type_is_told_apart_from_a_slip_in_its_own_name():
    for category, owner, provider in ACTION_TYPES:
        if owner == "AWS":
            pipeline = changed(add(action("Own", category, provider, {}), number=0 if category == "Source" else 2))
            assert not [each for each in problems_of(pipeline) if re.search("no type of|AWS has no", each.problem)]


def places(value, path=()):
    """Every place in a structure but those inside of what is only known at deployment, from the outside in."""
    if value == REF or isinstance(value, str):
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


PLACES = [place for place in places(structure()) if place[0] != "RoleArn"]
ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just(REF))


def replaced(place, value):
    pipeline = target = structure()
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return pipeline


@given(place=st.sampled_from(PLACES), value=ODD)
def test_no_structure_is_too_odd_to_be_looked_at(place, value):
    for problem in problems_of(replaced(place, value), region="eu-west-1"):
        assert problem.problem
        assert problem.fix
        assert "\0" not in str(problem)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "/".join(map(str, place)))
def test_what_is_only_known_at_deployment_is_no_problem(place):
    assert problems_of(replaced(place, REF), region="eu-west-1") == []
