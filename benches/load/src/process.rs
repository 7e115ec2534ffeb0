//! What the kernel knows of a process and its children: CPU time and memory, from /proc.

use std::fs;
use std::io;
use std::time::Duration;

/// What the scheduler has given a process and its children, over all threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// On a CPU.
    pub(crate) cpu: Duration,
    /// Ready to run, while others had the CPU: a machine that does something else too spoils figures.
    pub(crate) waited: Duration,
}

impl Usage {
    /// What was used since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        // Threads that have ended meanwhile take their time with them.
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), waited: self.waited.saturating_sub(earlier.waited) }
    }
}

/// Usage of all threads of a process and of its children, in the kernel's nanoseconds.
pub(crate) fn usage(pid: u32) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for pid in tree(pid)? {
        for task in tasks(pid).unwrap_or_default() {
            // A thread may end meanwhile.
            let Ok(line) = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")) else { continue };
            let mut fields = line.split(' ').map(|field| Duration::from_nanos(field.parse().unwrap_or(0)));
            usage.cpu += fields.next().unwrap_or_default();
            usage.waited += fields.next().unwrap_or_default();
        }
    }
    Ok(usage)
}

/// Resident memory of a process and its children, in bytes.
pub(crate) fn rss(pid: u32) -> io::Result<u64> {
    let mut kibibytes = 0;
    for pid in tree(pid)? {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        kibibytes += line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|count| count.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(kibibytes * 1024)
}

fn tree(root: u32) -> io::Result<Vec<u32>> {
    let mut found = vec![root];
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let tasks = match tasks(pid) {
            Err(error) if pid == root => return Err(error),
            other => other.unwrap_or_default(),
        };
        for task in tasks {
            let children =
                fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok());
            for child in children {
                found.push(child);
                waiting.push(child);
            }
        }
    }
    Ok(found)
}

fn tasks(pid: u32) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|error| io::Error::new(error.kind(), format!("no process {pid}: {error}")))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_with_its_parent() {
        let own = std::process::id();
        let before = rss(own).unwrap();
        assert!(before > 0);
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let found = tree(own).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()));
    }

    #[test]
    fn work_is_seen() {
        let before = usage(std::process::id()).unwrap();
        let end = std::time::Instant::now() + Duration::from_millis(50);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        assert!(usage(std::process::id()).unwrap().since(before).cpu > Duration::from_millis(1));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        assert!(usage(u32::MAX).unwrap_err().to_string().starts_with("no process 4294967295"));
    }
}
