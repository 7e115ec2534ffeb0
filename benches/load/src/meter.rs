//! Two looks at the clocks, one before and one after: what passed, and who worked meanwhile.

use std::time::{Duration, Instant};

use crate::fault::Result;
use crate::process::{self, Usage};

/// A stretch of time that is being measured.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Option<u32>,
    began: Instant,
    server: Usage,
    own: Usage,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) time: Duration,
    /// The server's, if its process is known.
    pub(crate) server: Option<Usage>,
    /// The load generator's.
    pub(crate) own: Usage,
}

impl Meter {
    /// Begin.
    pub(crate) fn begin(pid: Option<u32>) -> Result<Self> {
        let server = pid.map(process::usage).transpose()?.unwrap_or_default();
        let own = process::usage(std::process::id())?;
        Ok(Self { pid, began: Instant::now(), server, own })
    }

    /// Since it began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// End.
    pub(crate) fn end(self) -> Result<Measured> {
        let time = self.began.elapsed();
        let own = process::usage(std::process::id())?.since(self.own);
        let server = self.pid.map(process::usage).transpose()?.map(|now| now.since(self.server));
        Ok(Measured { time, server, own })
    }
}

impl std::ops::AddAssign for Measured {
    fn add_assign(&mut self, other: Self) {
        let add = |one: Usage, two: Usage| Usage { cpu: one.cpu + two.cpu, waited: one.waited + two.waited };
        self.time += other.time;
        self.own = add(self.own, other.own);
        self.server = match (self.server, other.server) {
            (Some(one), Some(two)) => Some(add(one, two)),
            (one, two) => one.or(two),
        };
    }
}
