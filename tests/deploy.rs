//! What `deploy/` has: systemd takes the units, Kubernetes' schemas the manifest, Prometheus the rules, and the commands in them do what they
//! are for; and what `./release` makes of it.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command, files};
use common::stand_in::{Creating, Interface, StandIn};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_unit = |path: &PathBuf| path.extension().is_some_and(|end| end == "service" || end == "timer");
    let mut units: Vec<_> = all.filter(is_unit).collect();
    units.sort();
    units
}

#[test]
fn systemd_takes_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("LEFT OUT: the units by systemd-analyze (tool systemd)");
        return;
    }
    // (It wants the program to be there.)
    let folder = tempfile::tempdir().unwrap();
    for unit in units() {
        let text = std::fs::read_to_string(&unit).unwrap().replace("/usr/bin/minutely", env!("CARGO_BIN_EXE_minutely"));
        std::fs::write(folder.path().join(unit.file_name().unwrap()), text).unwrap();
    }
    for unit in units() {
        let there = folder.path().join(unit.file_name().unwrap());
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&there).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_ours: Vec<_> = said.lines().filter(|line| line.contains("minutely")).collect();
        assert!(of_ours.is_empty(), "{}: {said}", unit.display());
    }
}

/// The words of a unit's command, with other files in place of those of a machine.
fn exec_start(unit: &str, files: &[(&str, &Path)]) -> Vec<String> {
    let text = std::fs::read_to_string(units().into_iter().find(|path| path.ends_with(unit)).unwrap()).unwrap();
    let line = text.replace("\\\n", " ").lines().find_map(|line| line.strip_prefix("ExecStart=").map(str::to_owned));
    let mut words: Vec<String> = line.unwrap().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words.remove(0), "/usr/bin/minutely");
    for (there, here) in files {
        let word = words.iter_mut().find(|word| *word == there).unwrap_or_else(|| panic!("{unit} has no {there}"));
        *word = here.display().to_string();
    }
    words
}

/// A night: what the run stored is verified, and then what somebody changed is told to Prometheus.
#[test]
fn the_nightly_unit_verifies_and_leaves_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut log = String::new();
    for second in 0..3600_u64 {
        let (symbol, ts) = (second % 3, 1_767_600_000_000 + second * 1000);
        writeln!(log, r#"{{"symbol":"S{symbol}","price":"{}.5","ts":{ts}}}"#, second % 97).unwrap();
    }
    std::fs::write(at("log.jsonl"), log).unwrap();
    let config = format!(
        "source = \"file:{}\"\nsink = [\"sqlite:{}\"]\ndata = \"{}\"\njob = \"nightly\"\nas-of = \"2026-01-06T00:00:00Z\"\n",
        at("log.jsonl").display(),
        at("minutes.db").display(),
        at("data").display()
    );
    std::fs::write(at("minutely.toml"), config).unwrap();
    let toml = at("minutely.toml").display().to_string();
    Program::start(&at("data"), &["--config", &toml, "--close"], &[]).ended(PATIENCE).well();

    let textfile = at("minutely-verify.prom");
    let files = [
        ("/etc/minutely/minutely.toml", at("minutely.toml")),
        ("/var/lib/prometheus/node-exporter/minutely-verify.prom", textfile.clone()),
    ];
    let files: Vec<_> = files.iter().map(|(there, here)| (*there, here.as_path())).collect();
    let words = exec_start("minutely-verify.service", &files);
    let night = || {
        let output = command().args(&words).stdin(Stdio::null()).output().unwrap();
        let metrics = std::fs::read_to_string(&textfile).unwrap();
        if let Ok(mut promtool) =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
        {
            std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
            let output = promtool.wait_with_output().unwrap();
            assert!(output.status.success(), "{}{metrics}", String::from_utf8_lossy(&output.stderr));
        }
        (output.status.code(), metrics)
    };
    let has = |metrics: &str, line: &str| assert!(metrics.lines().any(|is| is == line), "{line}: {metrics}");
    let sink = format!("sink=\"sqlite:{}\",rows=\"minutes\"", at("minutes.db").display());
    let (code, metrics) = night();
    assert_eq!(code, Some(0), "{metrics}");
    has(&metrics, "minutely_verify_done_bool{job=\"nightly\"} 1");
    has(&metrics, "minutely_verify_equal_bool{job=\"nightly\"} 1");
    has(&metrics, "minutely_verify_windows{job=\"nightly\"} 60");
    has(&metrics, &format!("minutely_verify_rows{{job=\"nightly\",{sink},result=\"equal\"}} 180"));

    let db = rusqlite::Connection::open(at("minutes.db")).unwrap();
    assert_eq!(db.execute("UPDATE minutes SET high = high + 1 WHERE symbol = 'S1'", []).unwrap(), 60);
    let (code, metrics) = night();
    assert_eq!(code, Some(65), "{metrics}");
    has(&metrics, "minutely_verify_equal_bool{job=\"nightly\"} 0");
    has(&metrics, &format!("minutely_verify_rows{{job=\"nightly\",{sink},result=\"different\"}} 60"));

    std::fs::rename(at("log.jsonl"), at("away.jsonl")).unwrap();
    let (code, metrics) = night();
    assert_ne!(code, Some(0), "{metrics}");
    has(&metrics, "minutely_verify_done_bool{job=\"nightly\"} 0");
    assert!(!metrics.contains("minutely_verify_rows"), "what is not known is not said: {metrics}");
}

/// A manifest for Kubernetes.
struct Manifest(String);

impl Manifest {
    fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes").join(name)
    }

    fn read(name: &str) -> Self {
        Manifest(std::fs::read_to_string(Manifest::path(name)).unwrap())
    }

    /// What follows this text, to the end of the line.
    fn after(&self, text: &str) -> &str {
        let rest = self.0.split_once(text).unwrap_or_else(|| panic!("the manifest has no {text}")).1;
        rest.lines().next().unwrap().split(" #").next().unwrap().trim()
    }

    /// A file of the ConfigMap.
    fn file(&self, name: &str) -> String {
        let text = self.0.split_once(&format!("\n  {name}: |\n")).unwrap_or_else(|| panic!("{name}")).1;
        let lines = text.lines().map_while(|line| line.strip_prefix("    "));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The variables of the container, those of the Secret with a value of the test.
    fn environment(&self) -> Vec<(&str, &str)> {
        let env = self.0.split_once("          env:\n").unwrap().1.split("          ports:").next().unwrap();
        let entries = env.split("- ").skip(1);
        entries
            .map(|entry| {
                let word = |rest: &'static str| entry.split_once(rest).map(|(_, rest)| rest);
                let name = word("name: ").unwrap().split([',', '\n']).next().unwrap();
                let value = word("value: ").map(|rest| rest.split(" }").next().unwrap().trim_matches('"'));
                assert!(value.is_some() || entry.contains("secretKeyRef"), "{entry}");
                (name, value.unwrap_or("0123456789abcdef0123"))
            })
            .collect()
    }

    /// The words of the container's command.
    fn args(&self) -> Vec<String> {
        let words = self.after("args: [").strip_suffix(']').unwrap().split(", ");
        words.map(|word| word.trim_matches('"').to_owned()).collect()
    }
}

/// The manifests for Kubernetes, by the schemas of its API, and their options by the program.
#[test]
fn kubernetes_takes_the_manifests() {
    let Some(folder) = common::needs("deploy/kubernetes by its schemas", "MINUTELY_TEST_KUBERNETES") else { return };
    for name in ["minutely.yaml", "minutely-cluster.yaml"] {
        let mut validate = Command::new("python3");
        validate.env("PYTHONPATH", &folder).args(["-m", "kubernetes_validate", "--strict"]).arg(Manifest::path(name));
        let output = validate.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.matches(" passed ").count() == 3, "{name}: {said}");
        let manifest = Manifest::read(name);
        let home = tempfile::tempdir().unwrap();
        let toml = home.path().join("minutely.toml");
        std::fs::write(&toml, manifest.file("minutely.toml")).unwrap();
        let mut shown = command();
        shown.envs(manifest.environment()).env_remove("MINUTELY_HTTP_TOKEN_FILE");
        shown.env("MINUTELY_HTTP_TOKEN", "0123456789abcdef0123");
        let output = shown.args(["config", "show", "--config"]).arg(&toml).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Words before a command that has a host's name and names of hosts of its own: as root, or as a user who may make namespaces.
fn namespaces() -> Option<Vec<&'static str>> {
    let words = ["unshare", "--uts", "--mount"];
    let user = ["unshare", "--user", "--map-root-user", "--uts", "--mount"];
    [&words[..], &user].into_iter().map(<[_]>::to_vec).find(|words| {
        let mut tried = Command::new(words[0]);
        tried.args(&words[1..]).args(["sh", "-c", "hostname pod-0 && mount --bind /etc/hosts /etc/hosts"]);
        tried.output().is_ok_and(|output| output.status.success())
    })
}

/// The manifest's own words, options, names and probes, by three processes: each has the name of its pod and an address of its own, and they find one another by
/// the names of the Service. In place of Kafka and InfluxDB: the built-in market and files.
#[test]
fn the_pods_of_the_manifest_are_one_run() {
    let Some(namespaces) = namespaces() else {
        println!(
            "LEFT OUT: tool unshare, which gives a process the name of its pod: the manifest of several processes"
        );
        return;
    };
    let manifest = Manifest::read("minutely-cluster.yaml");
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let bucket = StandIn::start(Interface::S3, Creating::Honoured);

    // The pods: their names are the StatefulSet's and the Service's, their addresses three of loopback that nobody else has.
    let stateful = Manifest(manifest.0.split_once("kind: StatefulSet").unwrap().1.to_owned());
    let (name, service) = (stateful.after("name: "), stateful.after("serviceName: "));
    let pods: Vec<String> =
        (0..stateful.after("replicas: ").parse().unwrap()).map(|pod| format!("{name}-{pod}")).collect();
    assert!(manifest.0.contains(&format!("kind: Service\nmetadata:\n  name: {service}\n")));
    let network = format!("127.{}.{}", fastrand::u8(1..255), fastrand::u8(..));
    let address = |pod: usize| format!("{network}.{}", pod + 1);
    let mut names = "127.0.0.1 localhost\n".to_owned();
    for (number, pod) in pods.iter().enumerate() {
        writeln!(names, "{} {pod}.{service} {pod}", address(number)).unwrap();
    }
    std::fs::write(at("names"), names).unwrap();

    // The files that they see.
    let (_, prefix) = manifest.after("state = \"s3://").trim_end_matches('"').split_once('/').unwrap();
    let mut options: String = manifest
        .file("minutely.toml")
        .lines()
        .filter(|line| !line.starts_with("s"))
        .map(|l| format!("{l}\n"))
        .collect();
    let sink = at("minutes.db").display().to_string();
    writeln!(options, "source = \"sim:?symbols=5&rate=50&history=1m\"\nsink = [\"sqlite:{sink}\"]").unwrap();
    writeln!(options, "state = \"s3://b/{prefix}\"").unwrap();
    for folder in ["etc", "secrets"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    std::fs::write(at("etc/minutely.toml"), options).unwrap();
    std::fs::write(at("etc/hosts"), manifest.file("hosts")).unwrap();
    for item in manifest.after("items: [").split("key: ").skip(1) {
        let key = item.split(',').next().unwrap();
        let value = match key {
            "cluster-key" => command().arg(key).output().unwrap().stdout,
            _ => b"0123456789abcdef0123".to_vec(),
        };
        let path = item.split_once("path: ").unwrap().1.split(" }").next().unwrap();
        std::fs::write(at("secrets").join(path), value).unwrap();
    }
    let placed = |text: &str| {
        let (etc, secrets) = (at("etc").display().to_string(), at("secrets").display().to_string());
        assert!(!text.starts_with("/etc") || manifest.0.contains("{ name: options, mountPath: /etc/minutely,"));
        assert!(!text.starts_with("/run") || manifest.0.contains("{ name: secrets, mountPath: /run/secrets/minutely,"));
        text.replace("/etc/minutely", &etc).replace("/run/secrets/minutely", &secrets)
    };

    let start = |pod: usize| {
        let script = "mount --bind \"$0\" /etc/hosts && hostname \"$1\" && shift && exec \"$@\"";
        let mut started = Command::new(namespaces[0]);
        for (name, _removed) in command().get_envs() {
            started.env_remove(name);
        }
        started.args(&namespaces[1..]).args(["sh", "-c", script]).arg(at("names")).arg(&pods[pod]);
        started.arg(env!("CARGO_BIN_EXE_minutely")).args(manifest.args().iter().map(|word| placed(word)));
        started.envs(manifest.environment().into_iter().map(|(name, value)| (name, placed(value))));
        // Here they share what a pod has alone: the ports of all addresses, and the folder of the image.
        let http = stateful.after("MINUTELY_HTTP, value: \"0.0.0.0").split('"').next().unwrap();
        started.env("MINUTELY_HTTP", address(pod) + http).env("MINUTELY_DATA", at(&pods[pod]));
        started.env("AWS_ENDPOINT", &bucket.url).env("AWS_ALLOW_HTTP", "true");
        Program::spawn(started)
    };
    let probe = |pod: usize, name: &str| {
        let path = stateful.after(&format!("{name}: {{ httpGet: {{ path: ")).split(',').next().unwrap();
        let url = format!(
            "http://{}:{}{path}",
            address(pod),
            stateful.after("{ name: http, containerPort: ").split(' ').next().unwrap()
        );
        common::wait_for(async { Some(reqwest::get(url).await.ok()?.status().as_u16()) })
    };
    // One that waits for the others is alive, and not ready.
    let mut first = start(0);
    for (name, status) in [("startupProbe", 200), ("livenessProbe", 200), ("readinessProbe", 503)] {
        first.until(name, PATIENCE, |_| probe(0, name) == Some(status));
    }
    let mut all = vec![first];
    all.extend((1..pods.len()).map(start));
    for (pod, one) in all.iter_mut().enumerate() {
        one.until("it is ready", PATIENCE, |_| probe(pod, "readinessProbe") == Some(200));
        assert_eq!(probe(pod, "livenessProbe"), Some(200));
    }
    let names = bucket.names();
    assert!(names.iter().any(|name| name.starts_with(&format!("{prefix}/manifest/"))), "{names:?}");
    let zero = all.remove(0);
    zero.terminate();
    zero.ended(PATIENCE).well();
    all.into_iter().for_each(|one| drop(one.ended(PATIENCE).well()));
    for pod in &pods[1..] {
        assert_eq!(files(&at(pod)), Vec::<PathBuf>::new(), "the volume of {pod}");
    }
}

#[test]
fn prometheus_takes_the_rules() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/minutely.rules.yml");
    let Ok(output) = Command::new("promtool").args(["check", "rules"]).arg(&rules).output() else {
        println!("LEFT OUT: deploy/prometheus by promtool (tool promtool)");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Each metric is one that the program has.
    let known = ["docs/http.md", "docs/verify.md"]
        .map(|page| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap());
    let text = std::fs::read_to_string(&rules).unwrap();
    let of_lines = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let names = of_lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let names: Vec<_> = names.filter(|word| word.starts_with("minutely_")).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(known.iter().any(|page| page.contains(name)), "no page has {name}");
    }
}

/// Archive, package and crates hold what people install, and the same commit gives the same bytes.
#[test]
fn a_release_has_what_people_install() {
    let is_there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !["dpkg-deb", "objdump", "git"].into_iter().all(is_there) || !root.join(".git").exists() {
        println!("LEFT OUT: a release (tool dpkg-deb, binutils or a checkout of git)");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let out = home.path().join(name);
        let mut release = Command::new(root.join("release"));
        release.args(["--dirty", "--program", env!("CARGO_BIN_EXE_minutely"), "--out"]).arg(&out);
        let output = release.env_remove("CARGO_TARGET_DIR").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    };
    let run = |tool: &str, args: &[&str], folder: &Path| {
        let output = Command::new(tool).args(args).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, two) = (made("one"), made("two"));
    let sums = |out: &Path| std::fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&one), sums(&two));
    run("sha256sum", &["--check", "--strict", "SHA256SUMS"], &one);
    let names: Vec<_> = sums(&one).lines().map(|line| line.split("  ").nth(1).unwrap().to_owned()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let version = env!("CARGO_PKG_VERSION");
    let named = |end: &str| names.iter().find(|name| name.ends_with(end)).unwrap_or_else(|| panic!("{end}: {names:?}"));

    run("tar", &["-xzf", named(".tar.gz")], &one);
    let tree = one.join(format!("minutely-{version}"));
    assert_eq!(run("./minutely", &["--version"], &tree).trim(), format!("minutely {version}"));
    for file in
        ["LICENSE", "man/minutely.1", "man/minutely-verify.1", "completions/minutely.bash", "deploy/minutely.toml"]
    {
        assert!(tree.join(file).exists(), "{file}");
    }
    run("dpkg-deb", &["-x", named(".deb"), "root"], &one);
    run("dpkg-deb", &["-e", named(".deb"), "control"], &one);
    let installed = one.join("root");
    assert_eq!(run("usr/bin/minutely", &["--version"], &installed).trim(), format!("minutely {version}"));
    let toml = "etc/minutely/minutely.toml";
    run("usr/bin/minutely", &["config", "show", "--config", toml], &installed);
    let control = std::fs::read_to_string(one.join("control/control")).unwrap();
    assert!(control.contains(&format!("\nVersion: {version}\n")) && control.contains("libc6 (>= 2."), "{control}");
    for unit in units() {
        let there = installed.join("lib/systemd/system").join(unit.file_name().unwrap());
        assert_eq!(std::fs::read(there).unwrap(), std::fs::read(&unit).unwrap(), "{}", unit.display());
    }
    for script in ["postinst", "prerm", "postrm"] {
        run("sh", &["-n", script], &one.join("control"));
    }
    assert!(
        named(&format!("minutely-{version}.crate")).starts_with("minutely")
            && names.iter().any(|n| n.contains("dataflows"))
    );
}
