"""The process of a function of the user's own: what it leaves, and that it ends."""

import io
import json
import os
import sys
import tempfile

import pytest

from code_family_constructs.handlers import own_process
from code_family_constructs.handlers.own_process import answer, load


class Ended(BaseException):
    """In the place of the end of the process."""


@pytest.fixture
def ended(monkeypatch):
    def end(status):
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("def own(task): return task", {"result": {"a": 1}}),
        ("def own(task): pass", {"result": None}),
        ("def own(task): raise RuntimeError('no orders')", {"error": "RuntimeError: no orders"}),
        ("def own(task): raise SystemExit(0)", {"error": "SystemExit: 0"}),
        ("def own(task): raise KeyboardInterrupt", {"error": "KeyboardInterrupt: "}),
        ("def own(task): return object", {"error": "TypeError: Object of type type is not JSON serializable"}),
        ("import nothing_like_this", {"error": "ModuleNotFoundError: No module named 'nothing_like_this'"}),
        ("def other(): pass", {"error": "AttributeError: module 'own_function' has no attribute 'own'"}),
    ],
)
def test_it_always_leaves_an_answer_and_ends(tmp_path, monkeypatch, ended, source, left):
    (tmp_path / "own.py").write_text(source)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"a": 1})))
    with pytest.raises(Ended):
        answer(tmp_path, lambda task: load(str(tmp_path / "own.py"), "own")(task))
    assert json.loads((tmp_path / "answer.json").read_text()) == left


def test_a_file_of_another_kind_is_no_module(tmp_path):
    (tmp_path / "own.txt").write_text("")
    with pytest.raises(ImportError, match=r"own\.txt is no Python file"):
        load(str(tmp_path / "own.txt"), "own")


def test_what_a_process_leaves_in_temporary_files_goes_with_it_also_when_it_is_ended(tmp_path, monkeypatch):
    check = tmp_path / "own.py"
    check.write_text(
        "import pathlib, tempfile, time\n"
        "def is_healthy(deployment):\n"
        f"    pathlib.Path({str(tmp_path / 'where')!r}).write_text(tempfile.mkdtemp())\n"
        "    time.sleep(60)\n"
    )
    monkeypatch.setenv("CODE_FAMILY_HOOK", json.dumps({"file": str(check), "function": "is_healthy"}))
    with pytest.raises(own_process.NoResultError, match="the check was not done after 3 seconds"):
        own_process.run("hook_check", {"DeploymentId": "d-1"}, 3.0, "the check")
    left = (tmp_path / "where").read_text()
    assert left.startswith(tempfile.gettempdir())
    assert not os.path.exists(left)
