//! Explains minutes to the page while the run goes on: by the state as it is on disk, with readers of its own.

use crate::cli::AskedTime;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::explain::{self, ExplainError, ExplainPlan};
use crate::http;
use crate::verify::{self, AskedMinutes};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory for records that a reader has fetched, in bytes, at most.
const FETCH_MEMORY: u64 = 64_000_000;

/// See the module.
struct LogExplainer {
    config: Config,
    clock: SystemClock,
}

/// What explains the minutes of a run; or why nothing does.
pub(super) fn explainer(config: &Config, clock: SystemClock) -> Result<Arc<dyn http::Explainer>, &'static str> {
    if config.state.is_none() {
        return Err(
            "this run keeps no state, so nothing says where in the log the minute is: start it without --state none",
        );
    }
    let fetch_memory = config.fetch_memory.min(FETCH_MEMORY);
    let config = Config { http: None, fetch_memory, ..config.clone() };
    Ok(Arc::new(LogExplainer { config, clock }))
}

impl http::Explainer for LogExplainer {
    fn digests(
        &self,
        from: Option<EventTime>,
        to: Option<EventTime>,
        most: usize,
    ) -> Result<String, http::ExplainRefusal> {
        let digests = verify::digests_json(&self.config, AskedMinutes::between(from, to), most);
        digests.map_err(|why| http::ExplainRefusal::Unavailable(why.to_string()))
    }

    fn explain(&self, symbol: &str, time: EventTime, stop: &AtomicBool) -> Result<String, http::ExplainRefusal> {
        let plan = ExplainPlan { symbol: symbol.to_owned(), time: AskedTime::At(time), records: false, json: true };
        let mut watch = |_| match stop.load(Ordering::Acquire) {
            true => Err(Halt::new(HaltKind::Unreachable, "the answer is not waited for any more")),
            false => Ok(()),
        };
        match explain::answer(&mut self.config.clone(), &plan, self.clock, &mut watch) {
            Ok(explained) => Ok(explain::json(&explained)),
            Err(why @ ExplainError::UnknownSymbol { .. }) => Err(http::ExplainRefusal::Unknown(why.to_string())),
            Err(why) => Err(http::ExplainRefusal::Unavailable(why.to_string())),
        }
    }
}
