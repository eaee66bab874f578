//! Loops over blocks of 128 numbers.

pub(crate) mod pack;
