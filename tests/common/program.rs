//! The program as a child process: killed when dropped, its words kept.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take that has no deadline of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A run.
pub(crate) struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
}

/// The program, with nothing of the test's environment that it would read.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minutely"));
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("MINUTELY_") || ours.starts_with("INFLUX") || ours == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command
}

/// A line of stderr without its time. A line that has none is whole, and looks like no message.
pub(crate) fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.len() == 24 && time.parse::<jiff::Timestamp>().is_ok() => rest,
        _ => line,
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: by a signal.
    pub(crate) code: Option<i32>,
    /// All of stderr, without times.
    pub(crate) said: String,
}

impl Ended {
    /// With 0, or the test ends.
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.said);
        self
    }

    /// Refused: with this code, and one paragraph that has all of these parts. There may be warnings before it.
    pub(crate) fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        let lines: Vec<&str> = self.said.lines().filter(|line| !line.starts_with("minutely: warning: ")).collect();
        assert_eq!(lines.len(), 1, "one paragraph: {}", self.said);
        let why = lines[0].strip_prefix("minutely: ").expect("minutely says it");
        assert!(!why.ends_with('.'), "{why}");
        parts.iter().for_each(|part| assert!(why.contains(part), "`{part}` is not in: {why}"));
    }

    /// With 78, and this is why.
    pub(crate) fn is_fenced(&self, why: &str) {
        assert_eq!(self.code, Some(78), "{}", self.said);
        assert!(self.said.contains(why), "`{why}` is not in: {}", self.said);
    }

    /// The number of the last line that stands in front of this word.
    pub(crate) fn done(&self, what: &str) -> i64 {
        numbers(self.last_line(), what)[0]
    }

    /// Records in windows held and in windows forgotten, as the last line has it.
    pub(crate) fn kept(&self) -> i64 {
        numbers(self.last_line(), "in").iter().sum()
    }

    fn last_line(&self) -> &str {
        let line = self.said.lines().find(|line| line.starts_with("minutely: done: "));
        line.unwrap_or_else(|| panic!("no last line: {}", self.said))
    }
}

/// The numbers in front of each of this word; at least one.
fn numbers(line: &str, what: &str) -> Vec<i64> {
    let words: Vec<&str> = line.split([' ', ';', ',']).filter(|word| !word.is_empty()).collect();
    let is = |word: &str| word == what || what.strip_suffix('s') == Some(word);
    let found = words.windows(2).filter(|pair| is(pair[1]));
    let numbers: Vec<i64> =
        found.map(|pair| pair[0].parse().unwrap_or_else(|e| panic!("{e}: {pair:?}: {line}"))).collect();
    assert!(!numbers.is_empty(), "`{what}` is not in: {line}");
    numbers
}

/// Where a run says that it serves, as `host:port`.
pub(crate) fn address(said: &str) -> Option<String> {
    Some(said.split_once("live at http://")?.1.split_once('/')?.0.to_owned())
}

impl Program {
    /// Starts it with the folder for its data, nothing of the test's environment that it would read, and these
    /// variables. It writes the status line, as on a terminal.
    pub(crate) fn start(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.envs(env.iter().copied()).args(args).arg("--progress").arg("--data").arg(data);
        // Many run at once, and few are asked anything.
        if !args.contains(&"--http") {
            command.args(["--http", "none"]);
        }
        Self::spawn(command)
    }

    /// Starts this file of the program after these words, as `ip netns exec HOST`.
    pub(crate) fn on(words: &[&str], program: &Path, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(program).args(args).args(["--progress", "--http", "none", "--data"]).arg(data);
        for (name, _removed) in self::command().get_envs() {
            command.env_remove(name);
        }
        command.envs(env.iter().copied());
        Self::spawn(command)
    }

    /// `minutely produce`, to its end.
    pub(crate) fn produce(args: &[&str]) -> Ended {
        Self::producing(args, &[]).ended(PATIENCE)
    }

    /// Starts `minutely produce`.
    pub(crate) fn producing(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.envs(env.iter().copied()).arg("produce").args(args);
        Self::spawn(command)
    }

    /// Starts it with no more than this many open files, of which it may have no more.
    pub(crate) fn with_open_files(most: u32, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::after(&format!("ulimit -n {most}"), data, args, env)
    }

    /// Starts it as `nohup` does.
    pub(crate) fn without_hangup(data: &Path, args: &[&str]) -> Self {
        Self::after("trap '' HUP", data, args, &[])
    }

    /// Starts it after this command of a shell.
    fn after(first: &str, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("{first} && exec \"$0\" \"$@\"")]);
        let plain = command();
        limited.arg(plain.get_program()).args(args).arg("--progress").arg("--data").arg(data);
        for (name, _removed) in plain.get_envs() {
            limited.env_remove(name);
        }
        limited.envs(env.iter().copied());
        Self::spawn(limited)
    }

    /// Starts this command.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let listener = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap();
                heard.push_str(without_time(&line));
                heard.push('\n');
            }
        });
        Program { child, said, listener: Some(listener) }
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
        Self::start(data, args, env).ended(PATIENCE)
    }

    /// Does it run no more?
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The last of it, for messages.
    pub(crate) fn end_of_said(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.listener.take().expect("ended once").join().unwrap();
                return Ended { code: status.code(), said: self.said() };
            }
            assert!(Instant::now() < deadline, "still running after {patience:?}: {}", self.end_of_said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it is so; it must still be running then.
    pub(crate) fn until(&mut self, what: &str, patience: Duration, mut so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !so(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: ended with {ended:?}: {}", self.end_of_said());
            assert!(Instant::now() < deadline, "{what}: not so after {patience:?}: {}", self.end_of_said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it serves, as `host:port`; it must have been told to.
    pub(crate) fn address(&self) -> String {
        super::poll("it serves", PATIENCE, || address(&self.said()))
    }

    /// What it answers at this path: the status and the text.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address());
        super::wait_for(async {
            let answer = reqwest::get(url).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// The last line that it says once a second, if there is one.
    pub(crate) fn live(&self) -> Option<String> {
        self.said().lines().rev().find(|line| line.contains(" | ledger: ")).map(str::to_owned)
    }

    /// How many records count, as it last said.
    pub(crate) fn counted(&self) -> i64 {
        self.live().map_or(0, |line| numbers(&line, "counted")[0])
    }

    /// How many records are read, in whatever class, as it last said.
    pub(crate) fn read(&self) -> i64 {
        let classes = ["counted", "late", "rejected", "quarantined"];
        self.live().map_or(0, |line| classes.iter().map(|what| numbers(&line, what)[0]).sum())
    }

    /// W in RFC 3339, as it last said, to the second; compares as text. Empty if there is none yet.
    pub(crate) fn w(&self) -> String {
        let live = self.live().unwrap_or_default();
        let w = live.split(" | W ").nth(1).unwrap_or_default();
        w.split([',', ' '])
            .next()
            .filter(|w| w.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or_default()
            .to_owned()
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by name (`TERM`).
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGTERM, and 0 within ten seconds.
    pub(crate) fn stopped(self) -> Ended {
        self.terminate();
        self.ended(Duration::from_secs(10)).well()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// All files below a folder, relative to it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
