"""Draws what the README shows of the code: `make drawing`."""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from backstop.domain.message import Contract, Policy, Rcs
from backstop.domain.policy import DONE, Decision, Phase, Row, rows
from simulator import RESERVED

README = Path(__file__).parents[2] / "README.md"
END = "<!-- end -->"


def _does(decision: Decision) -> str:
    if decision == DONE:
        return "done"
    done = {
        "revoke": decision.revoke,
        "send SMS": decision.sms,
        "close": decision.close,
    }
    return " + ".join(word for word, does in done.items() if does) or "wait"


def _flow(policy: Policy) -> Iterator[str]:
    table = rows(policy, Contract.CONFIRMING)
    always = [s for s in Rcs if len({table[phase][s] for phase in Phase}) == 1]
    yield "```mermaid"
    yield "flowchart LR"
    yield f'    WAITING(["{policy.value}: WAITING"]) -->|deadline| OVERDUE(["OVERDUE"])'
    yield '    OVERDUE -->|grace over| LATE(["LATE"])'
    for phase in Phase:
        changing = [state for state in Rcs if state not in always]
        yield from _edges(phase.value, table[phase], changing)
    yield '    ANY(["at any time"])'
    yield from _edges("ANY", table[Phase.WAITING], always)
    yield "```"


def _edges(node: str, row: Row, states: list[Rcs]) -> Iterator[str]:
    for decision, group in groupby(states, key=lambda state: row[state]):
        label = "<br/>".join(state.value for state in group)
        does = f"{decision.rule}[{decision.rule}: {_does(decision)}]"
        yield f"    {node} -->|{label}| {does}"


def _table() -> Iterator[str]:
    columns = [state for state in Rcs if state not in {Rcs.READ, Rcs.REJECTED}]
    yield "| policy | phase | " + " | ".join(state.value for state in columns) + " |"
    yield "| --- " * (len(columns) + 2) + "|"
    for policy in Policy:
        for contract in Contract:
            table = rows(policy, contract)
            if contract is Contract.LEGACY:
                if table == rows(policy, Contract.CONFIRMING):
                    continue
                name = f"{policy.value}, legacy"
            else:
                name = policy.value
            for phase in Phase:
                cells = [table[phase][state] for state in columns]
                told = " | ".join(_does(cell) for cell in cells)
                yield f"| {name} | {phase.value} | {told} |"


def _reserved() -> Iterator[str]:
    yield "| number | what becomes of a message |"
    yield "| --- | --- |"
    for number, behaviour in RESERVED.items():
        yield f"| `{number}` | {behaviour.description} |"


def redrawn(readme: str) -> str:
    """Return *readme* with its drawings as the code has them now."""
    drawings = {
        "drawing": [*_flow(Policy.CONFIRMED), "", *_table()],
        "reserved": [*_reserved()],
    }
    for name, lines in drawings.items():
        begin = f"<!-- {name} -->"
        before, _, rest = readme.partition(begin)
        after = rest.partition(END)[2]
        readme = "\n".join([before + begin, "", *lines, "", END + after])
    return readme


if __name__ == "__main__":
    README.write_text(redrawn(README.read_text()))
    sys.stdout.write("README.md is drawn.\n")
