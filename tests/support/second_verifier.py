"""A verifier of the logs written from docs/audit.md alone: nothing of the service's own code is used."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECORDS = {
    "address_changes": "id",
    "caller_tokens": "id",
    "invitations": "id",
    "physicians": "physician",
    "users": "username",
}


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def hash_of(entry: Any) -> bytes:
    return hashlib.sha256(
        canonical(
            {
                **{name: entry[name] for name in ("revision", "caller", "actor", "reason", "kind", "physician")},
                **{name: json.loads(entry[name]) for name in ("before", "after", "detail")},
                "at": moment(entry["at"]),
                "mark": str(entry["mark"]),
                "previous": entry["previous_hash"].hex(),
            }
        )
    ).digest()


def digest_of(row: Any) -> str:
    fields = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            fields[name] = moment(value)
        elif isinstance(value, bytes):
            fields[name] = value.hex()
        elif value is not None:
            fields[name] = value
    return hashlib.sha256(canonical(fields)).hexdigest()


def chain_fault(entries: list[Any], key: str) -> str:
    """The first break that no statement explains."""
    stated = next((json.loads(entry["detail"]) for entry in entries if "records" in json.loads(entry["detail"])), {})
    fork = stated.get("fork") or {"first": 0, "last": -1}
    seal, forked, previous, recent = hashlib.sha256(), 0, bytes(32), [bytes(32)]
    for number, entry in enumerate(entries, start=1):
        inside = fork["first"] <= number <= fork["last"]
        if entry["revision"] != number or entry["hash"] != hash_of(entry):
            return f"broken at revision {number}"
        if entry["previous_hash"] != previous:
            if not inside or entry["previous_hash"] not in recent[-1_000:]:
                return f"broken at revision {number}"
            forked += 1
        if inside:
            seal.update(f"{number} {entry['previous_hash'].hex()} {entry['hash'].hex()}\n".encode())
        previous = entry["hash"]
        recent.append(previous)
    if fork["first"]:
        if (forked, seal.hexdigest()) != (fork["entries"], fork["sha256"]):
            return "the stretch is not the one that was sealed"
        said = {name: value for name, value in stated.items() if name not in ("key", "signature", "records")}
        if stated["key"] != key or not is_signed(stated["key"], stated["signature"], canonical(said)):
            return "the statement is not signed"
    return ""


def is_signed(key: str, signature: str, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), content)
    except InvalidSignature:
        return False
    return True


async def records_fault(connection: asyncpg.Connection, entries: list[Any]) -> str:
    """The first row of users, physicians or invitations that is not as the entries say."""
    there = {
        (table, row[key]): digest_of(row)
        for table, key in RECORDS.items()
        for row in await connection.fetch(f"SELECT * FROM {table}")
    }
    told: dict[tuple[str, str], list[list[str | None]]] = {}
    sealed = None
    for entry in entries:
        detail = json.loads(entry["detail"])
        sealed = detail.get("records_sha256", sealed)
        for table, rows in detail.get("records", {}).items():
            for key, pair in rows.items():
                told.setdefault((table, key), []).append(pair)
    first = []
    for place in sorted(there.keys() | told.keys()):
        pairs = told.get(place, [])
        if pairs and [pair[0] for pair in pairs[1:]] + [there.get(place)] != [pair[1] for pair in pairs]:
            return f"{place} is not as the log says"
        begin = pairs[0][0] if pairs else there[place]
        if begin is not None:
            first.append(f"{place[0]} {place[1]} {begin}\n")
    if sealed is None:
        return f"nothing says since when there is {first[0]}" if first else ""
    return "" if hashlib.sha256("".join(first).encode()).hexdigest() == sealed else "not what was there at first"


async def fault(dsn: str, key: str = "", checkpoints: list[str] = []) -> str:  # noqa: B006 - not written to.
    """What is wrong with a database's change log; empty where nothing is."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            entries = await connection.fetch("SELECT * FROM changes ORDER BY revision")
            for line in map(json.loads, checkpoints):
                signature = line.pop("signature")
                if line["key"] != key or not is_signed(key, signature, canonical(line)):
                    return f"checkpoint of {line['revision']} is not signed"
                if line["hash"] != entries[line["revision"] - 1]["hash"].hex():
                    return f"checkpoint of {line['revision']} is of another log"
            return chain_fault(entries, key) or await records_fault(connection, entries)
    finally:
        await connection.close()
