"""Greets whoever asks, and says which release does."""

import json
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen


def release() -> str:
    """The beginning of the image's digest, which Amazon ECS tells each of its containers."""
    about = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if about is None:
        return "local-0"
    with urlopen(about, timeout=5) as answer:  # noqa: S310 - Amazon ECS sets it
        image: str = json.load(answer)["Image"]
    digest = re.search("@sha256:([0-9a-f]{12})", image)
    return digest[1] if digest else image.rpartition("/")[2]


def greet(name: str) -> tuple[int, str]:
    """Status and message of an answer."""
    if len(name) > 100:
        return 400, "That name is longer than 100 characters."
    return 200, f"Hello, {name}!"


class Greeter(BaseHTTPRequestHandler):
    """Answers `GET /`, which is also what the load balancer asks for."""

    server_version = "greeter"
    # Of an idle connection, so that nobody holds one for ever.
    timeout = 10
    release = "local-0"

    def do_GET(self) -> None:
        """Greets by the parameter `name`."""
        url = urlsplit(self.path)
        if url.path != "/":
            self.answer(404, {"message": "There is nothing here."})
            return
        status, message = greet(parse_qs(url.query).get("name", ["world"])[0])
        self.answer(status, {"message": message, "release": self.release})

    def answer(self, status: int, body: dict[str, str]) -> None:
        """Sends JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(content))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """Waits for requests that it has begun to answer before it ends."""

    daemon_threads = False


def main() -> None:
    """Serves until Amazon ECS says stop."""
    Greeter.release = release()
    server = Server(("", int(os.environ.get("PORT", "8080"))), Greeter)

    def stop(signal_number: int, frame: Any) -> None:
        # From another thread: it waits for the loop below, which waits for this function.
        threading.Thread(target=server.shutdown).start()

    # The first process of a container ignores what it does not handle, and would be killed 30 seconds later.
    signal.signal(signal.SIGTERM, stop)
    print(f"release {Greeter.release} listens on port {server.server_port}")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print("stopped")


if __name__ == "__main__":
    main()
