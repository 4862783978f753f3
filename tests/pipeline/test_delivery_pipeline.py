"""The pipeline: stages in order, artifacts to whom they are meant for, and one role that may do this and no more."""

import json

import pytest
from aws_cdk import App, CfnParameter, Duration, NestedStack, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_s3 as s3

from code_family_constructs import (
    AlertTopic,
    ArtifactStore,
    BuildProject,
    ConfigurationError,
    DeliveryPipeline,
    Ec2Deployment,
    Ec2Fleet,
    ManualApproval,
    StageAction,
    Statement,
)
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_source, a_stack, allowed, of_type, only, refuses

PIPELINE = "AWS::CodePipeline::Pipeline"


class ToWebsite:
    """A platform of a user's own: nothing but the one method of the Deployment protocol."""

    def __init__(self, bucket):
        self.bucket = bucket
        self.readers: list[Statement] = []

    def stage_action(self, context):
        return StageAction(
            prepared_by=[
                actions.ManualApprovalAction(action_name=f"Freeze{context.pipeline_name}", run_order=context.run_order)
            ],
            action=actions.S3DeployAction(
                action_name=context.action_name,
                bucket=self.bucket,
                input=context.revision,
                run_order=context.run_order + 1,
            ),
            permissions=[Statement(actions=["s3:PutObject"], resources=["arn:aws:s3:::website/index.html"])],
            artifact_readers=[self.readers.extend],
        )


def to_tagged(stack, id_):
    tags = codedeploy.InstanceTagSet({"Stage": [id_]})
    return Ec2Deployment(stack, id_, ec2_instance_tags=tags, instance_roles=[])


@pytest.fixture(scope="module")
def templates():
    app = App()

    release = Stack(app, "Release")
    pipeline = DeliveryPipeline(
        release, "Pipeline", source=a_source(), build=BuildProject(release, "Build"), build_artifacts=("App", "Infra")
    )
    check = BuildProject(release, "Check")
    pipeline.add_stage("Staging", deploy=to_tagged(release, "Staging"), test=check)
    pipeline.add_stage(
        "Production",
        approval=ManualApproval(
            question="Release #{codepipeline.PipelineExecutionId}?",
            links={"Dashboard": "https://acme.example/#{SourceVariables.CommitId}"},
            review_url="https://staging.acme.example/",
            timeout=Duration.hours(1),
            notify_emails=["ops@acme.example"],
        ),
        deploy=to_tagged(release, "Production"),
        test=check,
        input="Infra",
    )

    clone = Stack(app, "Clone")
    DeliveryPipeline(
        clone, "Pipeline", source=a_source(code_build_clone_output=True), build=BuildProject(clone, "Build")
    )

    shared = Stack(app, "Shared")
    store = ArtifactStore(shared, "Artifacts")
    alerts = AlertTopic(shared, "Alerts")
    ask = ManualApproval(question="?", topic=alerts.topic)
    for name in ("Web", "Api"):
        DeliveryPipeline(shared, name, source=a_source(), artifact_store=store).add_stage("Next", approval=ask)

    website = Stack(app, "Website")
    deployment = ToWebsite(s3.Bucket.from_bucket_name(website, "Bucket", "website"))
    DeliveryPipeline(
        website, "Pipeline", source=a_source(), execution_mode=codepipeline.ExecutionMode.QUEUED
    ).add_stage("Live", deploy=deployment, test=BuildProject(website, "Check"))
    synthesized_stacks = {stack.stack_name: synthesized(stack) for stack in (release, clone, shared, website)}
    return synthesized_stacks, {
        "readers": [website.resolve(list(statement.resources)) for statement in deployment.readers]
    }


@pytest.fixture(scope="module")
def release(templates):
    return templates[0]["Release"]


@pytest.fixture(scope="module")
def clone(templates):
    return templates[0]["Clone"]


@pytest.fixture(scope="module")
def shared(templates):
    return templates[0]["Shared"]


@pytest.fixture(scope="module")
def website(templates):
    return templates[0]["Website"]


def stages(template):
    return {stage["Name"]: stage["Actions"] for stage in only(template, PIPELINE)["Stages"]}


def artifacts(action, direction):
    return [artifact["Name"] for artifact in action.get(f"{direction}Artifacts", ())]


def test_a_deployment_is_prepared_before_it_runs_and_tested_after(website):
    order = {action["Name"]: action["RunOrder"] for action in stages(website)["Live"]}
    assert order == {"FreezeWebsite-Pipeline": 1, "Deploy": 2, "Test": 3}


def test_stages_run_in_the_order_in_which_they_were_added(release):
    assert list(stages(release)) == ["Source", "Build", "Staging", "Production"]


def test_a_stage_asks_then_deploys_then_tests(release):
    order = {
        stage: [(action["Name"], action["RunOrder"]) for action in sorted(acts, key=lambda a: a["RunOrder"])]
        for stage, acts in stages(release).items()
    }
    assert order["Staging"] == [("Deploy", 1), ("Test", 2)]
    assert order["Production"] == [("Approve", 1), ("Deploy", 2), ("Test", 3)]


def test_a_check_of_a_stage_is_a_test_and_makes_no_artifacts(release):
    for stage in ("Staging", "Production"):
        (test,) = [action for action in stages(release)[stage] if action["Name"] == "Test"]
        assert test["ActionTypeId"]["Category"] == "Test"
        assert artifacts(test, "Output") == []


def test_what_only_tests_cannot_replace_what_is_deployed(release):
    bucket = next(name for name in of_type(release, "AWS::S3::Bucket") if name.startswith("PipelineArtifactsBucket"))
    writes = f"s3:PutObject on <{bucket}.Arn>/Release-Pipeline/*"
    assert writes in allowed(release, "BuildRolePolicy")
    checks = allowed(release, "CheckRolePolicy")
    assert writes.replace("PutObject", "GetObject") in checks
    assert not [line for line in checks if line.startswith(("s3:Put", "kms:Encrypt", "kms:GenerateDataKey"))]


def test_each_build_artifact_can_be_deployed(release):
    (build,) = stages(release)["Build"]
    assert (artifacts(build, "Input"), artifacts(build, "Output")) == (["Source"], ["App", "Infra"])
    inputs = {
        (stage, action["Name"]): artifacts(action, "Input")
        for stage in ("Staging", "Production")
        for action in stages(release)[stage]
        if action["Name"] != "Approve"
    }
    assert inputs == {
        ("Staging", "Deploy"): ["App"],
        ("Staging", "Test"): ["App"],
        ("Production", "Deploy"): ["Infra"],
        ("Production", "Test"): ["Infra"],
    }


def test_artifacts_are_encrypted_with_the_stores_key(release):
    (key,) = of_type(release, "AWS::KMS::Key")
    assert only(release, PIPELINE)["ArtifactStore"]["EncryptionKey"] == {
        "Id": {"Fn::GetAtt": [key, "Arn"]},
        "Type": "KMS",
    }
    assert {
        project["EncryptionKey"]["Fn::GetAtt"][0] for project in of_type(release, "AWS::CodeBuild::Project").values()
    } == {key}


def test_changing_the_pipeline_releases_nothing(release):
    assert only(release, PIPELINE)["RestartExecutionOnUpdate"] is False


def test_a_revision_that_overtakes_another_is_dealt_with_as_asked(release, website):
    assert only(release, PIPELINE)["ExecutionMode"] == "SUPERSEDED"
    assert only(website, PIPELINE)["ExecutionMode"] == "QUEUED"
    assert only(release, PIPELINE)["PipelineType"] == "V2"


def test_the_approver_reads_question_link_and_has_the_time_that_was_given(release):
    approve = stages(release)["Production"][0]
    assert text_of(approve["Configuration"]["CustomData"]).splitlines() == [
        "Release #{codepipeline.PipelineExecutionId}?",
        "Source #{SourceVariables.CommitId} by #{SourceVariables.AuthorDisplayName}: #{SourceVariables.CommitMessage}",
        "https://github.com/acme/shop/commit/#{SourceVariables.CommitId}",
        "Builds and tests: https://<AWS::Region>.console.aws.amazon.com/codesuite/codepipeline/pipelines/"
        "Release-Pipeline/executions/#{codepipeline.PipelineExecutionId}/visualization?region=<AWS::Region>",
        "Dashboard: https://acme.example/#{SourceVariables.CommitId}",
    ]
    assert approve["Configuration"]["ExternalEntityLink"] == "https://staging.acme.example/"
    assert approve["TimeoutInMinutes"] == 60


def test_an_approval_with_emails_makes_an_encrypted_topic_that_the_pipeline_may_publish_to(release):
    ((topic_id, topic),) = of_type(release, "AWS::SNS::Topic").items()
    (key,) = of_type(release, "AWS::KMS::Key")
    assert topic["KmsMasterKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
    assert only(release, "AWS::SNS::Subscription")["Endpoint"] == "ops@acme.example"
    assert stages(release)["Production"][0]["Configuration"]["NotificationArn"] == {"Ref": topic_id}
    assert {f"sns:Publish on <{topic_id}>", f"kms:GenerateDataKey on <{key}.Arn>"} <= allowed(
        release, "PipelineRolePolicy"
    )


def test_a_topic_with_a_key_of_its_own_can_be_published_to(shared):
    ((topic_id, topic),) = of_type(shared, "AWS::SNS::Topic").items()
    key = topic["KmsMasterKeyId"]["Fn::GetAtt"][0]
    for pipeline in ("Web", "Api"):
        assert {
            f"sns:Publish on <{topic_id}>",
            f"kms:Decrypt on <{key}.Arn>",
            f"kms:GenerateDataKey on <{key}.Arn>",
        } <= allowed(shared, f"{pipeline}RolePolicy")


def test_the_role_may_use_exactly_this_connection_and_repository(release):
    uses = [
        (statement["Action"], statement["Resource"], statement["Condition"])
        for statement in of_type(release, "AWS::IAM::ManagedPolicy")[policy_id(release)]["PolicyDocument"]["Statement"]
        if "UseConnection" in statement["Action"][0]
    ]
    assert [(resource, list(condition["StringEqualsIfExists"].values())) for _, resource, condition in uses] == [
        ([CONNECTION_ARN], ["acme/shop"])
    ] * 2


def policy_id(template):
    (name,) = [name for name in of_type(template, "AWS::IAM::ManagedPolicy") if name.startswith("PipelineRolePolicy")]
    return name


def test_the_role_may_start_exactly_these_builds(release):
    here = "arn:<AWS::Partition>:codebuild:<AWS::Region>:<AWS::AccountId>:project"
    starts = {line for line in allowed(release, "PipelineRolePolicy") if line.startswith("codebuild:StartBuild")}
    assert starts == {f"codebuild:StartBuild on {here}/Release-{project}" for project in ("Build", "Check")}


def test_the_role_may_do_what_the_users_own_deployment_asks_for_and_aws_cdk_adds_nothing(website):
    lines = allowed(website, "PipelineRolePolicy")
    assert {line for line in lines if "website" in line} == {"s3:PutObject on arn:aws:s3:::website/index.html"}
    assert of_type(website, "AWS::IAM::Policy") == {}


def test_one_role_is_enough_for_all_actions(release):
    roles = [name for name in of_type(release, "AWS::IAM::Role") if name.startswith("Pipeline")]
    assert len(roles) == 1
    assert not any("RoleArn" in action for acts in stages(release).values() for action in acts)


def test_a_users_own_deployment_is_a_stage_like_any_other(website):
    _, live, _ = stages(website)["Live"]
    assert live["ActionTypeId"]["Provider"] == "S3"
    assert artifacts(live, "Input") == ["Source"]


def test_whoever_fetches_the_revision_is_told_which_folder_and_key(templates, website):
    (bucket,) = [name for name in of_type(website, "AWS::S3::Bucket") if name.startswith("PipelineArtifactsBucket")]
    (key,) = of_type(website, "AWS::KMS::Key")
    objects, use_key = templates[1]["readers"]
    assert objects == [{"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/Website-Pipeline/*"]]}]
    assert use_key == [{"Fn::GetAtt": [key, "Arn"]}]


def test_only_a_build_of_a_full_clone_may_use_the_connection(release, clone):
    uses = {f"{service}:UseConnection on {CONNECTION_ARN}" for service in ("codeconnections", "codestar-connections")}
    assert uses <= allowed(clone, "BuildRolePolicy")
    assert not uses & allowed(release, "BuildRolePolicy")


def test_pipelines_that_share_a_store_keep_to_their_own_folders(shared):
    assert len(of_type(shared, "AWS::S3::Bucket")) == 2
    assert len({json.dumps(p["ArtifactStore"]) for p in of_type(shared, PIPELINE).values()}) == 1
    for pipeline, other in (("Web", "Api"), ("Api", "Web")):
        lines = allowed(shared, f"{pipeline}RolePolicy")
        assert any(line.endswith(f"/Shared-{pipeline}/*") for line in lines)
        assert not any(f"/Shared-{other}" in line for line in lines)


def a_pipeline(stack, **settings):
    return DeliveryPipeline(stack, "Pipeline", **{"source": a_source(), **settings})


def test_fails_when_two_pipelines_would_share_a_folder():
    """CodePipeline cuts the folder's name at 20 characters: these two would read and write each other's artifacts."""
    stack = Stack(App(), "PaymentsServiceProduction")
    store = ArtifactStore(stack, "Artifacts")
    DeliveryPipeline(stack, "Orders", source=a_source(), artifact_store=store)
    with refuses("PaymentsServiceProduction-Invoices", at="PaymentsServiceProduction/Invoices", fix="pipeline_name"):
        DeliveryPipeline(stack, "Invoices", source=a_source(), artifact_store=store)


def test_a_build_may_serve_two_pipelines_that_share_a_store():
    stack = a_stack()
    store, build = ArtifactStore(stack, "Artifacts"), BuildProject(stack, "Build")
    for name in ("Web", "Api"):
        DeliveryPipeline(stack, name, source=a_source(), build=build, artifact_store=store)
    lines = allowed(synthesized(stack), "BuildRolePolicy")
    assert {line.rsplit("/", 2)[1] for line in lines if line.startswith("s3:GetObject ")} == {"Shop-Web", "Shop-Api"}


def test_fails_when_one_build_serves_pipelines_with_different_keys():
    """A project has one key: what it makes for the second pipeline, the second pipeline could not decrypt."""
    stack = a_stack()
    build = BuildProject(stack, "Build")
    DeliveryPipeline(stack, "Web", source=a_source(), build=build)
    with refuses("different artifact stores", at="Shop/Build", fix="give both pipelines the same artifact_store="):
        DeliveryPipeline(stack, "Api", source=a_source(), build=build)


@pytest.mark.parametrize("name", ["", "my pipeline", "a" * 101])
def test_fails_when_codepipeline_would_refuse_the_name(name):
    with refuses("pipeline name", at="Shop/Pipeline", fix="use 1 to 100 characters"):
        a_pipeline(a_stack(), pipeline_name=name)


def test_fails_when_the_name_is_known_at_deploy_time_only():
    stack = a_stack()
    with refuses("not known at synth time", at="Shop/Pipeline", fix="give pipeline_name as plain text"):
        a_pipeline(stack, pipeline_name=CfnParameter(stack, "Name").value_as_string)


@pytest.mark.parametrize(
    ("names", "problem", "fix"),
    [
        ([], "0 artifacts", "give build_artifacts 1 to 5 names"),
        (["a", "b", "c", "d", "e", "f"], "6 artifacts", "give build_artifacts 1 to 5 names"),
        (["App", "App"], "two artifacts are called 'App'", "a name of its own"),
        (["Source"], "two artifacts are called 'Source'", "a name of its own"),
        (["my.app"], "artifact name 'my.app' has '.'", "use 1 to 100 characters"),
        (["a" * 101], "101 characters", "use 1 to 100 characters"),
        # A string is a sequence of one-letter names to Python and to mypy.
        ("Site", "'Site'", "build_artifacts=["),
    ],
    ids=str,
)
def test_fails_when_build_artifacts_are_none_that_codepipeline_takes(names, problem, fix):
    stack = a_stack()
    with refuses(problem, at="Shop/Pipeline", fix=fix):
        a_pipeline(stack, build=BuildProject(stack, "Build"), build_artifacts=names)


def test_five_build_artifacts_are_accepted():
    stack = a_stack()
    pipeline = a_pipeline(stack, build=BuildProject(stack, "Build"), build_artifacts=["a", "b", "c", "d", "E" * 100])
    assert pipeline.pipeline.stage_count == 2


def test_fails_when_there_are_build_artifacts_but_no_build():
    with refuses("App", at="Shop/Pipeline", fix="build="):
        a_pipeline(a_stack(), build_artifacts=["App"])


ASK = ManualApproval(question="?")


def test_fails_when_a_stage_does_nothing():
    with refuses("stage 'Empty' does nothing", at="Shop/Pipeline", fix="give it approval=, deploy=, invoke=, test="):
        a_pipeline(a_stack()).add_stage("Empty")


@pytest.mark.parametrize("name", ["Source", "Build", "Production"])
def test_fails_when_a_stage_is_named_twice(name):
    stack = a_stack()
    pipeline = a_pipeline(stack, build=BuildProject(stack, "Build"))
    pipeline.add_stage("Production", approval=ASK)
    with refuses(f"stage {name!r}", at="Shop/Pipeline", fix="taken are Source, Build, Production"):
        pipeline.add_stage(name, approval=ASK)


@pytest.mark.parametrize("name", ["", "My stage", "a/b", "a" * 101])
def test_fails_when_codepipeline_would_refuse_the_stages_name(name):
    with refuses("stage name", at="Shop/Pipeline", fix="use 1 to 100 characters"):
        a_pipeline(a_stack()).add_stage(name, approval=ASK)


def test_fails_when_there_are_more_stages_than_codepipeline_takes():
    pipeline = a_pipeline(a_stack())
    for number in range(49):
        pipeline.add_stage(f"Stage{number}", approval=ASK)
    with refuses("'Last' is number 51", at="Shop/Pipeline", fix="CodePipeline takes 50 stages"):
        pipeline.add_stage("Last", approval=ASK)
    assert pipeline.pipeline.stage_count == 50


def test_fails_when_nothing_makes_the_artifact():
    stack = a_stack()
    pipeline = a_pipeline(stack, build=BuildProject(stack, "Build"))
    with refuses("stage 'Production' takes artifact 'App'", at="Shop/Pipeline", fix="use one of Source, Build"):
        pipeline.add_stage("Production", deploy=to_tagged(stack, "Production"), input="App")


@pytest.mark.parametrize("with_build", [False, True])
def test_fails_when_a_full_clone_would_be_deployed(with_build):
    stack = a_stack()
    build = BuildProject(stack, "Build") if with_build else None
    pipeline = a_pipeline(stack, source=a_source(code_build_clone_output=True), build=build)
    with refuses("'Production' deploys a full clone", at="Shop/Pipeline", fix="deploy what a build makes of it"):
        pipeline.add_stage("Production", deploy=to_tagged(stack, "Production"), input="Source")


def test_a_full_clone_can_be_tested():
    stack = a_stack()
    pipeline = a_pipeline(stack, source=a_source(code_build_clone_output=True))
    pipeline.add_stage("Check", test=BuildProject(stack, "Check"))
    assert f"codeconnections:UseConnection on {CONNECTION_ARN}" in allowed(synthesized(stack), "CheckRolePolicy")


@pytest.mark.parametrize("beside_the_fleet", [True, False])
def test_fails_when_fleet_and_pipeline_would_wait_for_each_other(beside_the_fleet):
    """aws-cdk-lib finds out at the end, and tells of resources that the user never wrote."""
    app = App()
    servers, release = Stack(app, "Servers"), Stack(app, "Release")
    fleet = Ec2Fleet(servers, "Fleet", certificate=None)
    deployment = Ec2Deployment(servers if beside_the_fleet else release, "Deployment", fleet=fleet)
    pipeline = DeliveryPipeline(release, "Pipeline", source=a_source())
    with refuses("'Servers/Fleet' would wait", at="Release/Pipeline", fix="make an ArtifactStore in that stack"):
        pipeline.add_stage("Production", deploy=deployment)


@pytest.mark.parametrize("store_in", ["Servers", "Shared"])
def test_fleet_and_pipeline_can_be_in_two_stacks_with_the_store_elsewhere(store_in):
    app = App()
    stacks = {name: Stack(app, name) for name in ("Servers", "Release", "Shared")}
    fleet = Ec2Fleet(stacks["Servers"], "Fleet", certificate=None)
    store = ArtifactStore(stacks[store_in], "Artifacts")
    pipeline = DeliveryPipeline(stacks["Release"], "Pipeline", source=a_source(), artifact_store=store)
    pipeline.add_stage("Production", deploy=Ec2Deployment(stacks["Servers"], "Deployment", fleet=fleet))
    assert only(synthesized(stacks["Release"]), PIPELINE)["Stages"][1]["Name"] == "Production"


def test_a_fleet_can_be_in_a_nested_stack_of_the_pipelines_stack():
    stack = a_stack()
    servers = NestedStack(stack, "Servers")
    deployment = Ec2Deployment(
        servers, "Deployment", application_name="shop", fleet=Ec2Fleet(servers, "Fleet", certificate=None)
    )
    DeliveryPipeline(stack, "Pipeline", source=a_source()).add_stage("Production", deploy=deployment)
    assert only(synthesized(stack), PIPELINE)["Stages"][1]["Name"] == "Production"


def test_fails_when_nothing_comes_after_the_source():
    stack = a_stack()
    DeliveryPipeline(stack, "Pipeline", source=a_source())
    with pytest.raises(RuntimeError, match=r"\[Shop/Pipeline\] .*source alone.*fix: give build=, or call add_stage"):
        synthesized(stack)


def test_a_refused_stage_leaves_the_pipeline_as_it_was():
    stack = a_stack()
    pipeline = a_pipeline(stack)
    before = pipeline.pipeline.stage_count
    with pytest.raises(ConfigurationError):
        pipeline.add_stage(
            "Production", approval=ManualApproval(question="?", notify_emails=["ops@acme.example"]), input="App"
        )
    assert pipeline.pipeline.stage_count == before
    assert "ProductionApproval" not in [child.node.id for child in pipeline.node.children]
    pipeline.add_stage("Production", approval=ASK)


def test_what_the_role_may_do_fits_into_what_iam_takes():
    """A managed policy has 6144 characters at most, white space aside; the stack would fail while it is deployed.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    stack = a_stack()
    pipeline = a_pipeline(stack, build=BuildProject(stack, "Build"))
    for number in range(12):
        pipeline.add_stage(f"Region{number}", deploy=to_tagged(stack, f"Region{number}"))
    template = synthesized(stack)
    sizes = [
        len(json.dumps(deployed(policy["PolicyDocument"]), separators=(",", ":")))
        for policy in of_type(template, "AWS::IAM::ManagedPolicy").values()
    ]
    assert max(sizes) <= 6144


def deployed(value):
    """A value of a template with references as long as they are in an account."""
    match value:
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": "AWS::Region"}:
            return "us-east-1"
        case {"Ref": "AWS::AccountId"}:
            return "1" * 12
        case {"Ref": _} | {"Fn::GetAtt": _}:
            return "arn:aws:kms:us-east-1:111111111111:key/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
        case {"Fn::Join": [delimiter, items]}:
            return delimiter.join(deployed(item) for item in items)
        case dict():
            return {key: deployed(item) for key, item in value.items()}
        case list():
            return [deployed(item) for item in value]
        case _:
            return value
