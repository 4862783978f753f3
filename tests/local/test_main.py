import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from code_family_constructs.local.__main__ import main
from tests.local.processes import marked, no_process_is_left


def test_another_address_than_loopback_is_refused(capsys):
    assert main(["--host", "0.0.0.0"]) == 2
    assert "listens on IPv4 loopback only and not on '0.0.0.0'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--account", "12"], ["demo", "--change", "minutes"]])
def test_a_wrong_argument_is_refused_with_what_was_expected(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert re.search(r"12 digits|KEY=VALUE", capsys.readouterr().err)


@pytest.mark.parametrize("missing", ["ministack", "boto3"])
def test_a_missing_extra_is_named_with_what_installs_it(missing):
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from code_family_constructs.local.__main__ import main; sys.exit(main([]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == (
        f"The embedded endpoint needs {missing}, which the package leaves out by default. "
        "Install it with: pip install 'code-family-constructs[local]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_endpoint_serves_another_shell_until_it_is_stopped(number, tmp_path):
    mark, environment = marked()
    command = [sys.executable, "-m", "code_family_constructs.local"]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE))
        client = boto3.client(
            "codepipeline",
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            region_name=exports["AWS_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        )
        assert client.list_pipelines()["pipelines"] == []
        os.kill(process.pid, number)
        assert process.wait(10) == 0
    assert no_process_is_left(mark)
    assert not Path(exports["CDK_HOME"]).parent.exists()
    assert list(tmp_path.iterdir()) == []
