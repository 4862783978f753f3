"""Renders what CodePipeline's CodeDeployToECS releases: the task definition of the stack, and the AppSpec.

The image stays a placeholder, which CodeDeployToECS replaces with the one that the build has pushed.
"""

import json
import os
from typing import Any

import boto3

from code_family_constructs.handlers.pipeline_job import PATIENT, run, write_artifact
from code_family_constructs.handlers.task_definition import registered, with_image


def handler(event: dict[str, Any], context: Any) -> None:
    run(event, context, render)


def render(data: dict[str, Any]) -> dict[str, Any]:
    settings = json.loads(os.environ["CODE_FAMILY_RELEASE"])
    arn = settings["taskDefinition"]
    ecs = boto3.client("ecs", config=PATIENT)
    definition = with_image(registered(ecs, arn), settings["container"], settings["placeholder"])
    write_artifact(data, {"taskdef.json": json.dumps(definition, indent=2), "appspec.yaml": settings["appspec"]})
    return {"executionDetails": {"summary": f"rendered {arn.rpartition('/')[2]}", "percentComplete": 100}}
