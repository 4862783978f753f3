"""Floor 1: deploy a template of the revision as a CloudFormation stack."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import CfnCapabilities, Stack
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.deploy import DeployAction, DeployContext
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import ServiceRole, Statement, arn
from code_family_constructs.tokens import unresolved

_STACK_NAME = NameRule("stack", "[A-Za-z0-9-]", 128, first="[A-Za-z]")
_CHANGE_SET_NAME = NameRule("change set", "[A-Za-z0-9-]", 128, first="[A-Za-z]")
_PARAMETER_NAME = NameRule("parameter", "[A-Za-z0-9]", 255)
# CodePipeline's quotas allow a kilobyte of overrides, and 1000 characters of any one setting.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_LONGEST_OVERRIDES = 1000


class StackDeployment(Construct):
    """Deploys a CloudFormation template that is in the revision: makes a change set, then executes it.

    Creates nothing but a role for CloudFormation with the given statements, unless a role is given. The template is a
    file of the artifact, such as `cdk synth` or `sam package` leave in it; what it refers to (assets of a CDK app, code
    of functions) the build has to have published, `cdk publish-assets` for one. A revision that changes nothing leaves
    the stack as it is. An update that fails is undone by CloudFormation, and fails the stage.

    This is how a pipeline releases a `LambdaDeployment`: the update of its stack shifts the traffic, and the role needs
    what its documentation says. The role may do what the statements say and nothing else, and so does everybody who
    gets a revision through the pipeline; a role that may create roles may do anything, whatever the template says.

    Args:
        scope: Parent construct.
        id: Construct id.
        stack_name: Name of the stack to create or update, in this account and region.
        template_path: Path of the template in the artifact.
        template_configuration: Path of a file in the artifact with parameters, tags and a stack policy.
        parameter_overrides: Parameters that only the pipeline knows, at most 1000 characters as JSON. Values may hold
            variables (`#{variables.name}`) or be `{"Fn::GetParam": [artifact, file, key]}`.
        capabilities: What the template may do besides, such as making roles; CloudFormation asks for each by name.
        statements: What CloudFormation may do to create, update and delete what is in the stack. Or else:
        deployment_role: A role of this account that CloudFormation assumes.
        change_set_name: Name of the change set; the action's name when left out.

    Raises:
        ConfigurationError: A name, a path or parameters that AWS would refuse, no role or two, or a role of another
            account.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stack_name: str,
        template_path: str,
        template_configuration: str | None = None,
        parameter_overrides: Mapping[str, str | Mapping[str, Any]] | None = None,
        capabilities: Sequence[CfnCapabilities] = (),
        statements: Sequence[Statement] = (),
        deployment_role: iam.IRole | None = None,
        change_set_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        check_name(self, stack_name, _STACK_NAME)
        if change_set_name is not None:
            check_name(self, change_set_name, _CHANGE_SET_NAME)
        _check_path(self, "template_path", template_path)
        if template_configuration is not None:
            _check_path(self, "template_configuration", template_configuration)
        _check_overrides(self, parameter_overrides or {})
        _check_capabilities(self, capabilities)
        _check_role(self, statements, deployment_role)

        self._stack_name = stack_name
        self._template_path = template_path
        self._template_configuration = template_configuration
        self._parameter_overrides = dict(parameter_overrides or {})
        self._capabilities = list(capabilities)
        self._change_set_name = change_set_name
        if deployment_role is not None:
            self.deployment_role: iam.IRole = deployment_role
            self._frozen = deployment_role
        else:
            # CloudFormation's guide names no source ARN for this trust. Who may use the role is who may pass it: the
            # pipeline.
            role = ServiceRole(self, service="cloudformation.amazonaws.com", statements=statements)
            self.deployment_role = role.role
            self._frozen = role.frozen

    def deploy_action(self, context: DeployContext) -> DeployAction:
        change_set = self._change_set_name or _change_set_name(context)
        configuration = self._template_configuration
        prepare = actions.CloudFormationCreateReplaceChangeSetAction(
            action_name=f"{context.action_name}ChangeSet",
            stack_name=self._stack_name,
            change_set_name=change_set,
            template_path=context.revision.at_path(self._template_path),
            template_configuration=None if configuration is None else context.revision.at_path(configuration),
            parameter_overrides=self._parameter_overrides or None,
            cfn_capabilities=self._capabilities or None,
            admin_permissions=False,
            deployment_role=self._frozen,
            run_order=context.run_order,
        )
        execute = actions.CloudFormationExecuteChangeSetAction(
            action_name=context.action_name,
            stack_name=self._stack_name,
            change_set_name=change_set,
            run_order=context.run_order + 1,
        )
        stack = arn("cloudformation", f"stack/{self._stack_name}/*")
        reason = "the ARN of a stack holds a random id; the stack is named"
        return DeployAction(
            action=execute,
            prepared_by=[prepare],
            permissions=[
                Statement(
                    actions=[
                        "cloudformation:CreateChangeSet",
                        "cloudformation:DeleteChangeSet",
                        "cloudformation:ExecuteChangeSet",
                    ],
                    resources=[stack],
                    conditions={"StringEqualsIfExists": {"cloudformation:ChangeSetName": change_set}},
                    wildcard_reason=reason,
                ),
                Statement(
                    actions=[
                        "cloudformation:DescribeChangeSet",
                        "cloudformation:DescribeStackEvents",
                        "cloudformation:DescribeStacks",
                    ],
                    resources=[stack],
                    wildcard_reason=reason,
                ),
                Statement(
                    actions=["iam:PassRole"],
                    resources=[self.deployment_role.role_arn],
                    conditions={"StringEqualsIfExists": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
                ),
            ],
        )


def _change_set_name(context: DeployContext) -> str:
    """Names of stages and actions may hold what names of change sets may not."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", f"{context.stage_name}-{context.action_name}")
    return name[:128] if name[0].isalpha() else f"Stage-{name}"[:128]


def _check_path(at: Construct, argument: str, path: str) -> None:
    if unresolved(path):
        return
    if not path or path.startswith("/") or "::" in path or ".." in path.split("/"):
        raise ConfigurationError(
            f"{argument}={path!r} is no path in an artifact",
            at=at,
            fix="give the path from the artifact's root: 'cdk.out/Shop.template.json'",
        )


def _check_overrides(at: Construct, overrides: Mapping[str, Any]) -> None:
    for name in overrides:
        check_name(at, name, _PARAMETER_NAME)
    # What a token becomes is not known; without it, the rest is too long all the same.
    text = re.sub(r"\$\{Token\[[^]]*\]\}", "", json.dumps(overrides, separators=(",", ":")))
    if len(text) > _LONGEST_OVERRIDES:
        raise ConfigurationError(
            f"parameter_overrides of {len(text)} characters, CodePipeline takes {_LONGEST_OVERRIDES}",
            at=at,
            fix="put what is known before the pipeline runs into a file, and give template_configuration=",
        )


def _check_capabilities(at: Construct, capabilities: Sequence[CfnCapabilities]) -> None:
    if CfnCapabilities.NONE in capabilities:
        raise ConfigurationError(
            "capability NONE, which is no capability", at=at, fix="leave it out, or name those that the template needs"
        )


def _check_role(at: Construct, statements: Sequence[Statement], role: iam.IRole | None) -> None:
    if role is None and not statements:
        raise ConfigurationError(
            "nothing says what CloudFormation may do",
            at=at,
            fix="give statements=[…] with what it takes to deploy the template, or deployment_role=",
        )
    if role is None:
        return
    if statements:
        raise ConfigurationError(
            f"statements for role {role.node.path!r}, which is made elsewhere",
            at=at,
            fix="allow them where the role is made, or leave deployment_role= out",
        )
    account, ours = role.env.account, Stack.of(at).account
    if not unresolved(account) and not unresolved(ours) and account != ours:
        raise ConfigurationError(
            f"role {role.node.path!r} is in account {account}, the pipeline in {ours}",
            at=at,
            fix="give a role of the pipeline's own account",
        )
