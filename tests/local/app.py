"""An app that needs no aws-cdk-lib: it writes the cloud assembly of a stack as the CDK CLI expects it.

`python app.py [fail | sleep]`; the CLI passes the directory and the context in its environment.
"""

import json
import os
import sys
import time
from pathlib import Path


def main():
    if "fail" in sys.argv:
        sys.exit("the app is broken")
    if "sleep" in sys.argv:
        time.sleep(60)
    context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    write(Path(os.environ["CDK_OUTDIR"]), minutes=int(context.get("minutes", 30)))


def write(directory, *, minutes=30, stacks=("Tiny",)):
    directory.mkdir(exist_ok=True)
    for stack in stacks:
        (directory / f"{stack}.template.json").write_text(json.dumps(template(minutes)))
    properties = {stack: {"templateFile": f"{stack}.template.json"} for stack in stacks}
    artifacts = {
        stack: {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/unknown-region",
            "properties": properties[stack],
        }
        for stack in stacks
    }
    (directory / "manifest.json").write_text(json.dumps({"version": "36.0.0", "artifacts": artifacts}))


def template(minutes):
    source = {
        "Name": "Source",
        "Actions": [
            {
                "Name": "GitHub",
                "ActionTypeId": kind("Source", "CodeStarSourceConnection"),
                "Configuration": {
                    "ConnectionArn": {"Ref": "Connection"},
                    "FullRepositoryId": "a/b",
                    "BranchName": "main",
                },
                "OutputArtifacts": [{"Name": "Source"}],
            }
        ],
    }
    build = {
        "Name": "Build",
        "Actions": [
            {
                "Name": "Build",
                "ActionTypeId": kind("Build", "CodeBuild"),
                "Configuration": {"ProjectName": {"Ref": "Build"}},
                "InputArtifacts": [{"Name": "Source"}],
                "TimeoutInMinutes": minutes,
            }
        ],
    }
    return {
        "Resources": {
            "Connection": {
                "Type": "AWS::CodeConnections::Connection",
                "Properties": {"ConnectionName": "tiny", "ProviderType": "GitHub"},
            },
            "Artifacts": {"Type": "AWS::S3::Bucket"},
            "Build": {
                "Type": "AWS::CodeBuild::Project",
                "Properties": {
                    "Source": {"Type": "CODEPIPELINE"},
                    "Artifacts": {"Type": "CODEPIPELINE"},
                    "Environment": {
                        "Type": "LINUX_CONTAINER",
                        "ComputeType": "BUILD_GENERAL1_SMALL",
                        "Image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
                    },
                    "ServiceRole": "arn:aws:iam::123456789012:role/build",
                    "TimeoutInMinutes": minutes,
                },
            },
            "Pipeline": {
                "Type": "AWS::CodePipeline::Pipeline",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/pipeline",
                    "PipelineType": "V2",
                    "ArtifactStore": {"Type": "S3", "Location": {"Ref": "Artifacts"}},
                    "Stages": [source, build],
                },
            },
        }
    }


def kind(category, provider):
    return {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}


if __name__ == "__main__":
    main()
