"""Print what is wrong with index.html, one problem per line; `test_app.sh` turns any line into a failed build."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
PLACEHOLDERS = ("__RELEASE__", "__COMMIT__", "__BUILD__", "__BUILT_AT__")


class Page(HTMLParser):
    """What the checks need to know about a page, and where its tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.title = ""
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML ignores the slash: <div/> opens a div.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()
        elif tag in [name for name, _ in self._open]:
            while self._open[-1][0] != tag:
                name, line = self._open.pop()
                self.problems.append(f"<{name}> of line {line} is not closed")
            self._open.pop()
        else:
            self.problems.append(f"</{tag}> in line {self.getpos()[0]} closes nothing")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "title":
            self.title += data

    def close(self) -> None:
        super().close()
        self.problems += [f"<{name}> of line {line} is not closed" for name, line in self._open]

    def meta(self, name: str) -> str:
        return next((a.get("content", "") for t, a in self.tags if t == "meta" and a.get("name") == name), "")


def problems_of(index: Path) -> list[str]:
    source = index.read_text(encoding="utf-8")
    page = Page()
    page.feed(source)
    page.close()
    problems = page.problems

    if not source.lower().startswith("<!doctype html>"):
        problems.append("the first line is not <!doctype html>")
    if not any(tag == "html" and attributes.get("lang") for tag, attributes in page.tags):
        problems.append("<html> does not say its lang")
    if not page.title.strip():
        problems.append("<title> is empty")
    if not page.meta("viewport"):
        problems.append("the viewport meta is missing: telephones would show a shrunken desktop page")
    if page.meta("release") != "__RELEASE__":
        problems.append("the release meta does not hold __RELEASE__, which validate_service.sh looks for")
    problems += [f"placeholder {word} is missing" for word in PLACEHOLDERS if word not in source]
    problems += [f"<img> {a.get('src')} has no alt" for tag, a in page.tags if tag == "img" and "alt" not in a]

    for tag, attributes in page.tags:
        for target in (attributes[name] for name in ("href", "src") if name in attributes):
            link = urlsplit(target)
            if link.scheme or link.netloc or (not link.path and link.fragment):
                continue
            # Lexically, so that a link cannot be saved by a file that is never deployed.
            if link.path.startswith("/") or ".." in Path(link.path).parts:
                problems.append(f"<{tag}> links to {link.path}: write it relative to the page")
            elif not link.path or not (index.parent / link.path).is_file():
                problems.append(f"<{tag}> links to {link.path or 'nothing'}, which does not exist")
    return problems


if __name__ == "__main__":
    for problem in problems_of(Path(sys.argv[1])):
        print(problem)
