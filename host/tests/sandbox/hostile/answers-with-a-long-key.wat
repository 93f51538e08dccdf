;; A bill whose key is one byte too long.
;; ends: parked guest_output_invalid
;; says: 512
;; === body
(memory.fill (i32.const 131072) (i32.const 65) (i32.const 513))
(call $emit (i32.const 131072) (i32.const 513) (local.get $body) (local.get $body_len))
