;; A bill whose key is a line feed, for whoever prints it.
;; ends: parked guest_output_invalid
;; says: control
;; === body
(i32.store8 (i32.const 2000) (i32.const 10))
(call $emit (i32.const 2000) (i32.const 1) (local.get $body) (local.get $body_len))
