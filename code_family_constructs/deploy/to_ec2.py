"""Floor 1: deploy a revision to EC2 or on-premises instances, in place."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, get_args

from aws_cdk import Annotations
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.actions import ActionContext, StageAction
from code_family_constructs.deploy.ec2_config import check_config, config_name, server_config
from code_family_constructs.deploy.ec2_fleet import Ec2Fleet
from code_family_constructs.deploy.ec2_targets import (
    APPLICATION_NAME,
    Ec2Targets,
    deploy_by_codedeploy,
    pipeline_statements,
)
from code_family_constructs.deploy.triggers import DeploymentTrigger, check_triggers
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.names import physical_name
from code_family_constructs.permissions import Permissions, ServiceRole, arn, flat

if TYPE_CHECKING:  # most deployments are made without looking into the revision
    from code_family_constructs.deploy.appspec import Ec2Appspec

OutdatedInstancesStrategy = Literal["UPDATE", "IGNORE"]


class Ec2Deployment(Construct):
    """Deploys revisions in place to instances, a part of them at a time, and back again when that goes wrong.

    Creates a CodeDeploy application and deployment group with a role of its own. Instances get no traffic while they
    are worked on, if there is a load balancer. A deployment that fails, or during which an alarm of the health gate
    fires, is rolled back by deploying the last good revision; the first deployment of all has none to go back to.
    CodeDeploy on EC2 costs nothing, each update of an on-premises instance 0.02 USD.

    A file that stands in the way on an instance is no setting of the deployment group, nor of CodePipeline's action:
    the revision says what to do about it, `file_exists_behavior` in its AppSpec file or in an `Ec2Appspec`.

    Args:
        scope: Parent construct.
        id: Construct id.
        fleet: An `Ec2Fleet`. Or else any of the next three together:
        auto_scaling_groups: At most 10, none of them in another deployment; new instances of the groups get the last
            good revision before they get traffic.
        ec2_instance_tags: EC2 instances by tag, AND between up to 3 groups, OR inside of one.
        on_premise_instance_tags: On-premises instances by the tags that they are registered with in CodeDeploy, in the
            same way.
        load_balancers: What gives the EC2 instances traffic: up to 10 target groups of Application or Network Load
            Balancers, with instances as targets, and up to 10 Classic Load Balancers. CodeDeploy registers each
            instance with all of them.
        instance_roles: Roles of the instances, all of them, that are allowed to read the revision; `[]` says that they
            may already. Left out, the roles of Auto Scaling groups that are made in this app. On-premises instances
            have no role of EC2: name that of their IAM sessions, or allow their IAM users yourself.
        deployment_config: How many instances at a time: one that AWS has, or a `codedeploy.ServerDeploymentConfig` to
            share between deployments. One at a time when this and the next are left out.
        minimum_healthy_hosts: Instances to keep healthy, by count or percentage, for a configuration of its own.
        zonal_config: One Availability Zone after the other, with `minimum_healthy_hosts`; not on-premises. A rollback
            goes to all zones at once.
        health: Alarms that stop and roll back a deployment.
        termination_hook: Whether instances run their ApplicationStop and BlockTraffic hooks before an Auto Scaling
            group terminates them.
        outdated_instances_strategy: What happens after a deployment to instances that were launched meanwhile and got
            the revision before it.
        triggers: Whom CodeDeploy tells itself, at most 10.
        appspec: The AppSpec file in the revision, read with `Ec2Appspec.from_file`: what is wrong with it, or does not
            suit this deployment, is found now.
        application_name: Made from the stack's name when left out.

    Raises:
        ConfigurationError: Nothing to deploy to, more than AWS takes, an Auto Scaling group of another deployment, more
            healthy instances than there may be, instances that could not read the revision, messages that would not
            arrive, or a health gate without alarms.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        fleet: Ec2Fleet | None = None,
        auto_scaling_groups: Sequence[autoscaling.IAutoScalingGroup] = (),
        ec2_instance_tags: codedeploy.InstanceTagSet | None = None,
        on_premise_instance_tags: codedeploy.InstanceTagSet | None = None,
        load_balancers: Sequence[codedeploy.LoadBalancer] = (),
        instance_roles: Sequence[iam.IRole] | None = None,
        deployment_config: codedeploy.IServerDeploymentConfig | None = None,
        minimum_healthy_hosts: codedeploy.MinimumHealthyHosts | None = None,
        zonal_config: codedeploy.ZonalConfig | None = None,
        health: HealthGate | None = None,
        termination_hook: bool = False,
        outdated_instances_strategy: OutdatedInstancesStrategy = "UPDATE",
        triggers: Sequence[DeploymentTrigger] = (),
        appspec: "Ec2Appspec | None" = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, application_name, APPLICATION_NAME)
        targets = Ec2Targets(
            fleet=fleet,
            auto_scaling_groups=auto_scaling_groups,
            ec2_instance_tags=ec2_instance_tags,
            on_premise_instance_tags=on_premise_instance_tags,
            load_balancers=load_balancers,
            instance_roles=instance_roles,
        )
        targets.check(self)
        groups, balancers = targets.groups, targets.balancers
        if termination_hook and not groups:
            raise ConfigurationError(
                "termination_hook without an Auto Scaling group to put it into",
                at=self,
                fix="leave it out, or give auto_scaling_groups= or a fleet=",
            )
        check_strategy(self, outdated_instances_strategy)
        check_triggers(self, triggers, blue_green=False)
        if health is not None:
            health.check_alarms(self)
        # aws-cdk-lib tells what a configuration holds once it is one.
        self.deployment_config = server_config(self, deployment_config, minimum_healthy_hosts, zonal_config)
        check_config(self, self.deployment_config, targets)
        if appspec is not None:
            look_into(self, appspec, load_balancer=bool(balancers))
        # A release that starts with the stack would find instances that may not read it yet.
        self._readers = targets.readers(self, before=lambda: self.deployment_group)

        self._pipeline_statements = pipeline_statements(
            application_name=name, group_name=name, config_name=config_name(self.deployment_config)
        )
        self._role = ServiceRole(
            self,
            service="codedeploy.amazonaws.com",
            source_arn=arn("codedeploy", f"deploymentgroup:{name}/{name}"),
            statements=[
                *targets.service_statements(),
                *(statement for trigger in triggers for statement in trigger.statements()),
            ],
        )
        self.role = self._role.role
        self._name = name
        self.application = codedeploy.ServerApplication(self, "Application", application_name=name)
        self.deployment_group = codedeploy.ServerDeploymentGroup(
            self,
            "DeploymentGroup",
            application=self.application,
            deployment_group_name=name,
            role=self._role.frozen,
            auto_scaling_groups=groups or None,
            ec2_instance_tags=ec2_instance_tags,
            on_premise_instance_tags=on_premise_instance_tags,
            load_balancers=balancers or None,
            deployment_config=self.deployment_config,
            alarms=list(health.alarms) if health is not None else None,
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=False, deployment_in_alarm=None if health else False
            ),
            # An alarm that cannot be read might be firing.
            ignore_poll_alarms_failure=False,
            ignore_alarm_configuration=False,
            # The fleet's instances install it at boot; the L2 would need to write into their launch template.
            install_agent=False,
            termination_hook=termination_hook if groups else None,
        )
        if groups:
            self.deployment_group.node.add_dependency(*self._allow_groups(targets))
        # What a template leaves out, CloudFormation keeps as it was: https://github.com/aws/aws-cdk/issues/23307
        # https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_UpdateDeploymentGroup.html
        group: Any = self.deployment_group.node.default_child
        if not groups:
            group.auto_scaling_groups = []
        if ec2_instance_tags is None:
            group.ec2_tag_set = codedeploy.CfnDeploymentGroup.EC2TagSetProperty(ec2_tag_set_list=[])
        if on_premise_instance_tags is None:
            group.on_premises_tag_set = codedeploy.CfnDeploymentGroup.OnPremisesTagSetProperty(
                on_premises_tag_set_list=[]
            )
        group.outdated_instances_strategy = outdated_instances_strategy
        group.trigger_configurations = [trigger.configuration() for trigger in triggers]
        if not balancers:
            group.deployment_style = codedeploy.CfnDeploymentGroup.DeploymentStyleProperty(
                deployment_type="IN_PLACE", deployment_option="WITHOUT_TRAFFIC_CONTROL"
            )
        if health is not None:
            health.on_added(self.deployment_group.add_alarm)
        else:
            group.alarm_configuration = codedeploy.CfnDeploymentGroup.AlarmConfigurationProperty(
                enabled=False, alarms=[]
            )

    def _allow_groups(self, targets: Ec2Targets) -> list[iam.CfnManagedPolicy]:
        # CodeDeploy's hook in a group that leaves has to go, or each launch there waits for CodeDeploy and is given up.
        # The policy is another one for other groups: CloudFormation deletes the old one last, after CodeDeploy used it.
        groups = "\n".join(sorted(flat(self, name) for name in targets.names))
        policies = Permissions(
            self, f"RolePolicyForGroups{sha256(groups.encode()).hexdigest()[:8]}", role_names=[self.role.role_name]
        )
        return list(policies.add(targets.group_statements()).values())

    def stage_action(self, context: ActionContext) -> StageAction:
        return StageAction(
            action=deploy_by_codedeploy(
                context,
                application_name=self._name,
                # A reference, where there can be one: the pipeline is made after the group.
                group_name=self._name if context.elsewhere else self.deployment_group.deployment_group_name,
            ),
            permissions=self._pipeline_statements,
            artifact_readers=self._readers,
        )


def check_strategy(at: Construct, strategy: str) -> None:
    """Refuses what CodeDeploy does not have.

    https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_CreateDeploymentGroup.html
    """
    if strategy not in get_args(OutdatedInstancesStrategy):
        raise ConfigurationError(
            f"outdated_instances_strategy={strategy!r}",
            at=at,
            fix=f"use one of {', '.join(get_args(OutdatedInstancesStrategy))}",
        )


def look_into(at: Construct, appspec: "Ec2Appspec", *, load_balancer: bool) -> None:
    """Warns of what is odd in an AppSpec file for this deployment group, and refuses one of another platform."""
    from code_family_constructs.deploy.appspec import Ec2Appspec
    from code_family_constructs.deploy.appspec_checks import check_appspec
    from code_family_constructs.documents import read_document

    if not isinstance(appspec, Ec2Appspec):
        raise ConfigurationError(
            f"appspec={type(appspec).__name__}, which is not for EC2", at=at, fix="read it with Ec2Appspec.from_file"
        )
    # Whoever read the file may not have said, or known, whether there is a load balancer.
    around_traffic = "AS303"
    findings = [one for one in appspec.findings if not (load_balancer and one.code == around_traffic)]
    if not load_balancer and all(one.code != around_traffic for one in findings):
        rendered = read_document(appspec.render(), name="appspec.yml")
        findings += [one for one in check_appspec(rendered, load_balancer=False)[1] if one.code == around_traffic]
    for finding in findings:
        Annotations.of(at).add_warning_v2(f"code-family:{finding.code}", str(finding))
