//! What `crossdock new` writes, as this binary carries it. `build.rs` lists the files.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
