"""The contract with ministack: an upgrade that breaks this package breaks here, and says where."""

import importlib.metadata
import inspect
import json

import pytest
from ministack import app
from ministack.core.responses import request_scope
from ministack.services import alb, cloudformation, cloudwatch, ecr, iam, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from code_family_constructs.local import _ministack


def test_the_version_is_the_one_that_the_private_names_were_read_in():
    assert importlib.metadata.version("ministack") == "1.5.33"


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (_ministack.api_handlers, "s3"),
        (_ministack.api_handlers, "cloudformation"),
        (_ministack.routes, "codebuild"),
        (_ministack.resource_handlers, "AWS::S3::Bucket"),
        (_ministack.resource_handlers, "AWS::SNS::Topic"),
        (_ministack.resource_handlers, "AWS::IAM::Role"),
        (_ministack.resource_handlers, "AWS::IAM::ManagedPolicy"),
        (_ministack.resource_handlers, "AWS::ElasticLoadBalancingV2::TargetGroup"),
        (_ministack.resource_handlers, "AWS::ECR::Repository"),
        (_ministack.resource_handlers, "AWS::Lambda::Alias"),
        (_ministack.resource_handlers, "AWS::Lambda::Version"),
        (_ministack.replacing_properties, "AWS::DynamoDB::Table"),
        (_ministack.custom_names, "AWS::IAM::Role"),
        (_ministack.stack_tag_properties, "AWS::EC2::VPC"),
        (_ministack.drift_readers, "AWS::IAM::Role"),
        (
            _ministack.public_parameters,
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        ),
        (_ministack.ec2_actions, "DescribeNatGateways"),
        (_ministack.ec2_actions, "DeleteVpc"),
        (_ministack.autoscaling_actions, "DescribeAutoScalingGroups"),
        (_ministack.autoscaling_actions, "CreateAutoScalingGroup"),
        (_ministack.autoscaling_actions, "UpdateAutoScalingGroup"),
        (_ministack.autoscaling_actions, "DeleteAutoScalingGroup"),
        (_ministack.resource_handlers, "AWS::AutoScaling::AutoScalingGroup"),
    ],
)
def test_a_table_is_a_dict_with_the_keys_that_we_wrap(table, key):
    assert isinstance(table, dict)
    assert key in table


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (_ministack.resource_handlers["AWS::S3::Bucket"]["create"], ["logical_id", "props", "stack_name"]),
        (
            _ministack.resource_handlers["AWS::S3::Bucket"]["update"],
            ["physical_id", "old_props", "new_props", "stack_name"],
        ),
        (_ministack.resource_handlers["AWS::S3::Bucket"]["delete"], ["physical_id", "props"]),
        (
            _ministack.resource_handlers["AWS::SNS::Topic"]["update"],
            ["physical_id", "old_props", "new_props", "stack_name", "logical_id"],
        ),
        (stacks._update_resource, ["resource_type", "physical_id", "old_props", "new_props", "stack_name"]),
        (stacks._add_event, ["stack_id", "stack_name", "logical_id", "resource_type", "status"]),
        (stacks._runs_on_worker_thread, ["resource_type"]),
        (provisioners._cfn_wait_condition_definition, ["stack_name", "logical_id"]),
        (provisioners._elbv2_listener_actions, ["props", "lb_arn", "prop"]),
        (
            engine._resolve_refs,
            ["value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"],
        ),
        (ecr._repo_shape, ["repo"]),
        (cloudwatch._evaluate_alarm, ["alarm"]),
        (alb._parse_actions, ["params", "prefix"]),
        (alb._action_xml, ["a"]),
        (
            _ministack.resource_handlers["AWS::Lambda::Alias"]["update"],
            ["physical_id", "old_props", "new_props", "stack_name", "logical_id"],
        ),
        (_ministack.resource_handlers["AWS::Lambda::Version"]["delete"], ["physical_id", "props"]),
        (_ministack.resource_handlers["AWS::IAM::Role"]["create"], ["logical_id", "props", "stack_name"]),
        (_ministack.resource_handlers["AWS::IAM::ManagedPolicy"]["create"], ["logical_id", "props", "stack_name"]),
        (provisioners._physical_name, ["stack_name", "logical_id", "lowercase", "max_len", "seeded"]),
        (_ministack.in_background, ["fn", "args", "thread_name", "kwargs"]),
        (lambda_svc._get_func_record_for_ref, ["function_ref"]),
        (lambda_svc._execute_function_with_config_scope, ["func", "event"]),
        (_ministack.deliver_response, ["token", "response"]),
        (_ministack.autoscaling_answer, ["status", "root_tag", "inner"]),
        (_ministack.autoscaling_error, ["code", "message"]),
    ],
)
def test_a_function_takes_what_we_give_it(function, parameters):
    assert list(inspect.signature(function).parameters)[: len(parameters)] == parameters


def test_an_api_handler_is_called_with_the_parts_of_a_request():
    parameters = list(inspect.signature(app.SERVICE_HANDLERS["ec2"]).parameters)
    assert parameters[:5] == ["method", "path", "headers", "body", "query_params"]


def test_a_name_is_stable_and_not_too_long():
    first = _ministack.physical_name("stack", "Pipeline", 20)
    assert first == _ministack.physical_name("stack", "Pipeline", 20)
    assert first != _ministack.physical_name("stack", "Other", 20)
    assert len(first) <= 20


def test_a_name_can_be_told_apart_by_account_and_region(monkeypatch):
    monkeypatch.setattr(provisioners, "_physical_name", provisioners._physical_name)
    _ministack.tell_names_apart()
    first = provisioners._physical_name("stack", "Role", max_len=64)
    seed = provisioners._NAME_SEED.set("of a replacement")
    second = provisioners._physical_name("stack", "Role", max_len=64)
    unseeded = provisioners._physical_name("stack", "Role", max_len=64, seeded=False)
    assert provisioners._NAME_SEED.get() == "of a replacement"
    provisioners._NAME_SEED.reset(seed)
    with request_scope(_ministack.account_id(), "eu-west-1"):
        third = provisioners._physical_name("stack", "Role", max_len=64)
    assert unseeded == first
    assert len({first, second, third}) == 3


def test_references_are_resolved_by_one_function_that_four_modules_have_by_its_name():
    assert {module._resolve_refs for module in (changesets, handlers, stacks)} == {engine._resolve_refs}
    # Where it is imported at each call.
    assert not hasattr(provisioners, "_resolve_refs")


def test_stacks_and_roles_of_other_accounts_and_regions_can_be_looked_up():
    with request_scope("111111111111", "eu-west-1"):
        cloudformation._stacks["contract"] = {"StackStatus": "CREATE_COMPLETE"}
        iam._roles["contract"] = {}
    assert _ministack.stack_elsewhere("111111111111", "eu-west-1", "contract") == {"StackStatus": "CREATE_COMPLETE"}
    assert _ministack.stack_elsewhere("111111111111", "us-east-1", "contract") is None
    assert _ministack.has_role("111111111111", "contract")
    assert not _ministack.has_role("222222222222", "contract")
    with request_scope("111111111111", "eu-west-1"):
        del cloudformation._stacks["contract"], iam._roles["contract"]


def test_state_is_scoped_to_an_account_and_a_region():
    store = _ministack.Scoped()
    store["a"] = 1
    assert (list(store.keys()), store.get("a"), "a" in store) == (["a"], 1, True)
    assert next(iter(store._data)) == (_ministack.account_id(), _ministack.region(), "a")


def test_an_auto_scaling_group_is_a_dict_that_its_instances_follow():
    actions, name = _ministack.autoscaling_actions, "group-of-the-contract"
    actions["CreateAutoScalingGroup"]({"AutoScalingGroupName": name, "MinSize": "1", "MaxSize": "2"})
    group = _ministack.auto_scaling_groups[name]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"], group["LaunchTemplate"]) == (1, 2, 1, {})
    assert [instance["LifecycleState"] for instance in group["Instances"]] == ["InService"]
    actions["DeleteAutoScalingGroup"]({"AutoScalingGroupName": name, "ForceDelete": "true"})
    assert name not in _ministack.auto_scaling_groups


def test_custom_resources_wait_in_a_dict_by_token():
    assert isinstance(_ministack.pending_responses, dict)
    assert _ministack.deliver_response("nobody waits for this", {}) is False


def test_events_are_kept_by_stack():
    assert hasattr(_ministack.stack_events, "__getitem__")


def test_a_runtime_is_in_the_configuration_of_a_function():
    assert _ministack.runtime_of({"config": {"Runtime": "python3.13"}}) == "python3.13"


def test_a_missing_function_has_no_record():
    assert _ministack.run_function("missing", {}) is None
    assert _ministack.runtime_of_function("missing") == ""


def test_an_action_is_one_xml_element():
    action = {"Type": "forward", "Order": 1, "TargetGroupArn": "arn"}
    xml = "<Type>forward</Type><Order>1</Order><TargetGroupArn>arn</TargetGroupArn>"
    assert alb._action_xml(action) == f"<member>{xml}</member>"
    query = {"A.member.1.Type": ["forward"], "A.member.1.TargetGroupArn": ["arn"]}
    assert alb._parse_actions(query, "A") == [action]
    assert provisioners._elbv2_listener_actions({"A": [{**action, "Order": "1"}]}, None, prop="A") == [action]


def test_background_work_sees_the_account_and_region_of_the_request():
    seen = []
    with request_scope("111111111111", "eu-west-1"):
        _ministack.in_background(lambda: seen.append((_ministack.account_id(), _ministack.region()))).join()
    assert seen == [("111111111111", "eu-west-1")]


def test_a_stack_holds_what_a_running_operation_needs():
    definition = {"Resources": {"A": {"Type": "T", "UpdatePolicy": {"Name": {"Ref": "B"}, "Other": {"Ref": "P"}}}}}
    record = {
        "StackId": "id",
        "StackStatus": "UPDATE_ROLLBACK_IN_PROGRESS",
        "Parameters": [{"ParameterKey": "P", "ParameterValue": "p"}],
        "_template_body": json.dumps(definition),
        "_resources": {"B": {"PhysicalResourceId": "b", "ResourceType": "T"}},
    }
    cloudformation._stacks["contract"] = record
    try:
        assert _ministack.attribute_of_resource("contract", "A", "UpdatePolicy") == {"Name": "b", "Other": "p"}
        assert _ministack.attribute_of_resource("contract", "A", "CreationPolicy") is None
        assert _ministack.is_rolling_back("contract")
    finally:
        del cloudformation._stacks["contract"]


def test_points_of_a_metric_are_told_by_their_dimensions():
    cloudwatch.record_metric("contract", "Errors", 1, dimensions={"A": "1"})
    alarm = {"Namespace": "contract", "MetricName": "Errors", "Dimensions": [{"Name": "A", "Value": "1"}]}
    assert not _ministack.has_points_of_others(alarm)
    assert _ministack.has_points_of_others({**alarm, "Dimensions": []})
