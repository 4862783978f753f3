"""Floor 1: what a buildspec has to do so that an image arrives in ECR and the next action finds it there.

Codes are stable and go on from those of `buildspec_checks.py`: BS7 is about images. What no command does here may be
done by a script that one of them starts, or by another build of a batch: its absence is a warning then, and an error
otherwise.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from code_family_constructs.build.buildspec_checks import commands_of
from code_family_constructs.documents import Document, Finding, ListNode, MapNode, Scalar, nearest

# What deploy actions read, at the root of their artifact.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/file-reference.html
DEPLOY_FILES = ("imageDetail.json", "imagedefinitions.json")
_FILES = " or ".join(DEPLOY_FILES)


def check_image(document: Document, *, image: str, moving_tags: Sequence[str] | None) -> Iterator[Finding]:
    """What is to be said about a buildspec that is to push an image to ECR.

    Args:
        document: The buildspec.
        image: Image of the build environment.
        moving_tags: Patterns of the tags that can be pushed again, None when nothing is known about the repository.
    """
    root = document.root
    if root is None:
        return
    commands = [(_joined(command), command) for command in commands_of(root)]
    text = "\n".join(one for one, _ in commands)
    elsewhere = _SCRIPT.search(text) or root.get("batch") is not None
    missing = document.warning if elsewhere else document.error
    phases = root.get("phases") or root
    if not _PUSH.search(text):
        yield missing(
            "BS701",
            phases,
            "no command pushes an image",
            'write docker push "$REPOSITORY_URI:$IMAGE_TAG", or docker buildx build --push',
        )
    if not _LOGIN.search(text):
        yield missing("BS702", phases, "no command logs in to ECR", f"before the push, write {_WRITE_LOGIN}")
    not_delivered = list(_not_delivered(document, root))
    yield from not_delivered
    named_here = not any("$" in pattern.text for pattern, _ in _patterns(root))
    if not not_delivered and named_here and not any(name in text for name in DEPLOY_FILES):
        yield missing("BS707", phases, f"no command writes {_FILES}", f"after the push, write {_WRITE_FILE}")
    for one, command in commands:
        if _OLD_LOGIN.search(one):
            gone = document.error if image.startswith("aws/codebuild/") else document.warning
            yield gone("BS706", command, "AWS CLI 2 has no aws ecr get-login", f"write {_WRITE_LOGIN}")
        if moving_tags is not None:
            yield from _tags_pushed_again(document, one, command, moving_tags)
    yield from _after_a_failure(document, root)


_WRITE_LOGIN = 'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"'
_WRITE_FILE = f"""printf '{{"ImageURI":"%s"}}' "$IMAGE_URI" >{DEPLOY_FILES[0]}"""

# Looked at one after the other, between what separates commands in a shell.
_TOOL = r"(?:docker|docker-compose|podman|buildah|nerdctl|finch)"
_PUSH = re.compile(
    rf"\b{_TOOL}\b[^;&|\n]*(?:\bpush\b|--push\b|type=registry|imagetools\s+create)"
    r"|\bskopeo\s+(?:copy|sync)\b|\bcrane\s+(?:push|copy|cp|append)\b|\bkaniko/executor\b|\bko\s+(?:build|apply)\b"
)
_LOGIN = re.compile(r"\becr\s+get-login|\bget-authorization-token\b|\becr-login\b")
_OLD_LOGIN = re.compile(r"\baws\s+(?:--?\S+\s+)*ecr\s+get-login(?!-)")
# A file, or a program that runs what a file says.
_SCRIPT = re.compile(
    r"(?:^|[;&|({]|\b(?:then|do|else|if|sudo|time)\s)\s*(?:\w+=\S*\s+)*"
    r"(?:[\w.$-]*/\S|(?:bash|sh|zsh|source|eval|make|just|task|npm|npx|pnpm|yarn|node|python[\d.]*|poetry|uv|tox|nox"
    r"|mvn|gradle|sbt|bazel|earthly|go|cargo|dotnet|rake|ruby|php|composer|pwsh|ansible\S*|pack|jib|skaffold)\s|\.\s)",
    re.MULTILINE,
)
_PUSHED_REF = re.compile(r"(?:(?<![-\w])push\s+(?:-\S+\s+)*|(?:^|\s)-t\s*|--tag[=\s]\s*)[\"']?([^\s\"']+)")
# The role may push to this repository alone, so what a variable names is it, or nothing that works.
_OURS = re.compile(r"\$|.*\.dkr\.ecr\.")


def _joined(command: Scalar) -> str:
    """The command with its continued lines as one."""
    return re.sub(r"\\\n\s*", " ", command.text)


def _not_delivered(document: Document, root: MapNode) -> Iterator[Finding]:
    patterns = list(_patterns(root))
    if any(_at_the_root(pattern.text, flat) for pattern, flat in patterns):
        return
    for pattern, _ in patterns:
        folder, name = posixpath.split(pattern.text)
        if name in DEPLOY_FILES:
            problem = f"{name} arrives in the folder {folder} of the artifact, and deploy actions look at its root"
            yield document.error("BS703", pattern, problem, f"write base-directory: {folder} and files: - {name}")
            return
        meant = nearest(name, DEPLOY_FILES)
        if meant:
            yield document.error("BS703", pattern, f"no deploy action reads {name}", f"did you mean {meant!r}?")
            return
    # A task definition may name the image itself.
    with_task_definition = any(re.search("task.*def", pattern.text, re.IGNORECASE) for pattern, _ in patterns)
    yield (document.warning if with_task_definition else document.error)(
        "BS703",
        root.get("artifacts") or root,
        f"{_FILES} is not among the artifacts, so no deploy action learns of the image",
        f"write artifacts: files: - {DEPLOY_FILES[0]}",
    )


def _patterns(root: MapNode) -> Iterator[tuple[Scalar, bool]]:
    """The patterns of all artifacts, and whether the files lose their folders."""
    artifacts = root.get("artifacts")
    secondary = artifacts.get("secondary-artifacts") if isinstance(artifacts, MapNode) else None
    sections = [artifacts, *(entry.value for entry in (secondary.entries if isinstance(secondary, MapNode) else ()))]
    for section in sections:
        if isinstance(section, MapNode):
            files, discard = section.get("files"), section.get("discard-paths")
            flat = isinstance(discard, Scalar) and bool(discard.boolean)
            for item in files.items if isinstance(files, ListNode) else [files]:
                if isinstance(item, Scalar):
                    yield item, flat


def _at_the_root(pattern: str, flat: bool) -> bool:
    """Whether one of the files is found by the pattern, and arrives at the root of the artifact."""
    if "$" in pattern:
        return True
    pattern = posixpath.basename(pattern) if flat else pattern.removeprefix("./").removeprefix("**/")
    return "/" not in pattern and any(fnmatchcase(name, pattern) for name in DEPLOY_FILES)


def _tags_pushed_again(document: Document, text: str, command: Scalar, moving_tags: Sequence[str]) -> Iterator[Finding]:
    for part in re.split(r"[;&|\n]+", text):
        if not _PUSH.search(part):
            continue
        for reference in _PUSHED_REF.findall(part):
            tag = re.search(r":(\w[\w.-]*)$", reference)
            if tag and not any(fnmatchcase(tag[1], pattern) for pattern in moving_tags):
                report = document.error if _OURS.match(reference) else document.warning
                yield report(
                    "BS705",
                    command,
                    f"each build pushes the tag {tag[1]}, which the repository takes once",
                    f"push a tag of the commit, or give mutable_tags=['{tag[1]}']",
                )


def _after_a_failure(document: Document, root: MapNode) -> Iterator[Finding]:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases
    phases = root.get("phases")
    if not isinstance(phases, MapNode):
        return
    build, after = phases.get("build"), phases.get("post_build")
    if not isinstance(build, MapNode) or not isinstance(after, MapNode):
        return
    failure = build.get("on-failure")
    if isinstance(failure, Scalar) and failure.text.upper() == "ABORT":
        return
    commands = after.get("commands")
    items = commands.items if isinstance(commands, ListNode) else [commands]
    texts = [(_joined(item), item) for item in items if isinstance(item, Scalar)]
    if any("CODEBUILD_BUILD_SUCCEEDING" in text for text, _ in texts):
        return
    for text, command in texts:
        if _PUSH.search(text):
            yield document.warning(
                "BS704",
                command,
                "post_build also runs when build has failed, and then pushes what is there",
                "write on-failure: ABORT in the phase build",
            )
            return
