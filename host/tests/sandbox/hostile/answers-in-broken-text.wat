;; A key that is not UTF-8.
;; ends: parked guest_trap
;; says: utf-8
;; === body
(i32.store8 (i32.const 2000) (i32.const 255))
(call $emit (i32.const 2000) (i32.const 1) (local.get $body) (local.get $body_len))
