;; Asks for four gigabytes at once and dies without them.
;; ends: parked guest_memory_exhausted memory_limit_bytes
;; === body
(if (i32.eq (memory.grow (i32.const 65532)) (i32.const -1)) (then unreachable)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
