"""The services of docker-compose.yml as processes of this machine.

What a service runs, with which arguments, environment, files, secrets and volumes, is read out of the file; nothing of
it is said a second time here. Three things differ from containers, and are translated everywhere they are written:

- a name and a port (`kafka:9092`, `0.0.0.0:8080`) become 127.0.0.1 and a free port,
- a path inside a container becomes the file or folder that is mounted there,
- an image's program becomes the same program as it is installed here.

What an image's own start does with its environment is done here too: Kafka's by the very class that the image runs
(`kafka.docker.KafkaDockerWrapper`), InfluxDB's by the same request to its API.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "minutely")

# What the scripts of a Kafka distribution run, each by `kafka-run-class.sh CLASS "$@"`.
JAVA = {
    "kafka-topics.sh": ["org.apache.kafka.tools.TopicCommand"],
    "kafka-server-start.sh": ["kafka.Kafka"],
    "zookeeper-server-start.sh": ["org.apache.zookeeper.server.quorum.QuorumPeerMain"],
    # (moved with Kafka 4)
    "kafka-broker-api-versions.sh": [
        "org.apache.kafka.tools.BrokerApiVersionsCommand",
        "kafka.admin.BrokerApiVersionsCommand",
    ],
}


class Failed(Exception):
    """A sentence that says what is wrong."""


def http(url, data=None, headers=None, timeout=20):
    """Status and text of an answer; (0, why) if there is none."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (urllib.error.URLError, OSError) as error:
        return 0, str(error)


def until(deadline_s, what, ask, every_s=0.5):
    """What `ask` answers once that is true. Fails with the last thing it could say."""
    end = time.monotonic() + deadline_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {deadline_s} s")
        time.sleep(every_s)


def dockerfile(path):
    """Its last stage's ENV, ENTRYPOINT and HEALTHCHECK, as (environment, entry point, probe)."""
    text = re.sub(r"\\\n", " ", open(path).read())
    stage = text[text.rindex("\nFROM ") :]
    environment = dict(re.findall(r"^ENV (\w+)=(\S+)$", stage, re.M))
    entry = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", stage, re.M)[1])
    probe = json.loads(re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", stage, re.M)[1])
    return environment, entry, probe


class Stack:
    """The services of some profiles. `programs`: what runs for what an image holds: minutely, influxd, prometheus."""

    def __init__(self, project, folder, programs):
        self.services = project["services"]
        self.project = project
        self.folder = folder
        self.programs = programs
        self.running = {}
        self._ports = {}
        self._names = {}
        for name, service in self.services.items():
            aliases = ((service.get("networks") or {}).get("default") or {}).get("aliases") or []
            for called in [name, *aliases]:
                if called in self._names:
                    raise Failed(f"both {name} and {self._names[called]} are called {called} in these profiles")
                self._names[called] = name
            if (service.get("network_mode") or "").startswith("service:"):
                self._names[name] = service["network_mode"].removeprefix("service:")

    # --- names, ports, paths ---------------------------------------------------------------------------------------

    def port(self, name, port):
        """This machine's port for a service's."""
        key = (self._names[name], int(port))
        if key not in self._ports:
            with socket.socket() as probe:
                while True:  # below the range of outgoing connections: it must be free again after a restart
                    candidate = 12000 + int.from_bytes(os.urandom(2), "big") % 8000
                    try:
                        probe.bind(("127.0.0.1", candidate))
                        break
                    except OSError:
                        continue
            self._ports[key] = candidate
        return self._ports[key]

    def url(self, name, port):
        return f"http://127.0.0.1:{self.port(name, port)}"

    def _mounts(self, name):
        """Secrets, folders and volumes: paths in the container, each with what is there."""
        service = self.services[name]
        found = {}
        for volume in service.get("volumes") or []:
            source = volume["source"]
            if volume["type"] == "volume":
                source = os.path.join(self.folder, "volumes", source)
                os.makedirs(source, exist_ok=True)
                source = os.path.join(source, (volume.get("volume") or {}).get("subpath", ""))
            elif not os.path.exists(source):
                raise Failed(f"{name}: there is no {source}")
            found[volume["target"]] = source
        return found

    def mounts(self, name):
        """All that is mounted. Files that are configuration hold this machine's addresses and paths."""
        found = self._mounts(name)
        texts = {
            path: open(there).read()
            for path, there in found.items()
            if os.path.isfile(there) and not path.startswith("/run/secrets/")
        }
        for config in self.services[name].get("configs") or []:
            said = self.project["configs"][config["source"]]
            texts[config["target"]] = said["content"] if "content" in said else open(said["file"]).read()
        for path, text in texts.items():
            to = os.path.join(self.folder, "files", name, os.path.basename(path))
            os.makedirs(os.path.dirname(to), exist_ok=True)
            text = re.sub(r"^clientPort=(\d+)$", lambda m: f"clientPort={self.port(name, m[1])}", text, flags=re.M)
            with open(to, "w") as file:
                file.write(self.here(name, text, found))
            found = found | {path: to}
        return found

    def here(self, name, text, mounts=None):
        """A text of this service, with this machine's addresses and paths."""
        own = self._names[name]
        names = "|".join(re.escape(n) for n in sorted(self._names, key=len, reverse=True))

        def address(match):
            host, port = match[1], match[2]
            return f"127.0.0.1:{self.port(own if host in ('localhost', '0.0.0.0') else host, port)}"

        text = re.sub(r"/dev/tcp/localhost/(\d+)", lambda m: f"/dev/tcp/127.0.0.1/{self.port(own, m[1])}", text)
        text = re.sub(rf"(?<![\w.-])({names}|localhost|0\.0\.0\.0):(\d+)\b", address, text)
        for inside, there in sorted((self.mounts(name) if mounts is None else mounts).items(), reverse=True):
            text = re.sub(rf"(?<![\w/]){re.escape(inside)}(?![\w-])", lambda _: there, text)
        return text

    # --- programs --------------------------------------------------------------------------------------------------

    def _java(self, image, classes):
        version = image.rsplit(":", 1)[1]
        libs = os.path.join(CACHE, f"kafka-{version}", "libs")
        if not os.path.isdir(libs):
            raise Failed(
                f"{image}: Kafka {version} is not installed; KAFKA_VERSION={version} experiments/servers/kafka install"
            )
        jars = " ".join(
            subprocess.run(["unzip", "-Z1", os.path.join(libs, jar)], capture_output=True, text=True).stdout
            for jar in os.listdir(libs)
            if jar.startswith("kafka")
        )
        for one in classes:
            if one.replace(".", "/") + ".class" in jars or not one.startswith(("kafka", "org.apache.kafka")):
                log = [
                    f"-Dlog4j2.configurationFile={CACHE}/kafka-{version}/log4j2.properties",
                    f"-Dlog4j.configuration=file:{CACHE}/kafka-{version}/log4j.properties",
                    "-Dlog.level=info",
                ]
                return ["java", "-Xmx512m", "-XX:+UseSerialGC", *log, "-cp", os.path.join(libs, "*"), one]
        raise Failed(f"{image}: there is none of {classes} in it")

    def command(self, name, words):
        """What runs here for words that a container would run, the first of them its program."""
        image, program = self.services[name]["image"], words[0]
        words = [self.here(name, word) for word in words]
        base = os.path.basename(program)
        if base in JAVA:
            return self._java(image, JAVA[base]) + words[1:]
        if base in self.programs:
            return [self.programs[base], *words[1:], *self._hosts(name, words)]
        if program == "/bin/sleep":
            return words
        if program == "influx" and words[1:] == ["ping"]:  # its own client is not built here; this is what that asks
            return ["curl", "-fsS", self.url(name, 8086) + "/ping"]
        if program in ("wget", "curl", "bash", "/bin/sh"):
            entry = dockerfile(os.path.join(ROOT, "Dockerfile"))[1][0]
            return [word.replace(entry, self.programs["minutely"]) for word in words]
        raise Failed(f"{name}: no idea what `{program}` is")

    def _hosts(self, name, words):
        """Processes of a cluster find one another at ports of their own choice: that choice, here."""
        processes = next((int(word.removeprefix("--processes=")) for word in words if "--processes=" in word), 1)
        if processes == 1:
            return []
        file = os.path.join(self.folder, "files", "hosts")
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as hosts:
            hosts.writelines(f"127.0.0.1:{self.port(name, 2101 + process)}\n" for process in range(processes))
        return ["--hostfile=" + file]

    def words(self, name):
        """Entry point and command, the file's or the image's."""
        service = self.services[name]
        entry, command = service.get("entrypoint") or [], service.get("command") or []
        image = service["image"].split(":")[0]
        if service.get("build"):
            entry = entry or dockerfile(os.path.join(ROOT, "Dockerfile"))[1]
        elif image == "prom/prometheus":
            entry = entry or ["/bin/prometheus"]
        elif image == "influxdb" and not command:
            entry = ["influxd"]
        return [*entry, *command]

    def environment(self, name):
        service = self.services[name]
        said = dict(dockerfile(os.path.join(ROOT, "Dockerfile"))[0]) if service.get("build") else {}
        said |= {key: value or "" for key, value in (service.get("environment") or {}).items()}
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME") if key in os.environ}
        return kept | {key: self.here(name, value) for key, value in said.items()}

    # --- life ------------------------------------------------------------------------------------------------------

    def log(self, name):
        os.makedirs(os.path.join(self.folder, "logs"), exist_ok=True)
        return os.path.join(self.folder, "logs", name)

    def tail(self, name):
        lines = open(self.log(name), errors="replace").read().splitlines()[-15:]
        return "".join(f"\n    {line[:240]}" for line in lines)

    def last_words(self):
        for name in sorted(os.listdir(os.path.join(self.folder, "logs"))):
            print(f"  {name}:{self.tail(name)}")

    def start(self, name, more=()):
        """Its command, with more words if there are some."""
        image = self.services[name]["image"].split(":")[0]
        environment, words = self.environment(name), self.words(name)
        if image == "apache/kafka" and not words:
            command = self._start_kafka(name, environment)
        elif image == "influxdb":
            command = self._start_influxdb(name, words)
        elif image == "prom/prometheus":  # (it listens at 0.0.0.0:9090 if nobody says otherwise)
            command = self.command(name, words) + [f"--web.listen-address=127.0.0.1:{self.port(name, 9090)}"]
        else:
            command = self.command(name, words)
        self.spawn(name, [*command, *more], environment)
        if image == "influxdb":
            self._set_up_influxdb(name, environment)

    def spawn(self, name, command, environment=None):
        """(In the process group of whoever tests, so that none outlives a test that is killed.)"""
        with open(self.log(name), "a") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            self.running[name] = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _start_kafka(self, name, environment):
        """The image's start: its own class makes the configuration of the environment and formats the storage."""
        folders = [os.path.join(self.folder, "files", name, kind) for kind in ("default", "mounted", "final")]
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
        command = self._java(self.services[name]["image"], ["kafka.docker.KafkaDockerWrapper"])
        if not os.path.exists(os.path.join(folders[2], "server.properties")):
            done = subprocess.run(
                [
                    *command,
                    "setup",
                    "--default-configs-dir",
                    folders[0],
                    "--mounted-configs-dir",
                    folders[1],
                    "--final-configs-dir",
                    folders[2],
                ],
                env=environment,
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                raise Failed(f"{name}: its image's setup ends with {done.returncode}: {done.stdout}{done.stderr}")
        return self._java(self.services[name]["image"], ["kafka.Kafka"]) + [
            os.path.join(folders[2], "server.properties")
        ]

    def _start_influxdb(self, name, words):
        where = self.mounts(name)["/var/lib/influxdb2"]
        return self.command(name, words) + [
            f"--http-bind-address=127.0.0.1:{self.port(name, 8086)}",
            f"--bolt-path={where}/influxd.bolt",
            f"--sqlite-path={where}/influxd.sqlite",
            f"--engine-path={where}/engine",
        ]

    def _set_up_influxdb(self, name, environment):
        """The image's start: `influx setup`, with what DOCKER_INFLUXDB_INIT_* say."""

        def said(what):
            key = "DOCKER_INFLUXDB_INIT_" + what
            if key + "_FILE" in environment:
                return open(environment[key + "_FILE"]).read().strip()
            return environment[key]

        if environment.get("DOCKER_INFLUXDB_INIT_MODE") != "setup":
            raise Failed(f"{name}: does not set itself up")
        url = self.url(name, 8086)
        until(60, f"{name} listens", lambda: http(f"{url}/api/v2/setup")[0] == 200, 0.1)
        if json.loads(http(f"{url}/api/v2/setup")[1])["allowed"]:
            body = {
                "username": said("USERNAME"),
                "password": said("PASSWORD"),
                "token": said("ADMIN_TOKEN"),
                "org": said("ORG"),
                "bucket": said("BUCKET"),
                "retentionPeriodSeconds": 0,
            }
            status, text = http(f"{url}/api/v2/setup", json.dumps(body).encode(), {"Content-Type": "application/json"})
            if status != 201:
                raise Failed(f"{name}: set-up answers {status} {text}")

    def probe(self, name):
        """The health check's command, of the file or of the image; none if it has none."""
        check = self.services[name].get("healthcheck")
        if check is None and self.services[name].get("build"):
            return dockerfile(os.path.join(ROOT, "Dockerfile"))[2]
        if check is None or check.get("disable"):
            return None
        kind, *words = check["test"]
        if kind != "CMD":
            raise Failed(f"{name}: the health check is not of the form CMD")
        return words

    def healthy(self, name):
        self.alive(name)
        done = subprocess.run(
            self.command(name, self.probe(name)),
            env=self.environment(name),
            timeout=60,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.said = done.stdout
        return done.returncode == 0

    def alive(self, name):
        code = self.running[name].poll()
        if code is not None:
            raise Failed(f"{name} ended with {code}:{self.tail(name)}")

    def up(self, skip=()):
        """All services, each when those that it depends on are as it wants them."""
        waiting = [name for name in self.services if name not in skip]
        while waiting:
            before = len(waiting)
            for name in list(waiting):
                needs = self.services[name].get("depends_on") or {}
                needs = {other: how for other, how in needs.items() if other in self.services and other not in skip}
                if any(other in waiting for other in needs):
                    continue
                for other, how in needs.items():
                    self.wait(other, how["condition"])
                self.start(name)
                print(f"  {name} started", flush=True)
                waiting.remove(name)
            if len(waiting) == before:
                raise Failed(f"{waiting} wait for one another")
        for name in self.running:
            if self.probe(name):
                self.wait(name, "service_healthy")

    def wait(self, name, condition):
        if condition == "service_completed_successfully":
            code = self.running[name].wait(120)
            if code != 0:
                raise Failed(f"{name} ended with {code}:{self.tail(name)}")
        elif condition == "service_healthy":
            try:
                until(180, f"{name} is healthy", lambda: self.healthy(name))
            except Failed as failed:
                raise Failed(f"{failed}; its probe said: {getattr(self, 'said', '')}{self.tail(name)}") from None

    def stop(self, name, how=signal.SIGTERM, patience_s=60):
        """Its exit code."""
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{name} does not end within {patience_s} s of {signal.Signals(how).name}") from None

    def down(self):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
        for process in self.running.values():
            process.wait()
        self.running.clear()
