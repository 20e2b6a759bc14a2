//! `moru key`: a server's API key in the system's keyring (Secret Service, Keychain, Credential Manager) instead of a file.

use std::io::{self, BufRead, IsTerminal};

use super::Error;
use super::output::say;

/// What entries of the keyring are found by.
const SERVICE: &str = "moru";

/// The value of the setting `api-key` that means the keyring.
pub const KEYRING: &str = "keyring";

/// Keep a server's API key in the system's keyring.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ask for the key and put it into the keyring; `api-key = "keyring"` in your settings uses it.
    Set {
        /// The server's address, as in the setting `engine`.
        url: String,
    },
    /// Take the key out of the keyring.
    Rm { url: String },
}

/// Runs `moru key …`.
///
/// # Errors
/// There is no keyring, or it is locked.
pub fn run(args: &Args) -> Result<(), Error> {
    match &args.command {
        Command::Set { url } => {
            let key = ask(url).map_err(|e| Error::Other(format!("the key cannot be read: {e}")))?;
            if key.is_empty() {
                return Err(Error::Usage("the key is empty; nothing was stored".into()));
            }
            entry(url)?.set_password(&key).map_err(|error| failed(url, &error))?;
            say(&format!("The key for {url} is in the keyring. `api-key = \"keyring\"` in your settings uses it."));
        }
        Command::Rm { url } => {
            entry(url)?.delete_credential().map_err(|error| failed(url, &error))?;
            say(&format!("The key for {url} is no longer in the keyring."));
        }
    }
    Ok(())
}

/// The key that the keyring holds for the server at `url`. Waits where the system asks the user to unlock it.
///
/// # Errors
/// There is no keyring, it stays locked, or it holds no such key.
pub fn stored(url: &str) -> Result<String, Error> {
    entry(url)?.get_password().map_err(|error| failed(url, &error))
}

fn entry(url: &str) -> Result<keyring::Entry, Error> {
    keyring::Entry::new(SERVICE, url.trim_end_matches('/')).map_err(|error| failed(url, &error))
}

fn failed(url: &str, error: &keyring::Error) -> Error {
    Error::Other(match error {
        keyring::Error::NoEntry => {
            format!("the keyring holds no key for {url}; put it there with `moru key set {url}`")
        }
        keyring::Error::NoDefaultStore => {
            "this system has no keyring that can be reached; set MORU_API_KEY instead".to_owned()
        }
        error => format!("the keyring does not help ({error}); unlock it, or set MORU_API_KEY instead"),
    })
}

/// The key as the user types it, unseen, or as the first line of what is piped in.
fn ask(url: &str) -> io::Result<String> {
    if io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("Key for {url}: "))?.trim().to_owned());
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
