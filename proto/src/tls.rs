//! Certificates: what a service proves itself with and whose callers it lets in, what a caller trusts and shows.
//!
//! PEM files, named by arguments or environment and read once, at the door. TLS is for TCP: a Unix socket has file rights.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};

use crate::listen::{Address, Error};

/// Where certificates and keys are, all as PEM.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "process", derive(clap::Args))]
pub struct Files {
    /// Certificate that this process shows, as PEM; with it, it serves by TLS only
    #[cfg_attr(
        feature = "process",
        arg(long, value_name = "FILE", env = "DPP_TLS_CERT")
    )]
    pub tls_cert: Option<PathBuf>,

    /// Key of that certificate
    #[cfg_attr(
        feature = "process",
        arg(long, value_name = "FILE", env = "DPP_TLS_KEY")
    )]
    pub tls_key: Option<PathBuf>,

    /// Let in only callers who show a certificate of this authority
    #[cfg_attr(
        feature = "process",
        arg(
            long,
            value_name = "FILE",
            env = "DPP_TLS_CLIENT_CA",
            requires = "tls_cert"
        )
    )]
    pub tls_client_ca: Option<PathBuf>,

    /// Call others by TLS only, and only those who show a certificate of this authority
    #[cfg_attr(
        feature = "process",
        arg(long, value_name = "FILE", env = "DPP_TLS_CA")
    )]
    pub tls_ca: Option<PathBuf>,

    /// Others show a certificate for this name, whatever address they are reached by
    #[cfg_attr(
        feature = "process",
        arg(long, value_name = "NAME", env = "DPP_TLS_NAME", requires = "tls_ca")
    )]
    pub tls_name: Option<String>,
}

/// What a service proves itself with.
#[derive(Clone)]
pub struct Service {
    pub(crate) config: ServerTlsConfig,
}

/// How others are called: by TLS, or in plain text.
#[derive(Clone, Default)]
pub struct Caller {
    config: Option<ClientTlsConfig>,
    /// What others' certificates are for; `None`: their addresses.
    name: Option<String>,
}

impl Files {
    /// As `DPP_TLS_CA`, `DPP_TLS_CERT`, `DPP_TLS_KEY` and `DPP_TLS_CLIENT_CA` say.
    pub fn from_environment() -> Files {
        let file = |name| env::var_os(name).map(PathBuf::from);
        Files {
            tls_cert: file("DPP_TLS_CERT"),
            tls_key: file("DPP_TLS_KEY"),
            tls_client_ca: file("DPP_TLS_CLIENT_CA"),
            tls_ca: file("DPP_TLS_CA"),
            tls_name: env::var("DPP_TLS_NAME").ok(),
        }
    }

    /// The same as arguments, for a process that this one starts.
    pub fn arguments(&self) -> Vec<OsString> {
        let files = [
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-client-ca", &self.tls_client_ca),
            ("--tls-ca", &self.tls_ca),
        ];
        let given = files
            .into_iter()
            .filter_map(|(name, file)| Some([name.into(), file.clone()?.into()]));
        let name = self.tls_name.iter();
        let name = name.flat_map(|name| ["--tls-name".into(), name.into()]);
        given.flatten().chain(name).collect()
    }

    /// What this process serves with; `None` without a certificate.
    ///
    /// # Errors
    /// A file can't be read, or a certificate has no key.
    pub fn service(&self) -> Result<Option<Service>, Error> {
        let Some(identity) = self.identity()? else {
            return Ok(None);
        };
        let config = ServerTlsConfig::new().identity(identity);
        let config = match &self.tls_client_ca {
            Some(authority) => config.client_ca_root(certificate(authority)?),
            None => config,
        };
        Ok(Some(Service { config }))
    }

    /// How this process calls others: in plain text without an authority to trust.
    ///
    /// # Errors
    /// A file can't be read, or a certificate has no key.
    pub fn caller(&self) -> Result<Caller, Error> {
        let Some(authority) = &self.tls_ca else {
            return Ok(Caller::default());
        };
        let config = ClientTlsConfig::new().ca_certificate(certificate(authority)?);
        Ok(Caller {
            name: self.tls_name.clone(),
            config: Some(match self.identity()? {
                Some(identity) => config.identity(identity),
                None => config,
            }),
        })
    }

    fn identity(&self) -> Result<Option<Identity>, Error> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(Identity::from_pem(read(cert)?, read(key)?))),
            (None, None) => Ok(None),
            _ => Err(Error::Identity),
        }
    }
}

impl Caller {
    /// Whether nobody on the way can read what is said.
    pub(crate) fn is_private(&self) -> bool {
        self.config.is_some()
    }

    /// The same caller, of those whose certificate is for `name`, unless another was given.
    pub(crate) fn expecting(self, name: &str) -> Caller {
        let name = self.name.or_else(|| Some(name.to_owned()));
        Caller { name, ..self }
    }

    /// How to connect to `address`.
    ///
    /// # Errors
    /// [`Error::Address`] when it makes no URI, [`Error::Tls`] when the certificates can't be used.
    pub fn endpoint(&self, address: &Address) -> Result<Endpoint, Error> {
        let (Some(config), Address::Tcp(host)) = (&self.config, address) else {
            return address.endpoint();
        };
        let endpoint =
            Endpoint::from_shared(format!("https://{host}")).map_err(|_| Error::Address {
                address: address.to_string(),
            })?;
        let config = match &self.name {
            Some(name) => config.clone().domain_name(name),
            None => config.clone(),
        };
        endpoint
            .tls_config(config)
            .map_err(|source| Error::Tls { source })
    }
}

/// Says nothing that is secret.
impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Says whether there is TLS, and nothing that is secret.
impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Caller")
            .field("tls", &self.config.is_some())
            .finish_non_exhaustive()
    }
}

fn certificate(path: &Path) -> Result<Certificate, Error> {
    Ok(Certificate::from_pem(read(path)?))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source: io::Error| Error::File {
        path: path.to_owned(),
        source,
    })
}
