//! What `deploy/` has: systemd takes the units, Kubernetes' schemas the manifest, Prometheus the rules, and the commands in them do what they
//! are for; and what `./release` makes of it.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
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

/// The manifest for Kubernetes, by the schemas of its API.
#[test]
fn kubernetes_takes_the_manifest() {
    let Some(folder) = common::needs("deploy/kubernetes by its schemas", "MINUTELY_TEST_KUBERNETES") else { return };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/minutely.yaml");
    let output = Command::new("python3")
        .env("PYTHONPATH", &folder)
        .args(["-m", "kubernetes_validate", "--strict"])
        .arg(&manifest)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.matches(" passed ").count() == 3, "{said}");
    // Its options are options of the program.
    let text = std::fs::read_to_string(&manifest).unwrap();
    let options = text.split("minutely.toml: |\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("    "));
    let home = tempfile::tempdir().unwrap();
    let toml = home.path().join("minutely.toml");
    std::fs::write(&toml, options.map(|line| format!("{}\n", line.trim())).collect::<String>()).unwrap();
    let mut shown = command();
    for name in ["MINUTELY_HTTP", "MINUTELY_HTTP_PUBLIC"] {
        let value = text.split(&format!("name: {name}, value: \"")).nth(1).unwrap().split('"').next().unwrap();
        shown.env(name, value);
    }
    shown.env("MINUTELY_HTTP_TOKEN", "0123456789abcdef0123").env("INFLUX_TOKEN", "t");
    let output = shown.args(["config", "show", "--config"]).arg(&toml).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
