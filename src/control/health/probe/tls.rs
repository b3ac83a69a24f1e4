//! TLS of probes: who is connected to, which certificates are taken, and what a failed handshake says.
//!
//! Every probe makes a whole handshake: a session that is resumed would not show that the certificate has
//! expired.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{Resumption, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
};

use super::faults::words;
use crate::config::{CheckKind, CheckTls, HealthCheck, Roots};
use crate::logic::health::Cause;

/// How the probes of a backend speak TLS.
#[derive(Clone, Debug)]
pub struct Connector {
    settings: CheckTls,
    config: Arc<ClientConfig>,
}

impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Connector {
    /// For this check; `None`: it is made in clear.
    pub fn new(check: &HealthCheck) -> Option<Self> {
        let settings = check.tls.as_ref()?;
        let builder = ClientConfig::builder().dangerous();
        let verifier = Arc::new(Verifier(settings.verify.clone()));
        let builder = builder.with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        if let CheckKind::Http(_) = check.kind {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        Some(Connector {
            settings: settings.clone(),
            config: Arc::new(config),
        })
    }

    /// The name that servers are told, if one is written.
    pub fn sni(&self) -> Option<&ServerName<'static>> {
        self.settings.sni.as_ref()
    }

    /// Makes the handshake with a server that is told this name.
    pub async fn handshake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Cause> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| Cause::L6Response(handshake_failed(&error)))
    }
}

/// Why a handshake failed.
fn handshake_failed(error: &Error) -> &'static str {
    let inner = error.get_ref();
    let Some(error) = inner.and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return match error.kind() {
            ErrorKind::UnexpectedEof => "closed within the handshake",
            kind => words(kind),
        };
    };
    match error {
        TlsError::InvalidCertificate(error) => certificate_refused(error),
        TlsError::AlertReceived(alert) => match alert {
            AlertDescription::UnrecognisedName => "the server does not know this name",
            AlertDescription::CertificateRequired => "the server wants a certificate of ours",
            AlertDescription::NoApplicationProtocol => "the server does not speak HTTP/1.1",
            AlertDescription::ProtocolVersion => "no common version of TLS",
            AlertDescription::HandshakeFailure => "no common cipher",
            _ => "refused by an alert",
        },
        TlsError::PeerIncompatible(_) => "no common version or cipher",
        TlsError::InvalidMessage(_) | TlsError::InappropriateMessage { .. } => "no TLS",
        _ => "handshake failed",
    }
}

fn certificate_refused(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::UnknownIssuer => "the certificate is of an unknown issuer",
        error if is_authority(error) => {
            "the certificate is that of an authority, and is not in `ca`"
        }
        _ => "the certificate is not valid",
    }
}

/// Whether a certificate is refused because it may sign others, as those of `openssl req -x509` may, before
/// anybody looked who issued it. rustls has no variant for it.
fn is_authority(error: &CertificateError) -> bool {
    match error {
        CertificateError::Other(other) => other.to_string() == "CaUsedAsEndEntity",
        _ => false,
    }
}

/// Which certificates are taken; `None`: all of them.
#[derive(Debug)]
struct Verifier(Option<Roots>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.0 else {
            return Ok(ServerCertVerified::assertion());
        };
        let by_chain = &roots.verifier;
        match by_chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // A server may have one of them itself, without a chain. The times of its validity were looked at
            // before the chain.
            Err(TlsError::InvalidCertificate(error))
                if roots.certificates.contains(certificate)
                    && (is_authority(&error)
                        || matches!(error, CertificateError::UnknownIssuer)) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let unverified = Ok(HandshakeSignatureValid::assertion());
        self.0.as_ref().map_or(unverified, |roots| {
            (roots.verifier).verify_tls12_signature(message, certificate, signed)
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let unverified = Ok(HandshakeSignatureValid::assertion());
        self.0.as_ref().map_or(unverified, |roots| {
            (roots.verifier).verify_tls13_signature(message, certificate, signed)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
