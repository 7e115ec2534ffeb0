//! What the kernel knows of a process and its children: CPU time and memory, from /proc.

use std::fs;
use std::io;
use std::time::Duration;

/// CPU time of all threads of a process and of its children, in the kernel's nanoseconds.
pub(crate) fn cpu(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for pid in tree(pid)? {
        for task in tasks(pid)? {
            // A thread may end meanwhile.
            let Ok(line) = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")) else { continue };
            nanoseconds += line.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
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
