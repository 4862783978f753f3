"""Sources: what each of them tells a pipeline, the action that fetches it, and what starts it."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_notifications as destinations
from aws_cdk import aws_sns as sns

from code_family_constructs import CodeConnection, Source
from code_family_constructs.source.host import CodeConnectionHost
from code_family_constructs.source.repository import Repository
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_source, a_stack, of_type, only, refuses
from tests.source.pipelines import a_source_context, release

CONNECTION = CodeConnection.from_connection_arn(CONNECTION_ARN)
HERE = {"account": "111111111111", "region": "eu-west-1"}

CONNECTED = {
    "github": ("acme/shop", "GitHub"),
    "github_enterprise": ("acme/shop", "GitHubEnterprise"),
    "gitlab": ("acme/web/shop", "GitLab"),
    "gitlab_self_managed": ("acme/web/shop", "GitLabSelfManaged"),
    "bitbucket": ("acme/shop", "Bitbucket"),
    "azure_devops": ("acme/web/shop", "AzureDevOps"),
}


def connected(factory, **settings):
    repository, _ = CONNECTED[factory]
    return getattr(Source, factory)(repository, connection=CONNECTION, **settings)


def of_codecommit(stack):
    return Source.codecommit(Repository(stack, "Repository"), branch="release/2.x", code_build_clone_output=True)


def of_an_imported_repository(stack):
    found = codecommit.Repository.from_repository_name(stack, "Repository", "shop")
    return Source.codecommit(found, trigger_on_push=False)


def of_s3(stack):
    bucket = s3.Bucket(stack, "Drop", versioned=True, encryption_key=kms.Key(stack, "Key"))
    return Source.s3(bucket, "shop/source.zip")


def of_s3_by_hand(stack):
    return Source.s3(s3.Bucket(stack, "Drop", versioned=True), "source.zip", trigger_on_upload=False)


def of_an_imported_bucket(stack):
    return Source.s3(s3.Bucket.from_bucket_name(stack, "Drop", "drop"), "source.zip")


def of_ecr(stack):
    return Source.ecr(ecr.Repository(stack, "Images"), image_tag="stable")


def of_an_imported_image(stack):
    return Source.ecr(ecr.Repository.from_repository_name(stack, "Images", "shop"), trigger_on_push=False)


AWS_SOURCES = [
    of_codecommit,
    of_an_imported_repository,
    of_s3,
    of_s3_by_hand,
    of_an_imported_bucket,
    of_ecr,
    of_an_imported_image,
]


@pytest.fixture(scope="module")
def sources():
    return {}


@pytest.fixture(scope="module")
def template_of(sources):
    app = App()
    stacks: dict[Any, Stack] = {}
    for make in AWS_SOURCES:
        stacks[make] = Stack(app, make.__name__.replace("_", "-"))
        sources[make] = make(stacks[make])
        release(stacks[make], sources[make])
    for factory in CONNECTED:
        stacks[factory] = Stack(app, factory.replace("_", "-"))
        sources[factory] = connected(factory, branch="release/2.x")
        release(stacks[factory], sources[factory])
    return lambda made: synthesized(stacks[made])


def action_in(template):
    (action,) = only(template, "AWS::CodePipeline::Pipeline")["Stages"][0]["Actions"]
    return action


def pattern_in(template):
    return only(template, "AWS::Events::Rule")["EventPattern"]


@pytest.mark.parametrize("factory", CONNECTED)
def test_each_push_to_the_branch_starts_a_release(template_of, factory):
    action = action_in(template_of(factory))
    assert action["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
    assert (action["Name"], action["Namespace"]) == ("Code", "SourceVariables")
    assert action["Configuration"] == {
        "ConnectionArn": CONNECTION_ARN,
        "FullRepositoryId": CONNECTED[factory][0],
        "BranchName": "release/2.x",
        "DetectChanges": True,
    }
    assert of_type(template_of(factory), "AWS::Events::Rule") == {}


def test_pushes_can_be_ignored_and_a_clone_asked_for():
    stack = a_stack()
    release(stack, a_source(trigger_on_push=False, code_build_clone_output=True))
    configuration = action_in(synthesized(stack))["Configuration"]
    assert configuration["DetectChanges"] is False
    assert configuration["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF"


def test_the_pipeline_may_ignore_what_the_source_would_tell():
    """Where filters of a trigger decide, the same push would start a release twice."""
    stack = a_stack()
    release(stack, Source.codecommit(Repository(stack, "Repository")), detect_changes=False)
    assert of_type(synthesized(stack), "AWS::Events::Rule") == {}


@pytest.mark.parametrize("factory", CONNECTED)
def test_a_source_tells_the_pipeline_what_it_is(factory):
    repository, action_name = CONNECTED[factory]
    source = connected(factory, branch="dev", trigger_on_push=False)
    assert source.describe == f"{repository}@dev"
    assert (source.provider, source.action_name) == ("CodeStarSourceConnection", action_name)
    assert (source.branch, source.detects_changes, source.full_clone) == ("dev", False, False)
    assert {"CommitId", "CommitMessage", "AuthorDisplayName", "PullRequestId", "TagName"} <= source.variables


def test_a_source_in_aws_tells_the_pipeline_what_it_is(template_of, sources):
    template_of(of_ecr)
    told = {
        make.__name__: (one.provider, one.action_name, one.branch, one.full_clone, one.detects_changes)
        for make, one in sources.items()
        if make in AWS_SOURCES
    }
    assert told == {
        "of_codecommit": ("CodeCommit", "CodeCommit", "release/2.x", True, True),
        "of_an_imported_repository": ("CodeCommit", "CodeCommit", "main", False, False),
        "of_s3": ("S3", "S3", None, False, True),
        "of_s3_by_hand": ("S3", "S3", None, False, False),
        "of_an_imported_bucket": ("S3", "S3", None, False, True),
        "of_ecr": ("ECR", "ECR", None, False, True),
        "of_an_imported_image": ("ECR", "ECR", None, False, False),
    }
    assert sources[of_codecommit].describe == "of-codecommit-Repository@release/2.x"
    assert sources[of_an_imported_repository].describe == "shop@main"
    assert sources[of_s3].describe == "s3://Drop/shop/source.zip"
    assert sources[of_an_imported_bucket].describe == "s3://drop/source.zip"
    assert sources[of_ecr].describe == "Images:stable"
    assert "CommitId" in sources[of_codecommit].variables
    assert "VersionId" in sources[of_s3].variables
    assert "ImageDigest" in sources[of_ecr].variables


def test_only_a_full_clone_needs_permissions_of_the_build(template_of, sources):
    assert a_source().build_permissions == ()
    clone = a_source(code_build_clone_output=True)
    assert clone.build_permissions == clone.permissions
    template_of(of_codecommit)
    assert sources[of_an_imported_repository].build_permissions == ()
    assert [one.actions for one in sources[of_codecommit].build_permissions] == [["codecommit:GitPull"]]


def test_a_push_to_the_branch_starts_the_pipeline_without_polling(template_of):
    template = template_of(of_codecommit)
    action = action_in(template)
    assert (action["Name"], action["Namespace"]) == ("Code", "SourceVariables")
    assert {key: text_of(value) for key, value in action["Configuration"].items()} == {
        "RepositoryName": "<Repository71B74A19.Name>",
        "BranchName": "release/2.x",
        "PollForSourceChanges": "false",
        "OutputArtifactFormat": "CODEBUILD_CLONE_REF",
    }
    pattern = pattern_in(template)
    assert [text_of(resource) for resource in pattern["resources"]] == ["<Repository71B74A19.Arn>"]
    assert pattern["detail"] == {
        "event": ["referenceCreated", "referenceUpdated"],
        "referenceType": ["branch"],
        "referenceName": ["release/2.x"],
    }


def test_an_upload_starts_the_pipeline_without_polling_or_a_trail(template_of):
    template = template_of(of_s3)
    configuration = action_in(template)["Configuration"]
    assert configuration["S3ObjectKey"] == "shop/source.zip"
    assert configuration["PollForSourceChanges"] == "false"
    detail = pattern_in(template)["detail"]
    assert (text_of(detail["bucket"]["name"][0]), detail["object"]) == (
        text_of(configuration["S3Bucket"]),
        {"key": ["shop/source.zip"]},
    )
    bucket = only(template, "AWS::S3::Bucket")
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert of_type(template, "AWS::Lambda::Function") == {}
    assert of_type(template, "AWS::CloudTrail::Trail") == {}


def test_a_bucket_that_notifies_others_goes_on_to_do_so():
    """aws-cdk-lib then sets all notifications at once, after CloudFormation has made the bucket."""
    stack = a_stack()
    bucket = s3.Bucket(stack, "Drop", versioned=True)
    bucket.add_event_notification(s3.EventType.OBJECT_REMOVED, destinations.SnsDestination(sns.Topic(stack, "Topic")))
    release(stack, Source.s3(bucket, "source.zip"))
    configuration = only(synthesized(stack), "Custom::S3BucketNotifications")["NotificationConfiguration"]
    assert configuration["EventBridgeConfiguration"] == {}
    assert len(configuration["TopicConfigurations"]) == 1


def test_fails_when_later_notifications_of_the_bucket_would_turn_off_those_that_start_the_pipeline():
    stack = a_stack()
    bucket = s3.Bucket(stack, "Drop", versioned=True)
    release(stack, Source.s3(bucket, "source.zip"))
    bucket.add_event_notification(s3.EventType.OBJECT_REMOVED, destinations.SnsDestination(sns.Topic(stack, "Topic")))
    with pytest.raises(RuntimeError, match=r"Shop/Drop\] notifications were added after .*event_bridge_enabled=True"):
        synthesized(stack)


def test_the_pipeline_is_let_use_the_key_that_an_alias_stands_for():
    """A policy that names an alias allows nothing."""
    stack = a_stack()
    key = kms.Key(stack, "Key")
    by_alias = s3.Bucket(stack, "Drop", versioned=True, encryption_key=key.add_alias("alias/drop"))
    (*_, decrypt) = Source.s3(by_alias, "source.zip").permissions
    assert (decrypt.actions, decrypt.resources) == (["kms:Decrypt"], [key.key_arn])


def an_encrypted_bucket(key_arn):
    stack = a_stack()
    key = kms.Key.from_key_arn(stack, "Key", key_arn)
    return s3.Bucket.from_bucket_attributes(stack, "Drop", bucket_name="drop", encryption_key=key)


def test_the_key_that_aws_manages_lets_in_who_may_read_the_object():
    bucket = an_encrypted_bucket("arn:aws:kms:eu-west-1:111111111111:alias/aws/s3")
    actions = [action for one in Source.s3(bucket, "source.zip").permissions for action in one.actions]
    assert [action for action in actions if not action.startswith("s3:")] == []


def test_fails_when_nothing_but_an_alias_tells_the_key_of_the_bucket():
    bucket = an_encrypted_bucket("arn:aws:kms:eu-west-1:111111111111:alias/drop")
    with refuses("'Shop/Drop' is encrypted with 'alias/drop'", at="Source.s3", fix="kms.Key.from_key_arn"):
        Source.s3(bucket, "source.zip")


def test_a_push_of_the_tag_starts_the_pipeline(template_of):
    template = template_of(of_ecr)
    configuration = action_in(template)["Configuration"]
    detail = pattern_in(template)["detail"]
    assert configuration["ImageTag"] == "stable"
    assert detail.pop("repository-name") == [configuration["RepositoryName"]]
    assert detail == {"action-type": ["PUSH"], "result": ["SUCCESS"], "image-tag": ["stable"]}


@pytest.mark.parametrize("made", [of_an_imported_repository, of_s3_by_hand, of_an_imported_image])
def test_where_changes_are_ignored_nothing_is_made_that_could_start_the_pipeline(template_of, made):
    assert of_type(template_of(made), "AWS::Events::Rule") == {}
    assert of_type(template_of(made), "AWS::IAM::Role") == {}
    assert action_in(template_of(made))["Configuration"].get("PollForSourceChanges", "false") == "false"
    for bucket in of_type(template_of(made), "AWS::S3::Bucket").values():
        assert "NotificationConfiguration" not in bucket


@pytest.mark.parametrize("made", [of_codecommit, of_s3, of_an_imported_bucket, of_ecr])
def test_events_may_start_exactly_this_pipeline(template_of, made):
    template = template_of(made)
    pipeline_arn = "arn:<AWS::Partition>:codepipeline:<AWS::Region>:<AWS::AccountId>:Shop-Pipeline"
    (target,) = only(template, "AWS::Events::Rule")["Targets"]
    assert text_of(target["Arn"]) == pipeline_arn
    (statement,) = only(template, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Action"], text_of(statement["Resource"])) == (
        ["codepipeline:StartPipelineExecution"],
        text_of([target["Arn"]]),
    )
    (trust,) = only(template, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_pipeline_may_read_the_source_and_nothing_else(template_of, sources):
    template_of(of_ecr)

    def may(made):
        stack = sources[made].permissions
        return [(list(one.actions), len(one.resources)) for one in stack]

    assert may(of_an_imported_repository) == [
        (
            [
                "codecommit:CancelUploadArchive",
                "codecommit:GetBranch",
                "codecommit:GetCommit",
                "codecommit:GetUploadArchiveStatus",
                "codecommit:UploadArchive",
            ],
            1,
        )
    ]
    assert may(of_codecommit)[0][0][-1] == "codecommit:GetRepository"
    assert may(of_s3) == [
        (["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"], 1),
        (["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"], 1),
        (["kms:Decrypt"], 1),
    ]
    assert may(of_an_imported_bucket) == may(of_s3)[:2]
    assert sources[of_s3].permissions[1].resources[0].endswith("/shop/source.zip")
    assert may(of_ecr) == [(["ecr:DescribeImages"], 1)]


@pytest.mark.parametrize(
    ("factory", "commit", "compared"),
    [
        (
            "github",
            "https://github.com/acme/shop/commit/#{SourceVariables.CommitId}",
            "https://github.com/acme/shop/compare/live/1...#{SourceVariables.CommitId}",
        ),
        (
            "gitlab",
            "https://gitlab.com/acme/web/shop/-/commit/#{SourceVariables.CommitId}",
            "https://gitlab.com/acme/web/shop/-/compare/live/1...#{SourceVariables.CommitId}",
        ),
        (
            "bitbucket",
            "https://bitbucket.org/acme/shop/commits/#{SourceVariables.CommitId}",
            "https://bitbucket.org/acme/shop/branches/compare/#{SourceVariables.CommitId}%0Dlive/1",
        ),
        (
            "azure_devops",
            "https://dev.azure.com/acme/web/_git/shop/commit/#{SourceVariables.CommitId}",
            "https://dev.azure.com/acme/web/_git/shop/branchCompare?baseVersion=GBlive/1"
            "&targetVersion=GC#{SourceVariables.CommitId}",
        ),
    ],
)
def test_links_lead_to_the_commit_and_to_what_is_new_in_it(factory, commit, compared):
    source = connected(factory)
    assert source.revision_link("SourceVariables") == commit
    assert source.compare_link("SourceVariables", "live/1") == compared


def test_links_to_a_server_of_ones_own_need_its_address():
    assert connected("gitlab_self_managed").revision_link("SourceVariables") is None
    assert connected("github_enterprise").compare_link("SourceVariables", "live") is None
    arn = CONNECTION_ARN.replace("connection/", "host/")
    host = CodeConnectionHost.from_host_arn(arn, provider_endpoint="https://git.acme.example")
    stack = a_stack()
    lab = CodeConnection.gitlab_self_managed(stack, "GitLab", host=host)
    hub = CodeConnection.github_enterprise(stack, "GitHub", host=host)
    assert Source.gitlab_self_managed("acme/shop", connection=lab).revision_link("A") == (
        "https://git.acme.example/acme/shop/-/commit/#{A.CommitId}"
    )
    assert Source.github_enterprise("acme/shop", connection=hub).revision_link("A") == (
        "https://git.acme.example/acme/shop/commit/#{A.CommitId}"
    )


def test_links_to_codecommit_lead_into_the_console_of_the_region():
    stack = Stack(App(), "Shop", env=HERE)
    source = Source.codecommit(Repository(stack, "Repository", repository_name="shop"))
    console = "https://eu-west-1.console.aws.amazon.com/codesuite/codecommit/repositories/shop"
    assert source.revision_link("A") == f"{console}/commit/#{{A.CommitId}}?region=eu-west-1"
    assert source.compare_link("A", "live") == f"{console}/compare/live/.../#{{A.CommitId}}?region=eu-west-1"


def test_where_there_are_no_commits_there_is_no_link():
    source = Source.s3(s3.Bucket.from_bucket_name(a_stack(), "Drop", "drop"), "source.zip")
    assert (source.revision_link("A"), source.compare_link("A", "live")) == (None, None)


def test_a_project_with_a_space_in_its_name_has_a_link():
    source = Source.azure_devops("acme/Web Shop/shop", connection=CONNECTION)
    assert "/acme/Web%20Shop/_git/shop/" in str(source.revision_link("A"))


def test_fails_when_what_to_compare_with_is_no_branch():
    with refuses("'a b' is no branch name", at="Source.compare_link", fix="write one branch"):
        a_source().compare_link("SourceVariables", "a b")


@pytest.mark.parametrize("factory", CONNECTED)
def test_fails_when_the_repository_is_none_of_the_provider(factory):
    with refuses("'shop'", "is not", at=f"Source.{factory}", fix="as in https://"):
        getattr(Source, factory)("shop", connection=CONNECTION)


@pytest.mark.parametrize("factory", CONNECTED)
def test_fails_when_git_could_have_no_such_branch(factory):
    with refuses("'feature/*' is no branch name", at=f"Source.{factory}", fix="write one branch as git shows it"):
        connected(factory, branch="feature/*")


@pytest.mark.parametrize("factory", [factory for factory in CONNECTED if factory != "gitlab"])
def test_fails_when_the_connection_leads_to_another_provider(factory):
    gitlab = CodeConnection.gitlab(a_stack(), "GitLab")
    with refuses("connection 'Shop/GitLab' leads to GitLab, not to ", at=f"Source.{factory}", fix="give a connection"):
        getattr(Source, factory)(CONNECTED[factory][0], connection=gitlab)


@pytest.mark.parametrize(
    ("factory", "settings", "fix"),
    [
        ("github", {"repository": "acme/shop", "connection": CONNECTION_ARN}, "CodeConnection.from_connection_arn("),
        ("codecommit", {"repository": "shop"}, "codecommit.Repository.from_repository_name("),
        ("s3", {"bucket": "drop", "object_key": "source.zip"}, "s3.Bucket.from_bucket_name("),
        ("ecr", {"repository": "shop"}, "ecr.Repository.from_repository_name("),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fails_when_it_is_given_the_name_and_not_the_thing(factory, settings, fix):
    with refuses("belongs", at=f"Source.{factory}", fix=fix):
        getattr(Source, factory)(**settings)


def test_owner_and_name_from_parameters_are_let_through_when_they_are_apart():
    stack = a_stack()
    owner, name = (CfnParameter(stack, what).value_as_string for what in ("Owner", "Name"))
    assert Source.github(f"{owner}/{name}", connection=CONNECTION).describe == f"{owner}/{name}@main"


def test_fails_when_the_repository_is_a_parameter_as_a_whole():
    repository = CfnParameter(a_stack(), "Repository").value_as_string
    with refuses("token as a whole", at="Source.github", fix="give owner and name apart"):
        Source.github(repository, connection=CONNECTION)


def test_a_branch_from_a_parameter_is_let_through():
    branch = CfnParameter(a_stack(), "Branch").value_as_string
    assert a_source(branch=branch).describe == f"acme/shop@{branch}"


def test_fails_when_the_bucket_is_not_versioned():
    with refuses("bucket 'Shop/Drop' is not versioned", at="Source.s3", fix="versioned=True"):
        Source.s3(s3.Bucket(a_stack(), "Drop"), "source.zip")


@pytest.mark.parametrize("key", ["", "/source.zip", "source/", "*.zip", "source-?.zip"])
def test_fails_when_it_is_no_key_of_one_object(key):
    with refuses(f"object_key={key!r}", at="Source.s3", fix="write one key"):
        Source.s3(s3.Bucket.from_bucket_name(a_stack(), "Drop", "drop"), key)


def test_fails_when_the_key_is_longer_than_s3_takes():
    with refuses("object_key has 1026 bytes", at="Source.s3", fix="1024 at most"):
        Source.s3(s3.Bucket.from_bucket_name(a_stack(), "Drop", "drop"), "ö" * 513)


@pytest.mark.parametrize("tag", ["", "sha256:0a1b", ".latest", "-1", "a b", "a" * 129, "late*"])
def test_fails_when_it_is_no_tag(tag):
    with refuses(f"{tag!r} is no tag", at="Source.ecr", fix="write one tag"):
        Source.ecr(ecr.Repository.from_repository_name(a_stack(), "Images", "shop"), image_tag=tag)


def test_fails_when_the_tag_never_moves():
    images = ecr.Repository(a_stack(), "Images", image_tag_mutability=ecr.TagMutability.IMMUTABLE)
    with refuses("tag 'latest' of repository 'Shop/Images'", at="Source.ecr", fix="IMMUTABLE_WITH_EXCLUSION"):
        Source.ecr(images)


@pytest.mark.parametrize(("tag", "mutability"), [("stable", "IMMUTABLE"), ("dev-1", "MUTABLE")])
def test_only_tags_that_move_are_taken_where_the_repository_makes_a_difference(tag, mutability):
    stack = a_stack()
    images = ecr.Repository(
        stack,
        "Images",
        image_tag_mutability=ecr.TagMutability[f"{mutability}_WITH_EXCLUSION"],
        image_tag_mutability_exclusion_filters=[ecr.ImageTagMutabilityExclusionFilter.wildcard("dev-*")],
    )
    other = {"stable": "dev-1", "dev-1": "stable"}[tag]
    assert Source.ecr(images, image_tag=other).describe == f"Images:{other}"
    with refuses(f"tag {tag!r} of repository 'Shop/Images'", at="Source.ecr", fix=f"wildcard({tag!r})"):
        Source.ecr(images, image_tag=tag)


def elsewhere(source_of):
    stack = Stack(App(), "Shop", env=HERE)
    source = source_of(stack)
    source.source_action(a_source_context(stack, source))


def test_fails_when_the_repository_is_in_another_region():
    arn = "arn:aws:codecommit:eu-central-1:111111111111:shop"
    with refuses("repository 'Shop/Code' is in region eu-central-1", at="Shop", fix="make the pipeline in region"):
        elsewhere(lambda stack: Source.codecommit(codecommit.Repository.from_repository_arn(stack, "Code", arn)))


def test_fails_when_the_bucket_is_in_another_account():
    def source(stack):
        bucket = s3.Bucket.from_bucket_attributes(stack, "Drop", bucket_name="drop", account="222222222222")
        return Source.s3(bucket, "source.zip")

    with refuses("bucket 'Shop/Drop' is in account 222222222222", at="Shop", fix="make the pipeline in account"):
        elsewhere(source)


def test_fails_when_the_images_are_in_another_account():
    arn = "arn:aws:ecr:eu-west-1:222222222222:repository/shop"
    with refuses("repository 'Shop/Images' is in account 222222222222", at="Shop", fix="make the pipeline in account"):
        elsewhere(lambda stack: Source.ecr(ecr.Repository.from_repository_arn(stack, "Images", arn)))
