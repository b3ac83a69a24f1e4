//! The Unix socket of `[admin] socket`: its file, from the first to the last moment.
//!
//! Only the user that the balancer runs as, and root, may use it: its mode is 0600 before anybody
//! can connect. A file that a process left behind is replaced; one behind which a process lives is not.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::control::api::binding::{self, Refused};
use crate::control::api::owner;
use crate::privileges::User;

/// Who may connect: the owner.
const MODE: u32 = 0o600;

/// Length of its accept queue.
const BACKLOG: i32 = 64;

/// The file of a socket, removed when this is dropped if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have taken the path over.
        if identity(&self.path).ok() == Some(self.identity) {
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

/// Opens it, on the current runtime. Its file belongs to `owner`, or to whoever runs this.
///
/// # Errors
///
/// What speaks against it, and the cure.
pub(super) async fn bind(
    path: &Path,
    owner: Option<User>,
) -> Result<(UnixListener, SocketFile), String> {
    let asked = path.to_owned();
    let holder = move || owner::of_path(&asked);
    let opened = binding::open(&path.display(), || open(path, owner), holder).await;
    opened.map_err(|refused| refusal(path, &refused))
}

fn open(path: &Path, owner: Option<User>) -> io::Result<(UnixListener, SocketFile)> {
    make_way(path)?;
    let address = SockAddr::unix(path).map_err(|_| {
        io::Error::other("the path is too long for a socket: at most 107 bytes are possible")
    })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // The kernel makes the file with the mode of the socket: another file could be at the path later.
    rustix::fs::fchmod(&socket, MODE.into())?;
    socket.bind(&address)?;
    if let Some(owner) = owner {
        give(path, owner)?;
    }
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path)?,
    };
    socket.listen(BACKLOG)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok((listener, file))
}

/// Gives the file to its owner, if it is a socket: whoever may write to the folder can replace it.
fn give(path: &Path, owner: User) -> rustix::io::Result<()> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
        return Err(Errno::NOTSOCK);
    }
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::fs::chownat(&file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}

/// Removes what an ended process left there; one that listens is `AddrInUse`.
fn make_way(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(_) => return Ok(()),
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
        Err((ErrorKind::ConnectionRefused, _)) => fs::remove_file(path),
        Err((ErrorKind::NotFound, _)) => Ok(()),
        Err((_, error)) => Err(error),
    }
}

fn refusal(path: &Path, refused: &Refused) -> String {
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
        ErrorKind::AddrInUse => {
            let owner = refused.owner.as_ref().map(|owner| format!(": {owner}"));
            let owner = owner.unwrap_or_default();
            format!("another process listens there{owner}; stop it, or name another path")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("ringway-socket-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn it_is_the_owners_alone_and_goes_with_the_process() {
        let folder = Folder::new("owner");
        let path = folder.0.join("admin.sock");
        let (_listener, file) = bind(&path, None).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let refused = bind(&path, None).await.unwrap_err();
        assert!(refused.contains("another process listens"), "{refused}");
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_process_left_is_replaced_and_what_is_another_s_is_not_removed() {
        let folder = Folder::new("stale");
        let path = folder.0.join("admin.sock");
        let (listener, left) = bind(&path, None).await.unwrap();
        drop(listener);
        let (_listener, file) = bind(&path, None).await.unwrap();
        UnixStream::connect(&path).unwrap();
        drop(left);
        assert!(path.exists(), "it is not that of the first any more");
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_with_a_sentence() {
        let folder = Folder::new("refused");
        let file = folder.0.join("file");
        fs::write(&file, "precious").unwrap();
        let long = folder.0.join("x".repeat(120));
        for (path, why) in [
            (file.as_path(), "not a socket"),
            (long.as_path(), "at most 107 bytes"),
            (Path::new("/nowhere/admin.sock"), "mkdir -p /nowhere"),
        ] {
            let refused = bind(path, None).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
