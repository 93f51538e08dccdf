;; A key of two gigabytes.
;; ends: parked guest_trap
;; === body
(call $emit (i32.const 2000) (i32.const 2147483647) (local.get $body) (local.get $body_len))
