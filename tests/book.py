#!/usr/bin/env python3
"""Whether each link of the book in DIRECTORY leads to a file of it, and to a place that is there."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

root = Path(sys.argv[1]).resolve()


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.add(attributes["id"])
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]


pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
# The one page that may be shown at any address.
faults, links = [], 0
for path, page in pages.items():
    for link in page.links if path.name != "404.html" else []:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            continue
        links += 1
        target = (path.parent / unquote(url.path)).resolve() if url.path else path
        if not target.exists() or (url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids):
            faults.append(f"{path.relative_to(root)}: {link}")
if faults or len(pages) < 40 or links < 1000:
    sys.exit("\n".join(faults) or f"this is no book: {len(pages)} pages, {links} links")
print(f"{root}: {len(pages)} pages, {links} links")
