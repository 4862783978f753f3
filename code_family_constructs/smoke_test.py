"""Floor 0: an HTTP request that has to be answered as expected, described for whoever sends it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from aws_cdk import Duration

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """A check that is ready to use: an HTTP request has to be answered as expected.

    One answer as expected is enough. Any other answer, a refused connection and one that takes too long are tried
    again, and the last of them is the reason that the hook logs. Redirects are not followed: expect their status, or
    give the URL that they lead to. Certificates are verified.

    Args:
        url: `http://…` or `https://…`; may hold names that are only known when they are deployed.
        expected_status: HTTP status of the answer.
        contains: Text that is in the first mebibyte of the answer.
        method: HTTP method; the request has no body.
        headers: Sent along. They are no place for secrets: they stand in the template.
        load_balancer: Full name of a load balancer, `app/<name>/<id>` or `net/<name>/<id>`, in the VPC of the hook: the
            request goes to its address in there, and the URL's host is only what is asked for and what the certificate
            has to be for. The DNS name of an internet-facing load balancer leads out of the VPC and back, so that no
            rule on the hook's security group would let it in.
        retries: How often to try again.
        wait: Between two tries.
        timeout: Of each try.

    Raises:
        ConfigurationError: What no HTTP client takes, or no server answers.
    """

    url: str
    expected_status: int = 200
    contains: str | None = None
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    load_balancer: str | None = None
    retries: int = 5
    wait: Duration = Duration.seconds(10)
    timeout: Duration = Duration.seconds(10)

    def __post_init__(self) -> None:
        _check_url(self.url)
        for name, number in (("expected_status", self.expected_status), ("retries", self.retries)):
            if not unresolved(number) and not isinstance(number, int):
                raise _no_smoke_test(f"{name} {number!r}", "use a whole number")
        if not unresolved(self.expected_status) and not 200 <= self.expected_status <= 599:
            raise _no_smoke_test(f"expected_status {self.expected_status}", "expect an HTTP status from 200 to 599")
        if self.method not in _METHODS:
            raise _no_smoke_test(f"method {self.method!r}", f"use one of {', '.join(_METHODS)}")
        if self.contains == "":
            raise _no_smoke_test("contains '', which is in every answer", "give a text, or leave it out")
        if self.contains is not None and self.method == "HEAD":
            raise _no_smoke_test("contains with method 'HEAD', whose answers are empty", "use method 'GET'")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or (not unresolved(value) and not _HEADER_VALUE.fullmatch(value)):
                raise _no_smoke_test(f"header {name!r}: {value!r}", "write printable ASCII, name and value apart")
        balancer = self.load_balancer
        if balancer is not None and not unresolved(balancer) and not _LOAD_BALANCER.fullmatch(balancer):
            raise _no_smoke_test(
                f"load balancer {balancer!r}", "give its full name, app/<name>/<id>, such as load_balancer_full_name"
            )
        if not unresolved(self.retries) and self.retries < 0:
            raise _no_smoke_test(f"retries {self.retries}", "use 0 or more")
        for name, time in (("wait", self.wait), ("timeout", self.timeout)):
            if time.is_unresolved() and time.unit_label() != "seconds":
                raise _no_smoke_test(
                    f"a {name} in {time.unit_label()} that are only known when the stack is deployed",
                    f"write {name}=Duration.seconds(…)",
                )
        if not self.timeout.is_unresolved() and self.timeout.to_milliseconds() == 0:
            raise _no_smoke_test("a timeout of nothing", "give it a second or more")

    def longest(self) -> float | None:
        """Seconds until the last try has failed; `None` when only the deployment knows."""
        times = (self.wait, self.timeout)
        if unresolved(self.retries) or any(time.is_unresolved() for time in times):
            return None
        wait, timeout = (time.to_milliseconds() / 1000 for time in times)
        return self.retries * wait + (self.retries + 1) * timeout

    def settings(self) -> dict[str, Any]:
        """What the handler `smoke_test` takes."""
        settings = {
            "url": self.url,
            "expected_status": self.expected_status,
            "contains": self.contains,
            "method": self.method,
            "headers": dict(self.headers),
            "load_balancer": self.load_balancer,
            "retries": self.retries,
            "wait": self.wait.to_seconds(integral=False),
            "timeout": self.timeout.to_seconds(integral=False),
        }
        return {name: value for name, value in settings.items() if value is not None}


_METHODS = ("GET", "HEAD", "OPTIONS")
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_LOAD_BALANCER = re.compile(r"(?:app|net)/[A-Za-z0-9-]{1,32}/[0-9a-f]+")


def _no_smoke_test(problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(problem, at="SmokeTest", fix=fix)


def _check_url(url: str) -> None:
    # What is left of a token is no part of a URL, so that a URL with one is looked at as far as its scheme.
    whole = not unresolved(url)
    scheme, separator, rest = url.partition("://")
    if unresolved(scheme):
        return
    if not separator or scheme not in ("http", "https"):
        raise _no_smoke_test(f"URL {url!r} is neither HTTPS nor HTTP", "start it with https:// or http://")
    if re.search(r"[^\x21-\x7e]", rest):
        raise _no_smoke_test(f"URL {url!r} has characters that no URL has", "percent-encode them")
    if not whole:
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _no_smoke_test(f"URL {url!r}: {error}", "correct the host or the port") from error
    if not host:
        raise _no_smoke_test(f"URL {url!r} has no host", "write https://<host>/<path>")
    if port == 0 or not all(0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        raise _no_smoke_test(
            f"URL {url!r} has a host or a port that nothing answers at", "correct the host or the port"
        )
    if parts.username is not None:
        raise _no_smoke_test(f"URL {url!r} has a user name in it, which is not sent", "leave it out")
