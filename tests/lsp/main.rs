//! Language servers: one that these tests play (`server.py`), as a real process, and those that are installed here.

#[path = "../remote/conversation.rs"]
mod conversation;

mod real;
mod servers;
mod session;
mod stage;
