"""Floor 1: connections to repositories outside of AWS."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from aws_cdk import CfnOutput, Names, Stack
from aws_cdk import aws_codeconnections as codeconnections
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement
from code_family_constructs.source.console import console_page
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from code_family_constructs.source.host import Host

_LONGEST_NAME = 32


ProviderType = Literal["AzureDevOps", "Bitbucket", "GitHub", "GitHubEnterpriseServer", "GitLab", "GitLabSelfManaged"]


class Connection(Protocol):
    """What a source needs of a connection, created here or elsewhere."""

    @property
    def connection_arn(self) -> str: ...


class CodeConnection(Construct):
    """A CodeConnections connection, the bridge to a provider of Git repositories.

    Creates the connection in status PENDING: CloudFormation cannot install an app at the provider, so a person has to
    finish the handshake once, in the console. Until then a pipeline deploys but its source action fails. The stack's
    outputs carry the link. AWS says that pushes do not start a pipeline that was made before the handshake: make the
    connection first, in a stack of its own, or make the pipeline anew afterwards. Connections cost nothing.
    https://docs.aws.amazon.com/dtconsole/latest/userguide/connections-update.html
    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html#action-reference-CodestarConnectionSource-auth

    Args:
        scope: Parent construct.
        id: Construct id.
        provider_type: Where the repositories are, in CodeConnections' own words.
        host: The server, for the two providers that are installed on one of your own.
        connection_name: Name in the console, 1 to 32 characters; a changed name is a new, PENDING connection.

    Raises:
        ConfigurationError: The name is too long or empty, there is no such provider, or the host is not one of its
            servers, is missing, or is made in the same stack.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider_type: ProviderType = "GitHub",
        host: "Host | None" = None,
        connection_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        if provider_type not in get_args(ProviderType):
            known = ", ".join(get_args(ProviderType))
            raise ConfigurationError(f"provider_type={provider_type!r}", at=self, fix=f"use one of {known}")
        _check_host(self, provider_type, host)
        if connection_name is None:
            connection_name = Names.unique_resource_name(self, max_length=_LONGEST_NAME, separator="-")
        elif not unresolved(connection_name) and not 1 <= len(connection_name) <= _LONGEST_NAME:
            raise ConfigurationError(
                f"connection name {connection_name!r} has {len(connection_name)} characters",
                at=self,
                fix=f"use 1 to {_LONGEST_NAME}",
            )
        self.provider_type: ProviderType = provider_type
        self.host = host
        self.connection = codeconnections.CfnConnection(
            self,
            "Connection",
            connection_name=connection_name,
            # One or the other: a host has a provider.
            provider_type=None if host else provider_type,
            host_arn=host.host_arn if host else None,
        )
        self._connection_arn: str = self.connection.attr_connection_arn
        CfnOutput(
            self,
            "Handshake",
            description=f"A new connection is PENDING: open this page, choose {provider_type} connection "
            "and 'Update pending connection'",
            value=console_page(Stack.of(self).region, "settings/connections"),
        )

    @staticmethod
    def github(scope: Construct, id: str, *, connection_name: str | None = None) -> "CodeConnection":
        """A connection to github.com."""
        return CodeConnection(scope, id, provider_type="GitHub", connection_name=connection_name)

    @staticmethod
    def github_enterprise(
        scope: Construct, id: str, *, host: "Host", connection_name: str | None = None
    ) -> "CodeConnection":
        """A connection to a GitHub Enterprise Server. GitHub Enterprise Cloud is at github.com."""
        return CodeConnection(
            scope, id, provider_type="GitHubEnterpriseServer", host=host, connection_name=connection_name
        )

    @staticmethod
    def gitlab(scope: Construct, id: str, *, connection_name: str | None = None) -> "CodeConnection":
        """A connection to gitlab.com."""
        return CodeConnection(scope, id, provider_type="GitLab", connection_name=connection_name)

    @staticmethod
    def gitlab_self_managed(
        scope: Construct, id: str, *, host: "Host", connection_name: str | None = None
    ) -> "CodeConnection":
        """A connection to a GitLab server of your own, Community or Enterprise Edition."""
        return CodeConnection(scope, id, provider_type="GitLabSelfManaged", host=host, connection_name=connection_name)

    @staticmethod
    def bitbucket(scope: Construct, id: str, *, connection_name: str | None = None) -> "CodeConnection":
        """A connection to bitbucket.org; a Bitbucket server of one's own is nothing that AWS connects to."""
        return CodeConnection(scope, id, provider_type="Bitbucket", connection_name=connection_name)

    @staticmethod
    def azure_devops(scope: Construct, id: str, *, connection_name: str | None = None) -> "CodeConnection":
        """A connection to dev.azure.com; an Azure DevOps Server of one's own is nothing that AWS connects to."""
        return CodeConnection(scope, id, provider_type="AzureDevOps", connection_name=connection_name)

    @staticmethod
    def from_connection_arn(connection_arn: str) -> "ImportedConnection":
        """A connection that exists already, such as one that a team shares.

        Nothing says where its repositories are, so that a source cannot check it.

        Args:
            connection_arn: `arn:aws:codeconnections:…:connection/…`; the older `codestar-connections` prefix works too.

        Raises:
            ConfigurationError: It is no connection's ARN.
        """
        return ImportedConnection(connection_arn)

    @property
    def connection_arn(self) -> str:
        return self._connection_arn


@dataclass(frozen=True, slots=True)
class ImportedConnection:
    """A connection that this app does not own."""

    connection_arn: str

    def __post_init__(self) -> None:
        if unresolved(self.connection_arn) or _ARN.fullmatch(self.connection_arn):
            return
        raise ConfigurationError(
            f"{self.connection_arn!r} is no connection's ARN",
            at="CodeConnection.from_connection_arn",
            fix="copy it from `aws codeconnections list-connections`",
        )


_ARN = re.compile(r"arn:aws[\w-]*:(?:codeconnections|codestar-connections):[\w-]+:\d{12}:connection/[\w-]+")
_INSTALLED = ("GitHubEnterpriseServer", "GitLabSelfManaged")


def check_provider(at: str, connection: Connection, provider_type: ProviderType) -> None:
    """Raises ConfigurationError for a connection of this app that leads elsewhere."""
    if isinstance(connection, CodeConnection) and connection.provider_type != provider_type:
        raise ConfigurationError(
            f"connection {connection.node.path!r} leads to {connection.provider_type}, not to {provider_type}",
            at=at,
            fix=f"give a connection to {provider_type}, or use the Source for {connection.provider_type}",
        )


def use_connection(connection_arn: str, repository: str) -> list[Statement]:
    """Use of exactly this connection, for exactly this repository.

    The service was renamed, and which of the two prefixes is asked for depends on the caller; each has keys of its own.
    CodePipeline also asks once without naming a repository, hence IfExists.
    https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html#permissions-reference-connections
    """
    return [
        Statement(
            actions=[f"{prefix}:UseConnection"],
            resources=[connection_arn],
            conditions={"StringEqualsIfExists": {f"{prefix}:FullRepositoryId": repository}},
        )
        for prefix in ("codeconnections", "codestar-connections")
    ]


def _check_host(at: Construct, provider_type: ProviderType, host: "Host | None") -> None:
    if host is None:
        if provider_type in _INSTALLED:
            raise ConfigurationError(
                f"a connection to {provider_type} without a host",
                at=at,
                fix="give host=, a CodeConnectionHost in a stack of its own or CodeConnectionHost.from_host_arn(…)",
            )
        return
    if provider_type not in _INSTALLED:
        raise ConfigurationError(
            f"host= for a connection to {provider_type}, which has servers of its own",
            at=at,
            fix=f"leave out host=, or connect to one of {', '.join(_INSTALLED)}",
        )
    if host.provider_type not in (None, provider_type):
        raise ConfigurationError(
            f"a connection to {provider_type} through a host of {host.provider_type}",
            at=at,
            fix=f"make the host with provider_type={provider_type!r}, or connect to {host.provider_type}",
        )
    if isinstance(host, Construct) and Stack.of(host) is Stack.of(at):
        # https://docs.aws.amazon.com/dtconsole/latest/userguide/welcome-hosts-workflow.html
        raise ConfigurationError(
            f"a connection through host {host.node.path!r}, which is made in the same stack, and so is PENDING when it "
            "is needed",
            at=at,
            fix="make the host in a stack of its own, and set it up in the console before this one is deployed",
        )
