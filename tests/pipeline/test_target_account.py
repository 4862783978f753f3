"""Targets: what a pipeline makes in other accounts and regions, in which order, and what it refuses to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_cdk import App, NestedStack, Stack, Stage
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs import (
    ActionContext,
    ArtifactStore,
    BuildProject,
    CodeBuildAction,
    StackDeployment,
    StageAction,
    Statement,
)
from code_family_constructs.actions import DeclaredAction
from code_family_constructs.cross_account import fixed_role_arn, let_pull
from code_family_constructs.permissions import Permissions, Reader, arn
from code_family_constructs.pipeline.target_account import TargetAccount, TargetAction, TargetEnvironment, Targets
from code_family_constructs.testing import synthesized, text_of
from tests.helpers import a_context, a_stack, of_type, only, refuses
from tests.policies import Deployed, Organization

TOOLING = TargetEnvironment("Tooling", account="111111111111", region="eu-west-1")
VIRGINIA = TargetEnvironment("Virginia", account="111111111111", region="us-east-1")
TOKYO = TargetEnvironment("Tokyo", account="111111111111", region="ap-northeast-1")
STAGING = TargetEnvironment("Staging", account="222222222222", region="eu-west-1")
PRODUCTION = TargetEnvironment("Production", account="333333333333", region="us-east-1")


@dataclass(frozen=True, kw_only=True)
class Deploying:
    """An action that says what it was given, and takes and makes what it is told to."""

    seen: list[ActionContext] = field(default_factory=list)
    takes: Sequence[str] = ("Build",)
    makes: Sequence[str] = ()
    reader: Any = None
    builds: Sequence[Any] = ()
    category: codepipeline.ActionCategory = codepipeline.ActionCategory.DEPLOY
    owner: str = "AWS"

    def stage_action(self, context: ActionContext) -> StageAction:
        self.seen.append(context)
        makes = {name: codepipeline.Artifact(name) for name in self.makes}
        return StageAction(
            action=DeclaredAction(
                context,
                category=self.category,
                provider="CodeDeploy",
                configuration={},
                inputs=[codepipeline.Artifact(name) for name in self.takes],
                outputs=list(makes.values()),
                bounds=(0, 5, 0, 5),
                owner=self.owner,
            ),
            permissions=[Statement(actions=["codedeploy:CreateDeployment"], resources=[arn("codedeploy", "group")])],
            artifact_readers=[] if self.reader is None else [self.reader],
            builds=self.builds,
            outputs=makes,
        )


class Line:
    """As much of a pipeline as targets are concerned with, in an app of its own."""

    def __init__(self, env: Any = TOOLING.env, *, abroad: bool = True, home: ArtifactStore | None = None) -> None:
        self.app = App()
        self.stack = Stack(self.app, "Shop", env=env)
        self.role = iam.Role(self.stack, "Role", assumed_by=iam.ServicePrincipal("codepipeline.amazonaws.com"))
        self.home = home or ArtifactStore(self.stack, "Artifacts")
        self.abroad = [ArtifactStore(self.at(VIRGINIA, "Abroad"), "Artifacts")] if abroad else []
        self.targets = self.aim()

    def at(self, place: TargetEnvironment, id: str | None = None) -> Stack:
        return Stack(self.app, id or place.name, env=place.env)

    def aim(self, **settings: Any) -> Targets:
        defaults = {"role": self.role, "store": self.home, "cross_region_stores": self.abroad}
        return Targets(self.stack, pipeline_name="shop", **{**defaults, **settings})

    def deploys(self, action: Any, stack: Stack | None = None) -> StageAction:
        action = action if stack is None else TargetAction(action, stack)
        return self.targets.stage_action(action, a_context(pipeline_name="shop"))


class Everywhere(Line):
    """A line that deploys to its own account, to another region of it and to two other accounts."""

    def __init__(self) -> None:
        super().__init__()
        staging, production = self.at(STAGING), self.at(PRODUCTION)
        web = iam.Role(production, "Web", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        reading = Permissions(production, "WebPolicy", role_names=[web.role_name])
        self.first, self.at_home, self.making, self.beside = (
            Deploying(),
            Deploying(),
            Deploying(makes=["Notes"]),
            Deploying(),
        )
        self.again = Deploying(reader=Reader(production, reading.add, roles=[web]))
        self.made = self.deploys(self.first, production)
        self.deploys(self.again, NestedStack(production, "Part"))
        self.made_at_home = self.deploys(self.at_home, Stack(self.app, "Neighbour", env=TOOLING.env))
        self.deploys(self.making, staging)
        self.deploys(self.beside, self.at(VIRGINIA, "Beside"))
        stacks = (self.stack, staging, production, Stack.of(self.abroad[0]))
        self.templates = {stack.stack_name: synthesized(stack) for stack in stacks}
        self.assembly = self.app.synth()


@pytest.fixture(scope="module")
def line():
    return Everywhere()


def target_role(template):
    (role,) = [role for name, role in of_type(template, "AWS::IAM::Role").items() if name.startswith("shop")]
    return role


def test_a_role_over_there_trusts_the_role_of_the_pipeline_and_no_other(line):
    role = target_role(line.templates["Production"])
    pipeline_role = only(line.templates["Shop"], "AWS::IAM::Role")["RoleName"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert text_of(trust["Principal"]["AWS"]) == "arn:<AWS::Partition>:iam::111111111111:root"
    assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::111111111111:role/{pipeline_role}"}}


def test_the_action_runs_by_that_role_in_that_region(line):
    (context,) = line.first.seen
    name = target_role(line.templates["Production"])["RoleName"]
    assert context.role.role_arn == f"arn:aws:iam::333333333333:role/{name}"
    assert context.region == "us-east-1"
    assert line.making.seen[0].region is None


def test_the_pipeline_may_assume_it_and_needs_nothing_else(line):
    assert line.made.permissions == line.made.artifact_readers == ()
    (assume,) = line.made.pipeline_permissions
    assert (assume.actions, assume.resources) == (["sts:AssumeRole"], [line.first.seen[0].role.role_arn])


def test_a_target_in_another_region_of_the_account_gets_a_role_there_too(line):
    (context,) = line.beside.seen
    assert context.role.role_arn.startswith("arn:aws:iam::111111111111:role/Beside-")
    assert context.region == "us-east-1"


def test_at_home_an_action_is_left_alone(line):
    (context,) = line.at_home.seen
    assert not context.elsewhere
    assert [statement.actions for statement in line.made_at_home.permissions] == [["codedeploy:CreateDeployment"]]


def test_one_role_in_a_stack_serves_all_actions_there_those_in_nested_stacks_too(line):
    assert line.again.seen[0].role is line.first.seen[0].role
    assert (
        len([name for name in of_type(line.templates["Production"], "AWS::IAM::Role") if name.startswith("shop")]) == 1
    )


def actions_over_there(template, start):
    return {
        action
        for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items()
        if name.startswith(start)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    }


def test_an_action_that_makes_no_artifact_may_write_none(line):
    assert "s3:PutObject" not in actions_over_there(line.templates["Production"], "shop")
    assert "s3:PutObject" in actions_over_there(line.templates["Staging"], "shop")


def test_what_it_makes_goes_into_a_folder_of_its_own_and_replaces_nothing_that_goes_to_others(line):
    places = {"Shop": TOOLING, "Staging": STAGING, "Production": PRODUCTION, "Abroad": VIRGINIA}
    organization = Organization(
        [Deployed(name, line.templates[name], place.account, place.region) for name, place in places.items()]
    )

    def arn_of(stack, start, type_):
        physical = organization.physical[stack]
        return physical.attribute(physical.logical_id(start, type_), "Arn")

    role = arn_of("Staging", "shop", "AWS::IAM::Role")
    for stack, region, expected in (("Shop", "eu-west-1", "allowed"), ("Abroad", "us-east-1", "implicitly denied")):
        bucket = arn_of(stack, "ArtifactsBucket", "AWS::S3::Bucket")
        by_s3 = {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": bucket}
        key = arn_of(stack, "ArtifactsKey", "AWS::KMS::Key")
        assert organization.ask(role, "s3:PutObject", f"{bucket}/shop/Notes/AbC") == expected
        assert organization.ask(role, "kms:GenerateDataKey", key, by_s3) == expected
        for closed in ("shop-two/Notes", "shop/Build", "shop/Source"):
            assert organization.ask(role, "s3:PutObject", f"{bucket}/{closed}/AbC") == "implicitly denied"
        assert organization.ask(role, "kms:GenerateDataKey", key) == "implicitly denied"


def test_who_fetches_revisions_over_there_may_read_and_decrypt_and_nothing_else(line):
    assert actions_over_there(line.templates["Production"], "WebPolicy") == {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "kms:Decrypt",
    }


def test_the_store_of_the_region_lets_in_these_roles_alone(line):
    (key,) = of_type(line.templates["Abroad"], "AWS::KMS::Key").values()
    admitted = {
        role
        for statement in key["KeyPolicy"]["Statement"]
        for role in statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", ())
    }
    roles = of_type(line.templates["Production"], "AWS::IAM::Role").values()
    assert admitted == {f"arn:aws:iam::333333333333:role/{role['RoleName']}" for role in roles}


def test_stores_and_targets_are_deployed_before_the_pipeline_and_wait_for_nothing(line):
    waits = {
        stack.stack_name: {one.id for one in stack.dependencies if not one.id.endswith(".assets")}
        for stack in line.assembly.stacks
    }
    assert waits.pop("Shop") == {"Abroad", "Beside", "Production", "Staging"}
    assert set().union(*waits.values()) == set()


def test_no_principal_is_named_that_might_not_exist_yet(line):
    for template in line.templates.values():
        for principal in principals(template):
            assert principal == "*" or text_of(principal).endswith(":root")


def principals(node):
    if isinstance(node, dict):
        if isinstance(node.get("Principal"), dict) and "AWS" in node["Principal"]:
            yield node["Principal"]["AWS"]
        for value in node.values():
            yield from principals(value)
    elif isinstance(node, list):
        for value in node:
            yield from principals(value)


def test_no_name_is_longer_than_iam_takes_or_taken_twice(line):
    names = [
        role["RoleName"]
        for template in line.templates.values()
        for role in of_type(template, "AWS::IAM::Role").values()
        if "RoleName" in role
    ]
    assert len(names) == len(set(names)) == 4
    assert max(map(len, names)) <= 64


def test_roles_that_fetch_in_the_pipelines_account_keep_the_names_that_cloudformation_makes():
    line = Line()
    beside = line.at(VIRGINIA, "Beside")
    web = iam.Role(beside, "Web", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    reading = Permissions(beside, "WebPolicy", role_names=[web.role_name])
    line.deploys(Deploying(reader=Reader(beside, reading.add, roles=[web])), beside)
    template = synthesized(beside)
    assert actions_over_there(template, "WebPolicy") == {"s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"}
    assert ["RoleName" in role for name, role in of_type(template, "AWS::IAM::Role").items() if "Web" in name] == [
        False
    ]


def test_who_stays_at_home_keeps_the_names_that_cloudformation_makes():
    line = Line(abroad=False)
    line.deploys(Deploying(), Stack(line.app, "Neighbour", env=TOOLING.env))
    template = synthesized(line.stack)
    assert "RoleName" not in only(template, "AWS::IAM::Role")
    assert all("BucketName" not in bucket for bucket in of_type(template, "AWS::S3::Bucket").values())


@given(stack=st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,60}", fullmatch=True))
def test_any_place_gives_a_role_a_name_that_iam_takes(stack):
    role = iam.Role(
        Stack(App(), stack, env=PRODUCTION.env), "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")
    )
    name = fixed_role_arn(role).removeprefix("arn:aws:iam::333333333333:role/")
    assert 1 <= len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def test_a_role_in_a_nested_stack_has_the_same_name_at_each_synth():
    def name_of_role(more):
        stack = Stack(App(), "Shop", env=PRODUCTION.env)
        for number in range(more):
            NestedStack(stack, f"More{number}")
        return fixed_role_arn(iam.Role(NestedStack(stack, "Part"), "Role", assumed_by=iam.AccountRootPrincipal()))

    assert name_of_role(0) == name_of_role(0) == name_of_role(2)


def test_a_role_keeps_the_name_and_path_that_it_has():
    stack = Stack(App(), "Shop", env=PRODUCTION.env)
    service = iam.ServicePrincipal("ec2.amazonaws.com")
    named = iam.Role(stack, "Named", assumed_by=service, role_name="web", path="/fleet/")
    imported = "arn:aws:iam::333333333333:role/theirs/web"
    assert fixed_role_arn(named.without_policy_updates()) == "arn:aws:iam::333333333333:role/fleet/web"
    assert fixed_role_arn(iam.Role.from_role_arn(stack, "Arn", imported)) == imported
    by_name = iam.Role.from_role_name(stack, "ByName", "web")
    assert fixed_role_arn(by_name) == "arn:aws:iam::333333333333:role/web"


def test_a_role_over_there_can_be_allowed_more():
    stack = Stack(App(), "Shop", env=PRODUCTION.env)
    target = TargetAccount(stack, "Target", pipeline_name="shop", pipeline_role_arn="arn:aws:iam::111111111111:role/x")
    target.allow(Statement(actions=["sns:Publish"], resources=["arn:aws:sns:us-east-1:333333333333:news"]))
    (policy,) = of_type(synthesized(stack), "AWS::IAM::ManagedPolicy").values()
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == ["sns:Publish"]


def test_another_account_pulls_images_by_a_role_that_is_let_in_by_name():
    app = App()
    tooling, there = Stack(app, "Shop", env=TOOLING.env), Stack(app, "There", env=PRODUCTION.env)
    tasks = iam.ServicePrincipal("ecs-tasks.amazonaws.com")
    roles = [iam.Role(there, id, assumed_by=tasks) for id in ("Web", "Worker")]
    repository = ecr.Repository(tooling, "Images", repository_name="shop")
    for role in (*roles, iam.Role(tooling, "Own", assumed_by=tasks)):
        let_pull(repository, role)
    (statement,) = only(synthesized(tooling), "AWS::ECR::Repository")["RepositoryPolicyText"]["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::333333333333:root"}
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [fixed_role_arn(role) for role in roles]}}
    assert "Resource" not in statement


def test_fails_when_the_repository_has_no_name_that_another_account_could_know():
    app = App()
    role = iam.Role(Stack(app, "There", env=PRODUCTION.env), "Web", assumed_by=iam.AccountRootPrincipal())
    repository = ecr.Repository(Stack(app, "Shop", env=TOOLING.env), "Images")
    with refuses("'Shop/Images' in account 111111111111 has no name", at="There/Web", fix="repository_name="):
        let_pull(repository, role)


def test_fails_when_the_name_of_a_role_is_not_known():
    stack = a_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    with refuses("the name of role 'Shop/Role' is not known", at="Shop/Role", fix="with account and region"):
        fixed_role_arn(role)


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"name": "pre-prod"}, "letters and digits"),
        ({"name": ""}, "start with a letter"),
        ({"account": "12345678901"}, "twelve digits"),
        ({"account": "1234-5678-9012"}, "twelve digits"),
        ({"account": 123456789012}, "in quotes"),
        ({"account": "٠١٢٣٤٥٦٧٨٩٠١"}, "twelve digits"),
        ({"region": "eu-west-1a"}, "without a zone's letter"),
        ({"region": "Ireland"}, "eu-west-1"),
        ({"region": "eu_west_1"}, "eu-west-1"),
    ],
)
def test_fails_when_no_environment_looks_like_that(settings, fix):
    given = {"name": "Production", "account": "333333333333", "region": "us-east-1"} | settings
    ((argument, value),) = settings.items()
    with refuses(f"{argument}={value!r}", at=f"TargetEnvironment({given['name']!r})", fix=fix):
        TargetEnvironment(**given)


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-east-1", "cn-northwest-1", "us-iso-east-1", "mx-central-1"])
def test_an_environment_of_any_partition_is_data_for_stacks(region):
    env = TargetEnvironment("Production", account="012345678901", region=region).env
    assert (env.account, env.region) == ("012345678901", region)


def test_fails_when_a_region_has_no_store():
    line = Line(abroad=False)
    with refuses(
        "'Production' deploys to stack 'Production' in us-east-1",
        "no artifact store in that region",
        at="Shop",
        fix="of account 111111111111 and region us-east-1",
    ):
        line.deploys(Deploying(), line.at(PRODUCTION))


def test_fails_when_a_store_is_in_another_account():
    line = Line(abroad=False)
    store = ArtifactStore(line.at(PRODUCTION), "Artifacts")
    with refuses("account 333333333333", at="Shop", fix="in a stack of account 111111111111"):
        line.aim(cross_region_stores=[store])


def test_fails_when_a_region_has_two_stores():
    line = Line()
    second = ArtifactStore(line.at(VIRGINIA, "Second"), "Artifacts")
    with refuses("'Second/Artifacts'", "so is 'Abroad/Artifacts'", at="Shop", fix="one store for each region"):
        line.aim(cross_region_stores=[*line.abroad, second])


def test_fails_when_the_store_of_another_region_is_in_the_pipelines():
    line = Line(abroad=False)
    with refuses("the pipeline's own", at="Shop", fix="artifact_store="):
        line.aim(cross_region_stores=[line.home])


def test_fails_when_stores_are_no_list():
    line = Line(abroad=False)
    with refuses("cross_region_stores=ArtifactStore is no list", at="Shop", fix="cross_region_stores=["):
        line.aim(cross_region_stores=line.home)


def test_fails_when_nothing_says_where_a_store_or_the_pipeline_is():
    line = Line(env=None, abroad=False)
    store = ArtifactStore(line.at(VIRGINIA), "Artifacts")
    with refuses("nothing says which", at="Shop", fix="env= with account and region"):
        line.aim(cross_region_stores=[store])


@pytest.mark.parametrize(("ours", "theirs"), [(None, PRODUCTION.env), (TOOLING.env, None)])
def test_fails_when_nothing_says_whether_the_target_is_somewhere_else(ours, theirs):
    line = Line(env=ours, abroad=False)
    with refuses("deploys to stack 'There'", "nothing says whether", at="Shop", fix="env= with account and region"):
        line.deploys(Deploying(), Stack(line.app, "There", env=theirs))


def test_two_stacks_of_no_environment_are_taken_for_the_same():
    line = Line(env=None, abroad=False)
    action = Deploying()
    line.deploys(action, Stack(line.app, "There"))
    assert not action.seen[0].elsewhere


def test_fails_when_the_store_is_not_where_the_pipeline_is():
    line = Line()
    line.targets = line.aim(store=line.abroad[0], cross_region_stores=[])
    with refuses("region us-east-1, the pipeline in 111111111111, eu-west-1", at="Shop", fix="the pipeline's own"):
        line.deploys(Deploying(), line.at(STAGING))


def test_fails_when_the_target_is_in_another_partition():
    line = Line()
    china = TargetEnvironment("China", account="444444444444", region="cn-north-1")
    with refuses("in cn-north-1", "no role of one partition", at="Shop", fix="make a pipeline in cn-north-1"):
        line.deploys(Deploying(), line.at(china))


def test_fails_when_the_target_is_in_another_stage():
    line = Line()
    there = Stack(Stage(line.app, "Prod"), "Shop", env=PRODUCTION.env)
    with refuses("'Prod/Shop'", "another cdk.Stage", at="Shop", fix="in one Stage"):
        line.deploys(Deploying(), there)


def test_fails_when_the_target_waits_for_the_pipeline():
    line = Line()
    there = line.at(STAGING)
    there.add_stack_dependency(line.stack)
    with refuses("'Staging' has to be deployed before", at="Shop", fix="a third stack"):
        line.deploys(Deploying(), there)


def test_fails_when_a_build_is_elsewhere():
    line = Line()
    build = ArtifactStore(line.at(STAGING, "Builds"), "Project")
    for action, stack in ((Deploying(builds=[build]), None), (Deploying(builds=[build]), line.at(STAGING))):
        with refuses("a build in another account or region", at="Shop", fix="the pipeline's account and region"):
            line.deploys(action, stack)


def test_fails_when_a_project_of_the_pipelines_account_is_to_run_elsewhere():
    line = Line()
    check = CodeBuildAction(build=BuildProject(line.stack, "Check"))
    with refuses("a build in another account or region", at="Shop", fix="the pipeline's account and region"):
        line.deploys(check, line.at(STAGING))


def test_a_build_at_home_may_check_what_is_about_to_change_elsewhere():
    line = Line()
    staging, project = line.at(STAGING), BuildProject(line.stack, "Check")
    infrastructure = StackDeployment(
        staging,
        "Infrastructure",
        stack_name="Shop",
        template_path="template.yml",
        statements=[Statement(actions=["sns:CreateTopic"], resources=["arn:aws:sns:eu-west-1:222222222222:news"])],
        approval=CodeBuildAction(build=project),
    )
    build = codepipeline.Artifact("Build")
    context = a_context(pipeline_name="shop", revision=build, artifacts={"Build": build}, scope=line.stack)
    made = line.targets.stage_action(infrastructure, context)
    assert list(made.builds) == [project]
    (_, check) = made.prepared_by
    assert check.action_properties.role is None
    assert made.action.action_properties.role is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"category": codepipeline.ActionCategory.SOURCE},
        {"category": codepipeline.ActionCategory.APPROVAL},
        {"owner": "ThirdParty"},
        {"owner": "Custom"},
    ],
)
def test_fails_when_an_action_can_only_run_where_the_pipeline_is(settings):
    line = Line()
    with refuses("the pipeline's own account and region only", at="Shop", fix="leave out TargetAction"):
        line.deploys(Deploying(**settings), line.at(STAGING))


@pytest.mark.parametrize("reader", [lambda _: None, Reader(a_stack(), lambda _: None)])
def test_fails_when_nobody_knows_who_fetches_the_revision(reader):
    line = Line()
    with refuses("in account 222222222222 by roles that are not known", at="Shop", fix="roles=["):
        line.deploys(Deploying(reader=reader), line.at(STAGING))


def test_fails_when_what_one_target_makes_goes_to_another():
    line = Line()
    line.deploys(Deploying(makes=["Notes"]), line.at(STAGING))
    with refuses("'Notes'", "made in account 222222222222", at="Shop", fix="in the pipeline's account"):
        line.deploys(Deploying(takes=["Notes"]), line.at(PRODUCTION))


def test_what_a_target_makes_can_be_used_by_itself_and_at_home():
    line = Line()
    staging = line.at(STAGING)
    line.deploys(Deploying(makes=["Notes"]), staging)
    for stack in (staging, Stack(line.app, "Beside", env=VIRGINIA.env), None):
        action = Deploying(takes=["Notes"])
        line.deploys(action, stack)
        assert len(action.seen) == 1


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (None, "in eu-west-1, which is made in us-east-1"),
        (STAGING, "in eu-west-1, which is made in us-east-1"),
        (TOKYO, "in ap-northeast-1, which is made in us-east-1"),
    ],
)
def test_fails_when_what_another_region_makes_is_to_leave_it(place, problem):
    line = Line()
    line.targets = line.aim(cross_region_stores=[*line.abroad, ArtifactStore(line.at(TOKYO, "Asia"), "Artifacts")])
    beside = Stack(line.app, "Beside", env=VIRGINIA.env)
    line.deploys(Deploying(makes=["Notes"]), beside)
    line.deploys(Deploying(takes=["Build", "Notes"]), beside)
    there = None if place is None else line.at(place, "There")
    with refuses("'Notes'", problem, at="Shop", fix="make it in eu-west-1, or use it in us-east-1 alone"):
        line.deploys(Deploying(takes=["Build", "Notes"]), there)
