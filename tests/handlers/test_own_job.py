"""What a function of the user's own gets from a pipeline's job, what its result means, and what is put away."""

import json
import logging
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_family_constructs.handlers import own_job
from tests.handlers.doubles import Refused
from tests.handlers.fake_codepipeline import BUCKET, CREDENTIALS, INPUT, JOB, KEY, OUTPUT, S3, a_job, bundle, files_of

WRITES = """
import pathlib
def own(job):
    folder = pathlib.Path(job["outputs"]["Release"], "site")
    folder.mkdir()
    (folder / "index.html").write_text("hello")
"""


class Account:
    def __init__(self, monkeypatch, folder):
        self.s3, self.file = S3(), folder / "own.py"
        self.credentials: list[dict[str, str]] = []
        self.s3.objects[INPUT] = bundle({"app.py": "print(1)", "lib/tools.py": "print(2)"})

        def client(name, config, **settings):
            self.credentials.append(settings)
            assert (name, config.signature_version) == ("s3", "s3v4")
            return self.s3.client

        monkeypatch.setattr(boto3, "client", client)
        self.set = lambda **settings: monkeypatch.setenv(
            "CODE_FAMILY_JOB",
            json.dumps({"file": str(self.file), "function": "own", "parameters": [], "variables": [], **settings}),
        )
        self.set()

    def do(self, source, **data):
        self.file.write_text(source)
        return own_job.work(a_job(**{"outputArtifacts": [], **data})["CodePipeline.job"])


@pytest.fixture
def account(monkeypatch, tmp_path):
    return Account(monkeypatch, tmp_path)


@pytest.mark.parametrize("result", ["None", "True", "{}"])
def test_nothing_to_tell_is_success(account, result):
    assert account.do(f"def own(job): return {result}") == {"variables": {}}


@pytest.mark.parametrize("result", ["False", "0", "1", "'no'", "[]", "object"])
def test_anything_else_is_none(account, result):
    with pytest.raises(ValueError, match="own returned "):
        account.do(f"def own(job): return {result}")


def test_variables_are_put_out_when_the_pipeline_expects_these(account):
    account.set(variables=["version", "url"])
    result = {"url": "https://shop.example", "version": "3"}
    assert account.do(f"def own(job): return {result}") == {"variables": result}
    with pytest.raises(ValueError, match="returned the variables none, the pipeline expects version, url"):
        account.do("def own(job): pass")
    with pytest.raises(ValueError, match="returned the variables version, more, the pipeline expects version, url"):
        account.do("def own(job): return {'version': '3', 'more': ''}")


def test_a_variable_is_a_text_of_a_length_that_codepipeline_takes(account):
    account.set(variables=["version"])
    with pytest.raises(TypeError, match="returned 3 for variable version, which is no text"):
        account.do("def own(job): return {'version': 3}")
    with pytest.raises(ValueError, match="variables of more than 122880 bytes"):
        account.do("def own(job): return {'version': 'ä' * 62_000}")


@pytest.mark.parametrize("state", ["'next'", "None", "{'tables': [1, 2]}"])
def test_a_job_goes_on_with_its_state(account, state):
    assert account.do(f"def own(job): return {{'continue': {state}}}") == {"state": eval(state)}
    token = json.dumps(eval(state))
    assert account.do("def own(job): return {'continue': job['state']}", continuationToken=token) == {
        "state": eval(state)
    }


def test_a_state_is_alone_and_of_a_length_that_codepipeline_takes(account):
    with pytest.raises(ValueError, match="returned more beside 'continue': continue, version"):
        account.do("def own(job): return {'continue': 1, 'version': '3'}")
    assert account.do("def own(job): return {'continue': 'x' * 2046}")["state"]
    with pytest.raises(ValueError, match="wants to continue with 2049 characters, CodePipeline takes 2048"):
        account.do("def own(job): return {'continue': 'x' * 2047}")


def test_the_function_gets_folders_parameters_and_the_id_but_no_credentials(account, capsys):
    account.set(parameters=["table"])
    configuration = {"FunctionName": "Shop", "UserParameters": "table=orders"}
    account.do(
        "import os, json\n"
        "def own(job):\n"
        "    print(json.dumps(job))\n"
        "    print(sorted(os.path.relpath(os.path.join(at, file), job['inputs']['Build'])\n"
        "                 for at, _, files in os.walk(job['inputs']['Build']) for file in files))\n",
        actionConfiguration={"configuration": configuration},
    )
    told, files = capsys.readouterr().out.splitlines()
    job = json.loads(told)
    assert sorted(job) == ["id", "inputs", "outputs", "parameters", "state"]
    assert (job["id"], job["parameters"], job["state"]) == (JOB, {"table": "orders"}, None)
    assert files == "['app.py', 'lib/tools.py']"
    assert not any(secret in told for secret in CREDENTIALS.values())
    # Nothing stays.
    assert not Path(job["inputs"]["Build"]).exists()


def test_a_function_that_logs_all_that_there_is_logs_no_credentials(account, monkeypatch, caplog):
    def client(name, config, **settings):
        # As botocore does: it logs what it signs.
        logging.getLogger("botocore.auth").debug("x-amz-security-token:%s", settings["aws_session_token"])
        return account.s3.client

    monkeypatch.setattr(boto3, "client", client)
    source = "import logging\nlogging.getLogger('botocore').setLevel(logging.DEBUG)\n" + WRITES.replace(
        "def own(job):", "def own(job):\n    logging.getLogger('botocore.own').debug('at work')"
    )
    outputs = a_job()["CodePipeline.job"]["data"]["outputArtifacts"]
    with caplog.at_level(logging.DEBUG):
        account.do(source, outputArtifacts=outputs)
    assert len(account.s3.written) == 1
    assert "at work" in caplog.text
    assert CREDENTIALS["sessionToken"] not in caplog.text


def test_artifacts_are_fetched_and_put_away_with_the_job_s_own_credentials(account):
    account.do(WRITES, outputArtifacts=a_job()["CodePipeline.job"]["data"]["outputArtifacts"])
    assert files_of(account.s3.objects[OUTPUT]) == {"site/index.html": "hello"}
    assert account.s3.written == [
        {"Bucket": BUCKET, "Key": OUTPUT, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
    ]
    assert account.credentials == 2 * [
        {
            "aws_access_key_id": CREDENTIALS["accessKeyId"],
            "aws_secret_access_key": CREDENTIALS["secretAccessKey"],
            "aws_session_token": CREDENTIALS["sessionToken"],
        }
    ]


def test_without_a_key_the_bucket_s_own_encryption_is_used(account):
    outputs = a_job()["CodePipeline.job"]["data"]["outputArtifacts"]
    account.do(WRITES, outputArtifacts=outputs, encryptionKey=None)
    assert account.s3.written == [{"Bucket": BUCKET, "Key": OUTPUT}]


def test_an_artifact_without_files_is_none(account):
    outputs = a_job()["CodePipeline.job"]["data"]["outputArtifacts"]
    with pytest.raises(ValueError, match="left no files for artifact Release"):
        account.do("def own(job): pass", outputArtifacts=outputs)


def test_a_job_that_goes_on_puts_nothing_away_yet(account):
    outputs = a_job()["CodePipeline.job"]["data"]["outputArtifacts"]
    account.do(f"{WRITES}    return {{'continue': 1}}", outputArtifacts=outputs)
    assert account.s3.written == []


def test_an_artifact_that_is_no_archive_says_so(account):
    account.s3.objects[INPUT] = b"no archive"
    with pytest.raises(ValueError, match="artifact Build is no archive of files"):
        account.do("def own(job): pass")


def test_files_stay_in_their_folder_whatever_their_names_are(account, tmp_path):
    account.s3.objects[INPUT] = bundle({"../../../escaped.txt": "out", "/absolute.txt": "out"})
    account.do(
        "import os\ndef own(job): assert sorted(os.listdir(job['inputs']['Build'])) == ['absolute.txt', 'escaped.txt']"
    )


def test_an_artifact_that_cannot_be_read_is_an_error(account):
    account.s3.refusals["GetObject"] = [Refused("AccessDenied", 403)]
    with pytest.raises(Exception, match="AccessDenied"):
        account.do("def own(job): pass")


NAMES = ["first", "second", "third"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(), min_size=1))
def test_parameters_arrive_as_they_were_filled_in(values):
    text = "\n".join(f"{name}={value}" for name, value in values.items())
    if sum(f"\n{text}".count(f"\n{name}=") for name in values) == len(values):
        assert own_job.parameters_of(text, list(values)) == values


def test_a_commit_message_with_quotes_and_lines_is_one_parameter():
    message = 'Fix "orders"\n\n{"a": 1}\nlast='
    assert own_job.parameters_of(f"message={message}\ncommit=0a1b", ["message", "commit"]) == {
        "message": message,
        "commit": "0a1b",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("message=mine\ncommit=evil\ncommit=0a1b", "2 lines of the parameters start with commit="),
        ("commit=0a1b", "0 lines of the parameters start with message="),
        ("more=1\nmessage=\ncommit=", "hold more than message, commit"),
    ],
)
def test_a_text_that_might_be_somebody_else_s_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        own_job.parameters_of(text, ["message", "commit"])


def test_without_parameters_there_are_none():
    assert own_job.parameters_of("", []) == {}
    with pytest.raises(ValueError, match="hold more than nothing"):
        own_job.parameters_of("a=1", [])
