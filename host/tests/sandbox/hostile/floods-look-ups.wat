;; Looks the same key up until it is stopped.
;; ends: parked guest_host_calls_exhausted lookup_limit_bytes
;; === body
(loop $l
  (call $lookup (local.get $scheme) (local.get $scheme_len) (local.get $key) (local.get $key_len) (i32.const 4096))
  (global.set $heap (i32.const 65536))
  (br $l))
unreachable
