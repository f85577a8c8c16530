//! Running a server that plays the payment provider; needs no database.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use clap::Args;

use super::Failure;
use crate::clock::SystemClock;
use crate::config::LogFormat;
use crate::error::Error;
use crate::provider_sim::{Options, PORT, Simulator};
use crate::telemetry;
use crate::webhook::Key;

/// The provider's side of the connection.
#[derive(Debug, Args)]
pub struct ProviderSimArgs {
    /// Address to serve on
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from(([127, 0, 0, 1], PORT)))]
    pub listen: SocketAddr,
    /// Where the office is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub office: String,
    /// Secret shared with the office, as in its payment_webhook_secrets
    #[arg(long, value_name = "SECRET", env = "PROPUSK_PROVIDER_SECRET", hide_env_values = true,
        value_parser = Key::parse)]
    pub secret: Key,
}

/// What is said after the arguments.
pub const HELP: &str = "\
Example:
  propusk provider-sim --secret \"$SECRET\" --office http://127.0.0.1:8080
  curl -X POST http://127.0.0.1:8091/payments -d '{\"uin\":\"18800000000000000018\",\"amountKopecks\":420000}'
  curl -X PUT http://127.0.0.1:8091/mode -d '{\"mode\":\"silent\"}'
  curl http://127.0.0.1:8091/statement > statement.xml && propusk payments reconcile statement.xml

The modes are normal, repeat, reorder (POST /flush tells what was kept), forge, alter, late, ahead and silent.
GET /payments shows what was taken and what became of every message.";

/// Plays the provider until the process is told to stop.
pub(super) async fn run(args: ProviderSimArgs) -> Result<(), Failure> {
    telemetry::init("info", LogFormat::Text)?;
    let ProviderSimArgs { listen, office, secret: key } = args;
    let simulator = Simulator::new(Options { key, office, clock: Arc::new(SystemClock) });
    let failed = |error| Error::internal(format!("cannot listen on {listen}"), error);
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = simulator.serve(listener)?;
    println!("propusk plays the payment provider on http://{address}");
    let served = server.await;
    Ok(served.map_err(|error| Error::internal("the simulated provider failed", error))?)
}
