//! A terminal of our own, and what a program shows on it.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

/// Both ends of a terminal: who looks at it, and what is shown on it.
pub(crate) fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    (File::from(master), OpenOptions::new().read(true).write(true).open(name).unwrap())
}

/// All that a program that ends with 0 shows on a terminal as its stderr.
pub(crate) fn shown_on_terminal(mut program: Command) -> String {
    let (mut terminal, shown) = terminal();
    program.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).stderr(shown);
    let mut child = program.spawn().unwrap();
    drop(program); // it has the other end of the terminal, too
    let mut said = Vec::new();
    // Its end is an error here: nobody has the terminal open any more.
    let _end = terminal.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(child.wait().unwrap().success(), "{said}");
    said
}
