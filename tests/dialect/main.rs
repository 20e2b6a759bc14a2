//! Prompts and calls, against reference vectors where they are at hand, and as properties of random ones.

mod broken;
mod calls;
mod cli;
mod constraint;
mod families;
mod fuzz;
mod long;
mod parse;
mod probed;
mod render;
mod templates;
mod tools;
mod vectors;
