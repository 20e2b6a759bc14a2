//! Parses the command line, hands over, prints the error.

mod allocator;

use std::process::ExitCode;

use clap::Parser;
use moru::cli::{Cli, run};

fn main() -> ExitCode {
    allocator::share();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("moru: {error}");
            error.code()
        }
    }
}
