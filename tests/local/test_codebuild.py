import pytest
from botocore.exceptions import ClientError

from tests.local.templates import get, project, ref, resource

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
        ({"Triggers": {"Webhook": True}}, "Project with source type CODEPIPELINE does not support webhooks"),
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


EVENT = {"Type": "EVENT", "Pattern": "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED"}
DOCS = {"Type": "FILE_PATH", "Pattern": "^docs/", "ExcludeMatchedPattern": True}
APPROVAL = {"RequiresCommentApproval": "ALL_PULL_REQUESTS", "ApproverRoles": ["GITHUB_WRITE"]}


def checked(connection, *groups, **triggers):
    """A project of its own source, built when something happens there."""
    return project(
        Source={
            "Type": "GITHUB",
            "Location": "https://github.com/acme/shop.git",
            "Auth": {"Type": "CODECONNECTIONS", "Resource": connection},
            "ReportBuildStatus": True,
        },
        Artifacts={"Type": "NO_ARTIFACTS"},
        Triggers={"Webhook": True, "FilterGroups": list(groups), **triggers},
    )


ELSEWHERE = "arn:aws:codeconnections:us-east-1:123456789012:connection/elsewhere"


def test_a_webhook_is_kept_with_its_filters_and_changes_in_place(aws, stack):
    assert stack.create(Build=checked(ELSEWHERE, [EVENT, DOCS], PullRequestBuildPolicy=APPROVAL)) == "CREATE_COMPLETE"
    found = read(aws, stack.id_of("Build"))
    webhook = found["webhook"]
    assert webhook["filterGroups"] == [
        [
            {"type": "EVENT", "pattern": EVENT["Pattern"]},
            {"type": "FILE_PATH", "pattern": "^docs/", "excludeMatchedPattern": True},
        ]
    ]
    assert webhook["pullRequestBuildPolicy"]["requiresCommentApproval"] == "ALL_PULL_REQUESTS"
    assert found["source"]["auth"] == {"type": "CODECONNECTIONS", "resource": ELSEWHERE}
    assert stack.drift()["Build"]["StackResourceDriftStatus"] == "IN_SYNC"
    aws("codebuild").update_webhook(projectName=stack.id_of("Build"), filterGroups=[])
    assert stack.drift()["Build"]["StackResourceDriftStatus"] == "MODIFIED"
    assert stack.update(Build=checked(ELSEWHERE, [EVENT])) == "UPDATE_COMPLETE"
    changed = read(aws, stack.id_of("Build"))["webhook"]
    assert (len(changed["filterGroups"][0]), changed["payloadUrl"]) == (1, webhook["payloadUrl"])
    without = checked(ELSEWHERE)
    del without["Properties"]["Triggers"]
    stack.update(Build=without)
    assert "webhook" not in read(aws, stack.id_of("Build"))


@pytest.mark.parametrize(
    ("groups", "triggers", "reason"),
    [
        ([[DOCS]], {}, "Each filter group must have exactly one EVENT filter"),
        ([[{"Type": "EVENT", "Pattern": "PULL"}]], {}, "Invalid event type PULL"),
        ([[EVENT, {"Type": "HEAD_REF", "Pattern": "("}]], {}, "Invalid pattern ("),
        ([[EVENT]], {"BuildType": "BUILD_BATCH"}, "Batch builds are not configured"),
        ([[EVENT]], {"Events": []}, "#: extraneous key [Events] is not permitted"),
    ],
)
def test_what_createwebhook_refuses_fails_with_the_reason(aws, stack, groups, triggers, reason):
    assert stack.create(Build=checked(ELSEWHERE, *groups, **triggers)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason()
    assert not [name for name in aws("codebuild").list_projects()["projects"] if stack.name in name]


@pytest.mark.parametrize("by_credentials", [True, False])
def test_a_webhook_needs_a_connection_whose_handshake_is_done(stack, by_credentials):
    connection = resource("AWS::CodeConnections::Connection", ConnectionName="c", ProviderType="GitHub")
    resources = {"Connection": connection, "Build": checked(ref("Connection"), [EVENT])}
    if by_credentials:
        del resources["Build"]["Properties"]["Source"]["Auth"]
        resources["Build"]["DependsOn"] = "Credential"
        resources["Credential"] = resource(
            "AWS::CodeBuild::SourceCredential",
            AuthType="CODECONNECTIONS",
            ServerType="GITHUB",
            Token=ref("Connection"),
        )
    assert stack.create(**resources) == "ROLLBACK_COMPLETE"
    assert "Failed to create webhook" in stack.reason()
    assert "handshake of the project's connection is pending" in stack.reason()


def test_a_fleet_is_kept_changed_in_place_and_stays_while_it_is_used(aws, stack, name):
    def fleet(capacity):
        return resource(
            "AWS::CodeBuild::Fleet",
            Name=name,
            BaseCapacity=capacity,
            ComputeType="BUILD_GENERAL1_SMALL",
            EnvironmentType="LINUX_CONTAINER",
            OverflowBehavior="ON_DEMAND",
            ScalingConfiguration={
                "MaxCapacity": 4,
                "ScalingType": "TARGET_TRACKING_SCALING",
                "TargetTrackingScalingConfigs": [{"MetricType": "FLEET_UTILIZATION_RATE", "TargetValue": 0.8}],
            },
        )

    build = project()
    build["Properties"]["Environment"]["Fleet"] = {"FleetArn": get("Fleet", "Arn")}
    assert stack.create(Fleet=fleet(1), Build=build) == "CREATE_COMPLETE"
    fleet_arn = stack.id_of("Fleet")
    assert stack.drift()["Fleet"]["StackResourceDriftStatus"] == "IN_SYNC"
    assert read(aws, stack.id_of("Build"))["environment"]["fleet"] == {"fleetArn": fleet_arn}
    assert stack.update(Fleet=fleet(2), Build=build) == "UPDATE_COMPLETE"
    [found] = aws("codebuild").batch_get_fleets(names=[name, "missing"])["fleets"]
    assert (found["arn"], found["baseCapacity"], found["overflowBehavior"]) == (fleet_arn, 2, "ON_DEMAND")
    assert found["status"] == {"statusCode": "ACTIVE"}
    with pytest.raises(ClientError, match="is in use by"):
        aws("codebuild").delete_fleet(arn=fleet_arn)


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
