//! Who may call whom: certificates of the connection ([`tls`]), and tokens that say what their bearer may do.
//!
//! ```text
//! dpp fleet token ─▶ Claims, signed by a private key ─▶ caller shows it with every call ─▶ Gate: is it ours, is it in time ─▶ Claims
//! ```
//!
//! A [`Gate`] knows public keys only. Keys and tokens are in files, named by arguments or environment.

mod bearer;
mod gate;
mod key;
mod token;

use std::{env, ffi::OsString, path::PathBuf};

use tonic::{service::interceptor::InterceptedService, transport::Endpoint};

pub use self::{
    bearer::Bearer,
    gate::{Admitted, Gate},
    key::{PublicKey, SigningKey},
    token::{Claims, Role},
};
use crate::{
    listen::{Address, Error},
    tls,
};

/// A connection over which every call shows the caller's token, if there is one.
pub type Channel = InterceptedService<tonic::transport::Channel, Bearer>;

/// Where certificates, keys and tokens are.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "process", derive(clap::Args), group(skip))]
pub struct Files {
    /// What connections are protected by.
    #[cfg_attr(feature = "process", command(flatten))]
    pub tls: tls::Files,

    /// Token that this process shows to those it calls
    #[cfg_attr(
        feature = "process",
        arg(long, value_name = "FILE", env = "DPP_TOKEN_FILE")
    )]
    pub token_file: Option<PathBuf>,

    /// Let in only callers with a token signed by the private key of one of these public ones
    #[cfg_attr(
        feature = "process",
        arg(
            long,
            value_name = "FILE,…",
            value_delimiter = ',',
            env = "DPP_TOKEN_KEYS"
        )
    )]
    pub token_keys: Vec<PathBuf>,
}

/// How others are called.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    tls: tls::Caller,
    bearer: Bearer,
}

impl Files {
    /// As `DPP_TLS_…`, `DPP_TOKEN_FILE` and `DPP_TOKEN_KEYS` say.
    pub fn from_environment() -> Files {
        let keys = env::var_os("DPP_TOKEN_KEYS").unwrap_or_default();
        let keys = keys.to_string_lossy();
        Files {
            tls: tls::Files::from_environment(),
            token_file: env::var_os("DPP_TOKEN_FILE").map(PathBuf::from),
            token_keys: keys
                .split(',')
                .filter(|file| !file.is_empty())
                .map(PathBuf::from)
                .collect(),
        }
    }

    /// The same as arguments, for a process that this one starts.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = self.tls.arguments();
        let token = self.token_file.iter().map(|file| ("--token-file", file));
        let keys = self.token_keys.iter().map(|file| ("--token-keys", file));
        for (name, file) in token.chain(keys) {
            arguments.extend([name.into(), file.into()]);
        }
        arguments
    }

    /// Whom this process lets in.
    ///
    /// # Errors
    /// A file can't be read or holds no public key.
    pub fn gate(&self) -> Result<Gate, Error> {
        let keys = self.token_keys.iter().map(|file| PublicKey::read(file));
        Ok(Gate::new(keys.collect::<Result<_, _>>()?))
    }

    /// How this process calls others.
    ///
    /// # Errors
    /// A file can't be read or holds no token, or a certificate has no key.
    pub fn caller(&self) -> Result<Caller, Error> {
        Ok(Caller {
            tls: self.tls.caller()?,
            bearer: match &self.token_file {
                Some(file) => Bearer::of_file(file)?,
                None => Bearer::default(),
            },
        })
    }
}

impl Caller {
    /// The same caller, showing this token.
    #[must_use]
    pub fn showing(self, bearer: Bearer) -> Caller {
        Caller { bearer, ..self }
    }

    /// The same caller, of services whose certificate is for `name` whatever address they are reached by.
    #[must_use]
    pub fn expecting(self, name: &str) -> Caller {
        let tls = self.tls.expecting(name);
        Caller { tls, ..self }
    }

    /// Connects to `address` when it is first called; `tune` may set what the connection is like. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Error::Address`] when it makes no URI, [`Error::Tls`] when the certificates can't be used, [`Error::TokenInTheOpen`]
    /// when a token would cross a network in plain text.
    pub fn connect(
        &self,
        address: &Address,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, Error> {
        if self.bearer.shows_token() && !self.tls.is_private() && !address.is_on_this_machine() {
            return Err(Error::TokenInTheOpen {
                address: address.clone(),
            });
        }
        let channel = tune(self.tls.endpoint(address)?).connect_lazy();
        Ok(InterceptedService::new(channel, self.bearer.clone()))
    }
}
