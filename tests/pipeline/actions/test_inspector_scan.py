"""Amazon Inspector: what CodePipeline would refuse, and what could not be scanned."""

from typing import Any

import pytest
from aws_cdk import aws_ecr as ecr

from code_family_constructs.pipeline.actions.inspector_scan import InspectorScan
from tests.helpers import a_stack, refuses
from tests.pipeline.actions.stages import elsewhere


def an_action(**settings: Any) -> InspectorScan:
    return InspectorScan(**{"output_artifact": "Sbom", **settings})


REPOSITORY = ecr.Repository.from_repository_name(a_stack(), "Images", "shop")


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"output_artifact": "my sbom"}, "artifact name 'my sbom'", "[A-Za-z0-9_-]"),
        ({"input_artifact": "my app"}, "artifact name 'my app'", "[A-Za-z0-9_-]"),
        ({"repository": REPOSITORY}, "its repository and its tag", "give both"),
        ({"image_tag": "1.0"}, "its repository and its tag", "give both"),
        ({"repository": REPOSITORY, "image_tag": "1", "input_artifact": "App"}, "an artifact and an image", "two"),
        ({"repository": REPOSITORY, "image_tag": "-1"}, "image tag name '-1' starts with '-'", "[A-Za-z0-9_]"),
        ({"critical_threshold": -1}, "critical_threshold=-1", "from 0 on"),
        ({"high_threshold": "5"}, "high_threshold='5'", "a whole number"),
        ({"medium_threshold": 1.5}, "medium_threshold=1.5", "a whole number"),
        ({"low_threshold": True}, "low_threshold=True", "a whole number"),
    ],
)
def test_what_aws_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="InspectorScan", fix=fix):
        an_action(**settings)


def test_a_repository_elsewhere_goes_by_its_name():
    assert an_action(repository=REPOSITORY, image_tag="1.0").stage_action(elsewhere()).permissions
    action = an_action(repository=ecr.Repository(a_stack(), "Made"), image_tag="1.0")
    with refuses(
        "the repository is in another", at="Shop-Pipeline/Production/Deploy", fix="give the repository a name"
    ):
        action.stage_action(elsewhere())
