"""Floor 1: connections to repositories outside of AWS."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from aws_cdk import CfnOutput, Names, Stack
from aws_cdk import aws_codeconnections as codeconnections
from constructs import Construct

from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement, pseudo
from code_family_constructs.tokens import unresolved

_LONGEST_NAME = 32


ProviderType = Literal["GitHub"]


class Connection(Protocol):
    """What a source needs of a connection, created here or elsewhere."""

    @property
    def connection_arn(self) -> str: ...


class CodeConnection(Construct):
    """A CodeConnections connection, the bridge to GitHub.

    Creates the connection in status PENDING: CloudFormation cannot install an app at GitHub, so a person has to finish
    the handshake once, in the console. Until then a pipeline deploys but its source action fails. The stack's outputs
    carry the link. Connections cost nothing.
    https://docs.aws.amazon.com/dtconsole/latest/userguide/connections-update.html

    Args:
        scope: Parent construct.
        id: Construct id.
        provider_type: Where the repositories are, in CodeConnections' own words.
        connection_name: Name in the console, 1 to 32 characters; a changed name is a new, PENDING connection.

    Raises:
        ConfigurationError: The name is too long or empty, or there is no such provider.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider_type: ProviderType = "GitHub",
        connection_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        if provider_type not in get_args(ProviderType):
            raise ConfigurationError(
                f"provider_type={provider_type!r}", at=self, fix=f"use one of {', '.join(get_args(ProviderType))}"
            )
        if connection_name is None:
            connection_name = Names.unique_resource_name(self, max_length=_LONGEST_NAME, separator="-")
        elif not unresolved(connection_name) and not 1 <= len(connection_name) <= _LONGEST_NAME:
            raise ConfigurationError(
                f"connection name {connection_name!r} has {len(connection_name)} characters",
                at=self,
                fix=f"use 1 to {_LONGEST_NAME}",
            )
        self.connection = codeconnections.CfnConnection(
            self, "Connection", connection_name=connection_name, provider_type=provider_type
        )
        self._connection_arn: str = self.connection.attr_connection_arn
        known = Stack.of(self).region
        region = pseudo().region if unresolved(known) else known
        console = next((domain for start, domain in _CONSOLES.items() if region.startswith(start)), _CONSOLE)
        CfnOutput(
            self,
            "Handshake",
            description=f"A new connection is PENDING: open this page, choose {provider_type} connection "
            "and 'Update pending connection'",
            value=f"https://{region}.{console}/codesuite/settings/connections?region={region}",
        )

    @staticmethod
    def github(scope: Construct, id: str, *, connection_name: str | None = None) -> "CodeConnection":
        """A connection to github.com."""
        return CodeConnection(scope, id, provider_type="GitHub", connection_name=connection_name)

    @staticmethod
    def from_connection_arn(connection_arn: str) -> "ImportedConnection":
        """A connection that exists already, such as one that a team shares.

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


_CONSOLE = "console.aws.amazon.com"
_CONSOLES = {"us-gov-": "console.amazonaws-us-gov.com", "cn-": "console.amazonaws.cn"}
_ARN = re.compile(r"arn:aws[\w-]*:(?:codeconnections|codestar-connections):[\w-]+:\d{12}:connection/[\w-]+")


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
