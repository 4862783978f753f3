"""The reference flow written by hand with plain L2s and their defaults."""

import sys

from aws_cdk import App, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from benchmarks.contestants.fleet import Shared, shared_by_pipelines


def add_pipeline(stack: Stack, i: int, shared: Shared) -> None:
    group = codedeploy.ServerDeploymentGroup(
        stack,
        f"App{i}Group",
        # CodeDeploy takes an Auto Scaling group in one deployment group only; further applications deploy by tag.
        auto_scaling_groups=[shared.group] if i == 1 else None,
        load_balancers=[codedeploy.LoadBalancer.application(shared.target_group)] if i == 1 else None,
        ec2_instance_tags=None if i == 1 else codedeploy.InstanceTagSet({"app": [f"app-{i}"]}),
        alarms=[shared.alarm],
        install_agent=i == 1,
        auto_rollback=codedeploy.AutoRollbackConfig(failed_deployment=True, deployment_in_alarm=True),
    )
    project = codebuild.PipelineProject(stack, f"App{i}Build")
    source, built = codepipeline.Artifact("Source"), codepipeline.Artifact("Build")
    codepipeline.Pipeline(
        stack,
        f"App{i}Pipeline",
        stages=[
            codepipeline.StageProps(
                stage_name="Source",
                actions=[
                    actions.CodeStarConnectionsSourceAction(
                        action_name="GitHub",
                        connection_arn=shared.connection_arn,
                        owner="acme",
                        repo=f"app-{i}",
                        branch="main",
                        output=source,
                    )
                ],
            ),
            codepipeline.StageProps(
                stage_name="Build",
                actions=[actions.CodeBuildAction(action_name="Build", project=project, input=source, outputs=[built])],
            ),
            codepipeline.StageProps(
                stage_name="Production",
                actions=[
                    actions.ManualApprovalAction(action_name="Approve", notification_topic=shared.topic, run_order=1),
                    actions.CodeDeployServerDeployAction(
                        action_name="Deploy", deployment_group=group, input=built, run_order=2
                    ),
                ],
            ),
        ],
    )


if __name__ == "__main__":
    app = App()
    stack = Stack(app, "ByHand")
    shared = shared_by_pipelines(stack)
    for i in range(1, int(sys.argv[1]) + 1):
        add_pipeline(stack, i, shared)
    app.synth()
