//! What `--http` serves, asked by hand.

use super::program::{PATIENCE, Program};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// A run that serves on a port of its own.
pub(crate) fn serving(data: &Path, args: &[&str], env: &[(&str, &str)]) -> (Program, String) {
    let mut args = args.to_vec();
    if !args.contains(&"--http") {
        args.extend(["--http", "127.0.0.1:0"]);
    }
    let program = Program::start(data, &args, env);
    let at = program.address();
    (program, at)
}

/// An answer; its head in lower case.
#[derive(Debug)]
pub(crate) struct EndAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// HTTP 1.0, so that the answer ends with the connection. A header replaces the default of its name.
pub(crate) fn ask(address: &str, first: &str, headers: &[&str]) -> EndAnswer {
    try_ask(address, first, headers).unwrap()
}

/// The same, where the connection may be given up: by a server that many others ask.
///
/// # Errors
/// It was.
pub(crate) fn try_ask(address: &str, first: &str, headers: &[&str]) -> std::io::Result<EndAnswer> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut text = format!("{first} HTTP/1.0\r\n");
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        text += &format!("Host: {address}\r\n");
    }
    headers.iter().for_each(|header| text += &format!("{header}\r\n"));
    socket.write_all(format!("{text}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(EndAnswer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// The body of what is answered with 200.
pub(crate) fn get(address: &str, path: &str) -> String {
    let answer = ask(address, &format!("GET {path}"), &[]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// And as JSON.
pub(crate) fn json(address: &str, path: &str) -> Value {
    serde_json::from_str(&get(address, path)).unwrap()
}

/// A JSON integer.
pub(crate) fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no integer"))
}
