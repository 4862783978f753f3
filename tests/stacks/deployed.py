"""What the tests of deployed stacks share: the CDK CLI before an endpoint, and the comparison of template and API.

For stacks in several accounts and regions, which one endpoint has:

    deployed = Deployed(endpoint, folder, "Pipeline")
    deployed.bootstrap(TOOLING, PRODUCTION)  # whatever has account and region
    deployed.deploy(deployed.synth("app", make))  # the stacks that it depends on go first
    production = deployed.beside("Production")  # its clients are those of its account and region
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from aws_cdk import App, Stack, Token

from code_family_constructs.local import Endpoint
from code_family_constructs.testing import synthesized

# Asks the API for one resource: a function that returns clients, the physical id, the properties in the template.
Reader = Callable[[Callable[[str], Any], str, dict[str, Any]], Any]

# How the API of each type reads one resource back.
READ: dict[str, Reader] = {
    "AWS::CodeBuild::Project": lambda client, id, _: project_of(client, id),
    "AWS::CodePipeline::Pipeline": lambda client, id, properties: pipeline_of(client, id, properties),
    "AWS::CodeDeploy::Application": lambda client, id, _: client("codedeploy").get_application(applicationName=id)[
        "application"
    ],
    "AWS::CodeDeploy::DeploymentConfig": lambda client, id, _: client("codedeploy").get_deployment_config(
        deploymentConfigName=id
    )["deploymentConfigInfo"],
    "AWS::CodeDeploy::DeploymentGroup": lambda client, id, properties: client("codedeploy").get_deployment_group(
        applicationName=properties["ApplicationName"], deploymentGroupName=id
    )["deploymentGroupInfo"],
    "AWS::CodeConnections::Connection": lambda client, id, _: client("codeconnections").get_connection(
        ConnectionArn=id
    )["Connection"],
}

# What no API gives back: where code came from, and what CloudFormation does besides when it updates or deletes.
NOT_READ = ("Code", "DeleteReports", "EmptyOnDelete", "RestartExecutionOnUpdate")


class Place(Protocol):
    """Where stacks are, such as an endpoint, a TargetEnvironment or a Deployed."""

    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


class Deployed:
    """A stack on an endpoint, and the CDK CLI in front of it."""

    def __init__(self, endpoint: Endpoint, folder: Path, name: str) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.name = name
        self.templates: dict[str, dict[str, Any]] = {}
        self._places: dict[str, tuple[str, str]] = {}

    def beside(self, name: str) -> "Deployed":
        """Another stack of the same app: one synth and one deployment serve both."""
        other = Deployed(self.endpoint, self.folder, name)
        other.templates, other._places = self.templates, self._places
        return other

    @property
    def account(self) -> str:
        return self._place[0]

    @property
    def region(self) -> str:
        return self._place[1]

    @property
    def _place(self) -> tuple[str, str]:
        return self._places.get(self.name, (self.endpoint.account, self.endpoint.region))

    def client(self, service: str) -> Any:
        """A client of the account and region that the stack is in."""
        return self.endpoint.client(service, account=self.account, region=self.region)

    def bootstrap(self, *places: Place) -> None:
        """Prepares accounts and regions, those of the endpoint when none is given."""
        self.cdk("bootstrap", *(f"aws://{place.account}/{place.region}" for place in places or [self.endpoint]))

    def cdk(self, *arguments: str, app: Path | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            ["cdk", *arguments, *(("--app", str(app)) if app else ()), "--no-notices", "--no-color"],
            cwd=self.folder,
            env=self.endpoint.process_environment({**environment(), "CDK_DISABLE_CLI_TELEMETRY": "true"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def synth(self, variant: str, *make: Callable[[App], object]) -> Path:
        """The assembly of a variant of the app, which has one stack or more; each function may make several."""
        folder = self.folder / variant
        app = App(outdir=str(folder), analytics_reporting=False)
        for each in make:
            each(app)
        for stack in [child for child in app.node.children if isinstance(child, Stack)]:
            self.templates[stack.stack_name] = synthesized(stack)
            if not Token.is_unresolved(stack.account) and not Token.is_unresolved(stack.region):
                self._places[stack.stack_name] = (stack.account, stack.region)
        return folder

    def edited(self, app: Path, variant: str, old: str, new: str) -> Path:
        """A copy of an assembly with another text in the stack's template; for what the library would refuse."""
        folder = self.folder / variant
        shutil.copytree(app, folder)
        template = folder / f"{self.name}.template.json"
        text = template.read_text()
        assert old in text
        template.write_text(text.replace(old, new))
        # The CLI uploads a template under its hash, and not again.
        before, after = (hashlib.sha256(each.encode()).hexdigest() for each in (text, text.replace(old, new)))
        for file in (folder / f"{self.name}.assets.json", folder / "manifest.json"):
            file.write_text(file.read_text().replace(before, after))
        return folder

    def deploy(self, app: Path, *others: str, **expected: bool) -> str:
        stacks = (self.name, *others, *(("--concurrency", "2") if others else ()))
        return self.cdk("deploy", *stacks, "--require-approval", "never", app=app, **expected)

    @property
    def template(self) -> dict[str, Any]:
        return self.templates[self.name]

    def physical_ids(self) -> dict[str, str]:
        found = self.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def id_of(self, prefix: str, type_: str) -> str:
        """Physical id of the one resource of this type whose logical id starts so."""
        resources = self.template["Resources"]
        [name] = [name for name in resources if name.startswith(prefix) and resources[name]["Type"] == type_]
        return self.physical_ids()[name]

    def differences(self, read: dict[str, Reader] | None = None) -> dict[str, list[str]]:
        """For each type that can be read, where the API tells something else than the template."""
        readers, ids = {**READ, **(read or {})}, self.physical_ids()
        found: dict[str, list[str]] = {}
        for name, resource in self.template["Resources"].items():
            kind = resource["Type"]
            if kind in readers:
                wanted = resolve(resource["Properties"], ids, self)
                told = readers[kind](self.client, ids[name], wanted)
                asked = {key: value for key, value in wanted.items() if key not in NOT_READ}
                found.setdefault(kind, []).extend(differences(asked, told, name))
        return found


def project_of(client: Callable[[str], Any], name: str) -> Any:
    """A project, with its webhook where CloudFormation has it."""
    [found] = client("codebuild").batch_get_projects(names=[name])["projects"]
    return {**found, "Triggers": {"Webhook": True, **found["webhook"]}} if "webhook" in found else found


def pipeline_of(client: Callable[[str], Any], name: str, properties: dict[str, Any]) -> Any:
    """A pipeline, with its artifact stores as a list, which is what CloudFormation has, and in the template's order."""
    found = client("codepipeline").get_pipeline(name=name)["pipeline"]
    order = [store["Region"] for store in properties.get("ArtifactStores", [])]
    stores = sorted(found.get("artifactStores", {}).items(), key=lambda store: order.index(store[0]))
    return {**found, "artifactStores": [{"region": region, "artifactStore": store} for region, store in stores]}


def environment() -> dict[str, str]:
    # The CLI that `make` installs, also where the environment is not activated.
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


ATTRIBUTE = "<an attribute>"


def resolve(value: Any, ids: dict[str, str], place: Place) -> Any:
    """The template's value with references replaced; of an attribute only that there is one can be told."""
    pseudo = {
        "AWS::Region": place.region,
        "AWS::AccountId": place.account,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }
    match value:
        case {"Ref": name}:
            return {**ids, **pseudo}[name]
        case {"Fn::GetAtt": _} | {"Fn::Select": _} | {"Fn::ImportValue": _} | {"Fn::GetStackOutput": _}:
            return ATTRIBUTE
        case {"Fn::Join": [delimiter, items]}:
            return delimiter.join(resolve(item, ids, place) for item in items)
        case dict():
            return {key: resolve(item, ids, place) for key, item in value.items()}
        case list():
            return [resolve(item, ids, place) for item in value]
        case _:
            return value


def differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Where the API tells something else than the template: names differ in case, numbers and booleans in type."""
    if isinstance(wanted, dict):
        members = {key.lower(): item for key, item in found.items()} if isinstance(found, dict) else {}
        for key, item in wanted.items():
            yield from differences(item, members.get(key.lower()), f"{path}.{key}")
    elif isinstance(wanted, list):
        items = found if isinstance(found, list) else []
        if len(items) != len(wanted):
            yield f"{path}: {wanted!r} is not {found!r}"
        for index, (one, other) in enumerate(zip(wanted, items, strict=False)):
            # CodeDeploy gives an Auto Scaling group back with the hook that it has installed there.
            named = isinstance(one, str) and isinstance(other, dict)
            yield from differences(one, other["name"] if named else other, f"{path}[{index}]")
    elif ATTRIBUTE in str(wanted):
        pattern = ".+".join(re.escape(part) for part in str(wanted).split(ATTRIBUTE))
        if not re.fullmatch(pattern, str(found or "")) or "<" in str(found) or "Fn::" in str(found):
            yield f"{path}: {found!r} is not {wanted!r}"
    elif _text(wanted) != _text(found):
        yield f"{path}: {wanted!r} is not {found!r}"


def _text(value: Any) -> str:
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).lower()
