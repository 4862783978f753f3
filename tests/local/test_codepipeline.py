import uuid

import pytest
from botocore.exceptions import ClientError

from tests.local.templates import action, pipeline


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


def test_a_store_per_region_is_kept_and_in_sync(aws, stack):
    stores = [
        {"Region": region, "ArtifactStore": {"Type": "S3", "Location": f"artifacts-{region}"}}
        for region in ("us-east-1", "eu-west-1")
    ]
    declared = pipeline(ArtifactStores=stores)
    del declared["Properties"]["ArtifactStore"]
    assert stack.create(Pipeline=declared) == "CREATE_COMPLETE"
    found = aws("codepipeline").get_pipeline(name=stack.id_of("Pipeline"))["pipeline"]["artifactStores"]
    assert found["eu-west-1"] == {"type": "S3", "location": "artifacts-eu-west-1"}
    assert stack.drift()["Pipeline"]["StackResourceDriftStatus"] == "IN_SYNC"


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
