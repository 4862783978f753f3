"""Starting another pipeline: what CodePipeline would refuse, and what would never end."""

from typing import Any

import pytest
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from code_family_constructs.pipeline.actions.pipeline_invoke import PipelineInvoke
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

AT = "PipelineInvoke"


def a_pipeline(name: str = "Other") -> codepipeline.IPipeline:
    arn = f"arn:aws:codepipeline:eu-central-1:111122223333:{name}"
    return codepipeline.Pipeline.from_pipeline_arn(a_stack(), "Other", arn)


def a_revision(action: str = "Source", value: str = "0a1b", kind: Any = None) -> actions.SourceRevision:
    kind = kind or actions.RevisionType.COMMIT_ID
    return actions.SourceRevision(action_name=action, revision_type=kind, revision_value=value)


def an_action(**settings: Any) -> PipelineInvoke:
    return PipelineInvoke(**{"pipeline": a_pipeline(), **settings})


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"pipeline": "Other"}, "str where a pipeline belongs", "from_pipeline_arn"),
        ({"variables": {f"v{n}": "1" for n in range(51)}}, "51 variables, a pipeline has 50", "those it declares"),
        ({"variables": {"a b": "1"}}, "variable name 'a b'", "[A-Za-z0-9@_-]"),
        ({"variables": {"a": ""}}, "variable a of 0 characters", "or leave it out"),
        ({"variables": {"a": "x" * 1001}}, "variable a of 1001 characters", "use 1 to 1000"),
        ({"variables": {"a": "x" * 990}}, "variables of 1015 characters", "hand less over"),
        ({"source_revisions": [a_revision(value="")]}, "no revision for source 'Source'", "give revision_value="),
        ({"source_revisions": [a_revision(), a_revision()]}, "two revisions for source 'Source'", "one for each"),
        ({"source_revisions": [a_revision(value="x" * 1000)]}, "source_revisions of 1", "hand less over"),
    ],
)
def test_what_codepipeline_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at=AT, fix=fix):
        an_action(**settings)


def test_an_object_of_s3_may_be_told_by_key_and_version():
    key = a_revision(kind=actions.RevisionType.S3_OBJECT_KEY)
    version = a_revision(kind=actions.RevisionType.S3_OBJECT_VERSION_ID)
    assert an_action(source_revisions=[key, version]).source_revisions == [key, version]


def test_a_pipeline_that_starts_itself_is_refused():
    with refuses("starts itself, again and again", at="Shop-Pipeline/Production/Deploy", fix="start another one"):
        an_action(pipeline=a_pipeline("Shop-Pipeline")).stage_action(a_context())


def test_a_pipeline_elsewhere_is_the_one_of_that_region():
    [statement] = an_action().stage_action(elsewhere()).permissions
    assert statement.resources[0].split(":")[3:4] == ["eu-central-1"]
