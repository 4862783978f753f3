"""Floor 2: what CodePipeline would refuse of a pipeline as it is deployed, or what breaks when it runs.

The last look at a pipeline, whoever put its actions together: this library, aws-cdk-lib's own classes, or overrides.
It looks at the properties of `AWS::CodePipeline::Pipeline`, so it imports nothing of aws-cdk-lib.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from code_family_constructs.pipeline.action_types import (
    ACTION_TYPES,
    CUSTOM,
    RULE_TYPES,
    UNKNOWN,
    ActionType,
    Finding,
    known,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong with a pipeline.

    Attributes:
        problem: What is wrong, with the names and values in question.
        fix: What to do about it.
        where: The stage, `stage/action` or `stage/condition/rule` that it concerns; empty for the pipeline itself.
    """

    problem: str
    fix: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; fix: {self.fix}" if self.where else f"{self.problem}; fix: {self.fix}"


def problems_of(structure: Mapping[str, Any], *, region: str | None = None) -> list[Problem]:
    """Everything that is wrong with a pipeline, in the order of its stages; nothing when it can be deployed and run.

    Values that are only known at deployment are taken to be right, and a pipeline with a stage, an action or an
    artifact of that kind may make anything in it.

    Args:
        structure: Properties of an `AWS::CodePipeline::Pipeline`, as in a template.
        region: The pipeline's own, when it is known.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
    https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
    """
    return list(_Pipeline(_without_no_value(structure), region).problems())


@dataclass(frozen=True, slots=True)
class _Action:
    """An action or a rule, as far as it is known."""

    where: str
    name: str
    stage: int
    order: int | None
    declared: Mapping[str, Any]
    category: str
    owner: str
    provider: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    configuration: Mapping[str, str] | None

    @property
    def kind(self) -> ActionType | None:
        """What is known of its type; None when nothing is."""
        if not all(map(known, (self.category, self.owner, self.provider))):
            return None
        if self.category == "Rule":
            return RULE_TYPES.get(self.provider)
        found = ACTION_TYPES.get((self.category, self.owner, self.provider))
        return found or (None if self.owner == "AWS" else CUSTOM)

    @property
    def builds(self) -> bool:
        """Whether CodeBuild runs it, or could: for an action whose type is only known at deployment."""
        return not known(self.provider) or self.provider == "CodeBuild"

    def text(self, key: str) -> str:
        """A property as text, empty when it is left out."""
        return _text(self.declared.get(key, ""))

    def could_follow(self, other: "_Action") -> bool:
        """Whether this one runs after the other, or might."""
        if other.stage != self.stage:
            return other.stage < self.stage
        return other.order is None or self.order is None or other.order < self.order


class _Pipeline:
    def __init__(self, structure: Mapping[str, Any], region: str | None) -> None:
        self.structure = structure
        self.region = region
        # By their place: one before them that is only known at deployment counts too.
        self.stages = {
            number: stage
            for number, stage in enumerate(_list_of(structure.get("Stages")))
            if isinstance(stage, Mapping) and not _is_intrinsic(stage)
        }
        self.actions = [
            _action(declared, stage=number, path=_text(stage.get("Name", "")))
            for number, stage in self.stages.items()
            for declared in _dicts(stage.get("Actions"))
        ]
        self.rules = [
            rule
            for number, stage in self.stages.items()
            for slot in _SLOTS
            for rule in _rules(stage, slot, number, _text(stage.get("Name", "")))
        ]
        # What is not listed might still be made by something that is only known at deployment.
        self.whole = _is_whole(structure.get("Stages")) and all(
            _is_whole(each.get("Actions")) for each in self.stages.values()
        )
        self.makers: dict[str, list[_Action]] = {}
        self.namespaces: dict[str, list[_Action]] = {}
        for action in self.actions:
            for name in action.outputs:
                self.makers.setdefault(name, []).append(action)
            if action.text("Namespace"):
                self.namespaces.setdefault(action.text("Namespace"), []).append(action)
        outputs = [each.declared.get("OutputArtifacts") for each in self.actions]
        self.knows_artifacts = self.whole and all(map(_is_whole, outputs)) and all(map(known, self.makers))
        self.knows_namespaces = self.whole and all(map(known, self.namespaces))
        self.type = _text(structure.get("PipelineType", "V1"))
        self.mode = _text(structure.get("ExecutionMode", "SUPERSEDED"))

    def problems(self) -> Iterator[Problem]:
        yield from self._at("", self._own())
        yield from self._at("", self._stores())
        yield from self._at("", self._variables())
        yield from self._triggers()
        for number, stage in self.stages.items():
            where = _text(stage.get("Name", "")).replace(UNKNOWN, "?") or f"stage {number + 1}"
            yield from self._at(where, self._stage(number, stage))
            for action in self.actions:
                if action.stage == number:
                    yield from self._at(action.where, self._action(action))
            for slot in _SLOTS:
                yield from self._at(f"{where}/{slot}", self._conditions(number, stage, slot))
            for rule in self.rules:
                if rule.stage == number:
                    yield from self._at(rule.where, self._rule(rule))

    def _at(self, where: str, findings: Iterable[Finding]) -> Iterator[Problem]:
        for problem, fix in findings:
            yield Problem(problem=problem, fix=fix, where=where)

    # The pipeline itself

    def _own(self) -> Iterator[Finding]:
        yield from _name("pipeline", self.structure.get("Name"), _NAME)
        yield from _one_of("PipelineType", self.type, ("V1", "V2"))
        yield from _one_of("ExecutionMode", self.mode, ("SUPERSEDED", "QUEUED", "PARALLEL"))
        if self.type == "V1":
            yield from self._only_v2()
        if _is_whole(self.structure.get("Stages")) and not 2 <= len(self.stages) <= 50:
            yield f"a pipeline of {_count(len(self.stages), 'stage')}", "give it 2 to 50"
        if len(self.actions) > 1000:
            yield f"a pipeline of {len(self.actions)} actions", "CodePipeline takes 1000; split the pipeline"
        names = [_text(stage.get("Name", "")) for stage in self.stages.values()]
        yield from _repeated("stage", names, "give each stage a name of its own")
        for transition in _dicts(self.structure.get("DisableInboundStageTransitions")):
            name = _text(transition.get("StageName", ""))
            if self.whole and known(name) and all(map(known, names)) and name not in names:
                yield f"the transition into stage {name!r} is disabled, which there is not", _did_you_mean(name, names)

    def _only_v2(self) -> Iterator[Finding]:
        fix = "set PipelineType to V2"
        for key in ("Variables", "Triggers"):
            if self.structure.get(key):
                yield f"a pipeline of type V1 with {key}", fix
        if known(self.mode) and self.mode != "SUPERSEDED":
            yield f"a pipeline of type V1 in {self.mode} mode", fix
        for stage in self.stages.values():
            for slot in _SLOTS:
                if stage.get(slot):
                    yield f"a pipeline of type V1 with {slot} in stage {_shown(stage.get('Name', ''))}", fix
        for action in self.actions:
            if action.kind and action.kind.only_v2:
                yield f"a pipeline of type V1 with action {action.where}, by {action.provider}", fix

    def _stores(self) -> Iterator[Finding]:
        one, several = self.structure.get("ArtifactStore"), self.structure.get("ArtifactStores")
        if _is_intrinsic(one) or _is_intrinsic(several):
            return
        if one and several:
            yield "both ArtifactStore and ArtifactStores", "keep ArtifactStores, with one for each region of an action"
        if not one and not several:
            yield "no artifact store", "set ArtifactStore, or ArtifactStores when actions run in several regions"
        for store in [one or {}, *(each.get("ArtifactStore", {}) for each in _dicts(several))]:
            yield from self._store(store)
        regions = [self._region(action) for action in self.actions]
        if several:
            yield from self._regions_without_store([_text(each.get("Region", "")) for each in _dicts(several)], regions)
        elif one:
            elsewhere = sorted({each for each in regions if each and known(each) and each != self.region})
            # Without the pipeline's own region, any one of them could be it.
            if len(elsewhere) > (0 if self.region else 1):
                yield (
                    f"actions in {', '.join(elsewhere)} and a single ArtifactStore",
                    "set ArtifactStores, with one for each of these regions and for the pipeline's own",
                )

    def _store(self, store: Any) -> Iterator[Finding]:
        if not isinstance(store, Mapping) or _is_intrinsic(store):
            return
        yield from _one_of("type of the artifact store", _text(store.get("Type", "S3")), ("S3",))
        location = _text(store.get("Location", UNKNOWN))
        if known(location) and not re.fullmatch(r"[a-zA-Z0-9.-]{3,63}", location):
            yield f"artifacts in {location!r}, which is no bucket", "set Location to the name of a bucket, not its ARN"
        key = store.get("EncryptionKey")
        if isinstance(key, Mapping) and not _is_intrinsic(key):
            yield from _one_of("type of the encryption key", _text(key.get("Type", "KMS")), ("KMS",))

    def _regions_without_store(self, stores: Sequence[str], regions: Sequence[str]) -> Iterator[Finding]:
        yield from _repeated("artifact store for region", stores, "give each region one store")
        if not all(map(known, stores)) or not _is_whole(self.structure.get("ArtifactStores")):
            return
        needed = [("the pipeline's own region", self.region or "")]
        needed += [(f"the region of {each.where}", where) for each, where in zip(self.actions, regions, strict=True)]
        for what, name in needed:
            if name and known(name) and name not in stores:
                yield f"no artifact store in {name}, {what}", f"add one to ArtifactStores; there are {_list(stores)}"

    def _region(self, action: _Action) -> str:
        """Region of an action; empty for the pipeline's own."""
        declared = action.declared.get("Region")
        return "" if declared == {"Ref": "AWS::Region"} else _text(declared or "")

    def _variables(self) -> Iterator[Finding]:
        variables = _dicts(self.structure.get("Variables"))
        if len(variables) > 50:
            yield f"{len(variables)} pipeline variables", "CodePipeline takes 50"
        yield from _repeated("pipeline variable", self._variable_names(), "give each variable a name of its own")
        for variable in variables:
            yield from _name("pipeline variable", variable.get("Name"), _VARIABLE_NAME)
            name = _shown(variable.get("Name", ""))
            if "DefaultValue" not in variable and self.structure.get("Triggers"):
                yield (
                    f"pipeline variable {name} has no default, so each start by a trigger fails",
                    "set DefaultValue, or leave the triggers out and give the value at each start",
                )
            if "DefaultValue" in variable:
                yield from _length(f"the default of pipeline variable {name}", variable["DefaultValue"], 1, 1000)
            yield from _length(f"the description of pipeline variable {name}", variable.get("Description", ""), 0, 200)

    def _variable_names(self) -> list[str]:
        return [_text(variable.get("Name", "")) for variable in _dicts(self.structure.get("Variables"))]

    # What starts it

    def _triggers(self) -> Iterator[Problem]:
        triggers = _dicts(self.structure.get("Triggers"))
        if len(triggers) > 50:
            yield from self._at("", [(f"{len(triggers)} triggers", "CodePipeline takes 50")])
        size = len(json.dumps(triggers, ensure_ascii=False).encode()) if triggers else 0
        if size > 200 * 1024:
            yield from self._at("", [(f"triggers of {size} bytes", f"CodePipeline takes {200 * 1024}")])
        configured = [_mapping(trigger.get("GitConfiguration")) for trigger in triggers]
        sources = [_text(git.get("SourceActionName", UNKNOWN)) for git in configured]
        fix = "CodePipeline takes one trigger for each source; put its filters into one"
        yield from self._at("", _repeated("trigger for source", sources, fix))
        for trigger, git, source in zip(triggers, configured, sources, strict=True):
            where = f"trigger for {source.replace(UNKNOWN, '?')}"
            yield from self._at(where, self._trigger(trigger, git, source))

    def _trigger(self, trigger: Mapping[str, Any], git: Mapping[str, Any], source: str) -> Iterator[Finding]:
        provider = _text(trigger.get("ProviderType", UNKNOWN))
        yield from _one_of("provider of the trigger", provider, ("CodeStarSourceConnection",))
        for event in ("Push", "PullRequest"):
            if event in git and _is_whole(git[event]) and not 1 <= len(_dicts(git[event])) <= 3:
                yield f"{_count(len(_dicts(git[event])), 'filter')} for {event}", "give it 1 to 3, or leave it out"
            filters = [json.dumps(each, sort_keys=True) for each in _dicts(git.get(event))]
            if len(set(filters)) < len(filters):
                yield f"the same filter twice for {event}", "remove one of them"
            for each in _dicts(git.get(event)):
                yield from _filter(event, each)
        sources = [action for action in self.actions if action.category in ("Source", UNKNOWN)]
        names = [action.name for action in sources]
        action = next((action for action in sources if action.name == source), None)
        if action is None:
            if self.whole and known(source) and all(map(known, names)):
                yield f"no source action is called {source!r}", _did_you_mean(source, names)
        elif known(action.provider) and action.provider != "CodeStarSourceConnection":
            yield (
                f"source {source!r} is of {action.provider}, and a trigger is for CodeStarSourceConnection",
                "start the pipeline by an EventBridge rule, or take the source through a connection",
            )
        elif action.configuration is not None:
            detects = action.configuration.get("DetectChanges", "").lower()
            if detects == "false" and "Push" not in git and "PullRequest" not in git:
                yield (
                    f"source {source!r} has DetectChanges=false, and the trigger has no filter, so nothing starts it",
                    "give the trigger a filter, or leave the trigger out",
                )

    # Stages

    def _stage(self, number: int, stage: Mapping[str, Any]) -> Iterator[Finding]:
        yield from _name("stage", stage.get("Name"), _NAME)
        actions = [action for action in self.actions if action.stage == number]
        if _is_whole(stage.get("Actions")) and not 1 <= len(actions) <= 50:
            yield f"a stage of {_count(len(actions), 'action')}", "give it 1 to 50"
        fix = "give each action of a stage a name of its own"
        yield from _repeated("action", [action.name for action in actions], fix)
        for action in actions:
            if not known(action.category):
                continue
            if number == 0 and action.category != "Source":
                yield f"action {_shown(action.name)} in the first stage is no source", "move it to a later stage"
            if number > min(self.stages) and action.category == "Source":
                yield f"source {_shown(action.name)} after the first stage", "move it to the first stage"

    def _conditions(self, number: int, stage: Mapping[str, Any], slot: str) -> Iterator[Finding]:
        declared = stage.get(slot)
        if not isinstance(declared, Mapping) or _is_intrinsic(declared):
            return
        conditions = _dicts(declared.get("Conditions"))
        result = _text(declared.get("Result", "")) if slot == "OnFailure" else ""
        if "Conditions" in declared and _is_whole(declared["Conditions"]) and len(conditions) != 1:
            yield _count(len(conditions), "condition"), "give it exactly one, with up to 5 rules"
        if "Conditions" not in declared and slot != "OnFailure":
            yield f"{slot} without a condition", "give it one, or leave it out"
        if result == "RETRY" and conditions:
            yield "Result=RETRY together with conditions", "CodePipeline takes one of them: retry, or roll back"
        if result:
            yield from _one_of("Result", result, ("ROLLBACK", "RETRY"))
        for condition in conditions:
            yield from self._condition(condition, slot)
        rollback = [result, *(_text(condition.get("Result", "")) for condition in conditions)]
        if "ROLLBACK" in rollback and self.mode == "PARALLEL":
            yield "ROLLBACK in a pipeline in PARALLEL mode", "use FAIL, or run executions QUEUED or SUPERSEDED"
        if "ROLLBACK" in rollback and number == 0:
            yield "ROLLBACK of the source stage", "CodePipeline rolls back later stages only; move it to one of them"

    def _condition(self, condition: Mapping[str, Any], slot: str) -> Iterator[Finding]:
        result = _text(condition.get("Result", UNKNOWN))
        yield from _one_of(f"Result of a condition in {slot}", result, _SLOTS[slot])
        rules = _dicts(condition.get("Rules"))
        if _is_whole(condition.get("Rules")) and not 1 <= len(rules) <= 5:
            yield f"a condition of {_count(len(rules), 'rule')}", "give it 1 to 5"
        for rule in rules if result == "SKIP" and slot == "BeforeEntry" else ():
            provider = _text(_mapping(rule.get("RuleTypeId")).get("Provider", UNKNOWN))
            if known(provider) and provider not in ("LambdaInvoke", "VariableCheck"):
                yield (
                    f"Result=SKIP with a rule by {provider}",
                    "skip by LambdaInvoke and VariableCheck only, or use FAIL",
                )

    # Actions and rules

    def _action(self, action: _Action) -> Iterator[Finding]:
        yield from _name("action", action.declared.get("Name"), _NAME)
        yield from self._type(action)
        order = action.declared.get("RunOrder", 1)
        if not _is_intrinsic(order) and not (_text(order).isdecimal() and 1 <= int(_text(order)) <= 999):
            yield f"RunOrder={order!r}", "use a whole number, 1 to 999"
        yield from self._artifacts(action)
        yield from _configuration(action, most_keys=50, most_characters=1000)
        yield from self._commands(action)
        yield from self._change_set(action)
        yield from self._references(action)
        yield from self._namespace(action)
        yield from self._place(action)

    def _type(self, action: _Action) -> Iterator[Finding]:
        provider = action.provider
        for noun, key, pattern in (("provider", "Provider", _PROVIDER), ("version", "Version", _VERSION)):
            yield from _name(noun, _mapping(action.declared.get("ActionTypeId")).get(key), pattern)
        yield from _one_of("Category", action.category, _CATEGORIES)
        yield from _one_of("Owner", action.owner, ("AWS", "ThirdParty", "Custom"))
        if action.kind is None and action.owner == "AWS" and known(provider) and known(action.category):
            types = [key for key in ACTION_TYPES if key[1] == "AWS"]
            elsewhere = [category for category, _, other in types if other == provider]
            near = _nearest(provider, [other for category, _, other in types if category == action.category])
            # Types that AWS may have added since are let through; slips of one that there is are not.
            if elsewhere:
                yield f"{provider} is no type of category {action.category}", f"use category {_list(elsewhere)}"
            elif near:
                yield f"AWS has no {action.category} action by {provider!r}", f"did you mean {near!r}?"

    def _artifacts(self, action: _Action) -> Iterator[Finding]:
        kind = action.kind
        for noun, key, names in (
            ("input", "InputArtifacts", action.inputs),
            ("output", "OutputArtifacts", action.outputs),
        ):
            for name in names:
                yield from _name(f"{noun} artifact", name, _ARTIFACT_NAME)
            if kind and _is_whole(action.declared.get(key)):
                least, most = kind.inputs if noun == "input" else kind.outputs
                if not least <= len(names) <= most:
                    takes = f"{least}" if least == most else f"{least} to {most}"
                    yield f"{_count(len(names), noun + ' artifact')} for {action.provider}", f"it takes {takes}"
        yield from _repeated("input artifact", action.inputs, "name it once")
        for name in action.outputs:
            others = [other.where for other in self.makers[name] if other is not action]
            if known(name) and (others or action.outputs.count(name) > 1):
                also = f"by {_list(others)} too" if others else "twice"
                yield f"artifact {name!r} is made {also}", "give each output artifact of the pipeline a name of its own"
        yield from self._inputs(action)

    def _inputs(self, action: _Action) -> Iterator[Finding]:
        for name in filter(known, action.inputs):
            makers = self.makers.get(name, [])
            before = [maker for maker in makers if action.could_follow(maker)]
            if not makers and self.knows_artifacts:
                yield f"takes artifact {name!r}, which nothing makes", _did_you_mean(name, self.makers)
            elif makers and not before:
                yield (
                    f"takes artifact {name!r} of {makers[0].where}, which does not run before it",
                    "run it in a later stage, or with a higher RunOrder",
                )
            if any(_is_clone(maker) for maker in before) and not action.builds:
                yield (
                    f"takes artifact {name!r}, a full clone, which only CodeBuild can read",
                    "give it what a build makes of it, or set OutputArtifactFormat of the source to CODE_ZIP",
                )

    def _commands(self, action: _Action) -> Iterator[Finding]:
        declared, provider = action.declared, action.provider
        if provider == "Commands":
            if not declared.get("Commands"):
                yield "no commands", "list 1 to 50 in Commands"
            yield from _commands(declared.get("Commands"))
        elif declared.get("Commands") and known(provider):
            yield f"Commands in an action by {provider}", "only the action type Compute by Commands takes them"
        for key, most, owners in _OF_MANAGED_COMPUTE:
            items = declared.get(key)
            if items and known(provider) and action.owner == "AWS" and provider not in owners:
                yield f"{key} in an action by {provider}", f"only {' and '.join(owners)} take them"
            if isinstance(items, list) and len(items) > most:
                yield f"{len(items)} {key}", f"CodePipeline takes {most}"
        for variable in _dicts(declared.get("EnvironmentVariables")):
            name = variable.get("Name")
            yield from _name("environment variable", name, _ENVIRONMENT_NAME)
            value = variable.get("Value", UNKNOWN)
            yield from _length(f"environment variable {_shown(name)}", value, 1, 2000)
            if "\n" in _text(value):
                yield f"environment variable {_shown(name)} of several lines", "hand it over in a file of an artifact"
            type_ = _text(variable.get("Type", "PLAINTEXT"))
            valid = ("PLAINTEXT", "SECRETS_MANAGER") if provider == "Commands" else ("PLAINTEXT",)
            yield from _one_of(f"type of environment variable {_shown(name)}", type_, valid)
        for artifact in _dicts(declared.get("OutputArtifacts")):
            files = artifact.get("Files")
            if isinstance(files, list) and len(files) > 10:
                yield f"{len(files)} files in an output artifact", "name at most 10, with patterns such as build/**/*"

    def _change_set(self, action: _Action) -> Iterator[Finding]:
        """One of a name that all executions share, where they do not wait for each other."""
        if self.mode != "PARALLEL" or not _has_mode(action, "CHANGE_SET_REPLACE"):
            return
        name = (action.configuration or {}).get("ChangeSetName", "#{")
        executed = [
            other
            for other in self.actions
            if _has_mode(other, "CHANGE_SET_EXECUTE") and (other.configuration or {}).get("ChangeSetName") == name
        ]
        if known(name) and "#{" not in name and executed:
            yield (
                f"change set {name!r} in a pipeline in PARALLEL mode: before {executed[0].where} executes it, another "
                "execution may have replaced it",
                "run executions QUEUED or SUPERSEDED, or set ActionMode to CREATE_UPDATE",
            )

    def _references(self, action: _Action) -> Iterator[Finding]:
        texts = list((action.configuration or {}).values())
        texts += map(_text, _list_of(action.declared.get("Commands")))
        texts += [_text(each.get("Value", "")) for each in _dicts(action.declared.get("EnvironmentVariables"))]
        for namespace, key in sorted({match.groups() for text in texts for match in _REFERENCE.finditer(text)}):
            yield from self._reference(action, namespace, key)

    def _reference(self, action: _Action, namespace: str, key: str) -> Iterator[Finding]:
        text = f"#{{{namespace}.{key}}}"
        if namespace == "codepipeline":
            if key != "PipelineExecutionId":
                yield f"{text} is no variable of CodePipeline", "there is #{codepipeline.PipelineExecutionId} only"
        elif namespace == "variables":
            names = self._variable_names()
            if action.category == "Source":
                yield f"{text} in a source action, which knows no pipeline variables", "write the value itself"
            elif key not in names and _is_whole(self.structure.get("Variables")) and all(map(known, names)):
                fix = _did_you_mean(key, names) if names else "declare it in the pipeline's Variables"
                yield f"{text} is no variable of this pipeline", fix
        elif namespace in self.namespaces:
            makers = self.namespaces[namespace]
            if not any(action.could_follow(maker) for maker in makers):
                yield (
                    f"{text} comes from {makers[0].where}, which does not run before it",
                    "use it in a later stage, or with a higher RunOrder",
                )
            variables = makers[0].kind.variables if makers[0].kind else None
            if variables is not None and key not in variables:
                fix = _did_you_mean(key, variables) if variables else "take it from a build, a stack or a function"
                yield f"{makers[0].provider} puts out no variable {key!r}, as in {text}", fix
        elif self.knows_namespaces:
            names = [*self.namespaces, "variables", "codepipeline"]
            yield f"{text} is of a namespace that no action has", _did_you_mean(namespace, names)

    def _namespace(self, action: _Action) -> Iterator[Finding]:
        namespace = action.text("Namespace")
        if not namespace or not known(namespace):
            return
        yield from _name("namespace", namespace, _NAMESPACE)
        others = [other.where for other in self.namespaces[namespace] if other is not action]
        if others:
            yield f"namespace {namespace!r} is also that of {_list(others)}", "give each action a namespace of its own"
        if namespace in ("variables", "codepipeline"):
            yield f"namespace {namespace!r} is CodePipeline's own", "call it otherwise"
        if namespace in self.makers:
            yield f"namespace {namespace!r} is also the name of an artifact", f"call it {namespace + 'Variables'!r}"

    def _place(self, action: _Action) -> Iterator[Finding]:
        region = self._region(action)
        here = action.category == "Source" or action.owner in ("ThirdParty", "Custom")
        if here and self.region and region and known(region) and region != self.region:
            what = "a source" if action.category == "Source" else f"an action of owner {action.owner}"
            yield (
                f"{what} in {region}, another region than the pipeline's",
                f"leave Region out, to run in {self.region}",
            )
        yield from _timeout(action, action.category == "Approval")

    def _rule(self, rule: _Action) -> Iterator[Finding]:
        yield from _name("rule", rule.declared.get("Name"), _NAME)
        yield from _one_of("provider of the rule", rule.provider, tuple(RULE_TYPES))
        yield from self._artifacts(rule)
        yield from _configuration(rule, most_keys=200, most_characters=10000)
        if rule.provider == "Commands" and not rule.declared.get("Commands"):
            yield "no commands", "list 1 to 50 in Commands"
        yield from _commands(rule.declared.get("Commands"))
        yield from self._references(rule)
        yield from _timeout(rule, True)


_SLOTS: Mapping[str, Sequence[str]] = {
    "BeforeEntry": ("FAIL", "SKIP"),
    "OnSuccess": ("ROLLBACK", "FAIL"),
    "OnFailure": ("ROLLBACK", "FAIL"),
}
"""Where a stage can have conditions, and what they can result in.

https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html
"""

_CATEGORIES = ("Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute")
# Key, how many, and the providers that take it.
_OF_MANAGED_COMPUTE = (
    ("OutputVariables", 15, ("Commands",)),
    ("EnvironmentVariables", 10, ("Commands", "EKS")),
)
_NAME = re.compile(r"[A-Za-z0-9.@_-]{1,100}"), "1 to 100 letters, digits, '.', '@', '-' and '_'"
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}"), "1 to 100 letters, digits, '-' and '_'"
_NAMESPACE = re.compile(r"[A-Za-z0-9@_-]{1,100}"), "1 to 100 letters, digits, '@', '-' and '_'"
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9@_-]{1,128}"), "1 to 128 letters, digits, '@', '-' and '_'"
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z0-9_]{1,128}"), "1 to 128 letters, digits and '_'"
_PROVIDER = re.compile(r"[0-9A-Za-z_-]{1,35}"), "1 to 35 letters, digits, '-' and '_'"
_VERSION = re.compile(r"[0-9A-Za-z_-]{1,9}"), "1 to 9 letters, digits, '-' and '_'"
_REFERENCE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.([^{}\s\0]+)\}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")
_SUBSTITUTION = re.compile(r"\$\{(!?)([^}]*)\}")
_Pattern = tuple[re.Pattern[str], str]


def _action(declared: Mapping[str, Any], *, stage: int, path: str) -> _Action:
    kind, order = _mapping(declared.get("ActionTypeId")), declared.get("RunOrder", 1)
    return _Action(
        where=f"{path}/{_text(declared.get('Name', ''))}".replace(UNKNOWN, "?"),
        name=_text(declared.get("Name", "")),
        stage=stage,
        order=int(_text(order)) if _text(order).isdecimal() else None,
        declared=declared,
        category=_text(kind.get("Category", UNKNOWN)),
        owner=_text(kind.get("Owner", UNKNOWN)),
        provider=_text(kind.get("Provider", UNKNOWN)),
        inputs=_artifact_names(declared.get("InputArtifacts")),
        outputs=_artifact_names(declared.get("OutputArtifacts")),
        configuration=_settings(declared.get("Configuration", {})),
    )


def _rules(stage: Mapping[str, Any], slot: str, number: int, path: str) -> Iterator[_Action]:
    for condition in _dicts(_mapping(stage.get(slot)).get("Conditions")):
        for declared in _dicts(condition.get("Rules")):
            yield _Action(
                where=f"{path}/{slot}/{_text(declared.get('Name', ''))}".replace(UNKNOWN, "?"),
                name=_text(declared.get("Name", "")),
                stage=number,
                # Before the first action of the stage, or after the last.
                order=0 if slot == "BeforeEntry" else 1000,
                declared=declared,
                category="Rule",
                owner="AWS",
                provider=_text(_mapping(declared.get("RuleTypeId")).get("Provider", UNKNOWN)),
                inputs=_artifact_names(declared.get("InputArtifacts")),
                outputs=(),
                configuration=_settings(declared.get("Configuration", {})),
            )


def _configuration(action: _Action, *, most_keys: int, most_characters: int) -> Iterator[Finding]:
    settings, kind = action.configuration, action.kind
    if settings is None:
        return
    if len(settings) > most_keys:
        yield f"a configuration of {len(settings)} keys", f"CodePipeline takes {most_keys}"
    for key, value in action.declared.get("Configuration", {}).items():
        if isinstance(value, list) or (isinstance(value, Mapping) and not _is_intrinsic(value)):
            noun = "a list" if isinstance(value, list) else "an object"
            yield f"{key} in its configuration is {noun}", "write it as text; for JSON, Stack.to_json_string()"
            continue
        yield from _length(f"key {key!r} of its configuration", key, 1, 50)
        yield from _length(f"{key} in its configuration", value, 1, most_characters)
    if kind is None:
        return
    if not kind.open_ended:
        for key in settings:
            if key not in (*kind.needs, *kind.takes):
                valid = [*kind.needs, *kind.takes]
                yield f"{action.provider} has no setting {key!r}", _did_you_mean(key, valid)
    for key in kind.needs:
        if key not in settings:
            yield f"{key} is left out, which {action.provider} needs", f"set {key} in its configuration"
    for key, values in kind.values.items():
        text = settings.get(key, values[0])
        if known(text) and "#{" not in text and text.lower() not in map(str.lower, values):
            yield f"{key}={text!r}", f"use {_list(values)}"
    if kind.check is not None and _is_whole(action.declared.get("InputArtifacts")):
        yield from kind.check(settings, action.inputs)


def _commands(commands: Any) -> Iterator[Finding]:
    texts = [_text(command) for command in _list_of(commands)]
    if len(texts) > 50:
        yield f"{len(texts)} commands", "CodePipeline takes 50; put them into a script"
    for text in texts:
        if "\n" in text.strip():
            yield (
                f"command of several lines: {text.strip()[:60]!r}",
                "make each line a command, or put them into a script",
            )
        yield from _length(f"command {text[:40]!r}", text, 1, 1000)


def _filter(event: str, each: Mapping[str, Any]) -> Iterator[Finding]:
    events = [_text(name) for name in _list_of(each.get("Events"))]
    for name in events:
        yield from _one_of("event of a pull request", name, ("OPEN", "UPDATED", "CLOSED"))
    for key in ("Tags", "Branches", "FilePaths"):
        for which, patterns in _mapping(each.get(key)).items():
            if _is_whole(patterns) and not 1 <= len(_list_of(patterns)) <= 8:
                yield f"{_count(len(_list_of(patterns)), 'pattern')} in {key}.{which} for {event}", "give it 1 to 8"
            for pattern in _list_of(patterns):
                yield from _length(f"a pattern in {key}.{which} for {event}", pattern, 1, 255)


def _timeout(action: _Action, has_one: bool) -> Iterator[Finding]:
    timeout = action.declared.get("TimeoutInMinutes")
    if timeout is None or not known(action.category):
        return
    if not has_one:
        yield (
            f"TimeoutInMinutes={_shown(timeout)} for an action by {action.provider}",
            "leave it out: only approvals have one; bound the build, the deployment or the function itself",
        )
    elif known(_text(timeout)) and not (_text(timeout).isdecimal() and 5 <= int(_text(timeout)) <= 86400):
        yield f"TimeoutInMinutes={timeout!r}", "use whole minutes, 5 to 86400 (60 days)"


def _has_mode(action: _Action, mode: str) -> bool:
    return action.provider == "CloudFormation" and (action.configuration or {}).get("ActionMode") == mode


def _is_clone(action: _Action) -> bool:
    return (action.configuration or {}).get("OutputArtifactFormat") == "CODEBUILD_CLONE_REF"


def _name(noun: str, value: Any, pattern: _Pattern) -> Iterator[Finding]:
    text = _text(UNKNOWN if value is None else value)
    if known(text) and not pattern[0].fullmatch(text):
        yield (
            f"{noun} name {text!r}" if noun not in ("provider", "version") else f"{noun} {text!r}",
            f"use {pattern[1]}",
        )


def _one_of(noun: str, text: str, values: Sequence[str]) -> Iterator[Finding]:
    if known(text) and text not in values:
        near = _nearest(text, values)
        yield f"{noun} {text!r}", f"did you mean {near!r}?" if near else f"use {_list(values)}"


def _length(noun: str, value: Any, least: int, most: int) -> Iterator[Finding]:
    text = _text(value)
    count = len(text.replace(UNKNOWN, ""))
    # What is not known yet can only make it longer.
    if count > most or (known(text) and count < least):
        yield f"{noun} has {_count(count, 'character')}", f"use {least} to {most}"


def _repeated(noun: str, names: Sequence[str], fix: str) -> Iterator[Finding]:
    for name in dict.fromkeys(names):
        if name and known(name) and names.count(name) > 1:
            yield f"{noun} {name!r} is there {names.count(name)} times", fix


def _did_you_mean(word: str, valid: Iterable[str]) -> str:
    names = [name for name in valid if known(name)]
    near = _nearest(word, names)
    if near:
        return f"did you mean {near!r}?"
    return f"use one of {_list(names)}" if names else "remove it"


def _list(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" + ("" if number == 1 else "s")


def _shown(value: Any) -> str:
    text = _text(value)
    return repr(text.replace(UNKNOWN, "?"))


def _text(value: Any) -> str:
    """A value as text, with `UNKNOWN` for each part that is only known at deployment."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _DYNAMIC.sub(UNKNOWN, value)
        case int() | float():
            return str(value)
        case {"Fn::Join": [str() as delimiter, list() as parts]}:
            return delimiter.join(map(_text, parts))
        case {"Fn::Sub": str() as text} | {"Fn::Sub": [str() as text, _]}:
            return _SUBSTITUTION.sub(lambda found: f"${{{found[2]}}}" if found[1] else UNKNOWN, text)
        case _:
            return UNKNOWN


def _settings(configuration: Any) -> Mapping[str, str] | None:
    """Keys and values of a configuration; None when it is only known at deployment."""
    if not isinstance(configuration, Mapping) or _is_intrinsic(configuration):
        return None
    return {str(key): _text(value) for key, value in configuration.items()}


def _artifact_names(artifacts: Any) -> list[str]:
    return [_text(artifact.get("Name", "")) for artifact in _dicts(artifacts)]


def _is_intrinsic(value: Any) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    (key,) = value
    return key in ("Ref", "Condition") or str(key).startswith("Fn::")


def _is_whole(items: Any) -> bool:
    """Whether every item of a list is known; a list that is left out has none."""
    return items is None or (isinstance(items, list) and not any(map(_is_intrinsic, items)))


def _list_of(items: Any) -> list[Any]:
    return items if isinstance(items, list) else []


def _dicts(items: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list_of(items) if isinstance(item, Mapping) and not _is_intrinsic(item)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) and not _is_intrinsic(value) else {}


def _without_no_value(value: Any) -> Any:
    """The structure without properties that are left out by `AWS::NoValue`."""
    if isinstance(value, Mapping):
        return {key: _without_no_value(item) for key, item in value.items() if item != _NO_VALUE}
    if isinstance(value, list):
        return [_without_no_value(item) for item in value if item != _NO_VALUE]
    return value


_NO_VALUE = {"Ref": "AWS::NoValue"}


def _nearest(word: str, valid: Iterable[str]) -> str | None:
    # Here, since most pipelines have no mistake, and what this is beside reads YAML.
    from code_family_constructs.documents import nearest

    return nearest(word, list(valid))
