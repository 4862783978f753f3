"""Floor 1: the environment variables of a project: plain, from Parameter Store, from Secrets Manager."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.access import decrypt
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, arn, flat
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # neither is needed by a project without such variables
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_secretsmanager as secretsmanager
    from aws_cdk import aws_ssm as ssm

    from code_family_constructs.build.buildspec import Env

    Value: TypeAlias = "str | ssm.IParameter | secretsmanager.ISecret | SecureParameter | SecretField"


@dataclass(frozen=True, kw_only=True, slots=True)
class SecureParameter:
    """A parameter that is encrypted with a key of your own. With AWS's own key, give the parameter as it is.

    Args:
        parameter: The parameter.
        key: Its key; the build may decrypt this parameter with it and nothing else.
    """

    parameter: "ssm.IParameter"
    key: "kms.IKey"


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretField:
    """One value of a secret that is JSON, or a secret in a stage other than the current one.

    Args:
        secret: The secret.
        json_key: Which value; the whole text when left out.
        version_stage: Such as `AWSPREVIOUS`.
    """

    secret: "secretsmanager.ISecret"
    json_key: str = ""
    version_stage: str = ""

    def __post_init__(self) -> None:
        for argument, value in (("json_key", self.json_key), ("version_stage", self.version_stage)):
            if ":" in value and not unresolved(value):
                raise ConfigurationError(
                    f"{argument}={value!r} has a colon in it, which CodeBuild takes for the end of it",
                    at="SecretField",
                    fix="rename it in the secret",
                )


def environment_variables(
    at: Construct | str, variables: "Mapping[str, Value]"
) -> tuple[dict[str, codebuild.BuildEnvironmentVariable], list[Statement]]:
    """The variables for CodeBuild, and what the build's role needs to read them.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_EnvironmentVariable.html
    """
    made: dict[str, codebuild.BuildEnvironmentVariable] = {}
    statements: list[Statement] = []
    for name, value in variables.items():
        _check_name(at, name)
        made[name], needed = _variable(at, name, value)
        statements += needed
    return made, statements


def permissions_of_buildspec(env: "Env | None") -> list[Statement]:
    """What the build's role needs for the parameters and secrets that a buildspec names; it does not name their keys.

    https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.env.secrets-manager
    """
    if env is None:
        return []
    # A name may hold variables, which are known in the build only.
    parameters = [name for name in env.parameter_store.values() if "$" not in name]
    secrets = [reference for reference in env.secrets_manager.values() if "$" not in reference]
    statements = []
    if parameters:
        resources = [arn("ssm", f"parameter/{name.removeprefix('/')}") for name in parameters]
        statements.append(Statement(actions=["ssm:GetParameters"], resources=resources))
    if secrets:
        resources = [_secret_arn(reference) for reference in secrets]
        statements.append(
            Statement(actions=["secretsmanager:GetSecretValue"], resources=list(dict.fromkeys(resources)))
        )
    return statements


def _secret_arn(reference: str) -> str:
    if reference.startswith("arn:"):
        return ":".join(reference.split(":")[:7])
    return arn("secretsmanager", f"secret:{reference.partition(':')[0]}-??????")


_Type = codebuild.BuildEnvironmentVariableType


def _variable(at: Construct | str, name: str, value: Any) -> tuple[codebuild.BuildEnvironmentVariable, list[Statement]]:
    if isinstance(value, str):
        _check_plain(at, name, value)
        return codebuild.BuildEnvironmentVariable(value=value, type=_Type.PLAINTEXT), []
    # isinstance() knows no interfaces of aws-cdk-lib.
    if isinstance(value, SecureParameter) or hasattr(value, "parameter_arn"):
        return _of_parameter(value if isinstance(value, SecureParameter) else None, value)
    if isinstance(value, SecretField) or hasattr(value, "secret_arn"):
        return _of_secret(value if isinstance(value, SecretField) else SecretField(secret=value))
    raise ConfigurationError(
        f"variable {name} is {value!r}",
        at=at,
        fix=f"write {str(value)!r}"
        if isinstance(value, int | float)
        else "give a text, an ssm or a secretsmanager object",
    )


def _of_parameter(
    secure: SecureParameter | None, given: Any
) -> tuple[codebuild.BuildEnvironmentVariable, list[Statement]]:
    parameter: ssm.IParameter = secure.parameter if secure else given
    parameter_arn = parameter.parameter_arn
    statements = [Statement(actions=["ssm:GetParameters"], resources=[parameter_arn])]
    if secure:
        # https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
        statements += decrypt(secure.key, {"PARAMETER_ARN": parameter_arn})
    return codebuild.BuildEnvironmentVariable(value=parameter.parameter_name, type=_Type.PARAMETER_STORE), statements


def _of_secret(field: SecretField) -> tuple[codebuild.BuildEnvironmentVariable, list[Statement]]:
    secret = field.secret
    # A secret that was imported by its name: Secrets Manager adds six characters to the name.
    full_arn = secret.secret_full_arn
    resource = full_arn or f"{secret.secret_arn}-??????"
    # By ARN, also because a name that is only known at deploy time would have to be cut out of one.
    reference = ":".join([full_arn or secret.secret_arn, field.json_key, field.version_stage]).rstrip(":")
    return codebuild.BuildEnvironmentVariable(value=reference, type=_Type.SECRETS_MANAGER), [
        Statement(actions=["secretsmanager:GetSecretValue"], resources=[resource]),
        *decrypt(secret.encryption_key, {"SecretARN": resource}),
    ]


def _check_name(at: Construct | str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ConfigurationError(
            f"{name!r} is no name of a variable", at=at, fix="use letters, digits and underscores, no digit first"
        )
    # Settings of CodeBuild that are made this way, such as CODEBUILD_CONFIG_GITHUB_ACTIONS_RUNNER_GROUP_ID:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/action-runner.html#sample-github-action-runners-config
    if name.startswith("CODEBUILD_") and not name.startswith("CODEBUILD_CONFIG_"):
        raise ConfigurationError(
            f"variable {name}: AWS reserves names that start with CODEBUILD_",
            at=at,
            fix=f"rename it, for example to {name.removeprefix('CODEBUILD_') or 'BUILD'}",
        )


def _check_plain(at: Construct | str, name: str, value: str) -> None:
    # Here, since the grammar of buildspecs is much to read and most projects have no variables.
    from code_family_constructs.build.buildspec_checks import credential_in, sounds_secret

    if unresolved(value):
        # What a token stands for can only be told in a stack.
        text = value if isinstance(at, str) else flat(at, value)
        if "{{resolve:secretsmanager:" in text or "{{resolve:ssm-secure:" in text:
            what = "a secret, which CloudFormation would write into the project"
        else:
            return
    else:
        credential = credential_in(value, name)
        if not credential and not (value.strip() and sounds_secret(name)):
            return
        what = credential or "what sounds like a secret"
    raise ConfigurationError(
        f"variable {name} holds {what}, for everyone who can read the project",
        at=at,
        fix="keep it in Secrets Manager, and give the secret: secretsmanager.Secret.from_secret_name_v2(…)",
    )
