//! What the numbers were measured on.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Cores, processor, kernel, memory and the file system of a folder, in one line.
pub(crate) fn describe(folder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = value_of("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    format!(
        "{cores} cores, {processor}; {memory} of memory; Linux {}; data on {} ({})",
        kernel.trim(),
        file_system(folder),
        folder.display()
    )
}

/// The type of the file system that holds `folder`, such as `ext4`.
pub(crate) fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    file_system_of(&mounts, &real).unwrap_or("unknown").to_owned()
}

fn file_system_of<'m>(mounts: &'m str, folder: &Path) -> Option<&'m str> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(place, _)| folder.starts_with(place))
        // The longest place is the innermost; of two mounts on one place the later one shows.
        .max_by_key(|(place, _)| place.len())
        .map(|(_, kind)| kind)
}

/// Resident memory of a process in KiB, as the kernel counts it (`VmRSS` of proc(5)).
pub(crate) fn resident_kib(process: u32) -> Option<u64> {
    let value = value_of(&format!("/proc/{process}/status"), "VmRSS")?;
    value.split_whitespace().next()?.parse().ok()
}

fn value_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

/// Has everything written that waits in memory: what was made before a load must not be written
/// during it.
pub(crate) fn settle() -> Result<()> {
    ensure!(Command::new("sync").status().context("sync")?.success(), "sync failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/deep xfs rw 0 0\n";
        for (folder, kind) in
            [("/var/tmp", "ext4"), ("/tmp/x", "tmpfs"), ("/tmp/deep/x", "xfs"), ("/tmpx", "ext4")]
        {
            assert_eq!(file_system_of(mounts, Path::new(folder)), Some(kind), "{folder}");
        }
        assert_eq!(file_system_of("", Path::new("/")), None);
    }

    #[test]
    fn this_process_has_memory_and_a_description() {
        assert!(resident_kib(std::process::id()).unwrap() > 100);
        assert!(describe(Path::new("/")).contains("cores"));
    }
}
