"""The smoke test, against HTTP servers on loopback."""

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from code_family_constructs.handlers.smoke_test import MOST_OF_BODY, smoke_test
from tests.handlers.doubles import Service

CERTIFICATES = Path(__file__).parent / "certificates"


class Server:
    """Answers each request with the next of `answers`, and the last one again and again."""

    def __init__(self, *, secure=False):
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(200, {}, b"welcome")]
        self.requests: list[tuple[Any, ...]] = []
        self.delay = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.command, self.path, self.headers))
                outer.ended.wait(outer.delay)
                status, headers, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_OPTIONS = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_):
                """A client that does not trust the certificate, or has gone, is what is tested."""

        self.ended = threading.Event()
        self._server = Quiet(("127.0.0.1", 0), Handler)
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATES / "shop.example.pem")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def secure_server():
    server = Server(secure=True)
    yield server
    server.close()


class Ec2(Service):
    """Where a load balancer is: on this machine."""

    def __init__(self, *addresses):
        super().__init__("ec2")
        self.addresses = addresses

    def DescribeNetworkInterfaces(self, asked):  # noqa: N802
        return {"NetworkInterfaces": [{"PrivateIpAddress": address} for address in self.addresses]}


def settings(port, path="/health", **others):
    return {
        "url": f"http://127.0.0.1:{port}{path}",
        "expected_status": 200,
        "method": "GET",
        "headers": {},
        "retries": 0,
        "wait": 0.01,
        "timeout": 5,
        **others,
    }


def test_an_answer_as_expected_passes(server):
    assert smoke_test(settings(server.port, "/health?deep=yes#top")) is None
    ((method, path, headers),) = server.requests
    assert (method, path) == ("GET", "/health?deep=yes")
    assert headers["Host"] == f"127.0.0.1:{server.port}"


def test_the_root_is_asked_for_when_the_url_names_no_path(server):
    assert smoke_test(settings(server.port, "")) is None
    assert server.requests[0][1] == "/"


def test_firewalls_are_told_who_asks_and_headers_are_sent(server):
    smoke_test(settings(server.port, headers={"x-release": "green"}))
    smoke_test(settings(server.port, headers={"User-Agent": "shop"}))
    first, second = (headers for _, _, headers in server.requests)
    assert (first["User-Agent"], first["x-release"]) == ("code-family-smoke-test", "green")
    assert second.get_all("User-Agent") == ["shop"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_other_methods_are_sent(server, method):
    assert smoke_test(settings(server.port, method=method)) is None
    assert server.requests[0][0] == method


def test_another_status_fails(server):
    server.answers = [(500, {}, b"")]
    assert smoke_test(settings(server.port)) == "status 500, expected 200"


def test_a_status_other_than_200_can_be_expected(server):
    server.answers = [(401, {}, b"")]
    assert smoke_test(settings(server.port, expected_status=401)) is None


def test_a_redirect_is_not_followed_and_says_where_it_leads(server):
    server.answers = [(301, {"Location": "https://shop.example/"}, b"")]
    assert smoke_test(settings(server.port)) == "status 301, which leads to https://shop.example/, expected 200"
    assert smoke_test(settings(server.port, expected_status=301)) is None


def test_the_answer_has_to_contain_the_text(server):
    server.answers = [(200, {}, "version 1.4.2, grüezi".encode())]
    assert smoke_test(settings(server.port, contains="grüezi")) is None
    assert smoke_test(settings(server.port, contains="1.4.3")) == "'1.4.3' is not in the answer"


def test_only_so_much_of_an_answer_is_read(server):
    server.answers = [(200, {}, b" " * MOST_OF_BODY + b"late")]
    assert smoke_test(settings(server.port, contains="late")) == "'late' is not in the answer"


def test_it_is_tried_again_until_it_passes(server, capsys):
    server.answers = [(503, {}, b""), (502, {}, b""), (200, {}, b"")]
    assert smoke_test(settings(server.port, retries=5)) is None
    assert len(server.requests) == 3
    assert [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "status 503, expected 200",
        "status 502, expected 200",
        "as expected",
    ]


def test_it_is_tried_so_often_and_no_more(server):
    server.answers = [(503, {}, b"")]
    assert smoke_test(settings(server.port, retries=2)) == "status 503, expected 200"
    assert len(server.requests) == 3


def test_it_waits_between_two_tries(server):
    server.answers = [(503, {}, b"")]
    before = time.monotonic()
    smoke_test(settings(server.port, retries=2, wait=0.2))
    assert time.monotonic() - before >= 0.4


def test_a_slow_answer_fails_in_time(server):
    server.delay = 30
    before = time.monotonic()
    assert smoke_test(settings(server.port, timeout=0.3)) == "no answer within 0.3 seconds"
    assert time.monotonic() - before < 5


def test_an_answer_that_trickles_in_fails_in_time():
    """Each byte comes within the timeout; the whole does not."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def trickle():
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.05):
                connection.sendall(b"H")

    thread = threading.Thread(target=trickle)
    thread.start()
    before = time.monotonic()
    try:
        assert smoke_test(settings(listener.getsockname()[1], timeout=0.4)) == "no answer within 0.4 seconds"
        assert time.monotonic() - before < 5
    finally:
        ended.set()
        thread.join()
        listener.close()


def test_nobody_there_fails_with_the_reason():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    problem = smoke_test(settings(port))
    assert problem is not None
    assert problem.startswith("ConnectionRefusedError: ")


def test_no_http_fails_with_the_reason():
    listener = socket.create_server(("127.0.0.1", 0))

    def greet():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"220 mail.example ESMTP\r\n")

    thread = threading.Thread(target=greet)
    thread.start()
    try:
        problem = smoke_test(settings(listener.getsockname()[1]))
        assert problem is not None
        assert problem.startswith("BadStatusLine: ")
    finally:
        thread.join()
        listener.close()


def test_a_certificate_that_nobody_vouches_for_fails(secure_server):
    url = f"https://127.0.0.1:{secure_server.port}/"
    problem = smoke_test(settings(secure_server.port, url=url))
    assert problem is not None
    assert problem.startswith("SSLCertVerificationError: ")
    assert secure_server.requests == []


def test_a_certificate_for_another_host_fails(secure_server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    url = f"https://127.0.0.1:{secure_server.port}/"
    problem = smoke_test(settings(secure_server.port, url=url))
    assert problem is not None
    assert "not valid for '127.0.0.1'" in problem


def test_a_load_balancer_is_asked_inside_of_its_vpc_under_the_name_of_the_url(secure_server, monkeypatch):
    ec2 = Ec2("127.0.0.1", "192.0.2.1")
    monkeypatch.setattr(boto3, "client", lambda name: {"ec2": ec2.client}[name])
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    test = settings(0, url=f"https://shop.example:{secure_server.port}/", load_balancer="app/shop/0123456789abcdef")
    assert smoke_test(test) is None
    assert secure_server.requests[0][2]["Host"] == f"shop.example:{secure_server.port}"
    # https://repost.aws/knowledge-center/elb-find-load-balancer-IP
    ((_, asked),) = ec2.calls
    assert {"Name": "description", "Values": ["ELB app/shop/0123456789abcdef"]} in asked["Filters"]


def test_a_load_balancer_that_is_not_there_fails(monkeypatch):
    ec2 = Ec2()
    monkeypatch.setattr(boto3, "client", lambda name: {"ec2": ec2.client}[name])
    problem = smoke_test(settings(80, load_balancer="app/gone/0123456789abcdef"))
    assert problem == "LookupError: no network interface of load balancer app/gone/0123456789abcdef is in use"


def test_settings_survive_the_way_through_an_environment_variable(server):
    assert smoke_test(json.loads(json.dumps(settings(server.port)))) is None
