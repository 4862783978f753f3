"""A bundled stack as `cdk deploy` sees it, with both cdk-nag packs looking on, and what is asked of each of them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack, Validations
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs.testing import synthesized

FLAGS: Mapping[str, Any] = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
STATEFUL = (
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::CodeBuild::ReportGroup",
    "AWS::CodeCommit::Repository",
    "AWS::CodeConnections::Connection",
    "AWS::CodeConnections::Host",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::CodePipeline::Pipeline",
    "AWS::EC2::VPC",
    "AWS::ECR::Repository",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::KMS::Key",
    "AWS::Lambda::Alias",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "Custom::BlueGreenDeploymentGroup",
)


class Review:
    """The stack that `make` returns, synthesized.

    Args:
        make: Makes the stack in an app.
        folder: Where the assembly goes.
        flags: Feature flags of the app; those of cdk.json when left out.
    """

    def __init__(self, make: Callable[[App], Stack], folder: Path, flags: Mapping[str, Any] = FLAGS) -> None:
        app = App(outdir=str(folder), context=dict(flags), analytics_reporting=False)
        # A second pack in the same call is ignored, and so is one that comes after the first synth.
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        self.stack = make(app)
        self.template = synthesized(self.stack)
        self.resources: Mapping[str, Any] = self.template["Resources"]
        self.template_file = folder / f"{self.stack.stack_name}.template.json"
        self.report = json.loads((folder / "validation-report.json").read_text())

    def names_of(self, *types: str) -> set[str]:
        """Logical ids of the resources of these types."""
        return {name for name, resource in self.resources.items() if resource["Type"] in types}


def assert_both_packs_find_nothing(review: Review) -> None:
    packs = {pack["pluginName"]: pack for pack in review.report["pluginReports"]}
    assert set(packs) == {"AwsSolutions", "NIST.800.53.R5"}
    found = [
        f"{violation['ruleName']} on {resource['constructPath']}"
        for pack in packs.values()
        for violation in pack["violations"]
        for resource in violation["violatingConstructs"]
    ]
    assert found == []
    assert all(pack["conclusion"] == "success" for pack in packs.values())


def acknowledged(review: Review) -> list[str]:
    """Every finding that was acknowledged, and why."""
    lines = sorted(
        f"{violation['ruleName']} on {resource['constructPath']}\n    {violation['reason']}"
        for pack in review.report["pluginReports"]
        for violation in pack["suppressedViolations"]
        for resource in violation["violatingConstructs"]
    )
    assert all(len(line.splitlines()[1].split()) > 5 for line in lines)
    return lines


def assert_nothing_outlives_the_stack(review: Review) -> None:
    kept = {
        name: resource["DeletionPolicy"]
        for name, resource in review.resources.items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept == {}
    emptied = {
        resource["Properties"]["BucketName"]["Ref"]
        for resource in review.resources.values()
        if resource["Type"] == "Custom::EmptyBucket"
    }
    assert emptied == review.names_of("AWS::S3::Bucket")
    for name in review.names_of("AWS::ECR::Repository"):
        assert review.resources[name]["Properties"]["EmptyOnDelete"] is True


def assert_no_token_leaks(review: Review) -> None:
    assert "${Token[" not in review.template_file.read_text()


def assert_cfn_lint_accepts(review: Review) -> None:
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    settings = ManualArgs(regions=["us-east-1", "eu-central-1"], ignore_checks=["W3005"])
    problems = lint_file(review.template_file, settings)
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []
