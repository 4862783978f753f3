"""This library: the reference stack as it is; further pipelines share its store and connection and deploy by tag."""

import sys
from typing import Any

from aws_cdk import App
from aws_cdk import aws_codedeploy as codedeploy

from code_family_constructs import BuildProject, DeliveryPipeline, Ec2Deployment, ManualApproval, Source
from stacks.github_to_ec2 import GitHubToEc2


def add_pipelines(stack: GitHubToEc2, last: int) -> None:
    shared: Any = {name: stack.node.find_child(name) for name in ("Artifacts", "Alerts", "Fleet", "GitHub")}
    for i in range(2, last + 1):
        pipeline = DeliveryPipeline(
            stack,
            f"App{i}Pipeline",
            source=Source.github(f"acme/app-{i}", connection=shared["GitHub"], branch="main"),
            build=BuildProject(stack, f"App{i}Build"),
            artifact_store=shared["Artifacts"],
        )
        pipeline.add_stage(
            "Production",
            approval=ManualApproval(
                question="Release #{codepipeline.PipelineExecutionId}?", topic=shared["Alerts"].topic
            ),
            deploy=Ec2Deployment(
                stack,
                f"App{i}Deployment",
                ec2_instance_tags=codedeploy.InstanceTagSet({"app": [f"app-{i}"]}),
                instance_roles=[],
                health=shared["Fleet"].health,
            ),
        )


app = App()
reference = GitHubToEc2(app, "GitHubToEc2", repository="acme/app-1")
if (pipelines := int(sys.argv[1])) > 1:
    add_pipelines(reference, pipelines)
app.synth()
