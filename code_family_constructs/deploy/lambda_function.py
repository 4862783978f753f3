"""Floor 1: a Lambda function that a pipeline brings its code to."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import ServiceRole, Statement, acknowledge


class LambdaFunction(Construct):
    """A Lambda function without code: the template has a placeholder, and a pipeline's releases have the rest.

    So no `cdk deploy` ever has old code to bring back. Until the first release, `index.handler` answers 503, and any
    other handler fails. Creates the function, a log group that forgets, and a role that may write this log and do what
    the statements say.

    Args:
        scope: Parent construct.
        id: Construct id.
        runtime: A Python or Node.js runtime; the default is moved forward by releases of this library.
        handler: File and function in the artifact of the pipeline.
        timeout: When Lambda ends a call, 1 second to 15 minutes.
        memory_size: In MiB; the share of a CPU grows with it, and so does the price.
        environment: Environment variables; no place for secrets.
        statements: What it may do besides writing its log.

    Raises:
        ConfigurationError: A runtime that Lambda needs a file for.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: lambda_.Runtime = lambda_.Runtime.PYTHON_3_14,
        handler: str = "index.handler",
        timeout: Duration = Duration.seconds(10),
        memory_size: int = 256,
        environment: Mapping[str, str] | None = None,
        statements: Sequence[Statement] = (),
    ) -> None:
        super().__init__(scope, id)
        placeholder = _PLACEHOLDERS.get(runtime.family) if runtime.supports_inline_code else None
        if placeholder is None:
            raise ConfigurationError(
                f"a placeholder for runtime {runtime.name!r}, whose code cannot stand in a template",
                at=self,
                fix="make a lambda_.Function of your own, with any file as its code",
            )
        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        write_log = Statement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
        )
        role = ServiceRole(self, service="lambda.amazonaws.com", statements=[write_log, *statements])
        self.role = role.role
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=runtime,
            handler=handler,
            code=lambda_.Code.from_inline(placeholder),
            role=role.frozen,
            timeout=timeout,
            memory_size=memory_size,
            environment=dict(environment) if environment else None,
            log_group=self.log_group,
        )
        acknowledge(
            self.function,
            {
                "LambdaConcurrency": "a reserve of its own would be taken from all other functions of the account",
                "LambdaDLQ": "who calls the alias decides what becomes of calls that fail; callers that wait see them",
                "LambdaInsideVPC": "it needs nothing inside of a VPC; from there it could not reach public endpoints",
            },
            pack="NIST.800.53.R5",
        )
        acknowledge(
            self.log_group,
            {
                "CloudWatchLogGroupEncrypted": (
                    "CloudWatch encrypts every log; an application that logs what needs a key of its own sets it here"
                )
            },
            pack="NIST.800.53.R5",
        )


_PLACEHOLDERS: Mapping[lambda_.RuntimeFamily | None, str] = {
    lambda_.RuntimeFamily.PYTHON: (
        'def handler(event, context):\n    return {"statusCode": 503, "body": "nothing has been released yet"}\n'
    ),
    lambda_.RuntimeFamily.NODEJS: (
        "exports.handler = async () => ({ statusCode: 503, body: 'nothing has been released yet' });\n"
    ),
}
