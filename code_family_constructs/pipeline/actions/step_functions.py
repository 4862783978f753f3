"""Floor 2: run a state machine of Step Functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Fn
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import check_environment_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import Statement, pseudo
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    check_setting,
    inputs_of,
    known_text,
    outputs_of,
    place,
    to_json,
)
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions as stepfunctions

# The name of an execution has 80 characters, of which the id of the action's execution and a hyphen take 37:
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_PREFIX = NameRule("execution prefix", "[A-Za-z0-9_-]", 43)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFunctionsInvoke:
    """Runs a state machine of Step Functions, and waits for it up to 7 days.

    Of an express state machine, CodePipeline only starts the execution: the action succeeds whatever becomes of it.

    It puts out the variables `StateMachineArn` and, of a standard state machine, `ExecutionArn`.

    Args:
        state_machine: A state machine.
        input: What the execution starts with, up to 1000 characters as JSON, with variables of the pipeline where
            wanted. A variable that may hold quotes breaks the JSON. Or else:
        input_path: Path of a file in the artifact that holds it.
        input_artifact: Name of the artifact; the one that the stage is about when left out.
        output_artifact: Name for an artifact of the execution's output.
        execution_name_prefix: What the names of executions start with, up to 43 characters.

    Raises:
        ConfigurationError: What CodePipeline or Step Functions would refuse, a state machine of another account or
            region than the action runs in, or the output of an express state machine, which there is none of.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StepFunctions.html
    """

    state_machine: "stepfunctions.IStateMachine"
    input: Mapping[str, Any] | None = None
    input_path: str | None = None
    input_artifact: str | None = None
    output_artifact: str | None = None
    execution_name_prefix: str | None = None

    def __post_init__(self) -> None:
        at = "StepFunctionsInvoke"
        if not hasattr(self.state_machine, "state_machine_arn"):
            raise ConfigurationError(
                f"{type(self.state_machine).__name__} where a state machine belongs",
                at=at,
                fix="give the state machine, or stepfunctions.StateMachine.from_state_machine_arn(…)",
            )
        if self.input is not None:
            if self.input_path is not None:
                raise ConfigurationError("input= and input_path=", at=at, fix="give one of them")
            check_setting(at, "input", to_json(self.input), fix="put it into a file of the artifact, with input_path=")
        if self.input_path is not None:
            check_setting(at, "input_path", self.input_path, fix="give the path from the artifact's root")
        elif self.input_artifact is not None:
            raise ConfigurationError(
                f"input_artifact={self.input_artifact!r} without a path in it", at=at, fix="give input_path= as well"
            )
        for argument, name in (("input_artifact", self.input_artifact), ("output_artifact", self.output_artifact)):
            if name is not None:
                check_artifacts(at, argument, [name], most=1)
        if self.execution_name_prefix is not None:
            check_name(
                at, self.execution_name_prefix, _PREFIX, fix="use 1 to 43 letters, digits, hyphens and underscores"
            )
        if self._express and self.output_artifact is not None:
            raise ConfigurationError(
                "the output of an express state machine, which nothing waits for",
                at=at,
                fix="leave out output_artifact=, or use a standard state machine",
            )

    def stage_action(self, context: ActionContext) -> StageAction:
        check_environment_of(context, place(context), "state machine", self.state_machine)
        fix = "give the state machine a name, and import it by its ARN"
        machine_arn = known_text(context, "the state machine", self.state_machine.state_machine_arn, fix=fix)
        outputs = outputs_of([] if self.output_artifact is None else [self.output_artifact])
        names = [] if self.input_artifact is None else [self.input_artifact]
        from_file = self.input_path is not None
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.INVOKE,
                provider="StepFunctions",
                configuration={
                    "StateMachineArn": machine_arn,
                    "ExecutionNamePrefix": self.execution_name_prefix,
                    "InputType": "FilePath" if from_file else None,
                    "Input": to_json(self.input) if self.input is not None else self.input_path,
                },
                inputs=inputs_of(context, names) if from_file else [],
                outputs=list(outputs.values()),
                bounds=(0, 1, 0, 1),
                namespace=context.namespace,
            ),
            permissions=[
                Statement(actions=["states:DescribeStateMachine", "states:StartExecution"], resources=[machine_arn]),
                *([] if self._express else [self._watch(machine_arn)]),
            ],
            outputs=outputs,
        )

    @property
    def _express(self) -> bool:
        kind = getattr(self.state_machine, "state_machine_type", None)
        return kind is not None and kind.name == "EXPRESS"

    def _watch(self, machine_arn: str) -> Statement:
        aws = pseudo()
        if unresolved(machine_arn):
            name = Fn.select(6, Fn.split(":", machine_arn))
            executions = f"arn:{aws.partition}:states:{aws.region}:{aws.account}:execution:{name}"
        else:
            # Without its version or alias.
            executions = ":".join(machine_arn.split(":")[:7]).replace(":stateMachine:", ":execution:")
        prefix = "" if self.execution_name_prefix is None else f"{self.execution_name_prefix}-"
        return Statement(
            actions=["states:DescribeExecution"],
            resources=[f"{executions}:{prefix}*"],
            wildcard_reason="an execution is called after the one of the action, which gets its id at run time",
        )
