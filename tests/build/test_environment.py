"""Environment variables: where they come from, and no to what everyone could read."""

import pytest
from aws_cdk import App, CfnParameter, SecretValue, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm

from code_family_constructs import BuildProject, ConfigurationError
from code_family_constructs.build.environment import SecretField, SecureParameter
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, only, refuses


@pytest.fixture(scope="module")
def variables():
    stack = Stack(App(), "Shop")
    mine = secretsmanager.Secret(stack, "Mine", encryption_key=kms.Key(stack, "Key"))
    by_name = secretsmanager.Secret.from_secret_name_v2(stack, "ByName", "shop/db")
    BuildProject(
        stack,
        "Build",
        environment_variables={
            "STAGE": "test",
            "EMPTY": "",
            "TABLE": CfnParameter(stack, "Table").value_as_string,
            "OWN_PARAMETER": ssm.StringParameter(stack, "Parameter", string_value="x"),
            "PARAMETER": ssm.StringParameter.from_string_parameter_name(stack, "Named", "/shop/endpoint"),
            "SECURE": SecureParameter(
                parameter=ssm.StringParameter.from_secure_string_parameter_attributes(
                    stack, "Secure", parameter_name="/shop/pin"
                ),
                key=kms.Key.from_key_arn(stack, "Theirs", "arn:aws:kms:eu-west-1:111111111111:key/1"),
            ),
            "SECRET": mine,
            "FIELD": SecretField(secret=by_name, json_key="password"),
            "PREVIOUS": SecretField(secret=by_name, json_key="password", version_stage="AWSPREVIOUS"),
            "STAGED": SecretField(secret=by_name, version_stage="AWSPENDING"),
            "CODEBUILD_CONFIG_GITHUB_ACTIONS_RUNNER_GROUP_ID": "3",
        },
    )
    template = synthesized(stack)
    project = only(template, "AWS::CodeBuild::Project")
    return {one["Name"]: (one["Type"], text_of(one["Value"])) for one in project["Environment"]["EnvironmentVariables"]}


BY_NAME = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:shop/db"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("STAGE", ("PLAINTEXT", "test")),
        ("EMPTY", ("PLAINTEXT", "")),
        ("TABLE", ("PLAINTEXT", "<Table>")),
        ("OWN_PARAMETER", ("PARAMETER_STORE", "<Parameter9E1B4FBA>")),
        ("PARAMETER", ("PARAMETER_STORE", "/shop/endpoint")),
        ("SECURE", ("PARAMETER_STORE", "/shop/pin")),
        ("SECRET", ("SECRETS_MANAGER", "<MineC1B42D3A>")),
        ("FIELD", ("SECRETS_MANAGER", f"{BY_NAME}:password")),
        ("PREVIOUS", ("SECRETS_MANAGER", f"{BY_NAME}:password:AWSPREVIOUS")),
        ("STAGED", ("SECRETS_MANAGER", f"{BY_NAME}::AWSPENDING")),
        ("CODEBUILD_CONFIG_GITHUB_ACTIONS_RUNNER_GROUP_ID", ("PLAINTEXT", "3")),
    ],
)
def test_a_variable_says_where_it_comes_from(variables, name, expected):
    assert variables[name] == expected


@pytest.mark.parametrize("name", ["", "1ST", "MY-VAR", "MY VAR", "ÄRA"])
def test_fails_when_no_shell_could_read_the_variable(name):
    with refuses(repr(name), at="Shop/Build", fix="letters, digits and underscores"):
        BuildProject(a_stack(), "Build", environment_variables={name: "x"})


@pytest.mark.parametrize(("name", "fix"), [("CODEBUILD_STAGE", "to STAGE"), ("CODEBUILD_", "to BUILD")])
def test_fails_when_aws_reserves_the_name(name, fix):
    with refuses(name, at="Shop/Build", fix=fix):
        BuildProject(a_stack(), "Build", environment_variables={name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("URL", "https://me:hunter22@acme.example"),
        ("GITHUB", "ghp_" + "a" * 36),
        ("DB_PASSWORD", "hunter22"),
        ("apiKey", "1234"),
    ],
)
def test_fails_when_a_plain_variable_looks_like_a_secret(name, value):
    with pytest.raises(ConfigurationError, match="Secrets Manager") as refused:
        BuildProject(a_stack(), "Build", environment_variables={name: value})
    assert name in refused.value.problem
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    "secret",
    [
        SecretValue.secrets_manager("shop/db").unsafe_unwrap(),
        SecretValue.ssm_secure("/shop/pin").unsafe_unwrap(),
        f"postgres://{SecretValue.secrets_manager('shop/db').unsafe_unwrap()}@db",
    ],
    # The name of a token depends on what else was collected.
    ids=["secret", "parameter", "inside of a text"],
)
def test_fails_when_a_plain_variable_would_be_filled_with_a_secret(secret):
    with refuses("variable DATABASE holds a secret", at="Shop/Build", fix="keep it in Secrets Manager"):
        BuildProject(a_stack(), "Build", environment_variables={"DATABASE": secret})


def test_fails_when_an_unwrapped_secret_of_this_stack_is_plain():
    stack = a_stack()
    value = secretsmanager.Secret(stack, "Secret").secret_value.unsafe_unwrap()
    with refuses("variable DATABASE holds a secret", at="Shop/Build", fix="keep it in Secrets Manager"):
        BuildProject(stack, "Build", environment_variables={"DATABASE": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("SECRET_NAME", "shop/db"), ("TOKEN_URL", "https://auth.acme.example"), ("PASSWORD", ""), ("PUBLIC_KEY", "x")],
)
def test_what_only_speaks_of_a_secret_is_accepted(name, value):
    BuildProject(a_stack(), "Build", environment_variables={name: value})


@pytest.mark.parametrize(("value", "fix"), [(3, "write '3'"), (None, "give a text"), (["x"], "give a text")])
def test_fails_when_a_variable_is_no_text(value, fix):
    with refuses("variable COUNT", at="Shop/Build", fix=fix):
        BuildProject(a_stack(), "Build", environment_variables={"COUNT": value})


@pytest.mark.parametrize("argument", ["json_key", "version_stage"])
def test_fails_when_a_colon_would_end_the_field(argument):
    secret = secretsmanager.Secret.from_secret_name_v2(a_stack(), "Secret", "shop/db")
    with refuses(f"{argument}='a:b'", at="SecretField", fix="rename it"):
        SecretField(secret=secret, **{argument: "a:b"})
