"""The process of an endpoint: `python -m code_family_constructs.local._process HOST PORT DIRECTORY`, a session leader.

It writes its port to standard output when it listens, and ends when its standard input does, so it never outlives the
process that started it. Then it removes the directory, which is its TMPDIR.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

SETTINGS = {
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "LOG_LEVEL": "WARNING",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What keeps ministack to one listener, quiet and off the network."""


def main() -> None:
    """Serve until standard input ends or SIGTERM comes."""
    try:
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
    except OSError as error:
        sys.exit(f"cannot listen on {sys.argv[1]}:{sys.argv[2]}: {error}")
    host, port = listener.getsockname()[:2]
    # ministack reads its settings when it is imported.
    os.environ.update(SETTINGS, BIND_HOST=host, MINISTACK_HOST=host, GATEWAY_PORT=str(port))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: _end())
    print(port, flush=True)
    from code_family_constructs.local import plugin

    # For the processes of Lambda functions.
    os.environ["PYTHONPATH"] = str(Path(__file__).with_name("runtime"))
    asyncio.run(_serve(plugin.application, listener))


async def _serve(application: Any, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    await serve(application, config, mode="asgi")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    _end()


def _end() -> None:
    # Lambda functions run in processes of this group, their code lies in the directory. Nothing has to be saved.
    shutil.rmtree(sys.argv[3], ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
