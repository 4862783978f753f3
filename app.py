#!/usr/bin/env python3
"""What gets deployed, and where."""

import aws_cdk as cdk

from stacks.github_to_ec2 import GitHubToEc2

app = cdk.App()


def setting(name: str, default: str) -> str:
    """A setting from `cdk … -c name=value` or from cdk.json; constructs never read the context themselves."""
    return str(app.node.try_get_context(name) or default)


GitHubToEc2(
    app,
    "GitHubToEc2",
    repository=setting("repository", "your-name/your-repository"),
    branch=setting("branch", "main"),
    approvers=[email for email in setting("approvers", "").split(",") if email],
)

app.synth()
