;; Writes log lines until it is stopped.
;; ends: parked guest_host_calls_exhausted host_calls_limit
;; === body
(loop $l (call $log (i32.const 1) (local.get $key) (local.get $key_len)) (br $l)) unreachable
