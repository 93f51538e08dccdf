;; Looks up with answers thrown away, as often as it may.
;; ends: parked guest_host_calls_exhausted host_calls_limit
;; set: fuel = 200000000, lookup_limit_bytes = 9000000000, host_calls_limit = 100
;; === body
(loop $l
  (call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 4096))
  (global.set $heap (i32.const 65536))
  (br $l))
unreachable
