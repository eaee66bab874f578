//! The infino command line.
#![forbid(unsafe_code)]

fn main() {}
