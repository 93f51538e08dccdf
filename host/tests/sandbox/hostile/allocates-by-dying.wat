;; Dies when the host asks it for memory.
;; ends: parked guest_trap
;; replace: (local.set $at (i32.and => unreachable (local.set $at (i32.and
;; says: unreachable
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
