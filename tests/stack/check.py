"""What tests/stack/run does once the tools are there: `check.py TOOLS MINUTELY INFLUXD [WORD...]`.

TOOLS is the folder that `run` fills. Each function below that begins with `check_` is one test; it passes or it raises.
With words, only those whose names have all of them. The closing line counts them.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from fractions import Fraction

from queries import Alert, Dashboard, Source
from services import ROOT, Failed, Stack, dockerfile, http, until

TOOLS, MINUTELY, INFLUXD = sys.argv[1:4]
YAML = os.path.join(TOOLS, "compose", "compose")
FIRST = ["kraft", "single", "influxdb2"]
SECOND = ["zookeeper", "cluster", "influxdb2"]
ALL = ["kraft", "zookeeper", "single", "cluster", "influxdb2", "influxdb3"]
COMPOSE = os.path.join(ROOT, "docker-compose.yml")
WORK = tempfile.mkdtemp(prefix="minutely-stack.")


def check(condition, why):
    if not condition:
        raise Failed(why)


def passes(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, f"{os.path.basename(command[0])} says\n{done.stdout[-4000:]}")


def yaml(*arguments, environment=None):
    done = subprocess.run([YAML, *arguments], capture_output=True, text=True, env=environment)
    check(done.returncode == 0, f"{' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def make_secrets():
    """By the documented command, in a copy: a checkout may have its own."""
    folder = os.path.join(WORK, "checkout")
    os.makedirs(folder)
    shutil.copy(os.path.join(ROOT, "docker-secrets"), folder)
    subprocess.run([os.path.join(folder, "docker-secrets")], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, ".secrets"), dict(
        line.strip().split("=") for line in open(os.path.join(folder, ".env"))
    )


SECRETS, DOTENV = make_secrets()


def project(profiles):
    environment = os.environ | {"MINUTELY_SECRETS": SECRETS, "COMPOSE_PROFILES": ""}
    return yaml("load", COMPOSE, *profiles, environment=environment)


# --- the files by themselves -------------------------------------------------------------------------------------------


def check_compose_is_valid_with_every_choice():
    for kafka in ("kraft", "zookeeper"):
        for program in ("single", "cluster"):
            for store in ("influxdb2", "influxdb3"):
                stack = Stack(project([kafka, program, store]), WORK, {})  # no two are called the same
                for name in ("kafka", "influxdb", "minutely", "prometheus"):
                    check(name in stack._names, f"nobody is called {name} with {kafka}, {program}, {store}")
    check(DOTENV["COMPOSE_PROFILES"].split(",") == FIRST, f".env chooses {DOTENV['COMPOSE_PROFILES']}")


def check_compose_needs_secrets_and_says_how():
    environment = {key: value for key, value in os.environ.items() if key != "MINUTELY_SECRETS"}
    copy = os.path.join(WORK, "docker-compose.yml")  # beside no .env
    shutil.copy(COMPOSE, copy)
    done = subprocess.run([YAML, "load", copy, *FIRST], capture_output=True, text=True, env=environment)
    check(
        done.returncode != 0 and "./docker-secrets" in done.stderr, f"without secrets: {done.stderr or 'no complaint'}"
    )


def check_compose_keeps_to_its_rules():
    everything = project(ALL)
    volumes = set(everything["volumes"])
    for name, service in everything["services"].items():
        tag = service["image"].rpartition(":")[2]
        check(re.search(r"\d+\.\d+", tag) and "latest" not in tag, f"{name}: {service['image']} is not pinned")
        for port in service.get("ports") or []:
            check(port.get("host_ip") == "127.0.0.1", f"{name}: port {port['target']} is open to others")
        for volume in service.get("volumes") or []:
            check(
                volume["type"] != "volume" or volume["source"] in volumes,
                f"{name}: {volume['target']} has no named volume",
            )
        check("privileged" not in service, f"{name} is privileged")
        one_shot = name == "topic"
        health = service.get("healthcheck")
        check(one_shot or service.get("build") or (health and health.get("test")), f"{name} has no health check")
        if service.get("build"):
            check(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs")
        for key, value in (service.get("environment") or {}).items():
            check(not re.search("TOKEN|PASSWORD|SECRET", key) or key.endswith("_FILE"), f"{name}: {key} holds a secret")
    text = open(COMPOSE).read()
    for file in os.listdir(SECRETS):
        check(open(os.path.join(SECRETS, file)).read() not in json.dumps(everything) + text, f"{file} is in the file")


def check_secrets_are_the_owners_alone_and_stay():
    check(os.stat(SECRETS).st_mode & 0o777 == 0o700, "others can look into .secrets")
    before = {file: open(os.path.join(SECRETS, file)).read() for file in os.listdir(SECRETS)}
    subprocess.run([os.path.join(os.path.dirname(SECRETS), "docker-secrets")], check=True, stdout=subprocess.DEVNULL)
    after = {file: open(os.path.join(SECRETS, file)).read() for file in os.listdir(SECRETS)}
    check(before == after and len(set(before.values())) == len(before), "a second call made others")
    ignored = subprocess.run(
        ["git", "check-ignore", ".env", ".secrets/x"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    check(ignored.split() == [".env", ".secrets/x"], "git would take secrets")


def check_dockerfile_is_as_promised():
    text = open(os.path.join(ROOT, "Dockerfile")).read()
    stages = re.findall(r"^FROM (\S+)", text, re.M)
    check(len(stages) == 2 and all(re.search(r":\d+\.\d+", stage) for stage in stages), f"stages: {stages}")
    last = text[text.rindex("\nFROM ") :]
    check(re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.M), "it runs as root")
    check(dockerfile(os.path.join(ROOT, "Dockerfile"))[2][1:] == ["health"], "its probe is not `minutely health`")
    wanted = re.search(r'^rust-version = "(.*)"', open(os.path.join(ROOT, "Cargo.toml")).read(), re.M)[1]
    check(f"rust:{wanted}." in stages[0], f"built with {stages[0]}, and Cargo.toml wants {wanted}")


def check_dockerfile_passes_hadolint():
    passes(
        os.path.join(TOOLS, "hadolint/bin/hadolint"),
        "--no-color",
        "--failure-threshold=style",
        os.path.join(ROOT, "Dockerfile"),
    )


def check_dashboards_are_of_grafanas_types():
    passes("node", os.path.join(TOOLS, "types/check.mjs"), os.path.join(ROOT, "grafana/dashboards"))


def check_prometheus_takes_its_configuration():
    passes("promtool", "check", "config", "--syntax-only", os.path.join(ROOT, "grafana/prometheus.yml"))


def check_the_build_context_is_all_that_cargo_needs():
    context = os.path.join(WORK, "context")
    lines = open(os.path.join(ROOT, ".dockerignore")).read().split("\n")
    kept = [line[1:] for line in lines if line.startswith("!")]
    check("*" in lines and not any("*" in line for line in kept), ".dockerignore is not of the form: all, but these")
    for path in kept:
        source, to = os.path.join(ROOT, path), os.path.join(context, path)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, to)
        elif os.path.exists(source):
            shutil.copy(source, to)
    for command in (
        ["cargo", "metadata", "--locked", "--offline", "--format-version=1"],
        ["cargo", "build", "--release", "--locked", "--offline", "--package=minutely", "--bin=minutely"],
    ):
        if command[1] == "build" and not os.environ.get("MINUTELY_TEST_LONG"):
            continue  # compiles everything again, for the sources are elsewhere
        done = subprocess.run(command, cwd=context, capture_output=True, text=True)
        check(done.returncode == 0, f"in Docker's build context, `{' '.join(command)}` says {done.stderr[-600:]}")


# --- the stack, running ------------------------------------------------------------------------------------------------


class Seen:
    """What Grafana would have: its data sources on a running stack."""

    def __init__(self, stack):
        def secret(path):
            return open(stack.mounts("grafana")[path]).read()

        provisioned = yaml("yaml", os.path.join(ROOT, "grafana/provisioning/datasources/minutely.yml"))["datasources"]
        here = [
            Source(one, secret, lambda text: stack.here("grafana", text.replace("http://", "", 1)))
            for one in provisioned
        ]
        for source in here:
            source.url = "http://" + source.url
        self.sources = {source.uid: source for source in here}
        self.influx, self.prometheus = self.sources["influxdb"].influx, self.sources["prometheus"].prometheus
        rules = yaml("yaml", os.path.join(ROOT, "grafana/provisioning/alerting/minutely.yml"))
        self.alerts = {rule["uid"]: Alert(rule, self.sources) for group in rules["groups"] for rule in group["rules"]}

    def count(self, measurement, where=""):
        series = self.influx(f'SELECT count("avg") FROM "{measurement}"{where}')
        return series[0]["values"][0][1] if series else 0

    def value(self, expr):
        found = self.prometheus(expr)
        return found[0][1][0] if found else None


def programs():
    return {"minutely": MINUTELY, "influxd": INFLUXD, "prometheus": shutil.which("prometheus")}


def final_rows_are_exact(seen):
    """Every final row's avg is the f64 nearest to its exact sum over its count."""
    rows = [
        row
        for one in seen.influx('SELECT "sum", "count", "avg", "state" FROM "minute" GROUP BY "symbol"')
        for row in one["values"]
    ]
    check(rows, "there are no final rows")
    for when, total, count, average, state in rows:
        check(
            state == "final" and float(Fraction(total) / count) == average,
            f"minute {when}: {total} / {count} is not {average}",
        )
    return len(rows)


def check_the_stack_as_it_starts_by_default():
    stack = Stack(project(FIRST), os.path.join(WORK, "first"), programs())
    try:
        stack.up(skip=["grafana"])
        seen = Seen(stack)
        until(180, "minutes are in minute_live", lambda: seen.count("minute_live"))
        until(180, "final minutes are in minute", lambda: seen.count("minute"))
        until(60, "Prometheus has read minutely", lambda: seen.value("sum(minutely_records_total)"))
        until(
            120,
            "Prometheus has read it a minute long",
            lambda: (seen.value("count_over_time(minutely_watermark_seconds[5m])") or 0) >= 12,
        )
        print(f"  {final_rows_are_exact(seen)} final rows are exact")
        boards = [
            Dashboard(path, seen.sources) for path in sorted(glob.glob(os.path.join(ROOT, "grafana/dashboards/*.json")))
        ]
        answers = [answer for board in boards for answer in board.answers()]
        empty = "".join(f"\n    {where}: {query}" for where, query, rows in answers if not rows)
        check(boards and not empty, f"these give no rows:{empty}")
        print(f"  {len(answers)} queries of the dashboards give rows")
        for alert in seen.alerts.values():
            check(alert.values(), f"alert {alert.title}: {alert.expr} gives nothing")
            check(not alert.fires(), f"alert {alert.title} fires, and all is well: {alert.values()}")
        # after a crash and a stop both go on: the program at its state, the producer at now
        stack.stop("minutely", signal.SIGKILL)
        stack.stop("producer")
        stack.start("producer")
        stack.start("minutely")
        records = 'sum(minutely_records_total{verdict=~"%s"})'
        before = seen.value(records % ".*")
        until(120, "records after a restart", lambda: (seen.value(records % ".*") or 0) > before + 10_000)
        check(seen.value(records % "late") < before / 100, "the producer sent its history again")
        check(seen.value("min(minutely_ledger_balanced_bool)") == 1, "the ledger does not balance after a crash")
        # alerts fire when they should
        broken = ["--from=sim:?broken=100%&history=2h", "--limit=200000"]
        there = f"--to=kafka://127.0.0.1:{stack.port('kafka', 9092)}/ticks"
        passes(MINUTELY, "produce", *broken, there)
        until(60, "the alert of dead letters fires", seen.alerts["minutely-dead-letters"].fires)
        if os.environ.get("MINUTELY_TEST_LONG"):  # silence without an answer is no evidence: W stands still
            stack.running["kafka"].send_signal(signal.SIGSTOP)
            until(300, "the alert of a frontier that stands still fires", seen.alerts["minutely-stalled"].fires)
            stack.running["kafka"].send_signal(signal.SIGCONT)
            stack.stop("producer")  # it gave up, and the file says that it is started again
            stack.start("producer")
            until(120, "the alert of a frontier ends", lambda: not seen.alerts["minutely-stalled"].fires())
        stack.stop("influxdb", signal.SIGKILL)
        until(60, "the alert of a sink fires", seen.alerts["minutely-sink"].fires)
        stack.start("influxdb")
        until(120, "the alert of a sink ends", lambda: not seen.alerts["minutely-sink"].fires())
        check(stack.stop("minutely") == 0, "minutely does not end with 0 at SIGTERM")
        until(60, "the alert of a program that is down fires", seen.alerts["minutely-down"].fires)
        final_rows_are_exact(seen)
    finally:
        stack.down()


def check_the_stack_with_zookeeper_and_two_processes():
    stack = Stack(project(SECOND), os.path.join(WORK, "second"), programs())
    try:
        stack.up(skip=["grafana"])
        seen = Seen(stack)
        until(180, "final minutes are in minute", lambda: seen.count("minute"))
        until(60, "Prometheus has read minutely", lambda: seen.value("sum(minutely_records_total)"))
        check(seen.value("min(minutely_ledger_balanced_bool)") == 1, "the ledger does not balance")
        final_rows_are_exact(seen)
        for name in ("minutely-0", "minutely-1", "zookeeper", "kafka-zookeeper"):
            stack.alive(name)
    finally:
        stack.down()


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("check_") or not all(word in name for word in sys.argv[4:]):
            continue
        print(f"test {name.removeprefix('check_').replace('_', ' ')}", flush=True)
        try:
            test()
            passed += 1
        except Failed as why:
            failed += 1
            print(f"  FAILED: {why}")
        except Exception:
            failed += 1
            traceback.print_exc(file=sys.stdout)
    if failed:
        print(f"logs are in {WORK}")
    else:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
