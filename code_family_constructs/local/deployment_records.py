"""What CodeDeploy keeps of each deployment and of each revision."""

import hashlib
import random
import string
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from code_family_constructs.local import _ministack
from code_family_constructs.local.framework import Json, without

deployments: Any = _ministack.Scoped()
"""Deployment id → `Deployment`."""

revisions: Any = _ministack.Scoped()
"""(application name, key of a revision) → the revision as GetApplicationRevision reports it."""


@dataclass
class Deployment:
    """One deployment: as GetDeployment reports it, as ListDeploymentTargets does, and what it waits for."""

    info: Json
    target: Json = field(default_factory=dict)
    """Its type and itself; empty until the deployment has looked at what its AppSpec names."""
    hooks: dict[str, Json] = field(default_factory=dict)
    """Execution id of a lifecycle event hook → the event."""
    may_go_on: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def is_active(self) -> bool:
        """Whether it is still on its way."""
        return self.info["status"] not in ("Succeeded", "Failed", "Stopped")

    @property
    def target_body(self) -> Json:
        """The target without its type."""
        body: Json = next((item for item in self.target.values() if isinstance(item, dict)), {})
        return body

    def is_of(self, group: Json) -> bool:
        """Whether it is a deployment of this deployment group."""
        return all(self.info[key] == group[key] for key in ("applicationName", "deploymentGroupName"))


def record(request: Json, group: Json, revision: Json, creator: str) -> Deployment:
    """Keep a new deployment of a group, with what it takes from the group where the request says nothing."""
    identifier = "d-" + "".join(random.choices(string.ascii_uppercase + string.digits, k=9))  # noqa: S311 - a name
    names = {key: group[key] for key in ("applicationName", "deploymentGroupName", "computePlatform")}
    from_group = (
        "autoRollbackConfiguration",
        "blueGreenDeploymentConfiguration",
        "deploymentStyle",
        "loadBalancerInfo",
    )
    deployment = Deployment(
        {
            "deploymentConfigName": group["deploymentConfigName"],
            **{key: group[key] for key in from_group if key in group},
            **without(request, "revision"),
            **names,
            "deploymentId": identifier,
            "revision": revision,
            **({"previousRevision": group["targetRevision"]} if "targetRevision" in group else {}),
            "status": "Created",
            "creator": creator,
            "createTime": time.time(),
            "deploymentOverview": dict.fromkeys(
                ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0
            ),
        }
    )
    deployments[identifier] = deployment
    group["lastAttemptedDeployment"] = _last(deployment.info)
    register(group["applicationName"], revision, used_by=group["deploymentGroupName"])
    return deployment


def record_rollback(failed: Deployment, group: Json) -> None:
    """Keep the deployment by which AWS rolls back, of what was deployed before; here it has nothing left to do."""
    before = failed.info.get("previousRevision") or failed.info["revision"]
    rollback = record({}, group, before, "codeDeployRollback")
    identifier, trigger = rollback.info["deploymentId"], failed.info["deploymentId"]
    failed.info["rollbackInfo"] = {"rollbackDeploymentId": identifier}
    rollback.info["rollbackInfo"] = {"rollbackTriggeringDeploymentId": trigger}
    finish(rollback, group, "Succeeded")


def finish(deployment: Deployment, group: Json, status: str, code: str = "", message: str = "") -> None:
    """End a deployment; an error code says why it did not succeed."""
    info = deployment.info
    if code:
        info["errorInformation"] = {"code": code, "message": message}
    info["deploymentOverview"]["Succeeded" if status == "Succeeded" else "Failed"] = 1
    info["completeTime"] = time.time()
    ended = {**_last(info), "status": status, "endTime": info["completeTime"]}
    group["lastAttemptedDeployment"] = ended
    if status == "Succeeded":
        group["lastSuccessfulDeployment"] = ended
    # The last of all: whoever sees it may start the next one.
    info["status"] = status
    deployment.done.set()


def _last(info: Json) -> Json:
    return {key: info[key] for key in ("deploymentId", "status", "createTime")}


def register(name: str, revision: Json, *, description: str | None = None, used_by: str | None = None) -> None:
    """Keep a revision of an application, and which deployment group has used it."""
    now, key = time.time(), (name, key_of(revision))
    if key not in revisions:
        revisions[key] = {"revision": revision, "revisionInfo": {"deploymentGroups": [], "registerTime": now}}
    info = revisions[key]["revisionInfo"]
    if description:
        info["description"] = description
    if used_by:
        info.update(firstUsedTime=info.get("firstUsedTime", now), lastUsedTime=now)
        info["deploymentGroups"] = sorted({*info["deploymentGroups"], used_by})


def key_of(revision: Json) -> str:
    """Return what makes a revision another one than the rest."""
    kind = revision.get("revisionType", "")
    if kind == "S3":
        place = revision.get("s3Location", {})
        return f"s3://{place.get('bucket')}/{place.get('key')}?{place.get('version')}&{place.get('eTag')}"
    if kind == "GitHub":
        place = revision.get("gitHubLocation", {})
        return f"github://{place.get('repository')}/{place.get('commitId')}"
    content = (revision.get("appSpecContent") or revision.get("string") or {}).get("content", "")
    return hashlib.sha256(content.encode()).hexdigest()
