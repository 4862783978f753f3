"""Floor 1: functions of the user's own that are deployed to Lambda as they are, in the file that they are in."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from constructs import Construct

from code_family_constructs.errors import ConfigurationError

Check = Callable[[Mapping[str, Any]], bool | None]


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """A function and the file to deploy.

    Attributes:
        file: Where to put the file.
        function: Name of the function in it.
        source: Text of the file.
    """

    file: str
    function: str
    source: str


def own_check(at: Construct | str, check: Check) -> OwnCheck:
    """The function as it can be deployed.

    Args:
        at: The hook.
        check: The function.

    Raises:
        ConfigurationError: Deployed alone, the function's module would not run in Lambda, or the name would mean
            something else in it.
    """
    name, module = _module_of(at, check)
    _check_parameters(at, check, name)
    try:
        source = inspect.getsource(sys.modules[module])
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"the source of module {module}, where check {name} is, cannot be read: {error}",
            at=at,
            fix="put the check into a .py file",
        ) from error
    for imported, line in _imports(tree):
        if imported.partition(".")[0] not in _IN_LAMBDA:
            raise ConfigurationError(
                f"module {module}, where check {name} is, imports {imported} in line {line}, which Lambda lacks",
                at=at,
                fix="put the check into a module of its own that imports the standard library and boto3 only",
            )
    return OwnCheck(f"check/{module.rpartition('.')[2]}.py", name, source)


def _module_of(at: Construct | str, check: Check) -> tuple[str, str]:
    """Name of the function, and of the module in which the name means this function."""
    what = _no_plain_function(check)
    if what:
        raise ConfigurationError(
            f"check {check!r} is {what}",
            at=at,
            fix="write it as a function at the top of a module: def is_healthy(deployment): …",
        )
    name, module = check.__name__, check.__module__
    if module == "__main__":
        raise ConfigurationError(
            f"check {name} is in the program that is being run, which cannot run in Lambda",
            at=at,
            fix="put it into a module of its own and import it",
        )
    if getattr(sys.modules.get(module), name, None) is not check:
        raise ConfigurationError(
            f"check {name} is not what {name} means in module {module}",
            at=at,
            fix="give the function under the name that it has in its module",
        )
    return name, module


def _no_plain_function(check: Any) -> str | None:
    if not callable(check) or inspect.isclass(check):
        return "no function"
    if inspect.isbuiltin(check):
        return "a builtin"
    if inspect.ismethod(check):
        return "a method"
    if not inspect.isfunction(check):
        return "no plain function"
    if check.__name__ == "<lambda>":
        return "a lambda"
    if "<locals>" in check.__qualname__:
        return "a function inside of another"
    if "." in check.__qualname__:
        return "a method"
    if inspect.iscoroutinefunction(check) or inspect.isasyncgenfunction(check):
        return "asynchronous"
    if inspect.isgeneratorfunction(check):
        return "a generator, which does nothing until somebody iterates over it"
    return None


def _check_parameters(at: Construct | str, check: Check, name: str) -> None:
    signature = inspect.signature(check)
    try:
        signature.bind({})
    except TypeError as error:
        raise ConfigurationError(
            f"check {name}{signature} does not take one argument: {error}",
            at=at,
            fix=f"write def {name}(deployment): …, a dictionary is all that it gets",
        ) from error


# What comes with boto3 in Lambda's Python runtimes, and what the standard library of the one used here has lost since
# the oldest Python that this library runs on: https://docs.python.org/3/whatsnew/3.13.html#removed
_WITH_BOTO3 = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
_GONE = {
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp"),
    *("lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau"),
    *("telnetlib", "uu", "xdrlib"),
}
_IN_LAMBDA = (sys.stdlib_module_names | _WITH_BOTO3) - _GONE


def _imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    """What a module imports when it is run, wherever in it; relative imports with their dots."""
    match node:
        case ast.Import():
            yield from ((alias.name, node.lineno) for alias in node.names)
        case ast.ImportFrom():
            yield "." * node.level + (node.module or ""), node.lineno
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            yield from _imports_of(node.orelse)
        case ast.Try() if any(_catches_import_errors(handler) for handler in node.handlers):
            yield from _imports_of((*node.handlers, *node.orelse, *node.finalbody))
        case _:
            yield from _imports_of(ast.iter_child_nodes(node))


def _imports_of(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        yield from _imports(node)


def _catches_import_errors(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in ("ImportError", "ModuleNotFoundError") for one in caught)
