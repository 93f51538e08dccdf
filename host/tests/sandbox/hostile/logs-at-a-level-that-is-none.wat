;; Writes a line of a level that there is not.
;; ends: parked guest_trap
;; === body
(call $log (i32.const 99) (local.get $key) (local.get $key_len)) unreachable
