"""Whether measurement `minute` and the dead letters of a run are the oracle's, and no others are there."""

import base64
import collections
import glob
import json
import os

import derived
import oracle
from services import Failed


def check(condition, why):
    if not condition:
        raise Failed(why)


def same(what, found, wanted):
    """Two dictionaries are one and the same."""
    missing, more = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    other = [key for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
    some = [f"{key}: {found.get(key)}, not {wanted.get(key)}" for key in sorted([*missing, *more, *other])[:5]]
    check(
        not some,
        f"{what}: {len(missing)} missing, {len(more)} more, {len(other)} different"
        + "".join(f"\n    {s}" for s in some),
    )


def letters_of(data):
    """Dead letters by (partition, offset) as (reason, payload), and those of them that the log alone does not give."""
    letters, exceptions = {}, set()
    for path in glob.glob(os.path.join(data, "dead-letters-*.jsonl")):
        for line in map(json.loads, open(path)):
            key = line["partition"], line["offset"]
            check(key not in letters, f"{path}: {key} is there twice")
            letters[key] = line["reason"], line["raw"] and base64.b64decode(line["raw"])
            if line.get("evidence", {}).keys() & {"floor", "clock"}:
                check(
                    line["reason"] == "late", f"{path}: {key} was judged by the reader's clock, and the broker stamps"
                )
                exceptions.add(key)
    return letters, exceptions


def are_the_oracles(influx, logs, data):
    """All that topic `ticks` holds is final or a dead letter: each row and each letter is the oracle's, and no other. `influx`
    answers InfluxQL, `logs` is the broker's folder and `data` the job's. How many records were late by a floor."""
    letters, exceptions = letters_of(data)
    rows, wanted, total = oracle.answer(logs, "ticks", exceptions)
    found, beside = {}, {}
    for one in influx('SELECT * FROM "minute" GROUP BY "symbol"'):
        for values in one["values"]:
            row = dict(zip(one["columns"], values))
            key = row.pop("time"), one["tags"]["symbol"]
            found[key], beside[key] = derived.split({name: value for name, value in row.items() if value is not None})
    same("measurement `minute`", found, rows)
    wrong = derived.faults(rows, beside)
    check(not wrong, f"derived columns of `minute`: {len(wrong)} are wrong" + "".join(f"\n    {one}" for one in wrong[:5]))
    same(
        "dead letters",
        {key: (why, raw or None) for key, (why, raw) in letters.items()},
        {key: (why, raw or None) for key, (why, raw) in wanted.items()},
    )
    reasons = collections.Counter(why for why, _ in wanted.values())
    print(f"  {total} records in the topic: {len(rows)} rows are the oracle's, and so are {len(wanted)} dead letters")
    print(f"  ({', '.join(f'{why} {many}' for why, many in sorted(reasons.items()))}; {len(exceptions)} by a floor)")
    return len(exceptions)
