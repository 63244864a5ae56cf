//! Lets callers in: every call shows a token, and what it claims goes with the call.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tonic::{Request, Status, service::Interceptor};

use super::{Claims, PublicKey, Role, bearer::HEADER};

/// Checks the token of every call, as an interceptor. Without keys it lets everybody in.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    keys: Arc<[PublicKey]>,
}

/// Whom a gate let in.
#[derive(Clone, Debug)]
pub enum Admitted {
    /// A service without token keys asks nobody.
    Anyone,
    /// The bearer of a token.
    Bearer(Arc<Claims>),
}

impl Gate {
    /// Lets in the bearers of tokens that one of `keys` vouches for; with none, everybody.
    pub fn new(keys: Vec<PublicKey>) -> Gate {
        Gate { keys: keys.into() }
    }

    /// Whether callers must show a token.
    pub fn asks_for_tokens(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Who shows `authorization` at `now`, a time since 1970.
    ///
    /// # Errors
    /// Unauthenticated: no token, none of ours, or one that has ended. Tokens are not repeated.
    pub fn admit(&self, authorization: Option<&[u8]>, now: Duration) -> Result<Admitted, Status> {
        if self.keys.is_empty() {
            return Ok(Admitted::Anyone);
        }
        let shown = authorization.and_then(|text| std::str::from_utf8(text).ok());
        let token = shown.and_then(|text| text.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| {
            Status::unauthenticated(
                "this service asks for a token: name its file by DPP_TOKEN_FILE",
            )
        })?;
        let claims = Claims::verified(token, &self.keys).ok_or_else(|| {
            Status::unauthenticated("the token is not signed by a key that this service trusts")
        })?;
        if now >= Duration::from_secs(claims.expires) {
            let Claims { name, expires, .. } = claims;
            return Err(Status::unauthenticated(format!(
                "the token of {name:?} ended at {expires} (seconds since 1970): have another made with `dpp fleet token`"
            )));
        }
        Ok(Admitted::Bearer(Arc::new(claims)))
    }
}

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request
            .metadata()
            .get(HEADER)
            .map(|text| text.as_encoded_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let admitted = self.admit(shown, now.unwrap_or_default());
        let admitted = admitted.inspect_err(|status| {
            tracing::warn!(reason = status.message(), "refused a call");
        })?;
        request.extensions_mut().insert(admitted);
        Ok(request)
    }
}

impl Admitted {
    /// Whom the gate let in with this call. A call that passed no gate is nobody's.
    ///
    /// # Errors
    /// Unauthenticated.
    pub fn of<T>(request: &Request<T>) -> Result<Admitted, Status> {
        let admitted = request.extensions().get::<Admitted>();
        admitted
            .cloned()
            .ok_or_else(|| Status::unauthenticated("this call passed no gate"))
    }

    /// Refuses bearers of other roles.
    ///
    /// # Errors
    /// Permission denied, with the role that is wanted.
    pub fn must_be(&self, wanted: Role) -> Result<(), Status> {
        match self {
            Admitted::Bearer(claims) if claims.role != wanted => {
                let Claims { name, role, .. } = &**claims;
                let refused =
                    format!("the token of {name:?} has role {role}; this asks for role {wanted}");
                tracing::warn!(reason = refused, "refused a call");
                Err(Status::permission_denied(refused))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::access::SigningKey;

    #[test]
    fn tokens_of_ours_are_let_in_until_they_end() {
        let (ours, theirs) = (
            SigningKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        );
        let gate = Gate::new(vec![ours.public_key()]);
        let claims = Claims {
            name: "ctr".into(),
            role: Role::Trainer,
            tables: Vec::new(),
            columns: Vec::new(),
            expires: 100,
        };
        let token = format!("Bearer {}", claims.sign(&ours));
        let at = Duration::from_secs;
        let admit = |text: &str, now| gate.admit(Some(text.as_bytes()), at(now));
        let admitted = admit(&token, 99).unwrap();
        assert!(matches!(&admitted, Admitted::Bearer(shown) if **shown == claims));
        assert!(admitted.must_be(Role::Trainer).is_ok());
        let refused = admitted.must_be(Role::Operator).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let others = format!("Bearer {}", claims.sign(&theirs));
        for (shown, now, why) in [
            (token.as_str(), 100, "ended"),
            (&others, 0, "not signed by a key"),
            (&token["Bearer ".len()..], 0, "asks for a token"),
            ("Bearer ", 0, "not signed by a key"),
        ] {
            let refused = admit(shown, now).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert!(refused.message().contains(why), "{refused}");
        }
        assert!(gate.admit(None, at(0)).is_err());
        let open = Gate::default().admit(None, at(0));
        assert!(matches!(open, Ok(Admitted::Anyone)));
    }
}
