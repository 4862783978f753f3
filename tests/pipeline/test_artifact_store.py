"""The artifact store: encrypted, logged, tidied, and shared without one pipeline reading another's folder."""

import re
from typing import Any

import pytest
from aws_cdk import App, Aws, CfnOutput, Duration, Environment, NestedStack, RemovalPolicy, Stack
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from code_family_constructs import ArtifactStore
from code_family_constructs.pipeline.artifact_store import FETCH, MAKE, TAKE
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, of_type, only, refuses

STORE = ArtifactStore(a_stack(), "Artifacts")
TOOLING, PRODUCTION = "111122223333", "333333333333"
ABROAD = Environment(account=TOOLING, region="us-east-1")


@pytest.fixture(scope="module")
def templates():
    app = App()
    kept = Stack(app, "Kept")
    ArtifactStore(kept, "Artifacts")
    gone = Stack(app, "Gone")
    ArtifactStore(gone, "Artifacts", removal_policy=RemovalPolicy.DESTROY, artifacts_expire_after=Duration.days(1))
    shared = Stack(app, "Shared", env=ABROAD)
    store = ArtifactStore(shared, "Artifacts")
    store.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    store.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/worker")
    store.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    store.let_in("shop", TAKE, f"arn:aws:iam::{TOOLING}:role/own")
    home = Stack(app, "Home", env=Environment(account=TOOLING, region="eu-west-1"))
    seen = store.seen_from(home, "Abroad")
    CfnOutput(home, "Name", value=seen.bucket_name)
    assert seen.encryption_key is not None
    CfnOutput(home, "Key", value=seen.encryption_key.key_arn)
    return {stack.stack_name: synthesized(stack) for stack in (kept, gone, shared, home)}


def bucket_of(template):
    (bucket,) = [
        bucket for name, bucket in of_type(template, "AWS::S3::Bucket").items() if name.startswith("ArtifactsBucket")
    ]
    return bucket


def ends(template, type_):
    return {r["DeletionPolicy"] for r in template["Resources"].values() if r["Type"] == type_}


def test_artifacts_are_encrypted_with_a_key_that_rotates(templates):
    ((key_id, key),) = of_type(templates["Kept"], "AWS::KMS::Key").items()
    assert key["EnableKeyRotation"] is True
    (rule,) = bucket_of(templates["Kept"])["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": [key_id, "Arn"]}


def test_key_encrypts_log_groups_of_this_account_and_region_only(templates):
    (use,) = [
        statement
        for statement in only(templates["Kept"], "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    ]
    assert text_of(use["Principal"]["Service"]) == "logs.<AWS::Region>.<AWS::URLSuffix>"
    (log_groups,) = use["Condition"]["ArnLike"].values()
    assert text_of(log_groups) == "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:*"


def test_access_to_artifacts_is_logged(templates):
    logging = bucket_of(templates["Kept"])["LoggingConfiguration"]
    assert text_of(logging["DestinationBucketName"]).startswith("<ArtifactsAccessLogs")


def test_old_artifacts_and_broken_uploads_go_by_themselves(templates):
    rules = {stack: bucket_of(templates[stack])["LifecycleConfiguration"]["Rules"][0] for stack in ("Kept", "Gone")}
    assert (rules["Kept"]["ExpirationInDays"], rules["Gone"]["ExpirationInDays"]) == (365, 1)
    assert rules["Kept"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["Kept"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_bucket_and_key_stay_together_and_go_together(templates):
    for type_ in ("AWS::S3::Bucket", "AWS::KMS::Key"):
        assert ends(templates["Kept"], type_) == {"Retain"}
        assert ends(templates["Gone"], type_) == {"Delete"}


def test_a_store_that_goes_is_emptied_first(templates):
    emptied = {e["BucketName"]["Ref"] for e in of_type(templates["Gone"], "Custom::EmptyBucket").values()}
    assert emptied == set(of_type(templates["Gone"], "AWS::S3::Bucket"))


def folder(statements):
    """The one pattern of object names that the statements speak of."""
    (pattern,) = {
        resource.split("/", 1)[1] for statement in statements for resource in statement.resources if "/" in resource
    }
    return pattern


def matches(pattern, key):
    return key.startswith(pattern.removesuffix("*"))


NAMES = st.from_regex(r"[A-Za-z0-9.@_-]{1,100}", fullmatch=True)
READERS = (STORE.permissions_of_pipeline, STORE.permissions_of_build, STORE.permissions_of_reader)


@given(name=NAMES, permissions=st.sampled_from(READERS))
def test_a_pipeline_reaches_the_folder_that_codepipeline_gives_it(name, permissions):
    assert matches(folder(permissions(name)), f"{name[:20]}/Build/a1b2c3.zip")


@given(name=NAMES, other=NAMES, permissions=st.sampled_from(READERS))
def test_a_pipeline_reaches_no_other_folder(name, other, permissions):
    assume(name[:20] != other[:20])
    assert not matches(folder(permissions(name)), f"{other[:20]}/Build/a1b2c3.zip")


def test_a_pipeline_whose_name_another_name_begins_with_cannot_read_it():
    assert not matches(folder(STORE.permissions_of_reader("shop")), "shop-payments/Build/a1b2c3.zip")


def test_who_fetches_a_revision_may_read_and_decrypt_and_nothing_else():
    actions = {action for statement in STORE.permissions_of_reader("shop") for action in statement.actions}
    assert actions == {"s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"}


def test_a_build_may_not_change_access_to_artifacts_or_delete_them():
    actions = {action for statement in STORE.permissions_of_build("shop") for action in statement.actions}
    assert {action for action in actions if action.startswith("s3:")} == {
        "s3:GetBucketAcl",
        "s3:GetBucketLocation",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:PutObject",
    }


def test_the_key_is_the_only_one_that_anybody_may_use():
    stack = Stack.of(STORE)
    (key,) = {
        text_of(stack.resolve(resource))
        for permissions in READERS
        for statement in permissions("shop")
        if any(action.startswith("kms:") for action in statement.actions)
        for resource in statement.resources
    }
    assert key.startswith("<ArtifactsKey")


def test_fails_when_the_removal_policy_means_nothing_to_a_bucket():
    with refuses("SNAPSHOT", at="Shop/Artifacts", fix="use RemovalPolicy.RETAIN or DESTROY"):
        ArtifactStore(a_stack(), "Artifacts", removal_policy=RemovalPolicy.SNAPSHOT)


@pytest.mark.parametrize("duration", [Duration.days(0), Duration.hours(1), Duration.hours(36)])
def test_fails_when_artifacts_would_not_expire_after_whole_days(duration):
    with refuses("artifacts_expire_after", at="Shop/Artifacts", fix="Duration.days("):
        ArtifactStore(a_stack(), "Artifacts", artifacts_expire_after=duration)


def guests(policy):
    return [statement for statement in policy["Statement"] if "ArnEquals" in statement.get("Condition", {})]


def test_roles_of_another_account_are_let_in_by_name_before_they_exist(templates):
    shared = templates["Shared"]
    (of_bucket,) = [
        statement
        for name, policy in of_type(shared, "AWS::S3::BucketPolicy").items()
        if name.startswith("ArtifactsBucket")
        for statement in guests(policy["PolicyDocument"])
    ]
    (of_key,) = guests(only(shared, "AWS::KMS::Key")["KeyPolicy"])
    for statement in (of_bucket, of_key):
        assert statement["Principal"] == {"AWS": f"arn:aws:iam::{PRODUCTION}:root"}
        assert statement["Condition"]["ArnEquals"]["aws:PrincipalArn"] == [
            f"arn:aws:iam::{PRODUCTION}:role/web",
            f"arn:aws:iam::{PRODUCTION}:role/worker",
        ]
    assert text_of(of_bucket["Resource"]).endswith("/shop/*")
    assert (of_bucket["Action"], of_key["Action"]) == (["s3:GetObject", "s3:GetObjectVersion"], "kms:Decrypt")


def test_a_bucket_gets_a_name_once_others_have_to_say_it(templates):
    assert "BucketName" not in bucket_of(templates["Kept"])
    name = bucket_of(templates["Shared"])["BucketName"]
    assert name.startswith("shared-artifacts-bucket-111122223333-us-east-1-")
    assert templates["Home"]["Outputs"]["Name"]["Value"] == name


def test_the_key_of_another_region_comes_from_an_output_of_its_stack(templates):
    ((output, key),) = templates["Shared"]["Outputs"].items()
    assert key["Value"]["Fn::GetAtt"][1] == "Arn"
    assert templates["Home"]["Outputs"]["Key"]["Value"] == {
        "Fn::GetStackOutput": {"StackName": "Shared", "OutputName": output, "Region": "us-east-1"}
    }


@settings(max_examples=25)
@given(
    stack=st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,127}", fullmatch=True),
    account=st.from_regex(r"[0-9]{12}", fullmatch=True),
)
def test_any_stack_gives_the_bucket_a_name_that_s3_takes(stack, account):
    store = ArtifactStore(Stack(App(), stack, env=Environment(account=account, region="us-gov-west-1")), "Artifacts")
    (statement, *_) = store.permissions_elsewhere("shop", FETCH)
    (pattern,) = statement.resources
    name = pattern.removeprefix("arn:aws-us-gov:s3:::").removesuffix("/shop/*")
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name)
    assert f"-{account}-us-gov-west-1-" in name


def test_two_stores_never_have_the_same_name():
    stacks = [
        Stack(App(), "Shop", env=Environment(account=account, region=region))
        for account in (TOOLING, PRODUCTION)
        for region in ("eu-west-1", "us-east-1")
    ]
    stores = [ArtifactStore(stack, id) for stack in stacks for id in ("Artifacts", "Artifacts2")]
    names = {store.permissions_elsewhere("shop", FETCH)[0].resources[0] for store in stores}
    assert len(names) == len(stores)


@pytest.mark.parametrize("access", [FETCH, TAKE, MAKE])
def test_elsewhere_the_key_is_good_for_what_s3_keeps_in_this_bucket_alone(access):
    store = ArtifactStore(Stack(App(), "Shop", env=ABROAD), "Artifacts")
    statements = store.permissions_elsewhere("shop", access)
    (use,) = [one for one in statements if one.actions == access.key]
    (objects,) = [one for one in statements if one.actions == access.objects]
    assert use.conditions is not None
    assert use.conditions["StringEquals"]["kms:ViaService"].startswith("s3.us-east-1.")
    bucket, of_objects = use.conditions["ArnLike"]["kms:EncryptionContext:aws:s3:arn"]
    assert [of_objects] == objects.resources == [f"{bucket}/shop/*"]


@pytest.mark.parametrize(
    ("pipeline", "artifact", "folder"),
    [
        ("shop", "Notes", "shop/Notes/"),
        ("shop", "BuildArtifact", "shop/BuildArtif/"),
        ("DeploymentPipelineStack", "Notes", "DeploymentPipelineSt/Notes/"),
        ("DeploymentPipelineStack", "Artifact_Source", "DeploymentPipelineSt/Artifact_S/"),
    ],
)
def test_elsewhere_who_makes_an_artifact_writes_into_its_folder_alone(pipeline, artifact, folder):
    store = ArtifactStore(Stack(App(), "Shop", env=ABROAD), "Artifacts")
    (objects, key) = store.permissions_elsewhere(pipeline, MAKE, [artifact])
    (pattern,) = objects.resources
    reached = re.compile(re.escape(pattern.split(":::")[1].split("/", 1)[1]).replace(r"\*", ".*"))
    assert reached.fullmatch(f"{folder}8oIuSP0")
    assert not reached.fullmatch(f"{folder.split('/')[0]}/Build/8oIuSP0")
    assert key.conditions is not None
    assert pattern in key.conditions["ArnLike"]["kms:EncryptionContext:aws:s3:arn"]


def test_elsewhere_a_bucket_of_that_name_in_another_account_is_not_trusted():
    store = ArtifactStore(Stack(App(), "Shop", env=ABROAD), "Artifacts")
    for statement in store.permissions_elsewhere("shop", TAKE):
        if statement.actions[0].startswith("s3:"):
            assert statement.conditions == {"StringEquals": {"aws:ResourceAccount": TOOLING}}


def test_fails_when_a_store_for_others_does_not_say_where_it_is():
    with refuses("not known at synth time", at="Shop/Artifacts", fix="give its stack env="):
        ArtifactStore(a_stack(), "Artifacts").permissions_elsewhere("shop", FETCH)


def test_fails_when_a_store_for_another_region_is_in_a_nested_stack():
    nested = NestedStack(Stack(App(), "Shop", env=ABROAD), "Nested")
    with refuses("nested stack", at="Shop/Nested/Artifacts", fix="a stack that is not nested"):
        ArtifactStore(nested, "Artifacts").permissions_of_pipeline("shop", from_other_region=True)


def test_fails_when_two_pipelines_of_one_name_in_two_regions_would_share_a_folder():
    app = App()
    store = ArtifactStore(Stack(app, "Shop"), "Artifacts")
    store.admit(Stack(app, "Ireland"), "shop")
    with refuses("the same folder, 'shop'", at="Virginia", fix="a store each"):
        store.admit(Stack(app, "Virginia"), "shop")


def test_a_bucket_that_is_named_from_the_start_stays_what_it_is():
    stack = Stack(App(), "Shop", env=ABROAD)
    store = ArtifactStore(stack, "Artifacts", bucket_name="acme-artifacts")
    store.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    (statement, *_) = store.permissions_elsewhere("shop", FETCH)
    assert statement.resources == ["arn:aws:s3:::acme-artifacts/shop/*"]
    assert bucket_of(synthesized(stack))["BucketName"] == "acme-artifacts"


def test_a_name_that_somebody_gave_the_bucket_itself_is_kept():
    stack = Stack(App(), "Shop", env=ABROAD)
    store = ArtifactStore(stack, "Artifacts")
    bucket: Any = store.bucket.node.default_child
    bucket.bucket_name = "acme-artifacts"
    (statement, *_) = store.permissions_elsewhere("shop", FETCH)
    assert statement.resources == ["arn:aws:s3:::acme-artifacts/shop/*"]


@pytest.mark.parametrize("name", ["Acme-Artifacts", "ab", "acme.artifacts", "acme_artifacts", "-acme", "a" * 64])
def test_fails_when_s3_has_no_such_names(name):
    with refuses("bucket name", at="Shop/Artifacts", fix="3 to 63 characters"):
        ArtifactStore(a_stack(), "Artifacts", bucket_name=name)


def test_fails_when_the_name_of_the_bucket_is_for_others_and_known_at_deploy_time_only():
    store = ArtifactStore(Stack(App(), "Shop", env=ABROAD), "Artifacts", bucket_name=Aws.STACK_NAME)
    with refuses("not known at synth time", at="Shop/Artifacts", fix="bucket_name= as plain text"):
        store.permissions_elsewhere("shop", FETCH)


def test_fails_when_pipelines_of_other_stacks_would_be_left_with_another_bucket():
    app = App()

    def a_shared_store(**settings):
        return ArtifactStore(Stack(app, f"Shared{len(app.node.children)}", env=ABROAD), "Artifacts", **settings)

    orders = Stack(app, "Orders", env=ABROAD)
    used_before, used_after = a_shared_store(), a_shared_store()
    used_before.admit(orders, "orders")
    used_after.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    with refuses("pipeline 'orders' of stack 'Orders' refers to it", at="Shared1/Artifacts", fix="a bucket_name="):
        used_before.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    with refuses("pipeline 'orders' of stack 'Orders' refers to it", at="Shared2/Artifacts", fix="a bucket_name="):
        used_after.admit(orders, "orders")
    named = a_shared_store(bucket_name="acme-artifacts")
    named.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/web")
    named.admit(orders, "orders")
    assert (
        len(
            guests(
                synthesized(Stack.of(named))["Resources"]["ArtifactsBucketPolicyBC103148"]["Properties"][
                    "PolicyDocument"
                ]
            )
        )
        == 1
    )


def test_who_says_the_name_of_a_bucket_as_text_goes_along_with_it():
    app = App()
    shop = Stack(app, "Shop", env=ABROAD)
    store = ArtifactStore(shop, "Artifacts")
    store.admit(NestedStack(shop, "Part"), "shop")
    store.admit(Stack(app, "Home", env=Environment(account=TOOLING, region="eu-west-1")), "orders")
    assert store.permissions_of_pipeline("orders", from_other_region=True)[0].resources == [
        f"arn:aws:s3:::{bucket_of(synthesized(shop))['BucketName']}"
    ]


def test_fails_when_the_bucket_policy_has_no_room_for_another_role():
    store = ArtifactStore(Stack(App(), "Shop", env=ABROAD), "Artifacts")
    with refuses("has room for", at="Shop/Artifacts", fix="a store of their own"):
        for number in range(300):
            store.let_in("shop", FETCH, f"arn:aws:iam::{PRODUCTION}:role/{number}-{'x' * 50}")
