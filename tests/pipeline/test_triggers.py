"""Triggers: what CodePipeline would refuse, and what would never or not reliably start a pipeline, is refused."""

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_scheduler as scheduler
from aws_cdk.aws_codepipeline import GitPullRequestEvent
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.pipeline.schedule import ScheduleTrigger
from code_family_constructs.pipeline.triggers import (
    GitTrigger,
    PullRequestFilter,
    PushFilter,
    SourceChange,
    Watched,
    check_triggers,
    detects_changes,
    git_trigger,
    starts_by_itself,
)
from code_family_constructs.testing import synthesized
from tests.helpers import CONNECTION_ARN, a_stack, only, refuses

OPEN, UPDATED, CLOSED = GitPullRequestEvent.OPEN, GitPullRequestEvent.UPDATED, GitPullRequestEvent.CLOSED
APP = Watched(branch="main", provider_type="GitHub", repository="acme/shop")
DOCS = Watched(branch="main", provider_type="GitHub", repository="acme/docs")
CONFIG = Watched(branch="main")
MAIN = PushFilter(branches_includes=["main"])


def nightly(name="Nightly", **settings):
    schedule = scheduler.ScheduleExpression.expression("cron(0 3 * * ? *)")
    return ScheduleTrigger(name=name, schedule=schedule, **settings)


@pytest.fixture(scope="module")
def declared():
    """What CloudFormation is told of a pipeline with every kind of filter."""
    stack = Stack(App(), "Shop")
    source = actions.CodeStarConnectionsSourceAction(
        action_name="App",
        connection_arn=CONNECTION_ARN,
        owner="acme",
        repo="shop",
        output=codepipeline.Artifact("App"),
        trigger_on_push=False,
    )
    trigger = GitTrigger(
        push=[
            PushFilter(tags_includes=["v*"], tags_excludes=["*-rc*"]),
            PushFilter(
                branches_includes=["main"],
                branches_excludes=["wip/**"],
                file_paths_includes=["src/**"],
                file_paths_excludes=["**/*.md"],
            ),
        ],
        pull_request=[PullRequestFilter(events=[OPEN, UPDATED], branches_includes=["main"])],
    )
    codepipeline.Pipeline(
        stack,
        "Pipeline",
        pipeline_type=codepipeline.PipelineType.V2,
        stages=[
            codepipeline.StageProps(stage_name="Source", actions=[source]),
            codepipeline.StageProps(
                stage_name="Approve", actions=[actions.ManualApprovalAction(action_name="Approve")]
            ),
        ],
        triggers=[trigger.trigger_props(source)],
    )
    return only(synthesized(stack), "AWS::CodePipeline::Pipeline")["Triggers"]


def test_a_trigger_is_declared_in_the_words_of_cloudformation(declared):
    assert declared == [
        {
            "ProviderType": "CodeStarSourceConnection",
            "GitConfiguration": {
                "SourceActionName": "App",
                "Push": [
                    {"Tags": {"Includes": ["v*"], "Excludes": ["*-rc*"]}},
                    {
                        "Branches": {"Includes": ["main"], "Excludes": ["wip/**"]},
                        "FilePaths": {"Includes": ["src/**"], "Excludes": ["**/*.md"]},
                    },
                ],
                "PullRequest": [{"Events": ["OPEN", "UPDATED"], "Branches": {"Includes": ["main"]}}],
            },
        }
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"tags_includes": ["v*"]},
        {"tags_excludes": ["*-rc*"]},
        {"branches_includes": ["main"]},
        {"branches_excludes": ["wip/**"]},
        {"branches_includes": ["main"], "file_paths_includes": ["src/**"]},
        {"branches_excludes": ["wip/**"], "file_paths_excludes": ["docs/**"]},
        {"branches_includes": [f"b{number}" for number in range(8)]},
        {"branches_includes": ["b" * 255]},
        {"branches_includes": ["release/*"], "branches_excludes": ["release/1"]},
        {"branches_includes": ["main", "dev"], "branches_excludes": ["dev"]},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_what_codepipeline_takes_is_accepted(settings):
    one = PushFilter(**settings)
    assert {name: list(getattr(one, name)) for name in settings} == settings


MANY = [f"b{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({}, "a filter of nothing", 'branches_includes=["main"]'),
        ({"file_paths_includes": ["src/**"]}, "file paths ['src/**'] without branches", 'branches_includes=["**"]'),
        ({"branches_includes": ["main"], "tags_includes": ["v*"]}, "branches and tags in one", "of their own"),
        ({"branches_includes": "main"}, "branches_includes='main' is no list", "branches_includes=[…]"),
        ({"branches_includes": MANY}, "branches_includes has 9 patterns", "spread them over several filters"),
        ({"tags_excludes": MANY}, "tags_excludes has 9 patterns", "spread them over several filters"),
        ({"tags_includes": [""]}, "tags_includes has a pattern of 0 characters", "use 1 to 255"),
        ({"tags_includes": ["v" * 256]}, "tags_includes has a pattern of 256 characters", "use 1 to 255"),
        ({"tags_includes": ["v1", "v1"]}, "tags_includes has 'v1' twice", "remove one"),
        ({"branches_includes": ["{main"]}, "pattern '{main' has a { without a }", "end the group"),
        ({"branches_includes": ["refs/heads/main"]}, "'refs/heads/main', which nothing is called", "'main'"),
        ({"tags_includes": ["refs/tags/v1"]}, "'refs/tags/v1', which nothing is called", "'v1'"),
        ({"branches_includes": ["main"], "file_paths_includes": ["/src/**"]}, "'/src/**', which nothing", "'src/**'"),
        ({"branches_includes": ["main"], "file_paths_excludes": ["./a"]}, "'./a', which nothing is called", "'a'"),
        ({"branches_includes": ["main"], "file_paths_excludes": ["docs/"]}, "no name ends with a /", "'docs/**'"),
        (
            {"branches_includes": ["main"], "branches_excludes": ["ma*"]},
            "branches_excludes=['ma*'] leaves nothing over of branches_includes=['main']",
            "exclude less",
        ),
        ({"tags_includes": ["v*"], "tags_excludes": ["v*"]}, "leaves nothing over of tags_includes", "exclude less"),
        ({"branches_excludes": ["**"]}, "branches_excludes=['**'] leaves nothing over: that", "exclude less"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value[:30],
)
def test_fails_when_a_push_filter_would_be_refused_or_let_nothing_through(settings, problem, fix):
    with refuses(problem, at="PushFilter", fix=fix):
        PushFilter(**settings)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"branches_includes": []}, "pull requests to no branch in particular", 'branches_includes=["**"]'),
        ({"branches_includes": [], "file_paths_includes": ["a"]}, "to no branch in particular", "which branches"),
        ({"events": []}, "a filter without events", "events=[codepipeline.GitPullRequestEvent.OPEN]"),
        ({"events": "OPEN"}, "events='OPEN' is no list", "events=[…]"),
        ({"events": ["OPEN"]}, "'OPEN' is no event", "codepipeline.GitPullRequestEvent.OPEN"),
        ({"events": [OPEN, CLOSED, OPEN]}, "event OPEN is given twice", "remove one"),
        ({"branches_includes": MANY}, "branches_includes has 9 patterns", "spread them"),
        ({"branches_excludes": ["main"]}, "leaves nothing over of branches_includes=['main']", "exclude less"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value[:30],
)
def test_fails_when_a_pull_request_filter_would_be_refused_or_let_nothing_through(settings, problem, fix):
    with refuses(problem, at="PullRequestFilter", fix=fix):
        PullRequestFilter(**{"events": [OPEN], "branches_includes": ["main"], **settings})


FOUR = [PushFilter(branches_includes=[f"b{number}"]) for number in range(4)]


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({}, "a trigger without filters", "or use SourceChange()"),
        ({"push": MAIN}, "push=PushFilter is no list", "push=[…]"),
        ({"pull_request": [MAIN]}, "pull_request= has a PushFilter in it", "PullRequestFilter(…)"),
        ({"push": FOUR}, "4 push filters, CodePipeline takes 3", "they are alternatives"),
        ({"push": [MAIN, FOUR[0], MAIN]}, "push filters 1 and 3 are the same", "remove one"),
    ],
)
def test_fails_when_a_trigger_would_be_refused(settings, problem, fix):
    with refuses(problem, at="GitTrigger", fix=fix):
        GitTrigger(**settings)


def test_three_filters_of_each_kind_are_accepted():
    pulls = [PullRequestFilter(events=[event], branches_includes=["main"]) for event in (OPEN, UPDATED, CLOSED)]
    trigger = GitTrigger(push=FOUR[:3], pull_request=pulls)
    assert (len(trigger.push), len(trigger.pull_request)) == (3, 3)


def test_patterns_that_only_the_deployment_knows_are_let_through():
    later = CfnParameter(a_stack(), "Branch").value_as_string
    assert PushFilter(branches_includes=[later], branches_excludes=["wip/**"]).branches_includes == (later,)


def test_a_filter_cannot_be_changed_behind_the_back_of_its_checks():
    names = ["main"]
    one = PushFilter(branches_includes=names)
    names.append("{")
    assert one.branches_includes == ("main",)
    assert one == PushFilter(branches_includes=("main",))


SEVERAL = {"App": APP, "Docs": DOCS, "Config": CONFIG}


@pytest.mark.parametrize(
    ("triggers", "sources"),
    [
        (None, {"Source": APP}),
        (None, SEVERAL),
        ([], SEVERAL),
        ([nightly()], SEVERAL),
        ([GitTrigger(push=[MAIN])], {"Source": APP}),
        ([SourceChange()], {"Source": Watched()}),
        ([GitTrigger(source="App", push=[MAIN]), SourceChange(source="Config"), nightly()], SEVERAL),
        # One repository, twice: at the same branch, or with one of them not listened to.
        (None, {"Zip": APP, "Clone": APP}),
        (
            [GitTrigger(source="App", push=[MAIN])],
            {"App": APP, "Old": Watched(branch="old", provider_type="GitHub", repository="acme/shop")},
        ),
        (
            None,
            {
                "App": APP,
                "Old": Watched(branch="old", provider_type="GitHub", repository="acme/shop", detects_changes=False),
                "Mirror": Watched(branch="old", provider_type="GitLab", repository="acme/shop"),
            },
        ),
    ],
)
def test_triggers_that_fit_their_sources_are_accepted(triggers, sources):
    at = a_stack()
    assert check_triggers(at, triggers, sources) is None  # type: ignore[func-returns-value]
    assert not at.node.children


@pytest.mark.parametrize(
    ("triggers", "sources", "problem", "fix"),
    [
        (SourceChange(), {"Source": APP}, "triggers=SourceChange is no list", "triggers=[…]"),
        ([MAIN], {"Source": APP}, "triggers= has a PushFilter in it", "GitTrigger(push=[PushFilter(…)])"),
        (
            [PullRequestFilter(events=[OPEN], branches_includes=["main"])],
            {"Source": APP},
            "has a PullRequestFilter in it",
            "GitTrigger(pull_request=[PullRequestFilter(…)])",
        ),
        (["main"], {"Source": APP}, "triggers= has a str in it", "GitTrigger(…), SourceChange(…) or ScheduleTrigger"),
        (
            [GitTrigger(push=[MAIN], source="Web")],
            SEVERAL,
            "a GitTrigger for source 'Web', which the pipeline does not have",
            "'App' or 'Docs' or 'Config'",
        ),
        ([SourceChange()], SEVERAL, "a SourceChange for one of 3 sources", "source='App' or 'Docs' or 'Config'"),
        (
            [GitTrigger(push=[MAIN]), GitTrigger(push=[FOUR[0]], source="Source")],
            {"Source": APP},
            "a GitTrigger and another GitTrigger for source 'Source'",
            "all filters into one GitTrigger",
        ),
        (
            [GitTrigger(push=[MAIN]), SourceChange()],
            {"Source": APP},
            "a GitTrigger and a SourceChange for source 'Source'",
            "a source has one trigger",
        ),
        (
            [GitTrigger(push=[MAIN], source="Config")],
            SEVERAL,
            "source 'Config', whose pushes CodePipeline cannot filter",
            "use SourceChange()",
        ),
        (
            [SourceChange()],
            {"Source": Watched(branch="main", detects_changes=False)},
            "source 'Source', which is told not to start the pipeline",
            "remove one",
        ),
        ([nightly(), nightly()], {"Source": APP}, "two schedules are called 'Nightly'", "a name of its own"),
        (
            None,
            {"App": APP, "Old": Watched(branch="old", provider_type="GitHub", repository="acme/shop")},
            "sources 'App' and 'Old' are both to start the pipeline from acme/shop",
            "a pipeline for each branch",
        ),
        (
            [GitTrigger(source="Zip", push=[MAIN]), SourceChange(source="Clone")],
            {"Zip": APP, "Clone": APP},
            "sources 'Zip' and 'Clone' are both to start the pipeline",
            "list triggers for one of them",
        ),
    ],
)
def test_fails_when_triggers_do_not_fit_their_sources(triggers, sources, problem, fix):
    with refuses(problem, at="Shop", fix=fix):
        check_triggers(a_stack(), triggers, sources)


def test_fails_when_there_are_more_triggers_than_codepipeline_takes():
    sources = {
        f"S{number}": Watched(branch="main", provider_type="GitHub", repository=f"acme/{number}")
        for number in range(51)
    }
    triggers = [GitTrigger(push=[MAIN], source=name) for name in sources]
    check_triggers(a_stack(), triggers[:50], sources)
    with refuses("51 triggers, CodePipeline takes 50", at="Shop", fix="several pipelines"):
        check_triggers(a_stack(), triggers, sources)


def test_fails_when_all_patterns_together_are_too_long():
    def filters(number):
        return [
            PushFilter(
                branches_includes=[f"{number}{index}{n}".ljust(255, "b") for n in range(8)],
                file_paths_includes=[f"{number}{index}{n}".ljust(255, "f") for n in range(8)],
                file_paths_excludes=[f"{number}{index}{n}".ljust(255, "e") for n in range(8)],
            )
            for index in range(3)
        ]

    sources = {
        f"S{number}": Watched(branch="main", provider_type="GitHub", repository=f"acme/{number}")
        for number in range(11)
    }
    triggers = [GitTrigger(push=filters(number), source=f"S{number}") for number in range(11)]
    check_triggers(a_stack(), triggers[:10], sources)
    with refuses("201960 bytes of patterns", at="Shop", fix="fewer or shorter patterns"):
        check_triggers(a_stack(), triggers, sources)


VARIABLES = {"Tests": "some", "Ticket": None}


@pytest.mark.parametrize("triggers", [None, [SourceChange()], [GitTrigger(push=[MAIN])]])
def test_fails_when_a_change_would_start_it_without_a_value_that_it_needs(triggers):
    with refuses("variable 'Ticket' has no default, and a change", at="Shop", fix="give 'Ticket' a default"):
        check_triggers(a_stack(), triggers, {"Source": APP}, variables=VARIABLES)


def test_fails_when_a_schedule_would_start_it_without_a_value_that_it_needs():
    with refuses("and schedule 'Nightly' gives it no value", at="Shop", fix="the schedule variables={…}"):
        check_triggers(a_stack(), [nightly(variables={"Tests": "all"})], {"Source": APP}, variables=VARIABLES)


def test_fails_when_a_schedule_gives_a_value_to_no_variable():
    with refuses("gives a value to 'Test', which is no variable", at="Shop", fix="declared are Tests, Ticket"):
        check_triggers(a_stack(), [nightly(variables={"Test": "all"})], {"Source": APP}, variables=VARIABLES)


def test_people_and_schedules_can_give_values_that_have_no_default():
    given_ = [nightly(variables={"Ticket": "none"})]
    silent = {"Source": Watched(branch="main", detects_changes=False)}
    for triggers, sources in (([], {"Source": APP}), (given_, {"Source": APP}), (None, silent)):
        assert check_triggers("Pipeline", triggers, sources, variables=VARIABLES) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("triggers", "by_itself", "filtered"),
    [
        (None, True, False),
        ([], False, False),
        ([nightly()], False, False),
        ([SourceChange()], True, False),
        ([SourceChange(source="App")], True, False),
        ([SourceChange(source="Docs")], False, False),
        ([GitTrigger(push=[MAIN])], False, True),
        ([GitTrigger(push=[MAIN], source="App")], False, True),
        ([GitTrigger(push=[MAIN], source="Docs")], False, False),
        ([GitTrigger(push=[MAIN], source="Docs"), SourceChange(source="App")], True, False),
    ],
)
def test_change_detection_is_on_where_nothing_else_decides(triggers, by_itself, filtered):
    assert detects_changes(triggers, "App") is by_itself
    assert (git_trigger(triggers, "App") is not None) is filtered
    assert starts_by_itself(triggers, "App", APP) is by_itself
    silent = Watched(branch="main", detects_changes=False)
    assert starts_by_itself(triggers, "App", silent) is (by_itself and triggers is not None)


names = st.lists(st.sampled_from(["a", "b", "a/b", "b/a"]), min_size=1, max_size=3, unique=True)
excluding = st.lists(st.sampled_from(["a", "*", "a/*", "**/a", "{a,b}", "**"]), max_size=3, unique=True)
# What these patterns take, by hand.
TAKES = {
    "a": {"a"},
    "*": {"a", "b"},
    "a/*": {"a/b"},
    "**/a": {"a", "b/a"},
    "{a,b}": {"a", "b"},
    "**": {"a", "b", "a/b", "b/a"},
}


@given(names, excluding)
def test_a_filter_is_accepted_when_it_lets_something_through(includes, excludes):
    left = set(includes) - {name for pattern in excludes for name in TAKES[pattern]}
    if left:
        assert PushFilter(tags_includes=includes, tags_excludes=excludes).tags_includes == tuple(includes)
    else:
        with refuses("leaves nothing over", at="PushFilter", fix="exclude less"):
            PushFilter(tags_includes=includes, tags_excludes=excludes)
