"""The process that a function of the user's own does the job of a pipeline's action in.

It fetches what the function reads and puts away what it makes: the function gets folders, and never the credentials for
the artifacts.
"""

import json
import logging
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from code_family_constructs.handlers.own_process import answer, load
from code_family_constructs.handlers.pipeline_job import artifact_client

SETTINGS = "CODE_FAMILY_JOB"
# https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html
LONGEST_STATE = 2048
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
MOST_VARIABLES = 122_880


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Does the job; returns the state to go on with, or the output variables."""
    settings = json.loads(os.environ[SETTINGS])
    data = job["data"]
    function = load(settings["file"], settings["function"])
    with tempfile.TemporaryDirectory() as folder:
        with unlogged():
            inputs = {each["name"]: fetch(data, each, folder) for each in data["inputArtifacts"]}
        outputs = {each["name"]: tempfile.mkdtemp(dir=folder) for each in data["outputArtifacts"]}
        configuration = data["actionConfiguration"]["configuration"]
        result = function(
            {
                "id": job["id"],
                "parameters": parameters_of(configuration.get("UserParameters", ""), settings["parameters"]),
                "inputs": inputs,
                "outputs": dict(outputs),
                "state": json.loads(data["continuationToken"]) if "continuationToken" in data else None,
            }
        )
        meaning = meaning_of(settings["function"], result, settings["variables"])
        if "state" not in meaning:
            with unlogged():
                for each in data["outputArtifacts"]:
                    put_away(data, each, Path(outputs[each["name"]]))
    return meaning


@contextmanager
def unlogged() -> Iterator[None]:
    """Without a log, however much the function wants in it: botocore's own has a request's session token."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def parameters_of(text: str, names: Sequence[str]) -> dict[str, str]:
    """The parameters, each `name=value` on lines of its own.

    Variables are filled in as they are, a commit's message with all its quotes and lines. So the names that are known
    beforehand are looked for, in their order, and a text that holds one of them twice is refused: it might be somebody
    else's.
    """
    values: dict[str, str] = {}
    rest = f"\n{text}"
    for name in reversed(names):
        mark = f"\n{name}="
        if rest.count(mark) != 1:
            raise ValueError(f"{rest.count(mark)} lines of the parameters start with {name}=, one has to")
        rest, _, values[name] = rest.partition(mark)
    if rest.strip():
        raise ValueError(f"the parameters hold more than {', '.join(names) or 'nothing'}")
    return {name: values[name] for name in names}


def meaning_of(function: str, result: Any, variables: Sequence[str]) -> dict[str, Any]:
    """What the function's result means."""
    if isinstance(result, Mapping) and "continue" in result:
        if len(result) > 1:
            raise ValueError(f"{function} returned more beside 'continue': {', '.join(map(str, result))}")
        length = len(json.dumps(result["continue"]))
        if length > LONGEST_STATE:
            raise ValueError(
                f"{function} wants to continue with {length} characters, CodePipeline takes {LONGEST_STATE}"
            )
        return {"state": result["continue"]}
    if result is None or result is True:
        result = {}
    if not isinstance(result, Mapping):
        raise ValueError(f"{function} returned {result!r}")
    if set(result) != set(variables):
        given, wanted = (", ".join(map(str, names)) or "none" for names in (result, variables))
        raise ValueError(f"{function} returned the variables {given}, the pipeline expects {wanted}")
    for name, value in result.items():
        if not isinstance(value, str):
            raise TypeError(f"{function} returned {value!r} for variable {name}, which is no text")
    if len(json.dumps(dict(result)).encode()) > MOST_VARIABLES:
        raise ValueError(f"{function} returned variables of more than {MOST_VARIABLES} bytes")
    return {"variables": dict(result)}


def fetch(data: dict[str, Any], artifact: dict[str, Any], folder: str) -> str:
    """Folder with the files of an input artifact."""
    location = artifact["location"]["s3Location"]
    found = artifact_client(data).get_object(Bucket=location["bucketName"], Key=location["objectKey"])
    made = tempfile.mkdtemp(dir=folder)
    with tempfile.TemporaryFile(dir=folder) as bundle:
        shutil.copyfileobj(found["Body"], bundle)
        if not zipfile.is_zipfile(bundle):
            raise ValueError(f"artifact {artifact['name']} is no archive of files")
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(made)
    return made


def put_away(data: dict[str, Any], artifact: dict[str, Any], files: Path) -> None:
    """Makes an output artifact of the files of a folder."""
    paths = sorted(path for path in files.rglob("*") if path.is_file())
    if not paths:
        raise ValueError(f"the function left no files for artifact {artifact['name']}")
    location = artifact["location"]["s3Location"]
    key = data.get("encryptionKey")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["id"]} if key else {}
    with tempfile.TemporaryFile() as bundle:
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, path.relative_to(files).as_posix())
        bundle.seek(0)
        artifact_client(data).put_object(
            Bucket=location["bucketName"], Key=location["objectKey"], Body=bundle, **encryption
        )


if __name__ == "__main__":
    answer(Path(sys.argv[1]), work)
