"""Floor 1: batches, builds that start others of the same project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_codebuild as codebuild
from constructs import Construct

from code_family_constructs.build.compute import name_of
from code_family_constructs.build.limits import check_minutes, check_whole
from code_family_constructs.errors import ConfigurationError
from code_family_constructs.permissions import Statement

if TYPE_CHECKING:
    from code_family_constructs.build.buildspec import Batch

# https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
_MOST_BUILDS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchBuilds:
    """Lets a project run batches: builds that the buildspec lists, combines or splits under `batch`.

    A role of its own may start, stop and retry builds of this project and nothing else. The build's own role may not,
    or a build could start others past these restrictions. Each build of a batch is billed.
    https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build.html

    Args:
        maximum_builds_allowed: How many builds a batch may have, 1 to 100.
        compute_types_allowed: Which compute types its builds may have; any when left out.
        timeout: When a batch that still runs is stopped, 5 minutes to 36 hours.
        combine_artifacts: Keep what all its builds leave behind in one place.
        report_individual_builds: Report each build to the source's provider, not the batch as a whole.
    """

    maximum_builds_allowed: int = _MOST_BUILDS
    compute_types_allowed: Sequence[codebuild.ComputeType] = ()
    timeout: Duration = Duration.hours(2)
    combine_artifacts: bool = False
    report_individual_builds: bool = False

    def check(self, at: Construct, *, artifacts: bool) -> None:
        """Raises ConfigurationError for restrictions that CodeBuild would refuse."""
        check_whole(at, "maximum_builds_allowed", self.maximum_builds_allowed, 1, _MOST_BUILDS)
        check_minutes(at, "timeout of a batch", self.timeout, 5, 2160)
        if self.combine_artifacts and not artifacts:
            raise ConfigurationError(
                "combine_artifacts=True for a project that keeps none",
                at=at,
                fix="give artifacts= too, or leave it out",
            )

    def check_buildspec(self, at: Construct, batch: "Batch") -> None:
        """Raises ConfigurationError for a batch that these restrictions would stop."""
        count = builds_of(batch)
        if count > self.maximum_builds_allowed:
            raise ConfigurationError(
                f"the buildspec's batch has {count} builds, and maximum_builds_allowed={self.maximum_builds_allowed}",
                at=at,
                fix=f"raise it to {count}, or shorten the batch",
            )
        allowed = [name_of(one) for one in self.compute_types_allowed]
        for name in _compute_types(batch) if allowed else ():
            if name not in allowed:
                raise ConfigurationError(
                    f"the buildspec's batch wants {name}, which compute_types_allowed= has not",
                    at=at,
                    fix=f"allow it, or use {', '.join(allowed)}",
                )

    def to_cfn(self, role_arn: str) -> codebuild.CfnProject.ProjectBuildBatchConfigProperty:
        """The batches for CloudFormation."""
        project = codebuild.CfnProject
        return project.ProjectBuildBatchConfigProperty(
            service_role=role_arn,
            combine_artifacts=self.combine_artifacts,
            timeout_in_mins=self.timeout.to_minutes(),
            batch_report_mode=(
                "REPORT_INDIVIDUAL_BUILDS" if self.report_individual_builds else "REPORT_AGGREGATED_BATCH"
            ),
            restrictions=project.BatchRestrictionsProperty(
                maximum_builds_allowed=self.maximum_builds_allowed,
                compute_types_allowed=[name_of(one) for one in self.compute_types_allowed] or None,
            ),
        )


def permissions_of_batches(project_arn: str) -> list[Statement]:
    """What the role of batches needs: https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build.html#batch_security_role."""
    actions = ["codebuild:RetryBuild", "codebuild:StartBuild", "codebuild:StopBuild"]
    return [Statement(actions=actions, resources=[project_arn])]


def builds_of(batch: "Batch") -> int:
    """How many builds a batch starts."""
    if batch.build_matrix is not None:
        dynamic = batch.build_matrix.dynamic
        count = 1
        if dynamic is not None:
            lists = [dynamic.buildspec]
            if dynamic.env is not None:
                lists += [dynamic.env.compute_type, dynamic.env.image, *dynamic.env.variables.values()]
            for values in lists:
                count *= len(values) or 1
        return count
    if batch.build_fanout is not None:
        return batch.build_fanout.parallelism or 1
    return len(batch.build_list) + len(batch.build_graph)


def _compute_types(batch: "Batch") -> list[str]:
    named = [task.env.compute_type for task in (*batch.build_list, *batch.build_graph) if task.env is not None]
    matrix = batch.build_matrix
    if matrix is not None and matrix.dynamic is not None and matrix.dynamic.env is not None:
        named += matrix.dynamic.env.compute_type
    return [name for name in named if name is not None and "$" not in name]
