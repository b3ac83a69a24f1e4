//! Tests in a network and a mount namespace of their own: they may change what the whole host has,
//! such as `/etc/hosts` or whether there is IPv6.
//!
//! Such a test runs this program once more, for that test alone, behind unshare(1), which needs root.

use std::fs;
use std::process::Command;

use crate::harness::ScratchDirectory;

/// Tells the inner run that it is one.
const INSIDE: &str = "RINGWAY_TEST_NAMESPACE";

/// Runs the body of the test of this name, such as `names::a_test`, in namespaces where only loopback
/// exists.
#[track_caller]
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        body();
        return;
    }
    let this = std::env::current_exe().expect("a program");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c"])
        .arg("ip link set lo up && exec \"$0\" \"$@\"")
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "there is no test {test}: {out}");
}

/// A file of `/etc` that only this namespace sees.
pub struct EtcFile {
    path: std::path::PathBuf,
    _directory: ScratchDirectory,
}

impl EtcFile {
    /// Puts it in the place of the host's.
    pub fn new(name: &str, content: &str) -> Self {
        let directory = ScratchDirectory::new();
        let file = Self {
            path: directory.path().join(name),
            _directory: directory,
        };
        file.write(content);
        let target = format!("/etc/{name}");
        let status = Command::new("mount")
            .arg("--bind")
            .arg(&file.path)
            .arg(&target)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{target}");
        file
    }

    /// Changes what it says.
    pub fn write(&self, content: &str) {
        fs::write(&self.path, content).expect("the scratch directory takes files");
    }
}
