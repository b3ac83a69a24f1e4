//! The Unix socket of `[admin] socket`: its file, from the first to the last moment.
//!
//! Only the user that the balancer runs as, and root, may use it: its mode is 0600 before anybody
//! can connect. A file that a process left behind is replaced; one behind which a process lives is not.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

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
pub(super) fn bind(path: &Path, owner: Option<User>) -> Result<(UnixListener, SocketFile), String> {
    make_way(path)?;
    let refused = |error: io::Error| refusal(path, &error);
    let address = SockAddr::unix(path).map_err(|_| {
        "the path is too long for a socket: at most 107 bytes are possible".to_owned()
    })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused)?;
    // The kernel makes the file with the mode of the socket: another file could be at the path later.
    rustix::fs::fchmod(&socket, MODE.into()).map_err(|error| refused(error.into()))?;
    socket.bind(&address).map_err(refused)?;
    if let Some(owner) = owner {
        give(path, owner).map_err(|error| refused(error.into()))?;
    }
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path).map_err(refused)?,
    };
    socket.listen(BACKLOG).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    let listener = UnixListener::from_std(socket.into()).map_err(refused)?;
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

/// Removes what an ended process left there.
fn make_way(path: &Path) -> Result<(), String> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(_) => return Ok(()),
    };
    if !metadata.file_type().is_socket() {
        return Err("there is a file which is not a socket: move it, or name another path".into());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another process listens there: stop it, or name another path".into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| refusal(path, &error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err("another process listens there, and is busy: stop it, or name another path".into())
        }
        Err(error) => Err(refusal(path, &error)),
    }
}

fn refusal(path: &Path, error: &io::Error) -> String {
    let folder = path.parent().unwrap_or(Path::new("/")).display();
    match error.kind() {
        ErrorKind::NotFound => {
            format!("there is no folder {folder}: make it (`mkdir -p {folder}`)")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "this user may not make a file in {folder}: give it the folder, or name another"
            )
        }
        ErrorKind::AddrInUse => "another process has just taken the path".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
        let (_listener, file) = bind(&path, None).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let refused = bind(&path, None).unwrap_err();
        assert!(refused.contains("another process listens"), "{refused}");
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_process_left_is_replaced_and_what_is_another_s_is_not_removed() {
        let folder = Folder::new("stale");
        let path = folder.0.join("admin.sock");
        let (listener, left) = bind(&path, None).unwrap();
        drop(listener);
        let (_listener, file) = bind(&path, None).unwrap();
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
            let refused = bind(path, None).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
