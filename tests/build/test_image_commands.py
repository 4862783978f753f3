"""The commands that ImageBuild generates, run for real by bash, with `docker` and `aws` that remember what they do."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_cdk import App, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_secretsmanager as secretsmanager
from hypothesis import given, settings
from hypothesis import strategies as st

from code_family_constructs.build.image import ImageBuild
from code_family_constructs.testing import synthesized
from tests.helpers import only

URI = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/shop"
COMMIT = "4f2a9c1d0b7e6a5c4d3e2f1a0b9c8d7e6f5a4b3c"
TAG = "4f2a9c1d0b7e-b1e6661e"
DIGEST = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
AWKWARD = "two words, \"quotes\", 'more' and $HOME\nin two lines"
CODEBUILD = {
    "CODEBUILD_RESOLVED_SOURCE_VERSION": COMMIT,
    "CODEBUILD_BUILD_ID": "Shop-Image-Build:b1e6661e-e4f2-4156-9ab9-82a19e000000",
}

DOCKER = r"""#!/bin/bash
printf '%s\x1e' "$(printf '%s\x1f' docker "$@" "on ${BUILDX_BUILDER:-default}")" >>"$SANDBOX/calls"
[[ ! -e $SANDBOX/breaks/docker-$1-$2 ]] || exit 1
case "$1 $2" in
  'login --username')
    read -r password
    [[ $password == token ]]
    ;;
  'buildx create') ;;
  'buildx build')
    [[ " $* " == *' --push '* ]] || exit 64
    while [[ $1 != --tag ]]; do shift; done
    tag=${2##*:}
    if [[ -e $SANDBOX/registry/$tag ]]; then
      echo "tag invalid: The image tag '$tag' already exists and cannot be overwritten: it is immutable." >&2
      exit 1
    fi
    echo "$DIGEST" >"$SANDBOX/registry/$tag"
    ;;
  *)
    echo "the stub of docker does not know $*" >&2
    exit 64
    ;;
esac
"""
AWS = r"""#!/bin/bash
printf '%s\x1e' "$(printf '%s\x1f' aws "$@")" >>"$SANDBOX/calls"
[[ ! -e $SANDBOX/breaks/aws-$1-$2 ]] || { echo "An error occurred (AccessDeniedException)" >&2; exit 254; }
case "$1 $2" in
  'ecr get-login-password') echo token ;;
  'ecr batch-get-image')
    [[ "$3 $4 $5 $6" == '--registry-id 111122223333 --repository-name team/shop' ]] || exit 64
    tag=${8#imageTag=}
    if [[ -e $SANDBOX/registry/$tag && ! -e $SANDBOX/breaks/registry-forgets ]]; then
      cat "$SANDBOX/registry/$tag"
    else
      echo None
    fi
    ;;
  *)
    echo "the stub of aws does not know $*" >&2
    exit 64
    ;;
esac
"""


@dataclass
class Build:
    phases: dict[str, bool]
    exported: dict[str, str]
    files: dict[str, Any]
    log: str

    @property
    def failed(self) -> bool:
        return not all(self.phases.values())


class Sandbox:
    """A build container and a registry that outlives its builds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "breaks", "registry"):
            (root / folder).mkdir(parents=True)
        for name, program in (("docker", DOCKER), ("aws", AWS)):
            (root / "bin" / name).write_text(program, encoding="utf-8")
            (root / "bin" / name).chmod(0o755)

    def breaks(self, what: str) -> None:
        (self.root / "breaks" / what).touch()

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call; after those of docker, on which builder."""
        log = self.root / "calls"
        records = log.read_text().split("\x1e")[:-1] if log.exists() else []
        return [record.split("\x1f")[:-1] for record in records]

    def called(self, *beginning: str) -> list[list[str]]:
        return [call for call in self.calls if call[: len(beginning)] == list(beginning)]

    @property
    def tags(self) -> set[str]:
        return {path.name for path in (self.root / "registry").iterdir()}

    def build(self, project: Mapping[str, Any], **settings: str) -> Build:
        """Runs a project's buildspec as CodeBuild does: the next command only after one that succeeded.

        Between the phases only what is exported is kept. When install or pre_build fails, nothing runs after it; when
        build fails, post_build does.
        """
        spec = yaml.safe_load(project["Source"]["BuildSpec"])
        assert spec["env"]["shell"] == "bash"
        source = self.root / f"src{len(list(self.root.glob('src*')))}"
        source.mkdir()
        state = self.root / "state"
        state.write_text("")
        variables = {one["Name"]: str(one["Value"]) for one in project["Environment"]["EnvironmentVariables"]}
        environment = {
            **CODEBUILD,
            **variables,
            "REPOSITORY_URI": URI,
            "DIGEST": DIGEST,
            "SANDBOX": str(self.root),
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            **settings,
        }
        phases: dict[str, bool] = {}
        log = ""
        for name in ("install", "pre_build", "build", "post_build"):
            if name not in spec["phases"] or not all(phases.get(before, True) for before in ("install", "pre_build")):
                continue
            commands = "".join(f"{{ {command}\n}} || exit\n" for command in spec["phases"][name]["commands"])
            program = f"source {shlex.quote(str(state))}\n{commands}export -p >{shlex.quote(str(state))}"
            ended = subprocess.run(
                ["bash", "-c", program],
                cwd=source,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
                check=False,
            )
            phases[name] = ended.returncode == 0
            log += ended.stdout
        shown = {
            name: re.search(rf'^declare -x {name}="(.*)"$', state.read_text(), re.MULTILINE)
            for name in spec["env"]["exported-variables"]
        }
        return Build(
            phases=phases,
            exported={name: found[1] for name, found in shown.items() if found},
            files={name: json.loads((source / name).read_text()) for name in spec["artifacts"]["files"]
                   if (source / name).exists()},
            log=log,
        )  # fmt: skip


@pytest.fixture(scope="module")
def projects():
    """The build projects of several ways to say what is to be built, as deployed."""
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "arm": {"platform": ecr_assets.Platform.LINUX_ARM64},
        "uncached": {"layer_cache": False},
        "detailed": {
            "directory": "services/my shop",
            "dockerfile": "../docker/shop.Dockerfile",
            "build_args": {"VERSION": "1.4", "MOTTO": AWKWARD},
            "build_secrets": {"npm": "Npm"},
            "container_name": "web-1",
        },
    }
    app = App()
    stacks = {name: Stack(app, name) for name in ways}
    for name, stack in stacks.items():
        secrets = {
            id: secretsmanager.Secret.from_secret_name_v2(stack, secret, secret)
            for id, secret in ways[name].pop("build_secrets", {}).items()
        }
        ImageBuild(stack, "Image", build_secrets=secrets, **ways[name])
    return {name: only(synthesized(stack), "AWS::CodeBuild::Project") for name, stack in stacks.items()}


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path / "sandbox")


def test_a_build_tells_the_next_action_which_image_it_pushed(sandbox, projects):
    build = sandbox.build(projects["plain"])
    assert build.phases == {"pre_build": True, "build": True}, build.log
    assert sandbox.tags == {TAG}
    assert build.files == {
        "imageDetail.json": {"ImageURI": f"{URI}@{DIGEST}"},
        "imagedefinitions.json": [{"name": "app", "imageUri": f"{URI}@{DIGEST}"}],
    }
    assert build.exported == {"IMAGE_URI": f"{URI}@{DIGEST}", "IMAGE_TAG": TAG, "IMAGE_DIGEST": DIGEST}


def test_it_logs_in_builds_pushes_and_asks_for_the_digest(sandbox, projects):
    sandbox.build(projects["plain"])
    cache = f"type=registry,ref={URI}:cache-amd64"
    calls = [" ".join(call) for call in sandbox.calls]
    # The two sides of a pipe start at the same time.
    assert sorted(calls[:2]) == [
        "aws ecr get-login-password",
        f"docker login --username AWS --password-stdin {URI.split('/')[0]} on default",
    ]
    assert calls[2:] == [
        "docker buildx create --name image --driver docker-container --bootstrap on default",
        "docker buildx build --push --pull --provenance=false --platform linux/amd64"
        f" --cache-from {cache} --cache-to {cache},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
        f" --tag {URI}:{TAG} --file Dockerfile . on image",
        "aws ecr batch-get-image --registry-id 111122223333 --repository-name team/shop"
        f" --image-ids imageTag={TAG} --query images[0].imageId.imageDigest --output text",
    ]


@pytest.mark.parametrize(
    "broken",
    ["aws-ecr-get-login-password", "docker-login---username", "docker-buildx-build", "aws-ecr-batch-get-image"],
)
def test_whatever_fails_fails_the_build_and_nothing_is_told(sandbox, projects, broken):
    sandbox.breaks(broken)
    build = sandbox.build(projects["plain"])
    assert build.failed
    assert (build.files, build.exported) == ({}, {"IMAGE_TAG": TAG} if build.phases["pre_build"] else {})
    pushed = {TAG} if broken == "aws-ecr-batch-get-image" else set()
    assert sandbox.tags == pushed


def test_without_a_login_nothing_is_built(sandbox, projects):
    sandbox.breaks("aws-ecr-get-login-password")
    assert sandbox.build(projects["plain"]).phases == {"pre_build": False}
    assert not sandbox.called("docker", "buildx")


def test_an_image_that_ecr_does_not_know_is_told_to_nobody(sandbox, projects):
    sandbox.breaks("registry-forgets")
    build = sandbox.build(projects["plain"])
    assert build.failed
    assert build.files == {}
    assert f"ECR has no image {TAG}" in build.log


def test_the_same_commit_can_be_built_again(sandbox, projects):
    sandbox.build(projects["plain"])
    again = sandbox.build(projects["plain"], CODEBUILD_BUILD_ID="Shop-Image-Build:0c9f3d21-0000")
    assert not again.failed
    assert sandbox.tags == {TAG, "4f2a9c1d0b7e-0c9f3d21"}
    assert again.exported["IMAGE_TAG"] == "4f2a9c1d0b7e-0c9f3d21"


def test_a_tag_that_exists_is_never_taken_for_this_builds_image(sandbox, projects):
    (sandbox.root / "registry" / TAG).write_text("sha256:of-another-build")
    build = sandbox.build(projects["plain"])
    assert build.failed
    assert build.files == {}
    assert "immutable" in build.log


def test_builds_for_both_platforms_push_to_one_repository(sandbox, projects):
    assert not sandbox.build(projects["plain"]).failed
    assert not sandbox.build(projects["arm"], CODEBUILD_BUILD_ID="Shop-Arm-Build:77e1a2b3-0000").failed
    _, arm = sandbox.called("docker", "buildx", "build")
    assert arm[arm.index("--platform") + 1] == "linux/arm64"
    assert arm[arm.index("--cache-from") + 1] == f"type=registry,ref={URI}:cache-arm64"


def test_a_buildkit_that_does_not_start_costs_the_cache_and_not_the_build(sandbox, projects):
    sandbox.breaks("docker-buildx-create")
    build = sandbox.build(projects["plain"])
    assert not build.failed
    assert "this build has no layer cache" in build.log
    [call] = sandbox.called("docker", "buildx", "build")
    assert call[-1] == "on default"
    assert not any("cache" in word for word in call)


def test_without_a_layer_cache_no_other_builder_is_started(sandbox, projects):
    assert not sandbox.build(projects["uncached"]).failed
    assert not sandbox.called("docker", "buildx", "create")
    [call] = sandbox.called("docker", "buildx", "build")
    assert not any("cache" in word for word in call)


def test_paths_names_and_build_arguments_arrive_as_they_were_given(sandbox, projects):
    build = sandbox.build(projects["detailed"])
    [call] = sandbox.called("docker", "buildx", "build")
    assert call[call.index("--build-arg") :] == [
        *("--build-arg", "VERSION=1.4", "--build-arg", f"MOTTO={AWKWARD}"),
        *("--secret", "id=npm,env=BUILD_SECRET_npm"),
        *("--tag", f"{URI}:{TAG}", "--file", "services/docker/shop.Dockerfile", "services/my shop", "on image"),
    ]
    assert build.files["imagedefinitions.json"] == [{"name": "web-1", "imageUri": f"{URI}@{DIGEST}"}]


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        (COMMIT, TAG),
        ("L4kqtJlcpXroDTDmpUMLUo.Xb", "L4kqtJlcpXro-b1e6661e"),
        (".-_x1", "x1-b1e6661e"),
        (DIGEST, "5891b5b522d5-b1e6661e"),
        ("", "unknown-b1e6661e"),
    ],
    ids=["commit", "version in S3", "version that starts like no tag", "digest in ECR", "none"],
)
def test_the_tag_tells_of_the_version_whatever_the_source_is(sandbox, projects, version, tag):
    assert sandbox.build(projects["plain"], CODEBUILD_RESOLVED_SOURCE_VERSION=version).exported["IMAGE_TAG"] == tag


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60))
@settings(max_examples=30)
def test_every_version_makes_a_valid_tag(projects, version):
    commands = yaml.safe_load(projects["plain"]["Source"]["BuildSpec"])["phases"]["pre_build"]["commands"]
    of_the_tag = "\n".join(command for command in commands if command.startswith(("REVISION", "BUILD", "export IMAGE")))
    environment = {
        **CODEBUILD,
        "CODEBUILD_RESOLVED_SOURCE_VERSION": version,
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
    }
    told = subprocess.run(
        ["bash", "-c", f'{of_the_tag}\nprintf %s "$IMAGE_TAG"'], env=environment, capture_output=True, check=True
    )
    assert re.fullmatch(r"[A-Za-z0-9]{1,12}-b1e6661e", told.stdout.decode())
