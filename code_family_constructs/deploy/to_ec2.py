"""Floor 1: deploy a revision to EC2 instances, in place."""

from collections.abc import Callable, Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from code_family_constructs.deploy import DeployAction, DeployContext
from code_family_constructs.deploy.ec2_fleet import Ec2Fleet
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.health import HealthGate
from code_family_constructs.names import NameRule, check_count, physical_name
from code_family_constructs.permissions import Permissions, ServiceRole, Statement, arn
from code_family_constructs.tokens import unresolved

_ONE_AT_A_TIME = codedeploy.ServerDeploymentConfig.ONE_AT_A_TIME
_APPLICATION_NAME = NameRule("application", "[A-Za-z0-9+=,.@_-]", 100)
_DESCRIBE_REASON = (
    "Describe actions of EC2, Auto Scaling and load balancing have no resource-level permissions; "
    "cloudwatch:DescribeAlarms sees composite alarms only with *"
)


class Ec2Deployment(Construct):
    """Deploys revisions in place to EC2 instances, a part of them at a time, and back again when that goes wrong.

    Creates a CodeDeploy application and deployment group with a role of its own. Instances get no traffic while they
    are worked on, if there is a load balancer. A deployment that fails, or during which an alarm of the health gate
    fires, is rolled back by deploying the last good revision; the first deployment of all has none to go back to.
    CodeDeploy on EC2 costs nothing.

    Args:
        scope: Parent construct.
        id: Construct id.
        fleet: An `Ec2Fleet`. Or else:
        auto_scaling_groups: At most 10; new instances of the groups get the last good revision before they get traffic.
        ec2_instance_tags: Instances by tag, AND between up to 3 groups, OR inside of one.
        load_balancers: What gives the instances of these groups or tags traffic.
        instance_roles: Roles of the instances, all of them, that are allowed to read the revision; `[]` says that they
            may already. Left out, the roles of Auto Scaling groups that are made in this app.
        deployment_config: How many instances at a time.
        health: Alarms that stop and roll back a deployment.
        application_name: Made from the stack's name when left out.

    Raises:
        ConfigurationError: Nothing to deploy to, more groups than AWS takes, instances that could not read the
            revision, or a health gate without alarms.

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
        load_balancers: Sequence[codedeploy.LoadBalancer] = (),
        instance_roles: Sequence[iam.IRole] | None = None,
        deployment_config: codedeploy.IServerDeploymentConfig = _ONE_AT_A_TIME,
        health: HealthGate | None = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, application_name, _APPLICATION_NAME)
        _check_targets(self, fleet, auto_scaling_groups, ec2_instance_tags, load_balancers, instance_roles)
        if health is not None:
            health.check_alarms(self)
        self._readers = _readers(self, fleet, auto_scaling_groups, ec2_instance_tags, instance_roles)

        groups = [fleet.auto_scaling_group] if fleet is not None else list(auto_scaling_groups)
        balancers = (
            [codedeploy.LoadBalancer.application(fleet.target_group)] if fleet is not None else list(load_balancers)
        )
        self._group_arn = arn("codedeploy", f"deploymentgroup:{name}/{name}")
        self._application_arn = arn("codedeploy", f"application:{name}")
        one_at_a_time = deployment_config is _ONE_AT_A_TIME
        config = "CodeDeployDefault.OneAtATime" if one_at_a_time else deployment_config.deployment_config_name
        self._config_arn = arn("codedeploy", f"deploymentconfig:{config}")
        self._role = ServiceRole(
            self,
            service="codedeploy.amazonaws.com",
            source_arn=self._group_arn,
            statements=_service_statements(fleet, groups, balancers, tags=ec2_instance_tags is not None),
        )
        self.role = self._role.role
        self._by_name: codedeploy.IServerDeploymentGroup | None = None
        self.application = codedeploy.ServerApplication(self, "Application", application_name=name)
        self.deployment_group = codedeploy.ServerDeploymentGroup(
            self,
            "DeploymentGroup",
            application=self.application,
            deployment_group_name=name,
            role=self._role.frozen,
            auto_scaling_groups=groups or None,
            ec2_instance_tags=ec2_instance_tags,
            load_balancers=balancers or None,
            deployment_config=deployment_config,
            alarms=list(health.alarms) if health is not None else None,
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=False, deployment_in_alarm=None if health else False
            ),
            # An alarm that cannot be read might be firing.
            ignore_poll_alarms_failure=False,
            ignore_alarm_configuration=False,
            # The fleet's instances install it at boot; the L2 would need to write into their launch template.
            install_agent=False,
        )
        if health is not None:
            health.on_added(self.deployment_group.add_alarm)
        else:
            # Left out, CloudFormation keeps the alarms that were there before:
            # https://github.com/aws/aws-cdk/issues/23307
            group: Any = self.deployment_group.node.default_child
            group.alarm_configuration = codedeploy.CfnDeploymentGroup.AlarmConfigurationProperty(
                enabled=False, alarms=[]
            )

    def deploy_action(self, context: DeployContext) -> DeployAction:
        if self._by_name is None:
            # Given the group itself, aws-cdk-lib grants its instances `s3:GetObject*`, `s3:List*` and more.
            self._by_name = codedeploy.ServerDeploymentGroup.from_server_deployment_group_attributes(
                self,
                "ByName",
                application=self.application,
                deployment_group_name=self.deployment_group.deployment_group_name,
            )
        return DeployAction(
            action=actions.CodeDeployServerDeployAction(
                action_name=context.action_name,
                deployment_group=self._by_name,
                input=context.revision,
                run_order=context.run_order,
            ),
            # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeDeploy.html
            permissions=[
                Statement(
                    actions=[
                        "codedeploy:CreateDeployment",
                        "codedeploy:GetApplication",
                        "codedeploy:GetApplicationRevision",
                        "codedeploy:GetDeployment",
                        "codedeploy:GetDeploymentGroup",
                        "codedeploy:ListDeploymentGroups",
                        "codedeploy:ListDeployments",
                        "codedeploy:RegisterApplicationRevision",
                    ],
                    resources=[self._application_arn, self._group_arn],
                ),
                Statement(actions=["codedeploy:GetDeploymentConfig"], resources=[self._config_arn]),
                Statement(
                    actions=["codedeploy:ListDeploymentConfigs"],
                    resources=["*"],
                    wildcard_reason="the list of configurations has no resource-level permissions",
                ),
            ],
            artifact_readers=self._readers,
        )


def _check_targets(
    at: Construct,
    fleet: Ec2Fleet | None,
    groups: Sequence[autoscaling.IAutoScalingGroup],
    tags: codedeploy.InstanceTagSet | None,
    balancers: Sequence[codedeploy.LoadBalancer],
    roles: Sequence[iam.IRole] | None,
) -> None:
    if tags is not None and not any(tags.instance_tag_groups):
        raise ConfigurationError(
            "ec2_instance_tags without tags, which match no instance",
            at=at,
            fix='name at least one: codedeploy.InstanceTagSet({"role": ["web"]})',
        )
    if fleet is None and not groups and tags is None:
        raise ConfigurationError(
            "a deployment without instances", at=at, fix="give fleet=, auto_scaling_groups= or ec2_instance_tags="
        )
    if fleet is not None and (groups or tags is not None or balancers or roles is not None):
        raise ConfigurationError(
            "a fleet and other instances in one deployment",
            at=at,
            fix="give fleet= alone (it brings its load balancer and role), or name all of them yourself",
        )
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    check_count(at, groups, what="Auto Scaling groups", most=10)
    check_count(at, balancers, what="load balancers", most=10)
    names = [group.auto_scaling_group_name for group in groups]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigurationError(
                f"Auto Scaling group {groups[index].node.path!r} twice",
                at=at,
                fix="name each Auto Scaling group once",
            )


def _readers(
    at: Construct,
    fleet: Ec2Fleet | None,
    groups: Sequence[autoscaling.IAutoScalingGroup],
    tags: codedeploy.InstanceTagSet | None,
    roles: Sequence[iam.IRole] | None,
) -> list[Callable[[Sequence[Statement]], object]]:
    if fleet is not None:
        return [fleet.allow]
    owned = [group for group in groups if isinstance(group, autoscaling.AutoScalingGroup)]
    if roles is None and (len(owned) < len(groups) or tags is not None):
        raise ConfigurationError(
            "nothing says that the instances may read the revision",
            at=at,
            fix="give instance_roles=[…] with the roles of the instances, or instance_roles=[] if they may already",
        )
    if roles is None:
        roles = [_role_of(at, group) for group in owned]
    for role in roles:
        _check_account(at, role)
    if not roles:
        return []
    permissions = Permissions(at, "InstancePolicy", role_names=[role.role_name for role in roles])
    return [permissions.add]


def _role_of(at: Construct, group: autoscaling.AutoScalingGroup) -> iam.IRole:
    try:
        return group.role
    except RuntimeError as error:
        raise ConfigurationError(
            f"the role of Auto Scaling group {group.node.path!r} is not known: its launch template has none",
            at=at,
            fix="give the launch template a role=, or this deployment instance_roles=[…]",
        ) from error


def _check_account(at: Construct, role: iam.IRole) -> None:
    account, ours = role.env.account, Stack.of(at).account
    if not unresolved(account) and not unresolved(ours) and account != ours:
        raise ConfigurationError(
            f"role {role.node.path!r} is in account {account}, out of this stack's reach",
            at=at,
            fix="let it read the artifact bucket and use its key over there, and give instance_roles=[] here",
        )


def _service_statements(
    fleet: Ec2Fleet | None,
    groups: Sequence[autoscaling.IAutoScalingGroup],
    balancers: Sequence[codedeploy.LoadBalancer],
    *,
    tags: bool,
) -> list[Statement]:
    """What of the managed policy AWSCodeDeployRole an in-place deployment to these targets uses.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRole.html
    """
    describe = ["cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]
    statements: list[Statement] = []
    if tags:
        describe.append("tag:GetResources")
    if groups:
        describe += [
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLifecycleHooks",
            "autoscaling:DescribeScalingActivities",
        ]
        names = [group.auto_scaling_group_name for group in groups]
        statements.append(
            Statement(
                actions=[
                    "autoscaling:CompleteLifecycleAction",
                    "autoscaling:DeleteLifecycleHook",
                    "autoscaling:PutLifecycleHook",
                    "autoscaling:RecordLifecycleActionHeartbeat",
                    "autoscaling:ResumeProcesses",
                    "autoscaling:SuspendProcesses",
                ],
                resources=[arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}") for name in names],
                wildcard_reason="the ARN of an Auto Scaling group holds a random id; the group is named",
            )
        )
    if balancers:
        describe += [
            "elasticloadbalancing:DescribeInstanceHealth",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ]
        statements += [_fleet_traffic(fleet)] if fleet is not None else [_traffic(each) for each in balancers]
    return [Statement(actions=describe, resources=["*"], wildcard_reason=_DESCRIBE_REASON), *statements]


def _fleet_traffic(fleet: Ec2Fleet) -> Statement:
    return Statement(actions=_MOVE_TARGETS, resources=[fleet.target_group.target_group_arn])


def _traffic(balancer: codedeploy.LoadBalancer) -> Statement:
    if balancer.generation == codedeploy.LoadBalancerGeneration.FIRST:
        return Statement(
            actions=[
                "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
                "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            ],
            resources=[arn("elasticloadbalancing", f"loadbalancer/{balancer.name}")],
        )
    return Statement(
        actions=_MOVE_TARGETS,
        resources=[arn("elasticloadbalancing", f"targetgroup/{balancer.name}/*")],
        wildcard_reason="CodeDeploy knows target groups by name; the ARN also holds a random id",
    )


_MOVE_TARGETS = ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets")
