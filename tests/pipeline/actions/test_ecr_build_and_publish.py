"""Images by CodePipeline's own action: what ECR would refuse at the first release, or at the second."""

from typing import Any

import pytest
from aws_cdk import aws_ecr as ecr

from code_family_constructs.pipeline.actions.ecr_build_and_publish import EcrBuildAndPublish
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

REPOSITORY = ecr.Repository.from_repository_name(a_stack(), "Images", "shop")


def an_action(**settings: Any) -> EcrBuildAndPublish:
    return EcrBuildAndPublish(**{"repository": REPOSITORY, **settings})


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"image_tags": []}, "no image_tags", "give one at least"),
        ({"image_tags": "latest"}, "image_tags='latest' is no list", "image_tags=["),
        ({"image_tags": ["1,2"]}, "image tag name '1,2'", "[A-Za-z0-9_.-]"),
        ({"image_tags": ["-1"]}, "image tag name '-1' starts with '-'", "[A-Za-z0-9_]"),
        ({"image_tags": [f"release-{n:0120}" for n in range(9)]}, "image_tags of 1160 characters", "fewer"),
        ({"input_artifact": "my app"}, "artifact name 'my app'", "[A-Za-z0-9_-]"),
        ({"dockerfile_directory_path": ""}, "dockerfile_directory_path of 0 characters", "name a folder"),
    ],
)
def test_what_aws_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="EcrBuildAndPublish", fix=fix):
        an_action(**settings)


IMMUTABLE: dict[str, Any] = {"image_tag_mutability": ecr.TagMutability.IMMUTABLE}


def test_a_tag_that_never_changes_is_refused_where_tags_cannot_be_moved():
    repository = ecr.Repository(a_stack(), "Images", **IMMUTABLE)
    with refuses("tag 'latest' in repository 'Shop/Images'", at="EcrBuildAndPublish", fix="PipelineExecutionId"):
        an_action(repository=repository, image_tags=["#{AppVariables.CommitId}", "latest"])


@pytest.mark.parametrize(
    ("repository", "tags"),
    [
        (IMMUTABLE, ["#{AppVariables.CommitId}"]),
        ({}, ["latest"]),
        (
            {
                "image_tag_mutability": ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,
                "image_tag_mutability_exclusion_filters": [ecr.ImageTagMutabilityExclusionFilter.wildcard("latest")],
            },
            ["latest"],
        ),
    ],
)
def test_tags_that_can_be_given_again_are_taken(repository, tags):
    action = an_action(repository=ecr.Repository(a_stack(), "Images", **repository), image_tags=tags)
    assert action.stage_action(a_context()).permissions


def test_a_repository_elsewhere_goes_by_its_name():
    assert an_action().stage_action(elsewhere()).permissions
    action = an_action(repository=ecr.Repository(a_stack(), "Made"))
    with refuses(
        "the repository is in another", at="Shop-Pipeline/Production/Deploy", fix="give the repository a name"
    ):
        action.stage_action(elsewhere())
