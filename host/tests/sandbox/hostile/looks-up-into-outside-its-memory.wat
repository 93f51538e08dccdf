;; Wants the answer written beyond the end of its memory.
;; ends: parked guest_trap
;; === body
(call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 262144)) unreachable
