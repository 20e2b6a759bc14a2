//! Models come onto this machine whole and verified, or not at all.

mod fixture;

mod hub;
mod import;
mod python;
mod real;
mod resolve;
mod several;
