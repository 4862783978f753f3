"""Floor 1: which instances a CodeDeploy deployment group has, what it may do to them, and who reads the revision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from code_family_constructs.actions import ActionContext, DeclaredAction
from code_family_constructs.deploy.ec2_fleet import Ec2Fleet
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_count, check_list
from code_family_constructs.permissions import Permissions, Reader, Statement, arn
from code_family_constructs.tokens import unresolved

# Of applications, deployment groups and deployment configurations alike.
APPLICATION_NAME = NameRule("application", "[A-Za-z0-9+=,.@_-]", 100)
DESCRIBE_REASON = (
    "Describe actions of EC2, Auto Scaling and load balancing have no resource-level permissions; "
    "cloudwatch:DescribeAlarms sees composite alarms only with *"
)


# Without slots: what is asked of Node is kept.
@dataclass(frozen=True, kw_only=True, eq=False)
class Ec2Targets:
    """What a deployment group deploys to, as the user gave it.

    Attributes:
        fleet: An `Ec2Fleet`, which is all of it; or else the others.
        auto_scaling_groups: Auto Scaling groups.
        ec2_instance_tags: EC2 instances by tag.
        on_premise_instance_tags: On-premises instances by the tags that they have in CodeDeploy.
        load_balancers: What gives the EC2 instances traffic.
        instance_roles: Their roles; None says that nobody named any.
    """

    fleet: Ec2Fleet | None = None
    auto_scaling_groups: Sequence[autoscaling.IAutoScalingGroup] = ()
    ec2_instance_tags: codedeploy.InstanceTagSet | None = None
    on_premise_instance_tags: codedeploy.InstanceTagSet | None = None
    load_balancers: Sequence[codedeploy.LoadBalancer] = ()
    instance_roles: Sequence[iam.IRole] | None = None

    @property
    def tagged(self) -> bool:
        """Whether instances belong to it by tag: how many, nobody knows at synth time."""
        return self.ec2_instance_tags is not None or self.on_premise_instance_tags is not None

    @cached_property
    def groups(self) -> list[autoscaling.IAutoScalingGroup]:
        """The Auto Scaling groups, the fleet's among them."""
        return [self.fleet.auto_scaling_group] if self.fleet is not None else list(self.auto_scaling_groups)

    @cached_property
    def names(self) -> list[str]:
        """Names of the Auto Scaling groups; those of groups made in this app are tokens."""
        return [group.auto_scaling_group_name for group in self.groups]

    @cached_property
    def balancers(self) -> list[codedeploy.LoadBalancer]:
        """The load balancers, the fleet's among them."""
        if self.fleet is not None:
            return [codedeploy.LoadBalancer.application(self.fleet.target_group)]
        return list(self.load_balancers)

    def sizes(self) -> list[int] | None:
        """Instances that each Auto Scaling group has at least; None when there may be others, or that is not known."""
        if self.tagged:
            return None
        sizes: list[int] = []
        for group in self.groups:
            if not isinstance(group, autoscaling.AutoScalingGroup):
                return None
            resource: Any = group.node.default_child
            if unresolved(resource.min_size):
                return None
            sizes.append(int(resource.min_size))
        return sizes

    def check(self, at: Construct) -> None:
        """Takes the instances for one deployment group.

        Raises:
            ConfigurationError: CodeDeploy would refuse them, find nothing to deploy to, or deploy to them in two
                deployments at once, for another deployment group has them.
        """
        for argument in ("auto_scaling_groups", "load_balancers", "instance_roles"):
            if getattr(self, argument) is not None:
                check_list(at, argument, getattr(self, argument))
        _check_tags(at, "ec2_instance_tags", self.ec2_instance_tags)
        _check_tags(at, "on_premise_instance_tags", self.on_premise_instance_tags)
        others = self.auto_scaling_groups or self.tagged
        if self.fleet is None and not others:
            raise ConfigurationError(
                "a deployment without instances",
                at=at,
                fix="give fleet=, auto_scaling_groups= or ec2_instance_tags=, or on_premise_instance_tags=",
            )
        if self.fleet is not None and (others or self.load_balancers or self.instance_roles is not None):
            raise ConfigurationError(
                "a fleet and other instances in one deployment",
                at=at,
                fix="give fleet= alone (it brings its load balancer and role), or name all of them yourself",
            )
        check_count(at, self.auto_scaling_groups, what="Auto Scaling groups", most=_MOST_GROUPS)
        self._check_balancers(at)
        for index, name in enumerate(self.names):
            if name in self.names[:index]:
                raise ConfigurationError(
                    f"Auto Scaling group {self.auto_scaling_groups[index].node.path!r} twice",
                    at=at,
                    fix="name each Auto Scaling group once",
                )
        for group, name in zip(self.groups, self.names, strict=True):
            _claim(at, group, name)

    def _check_balancers(self, at: Construct) -> None:
        if self.load_balancers and self.on_premise_instance_tags is not None:
            raise ConfigurationError(
                "load balancers for on-premises instances, which CodeDeploy cannot register with them",
                at=at,
                fix="deploy to on-premises instances in a deployment of their own, without load_balancers=",
            )
        first = codedeploy.LoadBalancerGeneration.FIRST
        kinds: dict[str, list[str]] = {"Classic Load Balancers": [], "target groups": []}
        for balancer in self.load_balancers:
            kinds["Classic Load Balancers" if balancer.generation == first else "target groups"].append(balancer.name)
        for kind, names in kinds.items():
            # https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-create-load-balancer.html
            check_count(at, names, what=kind, most=_MOST_BALANCERS)
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                named = "" if unresolved(twice) else f" {twice!r}"
                raise ConfigurationError(
                    f"load_balancers has one of the {kind} twice{named and ':'}{named}",
                    at=at,
                    fix="name each load balancer or target group once",
                )

    def readers(self, at: Construct, *, before: Callable[[], Construct] | None = None) -> list[Reader]:
        """What lets the instances do what statements say, as `StageAction.artifact_readers` takes it.

        Creates a managed policy for roles that are not a fleet's, under `at`, when there are any.

        Args:
            at: The deployment.
            before: Returns what is to wait for this policy; asked when there are statements.
        """
        if self.fleet is not None:
            return [Reader(self.fleet, self.fleet.allow, roles=[self.fleet.role])]
        roles = self.instance_roles
        owned = [group for group in self.auto_scaling_groups if isinstance(group, autoscaling.AutoScalingGroup)]
        if roles is None and (len(owned) < len(self.auto_scaling_groups) or self.tagged):
            on_premises = " (on-premises instances: the role of their IAM sessions)"
            raise ConfigurationError(
                "nothing says that the instances may read the revision",
                at=at,
                fix="give instance_roles=[…] with the roles of the instances"
                f"{on_premises if self.on_premise_instance_tags is not None else ''}, "
                "or instance_roles=[] if they may already",
            )
        if roles is None:
            roles = [_role_of(at, group) for group in owned]
        for role in roles:
            _check_account(at, role)
        if not roles:
            return []
        permissions = Permissions(at, "InstancePolicy", role_names=[role.role_name for role in roles])

        def allow(statements: Sequence[Statement]) -> None:
            policies = permissions.add(statements).values()
            if policies and before is not None:
                before().node.add_dependency(*policies)

        return [Reader(at, allow, roles=roles)]

    def service_statements(self) -> list[Statement]:
        """What of the managed policy AWSCodeDeployRole an in-place deployment to these targets uses.

        But for the Auto Scaling groups: `group_statements` has what it does with those.

        https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRole.html
        """
        describe = ["cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]
        statements: list[Statement] = []
        if self.tagged:
            describe.append("tag:GetResources")
        if self.balancers:
            describe += [
                "elasticloadbalancing:DescribeInstanceHealth",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ]
            statements += [fleet_traffic(self.fleet)] if self.fleet is not None else map(traffic, self.balancers)
        return [Statement(actions=describe, resources=["*"], wildcard_reason=DESCRIBE_REASON), *statements]

    def group_statements(self) -> list[Statement]:
        """What of the same policy it uses for the Auto Scaling groups, if there are any."""
        if not self.groups:
            return []
        return [
            Statement(
                actions=[
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeAutoScalingInstances",
                    "autoscaling:DescribeLifecycleHooks",
                    "autoscaling:DescribeScalingActivities",
                ],
                resources=["*"],
                wildcard_reason=DESCRIBE_REASON,
            ),
            Statement(
                actions=[
                    "autoscaling:CompleteLifecycleAction",
                    "autoscaling:DeleteLifecycleHook",
                    "autoscaling:PutLifecycleHook",
                    "autoscaling:RecordLifecycleActionHeartbeat",
                    "autoscaling:ResumeProcesses",
                    "autoscaling:SuspendProcesses",
                ],
                resources=[
                    arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}") for name in self.names
                ],
                wildcard_reason="the ARN of an Auto Scaling group holds a random id; the group is named",
            ),
        ]


def fleet_traffic(fleet: Ec2Fleet) -> Statement:
    """What CodeDeploy needs to give the instances of a fleet traffic and to take it away."""
    return Statement(actions=_MOVE_TARGETS, resources=[fleet.target_group.target_group_arn])


def traffic(balancer: codedeploy.LoadBalancer) -> Statement:
    """What CodeDeploy needs to give instances behind a load balancer traffic and to take it away."""
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


def deploy_by_codedeploy(context: ActionContext, *, application_name: str, group_name: str) -> DeclaredAction:
    """CodePipeline's CodeDeploy action for EC2 and on-premises instances."""
    return DeclaredAction(
        context,
        category=codepipeline.ActionCategory.DEPLOY,
        provider="CodeDeploy",
        configuration={"ApplicationName": application_name, "DeploymentGroupName": group_name},
        inputs=[context.revision],
        bounds=(1, 1, 0, 0),
    )


def pipeline_statements(*, application_name: str, group_name: str, config_name: str) -> list[Statement]:
    """What a pipeline's role needs to start and to watch a deployment through CodePipeline's CodeDeploy action.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeDeploy.html
    """
    return [
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
            resources=[
                arn("codedeploy", f"application:{application_name}"),
                arn("codedeploy", f"deploymentgroup:{application_name}/{group_name}"),
            ],
        ),
        Statement(
            actions=["codedeploy:GetDeploymentConfig"],
            resources=[arn("codedeploy", f"deploymentconfig:{config_name}")],
        ),
        Statement(
            actions=["codedeploy:ListDeploymentConfigs"],
            resources=["*"],
            wildcard_reason="the list of configurations has no resource-level permissions",
        ),
    ]


def _check_tags(at: Construct, what: str, tags: codedeploy.InstanceTagSet | None) -> None:
    if tags is None:
        return
    groups = tags.instance_tag_groups
    if not groups or not all(groups):
        raise ConfigurationError(
            f"{what} without tags, which match no instance"
            if not any(groups)
            else f"{what} with an empty group of tags",
            at=at,
            fix='name at least one: codedeploy.InstanceTagSet({"role": ["web"]})',
        )
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/instances-tagging.html
    for group in groups:
        pairs = [(key, value) for key, values in group.items() for value in values or ("",)]
        check_count(at, pairs, what=f"tags in one group of {what}", most=_MOST_TAGS)
        for key, value in pairs:
            if not key and not value:
                raise ConfigurationError(
                    f"{what} has a tag without key and value", at=at, fix="name the key, the value or both"
                )
            for word, text, most in (("key", key, 128), ("value", value, 256)):
                if not unresolved(text) and len(text) > most:
                    raise ConfigurationError(
                        f"{what} has the {word} {text[:20] + '…'!r} of {len(text)} characters",
                        at=at,
                        fix=f"use at most {most}, the longest that an instance can be tagged with",
                    )


# Which deployment has an Auto Scaling group, by the root of the tree.
_TAKEN: WeakKeyDictionary[IConstruct, dict[tuple[str, ...], str]] = WeakKeyDictionary()


def _claim(at: Construct, group: autoscaling.IAutoScalingGroup, name: str) -> None:
    # The name of a group made in this app is a token of its own; elsewhere, names repeat.
    key = (name,) if unresolved(name) else (group.env.account, group.env.region, name)
    node = at.node
    taken = _TAKEN.setdefault(node.root, {})
    if key in taken:
        # https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-auto-scaling.html#troubleshooting-multiple-depgroups
        raise ConfigurationError(
            f"Auto Scaling group {group.node.path!r} is in deployment {taken[key]!r} already: a new instance would get "
            "both revisions at once, and be terminated when one of them fails",
            at=at,
            fix="deploy everything that belongs on these instances in one revision, or give this deployment instances "
            "of its own (if these are two groups in two accounts or regions, give their stacks env=)",
        )
    taken[key] = node.path


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


_MOVE_TARGETS = ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets")

# https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
_MOST_GROUPS = 10
_MOST_BALANCERS = 10
_MOST_TAGS = 10
