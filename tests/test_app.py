"""The app as a user starts it: the real CLI, the cdk.json of this checkout, settings from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import of_type, only

ROOT = Path(__file__).parent.parent


def cdk(*arguments: str) -> str:
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["cdk", *arguments, "--no-notices", "--no-color", "--no-lookups"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


CONNECTION = "arn:aws:codeconnections:eu-west-1:111122223333:connection/7e5a1f2c-0000-4000-8000-000000000000"


def test_synth_takes_the_settings_of_the_command_line(tmp_path):
    settings = {
        "repository": "acme/shop",
        "branch": "release",
        "approvers": "a@acme.example,b@acme.example",
        "testers": "198.51.100.0/24",
        "connection": CONNECTION,
        "infrastructure": "acme/infra",
        "services": "orders",
        "tooling": "111111111111/eu-west-1",
        "staging": "222222222222/eu-west-1",
        "production": "333333333333/eu-west-1",
        "account": "111111111111",
        "regions": "eu-west-1,us-east-1",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    cdk("synth", "--quiet", "--output", str(tmp_path), *options)
    templates = {path.name.split(".")[0]: json.loads(path.read_text()) for path in tmp_path.glob("*.template.json")}
    released = {"GitHubToEc2", "Ec2BlueGreen", "EcsCanary", "LambdaCanary", "ChangeSet", "MultiSource"}
    elsewhere = {"ServiceStaging", "ServiceProduction", "Service-eu-west-1", "Service-us-east-1", "Artifacts-us-east-1"}
    assert set(templates) == released | elsewhere | {
        *("Branches", "MultiRegion", "PullRequestChecks", "ServicePerPipeline", "StagingToProduction")
    }
    for name in released | {"StagingToProduction"}:
        pipeline = only(templates[name], "AWS::CodePipeline::Pipeline")
        source = pipeline["Stages"][0]["Actions"][0]["Configuration"]
        assert (source["FullRepositoryId"], source["BranchName"]) == ("acme/shop", "release")
        subscriptions = of_type(templates[name], "AWS::SNS::Subscription").values()
        assert {one["Endpoint"] for one in subscriptions} == {"a@acme.example", "b@acme.example"}
    assert "198.51.100.0/24" in json.dumps(of_type(templates["Ec2BlueGreen"], "AWS::EC2::SecurityGroup"))
    source = only(templates["PullRequestChecks"], "AWS::CodeBuild::Project")["Source"]
    assert source["Location"] == "https://github.com/acme/shop.git"
    assert source["Auth"]["Resource"] == CONNECTION


def test_ls_lists_the_bundled_stacks(tmp_path):
    """Not those that wait for a connection's handshake, or for accounts and regions."""
    assert cdk("ls", "--output", str(tmp_path)).split() == [
        *("GitHubToEc2", "Ec2BlueGreen", "EcsCanary", "LambdaCanary", "ChangeSet", "MultiSource", "Branches"),
        "ServicePerPipeline",
    ]


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"tooling": "111111111111/eu-west-1"}, "setting staging='' is no account and region", "-c staging=222222"),
        ({"production": "333333333333/eu-west-1"}, "setting tooling='' is no account and region", "-c tooling=222222"),
        ({"tooling": "111111111111"}, "setting tooling='111111111111' is no account and region", "/eu-west-1"),
        ({"tooling": "111111111111/eu-west1"}, "region='eu-west1'", "'eu-west-1'"),
        ({"regions": "eu-west-1,us-east-1"}, "account='' and regions='eu-west-1,us-east-1'", "-c account=111111111111"),
        ({"account": "111111111111"}, "account='111111111111' and regions=''", "-c regions="),
        ({"account": "111111111111", "regions": "eu-west-1, useast1"}, "region='useast1'", "'eu-west-1'"),
    ],
)
def test_settings_that_do_not_fit_together_are_told_before_anything_is_synthesized(settings, problem, fix):
    environment = {**os.environ, "CDK_CONTEXT_JSON": json.dumps(settings)}
    run = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 1
    told = run.stderr.partition("ConfigurationError: ")[2].splitlines()
    assert problem in told[0]
    assert told[1].startswith("  at   ")
    assert fix in told[2]
