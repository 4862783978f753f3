"""Floor 1: does a buildspec fit to the project that runs it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Annotations
from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.batch import BatchBuilds
from code_family_constructs.build.cache import Cache, S3Cache
from code_family_constructs.build.reports import Types, check_reports
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.tokens import unresolved

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec import Buildspec
    from code_family_constructs.build.buildspec_checks import BuildHost


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What of a project a buildspec has to fit to.

    Args:
        host: Where it runs.
        batch: Its batches.
        report_groups: Its report groups.
        cache: Its cache.
        artifacts: Whether it keeps artifacts; None when a pipeline takes them.
        secondary_artifacts: Identifiers of its further artifacts.
        only_runs_jobs: Whether it is a runner, which skips the build phase.
    """

    host: "BuildHost"
    batch: BatchBuilds | None
    report_groups: Types
    cache: Cache | None
    artifacts: bool | None
    secondary_artifacts: Sequence[str]
    only_runs_jobs: bool


def check_path(at: Construct, path: str) -> None:
    """Raises ConfigurationError for what is no path in a repository."""
    if unresolved(path):
        return
    if "\n" in path or not path.endswith((".yml", ".yaml", ".json")):
        raise ConfigurationError(
            f"buildspec {path[:60]!r} is no path", at=at, fix="give the path in the repository: 'buildspec.yml'"
        )
    if path.startswith("/") or ".." in path.split("/"):
        raise ConfigurationError(
            f"buildspec {path!r} points outside of the revision",
            at=at,
            fix="give a path relative to the root of the repository",
        )


def check_buildspec(at: Construct, spec: "Buildspec", project: Surroundings) -> None:
    """Raises ConfigurationError for what would not run, arrive or be kept, or gives a secret away; warns of smells."""
    for finding in spec.findings_on(project.host):
        if finding.severity == "error" or finding.code in _SECRETS:
            raise ConfigurationError(str(finding), at=at, fix=finding.fix)
        Annotations.of(at).add_warning_v2(f"code-family:{finding.code}", str(finding))
    _check_batch(at, spec, project.batch)
    check_reports(at, project.report_groups, spec.reports)
    if project.artifacts is not None:
        _check_artifacts(at, spec, project.artifacts, project.secondary_artifacts)
    paths = spec.cache.paths if spec.cache else ()
    if paths and project.cache is None:
        Annotations.of(at).add_warning_v2(
            "code-family:unused-cache", "the buildspec names files for a cache, and the project has none: give cache="
        )
    local = () if project.cache is None or isinstance(project.cache, S3Cache) else project.cache
    if codebuild.LocalCacheMode.CUSTOM in local and not paths:
        raise ConfigurationError(
            "LocalCacheMode.CUSTOM, and the buildspec names no folders for it",
            at=at,
            fix="write cache: paths: in the buildspec, or leave it out here",
        )
    if project.only_runs_jobs and spec.phases is not None and spec.phases.build is not None:
        raise ConfigurationError(
            "the buildspec has a build phase, and in its place a runner runs the job of the workflow",
            at=at,
            fix="move its commands to the workflow, or to pre_build with the label buildspec-override:true",
        )


# A credential in a template can be read by everyone who can read the stack.
_SECRETS = ("BS302", "BS303")


def _check_batch(at: Construct, spec: "Buildspec", batch: BatchBuilds | None) -> None:
    if spec.batch is not None and batch is None:
        raise ConfigurationError(
            "the buildspec has a batch, and the project runs none", at=at, fix="give batch=BatchBuilds() too"
        )
    if spec.batch is None and batch is not None:
        raise ConfigurationError(
            "batch= for a buildspec without one", at=at, fix="write batch: in the buildspec, or leave it out here"
        )
    if spec.batch is not None and batch is not None:
        batch.check_buildspec(at, spec.batch)


def _check_artifacts(at: Construct, spec: "Buildspec", kept: bool, secondary: Sequence[str]) -> None:
    named = spec.artifacts
    if named is not None and not kept:
        raise ConfigurationError(
            "the buildspec has artifacts, and the project keeps none",
            at=at,
            fix="give artifacts=S3Artifacts(bucket=…) too, or leave them out there",
        )
    if named is None and kept:
        raise ConfigurationError(
            "artifacts= for a buildspec that has none, with which each build would fail",
            at=at,
            fix="write artifacts: files: in the buildspec, or leave it out here",
        )
    there = set(named.secondary_artifacts) if named is not None else set()
    if there != set(secondary):
        only_there, only_here = sorted(there - set(secondary)), sorted(set(secondary) - there)
        where, name = ("the buildspec", only_there[0]) if only_there else ("secondary_artifacts=", only_here[0])
        raise ConfigurationError(
            f"secondary artifact {name!r} is in {where} only",
            at=at,
            fix="give secondary_artifacts= the identifiers of the buildspec's secondary-artifacts",
        )
