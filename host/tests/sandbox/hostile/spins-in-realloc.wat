;; Spins when the host asks it for memory to put the document in.
;; ends: parked guest_fuel_exhausted fuel
;; replace: (local.set $at (i32.and => (loop $l (br $l)) (local.set $at (i32.and
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
