;; Divides the least number by minus one.
;; ends: parked guest_trap
;; says: overflow
;; === body
(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1)))) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
