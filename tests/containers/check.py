"""What tests/containers/run does once an engine runs and has images: `check.py [WORD...]`, inside of tests/containers/engine.

Each function below that begins with `check_` is one test; it passes or it raises. With words, only those whose names have all of
them. docker-compose.yml runs as it is, but for a file laid over it: Grafana and InfluxDB 3 are left out, for no image of theirs can
be made here; the producer does more wrong than the file's; and the topic is not compressed, so that the oracle can read it.
The closing line counts the tests.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "stack"))

import minutes  # noqa: E402
from checks import Checks, check  # noqa: E402
from queries import Source  # noqa: E402
from services import Failed, http, until  # noqa: E402

FIRST = "kraft,single,influxdb2,rabbitmq"
SECOND = "zookeeper,cluster,influxdb2"
PATIENCE_S = 300  # for what takes seconds on a machine with nothing else to do
AWAY_S = 20
MILD = "late=0.1%&broken=0.05%"
WILD = "late=0.3%&broken=0.3%&future=0.2%&duplicate=1%&disorder=5s&churn=5%&skew=1&lag=7:90s"


def docker(*words, wrong=False, environment=None):
    """What it says. With `wrong` it may fail, and what it says then comes, too."""
    done = subprocess.run(
        ["docker", *words], cwd=ROOT, capture_output=True, text=True, env=os.environ | (environment or {})
    )
    if done.returncode != 0 and not wrong:
        raise Failed(f"docker {' '.join(words)} ends with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


class Demo:
    """docker-compose.yml with some profiles, from `up` to `down`."""

    def __init__(self, profiles):
        self.environment = {"COMPOSE_PROFILES": profiles}
        said = json.loads(docker("compose", "config", "--format=json", environment=self.environment))["services"]
        self.commands = {name: service.get("command") or [] for name, service in said.items()}
        check(MILD in self.commands["producer"][0], f"the producer's source has no {MILD}")
        over = {
            "grafana": {"profiles": ["left-out"]},
            "topic": {"command": [*self.commands["topic"], "--config=compression.type=uncompressed"]},
            "producer": {"command": [self.commands["producer"][0].replace(MILD, WILD)]},
        }
        self.file = tempfile.NamedTemporaryFile("w", suffix=".json")
        json.dump({"services": over}, self.file)
        self.file.flush()
        self.names = [name for name in said if name != "grafana"]
        self.broker = "kafka" if "kraft" in profiles else "kafka-zookeeper"
        self.readers = ["minutely"] if "single" in profiles else ["minutely-0", "minutely-1"]
        self.unbalanced, self.answers, self.watching = None, 0, False

    def compose(self, *words, wrong=False, environment=None):
        files = ["--file=docker-compose.yml", f"--file={self.file.name}"]
        return docker("compose", *files, *words, wrong=wrong, environment=environment or self.environment)

    def inspect(self, name):
        found = self.compose("ps", "--all", "--quiet", name).split()
        check(found, f"there is no container of {name}")
        return json.loads(docker("inspect", found[0]))[0]

    def volume(self, name):
        return docker("volume", "inspect", "--format={{.Mountpoint}}", f"minutely_{name}").strip()

    def secret(self, name):
        return open(os.path.join(self.volume("secrets"), os.path.basename(name))).read()

    # --- what is going on ------------------------------------------------------------------------------------------

    def ready(self, name):
        """As its dependants want it: healthy, ended with 0 if it is one that ends, or running where nobody asks."""
        state = self.inspect(name)["State"]
        if name in ("topic", "secrets"):
            if state["Status"] == "exited" and state["ExitCode"] != 0:
                raise Failed(f"{name} ended with {state['ExitCode']}: {self.compose('logs', '--tail=20', name, wrong=True)}")
            return state["Status"] == "exited"
        return state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def wait(self, *names):
        for name in names or self.names:
            try:
                until(PATIENCE_S, f"{name} is ready", lambda: self.ready(name))
            except Failed as failed:
                state = {key: self.inspect(name)["State"].get(key) for key in ("Status", "ExitCode", "Error", "Health")}
                raise Failed(f"{failed}: {json.dumps(state)[-1500:]}") from None

    def metrics(self, port=8080):
        """Values by name with labels; none while it does not answer."""
        headers = {"Authorization": f"Bearer {self.secret('http-token')}"}
        status, text = http(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=5)
        lines = text.splitlines() if status == 200 else []
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", "\n".join(lines), re.M)}

    def read(self, port=8080):
        """Records so far, by this process."""
        return sum(value for name, value in self.metrics(port).items() if name.startswith("minutely_records_total"))

    def goes_on(self, after, port=8080):
        """Records are read, a thousand more by one process, and rows come to InfluxDB."""
        seen = [None]

        def more():
            now = self.read(port)
            if not now or seen[0] is None or now < seen[0]:
                seen[0] = now or None
                return False
            return now > seen[0] + 1000

        until(PATIENCE_S, f"records are read after {after}", more)
        if port == 8080:
            before = self.newest()
            until(PATIENCE_S, f"rows come after {after}", lambda: self.newest() > before)
        print(f"  goes on after {after}", flush=True)

    def influx(self, query):
        said = {
            "type": "influxdb",
            "uid": "influxdb",
            "url": "http://127.0.0.1:8086",
            "jsonData": {"timeInterval": "60s", "dbName": "ticks", "httpHeaderName1": "Authorization"},
            "secureJsonData": {"httpHeaderValue1": "Token $__file{influxdb-token}"},
        }
        return Source(said, self.secret, str).influx(query)

    def newest(self):
        """The newest that `minute_live` has of counts: (time, how many records)."""
        try:
            series = self.influx('SELECT sum("count") FROM "minute_live"')
        except Failed:
            return 0
        return series[0]["values"][0][1] if series else 0

    def watch(self):
        """Asks each second whether the ledger balances, as long as the test lasts."""
        while self.watching:
            try:
                balanced = self.metrics().get("minutely_ledger_balanced_bool")
            except (Failed, OSError):
                balanced = None
            if balanced is not None:
                self.answers += 1
                if balanced != 1:
                    self.unbalanced = time.time()
            time.sleep(1)

    # --- from up to down -------------------------------------------------------------------------------------------

    def up(self):
        began = time.monotonic()
        self.compose("--progress=plain", "up", "-d", "--build")  # (else what a build says is lost)
        self.wait()
        print(f"  {len(self.names)} services are as the file wants them after {time.monotonic() - began:.0f} s", flush=True)
        self.watching = True
        threading.Thread(target=self.watch, daemon=True).start()
        until(PATIENCE_S, "minutes are in minute_live", self.newest)
        until(PATIENCE_S, "final minutes are in minute", lambda: self.influx('SELECT count("avg") FROM "minute"'))

    def stop(self, *names):
        """Each ends with 0."""
        self.compose("stop", *names)
        for name in names:
            state = self.inspect(name)["State"]
            check(state["ExitCode"] == 0, f"{name} ends with {state['ExitCode']} when it is told to")

    def ends_as_the_oracle_has_it(self):
        """The log is as long as it will be: the same command to its end makes all of it final. (As one process, of two, too.)"""
        self.compose("stop", "producer")
        self.stop(*self.readers)
        self.watching = False
        check(self.answers > 10, "the ledger was hardly ever asked for")
        check(self.unbalanced is None, "the ledger did not balance at some moment")
        single = {"COMPOSE_PROFILES": self.environment["COMPOSE_PROFILES"].replace("cluster", "single")}
        config = json.loads(docker("compose", "config", "--format=json", environment=single))
        words = [*config["services"]["minutely"]["command"], "--until-end", "--close"]
        self.compose("run", "--rm", "--no-deps", "-T", "minutely", *words, environment=single)
        logs = self.volume(self.broker)
        logs = logs if self.broker == "kafka" else os.path.join(logs, "log")
        minutes.are_the_oracles(self.influx, logs, os.path.join(self.volume("minutely"), "market"))

    def last_words(self):
        for line in self.compose("ps", "--all", wrong=True).splitlines():
            print(f"  {line}")
        for name in self.names:
            print(f"  {name}:\n" + self.compose("logs", "--no-color", "--tail=12", name, wrong=True)[-2500:])

    def down(self):
        self.watching = False
        environment = {"COMPOSE_PROFILES": "*"}
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=10", wrong=True, environment=environment)


# --- what containers must be ------------------------------------------------------------------------------------------


def minutely_may_do_no_more_than_it_needs(demo):
    for name in [name for name in demo.names if name.startswith(("minutely", "producer", "rabbitmq-minutely"))]:
        pid = demo.inspect(name)["State"]["Pid"]
        said = dict(re.findall(r"^(\w+):\s+(.*)$", open(f"/proc/{pid}/status").read(), re.M))
        check(set(said["Uid"].split()) == {"10001"}, f"{name} runs as {said['Uid']}")
        check(int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0, f"{name} has capabilities {said['CapEff']}")
        check(said["NoNewPrivs"] == "1" and said["Seccomp"] == "2", f"{name} may get more rights")
        wrote = demo.compose("exec", "-T", name, "/bin/sh", "-c", "echo >/usr/local/bin/x", wrong=True)
        check("Read-only" in wrote, f"{name} can write into its image: {wrote or 'done'}")
    wrote = demo.compose("exec", "-T", demo.readers[0], "/bin/sh", "-c", "echo >/run/secrets/http-token", wrong=True)
    check("Read-only" in wrote, f"a secret can be written: {wrote or 'done'}")


def volumes_are_their_users(demo):
    wanted = {"minutely": (10001, 0o700), "producer": (10001, 0o700), "influxdb": (1000, 0o700), "secrets": (0, None)}
    wanted |= {demo.broker: (1000, None), "prometheus": (65534, None)}
    for name, (user, mode) in wanted.items():
        found = os.stat(demo.volume(name))
        check(found.st_uid == user, f"volume {name} is user {found.st_uid}'s, not {user}'s")
        check(mode in (None, found.st_mode & 0o777), f"volume {name} has mode {found.st_mode & 0o777:o}")
    docker_root = docker("info", "--format={{.DockerRootDir}}").strip()
    check(os.stat(docker_root).st_mode & 0o007 in (0, 1), f"others of this machine can list {docker_root}")


def secrets_are_where_they_are_needed_alone(demo):
    folder = demo.volume("secrets")
    secrets = {name: open(os.path.join(folder, name)).read() for name in os.listdir(folder)}
    containers = demo.compose("ps", "--all", "--quiet").split()
    images = sorted({json.loads(docker("inspect", one))[0]["Image"] for one in containers})
    texts = {"a container's settings": docker("inspect", *containers), "a log": demo.compose("logs", "--no-color")}
    texts |= {"an image": "".join(docker("history", "--no-trunc", image) for image in images)}
    for what, text in texts.items():
        for name, secret in secrets.items():
            check(secret not in text, f"{name} is in {what}")
    seen = demo.compose("exec", "-T", "prometheus", "ls", "/run/secrets").split()
    check(seen == ["http-token"], f"Prometheus sees {seen}")
    shown = demo.compose("run", "--rm", "-T", "secrets", "show")
    check(secrets["http-token"] in shown and secrets["grafana-password"] in shown, f"they are not shown: {shown}")


def ports_are_of_loopback(demo):
    listen = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout.split("\n")
    open_to = {line.split()[3] for line in listen if line}
    for port in (8080, 8086, 9090, 19092):
        at = {one for one in open_to if one.endswith(f":{port}")}
        check(at == {f"127.0.0.1:{port}"}, f"port {port} is open at {at or 'no address'}")
    check(http("http://127.0.0.1:8080/api/status")[0] == 401, "the page asks for no token")


def prometheus_reads_minutely(demo):
    def up():
        status, text = http("http://127.0.0.1:9090/api/v1/query?query=up")
        return status == 200 and [one["value"][1] for one in json.loads(text)["data"]["result"]] == ["1"]

    until(PATIENCE_S, "Prometheus reads minutely", up)


# --- what is done to them ---------------------------------------------------------------------------------------------


def kill(demo, name):
    """As somebody who kills a container: the engine does not start it again then."""
    demo.compose("kill", name)
    time.sleep(2)
    demo.compose("start", name)


def crash(demo, name):
    """kill -9 of its process: the file says that it is started again."""
    before = demo.inspect(name)
    os.kill(before["State"]["Pid"], 9)

    def back():
        now = demo.inspect(name)
        return now["RestartCount"] > before["RestartCount"] and now["State"]["Status"] == "running"

    until(PATIENCE_S, f"{name} is started again", back)


def pause(demo, name):
    demo.compose("pause", name)
    time.sleep(AWAY_S)
    demo.compose("unpause", name)


def cut_off(demo, name):
    """Out of the network and back, with the names that it had there."""
    container = demo.inspect(name)
    aliases = container["NetworkSettings"]["Networks"]["minutely_default"]["Aliases"] or []
    docker("network", "disconnect", "minutely_default", container["Id"])
    time.sleep(AWAY_S)
    names = [f"--alias={alias}" for alias in {name, *aliases}]
    docker("network", "connect", *names, "minutely_default", container["Id"])


def disturbed(demo, steps):
    for what, how, name in steps:
        how(demo, name)
        demo.goes_on(f"{name} was {what}")


# --- tests ------------------------------------------------------------------------------------------------------------


def runs(profiles, facts, steps):
    demo = Demo(profiles)
    demo.down()  # (of a run that was ended)
    try:
        demo.up()
        for fact in facts:
            fact(demo)
            print(f"  {fact.__name__.replace('_', ' ')}", flush=True)
        demo.goes_on("the start")
        if "rabbitmq" in profiles:
            demo.goes_on("the start, from RabbitMQ", 8081)
            check(demo.metrics(8081)["minutely_ledger_balanced_bool"] == 1, "the ledger of RabbitMQ's reader does not balance")
        disturbed(demo, steps)
        demo.wait()
        demo.ends_as_the_oracle_has_it()
    except Exception:
        demo.last_words()
        raise
    finally:
        demo.down()
    left = docker("ps", "--all", "--quiet") + docker("volume", "ls", "--quiet", "--filter=name=minutely_")
    check(not left, f"down leaves {left.split()}")


def check_the_demo_as_it_is():
    facts = [
        minutely_may_do_no_more_than_it_needs,
        volumes_are_their_users,
        secrets_are_where_they_are_needed_alone,
        ports_are_of_loopback,
        prometheus_reads_minutely,
    ]
    steps = [
        ("killed", kill, "minutely"),
        ("ended by kill -9", crash, "minutely"),
        ("paused", pause, "kafka"),
        ("paused", pause, "minutely"),
        ("cut off", cut_off, "minutely"),
        ("cut off", cut_off, "influxdb"),
        ("cut off", cut_off, "kafka"),
        ("killed", kill, "influxdb"),
        ("ended by kill -9", crash, "kafka"),
    ]
    runs(FIRST, facts, steps)


def check_the_demo_with_zookeeper_and_two_processes():
    steps = [
        ("ended by kill -9", crash, "minutely-1"),
        ("killed", kill, "minutely-0"),
        ("paused", pause, "minutely-1"),
        ("cut off", cut_off, "minutely-1"),
        ("cut off", cut_off, "minutely-0"),
        ("cut off", cut_off, "kafka-zookeeper"),
        ("paused", pause, "zookeeper"),
        ("killed", kill, "influxdb"),
    ]
    runs(SECOND, [minutely_may_do_no_more_than_it_needs, volumes_are_their_users, ports_are_of_loopback], steps)


def main():
    checks = Checks()
    checks.run(globals(), sys.argv[1:])
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
