"""Accounts and regions that tests are about, and the bundled stacks that are in several, made as app.py makes them."""

from code_family_constructs import TargetEnvironment
from stacks.multi_region import MultiRegion, RegionalArtifacts
from stacks.staging_to_production import Service, StagingToProduction

IRELAND, VIRGINIA, TOKYO = "eu-west-1", "us-east-1", "ap-northeast-1"
TOOLING = TargetEnvironment("Tooling", account="111111111111", region=IRELAND)
STAGING = TargetEnvironment("Staging", account="222222222222", region=IRELAND)
PRODUCTION = TargetEnvironment("Production", account="333333333333", region=IRELAND)
ABROAD = TargetEnvironment("Abroad", account=TOOLING.account, region=VIRGINIA)


def three_accounts(app):
    staging, production = (Service(app, f"Service{each.name}", env=each.env) for each in (STAGING, PRODUCTION))
    return StagingToProduction(
        app,
        "StagingToProduction",
        repository="acme/shop",
        staging=staging,
        production=production,
        approvers=["release@acme.example"],
        env=TOOLING.env,
    )


def regions(*names):
    """A function that makes the stacks of an account in these regions, the pipeline in the first of them."""

    def make(app):
        home, *others = (TargetEnvironment("Region", account=TOOLING.account, region=name).env for name in names)
        services = [Service(app, f"Service-{env.region}", env=env) for env in (home, *others)]
        return MultiRegion(
            app,
            "MultiRegion",
            repository="acme/shop",
            waves=[services[:1], services[1:]],
            artifacts=[RegionalArtifacts(app, f"Artifacts-{env.region}", env=env) for env in others],
            env=home,
        )

    return make
