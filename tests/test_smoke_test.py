"""Smoke tests: what no HTTP client sends or no server answers is refused where it is typed."""

import pytest
from aws_cdk import CfnParameter, Duration
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.smoke_test import SmokeTest
from tests.helpers import a_stack, refuses

URL = "https://shop.example:8443/health"


@pytest.mark.parametrize(
    ("url", "problem", "fix"),
    [
        ("shop.example", "neither HTTPS nor HTTP", "start it with https://"),
        ("ftp://shop.example", "neither HTTPS nor HTTP", "start it with https://"),
        ("HTTPS://shop.example", "neither HTTPS nor HTTP", "start it with https://"),
        ("", "neither HTTPS nor HTTP", "start it with https://"),
        ("https://", "has no host", "https://<host>/<path>"),
        ("https:///health", "has no host", "https://<host>/<path>"),
        ("https://shop.example/a b", "characters that no URL has", "percent-encode"),
        ("https://shop.example/ä", "characters that no URL has", "percent-encode"),
        ("https://shop.example\n", "characters that no URL has", "percent-encode"),
        ("https://shop.example:99999/", "Port out of range", "correct the host or the port"),
        ("https://shop.example:http/", "Port could not be cast", "correct the host or the port"),
        ("https://[::1/", "Invalid IPv6 URL", "correct the host or the port"),
        ("https://shop.example:0/", "a host or a port that nothing answers at", "correct the host or the port"),
        ("https://shop..example/", "a host or a port that nothing answers at", "correct the host or the port"),
        ("https://.shop.example/", "a host or a port that nothing answers at", "correct the host or the port"),
        (f"https://{'a' * 64}.example/", "a host or a port that nothing answers at", "correct the host or the port"),
        ("https://user:secret@shop.example/", "has a user name in it", "leave it out"),
    ],
)
def test_fails_when_there_is_no_such_url(url, problem, fix):
    with refuses(repr(url), problem, at="SmokeTest", fix=fix):
        SmokeTest(url)


@given(
    secure=st.booleans(),
    host=st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){0,2}", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
    path=st.from_regex(r"(/[A-Za-z0-9%._~!$&'()*+,;=:@-]{0,8}){0,3}", fullmatch=True),
    query=st.from_regex(r"(\?[a-z=&/?]{0,10})?", fullmatch=True),
)
def test_urls_are_accepted(secure, host, port, path, query):
    url = f"http{'s' * secure}://{host}{f':{port}' if port else ''}{path}{query}"
    assert SmokeTest(url).url == url


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"expected_status": 99}, "expected_status 99", "from 200 to 599"),
        ({"expected_status": 100}, "expected_status 100", "from 200 to 599"),
        ({"expected_status": 600}, "expected_status 600", "from 200 to 599"),
        ({"method": "POST"}, "method 'POST'", "use one of GET, HEAD, OPTIONS"),
        ({"method": "get"}, "method 'get'", "use one of GET, HEAD, OPTIONS"),
        ({"contains": ""}, "contains ''", "give a text"),
        ({"contains": "x", "method": "HEAD"}, "contains with method 'HEAD'", "use method 'GET'"),
        ({"headers": {"x test": "1"}}, "header 'x test': '1'", "printable ASCII"),
        ({"headers": {"": "1"}}, "header '': '1'", "printable ASCII"),
        ({"headers": {"x": "1\r\nHost: evil"}}, "header 'x'", "printable ASCII"),
        ({"headers": {"x": "grün"}}, "header 'x'", "printable ASCII"),
        ({"load_balancer": "shop"}, "load balancer 'shop'", "app/<name>/<id>"),
        ({"load_balancer": "shop-1.eu-west-1.elb.amazonaws.com"}, "load balancer 'shop-1", "app/<name>/<id>"),
        ({"expected_status": 200.5}, "expected_status 200.5", "use a whole number"),
        ({"expected_status": "200"}, "expected_status '200'", "use a whole number"),
        ({"retries": 1.5}, "retries 1.5", "use a whole number"),
        ({"retries": -1}, "retries -1", "use 0 or more"),
        ({"timeout": Duration.seconds(0)}, "a timeout of nothing", "a second or more"),
    ],
)
def test_fails_when_no_client_sends_it_or_no_server_answers_it(settings, problem, fix):
    with refuses(problem, at="SmokeTest", fix=fix):
        SmokeTest(URL, **settings)


def test_its_longest_run_is_when_every_try_times_out():
    test = SmokeTest(URL, retries=2, wait=Duration.millis(500), timeout=Duration.seconds(3))
    assert test.longest() == 2 * 0.5 + 3 * 3


def test_what_only_the_deployment_knows_has_no_longest_run():
    number = CfnParameter(a_stack(), "Number", type="Number").value_as_number
    assert SmokeTest(URL, retries=number).longest() is None  # type: ignore[arg-type]
    assert SmokeTest(URL, wait=Duration.seconds(number)).longest() is None
    assert SmokeTest(URL, timeout=Duration.seconds(number)).longest() is None


def test_its_settings_name_only_what_was_said():
    settings = SmokeTest(URL, wait=Duration.millis(500)).settings()
    assert settings["wait"] == 0.5
    assert {"contains", "load_balancer"}.isdisjoint(settings)
    assert SmokeTest(URL, contains="x").settings()["contains"] == "x"


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "https://[::1]:65535/", "https://shop.example./", "http://a"])
def test_addresses_and_names_of_any_form_are_accepted(url):
    assert SmokeTest(url).url == url


@pytest.mark.parametrize("name", ["wait", "timeout"])
def test_fails_when_only_the_deployment_knows_a_time_in_minutes(name):
    """The handler counts in seconds, and nothing can convert what is not known yet."""
    number = CfnParameter(a_stack(), "Number", type="Number").value_as_number
    with refuses(f"a {name} in minutes", at="SmokeTest", fix=f"write {name}=Duration.seconds(…)"):
        SmokeTest(URL, **{name: Duration.minutes(number)})  # type: ignore[arg-type]
    SmokeTest(URL, **{name: Duration.seconds(number)}).settings()  # type: ignore[arg-type]
