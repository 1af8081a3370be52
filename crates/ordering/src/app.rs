//! Puts the parts of the service together.

use kit::lifecycle::BoxError;

use crate::settings::Command;

/// Runs a command of the program.
pub async fn run(command: Command) -> Result<(), BoxError> {
    unimplemented!("{command:?}")
}
