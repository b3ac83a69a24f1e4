//! What this process may do: its user, its groups and its capabilities.
//!
//! To the kernel all of them belong to a thread, and a new thread has those of the one that starts it
//! (credentials(7), capabilities(7)). So each thread gives them up by itself, before it does
//! anything that does not need them: [`spawn`] starts one that has.

use std::io;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use rustix::thread::{Gid, Uid};

/// What is kept: a reload may add a listener on a port below 1024.
const KEPT: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// A user and a group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The only other group: that of the admin socket, to which only a member may give it.
    pub socket_gid: Option<u32>,
}

/// Whether the calling thread runs as root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Makes the calling thread one of `user` in its group alone, or leaves both as they are, and takes all
/// capabilities but `CAP_NET_BIND_SERVICE` from it. It can never get more than that by executing a
/// program. A second call does nothing.
///
/// # Errors
///
/// The kernel does not let this thread become `user`.
pub fn give_up(user: Option<User>) -> io::Result<()> {
    set_no_new_privs(true)?;
    give_up_bounding_set()?;
    if let Some(user) = user {
        become_user(user)?;
    }
    let kept = capabilities(None)?.permitted & KEPT;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            // With it goes the ambient set.
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// Starts a thread that gives up what [`give_up`] says, and then calls `run`.
///
/// # Errors
///
/// No thread could be made, or it could not become `user`.
pub fn spawn(
    user: Option<User>,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (sender, given_up) = channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || {
        let result = give_up(user);
        let may_run = result.is_ok();
        // Whoever starts it waits for this.
        let _ = sender.send(result);
        if may_run {
            run();
        }
    })?;
    let result = given_up.recv();
    result.unwrap_or_else(|_| Err(io::Error::other("the thread ended at its start")))?;
    Ok(thread)
}

/// Programs that the calling thread executes from now on get what [`give_up`] has left to it, which they
/// otherwise would not: ambient capabilities (capabilities(7)).
///
/// # Errors
///
/// The kernel does not allow it.
pub fn keep_when_executing() -> io::Result<()> {
    let own = capabilities(None)?;
    let kept = own.permitted & KEPT;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable: kept,
            ..own
        },
    )?;
    if kept == KEPT {
        configure_capability_in_ambient_set(KEPT, true)?;
    }
    Ok(())
}

fn give_up_bounding_set() -> io::Result<()> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if capability == KEPT {
            continue;
        }
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {}
            Ok(false) => continue,
            // The kernel knows no capability with this number.
            Err(_) => return Ok(()),
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Without CAP_SETPCAP the set stays; without a program to execute it grants nothing.
            Err(Errno::PERM) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn become_user(user: User) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if (getuid(), geteuid(), getgid(), getegid()) == (uid, uid, gid, gid) {
        return Ok(());
    }
    // Otherwise the change of the user takes all capabilities away.
    set_keep_capabilities(true)?;
    let groups: Vec<Gid> = user.socket_gid.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_keep_capabilities(false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of the status of the calling thread.
    fn status(key: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }

    #[test]
    fn a_thread_keeps_one_capability_at_most_and_gets_no_others() {
        let before = status("CapPrm");
        let thread = spawn(None, "test", || {
            for key in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                let set = u64::from_str_radix(&status(key), 16).unwrap();
                assert_eq!(set & !KEPT.bits(), 0, "{key}");
            }
            assert_eq!(status("NoNewPrivs"), "1");
            give_up(None).unwrap();
        });
        thread.unwrap().join().unwrap();
        assert_eq!(status("CapPrm"), before, "only that thread");
    }

    #[test]
    fn only_root_becomes_somebody_else() {
        let nobody = User {
            uid: 65_534,
            gid: 65_533,
            socket_gid: Some(65_532),
        };
        let root = is_root();
        let thread = spawn(Some(nobody), "test", || {
            assert_eq!(status("Uid"), "65534\t65534\t65534\t65534");
            assert_eq!(status("Gid"), "65533\t65533\t65533\t65533");
            assert_eq!(status("Groups"), "65532");
            assert!(
                give_up(Some(User {
                    uid: 0,
                    gid: 0,
                    socket_gid: None
                }))
                .is_err(),
                "no way back"
            );
        });
        match thread {
            Ok(thread) => thread.join().unwrap(),
            Err(error) => assert!(!root, "{error}"),
        }
    }
}
