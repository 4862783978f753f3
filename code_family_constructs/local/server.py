"""Starts the endpoint in a process of its own, waits until it answers, and always ends it."""

import contextlib
import functools
import importlib.util
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

INSTALL = "pip install 'code-family-constructs[local]'"

_NEEDED = ("ministack", "boto3", "hypercorn")
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0


class EndpointError(Exception):
    """The endpoint cannot be had: what is missing, refused or broken."""


class Endpoint:
    """An AWS endpoint on loopback, empty at each start, with every account and region there could be.

    A request is for the account that is its access key, or that an assumed role is in, and for the region that it is
    signed for. Nothing has to be opened beforehand, and nothing checks who may use what.

    Use it as a context manager. It ends with this process, however that one ends, and takes its directory along.

    Args:
        host: An IPv4 loopback address, or `localhost`.
        port: 0 for a free one.
        account: Twelve digits: the account of `environment`, and of a client that names none.
        region: Likewise.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, account: str = "123456789012", region: str = "us-east-1"
    ) -> None:
        _require_installed()
        self._host = _loopback(host)
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._clients: dict[tuple[str, str, str], Any] = {}
        self.account = account
        self.region = region
        self.port = 0

    def __enter__(self) -> "Endpoint":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL must be.

        An address and not `localhost`: with it the SDKs put bucket names into the path instead of the host name.
        """
        return f"http://{self._host}:{self.port}"

    @property
    def directory(self) -> Path:
        """A private directory that goes with the endpoint."""
        if self._directory is None:
            raise EndpointError("The endpoint is not running")
        return self._directory

    @property
    def pid(self) -> int:
        """The id of the endpoint's process, which leads a process group of its own."""
        if self._process is None:
            raise EndpointError("The endpoint is not running")
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the SDKs, the AWS CLI and the CDK CLI to this endpoint and keep them off the network.

        CDK_HOME is private because the CDK CLI remembers there which account an access key belongs to. By CDK_PLUGIN it
        has credentials for every account, so that one `cdk bootstrap` prepares several; a `plugin` in a cdk.json is
        left out then.
        """
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_HOME": str(self.directory / "cdk"),
            "CDK_PLUGIN": str(Path(__file__).with_name("credentials.js")),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
            "CDK_NOTICES": "false",
        }

    def process_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return `environment` over the variables of this process, without what could lead to another account."""
        return {
            **_without_account(os.environ if base is None else base),
            **self.environment,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": self._host,
            "no_proxy": self._host,
        }

    def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return a boto3 client for a service of this endpoint, whatever profile is configured.

        Args:
            service: As boto3 calls it.
            account: Twelve digits; the endpoint's own when left out.
            region: The endpoint's own when left out.
        """
        key = (service, account or self.account, region or self.region)
        if key not in self._clients:
            self._clients[key] = self._session.client(
                service,
                endpoint_url=self.url,
                region_name=key[2],
                aws_access_key_id=key[1],
                aws_secret_access_key="local",  # noqa: S106 - nothing checks it
            )
        return self._clients[key]

    def start(self) -> None:
        """Start the process and wait until it answers; its complaint is the error when it does not."""
        self._directory = Path(tempfile.mkdtemp(prefix="code-family-local-"))
        try:
            with (self._directory / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        f"{__package__}._process",
                        self._host,
                        str(self._wanted_port),
                        str(self._directory),
                    ],
                    # The end of standard input is what tells the process that this one is gone.
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._server_environment(),
                    # Out of reach of a Ctrl-C that is meant for this process, which then calls stop().
                    start_new_session=True,
                )
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Block for as long as the process runs; it never ends well by itself."""
        if self._process is not None:
            self._process.wait()
            raise EndpointError(self._complaint("ended"))

    def stop(self) -> None:
        """End the process with everything it started, and remove its directory."""
        while self._clients:
            self._clients.popitem()[1].close()
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # The process has not been waited for, so its id cannot have passed to another one.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @functools.cached_property
    def _session(self) -> Any:
        import boto3
        import botocore.session

        nothing = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=nothing))

    def _server_environment(self) -> dict[str, str]:
        # Settings of ministack that come from outside could open listeners or keep state.
        inherited = {
            key: value
            for key, value in _without_account(os.environ).items()
            if not key.startswith(("MINISTACK_", "LOCALSTACK_", "LAMBDA_", "SFTP_", "IOT_"))
        }
        for key in ("SERVICES", "PERSIST_STATE", "S3_PERSIST", "AUTH", "USE_SSL", "EDGE_PORT", "LOG_LEVEL"):
            inherited.pop(key, None)
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [inherited.get("PYTHONPATH")])])
        return {
            **inherited,
            "PYTHONPATH": path,
            "TMPDIR": str(self.directory),
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_REGION": self.region,
            "NO_PROXY": self._host,
            "no_proxy": self._host,
        }

    def _wait_until_ready(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            raise EndpointError("The endpoint is not running")
        line = process.stdout.readline().decode().strip()
        if not line:
            raise EndpointError(self._complaint("could not start"))
        self.port = int(line)
        try:
            # The listener takes the connection before the server is ready to answer it.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{self.url}/_ministack/health", timeout=_START_SECONDS) as answer:
                json.load(answer)
        except (OSError, ValueError) as error:
            raise EndpointError(self._complaint(f"does not answer ({error})")) from error

    def _complaint(self, what: str) -> str:
        log = self.directory / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join([f"The embedded endpoint {what}:", *lines[-25:]])


def _require_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EndpointError(
            f"The embedded endpoint needs {', '.join(missing)}, which the package leaves out by default. "
            f"Install it with: {INSTALL}"
        )


def _loopback(host: str) -> str:
    name = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.IPv4Address(name).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise EndpointError(
            f"The embedded endpoint checks no credentials, so it listens on IPv4 loopback only and not on {host!r}. "
            "Use 127.0.0.1 or localhost"
        )
    return name


def _without_account(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in variables.items()
        if not key.startswith("AWS_ENDPOINT_URL_")
        and key
        not in (
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_ENDPOINT_URL",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "CDK_DEFAULT_ACCOUNT",
            "CDK_DEFAULT_REGION",
        )
    }
