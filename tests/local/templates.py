"""Resources that several tests need, as small as they can be."""

import json

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def resource(kind, *, depends_on=None, **properties):
    return {"Type": kind, "Properties": properties, **({"DependsOn": depends_on} if depends_on else {})}


def get(logical_id, attribute):
    return {"Fn::GetAtt": [logical_id, attribute]}


def ref(logical_id):
    return {"Ref": logical_id}


def template(resources):
    return json.dumps({"Resources": resources})


def role(**properties):
    return resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, **properties)


def project(**properties):
    return resource(
        "AWS::CodeBuild::Project",
        **{
            "Source": {"Type": "CODEPIPELINE"},
            "Artifacts": {"Type": "CODEPIPELINE"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "Image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
            },
            "ServiceRole": "arn:aws:iam::123456789012:role/build",
            **properties,
        },
    )


def pipeline(*, branch="main", stages=None, **properties):
    source = {
        "Name": "Source",
        "Actions": [
            action(
                "GitHub",
                "Source",
                "CodeStarSourceConnection",
                Configuration={"ConnectionArn": "arn", "FullRepositoryId": "a/b", "BranchName": branch},
                OutputArtifacts=[{"Name": "Source"}],
            )
        ],
    }
    build = {
        "Name": "Build",
        "Actions": [
            action(
                "Build",
                "Build",
                "CodeBuild",
                Configuration={"ProjectName": "build"},
                InputArtifacts=[{"Name": "Source"}],
                OutputArtifacts=[{"Name": "Built"}],
                RunOrder="1",
            )
        ],
    }
    return resource(
        "AWS::CodePipeline::Pipeline",
        **{
            "RoleArn": "arn:aws:iam::123456789012:role/pipeline",
            "PipelineType": "V2",
            "ArtifactStore": {"Type": "S3", "Location": "artifacts"},
            "Stages": [source, build] if stages is None else stages,
            **properties,
        },
    )


def action(name, category, provider, **properties):
    kind = {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "ActionTypeId": kind, **properties}
