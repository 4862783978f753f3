"""Floor 2: what each action type and rule type of CodePipeline takes, makes and puts out.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html
https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference.html
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

UNKNOWN = "\0"
"""Stands in a text for what is only known when the stack is deployed."""

Settings = Mapping[str, str]
Finding = tuple[str, str]
"""Problem and fix."""

_TRUTH = ("true", "false")


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionType:
    """A type of action or rule.

    Attributes:
        inputs: Least and most input artifacts.
        outputs: Least and most output artifacts.
        needs: Keys that its configuration has to have.
        takes: Further keys that it may have; none but these, unless `open_ended`.
        open_ended: Whoever made the type decides on its keys.
        values: What a key can hold, for those with a closed set.
        variables: What it puts out; None when the build, the stack or the function decides.
        only_v2: A pipeline of type V1 does not have it.
        check: What else has to be right in its configuration; given the settings and the input artifacts.
    """

    inputs: tuple[int, int] = (0, 0)
    outputs: tuple[int, int] = (0, 0)
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    open_ended: bool = False
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: tuple[str, ...] | None = ()
    only_v2: bool = False
    check: Callable[[Settings, Sequence[str]], Iterator[Finding]] | None = None


def known(text: str) -> bool:
    return UNKNOWN not in text


def _is(settings: Settings, key: str, value: str) -> bool:
    return settings.get(key, "").lower() == value.lower()


def _needed(settings: Settings, keys: Sequence[str], why: str) -> Iterator[Finding]:
    for key in keys:
        if key not in settings:
            yield f"{why}, and {key} is left out", f"set {key} in its configuration"


def _of_inputs(settings: Settings, inputs: Sequence[str], keys: Sequence[str]) -> Iterator[Finding]:
    """Settings that name one of the input artifacts, alone or as `artifact::file`."""
    for key in keys:
        name = settings.get(key, "").partition("::")[0]
        if name and known(name) and all(map(known, inputs)) and name not in inputs:
            yield (
                f"{key} is of artifact {name!r}, which the action does not take",
                f"make it one of {', '.join(inputs)}, or add {name!r} to the action's inputs"
                if inputs
                else f"add {name!r} to the action's inputs",
            )


def _codebuild(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if len(inputs) > 1 and "PrimarySource" not in settings:
        yield (
            f"{len(inputs)} input artifacts ({', '.join(_shown(name) for name in inputs)}) and no PrimarySource",
            f"set PrimarySource to the one with the buildspec, such as {_shown(inputs[0])}",
        )
    yield from _of_inputs(settings, inputs, ("PrimarySource",))
    if _is(settings, "CombineArtifacts", "true") and settings.get("BatchEnabled", "false").lower() == "false":
        yield "CombineArtifacts without BatchEnabled", "set BatchEnabled to true, or leave CombineArtifacts out"
    yield from _environment_variables(settings.get("EnvironmentVariables", "[]"))


def _environment_variables(text: str) -> Iterator[Finding]:
    fix = 'write a JSON list of {"name": …, "value": …, "type": …}'
    if not known(text):
        return
    try:
        variables = json.loads(text)
    except ValueError:
        yield f"EnvironmentVariables is no JSON: {text[:60]!r}", fix
        return
    if not isinstance(variables, list) or not all(isinstance(each, dict) for each in variables):
        yield f"EnvironmentVariables is no list of objects: {text[:60]!r}", fix
        return
    for each in variables:
        if not isinstance(each.get("name"), str) or not isinstance(each.get("value"), str):
            yield f"environment variable {json.dumps(each)} without a name and a value, both texts", fix
        if each.get("type", "PLAINTEXT") not in ("PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"):
            yield (
                f"environment variable {each.get('name')!r} of type {each['type']!r}",
                "use PLAINTEXT, PARAMETER_STORE or SECRETS_MANAGER",
            )


def _s3_deploy(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if _is(settings, "Extract", "false"):
        yield from _needed(settings, ("ObjectKey",), "with Extract=false the artifact becomes one object")


_WITH_TEMPLATE = ("CREATE_UPDATE", "REPLACE_ON_FAILURE", "CHANGE_SET_REPLACE")
_WITH_CHANGE_SET = ("CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE")


def _cloudformation(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    mode = settings.get("ActionMode", "")
    why = f"ActionMode={mode} needs it"
    if mode in _WITH_TEMPLATE:
        yield from _needed(settings, ("TemplatePath",), why)
        yield from _of_inputs(settings, inputs, ("TemplatePath", "TemplateConfiguration"))
        for key in ("TemplatePath", "TemplateConfiguration"):
            text = settings.get(key, "::")
            if known(text) and "::" not in text:
                yield f"{key}={text!r} names no artifact", f"write <artifact>::{text}"
    if mode in (*_WITH_TEMPLATE, "DELETE_ONLY"):
        yield from _needed(settings, ("RoleArn",), why)
    if mode in _WITH_CHANGE_SET:
        yield from _needed(settings, ("ChangeSetName",), why)
    overrides = settings.get("ParameterOverrides", "{}")
    if known(overrides):
        try:
            parameters = json.loads(overrides)
        except ValueError:
            parameters = None
        if not isinstance(parameters, dict):
            yield f"ParameterOverrides is no JSON object: {overrides[:60]!r}", 'write {"name": "value", …}'


def _stack_set(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    yield from _of_inputs(settings, inputs, ("TemplatePath",))
    yield from _stack_instances(settings, inputs)


def _stack_instances(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if ("DeploymentTargets" in settings) != ("Regions" in settings):
        yield "only one of DeploymentTargets and Regions", "set both, or neither"


def _codedeploy_to_ecs(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    yield from _of_inputs(
        settings,
        inputs,
        ("TaskDefinitionTemplateArtifact", "AppSpecTemplateArtifact", *(f"{image}ArtifactName" for image in _IMAGES)),
    )
    for image in _IMAGES:
        if (f"{image}ArtifactName" in settings) != (f"{image}ContainerName" in settings):
            yield f"only one of {image}ArtifactName and {image}ContainerName", "set both, or neither"


def _ecs(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    yield from _whole_number(settings, "DeploymentTimeout", 1, 60, "minutes")


def _ec2(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if "DeploySpec" not in settings:
        yield from _needed(
            settings, ("TargetDirectory", "PostScript"), "without DeploySpec nothing else says what to do"
        )


def _eks(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    helm = [key for key in ("HelmReleaseName", "HelmChartLocation", "HelmValuesFiles") if key in settings]
    if helm and "ManifestFiles" in settings:
        yield f"ManifestFiles is for kubectl, {helm[0]} for Helm", "use one or the other"
    elif helm:
        yield from _needed(settings, ("HelmReleaseName", "HelmChartLocation"), "Helm needs it")
    elif "ManifestFiles" not in settings:
        yield "nothing to deploy", "set ManifestFiles for kubectl, or HelmReleaseName and HelmChartLocation for Helm"


_STRATEGY = re.compile(r"AllAtOnce|Canary\d+Percent\d+Minutes?|Linear\d+PercentEvery\d+Minutes?")


def _lambda_deploy(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if not inputs:
        yield from _needed(settings, ("PublishedTargetVersion",), "there is no input artifact to deploy")
    for key in ("DeployStrategy", "PublishedTargetVersion"):
        if key in settings:
            yield from _needed(settings, ("FunctionAlias",), f"{key} is about an alias")
    strategy = settings.get("DeployStrategy", "AllAtOnce")
    if known(strategy) and "#{" not in strategy and not _STRATEGY.fullmatch(strategy):
        yield (
            f"DeployStrategy={strategy!r}",
            "use AllAtOnce, or numbers of your own in Canary10Percent5Minutes or Linear10PercentEvery1Minute",
        )
    alarms = settings.get("Alarms", "").split(",")
    if len(alarms) > 10:
        yield f"{len(alarms)} alarms", "name at most 10, or one composite alarm"


def _service_catalog(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if "ConfigurationFilePath" not in settings:
        keys = ("TemplateFilePath", "ProductVersionName", "ProductType")
        yield from _needed(settings, keys, "without ConfigurationFilePath the action needs it")


def _step_functions(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    if _is(settings, "InputType", "FilePath"):
        yield from _needed(settings, ("Input",), "InputType=FilePath reads a file of the input artifact")
        if not inputs:
            yield "InputType=FilePath without an input artifact to read from", "give the action the artifact"


def _inspector(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    mode = settings.get("InspectorRunMode", "")
    if mode == "ECRImageScan":
        yield from _needed(settings, ("ECRRepositoryName", "ImageTag"), "InspectorRunMode=ECRImageScan needs it")
    if mode == "SourceCodeScan" and not inputs:
        yield "InspectorRunMode=SourceCodeScan without an input artifact to scan", "give the action the source"


def _commands(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    windows = _is(settings, "EnvironmentType", "WINDOWS_SERVER_2022_CONTAINER")
    if windows and settings.get("ComputeType", _SMALL) == _SMALL:
        yield f"{_SMALL} has no Windows", "set ComputeType to BUILD_GENERAL1_MEDIUM or BUILD_GENERAL1_LARGE"


def _variable_check(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    variable = settings.get("Variable", "#{")
    if known(variable) and "#{" not in variable:
        yield f"Variable={variable!r} is a plain text, the same for each execution", f"write #{{namespace.{variable}}}"


def _alarm(settings: Settings, inputs: Sequence[str]) -> Iterator[Finding]:
    states = settings.get("AlarmStates", "ALARM")
    for state in states.split(",") if known(states) else ():
        if state.strip() not in ("ALARM", "OK", "INSUFFICIENT_DATA"):
            yield f"AlarmStates={states!r}", "use ALARM, OK and INSUFFICIENT_DATA, with commas between them"


def _whole_number(settings: Settings, key: str, least: int, most: int, unit: str) -> Iterator[Finding]:
    text = settings.get(key, str(least))
    if known(text) and "#{" not in text and not (text.isdecimal() and least <= int(text) <= most):
        yield f"{key}={text!r}", f"use whole {unit}, {least} to {most}"


def _shown(name: str) -> str:
    return repr(name.replace(UNKNOWN, "?"))


_SMALL = "BUILD_GENERAL1_SMALL"
_COMMIT = ("AuthorDate", "BranchName", "CommitId", "CommitMessage", "CommitterDate", "RepositoryName")
_POLLING = {"PollForSourceChanges": _TRUTH}
_FORMATS = {"OutputArtifactFormat": ("CODE_ZIP", "CODEBUILD_CLONE_REF")}
_INSTANCES = {
    "RegionConcurrencyType": ("Parallel", "Sequential"),
    "ConcurrencyMode": ("STRICT_FAILURE_TOLERANCE", "SOFT_FAILURE_TOLERANCE"),
    "CallAs": ("SELF", "DELEGATED_ADMIN"),
}
_INSTANCES_TAKES = (
    "DeploymentTargets",
    "Regions",
    "FailureTolerancePercentage",
    "MaxConcurrentPercentage",
    *_INSTANCES,
)
_IMAGES = tuple(f"Image{number}" for number in range(1, 5))
_CODEBUILD = ActionType(
    inputs=(1, 5),
    outputs=(0, 5),
    needs=("ProjectName",),
    takes=("PrimarySource", "BatchEnabled", "CombineArtifacts", "BuildspecOverride", "EnvironmentVariables"),
    values={"BatchEnabled": _TRUTH, "CombineArtifacts": _TRUTH},
    variables=None,
    check=_codebuild,
)

CUSTOM = ActionType(inputs=(0, 5), outputs=(0, 5), open_ended=True, variables=None)
"""Any type of one's own, or of a third party that is not listed."""

# fmt: off
ACTION_TYPES: Mapping[tuple[str, str, str], ActionType] = {
    ("Source", "AWS", "S3"): ActionType(
        outputs=(1, 1),
        needs=("S3Bucket", "S3ObjectKey"),
        takes=("AllowOverrideForS3ObjectKey", "PollForSourceChanges"),
        values={**_POLLING, "AllowOverrideForS3ObjectKey": _TRUTH},
        variables=("BucketName", "ETag", "ObjectKey", "VersionId"),
    ),
    ("Source", "AWS", "ECR"): ActionType(
        outputs=(1, 1),
        needs=("RepositoryName",),
        takes=("ImageTag",),
        variables=("RegistryId", "RepositoryName", "ImageTag", "ImageDigest", "ImageURI"),
    ),
    ("Source", "AWS", "CodeCommit"): ActionType(
        outputs=(1, 1),
        needs=("RepositoryName", "BranchName"),
        takes=("PollForSourceChanges", "OutputArtifactFormat"),
        values={**_POLLING, **_FORMATS},
        variables=_COMMIT,
    ),
    ("Source", "AWS", "CodeStarSourceConnection"): ActionType(
        outputs=(1, 1),
        needs=("ConnectionArn", "FullRepositoryId", "BranchName"),
        takes=("OutputArtifactFormat", "DetectChanges"),
        values={**_FORMATS, "DetectChanges": _TRUTH},
        variables=("AuthorDate", "AuthorDisplayName", "AuthorEmail", "AuthorId", "BranchName", "CommitId",
                   "CommitMessage", "ConnectionArn", "DestinationBranchName", "FullRepositoryName", "ProviderType",
                   "PullRequestId", "PullRequestTitle", "SourceBranchName", "TagName"),
    ),
    ("Source", "ThirdParty", "GitHub"): ActionType(
        outputs=(1, 1),
        needs=("Owner", "Repo", "Branch", "OAuthToken"),
        takes=("PollForSourceChanges",),
        values=_POLLING,
        variables=(*_COMMIT, "CommitUrl"),
    ),
    ("Build", "AWS", "CodeBuild"): _CODEBUILD,
    ("Test", "AWS", "CodeBuild"): _CODEBUILD,
    ("Build", "AWS", "ECRBuildAndPublish"): ActionType(
        inputs=(1, 1),
        needs=("ECRRepositoryName",),
        takes=("DockerFilePath", "ImageTags", "RegistryType"),
        values={"RegistryType": ("private", "public")},
        variables=("ECRImageDigestId", "ECRRepositoryName"),
        only_v2=True,
    ),
    ("Test", "AWS", "DeviceFarm"): ActionType(
        inputs=(1, 1),
        needs=("AppType", "ProjectId", "App", "DevicePoolArn", "TestType"),
        takes=("TestSpec", "RadioBluetoothEnabled", "RecordAppPerformanceData", "RecordVideo", "RadioWifiEnabled",
               "RadioNfcEnabled", "RadioGpsEnabled", "Test", "FuzzEventCount", "FuzzEventThrottle",
               "FuzzRandomizerSeed", "CustomHostMachineArtifacts", "CustomDeviceArtifacts", "UnmeteredDevicesOnly",
               "JobTimeoutMinutes", "Latitude", "Longitude"),
    ),
    ("Approval", "AWS", "Manual"): ActionType(takes=("NotificationArn", "ExternalEntityLink", "CustomData")),
    ("Deploy", "AWS", "S3"): ActionType(
        inputs=(1, 1),
        needs=("BucketName", "Extract"),
        takes=("ObjectKey", "KMSEncryptionKeyARN", "CannedACL", "CacheControl"),
        values={"Extract": _TRUTH},
        check=_s3_deploy,
    ),
    ("Deploy", "AWS", "CloudFormation"): ActionType(
        inputs=(0, 10),
        outputs=(0, 1),
        needs=("ActionMode", "StackName"),
        takes=("Capabilities", "ChangeSetName", "RoleArn", "TemplatePath", "OutputFileName", "ParameterOverrides",
               "TemplateConfiguration"),
        values={"ActionMode": (*_WITH_TEMPLATE, "CHANGE_SET_EXECUTE", "DELETE_ONLY")},
        variables=None,
        check=_cloudformation,
    ),
    ("Deploy", "AWS", "CloudFormationStackSet"): ActionType(
        inputs=(1, 3),
        needs=("StackSetName", "TemplatePath"),
        takes=("Description", "Parameters", "Capabilities", "PermissionModel", "AdministrationRoleArn",
               "ExecutionRoleName", "OrganizationsAutoDeployment", *_INSTANCES_TAKES),
        values={
            **_INSTANCES,
            "PermissionModel": ("SELF_MANAGED", "SERVICE_MANAGED"),
            "OrganizationsAutoDeployment": ("Enabled", "Disabled", "EnabledWithStackRetention"),
        },
        variables=("StackSetId", "OperationId"),
        check=_stack_set,
    ),
    ("Deploy", "AWS", "CloudFormationStackInstances"): ActionType(
        # AWS's page says two, aws-cdk-lib three.
        inputs=(0, 3),
        needs=("StackSetName",),
        takes=("ParameterOverrides", *_INSTANCES_TAKES),
        values=_INSTANCES,
        variables=("StackSetId", "OperationId"),
        check=_stack_instances,
    ),
    ("Deploy", "AWS", "CodeDeploy"): ActionType(inputs=(1, 1), needs=("ApplicationName", "DeploymentGroupName")),
    ("Deploy", "AWS", "CodeDeployToECS"): ActionType(
        inputs=(1, 5),
        needs=("ApplicationName", "DeploymentGroupName", "TaskDefinitionTemplateArtifact", "AppSpecTemplateArtifact"),
        takes=("AppSpecTemplatePath", "TaskDefinitionTemplatePath",
               *(f"{image}{of}Name" for image in _IMAGES for of in ("Artifact", "Container"))),
        check=_codedeploy_to_ecs,
    ),
    ("Deploy", "AWS", "ECS"): ActionType(
        inputs=(1, 1), needs=("ClusterName", "ServiceName"), takes=("FileName", "DeploymentTimeout"), check=_ecs
    ),
    ("Deploy", "AWS", "EC2"): ActionType(
        inputs=(1, 1),
        needs=("InstanceTagKey", "InstanceType"),
        takes=("InstanceTagValue", "TargetDirectory", "DeploySpec", "MaxBatch", "MaxError", "TargetGroupNameList",
               "PreScript", "PostScript"),
        values={"InstanceType": ("EC2", "SSM_MANAGED_NODE")},
        only_v2=True,
        check=_ec2,
    ),
    ("Deploy", "AWS", "EKS"): ActionType(
        inputs=(1, 1),
        needs=("ClusterName",),
        takes=("HelmReleaseName", "HelmChartLocation", "HelmValuesFiles", "ManifestFiles", "Namespace", "Subnets",
               "SecurityGroupIds"),
        variables=("EKSClusterName",),
        only_v2=True,
        check=_eks,
    ),
    ("Deploy", "AWS", "Lambda"): ActionType(
        inputs=(0, 1),
        needs=("FunctionName",),
        takes=("FunctionAlias", "PublishedTargetVersion", "DeployStrategy", "Alarms"),
        variables=("FunctionVersion",),
        only_v2=True,
        check=_lambda_deploy,
    ),
    ("Deploy", "AWS", "AppConfig"): ActionType(
        inputs=(1, 1),
        needs=("Application", "Environment", "ConfigurationProfile", "InputArtifactConfigurationPath"),
        takes=("DeploymentStrategy",),
    ),
    ("Deploy", "AWS", "ElasticBeanstalk"): ActionType(inputs=(1, 1), needs=("ApplicationName", "EnvironmentName")),
    # Its keys are told differently by AWS's pages and by the templates that used it until the service ended.
    ("Deploy", "AWS", "OpsWorks"): ActionType(inputs=(1, 1), outputs=(0, 1), open_ended=True),
    ("Deploy", "AWS", "ServiceCatalog"): ActionType(
        inputs=(1, 1),
        needs=("ProductId",),
        takes=("TemplateFilePath", "ProductVersionName", "ProductType", "ProductVersionDescription",
               "ConfigurationFilePath"),
        check=_service_catalog,
    ),
    ("Deploy", "ThirdParty", "AlexaSkillsKit"): ActionType(
        inputs=(1, 2), needs=("ClientId", "ClientSecret", "RefreshToken", "SkillId")
    ),
    ("Invoke", "AWS", "Lambda"): ActionType(
        inputs=(0, 5), outputs=(0, 5), needs=("FunctionName",), takes=("UserParameters",), variables=None
    ),
    ("Invoke", "AWS", "StepFunctions"): ActionType(
        inputs=(0, 1),
        outputs=(0, 1),
        needs=("StateMachineArn",),
        takes=("ExecutionNamePrefix", "InputType", "Input"),
        values={"InputType": ("Literal", "FilePath")},
        variables=("StateMachineArn", "ExecutionArn"),
        check=_step_functions,
    ),
    ("Invoke", "AWS", "CodePipeline"): ActionType(
        needs=("PipelineName",), takes=("SourceRevisions", "Variables"), only_v2=True
    ),
    ("Invoke", "AWS", "InspectorScan"): ActionType(
        inputs=(0, 1),
        outputs=(1, 1),
        needs=("InspectorRunMode",),
        takes=("ECRRepositoryName", "ImageTag", "CriticalThreshold", "HighThreshold", "MediumThreshold",
               "LowThreshold"),
        values={"InspectorRunMode": ("SourceCodeScan", "ECRImageScan")},
        variables=("HighestScannedSeverity",),
        check=_inspector,
    ),
    ("Compute", "AWS", "Commands"): ActionType(
        inputs=(1, 10),
        outputs=(0, 1),
        takes=("EnvironmentType", "ComputeType", "VpcId", "Subnets", "SecurityGroupIds"),
        values={
            "EnvironmentType": ("LINUX_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER"),
            "ComputeType": (_SMALL, "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE"),
        },
        variables=None,
        only_v2=True,
        check=_commands,
    ),
}
"""By category, owner and provider."""
# fmt: on

RULE_TYPES: Mapping[str, ActionType] = {
    "CloudWatchAlarm": ActionType(needs=("AlarmName",), takes=("AlarmStates", "WaitTime"), check=_alarm),
    "CodeBuild": ActionType(
        inputs=(1, 5),
        needs=("ProjectName",),
        takes=("PrimarySource", "BatchEnabled", "CombineArtifacts", "EnvironmentVariables"),
        values={"BatchEnabled": _TRUTH, "CombineArtifacts": _TRUTH},
        check=_codebuild,
    ),
    "Commands": ActionType(inputs=(1, 10)),
    "DeploymentWindow": ActionType(needs=("Cron",), takes=("TimeZone",)),
    "LambdaInvoke": ActionType(inputs=(0, 5), needs=("FunctionName",), takes=("UserParameters",)),
    "VariableCheck": ActionType(
        needs=("Variable", "Value", "Operator"),
        values={"Operator": ("EQ", "NE", "CONTAINS", "MATCHES")},
        check=_variable_check,
    ),
}
"""By provider."""
