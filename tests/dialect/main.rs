//! Prompts and calls, against reference vectors where they are at hand, and as properties of random ones.

mod calls;
mod constraint;
mod parse;
mod render;
mod tools;
mod vectors;
