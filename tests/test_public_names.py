"""What users import: these names, documented, and paid for at first use only."""

import inspect
import re
import subprocess
import sys

import pytest

import code_family_constructs

NAMES = {
    "Action",
    "ActionContext",
    "AlarmRule",
    "AlertTopic",
    "AppConfigDeployment",
    "Appspec",
    "ArtifactStore",
    "BatchBuilds",
    "BeforeEntry",
    "Build",
    "BuildBucket",
    "BuildHost",
    "BuildProject",
    "Buildspec",
    "CodeBuildAction",
    "CodeBuildRule",
    "CodeConnection",
    "CodeConnectionHost",
    "CommandsAction",
    "CommandsRule",
    "ConfigurationError",
    "CustomAction",
    "Decision",
    "DeliveryPipeline",
    "DeploymentHook",
    "DeploymentTrigger",
    "DeploymentWindowRule",
    "Ec2Appspec",
    "Ec2BlueGreenDeployment",
    "Ec2BlueGreenFleet",
    "Ec2Deployment",
    "Ec2Fleet",
    "Ec2InstancesDeployment",
    "EcrBuildAndPublish",
    "EcsAppspec",
    "EcsDeployment",
    "EcsRollingDeployment",
    "EcsService",
    "EcsTarget",
    "EfsMount",
    "EksDeployment",
    "ElasticBeanstalkDeployment",
    "FilterGroup",
    "Finding",
    "Fleet",
    "GitTrigger",
    "HealthGate",
    "ImageBuild",
    "InspectorScan",
    "InvokeFunction",
    "LambdaActionDeployment",
    "LambdaAppspec",
    "LambdaCodeDeployment",
    "LambdaDeployment",
    "LambdaFunction",
    "LambdaInvoke",
    "LambdaRule",
    "ManualApproval",
    "OnFailure",
    "OnSuccess",
    "OperationPreferences",
    "PipelineInvoke",
    "PipelineVariable",
    "ProjectSource",
    "PullRequest",
    "PullRequestChecks",
    "PullRequestFilter",
    "Push",
    "PushFilter",
    "Repository",
    "Rule",
    "RuleContext",
    "RunningImage",
    "S3Artifacts",
    "S3Cache",
    "S3Deployment",
    "ScheduleTrigger",
    "SecretField",
    "SecureParameter",
    "ServiceCatalogDeployment",
    "ServiceManagedPermissions",
    "SmokeTest",
    "Source",
    "SourceChange",
    "StackDeletion",
    "StackDeployment",
    "StackInstancesDeployment",
    "StackSetDeployment",
    "StackSetTargets",
    "StageAction",
    "StageRule",
    "Statement",
    "StepFunctionsInvoke",
    "TargetAction",
    "TargetEnvironment",
    "VariableCheckRule",
    "Webhook",
    "WebsiteDeployment",
    "bake",
    "change_freeze",
}


def test_public_names_are_kept():
    """A name less is a breaking change, a name more is a promise."""
    assert set(code_family_constructs.__all__) == NAMES
    assert dir(code_family_constructs) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_documented_where_it_lives(name):
    found = getattr(code_family_constructs, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    assert found.__module__.startswith("code_family_constructs.")


# A protocol is implemented, and an Appspec is read: neither is called.
@pytest.mark.parametrize("name", sorted(NAMES - {"Action", "Appspec", "Build", "Rule"}))
def test_each_argument_of_a_public_name_is_documented(name):
    found = getattr(code_family_constructs, name)
    # Not of the class: what jsii makes of it takes anything.
    called = found.__init__ if inspect.isclass(found) else found
    arguments = set(inspect.signature(called).parameters) - {"self", "scope", "id"}
    arguments = {argument for argument in arguments if not argument.startswith("_")}
    documented = inspect.getdoc(found) or ""
    assert {argument for argument in arguments if f"\n    {argument}: " not in documented} == set()


def test_type_checkers_see_what_is_loaded_lazily():
    # A long one stands in parentheses.
    source = re.sub(r"\(\s*(.*?),\s*\)", r"\1", inspect.getsource(code_family_constructs))
    for name in NAMES:
        module = getattr(code_family_constructs, name).__module__
        assert f"from {module} import {name} as {name}\n" in source


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'code_family_constructs' has no attribute 'BuildProjekt'"):
        code_family_constructs.BuildProjekt  # noqa: B018 - looking is the test


def loaded_after(statement):
    """Top-level modules that a fresh Python has loaded after the statement."""
    script = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_aws_module_and_starts_no_node():
    loaded = loaded_after("import code_family_constructs; dir(code_family_constructs)")
    assert not {module for module in loaded if module.split(".")[0] in ("aws_cdk", "constructs", "jsii")}


def test_one_name_does_not_load_the_rooms_of_the_others():
    loaded = loaded_after("from code_family_constructs import BuildProject")
    ours = {module.split(".", 1)[1] for module in loaded if module.startswith("code_family_constructs.")}
    rooms = {"canary", "deploy", "health", "local", "pipeline", "review", "source", "testing"}
    assert not {module.split(".")[0] for module in ours} & rooms
    # The grammar of a buildspec is read by those who give one.
    assert "build.project" in ours
    assert not ours & {"build.buildspec", "build.buildspec_checks", "build.image"}
