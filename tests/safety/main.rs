//! Nothing that Moru does to files is lost, and nothing that it does not mean to touch is touched.

mod commands;
mod concurrent;
mod folder;
mod killed;
mod random;
mod roundtrip;
