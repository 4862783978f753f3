"""The artifact store: encrypted, logged, tidied, and shared without one pipeline reading another's folder."""

import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack
from hypothesis import assume, given
from hypothesis import strategies as st

from code_family_constructs import ArtifactStore
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, of_type, only, refuses

STORE = ArtifactStore(a_stack(), "Artifacts")


@pytest.fixture(scope="module")
def templates():
    app = App()
    kept = Stack(app, "Kept")
    ArtifactStore(kept, "Artifacts")
    gone = Stack(app, "Gone")
    ArtifactStore(gone, "Artifacts", removal_policy=RemovalPolicy.DESTROY, artifacts_expire_after=Duration.days(1))
    return {stack.stack_name: synthesized(stack) for stack in (kept, gone)}


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
    rules = {stack: bucket_of(template)["LifecycleConfiguration"]["Rules"][0] for stack, template in templates.items()}
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
