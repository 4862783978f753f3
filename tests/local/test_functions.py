import pytest

from tests.local.hooks import REPORTS, SILENT
from tests.local.services import function
from tests.local.templates import get, ref, resource, role
from tests.local.test_deployments import BACK, group, publish


def canary(number, *, hooks=("BeforeAllowTraffic", "AfterAllowTraffic"), status="Succeeded", rollback=BACK, **more):
    """A function and its alias; each number is another version, as the CDK makes another resource of it."""
    policy = {
        "ApplicationName": ref("Application"),
        "DeploymentGroupName": ref("Group"),
        **{f"{event}Hook": ref("Hook") for event in hooks},
    }
    alias = resource(
        "AWS::Lambda::Alias",
        FunctionName=ref("Function"),
        FunctionVersion=get(f"Version{number}", "Version"),
        Name="live",
    )
    return {
        "Role": role(),
        "Function": function(f"def handler(event, context): return {number}"),
        f"Version{number}": resource("AWS::Lambda::Version", FunctionName=ref("Function")),
        "Alias": {**alias, "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": policy}},
        "Hook": function(REPORTS, Environment={"Variables": {"Status": status}}),
        "Application": resource("AWS::CodeDeploy::Application", ComputePlatform="Lambda"),
        "Group": group(AutoRollbackConfiguration=rollback),
        **more,
    }


def test_an_update_shifts_the_alias_by_a_deployment(aws, stack):
    assert stack.create(**canary(1)) == "CREATE_COMPLETE"
    assert deployments(aws, stack) == []
    assert stack.update(**canary(2)) == "UPDATE_COMPLETE"
    assert version(aws, stack) == "2"
    [info] = deployments(aws, stack)
    assert (info["status"], info["creator"]) == ("Succeeded", "CloudFormation")
    target = aws("codedeploy").get_deployment_target(
        deploymentId=info["deploymentId"], targetId=f"{stack.id_of('Function')}:live"
    )["deploymentTarget"]["lambdaTarget"]
    assert [event["status"] for event in target["lifecycleEvents"]] == ["Succeeded"] * 3
    versions = aws("lambda").list_versions_by_function(FunctionName=stack.id_of("Function"))["Versions"]
    assert [item["Version"] for item in versions] == ["$LATEST", "2"]
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize("event", ["BeforeAllowTraffic", "AfterAllowTraffic"])
@pytest.mark.parametrize("rollback", [BACK, {"Enabled": False}])
def test_a_failing_hook_rolls_the_stack_back_with_its_reason(aws, stack, event, rollback):
    stack.create(**canary(1, rollback=rollback))
    changed = canary(2, hooks=[event], status="Failed", rollback=rollback)
    assert stack.update(**changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert f"The lifecycle event hook of {event}" in stack.reason()
    assert "Error Code: HOOK_EXECUTION_FAILURE" in stack.reason()
    assert version(aws, stack) == "1"
    name = stack.id_of("Function")
    assert aws("lambda").invoke(FunctionName=f"{name}:live")["Payload"].read() == b"1"


def test_a_later_failure_takes_the_alias_back_without_hooks(aws, stack):
    stack.create(**canary(1))
    broken = {**resource("AWS::S3::Bucket", Unknown=1), "DependsOn": "Alias"}
    assert stack.update(**canary(2, Broken=broken)) == "UPDATE_ROLLBACK_COMPLETE"
    assert version(aws, stack) == "1"
    back, forth = deployments(aws, stack)
    assert (forth["creator"], back["creator"]) == ("CloudFormation", "CloudFormationRollback")
    assert "BeforeAllowTraffic" not in back["revision"]["appSpecContent"]["content"]


def test_an_alias_that_somebody_else_moved_cannot_be_shifted(aws, stack):
    stack.create(**canary(1))
    moved = publish(aws, stack)
    aws("lambda").update_alias(FunctionName=stack.id_of("Function"), Name="live", FunctionVersion=moved)
    assert stack.update(**canary(2)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "The Lambda function alias version does not match the current version in AppSpec file" in stack.reason()
    assert version(aws, stack) == moved


def test_an_alias_without_a_policy_just_changes(aws, stack):
    def plain(number):
        resources = canary(number)
        del resources["Alias"]["UpdatePolicy"]
        return resources

    stack.create(**plain(1))
    assert stack.update(**plain(2)) == "UPDATE_COMPLETE"
    assert (version(aws, stack), deployments(aws, stack)) == ("2", [])


def test_a_version_stays_while_an_alias_points_to_it(aws, stack, name):
    resources = {
        "Role": role(),
        "Function": function(SILENT),
        "Version1": resource("AWS::Lambda::Version", FunctionName=ref("Function")),
    }
    stack.create(**resources)
    function_name = stack.id_of("Function")
    aws("lambda").create_alias(FunctionName=function_name, Name=name, FunctionVersion="1")
    del resources["Version1"]
    assert stack.update(**resources) == "UPDATE_COMPLETE"
    assert "referenced by an alias" in stack.reason()
    found = aws("lambda").list_versions_by_function(FunctionName=function_name)["Versions"]
    assert [item["Version"] for item in found] == ["$LATEST", "1"]


def version(aws, stack):
    return aws("lambda").get_alias(FunctionName=stack.id_of("Function"), Name="live")["FunctionVersion"]


def deployments(aws, stack):
    client = aws("codedeploy")
    listed = client.list_deployments(
        applicationName=stack.id_of("Application"), deploymentGroupName=stack.id_of("Group")
    )["deployments"]
    return [client.get_deployment(deploymentId=item)["deploymentInfo"] for item in listed]
