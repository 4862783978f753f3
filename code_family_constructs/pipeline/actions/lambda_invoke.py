"""Floor 2: run a function of one's own as an action."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, Stack
from constructs import Construct

from code_family_constructs.actions import ActionContext, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_environment_of
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import PythonFunction, invoke_action, invoke_statements
from code_family_constructs.names import check_list
from code_family_constructs.own_function import OVERHEAD, check_environment, own_function, seconds_for
from code_family_constructs.permissions import Permissions, Statement
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    check_output_variables,
    check_setting,
    inputs_of,
    known_text,
    outputs_of,
    place,
)
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

Job = Callable[[dict[str, Any]], bool | Mapping[str, Any] | None]

# Read by the process that the function runs in.
_SETTINGS = "CODE_FAMILY_JOB"
_MOST_ARTIFACTS = 5
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-invoke-lambda-function.html
_REPORT = Statement(
    actions=["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
    resources=["*"],
    wildcard_reason="jobs have no ARN; the id of one is a secret that CodePipeline hands to this function alone",
)


class LambdaInvoke(Construct):
    """Runs a Python function of one's own as an action of a pipeline, and always tells CodePipeline how it went.

    Creates a Lambda function that calls it and then reports success or failure: also when it raises, exits, crashes,
    hangs or takes too long. The reason of a failure is in the console, all that it prints in the Lambda function's log.
    Costs nothing but the seconds that it runs.

    The function stands at the top of a module that imports only what Lambda has: the standard library and boto3. The
    module's file is deployed as it is and imported anew each time. The function gets a dictionary:

    - `parameters`: the `parameters` given here, with the variables filled in;
    - `inputs`: name of each input artifact → path of a folder with its files;
    - `outputs`: name of each output artifact → path of an empty folder: what is put there is the artifact;
    - `state`: what it wanted to continue with, `None` the first time;
    - `id`: of the job; another one for each call.

    What it returns is how it went. `None` or `True` is success, and so is a dictionary of the output variables, text
    each. `{"continue": state}` means that the job goes on: CodePipeline calls again after a while, when it likes, with
    this state, up to 2048 characters as JSON. So a function can wait for what takes up to 24 hours. Anything else, and
    any exception, fails the action.

    It runs in a process of its own with the Lambda function's permissions, and never gets to see the credentials for
    the artifacts.

    Args:
        scope: Parent construct.
        id: Construct id.
        function: The function.
        parameters: Texts by name, with variables of the pipeline where wanted, `#{SourceVariables.CommitId}`. Whatever
            these hold, quotes and lines, arrives as it is. At most 1000 characters with the names.
        input_artifacts: Names of up to 5 artifacts that it reads.
        output_artifacts: Names for up to 5 that it makes.
        output_variables: Names of the variables that it returns, all of them.
        timeout: How long one call may take.
        memory_size: In MiB.
        statements: What it may do in AWS. Reporting and the artifacts need none.
        environment: Environment variables for it; no place for secrets.

    Raises:
        ConfigurationError: A function that could not run in Lambda or not in time, or what CodePipeline would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: Job,
        parameters: Mapping[str, str] | None = None,
        input_artifacts: Sequence[str] = (),
        output_artifacts: Sequence[str] = (),
        output_variables: Sequence[str] = (),
        timeout: Duration = Duration.minutes(5),
        memory_size: int = 256,
        statements: Sequence[Statement] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, id)
        at = self.node.path
        found = own_function(self, function, noun="function", example="migrate(job)")
        self._parameters = _parameters(at, parameters or {})
        _check_artifacts(at, input_artifacts, output_artifacts)
        check_output_variables(at, output_variables)
        if "continue" in output_variables:
            raise ConfigurationError(
                "output variable 'continue', which says that the job goes on",
                at=at,
                fix="call it otherwise",
            )
        check_list(self, "statements", statements)
        seconds = seconds_for(self, timeout, "function")
        settings = {
            "file": found.file,
            "function": found.function,
            "parameters": list(parameters or ()),
            "variables": list(output_variables),
        }
        check_environment(self, environment or {}, _SETTINGS, settings)

        self.input_artifacts = tuple(input_artifacts)
        self.output_artifacts = tuple(output_artifacts)
        self.output_variables = tuple(output_variables)
        self._function = PythonFunction(
            self,
            "Function",
            module="invoke_job",
            shared=["own_job", "own_process", "pipeline_job"],
            files={found.file: found.source},
            description=f"Does {found.function} for a pipeline",
            statements=[_REPORT, *statements],
            timeout=Duration.seconds(seconds + OVERHEAD),
            memory_size=memory_size,
            environment={**(environment or {}), _SETTINGS: Stack.of(self).to_json_string(settings)},
            concurrency="an action calls it once at a time, and waits for it",
            failures="the action waits for its answer, and fails without one",
            network="it reports to public endpoints, as the pipeline calls it by one",
        )
        self.function: lambda_.Function = self._function.function
        self.role = self._function.role
        self.log_group = self._function.log_group
        # Lambda would call it again after a crash, when the pipeline may be on to the next release.
        self.function.configure_async_invoke(retry_attempts=0)

    def stage_action(self, context: ActionContext) -> StageAction:
        name = self._function.name_for(context)
        function_arn = (
            arn_at(context, "lambda", f"function:{name}") if context.elsewhere else self.function.function_arn
        )
        return _invoke(context, name, function_arn, self._parameters, self.input_artifacts, self.output_artifacts)


@dataclass(frozen=True, kw_only=True, slots=True)
class InvokeFunction:
    """Invokes a Lambda function that reports to CodePipeline itself, by `PutJobSuccessResult` or `PutJobFailureResult`.

    One that does not, because it crashed say, keeps the action waiting for 20 minutes. Its role is allowed to report,
    if the function is made in this app or known with its role, and runs in the pipeline's account. Lambda calls a
    crashed one again, twice, unless the function has `retry_attempts=0`.

    Args:
        function: The function.
        user_parameters: Text that it gets, 1 to 1000 characters, with variables of the pipeline where wanted.
        input_artifacts: Names of up to 5 artifacts that it reads.
        output_artifacts: Names for up to 5 that it makes.
        output_variables: Names of the variables that it reports.

    Raises:
        ConfigurationError: What CodePipeline would refuse, or a function of another account or region than the action
            runs in, or over there whose name is not known as text.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
    """

    function: "lambda_.IFunction"
    user_parameters: str | None = None
    input_artifacts: Sequence[str] = ()
    output_artifacts: Sequence[str] = ()
    output_variables: Sequence[str] = ()

    def __post_init__(self) -> None:
        at = "InvokeFunction"
        if not hasattr(self.function, "function_arn"):
            raise ConfigurationError(
                f"{type(self.function).__name__} where a function of Lambda belongs",
                at=at,
                fix="give a lambda_.Function, or LambdaInvoke a Python function",
            )
        if self.user_parameters is not None:
            check_setting(at, "user_parameters", self.user_parameters, fix="put more into an artifact")
        _check_artifacts(at, self.input_artifacts, self.output_artifacts)
        check_output_variables(at, self.output_variables)

    def stage_action(self, context: ActionContext) -> StageAction:
        check_environment_of(context, place(context), "function", self.function)
        fix = "give it a function_name, or import it by its ARN"
        name = known_text(context, "the function", self.function.function_name, fix=fix)
        function_arn = (
            arn_at(context, "lambda", f"function:{name}") if context.elsewhere else self.function.function_arn
        )
        scope: Any = self.function
        role = self.function.role
        if role is not None and context.role is None and scope.node.try_find_child("Reports") is None:
            Permissions(scope, "Reports", role_names=[role.role_name]).add([_REPORT])
        return _invoke(context, name, function_arn, self.user_parameters, self.input_artifacts, self.output_artifacts)


def _invoke(
    context: ActionContext,
    name: str,
    function_arn: str,
    parameters: str | None,
    input_artifacts: Sequence[str],
    output_artifacts: Sequence[str],
) -> StageAction:
    outputs = outputs_of(output_artifacts)
    return StageAction(
        action=invoke_action(
            context,
            name,
            user_parameters=parameters,
            inputs=inputs_of(context, input_artifacts) if input_artifacts else (),
            outputs=list(outputs.values()),
            namespace=context.namespace,
        ),
        permissions=invoke_statements(function_arn),
        outputs=outputs,
    )


def _parameters(at: str, parameters: Mapping[str, str]) -> str | None:
    """Each parameter as `name=value` on lines of its own: JSON would break at the quotes in a commit's message."""
    if not parameters:
        return None
    for name, value in parameters.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"parameter {name!r}", at=at, fix="use letters, digits and underscores, no digit first"
            )
        if not isinstance(value, str):
            raise ConfigurationError(f"parameter {name} is {value!r}", at=at, fix=f"write {str(value)!r}")
        taken = [other for other in parameters if f"\n{other}=" in value] if not unresolved(value) else []
        if taken:
            raise ConfigurationError(
                f"parameter {name} has a line that starts with {taken[0]}=, as parameter {taken[0]} does",
                at=at,
                fix="call the other one otherwise",
            )
    text = "\n".join(f"{name}={value}" for name, value in parameters.items())
    check_setting(at, "parameters", text, fix="put more into an artifact, or into environment=")
    return text


def _check_artifacts(at: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    check_artifacts(at, "input_artifacts", inputs, most=_MOST_ARTIFACTS)
    check_artifacts(at, "output_artifacts", outputs, most=_MOST_ARTIFACTS)
