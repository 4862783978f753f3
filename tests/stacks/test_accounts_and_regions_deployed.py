"""The stacks of several accounts and of several regions on one endpoint, by the real CDK CLI, and their releases."""

import json
from pathlib import Path

import pytest

from code_family_constructs.local import Endpoint
from tests.stacks.companies import ABROAD, IRELAND, PRODUCTION, STAGING, TOOLING, VIRGINIA, regions, three_accounts
from tests.stacks.deployed import READ, Deployed
from tests.stacks.releases import Execution, log_of
from tests.stacks.review import FLAGS

PLACES = (TOOLING, ABROAD, STAGING, PRODUCTION)
GREETER = Path("sample_app/lambda/index.py").read_text()


class Release(Execution):
    """One run of a pipeline, whose Lambda actions run in the account and region of a stack."""

    def __init__(self, deployed, pipeline, built):
        super().__init__(deployed, pipeline)
        self.built = built
        self.put("Build", {"index.py": GREETER, "release.txt": built})

    def run(self, action, there):
        """How an action ends, given as `stage/action`."""
        stage, self._wanted = action.split("/")
        self.client = there.client
        return self.invoke(stage)

    def action(self, stage, provider):
        [actions] = [each["actions"] for each in self.pipeline["stages"] if each["name"] == stage]
        [found] = [action for action in actions if action["name"] == self._wanted]
        text = json.dumps(found["configuration"]).replace("#{BuildVariables.RELEASE}", self.built)
        return {**found, "configuration": json.loads(text)}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    def both(app):
        # As in cdk.json: what one stack reads of another lets that one go.
        weak = "@aws-cdk/core:defaultCrossStackReferences"
        app.node.set_context(weak, FLAGS[weak])
        three_accounts(app)
        return regions(IRELAND, VIRGINIA)(app)

    with Endpoint(account=TOOLING.account, region=TOOLING.region) as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("accounts"), "StagingToProduction")
        deployment.bootstrap(*PLACES)
        app = deployment.synth("app", both)
        deployment.cdk("deploy", "--all", "--require-approval", "never", "--concurrency", "2", app=app)
        yield deployment


def test_each_stack_is_in_its_account_and_region(deployed):
    assert {place: stacks_in(deployed, place) for place in PLACES} == {
        TOOLING: {"CDKToolkit", "StagingToProduction", "MultiRegion", f"Service-{IRELAND}"},
        ABROAD: {"CDKToolkit", f"Artifacts-{VIRGINIA}", f"Service-{VIRGINIA}"},
        STAGING: {"CDKToolkit", "ServiceStaging"},
        PRODUCTION: {"CDKToolkit", "ServiceProduction"},
    }


def test_each_property_of_the_code_family_can_be_read_back(deployed):
    kinds = set()
    for name in deployed.templates:
        found = deployed.beside(name).differences()
        assert [difference for differences in found.values() for difference in differences] == []
        kinds |= set(found)
    assert kinds == {*READ} - {"AWS::CodeDeploy::DeploymentConfig"}


def test_roles_that_the_pipeline_names_are_there(deployed):
    """Nothing in the pipeline's template waits for them by a reference; the order of stacks does."""
    pipeline = deployed.client("codepipeline").get_pipeline(name="StagingToProduction-Pipeline")["pipeline"]
    named = {action["roleArn"] for stage in pipeline["stages"] for action in stage["actions"] if "roleArn" in action}
    there = {
        role["Arn"]
        for name in ("ServiceStaging", "ServiceProduction")
        for role in deployed.beside(name).client("iam").list_roles()["Roles"]
        if role["AssumeRolePolicyDocument"]["Statement"][0].get("Condition", {}).get("ArnEquals", {})
        == {"aws:PrincipalArn": pipeline["roleArn"]}
    }
    assert len(named) == 2
    assert named == there


def test_actions_of_another_region_find_a_store_there(deployed):
    pipeline = deployed.client("codepipeline").get_pipeline(name="MultiRegion-Pipeline")["pipeline"]
    assert "artifactStore" not in pipeline
    used = {action["region"] for stage in pipeline["stages"] for action in stage["actions"] if "region" in action}
    assert used == {VIRGINIA}
    store = pipeline["artifactStores"][VIRGINIA]
    abroad = deployed.beside(f"Artifacts-{VIRGINIA}")
    assert store["location"] == abroad.id_of("ArtifactsBucket", "AWS::S3::Bucket")
    assert store["encryptionKey"]["id"].endswith(f"/{abroad.id_of('ArtifactsKey', 'AWS::KMS::Key')}")
    assert {*pipeline["artifactStores"]} == {IRELAND, VIRGINIA}


def test_a_release_is_live_in_its_account_after_the_deployment_and_not_before(deployed):
    """The functions run for real, each with the account and region of its stack."""
    release = Release(deployed, "StagingToProduction-Pipeline", "release-2")
    staging = deployed.beside("ServiceStaging")
    assert release.run("Staging/SmokeTest", staging) == "Failed"
    assert "nothing has been released yet" in log_of(staging, staging.id_of("Check", "AWS::Lambda::Function"))
    assert release.run("Staging/Deploy", staging) == "Succeeded"
    assert release.run("Staging/SmokeTest", staging) == "Succeeded"


def test_a_check_refuses_a_release_that_was_not_built(deployed):
    staging = deployed.beside("ServiceStaging")
    release = Release(deployed, "StagingToProduction-Pipeline", "release-3")
    assert release.run("Staging/SmokeTest", staging) == "Failed"
    check = staging.id_of("Check", "AWS::Lambda::Function")
    assert "release release-2 answers, release-3 was built" in log_of(staging, check)


def test_destroy_leaves_nothing(deployed):
    deployed.cdk("destroy", "--all", "--force", app=deployed.folder / "app")
    for place in PLACES:
        assert stacks_in(deployed, place) == {"CDKToolkit"}
        buckets = {bucket["Name"] for bucket in client_of(deployed, place, "s3").list_buckets()["Buckets"]}
        assert all(bucket.startswith("cdk-hnb659fds-assets-") for bucket in buckets)
        assert client_of(deployed, place, "lambda").list_functions()["Functions"] == []
        assert client_of(deployed, place, "codepipeline").list_pipelines()["pipelines"] == []


def client_of(deployed, place, service):
    return deployed.endpoint.client(service, account=place.account, region=place.region)


def stacks_in(deployed, place):
    stacks = client_of(deployed, place, "cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in stacks}
