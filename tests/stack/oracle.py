"""What measurement `minute` must hold and what the dead letters must be, recomputed from Kafka's own log files.

One record after the other, in whole numbers, with nothing of the program: records out of the segments (message format
2), events out of JSON (R2), verdicts by each partition's own greatest event time (R4, R5, R7), rows by R9. The only
thing taken from the run is what the log alone cannot tell: which records were late by a floor (R10).
"""

import datetime
import glob
import json
import os
import re
import struct
from decimal import Decimal

from services import Failed

SCALE = 10**18  # of values and weights
MINUTE = 60 * 10**9  # of event times, in ns

# A plain record as nearly all are; whatever is not of this form is read by `json`.
PLAIN = re.compile(
    rb'\{"symbol":"([A-Z0-9.]+)","price":(0|[1-9]\d{0,9})\.(\d{1,18}),'
    rb'"ts":(0|[1-9]\d{0,15}),"volume":(0|[1-9]\d{0,9})\}'
).fullmatch
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").fullmatch
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?").fullmatch


class Rejected(Exception):
    """Its text is the reason."""


class Number(str):
    """A JSON number as it was written."""


# --- records ----------------------------------------------------------------------------------------------------------


def varint(data, at):
    """A zigzag number, and where the next thing begins."""
    byte = data[at]
    at += 1
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1), at


def records(folder):
    """Offset, broker's stamp in ms and payload of each record of a partition's folder."""
    for path in sorted(glob.glob(os.path.join(folder, "*.log"))):
        data = open(path, "rb").read()
        at = 0
        while at + 61 <= len(data):
            base, length = struct.unpack_from(">qi", data, at)
            if not length:
                break  # space that the broker has put aside
            magic, _crc, attributes, _last, _first_ms, stamp_ms = struct.unpack_from(">bIhiqq", data, at + 16)
            if magic != 2 or attributes & 0x37 or not attributes & 8:
                raise Failed(f"{path}: a batch of another kind: format {magic}, attributes {attributes}")
            (count,) = struct.unpack_from(">i", data, at + 57)
            here = at + 61
            for _ in range(count):
                size, here = varint(data, here)
                end = here + size
                _, here = varint(data, here + 1)  # after the attributes
                offset, here = varint(data, here)
                size, here = varint(data, here)
                size, here = varint(data, here + max(size, 0))
                yield base + offset, stamp_ms, data[here : here + size] if size >= 0 else None
                here = end
            at += 12 + length


# --- events (R2) ------------------------------------------------------------------------------------------------------


def once(pairs):
    found = {}
    for name, value in pairs:
        if name in found and name in ("symbol", "price", "ts", "volume"):
            found[None] = "twice"
        found[name] = value
    return found


def refuse(constant):
    raise ValueError(constant)


READ = json.JSONDecoder(object_pairs_hook=once, parse_float=Number, parse_int=Number, parse_constant=refuse).decode


def number(said):
    if said is None:
        raise Rejected("null")
    if not isinstance(said, str) or not NUMBER(said):
        raise Rejected("type")
    return Decimal(said)


def whole(value, places, most, why_large, why_fine):
    """The number times 10^places, an integer; `most` bounds the number itself."""
    sign, digits, exponent = value.as_tuple()
    if not any(digits):
        return 0
    if value.adjusted() > 30:
        raise Rejected(why_large)
    scaled = int("".join(map(str, digits)))
    while scaled % 10 == 0:
        scaled, exponent = scaled // 10, exponent + 1
    if exponent < -places:
        raise Rejected(why_fine)
    scaled *= 10 ** (exponent + places)
    if scaled > most * 10**places:
        raise Rejected(why_large)
    return -scaled if sign else scaled


def instant(said):
    """An event time in ns: a number of ms, or a text as RFC 3339 has it, to the second."""
    if isinstance(said, str) and not isinstance(said, Number) and STAMP(said):
        try:
            return int(datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()) * 10**9
        except ValueError:
            raise Rejected("time") from None  # a day that never was
    return whole(number(said), 6, 2**62 // 10**6, "time", "time")


def event(payload):
    """Symbol, value, event time in ns, weight or 0."""
    plain = payload is not None and PLAIN(payload)
    if plain:
        symbol, integer, fraction, ts, volume = plain.groups()
        value = int(integer + fraction) * 10 ** (18 - len(fraction))
        return symbol.decode(), value, int(ts) * 10**6, int(volume) * SCALE
    if payload is None:
        raise Rejected("null")
    try:
        said = READ(payload.decode())
    except ValueError:
        raise Rejected("json") from None
    if not isinstance(said, dict):
        raise Rejected("shape")
    if None in said:  # (no name in JSON)
        raise Rejected(said[None])
    symbol = said.get("symbol")
    if symbol is None:
        raise Rejected("null")
    if not isinstance(symbol, str) or isinstance(symbol, Number):
        raise Rejected("type")
    if re.search(r"^$|[\0-\x1f\x7f-\x9f]", symbol):
        raise Rejected("symbol")
    value = whole(number(said.get("price")), 18, 10**11, "range", "precision")
    time = instant(said.get("ts"))
    weight = said.get("volume")
    try:
        weight = 0 if weight is None else whole(number(weight), 18, 10**11, "weight", "weight")
    except Rejected:
        weight = -1
    if weight < 0:
        raise Rejected("weight")
    return symbol, value, time, weight


# --- the answer -------------------------------------------------------------------------------------------------------


def text(scaled):
    """Exact, without zeros at the end."""
    integer, fraction = divmod(abs(scaled), SCALE)
    shown = f"{integer}.{fraction:018}".rstrip("0").rstrip(".")
    return "-" + shown if scaled < 0 else shown


class Window:
    """A minute of a symbol."""

    def __init__(self, partition):
        self.partition = partition
        self.count = self.sum = self.volume = self.weighted = 0
        self.high = self.low = self.first = self.last = None

    def add(self, time, value, weight):
        self.count += 1
        self.sum += value
        self.volume += weight
        self.weighted += value * weight
        if self.count == 1:
            self.high = self.low = value
            self.first = self.last = (time, value)
            return
        self.high = max(self.high, value)
        self.low = min(self.low, value)
        if time < self.first[0]:  # of two at one time the smaller offset opens and the greater one closes
            self.first = time, value
        if time >= self.last[0]:
            self.last = time, value

    def row(self):
        """(One integer over another is the f64 nearest to it, in Python.)"""
        row = {
            "count": self.count,
            "sum": text(self.sum),
            "avg": self.sum / (self.count * SCALE),
            "state": "final",
            "open": self.first[1] / SCALE,
            "high": self.high / SCALE,
            "low": self.low / SCALE,
            "close": self.last[1] / SCALE,
            "volume": self.volume / SCALE,
        }
        return row | ({"vwap": self.weighted / (self.volume * SCALE)} if self.volume else {})


def answer(logs, topic, floors, lateness_s=600, max_future_s=60):
    """Rows by (minute in ms, symbol), letters by (partition, offset) as (reason, payload), and the number of records.

    `logs`: the broker's folder. `floors`: (partition, offset) of the records that a floor made late.
    """
    windows, letters, total = {}, {}, 0
    folders = glob.glob(os.path.join(logs, f"{topic}-*"))
    if not folders:
        raise Failed(f"there is no {topic} in {logs}")
    for folder in folders:
        partition, newest, expected = int(folder.rpartition("-")[2]), None, 0
        for offset, stamp_ms, payload in records(folder):
            if offset != expected:
                raise Failed(f"{folder}: offset {expected} is not there")
            expected += 1
            try:
                symbol, value, time, weight = event(payload)
                if time > stamp_ms * 10**6 + max_future_s * 10**9:
                    raise Rejected("future")
                minute = time // MINUTE
                before, newest = newest, time if newest is None else max(newest, time)
                late = before is not None and (minute + 1) * MINUTE + lateness_s * 10**9 <= before
                if late or (partition, offset) in floors:
                    raise Rejected("late")
            except Rejected as why:
                letters[partition, offset] = str(why), payload
                continue
            window = windows.get((minute * 60_000, symbol))
            if window is None:
                window = windows[minute * 60_000, symbol] = Window(partition)
            if window.partition != partition:
                raise Failed(f"{symbol} is in two partitions: by R9 their order would need a hash")
            window.add(time, value, weight)
        total += expected
    rows = {key: window.row() for key, window in windows.items()}
    if sum(row["count"] for row in rows.values()) + len(letters) != total:
        raise Failed("the oracle has lost a record")
    return rows, letters, total
