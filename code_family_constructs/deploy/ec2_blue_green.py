"""Floor 1: deploy a revision to new EC2 instances, and move the traffic over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, CustomResource, Duration
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from code_family_constructs.actions import ActionContext, StageAction
from code_family_constructs.deploy.ec2_config import check_config, config_name, server_config
from code_family_constructs.deploy.ec2_fleet import Ec2BlueGreenFleet
from code_family_constructs.deploy.ec2_targets import (
    APPLICATION_NAME,
    DESCRIBE_REASON,
    Ec2Targets,
    deploy_by_codedeploy,
    pipeline_statements,
)
from code_family_constructs.deploy.to_ec2 import OutdatedInstancesStrategy, check_strategy, look_into
from code_family_constructs.deploy.triggers import DeploymentTrigger, check_triggers
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.functions import PythonFunction
from code_family_constructs.health import HealthGate
from code_family_constructs.names import physical_name
from code_family_constructs.permissions import Reader, ServiceRole, Statement, arn, pseudo
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:  # most deployments are made without looking into the revision
    from code_family_constructs.deploy.appspec import Ec2Appspec

# https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BlueInstanceTerminationOption.html
# https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
_LONGEST_WAIT = 2880


class Ec2BlueGreenDeployment(Construct):
    """Deploys revisions to new EC2 instances, moves the traffic over to them, and then lets go of the old ones.

    Creates a CodeDeploy application and deployment group with a role of its own, and the first instances of the fleet.
    CloudFormation refuses such a deployment group, so a custom resource makes it: one Lambda function, which also owns
    the Auto Scaling groups, for CodeDeploy copies the current one at each release and deletes it afterwards.

    A release goes like this. CodeDeploy makes as many new instances as there are healthy old ones, puts the revision on
    them, waits for `deployment_approval_wait_time` if there is one, gives the new instances the traffic and takes it
    from the old ones, waits for `termination_wait_time`, and deletes the old ones. Another release can start after
    that. A deployment that fails, or during which an alarm of the health gate fires, is rolled back by deploying the
    last good revision, to new instances again.

    What may surprise:

    - A change of the launch template or of capacities reaches the configuration of the Auto Scaling group, not its
      instances: the next release brings them.
    - A stack update that would change any of this fails while a release runs, and says so.
    - The new instances of a release that failed stay, to be looked into, and cost money until somebody deletes their
      Auto Scaling group `CodeDeploy_<name>_<deployment id>`. With `termination_wait_time=None`, so do the old ones of
      each release. The deletion of the stack takes all of them along.
    - Another `application_name` is another deployment with a fleet of its own, which shows the placeholder page until
      its first release.
    - CodeDeploy copies scaling policies, scheduled actions and warm pools that were put on the Auto Scaling group, but
      for alarms of step scaling.

    CodeDeploy on EC2 costs nothing; the instances of a fleet are billed twice while a release runs.

    Args:
        scope: Parent construct.
        id: Construct id.
        fleet: An `Ec2BlueGreenFleet`, of which CodeDeploy makes a copy at each release. Or else:
        ec2_instance_tags: Tags of instances that are there already: AND between up to 3 groups, OR inside of one. New
            ones are named when a deployment is started, by `aws deploy create-deployment --target-instances …`; a
            pipeline cannot do that.
        load_balancers: What gives the instances with these tags traffic.
        deployment_config: How many new instances at a time are installed and get traffic: a configuration that AWS has,
            or a `codedeploy.ServerDeploymentConfig` of one's own. One at a time when this and the next are left out.
        minimum_healthy_hosts: New instances to keep healthy, by count or percentage, for a configuration of its own.
        termination_wait_time: How long the old instances stay without traffic, up to two days: the time to go back
            fast. `None` keeps them for ever.
        deployment_approval_wait_time: How long a deployment waits for `aws deploy continue-deployment` before it gives
            the new instances traffic, from a minute to two days; then it is stopped. `None` goes on at once.
        health: Alarms that stop and roll back a deployment.
        termination_hook: Whether instances run their ApplicationStop and BlockTraffic hooks before the Auto Scaling
            group terminates them.
        outdated_instances_strategy: What happens after a deployment to instances that were launched meanwhile and got
            the revision before it.
        triggers: Whom CodeDeploy tells itself, at most 10.
        appspec: The AppSpec file in the revision, read with `Ec2Appspec.from_file`: what is wrong with it is found now.
        application_name: Made from the stack's name when left out.

    Raises:
        ConfigurationError: Nothing to deploy to, a fleet that another deployment has, more healthy instances than there
            may be, wait times that cannot be, a test listener that nobody would have time to use, messages that would
            not arrive, or a health gate without alarms.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-create-blue-green.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        fleet: Ec2BlueGreenFleet | None = None,
        ec2_instance_tags: codedeploy.InstanceTagSet | None = None,
        load_balancers: Sequence[codedeploy.LoadBalancer] = (),
        deployment_config: codedeploy.IServerDeploymentConfig | None = None,
        minimum_healthy_hosts: codedeploy.MinimumHealthyHosts | None = None,
        # The slowest alarm of a fleet's health gate needs five minutes of traffic.
        termination_wait_time: Duration | None = Duration.minutes(10),
        deployment_approval_wait_time: Duration | None = None,
        health: HealthGate | None = None,
        termination_hook: bool = False,
        outdated_instances_strategy: OutdatedInstancesStrategy = "UPDATE",
        triggers: Sequence[DeploymentTrigger] = (),
        appspec: "Ec2Appspec | None" = None,
        application_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        name = physical_name(self, scope, id, application_name, APPLICATION_NAME)
        tagged = _check_targets(self, fleet, ec2_instance_tags, load_balancers)
        if termination_hook and fleet is None:
            raise ConfigurationError(
                "termination_hook without an Auto Scaling group to put it into",
                at=self,
                fix="leave it out, or give a fleet=",
            )
        check_strategy(self, outdated_instances_strategy)
        termination = _minutes(self, "termination_wait_time", termination_wait_time, least=0)
        approval = _minutes(self, "deployment_approval_wait_time", deployment_approval_wait_time, least=1)
        if fleet is not None and fleet.test_listener is not None and approval is None:
            raise ConfigurationError(
                f"fleet {fleet.node.path!r} has a test listener, but users get the new instances as soon as testers do",
                at=self,
                fix="give deployment_approval_wait_time= too, or the fleet no test_listener_peers=",
            )
        if health is not None:
            health.check_alarms(self)
        if appspec is not None:
            look_into(self, appspec, load_balancer=True)
        check_triggers(self, triggers, blue_green=True)
        # aws-cdk-lib tells what a configuration holds once it is one.
        self.deployment_config = server_config(self, deployment_config, minimum_healthy_hosts, None)
        _check_config(self, self.deployment_config, fleet)
        if fleet is not None:
            fleet.claim(self)

        self._fleet = fleet
        config = config_name(self.deployment_config)
        self._pipeline_statements = pipeline_statements(application_name=name, group_name=name, config_name=config)
        self._role = ServiceRole(
            self,
            service="codedeploy.amazonaws.com",
            source_arn=arn("codedeploy", f"deploymentgroup:{name}/{name}"),
            statements=[
                *(_copying_statements(name, fleet) if fleet is not None else tagged.service_statements()),
                *(_tagged_statements(ec2_instance_tags) if ec2_instance_tags and termination is not None else ()),
                *(statement for trigger in triggers for statement in trigger.statements()),
            ],
        )
        self.role = self._role.role
        self._name = name
        self.application = codedeploy.ServerApplication(self, "Application", application_name=name)
        self.owner = PythonFunction(
            self,
            "Owner",
            module="blue_green_group",
            shared=["custom_resource"],
            description=f"Owns deployment group {name} and the Auto Scaling groups of its releases",
            statements=_owner_statements(name, fleet, self._role),
            timeout=Duration.minutes(15),
            concurrency="CloudFormation calls it when the stack changes, once at a time",
            failures="CloudFormation waits for its answer and reports a failure itself",
            network="it calls AWS APIs and CloudFormation's response URL alone; all are public endpoints",
        )
        self.custom_resource = CustomResource(
            self,
            "DeploymentGroup",
            service_token=self.owner.function.function_arn,
            resource_type="Custom::BlueGreenDeploymentGroup",
            properties={
                "DeploymentGroup": {
                    "applicationName": self.application.application_name,
                    "deploymentGroupName": name,
                    "deploymentConfigName": config,
                    "serviceRoleArn": self._role.role.role_arn,
                    "deploymentStyle": {
                        "deploymentType": "BLUE_GREEN",
                        "deploymentOption": "WITH_TRAFFIC_CONTROL",
                    },
                    "blueGreenDeploymentConfiguration": {
                        "terminateBlueInstancesOnDeploymentSuccess": {"action": "KEEP_ALIVE"}
                        if termination is None
                        else {"action": "TERMINATE", "terminationWaitTimeInMinutes": termination},
                        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}
                        if approval is None
                        else {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": approval},
                        "greenFleetProvisioningOption": {
                            "action": "COPY_AUTO_SCALING_GROUP" if fleet is not None else "DISCOVER_EXISTING"
                        },
                    },
                    **({"ec2TagSet": _tag_set(ec2_instance_tags)} if ec2_instance_tags else {}),
                    "loadBalancerInfo": _balancers(tagged.balancers)
                    if fleet is None
                    else {"targetGroupInfoList": [{"name": fleet.target_group.target_group_name}]},
                    "alarmConfiguration": _alarms(health),
                    "autoRollbackConfiguration": {
                        "enabled": True,
                        "events": ["DEPLOYMENT_FAILURE", *(["DEPLOYMENT_STOP_ON_ALARM"] if health else [])],
                    },
                    "outdatedInstancesStrategy": outdated_instances_strategy,
                    **({"terminationHookEnabled": termination_hook} if fleet is not None else {}),
                    "triggerConfigurations": [
                        {
                            "triggerName": trigger.name,
                            "triggerEvents": list(trigger.events),
                            "triggerTargetArn": trigger.topic.topic_arn,
                        }
                        for trigger in triggers
                    ],
                },
                **({"AutoScalingGroup": fleet.auto_scaling_group_parameters(name)} if fleet is not None else {}),
            },
        )
        if fleet is not None:
            # Instances that boot before there is a way out cannot install the agent.
            self.custom_resource.node.add_dependency(fleet.ways_out, fleet.listener)
        self.deployment_group = codedeploy.ServerDeploymentGroup.from_server_deployment_group_attributes(
            self,
            "ByName",
            application=self.application,
            # Whatever deploys is made after the group, and goes before it.
            deployment_group_name=self.custom_resource.get_att_string("DeploymentGroupName"),
            deployment_config=self.deployment_config,
        )
        if health is not None:
            health.on_added(lambda _: self._watch(health))
        if fleet is not None and fleet.test_target_group is not None:
            self._lead_test_traffic(name, fleet.test_target_group.target_group_arn)

    def stage_action(self, context: ActionContext) -> StageAction:
        if self._fleet is None:
            raise ConfigurationError(
                "CodePipeline cannot name the new instances of a deployment to instances that are there already",
                at=self,
                fix="give this deployment a fleet=, or start it by hand: "
                "aws deploy create-deployment --target-instances …",
            )
        return StageAction(
            action=deploy_by_codedeploy(
                context,
                application_name=self._name,
                # A reference, where there can be one: the pipeline is made after the group.
                group_name=self._name if context.elsewhere else self.deployment_group.deployment_group_name,
            ),
            permissions=self._pipeline_statements,
            artifact_readers=[Reader(self._fleet, self._fleet.allow, roles=[self._fleet.role])],
        )

    def _watch(self, health: HealthGate) -> None:
        resource: Any = self.custom_resource.node.default_child
        resource.add_property_override("DeploymentGroup.alarmConfiguration", _alarms(health))

    def _lead_test_traffic(self, name: str, target_group_arn: str) -> None:
        function = PythonFunction(
            self,
            "TestTraffic",
            module="green_test_traffic",
            description=f"Leads test traffic to new instances of {name} while they wait for users",
            statements=[
                Statement(
                    actions=["codedeploy:ListDeploymentInstances"],
                    resources=[arn("codedeploy", f"deploymentgroup:{name}/{name}")],
                ),
                Statement(actions=_MOVE_TARGETS, resources=[target_group_arn]),
            ],
            timeout=Duration.minutes(1),
            environment={"TARGET_GROUP_ARN": target_group_arn},
            concurrency="EventBridge calls it twice for each release",
            failures="EventBridge's call is tried again twice; whoever tests sees that nothing answers",
            network="it calls AWS APIs alone, which are public endpoints",
        )
        self.test_traffic = function
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
        events.Rule(
            self,
            "TestTrafficRule",
            description=f"Releases of {name} that wait for users, and that have ended",
            event_pattern=events.EventPattern(
                source=["aws.codedeploy"],
                detail_type=["CodeDeploy Deployment State-change Notification"],
                detail={
                    "application": [name],
                    "deploymentGroup": [name],
                    "state": ["READY", "SUCCESS", "FAILURE", "STOP"],
                },
            ),
            targets=[targets.LambdaFunction(function.function)],
        )


def _check_targets(
    at: Construct,
    fleet: Ec2BlueGreenFleet | None,
    tags: codedeploy.InstanceTagSet | None,
    balancers: Sequence[codedeploy.LoadBalancer],
) -> Ec2Targets:
    tagged = Ec2Targets(ec2_instance_tags=tags, load_balancers=balancers)
    if fleet is None:
        if tags is None:
            raise ConfigurationError(
                "a deployment without instances", at=at, fix="give fleet=, or ec2_instance_tags= and load_balancers="
            )
        tagged.check(at)
        if not balancers:
            raise ConfigurationError(
                "a blue/green deployment without a load balancer, which would have no traffic to move",
                at=at,
                fix="give load_balancers= too",
            )
    elif tags is not None or balancers:
        raise ConfigurationError(
            "a fleet and other instances in one deployment",
            at=at,
            fix="give fleet= alone (it brings its load balancer), or ec2_instance_tags= and load_balancers=",
        )
    return tagged


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Copied(Ec2Targets):
    """New instances: as many as the Auto Scaling group has at least."""

    capacity: int | None

    def sizes(self) -> list[int] | None:
        return None if self.capacity is None or unresolved(self.capacity) else [self.capacity]


def _check_config(at: Construct, config: codedeploy.IServerDeploymentConfig, fleet: Ec2BlueGreenFleet | None) -> None:
    resource: Any = config.node.default_child if isinstance(config, codedeploy.ServerDeploymentConfig) else None
    if resource is not None and resource.zonal_config is not None:
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations-create.html#zonal-config
        raise ConfigurationError(
            "a deployment configuration with zones, which CodeDeploy knows only when deploying in place",
            at=at,
            fix="use one without zonal_config=",
        )
    check_config(at, config, _Copied(capacity=fleet.min_capacity if fleet is not None else None))


def _minutes(at: Construct, what: str, duration: Duration | None, *, least: int) -> int | None:
    if duration is None:
        return None
    if duration.is_unresolved():
        return int(duration.to_minutes())
    minutes = float(duration.to_minutes(integral=False))
    if not least <= minutes <= _LONGEST_WAIT or minutes != int(minutes):
        raise ConfigurationError(
            f"{what} of {duration.to_human_string()}",
            at=at,
            fix=f"use whole minutes, from {least} to {_LONGEST_WAIT}, which is two days",
        )
    return int(minutes)


def _alarms(health: HealthGate | None) -> Mapping[str, Any]:
    # An alarm that cannot be read might be firing. Left out, CodeDeploy keeps the alarms that were there before.
    return {
        "enabled": health is not None,
        "ignorePollAlarmFailure": False,
        "alarms": [{"name": alarm.alarm_name} for alarm in health.alarms] if health is not None else [],
    }


def _balancers(balancers: Sequence[codedeploy.LoadBalancer]) -> Mapping[str, Any]:
    first = codedeploy.LoadBalancerGeneration.FIRST
    names: dict[str, list[Mapping[str, str]]] = {}
    for balancer in balancers:
        kind = "elbInfoList" if balancer.generation == first else "targetGroupInfoList"
        names.setdefault(kind, []).append({"name": balancer.name})
    return names


def _tag_set(tags: codedeploy.InstanceTagSet) -> Mapping[str, Any]:
    return {
        "ec2TagSetList": [
            [tag for key, values in group.items() for tag in _filters(key, values)]
            for group in tags.instance_tag_groups
        ]
    }


def _filters(key: str, values: Sequence[str]) -> list[Mapping[str, str]]:
    if not values:
        return [{"Key": key, "Type": "KEY_ONLY"}]
    if not key:
        return [{"Value": value, "Type": "VALUE_ONLY"} for value in values]
    return [{"Key": key, "Value": value, "Type": "KEY_AND_VALUE"} for value in values]


def _groups(name: str) -> list[str]:
    """The first Auto Scaling group of a fleet, and its copies as CodeDeploy calls them."""
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/integrations-aws-auto-scaling.html
    return [
        arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group}")
        for group in (name, f"CodeDeploy_{name}_*")
    ]


def _copying_statements(name: str, fleet: Ec2BlueGreenFleet) -> list[Statement]:
    """What of the managed policy AWSCodeDeployRole a deployment uses that copies the fleet's Auto Scaling group.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRole.html
    """
    return [
        Statement(
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLifecycleHooks",
                "autoscaling:DescribeNotificationConfigurations",
                "autoscaling:DescribePolicies",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeScheduledActions",
                "cloudwatch:DescribeAlarms",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstances",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            resources=["*"],
            wildcard_reason=DESCRIBE_REASON,
        ),
        Statement(
            actions=[
                "autoscaling:AttachLoadBalancerTargetGroups",
                "autoscaling:CompleteLifecycleAction",
                "autoscaling:CreateAutoScalingGroup",
                "autoscaling:CreateOrUpdateTags",
                "autoscaling:DeleteAutoScalingGroup",
                "autoscaling:DeleteLifecycleHook",
                "autoscaling:EnableMetricsCollection",
                "autoscaling:PutLifecycleHook",
                "autoscaling:PutNotificationConfiguration",
                "autoscaling:PutScalingPolicy",
                "autoscaling:PutScheduledUpdateGroupAction",
                "autoscaling:PutWarmPool",
                "autoscaling:RecordLifecycleActionHeartbeat",
                "autoscaling:ResumeProcesses",
                "autoscaling:SuspendProcesses",
                "autoscaling:UpdateAutoScalingGroup",
            ],
            resources=_groups(name),
            wildcard_reason=_GROUPS_REASON,
        ),
        Statement(
            actions=["ec2:TerminateInstances"],
            resources=[arn("ec2", "instance/*")],
            # The owner of the Auto Scaling groups puts this tag on them, and they put it on their instances.
            conditions={"StringEquals": {"aws:ResourceTag/code-family:stack": Aws.STACK_ID}},
            wildcard_reason="instances come and go; the condition admits those that this stack has tagged",
        ),
        Statement(actions=_MOVE_TARGETS, resources=[fleet.target_group.target_group_arn]),
        *_launch_statements(fleet),
    ]


def _tagged_statements(tags: codedeploy.InstanceTagSet) -> list[Statement]:
    """What lets CodeDeploy terminate the old ones of instances with these tags."""
    single = [item for group in tags.instance_tag_groups if len(group) == 1 for item in group.items()]
    named = {f"aws:ResourceTag/{key}": list(values) for key, values in single if key and values}
    return [
        Statement(
            actions=["ec2:TerminateInstances"],
            resources=[arn("ec2", "instance/*")],
            conditions={"StringEquals": named} if named else None,
            wildcard_reason="which instances are the old ones is found by their tags, deployment by deployment",
        )
    ]


def _launch_statements(fleet: Ec2BlueGreenFleet) -> list[Statement]:
    """What Auto Scaling asks of whoever creates or updates a group with the fleet's launch template.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    aws = pseudo()
    template = arn("ec2", f"launch-template/{fleet.launch_template.launch_template_id}")
    return [
        Statement(
            actions=["ec2:RunInstances"],
            resources=[
                template,
                arn("ec2", f"security-group/{fleet.security_group.security_group_id}"),
                *(arn("ec2", f"subnet/{subnet}") for subnet in fleet.subnet_ids),
                f"arn:{aws.partition}:ec2:{aws.region}::image/*",
                *(arn("ec2", f"{made}/*") for made in ("instance", "network-interface", "volume")),
            ],
            conditions={"ArnLike": {"ec2:LaunchTemplate": template}},
            wildcard_reason="what a launch makes has no id before, and images change; the condition admits launches "
            "from this launch template alone",
        ),
        Statement(
            actions=["ec2:CreateTags"],
            resources=[arn("ec2", f"{made}/*") for made in ("instance", "volume")],
            conditions={"StringEquals": {"ec2:CreateAction": "RunInstances"}},
            wildcard_reason="what a launch makes has no id before; the condition admits tags of a launch alone",
        ),
        Statement(
            actions=["iam:PassRole"],
            resources=[fleet.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
        ),
    ]


def _owner_statements(name: str, fleet: Ec2BlueGreenFleet | None, role: ServiceRole) -> list[Statement]:
    statements = [
        Statement(
            actions=[
                "codedeploy:BatchGetDeployments",
                "codedeploy:CreateDeploymentGroup",
                "codedeploy:DeleteDeploymentGroup",
                "codedeploy:GetDeploymentGroup",
                "codedeploy:ListDeployments",
                "codedeploy:UpdateDeploymentGroup",
            ],
            resources=[arn("codedeploy", f"deploymentgroup:{name}/{name}")],
        ),
        Statement(
            actions=["codedeploy:StopDeployment"],
            resources=["*"],
            wildcard_reason="the Service Authorization Reference has no resource for StopDeployment",
        ),
        Statement(
            actions=["iam:PassRole"],
            resources=[role.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "codedeploy.amazonaws.com"}},
        ),
    ]
    if fleet is None:
        return statements
    linked = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    return [
        *statements,
        Statement(
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeScalingActivities",
                "ec2:DescribeInstances",
            ],
            resources=["*"],
            wildcard_reason="Describe actions of EC2 and Auto Scaling have no resource-level permissions",
        ),
        Statement(
            actions=[
                "autoscaling:AttachLoadBalancerTargetGroups",
                "autoscaling:CreateAutoScalingGroup",
                "autoscaling:CreateOrUpdateTags",
                "autoscaling:DeleteAutoScalingGroup",
                "autoscaling:DetachLoadBalancerTargetGroups",
                "autoscaling:UpdateAutoScalingGroup",
            ],
            resources=_groups(name),
            wildcard_reason=_GROUPS_REASON,
        ),
        Statement(
            # The first Auto Scaling group of an account brings this role with it.
            actions=["iam:CreateServiceLinkedRole"],
            resources=[arn("iam", linked, region=False)],
            conditions={"StringEquals": {"iam:AWSServiceName": "autoscaling.amazonaws.com"}},
        ),
        *_launch_statements(fleet),
    ]


_MOVE_TARGETS = ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets")
_GROUPS_REASON = (
    "the ARN of an Auto Scaling group holds a random id, and the name of a copy the deployment's; the deployment group "
    "is named in both"
)
