//! Programs that measure infino: `infino-bench` over whole tables, `rig-fts` and `rig-vector` beside other engines, `quality`
//! against human judgements.
#![forbid(unsafe_code)]
