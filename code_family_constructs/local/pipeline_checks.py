"""The structure of a pipeline, checked as CreatePipeline and UpdatePipeline do it.

That is what a source stage may hold, unique names, artifacts and variables of earlier actions, what only a V2 pipeline
can have, and an artifact store for each region that has actions, with a bucket that is there. Not looked at: the bucket
of a pipeline with one store, configurations of actions, and the roles of actions, which nobody assumes.
"""

import re
from collections.abc import Iterator

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import ApiError, CallError, Json, call


def check(pipeline: Json) -> None:
    """Raise the API's error for the first thing that is wrong with a pipeline."""
    for code, problems in (
        ("InvalidStructureException", _problems),
        ("InvalidStructureException", _bucket_problems),
        ("InvalidActionDeclarationException", _namespace_problems),
    ):
        for problem in problems(pipeline):
            raise ApiError(code, problem)


def _problems(pipeline: Json) -> Iterator[str]:
    stages = pipeline["stages"]
    if len(stages) < 2:
        yield f"Pipeline has only {len(stages)} stage(s). There should be a minimum of 2 stages in a pipeline"
    if ("artifactStore" in pipeline) == ("artifactStores" in pipeline):
        yield "You must include either artifactStore or artifactStores in your pipeline, but you cannot use both"
    else:
        yield from _region_problems(pipeline)
    yield from _repeated("stage", [stage["name"] for stage in stages])
    made: set[str] = set()
    for number, stage in enumerate(stages):
        yield from _stage_problems(number, stage, made)
        made.update(item["name"] for action in stage["actions"] for item in action.get("outputArtifacts", []))
    if pipeline.get("pipelineType", "V1") == "V1":
        yield from _needs_v2(pipeline)


def _stage_problems(number: int, stage: Json, made: set[str]) -> Iterator[str]:
    if not stage["actions"]:
        yield f"Stage {stage['name']} has no actions"
    yield from _repeated("action", [action["name"] for action in stage["actions"]])
    available = set(made)
    for action in sorted(stage["actions"], key=lambda item: item.get("runOrder", 1)):
        is_source = action["actionTypeId"]["category"] == "Source"
        if number == 0 and not is_source:
            yield f"Pipeline should start with a stage that only contains source actions; {action['name']} is not one"
        if number > 0 and is_source:
            yield f"Stage {stage['name']} has the source action {action['name']}; only the first stage may have one"
        for artifact in action.get("inputArtifacts", []):
            if artifact["name"] not in available:
                yield (
                    f"Action {action['name']} declares the input artifact {artifact['name']}, "
                    "which is not an output artifact of any previous action"
                )
        for artifact in action.get("outputArtifacts", []):
            if artifact["name"] in available:
                yield f"Output artifact {artifact['name']} of {action['name']} is made by another action already"
            available.add(artifact["name"])


def _region_problems(pipeline: Json) -> Iterator[str]:
    home, stores = _ministack.region(), pipeline.get("artifactStores")
    if stores is not None and home not in stores:
        yield f"artifactStores has none for {home}, the region of the pipeline"
    for action in (action for stage in pipeline["stages"] for action in stage["actions"]):
        region = action.get("region", home)
        if stores is None and region != home:
            yield f"Action {action['name']} is in region {region}: use artifactStores, not artifactStore"
        if stores is not None and region not in stores:
            yield f"Action {action['name']} is in region {region}, and artifactStores has none for that region"


def _bucket_problems(pipeline: Json) -> Iterator[str]:
    for region, store in pipeline.get("artifactStores", {}).items():
        problem = _problem_of_bucket(store["location"], region)
        if problem:
            yield f"An error occurred while validating the artifact bucket '{store['location']}': {problem}"


def _problem_of_bucket(bucket: str, region: str) -> str | None:
    try:
        # S3 calls the oldest region nothing.
        found = call("s3", "get_bucket_location", Bucket=bucket).get("LocationConstraint") or "us-east-1"
    except CallError as error:
        if error.code != "NoSuchBucket":
            return str(error)
        return (
            f"No bucket with the name {bucket} was found. Choose a valid artifact bucket in '{region}', "
            "or create a new artifact bucket to use in your pipeline"
        )
    return None if found == region else f"The bucket named {bucket} is not located in the {region} AWS region"


def _namespace_problems(pipeline: Json) -> Iterator[str]:
    actions = [
        ((number, action.get("runOrder", 1)), f"StageName=[{stage['name']}], ActionName=[{action['name']}]", action)
        for number, stage in enumerate(pipeline["stages"])
        for action in stage["actions"]
    ]
    artifacts = {item["name"] for _, _, action in actions for item in action.get("outputArtifacts", [])}
    # CodePipeline's own have variables from the beginning.
    places = {"codepipeline": (-1, 0), "variables": (-1, 0)}
    for place, where, action in actions:
        namespace = action.get("namespace")
        if namespace in places:
            yield (
                "Namespaces must be unique across the pipeline definition. The following occur more than once in the "
                f"pipeline. {where}, Namespace=[{namespace}]"
            )
        if namespace in artifacts:
            yield f"Namespaces must not have the name of an output artifact. {where}, Namespace=[{namespace}]"
        if namespace:
            places[namespace] = place
    for place, where, action in actions:
        for key, text in action.get("configuration", {}).items():
            for namespace, variable in _REFERENCE.findall(text):
                if places.get(namespace, place) >= place:
                    yield (
                        "Valid format for a pipeline execution variable reference is a namespace and a key separated "
                        "by a period (.). The following pipeline execution variables are referencing a namespace that "
                        f"does not exist. {where}, ActionConfigurationKey=[{key}], "
                        f"VariableReferenceText=[{namespace}.{variable}]"
                    )


# https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
_REFERENCE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.([^{}\s]+)\}")


def _needs_v2(pipeline: Json) -> Iterator[str]:
    for key in ("triggers", "variables"):
        if pipeline.get(key):
            yield f"Pipeline of type V1 cannot have {key}; use type V2"
    if pipeline.get("executionMode", "SUPERSEDED") != "SUPERSEDED":
        yield f"Pipeline of type V1 cannot have execution mode {pipeline['executionMode']}; use type V2"
    for stage in pipeline["stages"]:
        for key in ("beforeEntry", "onSuccess", "onFailure"):
            if key in stage:
                yield f"Stage {stage['name']} of a pipeline of type V1 cannot have {key}; use type V2"


def _repeated(noun: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if names.count(name) > 1:
            yield f"The {noun} name {name} is used more than once"
