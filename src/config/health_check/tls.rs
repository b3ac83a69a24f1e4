//! `tls` of a health check, from what was written to what is true. A file of certificates is read here, so that
//! one that cannot be used is an error of the configuration and not of every check.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use super::super::address::is_host;
use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::field::Field;
use super::super::problem::{Problem, Span, shorten};

/// How a check speaks TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckTls {
    /// The name that servers are told, and that their certificates must have if they are verified; `None`: the
    /// host name in the server's address, and for an IP address none.
    pub sni: Option<ServerName<'static>>,
    /// Whose certificates are trusted; `None`: all of them, they are not verified.
    pub verify: Option<Roots>,
}

/// Certificates that are trusted.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The file that they are from; `None`: those of the system.
    pub file: Option<PathBuf>,
    /// All of them, at least one.
    pub certificates: Arc<Vec<CertificateDer<'static>>>,
    /// What verifies by them.
    pub verifier: Arc<WebPkiServerVerifier>,
}

impl Roots {
    /// `None`: there is no certificate.
    fn new(
        file: Option<&Path>,
        certificates: Vec<CertificateDer<'static>>,
        store: RootCertStore,
    ) -> Option<Self> {
        let verifier = WebPkiServerVerifier::builder(Arc::new(store)).build();
        Some(Roots {
            file: file.map(Path::to_owned),
            certificates: Arc::new(certificates),
            verifier: verifier.ok()?,
        })
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.certificates == other.certificates
    }
}

/// What an operator wrote.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct RawCheckTls {
    /// False: `tls = false`.
    pub on: bool,
    pub sni: Field<ServerName<'static>>,
    pub verify: Field<bool>,
    pub ca: Field<PathBuf>,
}

/// Checks what concerns more than one value, and reads the certificates. `None`: it is off, or something was
/// reported. `span`: where `tls` stands.
pub(in crate::config) fn validate_check_tls(
    out: &mut Diagnostics,
    raw: &RawCheckTls,
    span: &Span,
) -> Option<CheckTls> {
    if !raw.on {
        return None;
    }
    let ca = raw.ca.written();
    let verify = match raw.verify.written() {
        Some(verify) => *verify.get_ref(),
        None => ca.is_some(),
    };
    if let (Some(ca), false) = (ca, verify) {
        let title = "`ca` has no effect with verify = false";
        out.warning(
            ca.span(),
            Problem::new(title, "write verify = true, or remove it"),
        );
    }
    // Whatever was wrong with it was reported, and it may well have been the file that is meant.
    let verify = verify && !matches!(raw.ca, Field::Invalid);
    let roots = match ca {
        _ if !verify => Ok(None),
        Some(file) => of_file(file.get_ref()).map(Some),
        None => of_system().map(Some),
    };
    match roots {
        Ok(verify) => Some(CheckTls {
            sni: raw.sni.get().cloned(),
            verify,
        }),
        Err(problem) => {
            let verify = raw.verify.written().map(toml::Spanned::span);
            let place = ca.map(toml::Spanned::span).or(verify);
            out.error(place.unwrap_or_else(|| span.clone()), problem);
            None
        }
    }
}

/// The certificates of a file in PEM.
fn of_file(path: &Path) -> Result<Roots, Problem> {
    let shown = shorten(&path.display().to_string());
    let text = read(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let title = format!("cannot read the certificates of {shown}: {why}");
        Problem::new(title, "name a file in PEM that this user may read")
    })?;
    let invalid = |why: String| {
        let cure = "name a file in PEM with certificates: -----BEGIN CERTIFICATE-----";
        Problem::new(format!("{shown} {why}"), cure)
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| invalid(format!("is not PEM: {error}")))?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| {
            invalid(format!(
                "has an invalid certificate, number {}: {error}",
                index + 1
            ))
        })?;
    }
    let roots = Roots::new(Some(path), certificates, store);
    roots.ok_or_else(|| invalid("has no certificate".to_owned()))
}

/// The whole file, if that is a regular one.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(defaults::FILE_BYTES_MAX);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Those of the system. Single ones that cannot be used are left out, as by other programs.
fn of_system() -> Result<Roots, Problem> {
    let mut certificates = rustls_native_certs::load_native_certs().certs;
    let mut store = RootCertStore::empty();
    certificates.retain(|certificate| store.add(certificate.clone()).is_ok());
    Roots::new(None, certificates, store).ok_or_else(|| {
        let title = "this host has no certificates of authorities to verify servers by";
        let cure = "install ca-certificates, or name a file with `ca`";
        Problem::new(title, cure)
    })
}

pub(in crate::config) fn parse_sni(text: &str) -> Result<ServerName<'static>, Problem> {
    // Names on the wire have no final dot (RFC 6066, section 3).
    let name = text.strip_suffix('.').unwrap_or(text);
    let parsed = ServerName::try_from(name.to_owned()).ok();
    parsed.filter(|_| is_host(name)).ok_or_else(|| {
        let title = format!("invalid name `{}`", shorten(text));
        Problem::new(title, "write a host name, such as \"app.internal\"")
    })
}

/// The name that a server is told if none is written for the check, by the host in its address.
pub fn name_of_host(host: &str) -> Option<ServerName<'static>> {
    parse_sni(host).ok()
}
