"""An HTTP request that has to be answered as expected, tried a few times."""

import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

MOST_OF_BODY = 1 << 20
USER_AGENT = "code-family-smoke-test"
SETTINGS = "CODE_FAMILY_SMOKE_TEST"


def handler(event: dict[str, Any], context: Any) -> str:
    """A run of a canary of CloudWatch Synthetics; an exception is how one fails."""
    problem = smoke_test(json.loads(os.environ[SETTINGS]))
    if problem is not None:
        raise RuntimeError(problem)
    return "as expected"


def smoke_test(settings: Mapping[str, Any]) -> str | None:
    """Returns what was wrong with the last answer; `None` at the first one as expected."""
    problem: str | None = "nothing was tried"
    for attempt in range(settings["retries"] + 1):
        if attempt:
            time.sleep(settings["wait"])
        problem = in_time(settings)
        print(f"{settings['method']} {settings['url']}: {problem or 'as expected'}", flush=True)
        if problem is None:
            break
    return problem


def in_time(settings: Mapping[str, Any]) -> str | None:
    # The timeout of a socket is one of each step, and looking up a name has none.
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(answer(settings)), daemon=True)
    thread.start()
    thread.join(settings["timeout"])
    return found[0] if found else too_late(settings)


def too_late(settings: Mapping[str, Any]) -> str:
    return f"no answer within {settings['timeout']:g} seconds"


def answer(settings: Mapping[str, Any]) -> str | None:
    try:
        connection = connect(settings)
        try:
            return judge(settings, ask(settings, connection))
        finally:
            connection.close()
    except TimeoutError:
        return too_late(settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def connect(settings: Mapping[str, Any]) -> http.client.HTTPConnection:
    parts = urlsplit(settings["url"])
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, parts.port)
    to = private_address(settings["load_balancer"]) if "load_balancer" in settings else host
    connected = socket.create_connection((to, connection.port), settings["timeout"])
    # Whatever address it is, the certificate has to be for the name in the URL.
    connection.sock = ssl.create_default_context().wrap_socket(connected, server_hostname=host) if secure else connected
    return connection


def private_address(load_balancer: str) -> str:
    """An address of a load balancer inside of its VPC; the name of an internet-facing one leads out of it."""
    # Most smoke tests need neither of these, and to import them takes a second.
    import boto3

    ec2 = boto3.client("ec2")
    found = ec2.describe_network_interfaces(
        Filters=[
            {"Name": "description", "Values": [f"ELB {load_balancer}"]},
            {"Name": "status", "Values": ["in-use"]},
        ]
    )["NetworkInterfaces"]
    if not found:
        raise LookupError(f"no network interface of load balancer {load_balancer} is in use")
    address: str = found[0]["PrivateIpAddress"]
    return address


def ask(settings: Mapping[str, Any], connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    parts = urlsplit(settings["url"])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Firewalls refuse requests that do not say who asks.
    connection.request(settings["method"], target, headers={"User-Agent": USER_AGENT, **settings["headers"]})
    return connection.getresponse()


def judge(settings: Mapping[str, Any], response: http.client.HTTPResponse) -> str | None:
    if response.status != settings["expected_status"]:
        to = response.headers.get("Location")
        lead = f", which leads to {to}" if to else ""
        return f"status {response.status}{lead}, expected {settings['expected_status']}"
    if "contains" in settings and settings["contains"] not in response.read(MOST_OF_BODY).decode(errors="replace"):
        return f"{settings['contains']!r} is not in the answer"
    return None
