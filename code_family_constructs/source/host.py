"""Floor 1: servers of one's own that repositories are on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from aws_cdk import CfnOutput, Names, Stack
from aws_cdk import aws_codeconnections as codeconnections
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_count
from code_family_constructs.source.console import console_page
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2

HostProviderType = Literal["GitHubEnterpriseServer", "GitLabSelfManaged"]


class Host(Protocol):
    """What a connection needs of a host, created here or elsewhere."""

    @property
    def host_arn(self) -> str: ...

    @property
    def provider_type(self) -> HostProviderType | None:
        """Which server is on it, where that is known."""
        ...

    @property
    def provider_endpoint(self) -> str | None:
        """Its address, where that is known."""
        ...


class CodeConnectionHost(Construct):
    """A server of your own for CodeConnections: GitHub Enterprise Server or GitLab.

    Creates the host in status PENDING: a person has to set it up once, in the console, with a login (GitHub) or a
    personal access token (GitLab) of the server. The stack's outputs carry the link. A connection needs an AVAILABLE
    host, so make it in another stack, and deploy that one afterwards. In a VPC, AWS makes network interfaces and, for
    webhooks, an interface endpoint, which is billed by the hour; a VPC has one host at a time.
    https://docs.aws.amazon.com/dtconsole/latest/userguide/connections-host-create.html

    Args:
        scope: Parent construct.
        id: Construct id.
        provider_type: Which server it is.
        provider_endpoint: Its address, `https://…`.
        vpc: VPC that the server is reached from, when it is not open to the internet.
        subnets: From where in it, 1 to 10, each in another Availability Zone; the private subnets when left out.
        security_groups: What the connection's network interfaces may reach and be reached by, 1 to 10; the server's own
            groups have to let them in.
        tls_certificate: The server's certificate as PEM text, where no public authority has signed it.
        host_name: Name in the console, 1 to 64 characters; a changed name is a new, PENDING host.

    Raises:
        ConfigurationError: No such provider, an address without https or with a path, a name too long or empty, or
            subnets, security groups or a certificate that do not go with the VPC.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider_type: HostProviderType,
        provider_endpoint: str,
        vpc: "ec2.IVpc | None" = None,
        subnets: "Sequence[ec2.ISubnet] | None" = None,
        security_groups: "Sequence[ec2.ISecurityGroup]" = (),
        tls_certificate: str | None = None,
        host_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        known = get_args(HostProviderType)
        if provider_type not in known:
            raise ConfigurationError(f"provider_type={provider_type!r}", at=self, fix=f"use one of {', '.join(known)}")
        _check_endpoint(self, provider_endpoint)
        if host_name is not None and not unresolved(host_name) and not 1 <= len(host_name) <= _LONGEST_NAME:
            raise ConfigurationError(
                f"host name {host_name!r} has {len(host_name)} characters", at=self, fix=f"use 1 to {_LONGEST_NAME}"
            )
        if vpc is not None and subnets is None:
            subnets = vpc.private_subnets
        _check_network(self, vpc, subnets, security_groups, tls_certificate)
        self.provider_type: HostProviderType | None = provider_type
        self.provider_endpoint: str | None = provider_endpoint
        self.host = codeconnections.CfnHost(
            self,
            "Host",
            name=host_name or Names.unique_resource_name(self, max_length=_LONGEST_NAME, separator="-"),
            provider_type=provider_type,
            provider_endpoint=provider_endpoint,
            vpc_configuration=(
                codeconnections.CfnHost.VpcConfigurationProperty(
                    vpc_id=vpc.vpc_id,
                    subnet_ids=[subnet.subnet_id for subnet in subnets or ()],
                    security_group_ids=[group.security_group_id for group in security_groups],
                    tls_certificate=tls_certificate,
                )
                if vpc
                else None
            ),
        )
        self._host_arn: str = self.host.attr_host_arn
        CfnOutput(
            self,
            "Setup",
            description=f"A new host is PENDING: open this page, choose the {provider_type} host and 'Set up host'",
            value=console_page(Stack.of(self).region, "settings/connections/hosts"),
        )

    @staticmethod
    def from_host_arn(host_arn: str, *, provider_endpoint: str | None = None) -> "ImportedHost":
        """A host that exists already.

        Args:
            host_arn: `arn:aws:codeconnections:…:host/…`; the older `codestar-connections` prefix works too.
            provider_endpoint: Its address, for links to commits.

        Raises:
            ConfigurationError: It is no host's ARN, or no address.
        """
        return ImportedHost(host_arn, provider_endpoint=provider_endpoint)

    @property
    def host_arn(self) -> str:
        return self._host_arn


@dataclass(frozen=True, slots=True)
class ImportedHost:
    """A host that this app does not own."""

    host_arn: str
    provider_endpoint: str | None = None
    provider_type: HostProviderType | None = None

    def __post_init__(self) -> None:
        at = "CodeConnectionHost.from_host_arn"
        if not unresolved(self.host_arn) and not _ARN.fullmatch(self.host_arn):
            raise ConfigurationError(
                f"{self.host_arn!r} is no host's ARN", at=at, fix="copy it from `aws codeconnections list-hosts`"
            )
        if self.provider_endpoint is not None:
            _check_endpoint(at, self.provider_endpoint)


_LONGEST_NAME = 64
_ENDPOINT = re.compile(r"https://(?:[^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_ARN = re.compile(r"arn:aws[\w-]*:(?:codeconnections|codestar-connections):[\w-]+:\d{12}:host/[\w-]+")


def _check_endpoint(at: Construct | str, endpoint: str) -> None:
    if unresolved(endpoint):
        return
    if not _ENDPOINT.fullmatch(endpoint):
        server = re.search(r"://(?:[^/@]*@)?([^\s/?#@:\[\]]+(?::\d+)?)", endpoint)
        raise ConfigurationError(
            f"provider_endpoint={endpoint!r} is not the address of a server",
            at=at,
            fix=f"write 'https://{server[1] if server else 'git.example.com'}', without a path",
        )
    if len(endpoint) > 512:
        raise ConfigurationError(
            f"provider_endpoint has {len(endpoint)} characters", at=at, fix="AWS takes 512 at most"
        )


def _check_network(
    at: Construct,
    vpc: "ec2.IVpc | None",
    subnets: "Sequence[ec2.ISubnet] | None",
    security_groups: "Sequence[ec2.ISecurityGroup]",
    tls_certificate: str | None,
) -> None:
    if vpc is None:
        for argument, given in (
            ("subnets", subnets),
            ("security_groups", security_groups),
            ("tls_certificate", tls_certificate),
        ):
            if given:
                raise ConfigurationError(
                    f"{argument}= without a VPC",
                    at=at,
                    fix="give vpc= too, or leave it out for a public server",
                )
        return
    if not security_groups:
        raise ConfigurationError(
            "a VPC without security groups",
            at=at,
            fix="give security_groups= that reach the server and that the server's own let in",
        )
    check_count(at, security_groups, what="security groups", most=10)
    zones = [subnet.availability_zone for subnet in subnets or ()]
    if not zones:
        raise ConfigurationError(
            f"VPC {vpc.node.path!r} has no private subnets", at=at, fix="give subnets= from which the server is reached"
        )
    if len(set(zones)) != len(zones):
        raise ConfigurationError(
            f"subnets in {', '.join(zones)}, AWS wants each in another Availability Zone",
            at=at,
            fix="give subnets= with one for each zone",
        )
    check_count(at, zones, what="subnets", most=10)
    if tls_certificate is None or unresolved(tls_certificate):
        return
    if "-----BEGIN CERTIFICATE-----" not in tls_certificate or len(tls_certificate) > 16384:
        raise ConfigurationError(
            f"tls_certificate of {len(tls_certificate)} characters is no certificate as PEM text",
            at=at,
            fix="give the text of the .pem file, -----BEGIN CERTIFICATE----- and so on, 16384 characters at most",
        )
