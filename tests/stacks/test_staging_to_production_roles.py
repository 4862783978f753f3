"""Who may do what in a release over three accounts, and that one step outside ends at a closed door.

The table is read like the release; each row is a request that a role makes, or must not get through. Identity policies,
the policies of bucket, key and topic, and trust policies answer together, as they do across accounts. What a release
inside of one account needs is in the reference stack's table and in the Lambda stack's.
"""

import pytest

from tests.policies import Deployed, Organization, arn, grants_of, takes
from tests.stacks.companies import IRELAND, PRODUCTION, STAGING, TOOLING, three_accounts
from tests.stacks.several import Several

ALLOWED, DENIED, REFUSED = "allowed", "implicitly denied", "explicitly denied"
STRANGER = "444444444444"
NAME = "StagingToProduction-Pipeline"
TARGETS = {"staging": STAGING, "production": PRODUCTION}
ROLES = {
    "pipeline": ("StagingToProduction", "PipelineRole"),
    "build": ("StagingToProduction", "BuildRole"),
    "unit tests": ("StagingToProduction", "UnitTestsRole"),
    "lint": ("StagingToProduction", "LintRole"),
    "tooling admin": ("Tooling", "Admin"),
} | {
    f"{target} {role}": where
    for target, environment in TARGETS.items()
    for role, where in {
        "action": (f"Service{environment.name}", "StagingToProductionPipeline"),
        "releaser": (f"Service{environment.name}", "DeploymentReleaserRole"),
        "codedeploy": (f"Service{environment.name}", "DeploymentRole"),
        "check": (f"Service{environment.name}", "CheckFunctionRole"),
        "greeter": (f"Service{environment.name}", "GreeterRole"),
        "admin": (environment.name, "Admin"),
    }.items()
}


def rows(step, *requests):
    """One test for each action: step, what is special about it, who, action."""
    for who, actions, resource, expected, *more in requests:
        context = next((item for item in more if isinstance(item, dict)), {})
        note = next((item for item in more if isinstance(item, str)), "")
        for action in actions.split():
            name = f"{step}{f' ({note})' if note else ''}: {who} {action} {resource} {expected}"
            yield pytest.param(who, action, resource, context, expected, id=name)


def in_tooling(service, resource):
    return arn(service, resource, region=IRELAND, account=TOOLING.account)


# CodePipeline cuts the name of the folder.
FOLDER = f"/{NAME[:20]}"
FILE = f"{FOLDER}/Build/AbC.zip"
HTTP = {"aws:SecureTransport": "false"}
READ = "s3:GetObject s3:GetObjectVersion"
WRITE = "s3:PutObject s3:DeleteObject"
BY_S3 = {"kms:ViaService": f"s3.{IRELAND}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": "{bucket}"}
WRITE_LOG = "logs:CreateLogStream logs:PutLogEvents"
SCAN_LOG = in_tooling("logs", f"log-group:/aws/codepipeline/{NAME}")
OTHER_LOG = in_tooling("logs", "log-group:/aws/codepipeline/Another-Pipeline")

# What is in the repository decides what builds and tests do.
TESTS = rows(
    "build and test",
    *(
        (who, actions, resource, DENIED)
        for who in ("build", "unit tests", "lint")
        for actions, resource in (
            ("sts:AssumeRole", "{staging action}"),
            ("sts:AssumeRole", "{production action}"),
            ("sts:AssumeRole", "{pipeline}"),
            ("lambda:InvokeFunction", "{production release function}"),
            ("lambda:InvokeFunction", "{production greeter function}"),
            ("sns:Publish", "{topic}"),
            ("codepipeline:PutApprovalResult", in_tooling("codepipeline", f"{NAME}/Approval/Approve")),
            ("codepipeline:UpdatePipeline codepipeline:StartPipelineExecution", in_tooling("codepipeline", NAME)),
        )
    ),
)
SCAN = rows(
    "scan",
    ("pipeline", "inspector-scan:ScanSbom", "*", ALLOWED),
    ("pipeline", "logs:CreateLogGroup", SCAN_LOG, ALLOWED),
    ("pipeline", WRITE_LOG, f"{SCAN_LOG}:log-stream:1b2c", ALLOWED),
    ("pipeline", "logs:CreateLogGroup", OTHER_LOG, DENIED, "other log"),
    ("pipeline", WRITE_LOG, f"{OTHER_LOG}:log-stream:1b2c", DENIED, "other log"),
)


def deploying(here, there):
    """Requests of a stage, in an account that another one is beside."""
    action, releaser, codedeploy, check = (f"{here} {role}" for role in ("action", "releaser", "codedeploy", "check"))
    return rows(
        f"deploy to {here}",
        ("pipeline", "sts:AssumeRole", f"{{{action}}}", ALLOWED),
        ("pipeline", "sts:AssumeRole", f"{{{releaser}}}", DENIED, "another role over there"),
        ("pipeline", "sts:AssumeRole", f"{{{check}}}", DENIED, "another role over there"),
        ("pipeline", "sts:AssumeRole", f"{{{here} admin}}", DENIED, "one that trusts its own account"),
        ("tooling admin", "sts:AssumeRole", f"{{{action}}}", DENIED, "another role of the pipeline's account"),
        (f"{here} admin", "sts:AssumeRole", f"{{{action}}}", DENIED, "a role of the target's account"),
        (f"{there} action", "sts:AssumeRole", f"{{{action}}}", DENIED, "the other target's role"),
        ("codepipeline.amazonaws.com", "sts:AssumeRole", f"{{{action}}}", DENIED, "not by way of the service"),
        ("pipeline", "lambda:InvokeFunction", f"{{{here} release function}}", DENIED, "not by itself"),
        (action, "lambda:InvokeFunction", f"{{{here} release function}}", ALLOWED),
        (action, "lambda:ListFunctions", "*", ALLOWED),
        (action, "lambda:InvokeFunction", f"{{{here} release function}}-2", DENIED, "longer name"),
        (action, "lambda:InvokeFunction", f"{{{there} release function}}", DENIED, "other account"),
        (action, "lambda:InvokeFunction", f"{{{here} greeter function}}", DENIED, "what is deployed"),
        (action, "lambda:UpdateFunctionCode lambda:UpdateAlias", f"{{{here} greeter function}}", DENIED),
        # Releaser and checks read artifacts with the credentials of the job, which are the action's.
        (action, f"{READ} s3:GetObjectTagging s3:GetObjectVersionTagging", "{bucket}" + FILE, ALLOWED),
        (action, "s3:GetBucketAcl s3:GetBucketLocation s3:GetBucketVersioning", "{bucket}", ALLOWED),
        (action, "kms:Decrypt", "{key}", ALLOWED, BY_S3),
        (action, "kms:DescribeKey", "{key}", ALLOWED),
        (action, WRITE, "{bucket}" + FILE, DENIED, "change an artifact"),
        (action, READ, "{bucket}/Another-Pipeline/Build/AbC.zip", DENIED, "folder of another pipeline"),
        (action, READ, "{stranger}" + FILE, DENIED, "bucket of a stranger"),
        (action, READ, "{bucket}" + FILE, DENIED, {"aws:ResourceAccount": STRANGER}, "a stranger's by now"),
        (action, READ, "{bucket}" + FILE, REFUSED, HTTP, "plain http"),
        (action, "s3:ListBucket s3:PutBucketPolicy", "{bucket}", DENIED),
        (action, "kms:Decrypt", "{key}", DENIED, "not through S3"),
        (action, "kms:Decrypt", "{other key}", DENIED, BY_S3, "other key"),
        (action, "kms:GenerateDataKey kms:Encrypt", "{key}", DENIED, BY_S3, "write"),
        (releaser, READ, "{bucket}" + FILE, DENIED, "in its own name"),
        (releaser, "lambda:UpdateFunctionCode lambda:PublishVersion", f"{{{here} greeter function}}", ALLOWED),
        (releaser, "lambda:UpdateFunctionCode", f"{{{there} greeter function}}", DENIED, "other account"),
        (codedeploy, "lambda:UpdateAlias", f"{{{here} greeter function}}:live", ALLOWED),
        (codedeploy, "lambda:UpdateAlias", f"{{{there} greeter function}}:live", DENIED, "other account"),
        (f"{here} admin", READ, "{bucket}" + FILE, DENIED, "another role of the account"),
        (f"{here} admin", "kms:Decrypt", "{key}", DENIED, BY_S3, "another role of the account"),
        (f"{here} greeter", READ, "{bucket}" + FILE, DENIED, "what is deployed"),
        (f"{here} greeter", "sts:AssumeRole", f"{{{there} action}}", DENIED, "what is deployed"),
    )


def checking(here, there):
    """Requests of the check after a deployment."""
    action, check = f"{here} action", f"{here} check"
    log = f"{{{here} check log}}"
    return rows(
        f"check {here}",
        (action, "lambda:InvokeFunction", f"{{{here} check function}}", ALLOWED),
        (f"{there} action", "lambda:InvokeFunction", f"{{{here} check function}}", DENIED, "other account"),
        (check, "lambda:InvokeFunction", f"{{{here} greeter function}}:live", ALLOWED),
        (check, "codepipeline:PutJobSuccessResult codepipeline:PutJobFailureResult", "*", ALLOWED),
        (check, WRITE_LOG, f"{log}:log-stream:1b2c", ALLOWED),
        (check, "lambda:InvokeFunction", f"{{{here} greeter function}}", DENIED, "what nobody has approved"),
        (check, "lambda:InvokeFunction", f"{{{here} greeter function}}:live2", DENIED, "other alias"),
        (check, "lambda:InvokeFunction", f"{{{there} greeter function}}:live", DENIED, "other account"),
        (check, "lambda:InvokeFunction", f"{{{here} release function}}", DENIED, "no release of its own"),
        (check, "lambda:UpdateAlias lambda:UpdateFunctionCode", f"{{{here} greeter function}}", DENIED),
        (check, "codepipeline:PutApprovalResult", in_tooling("codepipeline", f"{NAME}/Approval/Approve"), DENIED),
        (check, READ, "{bucket}" + FILE, DENIED),
        (check, "sts:AssumeRole", f"{{{here} action}}", DENIED),
    )


APPROVE = rows(
    "ask for approval",
    ("pipeline", "sns:Publish", "{topic}", ALLOWED),
    ("pipeline", "kms:Decrypt kms:GenerateDataKey", "{key}", ALLOWED),
    ("pipeline", "sns:Publish", in_tooling("sns", "Others"), DENIED, "other topic"),
    (
        "pipeline",
        "codepipeline:PutApprovalResult",
        in_tooling("codepipeline", f"{NAME}/Approval/Approve"),
        DENIED,
        "its own request",
    ),
    *(
        (who, "codepipeline:PutApprovalResult", in_tooling("codepipeline", f"{NAME}/Approval/Approve"), DENIED)
        for who in ("staging action", "staging releaser", "staging greeter", "staging admin", "production admin")
    ),
)

DEPLOY = [*deploying("staging", "production"), *deploying("production", "staging")]
CHECK = [*checking("staging", "production"), *checking("production", "staging")]
TABLE = [*TESTS, *SCAN, *DEPLOY, *CHECK, *APPROVE]


def admin_of(account):
    """A role that may do anything, as far as its own account is concerned."""
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    root = arn("iam", "root", region=False, account=account)
    own = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": root}}
    properties = {
        "AssumeRolePolicyDocument": {"Statement": [own]},
        "Policies": [{"PolicyName": "All", "PolicyDocument": {"Statement": [anything]}}],
    }
    return {"Resources": {"Admin": {"Type": "AWS::IAM::Role", "Properties": properties}}}


def with_alias_arns(template):
    """The template with ARNs in the place of references to aliases, which `Physical` does not know."""

    def replaced(value):
        match value:
            case {"Ref": str(name)} if template["Resources"].get(name, {}).get("Type") == "AWS::Lambda::Alias":
                alias = template["Resources"][name]["Properties"]
                function = {"Fn::GetAtt": [alias["FunctionName"]["Ref"], "Arn"]}
                return {"Fn::Join": [":", [function, alias["Name"]]]}
            case dict():
                return {key: replaced(item) for key, item in value.items()}
            case list():
                return [replaced(item) for item in value]
            case _:
                return value

    return replaced(template)


OTHER_KEY = in_tooling("kms", "key/0ddba11c-0000-4000-8000-000000000000")


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    several = Several(three_accounts, tmp_path_factory.mktemp("accounts"))
    return {name: with_alias_arns(template) for name, template in several.templates.items()}


@pytest.fixture(scope="module")
def organization(templates):
    root = {"AWS": arn("iam", "root", region=False, account=TOOLING.account)}
    open_to_tooling = {"Statement": [{"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}]}
    homes = {"StagingToProduction": TOOLING, "ServiceStaging": STAGING, "ServiceProduction": PRODUCTION}
    return Organization(
        [Deployed(name, templates[name], home.account, home.region) for name, home in homes.items()]
        + [Deployed(home.name, admin_of(home.account), home.account) for home in homes.values()],
        {OTHER_KEY: open_to_tooling},
        owners={"arn:aws:s3:::stranger": STRANGER},
    )


@pytest.fixture(scope="module")
def named(organization):
    """What the table calls roles and resources, by their ARNs."""
    physical = organization.physical

    def arn_of(stack, start, type_):
        return physical[stack].attribute(physical[stack].logical_id(start, type_), "Arn")

    names = {who: arn_of(stack, start, "AWS::IAM::Role") for who, (stack, start) in ROLES.items()}
    for target, environment in TARGETS.items():
        stack = f"Service{environment.name}"
        names |= {
            f"{target} release function": arn_of(stack, "DeploymentReleaser", "AWS::Lambda::Function"),
            f"{target} check function": arn_of(stack, "Check", "AWS::Lambda::Function"),
            f"{target} greeter function": arn_of(stack, "Greeter", "AWS::Lambda::Function"),
            f"{target} check log": arn_of(stack, "Check", "AWS::Logs::LogGroup").removesuffix(":*"),
        }
    tooling = physical["StagingToProduction"]
    return names | {
        "bucket": arn_of("StagingToProduction", "ArtifactsBucket", "AWS::S3::Bucket"),
        "key": arn_of("StagingToProduction", "ArtifactsKey", "AWS::KMS::Key"),
        "topic": tooling.ref(tooling.logical_id("AlertsTopic", "AWS::SNS::Topic")),
        "other key": OTHER_KEY,
        "stranger": "arn:aws:s3:::stranger",
    }


@pytest.mark.parametrize(("who", "action", "resource", "context", "expected"), TABLE)
def test_in_a_release(organization, named, who, action, resource, context, expected):
    caller = who if who.endswith(".amazonaws.com") else named[who]
    context = {key: value.format_map(named) for key, value in context.items()}
    assert organization.ask(caller, action, resource.format_map(named), context) == expected


def test_rows_ask_what_aws_asks(named):
    wrong = [row.id for row in TABLE if not takes(row.values[1], row.values[2].format_map(named))]
    assert wrong == []


@pytest.mark.parametrize(("role", "policy"), [("action", "StagingToProductionPipeline"), ("check", "CheckFunction")])
@pytest.mark.parametrize("target", TARGETS)
def test_roles_over_there_may_do_what_rows_need_and_nothing_else(templates, target, role, policy):
    needed = {row.values[1] for row in TABLE if row.values[0] == f"{target} {role}" and row.values[4] == ALLOWED}
    granted = {
        action
        for grant in grants_of(templates[f"Service{TARGETS[target].name}"])
        if grant.policy.startswith(policy)
        for action in grant.actions
    }
    assert granted == needed


def test_no_role_of_an_environment_may_be_a_role_of_another_account(templates):
    for environment in TARGETS.values():
        actions = {action for grant in grants_of(templates[f"Service{environment.name}"]) for action in grant.actions}
        assert "sts:AssumeRole" not in actions
