//! A model on a server: what comes through whichever way the server writes it, and what happens when a server fails.
//!
//! The server is a fake one that plays what the test gives it, byte by byte as given: the streams are written after the
//! documented formats of vLLM, SGLang and llama-server.

mod conversation;
mod fake;

mod cancel;
mod failures;
mod real;
mod requests;
mod session;
mod shapes;
mod thinking;
#[allow(dead_code)]
#[path = "../pair/world.rs"]
mod world;
