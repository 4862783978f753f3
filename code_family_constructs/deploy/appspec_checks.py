"""Floor 1: what CodeDeploy refuses in an AppSpec file, and what it takes and does otherwise than people expect.

The rules for EC2 and on-premises come from the agent's own parser where it says more than the user guide
(https://github.com/aws/aws-codedeploy-agent), those for Amazon ECS and AWS Lambda from the user guide
(https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html) and from what is known to have
been deployed. Where neither settles whether CodeDeploy takes something, it is a warning.

Codes: `AS1..` the file as a whole, `AS2..` files and permissions, `AS3..` scripts, `AS4..` Amazon ECS, `AS5..` AWS
Lambda, `AS6..` hooks that are functions.
"""

import json
import ntpath
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
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

Dialect = Literal["ec2", "ecs", "lambda"]

EC2_HOOKS = (
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
)
ECS_HOOKS = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic")
LAMBDA_HOOKS = ("BeforeAllowTraffic", "AfterAllowTraffic")
FILE_EXISTS_BEHAVIORS = ("DISALLOW", "OVERWRITE", "RETAIN")
SECONDS_PER_EVENT = 3600


def check_appspec(
    document: Document, *, bundle: Path | None = None, load_balancer: bool | None = None
) -> tuple[Dialect | None, tuple[Finding, ...]]:
    """The dialect of a document, None when it is none of the three, and what is to be said about it.

    Args:
        document: The document.
        bundle: The folder that is deployed; without it, nothing is said about scripts and files that do not exist.
        load_balancer: Whether the deployment group has one; None when that is not known.
    """
    if document.root is None:
        return None, document.findings
    dialect = _dialect(document.root)
    checks: _Checks
    if dialect == "ec2":
        checks = _Ec2Checks(document, bundle=bundle, load_balancer=load_balancer)
    elif dialect == "ecs":
        checks = _EcsChecks(document)
    elif dialect == "lambda":
        checks = _LambdaChecks(document)
    else:
        checks = _Checks(document)
        checks.no_dialect(document.root)
        return None, (*document.findings, *checks.findings)
    checks.run(document.root)
    ordered = sorted(checks.findings, key=lambda finding: (finding.line, finding.column))
    return dialect, (*document.findings, *ordered)


def child(node: MapNode, name: str) -> Entry | None:
    """The entry of a key in an ECS or Lambda file, whose keys the user guide writes in either case."""
    return node.entry(name) or next((entry for entry in node.entries if entry.key.text.lower() == name.lower()), None)


def is_placeholder(text: str) -> bool:
    """Whether something is still to be put into a text, as the usual template tools mark it."""
    return text != "$LATEST" and _PLACEHOLDER.search(text) is not None


def whole_number(node: Scalar) -> int | None:
    """The integer that YAML 1.1 and Ruby read, None when it is none; a leading zero makes it octal, unless quoted."""
    text = node.text.strip().replace("_", "")
    if node.kind == "number" and not node.quoted and re.fullmatch(r"0[0-7]+", text):
        return int(text, 8)
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else None


def seconds(node: Scalar) -> int | None:
    """The timeout that the agent reads: what a text starts with, and without digits nothing."""
    number = whole_number(node)
    if number is not None:
        return number
    digits = re.match(r"\s*([-+]?\d+)", node.text)
    return int(digits.group(1)) if digits else None


def file_mode(node: Scalar) -> str:
    """The mode that the agent sets, which for an unquoted 0644 is the 420 that YAML makes of it."""
    number = whole_number(node)
    return str(number) if number is not None and node.kind == "number" and not node.quoted else node.text


def quote_placeholders(text: str) -> str:
    """The text of a template with quotes around what is no YAML before it is filled in; lines keep their numbers.

    `Port: {{ port }}` and `"Port": ${port}` are fine once filled in, and a line such as `{% if blue %}` goes away then.
    Only for texts that cannot be read as they are: in one that can, all this may stand in the middle of a value.
    """

    def quoted(match: re.Match[str]) -> str:
        return match.group() if match.group("value") is None else f"{match.group('before')}'{match.group('value')}'"

    lines = ("" if _CONTROL_LINE.match(line) else _UNQUOTED.sub(quoted, line) for line in text.split("\n"))
    return "\n".join(lines)


_EC2_KEYS = ("version", "os", "files", "file_exists_behavior", "permissions", "hooks")
_SYSTEMS = ("linux", "windows")
_FILE_KEYS = ("source", "destination")
_PERMISSION_KEYS = ("object", "pattern", "except", "owner", "group", "mode", "acls", "context", "type")
_SCRIPT_KEYS = ("location", "timeout", "runas")
_FUNCTION_FILE_KEYS = ("version", "Resources", "Hooks")
_TRAFFIC_HOOKS = EC2_HOOKS[5:]
# What other tools call it.
_SCRIPT_SYNONYMS = {
    **dict.fromkeys(
        ("run", "script", "path", "file", "command", "commands"), "write `location:` with the path of a script"
    ),
    "user": "write `runas:`",
}
# Events in which CodeDeploy or its agent works itself, and what people mean by them.
_RESERVED = {
    "Start": "use ApplicationStop or BeforeInstall",
    "DownloadBundle": "use ApplicationStop, which runs before it, or BeforeInstall, which runs after it",
    "Install": "use BeforeInstall or AfterInstall; what is copied stands in files",
    "BlockTraffic": "use BeforeBlockTraffic or AfterBlockTraffic",
    "AllowTestTraffic": "use AfterAllowTestTraffic",
    "AllowTraffic": "use BeforeAllowTraffic or AfterAllowTraffic",
    "End": "use the last event that has scripts",
}
_PLATFORMS: Mapping[Dialect, str] = {
    "ec2": "EC2 and on-premises deployments",
    "ecs": "Amazon ECS deployments",
    "lambda": "AWS Lambda deployments",
}
_HOOKS: Mapping[Dialect, tuple[str, ...]] = {"ec2": EC2_HOOKS, "ecs": ECS_HOOKS, "lambda": LAMBDA_HOOKS}
_TYPES = ("AWS::ECS::Service", "AWS::Lambda::Function")
_ECS_PROPERTIES = (
    "TaskDefinition",
    "LoadBalancerInfo",
    "PlatformVersion",
    "NetworkConfiguration",
    "CapacityProviderStrategy",
)
_LAMBDA_PROPERTIES = ("Name", "Alias", "CurrentVersion", "TargetVersion")
_NETWORK = ("Subnets", "SecurityGroups", "AssignPublicIp")

_PLACEHOLDER = re.compile(
    r"<[^<>]+>|\$\{|\$\(|\$[A-Za-z_]\w*|\{\{|\{[A-Za-z_]\w*\}|#\{|__\w+__|%[A-Za-z_]\w*%|@@?\w+@@?|^\[.+\]$|\.\.\."
    r"|\b(?i:your)[-_ ]"
)
# Where only a number makes sense, a name such as CONTAINER_PORT is one to replace, too.
_LOUD = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_MARKED = r"\$\{[^{}\n]*\}|\{\{[^{}\n]*\}\}|#\{[^{}\n]*\}#?|<%.*?%>|@@?\w+@@?|%\w+%"
_UNQUOTED = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|(?<=[:,\[{-])(?P<before>\s+|(?<=\[))'
    rf"(?P<value>(?:{_MARKED})(?:[\w/.-]|:(?!\s|$)|{_MARKED})*)(?=\s*(?:[,\]}}#]|:\s|:?$))"
)
_CONTROL_LINE = re.compile(r"\s*(?:\{%.*%\}|%\{.*\}|\{\{[#/~-].*\}\}|<%.*%>)\s*$")
# Account and revision may be words, which is how people leave something to fill in without marking it, and one of AWS's
# own tutorials has a colon too many.
_TASK_DEFINITION = re.compile(
    r"arn:[\w-]+:ecs:[\w-]+:(?P<account>[\w-]+:?):task-definition/[\w-]+(:(?P<revision>[\w-]+))?"
)
_FUNCTION_ARN = re.compile(r"arn:[\w-]+:lambda:[\w-]+:[\w-]+:function:[\w-]+(:[\w$-]+)?")
_FUNCTION_NAME = re.compile(r"[\w-]+(:[\w$-]+)?")
_SENSITIVITY = r"s\d+"
_CATEGORIES = r"c\d+(\.c\d+)?"
_SELINUX_RANGE = re.compile(rf"{_SENSITIVITY}(-{_SENSITIVITY})?(:{_CATEGORIES}(,{_CATEGORIES})*)?")
# Copying is acted out only as far as it stays quick.
_MOST_FILES = 20_000


def _dialect(root: MapNode) -> Dialect | None:
    keys = [entry.key.text for entry in root.entries]
    for key in keys:
        if nearest(key, ("Resources",)):
            found = _resource_dialect(root, key)
            if found:
                return found
    if any(nearest(key, ("os", "files", "file_exists_behavior", "permissions")) for key in keys):
        return "ec2"
    hooks = child(root, "hooks")
    if hooks and isinstance(hooks.value, MapNode):
        return "ec2"
    if any(key in EC2_HOOKS for key in keys) and not any(nearest(key, ("Resources",)) for key in keys):
        return "ec2"
    return None


def _resource_dialect(root: MapNode, key: str) -> Dialect | None:
    resources = root.get(key)
    if isinstance(resources, MapNode) and (root.entry("AWSTemplateFormatVersion") or root.entry("Transform")):
        return None
    items = resources.items if isinstance(resources, ListNode) else (resources,)
    for text, dialect in (("ecs", "ecs"), ("lambda", "lambda")):
        for resource in _maps(items, depth=3):
            kind = child(resource, "Type")
            if kind and isinstance(kind.value, Scalar) and f"::{text}" in kind.value.text.lower():
                return dialect  # type: ignore[return-value]
    for resource in _maps(items, depth=4):
        if any(nearest(entry.key.text, _ECS_PROPERTIES[:2]) for entry in resource.entries):
            return "ecs"
        if any(nearest(entry.key.text, _LAMBDA_PROPERTIES[1:]) for entry in resource.entries):
            return "lambda"
    return None


def _maps(nodes: Sequence[Node | None], *, depth: int) -> Iterator[MapNode]:
    for node in nodes:
        if isinstance(node, MapNode):
            yield node
            if depth > 1:
                yield from _maps([entry.value for entry in node.entries], depth=depth - 1)


class _Checks:
    """What the dialects have in common; a method says what is wrong and returns what can be looked at further."""

    dialect: Dialect = "ec2"

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []

    def run(self, root: MapNode) -> None:
        raise NotImplementedError

    def error(self, code: str, at: Node, problem: str, fix: str) -> None:
        self.findings.append(self.document.error(code, at, problem, fix))

    def warning(self, code: str, at: Node, problem: str, fix: str) -> None:
        self.findings.append(self.document.warning(code, at, problem, fix))

    def no_dialect(self, root: MapNode) -> None:
        keys = {entry.key.text for entry in root.entries}
        if keys & {"phases", "artifacts", "pre_build", "post_build"}:
            problem, fix = "this is a buildspec, not an AppSpec file", "move it to buildspec.yml"
        elif keys & {"AWSTemplateFormatVersion", "Transform"}:
            problem, fix = "this is a CloudFormation template, not an AppSpec file", "deploy it as a stack"
        elif any(nearest(key, ("Resources",)) for key in keys):
            problem = "no resource has a type that CodeDeploy deploys"
            fix = f"list one resource under Resources, with Type {' or '.join(_TYPES)}"
        else:
            problem = (
                "neither os and files or hooks (EC2, on-premises) nor Resources (Amazon ECS, AWS Lambda) stand here"
            )
            fix = "write `os: linux` with files and hooks, or Resources with one resource in a list"
        self.error("AS101", root, problem, fix)

    def keys(self, node: MapNode, valid: Sequence[str], *, inside: str, either_case: bool = False) -> None:
        for entry in node.entries:
            self.key(entry, valid, inside=inside, either_case=either_case)

    def key(self, entry: Entry, valid: Sequence[str], *, inside: str, either_case: bool = False) -> None:
        """Says whether a key means nothing. A misspelt one is an error: what stands there is never read."""
        typed = entry.key.text
        if typed in valid or is_placeholder(typed):
            return
        same = next((key for key in valid if key.lower() == typed.lower()), None)
        if same and either_case:
            if typed != same.lower():
                self.warning("AS103", entry.key, f"key {typed!r} is usually written {same!r}", f"write {same}")
        elif same:
            problem = f"key {typed!r} is not read: the agent tells capital letters from small ones"
            self.error("AS103", entry.key, problem, f"write {same}")
        else:
            problem, fix = unknown_key(typed, valid, inside=inside)
            if nearest(typed, valid):
                self.error("AS102", entry.key, problem, fix)
            else:
                self.warning("AS102", entry.key, problem, f"remove it, or {fix}")

    def keyed(
        self, node: Node, *, what: str, example: str, is_item: bool = False, is_needed: bool = False
    ) -> MapNode | None:
        if isinstance(node, MapNode):
            return node
        is_null = isinstance(node, Scalar) and node.is_null
        if is_needed or (is_item and is_null) or not self._left_out(node):
            self.error("AS105", node, f"{what} is {node.what}, keys with values are needed", example)
        return None

    def listed(self, node: Node, *, what: str, example: str) -> ListNode | None:
        if isinstance(node, ListNode):
            return node
        if not self._left_out(node):
            self.error("AS105", node, f"{what} is {node.what}, a list is needed", example)
        return None

    def needed(self, node: MapNode, key: str, *, fix: str) -> Scalar | None:
        """The text of a key that has to be there."""
        entry = child(node, key) if self.dialect != "ec2" else node.entry(key)
        if entry is None:
            self.error("AS106", node, f"{key} is missing", fix)
            return None
        if not isinstance(entry.value, Scalar):
            self.error("AS105", entry.value, f"{key} is {entry.value.what}, one value is needed", fix)
            return None
        if not entry.value.text.strip():
            self.error("AS106", entry.key, f"{key} is empty", fix)
            return None
        return entry.value

    def one_of(self, code: str, node: Node, valid: Sequence[str], *, what: str) -> None:
        if not isinstance(node, Scalar):
            self.error("AS105", node, f"{what} is {node.what}, one value is needed", f"use {' or '.join(valid)}")
        elif node.text not in valid and not is_placeholder(node.text) and not _offers(node.text, valid):
            meant = nearest(node.text, valid)
            fix = f"write {meant}" if meant else f"use {', '.join(valid[:-1])} or {valid[-1]}"
            self.error(code, node, f"{what} is {node.what}", fix)

    def hook_name(self, entry: Entry) -> None:
        typed, valid = entry.key.text, _HOOKS[self.dialect]
        if typed in valid or is_placeholder(typed):
            return
        others = [_PLATFORMS[other] for other, names in _HOOKS.items() if typed in names]
        same = next((name for name in valid if name.lower() == typed.lower()), None)
        if typed in _RESERVED:
            problem = f"{typed} is CodeDeploy's own: nothing of yours ever runs in it"
            self.error("AS302", entry.key, problem, _RESERVED[typed])
        elif others:
            problem = f"{typed} is an event of {' and '.join(others)}, not of {_PLATFORMS[self.dialect]}"
            self.error("AS302", entry.key, problem, f"use {', '.join(valid[:-1])} or {valid[-1]}")
        elif same and self.dialect != "ec2":
            self.warning("AS103", entry.key, f"event {typed!r} is written {same!r}", f"write {same}")
        else:
            meant = nearest(typed, valid)
            fix = f"did you mean {meant}?" if meant else f"use {', '.join(valid[:-1])} or {valid[-1]}"
            self.error("AS301", entry.key, f"there is no event {typed!r}, so this never runs", fix)

    def _left_out(self, node: Node) -> bool:
        if isinstance(node, Scalar) and node.is_null:
            self.warning("AS107", node, "nothing stands here", "remove the key, or give it a value")
            return True
        return isinstance(node, Scalar) and is_placeholder(node.text)


@dataclass(frozen=True, slots=True)
class _Copy:
    """An entry of files that can be reasoned about; both paths are plain and the source is relative to the bundle."""

    node: MapNode
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class _Permission:
    node: MapNode
    object: str
    types: frozenset[str]
    everything: bool


class _Ec2Checks(_Checks):
    """What the agent reads.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure.html
    """

    def __init__(self, document: Document, *, bundle: Path | None, load_balancer: bool | None) -> None:
        super().__init__(document)
        self.bundle = bundle
        self.load_balancer = load_balancer
        self.system = ""

    def run(self, root: MapNode) -> None:
        if self.document.text.lstrip().startswith("{"):
            problem = "an AppSpec file for EC2 is YAML; as JSON, it works only as far as it is YAML too"
            self.warning("AS109", root, problem, "write it as YAML, in appspec.yml")
        for entry in root.entries:
            self._top_key(entry)
        self._version(root)
        system = root.entry("os")
        if system is None:
            self.error("AS201", root, "os is missing", "write `os: linux` or `os: windows`")
        else:
            self.one_of("AS201", system.value, _SYSTEMS, what="os")
            self.system = system.value.text if isinstance(system.value, Scalar) else ""
        behavior = root.get("file_exists_behavior")
        if behavior is not None and not (isinstance(behavior, Scalar) and behavior.is_null):
            self.one_of("AS202", behavior, FILE_EXISTS_BEHAVIORS, what="file_exists_behavior")
        copies = self._files(root)
        self._permissions(root, copies)
        self._hooks(root)

    def _top_key(self, entry: Entry) -> None:
        typed = entry.key.text
        if typed in EC2_HOOKS or (not nearest(typed, _EC2_KEYS) and nearest(typed, EC2_HOOKS)):
            self.error(
                "AS102", entry.key, f"{typed!r} stands beside hooks, not in it: it never runs", "indent it in hooks"
            )
        elif typed in (*_FILE_KEYS, *_SCRIPT_KEYS, *_PERMISSION_KEYS):
            self.error("AS102", entry.key, f"{typed!r} has lost its indentation", "indent it below what it belongs to")
        elif typed.lower() == "resources":
            problem = "Resources is of Amazon ECS and AWS Lambda deployments: the agent does not read it"
            self.warning("AS108", entry.key, problem, "remove it")
        else:
            self.key(entry, _EC2_KEYS, inside="the file")

    def _version(self, root: MapNode) -> None:
        version = root.entry("version")
        if version is None:
            self.error("AS104", root, "version is missing", "write `version: 0.0`")
            return
        node = version.value
        zero = isinstance(node, Scalar) and _is_zero(node)
        quoted = isinstance(node, Scalar) and node.quoted and zero
        if (zero and not quoted) or (isinstance(node, Scalar) and is_placeholder(node.text)):
            return
        problem = (
            f"version is the text {node.what}, the agent wants the number" if quoted else f"version is {node.what}"
        )
        self.error("AS104", version.key, problem, "write `version: 0.0`, without quotes")

    def _files(self, root: MapNode) -> list[_Copy]:
        example = "write a list: `- source: /` and below it `destination: /var/www/html`"
        node = root.get("files")
        files = self.listed(node, what="files", example=example) if node is not None else None
        copies = []
        for item in files.items if files else ():
            entry = self.keyed(item, what="an entry of files", example=example, is_item=True)
            copy = self._file(entry) if entry else None
            if copy:
                copies.append(copy)
        self._collisions(copies)
        return copies

    def _file(self, node: MapNode) -> _Copy | None:
        for entry in node.entries:
            if entry.key.text in ("overwrite", "file_exists_behavior", "fileExistsBehavior"):
                problem = f"{entry.key.text} does nothing inside of files"
                fix = "write `file_exists_behavior: OVERWRITE` at the top level"
                self.warning("AS203", entry.key, problem, fix)
            else:
                self.key(entry, _FILE_KEYS, inside="an entry of files")
        source = self.needed(node, "source", fix="write the path in the revision, or / for all of it")
        destination = self.needed(node, "destination", fix="write the folder on the instance, such as /var/www/html")
        for path in (source, destination):
            if path and path.kind != "text" and not path.quoted:
                self.error("AS105", path, f"the {path.kind} {path.what} is no path to the agent", "put it in quotes")
        if source:
            self._source(source)
        if destination:
            self._destination(destination)
        if not source or not destination or is_placeholder(source.text) or is_placeholder(destination.text):
            return None
        copy = _Copy(node, _in_bundle(source.text), _on_instance(destination.text))
        is_file = self._is_file(copy.source)
        name = posixpath.basename(copy.source)
        if name and posixpath.basename(copy.destination).lower() == name.lower() and is_file:
            problem = (
                f"destination {destination.text!r} is taken for a folder: the file becomes {copy.destination}/{name}"
            )
            fix = f"write the folder, {posixpath.dirname(destination.text.rstrip('/')) or '/'}"
            self.warning("AS205", destination, problem, fix)
        return copy

    def _source(self, node: Scalar) -> None:
        if is_placeholder(node.text):
            return
        inside = _in_bundle(node.text)
        if inside.startswith(".."):
            self.error("AS208", node, f"source {node.text!r} leaves the revision", "give a path inside of it")
        elif self.bundle is not None:
            missing = _missing(self.bundle, inside, self.system)
            if missing is not None and re.search(r"[*?]", node.text):
                problem = f"source {node.text!r} is not in the revision: the agent knows no patterns"
                self.error("AS207", node, problem, "name the file or the folder")
            elif missing is not None:
                # A checkout lacks what the build makes, so that only a wrong letter case is certain to be wrong.
                problem = f"source {node.text!r} is not in the revision, unless the build makes it"
                say = self.error if inside.lower() in missing.lower() else self.warning
                say("AS207", node, problem, missing)
        elif re.search(r"[*?]", node.text):
            problem = f"source {node.text!r} is taken literally: the agent knows no patterns"
            self.warning("AS208", node, problem, "name the file or the folder")

    def _destination(self, node: Scalar) -> None:
        typed = node.text
        if is_placeholder(typed) or self.system not in _SYSTEMS:
            return
        drive = re.match(r"[A-Za-z]:([\\/]|$)", typed)
        if self.system == "windows":
            if not drive and not typed.startswith("\\\\"):
                problem = f"destination {typed!r} names no drive"
                self.warning("AS204", node, problem, r"write the whole path, such as C:\inetpub\wwwroot")
        elif drive:
            problem = f"destination {typed!r} is a path of Windows, and os is linux"
            self.error("AS204", node, problem, "write a path such as /var/www/html, or `os: windows`")
        elif not typed.startswith("/"):
            problem = f"destination {typed!r} is relative: it ends up wherever the agent runs"
            self.warning("AS204", node, problem, "write the whole path, such as /var/www/html")

    def _is_file(self, source: str) -> bool:
        if self.bundle is not None:
            return (self.bundle / source).is_file()
        return bool(posixpath.splitext(source)[1]) and not posixpath.basename(source).startswith(".")

    def _collisions(self, copies: list[_Copy]) -> None:
        said: set[int] = set()
        acted = self._acted_out(copies) if self.bundle is not None and len(copies) > 1 else None
        for (first, one), (second, other) in combinations(enumerate(copies), 2):
            if second in said:
                continue
            target = acted.get((first, second)) if acted is not None else self._overlap(one, other)
            if target:
                said.add(second)
                problem = f"{target} is copied twice, for line {one.node.line} and for this one: the agent refuses that"
                self.error("AS206", other.node, problem, "remove one of the two entries")

    def _overlap(self, one: _Copy, other: _Copy) -> str | None:
        """What two entries both copy, as far as their paths tell without the revision."""
        if one.source == other.source:
            return one.destination if one.destination == other.destination else None
        for outer, inner in ((one, other), (other, one)):
            if not _is_below(inner.source, outer.source):
                continue
            copied = posixpath.normpath(posixpath.join(outer.destination, _relative(inner.source, outer.source)))
            if inner.destination == copied:
                return copied
            if inner.destination == posixpath.dirname(copied) and self._is_file(inner.source):
                return copied
        return None

    def _acted_out(self, copies: list[_Copy]) -> dict[tuple[int, int], str]:
        """The first thing that each pair of entries copies to the same place, from what is really in the revision."""
        assert self.bundle is not None
        owners: dict[str, int] = {}
        folders: dict[str, int] = {}
        clashes: dict[tuple[int, int], str] = {}
        for index, copy in enumerate(copies):
            for target, is_folder in _targets(self.bundle / copy.source, copy.destination):
                rivals = (owners,) if is_folder else (owners, folders)
                for rival in rivals:
                    if target in rival and rival[target] != index:
                        clashes.setdefault((rival[target], index), target)
                (folders if is_folder else owners).setdefault(target, index)
                if len(owners) + len(folders) > _MOST_FILES:
                    return clashes
        return clashes

    def _permissions(self, root: MapNode, copies: list[_Copy]) -> None:
        entry = root.entry("permissions")
        example = "write a list: `- object: /var/www/html` and below it `owner: apache`"
        permissions = self.listed(entry.value, what="permissions", example=example) if entry else None
        if not permissions or not entry:
            return
        if self.system == "windows" and permissions.items:
            problem = "permissions stand here, and os is windows: the agent refuses that"
            self.error("AS211", entry.key, problem, "remove permissions, and set them in an AfterInstall script")
            return
        found = []
        for item in permissions.items:
            node = self.keyed(item, what="an entry of permissions", example=example, is_item=True)
            permission = self._permission(node, copies) if node else None
            if permission:
                found.append(permission)
        self._twice(found, copies)

    def _permission(self, node: MapNode, copies: list[_Copy]) -> _Permission | None:
        self.keys(node, _PERMISSION_KEYS, inside="an entry of permissions")
        target = self.needed(node, "object", fix="write the file or folder on the instance, such as /var/www/html")
        for key in ("owner", "group"):
            name = node.get(key)
            if isinstance(name, Scalar) and name.text.isdigit():
                problem = f"{key} {name.text} is looked up as a name, not as a number"
                self.warning("AS218", name, problem, f"write the name of the {key}")
            elif name is not None and not isinstance(name, Scalar):
                self.error("AS105", name, f"{key} is {name.what}, one name is needed", f"write `{key}: root`")
        mode = node.get("mode")
        if mode is not None:
            self._mode(mode)
        types = self._types(node.get("type"))
        self._acls(node.get("acls"), types)
        self._context(node.get("context"))
        pattern, exceptions = node.get("pattern"), node.get("except")
        if exceptions is not None:
            self.listed(exceptions, what="except", example="write a list: `except: [private]`")
        if pattern is not None and not isinstance(pattern, Scalar):
            self.error("AS105", pattern, f"pattern is {pattern.what}, one pattern is needed", "write `pattern: '*.sh'`")
        everything = not _given(exceptions) and (not isinstance(pattern, Scalar) or pattern.text in ("", "**"))
        if target is None or is_placeholder(target.text) or self.system == "windows":
            return None
        return self._object(_Permission(node, _on_instance(target.text), types, everything), target, copies)

    def _object(self, permission: _Permission, at: Scalar, copies: list[_Copy]) -> _Permission:
        if not at.text.startswith(("/", "~")):
            problem = f"object {at.text!r} is relative to wherever the agent runs, not to the revision"
            self.warning("AS219", at, problem, "write the whole path on the instance, such as /var/www/html")
            return permission
        files = self.document.root.get("files") if self.document.root else None
        known = isinstance(files, ListNode) and len(copies) == len(files.items)
        if known and not any(_related(copy.destination, permission.object) for copy in copies):
            problem = (
                f"nothing is installed at {at.text}: the agent sets permissions of what files copies, and no others"
            )
            self.warning("AS219", at, problem, "name a destination of files, or do it in an AfterInstall script")
        single = any(
            self._is_file(copy.source)
            and permission.object == posixpath.join(copy.destination, posixpath.basename(copy.source))
            for copy in copies
        )
        if single and not permission.everything and "file" in permission.types:
            problem = f"object {at.text} is a single file, which can have neither pattern nor except"
            say = self.error if self.bundle is not None else self.warning
            say("AS215", at, problem, "remove pattern and except")
        return permission

    def _mode(self, node: Node) -> None:
        fix = "write one to four octal digits, such as 755, or '0755' in quotes"
        if not isinstance(node, Scalar):
            self.error("AS105", node, f"mode is {node.what}, one value is needed", fix)
            return
        if node.is_null or is_placeholder(node.text):
            return
        mode = file_mode(node)
        read = f", which YAML reads as {mode}" if mode != node.text else ""
        if not re.fullmatch(r"[0-7]{1,4}", mode):
            self.error("AS212", node, f"mode is {node.what}{read}", fix)
        elif read:
            problem = f"mode is {node.what}{read}, and so does the agent"
            self.warning("AS212", node, problem, f"write '{node.text}' in quotes")

    def _types(self, node: Node | None) -> frozenset[str]:
        both = frozenset(("file", "directory"))
        if node is None:
            return both
        listed = self.listed(node, what="type", example="write a list: `type: [file]`")
        if listed is None:
            return both
        for item in listed.items:
            self.one_of("AS216", item, ("file", "directory"), what="type")
        return frozenset(item.text for item in listed.items if isinstance(item, Scalar)) & both

    def _acls(self, node: Node | None, types: frozenset[str]) -> None:
        example = "write a list of entries such as `- u:deploy:rwx`"
        acls = self.listed(node, what="acls", example=example) if node is not None else None
        for item in acls.items if acls else ():
            if not isinstance(item, Scalar) or item.is_null:
                self.error("AS105", item, f"an entry of acls is {item.what}, one text is needed", example)
                continue
            if is_placeholder(item.text):
                continue
            problem, is_default = _acl(item.text)
            if problem:
                self.error(
                    "AS213", item, f"acl {item.text!r} {problem}", "write it as setfacl does, such as u:deploy:rwx"
                )
            elif is_default and "file" in types:
                problem = f"acl {item.text!r} is a default, which files cannot have"
                self.warning("AS213", item, problem, "write `type: [directory]` beside it")

    def _context(self, node: Node | None) -> None:
        context = self.keyed(node, what="context", example="write type below it") if node is not None else None
        if context is None:
            return
        user = context.entry("user")
        if user:
            self.warning("AS214", user.key, "the agent does not read user, it reads name", "write name instead of user")
        for entry in context.entries:
            if entry.key.text != "user":
                self.key(entry, ("name", "type", "range"), inside="context")
        self.needed(context, "type", fix="write the SELinux type, such as httpd_sys_content_t")
        levels = context.get("range")
        if levels is None or (isinstance(levels, Scalar) and levels.is_null):
            problem = "context has no range, and without one agent 1.x fails"
            self.warning("AS214", context, problem, "write `range: s0`")
        elif not isinstance(levels, Scalar) or not (
            is_placeholder(levels.text) or _SELINUX_RANGE.fullmatch(levels.text)
        ):
            self.error("AS214", levels, f"range is {levels.what}", "write it as s0 or s0-s1:c0.c5,c8")

    def _twice(self, permissions: list[_Permission], copies: list[_Copy]) -> None:
        for one, other in combinations(permissions, 2):
            common = one.types & other.types
            inner, outer = (one, other) if _is_below(one.object, other.object) else (other, one)
            if not common or not one.everything or not other.everything or not _is_below(inner.object, outer.object):
                continue
            if not any(_related(copy.destination, inner.object) for copy in copies):
                continue
            certain = one.object == other.object and "file" in common
            certain &= any(_is_below(copy.destination, one.object) for copy in copies)
            problem = (
                f"the {' and '.join(sorted(common))} permissions of {inner.object} stand here and on line"
                f" {one.node.line}: the agent refuses to set those of one thing twice"
            )
            fix = "leave them out of one of the two, with `type`, `pattern` or `except`"
            (self.error if certain else self.warning)("AS217", other.node, problem, fix)

    def _hooks(self, root: MapNode) -> None:
        node = root.get("hooks")
        if node is None:
            return
        if isinstance(node, ListNode):
            problem = "hooks is a list, as for Amazon ECS and AWS Lambda; EC2 has the events as keys"
            self.error(
                "AS304", node, problem, "write `AfterInstall:` below hooks, and its scripts as a list below that"
            )
            return
        hooks = self.keyed(
            node, what="hooks", example="write `AfterInstall:` below it, and scripts as a list below that"
        )
        for entry in hooks.entries if hooks else ():
            self.hook_name(entry)
            if entry.key.text in _TRAFFIC_HOOKS and self.load_balancer is False:
                problem = f"{entry.key.text} runs only in deployment groups with a load balancer, and this one has none"
                self.warning(
                    "AS303", entry.key, problem, "give the deployment group a load balancer, or remove the hook"
                )
            self._event(entry)

    def _event(self, entry: Entry) -> None:
        node, event = entry.value, entry.key.text
        example = "write a list of scripts: `- location: scripts/start.sh`"
        if isinstance(node, MapNode):
            self.error(
                "AS304", node, f"{event} has keys with values, a list of scripts is needed", f"{example}, with a dash"
            )
            return
        scripts = self.listed(node, what=event, example=example)
        total = 0
        for item in scripts.items if scripts else ():
            script = self.keyed(item, what=f"a script of {event}", example=example, is_item=True)
            total += self._script(script) if script else 0
        if scripts is not None and not scripts.items:
            self.warning("AS107", entry.key, f"{event} has no scripts", "remove it, or list scripts")
        if total > SECONDS_PER_EVENT and scripts and len(scripts.items) > 1:
            problem = f"the timeouts of {event} add up to {total} s, an event has {SECONDS_PER_EVENT}"
            self.warning("AS309", entry.key, problem, f"bring them down to {SECONDS_PER_EVENT} together")

    def _script(self, node: MapNode) -> int:
        """Checks a script and returns its timeout, 0 for none."""
        for entry in node.entries:
            if entry.key.text == "sudo":
                self.warning("AS310", entry.key, "sudo is not documented", "write `runas: root`")
            elif entry.key.text in _SCRIPT_SYNONYMS:
                problem = f"a script has no key {entry.key.text!r}"
                # Beside a location, commands are left out without harm to the rest; another user is not.
                harmless = entry.key.text != "user" and node.entry("location") is not None
                (self.warning if harmless else self.error)(
                    "AS102", entry.key, problem, _SCRIPT_SYNONYMS[entry.key.text]
                )
            else:
                self.key(entry, _SCRIPT_KEYS, inside="a script")
        location = self.needed(node, "location", fix="write the path of the script in the revision")
        if location and not is_placeholder(location.text):
            self._location(location)
        runas = node.entry("runas")
        if runas and not isinstance(runas.value, Scalar):
            self.error("AS105", runas.value, f"runas is {runas.value.what}, one user is needed", "write `runas: root`")
        elif runas and _given(runas.value) and self.system == "windows":
            self.warning(
                "AS310", runas.key, "runas does nothing on Windows", "remove it; scripts run as the agent does"
            )
        timeout = node.get("timeout")
        return self._timeout(timeout) if timeout is not None else 0

    def _timeout(self, node: Node) -> int:
        fix = f"write a number of seconds from 1 to {SECONDS_PER_EVENT}"
        if not isinstance(node, Scalar):
            self.error("AS105", node, f"timeout is {node.what}, one number is needed", fix)
            return 0
        if node.is_null or _to_fill_in(node):
            return 0
        read = seconds(node)
        if read is None or read <= 0:
            self.error("AS308", node, f"timeout is {node.what}", fix)
            return 0
        if read > SECONDS_PER_EVENT:
            problem = f"timeout is {read} s, an event has {SECONDS_PER_EVENT}"
            self.error("AS308", node, problem, fix)
            return 0
        if str(read) != node.text.strip():
            problem = f"timeout is {node.what}, of which the agent makes {read} s"
            self.warning("AS308", node, problem, f"write {read}")
        return read

    def _location(self, node: Scalar) -> None:
        typed = node.text.strip()
        inside = _in_bundle(typed)
        relative = f"write it relative to the revision, such as scripts/{posixpath.basename(inside) or 'start.sh'}"
        if inside.startswith(".."):
            self.error("AS305", node, f"script {typed!r} is outside of the revision", relative)
        elif re.match(r"~|[A-Za-z]:[\\/]", typed):
            problem = f"script {typed!r} is looked for in the revision, where no such path can be"
            self.error("AS305", node, problem, relative)
        elif typed.endswith(("/", "\\")):
            self.error("AS305", node, f"script {typed!r} is a folder", "name the script")
        elif self.bundle is not None:
            self._script_file(node, inside)
        elif self._installed(typed):
            problem = f"script {typed!r} is looked for in the revision, not where files are installed"
            self.error("AS305", node, problem, relative)
        elif typed.startswith("/"):
            problem = f"script {typed!r} is looked for in the revision in spite of the / in front"
            self.warning("AS305", node, problem, f"write {inside}")
        elif re.search(r"\s", typed):
            problem = f"script {typed!r} has a space: all of it is taken for the name, arguments cannot be given"
            self.warning("AS305", node, problem, "put the command into a script")

    def _installed(self, typed: str) -> bool:
        """Whether a path is one of the instance: in somebody's home, or where this file installs things."""
        if re.match(r"/(home|root)/", typed):
            return True
        files = self.document.root.get("files") if self.document.root else None
        for item in files.items if isinstance(files, ListNode) else ():
            destination = item.get("destination") if isinstance(item, MapNode) else None
            if isinstance(destination, Scalar) and destination.text.count("/") > 1:
                folder = _on_instance(destination.text)
                if folder.startswith("/") and _is_below(_on_instance(typed), folder):
                    return True
        return False

    def _script_file(self, node: Scalar, inside: str) -> None:
        assert self.bundle is not None
        typed = node.text.strip()
        missing = _missing(self.bundle, inside, self.system)
        path = self.bundle / inside
        if missing is not None:
            arguments = " (arguments cannot be given)" if re.search(r"\s", typed) else ""
            self.error("AS306", node, f"script {typed!r} is not in the revision{arguments}", missing)
        elif path.is_dir():
            self.error("AS306", node, f"script {typed!r} is a folder", "name the script")
        elif self.system == "linux":
            if not path.stat().st_mode & 0o111:
                problem = f"script {typed!r} is not executable; the agent makes it so, if it may"
                self.warning("AS307", node, problem, f"chmod +x {inside}, or git update-index --chmod=+x {inside}")
            with path.open("rb") as script:
                first = script.readline(256)
            if first.startswith(b"#!") and first.endswith(b"\r\n"):
                problem = f"script {typed!r} has the line ends of Windows, with which its first line names no program"
                self.warning("AS307", node, problem, "save it with LF line ends, and keep them with .gitattributes")


class _FunctionFileChecks(_Checks):
    """What files for Amazon ECS and AWS Lambda have in common: one resource, and hooks that are functions."""

    def run(self, root: MapNode) -> None:
        self._strict_json(root)
        for entry in root.entries:
            if entry.key.text in ("os", "files", "permissions", "file_exists_behavior"):
                problem = f"{entry.key.text} is of {_PLATFORMS['ec2']}, and Resources of {_PLATFORMS[self.dialect]}"
                self.warning("AS108", entry.key, problem, "remove it")
            elif nearest(entry.key.text, _HOOKS[self.dialect]):
                problem = f"{entry.key.text!r} stands beside Hooks, not in it: it never runs"
                self.error("AS102", entry.key, problem, "write it as `- event: function` below Hooks")
            else:
                self.key(entry, _FUNCTION_FILE_KEYS, inside="the file", either_case=True)
        version = child(root, "version")
        if version is None:
            self.warning("AS104", root, "version is missing", "write `version: 0.0`")
        elif not isinstance(version.value, Scalar) or not (
            _is_zero(version.value) or is_placeholder(version.value.text)
        ):
            self.warning("AS104", version.key, f"version is {version.value.what}", "write `version: 0.0`")
        properties = self._resource(root)
        if properties:
            self.properties(properties)
        hooks = child(root, "Hooks")
        if hooks:
            self._hooks(hooks)

    def properties(self, node: MapNode) -> None:
        raise NotImplementedError

    def _strict_json(self, root: MapNode) -> None:
        text = self.document.text
        if not text.lstrip().startswith("{") or is_placeholder(text):
            return
        try:
            json.loads(text)
        except ValueError as error:
            self.warning("AS109", root, f"it looks like JSON and is none: {error}", "write it as JSON takes it")

    def _resource(self, root: MapNode) -> MapNode | None:
        """The properties of the one resource."""
        kind = _TYPES[0 if self.dialect == "ecs" else 1]
        example = f"write a list with one resource, of Type {kind}"
        entry = child(root, "Resources")
        if entry is None:
            self.error("AS401", root, "Resources is missing", example)
            return None
        if isinstance(entry.value, MapNode):
            self.error(
                "AS401", entry.value, "Resources has keys with values, a list is needed", f"{example}, with a dash"
            )
        resources = entry.value.items if isinstance(entry.value, ListNode) else (entry.value,)
        named = [one for item in resources if isinstance(item, MapNode) for one in item.entries]
        if isinstance(entry.value, Scalar) or not named:
            if not (isinstance(entry.value, Scalar) and is_placeholder(entry.value.text)):
                self.error("AS401", entry.key, f"Resources is {entry.value.what}", example)
            return None
        if len(named) > 1:
            problem = f"Resources has {len(named)} resources, a deployment has one"
            lost = any(one.key.text.lower() in ("type", "properties") for one in named)
            fix = "indent Type and Properties below the name of the resource" if lost else "leave one"
            self.error("AS401", named[1].key, problem, fix)
            if lost:
                return None
        example = "write Type and Properties below its name"
        resource = self.keyed(named[0].value, what="the resource", example=example, is_needed=True)
        if resource is None:
            return None
        self.keys(resource, ("Type", "Properties"), inside="the resource", either_case=True)
        stands = self.needed(resource, "Type", fix=f"write `Type: {kind}`")
        if stands and stands.text.strip() != kind and not is_placeholder(stands.text):
            self.error("AS402", stands, f"Type is {stands.what}", f"write {kind}")
        properties = child(resource, "Properties")
        if properties is None or (isinstance(properties.value, Scalar) and properties.value.is_null):
            self.error("AS106", properties.key if properties else named[0].key, "Properties is missing", "write them")
            return None
        example = "write them below it, indented"
        return self.keyed(properties.value, what="Properties", example=example, is_needed=True)

    def _hooks(self, hooks: Entry) -> None:
        example = f"write a list: `- {_HOOKS[self.dialect][-1]}: name-of-a-function`"
        if isinstance(hooks.value, MapNode):
            problem = f"{hooks.key.text} has keys with values, a list is needed"
            self.error("AS304", hooks.value, problem, example)
            for entry in hooks.value.entries:
                self.hook_name(entry)
            return
        listed = self.listed(hooks.value, what=hooks.key.text, example=example)
        seen: set[str] = set()
        for item in listed.items if listed else ():
            hook = self.keyed(item, what=f"an entry of {hooks.key.text}", example=example, is_item=True)
            entries = hook.entries if hook else ()
            if len(entries) > 1:
                self.warning("AS602", item, "one entry names several events", "give each event a dash of its own")
            for entry in entries:
                self.hook_name(entry)
                self._function(entry)
                if entry.key.text in seen:
                    self.warning("AS602", entry.key, f"{entry.key.text} stands here twice", "leave one")
                seen.add(entry.key.text)

    def _function(self, entry: Entry) -> None:
        node, event = entry.value, entry.key.text
        fix = "write the name or the ARN of a Lambda function"
        if not isinstance(node, Scalar):
            problem = f"{event} is {node.what}; in {_PLATFORMS[self.dialect]} a hook is one function, not scripts"
            self.error("AS601", node, problem, fix)
        elif not node.text.strip():
            self.warning("AS601", entry.key, f"{event} names no function", f"{fix}, or remove it")
        elif is_placeholder(node.text) or _FUNCTION_ARN.fullmatch(node.text) or _FUNCTION_NAME.fullmatch(node.text):
            return
        elif node.text.startswith("arn:") or re.search(r"/|\.(sh|py|js|ps1|bat)$", node.text):
            self.error("AS601", node, f"{event} is {node.what}, which is no function", fix)
        else:
            self.warning("AS601", node, f"{event} is {node.what}, which is no name of a function", fix)


class _EcsChecks(_FunctionFileChecks):
    """A task definition and the container behind the load balancer.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
    """

    dialect = "ecs"

    def properties(self, node: MapNode) -> None:
        self.keys(node, _ECS_PROPERTIES, inside="Properties", either_case=True)
        self._task_definition(node)
        self._load_balancer(node)
        platform = child(node, "PlatformVersion")
        if platform:
            self._platform(platform)
        network = child(node, "NetworkConfiguration")
        if network:
            self._network(network)
        strategy = child(node, "CapacityProviderStrategy")
        if strategy:
            self._strategy(strategy)

    def _task_definition(self, node: MapNode) -> None:
        fix = "write <TASK_DEFINITION>, which the pipeline fills in, or the ARN of a task definition with its revision"
        stands = self.needed(node, "TaskDefinition", fix=fix)
        if stands is None or is_placeholder(stands.text):
            return
        arn = _TASK_DEFINITION.fullmatch(stands.text)
        if arn and re.fullmatch(r"\d{12}", arn["account"]) and not arn["revision"]:
            self.warning("AS403", stands, f"TaskDefinition {stands.text!r} has no revision", f"{fix}, such as :7")
        elif arn and not (re.fullmatch(r"\d{12}", arn["account"]) and (arn["revision"] or "").isdigit()):
            problem = f"TaskDefinition {stands.text!r} has no account of 12 digits or no number as revision"
            self.warning("AS403", stands, problem, fix)
        elif not arn and stands.text.startswith("arn:"):
            self.error("AS403", stands, f"TaskDefinition is {stands.what}, which is no ARN of a task definition", fix)
        elif not arn:
            self.warning("AS403", stands, f"TaskDefinition is {stands.what}, not an ARN", fix)

    def _load_balancer(self, node: MapNode) -> None:
        fix = "write ContainerName and ContainerPort below LoadBalancerInfo"
        entry = child(node, "LoadBalancerInfo")
        if entry is None or (isinstance(entry.value, Scalar) and entry.value.is_null):
            self.error("AS404", entry.key if entry else node, "LoadBalancerInfo is missing", fix)
            return
        info = self.keyed(entry.value, what="LoadBalancerInfo", example=fix, is_needed=True)
        if info is None:
            return
        self.keys(info, ("ContainerName", "ContainerPort"), inside="LoadBalancerInfo", either_case=True)
        self.needed(info, "ContainerName", fix="write the name of a container of the task definition")
        port = self.needed(info, "ContainerPort", fix="write the port of the container, such as 80")
        if port is None or _to_fill_in(port):
            return
        number = whole_number(port)
        if number is None or not 0 < number < 65_536:
            self.error("AS404", port, f"ContainerPort is {port.what}", "write a number from 1 to 65535")
        elif port.quoted:
            self.warning("AS404", port, f"ContainerPort is the text {port.what}", f"write {number}, without quotes")

    def _platform(self, entry: Entry) -> None:
        node, fix = entry.value, "write LATEST or a version in quotes, such as '1.4.0'"
        if not isinstance(node, Scalar):
            self.error("AS105", node, f"PlatformVersion is {node.what}, one value is needed", fix)
        elif node.text != "LATEST" and not is_placeholder(node.text) and not re.fullmatch(r"\d+\.\d+\.\d+", node.text):
            self.warning("AS407", entry.key if node.is_null else node, f"PlatformVersion is {node.what}", fix)

    def _network(self, entry: Entry) -> None:
        network = self.keyed(entry.value, what="NetworkConfiguration", example="write AwsvpcConfiguration below it")
        if network is None:
            return
        self.keys(network, ("AwsvpcConfiguration",), inside="NetworkConfiguration", either_case=True)
        inner = child(network, "AwsvpcConfiguration")
        if inner is None:
            self.error("AS405", network, "AwsvpcConfiguration is missing", f"write {', '.join(_NETWORK)} below it")
            return
        vpc = self.keyed(inner.value, what="AwsvpcConfiguration", example=f"write {', '.join(_NETWORK)} below it")
        if vpc is None:
            return
        self.keys(vpc, _NETWORK, inside="AwsvpcConfiguration", either_case=True)
        for key in _NETWORK:
            stands = child(vpc, key)
            if stands is None:
                self.error("AS405", vpc, f"{key} is missing: all of {', '.join(_NETWORK)} are needed", f"write {key}")
            elif key == "AssignPublicIp":
                self.one_of("AS405", stands.value, ("ENABLED", "DISABLED"), what=key)
            else:
                self._ids(stands)

    def _ids(self, entry: Entry) -> None:
        key = entry.key.text
        if isinstance(entry.value, Scalar) and entry.value.is_null:
            self.error("AS405", entry.key, f"{key} is empty", "list at least one")
            return
        ids = self.listed(entry.value, what=key, example=f"write a list: `{key}: [first, second]`")
        if ids is not None and not ids.items:
            self.error("AS405", ids, f"{key} is empty", "list at least one")
        for item in ids.items if ids else ():
            if not isinstance(item, Scalar):
                self.error("AS105", item, f"an entry of {key} is {item.what}, one id is needed", "write the id")
            elif not item.text:
                self.warning("AS405", item, f"an entry of {key} is empty", "write the id")

    def _strategy(self, entry: Entry) -> None:
        example = "write a list of CapacityProvider, Base and Weight"
        strategy = self.listed(entry.value, what="CapacityProviderStrategy", example=example)
        bases, weights = 0, []
        for item in strategy.items if strategy else ():
            provider = self.keyed(item, what="an entry of CapacityProviderStrategy", example=example, is_item=True)
            if provider is None:
                continue
            keys = ("CapacityProvider", "Base", "Weight")
            self.keys(provider, keys, inside="a capacity provider", either_case=True)
            self.needed(provider, "CapacityProvider", fix="write its name, such as FARGATE_SPOT")
            for key, most in (("Base", 100_000), ("Weight", 1_000)):
                number = child(provider, key)
                stands = number.value if number else None
                if stands is None or (isinstance(stands, Scalar) and _to_fill_in(stands)):
                    weights += [1] if key == "Weight" and stands is not None else []
                    continue
                read = whole_number(stands) if isinstance(stands, Scalar) else None
                if read is None or not 0 <= read <= most:
                    self.error("AS406", stands, f"{key} is {stands.what}", f"write a number from 0 to {most}")
                    continue
                bases += key == "Base" and read > 0
                weights += [read] if key == "Weight" else []
        if bases > 1:
            self.error("AS406", entry.value, "more than one capacity provider has a Base", "leave one of them")
        if weights and not any(weights):
            self.error("AS406", entry.value, "no capacity provider has a Weight above 0", "give one a Weight of 1")


class _LambdaChecks(_FunctionFileChecks):
    """A function, its alias and two versions.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
    """

    dialect = "lambda"

    def properties(self, node: MapNode) -> None:
        self.keys(node, _LAMBDA_PROPERTIES, inside="Properties", either_case=True)
        self.needed(node, "Name", fix="write the name of the function")
        alias = self.needed(node, "Alias", fix="write the alias whose traffic is shifted, such as live")
        if alias and re.fullmatch(r"\d+|\$LATEST", alias.text):
            self.error("AS503", alias, f"Alias is {alias.what}, which is a version", "write the name of an alias")
        versions = []
        for key in ("CurrentVersion", "TargetVersion"):
            version = self.needed(node, key, fix="write the number of a published version, such as 7")
            if version is None or _to_fill_in(version):
                continue
            if re.fullmatch(r"[1-9]\d*", version.text):
                versions.append(version)
            else:
                fix = "publish a version of the function and write its number"
                self.error("AS501", version, f"{key} is {version.what}, not the number of a version", fix)
        if len(versions) == 2 and versions[0].text == versions[1].text:
            problem = (
                f"CurrentVersion and TargetVersion are both {versions[1].text}: canary and linear deployments fail"
            )
            self.warning("AS502", versions[1], problem, "write the new version as TargetVersion")


def _is_zero(node: Scalar) -> bool:
    return re.fullmatch(r"[-+]?0*(\.0*)?", node.text) is not None and "0" in node.text


def _to_fill_in(number: Scalar) -> bool:
    return is_placeholder(number.text) or _LOUD.fullmatch(number.text) is not None


def _offers(text: str, valid: Sequence[str]) -> bool:
    """Whether a text names several of the values, as a template does that lets people choose."""
    return len(set(re.findall(r"\w+", text)) & set(valid)) > 1


def _given(node: Node | None) -> bool:
    return node is not None and not (isinstance(node, Scalar) and not node.text) and node.what != "an empty list"


def _in_bundle(path: str) -> str:
    """A path in the revision, where a / in front means nothing: `.` for all of it."""
    return posixpath.normpath(path.strip().replace("\\", "/").lstrip("/") or ".")


def _on_instance(path: str) -> str:
    """A path on the instance in one spelling."""
    if re.match(r"[A-Za-z]:|\\", path):
        return ntpath.normpath(path).replace("\\", "/").lower().rstrip("/")
    return posixpath.normpath(re.sub("/+", "/", path))


def _is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or something in it."""
    return path == folder or folder == "." or path.startswith(folder.rstrip("/") + "/")


def _related(one: str, other: str) -> bool:
    return _is_below(one, other) or _is_below(other, one)


def _relative(path: str, folder: str) -> str:
    return path if folder == "." else posixpath.relpath(path, folder)


def _targets(source: Path, destination: str) -> Iterator[tuple[str, bool]]:
    """What the agent makes of an entry: paths on the instance, and whether they are folders."""
    if not source.is_dir():
        yield destination, True
        yield posixpath.join(destination, source.name), False
        return
    for folder, _, names in os.walk(source):
        inside = Path(folder).relative_to(source).as_posix()
        target = posixpath.normpath(posixpath.join(destination, inside))
        yield target, True
        for name in names:
            yield posixpath.join(target, name), False


def _missing(bundle: Path, inside: str, system: str) -> str | None:
    """The fix for a path that is not in the folder, None when it is.

    The names are compared with what the folder lists, for a file system that does not tell capital letters from small
    ones hides what fails on the instance.
    """
    folder = bundle
    for step in [] if inside == "." else inside.split("/"):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        if step in names:
            folder /= step
            continue
        same = next((name for name in names if name.lower() == step.lower()), None)
        if same and system == "windows":
            folder /= same
            continue
        meant = same or nearest(step, names)
        if meant is None:
            return "add it to what the build hands over, or correct the path"
        rest = inside.split("/")
        rest[len(folder.relative_to(bundle).parts)] = meant
        return f"did you mean {'/'.join(rest)}?"
    return None


def _acl(entry: str) -> tuple[str | None, bool]:
    """What is wrong with an entry as the agent reads it, and whether it is a default."""
    kinds = {"u": "user", "user": "user", "g": "group", "group": "group", "m": "mask", "mask": "mask"}
    kinds |= {"o": "other", "other": "other"}
    *parts, rights = entry.split(":")
    if not 1 <= len(parts) <= 3:
        return f"has {len(parts) + 1} parts, 2 to 4 are needed", False
    is_default = len(parts) > 1 and parts[0] in ("d", "default")
    if is_default:
        parts = parts[1:]
    if len(parts) == 3 or (len(parts) == 2 and parts[0] not in kinds):
        return f"starts with {parts[0]!r}", is_default
    kind = kinds[parts[0]] if len(parts) == 2 else None
    name = parts[-1]
    if kind is None:
        kind = kinds[name] if name in ("m", "mask", "o", "other") else "user"
        name = "" if kind != "user" else name
    if kind in ("mask", "other") and name:
        return f"names somebody for {kind}", is_default
    if not is_default and kind != "mask" and not name:
        return "sets what mode sets", is_default
    if not re.fullmatch(r"[0-7]|[rwx-]*", rights):
        return f"has the rights {rights!r}", is_default
    return None, is_default
