//! The engine on a real model: what is drafted, shared, kept on disk or cancelled never changes what is written.
//!
//! `./dev test` gets the models; under plain cargo, `MORU_TEST_MODELS` names a folder that holds them. Where they are absent
//! these tests say so and pass.

mod adapter;
mod draft_model;
mod drafts;
mod gguf;
mod gpu;
mod random;
mod reading;
mod recurrent;
mod score;
mod slots;
mod snapshots;
mod stage;
mod stress;
