//! The token of `[admin] token_file`, which whoever acts over TCP has to know.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use subtle::ConstantTimeEq;

/// Longest token in bytes.
const LEN_MAX: usize = 4096;

/// Permissions that nobody but the owner may have. Its group may read: systemd's `LoadCredential=` and
/// others hand files over with mode 0440.
const FORBIDDEN: u32 = 0o037;

/// A secret. It is never shown.
pub struct Token(String);

impl Token {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// A sentence: it can't be read, others can read or write it, or what it holds can't be a token.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let refused = |error: std::io::Error| {
            format!("token_file {shown} can't be read: {error}: write a long random word into it")
        };
        let mut options = OpenOptions::new();
        // Otherwise a FIFO would wait for somebody who writes.
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(format!(
                "token_file {shown} is not a regular file: name one"
            ));
        }
        let mode = metadata.permissions().mode();
        if mode & FORBIDDEN != 0 {
            return Err(format!(
                "token_file {shown} has mode {:04o}, so that others can read or write it: \
                 `chmod 600 {shown}`",
                mode & 0o7777
            ));
        }
        let mut text = String::new();
        file.take(LEN_MAX as u64 + 1)
            .read_to_string(&mut text)
            .map_err(refused)?;
        let token = text.trim();
        if token.is_empty() {
            return Err(format!(
                "token_file {shown} is empty: write a long random word into it"
            ));
        }
        if token.len() > LEN_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "token_file {shown} holds no token: one word of at most {LEN_MAX} visible ASCII \
                 characters is needed"
            ));
        }
        Ok(Token(token.to_owned()))
    }

    /// Whether `word` is it, in a time that does not tell how much of it is right.
    pub fn is(&self, word: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(word).into()
    }

    /// The value of an `Authorization` header with it.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<Token, String> {
        let thread = std::thread::current().id();
        let name = format!("ringway-token-{}-{thread:?}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let token = Token::read(&path);
        std::fs::remove_file(&path).unwrap();
        token
    }

    #[test]
    fn white_space_around_it_does_not_count() {
        let token = read(b"\n  s3cret \r\n", 0o640).unwrap();
        assert!(token.is(b"s3cret"));
        for wrong in [&b""[..], b"s3cre", b"s3crets", b"S3cret", b" s3cret"] {
            assert!(!token.is(wrong));
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn only_the_owner_may_write_it_and_only_its_group_read_it_too() {
        for mode in [0o400, 0o600, 0o440, 0o640, 0o700] {
            assert!(read(b"secret", mode).unwrap().is(b"secret"), "{mode:o}");
        }
        for mode in [
            0o602, 0o622, 0o660, 0o620, 0o604, 0o444, 0o601, 0o610, 0o777,
        ] {
            let refused = read(b"secret", mode).unwrap_err();
            assert!(
                refused.contains(&format!("has mode {mode:04o}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = std::env::temp_dir();
        let fifo = folder.join(format!("ringway-token-fifo-{}", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        for path in [&fifo, &folder, Path::new("/dev/null")] {
            let refused = Token::read(path).unwrap_err();
            assert!(refused.contains("is not a regular file"), "{refused}");
        }
        std::fs::remove_file(&fifo).unwrap();
    }

    #[test]
    fn what_is_no_token_is_refused_with_a_sentence() {
        for (content, mode, why) in [
            (&b""[..], 0o600, "is empty"),
            (b" \n", 0o600, "is empty"),
            (
                b"secret",
                0o644,
                "has mode 0644, so that others can read or write it: `chmod 600",
            ),
            (b"two words", 0o600, "one word"),
            (b"two\nlines", 0o600, "one word"),
            (b"\xff\xfe", 0o600, "can't be read"),
            (&[b'x'; LEN_MAX + 1], 0o600, "one word"),
        ] {
            let refused = read(content, mode).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let refused = Token::read(Path::new("/nowhere/token")).unwrap_err();
        assert!(
            refused.contains("/nowhere/token can't be read"),
            "{refused}"
        );
    }
}
