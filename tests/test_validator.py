"""The CloudFormation validator that is built into the CDK, once: elsewhere it is off, for it runs in every synth."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
import sys
from aws_cdk import App, CfnResource, Stack
from stacks.github_to_ec2 import GitHubToEc2

app = App(outdir=sys.argv[1], analytics_reporting=False)
GitHubToEc2(app, "GitHubToEc2", repository="acme/shop", approvers=["release@acme.example"])
CfnResource(Stack(app, "Wrong"), "Bucket", type="AWS::S3::Bucket", properties={"Colour": "green"})
app.synth()
"""


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """Findings by construct path, of the bundled stacks and of one that is wrong on purpose."""
    folder = tmp_path_factory.mktemp("validated")
    # A process of its own: the switch is read by Node, which has long been started here with the validator off.
    environment = {key: value for key, value in os.environ.items() if key != "CDK_VALIDATION"}
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", APP, str(folder)]
    subprocess.run(command, env={**environment, "PYTHONPATH": str(root)}, check=True, capture_output=True)
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        (construct["constructPath"], violation["description"])
        for engine in report["pluginReports"]
        for violation in engine["violations"]
        for construct in violation["violatingConstructs"]
    ]


def test_the_validator_ran(findings):
    assert [path for path, description in findings if "Colour" in description] == ["Wrong/Bucket"]


def test_it_finds_nothing_in_the_bundled_stacks(findings):
    assert [finding for finding in findings if not finding[0].startswith("Wrong/")] == []
