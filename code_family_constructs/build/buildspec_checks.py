"""Floor 1: the grammar of buildspecs, as AWS documents it and as CodeBuild takes it, and what goes wrong in them.

An error is what CodeBuild refuses or what silently does not run; whatever CodeBuild takes is a warning at most.
Codes are stable: BS1 the form of the file, BS2 phases and commands, BS3 variables and secrets, BS4 reports, artifacts
and cache, BS5 batches, BS6 what the place cannot do; DOC is YAML itself (`documents.py`).

The rules come from https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html and
batch-build-buildspec.html unless they name another page; what runs in practice comes from public repositories.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from code_family_constructs.documents import (
    Document,
    Entry,
    Finding,
    ListNode,
    MapNode,
    Node,
    Scalar,
    nearest,
    unknown_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildHost:
    """What is known about where a buildspec will run; unknown things lead to no finding.

    Args:
        image: Image of the build environment, such as `aws/codebuild/standard:7.0`.
        environment_type: Such as `LINUX_CONTAINER` or `ARM_LAMBDA_CONTAINER`.
        compute_type: Such as `BUILD_GENERAL1_SMALL` or `BUILD_LAMBDA_2GB`.
        privileged: Whether the build may run a Docker daemon.
        reserved: Whether it runs on reserved capacity (a fleet).
    """

    image: str | None = None
    environment_type: str | None = None
    compute_type: str | None = None
    privileged: bool | None = None
    reserved: bool | None = None

    @property
    def is_lambda(self) -> bool:
        """Whether it is Lambda compute."""
        return "LAMBDA" in f"{self.environment_type} {self.compute_type}" or "-lambda-standard:" in (self.image or "")

    @property
    def is_windows(self) -> bool:
        """Whether it is Windows."""
        return "WINDOWS" in (self.environment_type or "") or "/windows-base:" in (self.image or "")


Form = Literal[
    "version", "text", "texts", "commands", "yes-no", "true-false", "number", "text map", "texts map", "keys",
    "list of keys", "named keys", "steps",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value has to look like.

    Args:
        form: The form.
        of: For forms with keys, the section of the grammar that they come from.
    """

    form: Form
    of: str = ""


TEXT, TEXTS, YES_NO, TRUE_FALSE = Shape("text"), Shape("texts"), Shape("yes-no"), Shape("true-false")
TEXT_MAP, COMMANDS = Shape("text map"), Shape("commands")
_ARTIFACT = {
    "files": TEXTS,
    "name": TEXT,
    "base-directory": TEXT,
    "discard-paths": YES_NO,
    "exclude-paths": TEXTS,
    "enable-symlinks": YES_NO,
    "s3-prefix": TEXT,
}
_TASK = {
    "identifier": TEXT,
    "buildspec": TEXT,
    "debug-session": TRUE_FALSE,
    "env": Shape("keys", "task env"),
    "ignore-failure": TRUE_FALSE,
    "depend-on": TEXTS,
}

# Section -> key -> shape, in the order in which a buildspec that was made in Python is written.
GRAMMAR: Mapping[str, Mapping[str, Shape]] = {
    "buildspec": {
        "version": Shape("version"),
        "run-as": TEXT,
        "env": Shape("keys", "env"),
        "proxy": Shape("keys", "proxy"),
        "batch": Shape("keys", "batch"),
        "phases": Shape("keys", "phases"),
        "reports": Shape("named keys", "report"),
        "artifacts": Shape("keys", "artifacts"),
        "cache": Shape("keys", "cache"),
    },
    "env": {
        "shell": TEXT,
        "variables": TEXT_MAP,
        "parameter-store": TEXT_MAP,
        "secrets-manager": TEXT_MAP,
        "exported-variables": TEXTS,
        "git-credential-helper": YES_NO,
    },
    "proxy": {"upload-artifacts": YES_NO, "logs": YES_NO},
    "phases": {
        "install": Shape("keys", "phase"),
        "pre_build": Shape("keys", "phase"),
        "build": Shape("keys", "phase"),
        "post_build": Shape("keys", "phase"),
    },
    "phase": {
        "run-as": TEXT,
        "on-failure": TEXT,
        "runtime-versions": TEXT_MAP,
        "commands": COMMANDS,
        "steps": Shape("steps"),
        "finally": COMMANDS,
    },
    "report": {"files": TEXTS, "base-directory": TEXT, "discard-paths": YES_NO, "file-format": TEXT},
    "artifacts": {**_ARTIFACT, "type": TEXT, "secondary-artifacts": Shape("named keys", "secondary artifact")},
    "secondary artifact": _ARTIFACT,
    "cache": {"key": TEXT, "fallback-keys": TEXTS, "action": TEXT, "paths": TEXTS},
    "batch": {
        "fast-fail": TRUE_FALSE,
        "build-list": Shape("list of keys", "task"),
        "build-graph": Shape("list of keys", "task"),
        "build-matrix": Shape("keys", "matrix"),
        "build-fanout": Shape("keys", "fanout"),
    },
    "task": _TASK,
    "task env": {
        "compute-type": TEXT,
        "fleet": TEXT,
        "image": TEXT,
        "privileged-mode": TRUE_FALSE,
        "type": TEXT,
        "variables": TEXT_MAP,
    },
    "matrix": {"static": Shape("keys", "matrix static"), "dynamic": Shape("keys", "matrix dynamic")},
    "matrix static": {"ignore-failure": TRUE_FALSE, "env": Shape("keys", "task env")},
    "matrix dynamic": {"buildspec": TEXTS, "env": Shape("keys", "matrix env")},
    "matrix env": {"compute-type": TEXTS, "image": TEXTS, "variables": Shape("texts map")},
    "fanout": {"parallelism": Shape("number"), "ignore-failure": TRUE_FALSE},
}

# Buildspec 0.1 had these names; public files use them with 0.2 too.
OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "buildspec": {"environment_variables": "env"},
    "env": {"plaintext": "variables"},
}


def check(document: Document, host: BuildHost | None = None) -> tuple[Finding, ...]:
    """What is to be said about a buildspec, by line; empty when it is fine.

    Args:
        document: The buildspec.
        host: Where it will run, as far as that is known.
    """
    found = [*document.findings]
    if document.root is not None:
        found += _checks(document, document.root, host or BuildHost())
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda finding: (finding.line, finding.column, finding.code)))


def _checks(document: Document, root: MapNode, host: BuildHost) -> Iterator[Finding]:
    foreign = _foreign(root)
    if foreign:
        what, fix = foreign
        yield document.error("BS101", root, f"it is {what}, not a buildspec", fix)
        return
    yield from _section(document, root, "buildspec", "a buildspec")
    yield from _version(document, root)
    yield from _phases(document, root)
    yield from _environment(document, root)
    yield from _commands(document, root)
    yield from _outputs(document, root)
    batch = root.get("batch")
    if isinstance(batch, MapNode):
        yield from _batch(document, batch)
    yield from _on(document, root, host)


def _section(document: Document, node: MapNode, section: str, called: str) -> Iterator[Finding]:
    keys = GRAMMAR[section]
    old = OLD_NAMES.get(section, {})
    for entry in node.entries:
        key = entry.key.text
        if key in old:
            new = old[key]
            if node.entry(new):
                yield document.error("BS103", entry.key, f"{key} and {new} are the same thing", f"join them in {new}")
            else:
                yield document.warning(
                    "BS107", entry.key, f"{key} is buildspec 0.1's name for {new}", f"write {new}, with version: 0.2"
                )
            yield from _value(document, entry, keys[new])
        elif key in keys:
            yield from _value(document, entry, keys[key])
        else:
            yield from _unknown(document, section, called, entry)


def _value(document: Document, entry: Entry, shape: Shape) -> Iterator[Finding]:
    value, key = entry.value, entry.key.text
    if isinstance(value, Scalar) and value.is_null:
        if key not in ("phases", "version", "paths"):
            yield document.warning("BS106", entry.key, f"{key} is empty", "fill it, or remove the key")
        return
    match shape.form:
        case "keys":
            if not isinstance(value, MapNode):
                yield _wrong(document, entry, f"keys with values: {', '.join(GRAMMAR[shape.of])}", _keys_fix(shape.of))
                return
            yield from _section(document, value, shape.of, key)
        case "list of keys":
            yield from _list_of_keys(document, entry, shape)
        case "named keys":
            yield from _named_keys(document, entry, shape)
        case "commands":
            yield from _command_list(document, entry)
        case "steps":
            if not isinstance(value, ListNode):
                yield _wrong(document, entry, "a list of steps", "start each step with `- uses:` or `- run:`")
            for item in _items(value):
                if not isinstance(item, MapNode):
                    yield document.error(
                        "BS105", item, f"a step is {item.what}, not keys", "write - run: and the command"
                    )
        case "texts":
            yield from _texts(document, entry)
        case "text map" | "texts map":
            yield from _text_map(document, entry, lists=shape.form == "texts map")
        case "yes-no" | "true-false":
            if not isinstance(value, Scalar) or value.boolean is None:
                words = "yes or no" if shape.form == "yes-no" else "true or false"
                yield _wrong(document, entry, words, f"write {key}: {words.split(' or ')[1]}, or the other one")
        case "number":
            if not isinstance(value, Scalar) or not re.fullmatch(r"[1-9]\d*", value.text):
                yield document.error(
                    "BS508", entry.key, f"{key} is {value.what}", f"write a whole number from 1: {key}: 4"
                )
        case _:
            if not isinstance(value, Scalar):
                yield _wrong(
                    document, entry, "one text", f"write {key}: followed by one text, in quotes if it has ': '"
                )


def _wrong(document: Document, entry: Entry, wanted: str, fix: str) -> Finding:
    return document.error("BS105", entry.key, f"{entry.key.text} is {entry.value.what}, not {wanted}", fix)


def _keys_fix(section: str) -> str:
    if section == "phase":
        return "put the commands in a list under `commands:`"
    return f"write it without dashes, as {next(iter(GRAMMAR[section]))}: … on a line of its own"


def _list_of_keys(document: Document, entry: Entry, shape: Shape) -> Iterator[Finding]:
    if not isinstance(entry.value, ListNode):
        yield _wrong(document, entry, "a list", "start each item with `- identifier:`")
        return
    for item in entry.value.items:
        if isinstance(item, MapNode):
            yield from _section(document, item, shape.of, f"an item of {entry.key.text}")
        else:
            yield document.error("BS105", item, f"the item is {item.what}, not keys", "write `- identifier: name`")


def _named_keys(document: Document, entry: Entry, shape: Shape) -> Iterator[Finding]:
    what, key = shape.of, entry.key.text
    if not isinstance(entry.value, MapNode):
        yield _wrong(document, entry, f"a name with keys for each {what}", f"write {key}: then a name, then its files:")
        return
    for named in entry.value.entries:
        if named.key.text in GRAMMAR["buildspec"]:
            yield document.warning(
                "BS104",
                named.key,
                f"{named.key.text} in {key} is the name of a {what}; it has no other meaning there",
                f"unindent {named.key.text} if it is meant for the top level, or rename the {what}",
            )
        if isinstance(named.value, MapNode):
            yield from _section(document, named.value, what, f"{what} {named.key.text}")
        elif named.key.text in GRAMMAR[what]:
            yield document.error(
                "BS103",
                named.key,
                f"{key} has {named.key.text} where the name of a {what} belongs",
                f"write a name of your choice under {key}, and indent {named.key.text} under it",
            )
        else:
            yield _wrong(document, named, "keys with values", f"write files: under {named.key.text}")


def _texts(document: Document, entry: Entry) -> Iterator[Finding]:
    key, value = entry.key.text, entry.value
    if isinstance(value, MapNode):
        yield _wrong(document, entry, "a list of texts", "start each item with `- `, in quotes if it has ': '")
    elif isinstance(value, Scalar):
        if key not in ("files", "exclude-paths"):
            yield document.warning(
                "BS108", entry.key, f"{key} is one text, not a list", f"write it as `- {value.text}`"
            )
    else:
        for item in value.items:
            if not isinstance(item, Scalar):
                yield document.error(
                    "BS105", item, f"an item of {key} is {item.what}", f"write it as one text: - '{_flat(item)}'"
                )
            elif item.is_null:
                yield document.warning(
                    "BS106", item, f"an item of {key} is empty", "remove the dash, or write the item"
                )
        if not value.items and key == "files":
            yield document.warning("BS106", entry.key, f"{key} is empty", "fill it, or remove what it belongs to")


def _text_map(document: Document, entry: Entry, *, lists: bool) -> Iterator[Finding]:
    key = entry.key.text
    if not isinstance(entry.value, MapNode):
        yield _wrong(document, entry, "names with values", "write each as `NAME: value`, without a dash")
        return
    if not entry.value.entries and key == "runtime-versions":
        yield document.warning("BS106", entry.key, f"{key} is empty", "name a runtime, or remove the key")
    beside = {"runtime-versions": "phase", "variables": "env", "parameter-store": "env", "secrets-manager": "env"}
    for named in entry.value.entries:
        name, value = named.key.text, named.value
        if name in GRAMMAR.get(beside.get(key, ""), {}) and not isinstance(value, Scalar):
            yield document.error(
                "BS103", named.key, f"{name} stands in {key}, indented too far", f"indent {name} as far as {key}"
            )
            continue
        if lists and isinstance(value, ListNode):
            yield from _texts(document, named)
        elif isinstance(value, Scalar) and value.is_null:
            yield document.warning("BS106", named.key, f"{name} has no value", "write '' if it is to be empty")
        elif not isinstance(value, Scalar):
            yield document.error(
                "BS105", named.key, f"{name} is {value.what}, not one text", f"write {name}: '…', in single quotes"
            )
        elif lists:
            yield document.warning("BS108", named.key, f"{name} is one value, not a list", f"write - {value.text}")


def _command_list(document: Document, entry: Entry) -> Iterator[Finding]:
    key, value = entry.key.text, entry.value
    if isinstance(value, Scalar):
        yield document.warning("BS108", entry.key, f"{key} is one text, not a list", "start each command with `- `")
        return
    if isinstance(value, MapNode):
        yield _wrong(document, entry, "a list of commands", "start each command with `- `, in quotes if it has ': '")
        return
    if not value.items:
        yield document.warning("BS106", entry.key, f"{key} is empty", "write a command, or remove the phase")
    for item in value.items:
        if isinstance(item, MapNode):
            yield _command_of_keys(document, item)
        elif isinstance(item, ListNode):
            yield document.error(
                "BS204",
                item,
                "a command is a list; CodeBuild says: Expected Commands to be of string type",
                "write each command with one dash; an alias of a list cannot be an item of another list",
            )
        elif item.is_null or not item.text.strip():
            yield document.warning("BS206", item, "an empty command", "write the command, or remove the dash")


def _command_of_keys(document: Document, item: MapNode) -> Finding:
    names = {entry.key.text for entry in item.entries}
    if names & {"uses", "run", "with"} or (
        names and names <= {"name", "id", "if", "env", "shell", "working-directory"}
    ):
        return document.error(
            "BS205",
            item,
            "a step of GitHub Actions among the commands",
            "write what `run` holds as the command; CodeBuild takes actions under `steps:` of a phase without commands",
        )
    command = _flat(item)
    return document.error(
        "BS204",
        item,
        f"': ' made YAML read the command {_cut(command)} as a key with a value;"
        " CodeBuild says: Expected Commands to be of string type",
        f"quote the whole command: - '{_cut(command).replace(chr(39), 2 * chr(39))}'",
    )


def _flat(node: Node) -> str:
    """The text that someone wrote who did not mean keys."""
    if isinstance(node, MapNode):
        return " ".join(f"{entry.key.text}: {_flat(entry.value)}".strip() for entry in node.entries)
    if isinstance(node, ListNode):
        return ", ".join(_flat(item) for item in node.items)
    return node.text


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:97]}..."


# Not similar to what is meant, but written for it.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "buildspec": {"environment": "env", "environments": "env", "stages": "phases", "jobs": "phases"},
    "env": {
        "vars": "variables",
        "secrets": "secrets-manager",
        "ssm": "parameter-store",
        "exports": "exported-variables",
    },
    "phase": {
        "command": "commands",
        "script": "commands",
        "scripts": "commands",
        "cmds": "commands",
        "run": "commands",
    },
    "batch": {"matrix": "build-matrix", "graph": "build-graph", "list": "build-list", "fanout": "build-fanout"},
    "task": {"depends_on": "depend-on", "needs": "depend-on", "id": "identifier", "name": "identifier"},
    "report": {"format": "file-format"},
    "artifacts": {"paths": "files", "file": "files", "exclude": "exclude-paths"},
    "secondary artifact": {"paths": "files", "file": "files", "exclude": "exclude-paths"},
}
# Words that also stand for something of the writer's own: no proof of a lost indentation.
_COMMON_WORDS = frozenset({"name", "type", "key", "action", "logs", "env", "image", "buildspec", "identifier", "steps"})


def _unknown(document: Document, section: str, called: str, entry: Entry) -> Iterator[Finding]:
    key = entry.key.text
    if key.startswith((".", "x-", "X-", "_")):
        # Where people keep what they give an anchor.
        return
    if section == "buildspec" and key in GRAMMAR["phases"]:
        # Said by the check of the phases.
        return
    valid = tuple(GRAMMAR[section])
    is_name = key.isupper() or (re.fullmatch(r"\w+", key) and not nearest(key, valid))
    if section == "env" and isinstance(entry.value, Scalar) and is_name and key not in _RENAMED["env"]:
        yield document.warning(
            "BS104",
            entry.key,
            f"variable {key} stands outside of env.variables, so it is not set",
            "indent it under variables:",
        )
        return
    meant = _RENAMED.get(section, {}).get(key) or nearest(key, valid)
    home = _home(section, key)
    if meant and (not home or meant.replace("-", "").lower() == key.replace("-", "").lower()):
        yield document.error("BS103", entry.key, f"{called} has no key {key!r}", f"did you mean {meant!r}?")
    elif home:
        yield document.error(
            "BS103",
            entry.key,
            f"{called} has no key {key!r}; it belongs to {home}",
            f"indent it so that it stands in {home}",
        )
    elif section == "phases":
        problem, fix = unknown_key(key, valid, inside="phases")
        yield document.error("BS103", entry.key, f"{problem}, so it never runs", fix)
    else:
        problem, fix = unknown_key(key, valid, inside=called)
        yield document.warning("BS104", entry.key, f"{problem} that is documented; CodeBuild ignores it", fix)


def _home(section: str, key: str) -> str | None:
    """Where a key belongs that stands on the wrong level, by the sections above and below."""
    if key in _COMMON_WORDS:
        return None
    if section != "buildspec":
        for above, called in (("phases", "phases"), ("buildspec", "the top level")):
            if section != above and key in GRAMMAR[above]:
                return called
    for child, shape in GRAMMAR[section].items():
        if shape.form == "keys":
            if key in GRAMMAR[shape.of]:
                return "one of the phases" if section == "phases" else child
            for grandchild in GRAMMAR[shape.of].values():
                if grandchild.of == "phase" and key in GRAMMAR["phase"]:
                    return "one of the phases"
    return None


def _foreign(root: MapNode) -> tuple[str, str] | None:
    if root.get("phases") is not None or root.get("batch") is not None:
        return None
    keys = {entry.key.text for entry in root.entries}
    if "jobs" in keys and keys & {"on", "name"}:
        return "a workflow of GitHub Actions", "write its `run` lines as commands of a phase: phases: build: commands:"
    if "runs" in keys and "inputs" in keys:
        return "an action of GitHub Actions", "write its `run` lines as commands of a phase: phases: build: commands:"
    if keys & {"AWSTemplateFormatVersion", "Resources"}:
        return "a CloudFormation template", "give the path of the buildspec"
    if "hooks" in keys and "version" in keys:
        return "an AppSpec file of CodeDeploy", "give the path of the buildspec"
    if "pipelines" in keys or ("version" not in keys and keys & {"stages", "script"}):
        return "the file of another build service", "write its commands as phases: build: commands:"
    return None


def _version(document: Document, root: MapNode) -> Iterator[Finding]:
    entry = root.entry("version")
    if entry is None:
        if not any(nearest(other.key.text, ["version"]) for other in root.entries):
            yield document.error("BS102", root, "version is missing", "write version: 0.2 in the first line")
        return
    value = entry.value
    number = value.text if isinstance(value, Scalar) else ""
    if re.fullmatch(r"0?\.10*", number):
        yield document.warning(
            "BS107", entry.key, "version 0.1 runs each command in a shell of its own, so cd and export are lost",
            "write version: 0.2",
        )  # fmt: skip
    elif not re.fullmatch(r"0?\.20*", number):
        yield document.error("BS102", entry.key, f"version is {value.what}", "write version: 0.2")


def _phases(document: Document, root: MapNode) -> Iterator[Finding]:
    entry = root.entry("phases")
    phases = entry.value if entry else None
    has_phases = isinstance(phases, MapNode) and bool(phases.entries)
    lost = [other for other in root.entries if other.key.text in GRAMMAR["phases"]]
    for other in lost:
        yield document.error(
            "BS202",
            other.key,
            f"phase {other.key.text} stands at the top level, so it never runs",
            f"indent {other.key.text} and its commands under phases:",
        )
    if isinstance(phases, MapNode) and has_phases:
        for phase in phases.entries:
            if phase.key.text in GRAMMAR["phases"] and isinstance(phase.value, MapNode):
                yield from _phase(document, phase.key.text, phase)
        return
    if lost or any(_means(other, "phases") for other in root.entries if other is not entry):
        return
    if entry and (isinstance(phases, MapNode) or (isinstance(phases, Scalar) and phases.is_null)):
        yield document.error("BS201", entry.key, "phases is empty", "indent build: with its commands: under it")
    elif entry is None:
        batch = root.get("batch")
        if not isinstance(batch, MapNode):
            yield document.error("BS201", root, "phases are missing", "write phases: build: commands: with a command")
        elif not _every_task_has_a_buildspec(batch):
            yield document.warning(
                "BS201", batch, "a task without a buildspec of its own runs this one, which has no phases",
                "give each task its buildspec, or write phases here",
            )  # fmt: skip


def _means(entry: Entry, key: str) -> bool:
    written = entry.key.text
    return written not in GRAMMAR["buildspec"] and (
        _RENAMED["buildspec"].get(written) == key or nearest(written, tuple(GRAMMAR["buildspec"])) == key
    )


def _every_task_has_a_buildspec(batch: MapNode) -> bool:
    for kind in ("build-list", "build-graph"):
        for task in _items(batch.get(kind)):
            if isinstance(task, MapNode) and task.get("buildspec") is None:
                return False
    matrix = _at(batch, "build-matrix", "dynamic", "buildspec")
    return batch.get("build-fanout") is None and (batch.get("build-matrix") is None or matrix is not None)


# https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, phases.*.on-failure: the examples there
# write `Retry` too.
_ON_FAILURE = re.compile(r"(?:ABORT|CONTINUE|RETRY(?:-(?:100|\d{1,2}))?(?:-.+)?)", re.IGNORECASE | re.DOTALL)


def _phase(document: Document, name: str, entry: Entry) -> Iterator[Finding]:
    phase = entry.value
    assert isinstance(phase, MapNode)
    keys = {other.key.text for other in phase.entries}
    if not keys:
        yield document.warning("BS106", entry.key, f"phase {name} is empty", "write its commands:, or remove it")
    elif not keys & {"commands", "finally", "steps"} and name != "install":
        if not any(nearest(key, ("commands",)) or key in _RENAMED["phase"] for key in keys - set(GRAMMAR["phase"])):
            yield document.error(
                "BS203", entry.key, f"phase {name} has no commands", "write commands: with a list under it"
            )
    elif "finally" in keys and "commands" not in keys and "steps" not in keys and name != "install":
        yield document.warning("BS203", entry.key, f"phase {name} has finally without commands", "write commands: too")
    steps = phase.entry("steps")
    if steps:
        # https://docs.aws.amazon.com/codebuild/latest/userguide/action-runner-buildspec.html
        problem = "steps of GitHub Actions beside commands" if "commands" in keys else "steps of GitHub Actions"
        yield document.warning(
            "BS210",
            steps.key,
            f"{problem}: they run only in projects with GitHub as their source, and not beside commands",
            "write commands: where they do the same, and keep steps in a phase of their own",
        )
    failure = phase.entry("on-failure")
    if failure and isinstance(failure.value, Scalar) and not failure.value.is_null:
        text = failure.value.text
        if not _ON_FAILURE.fullmatch(text) and "$" not in text:
            yield document.error(
                "BS207",
                failure.key,
                f"on-failure is {failure.value.what}",
                "write ABORT, CONTINUE, RETRY, RETRY-<times>, RETRY-<regex> or RETRY-<times>-<regex>, times up to 100",
            )
    versions = phase.entry("runtime-versions")
    if versions:
        if name != "install":
            yield document.warning(
                "BS209", versions.key, f"runtime-versions counts in install only, not in {name}", "move it to install:"
            )
        if isinstance(versions.value, MapNode):
            yield from _runtimes(document, versions.value)


RUNTIMES = ("dotnet", "golang", "java", "nodejs", "php", "python", "ruby", "rust")
# Of images that are no longer supported.
_OLD_RUNTIMES = ("android", "kotlin", "docker")
_RUNTIME_NAMES = {
    "go": "golang", "node": "nodejs", "node.js": "nodejs", "jdk": "java", "openjdk": "java", "corretto": "java",
    "python3": "python", "py": "python", ".net": "dotnet", "dotnetcore": "dotnet", "npm": "nodejs",
}  # fmt: skip
_VERSION = re.compile(r"\d+(?:\.\d+){0,2}(?:\.x)?|latest|(?:corretto|openjdk)\d+(?:\.x)?|.*\$.*", re.IGNORECASE)


def _runtimes(document: Document, versions: MapNode) -> Iterator[Finding]:
    for entry in versions.entries:
        name, version = entry.key.text, entry.value
        if name in _OLD_RUNTIMES:
            yield document.warning("BS208", entry.key, f"only old images have runtime {name}", f"remove {name}")
        elif name not in RUNTIMES:
            meant = _RUNTIME_NAMES.get(name.lower()) or nearest(name, RUNTIMES)
            fix = f"did you mean {meant!r}?" if meant else f"use one of {', '.join(RUNTIMES)}"
            report = document.error if meant else document.warning
            yield report("BS208", entry.key, f"CodeBuild has no runtime {name!r}", fix)
        elif isinstance(version, Scalar) and not version.is_null and not _VERSION.fullmatch(version.text.strip()):
            yield document.warning(
                "BS208", entry.key, f"{name} version {version.what} has no form that is documented",
                f"write {name}: as a number, a number with .x, or latest",
            )  # fmt: skip


_SHELLS = ("bash", "/bin/sh", "powershell.exe", "cmd.exe")


def _environment(document: Document, root: MapNode) -> Iterator[Finding]:
    env = _env(root)
    if env is None:
        return
    shell = env.get("shell")
    if isinstance(shell, Scalar) and not shell.is_null and shell.text not in _SHELLS:
        yield document.warning(
            "BS306", shell, f"shell {shell.what} is not documented", f"use one of {', '.join(_SHELLS)}"
        )
    plain_variables = _entries(env, "variables") or _entries(env, "plaintext")
    for entry in plain_variables:
        yield from _plain_variable(document, entry)
    references = [*_entries(env, "parameter-store"), *_entries(env, "secrets-manager")]
    for entry in references:
        yield from _reserved(document, entry)
    for entry in _entries(env, "secrets-manager"):
        yield from _secret_reference(document, entry)
    seen: dict[str, Entry] = {}
    for entry in [*plain_variables, *references]:
        before = seen.setdefault(entry.key.text, entry)
        if before is not entry:
            yield document.warning(
                "BS308",
                entry.key,
                f"variable {entry.key.text} is also set on line {before.key.line}, and only one of them counts",
                "remove or rename one",
            )
    hidden = {entry.key.text for entry in references}
    for item in _items(env.get("exported-variables")):
        if isinstance(item, Scalar) and (item.text in hidden or item.text.startswith("AWS_")):
            why = "comes from Parameter Store or Secrets Manager" if item.text in hidden else "starts with AWS_"
            yield document.warning(
                "BS305",
                item,
                f"{item.text} {why}, which CodeBuild does not export",
                "export a variable that the commands set; let the next action read the secret itself",
            )


def _reserved(document: Document, entry: Entry) -> Iterator[Finding]:
    name = entry.key.text
    if name.startswith("CODEBUILD_"):
        yield document.warning(
            "BS301",
            entry.key,
            f"variable {name}: AWS reserves names that start with CODEBUILD_",
            f"rename it, for example to {name.removeprefix('CODEBUILD_') or 'BUILD'}",
        )


def _plain_variable(document: Document, entry: Entry) -> Iterator[Finding]:
    yield from _reserved(document, entry)
    name, value = entry.key.text, entry.value
    if not isinstance(value, Scalar) or value.is_null:
        return
    credential = credential_in(value.text, name)
    if credential:
        yield document.warning(
            "BS302", entry.key, f"variable {name} holds {credential}, for everyone who can read this file",
            f"revoke it, and take it from Secrets Manager: secrets-manager: {name}: <secret>:<key>",
        )  # fmt: skip
    elif sounds_secret(name) and _is_literal(value):
        yield document.warning(
            "BS303", entry.key, f"variable {name} sounds like a secret and has its value in this file",
            f"take it from Secrets Manager: secrets-manager: {name}: <secret>:<key>",
        )  # fmt: skip


def _secret_reference(document: Document, entry: Entry) -> Iterator[Finding]:
    value = entry.value
    if not isinstance(value, Scalar) or value.is_null or "$" in value.text or "{" in value.text:
        return
    if not value.text.strip():
        yield document.warning("BS106", entry.key, f"{entry.key.text} has no value", "name a secret, or remove it")
        return
    parts = value.text.split(":")
    if value.text.startswith("arn:"):
        # arn:aws:secretsmanager:<region>:<account>:secret:<name> is the id.
        parts = [":".join(parts[:7]), *parts[7:]]
    fix = f"write {entry.key.text}: <secret>[:<json key>[:<version stage>[:<version id>]]]"
    if len(parts) > 4:
        yield document.error("BS307", entry.key, f"{value.what} has {len(parts)} parts, a secret has 4", fix)
    elif not parts[0].strip():
        yield document.error("BS307", entry.key, f"{value.what} names no secret", fix)
    elif len(parts) == 4 and parts[2] and parts[3]:
        problem = f"{value.what} has a version stage and a version id"
        yield document.error("BS307", entry.key, problem, "give one of the two, and leave the other one empty")


_CREDENTIALS = (
    (re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"), "an AWS access key id"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), "a private key"),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{20,})"), "a token of GitHub"),
    (re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}"), "a token of GitLab"),
    (re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"), "a token of Slack"),
    (re.compile(r"hooks\.slack\.com/services/T\w+/B\w+/\w+"), "a webhook of Slack"),
    (re.compile(r"\bnpm_[A-Za-z0-9]{30,}"), "a token of npm"),
    (re.compile(r"\bdckr_pat_[A-Za-z0-9_-]{20,}"), "a token of Docker"),
    (re.compile(r"\b(?:sk|rk)_live_[A-Za-z0-9]{16,}"), "a key of Stripe"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{24,}"), "a secret key"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{35}"), "a key of Google"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."), "a JSON web token"),
    (re.compile(r"://[^/\s:@$<{]+:[^/\s@$<{*]{3,}@"), "a URL with a password"),
)
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*\d)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")  # fmt: skip  # noqa: E501
_SECRET_WORDS = frozenset(
    {
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "PASS",
        "SECRET",
        "SECRETS",
        "TOKEN",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
    }
)
_SECRET_PAIRS = frozenset(
    {("API", "KEY"), ("PRIVATE", "KEY"), ("ACCESS", "KEY"), ("SECRET", "KEY"), ("SIGNING", "KEY"),
     ("ENCRYPTION", "KEY"), ("LICENSE", "KEY"), ("AUTH", "KEY")}
)  # fmt: skip
# What a variable holds that only speaks of a secret.
_ABOUT_A_SECRET = frozenset({
    "NAME", "NAMES", "ARN", "ARNS", "ID", "IDS", "FILE", "PATH", "URL", "URI", "ENDPOINT", "PARAMETER", "PARAM",
    "REGION", "VERSION", "TYPE", "LENGTH", "TTL", "EXPIRY", "EXPIRATION", "ALIAS", "PREFIX", "SUFFIX", "BUCKET",
    "STORE", "MANAGER", "ENABLED", "COUNT", "HOST", "USER", "USERNAME", "STAGE", "LABEL", "HEADER", "POLICY",
    "SIZE", "LOCATION", "DIR", "REF", "LOOKUP", "ROTATION", "ISSUER", "AUDIENCE", "LIMIT", "BACKEND", "PROVIDER",
    "KEYNAME"
})  # fmt: skip


def credential_in(text: str, name: str = "") -> str | None:
    """What kind of credential a text holds by its form, such as `an AWS access key id`; None when it holds none."""
    for pattern, what in _CREDENTIALS:
        if pattern.search(text):
            return what
    if re.search(r"secret|aws|key", name, re.IGNORECASE) and _AWS_SECRET.search(text):
        return "an AWS secret access key"
    return None


def sounds_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, going by the words in it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper().replace("-", "_").split("_")
    words = [word for word in words if word]
    if not words or words[-1] in _ABOUT_A_SECRET or "PUBLIC" in words or words in (["PWD"], ["OLDPWD"]):
        return False
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairwise(words))


def _is_literal(value: Scalar) -> bool:
    text = value.text.strip()
    if not text or (value.kind in ("boolean", "number") and not value.quoted and len(text) < 6):
        return False
    placeholder = r"<.*>|\{\{.*|\*+|x{3,}|your[-_ ].*|replace.*|/.*|arn:.*|%.*%|none|null|true|false"
    return "$" not in text and not re.fullmatch(placeholder, text, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Simple:
    """One command of a shell line: its text without what stands in single quotes."""

    text: str
    captured: bool
    kept: bool

    @property
    def words(self) -> list[str]:
        words = self.text.split()
        while words and words[0] in (
            "then",
            "do",
            "else",
            "if",
            "while",
            "!",
            "{",
            "sudo",
            "time",
            "exec",
            "nohup",
            "command",
        ):
            words.pop(0)
        return words


def _simple_commands(line: str, captured: bool = False) -> Iterator[_Simple]:
    """The commands of a shell line: roughly, and for looking only.

    `captured` are those in `$(…)` or backticks, `kept` those whose output goes to a file or to another command.
    """
    text, quote, redirected, index = "", "", False, 0
    while index < len(line):
        character = line[index]
        if character == "\\" and quote != "'":
            text += line[index : index + 2]
            index += 2
            continue
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "'" and not quote:
            quote = "'"
        elif character == '"':
            quote = "" if quote else '"'
            text += character
        elif line.startswith("$(", index) or character == "`":
            start = index + (1 if character == "`" else 2)
            end = line.find("`", start) if character == "`" else _closing(line, start)
            end = len(line) if end < 0 else end
            yield from _simple_commands(line[start:end], captured=True)
            index = end
        elif quote:
            text += character
        elif character == ">":
            target = line[index + 1 :].lstrip(">&| ")
            redirected = redirected or not (line[index + 1 : index + 3] == "&2" or target.startswith("/dev/std"))
            text += character
        elif character in ";|&\n":
            after = line[index:].lstrip("|&;\n ")
            pipe = character == "|" and not line.startswith("||", index)
            if character == "&" and (text.endswith(">") or line.startswith("&>", index)):
                text += character
            else:
                yield _Simple(text, captured, redirected or (pipe and not re.match(r"(?:tee|cat)\b", after)))
                text, redirected = "", False
                index += 1 if line[index : index + 2] in ("||", "&&") else 0
        elif character == "#" and not text.strip():
            end = line.find("\n", index)
            index = len(line) if end < 0 else end
            continue
        else:
            text += character
        index += 1
    yield _Simple(text, captured, redirected)


def _closing(line: str, start: int) -> int:
    depth = 1
    for index in range(start, len(line)):
        depth += (line[index] == "(") - (line[index] == ")")
        if not depth:
            return index
    return -1


def _commands(document: Document, root: MapNode) -> Iterator[Finding]:
    env = _env(root)
    named = {entry.key.text for entry in _entries(env, "secrets-manager")}
    for command in commands_of(root):
        line = command.text
        credential = credential_in(line, line)
        if credential:
            yield document.warning(
                "BS302", command, f"the command holds {credential}, for everyone who can read this file",
                "revoke it, and take it from Secrets Manager as a variable",
            )  # fmt: skip
        for simple in _simple_commands(line):
            if simple.captured or simple.kept or not simple.words:
                continue
            first = simple.words[0].lower()
            if first in ("echo", "printf", "write-host", "write-output"):
                variables = re.findall(r"(?<!\\)\$(?:env:|\{(?:env:)?)?(\w+)(?![\w:+#])|%(\w+)%", simple.text)
                names = dict.fromkeys(one or other for one, other in variables)
                for name in names:
                    if name in named or sounds_secret(name):
                        yield document.warning(
                            "BS304",
                            command,
                            f"{first} writes the secret {name} to the log",
                            f'remove it, or write only whether it is set: echo "${{{name}:+set}}"',
                        )
            elif simple.words in (["printenv"], ["env"]) and named:
                yield document.warning(
                    "BS304", command, f"{first} writes all variables to the log, {', '.join(sorted(named))} among them",
                    "name the variables that you want to see",
                )  # fmt: skip


def commands_of(root: MapNode) -> Iterator[Scalar]:
    """All commands of all phases, also those in `finally`."""
    for phase in _entries(root, "phases"):
        if isinstance(phase.value, MapNode):
            for key in ("commands", "finally"):
                commands = phase.value.get(key)
                for command in [commands] if isinstance(commands, Scalar) else _items(commands):
                    if isinstance(command, Scalar):
                        yield command


REPORT_FORMATS = (
    "JUNITXML", "CUCUMBERJSON", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX",
    "CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV",
)  # fmt: skip
# https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
_MOST_REPORT_GROUPS = 5
_MOST_SECONDARY_ARTIFACTS = 12
_MOST_FALLBACK_KEYS = 5


def _outputs(document: Document, root: MapNode) -> Iterator[Finding]:
    reports = _entries(root, "reports")
    if len(reports) > _MOST_REPORT_GROUPS:
        yield document.error(
            "BS401",
            reports[_MOST_REPORT_GROUPS].key,
            f"{len(reports)} report groups, CodeBuild takes {_MOST_REPORT_GROUPS}",
            f"write the files of several into one group, at most {_MOST_REPORT_GROUPS} in all",
        )
    for entry in reports:
        if isinstance(entry.value, MapNode):
            yield from _report(document, entry)
    artifacts = root.entry("artifacts")
    if artifacts and isinstance(artifacts.value, MapNode):
        secondary = _entries(artifacts.value, "secondary-artifacts")
        if len(secondary) > _MOST_SECONDARY_ARTIFACTS:
            yield document.error(
                "BS412",
                secondary[_MOST_SECONDARY_ARTIFACTS].key,
                f"{len(secondary)} secondary artifacts, CodeBuild takes {_MOST_SECONDARY_ARTIFACTS}",
                f"give at most {_MOST_SECONDARY_ARTIFACTS}",
            )
        yield from _artifact(document, artifacts, "artifacts", beside=bool(secondary))
        kind = artifacts.value.entry("type")
        if kind:
            yield document.warning("BS107", kind.key, "artifacts.type is of buildspec 0.1", "set it in the project")
        for entry in secondary:
            yield from _artifact(document, entry, f"secondary artifact {entry.key.text}", beside=False)
    cache = root.get("cache")
    if isinstance(cache, MapNode):
        yield from _cache(document, cache)


def _report(document: Document, entry: Entry) -> Iterator[Finding]:
    assert isinstance(entry.value, MapNode)
    if entry.value.get("files") is None and not _misspelt(entry.value, "report", "files"):
        yield document.error(
            "BS403", entry.key, f"report group {entry.key.text} has no files", "write files: - '**/*.xml'"
        )
    form = entry.value.get("file-format")
    if (
        isinstance(form, Scalar)
        and form.text.upper() not in REPORT_FORMATS
        and not form.is_null
        and "$" not in form.text
    ):
        meant = nearest(form.text, REPORT_FORMATS)
        fix = f"did you mean {meant}?" if meant else f"use one of {', '.join(REPORT_FORMATS)}"
        yield document.error("BS402", form, f"CodeBuild reads no reports of format {form.what}", fix)


def _artifact(document: Document, entry: Entry, called: str, *, beside: bool) -> Iterator[Finding]:
    node = entry.value
    if not isinstance(node, MapNode) or node.get("files") is not None or _misspelt(node, "artifacts", "files"):
        return
    report = document.warning if beside else document.error
    yield report("BS411", entry.key, f"{called} has no files, so nothing is uploaded", "write files: - '**/*'")


def _cache(document: Document, cache: MapNode) -> Iterator[Finding]:
    action = cache.get("action")
    if isinstance(action, Scalar) and action.text not in ("restore", "save", "") and "$" not in action.text:
        meant = nearest(action.text, ("restore", "save"))
        yield document.error(
            "BS421",
            action,
            f"cache action {action.what}",
            f"did you mean {meant!r}?" if meant else "use restore or save",
        )
    keys = _items(cache.get("fallback-keys"))
    if len(keys) > _MOST_FALLBACK_KEYS:
        yield document.error(
            "BS422",
            keys[_MOST_FALLBACK_KEYS],
            f"{len(keys)} fallback keys, CodeBuild takes {_MOST_FALLBACK_KEYS}",
            f"keep the best {_MOST_FALLBACK_KEYS}",
        )
    if keys and cache.get("key") is None:
        yield document.warning("BS423", cache, "fallback-keys without key are ignored", "write key: too")


_KINDS = ("build-list", "build-graph", "build-matrix", "build-fanout")
_ENVIRONMENT_TYPES = (
    "LINUX_CONTAINER", "ARM_CONTAINER", "LINUX_GPU_CONTAINER", "WINDOWS_CONTAINER", "WINDOWS_SERVER_2019_CONTAINER",
    "WINDOWS_SERVER_2022_CONTAINER", "LINUX_LAMBDA_CONTAINER", "ARM_LAMBDA_CONTAINER", "LINUX_EC2", "ARM_EC2",
    "WINDOWS_EC2", "MAC_ARM",
)  # fmt: skip
_COMPUTE_TYPES = (
    "BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_XLARGE",
    "BUILD_GENERAL1_2XLARGE", "BUILD_LAMBDA_1GB", "BUILD_LAMBDA_2GB", "BUILD_LAMBDA_4GB", "BUILD_LAMBDA_8GB",
    "BUILD_LAMBDA_10GB", "ATTRIBUTE_BASED_COMPUTE", "CUSTOM_INSTANCE_TYPE",
)  # fmt: skip
# What a project takes unless its batch restrictions say otherwise.
_USUAL_BATCH = 100


def _batch(document: Document, batch: MapNode) -> Iterator[Finding]:
    kinds = [entry for entry in batch.entries if entry.key.text in _KINDS]
    if not kinds and not any(
        nearest(entry.key.text, _KINDS) for entry in batch.entries if entry.key.text != "fast-fail"
    ):
        yield document.warning("BS501", batch, "batch starts no builds", f"write one of {', '.join(_KINDS)}")
    for entry in kinds[1:]:
        yield document.warning(
            "BS501", entry.key, f"{entry.key.text} beside {kinds[0].key.text}, a batch has one of them", "remove one"
        )
    for entry in kinds:
        match entry.key.text:
            case "build-list" | "build-graph":
                yield from _tasks(document, entry)
            case "build-matrix" if isinstance(entry.value, MapNode):
                yield from _matrix(document, entry)
            case "build-fanout" if isinstance(entry.value, MapNode) and entry.value.get("parallelism") is None:
                if not _misspelt(entry.value, "fanout", "parallelism"):
                    yield document.error("BS508", entry.key, "build-fanout has no parallelism", "write parallelism: 4")
            case _:
                pass


def _tasks(document: Document, entry: Entry) -> Iterator[Finding]:
    tasks = [task for task in _items(entry.value) if isinstance(task, MapNode)]
    if not tasks and not (isinstance(entry.value, Scalar) and entry.value.is_null):
        yield document.warning("BS501", entry.key, f"{entry.key.text} is empty", "write `- identifier: name`")
    if len(tasks) > _USUAL_BATCH:
        yield document.warning(
            "BS509", entry.key, f"{len(tasks)} builds, a project takes {_USUAL_BATCH} unless it says otherwise",
            "raise the project's maximum of builds in a batch",
        )  # fmt: skip
    identifiers: dict[str, Scalar] = {}
    for task in tasks:
        identifier = task.get("identifier")
        if not isinstance(identifier, Scalar) or identifier.is_null:
            if not _misspelt(task, "task", "identifier") and not isinstance(identifier, ListNode | MapNode):
                yield document.error(
                    "BS502", task, "a task without identifier", "write identifier: with a name of its own"
                )
            continue
        name = identifier.text.strip()
        if name in identifiers:
            yield document.error(
                "BS502",
                identifier,
                f"identifier {name!r} stands on line {identifiers[name].line} already",
                "rename one",
            )
        elif not re.fullmatch(r"\w{1,127}", name, re.ASCII) and "$" not in name:
            # No page says so; AWS's own files remark that a dash is refused.
            yield document.warning(
                "BS502", identifier, f"identifier {name!r} may be refused", "use letters, digits and underscores only"
            )
        identifiers.setdefault(name, identifier)
        yield from _task_environment(document, task)
    yield from _dependencies(document, entry.key.text, tasks, identifiers)


def _task_environment(document: Document, task: MapNode) -> Iterator[Finding]:
    env = task.get("env")
    if not isinstance(env, MapNode):
        return
    fleet, compute = env.get("fleet"), env.get("compute-type")
    if fleet is not None and isinstance(compute, Scalar):
        yield document.error(
            "BS505", compute, "compute-type beside fleet", "give one: the fleet decides on its compute"
        )
    kind = env.get("type")
    if isinstance(kind, Scalar) and not kind.is_null and kind.text not in _ENVIRONMENT_TYPES and "$" not in kind.text:
        meant = nearest(kind.text, _ENVIRONMENT_TYPES)
        fix = f"did you mean {meant}?" if meant else f"use one of {', '.join(_ENVIRONMENT_TYPES)}"
        yield document.error("BS506", kind, f"CodeBuild has no environment type {kind.what}", fix)
    if (
        isinstance(compute, Scalar)
        and not compute.is_null
        and compute.text not in _COMPUTE_TYPES
        and "$" not in compute.text
    ):
        meant = nearest(compute.text, _COMPUTE_TYPES)
        fix = f"did you mean {meant}?" if meant else f"use one of {', '.join(_COMPUTE_TYPES)}"
        yield document.warning("BS506", compute, f"CodeBuild documents no compute type {compute.what}", fix)
    for entry in _entries(env, "variables"):
        yield from _plain_variable(document, entry)


def _dependencies(
    document: Document, kind: str, tasks: list[MapNode], identifiers: Mapping[str, Scalar]
) -> Iterator[Finding]:
    needs: dict[str, list[str]] = {}
    for task in tasks:
        entry = task.entry("depend-on")
        if entry is None:
            continue
        if kind == "build-list":
            yield document.warning(
                "BS504", entry.key, "depend-on in a build-list, whose builds start all at once", "use build-graph"
            )
        own = task.get("identifier")
        for item in [entry.value] if isinstance(entry.value, Scalar) else _items(entry.value):
            if not isinstance(item, Scalar) or item.is_null:
                continue
            if item.text in identifiers:
                if isinstance(own, Scalar) and kind == "build-graph":
                    needs.setdefault(own.text, []).append(item.text)
            elif kind == "build-graph":
                meant = nearest(item.text, identifiers)
                fix = f"did you mean {meant!r}?" if meant else "name the identifier of another task"
                yield document.error("BS503", item, f"depend-on names {item.what}, and no task is called so", fix)
    circle = _circle(needs)
    if circle:
        yield document.error(
            "BS503",
            identifiers[circle[0]],
            f"tasks wait for each other: {' → '.join(circle)}",
            f"remove {circle[1]} from the depend-on of {circle[0]}",
        )


def _circle(needs: Mapping[str, list[str]]) -> list[str] | None:
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        # Depth first without recursion: a graph may be longer than Python's stack.
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(needs.get(start, ())))] if start not in done else []
        path = [start] if stack else []
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                path.pop()
                done.add(node)
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                stack.append((following, iter(needs.get(following, ()))))
                path.append(following)
    return None


def _matrix(document: Document, entry: Entry) -> Iterator[Finding]:
    matrix = entry.value
    assert isinstance(matrix, MapNode)
    dynamic = matrix.get("dynamic")
    if dynamic is None:
        if not _misspelt(matrix, "matrix", "dynamic"):
            yield document.error(
                "BS507", entry.key, "build-matrix has nothing dynamic", "write dynamic: env: image: - …"
            )
        return
    static_env = _at(matrix, "static", "env")
    if isinstance(static_env, MapNode):
        for kind in static_env.entries:
            if kind.key.text not in ("privileged-mode", "type", "variables") and kind.key.text in GRAMMAR["task env"]:
                yield document.warning(
                    "BS104",
                    kind.key,
                    f"static.env.{kind.key.text} is not documented",
                    "set it in dynamic.env, as a list",
                )
    builds = 1
    lists = [("buildspec", _at(dynamic, "buildspec"))]
    env = _at(dynamic, "env")
    lists += [(key, _at(env, key)) for key in ("compute-type", "image")]
    lists += [(one.key.text, one.value) for one in _entries(env, "variables")]
    for key, values in lists:
        if isinstance(values, ListNode):
            if not values.items:
                yield document.error("BS507", values, f"{key} is an empty list, so no build starts", "give it a value")
            builds *= max(len(values.items), 1)
    if all(values is None for _, values in lists):
        yield document.error(
            "BS507", entry.key, "build-matrix has no lists to combine", "write dynamic: env: image: - …"
        )
    if builds > _USUAL_BATCH:
        yield document.warning(
            "BS509", entry.key, f"{builds} builds, a project takes {_USUAL_BATCH} unless it says otherwise",
            "shorten a list, or raise the project's maximum of builds in a batch",
        )  # fmt: skip


_NEEDS_A_DAEMON = frozenset({
    "build", "run", "push", "pull", "tag", "compose", "buildx", "images", "image", "save", "load", "exec", "create",
    "start", "stop", "rm", "rmi", "ps", "cp", "commit", "import", "export", "inspect", "kill", "logs", "network",
    "volume", "swarm", "stack", "service", "system", "container"
})  # fmt: skip
_ROOT_TOOLS = frozenset({"yum", "dnf", "apt", "apt-get", "apk", "rpm", "dpkg", "sudo", "systemctl", "service"})
_JAVA = "corretto8 corretto11 corretto17 corretto21 corretto25"
_STANDARD_7 = {
    "java": _JAVA,
    "golang": "1.20 1.21 1.22 1.23 1.24 1.25 1.26",
    "python": "3.9 3.10 3.11 3.12 3.13 3.14",
    "php": "8.2 8.3 8.4 8.5",
    "ruby": "3.1 3.2 3.3 3.4 4.0",
    "nodejs": "18 20 22 24",
    "dotnet": "6.0 8.0 10.0",
}
_STANDARD_8 = {
    "java": _JAVA,
    "golang": "1.24 1.25 1.26",
    "python": "3.10 3.11 3.12 3.13 3.14",
    "php": "8.2 8.3 8.4 8.5",
    "ruby": "3.3 3.4 4.0",
    "nodejs": "22 24",
    "dotnet": "8.0 10.0",
    "rust": "1.93 1.94",
}
_STANDARD_6 = {
    "java": "corretto17",
    "golang": "1.18",
    "python": "3.10",
    "php": "8.1",
    "ruby": "3.1",
    "nodejs": "16",
    "dotnet": "6.0",
}
# The runtimes.yml of each image in https://github.com/aws/aws-codebuild-docker-images.
_IMAGES: Mapping[str, Mapping[str, str]] = {
    "standard:5.0": {
        "java": "corretto8 corretto11",
        "golang": "1.15 1.16",
        "python": "3.7 3.8 3.9",
        "php": "7.3 7.4 8.0",
        "ruby": "2.6 2.7",
        "nodejs": "12 14",
        "dotnet": "3.1 5.0",
    },
    "standard:6.0": _STANDARD_6,
    "standard:7.0": _STANDARD_7,
    "standard:8.0": _STANDARD_8,
    "amazonlinux-x86_64-standard:4.0": {**_STANDARD_6, "python": "3.9"},
    "amazonlinux-x86_64-standard:5.0": _STANDARD_7,
    "amazonlinux-x86_64-standard:6.0": _STANDARD_8,
    "amazonlinux-x86_64-standard:corretto8": {"java": "corretto8"},
    "amazonlinux-x86_64-standard:corretto11": {"java": "corretto11"},
    "amazonlinux-aarch64-standard:2.0": {
        "java": "corretto8 corretto11",
        "golang": "1.12 1.13 1.14",
        "python": "3.7 3.8 3.9",
        "php": "7.3 7.4",
        "ruby": "2.6 2.7",
        "nodejs": "10 12",
        "dotnet": "3.1",
    },
    "amazonlinux-aarch64-standard:3.0": {**_STANDARD_7, "php": "8.1 8.2 8.3 8.4 8.5", "rust": "1.94"},
    "amazonlinux-aarch64-standard:4.0": _STANDARD_8,
}


def _on(document: Document, root: MapNode, host: BuildHost) -> Iterator[Finding]:
    if host.image:
        yield from _on_image(document, root, host.image)
    if host.is_lambda:
        yield from _on_lambda(document, root)
    elif host.privileged is False and not _remote_docker(root):
        for command in commands_of(root):
            if any(_is_docker(simple) for simple in _simple_commands(command.text)):
                # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectEnvironment.html
                fix = "build on Linux, in privileged mode" if host.is_windows else "set privileged=True"
                problem = f"Docker without privileged mode: {_cut(command.text)!r}"
                yield document.error("BS601", command, problem, fix)
    if host.is_lambda or host.reserved:
        where = "Lambda compute" if host.is_lambda else "reserved capacity"
        for phase in _entries(root, "phases"):
            failure = phase.value.entry("on-failure") if isinstance(phase.value, MapNode) else None
            if failure:
                code = "BS603" if host.is_lambda else "BS604"
                yield document.error(
                    code, failure.key, f"on-failure does not exist on {where}", "remove it, or build on demand on EC2"
                )
    if host.is_windows:
        for entry in _run_as(root):
            yield document.warning("BS605", entry.key, "run-as does not exist on Windows", "remove it")
        shell = _at(root, "env", "shell")
        if isinstance(shell, Scalar) and shell.text in ("bash", "/bin/sh"):
            yield document.warning(
                "BS605", shell, f"Windows has no shell {shell.what}", "write powershell.exe or cmd.exe"
            )


def _on_lambda(document: Document, root: MapNode) -> Iterator[Finding]:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html
    move = "build on EC2 compute"
    for command in commands_of(root):
        for simple in _simple_commands(command.text):
            if _is_docker(simple):
                yield document.error("BS603", command, f"Lambda compute has no Docker: {_cut(command.text)!r}", move)
            elif simple.text.split()[:1] and simple.text.split()[0] in _ROOT_TOOLS:
                tool = simple.text.split()[0]
                yield document.warning("BS603", command, f"{tool} needs root, which Lambda compute is not", move)
    cache = root.entry("cache")
    if cache:
        yield document.warning("BS603", cache.key, "Lambda compute has no cache", f"remove it, or {move}")
    for entry in _run_as(root):
        yield document.warning("BS603", entry.key, "Lambda compute runs as one user only", f"remove it, or {move}")


def _on_image(document: Document, root: MapNode, image: str) -> Iterator[Finding]:
    versions = _at(root, "phases", "install", "runtime-versions")
    if not isinstance(versions, MapNode) or not versions.entries:
        return
    if not image.startswith("aws/codebuild/"):
        yield document.warning(
            "BS602",
            versions,
            f"runtime-versions is skipped on {image}, an image of your own",
            "install it in the image",
        )
        return
    short = re.sub(r"(:\d+\.\d+)-.*", r"\1", image.removeprefix("aws/codebuild/")).replace(
        "amazonlinux2-", "amazonlinux-"
    )
    has = _IMAGES.get(short)
    if has is None:
        return
    for entry in versions.entries:
        name, version = entry.key.text, entry.value
        if name not in RUNTIMES or not isinstance(version, Scalar) or version.is_null or "$" in version.text:
            continue
        if name not in has:
            yield document.error(
                "BS602",
                entry.key,
                f"{image} has no runtime {name}",
                f"take an image that has it: it has {', '.join(has)}",
            )
        elif not _preinstalled(version.text, has[name].split()):
            # https://docs.aws.amazon.com/codebuild/latest/userguide/runtime-versions.html, custom runtime versions.
            custom = re.fullmatch(r"(?:corretto)?\d+(\.\d+){0,2}(\.x)?", version.text)
            report = document.warning if custom else document.error
            then = ", so each build has to download it" if custom else ""
            yield report(
                "BS602",
                entry.key,
                f"{image} has no {name} {version.text}{then}",
                f"use one that it has: {', '.join(has[name].split())}",
            )


def _preinstalled(version: str, has: Iterable[str]) -> bool:
    wanted = version.strip().removesuffix(".x")
    return wanted == "latest" or any(
        f"{one}.".startswith(f"{wanted}.") or f"{wanted}.".startswith(f"{one}.") for one in has
    )


def _is_docker(simple: _Simple) -> bool:
    words = simple.words
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if not words or words[0].rsplit("/", 1)[-1] not in ("docker", "docker-compose", "dockerd"):
        return False
    if not words[0].endswith("docker"):
        return "version" not in " ".join(words[1:2])
    return next((word for word in words[1:] if not word.startswith("-")), "") in _NEEDS_A_DAEMON


def _remote_docker(root: MapNode) -> bool:
    return any(entry.key.text == "DOCKER_HOST" for entry in _entries(_env(root), "variables")) or any(
        "DOCKER_HOST" in command.text for command in commands_of(root)
    )


def _run_as(root: MapNode) -> Iterator[Entry]:
    for section in [root, *(phase.value for phase in _entries(root, "phases"))]:
        entry = section.entry("run-as") if isinstance(section, MapNode) else None
        if entry:
            yield entry


def _env(root: MapNode) -> MapNode | None:
    env = root.get("env") or root.get("environment_variables")
    return env if isinstance(env, MapNode) else None


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.get(key) if isinstance(node, MapNode) else None
    return node


def _entries(node: Node | None, key: str) -> list[Entry]:
    value = _at(node, key)
    return list(value.entries) if isinstance(value, MapNode) else []


def _items(node: Node | None) -> list[Node]:
    return list(node.items) if isinstance(node, ListNode) else []


def _misspelt(node: MapNode, section: str, key: str) -> bool:
    """Whether a key is there under a wrong name, which is said already."""
    valid = GRAMMAR[section]
    return any(
        entry.key.text not in valid
        and (_RENAMED.get(section, {}).get(entry.key.text) == key or nearest(entry.key.text, tuple(valid)) == key)
        for entry in node.entries
    )
