"""A process for a function of the user's own, and reports that get through.

In a process of its own the function may raise, exit, crash, or hang without letting go of the interpreter, and who
started it still answers.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.config import Config

# What four attempts to report take when each of them times out.
TIME_TO_REPORT_MS = 30_000
PAUSES = (1, 2, 4)
CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
ROOT = Path(__file__).parents[2]


class NoResultError(Exception):
    """What went wrong in the process, or that it was not done in time."""


def seconds_left(context: Any) -> float:
    """How long the process may take."""
    return max(0.0, float(context.get_remaining_time_in_millis() - TIME_TO_REPORT_MS) / 1000)


def run(module: str, task: Any, seconds: float, what: str) -> Any:
    """Starts a module of this package, hands it a task, and returns the result.

    Args:
        module: Its name; its main program calls `answer`.
        task: What it is to do. It goes there by a pipe, and stands in no file.
        seconds: How long it may take.
        what: What runs in there, for errors.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-P", "-m", f"code_family_constructs.handlers.{module}", folder]
        path = os.pathsep.join(filter(None, sys.path))
        # What the process leaves behind goes with the folder, also when it is ended.
        environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": folder}
        try:
            # Lambda logs both outputs; who else runs handlers may have a use of his own for the first.
            done = subprocess.run(
                command,
                input=json.dumps(task).encode(),
                env=environment,
                stdout=2,
                stderr=2,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoResultError(f"{what} was not done after {seconds:.0f} seconds") from None
        file = Path(folder, "answer.json")
        if not file.exists():
            raise NoResultError(f"{what} ended its process, {how(done.returncode)}")
        answer = json.loads(file.read_text())
    if "error" in answer:
        raise NoResultError(answer["error"])
    return answer["result"]


def how(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


def answer(folder: Path, work: Callable[[Any], Any]) -> None:
    """In the process: does the work, leaves its result or what went wrong, and ends."""
    status = 1
    try:
        text = outcome(work)
        (folder / "answer.part").write_text(text)
        # All of it or nothing: this process may be ended at any time.
        (folder / "answer.part").rename(folder / "answer.json")
        status = 0
    except BaseException:
        show()
    # The function may have closed or replaced its outputs.
    for output in (sys.stdout, sys.stderr):
        with suppress(Exception):
            output.flush()
    # Without waiting for what else the function has started.
    os._exit(status)


def outcome(work: Callable[[Any], Any]) -> str:
    try:
        return json.dumps({"result": work(json.load(sys.stdin))})
    except BaseException as error:
        show()
        # What is no Unicode could neither be printed nor reported.
        return json.dumps({"error": f"{type(error).__name__}: {error}".encode(errors="backslashreplace").decode()})


def show() -> None:
    with suppress(Exception):
        traceback.print_exc()


def load(file: str, function: str) -> Callable[[dict[str, Any]], Any]:
    """The user's function, out of its file."""
    spec = importlib.util.spec_from_file_location("own_function", ROOT / file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: Callable[[dict[str, Any]], Any] = getattr(module, function)
    return found


def insist(report: Callable[[], object], *, final: tuple[str, ...]) -> None:
    """Reports, and tries again what does not get through; raises the last error.

    Args:
        report: Calls AWS.
        final: Codes of errors that stay as they are however often it is tried.
    """
    for pause in (*PAUSES, None):
        try:
            report()
        except Exception as error:
            # Denied counts too: of a role that is seconds old, not every part of AWS has heard.
            if pause is None or getattr(error, "response", {}).get("Error", {}).get("Code") in final:
                raise
            print(f"not reported yet: {error}")
            time.sleep(pause)
            continue
        return
