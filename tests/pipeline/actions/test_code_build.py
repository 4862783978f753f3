"""CodeBuild's action: what CodePipeline or CodeBuild would refuse, and what would not work in a build."""

from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager

from code_family_constructs import BuildProject
from code_family_constructs.build.buildspec import Buildspec, Phase, Phases
from code_family_constructs.pipeline.actions.code_build import CodeBuildAction
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

AT = "CodeBuildAction"


def an_action(stack: Stack | None = None, **settings: Any) -> CodeBuildAction:
    return CodeBuildAction(**{"build": BuildProject(stack or a_stack(), "Check"), **settings})


class Foreign:
    """A build of a user's own, that has no more than the protocol asks for."""

    def __init__(self, stack):
        self.project: codebuild.IProject = codebuild.Project.from_project_name(stack, "Foreign", "foreign")
        self.project_arn = "arn:aws:codebuild:eu-west-1:111122223333:project/foreign"

    def use_artifacts(self, key, key_arn, statements):
        """Lets in nobody."""


def test_a_build_may_be_of_any_kind():
    made = an_action(build=Foreign(a_stack()), batch=True).stage_action(a_context())
    assert [statement.resources for statement in made.permissions] == [[Foreign(a_stack()).project_arn]]


def test_a_full_clone_is_for_builds():
    artifact = codepipeline.Artifact("App")
    clones = {"artifacts": {"App": artifact}, "only_for_builds": frozenset({"App"})}
    assert an_action(input_artifacts=["App"]).stage_action(a_context(**clones)).action.action_properties.inputs
    assert an_action().stage_action(a_context(revision=artifact, **clones)).action.action_properties.inputs


def test_elsewhere_the_project_goes_by_its_name():
    made = an_action().stage_action(elsewhere())
    properties = made.action.action_properties
    assert properties.region == "eu-central-1"
    assert made.action._configuration["ProjectName"] == "Shop-Check"  # type: ignore[attr-defined]


def test_a_build_in_another_account_makes_no_artifacts():
    role = iam.Role.from_role_arn(a_stack(), "Role", "arn:aws:iam::222222222222:role/build")
    action = an_action(output_artifacts=["Site"])
    with refuses("in another account makes artifacts", at="Shop-Pipeline/Production/Deploy", fix="pipeline's account"):
        action.stage_action(a_context(role=role))


def test_an_artifact_that_nothing_makes_is_refused():
    with refuses("artifact 'Lost', which nothing before it makes", at="Shop-Pipeline/Production/Deploy", fix="use one"):
        an_action(input_artifacts=["Lost"]).stage_action(a_context())


def test_what_is_no_build_is_refused():
    with refuses("str where a build belongs", at=AT, fix="give a BuildProject"):
        an_action(build="Check")


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"input_artifacts": "App"}, "input_artifacts='App' is no list", "write input_artifacts=[…]"),
        ({"input_artifacts": list("abcdef")}, "6 input_artifacts", "at most 5"),
        ({"input_artifacts": ["App", "App"]}, "artifact 'App' twice", "name it once"),
        ({"input_artifacts": ["App", "my-infra"]}, "artifact name 'my-infra' has '-'", "[A-Za-z0-9_]"),
        ({"output_artifacts": list("abcdef")}, "6 output_artifacts", "at most 5"),
        ({"output_artifacts": ["my-site", "App"]}, "artifact name 'my-site' has '-'", "[A-Za-z0-9_]"),
        ({"output_artifacts": ["my site"]}, "artifact name 'my site' has ' '", "[A-Za-z0-9_-]"),
        ({"output_variables": ["a", "a"]}, "variable 'a' twice", "name it once"),
        ({"combine_artifacts": True}, "combine_artifacts without a batch", "batch=True"),
    ],
)
def test_what_codepipeline_or_codebuild_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at=AT, fix=fix):
        an_action(**settings)


def test_names_that_stand_in_no_variable_may_have_hyphens():
    assert an_action(input_artifacts=["my-app"], output_artifacts=["my-site"]).output_artifacts == ["my-site"]


def test_a_batch_of_a_project_without_batches_is_refused():
    with refuses("a batch of a project without batch builds", at="Shop/Check/Project", fix="give the BuildProject"):
        an_action(batch=True)


@pytest.mark.parametrize(
    ("variables", "problem", "fix"),
    [
        ({"API_TOKEN": "hunter2"}, "what sounds like a secret", "keep it in Secrets Manager"),
        ({"KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, "an AWS access key id", "keep it in Secrets Manager"),
        ({"CODEBUILD_X": "1"}, "AWS reserves names", "rename it"),
        ({"a b": "1"}, "'a b' is no name", "letters, digits"),
        ({"COUNT": 3}, "variable COUNT is 3", "write '3'"),
    ],
)
def test_variables_are_as_those_of_a_project(variables, problem, fix):
    with refuses(problem, at="Shop/Check", fix=fix):
        an_action(environment_variables=variables)


def test_more_variables_than_codepipeline_takes_are_refused():
    # [{"name":"A","value":"","type":"PLAINTEXT"}]
    fits = "x" * (1000 - 44)
    an_action(environment_variables={"A": fits})
    with refuses("environment_variables of 1001 characters", at=AT, fix="set on the project"):
        an_action(environment_variables={"A": fits + "x"})


def test_what_a_build_cannot_be_let_read_is_refused():
    stack = a_stack()
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "Secret", "shop/db")
    action = an_action(build=Foreign(stack), environment_variables={"DATABASE": secret})
    with refuses("Foreign has no allow()", at=AT, fix="set them on the project"):
        action.stage_action(a_context())


@pytest.mark.parametrize("path", ["/buildspec.yml", "../buildspec.yml", "buildspec", "version: 0.2\nphases: {}"])
def test_what_is_no_path_of_a_buildspec_is_refused(path):
    with refuses("buildspec ", at="Shop/Check", fix="give "):
        an_action(buildspec=path)


def test_a_buildspec_that_is_longer_than_a_setting_is_refused():
    spec = Buildspec(phases=Phases(build=Phase(commands=["x" * 1000])))
    with refuses("a buildspec of 1", at=AT, fix="give the path of a buildspec in the artifact"):
        an_action(buildspec=spec)
