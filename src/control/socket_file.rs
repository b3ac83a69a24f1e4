//! The file of a Unix socket that this process listens on, from the first to the last moment.
//!
//! A file that a process left behind is replaced; one behind which a process lives is not.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::binding::Refused;
use super::owner::Owner;

/// The file of a socket, removed when this is dropped if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
    /// Another process has the socket now.
    left: OnceLock<()>,
}

impl SocketFile {
    /// The file at this path, which is that of a socket of this process.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: identity(path)?,
            left: OnceLock::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to another process, which has the socket.
    pub fn leave(&self) {
        let _ = self.left.set(());
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have taken the path over.
        if self.left.get().is_none() && identity(&self.path).ok() == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device, inode, and when that was changed, because numbers of inodes are used again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::symlink_metadata(path)?;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Ok((metadata.dev(), metadata.ino(), changed.0, changed.1))
}

/// Binds a new stream socket to `path`, in the place of one that an ended process left there. Its file has this
/// mode, less the bits of the umask.
///
/// # Errors
///
/// `AddrInUse`: another socket listens there; a file that is no socket; and those of bind(2).
pub fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    make_way(path)?;
    let address = SockAddr::unix(path).map_err(|_| {
        io::Error::other("the path is too long for a socket: at most 107 bytes are possible")
    })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // The kernel makes the file with the mode of the socket: another file could be at the path later.
    rustix::fs::fchmod(&socket, mode.into())?;
    socket.bind(&address)?;
    Ok(socket)
}

/// A handle on the file at `path`, if it is a socket: whoever may write to the folder can replace it.
///
/// # Errors
///
/// It is none.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::Socket => Ok(file),
        _ => Err(Errno::NOTSOCK.into()),
    }
}

/// Changes the mode of the file behind such a handle, whatever is at its path by now (proc(5)).
///
/// # Errors
///
/// It belongs to another user.
pub fn set_mode(file: &OwnedFd, mode: u32) -> io::Result<()> {
    let file = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::chmod(file, mode.into())?)
}

/// Removes what an ended process left there.
///
/// # Errors
///
/// `AddrInUse`: another socket listens there; a file that is no socket.
fn make_way(path: &Path) -> io::Result<()> {
    match check_free(path)? {
        true => fs::remove_file(path),
        false => Ok(()),
    }
}

/// Whether the file of an ended process is in the way at a path at which nobody listens.
///
/// # Errors
///
/// As for [`bind`].
pub fn check_free(path: &Path) -> io::Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(_) => return Ok(false),
    };
    if !metadata.file_type().is_socket() {
        let why = "there is a file which is not a socket: move it, or name another path";
        return Err(io::Error::other(why));
    }
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A process whose queue is full is not waited for.
    socket.set_nonblocking(true)?;
    match socket
        .connect(&address)
        .map_err(|error| (error.kind(), error))
    {
        Ok(()) | Err((ErrorKind::WouldBlock, _)) => Err(ErrorKind::AddrInUse.into()),
        Err((ErrorKind::ConnectionRefused, _)) => Ok(true),
        Err((ErrorKind::NotFound, _)) => Ok(false),
        Err((_, error)) => Err(error),
    }
}

/// A sentence that says why there can be no socket at a path, and what to do.
pub fn refusal(path: &Path, refused: &Refused) -> String {
    let folder = path.parent().unwrap_or(Path::new("/")).display();
    let error = &refused.error;
    match error.kind() {
        ErrorKind::NotFound => {
            format!("there is no folder {folder}: make it (`mkdir -p {folder}`)")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "this user may not make a file in {folder}: give it the folder, or name another"
            )
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("{folder} can't be written to: mount a tmpfs there, or name another path")
        }
        ErrorKind::AddrInUse if refused.owner.as_ref().is_some_and(Owner::is_self) => {
            "this process listens there already, by another path that leads to the same file: name another"
                .to_owned()
        }
        ErrorKind::AddrInUse => {
            let owner = refused.owner.as_ref().map(|owner| format!(": {owner}"));
            let owner = owner.unwrap_or_default();
            format!("another process listens there{owner}; stop it, or name another path")
        }
        _ => error.to_string(),
    }
}
