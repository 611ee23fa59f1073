//! rustls: TLS 1.3 with raw public keys both ways, as `src/cluster/tls.rs` and `src/cluster/pump.rs` have it.

use crate::{BLOCK, End, Library, Outcome};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, ServerConfig,
    ServerConnection, SignatureScheme,
};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Before the seed of an Ed25519 key in PKCS#8 (RFC 8410).
const PRIVATE_KEY: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

pub struct Tls {
    caller: Arc<ClientConfig>,
    called: Arc<ServerConfig>,
}

/// The same, with the shorter key alone.
pub fn aes128(mut provider: CryptoProvider) -> CryptoProvider {
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

impl Tls {
    pub fn new(provider: CryptoProvider) -> Outcome<Self> {
        let provider = Arc::new(provider);
        // (One end's seed is not the other's, nor the key itself: what it is costs nothing here.)
        let identity = |purpose: u8| {
            let mut seed = crate::KEY;
            seed[0] ^= purpose;
            let private = PrivatePkcs8KeyDer::from([&PRIVATE_KEY[..], &seed].concat());
            let private = provider.key_provider.load_private_key(private.into())?;
            let public = private.public_key().expect("Ed25519 has one").to_vec();
            Ok::<_, rustls::Error>(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], private)))
        };
        let (caller, called) = (identity(1)?, identity(2)?);
        let only = |of: &CertifiedKey| {
            Arc::new(OnlyKey { public: of.cert[0].clone(), algorithms: provider.signature_verification_algorithms })
        };
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(only(&called))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&caller))));
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(only(&caller))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&called))));
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Tls { caller: Arc::new(client), called: Arc::new(server) })
    }
}

impl Library for Tls {
    fn handshake(&self, mut socket: TcpStream, calls: bool) -> Outcome<Box<dyn End>> {
        let mut tls: Connection = match calls {
            true => ClientConnection::new(Arc::clone(&self.caller), ServerName::try_from("minutely")?)?.into(),
            false => ServerConnection::new(Arc::clone(&self.called))?.into(),
        };
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        tls.set_buffer_limit(None);
        // What came right after the handshake.
        let mut plain = Vec::with_capacity(BLOCK);
        decrypt(&mut tls, &mut plain)?;
        let (encrypted, sent) = (vec![0; BLOCK], Vec::with_capacity(BLOCK + 1024));
        Ok(Box::new(TlsEnd { tls, socket, encrypted, sent, plain, at: 0 }))
    }
}

struct TlsEnd {
    tls: Connection,
    socket: TcpStream,
    /// What one read takes.
    encrypted: Vec<u8>,
    sent: Vec<u8>,
    /// Bytes before `at` were given.
    plain: Vec<u8>,
    at: usize,
}

impl End for TlsEnd {
    fn agreed(&self) -> String {
        let suite = self.tls.negotiated_cipher_suite().map(|suite| suite.suite());
        format!("{suite:?}, {:?}", self.tls.negotiated_key_exchange_group().map(|group| group.name()))
    }
}

impl Write for TlsEnd {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        self.tls.writer().write_all(some)?;
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.sent)?;
        }
        self.socket.write_all(&self.sent)?;
        self.sent.clear();
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TlsEnd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            self.at = 0;
            self.plain.clear();
            let n = self.socket.read(&mut self.encrypted)?;
            if n == 0 {
                return Ok(0);
            }
            let mut rest = &self.encrypted[..n];
            while !rest.is_empty() {
                self.tls.read_tls(&mut rest)?;
                decrypt(&mut self.tls, &mut self.plain)?;
            }
        }
        let n = into.len().min(self.plain.len() - self.at);
        into[..n].copy_from_slice(&self.plain[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Appends what has come.
fn decrypt(tls: &mut Connection, plain: &mut Vec<u8>) -> io::Result<()> {
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    let start = plain.len();
    plain.resize(start + state.plaintext_bytes_to_read(), 0);
    tls.reader().read_exact(&mut plain[start..])
}

/// Accepts one public key.
#[derive(Debug)]
struct OnlyKey {
    public: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OnlyKey {
    fn accept<T>(&self, public: &CertificateDer<'_>, accepted: T) -> Result<T, rustls::Error> {
        if *public == self.public { Ok(accepted) } else { Err(rustls::Error::General("another key".into())) }
    }
}

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::Error::General("TLS 1.2".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            public: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let public = SubjectPublicKeyInfoDer::from(public.as_ref());
            verify_tls13_signature_with_raw_key(message, &public, signed, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for OnlyKey {
    fn verify_server_cert(
        &self,
        public: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.accept(public, ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for OnlyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        public: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.accept(public, ClientCertVerified::assertion())
    }

    signatures!();
}
