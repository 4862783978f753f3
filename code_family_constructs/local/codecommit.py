"""AWS CodeCommit: repositories, without anything in them.

Nothing can be pushed, so there are no branches, commits or pull requests, and no events of them. Code that a template
starts a repository with only gives it the name of its default branch.
"""

import time
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import (
    Api,
    ApiError,
    Json,
    ResourceType,
    arn,
    call,
    lookup,
    name_of,
    new_id,
    require,
    resource_type,
    sync_tags,
    to_parameters,
    without,
)

repositories: Any = _ministack.Scoped()
"""Repository name → the repository as GetRepository reports it, its tags and its triggers."""

api = Api("codecommit")
_AWS_KEY = "alias/aws/codecommit"


@api.operation
def create_repository(request: Json) -> Json:
    name = request["repositoryName"]
    if name in repositories:
        raise ApiError("RepositoryNameExistsException", f"Repository named {name} already exists")
    now = time.time()
    repositories[name] = {
        "repository": {
            "accountId": _ministack.account_id(),
            "repositoryId": new_id(),
            "kmsKeyId": _AWS_KEY,
            **without(request, "tags"),
            **_places(name),
            "creationDate": now,
            "lastModifiedDate": now,
        },
        "tags": request.get("tags", {}),
        "triggers": [],
    }
    return {"repositoryMetadata": repositories[name]["repository"]}


@api.operation
def get_repository(request: Json) -> Json:
    return {"repositoryMetadata": _repository(request["repositoryName"])["repository"]}


@api.operation
def batch_get_repositories(request: Json) -> Json:
    names = request["repositoryNames"]
    return {
        "repositories": [repositories[name]["repository"] for name in names if name in repositories],
        "repositoriesNotFound": [name for name in names if name not in repositories],
    }


@api.operation
def list_repositories(request: Json) -> Json:
    key = request.get("sortBy", "repositoryName")
    found = sorted((record["repository"] for record in repositories.values()), key=lambda item: str(item[key]))
    if request.get("order") == "descending":
        found.reverse()
    return {"repositories": [{key: item[key] for key in ("repositoryName", "repositoryId")} for item in found]}


@api.operation
def update_repository_name(request: Json) -> None:
    old, new = request["oldName"], request["newName"]
    record = _repository(old)
    if new in repositories:
        raise ApiError("RepositoryNameExistsException", f"Repository named {new} already exists")
    record["repository"].update(repositoryName=new, **_places(new), lastModifiedDate=time.time())
    repositories[new] = record
    del repositories[old]


@api.operation
def update_repository_description(request: Json) -> None:
    repository = _repository(request["repositoryName"])["repository"]
    repository.update(repositoryDescription=request.get("repositoryDescription", ""), lastModifiedDate=time.time())


@api.operation
def update_repository_encryption_key(request: Json) -> Json:
    repository = _repository(request["repositoryName"])["repository"]
    original = repository["kmsKeyId"]
    repository.update(kmsKeyId=request["kmsKeyId"], lastModifiedDate=time.time())
    return {
        "repositoryId": repository["repositoryId"],
        "kmsKeyId": repository["kmsKeyId"],
        "originalKmsKeyId": original,
    }


@api.operation
def get_repository_triggers(request: Json) -> Json:
    record = _repository(request["repositoryName"])
    return {"configurationId": record["repository"]["repositoryId"], "triggers": record["triggers"]}


@api.operation
def put_repository_triggers(request: Json) -> Json:
    record = _repository(request["repositoryName"])
    record["triggers"] = request["triggers"]
    return {"configurationId": record["repository"]["repositoryId"]}


@api.operation
def delete_repository(request: Json) -> Json:
    record = repositories.pop(request["repositoryName"], None)
    return {"repositoryId": record["repository"]["repositoryId"]} if record else {}


@api.operation
def list_tags_for_resource(request: Json) -> Json:
    return {"tags": _repository(_name_in(request["resourceArn"]))["tags"]}


@api.operation
def tag_resource(request: Json) -> None:
    _repository(_name_in(request["resourceArn"]))["tags"].update(request["tags"])


@api.operation
def untag_resource(request: Json) -> None:
    tags = _repository(_name_in(request["resourceArn"]))["tags"]
    for key in request["tagKeys"]:
        tags.pop(key, None)


@resource_type("AWS::CodeCommit::Repository")
class Repository(ResourceType):
    # Each of them changes in place, the name too.
    unread = ("Code", "Triggers")

    def create(self, logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = name_of(properties, "RepositoryName", logical_id, stack, 100)
        given = without(properties, "Code", "Triggers", "Tags")
        parameters = to_parameters("codecommit", "create_repository", {**given, "RepositoryName": name})
        created = call("codecommit", "create_repository", **parameters, tags=_tags(properties))["repositoryMetadata"]
        if "Code" in properties:
            repositories[name]["repository"]["defaultBranch"] = properties["Code"].get("BranchName", "main")
        self._put_triggers(name, {}, properties)
        return created["repositoryId"], _attributes(name)

    def update(self, physical_id: str, old: Json, new: Json) -> Json:
        name = _name_of(physical_id)
        wanted = str(new.get("RepositoryName") or name)
        if wanted != name:
            call("codecommit", "update_repository_name", oldName=name, newName=wanted)
        if new.get("RepositoryDescription") != old.get("RepositoryDescription"):
            text = str(new.get("RepositoryDescription", ""))
            call("codecommit", "update_repository_description", repositoryName=wanted, repositoryDescription=text)
        if new.get("KmsKeyId") != old.get("KmsKeyId"):
            key = str(new.get("KmsKeyId") or _AWS_KEY)
            call("codecommit", "update_repository_encryption_key", repositoryName=wanted, kmsKeyId=key)
        self._put_triggers(wanted, old, new)
        resource_arn = _places(wanted)["Arn"]
        sync_tags(
            old,
            new,
            tag=lambda keys: call(
                "codecommit",
                "tag_resource",
                resourceArn=resource_arn,
                tags={key: value for key, value in _tags(new).items() if key in keys},
            ),
            untag=lambda keys: call("codecommit", "untag_resource", resourceArn=resource_arn, tagKeys=keys),
        )
        return _attributes(wanted)

    def delete(self, physical_id: str, properties: Json) -> None:
        name = _name_of(physical_id)
        if name in repositories:
            call("codecommit", "delete_repository", repositoryName=name)

    def read(self, physical_id: str, properties: Json) -> Json | None:
        record = lookup(repositories, _name_of(physical_id))
        return record["repository"] if record else None

    def _put_triggers(self, name: str, old: Json, new: Json) -> None:
        if new.get("Triggers") != old.get("Triggers"):
            asked = {"RepositoryName": name, "Triggers": new.get("Triggers", [])}
            parameters = to_parameters("codecommit", "put_repository_triggers", asked)
            call("codecommit", "put_repository_triggers", **parameters)


def _places(name: str) -> Json:
    host = f"git-codecommit.{_ministack.region()}.amazonaws.com/v1/repos/{name}"
    return {"Arn": arn("codecommit", name), "cloneUrlHttp": f"https://{host}", "cloneUrlSsh": f"ssh://{host}"}


def _attributes(name: str) -> Json:
    places = _places(name)
    return {
        "Name": name,
        "Arn": places["Arn"],
        "CloneUrlHttp": places["cloneUrlHttp"],
        "CloneUrlSsh": places["cloneUrlSsh"],
    }


def _tags(properties: Json) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}


def _name_in(resource_arn: str) -> str:
    return resource_arn.rpartition(":")[2]


def _name_of(repository_id: str) -> str:
    """Name of a repository by the id that `Ref` gives; empty when it is gone."""
    found = (name for name, record in repositories.items() if record["repository"]["repositoryId"] == repository_id)
    return next(found, "")


def _repository(name: str) -> Json:
    return require(repositories, name, "RepositoryDoesNotExistException", f"{name} does not exist")
