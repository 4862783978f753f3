"""Names: what AWS takes is accepted, what it refuses is refused here, and what is made up is always fine."""

import re

import pytest
from aws_cdk import App, CfnParameter, NestedStack, Stack, Stage
from aws_cdk import aws_ec2 as ec2
from constructs import Construct
from hypothesis import given, settings
from hypothesis import strategies as st

from code_family_constructs.build.project import _PROJECT_NAME
from code_family_constructs.deploy.ec2_targets import APPLICATION_NAME
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import (
    NameRule,
    check_count,
    check_environment_size,
    check_list,
    check_name,
    physical_name,
)
from code_family_constructs.pipeline.delivery_pipeline import _ARTIFACT_NAME, _PIPELINE_NAME, _STAGE_NAME
from tests.helpers import a_stack, refuses

SHORT = NameRule("thing", "[a-z]", 3)

# As the API references of CodePipeline, CodeBuild and CodeDeploy write them.
OF_AWS = {
    "pipeline": (_PIPELINE_NAME, r"[A-Za-z0-9.@\-_]{1,100}"),
    "stage": (_STAGE_NAME, r"[A-Za-z0-9.@\-_]{1,100}"),
    "artifact": (_ARTIFACT_NAME, r"[a-zA-Z0-9_\-]{1,100}"),
    "project": (_PROJECT_NAME, r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}"),
    "application": (APPLICATION_NAME, r"[A-Za-z0-9+=,.@_\-]{1,100}"),
}

ANYWHERE = a_stack()


def accepts(rule, name):
    try:
        check_name(ANYWHERE, name, rule)
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize("what", OF_AWS)
@given(data=st.data())
def test_names_are_accepted_exactly_when_aws_accepts_them(what, data):
    rule, pattern = OF_AWS[what]
    name = data.draw(
        st.one_of(
            st.from_regex(pattern, fullmatch=True),
            st.text(st.sampled_from("aZ0-_.@+=, /é\n"), max_size=4),
            st.integers(98, 152).map("x".__mul__),
        )
    )
    assert accepts(rule, name) == bool(re.fullmatch(pattern, name))


# Without control characters: nobody types those into an id.
IDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8), max_size=3)


@pytest.mark.parametrize("what", OF_AWS)
@settings(max_examples=25)
@given(ids=IDS)
def test_names_made_of_any_construct_ids_are_accepted(what, ids):
    rule, pattern = OF_AWS[what]
    scope: Construct = Stack(App(), "Shop")
    for id_ in ids:
        scope = Construct(scope, id_)
    assert re.fullmatch(pattern, physical_name(Construct(scope, "Last/One"), scope, "Last/One", None, rule))


def test_name_tells_the_stack_and_the_place_in_it():
    assert name_of(Construct(a_stack(), "Web")) == "Shop-Web-Build"


def test_name_tells_the_stage_that_the_stack_is_in():
    stack = Stack(Stage(App(), "Production"), "Shop")
    assert name_of(stack) == "Production-Shop-Build"


def test_in_a_nested_stack_the_name_tells_the_outermost_stack_and_the_way_from_there():
    """A nested stack's own name is only known at deploy time, and nearly as long as most names may be."""
    inner = NestedStack(NestedStack(Stack(App(), "Shop", stack_name="shop-staging"), "Nested"), "Inner")
    assert name_of(inner) == "shop-staging-Nested-Inner-Build"
    assert name_of(Construct(inner, "Web")) == "shop-staging-Nested-Inner-Web-Build"


def test_fails_when_a_name_made_in_a_nested_stack_is_too_long():
    nested = NestedStack(a_stack(), "Nested")
    with refuses("152 characters", at="Shop/Nested/" + "a" * 140, fix="give it a shorter project_name="):
        name_of(nested, id="a" * 140)


def test_a_given_name_is_taken_as_it_is():
    assert name_of(a_stack(), "checkout") == "checkout"


def test_a_name_from_a_parameter_is_let_through():
    stack = a_stack()
    name = CfnParameter(stack, "Name").value_as_string
    assert name_of(stack, name) == name


def test_fails_when_the_name_is_empty():
    with refuses("thing name is empty", at="Shop", fix="use 1 to 3 characters out of [a-z]"):
        check_name(a_stack(), "", SHORT)


def test_fails_when_the_name_has_characters_that_aws_refuses():
    with refuses("'a b!'", "' ' '!' in it", at="Shop", fix="use 1 to 3 characters out of [a-z]"):
        check_name(a_stack(), "a b!", SHORT)


def test_fails_when_the_name_is_too_long():
    check_name(ANYWHERE, "abc", SHORT)
    with refuses("'abcd' has 4 characters", "takes 1 to 3", at="Shop", fix="use 1 to 3 characters"):
        check_name(ANYWHERE, "abcd", SHORT)


def test_fails_when_a_made_name_is_too_long_with_the_argument_that_helps():
    with refuses("151 characters", at="Shop/" + "a" * 146, fix="give it a shorter project_name="):
        name_of(a_stack(), id="a" * 146)


def name_of(scope: Construct, given: str | None = None, *, id: str = "Build") -> str:
    return physical_name(Construct(scope, id), scope, id, given, _PROJECT_NAME)


def test_fails_when_there_is_one_more_than_aws_takes():
    check_count(ANYWHERE, [1, 2, 3], what="groups", most=3)
    with refuses("4 groups", "takes 3", at="Shop", fix="give at most 3"):
        check_count(ANYWHERE, [1, 2, 3, 4], what="groups", most=3)


@pytest.mark.parametrize("given", ["sg-1", ANYWHERE, ec2.Port.tcp(80)])
def test_fails_when_there_is_one_where_a_list_belongs(given):
    check_list(ANYWHERE, "groups", [given])
    check_list(ANYWHERE, "groups", ())
    with refuses("groups=", "is no list", at="Shop", fix="write groups=[…]"):
        check_list(ANYWHERE, "groups", given)


def test_fails_when_an_environment_is_more_than_lambda_takes_as_far_as_it_is_known():
    later = CfnParameter(a_stack(), "Later").value_as_string
    check_environment_size(ANYWHERE, {"NAME": "x" * 4092, "": later})
    with refuses("4097 bytes", "Lambda takes 4096", at="Shop", fix="read long values from elsewhere"):
        check_environment_size(ANYWHERE, {"NAME": f"{later}{'x' * 4093}"})
