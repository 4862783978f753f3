"""Step Functions: what CodePipeline or Step Functions would refuse."""

import json
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as stepfunctions

from code_family_constructs.pipeline.actions.step_functions import StepFunctionsInvoke
from code_family_constructs.testing import text_of
from tests.helpers import a_context, a_stack, refuses
from tests.pipeline.actions.stages import elsewhere

AT = "StepFunctionsInvoke"
MACHINE = "arn:aws:states:eu-central-1:111122223333:stateMachine:Check"


def a_machine(stack: Stack, **settings: Any) -> stepfunctions.StateMachine:
    body = stepfunctions.DefinitionBody.from_string(json.dumps({"StartAt": "A", "States": {}}))
    return stepfunctions.StateMachine(stack, "Machine", definition_body=body, **settings)


def an_action(**settings: Any) -> StepFunctionsInvoke:
    machine = stepfunctions.StateMachine.from_state_machine_arn(a_stack(), "Machine", MACHINE)
    return StepFunctionsInvoke(**{"state_machine": machine, **settings})


def test_of_a_machine_of_this_app_the_executions_are_named_too():
    stack = a_stack()
    made = StepFunctionsInvoke(state_machine=a_machine(stack)).stage_action(a_context())
    [watch] = [statement for statement in made.permissions if statement.actions == ["states:DescribeExecution"]]
    text = text_of(stack.resolve(watch.resources[0]))
    assert text.startswith("arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:")
    assert "Fn::Select" in text
    assert text.endswith(":*")


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({"state_machine": MACHINE}, "str where a state machine belongs", "from_state_machine_arn"),
        ({"input": {}, "input_path": "a.json"}, "input= and input_path=", "give one of them"),
        ({"input": {"a": "x" * 993}}, "input of 1001 characters", "with input_path="),
        ({"input_path": ""}, "input_path of 0 characters", "from the artifact's root"),
        ({"input_artifact": "App"}, "input_artifact='App' without a path", "give input_path="),
        ({"input_artifact": "my app", "input_path": "a.json"}, "artifact name 'my app'", "[A-Za-z0-9_-]"),
        ({"output_artifact": "my app"}, "artifact name 'my app'", "[A-Za-z0-9_-]"),
        ({"execution_name_prefix": "x" * 44}, "44 characters", "use 1 to 43"),
        ({"execution_name_prefix": "a b"}, "has ' ' in it", "use 1 to 43"),
    ],
)
def test_what_aws_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at=AT, fix=fix):
        an_action(**settings)


def test_the_output_of_an_express_state_machine_is_refused():
    machine = a_machine(a_stack(), state_machine_type=stepfunctions.StateMachineType.EXPRESS)
    with refuses("the output of an express state machine", at=AT, fix="a standard state machine"):
        an_action(state_machine=machine, output_artifact="Result")
    standard = a_machine(a_stack(), state_machine_type=stepfunctions.StateMachineType.STANDARD)
    assert an_action(state_machine=standard, output_artifact="Result").output_artifact == "Result"


def test_a_machine_elsewhere_goes_by_its_arn():
    assert an_action().stage_action(elsewhere()).permissions[0].resources == [MACHINE]
    action = StepFunctionsInvoke(state_machine=a_machine(a_stack()))
    with refuses("the state machine is in another", at="Shop-Pipeline/Production/Deploy", fix="import it by its ARN"):
        action.stage_action(elsewhere())


def test_executions_of_a_version_are_called_without_it():
    version = stepfunctions.StateMachine.from_state_machine_arn(a_stack(), "Version", f"{MACHINE}:7")
    start, watch = an_action(state_machine=version, execution_name_prefix="shop").stage_action(a_context()).permissions
    assert start.resources == [f"{MACHINE}:7"]
    assert watch.resources == ["arn:aws:states:eu-central-1:111122223333:execution:Check:shop-*"]
