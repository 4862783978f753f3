"""Who may do what in a release to Amazon ECS, with either engine, and that one step outside ends at a closed door.

The roles that only these stacks have; the others are the reference stack's. The table is read like a release: each row
is a request that a role makes, or must not get through.
"""

from collections import Counter

import pytest
from aws_cdk import App
from aws_cdk import aws_ecs as ecs

from code_family_constructs.testing import synthesized
from stacks.ecs_canary import EcsCanary
from tests.handlers.fake_ecs import Ecs
from tests.policies import ACCOUNT, Physical, Simulation, arn, grants_of, has_resources, takes

ALLOWED, DENIED = "allowed", "implicitly denied"
BY_ECS, BY_CODEDEPLOY = "by Amazon ECS", "by CodeDeploy"
CONTROLLERS = {BY_ECS: ecs.DeploymentControllerType.ECS, BY_CODEDEPLOY: ecs.DeploymentControllerType.CODE_DEPLOY}

PIPELINE = "PipelineRoleD68726F7"
TASKS = "ServiceTaskRoleC7213793"
STARTER = "ServiceExecutionRole3DA90452"
TELLER = "ServiceRunningImageFunctionRole5087989E"
MOVER = "ServiceInfrastructureRole4C0A7FC5"
RELEASER = "DeploymentReleaseRoleF55D6965"
RENDERER = "DeploymentRenderRoleE3D25C9A"
CODEDEPLOY = "DeploymentRole27A8D055"
OF_BOTH = {TASKS: "tasks", STARTER: "starter", TELLER: "teller"}
OURS = {
    BY_ECS: {**OF_BOTH, MOVER: "mover", RELEASER: "releaser"},
    BY_CODEDEPLOY: {**OF_BOTH, RENDERER: "renderer", CODEDEPLOY: "codedeploy"},
}
ROLES = {PIPELINE: "pipeline", **OURS[BY_ECS], **OURS[BY_CODEDEPLOY]}

SERVICE = arn("ecs", "service/{cluster}/EcsCanary-Service")
OTHER_SERVICES = (arn("ecs", "service/{cluster}/EcsCanary-Service-2"), arn("ecs", "service/other/EcsCanary-Service"))
REVISION = arn("ecs", "service-revision/{cluster}/EcsCanary-Service/4980306466373577095")
TASK_SET = arn("ecs", "task-set/{cluster}/EcsCanary-Service/ecs-svc/1234567890123456789")
OTHER_TASK_SET = arn("ecs", "task-set/{cluster}/EcsCanary-Service-2/ecs-svc/1234567890123456789")
NAME = "EcsCanary-Deployment"
GROUP = arn("codedeploy", f"deploymentgroup:{NAME}/{NAME}")
APPLICATION = arn("codedeploy", f"application:{NAME}")
CONFIG = arn("codedeploy", "deploymentconfig:CodeDeployDefault.ECSCanary10Percent5Minutes")
STREAM = "log-stream:app/app/0a1b2c"
WRITE_LOG = "logs:CreateLogStream logs:PutLogEvents"
TO_TASKS, TO_LAMBDA = ({"iam:PassedToService": f"{name}.amazonaws.com"} for name in ("ecs-tasks", "lambda"))


def places(template):
    """What the table calls the resources of the stack."""
    physical = Physical(template)
    engine = {
        "release": ("DeploymentReleaseFunction69518A76", "DeploymentReleaseLogs4403E7F9"),
        "render": ("DeploymentRenderFunction9F81C1D6", "DeploymentRenderLogsD3857DBB"),
    }
    listener = physical.ref("ServiceLoadBalancerHttp922C9E54")
    rules = (
        {"rule": physical.ref("ServiceProductionB41E9A42")}
        if "ServiceProductionB41E9A42" in template["Resources"]
        else {}
    )
    return {
        "cluster": physical.ref("ServiceCluster572F72F1"),
        "blue": physical.ref("ServiceBlueC582B4C8"),
        "green": physical.ref("ServiceGreen5E120984"),
        "listener": listener,
        "any_rule": listener.replace(":listener/", ":listener-rule/") + "/0a1b2c3d",
        **rules,
        "images": physical.attribute("BuildRepository4E6D17C2", "Arn"),
        "artifact": physical.attribute("ArtifactsBucket88671897", "Arn") + "/EcsCanary-Pipeline/Build/AbC.zip",
        "teller": physical.attribute("ServiceRunningImageFunction76935C99", "Arn"),
        "teller_log": physical.attribute("ServiceRunningImageFunctionLogs8F027235", "Arn").removesuffix(":*"),
        "task_log": physical.attribute("ServiceTaskLogsF9AA84A3", "Arn").removesuffix(":*"),
        **{
            name: value
            for kind, (function, log) in engine.items()
            if function in template["Resources"]
            for name, value in (
                (kind, physical.attribute(function, "Arn")),
                (f"{kind}_log", physical.attribute(log, "Arn").removesuffix(":*")),
            )
        },
        **{
            f"{name}_role": physical.attribute(role, "Arn")
            for role, name in ROLES.items()
            if role in template["Resources"]
        },
    }


def rows(engine, step, *requests):
    """One test for each action: engine, step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            said = f"{step}{f' ({note})' if note else ''}"
            name = f"{engine}: {said}: {ROLES.get(who, who)} {action} {resource} {expected}"
            yield pytest.param(engine, who, action, resource, context, expected, id=name)


PULL = "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer"
DESCRIBE = "ecs:DescribeTaskDefinition"
RUN = [
    row
    for engine in CONTROLLERS
    for row in rows(
        engine,
        "run",
        (STARTER, "ecr:GetAuthorizationToken", "*", ALLOWED),
        (STARTER, PULL, "{images}", ALLOWED),
        (STARTER, PULL, "{images}-2", DENIED, "other repository"),
        (STARTER, "ecr:PutImage", "{images}", DENIED),
        (STARTER, WRITE_LOG, f"{{task_log}}:{STREAM}", ALLOWED),
        (STARTER, WRITE_LOG, f"{{teller_log}}:{STREAM}", DENIED, "other log"),
        (TASKS, PULL, "{images}", DENIED),
        (TASKS, "ecs:UpdateService", SERVICE, DENIED),
        (TASKS, WRITE_LOG, f"{{task_log}}:{STREAM}", DENIED, "Amazon ECS writes it"),
        (TELLER, "ecs:DescribeServices", SERVICE, ALLOWED),
        *((TELLER, "ecs:DescribeServices", service, DENIED) for service in OTHER_SERVICES),
        (TELLER, DESCRIBE, "*", ALLOWED),
        (TELLER, "ecs:UpdateService", SERVICE, DENIED),
        (TELLER, "ecs:RegisterTaskDefinition", "*", DENIED),
        (TELLER, WRITE_LOG, "{teller_log}:log-stream:1b2c", ALLOWED),
        (TELLER, WRITE_LOG, f"{{task_log}}:{STREAM}", DENIED, "other log"),
    )
]

REPORT = "codepipeline:PutJobFailureResult codepipeline:PutJobSuccessResult"
HAND_OVER = "ecs:DescribeServices ecs:ListServiceDeployments ecs:UpdateService"
RELEASE_BY_ECS = rows(
    BY_ECS,
    "release",
    (PIPELINE, "lambda:InvokeFunction", "{release}", ALLOWED),
    (PIPELINE, "lambda:InvokeFunction", "{teller}", DENIED),
    (PIPELINE, "ecs:RegisterTaskDefinition", "*", DENIED, "the releaser does"),
    (PIPELINE, "ecs:UpdateService", SERVICE, DENIED, "the releaser does"),
    (RELEASER, f"{DESCRIBE} ecs:RegisterTaskDefinition ecs:DeregisterTaskDefinition", "*", ALLOWED),
    (RELEASER, HAND_OVER, SERVICE, ALLOWED),
    *((RELEASER, HAND_OVER, service, DENIED) for service in OTHER_SERVICES),
    (RELEASER, "ecs:DescribeServiceRevisions", SERVICE, ALLOWED),
    (RELEASER, "ecs:DescribeServiceRevisions", REVISION, ALLOWED),
    (RELEASER, "ecs:DescribeServiceRevisions", REVISION.replace("-Service/", "-Service-2/"), DENIED, "other service"),
    (RELEASER, "ecs:DeleteService ecs:CreateService", SERVICE, DENIED),
    *((RELEASER, "iam:PassRole", role, ALLOWED, TO_TASKS) for role in ("{tasks_role}", "{starter_role}")),
    *((RELEASER, "iam:PassRole", role, DENIED, TO_LAMBDA) for role in ("{tasks_role}", "{starter_role}")),
    *((RELEASER, "iam:PassRole", role, DENIED, TO_TASKS) for role in ("{mover_role}", "{pipeline_role}")),
    (RELEASER, REPORT, "*", ALLOWED),
    (RELEASER, "s3:GetObject", "{artifact}", DENIED, "with the job's credentials alone"),
    (RELEASER, WRITE_LOG, "{release_log}:log-stream:1b2c", ALLOWED),
    (RELEASER, WRITE_LOG, "{teller_log}:log-stream:1b2c", DENIED, "other log"),
)

LOOK = (
    "elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeRules "
    "elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth"
)
TARGETS = "elasticloadbalancing:RegisterTargets elasticloadbalancing:DeregisterTargets"
SHIFT_BY_ECS = rows(
    BY_ECS,
    "shift",
    (MOVER, LOOK, "*", ALLOWED),
    *((MOVER, TARGETS, group, ALLOWED) for group in ("{blue}", "{green}")),
    (MOVER, TARGETS, "{blue}0", DENIED, "other group"),
    (MOVER, "elasticloadbalancing:ModifyRule", "{rule}", ALLOWED),
    (MOVER, "elasticloadbalancing:ModifyRule", "{any_rule}", DENIED, "other rule of the listener"),
    (MOVER, "elasticloadbalancing:ModifyListener", "{listener}", DENIED),
    (MOVER, "elasticloadbalancing:DeleteRule", "{rule}", DENIED),
)

RENDER = rows(
    BY_CODEDEPLOY,
    "render",
    (PIPELINE, "lambda:InvokeFunction", "{render}", ALLOWED),
    (PIPELINE, "lambda:InvokeFunction", "{teller}", DENIED),
    (RENDERER, DESCRIBE, "*", ALLOWED),
    (RENDERER, REPORT, "*", ALLOWED),
    (RENDERER, "ecs:RegisterTaskDefinition", "*", DENIED, "CodePipeline does"),
    (RENDERER, "ecs:UpdateService", SERVICE, DENIED),
    (RENDERER, "iam:PassRole", "{tasks_role}", DENIED, TO_TASKS),
    (RENDERER, "s3:PutObject", "{artifact}", DENIED, "with the job's credentials alone"),
    (RENDERER, WRITE_LOG, "{render_log}:log-stream:1b2c", ALLOWED),
    (RENDERER, WRITE_LOG, "{teller_log}:log-stream:1b2c", DENIED, "other log"),
)

OF_APPLICATION = "codedeploy:GetApplication codedeploy:GetApplicationRevision codedeploy:RegisterApplicationRevision"
RELEASE_BY_CODEDEPLOY = rows(
    BY_CODEDEPLOY,
    "release",
    (PIPELINE, "codedeploy:CreateDeployment codedeploy:GetDeployment", GROUP, ALLOWED),
    (PIPELINE, "codedeploy:CreateDeployment codedeploy:GetDeployment", f"{GROUP}-2", DENIED, "other group"),
    (PIPELINE, OF_APPLICATION, APPLICATION, ALLOWED),
    (PIPELINE, OF_APPLICATION, f"{APPLICATION}-2", DENIED, "other application"),
    (PIPELINE, "codedeploy:GetDeploymentConfig", CONFIG, ALLOWED),
    (PIPELINE, "codedeploy:GetDeploymentConfig", f"{CONFIG}0", DENIED, "other configuration"),
    (PIPELINE, "ecs:RegisterTaskDefinition", "*", ALLOWED),
    (PIPELINE, "ecs:UpdateService", SERVICE, DENIED, "CodeDeploy shifts"),
    *((PIPELINE, "iam:PassRole", role, ALLOWED, TO_TASKS) for role in ("{tasks_role}", "{starter_role}")),
    *((PIPELINE, "iam:PassRole", role, DENIED, TO_LAMBDA) for role in ("{tasks_role}", "{starter_role}")),
    (PIPELINE, "iam:PassRole", "{codedeploy_role}", DENIED, TO_TASKS),
)

OF_SERVICE = "ecs:DescribeServices ecs:UpdateServicePrimaryTaskSet"
OF_TASK_SETS = "ecs:CreateTaskSet ecs:DeleteTaskSet"
SHIFT_BY_CODEDEPLOY = rows(
    BY_CODEDEPLOY,
    "shift",
    (CODEDEPLOY, OF_SERVICE, SERVICE, ALLOWED),
    *((CODEDEPLOY, OF_SERVICE, service, DENIED) for service in OTHER_SERVICES),
    (CODEDEPLOY, OF_TASK_SETS, TASK_SET, ALLOWED),
    (CODEDEPLOY, OF_TASK_SETS, OTHER_TASK_SET, DENIED, "other service"),
    (CODEDEPLOY, "ecs:UpdateService ecs:DeleteService", SERVICE, DENIED),
    (CODEDEPLOY, f"cloudwatch:DescribeAlarms {LOOK.rpartition(' ')[0]}", "*", ALLOWED),
    (CODEDEPLOY, "elasticloadbalancing:ModifyListener", "{listener}", ALLOWED),
    (CODEDEPLOY, "elasticloadbalancing:ModifyListener", "{listener}0", DENIED, "other listener"),
    (CODEDEPLOY, "elasticloadbalancing:ModifyRule", "{any_rule}", ALLOWED),
    (
        CODEDEPLOY,
        "elasticloadbalancing:ModifyRule",
        arn("elasticloadbalancing", "listener-rule/app/other/1/2/3"),
        DENIED,
        "of another listener",
    ),
    *((CODEDEPLOY, "iam:PassRole", role, ALLOWED, TO_TASKS) for role in ("{tasks_role}", "{starter_role}")),
    *((CODEDEPLOY, "iam:PassRole", role, DENIED, TO_LAMBDA) for role in ("{tasks_role}", "{starter_role}")),
    (CODEDEPLOY, "iam:PassRole", "{renderer_role}", DENIED, TO_TASKS),
    (CODEDEPLOY, "lambda:InvokeFunction", "{render}", DENIED, "no hook"),
    (CODEDEPLOY, "s3:GetObject", "{artifact}", DENIED, "the AppSpec comes with the request"),
)


def source(resource, account=ACCOUNT):
    return {"aws:SourceArn": resource, "aws:SourceAccount": account}


ASSUME, TASK = "sts:AssumeRole", arn("ecs", "*")
TRUST = [
    *(
        row
        for engine in CONTROLLERS
        for row in rows(
            engine,
            "assume",
            ("ecs-tasks.amazonaws.com", ASSUME, "{tasks_role}", ALLOWED, source(TASK)),
            ("ecs-tasks.amazonaws.com", ASSUME, "{tasks_role}", DENIED, source(TASK, "444455556666"), "stranger"),
            ("ecs-tasks.amazonaws.com", ASSUME, "{starter_role}", ALLOWED),
            ("lambda.amazonaws.com", ASSUME, "{teller_role}", ALLOWED),
            ("lambda.amazonaws.com", ASSUME, "{tasks_role}", DENIED, source(TASK)),
        )
    ),
    *rows(
        BY_ECS,
        "assume",
        ("ecs.amazonaws.com", ASSUME, "{mover_role}", ALLOWED),
        ("ecs-tasks.amazonaws.com", ASSUME, "{mover_role}", DENIED),
        ("lambda.amazonaws.com", ASSUME, "{releaser_role}", ALLOWED),
    ),
    *rows(
        BY_CODEDEPLOY,
        "assume",
        ("codedeploy.amazonaws.com", ASSUME, "{codedeploy_role}", ALLOWED, source(GROUP)),
        ("codedeploy.amazonaws.com", ASSUME, "{codedeploy_role}", DENIED, source(f"{GROUP}-2"), "other group"),
        ("lambda.amazonaws.com", ASSUME, "{renderer_role}", ALLOWED),
    ),
]

TABLE = [*RUN, *RELEASE_BY_ECS, *SHIFT_BY_ECS, *RENDER, *RELEASE_BY_CODEDEPLOY, *SHIFT_BY_CODEDEPLOY, *TRUST]

# Actions that AWS could allow on less than `*`, and why they are not.
ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES = {
    "cloudwatch:DescribeAlarms": "returns composite alarms only to who may describe all",
    "ecs:RegisterTaskDefinition": "https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html "
    "asks for it on everything, and no page of AWS's shows it with less",
}


@pytest.fixture(scope="module")
def templates():
    return {
        engine: synthesized(
            EcsCanary(
                App(analytics_reporting=False), "EcsCanary", repository="acme/shop", deployment_controller=controller
            )
        )
        for engine, controller in CONTROLLERS.items()
    }


@pytest.fixture(scope="module")
def simulations(templates):
    return {engine: Simulation(template) for engine, template in templates.items()}


@pytest.fixture(scope="module")
def named(templates):
    return {engine: places(template) for engine, template in templates.items()}


def granted(templates):
    """Engine, role and grant, of the roles that only these stacks have."""
    for engine, template in templates.items():
        attached = {
            policy["Ref"]: role
            for role in OURS[engine]
            for policy in template["Resources"][role]["Properties"].get("ManagedPolicyArns", ())
        }
        for grant in grants_of(template):
            if grant.policy in attached:
                yield engine, attached[grant.policy], grant


@pytest.mark.parametrize(("engine", "who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(simulations, named, engine, who, action, resource, context, expected):
    assert simulations[engine].ask(who, action, resource.format_map(named[engine]), context) == expected


def test_rows_ask_what_aws_asks_and_each_once(named):
    wrong = [row.id for row in TABLE if not takes(row.values[2], row.values[3].format_map(named[row.values[0]]))]
    assert wrong == []
    assert [name for name, count in Counter(row.id for row in TABLE).items() if count > 1] == []


def test_no_role_may_do_what_no_step_of_a_release_needs(templates):
    given = {(engine, role, action) for engine, role, grant in granted(templates) for action in grant.actions}
    needed = {
        (engine, who, action)
        for engine, who, action, _, _, expected in (row.values for row in TABLE)
        if expected == ALLOWED and who in OURS[engine]
    }
    assert given == needed


def test_handlers_may_do_what_they_do(templates):
    """The double of the handlers' tests has a method for each operation that one of them calls."""
    called = {f"ecs:{name}" for name in vars(Ecs) if name[0].isupper()}
    given = {
        action
        for _, role, grant in granted(templates)
        if role in (TELLER, RELEASER, RENDERER)
        for action in grant.actions
        if action.startswith("ecs:")
    }
    assert given == called


def test_no_action_is_allowed_on_a_kind_of_resource_that_it_does_not_have(templates):
    dead = [
        f"{engine}: {role}: {action}"
        for engine, role, grant in granted(templates)
        for action in grant.actions
        if not any(takes(action, resource) for resource in grant.resources)
    ]
    assert dead == []


def test_everything_is_allowed_only_where_aws_knows_nothing_narrower(templates):
    wide = {action for _, _, grant in granted(templates) if "*" in grant.resources for action in grant.actions}
    assert {action for action in wide if has_resources(action)} == set(ON_EVERYTHING_ALTHOUGH_IT_HAS_RESOURCES)
