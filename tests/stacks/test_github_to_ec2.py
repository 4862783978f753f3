"""The reference stack: what its reviewer reads, what is guarded, and what AWS's own checkers say."""

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs.testing import outline_of, synthesized, template_of
from stacks.github_to_ec2 import GitHubToEc2

FLAGS = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]


class Reference:
    """The stack as `cdk deploy` sees it, with both cdk-nag packs looking on."""

    def __init__(self, folder: Path, flags: dict[str, Any]) -> None:
        app = App(outdir=str(folder), context=flags, analytics_reporting=False)
        # A second pack in the same call is ignored, and so is one that comes after the first synth.
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        self.stack = GitHubToEc2(app, "GitHubToEc2", repository="acme/shop", approvers=["release@acme.example"])
        self.template = synthesized(self.stack)
        self.template_file = folder / "GitHubToEc2.template.json"
        self.report = json.loads((folder / "validation-report.json").read_text())


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("reference"), FLAGS)


def test_release_is_built_approved_and_deployed_in_this_order(reference, snapshot):
    assert outline_of(reference.stack) == snapshot(name="outline")


def test_template(reference, snapshot):
    assert template_of(reference.stack) == snapshot(name="template")


def test_both_nag_packs_looked_and_found_nothing(reference):
    packs = {pack["pluginName"]: pack for pack in reference.report["pluginReports"]}
    assert set(packs) == {"AwsSolutions", "NIST.800.53.R5"}
    assert all(pack["conclusion"] == "success" and not pack["violations"] for pack in packs.values())


def test_every_acknowledged_finding_is_known_and_has_a_reason(reference, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = sorted(
        f"{violation['ruleName']} on {resource['constructPath']}\n    {violation['reason']}"
        for pack in reference.report["pluginReports"]
        for violation in pack["suppressedViolations"]
        for resource in violation["violatingConstructs"]
    )
    assert len(lines) == 28
    assert all(len(line.splitlines()[1].split()) > 5 for line in lines)
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(reference):
    """A changed logical id is a new, empty resource: for these, a breaking change."""
    stateful = (
        "AWS::S3::Bucket",
        "AWS::KMS::Key",
        "AWS::CodeConnections::Connection",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Topic",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::AutoScaling::AutoScalingGroup",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::CodePipeline::Pipeline",
        "AWS::EC2::VPC",
    )
    found = {name for name, resource in reference.template["Resources"].items() if resource["Type"] in stateful}
    assert found == {
        "AlertsTopicCF7C81C9",
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "DeploymentApplication7D968237",
        "DeploymentDeploymentGroup7E7F554F",
        "FleetAutoScalingGroupASGDF45BDA5",
        "FleetLoadBalancerFB7B619B",
        "FleetLogsBucket51FF8579",
        "FleetVpc61AA06F9",
        "GitHubConnection327BBDDD",
        "Pipeline9850B417",
    }


def test_nothing_that_costs_money_outlives_the_stack(reference):
    kept = {
        name: resource["DeletionPolicy"]
        for name, resource in reference.template["Resources"].items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept == {}
    emptied = {
        resource["Properties"]["BucketName"]["Ref"]
        for resource in reference.template["Resources"].values()
        if resource["Type"] == "Custom::EmptyBucket"
    }
    buckets = {n for n, resource in reference.template["Resources"].items() if resource["Type"] == "AWS::S3::Bucket"}
    assert emptied == buckets


def test_no_token_leaks_into_the_template(reference):
    assert "${Token[" not in reference.template_file.read_text()


def test_five_roles_are_enough(reference):
    roles = [name for name, resource in reference.template["Resources"].items() if resource["Type"] == "AWS::IAM::Role"]
    assert len(roles) <= 5


def test_feature_flags_of_the_app_do_not_change_our_resources(reference, tmp_path):
    plain = Reference(tmp_path, {})
    assert not any(pack["violations"] for pack in plain.report["pluginReports"])
    assert template_of(plain.stack) == template_of(reference.stack)


def test_cfn_lint_accepts_the_template(reference):
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    settings = ManualArgs(regions=["us-east-1", "eu-central-1"], ignore_checks=["W3005"])
    problems = lint_file(reference.template_file, settings)
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []
