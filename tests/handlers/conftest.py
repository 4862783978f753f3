"""CloudFormation's answer box, for all handlers of custom resources."""

import pytest

from tests.handlers.doubles import CloudFormation


@pytest.fixture
def cloudformation(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = CloudFormation()
    yield server
    server.close()
