"""Who may do what in a release of the Lambda stack, and that one step outside ends at a closed door.

The roles that only this stack has; the others are the reference stack's. The table is read like the release: each row
is a request that a role makes, or must not get through.
"""

from collections import Counter

import pytest
from aws_cdk import App

from code_family_constructs.testing import synthesized
from stacks.lambda_canary import LambdaCanary
from tests.policies import ACCOUNT, Physical, Simulation, arn, grants_of, has_resources, takes

STRANGER = "444455556666"
ALLOWED, DENIED = "allowed", "implicitly denied"
PIPELINE = "PipelineRoleD68726F7"
RELEASER = "DeploymentReleaserRoleB650679C"
CODEDEPLOY = "DeploymentRole27A8D055"
SMOKE_TEST = "SmokeTestFunctionRoleE7F0CD9F"
GREETER = "GreeterRole16043FA5"
OURS = {RELEASER: "releaser", CODEDEPLOY: "codedeploy", SMOKE_TEST: "smoke test", GREETER: "greeter"}
ROLES = {PIPELINE: "pipeline", **OURS}
NAME = "LambdaCanary-Deployment"


def places(physical):
    """What the table calls the resources of the stack."""
    return {
        "greeter": physical.attribute("GreeterFunction081B8F00", "Arn"),
        "releaser": physical.attribute("DeploymentReleaserFunction9E608135", "Arn"),
        "smoke_test": physical.attribute("SmokeTestFunction00DD0C9A", "Arn"),
        "codedeploy": arn("codedeploy", "").removesuffix(":"),
        "group": arn("codedeploy", f"deploymentgroup:{NAME}/{NAME}"),
        "application": arn("codedeploy", f"application:{NAME}"),
        "config": arn("codedeploy", "deploymentconfig:CodeDeployDefault.LambdaCanary10Percent5Minutes"),
        "artifact": physical.attribute("ArtifactsBucket88671897", "Arn") + "/LambdaCanary-Pipelin/Build/AbC.zip",
        "key": physical.attribute("ArtifactsKeyA4B22E2B", "Arn"),
        "codedeploy_role": physical.attribute(CODEDEPLOY, "Arn"),
        "releaser_role": physical.attribute(RELEASER, "Arn"),
        "smoke_test_role": physical.attribute(SMOKE_TEST, "Arn"),
        "greeter_role": physical.attribute(GREETER, "Arn"),
        "releaser_log": physical.attribute("DeploymentReleaserLogs31487C39", "Arn").removesuffix(":*"),
        "smoke_test_log": physical.attribute("SmokeTestFunctionLogsE748EA39", "Arn").removesuffix(":*"),
        "greeter_log": physical.attribute("GreeterLogsF429D38F", "Arn").removesuffix(":*"),
    }


def rows(step, *requests):
    """One test for each action: step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            name = f"{step}{f' ({note})' if note else ''}: {ROLES.get(who, who)} {action} {resource} {expected}"
            yield pytest.param(who, action, resource, context, expected, id=name)


RULE = "lambda:DeleteFunction lambda:AddPermission lambda:UpdateFunctionConfiguration"
START = rows(
    "start the release",
    (PIPELINE, "lambda:InvokeFunction", "{releaser}", ALLOWED),
    (PIPELINE, "lambda:ListFunctions", "*", ALLOWED),
    (PIPELINE, "lambda:InvokeFunction", "{greeter}", DENIED),
    (PIPELINE, "lambda:InvokeFunction", "{smoke_test}", DENIED),
    (PIPELINE, "lambda:UpdateFunctionCode lambda:PublishVersion lambda:UpdateAlias", "{greeter}", DENIED),
    (PIPELINE, "codedeploy:CreateDeployment", "{group}", DENIED, "the releaser does"),
    (PIPELINE, RULE, "{releaser}", DENIED),
)

PUBLISH = "lambda:UpdateFunctionCode lambda:PublishVersion lambda:GetFunctionConfiguration lambda:GetAlias"
REPORT = "codepipeline:PutJobSuccessResult codepipeline:PutJobFailureResult"
WRITE_LOG = "logs:CreateLogStream logs:PutLogEvents"
RELEASE = rows(
    "release",
    (RELEASER, PUBLISH, "{greeter}", ALLOWED),
    (RELEASER, "lambda:GetAlias", "{greeter}:live", ALLOWED),
    (RELEASER, "lambda:GetFunctionConfiguration", "{greeter}:2", ALLOWED, "version"),
    (RELEASER, "codedeploy:CreateDeployment codedeploy:GetDeployment codedeploy:ListDeployments", "{group}", ALLOWED),
    (
        RELEASER,
        "codedeploy:RegisterApplicationRevision codedeploy:GetApplicationRevision",
        "{application}",
        ALLOWED,
    ),
    (RELEASER, "codedeploy:GetDeploymentConfig", "{config}", ALLOWED),
    (RELEASER, REPORT, "*", ALLOWED),
    (RELEASER, WRITE_LOG, "{releaser_log}:log-stream:1b2c", ALLOWED),
    (RELEASER, PUBLISH, "{greeter}-2", DENIED, "longer name"),
    (RELEASER, PUBLISH, "{releaser}", DENIED, "itself"),
    (RELEASER, "lambda:UpdateAlias", "{greeter}", DENIED, "CodeDeploy shifts"),
    (RELEASER, "lambda:InvokeFunction", "{greeter}", DENIED),
    (RELEASER, "lambda:AddPermission lambda:UpdateFunctionConfiguration", "{greeter}", DENIED),
    (RELEASER, "codedeploy:CreateDeployment codedeploy:GetDeployment", "{group}-2", DENIED, "other group"),
    (RELEASER, "codedeploy:UpdateDeploymentGroup codedeploy:DeleteDeploymentGroup", "{group}", DENIED),
    (
        RELEASER,
        "codedeploy:GetDeploymentConfig",
        "{codedeploy}:deploymentconfig:CodeDeployDefault.LambdaAllAtOnce",
        DENIED,
        "no way around the canary",
    ),
    (RELEASER, "s3:GetObject", "{artifact}", DENIED, "in the name of the job, with the job's credentials"),
    (RELEASER, "kms:Decrypt", "{key}", DENIED),
    (RELEASER, "iam:PassRole", "{greeter_role}", DENIED),
    (RELEASER, WRITE_LOG, "{greeter_log}:log-stream:1b2c", DENIED, "other log"),
)

PRUNE = rows(
    "delete old versions",
    (RELEASER, "lambda:ListVersionsByFunction lambda:ListAliases", "{greeter}", ALLOWED),
    (RELEASER, "lambda:DeleteFunction", "{greeter}:2", ALLOWED, "version"),
    (RELEASER, "lambda:DeleteFunction", "{greeter}", DENIED, "the function itself"),
    (RELEASER, "lambda:DeleteFunction", "{greeter}-2:2", DENIED, "longer name"),
    (RELEASER, "lambda:DeleteAlias", "{greeter}", DENIED),
)

SHIFT = rows(
    "shift",
    (CODEDEPLOY, "lambda:GetAlias lambda:UpdateAlias", "{greeter}", ALLOWED),
    (
        CODEDEPLOY,
        "lambda:GetAlias lambda:UpdateAlias lambda:GetProvisionedConcurrencyConfig",
        "{greeter}:live",
        ALLOWED,
    ),
    (CODEDEPLOY, "cloudwatch:DescribeAlarms", "*", ALLOWED),
    (CODEDEPLOY, "lambda:InvokeFunction", "{smoke_test}", ALLOWED),
    (CODEDEPLOY, "lambda:GetAlias lambda:UpdateAlias", "{greeter}:other", DENIED, "other alias"),
    (CODEDEPLOY, "lambda:GetAlias lambda:UpdateAlias", "{releaser}", DENIED),
    (CODEDEPLOY, "lambda:InvokeFunction", "{greeter}", DENIED),
    (CODEDEPLOY, "lambda:InvokeFunction", "{releaser}", DENIED),
    (CODEDEPLOY, "lambda:UpdateFunctionCode lambda:PublishVersion lambda:DeleteFunction", "{greeter}", DENIED),
    (CODEDEPLOY, "s3:GetObject", "{artifact}", DENIED, "the AppSpec comes with the request"),
)

HOOK = "codedeploy:PutLifecycleEventHookExecutionStatus"
CHECK = rows(
    "smoke test",
    (SMOKE_TEST, "lambda:InvokeFunction", "{greeter}", ALLOWED),
    (SMOKE_TEST, HOOK, "{group}", ALLOWED),
    (SMOKE_TEST, WRITE_LOG, "{smoke_test_log}:log-stream:1b2c", ALLOWED),
    (SMOKE_TEST, "lambda:InvokeFunction", "{greeter}:live", DENIED, "users' version"),
    (SMOKE_TEST, "lambda:InvokeFunction", "{releaser}", DENIED),
    (SMOKE_TEST, HOOK, "{group}-2", DENIED, "other group"),
    (SMOKE_TEST, "codedeploy:CreateDeployment codedeploy:UpdateDeploymentGroup", "{group}", DENIED),
    (SMOKE_TEST, "lambda:UpdateFunctionCode lambda:UpdateAlias", "{greeter}", DENIED),
)

RUN = rows(
    "run",
    (GREETER, WRITE_LOG, "{greeter_log}:log-stream:1b2c", ALLOWED),
    (GREETER, WRITE_LOG, "{releaser_log}:log-stream:1b2c", DENIED, "other log"),
    (GREETER, "lambda:InvokeFunction lambda:UpdateFunctionCode lambda:UpdateAlias", "{greeter}", DENIED),
    (GREETER, "s3:GetObject", "{artifact}", DENIED),
    (GREETER, "codedeploy:CreateDeployment", "{group}", DENIED),
)


def source(resource, account=ACCOUNT):
    return {"aws:SourceArn": resource, "aws:SourceAccount": account}


GROUP_ARN = arn("codedeploy", f"deploymentgroup:{NAME}/{NAME}")
ASSUME = rows(
    "assume",
    ("codedeploy.amazonaws.com", "sts:AssumeRole", "{codedeploy_role}", ALLOWED, source(GROUP_ARN)),
    (
        "codedeploy.amazonaws.com",
        "sts:AssumeRole",
        "{codedeploy_role}",
        DENIED,
        source(f"{GROUP_ARN}-2"),
        "other group",
    ),
    (
        "codedeploy.amazonaws.com",
        "sts:AssumeRole",
        "{codedeploy_role}",
        DENIED,
        source(GROUP_ARN, STRANGER),
        "stranger",
    ),
    ("codedeploy.amazonaws.com", "sts:AssumeRole", "{codedeploy_role}", DENIED, "for nobody in particular"),
    *(
        ("lambda.amazonaws.com", "sts:AssumeRole", f"{{{role}_role}}", ALLOWED)
        for role in ("releaser", "smoke_test", "greeter")
    ),
    *(
        ("codedeploy.amazonaws.com", "sts:AssumeRole", f"{{{role}_role}}", DENIED, source(GROUP_ARN))
        for role in ("releaser", "smoke_test", "greeter")
    ),
)

TABLE = [*START, *RELEASE, *PRUNE, *SHIFT, *CHECK, *RUN, *ASSUME]

# Actions that AWS could allow on less than `*`, and why they are not.
ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES = {
    "cloudwatch:DescribeAlarms": "returns composite alarms only to who may describe all",
}

# The reference that cfn-lint carries knows no resource for it. CodeDeploy's own does, the deployment group:
# https://docs.aws.amazon.com/codedeploy/latest/userguide/auth-and-access-control-permissions-reference.html
LEFT_OUT_OF_THE_REFERENCE = {HOOK}


def asked_right(action, resource):
    if action in LEFT_OUT_OF_THE_REFERENCE:
        return ":deploymentgroup:" in resource
    return takes(action, resource)


@pytest.fixture(scope="module")
def template():
    return synthesized(LambdaCanary(App(analytics_reporting=False), "LambdaCanary", repository="acme/shop"))


@pytest.fixture(scope="module")
def release(template):
    return Simulation(template)


@pytest.fixture(scope="module")
def named(template):
    return places(Physical(template))


@pytest.mark.parametrize(("who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(release, named, who, action, resource, context, expected):
    assert release.ask(who, action, resource.format_map(named), context) == expected


def test_rows_ask_what_aws_asks_and_each_once(named):
    wrong = [row.id for row in TABLE if not asked_right(row.values[1], row.values[2].format_map(named))]
    assert wrong == []
    assert [name for name, count in Counter(row.id for row in TABLE).items() if count > 1] == []


def granted_to_ours(template):
    attached = {
        policy["Ref"]: role
        for role in OURS
        for policy in template["Resources"][role]["Properties"]["ManagedPolicyArns"]
    }
    return [(attached[grant.policy], grant) for grant in grants_of(template) if grant.policy in attached]


def test_no_role_may_do_what_no_step_of_a_release_needs(template):
    granted = {(role, action) for role, grant in granted_to_ours(template) for action in grant.actions}
    needed = {(row.values[0], row.values[1]) for row in TABLE if row.values[4] == ALLOWED and row.values[0] in OURS}
    assert granted == needed


def test_everything_is_allowed_only_where_aws_knows_nothing_narrower(template):
    wide = {action for _, grant in granted_to_ours(template) if "*" in grant.resources for action in grant.actions}
    assert {action for action in wide if has_resources(action)} == set(ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES)


def test_no_action_is_allowed_on_a_kind_of_resource_that_it_does_not_have(template):
    dead = [
        f"{role}: {action}"
        for role, grant in granted_to_ours(template)
        for action in grant.actions
        if "*" not in grant.resources and not any(asked_right(action, resource) for resource in grant.resources)
    ]
    assert dead == []
