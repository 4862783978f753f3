"""A Lambda function with versions and aliases, behind a real boto3 client."""

from typing import Any

from tests.handlers.doubles import Refused, Service

PAGE = 50


class Lambda(Service):
    """One function.

    Attributes:
        code: Hash of `$LATEST`'s code.
        settings: What stands for the rest of `$LATEST`.
        versions: Number → code and settings, oldest first.
        aliases: Name → version and weights of others.
        statuses: What the next looks at the update of the function find.
        states: What the next looks at a version find.
    """

    name = "Greeter"

    def __init__(self, *, versions: int = 0, **aliases: str) -> None:
        super().__init__("lambda")
        self.code, self.settings = "code-0", "256 MiB"
        self.versions: dict[str, Any] = {
            str(n): (f"code-{n - versions}", self.settings) for n in range(1, versions + 1)
        }
        self.published = versions
        self.aliases: dict[str, tuple[str, dict[str, float]]] = {name: (v, {}) for name, v in aliases.items()}
        self.statuses: list[str] = []
        self.states: list[str] = []

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["FunctionName"] != self.name:
            raise Refused("ResourceNotFoundException", 404)
        return super().answer(operation, asked)

    def ListVersionsByFunction(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._page("Versions", [{"Version": v} for v in ("$LATEST", *self.versions)], asked)

    def ListAliases(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._page("Aliases", [self._alias(name) for name in self.aliases], asked)

    def _page(self, key: str, items: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("Marker", 0))
        end = start + min(PAGE, asked.get("MaxItems", PAGE))
        return {key: items[start:end], **({"NextMarker": str(end)} if end < len(items) else {})}

    def GetAlias(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if asked["Name"] not in self.aliases:
            raise Refused("ResourceNotFoundException", 404)
        return self._alias(asked["Name"])

    def _alias(self, name: str) -> dict[str, Any]:
        version, weights = self.aliases[name]
        routing = {"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}
        return {"Name": name, "FunctionVersion": version, **routing}

    def DeleteFunction(self, asked: dict[str, Any]) -> None:  # noqa: N802
        version = asked["Qualifier"]
        if any(version == at or version in weights for at, weights in self.aliases.values()):
            raise Refused("ResourceConflictException", 409)
        if version not in self.versions:
            raise Refused("ResourceNotFoundException", 404)
        del self.versions[version]

    def GetFunctionConfiguration(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if "Qualifier" in asked:
            state = self.states.pop(0) if self.states else "Active"
            return {"Version": asked["Qualifier"], "State": state, "StateReason": "the subnet is full"}
        status = self.statuses.pop(0) if self.statuses else "Successful"
        return {"LastUpdateStatus": status, "LastUpdateStatusReason": "the layer is gone"}

    def UpdateFunctionCode(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.code = f"hash of {asked['ZipFile'].decode()}"
        return {"CodeSha256": self.code}

    def PublishVersion(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if asked.get("CodeSha256", self.code) != self.code:
            raise Refused("InvalidParameterValueException", 400, "CodeSha256 is different from current CodeSha256")
        last = list(self.versions)[-1]
        if self.versions[last] != (self.code, self.settings):
            self.published += 1
            last = str(self.published)
            self.versions[last] = (self.code, self.settings)
        return {"Version": last}
