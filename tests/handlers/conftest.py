"""CloudFormation's answer box, for all handlers of custom resources."""

import sys

import pytest

from tests.handlers.doubles import CloudFormation


@pytest.fixture
def cloudformation(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = CloudFormation()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch):
    """Tests write one file after the other within a second: Python would take two of one length for the same."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
