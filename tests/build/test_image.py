"""The image build: a repository whose tags stay, a role that pushes there alone, and a no to what would fail."""

import json
import shlex
from contextlib import suppress
from typing import Any

import pytest
import yaml
from aws_cdk import App, CfnParameter, Duration, Environment, RemovalPolicy, Stack, assertions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from hypothesis import given, settings
from hypothesis import strategies as st

from code_family_constructs import ArtifactStore, Build, BuildProject, Buildspec, DeliveryPipeline
from code_family_constructs.build.buildspec import Artifacts, Phase, Phases
from code_family_constructs.build.image import ImageBuild
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.testing import synthesized
from tests.build.test_image_checks import ARTICLE, LOGIN, PUSH, WRITE
from tests.helpers import a_source, a_stack, allowed, of_type, only, refuses
from tests.stacks.review import (
    Review,
    assert_both_packs_find_nothing,
    assert_cfn_lint_accepts,
    assert_no_token_leaks,
)

PROJECT, REPOSITORY = "AWS::CodeBuild::Project", "AWS::ECR::Repository"
OWN = Buildspec(
    phases=Phases(build=Phase(commands=[LOGIN, "docker build -t $REPOSITORY_URI:$TAG .", PUSH, WRITE])),
    artifacts=Artifacts(files=["imageDetail.json"]),
)
FOREIGN_ARN = "arn:aws:ecr:eu-west-1:333333333333:repository/team/shop"
SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/npm-a1b2c3"
HERE = Environment(account="111111111111", region="eu-west-1")


def released(app):
    """In a pipeline, with everything that is made when nothing is given."""
    stack = Stack(app, "Released")
    DeliveryPipeline(stack, "Pipeline", source=a_source(), build=ImageBuild(stack, "Image"))
    return stack


def varied(app):
    """An image that goes with the stack, one for a repository that is there, one's own buildspec, a Docker server."""
    stack = Stack(app, "Varied")
    store = ArtifactStore(stack, "Artifacts")
    web = ImageBuild(
        stack,
        "Web",
        directory="web",
        build_args={"VERSION": "1.4", "KEY": store.key.key_arn},
        repository_name="shop/web",
        encryption_key=store.key,
        mutable_tags=["latest", "pr-*"],
        max_image_count=50,
        removal_policy=RemovalPolicy.DESTROY,
    )
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-12345678", "subnet-22345678"],
        private_subnet_route_table_ids=["rtb-12345678", "rtb-22345678"],
    )
    shared = ecr.Repository.from_repository_name(stack, "Shared", "team/worker")
    worker = ImageBuild(
        stack, "Worker", repository=shared, platform=ecr_assets.Platform.LINUX_ARM64, layer_cache=False,
        project_name="worker", compute_type=codebuild.ComputeType.MEDIUM, timeout=Duration.hours(1),
        queued_timeout=Duration.hours(1), vpc=vpc,
    )  # fmt: skip
    own = ImageBuild(stack, "Own", buildspec=OWN, layer_cache=False)
    served = ImageBuild(
        stack,
        "Served",
        docker_server=codebuild.DockerServerComputeType.SMALL,
        build_secrets={"npm": secretsmanager.Secret.from_secret_complete_arn(stack, "Npm", SECRET_ARN)},
        environment_variables={"STAGE": "beta"},
    )
    for name, build in (("web", web), ("worker", worker), ("own", own), ("served", served)):
        DeliveryPipeline(stack, name, source=a_source(), build=build, artifact_store=store)
    return stack


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    return {make.__name__: Review(make, tmp_path_factory.mktemp(make.__name__)) for make in (released, varied)}


@pytest.fixture(scope="module")
def plain(reviews):
    return reviews["released"].template


@pytest.fixture(scope="module")
def many(reviews):
    return reviews["varied"].template


def project(template, name):
    [found] = [one for key, one in of_type(template, PROJECT).items() if key.startswith(name)]
    return found


def variables(template, name):
    return {one["Name"]: one["Value"] for one in project(template, name)["Environment"]["EnvironmentVariables"]}


@pytest.mark.parametrize("name", ["released", "varied"])
def test_both_nag_packs_find_nothing(reviews, name):
    assert_both_packs_find_nothing(reviews[name])


@pytest.mark.parametrize("name", ["released", "varied"])
def test_cfn_lint_accepts_the_template_and_no_token_leaks(reviews, name):
    assert_cfn_lint_accepts(reviews[name])
    assert_no_token_leaks(reviews[name])


def test_it_can_be_the_build_of_a_pipeline():
    image: Build = ImageBuild(a_stack(), "Image")
    assert isinstance(image, ImageBuild)
    assert isinstance(image.build, BuildProject)
    assert image.project is image.build.project
    assert image.project_arn == image.build.project_arn


def test_tags_stay_what_they_are_but_for_the_cache(plain):
    repository = only(plain, REPOSITORY)
    assert repository["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    [mutable] = repository["ImageTagMutabilityExclusionFilters"]
    assert mutable["ImageTagMutabilityExclusionFilterValue"] == "cache-*"


def test_without_a_cache_no_tag_moves(many):
    assert len(of_type(many, REPOSITORY)) == 3
    for name, repository in of_type(many, REPOSITORY).items():
        if name.startswith(("Own", "Served")):
            assert repository["ImageTagMutability"] == "IMMUTABLE"
            assert "ImageTagMutabilityExclusionFilters" not in repository


def test_images_are_scanned_when_they_arrive(plain):
    assert only(plain, REPOSITORY)["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_old_images_go_the_untagged_first_and_the_newest_stay(plain, many):
    rules = json.loads(only(plain, REPOSITORY)["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["selection"] for rule in rules] == [
        {"tagStatus": "untagged", "countType": "sinceImagePushed", "countNumber": 1, "countUnit": "days"},
        {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 500},
    ]
    web = of_type(many, REPOSITORY)["WebRepositoryFD65F3F1"]
    assert json.loads(web["LifecyclePolicy"]["LifecyclePolicyText"])["rules"][1]["selection"]["countNumber"] == 50


def test_a_repository_outlives_its_stack_unless_told_otherwise(reviews):
    [kept] = [one for one in reviews["released"].resources.values() if one["Type"] == REPOSITORY]
    assert (kept["DeletionPolicy"], kept["Properties"]["EmptyOnDelete"]) == ("Retain", False)
    gone = reviews["varied"].resources["WebRepositoryFD65F3F1"]
    assert (gone["DeletionPolicy"], gone["Properties"]["EmptyOnDelete"]) == ("Delete", True)


def test_a_repository_that_is_made_as_asked(many):
    web = of_type(many, REPOSITORY)["WebRepositoryFD65F3F1"]
    assert web["RepositoryName"] == "shop/web"
    assert web["EncryptionConfiguration"]["EncryptionType"] == "KMS"
    filters = [one["ImageTagMutabilityExclusionFilterValue"] for one in web["ImageTagMutabilityExclusionFilters"]]
    assert filters == ["cache-*", "latest", "pr-*"]


PUSHES = {
    f"ecr:{action}"
    for action in (
        "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage",
        "UploadLayerPart",
    )
}  # fmt: skip


def test_the_role_may_push_here_pull_its_layers_and_nothing_else(plain):
    repository, logs = only_name(plain, REPOSITORY), only_name(plain, "AWS::Logs::LogGroup")
    of_ecr = {one for one in allowed(plain, "ImageBuildRolePolicy") if one.startswith("ecr:")}
    assert of_ecr == {
        "ecr:GetAuthorizationToken on *",
        *(f"{action} on <{repository}.Arn>" for action in [*PUSHES, "ecr:GetDownloadUrlForLayer"]),
    }
    alone = a_stack()
    ImageBuild(alone, "Image")
    logged = {f"{action} on <{logs}.Arn>" for action in ("logs:CreateLogStream", "logs:PutLogEvents")}
    assert allowed(synthesized(alone), "") == of_ecr | logged


def test_without_a_cache_the_role_reads_no_layer(many):
    arn = "arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/team/worker"
    of_ecr = {one for one in allowed(many, "WorkerBuildRolePolicy") if one.startswith("ecr:")}
    assert of_ecr == {"ecr:GetAuthorizationToken on *", *(f"{action} on {arn}" for action in PUSHES)}


def test_it_builds_in_privileged_mode_on_what_the_image_runs_on(many):
    assert project(many, "Web")["Environment"]["PrivilegedMode"] is True
    assert project(many, "Web")["Environment"]["Type"] == "LINUX_CONTAINER"
    worker = project(many, "Worker")["Environment"]
    assert (worker["PrivilegedMode"], worker["Type"]) == (True, "ARM_CONTAINER")
    assert worker["ComputeType"] == "BUILD_GENERAL1_MEDIUM"
    assert "--platform linux/arm64" in project(many, "Worker")["Source"]["BuildSpec"]


def test_settings_of_the_project_are_passed_on(many):
    worker = project(many, "Worker")
    assert (worker["Name"], worker["TimeoutInMinutes"], worker["QueuedTimeoutInMinutes"]) == ("worker", 60, 60)


def test_the_build_learns_the_repository_and_the_build_arguments_by_variables(many):
    assert set(variables(many, "Web")) == {"REPOSITORY_URI", "BUILD_ARG_VERSION", "BUILD_ARG_KEY"}
    assert variables(many, "Web")["BUILD_ARG_VERSION"] == "1.4"
    assert "Fn::GetAtt" in variables(many, "Web")["BUILD_ARG_KEY"]
    assert set(variables(many, "Own")) == {"REPOSITORY_URI"}


def test_a_secret_is_read_by_the_build_alone_and_stands_nowhere_else(many):
    served = project(many, "Served")
    assert {"Name": "BUILD_SECRET_npm", "Type": "SECRETS_MANAGER", "Value": SECRET_ARN} in served["Environment"][
        "EnvironmentVariables"
    ]
    of_secrets = {one for one in allowed(many, "ServedBuildRolePolicy") if one.startswith("secretsmanager:")}
    assert of_secrets == {f"secretsmanager:GetSecretValue on {SECRET_ARN}"}
    assert "--secret id=npm,env=BUILD_SECRET_npm" in served["Source"]["BuildSpec"]
    assert SECRET_ARN not in served["Source"]["BuildSpec"]


def test_a_docker_server_takes_the_place_of_privileged_mode_and_of_the_cache(many):
    served = project(many, "Served")
    assert served["Environment"]["PrivilegedMode"] is False
    assert served["Environment"]["DockerServer"]["ComputeType"] == "BUILD_GENERAL1_SMALL"
    assert "buildx create" not in served["Source"]["BuildSpec"]
    assert not any("GetDownloadUrlForLayer" in one for one in allowed(many, "ServedBuildRolePolicy"))


def test_what_the_build_should_reach_and_know_beyond_is_passed_on(many):
    assert variables(many, "Served")["STAGE"] == "beta"
    assert len(project(many, "Worker")["VpcConfig"]["Subnets"]) == 2


def test_the_generated_buildspec_has_no_finding(plain):
    text = project(plain, "Image")["Source"]["BuildSpec"]
    assert isinstance(text, str)
    assert Buildspec.from_text(text).findings == ()


def only_child(construct: Any) -> Any:
    """The CloudFormation resource of an L2."""
    return construct.node.default_child


def only_name(template, type_):
    (name,) = of_type(template, type_)
    return name


def test_names_of_what_holds_state_are_kept(plain):
    """A changed logical id is a new, empty repository."""
    assert only_name(plain, REPOSITORY) == "ImageRepositoryD8036990"


# What is refused.


@pytest.mark.parametrize(
    "name", ["", "a", "Shop", "shop_", "-shop", "shop//web", "a..b", "shop/", "shop web", "a" * 257]
)
def test_fails_when_ecr_would_refuse_the_name(name):
    with refuses("repository name", repr(name), at="Shop/Image", fix="2 to 256 lower case letters"):
        ImageBuild(a_stack(), "Image", repository_name=name)


@settings(max_examples=20)
@given(st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*", fullmatch=True).filter(
    lambda name: 2 <= len(name) <= 256))  # fmt: skip
def test_names_that_ecr_takes_are_accepted(name):
    stack = a_stack()
    image = ImageBuild(stack, "Image", repository_name=name)
    assert stack.resolve(only_child(image.repository).repository_name) == name


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        ({"directory": "/web"}, "outside of the revision"),
        ({"directory": ".."}, "outside of the revision"),
        ({"directory": "web/../../x"}, "outside of the revision"),
        ({"dockerfile": "../Dockerfile"}, "outside of the revision"),
        ({"directory": "web", "dockerfile": "../../Dockerfile"}, "outside of the revision"),
        ({"directory": "web", "dockerfile": "/Dockerfile"}, "outside of the revision"),
        ({"directory": ""}, "no path in a revision"),
        ({"dockerfile": ""}, "no path in a revision"),
        ({"directory": "-"}, "no path in a revision"),
        ({"dockerfile": "--push"}, "no path in a revision"),
        ({"directory": "./-"}, "no path in a revision"),
        ({"directory": "https://example.com/web.git"}, "no path in a revision"),
        ({"dockerfile": "web\\Dockerfile"}, "no path in a revision"),
        ({"directory": "web\nrm"}, "no path in a revision"),
        ({"dockerfile": "docker/"}, "is a folder"),
        ({"dockerfile": "."}, "is a folder"),
    ],
)
def test_fails_when_a_path_is_not_in_the_revision(paths, problem):
    fix = {"outside of the revision": "give a path relative to", "is a folder": "/Dockerfile"}.get(problem, "slashes")
    given = list(paths.values())[-1]
    with refuses(problem, repr(given), at="Shop/Image", fix=fix):
        ImageBuild(a_stack(), "Image", **paths)


@settings(max_examples=30)
@given(st.text(st.sampled_from("ab./-\\ ~$*'\"\n"), max_size=8), st.text(st.sampled_from("ab./- $'"), max_size=8))
def test_a_path_is_refused_or_stays_in_the_revision_and_is_one_word(directory, dockerfile):
    stack = a_stack()
    with suppress(ConfigurationError):
        image = ImageBuild(stack, "Image", directory=directory, dockerfile=dockerfile)
        text = stack.resolve(only_child(image.project).source)["buildSpec"]
        *_, file, context = shlex.split(yaml.safe_load(text)["phases"]["build"]["commands"][0])
        for path in (file, context):
            assert not path.startswith(("/", "-"))
            assert ".." not in path.split("/")


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "A=B", "Ä"])
def test_fails_when_a_build_argument_has_no_name_of_an_arg(name):
    with refuses(f"build argument {name!r}", at="Shop/Image", fix="letters, digits and underscores"):
        ImageBuild(a_stack(), "Image", build_args={name: "1"})


def test_fails_when_a_build_argument_is_no_text():
    number: str = 3.10  # type: ignore[assignment]
    with refuses("build argument PYTHON is 3.1, not a text", at="Shop/Image", fix="build_args={'PYTHON': '3.1'}"):
        ImageBuild(a_stack(), "Image", build_args={"PYTHON": number})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NPM_TOKEN", "abcdef"),
        ("dbPassword", "hunter2"),
        ("KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("REGISTRY", "https://me:geheim@npm.example.com"),
        ("CONFIG", "{{resolve:secretsmanager:shop/npm:SecretString:token}}"),
        ("API_KEY", "${Token[TOKEN.1]}"),
    ],
)
def test_fails_when_a_build_argument_looks_like_a_secret_and_does_not_repeat_it(name, value):
    with refuses(f"build argument {name}", "in its history", at="Shop/Image", fix="--mount=type=secret") as caught:
        ImageBuild(a_stack(), "Image", build_args={name: value})
    assert value not in str(caught)


def test_fails_when_a_build_argument_is_a_secret_that_cloudformation_would_resolve():
    stack = a_stack()
    secret = secretsmanager.Secret.from_secret_complete_arn(stack, "Npm", SECRET_ARN)
    with pytest.raises(ConfigurationError, match="a secret"):
        ImageBuild(stack, "Image", build_args={"NPM": secret.secret_value.unsafe_unwrap()})


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [
        ("npm", "build secret npm is a text", "give the secret in Secrets Manager"),
        ("npm-token", "build secret 'npm-token' is no id", "letters, digits and underscores"),
    ],
)
def test_fails_when_a_build_secret_is_none_or_has_no_id(name, problem, fix):
    text: Any = "hunter2"
    with refuses(problem, at="Shop/Image", fix=fix):
        ImageBuild(a_stack(), "Image", build_secrets={name: text})


@pytest.mark.parametrize("name", ["REPOSITORY_URI", "BUILD_ARG_VERSION", "BUILD_SECRET_npm"])
def test_fails_when_a_variable_would_replace_one_of_the_builds_own(name):
    with refuses(f"variable {name}", at="Shop/Image", fix="another name"):
        ImageBuild(a_stack(), "Image", environment_variables={name: "1"})


@pytest.mark.parametrize("args", [{"TOKEN_ENABLED": "true"}, {"TOKEN_URL": "https://example.com"}, {"HTTP_PROXY": ""}])
def test_what_only_speaks_of_a_secret_is_a_build_argument(args):
    ImageBuild(a_stack(), "Image", build_args=args)


@pytest.mark.parametrize("name", ["", "web app", "web.app", "web'", "a" * 256])
def test_fails_when_ecs_would_refuse_the_container_name(name):
    with refuses("container name", at="Shop/Image", fix="255"):
        ImageBuild(a_stack(), "Image", container_name=name)


def test_fails_when_the_platform_is_none_of_codebuild():
    with refuses("platform 'linux/riscv64'", at="Shop/Image", fix="LINUX_AMD64 or LINUX_ARM64"):
        ImageBuild(a_stack(), "Image", platform=ecr_assets.Platform.custom("linux/riscv64"))


@pytest.mark.parametrize(
    ("platform", "image"),
    [
        (ecr_assets.Platform.LINUX_ARM64, codebuild.LinuxBuildImage.STANDARD_7_0),
        (ecr_assets.Platform.LINUX_AMD64, codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0),
        (ecr_assets.Platform.LINUX_AMD64, codebuild.LinuxLambdaBuildImage.AMAZON_LINUX_2023_NODE_22),
        (ecr_assets.Platform.LINUX_AMD64, codebuild.WindowsBuildImage.WIN_SERVER_CORE_2019_BASE_3_0),
    ],
)
def test_fails_when_the_build_image_does_not_run_what_is_built(platform, image):
    with refuses(repr(image.image_id), platform.platform, at="Shop/Image", fix="leave build_image= out"):
        ImageBuild(a_stack(), "Image", platform=platform, build_image=image)


def test_a_build_image_of_the_same_platform_is_taken():
    stack = a_stack()
    ImageBuild(stack, "Image", build_image=codebuild.LinuxBuildImage.STANDARD_7_0)
    assert only(synthesized(stack), PROJECT)["Environment"]["Image"] == "aws/codebuild/standard:7.0"


@pytest.mark.parametrize("policy", [RemovalPolicy.SNAPSHOT, RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE])
def test_fails_when_a_repository_cannot_end_like_that(policy):
    with refuses(policy.name, at="Shop/Image", fix="RETAIN or DESTROY"):
        ImageBuild(a_stack(), "Image", removal_policy=policy)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fails_when_so_few_images_are_kept_that_a_running_one_would_go(count):
    with refuses(f"max_image_count={count}", at="Shop/Image", fix="keep 10 or more"):
        ImageBuild(a_stack(), "Image", max_image_count=count)


def test_fails_when_the_number_of_images_is_only_known_when_deployed():
    stack = a_stack()
    count: Any = CfnParameter(stack, "Count", type="Number").value_as_number
    with refuses("max_image_count is not known", at="Shop/Image", fix="plain number"):
        ImageBuild(stack, "Image", max_image_count=count)


@pytest.mark.parametrize(
    ("tags", "problem", "fix"),
    [
        ("latest", "'latest' is no list", "write mutable_tags=['latest']"),
        (["lat:est"], "'lat:est' is no tag", "letters, digits"),
        ([""], "'' is no tag", "letters, digits"),
        (["*"], "lets the tags of commits move", "name the tags"),
        (["4*"], "lets the tags of commits move", "name the tags"),
        (["a", "b", "c", "d", "e"], "6 mutable tags, ECR takes 5, the cache is one", "join some"),
    ],
)
def test_fails_when_tags_cannot_be_mutable(tags, problem, fix):
    with refuses(problem, at="Shop/Image", fix=fix):
        ImageBuild(a_stack(), "Image", mutable_tags=tags)


@pytest.mark.parametrize(
    "beside",
    [
        {"repository_name": "shop"},
        {"mutable_tags": ["latest"]},
        {"max_image_count": 50},
        {"removal_policy": RemovalPolicy.DESTROY},
    ],
)
def test_fails_when_a_setting_of_a_new_repository_stands_beside_one_that_is_there(beside):
    stack = a_stack()
    shared = ecr.Repository.from_repository_name(stack, "Shared", "shop")
    with refuses(f"{next(iter(beside))}= beside repository=", at="Shop/Image", fix="out"):
        ImageBuild(stack, "Image", repository=shared, **beside)


def test_fails_when_a_key_stands_beside_a_repository_that_is_there():
    stack = a_stack()
    shared = ecr.Repository.from_repository_name(stack, "Shared", "shop")
    with refuses("encryption_key= beside repository=", at="Shop/Image", fix="out"):
        ImageBuild(stack, "Image", repository=shared, encryption_key=kms.Key(stack, "Key"))


@pytest.mark.parametrize(
    "beside",
    [
        {"directory": "web"},
        {"dockerfile": "web.Dockerfile"},
        {"build_args": {"A": "1"}},
        {"container_name": "web"},
        {"build_secrets": {"npm": object()}},
    ],
)
@pytest.mark.parametrize("buildspec", [OWN, "image.yml"])
def test_fails_when_a_setting_of_the_generated_buildspec_stands_beside_ones_own(beside, buildspec):
    with refuses(f"{next(iter(beside))}= beside buildspec=", at="Shop/Image", fix="out"):
        ImageBuild(a_stack(), "Image", buildspec=buildspec, **beside)


def test_a_buildspec_of_ones_own_is_the_projects():
    stack = a_stack()
    ImageBuild(stack, "Image", buildspec=OWN)
    assert Buildspec.from_text(only(synthesized(stack), PROJECT)["Source"]["BuildSpec"]) == OWN
    other = a_stack()
    ImageBuild(other, "Image", buildspec="ci/image.yml")
    assert only(synthesized(other), PROJECT)["Source"]["BuildSpec"] == "ci/image.yml"


def test_fails_when_ones_own_buildspec_does_not_push():
    silent = Buildspec(phases=Phases(build=Phase(commands=["docker build ."])), artifacts=OWN.artifacts)
    with refuses("BS701", "pushes an image", at="Shop/Image", fix="docker push"):
        ImageBuild(a_stack(), "Image", buildspec=silent)


def test_the_articles_buildspec_says_that_latest_moves_and_is_taken():
    article = Buildspec.from_text(ARTICLE)
    with refuses("BS705", "latest", at="Shop/Image", fix="mutable_tags=['latest']"):
        ImageBuild(a_stack(), "Image", buildspec=article)
    stack = a_stack()
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    repository = {"ECR_REPO": shop.repository_uri}
    ImageBuild(stack, "Image", buildspec=article, mutable_tags=["latest"], environment_variables=repository)
    found = assertions.Annotations.from_stack(stack)
    assert found.find_warning("/Shop/Image", assertions.Match.string_like_regexp("BS704"))
    ImageBuild(stack, "There", buildspec=article, repository=shop, environment_variables=repository)


def test_fails_when_the_repository_is_in_another_region():
    stack = Stack(App(), "Shop", env=Environment(account="333333333333", region="us-east-1"))
    there = ecr.Repository.from_repository_arn(stack, "There", FOREIGN_ARN)
    with refuses("eu-west-1", "us-east-1", at="Shop/Image", fix="replicate it to eu-west-1"):
        ImageBuild(stack, "Image", repository=there)


def test_a_repository_of_another_account_that_cannot_be_looked_at_is_a_warning():
    stack = Stack(App(), "Shop", env=HERE)
    ImageBuild(stack, "Image", repository=ecr.Repository.from_repository_arn(stack, "There", FOREIGN_ARN))
    [warning] = assertions.Annotations.from_stack(stack).find_warning(
        "/Shop/Image", assertions.Match.string_like_regexp("333333333333")
    )
    assert "ecr:PutImage" in str(warning.entry.data)


def test_fails_when_a_repository_of_another_account_lets_nobody_push():
    app = App()
    stack = Stack(app, "Shop", env=HERE)
    central = Stack(app, "Central", env=Environment(account="333333333333", region="eu-west-1"))
    repository = ecr.Repository(central, "Repository", repository_name="shop")
    account = iam.AccountPrincipal("111111111111")
    repository.add_to_resource_policy(iam.PolicyStatement(principals=[account], actions=["ecr:BatchGetImage"]))
    with refuses("does not let in", "333333333333", at="Shop/Image", fix="allow account 111111111111 ecr:"):
        ImageBuild(stack, "Image", repository=repository)
    repository.add_to_resource_policy(iam.PolicyStatement(principals=[account], actions=sorted(PUSHES)))
    ImageBuild(stack, "Central", repository=repository)


def test_parameters_are_let_through():
    stack = a_stack()
    text = CfnParameter(stack, "Text").value_as_string
    ImageBuild(
        stack, "Image", repository_name=text, directory=text, dockerfile=text, build_args={"A": text},
        container_name=text, project_name=text,
    )  # fmt: skip
    template = synthesized(stack)
    assert only(template, REPOSITORY)["RepositoryName"] == {"Ref": "Text"}
    assert "${Token" not in json.dumps(template)
