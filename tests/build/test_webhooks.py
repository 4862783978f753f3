"""Webhooks: what starts a build, for each provider, and filters with which nothing ever would."""

import re

import pytest
from aws_cdk import CfnParameter
from aws_cdk import aws_codebuild as codebuild

from code_family_constructs.build.webhooks import FilterGroup, Webhook
from tests.helpers import a_stack, refuses

EVENT = codebuild.EventAction
PUSH = EVENT.PUSH
PULL_REQUESTS = [event for event in EVENT if event.name.startswith("PULL_REQUEST_")]
PROVIDERS = ["GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED", "BITBUCKET"]


def filters(**settings):
    return list(FilterGroup(**{"events": [PUSH], **settings}).filters())


def test_events_are_listed_as_codebuild_wants_them():
    assert filters(events=[PUSH, EVENT.PULL_REQUEST_MERGED]) == [("EVENT", "PUSH, PULL_REQUEST_MERGED", False)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"branches": ["main"]}, ("HEAD_REF", r"^refs/heads/main$", False)),
        ({"branches": ["release/*"]}, ("HEAD_REF", r"^refs/heads/release/[^/]*$", False)),
        ({"branches": ["main", "dev"]}, ("HEAD_REF", r"^refs/heads/main$|^refs/heads/dev$", False)),
        ({"branches": [re.compile(r"^refs/heads/\d+$")]}, ("HEAD_REF", r"^refs/heads/\d+$", False)),
        ({"branches": ["main"], "tags": ["v*"]}, ("HEAD_REF", r"^refs/heads/main$|^refs/tags/v[^/]*$", False)),
        ({"exclude_branches": ["bot/**"]}, ("HEAD_REF", r"^refs/heads/bot/.*$", True)),
        ({"tags": ["v1.*"]}, ("HEAD_REF", r"^refs/tags/v1\.[^/]*$", False)),
        ({"exclude_tags": ["*-rc"]}, ("HEAD_REF", r"^refs/tags/[^/]*\-rc$", True)),
        ({"tags": ["v*"], "events": [EVENT.RELEASED]}, ("TAG_NAME", r"^v[^/]*$", False)),
        ({"base_branches": ["main"], "events": PULL_REQUESTS}, ("BASE_REF", r"^refs/heads/main$", False)),
        ({"exclude_base_branches": ["wip"], "events": PULL_REQUESTS}, ("BASE_REF", r"^refs/heads/wip$", True)),
        ({"paths": ["src/**", "*.toml"]}, ("FILE_PATH", r"^src/.*$|^[^/]*\.toml$", False)),
        ({"paths": [re.compile(r"\.py$")]}, ("FILE_PATH", r"\.py$", False)),
        ({"actors": ["1234"]}, ("ACTOR_ACCOUNT_ID", r"^1234$", False)),
        ({"exclude_actors": ["{a-b}"]}, ("ACTOR_ACCOUNT_ID", r"^\{a\-b\}$", True)),
        ({"commit_messages": ["[ci]"]}, ("COMMIT_MESSAGE", r"\[ci\]", False)),
        ({"exclude_commit_messages": [re.compile("skip", re.I)]}, ("COMMIT_MESSAGE", "(?i)skip", True)),
        ({"workflows": ["CI-*"], "events": [EVENT.WORKFLOW_JOB_QUEUED]}, ("WORKFLOW_NAME", r"^CI\-[^/]*$", False)),
        ({"exclude_workflows": ["Docs"], "events": [EVENT.WORKFLOW_JOB_QUEUED]}, ("WORKFLOW_NAME", "^Docs$", True)),
    ],
)
def test_filters_are_whole_and_anchored(settings, expected):
    assert filters(**settings)[1:] == [expected]


def test_excluded_paths_do_not_keep_a_change_of_code_from_being_built():
    """By CodeBuild's words an excluding filter would, so there is none: one counting file is what is asked for."""
    [_, (filter_type, pattern, exclude)] = filters(exclude_paths=["docs/**"])
    assert (filter_type, exclude) == ("FILE_PATH", False)
    assert re.search(pattern, "src/app.py")
    assert not re.search(pattern, "docs/app.py")


def test_paths_and_excluded_paths_are_about_the_same_file():
    [_, (_, pattern, _)] = filters(paths=["src/**"], exclude_paths=["src/**/*.md"])
    assert [bool(re.search(pattern, path)) for path in ("src/a.py", "src/a.md", "docs/a.py")] == [True, False, False]


def test_parameters_are_let_through():
    branch = CfnParameter(a_stack(), "Branch").value_as_string
    assert filters(branches=[branch])[1] == ("HEAD_REF", f"^refs/heads/{branch}$", False)


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"events": []}, "without events", "events=[codebuild.EventAction.PUSH]"),
        ({"events": ["PUSH"]}, "'PUSH' is no event", "codebuild.EventAction.PUSH"),
        ({"branches": "main"}, "branches='main' is no list", "branches=['main']"),
        ({"branches": [""]}, "an empty text", "remove it"),
        ({"branches": ["refs/heads/main"]}, "'refs/heads/main'", "'main'"),
        ({"branches": ["^main$"]}, "'^main$'", "re.compile"),
        ({"branches": ["main|dev"]}, "'main|dev'", "re.compile"),
        ({"branches": ["release/.*"]}, "'release/.*'", "re.compile"),
        ({"tags": ["refs/tags/v1"]}, "'refs/tags/v1'", "'v1'"),
        ({"paths": ["/docs/**"]}, "no changed file is called", "'docs/**'"),
        ({"paths": ["./docs/**"]}, "no changed file is called", "'docs/**'"),
        ({"paths": ["docs/"]}, "the folder 'docs/'", "'docs/**'"),
        ({"paths": ["^docs/"]}, "'^docs/'", "re.compile"),
        ({"exclude_paths": [re.compile("docs")]}, "the pattern 'docs'", "give names"),
        ({"paths": [re.compile("src")], "exclude_paths": ["docs/**"]}, "the pattern 'src'", "give names"),
        ({"paths": [re.compile("^/src")]}, "'^/src'", "leave out the slash"),
        ({"branches": [re.compile("^main$")]}, "starts with refs/heads/", "'^refs/heads/main$'"),
        ({"tags": [re.compile("^v1")]}, "starts with refs/tags/", "'^refs/tags/v1'"),
        ({"branches": [re.compile("(?!main)")]}, "RE2", "branches= and exclude_branches="),
        ({"exclude_commit_messages": [re.compile(r"(a)\1")]}, "back-reference", "commit_messages="),
    ],
)
def test_fails_when_a_filter_is_not_what_was_meant(settings, problem, fix):
    with refuses(problem, at="FilterGroup", fix=fix):
        FilterGroup(**{"events": [PUSH], **settings})


@pytest.mark.parametrize(
    ("settings", "event"),
    [
        ({"events": [PUSH], "base_branches": ["main"]}, "PUSH"),
        ({"events": [EVENT.PULL_REQUEST_CREATED, PUSH], "exclude_base_branches": ["main"]}, "PUSH"),
        ({"events": [EVENT.PULL_REQUEST_CREATED], "tags": ["v*"]}, "PULL_REQUEST_CREATED"),
        ({"events": [EVENT.RELEASED], "branches": ["main"]}, "RELEASED"),
        ({"events": [EVENT.RELEASED], "paths": ["src/**"]}, "RELEASED"),
        ({"events": [EVENT.WORKFLOW_JOB_QUEUED], "exclude_paths": ["docs/**"]}, "WORKFLOW_JOB_QUEUED"),
        ({"events": [EVENT.PRERELEASED], "commit_messages": ["ci"]}, "PRERELEASED"),
        ({"events": [PUSH], "workflows": ["CI"]}, "PUSH"),
    ],
)
def test_fails_when_an_event_has_nothing_to_filter(settings, event):
    with refuses(event, "would never start a build", at="FilterGroup", fix=f"give {event} a FilterGroup of its own"):
        FilterGroup(**settings)


def test_fails_when_tags_are_asked_of_a_push_and_of_a_release():
    with refuses("a push and a release", at="FilterGroup", fix="a FilterGroup of its own"):
        FilterGroup(events=[PUSH, EVENT.RELEASED], tags=["v*"])


@pytest.mark.parametrize(
    "settings",
    [
        {"branches": ["main"], "exclude_branches": ["main"]},
        {"branches": ["a/b", "a/c"], "exclude_branches": ["a/*"]},
        {"branches": ["main"], "exclude_branches": [re.compile("heads")]},
        {"actors": ["1"], "exclude_actors": ["1"]},
        {"paths": ["docs/**"], "exclude_paths": ["docs/**"]},
        {"exclude_paths": ["**"]},
    ],
)
def test_fails_when_everything_is_excluded(settings):
    with refuses("would never start a build", at="FilterGroup", fix="exclude less"):
        FilterGroup(events=[PUSH], **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"branches": ["main", "dev"], "exclude_branches": ["main"]},
        {"branches": ["*"], "exclude_branches": ["main"]},
        {"branches": [re.compile("a")], "exclude_branches": ["main"]},
        {"paths": ["docs/**"], "exclude_paths": ["docs/*"]},
    ],
)
def test_groups_that_leave_something_over_are_accepted(settings):
    FilterGroup(events=[PUSH], **settings)


def webhook(**settings):
    return Webhook(filter_groups=[FilterGroup(**{"events": [PUSH], **settings})])


@pytest.mark.parametrize(
    ("provider", "lacking"),
    [
        ("GITHUB", set()),
        ("GITHUB_ENTERPRISE", {"RELEASED", "PRERELEASED"}),
        ("GITLAB", {"PRERELEASED"}),
        ("GITLAB_SELF_MANAGED", {"PRERELEASED"}),
        ("BITBUCKET", {"RELEASED", "PRERELEASED", "PULL_REQUEST_REOPENED", "WORKFLOW_JOB_QUEUED"}),
    ],
)
def test_each_provider_has_its_events(provider, lacking):
    found = {event.name for event in EVENT if webhook(events=[event]).problem_at(provider)}
    assert found == lacking


def test_a_missing_event_is_told_with_those_there_are():
    problem, fix = webhook(events=[EVENT.RELEASED]).problem_at("BITBUCKET") or ("", "")
    assert problem == "Bitbucket has no event RELEASED"
    assert "PULL_REQUEST_CREATED" in fix
    assert "RELEASED" not in fix.replace("PRERELEASED", "RELEASED")


@pytest.mark.parametrize("settings", [{"paths": ["src/**"]}, {"exclude_commit_messages": ["ci"]}])
def test_github_enterprise_tells_files_and_messages_of_pushes_only(settings):
    assert webhook(**settings).problem_at("GITHUB_ENTERPRISE") is None
    pull_request = webhook(events=[EVENT.PULL_REQUEST_CREATED], **settings)
    problem, fix = pull_request.problem_at("GITHUB_ENTERPRISE") or ("", "")
    assert "PULL_REQUEST_CREATED from GitHub Enterprise Server" in problem
    assert next(iter(settings)) in fix
    assert pull_request.problem_at("GITHUB") is None


def test_gitlab_tells_no_tags_of_releases():
    released = webhook(events=[EVENT.RELEASED], tags=["v*"])
    assert "RELEASED from GitLab" in (released.problem_at("GITLAB") or ("", ""))[0]
    assert released.problem_at("GITHUB") is None


@pytest.mark.parametrize(
    ("provider", "role"),
    [("GITHUB", "GITHUB_MAINTAIN"), ("GITLAB", "GITLAB_OWNER"), ("BITBUCKET", "BITBUCKET_WRITE")],
)
def test_approvers_have_roles_of_their_provider(provider, role):
    approved = Webhook(filter_groups=[FilterGroup(events=[EVENT.PULL_REQUEST_CREATED])], approver_roles=[role])
    assert approved.problem_at(provider) is None
    others = {"GITHUB", "GITLAB", "BITBUCKET"} - {provider}
    assert all(role in (approved.problem_at(other) or ("",))[0] for other in others)


def rendered(webhook, *, batch=False):
    return a_stack().resolve(webhook.triggers(batch=batch))


def test_pull_requests_from_forks_wait_unless_said_otherwise():
    policy = rendered(webhook(events=[EVENT.PULL_REQUEST_UPDATED]))["pullRequestBuildPolicy"]
    assert policy == {"requiresCommentApproval": "FORK_PULL_REQUESTS"}


def test_no_approval_is_said_too_since_codebuild_asks_for_it_by_itself():
    group = FilterGroup(events=[EVENT.PULL_REQUEST_UPDATED])
    policy = rendered(Webhook(filter_groups=[group], requires_comment_approval="DISABLED"))["pullRequestBuildPolicy"]
    assert policy == {"requiresCommentApproval": "DISABLED"}


def test_pushes_need_no_policy():
    assert "pullRequestBuildPolicy" not in rendered(webhook())


def test_a_webhook_starts_batches_where_there_are_some():
    assert "buildType" not in rendered(webhook())
    assert rendered(webhook(), batch=True)["buildType"] == "BUILD_BATCH"


def test_a_runner_takes_jobs_of_workflows():
    runner = Webhook.actions_runner(workflows=["CI"], exclude_workflows=["Docs"])
    assert runner.only_runs_jobs
    [group] = rendered(runner)["filterGroups"]
    assert [(one["type"], one["pattern"]) for one in group] == [
        ("EVENT", "WORKFLOW_JOB_QUEUED"),
        ("WORKFLOW_NAME", "^CI$"),
        ("WORKFLOW_NAME", "^Docs$"),
    ]
    assert not webhook().only_runs_jobs


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"filter_groups": []}, "without filter groups", "FilterGroup(events=…)"),
        ({"filter_groups": FilterGroup(events=[PUSH])}, "no list", "filter_groups=[FilterGroup(…)]"),
        ({"approver_roles": "GITHUB_ADMIN"}, "no list", "approver_roles=["),
        ({"requires_comment_approval": "FORKS"}, "'FORKS'", "FORK_PULL_REQUESTS"),
        (
            {"requires_comment_approval": "DISABLED", "approver_roles": ["GITHUB_ADMIN"]},
            "nothing to approve",
            "remove one",
        ),
    ],
)
def test_fails_when_a_webhook_says_nothing(settings, problem, fix):
    with refuses(problem, at="Webhook", fix=fix):
        Webhook(**{"filter_groups": [FilterGroup(events=[PUSH])], **settings})
