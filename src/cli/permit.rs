//! Permits at the command line: the keys that sign them, and what a permit in the hand proves.

mod key;
mod verify;

use clap::Subcommand;

use super::Failure;

pub use self::key::KeyCommand;
pub use self::verify::VerifyArgs;

/// What can be done with permits.
#[derive(Debug, Subcommand)]
pub enum PermitCommand {
    /// Make, rotate and show the keys that sign permits
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say in plain words what a permit proves
    ///
    /// Verifies a permit off line by the text of its QR, or a picture of it: who signed it, for whom, where and until when it
    /// is valid. With a status list it also says how the permit stands. Exits with 1 for a permit that is not valid, saying
    /// why, and with 2 for wrong use.
    #[command(after_long_help = verify::HELP)]
    Verify(VerifyArgs),
}

/// Does what `command` says.
pub(super) fn run(command: PermitCommand) -> Result<(), Failure> {
    match command {
        PermitCommand::Key(command) => key::run(command),
        PermitCommand::Verify(args) => verify::run(&args),
    }
}
