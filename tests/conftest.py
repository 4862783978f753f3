"""What all tests share: the built-in validator off (one test turns it on), and snapshots as plain text files."""

import os

import pytest
from syrupy.assertion import SnapshotAssertion

os.environ["CDK_VALIDATION"] = "false"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    # Imported here: aws-cdk-lib takes seconds, and the tests of the sample application and of the endpoint need none.
    from code_family_constructs.testing import TextSnapshot

    return snapshot.use_extension(TextSnapshot)
