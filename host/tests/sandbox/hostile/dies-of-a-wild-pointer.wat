;; Reads beyond the end of its memory, where another's might begin.
;; ends: parked guest_trap
;; says: out of bounds memory
;; === body
(drop (i64.load offset=4294967295 (local.get $i))) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
