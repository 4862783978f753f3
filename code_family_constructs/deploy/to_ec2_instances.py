"""Floor 1: deploy the revision to EC2 instances by CodePipeline's own action, without CodeDeploy."""

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import ActionContext, DeclaredAction, StageAction
from code_family_constructs.deploy.action_settings import arn_at, check_named, check_path, joined, log_statements
from code_family_constructs.deploy.ec2_targets import Ec2Targets
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import check_list
from code_family_constructs.permissions import Statement, pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from aws_cdk import aws_elasticloadbalancingv2 as elbv2

_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_SCRIPT = "scripts/start_server.sh"


class Ec2InstancesDeployment(Construct):
    """Deploys the revision to Linux instances with a tag, by commands of Systems Manager.

    CodePipeline's own action, for up to 500 instances: it needs the SSM agent on the instances and no CodeDeploy, and
    it has none of its deployment groups, alarms and rollbacks either: an instance that fails stays as it is, and the
    next run starts with it. For those, use an `Ec2Deployment`. V2 pipelines only.

    What happens on an instance, either a deploy spec in the artifact says, which may be an AppSpec file, or a folder
    and scripts do. The action writes to the log group `/aws/codepipeline/<name of the pipeline>`, which it makes
    itself, so that it stays when the stack goes.

    Creates a policy that lets the roles of the instances read the pipeline's artifacts. The agent needs permissions of
    its own, those of the managed policy AmazonSSMManagedInstanceCore.

    Args:
        scope: Parent construct.
        id: Construct id.
        instance_tag_key: Tag of the instances.
        instance_tag_value: Its value; any when left out.
        instance_roles: Their roles; `[]` if they may read the artifacts already.
        instance_type: EC2 instances, or nodes that Systems Manager manages wherever they are.
        deploy_spec: Path of the deploy spec in the artifact, a YAML file. Or else:
        target_directory: Folder of the instance that the artifact is unpacked in; made if it is not there.
        post_script: Path in the artifact of the script to run then.
        pre_script: Path in the artifact of a script to run before.
        max_batch: How many instances at a time.
        max_error: How many may fail before the action does.
        target_groups: What gives the instances traffic: none while they are deployed to.

    Raises:
        ConfigurationError: Both or none of the two ways, or a tag, path or folder that AWS would refuse.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-EC2Deploy.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        instance_tag_key: str,
        instance_tag_value: str | None = None,
        instance_roles: Sequence[iam.IRole],
        instance_type: actions.Ec2InstanceType = actions.Ec2InstanceType.EC2,
        deploy_spec: str | None = None,
        target_directory: str | None = None,
        post_script: str | None = None,
        pre_script: str | None = None,
        max_batch: actions.Ec2MaxInstances | None = None,
        max_error: actions.Ec2MaxInstances | None = None,
        target_groups: "Sequence[elbv2.ITargetGroup]" = (),
    ) -> None:
        super().__init__(scope, id)
        check_list(self, "instance_roles", instance_roles)
        check_list(self, "target_groups", target_groups)
        _check_tag(self, instance_tag_key, instance_tag_value)
        scripts = {"target_directory": target_directory, "post_script": post_script, "pre_script": pre_script}
        _check_spec(self, deploy_spec, scripts)
        self._key, self._value = instance_tag_key, instance_tag_value
        self._nodes = instance_type is actions.Ec2InstanceType.SSM_MANAGED_NODE
        self._target_groups = list(target_groups)
        self._configuration = {
            "InstanceTagKey": instance_tag_key,
            "InstanceTagValue": instance_tag_value,
            "InstanceType": instance_type.value,
            "DeploySpec": deploy_spec,
            "TargetDirectory": target_directory,
            "PreScript": pre_script,
            "PostScript": post_script,
            "MaxBatch": None if max_batch is None else max_batch.value,
            "MaxError": None if max_error is None else max_error.value,
            "TargetGroupNameList": joined(
                self,
                "target_groups",
                [group.target_group_name for group in target_groups],
                fix="deploy to the instances of fewer target groups at a time",
            ),
        }
        targets = Ec2Targets(
            ec2_instance_tags=codedeploy.InstanceTagSet({instance_tag_key: [instance_tag_value or ""]}),
            instance_roles=instance_roles,
        )
        self._readers = targets.readers(self)

    def stage_action(self, context: ActionContext) -> StageAction:
        for group in self._target_groups:
            check_named(context, self, group, "target group", "name")
        return StageAction(
            action=DeclaredAction(
                context,
                category=codepipeline.ActionCategory.DEPLOY,
                provider="EC2",
                configuration=self._configuration,
                inputs=[context.revision],
                bounds=(1, 1, 0, 0),
            ),
            permissions=[*self._statements(context), *log_statements(context)],
            artifact_readers=self._readers,
        )

    def _statements(self, context: ActionContext) -> list[Statement]:
        tag = f"aws:ResourceTag/{self._key}"
        kinds = [arn_at(context, "ec2", "instance/*")]
        if self._nodes:
            kinds.append(arn_at(context, "ssm", "managed-instance/*"))
        aws = pseudo()
        documents = f"arn:{aws.partition}:ssm:{context.region or aws.region}::document"
        statements = [
            Statement(
                actions=[
                    "ec2:DescribeInstances",
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                    "ssm:CancelCommand",
                    "ssm:DescribeInstanceInformation",
                    "ssm:ListCommandInvocations",
                ],
                resources=["*"],
                wildcard_reason="Describe and List actions have no resource-level permissions, and a command is "
                "numbered when it is sent",
            ),
            Statement(
                actions=["ssm:SendCommand"],
                resources=kinds,
                conditions={"Null": {tag: "false"}} if self._value is None else {"StringEquals": {tag: self._value}},
                wildcard_reason="which instances there are is not known before; only those with the tag are reached",
            ),
            Statement(
                actions=["ssm:SendCommand"],
                resources=[f"{documents}/AWS-RunPowerShellScript", f"{documents}/AWS-RunShellScript"],
            ),
        ]
        if self._target_groups:
            statements.append(
                Statement(
                    actions=["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
                    resources=[group.target_group_arn for group in self._target_groups],
                )
            )
        return statements


def _check_tag(at: Construct, key: str, value: str | None) -> None:
    if unresolved(key):
        raise ConfigurationError(
            "the tag's key is not known at synth time, but is a part of the pipeline's permissions",
            at=at,
            fix="give instance_tag_key as plain text",
        )
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise ConfigurationError(
            f"instance_tag_key of {len(key)} characters", at=at, fix=f"use 1 to {_LONGEST_KEY} characters"
        )
    if value is not None and not unresolved(value) and not 1 <= len(value) <= _LONGEST_VALUE:
        raise ConfigurationError(
            f"instance_tag_value of {len(value)} characters",
            at=at,
            fix=f"use 1 to {_LONGEST_VALUE} characters, or leave it out for any value",
        )


def _check_spec(at: Construct, deploy_spec: str | None, scripts: dict[str, str | None]) -> None:
    given = [argument for argument, value in scripts.items() if value is not None]
    if deploy_spec is not None:
        check_path(at, "deploy_spec", deploy_spec, example="deployspec.yaml")
        if given:
            raise ConfigurationError(
                f"deploy_spec= and {', '.join(f'{argument}=' for argument in given)}",
                at=at,
                fix="say what happens on an instance in one way: by the deploy spec, or by a folder and scripts",
            )
        return
    directory, post_script, pre_script = scripts.values()
    if directory is None or post_script is None:
        raise ConfigurationError(
            "nothing says what happens on an instance",
            at=at,
            fix="give deploy_spec=, or target_directory= and post_script=",
        )
    if not unresolved(directory) and (not directory.startswith("/") or posixpath.normpath(directory) == "/"):
        raise ConfigurationError(
            f"target_directory={directory!r} is no folder to deploy to",
            at=at,
            fix="give it from the root of the instance: '/srv/shop'",
        )
    check_path(at, "post_script", post_script, example=_SCRIPT)
    if pre_script is not None:
        check_path(at, "pre_script", pre_script, example="scripts/stop_server.sh")
