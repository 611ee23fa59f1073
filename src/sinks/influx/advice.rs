//! What to do about a server that does not let us write, in words.

use super::address::{Access, Address, Place};
use super::client::brief;

/// What to do about a server that does not let us write. `via`: the proxy that is between, in words.
pub(super) fn advice(address: &Address, status: u16, text: &str, via: &str) -> String {
    let said = format!("({status}: {}){via}", brief(text));
    let place = match &address.place {
        Place::Bucket { bucket, .. } => format!("bucket `{bucket}`"),
        Place::Database(database) => format!("database `{database}`"),
    };
    let path = match address.base.path() {
        "/" => String::new(),
        path => format!(" (`{path}` of the address is taken for the path of a proxy)"),
    };
    match (status, &address.access, &address.place) {
        (401, Access::Token(token), _) => format!("the server does not know the token {said}; set {}", token.from),
        (401, Access::User { name, password }, _) => {
            format!("the server does not know user `{name}` with this password {said}; set {}", password.from)
        }
        (401 | 403, Access::Open, _) => {
            format!("the server wants to know who writes {said}; give ?user=NAME and a password, or ?token_env=NAME")
        }
        (403, Access::Token(token), _) => {
            format!("the token may not write to {place} {said}; set {} to one that may", token.from)
        }
        (403, Access::User { name, .. }, _) => {
            format!("user `{name}` may not write to {place} {said}; grant WRITE on it")
        }
        (404, _, Place::Bucket { org, .. }) => format!(
            "the server does not find organization `{org}` or {place} {said}; create the bucket or correct the names{path}"
        ),
        (404, _, Place::Database(_)) => format!(
            "the server does not find {place} {said}; create it, or correct the name (on an InfluxDB 2, a bucket of that \
             name or a DBRP mapping to one){path}"
        ),
        (_, _, Place::Bucket { .. }) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 2?{path}")
        }
        (_, _, Place::Database(_)) => {
            format!("unexpected answer to a write {said}; is this the address of an InfluxDB 1?{path}")
        }
    }
}
