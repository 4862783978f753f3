"""Hosts: a server with an address, a network that can work, and what a person has to do."""

import pytest
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_ec2 as ec2

from code_family_constructs.source.host import CodeConnectionHost
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_stack, of_type, only, refuses

MADE = "AWS::CodeConnections::Host"
ADDRESS = "https://git.acme.example"
ARN = "arn:aws:codeconnections:eu-west-1:111111111111:host/My-Host-28aef605"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def a_host(stack, **settings):
    defaults = {"provider_type": "GitLabSelfManaged", "provider_endpoint": ADDRESS}
    return CodeConnectionHost(stack, "Server", **{**defaults, **settings})


def a_vpc(stack):
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
        public_subnet_ids=["subnet-32345678", "subnet-42345678"],
    )


def a_group(stack, id="Group"):
    return ec2.SecurityGroup.from_security_group_id(stack, id, "sg-12345678")


@pytest.fixture(scope="module")
def template():
    stack = Stack(App(), "Shop")
    a_host(stack, vpc=a_vpc(stack), security_groups=[a_group(stack)], tls_certificate=PEM)
    return synthesized(stack)


def test_the_server_is_reached_from_the_private_subnets_of_the_vpc(template):
    host = only(template, MADE)
    assert (host["ProviderType"], host["ProviderEndpoint"]) == ("GitLabSelfManaged", ADDRESS)
    assert host["VpcConfiguration"] == {
        "VpcId": "vpc-12345678",
        "SubnetIds": ["subnet-12345678", "subnet-22345678"],
        "SecurityGroupIds": ["sg-12345678"],
        "TlsCertificate": PEM,
    }


def test_outputs_lead_to_the_page_where_the_host_is_set_up(template):
    (setup,) = template["Outputs"].values()
    assert text_of(setup["Value"]) == (
        "https://<AWS::Region>.console.aws.amazon.com/codesuite/settings/connections/hosts?region=<AWS::Region>"
    )
    assert "PENDING" in setup["Description"]
    assert "GitLabSelfManaged" in setup["Description"]


def test_a_public_server_needs_no_network():
    stack = a_stack()
    host = a_host(stack, provider_type="GitHubEnterpriseServer", host_name="ours")
    assert (host.provider_type, host.provider_endpoint) == ("GitHubEnterpriseServer", ADDRESS)
    assert only(synthesized(stack), MADE) == {
        "Name": "ours",
        "ProviderType": "GitHubEnterpriseServer",
        "ProviderEndpoint": ADDRESS,
    }


def test_made_up_names_fit_however_deep_the_construct_is():
    stack = Stack(App(), "Rather" + "Long" * 20)
    a_host(stack)
    (host,) = of_type(synthesized(stack), MADE).values()
    assert 1 <= len(host["Name"]) <= 64


@pytest.mark.parametrize("provider", ["GitHub", "GitLab", "Bitbucket", "gitlab", None])
def test_fails_when_the_provider_is_not_installed_on_servers_of_ones_own(provider):
    with refuses(f"provider_type={provider!r}", at="Shop/Server", fix="GitHubEnterpriseServer, GitLabSelfManaged"):
        a_host(a_stack(), provider_type=provider)


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("http://git.acme.example", "write 'https://git.acme.example'"),
        ("git.acme.example", "write 'https://git.example.com'"),
        ("https://git.acme.example/", "write 'https://git.acme.example'"),
        ("https://git.acme.example/acme/shop", "write 'https://git.acme.example'"),
        ("https://me@git.acme.example", "write 'https://git.acme.example'"),
        ("https://git.acme.example:8443/", "write 'https://git.acme.example:8443'"),
        ("https://git.acme.example:port", "write 'https://git.acme.example'"),
        ("https://[git.acme.example", "write 'https://git.example.com'"),
        ("https://", "write 'https://git.example.com'"),
        ("", "write 'https://git.example.com'"),
    ],
)
def test_fails_when_it_is_not_the_address_of_a_server(address, fix):
    with refuses(f"provider_endpoint={address!r}", at="Shop/Server", fix=fix):
        a_host(a_stack(), provider_endpoint=address)


def test_fails_when_the_address_is_longer_than_aws_takes():
    with refuses("513 characters", at="Shop/Server", fix="512 at most"):
        a_host(a_stack(), provider_endpoint=f"https://{'a' * 505}")


@pytest.mark.parametrize("address", ["https://git.acme.example:8443", "https://10.0.0.7", "https://[fd00::7]"])
def test_addresses_are_accepted(address):
    assert a_host(a_stack(), provider_endpoint=address).host.provider_endpoint == address


def test_an_address_and_a_name_from_parameters_are_let_through():
    stack = a_stack()
    address, name = (CfnParameter(stack, what).value_as_string for what in ("Address", "Name"))
    a_host(stack, provider_endpoint=address, host_name=name)
    host = only(synthesized(stack), MADE)
    assert (host["ProviderEndpoint"], host["Name"]) == ({"Ref": "Address"}, {"Ref": "Name"})


@pytest.mark.parametrize("name", ["a" * 65, ""])
def test_fails_when_the_name_is_empty_or_too_long(name):
    with refuses(f"{len(name)} characters", at="Shop/Server", fix="use 1 to 64"):
        a_host(a_stack(), host_name=name)


@pytest.mark.parametrize("argument", ["subnets", "security_groups", "tls_certificate"])
def test_fails_when_there_is_no_vpc_to_use_it_in(argument):
    stack = a_stack()
    given = {"subnets": a_vpc(stack).private_subnets, "security_groups": [a_group(stack)], "tls_certificate": PEM}
    with refuses(f"{argument}= without a VPC", at="Shop/Server", fix="give vpc= too"):
        a_host(stack, **{argument: given[argument]})


def test_fails_when_a_vpc_comes_without_security_groups():
    stack = a_stack()
    with refuses("without security groups", at="Shop/Server", fix="give security_groups="):
        a_host(stack, vpc=a_vpc(stack))


def test_fails_when_there_are_more_security_groups_than_aws_takes():
    stack = a_stack()
    groups = [a_group(stack, f"Group{number}") for number in range(11)]
    with refuses("11 security groups", at="Shop/Server", fix="at most 10"):
        a_host(stack, vpc=a_vpc(stack), security_groups=groups)


def test_fails_when_the_vpc_has_no_private_subnets():
    stack = a_stack()
    vpc = ec2.Vpc.from_vpc_attributes(stack, "Vpc", vpc_id="vpc-12345678", availability_zones=["eu-west-1a"])
    with refuses("VPC 'Shop/Vpc' has no private subnets", at="Shop/Server", fix="give subnets="):
        a_host(stack, vpc=vpc, security_groups=[a_group(stack)])


def test_fails_when_two_subnets_are_in_the_same_zone():
    stack = a_stack()
    vpc = a_vpc(stack)
    subnets = [vpc.private_subnets[0], vpc.public_subnets[0]]
    with refuses("subnets in eu-west-1a, eu-west-1a", at="Shop/Server", fix="one for each zone"):
        a_host(stack, vpc=vpc, subnets=subnets, security_groups=[a_group(stack)])


@pytest.mark.parametrize("certificate", ["MIIB", f"{PEM}{'A' * 16384}"])
def test_fails_when_it_is_no_certificate(certificate):
    stack = a_stack()
    with refuses(f"tls_certificate of {len(certificate)} characters", at="Shop/Server", fix="the .pem file"):
        a_host(stack, vpc=a_vpc(stack), security_groups=[a_group(stack)], tls_certificate=certificate)


@pytest.mark.parametrize("arn", [ARN, ARN.replace("codeconnections", "codestar-connections")])
def test_a_host_that_exists_already_is_known_by_its_arn(arn):
    host = CodeConnectionHost.from_host_arn(arn, provider_endpoint=ADDRESS)
    assert (host.host_arn, host.provider_type, host.provider_endpoint) == (arn, None, ADDRESS)


@pytest.mark.parametrize("arn", ["", "my-host", ARN.replace(":host/", ":connection/"), f"{ARN}\n"])
def test_fails_when_it_is_no_hosts_arn(arn):
    with refuses(repr(arn), at="CodeConnectionHost.from_host_arn", fix="aws codeconnections list-hosts"):
        CodeConnectionHost.from_host_arn(arn)


def test_fails_when_the_address_of_a_host_that_exists_already_is_none():
    with refuses("provider_endpoint='git'", at="CodeConnectionHost.from_host_arn", fix="https://"):
        CodeConnectionHost.from_host_arn(ARN, provider_endpoint="git")
