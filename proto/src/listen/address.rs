//! Where a service listens or is reached.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use tonic::transport::Endpoint;

use super::Error;

/// Where a service listens or is reached: `host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// Over TCP, as `host:port`.
    Tcp(String),
    /// Over a Unix socket of the same machine.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let wrong = || Error::Address {
            address: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Address::Unix(path))
            } else {
                Err(wrong())
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host_ok = !host.is_empty() && !host.contains(['/', ',', ' ']);
        if host_ok && port.parse::<u16>().is_ok() {
            Ok(Address::Tcp(text.to_owned()))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// How a client connects to it.
    ///
    /// # Errors
    /// [`Error::Address`] when it makes no URI.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        let uri = match self {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        Endpoint::from_shared(uri).map_err(|_| Error::Address {
            address: self.to_string(),
        })
    }

    /// Whether what is sent there stays on this machine, as far as the address says.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        let Address::Tcp(address) = self else {
            return true;
        };
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        host == "localhost" || host.parse().is_ok_and(is_loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "localhost:7401",
            "127.0.0.1:0",
            "[::1]:80",
            "unix:/run/dpp.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "host",
            ":1",
            "host:http",
            "host:70000",
            "unix:relative",
            "http://a:1",
            "a:1,b:2",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_stays_here_is_known() {
        for (text, stays) in [
            ("localhost:1", true),
            ("127.1.2.3:1", true),
            ("[::1]:80", true),
            ("unix:/run/dpp.sock", true),
            ("10.0.0.1:1", false),
            ("localhost.example:1", false),
            ("[2001:db8::1]:80", false),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.is_on_this_machine(), stays, "{text}");
        }
    }
}
