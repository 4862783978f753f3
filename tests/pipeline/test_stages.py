"""Stages: any number of actions, at the same time or in order, with what has to be true around them."""

import json

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam

from code_family_constructs import (
    BuildProject,
    CodeConnection,
    ConfigurationError,
    DeliveryPipeline,
    HealthGate,
    ManualApproval,
    Source,
    StageAction,
    Statement,
)
from code_family_constructs.pipeline.actions.code_build import CodeBuildAction
from code_family_constructs.pipeline.conditions import OnFailure, bake, change_freeze
from code_family_constructs.pipeline.starts import PullRequest, Push
from code_family_constructs.pipeline.triggers import GitTrigger, PushFilter, SourceChange
from code_family_constructs.pipeline.variables import PipelineVariable
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_source, a_stack, allowed, only, refuses
from tests.pipeline.test_delivery_pipeline import to_tagged

OPEN = codepipeline.GitPullRequestEvent.OPEN
PIPELINE = "AWS::CodePipeline::Pipeline"
MAIN_BUT_DOCS = GitTrigger(
    push=[PushFilter(branches_includes=["main"], file_paths_excludes=["docs/**", "**/*.md", "*.md"])], source="App"
)


class Migration:
    """An action of a user's own that makes an artifact, and says something that aws-cdk-lib has no argument for."""

    def stage_action(self, context):
        report = codepipeline.Artifact("Report")
        return StageAction(
            action=actions.CommandsAction(
                action_name=context.action_name,
                input=context.artifact("App"),
                commands=["./migrate"],
                output=report,
                run_order=context.run_order,
            ),
            permissions=[Statement(actions=["rds:DescribeDBClusters"], resources=["arn:aws:rds:::cluster/shop"])],
            outputs={"Report": report},
            overrides={"EnvironmentVariables": [{"Name": "MODE", "Value": "dry"}]},
        )


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    project = BuildProject(stack, "Build")
    deploy_env = PipelineVariable(name="DEPLOY_ENV", default="staging", description="Where to")
    pipeline = DeliveryPipeline(
        stack,
        "Pipeline",
        source={"App": a_source(), "Infra": Source.github("acme/infra", connection=a_connection())},
        build=CodeBuildAction(
            build=project,
            output_artifacts=["Program", "Templates"],
            environment_variables={"TARGET": deploy_env.reference},
        ),
        triggers=[MAIN_BUT_DOCS],
        variables=[deploy_env],
    )
    unit, lint, scan, smoke = (BuildProject(stack, name) for name in ("Unit", "Lint", "Scan", "Smoke"))
    pipeline.add_stage("Checks", steps=[{"Unit": unit, "Lint": lint, "Scan": scan}, {"Smoke": smoke}])
    pipeline.add_stage("Data", invoke={"Migrate": Migration()}, transition_disabled_reason="not in December")
    health = HealthGate(stack, "Health")
    health.add_alarm(cloudwatch.Alarm.from_alarm_arn(stack, "Alarm", "arn:aws:cloudwatch:eu-west-1:1:alarm:errors"))
    waves = [{"Ireland": to_tagged(stack, "Ireland")}, {n: to_tagged(stack, n) for n in ("Oregon", "Tokyo")}]
    pipeline.add_waves(
        "Wave",
        waves,
        approval=ManualApproval(
            question=f"Commit {pipeline.output('Source/App', 'CommitId')}, "
            f"image {pipeline.output('Build', 'IMAGE_TAG')}?",
            links={"Changes": pipeline.compare_link("production"), "Staging": "#{Checks-Smoke.URL}"},
        ),
        test=smoke,
        input="Program",
        before_entry=change_freeze(time_zone="Europe/Berlin", open_days="MON-FRI", open_hours=(9, 17)),
        on_success=bake(health, Duration.minutes(15)),
        on_failure=OnFailure(result=codepipeline.Result.RETRY, retry_mode=codepipeline.RetryMode.FAILED_ACTIONS),
    )
    managers = iam.Role(stack, "Managers", assumed_by=iam.AccountRootPrincipal())
    pipeline.grant_approval(managers, stage="Wave1")
    return synthesized(stack)


def a_connection():
    return CodeConnection.from_connection_arn(CONNECTION_ARN)


@pytest.fixture(scope="module")
def stages(template):
    return {stage["Name"]: stage for stage in only(template, PIPELINE)["Stages"]}


def order(stage):
    return {action["Name"]: action["RunOrder"] for action in stage["Actions"]}


def action(stage, name):
    return next(each for each in stage["Actions"] if each["Name"] == name)


def test_what_is_given_together_runs_together_and_the_next_step_waits_for_all_of_it(stages):
    assert order(stages["Checks"]) == {"Unit": 1, "Lint": 1, "Scan": 1, "Smoke": 2}


def test_a_wave_deploys_at_the_same_time_and_the_next_one_comes_after_its_test(stages):
    assert list(stages) == ["Source", "Build", "Checks", "Data", "Wave1", "Wave2"]
    assert order(stages["Wave1"]) == {"Approve": 1, "Ireland": 2, "Test": 3}
    assert order(stages["Wave2"]) == {"Oregon": 1, "Tokyo": 1, "Test": 2}


def test_each_wave_waits_for_working_hours_bakes_and_is_tried_once_more(stages):
    for wave in ("Wave1", "Wave2"):
        [entry] = stages[wave]["BeforeEntry"]["Conditions"]
        assert (entry["Result"], entry["Rules"][0]["RuleTypeId"]["Provider"]) == ("FAIL", "DeploymentWindow")
        [success] = stages[wave]["OnSuccess"]["Conditions"]
        assert (success["Result"], success["Rules"][0]["Configuration"]["WaitTime"]) == ("ROLLBACK", "15")
        assert stages[wave]["OnFailure"] == {
            "Result": "RETRY",
            "RetryConfiguration": {"RetryMode": "FAILED_ACTIONS"},
        }


def test_the_role_may_ask_for_what_the_conditions_ask_for(template):
    assert "cloudwatch:DescribeAlarms on *" in allowed(template, "PipelineRolePolicy")


def test_every_source_is_an_input_of_the_build_and_the_first_one_is_the_main_one(stages):
    build = action(stages["Build"], "Build")
    assert [artifact["Name"] for artifact in build["InputArtifacts"]] == ["App", "Infra"]
    assert build["Configuration"]["PrimarySource"] == "App"
    assert [artifact["Name"] for artifact in build["OutputArtifacts"]] == ["Program", "Templates"]
    [variable] = json.loads(build["Configuration"]["EnvironmentVariables"])
    assert (variable["name"], variable["value"]) == ("TARGET", "#{variables.DEPLOY_ENV}")


def test_the_action_of_a_source_is_called_like_its_artifact_and_its_namespace_too(stages):
    sources = {each["Name"]: each["Namespace"] for each in stages["Source"]["Actions"]}
    assert sources == {"App": "AppVariables", "Infra": "InfraVariables"}


def test_only_what_triggers_say_starts_the_pipeline(template, stages):
    [trigger] = only(template, PIPELINE)["Triggers"]
    assert trigger["GitConfiguration"]["SourceActionName"] == "App"
    detect = {each["Name"]: each["Configuration"]["DetectChanges"] for each in stages["Source"]["Actions"]}
    assert detect == {"App": False, "Infra": False}


def test_a_variable_has_its_default_and_says_what_it_is_for(template):
    assert only(template, PIPELINE)["Variables"] == [
        {"Name": "DEPLOY_ENV", "DefaultValue": "staging", "Description": "Where to"}
    ]


def test_references_name_the_namespace_of_the_action(stages):
    asked = text_of(action(stages["Wave1"], "Approve")["Configuration"]["CustomData"]).splitlines()
    assert asked[0] == "Commit #{AppVariables.CommitId}, image #{BuildVariables.IMAGE_TAG}?"
    assert "Changes: https://github.com/acme/shop/compare/production...#{AppVariables.CommitId}" in asked
    assert "Staging: #{Checks-Smoke.URL}" in asked
    # Each source is told of.
    assert [line.partition(" ")[0] for line in asked[1:4:2]] == ["App", "Infra"]


def test_what_an_action_makes_and_what_aws_cdk_lib_cannot_say_reach_the_template(template, stages):
    migrate = action(stages["Data"], "Migrate")
    assert migrate["OutputArtifacts"][0]["Name"] == "Report"
    assert migrate["EnvironmentVariables"] == [{"Name": "MODE", "Value": "dry"}]
    assert "rds:DescribeDBClusters on arn:aws:rds:::cluster/shop" in allowed(template, "PipelineRolePolicy")


def test_the_way_into_a_stage_can_be_closed_with_a_reason(template):
    assert only(template, PIPELINE)["DisableInboundStageTransitions"] == [
        {"StageName": "Data", "Reason": "not in December"}
    ]


def test_who_approves_may_see_the_pipeline_and_answer_in_this_stage_alone(template):
    ours = "arn:<AWS::Partition>:codepipeline:<AWS::Region>:<AWS::AccountId>:Shop-Pipeline"
    may = allowed(template, "Managers")
    assert f"codepipeline:PutApprovalResult on {ours}/Wave1/Approve" in may
    assert {line for line in may if "PutApprovalResult" in line} == {
        f"codepipeline:PutApprovalResult on {ours}/Wave1/Approve"
    }
    assert f"codepipeline:GetPipelineState on {ours}" in may


@pytest.fixture(scope="module")
def asked():
    """Not synthesized: what would start a pipeline is plain Python."""
    stack = a_stack()
    build = BuildProject(stack, "Build")
    sources = {"App": a_source(), "Infra": Source.github("acme/infra", connection=a_connection())}
    return DeliveryPipeline(
        stack, "Pipeline", source=sources, build=build, triggers=[MAIN_BUT_DOCS, SourceChange(source="Infra")]
    )


@pytest.mark.parametrize(
    ("event", "source", "starts", "reason"),
    [
        (Push(branch="main", files=["docs/intro.md", "README.md"]), "App", False, "docs/"),
        (Push(branch="main", files=["docs/intro.md", "src/app.py"]), "App", True, "src/app.py"),
        (Push(branch="develop", files=["src/app.py"]), "App", False, "develop"),
        (Push(branch="main"), "Infra", True, "main"),
        (PullRequest(event=OPEN, destination_branch="main", files=["src/app.py"]), "App", False, "pull request"),
    ],
    ids=["docs_only", "docs_and_code", "another_branch", "by_the_source_itself", "pull_request"],
)
def test_a_team_can_ask_what_starts_its_pipeline(asked, event, source, starts, reason):
    decision = asked.would_start(event, source=source)
    assert decision.starts is starts
    assert reason in decision.reason


def a_pipeline(stack, **settings):
    defaults = {"source": a_source(), "build": BuildProject(stack, "Build")}
    return DeliveryPipeline(stack, "Pipeline", **{**defaults, **settings})


def test_fails_when_steps_come_with_anything_else():
    stack = a_stack()
    pipeline = a_pipeline(stack)
    with refuses("'Next' has steps= and more", at="Shop/Pipeline", fix="put all of its actions into steps="):
        pipeline.add_stage("Next", steps=[{"Unit": BuildProject(stack, "Unit")}], test=BuildProject(stack, "Test"))


def test_fails_when_a_step_is_empty_or_steps_are_no_list():
    stack = a_stack()
    pipeline, check = a_pipeline(stack), BuildProject(stack, "Check")
    with refuses("a step of stage 'Next' does nothing", at="Shop/Pipeline", fix="or steps="):
        pipeline.add_stage("Next", steps=[{"Unit": check}, {}])
    with refuses("are no list", at="Shop/Pipeline", fix="write steps=[{…}]"):
        pipeline.add_stage("Next", steps={"Unit": check})


def test_fails_when_two_actions_of_a_stage_have_one_name():
    stack = a_stack()
    pipeline, check = a_pipeline(stack), BuildProject(stack, "Check")
    with refuses("two actions of stage 'Next' are called 'Unit'", at="Shop/Pipeline", fix="a name of its own"):
        pipeline.add_stage("Next", steps=[{"Unit": check}, {"Unit": check}])


def test_fails_when_two_actions_make_one_artifact():
    stack = a_stack()
    pipeline = a_pipeline(stack, source={"App": a_source()})
    pipeline.add_stage("One", invoke=Migration())
    with refuses("'Two' makes artifact 'Report'", at="Shop/Pipeline", fix="a name of its own"):
        pipeline.add_stage("Two", invoke=Migration())


def test_fails_when_something_runs_beside_what_it_needs():
    stack = a_stack()
    pipeline, check = a_pipeline(stack, source={"App": a_source()}), BuildProject(stack, "Check")
    read = CodeBuildAction(build=check, input_artifacts=["Report"])
    with refuses("takes artifact 'Report'", at="Shop-Pipeline/Data/Read", fix="put the action after the one"):
        pipeline.add_stage("Data", steps=[{"Migrate": Migration(), "Read": read}])


def test_a_project_that_tests_first_and_builds_later_may_write_then():
    stack = a_stack()
    pipeline, project = a_pipeline(stack), BuildProject(stack, "Project")
    pipeline.add_stage("Test", test=project)
    pipeline.add_stage("Pack", invoke=CodeBuildAction(build=project, output_artifacts=["Pack"]))
    pipeline.add_stage("TestAgain", test=project)
    assert [line for line in allowed(synthesized(stack), "ProjectRolePolicy") if line.startswith("s3:PutObject on ")]


def test_each_wave_may_have_a_test_of_its_own():
    stack = a_stack()
    one, other = BuildProject(stack, "One"), BuildProject(stack, "Other")
    pipeline = a_pipeline(stack)
    waves = [{"Ireland": Question()}, {"Oregon": Question()}]
    pipeline.add_waves("Wave", waves, test=[{"CheckIreland": one}, {"CheckOregon": other}])
    found = {stage["Name"]: list(order(stage)) for stage in only(synthesized(stack), PIPELINE)["Stages"]}
    assert (found["Wave1"], found["Wave2"]) == (["Ireland", "CheckIreland"], ["Oregon", "CheckOregon"])
    with refuses("1 tests for 2 waves", at="Shop/Pipeline", fix="a test for each wave"):
        pipeline.add_waves("More", waves, test=[one])


@pytest.mark.parametrize("waves", [[], {"Ireland": None}], ids=["none", "no_list"])
def test_fails_when_there_are_no_waves(waves):
    with refuses("waves", at="Shop/Pipeline", fix="write waves=[{"):
        a_pipeline(a_stack()).add_waves("Wave", waves)


@pytest.mark.parametrize(
    ("path", "variable", "problem", "fix"),
    [
        ("Deploy", "Url", "no action so far", "use one of Source/GitHub, Build/Build"),
        ("Source", "Commit", "does not put it out", "CommitId"),
    ],
)
def test_fails_when_nothing_puts_the_variable_out(path, variable, problem, fix):
    with refuses(problem, at="Shop/Pipeline", fix=fix):
        a_pipeline(a_stack()).output(path, variable)


def test_fails_when_there_is_no_such_approval_to_grant():
    stack = a_stack()
    role = iam.Role(stack, "Managers", assumed_by=iam.AccountRootPrincipal())
    with refuses("'Approve' in stage 'Production'", at="Shop/Pipeline", fix="add_stage(approval=…)"):
        a_pipeline(stack).grant_approval(role, stage="Production")


def test_fails_when_there_are_names_for_the_builds_artifacts_twice():
    stack = a_stack()
    build = CodeBuildAction(build=BuildProject(stack, "Program"), output_artifacts=["Program"])
    with refuses("build_artifacts=['Program']", at="Shop/Pipeline", fix="give one of the two"):
        a_pipeline(stack, build=build, build_artifacts=["Program"])


def test_only_the_action_of_codecommit_may_see_what_is_in_the_bucket():
    stack = a_stack()
    repository = codecommit.Repository.from_repository_name(stack, "Repository", "shop")
    a_pipeline(stack, source=Source.codecommit(repository))
    assert [line for line in allowed(synthesized(stack), "PipelineRolePolicy") if line.startswith("s3:ListBucket on ")]
    stack = a_stack()
    a_pipeline(stack)
    assert not [line for line in allowed(synthesized(stack), "PipelineRolePolicy") if "s3:List" in line]


def test_fails_when_the_name_of_a_source_leaves_no_room_for_its_namespace():
    with refuses("has 92 characters", at="Shop/Pipeline", fix="use 1 to 91 characters"):
        a_pipeline(a_stack(), source={"a" * 92: a_source(), "Infra": a_source(branch="infra")})


def test_fails_when_there_is_no_source():
    with refuses("without a source", at="Shop/Pipeline", fix="give source= a Source"):
        a_pipeline(a_stack(), source={})


def test_fails_at_synth_when_a_variable_comes_from_nowhere():
    """Also when somebody wrote the reference by hand, or added the action through aws-cdk-lib."""
    stack = a_stack()
    pipeline = a_pipeline(stack)
    pipeline.add_stage("Ask", approval=ManualApproval(question="Is #{Staging-Test.Url} well?"))
    with pytest.raises(RuntimeError, match=r"Staging-Test.*fix: "):
        synthesized(stack)


def test_fails_when_a_stage_would_roll_back_in_parallel_mode():
    stack = a_stack()
    pipeline = a_pipeline(stack, execution_mode=codepipeline.ExecutionMode.PARALLEL)
    check = BuildProject(stack, "Check")
    with refuses("PARALLEL", at="Shop/Pipeline", fix="use another execution_mode"):
        pipeline.add_stage("Next", test=check, on_failure=OnFailure(result=codepipeline.Result.ROLLBACK))


def test_fails_when_a_trigger_is_for_a_source_that_is_not_there():
    with pytest.raises(ConfigurationError, match="which the pipeline does not have"):
        a_pipeline(a_stack(), triggers=[SourceChange(source="Web")])


def test_without_triggers_nothing_but_a_person_starts_it():
    pipeline = a_pipeline(a_stack(), triggers=[])
    assert not pipeline.would_start(Push(branch="main")).starts


def test_deployments_of_one_wave_may_be_of_different_kinds():
    stack = a_stack()
    pipeline = a_pipeline(stack)
    pipeline.add_stage("Production", deploy={"Web": to_tagged(stack, "Web"), "Data": Question()})
    found = synthesized(stack)
    [production] = [stage for stage in only(found, PIPELINE)["Stages"] if stage["Name"] == "Production"]
    assert order(production) == {"Web": 1, "Data": 1}


class Question:
    def stage_action(self, context):
        return StageAction(
            action=actions.ManualApprovalAction(action_name=context.action_name, run_order=context.run_order)
        )


FREEZE = change_freeze(time_zone="UTC", open_hours=(9, 17))
KINDS = {
    "a_text_as_source": ({"source": "acme/shop"}, "source='acme/shop'", "give Source.github(…)"),
    "a_list_as_source": ({"source": ["acme/shop"]}, "source=a list", "give Source.github(…)"),
    "a_text_as_one_of_several": ({"source": {"App": "acme/shop"}}, "source 'App'='acme/shop'", "give Source.github(…)"),
    "a_text_as_store": ({"artifact_store": "artifacts"}, "artifact_store='artifacts'", "give an ArtifactStore"),
    "texts_as_variables": ({"variables": ["ENV"]}, "variables='ENV'", "PipelineVariable(name="),
}


@pytest.mark.parametrize(("settings", "problem", "fix"), KINDS.values(), ids=KINDS)
def test_fails_when_something_of_another_kind_is_given(settings, problem, fix):
    with refuses(problem, at="Shop/Pipeline", fix=fix):
        a_pipeline(a_stack(), **settings)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"steps": [Question()]}, "a step=a Question", "write steps=[{"),
        (
            {"on_success": change_freeze(time_zone="UTC", open_hours=(9, 17))},
            "on_success=a BeforeEntry",
            "give OnSuccess",
        ),
        ({"on_failure": "RETRY"}, "on_failure='RETRY'", "give OnFailure"),
        ({"before_entry": [1]}, "before_entry=a list", "give BeforeEntry"),
    ],
    ids=["an_action_as_step", "a_freeze_after", "a_text", "a_list"],
)
def test_fails_when_a_stage_gets_something_of_another_kind(settings, problem, fix):
    stages = {"deploy": Question()} if "steps" not in settings else {}
    with refuses(problem, at="Shop/Pipeline", fix=fix):
        a_pipeline(a_stack()).add_stage("Next", **stages, **settings)
