//! Programs that measure infino: `infino-bench` over whole tables, `rig-fts` and `rig-vector` beside other engines.
#![forbid(unsafe_code)]
