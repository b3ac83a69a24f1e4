//! `/etc/hosts` and `/etc/resolv.conf` as they are now: read again when they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::hosts::Hosts;
use super::resolv_conf::ResolvConf;

/// Bytes that are read of a file: far more than any sensible one has.
const FILE_LEN_MAX: u64 = 4 << 20;

/// What both files say.
#[derive(Debug, Default)]
pub struct Files {
    pub hosts: Arc<Hosts>,
    pub resolv_conf: Arc<ResolvConf>,
}

/// The files of this host. Clones share what was read.
#[derive(Clone, Debug)]
pub struct System {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    cache: Arc<Mutex<Cache>>,
}

/// What was read last, and of which file.
#[derive(Debug, Default)]
struct Cache {
    hosts: Option<(Identity, Arc<Hosts>)>,
    resolv_conf: Option<(Identity, Arc<ResolvConf>)>,
}

/// What changes with a file: device, inode, size, and seconds and nanoseconds of its last change; `None`:
/// there is no file.
type Identity = Option<[i64; 5]>;

impl System {
    /// The files where they are.
    pub fn new() -> Self {
        Self::at(Path::new("/etc/hosts"), Path::new("/etc/resolv.conf"))
    }

    /// Files elsewhere.
    pub fn at(hosts: &Path, resolv_conf: &Path) -> Self {
        System {
            hosts: hosts.to_owned(),
            resolv_conf: resolv_conf.to_owned(),
            cache: Arc::default(),
        }
    }

    /// What they say now. A file that cannot be read counts as empty.
    pub async fn files(&self) -> Files {
        let system = self.clone();
        // Files may be on a network that does not answer.
        let files = tokio::task::spawn_blocking(move || system.read());
        files.await.unwrap_or_default()
    }

    fn read(&self) -> Files {
        // Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
        let cache = self.cache.lock();
        let mut cache = cache.unwrap_or_else(PoisonError::into_inner);
        Files {
            hosts: refresh(&mut cache.hosts, &self.hosts, Hosts::parse),
            resolv_conf: refresh(&mut cache.resolv_conf, &self.resolv_conf, |text| {
                ResolvConf::parse(text, interface)
            }),
        }
    }
}

fn refresh<T>(
    cached: &mut Option<(Identity, Arc<T>)>,
    path: &Path,
    parse: impl Fn(&str) -> T,
) -> Arc<T> {
    let identity = identity(path);
    if let Some((last, value)) = cached
        && *last == identity
    {
        return Arc::clone(value);
    }
    let value = Arc::new(parse(&text(path)));
    *cached = Some((identity, Arc::clone(&value)));
    value
}

fn identity(path: &Path) -> Identity {
    let file = fs::metadata(path).ok()?;
    let [device, inode, size] = [file.dev(), file.ino(), file.size()].map(|it| it as i64);
    Some([device, inode, size, file.ctime(), file.ctime_nsec()])
}

fn text(path: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        // What was read before an error counts.
        let _ = file.take(FILE_LEN_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number of a network interface.
pub fn interface(name: &str) -> Option<u32> {
    let path = Path::new("/sys/class/net").join(name).join("ifindex");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_when_it_has_changed() {
        let folder = std::env::temp_dir().join(format!("ringway-system-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (hosts, conf) = (folder.join("hosts"), folder.join("resolv.conf"));
        let system = System::at(&hosts, &conf);
        let none = system.files().await;
        assert!(none.hosts.addresses("app").is_empty());
        assert_eq!(*none.resolv_conf, ResolvConf::default());

        fs::write(&hosts, "10.0.0.1 app\n").unwrap();
        fs::write(&conf, "nameserver 10.0.0.53\n").unwrap();
        let first = system.files().await;
        assert_eq!(first.hosts.addresses("app").len(), 1);
        assert_eq!(
            first.resolv_conf.name_servers[0].to_string(),
            "10.0.0.53:53"
        );
        let same = system.files().await;
        assert!(Arc::ptr_eq(&first.hosts, &same.hosts));

        // As editors and container runtimes do it: another file in its place.
        fs::write(folder.join("new"), "10.0.0.2 app\n").unwrap();
        fs::rename(folder.join("new"), &hosts).unwrap();
        let second = system.files().await;
        assert_eq!(second.hosts.addresses("app")[0].to_string(), "10.0.0.2");
        assert!(Arc::ptr_eq(&first.resolv_conf, &second.resolv_conf));
        fs::remove_dir_all(&folder).unwrap();
    }
}
