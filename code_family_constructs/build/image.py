"""Floor 1: turn a revision into an image that ECS or Lambda can run."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from aws_cdk import Annotations, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_kms as kms
from constructs import Construct

from code_family_constructs.build.buildspec import Artifacts, Buildspec, Env, Phase, Phases
from code_family_constructs.build.buildspec_checks import credential_in, sounds_secret
from code_family_constructs.build.compute import DEFAULT_IMAGE
from code_family_constructs.build.image_checks import DEPLOY_FILES, check_image
from code_family_constructs.build.project import BuildProject
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.names import NameRule, check_name
from code_family_constructs.permissions import Statement
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from typing import TypeAlias

    from aws_cdk import aws_secretsmanager as secretsmanager
    from aws_cdk import aws_ssm as ssm

    from code_family_constructs.build.environment import SecretField, SecureParameter, Value

    BuildSecret: TypeAlias = "ssm.IParameter | secretsmanager.ISecret | SecureParameter | SecretField"

_DIRECTORY = "."
_DOCKERFILE = "Dockerfile"
_CONTAINER_NAME = "app"
# Several weeks of a busy team's builds: what runs in production may be older than what was built last.
_MAX_IMAGE_COUNT = 500
# A tag for each platform: builds for both may push to one repository.
_CACHE_TAGS = "cache-*"


class ImageBuild(Construct):
    """Builds a Docker image of each revision, pushes it to ECR, and tells the next action which one it was.

    Creates a `BuildProject` in privileged mode, which Docker needs, with a role that may push to this one repository,
    and the repository unless one is given: scanned on push, encrypted, its tags immutable; ECR speaks TLS only. It is
    passed to a pipeline as `build=`. What it leaves behind names the image by its digest, which no later push can move:

    - `imageDetail.json`, which CodeDeploy deployments to ECS read,
    - `imagedefinitions.json`, which the ECS deploy action reads,
    - the variables `IMAGE_URI`, `IMAGE_TAG` and `IMAGE_DIGEST`, for other actions.

    Each build pushes a tag of its own, the beginning of the commit and of the build's id (`4f2a9c1d0b7e-b1e6661e`): the
    same commit can be built again, for a patched base image say, and from an image its commit and its log can be found.
    Images are single manifests without attestations, since Lambda takes no other.

    A build starts from the layers of the last one, those of all stages, which it keeps in the repository under the tag
    `cache-amd64` or `cache-arm64`. For that BuildKit runs in a container, whose own image comes from Docker Hub; when
    it does not start, the build goes on without a cache and says so. Docker Hub limits anonymous pulls by address, and
    CodeBuild's addresses are shared: take base images from `public.ecr.aws/docker/library` instead.

    Costs (us-east-1): 0.005 USD for a minute of the smallest x86 build, a third less on ARM; 0.10 USD for a GB and
    month in ECR, layers that images share counted once. Scans are free, and so is encryption without a key of your own.

    A pipeline can also build with the action `EcrBuildAndPublish`, without a project: for a plain Dockerfile on x86,
    without build arguments, secrets or cache. It leaves no artifact, which `EcsDeployment` would need.

    Args:
        scope: Parent construct.
        id: Construct id.
        repository: Repository to push to, in the region of the build. One of another account has to allow it in its
            policy. Left out, one is created.
        directory: Folder in the revision that is sent to Docker, its build context.
        dockerfile: Path of the Dockerfile, relative to `directory`.
        build_args: Values of `ARG`s by name. They stay in the image's history: nothing secret belongs there.
        build_secrets: Secrets and parameters by id, for `RUN --mount=type=secret,id=<id>` in the Dockerfile: they leave
            no trace in the image. The build may read exactly these.
        platform: What the image runs on. It is also what it is built on, so that nothing is emulated.
        container_name: Name in the task definition of the container that gets the image.
        layer_cache: Whether builds start from the layers of the last one; of a buildspec of your own, whether it may
            pull from the repository, and move tags that start with `cache-`.
        buildspec: A `Buildspec` of your own, which is checked for what is said above, or the path of one in the
            revision, of which nothing is known here. It finds the repository in the variable `REPOSITORY_URI`.
        repository_name: Name of the repository that is created; CloudFormation makes one when it is left out.
        encryption_key: Key for the repository that is created (1 USD a month, for one of your own). Another key later
            means another, empty repository.
        mutable_tags: Tags, or patterns with `*`, that builds may move, such as `latest`. For deployments by digest none
            is needed.
        max_image_count: How many images are kept, the newest. An image that still runs has to be among them: a task
            that starts pulls it again. Images without a tag, such as old caches, go after a day.
        removal_policy: RETAIN keeps the repository when the stack goes; DESTROY deletes it with its images.
        project_name: Name of the build project, 2 to 150 characters; made from the stack's name when left out.
        build_image: Image to build in; the current Amazon Linux 2023 image for the platform when left out.
        compute_type: How many cores and how much memory, the smallest when left out; a size up doubles the price.
        docker_server: Size of a host for Docker that keeps the layers of all builds, billed while builds run. It takes
            the place of the cache in the repository, and of privileged mode.
        environment_variables: Further variables of the build, as for `BuildProject`; for a buildspec of your own.
        vpc: A VPC whose hosts the build should reach.
        subnet_selection: Which of its subnets.
        timeout: When a build that still runs is stopped, 5 minutes to 36 hours.
        queued_timeout: When a build that has not started is given up, 5 minutes to 8 hours.

    Raises:
        ConfigurationError: What ECR, Docker or CodeBuild would refuse; a build argument that looks like a secret; a
            path outside of the revision; a buildspec that pushes no image or does not tell which.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: ecr.IRepository | None = None,
        directory: str = _DIRECTORY,
        dockerfile: str = _DOCKERFILE,
        build_args: Mapping[str, str] | None = None,
        build_secrets: "Mapping[str, BuildSecret] | None" = None,
        platform: ecr_assets.Platform = ecr_assets.Platform.LINUX_AMD64,
        container_name: str = _CONTAINER_NAME,
        layer_cache: bool = True,
        buildspec: Buildspec | str | None = None,
        repository_name: str | None = None,
        encryption_key: kms.IKey | None = None,
        mutable_tags: Sequence[str] = (),
        max_image_count: int = _MAX_IMAGE_COUNT,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        project_name: str | None = None,
        build_image: codebuild.IBuildImage | None = None,
        compute_type: codebuild.ComputeType | None = None,
        docker_server: codebuild.DockerServerComputeType | None = None,
        environment_variables: "Mapping[str, Value] | None" = None,
        vpc: ec2.IVpc | None = None,
        subnet_selection: ec2.SubnetSelection | None = None,
        timeout: Duration | None = None,
        queued_timeout: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        runs_on = platform.platform
        image = _build_image(self, runs_on, build_image)
        # A Docker server keeps the layers itself.
        in_registry = layer_cache and docker_server is None
        moving_tags = _moving_tags(self, mutable_tags, in_registry)
        args, secrets = _build_args(self, build_args or {}), _build_secrets(self, build_secrets or {})
        variables = _variables(self, args, secrets, environment_variables or {})
        if buildspec is None:
            folder = _path(self, "directory", directory)
            spec: Buildspec | str = _generated(
                platform=runs_on,
                directory=folder,
                dockerfile=_path(self, "dockerfile", dockerfile, folder=folder),
                build_args=args,
                build_secrets=secrets,
                container_name=_container(self, container_name),
                layer_cache=in_registry,
            )
        else:
            _check_unused(
                self,
                "buildspec",
                directory=directory != _DIRECTORY,
                dockerfile=dockerfile != _DOCKERFILE,
                build_args=bool(args),
                build_secrets=bool(secrets),
                container_name=container_name != _CONTAINER_NAME,
            )
            if not isinstance(buildspec, str):
                _check_own(self, buildspec, image.image_id, None if repository is not None else moving_tags)
            spec = buildspec
        if repository is not None:
            _check_unused(
                self,
                "repository",
                repository_name=repository_name is not None,
                encryption_key=encryption_key is not None,
                mutable_tags=bool(mutable_tags),
                max_image_count=max_image_count != _MAX_IMAGE_COUNT,
                removal_policy=removal_policy is not RemovalPolicy.RETAIN,
            )
            _check_place(self, repository)
        else:
            _check_new(self, repository_name, max_image_count, removal_policy)

        self.repository: ecr.IRepository = repository or ecr.Repository(
            self,
            "Repository",
            repository_name=repository_name,
            image_scan_on_push=True,
            image_tag_mutability=(
                ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION if moving_tags else ecr.TagMutability.IMMUTABLE
            ),
            image_tag_mutability_exclusion_filters=[
                ecr.ImageTagMutabilityExclusionFilter.wildcard(tag) for tag in moving_tags
            ]
            or None,
            encryption_key=encryption_key,
            lifecycle_rules=[
                ecr.LifecycleRule(tag_status=ecr.TagStatus.UNTAGGED, max_image_age=Duration.days(1)),
                ecr.LifecycleRule(tag_status=ecr.TagStatus.ANY, max_image_count=max_image_count),
            ],
            removal_policy=removal_policy,
            empty_on_delete=removal_policy is RemovalPolicy.DESTROY,
        )
        given: dict[str, Any] = {
            "project_name": project_name,
            "compute_type": compute_type,
            "docker_server": docker_server,
            "vpc": vpc,
            "subnet_selection": subnet_selection,
            "timeout": timeout,
            "queued_timeout": queued_timeout,
        }
        self.build = BuildProject(
            self,
            "Build",
            buildspec=spec,
            build_image=image,
            privileged=docker_server is None,
            environment_variables={"REPOSITORY_URI": self.repository.repository_uri, **variables},
            **{name: value for name, value in given.items() if value is not None},
        )
        self.build.allow(*_permissions(self.repository.repository_arn, pull=in_registry))
        self.project = self.build.project
        self.project_arn = self.build.project_arn

    def use_artifacts(self, key: kms.IKey, key_arn: str, statements: Sequence[Statement]) -> None:
        """Binds the build to a pipeline's artifacts: called by the pipeline that runs it.

        Args:
            key: Key of the artifacts; the build's log is encrypted with it too.
            key_arn: Its ARN.
            statements: What the build may do with the artifacts.

        Raises:
            ConfigurationError: A pipeline with another key uses the build already.
        """
        self.build.use_artifacts(key, key_arn, statements)


def _generated(
    *,
    platform: str,
    directory: str,
    dockerfile: str,
    build_args: Iterable[str],
    build_secrets: Iterable[str],
    container_name: str,
    layer_cache: bool,
) -> Buildspec:
    """Everything in pre_build and build: post_build runs after a failure too, and would push what is there."""
    # Attestations would make an index of what is pushed, which Lambda refuses:
    # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    options = [
        "docker buildx build --push --pull --provenance=false",
        f"--platform {platform}",
        *(["$LAYERS"] if layer_cache else []),
        *(f'--build-arg {name}="${_ARG}{name}"' for name in build_args),
        *(f"--secret id={name},env={_SECRET}{name}" for name in build_secrets),
        '--tag "$REPOSITORY_URI:$IMAGE_TAG"',
        f"--file {shlex.quote(dockerfile)} {shlex.quote(directory)}",
    ]
    return Buildspec(
        env=Env(shell="bash", exported_variables=["IMAGE_URI", "IMAGE_TAG", "IMAGE_DIGEST"]),  # noqa: S604 - CodeBuild's
        phases=Phases(
            pre_build=Phase(commands=[*_TAG, _LOGIN, *([_start_buildkit(platform)] if layer_cache else [])]),
            build=Phase(
                commands=[
                    " \\\n  ".join(options),
                    _READ_DIGEST,
                    '[[ $IMAGE_DIGEST == sha256:* ]] || { echo "ECR has no image $IMAGE_TAG"; false; }',
                    'export IMAGE_DIGEST IMAGE_URI="$REPOSITORY_URI@$IMAGE_DIGEST"',
                    """printf '{"ImageURI":"%s"}' "$IMAGE_URI" >imageDetail.json""",
                    f"""printf '[{{"name":"{container_name}","imageUri":"%s"}}]' "$IMAGE_URI" >imagedefinitions.json""",
                ]
            ),
        ),
        artifacts=Artifacts(files=DEPLOY_FILES),
    )


# The version is a commit, or what S3 and ECR have instead, or missing: an S3 bucket without versions has none.
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
_TAG = (
    "REVISION=${CODEBUILD_RESOLVED_SOURCE_VERSION##*:}",
    "REVISION=${REVISION//[^0-9A-Za-z]/}",
    "REVISION=${REVISION:-unknown}",
    "BUILD=${CODEBUILD_BUILD_ID##*:}",
    "export IMAGE_TAG=${REVISION:0:12}-${BUILD:0:8}",
)
_LOGIN = 'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"'
# Only BuildKit in a container can keep the layers of all stages in a registry, unless Docker has containerd's image
# store, which CodeBuild's images have not. Nothing about the cache may fail a build.
# https://aws.amazon.com/blogs/devops/reduce-docker-image-build-time-on-aws-codebuild-using-amazon-ecr-as-a-remote-cache
_CACHE_OPTIONS = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"


def _start_buildkit(platform: str) -> str:
    cache = f"type=registry,ref=$REPOSITORY_URI:{_CACHE_TAGS.replace('*', platform.split('/')[1])}"
    return f"""\
if docker buildx create --name image --driver docker-container --bootstrap; then
  export BUILDX_BUILDER=image
  export LAYERS="--cache-from {cache} --cache-to {cache},{_CACHE_OPTIONS}"
else
  echo "BuildKit did not start: this build has no layer cache"
fi"""


# Of the registry and not of Docker, which calls different things a digest. Without the image the answer is None.
_READ_DIGEST = """\
IMAGE_DIGEST=$(aws ecr batch-get-image \\
  --registry-id "${REPOSITORY_URI%%.*}" --repository-name "${REPOSITORY_URI#*/}" \\
  --image-ids "imageTag=$IMAGE_TAG" --query 'images[0].imageId.imageDigest' --output text)"""


# Of the variables that hold arguments and secrets of the image: an argument may be called PATH.
_ARG, _SECRET = "BUILD_ARG_", "BUILD_SECRET_"


def _permissions(repository_arn: str, *, pull: bool) -> list[Statement]:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html and image-pull-iam.html
    return [
        Statement(
            actions=["ecr:GetAuthorizationToken"],
            resources=["*"],
            wildcard_reason="logs in to the registry as a whole; what may be done there is said for one repository",
        ),
        Statement(
            actions=[*_PUSH, *(["ecr:GetDownloadUrlForLayer"] if pull else [])],
            resources=[repository_arn],
        ),
    ]


_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def _build_image(at: Construct, platform: str, given: codebuild.IBuildImage | None) -> codebuild.IBuildImage:
    default, types = _PLATFORMS.get(platform, (None, ()))
    if default is None:
        raise ConfigurationError(
            f"platform {platform!r} is none that CodeBuild has",
            at=at,
            fix="use ecr_assets.Platform.LINUX_AMD64 or LINUX_ARM64",
        )
    if given is None:
        return default
    kind = given.type
    if kind not in types:
        raise ConfigurationError(
            f"build image {given.image_id!r} is of type {kind}, on which Docker builds nothing for {platform}",
            at=at,
            fix=f"leave build_image= out, or give one of type {' or '.join(types)}",
        )
    return given


# Not on Lambda compute, which has no Docker, nor on Windows:
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
_PLATFORMS: Mapping[str, tuple[codebuild.IBuildImage, Sequence[str]]] = {
    "linux/amd64": (DEFAULT_IMAGE, ("LINUX_CONTAINER", "LINUX_GPU_CONTAINER")),
    "linux/arm64": (codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0, ("ARM_CONTAINER",)),
}


def _moving_tags(at: Construct, given: Sequence[str], layer_cache: bool) -> Sequence[str]:
    if isinstance(given, str):
        raise ConfigurationError(f"mutable_tags={given!r} is no list", at=at, fix=f"write mutable_tags=[{given!r}]")
    tags = tuple(dict.fromkeys([*([_CACHE_TAGS] if layer_cache else []), *given]))
    for tag in tags:
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageTagMutabilityExclusionFilter.html
        if not re.fullmatch(r"[0-9A-Za-z._*-]{1,128}", tag):
            raise ConfigurationError(
                f"mutable tag {tag!r} is no tag", at=at, fix="use letters, digits, '.', '_', '-' and '*' as a wildcard"
            )
        if fnmatchcase("4f2a9c1d0b7e-b1e6661e", tag):
            raise ConfigurationError(
                f"mutable tag {tag!r} lets the tags of commits move too", at=at, fix="name the tags: ['latest']"
            )
    if len(tags) > 5:
        raise ConfigurationError(
            f"{len(tags)} mutable tags, ECR takes 5{', the cache is one of them' if layer_cache else ''}",
            at=at,
            fix="join some of them with a '*'",
        )
    return tags


def _path(at: Construct, argument: str, given: str, *, folder: str = "") -> str:
    """The path from the root of the revision."""
    if unresolved(given) or unresolved(folder):
        return posixpath.join(folder, given)
    path = posixpath.normpath(posixpath.join(folder, given))
    if not given.strip() or not given.isprintable() or "\\" in given or "://" in given or path.startswith("-"):
        raise ConfigurationError(
            f"{argument}={given!r} is no path in a revision", at=at, fix="give it with slashes, such as 'services/web'"
        )
    if path.startswith("/") or path.split("/")[0] == "..":
        raise ConfigurationError(
            f"{argument}={given!r} points outside of the revision",
            at=at,
            fix="give a path relative to the root of the repository"
            if not folder
            else f"give a path relative to the directory {folder!r}",
        )
    if folder and posixpath.basename(given) in ("", ".", ".."):
        raise ConfigurationError(
            f"{argument}={given!r} is a folder", at=at, fix=f"write {given.rstrip('/')}/Dockerfile"
        )
    return path


def _build_args(at: Construct, given: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in given.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ConfigurationError(
                f"build argument {name!r} is no name of an ARG", at=at, fix="use letters, digits and underscores"
            )
        if not isinstance(value, str):
            raise ConfigurationError(
                f"build argument {name} is {value!r}, not a text",
                at=at,
                fix=f"write build_args={{{name!r}: '{value}'}}",
            )
        held = credential_in(value, name) or ("what sounds like a secret" if value and sounds_secret(name) else None)
        if "{{resolve:secretsmanager:" in value or "{{resolve:ssm-secure:" in value:
            held = "a secret"
        if held is not None:
            raise ConfigurationError(
                f"build argument {name} holds {held}, for everyone who can pull the image: it stays in its history",
                at=at,
                fix=f"give build_secrets={{{name!r}: …}} the secret in Secrets Manager, and read it in the Dockerfile"
                f" with RUN --mount=type=secret,id={name}",
            )
    return given


def _build_secrets(at: Construct, given: "Mapping[str, BuildSecret]") -> "Mapping[str, BuildSecret]":
    for name, value in given.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ConfigurationError(
                f"build secret {name!r} is no id", at=at, fix="use letters, digits and underscores, no digit first"
            )
        if isinstance(value, str):
            raise ConfigurationError(
                f"build secret {name} is a text, for everyone who can read the project",
                at=at,
                fix="give the secret in Secrets Manager, or the parameter in Parameter Store",
            )
    return given


def _variables(
    at: Construct, args: Mapping[str, str], secrets: "Mapping[str, BuildSecret]", further: "Mapping[str, Value]"
) -> "dict[str, Value]":
    for name in further:
        if name == "REPOSITORY_URI" or name.startswith((_ARG, _SECRET)):
            raise ConfigurationError(f"variable {name} is set for the build already", at=at, fix="give it another name")
    return {
        **{f"{_ARG}{name}": value for name, value in args.items()},
        **{f"{_SECRET}{name}": value for name, value in secrets.items()},
        **further,
    }


def _container(at: Construct, name: str) -> str:
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    check_name(at, name, _CONTAINER_RULE)
    return name


_CONTAINER_RULE = NameRule("container", "[A-Za-z0-9_-]", 255)


def _check_unused(at: Construct, beside: str, **given: bool) -> None:
    """Refuses what would silently have no effect."""
    names = [f"{name}=" for name, is_given in given.items() if is_given]
    if names:
        what = {"buildspec": "is for the buildspec that is generated", "repository": "is for a repository made here"}
        raise ConfigurationError(
            f"{', '.join(names)} beside {beside}=, which {what[beside]}", at=at, fix=f"leave {' and '.join(names)} out"
        )


def _check_own(at: Construct, buildspec: Buildspec, image: str, moving_tags: Sequence[str] | None) -> None:
    document = buildspec.document
    for finding in check_image(document, image=image, moving_tags=moving_tags):
        if finding.severity == "error":
            raise ConfigurationError(str(finding), at=at, fix=finding.fix)
        Annotations.of(at).add_warning_v2(f"code-family:{finding.code}", str(finding))


def _check_new(at: Construct, name: str | None, max_image_count: int, removal_policy: RemovalPolicy) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    if name is not None and not unresolved(name) and not _REPOSITORY_NAME.fullmatch(name):
        raise ConfigurationError(
            f"repository name {name!r} is none that ECR takes",
            at=at,
            fix="use 2 to 256 lower case letters and digits, single '.', '_', '-' or '/' between them",
        )
    if unresolved(max_image_count):
        # aws-cdk-lib writes the policy as text, with what stands for the number in it.
        raise ConfigurationError("max_image_count is not known at synth time", at=at, fix="give it as a plain number")
    if max_image_count < _FEWEST_IMAGES:
        raise ConfigurationError(
            f"max_image_count={max_image_count}: an image that runs would be gone a few builds later",
            at=at,
            fix=f"keep {_FEWEST_IMAGES} or more",
        )
    if removal_policy not in (RemovalPolicy.RETAIN, RemovalPolicy.DESTROY):
        raise ConfigurationError(
            f"removal policy {removal_policy.name} for a repository", at=at, fix="use RemovalPolicy.RETAIN or DESTROY"
        )


_REPOSITORY_NAME = re.compile(r"(?=.{2,256}$)[a-z0-9]+(?:[._/-][a-z0-9]+)*")
# While one image waits for its approval or bakes, others are built.
_FEWEST_IMAGES = 10


def _check_place(at: Construct, repository: ecr.IRepository) -> None:
    stack, env = Stack.of(at), repository.env
    if not unresolved(env.region) and not unresolved(stack.region) and env.region != stack.region:
        raise ConfigurationError(
            f"repository {repository.node.path!r} is in {env.region}, the build in {stack.region}",
            at=at,
            fix=f"push to a repository in {stack.region}, and let ECR replicate it to {env.region}",
        )
    if unresolved(env.account) or unresolved(stack.account) or env.account == stack.account:
        return
    problem = f"repository {repository.node.path!r} is in account {env.account}, the build in {stack.account}"
    fix = f"allow account {stack.account} {', '.join(_PUSH)} in the policy of the repository"
    if isinstance(repository, ecr.Repository):
        resource: Any = repository.node.default_child
        policy = Stack.of(repository).resolve(resource.repository_policy_text)
        if not _allows_push(policy):
            raise ConfigurationError(f"{problem}, which it does not let in", at=at, fix=f"{fix}, before this line")
    else:
        Annotations.of(at).add_warning_v2("code-family:repository-of-another-account", f"{problem}; {fix}")


def _allows_push(policy: Any) -> bool:
    """Whether somebody else may push; who that is, is not looked at."""
    for statement in (policy or {}).get("Statement", ()):
        actions = statement.get("Action", ())
        for action in [actions] if isinstance(actions, str) else actions:
            if statement["Effect"] == "Allow" and fnmatchcase("ecr:PutImage", action):
                return True
    return False
