//! Running a server that plays the registers; needs no database.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use clap::Args;

use super::Failure;
use crate::clock::SystemClock;
use crate::config::LogFormat;
use crate::error::Error;
use crate::register_sim::answers;
use crate::register_sim::{Options, REGISTERS, Simulator};
use crate::telemetry;
use crate::webhook::Key;

/// The registers' side of the connection.
#[derive(Debug, Args)]
pub struct RegisterSimArgs {
    /// Address to serve on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Secret shared with the office: one for all registers, or NAME=SECRET for one; may be given more than once
    #[arg(
        long = "secret",
        value_name = "[NAME=]SECRET",
        env = "PROPUSK_REGISTER_SECRETS",
        hide_env_values = true,
        value_delimiter = ',',
        required = true
    )]
    pub secrets: Vec<RegisterSecret>,
    /// Where callbacks go, as in http://127.0.0.1:8080, in place of the address that the office states
    #[arg(long, value_name = "URL")]
    pub callback_base: Option<String>,
}

/// A secret, and the register that it is for; for all of them without.
#[derive(Debug, Clone)]
pub struct RegisterSecret {
    register: Option<String>,
    key: Key,
}

impl std::str::FromStr for RegisterSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (register, secret) = match text.split_once('=') {
            // Base64 may end in this sign, too.
            Some((name, secret)) if !name.starts_with("whsec_") => (Some(name), secret),
            _ => (None, text),
        };
        if let Some(name) = register.filter(|name| !REGISTERS.contains(name)) {
            return Err(format!(
                "there is no register '{name}'; it plays {}",
                REGISTERS.join(", ")
            ));
        }
        let key = Key::parse(secret).map_err(|error| error.to_string())?;
        Ok(Self { register: register.map(str::to_owned), key })
    }
}

/// Gives what is said after the arguments.
pub(super) fn help() -> String {
    format!(
        "\
Example:
  SECRET=whsec_$(openssl rand -base64 32)
  propusk register-sim --secret \"$SECRET\"
  PROPUSK_REGISTERS=\"borderCrossings http://127.0.0.1:8090/borderCrossings $SECRET\" propusk serve …

It plays {}.
Whatever is asked is answered with clear, but for passport numbers (of companies: INN; of payments: UIN)
that end so:
{}
How a register behaves is set while it runs, and what it was asked is shown:
  curl -X PUT http://127.0.0.1:8090/_sim/borderCrossings -d '{{\"mode\":\"down\"}}'
  curl http://127.0.0.1:8090/_sim/borderCrossings
The modes are normal, down, slow, lying, wrongSignature, unsigned, garbage, huge, refusing, later, twice
and contradicting; delayMs, outcome and reason can be set besides. openapi/registers.md has the protocol.",
        REGISTERS.join(", "),
        answers::table()
    )
}

/// Plays the registers until the process is told to stop.
pub(super) async fn run(args: RegisterSimArgs) -> Result<(), Failure> {
    telemetry::init("info", LogFormat::Text)?;
    let mut keys = BTreeMap::new();
    let mut key = None;
    for secret in args.secrets {
        match secret.register {
            Some(register) => drop(keys.insert(register, secret.key)),
            None => key = Some(secret.key),
        }
    }
    let (callback_base, clock) = (args.callback_base, Arc::new(SystemClock));
    let simulator = Simulator::new(Options { key, keys, callback_base, clock });
    let failed = |error| Error::internal(format!("cannot listen on {}", args.listen), error);
    let listener = TcpListener::bind(args.listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = simulator.serve(listener)?;
    println!("propusk plays the registers on http://{address}: {}", REGISTERS.join(", "));
    let served = server.await;
    Ok(served.map_err(|error| Error::internal("the simulated registers failed", error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_all_registers_or_for_one() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAA=";
        let all: RegisterSecret = secret.parse().unwrap();
        assert_eq!(all.register, None);
        let one: RegisterSecret = format!("payments={secret}").parse().unwrap();
        assert_eq!(one.register.as_deref(), Some("payments"));
        assert!(!format!("{one:?}").contains("MfKQ"));
        assert!(format!("weather={secret}").parse::<RegisterSecret>().is_err());
        let error = "payments=hunter2".parse::<RegisterSecret>().unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
