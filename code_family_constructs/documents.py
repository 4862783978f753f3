"""Floor 0: YAML and JSON documents that people write, read with the line and column of every key and value.

What a model of such a document needs, and no more:

- `read_document(text, name=...)` or `read_file(path)` give a `Document`: its `root` (a `MapNode`; `None` when there is
  nothing to look at) and the `findings` about its syntax, with codes that start with `DOC`.
- A node is a `Scalar`, a `ListNode` or a `MapNode`. All have `line`, `column`, `path` and `what` (for messages:
  `a list`, `'yes'`, `empty`). Anchors, aliases and merge keys are resolved already, every use with its own path.
- `Scalar.text` is what was typed: `3.10` stays `3.10`, a placeholder such as `<TASK_DEFINITION>` is text like any
  other. `Scalar.boolean` reads it as YAML 1.1 does, quoted or not; `Scalar.is_null` tells `key:` from `key: ''`.
- `MapNode.entries` are in the order of the document; `get(key)` finds a value, `entry(key)` also its key.
- `document.error(code, node, problem, fix)` and `document.warning(...)` make a `Finding` at a node.
- `nearest(word, valid)` is the valid word that was probably meant; `unknown_key(...)` words the problem and the fix.
- `refuse_errors(findings, what=..., at=...)` raises ConfigurationError with every error in it.
- `plain(node)` is the node as dicts, lists and texts; `render(value)` writes such a value as YAML again.

It reads as the services do, by libyaml's rules: a tab may stand after a value, not before one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from yaml.composer import Composer

from code_family_constructs.errors import ConfigurationError

try:
    # The parser in Python refuses a tab after a value, which the services take.
    from yaml import CSafeLoader as _Parser
except ImportError:
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.resolver import Resolver
    from yaml.scanner import Scanner

    class _Parser(Reader, Scanner, Parser, Resolver):  # type: ignore[no-redef]
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Resolver.__init__(self)


Severity = Literal["error", "warning"]
ScalarKind = Literal["text", "number", "boolean", "null", "date"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to say about a document.

    Args:
        code: Stable name of the rule, such as `BS103`.
        severity: An `error` is refused by AWS or does something else than what stands there; a `warning` is a smell.
        name: Name of the document, as the reader knows it.
        line: Line in the document, from 1.
        column: Column in the line, from 1.
        path: Where in the document, such as `phases.build.commands[2]`.
        problem: What is wrong, with what was typed; lower case, no full stop.
        fix: What to type instead.
    """

    code: str
    severity: Severity
    name: str
    line: int
    column: int
    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.name}:{self.line}: {self.severity} {self.code} {where}{self.problem}; fix: {self.fix}"


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, number, boolean or nothing, with the text that was typed.

    Args:
        text: What was typed, without quotes; empty for nothing.
        kind: What YAML 1.1 takes it for.
        quoted: Whether it stood in quotes or in a block.
        line: Line, from 1.
        column: Column, from 1.
        path: Where in the document.
    """

    text: str
    kind: ScalarKind
    quoted: bool
    line: int
    column: int
    path: str

    @property
    def is_null(self) -> bool:
        """Whether nothing was given, which is not the same as an empty text."""
        return self.kind == "null"

    @property
    def boolean(self) -> bool | None:
        """The boolean that is meant (yes, no, on, off, true, false; also in quotes), or None."""
        return _BOOLEANS.get(self.text.lower())

    @property
    def what(self) -> str:
        """The node in words."""
        return "empty" if self.is_null else _shortened(self.text)


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list.

    Args:
        items: The items.
        line: Line, from 1.
        column: Column, from 1.
        path: Where in the document.
    """

    items: "tuple[Node, ...]"
    line: int
    column: int
    path: str

    @property
    def what(self) -> str:
        """The node in words."""
        return "a list" if self.items else "an empty list"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key with its value.

    Args:
        key: The key; its path is the path of the value.
        value: The value.
        merged: Whether it came in through a merge key (`<<`).
    """

    key: Scalar
    value: "Node"
    merged: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """Keys with values.

    Args:
        entries: The entries in the order of the document; of a duplicate key, the last one.
        line: Line, from 1.
        column: Column, from 1.
        path: Where in the document.
    """

    entries: tuple[Entry, ...]
    line: int
    column: int
    path: str

    @property
    def what(self) -> str:
        """The node in words."""
        return "keys with values" if self.entries else "an empty map"

    def entry(self, key: str) -> Entry | None:
        """The entry of a key, None when there is none."""
        return next((entry for entry in self.entries if entry.key.text == key), None)

    def get(self, key: str) -> "Node | None":
        """The value of a key, None when there is none."""
        entry = self.entry(key)
        return entry.value if entry else None


Node = Scalar | ListNode | MapNode


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document that was read.

    Args:
        name: Its name in findings.
        text: Its text.
        root: Its keys with their values; None when it could not be read or is no map.
        findings: What is wrong with its syntax.
    """

    name: str
    text: str
    root: MapNode | None
    findings: tuple[Finding, ...]

    def error(self, code: str, at: Node, problem: str, fix: str) -> Finding:
        """What AWS refuses, or what does something else than what stands there."""
        return self._finding("error", code, at, problem, fix)

    def warning(self, code: str, at: Node, problem: str, fix: str) -> Finding:
        """What works and should not be like that, or what may not work."""
        return self._finding("warning", code, at, problem, fix)

    def _finding(self, severity: Severity, code: str, at: Node, problem: str, fix: str) -> Finding:
        return Finding(
            code=code,
            severity=severity,
            name=self.name,
            line=at.line,
            column=at.column,
            path=at.path,
            problem=problem,
            fix=fix,
        )


class YesNo:
    """A boolean that is rendered as the `yes` or `no` of AWS's references.

    Args:
        value: The boolean.
    """

    def __init__(self, value: bool) -> None:
        self.value = value


class Number(str):
    """A number (or a boolean, or a date) kept as the text that was typed, and rendered like that, without quotes."""

    __slots__ = ()


def read_document(text: str | bytes, *, name: str) -> Document:
    """Reads YAML or JSON and never raises: what is wrong is in the findings.

    Takes a byte order mark, Windows line ends and UTF-16, which editors on Windows write.

    Args:
        text: The document.
        name: Its name in findings.
    """
    reading = _Reading(name)
    decoded = reading.decode(text) if isinstance(text, bytes) else text
    decoded = decoded.removeprefix("\ufeff")
    root = reading.read(decoded)
    return Document(name, decoded, root, tuple(reading.findings))


def read_file(path: str | Path) -> Document:
    """Reads a file as `read_document` does; its path is its name in findings.

    Raises:
        ConfigurationError: There is no such file.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        beside = [one.name for one in file.parent.iterdir()] if file.parent.is_dir() else []
        meant = nearest(file.name, beside)
        raise ConfigurationError(
            f"{file.name} cannot be read: {(error.strerror or str(error)).lower()}",
            at=str(path),
            fix=f"give {str(file.parent / meant)!r}"
            if meant
            else "give the path of a file, relative to where cdk runs",
        ) from error
    return read_document(content, name=str(path))


def refuse_errors(findings: Iterable[Finding], *, what: str, at: str) -> None:
    """Raises ConfigurationError when an error is among the findings; warnings do not count.

    Args:
        findings: What was found.
        what: The noun for the problem, such as `buildspec`.
        at: The name of the document.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    lines = "".join(f"\n  {finding}" for finding in errors)
    raise ConfigurationError(f"the {what} has {count}{lines}", at=at, fix=errors[0].fix)


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that was probably meant, None when nothing is near.

    Letter case and the choice between `-`, `_` and a space count for little: `preBuild` is near to `pre_build`.
    """
    folded: dict[str, str] = {}
    for candidate in valid:
        folded.setdefault(_folded(candidate), candidate)
    # Two letters swapped in a word of three leave little that is alike.
    matches = get_close_matches(_folded(word), folded, n=1, cutoff=0.7 if len(word) > 4 else 0.6)
    return folded[matches[0]] if matches else None


def unknown_key(key: str, valid: Sequence[str], *, inside: str) -> tuple[str, str]:
    """Problem and fix for a key that the grammar does not have.

    Args:
        key: What was typed.
        valid: What can stand there.
        inside: What the keys belong to, such as `artifacts`.
    """
    meant = nearest(key, valid)
    fix = f"did you mean {meant!r}?" if meant else f"use one of {', '.join(valid)}"
    return f"{inside} has no key {_shortened(key)}", fix


def plain(node: Node) -> Any:
    """The node as dicts, lists, texts, booleans and None; numbers stay the text that was typed, as `Number`."""
    if isinstance(node, MapNode):
        return {entry.key.text: plain(entry.value) for entry in node.entries}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    if node.is_null:
        return None
    if node.kind == "boolean" and not node.quoted:
        return node.boolean
    return Number(node.text) if node.kind != "text" and not node.quoted else node.text


def render(value: Mapping[str, Any]) -> str:
    """Writes YAML, in the order of the keys, which reads back as the same value.

    A text that YAML would take for something else is quoted; several lines become a block.
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=2**31)


def path_of(parent: str, key: str | int) -> str:
    """The path of a key or an item inside of a path."""
    if isinstance(key, int):
        return f"{parent}[{key}]"
    step = key if re.fullmatch(r"[\w-]+", key) else f"[{_shortened(key)}]"
    return step if not parent else f"{parent}{step}" if step.startswith("[") else f"{parent}.{step}"


_BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_KINDS: dict[str, ScalarKind] = {
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:timestamp": "date",
}
_MERGE = "tag:yaml.org,2002:merge"
# Far more than a person writes; aliases of aliases make millions out of ten lines.
_MOST_NODES = 50_000
_DEEPEST = 100
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What libyaml says, what that means, and what to do; the first that fits.
_SYNTAX = (
    (r"mapping values are not allowed", "a second ': ' in an unquoted text, or a line indented too far",
     "put the text in single quotes, or align the line with the keys of its level"),
    (r"tab character|'\\t'", "a tab where YAML takes spaces only", "use spaces"),
    (r"cannot start any token", "a text that starts with a character of YAML's own (@, %, `)",
     "put the text in single quotes"),
    (r"alias|anchor", "a text that starts with * or &, which YAML takes for an alias or an anchor",
     "put the text in single quotes"),
    (r"quoted scalar", "a quote that is not closed, or text after the closing quote",
     "put the whole text in single quotes, and double the single quotes in it"),
    (r"parsing a flow|flow (sequence|mapping)", "an unquoted text that starts with [ or {, or a bracket left open",
     "put the text in single quotes, or close the bracket"),
    (r"could not find expected ':'|simple key", "a line that is neither `key: value` nor part of a text",
     "write `key: value`, and indent the further lines of a text"),
    (r"block (collection|mapping|sequence|end)|did not find expected (key|'-')|not allowed in this context",
     "an indentation that fits neither the line before nor its level, or text after a closing quote",
     "align the line with the others of its level, and put a text with quotes inside in single quotes"),
    (r"block scalar", "a block (| or >) with a header or an indentation that YAML does not take",
     "end the line after | or >, and indent all lines of the block alike"),
    (r"tag", "a text that starts with !, which YAML takes for a tag", "put the text in single quotes"),
    (r"directive|document start", "a line that starts with %, or text around ---",
     "put the text in single quotes, or remove the line"),
)  # fmt: skip


class _Reading:
    def __init__(self, name: str) -> None:
        self.findings: list[Finding] = []
        self._name = name
        self._nodes = 0
        self._open: list[yaml.Node] = []

    def decode(self, content: bytes) -> str:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16", errors="replace")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._say("DOC109", line, 1, "", f"byte {content[error.start]:#04x} is no UTF-8", "save the file as UTF-8")
            return content.decode("utf-8", errors="replace")

    def read(self, text: str) -> MapNode | None:
        unprintable = _UNPRINTABLE.search(text)
        if unprintable:
            line = text.count("\n", 0, unprintable.start()) + 1
            character = f"U+{ord(unprintable.group()):04X}"
            self._say(
                "DOC109", line, 1, "", f"character {character} cannot stand in YAML", f"remove it, or write {character}"
            )
            return None
        try:
            return self._root(_compose(text))
        except yaml.MarkedYAMLError as error:
            self._syntax(text, error)
        except RecursionError:
            self._say("DOC107", 1, 1, "", "it is nested too deeply to read", "flatten it")
        return None

    def _root(self, documents: Sequence[yaml.Node]) -> MapNode | None:
        filled = [node for node in documents if not _is_nothing(node)]
        if not filled:
            self._say("DOC106", 1, 1, "", "it is empty", "write at least one key")
            return None
        for node in filled[1:]:
            self._say(
                "DOC105",
                node.start_mark.line + 1,
                1,
                "",
                "a second document starts (---), and only the first is read",
                "remove the --- line, or move the second document to a file of its own",
            )
        root = self._node(filled[0], "")
        if isinstance(root, MapNode):
            return root
        found = "a list" if isinstance(root, ListNode) else f"the text {root.what}"
        self._say(
            "DOC104",
            root.line,
            root.column,
            "",
            f"it is {found}, not keys with values",
            "start with a line `key: value`",
        )
        return None

    def _node(self, node: yaml.Node, path: str) -> Node:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self._nodes += 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node in self._open or self._nodes > _MOST_NODES:
            if not any(finding.code == "DOC107" for finding in self.findings):
                problem = (
                    "an alias inside of its own anchor" if node in self._open else "aliases that expand without end"
                )
                self._say("DOC107", line, column, path, problem, "write the values out")
            return Scalar("", "null", False, line, column, path)
        if len(self._open) == _DEEPEST:
            # What Python itself takes depends on who is calling.
            raise RecursionError
        self._tag(node, path)
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                items = (self._node(item, path_of(path, index)) for index, item in enumerate(node.value))
                return ListNode(tuple(items), line, column, path)
            assert isinstance(node, yaml.MappingNode)
            return MapNode(tuple(self._entries(node, path)), line, column, path)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Scalar:
        kind: ScalarKind = _KINDS.get(node.tag, "text")
        self._tag(node, path)
        text = "" if kind == "null" else node.value
        return Scalar(text, kind, bool(node.style), node.start_mark.line + 1, node.start_mark.column + 1, path)

    def _entries(self, node: yaml.MappingNode, path: str) -> Iterator[Entry]:
        own: dict[str, Entry] = {}
        merges: list[tuple[yaml.Node, Scalar]] = []
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key_node.tag == _MERGE:
                merges.append((value_node, key))
                continue
            entry = Entry(key, self._node(value_node, key.path))
            before = own.pop(key.text, None)
            if before:
                self._duplicate(before, entry)
            own[key.text] = entry
        inherited: dict[str, Entry] = {}
        for merged, key in merges:
            for entry in self._merged(merged, key, path):
                if entry.key.text not in own:
                    inherited.setdefault(entry.key.text, entry)
        yield from own.values()
        yield from inherited.values()

    def _key(self, node: yaml.Node, path: str) -> Scalar | None:
        if isinstance(node, yaml.ScalarNode) and node.value != "":
            key = self._scalar(node, path_of(path, node.value))
            if key.text != key.text.strip() and not key.quoted:
                problem = f"a white space that is none to YAML belongs to the key {_shortened(key.text)}"
                self._say("DOC102", key.line, key.column, key.path, problem, "indent with spaces")
            return key
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        empty = isinstance(node, yaml.ScalarNode)
        self._say(
            "DOC108",
            line,
            column,
            path,
            "a value without a key"
            if empty
            else "an unquoted text that starts with { or [, which YAML takes for a key",
            "write the key before the colon" if empty else "put the text in single quotes",
        )
        return None

    def _duplicate(self, before: Entry, entry: Entry) -> None:
        key = entry.key
        lines = f"key {_shortened(key.text)} stands on line {before.key.line} and again on line {key.line}"
        same = isinstance(before.value, Scalar) and isinstance(entry.value, Scalar)
        if same and plain(before.value) == plain(entry.value):
            self._say("DOC103", key.line, key.column, key.path, f"{lines} with the same value", "remove one", "warning")
        else:
            fix = "indent the second one under what it belongs to, rename it, or join the two"
            self._say("DOC103", key.line, key.column, key.path, f"{lines}, and only one of them counts", fix)

    def _merged(self, node: yaml.Node, key: Scalar, path: str) -> Iterator[Entry]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            found = self._node(source, path)
            if isinstance(found, MapNode):
                yield from (Entry(entry.key, entry.value, merged=True) for entry in found.entries)
            else:
                self._say(
                    "DOC110",
                    key.line,
                    key.column,
                    path,
                    f"<< merges {found.what}",
                    "give it the alias of a map: <<: *name",
                )

    def _tag(self, node: yaml.Node, path: str) -> None:
        if node.tag.startswith("tag:yaml.org,2002:"):
            return
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        problem = f"tag {node.tag} means nothing here"
        self._say("DOC111", line, column, path, problem, "remove it, or quote the text that starts with !", "warning")

    def _syntax(self, text: str, error: yaml.MarkedYAMLError) -> None:
        said = f"{error.context or ''} {error.problem or ''}".strip()
        mark = error.problem_mark or error.context_mark
        lines = text.splitlines() or [""]
        line = min(mark.line, len(lines) - 1) if mark else 0
        column = mark.column + 1 if mark else 1
        for near in (line, line - 1):
            found = re.match(r"[ -]*([^\S ])", lines[near]) if near >= 0 else None
            if found:
                what = "a tab" if found[1] == "\t" else f"a white space that is none to YAML (U+{ord(found[1]):04X})"
                problem = f"{what} where YAML takes spaces only ({said})"
                self._say("DOC102", near + 1, found.start(1) + 1, "", problem, "indent with spaces")
                return
        means, fix = next(
            ((means, fix) for pattern, means, fix in _SYNTAX if re.search(pattern, said)),
            ("it is no YAML", "compare the line with the one before"),
        )
        started = error.context_mark
        since = f", since line {started.line + 1}" if started and started.line < line else ""
        problem = f"{means} ({said}{since}): {_shortened(lines[line].strip())}"
        self._say("DOC101", line + 1, column, "", problem, fix)

    def _say(
        self, code: str, line: int, column: int, path: str, problem: str, fix: str, severity: Severity = "error"
    ) -> None:
        self.findings.append(
            Finding(
                code=code,
                severity=severity,
                name=self._name,
                line=line,
                column=column,
                path=path,
                problem=problem,
                fix=fix,
            )
        )


class _Loader(Composer, _Parser):
    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        Composer.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # YAML 1.2 and the services let a document define an anchor again; PyYAML refuses it.
        event: Any = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text.rstrip("\n") else None
    if re.search(r"[\r\x85\u2028\u2029\ufeff]|^[^\S \n]|[^\S \n]$", text):
        # Line ends to some readers, or white space that nobody sees: an escape keeps and shows them.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_number(dumper: yaml.SafeDumper, number: Number) -> yaml.Node:
    # types-PyYAML leaves resolve() without types.
    resolve: Any = dumper.resolve
    return dumper.represent_scalar(resolve(yaml.ScalarNode, str(number), (True, False)), str(number))


def _represent_yes_no(dumper: yaml.SafeDumper, answer: YesNo) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:bool", "yes" if answer.value else "no")


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Number, _represent_number)
_Dumper.add_representer(YesNo, _represent_yes_no)
# Other readers than PyYAML take these for booleans and numbers: quoted, they are text to all of them.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?\.?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|0o[0-7]+)$"),
    list("-+.0123456789"),
)


def _compose(text: str) -> list[yaml.Node]:
    loader = _Loader(text)
    try:
        nodes = []
        while loader.check_node():
            nodes.append(loader.get_node())
        return [node for node in nodes if node is not None]
    finally:
        loader.dispose()


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and not node.value


def _folded(word: str) -> str:
    return re.sub(r"[-_ ]", "", word).lower()


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
