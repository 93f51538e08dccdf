;; A bill whose key is a terminal's escape sequence.
;; ends: parked guest_output_invalid
;; says: control
;; === body
(i32.store (i32.const 2000) (i32.const 0x4b325b1b)) ;; ESC [ 2 K
(call $emit (i32.const 2000) (i32.const 4) (local.get $body) (local.get $body_len))
