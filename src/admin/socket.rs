//! The Unix socket of `[admin] socket`.
//!
//! Only the user that the balancer runs as, root, and a group that is configured may use it: its mode is 0600
//! or 0660 before anybody can connect.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Uid};
use rustix::io::Errno;
use tokio::net::UnixListener;

use crate::control::api::socket_file::{self, SocketFile};
use crate::control::api::{binding, owner};
use crate::privileges::User;

/// Who may connect: the owner.
const MODE: u32 = 0o600;

/// The owner and the group.
const MODE_FOR_GROUP: u32 = 0o660;

/// To whom the file is given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owner {
    /// Its user; `None`: whoever runs this.
    pub user: Option<User>,
    /// The number of the group that may use it, too.
    pub group: Option<u32>,
}

/// Length of its accept queue.
const BACKLOG: i32 = 64;

/// Opens it, on the current runtime. Its file belongs to `owner`.
///
/// # Errors
///
/// What speaks against it, and the cure.
pub(super) async fn bind(path: &Path, owner: Owner) -> Result<(UnixListener, SocketFile), String> {
    let asked = path.to_owned();
    let holder = move || owner::of_path(&asked);
    let opened = binding::open(&path.display(), || open(path, owner), holder).await;
    opened.map_err(|refused| socket_file::refusal(path, &refused))
}

fn open(path: &Path, owner: Owner) -> io::Result<(UnixListener, SocketFile)> {
    let socket = socket_file::bind(path, MODE)?;
    give(path, owner)?;
    let file = SocketFile::of(path)?;
    socket.listen(BACKLOG)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok((listener, file))
}

/// Gives the file to its owner, if it is a socket: whoever may write to the folder can replace it.
fn give(path: &Path, owner: Owner) -> io::Result<()> {
    if owner.user.is_none() && owner.group.is_none() {
        return Ok(());
    }
    let file = socket_file::open(path)?;
    let uid = owner.user.map(|user| Uid::from_raw(user.uid));
    let gid = owner.group.or(owner.user.map(|user| user.gid));
    let gid = gid.map(Gid::from_raw);
    let given = rustix::fs::chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH);
    given.map_err(|error| match (error, owner.group) {
        (Errno::PERM, Some(group)) => io::Error::other(format!(
            "this user may not give it to group {group}: make the user a member (`SupplementaryGroups=` of the \
             unit, `usermod -aG`), or remove socket_group"
        )),
        (error, _) => error.into(),
    })?;
    if owner.group.is_some() {
        socket_file::set_mode(&file, MODE_FOR_GROUP)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

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
        let (_listener, file) = bind(&path, Owner::default()).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let refused = bind(&path, Owner::default()).await.unwrap_err();
        assert!(
            refused.contains("this process listens there already"),
            "{refused}"
        );
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_group_may_use_it_too() {
        let folder = Folder::new("group");
        let path = folder.0.join("admin.sock");
        let own = rustix::process::getegid().as_raw();
        let owner = Owner {
            user: None,
            group: Some(own),
        };
        let (_listener, _file) = bind(&path, owner).await.unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
        assert_eq!(metadata.gid(), own);
    }

    #[tokio::test]
    async fn what_a_process_left_is_replaced_and_what_is_another_s_is_not_removed() {
        let folder = Folder::new("stale");
        let path = folder.0.join("admin.sock");
        let (listener, left) = bind(&path, Owner::default()).await.unwrap();
        drop(listener);
        let (_listener, file) = bind(&path, Owner::default()).await.unwrap();
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
            let refused = bind(path, Owner::default()).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
