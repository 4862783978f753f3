"""Who may do what in a blue/green release, and that one step outside ends at a closed door.

The roles that only this stack has; the others are the reference stack's. The table is read like a release: each row is
a request that a role makes, or must not get through.
"""

from collections import Counter

import pytest
from aws_cdk import App

from code_family_constructs.testing import synthesized
from stacks.ec2_blue_green import Ec2BlueGreen
from tests.handlers import test_blue_green_group as handler
from tests.policies import ACCOUNT, Physical, Simulation, arn, grants_of, has_resources, takes

ALLOWED, DENIED = "allowed", "implicitly denied"
OWNER = "DeploymentOwnerRoleCB977CAC"
CODEDEPLOY = "DeploymentRole27A8D055"
TESTS = "DeploymentTestTrafficRole0123C51C"
ROLES = {OWNER: "owner", CODEDEPLOY: "codedeploy", TESTS: "test traffic"}

GROUP = "Ec2BlueGreen-Deployment"
SCALING = arn("autoscaling", "autoScalingGroup:5e0c1f0e-0000-4000-8000-000000000000:autoScalingGroupName")
FIRST, COPY = f"{SCALING}/{GROUP}", f"{SCALING}/CodeDeploy_{GROUP}_d-A1B2C3D4E"
# A copy of a group with a longer name may have one of our names; its tags tell that it is not ours.
OTHERS = (f"{SCALING}/{GROUP}-2", f"{SCALING}/CodeDeploy_{GROUP}-2_d-A1B2C3D4E", f"{SCALING}/other")
INSTANCE, VOLUME, INTERFACE = (
    arn("ec2", f"{kind}-0123456789abcdef0") for kind in ("instance/i", "volume/vol", "network-interface/eni")
)
IMAGE = "arn:aws:ec2:eu-west-1::image/ami-0123456789abcdef0"
STACK = Physical({"Resources": {}}).ref("AWS::StackId")


def places(physical):
    """What the table calls the resources of the stack."""
    return {
        "group": arn("codedeploy", f"deploymentgroup:{GROUP}/{GROUP}"),
        "template": arn("ec2", f"launch-template/{physical.ref('FleetLaunchTemplate3FC2FEAE')}"),
        "subnet": arn("ec2", f"subnet/{physical.ref('FleetVpcPrivateSubnet1Subnet3689FC6F')}"),
        "public_subnet": arn("ec2", f"subnet/{physical.ref('FleetVpcPublicSubnet1Subnet531E70E4')}"),
        "instances": arn("ec2", f"security-group/{physical.attribute('FleetSecurityGroup97A0FCFD', 'GroupId')}"),
        "entrance": arn("ec2", f"security-group/{physical.attribute('FleetEntrance077BD2A7', 'GroupId')}"),
        "instance_role": physical.attribute("FleetRole427BC000", "Arn"),
        "codedeploy_role": physical.attribute(CODEDEPLOY, "Arn"),
        "owner_role": physical.attribute(OWNER, "Arn"),
        "target_group": physical.ref("FleetTargetGroupE530A1E5"),
        "test_target_group": physical.ref("FleetTestTargetGroup4F59C1FB"),
        "owner_log": physical.attribute("DeploymentOwnerLogs1E54BB4D", "Arn").removesuffix(":*"),
        "tests_log": physical.attribute("DeploymentTestTrafficLogsD6E8DFF4", "Arn").removesuffix(":*"),
    }


def rows(step, *requests):
    """One test for each action: step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            name = f"{step}{f' ({note})' if note else ''}: {ROLES.get(who, who)} {action} {resource} {expected}"
            yield pytest.param(who, action, resource, context, expected, id=name)


def launch(who):
    """What Auto Scaling asks, in a dry run, of whoever names the launch template."""
    ours, theirs = {"ec2:LaunchTemplate": "{template}"}, {"ec2:LaunchTemplate": arn("ec2", "launch-template/lt-1")}
    tags = {"ec2:CreateAction": "RunInstances"}
    made = ("{template}", "{subnet}", "{instances}", INSTANCE, VOLUME, INTERFACE, IMAGE)
    return rows(
        "launch",
        *((who, "ec2:RunInstances", resource, ALLOWED, ours) for resource in made),
        *((who, "ec2:RunInstances", resource, DENIED, theirs, "other template") for resource in made),
        *((who, "ec2:RunInstances", resource, DENIED, "no template") for resource in made),
        *((who, "ec2:RunInstances", resource, DENIED, ours) for resource in ("{public_subnet}", "{entrance}")),
        *((who, "ec2:CreateTags", resource, ALLOWED, tags) for resource in (INSTANCE, VOLUME)),
        *((who, "ec2:CreateTags", resource, DENIED, "later") for resource in (INSTANCE, VOLUME)),
        (who, "iam:PassRole", "{instance_role}", ALLOWED, {"iam:PassedToService": "ec2.amazonaws.com"}),
        (who, "iam:PassRole", "{instance_role}", DENIED, {"iam:PassedToService": "lambda.amazonaws.com"}, "other"),
        (who, "iam:PassRole", "{owner_role}", DENIED, {"iam:PassedToService": "ec2.amazonaws.com"}),
    )


OF_GROUP = (
    "codedeploy:BatchGetDeployments codedeploy:CreateDeploymentGroup codedeploy:DeleteDeploymentGroup "
    "codedeploy:GetDeploymentGroup codedeploy:ListDeployments codedeploy:UpdateDeploymentGroup"
)
OWN = (
    "autoscaling:AttachLoadBalancerTargetGroups autoscaling:CreateAutoScalingGroup autoscaling:CreateOrUpdateTags "
    "autoscaling:DeleteAutoScalingGroup autoscaling:DetachLoadBalancerTargetGroups autoscaling:UpdateAutoScalingGroup"
)
LOOK = "autoscaling:DescribeAutoScalingGroups autoscaling:DescribeScalingActivities ec2:DescribeInstances"
WRITE_LOG = "logs:CreateLogStream logs:PutLogEvents"
LINKED = arn("iam", "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", region=False)
TO_CODEDEPLOY = {"iam:PassedToService": "codedeploy.amazonaws.com"}
OWN_THE_GROUP = rows(
    "own",
    (OWNER, OF_GROUP, "{group}", ALLOWED),
    (OWNER, OF_GROUP, arn("codedeploy", f"deploymentgroup:{GROUP}/other"), DENIED),
    (OWNER, "codedeploy:StopDeployment", "*", ALLOWED),
    (OWNER, "codedeploy:CreateDeployment", "{group}", DENIED, "no shortcut around the approval"),
    *((OWNER, OWN, group, ALLOWED) for group in (FIRST, COPY)),
    *((OWNER, OWN, group, DENIED) for group in OTHERS),
    (OWNER, LOOK, "*", ALLOWED),
    (OWNER, "ec2:TerminateInstances", INSTANCE, DENIED, "Auto Scaling does that"),
    (OWNER, "iam:PassRole", "{codedeploy_role}", ALLOWED, TO_CODEDEPLOY),
    (OWNER, "iam:PassRole", "{codedeploy_role}", DENIED, {"iam:PassedToService": "ec2.amazonaws.com"}),
    (OWNER, "iam:PassRole", "{instance_role}", DENIED, TO_CODEDEPLOY),
    (OWNER, "iam:CreateServiceLinkedRole", LINKED, ALLOWED, {"iam:AWSServiceName": "autoscaling.amazonaws.com"}),
    (OWNER, "iam:CreateServiceLinkedRole", LINKED, DENIED, {"iam:AWSServiceName": "ecs.amazonaws.com"}),
    (OWNER, "elasticloadbalancing:RegisterTargets", "{target_group}", DENIED),
    (OWNER, WRITE_LOG, "{owner_log}:log-stream:1b2c", ALLOWED),
    (OWNER, WRITE_LOG, "{tests_log}:log-stream:1b2c", DENIED),
)

COPYING = (
    "autoscaling:AttachLoadBalancerTargetGroups autoscaling:CompleteLifecycleAction autoscaling:CreateAutoScalingGroup "
    "autoscaling:CreateOrUpdateTags autoscaling:DeleteAutoScalingGroup autoscaling:DeleteLifecycleHook "
    "autoscaling:EnableMetricsCollection autoscaling:PutLifecycleHook autoscaling:PutNotificationConfiguration "
    "autoscaling:PutScalingPolicy autoscaling:PutScheduledUpdateGroupAction autoscaling:PutWarmPool "
    "autoscaling:RecordLifecycleActionHeartbeat autoscaling:ResumeProcesses autoscaling:SuspendProcesses "
    "autoscaling:UpdateAutoScalingGroup"
)
DESCRIBE = (
    "autoscaling:DescribeAutoScalingGroups autoscaling:DescribeAutoScalingInstances "
    "autoscaling:DescribeLifecycleHooks autoscaling:DescribeNotificationConfigurations autoscaling:DescribePolicies "
    "autoscaling:DescribeScalingActivities autoscaling:DescribeScheduledActions cloudwatch:DescribeAlarms "
    "ec2:DescribeInstanceStatus ec2:DescribeInstances elasticloadbalancing:DescribeLoadBalancerAttributes "
    "elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeTargetGroupAttributes "
    "elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth"
)
TRAFFIC = "elasticloadbalancing:DeregisterTargets elasticloadbalancing:RegisterTargets"
OF_STACK = {"aws:ResourceTag/code-family:stack": STACK}
RELEASE = rows(
    "release",
    (CODEDEPLOY, DESCRIBE, "*", ALLOWED),
    *((CODEDEPLOY, COPYING, group, ALLOWED) for group in (FIRST, COPY)),
    *((CODEDEPLOY, COPYING, group, DENIED) for group in OTHERS),
    (CODEDEPLOY, TRAFFIC, "{target_group}", ALLOWED),
    (CODEDEPLOY, TRAFFIC, "{test_target_group}", DENIED),
    (CODEDEPLOY, "ec2:TerminateInstances", INSTANCE, ALLOWED, OF_STACK),
    (CODEDEPLOY, "ec2:TerminateInstances", INSTANCE, DENIED, "not tagged"),
    (CODEDEPLOY, "ec2:TerminateInstances", INSTANCE, DENIED, {next(iter(OF_STACK)): STACK + "5"}, "of another stack"),
    (CODEDEPLOY, "autoscaling:SetDesiredCapacity autoscaling:DetachInstances", FIRST, DENIED),
    (CODEDEPLOY, "iam:CreateServiceLinkedRole", LINKED, DENIED, {"iam:AWSServiceName": "autoscaling.amazonaws.com"}),
)

TEST = rows(
    "test",
    (TESTS, "codedeploy:ListDeploymentInstances", "{group}", ALLOWED),
    (TESTS, "codedeploy:ListDeploymentInstances", arn("codedeploy", f"deploymentgroup:{GROUP}/other"), DENIED),
    (TESTS, TRAFFIC, "{test_target_group}", ALLOWED),
    (TESTS, TRAFFIC, "{target_group}", DENIED, "users get there by CodeDeploy alone"),
    (TESTS, "codedeploy:ContinueDeployment", "*", DENIED, "who tests decides"),
    (TESTS, WRITE_LOG, "{tests_log}:log-stream:1b2c", ALLOWED),
    (TESTS, WRITE_LOG, "{owner_log}:log-stream:1b2c", DENIED),
)

TABLE = [*OWN_THE_GROUP, *launch(OWNER), *RELEASE, *launch(CODEDEPLOY), *TEST]

# Actions that AWS could allow on less than `*`, and why they are not.
ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES = {
    "cloudwatch:DescribeAlarms": "returns composite alarms only to who may describe all",
}


@pytest.fixture(scope="module")
def template():
    app = App(analytics_reporting=False)
    return synthesized(Ec2BlueGreen(app, "Ec2BlueGreen", repository="acme/shop", testers=["192.0.2.0/24"]))


@pytest.fixture(scope="module")
def simulation(template):
    return Simulation(template)


@pytest.fixture(scope="module")
def named(template):
    return places(Physical(template))


@pytest.fixture(scope="module")
def grants(template):
    """Grants of the three roles, each with its role."""
    attached = {
        policy["Ref"]: role
        for role in ROLES
        for policy in template["Resources"][role]["Properties"]["ManagedPolicyArns"]
    }
    return [(attached[grant.policy], grant) for grant in grants_of(template) if grant.policy in attached]


@pytest.mark.parametrize(("who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(simulation, named, who, action, resource, context, expected):
    keys = {key: value.format_map(named) for key, value in context.items()}
    assert simulation.ask(who, action, resource.format_map(named), keys) == expected


def test_rows_ask_what_aws_asks_and_each_once(named):
    wrong = [row.id for row in TABLE if not takes(row.values[1], row.values[2].format_map(named))]
    assert wrong == []
    assert [name for name, count in Counter(row.id for row in TABLE).items() if count > 1] == []


def test_no_role_may_do_what_no_step_of_a_release_needs(grants):
    granted = {(role, action) for role, grant in grants for action in grant.actions}
    assert granted == {(row.values[0], row.values[1]) for row in TABLE if row.values[4] == ALLOWED}


def test_the_owner_may_call_what_its_handler_calls(grants):
    """The doubles of the handler's tests have a method for each operation that it calls."""
    doubles = {"codedeploy": handler.CodeDeploy, "autoscaling": handler.AutoScaling, "ec2": handler.Ec2}
    called = {f"{prefix}:{name}" for prefix, double in doubles.items() for name in vars(double) if name[0].isupper()}
    granted = {action for role, grant in grants if role == OWNER for action in grant.actions}
    assert called <= granted
    assert granted - called == {
        *WRITE_LOG.split(),
        # What AWS asks of whoever makes an Auto Scaling group with tags and a launch template, or a deployment group.
        "autoscaling:CreateOrUpdateTags",
        "ec2:CreateTags",
        "ec2:RunInstances",
        "iam:CreateServiceLinkedRole",
        "iam:PassRole",
    }


def test_no_action_is_allowed_on_a_kind_of_resource_that_it_does_not_have(grants):
    dead = [
        f"{role}: {action} on {resource}"
        for role, grant in grants
        for action in grant.actions
        for resource in grant.resources
        if not takes(action, resource)
    ]
    assert dead == []


def test_everything_is_allowed_only_where_aws_knows_nothing_narrower(grants):
    wide = {action for _, grant in grants if "*" in grant.resources for action in grant.actions}
    assert {action for action in wide if has_resources(action)} == set(ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES)


def test_codedeploy_acts_for_this_deployment_group_only(simulation, named):
    def assumes(service, source):
        context = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
        return simulation.ask(service, "sts:AssumeRole", named["codedeploy_role"], context)

    assert assumes("codedeploy.amazonaws.com", named["group"]) == ALLOWED
    assert assumes("codedeploy.amazonaws.com", named["group"] + "-2") == DENIED
    assert assumes("ec2.amazonaws.com", named["group"]) == DENIED
