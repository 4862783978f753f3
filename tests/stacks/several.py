"""Bundled stacks that belong together, as `cdk deploy --all` sees them: one app, one synth, each stack reviewed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack

from code_family_constructs.testing import synthesized
from tests.stacks.review import FLAGS, Review

# Of the feature flags, those that say the same in other words where account and region are known: a partition by its
# name, and another stack's output by a function that lets it go.
OTHER_WORDS = {
    flag: FLAGS[flag] for flag in ("@aws-cdk/core:enablePartitionLiterals", "@aws-cdk/core:defaultCrossStackReferences")
}


class OneOf(Review):
    """One stack of an app that is synthesized already."""

    def __init__(self, stack: Stack, folder: Path, report: Any) -> None:
        self.stack = stack
        self.template = synthesized(stack)
        self.resources: Mapping[str, Any] = self.template["Resources"]
        self.template_file = folder / f"{stack.stack_name}.template.json"
        self.report = report


class Several:
    """The stacks of an app; `app` is the review of what is found for all of them.

    Args:
        make: Makes the stacks in an app, and returns one of them.
        folder: Where the assembly goes.
        flags: Feature flags of the app; those of cdk.json when left out.
    """

    def __init__(self, make: Callable[[App], Stack], folder: Path, flags: Mapping[str, Any] = FLAGS) -> None:
        self.app = Review(make, folder, flags)
        stacks = [child for child in self.app.stack.node.root.node.children if isinstance(child, Stack)]
        self.of = {stack.stack_name: OneOf(stack, folder, self.app.report) for stack in stacks}
        manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
        self._waits = {
            name: {other for other in manifest[name].get("dependencies", ()) if other in self.of} for name in self.of
        }
        self.templates: Mapping[str, Mapping[str, Any]] = {name: one.template for name, one in self.of.items()}

    def deploy_order(self) -> list[set[str]]:
        """What can be deployed at the same time, one set after the other, as `cdk deploy --all` does."""
        left, order = dict(self._waits), list[set[str]]()
        while left:
            done = set().union(*order)
            ready = {name for name, waits in left.items() if waits <= done}
            assert ready, f"a circle of {', '.join(left)}"
            order.append(ready)
            left = {name: waits for name, waits in left.items() if name not in ready}
        return order
