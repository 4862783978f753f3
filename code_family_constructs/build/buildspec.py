"""Floor 1: what a build does, written in Python or read from a file, and checked before a minute is billed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from code_family_constructs.build.buildspec_checks import GRAMMAR, OLD_NAMES, TEXTS, BuildHost, Shape, check
from code_family_constructs.documents import (
    Document,
    Finding,
    ListNode,
    MapNode,
    Node,
    Number,
    Scalar,
    YesNo,
    plain,
    read_document,
    read_file,
    refuse_errors,
    render,
)
from code_family_constructs.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """Some keys of a buildspec.

    `other` holds keys that the grammar does not document, so that reading loses nothing.
    """

    other: Mapping[str, Any] = field(default_factory=dict)
    _order: tuple[str, ...] = field(default=(), compare=False, repr=False)
    _section: ClassVar[str]

    def __post_init__(self) -> None:
        for key, shape in GRAMMAR[self._section].items():
            name = _field(key)
            object.__setattr__(self, name, _given(type(self).__name__, name, getattr(self, name), shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildspec(_Section):
    """A buildspec of CodeBuild: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html.

    Two are equal when they say the same, whatever the order of their keys and whether read or written in Python. What
    was read keeps the order of its keys when it is rendered, and loses its comments.

    Args:
        version: Version of the grammar; in 0.1 each command runs in a shell of its own.
        run_as: Linux user that runs all commands.
        env: Environment variables, and where they come from.
        proxy: What goes through an explicit proxy.
        batch: Other builds that a batch build starts; each may have a buildspec of its own.
        phases: The commands.
        reports: Test and coverage reports, by name or ARN of their report group.
        artifacts: Files that are kept.
        cache: Files that the next build starts with.
        other: Keys that the grammar does not document, so that reading loses nothing.

    Raises:
        ConfigurationError: Something that CodeBuild refuses, or that silently does not run; it lists all errors.
    """

    version: str = "0.2"
    run_as: str | None = None
    env: "Env | None" = None
    proxy: "Proxy | None" = None
    batch: "Batch | None" = None
    phases: "Phases | None" = None
    reports: Mapping[str, "Report"] = field(default_factory=dict)
    artifacts: "Artifacts | None" = None
    cache: "Cache | None" = None
    # Of what was read: set without __init__, so that dataclasses.replace() does not take it along.
    _document: Document | None = field(default=None, init=False, compare=False, repr=False)
    _section: ClassVar[str] = "buildspec"

    def __post_init__(self) -> None:
        _Section.__post_init__(self)
        refuse_errors(self.findings, what="buildspec", at="Buildspec")

    @classmethod
    def from_file(cls, path: str | Path, *, host: BuildHost | None = None) -> Self:
        """Reads a file of YAML or JSON.

        Args:
            path: The file, relative to the working directory.
            host: Where it will run, for what only some places can do.

        Raises:
            ConfigurationError: There is no such file, or an error is in it; the problem lists all errors by line.
        """
        return cls._from_document(read_file(path), host)

    @classmethod
    def from_text(cls, text: str | bytes, *, name: str = "buildspec.yml", host: BuildHost | None = None) -> Self:
        """Reads YAML or JSON.

        Args:
            text: The buildspec.
            name: Its name in findings.
            host: Where it will run, for what only some places can do.

        Raises:
            ConfigurationError: An error is in it; the problem lists all errors by line.
        """
        return cls._from_document(read_document(text, name=name), host)

    @staticmethod
    def check(text: str | bytes, *, name: str = "buildspec.yml", host: BuildHost | None = None) -> tuple[Finding, ...]:
        """What is to be said about a buildspec, errors and warnings by line; never raises.

        Args:
            text: The buildspec.
            name: Its name in findings.
            host: Where it will run, for what only some places can do.
        """
        return check(read_document(text, name=name), host)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The warnings, with the lines of what was read, or of what `render` gives."""
        return self.findings_on(None)

    def findings_on(self, host: BuildHost | None) -> tuple[Finding, ...]:
        """The warnings, and what does not fit to where it will run: errors and warnings."""
        return check(self.document, host)

    @property
    def document(self) -> Document:
        """What was read, or what `render` gives: every value with its line."""
        return self._document or read_document(self.render(), name="Buildspec")

    def render(self) -> str:
        """The buildspec as YAML, which reads back as an equal one."""
        return render(_written(self))

    @classmethod
    def _from_document(cls, document: Document, host: BuildHost | None) -> Self:
        refuse_errors(check(document, host), what="buildspec", at=document.name)
        assert document.root is not None
        # Past __init__, which would render and check it a second time, without its lines.
        spec = object.__new__(cls)
        for name, value in _defaults(cls, _arguments(cls, document.root)).items():
            object.__setattr__(spec, name, value)
        object.__setattr__(spec, "_document", document)
        return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(_Section):
    """Environment variables. A value in `variables` is for everyone who can read the buildspec.

    Args:
        shell: Shell of the commands: `bash`, `/bin/sh`, `powershell.exe` or `cmd.exe`.
        variables: Values by name; those of the project and of the build go before them.
        parameter_store: Names of parameters by variable.
        secrets_manager: `secret-id:json-key:version-stage:version-id` by variable, the last three optional.
        exported_variables: Names of variables that later actions of the pipeline can use.
        git_credential_helper: Whether git in the build may use the credentials of the project's source.
    """

    shell: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    parameter_store: Mapping[str, str] = field(default_factory=dict)
    secrets_manager: Mapping[str, str] = field(default_factory=dict)
    exported_variables: Sequence[str] = ()
    git_credential_helper: bool | None = None
    _section: ClassVar[str] = "env"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy(_Section):
    """What goes through an explicit proxy server.

    Args:
        upload_artifacts: Whether the upload of artifacts does.
        logs: Whether the logs do.
    """

    upload_artifacts: bool | None = None
    logs: bool | None = None
    _section: ClassVar[str] = "proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases(_Section):
    """The phases of a build, which run in this order.

    When `build` fails, `post_build` runs all the same; when `install` or `pre_build` fails, nothing after it does.

    Args:
        install: Puts the tools there.
        pre_build: Logs in, installs dependencies.
        build: Builds and tests.
        post_build: Packs and pushes.
    """

    install: "Phase | None" = None
    pre_build: "Phase | None" = None
    build: "Phase | None" = None
    post_build: "Phase | None" = None
    _section: ClassVar[str] = "phases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(_Section):
    """The commands of a phase, which share one shell with those of the other phases.

    Args:
        commands: The commands, each of one or more lines; the first one that fails ends the phase.
        finally_: Commands that run in any case after them.
        on_failure: `ABORT`, `CONTINUE`, `RETRY`, `RETRY-<times>`, `RETRY-<regex>` or `RETRY-<times>-<regex>`.
        run_as: Linux user that runs them.
        runtime_versions: Versions of languages by their name; of the phase `install` only.
        steps: Steps of GitHub Actions, for a phase without commands in a project with GitHub as its source:
            https://docs.aws.amazon.com/codebuild/latest/userguide/action-runner-buildspec.html
    """

    commands: Sequence[str] | None = None
    finally_: Sequence[str] | None = None
    on_failure: str | None = None
    run_as: str | None = None
    runtime_versions: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Mapping[str, Any]] = ()
    _section: ClassVar[str] = "phase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(_Section):
    """Test or coverage reports that go into one report group.

    Args:
        files: Patterns of the files.
        file_format: One of the formats that CodeBuild reads, JUnit XML when left out.
        base_directory: Where the patterns start.
        discard_paths: Whether the files lose their folders.
    """

    files: Sequence[str] | None = None
    file_format: str | None = None
    base_directory: str | None = None
    discard_paths: bool | None = None
    _section: ClassVar[str] = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryArtifact(_Section):
    """Files that are kept as one of several artifacts.

    Args:
        files: Patterns of the files.
        name: Name of the archive or folder; may hold `$(date +%Y-%m-%d)` and variables.
        base_directory: Where the patterns start.
        discard_paths: Whether the files lose their folders.
        exclude_paths: Patterns of files that are left out.
        enable_symlinks: Whether symbolic links inside of a ZIP stay links.
        s3_prefix: Prefix of the objects.
    """

    files: Sequence[str] | None = None
    name: str | None = None
    base_directory: str | None = None
    discard_paths: bool | None = None
    exclude_paths: Sequence[str] = ()
    enable_symlinks: bool | None = None
    s3_prefix: str | None = None
    _section: ClassVar[str] = "secondary artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts(SecondaryArtifact):
    """Files that are kept. They are uploaded also when the phase `build` failed.

    Args:
        secondary_artifacts: Further artifacts by the identifier that they have in the project.
        type: Of buildspec 0.1; the project says it now.
    """

    secondary_artifacts: Mapping[str, SecondaryArtifact] = field(default_factory=dict)
    type: str | None = None
    _section: ClassVar[str] = "artifacts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache(_Section):
    """Files that the next build starts with.

    Args:
        paths: Patterns of the files.
        key: Key of the cache, which may hold `$(codebuild-hash-files package-lock.json)` and variables.
        fallback_keys: Keys that are tried in turn when there is nothing under `key`.
        action: `restore` or `save`, when only one of them is wanted.
    """

    paths: Sequence[str] = ()
    key: str | None = None
    fallback_keys: Sequence[str] = ()
    action: str | None = None
    _section: ClassVar[str] = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(_Section):
    """Builds that a batch build starts: give one of the four ways.

    Rules and forms: https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html.

    Args:
        fast_fail: Whether the first build that fails stops the others.
        build_list: Builds that start all at once.
        build_graph: Builds that wait for others.
        build_matrix: One build for each combination of values.
        build_fanout: One build for each part of a test suite.
    """

    fast_fail: bool | None = None
    build_list: Sequence["BatchTask"] = ()
    build_graph: Sequence["BatchTask"] = ()
    build_matrix: "BuildMatrix | None" = None
    build_fanout: "BuildFanout | None" = None
    _section: ClassVar[str] = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTask(_Section):
    """One build of a batch.

    Args:
        identifier: Its name in the batch.
        buildspec: Path of its buildspec, or the buildspec itself; this one when left out.
        env: What differs from the environment of the project.
        depend_on: Identifiers of the tasks that it waits for; of a graph only.
        ignore_failure: Whether the batch may succeed without it.
        debug_session: Whether someone can open a session in it.
    """

    identifier: str | None = None
    buildspec: str | None = None
    env: "BatchEnv | None" = None
    depend_on: Sequence[str] = ()
    ignore_failure: bool | None = None
    debug_session: bool | None = None
    _section: ClassVar[str] = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnv(_Section):
    """What differs from the environment of the project.

    Args:
        compute_type: Such as `BUILD_GENERAL1_LARGE`; not beside `fleet`.
        fleet: ARN or name of a fleet of reserved capacity.
        image: Image of the build environment.
        privileged_mode: Whether the build may run Docker.
        type: Type of the environment, such as `ARM_CONTAINER`.
        variables: Environment variables.
    """

    compute_type: str | None = None
    fleet: str | None = None
    image: str | None = None
    privileged_mode: bool | None = None
    type: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    _section: ClassVar[str] = "task env"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildMatrix(_Section):
    """One build for each combination of the values in `dynamic`.

    Args:
        static: What all builds have.
        dynamic: The values that are combined.
    """

    static: "MatrixStatic | None" = None
    dynamic: "MatrixDynamic | None" = None
    _section: ClassVar[str] = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixStatic(_Section):
    """What all builds of a matrix have.

    Args:
        ignore_failure: Whether the batch may succeed without them.
        env: Their environment; AWS documents `privileged_mode` and `type` here.
    """

    ignore_failure: bool | None = None
    env: BatchEnv | None = None
    _section: ClassVar[str] = "matrix static"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixDynamic(_Section):
    """The values that a matrix combines.

    Args:
        buildspec: Paths of buildspecs.
        env: Values of the environment.
    """

    buildspec: Sequence[str] = ()
    env: "MatrixEnv | None" = None
    _section: ClassVar[str] = "matrix dynamic"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixEnv(_Section):
    """Values of the environment that a matrix combines.

    Args:
        compute_type: Compute types.
        image: Images.
        variables: Values of environment variables by their name.
    """

    compute_type: Sequence[str] = ()
    image: Sequence[str] = ()
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _section: ClassVar[str] = "matrix env"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFanout(_Section):
    """One build for each part of a test suite, which `codebuild-tests-run` splits.

    Args:
        parallelism: How many builds.
        ignore_failure: Whether the batch may succeed without them.
    """

    parallelism: int | None = None
    ignore_failure: bool | None = None
    _section: ClassVar[str] = "fanout"


_CLASSES: Mapping[str, type[_Section]] = {
    one._section: one
    for one in (
        Buildspec, Env, Proxy, Phases, Phase, Report, SecondaryArtifact, Artifacts, Cache, Batch, BatchTask, BatchEnv,
        BuildMatrix, MatrixStatic, MatrixDynamic, MatrixEnv, BuildFanout,
    )
}  # fmt: skip


def _field(key: str) -> str:
    return "finally_" if key == "finally" else key.replace("-", "_")


def _given(owner: str, name: str, value: Any, shape: Shape) -> Any:
    """The value as the model keeps it: lists as tuples, so that equal buildspecs compare equal."""
    if value is None:
        return None
    at = f"{owner}.{name}"
    match shape.form:
        case "texts" | "commands":
            return _texts(at, value)
        case "text map":
            return {_text(f"{at} key", key): _text(f"{at}[{key!r}]", one) for key, one in _map(at, value).items()}
        case "texts map":
            return {_text(f"{at} key", key): _texts(f"{at}[{key!r}]", one) for key, one in _map(at, value).items()}
        case "keys":
            return _instance(at, value, _CLASSES[shape.of])
        case "list of keys":
            return tuple(_instance(at, one, _CLASSES[shape.of]) for one in _list(at, value))
        case "named keys":
            return {
                _text(f"{at} key", key): _instance(f"{at}[{key!r}]", one, _CLASSES[shape.of])
                for key, one in _map(at, value).items()
            }
        case "steps":
            return tuple(dict(_map(at, one)) for one in _list(at, value))
        case "yes-no" | "true-false":
            if not isinstance(value, bool):
                raise ConfigurationError(f"{value!r} is no boolean", at=at, fix="give True or False")
        case "number":
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigurationError(f"{value!r} is no whole number", at=at, fix="give a number from 1")
        case _:
            return _text(at, value)
    return value


def _text(at: str, value: Any) -> str:
    if not isinstance(value, str):
        # A number would lose its end: 3.10 is 3.1 to Python.
        raise ConfigurationError(f"{value!r} is no text", at=at, fix=f"give it in quotes: '{value}'")
    return value


def _list(at: str, value: Any) -> list[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{value!r} is no list", at=at, fix=f"give a list: [{value!r}]")
    return list(value)


def _texts(at: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, _One):
        return value
    return tuple(_text(f"{at}[{index}]", one) for index, one in enumerate(_list(at, value)))


def _map(at: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{value!r} is no dictionary", at=at, fix="give a dictionary of names and values")
    return value


def _instance(at: str, value: Any, wanted: type[_Section]) -> _Section:
    if type(value) is not wanted:
        raise ConfigurationError(
            f"{type(value).__name__} where {wanted.__name__} belongs", at=at, fix=f"give {wanted.__name__}(…)"
        )
    return value


class _One(tuple[str, ...]):
    """A list that was written as one text, and is rendered as one."""

    __slots__ = ()


def _arguments(kind: type[_Section], node: MapNode) -> dict[str, Any]:
    keys, old = GRAMMAR[kind._section], OLD_NAMES.get(kind._section, {})
    arguments: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for entry in node.entries:
        key = old.get(entry.key.text, entry.key.text)
        if key in keys:
            arguments[_field(key)] = _value(entry.value, keys[key])
        else:
            other[entry.key.text] = plain(entry.value)
    given = {name: value for name, value in arguments.items() if value is not None}
    return {**given, "other": other, "_order": tuple(entry.key.text for entry in node.entries)}


def _defaults(kind: type[_Section], arguments: dict[str, Any]) -> dict[str, Any]:
    complete = {}
    for one in fields(kind):
        if one.name in arguments:
            complete[one.name] = arguments[one.name]
        else:
            complete[one.name] = one.default_factory() if callable(one.default_factory) else one.default
    return complete


def _value(node: Node, shape: Shape) -> Any:
    null = isinstance(node, Scalar) and node.is_null
    match shape.form:
        case "texts" | "commands":
            return _texts_of(node)
        case "text map":
            return {entry.key.text: _scalar(entry.value) or "" for entry in _entries(node)}
        case "texts map":
            return {entry.key.text: _texts_of(entry.value) for entry in _entries(node)}
        case "keys":
            # A phase without anything is a phase all the same; other sections are as good as absent.
            if null and shape.of != "phase":
                return None
            return _made(shape.of, node)
        case "list of keys":
            return tuple(_made(shape.of, item) for item in _items(node))
        case "named keys":
            return {entry.key.text: _made(shape.of, entry.value) for entry in _entries(node)}
        case "steps":
            return tuple(plain(item) for item in _items(node))
        case "yes-no" | "true-false":
            return node.boolean if isinstance(node, Scalar) else None
        case "number":
            return None if null else int(_scalar(node) or 0)
        case _:
            return None if null else _scalar(node)


def _made(section: str, node: Node) -> _Section:
    kind = _CLASSES[section]
    return kind(**_arguments(kind, node)) if isinstance(node, MapNode) else kind()


def _texts_of(node: Node) -> tuple[str, ...]:
    if isinstance(node, ListNode):
        return tuple(_scalar(item) or "" for item in node.items)
    return () if isinstance(node, MapNode) or node.is_null else _One((_scalar(node) or "",))


def _scalar(node: Node) -> str | None:
    if not isinstance(node, Scalar):
        return None
    # As typed, also where YAML sees a number: who reads 3.10 without quotes renders it without.
    return Number(node.text) if node.kind in ("number", "boolean", "date") and not node.quoted else node.text


def _entries(node: Node) -> Iterable[Any]:
    return node.entries if isinstance(node, MapNode) else ()


def _items(node: Node) -> Iterable[Node]:
    return node.items if isinstance(node, ListNode) else ()


def _written(section: _Section) -> dict[str, Any]:
    keys, old = GRAMMAR[section._section], OLD_NAMES.get(section._section, {})
    written: dict[str, Any] = {}
    renamed = {old[key] for key in section._order if key in old}
    for key in dict.fromkeys([*section._order, *keys, *section.other]):
        shape = keys.get(old.get(key, key))
        if shape is None:
            if key in section.other:
                written[key] = section.other[key]
        elif key not in renamed:
            value = getattr(section, _field(old.get(key, key)))
            # An empty list of commands or files is something else than none: both lead to findings of their own.
            if value is not None and (
                value or value == "" or value is False or key in ("commands", "finally", "files")
            ):
                written[key] = _value_written(value, shape)
    return written


def _value_written(value: Any, shape: Shape) -> Any:
    match shape.form:
        case "version":
            return Number(value) if re.fullmatch(r"\d+\.\d+", value) else value
        case "texts" | "commands":
            return value[0] if isinstance(value, _One) else list(value)
        case "texts map":
            return {name: _value_written(values, TEXTS) for name, values in value.items()}
        case "keys":
            return _written(value)
        case "list of keys":
            return [_written(one) for one in value]
        case "named keys":
            return {name: _written(one) for name, one in value.items()}
        case "steps":
            return [dict(step) for step in value]
        case "yes-no":
            return YesNo(value)
        case _:
            return value
