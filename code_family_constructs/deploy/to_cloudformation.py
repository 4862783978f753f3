"""Floor 1: deploy a template of the revision as a CloudFormation stack, or delete one."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from aws_cdk import CfnCapabilities, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import Action, ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import (
    arn_at,
    check_path,
    check_role_account,
    check_setting,
    role_arn,
)
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_count, check_name
from code_family_constructs.permissions import ServiceRole, Statement, pseudo
from code_family_constructs.tokens import unresolved

ActionMode = Literal["CHANGE_SET", "CREATE_UPDATE", "REPLACE_ON_FAILURE"]

_STACK_NAME = NameRule("stack", "[A-Za-z0-9-]", 128, first="[A-Za-z]")
PARAMETER_NAME = NameRule("parameter", "[A-Za-z0-9]", 255)
_CHANGE_SET_NAME = NameRule("change set", "[A-Za-z0-9-]", 128, first="[A-Za-z]")
_ARTIFACT_NAME = NameRule("output artifact", "[A-Za-z0-9_-]", 100)
_OUTPUT_NAME = NameRule("output", "[A-Za-z0-9]", 255)
_MOST_INPUTS = 10
_ACTION_NAME = NameRule("action", "[A-Za-z0-9.@_-]", 100)
_TEMPLATE = "cdk.out/Shop.template.json"
_STACK_REASON = "the ARN of a stack holds a random id; the stack is named"


class StackDeployment(Construct):
    """Deploys a CloudFormation template that is in the revision: makes a change set, then executes it.

    Creates nothing but a role for CloudFormation with the given statements, unless a role is given. The template is a
    file of the artifact, such as `cdk synth` or `sam package` leave in it; what it refers to (assets of a CDK app, code
    of functions) the build has to have published, `cdk publish-assets` for one. A revision that changes nothing leaves
    the stack as it is. An update that fails is undone by CloudFormation, and fails the stage.

    With `approval`, somebody looks at the change set first: change set, approval and execution are three actions, one
    after the other. What was approved is what is executed: CloudFormation refuses a change set once the stack has
    changed in another way.

    This is how a pipeline releases a `LambdaDeployment`: the update of its stack shifts the traffic, and the role needs
    what its documentation says. The role may do what the statements say and nothing else, and so does everybody who
    gets a revision through the pipeline; a role that may create roles may do anything, whatever the template says.

    For a stack in another account, make the deployment in a stack of that account, or give it a role from there: the
    action's role hands it on, which IAM allows within an account only.

    Args:
        scope: Parent construct.
        id: Construct id.
        stack_name: Name of the stack to create or update, in the account and region that the action runs in.
        template_path: Path of the template in the artifact, 1 MB at most.
        template_configuration: Path of a file in the artifact with parameters, tags and a stack policy.
        parameter_overrides: Parameters that only the pipeline knows, at most 1000 characters as JSON. Values may hold
            variables (`#{variables.name}`) or be `{"Fn::GetParam": [artifact, file, key]}` or
            `{"Fn::GetArtifactAtt": [artifact, attribute]}`; artifacts that these name become inputs of the action.
        capabilities: What the template may do besides, such as making roles; CloudFormation asks for each by name.
        statements: What CloudFormation may do to create, update and delete what is in the stack; of a template with
            transforms also `cloudformation:CreateChangeSet` on each,
            `arn:aws:cloudformation:<region>:aws:transform/Serverless-2016-10-31`. Or else:
        deployment_role: A role that CloudFormation assumes, of the account that the stack is in.
        action_mode: `CHANGE_SET`; `CREATE_UPDATE`, in one action, which nobody can look at before; or
            `REPLACE_ON_FAILURE`, the same, but for a stack that is in a failed state and is deleted first with all
            that is in it: for stacks of tests.
        approval: Who has to agree to the change set: a `ManualApproval`, or any other action that fails when the change
            set is not to be executed.
        change_set_name: Name of the change set; made of stage and action when left out.
        output_artifact: Name of an artifact to make of the stack's outputs, for actions after it.
        output_file_name: The file in it, a JSON object of the outputs.

    Raises:
        ConfigurationError: A name, a path or parameters that AWS would refuse, no role or two, a role of another
            account, or settings of one mode with another.

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
        action_mode: ActionMode = "CHANGE_SET",
        approval: Action | None = None,
        change_set_name: str | None = None,
        output_artifact: str | None = None,
        output_file_name: str = "outputs.json",
    ) -> None:
        super().__init__(scope, id)
        check_name(self, stack_name, _STACK_NAME)
        _check_mode(self, action_mode, approval, change_set_name)
        check_path(self, "template_path", template_path, example=_TEMPLATE)
        if template_configuration is not None:
            check_path(self, "template_configuration", template_configuration, example="config/production.json")
        self._overrides = _overrides(self, parameter_overrides or {})
        self._named = sorted(_artifacts_in(parameter_overrides or {}))
        self._capabilities = capabilities_of(self, capabilities)
        if output_artifact is not None:
            check_name(self, output_artifact, _ARTIFACT_NAME)
            check_path(self, "output_file_name", output_file_name, example="outputs.json")

        self._stack_name = stack_name
        self._template_path = template_path
        self._template_configuration = template_configuration
        self._action_mode = action_mode
        self._approval = approval
        self._change_set_name = change_set_name
        self._output_artifact = output_artifact
        self._output_file_name = output_file_name
        self._action: DeclaredAction | None = None
        self.deployment_role = _deployment_role(self, statements, deployment_role)

    def variable(self, name: str) -> str:
        """Reference to an output of the stack, for actions that follow: in the stage that this was added to last.

        Args:
            name: Logical name of the output in the template.

        Raises:
            ConfigurationError: It is in no pipeline yet, or CloudFormation has no such names.
        """
        check_name(self, name, _OUTPUT_NAME)
        if self._action is None:
            raise ConfigurationError(
                f"output {name!r} of a deployment that is in no pipeline", at=self, fix="add it to a stage first"
            )
        return self._action.variable(name)

    def stage_action(self, context: ActionContext) -> StageAction:
        check_role_account(context, self, self.deployment_role)
        role = role_arn(context, self.deployment_role)
        if self._action_mode == "CHANGE_SET":
            return self._in_two_steps(context, role)
        outputs = self._outputs()
        self._action = self._deploy(
            context, context.action_name, self._action_mode, role, outputs=outputs, namespace=context.namespace
        )
        return StageAction(
            action=self._action,
            permissions=[*self._update_statements(context), pass_to_cloudformation(role)],
            outputs=outputs,
        )

    def _page(self, context: ActionContext) -> str:
        """Where the console shows the change sets of the stack."""
        region = context.region or pseudo().region
        console = f"https://{region}.console.aws.amazon.com/cloudformation/home?region={region}"
        return f"{console}#/stacks/changesets?stackId={self._stack_name}"

    def _in_two_steps(self, context: ActionContext, role: str) -> StageAction:
        change_set = self._change_set_name or _change_set_name(context)
        first, second = f"{context.action_name}ChangeSet", f"{context.action_name}Approval"
        check_name(self, first, _ACTION_NAME, fix="give the action a shorter name")
        prepare = self._deploy(context, first, "CHANGE_SET_REPLACE", role, change_set=change_set)
        asked = None
        if self._approval is not None:
            # An approval is for the pipeline to ask for, wherever the stack is.
            there = replace(
                context,
                role=None,
                region=None,
                namespace=None,
                action_name=second,
                run_order=context.run_order + 1,
                release=[*context.release, f"Change set: {self._page(context)}"],
            )
            if context.elsewhere and isinstance(self._approval, Construct):
                _check_home(self, self._approval, there)
            asked = self._approval.stage_action(there)
            if asked.overrides:
                raise ConfigurationError(
                    f"approval={type(self._approval).__name__} with settings of its own in CloudFormation, which an "
                    "action between two others cannot have",
                    at=self,
                    fix="put it into the stage before this one",
                )
        approval = [] if asked is None else [*asked.prepared_by, asked.action]
        outputs = self._outputs()
        self._action = DeclaredAction(
            context,
            category=codepipeline.ActionCategory.DEPLOY,
            provider="CloudFormation",
            configuration={
                "ActionMode": "CHANGE_SET_EXECUTE",
                "StackName": self._stack_name,
                "ChangeSetName": change_set,
                "OutputFileName": self._output_file_name if outputs else None,
            },
            outputs=list(outputs.values()),
            bounds=(0, _MOST_INPUTS, 0, 1),
            run_order=context.run_order + 1 + len(approval),
            namespace=context.namespace,
        )
        permissions = [*self._change_set_statements(context, change_set), pass_to_cloudformation(role)]
        if asked is None:
            return StageAction(action=self._action, prepared_by=[prepare], permissions=permissions, outputs=outputs)
        return StageAction(
            action=self._action,
            prepared_by=[prepare, *approval],
            permissions=permissions,
            pipeline_permissions=[*asked.permissions, *asked.pipeline_permissions],
            artifact_readers=asked.artifact_readers,
            builds=asked.builds,
            outputs={**asked.outputs, **outputs},
            clones=asked.clones,
        )

    def _deploy(
        self,
        context: ActionContext,
        action_name: str,
        mode: str,
        role: str,
        *,
        change_set: str | None = None,
        outputs: Mapping[str, codepipeline.Artifact] = MappingProxyType({}),
        namespace: str | None = None,
    ) -> DeclaredAction:
        artifact, configuration = context.revision.artifact_name, self._template_configuration
        named = [context.artifact(name) for name in self._named if name != artifact]
        check_count(self, [context.revision, *named], what="artifacts in parameter_overrides=", most=_MOST_INPUTS)
        return DeclaredAction(
            context,
            category=codepipeline.ActionCategory.DEPLOY,
            provider="CloudFormation",
            configuration={
                "ActionMode": mode,
                "StackName": self._stack_name,
                "ChangeSetName": change_set,
                "TemplatePath": f"{artifact}::{self._template_path}",
                "TemplateConfiguration": None if configuration is None else f"{artifact}::{configuration}",
                "ParameterOverrides": self._overrides,
                "Capabilities": self._capabilities,
                "RoleArn": role,
                "OutputFileName": self._output_file_name if outputs else None,
            },
            inputs=[context.revision, *named],
            outputs=list(outputs.values()),
            bounds=(0, _MOST_INPUTS, 0, 1),
            action_name=action_name,
            namespace=namespace,
        )

    def _outputs(self) -> dict[str, codepipeline.Artifact]:
        name = self._output_artifact
        return {} if name is None else {name: codepipeline.Artifact(name)}

    def _change_set_statements(self, context: ActionContext, change_set: str) -> list[Statement]:
        stack = arn_at(context, "cloudformation", f"stack/{self._stack_name}/*")
        return [
            Statement(
                actions=[
                    "cloudformation:CreateChangeSet",
                    "cloudformation:DeleteChangeSet",
                    "cloudformation:ExecuteChangeSet",
                ],
                resources=[stack],
                conditions={"StringEqualsIfExists": {"cloudformation:ChangeSetName": change_set}},
                wildcard_reason=_STACK_REASON,
            ),
            Statement(
                actions=[
                    "cloudformation:DescribeChangeSet",
                    "cloudformation:DescribeStackEvents",
                    "cloudformation:DescribeStacks",
                    *self._configuration_actions(),
                ],
                resources=[stack],
                wildcard_reason=_STACK_REASON,
            ),
        ]

    def _update_statements(self, context: ActionContext) -> list[Statement]:
        return [
            Statement(
                actions=[
                    "cloudformation:CreateStack",
                    *(("cloudformation:DeleteStack",) if self._action_mode == "REPLACE_ON_FAILURE" else ()),
                    "cloudformation:DescribeStackEvents",
                    "cloudformation:DescribeStackResources",
                    "cloudformation:DescribeStacks",
                    "cloudformation:GetTemplate",
                    "cloudformation:UpdateStack",
                    *self._configuration_actions(),
                ],
                resources=[arn_at(context, "cloudformation", f"stack/{self._stack_name}/*")],
                wildcard_reason=_STACK_REASON,
            ),
            Statement(
                actions=["cloudformation:ValidateTemplate"],
                resources=["*"],
                wildcard_reason="a template that is no stack yet has no ARN",
            ),
        ]

    def _configuration_actions(self) -> Sequence[str]:
        """What the tags and the stack policy in a template configuration take."""
        if self._template_configuration is None:
            return ()
        return (
            "cloudformation:GetStackPolicy",
            "cloudformation:SetStackPolicy",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
        )


class StackDeletion(Construct):
    """Deletes a CloudFormation stack, such as the one that a pipeline made for a test.

    Creates nothing but a role for CloudFormation with the given statements, unless a role is given. Everything in the
    stack goes, but for what the template retains; a stack that is not there is no error. Give it the
    `deployment_role` of the `StackDeployment` that made the stack.

    Args:
        scope: Parent construct.
        id: Construct id.
        stack_name: Name of the stack, in the account and region that the action runs in.
        statements: What CloudFormation may do to delete what is in the stack. Or else:
        deployment_role: A role that CloudFormation assumes, of the account that the stack is in.

    Raises:
        ConfigurationError: A name that AWS would refuse, no role or two, or a role of another account.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stack_name: str,
        statements: Sequence[Statement] = (),
        deployment_role: iam.IRole | None = None,
    ) -> None:
        super().__init__(scope, id)
        check_name(self, stack_name, _STACK_NAME)
        self._stack_name = stack_name
        self.deployment_role = _deployment_role(self, statements, deployment_role)

    def stage_action(self, context: ActionContext) -> StageAction:
        check_role_account(context, self, self.deployment_role)
        role = role_arn(context, self.deployment_role)
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="CloudFormation",
                configuration={"ActionMode": "DELETE_ONLY", "StackName": self._stack_name, "RoleArn": role},
                bounds=(0, _MOST_INPUTS, 0, 1),
            ),
            permissions=[
                Statement(
                    actions=[
                        "cloudformation:DeleteStack",
                        "cloudformation:DescribeStackEvents",
                        "cloudformation:DescribeStacks",
                    ],
                    resources=[arn_at(context, "cloudformation", f"stack/{self._stack_name}/*")],
                    wildcard_reason=_STACK_REASON,
                ),
                pass_to_cloudformation(role),
            ],
        )


def pass_to_cloudformation(role: str) -> Statement:
    """What it takes to hand a role on to CloudFormation."""
    return Statement(
        actions=["iam:PassRole"],
        resources=[role],
        conditions={"StringEqualsIfExists": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    )


def capabilities_of(at: Construct, capabilities: Sequence[CfnCapabilities]) -> str | None:
    """Capabilities as CodePipeline takes them.

    Raises:
        ConfigurationError: The one that is none.
    """
    if CfnCapabilities.NONE in capabilities:
        raise ConfigurationError(
            "capability NONE, which is no capability", at=at, fix="leave it out, or name those that the template needs"
        )
    return ",".join(_CAPABILITIES[capability] for capability in capabilities) or None


# aws-cdk-lib's enumerations have no values in Python.
_CAPABILITIES = {
    CfnCapabilities.ANONYMOUS_IAM: "CAPABILITY_IAM",
    CfnCapabilities.NAMED_IAM: "CAPABILITY_NAMED_IAM",
    CfnCapabilities.AUTO_EXPAND: "CAPABILITY_AUTO_EXPAND",
}


def _deployment_role(at: Construct, statements: Sequence[Statement], given: iam.IRole | None) -> iam.IRole:
    if given is None and not statements:
        raise ConfigurationError(
            "nothing says what CloudFormation may do",
            at=at,
            fix="give statements=[…] with what it takes to deploy the template, or deployment_role=",
        )
    if given is not None and statements:
        raise ConfigurationError(
            f"statements for role {given.node.path!r}, which is made elsewhere",
            at=at,
            fix="allow them where the role is made, or leave deployment_role= out",
        )
    if given is not None:
        return given
    # CloudFormation's guide names no source ARN for this trust. Who may use the role is who may pass it: the pipeline.
    return ServiceRole(at, service="cloudformation.amazonaws.com", statements=statements).role


def _change_set_name(context: ActionContext) -> str:
    """Names of stages and actions may hold what names of change sets may not."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", f"{context.stage_name}-{context.action_name}")
    return name[:128] if name[0].isalpha() else f"Stage-{name}"[:128]


def _check_mode(at: Construct, mode: str, approval: Action | None, change_set_name: str | None) -> None:
    modes = ("CHANGE_SET", "CREATE_UPDATE", "REPLACE_ON_FAILURE")
    if mode not in modes:
        raise ConfigurationError(f"action_mode={mode!r}", at=at, fix=f"use one of {', '.join(modes)}")
    if mode != "CHANGE_SET":
        for argument, given in (("approval", approval), ("change_set_name", change_set_name)):
            if given is not None:
                raise ConfigurationError(
                    f"{argument}= with action_mode={mode!r}, which makes no change set",
                    at=at,
                    fix=f"leave {argument}= out, or use action_mode='CHANGE_SET'",
                )
    if change_set_name is not None:
        check_name(at, change_set_name, _CHANGE_SET_NAME)


def _overrides(at: Construct, overrides: Mapping[str, Any]) -> str | None:
    for name, value in overrides.items():
        check_name(at, name, PARAMETER_NAME)
        if not isinstance(value, str | Mapping | Sequence):
            raise ConfigurationError(f"parameter {name} is {value!r}", at=at, fix=f"write {str(value)!r}")
    text = json.dumps(overrides, separators=(",", ":"))
    check_setting(
        at,
        "parameter_overrides",
        text,
        fix="put what is known before the pipeline runs into a file, and give template_configuration=",
    )
    if not overrides:
        return None
    return Stack.of(at).to_json_string(overrides) if unresolved(text) else text


def _artifacts_in(overrides: Mapping[str, Any]) -> set[str]:
    """Artifacts that parameters are taken from."""
    return set(_names(overrides))


def _names(value: Any) -> Iterator[str]:
    match value:
        case {"Fn::GetParam": [str() as artifact, _, _]} | {"Fn::GetArtifactAtt": [str() as artifact, _]}:
            yield artifact
        case dict():
            for item in value.values():
                yield from _names(item)
        case list():
            for item in value:
                yield from _names(item)


def _check_home(at: Construct, approval: Construct, context: ActionContext) -> None:
    home = context.scope
    if home is not None and Stack.of(approval) is not Stack.of(home):
        theirs, ours = Stack.of(approval), Stack.of(home)
        if (theirs.account, theirs.region) != (ours.account, ours.region):
            raise ConfigurationError(
                f"approval {approval.node.path!r} is made in account {theirs.account}, region {theirs.region}, and an "
                "approval of a change set runs with the pipeline",
                at=at,
                fix="make it in the pipeline's stack",
            )
