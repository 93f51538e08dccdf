;; Declares more memory than a call may have, before it runs at all.
;; ends: refused guest_memory_exhausted memory_limit_bytes
;; replace: (memory (export "memory") 4) => (memory (export "memory") 1025)
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
