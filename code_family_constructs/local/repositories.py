"""The tags of an ECR repository that may move although its others may not, which ministack drops."""

from collections.abc import Callable
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json

filters: Any = _ministack.Scoped()
"""Repository name → its filters."""

_TYPE = "AWS::ECR::Repository"
_FILTER = "ImageTagMutabilityExclusionFilter"
_create = _ministack.resource_handlers[_TYPE]["create"]
_update = _ministack.resource_handlers[_TYPE]["update"]


def create_repository(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
    """Create the repository as ministack does, and keep the filters."""
    # It is looked at when the repository is deleted.
    properties.get("EmptyOnDelete")
    created: tuple[str, Json] = _create(logical_id, properties, stack)
    _keep_filters(created[0], properties)
    return created


def update_repository(
    physical_id: str, old: Json, new: Json, stack: str, logical_id: str | None = None
) -> tuple[str, Json]:
    """Change the repository as ministack does, and its filters."""
    updated: tuple[str, Json] = _update(physical_id, old, new, stack, logical_id)
    _keep_filters(updated[0], new)
    return updated


_ministack.resource_handlers[_TYPE].update(create=create_repository, update=update_repository)


def reported(report: Callable[[Json], Json]) -> Callable[[Json], Json]:
    """Return what reports a repository, with its filters."""

    def report_with_filters(record: Json) -> Json:
        kept = filters.get(record["repositoryName"])
        return {**report(record), **({"imageTagMutabilityExclusionFilters": kept} if kept else {})}

    return report_with_filters


_ministack.around_repositories(reported)


def _keep_filters(name: str, properties: Json) -> None:
    filters[name] = [
        {"filterType": item[f"{_FILTER}Type"], "filter": item[f"{_FILTER}Value"]}
        for item in properties.get(f"{_FILTER}s", [])
    ]
