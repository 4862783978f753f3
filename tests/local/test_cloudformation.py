import time

import pytest
from botocore.exceptions import ClientError

from tests.local.templates import pipeline, project, resource, role


def test_an_unknown_type_fails_by_name(stack):
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::CodeStar::GitHubRepository\]"):
        stack.create(Repository=resource("AWS::CodeStar::GitHubRepository"))


def test_an_unchanged_resource_has_no_events_in_an_update(stack):
    stack.create(Build=project(), Pipeline=pipeline())
    before = len(stack.events())
    stack.update(Build=project(), Pipeline=pipeline(branch="develop"))
    events = stack.events()[: len(stack.events()) - before]
    assert {event["LogicalResourceId"] for event in events} == {stack.name, "Pipeline"}


def test_a_change_set_says_what_is_changed_and_what_replaced(stack, name):
    def build(name, minutes):
        return {"Build": project(Name=name, TimeoutInMinutes=minutes)}

    stack.create(**build(name, 30))
    assert replacement(stack, build(name, 45)) == "False"
    assert replacement(stack, build(f"{name}2", 30)) == "True"


def test_a_failed_create_leaves_nothing(aws, stack, name):
    stack.create(Build=project(Name=name), Pipeline=pipeline(PipelineType="V3"))
    assert stack.status() == "ROLLBACK_COMPLETE"
    assert aws("codebuild").batch_get_projects(names=[name])["projects"] == []


def test_a_failed_update_brings_back_what_was(aws, stack):
    stack.create(Role=role(), Build=project(TimeoutInMinutes=30))
    updated = stack.update(Role=role(), Build=project(TimeoutInMinutes=45), Pipeline=pipeline(PipelineType="V3"))
    assert updated == "UPDATE_ROLLBACK_COMPLETE"
    name = stack.id_of("Build")
    assert aws("codebuild").batch_get_projects(names=[name])["projects"][0]["timeoutInMinutes"] == 30


def test_the_template_can_be_read_back(stack):
    stack.create(Build=project())
    template = stack.cloudformation.get_template(StackName=stack.name)["TemplateBody"]
    assert "AWS::CodeBuild::Project" in str(template)


def test_drift_tells_what_was_deleted_outside(aws, stack):
    stack.create(Pipeline=pipeline())
    aws("codepipeline").delete_pipeline(name=stack.id_of("Pipeline"))
    assert stack.drift()["Pipeline"]["StackResourceDriftStatus"] == "DELETED"


def test_describing_a_stack_waits_for_a_running_operation(stack):
    stack.cloudformation.create_stack(
        StackName=stack.name, TemplateBody='{"Resources": {"R": {"Type": "AWS::S3::Bucket"}}}'
    )
    began = time.monotonic()
    [found] = stack.cloudformation.describe_stacks(StackName=stack.name)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    assert time.monotonic() - began < 3


def replacement(stack, resources):
    from tests.local.templates import template

    client = stack.cloudformation
    client.create_change_set(StackName=stack.name, ChangeSetName="c", TemplateBody=template(resources))
    found = client.describe_change_set(StackName=stack.name, ChangeSetName="c")["Changes"]
    client.delete_change_set(StackName=stack.name, ChangeSetName="c")
    [change] = found
    return change["ResourceChange"]["Replacement"]
