"""The pages lead to each other, and name options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def headings(page: Path) -> set[str]:
    """The anchors of a page, as they are made of its headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in headings(there), anchor


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_page_can_be_found_from_the_readme(page: str) -> None:
    reached, new = {ROOT / "README.md"}, [ROOT / "README.md"]
    while new:
        here = new.pop()
        for target, _ in LINK.findall(here.read_text(encoding="utf-8")):
            there = (here.parent / target).resolve()
            if target.endswith(".md") and there not in reached:
                reached.add(there)
                new.append(there)
    assert (ROOT / "docs" / page).resolve() in reached
