"""The app as a user starts it: the real CLI, the cdk.json of this checkout, settings from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def cdk(*arguments: str) -> str:
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["cdk", *arguments, "--no-notices", "--no-color", "--no-lookups"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def test_synth_takes_the_settings_of_the_command_line(tmp_path):
    settings = ("-c", "repository=acme/shop", "-c", "branch=release", "-c", "approvers=a@acme.example,b@acme.example")
    cdk("synth", "--quiet", "--output", str(tmp_path), *settings)
    [path] = tmp_path.glob("*.template.json")
    assert path.name == "GitHubToEc2.template.json"
    resources = json.loads(path.read_text())["Resources"].values()
    [pipeline] = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::CodePipeline::Pipeline"]
    source = pipeline["Stages"][0]["Actions"][0]["Configuration"]
    assert (source["FullRepositoryId"], source["BranchName"]) == ("acme/shop", "release")
    emails = {r["Properties"]["Endpoint"] for r in resources if r["Type"] == "AWS::SNS::Subscription"}
    assert emails == {"a@acme.example", "b@acme.example"}


def test_ls_lists_the_bundled_stacks(tmp_path):
    assert cdk("ls", "--output", str(tmp_path)).split() == ["GitHubToEc2"]
