//! Workloads that measure infino.
