import pytest
from botocore.exceptions import ClientError

from tests.local.templates import get, project, resource

EVERYTHING = {
    "Description": "builds",
    "Source": {"Type": "CODEPIPELINE", "BuildSpec": "ci/buildspec.yml"},
    "Environment": {
        "Type": "LINUX_CONTAINER",
        "ComputeType": "BUILD_GENERAL1_MEDIUM",
        "Image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
        "ImagePullCredentialsType": "CODEBUILD",
        "PrivilegedMode": "true",
        "EnvironmentVariables": [{"Name": "STAGE", "Type": "PLAINTEXT", "Value": 1}],
    },
    "Cache": {"Type": "LOCAL", "Modes": ["LOCAL_SOURCE_CACHE"]},
    "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "group"}, "S3Logs": {"Status": "DISABLED"}},
    "VpcConfig": {"VpcId": "vpc-1", "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    "TimeoutInMinutes": "30",
    "QueuedTimeoutInMinutes": 60,
    "ConcurrentBuildLimit": 2,
    "AutoRetryLimit": 1,
    "EncryptionKey": "arn:aws:kms:us-east-1:123456789012:key/k",
    "BadgeEnabled": False,
    "BuildBatchConfig": {"ServiceRole": "arn:aws:iam::123456789012:role/batch", "TimeoutInMins": 10},
    "Visibility": "PRIVATE",
}


def test_every_property_can_be_read_back(aws, stack):
    assert stack.create(Build=project(**EVERYTHING)) == "CREATE_COMPLETE"
    found = read(aws, stack.id_of("Build"))
    assert found["description"] == "builds"
    assert found["source"] == {"type": "CODEPIPELINE", "buildspec": "ci/buildspec.yml"}
    assert found["environment"] == {
        "type": "LINUX_CONTAINER",
        "computeType": "BUILD_GENERAL1_MEDIUM",
        "image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
        "imagePullCredentialsType": "CODEBUILD",
        "privilegedMode": True,
        "environmentVariables": [{"name": "STAGE", "type": "PLAINTEXT", "value": "1"}],
    }
    assert found["cache"] == {"type": "LOCAL", "modes": ["LOCAL_SOURCE_CACHE"]}
    assert found["logsConfig"]["cloudWatchLogs"] == {"status": "ENABLED", "groupName": "group"}
    assert found["vpcConfig"] == {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    assert (found["timeoutInMinutes"], found["queuedTimeoutInMinutes"]) == (30, 60)
    assert (found["concurrentBuildLimit"], found["autoRetryLimit"]) == (2, 1)
    assert found["encryptionKey"].endswith("key/k")
    assert found["badge"] == {"badgeEnabled": False}
    assert found["buildBatchConfig"]["timeoutInMins"] == 10
    assert found["projectVisibility"] == "PRIVATE"
    assert {"key": "aws:cloudformation:logical-id", "value": "Build"} in found["tags"]


def test_an_update_is_in_place_and_what_left_the_template_is_reset(aws, stack):
    stack.create(Build=project(**EVERYTHING))
    name, created = stack.id_of("Build"), read(aws, stack.id_of("Build"))["created"]
    assert stack.update(Build=project(TimeoutInMinutes=45)) == "UPDATE_COMPLETE"
    assert stack.id_of("Build") == name
    found = read(aws, name)
    assert found["created"] == created
    assert found["lastModified"] > created
    assert found["timeoutInMinutes"] == 45
    assert found["queuedTimeoutInMinutes"] == 480
    assert found["cache"] == {"type": "NO_CACHE"}
    assert found["description"] == ""
    assert found["source"] == {"type": "CODEPIPELINE"}
    assert not {"vpcConfig", "logsConfig", "concurrentBuildLimit", "autoRetryLimit", "buildBatchConfig"} & found.keys()


def test_a_deleted_project_is_gone(aws, stack, name):
    stack.create(Build=project(Name=name))
    assert aws("codebuild").batch_get_projects(names=[name])["projects"]
    stack.delete()
    assert aws("codebuild").batch_get_projects(names=[name])["projectsNotFound"] == [name]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"TimeoutInMinutes": 1}, "timeoutInMinutes, value: 1, valid min value: 5"),
        ({"TimeoutInMinutes": 99999}, "Member must have value less than or equal to 2160"),
        ({"TimeoutInMinutes": "soon"}, "#/TimeoutInMinutes: expected type: Integer, found: 'soon'"),
        ({"Cache": {"Type": "FAST"}}, "Member must satisfy enum value set: [NO_CACHE, S3, LOCAL]"),
        ({"LogsConfig": {"CloudWatch": {}}}, "#/LogsConfig: extraneous key [CloudWatch] is not permitted"),
        ({"Triggers": {"Webhook": True}}, "#: extraneous key [Triggers] is not permitted"),
        ({"ServiceRole": None}, "serviceRole"),
    ],
)
def test_a_wrong_property_fails_with_the_reason(stack, properties, reason):
    build = project(**properties)
    build["Properties"] = {key: value for key, value in build["Properties"].items() if value is not None}
    assert stack.create(Build=build) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()


def test_a_name_in_use_fails_and_the_other_project_stays(aws, stack, name):
    parameters = {
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL", "image": "i"},
        "serviceRole": "arn:aws:iam::123456789012:role/build",
    }
    aws("codebuild").create_project(name=name, **parameters)
    assert stack.create(Build=project(Name=name)) == "ROLLBACK_COMPLETE"
    assert "ResourceAlreadyExistsException" in stack.reason()
    assert read(aws, name)["source"]["type"] == "NO_SOURCE"
    aws("codebuild").delete_project(name=name)


def test_what_is_not_modelled_says_so(aws):
    with pytest.raises(ClientError, match="does not model CodeBuild StartBuild"):
        aws("codebuild").start_build(projectName="any")


def test_drift_names_the_property_that_changed_outside(aws, stack):
    stack.create(Build=project(TimeoutInMinutes=30))
    assert stack.drift()["Build"]["StackResourceDriftStatus"] == "IN_SYNC"
    aws("codebuild").update_project(name=stack.id_of("Build"), timeoutInMinutes=99)
    drift = stack.drift()["Build"]
    assert drift["StackResourceDriftStatus"] == "MODIFIED"
    assert [
        (item["PropertyPath"], item["ExpectedValue"], item["ActualValue"]) for item in drift["PropertyDifferences"]
    ] == [("/TimeoutInMinutes", "30", "99")]


def test_a_report_group_is_kept_with_its_export(aws, stack):
    group = resource(
        "AWS::CodeBuild::ReportGroup",
        Type="TEST",
        ExportConfig={"ExportConfigType": "S3", "S3Destination": {"Bucket": "reports"}},
    )
    arn = resource("AWS::SSM::Parameter", Type="String", Value=get("Reports", "Arn"))
    assert stack.create(Reports=group, Arn=arn) == "CREATE_COMPLETE"
    found = aws("codebuild").batch_get_report_groups(reportGroupArns=[stack.id_of("Reports")])["reportGroups"][0]
    assert found["exportConfig"]["s3Destination"] == {"bucket": "reports"}


def read(aws, name):
    return aws("codebuild").batch_get_projects(names=[name])["projects"][0]
