"""Leads test traffic to the new instances of a blue/green deployment while it waits for its traffic to be rerouted."""

import os
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> None:
    """Called by EventBridge when a deployment is ready, and when it has ended.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
    """
    deployment, state = event["detail"]["deploymentId"], event["detail"]["state"]
    targets = [{"Id": instance} for instance in green_instances(deployment)]
    print(state, deployment, targets)
    if state == "READY" and not targets:
        raise RuntimeError(f"deployment {deployment} is ready, but has no new instances")
    if targets:
        elb = boto3.client("elbv2")
        change = elb.register_targets if state == "READY" else elb.deregister_targets
        change(TargetGroupArn=os.environ["TARGET_GROUP_ARN"], Targets=targets)


def green_instances(deployment: str) -> list[str]:
    codedeploy = boto3.client("codedeploy")
    pages = codedeploy.get_paginator("list_deployment_instances").paginate(
        deploymentId=deployment, instanceTypeFilter=["Green"]
    )
    try:
        return [instance for page in pages for instance in page["instancesList"]]
    except codedeploy.exceptions.DeploymentNotStartedException:
        return []
