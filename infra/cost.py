# ruff: noqa: INP001 - a script beside what it counts, no package
"""What a month costs on Google Cloud, from list prices. Prints the README's table.

Free tiers, taxes, warm instances, and what RBM and Bandwidth charge for messages
are left out.
"""

import sys

VOLUMES = (10_000, 1_000_000, 10_000_000)
"""Messages a month."""

FALLBACK = 0.2
"""The share that falls back to SMS."""

BUSY = {10_000: 1, 1_000_000: 2, 10_000_000: 4}
"""How many requests share an instance at the same time, by volume."""

PRICES = {
    "requests": 0.40,
    "CPU and memory, 100 ms": 2.40 + 0.125,
    "Firestore reads": 0.30,
    "Firestore writes": 0.90,
    "Firestore deletes": 0.10,
    "task operations": 0.40,
    "Pub/Sub kB": 40 / 1.0995 / 1000,
    "log kB": 0.50 / 1.0737 * 1.024,
    "stored kB": 0.18 / 1.0737 * 1.024 * 2,
}
"""Dollars a million, in us-central1: a function has 1 vCPU and 512 MiB; a message
is kept for about a month, once in the database and once more to go back in time."""

DELIVERED = {
    "requests": 5,  # send; DELIVERED and READ at webhook, and again at record
    "CPU and memory, 100 ms": 7,  # send takes 300 ms, the others 100
    "Firestore reads": 4,
    "Firestore writes": 4,  # accepted, answered, delivered, read
    "Firestore deletes": 1,  # by expireAt
    "task operations": 2,  # the watch, armed and spared
    "Pub/Sub kB": 5,  # 2 receipts and an outcome published, the receipts pushed
    "log kB": 10,  # 6 lines of ours and 4 of requests
    "stored kB": 4,
}
"""What a message takes that RCS delivers, counted along the code."""

FELL_BACK = {
    "requests": 12,  # send; 2 rings; expiry, SENT and DELIVERED; their pushes; due
    "CPU and memory, 100 ms": 18,  # send, revoke and fallback take 300 ms
    "Firestore reads": 14,
    "Firestore writes": 9,
    "Firestore deletes": 1,
    "task operations": 6,  # three watches, rung or spared
    "Pub/Sub kB": 9,  # 5 published, 4 pushed
    "log kB": 25,
    "stored kB": 6,
}
"""What one takes whose SMS leaves after its deadline."""


def cost(messages: int) -> dict[str, float]:
    """Return dollars a month by what they are for."""
    bill = {}
    for item, price in PRICES.items():
        units = (1 - FALLBACK) * DELIVERED[item] + FALLBACK * FELL_BACK[item]
        shared = BUSY[messages] if item.startswith("CPU") else 1
        bill[item] = messages / 1e6 * units * price / shared
    return bill


def table() -> str:
    bills = [cost(messages) for messages in VOLUMES]
    rows = [
        ["messages a month", "a message", "$ a million", *(f"{v:,}" for v in VOLUMES)],
        ["---"] + ["---:"] * (2 + len(VOLUMES)),
    ]
    for item, price in PRICES.items():
        units = (1 - FALLBACK) * DELIVERED[item] + FALLBACK * FELL_BACK[item]
        dollars = [f"${bill[item]:,.2f}" for bill in bills]
        rows.append([item, f"{units:.1f}", f"{price:.3f}", *dollars])
    totals = [f"**${sum(bill.values()):,.2f}**" for bill in bills]
    rows.append(["**together**", "", "", *totals])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
