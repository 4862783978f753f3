"""The contract with ministack: an upgrade that breaks this package breaks here, and says where."""

import importlib.metadata
import inspect

import pytest
from ministack import app
from ministack.services import lambda_svc
from ministack.services.cloudformation import stacks

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
        (lambda_svc._execute_function_with_config_scope, ["func", "event"]),
        (_ministack.deliver_response, ["token", "response"]),
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


def test_state_is_scoped_to_an_account_and_a_region():
    store = _ministack.Scoped()
    store["a"] = 1
    assert (list(store.keys()), store.get("a"), "a" in store) == (["a"], 1, True)
    assert next(iter(store._data)) == (_ministack.account_id(), _ministack.region(), "a")


def test_custom_resources_wait_in_a_dict_by_token():
    assert isinstance(_ministack.pending_responses, dict)
    assert _ministack.deliver_response("nobody waits for this", {}) is False


def test_events_are_kept_by_stack():
    assert hasattr(_ministack.stack_events, "__getitem__")


def test_a_runtime_is_in_the_configuration_of_a_function():
    assert _ministack.runtime_of({"config": {"Runtime": "python3.13"}}) == "python3.13"
