"""Would it start? As AWS's page of triggers says, with its own examples, and with the reason in the user's words."""

import pytest
from aws_cdk import CfnParameter
from aws_cdk import aws_scheduler as scheduler
from aws_cdk.aws_codepipeline import GitPullRequestEvent
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.pipeline.schedule import ScheduleTrigger
from code_family_constructs.pipeline.starts import Decision, PullRequest, Push, would_start
from code_family_constructs.pipeline.triggers import (
    GitTrigger,
    PullRequestFilter,
    PushFilter,
    SourceChange,
    Trigger,
    Watched,
)
from tests.helpers import a_stack, refuses

OPEN, UPDATED, CLOSED = GitPullRequestEvent.OPEN, GitPullRequestEvent.UPDATED, GitPullRequestEvent.CLOSED
GITHUB = {"Source": Watched(branch="main", provider_type="GitHub", repository="acme/shop")}
BITBUCKET = {"Source": Watched(branch="main", provider_type="Bitbucket", repository="acme/shop")}
NIGHTLY = ScheduleTrigger(name="Nightly", schedule=scheduler.ScheduleExpression.expression("cron(0 3 * * ? *)"))


def decided(event, *filters, sources=GITHUB):
    trigger = GitTrigger(
        push=[one for one in filters if isinstance(one, PushFilter)],
        pull_request=[one for one in filters if isinstance(one, PullRequestFilter)],
    )
    return would_start(event, triggers=[trigger], sources=sources)


def test_a_docs_only_commit_does_not_start_production():
    production = PushFilter(branches_includes=["main"], file_paths_excludes=["docs/**", "**/*.md"])
    docs = decided(Push(branch="main", files=["docs/guide.html", "README.md"]), production)
    assert not docs
    assert docs.reason == (
        "the push filter: file 'docs/guide.html' is excluded by 'docs/**', file 'README.md' is excluded by '**/*.md'"
    )
    both = decided(Push(branch="main", files=["docs/guide.html", "src/app.py"]), production)
    assert both
    assert both.reason == (
        "the push filter: branch 'main' is included by 'main' "
        "and file 'src/app.py' is excluded by none of 'docs/**', '**/*.md'"
    )


# https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html#pipelines-filter-examples
EXAMPLE_1 = [PushFilter(file_paths_includes=["common/**/*.js"], branches_includes=["feature/**"])]
EXAMPLE_2 = [PushFilter(branches_includes=["main"], branches_excludes=["feature-branch"])]
EXAMPLE_3 = [
    PushFilter(
        branches_includes=["main"],
        branches_excludes=["feature-branch", "feature-branch-2"],
        file_paths_includes=["README.md"],
        file_paths_excludes=["LICENSE.txt"],
    ),
    PullRequestFilter(
        events=[CLOSED, OPEN],
        branches_includes=["feature-branch"],
        branches_excludes=["feature-branch-2", "main"],
    ),
]
EXAMPLE_4 = [
    PushFilter(tags_includes=["release-1"]),
    PushFilter(branches_includes=["main*"], branches_excludes=["feature*"]),
]


@pytest.mark.parametrize(
    ("filters", "event", "starts", "reason"),
    [
        (EXAMPLE_1, Push(branch="feature/triggers", files=["common/app.js"]), True, "included by 'common/**/*.js'"),
        (EXAMPLE_1, Push(branch="feature/triggers", files=["src/Main.java"]), False, "none of 'common/**/*.js'"),
        (EXAMPLE_2, Push(branch="main"), True, "branch 'main' is included by 'main'"),
        (EXAMPLE_2, Push(branch="feature-branch"), False, "excluded by 'feature-branch'"),
        (EXAMPLE_3, Push(branch="main", files=["README.md"]), True, "file 'README.md' is included by 'README.md'"),
        (EXAMPLE_3, Push(branch="feature-branch", files=["README.md"]), False, "excluded by 'feature-branch'"),
        (EXAMPLE_3, Push(branch="main", files=["LICENSE.txt"]), False, "'LICENSE.txt' is excluded by 'LICENSE.txt'"),
        (EXAMPLE_3, Push(branch="main", files=["LICENSE.txt", "README.md"]), True, "'README.md' is included by"),
        (EXAMPLE_3, PullRequest(event=CLOSED, destination_branch="feature-branch"), True, "one of CLOSED, OPEN"),
        (EXAMPLE_3, PullRequest(event=OPEN, destination_branch="main"), False, "branch 'main' is excluded by 'main'"),
        (EXAMPLE_3, PullRequest(event=UPDATED, destination_branch="feature-branch"), False, "none of CLOSED, OPEN"),
        (EXAMPLE_4, Push(tag="release-1"), True, "push filter 1: tag 'release-1' is included by 'release-1'"),
        (EXAMPLE_4, Push(branch="main"), True, "push filter 2: branch 'main' is included by 'main*'"),
        (
            EXAMPLE_4,
            Push(branch="feature-1"),
            False,
            "push filter 1: it is about tags, and a push to 'feature-1' is not; "
            "push filter 2: branch 'feature-1' is excluded by 'feature*'",
        ),
    ],
)
def test_the_examples_of_aws_are_answered_as_aws_does(filters, event, starts, reason):
    decision = decided(event, *filters)
    assert decision.starts is starts
    assert reason in decision.reason


MAIN = PushFilter(branches_includes=["main"])
SOURCES_OF_MAIN = PushFilter(branches_includes=["main"], file_paths_includes=["src/**"])


@pytest.mark.parametrize(
    ("filters", "event", "starts", "reason"),
    [
        # What is excluded is out, and everything else is in.
        ([PushFilter(branches_excludes=["wip/**"])], Push(branch="main"), True, "excluded by none of 'wip/**'"),
        ([PushFilter(branches_excludes=["wip/**"])], Push(branch="wip/a"), False, "'wip/a' is excluded by 'wip/**'"),
        ([PushFilter(tags_includes=["v*"], tags_excludes=["*-rc*"])], Push(tag="v1-rc1"), False, "excluded by '*-rc*'"),
        ([PushFilter(tags_includes=["v*"], tags_excludes=["*-rc*"])], Push(tag="v1"), True, "included by 'v*'"),
        # A trigger with filters ignores the branch that the source names.
        ([PushFilter(branches_includes=["dev"])], Push(branch="main"), False, "included by none of 'dev'"),
        ([MAIN], Push(tag="v1"), False, "it is about branches, and a push of tag 'v1' is not"),
        ([MAIN], PullRequest(event=OPEN, destination_branch="main"), False, "no filter for a pull request"),
        ([EXAMPLE_3[1]], Push(branch="feature-branch"), False, "no filter for a push"),
        # Files.
        ([SOURCES_OF_MAIN], Push(branch="main", files=[]), False, "no file changed"),
        ([SOURCES_OF_MAIN], Push(branch="dev"), False, "branch 'dev' is included by none of 'main'"),
        (
            [SOURCES_OF_MAIN],
            Push(branch="main", files=["src/a.py"], new_branch=True),
            False,
            "of new branch 'main' it is not known what changed",
        ),
        ([MAIN], Push(branch="main", new_branch=True), True, "'main' is included by 'main'"),
        ([SOURCES_OF_MAIN, MAIN], Push(branch="main"), True, "push filter 2: branch 'main'"),
        (
            [SOURCES_OF_MAIN],
            Push(branch="main", files=["a", "b", "c", "d", "e"]),
            False,
            "file 'c' is included by none of 'src/**', and 2 more do not count either",
        ),
        ([SOURCES_OF_MAIN], Push(branch="main", files=["SRC/a.py"]), False, "'SRC/a.py' is included by none"),
    ],
)
def test_each_rule_is_told_by_the_filter_and_pattern_that_decided(filters, event, starts, reason):
    decision = decided(event, *filters)
    assert decision.starts is starts
    assert reason in decision.reason


def test_a_pull_request_is_judged_by_its_files_too():
    review = PullRequestFilter(events=[OPEN], branches_includes=["main"], file_paths_excludes=["docs/**"])
    assert not decided(PullRequest(event=OPEN, destination_branch="main", files=["docs/a.md"]), review)
    assert decided(PullRequest(event=OPEN, destination_branch="main", files=["docs/a.md", "src/a.py"]), review)


def test_bitbucket_tells_of_a_closed_pull_request_only_when_it_was_merged():
    closed = PullRequestFilter(events=[CLOSED], branches_includes=["main"])
    for merged in (True, False):
        event = PullRequest(event=CLOSED, destination_branch="main", merged=merged)
        assert decided(event, closed).starts
        assert decided(event, closed, sources=BITBUCKET).starts is merged
    unsaid = PullRequest(event=CLOSED, destination_branch="main")
    assert decided(unsaid, closed)
    assert not decided(PullRequest(event=CLOSED, destination_branch="dev"), closed, sources=BITBUCKET)
    with refuses("Bitbucket tells of a closed one only when", at="source 'Source'", fix="say merged=True or False"):
        decided(unsaid, closed, sources=BITBUCKET)


def test_fails_when_chance_would_decide_among_more_files_than_codepipeline_looks_at():
    docs = [f"docs/{number}.md" for number in range(100)]
    assert decided(Push(branch="main", files=[*docs[1:], "src/a.py"]), SOURCES_OF_MAIN)
    assert not decided(Push(branch="main", files=[*docs, *docs]), SOURCES_OF_MAIN)
    assert decided(Push(branch="main", files=[f"src/{number}.py" for number in range(500)]), SOURCES_OF_MAIN)
    with refuses("of 101 changed files 1 count", at="source 'Source'", fix="have to be less than 100"):
        decided(Push(branch="main", files=[*docs, "src/a.py"]), SOURCES_OF_MAIN)


def test_fails_when_files_decide_and_are_not_said():
    with refuses("whether a push to 'main' starts the pipeline is open", at="source 'Source'", fix="files=[…]"):
        decided(Push(branch="main"), SOURCES_OF_MAIN)
    review = PullRequestFilter(events=[OPEN], branches_includes=["main"], file_paths_includes=["src/**"])
    with refuses("a pull request to 'main' (OPEN)", at="source 'Source'", fix="files=[…]"):
        decided(PullRequest(event=OPEN, destination_branch="main"), review)


def test_fails_when_only_the_deployment_knows_a_name_that_decides():
    later = CfnParameter(a_stack(), "Branch").value_as_string
    by_parameter = PushFilter(branches_includes=["main", later], branches_excludes=["wip/**"])
    assert decided(Push(branch="main"), by_parameter)
    assert not decided(Push(branch="wip/a"), by_parameter)
    with refuses("a pattern of branches is only known when", at="source 'Source'", fix="plain text"):
        decided(Push(branch="dev"), by_parameter)
    but_for = PushFilter(branches_includes=["main"], branches_excludes=[later])
    with refuses("a pattern of branches is only known when", at="source 'Source'", fix="plain text"):
        decided(Push(branch="main"), but_for)
    files = PushFilter(branches_includes=["main"], file_paths_includes=[later])
    with refuses("a pattern of file paths is only known when", at="source 'Source'", fix="plain text"):
        decided(Push(branch="main", files=["a"]), files)
    with refuses("the branch of source 'Source' is only known when", at="source 'Source'", fix="plain text"):
        would_start(Push(branch="main"), triggers=None, sources={"Source": Watched(branch=later)})
    tagged = would_start(Push(tag="v1"), triggers=None, sources={"Source": Watched(branch=later)})
    assert tagged == Decision(False, "source 'Source' starts the pipeline with each push to its branch only")


@pytest.mark.parametrize("triggers", [None, [SourceChange()], [NIGHTLY, SourceChange(source="Source")]])
@pytest.mark.parametrize("sources", [GITHUB, {"Source": Watched(branch="main")}])
def test_a_source_without_filters_starts_it_with_each_push_to_its_branch(triggers, sources):
    def decide(event):
        return would_start(event, triggers=triggers, sources=sources)

    assert decide(Push(branch="main", files=["docs/a.md"])) == Decision(
        True, "source 'Source' starts the pipeline with each push to 'main'"
    )
    only = "source 'Source' starts the pipeline with each push to 'main' only"
    assert decide(Push(branch="dev")) == Decision(False, only)
    assert decide(Push(tag="v1")) == Decision(False, only)
    pulled = decide(PullRequest(event=OPEN, destination_branch="main"))
    assert not pulled
    assert "a pull request is none before it is merged" in pulled.reason


@pytest.mark.parametrize(
    ("triggers", "watched", "reason"),
    [
        ([], GITHUB["Source"], "started by people only"),
        ([NIGHTLY], GITHUB["Source"], "only the schedule starts the pipeline: 'Nightly'"),
        (None, Watched(branch="main", detects_changes=False), "told not to start the pipeline by itself"),
        (None, Watched(), "source 'Source' is no Git repository"),
    ],
)
def test_without_anything_that_listens_no_push_starts_it(triggers, watched, reason):
    decision = would_start(Push(branch="main"), triggers=triggers, sources={"Source": watched})
    assert not decision
    assert reason in decision.reason


SEVERAL = {
    "App": GITHUB["Source"],
    "Config": Watched(branch="live"),
    "Docs": Watched(branch="main", provider_type="GitHub", repository="acme/docs"),
}
LISTENING: list[Trigger] = [GitTrigger(source="App", push=[SOURCES_OF_MAIN]), SourceChange(source="Config"), NIGHTLY]


def test_each_of_several_sources_has_an_answer_of_its_own():
    push = Push(branch="live", files=["src/a.py"])
    answers = {
        name: would_start(push, triggers=LISTENING, sources=SEVERAL, source=name).reason for name in ("App", "Config")
    }
    assert answers == {
        "App": "the push filter: branch 'live' is included by none of 'main'",
        "Config": "source 'Config' starts the pipeline with each push to 'live'",
    }
    docs = would_start(Push(branch="main"), triggers=LISTENING, sources=SEVERAL, source="Docs")
    assert docs == Decision(False, "no trigger listens to source 'Docs'")


def test_fails_when_it_is_not_said_where_it_happens():
    with refuses("the repository of one of 3 sources", at="would_start", fix="source='App' or 'Config' or 'Docs'"):
        would_start(Push(branch="main"), triggers=LISTENING, sources=SEVERAL)
    with refuses("source 'Web' is none of the pipeline", at="would_start", fix="'App' or 'Config'"):
        would_start(Push(branch="main"), triggers=LISTENING, sources=SEVERAL, source="Web")


def test_fails_when_triggers_listen_to_what_is_not_there():
    with refuses("source 'Web', which the pipeline does not have", at="would_start", fix="'Source'"):
        would_start(Push(branch="main"), triggers=[SourceChange(source="Web")], sources=GITHUB)


@pytest.mark.parametrize(
    ("make", "problem", "at", "fix"),
    [
        (lambda: Push(), "branch=None and tag=None", "Push", "one of the two"),
        (lambda: Push(branch="main", tag="v1"), "branch='main' and tag='v1'", "Push", "one of the two"),
        (lambda: Push(tag="v1", files=["a"]), "a push of a tag with files", "Push", "give branch= instead"),
        (lambda: Push(tag="v1", new_branch=True), "or a new branch", "Push", "give branch= instead"),
        (lambda: Push(branch="refs/heads/main"), "'refs/heads/main' is no name", "Push", "'main'"),
        (lambda: Push(tag="refs/tags/v1"), "'refs/tags/v1' is no name", "Push", "'v1'"),
        (lambda: Push(branch=""), "branch='' is no name", "Push", "'main'"),
        (lambda: Push(branch="main", files="a"), "files='a' is no list", "Push", "files=[…]"),
        (lambda: Push(branch="main", files=["/a"]), "file '/a' is no path", "Push", "'docs/guide.md'"),
        (lambda: Push(branch="main", files=["./a"]), "file './a' is no path", "Push", "'docs/guide.md'"),
        (lambda: Push(branch="main", files=["a/"]), "file 'a/' is no path", "Push", "'docs/guide.md'"),
        (
            lambda: PullRequest(event="OPEN", destination_branch="main"),  # type: ignore[arg-type]
            "event='OPEN' is no event",
            "PullRequest",
            "GitPullRequestEvent: OPEN, UPDATED, CLOSED",
        ),
        (
            lambda: PullRequest(event=OPEN, destination_branch="main", merged=True),
            "merged=True for a pull request that is not closed",
            "PullRequest",
            "leave out merged",
        ),
        (
            lambda: PullRequest(event=OPEN, destination_branch="refs/heads/main"),
            "'refs/heads/main' is no name",
            "PullRequest",
            "'main'",
        ),
    ],
)
def test_fails_when_an_event_is_none(make, problem, at, fix):
    with refuses(problem, at=at, fix=fix):
        make()


branches = st.sampled_from(["main", "dev", "feature/a", "feature/b", "wip"])
branch_patterns = st.lists(
    st.sampled_from(["main", "dev", "feature/*", "feature/a", "w*", "*"]), max_size=2, unique=True
)
files = st.lists(st.sampled_from(["a.py", "b.md", "src/a.py", "docs/b.md"]), max_size=3)
file_patterns = st.lists(st.sampled_from(["*.md", "**/*.md", "src/**", "a.py", "docs/*"]), max_size=2, unique=True)
# What these patterns take, by hand.
TAKES = {
    "main": {"main"},
    "dev": {"dev"},
    "feature/*": {"feature/a", "feature/b"},
    "feature/a": {"feature/a"},
    "w*": {"wip"},
    "*": {"main", "dev", "wip"},
    "*.md": {"b.md"},
    "**/*.md": {"b.md", "docs/b.md"},
    "src/**": {"src/a.py"},
    "a.py": {"a.py"},
    "docs/*": {"docs/b.md"},
}


def passes(name, includes, excludes):
    return (not includes or any(name in TAKES[one] for one in includes)) and not any(
        name in TAKES[one] for one in excludes
    )


@given(
    st.lists(st.tuples(branch_patterns, branch_patterns, file_patterns, file_patterns), min_size=1, max_size=3),
    branches,
    files,
)
def test_one_filter_of_several_has_to_hold_as_a_whole_and_one_file_is_enough(settings, branch, changed):
    filters, expected = [], []
    for branches_in, branches_out, files_in, files_out in settings:
        try:
            one = PushFilter(
                branches_includes=branches_in,
                branches_excludes=branches_out,
                file_paths_includes=files_in,
                file_paths_excludes=files_out,
            )
        except ValueError:
            continue
        if one in filters:
            continue
        filters.append(one)
        looks = files_in or files_out
        expected.append(
            passes(branch, branches_in, branches_out)
            and (not looks or any(passes(file, files_in, files_out) for file in changed))
        )
    if filters:
        assert decided(Push(branch=branch, files=changed), *filters).starts is any(expected)
