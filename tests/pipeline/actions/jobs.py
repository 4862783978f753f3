"""Functions of a user's own: what the tests of LambdaInvoke deploy."""

import json
import os
from pathlib import Path


def migrate(job):
    """Copies what it gets to where it is asked to, the second time that it is called."""
    print("asked for", job["parameters"]["release"])
    if job["state"] is None:
        return {"continue": {"tables": 3}}
    files = {name: sorted(os.listdir(folder)) for name, folder in job["inputs"].items()}
    report = {"files": files, "state": job["state"], "parameters": job["parameters"]}
    Path(job["outputs"]["Report"], "report.json").write_text(json.dumps(report))
    return {"tables": str(job["state"]["tables"])}


def never(job):
    return False
