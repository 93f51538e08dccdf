;; Makes a whole number of one that is none.
;; ends: parked guest_trap
;; says: invalid conversion
;; === body
(drop (i32.trunc_f64_s (f64.const nan))) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
