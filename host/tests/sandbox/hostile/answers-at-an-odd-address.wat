;; An outcome at an address that nothing may lie at.
;; ends: parked guest_trap
;; says: align
;; === body
(drop (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))) (i32.const 1025)
