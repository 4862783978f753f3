import uuid

import pytest
from botocore.exceptions import ClientError

from tests.local.templates import action, pipeline, resource


def test_every_property_can_be_read_back(aws, stack, name):
    deploy = {
        "Name": "Production",
        "BeforeEntry": {
            "Conditions": [
                {
                    "Result": "FAIL",
                    "Rules": [
                        {
                            "Name": "Alarm",
                            "RuleTypeId": {
                                "Category": "Rule",
                                "Owner": "AWS",
                                "Provider": "CloudWatchAlarm",
                                "Version": "1",
                            },
                            "Configuration": {"AlarmName": "a", "WaitTime": "1"},
                        }
                    ],
                }
            ]
        },
        "OnFailure": {"Result": "ROLLBACK"},
        "Actions": [
            action("Approve", "Approval", "Manual", RunOrder=1, Configuration={"CustomData": "Release?"}),
            action(
                "Deploy", "Deploy", "CodeDeploy", RunOrder=2, InputArtifacts=[{"Name": "Built"}], TimeoutInMinutes="30"
            ),
        ],
    }
    trigger = {
        "ProviderType": "CodeStarSourceConnection",
        "GitConfiguration": {"SourceActionName": "GitHub", "Push": [{"Branches": {"Includes": ["main"]}}]},
    }
    declared = pipeline(
        Name=name,
        ExecutionMode="QUEUED",
        Variables=[{"Name": "stage", "DefaultValue": "test"}],
        Triggers=[trigger],
        DisableInboundStageTransitions=[{"StageName": "Production", "Reason": "frozen"}],
        RestartExecutionOnUpdate=False,
        Tags=[{"Key": "team", "Value": "a"}],
    )
    declared["Properties"]["Stages"].append(deploy)
    assert stack.create(Pipeline=declared) == "CREATE_COMPLETE"
    answer = aws("codepipeline").get_pipeline(name=name)
    found = answer["pipeline"]
    assert (found["version"], found["pipelineType"], found["executionMode"]) == (1, "V2", "QUEUED")
    assert found["artifactStore"] == {"type": "S3", "location": "artifacts"}
    assert found["variables"] == [{"name": "stage", "defaultValue": "test"}]
    assert found["triggers"][0]["gitConfiguration"]["push"] == [{"branches": {"includes": ["main"]}}]
    source, build, production = found["stages"]
    assert source["actions"][0]["configuration"]["BranchName"] == "main"
    assert build["actions"][0]["inputArtifacts"] == [{"name": "Source"}]
    assert [(item["name"], item["runOrder"]) for item in production["actions"]] == [("Approve", 1), ("Deploy", 2)]
    assert production["actions"][1]["timeoutInMinutes"] == 30
    assert production["onFailure"] == {"result": "ROLLBACK"}
    assert production["beforeEntry"]["conditions"][0]["rules"][0]["configuration"] == {
        "AlarmName": "a",
        "WaitTime": "1",
    }
    states = aws("codepipeline").get_pipeline_state(name=name)["stageStates"]
    assert states[2]["inboundTransitionState"] == {"enabled": False, "disabledReason": "frozen"}
    tags = aws("codepipeline").list_tags_for_resource(resourceArn=answer["metadata"]["pipelineArn"])["tags"]
    assert {"key": "team", "value": "a"} in tags


def test_an_update_makes_a_new_version_of_the_same_pipeline(aws, stack):
    stack.create(Pipeline=pipeline(DisableInboundStageTransitions=[{"StageName": "Build", "Reason": "frozen"}]))
    name = stack.id_of("Pipeline")
    assert stack.update(Pipeline=pipeline(branch="develop")) == "UPDATE_COMPLETE"
    assert stack.id_of("Pipeline") == name
    found = aws("codepipeline").get_pipeline(name=name)["pipeline"]
    assert found["version"] == 2
    assert found["stages"][0]["actions"][0]["configuration"]["BranchName"] == "develop"
    states = aws("codepipeline").get_pipeline_state(name=name)["stageStates"]
    assert [state["inboundTransitionState"] for state in states] == [{"enabled": True}, {"enabled": True}]


def test_a_change_of_tags_is_no_new_version(aws, stack):
    stack.create(Pipeline=pipeline())
    stack.update(Pipeline=pipeline(Tags=[{"Key": "a", "Value": "b"}]))
    answer = aws("codepipeline").get_pipeline(name=stack.id_of("Pipeline"))
    assert answer["pipeline"]["version"] == 1
    tags = aws("codepipeline").list_tags_for_resource(resourceArn=answer["metadata"]["pipelineArn"])["tags"]
    assert {"key": "a", "value": "b"} in tags


def across_regions(*stores, change=None):
    """A pipeline with a store for each region; `change` is for the properties of its build."""
    properties = pipeline()["Properties"]
    del properties["ArtifactStore"]
    properties["Stages"][1]["Actions"][0].update(change or {})
    kept = [{"Region": region, "ArtifactStore": {"Type": "S3", "Location": bucket}} for region, bucket in stores]
    return resource("AWS::CodePipeline::Pipeline", **properties, ArtifactStores=kept)


HOME, ABROAD = "us-east-1", "eu-west-1"


@pytest.fixture
def buckets(endpoint, name):
    """A bucket in each of two regions."""
    made = {region: f"{name}-{region}" for region in (HOME, ABROAD)}
    endpoint.client("s3").create_bucket(Bucket=made[HOME])
    abroad = {"LocationConstraint": ABROAD}
    endpoint.client("s3", region=ABROAD).create_bucket(Bucket=made[ABROAD], CreateBucketConfiguration=abroad)
    yield made
    for region, bucket in made.items():
        endpoint.client("s3", region=region).delete_bucket(Bucket=bucket)


def test_a_store_per_region_and_an_action_in_another_account_are_kept_and_in_sync(aws, stack, buckets):
    elsewhere = {"Region": ABROAD, "RoleArn": "arn:aws:iam::222222222222:role/team/deploy", "Namespace": "Built-1"}
    assert stack.create(Pipeline=across_regions(*buckets.items(), change=elsewhere)) == "CREATE_COMPLETE"
    found = aws("codepipeline").get_pipeline(name=stack.id_of("Pipeline"))["pipeline"]
    assert found["artifactStores"] == {region: {"type": "S3", "location": bucket} for region, bucket in buckets.items()}
    assert (
        found["stages"][1]["actions"][0].items()
        >= {
            "region": ABROAD,
            "roleArn": "arn:aws:iam::222222222222:role/team/deploy",
            "namespace": "Built-1",
        }.items()
    )
    assert stack.drift()["Pipeline"]["StackResourceDriftStatus"] == "IN_SYNC"


@pytest.mark.parametrize(
    ("stores", "change", "reason"),
    [
        ([(ABROAD, "artifacts")], {}, "artifactStores has none for us-east-1, the region of the pipeline"),
        (
            [(HOME, "artifacts")],
            {"Region": ABROAD},
            "Action Build is in region eu-west-1, and artifactStores has none for that region",
        ),
        (
            [(HOME, "nowhere-to-be-found")],
            {},
            "An error occurred while validating the artifact bucket 'nowhere-to-be-found': "
            "No bucket with the name nowhere-to-be-found was found",
        ),
    ],
)
def test_a_region_without_an_artifact_store_is_refused(stack, stores, change, reason):
    assert stack.create(Pipeline=across_regions(*stores, change=change)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_a_bucket_of_another_region_is_no_artifact_store(stack, buckets):
    assert stack.create(Pipeline=across_regions((HOME, buckets[ABROAD]))) == "ROLLBACK_COMPLETE"
    assert f"The bucket named {buckets[ABROAD]} is not located in the us-east-1 AWS region" in stack.reason()


def test_a_failed_update_rolls_back_to_the_structure_before(aws, stack):
    stack.create(Pipeline=pipeline())
    assert stack.update(Pipeline=pipeline(branch="develop", ExecutionMode="SOMETIMES")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Member must satisfy enum value set: [QUEUED, SUPERSEDED, PARALLEL]" in stack.reason()
    found = aws("codepipeline").get_pipeline(name=stack.id_of("Pipeline"))["pipeline"]
    assert found["stages"][0]["actions"][0]["configuration"]["BranchName"] == "main"


def test_a_deleted_pipeline_is_gone(aws, stack, name):
    stack.create(Pipeline=pipeline(Name=name))
    stack.delete()
    with pytest.raises(ClientError, match="PipelineNotFoundException"):
        aws("codepipeline").get_pipeline(name=name)


def of_actions(**changes):
    """Stages with other properties of the actions that are named."""

    def change(stages):
        for stage in stages:
            stage["Actions"][0].update(changes.get(stage["Actions"][0]["Name"], {}))

    return with_stages(change)


def test_variables_of_earlier_actions_and_of_codepipeline_can_be_used(aws, stack):
    text = "#{Source-1.CommitId} #{codepipeline.PipelineExecutionId} #{variables.stage}"
    properties = of_actions(GitHub={"Namespace": "Source-1"}, Build={"Configuration": {"ProjectName": text}})
    assert stack.create(Pipeline=pipeline(Variables=[{"Name": "stage"}], **properties)) == "CREATE_COMPLETE"
    found = aws("codepipeline").get_pipeline(name=stack.id_of("Pipeline"))["pipeline"]
    assert found["stages"][1]["actions"][0]["configuration"]["ProjectName"] == text


def with_stages(change):
    stages = pipeline()["Properties"]["Stages"]
    change(stages)
    return {"stages": stages}


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (with_stages(lambda stages: stages.pop()), "Pipeline has only 1 stage(s)"),
        (with_stages(lambda stages: stages.reverse()), "Pipeline should start with a stage that only contains source"),
        (with_stages(lambda stages: stages.append(stages[0])), "The stage name Source is used more than once"),
        (
            with_stages(lambda stages: stages[1]["Actions"][0].update(InputArtifacts=[{"Name": "Lost"}])),
            "declares the input artifact Lost, which is not an output artifact of any previous action",
        ),
        (
            with_stages(lambda stages: stages[1]["Actions"][0].update(OutputArtifacts=[{"Name": "Source"}])),
            "Output artifact Source of Build is made by another action already",
        ),
        ({"PipelineType": "V1", "ExecutionMode": "QUEUED"}, "cannot have execution mode QUEUED; use type V2"),
        ({"PipelineType": "V1", "Variables": [{"Name": "a"}]}, "Pipeline of type V1 cannot have variables"),
        ({"ArtifactStores": []}, "artifactStore or artifactStores"),
        (of_actions(Build={"Region": "eu-west-1"}), "in region eu-west-1: use artifactStores, not artifactStore"),
        (
            of_actions(Build={"RoleArn": "arn:aws:iam::222222222222:user/deploy"}),
            "Member must satisfy regular expression pattern: arn:aws(-[\\w]+)*:iam::[0-9]{12}:role/.*",
        ),
        (of_actions(GitHub={"Namespace": "a.b"}), "Member must satisfy regular expression pattern: [A-Za-z0-9@\\-_]+"),
        (
            of_actions(GitHub={"Namespace": "Variables"}, Build={"Namespace": "Variables"}),
            "more than once in the pipeline. StageName=[Build], ActionName=[Build], Namespace=[Variables]",
        ),
        (
            of_actions(Build={"Namespace": "Built"}),
            "must not have the name of an output artifact. StageName=[Build], ActionName=[Build], Namespace=[Built]",
        ),
        (
            of_actions(Build={"Configuration": {"ProjectName": "build", "Variables": "v#{Lost.CommitId}"}}),
            "StageName=[Build], ActionName=[Build], ActionConfigurationKey=[Variables], "
            "VariableReferenceText=[Lost.CommitId]",
        ),
        (
            of_actions(Build={"Namespace": "Its-own", "Configuration": {"ProjectName": "#{Its-own.NAME}"}}),
            "referencing a namespace that does not exist",
        ),
        ({"Name": "with space"}, "Member must satisfy regular expression pattern: [A-Za-z0-9.@\\-_]+"),
        ({"Stage": []}, "extraneous key [Stage] is not permitted"),
        (
            with_stages(lambda stages: stages[1]["Actions"][0].update(Retries=1)),
            "#/Stages/1/Actions/0: extraneous key [Retries] is not permitted",
        ),
    ],
)
def test_what_createpipeline_refuses_fails_with_the_reason(stack, properties, reason):
    assert stack.create(Pipeline=pipeline(**properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_a_job_goes_on_until_its_result_is_reported(aws):
    client, job = aws("codepipeline"), {"jobId": str(uuid.uuid4())}
    with pytest.raises(ClientError, match="JobNotFoundException"):
        client.acknowledge_job(**job, nonce="1")
    client.put_job_success_result(**job, continuationToken="next")
    assert client.acknowledge_job(**job, nonce="1")["status"] == "InProgress"
    assert client.get_job_details(**job)["jobDetails"]["data"]["continuationToken"] == "next"
    client.put_job_failure_result(**job, failureDetails={"type": "JobFailed", "message": "not today"})
    assert client.acknowledge_job(**job, nonce="1")["status"] == "Failed"
    with pytest.raises(ClientError, match="InvalidJobStateException"):
        client.put_job_success_result(**job)


def test_what_is_not_modelled_says_so(aws):
    with pytest.raises(ClientError, match="does not model CodePipeline StartPipelineExecution"):
        aws("codepipeline").start_pipeline_execution(name="any")


def test_the_api_checks_what_the_model_says(aws):
    with pytest.raises(ClientError, match=r"ValidationException.*regular expression pattern"):
        aws("codepipeline").get_pipeline(name="with space")
