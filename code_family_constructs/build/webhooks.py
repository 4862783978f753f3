"""Floor 1: what at the repository's provider starts a build."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aws_cdk import aws_codebuild as codebuild

from code_family_constructs.build.path_patterns import paths_outside
from code_family_constructs.build.patterns import Pattern, any_of, can_start_with, glob, re2, unsupported
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved

_Event = codebuild.EventAction


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterGroup:
    """Events that start a build: one of `events`, for which everything else that is given holds too.

    Branches, tags, paths and workflows are given as names, in which `*` stands for anything up to the next `/`, `**`
    for anything across them, and `?` for one character. Where that does not do, give a pattern, `re.compile(…)`: it is
    searched in what CodeBuild documents (a branch is `refs/heads/main` there), and has to be one that RE2 knows.

    CodeBuild looks at the first 100 files of a change (3,000 at Bitbucket): a larger one may be judged wrongly.

    Args:
        events: What happened, such as `codebuild.EventAction.PUSH`.
        branches: Branches that were pushed to, or that a pull request comes from.
        exclude_branches: Such branches that start no build.
        tags: Tags that were pushed, or that a release has.
        exclude_tags: Such tags that start no build.
        base_branches: Branches that a pull request goes to.
        exclude_base_branches: Such branches that start no build.
        paths: Files, from the root of the repository; one changed file is enough.
        exclude_paths: Files that do not count, names only: a change of nothing else starts no build.
        actors: Account ids, at the provider, of who did it.
        exclude_actors: Account ids whose doing starts no build.
        commit_messages: Texts in the message of the newest commit.
        exclude_commit_messages: Texts there that keep a build from starting, such as `[skip ci]`.
        workflows: Names of workflows, for a runner.
        exclude_workflows: Workflows that other runners run.

    https://docs.aws.amazon.com/codebuild/latest/userguide/github-webhook.html
    """

    events: Sequence[codebuild.EventAction]
    branches: Sequence[Pattern] = ()
    exclude_branches: Sequence[Pattern] = ()
    tags: Sequence[Pattern] = ()
    exclude_tags: Sequence[Pattern] = ()
    base_branches: Sequence[Pattern] = ()
    exclude_base_branches: Sequence[Pattern] = ()
    paths: Sequence[Pattern] = ()
    exclude_paths: Sequence[str] = ()
    actors: Sequence[Pattern] = ()
    exclude_actors: Sequence[Pattern] = ()
    commit_messages: Sequence[Pattern] = ()
    exclude_commit_messages: Sequence[Pattern] = ()
    workflows: Sequence[Pattern] = ()
    exclude_workflows: Sequence[Pattern] = ()

    def __post_init__(self) -> None:
        if not self.events:
            raise _error("a filter group without events", "give events=[codebuild.EventAction.PUSH], for example")
        for event in self.events:
            if not isinstance(event, _Event):
                raise _error(f"{event!r} is no event", f"give codebuild.EventAction.{event}")
        for about in _ABOUT:
            for argument in (about, f"exclude_{about}"):
                _check_list(self, argument, about)
            self._check_events(about)
            self._check_not_all_excluded(about)

    def filters(self) -> Iterator[tuple[str, str, bool]]:
        """Type, pattern, and whether it excludes, of each filter: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_WebhookFilter.html."""
        yield "EVENT", ", ".join(event.value for event in self.events), False
        of_release = any(event in _RELEASES for event in self.events)
        for exclude in ("", "exclude_"):
            found: dict[str, list[str]] = {}
            for about, kind in _ABOUT.items():
                filter_type = "TAG_NAME" if about == "tags" and of_release else kind.filter_type
                prefix = "" if filter_type == "TAG_NAME" else kind.prefix
                for pattern in getattr(self, f"{exclude}{about}"):
                    found.setdefault(filter_type, []).append(kind.expression(pattern, prefix))
            if self.exclude_paths:
                found.pop("FILE_PATH", None)
                if not exclude:
                    found["FILE_PATH"] = [self._counting_paths() or ""]
            for filter_type, expressions in found.items():
                yield filter_type, any_of(expressions), bool(exclude)

    def _counting_paths(self) -> str | None:
        included = tuple(str(path) for path in self.paths) or ("**",)
        return paths_outside(tuple(self.exclude_paths), included)

    def _check_events(self, about: str) -> None:
        kind = _ABOUT[about]
        argument = next((name for name in (about, f"exclude_{about}") if getattr(self, name)), None)
        if argument is None:
            return
        without = [event.value for event in self.events if event not in kind.events]
        if without:
            raise _error(
                f"{argument}= beside {without[0]}, an event that has no {kind.noun}: that would never start a build",
                f"give {without[0]} a FilterGroup of its own, without {argument}=",
            )
        if about == "tags" and 0 < sum(event in _RELEASES for event in self.events) < len(self.events):
            raise _error(
                f"{argument}= for a push and a release, which CodeBuild filters in different ways",
                "give the release a FilterGroup of its own",
            )

    def _check_not_all_excluded(self, about: str) -> None:
        if about == "paths":
            if self.exclude_paths and self._counting_paths() is None:
                raise _error(
                    f"exclude_paths={list(self.exclude_paths)} leaves no file over: that would never start a build",
                    "exclude less",
                )
            return
        included, excluded = getattr(self, about), getattr(self, f"exclude_{about}")
        kind = _ABOUT[about]
        against = [kind.compiled(pattern) for pattern in excluded]
        names = [name for name in included if isinstance(name, str) and not set(name) & {"*", "?", "$"}]
        every = included and len(names) == len(included)
        if against and every and all(any(one.search(kind.prefix + name) for one in against) for name in names):
            raise _error(
                f"{about}={names} are all excluded by exclude_{about}=: that would never start a build",
                f"remove one of the two, or exclude less of {names[0]!r}",
            )


@dataclass(frozen=True, slots=True)
class _About:
    """Something that can be asked of an event.

    Args:
        filter_type: CodeBuild's word for it.
        noun: Ours.
        events: The events that have it.
        prefix: What a name stands behind.
        whole: Whether a name is the whole of it.
    """

    filter_type: str
    noun: str
    events: frozenset[codebuild.EventAction]
    prefix: str = ""
    whole: bool = True

    def expression(self, pattern: Pattern, prefix: str | None = None) -> str:
        if not isinstance(pattern, str):
            return re2(pattern)
        prefix = self.prefix if prefix is None else prefix
        name = glob(pattern) if self.filter_type in _WITH_WILDCARDS else re.escape(pattern)
        return f"^{prefix}{name}$" if self.whole else name

    def compiled(self, pattern: Pattern) -> re.Pattern[str]:
        return re.compile(self.expression(pattern)) if isinstance(pattern, str) else pattern


_RELEASES = frozenset({_Event.RELEASED, _Event.PRERELEASED})
_PULL_REQUESTS = frozenset(event for event in _Event if event.value.startswith("PULL_REQUEST_"))
_CHANGES = _PULL_REQUESTS | {_Event.PUSH}
_JOBS = frozenset({_Event.WORKFLOW_JOB_QUEUED})
_WITH_WILDCARDS = ("HEAD_REF", "BASE_REF", "TAG_NAME", "FILE_PATH", "WORKFLOW_NAME")
_ABOUT: Mapping[str, _About] = {
    "branches": _About("HEAD_REF", "branch", _CHANGES, "refs/heads/"),
    "tags": _About("HEAD_REF", "tag", _RELEASES | {_Event.PUSH}, "refs/tags/"),
    "base_branches": _About("BASE_REF", "branch that it goes to", _PULL_REQUESTS, "refs/heads/"),
    "paths": _About("FILE_PATH", "changed files", _CHANGES),
    "actors": _About("ACTOR_ACCOUNT_ID", "actor", frozenset(_Event)),
    "commit_messages": _About("COMMIT_MESSAGE", "commit message", _CHANGES, whole=False),
    "workflows": _About("WORKFLOW_NAME", "workflow", _JOBS),
}

Approval = Literal["ALL_PULL_REQUESTS", "FORK_PULL_REQUESTS", "DISABLED"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """What starts builds of a project with a repository as its source, and whose pull requests have to wait.

    A pull request from a fork runs the code of a stranger with the role, the network and the variables of the project;
    and the role can get tokens of the connection, for all repositories that the connection reaches. So it waits until
    somebody who may approve writes `/codebuild_run(<commit>)` under it, unless its author may.
    https://docs.aws.amazon.com/codebuild/latest/userguide/pull-request-build-policy.html

    Args:
        filter_groups: Which events; one group that holds is enough.
        requires_comment_approval: Which pull requests wait for that comment, in CodeBuild's own words.
        approver_roles: Roles at the provider whose holders may approve, such as `GITHUB_MAINTAIN`; CodeBuild's choice,
            everyone who may push, when left out.
    """

    filter_groups: Sequence[FilterGroup]
    requires_comment_approval: Approval = "FORK_PULL_REQUESTS"
    approver_roles: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.filter_groups, FilterGroup) or isinstance(self.approver_roles, str):
            raise _error("no list was given", "write filter_groups=[FilterGroup(…)], approver_roles=['…']", "Webhook")
        if self.requires_comment_approval not in get_args(Approval):
            raise _error(
                f"requires_comment_approval={self.requires_comment_approval!r}",
                f"use {', '.join(get_args(Approval))}",
                "Webhook",
            )
        if not self.filter_groups:
            raise _error("a webhook without filter groups", "say what starts a build: FilterGroup(events=…)", "Webhook")
        if self.requires_comment_approval == "DISABLED" and self.approver_roles:
            raise _error(f"approver_roles={list(self.approver_roles)}, and nothing to approve", "remove one", "Webhook")

    @staticmethod
    def actions_runner(*, workflows: Sequence[Pattern] = (), exclude_workflows: Sequence[Pattern] = ()) -> "Webhook":
        """Makes the project a self-hosted runner: of GitHub Actions, or of GitLab CI.

        Each queued job whose `runs-on` is `codebuild-<project>-${{ github.run_id }}-${{ github.run_attempt }}` gets a
        build of its own. The buildspec is not run, but for `install`, `pre_build` and `post_build` of jobs with the
        label `buildspec-override:true`. A job that takes longer than the project's `timeout` is stopped. Comment
        approval does not concern workflows: let the provider ask for approval before it runs those of strangers.
        https://docs.aws.amazon.com/codebuild/latest/userguide/action-runner.html

        Args:
            workflows: Names of the workflows; all when left out.
            exclude_workflows: Workflows that other runners run.
        """
        group = FilterGroup(
            events=[_Event.WORKFLOW_JOB_QUEUED], workflows=workflows, exclude_workflows=exclude_workflows
        )
        return Webhook(filter_groups=[group])

    @property
    def only_runs_jobs(self) -> bool:
        """Whether all that it starts are jobs of a workflow, so that no build phase of a buildspec ever runs."""
        return all(set(group.events) <= _JOBS for group in self.filter_groups)

    def problem_at(self, provider: str) -> tuple[str, str] | None:
        """What a provider cannot do, and what to do about it."""
        for group in self.filter_groups:
            for event in group.events:
                if event not in _EVENTS[provider]:
                    offered = ", ".join(sorted(one.value for one in _EVENTS[provider]))
                    return f"{_CALLED[provider]} has no event {event.value}", f"use {offered}"
                for about in _ABOUT:
                    given = next((name for name in (about, f"exclude_{about}") if getattr(group, name)), None)
                    if given and (about, provider) in _LACKS and event in _LACKS[about, provider]:
                        return (
                            f"CodeBuild knows no {_ABOUT[about].noun} of {event.value} from {_CALLED[provider]}",
                            f"give {event.value} a FilterGroup of its own, without {given}=",
                        )
        for role in self.approver_roles:
            if role not in _ROLES[provider]:
                return f"{_CALLED[provider]} has no role {role!r}", f"use {', '.join(_ROLES[provider])}"
        return None

    def triggers(self, *, batch: bool) -> codebuild.CfnProject.ProjectTriggersProperty:
        """The webhook for CloudFormation.

        Args:
            batch: Whether it starts batches.
        """
        project = codebuild.CfnProject
        policy = None
        if any(event in _PULL_REQUESTS for group in self.filter_groups for event in group.events):
            policy = project.PullRequestBuildPolicyProperty(
                requires_comment_approval=self.requires_comment_approval,
                approver_roles=list(self.approver_roles) or None,
            )
        return project.ProjectTriggersProperty(
            webhook=True,
            build_type="BUILD_BATCH" if batch else None,
            filter_groups=[
                [
                    project.WebhookFilterProperty(
                        type=filter_type, pattern=pattern, exclude_matched_pattern=True if exclude else None
                    )
                    for filter_type, pattern, exclude in group.filters()
                ]
                for group in self.filter_groups
            ],
            pull_request_build_policy=policy,
        )


_CALLED = {
    "GITHUB": "GitHub",
    "GITHUB_ENTERPRISE": "GitHub Enterprise Server",
    "GITLAB": "GitLab",
    "GITLAB_SELF_MANAGED": "GitLab",
    "BITBUCKET": "Bitbucket",
}
_EVENTS: Mapping[str, frozenset[codebuild.EventAction]] = {
    "GITHUB": frozenset(_Event),
    "GITHUB_ENTERPRISE": _CHANGES | _JOBS,
    "GITLAB": _CHANGES | _JOBS | {_Event.RELEASED},
    "GITLAB_SELF_MANAGED": _CHANGES | _JOBS | {_Event.RELEASED},
    "BITBUCKET": _CHANGES - {_Event.PULL_REQUEST_REOPENED},
}
# https://docs.aws.amazon.com/codebuild/latest/userguide/github-webhook.html and gitlab-webhook.html
_LACKS: Mapping[tuple[str, str], frozenset[codebuild.EventAction]] = {
    ("paths", "GITHUB_ENTERPRISE"): _PULL_REQUESTS,
    ("commit_messages", "GITHUB_ENTERPRISE"): _PULL_REQUESTS,
    ("tags", "GITLAB"): _RELEASES,
    ("tags", "GITLAB_SELF_MANAGED"): _RELEASES,
}
_GITHUB = tuple(f"GITHUB_{role}" for role in ("ADMIN", "MAINTAIN", "WRITE", "TRIAGE", "READ"))
_GITLAB = tuple(f"GITLAB_{role}" for role in ("OWNER", "MAINTAINER", "DEVELOPER", "REPORTER", "PLANNER", "GUEST"))
_ROLES: Mapping[str, Sequence[str]] = {
    "GITHUB": _GITHUB,
    "GITHUB_ENTERPRISE": _GITHUB,
    "GITLAB": _GITLAB,
    "GITLAB_SELF_MANAGED": _GITLAB,
    "BITBUCKET": ("BITBUCKET_ADMIN", "BITBUCKET_WRITE", "BITBUCKET_READ"),
}


def _check_list(group: FilterGroup, argument: str, about: str) -> None:
    given = getattr(group, argument)
    if isinstance(given, str | re.Pattern):
        raise _error(f"{argument}={given!r} is no list", f"write {argument}=[{given!r}]")
    for pattern in given:
        if isinstance(pattern, str):
            _check_name(argument, about, pattern)
        else:
            _check_pattern(group, argument, about, pattern)


# No branch or tag is called so: https://git-scm.com/docs/git-check-ref-format
_LIKE_A_PATTERN = r"[\^\\\[|]|(?:^|/)\.\*|\$$"


def _check_name(argument: str, about: str, name: str) -> None:
    if unresolved(name):
        return
    prefix = _ABOUT[about].prefix
    if not name.strip():
        raise _error(f"{argument} has an empty text in it", "remove it")
    if prefix and name.startswith("refs/"):
        raise _error(f"{argument} has {name!r} in it", f"write the name alone: {name.removeprefix(prefix)!r}")
    if re.search(_LIKE_A_PATTERN if prefix else r"^\^|\\|\$$", name):
        raise _error(
            f"{argument} has {name!r} in it, which is no name", f"for a pattern write re.compile(r'^{prefix}…')"
        )
    if about == "paths" and name.startswith(("/", "./")):
        raise _error(f"{argument} has {name!r} in it, which no changed file is called", f"write {name.lstrip('./')!r}")
    if about == "paths" and name.endswith("/"):
        raise _error(f"{argument} has the folder {name!r} in it, and files change", f"write {name + '**'!r}")


def _check_pattern(group: FilterGroup, argument: str, about: str, pattern: re.Pattern[str]) -> None:
    if argument == "exclude_paths" or (argument == "paths" and group.exclude_paths):
        raise _error(
            f"{argument} has the pattern {pattern.pattern!r} in it",
            "beside or in exclude_paths= give names, with * and **: CodeBuild cannot tell the two apart otherwise",
        )
    lacking = unsupported(pattern)
    if lacking:
        raise _error(
            f"{argument} has {pattern.pattern!r} in it, and CodeBuild's expressions (RE2) have not {lacking}",
            f"say it with {argument.removeprefix('exclude_')}= and exclude_{argument.removeprefix('exclude_')}=",
        )
    beginnings = {"branches": ("refs/heads/", "refs/tags/"), "base_branches": ("refs/heads/",)}
    beginnings["tags"] = ("refs/tags/",) if codebuild.EventAction.PUSH in group.events else ("",)
    if about in beginnings and not can_start_with(pattern, beginnings[about]):
        raise _error(
            f"{argument} has {pattern.pattern!r} in it, which matches nothing that starts with {beginnings[about][0]}",
            f"write {'^' + beginnings[about][0] + pattern.pattern.lstrip('^')!r}",
        )
    if about == "paths" and re.match(r"(?:\^|\\A)\.?/", pattern.pattern):
        raise _error(
            f"{argument} has {pattern.pattern!r} in it, which no changed file is called", "leave out the slash"
        )


def _error(problem: str, fix: str, at: str = "FilterGroup") -> ConfigurationError:
    return ConfigurationError(problem, at=at, fix=fix)
