//! What a process says of itself once the other has proven the key, and whether two of them belong to one start of one run.

use super::error::ClusterError;
use super::options::CommonOptions;
use serde::{Deserialize, Serialize};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    /// The workers' messages.
    Data,
    /// Heartbeats.
    Heartbeat,
}

impl Channel {
    pub(super) const ALL: [Channel; 2] = [Channel::Data, Channel::Heartbeat];
}

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// As the caller says it; what the called process says of it does not count.
    pub(super) channel: Channel,
    pub(super) job: String,
    /// Of the state: what process 0 has published, and what the others found when they started. 0: no state is kept.
    pub(super) generation: u64,
    /// Which start of the process this is: a later one has a greater number.
    pub(super) start: u64,
    pub(super) process: usize,
    pub(super) processes: usize,
    pub(super) workers: usize,
    pub(super) options: CommonOptions,
}

/// Whether a connection counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HelloVerdict {
    Accepted,
    /// The other process is of an earlier start: why.
    Earlier(String),
}

impl Hello {
    /// Does the other process belong to the run? `expected`: the process number that the list gives to that address. `newest`: the
    /// start of that process that is connected now.
    ///
    /// # Errors
    /// It was started otherwise, or has seen a later process 0: this process cannot go on.
    pub(super) fn judge(
        &self,
        other: &Hello,
        address: &str,
        expected: Option<usize>,
        newest: Option<u64>,
    ) -> Result<HelloVerdict, ClusterError> {
        if let Some(differs) = self.differs(other, expected) {
            return Err(ClusterError::OtherOptions { address: address.to_owned(), differs });
        }
        // Others found the state when they started, at any time before or after process 0 did: they say nothing of each other.
        if self.process == 0 && other.generation > self.generation {
            let (found, own) = (other.generation, self.generation);
            return Err(ClusterError::Superseded { address: address.to_owned(), found, own });
        }
        if other.process == 0 && other.generation < self.generation {
            let (theirs, own) = (other.generation, self.generation);
            return Ok(HelloVerdict::Earlier(format!("it has generation {theirs} of the state, and {own} is there")));
        }
        match newest {
            Some(newest) if other.start < newest => {
                Ok(HelloVerdict::Earlier(format!("process {} was started again after it", other.process)))
            }
            _ => Ok(HelloVerdict::Accepted),
        }
    }

    fn differs(&self, other: &Hello, expected: Option<usize>) -> Option<String> {
        if other.processes != self.processes {
            Some(format!("-n {} (here {})", other.processes, self.processes))
        } else if other.workers != self.workers {
            Some(format!("-w {} (here {})", other.workers, self.workers))
        } else if other.process == self.process {
            Some(format!("-p {} as well", other.process))
        } else if other.process >= self.processes {
            Some(format!("-p {}", other.process))
        } else if let Some(expected) = expected.filter(|expected| *expected != other.process) {
            Some(format!("-p {} (by -h here it is {expected})", other.process))
        } else if other.job != self.job {
            let (theirs, own) = (&other.job, &self.job);
            Some(format!("job {theirs} (here {own}: another --job, or another option that the job is named by)"))
        } else {
            self.options.differs(&other.options)
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::super::options::testing::options;
    use super::*;

    pub(in super::super) fn hello(process: usize) -> Hello {
        Hello {
            channel: Channel::Data,
            job: "ticks".into(),
            generation: 7,
            start: 1000,
            process,
            processes: 3,
            workers: 2,
            options: options(&[("--lateness", "10m")], "all settings"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::testing::options;
    use super::testing::hello;
    use super::*;

    #[test]
    fn processes_of_one_start_accept_one_another() {
        assert_eq!(hello(0).judge(&hello(1), "a:1", None, None).unwrap(), HelloVerdict::Accepted);
        assert_eq!(hello(2).judge(&hello(0), "a:1", Some(0), Some(1000)).unwrap(), HelloVerdict::Accepted);
        let text = serde_json::to_string(&hello(1)).unwrap();
        assert_eq!(serde_json::from_str::<Hello>(&text).unwrap(), hello(1));
    }

    #[test]
    fn each_difference_is_named() {
        let of = |other: Hello, expected| hello(0).judge(&other, "a:1", expected, None).unwrap_err().to_string();
        for (other, expected, part) in [
            (Hello { processes: 2, ..hello(1) }, None, "-n 2 (here 3)"),
            (Hello { workers: 1, ..hello(1) }, None, "-w 1 (here 2)"),
            (hello(0), None, "-p 0 as well"),
            (hello(3), None, "-p 3"),
            (hello(1), Some(2), "-p 1 (by -h here it is 2)"),
            (Hello { job: "other".into(), ..hello(1) }, None, "job other (here ticks"),
            (
                Hello { options: options(&[("--lateness", "5m")], "others"), ..hello(1) },
                None,
                "with --lateness 5m (here 10m): processes",
            ),
        ] {
            let said = of(other, expected);
            assert!(said.contains("a:1") && said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_process_of_an_earlier_start_does_not_take_the_place_of_a_later_one() {
        let earlier = |own: Hello, other: Hello, newest| {
            matches!(own.judge(&other, "a:1", None, newest), Ok(HelloVerdict::Earlier(_)))
        };
        assert!(earlier(hello(0), Hello { start: 999, ..hello(1) }, Some(1000)));
        assert!(!earlier(hello(0), Hello { start: 1001, ..hello(1) }, Some(1000)));
        // A process 0 that another has replaced is refused by those who know, and ends itself.
        let replaced = Hello { generation: 6, ..hello(0) };
        assert!(earlier(hello(1), replaced.clone(), None));
        let said = replaced.judge(&hello(1), "a:1", None, None).unwrap_err();
        assert!(matches!(said, ClusterError::Superseded { found: 7, own: 6, .. }), "{said}");
        // Those who started before process 0 has published find an older one.
        assert!(!earlier(hello(0), Hello { generation: 5, ..hello(1) }, None));
        assert!(!earlier(hello(1), Hello { generation: 5, ..hello(2) }, None));
    }
}
