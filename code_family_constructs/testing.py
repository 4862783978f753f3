"""Side wing: a stack as its reviewer sees it: an outline to read, a template to guard, and snapshots of both.

For the tests of this library and of any team that uses it; needs the extra `testing`.

    def test_release(stack, snapshot):
        assert outline_of(stack) == snapshot(name="outline", extension_class=TextSnapshot)
        assert template_of(stack) == snapshot(name="template", extension_class=TextSnapshot)
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_cdk import Stack, Stage
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

Template = Mapping[str, Any]


class TextSnapshot(SingleFileSnapshotExtension):
    """One plain text file for each snapshot, so that a review shows a readable difference."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def synthesized(stack: Stack) -> dict[str, Any]:
    """The CloudFormation template of a stack, as deployed; synthesizes the app the first time."""
    stage = Stage.of(stack)
    if stage is None:
        raise ValueError(f"{stack.node.path} is in no app")
    template: dict[str, Any] = stage.synth().get_stack_artifact(stack.artifact_id).template
    return template


def template_of(stack: Stack | Template) -> str:
    """The template as text that only changes when the infrastructure does: keys sorted, hashes of assets blanked."""
    template = _template(stack)
    # The bootstrap version and CDK's own metadata change with the CDK, not with the stack.
    kept = {
        section: {name: value for name, value in content.items() if name not in _NOT_OURS}
        if isinstance(content, dict)
        else content
        for section, content in template.items()
    }
    kept = {section: content for section, content in kept.items() if content}
    text = json.dumps(_without_metadata(kept), indent=2, sort_keys=True, ensure_ascii=False)
    return _DESTINATION.sub(r"\1HASH", _ASSET.sub("HASH", text)) + "\n"


def outline_of(stack: Stack | Template) -> str:
    """What a release does, who approves it, what rolls it back, and what the roles may do, on one screen."""
    template = _template(stack)
    resources: Mapping[str, Any] = template.get("Resources", {})
    lines = [line for outline in _OUTLINES for line in outline(resources)]
    counts = Counter(resource["Type"] for resource in resources.values())
    lines += ["resources", *(f"  {count:3} {type_}" for type_, count in sorted(counts.items()))]
    return "\n".join(lines) + "\n"


def statements_of(resources: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Logical id and statement of each identity policy in a template."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        documents = [properties["PolicyDocument"]] if resource["Type"] in _POLICIES else []
        if resource["Type"] in _PRINCIPALS:
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        for document in documents:
            for statement in _list(document["Statement"]):
                yield name, statement


def text_of(value: Any) -> str:
    """A value of a template as a person writes it: `<Bucket.Arn>/*` for a join of a GetAtt and a string."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [delimiter, items]}:
            return str(delimiter).join(text_of(item) for item in items)
        case {"Fn::Sub": str() as text}:
            return re.sub(r"\$\{([^}]*)\}", r"<\1>", text)
        case dict() | list():
            return json.dumps(value, sort_keys=True)
        case _:
            return str(value)


_POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
_PRINCIPALS = ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group")
_NOT_OURS = ("BootstrapVersion", "CheckBootstrapVersion", "CDKMetadata", "CDKMetadataAvailable")
# The digest of an image is no hash of an asset: it says what is deployed.
_ASSET = re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b")
# CDK Pipelines names where an asset goes, by a hash that also changes with the version of Node.
_DESTINATION = re.compile(r"\b((?:\d{12}|current_account)-(?:[a-z]{2}(?:-[a-z]+)+-\d|current_region)-)[0-9a-f]{8}\b")


def _template(stack: Stack | Template) -> Template:
    return synthesized(stack) if isinstance(stack, Stack) else stack


def _without_metadata(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_metadata(item)
            for key, item in value.items()
            if not (key == "Metadata" and isinstance(item, dict) and set(item) <= {"aws:cdk:path", "aws:asset:path"})
        }
    if isinstance(value, list):
        return [_without_metadata(item) for item in value]
    return value


def _of_type(resources: Mapping[str, Any], type_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, resource in resources.items():
        if resource["Type"] == type_:
            yield name, resource.get("Properties", {})


def _pipelines(resources: Mapping[str, Any]) -> Iterator[str]:
    for name, pipeline in _of_type(resources, "AWS::CodePipeline::Pipeline"):
        mode = pipeline.get("ExecutionMode", "SUPERSEDED")
        yield f"pipeline {text_of(pipeline.get('Name', name))} ({pipeline.get('PipelineType', 'V1')}, {mode})"
        for variable in pipeline.get("Variables", ()):
            default = text_of(variable["DefaultValue"]) if "DefaultValue" in variable else "(whoever starts it says)"
            yield f"  variable {variable['Name']} = {default}"
        for trigger in pipeline.get("Triggers", ()):
            yield from _trigger(trigger.get("GitConfiguration", {}))
        closed = {each["StageName"]: each["Reason"] for each in pipeline.get("DisableInboundStageTransitions", ())}
        for stage in pipeline["Stages"]:
            yield f"  {stage['Name']}" + (f" (closed: {closed[stage['Name']]})" if stage["Name"] in closed else "")
            yield from _conditions("before", stage.get("BeforeEntry"))
            for action in sorted(stage["Actions"], key=lambda action: action.get("RunOrder", 1)):
                yield f"    {action.get('RunOrder', 1)}. {_action(action)}"
            yield from _conditions("on success", stage.get("OnSuccess"))
            yield from _conditions("on failure", stage.get("OnFailure"))


def _trigger(git: Mapping[str, Any]) -> Iterator[str]:
    for kind, event in (("Push", "push"), ("PullRequest", "pull request")):
        for each in git.get(kind, ()):
            parts = [event, *(text_of(item) for item in each.get("Events", ()))]
            for about in ("Branches", "Tags", "FilePaths"):
                for word, key in (("of", "Includes"), ("but not", "Excludes")):
                    if each.get(about, {}).get(key):
                        patterns = ", ".join(text_of(item) for item in each[about][key])
                        parts.append(f"{word} {_ABOUT[about]} {patterns}")
            yield f"  starts on {' '.join(parts)} at {text_of(git['SourceActionName'])}"


_ABOUT = {"Branches": "branches", "Tags": "tags", "FilePaths": "files"}


def _conditions(slot: str, given: Mapping[str, Any] | None) -> Iterator[str]:
    if given is None:
        return
    if "Result" in given:
        yield f"    {slot}: {given['Result']} {given.get('RetryConfiguration', {}).get('RetryMode', '')}".rstrip()
    for condition in given.get("Conditions", ()):
        rules = "; ".join(_rule(rule) for rule in condition.get("Rules", ()))
        yield f"    {slot}: {rules}; or else {condition.get('Result', 'FAIL')}"


def _rule(rule: Mapping[str, Any]) -> str:
    settings = rule.get("Configuration", {})
    said = [text_of(settings[key]) for key in sorted(settings)] + [text_of(each) for each in rule.get("Commands", ())]
    return " ".join([rule["RuleTypeId"]["Provider"], *said])


def _action(action: Mapping[str, Any]) -> str:
    kind, settings = action["ActionTypeId"], action.get("Configuration", {})
    details = [" / ".join(text_of(settings[key]).splitlines()) for key in _TELLING if key in settings]
    for key, label in (("InputArtifacts", "in"), ("OutputArtifacts", "out")):
        if action.get(key):
            details.append(f"{label} {', '.join(artifact['Name'] for artifact in action[key])}")
    if "RoleArn" in action:
        details.append(f"as {text_of(action['RoleArn'])}")
    if "Region" in action:
        details.append(f"in {text_of(action['Region'])}")
    return f"{action['Name']}: {kind['Category']} by {kind['Provider']}" + (
        f" ({'; '.join(details)})" if details else ""
    )


# What tells one action of a provider from another, out of all that its configuration holds.
_TELLING = (
    "FullRepositoryId",
    "RepositoryName",
    "BranchName",
    "ProjectName",
    "ApplicationName",
    "ClusterName",
    "StackName",
    "ActionMode",
    "FunctionName",
    "BucketName",
    "PipelineName",
    "CustomData",
    "NotificationArn",
)


def _projects(resources: Mapping[str, Any]) -> Iterator[str]:
    for name, project in _of_type(resources, "AWS::CodeBuild::Project"):
        source, triggers = project["Source"], project.get("Triggers", {})
        if source["Type"] in ("CODEPIPELINE", "NO_SOURCE"):
            continue
        yield f"build {text_of(project.get('Name', name))} of {source['Type']} {text_of(source.get('Location', ''))}"
        for group in triggers.get("FilterGroups", ()):
            yield f"  starts on {' and '.join(_filter(each) for each in group)}"
        approval = triggers.get("PullRequestBuildPolicy", {}).get("RequiresCommentApproval")
        if approval:
            yield f"  waits for a comment: {approval}"


def _filter(each: Mapping[str, Any]) -> str:
    but = "not " if each.get("ExcludeMatchedPattern") else ""
    return f"{each['Type']} {but}{text_of(each['Pattern'])}"


def _deployments(resources: Mapping[str, Any]) -> Iterator[str]:
    for name, group in _of_type(resources, "AWS::CodeDeploy::DeploymentGroup"):
        yield from _deployment(name, group)
    for name, owner in _of_type(resources, "Custom::BlueGreenDeploymentGroup"):
        # Parameters of CodeDeploy's API, which are CloudFormation's but for the first letter.
        yield from _deployment(name, _capitalized(owner["DeploymentGroup"]))


def _capitalized(value: Any) -> Any:
    if isinstance(value, list):
        return [_capitalized(item) for item in value]
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: _capitalized(item) for key, item in value.items()}
    return value


def _deployment(name: str, group: Mapping[str, Any]) -> Iterator[str]:
    yield f"deployment group {text_of(group.get('DeploymentGroupName', name))}"
    style = group.get("DeploymentStyle", {})
    yield (
        f"  {text_of(group.get('DeploymentConfigName', 'CodeDeployDefault.OneAtATime'))}, "
        f"{style.get('DeploymentType', 'IN_PLACE')}, {style.get('DeploymentOption', 'WITHOUT_TRAFFIC_CONTROL')}"
    )
    alarms = group.get("AlarmConfiguration", {})
    watched = [text_of(alarm["Name"]) for alarm in alarms.get("Alarms", ())] if alarms.get("Enabled") else []
    yield f"  alarms: {', '.join(watched) or 'none'}"
    rollback = group.get("AutoRollbackConfiguration", {})
    events = rollback.get("Events", ()) if rollback.get("Enabled") else ()
    yield f"  rolls back on: {', '.join(events) or 'nothing'}"


def _services(resources: Mapping[str, Any]) -> Iterator[str]:
    for name, service in _of_type(resources, "AWS::ECS::Service"):
        settings = service.get("DeploymentConfiguration", {})
        controller = service.get("DeploymentController", {}).get("Type", "ECS")
        strategy = f", {settings.get('Strategy', 'ROLLING')}" if controller == "ECS" else ""
        yield f"service {text_of(service.get('ServiceName', name))} (deployed by {controller}{strategy})"
        for kind in ("CanaryConfiguration", "LinearConfiguration"):
            if kind in settings:
                yield f"  {', '.join(f'{key} {value}' for key, value in sorted(settings[kind].items()))}"
        if "BakeTimeInMinutes" in settings:
            yield f"  old tasks stay for {settings['BakeTimeInMinutes']} minutes"
        for hook in settings.get("LifecycleHooks", ()):
            yield f"  {', '.join(hook['LifecycleStages'])}: {text_of(hook.get('HookTargetArn', ''))}"
        alarms = settings.get("Alarms", {})
        watched = [text_of(each) for each in alarms.get("AlarmNames", ())] if alarms.get("Enable") else []
        if controller == "ECS":
            yield f"  alarms: {', '.join(watched) or 'none'}"


def _alarms(resources: Mapping[str, Any]) -> Iterator[str]:
    alarms = list(_of_type(resources, "AWS::CloudWatch::Alarm"))
    if alarms:
        yield "alarms"
    for name, alarm in alarms:
        statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic", "")
        yield (
            f"  {name}: {statistic} {alarm.get('MetricName', 'of an expression')} "
            f"{_COMPARISONS.get(alarm['ComparisonOperator'], alarm['ComparisonOperator'])} {alarm.get('Threshold')} "
            f"for {alarm['EvaluationPeriods']} x {alarm.get('Period', '?')} s"
        )


_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": ">=",
    "GreaterThanThreshold": ">",
    "LessThanOrEqualToThreshold": "<=",
    "LessThanThreshold": "<",
}


def _wildcards(resources: Mapping[str, Any]) -> Iterator[str]:
    found: list[str] = []
    for name, statement in statements_of(resources):
        if statement["Effect"] != "Allow":
            continue
        actions = _named(statement, "Action")
        named = _named(statement, "Resource")
        wide = [resource for resource in named if "*" in resource]
        if wide or any("*" in action for action in actions):
            found.append(f"  {name}: {', '.join(actions)} on {', '.join(wide or named)}")
    if found:
        yield "wildcards"
        yield from found


def _named(statement: Mapping[str, Any], element: str) -> list[str]:
    """What a statement names, or `* but …` for what it leaves out by NotAction or NotResource."""
    named = [text_of(item) for item in _list(statement.get(element, ()))]
    return named + [f"* but {text_of(item)}" for item in _list(statement.get(f"Not{element}", ()))]


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


_OUTLINES = (_pipelines, _projects, _deployments, _services, _alarms, _wildcards)
