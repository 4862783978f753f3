"""Floor 2: the whole of a pipeline is looked at when its stack is synthesized, whoever added to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline
from constructs import IValidation

from code_family_constructs.pipeline.structure_checks import problems_of


@jsii.implements(IValidation)
class StructureValidation:
    """Asked when no more stages can come.

    Args:
        pipeline: The pipeline.
        stack: Its stack.
        execution_mode: What it was made with.
        regions: The pipeline's own, `None` when it is not known, and those of further artifact stores.
        overrides: Stage → position of an action → properties that aws-cdk-lib does not know of.
    """

    def __init__(
        self,
        pipeline: codepipeline.Pipeline,
        stack: Stack,
        regions: Sequence[str | None],
        execution_mode: codepipeline.ExecutionMode,
        overrides: Mapping[str, Mapping[int, Mapping[str, Any]]],
    ) -> None:
        self._pipeline, self._stack, self._region = pipeline, stack, regions[0]
        self._execution_mode, self._overrides = execution_mode, overrides
        store = {"Type": "S3", "Location": "artifacts"}
        self._stores: dict[str, Any] = (
            {"ArtifactStores": [{"Region": region, "ArtifactStore": store} for region in regions]}
            if len(regions) > 1
            else {"ArtifactStore": store}
        )

    def validate(self) -> list[str]:
        resource: Any = self._pipeline.node.default_child
        given = {"stages": resource.stages, "triggers": resource.triggers, "variables": resource.variables}
        resolved: Any = self._stack.resolve(given)
        stages = _as_declared(resolved["stages"])
        if len(stages) < 2:
            return [
                "a pipeline with a source alone, CodePipeline wants two stages; fix: give build=, or call add_stage()"
            ]
        for stage in stages:
            for index, properties in self._overrides.get(stage["Name"], {}).items():
                stage["Actions"][index].update(properties)
        structure = {
            "PipelineType": "V2",
            "ExecutionMode": self._execution_mode.value,
            "Stages": stages,
            "Triggers": _as_declared(resolved.get("triggers", [])),
            "Variables": _as_declared(resolved.get("variables", [])),
            **self._stores,
        }
        return [str(problem) for problem in problems_of(structure, region=self._region)]


def _as_declared(value: Any) -> Any:
    """What aws-cdk-lib resolves, in CloudFormation's case; settings of actions are as they were written."""
    if isinstance(value, list):
        return [_as_declared(item) for item in value]
    if not isinstance(value, dict) or any(key == "Ref" or key.startswith("Fn::") for key in value):
        return value
    return {
        f"{key[:1].upper()}{key[1:]}": item if key == "configuration" else _as_declared(item)
        for key, item in value.items()
    }
