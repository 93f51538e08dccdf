;; Wants the answer written where nothing may lie.
;; ends: parked guest_trap
;; === body
(call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 4097)) unreachable
