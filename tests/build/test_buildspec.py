import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from code_family_constructs.build.buildspec import (
    Artifacts,
    Batch,
    BatchEnv,
    BatchTask,
    BuildFanout,
    BuildMatrix,
    Buildspec,
    Cache,
    Env,
    MatrixDynamic,
    MatrixEnv,
    MatrixStatic,
    Phase,
    Phases,
    Proxy,
    Report,
    SecondaryArtifact,
)
from code_family_constructs.build.buildspec_checks import GRAMMAR, REPORT_FORMATS, BuildHost, sounds_secret
from code_family_constructs.errors import ConfigurationError

SAMPLE = Path(__file__).parents[2] / "sample_app" / "buildspec.yml"
BUILD = "phases: {build: {commands: [make]}}\n"


def errors(text, host=None):
    return [finding for finding in Buildspec.check(text, host=host) if finding.severity == "error"]


def warnings(text, host=None):
    found = Buildspec.check(text, host=host)
    assert not [finding for finding in found if finding.severity == "error"]
    return [(finding.code, finding.line) for finding in found]


def spec(body):
    """A buildspec whose first line is the second one of the text."""
    return f"version: 0.2\n{body}"


# The five buildspecs of the article, in words of our own.

BASE = """
version: 0.2
env:
  variables:
    STAGE: dev
phases:
  install:
    runtime-versions:
      python: 3.12
    commands:
      - pip install --requirement requirements.txt
  pre_build:
    commands:
      - python -m unittest discover
    finally:
      - rm -rf scratch
  build:
    commands:
      - python app.py
  post_build:
    commands:
      - echo "Done at $(date)"
artifacts:
  files:
    - '**/*'
"""
SECRETS = """
version: 0.2
env:
  variables:
    STAGE: production
  parameter-store:
    API_ENDPOINT: /shop/prod/endpoint
  secrets-manager:
    DB_PASSWORD: prod/shop:password
  exported-variables:
    - IMAGE_TAG
phases:
  build:
    commands:
      - IMAGE_TAG=$(git rev-parse --short HEAD)
      - ./migrate.sh
"""
DOCKER = """
version: 0.2
phases:
  pre_build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin $REGISTRY
      - TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-8)
  build:
    commands:
      - docker build --tag $REGISTRY/shop:$TAG .
  post_build:
    commands:
      - docker push $REGISTRY/shop:$TAG
      - printf '[{"name":"shop","imageUri":"%s"}]' $REGISTRY/shop:$TAG > imagedefinitions.json
artifacts:
  files: imagedefinitions.json
"""
REPORTS = """
version: 0.2
phases:
  build:
    on-failure: RETRY-2
    commands:
      - pytest --junitxml=reports/unit.xml --cov-report=xml
reports:
  unit:
    files:
      - unit.xml
    base-directory: reports
    file-format: JunitXml
  coverage:
    files: ['coverage.xml']
    file-format: COBERTURAXML
    discard-paths: yes
cache:
  key: pip-$(codebuild-hash-files requirements.txt)
  fallback-keys: [pip-]
  paths:
    - /root/.cache/pip/**/*
"""
SECONDARY = """
version: 0.2
phases:
  build:
    commands:
      - make web api
artifacts:
  files:
    - '**/*'
  base-directory: web/dist
  secondary-artifacts:
    api:
      files: ['**/*']
      base-directory: api/dist
      discard-paths: no
    docs:
      files:
        - docs/**/*
      name: docs-$(date +%Y-%m-%d)
      exclude-paths: 'docs/drafts/**/*'
"""
BOTH_WAYS = {
    "base": (
        BASE,
        Buildspec(
            env=Env(variables={"STAGE": "dev"}),
            phases=Phases(
                install=Phase(
                    runtime_versions={"python": "3.12"}, commands=["pip install --requirement requirements.txt"]
                ),
                pre_build=Phase(commands=["python -m unittest discover"], finally_=["rm -rf scratch"]),
                build=Phase(commands=["python app.py"]),
                post_build=Phase(commands=['echo "Done at $(date)"']),
            ),
            artifacts=Artifacts(files=["**/*"]),
        ),
    ),
    "secrets": (
        SECRETS,
        Buildspec(
            env=Env(
                variables={"STAGE": "production"},
                parameter_store={"API_ENDPOINT": "/shop/prod/endpoint"},
                secrets_manager={"DB_PASSWORD": "prod/shop:password"},
                exported_variables=["IMAGE_TAG"],
            ),
            phases=Phases(build=Phase(commands=["IMAGE_TAG=$(git rev-parse --short HEAD)", "./migrate.sh"])),
        ),
    ),
    "docker": (
        DOCKER,
        Buildspec(
            phases=Phases(
                pre_build=Phase(
                    commands=[
                        "aws ecr get-login-password | docker login --username AWS --password-stdin $REGISTRY",
                        "TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-8)",
                    ]
                ),
                build=Phase(commands=["docker build --tag $REGISTRY/shop:$TAG ."]),
                post_build=Phase(
                    commands=[
                        "docker push $REGISTRY/shop:$TAG",
                        'printf \'[{"name":"shop","imageUri":"%s"}]\' $REGISTRY/shop:$TAG > imagedefinitions.json',
                    ]
                ),
            ),
            artifacts=Artifacts(files=["imagedefinitions.json"]),
        ),
    ),
    "reports": (
        REPORTS,
        Buildspec(
            phases=Phases(
                build=Phase(
                    on_failure="RETRY-2", commands=["pytest --junitxml=reports/unit.xml --cov-report=xml"]
                )
            ),
            reports={
                "unit": Report(files=["unit.xml"], base_directory="reports", file_format="JunitXml"),
                "coverage": Report(files=["coverage.xml"], file_format="COBERTURAXML", discard_paths=True),
            },
            cache=Cache(
                key="pip-$(codebuild-hash-files requirements.txt)",
                fallback_keys=["pip-"],
                paths=["/root/.cache/pip/**/*"],
            ),
        ),
    ),
    "secondary": (
        SECONDARY,
        Buildspec(
            phases=Phases(build=Phase(commands=["make web api"])),
            artifacts=Artifacts(
                files=["**/*"],
                base_directory="web/dist",
                secondary_artifacts={
                    "api": SecondaryArtifact(files=["**/*"], base_directory="api/dist", discard_paths=False),
                    "docs": SecondaryArtifact(
                        files=["docs/**/*"],
                        name="docs-$(date +%Y-%m-%d)",
                        exclude_paths=["docs/drafts/**/*"],
                    ),
                },
            ),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_the_buildspecs_of_the_article_are_the_same_in_yaml_and_in_python(name):
    text, written = BOTH_WAYS[name]
    read = Buildspec.from_text(text)
    assert read == written
    assert read.findings == ()
    assert Buildspec.from_text(read.render()) == read
    assert Buildspec.from_text(written.render()) == written
    assert yaml.safe_load(read.render()) == yaml.safe_load(text)


def test_the_sample_application_is_fine():
    sample = Buildspec.from_file(SAMPLE)
    assert sample.findings == ()
    assert sample.env
    assert sample.env.exported_variables == ("RELEASE",)


# Reading and rendering.

EVERYTHING = """
cache: {paths: [a], action: save, key: k}
version: 0.2
run-as: builder
proxy: {logs: no, upload-artifacts: yes}
env: {git-credential-helper: yes, shell: bash, variables: {B: '1', A: '2'}}
batch:
  build-graph:
    - {identifier: one, ignore-failure: true, debug-session: false, env: {image: i, privileged-mode: true}}
    - {depend-on: [one], buildspec: b.yml, identifier: two, env: {type: ARM_CONTAINER, variables: {C: '3'}}}
  fast-fail: false
phases:
  post_build: {commands: [b]}
  install: {runtime-versions: {python: 3.10, java: corretto21}, run-as: root}
  build: {finally: [c], commands: ["a: b", 'true', "x\\ny\\n"], on-failure: ABORT}
artifacts: {files: [f], name: n, s3-prefix: p, enable-symlinks: yes, exclude-paths: [e]}
reports: {r: {files: [f], file-format: JUNITXML}}
"""
MATRIX = """
version: 0.2
batch:
  build-matrix:
    static: {ignore-failure: false, env: {type: LINUX_CONTAINER, privileged-mode: true}}
    dynamic:
      buildspec: [one.yml, two.yml]
      env: {compute-type: [BUILD_GENERAL1_SMALL], image: [a, b], variables: {NODE: ['20', '22']}}
"""
FANOUT = f"version: 0.2\nbatch:\n  build-fanout:\n    parallelism: 4\n    ignore-failure: false\n{BUILD}"


@pytest.mark.parametrize("text", [EVERYTHING, MATRIX, FANOUT])
def test_the_whole_grammar_is_read_and_rendered_as_it_was_written(text):
    read = Buildspec.from_text(text)
    assert not [finding for finding in read.findings if finding.severity == "error"]
    rendered = read.render()
    assert yaml.safe_load(rendered) == yaml.safe_load(text)
    assert list(yaml.safe_load(rendered)) == list(yaml.safe_load(text))
    assert Buildspec.from_text(rendered) == read


def test_every_key_of_the_grammar_has_a_typed_place():
    assert Buildspec.from_text(MATRIX).batch == Batch(
        build_matrix=BuildMatrix(
            static=MatrixStatic(
                ignore_failure=False, env=BatchEnv(type="LINUX_CONTAINER", privileged_mode=True)
            ),
            dynamic=MatrixDynamic(
                buildspec=["one.yml", "two.yml"],
                env=MatrixEnv(
                    compute_type=["BUILD_GENERAL1_SMALL"], image=["a", "b"], variables={"NODE": ["20", "22"]}
                ),
            ),
        )
    )  # fmt: skip
    assert Buildspec.from_text(FANOUT).batch == Batch(build_fanout=BuildFanout(parallelism=4, ignore_failure=False))
    assert Buildspec.from_text(EVERYTHING).proxy == Proxy(logs=False, upload_artifacts=True)


def test_versions_stay_the_text_that_was_typed():
    read = Buildspec.from_text(spec("phases:\n  install:\n    runtime-versions:\n      python: 3.10\n"))
    assert read.phases
    assert read.phases.install
    assert read.phases.install.runtime_versions == {"python": "3.10"}
    assert "python: 3.10\n" in read.render()
    built = Buildspec(phases=Phases(install=Phase(runtime_versions={"python": "3.10"}), build=Phase(commands=["true"])))
    assert "python: '3.10'\n" in built.render()
    assert "- 'true'\n" in built.render()


def test_order_is_no_difference_and_replacing_checks_again():
    one = Buildspec.from_text(spec("cache: {paths: [a]}\n" + BUILD))
    other = Buildspec.from_text(spec(BUILD + "cache: {paths: [a]}\n"))
    assert one == other
    assert replace(one, cache=None) == Buildspec.from_text(spec(BUILD))
    with pytest.raises(ConfigurationError, match=r"write version: 0\.2"):
        replace(one, version="0.3")


def test_findings_have_the_lines_of_the_file(tmp_path):
    file = tmp_path / "ci.yml"
    file.write_text(spec("\n\n" + BUILD + "artifacts:\n  type: zip\n  files: a\n"), encoding="utf-8")
    (finding,) = Buildspec.from_file(file).findings
    assert str(finding).startswith(f"{file}:6: warning BS107 artifacts.type: ")


def test_a_file_with_errors_is_refused_with_all_of_them(tmp_path):
    file = tmp_path / "buildspec.yml"
    file.write_text(spec("phases:\n  biuld:\n    comands: [make]\nartifacts:\n  name: x\n"), encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"(?s)buildspec has 2 errors.*:3: error BS103 .*:5: error BS411"
    ) as no:
        Buildspec.from_file(file)
    assert no.value.fix == "did you mean 'build'?"
    with pytest.raises(ConfigurationError, match=r"fix  give '.*buildspec\.yml'"):
        Buildspec.from_file(tmp_path / "buildspec.yaml")


def test_json_is_read_too():
    assert Buildspec.from_text('{"version": 0.2, "phases": {"build": {"commands": ["make"]}}}') == Buildspec(
        phases=Phases(build=Phase(commands=["make"]))
    )


# Python that is wrong.

MAKE = Phase(commands=["make"])


@pytest.mark.parametrize(
    ("kind", "arguments", "fix"),
    [
        (Phase, {"commands": "make"}, "give a list: ['make']"),
        (Phase, {"runtime_versions": {"python": 3.10}}, "give it in quotes: '3.1'"),
        (Phase, {"commands": ["make", 3]}, "give it in quotes: '3'"),
        (Env, {"variables": ["A"]}, "give a dictionary"),
        (Env, {"git_credential_helper": "yes"}, "give True or False"),
        (BuildFanout, {"parallelism": "4"}, "give a number"),
        (Phases, {"build": ["make"]}, "give Phase(…)"),
        (Batch, {"build_list": [{"identifier": "a"}]}, "give BatchTask(…)"),
        (Artifacts, {"secondary_artifacts": {"b": Report(files=["c"])}}, "give SecondaryArtifact(…)"),
        (Buildspec, {}, "write phases: build: commands:"),
        (Buildspec, {"phases": Phases(build=replace(MAKE, on_failure="STOP"))}, "write ABORT, CONTINUE"),
        (Buildspec, {"phases": Phases(build=MAKE), "artifacts": Artifacts(name="a")}, "write files:"),
        (Buildspec, {"batch": Batch(build_list=[BatchTask(identifier="a", buildspec="b")] * 2)}, "rename one"),
    ],
)
def test_python_that_is_wrong_is_refused(kind, arguments, fix):
    with pytest.raises(ConfigurationError, match=re.escape(f"fix  {fix}")):
        kind(**arguments)


# What real files look like, which CodeBuild takes: no error, and a warning only where there is something to say.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (spec(BUILD + "artifacts:\n  files: out.json\n"), []),
        (spec(BUILD + "artifacts:\n  files: ['**/*']\n  exclude-paths: node_modules/**/*\n  discard-paths: yes\n"), []),
        (spec("batch:\n  build-list:\n    - identifier: a\n      buildspec: a.yml\n"), []),
        (
            spec("phases:\n  install:\n    runtime-versions:\n      nodejs: 22\n"
            "  build:\n    commands:\n      - make\n"),
            [],
        ),
        (spec("phases:\n  install:\n    on-failure: ABORT\n  build:\n    commands: [make]\n"), []),
        (spec("phases:\n  build:\n    commands:\n"), [("BS106", 4)]),
        (spec("phases:\n  build:\n    commands: make all\n"), [("BS108", 4)]),
        (spec("phases:\n  build:\n    commands: [make]\n  post_build:\n    finally: [echo bye]\n"), [("BS203", 5)]),
        (spec("phases:\n  build:\n    commands:\n      - make\n      -\n"), [("BS206", 6)]),
        (spec("phases:\n  build:\n    commands: [make]\n  post_build:\n"), [("BS106", 5)]),
        (spec("env:\n" + BUILD), [("BS106", 2)]),
        (spec("env:\n  variables:\n    A: 1\n    B: true\n    C: 3.10\n    D: ''\n" + BUILD), []),
        (spec("env:\n  shell: /bin/bash\n" + BUILD), [("BS306", 3)]),
        (spec("env:\n  compute-type: BUILD_GENERAL1_LARGE\n" + BUILD), [("BS104", 3)]),
        (spec("env:\n  TAG: latest\n" + BUILD), [("BS104", 3)]),
        (
            spec("env:\n  parameter-store:\n    A: /app/${STAGE}/a\n  secrets-manager:\n"
            "    B: 'my secret:a key::'\n" + BUILD),
            [],
        ),
        (
            spec(
                "env:\n  secrets-manager:\n"
                "    A: arn:aws:secretsmanager:eu-west-1:111122223333:secret:db/x-a1B2c3:key\n"
                + BUILD
            ),
            [],
        ),
        (spec(BUILD + "cache:\n  paths:\n"), []),
        (spec(BUILD + "artifacts:\n  secondary-artifacts:\n    a:\n      files: [b]\n"), [("BS411", 3)]),
        (spec(BUILD + "artifacts:\n  type: zip\n  files: a\n"), [("BS107", 4)]),
        (spec(BUILD + "artifacts:\n  files:\n"), [("BS106", 4)]),
        (
            "version: 0.1\nenvironment_variables:\n  plaintext:\n    A: b\n" + BUILD,
            [("BS107", 1), ("BS107", 2), ("BS107", 3)],
        ),
        ('version: "0.2"\n' + BUILD, []),
        (spec(BUILD + "reports:\n  artifacts:\n    files: a\n"), [("BS104", 4)]),
        (spec("x-common: &c\n  - make\nphases:\n  build:\n    commands: *c\n"), []),
        (spec(".base: &b\n  commands: [make]\nphases:\n  build:\n    <<: *b\n    finally: [echo]\n"), []),
        (
            spec("phases:\n  install:\n    runtime-versions:\n      docker: 18\n  build:\n    commands: [make]\n"),
            [("BS208", 5)],
        ),
        (
            spec("phases:\n  install:\n    runtime-versions:\n      java: corretto17\n"
            "      python: $PY\n      golang: latest\n"),
            [],
        ),
        (spec("phases:\n  install:\n    runtime-versions:\n      nodejs: 20.x\n      ruby: 3.4.1\n"), []),
        (spec("phases:\n  build:\n    on-failure: Retry-3-.*timed out.*\n    commands: [make]\n"), []),
        (
            spec("phases:\n  build:\n    commands:\n      - |\n        for f in *; do\n"
            "        \techo $f\n        done\n"),
            [],
        ),
        (spec("phases:\n  build:\n    commands:\n      - true\n      - 42\n      - make\t# why\n"), []),
        (
            spec("batch:\n  build-list:\n    - identifier: a\n      depend-on: [b]\n      buildspec: a.yml\n"),
            [("BS504", 5)],
        ),
        (
            spec("batch:\n  build-list:\n    - identifier: a-b\n      buildspec: a.yml\n      comment: why\n"),
            [("BS502", 4), ("BS104", 6)],
        ),
        (spec("batch:\n  build-list:\n    - identifier: a\n"), [("BS201", 3)]),
        (
            spec(BUILD + "reports:\n  arn:aws:codebuild:eu-west-1:111122223333:report-group/x:\n"
            "    files: a.xml\n    file-format: cucumberjson\n"),
            [],
        ),
        ("\ufeff" + spec(BUILD).replace("\n", "\r\n"), []),
        ("---\n" + spec(BUILD), []),
        (spec("phases:\n  build:\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n"), [("BS210", 4)]),
        (spec("env:\n  exported-variables:\n    - AWS_REGION\n" + BUILD), [("BS305", 4)]),
        (spec("env:\n  variables:\n    CODEBUILD_X: a\n" + BUILD), [("BS301", 4)]),
        (spec("env:\n  variables:\n    key: value\n    key: value\n" + BUILD), [("DOC103", 5)]),
    ],
)  # fmt: skip
def test_what_people_write_and_codebuild_takes_passes(text, said):
    assert warnings(text) == said
    read = Buildspec.from_text(text)
    again = Buildspec.from_text(read.render())
    assert again == read


def test_a_comment_is_the_only_thing_that_is_lost():
    text = spec("unheard-of: [1, {a: yes}]\nbatch:\n  build-list:\n    - identifier: a\n      comment: x\n" + BUILD)
    assert yaml.safe_load(Buildspec.from_text(text).render()) == yaml.safe_load(text)


# What goes wrong: an error at its line, with what to type.


@pytest.mark.parametrize(
    ("body", "code", "line", "fix"),
    [
        ("phase:\n  build:\n    commands: [make]\n", "BS103", 2, "did you mean 'phases'"),
        ("phases:\n  biuld:\n    commands: [make]\n", "BS103", 3, "did you mean 'build'"),
        ("phases:\n  preBuild:\n    commands: [make]\n", "BS103", 3, "did you mean 'pre_build'"),
        ("phases:\n  deploy:\n    commands: [make]\n", "BS103", 3, "install, pre_build, build, post_build"),
        ("phases:\n  build:\n    command: [make]\n", "BS103", 4, "did you mean 'commands'"),
        ("phases:\n  build:\n    script: [make]\n", "BS103", 4, "did you mean 'commands'"),
        ("phases:\n  build:\n  commands:\n    - make\n", "BS103", 4, "one of the phases"),
        (
            "phases:\n  build:\n    commands: [make]\n    post_build:\n      commands: [x]\n",
            "BS103", 5, "stands in phases",
        ),
        ("phases:\n  build:\n    commands: [make]\n  artifacts:\n    files: a\n", "BS103", 5, "the top level"),
        (BUILD + "artifacts:\nfiles:\n  - a\n", "BS103", 4, "stands in artifacts"),
        (BUILD + "artifact:\n  files: a\n", "BS103", 3, "did you mean 'artifacts'"),
        (BUILD + "artifacts:\n  base_directory: b\n  files: a\n", "BS103", 4, "did you mean 'base-directory'"),
        (BUILD + "reports:\n  files: [a.xml]\n", "BS103", 4, "indent files under it"),
        (BUILD + "environment:\n  variables: {A: b}\n", "BS103", 3, "did you mean 'env'"),
        ("phases:\nbuild:\n  commands: [make]\n", "BS202", 3, "indent build and its commands under phases:"),
        ("phases:\n  install:\n    commands: [a]\nbuild:\n  commands: [make]\n", "BS202", 5, "indent build"),
        ("phases:\n", "BS201", 2, "indent build:"),
        ("phases: {}\n", "BS201", 2, "indent build:"),
        ("env:\n  variables: {A: b}\n", "BS201", 1, "write phases:"),
        ("phases:\n  build:\n    on-failure: ABORT\n", "BS203", 3, "write commands:"),
        ("phases:\n  build:\n    - make\n", "BS105", 3, "in a list under `commands:`"),
        ("phases:\n  build: make\n", "BS105", 3, "in a list under `commands:`"),
        ("phases:\n  - build\n", "BS105", 2, "without dashes"),
        ("phases:\n  build:\n    steps: [make]\n", "BS105", 4, "- run:"),
        ("phases:\n  build:\n    steps: make\n", "BS105", 4, "- run:"),
        ("phases:\n  build:\n    commands:\n      make: all\n", "BS105", 4, "start each command with `- `"),
        (
            "phases:\n  build:\n    commands:\n      - echo \"Result: it's fine\"\n",
            "BS204", 5, "- 'echo \"Result: it''s fine\"'",
        ),
        ("phases:\n  build:\n    commands:\n      - echo Contents:\n", "BS204", 5, "- 'echo Contents:'"),
        ("phases:\n  build:\n    commands:\n      - - make\n", "BS204", 5, "with one dash"),
        (
            "phases:\n  build:\n    commands:\n      - name: Checkout\n        uses: actions/checkout@v4\n",
            "BS205", 5, "`steps:`",
        ),
        ("phases:\n  build:\n    commands:\n      - run: make\n", "BS205", 5, "what `run` holds"),
        ("phases:\n  build:\n    commands:\n\t- make\n", "DOC102", 5, "indent with spaces"),
        ("phases:\n  build:\n    commands: [a]\n    commands: [b]\n", "DOC103", 5, "indent the second one"),
        (BUILD + "phases:\n  build: {commands: [x]}\n", "DOC103", 3, "join the two"),
        ("phases:\n  build:\n    on-failure: STOP\n    commands: [make]\n", "BS207", 4, "RETRY-<times>"),
        ("phases:\n  install:\n    runtime-versions:\n      node: 20\n", "BS208", 5, "did you mean 'nodejs'"),
        ("phases:\n  install:\n    runtime-versions:\n      pyhton: 3.12\n", "BS208", 5, "did you mean 'python'"),
        ("phases:\n  install:\n    runtime-versions:\n      - python: 3.12\n", "BS105", 4, "NAME: value"),
        (
            "phases:\n  install:\n    runtime-versions:\n      nodejs: 22\n      commands:\n        - npm ci\n",
            "BS103", 6, "indent commands as far as runtime-versions",
        ),
        (
            "env:\n  variables:\n    A: b\n    parameter-store:\n      C: /d\n" + BUILD,
            "BS103", 5, "indent parameter-store as far as variables",
        ),
        ("env:\n  variables:\n    - A: b\n" + BUILD, "BS105", 3, "without a dash"),
        ("env:\n  variables:\n    A: [b]\n" + BUILD, "BS105", 4, "single quotes"),
        ("env:\n  secrets-manager:\n    A: a:b:c:d:e\n" + BUILD, "BS307", 4, "<secret>"),
        ("env:\n  secrets-manager:\n    A: a:b:AWSCURRENT:0123\n" + BUILD, "BS307", 4, "one of the two"),
        ("env:\n  secrets-manager:\n    A: ':b'\n" + BUILD, "BS307", 4, "<secret>"),
        ("env:\n  varaibles: {A: b}\n" + BUILD, "BS103", 3, "did you mean 'variables'"),
        ("env:\n  git-credential-helper: maybe\n" + BUILD, "BS105", 3, "no"),
        ("environment_variables:\n  plaintext: {A: b}\nenv:\n  variables: {C: d}\n" + BUILD, "BS103", 2, "join them"),
        (BUILD + "artifacts:\n  name: a\n", "BS411", 3, "write files:"),
        (BUILD + "artifacts:\n  files: a\n  secondary-artifacts:\n    b:\n      name: c\n", "BS411", 6, "write files:"),
        (BUILD + "artifacts:\n  - a.json\n", "BS105", 3, "without dashes"),
        (BUILD + "artifacts:\n  files:\n    a: b\n", "BS105", 4, "start each item"),
        (BUILD + "artifacts:\n  files:\n    - a: b\n", "BS105", 5, "- 'a: b'"),
        (BUILD + "reports:\n  unit:\n    file-format: JUNITXML\n", "BS403", 4, "write files:"),
        (BUILD + "reports:\n  unit:\n    files: a\n    file-format: JUNIT\n", "BS402", 6, "did you mean JUNITXML?"),
        (BUILD + "reports:\n" + "".join(f"  r{n}:\n    files: a\n" for n in range(6)), "BS401", 14, "at most 5"),
        (
            BUILD + "artifacts:\n  files: a\n  secondary-artifacts:\n"
            + "".join(f"    r{n}: {{files: a}}\n" for n in range(13)),
            "BS412", 18, "at most 12",
        ),
        (BUILD + "cache:\n  action: saev\n", "BS421", 4, "did you mean 'save'"),
        (BUILD + "cache:\n  key: k\n  fallback-keys: [a, b, c, d, e, f]\n", "BS422", 5, "best 5"),
        ("batch:\n  build-list:\n    - buildspec: a.yml\n", "BS502", 4, "write identifier:"),
        ("batch:\n  build-list:\n" + "    - {identifier: a, buildspec: b}\n" * 2, "BS502", 5, "rename one"),
        (
            "batch:\n  build-graph:\n    - {identifier: one, buildspec: b, depend-on: [two]}\n",
            "BS503", 4, "another task",
        ),
        (
            "batch:\n  build-graph:\n    - {identifier: build, buildspec: b}\n"
            "    - {identifier: test, buildspec: b, depend-on: [biuld]}\n",
            "BS503", 5, "did you mean 'build'",
        ),
        ("batch:\n  build-graph:\n    - {identifier: a, buildspec: b, depend-on: [a]}\n", "BS503", 4, "remove a"),
        (
            "batch:\n  build-graph:\n    - {identifier: a, buildspec: b, depend-on: [c]}\n"
            "    - {identifier: b, buildspec: b, depend-on: [a]}\n"
            "    - {identifier: c, buildspec: b, depend-on: [b]}\n",
            "BS503", 4, "remove c from the depend-on of a",
        ),
        (
            "batch:\n  build-list:\n    - identifier: a\n      buildspec: b\n"
            "      env: {fleet: f, compute-type: BUILD_GENERAL1_SMALL}\n",
            "BS505", 6, "the fleet decides",
        ),
        (
            "batch:\n  build-list:\n    - identifier: a\n      buildspec: b\n      env: {type: LINUX_CONTAINERS}\n",
            "BS506", 6, "did you mean LINUX_CONTAINER?",
        ),
        ("batch:\n  build-matrix:\n    static:\n      ignore-failure: true\n" + BUILD, "BS507", 3, "write dynamic:"),
        (
            "batch:\n  build-matrix:\n    dynamic:\n      env:\n        image: []\n" + BUILD,
            "BS507", 6, "give it a value",
        ),
        ("batch:\n  build-matrix:\n    dynamic: {}\n" + BUILD, "BS507", 3, "write dynamic:"),
        ("batch:\n  build-fanout:\n    ignore-failure: true\n" + BUILD, "BS508", 3, "write parallelism:"),
        ("batch:\n  build-fanout:\n    parallelism: many\n" + BUILD, "BS508", 4, "whole number"),
        ("batch:\n  build-list:\n    identifier: a\n" + BUILD, "BS105", 3, "- identifier:"),
        ("batch:\n  build-list: [a]\n" + BUILD, "BS105", 3, "- identifier: name"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_found(body, code, line, fix):
    found = errors(spec(body))
    assert [(finding.code, finding.line) for finding in found] == [(code, line)]
    assert fix in found[0].fix


@pytest.mark.parametrize(
    ("text", "code", "fix"),
    [
        (BUILD, "BS102", "write version: 0.2"),
        ("version: 2\n" + BUILD, "BS102", "write version: 0.2"),
        ("verison: 0.2\n" + BUILD, "BS103", "did you mean 'version'"),
        ("name: ci\non: push\njobs:\n  build:\n    steps: []\n", "BS101", "commands of a phase"),
        ("AWSTemplateFormatVersion: 2010-09-09\nResources: {}\n", "BS101", "path of the buildspec"),
        ("version: 0.0\nos: linux\nhooks: {}\n", "BS101", "path of the buildspec"),
        ("stages: [build]\nscript: make\n", "BS101", "write its commands"),
    ],
)
def test_what_is_no_buildspec_is_named(text, code, fix):
    (finding,) = errors(text)
    assert (finding.code, finding.line) == (code, 1)
    assert fix in finding.fix


# Secrets.


@pytest.mark.parametrize(
    ("variable", "code", "says"),
    [
        ("KEY_ID: AKIAIOSFODNN7EXAMPLE", "BS302", "an AWS access key id"),
        ("AWS_SECRET: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "BS302", "an AWS secret access key"),
        ("REMOTE: https://me:" + "hunter22@example.com/x.git", "BS302", "a URL with a password"),
        ("CI_LOGIN: ghp_" + "a1B2c3D4" * 5, "BS302", "a token of GitHub"),
        ("PEM: '-----BEGIN RSA PRIVATE KEY-----'", "BS302", "a private key"),
        ("DB_PASSWORD: hunter2", "BS303", "secrets-manager: DB_PASSWORD"),
        ("githubToken: abcdef", "BS303", "secrets-manager: githubToken"),
        ("STRIPE_API_KEY: abcdef", "BS303", "secrets-manager: STRIPE_API_KEY"),
    ],
)
def test_a_secret_in_a_plain_variable_is_a_warning_that_does_not_repeat_it(variable, code, says):
    (finding,) = Buildspec.check(spec(f"env:\n  variables:\n    {variable}\n" + BUILD))
    assert (finding.code, finding.severity, finding.line) == (code, "warning", 4)
    assert says in finding.problem + finding.fix
    assert variable.split(": ", 1)[1].strip("'") not in str(finding)


@pytest.mark.parametrize(
    "variable",
    [
        "DB_PASSWORD: ''", "DB_PASSWORD: $OTHER", "DB_PASSWORD: '{{resolve:x}}'", "DB_PASSWORD: <yours>",
        "SECRET_NAME: prod/db", "TOKEN_URL: https://example.com/token", "SECRET_ARN: arn:aws:x", "MAX_TOKENS: 4096",
        "USE_TOKEN: true", "NEXT_PUBLIC_API_KEY: abc", "COMMIT: 4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d",
        "IMAGE: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/app", "KEYBOARD: qwerty", "PARAM_SECRET: /prod/db",
    ],
)  # fmt: skip
def test_what_only_speaks_of_a_secret_is_fine(variable):
    assert Buildspec.check(spec(f"env:\n  variables:\n    {variable}\n" + BUILD)) == ()


@pytest.mark.parametrize(
    ("name", "secret"),
    [("PWD", False), ("DB_PWD", True), ("BYPASS", False), ("PASS", True), ("accessKey", True), ("TOKENIZER", False)],
)
def test_names_are_read_word_by_word(name, secret):
    assert sounds_secret(name) is secret


SECRET_ENV = (
    "env:\n  secrets-manager:\n    SIGNER: prod/signer\n  parameter-store:\n    DB_PASSWORD: /db\n    HOST: /host\n"
)


@pytest.mark.parametrize(
    "command",
    [
        "echo $SIGNER",
        'echo "login with ${DB_PASSWORD}"',
        "printf '%s' $SIGNER",
        "set -e; echo $SIGNER && make",
        "if true; then echo $DB_PASSWORD; fi",
        "echo $SIGNER | tee log.txt",
        "echo $SIGNER > /dev/stderr",
        "Write-Host $env:SIGNER",
        "printenv",
        "env",
        "echo $GITHUB_TOKEN",
        "|\n        make\n        echo $SIGNER",
    ],
)
def test_echo_of_a_secret_is_a_warning(command):
    command = command if command.startswith("|") else "'" + command.replace("'", "''") + "'"
    text = spec(SECRET_ENV + f"phases:\n  build:\n    commands:\n      - {command}\n")
    assert [(finding.code, finding.line) for finding in Buildspec.check(text)] == [("BS304", 11)]


@pytest.mark.parametrize(
    "command",
    [
        "echo $SIGNER | docker login --username x --password-stdin example.com",
        "echo $SIGNER > key.pem",
        'echo "token=${DB_PASSWORD}" >> .npmrc',
        "HASH=$(echo $SIGNER | sha256sum)",
        "HASH=`echo $SIGNER`",
        "echo '$SIGNER'",
        "echo \\$SIGNER",
        "echo ${SIGNER:+set} ${#SIGNER}",
        "echo $HOST $CODEBUILD_BUILD_ID",
        "./deploy --password $DB_PASSWORD",
        "env | grep -c HOST",
        "# echo $SIGNER",
        "env A=b make",
    ],
)
def test_a_secret_that_goes_elsewhere_is_fine(command):
    quoted = "'" + command.replace("'", "''") + "'"
    assert Buildspec.check(spec(SECRET_ENV + f"phases:\n  build:\n    commands:\n      - {quoted}\n")) == ()


def test_a_credential_in_a_command_is_a_warning():
    (finding,) = Buildspec.check(spec("phases:\n  build:\n    commands:\n      - export A=AKIAIOSFODNN7EXAMPLE\n"))
    assert (finding.code, finding.line) == ("BS302", 5)
    assert "revoke it" in finding.fix


@pytest.mark.parametrize(
    ("export", "said"), [("TAG", []), ("SIGNER", ["BS305"]), ("HOST", ["BS305"]), ("AWS_X", ["BS305"])]
)
def test_what_cannot_be_exported_is_a_warning(export, said):
    text = spec(SECRET_ENV + f"  exported-variables: [{export}]\n" + BUILD)
    assert [finding.code for finding in Buildspec.check(text)] == said


def test_a_variable_that_is_set_twice_is_a_warning():
    text = spec("env:\n  variables: {A: b}\n  parameter-store: {A: /b}\n" + BUILD)
    assert warnings(text) == [("BS308", 4)]


# Where it runs.

PYTHON = "phases:\n  install:\n    runtime-versions:\n      python: {}\n  build:\n    commands: [make]\n"


@pytest.mark.parametrize(
    ("body", "host", "said", "fix"),
    [
        (DOCKER, {"privileged": False}, [("BS601", "error", 10), ("BS601", "error", 13)], "privileged=True"),
        (DOCKER, {"privileged": True}, [], ""),
        (DOCKER, {}, [], ""),
        (DOCKER, {"compute_type": "BUILD_LAMBDA_2GB"}, [("BS603", "error", 10), ("BS603", "error", 13)], "EC2"),
        (
            spec("phases: {build: {commands: [docker-compose up -d]}}"),
            {"privileged": False}, [("BS601", "error", 2)], "",
        ),
        (
            spec("phases: {build: {commands: ['ID=$(docker run -d x)']}}"),
            {"privileged": False}, [("BS601", "error", 2)], "",
        ),
        (spec("phases: {build: {commands: [docker --version, docker login]}}"), {"privileged": False}, [], ""),
        (spec("phases: {build: {commands: ['echo docker build']}}"), {"privileged": False}, [], ""),
        (
            spec("env: {variables: {DOCKER_HOST: tcp://x}}\nphases: {build: {commands: [docker build .]}}"),
            {"privileged": False}, [], "",
        ),
        (spec(PYTHON.format("3.12")), {"image": "aws/codebuild/standard:7.0"}, [], ""),
        (spec(PYTHON.format("3.10")), {"image": "aws/codebuild/standard:8.0-26.01.01"}, [], ""),
        (spec(PYTHON.format("3.x")), {"image": "aws/codebuild/standard:7.0"}, [], ""),
        (spec(PYTHON.format("latest")), {"image": "aws/codebuild/standard:7.0"}, [], ""),
        (spec(PYTHON.format("$PY")), {"image": "aws/codebuild/standard:7.0"}, [], ""),
        (spec(PYTHON.format("3.7")), {"image": "aws/codebuild/standard:7.0"}, [("BS602", "warning", 5)], "3.9 3.10"),
        (spec(PYTHON.format("3.1")), {"image": "aws/codebuild/standard:7.0"}, [("BS602", "warning", 5)], "3.10"),
        (
            spec(PYTHON.format("3.12")), {"image": "aws/codebuild/amazonlinux2-x86_64-standard:corretto8"},
            [("BS602", "error", 5)], "it has java",
        ),
        (spec(PYTHON.format("3.12")), {"image": "example.com/ci:1"}, [("BS602", "warning", 5)], "in the image"),
        (spec(PYTHON.format("3.12")), {"image": "aws/codebuild/standard:99.0"}, [], ""),
        (REPORTS, {"compute_type": "BUILD_LAMBDA_1GB"}, [("BS603", "error", 5), ("BS603", "warning", 18)], "EC2"),
        (REPORTS, {"image": "aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.12"},
         [("BS603", "error", 5), ("BS603", "warning", 18)], "EC2"),
        (REPORTS, {"reserved": True}, [("BS604", "error", 5)], "on demand"),
        (spec("run-as: root\nphases: {build: {commands: [yum install -y jq]}}"),
         {"environment_type": "ARM_LAMBDA_CONTAINER"},
         [("BS603", "warning", 2), ("BS603", "warning", 3)], "EC2"),
        (spec("env: {shell: bash}\nrun-as: x\n" + BUILD), {"environment_type": "WINDOWS_SERVER_2022_CONTAINER"},
         [("BS605", "warning", 2), ("BS605", "warning", 3)], ""),
    ],
)  # fmt: skip
def test_what_the_place_cannot_do_is_found_once_the_place_is_known(body, host, said, fix):
    found = Buildspec.check(body, host=BuildHost(**host))
    assert [(finding.code, finding.severity, finding.line) for finding in found] == said
    assert all(fix.replace(" ", "") in finding.fix.replace(" ", "").replace(",", "") for finding in found[:1])


def test_a_host_refuses_while_reading_and_is_asked_later():
    with pytest.raises(ConfigurationError, match="set privileged=True"):
        Buildspec.from_text(DOCKER, host=BuildHost(privileged=False))
    assert [finding.code for finding in Buildspec.from_text(DOCKER).findings_on(BuildHost(privileged=False))] == [
        "BS601", "BS601",
    ]  # fmt: skip


# Both ways, whatever is in it.

WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() and "$" not in text
) | st.sampled_from(
    ["3.10", "yes", "null", "echo 'a: b'", "x\ny\n", "- a", "# b", "é", "{a", "*", "|", "a\tb", "'", "~"]
)
NAMES = st.from_regex(r"[A-Z][A-Z_]{0,8}Q", fullmatch=True).filter(lambda name: not name.startswith("CODEBUILD_"))
LISTS = st.lists(WORDS, min_size=1, max_size=3)
MAPS = st.dictionaries(NAMES, WORDS, max_size=2)
FLAGS = st.none() | st.booleans()
OPTIONAL = st.none() | WORDS
FAILURES = st.sampled_from([None, "ABORT", "CONTINUE", "RETRY", "RETRY-3", "retry-.*timeout.*", "RETRY-100-x: y"])
PHASES = st.builds(Phase, commands=LISTS, finally_=st.none() | LISTS, on_failure=FAILURES, run_as=OPTIONAL)
FILES = {"files": LISTS, "base_directory": OPTIONAL, "discard_paths": FLAGS}
SECONDARIES = st.builds(
    SecondaryArtifact, **FILES, name=OPTIONAL, exclude_paths=st.lists(WORDS, max_size=2), enable_symlinks=FLAGS
)
ENVIRONMENTS = st.none() | st.builds(
    BatchEnv, image=OPTIONAL, privileged_mode=FLAGS, type=st.sampled_from([None, "ARM_CONTAINER"]), variables=MAPS
)
TASKS = st.lists(
    st.builds(
        BatchTask, identifier=NAMES, buildspec=WORDS, env=ENVIRONMENTS, ignore_failure=FLAGS, debug_session=FLAGS
    ),
    min_size=1, max_size=3, unique_by=lambda task: task.identifier,
)  # fmt: skip
MATRICES = st.builds(
    BuildMatrix,
    static=st.none() | st.builds(MatrixStatic, ignore_failure=FLAGS),
    dynamic=st.builds(
        MatrixDynamic,
        buildspec=LISTS,
        env=st.none() | st.builds(MatrixEnv, image=LISTS, variables=st.dictionaries(NAMES, LISTS, max_size=2)),
    ),
)
BUILDSPECS = st.builds(
    Buildspec,
    run_as=OPTIONAL,
    env=st.none()
    | st.builds(
        Env,
        variables=MAPS,
        parameter_store=MAPS,
        exported_variables=st.lists(NAMES, max_size=2),
        git_credential_helper=FLAGS,
        shell=st.sampled_from([None, "bash"]),
    ),
    proxy=st.none() | st.builds(Proxy, logs=FLAGS, upload_artifacts=FLAGS),
    batch=st.none()
    | st.builds(Batch, fast_fail=FLAGS, build_graph=TASKS)
    | st.builds(Batch, build_list=TASKS)
    | st.builds(Batch, build_matrix=MATRICES)
    | st.builds(Batch, build_fanout=st.builds(BuildFanout, parallelism=st.integers(1, 50), ignore_failure=FLAGS)),
    phases=st.builds(Phases, install=st.none() | PHASES, pre_build=st.none() | PHASES, build=PHASES),
    reports=st.dictionaries(
        NAMES, st.builds(Report, **FILES, file_format=st.sampled_from([None, *REPORT_FORMATS])), max_size=2
    ),
    artifacts=st.none()
    | st.builds(Artifacts, **FILES, secondary_artifacts=st.dictionaries(NAMES, SECONDARIES, max_size=2)),
    cache=st.none() | st.builds(Cache, paths=LISTS, key=WORDS, fallback_keys=st.lists(WORDS, max_size=3)),
)
SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(BUILDSPECS)
def test_whatever_is_rendered_reads_back_as_the_same(written):
    rendered = written.render()
    read = Buildspec.from_text(rendered)
    assert read == written
    assert read.render() == rendered


KEYS = sorted({key for section in GRAMMAR.values() for key in section})
EVERY_KEY = """
version: 0.2
run-as: builder
env:
  shell: bash
  variables: {A1: b}
  parameter-store: {B1: b}
  secrets-manager: {C1: b}
  exported-variables: [D1]
  git-credential-helper: yes
proxy:
  upload-artifacts: yes
  logs: no
batch:
  fast-fail: yes
  build-graph:
    - identifier: one
      buildspec: a.yml
      depend-on: []
      ignore-failure: no
      debug-session: no
      env:
        compute-type: BUILD_GENERAL1_SMALL
        image: i
        privileged-mode: no
        type: ARM_CONTAINER
        variables: {E1: f}
phases:
  install:
    run-as: root
    on-failure: ABORT
    runtime-versions: {python: 3.12}
    commands: [a]
    finally: [b]
  pre_build:
    commands: [a]
  build:
    commands: [a]
  post_build:
    commands: [a]
reports:
  unit:
    files: [a]
    base-directory: b
    discard-paths: yes
    file-format: JUNITXML
artifacts:
  files: [a]
  name: n
  base-directory: b
  discard-paths: no
  exclude-paths: [c]
  enable-symlinks: no
  s3-prefix: p
  secondary-artifacts:
    other:
      files: [a]
      name: n
cache:
  key: k
  fallback-keys: [l]
  action: save
  paths: [m]
"""
LINES = EVERY_KEY.split("\n")
KEYED = [number for number, line in enumerate(LINES) if (m := re.match(r"[ -]*([a-z_0-9-]+):", line)) and m[1] in KEYS]


@st.composite
def misspellings(draw):
    number = draw(st.sampled_from(KEYED))
    parts = re.fullmatch(r"([ -]*)([a-z_0-9-]+)(:.*)", LINES[number])
    assert parts
    before, key, after = parts.groups()
    at = draw(st.integers(0, len(key) - 1))
    letter = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz_-"))
    wrong = draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[:at] + key[at] + key[at:],
                key[:at] + letter + key[at + 1 :],
                key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :],
                key.replace("-", "_") if "-" in key else key.replace("_", "-"),
                key.capitalize(),
            ]
        )
    )
    return number + 1, key, before, wrong, after


@settings(deadline=None, max_examples=200)
@given(misspellings().filter(lambda one: one[3] not in KEYS and re.fullmatch(r"[A-Za-z_][\w-]*", one[3])))
def test_any_misspelt_key_is_reported_where_it_stands(misspelling):
    line, _, before, wrong, after = misspelling
    text = "\n".join([*LINES[: line - 1], f"{before}{wrong}{after}", *LINES[line:]])
    found = [finding for finding in Buildspec.check(text) if finding.line == line]
    # A key may start with an underscore to be left alone.
    assert found or wrong.startswith("_")


def test_the_text_that_is_misspelt_is_fine_itself():
    assert errors(EVERY_KEY) == []


@pytest.mark.parametrize("key", [key for key in KEYS if len(key) > 5])
def test_a_lost_letter_names_the_key_that_was_meant(key):
    numbers = [number for number in KEYED if re.match(rf"[ -]*{key}:", LINES[number])]
    for number in numbers:
        wrong = LINES[number].replace(key, key[:2] + key[3:])
        text = "\n".join([*LINES[:number], wrong, *LINES[number + 1 :]])
        assert f"did you mean {key!r}?" in [finding.fix for finding in errors(text) if finding.line == number + 1]


@SLOW
@given(st.text() | st.binary() | st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
).map(lambda value: yaml.safe_dump({"version": 0.2, "phases": value} if value else value)))  # fmt: skip
def test_nothing_breaks_the_checks(text):
    host = BuildHost(image="aws/codebuild/standard:7.0", compute_type="BUILD_LAMBDA_1GB")
    found = Buildspec.check(text, host=host)
    if all(finding.severity == "warning" for finding in Buildspec.check(text)):
        read = Buildspec.from_text(text)
        assert Buildspec.from_text(read.render()) == read
    else:
        assert all(finding.fix for finding in found)
