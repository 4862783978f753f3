"""Finds the processes that a command left behind, by a variable that each child inherits."""

import os
import time
import uuid
from pathlib import Path


def marked():
    """Return a mark and an environment that carries it."""
    mark = f"MARK={uuid.uuid4()}"
    name, value = mark.split("=")
    return mark, {**os.environ, name: value}


def no_process_is_left(mark):
    """Whether all processes with the mark end within a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not left(mark):
            return True
        time.sleep(0.05)
    return False


def left(mark):
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:
            continue
    return found
