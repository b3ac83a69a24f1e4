//! The file of `[global] state_file`: what operators want of servers, over a restart.
//!
//! It is JSON, small, and always whole: written beside its place, synced, and renamed. A thread of
//! its own writes it, so that a slow disk delays nothing else; what comes while it writes is
//! written together. What the entries mean is [`super::overrides`]' concern.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::fs::{Access, OFlags};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::added_servers::AddedServer;
use super::operator_state::OperatorState;
use super::override_entry::Override;
use crate::privileges::{self, User};

/// The form of the file.
const VERSION: u32 = 1;

/// More than this is no file of ours.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    servers: &'a [Override],
    #[serde(skip_serializing_if = "<[AddedServer]>::is_empty")]
    added: &'a [AddedServer],
}

#[derive(Deserialize)]
struct Found {
    version: u32,
    servers: Vec<Override>,
    /// Earlier versions did not write it.
    #[serde(default)]
    added: Vec<AddedServer>,
}

/// Why no entries were read. Each has a sentence.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Something else than a file is there: nobody could write it later.
    NoFile(String),
    /// It can't be read, or is broken.
    Unusable(String),
}

/// Reads it; without a file nothing is set.
///
/// # Errors
///
/// See [`Refused`].
pub fn load(path: &Path) -> Result<OperatorState, Refused> {
    let refused = |why: &dyn std::fmt::Display| {
        Refused::Unusable(format!(
            "state_file {} is not used: {why}; all servers begin as the configuration says",
            path.display()
        ))
    };
    let no_file = |kind: FileType| {
        Refused::NoFile(format!(
            "state_file {} is {}: name a regular file, or one that does not exist yet",
            path.display(),
            describe(kind)
        ))
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(no_file(metadata.file_type())),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(OperatorState::default()),
        Err(error) => return Err(refused(&error)),
    }
    let mut options = OpenOptions::new();
    // Whatever has come there since, nothing is followed and nobody is waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits() as i32);
    let file = options.open(path).map_err(|error| refused(&error))?;
    let kind = file
        .metadata()
        .map_err(|error| refused(&error))?
        .file_type();
    if !kind.is_file() {
        return Err(no_file(kind));
    }
    let mut text = Vec::new();
    let read = file.take(BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| refused(&error))?;
    let found: Found = serde_json::from_slice(&text).map_err(|error| refused(&error))?;
    if found.version != VERSION {
        return Err(refused(&format_args!("it has the form {}", found.version)));
    }
    Ok(OperatorState {
        overrides: found.servers,
        added: found.added,
    })
}

/// What the writer's thread is given: all that is set, and whom to tell.
type Job = (OperatorState, oneshot::Sender<Result<(), String>>);

/// The way to the writer's thread, which ends when this is dropped.
#[derive(Debug)]
pub struct StateFile {
    jobs: Sender<Job>,
}

impl StateFile {
    /// Starts the thread as `user`. That one can't write the file is logged.
    ///
    /// # Errors
    ///
    /// No thread could be made, or it could not become `user`.
    pub fn start(path: PathBuf, user: Option<User>) -> io::Result<Self> {
        let (jobs, received) = unbounded();
        privileges::spawn(user, "state-file", move || {
            // The thread that starts this one may write everywhere, if it is one of root.
            if let Err(error) = rustix::fs::access(folder_of(&path), Access::WRITE_OK) {
                log::warn!(
                    "state_file {} can't be written: {error}: give its folder to the user that \
                     this process runs as",
                    path.display()
                );
            }
            write_all(&path, &received);
        })?;
        Ok(StateFile { jobs })
    }

    /// Writes this in place of all earlier entries. The answer comes when it is on disk.
    pub fn save(&self, state: OperatorState) -> oneshot::Receiver<Result<(), String>> {
        let (done, saved) = oneshot::channel();
        // Without a thread, the receiver learns it from the sender that is dropped.
        let _ = self.jobs.send((state, done));
        saved
    }
}

fn write_all(path: &Path, jobs: &Receiver<Job>) {
    while let Ok((mut state, done)) = jobs.recv() {
        let mut waiting = vec![done];
        while let Ok((newer, done)) = jobs.try_recv() {
            state = newer;
            waiting.push(done);
        }
        let saved = write(path, &state).map_err(|error| {
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

fn write(path: &Path, state: &OperatorState) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&Written {
        version: VERSION,
        servers: &state.overrides,
        added: &state.added,
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
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a file of our own: what has been there is removed, and never written to.
fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
    let mut file = match options.open(path) {
        // Perhaps of a process with our number that was killed.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)?
        }
        opened => opened?,
    };
    file.write_all(text)?;
    file.sync_all()
}

fn describe(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
