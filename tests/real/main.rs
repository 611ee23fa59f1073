//! The whole program on real servers: what comes out equals the oracle over the log as a plain consumer finds it.
//! `./test` starts the servers and names them; without them these tests say that they are left out.

#![allow(clippy::unwrap_used, reason = "tests panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../dataflows/tests/hostile/mod.rs"]
mod hostile;
#[allow(dead_code, reason = "tests of the program itself use the rest")]
#[path = "../../src/produce/feeds/tests/scripted.rs"]
mod scripted;

mod amended;
mod away;
mod bad_use;
mod buckets;
mod changed;
mod compacted;
mod corrected;
mod day;
mod expired;
mod explained;
mod feeds;
mod hostile_logs;
mod hosts;
mod idle;
mod influx1;
mod killed;
mod live;
mod nightly;
mod oauth;
mod owners;
mod page;
mod processes;
mod produced;
mod rabbitmq;
mod repaired;
mod schemas;
mod secure;
mod source_health;
mod starts;
mod told;
mod transactions;
mod two_million;
mod verified;
mod zombie;
