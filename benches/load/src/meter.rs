//! Two looks at the clocks, one before and one after: what passed, and who worked meanwhile.

use std::time::{Duration, Instant};

use crate::fault::Result;
use crate::process;

/// A stretch of time that is being measured.
#[derive(Debug)]
pub(crate) struct Meter {
    server: Option<u32>,
    began: Instant,
    server_cpu: Duration,
    own_cpu: Duration,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) time: Duration,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) own_cpu: Duration,
}

impl Meter {
    /// Begin; without a server only the time counts.
    pub(crate) fn begin(server: Option<u32>) -> Result<Self> {
        let server_cpu = server.map(process::cpu).transpose()?.unwrap_or_default();
        let own_cpu = process::cpu(std::process::id())?;
        Ok(Self { server, began: Instant::now(), server_cpu, own_cpu })
    }

    /// Since it began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// End.
    pub(crate) fn end(self) -> Result<Measured> {
        let time = self.began.elapsed();
        let own_cpu = process::cpu(std::process::id())?.saturating_sub(self.own_cpu);
        let server_cpu = self.server.map(process::cpu).transpose()?;
        let server_cpu = server_cpu.map(|now| now.saturating_sub(self.server_cpu));
        Ok(Measured { time, server_cpu, own_cpu })
    }
}

impl std::ops::AddAssign for Measured {
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.own_cpu += other.own_cpu;
        self.server_cpu = match (self.server_cpu, other.server_cpu) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
    }
}
