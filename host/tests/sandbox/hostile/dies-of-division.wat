;; Divides by zero.
;; ends: parked guest_trap
;; says: divide by zero
;; === body
(drop (i32.div_s (i32.const 1) (local.get $i))) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
