"""Variables of a pipeline: what CodePipeline takes, and what it would refuse."""

import pytest
from aws_cdk import CfnParameter

from code_family_constructs import PipelineVariable
from code_family_constructs.pipeline.variables import check_variables
from tests.helpers import a_stack, refuses


def test_a_variable_is_referred_to_by_its_name():
    assert PipelineVariable(name="DEPLOY_ENV").reference == "#{variables.DEPLOY_ENV}"


def test_defaults_are_told_by_name():
    variables = [PipelineVariable(name="A", default="1"), PipelineVariable(name="B")]
    assert check_variables(a_stack(), variables) == {"A": "1", "B": None}


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"name": "a b"}, "has ' ' in it", "1 to 128 characters"),
        ({"name": "a" * 129}, "has 129 characters", "1 to 128 characters"),
        ({"default": 5}, "default=5 is no text", "write default='5'"),
        ({"default": ""}, "default of 0 characters", "or leave it out"),
        ({"default": "a" * 1001}, "default of 1001 characters", "use 1 to 1000"),
        # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineVariableDeclaration.html
        ({"default": "a\nb"}, "default of 3 characters on 2 lines", "on one line"),
        ({"description": "a" * 201}, "description of 201 characters", "use 1 to 200"),
        ({"description": "a\n"}, "description of 2 characters on 2 lines", "on one line"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value[:20],
)
def test_fails_when_codepipeline_would_refuse_it(settings, problem, fix):
    given = {"name": "ENV", **settings}
    with refuses(problem, at=f"PipelineVariable {given['name']!r}", fix=fix):
        PipelineVariable(**given)


def test_fails_when_two_have_one_name():
    with refuses("two variables are called 'A'", at="Shop", fix="a name of its own"):
        check_variables(a_stack(), [PipelineVariable(name="A"), PipelineVariable(name="A", default="1")])


def test_a_parameter_is_let_through():
    later = CfnParameter(a_stack(), "Later").value_as_string
    assert check_variables(a_stack(), [PipelineVariable(name="A", default=later)]) == {"A": later}
