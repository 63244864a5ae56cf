//! HTTP clients of object stores: as their options say, and without redirects. Where a store is, its user says; whoever answers
//! there may not send readers elsewhere, into a network that only this machine sees.
//!
//! `object_store`'s own client gives no say on redirects.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use object_store::{ClientConfigKey as Key, ClientOptions};
use rand::seq::SliceRandom as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, redirect};

/// A client with these options.
///
/// # Errors
/// An option that can't be meant, by its name.
pub(super) fn client(options: &ClientOptions) -> object_store::Result<Client> {
    let told = Told(options);
    // what is stored is asked for as it is: ranges of a compressed answer would be others
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .user_agent(
            options
                .get_config_value(&Key::UserAgent)
                .as_deref()
                .unwrap_or(OURSELVES),
        )
        .https_only(!told.is(&Key::AllowHttp)?);
    if let Some(limit) = told.duration(&Key::PoolIdleTimeout)? {
        builder = builder.pool_idle_timeout(limit);
    }
    if let Some(most) = told.number(&Key::PoolMaxIdlePerHost)? {
        builder = builder.pool_max_idle_per_host(most);
    }
    builder = with_timeouts(builder, told)?;
    builder = with_versions(builder, told)?;
    builder = with_proxy(builder, told)?;
    if told.is(&Key::NoSystemCertificates)? {
        builder = builder.tls_certs_only([]);
    }
    if told.is(&Key::AllowInvalidCertificates)? {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if told.is(&Key::RandomizeAddresses)? {
        builder = builder.dns_resolver(Shuffling);
    }
    builder.build().map_err(wrong)
}

fn with_timeouts(
    mut builder: ClientBuilder,
    told: Told<'_>,
) -> object_store::Result<ClientBuilder> {
    if let Some(limit) = told.duration(&Key::Timeout)? {
        builder = builder.timeout(limit);
    }
    if let Some(limit) = told.duration(&Key::ConnectTimeout)? {
        builder = builder.connect_timeout(limit);
    }
    if let Some(limit) = told.duration(&Key::ReadTimeout)? {
        builder = builder.read_timeout(limit);
    }
    Ok(builder)
}

fn with_versions(
    mut builder: ClientBuilder,
    told: Told<'_>,
) -> object_store::Result<ClientBuilder> {
    if told.is(&Key::Http1Only)? {
        builder = builder.http1_only();
    }
    if told.is(&Key::Http2Only)? {
        builder = builder.http2_prior_knowledge();
    }
    if let Some(pause) = told.duration(&Key::Http2KeepAliveInterval)? {
        builder = builder.http2_keep_alive_interval(pause);
    }
    if let Some(limit) = told.duration(&Key::Http2KeepAliveTimeout)? {
        builder = builder.http2_keep_alive_timeout(limit);
    }
    if told.is(&Key::Http2KeepAliveWhileIdle)? {
        builder = builder.http2_keep_alive_while_idle(true);
    }
    if let Some(bytes) = told.number(&Key::Http2MaxFrameSize)? {
        builder = builder.http2_max_frame_size(u32::try_from(bytes).ok());
    }
    Ok(builder)
}

fn with_proxy(builder: ClientBuilder, told: Told<'_>) -> object_store::Result<ClientBuilder> {
    let Some(proxy) = told.0.get_config_value(&Key::ProxyUrl) else {
        return Ok(builder);
    };
    let excluded = told.0.get_config_value(&Key::ProxyExcludes);
    let excluded = excluded.and_then(|hosts| NoProxy::from_string(&hosts));
    let builder = builder.proxy(Proxy::all(proxy).map_err(wrong)?.no_proxy(excluded));
    match told.0.get_config_value(&Key::ProxyCaCertificate) {
        Some(pem) => {
            let trusted = Certificate::from_pem(pem.as_bytes()).map_err(wrong)?;
            Ok(builder.tls_certs_merge([trusted]))
        }
        None => Ok(builder),
    }
}

/// Options, read one by one.
#[derive(Clone, Copy)]
struct Told<'a>(&'a ClientOptions);

impl Told<'_> {
    fn is(self, key: &Key) -> object_store::Result<bool> {
        let yes = |text: &str| match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "on" | "yes" | "y" => Some(true),
            "0" | "false" | "off" | "no" | "n" => Some(false),
            _ => None,
        };
        Ok(self.read(key, yes)?.unwrap_or(false))
    }

    fn number(self, key: &Key) -> object_store::Result<Option<usize>> {
        self.read(key, |text| text.parse().ok())
    }

    fn duration(self, key: &Key) -> object_store::Result<Option<Duration>> {
        self.read(key, |text| humantime::parse_duration(text).ok())
    }

    fn read<T>(
        self,
        key: &Key,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> object_store::Result<Option<T>> {
        let Some(text) = self.0.get_config_value(key) else {
            return Ok(None);
        };
        match read(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(wrong(format!("{} can't be {text:?}", key.as_ref()))),
        }
    }
}

/// A store's addresses in random order, so that many connections meet many of its machines.
struct Shuffling;

impl Resolve for Shuffling {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            found.shuffle(&mut rand::rng());
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn wrong(source: impl Into<Box<dyn Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "HTTP",
        source: source.into(),
    }
}

const OURSELVES: &str = concat!("dpp/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_object_store() {
        let meant = [
            (Key::Timeout, "7 seconds"),
            (Key::ReadTimeout, "1m 30s"),
            (Key::PoolMaxIdlePerHost, "3"),
            (Key::AllowHttp, "Yes"),
            (Key::Http2MaxFrameSize, "65536"),
            (Key::ProxyUrl, "http://localhost:3128"),
            (Key::ProxyExcludes, "127.0.0.1,example.com"),
            (Key::RandomizeAddresses, "off"),
        ];
        for (key, value) in meant {
            client(&ClientOptions::new().with_config(key, value)).unwrap();
        }
        for (key, value) in [
            (Key::Timeout, "soon"),
            (Key::PoolMaxIdlePerHost, "many"),
            (Key::AllowHttp, "perhaps"),
            (Key::ProxyUrl, "\u{0}"),
            (Key::ProxyCaCertificate, "-----BEGIN CERTIFICATE-----"),
        ] {
            let options = ClientOptions::new()
                .with_config(Key::ProxyUrl, "http://localhost:3128")
                .with_config(key, value);
            let said = client(&options).unwrap_err().to_string();
            assert!(
                key == Key::ProxyUrl || key == Key::ProxyCaCertificate || said.contains(value),
                "{said}"
            );
        }
    }
}
