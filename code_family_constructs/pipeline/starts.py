"""Floor 2: would a pipeline start, and why? Triggers asked about one event, as CodePipeline documents that it answers.

Nothing is synthesized: a team's tests can say, within milliseconds, that a commit of documents starts no production.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list
from code_family_constructs.pipeline.globs import matches
from code_family_constructs.pipeline.schedule import ScheduleTrigger
from code_family_constructs.pipeline.triggers import (
    GitTrigger,
    PullRequestFilter,
    PushFilter,
    Trigger,
    Watched,
    check_sources,
    criteria,
    git_trigger,
    starts_by_itself,
)
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """A push to a branch, or of a tag.

    Args:
        branch: The branch; or give `tag`.
        tag: The tag.
        files: What the push changes, from the root of the repository; needed where a filter looks at files.
        new_branch: Whether it is the push that makes the branch.

    Raises:
        ConfigurationError: Not one of branch and tag, or what no push has.
    """

    branch: str | None = None
    tag: str | None = None
    files: Sequence[str] | None = None
    new_branch: bool = False

    def __post_init__(self) -> None:
        if (self.branch is None) == (self.tag is None):
            raise ConfigurationError(
                f"a push with branch={self.branch!r} and tag={self.tag!r}", at="Push", fix="give one of the two"
            )
        if self.tag is not None and (self.files is not None or self.new_branch):
            raise ConfigurationError(
                "a push of a tag with files or a new branch", at="Push", fix="leave them out, or give branch= instead"
            )
        _check_name("Push", "branch", self.branch)
        _check_name("Push", "tag", self.tag)
        object.__setattr__(self, "files", _checked_files("Push", self.files))


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequest:
    """Something that happened to a pull request.

    Args:
        event: What happened.
        destination_branch: The branch that it goes to. CodePipeline does not ask where it comes from.
        files: What it changes, from the root of the repository; needed where a filter looks at files.
        merged: For one that is closed: whether it was merged. Only Bitbucket makes a difference of it.

    Raises:
        ConfigurationError: What no pull request has.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html#pipelines-filter-pullrequest-events
    """

    event: codepipeline.GitPullRequestEvent
    destination_branch: str
    files: Sequence[str] | None = None
    merged: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.event, codepipeline.GitPullRequestEvent):
            names = ", ".join(event.name for event in codepipeline.GitPullRequestEvent)
            raise ConfigurationError(
                f"event={self.event!r} is no event of a pull request",
                at="PullRequest",
                fix=f"use codepipeline.GitPullRequestEvent: {names}",
            )
        if self.merged is not None and self.event is not codepipeline.GitPullRequestEvent.CLOSED:
            raise ConfigurationError(
                f"merged={self.merged} for a pull request that is not closed", at="PullRequest", fix="leave out merged"
            )
        _check_name("PullRequest", "destination_branch", self.destination_branch)
        object.__setattr__(self, "files", _checked_files("PullRequest", self.files))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an event starts a pipeline; true or false by itself, so that it can be asserted.

    Attributes:
        starts: Whether it does.
        reason: Which filter and pattern decided.
    """

    starts: bool
    reason: str

    def __bool__(self) -> bool:
        return self.starts


def would_start(
    event: Push | PullRequest,
    *,
    triggers: Sequence[Trigger] | None,
    sources: Mapping[str, Watched],
    source: str | None = None,
) -> Decision:
    """Whether something that happens in the repository of a source starts the pipeline, and why.

    Args:
        event: What happens.
        triggers: The pipeline's triggers, as it was given them.
        sources: The pipeline's sources, by the names of their artifacts.
        source: The source whose repository it happens in; needed when there are several.

    Raises:
        ConfigurationError: There is no such source, or the triggers do not fit the sources; or what is given does not
            decide it: the changed files are not said, they are more than CodePipeline looks at, or a value is only
            known when the stack is deployed.
    """
    if triggers is not None:
        check_sources("would_start", triggers, sources)
    name = _source(source, sources)
    trigger = git_trigger(triggers, name)
    if trigger is not None:
        verdict = _by_filters(event, trigger, sources[name])
    elif starts_by_itself(triggers, name, sources[name]):
        verdict = _by_source(event, name, sources[name])
    else:
        verdict = _Verdict(False, _nothing_listens(triggers, name))
    if verdict.starts is None:
        raise ConfigurationError(
            f"whether {_said(event)} starts the pipeline is open: {verdict.reason}",
            at=f"source {name!r}",
            fix=verdict.fix,
        )
    return Decision(verdict.starts, verdict.reason)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """An answer, or None where what is given does not decide it, with what to do about that."""

    starts: bool | None
    reason: str
    fix: str = ""


_LATER = "ask about values that are plain text"
# https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html#troubleshooting-file-paths-files
_MOST_FILES = 100
_MOST_SHOWN = 3
_NOUNS = {"branches": "branch", "tags": "tag"}


def _source(given: str | None, sources: Mapping[str, Watched]) -> str:
    if given is None and len(sources) > 1:
        raise ConfigurationError(
            f"an event in the repository of one of {len(sources)} sources",
            at="would_start",
            fix=f"say of which: source={' or '.join(map(repr, sources))}",
        )
    name = next(iter(sources)) if given is None else given
    if name not in sources:
        raise ConfigurationError(
            f"source {name!r} is none of the pipeline", at="would_start", fix=f"use {' or '.join(map(repr, sources))}"
        )
    return name


def _said(event: Push | PullRequest) -> str:
    if isinstance(event, PullRequest):
        return f"a pull request to {event.destination_branch!r} ({event.event.name})"
    return f"a push to {event.branch!r}" if event.tag is None else f"a push of tag {event.tag!r}"


def _nothing_listens(triggers: Sequence[Trigger] | None, name: str) -> str:
    schedules = [repr(one.name) for one in triggers or () if isinstance(one, ScheduleTrigger)]
    if triggers is None:
        return f"source {name!r} is told not to start the pipeline by itself"
    if not triggers:
        return "triggers=[]: the pipeline is started by people only"
    if len(schedules) == len(triggers):
        return f"only the schedule starts the pipeline: {', '.join(schedules)}"
    return f"no trigger listens to source {name!r}"


def _by_source(event: Push | PullRequest, name: str, watched: Watched) -> _Verdict:
    if watched.branch is None:
        return _Verdict(False, f"source {name!r} is no Git repository")
    if unresolved(watched.branch) and isinstance(event, Push) and event.tag is None:
        return _Verdict(None, f"the branch of source {name!r} is only known when the stack is deployed", _LATER)
    branch = "its branch" if unresolved(watched.branch) else repr(watched.branch)
    listens = f"source {name!r} starts the pipeline with each push to {branch}"
    if isinstance(event, PullRequest):
        return _Verdict(False, f"{listens}, and a pull request is none before it is merged")
    return _Verdict(event.branch == watched.branch, listens if event.branch == watched.branch else f"{listens} only")


def _by_filters(event: Push | PullRequest, trigger: GitTrigger, watched: Watched) -> _Verdict:
    pulled = isinstance(event, PullRequest)
    filters: Sequence[PushFilter | PullRequestFilter] = trigger.pull_request if pulled else trigger.push
    what = "pull request" if pulled else "push"
    if not filters:
        return _Verdict(False, f"the trigger has no filter for a {what}")
    verdicts: list[_Verdict] = []
    for number, one in enumerate(filters, 1):
        label = f"{what} filter {number}" if len(filters) > 1 else f"the {what} filter"
        verdict = _by_filter(event, one, watched)
        verdict = _Verdict(verdict.starts, f"{label}: {verdict.reason}", verdict.fix)
        if verdict.starts:
            return verdict
        verdicts.append(verdict)
    undecided = next((verdict for verdict in verdicts if verdict.starts is None), None)
    return undecided or _Verdict(False, "; ".join(verdict.reason for verdict in verdicts))


def _by_filter(event: Push | PullRequest, filter: PushFilter | PullRequestFilter, watched: Watched) -> _Verdict:
    """All that the filter is about has to hold; what does not hold decides, whatever else is open."""
    verdicts: list[_Verdict] = []
    if isinstance(event, PullRequest) and isinstance(filter, PullRequestFilter):
        verdicts.append(_by_event(event, filter.events, watched))
    for about, includes, excludes in criteria(filter):
        if not includes and not excludes:
            continue
        if about == "file_paths":
            verdicts.append(_by_files(event, includes, excludes))
            continue
        name = event.destination_branch if isinstance(event, PullRequest) else getattr(event, _NOUNS[about])
        if name is None:
            verdicts.append(_Verdict(False, f"it is about {about}, and {_said(event)} is not"))
        else:
            verdicts.append(_by_name(_NOUNS[about], about, name, includes, excludes))
    failed = next((verdict for verdict in verdicts if verdict.starts is False), None)
    undecided = next((verdict for verdict in verdicts if verdict.starts is None), None)
    return failed or undecided or _Verdict(True, " and ".join(verdict.reason for verdict in verdicts))


def _by_event(event: PullRequest, events: Sequence[codepipeline.GitPullRequestEvent], watched: Watched) -> _Verdict:
    named = ", ".join(one.name for one in events)
    if event.event not in events:
        return _Verdict(False, f"event {event.event.name} is none of {named}")
    if event.event is codepipeline.GitPullRequestEvent.CLOSED and watched.provider_type == "Bitbucket":
        if event.merged is None:
            return _Verdict(None, "Bitbucket tells of a closed one only when it was merged", "say merged=True or False")
        if not event.merged:
            return _Verdict(False, "Bitbucket does not tell of a pull request that is closed without being merged")
    return _Verdict(True, f"event {event.event.name} is one of {named}")


def _by_name(noun: str, about: str, name: str, includes: Sequence[str], excludes: Sequence[str]) -> _Verdict:
    excluded = _first_match(excludes, name)
    if excluded is not None:
        return _Verdict(False, f"{noun} {name!r} is excluded by {excluded!r}")
    included = _first_match(includes, name)
    later = [pattern for pattern in (*excludes, *(() if included else includes)) if unresolved(pattern)]
    if later:
        return _Verdict(None, f"a pattern of {about} is only known when the stack is deployed", _LATER)
    if included is not None:
        return _Verdict(True, f"{noun} {name!r} is included by {included!r}")
    if includes:
        return _Verdict(False, f"{noun} {name!r} is included by none of {', '.join(map(repr, includes))}")
    return _Verdict(True, f"{noun} {name!r} is excluded by none of {', '.join(map(repr, excludes))}")


def _first_match(patterns: Sequence[str], name: str) -> str | None:
    return next((pattern for pattern in patterns if not unresolved(pattern) and matches(pattern, name)), None)


def _by_files(event: Push | PullRequest, includes: Sequence[str], excludes: Sequence[str]) -> _Verdict:
    if isinstance(event, Push) and event.new_branch:
        return _Verdict(False, f"it looks at files, and of new branch {event.branch!r} it is not known what changed")
    if event.files is None:
        return _Verdict(None, "a filter looks at the changed files", "say which: files=[…]")
    verdicts = [_by_name("file", "file paths", file, includes, excludes) for file in event.files]
    counting = [verdict for verdict in verdicts if verdict.starts]
    if counting and len(verdicts) - len(counting) >= _MOST_FILES:
        return _Verdict(
            None,
            f"of {len(verdicts)} changed files {len(counting)} count, and CodePipeline looks at {_MOST_FILES}, "
            "in no particular order",
            f"ask about fewer files: those that do not count have to be less than {_MOST_FILES}",
        )
    if counting:
        return counting[0]
    undecided = next((verdict for verdict in verdicts if verdict.starts is None), None)
    if undecided is not None:
        return undecided
    if not verdicts:
        return _Verdict(False, "no file changed")
    shown = [verdict.reason for verdict in verdicts[:_MOST_SHOWN]]
    rest = len(verdicts) - len(shown)
    return _Verdict(False, ", ".join(shown) + (f", and {rest} more do not count either" if rest else ""))


def _check_name(at: str, argument: str, name: str | None) -> None:
    if name is None:
        return
    if not name or name.startswith("refs/"):
        plain = name.removeprefix("refs/heads/").removeprefix("refs/tags/")
        raise ConfigurationError(
            f"{argument}={name!r} is no name", at=at, fix=f"write it as git shows it: {plain or 'main'!r}"
        )


def _checked_files(at: str, files: Sequence[str] | None) -> tuple[str, ...] | None:
    if files is None:
        return None
    check_list(at, "files", files)
    for file in files:
        if not file or file.startswith(("/", "./")) or file.endswith("/"):
            raise ConfigurationError(
                f"file {file!r} is no path of a file",
                at=at,
                fix="write it from the root of the repository, such as 'docs/guide.md'",
            )
    return tuple(files)
