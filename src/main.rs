//! Parses the command line, hands over, prints the error.

use std::process::ExitCode;

use clap::Parser;
use moru::cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("moru: {error}");
            error.code()
        }
    }
}
