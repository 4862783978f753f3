import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from code_family_constructs.local import Endpoint, EndpointError


def test_the_environment_leads_to_the_endpoint_and_nowhere_else(endpoint):
    assert endpoint.environment["AWS_ENDPOINT_URL"] == endpoint.url == f"http://127.0.0.1:{endpoint.port}"
    assert Path(endpoint.environment["CDK_HOME"]).parent == endpoint.directory
    assert Path(endpoint.environment["CDK_PLUGIN"]).is_file()
    base = {
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL_S3": "https://s3",
        "AWS_SESSION_TOKEN": "secret",
        "HOME": "/h",
    }
    environment = endpoint.process_environment(base)
    assert environment["HOME"] == "/h"
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"} & environment.keys()


def test_a_profile_of_the_person_plays_no_part(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert endpoint.client("codepipeline").list_pipelines()["pipelines"] is not None


def test_the_account_is_ours(endpoint):
    identity = endpoint.client("sts").get_caller_identity()
    assert identity["Account"] == endpoint.account


def test_a_client_is_for_the_account_and_region_that_it_is_asked_for(endpoint):
    client = endpoint.client("sts", account="222222222222", region="eu-west-1")
    assert client.get_caller_identity()["Account"] == "222222222222"
    assert client.meta.region_name == "eu-west-1"
    assert endpoint.client("sts", region="eu-west-1").get_caller_identity()["Account"] == endpoint.account
    assert endpoint.client("sts", account="222222222222").meta.region_name == endpoint.region


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])
def test_only_loopback_is_accepted(host):
    with pytest.raises(EndpointError, match="loopback only"):
        Endpoint(host=host)


def test_localhost_is_the_loopback_address():
    assert Endpoint(host="localhost").url.startswith("http://127.0.0.1:")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_has_one_listener_and_it_is_on_loopback(endpoint):
    assert listeners(endpoint.pid) == [f"0100007F:{endpoint.port:04X}"]


def test_a_port_that_is_taken_is_an_error_with_the_reason():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint(port=taken.getsockname()[1])
        with pytest.raises(EndpointError, match=r"could not start:\n(.|\n)*Address already in use"):
            endpoint.start()
    with pytest.raises(EndpointError, match="not running"):
        _ = endpoint.pid


def test_settings_of_ministack_from_outside_do_not_count(monkeypatch):
    monkeypatch.setenv("SERVICES", "s3")
    monkeypatch.setenv("PERSIST_STATE", "1")
    with Endpoint() as endpoint:
        assert endpoint.client("codepipeline").list_pipelines()["pipelines"] == []


def test_stopping_ends_the_process_and_takes_its_directory():
    endpoint = Endpoint()
    endpoint.start()
    pid, directory, url = endpoint.pid, endpoint.directory, endpoint.url
    endpoint.stop()
    endpoint.stop()
    assert gone(pid)
    assert not directory.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_the_process_ends_when_its_parent_is_killed():
    script = (
        "import sys, time\n"
        "from code_family_constructs.local import Endpoint\n"
        "endpoint = Endpoint(); endpoint.start()\n"
        "print(endpoint.pid, endpoint.directory, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (gone(int(pid)) and not Path(directory).exists()):
        time.sleep(0.05)
    assert gone(int(pid))
    assert not Path(directory).exists()


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A container without an init process keeps what was killed as a zombie.
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" in status.read_text()


def listeners(pid):
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)) if link.is_symlink() else None
        if found:
            sockets.add(found[1])
    rows = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path(f"/proc/net/{table}")
        if path.exists():
            rows += [(table, *line.split()) for line in path.read_text().splitlines()[1:]]
    # 0A is LISTEN; a datagram socket needs no such state to receive.
    return [row[2] for row in rows if row[10] in sockets and (row[4] == "0A" or row[0].startswith("udp"))]
