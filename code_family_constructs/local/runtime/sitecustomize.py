"""Read by each Python process of a Lambda function: it finds what Lambda has, and nothing else of this environment.

That is the function's own code first, as the one place of its packages, then the standard library and boto3. Without
this, a function would do well here with any package that happens to be installed beside the endpoint.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder

_SDK = frozenset({"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"})
_PYTHON = sys.stdlib_module_names | {"sitecustomize", "usercustomize"}


class _Finder:
    def __init__(self, own: Sequence[str]) -> None:
        self._own = own

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if path is not None:
            return None
        spec = PathFinder.find_spec(name, self._own)
        if spec is None and name not in _PYTHON and name not in _SDK:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


if "LAMBDA_TASK_ROOT" in os.environ:
    _layers = filter(None, os.environ.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep))
    _roots = [
        os.environ["LAMBDA_TASK_ROOT"],
        *(path for layer in _layers for path in (os.path.join(layer, "python"), layer)),
    ]
    sys.meta_path.insert(0, _Finder(_roots))
