;; A bill that is not JSON.
;; ends: parked guest_output_invalid
;; says: JSON
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $key) (local.get $key_len))
