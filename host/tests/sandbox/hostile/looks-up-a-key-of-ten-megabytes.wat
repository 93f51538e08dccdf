;; Asks for a key that is larger than a crossing.
;; ends: parked guest_output_too_large hostcall_bytes
;; === body
(drop (memory.grow (i32.const 200)))
(memory.fill (i32.const 131072) (i32.const 120) (i32.const 10485760))
(call $lookup (local.get $scheme) (local.get $scheme_len) (i32.const 131072) (i32.const 10485760) (i32.const 4096)) unreachable
