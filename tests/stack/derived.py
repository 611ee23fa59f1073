"""What docker-compose.yml derives, computed again in floats of the oracle's rows: docs/analytics.md has the formulas."""

import math

MINUTE_MS = 60_000
NAMES = ["sma5", "sma20", "ema12", "bb20_upper", "bb20_lower", "rsi14", "macd", "macd_signal", "stddev", "chg5"]


def split(row):
    """The row's own columns, and the derived ones."""
    return {k: v for k, v in row.items() if k not in NAMES}, {k: v for k, v in row.items() if k in NAMES}


class Series:
    """The minutes of one symbol so far."""

    def __init__(self):
        self.averages, self.ema, self.changes = [], {}, []
        self.signal = self.gain = self.loss = None

    def smoothed(self, n, average):
        before = self.ema.get(n, average)
        self.ema[n] = before + (average - before) * 2 / (n + 1)
        return self.ema[n]

    def rsi(self, n, average):
        if self.averages:
            self.changes.append(average - self.averages[-1][1])
        gains, losses = [max(0, c) for c in self.changes], [max(0, -c) for c in self.changes]
        if len(gains) < n:
            return None
        if len(gains) == n:
            self.gain, self.loss = sum(gains) / n, sum(losses) / n
        else:
            self.gain, self.loss = (self.gain * (n - 1) + gains[-1]) / n, (self.loss * (n - 1) + losses[-1]) / n
        return 100 * self.gain / (self.gain + self.loss) if self.gain + self.loss > 0 else None

    def add(self, minute, average):
        """The derived columns of a minute, but those of its own values."""
        rsi = self.rsi(14, average)
        self.averages.append((minute, average))

        def recent(n):
            return [a for m, a in self.averages[-n:] if m > minute - n * MINUTE_MS]

        values = {f"sma{n}": sum(recent(n)) / len(recent(n)) for n in (5, 20)}
        if (m := len(recent(20))) > 1:
            spread = 2 * math.sqrt(sum((a - values["sma20"]) ** 2 for a in recent(20)) / m)
            values |= {"bb20_upper": values["sma20"] + spread, "bb20_lower": values["sma20"] - spread}
        before = dict(self.averages[-6:]).get(minute - 5 * MINUTE_MS)
        if before is not None and before > 0:
            values["chg5"] = average / before - 1
        values["ema12"] = self.smoothed(12, average)
        values["macd"] = values["ema12"] - self.smoothed(26, average)
        before = 0 if self.signal is None else self.signal
        self.signal = values["macd_signal"] = before + (values["macd"] - before) / 5
        return values if rsi is None else values | {"rsi14": rsi}


def faults(rows, found):
    """What is wrong with `found`: (minute, symbol) -> derived columns, of `rows`, the oracle's. Empty where all is well."""
    series, wrong = {}, []
    for (minute, symbol), row in sorted(rows.items()):
        wanted, have = series.setdefault(symbol, Series()).add(minute, row["avg"]), dict(found[minute, symbol])
        if ("stddev" in have) != (row["count"] > 1) or have.pop("stddev", 0) < 0:
            wrong.append(f"{(minute, symbol)}: stddev of {row['count']} records")
        size = {"rsi14": 100}
        near = all(abs(have[k] - wanted[k]) <= 1e-9 * size.get(k, max(1, abs(row["avg"]))) for k in have.keys() & wanted.keys())
        if have.keys() != wanted.keys() or not near:
            wrong.append(f"{(minute, symbol)}: {have}, not {wanted}")
    return wrong
