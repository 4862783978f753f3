"""Lambda aliases that CodeDeploy shifts during a stack's update, and versions that stay as long as an alias needs them.

An alias whose version changes under an UpdatePolicy of CodeDeployLambdaAliasUpdate is shifted by a deployment, whose
hooks run for real. As at AWS it goes from the version that the stack last set, so it fails when somebody else has
pointed the alias to another one since. When CloudFormation takes an update back, the alias goes back without hooks.
"""

import json

from code_family_constructs.local import _ministack, deployments
from code_family_constructs.local.framework import ApiError, CallError, Json, call

_ALIAS = "AWS::Lambda::Alias"
_VERSION = "AWS::Lambda::Version"
_update = _ministack.resource_handlers[_ALIAS]["update"]


def update_alias(physical_id: str, old: Json, new: Json, stack: str, logical_id: str | None = None) -> tuple[str, Json]:
    """Change the alias as ministack does; CodeDeploy changes the version when the template has it do so."""
    policy = _ministack.attribute_of_resource(stack, logical_id or "", "UpdatePolicy") or {}
    settings = policy.get("CodeDeployLambdaAliasUpdate")
    replaced = any(old.get(key) != new.get(key) for key in ("FunctionName", "Name"))
    if settings and not replaced and old.get("FunctionVersion") != new.get("FunctionVersion"):
        _shift(settings, old, new, stack)
    updated: tuple[str, Json] = _update(physical_id, old, new, stack, logical_id)
    return updated


def delete_version(physical_id: str, properties: Json) -> None:
    """Delete the version by the API, which refuses one that an alias points to."""
    function, _, version = physical_id.rpartition(":")
    try:
        call("lambda", "delete_function", FunctionName=function, Qualifier=version)
    except CallError as error:
        if error.code != "ResourceNotFoundException":
            raise


_ministack.resource_handlers[_ALIAS]["update"] = update_alias
_ministack.resource_handlers[_VERSION]["delete"] = delete_version
_ministack.on_a_thread(_ALIAS)


def _shift(settings: Json, old: Json, new: Json, stack: str) -> None:
    rolling_back = _ministack.is_rolling_back(stack)
    hooks = [] if rolling_back else ["BeforeAllowTraffic", "AfterAllowTraffic"]
    spec = {
        "version": 0.0,
        "Resources": [
            {
                new["Name"]: {
                    "Type": "AWS::Lambda::Function",
                    "Properties": {
                        "Name": new["FunctionName"],
                        "Alias": new["Name"],
                        "CurrentVersion": old["FunctionVersion"],
                        "TargetVersion": new["FunctionVersion"],
                    },
                }
            }
        ],
        "Hooks": [{event: settings[f"{event}Hook"]} for event in hooks if settings.get(f"{event}Hook")],
    }
    request: Json = {
        "applicationName": settings["ApplicationName"],
        "deploymentGroupName": settings["DeploymentGroupName"],
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}},
    }
    try:
        deployment = deployments.start(request, creator="CloudFormationRollback" if rolling_back else "CloudFormation")
    except ApiError as error:
        raise ValueError(f"{error} (Error Code: {error.code})") from error
    deployment.done.wait()
    if deployment.info["status"] == "Succeeded":
        return
    if deployment.target_body.get("lambdaFunctionInfo", {}).get("targetVersionWeight"):
        # A group that rolls back has done so; without one it is for CloudFormation to do.
        alias = {"FunctionName": new["FunctionName"], "Name": new["Name"]}
        call("lambda", "update_alias", **alias, FunctionVersion=str(old["FunctionVersion"]))
    reason = deployment.info["errorInformation"]
    raise ValueError(
        f"Deployment {deployment.info['deploymentId']} {deployment.info['status'].lower()}: "
        f"{reason['message']} (Service: codedeploy, Error Code: {reason['code']})"
    )
