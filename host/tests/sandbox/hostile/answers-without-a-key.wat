;; A bill whose key is empty.
;; ends: parked guest_output_invalid
;; says: empty
;; === body
(call $emit (i32.const 0) (i32.const 0) (local.get $body) (local.get $body_len))
