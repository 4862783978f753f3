"""Measures synth against the same flow by hand, CDK Pipelines and JavaScript: `python benchmarks/synth.py`.

Every contestant in `contestants/` is an ordinary CDK app that takes the number of pipelines. Time is that of whole
processes, started as the CDK CLI starts them, in rounds: each once a round, so that a busy minute of the machine hits
them all. Ratios compare within a round and are what to quote; seconds are this machine's, today. Everything but time
comes from one more run under `probe.py`, which also warms up, and is exact.

All of them run with the feature flags of cdk.json, without analytics and the template validator, on copies in a
temporary directory: nothing is written into the checkout. JavaScript uses the aws-cdk-lib inside of the Python package.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parents[1]

LIBRARY, BY_HAND, HARDENED = "this library", "by hand, L2 defaults", "by hand, hardened"
PEER, JAVASCRIPT = "CDK Pipelines", "by hand, JavaScript"
APPS = {
    LIBRARY: ("library.py", (1, 5, 20)),
    BY_HAND: ("by_hand.py", (1, 5, 20)),
    HARDENED: ("by_hand_hardened.py", (1, 5, 20)),
    PEER: ("cdk_pipelines.py", (1, 5, 20)),
    JAVASCRIPT: ("by_hand.js", (1, 20)),
}

AWS_CDK, US = "import aws_cdk", "import code_family_constructs"
IMPORTS = (AWS_CDK, US, "from code_family_constructs import *", "import benchmarks.contestants.by_hand")


class Case(NamedTuple):
    """One process that is measured: an app with so many pipelines, or an import with none."""

    name: str
    pipelines: int = 0

    def __str__(self) -> str:
        return f"{self.name}, pipelines: {self.pipelines}" if self.pipelines else self.name


class Cost(NamedTuple):
    """Seconds of one process together with the Node that it starts."""

    wall: float
    cpu: float


class Facts(NamedTuple):
    """What one app makes, and what it asks of aws-cdk-lib on the way (JavaScript does not ask, it is there)."""

    calls: Mapping[str, int]
    resources: int
    roles: int
    wild_actions: int
    wild_resources: int
    findings: int | None
    template: str

    @property
    def round_trips(self) -> int:
        return sum(self.calls.values())


# Those of one size beside each other: they are compared.
CASES = [Case(name, pipelines) for pipelines in (1, 5, 20) for name, (_, sizes) in APPS.items() if pipelines in sizes]
Costs = Mapping[Case, Sequence[Cost]]


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


class Workshop:
    """Copies of all that runs, and the environment in which it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("code_family_constructs", "stacks", "benchmarks"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        _unpack_javascript(folder / "node_modules")
        context = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("CDK_", "JSII_", "NODE_", "PYTHON"))
            },
            "CDK_CONTEXT_JSON": json.dumps({**context, "aws:cdk:version-reporting": False}),
            "CDK_VALIDATION": "false",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": str(folder),
        }

    def run(self, case: Case, *, probe: bool = False) -> tuple[Cost, str]:
        """Runs a case to its end and returns what it cost and said."""
        output = self._output(case)
        shutil.rmtree(output, ignore_errors=True)
        command = [sys.executable, "-c", case.name]
        if case.pipelines:
            program = self.folder / "benchmarks" / "contestants" / APPS[case.name][0]
            starter = ["node"] if program.suffix == ".js" else [sys.executable]
            watched = [str(self.folder / "benchmarks" / "probe.py")] if probe else []
            command = [*starter, *watched, str(program), str(case.pipelines)]
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self._environment, "CDK_OUTDIR": str(output)},
            capture_output=True,
            text=True,
            check=False,
        )
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"\n{case} failed:\n{done.stderr[-4000:]}")
        return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout

    def inspect(self, case: Case) -> Facts:
        """Runs an app once more, under the probe, and reads what it made."""
        python = APPS[case.name][0].endswith(".py")
        _, said = self.run(case, probe=python)
        calls = json.loads(said.splitlines()[-1]) if python else {}
        # CDK Pipelines has a nested assembly for each stage.
        templates = [json.loads(file.read_text()) for file in sorted(self._output(case).rglob("*.template.json"))]
        if not templates:
            raise SystemExit(f"\n{case} made no template")
        resources = [resource for template in templates for resource in template["Resources"].values()]
        statements = [statement for resource in resources for statement in _allowed(resource)]
        return Facts(
            calls=calls,
            resources=len(resources),
            roles=sum(resource["Type"] == "AWS::IAM::Role" for resource in resources),
            wild_actions=sum("*" in json.dumps(statement["Action"]) for statement in statements),
            wild_resources=sum("*" in json.dumps(statement["Resource"]) for statement in statements),
            findings=self._findings(case) if python else None,
            template="\n".join(json.dumps(template, separators=(",", ":")) for template in templates),
        )

    def _findings(self, case: Case) -> int:
        report = json.loads((self._output(case) / "validation-report.json").read_text())
        (pack,) = report["pluginReports"]
        return sum(len(violation["violatingConstructs"]) for violation in pack["violations"])

    def _output(self, case: Case) -> Path:
        return self.folder / "cdk.out" / f"{case.name}-{case.pipelines}"


def _unpack_javascript(node_modules: Path) -> None:
    """Lays out the JavaScript that is inside of the Python packages as npm would."""
    for package in ("aws_cdk", "constructs"):
        # Found, not imported: importing aws_cdk starts Node.
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"no {package} in {sys.executable}: run `make bench`, or this with .venv/bin/python")
        for location in spec.submodule_search_locations:
            for archive in Path(location).rglob("*.jsii.tgz"):
                with TemporaryDirectory(dir=node_modules.parent) as unpacked, tarfile.open(archive) as tar:
                    tar.extractall(unpacked, filter="data")
                    content = Path(unpacked) / "package"
                    name = json.loads((content / "package.json").read_text())["name"]
                    (node_modules / name).parent.mkdir(parents=True, exist_ok=True)
                    content.rename(node_modules / name)


def _allowed(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What identities are allowed to do; in policies of keys and buckets, `*` is the key or a bucket's objects."""
    properties = resource.get("Properties", {})
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        documents.append(properties["PolicyDocument"])
    return [s for document in documents for s in document["Statement"] if s["Effect"] == "Allow"]


def measure(workshop: Workshop, rounds: int) -> Costs:
    everything = [*CASES, *map(Case, IMPORTS)]
    costs: dict[Case, list[Cost]] = {case: [] for case in everything}
    for number in range(1, rounds + 1):
        say(f"· round {number} of {rounds}, {len(everything)} processes ", end="")
        begun = time.perf_counter()
        for case in everything:
            costs[case].append(workshop.run(case)[0])
            say(".", end="")
        say(f" {time.perf_counter() - begun:.0f} s")
    return costs


def ratios(costs: Costs, case: Case, base: Case, what: str) -> list[float]:
    """Both of the same round, round by round."""
    return [getattr(a, what) / getattr(b, what) for a, b in zip(costs[case], costs[base], strict=True)]


def each_further(few: float, many: float) -> float:
    return (many - few) / 19


def ratio(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def seconds(values: Sequence[float]) -> str:
    return f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f}"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def report_times(costs: Costs) -> str:
    def row(case: Case, base: Case) -> list[object]:
        spent = {what: [getattr(cost, what) for cost in costs[case]] for what in Cost._fields}
        return [
            *(ratio(ratios(costs, case, base, what)) for what in Cost._fields),
            *(seconds(spent[what]) for what in Cost._fields),
        ]

    headings = ["wall ratio", "CPU ratio", "wall s min/med/max", "CPU s min/med/max"]
    return "\n".join(
        [
            f"Time of a process, as ratio to '{BY_HAND}' with as many pipelines: median (min-max) of the rounds",
            table(
                ["", "pipelines", *headings],
                [[case.name, case.pipelines, *row(case, Case(BY_HAND, case.pipelines))] for case in CASES],
            ),
            "",
            f"Time of an import, as ratio to '{AWS_CDK}'",
            table(["", *headings], [[name, *row(Case(name), Case(AWS_CDK))] for name in IMPORTS]),
        ]
    )


def report_facts(facts: Mapping[Case, Facts], costs: Costs) -> str:
    def row(case: Case) -> list[object]:
        found, few, python = facts[case], Case(case.name, 1), facts[case].calls
        further: list[object] = ["", "", ""]
        if case.pipelines == 20:
            grown = each_further(facts[few].round_trips, found.round_trips)
            spent = [each_further(a.cpu, b.cpu) * 1000 for a, b in zip(costs[few], costs[case], strict=True)]
            size = each_further(len(facts[few].template), len(found.template))
            further = [f"{grown:.1f}" if python else "-", f"{median(spent):.0f}", f"{size:.0f}"]
        return [
            case.name,
            case.pipelines,
            found.round_trips if python else "-",
            found.resources,
            found.roles,
            f"{found.wild_actions} / {found.wild_resources}",
            "-" if found.findings is None else found.findings,
            len(found.template),
            *further,
        ]

    headings = ["", "pipelines", "round trips", "resources", "roles", "wildcards", "findings", "template bytes"]
    headings += ["+ round trips", "+ CPU ms", "+ bytes"]
    return "\n".join(
        [
            "What it takes and makes. Wildcards: statements that allow * in an action / in a resource. Findings: of",
            "cdk-nag's AwsSolutions, not acknowledged. With +: for each further pipeline, (20 - 1) / 19",
            table(
                headings,
                [row(case) for case in CASES],
            ),
        ]
    )


def targets(facts: Mapping[Case, Facts], costs: Costs) -> list[tuple[str, float, float]]:
    """What, measured, at most."""
    one, twenty = Case(LIBRARY, 1), Case(LIBRARY, 20)

    def wall(case: Case, base: Case) -> float:
        return median(ratios(costs, case, base, "wall"))

    return [
        (f"reference stack, wall ratio to '{BY_HAND}'", wall(one, Case(BY_HAND, 1)), 1.1),
        (f"reference stack, wall ratio to '{HARDENED}'", wall(one, Case(HARDENED, 1)), 1.1),
        ("round trips for each further pipeline", each_further(facts[one].round_trips, facts[twenty].round_trips), 25),
        (f"'{US}', wall ratio to '{AWS_CDK}'", wall(Case(US), Case(AWS_CDK)), 1.1),
        ("roles in the reference stack", facts[one].roles, 5),
        ("findings in the reference stack", facts[one].findings or 0, 0),
    ]


def as_json(facts: Mapping[Case, Facts], costs: Costs) -> dict[str, Any]:
    """All that was measured, with every call of a further pipeline by name."""
    apps = [
        {
            "name": case.name,
            "pipelines": case.pipelines,
            **{what: [getattr(cost, what) for cost in costs[case]] for what in Cost._fields},
            **found._asdict(),
            "template": len(found.template),
            "round_trips": found.round_trips,
        }
        for case, found in facts.items()
    ]
    further = {}
    for name in (LIBRARY, BY_HAND, HARDENED, PEER):
        grown = Counter(facts[Case(name, 20)].calls)
        grown.subtract(facts[Case(name, 1)].calls)
        further[name] = {call: round(count / 19, 2) for call, count in grown.most_common() if count}
    return {
        "apps": apps,
        "imports": {name: [cost._asdict() for cost in costs[Case(name)]] for name in IMPORTS},
        "calls_of_each_further_pipeline": further,
        "targets": [
            {"what": what, "measured": measured, "at_most": most, "met": measured <= most}
            for what, measured, most in targets(facts, costs)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="rounds to measure (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one round: ratios are then rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured here")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.runs
    if rounds < 1:
        parser.error(f"--runs {rounds}: use 1 or more")

    with TemporaryDirectory(prefix="code-family-bench-") as folder:
        say("· copies of the library and of aws-cdk-lib's JavaScript")
        workshop = Workshop(Path(folder))
        say(f"· what {len(CASES)} apps make ", end="")
        facts = {}
        for case in CASES:
            facts[case] = workshop.inspect(case)
            say(".", end="")
        say("")
        for pipelines in APPS[JAVASCRIPT][1]:
            if facts[Case(JAVASCRIPT, pipelines)].template != facts[Case(BY_HAND, pipelines)].template:
                raise SystemExit(f"'{JAVASCRIPT}' and '{BY_HAND}' are not the same app: their templates differ")
        costs = measure(workshop, rounds)

    verdicts = [
        [what, f"{measured:.2f}".removesuffix(".00"), f"{most:g}", "met" if measured <= most else "MISSED"]
        for what, measured, most in targets(facts, costs)
    ]
    print(report_times(costs), report_facts(facts, costs), sep="\n\n")
    print("\nTargets", table(["", "measured", "at most", ""], verdicts), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(as_json(facts, costs), indent=2) + "\n")


if __name__ == "__main__":
    main()
