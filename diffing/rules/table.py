"""The rules as the table of docs/parity.md: `python -m diffing.rules.table docs/parity.md` writes it anew; a test holds the two together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffing.rules.catalogue import load

if TYPE_CHECKING:
    from diffing.rules.catalogue import Catalogue, Rule

#: Between these lines of the page lies what is generated.
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->\n"


def table(catalogue: Catalogue) -> str:
    """A Markdown table of all rules, in the order in which they are asked."""
    rows = ["| rule | matches | class | reason | evidence |", "| --- | --- | --- | --- | --- |"]
    rows += [
        f"| `{rule.id}` | {_matches(rule)} | {_class(rule)} | {rule.reason} | {', '.join(rule.evidence)} |"
        for rule in catalogue.rules
    ]
    return f"Version {catalogue.version}.\n\n" + "".join(f"{row}\n" for row in rows)


def _matches(rule: Rule) -> str:
    parts = [", ".join(rule.kinds)]
    if rule.subjects:
        parts.append("of " + ", ".join(f"`{subject}`" for subject in rule.subjects))
    parts += [f"{name}: {' or '.join(values)}" for name, values in rule.where.items()]
    parts += [f"{name} `{pin}`" for name, pin in (("train", rule.train), ("serve", rule.serve)) if pin is not None]
    if rule.pickled is not None:
        parts.append("pickled" if rule.pickled else "not pickled")
    return "; ".join(parts)


def _class(rule: Rule) -> str:
    words = [rule.verdict.name, *(flag.value for flag in rule.flags)]
    return " + ".join(words) + (", always counts" if rule.always else "")


def replaced(page: str, catalogue: Catalogue) -> str:
    """The page with the table as it has to be."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table(catalogue)}{END}{tail}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(replaced(path.read_text(encoding="utf-8"), load()), encoding="utf-8")
