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
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
};

use super::faults::words;
use crate::config::{CheckTls, Roots};
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
    /// For these settings; `http`: HTTP/1.1 is asked for.
    pub fn new(settings: &CheckTls, http: bool) -> Self {
        let builder = ClientConfig::builder().dangerous();
        let verifier: Arc<dyn ServerCertVerifier> = match &settings.verify {
            None => Arc::new(Unverified),
            Some(roots) => Arc::new(Verified::new(roots)),
        };
        let builder = builder.with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        if http {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        Connector {
            settings: settings.clone(),
            config: Arc::new(config),
        }
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
        error if is_authority(error) => "the certificate is that of an authority",
        _ => "the certificate is not valid",
    }
}

/// Whether all that is wrong with a certificate is that it may sign others, as `openssl req -x509` makes them.
/// rustls has no variant for it.
fn is_authority(error: &CertificateError) -> bool {
    match error {
        CertificateError::Other(other) => other.to_string() == "CaUsedAsEndEntity",
        _ => false,
    }
}

/// Certificates are verified.
#[derive(Debug)]
struct Verified {
    by_chain: Arc<WebPkiServerVerifier>,
    /// Those that a server may have itself, without a chain.
    own: Arc<Vec<CertificateDer<'static>>>,
}

impl Verified {
    fn new(roots: &Roots) -> Self {
        Verified {
            by_chain: Arc::clone(&roots.verifier),
            own: Arc::clone(&roots.certificates),
        }
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let by_chain = &self.by_chain;
        match by_chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The times of its validity were looked at before the chain.
            Err(TlsError::InvalidCertificate(error))
                if self.own.contains(certificate)
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
        (self.by_chain).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        (self.by_chain).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_chain.supported_verify_schemes()
    }
}

/// Any certificate is taken.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
