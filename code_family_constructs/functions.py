"""Floor 0: Lambda functions in Python that constructs bring along."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from aws_cdk import Duration, Names, RemovalPolicy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction
from code_family_constructs.permissions import ServiceRole, Statement, acknowledge

# Lambda's limit for code that stands in the template; anything longer is an asset, which needs `cdk bootstrap`.
_LONGEST_INLINE = 4096
_RUNTIME = "python3.14"
_PACKAGE = "code_family_constructs.handlers"


class PythonFunction(Construct):
    """A Lambda function that runs a module of `code_family_constructs.handlers`, without any bundling.

    Creates the function, a log group that forgets, and a role that may write this log and do what the statements say.

    Args:
        scope: Parent construct.
        id: Construct id.
        module: Name of the module in `handlers`; its function `handler` is called.
        shared: Modules of `handlers` that it imports.
        files: More files beside it, path → text, such as a function of the user's.
        description: What the function is for.
        statements: What it may do besides writing its log.
        timeout: When Lambda ends it.
        memory_size: In MiB.
        environment: Environment variables.
        concurrency: Why it needs no reserved concurrency, for the security reviewer.
        failures: Who notices when it fails, for the security reviewer.
        network: What it talks to, and why not from inside of a VPC, for the security reviewer.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        module: str,
        shared: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        description: str,
        statements: Sequence[Statement] = (),
        timeout: Duration,
        memory_size: int = 256,
        environment: Mapping[str, str] | None = None,
        concurrency: str,
        failures: str,
        network: str,
    ) -> None:
        super().__init__(scope, id)
        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        self._role = ServiceRole(
            self,
            service="lambda.amazonaws.com",
            statements=[
                Statement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
                ),
                *statements,
            ],
        )
        self.role = self._role.role
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=lambda_.Runtime(_RUNTIME, lambda_.RuntimeFamily.PYTHON, supports_inline_code=True),
            handler="index.handler",
            code=_code(module, shared, files or {}),
            role=self._role.frozen,
            timeout=timeout,
            memory_size=memory_size,
            environment=dict(environment) if environment else None,
            log_group=self.log_group,
        )
        acknowledge(
            self.function,
            {"LambdaConcurrency": concurrency, "LambdaDLQ": failures, "LambdaInsideVPC": network},
            pack="NIST.800.53.R5",
        )
        acknowledge(
            self.log_group,
            {"CloudWatchLogGroupEncrypted": "the log holds names and error texts, no data; CloudWatch encrypts it"},
            pack="NIST.800.53.R5",
        )

    def allow(self, *statements: Statement) -> None:
        """Lets the function do more."""
        self._role.allow(*statements)

    def name_for(self, context: ActionContext) -> str:
        """The function's name for an action of a pipeline: as text, where CloudFormation cannot refer to it."""
        if not context.elsewhere:
            return self.function.function_name
        resource: Any = self.function.node.default_child
        resource.function_name = Names.unique_resource_name(self, max_length=64, separator="-")
        name: str = resource.function_name
        return name


def invoke_action(
    context: ActionContext,
    function_name: str,
    *,
    user_parameters: str | None = None,
    inputs: Sequence[codepipeline.Artifact] = (),
    outputs: Sequence[codepipeline.Artifact] = (),
    action_name: str | None = None,
    namespace: str | None = None,
) -> DeclaredAction:
    """CodePipeline's action that invokes a Lambda function."""
    return DeclaredAction(
        context,
        category=codepipeline.ActionCategory.INVOKE,
        provider="Lambda",
        configuration={"FunctionName": function_name, "UserParameters": user_parameters},
        inputs=inputs,
        outputs=outputs,
        bounds=(0, 5, 0, 5),
        action_name=action_name,
        namespace=namespace,
    )


def invoke_statements(function_arn: str) -> list[Statement]:
    """What the role of an action needs to invoke a Lambda function.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
    """
    return [
        Statement(actions=["lambda:InvokeFunction"], resources=[function_arn]),
        Statement(
            actions=["lambda:ListFunctions"],
            resources=["*"],
            wildcard_reason="the list of functions has no resource-level permissions",
        ),
    ]


def handler_source(module: str) -> str:
    """Text of a module of `handlers`."""
    return (resources.files(_PACKAGE) / f"{module}.py").read_text(encoding="utf-8")


def _code(module: str, shared: Sequence[str], files: Mapping[str, str]) -> lambda_.Code:
    source = handler_source(module)
    if not shared and not files and len(source) <= _LONGEST_INLINE:
        return lambda_.Code.from_inline(source)
    folder = _PACKAGE.replace(".", "/")
    return _asset(
        {
            "index.py": f"from {_PACKAGE}.{module} import handler as handler\n",
            **{f"{folder}/{name}.py": handler_source(name) for name in (module, *shared)},
            **files,
        }
    )


# The texts of an asset → the folder that it is staged from. Lambda's code is staged when the function is made, and the
# folder has to be there until the process ends, since a second function may have the same code.
_STAGED: dict[str, tempfile.TemporaryDirectory[str]] = {}


def _asset(files: Mapping[str, str]) -> lambda_.Code:
    key = json.dumps(files, sort_keys=True)
    if key not in _STAGED:
        _STAGED[key] = tempfile.TemporaryDirectory(prefix="code-family-")
        for name, text in files.items():
            path = Path(_STAGED[key].name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whatever this machine's locale is: Python in Lambda reads UTF-8.
            path.write_bytes(text.encode())
            # The mode goes into the archive, and the user that Lambda runs code as is another one.
            path.chmod(0o644)
    return lambda_.Code.from_asset(_STAGED[key].name)
