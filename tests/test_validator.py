"""The CloudFormation validator that is built into the CDK, once: elsewhere it is off, for it runs in every synth."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
import sys
from aws_cdk import App, CfnResource, Environment, Stack
from aws_cdk.aws_scheduler import ScheduleExpression
from code_family_constructs import ArtifactStore, BuildProject, DeliveryPipeline, ScheduleTrigger
from stacks.branches import Branches
from stacks.change_set import ChangeSet
from stacks.ec2_blue_green import Ec2BlueGreen
from stacks.ecs_canary import EcsCanary
from stacks.github_to_ec2 import GitHubToEc2
from stacks.lambda_canary import LambdaCanary
from stacks.multi_source import MultiSource
from stacks.service_per_pipeline import ServicePerPipeline
from stacks.staging_to_production import Service, StagingToProduction
from tests.helpers import a_source

app = App(outdir=sys.argv[1], analytics_reporting=False)
for stack in (GitHubToEc2, Ec2BlueGreen, EcsCanary, LambdaCanary, ChangeSet, Branches):
    stack(app, stack.__name__, repository="acme/shop", approvers=["release@acme.example"])
MultiSource(app, "MultiSource", repository="acme/shop", infrastructure="acme/infra")
ServicePerPipeline(app, "ServicePerPipeline", repository="acme/shop", services=["orders", "payments"])
staging, production = (
    Service(app, name, env=Environment(account=account, region="eu-west-1"))
    for name, account in (("ServiceStaging", "222222222222"), ("ServiceProduction", "333333333333"))
)
StagingToProduction(
    app,
    "StagingToProduction",
    repository="acme/shop",
    staging=staging,
    production=production,
    env=Environment(account="111111111111", region="eu-west-1"),
)
nightly = Stack(app, "Nightly")
store = ArtifactStore(nightly, "Artifacts")
for name in ("Web", "Api"):  # a schedule of one name each, in a group of its own
    trigger = ScheduleTrigger(name="Nightly", schedule=ScheduleExpression.cron(hour="2", minute="0"))
    build = BuildProject(nightly, f"{name}Build")
    pipeline = DeliveryPipeline(
        nightly, name, source=a_source(), build=build, triggers=[trigger], artifact_store=store
    )
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
