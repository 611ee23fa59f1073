"""Makes ticks.csv, two sessions of a stock as tick files have them, and reference.csv, what pandas and TA-Lib say of their
minutes. Both files are committed, and dataflows/tests/derived.rs compares; to make them again:

    pip install pandas TA-Lib        # made with pandas 3.1.1, TA-Lib 0.8.2, numpy 2.4.6
    python reference.py              # in this folder

A minute without ticks has no row. Rolling windows of pandas are of time ("20min"), so a gap is a gap; TA-Lib counts rows, so its
bands are left out where the last 20 minutes have fewer than 20 rows. What is not known has an empty cell.
"""

import math

import pandas
import talib

BEGAN = pandas.Timestamp("2026-03-03T14:30:00Z")
SESSIONS = [(0, 235), (24 * 60, 205)]  # the first minute after BEGAN, and how many


def draws(state=20260303):
    """Numbers in [0, 1), the same everywhere."""
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 11) / 2**53


def ticks():
    drawn = draws()
    price = 18734  # cents
    for first, minutes in SESSIONS:
        price += 41 if first else 0  # overnight
        for minute in range(first, first + minutes):
            if next(drawn) < 0.03:
                continue
            drift = 3 * math.sin(minute / 37)
            quiet = 100 <= minute < 112  # one price
            for second in range(0, 60, 60 // (1 + int(next(drawn) * 4))):
                price += 0 if quiet else round((next(drawn) - 0.5) * 14 + drift)
                size = 1 + int(next(drawn) ** 4 * 500)
                yield BEGAN + pandas.Timedelta(minutes=minute, seconds=second), price / 100, size


def reference(frame):
    by_minute = frame.groupby(frame.time.dt.floor("min"))
    average = by_minute.price.mean()
    weighted, volume = (frame.price * frame["size"]).groupby(frame.time.dt.floor("min")).sum(), by_minute["size"].sum()
    columns = {}
    for n in [5, 20]:
        columns[f"sma{n}"] = average.rolling(f"{n}min").mean()
    of_20 = {"rhigh20": by_minute.price.max().rolling("20min").max(), "rlow20": by_minute.price.min().rolling("20min").min()}
    of_20["ravg20"] = by_minute.price.sum().rolling("20min").sum() / by_minute.price.count().rolling("20min").sum()
    of_20["rvolume20"] = volume.rolling("20min").sum()
    of_20["rvwap20"] = weighted.rolling("20min").sum() / of_20["rvolume20"]
    columns |= of_20
    deviation = average.rolling("20min", min_periods=2).std(ddof=0)
    columns["bb20_upper"], columns["bb20_lower"] = columns["sma20"] + 2 * deviation, columns["sma20"] - 2 * deviation
    ewm = lambda of, span: of.ewm(span=span, adjust=False).mean()
    columns["ema12"] = ewm(average, 12)
    columns["macd"] = ewm(average, 12) - ewm(average, 26)
    columns["macd_signal"] = ewm(columns["macd"], 9)
    columns["variance"], columns["stddev"] = by_minute.price.var(), by_minute.price.std()
    # Of minutes of the clock: those without ticks are there, and have no average.
    columns["chg5"] = average.asfreq("min").pct_change(5, fill_method=None).reindex(average.index)

    rows = average.rolling("20min").count()
    columns["talib_rsi14"] = talib.RSI(average, 14)
    upper, _, lower = talib.BBANDS(average, 20, 2, 2)
    columns["talib_bb20_upper"], columns["talib_bb20_lower"] = upper.where(rows == 20), lower.where(rows == 20)
    columns["talib_ema12"] = talib.EMA(average, 12)
    columns["talib_macd"], columns["talib_macd_signal"], _ = talib.MACD(average, 12, 26, 9)
    return pandas.DataFrame(columns)


def main():
    frame = pandas.DataFrame(ticks(), columns=["time", "price", "size"])
    milliseconds = (frame.time - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(milliseconds=1)
    written = pandas.DataFrame({"ts": milliseconds, "price": frame.price, "size": frame["size"]})
    written.to_csv("ticks.csv", index=False)
    values = reference(frame)
    values.index = (values.index - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(milliseconds=1)
    values.to_csv("reference.csv", index_label="minute", float_format="%.12g")


main()
