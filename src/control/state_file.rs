//! The file of `[global] state_file`: what operators want of servers, over a restart.
//!
//! It is JSON, small, and always whole: written beside its place, synced, and renamed. A thread of
//! its own writes it, so that a slow disk delays nothing else; what comes while it writes is
//! written together. What the entries mean is [`super::overrides`]' concern.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::overrides::Override;

/// The form of the file.
const VERSION: u32 = 1;

/// More than this is no file of ours.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    servers: &'a [Override],
}

#[derive(Deserialize)]
struct Found {
    version: u32,
    servers: Vec<Override>,
}

/// Reads it; without a file there are no entries.
///
/// # Errors
///
/// A sentence: it can't be read, or is broken.
pub fn load(path: &Path) -> Result<Vec<Override>, String> {
    let refused = |why: &dyn std::fmt::Display| {
        format!(
            "state_file {} is not used: {why}; all servers begin as the configuration says",
            path.display()
        )
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(&error)),
    };
    let mut text = Vec::new();
    let read = file.take(BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| refused(&error))?;
    let found: Found = serde_json::from_slice(&text).map_err(|error| refused(&error))?;
    if found.version != VERSION {
        return Err(refused(&format_args!("it has the form {}", found.version)));
    }
    Ok(found.servers)
}

/// What the writer's thread is given: all entries, and whom to tell.
type Job = (Vec<Override>, oneshot::Sender<Result<(), String>>);

/// The way to the writer's thread, which ends when this is dropped.
#[derive(Debug)]
pub struct StateFile {
    jobs: Sender<Job>,
}

impl StateFile {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// No thread could be made.
    pub fn start(path: PathBuf) -> io::Result<Self> {
        let (jobs, received) = unbounded();
        std::thread::Builder::new()
            .name("state-file".to_string())
            .spawn(move || write_all(&path, &received))?;
        Ok(StateFile { jobs })
    }

    /// Writes these entries in place of all earlier ones. The answer comes when they are on disk.
    pub fn save(&self, entries: Vec<Override>) -> oneshot::Receiver<Result<(), String>> {
        let (done, saved) = oneshot::channel();
        // Without a thread, the receiver learns it from the sender that is dropped.
        let _ = self.jobs.send((entries, done));
        saved
    }
}

fn write_all(path: &Path, jobs: &Receiver<Job>) {
    while let Ok((mut entries, done)) = jobs.recv() {
        let mut waiting = vec![done];
        while let Ok((newer, done)) = jobs.try_recv() {
            entries = newer;
            waiting.push(done);
        }
        let saved = write(path, &entries).map_err(|error| {
            format!(
                "state_file {} can't be written: {error}; what was set holds until this process \
                 ends",
                path.display()
            )
        });
        for done in waiting {
            let _ = done.send(saved.clone());
        }
    }
}

fn write(path: &Path, entries: &[Override]) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&Written {
        version: VERSION,
        servers: entries,
    })?;
    text.push(b'\n');
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = put(&beside, &text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    // The name has to survive too.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
