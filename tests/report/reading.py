"""A page, read as a browser would."""

from __future__ import annotations

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """Its elements in order, the rows of its tables by section, the text of its scripts by id, all text."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._section = self._script = ""
        self._inside: list[str] = []
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._inside.append(tag)
        if tag == "section":
            self._section = attributes["id"] or ""
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        if tag in ("script", "style"):
            self._script = attributes.get("id") or tag
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] in ("script", "style"):
            self.scripts[self._script] += data
            return
        self.text += data
        if self._inside and self._inside[-1] in ("td", "th"):
            self.rows[self._section][-1][-1] += data

    def json(self, name):
        return json.loads(self.scripts[name])
