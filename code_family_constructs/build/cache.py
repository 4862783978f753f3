"""Floor 1: what a build finds of the builds before it."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_s3 as s3
from constructs import Construct

from code_family_constructs.build.access import use_key, write_objects
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Cache:
    """A cache in S3: for what is dearer to make than to download. All build hosts find it.

    Args:
        bucket: The bucket, such as that of a `BuildBucket`; the project has a folder of its own there.
        namespace: Name of a cache that projects share, when each names it and their buildspecs say the same `key` and
            `paths` under `cache`. Share it only among projects that trust each other: who can write it decides what the
            others build with, so builds of pull requests should not share one with builds of releases.
    """

    bucket: s3.IBucket
    namespace: str | None = None

    def folder(self, project_name: str) -> str:
        """Where the cache is in the bucket."""
        return f"cache/{self.namespace or project_name}"


Cache = S3Cache | Sequence[codebuild.LocalCacheMode]


def cache_for(cache: Cache | None, project_name: str) -> tuple[codebuild.Cache | None, list[Statement]]:
    """The cache for CodeBuild, and what the build's role needs for it."""
    if cache is None:
        return None, []
    if not isinstance(cache, S3Cache):
        return codebuild.Cache.local(*cache), []
    folder = cache.folder(project_name)
    return codebuild.Cache.bucket(cache.bucket, prefix=folder, cache_namespace=cache.namespace), [
        *write_objects(cache.bucket, folder, "s3:GetObject", "s3:GetObjectVersion"),
        # Without it S3 answers a cache that is not there yet with "access denied". That question names no prefix that
        # a condition could ask for.
        Statement(actions=["s3:ListBucket"], resources=[cache.bucket.bucket_arn]),
        *use_key(cache.bucket.encryption_key),
    ]


def check_local_cache(
    at: Construct,
    modes: Sequence[codebuild.LocalCacheMode],
    *,
    environment: str,
    compute_type: codebuild.ComputeType | None,
    privileged: bool,
    vpc: bool,
    git: bool,
) -> None:
    """Raises ConfigurationError for a local cache that CodeBuild does not have, or does not use.

    https://docs.aws.amazon.com/codebuild/latest/userguide/caching-local.html
    """
    if not modes:
        raise ConfigurationError("cache=[] names no cache", at=at, fix="leave cache= out, or name a LocalCacheMode")
    mode = codebuild.LocalCacheMode
    problem, fix = None, "use S3Cache(bucket=…)"
    if vpc:
        problem = "a local cache in a VPC"
    elif environment == "LINUX_GPU_CONTAINER":
        problem = "a local cache on a GPU machine"
    elif compute_type is codebuild.ComputeType.X2_LARGE:
        problem, fix = "a local cache on compute type X2_LARGE", "use a smaller one, or S3Cache(bucket=…)"
    elif mode.DOCKER_LAYER in modes and not environment.startswith(("LINUX", "ARM")):
        problem, fix = f"a cache of Docker layers for {environment}", "build on Linux"
    elif mode.DOCKER_LAYER in modes and not privileged:
        problem, fix = "a cache of Docker layers without privileged mode", "set privileged=True, which Docker needs"
    elif mode.SOURCE in modes and not git:
        problem, fix = "a cache of the source, which is no Git repository here", "leave out LocalCacheMode.SOURCE"
    if problem:
        raise ConfigurationError(f"{problem}, which CodeBuild does not have", at=at, fix=fix)
