"""What tests/stack/run does once the tools are there: `check.py TOOLS MINUTELY INFLUXD [WORD...]`.

TOOLS is the folder that `run` fills. Each function below that begins with `check_` is one test; it passes or it raises.
With words, only those whose names have all of them. The closing line counts them.
"""

import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import minutes
from checks import Checks, check
from queries import Alert, Dashboard, Source, duration
from services import ROOT, Stack, dockerfile, http, until

TOOLS, MINUTELY, INFLUXD = sys.argv[1:4]
YAML = os.path.join(TOOLS, "compose", "compose")
FIRST = ["kraft", "single", "influxdb2"]
SECOND = ["zookeeper", "cluster", "influxdb2"]
ALL = ["kraft", "zookeeper", "single", "cluster", "influxdb2", "influxdb3", "rabbitmq"]
COMPOSE = os.path.join(ROOT, "docker-compose.yml")
LONG = bool(os.environ.get("MINUTELY_TEST_LONG"))
WORK = tempfile.mkdtemp(prefix="minutely-stack.")


def passes(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, f"{os.path.basename(command[0])} says\n{done.stdout[-4000:]}")


def yaml(*arguments, environment=None):
    done = subprocess.run([YAML, *arguments], capture_output=True, text=True, env=environment)
    check(done.returncode == 0, f"{' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


DOTENV = dict(line.strip().split("=") for line in open(os.path.join(ROOT, ".env")) if "=" in line)


def project(profiles):
    return yaml("load", COMPOSE, *profiles, environment=os.environ | {"COMPOSE_PROFILES": ""})


def secrets_of(folder):
    """Those that service `secrets` makes there, by name."""
    stack = Stack(project(FIRST), folder, programs())
    stack.start("secrets")
    check(stack.stop("secrets", signal.SIGCONT) == 0, f"secrets fails:{stack.tail('secrets')}")
    made = stack.mounts("secrets")["/secrets"]
    return {file: open(os.path.join(made, file)).read() for file in os.listdir(made)}


# --- the files by themselves ------------------------------------------------------------------------------------------


def check_compose_is_valid_with_every_choice():
    for kafka in ("kraft", "zookeeper"):
        for program in ("single", "cluster"):
            for store in ("influxdb2", "influxdb3"):
                stack = Stack(project([kafka, program, store]), WORK, {})  # no two are called the same
                for name in ("kafka", "influxdb", "minutely", "prometheus"):
                    check(name in stack._names, f"nobody is called {name} with {kafka}, {program}, {store}")
    check(DOTENV["COMPOSE_PROFILES"].split(",") == FIRST, f".env chooses {DOTENV['COMPOSE_PROFILES']}")


def check_compose_needs_no_step_before():
    """A checkout as it is: no variable, no file that git does not have."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    check(".env" in files, ".env is not git's")
    for name, service in project(ALL)["services"].items():
        for volume in service.get("volumes") or []:
            path = os.path.relpath(volume["source"], ROOT)
            known = volume["type"] != "bind" or any(file == path or file.startswith(path + "/") for file in files)
            check(known, f"{name} mounts {path}, which a new checkout does not have")
        check("env_file" not in service and "platform" not in service, f"{name} needs a file, or one kind of processor")
    check("${" not in open(COMPOSE).read().replace("$${", ""), "the compose file needs a variable")


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
        one_shot = name in ("topic", "secrets")
        health = service.get("healthcheck")
        check(one_shot or service.get("build") or (health and health.get("test")), f"{name} has no health check")
        if service.get("build"):
            check(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs")
        # (what is said in the file itself is copied into the container, which this forbids: docker/compose#12031)
        files = [everything["configs"][one["source"]] for one in service.get("configs") or []]
        check(not service.get("read_only") or all("file" in file for file in files), f"{name} could not be created")
        for volume in service.get("volumes") or []:
            if volume["source"] != "secrets" or name == "secrets":
                continue
            one = volume["volume"]
            check(volume["read_only"] and one["subpath"] and one["nocopy"], f"{name} can do more than read a secret")
            made = service["depends_on"]["secrets"]["condition"] == "service_completed_successfully"
            check(made, f"{name} may start before its secrets are there")
        owner = (service.get("network_mode") or "").removeprefix("service:")
        owner = "" if owner == "none" else owner
        stays = not owner or everything["services"][owner].get("restart") == "unless-stopped"
        check(stays, f"{name} cannot start while {owner}, whose network it has, is down")
        for key, value in (service.get("environment") or {}).items():
            check(not re.search("TOKEN|PASSWORD|SECRET", key) or key.endswith("_FILE"), f"{name}: {key} holds a secret")
    text = open(COMPOSE).read()
    for file, secret in secrets_of(os.path.join(WORK, "rules")).items():
        check(secret not in json.dumps(everything) + text, f"{file} is in the file")


def check_secrets_are_made_once_and_each_is_another():
    folder = os.path.join(WORK, "secrets")
    before = secrets_of(folder)
    asked = {
        os.path.basename(volume["volume"]["subpath"])
        for service in project(ALL)["services"].values()
        for volume in service.get("volumes") or []
        if volume["source"] == "secrets" and volume["target"] != "/secrets"
    }
    check(asked == before.keys(), f"{asked} are asked for, and {before.keys()} are made")
    check(len(set(before.values())) == len(before), "two of them are the same")
    check(json.loads(before["influxdb3-token.json"])["token"] == before["influxdb-token"], "the two tokens differ")
    short = [name for name, text in before.items() if len(text) < 64]
    check(not short, f"{short} are of fewer than 32 bytes")
    os.remove(os.path.join(folder, "volumes", "secrets", "http-token"))
    after = secrets_of(folder)
    check(after.pop("http-token") != before.pop("http-token"), "one that was lost came back the same")
    check(before == after, "a second start made others")
    check(not set(secrets_of(os.path.join(WORK, "others")).values()) & set(before.values()), "another checkout has the same")


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


def check_the_alert_of_the_ledger_fires_on_a_series_that_says_so():
    """The one that nobody can provoke. promtool runs its expression on values that are written down: of a run that says so
    once and is gone, and of the next one in its place, which balances. It fires for ten minutes, and then no more."""
    rules = yaml("yaml", os.path.join(ROOT, "grafana/provisioning/alerting/minutely.yml"))["groups"]
    rule = next(rule for group in rules for rule in group["rules"] if rule["uid"] == "minutely-unbalanced")
    alert = Alert(rule, {"prometheus": None}, 30)
    texts = {
        "rules": {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": alert.promql, "for": rule["for"]}]}]},
        "tests": {
            "rule_files": ["rules.json"],
            "evaluation_interval": "30s",
            "tests": [
                {
                    "name": values,
                    "interval": "30s",
                    "input_series": [
                        {"series": 'minutely_ledger_balanced_bool{job="minutely"}', "values": values}
                    ],
                    "alert_rule_test": [
                        {"eval_time": f"{30 * step}s", "alertname": "A", "exp_alerts": [{}] if 2 <= step < 22 else []}
                        for step in (0, 1, 2, 3, 12, 21, 23, 30)
                    ],
                }
                for values in ("1 1 0 stale", "1 1 0 _ _ 1x40")
            ],
        },
    }
    for name, text in texts.items():
        with open(os.path.join(WORK, f"{name}.json"), "w") as file:
            json.dump(text, file)
    passes("promtool", "test", "rules", os.path.join(WORK, "tests.json"))


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
    # (only what this machine needs was ever downloaded)
    host = re.search(r"^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.M)[1]
    for command in (
        ["cargo", "metadata", "--locked", "--offline", "--format-version=1", f"--filter-platform={host}"],
        ["cargo", "build", "--release", "--locked", "--offline", "--package=minutely", "--bin=minutely"],
    ):
        if command[1] == "build" and not LONG:
            continue  # compiles everything again, for the sources are elsewhere
        done = subprocess.run(command, cwd=context, capture_output=True, text=True)
        check(done.returncode == 0, f"in Docker's build context, `{' '.join(command)}` says {done.stderr[-600:]}")


# --- the stack, running -----------------------------------------------------------------------------------------------


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
        self.alerts = {
            rule["uid"]: Alert(rule, self.sources, duration(group["interval"]))
            for group in rules["groups"]
            for rule in group["rules"]
        }

    def count(self, measurement, where=""):
        series = self.influx(f'SELECT count("avg") FROM "{measurement}"{where}')
        return series[0]["values"][0][1] if series else 0

    def value(self, expr):
        found = self.prometheus(expr)
        return found[0][1][0] if found else None


def programs():
    return {"minutely": MINUTELY, "influxd": INFLUXD, "prometheus": shutil.which("prometheus")}


# What the demo's producer does wrong in the file, and what it does here: late, broken, from the future, twice, out of
# order; symbols come and go, one partition has little to say and is behind the others. (By less than the lateness where
# Kafka is stopped: such silence would let W pass that partition, and then stand until it is there, twelve minutes later.)
MILD = "late=0.1%&broken=0.05%"
LAG = "90s" if LONG else "12m"
WILD = f"late=0.3%&broken=0.3%&future=0.2%&duplicate=1%&disorder=5s&churn=5%&skew=1&lag=7:{LAG}"


def misbehaving(compose):
    command = compose["services"]["producer"]["command"]
    check(MILD in command[0], f"the producer's source has no {MILD}")
    command[0] = command[0].replace(MILD, WILD)
    # the oracle reads the broker's files, and Python has no LZ4
    compose["services"]["topic"]["command"].append("--config=compression.type=uncompressed")
    return compose


def check_the_demo():
    stack = Stack(misbehaving(project(FIRST)), os.path.join(WORK, "first"), programs())
    began = time.time()
    acted = {}  # alerts: from when to when they were given a reason

    def hold(alert):
        """Long enough for Grafana to say it: `for`, two evaluations, a scrape."""
        if LONG:
            time.sleep(alert.for_s + 2 * alert.every_s + 10)

    def provoke(uid, patience_s, do, undo):
        alert, since = seen.alerts[uid], time.time()
        do()
        until(patience_s, f"alert {alert.title} fires", alert.fires)
        hold(alert)
        undo()
        until(180, f"alert {alert.title} ends", lambda: not alert.fires() and alert.values())
        acted[uid] = since, time.time()

    def restart_kafka():
        stack.running["kafka"].send_signal(signal.SIGCONT)
        stack.stop("producer")  # it gave up, and the file says that it is started again
        stack.start("producer")

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
        boards = [
            Dashboard(path, seen.sources) for path in sorted(glob.glob(os.path.join(ROOT, "grafana/dashboards/*.json")))
        ]
        answers = [answer for board in boards for answer in board.answers()]
        empty = "".join(f"\n    {where}: {query}" for where, query, rows in answers if not rows)
        check(boards and not empty, f"these give no rows:{empty}")
        print(f"  {len(answers)} queries of the dashboards give rows", flush=True)
        for alert in seen.alerts.values():
            check(alert.values(), f"alert {alert.title}: {alert.expr} gives nothing")
            check(not alert.fires(), f"alert {alert.title} fires, and all is well: {alert.values()}")

        # two hundred broken records a second, six minutes long, for Grafana waits for five
        spoiled = time.time()
        broken = ["produce", "--from=sim:?seed=2&broken=100%&history=2h", "--rate=200"]
        broken += [f"--limit={200 * 360 if LONG else 20_000}"]
        stack.spawn("spoiler", [MINUTELY, *broken, f"--to=kafka://127.0.0.1:{stack.port('kafka', 9092)}/ticks"])
        until(60, "the alert of dead letters fires", seen.alerts["minutely-dead-letters"].fires)
        acted["minutely-dead-letters"] = spoiled, spoiled + 360 + 300

        # after a crash and a stop both go on: the program at its state, the producer at now
        def crash():
            stack.stop("minutely", signal.SIGKILL)

        def again():
            stack.stop("producer")
            stack.start("producer")
            stack.start("minutely")

        records = 'sum(minutely_records_total{verdict=~"%s"})'
        before = seen.value(records % ".*")
        provoke("minutely-down", 60, crash, again)
        until(120, "records after a restart", lambda: (seen.value(records % ".*") or 0) > before + 10_000)
        check(seen.value(records % "late") < before / 100, "the producer sent its history again")
        for _ in range(5 if LONG else 2):
            time.sleep(random.uniform(0, 4))
            crash()
            stack.start("minutely")
        stack.wait("minutely", "service_healthy")
        provoke("minutely-sink", 60, lambda: stack.stop("influxdb", signal.SIGKILL), lambda: stack.start("influxdb"))
        if LONG:  # silence without an answer is no evidence: W stands still
            stop = signal.SIGSTOP
            provoke("minutely-stalled", 300, lambda: stack.running["kafka"].send_signal(stop), restart_kafka)
            acted["minutely-source"] = acted["minutely-stalled"]  # it cannot be read meanwhile
            dead = seen.alerts["minutely-dead-letters"]
            until(420, "the alert of dead letters ends", lambda: dead.values() and not dead.fires())
            time.sleep(max(0, began + 600 - time.time()) + 30)
        ended = time.time()
        balanced = f"min_over_time(min(minutely_ledger_balanced_bool)[{int(ended - began)}s:5s])"
        check(seen.value(balanced) == 1, "the ledger did not balance at some moment")
        if LONG:
            for uid, alert in seen.alerts.items():
                since, to = acted.get(uid, (0, 0))
                times = alert.fired(began, ended)
                shown = [round(when - began) for when in times[:1] + times[-1:]]
                print(f"  alert {alert.title}: fired {shown or 'never'} s after the start")
                check(bool(times) == (uid in acted), f"alert {alert.title} fires at {shown}")
                check(
                    all(since <= when <= to for when in times), f"alert {alert.title} fires when nobody gave a reason"
                )
        print(f"  the ledger balanced for {ended - began:.0f} s", flush=True)

        if not LONG:  # silence lets W pass the partition that is behind; what it brings then is late by a floor alone
            stack.stop("producer")
            until(60, "W passes it", lambda: (seen.value("max(minutely_watermark_lag_seconds)") or 999) < 20)
            before = seen.value(records % "late")
            stack.start("producer")
            until(60, "records are late", lambda: seen.value(records % "late") > before + 100)

        # the log is as long as it will be: the same command to its end makes all of it final
        for name in ("producer", "spoiler"):
            stack.stop(name)
        check(stack.stop("minutely") == 0, "minutely does not end with 0 at SIGTERM")
        stack.start("minutely", ["--until-end", "--close"])
        code = stack.running["minutely"].wait(120)
        check(code == 0, f"minutely --until-end ends with {code}:{stack.tail('minutely')}")
        data = os.path.join(stack.mounts("minutely")["/var/lib/minutely"], "market")
        floors = minutes.are_the_oracles(seen.influx, stack.mounts("kafka")["/var/lib/kafka/data"], data)
        check(floors or LONG, "no record is late by a floor alone")
    except Exception:
        stack.last_words()
        raise
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
        for name in ("minutely-0", "minutely-1", "zookeeper", "kafka-zookeeper"):
            stack.alive(name)
    except Exception:
        stack.last_words()
        raise
    finally:
        stack.down()


def main():
    checks = Checks()
    try:
        checks.run(globals(), sys.argv[4:])
    finally:  # (also when it is told to end)
        if not checks.failed:
            shutil.rmtree(WORK, ignore_errors=True)
    if checks.failed:
        print(f"logs are in {WORK}")
    return checks.exit_code()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
