"""A pipeline as `aws codepipeline create-pipeline` takes it, to compare with what `get-pipeline` says is running.

With the stack alone, as a file to keep or to compare by eye:

    print(json.dumps(pipeline_definition(stack), indent=2))

With what the stack has become, by boto3's clients:

    resources = cloudformation.describe_stack_resources(StackName="Shop")["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    declared = pipeline_definition(stack, physical_ids=ids)
    running = codepipeline.get_pipeline(name=declared["pipeline"]["name"])
    for line in pipeline_differences(declared, running):
        print(line)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from code_family_constructs.errors import ConfigurationError

if TYPE_CHECKING:  # a template should not start Node
    from aws_cdk import Stack

Template = Mapping[str, Any]
Json = dict[str, Any]


def pipeline_definition(
    stack: "Stack | Template",
    *,
    name: str | None = None,
    physical_ids: Mapping[str, str] | None = None,
    account: str | None = None,
    region: str | None = None,
) -> Json:
    """The parameters of `create-pipeline` for a pipeline of a stack: `{"pipeline": {…}, "tags": […]}`.

    What is only known once the stack is deployed is taken from `physical_ids`, with ARNs built where AWS says how;
    what remains unknown stays a placeholder such as `<Role.Arn>`.

    Args:
        stack: A stack, or its template; the app of a stack is synthesized the first time.
        name: Name or logical id of the pipeline, for a stack with several.
        physical_ids: Physical id by logical id, of all resources of the deployed stack.
        account: Account that the stack is deployed to, when the stack itself does not say.
        region: Likewise.

    Raises:
        ConfigurationError: The stack has no such pipeline, or several and no name was given.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_CreatePipeline.html
    """
    if isinstance(stack, Mapping):
        template, where = stack, "template"
    else:
        from code_family_constructs.tokens import unresolved

        template, where = _synthesized(stack), stack.node.path
        account = account or (None if unresolved(stack.account) else stack.account)
        region = region or (None if unresolved(stack.region) else stack.region)
    resources: Mapping[str, Any] = template.get("Resources", {})
    logical_id = _chosen(resources, name, where)
    resolver = _Resolver(resources, physical_ids or {}, account, region)
    properties = resolver.resolved(resources[logical_id].get("Properties", {}))
    pipeline = _as_api(_without(properties, _OF_CLOUDFORMATION))
    pipeline = {"name": resolver.resolved({"Ref": logical_id}), **pipeline}
    if isinstance(pipeline.get("artifactStores"), list):
        pipeline["artifactStores"] = {each["region"]: each["artifactStore"] for each in pipeline["artifactStores"]}
    tags = [{"key": tag["Key"], "value": str(tag["Value"])} for tag in properties.get("Tags", ())]
    return {"pipeline": pipeline, **({"tags": tags} if tags else {})}


def pipeline_differences(declared: Mapping[str, Any], running: Mapping[str, Any]) -> list[str]:
    """What differs between a declared pipeline and the one that runs, a line each; nothing when they are the same.

    A placeholder in what is declared is equal to anything. Version, metadata and what CodePipeline fills in by
    itself are no differences. Tags are compared when `running` has them: `get-pipeline` does not tell.

    Args:
        declared: As from `pipeline_definition`.
        running: The answer to `get-pipeline`.
    """
    arn = str(running.get("metadata", {}).get("pipelineArn", ""))
    home = arn.split(":")[3] if arn.count(":") >= 5 else None
    left, right = (_normal(each["pipeline"], home) for each in (declared, running))
    lines = list(_differences("", left, right))
    if "tags" in running:
        before, after = ({tag["key"]: tag["value"] for tag in each.get("tags", ())} for each in (declared, running))
        lines += _differences("tag", before, after)
    return lines


class _Resolver:
    """Values of a template as they are once it is deployed, as far as one can tell."""

    def __init__(
        self, resources: Mapping[str, Any], physical_ids: Mapping[str, str], account: str | None, region: str | None
    ) -> None:
        self._resources = resources
        self._physical_ids = physical_ids
        self._pseudo: dict[str, str | None] = {
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::Partition": _partition(region) if region else None,
        }

    def resolved(self, value: Any) -> Any:
        match value:
            case {"Ref": str() as name}:
                return self._ref(name)
            case {"Fn::GetAtt": [str() as name, str() as attribute]}:
                return self._attribute(name, attribute)
            case {"Fn::GetAtt": str() as name}:
                return self._attribute(*name.split(".", 1))
            case {"Fn::Join": [str() as delimiter, list() as parts]}:
                return delimiter.join(str(self.resolved(part)) for part in parts)
            case {"Fn::Sub": str() as text}:
                return self._substituted(text, {})
            case {"Fn::Sub": [str() as text, dict() as values]}:
                return self._substituted(text, values)
            case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
                return f"<{next(iter(value))}>"
            case dict():
                return {key: self.resolved(item) for key, item in value.items() if item != _NO_VALUE}
            case list():
                return [self.resolved(item) for item in value if item != _NO_VALUE]
            case str():
                return _DYNAMIC.sub(r"<\1>", value)
            case _:
                return value

    def _ref(self, name: str) -> str:
        known = self._pseudo.get(name) or self._physical_ids.get(name) or self._own_name(name)
        return known or f"<{name}>"

    def _own_name(self, name: str) -> str | None:
        """The name that the template itself gives to a resource whose Ref is its name."""
        resource = self._resources.get(name, {})
        key = _NAMED_BY.get(resource.get("Type", ""))
        given = resource.get("Properties", {}).get(key) if key else None
        return given if isinstance(given, str) else None

    def _attribute(self, name: str, attribute: str) -> str:
        id_ = self._physical_ids.get(name) or self._own_name(name) or ""
        resource = self._resources.get(name, {})
        if attribute.endswith("Arn") and id_.startswith("arn:"):
            return id_
        if attribute == "Name" and id_.startswith("arn:"):
            return re.split("[:/]", id_)[-1]
        form = _ARNS.get(resource.get("Type", "")) if attribute == "Arn" and id_ else None
        path = resource.get("Properties", {}).get("Path", "/")
        if form is None or not isinstance(path, str):
            return f"<{name}.{attribute}>"
        values = {pseudo.removeprefix("AWS::"): value for pseudo, value in self._pseudo.items() if value}
        try:
            return form.format(id=path.lstrip("/") + id_, **values)
        except KeyError:
            return f"<{name}.{attribute}>"

    def _substituted(self, text: str, values: Mapping[str, Any]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return str(self.resolved(values[name]))
            return str(self.resolved({"Fn::GetAtt": name} if "." in name else {"Ref": name}))

        return re.sub(r"\$\{([^}]*)\}", value, text)


_NO_VALUE = {"Ref": "AWS::NoValue"}
_DYNAMIC = re.compile(r"\{\{(resolve:[^}]*)\}\}")
_PLACEHOLDER = re.compile(r"<[A-Za-z0-9]+(?:[.:][^<>\s]+)?>")
# Properties that are CloudFormation's own, or another parameter than the pipeline.
_OF_CLOUDFORMATION = ("Tags", "DisableInboundStageTransitions", "RestartExecutionOnUpdate")
# All other numbers are texts for the API.
_NUMBERS = ("RunOrder", "TimeoutInMinutes")
# Keys in here are the user's, or of the action's provider.
_KEPT = "Configuration"
_NAMED_BY = {
    "AWS::CodeBuild::Project": "Name",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::CodeDeploy::Application": "ApplicationName",
    "AWS::CodeDeploy::DeploymentGroup": "DeploymentGroupName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::S3::Bucket": "BucketName",
}
"""The property with the name, of types whose Ref it is."""
_ARNS = {
    "AWS::CodeBuild::Project": "arn:{Partition}:codebuild:{Region}:{AccountId}:project/{id}",
    "AWS::IAM::Role": "arn:{Partition}:iam::{AccountId}:role/{id}",
    "AWS::KMS::Key": "arn:{Partition}:kms:{Region}:{AccountId}:key/{id}",
    "AWS::Lambda::Function": "arn:{Partition}:lambda:{Region}:{AccountId}:function:{id}",
    "AWS::S3::Bucket": "arn:{Partition}:s3:::{id}",
}
"""ARN of a resource, of types whose physical id is not their ARN; of a role, with its path."""


def _synthesized(stack: "Stack") -> Template:
    from aws_cdk import Stage

    stage = Stage.of(stack)
    if stage is None:
        raise ConfigurationError(
            f"stack {stack.node.path!r} is in no app", at=stack, fix="give the App, or a Stage, as its scope"
        )
    template: Template = stage.synth().get_stack_artifact(stack.artifact_id).template
    return template


def _partition(region: str) -> str:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def _chosen(resources: Mapping[str, Any], name: str | None, where: str) -> str:
    pipelines = {
        logical_id: resource.get("Properties", {}).get("Name")
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::CodePipeline::Pipeline"
    }
    chosen = [logical_id for logical_id, own in pipelines.items() if name in (None, own, logical_id)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(own if isinstance(own, str) else logical_id for logical_id, own in pipelines.items())
    if not pipelines:
        raise ConfigurationError("no pipeline in this stack", at=where, fix="give the stack that has it")
    if name is None:
        raise ConfigurationError(f"several pipelines in this stack: {names}", at=where, fix="give name=")
    raise ConfigurationError(f"no pipeline {name!r} in this stack", at=where, fix=f"give name= one of {names}")


def _without(properties: Mapping[str, Any], keys: Sequence[str]) -> Json:
    return {key: value for key, value in properties.items() if key not in keys}


def _as_api(value: Any, key: str = "") -> Any:
    """Properties of CloudFormation as parameters of the API, which are the same but for the first letter."""
    if isinstance(value, Mapping):
        keep = key == _KEPT
        return {
            name if keep else name[:1].lower() + name[1:]: _as_api(item, "" if keep else name)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_as_api(item, key) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if key in _NUMBERS and str(value).isdecimal():
        return int(value)
    return str(value)


def _normal(pipeline: Mapping[str, Any], home: str | None) -> Json:
    """A pipeline with what CodePipeline fills in, and without what it counts."""
    normal = _without({"executionMode": "SUPERSEDED", "pipelineType": "V1", **pipeline}, ("version",))
    filled: Json = _filled(normal, home)
    return filled


def _filled(value: Any, home: str | None) -> Any:
    """A value without its empty parts, and actions and rules with what they are by default."""
    if isinstance(value, list):
        return [_filled(item, home) for item in value]
    if not isinstance(value, Mapping):
        return value
    filled = {key: _filled(item, home) for key, item in value.items()}
    if "actionTypeId" in filled:
        filled = {"runOrder": 1, **filled}
    if isinstance(filled.get("ruleTypeId"), Mapping):
        filled["ruleTypeId"] = {"owner": "AWS", "version": "1", **filled["ruleTypeId"]}
    if home is not None and filled.get("region") == home:
        del filled["region"]
    return {key: item for key, item in filled.items() if item not in ({}, [], None)}


# What a list holds, and how to tell one of it from another.
_ITEMS = {
    "stages": "stage",
    "actions": "action",
    "rules": "rule",
    "inputArtifacts": "input artifact",
    "outputArtifacts": "output artifact",
    "variables": "variable",
    "environmentVariables": "environment variable",
    "triggers": "trigger for",
}


def _differences(path: str, declared: Any, running: Any) -> Iterator[str]:
    if isinstance(declared, Mapping) and isinstance(running, Mapping):
        for key in dict.fromkeys((*declared, *running)):
            if key in _ITEMS:
                yield from _item_differences(path, key, declared.get(key, []), running.get(key, []))
            else:
                yield from _at(_joined(path, key), declared, running, key)
    elif _list_of_mappings(declared) and _list_of_mappings(running) and len(declared) == len(running):
        for number, (left, right) in enumerate(zip(declared, running, strict=True), start=1):
            yield from _differences(path if len(declared) == 1 else f"{path} {number}", left, right)
    elif not _same(declared, running):
        yield f"{path}: declared {declared!r}, running {running!r}"


def _at(path: str, declared: Mapping[str, Any], running: Mapping[str, Any], key: str) -> Iterator[str]:
    if key not in running:
        yield f"{path}: declared {declared[key]!r}, not running"
    elif key not in declared:
        yield f"{path}: not declared, running {running[key]!r}"
    else:
        yield from _differences(path, declared[key], running[key])


def _item_differences(path: str, key: str, declared: Any, running: Any) -> Iterator[str]:
    if not (_list_of_mappings(declared) and _list_of_mappings(running)):
        yield from _differences(_joined(path, key), declared, running)
        return
    left, right = ({_name(item): item for item in items} for items in (declared, running))
    for name in dict.fromkeys((*left, *right)):
        where = _joined(path, f"{_ITEMS[key]} {name}")
        if name not in right:
            yield f"{where}: declared, not running"
        elif name not in left:
            yield f"{where}: not declared, running"
        else:
            yield from _differences(where, left[name], right[name])
    if key == "stages" and list(left) != list(right) and set(left) == set(right):
        yield f"stages: declared in the order {', '.join(left)}; running in the order {', '.join(right)}"


def _name(item: Mapping[str, Any]) -> str:
    return str(item.get("name") or item.get("gitConfiguration", {}).get("sourceActionName", ""))


def _same(declared: Any, running: Any) -> bool:
    if isinstance(declared, list) and isinstance(running, list):
        return len(declared) == len(running) and all(map(_same, declared, running))
    if isinstance(declared, Mapping) and isinstance(running, Mapping):
        return declared.keys() == running.keys() and all(_same(declared[key], running[key]) for key in declared)
    if not isinstance(declared, str):
        return bool(declared == running)
    if not isinstance(running, str):
        return _PLACEHOLDER.fullmatch(declared) is not None
    # CodePipeline does not tell secrets again.
    if declared == running or running == "****":
        return True
    parts = _PLACEHOLDER.split(declared)
    return len(parts) > 1 and re.fullmatch(".+".join(map(re.escape, parts)), running, re.DOTALL) is not None


def _list_of_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _joined(path: str, further: str) -> str:
    separator = " " if path.endswith("configuration") else ", "
    return f"{path}{separator}{further}" if path else further
