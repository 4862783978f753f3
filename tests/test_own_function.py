"""Functions of the user's own: what runs in Lambda is deployed as it is, anything else is refused."""

import functools
import importlib
import sys
from itertools import count

import pytest

from code_family_constructs.own_function import own_function
from tests.helpers import refuses

NUMBERS = count()


def own_check(at, check):
    return own_function(at, check, noun="check", example="is_healthy(deployment)")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module with this text, under a name of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    # Python forgets what else is in a folder; the modules of different tests have different names.
    imported = []

    def make(source):
        name = f"own_check_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        imported.append(name)
        return importlib.import_module(name)

    yield make
    for name in imported:
        sys.modules.pop(name, None)


def top_level(deployment):
    """Is deployed in no test: this module imports pytest."""


class Checks:
    def method(self, deployment):
        """A method."""

    @staticmethod
    def static(deployment):
        """A function that only its class knows."""


async def asynchronous(deployment):
    """Would return a coroutine, which nobody awaits."""


def generator(deployment):
    yield deployment


def nested():
    def inner(deployment):
        """Nobody finds this one by its name."""

    return inner


def test_the_file_is_deployed_under_its_name_as_it_is(module):
    source = '# What a release has to do.\ndef is_healthy(deployment):\n    return "grüezi" > ""\n'
    own = module(source)
    found = own_check("Hook", own.is_healthy)
    assert (found.file, found.function, found.source) == (f"check/{own.__name__}.py", "is_healthy", source)


def test_a_module_of_a_package_is_deployed_without_the_package(tmp_path, monkeypatch):
    package = tmp_path / "shop_checks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "orders.py").write_text("def is_healthy(deployment): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = own_check("Hook", importlib.import_module("shop_checks.orders").is_healthy)
    assert found.file == "check/orders.py"


FINE = [
    "import json, os.path, urllib.request, boto3",
    "from botocore.exceptions import ClientError",
    "from __future__ import annotations",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mypy_boto3_s3 import S3Client",
    "import typing\nif typing.TYPE_CHECKING:\n    import stubs\nelse:\n    import json",
    "try:\n    import ujson as json\nexcept ImportError:\n    import json",
    "try:\n    import ujson as json\nexcept (ModuleNotFoundError, AttributeError):\n    import json",
]


@pytest.mark.parametrize("imports", FINE)
def test_what_lambda_has_may_be_imported_and_so_may_what_it_is_not_asked_for(module, imports):
    own = module(f"{imports}\ndef is_healthy(deployment): pass\n")
    assert own_check("Hook", own.is_healthy).source.startswith(imports)


LACKING = [
    ("import yaml", "yaml", 1),
    ("import json\nimport aws_cdk.aws_ec2 as ec2", "aws_cdk.aws_ec2", 2),
    ("from pytest import fixture", "pytest", 1),
    ("from code_family_constructs import Appspec", "code_family_constructs", 1),
    ("def helper():\n    import yaml", "yaml", 2),
    ("class Helper:\n    import yaml", "yaml", 2),
    ("try:\n    import yaml\nexcept ValueError:\n    pass", "yaml", 2),
    ("try:\n    import json\nexcept ImportError:\n    import yaml", "yaml", 4),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import yaml", "yaml", 5),
    ("if True:\n    import yaml", "yaml", 2),
]


@pytest.mark.parametrize(("imports", "name", "line"), LACKING)
def test_fails_when_the_module_imports_what_lambda_lacks(module, imports, name, line):
    own = module(f"{imports}\ndef is_healthy(deployment): pass\n")
    problem = f"module {own.__name__}, where check is_healthy is, imports {name} in line {line}, which Lambda lacks"
    with refuses(problem, at="Hook", fix="into a module of its own"):
        own_check("Hook", own.is_healthy)


@pytest.mark.parametrize("gone", ["imp", "distutils.version", "telnetlib", "cgi"])
def test_fails_when_the_module_imports_what_python_has_dropped_since(module, gone):
    """Python 3.11 still has these, Lambda's does not."""
    own = module(f"def is_healthy(deployment):\n    import {gone}\n")
    with refuses(f"imports {gone} in line 2", at="Hook", fix="the standard library"):
        own_check("Hook", own.is_healthy)


def test_fails_when_the_module_imports_its_neighbours(tmp_path, monkeypatch):
    package = tmp_path / "neighbouring_checks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tables.py").write_text("NAME = 'orders'\n")
    (package / "orders.py").write_text("from .tables import NAME\ndef is_healthy(deployment): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("neighbouring_checks.orders")
    with refuses("imports .tables in line 1", at="Hook", fix="into a module of its own"):
        own_check("Hook", own.is_healthy)


@pytest.mark.parametrize(
    ("check", "what"),
    [
        ("checks:is_healthy", "no function"),
        (None, "no function"),
        (Checks, "no function"),
        (lambda deployment: None, "a lambda"),
        (nested(), "a function inside of another"),
        (Checks().method, "a method"),
        (Checks.method, "a method"),
        (Checks.static, "a method"),
        (len, "a builtin"),
        (functools.partial(top_level), "no plain function"),
        (asynchronous, "asynchronous"),
        (generator, "a generator"),
    ],
)
def test_fails_when_the_check_is_no_plain_function(check, what):
    with refuses(repr(check), f"is {what}", at="Hook", fix="at the top of a module"):
        own_check("Hook", check)


@pytest.mark.parametrize("parameters", ["", "event, context", "*, deployment", "deployment, *, strict"])
def test_fails_when_the_check_takes_other_arguments(module, parameters):
    own = module(f"def is_healthy({parameters}): pass\n")
    with refuses(f"is_healthy({parameters}) does not take one argument", at="Hook", fix="def is_healthy(deployment)"):
        own_check("Hook", own.is_healthy)


@pytest.mark.parametrize("parameters", ["event", "deployment, strict=True", "*arguments", "deployment, /, **others"])
def test_one_argument_is_enough(module, parameters):
    own = module(f"def is_healthy({parameters}): pass\n")
    assert own_check("Hook", own.is_healthy).function == "is_healthy"


def test_fails_when_the_name_means_something_else_in_its_module(module):
    own = module("def is_healthy(deployment): pass\nfirst = is_healthy\ndef is_healthy(deployment): return False\n")
    with refuses("check is_healthy is not what is_healthy means", at="Hook", fix="under the name"):
        own_check("Hook", own.first)


def test_a_decorated_function_is_deployed_with_its_decorator(module):
    own = module(
        "import functools\n"
        "def loud(f):\n"
        "    @functools.wraps(f)\n"
        "    def inner(deployment): print(deployment); return f(deployment)\n"
        "    return inner\n"
        "@loud\n"
        "def is_healthy(deployment): pass\n"
    )
    assert own_check("Hook", own.is_healthy).function == "is_healthy"


def test_fails_when_the_check_is_in_the_app_itself(monkeypatch):
    monkeypatch.setattr(top_level, "__module__", "__main__")
    with refuses("check top_level is in the program that is being run", at="Hook", fix="put it into a module"):
        own_check("Hook", top_level)


def test_fails_when_nobody_has_its_source(monkeypatch):
    module = type(sys)("from_nowhere")
    exec("def is_healthy(deployment): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "from_nowhere", module)
    module.is_healthy.__module__ = "from_nowhere"
    with refuses("the source of module from_nowhere", "cannot be read", at="Hook", fix="into a .py file"):
        own_check("Hook", module.is_healthy)
