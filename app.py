#!/usr/bin/env python3
"""What gets deployed, and where."""

from typing import Any

import aws_cdk as cdk

from code_family_constructs import ConfigurationError, TargetEnvironment
from stacks.branches import Branches
from stacks.change_set import ChangeSet
from stacks.ec2_blue_green import Ec2BlueGreen
from stacks.ecs_canary import EcsCanary
from stacks.github_to_ec2 import GitHubToEc2
from stacks.lambda_canary import LambdaCanary
from stacks.multi_region import MultiRegion, RegionalArtifacts
from stacks.multi_source import MultiSource
from stacks.pull_request_checks import PullRequestChecks
from stacks.service_per_pipeline import ServicePerPipeline
from stacks.staging_to_production import Service, StagingToProduction

app = cdk.App()


def setting(name: str, default: str = "") -> str:
    """A setting from `cdk … -c name=value` or from cdk.json; constructs never read the context themselves."""
    return str(app.node.try_get_context(name) or default)


def listed(name: str) -> list[str]:
    """A setting of several values with commas between them."""
    return [value.strip() for value in setting(name).split(",") if value.strip()]


def environment(name: str) -> TargetEnvironment:
    """Where something is deployed, from a setting such as `staging=222222222222/eu-west-1`."""
    account, slash, region = setting(name).partition("/")
    if not slash:
        raise ConfigurationError(
            f"setting {name}={setting(name)!r} is no account and region",
            at="app.py",
            fix=f"cdk … -c {name}=222222222222/eu-west-1, and so for each of {', '.join(ACCOUNTS)}",
        )
    return TargetEnvironment(name.capitalize(), account=account, region=region)


# Settings of stacks in several places come first: what is wrong with them need not wait for all other stacks.
ACCOUNTS = ("tooling", "staging", "production")
accounts = [environment(name) for name in ACCOUNTS] if any(map(setting, ACCOUNTS)) else []
if bool(setting("account")) != bool(setting("regions")):
    raise ConfigurationError(
        f"settings account={setting('account')!r} and regions={setting('regions')!r}",
        at="app.py",
        fix="give both: cdk … -c account=111111111111 -c regions=eu-west-1,us-east-1",
    )
regions = [TargetEnvironment("Region", account=setting("account"), region=region) for region in listed("regions")]

repository = setting("repository", "your-name/your-repository")
source: dict[str, Any] = {"repository": repository, "branch": setting("branch", "main")}
release: dict[str, Any] = {**source, "approvers": listed("approvers")}

GitHubToEc2(app, "GitHubToEc2", **release)
Ec2BlueGreen(app, "Ec2BlueGreen", testers=listed("testers"), **release)
EcsCanary(app, "EcsCanary", **release)
LambdaCanary(app, "LambdaCanary", **release)
ChangeSet(app, "ChangeSet", **release)
MultiSource(app, "MultiSource", infrastructure=setting("infrastructure", "your-name/your-infrastructure"), **release)
Branches(app, "Branches", repository=repository, approvers=release["approvers"])
ServicePerPipeline(app, "ServicePerPipeline", services=listed("services") or ["orders", "payments"], **release)
if connection := setting("connection"):
    # CodeBuild makes the webhook while this is deployed: somebody has to have finished the connection's handshake.
    PullRequestChecks(app, "PullRequestChecks", repository=repository, connection_arn=connection)

# Across accounts and regions these have to be known: each stack's template says whom it lets in.
if accounts:
    tooling, staging, production = accounts
    StagingToProduction(
        app,
        "StagingToProduction",
        **release,
        staging=Service(app, "ServiceStaging", env=staging.env),
        production=Service(app, "ServiceProduction", env=production.env),
        env=tooling.env,
    )
if regions:
    services = [Service(app, f"Service-{each.region}", env=each.env) for each in regions]
    MultiRegion(
        app,
        "MultiRegion",
        **source,
        # The first region alone, then all others at the same time.
        waves=[wave for wave in (services[:1], services[1:]) if wave],
        artifacts=[RegionalArtifacts(app, f"Artifacts-{each.region}", env=each.env) for each in regions[1:]],
        env=regions[0].env,
    )

app.synth()
