"""A machine made of recording stubs, on which the sample application's scripts run for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SAMPLE_APP = Path(__file__).parents[2] / "sample_app"
PATH = f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}"
LEFTOVERS = shutil.ignore_patterns("dist*", "__pycache__")
RELEASE = "4f2a9c1d-17"
BUILD_ENVIRONMENT = {
    "CODEBUILD_RESOLVED_SOURCE_VERSION": "4f2a9c1d0b7e6a5c4d3e2f1a0b9c8d7e6f5a4b3c",
    "CODEBUILD_BUILD_NUMBER": "17",
}


@pytest.fixture(scope="session")
def path_without_node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that a build needs but node, whose start takes longer than the rest of a build together."""
    programs = tmp_path_factory.mktemp("programs")
    for name in ("bash", "cat", "chmod", "cp", "date", "dirname", "grep", "mkdir", "mv", "rm", "sed", "tr", "wc"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    return str(programs)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the sample application that a test may break."""
    return Path(shutil.copytree(SAMPLE_APP, tmp_path / "app", ignore=LEFTOVERS))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = Path(shutil.copytree(SAMPLE_APP, tmp_path_factory.mktemp("built") / "app", ignore=LEFTOVERS))
    build = run([app / "build.sh"], BUILD_ENVIRONMENT)
    assert build.returncode == 0, build.stdout
    return app / "dist"


@pytest.fixture
def revision(built: Path, tmp_path: Path) -> Path:
    """What CodeDeploy unpacks on an instance."""
    return Path(shutil.copytree(built, tmp_path / "deployment-archive"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve, daemon=True)
    thread.start()
    yield site
    site.close()
    thread.join(5)


def run(command: list[Path | str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CODEBUILD_")}
    # The running Python first: a version manager's python3 is a slow script in the way of every check.
    inherited["PATH"] = PATH
    return subprocess.run(
        [str(word) for word in command],
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
        check=False,
    )


class Host:
    """An instance: `systemctl`, `dnf` and the like are stubs that remember, everything else is the real program."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.docroot = root / "www"
        self.error_log = root / "error_log"
        for folder in ("bin", "units", "enabled", "packages", "breaks", "www"):
            (root / folder).mkdir(parents=True)
        for name, body in STUBS.items():
            stub = root / "bin" / name
            stub.write_text(f'#!/bin/bash\necho "{name} $*" >>"$HOST/calls"\n{body}', encoding="utf-8")
            stub.chmod(0o755)

    def run(self, script: Path, **settings: object) -> subprocess.CompletedProcess[str]:
        return run(
            [script],
            {
                "PATH": f"{self.root / 'bin'}:{PATH}",
                "HOST": str(self.root),
                "DOCROOT": str(self.docroot),
                "ERROR_LOG": str(self.error_log),
                **{name: str(value) for name, value in settings.items()},
            },
        )

    def has_httpd(self, state: str = "inactive") -> None:
        (self.root / "packages" / "httpd").touch()
        self.set_unit("httpd", state)

    def set_unit(self, unit: str, state: str) -> None:
        (self.root / "units" / unit).write_text(state, encoding="utf-8")

    def unit(self, unit: str) -> str | None:
        """Return the state of a unit, or None where systemd does not know it."""
        path = self.root / "units" / unit
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    def starts_at_boot(self, unit: str) -> bool:
        return (self.root / "enabled" / unit).exists()

    def breaks(self, command: str, how: str = "1") -> None:
        """Let `command`, such as `systemctl-stop`, end with an exit status, or never (`hang`)."""
        (self.root / "breaks" / command).write_text(how, encoding="utf-8")

    def dnf_answers(self, *answers: str) -> None:
        """Answer the next calls with `ok`, an exit status or `hang`; all later ones with `ok`."""
        (self.root / "dnf_answers").write_text("".join(f"{answer}\n" for answer in answers), encoding="utf-8")

    def port_is_held(self, process: str, pid: int, looks: int) -> None:
        """Keep the port busy for the next `looks` times that somebody asks."""
        line = f'LISTEN 0 5 0.0.0.0:80 0.0.0.0:* users:(("{process}",pid={pid},fd=3))\n'
        (self.root / "listeners").write_text(line * looks, encoding="utf-8")

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def called(self, beginning: str) -> int:
        return sum(call.startswith(beginning) for call in self.calls)


# `exec sleep` keeps a hanging stub one process, so that whoever kills it leaves nothing behind.
BREAK = """
broken=$HOST/breaks/$NAME
if [[ -e $broken ]]; then
  [[ $(<"$broken") == hang ]] && exec sleep 30
  exit "$(<"$broken")"
fi
"""
STUBS = {
    "systemctl": f"""
NAME=systemctl-$1{BREAK}
verb=$1 unit=${{!#}}
unit=${{unit%.service}}
state=$HOST/units/$unit
case $verb in
  cat) [[ -e $state ]] ;;
  is-active) [[ -e $state && $(<"$state") == active ]] ;;
  enable) touch "$HOST/enabled/$unit" ;;
  restart) echo active >"$state" ;;
  show) echo "ActiveState=stubbed" ;;
  stop)
    [[ -e $state ]] || exit 5
    if [[ $unit == first-release-placeholder ]]; then rm -f "$state" "$HOST/listeners"; else echo inactive >"$state"; fi
    ;;
  *) echo "the stub of systemctl does not know $verb"; exit 64 ;;
esac
""",
    "dnf": """
answer=ok
if [[ -s $HOST/dnf_answers ]]; then
  read -r answer <"$HOST/dnf_answers"
  sed -i 1d "$HOST/dnf_answers"
fi
[[ $answer == hang ]] && exec sleep 30
if [[ $answer != ok ]]; then
  echo "Error: Failed to download metadata for repo 'amazonlinux'" >&2
  exit "$answer"
fi
touch "$HOST/packages/httpd"
echo inactive >"$HOST/units/httpd"
""",
    "rpm": '[[ -e $HOST/packages/$2 ]] || { echo "package $2 is not installed"; exit 1; }\n',
    "httpd": f"NAME=httpd{BREAK}echo 'Syntax OK' >&2\n",
    "journalctl": "echo 'httpd[4711]: a line of the journal'\n",
    "ss": 'if [[ -s $HOST/listeners ]]; then head -n 1 "$HOST/listeners"; sed -i 1d "$HOST/listeners"; fi\n',
}


@dataclass
class Answer:
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


class Site:
    """A real web server on loopback. It gives its answers in order, and the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer()]
        self.respond: Callable[[str], Answer] = self._next_answer
        self.requests: list[str] = []
        self._closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                answer = site.respond(self.path)
                if answer.hangs:
                    site._closing.wait(10)
                    return
                body = answer.body.encode()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _next_answer(self, path: str) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
