"""Reads a page of HTML into elements for tests, and refuses one that does not close what it opens."""

import re
from html.parser import HTMLParser

VOID = {"meta", "col", "br"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", "".join(parts)).strip()

    def all(self, tag: str, **attributes: str) -> "list[Element]":
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in (child.tag, "*") and all(child.attributes.get(k) == v for k, v in attributes.items()):
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> "Element":
        (found,) = self.all(tag, **attributes)
        return found

    def section(self, name: str) -> "Element":
        return self.one("section", **{"aria-labelledby": name})


class Tree(HTMLParser):
    """Reads a page and wants every element closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = self.at = Element("", {}, None)
        self.feed(text)
        self.close()
        assert self.at is self.root

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag, attrs):
        self.at.children.append(Element(tag, dict(attrs), self.at))

    def handle_endtag(self, tag):
        assert self.at.tag == tag, (self.at.tag, tag)
        assert self.at.parent
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)
