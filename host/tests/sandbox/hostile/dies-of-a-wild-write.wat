;; Writes just beyond the end of its memory.
;; ends: parked guest_trap
;; says: out of bounds memory
;; === body
(i64.store (i32.const 262137) (i64.const 1)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
