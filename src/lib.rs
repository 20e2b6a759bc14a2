//! Moru: a coding assistant for the terminal that runs open models on the user's own machine.
//!
//! A client sends requests to a [`session`]; the session asks an [`engine`] to go on, reads text or tool calls through a
//! [`dialect`], runs a [`tool`] on the [`workspace`], and publishes every step as an event. `docs/architecture.md` is the map.

pub mod cli;
pub mod code;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod filesystem;
pub mod lsp;
pub mod model;
pub mod permission;
pub mod sandbox;
pub mod session;
pub mod tool;
pub mod tui;
pub mod workspace;
