;; Says that memory for aligned data lies at an odd address.
;; ends: parked guest_trap
;; replace: (local.get $at)) => (i32.const -1))
;; === body
(call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 262140))
unreachable
