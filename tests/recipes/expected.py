#!/usr/bin/env python3
"""The right rows of each example, from its input, in exact fractions, without the program.

    tests/recipes/expected.py            compares rows.csv of all examples
    tests/recipes/expected.py --write    writes them

Each function below reads one example as its feed's user means it and gives its events: symbol, time in nanoseconds, value, weight
or None. What does not count (other messages, broken records, late ones) is left out here by hand.
"""

import csv, gzip, io, json, lzma, re, subprocess, sys
from base64 import b64decode
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parent
EXACT = Context(prec=200)
EXAMPLES = {}


def example(name, decimals=18, window=60):
    """Names the function of an example; digits beyond `decimals` are rounded."""
    return lambda events: EXAMPLES.update({name: (events, decimals, window)}) or events


# --- reading ---------------------------------------------------------------------------------------------------------

def json_of(text):
    """Numbers stay the text that they are."""
    return json.loads(text, parse_float=str, parse_int=str)


def texts(name, file="input.jsonl", encoding="utf-8"):
    return (ROOT / name / file).read_bytes().decode(encoding).splitlines()


def records(name, file="input.jsonl", encoding="utf-8"):
    return [json_of(line) for line in texts(name, file, encoding)]


def readable(name):
    """Records that are JSON; Python takes NaN, JSON does not."""
    for line in texts(name):
        try:
            record = json_of(line)
        except ValueError:
            continue
        if not re.search(r"NaN|Infinity", line):
            yield record


def cells(name, file="input.csv", **how):
    return list(csv.reader((ROOT / name / file).read_text().splitlines(), **how))


def scaled(text, unit):
    return int(Fraction(text) * unit // 1)


def ns(text):
    return scaled(text, 1)


def us(text):
    return scaled(text, 10**3)


def ms(text):
    return scaled(text, 10**6)


def s(text):
    return scaled(text, 10**9)


def instant(date):
    return int((date - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)) * 10**9


def iso(text, zone=timezone.utc):
    """RFC 3339, and the same without an offset in a zone."""
    parts = re.fullmatch(r"(\d+-\d+-\d+)[Tt ](\d+:\d+:\d+)(?:[.,](\d+))?([Zz]|[+-]\d+:\d+)?", text)
    date, time, fraction, offset = parts.groups()
    offset = (offset or "").upper().replace("Z", "+00:00")
    date = datetime.fromisoformat(f"{date}T{time}{offset}")
    return instant(date if date.tzinfo else date.replace(tzinfo=zone)) + int((fraction or "").ljust(9, "0"))


def plain(name, found=None):
    """symbol, price, ts in milliseconds, volume."""
    return [(r["symbol"], ms(r["ts"]), r["price"], r.get("volume")) for r in found or records(name)]


# --- the rows --------------------------------------------------------------------------------------------------------

def rounded(text, decimals):
    exact = Decimal(text).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN, EXACT)
    return Fraction(exact)


def exact(value):
    """A decimal with all its digits and a point."""
    shift = 0
    while (value * 10**shift).denominator != 1:
        shift += 1
    text = format(Decimal(int(value * 10**shift)).scaleb(-shift, EXACT), "f")
    return text if "." in text else text + ".0"


def nearest(value):
    """The nearest float, without an exponent."""
    text = format(Decimal(repr(float(value))), "f")
    return text if "." in text else text + ".0"


def rows(events, decimals, window):
    windows = defaultdict(list)
    for order, (symbol, at, value, weight) in enumerate(events):
        weight = None if weight is None else rounded(weight, 18)
        windows[symbol, at // (window * 10**9)].append((at, order, rounded(value, decimals), weight))
    for (symbol, number), inside in windows.items():
        inside.sort()
        values = [value for _, _, value, _ in inside]
        weighted = [(value, weight) for _, _, value, weight in inside if weight is not None]
        volume = sum((weight for _, weight in weighted), Fraction(0))
        total = sum(values, Fraction(0))
        vwap = nearest(sum(v * w for v, w in weighted) / volume) if volume > 0 else ""
        minute = datetime(1970, 1, 1) + timedelta(seconds=number * window)
        prices = [values[0], max(values), min(values), values[-1]]
        yield [symbol, minute.isoformat() + "Z", str(len(values)), exact(total), nearest(total / len(values)),
               *map(nearest, prices), exact(volume) if weighted else "", vwap]


def table(name):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow("symbol minute count sum avg open high low close volume vwap".split())
    events, decimals, window = EXAMPLES[name]
    writer.writerows(sorted(rows(events(), decimals, window)))
    return out.getvalue()


# --- the examples ----------------------------------------------------------------------------------------------------

@example("binance-trade")
def _():
    late = "91200305"
    return [(r["s"], ms(r["T"]), r["p"], r["q"]) for r in records("binance-trade") if "e" in r and r["t"] != late]

@example("binance-combined")
def _():
    found = [r["data"] for r in records("binance-combined") if r.get("stream", "").endswith("@trade")]
    return [(r["s"], ms(r["T"]), r["p"], r["q"]) for r in found]

def coinbase(name):
    found = [r for r in records(name) if r["type"] == "match"]
    return [(r["product_id"], iso(r["time"]), r["price"], r["size"]) for r in found]

example("coinbase")(lambda: coinbase("coinbase"))
example("coinbase-full")(lambda: coinbase("coinbase-full"))

@example("kraken")
def _():
    found = [t for r in records("kraken") if r.get("channel") == "trade" for t in r["data"]]
    return [(t["symbol"], iso(t["timestamp"]), t["price"], t["qty"]) for t in found]

def bitstamp(name, price, amount):
    found = [(r["channel"], r["data"]) for r in records(name) if r["event"] == "trade"]
    return [(channel, us(t["microtimestamp"]), t[price], t[amount]) for channel, t in found]

example("bitstamp")(lambda: bitstamp("bitstamp", "price_str", "amount_str"))
example("bitstamp-floats")(lambda: bitstamp("bitstamp-floats", "price", "amount"))

@example("bitfinex")
def _():
    found = [(r[0], r[2]) for r in records("bitfinex") if isinstance(r, list) and r[1] == "te"]
    return [(channel, ms(t[1]), t[3], t[2].lstrip("-")) for channel, t in found]

@example("signed-sizes")
def _():
    sizes = {"": None, "-": None}
    found = records("signed-sizes")
    return [(r["symbol"], ms(r["mts"]), r["price"], sizes.get(r["amount"], r["amount"].lstrip("-"))) for r in found]

@example("net-sizes")
def _():
    return [(r["symbol"], ms(r["mts"]), r["price"], r["amount"]) for r in records("net-sizes")]

@example("finnhub")
def _():
    found = [t for r in records("finnhub") if r["type"] == "trade" for t in r["data"]]
    return [(t["s"], ms(t["t"]), t["p"], t["v"]) for t in found]

@example("finnhub-flattened")
def _():
    return plain("finnhub-flattened")

def polygon(found):
    return [(t["sym"], ms(t["t"]), t["p"], t["s"]) for t in found if t["ev"] == "T"]

example("polygon")(lambda: polygon([t for r in records("polygon") for t in r]))
example("polygon-split")(lambda: polygon(records("polygon-split")))

@example("alpaca")
def _():
    found = [t for r in records("alpaca") for t in r if t["T"] == "t"]
    return [(t["S"], iso(t["t"]), t["p"], t["s"]) for t in found]

@example("okx")
def _():
    found = [t for r in records("okx") if r["arg"]["channel"] == "trades" for t in r.get("data", [])]
    return [(t["instId"], ms(t["ts"]), t["px"], t["sz"]) for t in found]

@example("ccxt")
def _():
    return [(t["symbol"], ms(t["timestamp"]), t["price"], t["amount"]) for t in records("ccxt")]

@example("twelve-data")
def _():
    found = [r for r in records("twelve-data") if r["event"] == "price"]
    return [(r["symbol"], s(r["timestamp"]), r["price"], None) for r in found]

@example("gemini")
def _():
    return [(t["s"], ns(t["E"]), t["p"], t["q"]) for t in records("gemini")]

@example("gate-io")
def _():
    return [(t["symbol"], s(t["time"]), t["price"], t["amount"]) for t in records("gate-io")]

for name in ["prices-and-symbols", "exponents", "computed-floats", "crlf", "file-name", "stdin", "padded-symbols",
             "sorted-by-symbol", "newest-first", "before-1970"]:
    file = "ticks 2026-03-02 (1).jsonl" if name == "file-name" else "input.jsonl"
    example(name)(lambda name=name, file=file: plain(name, records(name, file)))

example("big-values", decimals=4)(lambda: plain("big-values"))
example("tiny-prices", decimals=24)(lambda: plain("tiny-prices", records("tiny-prices")[:2]))
example("bom")(lambda: plain("bom", records("bom", encoding="utf-8-sig")))
example("utf-16")(lambda: plain("utf-16", records("utf-16", encoding="utf-16")))
example("latin-1")(lambda: plain("latin-1", records("latin-1", encoding="latin-1")[1:]))

example("zeros")(lambda: plain("zeros", records("zeros")[:1]))

@example("numeric-symbols")
def _():
    return [(r["market_id"], ms(r["ts"]), r["price"], r["volume"]) for r in records("numeric-symbols")]

@example("exchange-and-symbol")
def _():
    found = records("exchange-and-symbol")
    return [(f"{r['venue']}/{r['symbol']}", ms(r["ts"]), r["price"], r["volume"]) for r in found]

def times(name, read):
    example(name)(lambda: [(r["symbol"], read(r["ts"]), r["price"], r["volume"]) for r in records(name)])

times("time-rfc3339", iso)
times("time-milliseconds-text", ms)
times("time-microseconds", us)
times("time-nanoseconds", ns)
times("time-seconds", s)
times("time-net-date", lambda text: ms(re.search(r"\d+", text)[0]))
times("time-without-offset", lambda text: iso(text, ZoneInfo("America/Chicago")))
times("time-compact", lambda t: iso(f"{t[:4]}-{t[4:6]}-{t[6:8]} {t[9:11]}:{t[11:13]}:{t[13:15]}.{t[15:]}"))

@example("time-date-and-time")
def _():
    zone = ZoneInfo("Europe/Zurich")
    found = records("time-date-and-time")
    return [(r["symbol"], iso(f"{r['date']} {r['time']}", zone), r["price"], r["volume"]) for r in found]

for name in ["json-array", "json-pretty"]:
    example(name)(lambda name=name: plain(name, json_of((ROOT / name / "input.json").read_text())))

@example("json-concatenated")
def _():
    text = (ROOT / "json-concatenated/input.json").read_text().replace("}{", "},{")
    return plain("json-concatenated", json_of(f"[{text}]"))

def unpacked(path, decompress=gzip.decompress):
    return [json_of(line) for line in decompress((ROOT / path).read_bytes()).splitlines()]

@example("gzip")
def _():
    return plain("gzip", unpacked("gzip/input.jsonl.gz"))

example("xz")(lambda: plain("xz", unpacked("xz/input.jsonl.xz", lzma.decompress)))

@example("zstd")
def _():
    text = subprocess.run(["zstd", "-qdc", ROOT / "zstd/input.jsonl.zst"], check=True, capture_output=True).stdout
    return plain("zstd", [json_of(line) for line in text.splitlines()])

@example("mixed-folder")
def _():
    found = records("mixed-folder", "input/a.jsonl") + unpacked("mixed-folder/input/b.jsonl.gz")
    return plain("mixed-folder", found)

for name in ["nan", "broken-json"]:
    example(name)(lambda name=name: plain(name, list(readable(name))))

for name in ["duplicate-keys", "nulls", "nulls-skipped", "long-symbol"]:
    example(name)(lambda name=name: plain(name, records(name)[-1:]))

@example("wrong-types")
def _():
    first, *_, last = records("wrong-types")
    return plain("wrong-types", [first, last])

@example("json-in-string")
def _():
    found = [json_of(r["Message"]) for r in records("json-in-string") if r["Type"] == "Notification"]
    return plain("json-in-string", found)

@example("csv-binance")
def _():
    return [("SOLBTC", us(time), price, qty) for _, price, qty, _, time, *_ in cells("csv-binance")]

@example("csv-kaggle", window=86400)
def _():
    found = cells("csv-kaggle")[1:]
    return [(name, iso(f"{date} 00:00:00"), close, volume or None) for date, _, _, _, close, volume, name in found]

@example("csv-truefx")
def _():
    found = cells("csv-truefx")
    return [(pair, iso(f"{t[:4]}-{t[4:6]}-{t[6:]}"), bid, None) for pair, t, bid, _ in found]

@example("csv-histdata")
def _():
    eastern = timezone(timedelta(hours=-5))
    day = lambda t: iso(f"{t[:4]}-{t[4:6]}-{t[6:8]} {t[9:11]}:{t[11:13]}:{t[13:15]}.{t[15:]}", eastern)
    return [("EURNOK", day(t), bid, None) for t, bid, _, _ in cells("csv-histdata")]

@example("tsv")
def _():
    found = cells("tsv", "input.tsv", delimiter="\t")[2:]
    return [(symbol, ms(ts), price, volume) for symbol, price, volume, ts in found]

@example("debezium")
def _():
    found = [r["payload"]["after"] for r in records("debezium") if r["payload"]["op"] in "cr"]
    return [(r["symbol"], us(r["traded_at"]), r["price"], r["qty"]) for r in found]

@example("debezium-zoned")
def _():
    found = [r["after"] for r in records("debezium-zoned") if r["op"] in "cr"]
    return [(r["symbol"], iso(r["traded_at"]), r["price"], r["qty"]) for r in found]

def unscaled(base64):
    return int.from_bytes(b64decode(base64), "big", signed=True)

@example("debezium-precise")
def _():
    found = [r["payload"] for r in records("debezium-precise") if r["payload"]]
    rows = [p["after"] for p in found if p.get("op") in ("c", "r") and p["source"]["table"] == "fills"]
    lots = lambda lots: lots and str(Decimal(unscaled(lots["value"])).scaleb(-int(lots["scale"])))
    return [(r["instrument"], us(r["executed_at"]), str(Decimal(unscaled(r["price"])).scaleb(-4)), lots(r["lots"])) for r in rows]

@example("debezium-flattened")
def _():
    found = [r for r in records("debezium-flattened") if r["__op"] in "cr"]
    number = lambda base64, scale: str(Decimal(unscaled(base64)).scaleb(-scale))
    return [(r["pair"], ms(r["at"]), number(r["rate"], 6), number(r["amount"], 2)) for r in found]

@example("connect-envelope")
def _():
    return plain("connect-envelope", [r["payload"] for r in records("connect-envelope")])

@example("cloudevents")
def _():
    found = [r for r in records("cloudevents") if "celsius" in r["data"]]
    return [(r["data"]["sensorId"], iso(r["time"]), r["data"]["celsius"], None) for r in found]

def thingsboard(found):
    found = [r for r in found if "temperature" in r["values"]]
    return [(r.get("device", "boiler-2"), ms(r["ts"]), r["values"]["temperature"], None) for r in found]

example("thingsboard")(lambda: thingsboard(records("thingsboard")))
example("thingsboard-array")(lambda: thingsboard([e for r in records("thingsboard-array") for e in r]))

@example("the-things-stack")
def _():
    found = [r for r in records("the-things-stack") if "uplink_message" in r]
    value = lambda r: r["uplink_message"]["decoded_payload"]["temperature"]
    return [(r["end_device_ids"]["device_id"], iso(r["received_at"]), value(r), None) for r in found]

@example("yahoo-decoded")
def _():
    return [(r["id"], ms(r["time"]), r["price"], None) for r in records("yahoo-decoded")]

@example("iex-last")
def _():
    return [(r["symbol"], ms(r["time"]), r["price"], r["size"]) for r in records("iex-last")]

@example("paise")
def _():
    rupees = lambda paise: str(Decimal(paise) / 100)
    return [(r["symbol"], ms(r["exchange_timestamp"]), rupees(r["last_traded_price"]), r["last_traded_quantity"])
            for r in records("paise")]

@example("mongo")
def _():
    found = records("mongo")
    return [(r["symbol"], ms(r["ts"]["$date"]["$numberLong"]), r["price"]["$numberDecimal"], None) for r in found]

@example("mongo-relaxed")
def _():
    date = lambda text: iso(text) if "T" in text else ms(text)
    return [(r["symbol"], date(r["ts"]["$date"]), r["price"], None) for r in records("mongo-relaxed")]

@example("at-timestamp")
def _():
    found = records("at-timestamp")
    return [(r["host"]["name"], iso(r["@timestamp"]), r["system"]["load"]["1"], None) for r in found]

@example("nested-fields")
def _():
    return [(r["symbol"], ms(r["ts"]), r["trade"]["p"], r["trade.size"]) for r in records("nested-fields")]

def telegraf(found):
    found = [r for r in found if r["name"] == "cpu"]
    return [("/".join([r["tags"]["host"], r["tags"]["cpu"]]), s(r["timestamp"]), r["fields"]["usage_idle"], None)
            for r in found]

example("telegraf")(lambda: telegraf(records("telegraf")))
example("telegraf-batch")(lambda: telegraf([m for r in records("telegraf-batch") for m in r["metrics"]]))

@example("quotes")
def _():
    return [(r["symbol"], ms(r["ts"]), r["ask"], None) for r in records("quotes")]

def rest(symbol, found):
    return [(symbol, ms(r["time"]), r["price"], r["qty"]) for r in found]

example("symbol-of-option")(lambda: rest("SOLBTC", records("symbol-of-option")))

@example("symbol-of-file-name")
def _():
    symbols = ["ADAEUR", "SOLBTC"]
    return [e for x in symbols for e in rest(x, records("symbol-of-file-name", f"input/{x}.jsonl"))]

@example("symbol-in-file-name")
def _():
    folder = ROOT / "symbol-in-file-name" / "input"
    files = sorted(path.name for path in folder.glob("*.csv"))
    rows = [(file.split("-")[0], row) for file in files for row in cells("symbol-in-file-name", f"input/{file}")]
    return [(symbol, us(time), price, qty) for symbol, (_, price, qty, _, time, *_) in rows]

@example("bad-clocks")
def _():
    return plain("bad-clocks", [r for r in records("bad-clocks") if r["ts"].startswith("17")])

@example("stray-stamp")
def _():
    return plain("stray-stamp", [r for r in records("stray-stamp") if r["ts"] != "1784505600000"])

@example("duplicates")
def _():
    once = {(r["s"], r["i"]): r for r in records("duplicates")}
    return [(r["s"], ms(r["t"]), r["p"], r["v"]) for r in once.values()]

@example("dotnet-names")
def _():
    return [(r["Symbol"], iso(r["Timestamp"]), r["Price"], r["Volume"]) for r in records("dotnet-names")]

@example("records-in-messages")
def _():
    found = [(r["station"], e) for r in records("records-in-messages") for e in r["readings"]]
    return [(f"{station}/{e['channel']}", s(e["at"]), e["value"], e["n"]) for station, e in found]


def main():
    folders = {path.parent.name for path in ROOT.glob("*/options")}
    wrong = [f"{name}: is only on one side" for name in folders ^ set(EXAMPLES)]
    for name in sorted(folders & set(EXAMPLES)):
        path, right = ROOT / name / "rows.csv", table(name)
        if "--write" in sys.argv:
            path.write_text(right)
        elif not path.exists() or path.read_text() != right:
            wrong.append(f"{name}: rows.csv is not\n{right}")
    print("\n".join(wrong) or f"{len(folders)} examples are right")
    sys.exit(bool(wrong))


main()
