;; Says that its free memory lies beyond its end.
;; ends: parked guest_trap
;; replace: (local.get $at)) => (i32.const 262140))
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
