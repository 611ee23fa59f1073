"""The queries of Grafana's dashboards and alert rules, filled as Grafana fills them, and run as it runs them.

A dashboard's time range and variables, and each data source's address, database and headers, come from the files in
grafana/, as Grafana would read them.
"""

import json
import math
import re
import time
import urllib.parse

from services import Failed, http

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PANEL_POINTS = 1000  # about as many as a panel has pixels: Grafana's $__interval is the range over that


class Source:
    """A data source as provisioned: answers to queries."""

    def __init__(self, said, secrets, here):
        self.kind, self.uid, json_data = said["type"], said["uid"], said["jsonData"]
        self.url = here(said["url"])
        self.every_s = duration(json_data["timeInterval"])
        self.database = json_data.get("dbName")
        self.headers = {}
        if "httpHeaderName1" in json_data:
            value = re.sub(r"\$__file\{(.*?)\}", lambda m: secrets(m[1]), said["secureJsonData"]["httpHeaderValue1"])
            self.headers[json_data["httpHeaderName1"]] = value

    def influx(self, query):
        """Series of InfluxQL, each a dictionary of name, tags, columns, values."""
        body = urllib.parse.urlencode({"db": self.database, "epoch": "ms", "q": query}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        status, text = http(f"{self.url}/query", body, self.headers | kind)
        if status != 200:
            raise Failed(f"InfluxDB answers {status} {text.strip()}: {query}")
        series = []
        for result in json.loads(text)["results"]:
            if "error" in result:
                raise Failed(f"InfluxDB says {result['error']}: {query}")
            series += result.get("series", [])
        return series

    def prometheus(self, expr, start=None, end=None, step=None):
        """Series of PromQL, each a list of (labels, values)."""
        found = self.points(expr, start, end, step)
        return [(labels, [value for _, value in points]) for labels, points in found]

    def points(self, expr, start=None, end=None, step=None):
        """The same with each value's time: (labels, [(time, value)])."""
        path, asked = "query", {"query": expr}
        if start is not None:
            path, asked = "query_range", {"query": expr, "start": start, "end": end, "step": step}
        status, text = http(f"{self.url}/api/v1/{path}", urllib.parse.urlencode(asked).encode())
        if status != 200:
            raise Failed(f"Prometheus answers {status} {text.strip()}: {expr}")
        result = json.loads(text)["data"]["result"]
        return [
            (one["metric"], [(when, float(v)) for when, v in one.get("values", [one.get("value")])]) for one in result
        ]


def duration(text):
    return int(text[:-1]) * UNITS[text[-1]]


class Dashboard:
    """One file of grafana/dashboards."""

    def __init__(self, path, sources):
        self.board = json.load(open(path))
        self.sources = sources
        self.end = time.time()
        self.start = self.end - duration(re.fullmatch(r"now-(\d+[smhd])", self.board["time"]["from"])[1])
        if self.board["time"]["to"] != "now":
            raise Failed(f"{path}: ends at {self.board['time']['to']}")
        self.values, self.others, self.all = {}, {}, {}  # what a variable is, what else one of a single value may be
        for variable in self.board["templating"]["list"]:
            name = variable["name"]
            if variable["type"] == "custom":
                if (chosen := variable["current"]["value"]) not in variable["query"].split(","):
                    raise Failed(f"variable {name} is {chosen}, which is none of {variable['query']}")
                self.values[name] = [chosen]
                continue
            series = self.sources[variable["datasource"]["uid"]].influx(self.fill(variable["query"], None))
            found = [row[-1] for one in series for row in one["values"]]
            if "regex" in variable:
                matches = [re.fullmatch(variable["regex"].strip("/").strip("^$"), value) for value in found]
                found = [match[1] for match in matches if match]
            if not found:
                raise Failed(f"variable {name} has no values: {variable['query']}")
            if not variable["multi"] and "current" in variable:
                if (chosen := variable["current"]["value"]) not in found:
                    raise Failed(f"variable {name} is {chosen}, which is none of {found}")
                self.values[name] = [chosen]  # as the board is opened
            elif variable["multi"]:
                self.values[name], self.all[name] = found, variable.get("allValue")
            else:
                self.values[name], self.others[name] = found[:1], found[1:]

    def interval_s(self, source):
        """`$__interval`: the range over the panel's points, not below what the data source gets something new."""
        return max(math.ceil((self.end - self.start) / PANEL_POINTS), source.every_s)

    def fill(self, text, source):
        """The text without variables. Fails if it has one that nobody knows."""

        def variable(match):
            name, form = match[1] or match[3], match[2]
            if name == "timeFilter":
                return f"time >= {int(self.start * 1000)}ms and time <= {int(self.end * 1000)}ms"
            if name == "__interval":
                return f"{self.interval_s(source)}s"
            if name == "__rate_interval":
                return f"{max(self.interval_s(source) + source.every_s, 4 * source.every_s)}s"
            if name not in self.values:
                raise Failed(f"`{match[0]}` is no variable: {text}")
            if form == "regex" and self.all.get(name):
                return self.all[name]
            if form == "regex":
                return "(" + "|".join(re.escape(value).replace("/", r"\/") for value in self.values[name]) + ")"
            if form or len(self.values[name]) != 1:
                raise Failed(f"`{match[0]}`: which of its values? {text}")
            return self.values[name][0]

        return re.sub(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)", variable, text)

    def ask(self, target, source):
        """The query as it was run, and its rows."""
        if source.kind == "influxdb":
            query = self.fill(target["query"], source)
            return query, [row for one in source.influx(query) for row in one["values"] if row[1] is not None]
        query = self.fill(target["expr"], source)
        when = () if target["instant"] else (self.start, self.end, self.interval_s(source))
        return query, [value for _, values in source.prometheus(query, *when) for value in values if value == value]

    def answers(self):
        """Of each query: where it stands, the query as it was run, and the rows that it gave.

        Where a variable's value gives none, the next is chosen, as a person would: not every symbol is traded now.
        """
        for panel in self.board["panels"]:
            for target in panel.get("targets", []):
                where = f"{self.board['title']} / {panel['title']} / {target['refId']}"
                source = self.sources[target["datasource"]["uid"]]
                self.fill(panel["title"], source)
                query, rows = self.ask(target, source)
                for name, others in self.others.items():
                    while not rows and others and name in query_variables(target):
                        self.values[name] = [others.pop(0)]
                        query, rows = self.ask(target, source)
                yield where, query, rows


def query_variables(target):
    """The names of variables in a query."""
    return {one[0] or one[1] for one in re.findall(r"\$\{(\w+)|\$(\w+)", target.get("query") or target["expr"])}


class Alert:
    """One rule of grafana/provisioning/alerting."""

    def __init__(self, rule, sources, every_s):
        self.rule, self.every_s, self.for_s = rule, every_s, duration(rule["for"])
        self.title = rule["title"]
        by_ref = {one["refId"]: one for one in rule["data"]}
        condition = by_ref[rule["condition"]]
        if condition["datasourceUid"] != "__expr__" or condition["model"]["type"] != "threshold":
            raise Failed(f"alert {self.title}: its condition is no threshold")
        asked = by_ref[condition["model"]["expression"]]
        self.expr, self.source = asked["model"]["expr"], sources[asked["datasourceUid"]]
        evaluator = condition["model"]["conditions"][0]["evaluator"]
        limit = evaluator["params"][0]
        self.crosses = {"lt": lambda v: v < limit, "gt": lambda v: v > limit}[evaluator["type"]]
        self.promql = f"{self.expr} {'<' if evaluator['type'] == 'lt' else '>'} {limit}"

    def values(self):
        return [value for _, values in self.source.prometheus(self.expr) for value in values]

    def fires(self):
        return any(self.crosses(value) for value in self.values())

    def fired(self, start, end):
        """When it fired, by Grafana's rules: asked every so often, it must have crossed as long as its `for` says."""
        times = set()
        for _, points in self.source.points(self.expr, start, end, self.every_s):
            since, last = None, None
            for when, value in points:
                if not self.crosses(value) or (last and when - last > self.every_s):
                    since = None
                if self.crosses(value):
                    since = when if since is None else since
                    if when - since >= self.for_s:
                        times.add(when)
                last = when
        return sorted(times)
