#!/usr/bin/env python3
"""What gets deployed, and where."""

from typing import Any

import aws_cdk as cdk

from stacks.ec2_blue_green import Ec2BlueGreen
from stacks.ecs_canary import EcsCanary
from stacks.github_to_ec2 import GitHubToEc2
from stacks.lambda_canary import LambdaCanary
from stacks.pull_request_checks import PullRequestChecks

app = cdk.App()


def setting(name: str, default: str = "") -> str:
    """A setting from `cdk … -c name=value` or from cdk.json; constructs never read the context themselves."""
    return str(app.node.try_get_context(name) or default)


def listed(name: str) -> list[str]:
    """A setting of several values with commas between them."""
    return [value for value in setting(name).split(",") if value]


repository = setting("repository", "your-name/your-repository")
release: dict[str, Any] = {
    "repository": repository,
    "branch": setting("branch", "main"),
    "approvers": listed("approvers"),
}

GitHubToEc2(app, "GitHubToEc2", **release)
Ec2BlueGreen(app, "Ec2BlueGreen", testers=listed("testers"), **release)
EcsCanary(app, "EcsCanary", **release)
LambdaCanary(app, "LambdaCanary", **release)
if connection := setting("connection"):
    # CodeBuild makes the webhook while this is deployed: somebody has to have finished the connection's handshake.
    PullRequestChecks(app, "PullRequestChecks", repository=repository, connection_arn=connection)

app.synth()
