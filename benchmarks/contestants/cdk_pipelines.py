"""CDK Pipelines beside the same fleet.

It releases stacks, not revisions to instances: here a stage with one small stack, behind the same approval.
"""

import sys

from aws_cdk import App, Stack, Stage, pipelines
from aws_cdk import aws_ssm as ssm

from benchmarks.contestants.fleet import Shared, shared_by_pipelines


def add_pipeline(stack: Stack, i: int, shared: Shared) -> None:
    source = pipelines.CodePipelineSource.connection(f"acme/app-{i}", "main", connection_arn=shared.connection_arn)
    pipeline = pipelines.CodePipeline(
        stack, f"App{i}Pipeline", synth=pipelines.ShellStep("Synth", input=source, commands=["npx cdk synth"])
    )
    production = Stage(stack, f"App{i}Production")
    ssm.StringParameter(Stack(production, "App"), "Release", string_value=f"app-{i}")
    pipeline.add_stage(production, pre=[pipelines.ManualApprovalStep("Approve")])


app = App()
stack = Stack(app, "CdkPipelines")
shared = shared_by_pipelines(stack)
for i in range(1, int(sys.argv[1]) + 1):
    add_pipeline(stack, i, shared)
app.synth()
