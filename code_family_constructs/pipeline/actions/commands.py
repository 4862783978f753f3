"""Floor 2: run shell commands without a project of CodeBuild."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.build.compute import name_of
from code_family_constructs.build.environment import environment_variables
from code_family_constructs.build.network import check_subnets, network_permissions
from code_family_constructs.deploy.action_settings import log_statements
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_list, check_name
from code_family_constructs.permissions import Statement
from code_family_constructs.pipeline.actions.settings import (
    check_artifacts,
    check_free_text,
    check_output_variables,
    check_setting,
    inputs_of,
    known_text,
    length_of,
    place,
)
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2

    from code_family_constructs.build.environment import Value

# https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionDeclaration.html
_MOST_COMMANDS = 50
_LONGEST_COMMAND = 1000
_MOST_OUTPUT_VARIABLES = 15
_MOST_VARIABLES = 10
_LONGEST_VARIABLE = 2000
_MOST_FILES = 10
_LONGEST_FILE = 128
_SHELL_VARIABLE = NameRule("variable", "[A-Za-z0-9_]", 128, first="[A-Za-z_]")
_WINDOWS = codebuild.EnvironmentType.WINDOWS_SERVER_2022_CONTAINER
_SIZES = (codebuild.ComputeType.SMALL, codebuild.ComputeType.MEDIUM, codebuild.ComputeType.LARGE)


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandsAction:
    """Runs shell commands on a machine of CodeBuild, without a project.

    The commands have the permissions of the role that the action runs as: in a `DeliveryPipeline`, all that the
    pipeline may do. They start in the first artifact, and find each further one in the folder that
    `CODEBUILD_SRC_DIR_<name>` names. They may take 55 minutes. What they print goes to log group
    `/aws/codepipeline/<pipeline>`, which CodePipeline creates without an end. The machine is billed by the minute, as
    CodeBuild's are.

    Args:
        commands: 1 to 50, each on one line, with variables of the pipeline where wanted. They are no place for secrets,
            and none for text that somebody else writes, such as `#{SourceVariables.CommitMessage}`: the shell would
            run it. Hand that over as an environment variable.
        input_artifacts: Names of 1 to 10 artifacts; the one that the stage is about when left out.
        output_artifact: Name for an artifact of the files that the commands leave.
        files: Which files those are, 1 to 10 paths or patterns as in a buildspec, such as `dist/**/*`.
        output_variables: Names of up to 15 environment variables whose values the actions after this one get.
        environment_variables: Up to 10: texts that everyone may read, with variables of the pipeline where wanted, and
            secrets, whole or as a `SecretField`, which the action's role may read.
        environment_type: `LINUX_CONTAINER` or `WINDOWS_SERVER_2022_CONTAINER`.
        compute_type: `SMALL`, `MEDIUM` or `LARGE`; Windows has no small one.
        vpc: A VPC whose hosts the commands should reach.
        subnet_selection: Which of its subnets; those with a NAT gateway as their way out when left out.
        security_groups: Of the machine, 1 to 5; to be given with a VPC.

    Raises:
        ConfigurationError: What CodePipeline would refuse or could not run, or a variable that gives a secret away.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Commands.html
    """

    commands: Sequence[str]
    input_artifacts: Sequence[str] = ()
    output_artifact: str | None = None
    files: Sequence[str] = ()
    output_variables: Sequence[str] = ()
    environment_variables: "Mapping[str, Value]" = field(default_factory=dict)
    environment_type: codebuild.EnvironmentType = codebuild.EnvironmentType.LINUX_CONTAINER
    compute_type: codebuild.ComputeType | None = None
    vpc: "ec2.IVpc | None" = None
    subnet_selection: "ec2.SubnetSelection | None" = None
    security_groups: "Sequence[ec2.ISecurityGroup]" = ()
    _subnets: Sequence[str] = field(init=False, default=())

    def __post_init__(self) -> None:
        at = "CommandsAction"
        _check_commands(at, self.commands)
        check_artifacts(at, "input_artifacts", self.input_artifacts, most=10, identifiers=True)
        _check_files(at, self.output_artifact, self.files)
        check_output_variables(at, self.output_variables, most=_MOST_OUTPUT_VARIABLES)
        for name in self.output_variables:
            check_name(at, name, _SHELL_VARIABLE)
        _check_variables(at, self.environment_variables)
        _check_machine(at, self.environment_type, self.compute_type)
        object.__setattr__(self, "_subnets", self._check_network(at))

    def stage_action(self, context: ActionContext) -> StageAction:
        outputs: dict[str, codepipeline.Artifact] = {}
        if self.output_artifact is not None:
            outputs[self.output_artifact] = codepipeline.Artifact(self.output_artifact, list(self.files))
        variables, secrets = _environment(context.scope or place(context), self.environment_variables)
        overrides: dict[str, Any] = {"Commands": list(self.commands)}
        if self.output_variables:
            overrides["OutputVariables"] = list(self.output_variables)
        if variables:
            overrides["EnvironmentVariables"] = variables
        for variable in variables:
            known_text(context, f"variable {variable['Name']}", variable["Value"], fix="import the secret by its ARN")
        linux = self.environment_type is codebuild.EnvironmentType.LINUX_CONTAINER
        groups = [group.security_group_id for group in self.security_groups]
        network = [*self._subnets, *groups] if self.vpc is None else [self.vpc.vpc_id, *self._subnets, *groups]
        for each in network:
            known_text(context, "the VPC, a subnet or a security group", each, fix="import them by their ids")
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.COMPUTE,
                provider="Commands",
                configuration={
                    "EnvironmentType": None if linux else self.environment_type.value,
                    "ComputeType": None if self.compute_type is None else name_of(self.compute_type),
                    "VpcId": self.vpc.vpc_id if self.vpc is not None else None,
                    "Subnets": ",".join(self._subnets) or None,
                    "SecurityGroupIds": ",".join(groups) or None,
                },
                inputs=inputs_of(context, self.input_artifacts),
                outputs=list(outputs.values()),
                bounds=(1, 10, 0, 1),
                namespace=context.namespace,
            ),
            permissions=[
                *log_statements(context),
                *secrets,
                *(statement for group in groups for statement in network_permissions(self._subnets, group)),
            ],
            outputs=outputs,
            overrides=overrides,
        )

    def _check_network(self, at: str) -> Sequence[str]:
        check_list(at, "security_groups", self.security_groups)
        if self.vpc is None:
            if self.security_groups or self.subnet_selection is not None:
                raise ConfigurationError("subnets or security groups, but no VPC", at=at, fix="give vpc= as well")
            return ()
        if not 1 <= len(self.security_groups) <= 5:
            raise ConfigurationError(
                f"{len(self.security_groups)} security groups in a VPC",
                at=at,
                fix="give 1 to 5 security_groups=, which let the commands out to what they have to reach",
            )
        vpc: Any = self.vpc
        return check_subnets(vpc, vpc, self.subnet_selection)


def _check_commands(at: str, commands: Sequence[str]) -> None:
    # Here, since the grammar of buildspecs is much to read and few pipelines have commands.
    from code_family_constructs.build.buildspec_checks import credential_in

    check_list(at, "commands", commands)
    if not 1 <= len(commands) <= _MOST_COMMANDS:
        raise ConfigurationError(
            f"{len(commands)} commands", at=at, fix=f"give 1 to {_MOST_COMMANDS}, or run a script of the artifact"
        )
    for command in commands:
        if "\n" in command or "\r" in command:
            raise ConfigurationError(
                f"command {command!r} has several lines",
                at=at,
                fix="give each line as a command, or run a script of the artifact",
            )
        if not command.strip():
            raise ConfigurationError("an empty command", at=at, fix="leave it out")
        check_free_text(at, "a command", command, breaks="which the shell would run with the pipeline's own role")
        check_setting(at, "a command", command, fix="run a script of the artifact", most=_LONGEST_COMMAND)
        found = None if unresolved(command) else credential_in(command)
        if found:
            raise ConfigurationError(
                f"a command holds {found}, for everyone who can read the pipeline",
                at=at,
                fix="keep it in Secrets Manager, and give the secret as one of environment_variables=",
            )


def _check_files(at: str, artifact: str | None, files: Sequence[str]) -> None:
    check_list(at, "files", files)
    if artifact is None:
        if files:
            raise ConfigurationError("files for no artifact", at=at, fix="give output_artifact= as well")
        return
    check_artifacts(at, "output_artifact", [artifact], most=1)
    if not 1 <= len(files) <= _MOST_FILES:
        raise ConfigurationError(
            f"{len(files)} files for artifact {artifact!r}",
            at=at,
            fix=f'give 1 to {_MOST_FILES} patterns, such as "**/*"',
        )
    for file in files:
        check_setting(at, f"file {file!r}", file, fix="use a shorter path or a pattern", most=_LONGEST_FILE)


def _check_variables(at: str, variables: "Mapping[str, Value]") -> None:
    if len(variables) > _MOST_VARIABLES:
        raise ConfigurationError(
            f"{len(variables)} environment variables",
            at=at,
            fix=f"give at most {_MOST_VARIABLES}, or a file in the artifact",
        )
    # A text that is only known later is looked at in its place, where references mean something.
    known = {name: value for name, value in variables.items() if not (isinstance(value, str) and unresolved(value))}
    _environment(at, known)
    for name in variables:
        check_name(at, name, _SHELL_VARIABLE)


def _environment(at: Any, variables: "Mapping[str, Value]") -> tuple[list[dict[str, str]], list[Statement]]:
    """The variables as CodePipeline takes them, and what it takes to read them."""
    made, statements = environment_variables(at, variables)
    properties: list[dict[str, str]] = []
    for name, one in made.items():
        kind = one.type.value if one.type else "PLAINTEXT"
        if kind == "PARAMETER_STORE":
            raise ConfigurationError(
                f"variable {name} is a parameter, the Commands action takes texts and secrets",
                at=at,
                fix="keep it in Secrets Manager, or read it in a command: aws ssm get-parameter",
            )
        if not one.value or length_of(one.value) > _LONGEST_VARIABLE:
            raise ConfigurationError(
                f"variable {name} of {length_of(one.value)} characters",
                at=at,
                fix=f"CodePipeline takes 1 to {_LONGEST_VARIABLE}",
            )
        properties.append({"Name": name, "Value": one.value, "Type": kind})
    return properties, statements


def _check_machine(
    at: str, environment_type: codebuild.EnvironmentType, compute_type: codebuild.ComputeType | None
) -> None:
    if environment_type not in (codebuild.EnvironmentType.LINUX_CONTAINER, _WINDOWS):
        raise ConfigurationError(
            f"environment_type {environment_type.name}, which the Commands action does not have",
            at=at,
            fix="use LINUX_CONTAINER or WINDOWS_SERVER_2022_CONTAINER, or a CodeBuildAction",
        )
    if compute_type is not None and compute_type not in _SIZES:
        raise ConfigurationError(
            f"compute_type {compute_type.name}, which the Commands action does not have",
            at=at,
            fix="use SMALL, MEDIUM or LARGE, or a CodeBuildAction",
        )
    if environment_type is _WINDOWS and compute_type not in _SIZES[1:]:
        raise ConfigurationError(
            "a small machine with Windows, which there is not",
            at=at,
            fix="give compute_type=codebuild.ComputeType.MEDIUM",
        )
