//! What to do about a server that refuses our writes, in words.

use super::client::brief;
use super::target::{Access, Destination, InfluxTarget};

/// What to do about a server that refuses our writes. `via`: the proxy that is used, in words.
pub(super) fn advice(target: &InfluxTarget, status: u16, text: &str, via: &str) -> String {
    let said = format!("({status}: {}){via}", brief(text));
    let destination = match &target.destination {
        Destination::Bucket { bucket, .. } => format!("bucket `{bucket}`"),
        Destination::Database(database) => format!("database `{database}`"),
    };
    let path = match target.base.path() {
        "/" => String::new(),
        path => format!(" (`{path}` of the address is taken for the path of a proxy)"),
    };
    match (status, &target.access, &target.destination) {
        (401, Access::Token(token), _) => format!("the server does not know the token {said}; set {}", token.from),
        (401, Access::User { name, password }, _) => {
            format!("the server does not know user `{name}` with this password {said}; set {}", password.from)
        }
        (401 | 403, Access::Open, _) => {
            format!("the server wants to know who writes {said}; give ?user=NAME and a password, or ?token_env=NAME")
        }
        (403, Access::Token(token), _) => {
            format!("the token may not write to {destination} {said}; set {} to one that may", token.from)
        }
        (403, Access::User { name, .. }, _) => {
            format!("user `{name}` may not write to {destination} {said}; grant WRITE on it")
        }
        (404, _, Destination::Bucket { org, .. }) => format!(
            "the server does not find organization `{org}` or {destination} {said}; create the bucket or correct the names{path}"
        ),
        (404, _, Destination::Database(_)) => format!(
            "the server does not find {destination} {said}; create it, or correct the name (on an InfluxDB 2, a bucket of that \
             name or a DBRP mapping to one){path}"
        ),
        (_, _, Destination::Bucket { .. }) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 2?{path}")
        }
        (_, _, Destination::Database(_)) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 1?{path}")
        }
    }
}
