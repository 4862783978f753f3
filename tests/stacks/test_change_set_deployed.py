"""The stacks that deploy templates, on the embedded endpoint by the real CDK CLI, and what their pipelines then do."""

import json
from fnmatch import fnmatchcase

import pytest

from code_family_constructs.local import Endpoint
from stacks.change_set import ChangeSet
from stacks.multi_source import MultiSource
from tests.policies import grants_of
from tests.sample_app.conftest import SAMPLE_APP
from tests.stacks.deployed import READ, Deployed, Reader
from tests.stacks.releases import Execution, log_of

NAME, TWO = "ChangeSet", "MultiSource"
TEMPLATE = (SAMPLE_APP / "cloudformation/template.yaml").read_text()
QUEUE = (SAMPLE_APP / "multi_source/infra/template.yaml").read_text()
APPLICATION = (SAMPLE_APP / "multi_source/app/index.py").read_text()

READ_HERE: dict[str, Reader] = {
    "AWS::Lambda::Function": lambda client, id, _: client("lambda").get_function_configuration(FunctionName=id)
}


@pytest.fixture(scope="module")
def change_set(tmp_path_factory):
    with Endpoint() as endpoint:
        deployment = Deployed(endpoint, tmp_path_factory.mktemp("change-set"), NAME)
        deployment.bootstrap()
        app = deployment.synth(
            "first",
            lambda app: ChangeSet(app, NAME, repository="acme/reports"),
            lambda app: MultiSource(app, TWO, repository="acme/shop", infrastructure="acme/shop-infrastructure"),
        )
        deployment.deploy(app, TWO)
        yield deployment


@pytest.fixture(scope="module")
def two(change_set):
    return change_set.beside(TWO)


def test_each_property_of_the_code_family_can_be_read_back(change_set, two):
    for deployed, types in (
        (change_set, {"AWS::CodeBuild::Project", "AWS::CodePipeline::Pipeline", "AWS::CodeConnections::Connection"}),
        (two, {*READ} - {"AWS::CodeDeploy::DeploymentConfig"}),
    ):
        found = deployed.differences(READ_HERE)
        assert [difference for differences in found.values() for difference in differences] == []
        assert set(found) == {*types, *READ_HERE}


def test_a_change_set_changes_nothing_until_it_is_executed(change_set):
    execution = Execution(change_set, "ChangeSet-Pipeline")
    execution.put("Build", {"template.yaml": TEMPLATE})
    make, execute = template_actions(execution, "Production")
    proposed = make_change_set(execution, make)
    assert [
        (each["Action"], each["ResourceType"], each["LogicalResourceId"])
        for each in (change["ResourceChange"] for change in proposed["Changes"])
    ] == [("Add", "AWS::S3::Bucket", "Reports")]
    assert demo_buckets(change_set) == []

    outputs = execute_change_set(execution, execute)
    assert demo_buckets(change_set) == [outputs["ReportsBucket"]]
    client = change_set.client("s3")
    blocked = client.get_public_access_block(Bucket=outputs["ReportsBucket"])["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    [rule] = client.get_bucket_encryption(Bucket=outputs["ReportsBucket"])["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_bucket_has_a_name_that_the_role_may_use(change_set):
    """What CloudFormation makes of the stack's name and the logical id, against the pattern in the role's policy."""
    [bucket] = demo_buckets(change_set)
    [grant] = [each for each in grants_of(change_set.template) if each.policy.startswith("DeploymentRolePolicy")]
    [pattern] = grant.resources
    assert fnmatchcase(f"arn:aws:s3:::{bucket}", pattern)


def test_the_next_change_set_is_about_the_change_and_takes_the_place_of_the_one_before(change_set):
    """Whether it replaces the bucket, the endpoint does not tell. Nobody approves, and nothing happens."""
    before = demo_buckets(change_set)
    execution = Execution(change_set, "ChangeSet-Pipeline")
    named = TEMPLATE.replace("    Properties:\n", "    Properties:\n      BucketName: changeset-demo-reports\n")
    execution.put("Build", {"template.yaml": named})
    make, _ = template_actions(execution, "Production")
    proposed = make_change_set(execution, make)
    [change] = [each["ResourceChange"] for each in proposed["Changes"]]
    assert (change["Action"], change["LogicalResourceId"]) == ("Modify", "Reports")
    assert demo_buckets(change_set) == before != []


def test_each_stage_deploys_its_artifact_and_the_application_finds_the_queue(two):
    execution = Execution(two, "MultiSource-Pipeline")
    execution.put("Template", {"template.yaml": QUEUE})
    execution.put("App", {"index.py": APPLICATION, "release.txt": "release-2"})
    make, execute = template_actions(execution, "Infrastructure")
    make_change_set(execution, make)
    url = execute_change_set(execution, execute)["OrdersQueue"]
    assert execution.invoke("Application") == "Succeeded", log_of(
        two, two.id_of("DeploymentReleaser", "AWS::Lambda::Function")
    )

    function = two.id_of("TakeOrder", "AWS::Lambda::Function")
    answer = two.client("lambda").invoke(
        FunctionName=function, Qualifier="live", Payload=json.dumps({"article": "tea"})
    )
    said = json.load(answer["Payload"])
    assert (said["accepted"], said["release"]) == (True, "release-2")
    [order] = two.client("sqs").receive_message(QueueUrl=url)["Messages"]
    assert (order["MessageId"], json.loads(order["Body"])) == (said["order"], {"article": "tea", "count": 1})


def test_destroy_leaves_nothing_when_the_deployed_stacks_are_deleted_first(change_set, two):
    """As the docstrings of the stacks say, since the roles that can delete them are in the stacks."""
    cloudformation = change_set.client("cloudformation")
    for stack in ("ChangeSet-Demo", "MultiSource-Infra"):
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    change_set.cdk("destroy", NAME, TWO, "--force", app=change_set.folder / "first")
    left = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
    assert left == ["CDKToolkit"]
    assert demo_buckets(change_set) == []
    assert change_set.client("sqs").list_queues()["QueueUrls"] == []


def template_actions(execution, stage):
    """Settings of the two actions that make a change set and execute it, with the first one's artifact."""
    [actions] = [each["actions"] for each in execution.pipeline["stages"] if each["name"] == stage]
    found = sorted(
        (each for each in actions if each["actionTypeId"]["provider"] == "CloudFormation"),
        key=lambda each: each["runOrder"],
    )
    assert [each["configuration"]["ActionMode"] for each in found] == ["CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE"]
    return [each["configuration"] for each in found]


def make_change_set(execution, settings):
    """What the action does with its settings, and the change set.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
    """
    client = execution.client("cloudformation")
    names = {"StackName": settings["StackName"], "ChangeSetName": settings["ChangeSetName"]}
    artifact, _, path = settings["TemplatePath"].partition("::")
    existing = {stack["StackName"] for stack in client.describe_stacks()["Stacks"]}
    if names["StackName"] in existing:
        client.delete_change_set(**names)
    client.create_change_set(
        **names,
        ChangeSetType="UPDATE" if names["StackName"] in existing else "CREATE",
        TemplateBody=execution.get(artifact, path),
        RoleARN=settings["RoleArn"],
    )
    client.get_waiter("change_set_create_complete").wait(**names, WaiterConfig={"Delay": 1})
    return client.describe_change_set(**names)


def execute_change_set(execution, settings):
    """What the action does with its settings, and the outputs of the stack."""
    client = execution.client("cloudformation")
    stack = settings["StackName"]
    client.execute_change_set(StackName=stack, ChangeSetName=settings["ChangeSetName"])
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    [described] = client.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}


def demo_buckets(deployed):
    buckets = deployed.client("s3").list_buckets()["Buckets"]
    return [each["Name"] for each in buckets if each["Name"].startswith("changeset-demo-")]
