//! Access tokens: JWTs signed with Ed25519, verified without the database.
//!
//! Only EdDSA with our own key id is taken; issuer, audience and times are compared here with the given instant,
//! because the JWT library would read the wall clock. A token lives ten minutes, so ending a session or
//! disabling an account takes effect within ten minutes; for what officers do with an application, at once: the statement
//! that loads or claims it looks at the account, too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Identity;
use super::access::unauthenticated;
use crate::clock::Clock;
use crate::domain::actor::Role;
use crate::error::{Error, Result};

/// How long an access token is valid.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// How far the clocks of several of our machines may be apart.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);

/// For whom access tokens are.
pub const AUDIENCE: &str = "propusk";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    name: String,
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Signs and verifies access tokens, and seals what clients carry for us.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    key_id: String,
    public: String,
    issuer: String,
    seal: [u8; 32],
}

impl Tokens {
    /// Takes the Ed25519 key in PKCS#8 PEM, and the issuer (our public URL).
    ///
    /// # Errors
    /// [`Error::Internal`] when the PEM holds no such key.
    pub fn new(pem: &str, issuer: &str) -> Result<Self> {
        let key = SigningKey::from_pkcs8_pem(pem)
            .map_err(|error| Error::internal("the token key is no Ed25519 key in PKCS#8", error))?;
        let der = key
            .to_pkcs8_der()
            .map_err(|error| Error::internal("cannot encode the token key", error))?;
        let public = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let decoding = DecodingKey::from_ed_components(&public)
            .map_err(|error| Error::internal("cannot use the public token key", error))?;
        // RFC 7638 and RFC 8037: the members in this order, without white space.
        let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
        let mut seal = Sha256::new();
        seal.update(b"propusk seal v1");
        seal.update(key.as_bytes());
        Ok(Self {
            encoding: EncodingKey::from_ed_der(der.as_bytes()),
            decoding,
            key_id: URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint.as_bytes())),
            public,
            issuer: issuer.to_owned(),
            seal: seal.finalize().into(),
        })
    }

    /// Signs a token for `identity` that is valid from now for [`LIFETIME`].
    ///
    /// # Errors
    /// [`Error::Internal`] when signing fails.
    pub fn issue(&self, identity: &Identity, clock: &dyn Clock) -> Result<String> {
        let now = clock.now();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: identity.account,
            role: identity.role,
            unit: identity.unit.clone(),
            name: identity.name.clone(),
            sid: identity.session,
            jti: clock.new_id(),
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map_err(|error| Error::internal("cannot sign an access token", error))
    }

    /// Tells whom a token that is valid at `now` names.
    ///
    /// # Errors
    /// [`crate::error::ErrorCode::Unauthenticated`] for every other token, without saying what is wrong with it.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let token = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules)
            .map_err(|_| unauthenticated())?;
        let claims = token.claims;
        let (now, leeway) = (now.timestamp(), LEEWAY.num_seconds());
        let holds = token.header.alg == Algorithm::EdDSA
            && token.header.kid.as_deref() == Some(self.key_id.as_str())
            && claims.iss == self.issuer
            && claims.aud == AUDIENCE
            && claims.nbf <= now + leeway
            && claims.iat <= now + leeway
            && now < claims.exp
            && claims.role.is_office() == claims.unit.is_some();
        if !holds {
            return Err(unauthenticated());
        }
        Ok(Identity {
            account: claims.sub,
            role: claims.role,
            unit: claims.unit,
            name: claims.name,
            session: claims.sid,
        })
    }

    /// Gives the public key: its id, and its bytes in base64url.
    #[must_use]
    pub fn public_key(&self) -> (&str, &str) {
        (&self.key_id, &self.public)
    }

    /// Makes a short authenticator of `content` for `purpose`: what a client gives back unchanged proves itself.
    #[must_use]
    pub fn seal(&self, purpose: &str, content: &[u8]) -> [u8; 16] {
        let mut short = [0; 16];
        // HMAC takes keys of any length, so there is no failure to hide.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.seal) {
            mac.update(purpose.as_bytes());
            mac.update(&[0]);
            mac.update(content);
            short.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        let tokens = Tokens::new(KEY, "https://permits.example").unwrap();
        assert_eq!(tokens.key_id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_token_is_valid_for_its_time_its_issuer_and_its_role() {
        let clock = FixedClock::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap(), 1);
        let tokens = Tokens::new(KEY, "https://permits.example").unwrap();
        let mut identity = Identity {
            account: clock.new_id(),
            role: Role::Officer,
            unit: Some("77".to_owned()),
            name: "Анна".to_owned(),
            session: clock.new_id(),
        };
        let token = tokens.issue(&identity, &clock).unwrap();
        assert_eq!(tokens.verify(&token, clock.now()).unwrap(), identity);
        assert!(tokens.verify(&token, clock.now() + LIFETIME).is_err());
        assert!(tokens.verify(&token, clock.now() - TimeDelta::minutes(1)).is_err());
        let other = Tokens::new(KEY, "https://other.example").unwrap();
        assert!(other.verify(&token, clock.now()).is_err());
        identity.unit = None;
        let token = tokens.issue(&identity, &clock).unwrap();
        assert!(tokens.verify(&token, clock.now()).is_err());
    }
}
