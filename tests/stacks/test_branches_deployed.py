"""The stacks of branches and of services on the embedded endpoint, by the real CDK CLI, in one deployment."""

import json
from pathlib import Path

import pytest

from code_family_constructs.local import Endpoint
from stacks.branches import Branches
from stacks.service_per_pipeline import ServicePerPipeline
from tests.stacks.deployed import READ, Deployed
from tests.stacks.releases import Execution

BRANCHES, SERVICES = "Branches", "ServicePerPipeline"
GREETER = Path("sample_app/lambda/index.py").read_text()
NAMES = ("orders", "payments")
ENVIRONMENTS = ("Dev", "Staging", "Production")


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    with Endpoint() as endpoint:
        deployed = Deployed(endpoint, tmp_path_factory.mktemp("branches"), BRANCHES)
        deployed.bootstrap()
        app = deployed.synth(
            "app",
            lambda app: Branches(app, BRANCHES, repository="acme/shop", approvers=["release@acme.example"]),
            lambda app: ServicePerPipeline(app, SERVICES, repository="acme/shop", services=NAMES),
        )
        deployed.deploy(app, SERVICES)
        yield deployed


@pytest.fixture(scope="module")
def services(branches):
    return branches.beside(SERVICES)


@pytest.mark.parametrize("stack", ["branches", "services"])
def test_each_property_of_the_code_family_can_be_read_back(stack, request):
    found = request.getfixturevalue(stack).differences()
    assert [difference for differences in found.values() for difference in differences] == []
    without = {"AWS::CodeDeploy::DeploymentConfig"}
    if stack == "services":  # which CodePipeline releases without CodeDeploy
        without |= {"AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"}
    assert set(found) == {*READ} - without


def test_nothing_has_drifted(branches):
    said = branches.cdk("drift", BRANCHES, SERVICES, app=branches.folder / "app")
    assert said.count("No drift detected") == 2


def test_each_pipeline_listens_to_its_branches_and_folders_through_one_pending_connection(branches, services):
    client = branches.client("codepipeline")
    listening = {}
    for each in client.list_pipelines()["pipelines"]:
        (trigger,) = client.get_pipeline(name=each["name"])["pipeline"]["triggers"]
        git = trigger["gitConfiguration"]
        ((kind, (event,)),) = [(kind, git[kind]) for kind in ("push", "pullRequest") if kind in git]
        files = event.get("filePaths", {})
        listening[each["name"]] = (kind, *event["branches"]["includes"], *files.get("includes", ()))
    assert listening == {
        "Branches-Feature": ("pullRequest", "**"),
        "Branches-Develop": ("push", "develop"),
        "Branches-Main": ("push", "main"),
        "Branches-Release": ("push", "release/**"),
        "orders-ServicePerPipeline": ("push", "main", "services/orders/**"),
        "payments-ServicePerPipeline": ("push", "main", "services/payments/**"),
    }
    connections = branches.client("codeconnections").list_connections()["Connections"]
    assert [each["ConnectionStatus"] for each in connections] == ["PENDING"] * 2


def test_develop_is_deployed_to_dev_and_nowhere_else(branches):
    assert released(branches, "Develop", "Dev", "dev-1") == "Succeeded"
    assert releases(branches) == ["dev-1", None, None]


def test_main_is_deployed_to_staging_first_and_then_to_production(branches):
    execution = Execution(branches, "Branches-Main")
    execution.put("Build", {"index.py": GREETER, "release.txt": "main-2"})
    assert execution.invoke("Staging") == "Succeeded"
    assert releases(branches) == ["dev-1", "main-2", None]
    assert execution.invoke("Production") == "Succeeded"
    assert releases(branches) == ["dev-1", "main-2", "main-2"]


def test_destroy_leaves_nothing(branches):
    branches.cdk("destroy", BRANCHES, SERVICES, "--force", app=branches.folder / "app")
    client = branches.client
    assert client("lambda").list_functions()["Functions"] == []
    assert client("codepipeline").list_pipelines()["pipelines"] == []
    assert client("codebuild").list_projects()["projects"] == []
    assert client("codedeploy").list_applications()["applications"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert [
        each["Name"] for each in client("s3").list_buckets()["Buckets"] if not each["Name"].startswith("cdk-")
    ] == []
    stacks = [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]]
    assert stacks == ["CDKToolkit"]


def released(branches, pipeline, stage, release):
    """How a run of a pipeline ends, from its build on."""
    execution = Execution(branches, f"Branches-{pipeline}")
    execution.put("Build", {"index.py": GREETER, "release.txt": release})
    return execution.invoke(stage)


def releases(branches):
    """What callers of the alias get in each environment."""
    found = []
    for environment in ENVIRONMENTS:
        function = branches.id_of(f"{environment}Greeter", "AWS::Lambda::Function")
        answer = branches.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=b"{}")
        payload = json.load(answer["Payload"])
        found.append(json.loads(payload["body"])["release"] if payload["statusCode"] == 200 else None)
    return found
