//! TLS 1.3 (RFC 8446) between two processes that have the same key: each end proves by a raw public key (RFC 7250) that it has it.
//! The Ed25519 key pairs are derived of the key, one for callers and one for those that are called, so no answer of one side can be
//! given back to it as if it were the other's. No certificates, names, sessions to resume or early data.

use super::key::ClusterKey;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring::{default_provider, sign::any_eddsa_type};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    ServerConfig, ServerConnection, SignatureScheme,
};
use std::sync::Arc;

/// Before the seed of an Ed25519 key in PKCS#8, and before the public key (RFC 8410).
const PRIVATE_KEY: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const PUBLIC_KEY: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// How both ends of a connection speak TLS.
pub(super) struct Tls {
    caller: Arc<ClientConfig>,
    called: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(key: &ClusterKey) -> Result<Self, Error> {
        let provider = Arc::new(default_provider());
        let (caller, called) = (identity(key, "Ed25519 of callers")?, identity(key, "Ed25519 of the called")?);
        let only = |of: &CertifiedKey| Arc::new(OnlyKey::new(of, &provider));
        let resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&caller)));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(only(&called))
            .with_client_cert_resolver(resolver);
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        let resolver = Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&called)));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(only(&caller))
            .with_cert_resolver(resolver);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Tls { caller: Arc::new(client), called: Arc::new(server) })
    }

    /// One end of a new connection.
    pub(super) fn begin(&self, calls: bool) -> Result<Connection, Error> {
        Ok(match calls {
            true => {
                let name = ServerName::try_from("minutely").expect("a name");
                ClientConnection::new(Arc::clone(&self.caller), name)?.into()
            }
            false => ServerConnection::new(Arc::clone(&self.called))?.into(),
        })
    }
}

fn identity(key: &ClusterKey, purpose: &str) -> Result<Arc<CertifiedKey>, Error> {
    let seed = key.derive(purpose);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|e| Error::General(e.to_string()))?;
    let public = [&PUBLIC_KEY[..], pair.public_key().as_ref()].concat();
    let private = any_eddsa_type(&PrivatePkcs8KeyDer::from([&PRIVATE_KEY[..], &seed].concat()))?;
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], private)))
}

/// Accepts one public key.
#[derive(Debug)]
struct OnlyKey {
    public: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OnlyKey {
    fn new(of: &CertifiedKey, provider: &CryptoProvider) -> Self {
        OnlyKey { public: of.cert[0].clone(), algorithms: provider.signature_verification_algorithms }
    }

    fn accept(&self, public: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        match *public == self.public && more.is_empty() {
            true => Ok(()),
            false => Err(Error::General("another key".into())),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        public: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let public = SubjectPublicKeyInfoDer::from(public.as_ref());
        verify_tls13_signature_with_raw_key(message, &public, signed, &self.algorithms)
    }
}

/// TLS 1.2 is not spoken.
const OLD: Error = Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);

impl ServerCertVerifier for OnlyKey {
    fn verify_server_cert(
        &self,
        public: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.accept(public, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(OLD)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        public: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, public, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for OnlyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        public: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.accept(public, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(OLD)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        public: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, public, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
