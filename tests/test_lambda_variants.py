"""Other ways to release functions and stacks than the bundled stack's: the checkers find nothing in them either."""

import json

import pytest
from aws_cdk import App, CfnCapabilities, Duration, Stack, Validations
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cfnlint.api import ManualArgs, lint_file

from code_family_constructs import (
    BuildProject,
    CodeConnection,
    DeliveryPipeline,
    DeploymentHook,
    HealthGate,
    ManualApproval,
    SmokeTest,
    Source,
    Statement,
)
from code_family_constructs.deploy.lambda_function import LambdaFunction
from code_family_constructs.deploy.lambda_release import LambdaActionDeployment, LambdaCodeDeployment
from code_family_constructs.deploy.to_cloudformation import StackDeployment
from code_family_constructs.deploy.to_lambda import LambdaDeployment


def a_pipeline(stack):
    connection = CodeConnection.github(stack, "GitHub")
    return DeliveryPipeline(
        stack,
        "Pipeline",
        source=Source.github("acme/shop", connection=connection),
        build=BuildProject(stack, "Build"),
    )


def by_the_stack(stack):
    """A configuration of its own, hooks on both sides, two aliases of one function, versions that are pruned."""
    function = LambdaFunction(stack, "Greeter").function
    hook = DeploymentHook(stack, "Hook", check=SmokeTest("https://greeter.acme.example"))
    LambdaDeployment(
        stack,
        "Deployment",
        function=function,
        traffic_routing=codedeploy.TrafficRouting.time_based_linear(percentage=25, interval=Duration.minutes(2)),
        pre_traffic_hook=hook,
        post_traffic_hook=hook,
        keep_versions=3,
    )
    LambdaDeployment(stack, "Preview", function=function, alias_name="preview")


def by_a_change_set(stack):
    """A pipeline that deploys the stack of a function: first to staging, then to production."""
    pipeline = a_pipeline(stack)
    for stage in ("Staging", "Production"):
        deployment = StackDeployment(
            stack,
            f"To{stage}",
            stack_name=f"Greeter-{stage}",
            template_path=f"cdk.out/Greeter-{stage}.template.json",
            parameter_overrides={"Release": "#{codepipeline.PipelineExecutionId}"},
            capabilities=[CfnCapabilities.NAMED_IAM],
            statements=[
                Statement(
                    actions=["lambda:GetFunction", "lambda:UpdateFunctionCode"],
                    resources=[f"arn:aws:lambda:us-east-1:111122223333:function:greeter-{stage.lower()}"],
                )
            ],
        )
        pipeline.add_stage(stage, deploy=deployment)


def by_codepipelines_own_action(stack):
    """The version of one stage is asked about in the next one."""
    pipeline = a_pipeline(stack)
    staging = LambdaActionDeployment(stack, "ToStaging", function=LambdaFunction(stack, "Staging").function)
    pipeline.add_stage("Staging", deploy=staging)
    production = LambdaActionDeployment(
        stack,
        "ToProduction",
        function=LambdaFunction(stack, "Production").function,
        traffic_routing=codedeploy.TrafficRouting.all_at_once(),
    )
    question = f"Is version {staging.function_version} of staging well?"
    pipeline.add_stage("Production", approval=ManualApproval(question=question), deploy=production)


def with_a_gate_on_what_calls_the_alias(stack):
    """A URL of the alias, and a canary that asks for it: where no stack shifts the alias, nothing waits in a circle."""
    health = HealthGate(stack, "Health")
    function = LambdaFunction(stack, "Greeter").function
    health.watch_function_alias(function_name=function.function_name, alias_name="live", timeout=function.timeout)
    deployment = LambdaCodeDeployment(stack, "Deployment", function=function, health=health)
    a_pipeline(stack).add_stage("Production", deploy=deployment)
    url = deployment.alias.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
    health.watch_url("Answers", url=url.url, expected_status=403)


VARIANTS = [by_the_stack, by_a_change_set, by_codepipelines_own_action, with_a_gate_on_what_calls_the_alias]


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    app = App(outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    Validations.of(app).add_plugins(NIST80053R5Checks(app))
    for variant in VARIANTS:
        variant(Stack(app, variant.__name__.replace("_", "-")))
    app.synth()
    return folder


def test_both_nag_packs_find_nothing(synthesized):
    report = json.loads((synthesized / "validation-report.json").read_text())
    assert {pack["pluginName"]: pack["violations"] for pack in report["pluginReports"]} == {
        "AwsSolutions": [],
        "NIST.800.53.R5": [],
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_cfn_lint_accepts_the_template(synthesized, variant):
    template = synthesized / f"{variant.__name__.replace('_', '-')}.template.json"
    # W3005: aws-cdk-lib makes a pipeline wait for a role that it refers to anyway.
    problems = lint_file(template, ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"]))
    assert [f"{problem.rule.id} {problem.message}" for problem in problems] == []
