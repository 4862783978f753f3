"""The stacks of one account's regions: what their reviewer reads, what is guarded, what AWS's own checkers say."""

import pytest

from code_family_constructs.testing import outline_of, template_of
from tests.helpers import only
from tests.stacks.companies import IRELAND, TOKYO, VIRGINIA, regions
from tests.stacks.review import (
    STATEFUL,
    acknowledged,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
    assert_nothing_outlives_the_stack,
)
from tests.stacks.several import OTHER_WORDS, Several

SERVICES = [f"Service-{region}" for region in (IRELAND, VIRGINIA, TOKYO)]
ARTIFACTS = [f"Artifacts-{region}" for region in (VIRGINIA, TOKYO)]
# The third region's stacks are the second's, but for its name.
DIFFERENT = ["MultiRegion", "Artifacts-us-east-1", "Service-eu-west-1", "Service-us-east-1"]
each_kind = pytest.mark.parametrize("name", DIFFERENT)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return Several(regions(IRELAND, VIRGINIA, TOKYO), tmp_path_factory.mktemp("regions"))


@pytest.fixture(scope="module")
def pipeline(world):
    return only(world.templates["MultiRegion"], "AWS::CodePipeline::Pipeline")


@each_kind
def test_release_goes_to_one_region_first_and_then_to_the_others(world, name, snapshot):
    assert outline_of(world.of[name].stack) == snapshot(name="outline")


@each_kind
def test_template(world, name, snapshot):
    assert template_of(world.of[name].stack) == snapshot(name="template")


def test_each_wave_is_tested_before_the_next_one_starts(pipeline):
    waves = {
        stage["Name"]: [(action["RunOrder"], action["Name"]) for action in stage["Actions"]]
        for stage in pipeline["Stages"][2:]
    }
    assert waves == {
        "Wave1": [(1, IRELAND), (2, f"Check-{IRELAND}")],
        "Wave2": [(1, VIRGINIA), (1, TOKYO), (2, f"Check-{VIRGINIA}"), (2, f"Check-{TOKYO}")],
    }
    # A stage that fails is left as it is, and nothing goes on from it.
    assert all("OnFailure" not in stage for stage in pipeline["Stages"])


def test_each_action_runs_in_its_region_by_a_role_of_that_region(pipeline):
    home, abroad = pipeline["Stages"][2:]
    assert all({"Region", "RoleArn"}.isdisjoint(action) for action in home["Actions"])
    assert {action["Name"]: action["Region"] for action in abroad["Actions"]} == {
        VIRGINIA: VIRGINIA,
        TOKYO: TOKYO,
        f"Check-{VIRGINIA}": VIRGINIA,
        f"Check-{TOKYO}": TOKYO,
    }
    roles = {action["Region"]: action["RoleArn"] for action in abroad["Actions"]}
    # Names of roles are the same in all regions of an account: two of them have to differ.
    assert len(set(roles.values())) == 2


def test_each_region_has_a_store_of_its_own_encrypted_with_a_key_of_its_own(pipeline):
    stores = {store["Region"]: store["ArtifactStore"] for store in pipeline["ArtifactStores"]}
    assert set(stores) == {IRELAND, VIRGINIA, TOKYO}
    assert stores[VIRGINIA] == {
        "Type": "S3",
        "Location": "artifacts-us-east-1-artifacts-b-111111111111-us-east-1-d5868832",
        "EncryptionKey": {
            "Type": "KMS",
            "Id": {
                "Fn::GetStackOutput": {
                    "StackName": "Artifacts-us-east-1",
                    "OutputName": "ArtifactsKeyArn6B9A5DF0",
                    "Region": VIRGINIA,
                }
            },
        },
    }


def test_stores_and_targets_are_deployed_before_the_pipeline(world):
    assert world.deploy_order() == [{*SERVICES, *ARTIFACTS}, {"MultiRegion"}]


def test_both_nag_packs_looked_and_found_nothing(world):
    assert_both_packs_find_nothing(world.app)


def test_every_acknowledged_finding_is_known_and_has_a_reason(world, snapshot):
    """One more acknowledgment is a decision: this file and this count change with it."""
    lines = [line for line in acknowledged(world.app) if TOKYO not in line.split("\n")[0]]
    assert len(lines) == 59
    assert "\n".join(lines) + "\n" == snapshot(name="acknowledged")


def test_names_of_what_holds_state_are_kept(world):
    """A changed logical id is a new, empty resource, or an alias without its versions: a breaking change."""
    assert world.of["MultiRegion"].names_of(*STATEFUL) == {
        "ArtifactsAccessLogsBucketE76260C0",
        "ArtifactsBucket88671897",
        "ArtifactsKeyA4B22E2B",
        "BucketEmptierFunctionLogs6DEA2D3B",
        "BuildLogs04E75593",
        "GitHubConnection327BBDDD",
        "Pipeline9850B417",
    }
    for name in ARTIFACTS:
        assert world.of[name].names_of(*STATEFUL) == {
            "ArtifactsAccessLogsBucketE76260C0",
            "ArtifactsBucket88671897",
            "ArtifactsKeyA4B22E2B",
            "BucketEmptierFunctionLogs6DEA2D3B",
        }
    for name in SERVICES:
        assert world.of[name].names_of(*STATEFUL) == {
            "CheckFunctionLogs9F06D189",
            "DeploymentAliasB65153D8",
            "DeploymentApplication7D968237",
            "DeploymentDeploymentGroup7E7F554F",
            "DeploymentReleaserLogs31487C39",
            "GreeterLogsF429D38F",
        }


@each_kind
def test_nothing_that_costs_money_outlives_the_stack(world, name):
    assert_nothing_outlives_the_stack(world.of[name])


@each_kind
def test_no_token_leaks_into_the_template(world, name):
    assert_no_token_leaks(world.of[name])


def test_feature_flags_of_the_app_do_not_change_our_resources(world, tmp_path):
    plain = Several(regions(IRELAND, VIRGINIA, TOKYO), tmp_path, OTHER_WORDS)
    assert_both_packs_find_nothing(plain.app)
    for name in world.of:
        assert template_of(plain.of[name].stack) == template_of(world.of[name].stack)


@each_kind
def test_cfn_lint_accepts_the_template(world, name):
    assert_cfn_lint_accepts(world.of[name])
