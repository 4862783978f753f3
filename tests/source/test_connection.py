"""Connections: new ones say what a person has to do, existing ones are checked, both are used narrowly."""

import pytest
from aws_cdk import App, CfnParameter, Stack
from constructs import Construct

from code_family_constructs import CodeConnection
from code_family_constructs.source.connection import use_connection
from code_family_constructs.source.host import CodeConnectionHost
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import CONNECTION_ARN, a_stack, of_type, only, refuses

MADE = "AWS::CodeConnections::Connection"
ID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    CodeConnection.github(stack, "GitHub")
    return synthesized(stack)


def test_outputs_lead_to_the_page_where_the_handshake_is_finished(template):
    (handshake,) = [output for name, output in template["Outputs"].items() if "Handshake" in name]
    assert text_of(handshake["Value"]) == (
        "https://<AWS::Region>.console.aws.amazon.com/codesuite/settings/connections?region=<AWS::Region>"
    )
    assert "PENDING" in handshake["Description"]
    assert "GitHub" in handshake["Description"]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_the_page_is_in_the_console_of_the_stacks_region(region, host):
    stack = Stack(App(), "Shop", env={"region": region})
    CodeConnection.github(stack, "GitHub")
    (handshake,) = synthesized(stack)["Outputs"].values()
    assert handshake["Value"] == f"https://{host}/codesuite/settings/connections?region={region}"


def test_connection_is_one_to_github(template):
    assert only(template, MADE)["ProviderType"] == "GitHub"


def test_made_up_names_fit_however_deep_the_construct_is():
    stack = a_stack()
    place: Construct = stack
    for depth in range(5):
        place = Construct(place, f"RatherLongWindedPlace{depth}")
    for id_ in ("GitHub", "GitHubOfTheOtherTeam"):
        CodeConnection.github(place, id_)
    names = [connection["ConnectionName"] for connection in of_type(synthesized(stack), MADE).values()]
    assert len(set(names)) == 2
    assert all(1 <= len(name) <= 32 for name in names)


@pytest.mark.parametrize("name", ["a", "a" * 32])
def test_names_of_1_to_32_characters_are_accepted(name):
    connection = CodeConnection.github(a_stack(), "GitHub", connection_name=name)
    assert connection.connection.connection_name == name


@pytest.mark.parametrize("name", ["", "a" * 33])
def test_fails_when_the_name_is_empty_or_too_long(name):
    with refuses(repr(name), f"{len(name)} characters", at="Shop/GitHub", fix="use 1 to 32"):
        CodeConnection.github(a_stack(), "GitHub", connection_name=name)


@pytest.mark.parametrize("provider", ["github", "Gitlab", "", None])
def test_fails_when_the_provider_is_none_that_it_can_connect_to(provider):
    with refuses(f"provider_type={provider!r}", at="Shop/GitHub", fix="use one of AzureDevOps, Bitbucket, GitHub"):
        CodeConnection(a_stack(), "GitHub", provider_type=provider)


@pytest.mark.parametrize(
    ("factory", "provider"),
    [
        (CodeConnection.github, "GitHub"),
        (CodeConnection.gitlab, "GitLab"),
        (CodeConnection.bitbucket, "Bitbucket"),
        (CodeConnection.azure_devops, "AzureDevOps"),
    ],
)
def test_there_is_a_connection_to_each_provider(factory, provider):
    stack = a_stack()
    connection = factory(stack, "Connection", connection_name="shop")
    assert connection.provider_type == provider
    assert only(synthesized(stack), MADE) == {"ConnectionName": "shop", "ProviderType": provider}


HOST_ARN = f"arn:aws:codeconnections:eu-west-1:111111111111:host/{ID}"


@pytest.mark.parametrize(
    ("factory", "provider"),
    [
        (CodeConnection.github_enterprise, "GitHubEnterpriseServer"),
        (CodeConnection.gitlab_self_managed, "GitLabSelfManaged"),
    ],
)
def test_a_connection_to_a_server_of_ones_own_names_the_host_and_not_the_provider(factory, provider):
    stack = a_stack()
    host = CodeConnectionHost.from_host_arn(HOST_ARN)
    connection = factory(stack, "Server", host=host, connection_name="shop")
    assert connection.provider_type == provider
    assert only(synthesized(stack), MADE) == {"ConnectionName": "shop", "HostArn": HOST_ARN}


@pytest.mark.parametrize("provider", ["GitHubEnterpriseServer", "GitLabSelfManaged"])
def test_fails_when_a_server_of_ones_own_has_no_host(provider):
    with refuses(f"{provider} without a host", at="Shop/Server", fix="give host=, a CodeConnectionHost"):
        CodeConnection(a_stack(), "Server", provider_type=provider)


def test_fails_when_a_provider_in_the_cloud_has_a_host():
    host = CodeConnectionHost.from_host_arn(HOST_ARN)
    with refuses("host= for a connection to GitLab,", at="Shop/GitLab", fix="leave out host="):
        CodeConnection(a_stack(), "GitLab", provider_type="GitLab", host=host)


def a_host(scope):
    address = "https://github.acme.example"
    return CodeConnectionHost(scope, "Server", provider_type="GitHubEnterpriseServer", provider_endpoint=address)


def test_fails_when_the_host_is_of_another_provider():
    app = App()
    host = a_host(Stack(app, "Servers"))
    with refuses("GitLabSelfManaged through a host of GitHubEnterpriseServer", at="Shop/GitLab", fix="make the host"):
        CodeConnection.gitlab_self_managed(Stack(app, "Shop"), "GitLab", host=host)


def test_fails_when_nobody_could_set_up_the_host_before_the_connection_is_made():
    stack = a_stack()
    with refuses("'Shop/Server', which is made in the same stack", at="Shop/GitHub", fix="a stack of its own"):
        CodeConnection.github_enterprise(stack, "GitHub", host=a_host(stack))


def test_a_connection_through_a_host_of_another_stack_waits_for_it():
    app = App()
    host, stack = a_host(Stack(app, "Servers")), Stack(app, "Shop")
    CodeConnection.github_enterprise(stack, "GitHub", host=host)
    assert "Servers:" in text_of(only(synthesized(stack), MADE)["HostArn"])
    assert [each.stack_name for each in stack.dependencies] == ["Servers"]


def test_a_name_from_a_parameter_is_let_through():
    stack = a_stack()
    name = CfnParameter(stack, "Name").value_as_string
    CodeConnection.github(stack, "GitHub", connection_name=name)
    assert only(synthesized(stack), MADE)["ConnectionName"] == {"Ref": "Name"}


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:codeconnections:eu-west-1:111111111111:connection/{ID}",
        f"arn:aws:codestar-connections:us-east-1:111111111111:connection/{ID}",
        f"arn:aws-us-gov:codeconnections:us-gov-east-1:111111111111:connection/{ID}",
        f"arn:aws-cn:codeconnections:cn-north-1:111111111111:connection/{ID}",
    ],
)
def test_arns_of_connections_are_accepted(arn):
    assert CodeConnection.from_connection_arn(arn).connection_arn == arn


@pytest.mark.parametrize(
    "arn",
    [
        "",
        ID,
        "my-connection",
        "arn:aws:codeconnections:eu-west-1:111111111111:connection/",
        f"arn:aws:codeconnections:eu-west-1:111111111111:host/{ID}",
        f"arn:aws:codeconnections:eu-west-1:11111111:connection/{ID}",
        f"arn:aws:codebuild:eu-west-1:111111111111:connection/{ID}",
        f"arn:aws:codeconnections:eu-west-1:111111111111:connection/{ID}\n",
        f" arn:aws:codeconnections:eu-west-1:111111111111:connection/{ID}",
    ],
)
def test_fails_when_it_is_no_connections_arn(arn):
    with refuses(repr(arn), at="CodeConnection.from_connection_arn", fix="aws codeconnections list-connections"):
        CodeConnection.from_connection_arn(arn)


def test_an_arn_from_a_parameter_is_let_through():
    arn = CfnParameter(a_stack(), "Connection").value_as_string
    assert CodeConnection.from_connection_arn(arn).connection_arn == arn


def test_use_is_limited_to_this_connection_and_repository_under_both_names_of_the_service():
    statements = [statement.to_json() for statement in use_connection(CONNECTION_ARN, "acme/shop")]
    assert [(s["Action"], s["Resource"], s["Condition"]) for s in statements] == [
        (
            [f"{service}:UseConnection"],
            [CONNECTION_ARN],
            {"StringEqualsIfExists": {f"{service}:FullRepositoryId": "acme/shop"}},
        )
        for service in ("codeconnections", "codestar-connections")
    ]
