//! The world of a run in the embedded profile: one hub, on a file system of limited size that is mounted for it alone.

use super::words;
use crate::process::Running;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::sync::Mutex;
use xtask::services::{Life, Process};

/// How large the disk is: room for a minute's events and more.
const DISK_MIB: u64 = 128;
/// And for each further minute.
const DISK_MIB_A_MINUTE: u64 = 64;

/// A file system in memory that only a process of ours and its children see: it goes when they go, however they end.
pub struct Disk {
    mount: PathBuf,
    holder: Process,
    flags: &'static [&'static str],
}

impl Disk {
    /// Mounts one at a folder. Root needs nothing for it; everybody else needs a kernel that gives users namespaces of their
    /// own.
    pub fn mount(folder: &Path, minutes: u64) -> Result<Self> {
        let mount = folder.join("disk");
        std::fs::create_dir(&mount)?;
        let size = DISK_MIB + DISK_MIB_A_MINUTE * minutes;
        let log = folder.join("disk.log");
        for flags in [&["--mount"][..], &["--mount", "--user"][..]] {
            let mut command = Command::new("unshare");
            command.args(flags).args((flags.len() > 1).then_some("--map-root-user"));
            let script =
                format!("mount -t tmpfs -o size={size}m tmpfs \"$0\" && : > \"$0\"/mounted && exec sleep infinity");
            command.args(["sh", "-c", &script]).arg(&mount);
            let mut disk = Self { mount: mount.clone(), holder: Process::spawn(command, &log, Life::WithUs)?, flags };
            if disk.is_there()? {
                return Ok(disk);
            }
        }
        anyhow::bail!(
            "could not mount a disk of limited size: that takes root, or user namespaces; {} says more. \
             Without `--fault disk-full` it is not needed",
            log.display()
        )
    }

    fn is_there(&mut self) -> Result<bool> {
        let begun = std::time::Instant::now();
        while begun.elapsed() < crate::PATIENCE {
            if self.seen().join("mounted").exists() {
                return Ok(true);
            }
            if self.holder.exited()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(false)
    }

    /// How its files are reached from outside.
    pub fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(self.mount.strip_prefix("/").unwrap_or(&self.mount))
    }

    /// What starts a program that sees it.
    fn enter(&self) -> Vec<String> {
        let mut command = vec!["nsenter".to_owned(), "--target".into(), self.holder.pid().to_string()];
        command.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        if self.flags.len() > 1 {
            command.push("--preserve-credentials".into());
        }
        command.push("--".into());
        command
    }

    fn filler(&self) -> PathBuf {
        self.seen().join("filler")
    }

    /// Leaves no byte free.
    pub fn fill(&self) -> Result<()> {
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", self.filler().display()));
        // It ends with an error: the disk is full.
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().context("could not start `dd`")?;
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    pub fn clear(&self) -> Result<()> {
        match std::fs::remove_file(self.filler()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The hub and its disk.
pub struct Embedded {
    /// The hub.
    pub hub: Mutex<Running>,
    /// Its disk; none where the run does not fill it and it cannot be mounted.
    pub disk: Option<Disk>,
    data: PathBuf,
}

impl Embedded {
    /// Starts it and waits until it is ready.
    pub async fn start(folder: &Path, minutes: u64, fills: bool) -> Result<Self> {
        let disk = match Disk::mount(folder, minutes) {
            Ok(disk) => Some(disk),
            Err(error) if fills => return Err(error),
            Err(_) => None,
        };
        let data = disk.as_ref().map_or(folder, |disk| &disk.mount).join("data");
        let chain = words::chain(false)?;
        let mut hub = Running::new(folder, "hub-0", "confab", |listen, admin| {
            format!(
                // A disk of its own is mounted where only the hub sees it, and so would be a token that it makes there.
                "listen = \"{listen}\"\nadmin = \"{admin}\"\nadmin_token = \"operator of the faults\"\n\
                 data = \"{}\"\ndrain_timeout = \"10s\"\n\
                 [auth]\ninsecure = true\n[limits]\nsend_deadline = \"5s\"\n\
                 [[room]]\nmatch = [\"**\"]\nhot_window = {{ events = 300 }}\n{chain}",
                data.display()
            )
        })?;
        if let Some(disk) = &disk {
            hub.within(disk.enter());
        }
        hub.start().await?;
        Ok(Self { hub: Mutex::new(hub), disk, data })
    }

    /// Ends every fault, and waits until the hub is ready.
    pub async fn heal(&self) -> Result<()> {
        if let Some(disk) = &self.disk {
            disk.clear()?;
        }
        let mut hub = self.hub.lock().await;
        match hub.pid() {
            Some(_) => hub.pause(false)?,
            None => hub.launch()?,
        }
        hub.ready().await
    }

    /// Ends the hub in order and gives its database, copied into a folder that stays.
    pub async fn end(&self, folder: &Path) -> Result<PathBuf> {
        let mut hub = self.hub.lock().await;
        let status = tokio::task::block_in_place(|| hub.stop())?;
        ensure!(status.success(), "the hub ended with {status} when it was told to end");
        let data = self.disk.as_ref().map_or_else(|| self.data.clone(), |disk| disk.seen().join("data"));
        let copy = folder.join("database");
        std::fs::create_dir(&copy)?;
        for file in std::fs::read_dir(&data).with_context(|| format!("could not read {}", data.display()))? {
            let file = file?;
            std::fs::copy(file.path(), copy.join(file.file_name()))?;
        }
        Ok(copy.join("confab.db"))
    }
}
