"""Floor 1: AppSpec files, which tell CodeDeploy what to install or shift, and what to run when."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from code_family_constructs.deploy.appspec_checks import (
    Dialect,
    check_appspec,
    child,
    file_mode,
    quote_placeholders,
    seconds,
    whole_number,
)
from code_family_constructs.documents import (
    Document,
    Finding,
    ListNode,
    MapNode,
    Node,
    Number,
    Scalar,
    read_document,
    read_file,
    refuse_errors,
    render,
)
from code_family_constructs.errors import ConfigurationError


class Appspec:
    """An AppSpec file: an `Ec2Appspec`, an `EcsAppspec` or a `LambdaAppspec`.

    Read one with `from_file` or `from_text`, or build one of the three. Whichever way, one that CodeDeploy would
    refuse, or that would do something else than what stands there, raises ConfigurationError with every line and its
    fix; what may be meant like that stays in `findings`.

    CodeDeploy looks at much of a file only when a deployment is at that step, and at some of it never: a hook with a
    misspelt name is accepted and does not run.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html

    Called on a subclass, the readers also raise for a file of another platform.
    """

    __slots__ = ()

    findings: tuple[Finding, ...]

    @classmethod
    def from_file(
        cls, path: str | Path, bundle: str | Path | None = None, *, load_balancer: bool | None = None
    ) -> Self:
        """Reads a file.

        Values that a pipeline or a template tool still fills in (`<TASK_DEFINITION>`, `$NAME`, `${name}`, `{{ name }}`,
        `__NAME__`) can stand wherever a value can. One that stands for a whole list is left out of the model.

        Args:
            path: The file; YAML, or for Amazon ECS and AWS Lambda also JSON.
            bundle: The folder that is deployed. Give it, and scripts and sources have to exist in it. It is the
                revision as the build hands it over: sources that only the build makes are not in a checkout.
            load_balancer: Whether the deployment group has one; without, the hooks around traffic never run.

        Raises:
            ConfigurationError: There is no such file or folder, or there are errors in it.
        """
        document, dialect, findings = _examine(_read(path), path, bundle, load_balancer)
        return cls._from_document(document, dialect, findings)

    @classmethod
    def from_text(cls, text: str, *, name: str = "appspec.yml") -> Self:
        """Reads a text as `from_file` does, without anything to say about scripts and sources.

        Args:
            text: YAML or JSON.
            name: What findings call it.

        Raises:
            ConfigurationError: There are errors in it.
        """
        document = _filled(read_document(text, name=name))
        return cls._from_document(document, *check_appspec(document))

    @staticmethod
    def check_file(
        path: str | Path, bundle: str | Path | None = None, *, load_balancer: bool | None = None
    ) -> tuple[Finding, ...]:
        """All findings about a file, errors too, without raising for them.

        Args:
            path: As for `from_file`.
            bundle: As for `from_file`.
            load_balancer: As for `from_file`.

        Raises:
            ConfigurationError: There is no such file or folder.
        """
        return _examine(_read(path), path, bundle, load_balancer)[2]

    @staticmethod
    def check_text(text: str, *, name: str = "appspec.yml") -> tuple[Finding, ...]:
        """All findings about a text, errors too, without raising for them.

        Args:
            text: YAML or JSON.
            name: What findings call it.
        """
        return check_appspec(_filled(read_document(text, name=name)))[1]

    def render(self) -> str:
        """Writes YAML, which reads back as an equal AppSpec."""
        return render(self._document())

    def _document(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def _from_document(cls, document: Document, dialect: Dialect | None, findings: tuple[Finding, ...]) -> Self:
        refuse_errors(findings, what="AppSpec file", at=document.name)
        assert dialect is not None
        assert document.root is not None
        kind = _KINDS[dialect]
        if not issubclass(kind, cls):
            raise ConfigurationError(
                f"this is an AppSpec file for {kind._platform}, not for {cls._platform}",
                at=document.name,
                fix=f"give one for {cls._platform}",
            )
        # What was read is not checked again as if it had been built: its findings have lines, and it may be a template.
        spec = object.__new__(kind)
        values = kind._values(document.root)
        for one in fields(kind):
            object.__setattr__(spec, one.name, values.get(one.name, one.default))
        object.__setattr__(spec, "findings", findings)
        return spec

    def _check(self, **plain: object) -> None:
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        document = read_document(self.render(), name=type(self).__name__)
        _, findings = check_appspec(document)
        refuse_errors(findings, what="AppSpec", at=document.name)
        object.__setattr__(self, "findings", findings)

    _platform = "any platform"

    @classmethod
    def _values(cls, root: MapNode) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class AppspecFile:
    """What to copy from the revision to an instance.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-files.html

    Args:
        source: File or folder in the revision. Of a folder, its content is copied; `/` is all of the revision, this
            file and the scripts included.
        destination: Folder on the instance, also for a file.
    """

    source: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelinuxContext:
    """The SELinux label of what is installed.

    Args:
        type: Type, such as `httpd_sys_content_t`.
        name: SELinux user. The user guide calls it `user`, which the agent does not read.
        range: Levels and categories, such as `s0-s1:c0.c5`; agent 1.x fails without one.
    """

    type: str
    name: str | None = None
    range: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppspecPermission:
    """Owner and rights of files and folders that `files` installs; of others, the agent changes nothing.

    Neither does it change the folder `object` itself, only what is in it. Two entries that both fit one file make the
    deployment fail.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-permissions.html

    Args:
        object: File or folder on the instance.
        pattern: Which names directly in the folder; not for a single file.
        exceptions: Patterns of names to leave out (`except`); not for a single file.
        owner: Name of a user.
        group: Name of a group.
        mode: Octal digits, such as `755`.
        acls: Entries as setfacl takes them, such as `u:deploy:rwx`; what mode sets cannot stand here.
        context: SELinux label.
        type: `file`, `directory` or both.
    """

    object: str
    pattern: str | None = None
    exceptions: Sequence[str] = ()
    owner: str | None = None
    group: str | None = None
    mode: str | None = None
    acls: Sequence[str] = ()
    context: SelinuxContext | None = None
    type: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("exceptions", "acls", "type"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppspecScript:
    """A script of the revision that runs in a lifecycle event.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html

    Args:
        location: Its path in the revision; arguments cannot be given.
        timeout: Seconds. All scripts of an event together have an hour.
        runas: User to run as, whose shell must not ask for a password; not on Windows. Without, the agent's own.
    """

    location: str
    timeout: int | str | None = None
    runas: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2Appspec(Appspec):
    """The `appspec.yml` of EC2 and on-premises deployments; it lies in the root of the revision.

    `ApplicationStop`, `BeforeBlockTraffic` and `AfterBlockTraffic` run the scripts of the revision before, and so not
    in a first deployment. The hooks around traffic run only in deployment groups with a load balancer.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure.html

    Args:
        os: `linux` or `windows`.
        files: What to copy to the instance.
        file_exists_behavior: `DISALLOW`, `OVERWRITE` or `RETAIN`, for files that an earlier deployment did not bring;
            None for what the deployment says.
        permissions: Owners and rights; not on Windows.
        hooks: Scripts for each lifecycle event.
    """

    os: str = "linux"
    files: Sequence[AppspecFile] = ()
    file_exists_behavior: str | None = None
    permissions: Sequence[AppspecPermission] = ()
    hooks: Mapping[str, Sequence[AppspecScript]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = field(default=(), init=False, repr=False, compare=False)

    _platform = "EC2 and on-premises"

    def __post_init__(self) -> None:
        hooks = {event: tuple(scripts) for event, scripts in self.hooks.items()}
        self._check(files=tuple(self.files), permissions=tuple(self.permissions), hooks=hooks)

    def _document(self) -> dict[str, Any]:
        return {
            "version": Number("0.0"),
            "os": self.os,
            **_present(
                files=[{"source": one.source, "destination": one.destination} for one in self.files],
                file_exists_behavior=self.file_exists_behavior,
                permissions=[_permission_document(one) for one in self.permissions],
                hooks={event: [_script_document(one) for one in scripts] for event, scripts in self.hooks.items()},
            ),
        }

    @classmethod
    def _values(cls, root: MapNode) -> dict[str, Any]:
        return {
            "os": _text(root.get("os")),
            "files": tuple(
                AppspecFile(source=_needed(one.get("source")), destination=_needed(one.get("destination")))
                for one in _maps(root.get("files"))
            ),
            "file_exists_behavior": _text(root.get("file_exists_behavior")),
            "permissions": tuple(_permission(one) for one in _maps(root.get("permissions"))),
            "hooks": {
                entry.key.text: tuple(_script(one) for one in _maps(entry.value))
                for entry in _entries(root.get("hooks"))
                if isinstance(entry.value, ListNode)
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsvpcConfiguration:
    """Where the tasks of a replacement task set run; CodeDeploy wants all three, or none of them.

    Args:
        subnets: Ids of subnets.
        security_groups: Ids of security groups.
        assign_public_ip: `ENABLED` or `DISABLED`.
    """

    subnets: Sequence[str]
    security_groups: Sequence[str]
    assign_public_ip: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "subnets", tuple(self.subnets))
        object.__setattr__(self, "security_groups", tuple(self.security_groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityProvider:
    """A capacity provider of a replacement task set.

    Args:
        name: Its name, such as `FARGATE_SPOT`.
        base: How many tasks it gets at least; one of the providers at most has it.
        weight: Its share of the other tasks.
    """

    name: str
    base: int | str | None = None
    weight: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsAppspec(Appspec):
    """The AppSpec of an Amazon ECS deployment: a task definition, and the container that gets the traffic.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html

    Args:
        task_definition: ARN with revision, or `<TASK_DEFINITION>`, which CodePipeline's CodeDeployToECS fills in.
        container_name: Container of the task definition that is behind the load balancer.
        container_port: Its port.
        platform_version: Of Fargate; ECS uses the latest without one.
        network: Subnets and security groups; those of the service without one.
        capacity_providers: Capacity providers; those of the service without any.
        hooks: Lambda function, by name or ARN, for each lifecycle event. It has an hour to report to CodeDeploy.
            `AfterAllowTestTraffic` needs a test listener.
        name: What the file calls the service; CodeDeploy takes any name.
    """

    task_definition: str = "<TASK_DEFINITION>"
    container_name: str
    container_port: int | str
    platform_version: str | None = None
    network: AwsvpcConfiguration | None = None
    capacity_providers: Sequence[CapacityProvider] = ()
    hooks: Mapping[str, str] = field(default_factory=dict)
    name: str = "TargetService"
    findings: tuple[Finding, ...] = field(default=(), init=False, repr=False, compare=False)

    _platform = "Amazon ECS"

    def __post_init__(self) -> None:
        self._check(capacity_providers=tuple(self.capacity_providers), hooks=dict(self.hooks))

    def _document(self) -> dict[str, Any]:
        network = self.network and {
            "AwsvpcConfiguration": {
                "Subnets": list(self.network.subnets),
                "SecurityGroups": list(self.network.security_groups),
                "AssignPublicIp": self.network.assign_public_ip,
            }
        }
        providers = [
            {"CapacityProvider": one.name, **_present(Base=one.base, Weight=one.weight)}
            for one in self.capacity_providers
        ]
        properties = {
            "TaskDefinition": self.task_definition,
            "LoadBalancerInfo": {"ContainerName": self.container_name, "ContainerPort": self.container_port},
            **_present(
                PlatformVersion=self.platform_version,
                NetworkConfiguration=network,
                CapacityProviderStrategy=providers,
            ),
        }
        return _function_document(self.name, "AWS::ECS::Service", properties, self.hooks)

    @classmethod
    def _values(cls, root: MapNode) -> dict[str, Any]:
        name, properties = _resource(root)
        balancer = _under(properties, "LoadBalancerInfo")
        vpc = _under(_under(properties, "NetworkConfiguration"), "AwsvpcConfiguration")
        return {
            "name": name,
            "task_definition": _text(_of(properties, "TaskDefinition")),
            "container_name": _text(_of(balancer, "ContainerName")),
            "container_port": _integer(_of(balancer, "ContainerPort")),
            "platform_version": _text(_of(properties, "PlatformVersion")),
            "network": AwsvpcConfiguration(
                subnets=_texts(_of(vpc, "Subnets")),
                security_groups=_texts(_of(vpc, "SecurityGroups")),
                assign_public_ip=_needed(_of(vpc, "AssignPublicIp")),
            )
            if vpc
            else None,
            "capacity_providers": tuple(
                CapacityProvider(
                    name=_needed(_of(one, "CapacityProvider")),
                    base=_integer(_of(one, "Base")),
                    weight=_integer(_of(one, "Weight")),
                )
                for one in _maps(_of(properties, "CapacityProviderStrategy"))
            ),
            "hooks": _functions(root),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaAppspec(Appspec):
    """The AppSpec of an AWS Lambda deployment: a function, an alias, and the versions it goes from and to.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html

    Args:
        function_name: The function.
        alias: The alias whose traffic is shifted.
        current_version: Number of the version that the alias points to.
        target_version: Number of the version to shift to. The same number fails in canary and linear deployments.
        hooks: Lambda function, by name or ARN, for each lifecycle event. It has an hour to report to CodeDeploy.
        name: What the file calls the function; CodeDeploy takes any name.
    """

    function_name: str
    alias: str
    current_version: int | str
    target_version: int | str
    hooks: Mapping[str, str] = field(default_factory=dict)
    name: str = "TargetFunction"
    findings: tuple[Finding, ...] = field(default=(), init=False, repr=False, compare=False)

    _platform = "AWS Lambda"

    def __post_init__(self) -> None:
        self._check(hooks=dict(self.hooks))

    def _document(self) -> dict[str, Any]:
        properties = {
            "Name": self.function_name,
            "Alias": self.alias,
            # As text, the way the user guide has them.
            "CurrentVersion": str(self.current_version),
            "TargetVersion": str(self.target_version),
        }
        return _function_document(self.name, "AWS::Lambda::Function", properties, self.hooks)

    @classmethod
    def _values(cls, root: MapNode) -> dict[str, Any]:
        name, properties = _resource(root)
        return {
            "name": name,
            "function_name": _text(_of(properties, "Name")),
            "alias": _text(_of(properties, "Alias")),
            "current_version": _integer(_of(properties, "CurrentVersion")),
            "target_version": _integer(_of(properties, "TargetVersion")),
            "hooks": _functions(root),
        }


_KINDS: Mapping[Dialect, type[Ec2Appspec | EcsAppspec | LambdaAppspec]] = {
    "ec2": Ec2Appspec,
    "ecs": EcsAppspec,
    "lambda": LambdaAppspec,
}
_FILE_NAMES = ("appspec.yml", "appspec.yaml")


def _read(path: str | Path) -> Document:
    return _filled(read_file(path))


def _filled(document: Document) -> Document:
    """The document with quotes around placeholders that are no YAML yet, when that makes it readable."""
    # `#{name}#` after a colon reads without complaint: as a comment.
    if not any(one.severity == "error" for one in document.findings) and not re.search(r":\s+#\{", document.text):
        return document
    other = read_document(quote_placeholders(document.text), name=document.name)
    return other if len(other.findings) <= len(document.findings) else document


def _examine(
    document: Document, path: str | Path, bundle: str | Path | None, load_balancer: bool | None
) -> tuple[Document, Dialect | None, tuple[Finding, ...]]:
    file, folder = Path(path), None if bundle is None else Path(bundle)
    if folder is not None and not folder.is_dir():
        raise ConfigurationError(
            f"there is no folder {str(bundle)!r} to look for scripts in",
            at=document.name,
            fix="give the folder that is deployed, relative to where cdk runs",
        )
    dialect, findings = check_appspec(document, bundle=folder, load_balancer=load_balancer)
    if dialect == "ec2" and document.root is not None:
        fix = "name it appspec.yml, in the root of the revision"
        if file.name not in _FILE_NAMES:
            problem = f"the agent looks for appspec.yml, not for {file.name}, unless the deployment names it"
            findings += (document.warning("AS110", document.root, problem, fix),)
        elif folder is not None and file.resolve().parent != folder.resolve():
            problem = f"the agent looks for it in the root of the revision, and it is in {file.parent}"
            findings += (document.warning("AS110", document.root, problem, fix),)
    return document, dialect, findings


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value not in ([], {})}


def _permission_document(one: AppspecPermission) -> dict[str, Any]:
    context = one.context and {"type": one.context.type, **_present(name=one.context.name, range=one.context.range)}
    # With a zero in front it has to be text: YAML would take it for an octal number.
    is_number = one.mode is not None and one.mode.isdigit() and (one.mode == "0" or not one.mode.startswith("0"))
    return {
        "object": one.object,
        **_present(
            pattern=one.pattern,
            owner=one.owner,
            group=one.group,
            mode=Number(one.mode) if is_number else one.mode,
            acls=list(one.acls),
            context=context,
            type=list(one.type),
        ),
        **_present(**{"except": list(one.exceptions)}),
    }


def _script_document(one: AppspecScript) -> dict[str, Any]:
    return {"location": one.location, **_present(timeout=one.timeout, runas=one.runas)}


def _function_document(name: str, kind: str, properties: dict[str, Any], hooks: Mapping[str, str]) -> dict[str, Any]:
    return {
        "version": Number("0.0"),
        "Resources": [{name: {"Type": kind, "Properties": properties}}],
        **_present(Hooks=[{event: function} for event, function in hooks.items()]),
    }


def _permission(node: MapNode) -> AppspecPermission:
    context, mode = node.get("context"), node.get("mode")
    return AppspecPermission(
        object=_needed(node.get("object")),
        pattern=_text(node.get("pattern")),
        exceptions=_texts(node.get("except")),
        owner=_text(node.get("owner")),
        group=_text(node.get("group")),
        mode=file_mode(mode) if isinstance(mode, Scalar) and not mode.is_null else None,
        acls=_texts(node.get("acls")),
        context=SelinuxContext(
            type=_needed(context.get("type")), name=_text(context.get("name")), range=_text(context.get("range"))
        )
        if isinstance(context, MapNode)
        else None,
        type=_texts(node.get("type")),
    )


def _script(node: MapNode) -> AppspecScript:
    timeout = node.get("timeout")
    read = seconds(timeout) if isinstance(timeout, Scalar) else None
    return AppspecScript(
        location=_needed(node.get("location")).strip(),
        timeout=read if read is not None else _text(timeout),
        runas=_text(node.get("runas")),
    )


def _resource(root: MapNode) -> tuple[str, MapNode | None]:
    resources = child(root, "Resources")
    for item in _maps(resources.value if resources else None):
        for entry in item.entries:
            return entry.key.text, _under(entry.value, "Properties")
    return "", None


def _functions(root: MapNode) -> dict[str, str]:
    hooks = child(root, "Hooks")
    items = _maps(hooks.value if hooks else None)
    return {entry.key.text: _needed(entry.value) for item in items for entry in item.entries}


def _entries(node: Node | None) -> Sequence[Any]:
    return node.entries if isinstance(node, MapNode) else ()


def _maps(node: Node | None) -> list[MapNode]:
    return [item for item in node.items if isinstance(item, MapNode)] if isinstance(node, ListNode) else []


def _of(node: Node | None, key: str) -> Node | None:
    entry = child(node, key) if isinstance(node, MapNode) else None
    return entry.value if entry else None


def _under(node: Node | None, key: str) -> MapNode | None:
    inner = _of(node, key)
    return inner if isinstance(inner, MapNode) else None


def _text(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) and not node.is_null else None


def _needed(node: Node | None) -> str:
    return _text(node) or ""


def _texts(node: Node | None) -> tuple[str, ...]:
    """The items of a list; a placeholder that stands for the list is its one item."""
    if isinstance(node, Scalar):
        return () if node.is_null else (node.text,)
    return tuple(_needed(item) for item in node.items) if isinstance(node, ListNode) else ()


def _integer(node: Node | None) -> int | str | None:
    number = whole_number(node) if isinstance(node, Scalar) else None
    return number if number is not None else _text(node)
