"""Floor 2: what starts a pipeline."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list
from code_family_constructs.pipeline.globs import check_glob, is_literal, matches
from code_family_constructs.pipeline.schedule import ScheduleTrigger
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class PushFilter:
    """Pushes that start a pipeline: of a branch, or of a tag.

    What is given has to hold together; what is excluded is never included. Excludes alone include everything else. For
    files it is enough when one of those that changed counts: each is judged on its own. CodePipeline looks at 100 files
    of a push, in no particular order; and when a branch is new, it does not know what changed, and a filter with file
    paths does not start the pipeline.

    All are names with wildcards: `*` for anything within a folder, `**` for anything across folders, `?`, `[abc]`,
    `{main,develop}`, and a backslash before a character that would mean something else. Branches and tags are given
    without `refs/heads/` and `refs/tags/`, files from the root of the repository. Upper and lower case matter.

    Args:
        branches_includes: Branches that are pushed to.
        branches_excludes: Such branches that start nothing.
        tags_includes: Tags that are pushed; they go with neither branches nor files.
        tags_excludes: Such tags that start nothing.
        file_paths_includes: Files that count; they go with branches.
        file_paths_excludes: Files that do not count.

    Raises:
        ConfigurationError: A combination, number or length that CodePipeline would refuse, a pattern that means
            nothing, or one that lets nothing through.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html
    """

    branches_includes: Sequence[str] = ()
    branches_excludes: Sequence[str] = ()
    tags_includes: Sequence[str] = ()
    tags_excludes: Sequence[str] = ()
    file_paths_includes: Sequence[str] = ()
    file_paths_excludes: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_criteria(self)
        if self.about_tags and self.about_branches:
            raise ConfigurationError(
                "branches and tags in one filter, which no push could pass",
                at="PushFilter",
                fix="give the tags a PushFilter of their own: one of several is enough",
            )
        if self.about_files and not self.about_branches:
            raise ConfigurationError(
                f"file paths {[*self.file_paths_includes, *self.file_paths_excludes]} without branches",
                at="PushFilter",
                fix='say which branches too: branches_includes=["**"] for all',
            )
        if not self.about_tags and not self.about_branches:
            raise ConfigurationError(
                "a filter of nothing", at="PushFilter", fix='give branches_includes=["main"], for example'
            )

    @property
    def about_branches(self) -> bool:
        """Whether it is about pushes to branches."""
        return bool(self.branches_includes or self.branches_excludes)

    @property
    def about_tags(self) -> bool:
        """Whether it is about pushes of tags."""
        return bool(self.tags_includes or self.tags_excludes)

    @property
    def about_files(self) -> bool:
        """Whether it looks at what changed."""
        return bool(self.file_paths_includes or self.file_paths_excludes)


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequestFilter:
    """Pull requests that start a pipeline, with the newest commit of the branch that they come from.

    The patterns and rules are those of a `PushFilter`. Merging a pull request is a push too: a filter for `CLOSED` and
    one for pushes to the same branch start the pipeline twice.

    Args:
        events: What happened to it. At Bitbucket, one that is closed without being merged starts nothing.
        branches_includes: Branches that it goes to.
        branches_excludes: Such branches that start nothing.
        file_paths_includes: Files that count.
        file_paths_excludes: Files that do not count.

    Raises:
        ConfigurationError: As for `PushFilter`.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html
    """

    events: Sequence[codepipeline.GitPullRequestEvent]
    branches_includes: Sequence[str] = ()
    branches_excludes: Sequence[str] = ()
    file_paths_includes: Sequence[str] = ()
    file_paths_excludes: Sequence[str] = ()

    def __post_init__(self) -> None:
        at = "PullRequestFilter"
        check_list(at, "events", self.events)
        object.__setattr__(self, "events", tuple(self.events))
        known = [f"GitPullRequestEvent.{event.name}" for event in codepipeline.GitPullRequestEvent]
        for index, event in enumerate(self.events):
            if not isinstance(event, codepipeline.GitPullRequestEvent):
                raise ConfigurationError(f"{event!r} is no event", at=at, fix=f"use codepipeline.{', '.join(known)}")
            if event in self.events[:index]:
                raise ConfigurationError(f"event {event.name} is given twice", at=at, fix="remove one of them")
        if not self.events:
            raise ConfigurationError("a filter without events", at=at, fix=f"give events=[codepipeline.{known[0]}]")
        _check_criteria(self)
        if not self.branches_includes and not self.branches_excludes:
            raise ConfigurationError(
                "pull requests to no branch in particular",
                at=at,
                fix='say which branches they go to: branches_includes=["**"] for all',
            )

    @property
    def about_files(self) -> bool:
        """Whether it looks at what changed."""
        return bool(self.file_paths_includes or self.file_paths_excludes)


@dataclass(frozen=True, kw_only=True, slots=True)
class GitTrigger:
    """Starts a pipeline with pushes and pull requests that pass a filter, in a repository behind CodeConnections.

    One filter is enough. Pushes that pass none start nothing: the branch that the source names is released when
    somebody starts the pipeline by hand, or a schedule does.

    Args:
        push: Filters for pushes, up to three.
        pull_request: Filters for pull requests, up to three.
        source: Name of the source artifact; needed when the pipeline has several sources.

    Raises:
        ConfigurationError: No filter, too many, or the same one twice.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html
    """

    push: Sequence[PushFilter] = ()
    pull_request: Sequence[PullRequestFilter] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        at = "GitTrigger"
        for argument, kind in (("push", PushFilter), ("pull_request", PullRequestFilter)):
            given = getattr(self, argument)
            check_list(at, argument, given)
            object.__setattr__(self, argument, tuple(given))
            filters = getattr(self, argument)
            for index, one in enumerate(filters):
                if not isinstance(one, kind):
                    raise ConfigurationError(
                        f"{argument}= has a {type(one).__name__} in it", at=at, fix=f"give it {kind.__name__}(…)"
                    )
                if one in filters[:index]:
                    raise ConfigurationError(
                        f"{argument} filters {filters.index(one) + 1} and {index + 1} are the same",
                        at=at,
                        fix="remove one of them",
                    )
            if len(filters) > _MOST_FILTERS:
                raise ConfigurationError(
                    f"{len(filters)} {argument} filters, CodePipeline takes {_MOST_FILTERS}",
                    at=at,
                    fix="put several patterns into one, they are alternatives",
                )
        if not self.push and not self.pull_request:
            raise ConfigurationError(
                "a trigger without filters", at=at, fix="give push= or pull_request=, or use SourceChange()"
            )

    def trigger_props(self, source_action: codepipeline.IAction) -> codepipeline.TriggerProps:
        """The trigger as a pipeline of aws-cdk-lib takes it.

        Args:
            source_action: The action that it is for.
        """
        return codepipeline.TriggerProps(
            provider_type=codepipeline.ProviderType.CODE_STAR_SOURCE_CONNECTION,
            git_configuration=codepipeline.GitConfiguration(
                source_action=source_action,
                push_filter=[codepipeline.GitPushFilter(**_given(one)) for one in self.push] or None,
                pull_request_filter=[codepipeline.GitPullRequestFilter(**_given(one)) for one in self.pull_request]
                or None,
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceChange:
    """Starts a pipeline with each change that the source itself notices.

    That is a push to the source's branch; a new version of the object of an S3 source; a push of an image, with its
    tag, to the repository of an ECR source.

    Args:
        source: Name of the source artifact; needed when the pipeline has several sources.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/change-detection-methods.html
    """

    source: str | None = None


Trigger = GitTrigger | SourceChange | ScheduleTrigger


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What triggers have to know about a source.

    Attributes:
        branch: The branch that it releases; None for what has no branches, such as a bucket.
        provider_type: Where the repository is, in the words of CodeConnections (`GitHub`, `Bitbucket`); None for what
            is not behind a connection.
        repository: The repository at that provider, as in `owner/name`.
        detects_changes: Whether it starts the pipeline by itself when the pipeline is given no triggers.
    """

    branch: str | None = None
    provider_type: str | None = None
    repository: str | None = None
    detects_changes: bool = True


def check_triggers(
    at: Construct | str,
    triggers: Sequence[Trigger] | None,
    sources: Mapping[str, Watched],
    *,
    variables: Mapping[str, str | None] | None = None,
) -> None:
    """Raises ConfigurationError for triggers that CodePipeline would refuse, or that would not do what they say.

    Args:
        at: The pipeline.
        triggers: None leaves it to the sources; an empty list, to people.
        sources: The pipeline's sources, by the names of their artifacts.
        variables: The pipeline's variables: name → default, None for those that have none.
    """
    if triggers is not None:
        check_sources(at, triggers, sources)
        _check_schedules(at, triggers, variables or {})
        _check_size(at, [trigger for trigger in triggers if isinstance(trigger, GitTrigger)])
    _check_one_webhook(at, triggers, sources)
    by_themselves = any(starts_by_itself(triggers, name, source) for name, source in sources.items())
    _check_defaults(at, triggers, variables or {}, by_themselves=by_themselves)


def check_sources(at: Construct | str, triggers: Sequence[Trigger], sources: Mapping[str, Watched]) -> None:
    """Raises ConfigurationError for triggers that do not fit the sources.

    Args:
        at: The pipeline.
        triggers: The pipeline's.
        sources: The pipeline's sources, by the names of their artifacts.
    """
    check_list(at, "triggers", triggers)
    for trigger in triggers:
        _check_kind(at, trigger)
    kinds: dict[str, str] = {}
    for trigger in triggers:
        if isinstance(trigger, ScheduleTrigger):
            continue
        kind = type(trigger).__name__
        name = _source_of(at, trigger, kind, sources)
        if name in kinds:
            raise ConfigurationError(
                f"a {kinds[name]} and another {kind} for source {name!r}"
                if kinds[name] == kind
                else f"a {kinds[name]} and a {kind} for source {name!r}",
                at=at,
                fix="a source has one trigger: put all filters into one GitTrigger",
            )
        kinds[name] = kind
        if isinstance(trigger, GitTrigger) and sources[name].provider_type is None:
            raise ConfigurationError(
                f"a GitTrigger for source {name!r}, whose pushes CodePipeline cannot filter",
                at=at,
                fix="filters are for sources behind CodeConnections; use SourceChange() here",
            )
        if isinstance(trigger, SourceChange) and not sources[name].detects_changes:
            raise ConfigurationError(
                f"a SourceChange for source {name!r}, which is told not to start the pipeline",
                at=at,
                fix="remove one of the two",
            )


def detects_changes(triggers: Sequence[Trigger] | None, source: str) -> bool:
    """Whether triggers that were checked leave it to a source to start the pipeline by what it notices itself."""
    return triggers is None or any(
        isinstance(trigger, SourceChange) and trigger.source in (None, source) for trigger in triggers
    )


def starts_by_itself(triggers: Sequence[Trigger] | None, source: str, watched: Watched) -> bool:
    """Whether a source starts the pipeline by what it notices; without triggers, its own setting holds."""
    return detects_changes(triggers, source) and (triggers is not None or watched.detects_changes)


def git_trigger(triggers: Sequence[Trigger] | None, source: str) -> GitTrigger | None:
    """The one with filters for a source, out of triggers that were checked."""
    return next(
        (one for one in triggers or () if isinstance(one, GitTrigger) and one.source in (None, source)),
        None,
    )


# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_MOST_TRIGGERS = 50
_MOST_FILTERS = 3
_MOST_PATTERNS = 8
_LONGEST_PATTERN = 255
_LARGEST = 200_000

_Filter = PushFilter | PullRequestFilter
_BEGINNINGS = {"branches": "refs/heads/", "tags": "refs/tags/", "file_paths": "/"}


def criteria(filter: _Filter) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """What a filter is about, with includes and excludes; also when they are empty."""
    given = {one.name for one in fields(filter)}
    for about in _BEGINNINGS:
        if f"{about}_includes" in given:
            yield about, getattr(filter, f"{about}_includes"), getattr(filter, f"{about}_excludes")


def _given(filter: _Filter) -> dict[str, Any]:
    """Arguments of aws-cdk-lib's class of the same words, which takes an empty list for a given one."""
    return {one.name: list(getattr(filter, one.name)) for one in fields(filter) if getattr(filter, one.name)}


def _check_criteria(filter: _Filter) -> None:
    at = type(filter).__name__
    for about, _, _ in criteria(filter):
        for argument in (f"{about}_includes", f"{about}_excludes"):
            check_list(at, argument, getattr(filter, argument))
            object.__setattr__(filter, argument, tuple(getattr(filter, argument)))
            _check_patterns(at, about, argument, getattr(filter, argument))
    for about, includes, excludes in criteria(filter):
        known = [pattern for pattern in excludes if not unresolved(pattern)]
        names = [pattern for pattern in includes if not unresolved(pattern) and is_literal(pattern)]
        out = [pattern for pattern in includes if pattern in excludes or (pattern in names and _any(known, pattern))]
        if (includes and out == list(includes)) or "**" in excludes:
            raise ConfigurationError(
                f"{about}_excludes={list(excludes)} leaves nothing over"
                + (f" of {about}_includes={list(includes)}" if includes else "")
                + ": that would never start the pipeline",
                at=at,
                fix="exclude less: what is excluded is never included",
            )


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(matches(pattern, name) for pattern in patterns)


def _check_patterns(at: str, about: str, argument: str, patterns: Sequence[str]) -> None:
    if len(patterns) > _MOST_PATTERNS:
        raise ConfigurationError(
            f"{argument} has {len(patterns)} patterns, CodePipeline takes {_MOST_PATTERNS}",
            at=at,
            fix="write several in one, as {main,develop}, or spread them over several filters",
        )
    for index, pattern in enumerate(patterns):
        if pattern in patterns[:index]:
            raise ConfigurationError(f"{argument} has {pattern!r} twice", at=at, fix="remove one of them")
        if unresolved(pattern):
            continue
        if not 1 <= len(pattern) <= _LONGEST_PATTERN:
            raise ConfigurationError(
                f"{argument} has a pattern of {len(pattern)} characters",
                at=at,
                fix=f"use 1 to {_LONGEST_PATTERN} characters",
            )
        check_glob(at, pattern)
        beginning = "./" if pattern.startswith("./") else _BEGINNINGS[about]
        if pattern.startswith(beginning):
            raise ConfigurationError(
                f"{argument} has {pattern!r}, which nothing is called",
                at=at,
                fix=f"leave out {beginning!r}: {pattern.removeprefix(beginning)!r}",
            )
        if pattern.endswith("/"):
            raise ConfigurationError(
                f"{argument} has {pattern!r}, and no name ends with a /",
                at=at,
                fix=f"write {pattern + '**'!r} for all that is below it",
            )


def _check_kind(at: Construct | str, trigger: object) -> None:
    if isinstance(trigger, Trigger):
        return
    given = type(trigger).__name__
    wrap = {"PushFilter": "GitTrigger(push=[PushFilter(…)])"}
    wrap["PullRequestFilter"] = "GitTrigger(pull_request=[PullRequestFilter(…)])"
    raise ConfigurationError(
        f"triggers= has a {given} in it",
        at=at,
        fix=f"write {wrap.get(given, 'GitTrigger(…), SourceChange(…) or ScheduleTrigger(…)')}",
    )


def _source_of(
    at: Construct | str, trigger: GitTrigger | SourceChange, kind: str, sources: Mapping[str, Watched]
) -> str:
    if trigger.source is None and len(sources) > 1:
        raise ConfigurationError(
            f"a {kind} for one of {len(sources)} sources",
            at=at,
            fix=f"say for which: source={' or '.join(map(repr, sources))}",
        )
    name = next(iter(sources)) if trigger.source is None else trigger.source
    if name not in sources:
        raise ConfigurationError(
            f"a {kind} for source {name!r}, which the pipeline does not have",
            at=at,
            fix=f"use {' or '.join(map(repr, sources))}",
        )
    return name


def _check_schedules(at: Construct | str, triggers: Sequence[Trigger], variables: Collection[str]) -> None:
    names: list[str] = []
    for trigger in triggers:
        if not isinstance(trigger, ScheduleTrigger):
            continue
        if trigger.name in names:
            raise ConfigurationError(
                f"two schedules are called {trigger.name!r}", at=at, fix="give each schedule a name of its own"
            )
        names.append(trigger.name)
        for variable in trigger.variables:
            if variable not in variables:
                raise ConfigurationError(
                    f"schedule {trigger.name!r} gives a value to {variable!r}, which is no variable of the pipeline",
                    at=at,
                    fix=f"declare it; declared are {', '.join(variables) or 'none'}",
                )


def _check_size(at: Construct | str, triggers: Sequence[GitTrigger]) -> None:
    if len(triggers) > _MOST_TRIGGERS:
        raise ConfigurationError(
            f"{len(triggers)} triggers, CodePipeline takes {_MOST_TRIGGERS}", at=at, fix="make several pipelines of it"
        )
    filters: list[_Filter] = []
    for trigger in triggers:
        filters += [*trigger.push, *trigger.pull_request]
    patterns = [pattern for one in filters for _, *lists in criteria(one) for each in lists for pattern in each]
    size = sum(len(pattern.encode()) for pattern in patterns)
    if size > _LARGEST:
        raise ConfigurationError(
            f"{size} bytes of patterns, CodePipeline takes less than {_LARGEST} of all triggers",
            at=at,
            fix="write fewer or shorter patterns",
        )


def _check_one_webhook(at: Construct | str, triggers: Sequence[Trigger] | None, sources: Mapping[str, Watched]) -> None:
    """Refuses two branches of one repository: the connection has one webhook for both, and one of them starts."""
    seen: dict[tuple[str, str], str] = {}
    for name, source in sources.items():
        filtered = git_trigger(triggers, name) is not None
        if source.provider_type is None or source.repository is None:
            continue
        if not filtered and not starts_by_itself(triggers, name, source):
            continue
        key = (source.provider_type, source.repository)
        other = seen.setdefault(key, name)
        if other == name or (
            not filtered and git_trigger(triggers, other) is None and sources[other].branch == source.branch
        ):
            continue
        raise ConfigurationError(
            f"sources {other!r} and {name!r} are both to start the pipeline from {source.repository}, "
            "and only one of them reliably would",
            at=at,
            fix="list triggers for one of them, or make a pipeline for each branch",
        )


def _check_defaults(
    at: Construct | str,
    triggers: Sequence[Trigger] | None,
    variables: Mapping[str, str | None],
    *,
    by_themselves: bool,
) -> None:
    """Refuses a start that nobody gives the values to that it needs."""
    needed = [name for name, default in variables.items() if default is None]
    if needed and (by_themselves or any(isinstance(trigger, GitTrigger) for trigger in triggers or ())):
        raise ConfigurationError(
            f"variable {needed[0]!r} has no default, and a change in a source gives it no value: the start would fail",
            at=at,
            fix=f"give {needed[0]!r} a default, or leave starting to people: triggers=[]",
        )
    for trigger in triggers or ():
        if not isinstance(trigger, ScheduleTrigger):
            continue
        missing = [name for name in needed if name not in trigger.variables]
        if missing:
            raise ConfigurationError(
                f"variable {missing[0]!r} has no default, and schedule {trigger.name!r} gives it no value: "
                "the start would fail",
                at=at,
                fix=f"give {missing[0]!r} a default, or the schedule variables={{…}}",
            )
