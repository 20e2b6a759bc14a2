//! The journey of a pair programmer, on the real program and a real model: ask, fix, check, undo, redo, resume, interrupt.
//!
//! `./dev test` gets the models; under plain cargo, `MORU_TEST_MODELS` names a folder that holds them. Where they are absent
//! these tests say so and pass.

mod bad_input;
mod exec;
mod forms;
mod kill;
mod world;
