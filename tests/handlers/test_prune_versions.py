"""The function that deletes old versions, run for real: botocore checks each call, an HTTP server takes the answers."""

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.handlers import prune_versions
from tests.handlers.doubles import PLENTY, CloudFormation, Context, Refused
from tests.handlers.fake_lambda import Lambda


@pytest.fixture
def cloudformation(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = CloudFormation()
    yield server
    server.close()


@pytest.fixture
def send(monkeypatch, cloudformation):
    """Sends a request as CloudFormation does; returns the answer."""

    def send(function, request_type="Update", *left, version=None, before=None, keep="2"):
        monkeypatch.setattr(boto3, "client", lambda service: {"lambda": function.client}[service])
        properties = {"ServiceToken": "arn:aws:lambda:…", "FunctionName": "Greeter", "Keep": keep}
        version = version or str(function.published)
        event = {
            "RequestType": request_type,
            "RequestId": "5e6f",
            "ResponseURL": cloudformation.url,
            "ResourceType": "Custom::PruneVersions",
            "LogicalResourceId": "DeploymentPrune",
            "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/Shop/1a2b",
            "ResourceProperties": {**properties, "Version": version},
            **({} if request_type == "Create" else {"PhysicalResourceId": "Greeter"}),
            **({"OldResourceProperties": {**properties, "Version": before}} if before else {}),
        }
        prune_versions.handler(event, Context(*left))
        return cloudformation.answers[-1]

    return send


def test_deletes_what_is_older_than_the_newest(send):
    function = Lambda(versions=7, live="7")
    answer = send(function, keep="3")
    assert list(function.versions) == ["5", "6", "7"]
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"] == {"Result": "4 old versions deleted"}


def test_newest_is_by_number_and_not_by_text(send):
    function = Lambda(versions=12, live="12")
    send(function)
    assert list(function.versions) == ["11", "12"]


def test_keeps_what_any_alias_points_at_or_sends_a_part_of_its_traffic_to(send):
    function = Lambda(versions=9, live="9", old="2")
    function.aliases["canary"] = ("4", {"6": 0.1})
    send(function)
    assert list(function.versions) == ["2", "4", "6", "8", "9"]


def test_keeps_the_version_that_a_rollback_of_this_update_needs(send):
    """Versions 6 and 7 failed, and stayed for other reasons; 8 is live now, and 5 was before."""
    function = Lambda(versions=8, live="8")
    send(function, version="8", before="5")
    assert list(function.versions) == ["5", "7", "8"]


def test_keeps_the_version_that_an_update_was_rolled_back_to(send):
    function = Lambda(versions=8, live="5")
    send(function, version="5", before="8")
    assert list(function.versions) == ["5", "7", "8"]


def test_looks_at_all_pages(send):
    function = Lambda(versions=120, live="120")
    for number in range(1, 111):
        function.aliases[f"tenant-{number}"] = (str(number), {})
    send(function)
    assert list(function.versions) == [str(number) for number in (*range(1, 111), 119, 120)]


def test_never_deletes_the_function_itself(send):
    function = Lambda(versions=5, live="5")
    send(function)
    deletions = [asked for name, asked in function.calls if name == "DeleteFunction"]
    assert len(deletions) == 3
    assert all(asked["Qualifier"].isdigit() for asked in deletions)


@given(
    st.integers(1, 30),
    st.integers(2, 10),
    st.lists(st.tuples(st.integers(1, 30), st.dictionaries(st.integers(1, 30).map(str), st.floats(0.1, 0.9)))),
)
def test_what_has_traffic_and_what_is_newest_always_stays(count, keep, pointers):
    function = Lambda(versions=count)
    function.aliases = {f"a{n}": (str(version), weights) for n, (version, weights) in enumerate(pointers)}
    used = {version for version, _ in function.aliases.values()}
    used |= {version for _, weights in function.aliases.values() for version in weights}
    newest = {str(number) for number in range(max(1, count - keep + 1), count + 1)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", lambda service: function.client)
        prune_versions.prune("Greeter", keep, (), Context())
    assert set(function.versions) == (used | newest) & {str(number) for number in range(1, count + 1)}


def test_what_cannot_be_deleted_is_told_but_rolls_back_no_release(send, capsys):
    function = Lambda(versions=6, live="6")
    function.refusals["DeleteFunction"] = [Refused("ResourceConflictException", 409, "it is replicated")]
    answer = send(function)
    assert answer["Status"] == "SUCCESS"
    assert list(function.versions) == ["1", "5", "6"]
    assert answer["Data"]["Result"].startswith("3 old versions deleted; left version 1: ")
    assert "it is replicated" in answer["Data"]["Result"]
    assert answer["Data"]["Result"] in capsys.readouterr().out


@pytest.mark.parametrize("operation", ["ListVersionsByFunction", "ListAliases"])
def test_without_the_whole_picture_it_deletes_nothing(send, operation):
    function = Lambda(versions=6, live="6")
    function.refusals[operation] = [Refused("AccessDeniedException", 403)]
    answer = send(function)
    assert answer["Status"] == "SUCCESS"
    assert "AccessDenied" in answer["Data"]["Result"]
    assert len(function.versions) == 6


def test_the_next_release_tries_again(send):
    function = Lambda(versions=6, live="6")
    function.refusals["DeleteFunction"] = [Refused("TooManyRequestsException", 429)] * 20
    send(function)
    assert len(function.versions) == 6
    function.refusals.clear()
    send(function)
    assert list(function.versions) == ["5", "6"]


def test_a_repeated_request_changes_nothing_twice(send):
    function = Lambda(versions=6, live="6")
    for _ in range(2):
        assert send(function)["Status"] == "SUCCESS"
        assert list(function.versions) == ["5", "6"]
    assert function.names().count("DeleteFunction") == 4


def test_stops_in_time_to_answer(send):
    function = Lambda(versions=6, live="6")
    answer = send(function, "Update", PLENTY, PLENTY, 59_999)
    assert list(function.versions) == ["3", "4", "5", "6"]
    assert answer["Data"]["Result"].endswith("left version 3 and newer ones: no time was left")


@pytest.mark.parametrize("character", ["k", "é", "語", "📦", "\\", '"'])
def test_an_answer_always_fits_into_what_cloudformation_reads(send, cloudformation, character):
    function = Lambda(versions=60, live="60")
    function.refusals["DeleteFunction"] = [Refused("ResourceConflictException", 409, character * 1000)] * 60
    assert send(function)["Status"] == "SUCCESS"
    assert len(cloudformation.requests[-1][3]) <= 4096


def test_the_stack_goes_without_it(send):
    function = Lambda(versions=6, live="6")
    answer = send(function, "Delete")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "Greeter")
    assert function.calls == []


def test_another_function_is_another_resource(send):
    function = Lambda(versions=6, live="6")
    assert send(function, "Create")["PhysicalResourceId"] == "Greeter"
