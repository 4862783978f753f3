"""Floor 0: functions of the user's own that are deployed to Lambda as they are, in the file that they are in."""

import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_environment_size

# Lambda ends a function after fifteen minutes. Of these, thirty seconds are kept for the report, which may have to be
# tried again, and five for the start of the function's process.
_LONGEST_FUNCTION = 900
OVERHEAD = 35


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """A function and the file to deploy.

    Attributes:
        file: Where to put the file.
        function: Name of the function in it.
        source: Text of the file.
    """

    file: str
    function: str
    source: str


def own_function(at: Construct | str, function: Callable[..., Any], *, noun: str, example: str) -> OwnFunction:
    """The function as it can be deployed.

    Args:
        at: The construct that it is for.
        function: The function.
        noun: What it is to that construct, for errors, and for the folder that its file is put into.
        example: Its name and parameter in an example, such as `is_healthy(deployment)`.

    Raises:
        ConfigurationError: Deployed alone, the function's module would not run in Lambda, or the name would mean
            something else in it.
    """
    name, module = _module_of(at, function, noun, example)
    _check_parameters(at, function, noun, name, example)
    try:
        source = inspect.getsource(sys.modules[module])
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"the source of module {module}, where {noun} {name} is, cannot be read: {error}",
            at=at,
            fix=f"put the {noun} into a .py file",
        ) from error
    for imported, line in _imports(tree):
        if imported.partition(".")[0] not in _IN_LAMBDA:
            raise ConfigurationError(
                f"module {module}, where {noun} {name} is, imports {imported} in line {line}, which Lambda lacks",
                at=at,
                fix=f"put the {noun} into a module of its own that imports the standard library and boto3 only",
            )
    return OwnFunction(f"{noun}/{module.rpartition('.')[2]}.py", name, source)


def seconds_for(at: Construct, timeout: Duration, noun: str) -> int:
    """The time for the function, in which it has to fit; Lambda has to have `OVERHEAD` more."""
    most = _LONGEST_FUNCTION - OVERHEAD
    fix = f"use whole seconds from 1 to {most}, since Lambda ends after 15 minutes and the report takes its time"
    if timeout.is_unresolved():
        raise ConfigurationError("a timeout that is only known when the stack is deployed", at=at, fix=fix)
    seconds = timeout.to_milliseconds() / 1000
    if not 1 <= seconds <= most or seconds != int(seconds):
        raise ConfigurationError(f"a {noun} of {seconds:g} seconds", at=at, fix=fix)
    return int(seconds)


# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_RESERVED = {
    *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_ACCESS_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}


def check_environment(
    at: Construct, environment: Mapping[str, str], settings_name: str, settings: Mapping[str, Any]
) -> None:
    """Raises ConfigurationError for environment variables that Lambda would refuse, beside settings of ours."""
    for name in environment:
        if name in _RESERVED or name.startswith("AWS_LAMBDA_") or name == settings_name:
            raise ConfigurationError(f"environment variable {name} is taken", at=at, fix="call it otherwise")
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]+", name):
            raise ConfigurationError(
                f"environment variable {name!r}, which Lambda refuses",
                at=at,
                fix="use letters, digits and underscores, two or more, a letter first",
            )
    check_environment_size(at, {**environment, settings_name: json.dumps(settings, ensure_ascii=False)})


def _module_of(at: Construct | str, function: Callable[..., Any], noun: str, example: str) -> tuple[str, str]:
    """Name of the function, and of the module in which the name means this function."""
    what = _no_plain_function(function)
    if what:
        raise ConfigurationError(
            f"{noun} {function!r} is {what}",
            at=at,
            fix=f"write it as a function at the top of a module: def {example}: …",
        )
    name, module = function.__name__, function.__module__
    if module == "__main__":
        raise ConfigurationError(
            f"{noun} {name} is in the program that is being run, which cannot run in Lambda",
            at=at,
            fix="put it into a module of its own and import it",
        )
    if getattr(sys.modules.get(module), name, None) is not function:
        raise ConfigurationError(
            f"{noun} {name} is not what {name} means in module {module}",
            at=at,
            fix="give the function under the name that it has in its module",
        )
    return name, module


def _no_plain_function(function: Any) -> str | None:
    if not callable(function) or inspect.isclass(function):
        return "no function"
    if inspect.isbuiltin(function):
        return "a builtin"
    if inspect.ismethod(function):
        return "a method"
    if not inspect.isfunction(function):
        return "no plain function"
    if function.__name__ == "<lambda>":
        return "a lambda"
    if "<locals>" in function.__qualname__:
        return "a function inside of another"
    if "." in function.__qualname__:
        return "a method"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "asynchronous"
    if inspect.isgeneratorfunction(function):
        return "a generator, which does nothing until somebody iterates over it"
    return None


def _check_parameters(at: Construct | str, function: Callable[..., Any], noun: str, name: str, example: str) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind({})
    except TypeError as error:
        _, _, parameter = example.partition("(")
        raise ConfigurationError(
            f"{noun} {name}{signature} does not take one argument: {error}",
            at=at,
            fix=f"write def {name}({parameter}: …, a dictionary is all that it gets",
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
